//! `nanshe serve`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Context as _;
use nanshe_conformance::document;
use nanshe_reference::Service;
use nanshe_reference::config::Config;
use nanshe_reference::server::{Listeners, SystemClock, check, serve_with};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::args::{LogLevel, Serve};
use crate::output::{Exit, HarnessFailed, Shell, wall_clock_seed};

pub(crate) fn run(args: &Serve, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let config = configuration(args)?;
    if args.print_config {
        shell.print(&config.to_toml())?;
        return Ok(Exit::Valid);
    }
    log(args.log);
    raise_descriptors_max();
    let time_scale = NonZeroU32::new(args.time_scale).context("a clock does not stand still")?;
    let Config {
        settings,
        options,
        admin: options_admin,
        ..
    } = config.scaled(time_scale);
    // Before anybody is told that it serves.
    check(&options).with_context(|| args.config.clone().unwrap_or_default())?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let (http, address) = listen(args.bind).await?;
        let mut listeners = Listeners::from(http);
        let mut said = String::new();
        if let Some(bind) = args.admin.or(options_admin) {
            let (admin, address) = listen(bind).await?;
            listeners.admin = Some(admin);
            said += &format!("admin http://{address}\n");
        }
        said += &format!("serving http://{address}\n");
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

/// Lets what happens be told on standard error: only what our own packages tell.
fn log(level: LogLevel) {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_max_level(level)
        .finish();
    // Only tests run this twice in a process; then the first one goes on telling.
    drop(tracing::subscriber::set_global_default(subscriber));
}

/// Each connection takes a descriptor, and a system may allow few unless it is asked for more.
fn raise_descriptors_max() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it there are fewer connections at a time; the server tells of those it cannot accept.
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the number of descriptors");
    }
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
        let file = std::env::temp_dir().join(format!("nanshe-serve-{}.toml", std::process::id()));
        let path = file.to_string_lossy();
        std::fs::write(
            &file,
            "[subscriptions]\nauthorities_file = \"no/such.pem\"\n",
        )
        .unwrap();
        let (exit, out, error) = nanshe(&["serve", "--bind", "127.0.0.1:0", "--config", &path]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
        let expected = format!("nanshe: {path}: cannot read authorities from no/such.pem: ");
        assert!(error.starts_with(&expected), "{error}");
        let (exit, _, error) = nanshe(&["serve", "--config", "no/such.toml"]);
        assert_eq!((exit, error.lines().count()), (Exit::Usage, 1));
        assert_eq!(nanshe(&["serve", "--time-scale", "0"]).0, Exit::Usage);
        assert_eq!(nanshe(&["serve", "--websocket", "nowhere"]).0, Exit::Usage);
    }
}
