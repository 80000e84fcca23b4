//! `nanshe list`.

use nanshe_conformance::checker::RULES;
use nanshe_conformance::suite::cases;
use serde_json::{Value, json};

use crate::args::{List, Listed};
use crate::output::{Exit, Shell};

pub(crate) fn run(args: &List, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let (heads, rows) = match args.what {
        Listed::Cases => list_cases(),
        Listed::Rules => list_rules(),
        Listed::Implementations => list_implementations()?,
    };
    let text = if args.json {
        let object = |row: &Vec<String>| {
            heads
                .iter()
                .map(|head| (*head).to_owned())
                .zip(row.iter().map(|cell| json!(cell)))
                .collect()
        };
        let rows: Vec<Value> = rows.iter().map(|row| Value::Object(object(row))).collect();
        format!("{:#}\n", json!(rows))
    } else {
        table(&rows)
    };
    shell.print(&text)?;
    Ok(Exit::Valid)
}

type Table = (Vec<&'static str>, Vec<Vec<String>>);

fn list_cases() -> Table {
    let row = |case: &nanshe_conformance::suite::Case| {
        let wait = format!("waits {}s", case.wait_secs);
        let needs: Vec<&str> = case.needs.iter().map(|need| need.word()).collect();
        let words = [
            case.path,
            &case.level.to_string(),
            case.clause,
            case.guarantee,
            &wait,
            &format!("since {}", case.since),
            &case.provenance.to_string(),
            &needs.join(","),
            case.decision,
        ];
        words.map(str::to_owned).to_vec()
    };
    (
        vec![
            "path",
            "level",
            "clause",
            "guarantee",
            "longest_wait",
            "since",
            "provenance",
            "needs",
            "decision",
        ],
        cases().map(row).collect(),
    )
}

fn list_rules() -> Table {
    let rows = RULES
        .iter()
        .map(|rule| [rule.name, rule.guarantee, rule.violation]);
    (
        vec!["rule", "guarantee", "violation"],
        rows.map(|row| row.map(str::to_owned).to_vec()).collect(),
    )
}

#[cfg(madsim)]
fn list_implementations() -> anyhow::Result<Table> {
    let row = |implementation: nanshe_simulator::Implementation| {
        let caught_by = implementation.caught_by.unwrap_or("keeps its promises");
        [implementation.name, caught_by, implementation.about]
            .map(str::to_owned)
            .to_vec()
    };
    let rows = nanshe_simulator::implementations().map(row).collect();
    Ok((vec!["implementation", "caught_by", "about"], rows))
}

#[cfg(not(madsim))]
fn list_implementations() -> anyhow::Result<Table> {
    anyhow::bail!(nanshe_simulator::UNAVAILABLE)
}

/// Columns as wide as their widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(String::len)
            .max()
            .unwrap_or(0)
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = width(column);
            format!("{cell:<width$}")
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use crate::commands::tests::nanshe;
    use crate::output::Exit;

    #[test]
    fn every_case_is_listed_with_its_clause() {
        let (exit, out, _) = nanshe(&["list", "cases"]);
        assert_eq!(exit, Exit::Valid);
        assert_eq!(
            out.lines().count(),
            nanshe_conformance::suite::cases().count()
        );
        let (_, json, _) = nanshe(&["list", "cases", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(json[0]["path"].is_string() && json[0]["clause"].is_string());
    }

    #[test]
    fn rules_are_listed() {
        let (_, out, _) = nanshe(&["list", "rules"]);
        assert!(
            out.contains("delivery/lost") && out.contains("claims/overlap"),
            "{out}"
        );
    }
}
