//! `nanshe stress`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nanshe_conformance::checker::judge_on;
use nanshe_conformance::environment::{Scaled, TokioEnvironment, World};
use nanshe_conformance::stress::{Ended, LASTS_MAX, Menu, Plan, Played, Stage, play};
use nanshe_conformance::suite::{self, PreflightError};
use nanshe_conformance::target::{Authentication, Description, Endpoint, Started};
use nanshe_conformance::verdict::Verdict;
use nanshe_conformance::workload::Workload;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::folder::RunFolder;
use self::watch::Watch;
use crate::args::Stress;
use crate::output::{Exit, HarnessFailed, Shell, wall_clock_seed};

pub(super) mod folder;
mod plan;
#[cfg(test)]
mod tests;
mod watch;

/// The longest time that a client waits for an answer, unless the command line says otherwise, in
/// seconds: a lost answer costs its client as much.
const PATIENCE_SECS_MAX: u64 = 5;

/// The shortest lease, unless the target file says otherwise, in seconds.
const CLAIM_TTL_SECS_MIN: u64 = 60;

pub(crate) fn run(args: &Stress, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    // Everything is read before anything is started.
    let workload = Workload::load(&args.workload)?;
    let mut target = Description::load(&args.target)?;
    anyhow::ensure!(
        target.authentication != Some(Authentication::Keystone),
        "{}: `authentication`: stress does not log in to Keystone",
        args.target
    );
    if let Some(scale) = args.time_scale {
        target.control.time_scale = scale;
    }
    let menu = Menu::of(&args.faults, &target.control).context("--faults")?;
    let workload = fitted(workload, args, &target)?;
    let plan = planned(args, workload, (&target, &menu));
    if args.dry_run {
        shell.print(&plan::told(&plan, &target, target.slack))?;
        return Ok(Exit::Valid);
    }
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let exit = runtime.block_on(on_target(args, (&target, plan), shell));
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
        "--workload: `claim_ttl_secs`: is {}, but the target grants no lease below {shortest} s; its \
         target file may say otherwise with `claim_ttl_secs_min`",
        settings.claim_ttl_secs
    );
    Ok(workload)
}

fn planned(args: &Stress, workload: Workload, (target, menu): (&Description, &Menu)) -> Plan {
    let scale = target.control.time_scale;
    let seed = args.seed.unwrap_or_else(wall_clock_seed);
    let work = Duration::from_secs(args.duration) * scale;
    let most = target.patience.min(Duration::from_secs(PATIENCE_SECS_MAX));
    let patience = args.patience.map_or(most, Duration::from_secs) * scale;
    let mut plan = Plan {
        seed,
        workload,
        work,
        rate: args.rate.map(|rate| rate / f64::from(scale)),
        patience,
        schedule: menu.draw(seed, work, LASTS_MAX * scale),
        has_proxy: menu.has_network(),
        realm: format!("stress-{:x}", wall_clock_seed()),
    };
    let needed = plan.message_ttl_secs_min(target.slack * 2);
    let settings = &mut plan.workload.settings;
    settings.message_ttl_secs = settings.message_ttl_secs.max(needed);
    // Pauses are the user's, time is the target's.
    settings.pause_ms_max *= u64::from(scale);
    plan
}

async fn on_target(
    args: &Stress,
    (target, plan): (&Description, Plan),
    shell: &mut Shell<'_>,
) -> anyhow::Result<Exit> {
    let started = match &target.start {
        None => None,
        Some(start) => {
            let command = start.command.join(" ");
            shell.say(&format!("starting {} ({command})", target.name));
            let started = Started::start(start).await;
            Some(started.map_err(|error| HarnessFailed(format!("{}: {error}", target.name)))?)
        }
    };
    let endpoint = started.as_ref().map(|started| started.endpoint.clone());
    let endpoint = endpoint.or_else(|| target.endpoint.clone());
    let endpoint = endpoint.expect("a description has a URL or a start command");
    let pid = started.as_ref().and_then(Started::pid);
    let found = stress(args, (target, plan), (endpoint, pid), shell).await;
    if let Some(started) = started {
        let stopped = started.stop().await;
        stopped.map_err(|error| HarnessFailed(format!("{} did not stop: {error}", target.name)))?;
    }
    found
}

async fn stress(
    args: &Stress,
    (target, plan): (&Description, Plan),
    (endpoint, pid): (Endpoint, Option<u32>),
    shell: &mut Shell<'_>,
) -> anyhow::Result<Exit> {
    let scale = target.control.time_scale;
    let real: World = Arc::new(TokioEnvironment::new());
    let world: World = Arc::new(Scaled::new(real, scale));
    // What preflight waits for, it waits for in the target's time.
    let patient = Description {
        patience: target.patience * scale,
        ..target.clone()
    };
    let found = suite::preflight(Arc::clone(&world), &patient, &endpoint).await;
    let found = found.map_err(|error| match error {
        PreflightError::NotThere(line) => HarnessFailed(line).into(),
        PreflightError::NotUsable(line) => anyhow::Error::msg(line),
    })?;
    let slack = if target.slack_is_given {
        target.slack
    } else {
        found.slack
    };
    found.lines.iter().for_each(|line| shell.say(line));
    shell.say(plan::told(&plan, target, slack).trim_end());
    let name = format!(
        "stress-{}-{}-{}",
        kebab(&target.name),
        plan.workload.kind.name,
        plan.seed
    );
    let stored = plan::stored(&plan, target, &plan::repeat(args, plan.seed));
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
    let played = played.await?;
    let unwritten = watch.finish();
    let exit = conclude(args, (&played, seed), &folder, shell)?;
    // What could not be written comes last, where it is seen.
    unwritten.map_or(Ok(exit), Err)
}

/// Ends when the user presses Ctrl-C, or the system asks.
async fn interrupted() -> String {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        biased;
        pressed = tokio::signal::ctrl_c() => match pressed {
            Ok(()) => "Ctrl-C was pressed".to_owned(),
            // Then it is the system that ends the process.
            Err(_) => std::future::pending().await,
        },
        _ = terminate.recv() => "SIGTERM came".to_owned(),
    }
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
fn kebab(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(word).collect();
    let parts: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-")
}
