//! A workload with its settings: a plain value, read from a TOML table or by its name alone.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Action, Kind, Place, WORKLOADS};
use crate::document::{self, Document, DocumentError, suggestion};
use crate::history::Operation;

/// How much, how often, how long. What a workload has no use for is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Number of clients.
    pub clients: u32,
    /// Queues that they share.
    pub queues: u32,
    /// Most messages in one post, claim, pop or page, at most 20.
    pub batch_max: u64,
    /// Longest time between two turns of one client.
    pub pause_ms_max: u64,
    /// The lifetime of a message.
    pub message_ttl_secs: u64,
    /// The lease of a claim.
    pub claim_ttl_secs: u64,
    /// The grace of a claim.
    pub claim_grace_secs: u64,
    /// The longest delay of a message.
    pub delay_secs_max: u64,
    /// Deliveries before a message becomes a dead letter.
    pub max_claim_count: u64,
    /// How often each action is drawn, in relation to the others; 0 is never.
    pub mix: BTreeMap<String, u32>,
    /// Where a subscriber listens, for those that need one. The run says it, not the user.
    #[serde(skip)]
    pub sink: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clients: 8,
            queues: 2,
            batch_max: 5,
            pause_ms_max: 20,
            message_ttl_secs: 14_400,
            claim_ttl_secs: 60,
            claim_grace_secs: 60,
            delay_secs_max: 5,
            max_claim_count: 2,
            mix: BTreeMap::new(),
            sink: None,
        }
    }
}

/// A name or a setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {message}")]
pub struct WorkloadError {
    key: String,
    message: String,
}

/// What the clients of a run do.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Which.
    pub kind: Kind,
    /// How.
    pub settings: Settings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    workload: BTreeMap<Spanned<String>, Table>,
}

/// A table `[workload.NAME]` as it stands in its document.
pub type Table = BTreeMap<Spanned<String>, toml::Value>;

impl Workload {
    /// The workload of that name, with its defaults.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn named(name: &str) -> Result<Self, WorkloadError> {
        let kind = WORKLOADS.iter().find(|kind| kind.name == name);
        let Some(kind) = kind else {
            let near = suggestion(name, WORKLOADS.iter().map(|kind| kind.name));
            return Err(WorkloadError {
                key: name.to_owned(),
                message: format!("there is no such workload{near}, see `nanshe list workloads`"),
            });
        };
        let mut settings = Settings::default();
        (kind.tune)(&mut settings);
        let kind = *kind;
        Ok(Self { kind, settings })
    }

    /// The workload that the user named: by its name, or by a file with a table `[workload.NAME]`.
    ///
    /// # Errors
    ///
    /// With file, line and key as far as there are any.
    pub fn load(text: &str) -> Result<Self, DocumentError> {
        let is_file = text.contains(['/', '.']);
        if is_file {
            let read = document::read(text)?;
            let document = Document {
                file: text,
                text: &read,
            };
            return Self::parse(document);
        }
        Self::named(text).map_err(|WorkloadError { message, .. }| DocumentError {
            file: "--workload".to_owned(),
            line: None,
            key: Some(text.to_owned()),
            message,
        })
    }

    /// Parses a file that has one table `[workload.NAME]`.
    ///
    /// # Errors
    ///
    /// With file, line and key.
    pub fn parse(document: Document<'_>) -> Result<Self, DocumentError> {
        let file: File = document.parse()?;
        let mut tables = file.workload.into_iter();
        let (Some((name, table)), None) = (tables.next(), tables.next()) else {
            let message = "expected one table `[workload.NAME]`";
            return Err(document.error(None, message));
        };
        Self::of_table(document, (name, table))
    }

    /// Reads the table `[workload.NAME]` of a document that may have more than that.
    ///
    /// # Errors
    ///
    /// With file, line and key.
    pub fn of_table(
        document: Document<'_>,
        (name, table): (Spanned<String>, Table),
    ) -> Result<Self, DocumentError> {
        let refuse = |place: Range<usize>, key: &str, message: String| DocumentError {
            key: Some(key.to_owned()),
            ..document.error(Some(place), message)
        };
        let default = Self::named(name.get_ref())
            .map_err(|WorkloadError { key, message }| refuse(name.span(), &key, message))?;
        // What the file leaves out is as the workload has it, not as workloads have it in general.
        let mut whole = toml::Table::try_from(&default.settings)
            .expect("invariant: settings are a table of plain values");
        let mut settings = default.settings.clone();
        for (key, value) in &table {
            whole.insert(key.get_ref().clone(), value.clone());
            // One after the other: an error does not tell which it is about.
            settings = whole.clone().try_into().map_err(|error: toml::de::Error| {
                refuse(key.span(), key.get_ref(), document::told(error.message()))
            })?;
        }
        let workload = Self {
            settings,
            ..default
        };
        workload
            .validate()
            .map_err(|WorkloadError { key, message }| {
                refuse(place_of(document.text, &table, &key), &key, message)
            })?;
        Ok(workload)
    }

    /// Whether its settings make sense.
    ///
    /// # Errors
    ///
    /// The first that does not, and what would.
    pub fn validate(&self) -> Result<(), WorkloadError> {
        let settings = &self.settings;
        let ranges: [(&str, u64, RangeInclusive<u64>); 9] = [
            ("clients", settings.clients.into(), 1..=10_000),
            ("queues", settings.queues.into(), 1..=1_000),
            ("batch_max", settings.batch_max, 1..=20),
            ("pause_ms_max", settings.pause_ms_max, 0..=3_600_000),
            (
                "message_ttl_secs",
                settings.message_ttl_secs,
                60..=1_209_600,
            ),
            ("claim_ttl_secs", settings.claim_ttl_secs, 60..=43_200),
            ("claim_grace_secs", settings.claim_grace_secs, 60..=43_200),
            ("delay_secs_max", settings.delay_secs_max, 0..=900),
            ("max_claim_count", settings.max_claim_count, 1..=10),
        ];
        for (key, value, range) in ranges {
            if !range.contains(&value) {
                let (from, to) = range.into_inner();
                return Err(WorkloadError {
                    key: key.to_owned(),
                    message: format!("is {value}, expected {from} to {to}"),
                });
            }
        }
        let words = || self.kind.actions.iter().map(|action| action.word);
        for key in settings.mix.keys() {
            if !words().any(|word| word == key) {
                let near = suggestion(key, words());
                let words: Vec<&str> = words().collect();
                let message = format!("is no action{near}, expected {}", words.join(", "));
                let key = format!("mix.{key}");
                return Err(WorkloadError { key, message });
            }
        }
        if self.actions().iter().all(|(weight, _)| *weight == 0) {
            return Err(WorkloadError {
                key: "mix".to_owned(),
                message: "never draws any action".to_owned(),
            });
        }
        Ok(())
    }

    /// Its actions, with the weight of each.
    pub fn actions(&self) -> Vec<(u32, Action)> {
        let weight = |action: &Action| {
            let told = self.settings.mix.get(action.word);
            (*told.unwrap_or(&action.weight), *action)
        };
        self.kind.actions.iter().map(weight).collect()
    }

    /// Where its messages are, in the order of the drain.
    pub fn places(&self) -> Vec<Place> {
        (self.kind.places)(&self.settings)
    }

    /// Whether it needs somebody who listens for pushes, and whose URL is then in [`Settings::sink`].
    pub fn needs_sink(&self) -> bool {
        // Whether it subscribes shows only once there is something to subscribe with.
        let mut settings = self.settings.clone();
        settings.sink = Some("http://nowhere/".to_owned());
        let subscribes =
            |(_, operation): &(String, Operation)| matches!(operation, Operation::Subscribe { .. });
        (self.kind.set_up)(&settings).iter().any(subscribes)
    }

    /// What is done before its clients come, each as a tenant.
    pub fn set_up(&self) -> Vec<(String, Operation)> {
        (self.kind.set_up)(&self.settings)
    }
}

