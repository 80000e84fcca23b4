//! An implementation on a node, behind real hyper.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use nanshe_conformance::environment::Address;
use nanshe_conformance::target::Endpoint;

use super::{Network, Node, Processor};
use crate::implementation::{Answer, Answering, Inbound, empty};

/// The port that every server listens on.
pub const PORT: u16 = 8888;

/// Where a client finds what is served on the node called `name`.
pub fn endpoint(name: &str) -> Endpoint {
    let address = Address {
        host: name.to_owned(),
        port: PORT,
    };
    Endpoint {
        address,
        prefix: String::new(),
        tls: None,
    }
}

/// Serves `answering` on `node` until the node dies. Every request costs the time of `processor`.
pub fn serve(node: &Node, answering: Answering, processor: Processor) {
    let (network, listener) = (node.network.clone(), node.network.listen(node.id, PORT));
    let serving = node.clone();
    drop(node.spawn(async move {
        loop {
            let stream = listener.accept().await;
            let (answering, network) = (answering.clone(), network.clone());
            let processor = processor.clone();
            let service = service_fn(move |request| {
                let (answering, network) = (answering.clone(), network.clone());
                let processor = processor.clone();
                async move {
                    processor.work().await;
                    Ok::<_, std::convert::Infallible>(answer(&answering, &network, request).await)
                }
            });
            drop(serving.spawn(async move {
                // A connection that breaks is the client's to tell.
                drop(
                    http1::Builder::new()
                        .serve_connection(stream, service)
                        .with_upgrades()
                        .await,
                );
            }));
        }
    }));
}

/// The answer to a request, or to its repetition: a balancer that tries again passes on the last.
async fn answer(answering: &Answering, network: &Network, request: Request<Incoming>) -> Answer {
    let drawn = client(&request).and_then(|client| Some((client, network.draws_duplicate()?)));
    let Some((client, balancer)) = drawn else {
        return answering(request.map(Inbound::new)).await;
    };
    let (parts, body) = request.into_parts();
    // A balancer that sends twice has the whole request first. One that broke off goes nowhere.
    let Ok(body) = body.collect().await else {
        return empty(StatusCode::BAD_REQUEST);
    };
    let request = Request::from_parts(parts, body.to_bytes());
    let whole = |body: Bytes| Inbound::new(Full::new(body).map_err(|never| match never {}));
    if let Some(over) = balancer.repeats(client, &request) {
        network.repeats();
        drop(answering(request.clone().map(whole)).await);
        over();
    }
    answering(request.map(whole)).await
}

/// The number of the client that asks: a workload's clients have it at the end of their id.
fn client(request: &Request<Incoming>) -> Option<u64> {
    let id = request.headers().get("client-id")?.to_str().ok()?;
    let (_, number) = id.rsplit_once('-')?;
    u64::from_str_radix(number, 16).ok()
}
