//! What a target file lets a stress run do to an implementation, by commands of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::document::{Document, DocumentError};

#[cfg(feature = "http")]
pub use self::run::{OrderError, Ordered};

#[cfg(feature = "http")]
mod run;

/// How long a command may take unless the file says so, in seconds.
const COMMAND_SECS_DEFAULT: u64 = 60;

/// The table `[stress]` of a target file, checked.
#[derive(Clone, Debug)]
pub struct Control {
    /// How many seconds pass for the implementation in each.
    pub time_scale: u32,
    /// The shortest lease that it grants, if that is not a minute.
    pub claim_ttl_secs_min: Option<u64>,
    /// Its processes.
    pub processes: Vec<Controlled>,
    /// Faults of its own.
    pub faults: Vec<Pair>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            time_scale: 1,
            claim_ttl_secs_min: None,
            processes: Vec::new(),
            faults: Vec::new(),
        }
    }
}

/// A process, or several that live and die together, and what can be done to it.
#[derive(Clone, Debug)]
pub struct Controlled {
    /// What schedules and histories call it.
    pub name: String,
    /// Ends it at once, as `kill -9` does; and starts it again.
    pub kill_and_start: Option<(Order, Order)>,
    /// Stops it as it is, as `kill -STOP` does; and lets it continue.
    pub stop_and_continue: Option<(Order, Order)>,
    /// Starts it anew in order; back when it serves again.
    pub restart: Option<Order>,
}

/// A fault that only this implementation knows.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What `--faults` calls it.
    pub name: String,
    /// Begins it.
    pub inject: Order,
    /// Ends it.
    pub heal: Order,
}

/// A command, which ends by itself, with exit code 0 if it did what it should. A line `ready URL` on its
/// standard output says that the target is there from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it is run: the folder of the target file.
    pub folder: PathBuf,
    /// How long it may take.
    pub within: Duration,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlTables {
    time_scale: Option<Spanned<u32>>,
    claim_ttl_secs_min: Option<Spanned<u64>>,
    command_secs_max: Option<Spanned<u64>>,
    #[serde(default)]
    process: Vec<ProcessTable>,
    #[serde(default)]
    fault: Vec<FaultTable>,
}

type Command = Spanned<Vec<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProcessTable {
    name: Spanned<String>,
    kill: Option<Command>,
    start: Option<Command>,
    stop: Option<Command>,
    #[serde(rename = "continue")]
    go_on: Option<Command>,
    restart: Option<Command>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultTable {
    name: Spanned<String>,
    inject: Command,
    heal: Command,
}

impl ControlTables {
    /// The tables, if they make sense.
    pub(super) fn check(
        &self,
        document: Document<'_>,
        folder: &Path,
    ) -> Result<Control, DocumentError> {
        let within = self.command_secs_max.as_ref();
        let check = Check {
            document,
            folder,
            within: Duration::from_secs(
                within.map_or(COMMAND_SECS_DEFAULT, |secs| *secs.get_ref()),
            ),
        };
        check.range(self.time_scale.as_ref(), 1..=100_000)?;
        check.range(self.claim_ttl_secs_min.as_ref(), 1..=43_200)?;
        check.range(within, 1..=3_600)?;
        let processes = self.process.iter().map(|table| check.process(table));
        let processes = processes.collect::<Result<Vec<_>, _>>()?;
        let faults = self.fault.iter().map(|table| check.fault(table));
        let faults = faults.collect::<Result<Vec<_>, _>>()?;
        let names = self.process.iter().map(|table| &table.name);
        check.distinct(names)?;
        check.distinct(self.fault.iter().map(|table| &table.name))?;
        Ok(Control {
            time_scale: self.time_scale.as_ref().map_or(1, |scale| *scale.get_ref()),
            claim_ttl_secs_min: self.claim_ttl_secs_min.as_ref().map(|secs| *secs.get_ref()),
            processes,
            faults,
        })
    }
}

struct Check<'a> {
    document: Document<'a>,
    folder: &'a Path,
    within: Duration,
}

