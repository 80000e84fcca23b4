//! The run's own subscriber: it writes every push down, and says that it has it.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;

use crate::environment::{Address, Listener, World};
use crate::history::Recorder;
use crate::workload::pushed;

/// Largest push that is read, in bytes.
const PUSH_BYTES_MAX: usize = 1024 * 1024;

/// What the sink answers.
const STATUS: StatusCode = StatusCode::CREATED;

/// Listens until the run's world ends; names of queues begin with `names` on the wire. The URL that subscribers
/// are told.
///
/// # Errors
///
/// If there is no port.
pub(super) async fn open(
    world: &World,
    told: Option<Address>,
    (recorder, names): (Arc<Recorder>, String),
) -> std::io::Result<(String, tokio::task::JoinHandle<()>)> {
    let any = Address {
        host: "127.0.0.1".to_owned(),
        port: told.as_ref().map_or(0, |told| told.port),
    };
    let listener = world.listen(&any).await?;
    let mut address = told.unwrap_or_else(|| listener.address());
    address.port = listener.address().port;
    let url = format!("http://{address}/");
    let world = Arc::clone(world);
    let listening = tokio::spawn(accept(listener, world, (recorder, url.clone(), names)));
    Ok((url, listening))
}

async fn accept(
    listener: Box<dyn Listener>,
    world: World,
    (recorder, subscriber, names): (Arc<Recorder>, String, String),
) {
    let about: Arc<(String, String)> = Arc::new((subscriber, names));
    while let Ok(stream) = listener.accept().await {
        let (world, recorder, about) = (
            Arc::clone(&world),
            Arc::clone(&recorder),
            Arc::clone(&about),
        );
        let service = service_fn(move |request: Request<Incoming>| {
            let (world, recorder, about) = (
                Arc::clone(&world),
                Arc::clone(&recorder),
                Arc::clone(&about),
            );
            async move {
                let body = Limited::new(request.into_body(), PUSH_BYTES_MAX);
                if let Ok(body) = body.collect().await
                    && let Some(push) = pushed(
                        &body.to_bytes(),
                        (&about.0, &about.1),
                        Some(STATUS.as_u16()),
                    )
                {
                    recorder.add(&world, push);
                }
                let mut answer = Response::new(Empty::<Bytes>::new());
                *answer.status_mut() = STATUS;
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new().serve_connection(stream, service);
        drop(tokio::spawn(async move { drop(connection.await) }));
    }
}
