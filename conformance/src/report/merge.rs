//! The reports of one run's shards, joined.
//!
//! Joining must not make a run look better than it was: a case that no shard ran is missing and named,
//! and of two outcomes of one case the worse one counts.

use super::{CaseReport, Report, Standing};
use crate::suite::cases;
use crate::verdict::Verdict;

/// What a joined report says of itself if it is not whole for that alone.
const MISSING: &str = "shards are missing";

/// Reports that do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is none.
    #[error("there is no report to merge")]
    Nothing,
    /// One is of another run.
    #[error(
        "{file}: its {what} is {found}, but {expected} in {first}: shards of one run have one {what}"
    )]
    Differs {
        /// The file of the report that differs.
        file: String,
        /// In what.
        what: &'static str,
        /// What it says.
        found: String,
        /// The file of the first report.
        first: String,
        /// What that says.
        expected: String,
    },
}

/// What became of one run's shards.
#[derive(Clone, Debug)]
pub struct Merged {
    /// All that they found, as one report.
    pub report: Report,
    /// Cases that a shard left to others, and that none ran.
    pub missing: Vec<String>,
    /// Cases that ran more than once, always with the same outcome.
    pub repeated: Vec<String>,
    /// Cases that ran more than once, with different outcomes: they are flaky.
    pub flaky: Vec<Disagreement>,
}

/// One case, and how it stands in each file that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The case's path.
    pub path: String,
    /// File and standing.
    pub found: Vec<(String, Standing)>,
}

impl Merged {
    /// The verdict of the whole. A violation may have been found, but with a case missing or a shard
    /// that stopped early this is not the run that was asked for.
    pub fn verdict(&self) -> Verdict {
        self.report.verdict()
    }
}

/// Joins `reports`, each with the name of its file.
///
/// # Errors
///
/// If they are not all of one target, suite and seed.
pub fn merge(reports: &[(String, Report)]) -> Result<Merged, MergeError> {
    let Some((first, others)) = reports.split_first() else {
        return Err(MergeError::Nothing);
    };
    others.iter().try_for_each(|other| belong(first, other))?;
    let mut merged = Merged {
        report: Report {
            cases: Vec::new(),
            elsewhere: Vec::new(),
            stopped: stopped(reports),
            notes: reports
                .iter()
                .flat_map(|(_, report)| report.notes.clone())
                .collect(),
            // They ran side by side.
            elapsed: reports
                .iter()
                .map(|(_, report)| report.elapsed)
                .max()
                .unwrap_or_default(),
            ..first.1.clone()
        },
        missing: Vec::new(),
        repeated: Vec::new(),
        flaky: Vec::new(),
    };
    for path in paths(reports) {
        take(&mut merged, path, reports);
    }
    let all = reports.iter().flat_map(|(_, report)| &report.left_out);
    merged.report.left_out = distinct(all, |path| merged.report.find(path).is_none());
    let all = reports.iter().flat_map(|(_, report)| &report.elsewhere);
    let (report, left_out) = (&merged.report, &merged.report.left_out);
    merged.missing = distinct(all, |path| {
        report.find(path).is_none() && !left_out.contains(path)
    });
    if !merged.missing.is_empty() {
        // So that nobody who reads it takes it for whole; another merge may still make it so.
        let told = format!("{MISSING}: nobody ran {} cases", merged.missing.len());
        let before = merged.report.stopped.take();
        merged.report.stopped =
            Some(before.map_or(told.clone(), |before| format!("{before}; {told}")));
        merged.report.elsewhere = merged.missing.clone();
    }
    Ok(merged)
}

/// Which shards stopped early, and why.
fn stopped(reports: &[(String, Report)]) -> Option<String> {
    let why = |(file, report): &(String, Report)| {
        let why = report.stopped.as_ref();
        let why = why.filter(|why| !why.starts_with(MISSING))?;
        Some(format!("{file}: {why}"))
    };
    let stopped: Vec<String> = reports.iter().filter_map(why).collect();
    (!stopped.is_empty()).then(|| stopped.join("; "))
}

