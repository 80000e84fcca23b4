//! A known-failures file: what an implementation is known to fail, and why.

use serde::Deserialize;
use toml::Spanned;

pub use self::differences::KnownDifference;
pub use self::update::{Updated, updated};
use crate::document::{self, Document, DocumentError};

mod differences;
mod update;

/// Cases that an implementation is known to fail. They still run.
#[derive(Clone, Debug, Default)]
pub struct KnownFailures {
    /// The entries, in the order of the file.
    pub entries: Vec<KnownFailure>,
    /// What they explain of differences from the model.
    pub differences: Vec<KnownDifference>,
}

/// One case that is known to fail, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFailure {
    /// The case's path.
    pub case: String,
    /// Why it fails.
    pub reason: String,
    /// The last day on which that excuses it, as `2026-11-24`.
    pub until: Option<String>,
    /// Whether it passes and fails by turns. Then it is run and shown, and decides nothing.
    pub flaky: bool,
    /// `file:line` of the entry.
    pub place: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownFailuresFile {
    #[serde(default)]
    failure: Vec<KnownFailureTable>,
    #[serde(default)]
    flaky: Vec<KnownFailureTable>,
    #[serde(default)]
    difference: Vec<differences::KnownDifferenceTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownFailureTable {
    case: Spanned<String>,
    reason: Spanned<String>,
    until: Option<Spanned<toml::value::Datetime>>,
}

impl KnownFailures {
    /// Reads a known-failures file.
    ///
    /// # Errors
    ///
    /// With file, line and key: not such a file, an unknown case, a case named twice, no reason.
    pub fn load(file: &str) -> Result<Self, DocumentError> {
        let text = document::read(file)?;
        Self::parse(Document { file, text: &text })
    }

    /// Parses a known-failures file.
    ///
    /// # Errors
    ///
    /// As [`KnownFailures::load`].
    pub fn parse(document: Document<'_>) -> Result<Self, DocumentError> {
        let file: KnownFailuresFile = document.parse()?;
        let mut entries: Vec<KnownFailure> = Vec::new();
        let failures = file.failure.into_iter().map(|table| (table, false));
        let flaky = file.flaky.into_iter().map(|table| (table, true));
        for (failure, flaky) in failures.chain(flaky) {
            let at = document.error(Some(failure.case.span()), "");
            let case = failure.case.into_inner();
            if !crate::suite::cases().any(|known| known.path == case) {
                let near = document::suggestion(&case, crate::suite::cases().map(|c| c.path));
                let message = format!("there is no case `{case}`{near}");
                return Err(DocumentError { message, ..at });
            }
            if entries.iter().any(|entry| entry.case == case) {
                return Err(DocumentError {
                    message: format!("`{case}` is named twice"),
                    ..at
                });
            }
            if failure.reason.get_ref().trim().is_empty() {
                let span = Some(failure.reason.span());
                return Err(document.error(span, "is empty, expected why the case fails"));
            }
            let until = match &failure.until {
                None => None,
                Some(until) => Some(day(until.get_ref()).ok_or_else(|| {
                    let message = "is no day, expected one as 2026-11-24";
                    document.error(Some(until.span()), message)
                })?),
            };
            let place = format!("{}:{}", document.file, at.line.unwrap_or(1));
            entries.push(KnownFailure {
                case,
                reason: failure.reason.into_inner(),
                until,
                flaky,
                place,
            });
        }
        let differences = file.difference.into_iter();
        let differences = differences.map(|table| KnownDifference::read(table, &entries, document));
        Ok(Self {
            differences: differences.collect::<Result<_, _>>()?,
            entries,
        })
    }

    /// The entry for `case`.
    pub fn find(&self, case: &str) -> Option<&KnownFailure> {
        self.entries.iter().find(|entry| entry.case == case)
    }
}

/// The day, if it is one and nothing more.
fn day(date: &toml::value::Datetime) -> Option<String> {
    let is_day = date.time.is_none() && date.offset.is_none();
    date.date.filter(|_| is_day).map(|date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Result<KnownFailures, String> {
        KnownFailures::parse(Document {
            file: "k.toml",
            text,
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn known_failure_needs_an_existing_case_and_a_reason() {
        let case = crate::suite::cases().next().unwrap().path;
        assert_eq!(
            known("[[failure]]\ncase = 'no/such'\nreason = 'r'").unwrap_err(),
            "k.toml:2: `case`: there is no case `no/such`"
        );
        assert_eq!(
            known(&format!("[[failure]]\ncase = '{case}'\nreason = ' '")).unwrap_err(),
            "k.toml:3: `reason`: is empty, expected why the case fails"
        );
        let entry = format!("[[failure]]\ncase = '{case}'\nreason = 'r'\n");
        assert_eq!(known(&entry).unwrap().find(case).unwrap().reason, "r");
        assert_eq!(
            known(&format!("{entry}{entry}")).unwrap_err(),
            format!("k.toml:5: `case`: `{case}` is named twice")
        );
    }

    #[test]
    fn flaky_case_and_last_day_are_read() {
        let case = crate::suite::cases().next().unwrap().path;
        let entry = format!("[[flaky]]\ncase = '{case}'\nreason = 'r'\n");
        assert!(known(&entry).unwrap().find(case).unwrap().flaky);
        let dated = known(&format!("{entry}until = 2026-11-24")).unwrap();
        assert_eq!(
            dated.find(case).unwrap().until.as_deref(),
            Some("2026-11-24")
        );
        assert_eq!(
            known(&format!("{entry}until = 2026-11-24T01:02:03Z")).unwrap_err(),
            "k.toml:4: `until`: is no day, expected one as 2026-11-24"
        );
        let twice = format!("[[failure]]\ncase = '{case}'\nreason = 'r'\n{entry}");
        assert!(known(&twice).unwrap_err().contains("is named twice"));
    }
}
