//! The run's own subscriber: it writes every push down, and says that it has it.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use serde_json::Value;

use crate::environment::{Address, Listener, World};
use crate::history::{Recorder, What};

/// Largest push that is read, in bytes.
const PUSH_BYTES_MAX: usize = 1024 * 1024;

/// What the sink answers.
const STATUS: StatusCode = StatusCode::CREATED;

/// Listens until the run's world ends. The URL that subscribers are told.
///
/// # Errors
///
/// If there is no port.
pub(super) async fn open(
    world: &World,
    told: Option<Address>,
    recorder: Arc<Recorder>,
) -> std::io::Result<(String, tokio::task::JoinHandle<()>)> {
    let any = Address {
        host: "127.0.0.1".to_owned(),
        port: told.as_ref().map_or(0, |told| told.port),
    };
    let listener = world.listen(&any).await?;
    let mut address = told.unwrap_or_else(|| listener.address());
    address.port = listener.address().port;
    let url = format!("http://{address}/");
    let subscriber = url.clone();
    let world = Arc::clone(world);
    let listening = tokio::spawn(accept(listener, world, (recorder, subscriber)));
    Ok((url, listening))
}

async fn accept(
    listener: Box<dyn Listener>,
    world: World,
    (recorder, subscriber): (Arc<Recorder>, String),
) {
    while let Ok(stream) = listener.accept().await {
        let (world, recorder, subscriber) = (
            Arc::clone(&world),
            Arc::clone(&recorder),
            subscriber.clone(),
        );
        let service = service_fn(move |request: Request<Incoming>| {
            let (world, recorder, subscriber) = (
                Arc::clone(&world),
                Arc::clone(&recorder),
                subscriber.clone(),
            );
            async move {
                let body = Limited::new(request.into_body(), PUSH_BYTES_MAX);
                if let Ok(body) = body.collect().await
                    && let Some(push) = push(&body.to_bytes(), subscriber)
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

/// The event of a push; `None` if it is no message of this run, as a request to confirm is not.
fn push(body: &[u8], subscriber: String) -> Option<What> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let message = &json["body"];
    let token = message["token"].as_str()?.to_owned();
    let queue = json["queue_name"].as_str().unwrap_or_default().to_owned();
    let id = json["id"].as_str().map(str::to_owned);
    Some(What::Push {
        project: String::new(),
        queue,
        subscriber,
        token,
        id,
        status: Some(STATUS.as_u16()),
    })
}
