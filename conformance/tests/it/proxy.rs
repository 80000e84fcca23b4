//! Each fault of the proxy on loopback, with what both sides saw of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use nanshe_conformance::environment::{TokioEnvironment, World};
use nanshe_conformance::history::{self, Operation, Outcome, Recorder};
use nanshe_conformance::proxy::{NetworkFault, Proxy, REPEATED_FROM, Setting, Strike};
use nanshe_conformance::target::{Answer, Client, Endpoint, NotAnswered};
use nanshe_conformance::workload::{Board, Process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::header;

/// How long a client waits here. Nothing but silence takes as long.
const PATIENCE: Duration = Duration::from_millis(400);

/// Longer than a test takes in which nobody is silent.
const LONG: Duration = Duration::from_secs(20);

const ANSWER_BYTES: usize = 1_000;

/// Requests that a proxy has under way here at once, at most.
const IN_FLIGHT_MAX: usize = 4;

/// What the server saw of each request: whether it was whole.
type Saw = Arc<Mutex<Vec<bool>>>;

/// A server that answers `DELETE` with 204, and all else with 200 and a body.
async fn server() -> (Endpoint, Saw) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let saw = Saw::default();
    let seen = Arc::clone(&saw);
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(tokio::spawn(serve(stream, Arc::clone(&seen))));
        }
    }));
    (Endpoint::parse(&url).unwrap(), saw)
}

