//! Contract 12.2 and 12.3: flavors, and the queues that are put into their pools.

use super::admin::{
    NEEDS, add_flavor, add_pool, clear, flavor, list_of, name, operator, own_names, pool, read,
    weigh,
};
use crate::suite::capability::Capability::{Admin, Metadata, Pools};
use crate::suite::steps::{EVERYTHING, Queue, bodies, expect_each, numbered};
use crate::suite::{Case, CaseResult, Context, case};
use serde_json::json;

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "admin/flavor-is-shown-as-it-was-put",
        "12.2",
        flavor_is_shown
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "admin/flavor-gives-itself-to-its-pools",
        "12.2",
        flavor_of_pools
    )
    .needs(NEEDS)
    .since(2),
    case!(Must, "admin/flavor-needs-known-pools", "12.2", bad_flavors)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "admin/patched-flavor-has-other-pools",
        "12.2",
        patch_flavor
    )
    .needs(NEEDS)
    .since(2),
    case!(Must, "admin/unknown-flavor-is-404", "12.2", unknown_flavor)
        .needs(NEEDS)
        .since(2),
    case!(Must, "admin/last-pool-of-a-flavor-stays", "12.1", last_pool)
        .needs(NEEDS)
        .since(2),
    case!(
        Should,
        "admin/pool-with-queues-loses-nothing",
        "12.1",
        pool_with_queues
    )
    .guarantee("G1")
    .needs(NEEDS)
    .disputed("refused, or the queues move; the documents are silent")
    .since(2),
    case!(
        Must,
        "admin/queue-of-a-flavor-works",
        "12.3",
        queue_of_a_flavor
    )
    .guarantee("G18")
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "admin/queue-of-an-unknown-flavor-is-refused",
        "4.3",
        queue_of_no_flavor
    )
    .needs(&[Admin, Pools, Metadata])
    .since(2),
    case!(
        Must,
        "admin/weights-never-move-a-queue",
        "12.3",
        weights_move_nothing
    )
    .guarantee("G18")
    .needs(NEEDS)
    .since(2),
    case!(
        Should,
        "admin/pool-without-weight-takes-no-queue-until-it-has-one",
        "12.3",
        weight_returns
    )
    .guarantee("G18")
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "admin/queues-of-a-flavor-of-many-pools-work",
        "12.3",
        many_pools
    )
    .guarantee("G18")
    .needs(NEEDS)
    .since(5),
];

