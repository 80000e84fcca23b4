//! The client on real sockets: what was not sent, and what was not answered.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use nanshe_conformance::environment::{
    Address, BoxFuture, Environment, Instant, Listener, Stream, TokioEnvironment, World,
};
use nanshe_conformance::suite::{Options, Selection, preflight, run};
use nanshe_conformance::target::{Client, Description, Endpoint, NotAnswered, Outcome};
use nanshe_conformance::verdict::Verdict;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// A server that gives each connection, with its number, to `serve`.
async fn server<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(usize, TcpStream) -> F + Send + 'static,
) -> (Endpoint, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(tokio::spawn(serve(
                counted.fetch_add(1, Ordering::SeqCst),
                stream,
            )));
        }
    }));
    (Endpoint::parse(&url).unwrap(), connections)
}

/// Reads until one request's head, and what may have come with it, is there.
async fn request(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    let whole = |bytes: &[u8]| bytes.windows(4).any(|end| end == b"\r\n\r\n");
    while !whole(&bytes)
        && stream
            .read_buf(&mut bytes)
            .await
            .is_ok_and(|count| count > 0)
    {}
}

fn client(endpoint: Endpoint, patience: Duration) -> Client {
    Client::new(Arc::new(TokioEnvironment::new()), endpoint, patience, 4)
}