async fn serve(mut stream: TcpStream, saw: Saw) {
    loop {
        let mut bytes = Vec::new();
        while !is_whole(&bytes) {
            match stream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => {
                    if !bytes.is_empty() {
                        saw.lock().unwrap().push(false);
                    }
                    return;
                }
                Ok(_) => {}
            }
        }
        saw.lock().unwrap().push(true);
        let answer = if bytes.starts_with(b"DELETE") {
            "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
        } else {
            let body = "x".repeat(ANSWER_BYTES);
            format!("HTTP/1.1 200 OK\r\ncontent-length: {ANSWER_BYTES}\r\n\r\n{body}")
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse::<usize>().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}

struct Stage {
    world: World,
    proxy: Proxy,
    recorder: Arc<Recorder>,
    board: Arc<Board>,
    saw: Saw,
}

impl Stage {
    /// A proxy before a server, with `fault` in force for every request.
    async fn set(fault: NetworkFault, patience: Duration) -> Self {
        Self::of(server().await, fault, (patience, LONG)).await
    }

    /// The same, if the proxy holds a request for so long.
    async fn of(
        (endpoint, saw): (Endpoint, Saw),
        fault: NetworkFault,
        (patience, held_at_most): (Duration, Duration),
    ) -> Self {
        let world: World = Arc::new(TokioEnvironment::new());
        let (recorder, board) = (Recorder::new(header()), Arc::<Board>::default());
        let setting = Setting {
            world: Arc::clone(&world),
            recorder: Arc::clone(&recorder),
            board: Arc::clone(&board),
            seed: 1,
            patience,
            held_at_most,
            in_flight_max: IN_FLIGHT_MAX,
        };
        let proxy = Proxy::open(setting, endpoint).await.unwrap();
        proxy.inject(0, Strike { fault, share: 1.0 });
        Self {
            world,
            proxy,
            recorder,
            board,
            saw,
        }
    }

    async fn post(&self, patience: Duration) -> Result<Answer, NotAnswered> {
        let endpoint = self.proxy.endpoint().clone();
        let client = Client::new(Arc::clone(&self.world), endpoint, patience, 1);
        let request = http::Request::post("/v2/queues/q/messages");
        let request = request.header("client-id", "00000000-0000-4000-8000-000000000007");
        client
            .send(request.body(Bytes::from("0123456789")).unwrap())
            .await
    }

    fn saw(&self) -> Vec<bool> {
        self.saw.lock().unwrap().clone()
    }

    /// Waits until the server has seen `count` requests, whole or not.
    async fn seen(&self, count: usize) -> Vec<bool> {
        while self.saw().len() < count {
            self.world.sleep(Duration::from_millis(2)).await;
        }
        self.saw()
    }

    /// The faults in the history, each of which has ended as well.
    fn faults(&self) -> Vec<String> {
        let history = self.recorder.history();
        let faults: Vec<String> = history.faults.into_iter().map(|(_, fault)| fault).collect();
        let heals: Vec<String> = history.heals.into_iter().map(|(_, heal)| heal).collect();
        assert_eq!(faults, heals);
        faults
    }
}

fn is_no_answer(outcome: &Result<Answer, NotAnswered>) -> bool {
    matches!(outcome, Err(NotAnswered::NoAnswer(_)))
}

#[tokio::test]
async fn dropped_request_never_arrives_and_its_client_waits_in_vain() {
    let stage = Stage::set(NetworkFault::DropRequests, PATIENCE).await;
    let before = stage.world.now();
    let outcome = stage.post(PATIENCE).await;
    assert!(is_no_answer(&outcome), "{outcome:?}");
    assert!(stage.world.now().since(before) >= PATIENCE);
    assert!(stage.saw().is_empty());
    assert_eq!(stage.faults(), ["drop-requests process 7 request 1"]);
}

#[tokio::test]
async fn dropped_answer_was_given_and_its_client_waits_in_vain() {
    let stage = Stage::set(NetworkFault::DropAnswers, PATIENCE).await;
    let outcome = stage.post(PATIENCE).await;
    assert!(is_no_answer(&outcome), "{outcome:?}");
    assert_eq!(stage.saw(), [true]);
    assert_eq!(stage.faults(), ["drop-answers process 7 request 1"]);
}

#[tokio::test]
async fn delayed_request_arrives_even_if_nobody_waits_any_more() {
    // The first request of process 7 under seed 1 is always as late: by more than its client waits.
    let stage = Stage::set(NetworkFault::DelayRequests, Duration::from_secs(2)).await;
    let outcome = stage.post(Duration::from_millis(50)).await;
    assert!(stage.saw().is_empty());
    assert!(is_no_answer(&outcome), "{outcome:?}");
    assert_eq!(stage.seen(1).await, [true]);
    assert_eq!(stage.faults(), ["delay-requests process 7 request 1"]);
}

#[tokio::test]
async fn reset_request_arrives_in_half() {
    let stage = Stage::set(NetworkFault::ResetRequests, LONG).await;
    let outcome = stage.post(LONG).await;
    assert!(is_no_answer(&outcome), "{outcome:?}");
    assert_eq!(stage.seen(1).await, [false]);
    assert_eq!(stage.faults(), ["reset-requests process 7 request 1"]);
}

#[tokio::test]
async fn reset_answer_breaks_off_and_was_given() {
    let stage = Stage::set(NetworkFault::ResetAnswers, PATIENCE).await;
    let outcome = stage.post(LONG).await;
    assert!(is_no_answer(&outcome), "{outcome:?}");
    assert_eq!(stage.saw(), [true]);
    assert_eq!(stage.faults(), ["reset-answers process 7 request 1"]);
}

#[tokio::test]
async fn slow_answer_is_whole_in_the_end() {
    let stage = Stage::set(NetworkFault::SlowAnswers, PATIENCE).await;
    let before = stage.world.now();
    let answer = stage.post(LONG).await.unwrap();
    assert_eq!(answer.body, "x".repeat(ANSWER_BYTES));
    // The first request of process 7 under seed 1 is struck with a force that is always the same.
    assert!(stage.world.now().since(before) >= Duration::from_millis(8));
    assert_eq!(stage.saw(), [true]);
    assert_eq!(stage.faults(), ["slow-answers process 7 request 1"]);
}

/// A process that deletes a message by way of the proxy.
async fn delete(stage: &Stage) {
    let endpoint = stage.proxy.endpoint().clone();
    let pen = (Arc::clone(&stage.recorder), 7);
    let process = Process::new(Arc::clone(&stage.world), (endpoint, LONG), pen);
    let process = process.on_board(Arc::clone(&stage.board));
    let delete = Operation::Delete {
        queue: "q".to_owned(),
        message: "m".to_owned(),
        claim: None,
    };
    assert!(process.perform(delete).await.is_some());
}

#[tokio::test]
async fn repeated_request_arrives_twice_and_stands_in_the_history_as_one_that_nobody_knows_of() {
    let stage = Stage::set(NetworkFault::DuplicateRequests, LONG).await;
    delete(&stage).await;
    assert_eq!(stage.saw(), [true, true]);
    assert_eq!(
        stage.faults(),
        ["duplicate-requests process 7 request 1 (not posts)"]
    );
    let history = stage.recorder.history();
    let [own, repeated] = history.records.as_slice() else {
        panic!("{:?}", history.records);
    };
    assert_eq!((own.process, own.is_ok()), (7, true));
    assert_eq!(repeated.process, REPEATED_FROM);
    assert_eq!(repeated.outcome, Outcome::Info);
    assert_eq!(repeated.operation, own.operation);
    // What others wrote must read it as well.
    history::read(stage.recorder.lines().as_slice()).unwrap();
}

#[tokio::test]
async fn post_is_never_repeated_for_its_tokens_are_posted_once() {
    let stage = Stage::set(NetworkFault::DuplicateRequests, LONG).await;
    assert!(stage.post(LONG).await.is_ok());
    assert_eq!(stage.saw(), [true]);
    assert_eq!(stage.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn client_that_is_cut_off_reaches_nobody_until_the_heal_and_then_all_it_sent_arrives() {
    let stage = Stage::set(NetworkFault::CutOff, PATIENCE).await;
    for _ in 0..2 {
        assert!(is_no_answer(&stage.post(Duration::from_millis(50)).await));
    }
    assert!(stage.saw().is_empty());
    stage.proxy.heal(0);
    assert_eq!(stage.seen(2).await, [true, true]);
    assert!(stage.post(LONG).await.is_ok());
    assert_eq!(stage.proxy.struck(), 2);
}

#[tokio::test]
async fn request_that_is_held_for_too_long_never_arrives() {
    let held = Duration::from_millis(20);
    let server = server().await;
    let stage = Stage::of(server, NetworkFault::CutOff, (LONG, held)).await;
    assert!(is_no_answer(&stage.post(Duration::from_millis(200)).await));
    stage.proxy.heal(0);
    // What comes now is not held, and arrives alone.
    assert!(stage.post(LONG).await.is_ok());
    assert_eq!(stage.saw(), [true]);
}

#[tokio::test]
async fn requests_that_wait_for_a_server_that_answers_nobody_are_lost_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let came = Arc::<AtomicUsize>::default();
    let coming = Arc::clone(&came);
    drop(tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok(accepted) = listener.accept().await {
            coming.fetch_add(1, Ordering::Relaxed);
            streams.push(accepted);
        }
    }));
    let server = (Endpoint::parse(&url).unwrap(), Saw::default());
    let stage = Stage::of(server, NetworkFault::DropRequests, (PATIENCE, PATIENCE / 4)).await;
    stage.proxy.heal(0);
    // Those that wait have their turns when the proxy has given up the first: too late.
    let all = (0..IN_FLIGHT_MAX + 2).map(|_| stage.post(LONG));
    for outcome in futures_util::future::join_all(all).await {
        assert!(is_no_answer(&outcome), "{outcome:?}");
    }
    assert_eq!(came.load(Ordering::Relaxed), IN_FLIGHT_MAX);
}

#[tokio::test]
async fn reset_request_to_a_target_behind_tls_shows_nobody_what_it_says() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let target = (Endpoint::parse(&url).unwrap(), Saw::default());
    let stage = Stage::of(target, NetworkFault::ResetRequests, (PATIENCE, LONG)).await;
    let first = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap()
    };
    let (outcome, first) = tokio::join!(stage.post(LONG), first);
    assert!(is_no_answer(&outcome), "{outcome:?}");
    // A handshake (RFC 8446, 5.1).
    assert_eq!(first, 22);
}

#[tokio::test]
async fn proxy_without_a_fault_changes_nothing_and_follows_a_target_that_moves() {
    let stage = Stage::set(NetworkFault::DropRequests, LONG).await;
    stage.proxy.heal(0);
    assert_eq!(stage.post(LONG).await.unwrap().status, 200);
    let (elsewhere, saw) = server().await;
    stage.proxy.lead_to(elsewhere);
    assert!(stage.post(LONG).await.is_ok());
    assert_eq!(
        (stage.saw(), saw.lock().unwrap().clone()),
        (vec![true], vec![true])
    );
    assert_eq!(stage.faults(), Vec::<String>::new());
}
