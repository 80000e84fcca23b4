//! Every rule has histories that it must reject, and the nearest neighbour of each that it must accept.
//!
//! `fixtures/claims/overlap.renewed.violation.jsonl`: the rule, what the pair is about, the verdict.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nanshe_conformance::checker::{RULES, Verdicts, judge};
use nanshe_conformance::history;
use nanshe_conformance::verdict::Verdict;

/// Rules that are subtle enough to have more pairs than one.
const OLDEST_RULES: [&str; 4] = [
    "delivery/lost",
    "delivery/unexpected",
    "delivery/resurrected",
    "claims/overlap",
];

/// Rule, what about, expected verdict, verdicts.
fn fixtures() -> Vec<(String, String, Verdict, Verdicts)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut fixtures = Vec::new();
    for folder in ["delivery", "claims", "notify"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let words: Vec<&str> = name.split('.').collect();
            let [rule, about, verdict, "jsonl"] = words[..] else {
                panic!("{name}")
            };
            let verdict = serde_json::from_str(&format!("\"{verdict}\"")).unwrap();
            let history = history::read(fs::read(&path).unwrap().as_slice());
            let verdicts = judge(&history.unwrap_or_else(|error| panic!("{name}: {error}")));
            fixtures.push((
                format!("{folder}/{rule}"),
                about.to_owned(),
                verdict,
                verdicts,
            ));
        }
    }
    fixtures.sort_by(|one, other| (&one.0, &one.1, one.2).cmp(&(&other.0, &other.1, other.2)));
    fixtures
}

#[test]
fn fixtures_are_judged_as_their_names_say() {
    let mut wrong = Vec::new();
    for (rule, about, verdict, verdicts) in fixtures() {
        let judged = verdicts.rule(&rule).unwrap();
        if judged.verdict != verdict {
            wrong.push(format!("{rule} {about} is not {verdict}: {judged:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn violation_is_found_by_its_rule_alone() {
    let mut wrong = Vec::new();
    for (rule, about, _, verdicts) in fixtures() {
        let others = verdicts.rules.iter().filter(|other| other.rule != rule);
        for other in others.filter(|other| other.violations > 0) {
            wrong.push(format!("{rule} {about}: {other:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_violation_has_a_valid_neighbour_and_every_rule_has_both() {
    let mut pairs: BTreeMap<(String, String), Vec<Verdict>> = BTreeMap::new();
    for (rule, about, verdict, _) in fixtures() {
        pairs.entry((rule, about)).or_default().push(verdict);
    }
    for (pair, verdicts) in &pairs {
        let paired = *verdicts == [Verdict::Valid, Verdict::Violation];
        assert!(
            paired || *verdicts == [Verdict::Unknown],
            "{pair:?}: {verdicts:?}"
        );
    }
    for rule in RULES {
        let count = pairs.keys().filter(|(of, _)| of == rule.name).count();
        let is_old = OLDEST_RULES.contains(&rule.name);
        let wanted = if is_old { 4 } else { 1 };
        assert!(count >= wanted, "{} has {count} pairs", rule.name);
    }
}

#[test]
fn stories_tell_who_did_what_when() {
    let stories = fixtures()
        .into_iter()
        .filter(|(.., verdict, _)| *verdict == Verdict::Violation);
    let stories = stories.map(|(rule, about, _, verdicts)| {
        let told = verdicts.rule(&rule).unwrap().told.first().unwrap().clone();
        let story = told.story.iter().map(|line| format!("\n    {line}"));
        format!(
            "{rule}, {about}\n  {}{}\n",
            told.summary,
            story.collect::<String>()
        )
    });
    insta::assert_snapshot!(stories.collect::<Vec<_>>().join("\n"));
}
