//! Contract 8.3, 8.4 and 8.8: listing, changing, confirming, deleting, and the end of a subscription.

use super::subscriptions::NOWHERE;
use crate::suite::capability::Capability::{self, Projects, Subscriptions};
use crate::suite::steps::{Queue, expect_each};
use crate::suite::subscriber::{
    Subscribed, confirming, listed, page, shown, subscribe_uri, subscribe_with,
};
use crate::suite::{Case, CaseResult, Context, Provenance, Stop, case};
use serde_json::{Value, json};

pub(super) const NEEDS: &[Capability] = &[Subscriptions];

/// Subscriptions that take more than two pages of ten.
const MANY: usize = 23;

pub(super) const CASES: &[Case] = &[
    case!(Must, "subscriptions/unknown-queue-has-none", "8.3", none)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "subscriptions/pages-show-every-one-once",
        "8.3",
        pages
    )
    .needs(NEEDS)
    .since(2),
    case!(Must, "subscriptions/limit-is-1-to-20", "8.3", limits)
        .needs(NEEDS)
        .since(2),
    case!(
        Should,
        "subscriptions/list-is-ordered-by-id",
        "8.3",
        ordered
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Should,
        "subscriptions/marker-outlives-its-subscription",
        "8.3",
        lost_marker
    )
    .needs(NEEDS)
    .disputed("continue behind it; one driver starts again at the head")
    .since(2),
    case!(Must, "subscriptions/unknown-one-is-404", "8.3", unknown)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "subscriptions/belongs-to-its-queue",
        "8.3",
        other_queue
    )
    .guarantee("G14")
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/belongs-to-its-project",
        "14.2",
        other_project
    )
    .guarantee("G14")
    .needs(&[Subscriptions, Projects])
    .since(2),
    case!(
        Must,
        "subscriptions/dots-never-join-project-and-queue",
        "14.2",
        dots
    )
    .guarantee("G14")
    .needs(&[Subscriptions, Projects])
    .since(2),
    case!(
        Must,
        "subscriptions/patch-changes-what-it-names",
        "8.3",
        patch
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/patch-names-something",
        "8.3",
        empty_patch
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/refused-patch-changes-nothing",
        "8.3",
        bad_patch
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/patch-does-not-confirm",
        "8.3",
        patch_confirmed
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/patch-to-a-taken-subscriber-is-409",
        "8.3",
        taken
    )
    .guarantee("G16")
    .needs(NEEDS)
    .since(2),
    case!(Must, "subscriptions/deleted-one-is-gone", "8.3", deleted)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "subscriptions/deleted-subscriber-can-come-back",
        "8.3",
        come_back
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/confirming-takes-a-boolean",
        "8.4",
        confirm
    )
    .needs(NEEDS)
    .since(2),
];

async fn none(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (all, reply) = listed(&context, &queue).await?;
    reply.check("8.3", "no subscriptions", all.is_empty())?;
    let links = reply.json("1.9")?["links"] == json!([]);
    reply.check("1.9", "no links on an empty page", links)
}

async fn subscribe_many(context: &Context, queue: &Queue) -> Result<Vec<String>, Stop> {
    let mut ids = Vec::new();
    for number in 0..MANY {
        let uri = format!("{NOWHERE}/{number}");
        ids.push(subscribe_uri(context, queue, &uri).await?.id);
    }
    Ok(ids)
}

async fn pages(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let mut ids = subscribe_many(&context, &queue).await?;
    ids.sort_unstable();
    for limit in [1, 5, 20] {
        let mut path = queue.at(&format!("/subscriptions?limit={limit}"));
        let mut seen: Vec<String> = Vec::new();
        for _ in 0..=MANY + 1 {
            let (all, next, reply) = page(&context, path).await?;
            reply.check("8.3", &format!("at most {limit}"), all.len() <= limit)?;
            if all.is_empty() {
                break;
            }
            let id = |one: &Value| one["id"].as_str().unwrap_or_default().to_owned();
            seen.extend(all.iter().map(id));
            match next {
                Some(next) => path = next,
                None => return Err(reply.refuse("1.9", "a next link on a non-empty page")),
            }
        }
        seen.sort_unstable();
        if seen != ids {
            let expected = format!("each of {MANY} subscriptions once, {limit} on a page");
            return Err(context.failure("8.3", expected, format!("{seen:?}")));
        }
    }
    Ok(())
}

async fn limits(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    subscribe_many(&context, &queue).await?;
    let path = |limit: &str| queue.at(&format!("/subscriptions?limit={limit}"));
    let bad = ["0", "21", "-1", "x"].map(|limit| context.get(path(limit)));
    expect_each("8.3", &[400], bad.into()).await?;
    for (query, count) in [
        ("?limit=20", 20),
        ("?limit=1", 1),
        ("", 10),
        ("?limit=", 10),
    ] {
        let (all, _, reply) = page(&context, queue.at(&format!("/subscriptions{query}"))).await?;
        reply.check("8.3", &format!("{count} subscriptions"), all.len() == count)?;
    }
    Ok(())
}

