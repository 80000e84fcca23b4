//! An implementation on a node, behind real hyper.

use hyper::server::conn::http1;
use hyper::service::service_fn;

use nanshe_conformance::environment::Address;
use nanshe_conformance::target::Endpoint;

use super::Node;
use crate::implementation::Answering;

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

/// Serves `answering` on `node` until the node dies.
pub fn serve(node: &Node, answering: Answering) {
    let listener = node.network.listen(node.id, PORT);
    drop(node.spawn(async move {
        loop {
            let stream = listener.accept().await;
            let answering = answering.clone();
            let service = service_fn(move |request| {
                let answer = answering(request);
                async move { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            drop(madsim::task::spawn(async move {
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
