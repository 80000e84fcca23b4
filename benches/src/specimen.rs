//! An implementation of the simulator outside of it, on loopback: one that takes time from its environment alone.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Context as _;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nanshe_conformance::environment::TokioEnvironment;
use nanshe_simulator::implementation::{Answering, Beside, Inbound};
use nanshe_simulator::specimens::{INDEXED, SCALING};
use nanshe_simulator::world::{ClockSettings, Disk, DiskSettings, NodeClock, Processor};
use nanshe_simulator::{Implementation, NodeContext};
use tokio::net::TcpListener;

/// The scaling specimen of that name, or the sound one.
///
/// # Errors
///
/// If there is none.
pub fn named(name: &str) -> anyhow::Result<Implementation> {
    let mut all = SCALING.iter().copied().chain([INDEXED]);
    all.find(|it| it.name == name).with_context(|| {
        let names: Vec<&str> = SCALING.iter().map(|it| it.name).collect();
        let names = names.join(", ");
        format!("there is no `{name}`, expected {}, {names}", INDEXED.name)
    })
}

/// What a node is to an implementation that really runs: nothing costs anything but what it does.
///
/// Must be called within a tokio runtime.
pub fn outside(name: &str) -> NodeContext {
    let settings = DiskSettings {
        write_us: (0, 0),
        sync_us: (0, 0),
    };
    NodeContext {
        name: name.to_owned(),
        servers: vec![name.to_owned()],
        clock: NodeClock::new(ClockSettings::default()),
        environment: Arc::new(TokioEnvironment::new()),
        disk: Disk::new(settings, 0),
        processor: Processor::free(),
        beside: Beside::default(),
        seed: 0,
    }
}

/// Serves `answering` until the runtime ends.
pub async fn serve(listener: TcpListener, answering: Answering) {
    while let Ok((stream, _)) = listener.accept().await {
        // Without it answers wait for each other; there is nobody to tell if it cannot be.
        drop(stream.set_nodelay(true));
        let answering = Arc::clone(&answering);
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answering(request.map(Inbound::new));
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        drop(tokio::spawn(connection));
    }
}
