//! What a run is going to be: for people before it begins, for programs in its folder.

use std::time::Duration;

use nanshe_conformance::stress::Scheduled;
use nanshe_conformance::target::Description;
use serde_json::{Value, json};

use super::{DURATION_SECS, Intended};
use crate::args::Stress;

/// The plan as text, with the time that it takes and why.
pub(super) fn told(intended: &Intended, target: &Description, slack: Duration) -> String {
    let plan = &intended.plan;
    let settings = &plan.workload.settings;
    let scale = target.control.time_scale;
    let real = |span: Duration| span.as_secs_f64() / f64::from(scale);
    let who = match plan.rate {
        Some(rate) => format!("{} turns a second", rate * f64::from(scale)),
        None => format!("{} clients", settings.clients),
    };
    let of = plan.scenario.as_ref();
    let of = of.map_or(String::new(), |name| format!(" of {name}"));
    let mut text = format!(
        "plan: {}{of} on {} by {who} for {:.0} s, seed {}\n",
        plan.workload.kind.name,
        target.name,
        real(plan.work),
        plan.seed
    );
    if scale > 1 {
        text +=
            &format!("      the target lets {scale} s pass in each; what follows is in its time\n");
    }
    for scheduled in &plan.schedule {
        text += &format!("      {}\n", line(scheduled));
    }
    if plan.schedule.is_empty() {
        text += "      nothing is made to go wrong\n";
    }
    for difference in &intended.differences {
        text += &format!("      not as in the scenario: {difference}\n");
    }
    if let Some(turns) = plan.turns.filter(|_| plan.rate.is_none()) {
        text += &format!("      turns of each client, at most: {turns}\n");
    }
    text += &format!(
        "      then all heals, and nothing happens until what is under way can have no effect any more \
         ({:.0} s)\n      and leases of {} s have ended: {:.0} s; then the drain. About {:.0} s in all\n",
        plan.latest_effect().as_secs_f64(),
        settings.claim_ttl_secs,
        real(plan.quiet(slack)),
        real(plan.work + plan.quiet(slack)),
    );
    text
}

/// `3.200s to 8.900s drop-answers 12%`
fn line(scheduled: &Scheduled) -> String {
    let secs = |span: Duration| span.as_secs_f64();
    let (from, to) = (scheduled.from(), scheduled.from() + scheduled.lasts());
    format!(
        "{:7.1}s to {:7.1}s {}",
        secs(from),
        secs(to),
        scheduled.fault
    )
}

/// The plan as it is stored.
pub(super) fn stored(intended: &Intended, target: &Description, repeat: &str) -> Value {
    let plan = &intended.plan;
    json!({
        "format": "nanshe-stress-plan",
        "version": 1,
        "target": target.name,
        "seed": plan.seed,
        "scenario": plan.scenario,
        "not_as_in_the_scenario": intended.differences,
        "workload": plan.workload.kind.name,
        "settings": plan.workload.settings,
        "work_ms": millis(plan.work),
        "turns": plan.turns,
        "turns_a_second": plan.rate,
        "patience_ms": millis(plan.patience),
        "time_scale": target.control.time_scale,
        "realm": plan.realm,
        "schedule": plan.schedule,
        "repeat": repeat,
    })
}

/// The command that runs the same again. What the clients see then may still differ: the target's time
/// and the network's are its own.
pub(super) fn repeat(args: &Stress, seed: u64) -> String {
    let mut words = vec!["nanshe stress".to_owned(), args.target.clone()];
    match &args.scenario {
        Some(file) => words.push(format!("--scenario {file}")),
        None => words.extend([
            format!("--workload {}", args.workload),
            format!("--faults {}", args.faults.join(",")),
        ]),
    }
    let usual = args.scenario.is_none().then_some(DURATION_SECS);
    let duration = args.duration.or(usual);
    words.extend(duration.map(|secs| format!("--duration {secs}")));
    words.push(format!("--seed {seed}"));
    words.extend(args.clients.map(|clients| format!("--clients {clients}")));
    words.extend(args.rate.map(|rate| format!("--rate {rate}")));
    words.extend(args.patience.map(|secs| format!("--patience {secs}")));
    words.extend(args.time_scale.map(|scale| format!("--time-scale {scale}")));
    words.extend(args.login.words());
    words.join(" ")
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
