//! How many cases of each chapter have which standing.

use super::{CaseReport, Report, Standing};

/// One line of the matrix.
pub(super) struct Row<'a> {
    /// The chapter, or `all`.
    pub(super) name: &'a str,
    /// In the order of [`Standing::ALL`].
    pub(super) counts: [usize; 7],
}

/// The chapters, in the order of the suite.
pub(super) fn chapters(report: &Report) -> Vec<&str> {
    let mut chapters = Vec::new();
    for chapter in report.cases.iter().map(CaseReport::chapter) {
        if !chapters.contains(&chapter) {
            chapters.push(chapter);
        }
    }
    chapters
}

/// A line for each chapter, then one for all.
pub(super) fn rows(report: &Report) -> Vec<Row<'_>> {
    let count = |of: &dyn Fn(&CaseReport) -> bool| {
        let cases: Vec<Standing> = report
            .cases
            .iter()
            .filter(|case| of(case))
            .map(CaseReport::standing)
            .collect();
        Standing::ALL.map(|standing| cases.iter().filter(|&&found| found == standing).count())
    };
    let row = |name| Row {
        name,
        counts: count(&|case| case.chapter() == name),
    };
    let mut rows: Vec<Row<'_>> = chapters(report).into_iter().map(row).collect();
    rows.push(Row {
        name: "all",
        counts: count(&|_| true),
    });
    rows
}

/// Standings that any of these reports has, so that tables have no empty columns.
pub(super) fn standings(reports: &[Report]) -> Vec<Standing> {
    let has = |standing: &Standing| reports.iter().any(|report| report.count(*standing) > 0);
    let always = |standing: &Standing| matches!(standing, Standing::Passed | Standing::Failed);
    let all = Standing::ALL.into_iter();
    all.filter(|standing| always(standing) || has(standing))
        .collect()
}

/// The paths of all cases of these reports, each once, in the order of the suite.
pub(super) fn paths(reports: &[Report]) -> Vec<&str> {
    let mut paths: Vec<&str> = Vec::new();
    for report in reports {
        // A case that only a later report has goes behind the one that it follows there.
        let mut place = 0;
        for case in &report.cases {
            match paths.iter().position(|path| *path == case.path) {
                Some(found) => place = found + 1,
                None => {
                    paths.insert(place, &case.path);
                    place += 1;
                }
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn every_case_is_counted_once_in_its_chapter_and_once_in_all() {
        let report = sample();
        let rows = rows(&report);
        let (all, chapters) = rows.split_last().unwrap();
        let sum: usize = chapters.iter().flat_map(|row| row.counts).sum();
        assert_eq!(sum, report.cases.len());
        assert_eq!(all.counts, [1; 7]);
    }

    #[test]
    fn cases_of_several_reports_keep_their_order() {
        let (mut first, mut second) = (sample(), sample());
        let all: Vec<String> = first.cases.iter().map(|case| case.path.clone()).collect();
        first.cases.remove(1);
        second.cases.remove(3);
        assert_eq!(paths(&[first, second]), all);
    }
}
