//! Differences from the model that a known failure explains.
//!
//! A case that is known to fail excuses what drawn sequences find of the same defect, for as long as it
//! fails. That is coarse: a sequence ends at its first difference, so whatever lies behind is not seen.

use serde::Deserialize;
use toml::Spanned;

use super::KnownFailure;
use crate::document::{Document, DocumentError};
use crate::model::{Difference, Kind};

/// One way in which answers are known to differ from the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDifference {
    /// The kind of operation whose answer differs.
    pub kind: Kind,
    /// The clauses, as the difference tells them.
    pub clause: String,
    /// What the answer begins with, as `status 503`; empty: anything.
    pub came: String,
    /// The case that shows the same defect and is known to fail.
    pub case: String,
    /// How the defect leads there.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownDifferenceTable {
    kind: Spanned<String>,
    clause: String,
    #[serde(default)]
    came: String,
    case: Spanned<String>,
    reason: Spanned<String>,
}

impl KnownDifference {
    /// Whether this is the one.
    pub fn explains(&self, kind: Kind, difference: &Difference) -> bool {
        self.kind == kind
            && self.clause == difference.clause
            && difference.came.starts_with(&self.came)
    }

    pub(super) fn read(
        table: KnownDifferenceTable,
        failures: &[KnownFailure],
        document: Document<'_>,
    ) -> Result<Self, DocumentError> {
        let kind = table.kind.get_ref().parse();
        let kind =
            kind.map_err(|message: String| document.error(Some(table.kind.span()), message))?;
        let case = table.case.get_ref();
        if !failures.iter().any(|failure| failure.case == *case) {
            let message =
                format!("`{case}` is not among the failures here, so it explains nothing");
            return Err(document.error(Some(table.case.span()), message));
        }
        if table.reason.get_ref().trim().is_empty() {
            let message = "is empty, expected how that case's defect leads to the difference";
            return Err(document.error(Some(table.reason.span()), message));
        }
        Ok(Self {
            kind,
            clause: table.clause,
            came: table.came,
            case: table.case.into_inner(),
            reason: table.reason.into_inner(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::KnownFailures;
    use super::*;

    fn known(text: &str) -> Result<KnownFailures, String> {
        let document = Document {
            file: "k.toml",
            text,
        };
        KnownFailures::parse(document).map_err(|error| error.to_string())
    }

    #[test]
    fn known_difference_needs_a_kind_a_reason_and_a_case_that_is_known_to_fail() {
        let case = crate::suite::cases().next().unwrap().path;
        let failure = format!("[[failure]]\ncase = '{case}'\nreason = 'r'\n");
        let entry = |kind: &str, reason: &str| {
            format!(
                "[[difference]]\nkind = '{kind}'\nclause = '5.8'\ncame = 'status 503'\n\
                 case = '{case}'\nreason = '{reason}'\n"
            )
        };
        let both = format!("{failure}{}", entry("pop", "r"));
        assert_eq!(known(&both).unwrap().differences[0].case, case);
        assert_eq!(
            known(&entry("pop", "r")).unwrap_err(),
            format!(
                "k.toml:5: `case`: `{case}` is not among the failures here, so it explains nothing"
            )
        );
        let error = known(&format!("{failure}{}", entry("pip", "r"))).unwrap_err();
        assert!(error.starts_with("k.toml:5: `kind`: "), "{error}");
        let error = known(&format!("{failure}{}", entry("pop", " "))).unwrap_err();
        assert!(error.starts_with("k.toml:9: `reason`: is empty"), "{error}");
    }

    #[test]
    fn known_difference_explains_its_own_kind_clause_and_answer_alone() {
        let one = KnownDifference {
            kind: Kind::Pop,
            clause: "5.8".to_owned(),
            came: "status 503".to_owned(),
            case: String::new(),
            reason: String::new(),
        };
        let difference = |clause: &str, came: &str| Difference {
            clause: clause.to_owned(),
            expected: "status 200".to_owned(),
            came: came.to_owned(),
        };
        assert!(one.explains(Kind::Pop, &difference("5.8", "status 503, body {}")));
        assert!(!one.explains(Kind::Pop, &difference("5.8", "status 200, body {}")));
        assert!(!one.explains(Kind::Pop, &difference("5.8, G4", "status 503")));
        assert!(!one.explains(Kind::Claim, &difference("5.8", "status 503")));
    }
}
