//! Contract 4.5 and 12: what operators may change while pools and flavors are in use.

use serde_json::json;

use super::admin::{
    NEEDS, add_flavor, add_pool, clear, flavor, list_of, name, operator, pool, read, store, weigh,
};
use crate::suite::capability::Capability::{Admin, Metadata, Patch, Pools};
use crate::suite::steps::{Queue, numbered};
use crate::suite::{Case, CaseResult, Context, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "admin/pool-goes-while-its-flavor-has-another",
        "12.1",
        one_of_two_goes
    )
    .needs(NEEDS)
    .since(4),
    case!(
        Should,
        "admin/uri-of-another-pool-is-taken",
        "12.1",
        taken_uri
    )
    .needs(NEEDS)
    .disputed("409, as with Mongo; the other drivers let two pools share a store")
    .since(4),
    case!(
        Must,
        "admin/every-member-of-a-pool-can-be-patched",
        "12.1",
        patched_members
    )
    .needs(NEEDS)
    .since(4),
    case!(
        Must,
        "admin/pool-goes-once-its-queues-are-gone",
        "12.1",
        emptied_pool
    )
    .needs(NEEDS)
    .since(4),
    case!(
        Must,
        "admin/patch-to-an-unknown-flavor-is-refused",
        "4.5",
        patch_to_no_flavor
    )
    .needs(&[Admin, Pools, Metadata, Patch])
    .since(4),
];

async fn one_of_two_goes(context: Context) -> CaseResult {
    add_pool(&context, "p1", 0).await?;
    add_pool(&context, "p2", 0).await?;
    add_flavor(&context, "f", &["p1", "p2"]).await?;
    let delete = |word| operator(context.delete(pool(&context, word)));
    delete("p1").send().await?.expect("12.1", &[204])?;
    let gone = operator(context.get(pool(&context, "p1"))).send().await?;
    gone.expect("12.1", &[404])?;
    let (document, reply) = read(&context, &flavor(&context, "f")).await?;
    let rest = document["pool_list"] == list_of(&context, &["p2"])["pool_list"];
    reply.check("12.2", "a flavor of the other pool alone", rest)?;
    delete("p2").send().await?.expect("12.1", &[403])?;
    clear(&context, &["f"], &["p2"]).await
}

/// Neither by a new pool nor by one that moves; one that stays where it is takes nothing from itself.
async fn taken_uri(context: Context) -> CaseResult {
    let mut first = add_pool(&context, "p1", 0).await?;
    add_pool(&context, "p2", 0).await?;
    let put = operator(context.put(pool(&context, "p3")).json(&first));
    let put = put.send().await?;
    if put.status().as_u16() == 201 {
        // It is not to be left behind.
        clear(&context, &[], &["p3"]).await?;
    }
    put.expect("12.1", &[409])?;
    let uri = json!({ "uri": first["uri"] });
    let moves = operator(context.patch(pool(&context, "p2"), &uri));
    moves.send().await?.expect("12.1", &[409])?;
    let stays = operator(context.patch(pool(&context, "p1"), &uri));
    stays.send().await?.expect("12.1", &[200])?;
    first["options"] = json!({ "a": 1 });
    let again = operator(context.put(pool(&context, "p1")).json(&first));
    again.send().await?.expect("12.1", &[201])?;
    clear(&context, &[], &["p1", "p2"]).await
}

/// Each alone, so that the others stay as they are.
async fn patched_members(context: Context) -> CaseResult {
    let mut wanted = add_pool(&context, "p", 0).await?;
    wanted["options"] = json!({});
    let uri = store(&context).await?;
    // With a weight and no flavor it would be given queues of others.
    add_flavor(&context, "f", &["p"]).await?;
    let path = pool(&context, "p");
    for (member, value) in [
        ("options", json!({ "a": 1 })),
        ("uri", json!(uri)),
        ("weight", json!(3)),
        ("weight", json!(0)),
    ] {
        let patch = operator(context.patch(path.clone(), &json!({ member: value })));
        patch.send().await?.expect("12.1", &[200])?;
        wanted[member] = value;
        let (document, reply) = read(&context, &format!("{path}?detailed=true")).await?;
        let same = ["options", "weight", "uri"].iter();
        let same = same.copied().all(|name| document[name] == wanted[name]);
        let expected = format!("a pool that is {wanted}");
        reply.check("12.1", &expected, same)?;
    }
    clear(&context, &["f"], &["p"]).await
}

/// They were deleted, full and empty ones.
async fn emptied_pool(context: Context) -> CaseResult {
    add_pool(&context, "p", 0).await?;
    add_flavor(&context, "f", &["p"]).await?;
    // Only while it has a flavor: others are given no queue of it.
    weigh(&context, "p", 1).await?;
    for number in 0..3 {
        let queue = Queue::new(&context, &format!("q{number}"));
        queue
            .create(&json!({ "_flavor": name(&context, "f") }))
            .await?;
        if number > 0 {
            queue.post(&numbered(0..3, 300)).await?;
            queue.claim(60, number).await?;
        }
        let delete = context.delete(queue.at("")).send().await?;
        delete.expect("4.6", &[204])?;
    }
    weigh(&context, "p", 0).await?;
    clear(&context, &["f"], &[]).await?;
    let path = pool(&context, "p");
    let delete = operator(context.delete(path.clone())).send().await?;
    delete.expect("12.1", &[204])?;
    let gone = operator(context.get(path)).send().await?;
    gone.expect("12.1", &[404]).map(drop)
}

async fn patch_to_no_flavor(context: Context) -> CaseResult {
    add_pool(&context, "p", 0).await?;
    add_flavor(&context, "f", &["p"]).await?;
    weigh(&context, "p", 1).await?;
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_flavor": name(&context, "f") }))
        .await?;
    let to = |flavor: &str| {
        let value = name(&context, flavor);
        json!([
            { "op": "add", "path": "/metadata/colour", "value": "red" },
            { "op": "replace", "path": "/metadata/_flavor", "value": value },
        ])
    };
    let reply = queue.patch(&to("none")).send().await?;
    let reply = reply.expect("4.5", &[400])?;
    let metadata = queue.metadata().await?;
    let same = metadata["_flavor"] == name(&context, "f") && metadata.get("colour").is_none();
    reply.check("4.5", "the metadata as it was", same)?;
    queue.patch(&to("f")).send().await?.expect("4.5", &[200])?;
    let delete = context.delete(queue.at("")).send().await?;
    delete.expect("4.6", &[204])?;
    clear(&context, &["f"], &["p"]).await
}