fn belong(first: &(String, Report), other: &(String, Report)) -> Result<(), MergeError> {
    let facts = |report: &Report| {
        [
            ("target", report.target.clone()),
            ("profile", report.profile.word().to_owned()),
            ("suite version", report.suite_version.to_string()),
            ("seed", report.seed.to_string()),
        ]
    };
    let differs = facts(&first.1)
        .into_iter()
        .zip(facts(&other.1))
        .find(|((_, expected), (_, found))| expected != found);
    match differs {
        None => Ok(()),
        Some(((what, expected), (_, found))) => Err(MergeError::Differs {
            file: other.0.clone(),
            what,
            found,
            first: first.0.clone(),
            expected,
        }),
    }
}

/// Every path that ran, each once, in the order of the suite; what this suite does not know comes last.
fn paths(reports: &[(String, Report)]) -> Vec<&str> {
    let ran = reports.iter().flat_map(|(_, report)| &report.cases);
    let mut paths: Vec<&str> = ran.map(|case| case.path.as_str()).collect();
    let order: Vec<&str> = cases().map(|case| case.path).collect();
    let rank = |path: &str| order.iter().position(|known| *known == path);
    paths.sort_by_key(|path| (rank(path).unwrap_or(usize::MAX), *path));
    paths.dedup();
    paths
}

fn take(merged: &mut Merged, path: &str, reports: &[(String, Report)]) {
    let found = reports.iter().flat_map(|(file, report)| {
        let named = report.cases.iter().filter(|case| case.path == path);
        named.map(move |case| (file, case))
    });
    let found: Vec<(&String, &CaseReport)> = found.collect();
    let standings = || found.iter().map(|(_, case)| case.standing());
    // Of several equally bad ones the first.
    let worst = standings().max_by_key(|standing| severity(*standing));
    let Some(case) = found
        .iter()
        .find(|(_, case)| Some(case.standing()) == worst)
    else {
        return;
    };
    merged.report.cases.push(case.1.clone());
    if found.len() < 2 {
        return;
    }
    if standings().all(|standing| Some(standing) == worst) {
        merged.repeated.push(path.to_owned());
    } else {
        let found = found
            .iter()
            .map(|(file, case)| ((*file).clone(), case.standing()));
        merged.flaky.push(Disagreement {
            path: path.to_owned(),
            found: found.collect(),
        });
    }
}

/// What outweighs what, where a case has two outcomes.
fn severity(standing: Standing) -> u8 {
    match standing {
        Standing::NotApplicable => 0,
        Standing::Passed => 1,
        Standing::Flaky => 2,
        Standing::KnownFailure => 3,
        Standing::Unknown => 4,
        Standing::PassedUnexpectedly => 5,
        Standing::Failed => 6,
    }
}

