//! The summaries of one campaign's shares, joined to the summary that one machine would have written.
//!
//! Joining must not make a campaign look better than it was: seeds that nobody ran are missing and named, and of two
//! results for one seed neither counts.

use std::fmt;
use std::ops::Range;

use nanshe_conformance::verdict::Verdict;

use super::{Campaign, FORMAT, Seeds, Summary, VERSION};

/// Summaries that do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is none.
    #[error("there is no summary to merge")]
    Nothing,
    /// It is none, or none of today.
    #[error("{file}: is not a summary of `nanshe simulate` or `nanshe explore`: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// One is of another campaign.
    #[error(
        "{file}: its {what} is {found}, but {expected} in {first}: shares of one campaign have one {what}"
    )]
    Differs {
        /// The file of the summary that differs.
        file: String,
        /// In what.
        what: &'static str,
        /// What it says.
        found: String,
        /// The file of the first summary.
        first: String,
        /// What that says.
        expected: String,
    },
    /// It says that it ran what it was not asked for.
    #[error("{file}: ran {ran}, of a whole that is {whole}")]
    Outside {
        /// The file.
        file: String,
        /// What it ran.
        ran: Seeds,
        /// What all shares together were asked for.
        whole: Seeds,
    },
    /// The same seeds, and not the same results.
    #[error("{file}: {seeds} went otherwise than in {first}: a seed has one result")]
    Contradicts {
        /// The file of the later summary.
        file: String,
        /// Which seeds.
        seeds: Seeds,
        /// The file of the earlier one.
        first: String,
    },
    /// Some seeds are in two summaries, and others in one of them only.
    #[error(
        "{file}: ran {ran}, and {first} ran {before}: what both ran cannot be told from the rest"
    )]
    Overlaps {
        /// The file of the later summary.
        file: String,
        /// What it ran.
        ran: Seeds,
        /// The file of the earlier one.
        first: String,
        /// What that ran.
        before: Seeds,
    },
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seeds {
            0 => f.write_str("no seed"),
            1 => write!(f, "seed {}", self.first_seed),
            _ => write!(f, "seeds {} to {}", self.first_seed, self.end() - 1),
        }
    }
}

impl Seeds {
    fn of(seeds: Range<u64>) -> Self {
        Self {
            first_seed: seeds.start,
            seeds: seeds.end - seeds.start,
        }
    }

    /// The seed after the last one.
    fn end(&self) -> u64 {
        self.first_seed.saturating_add(self.seeds)
    }
}

/// What became of one campaign's shares.
#[derive(Clone, Debug)]
pub struct Merged {
    /// All that they found, as one summary.
    pub summary: Summary,
    /// Seeds that none ran.
    pub missing: Vec<Seeds>,
    /// Seeds that two ran with the same results, and in which files; they are counted once.
    pub repeated: Vec<(Seeds, [String; 2])>,
}

impl Merged {
    /// What to end with. A violation may have been found, but with a seed missing this is not the campaign that was
    /// asked for.
    pub fn outcome(&self) -> Verdict {
        if self.missing.is_empty() {
            self.summary.outcome()
        } else {
            Verdict::Unknown
        }
    }

    /// The seeds that none ran, as words: `None` if there is none of them.
    pub fn gaps(&self) -> Option<String> {
        let gaps = self.missing.iter().map(Seeds::to_string);
        let gaps = gaps.collect::<Vec<String>>().join(", ");
        Some(gaps).filter(|gaps| !gaps.is_empty())
    }

    /// All of it as text for a terminal. With a seed missing it ends with that, since what the rest is worth is unknown.
    pub fn terminal(&self) -> String {
        let Some(gaps) = self.gaps() else {
            return self.summary.terminal(None);
        };
        let mut text = String::new();
        let end = format!("{}, {gaps} missing", self.outcome());
        // Writing to a string cannot fail.
        let _infallible = self.summary.write(&mut text, None, &end);
        text
    }
}

impl Summary {
    /// Whether `document` calls itself a summary.
    pub fn is_one(document: &serde_json::Value) -> bool {
        document["format"] == FORMAT
    }

    /// Reads the summary in `file`, which is `document`.
    ///
    /// # Errors
    ///
    /// If it is none, or of another version.
    pub fn read(file: &str, document: serde_json::Value) -> Result<Self, MergeError> {
        let unreadable = |why: String| MergeError::Unreadable {
            file: file.to_owned(),
            why,
        };
        let version = &document["version"];
        if *version != VERSION {
            let why = format!("its version is {version}, expected {VERSION}");
            return Err(unreadable(why));
        }
        serde_json::from_value(document).map_err(|error| unreadable(error.to_string()))
    }

