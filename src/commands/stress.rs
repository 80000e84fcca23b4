//! `nanshe stress`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nanshe_conformance::checker::judge_on;
use nanshe_conformance::environment::{Scaled, TokioEnvironment, World};
use nanshe_conformance::stress::{
    Ended, Fault, LASTS_MAX, Menu, Plan, Played, Stage, play, scheduled,
};
use nanshe_conformance::target::{Description, Endpoint};
use nanshe_conformance::verdict::Verdict;
use nanshe_conformance::workload::Workload;
use nanshe_simulator::scenario::Scenario;
use serde_json::json;

use self::folder::RunFolder;
use self::watch::Watch;
use super::login::{load, log_in};
use super::target::{interrupted, look, on_target};
use crate::args::Stress;
use crate::output::{Exit, HarnessFailed, Shell, wall_clock_seed};

pub(super) mod folder;
mod plan;
mod scenario;
#[cfg(test)]
mod tests;
mod watch;

/// How long clients work, unless something else is said, in seconds.
const DURATION_SECS: u64 = 60;

/// The longest time that a client waits for an answer, unless the command line says otherwise, in
/// seconds: a lost answer costs its client as much.
const PATIENCE_SECS_MAX: u64 = 5;

/// The shortest lease, unless the target file says otherwise, in seconds.
const CLAIM_TTL_SECS_MIN: u64 = 60;

/// The longest lifetime that a service has to give a message, in seconds (contract, limits).
const TTL_SECS_MAX: u64 = 1_209_600;

pub(crate) fn run(args: &Stress, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    // Everything is read before anything is started.
    let scenario = args.scenario.as_deref().map(Scenario::load).transpose()?;
    let workload = match &scenario {
        Some(scenario) => scenario.workload.clone(),
        None => Workload::load(&args.workload)?,
    };
    let mut target = load(&args.login, &args.target)?;
    if let Some(scale) = args.time_scale {
        target.control.time_scale = scale;
    }
    let workload = fitted(workload, args, &target)?;
    let intended = match &scenario {
        Some(scenario) => of_scenario(args, (scenario, workload), &target)?,
        None => of_menu(args, workload, &target)?,
    };
    if args.dry_run {
        shell.print(&plan::told(&intended, &target, target.slack))?;
        return Ok(Exit::Valid);
    }
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let work = async |target: &_, endpoint, pid, shell: &mut Shell<'_>| {
        stress(args, (target, intended), (endpoint, pid), shell).await
    };
    let exit = runtime.block_on(on_target(&target, shell, work));
    // What the proxy still holds for somebody who has gone is of no use to anybody.
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit
}

/// The workload, as the command line and the target's limits have it.
fn fitted(mut workload: Workload, args: &Stress, target: &Description) -> anyhow::Result<Workload> {
    let settings = &mut workload.settings;
    if let Some(clients) = args.clients {
        settings.clients = clients;
    }
    let shortest = target.control.claim_ttl_secs_min;
    if settings.claim_ttl_secs == CLAIM_TTL_SECS_MIN
        && let Some(shortest) = shortest
    {
        settings.claim_ttl_secs = shortest;
    }
    let shortest = shortest.unwrap_or(CLAIM_TTL_SECS_MIN);
    anyhow::ensure!(
        settings.claim_ttl_secs >= shortest,
        "{}: `claim_ttl_secs`: is {}, but the target grants no lease below {shortest} s; its \
         target file may say otherwise with `claim_ttl_secs_min`",
        args.scenario.as_deref().unwrap_or("--workload"),
        settings.claim_ttl_secs
    );
    Ok(workload)
}

/// What a run is meant to be.
struct Intended {
    plan: Plan,
    /// How it differs from the scenario that it is of; lines for people.
    differences: Vec<String>,
}

/// A run in which anything of the menu goes wrong.
fn of_menu(args: &Stress, workload: Workload, target: &Description) -> anyhow::Result<Intended> {
    let menu = Menu::of(&args.faults, &target.control).context("--faults")?;
    let scale = target.control.time_scale;
    let work = Duration::from_secs(args.duration.unwrap_or(DURATION_SECS)) * scale;
    let mut plan = bare(args, (workload, work), target);
    plan.schedule = menu.draw(plan.seed, work, LASTS_MAX * scale);
    plan.has_proxy = menu.has_network();
    outlive(args, &mut plan, target)?;
    let settings = &mut plan.workload.settings;
    // Pauses are the user's, time is the target's.
    settings.pause_ms_max *= u64::from(scale);
    let differences = Vec::new();
    Ok(Intended { plan, differences })
}

/// A run in which goes wrong what the scenario says, as far as that can be. All its times are the target's.
fn of_scenario(
    args: &Stress,
    (scenario, workload): (&Scenario, Workload),
    target: &Description,
) -> anyhow::Result<Intended> {
    let scale = target.control.time_scale;
    let work = args.duration.map(|secs| Duration::from_secs(secs) * scale);
    let work = work.unwrap_or(scenario.work);
    let clients = workload.settings.clients;
    let adopted = scenario::adopt(scenario, (target, clients), work)?;
    let mut plan = bare(args, (workload, work), target);
    plan.schedule = scheduled(&adopted.faults, plan.seed);
    let mut faults = plan.schedule.iter();
    plan.has_proxy = faults.any(|one| matches!(one.fault, Fault::Network { .. }));
    plan.turns = scenario.turns;
    plan.scenario = Some(scenario.name.clone());
    if !scenario.messages_expire {
        outlive(args, &mut plan, target)?;
    }
    let differences = adopted.differences;
    Ok(Intended { plan, differences })
}

