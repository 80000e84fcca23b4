//! Contract 13 and 9: signatures in the headers of requests over a socket.

use serde_json::{Value, json};

use super::messages::post;
use super::queues::of;
use crate::suite::capability::Capability::{self, PreSigned, Projects, WebSocket};
use crate::suite::cases::signing::{Grant, share};
use crate::suite::socket::Socket;
use crate::suite::steps::{EVERYTHING, Queue, bodies, numbered};
use crate::suite::{Case, CaseResult, Context, case};

const NEEDS: &[Capability] = &[WebSocket, Projects, PreSigned];

/// What the reference makes of signatures where nobody has to be authenticated.
const DECISION: &str = "a signature that is given must hold, as in HTTP: 403 otherwise";

pub(in crate::suite::cases) const CASES: &[Case] = &[
    case!(Must, "websocket/signed-actions-are-served", "13", served)
        .needs(NEEDS)
        .since(3),
    case!(
        Should,
        "websocket/signature-grants-nothing-else",
        "13",
        nothing_else
    )
    .needs(NEEDS)
    .disputed(DECISION)
    .since(3),
    case!(
        Should,
        "websocket/altered-signature-is-worth-nothing",
        "13",
        altered
    )
    .needs(NEEDS)
    .disputed(DECISION)
    .since(3),
];

/// A request with a grant in its headers: lists are arrays here.
fn signed(socket: &Socket, grant: &Grant, (action, body): (&str, &Value)) -> Value {
    let mut request = socket.request(action, body);
    let headers = &mut request["headers"];
    headers["URL-Signature"] = json!(grant.signature);
    headers["URL-Expires"] = json!(grant.expires);
    headers["URL-Methods"] = json!(grant.methods);
    headers["URL-Paths"] = json!(grant.paths);
    request
}

async fn grant(context: &Context, methods: Value) -> Result<Grant, crate::suite::Stop> {
    let body = json!({ "paths": ["messages"], "methods": methods });
    share(context, &Queue::new(context, "q"), &body).await
}

async fn served(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let grant = grant(&context, json!(["GET", "POST", "DELETE"])).await?;
    let messages = post(&numbered(0..2, 300));
    let request = signed(&socket, &grant, ("message_post", &messages));
    socket
        .exchange(&request)
        .await?
        .reply
        .expect("13", &[201])?;
    let page = Queue::new(&context, "q").whole(EVERYTHING, 2).await?;
    let both = bodies(&page.messages) == json!([0, 1]);
    page.reply.check("13", "both messages", both)?;
    let list = json!({ "queue_name": "q", "echo": true });
    let request = signed(&socket, &grant, ("message_list", &list));
    socket
        .exchange(&request)
        .await?
        .reply
        .expect("13", &[200])?;
    let delete = json!({ "queue_name": "q", "message_id": page.messages[0].id });
    let request = signed(&socket, &grant, ("message_delete", &delete));
    let heard = socket.exchange(&request).await?;
    heard.reply.expect("13", &[204]).map(drop)
}

async fn nothing_else(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let (id, _) = Queue::new(&context, "q").post_one(300).await?;
    let read_only = grant(&context, json!(["GET"])).await?;
    let all = grant(&context, json!(["GET", "POST", "PUT", "DELETE", "PATCH"])).await?;
    let one = json!({ "queue_name": "q", "message_id": id });
    let elsewhere = json!({ "queue_name": "p", "messages": [{ "ttl": 300, "body": 1 }] });
    for (grant, action, body) in [
        (&read_only, "message_post", &post(&numbered(1..2, 300))),
        (&read_only, "message_delete", &one),
        (&all, "message_post", &elsewhere),
        (&all, "claim_create", &of("q")),
        (&all, "queue_delete", &of("q")),
        (&all, "subscription_list", &of("q")),
    ] {
        let request = signed(&socket, grant, (action, body));
        socket
            .exchange(&request)
            .await?
            .reply
            .expect("13", &[403])?;
    }
    let page = Queue::new(&context, "q").list(EVERYTHING).await?;
    let one = bodies(&page.messages) == json!([0]);
    page.reply.check("13", "the message, and no other", one)
}

async fn altered(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let granted = grant(&context, json!(["GET"])).await?;
    let list = json!({ "queue_name": "q", "echo": true });
    let mut more = granted.clone();
    more.methods = vec!["GET".to_owned(), "POST".to_owned()];
    let mut longer = granted.clone();
    longer.expires = "2999-12-31T23:59:59".to_owned();
    let mut empty = granted.clone();
    empty.signature = String::new();
    for grant in [&more, &longer, &empty] {
        let request = signed(&socket, grant, ("message_list", &list));
        socket
            .exchange(&request)
            .await?
            .reply
            .expect("13", &[403])?;
    }
    let request = signed(&socket, &granted, ("message_list", &list));
    let heard = socket.exchange(&request).await?;
    heard.reply.expect("13", &[200]).map(drop)
}
