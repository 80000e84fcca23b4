//! The typed form of a scenario: who takes part, what they do, what goes wrong, what is expected.
//!
//! `scenarios/README.md` teaches how to write one. Every error names file, line and key.

use std::collections::BTreeSet;
use std::time::Duration;

use nanshe_conformance::document::{self, Document, DocumentError};
use nanshe_conformance::environment::nanos;
use nanshe_conformance::history::{FORMAT, Header, OrderProfile, Profile, VERSION};
use nanshe_conformance::workload::Workload;

pub use self::fault::{Direction, Fault, FaultKind, Loss, Word};

mod fault;
mod file;
mod seconds;
mod write;

/// Time in which what is on its way arrives when nothing holds it up any more.
pub const SETTLE: Duration = Duration::from_secs(30);

/// What an implementation behind a store may need for one operation.
const STORE_ROUND_TRIPS: Duration = Duration::from_millis(30);

/// No request or answer of a workload is longer, in bytes.
const REQUEST_BYTES_MAX: u64 = 16 * 1024;

/// A failure, written down.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Kebab-case path that reads as what goes wrong: `delivery/lost-acknowledgement`.
    pub name: String,
    /// The story, in a few sentences.
    pub about: String,
    /// What is run as the server, unless the command line says otherwise.
    pub implementation: String,
    /// The seed that shows it, if it takes a certain one.
    pub seed: Option<u64>,
    /// How long clients work and faults strike.
    pub work: Duration,
    /// How long a client waits for a connection, and for an answer.
    pub patience: Duration,
    /// The links.
    pub link: Link,
    /// The servers.
    pub server: Servers,
    /// Their disks.
    pub disk: DiskTimes,
    /// What the clients do.
    pub workload: Workload,
    /// Turns that each client takes at most.
    pub turns: Option<u64>,
    /// Whether messages may expire before they are drained: nobody can tell expired from lost then.
    pub messages_expire: bool,
    /// What is held to be promised beyond the least.
    pub is_strict: bool,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// The rules that its implementation breaks; none: it keeps every promise.
    pub breaks: BTreeSet<String>,
}

/// What all links have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// The shortest and the longest time on a link, in microseconds.
    pub latency_us: (u64, u64),
    /// The share of what is sent that takes longer, 0 to 1.
    pub spike_share: f64,
    /// By how much, in microseconds.
    pub spike_us: u64,
    /// Bytes in a second through one connection; 0: any number.
    pub bytes_a_second: u64,
}

/// The servers of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Servers {
    /// How many.
    pub count: u32,
    /// How many requests a server's processor works on at once.
    pub cores: u32,
    /// What a request costs its server's processor, in microseconds: least and most.
    pub service_us: (u64, u64),
    /// What it costs there to examine an entry of what the implementation keeps, in nanoseconds.
    pub entry_ns: u64,
    /// How far a server's clock is ahead at the start, in milliseconds: least and most.
    pub offset_ms: (i64, i64),
    /// How much too fast it runs, in millionths: least and most.
    pub drift_ppm: (i64, i64),
    /// Whether what a clock that jumps brings about is excused.
    pub excuses_jumps: bool,
}

/// How fast disks are, in microseconds: shortest and longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskTimes {
    /// A write, or a read.
    pub write_us: (u64, u64),
    /// A sync.
    pub sync_us: (u64, u64),
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency_us: (200, 2_000),
            spike_share: 0.0,
            spike_us: 0,
            bytes_a_second: 0,
        }
    }
}

impl Default for Servers {
    fn default() -> Self {
        Self {
            count: 1,
            cores: 1,
            service_us: (0, 0),
            entry_ns: 0,
            offset_ms: (0, 0),
            drift_ppm: (0, 0),
            excuses_jumps: true,
        }
    }
}

impl Default for DiskTimes {
    fn default() -> Self {
        Self {
            write_us: (20, 100),
            sync_us: (500, 3_000),
        }
    }
}