/// Lets messages live until the drain.
fn outlive(args: &Stress, plan: &mut Plan, target: &Description) -> anyhow::Result<()> {
    let needed = plan.message_ttl_secs_min(target.slack * 2);
    anyhow::ensure!(
        needed <= TTL_SECS_MAX,
        "{}: messages would have to live {needed} s, until the drain is over, and services allow \
         {TTL_SECS_MAX} s: expected less than half of that",
        match &args.scenario {
            Some(file) if args.duration.is_none() => file,
            Some(_) | None => "--duration",
        }
    );
    let settings = &mut plan.workload.settings;
    settings.message_ttl_secs = settings.message_ttl_secs.max(needed);
    Ok(())
}

/// A run in which nothing goes wrong.
fn bare(args: &Stress, (workload, work): (Workload, Duration), target: &Description) -> Plan {
    let scale = target.control.time_scale;
    let most = target.patience.min(Duration::from_secs(PATIENCE_SECS_MAX));
    let patience = args.patience.map_or(most, Duration::from_secs) * scale;
    Plan {
        seed: args.seed.unwrap_or_else(wall_clock_seed),
        workload,
        work,
        turns: None,
        rate: args.rate.map(|rate| rate / f64::from(scale)),
        patience,
        schedule: Vec::new(),
        has_proxy: false,
        scenario: None,
        realm: format!("stress-{:x}", wall_clock_seed()),
    }
}

async fn stress(
    args: &Stress,
    (target, intended): (&Description, Intended),
    (endpoint, pid): (Endpoint, Option<u32>),
    shell: &mut Shell<'_>,
) -> anyhow::Result<Exit> {
    let scale = target.control.time_scale;
    let real: World = Arc::new(TokioEnvironment::new());
    let world: World = Arc::new(Scaled::new(Arc::clone(&real), scale));
    // Keystone's time is everybody's, whatever the target's is.
    let session = log_in(&args.login, target, real).await?;
    let target = &Description {
        session,
        ..target.clone()
    };
    // What preflight waits for, it waits for in the target's time.
    let patient = Description {
        patience: target.patience * scale,
        ..target.clone()
    };
    let slack = look(&world, &patient, &endpoint, shell).await?.slack;
    shell.say(plan::told(&intended, target, slack).trim_end());
    let repeat = plan::repeat(args, intended.plan.seed);
    let stored = plan::stored(&intended, target, &repeat);
    let Intended { plan, .. } = intended;
    let name = format!(
        "stress-{}-{}-{}",
        kebab(&target.name),
        kebab(plan.scenario.as_deref().unwrap_or(plan.workload.kind.name)),
        plan.seed
    );
    let mut folder = RunFolder::create(&args.runs, &name, &stored)?;
    let stage = Stage {
        world,
        time_scale: scale,
        target: target.clone(),
        endpoint,
        pid,
        slack,
    };
    let seed = plan.seed;
    let whole = plan.work + plan.quiet(slack);
    let mut watch = Watch::new(shell, whole, scale);
    let played = play(stage, plan, interrupted(), |progress| {
        watch.look(progress, &mut folder)
    });
    let played = played.await.map_err(|error| match error.is_usage() {
        true => anyhow::Error::new(error),
        false => HarnessFailed(error.to_string()).into(),
    })?;
    let unwritten = watch.finish();
    let exit = conclude(args, (&played, seed), &folder, shell)?;
    // What could not be written comes last, where it is seen.
    unwritten.map_or(Ok(exit), Err)
}

/// Judges what was recorded, whole or not, and tells and stores it.
fn conclude(
    args: &Stress,
    (played, seed): (&Played, u64),
    folder: &RunFolder,
    shell: &mut Shell<'_>,
) -> anyhow::Result<Exit> {
    let verdicts = judge_on(&played.recorder.history(), super::check::threads());
    let early = match &played.ended {
        Ended::Whole => None,
        Ended::Stopped(why) | Ended::Dead(why) => Some(why.clone()),
        Ended::Broken(why) => Some(format!("a command of the target file: {why}")),
    };
    // What broke a rule broke it; all else is not known if the run is not what was asked for.
    let verdict = match (verdicts.verdict(), &early) {
        (Verdict::Valid | Verdict::Unknown, Some(_)) => Verdict::Unknown,
        (verdict, _) => verdict,
    };
    let progress = &played.progress;
    let document = json!({
        "format": "nanshe-stress-verdicts",
        "version": 1,
        "verdict": verdict,
        "ended_early": early,
        "operations": progress.asked,
        "answered": progress.answered,
        "faults": progress.faults,
        "struck": progress.struck,
        "turned_away": played.turned_away,
        "repeat": plan::repeat(args, seed),
        "rules": verdicts.rules,
    });
    let path = folder.path().display().to_string();
    if args.json {
        shell.print(&format!("{document:#}\n"))?;
    } else {
        let mut text = super::check::text(&path, &verdicts);
        text += &format!(
            "{} operations, {} answered; {} faults, which struck {} requests\n",
            progress.asked, progress.answered, progress.faults, progress.struck
        );
        if played.turned_away > 0 {
            let count = played.turned_away;
            text +=
                &format!("{count} turns had no client left: the offered load was not reached\n");
        }
        text += &format!("repeat: {}\n", plan::repeat(args, seed));
        if let Some(why) = &early {
            text += &format!("NOT WHOLE: {why}; this is the verdict on what there is: {verdict}\n");
        }
        shell.print(&text)?;
    }
    folder.judge(&document)?;
    Ok(verdict.into())
}

/// A target's name, as it can stand in a file's.
pub(crate) fn kebab(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(word).collect();
    let parts: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-")
}