/// Where the table sets `key`, be it `mix.ACTION`.
fn place_of(text: &str, table: &Table, key: &str) -> Range<usize> {
    let (outer, inner) = key.split_once('.').unwrap_or((key, ""));
    let set = table.keys().find(|set| set.get_ref() == outer);
    let Some(set) = set else {
        return 0..0;
    };
    // Inside of `mix` nothing tells where it stands: it is the first of that name.
    let within = text
        .get(set.span().start..)
        .and_then(|rest| rest.find(inner));
    let at = set.span().start + within.unwrap_or(0);
    at..at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Workload, String> {
        let file = "w.toml";
        Workload::parse(Document { file, text }).map_err(|error| error.to_string())
    }

    #[test]
    fn every_workload_makes_sense_by_its_name_alone_and_has_somewhere_to_drain() {
        for kind in WORKLOADS {
            let workload = Workload::named(kind.name).unwrap();
            workload.validate().unwrap();
            assert!(!workload.places().is_empty(), "{}", kind.name);
            let again = parse(&format!("[workload.{}]\n", kind.name)).unwrap();
            assert_eq!(again.settings, workload.settings, "{}", kind.name);
        }
    }

    #[test]
    fn what_a_file_says_wins_over_what_the_workload_is_by_default() {
        let workload =
            parse("[workload.pop-storm]\nclients = 3\nmix = { post = 1, pop = 0 }\n").unwrap();
        assert_eq!(workload.settings.clients, 3);
        let weights: Vec<_> = workload
            .actions()
            .iter()
            .map(|(weight, _)| *weight)
            .collect();
        assert_eq!(weights[..2], [1, 0]);
    }

    #[test]
    fn bad_workload_is_told_with_file_line_and_key() {
        let error = |text| parse(text).unwrap_err();
        assert_eq!(
            error("[workload.pop-strom]\n"),
            "w.toml:1: `pop-strom`: there is no such workload (did you mean `pop-storm`?), see \
             `nanshe list workloads`"
        );
        assert_eq!(
            error("[workload.pop-storm]\nbatch_max = 21\n"),
            "w.toml:2: `batch_max`: is 21, expected 1 to 20"
        );
        let unknown = error("[workload.pop-storm]\nqueues = 1\nclaim_ttl = 9\n");
        assert!(
            unknown.starts_with("w.toml:3: `claim_ttl`: unknown field `claim_ttl`, expected"),
            "{unknown}"
        );
        let action = error("[workload.pop-storm]\nmix = { poop = 1 }\n");
        assert!(
            action.starts_with("w.toml:2: `mix.poop`: is no action (did you mean `pop`?)"),
            "{action}"
        );
        let action = error("[workload.pop-storm]\nmix.post = 1\nmix.poop = 1\n");
        assert!(action.starts_with("w.toml:3: `mix.poop`: "), "{action}");
        let many = error("[workload.pop-storm]\nqueues = 1\nclients = \"3\"\n");
        assert_eq!(
            many,
            "w.toml:3: `clients`: invalid type: string \"3\", expected u32"
        );
        let never = error("[workload.pop-storm]\nmix = { post = 0, pop = 0, list = 0 }\n");
        assert_eq!(never, "w.toml:2: `mix`: never draws any action");
    }
}
