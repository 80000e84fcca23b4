//! Requests in the simulated world: the reference behind hyper over simulated TCP, one thread.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use nanshe_conformance::target::Client;
use nanshe_simulator::implementations;
use nanshe_simulator::world::{Network, Node, endpoint};

/// Runs a world of `clients` clients that post `requests` messages each, one a request.
///
/// # Panics
///
/// If a request is not answered with 201: then the figure would mean nothing.
pub fn requests(clients: usize, requests: usize) {
    let config = madsim::Config::default();
    let runtime = madsim::runtime::Runtime::with_seed_and_config(1, config);
    runtime.block_on(async move {
        let latency = (Duration::from_micros(200), Duration::from_micros(800));
        let network = Network::new(latency, 1);
        let server = Node::new(&network, "server");
        let reference = implementations().next().expect("the reference comes first");
        reference.serve_alone(&server, "server", 1);
        let mut working = Vec::new();
        for number in 0..clients {
            let node = Node::new(&network, &format!("client-{number}"));
            let client = Client::new(
                node.environment(),
                endpoint("server"),
                Duration::from_secs(60),
                1,
            );
            let client = Arc::new(client);
            working.push(node.spawn(async move {
                for _ in 0..requests {
                    let answer = client.send(post()).await.expect("nothing is lost here");
                    assert_eq!(answer.status, http::StatusCode::CREATED);
                }
            }));
        }
        for client in working {
            client.await.expect("nobody kills a client");
        }
        server.kill();
    });
}

fn post() -> Request<Bytes> {
    let body = Bytes::from_static(br#"{"messages":[{"ttl":300,"body":{"event":"backup"}}]}"#);
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static("/v2/queues/bench/messages");
    let headers = request.headers_mut();
    let client = HeaderValue::from_static("3381af92-2b9e-11e3-b191-71861300734c");
    headers.insert("client-id", client);
    headers.insert("x-project-id", HeaderValue::from_static("bench"));
    request
}
