//! WebSockets over loopback, with a client of the library that the server uses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use nanshe_reference::server::{Listeners, Options, SystemClock, serve_with};
use nanshe_reference::wire::websocket::{Encoding, frame_bytes_max};
use nanshe_reference::{Limits, Service};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{BOTH, pack, unpack};
use crate::support::ALICE;

/// Longer than any test takes, so that one that hangs fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than [`PATIENCE`]: what has this bound does not come to an end by it.
const NEVER: Duration = Duration::from_secs(3_600);

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let patient = async { tokio::time::timeout(PATIENCE, test).await };
    runtime.block_on(patient).expect("the test hangs");
}

/// For clients that do not say goodbye: a stop does not wait for it long.
fn brief() -> Options {
    Options {
        stop: Duration::from_millis(100),
        ..Options::default()
    }
}

struct Server {
    address: SocketAddr,
    service: Service,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start(options: Options) -> Self {
        let service = Service::new(Limits::default(), 1, Arc::new(SystemClock::new()));
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let websocket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = websocket.local_addr().unwrap();
        let listeners = Listeners {
            http,
            websocket: Some(websocket),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let stopping = async move {
            let _ended = stopped.await;
        };
        let serving = serve_with(listeners, service.clone(), options, stopping);
        Self {
            address,
            service,
            stop,
            ended: tokio::spawn(serving),
        }
    }

    async fn client(&self, encoding: Encoding) -> Client {
        Client::new(TcpStream::connect(self.address).await.unwrap(), encoding).await
    }

    /// How many subscriptions a queue has, as a client sees it that does not matter otherwise.
    async fn subscriptions(&self, queue: &str) -> usize {
        let mut client = self.client(Encoding::Json).await;
        let listed = client
            .ok(200, "subscription_list", &json!({"queue_name": queue}))
            .await;
        listed["subscriptions"].as_array().unwrap().len()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

struct Client {
    stream: WebSocketStream<TcpStream>,
    encoding: Encoding,
}

impl Client {
    async fn new(stream: TcpStream, encoding: Encoding) -> Self {
        let (stream, response) = client_async("ws://broker/", stream).await.unwrap();
        assert_eq!(response.status(), 101);
        Self { stream, encoding }
    }

    async fn say(&mut self, action: &str, body: &Value) {
        let headers = json!({"Client-ID": ALICE, "X-Project-ID": "p", "X-Auth-Token": "t"});
        let request = json!({"action": action, "headers": headers, "body": body});
        let message = match self.encoding {
            Encoding::Json => Message::text(request.to_string()),
            Encoding::MessagePack => Message::binary(pack(&request)),
        };
        self.stream.send(message).await.unwrap();
    }

    /// The next frame that says something, in whichever encoding it comes.
    async fn hear(&mut self) -> (Encoding, Value) {
        loop {
            match self.stream.next().await.unwrap().unwrap() {
                Message::Text(text) => {
                    return (Encoding::Json, serde_json::from_str(&text).unwrap());
                }
                Message::Binary(bytes) => return (Encoding::MessagePack, unpack(&bytes)),
                Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Close(_) | Message::Frame(_)) => panic!("heard {other}"),
            }
        }
    }

    async fn answer(&mut self) -> (u64, Value) {
        let (encoding, response) = self.hear().await;
        assert_eq!(encoding, self.encoding, "in the encoding of the request");
        let status = response["headers"]["status"].as_u64().unwrap();
        (status, response["body"].clone())
    }

    async fn ok(&mut self, status: u64, action: &str, body: &Value) -> Value {
        self.say(action, body).await;
        let answer = self.answer().await;
        assert_eq!(answer.0, status, "{action}: {}", answer.1);
        answer.1
    }

    /// Why the server hangs up; what it says before that does not matter.
    async fn close_code(&mut self) -> Option<CloseCode> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

#[test]
fn every_action_goes_over_a_socket_in_both_encodings() {
    run(async {
        let server = Server::start(brief()).await;
        for (queue, encoding) in ["q", "r"].into_iter().zip(BOTH) {
            let mut client = server.client(encoding).await;
            let named = json!({"queue_name": queue});
            let with = |member: &str, value: Value| json!({"queue_name": queue, member: value});
            client.ok(403, "authenticate", &named).await;
            client.ok(201, "queue_create", &named).await;
            client.ok(200, "queue_list", &json!({})).await;
            client.ok(200, "queue_get", &named).await;
            client.ok(200, "queue_get_stats", &named).await;
            let messages = json!([{"body": [1, "\u{1F600}"]}, {"body": 2}, {"body": 3}]);
            let posted = client
                .ok(201, "message_post", &with("messages", messages))
                .await;
            let ids = &posted["message_ids"];
            let listed = client
                .ok(200, "message_list", &with("echo", json!(true)))
                .await;
            assert_eq!(listed["messages"][0]["body"], json!([1, "\u{1F600}"]));
            client
                .ok(200, "message_get", &with("message_id", ids[0].clone()))
                .await;
            client
                .ok(200, "message_get_many", &with("message_ids", ids.clone()))
                .await;
            client
                .ok(204, "message_delete", &with("message_id", ids[0].clone()))
                .await;
            let claimed = client
                .ok(201, "claim_create", &with("limit", json!(1)))
                .await;
            let claim = with("claim_id", claimed["claim_id"].clone());
            client.ok(200, "claim_get", &claim).await;
            client.ok(204, "claim_update", &claim).await;
            client.ok(204, "claim_delete", &claim).await;
            client
                .ok(200, "message_delete_many", &with("pop", json!(1)))
                .await;
            let made = client.ok(201, "subscription_create", &named).await;
            let subscription = with("subscription_id", made["subscription_id"].clone());
            client.ok(200, "subscription_list", &named).await;
            client.ok(200, "subscription_get", &subscription).await;
            client.ok(204, "subscription_delete", &subscription).await;
            client.ok(204, "queue_purge", &named).await;
            client.ok(204, "queue_delete", &named).await;
            client.ok(400, "pool_list", &json!({})).await;
        }
        server.stop().await;
    });
}

#[test]
fn notifications_are_pushed_in_the_encoding_of_the_last_subscription() {
    run(async {
        let server = Server::start(brief()).await;
        let mut json_client = server.client(Encoding::Json).await;
        let mut packing_client = server.client(Encoding::MessagePack).await;
        let named = json!({"queue_name": "q"});
        json_client.ok(201, "subscription_create", &named).await;
        packing_client.ok(201, "subscription_create", &named).await;

        let mut poster = server.client(Encoding::MessagePack).await;
        let post =
            |body: Value| json!({"queue_name": "q", "messages": [{"body": body, "ttl": 60}]});
        let pushed = |body: Value| json!({"ttl": 60, "body": body, "Message_Type": "Notification", "queue_name": "q"});
        let body = json!({"a": [1.5, null, i64::MAX]});
        poster.ok(201, "message_post", &post(body.clone())).await;
        let heard = json_client.hear().await;
        assert_eq!(heard, (Encoding::Json, pushed(body.clone())));
        let heard = packing_client.hear().await;
        assert_eq!(heard, (Encoding::MessagePack, pushed(body)));

        // It asks again in the other one.
        packing_client.encoding = Encoding::Json;
        packing_client.ok(201, "subscription_create", &named).await;
        poster.ok(201, "message_post", &post(json!(2))).await;
        let heard = packing_client.hear().await;
        assert_eq!(heard, (Encoding::Json, pushed(json!(2))));
        server.stop().await;
    });
}

#[test]
fn subscriptions_end_with_their_socket_however_it_closes() {
    run(async {
        let server = Server::start(brief()).await;
        let named = json!({"queue_name": "q"});
        let mut staying = server.client(Encoding::Json).await;
        staying.ok(201, "subscription_create", &named).await;
        for in_order in [true, false] {
            let mut client = server.client(Encoding::Json).await;
            client.ok(201, "subscription_create", &named).await;
            assert_eq!(server.subscriptions("q").await, 2);
            if in_order {
                client.stream.close(None).await.unwrap();
                assert_eq!(
                    client.close_code().await,
                    None,
                    "nothing but what it said itself"
                );
            } else {
                drop(client);
            }
            while server.subscriptions("q").await > 1 {
                tokio::task::yield_now().await;
            }
        }
        let messages = json!({"queue_name": "q", "messages": [{"body": 1}]});
        staying.ok(201, "message_post", &messages).await;
        assert_eq!(staying.hear().await.1["body"], 1);
        server.stop().await;
    });
}

/// A client that reads nothing until it is told to.
async fn deaf(server: &Server) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    Client::new(
        socket.connect(server.address).await.unwrap(),
        Encoding::Json,
    )
    .await
}

/// Posts `count` messages, each nearly as large as may be.
async fn post_large(server: &Server, count: usize) {
    let mut poster = server.client(Encoding::Json).await;
    let body = "x".repeat(250_000);
    for _ in 0..count {
        let post = json!({"queue_name": "q", "messages": [{"body": body}]});
        poster.ok(201, "message_post", &post).await;
    }
}

#[test]
fn whoever_does_not_read_holds_up_nobody_else() {
    run(async {
        let server = Server::start(Options {
            socket_write: NEVER,
            delivery: NEVER,
            ..brief()
        })
        .await;
        let named = json!({"queue_name": "q"});
        let mut slow = deaf(&server).await;
        slow.ok(201, "subscription_create", &named).await;
        let mut quick = server.client(Encoding::Json).await;
        quick.ok(201, "subscription_create", &named).await;
        let listener = async {
            for _ in 0..50 {
                assert_eq!(quick.hear().await.1["queue_name"], "q");
            }
        };
        // Together, for the one who posts waits for nobody either.
        tokio::join!(listener, post_large(&server, 50));
        while server.service.delivery_counts().unwrap().delivered < 50 {
            tokio::task::yield_now().await;
        }
        let counts = server.service.delivery_counts().unwrap();
        assert!(
            counts.pending() > 0,
            "what it does not read waits in the log: {counts:?}"
        );
        assert_eq!(server.subscriptions("q").await, 2);
        server.stop().await;
    });
}

#[test]
fn whoever_does_not_read_is_hung_up_on() {
    run(async {
        let server = Server::start(Options {
            socket_write: Duration::from_millis(50),
            ..brief()
        })
        .await;
        let named = json!({"queue_name": "q"});
        let mut slow = deaf(&server).await;
        slow.ok(201, "subscription_create", &named).await;
        post_large(&server, 50).await;
        while server.subscriptions("q").await > 0 {
            tokio::task::yield_now().await;
        }
        // One that asks and asks, and hears no answer: it is not read from for ever either.
        let mut asking = deaf(&server).await;
        let post = json!({"queue_name": "r", "messages": [{"body": "x".repeat(250_000)}]});
        let request = json!({
            "action": "message_post", "headers": {"Client-ID": ALICE, "X-Project-ID": "p"},
            "body": post,
        });
        let request = request.to_string();
        while asking
            .stream
            .send(Message::text(request.as_str()))
            .await
            .is_ok()
        {}
        server.stop().await;
    });
}

#[test]
fn whoever_breaks_the_protocol_is_told_how() {
    run(async {
        let server = Server::start(brief()).await;
        let bytes_max = frame_bytes_max(&Limits::default());
        // The largest frame is one that is answered.
        let mut client = server.client(Encoding::Json).await;
        let largest = Message::text("x".repeat(bytes_max));
        client.stream.send(largest).await.unwrap();
        assert_eq!(client.answer().await.0, 400);
        let larger = Message::text("x".repeat(bytes_max + 1));
        client.stream.send(larger).await.unwrap();
        assert_eq!(client.close_code().await, Some(CloseCode::Size));

        // Frames by hand: not masked, of a kind that there is none of, and text that is none.
        for (frame, code) in [
            (&b"\x81\x02{}"[..], CloseCode::Protocol),
            (b"\x83\x80\0\0\0\0", CloseCode::Protocol),
            (b"\xf1\x80\0\0\0\0", CloseCode::Protocol),
            (b"\x81\x82\0\0\0\0\xff\xff", CloseCode::Invalid),
            (
                b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
                CloseCode::Size,
            ),
        ] {
            let mut client = server.client(Encoding::Json).await;
            client.stream.get_mut().write_all(frame).await.unwrap();
            assert_eq!(client.close_code().await, Some(code), "{frame:x?}");
        }
        // Bytes that are no frame at all end the connection, and nothing else.
        for seed in 0..200_u8 {
            let mut client = server.client(Encoding::Json).await;
            let noise = (0..64_u8).map(|at| at.wrapping_mul(seed).wrapping_add(seed) ^ 0x5a);
            let noise: Vec<u8> = noise.collect();
            client.stream.get_mut().write_all(&noise).await.unwrap();
            drop(client);
        }
        let mut client = server.client(Encoding::Json).await;
        client.ok(200, "queue_list", &json!({})).await;
        server.stop().await;
    });
}

#[test]
fn whoever_wants_no_websocket_is_told_what_this_port_is_for() {
    run(async {
        let server = Server::start(Options {
            header_read: Duration::from_millis(50),
            ..brief()
        })
        .await;
        let upgrade = "host: broker\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
        let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        for (head, status) in [
            ("GET / HTTP/1.1\r\nhost: x\r\n".to_owned(), "HTTP/1.1 426 "),
            (
                format!("GET / HTTP/1.1\r\n{upgrade}{key}sec-websocket-version: 8\r\n"),
                "HTTP/1.1 426 ",
            ),
            (
                format!("GET / HTTP/1.1\r\n{upgrade}sec-websocket-version: 13\r\n"),
                "HTTP/1.1 400 ",
            ),
            (
                format!("POST / HTTP/1.1\r\n{upgrade}{key}sec-websocket-version: 13\r\n"),
                "HTTP/1.1 400 ",
            ),
            (
                format!(
                    "GET / HTTP/1.1\r\n{upgrade}{key}sec-websocket-version: 13\r\n\
                     origin: http://elsewhere\r\n"
                ),
                "HTTP/1.1 403 ",
            ),
            ("not HTTP\r\n".to_owned(), "HTTP/1.1 400 "),
            (
                format!("GET / HTTP/1.1\r\nx: {}\r\n", "y".repeat(20_000)),
                "HTTP/1.1 431 ",
            ),
        ] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream
                .write_all(format!("{head}\r\n").as_bytes())
                .await
                .unwrap();
            let mut answer = Vec::new();
            // A head that is too long is answered before it is read.
            drop(stream.read_to_end(&mut answer).await);
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with(status), "{head}: {answer}");
        }
        // One that says nothing, and one that does not go on.
        for start in ["", "GET / HTTP/1.1\r\n"] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(start.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            drop(stream.read_to_end(&mut answer).await);
            assert!(!answer.starts_with(b"HTTP/1.1 1"), "{start}");
        }
        server.stop().await;
    });
}

