//! Specimens that scale badly are slow, not wrong: they keep every promise about messages, and what an operation
//! examines grows with what each is about, and with nothing else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use nanshe_conformance::document::Document;
use nanshe_conformance::environment::Environment;
use nanshe_simulator::explore::broken;
use nanshe_simulator::implementation::{Answering, Beside, Inbound};
use nanshe_simulator::scenario::Scenario;
use nanshe_simulator::specimens::{INDEXED, SCALING, SPECIMENS};
use nanshe_simulator::world::{
    ClockSettings, Disk, DiskSettings, Network, Node, NodeClock, Processor, ProcessorSettings,
};
use nanshe_simulator::{Implementation, NodeContext, implementations, run};
use serde_json::{Value, json};

use crate::implementation;

/// What an entry costs here: so much that nothing else is worth counting.
const ENTRY: Duration = Duration::from_micros(1);

/// Messages in the requests that fill a queue.
const FILLING: u64 = 1_000;

/// A server that answers without a network between, and charges for what it examines.
struct Server {
    answering: Answering,
    world: Arc<dyn Environment>,
}

/// An answer, and how many entries were examined for it.
struct Answered {
    status: StatusCode,
    body: Value,
    examined: u128,
}

impl Server {
    fn start(of: Implementation, node: &Node) -> Self {
        let free = DiskSettings {
            write_us: (0, 0),
            sync_us: (0, 0),
        };
        let costs = ProcessorSettings {
            entry_ns: u64::try_from(ENTRY.as_nanos()).unwrap(),
            ..ProcessorSettings::FREE
        };
        let world = node.environment();
        let context = NodeContext {
            name: "server".to_owned(),
            servers: vec!["server".to_owned()],
            clock: NodeClock::new(ClockSettings::default()),
            environment: Arc::clone(&world),
            disk: Disk::new(free, 0),
            processor: Processor::new(costs, 0),
            beside: Beside::default(),
            seed: 0,
        };
        let answering = (of.start)(context);
        Self { answering, world }
    }

    async fn ask(&self, client: &str, what: (Method, &str), body: Value) -> Answered {
        let text = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {});
        let request = Request::builder()
            .method(what.0)
            .uri(what.1)
            .header("client-id", client)
            .header("x-project-id", "p")
            .header("content-type", "application/json")
            .body(Inbound::new(text))
            .unwrap();
        let before = self.world.now();
        let answer = (self.answering)(request).await;
        let examined = self.world.now().since(before).as_nanos() / ENTRY.as_nanos();
        let (status, body) = (answer.status(), answer.into_body().collect().await);
        let body = serde_json::from_slice(&body.unwrap().to_bytes()).unwrap_or_default();
        Answered {
            status,
            body,
            examined,
        }
    }

    async fn post(&self, queue: &str, count: u64, ttl: u64) -> Answered {
        let message = json!({ "body": "x", "ttl": ttl });
        let messages: Vec<&Value> = (0..count).map(|_| &message).collect();
        let uri = format!("/v2/queues/{queue}/messages");
        let body = json!({ "messages": messages });
        self.ask("c", (Method::POST, &uri), body).await
    }

    async fn fill(&self, depth: u64, ttl: u64) {
        for _ in 0..depth / FILLING {
            self.post("q", FILLING, ttl).await;
        }
        let rest = depth % FILLING;
        if rest > 0 {
            self.post("q", rest, ttl).await;
        }
    }

    async fn claim(&self, queue: &str, limit: u64) -> Answered {
        let uri = format!("/v2/queues/{queue}/claims?limit={limit}");
        let terms = json!({ "ttl": 60, "grace": 60 });
        self.ask("c", (Method::POST, &uri), terms).await
    }

    async fn get(&self, what: &str) -> Answered {
        let uri = format!("/v2/queues/q/{what}");
        self.ask("c", (Method::GET, &uri), Value::Null).await
    }
}

/// Plays `scene` with a server of its own, in a world of its own.
fn play<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    name: &str,
    scene: impl FnOnce(Server) -> F + Send + 'static,
) -> T {
    let of = implementation(name);
    let play = move || {
        let config = madsim::Config::default();
        let runtime = madsim::runtime::Runtime::with_seed_and_config(1, config);
        runtime.block_on(async move {
            let network = Network::new((Duration::ZERO, Duration::ZERO), 1);
            let node = Node::new(&network, "server");
            let server = Server::start(of, &node);
            node.spawn(scene(server)).await.unwrap()
        })
    };
    std::thread::scope(|scope| scope.spawn(play).join().unwrap())
}

/// What operations examine where so many messages lie in the queue: a claim and a page without what lies before it;
/// a page at the end; a claim and a page after all that was there has expired; everything else together.
#[derive(Debug)]
struct Costs {
    claim: u128,
    last_page: u128,
    expired: u128,
    others: u128,
}

