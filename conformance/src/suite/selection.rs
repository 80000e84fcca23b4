//! Which cases run: `--only PATH…`, `--skip PATH…`, `--level LEVEL`, `--suite-version N`, `--shard K/N`.

use std::fmt;
use std::str::FromStr;

use super::{Case, Level, SUITE_VERSION, cases};
use crate::document::suggestion;

/// Which cases run. A path selects the case of that name, or with a chapter's name all of it.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only these; empty: all.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
    /// Only cases that demand at least as much; `None`: all.
    pub level: Option<Level>,
    /// Not those that may wait longer, in seconds; `None`: all.
    pub wait_secs_max: Option<u64>,
    /// Only cases that this version of the suite has; `None`: the newest.
    pub suite_version: Option<u32>,
    /// Only one of several shares; `None`: all.
    pub shard: Option<Shard>,
}

/// One of several shares of the cases, or of seeds, for machines that divide the work. Together they are the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    count: usize,
}

impl Shard {
    /// All there is.
    pub const WHOLE: Self = Self {
        number: 1,
        count: 1,
    };

    /// The `number`-th of `count` shares, from 1; `None` if there is no such share.
    pub fn new(number: usize, count: usize) -> Option<Self> {
        (1..=count)
            .contains(&number)
            .then_some(Self { number, count })
    }

    /// Which one it is, from 1.
    pub fn number(self) -> usize {
        self.number
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.count
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let parse =
            |(number, count): (&str, &str)| Some((number.parse().ok()?, count.parse().ok()?));
        let shard = parts.and_then(parse);
        let shard = shard.and_then(|(number, count)| Self::new(number, count));
        shard.ok_or_else(|| "expected K/N, with K from 1 to N".to_owned())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

/// What a selection selects.
#[derive(Clone, Debug)]
pub struct Selected {
    /// These run, in the order of the suite.
    pub cases: Vec<&'static Case>,
    /// These would, but wait too long.
    pub left_out: Vec<&'static Case>,
    /// These are for other shares.
    pub elsewhere: Vec<&'static Case>,
    /// The version of the suite that they are of.
    pub version: u32,
}

/// A path that names no case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Neither a case nor a chapter.
    #[error("{option}: there is no case or chapter `{path}`{suggestion}, see `nanshe list cases`")]
    NoSuchCase {
        /// The option that named it.
        option: &'static str,
        /// What was named.
        path: String,
        /// The nearest valid word, or where what was meant belongs.
        suggestion: String,
    },
    /// There is no such version of the suite.
    #[error("--suite-version: there is no version {version}, this is {SUITE_VERSION}")]
    NoSuchVersion {
        /// What was asked for.
        version: u32,
    },
    /// The options leave nothing.
    #[error(
        "--only, --skip, --level, --wait-max, --suite-version and --shard leave no case to run"
    )]
    Nothing,
}

impl Selection {
    /// The selected cases.
    ///
    /// # Errors
    ///
    /// If a path names nothing, or nothing is left.
    pub fn select(&self) -> Result<Selected, SelectionError> {
        check("--only", &self.only)?;
        check("--skip", &self.skip)?;
        let version = self.suite_version.unwrap_or(SUITE_VERSION);
        if !(1..=SUITE_VERSION).contains(&version) {
            return Err(SelectionError::NoSuchVersion { version });
        }
        let selected: Vec<&Case> = cases()
            .filter(|case| case.since <= version)
            .filter(|case| self.only.is_empty() || self.only.iter().any(|path| names(path, case)))
            .filter(|case| !self.skip.iter().any(|path| names(path, case)))
            .filter(|case| self.level.is_none_or(|level| case.level <= level))
            .collect();
        // In turn, so that every share has its part of each chapter.
        let is_ours = |place: usize| {
            self.shard
                .is_none_or(|shard| place % shard.count == shard.number - 1)
        };
        let (mut ours, mut elsewhere) = (Vec::new(), Vec::new());
        for (place, case) in selected.into_iter().enumerate() {
            let share = if is_ours(place) {
                &mut ours
            } else {
                &mut elsewhere
            };
            share.push(case);
        }
        let fits = |case: &&Case| self.wait_secs_max.is_none_or(|max| case.wait_secs <= max);
        let (cases, left_out): (Vec<&Case>, Vec<&Case>) = ours.into_iter().partition(fits);
        if cases.is_empty() {
            Err(SelectionError::Nothing)
        } else {
            Ok(Selected {
                cases,
                left_out,
                elsewhere,
                version,
            })
        }
    }
}

