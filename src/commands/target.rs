//! The target that a command is about: started if its file says how, looked at, and stopped again.

use std::sync::Arc;

use nanshe_conformance::environment::World;
use nanshe_conformance::suite::{self, Found, PreflightError};
use nanshe_conformance::target::{Description, Endpoint, Started};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::output::{HarnessFailed, Shell};

/// Starts the target if its file says how, hands `work` what is known of it then, where it is and its process, and stops
/// it, whatever came of that.
pub(super) async fn on_target<T>(
    target: &Description,
    shell: &mut Shell<'_>,
    work: impl AsyncFnOnce(&Description, Endpoint, Option<u32>, &mut Shell<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
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
    let told = started.as_ref().map(|started| started.told(target));
    let done = work(told.as_ref().unwrap_or(target), endpoint, pid, shell).await;
    if let Some(started) = started {
        let stopped = started.stop().await;
        stopped.map_err(|error| HarnessFailed(format!("{} did not stop: {error}", target.name)))?;
    }
    done
}

/// Looks whether the target is there and can be used, and says what it found.
pub(super) async fn look(
    world: &World,
    target: &Description,
    endpoint: &Endpoint,
    shell: &mut Shell<'_>,
) -> anyhow::Result<Found> {
    let found = suite::preflight(Arc::clone(world), target, endpoint).await;
    let found = found.map_err(|error| match error {
        PreflightError::NotThere(line) => HarnessFailed(line).into(),
        PreflightError::NotUsable(line) => anyhow::Error::msg(line),
    })?;
    found.lines.iter().for_each(|line| shell.say(line));
    Ok(found)
}

/// Ends when the user presses Ctrl-C, or the system asks: from now on, and not from when somebody waits, for what was
/// begun meanwhile would be left behind.
pub(super) fn interrupted() -> impl Future<Output = String> {
    let (pressed, ended) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    async move {
        tokio::select! {
            biased;
            () = came(pressed) => "Ctrl-C was pressed".to_owned(),
            () = came(ended) => "SIGTERM came".to_owned(),
        }
    }
}

/// Ends when it comes; never if it cannot be listened for, for then it is the system that ends the process.
async fn came(signal: std::io::Result<Signal>) {
    match signal {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}
