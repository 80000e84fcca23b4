//! The specification by clause: what it accepts, and what it must not.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::super::answer::{Difference, Heard};
use super::super::operation::{
    Act, Change, ClaimArgument, ClaimRef, Draft, Listing, Member, MessageRef, Operation, Place,
    Purged, Scope, Terms,
};
use super::{Rules, Specification};
use crate::environment::Instant;
use crate::suite::Sent;
use crate::target::Answer;
use std::time::Duration;

const HERE: Place = Place {
    project: 0,
    queue: 0,
};
const DEAD: Place = Place {
    project: 0,
    queue: 2,
};

/// A conversation whose answers the test invents; time passes only where it says so.
struct Talk {
    specification: Specification,
    now: Instant,
    place: Place,
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

impl Talk {
    /// With a slack of two seconds.
    fn new() -> Self {
        let rules = Rules {
            slack: secs(2),
            expiry_lag: Duration::ZERO,
        };
        Self {
            specification: Specification::new(rules, String::new()),
            now: Instant::START.plus(secs(1_000)),
            place: HERE,
        }
    }

    fn at(&mut self, place: Place) -> &mut Self {
        self.place = place;
        self
    }

    fn wait(&mut self, span: u64) {
        self.now = self.now.plus(secs(span));
    }

    /// Asks as client 0; the answer has this status and body.
    fn ask(&mut self, act: Act, status: u16, body: Value) -> Result<(), Difference> {
        let operation = Operation {
            place: self.place,
            client: 0,
            act,
        };
        let call = self.specification.plan(&operation, self.now).unwrap();
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut headers = HeaderMap::new();
        if let Some(id) = body["claim"].as_str() {
            headers.insert(
                "location",
                format!("/v2/queues/b/claims/{id}").parse().unwrap(),
            );
        }
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer {
            status,
            headers,
            body: Bytes::from(text),
        };
        let sent = Sent {
            invoked_at: self.now,
            answered_at: self.now,
        };
        self.specification.judge(
            &call.meaning,
            Heard {
                sent,
                answer: &answer,
            },
        )
    }

    fn post(&mut self, ids: &[&str], ttl: u64) {
        let draft = Draft {
            ttl: Some(ttl),
            delay: None,
        };
        let messages = vec![draft; ids.len()];
        let paths: Vec<String> = ids
            .iter()
            .map(|id| format!("/v2/queues/b/messages/{id}"))
            .collect();
        let act = Act::Post { key: 0, messages };
        self.ask(act, 201, json!({ "resources": paths })).unwrap();
    }

    /// These messages as an answer shows them.
    fn shown(&self, ids: &[&str]) -> Vec<Value> {
        let one = |id: &&str| {
            let all = &self.specification.messages;
            let known = all.iter().find(|message| message.id == **id);
            let (body, ttl, age) = known.map_or((json!(0), 300, 0), |message| {
                let age = self.now.since(message.posted.invoked_at).as_secs();
                (message.body.clone(), message.ttl, age)
            });
            json!({ "id": id, "href": "/", "age": age, "ttl": ttl, "body": body })
        };
        ids.iter().map(one).collect()
    }

    /// A claim for `ttl`, with a grace of 60, that takes `ids`, or nothing.
    fn claim(&mut self, claim: &str, ttl: u64, ids: &[&str]) -> Result<(), Difference> {
        let terms = Terms { ttl, grace: 60 };
        let act = Act::Claim {
            key: 0,
            terms,
            limit: 20,
        };
        if ids.is_empty() {
            return self.ask(act, 204, Value::Null);
        }
        let body = json!({ "claim": claim, "messages": self.shown(ids) });
        self.ask(act, 201, body)
    }

    fn pop(&mut self, count: u64, ids: &[&str]) -> Result<(), Difference> {
        let body = json!({ "messages": self.shown(ids) });
        self.ask(Act::Pop(count), 200, body)
    }

    fn list(&mut self, page: Option<u16>, ids: &[&str]) -> Result<(), Difference> {
        let listing = Listing {
            echo: true,
            include_claimed: false,
            include_delayed: false,
            limit: 2,
        };
        let links = json!([{ "rel": "next", "href": "/x?marker=7" }]);
        let body = json!({ "messages": self.shown(ids), "links": links });
        self.ask(
            Act::List {
                key: 0,
                page,
                listing,
            },
            200,
            body,
        )
    }

    fn get(&mut self, status: u16, ids: &[&str]) -> Result<(), Difference> {
        let body = self.shown(ids).pop().unwrap_or_default();
        self.ask(Act::Get(message(Scope::Here)), status, body)
    }

    fn delete(&mut self, claim: ClaimArgument, status: u16) -> Result<(), Difference> {
        let message = message(Scope::Here);
        self.ask(Act::Delete { message, claim }, status, Value::Null)
    }