fn costs(name: &str, depth: u64) -> Costs {
    play(name, async move |server: Server| {
        server.fill(depth, 1_000).await;
        let claimed = server.claim("q", 10).await;
        assert_eq!(claimed.status, StatusCode::CREATED);
        let messages = claimed.body["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 10);
        let first = server.get("messages?limit=10&echo=true").await;
        let marker = format!("messages?limit=10&echo=true&marker={}", depth - 10);
        let last = server.get(&marker).await;
        let shown = last.body["messages"].as_array().unwrap().len();
        assert!((9..=11).contains(&shown), "{shown} messages");

        let href = messages[0]["href"].as_str().unwrap();
        let delete = server.ask("c", (Method::DELETE, href), Value::Null).await;
        assert_eq!(delete.status, StatusCode::NO_CONTENT);
        let claim = href.split_once("claim_id=").unwrap().1;
        let claim = format!("/v2/queues/q/claims/{claim}");
        let terms = json!({ "ttl": 60, "grace": 60 });
        let renewed = server.ask("c", (Method::PATCH, &claim), terms).await;
        assert_eq!(renewed.status, StatusCode::NO_CONTENT);
        let released = server.ask("c", (Method::DELETE, &claim), Value::Null).await;
        let posted = server.post("q", 1, 1_000).await;
        let stats = server.get("stats").await;
        assert_eq!(stats.body["messages"]["free"], depth);
        let others = [delete, renewed, released, posted, stats].map(|it| it.examined);

        server.world.sleep(Duration::from_secs(1_010)).await;
        server.post("q", 10, 100).await;
        let page = server.get("messages?limit=10&echo=true").await;
        let late = server.claim("q", 10).await;
        for answered in [&page, &late] {
            assert_eq!(answered.body["messages"].as_array().unwrap().len(), 10);
        }
        Costs {
            claim: claimed.examined + first.examined,
            last_page: last.examined,
            expired: page.examined + late.examined,
            others: others.iter().sum(),
        }
    })
}

/// How many times as much each costs at 100,000 messages as at 100.
fn growth(name: &str) -> Costs {
    let (few, many) = (costs(name, 100), costs(name, 100_000));
    Costs {
        claim: many.claim / few.claim,
        last_page: many.last_page / few.last_page,
        expired: many.expired / few.expired,
        others: many.others / few.others,
    }
}

/// A search among 100,000 takes 17 steps, one among 100 takes 7.
const LOGARITHMIC: u128 = 2;

#[test]
fn indexed_examines_logarithmically_many_entries() {
    let mut before = costs("indexed", 100);
    for depth in [1_000, 10_000, 100_000] {
        let costs = costs("indexed", depth);
        let pairs = [
            (before.claim, costs.claim),
            (before.last_page, costs.last_page),
            (before.others, costs.others),
        ];
        for (few, many) in pairs {
            // Ten times as many: three or four steps more in each search of at least seven.
            assert!(many > few && many * 2 <= few * 3, "{before:?} {costs:?}");
        }
        assert!(costs.expired * 2 <= before.expired * 3, "{costs:?}");
        before = costs;
    }
}

#[test]
fn flat_cost_specimens_examine_too_much_for_their_own_reason_alone() {
    let flat = [LOGARITHMIC; 4];
    for (name, its_own) in [
        ("indexed", &[][..]),
        ("scanning-claims", &[0]),
        ("counted-pages", &[1]),
        ("late-collection", &[2]),
        ("one-lock", &[]),
        // Alone on the server, its own messages are all there are, expired or not.
        ("one-table", &[0, 2]),
        ("fixed-table", &[]),
        ("chattering-sessions", &[]),
    ] {
        let grown = growth(name);
        let grown = [grown.claim, grown.last_page, grown.expired, grown.others];
        for (place, (grown, flat)) in grown.into_iter().zip(flat).enumerate() {
            if its_own.contains(&place) {
                assert!(grown > 50, "{name}: {grown} times, {place}");
            } else {
                assert!(grown <= flat, "{name}: {grown} times, {place}");
            }
        }
    }
}

#[test]
fn one_lock_lets_others_wait_for_a_big_batch_alone() {
    let waited = |name: &str, batch: u64| {
        play(name, async move |server: Server| {
            let (hot, cold) = (server.post("hot", batch, 100), server.claim("cold", 1));
            let hot = async {
                hot.await;
            };
            let cold = async { cold.await.examined };
            futures_util::future::join(hot, cold).await.1
        })
    };
    // In entries of a microsecond: 99 round trips of a millisecond.
    let slow = waited("one-lock", 100);
    assert!((99_000..110_000).contains(&slow), "{slow}");
    assert!(waited("one-lock", 1) < 100);
    assert!(waited("indexed", 100) < 5_000);
}

#[test]
fn write_costs_as_many_copies_as_sessions_are_active() {
    let cost = |sessions: u32, pause: Duration| {
        play("chattering-sessions", async move |server: Server| {
            for session in 0..sessions {
                let uri = "/v2/queues/q/messages";
                let client = format!("c{session}");
                server.ask(&client, (Method::GET, uri), Value::Null).await;
            }
            server.world.sleep(pause).await;
            server.post("q", 1, 100).await.examined
        })
    };
    let (one, thirty) = (cost(1, Duration::ZERO), cost(30, Duration::ZERO));
    // The one that posts is a session too.
    assert!((800..900).contains(&one), "{one}");
    assert!((12_400..12_500).contains(&thirty), "{thirty}");
    let quiet = cost(30, Duration::from_secs(6));
    assert!((400..500).contains(&quiet), "{quiet}");
}

#[test]
fn fixed_table_turns_the_seventeenth_claim_away_until_one_ends() {
    let statuses = play("fixed-table", async |server: Server| {
        server.fill(100, 1_000).await;
        let mut hrefs = Vec::new();
        for _ in 0..16 {
            let claimed = server.claim("q", 1).await;
            assert_eq!(claimed.status, StatusCode::CREATED);
            hrefs.push(claimed.body["messages"][0]["href"].to_string());
        }
        let full = server.claim("q", 1).await.status;
        let claim = hrefs[0]
            .trim_matches('"')
            .split_once("claim_id=")
            .unwrap()
            .1;
        let claim = format!("/v2/queues/q/claims/{claim}");
        server.ask("c", (Method::DELETE, &claim), Value::Null).await;
        let freed = server.claim("q", 1).await.status;
        let again = server.claim("q", 1).await.status;
        server.world.sleep(Duration::from_secs(61)).await;
        [full, freed, again, server.claim("q", 1).await.status]
    });
    let (full, room) = (StatusCode::SERVICE_UNAVAILABLE, StatusCode::CREATED);
    assert_eq!(statuses, [full, room, full, room]);
}

#[test]
fn own_messages_are_listed_with_the_echo_alone() {
    let shown = play("indexed", async |server: Server| {
        server.post("q", 3, 100).await;
        let mut shown = Vec::new();
        for (client, echo) in [("c", true), ("c", false), ("d", false)] {
            let uri = format!("/v2/queues/q/messages?echo={echo}");
            let page = server.ask(client, (Method::GET, &uri), Value::Null).await;
            shown.push(page.body["messages"].as_array().unwrap().len());
        }
        shown
    });
    assert_eq!(shown, [3, 0, 3]);
}

/// A scenario in which the processor has something to do, and answers and claims are lost.
fn scenario(workload: &str) -> Scenario {
    let text = format!(
        r#"name = "scaling/sound"
about = "what is slow is not wrong"
implementation = "indexed"
work_secs = 30
patience_ms = 4000
[server]
cores = 2
service_us = [100, 500]
entry_ns = 200
[workload.{workload}]
clients = 6
pause_ms_max = 500
claim_ttl_secs = 60
[[fault]]
kind = "lose-answers"
how = "reset"
share = 0.1
from_secs = [5, 10]
for_secs = [10, 15]
"#
    );
    let document = Document {
        file: "sound.toml",
        text: &text,
    };
    Scenario::parse(document).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_scales_badly_keeps_every_promise_about_messages() {
    for workload in [
        "competing-consumers",
        "batch-posts",
        "many-claimers",
        "observers",
        "pop-storm",
        "tenants",
        "delayed-messages",
    ] {
        let scenario = scenario(workload);
        for of in SCALING.iter().chain([&INDEXED]) {
            let mut judged = 0;
            for seed in 0..3 {
                let run = run(&scenario, *of, seed).unwrap();
                let what = format!("{} in {workload}, seed {seed}", of.name);
                assert_eq!(run.trouble, None, "{what}");
                assert!(broken(&run).is_empty(), "{what}: {:#?}", run.verdicts);
                judged += run.verdicts.rule("delivery/lost").unwrap().exercised;
            }
            assert!(judged > 20, "{} in {workload}: {judged}", of.name);
        }
    }
}

#[test]
fn reference_is_charged_for_what_it_examines() {
    let examined = play("reference", async |server: Server| {
        let client = "3381af92-2b9e-11e3-b191-71861300734c";
        let uri = "/v2/queues/q/messages";
        let body = json!({ "messages": [{ "body": "x", "ttl": 100 }] });
        let posted = server.ask(client, (Method::POST, uri), body).await;
        assert_eq!(posted.status, StatusCode::CREATED);
        let uri = "/v2/queues/q/claims";
        let terms = json!({ "ttl": 60, "grace": 60 });
        server
            .ask(client, (Method::POST, uri), terms)
            .await
            .examined
    });
    assert!((1..1_000).contains(&examined), "{examined}");
}

#[test]
fn drawn_scenarios_leave_them_out_and_they_are_found_by_name() {
    for of in SCALING.iter().chain([&INDEXED]) {
        assert!(
            implementations().any(|it| it.name == of.name),
            "{}",
            of.name
        );
        assert!(SPECIMENS.iter().all(|it| it.name != of.name), "{}", of.name);
    }
    let about_scaling = |it: &Implementation| {
        it.caught_by
            .is_some_and(|rule| rule.starts_with("scaling/"))
    };
    assert!(SCALING.iter().all(about_scaling));
}
