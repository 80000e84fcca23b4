//! A process against a real service: every operation is understood, and its history reads back.

use std::sync::Arc;
use std::time::Duration;

use nanshe_conformance::environment::{InProcess, TokioEnvironment, World};
use nanshe_conformance::history::{
    self, Answer, FORMAT, Header, Operation, Posted, Profile, QueueSettings, Recorder, Seen,
    VERSION,
};
use nanshe_conformance::target::Endpoint;
use nanshe_conformance::workload::Process;

use crate::in_process::reference;

const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn header() -> Header {
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        seed: 0,
        scenario: String::new(),
        target: "reference".to_owned(),
        slack_ns: 0,
        latest_effect_ns: None,
        profile: Profile::default(),
    }
}

fn queue() -> String {
    "q".to_owned()
}

fn page(chain: u64, marker: Option<String>, echo: bool) -> Operation {
    Operation::List {
        queue: queue(),
        chain,
        marker,
        limit: 1,
        echo,
        include_claimed: true,
        include_delayed: true,
    }
}

fn tokens(answer: &Answer) -> Vec<&str> {
    let seen = answer.seen().iter();
    seen.map(|seen| seen.token.as_str()).collect()
}

/// The reference in virtual time, and what its clients write down.
struct Run {
    world: World,
    recorder: Arc<Recorder>,
}

impl Run {
    fn new() -> Self {
        let world = InProcess::new(Arc::new(TokioEnvironment::new()), reference());
        Self {
            world: Arc::new(world),
            recorder: Recorder::new(header()),
        }
    }

    fn process(&self, number: u64) -> Process {
        let endpoint = Endpoint::parse("http://in-process").unwrap();
        let pen = (Arc::clone(&self.recorder), number);
        Process::new(Arc::clone(&self.world), (endpoint, PATIENCE), pen)
    }

    fn assert_reads_back(&self) {
        let lines = self.recorder.lines();
        let history = history::read(lines.as_slice()).unwrap();
        assert_eq!(history, self.recorder.history());
    }
}

/// Posts `a`, which says something, `b` and `c`. Their identifiers.
async fn post(process: &Process) -> Vec<String> {
    let mut messages = ["a", "b", "c"].map(|token| Posted::new(token, 60)).to_vec();
    messages[0].body = Some("what a says".to_owned());
    let queue = queue();
    let post = Operation::Post { queue, messages };
    let Some(Answer::Post { ids }) = process.perform(post).await else {
        panic!()
    };
    ids
}

fn stats() -> Operation {
    Operation::Stats { queue: queue() }
}

#[tokio::test(start_paused = true)]
async fn operations_on_queues_are_understood() {
    let run = Run::new();
    let (one, other) = (run.process(1), run.process(2).in_project("other"));
    let perform = async |operation| one.perform(operation).await.unwrap();
    let settings = QueueSettings {
        default_delay_secs: Some(0),
        dead_letter_queue: Some("dead".to_owned()),
        max_claim_count: Some(3),
        ..QueueSettings::default()
    };
    let create = || Operation::create_queue(queue(), settings.clone());
    for created in [true, false] {
        let answer = Answer::CreateQueue { created };
        assert_eq!(perform(create()).await, answer);
    }
    let set = Operation::set_metadata(queue(), QueueSettings::default());
    assert_eq!(perform(set).await, Answer::SetMetadata);
    post(&one).await;
    let counted = |free| Answer::Stats {
        free,
        claimed: 0,
        total: free,
    };
    assert_eq!(perform(stats()).await, counted(3));
    // Nobody sees the queue of another project.
    assert_eq!(other.perform(stats()).await, Some(counted(0)));
    let subscribe = Operation::Subscribe {
        queue: queue(),
        subscriber: "http://sink.example/1".to_owned(),
        ttl_secs: 60,
    };
    assert!(matches!(perform(subscribe).await, Answer::Subscribe { .. }));
    let purge = Operation::Purge { queue: queue() };
    assert_eq!(perform(purge).await, Answer::Purge);
    assert_eq!(perform(stats()).await, counted(0));
    let delete = Operation::DeleteQueue { queue: queue() };
    assert_eq!(perform(delete).await, Answer::DeleteQueue);
    run.assert_reads_back();
}

#[tokio::test(start_paused = true)]
async fn pages_are_understood() {
    let run = Run::new();
    let one = run.process(1);
    let perform = async |operation| one.perform(operation).await.unwrap();
    let ids = post(&one).await;
    let first = perform(page(1, None, true)).await;
    let body = Some("what a says".to_owned());
    let (id, token) = (ids[0].clone(), "a".to_owned());
    assert_eq!(first.seen(), [Seen { id, token, body }]);
    let Answer::List { next, .. } = first else {
        panic!()
    };
    assert_eq!(tokens(&perform(page(1, next, true)).await), ["b"]);
    // A client's own messages are not listed to it unless it asks for them.
    assert!(tokens(&perform(page(2, None, false)).await).is_empty());
    run.assert_reads_back();
}

#[tokio::test(start_paused = true)]
async fn operations_on_many_messages_are_understood() {
    let run = Run::new();
    let one = run.process(1);
    let perform = async |operation| one.perform(operation).await.unwrap();
    let ids = post(&one).await;
    let many = |ids: &[String]| Operation::GetMany {
        queue: queue(),
        ids: ids.to_vec(),
    };
    assert_eq!(tokens(&perform(many(&ids[1..])).await), ["b", "c"]);
    let claim = Operation::Claim {
        queue: queue(),
        limit: 1,
        ttl_secs: 60,
        grace_secs: 60,
    };
    let Answer::Claim {
        claim: Some(claim), ..
    } = perform(claim).await
    else {
        panic!()
    };
    let claim_get = |claim: &str| Operation::ClaimGet {
        queue: queue(),
        claim: claim.to_owned(),
    };
    assert_eq!(tokens(&perform(claim_get(&claim)).await), ["a"]);
    let absent = Answer::ClaimGet { messages: None };
    assert_eq!(perform(claim_get("none")).await, absent);
    let bulk = Operation::BulkDelete {
        queue: queue(),
        ids: ids[..2].to_vec(),
    };
    assert_eq!(perform(bulk).await, Answer::BulkDelete);
    let nothing = Answer::GetMany {
        messages: Vec::new(),
    };
    assert_eq!(perform(many(&ids[..2])).await, nothing);
    run.assert_reads_back();
}
