//! Retries, as contract 8.6 documents them, seen by whoever sends.

use nanshe_reference::broker::DeliveryCounts;
use serde_json::{Value, json};

use crate::notifications::{answer, confirming, counts, deliver_all, retries, sent, subscribe};
use crate::support::World;

/// A world with these policies, one subscription, and one message that was posted.
fn posted(queue: Option<Value>, subscription: Option<Value>) -> World {
    let world = World::new();
    let member = |policy: Option<Value>| match policy {
        Some(policy) => json!({"_retry_policy": policy}),
        None => json!({}),
    };
    world.send("PUT /v2/queues/q", &member(queue).to_string());
    subscribe(&world, "http://h", &member(subscription));
    world.post("q", 60, &[1]);
    world
}

#[test]
fn every_backoff_function_is_followed_to_the_second_and_the_end() {
    for (function, grown) in [
        ("linear", [5, 10, 15, 20, 25]),
        ("arithmetic", [5, 7, 12, 20, 30]),
        ("geometric", [5, 7, 12, 19, 30]),
        ("exponential", [5, 7, 12, 19, 30]),
    ] {
        let policy = json!({"retry_backoff_function": function});
        let expected = [&[0, 0, 0, 5, 5, 5], &grown[..], &[30, 30, 30]].concat();
        let of_queue = posted(Some(policy.clone()), None);
        let of_subscription = posted(None, Some(policy));
        for world in [of_queue, of_subscription] {
            assert_eq!(retries(&world), expected, "{function}");
            let given_up = DeliveryCounts {
                owed: 1,
                given_up: 1,
                retried: 14,
                ..DeliveryCounts::default()
            };
            assert_eq!(counts(&world), given_up, "{function}");
        }
    }
}

#[test]
fn either_side_may_say_that_the_queue_decides() {
    // Nothing but a growth to ten seconds more, in two steps.
    let short = |minimum: u32, ignore: bool| {
        json!({
            "retries_with_no_delay": 0, "minimum_delay_retries": 0, "maximum_delay_retries": 0,
            "minimum_delay": minimum, "maximum_delay": minimum + 10,
            "ignore_subscription_override": ignore,
        })
    };
    let default = [0, 0, 0, 5, 5, 5, 5, 10, 15, 20, 25, 30, 30, 30];
    for (queue, subscription, expected) in [
        (Some(short(2, false)), Some(short(1, false)), &[1, 6][..]),
        (Some(short(2, true)), Some(short(1, false)), &[2, 7]),
        (Some(short(2, false)), Some(short(1, true)), &[2, 7]),
        (Some(short(2, true)), Some(short(1, true)), &[2, 7]),
        (Some(short(2, false)), None, &[2, 7]),
        (None, Some(short(1, false)), &[1, 6]),
        // The queue says nothing, so what it decides is the default.
        (None, Some(short(1, true)), &default),
        (None, None, &default),
    ] {
        let world = posted(queue.clone(), subscription.clone());
        assert_eq!(retries(&world), expected, "{queue:?} {subscription:?}");
        assert_eq!((counts(&world).given_up, counts(&world).pending()), (1, 0));
    }
}

/// A subscriber that confirms and then fails to answer is not asked again, which would hold up
/// its messages.
#[test]
fn a_request_to_confirm_that_fails_behind_the_confirmation_is_not_sent_again() {
    let world = confirming();
    let path = subscribe(&world, "http://h", &json!({}));
    let asked = sent(&world);
    let confirm = format!("PUT {path}/confirm");
    assert_eq!(world.send(&confirm, r#"{"confirmed":true}"#).status, 204);
    world.post("q", 60, &[1]);
    answer(&world, &asked[0], 500);
    let got = deliver_all(&world);
    assert_eq!((got.len(), &got[0].json()["body"]), (1, &json!(1)));
    assert_eq!(counts(&world).notices_given_up, 0);
    // The notice that takes the place of one under way has retries of its own.
    assert_eq!(world.send(&confirm, r#"{"confirmed":false}"#).status, 204);
    let farewell = sent(&world);
    subscribe(&world, "http://h", &json!({}));
    answer(&world, &farewell[0], 500);
    for _ in 0..4 {
        let asked = sent(&world);
        let kind = &asked[0].json()["Message_Type"];
        assert_eq!((asked.len(), kind), (1, &json!("SubscriptionConfirmation")));
        answer(&world, &asked[0], 500);
    }
    assert!(sent(&world).is_empty());
}

#[test]
fn a_notice_that_is_given_up_is_counted() {
    let world = confirming();
    subscribe(&world, "http://h", &json!({}));
    assert_eq!(retries(&world).len(), 14);
    subscribe(&world, "http://i", &json!({}));
    answer(&world, &sent(&world)[0], 404);
    let expected = DeliveryCounts {
        notices_given_up: 2,
        ..DeliveryCounts::default()
    };
    assert_eq!(counts(&world), expected);
}

#[test]
fn retries_are_sent_in_the_order_in_which_they_became_due() {
    let world = World::new();
    world.send("PUT /v2/queues/q", "{}");
    // The first to subscribe is the last to be tried again.
    for (subscriber, secs) in [
        ("http://slow/", 9),
        ("http://middle/", 6),
        ("http://quick/", 3),
    ] {
        let policy = json!({
            "retries_with_no_delay": 0, "minimum_delay_retries": 1, "minimum_delay": secs,
        });
        subscribe(&world, subscriber, &json!({"_retry_policy": policy}));
    }
    world.post("q", 600, &[1]);
    sent(&world)
        .iter()
        .for_each(|first| answer(&world, first, 500));
    for _ in 0..10 {
        world.advance_secs(1);
        world.send("GET /v2/queues", "");
    }
    let again = sent(&world);
    let order = again.iter().map(|sent| sent.to.as_str());
    assert!(
        order.eq(["http://quick/", "http://middle/", "http://slow/"]),
        "{:?}",
        again.len()
    );
}
