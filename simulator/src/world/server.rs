//! An implementation on a node, behind real hyper.

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use nanshe_conformance::environment::Address;
use nanshe_conformance::target::Endpoint;

use super::{Network, Node, Processor};
use crate::implementation::{Answer, Answering, Inbound};

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
    let Some(over) = client(&request).and_then(|client| network.draws_duplicate(client)) else {
        return answering(request.map(Inbound::new)).await;
    };
    let (parts, body) = request.into_parts();
    // A body that breaks off is one that was sent once.
    let bytes = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let bytes = bytes.unwrap_or_default();
    let again = || {
        let body = Full::new(bytes.clone()).map_err(|never| match never {});
        Request::from_parts(parts.clone(), Inbound::new(body))
    };
    drop(answering(again()).await);
    over();
    answering(again()).await
}

/// The number of the client that asks: a workload's clients have it at the end of their id.
fn client(request: &Request<Incoming>) -> Option<u64> {
    let id = request.headers().get("client-id")?.to_str().ok()?;
    let (_, number) = id.rsplit_once('-')?;
    u64::from_str_radix(number, 16).ok()
}