async fn ordered(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    subscribe_many(&context, &queue).await?;
    let (all, reply) = listed(&context, &queue).await?;
    let ids = all.iter().map(|one| one["id"].as_str().unwrap_or_default());
    let numbers: Option<Vec<u128>> = ids.clone().map(|id| id.parse().ok()).collect();
    // What is counted has the order of numbers, where 10 follows 9.
    let counted = numbers.is_some_and(|numbers| numbers.is_sorted());
    let sorted = counted || ids.is_sorted();
    reply.check("8.3", "an ascending order of ids", sorted)
}

async fn lost_marker(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    subscribe_many(&context, &queue).await?;
    let (first, next, reply) = page(&context, queue.at("/subscriptions?limit=5")).await?;
    let (Some(next), Some(last)) = (next, first.last()) else {
        return Err(reply.refuse("1.9", "a next link on a non-empty page"));
    };
    let id = last["id"].as_str().unwrap_or_default();
    let delete = context.delete(queue.at(&format!("/subscriptions/{id}")));
    delete.send().await?.expect("8.3", &[204])?;
    let (second, _, reply) = page(&context, next).await?;
    // By id: what else a subscription shows may change from page to page, as its age does.
    let shown = |one: &Value| first.iter().any(|other| other["id"] == one["id"]);
    let repeats = second.iter().any(shown);
    reply.check(
        "8.3",
        "no subscription that the first page showed",
        !repeats,
    )
}

async fn unknown(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for round in 0..2 {
        for id in [super::claims::UNKNOWN, "none"] {
            let path = queue.at(&format!("/subscriptions/{id}"));
            let confirm = context.put(format!("{path}/confirm"));
            let requests = vec![
                context.get(path.clone()),
                context.patch(path.clone(), &json!({ "ttl": 600 })),
                confirm.json(&json!({ "confirmed": true })),
            ];
            expect_each("8.3", &[404], requests).await?;
            context.delete(path).send().await?.expect("8.3", &[204])?;
        }
        if round == 0 {
            subscribe_uri(&context, &queue, NOWHERE).await?;
        }
    }
    Ok(())
}

/// Demands that `subscribed` is unknown to those who ask for `path`, and cannot be changed there.
async fn expect_unknown(
    (context, subscribed): (&Context, &Subscribed),
    stranger: impl Fn(crate::suite::Request) -> crate::suite::Request,
    path: &str,
) -> CaseResult {
    let before = shown(context, subscribed).await?;
    let confirm = context.put(format!("{path}/confirm"));
    let requests = vec![
        stranger(context.get(path)),
        stranger(context.patch(path, &json!({ "ttl": 6_000 }))),
        stranger(confirm.json(&json!({ "confirmed": true }))),
    ];
    expect_each("14.2", &[404], requests).await?;
    let delete = stranger(context.delete(path)).send().await?;
    delete.expect("8.3", &[204])?;
    let after = shown(context, subscribed).await?;
    let same = ["ttl", "subscriber", "confirmed"]
        .iter()
        .all(|name| before[*name] == after[*name]);
    subscribed
        .reply
        .check("14.2", "the subscription as it was", same)
}

async fn other_queue(context: Context) -> CaseResult {
    let (queue, other) = (Queue::new(&context, "q"), Queue::new(&context, "q2"));
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    subscribe_uri(&context, &other, NOWHERE).await?;
    let path = other.at(&format!("/subscriptions/{}", subscribed.id));
    expect_unknown((&context, &subscribed), |request| request, &path).await
}

async fn other_project(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    let project = format!("{}-stranger", context.project());
    let theirs = |request: crate::suite::Request| request.header("x-project-id", &project);
    theirs(context.put(queue.at("")))
        .send()
        .await?
        .expect("4.3", &[201])?;
    let listing = theirs(context.get(queue.at("/subscriptions")))
        .send()
        .await?;
    let listing = listing.expect("14.2", &[200])?;
    let none = listing.json("8.3")?["subscriptions"] == json!([]);
    listing.check("14.2", "no subscription of another project", none)?;
    expect_unknown((&context, &subscribed), theirs, &subscribed.path).await
}

/// Project `P` with queue `a.b` and project `P.a` with queue `b` read alike once joined by a dot.
async fn dots(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "a.b");
    subscribe_uri(&context, &queue, NOWHERE).await?;
    let project = format!("{}.a", context.project());
    let request = context.get("/v2/queues/b/subscriptions");
    let reply = request.header("x-project-id", &project).send().await?;
    let reply = reply.expect("14.2", &[200])?;
    let none = reply.json("8.3")?["subscriptions"] == json!([]);
    reply.check("14.2", "no subscription of another project", none)
}

