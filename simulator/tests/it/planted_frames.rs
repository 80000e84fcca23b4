//! Servers with a planted fault in what they say over WebSocket, or in the mail that they send.
//!
//! Each is the reference behind something that meddles with frames: a socket towards the client, and
//! another one towards the reference.

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use nanshe_conformance::environment::BoxFuture;
use nanshe_simulator::NodeContext;
use nanshe_simulator::implementation::{Answering, Inbound};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::planted::{caught, reference};

/// Bytes under way in each direction between the two sockets.
const BUFFER_BYTES: usize = 64 * 1024;

/// What is wrong with a server's frames.
trait Fault: Send + 'static {
    /// Whether the reference's socket stays open when the client's has closed.
    const STAYS_OPEN: bool = false;

    /// Changes a request.
    fn meddle(_: &mut Value) {}

    /// Changes what the server says; `false` keeps it back.
    fn answer(_: &mut Value) -> bool {
        true
    }
}

fn start<F: Fault>(context: NodeContext) -> Answering {
    let environment = Arc::clone(&context.environment);
    let inner = (reference(0).start)(context);
    Arc::new(move |mut request: Request<Inbound>| {
        if !request.headers().contains_key(header::UPGRADE) {
            return inner(request);
        }
        let response: Response<Full<Bytes>> =
            create_response_with_body(&request, Full::default).unwrap();
        let upgrade = hyper::upgrade::on(&mut request);
        let (ours, theirs) = tokio::io::duplex(BUFFER_BYTES);
        environment.spawn(serving(&inner, theirs));
        environment.spawn(Box::pin(between::<F>(upgrade, ours)));
        Box::pin(std::future::ready(response))
    })
}

/// The reference, on one end of a pipe.
fn serving(inner: &Answering, stream: tokio::io::DuplexStream) -> BoxFuture<()> {
    let inner = Arc::clone(inner);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let answer = inner(request.map(Inbound::new));
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    Box::pin(async move { drop(connection.with_upgrades().await) })
}

async fn between<F: Fault>(upgrade: OnUpgrade, ours: tokio::io::DuplexStream) {
    let client = TokioIo::new(upgrade.await.unwrap());
    let mut client = WebSocketStream::from_raw_socket(client, Role::Server, None).await;
    let (mut server, _) = client_async("ws://inner/", ours).await.unwrap();
    loop {
        let sent = match select(client.next(), server.next()).await {
            Either::Left((Some(Ok(mut message)), _)) => {
                changed(&mut message, |document| {
                    F::meddle(document);
                    true
                });
                server.send(message).await
            }
            Either::Right((Some(Ok(mut message)), _)) => {
                if !changed(&mut message, F::answer) {
                    continue;
                }
                client.send(message).await
            }
            Either::Left(_) | Either::Right(_) => break,
        };
        if sent.is_err() {
            break;
        }
    }
    if F::STAYS_OPEN {
        // Nobody tells the reference that the client has gone.
        std::future::pending::<()>().await;
    }
}

fn changed(message: &mut Message, change: impl FnOnce(&mut Value) -> bool) -> bool {
    let Message::Text(text) = &message else {
        return true;
    };
    let Ok(mut document) = serde_json::from_str(text.as_str()) else {
        return true;
    };
    let passes = change(&mut document);
    *message = Message::text(document.to_string());
    passes
}

/// Declares a fault and the test that it is caught.
macro_rules! planted {
    ($test:ident, $fault:ident { $($item:item)* }, $paths:expr) => {
        struct $fault;
        impl Fault for $fault { $($item)* }
        #[test]
        fn $test() {
            caught(0, start::<$fault>, &$paths);
        }
    };
}

planted!(
    answers_do_not_say_what_they_answer,
    NoEcho {
        fn answer(document: &mut Value) -> bool {
            if document.get("request").is_some() {
                document["request"]["body"] = json!({});
            }
            true
        }
    },
    ["websocket/answer-repeats-its-request"]
);
planted!(
    a_malformed_request_is_a_success,
    NoErrors {
        fn answer(document: &mut Value) -> bool {
            if document["headers"]["status"] == 400 {
                document["headers"]["status"] = json!(200);
            }
            true
        }
    },
    [
        "websocket/undecodable-frame-is-refused",
        "websocket/request-is-an-object",
        "websocket/unknown-action-is-refused",
        "websocket/client-and-project-are-needed",
        "websocket/members-are-of-their-kind",
        "websocket/claim-terms-are-checked",
    ]
);
planted!(
    nothing_is_pushed,
    NoPushes {
        fn answer(document: &mut Value) -> bool {
            document.get("request").is_some()
        }
    },
    [
        "websocket/subscribed-socket-is-notified",
        "websocket/notification-is-as-documented",
        "websocket/every-subscribed-socket-is-notified",
    ]
);
planted!(
    a_closed_socket_stays_subscribed,
    StaysOpen { const STAYS_OPEN: bool = true; },
    ["websocket/closed-socket-loses-its-subscriptions"]
);
planted!(
    own_messages_are_listed_without_echo,
    AlwaysEcho {
        fn meddle(document: &mut Value) {
            if document["action"] == "message_list" {
                document["body"]["echo"] = json!(true);
            }
        }
    },
    ["websocket/own-messages-need-echo"]
);
planted!(
    a_purge_takes_everything,
    PurgesAll {
        fn meddle(document: &mut Value) {
            if let Some(body) = document["body"].as_object_mut() {
                body.remove("resource_types");
            }
        }
    },
    ["websocket/purge-takes-what-it-names"]
);
planted!(
    a_message_is_deleted_by_whoever_knows_it,
    NoFence {
        fn answer(document: &mut Value) -> bool {
            let deletes = document["request"]["action"] == "message_delete";
            if deletes && document["headers"]["status"] == 403 {
                document["headers"]["status"] = json!(204);
            }
            true
        }
    },
    ["websocket/claimed-message-needs-its-claim"]
);
planted!(
    all_projects_are_one,
    OneProject {
        fn meddle(document: &mut Value) {
            let project = document["headers"]["X-Project-ID"].as_str();
            if let Some(own) = project.and_then(|project| project.strip_suffix("-stranger")) {
                document["headers"]["X-Project-ID"] = json!(own);
            }
        }
    },
    ["websocket/projects-are-isolated"]
);
