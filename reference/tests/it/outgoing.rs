//! How notifications leave a server: over TLS, by mail, with tokens, and not to everybody.
//!
//! The broker's clock stands still unless a test moves it; only loopback is spoken to.

mod addresses;
mod mail;

mod tls;
mod trust;

use std::io::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nanshe_reference::broker::DeliveryCounts;
use nanshe_reference::server::{Options, Outgoing, serve_with};
use nanshe_reference::{Limits, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::{Answer, World};

/// How long a test may take. They take a moment.
const TEST_MAX: Duration = Duration::from_secs(60);

/// A connection, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A server whose broker is at hand.
struct Running {
    world: World,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), Error>>,
}

impl Running {
    async fn start(settings: Settings, outgoing: Outgoing) -> Self {
        let options = Options {
            outgoing,
            ..Options::default()
        };
        Self::start_with(settings, options).await
    }

    async fn start_with(settings: Settings, options: Options) -> Self {
        let world = World::with_settings(settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopping = async move {
            let _ended = stopped.await;
        };
        let serving = serve_with(listener, world.service.clone(), options, stopping);
        let ended = tokio::spawn(serving);
        Self { world, stop, ended }
    }

    fn subscribe(&self, subscriber: &str, options: &Value) -> Answer {
        let document = json!({"subscriber": subscriber, "options": options}).to_string();
        self.world
            .send("POST /v2/queues/q/subscriptions", &document)
    }

    fn counts(&self) -> DeliveryCounts {
        self.world.service.delivery_counts().unwrap()
    }

    /// Waits until the counts are such.
    async fn until(&self, reached: impl Fn(&DeliveryCounts) -> bool) -> DeliveryCounts {
        loop {
            let counts = self.counts();
            if reached(&counts) {
                return counts;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until nothing is on its way any more.
    async fn settled(&self) -> DeliveryCounts {
        self.until(|counts| counts.pending() == 0).await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    // What waits for something that does not come fails, instead of waiting.
    let test = async { tokio::time::timeout(TEST_MAX, test).await };
    runtime.block_on(test).unwrap();
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn fixture(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/tls").join(name)
}

/// Whom the certificate of the fixtures is vouched for by.
fn trusting() -> Outgoing {
    Outgoing {
        authorities_file: Some(fixture("authority.pem")),
        ..Outgoing::default()
    }
}

/// What answers with the certificate of the fixtures.
fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(fixture("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Reads one request, head and body.
async fn request(stream: impl Stream) -> (String, impl Stream) {
    let mut stream = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let start = text.len();
        assert!(stream.read_line(&mut text).await.unwrap() > 0, "{text}");
        let line = text[start..].to_ascii_lowercase();
        if let Some(digits) = line.strip_prefix("content-length:") {
            length = digits.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (text + std::str::from_utf8(&body).unwrap(), stream)
}

/// Gives these answers, one by one, each on a connection of its own; the requests that it got.
async fn answer(listener: TcpListener, answers: &[&str]) -> Vec<String> {
    let mut requests = Vec::new();
    for answer in answers {
        let (stream, _) = listener.accept().await.unwrap();
        let (text, mut stream) = request(stream).await;
        requests.push(text);
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    requests
}

fn empty(status: u16) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n")
}

/// A slow subscriber does not delay another tenant, whatever it is sent by.
#[test]
fn a_tenant_with_nothing_but_silent_subscribers_delays_no_other() {
    run(async {
        let limits = Limits {
            deliveries_per_project_max: 4,
            ..Limits::default()
        };
        let options = Options {
            // One more than the first tenant can take.
            deliveries_max: 5,
            ..Options::default()
        };
        let server = Running::start_with(limits.into(), options).await;
        let (silent, silent_address) = listen().await;
        for n in 0..9 {
            let uri = format!("http://{silent_address}/{n}");
            assert_eq!(server.subscribe(&uri, &json!({})).status, 201);
        }
        server.world.post("q", 60, &[1]);
        let mut unanswered = Vec::new();
        for _ in 0..4 {
            let (stream, _) = silent.accept().await.unwrap();
            unanswered.push(request(stream).await);
        }
        let (quick, quick_address) = listen().await;
        let subscription = json!({"subscriber": format!("http://{quick_address}")}).to_string();
        let bob = (crate::support::BOB, "other");
        let post = "POST /v2/queues/q/subscriptions";
        assert_eq!(server.world.send_as(bob, post, &subscription).status, 201);
        let body = r#"{"messages":[{"body":1},{"body":2}]}"#;
        server
            .world
            .send_as(bob, "POST /v2/queues/q/messages", body);
        let ok = empty(200);
        let got = answer(quick, &[&ok, &ok]).await;
        assert_eq!(got.len(), 2);
        let counts = server.until(|counts| counts.delivered == 2).await;
        assert_eq!((counts.owed, counts.pending()), (11, 9));
        assert_eq!(unanswered.len(), 4);
        server.stop().await;
    });
}
