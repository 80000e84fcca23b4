//! `nanshe replay`.

use std::path::Path;

use anyhow::Context as _;
use nanshe_conformance::checker::Verdicts;
use nanshe_conformance::document;
use nanshe_conformance::verdict::Verdict;
use serde_json::{Value, json};

use super::check::text;
use super::stress::folder::{HISTORY, VERDICTS};
use crate::args::Replay;
use crate::output::{Exit, Shell};

#[cfg(madsim)]
mod simulated;

pub(crate) fn run(args: &Replay, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let mut all = Vec::new();
    #[cfg_attr(
        not(madsim),
        expect(unused_mut, reason = "nothing was simulated by such a build")
    )]
    let mut worst = Verdict::Valid;
    // All are read before anything is printed: a broken one spoils no half of a report.
    for run in &args.runs {
        #[cfg(madsim)]
        if simulated::is_one(run) {
            worst = worst.max(simulated::again(run, args.json, shell)?);
            continue;
        }
        let path = run.join(HISTORY);
        let verdicts = super::check::judge(&path.to_string_lossy())?;
        let difference = difference(run, &verdicts)?;
        all.push((run, verdicts, difference));
    }
    for (run, verdicts, difference) in &all {
        let path = run.display().to_string();
        if args.json {
            let document = json!({
                "run": path,
                "verdict": verdicts.verdict(),
                "rules": verdicts.rules,
                "changed": difference,
            });
            shell.print(&format!("{document}\n"))?;
            continue;
        }
        shell.print(&text(&path, verdicts))?;
        for line in difference {
            shell.print(&format!("  changed: {line}\n"))?;
        }
    }
    let verdicts = all.iter().map(|(_, verdicts, _)| verdicts.verdict());
    let worst = if all.is_empty() {
        worst
    } else {
        Verdict::worst(verdicts.chain([worst]))
    };
    Ok(worst.into())
}

/// What the rules of today say differently from those that judged the run when it was stored.
fn difference(run: &Path, today: &Verdicts) -> anyhow::Result<Vec<String>> {
    let path = run.join(VERDICTS);
    if !path.exists() {
        return Ok(vec!["the run was never judged whole".to_owned()]);
    }
    let stored = document::read(&path.to_string_lossy())?;
    let stored: Value = serde_json::from_str(&stored)
        .with_context(|| format!("{}: is not the verdicts of a run", path.display()))?;
    let then = |rule: &str| {
        let mut rules = stored["rules"].as_array().into_iter().flatten();
        let found = rules.find(|found| found["rule"] == rule);
        found.map(|found| found["verdict"].as_str().unwrap_or_default().to_owned())
    };
    let rules = today.rules.iter().filter_map(|rule| {
        let now = rule.verdict.to_string();
        match then(rule.rule) {
            None => Some(format!("{} is new, and {now}", rule.rule)),
            Some(then) if then != now => Some(format!("{} was {then}, and is {now}", rule.rule)),
            Some(_) => None,
        }
    });
    Ok(rules.collect())
}