fn distinct<'a>(
    paths: impl Iterator<Item = &'a String>,
    wanted: impl Fn(&String) -> bool,
) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for path in paths.filter(|path| wanted(path)) {
        if !distinct.contains(path) {
            distinct.push(path.clone());
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;
    use crate::suite::Profile;

    /// The sample as two shards: the cases at even and at odd places.
    fn shards() -> [(String, Report); 2] {
        [0, 1].map(|shard| {
            let mut report = sample();
            let place = |index: usize| index % 2 == shard;
            let whole = std::mem::take(&mut report.cases);
            for (index, case) in whole.into_iter().enumerate() {
                if place(index) {
                    report.cases.push(case);
                } else {
                    report.elsewhere.push(case.path);
                }
            }
            (format!("{shard}.json"), report)
        })
    }

    #[test]
    fn shards_of_one_run_are_the_run() {
        let merged = merge(&shards()).unwrap();
        let paths = |report: &Report| {
            let mut paths: Vec<String> = report.cases.iter().map(|c| c.path.clone()).collect();
            paths.sort();
            paths
        };
        assert_eq!(paths(&merged.report), paths(&sample()));
        assert_eq!(merged.report.verdict(), sample().verdict());
        assert!(merged.missing.is_empty() && merged.repeated.is_empty() && merged.flaky.is_empty());
        assert_eq!(merged.report.left_out, sample().left_out);
    }

    #[test]
    fn shard_that_is_not_there_is_missed_case_by_case() {
        let [(file, mut report), (_, other)] = shards();
        report
            .cases
            .retain(|case| case.standing() == Standing::Passed);
        assert_eq!(report.verdict(), Verdict::Valid);
        let expected: Vec<String> = other.cases.iter().map(|case| case.path.clone()).collect();
        let merged = merge(&[(file, report)]).unwrap();
        assert_eq!(merged.missing, expected);
        assert_eq!(merged.verdict(), Verdict::Unknown);
        // Whoever reads it alone is told the same, and what is missing can still come.
        assert_eq!(merged.report.verdict(), Verdict::Unknown);
        let told = merged.report.stopped.as_deref().unwrap();
        assert!(told.starts_with(MISSING), "{told}");
        let again = merge(&[("part.json".to_owned(), merged.report.clone())]).unwrap();
        assert_eq!(again.missing, expected);
        let [first, second] = shards();
        let part = ("part.json".to_owned(), merge(&[first]).unwrap().report);
        let whole = merge(&[part, second]).unwrap();
        assert_eq!((whole.report.stopped, whole.missing), (None, Vec::new()));
    }

    #[test]
    fn violation_of_a_run_that_is_not_whole_is_unknown() {
        let [first, (file, mut second)] = shards();
        second.stopped = Some("the target stopped answering".to_owned());
        let merged = merge(&[first, (file, second)]).unwrap();
        assert!(merged.report.count(Standing::Failed) > 0);
        assert_eq!(merged.report.verdict(), Verdict::Unknown);
        assert_eq!(merged.verdict(), Verdict::Unknown);
        let why = merged.report.stopped.unwrap();
        assert_eq!(why, "1.json: the target stopped answering");
    }

    #[test]
    fn case_with_two_outcomes_is_flaky_and_the_worse_one_counts() {
        for turned in [false, true] {
            let (first, mut second) = (sample(), sample());
            let case = second
                .cases
                .iter_mut()
                .find(|case| case.path == "claims/passes");
            case.unwrap().outcome = first.cases[1].outcome.clone();
            let mut files = [("a".to_owned(), first), ("b".to_owned(), second)];
            if turned {
                files.reverse();
            }
            let merged = merge(&files).unwrap();
            let [flaky] = merged.flaky.as_slice() else {
                panic!("{:?}", merged.flaky);
            };
            assert_eq!(flaky.path, "claims/passes");
            assert!(flaky.found.contains(&("a".to_owned(), Standing::Passed)));
            assert!(flaky.found.contains(&("b".to_owned(), Standing::Failed)));
            let kept = merged.report.find("claims/passes").unwrap().standing();
            assert_eq!(kept, Standing::Failed);
            assert_eq!(merged.repeated.len(), sample().cases.len() - 1);
        }
    }

    #[test]
    fn reports_of_other_runs_are_refused_in_one_line() {
        type Change = fn(&mut Report);
        let changes: [(&str, Change); 4] = [
            ("profile is core, but zaqar-v2", |report| {
                report.profile = Profile::Core
            }),
            ("target is other, but sample", |report| {
                report.target = "other".to_owned()
            }),
            ("suite version is 1, but 2", |report| {
                report.suite_version = 1
            }),
            ("seed is 8, but 7", |report| report.seed = 8),
        ];
        for (expected, change) in changes {
            let mut other = sample();
            change(&mut other);
            let files = [
                ("a.json".to_owned(), sample()),
                ("b.json".to_owned(), other),
            ];
            let error = merge(&files).unwrap_err().to_string();
            assert!(error.starts_with("b.json: its "), "{error}");
            assert!(
                error.contains(expected) && error.contains("in a.json"),
                "{error}"
            );
        }
        assert_eq!(merge(&[]).unwrap_err(), MergeError::Nothing);
    }

    #[test]
    fn case_that_one_shard_left_out_and_another_ran_is_not_left_out() {
        let mut other = sample();
        other.left_out.clear();
        let mut case = other.cases[0].clone();
        case.path = "claims/waits-for-hours".to_owned();
        other.cases = vec![case];
        let files = [("a".to_owned(), sample()), ("b".to_owned(), other)];
        assert!(merge(&files).unwrap().report.left_out.is_empty());
    }
}