async fn patch(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    let moved = format!("{NOWHERE}/moved");
    let changes = [
        ("subscriber", json!(moved)),
        ("ttl", json!(1_234)),
        ("options", json!({ "post_headers": { "X-A": "b" } })),
    ];
    let mut expected = shown(&context, &subscribed).await?;
    for (member, value) in changes {
        let body = json!({ member: value });
        let reply = context.patch(subscribed.path.clone(), &body).send().await?;
        let reply = reply.expect("8.3", &[204])?;
        expected[member] = value;
        let document = shown(&context, &subscribed).await?;
        let names = ["id", "subscriber", "ttl", "options", "confirmed"];
        let same = names.iter().all(|name| document[*name] == expected[*name]);
        reply.check(
            "8.3",
            &format!("a new {member} and all else as it was"),
            same,
        )?;
    }
    Ok(())
}

async fn empty_patch(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    let patch = |text: &'static str| {
        let patch = context.patch(subscribed.path.clone(), &Value::Null);
        patch.body(text)
    };
    let texts = ["", "{", "{}", "[]", r#"{"colour":"red"}"#];
    expect_each("8.3", &[400], texts.map(patch).into()).await
}

async fn bad_patch(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    let before = shown(&context, &subscribed).await?;
    let bodies = [
        json!({ "ttl": 59 }),
        json!({ "ttl": "600" }),
        json!({ "ttl": 1_200, "subscriber": "ftp://127.0.0.1" }),
        json!({ "ttl": 1_200, "options": "x" }),
        json!({ "ttl": 59, "subscriber": format!("{NOWHERE}/moved") }),
    ];
    let patches = bodies
        .iter()
        .map(|body| context.patch(subscribed.path.clone(), body));
    expect_each("8.3", &[400], patches.collect()).await?;
    let after = shown(&context, &subscribed).await?;
    let same = ["subscriber", "ttl", "options"]
        .iter()
        .all(|name| before[*name] == after[*name]);
    subscribed
        .reply
        .check("8.3", "the subscription as it was", same)
}

async fn patch_confirmed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    let patch = context.patch(subscribed.path.clone(), &json!({ "confirmed": true }));
    patch.send().await?.expect("8.3", &[400])?;
    let unconfirmed = shown(&context, &subscribed).await?["confirmed"] == false;
    subscribed
        .reply
        .check("8.3", "a subscription that is not confirmed", unconfirmed)
}

async fn taken(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let other = format!("{NOWHERE}/other");
    let one = subscribe_uri(&context, &queue, NOWHERE).await?;
    subscribe_uri(&context, &queue, &other).await?;
    let patch = context.patch(
        one.path.clone(),
        &json!({ "subscriber": other, "ttl": 900 }),
    );
    patch.send().await?.expect("8.3", &[409])?;
    let document = shown(&context, &one).await?;
    let same = document["subscriber"] == NOWHERE && document["ttl"] == 600;
    one.reply.check("8.3", "the subscription as it was", same)
}

async fn deleted(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let kept = subscribe_uri(&context, &queue, &format!("{NOWHERE}/kept")).await?;
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    for _ in 0..2 {
        let delete = context.delete(subscribed.path.clone()).send().await?;
        delete.expect("8.3", &[204])?;
    }
    let patch = context.patch(subscribed.path.clone(), &json!({ "ttl": 600 }));
    expect_each("8.3", &[404], vec![context.get(subscribed.path), patch]).await?;
    let (all, reply) = listed(&context, &queue).await?;
    let alone = matches!(all.as_slice(), [one] if one["id"] == *kept.id);
    reply.check("8.3", "the other subscription alone", alone)
}

async fn come_back(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let body = |ttl: u64| json!({ "subscriber": NOWHERE, "ttl": ttl });
    let first = subscribe_with(&context, &queue, &body(600)).await?;
    let confirm = confirming(&context, &first, &json!({ "confirmed": true }));
    confirm.send().await?.expect("8.4", &[204])?;
    context
        .delete(first.path)
        .send()
        .await?
        .expect("8.3", &[204])?;
    let second = subscribe_with(&context, &queue, &body(900)).await?;
    let fresh = shown(&context, &second).await?["ttl"] == 900;
    second
        .reply
        .check("8.3", "a new subscription with its own ttl", fresh)?;
    let (all, reply) = listed(&context, &queue).await?;
    reply.check("8.3", "one subscription", all.len() == 1)
}

async fn confirm(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    let bad = [
        json!({}),
        json!({ "confirmed": "yes" }),
        json!({ "confirmed": null }),
    ];
    let bad = bad
        .iter()
        .map(|body| confirming(&context, &subscribed, body));
    expect_each("8.4", &[400], bad.collect()).await?;
    for confirmed in [true, true, false] {
        let body = json!({ "confirmed": confirmed });
        let reply = confirming(&context, &subscribed, &body).send().await?;
        let reply = reply.expect("8.4", &[204])?;
        let same = shown(&context, &subscribed).await?["confirmed"] == confirmed;
        reply.check(
            "8.4",
            &format!("a subscription with confirmed {confirmed}"),
            same,
        )?;
    }
    Ok(())
}
