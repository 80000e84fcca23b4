//! `nanshe list`.

use nanshe_conformance::checker::RULES;
use nanshe_conformance::contract;
use nanshe_conformance::scale::Ladder;
use nanshe_conformance::stress::fault_words;
use nanshe_conformance::suite::{Case, cases};
use nanshe_conformance::workload::{Kind, WORKLOADS};
use serde_json::{Value, json};

use crate::args::{List, Listed};
use crate::output::{Exit, Shell};

mod scenarios;

pub(crate) fn run(args: &List, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    if args.markdown {
        return list_markdown(args, shell);
    }
    let is_read = matches!(args.what, Listed::Scenarios);
    if let Some(path) = args.paths.first().filter(|_| !is_read) {
        anyhow::bail!("{path}: only scenarios are read from files");
    }
    let (heads, rows) = match args.what {
        Listed::Cases if args.json => {
            shell.print(&format!("{:#}\n", cases_json()))?;
            return Ok(Exit::Valid);
        }
        Listed::Cases => list_cases(),
        Listed::Rules => list_rules(),
        Listed::Implementations => list_implementations()?,
        Listed::Workloads => list_workloads(),
        Listed::Faults => list_faults(),
        Listed::Ladders => list_ladders(),
        Listed::Scenarios => scenarios::list(&args.paths)?,
        Listed::Goals => list_goals()?,
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

fn list_markdown(args: &List, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    match args.what {
        Listed::Cases => shell.print(&contract::table())?,
        Listed::Rules
        | Listed::Implementations
        | Listed::Workloads
        | Listed::Faults
        | Listed::Ladders
        | Listed::Scenarios
        | Listed::Goals => {
            anyhow::bail!("--markdown: only cases are listed by clauses of the contract")
        }
    }
    Ok(Exit::Valid)
}

fn list_workloads() -> Table {
    let row = |kind: &Kind| {
        let actions = kind.actions.iter();
        let actions = actions.map(|action| format!("{} {}", action.word, action.weight));
        let actions: Vec<String> = actions.collect();
        vec![
            kind.name.to_owned(),
            kind.about.to_owned(),
            actions.join(", "),
        ]
    };
    let heads = vec!["name", "about", "mix"];
    (heads, WORKLOADS.iter().map(row).collect())
}

fn list_faults() -> Table {
    let rows = fault_words().into_iter();
    let rows = rows.map(|(word, about)| vec![word, about.to_owned()]);
    (vec!["name", "about"], rows.collect())
}

fn list_ladders() -> Table {
    let rows = Ladder::ALL.into_iter();
    let rows = rows.map(|ladder| vec![ladder.name().to_owned(), ladder.about().to_owned()]);
    (vec!["name", "about"], rows.collect())
}

fn list_cases() -> Table {
    let row = |case: &Case| {
        let needs = case.needs.iter().map(|need| need.word());
        let needs: Vec<&str> = needs.collect();
        [
            case.path.to_owned(),
            case.level.to_string(),
            case.clause.to_owned(),
            case.guarantee.to_owned(),
            format!("waits {}s", case.wait_secs),
            format!("since {}", case.since),
            case.provenance.to_string(),
            needs.join(","),
            case.decision.to_owned(),
        ]
        .to_vec()
    };
    let heads = vec![
        "path",
        "level",
        "clause",
        "guarantee",
        "longest_wait",
        "since",
        "provenance",
        "needs",
        "decision",
    ];
    (heads, cases().map(row).collect())
}

/// Everything there is to know about a case, as values and not as words.
fn cases_json() -> Value {
    let object = |case: &Case| {
        let statements = contract::contract().judged_by(case.path);
        let statements: Vec<&str> = statements.map(|statement| statement.id.as_str()).collect();
        json!({
            "path": case.path,
            "chapter": case.chapter(),
            "level": case.level,
            "clause": case.clause,
            "statements": statements,
            "guarantee": case.guarantee,
            "longest_wait_secs": case.wait_secs,
            "runs_apart": case.apart,
            "needs": case.needs,
            "provenance": case.provenance,
            "decision": case.decision,
            "since": case.since,
        })
    };
    cases().map(object).collect()
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

#[cfg(madsim)]
fn list_goals() -> anyhow::Result<Table> {
    use nanshe_simulator::{GOALS, Goal, Needs};
    let row = |goal: &Goal| {
        let needs = match goal.needs {
            Needs::Nothing => "any",
            Needs::Deaths => "that may be killed",
            Needs::Subscribers => "with subscriptions",
            Needs::Disk => "that writes to its disk",
            Needs::Clock => "that looks at its clock",
        };
        let faults: Vec<&str> = goal.faults.iter().map(|word| word.as_str()).collect();
        vec![
            goal.name.to_owned(),
            needs.to_owned(),
            faults.join(", "),
            goal.workloads.join(", "),
            goal.about.to_owned(),
        ]
    };
    let heads = vec!["goal", "implementations", "faults", "workloads", "about"];
    Ok((heads, GOALS.iter().map(row).collect()))
}

#[cfg(not(madsim))]
fn list_goals() -> anyhow::Result<Table> {
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
        let all = json.as_array().unwrap();
        let needy =
            |case: &&serde_json::Value| case["needs"].as_array().is_some_and(|n| !n.is_empty());
        assert!(all.iter().find(needy).is_some());
        for case in all {
            assert!(
                case["statements"]
                    .as_array()
                    .is_some_and(|found| !found.is_empty()),
                "{case}"
            );
            assert!(
                case["since"].is_u64() && case["longest_wait_secs"].is_u64(),
                "{case}"
            );
            assert!(
                case["provenance"].is_string() && case["decision"].is_string(),
                "{case}"
            );
        }
    }

    #[test]
    fn clauses_are_listed_with_their_cases_and_rules_have_no_clauses() {
        let (exit, out, _) = nanshe(&["list", "cases", "--markdown"]);
        assert_eq!(exit, Exit::Valid);
        assert!(
            out.contains("| 5.7-c | ")
                && out.contains("`messages/claimed-message-needs-its-claim`")
        );
        let (exit, _, error) = nanshe(&["list", "rules", "--markdown"]);
        assert_eq!((exit, error.lines().count()), (Exit::Usage, 1), "{error}");
    }

    #[cfg(madsim)]
    #[test]
    fn every_goal_is_listed_with_what_leads_to_it() {
        let (exit, json, _) = nanshe(&["list", "goals", "--json"]);
        assert_eq!(exit, Exit::Valid);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let listed = json.as_array().unwrap();
        assert_eq!(listed.len(), nanshe_simulator::GOALS.len());
        let torn = listed.iter().filter(|goal| {
            goal["faults"] == "crash, slow-disk"
                && goal["implementations"] == "that writes to its disk"
        });
        assert!(torn.count() > 0, "{json}");
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