impl Check<'_> {
    fn range<T: Copy + PartialOrd + std::fmt::Display>(
        &self,
        value: Option<&Spanned<T>>,
        range: std::ops::RangeInclusive<T>,
    ) -> Result<(), DocumentError> {
        let Some(value) = value.filter(|value| !range.contains(value.get_ref())) else {
            return Ok(());
        };
        let (from, to) = (range.start(), range.end());
        let message = format!("is {}, expected {from} to {to}", value.get_ref());
        Err(self.document.error(Some(value.span()), message))
    }

    fn order(&self, command: &Command) -> Result<Order, DocumentError> {
        if command.get_ref().is_empty() {
            let message = "is empty, expected a program and its arguments";
            return Err(self.document.error(Some(command.span()), message));
        }
        Ok(Order {
            command: command.get_ref().clone(),
            folder: self.folder.to_owned(),
            within: self.within,
        })
    }

    /// Two commands that only make sense together.
    fn both(
        &self,
        (one, other): (Option<&Command>, Option<&Command>),
        (one_key, other_key): (&str, &str),
    ) -> Result<Option<(Order, Order)>, DocumentError> {
        let alone = |command: &Command, missing: &str| {
            let message = format!("needs `{missing}` as well, or the fault would never end");
            Err(self.document.error(Some(command.span()), message))
        };
        match (one, other) {
            (None, None) => Ok(None),
            (Some(one), Some(other)) => Ok(Some((self.order(one)?, self.order(other)?))),
            (Some(one), None) => alone(one, other_key),
            (None, Some(other)) => alone(other, one_key),
        }
    }

    fn process(&self, table: &ProcessTable) -> Result<Controlled, DocumentError> {
        let kill = (table.kill.as_ref(), table.start.as_ref());
        let stop = (table.stop.as_ref(), table.go_on.as_ref());
        let restart = table.restart.as_ref().map(|command| self.order(command));
        let process = Controlled {
            name: self.name(&table.name)?,
            kill_and_start: self.both(kill, ("kill", "start"))?,
            stop_and_continue: self.both(stop, ("stop", "continue"))?,
            restart: restart.transpose()?,
        };
        let has_any = process.kill_and_start.is_some()
            || process.stop_and_continue.is_some()
            || process.restart.is_some();
        if !has_any {
            let message = "nothing can be done to it, expected `kill` and `start`, `stop` and \
                           `continue`, or `restart`";
            return Err(self.document.error(Some(table.name.span()), message));
        }
        Ok(process)
    }

    fn fault(&self, table: &FaultTable) -> Result<Pair, DocumentError> {
        Ok(Pair {
            name: self.name(&table.name)?,
            inject: self.order(&table.inject)?,
            heal: self.order(&table.heal)?,
        })
    }

    fn name(&self, name: &Spanned<String>) -> Result<String, DocumentError> {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let text = name.get_ref();
        if text.is_empty() || !text.chars().all(is_word) {
            let message = "is no name, expected small letters, digits and dashes";
            return Err(self.document.error(Some(name.span()), message));
        }
        Ok(text.clone())
    }

    fn distinct<'a>(
        &self,
        names: impl Iterator<Item = &'a Spanned<String>>,
    ) -> Result<(), DocumentError> {
        let mut known = std::collections::BTreeSet::new();
        for name in names {
            if !known.insert(name.get_ref()) {
                let message = "is there a second time";
                return Err(self.document.error(Some(name.span()), message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::document::Document;
    use crate::target::Description;

    fn control(text: &str) -> Result<super::Control, String> {
        let text = format!("name = 'x'\nurl = 'http://h'\n[stress]\n{text}");
        let document = Document {
            file: "t.toml",
            text: &text,
        };
        let target = Description::of_file(document, "folder".as_ref());
        target
            .map(|target| target.control)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn processes_and_faults_have_commands_that_run_in_the_folder_of_the_file() {
        let control = control(
            "time_scale = 60\nclaim_ttl_secs_min = 5\ncommand_secs_max = 9\n\
             [[stress.process]]\nname = 'store'\nstop = ['./s', 'a']\ncontinue = ['./c']\n\
             [[stress.fault]]\nname = 'slow-disk'\ninject = ['./i']\nheal = ['./h']\n",
        );
        let control = control.unwrap();
        assert_eq!(
            (control.time_scale, control.claim_ttl_secs_min),
            (60, Some(5))
        );
        let (stop, _) = control.processes[0].stop_and_continue.clone().unwrap();
        assert_eq!(stop.command, ["./s", "a"]);
        assert_eq!(stop.folder, std::path::Path::new("folder"));
        assert_eq!(stop.within, std::time::Duration::from_secs(9));
        assert_eq!(control.faults[0].name, "slow-disk");
    }

    #[test]
    fn control_that_cannot_work_is_told_with_file_line_and_key() {
        let error = |text: &str| control(text).unwrap_err();
        assert_eq!(
            error("time_scale = 0\n"),
            "t.toml:4: `time_scale`: is 0, expected 1 to 100000"
        );
        assert_eq!(
            error("[[stress.process]]\nname = 'a'\nkill = ['k']\n"),
            "t.toml:6: `kill`: needs `start` as well, or the fault would never end"
        );
        assert_eq!(
            error("[[stress.process]]\nname = 'a'\n"),
            "t.toml:5: `name`: nothing can be done to it, expected `kill` and `start`, `stop` and \
             `continue`, or `restart`"
        );
        assert_eq!(
            error("[[stress.fault]]\nname = 'a'\ninject = []\nheal = ['h']\n"),
            "t.toml:6: `inject`: is empty, expected a program and its arguments"
        );
        let twice = "[[stress.fault]]\nname = 'a'\ninject = ['i']\nheal = ['h']\n";
        let twice = twice.repeat(2);
        assert_eq!(error(&twice), "t.toml:9: `name`: is there a second time");
        assert_eq!(
            error("[[stress.fault]]\nname = 'A b'\ninject = ['i']\nheal = ['h']\n"),
            "t.toml:5: `name`: is no name, expected small letters, digits and dashes"
        );
        assert!(error("[[stress.fault]]\nname = 'a'\ninject = ['i']\n").contains("`heal`"));
    }
}
