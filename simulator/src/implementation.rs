//! What can be run as the server.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use nanshe_conformance::environment::{BoxFuture, Environment};
use nanshe_reference::broker::Limits;
use nanshe_reference::service::Service;
use tower_service::Service as _;

use crate::specimens;
use crate::variant::{self, Variant};
use crate::world::{ClockSettings, Node, NodeClock, serve};

/// A service on a node: a request in, an answer out.
pub type Answering =
    Arc<dyn Fn(Request<Incoming>) -> BoxFuture<Response<Full<Bytes>>> + Send + Sync>;

/// What a node gives to the implementation that runs on it. Time, tasks and randomness come from
/// here, never from the operating system.
#[derive(Clone)]
pub struct NodeContext {
    /// What the node believes the time to be.
    pub clock: NodeClock,
    /// True time, sleeping, spawning, connecting.
    pub environment: Arc<dyn Environment>,
    /// Where all its choices come from.
    pub seed: u64,
}

/// Something that can be run as the server.
#[derive(Clone, Copy)]
pub struct Implementation {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The rule that must catch it; `None` for one that keeps its promises.
    pub caught_by: Option<&'static str>,
    /// Starts it.
    pub start: fn(NodeContext) -> Answering,
    /// The configurations that the suite is run on; none: as it is.
    pub variants: &'static [Variant],
}

impl Implementation {
    /// Starts it on `node`, whose clock is wrong as `clock` says, and serves it there.
    pub fn serve_on(&self, node: &Node, clock: ClockSettings, seed: u64) {
        start_on(node, self.start, (clock, seed));
    }
}

/// Starts something on `node`, and serves it there.
pub(crate) fn start_on(
    node: &Node,
    start: fn(NodeContext) -> Answering,
    (clock, seed): (ClockSettings, u64),
) {
    let (clock, environment) = (NodeClock::new(clock), node.environment());
    serve(
        node,
        start(NodeContext {
            clock,
            environment,
            seed,
        }),
    );
}

/// The reference, then the specimens.
pub fn implementations() -> impl Iterator<Item = Implementation> {
    let reference = Implementation {
        name: "reference",
        about: "the reference broker, unchanged",
        caught_by: None,
        start: reference,
        variants: variant::REFERENCE,
    };
    std::iter::once(reference).chain(specimens::SPECIMENS.iter().copied())
}

fn reference(context: NodeContext) -> Answering {
    answering(Service::new(
        Limits::default(),
        context.seed,
        Arc::new(context.clock),
    ))
}

/// The reference's service as a node serves it.
pub(crate) fn answering(service: Service) -> Answering {
    Arc::new(move |request| {
        let mut service = service.clone();
        Box::pin(async move {
            match service.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        })
    })
}
