//! The typed form of a scenario file: who takes part, what they do, what goes wrong.
//!
//! `scenarios/README.md` teaches how to write one. Every error names file, line and key.

use std::time::Duration;

use nanshe_conformance::document::{self, Document, DocumentError};
use nanshe_conformance::workload::Mix;
use serde::Deserialize;
use toml::Spanned;

/// Time after the last heal in which what is still on its way arrives, whatever the latency.
pub const SETTLE: Duration = Duration::from_secs(30);

/// What an implementation behind a store may need for one operation.
const STORE_ROUND_TRIPS: Duration = Duration::from_millis(20);

/// Bounds of what a scenario may ask for.
const WORK_SECS_MAX: u64 = 7 * 24 * 3600;
const PATIENCE_MS_MAX: u64 = 600_000;
const LATENCY_US_MAX: u64 = 10_000_000;
const OFFSET_MS_MAX: i64 = 86_400_000;
const DRIFT_PPM_MAX: i64 = 10_000;
const FAULTS_MAX: usize = 1_000;

/// A failure, written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Kebab-case path that reads as what goes wrong: `delivery/lost-acknowledgement`.
    pub name: String,
    /// The story, in a few sentences.
    pub about: String,
    /// What is run as the server, unless the command line says otherwise.
    pub implementation: String,
    /// How long clients work and faults strike.
    pub work: Duration,
    /// How long a client waits for a connection, and for an answer.
    pub patience: Duration,
    /// The shortest and the longest time on a link.
    pub latency: (Duration, Duration),
    /// How far the server's clock is ahead at the start: at least, at most, in milliseconds.
    pub offset_ms: (i64, i64),
    /// How much too fast it runs: at least, at most, in millionths.
    pub drift_ppm: (i64, i64),
    /// What the clients do.
    pub mix: Mix,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// Something that goes wrong for a while. Begin and length are drawn from the seed, between the two
/// bounds given.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// When it begins: at the earliest, at the latest.
    pub from: (Duration, Duration),
    /// How long it lasts: at least, at most.
    pub lasts: (Duration, Duration),
}

/// The kinds of faults.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// A share of the requests is lost.
    LoseRequests {
        /// Between 0 and 1.
        share: f64,
        /// What the client sees.
        how: Loss,
    },
    /// A share of the answers is lost: the request was processed, and its client does not know.
    LoseAnswers {
        /// Between 0 and 1.
        share: f64,
        /// What the client sees.
        how: Loss,
    },
    /// A node is cut off from everybody, both ways; what is on its links arrives after the heal.
    Partition {
        /// Its name.
        node: String,
    },
    /// A client dies, with all it holds; another takes its place at the end of the fault.
    Kill {
        /// Its name.
        node: String,
    },
}

