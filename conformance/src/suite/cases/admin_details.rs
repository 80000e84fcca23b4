//! Contract 3.4 and 12: smaller rules for operators.

use serde_json::{Value, json};

use super::admin::{
    NEEDS, add_flavor, add_pool, asked_beside_others, clear, flavor, healthy, is_well, list_of,
    name, operator, pool, read,
};
use crate::suite::steps::expect_each;
use crate::suite::{Case, CaseResult, Context, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "admin/health-tells-of-every-pool",
        "3.4",
        health_of_pools
    )
    .needs(NEEDS)
    .since(4)
    .apart(),
    case!(
        Should,
        "admin/health-leaves-no-pool-in-use",
        "3.4",
        health_leaves_pools
    )
    .needs(NEEDS)
    .since(5)
    .apart(),
    case!(
        Should,
        "admin/pool-listing-says-where-it-is",
        "12.1",
        content_location
    )
    .needs(NEEDS)
    .since(4),
    case!(
        Must,
        "admin/pool-takes-and-leaves-a-flavor",
        "12.1",
        flavor_of_a_pool
    )
    .needs(NEEDS)
    .since(4),
    case!(
        Must,
        "admin/flavor-has-no-unknown-members",
        "12.2",
        members_of_a_flavor
    )
    .needs(NEEDS)
    .since(4),
];

async fn health_of_pools(context: Context) -> CaseResult {
    let words = ["p1", "p2"];
    add_pool(&context, "p1", 0).await?;
    add_pool(&context, "p2", 0).await?;
    add_flavor(&context, "f", &["p2"]).await?;
    let reply = healthy(&context).await?;
    let document = reply.json("3.4")?;
    for word in words {
        let pool = name(&context, word);
        let expected = format!("`{pool}`: a reachable store and every operation succeeded");
        reply.check("3.4", &expected, is_well(&document[&pool]))?;
    }
    clear(&context, &["f"], &words).await
}

/// Nobody puts a queue into a pool without weight, but for the health check.
async fn health_leaves_pools(context: Context) -> CaseResult {
    add_pool(&context, "p", 0).await?;
    healthy(&context).await?;
    let delete = || operator(context.delete(pool(&context, "p")));
    let deleted = asked_beside_others(&context, 403, delete).await?;
    deleted.expect("3.4", &[204]).map(drop)
}

async fn content_location(context: Context) -> CaseResult {
    add_pool(&context, "p", 0).await?;
    let get = operator(context.get("/v2/pools?limit=1")).send().await?;
    let reply = get.expect("12.1", &[200])?;
    let location = reply.header("content-location");
    // It may be absolute.
    let path = location.split_once("://").map_or(location, |(_, rest)| {
        rest.find('/').map_or("", |place| &rest[place..])
    });
    let is_there = path == "/v2/pools" || path.starts_with("/v2/pools?");
    reply.check("12.1", "a Content-Location with the path", is_there)?;
    clear(&context, &[], &["p"]).await
}

/// Demands that pool `p` shows this flavor, or none.
async fn expect_flavor(context: &Context, word: Option<&str>) -> CaseResult {
    let (document, reply) = read(context, &pool(context, "p")).await?;
    let shown = &document["flavor"];
    match word {
        Some(word) => reply.check("12.1", "its flavor", *shown == name(context, word)),
        None => reply.check("12.1", "no flavor", shown.is_null() || *shown == ""),
    }
}

async fn flavor_of_a_pool(context: Context) -> CaseResult {
    add_pool(&context, "other", 0).await?;
    add_flavor(&context, "f", &["other"]).await?;
    let mut body = add_pool(&context, "p", 0).await?;
    expect_flavor(&context, None).await?;
    let change = |flavor: &str| {
        let patch = context.patch(pool(&context, "p"), &json!({ "flavor": flavor }));
        operator(patch)
    };
    let own = name(&context, "f");
    change(&own).send().await?.expect("12.1", &[200])?;
    expect_flavor(&context, Some("f")).await?;
    // The empty name is how a pool leaves its flavor.
    change("").send().await?.expect("12.1", &[200])?;
    expect_flavor(&context, None).await?;
    body["flavor"] = json!(own);
    let put = operator(context.put(pool(&context, "p")).json(&body));
    put.send().await?.expect("12.1", &[201])?;
    expect_flavor(&context, Some("f")).await?;
    clear(&context, &["f"], &["other", "p"]).await
}

async fn members_of_a_flavor(context: Context) -> CaseResult {
    add_pool(&context, "p", 0).await?;
    let path = flavor(&context, "f");
    let with = |member: &str, value: Value| {
        let mut body = list_of(&context, &["p"]);
        body[member] = value;
        operator(context.put(path.clone()).json(&body))
    };
    let bad = vec![
        with("colour", json!("red")),
        with("uri", json!("memory://x")),
        with("capabilities", json!("FIFO")),
    ];
    expect_each("12.2", &[400], bad).await?;
    let get = operator(context.get(path.clone())).send().await?;
    get.expect("12.2", &[404])?;
    // These may be given, and say nothing.
    let put = with("capabilities", json!({ "fifo": true })).send().await?;
    put.expect("12.2", &[201])?;
    clear(&context, &["f"], &["p"]).await
}
