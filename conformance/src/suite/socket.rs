//! A WebSocket as a case uses it: actions in, answers out, and what is pushed in between.
//!
//! One request is under way at a time. An answer is what repeats a request; anything else that comes
//! is a notification, and kept.

use std::borrow::Borrow;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::context::{Context, Reply, Sent, cut};
use super::message_pack::{pack, unpack};
use super::steps::{legal_path, shortly_before, unknown};
use super::verdict::{Exchange, Part, Stop};
use crate::environment::{Instant, within};
use crate::target::{Answer, Came, Frame, WebSocket};

/// How a frame is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// In a text frame.
    Json,
    /// In a binary frame.
    MessagePack,
}

/// A notification that came over a socket.
#[derive(Clone, Debug)]
pub(super) struct Pushed {
    pub(super) encoding: Encoding,
    pub(super) document: Value,
}

/// An answer with all that is around it.
pub(super) struct Heard {
    /// The status and the body, with the words that there are for answers in HTTP.
    pub(super) reply: Reply,
    /// The whole document.
    pub(super) document: Value,
    pub(super) encoding: Encoding,
}

/// A socket of the case's own.
pub(super) struct Socket {
    context: Context,
    socket: WebSocket,
    encoding: Encoding,
    pushed: Vec<Pushed>,
}

impl Encoding {
    fn frame(self, document: &Value) -> Frame {
        match self {
            Self::Json => Frame::Text(document.to_string()),
            Self::MessagePack => Frame::Binary(pack(document).into()),
        }
    }
}

impl Socket {
    /// A new socket of the case's client, which writes JSON.
    pub(super) async fn open(context: &Context) -> Result<Self, Stop> {
        let Some(endpoint) = &context.surroundings().websocket else {
            return Err(unknown(context, "nobody told where WebSocket is spoken"));
        };
        let opening = WebSocket::open(&**context.world(), endpoint);
        let opened = within(&**context.world(), context.patience(), opening).await;
        let opened = opened.unwrap_or_else(|| Err("it took too long".to_owned()));
        let socket = opened.map_err(|why| unknown(context, format!("no WebSocket: {why}")))?;
        Ok(Self {
            context: context.clone(),
            socket,
            encoding: Encoding::Json,
            pushed: Vec::new(),
        })
    }

