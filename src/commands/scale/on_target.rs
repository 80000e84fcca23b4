//! The ladders against a server, in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use nanshe_conformance::environment::{TokioEnvironment, World};
use nanshe_conformance::history::{FORMAT, Header, Profile, VERSION};
use nanshe_conformance::scale::{Options, Place, Report, climb};
use nanshe_conformance::target::{Description, Endpoint};

use super::{options, repeat};
use crate::args::Scale;
use crate::commands::login::log_in;
use crate::commands::target::{interrupted, look, on_target};
use crate::output::{Shell, wall_clock_seed};

pub(super) fn run(
    args: &Scale,
    target: &Description,
    shell: &mut Shell<'_>,
) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let work = async |target: &_, endpoint, _, shell: &mut Shell<'_>| {
        climbed(args, (target, endpoint), shell).await
    };
    let report = runtime.block_on(on_target(target, shell, work));
    runtime.shutdown_timeout(Duration::from_secs(1));
    report
}

async fn climbed(
    args: &Scale,
    (target, endpoint): (&Description, Endpoint),
    shell: &mut Shell<'_>,
) -> anyhow::Result<Report> {
    let world: World = Arc::new(TokioEnvironment::new());
    let target = &Description {
        session: log_in(&args.login, target, Arc::clone(&world)).await?,
        ..target.clone()
    };
    let slack = look(&world, target, &endpoint, shell).await?.slack;
    let seed = args.seed.unwrap_or_else(wall_clock_seed);
    let mut options = options(args, Options::in_real_time(), seed);
    options.realm = format!("scale-{:x}-", wall_clock_seed());
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
    let stop: Arc<AtomicBool> = Arc::default();
    let place = Place {
        world,
        endpoint,
        patience: target.patience,
        session: target.session.clone(),
        examined: None,
        is_virtual: false,
        pool_uris: target.pool_uris.clone(),
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
    interrupted().await;
    stop.store(true, Ordering::Relaxed);
}
