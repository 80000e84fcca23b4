//! The contract in the project's own words: clauses, their statements, the guarantees, and which cases
//! judge which.
//!
//! The texts are data, in `contract/*.toml`. Coverage is measured against them: a statement has cases,
//! or a reason why it has none. What a case does is for the suite to know.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::document::{Document, DocumentError};
use crate::suite::{Case, cases};

pub use self::table::table;

mod table;

/// All clauses and guarantees.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The clauses, in the order of the contract.
    #[serde(default, rename = "clause")]
    pub clauses: Vec<Clause>,
    /// The guarantees, in their order.
    #[serde(default, rename = "guarantee")]
    pub guarantees: Vec<Guarantee>,
}

/// One clause.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// As `5.7`; cases and failures name it.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// What it demands.
    #[serde(rename = "statement")]
    pub statements: Vec<Statement>,
}

/// One sentence that holds or does not.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// As `5.7-d`. It never changes its meaning.
    pub id: String,
    /// The sentence.
    pub says: String,
    /// The cases of its clause that judge it.
    #[serde(default)]
    pub cases: Vec<String>,
    /// Cases of other clauses that judge it on their way.
    #[serde(default)]
    pub also: Vec<String>,
    /// Why it has no case.
    pub untested: Option<String>,
}

/// One guarantee. Its cases are those that name it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Guarantee {
    /// As `G7`.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// What it promises.
    pub says: String,
    /// Why it has no case.
    pub untested: Option<String>,
}

impl Contract {
    /// The clause of this name.
    pub fn clause(&self, id: &str) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.id == id)
    }

    /// The guarantee of this name.
    pub fn guarantee(&self, id: &str) -> Option<&Guarantee> {
        self.guarantees.iter().find(|guarantee| guarantee.id == id)
    }

    /// What a case judges: statements of its own clause and of others.
    pub fn judged_by(&self, path: &str) -> impl Iterator<Item = &Statement> {
        let statements = self.clauses.iter().flat_map(|clause| &clause.statements);
        statements.filter(move |statement| statement.judges().any(|case| case == path))
    }
}

impl Statement {
    /// The paths of all cases that judge it.
    pub fn judges(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().chain(&self.also).map(String::as_str)
    }
}

impl Guarantee {
    /// The cases that name it.
    pub fn judges(&self) -> impl Iterator<Item = &'static Case> {
        cases().filter(|case| case.guarantee == self.id)
    }
}

/// The contract that the suite holds implementations to.
pub fn contract() -> &'static Contract {
    static CONTRACT: LazyLock<Contract> =
        LazyLock::new(|| load().expect("invariant: the contract's files parse"));
    &CONTRACT
}

fn load() -> Result<Contract, DocumentError> {
    let mut whole = Contract::default();
    for (file, text) in FILES {
        let part: Contract = Document { file, text }.parse()?;
        whole.clauses.extend(part.clauses);
        whole.guarantees.extend(part.guarantees);
    }
    Ok(whole)
}

/// In the order of the contract.
const FILES: [(&str, &str); 6] = [
    ("requests.toml", include_str!("../contract/requests.toml")),
    ("queues.toml", include_str!("../contract/queues.toml")),
    ("messages.toml", include_str!("../contract/messages.toml")),
    ("claims.toml", include_str!("../contract/claims.toml")),
    ("service.toml", include_str!("../contract/service.toml")),
    (
        "guarantees.toml",
        include_str!("../contract/guarantees.toml"),
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_clause_and_statement_has_a_name_of_its_own() {
        let mut seen = BTreeSet::new();
        for clause in &contract().clauses {
            assert!(seen.insert(clause.id.clone()), "{} twice", clause.id);
            assert!(!clause.statements.is_empty(), "{} says nothing", clause.id);
            for statement in &clause.statements {
                let letter = statement.id.strip_prefix(&format!("{}-", clause.id));
                let plain = |letter: &str| letter.len() == 1 && letter.is_ascii();
                assert!(letter.is_some_and(plain), "{}", statement.id);
                assert!(seen.insert(statement.id.clone()), "{} twice", statement.id);
                assert!(statement.says.ends_with('.'), "{}", statement.id);
            }
        }
        for guarantee in &contract().guarantees {
            assert!(seen.insert(guarantee.id.clone()), "{} twice", guarantee.id);
        }
    }

    #[test]
    fn every_statement_has_cases_or_a_reason_and_only_one_of_them() {
        for clause in &contract().clauses {
            for statement in &clause.statements {
                let judged = statement.judges().next().is_some();
                let id = &statement.id;
                assert_ne!(judged, statement.untested.is_some(), "{id}");
            }
        }
        for guarantee in &contract().guarantees {
            let judged = guarantee.judges().next().is_some();
            let id = &guarantee.id;
            assert_ne!(judged, guarantee.untested.is_some(), "{id}");
        }
    }

    #[test]
    fn every_case_judges_a_statement_of_its_clause() {
        for case in cases() {
            let clause = contract().clause(case.clause);
            let clause =
                clause.unwrap_or_else(|| panic!("{}: no clause {}", case.path, case.clause));
            let judges =
                |statement: &Statement| statement.cases.iter().any(|path| path == case.path);
            assert!(
                clause.statements.iter().any(judges),
                "{} judges no statement of {}",
                case.path,
                case.clause
            );
            let known = case.guarantee.is_empty() || contract().guarantee(case.guarantee).is_some();
            assert!(known, "{}: no guarantee {}", case.path, case.guarantee);
        }
    }

    #[test]
    fn every_named_case_exists_and_is_of_the_clause_where_it_must_be() {
        let clause_of = |path: &str| {
            let case = cases().find(|case| case.path == path);
            case.unwrap_or_else(|| panic!("there is no case {path}"))
                .clause
        };
        for clause in &contract().clauses {
            for statement in &clause.statements {
                for path in &statement.cases {
                    assert_eq!(clause_of(path), clause.id, "{}: {path}", statement.id);
                }
                for path in &statement.also {
                    assert_ne!(clause_of(path), clause.id, "{}: {path}", statement.id);
                }
                let paths: BTreeSet<&str> = statement.judges().collect();
                assert_eq!(paths.len(), statement.judges().count(), "{}", statement.id);
            }
        }
    }
}