    /// From now on it writes this.
    pub(super) fn speak(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    /// A request for `action`, as the documents have it.
    pub(super) fn request(&self, action: &str, body: &Value) -> Value {
        json!({ "action": action, "headers": self.headers(), "body": body })
    }

    /// The headers that every request needs.
    pub(super) fn headers(&self) -> Value {
        let context = &self.context;
        json!({ "Client-ID": context.client_id(), "X-Project-ID": context.project() })
    }

    /// What comes of `action` with this body.
    pub(super) async fn ask(
        &mut self,
        action: &str,
        body: impl Borrow<Value>,
    ) -> Result<Reply, Stop> {
        let request = self.request(action, body.borrow());
        Ok(self.exchange(&request).await?.reply)
    }

    /// Asks for each of `actions` and demands one of `statuses`.
    pub(super) async fn expect_each(
        &mut self,
        clause: &str,
        statuses: &[u16],
        actions: &[(&str, Value)],
    ) -> Result<(), Stop> {
        for (action, body) in actions {
            self.ask(action, body).await?.expect(clause, statuses)?;
        }
        Ok(())
    }

    /// What comes of a request that is sent as it is.
    pub(super) async fn exchange(&mut self, request: &Value) -> Result<Heard, Stop> {
        self.note_use(request);
        let action = request["action"].as_str().unwrap_or_default();
        let sent = Part {
            line: format!("websocket {action}"),
            body: cut(&request.to_string()),
            ..Part::default()
        };
        self.send(self.encoding.frame(request), sent).await
    }

    /// What comes of a frame that may be anything.
    pub(super) async fn send_frame(&mut self, frame: Frame) -> Result<Heard, Stop> {
        let body = match &frame {
            Frame::Text(text) => cut(text),
            Frame::Binary(bytes) => format!("{bytes:?}"),
        };
        let line = "websocket frame".to_owned();
        let sent = Part {
            line,
            body,
            ..Part::default()
        };
        self.send(frame, sent).await
    }

    async fn send(&mut self, frame: Frame, sent: Part) -> Result<Heard, Stop> {
        let context = self.context.clone();
        let invoked_at = context.now();
        let answering = async {
            if let Err(why) = self.socket.send(frame).await {
                return Err(Came::Broken(why));
            }
            loop {
                let (encoding, document) = decoded(self.socket.next().await)?;
                if document.get("request").is_some() {
                    return Ok((encoding, document));
                }
                self.pushed.push(Pushed { encoding, document });
            }
        };
        let answer = within(&**context.world(), context.patience(), answering).await;
        let answered_at = context.now();
        let came = match &answer {
            Some(Ok((_, document))) => Part {
                line: format!("status {}", document["headers"]["status"]),
                body: cut(&document.to_string()),
                ..Part::default()
            },
            Some(Err(came)) => line(format!("{came:?}")),
            None => line("no answer".to_owned()),
        };
        context.note(Exchange { sent, came }, matches!(answer, Some(Ok(_))));
        match answer {
            Some(Ok(answer)) => heard(&context, answer, (invoked_at, answered_at)),
            // Whoever says goodbye in place of an answer has heard the question.
            Some(Err(Came::Closed(code))) => {
                let came = format!("the socket was closed, code {code:?}");
                Err(context.failure("13", "an answer", came))
            }
            Some(Err(Came::Frame(frame))) => {
                let came = format!("{frame:?}");
                Err(context.failure("13", "a frame of JSON or MessagePack", cut(&came)))
            }
            Some(Err(Came::Broken(why))) => Err(broken(&context, &why).await),
            None => Err(unknown(&context, "no answer over the socket in time")),
        }
    }

    /// The notifications that came, once there are `count` of them or as many came in time.
    pub(super) async fn pushed(&mut self, count: usize) -> Vec<Pushed> {
        self.listen(self.context.happens_within(), count).await;
        self.pushed.clone()
    }

    /// The notifications that came so far, and within the time in which nothing must happen.
    pub(super) async fn pushed_anyway(&mut self) -> Vec<Pushed> {
        self.listen(self.context.quiet_for(), usize::MAX).await;
        self.pushed.clone()
    }

    /// Waits until shortly before `deadline`, as [`Self::rest_until`].
    pub(super) async fn rest_until_shortly_before(&mut self, deadline: Instant) {
        self.rest_until(shortly_before(deadline)).await;
    }

    /// Waits until then, and listens meanwhile: who does not hear a ping does not answer it, and is hung up on.
    pub(super) async fn rest_until(&mut self, at: Instant) {
        let from = self.context.now();
        let span = at.since(from);
        if span > Duration::ZERO {
            self.listen(span, usize::MAX).await;
            self.context.note_wait(self.context.now().since(from));
        }
        // The rest, if the socket has said goodbye.
        self.context.sleep_until(at).await;
    }

    async fn listen(&mut self, span: Duration, count: usize) {
        let (socket, pushed) = (&mut self.socket, &mut self.pushed);
        let listening = async {
            while pushed.len() < count {
                let Ok((encoding, document)) = decoded(socket.next().await) else {
                    return;
                };
                pushed.push(Pushed { encoding, document });
            }
        };
        let world = self.context.world();
        // That it took too long shows in what is there.
        let _in_time = within(&**world, span, listening).await;
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        let Self {
            context, socket, ..
        } = self;
        let world = context.world();
        // Who does not say goodbye in return is hung up on.
        let _in_time = within(&**world, context.patience(), socket.close()).await;
    }

    /// So that what the request makes can be deleted in the end.
    fn note_use(&self, request: &Value) {
        let Some(queue) = request["body"]["queue_name"].as_str() else {
            return;
        };
        let about = request["action"].as_str().unwrap_or_default();
        let rest = if about.starts_with("subscription") {
            "/subscriptions"
        } else {
            ""
        };
        let mut headers = HeaderMap::new();
        let project = request["headers"]["X-Project-ID"].as_str();
        if let Some(Ok(project)) = project.map(str::parse) {
            headers.insert("x-project-id", project);
        }
        let path = format!("/v2/queues/{queue}{rest}");
        if queue.contains(['/', '?']) || legal_path(&path).is_none() {
            // Nor is there a queue of such a name.
            return;
        }
        self.context.note_use(&path, &headers);
    }
}

/// What it means that a connection broke: nobody knows, unless the server is there and welcomes the next
/// one. Then it was this request.
async fn broken(context: &Context, why: &str) -> Stop {
    match Socket::open(context).await {
        Ok(_) => context.failure("13", "an answer", why),
        Err(_) => unknown(context, why),
    }
}

fn line(line: String) -> Part {
    Part {
        line,
        ..Part::default()
    }
}

/// What a frame says; back as it is if it says nothing.
fn decoded(came: Came) -> Result<(Encoding, Value), Came> {
    let read = match &came {
        Came::Frame(Frame::Text(text)) => {
            let document = serde_json::from_str(text).ok();
            document.map(|document| (Encoding::Json, document))
        }
        Came::Frame(Frame::Binary(bytes)) => {
            unpack(bytes).map(|document| (Encoding::MessagePack, document))
        }
        Came::Closed(_) | Came::Broken(_) => None,
    };
    read.ok_or(came)
}

/// An answer in the words that there are for those in HTTP.
fn heard(
    context: &Context,
    (encoding, document): (Encoding, Value),
    (invoked_at, answered_at): (Instant, Instant),
) -> Result<Heard, Stop> {
    let status = document["headers"]["status"].as_u64();
    let status = status.and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let Some(status) = status else {
        let came = cut(&document.to_string());
        return Err(context.failure("13", "`headers` with a `status`", came));
    };
    let answer = Answer {
        status,
        headers: HeaderMap::new(),
        body: document["body"].to_string().into(),
    };
    let sent = Sent {
        invoked_at,
        answered_at,
    };
    Ok(Heard {
        reply: context.reply(answer, sent),
        document,
        encoding,
    })
}
