//! `nanshe serve`.

use std::sync::Arc;

use anyhow::Context as _;
use nanshe_reference::server::{SystemClock, serve};
use nanshe_reference::wire::Scheme;
use nanshe_reference::{Service, Settings};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Serve;
use crate::output::{Exit, HarnessFailed, Shell};

pub(crate) fn run(args: &Serve, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(args.bind)
            .await
            .with_context(|| format!("cannot listen on {}", args.bind))?;
        let address = listener.local_addr().context("cannot tell the address")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let stop = async move {
            tokio::select! {
                biased;
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        // Identifiers only have to differ from those of other runs.
        let seed = rand_seed();
        // The server has no TLS, so it refuses subscribers that need it.
        let settings = Settings {
            subscriber_schemes: [Scheme::Http].into(),
            ..Settings::default()
        };
        let service = Service::new(settings, seed, Arc::new(SystemClock::new()));
        shell.print(&format!("serving http://{address}\n"))?;
        let served = serve(listener, service, stop).await;
        served.map_err(|error| HarnessFailed(format!("serving failed: {error}")))?;
        shell.say("stopped");
        Ok(Exit::Valid)
    })
}

/// A seed that the next start will not have.
#[expect(clippy::disallowed_types, reason = "a shell reads the wall clock")]
fn rand_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |now| now.as_nanos() & u128::from(u64::MAX));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}
