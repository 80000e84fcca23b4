//! Which cases run: `--only PATH…`, `--skip PATH…`, `--level LEVEL`.

use super::{Case, Level, cases};
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
}

/// What a selection selects.
#[derive(Clone, Debug)]
pub struct Selected {
    /// These run, in the order of the suite.
    pub cases: Vec<&'static Case>,
    /// These would, but wait too long.
    pub left_out: Vec<&'static Case>,
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
        /// The nearest valid word.
        suggestion: String,
    },
    /// The options leave nothing.
    #[error("--only, --skip, --level and --wait-max leave no case to run")]
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
        let selected: Vec<&Case> = cases()
            .filter(|case| self.only.is_empty() || self.only.iter().any(|path| names(path, case)))
            .filter(|case| !self.skip.iter().any(|path| names(path, case)))
            .filter(|case| self.level.is_none_or(|level| case.level <= level))
            .collect();
        let fits = |case: &&Case| self.wait_secs_max.is_none_or(|max| case.wait_secs <= max);
        let (cases, left_out): (Vec<&Case>, Vec<&Case>) = selected.into_iter().partition(fits);
        if cases.is_empty() {
            Err(SelectionError::Nothing)
        } else {
            Ok(Selected { cases, left_out })
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
            let suggestion = suggestion(path, words);
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
            wait_secs_max: None,
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
    fn unknown_case_is_refused_with_the_nearest_one() {
        assert_eq!(
            select(&["clams"], &[], None).unwrap_err(),
            "--only: there is no case or chapter `clams` (did you mean `claims`?), \
             see `nanshe list cases`"
        );
        let nothing = select(&["claims"], &["claims"], None).unwrap_err();
        assert_eq!(
            nothing,
            "--only, --skip, --level and --wait-max leave no case to run"
        );
    }
}
