//! The contract as a page for people: clause, statements, cases. `conformance/CASES.md` is it.

use std::fmt::Write as _;

use super::{Clause, Contract, Statement, contract};
use crate::suite::cases;

/// The whole page, as Markdown.
pub fn table() -> String {
    let mut text = String::from(HEAD);
    // Writing to a string cannot fail.
    let _infallible = write_counts(&mut text, contract());
    for clause in &contract().clauses {
        let _infallible = write_clause(&mut text, clause);
    }
    let _infallible = write_guarantees(&mut text, contract());
    text
}

const HEAD: &str = "\
# Cases by clause

What the suite judges, and what it does not. Made by `nanshe list cases --markdown` from the cases and
`contract/*.toml`; a test fails when it is stale.

The cases in parentheses are of another clause and judge the statement on their way.
";

fn write_counts(text: &mut String, contract: &Contract) -> std::fmt::Result {
    let statements = || {
        contract
            .clauses
            .iter()
            .flat_map(|clause| &clause.statements)
    };
    let judged = statements().filter(|statement| statement.judges().next().is_some());
    let untested = statements().filter(|statement| statement.untested.is_some());
    writeln!(
        text,
        "\n{} clauses with {} statements: {} are judged by {} cases, {} are not tested for the reason \
         that they give.",
        contract.clauses.len(),
        statements().count(),
        judged.count(),
        cases().count(),
        untested.count(),
    )
}

fn write_clause(text: &mut String, clause: &Clause) -> std::fmt::Result {
    writeln!(text, "\n## {} {}\n", clause.id, clause.title)?;
    writeln!(text, "| | Statement | Cases |\n|---|---|---|")?;
    for statement in &clause.statements {
        let Statement { id, says, .. } = statement;
        writeln!(text, "| {id} | {} | {} |", cell(says), judges(statement))?;
    }
    Ok(())
}

fn judges(statement: &Statement) -> String {
    let own = statement.cases.iter().map(|path| format!("`{path}`"));
    let also = statement.also.iter().map(|path| format!("(`{path}`)"));
    let paths: Vec<String> = own.chain(also).collect();
    if paths.is_empty() {
        none(statement.untested.as_deref())
    } else {
        paths.join("<br>")
    }
}

fn none(untested: Option<&str>) -> String {
    let reason = untested.expect("what has no case has a reason, and a test sees to it");
    format!("not tested: {}", cell(reason))
}

fn write_guarantees(text: &mut String, contract: &Contract) -> std::fmt::Result {
    writeln!(text, "\n## Guarantees\n")?;
    writeln!(text, "| | Guarantee | Cases |\n|---|---|---|")?;
    for guarantee in &contract.guarantees {
        let count = match guarantee.judges().count() {
            0 => none(guarantee.untested.as_deref()),
            1 => "1 case".to_owned(),
            count => format!("{count} cases"),
        };
        let (id, title) = (&guarantee.id, cell(&guarantee.title));
        writeln!(
            text,
            "| {id} | {title}: {} | {count} |",
            cell(&guarantee.says)
        )?;
    }
    Ok(())
}

/// The texts are ours; only what would end a cell needs care.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_md_is_what_would_be_made_now() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/CASES.md");
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        // No diff of a thousand lines: the remedy is always the same.
        assert!(
            stored == table(),
            "stale: cargo run -- list cases --markdown > conformance/CASES.md"
        );
    }
}
