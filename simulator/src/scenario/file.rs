//! A scenario as its file has it, and what is wrong with one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use nanshe_conformance::checker::RULES;
use nanshe_conformance::document::{Document, DocumentError, suggestion};
use nanshe_conformance::workload::{self, Workload};
use serde::Deserialize;
use toml::Spanned;

use super::fault::{Direction, Fault, FaultKind, Loss, Word};
use super::seconds::Seconds;
use super::{DiskTimes, Link, Scenario, Servers};

/// Bounds of what a scenario may ask for.
const WORK_SECS_MAX: u64 = 7 * 24 * 3600;
const PATIENCE_MS_MAX: u64 = 600_000;
const MICROS_MAX: u64 = 10_000_000;
const OFFSET_MS_MAX: i64 = 86_400_000;
const DRIFT_PPM_MAX: i64 = 10_000;
const FAULTS_MAX: usize = 1_000;
const SERVERS_MAX: u64 = 16;
const CORES_MAX: u64 = 1_024;
const ENTRY_NS_MAX: u64 = 1_000_000;
const BYTES_A_SECOND_MIN: u64 = 1_000;
const FACTOR_MAX: u64 = 10_000;
const TURNS_MAX: u64 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    about: String,
    implementation: String,
    seed: Option<u64>,
    work_secs: Spanned<u64>,
    patience_ms: Spanned<u64>,
    turns: Option<Spanned<u64>>,
    #[serde(default)]
    messages_expire: bool,
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    breaks: Vec<Spanned<String>>,
    #[serde(default)]
    link: LinkTable,
    #[serde(default)]
    server: ServerTable,
    #[serde(default)]
    disk: DiskTable,
    workload: BTreeMap<Spanned<String>, workload::Table>,
    #[serde(default)]
    fault: Vec<FaultTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkTable {
    latency_us: Option<Spanned<[u64; 2]>>,
    spike_share: Option<Spanned<f64>>,
    spike_us: Option<Spanned<u64>>,
    bytes_a_second: Option<Spanned<u64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerTable {
    count: Option<Spanned<u64>>,
    cores: Option<Spanned<u64>>,
    service_us: Option<Spanned<[u64; 2]>>,
    entry_ns: Option<Spanned<u64>>,
    offset_ms: Option<Spanned<[i64; 2]>>,
    drift_ppm: Option<Spanned<[i64; 2]>>,
    excuses_jumps: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiskTable {
    write_us: Option<Spanned<[u64; 2]>>,
    sync_us: Option<Spanned<[u64; 2]>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultTable {
    kind: Spanned<Word>,
    from_secs: Spanned<[Seconds; 2]>,
    for_secs: Spanned<[Seconds; 2]>,
    node: Option<Spanned<String>>,
    share: Option<Spanned<f64>>,
    how: Option<Spanned<Loss>>,
    direction: Option<Spanned<Direction>>,
    factor: Option<Spanned<u64>>,
    by_ms: Option<Spanned<[i64; 2]>>,
}

/// Parses a scenario. See [`Scenario::parse`].
pub(super) fn parse(document: Document<'_>) -> Result<Scenario, DocumentError> {
    let file: File = document.parse()?;
    let check = Check { document };
    check.range(&file.work_secs, 1, WORK_SECS_MAX)?;
    check.range(&file.patience_ms, 1, PATIENCE_MS_MAX)?;
    check.name(&file.name)?;
    if let Some(turns) = &file.turns {
        check.range(turns, 1, TURNS_MAX)?;
    }
    let link = check.link(&file.link)?;
    check.patience(&file.patience_ms, link)?;
    let server = check.servers(&file.server)?;
    let disk = check.disk(&file.disk)?;
    let mut tables = file.workload.into_iter();
    let (Some((name, table)), None) = (tables.next(), tables.next()) else {
        return Err(document.error(None, "expected one table `[workload.NAME]`"));
    };
    let workload = Workload::of_table(document, (name.clone(), table))?;
    if file.fault.len() > FAULTS_MAX {
        let found = file.fault.len();
        let message = format!("there are {found} faults, expected {FAULTS_MAX} at most");
        return Err(document.error(None, message));
    }
    let breaks = file.breaks.iter().map(|rule| check.rule(rule));
    let breaks = breaks.collect::<Result<BTreeSet<_>, _>>()?;
    let mut scenario = Scenario {
        name: file.name.into_inner(),
        about: file.about.trim().to_owned(),
        implementation: file.implementation,
        seed: file.seed,
        work: Duration::from_secs(file.work_secs.into_inner()),
        patience: Duration::from_millis(file.patience_ms.into_inner()),
        link,
        server,
        disk,
        workload,
        turns: file.turns.map(Spanned::into_inner),
        messages_expire: file.messages_expire,
        is_strict: file.strict,
        faults: Vec::new(),
        breaks,
    };
    let faults = file.fault.iter().map(|table| check.fault(table, &scenario));
    scenario.faults = faults.collect::<Result<_, _>>()?;
    check.absences(&file.fault)?;
    let (lives, needed) = (
        scenario.workload.settings.message_ttl_secs,
        scenario.message_ttl_secs_min(),
    );
    if !scenario.messages_expire && lives < needed {
        let message = format!(
            "is {lives}, but the drain may end only {needed} s after the start: a message must live as \
             long, or nobody can tell expired from lost, unless `messages_expire` says that this is meant"
        );
        return Err(check.within(name.span(), "message_ttl_secs", message));
    }
    Ok(scenario)
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

    fn pair<T: PartialOrd + std::fmt::Debug + Copy>(
        &self,
        pair: &Spanned<[T; 2]>,
        min: T,
        max: T,
    ) -> Result<(T, T), DocumentError> {
        let [from, to] = *pair.get_ref();
        if min <= from && from <= to && to <= max {
            return Ok((from, to));
        }
        let message =
            format!("is [{from:?}, {to:?}], expected [at least, at most] from {min:?} to {max:?}");
        Err(self.document.error(Some(pair.span()), message))
    }

    fn share(&self, share: &Spanned<f64>) -> Result<f64, DocumentError> {
        if (0.0..=1.0).contains(share.get_ref()) {
            return Ok(*share.get_ref());
        }
        let message = format!("is {}, expected 0 to 1", share.get_ref());
        Err(self.document.error(Some(share.span()), message))
    }

    fn link(&self, table: &LinkTable) -> Result<Link, DocumentError> {
        let mut link = Link::default();
        if let Some(latency) = &table.latency_us {
            // Time passes only on links and in pauses: without any, a run would never end.
            link.latency_us = self.pair(latency, 1, MICROS_MAX)?;
        }
        if let Some(share) = &table.spike_share {
            link.spike_share = self.share(share)?;
        }
        if let Some(spike) = &table.spike_us {
            self.range(spike, 0, MICROS_MAX)?;
            link.spike_us = *spike.get_ref();
        }
        if let Some(rate) = &table.bytes_a_second {
            if *rate.get_ref() != 0 {
                self.range(rate, BYTES_A_SECOND_MIN, u64::MAX)?;
            }
            link.bytes_a_second = *rate.get_ref();
        }
        if let Some(share) = &table.spike_share
            && link.spike_share > 0.0
            && link.spike_us == 0
        {
            let message = "needs `spike_us`: how much longer so many take";
            return Err(self.document.error(Some(share.span()), message));
        }
        Ok(link)
    }

    /// A connection and an answer each take a round trip.
    fn patience(&self, millis: &Spanned<u64>, link: Link) -> Result<(), DocumentError> {
        let round_trip_ms = link.longest_us().saturating_mul(2).div_ceil(1_000);
        if *millis.get_ref() > round_trip_ms {
            return Ok(());
        }
        let message = format!(
            "is {}, but a round trip may take {round_trip_ms} ms: nothing would ever be answered",
            millis.get_ref()
        );
        Err(self.document.error(Some(millis.span()), message))
    }

    fn servers(&self, table: &ServerTable) -> Result<Servers, DocumentError> {
        let mut servers = Servers::default();
        if let Some(count) = &table.count {
            self.range(count, 1, SERVERS_MAX)?;
            servers.count = u32::try_from(*count.get_ref()).unwrap_or(1);
        }
        if let Some(cores) = &table.cores {
            self.range(cores, 1, CORES_MAX)?;
            servers.cores = u32::try_from(*cores.get_ref()).unwrap_or(1);
        }
        if let Some(entry) = &table.entry_ns {
            self.range(entry, 0, ENTRY_NS_MAX)?;
            servers.entry_ns = *entry.get_ref();
        }
        if let Some(service) = &table.service_us {
            servers.service_us = self.pair(service, 0, MICROS_MAX)?;
        }
        if let Some(offset) = &table.offset_ms {
            servers.offset_ms = self.pair(offset, -OFFSET_MS_MAX, OFFSET_MS_MAX)?;
        }
        if let Some(drift) = &table.drift_ppm {
            servers.drift_ppm = self.pair(drift, -DRIFT_PPM_MAX, DRIFT_PPM_MAX)?;
        }
        servers.excuses_jumps = table.excuses_jumps.unwrap_or(true);
        Ok(servers)
    }

    fn disk(&self, table: &DiskTable) -> Result<DiskTimes, DocumentError> {
        let mut disk = DiskTimes::default();
        if let Some(write) = &table.write_us {
            disk.write_us = self.pair(write, 0, MICROS_MAX)?;
        }
        if let Some(sync) = &table.sync_us {
            disk.sync_us = self.pair(sync, 0, MICROS_MAX)?;
        }
        Ok(disk)
    }

    fn rule(&self, rule: &Spanned<String>) -> Result<String, DocumentError> {
        let name = rule.get_ref();
        if RULES.iter().any(|known| known.name == name) {
            return Ok(name.clone());
        }
        let near = suggestion(name, RULES.iter().map(|known| known.name));
        let message = format!("there is no rule `{name}`{near}, see `nanshe list rules`");
        Err(self.document.error(Some(rule.span()), message))
    }

    fn name(&self, name: &Spanned<String>) -> Result<(), DocumentError> {
        let kebab = |word: &str| {
            let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            let is_part = |part: &str| !part.is_empty() && part.chars().all(is_letter);
            word.split('-').all(is_part)
        };
        let halves = name.get_ref().split_once('/');
        if halves.is_some_and(|(group, what)| kebab(group) && kebab(what)) {
            return Ok(());
        }
        let message = format!(
            "`{}` is not a kebab-case path like `delivery/lost-answer`",
            name.get_ref()
        );
        Err(self.document.error(Some(name.span()), message))
    }

    /// An error at `key`, somewhere behind the head of a table at `span`.
    fn within(&self, span: Range<usize>, key: &str, message: String) -> DocumentError {
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

    fn fault(&self, table: &FaultTable, scenario: &Scenario) -> Result<Fault, DocumentError> {
        let work = Seconds::of(scenario.work);
        let from = self.pair(&table.from_secs, Seconds::ZERO, work)?;
        let lasts = self.pair(&table.for_secs, Seconds::ZERO, work)?;
        let end = from.1.and(lasts.1);
        if end > work {
            let message = format!(
                "the fault may end after {end} s, but faults end with the work, after {work} s"
            );
            return Err(self.document.error(Some(table.for_secs.span()), message));
        }
        let spans = |(min, max): (Seconds, Seconds)| (min.span(), max.span());
        Ok(Fault {
            kind: Keys { check: self, table }.kind(scenario)?,
            from: spans(from),
            lasts: spans(lasts),
        })
    }

    /// Who is not there cannot go away: such faults of one node must not overlap, whatever is drawn.
    fn absences(&self, tables: &[FaultTable]) -> Result<(), DocumentError> {
        let away: Vec<&FaultTable> = tables
            .iter()
            .filter(|table| table.kind.get_ref().takes_the_node_away())
            .collect();
        let span = |table: &FaultTable| {
            let [from, to] = *table.from_secs.get_ref();
            (from, to.and(table.for_secs.get_ref()[1]))
        };
        let name = |table: &FaultTable| table.node.as_ref().map(|node| node.get_ref().clone());
        for (number, one) in away.iter().enumerate() {
            for other in &away[number + 1..] {
                let (one_span, other_span) = (span(one), span(other));
                let overlap = one_span.0 <= other_span.1 && other_span.0 <= one_span.1;
                if overlap && name(one) == name(other) {
                    let kind = one.kind.get_ref().as_str();
                    let message = format!("may begin while the {kind} of that node is in force");
                    return Err(self.document.error(Some(other.from_secs.span()), message));
                }
            }
        }
        Ok(())
    }
}

/// The keys of one fault: those that its kind has, and no others.
struct Keys<'a> {
    check: &'a Check<'a>,
    table: &'a FaultTable,
}

impl Keys<'_> {
    fn kind(&self, scenario: &Scenario) -> Result<FaultKind, DocumentError> {
        let word = *self.table.kind.get_ref();
        let (own, optional): (&[&str], &[&str]) = match word {
            Word::LoseRequests | Word::LoseAnswers => (&["share", "how"], &[]),
            Word::Duplicate => (&["share"], &[]),
            Word::Partition => (&["node"], &["direction"]),
            Word::SlowLink | Word::SlowDisk | Word::Busy => (&["node", "factor"], &[]),
            Word::ClockJump => (&["node", "by_ms"], &[]),
            Word::ReadErrors => (&["node", "share"], &[]),
            Word::BlackHole
            | Word::Reset
            | Word::Kill
            | Word::Crash
            | Word::Pause
            | Word::DiskFull => (&["node"], &[]),
        };
        self.exactly(own, optional)?;
        let node = || self.node(scenario);
        Ok(match word {
            Word::LoseRequests => FaultKind::LoseRequests {
                share: self.share()?,
                how: self.how(),
            },
            Word::LoseAnswers => FaultKind::LoseAnswers {
                share: self.share()?,
                how: self.how(),
            },
            Word::Duplicate => FaultKind::Duplicate {
                share: self.share()?,
            },
            Word::Partition => FaultKind::Partition {
                node: node()?,
                direction: self
                    .table
                    .direction
                    .as_ref()
                    .map_or(Direction::Both, |direction| *direction.get_ref()),
            },
            Word::BlackHole => FaultKind::BlackHole { node: node()? },
            Word::Reset => FaultKind::Reset { node: node()? },
            Word::SlowLink => FaultKind::SlowLink {
                node: node()?,
                factor: self.factor()?,
            },
            Word::Kill => FaultKind::Kill { node: node()? },
            Word::Crash => FaultKind::Crash { node: node()? },
            Word::Pause => FaultKind::Pause { node: node()? },
            Word::ClockJump => FaultKind::ClockJump {
                node: node()?,
                by_ms: self.jump()?,
            },
            Word::DiskFull => FaultKind::DiskFull { node: node()? },
            Word::SlowDisk => FaultKind::SlowDisk {
                node: node()?,
                factor: self.factor()?,
            },
            Word::ReadErrors => FaultKind::ReadErrors {
                node: node()?,
                share: self.share()?,
            },
            Word::Busy => FaultKind::Busy {
                node: self.busy_node(scenario)?,
                factor: self.factor()?,
            },
        })
    }

    fn jump(&self) -> Result<(i64, i64), DocumentError> {
        let Some(by) = &self.table.by_ms else {
            return Ok((0, 0));
        };
        if *by.get_ref() == [0, 0] {
            let message = "is [0, 0], expected a jump";
            return Err(self.check.document.error(Some(by.span()), message));
        }
        self.check.pair(by, -OFFSET_MS_MAX, OFFSET_MS_MAX)
    }

    /// The node whose processor is busy, if anything costs it something.
    fn busy_node(&self, scenario: &Scenario) -> Result<String, DocumentError> {
        let server = scenario.server;
        if server.service_us.1 == 0 && server.entry_ns == 0 {
            let message = "nothing costs a processor anything, and many times nothing is nothing: \
                           say `service_us` in `[server]`";
            let kind = self.table.kind.span();
            return Err(self.check.document.error(Some(kind), message));
        }
        self.node(scenario)
    }

    /// Every key of `own` is there, and no other but those of `optional`.
    fn exactly(&self, own: &[&str], optional: &[&str]) -> Result<(), DocumentError> {
        let table = self.table;
        let keys: [(&str, Option<Range<usize>>); 6] = [
            ("node", table.node.as_ref().map(Spanned::span)),
            ("share", table.share.as_ref().map(Spanned::span)),
            ("how", table.how.as_ref().map(Spanned::span)),
            ("direction", table.direction.as_ref().map(Spanned::span)),
            ("factor", table.factor.as_ref().map(Spanned::span)),
            ("by_ms", table.by_ms.as_ref().map(Spanned::span)),
        ];
        let word = table.kind.get_ref().as_str();
        let document = self.check.document;
        for (key, span) in keys {
            match span {
                None if own.contains(&key) => {
                    let message = format!("`{word}` needs `{key}`");
                    return Err(document.error(Some(table.kind.span()), message));
                }
                Some(span) if !own.contains(&key) && !optional.contains(&key) => {
                    let message = format!("`{word}` has no `{key}`");
                    return Err(document.error(Some(span), message));
                }
                None | Some(_) => {}
            }
        }
        Ok(())
    }

    fn share(&self) -> Result<f64, DocumentError> {
        let Some(share) = &self.table.share else {
            return Ok(0.0);
        };
        if *share.get_ref() == 0.0 {
            let message = "is 0, expected more, and 1 at most: nothing would go wrong";
            return Err(self.check.document.error(Some(share.span()), message));
        }
        self.check.share(share)
    }

    fn how(&self) -> Loss {
        self.table
            .how
            .as_ref()
            .map_or(Loss::Reset, |how| *how.get_ref())
    }

    fn factor(&self) -> Result<u32, DocumentError> {
        let Some(factor) = &self.table.factor else {
            return Ok(1);
        };
        self.check.range(factor, 2, FACTOR_MAX)?;
        Ok(u32::try_from(*factor.get_ref()).unwrap_or(1))
    }

    fn node(&self, scenario: &Scenario) -> Result<String, DocumentError> {
        let Some(node) = &self.table.node else {
            return Ok(String::new());
        };
        let word = *self.table.kind.get_ref();
        let mut names = scenario.server_names();
        if !word.is_for_servers() {
            names.extend(scenario.client_names());
        }
        if names.contains(node.get_ref()) {
            return Ok(node.get_ref().clone());
        }
        let near = suggestion(node.get_ref(), names.iter().map(String::as_str));
        let clients = match word.is_for_servers() {
            true => String::new(),
            false => format!(
                " or client-0 to client-{}",
                scenario.workload.settings.clients - 1
            ),
        };
        let message = format!(
            "there is no node `{}`{near} that `{}` can strike, expected server-0 to server-{}{clients}",
            node.get_ref(),
            word.as_str(),
            scenario.server.count - 1,
        );
        Err(self.check.document.error(Some(node.span()), message))
    }
}
