//! The ladders against a server, in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use nanshe_conformance::environment::{TokioEnvironment, World};
use nanshe_conformance::history::{FORMAT, Header, Profile, VERSION};
use nanshe_conformance::scale::{Options, Place, Report, climb};
use nanshe_conformance::suite::{self, PreflightError};
use nanshe_conformance::target::{Authentication, Description, Endpoint, Started};
use tokio::signal::unix::{SignalKind, signal};

use super::{options, repeat, stop_flag};
use crate::args::Scale;
use crate::output::{HarnessFailed, Shell, wall_clock_seed};

pub(super) fn run(
    args: &Scale,
    target: &Description,
    shell: &mut Shell<'_>,
) -> anyhow::Result<Report> {
    anyhow::ensure!(
        target.authentication != Some(Authentication::Keystone),
        "{}: `authentication`: scale does not log in to Keystone",
        target.name
    );
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let report = runtime.block_on(started(args, target, shell));
    runtime.shutdown_timeout(Duration::from_secs(1));
    report
}

async fn started(
    args: &Scale,
    target: &Description,
    shell: &mut Shell<'_>,
) -> anyhow::Result<Report> {
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
    let pool_uris = started.as_ref().map(|started| started.pool_uris.clone());
    let pool_uris = pool_uris.filter(|uris| !uris.is_empty());
    let pool_uris = pool_uris.unwrap_or_else(|| target.pool_uris.clone());
    let report = climbed(args, (target, endpoint, pool_uris), shell).await;
    if let Some(started) = started {
        let stopped = started.stop().await;
        stopped.map_err(|error| HarnessFailed(format!("{} did not stop: {error}", target.name)))?;
    }
    report
}

async fn climbed(
    args: &Scale,
    (target, endpoint, pool_uris): (&Description, Endpoint, Vec<String>),
    shell: &mut Shell<'_>,
) -> anyhow::Result<Report> {
    let world: World = Arc::new(TokioEnvironment::new());
    let found = suite::preflight(Arc::clone(&world), target, &endpoint).await;
    let found = found.map_err(|error| match error {
        PreflightError::NotThere(line) => HarnessFailed(line).into(),
        PreflightError::NotUsable(line) => anyhow::Error::msg(line),
    })?;
    found.lines.iter().for_each(|line| shell.say(line));
    let seed = args.seed.unwrap_or_else(wall_clock_seed);
    let mut options = options(args, Options::in_real_time(), seed);
    options.realm = format!("scale-{:x}-", wall_clock_seed());
    let slack = if target.slack_is_given {
        target.slack
    } else {
        found.slack
    };
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        seed,
        scenario: "scale".to_owned(),
        target: target.name.clone(),
        slack_ns: nanshe_conformance::environment::nanos(slack),
        latest_effect_ns: None,
        profile: Profile::default(),
    };
    let stop = stop_flag();
    let place = Place {
        world,
        endpoint,
        patience: target.patience,
        examined: None,
        is_virtual: false,
        pool_uris,
        stop: Arc::clone(&stop),
    };
    let listening = tokio::spawn(listen(stop));
    let bar = shell.spinner();
    let threads = crate::commands::check::threads();
    let bounds = target.scale.clone();
    let mut report = climb(place, (options, bounds), (&header, threads), |what| {
        bar.set_message(what.to_owned());
    })
    .await;
    bar.finish_and_clear();
    listening.abort();
    report.repeat = repeat(args, seed);
    Ok(report)
}

/// Sets `stop` when the user presses Ctrl-C, or the system asks.
async fn listen(stop: Arc<AtomicBool>) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        biased;
        pressed = tokio::signal::ctrl_c() => drop(pressed),
        _ = terminate.recv() => {}
    }
    stop.store(true, Ordering::Relaxed);
}