#[test]
fn a_quiet_client_is_asked_and_one_that_is_not_there_is_given_up() {
    run(async {
        let server = Server::start(Options {
            socket_quiet: Duration::from_millis(20),
            ..brief()
        })
        .await;
        let named = json!({"queue_name": "q"});
        let mut client = server.client(Encoding::Json).await;
        client.ok(201, "subscription_create", &named).await;
        // It reads, and so it answers, as often as it is asked.
        for _ in 0..5 {
            let heard = client.stream.next().await.unwrap().unwrap();
            assert!(heard.is_ping(), "{heard}");
        }
        client.ok(200, "queue_list", &json!({})).await;
        // Now it does not.
        while server.subscriptions("q").await > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.close_code().await, Some(CloseCode::Policy));
        server.stop().await;
    });
}

#[test]
fn a_stop_answers_what_is_under_way_and_closes_in_order() {
    run(async {
        let server = Server::start(Options::default()).await;
        let mut idle = server.client(Encoding::Json).await;
        let mut busy = server.client(Encoding::MessagePack).await;
        let messages = json!({"queue_name": "q", "messages": [{"body": 1}]});
        for _ in 0..3 {
            busy.say("message_post", &messages).await;
        }
        server.stop.send(()).unwrap();
        for _ in 0..3 {
            assert_eq!(busy.answer().await.0, 201);
        }
        assert_eq!(busy.close_code().await, Some(CloseCode::Away));
        assert_eq!(idle.close_code().await, Some(CloseCode::Away));
        // They say goodbye as well, and only then is it over.
        assert!(busy.stream.next().await.is_none());
        assert!(idle.stream.next().await.is_none());
        server.ended.await.unwrap().unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
    });
}

#[test]
fn more_sockets_than_there_may_be_wait_for_a_place() {
    run(async {
        let server = Server::start(Options {
            sockets_max: 1,
            ..brief()
        })
        .await;
        let mut first = server.client(Encoding::Json).await;
        let mut second = Box::pin(server.client(Encoding::Json));
        for _ in 0..20 {
            first.ok(200, "queue_list", &json!({})).await;
            assert!((&mut second).now_or_never().is_none());
        }
        drop(first);
        second.await.ok(200, "queue_list", &json!({})).await;
        server.stop().await;
    });
}