    /// Joins `summaries`, each with the name of its file, in any order.
    ///
    /// # Errors
    ///
    /// If they are not all of one campaign, or contradict each other.
    pub fn merge(mut summaries: Vec<(String, Self)>) -> Result<Merged, MergeError> {
        let Some(first) = summaries.first().cloned() else {
            return Err(MergeError::Nothing);
        };
        summaries
            .iter()
            .try_for_each(|other| belong(&first, other))?;
        let whole = first.1.whole.clone();
        let mut merged = Merged {
            summary: first.1.without_runs(),
            missing: Vec::new(),
            repeated: Vec::new(),
        };
        // One that stopped at once says nothing about any seed.
        summaries.retain(|(_, summary)| summary.seeds > 0);
        summaries.sort_by_key(|(_, summary)| summary.first_seed);
        let mut before: Option<(String, Self)> = None;
        let mut next = whole.first_seed;
        for (file, summary) in summaries {
            if let Some((first, earlier)) = &before
                && summary.first_seed < next
            {
                let seeds = twice((first, earlier), (&file, &summary))?;
                merged.repeated.push((seeds, [first.clone(), file]));
                continue;
            }
            if summary.first_seed > next {
                merged.missing.push(Seeds::of(next..summary.first_seed));
            }
            next = summary.ran().end();
            merged.summary.append(&summary);
            before = Some((file, summary));
        }
        if next < whole.end() {
            merged.missing.push(Seeds::of(next..whole.end()));
        }
        Ok(merged)
    }

    /// The same campaign, before its first seed.
    fn without_runs(&self) -> Self {
        let campaign = Campaign {
            scenario: &self.scenario,
            file: &self.file,
            text: "",
            implementation: &self.implementation,
            seeds: self.whole.first_seed..self.whole.end(),
        };
        let mut empty = Self::new(&campaign, self.whole.first_seed);
        empty.program.clone_from(&self.program);
        empty.scenario_fingerprint = self.scenario_fingerprint;
        empty.expect(&self.expected);
        empty
    }

    fn ran(&self) -> Seeds {
        Seeds {
            first_seed: self.first_seed,
            seeds: self.seeds,
        }
    }

    /// Adds what later seeds found.
    fn append(&mut self, later: &Self) {
        if self.seeds == 0 {
            self.first_seed = later.first_seed;
        }
        self.seeds += later.seeds;
        self.virtual_secs += later.virtual_secs;
        self.operations += later.operations;
        self.struck += later.struck;
        for (ours, theirs) in [
            (&mut self.faults, &later.faults),
            (&mut self.reached, &later.reached),
        ] {
            for (name, times) in theirs {
                *ours.entry(name.clone()).or_default() += times;
            }
        }
        self.histories = self.histories.and(later.histories);
        self.errors.extend_from_slice(&later.errors);
        self.findings.extend_from_slice(&later.findings);
        self.rules.append(&later.rules);
        let mut drawn = std::mem::take(&mut self.drawn);
        drawn.extend(later.drawn.clone());
        // What broke a rule first in a share did so before in the whole, perhaps.
        drawn.retain(|seed, _| self.tells_of(*seed));
        self.drawn = drawn;
        self.judge();
    }
}

fn belong(
    (first, expected): &(String, Summary),
    (file, found): &(String, Summary),
) -> Result<(), MergeError> {
    let facts = |summary: &Summary| {
        let rules = summary.rules.rules.iter();
        let rules: Vec<&str> = rules.map(|rule| rule.rule.as_str()).collect();
        [
            ("program", format!("nanshe {}", summary.program)),
            ("scenario", summary.scenario.clone()),
            (
                "scenario's fingerprint",
                summary.scenario_fingerprint.into(),
            ),
            ("implementation", summary.implementation.clone()),
            ("whole", summary.whole.to_string()),
            ("list of rules", rules.join(", ")),
        ]
    };
    let mut pairs = facts(expected).into_iter().zip(facts(found));
    if let Some(((what, expected), (_, found))) = pairs.find(|(one, other)| one != other) {
        return Err(MergeError::Differs {
            file: file.clone(),
            what,
            found,
            first: first.clone(),
            expected,
        });
    }
    let (ran, whole) = (found.ran(), found.whole.clone());
    if ran.seeds > 0 && (ran.first_seed < whole.first_seed || ran.end() > whole.end()) {
        let file = file.clone();
        return Err(MergeError::Outside { file, ran, whole });
    }
    Ok(())
}