impl Link {
    /// The longest time that something takes, in microseconds.
    pub fn longest_us(self) -> u64 {
        let spike_us = if self.spike_share > 0.0 {
            self.spike_us
        } else {
            0
        };
        self.latency_us.1.saturating_add(spike_us)
    }
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
        file::parse(document)
    }

    /// The scenario as a file. What is as it would be without being said is left out.
    pub fn to_toml(&self) -> String {
        write::to_toml(self)
    }

    /// How long after its invocation an operation without an answer may still take effect (λ). It may be
    /// held up by every fault in turn, then by a client's patience for a connection and for an answer, and
    /// what is on its way then arrives, on the slowest link that a fault makes.
    pub fn latest_effect(&self) -> Duration {
        let held: Duration = self.faults.iter().map(|fault| fault.lasts.1).sum();
        held.min(self.work) + self.patience * 4 + self.longest_way() + SETTLE
    }

    /// How long what was sent may be on its way, if nothing holds it up.
    fn longest_way(&self) -> Duration {
        let factors = self.faults.iter().filter_map(|fault| {
            let FaultKind::SlowLink { factor, .. } = fault.kind else {
                return None;
            };
            Some(factor)
        });
        let factor = factors.max().unwrap_or(1);
        let sent = match self.link.bytes_a_second {
            0 => Duration::ZERO,
            rate => {
                Duration::from_secs(REQUEST_BYTES_MAX) / u32::try_from(rate).unwrap_or(u32::MAX)
            }
        };
        Duration::from_micros(self.link.longest_us()).saturating_mul(factor) + sent
    }

    /// How wrong the servers' clocks may be over the longest span that a rule looks at, a message's life, a lease with
    /// its grace or a delay (ε): a whole second of granularity, their drift, what lies between two of them, and the
    /// jumps that are excused.
    pub fn slack(&self) -> Duration {
        let alone = self.slack_of_one();
        if self.server.count == 1 {
            return alone;
        }
        // Two that drift apart do so from the beginning: at the end of the run they are as far apart as it is long, and
        // it is longer by twice the slack.
        let (least, most) = self.server.drift_ppm;
        let apart = f64::from(u32::try_from(most.abs_diff(least)).unwrap_or(u32::MAX)) / 1e6;
        let run = self.longest_run_but(Duration::ZERO);
        (alone + run.mul_f64(apart)).div_f64(1.0 - 2.0 * apart)
    }

    /// The same without what two clocks drift apart.
    fn slack_of_one(&self) -> Duration {
        let Servers {
            drift_ppm: (least, most),
            ..
        } = self.server;
        let drift_ppm = least.unsigned_abs().max(most.unsigned_abs());
        let settings = &self.workload.settings;
        let held = settings
            .claim_ttl_secs
            .saturating_add(settings.claim_grace_secs);
        let longest = settings.message_ttl_secs.max(held);
        let longest = longest.max(settings.delay_secs_max);
        let between = match self.server.count {
            1 => 0,
            _ => self.server.offset_ms.1.abs_diff(self.server.offset_ms.0),
        };
        let jumps = self.faults.iter().filter_map(|fault| {
            let (least, most) = fault.kind.jump_ms()?;
            Some(least.unsigned_abs().max(most.unsigned_abs()))
        });
        let jumps: u64 = if self.server.excuses_jumps {
            jumps.sum()
        } else {
            0
        };
        Duration::from_secs(1)
            + Duration::from_micros(longest.saturating_mul(drift_ppm))
            + Duration::from_millis(between + jumps)
    }

    /// How long nothing happens before the drain: until nothing can take effect any more, and every lease
    /// and every delay has ended.
    pub fn quiet(&self) -> Duration {
        self.quiet_but(self.slack())
    }

    /// The same, if that is the slack.
    fn quiet_but(&self, slack: Duration) -> Duration {
        let settings = &self.workload.settings;
        let held = settings.claim_ttl_secs.max(settings.delay_secs_max);
        self.latest_effect() + Duration::from_secs(held) + slack * 2
    }

    /// Where the clients live, in order.
    pub fn client_names(&self) -> Vec<String> {
        (0..self.workload.settings.clients)
            .map(|number| format!("client-{number}"))
            .collect()
    }

    /// Where the servers live, in order.
    pub fn server_names(&self) -> Vec<String> {
        (0..self.server.count)
            .map(|number| format!("server-{number}"))
            .collect()
    }

    /// The tenants, in order.
    pub fn projects(&self) -> Vec<String> {
        let places = self.workload.places();
        let projects: BTreeSet<String> = places.into_iter().map(|(project, _)| project).collect();
        projects.into_iter().collect()
    }

    /// How long messages have to live, in seconds, so that none expires before it is drained.
    pub fn message_ttl_secs_min(&self) -> u64 {
        self.longest_run().as_secs() + 1
    }

    /// An upper bound of the time until the drain has ended.
    fn longest_run(&self) -> Duration {
        self.longest_run_but(self.slack())
    }

    /// The same, if that is the slack.
    fn longest_run_but(&self, slack: Duration) -> Duration {
        let settings = &self.workload.settings;
        let lease = Duration::from_secs(settings.claim_ttl_secs);
        let turns = u32::try_from(settings.batch_max).unwrap_or(20) + 5;
        let pause = Duration::from_millis(settings.pause_ms_max);
        let finish = lease.mul_f64(1.3) + (self.patience * 2 + pause) * turns;
        self.work + finish + self.quiet_but(slack) + self.longest_drain()
    }

    /// An upper bound of the time that a drain takes: it claims and deletes one after the other.
    fn longest_drain(&self) -> Duration {
        let settings = &self.workload.settings;
        let each = Duration::from_micros(self.link.longest_us()) * 4
            + Duration::from_micros(self.server.service_us.1)
            + STORE_ROUND_TRIPS;
        // Nobody posts faster than one batch in half the longest pause, or in a way there and back.
        let pause = Duration::from_micros(settings.pause_ms_max * 500)
            .max(Duration::from_micros(self.link.latency_us.0 * 2))
            .max(Duration::from_micros(100));
        let turns = self.work.as_micros() / pause.as_micros();
        let turns = u64::try_from(turns).unwrap_or(u64::MAX);
        let turns = turns.min(self.turns.unwrap_or(u64::MAX));
        let posts = turns.saturating_mul(settings.clients.into());
        let messages = posts.saturating_mul(settings.batch_max);
        each.saturating_mul(u32::try_from(messages / 2).unwrap_or(u32::MAX))
    }

    /// The head of a history of this scenario.
    pub fn header(&self, target: &str, seed: u64) -> Header {
        let profile = Profile {
            order: if self.is_strict {
                OrderProfile::Strict
            } else {
                OrderProfile::Producer
            },
            strict_stats: self.is_strict,
            pushed_within_ns: Some(nanos(self.latest_effect() + SETTLE)),
            ..Profile::default()
        };
        Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            seed,
            scenario: self.name.clone(),
            target: target.to_owned(),
            slack_ns: nanos(self.slack()),
            latest_effect_ns: Some(nanos(self.latest_effect())),
            profile,
        }
    }
}
