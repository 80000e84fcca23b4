//! Notifications, as whoever sends them sees them: requests out, outcomes in.

use http::{HeaderMap, StatusCode};
use nanshe_reference::broker::{
    AttemptId, ConfirmationRule, DeliveryCounts, Notification, Outcome,
};
use nanshe_reference::wire::{self, Dispatch};
use nanshe_reference::{Limits, Settings, SigningKey};
use serde_json::{Value, json};

use crate::support::{ALICE, BOB, World, text};

/// A request to a subscriber.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) attempt: AttemptId,
    pub(crate) to: String,
    headers: HeaderMap,
    body: String,
}

impl Sent {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Everything that may be sent at this moment.
pub(crate) fn sent(world: &World) -> Vec<Sent> {
    let take = || {
        let notification: Notification = world.service.next_notification()?;
        let Some(Dispatch::Webhook(request)) = world.service.dispatch(&notification) else {
            panic!("this is no webhook: {notification:?}");
        };
        let (parts, body) = request.into_parts();
        assert_eq!(parts.method, "POST");
        Some(Sent {
            attempt: notification.attempt,
            to: parts.uri.to_string(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        })
    };
    std::iter::from_fn(take).collect()
}

pub(crate) fn answer(world: &World, sent: &Sent, status: u16) {
    let outcome = wire::webhook::outcome(StatusCode::from_u16(status).unwrap());
    world.service.conclude(sent.attempt, outcome);
}

/// Sends and answers until nothing is left to be sent; what was sent.
pub(crate) fn deliver_all(world: &World) -> Vec<Sent> {
    let mut all = Vec::new();
    loop {
        let round = sent(world);
        if round.is_empty() {
            return all;
        }
        for one in round {
            answer(world, &one, 200);
            all.push(one);
        }
    }
}

pub(crate) fn subscribe(world: &World, subscriber: &str, options: &Value) -> String {
    let document = json!({"subscriber": subscriber, "ttl": 3600, "options": options}).to_string();
    let answer = world.send("POST /v2/queues/q/subscriptions", &document);
    assert_eq!(
        answer.status,
        201,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    format!(
        "/v2/queues/q/subscriptions/{}",
        text(&answer.json()["subscription_id"])
    )
}

pub(crate) fn counts(world: &World) -> DeliveryCounts {
    world.service.delivery_counts().unwrap()
}

pub(crate) fn confirming() -> World {
    World::with_settings(Settings {
        signing_key: SigningKey::new("secret".to_owned()),
        limits: Limits {
            confirmation_rule: ConfirmationRule::Required,
            ..Limits::default()
        },
        ..Settings::default()
    })
}

#[test]
fn every_message_is_posted_once_and_in_order() {
    let world = World::new();
    subscribe(&world, "http://h:8/p?q=1", &json!({}));
    world.send(
        "POST /v2/queues/q/messages",
        r#"{"messages":[{"ttl":60,"body":{"a" :1}},{"ttl":61,"body":2}]}"#,
    );
    let first = sent(&world);
    assert_eq!(first.len(), 1, "one at a time");
    assert_eq!(first[0].to, "http://h:8/p?q=1");
    assert_eq!(first[0].headers["content-type"], "application/json");
    assert_eq!(
        first[0].body,
        r#"{"ttl":60,"body":{"a" :1},"Message_Type":"Notification","queue_name":"q"}"#
    );
    answer(&world, &first[0], 204);
    let second = sent(&world);
    assert_eq!((second.len(), &second[0].json()["body"]), (1, &json!(2)));
    // An outcome that is reported twice counts once.
    answer(&world, &first[0], 204);
    answer(&world, &second[0], 302);
    assert!(sent(&world).is_empty());
    let expected = DeliveryCounts {
        owed: 2,
        delivered: 2,
        ..DeliveryCounts::default()
    };
    assert_eq!(counts(&world), expected);
}

/// H-08: only ten were notified. H-28: every notification came twice.
#[test]
fn all_subscribers_are_notified_once() {
    let world = World::new();
    for n in 0..23 {
        subscribe(&world, &format!("http://h/{n}"), &json!({}));
    }
    world.post("q", 60, &[1, 2]);
    world.post("other", 60, &[3]);
    let mut got: Vec<_> = deliver_all(&world)
        .iter()
        .map(|one| (one.to.clone(), one.body.clone()))
        .collect();
    got.sort();
    got.dedup();
    assert_eq!(got.len(), 46);
    assert_eq!(counts(&world).delivered, 46);
}

#[test]
fn options_shape_the_request() {
    let world = World::new();
    let options = json!({
        "post_headers": {"X-One": "1", "Content-Type": "text/plain"},
        "post_data": "{\"wrapped\": \"$zaqar_message$\", \"plain\": $zaqar_message$}",
    });
    subscribe(&world, "http://h", &options);
    world.send("PUT /v2/queues/q", r#"{"_default_message_delay":1}"#);
    assert_eq!(world.status("DELETE /v2/queues/q"), 204);
    world.send("PUT /v2/queues/q", r#"{"_default_message_delay":1}"#);
    world.send(
        "POST /v2/queues/q/messages",
        r#"{"messages":[{"ttl":60,"delay":9,"body":"é"}]}"#,
    );
    let sent = sent(&world);
    assert_eq!(
        (&sent[0].headers["x-one"], &sent[0].headers["content-type"]),
        (&"1".parse().unwrap(), &"text/plain".parse().unwrap())
    );
    let message =
        r#"{"ttl":60,"body":"é","delay":9,"Message_Type":"Notification","queue_name":"q"}"#;
    let expected = format!("{{\"wrapped\": {message}, \"plain\": $zaqar_message$}}");
    assert_eq!(sent[0].body, expected);
}

/// What happens to one message whose subscriber answers 500, second by second: the delays before
/// its retries, and how many there were.
pub(crate) fn retries(world: &World) -> Vec<u64> {
    let (mut delays, mut waited) = (Vec::new(), 0);
    let mut attempts = sent(world);
    loop {
        for one in &attempts {
            answer(world, one, 503);
        }
        attempts = sent(world);
        while attempts.is_empty() {
            if waited > 200 {
                return delays;
            }
            world.advance_secs(1);
            world.service.advance();
            waited += 1;
            attempts = sent(world);
        }
        delays.push(waited);
        waited = 0;
    }
}

#[test]
fn failed_deliveries_are_tried_again_by_policy_and_then_given_up() {
    let world = World::new();
    subscribe(&world, "http://h", &json!({}));
    world.post("q", 60, &[1]);
    assert_eq!(
        retries(&world),
        [0, 0, 0, 5, 5, 5, 5, 10, 15, 20, 25, 30, 30, 30]
    );
    let lost = counts(&world);
    assert_eq!((lost.given_up, lost.retried, lost.pending()), (1, 14, 0));
    // The batch goes on after a failure.
    world.post("q", 60, &[2, 3]);
    let first = sent(&world);
    answer(&world, &first[0], 404);
    assert_eq!(deliver_all(&world).len(), 1);
    assert_eq!((counts(&world).given_up, counts(&world).delivered), (2, 1));
}

#[test]
fn the_subscription_overrides_the_queue_unless_that_is_ignored() {
    for (ignore, expected) in [(false, vec![1]), (true, vec![2])] {
        let world = World::new();
        let short = |secs: u32, ignore: bool| {
            json!({"_retry_policy": {
                "retries_with_no_delay": 0, "minimum_delay_retries": 1, "minimum_delay": secs,
                "maximum_delay": secs + 10, "maximum_delay_retries": 0,
                "ignore_subscription_override": ignore,
            }})
        };
        world.send("PUT /v2/queues/q", &short(2, ignore).to_string());
        subscribe(&world, "http://h", &short(1, false));
        world.post("q", 60, &[1]);
        let delays = retries(&world);
        // Behind the one retry at the minimum come two steps of growth.
        assert_eq!(delays[..1], expected);
        assert_eq!(delays.len(), 3);
    }
}

#[test]
fn a_retry_comes_before_the_next_message() {
    let world = World::new();
    subscribe(&world, "http://h", &json!({}));
    world.post("q", 60, &[1, 2]);
    for expected in [1, 1, 1, 1] {
        let attempt = sent(&world);
        assert_eq!(attempt[0].json()["body"], expected);
        answer(&world, &attempt[0], 500);
    }
    assert!(sent(&world).is_empty());
    world.advance_secs(5);
    world.service.advance();
    assert_eq!(deliver_all(&world).len(), 2);
}

#[test]
fn a_slow_subscriber_delays_nobody_but_itself() {
    let world = World::new();
    for n in 0..100 {
        subscribe(&world, &format!("http://slow/{n}"), &json!({}));
    }
    world.post("q", 60, &[1, 2, 3]);
    let bound = Limits::default().deliveries_per_project_max;
    let under_way = sent(&world);
    assert_eq!(under_way.len(), bound);
    // Another tenant gets its turn at once, and as many attempts of its own.
    let subscriber = r#"{"subscriber":"http://other"}"#;
    world.send_as((BOB, "r"), "POST /v2/queues/q/subscriptions", subscriber);
    let message = r#"{"messages":[{"body":1}]}"#;
    world.send_as((BOB, "r"), "POST /v2/queues/q/messages", message);
    let others = sent(&world);
    assert_eq!((others.len(), others[0].to.as_str()), (1, "http://other/"));
    answer(&world, &others[0], 200);
    assert!(sent(&world).is_empty());
    for one in &under_way {
        answer(&world, one, 200);
    }
    assert_eq!(deliver_all(&world).len(), 300 - bound);
}

#[test]
fn whoever_falls_too_far_behind_loses_the_oldest_and_that_is_counted() {
    let world = World::with_limits(Limits {
        notifications_pending_max: 3,
        notification_bytes_pending_max: 40,
        ..Limits::default()
    });
    let path = subscribe(&world, "http://h", &json!({}));
    world.post("q", 60, &[1, 2, 3, 4, 5]);
    let bodies: Vec<_> = deliver_all(&world)
        .iter()
        .map(|one| one.json()["body"].clone())
        .collect();
    assert_eq!(bodies, [3, 4, 5]);
    let lost = counts(&world);
    assert_eq!((lost.owed, lost.delivered, lost.overflowed), (5, 3, 2));
    // A message that is larger than all that may be kept.
    let body = format!("{{\"messages\":[{{\"body\":\"{}\"}}]}}", "x".repeat(50));
    world.send("POST /v2/queues/q/messages", &body);
    assert!(deliver_all(&world).is_empty());
    assert_eq!(
        (counts(&world).overflowed, counts(&world).pending()),
        (3, 0)
    );
    // What is under way when a subscription ends is counted too.
    world.post("q", 60, &[6, 7]);
    let under_way = sent(&world);
    assert_eq!(world.status(&format!("DELETE {path}")), 204);
    answer(&world, &under_way[0], 200);
    assert_eq!((counts(&world).abandoned, counts(&world).pending()), (2, 0));
}

#[test]
fn subscribers_get_what_is_posted_while_they_are_subscribed() {
    let world = World::new();
    world.post("q", 60, &[1]);
    let path = subscribe(&world, "http://h", &json!({}));
    assert!(sent(&world).is_empty());
    world.post("q", 60, &[2]);
    // The new address gets what the old one has not got.
    world.send(&format!("PATCH {path}"), r#"{"subscriber":"http://new"}"#);
    let got = deliver_all(&world);
    assert_eq!(
        (got.len(), got[0].to.as_str(), &got[0].json()["body"]),
        (1, "http://new/", &json!(2))
    );
    // The subscription outlives the queue, and is notified by its successor.
    world.send("DELETE /v2/queues/q", "");
    world.post("q", 60, &[3]);
    assert_eq!(deliver_all(&world).len(), 1);
    world.advance_secs(3600);
    world.post("q", 60, &[4]);
    assert!(sent(&world).is_empty());
    // A post that is refused tells nobody.
    subscribe(&world, "http://h", &json!({}));
    world.send(
        "POST /v2/queues/q/messages",
        r#"{"messages":[{"body":1},{}]}"#,
    );
    assert!(sent(&world).is_empty());
}

/// The headers with which a notice lets its receiver answer.
fn signed(notice: &Value) -> Vec<(&'static str, String)> {
    vec![
        ("client-id", BOB.to_owned()),
        ("x-project-id", text(&notice["X-Project-ID"])),
        ("url-signature", text(&notice["URL-Signature"])),
        ("url-methods", text(&notice["URL-Methods"])),
        ("url-paths", text(&notice["URL-Paths"])),
        ("url-expires", text(&notice["URL-Expires"])),
    ]
}

/// Answers a notice with one of its bodies; the status.
fn reply(world: &World, notice: &Value, body: &str) -> u16 {
    let headers = signed(notice);
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let line = format!("PUT {}", text(&notice["URL-Paths"]));
    world
        .send_raw(&line, &headers, &notice[body].to_string())
        .status
        .as_u16()
}

/// H-26: confirmation had no effect. H-40: the option was ignored.
#[test]
fn nobody_is_notified_before_it_has_confirmed() {
    let world = confirming();
    let path = subscribe(&world, "http://h", &json!({}));
    world.post("q", 60, &[1]);
    let asked = deliver_all(&world);
    assert_eq!(asked.len(), 1, "one notice, and no message");
    let notice = asked[0].json();
    assert_eq!(notice["Message_Type"], "SubscriptionConfirmation");
    assert_eq!(notice["URL-Paths"], format!("{path}/confirm"));
    assert_eq!(
        (&notice["queue_name"], &notice["X-Project-ID"]),
        (&json!("q"), &json!("p"))
    );
    assert_eq!(notice["URL-Expires"], "2026-11-22T08:18:51");

    assert_eq!(reply(&world, &notice, "SubscribeBody"), 204);
    assert_eq!(
        world.send(&format!("GET {path}"), "").json()["confirmed"],
        true
    );
    world.post("q", 60, &[2]);
    let got = deliver_all(&world);
    assert_eq!((got.len(), &got[0].json()["body"]), (1, &json!(2)));

    assert_eq!(reply(&world, &notice, "UnsubscribeBody"), 204);
    world.post("q", 60, &[3]);
    let farewell = deliver_all(&world);
    assert_eq!(farewell.len(), 1);
    assert_eq!(
        farewell[0].json()["Message_Type"],
        "UnsubscribeConfirmation"
    );
    assert_eq!(reply(&world, &farewell[0].json(), "SubscribeBody"), 204);
    world.post("q", 60, &[4]);
    assert_eq!(deliver_all(&world).len(), 1);
}

#[test]
fn an_unconfirmed_subscriber_is_asked_again_when_it_subscribes_again() {
    let world = confirming();
    let path = subscribe(&world, "http://h", &json!({}));
    assert_eq!(deliver_all(&world).len(), 1);
    assert_eq!(subscribe(&world, "http://h", &json!({})), path);
    let again = deliver_all(&world);
    assert_eq!(again[0].json()["Message_Type"], "SubscriptionConfirmation");
    assert_eq!(reply(&world, &again[0].json(), "SubscribeBody"), 204);
    // Another address has confirmed nothing.
    world.send(
        &format!("PATCH {path}"),
        r#"{"subscriber":"http://victim"}"#,
    );
    assert_eq!(
        world.send(&format!("GET {path}"), "").json()["confirmed"],
        false
    );
    world.post("q", 60, &[1]);
    let asked = deliver_all(&world);
    assert_eq!((asked.len(), asked[0].to.as_str()), (1, "http://victim/"));
    assert_eq!(asked[0].json()["Message_Type"], "SubscriptionConfirmation");
    // Nothing could be signed for a project like this one.
    let body = r#"{"subscriber":"http://h"}"#;
    let answer = world.send_as((ALICE, "a,b"), "POST /v2/queues/q/subscriptions", body);
    assert_eq!(answer.status, 400);
}

#[test]
fn a_request_to_confirm_is_tried_again_but_not_beyond_the_confirmation() {
    let world = confirming();
    let path = subscribe(&world, "http://h", &json!({}));
    for _ in 0..4 {
        let asked = sent(&world);
        assert_eq!(asked.len(), 1);
        answer(&world, &asked[0], 500);
    }
    assert_eq!(
        world
            .send(&format!("PUT {path}/confirm"), r#"{"confirmed":true}"#)
            .status,
        204
    );
    world.advance_secs(5);
    world.service.advance();
    assert!(sent(&world).is_empty());
    assert_eq!(counts(&world), DeliveryCounts::default());
}

#[test]
fn without_a_key_nobody_has_to_confirm() {
    let world = World::with_limits(Limits {
        confirmation_rule: ConfirmationRule::Required,
        ..Limits::default()
    });
    subscribe(&world, "http://h", &json!({}));
    world.post("q", 60, &[1]);
    let got = deliver_all(&world);
    assert_eq!((got.len(), &got[0].json()["body"]), (1, &json!(1)));
    assert_eq!(Outcome::Delivered, wire::webhook::outcome(StatusCode::OK));
}

#[test]
fn whoever_sends_is_woken_when_there_is_something_to_send() {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    let world = World::new();
    let mut context = Context::from_waker(Waker::noop());
    let until = world.service.advance();
    assert_eq!(until, None);
    let mut changed = pin!(world.service.changed(until));
    assert_eq!(changed.as_mut().poll(&mut context), Poll::Pending);
    subscribe(&world, "http://h", &json!({}));
    // Now the subscription ends some time, which was not known.
    assert_eq!(changed.as_mut().poll(&mut context), Poll::Ready(()));
    let until = world.service.advance();
    assert!(until.is_some());
    let mut changed = pin!(world.service.changed(until));
    assert_eq!(changed.as_mut().poll(&mut context), Poll::Pending);
    world.post("q", 3600, &[1]);
    assert_eq!(changed.as_mut().poll(&mut context), Poll::Ready(()));
}