fn names(path: &str, case: &Case) -> bool {
    case.path == path || case.chapter() == path.trim_end_matches('/')
}

fn check(option: &'static str, paths: &[String]) -> Result<(), SelectionError> {
    for path in paths {
        if !cases().any(|case| names(path, case)) {
            let words = cases().flat_map(|case| [case.path, case.chapter()]);
            let suggestion = if path.contains("://") || path.ends_with(".toml") {
                format!(" (a target stands before {option}, which takes all that follows)")
            } else {
                suggestion(path, words)
            };
            return Err(SelectionError::NoSuchCase {
                option,
                path: path.clone(),
                suggestion,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(only: &[&str], skip: &[&str], level: Option<Level>) -> Result<usize, String> {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let (only, skip) = (words(only), words(skip));
        let selection = Selection {
            only,
            skip,
            level,
            ..Selection::default()
        };
        selection
            .select()
            .map(|selected| selected.cases.len())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn chapter_and_case_select_and_skip() {
        let all = select(&[], &[], None).unwrap();
        let claims = select(&["claims"], &[], None).unwrap();
        assert!(claims > 1 && claims < all);
        assert_eq!(select(&[], &["claims/"], None).unwrap(), all - claims);
        let path = cases().next().unwrap().path;
        assert_eq!(select(&[path], &[], None).unwrap(), 1);
        assert!(select(&[], &[], Some(Level::Must)).unwrap() < all);
    }

    #[test]
    fn cases_that_wait_too_long_are_left_out_and_named() {
        let selection = Selection {
            wait_secs_max: Some(0),
            ..Selection::default()
        };
        let selected = selection.select().unwrap();
        assert!(selected.cases.iter().all(|case| case.wait_secs == 0));
        assert!(selected.left_out.iter().all(|case| case.wait_secs > 0));
        assert!(!selected.left_out.is_empty());
        assert_eq!(
            selected.cases.len() + selected.left_out.len(),
            cases().count()
        );
    }

    #[test]
    fn shares_are_the_whole_together_and_share_nothing() {
        let mut seen: Vec<&str> = Vec::new();
        for number in 1..=3 {
            let shard = Some(Shard { number, count: 3 });
            let selection = Selection {
                shard,
                ..Selection::default()
            };
            let Selected {
                cases, elsewhere, ..
            } = selection.select().unwrap();
            assert!(cases.len() >= super::cases().count() / 3);
            assert_eq!(cases.len() + elsewhere.len(), super::cases().count());
            seen.extend(cases.iter().map(|case| case.path));
        }
        seen.sort_unstable();
        let mut all: Vec<&str> = cases().map(|case| case.path).collect();
        all.sort_unstable();
        assert_eq!(seen, all);
    }

    #[test]
    fn share_is_written_with_a_slash() {
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
        for bad in ["", "1", "0/3", "4/3", "1/0", "a/b", "1/2/3", "-1/2"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn older_version_has_the_cases_that_it_had() {
        let select = |version| {
            Selection {
                suite_version: Some(version),
                ..Selection::default()
            }
            .select()
        };
        let first = select(1).unwrap();
        assert_eq!(first.version, 1);
        assert!(first.cases.iter().all(|case| case.since == 1));
        assert_eq!(
            first.cases.len(),
            cases().filter(|case| case.since == 1).count()
        );
        assert_eq!(select(SUITE_VERSION).unwrap().cases.len(), cases().count());
        let error = select(SUITE_VERSION + 1).unwrap_err().to_string();
        let expected = format!(
            "--suite-version: there is no version {}, this is {SUITE_VERSION}",
            SUITE_VERSION + 1
        );
        assert_eq!(error, expected);
        assert!(select(0).is_err());
    }

    #[test]
    fn unknown_case_is_refused_with_the_nearest_one() {
        assert_eq!(
            select(&["clams"], &[], None).unwrap_err(),
            "--only: there is no case or chapter `clams` (did you mean `claims`?), \
             see `nanshe list cases`"
        );
        let nothing = select(&["claims"], &["claims"], None).unwrap_err();
        assert_eq!(
            nothing,
            "--only, --skip, --level, --wait-max, --suite-version and --shard leave no case to run"
        );
    }
}
