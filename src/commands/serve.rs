//! `nanshe serve`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Context as _;
use nanshe_conformance::document;
use nanshe_reference::Service;
use nanshe_reference::config::Config;
use nanshe_reference::server::{Listeners, SystemClock, serve_with};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Serve;
use crate::output::{Exit, HarnessFailed, Shell, wall_clock_seed};

pub(crate) fn run(args: &Serve, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let config = configuration(args)?;
    if args.print_config {
        shell.print(&config.to_toml())?;
        return Ok(Exit::Valid);
    }
    let time_scale = NonZeroU32::new(args.time_scale).context("a clock does not stand still")?;
    let Config {
        settings, options, ..
    } = config.scaled(time_scale);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let (http, address) = listen(args.bind).await?;
        let mut listeners = Listeners::from(http);
        let mut said = format!("serving http://{address}\n");
        if let Some(bind) = args.websocket {
            let (websocket, address) = listen(bind).await?;
            listeners.websocket = Some(websocket);
            said += &format!("serving ws://{address}\n");
        }
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
        let seed = wall_clock_seed();
        let service = Service::new(settings, seed, Arc::new(SystemClock::scaled(time_scale)));
        shell.print(&said)?;
        let served = serve_with(listeners, service, options, stop).await;
        served.map_err(|error| HarnessFailed(format!("serving failed: {error}")))?;
        shell.say("stopped");
        Ok(Exit::Valid)
    })
}

/// A listener, and the address that it has got.
async fn listen(bind: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(bind).await;
    let listener = listener.with_context(|| format!("cannot listen on {bind}"))?;
    let address = listener.local_addr().context("cannot tell the address")?;
    Ok((listener, address))
}

/// The configuration that the file says, or the default one.
fn configuration(args: &Serve) -> anyhow::Result<Config> {
    let Some(file) = &args.config else {
        return Ok(Config::default());
    };
    let text = document::read(file)?;
    Ok(Config::parse(file, &text)?)
}

#[cfg(test)]
mod tests {
    use nanshe_reference::config::Config;

    use crate::commands::tests::nanshe;
    use crate::output::Exit;

    #[test]
    fn the_configuration_is_printed_as_it_would_be_read() {
        let (exit, out, error) = nanshe(&["serve", "--print-config"]);
        assert_eq!((exit, error.as_str()), (Exit::Valid, ""));
        assert_eq!(Config::parse("out", &out), Ok(Config::default()));
    }

    #[test]
    fn a_configuration_that_cannot_be_followed_is_refused_in_one_line() {
        // This file is TOML, but no configuration.
        let (exit, out, error) = nanshe(&["serve", "--config", "Cargo.toml"]);
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
        assert!(
            error.starts_with("nanshe: Cargo.toml:1: `workspace`: there is no"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1);
        let (exit, _, error) = nanshe(&["serve", "--config", "no/such.toml"]);
        assert_eq!((exit, error.lines().count()), (Exit::Usage, 1));
        assert_eq!(nanshe(&["serve", "--time-scale", "0"]).0, Exit::Usage);
        assert_eq!(nanshe(&["serve", "--websocket", "nowhere"]).0, Exit::Usage);
    }
}