/// What a client sees of a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The connection is reset.
    Reset,
    /// Nothing, until it loses patience.
    Hang,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    about: String,
    implementation: String,
    work_secs: Spanned<u64>,
    patience_ms: Spanned<u64>,
    link: Link,
    server_clock: ServerClock,
    workload: Spanned<Workload>,
    #[serde(default)]
    fault: Vec<FaultTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    latency_us: Spanned<[u64; 2]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerClock {
    offset_ms: Spanned<[i64; 2]>,
    drift_ppm: Spanned<[i64; 2]>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Workload {
    CompetingConsumers(Mix),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindWord {
    LoseRequests,
    LoseAnswers,
    Partition,
    Kill,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultTable {
    kind: Spanned<KindWord>,
    from_secs: Spanned<[u64; 2]>,
    for_secs: Spanned<[u64; 2]>,
    node: Option<Spanned<String>>,
    share: Option<Spanned<f64>>,
    how: Option<Spanned<Loss>>,
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    ///
    /// With file, line and key.
    pub fn load(file: &str) -> Result<Self, DocumentError> {
        let text = document::read(file)?;
        Self::parse(Document { file, text: &text })
    }

    /// Parses a scenario.
    ///
    /// # Errors
    ///
    /// With file, line and key: not a scenario, or one that contradicts itself.
    pub fn parse(document: Document<'_>) -> Result<Self, DocumentError> {
        let file: File = document.parse()?;
        let check = Check { document };
        check.range(&file.work_secs, 1, WORK_SECS_MAX)?;
        check.range(&file.patience_ms, 1, PATIENCE_MS_MAX)?;
        // Time passes only on links and in pauses: without any, a run would never end.
        check.pair(&file.link.latency_us, 1, LATENCY_US_MAX)?;
        check.patience(&file.patience_ms, &file.link.latency_us)?;
        check.pair(&file.server_clock.offset_ms, -OFFSET_MS_MAX, OFFSET_MS_MAX)?;
        check.pair(&file.server_clock.drift_ppm, -DRIFT_PPM_MAX, DRIFT_PPM_MAX)?;
        check.name(&file.name)?;
        let workload_span = file.workload.span();
        let Workload::CompetingConsumers(mix) = file.workload.into_inner();
        if let Err((key, message)) = mix.validate() {
            return Err(check.within(workload_span, key, message));
        }
        if file.fault.len() > FAULTS_MAX {
            let message = format!(
                "there are {} faults, expected {FAULTS_MAX} at most",
                file.fault.len()
            );
            return Err(document.error(None, message));
        }
        let work_secs = file.work_secs.into_inner();
        let faults = file
            .fault
            .iter()
            .map(|table| check.fault(table, &mix, work_secs));
        let [latency_min, latency_max] =
            file.link.latency_us.into_inner().map(Duration::from_micros);
        let scenario = Self {
            name: file.name.into_inner(),
            about: file.about.trim().to_owned(),
            implementation: file.implementation,
            work: Duration::from_secs(work_secs),
            patience: Duration::from_millis(file.patience_ms.into_inner()),
            latency: (latency_min, latency_max),
            offset_ms: file.server_clock.offset_ms.into_inner().into(),
            drift_ppm: file.server_clock.drift_ppm.into_inner().into(),
            faults: faults.collect::<Result<_, _>>()?,
            mix,
        };
        check.kills(&file.fault)?;
        let needed = scenario.longest_run().as_secs() + 1;
        if scenario.mix.message_ttl_secs < needed {
            let message = format!(
                "is {}, but the drain may end only {needed} s after the start: a message must live \
                 as long, or nobody can tell expired from lost",
                scenario.mix.message_ttl_secs
            );
            return Err(check.within(workload_span, "message_ttl_secs", message));
        }
        Ok(scenario)
    }

    /// How long after its invocation an operation without an answer may still take effect (λ): what
    /// is on its way arrives soon after the last heal.
    pub fn latest_effect(&self) -> Duration {
        self.work + SETTLE
    }

    /// How wrong the server's clock may be over a message's life (ε), a whole second of granularity
    /// included.
    pub fn slack(&self) -> Duration {
        let (min, max) = self.drift_ppm;
        let drift_ppm = min.unsigned_abs().max(max.unsigned_abs());
        Duration::from_secs(1) + Duration::from_micros(self.mix.message_ttl_secs * drift_ppm)
    }

    /// The nodes that clients live on.
    pub fn client_names(&self) -> Vec<String> {
        node_names(&self.mix).split_off(1)
    }

    /// An upper bound of the time until the drain has ended.
    fn longest_run(&self) -> Duration {
        let lease = Duration::from_secs(self.mix.claim_ttl_secs);
        // Consumers finish what they hold: a lease and a half, and a pause and an answer a message.
        let pause = Duration::from_millis(self.mix.pause_ms_max);
        let batch = u32::try_from(self.mix.batch_max).unwrap_or(u32::MAX);
        let finish = lease * 2 + (pause + self.patience * 2) * (batch + 3);
        self.work
            + finish
            + self.latest_effect()
            + lease * 2
            + self.slack() * 2
            + self.longest_drain()
    }

    /// An upper bound of the time that a drain takes: every message may still be there, and is claimed
    /// and deleted one after the other, each with a connection of its own at worst.
    fn longest_drain(&self) -> Duration {
        let messages =
            u64::from(self.mix.producers) * u64::from(self.mix.posts) * self.mix.batch_max;
        let operations = messages
            .saturating_mul(2)
            .saturating_add(u64::from(self.mix.queues) * 4);
        let each = self.latency.1 * 4 + STORE_ROUND_TRIPS;
        each.saturating_mul(u32::try_from(operations).unwrap_or(u32::MAX))
    }
}

/// Checks values and says where they stand.
struct Check<'a> {
    document: Document<'a>,
}

impl Check<'_> {
    fn range(&self, value: &Spanned<u64>, min: u64, max: u64) -> Result<(), DocumentError> {
        if (min..=max).contains(value.get_ref()) {
            return Ok(());
        }
        let message = format!("is {}, expected {min} to {max}", value.get_ref());
        Err(self.document.error(Some(value.span()), message))
    }

    /// A connection and an answer each take a round trip.
    fn patience(
        &self,
        millis: &Spanned<u64>,
        latency: &Spanned<[u64; 2]>,
    ) -> Result<(), DocumentError> {
        let [_, longest_us] = *latency.get_ref();
        let round_trip_ms = longest_us.saturating_mul(2).div_ceil(1_000);
        if *millis.get_ref() > round_trip_ms {
            return Ok(());
        }
        let message = format!(
            "is {}, but a round trip may take {round_trip_ms} ms: nothing would ever be answered",
            millis.get_ref()
        );
        Err(self.document.error(Some(millis.span()), message))
    }

    fn pair<T: PartialOrd + std::fmt::Debug + Copy>(
        &self,
        pair: &Spanned<[T; 2]>,
        min: T,
        max: T,
    ) -> Result<(), DocumentError> {
        let [from, to] = *pair.get_ref();
        if min <= from && from <= to && to <= max {
            return Ok(());
        }
        let message =
            format!("is [{from:?}, {to:?}], expected [at least, at most] from {min:?} to {max:?}");
        Err(self.document.error(Some(pair.span()), message))
    }

    fn name(&self, name: &Spanned<String>) -> Result<(), DocumentError> {
        let kebab = |word: &str| {
            !word.is_empty()
                && word.split('-').all(|part| {
                    !part.is_empty()
                        && part
                            .chars()
                            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
                })
        };
        if name
            .get_ref()
            .split_once('/')
            .is_some_and(|(group, what)| kebab(group) && kebab(what))
        {
            return Ok(());
        }
        let message = format!(
            "`{}` is not a kebab-case path like `delivery/lost-answer`",
            name.get_ref()
        );
        Err(self.document.error(Some(name.span()), message))
    }

    /// An error at `key`, somewhere in `table`, which starts at `span`.
    fn within(&self, span: std::ops::Range<usize>, key: &str, message: String) -> DocumentError {
        let table = self.document.text.get(span.start..).unwrap_or_default();
        let place = table
            .match_indices(key)
            .map(|(place, _)| place)
            .find(|&place| {
                let before = table[..place].chars().next_back();
                let after = table[place + key.len()..].trim_start();
                before.is_none_or(|c| !(c.is_alphanumeric() || c == '_')) && after.starts_with('=')
            });
        let at = span.start + place.unwrap_or(0);
        DocumentError {
            key: Some(key.to_owned()),
            ..self.document.error(Some(at..at), message)
        }
    }

    fn fault(&self, table: &FaultTable, mix: &Mix, work_secs: u64) -> Result<Fault, DocumentError> {
        self.pair(&table.from_secs, 0, work_secs)?;
        self.pair(&table.for_secs, 0, work_secs)?;
        let ([_, latest], [_, longest]) = (*table.from_secs.get_ref(), *table.for_secs.get_ref());
        if latest + longest > work_secs {
            let message = format!(
                "the fault may end after {} s, but faults end with the work, after {work_secs} s",
                latest + longest
            );
            return Err(self.document.error(Some(table.for_secs.span()), message));
        }
        let kind = match table.kind.get_ref() {
            KindWord::LoseRequests => {
                let (share, how) = self.loss(table)?;
                FaultKind::LoseRequests { share, how }
            }
            KindWord::LoseAnswers => {
                let (share, how) = self.loss(table)?;
                FaultKind::LoseAnswers { share, how }
            }
            KindWord::Partition => FaultKind::Partition {
                node: self.node(table, mix)?,
            },
            KindWord::Kill => {
                let node = self.node(table, mix)?;
                if node == "server" {
                    let message = "the server cannot be killed: an implementation has no disk yet";
                    return Err(self
                        .document
                        .error(table.node.as_ref().map(Spanned::span), message));
                }
                FaultKind::Kill { node }
            }
        };
        let seconds = |pair: &Spanned<[u64; 2]>| {
            let [min, max] = *pair.get_ref();
            (Duration::from_secs(min), Duration::from_secs(max))
        };
        Ok(Fault {
            kind,
            from: seconds(&table.from_secs),
            lasts: seconds(&table.for_secs),
        })
    }

    /// A client that is dead cannot die: kills of one node must not overlap, whatever is drawn.
    fn kills(&self, tables: &[FaultTable]) -> Result<(), DocumentError> {
        let kills = || {
            tables
                .iter()
                .filter(|table| matches!(table.kind.get_ref(), KindWord::Kill))
        };
        let span = |table: &FaultTable| {
            let ([from, _], [_, to]) = (*table.from_secs.get_ref(), *table.from_secs.get_ref());
            (from, to + table.for_secs.get_ref()[1])
        };
        let name = |table: &FaultTable| table.node.as_ref().map(|node| node.get_ref().clone());
        for (number, one) in kills().enumerate() {
            for other in kills().skip(number + 1) {
                let (one_span, other_span) = (span(one), span(other));
                let overlap = one_span.0 <= other_span.1 && other_span.0 <= one_span.1;
                if overlap && name(one) == name(other) {
                    let message = "may begin while another kill of that node is in force";
                    return Err(self.document.error(Some(other.from_secs.span()), message));
                }
            }
        }
        Ok(())
    }

    fn loss(&self, table: &FaultTable) -> Result<(f64, Loss), DocumentError> {
        self.absent(
            table.node.as_ref().map(Spanned::span),
            "strikes every client, it has no `node`",
        )?;
        let (share, how) = (table.share.as_ref(), table.how.as_ref());
        let missing = |key| {
            let message = format!("a loss needs `{key}`");
            self.document.error(Some(table.kind.span()), message)
        };
        let share = share.ok_or_else(|| missing("share"))?;
        let how = how.ok_or_else(|| missing("how"))?;
        if (0.0..=1.0).contains(share.get_ref()) {
            return Ok((*share.get_ref(), *how.get_ref()));
        }
        let message = format!("is {}, expected 0 to 1", share.get_ref());
        Err(self.document.error(Some(share.span()), message))
    }

    fn node(&self, table: &FaultTable, mix: &Mix) -> Result<String, DocumentError> {
        let why = "belongs to losses, not to a fault of one node";
        self.absent(table.share.as_ref().map(Spanned::span), why)?;
        self.absent(table.how.as_ref().map(Spanned::span), why)?;
        let Some(node) = &table.node else {
            let message = "a fault of one node needs `node`";
            return Err(self.document.error(Some(table.kind.span()), message));
        };
        let names = node_names(mix);
        if names.iter().any(|name| name == node.get_ref()) {
            return Ok(node.get_ref().clone());
        }
        let near = document::suggestion(node.get_ref(), names.iter().map(String::as_str));
        let message = format!(
            "there is no node `{}`{near}, expected server, producer-0 to producer-{} or consumer-0 to \
             consumer-{}",
            node.get_ref(),
            mix.producers - 1,
            mix.consumers - 1,
        );
        Err(self.document.error(Some(node.span()), message))
    }

    fn absent(
        &self,
        span: Option<std::ops::Range<usize>>,
        message: &str,
    ) -> Result<(), DocumentError> {
        span.map_or(Ok(()), |span| Err(self.document.error(Some(span), message)))
    }
}

/// The nodes that faults can name.
fn node_names(mix: &Mix) -> Vec<String> {
    let producers = (0..mix.producers).map(|number| format!("producer-{number}"));
    let consumers = (0..mix.consumers).map(|number| format!("consumer-{number}"));
    std::iter::once("server".to_owned())
        .chain(producers)
        .chain(consumers)
        .collect()
}