async fn flavor_is_shown(context: Context) -> CaseResult {
    add_pool(&context, "p1", 1).await?;
    add_pool(&context, "p2", 1).await?;
    let path = flavor(&context, "f");
    let put = operator(
        context
            .put(path.clone())
            .json(&list_of(&context, &["p1", "p2"])),
    );
    let put = put.send().await?.expect("12.2", &[201])?;
    put.check(
        "12.2",
        &format!("the Location {path}"),
        put.header("location") == path,
    )?;
    let (document, reply) = read(&context, &path).await?;
    let mut pools = document["pool_list"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    pools.sort_by_key(ToString::to_string);
    let same = json!(pools) == list_of(&context, &["p1", "p2"])["pool_list"]
        && document["name"] == name(&context, "f")
        && document["href"] == path
        && document["capabilities"].is_array();
    reply.check("12.2", "name, href, pool_list and capabilities", same)?;
    let names = own_names(&context, "flavors").await?;
    reply.check(
        "12.2",
        "a listing with the flavor",
        names == [name(&context, "f")],
    )?;
    clear(&context, &["f"], &["p1", "p2"]).await
}

async fn flavor_of_pools(context: Context) -> CaseResult {
    add_pool(&context, "p", 1).await?;
    add_flavor(&context, "f", &["p"]).await?;
    let (document, reply) = read(&context, &pool(&context, "p")).await?;
    let given = document["flavor"] == name(&context, "f");
    reply.check("12.2", "a pool with the flavor", given)?;
    clear(&context, &["f"], &[]).await?;
    let (document, reply) = read(&context, &pool(&context, "p")).await?;
    let none = document["flavor"].is_null() || document["flavor"] == "";
    reply.check("12.2", "a pool without a flavor", none)?;
    operator(context.get(flavor(&context, "f")))
        .send()
        .await?
        .expect("12.2", &[404])?;
    clear(&context, &[], &["p"]).await
}

async fn bad_flavors(context: Context) -> CaseResult {
    let path = flavor(&context, "f");
    let bodies = [
        json!({}),
        json!([]),
        json!({ "pool_list": [] }),
        json!({ "pool_list": name(&context, "p") }),
        list_of(&context, &["none"]),
    ];
    let puts = bodies
        .iter()
        .map(|body| operator(context.put(path.clone()).json(body)));
    expect_each("12.2", &[400], puts.collect()).await?;
    operator(context.get(path))
        .send()
        .await?
        .expect("12.2", &[404])
        .map(drop)
}

async fn patch_flavor(context: Context) -> CaseResult {
    add_pool(&context, "p1", 1).await?;
    add_pool(&context, "p2", 1).await?;
    add_flavor(&context, "f", &["p1"]).await?;
    let path = flavor(&context, "f");
    let bad = [
        json!({}),
        json!({ "pool_list": [] }),
        list_of(&context, &["none"]),
    ];
    let bad = bad
        .iter()
        .map(|body| operator(context.patch(path.clone(), body)));
    expect_each("12.2", &[400], bad.collect()).await?;
    let patch = operator(context.patch(path.clone(), &list_of(&context, &["p2"])));
    let reply = patch.send().await?.expect("12.2", &[200])?;
    let list = reply.json("12.2")?["pool_list"] == list_of(&context, &["p2"])["pool_list"];
    reply.check("12.2", "the new pool_list", list)?;
    let (document, reply) = read(&context, &pool(&context, "p1")).await?;
    let none = document["flavor"].is_null() || document["flavor"] == "";
    reply.check("12.2", "no flavor for the pool that was dropped", none)?;
    clear(&context, &["f"], &["p1", "p2"]).await
}

async fn unknown_flavor(context: Context) -> CaseResult {
    add_pool(&context, "p", 0).await?;
    let path = flavor(&context, "none");
    let patch = context.patch(path.clone(), &list_of(&context, &["p"]));
    let requests = vec![operator(context.get(path.clone())), operator(patch)];
    expect_each("12.2", &[404], requests).await?;
    operator(context.delete(path))
        .send()
        .await?
        .expect("12.2", &[204])?;
    clear(&context, &[], &["p"]).await
}

async fn last_pool(context: Context) -> CaseResult {
    add_pool(&context, "p", 1).await?;
    add_flavor(&context, "f", &["p"]).await?;
    let delete = operator(context.delete(pool(&context, "p"))).send().await?;
    delete.expect("12.1", &[403])?;
    read(&context, &pool(&context, "p")).await?;
    clear(&context, &["f"], &["p"]).await
}

/// An operator who takes away a pool is told that it is in use, or its queues move elsewhere.
async fn pool_with_queues(context: Context) -> CaseResult {
    add_pool(&context, "p", 1).await?;
    add_flavor(&context, "f", &["p"]).await?;
    let queue = Queue::new(&context, "q");
    let metadata = json!({ "_flavor": name(&context, "f") });
    queue.create(&metadata).await?;
    let (id, _) = queue.post_one(300).await?;
    // Its flavor goes first, whose last pool may not be deleted.
    clear(&context, &["f"], &["p"]).await?;
    let found = queue.getting(&id).send().await?;
    found.expect("12.1, G1", &[200])?;
    let delete = context.delete(queue.at("")).send().await?;
    delete.expect("4.6", &[204])?;
    clear(&context, &[], &["p"]).await
}

/// Adding a pool takes no restart, and what is put there works as anywhere.
async fn queue_of_a_flavor(context: Context) -> CaseResult {
    add_pool(&context, "p", 1).await?;
    add_flavor(&context, "f", &["p"]).await?;
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_flavor": name(&context, "f") }))
        .await?;
    queue.post(&numbered(0..3, 300)).await?;
    let claim = queue.claim(60, 1).await?;
    let (popped, reply) = queue.pop(1).await?;
    reply.check("12.3", "the second message", bodies(&popped) == json!([1]))?;
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    let page = queue.whole(EVERYTHING, 2).await?;
    let rest = bodies(&page.messages) == json!([0, 2]);
    page.reply
        .check("12.3", "the first and the third message", rest)?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    clear(&context, &["f"], &["p"]).await
}

async fn queue_of_no_flavor(context: Context) -> CaseResult {
    let body = json!({ "_flavor": name(&context, "none") });
    let put = context.put("/v2/queues/q").json(&body).send().await?;
    put.expect("4.3", &[400]).map(drop)
}

async fn weights_move_nothing(context: Context) -> CaseResult {
    add_pool(&context, "p1", 1).await?;
    add_pool(&context, "p2", 0).await?;
    add_flavor(&context, "f", &["p1", "p2"]).await?;
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_flavor": name(&context, "f") }))
        .await?;
    queue.post(&numbered(0..2, 300)).await?;
    for (word, weight) in [("p1", 0), ("p2", 9)] {
        weigh(&context, word, weight).await?;
    }
    queue.post(&numbered(2..4, 300)).await?;
    let page = queue.whole(EVERYTHING, 4).await?;
    let whole = bodies(&page.messages) == json!([0, 1, 2, 3]);
    page.reply
        .check("12.3", "all messages in one place, in order", whole)?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    clear(&context, &["f"], &["p1", "p2"]).await
}

/// Nothing takes the first queue, unless there is a store of last resort, which cannot be seen from here.
async fn weight_returns(context: Context) -> CaseResult {
    add_pool(&context, "p", 0).await?;
    add_flavor(&context, "f", &["p"]).await?;
    let metadata = json!({ "_flavor": name(&context, "f") });
    let none = Queue::new(&context, "none");
    let put = context.put(none.at("")).json(&metadata).send().await?;
    let put = put.expect("12.3", &[201, 503])?;
    weigh(&context, "p", 1).await?;
    let queue = Queue::new(&context, "q");
    queue.create(&metadata).await?;
    queue.post(&numbered(0..2, 300)).await?;
    let page = queue.whole(EVERYTHING, 2).await?;
    let whole = bodies(&page.messages) == json!([0, 1]);
    page.reply.check("12.3", "both messages", whole)?;
    let made = (put.status() == 201).then_some(&none);
    for queue in made.into_iter().chain([&queue]) {
        let delete = context.delete(queue.at("")).send().await?;
        delete.expect("4.6", &[204])?;
    }
    clear(&context, &["f"], &["p"]).await
}

/// Whichever pool each of them is given.
async fn many_pools(context: Context) -> CaseResult {
    let pools = [("p1", 1), ("p2", 3), ("p3", 0), ("p4", 2)];
    let words = pools.map(|(word, _)| word);
    for word in words {
        add_pool(&context, word, 0).await?;
    }
    add_flavor(&context, "f", &words).await?;
    for (word, weight) in pools {
        weigh(&context, word, weight).await?;
    }
    let queues = (0..12).map(|number| Queue::new(&context, &format!("q{number}")));
    let queues: Vec<Queue> = queues.collect();
    for (number, queue) in (0..).zip(&queues) {
        queue
            .create(&json!({ "_flavor": name(&context, "f") }))
            .await?;
        queue.post(&numbered(number..number + 2, 300)).await?;
    }
    for (number, queue) in (0_u64..).zip(&queues) {
        let page = queue.list(EVERYTHING).await?;
        let own = bodies(&page.messages) == json!([number, number + 1]);
        page.reply
            .check("12.3", "the queue's own two messages", own)?;
        let delete = context.delete(queue.at("")).send().await?;
        delete.expect("4.6", &[204])?;
    }
    clear(&context, &["f"], &words).await
}