    fn create(&mut self, settings: Vec<(Member, u64)>, status: u16) -> Result<(), Difference> {
        self.ask(Act::CreateQueue(settings), status, Value::Null)
    }
}

fn message(scope: Scope) -> MessageRef {
    MessageRef { scope, key: 0 }
}

fn claim(scope: Scope) -> ClaimRef {
    ClaimRef { scope, key: 0 }
}

fn blames(judged: Result<(), Difference>, clause: &str) {
    let difference = judged.expect_err(clause);
    assert!(difference.clause.contains(clause), "{difference:?}");
}

#[test]
fn message_is_there_until_its_ttl_undecided_near_it_and_gone_after() {
    // 5.10
    let posted = || {
        let mut talk = Talk::new();
        talk.post(&["m1"], 60);
        talk
    };
    for (after, may_be_there, may_be_gone) in
        [(57, true, false), (60, true, true), (63, false, true)]
    {
        let mut talk = posted();
        talk.wait(after);
        let body = talk.shown(&["m1"]);
        assert_eq!(
            talk.list(None, &["m1"]).is_ok(),
            may_be_there,
            "{after} {body:?}"
        );
        let mut talk = posted();
        talk.wait(after);
        assert_eq!(talk.list(None, &[]).is_ok(), may_be_gone, "{after}");
    }
}

#[test]
fn what_was_seen_to_be_gone_near_its_end_stays_gone() {
    // 5.10
    let mut talk = Talk::new();
    talk.post(&["m1"], 60);
    talk.wait(60);
    talk.list(None, &[]).unwrap();
    talk.wait(1);
    blames(talk.list(None, &["m1"]), "5.10");
}

#[test]
fn claim_and_pop_take_the_oldest_active_messages_and_miss_none() {
    // 6.1, 5.8
    let posted = || {
        let mut talk = Talk::new();
        talk.post(&["m1", "m2", "m3"], 300);
        talk
    };
    blames(posted().claim("c1", 300, &["m2", "m3"]), "6.1");
    blames(posted().claim("c1", 300, &["m1", "m2"]), "6.1");
    blames(posted().claim("c1", 300, &["m2", "m1", "m3"]), "G4");
    blames(posted().claim("c1", 300, &[]), "6.1");
    posted().claim("c1", 300, &["m1", "m2", "m3"]).unwrap();
    blames(posted().pop(2, &["m1"]), "5.8");
    blames(posted().pop(1, &["m2"]), "5.8");
    posted().pop(2, &["m1", "m2"]).unwrap();
}

#[test]
fn leased_message_is_nobody_elses_until_the_lease_ends() {
    // 6.1, 6.3
    let claimed = || {
        let mut talk = Talk::new();
        talk.post(&["m1"], 300);
        talk.claim("c1", 60, &["m1"]).unwrap();
        talk
    };
    let mut talk = claimed();
    talk.wait(57);
    blames(talk.claim("c2", 60, &["m1"]), "G6");
    let mut talk = claimed();
    talk.wait(57);
    blames(talk.pop(1, &["m1"]), "G6");
    let mut talk = claimed();
    talk.wait(63);
    blames(talk.claim("c2", 60, &[]), "6.1");
    let mut talk = claimed();
    talk.wait(60);
    talk.claim("c2", 60, &[]).unwrap();
    talk.claim("c3", 60, &["m1"]).unwrap();
    blames(talk.claim("c4", 60, &["m1"]), "G6");
}

#[test]
fn message_outlives_its_claim_by_the_grace_but_is_not_extended_without_need() {
    // 6.2
    let claimed = |ttl, lease| {
        let mut talk = Talk::new();
        talk.post(&["m1"], ttl);
        talk.claim("c1", lease, &["m1"]).unwrap();
        talk
    };
    // 60 + grace of 60 after a claim of 90.
    let mut talk = claimed(60, 90);
    talk.wait(147);
    blames(talk.get(404, &[]), "5.6");
    let mut talk = claimed(60, 90);
    talk.wait(153);
    talk.at(HERE);
    assert!(talk.specification.messages.iter().all(|message| {
        let now = Sent {
            invoked_at: talk.now,
            answered_at: talk.now,
        };
        talk.specification.is_gone(message, now)
    }));
    let mut talk = claimed(120, 60);
    talk.wait(123);
    blames(talk.list(None, &["m1"]), "5.10");
}

#[test]
fn renewal_restarts_the_lease_and_an_ended_claim_cannot_be_renewed() {
    // 6.5
    let renew = |talk: &mut Talk, scope, status| {
        let terms = Terms { ttl: 60, grace: 60 };
        talk.ask(
            Act::Renew {
                claim: claim(scope),
                terms,
            },
            status,
            Value::Null,
        )
    };
    let mut talk = Talk::new();
    talk.post(&["m1"], 300);
    talk.claim("c1", 60, &["m1"]).unwrap();
    talk.wait(50);
    blames(renew(&mut talk, Scope::Here, 404), "6.5");
    renew(&mut talk, Scope::Here, 204).unwrap();
    talk.wait(50);
    blames(talk.claim("c2", 60, &["m1"]), "G6");
    talk.wait(20);
    blames(renew(&mut talk, Scope::Gone, 204), "6.5");
    renew(&mut talk, Scope::Gone, 404).unwrap();
}

#[test]
fn release_frees_at_once_and_at_the_old_place() {
    // 6.6, 5.3
    let released = || {
        let mut talk = Talk::new();
        talk.post(&["m1"], 300);
        talk.claim("c1", 60, &["m1"]).unwrap();
        talk.post(&["m2"], 300);
        talk.ask(Act::Release(claim(Scope::Here)), 204, Value::Null)
            .unwrap();
        talk
    };
    blames(released().claim("c2", 60, &["m2", "m1"]), "G4");
    blames(released().claim("c2", 60, &["m2"]), "6.1");
    released().claim("c2", 60, &["m1", "m2"]).unwrap();
}

#[test]
fn delete_follows_the_decision_table() {
    // 5.7
    let posted = |is_claimed: bool, after: u64| {
        let mut talk = Talk::new();
        talk.post(&["m1"], 300);
        if is_claimed {
            talk.claim("c1", 60, &["m1"]).unwrap();
        }
        talk.wait(after);
        talk
    };
    let invented = ClaimArgument::Of(claim(Scope::Invented));
    for (is_claimed, after, named, right) in [
        (false, 0, ClaimArgument::Absent, 204),
        (false, 0, invented, 400),
        (true, 0, ClaimArgument::Absent, 403),
        (true, 0, ClaimArgument::LastHolder, 204),
        (true, 0, invented, 400),
        (true, 70, ClaimArgument::Absent, 204),
        (true, 70, ClaimArgument::LastHolder, 400),
    ] {
        for status in [204, 400, 403] {
            let judged = posted(is_claimed, after).delete(named, status);
            assert_eq!(
                judged.is_ok(),
                status == right,
                "{is_claimed} {after} {named:?} {status}"
            );
        }
    }
    let mut talk = posted(true, 60);
    talk.delete(ClaimArgument::LastHolder, 400).unwrap();
    blames(talk.delete(ClaimArgument::Absent, 403), "5.7");
}

#[test]
fn delayed_message_is_readable_but_neither_claimed_nor_popped() {
    // 5.9
    let posted = || {
        let mut talk = Talk::new();
        talk.create(vec![(Member::DefaultDelay, 40)], 201).unwrap();
        talk.post(&["m1"], 300);
        talk.wait(30);
        talk
    };
    blames(posted().claim("c1", 60, &["m1"]), "G11");
    blames(posted().pop(1, &["m1"]), "G11");
    blames(posted().list(None, &["m1"]), "G11");
    let mut talk = posted();
    talk.get(200, &["m1"]).unwrap();
    talk.wait(13);
    blames(talk.claim("c1", 60, &[]), "6.1");
}

#[test]
fn message_moves_after_as_many_deliveries_as_the_queue_allows() {
    // 7.2
    let delivered = || {
        let mut talk = Talk::new();
        talk.create(vec![(Member::DeadLetters, 1)], 201).unwrap();
        talk.post(&["m1"], 300);
        talk.claim("c1", 60, &["m1"]).unwrap();
        talk.ask(Act::Release(claim(Scope::Here)), 204, Value::Null)
            .unwrap();
        talk
    };
    blames(delivered().claim("c2", 60, &["m1"]), "G12");
    let mut talk = delivered();
    talk.claim("c2", 60, &[]).unwrap();
    blames(talk.at(HERE).list(None, &["m1"]), "G13");
    blames(talk.at(DEAD).claim("c3", 60, &[]), "6.1");
    talk.at(DEAD).claim("c3", 60, &["m1"]).unwrap();
}

#[test]
fn page_begins_right_behind_its_marker() {
    // 5.4
    let paged = || {
        let mut talk = Talk::new();
        talk.post(&["m1", "m2", "m3", "m4"], 300);
        talk.list(None, &["m1", "m2"]).unwrap();
        talk
    };
    blames(paged().list(Some(0), &["m4"]), "G9");
    blames(paged().list(Some(0), &["m2", "m3"]), "G9");
    blames(paged().list(Some(0), &[]), "G9");
    paged().list(Some(0), &["m3"]).unwrap();
    paged().list(Some(0), &["m3", "m4"]).unwrap();
}

#[test]
fn refused_patch_leaves_metadata_and_a_second_creation_too() {
    // 4.5, 4.3
    let shown = |color: &str| {
        json!({
            "color": color, "_max_messages_post_size": 262_144, "_default_message_ttl": 3600,
            "_default_message_delay": 0, "_dead_letter_queue": null,
            "_dead_letter_queue_messages_ttl": null, "_max_claim_count": null,
            "_enable_encrypt_messages": false,
        })
    };
    let mut talk = Talk::new();
    talk.create(vec![(Member::Color, 0)], 201).unwrap();
    blames(talk.create(Vec::new(), 201), "4.3");
    talk.create(vec![(Member::Color, 1)], 204).unwrap();
    let half = vec![Change::Add(Member::Color, 1), Change::Remove(Member::Size)];
    blames(
        talk.ask(Act::PatchQueue(half.clone()), 200, shown("green")),
        "4.5",
    );
    talk.ask(Act::PatchQueue(half), 409, Value::Null).unwrap();
    blames(talk.ask(Act::ReadQueue, 200, shown("green")), "4.4");
    talk.ask(Act::ReadQueue, 200, shown("red")).unwrap();
    let bad = vec![Change::Add(Member::Color, 1), Change::OutOfRange];
    blames(
        talk.ask(Act::PatchQueue(bad.clone()), 409, Value::Null),
        "4.5",
    );
    talk.ask(Act::PatchQueue(bad), 400, Value::Null).unwrap();
    let add = vec![Change::Add(Member::Color, 1)];
    talk.ask(Act::PatchQueue(add), 200, shown("green")).unwrap();
}

#[test]
fn purge_and_deletion_leave_nothing_that_is_free() {
    // 4.8, 4.6
    let mut talk = Talk::new();
    talk.post(&["m1"], 300);
    talk.ask(Act::Purge(Purged::Subscriptions), 204, Value::Null)
        .unwrap();
    talk.list(None, &["m1"]).unwrap();
    talk.ask(Act::Purge(Purged::Messages), 204, Value::Null)
        .unwrap();
    blames(talk.list(None, &["m1"]), "G13");
    talk.post(&["m2"], 300);
    talk.ask(Act::DeleteQueue, 204, Value::Null).unwrap();
    blames(talk.pop(20, &["m2"]), "G13");
    talk.create(Vec::new(), 201).unwrap();
}

#[test]
fn purge_may_leave_claimed_messages_or_take_them() {
    // 4.8, LAX
    for stays in [true, false] {
        let mut talk = Talk::new();
        talk.post(&["m1"], 300);
        talk.claim("c1", 60, &["m1"]).unwrap();
        talk.ask(Act::Purge(Purged::Messages), 204, Value::Null)
            .unwrap();
        if stays {
            talk.get(200, &["m1"]).unwrap();
            blames(talk.get(404, &[]), "5.6");
        } else {
            talk.get(404, &[]).unwrap();
        }
    }
}

#[test]
fn projects_share_nothing() {
    // 14.2
    let mut talk = Talk::new();
    talk.post(&["m1"], 300);
    let there = Place {
        project: 1,
        queue: 0,
    };
    blames(talk.at(there).list(None, &["m1"]), "14.2");
    let elsewhere = Act::Get(message(Scope::Elsewhere));
    let body = talk.shown(&["m1"]).pop().unwrap();
    blames(talk.at(there).ask(elsewhere.clone(), 200, body), "14.2");
    talk.at(there).ask(elsewhere, 404, Value::Null).unwrap();
}

#[test]
fn statistics_are_exact_where_everything_is_certain() {
    // 4.7
    let stats = |claimed: u64, free: u64, total: u64| {
        let end = json!({ "href": "/v2/queues/b/messages/m1" });
        let newest = json!({ "href": "/v2/queues/b/messages/m2" });
        let counts = json!({ "claimed": claimed, "free": free, "total": total,
            "oldest": end, "newest": newest });
        json!({ "messages": counts })
    };
    let mut talk = Talk::new();
    talk.post(&["m1"], 300);
    talk.claim("c1", 60, &["m1"]).unwrap();
    talk.post(&["m2"], 300);
    talk.ask(Act::Stats, 200, stats(1, 1, 2)).unwrap();
    for wrong in [
        stats(0, 2, 2),
        stats(2, 0, 2),
        stats(1, 1, 3),
        stats(1, 2, 3),
    ] {
        blames(talk.ask(Act::Stats, 200, wrong), "4.7");
    }
    talk.wait(60);
    talk.ask(Act::Stats, 200, stats(0, 2, 2)).unwrap();
}