async fn get(client: &Client) -> Outcome {
    client
        .send(http::Request::get("/v2/ping").body(Bytes::new()).unwrap())
        .await
}

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn connection_is_kept_and_used_again() {
    block_on(async {
        let (endpoint, connections) = server(|_, mut stream| async move {
            loop {
                request(&mut stream).await;
                if stream.write_all(OK).await.is_err() {
                    return;
                }
            }
        })
        .await;
        let client = client(endpoint, PATIENCE);
        for _ in 0..3 {
            assert_eq!(get(&client).await.unwrap().body.as_ref(), b"hi");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn refused_connection_is_not_sent() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let outcome = get(&client(Endpoint::parse(&url).unwrap(), PATIENCE)).await;
        assert!(
            matches!(outcome, Err(NotAnswered::NotSent(_))),
            "{outcome:?}"
        );
    });
}

#[test]
fn connection_that_closes_on_a_request_is_no_answer_and_is_not_tried_again() {
    block_on(async {
        let (endpoint, connections) =
            server(|_, mut stream| async move { request(&mut stream).await }).await;
        let outcome = get(&client(endpoint, PATIENCE)).await;
        assert!(
            matches!(outcome, Err(NotAnswered::NoAnswer(_))),
            "{outcome:?}"
        );
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn answer_that_breaks_off_is_no_answer() {
    block_on(async {
        let (endpoint, _) = server(|_, mut stream| async move {
            request(&mut stream).await;
            let head = b"HTTP/1.1 201 Created\r\ncontent-length: 99\r\n\r\n{";
            stream.write_all(head).await.unwrap();
        })
        .await;
        let outcome = get(&client(endpoint, PATIENCE)).await;
        assert!(
            matches!(outcome, Err(NotAnswered::NoAnswer(_))),
            "{outcome:?}"
        );
    });
}

#[test]
fn silence_is_no_answer_once_patience_ends() {
    block_on(async {
        let (endpoint, _) = server(|_, mut stream| async move {
            request(&mut stream).await;
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await;
        let outcome = get(&client(endpoint, Duration::from_millis(50))).await;
        assert!(
            matches!(outcome, Err(NotAnswered::NoAnswer(_))),
            "{outcome:?}"
        );
    });
}

/// A world whose streams accept nothing until a gate opens, and keep what they accepted.
struct Gated {
    inner: TokioEnvironment,
    gate: Arc<Mutex<Gate>>,
}

#[derive(Default)]
struct Gate {
    open: bool,
    accepted: Vec<u8>,
    waiting: Option<Waker>,
}

struct GatedStream(Arc<Mutex<Gate>>);

impl hyper::rt::Write for GatedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut gate = self.0.lock().unwrap();
        if !gate.open {
            gate.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        gate.accepted.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Read for GatedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl Environment for Gated {
    fn connect(&self, _: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let gate = Arc::clone(&self.gate);
        Box::pin(async move { Ok(Box::new(GatedStream(gate)) as Box<dyn Stream>) })
    }

    fn listen(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        self.inner.listen(address)
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        self.inner.sleep(span)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.inner.spawn(task);
    }
}

#[test]
fn what_was_called_not_sent_is_never_sent_afterwards() {
    block_on(async {
        let gate = Arc::<Mutex<Gate>>::default();
        let world = Gated {
            inner: TokioEnvironment::new(),
            gate: Arc::clone(&gate),
        };
        let endpoint = Endpoint::parse("http://gated").unwrap();
        let client = Client::new(Arc::new(world), endpoint, Duration::from_millis(20), 1);
        let outcome = get(&client).await;
        assert!(
            matches!(outcome, Err(NotAnswered::NotSent(_))),
            "{outcome:?}"
        );
        let waiting = {
            let mut gate = gate.lock().unwrap();
            gate.open = true;
            gate.waiting.take()
        };
        waiting.into_iter().for_each(Waker::wake);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.lock().unwrap().accepted, b"");
        // The gate does open: the next request, on a connection of its own, passes it.
        let outcome = get(&client).await;
        assert!(
            matches!(outcome, Err(NotAnswered::NoAnswer(_))),
            "{outcome:?}"
        );
        assert!(gate.lock().unwrap().accepted.starts_with(b"GET /v2/ping"));
    });
}

#[test]
fn kept_connection_that_was_closed_meanwhile_is_replaced() {
    block_on(async {
        let (closed, mut closings) = tokio::sync::mpsc::unbounded_channel();
        let (endpoint, connections) = server(move |number, mut stream| {
            let closed = closed.clone();
            async move {
                request(&mut stream).await;
                stream.write_all(OK).await.unwrap();
                if number == 0 {
                    drop(stream);
                    closed.send(()).unwrap();
                } else {
                    request(&mut stream).await;
                }
            }
        })
        .await;
        let client = client(endpoint, PATIENCE);
        get(&client).await.unwrap();
        closings.recv().await.unwrap();
        get(&client).await.unwrap();
        assert_eq!(connections.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn what_is_not_zaqar_is_told_before_any_case_runs() {
    block_on(async {
        let (endpoint, _) = server(|_, mut stream| async move {
            request(&mut stream).await;
            stream.write_all(OK).await.unwrap();
        })
        .await;
        let target = Description::of_endpoint("x".to_owned(), endpoint.clone());
        let world: World = Arc::new(TokioEnvironment::new());
        let error = preflight(world, &target, &endpoint)
            .await
            .unwrap_err()
            .to_string();
        let expected = "does not look like Zaqar v2: GET /v2/ping answered 200, expected 204";
        assert!(error.ends_with(expected), "{error}");
    });
}

#[test]
fn target_that_answers_garbage_fails_cases_and_panics_none() {
    block_on(async {
        let garbage: [&[u8]; 3] = [
            b"HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\n{\"a\":[1]}",
            b"HTTP/1.1 200 OK\r\nlocation: \xff\xfe\r\ncontent-length: 4\r\n\r\n\xff\xfe\x00[",
            b"HTTP/1.1 204 No Content\r\nlocation: x\r\n\r\n",
        ];
        for answer in garbage {
            let (endpoint, _) = server(move |_, mut stream| async move {
                request(&mut stream).await;
                stream.write_all(answer).await.unwrap();
            })
            .await;
            let target = Description::of_endpoint("garbage".to_owned(), endpoint.clone());
            let world: World = Arc::new(TokioEnvironment::new());
            let selection = Selection {
                wait_secs_max: Some(0),
                ..Selection::default()
            };
            let selected = selection.select().unwrap();
            let options = Options::default();
            let report = run(world, (&target, endpoint), &selected, &options, |_| {}).await;
            assert_eq!(report.verdict(), Verdict::Violation);
            let panicked = report
                .cases
                .iter()
                .find(|case| format!("{case:?}").contains("panicked"));
            assert!(panicked.is_none(), "{panicked:?}");
        }
    });
}

#[test]
fn served_reference_passes_the_cases_that_do_not_wait() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clock = nanshe_reference::server::SystemClock::new();
        let limits = nanshe_reference::Limits::default();
        let service = nanshe_reference::Service::new(limits, 1, Arc::new(clock));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(nanshe_reference::server::serve(listener, service, async {
            drop(stopped.await);
        }));
        let endpoint = Endpoint::parse(&url).unwrap();
        let target = Description::of_endpoint("served".to_owned(), endpoint.clone());
        let world: World = Arc::new(TokioEnvironment::new());
        preflight(Arc::clone(&world), &target, &endpoint)
            .await
            .unwrap();
        let selected = Selection {
            wait_secs_max: Some(0),
            ..Selection::default()
        }
        .select();
        let (selected, options) = (selected.unwrap(), Options::default());
        let report = run(world, (&target, endpoint), &selected, &options, |_| {}).await;
        assert_eq!(
            report.verdict(),
            Verdict::Valid,
            "{}",
            nanshe_conformance::report::terminal(&report)
        );
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
    });
}