/// The seeds that both ran, if that is all that either ran.
fn twice(
    (first, earlier): (&String, &Summary),
    (file, later): (&String, &Summary),
) -> Result<Seeds, MergeError> {
    let (before, ran) = (earlier.ran(), later.ran());
    if before != ran {
        return Err(MergeError::Overlaps {
            file: file.clone(),
            ran,
            first: first.clone(),
            before,
        });
    }
    // Where the scenarios lay is no result.
    let from_there = Summary {
        file: earlier.file.clone(),
        drawn: earlier.drawn.clone(),
        ..later.clone()
    };
    if from_there != *earlier {
        return Err(MergeError::Contradicts {
            file: file.clone(),
            seeds: ran,
            first: first.clone(),
        });
    }
    Ok(ran)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{OVERLAP, VALID, panicked, run, share};
    use super::*;
    use crate::run::{Run, RunError};

    /// One of nine seeds: some are valid, some broke a rule, one panicked.
    fn done(seed: u64) -> Result<Run, RunError> {
        match seed {
            5 => panicked(),
            4 | 8 => run(seed, OVERLAP),
            _ => run(seed, VALID),
        }
    }

    fn share_of(seeds: Range<u64>) -> Summary {
        let runs: Vec<Result<Run, RunError>> = seeds.clone().map(done).collect();
        share(0..9, seeds.start, &runs)
    }

    /// In no order.
    fn thirds() -> Vec<(String, Summary)> {
        let third = |number: u64| {
            let seeds = 3 * number..3 * number + 3;
            (format!("{number}.json"), share_of(seeds))
        };
        [2, 0, 1].map(third).to_vec()
    }

    fn refused(files: Vec<(String, Summary)>) -> String {
        Summary::merge(files).unwrap_err().to_string()
    }

    #[test]
    fn three_shares_are_the_whole_byte_for_byte() {
        let merged = Summary::merge(thirds()).unwrap();
        assert_eq!(merged.summary.json(), share_of(0..9).json());
        assert!(merged.missing.is_empty() && merged.repeated.is_empty());
        assert_eq!(merged.outcome(), Verdict::Violation);
        let rules = merged.summary.rules.rules.iter();
        let firsts = rules.filter_map(|rule| Some(rule.first.as_ref()?.0));
        assert_eq!(firsts.collect::<Vec<u64>>(), [4]);
    }

    #[test]
    fn summary_can_be_read_again() {
        let text = share_of(0..9).json();
        let document = serde_json::from_str(&text).unwrap();
        assert!(Summary::is_one(&document));
        assert_eq!(Summary::read("w.json", document).unwrap().json(), text);
        let old = serde_json::json!({"format": FORMAT, "version": 1});
        let error = Summary::read("w.json", old).unwrap_err().to_string();
        assert!(error.ends_with(": its version is 1, expected 2"), "{error}");
    }

    #[test]
    fn seeds_that_nobody_ran_are_named_and_leave_the_whole_unknown() {
        let missing = |files: Vec<(String, Summary)>| {
            let merged = Summary::merge(files).unwrap();
            assert_eq!(merged.outcome(), Verdict::Unknown);
            let missing = merged.missing.iter().map(Seeds::to_string);
            missing.collect::<Vec<String>>().join(", ")
        };
        let [third, first, second] = thirds().try_into().unwrap();
        let without_second = vec![third.clone(), first];
        assert_eq!(missing(without_second), "seeds 3 to 5");
        assert_eq!(missing(vec![second]), "seeds 0 to 2, seeds 6 to 8");
        // It stopped after its first seed.
        let early = ("early.json".to_owned(), share_of(0..4));
        assert_eq!(missing(vec![third, early]), "seeds 4 to 5");
    }

    #[test]
    fn text_ends_with_the_missing_seeds_and_not_with_the_verdict_on_the_others() {
        let share_of = |seeds: Range<u64>| {
            let runs: Vec<_> = seeds.clone().map(|seed| run(seed, VALID)).collect();
            (format!("{seeds:?}.json"), share(0..9, seeds.start, &runs))
        };
        let counts = |files: Vec<(String, Summary)>| {
            let text = Summary::merge(files).unwrap().terminal();
            let counts = text
                .lines()
                .find(|line| line.starts_with("claims/sample on "));
            counts.unwrap().to_owned()
        };
        let [first, second, third] = [0..2, 2..8, 8..9].map(share_of);
        let line = counts(vec![first.clone(), third.clone()]);
        assert!(line.ends_with(": unknown, seeds 2 to 7 missing"), "{line}");
        let line = counts(vec![second.clone()]);
        assert!(
            line.ends_with(": unknown, seeds 0 to 1, seed 8 missing"),
            "{line}"
        );
        let line = counts(vec![first, second, third]);
        assert!(line.ends_with(" of virtual time: valid"), "{line}");
    }

    #[test]
    fn drawn_scenarios_are_found_by_whoever_reads_of_their_seeds() {
        let campaign = Campaign::drawn("sample", 0..9);
        let explored = |seeds: Range<u64>| {
            let mut summary = Summary::new(&campaign, seeds.start);
            for seed in seeds {
                summary.add(&done(seed));
                if summary.tells_of(seed) {
                    summary.drawn_is_in(&format!("runs/{seed}.toml"), seed);
                }
            }
            (format!("{}.json", summary.first_seed), summary)
        };
        let (_, whole) = explored(0..9);
        // Seed 8 is the first of its share to break what seed 4 broke.
        let shares = [0..3, 3..6, 6..9].map(explored).to_vec();
        let merged = Summary::merge(shares).unwrap();
        assert_eq!(merged.summary.json(), whole.json());
        let text = merged.terminal();
        let repeats = text
            .lines()
            .filter_map(|line| line.strip_prefix("  repeat: "));
        let expected = [4, 5].map(|seed| {
            format!(
                "nanshe simulate runs/{seed}.toml --implementation sample --first-seed {seed} --seeds 1"
            )
        });
        assert_eq!(repeats.collect::<Vec<&str>>(), expected);
    }

    #[test]
    fn seeds_that_two_ran_are_named_and_counted_once() {
        let mut files = thirds();
        let mut again = files[2].clone();
        again.0 = "again.json".to_owned();
        again.1.file = "elsewhere/sample.toml".to_owned();
        files.push(again);
        let merged = Summary::merge(files).unwrap();
        let [(seeds, names)] = merged.repeated.as_slice() else {
            panic!("{:?}", merged.repeated);
        };
        assert_eq!(seeds.to_string(), "seeds 3 to 5");
        assert_eq!(names, &["1.json", "again.json"]);
        assert_eq!(merged.summary.json(), share_of(0..9).json());
        assert_eq!(merged.outcome(), Verdict::Violation);
    }

    #[test]
    fn two_results_for_one_seed_are_refused_even_if_the_counts_are_the_same() {
        let mut files = thirds();
        // One byte of one history, and nothing that is counted.
        let mut other = done(7).unwrap();
        other.lines.push(' ');
        let runs = [done(6), Ok(other), done(8)];
        files.push(("other.json".to_owned(), share(0..9, 6, &runs)));
        let expected =
            "other.json: seeds 6 to 8 went otherwise than in 2.json: a seed has one result";
        assert_eq!(refused(files), expected);
    }

    #[test]
    fn shares_that_overlap_in_part_and_seeds_out_of_range_are_refused() {
        let mut files = thirds();
        files.push(("other.json".to_owned(), share_of(4..6)));
        let error = refused(files);
        let expected = "other.json: ran seeds 4 to 5, and 1.json ran seeds 3 to 5: what both ran";
        assert!(error.starts_with(expected), "{error}");
        let error = refused(vec![("a.json".to_owned(), share_of(9..10))]);
        assert_eq!(error, "a.json: ran seed 9, of a whole that is seeds 0 to 8");
    }

    #[test]
    fn summaries_of_other_campaigns_are_refused_in_one_line() {
        type Change = fn(&mut Summary);
        let changes: [(&str, Change); 5] = [
            ("program is nanshe 9, but nanshe ", |it| {
                "9".clone_into(&mut it.program);
            }),
            ("scenario is other, but claims/sample", |it| {
                "other".clone_into(&mut it.scenario);
            }),
            ("scenario's fingerprint is 0000000000000000, but ", |it| {
                it.scenario_fingerprint = Default::default();
            }),
            ("implementation is other, but sample", |it| {
                "other".clone_into(&mut it.implementation);
            }),
            ("whole is seeds 0 to 7, but seeds 0 to 8", |it| {
                it.whole.seeds = 8;
            }),
        ];
        for (expected, change) in changes {
            let mut files = thirds();
            change(&mut files[1].1);
            let error = refused(files);
            let expected = format!("0.json: its {expected}");
            assert!(error.starts_with(&expected), "{error}");
            assert!(error.contains(" in 2.json: "), "{error}");
        }
        assert_eq!(Summary::merge(Vec::new()).unwrap_err(), MergeError::Nothing);
    }
}
