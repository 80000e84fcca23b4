//! Contract 3.4, 10 and 12: what operators see and do, and that nobody else does.
//!
//! Pools and flavors are for the whole service: cases give them names of their own and take them away
//! again. Their pools have weight 0 or a flavor, so that no queue of anybody else is put there.

use std::collections::BTreeSet;

use super::queues::expect_queues;
use crate::suite::capability::Capability::{self, Admin, Pools, QueueLists};
use crate::suite::steps::{expect_each, next_link, unknown};
use crate::suite::{Case, CaseResult, Context, Reply, Request, Stop, case};
use serde_json::{Value, json};

pub(super) const NEEDS: &[Capability] = &[Admin, Pools];

/// Pages that a listing of pools or flavors may have.
const PAGES_MAX: usize = 500;

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "admin/health-needs-the-role",
        "3.4",
        health_needs_the_role
    )
    .needs(&[Admin])
    .since(2)
    .apart(),
    case!(Must, "admin/health-tells-of-the-store", "3.4", health)
        .needs(&[Admin])
        .since(2)
        .apart(),
    case!(
        Must,
        "admin/health-leaves-nothing-behind",
        "3.4",
        health_leaves_nothing
    )
    .needs(&[Admin, QueueLists])
    .since(2)
    .apart(),
    case!(Must, "admin/pools-need-the-role", "10", pools_need_the_role)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "admin/flavors-need-the-role",
        "10",
        flavors_need_the_role
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "admin/pool-is-shown-as-it-was-put",
        "12.1",
        pool_is_shown
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "admin/putting-a-pool-again-overwrites-it",
        "12.1",
        pool_again
    )
    .needs(NEEDS)
    .since(2),
    case!(Must, "admin/bad-pool-is-refused", "12.1", bad_pools)
        .needs(NEEDS)
        .since(2),
    case!(Must, "admin/pool-can-be-patched", "12.1", patch_pool)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "admin/bad-patch-changes-no-pool",
        "12.1",
        bad_pool_patch
    )
    .needs(NEEDS)
    .since(2),
    case!(Must, "admin/unknown-pool-is-404", "12.1", unknown_pool)
        .needs(NEEDS)
        .since(2),
    case!(Must, "admin/deleted-pool-is-gone", "12.1", deleted_pool)
        .needs(NEEDS)
        .since(2),
    case!(Must, "admin/pools-are-listed-by-name", "12.1", listed_pools)
        .needs(NEEDS)
        .since(2),
    case!(Must, "admin/listings-have-limits", "12.1", listing_limits)
        .needs(NEEDS)
        .since(2),
];

/// `request` with the role of an operator.
pub(super) fn operator(request: Request) -> Request {
    request.header("x-roles", "admin")
}

/// A name that no other case has, for a pool or a flavor.
pub(super) fn name(context: &Context, word: &str) -> String {
    format!("n{}-{word}", &context.client_id()[..8])
}

pub(super) fn pool(context: &Context, word: &str) -> String {
    format!("/v2/pools/{}", name(context, word))
}

pub(super) fn flavor(context: &Context, word: &str) -> String {
    format!("/v2/flavors/{}", name(context, word))
}

/// A store for another pool, if there is one left that no pool has: one of an earlier run may be left.
pub(super) async fn store(context: &Context) -> Result<String, Stop> {
    let around = context.surroundings();
    let taken = match around.taken_pool_uris() {
        Some(taken) => taken,
        None => around.note_taken_pool_uris(pool_uris(context).await?),
    };
    loop {
        match around.pool_uri() {
            Some(uri) if taken.contains(&uri) => {}
            Some(uri) => return Ok(uri),
            None => {
                return Err(unknown(
                    context,
                    "the target names no store for another pool",
                ));
            }
        }
    }
}

/// The stores of all pools, as far as they are told; whether they are told rightly is for others to say.
async fn pool_uris(context: &Context) -> Result<BTreeSet<String>, Stop> {
    let mut path = "/v2/pools?limit=20".to_owned();
    let mut uris = BTreeSet::new();
    for _ in 0..PAGES_MAX {
        let reply = operator(context.get(path)).send().await?;
        let document: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
        let pools = document["pools"].as_array().cloned().unwrap_or_default();
        let uri = |pool: &Value| pool["uri"].as_str().map(str::to_owned);
        uris.extend(pools.iter().filter_map(uri));
        match next_link(&reply) {
            Ok(Some(next)) if !pools.is_empty() => path = next,
            _ => break,
        }
    }
    Ok(uris)
}

/// Adds a pool that gets no queue unless it is given a flavor.
pub(super) async fn add_pool(context: &Context, word: &str, weight: u64) -> Result<Value, Stop> {
    let body = json!({ "uri": store(context).await?, "weight": weight });
    let put = operator(context.put(pool(context, word)).json(&body));
    put.send().await?.expect("12.1", &[201])?;
    Ok(body)
}

pub(super) async fn add_flavor(context: &Context, word: &str, pools: &[&str]) -> CaseResult {
    let put = operator(
        context
            .put(flavor(context, word))
            .json(&list_of(context, pools)),
    );
    put.send().await?.expect("12.2", &[201]).map(drop)
}

pub(super) fn list_of(context: &Context, pools: &[&str]) -> Value {
    let names: Vec<String> = pools.iter().map(|word| name(context, word)).collect();
    json!({ "pool_list": names })
}

pub(super) async fn read(context: &Context, path: &str) -> Result<(Value, Reply), Stop> {
    let reply = operator(context.get(path))
        .send()
        .await?
        .expect("12.1", &[200])?;
    Ok((reply.json("12.1")?, reply))
}

/// Takes flavors and pools away again, as far as that goes.
pub(super) async fn clear(context: &Context, flavors: &[&str], pools: &[&str]) -> CaseResult {
    for word in flavors {
        operator(context.delete(flavor(context, word)))
            .send()
            .await?
            .expect("12.2", &[204])?;
    }
    for word in pools {
        // A pool with queues may be kept; then it stays.
        let delete = operator(context.delete(pool(context, word))).send().await?;
        delete.expect("12.1", &[204, 403])?;
    }
    Ok(())
}

async fn health_needs_the_role(context: Context) -> CaseResult {
    let get = || context.get("/v2/health");
    let requests = vec![
        get(),
        get().header("x-roles", "member"),
        get().header("x-roles", "administrator"),
    ];
    expect_each("10", &[403], requests).await?;
    healthy(&context).await.map(drop)
}

/// What an operator is told about a healthy service. It looks at the pools of all cases, and uses them, so who asks
/// runs apart from those that take pools away.
pub(super) async fn healthy(context: &Context) -> Result<Reply, Stop> {
    let ask = || operator(context.get("/v2/health"));
    asked_beside_others(context, 503, ask)
        .await?
        .expect("3.4", &[200])
}

/// What it answers. With this status it is asked again for a while if other shares of the suite may be in its way.
pub(super) async fn asked_beside_others(
    context: &Context,
    in_the_way: u16,
    ask: impl Fn() -> Request,
) -> Result<Reply, Stop> {
    let deadline = context.now().plus(context.happens_within());
    loop {
        let reply = ask().send().await?;
        let may_be_others = context.is_share() && reply.status().as_u16() == in_the_way;
        if !may_be_others || context.now() >= deadline {
            return Ok(reply);
        }
        let soon = context.now().plus(std::time::Duration::from_secs(1));
        context.sleep_until(soon).await;
    }
}

/// Whether the document of a store says that all that was tried with it succeeded.
pub(super) fn is_well(store: &Value) -> bool {
    let operations = [
        "create_queue",
        "post_messages",
        "claim_messages",
        "list_messages",
        "delete_messages",
        "delete_claim",
        "bulk_delete_messages",
        "delete_queue",
    ];
    let status = &store["operation_status"];
    store["storage_reachable"] == true
        && operations.iter().all(|name| {
            let one = &status[*name];
            one["succeeded"] == true && one["seconds"].is_number() && one["ref"].is_null()
        })
}

async fn health(context: Context) -> CaseResult {
    let reply = healthy(&context).await?;
    let document = reply.json("3.4")?;
    if context.offers(Pools) {
        // Every pool is there with a document of its own.
        let catalogue = document["catalog_reachable"] == true;
        return reply.check("3.4", "`catalog_reachable`: true", catalogue);
    }
    reply.check(
        "3.4",
        "a reachable store and every operation succeeded",
        is_well(&document),
    )
}

async fn health_leaves_nothing(context: Context) -> CaseResult {
    healthy(&context).await?;
    expect_queues(&context, "3.4", &[]).await
}

async fn pools_need_the_role(context: Context) -> CaseResult {
    add_pool(&context, "p", 0).await?;
    let path = pool(&context, "p");
    let body = json!({ "uri": "memory://none", "weight": 1 });
    let requests = || {
        vec![
            context.get("/v2/pools"),
            context.get(path.clone()),
            context.put(path.clone()).json(&body),
            context.patch(path.clone(), &json!({ "weight": 1 })),
            context.delete(path.clone()),
        ]
    };
    expect_each("10", &[403], requests()).await?;
    let member = requests()
        .into_iter()
        .map(|request| request.header("x-roles", "member"));
    expect_each("10", &[403], member.collect()).await?;
    let (document, reply) = read(&context, &path).await?;
    reply.check("10", "the pool as it was", document["weight"] == 0)?;
    clear(&context, &[], &["p"]).await
}

/// Reading flavors takes no role.
async fn flavors_need_the_role(context: Context) -> CaseResult {
    add_pool(&context, "p", 1).await?;
    add_flavor(&context, "f", &["p"]).await?;
    let path = flavor(&context, "f");
    let body = list_of(&context, &["p"]);
    let requests = vec![
        context.put(path.clone()).json(&body),
        context.patch(path.clone(), &body),
        context.delete(path.clone()),
    ];
    expect_each("10", &[403], requests).await?;
    let reads = vec![context.get(path), context.get("/v2/flavors")];
    expect_each("10", &[200], reads).await?;
    clear(&context, &["f"], &["p"]).await
}

async fn pool_is_shown(context: Context) -> CaseResult {
    let path = pool(&context, "p");
    let body = json!({ "uri": store(&context).await?, "weight": 0, "options": { "a": 1 } });
    let put = operator(context.put(path.clone()).json(&body))
        .send()
        .await?;
    let put = put.expect("12.1", &[201])?;
    put.check(
        "12.1",
        &format!("the Location {path}"),
        put.header("location") == path,
    )?;
    let (document, reply) = read(&context, &format!("{path}?detailed=true")).await?;
    let same = document["uri"] == body["uri"]
        && document["weight"] == 0
        && document["options"] == body["options"]
        && document["href"] == path
        && document["name"] == name(&context, "p");
    reply.check(
        "12.1",
        "the pool with name, href, uri, weight and options",
        same,
    )?;
    clear(&context, &[], &["p"]).await
}

async fn pool_again(context: Context) -> CaseResult {
    let mut body = add_pool(&context, "p", 0).await?;
    let path = pool(&context, "p");
    body["options"] = json!({ "a": 2 });
    let put = operator(context.put(path.clone()).json(&body));
    put.send().await?.expect("12.1", &[201])?;
    let (document, reply) = read(&context, &format!("{path}?detailed=true")).await?;
    reply.check(
        "12.1",
        "the new options",
        document["options"] == json!({ "a": 2 }),
    )?;
    clear(&context, &[], &["p"]).await
}

async fn bad_pools(context: Context) -> CaseResult {
    let path = pool(&context, "p");
    let uri = store(&context).await?;
    let bodies = [
        json!({}),
        json!([]),
        json!({ "uri": uri }),
        json!({ "weight": 1 }),
        json!({ "uri": uri, "weight": -1 }),
        json!({ "uri": uri, "weight": 4_294_967_296_u64 }),
        json!({ "uri": uri, "weight": "1" }),
        json!({ "uri": 5, "weight": 1 }),
        json!({ "uri": format!("memory://{}", "x".repeat(256)), "weight": 1 }),
        json!({ "uri": uri, "weight": 1, "options": "x" }),
        json!({ "uri": uri, "weight": 1, "colour": "red" }),
    ];
    let puts = bodies
        .iter()
        .map(|body| operator(context.put(path.clone()).json(body)));
    expect_each("12.1", &[400], puts.collect()).await?;
    let texts = ["", "{"].map(|text| operator(context.put(path.clone())).body(text));
    expect_each("12.1", &[400], texts.into()).await?;
    operator(context.get(path))
        .send()
        .await?
        .expect("12.1", &[404])
        .map(drop)
}

/// Gives that pool another weight.
pub(super) async fn weigh(context: &Context, word: &str, weight: u64) -> CaseResult {
    let patch = operator(context.patch(pool(context, word), &json!({ "weight": weight })));
    patch.send().await?.expect("12.1", &[200]).map(drop)
}

async fn patch_pool(context: Context) -> CaseResult {
    let body = add_pool(&context, "p", 1).await?;
    add_flavor(&context, "f", &["p"]).await?;
    let path = pool(&context, "p");
    let patch = operator(context.patch(path.clone(), &json!({ "weight": 7, "colour": 1 })));
    let reply = patch.send().await?.expect("12.1", &[200])?;
    let answer = reply.json("12.1")?;
    let told = answer["weight"] == 7 && answer["href"] == path;
    reply.check("12.1", "the pool with its new weight and its href", told)?;
    let (document, reply) = read(&context, &path).await?;
    let same = document["weight"] == 7 && document["uri"] == body["uri"];
    reply.check("12.1", "the new weight, and the uri as it was", same)?;
    clear(&context, &["f"], &["p"]).await
}

async fn bad_pool_patch(context: Context) -> CaseResult {
    add_pool(&context, "p", 0).await?;
    let path = pool(&context, "p");
    let bodies = [
        json!({}),
        json!({ "colour": "red" }),
        json!({ "weight": -1 }),
        json!({ "weight": "7" }),
        json!({ "weight": 7, "options": "x" }),
    ];
    let patches = bodies
        .iter()
        .map(|body| operator(context.patch(path.clone(), body)));
    expect_each("12.1", &[400], patches.collect()).await?;
    let (document, reply) = read(&context, &path).await?;
    reply.check("12.1", "the weight as it was", document["weight"] == 0)?;
    clear(&context, &[], &["p"]).await
}

async fn unknown_pool(context: Context) -> CaseResult {
    let path = pool(&context, "none");
    let requests = vec![
        operator(context.get(path.clone())),
        operator(context.patch(path.clone(), &json!({ "weight": 1 }))),
    ];
    expect_each("12.1", &[404], requests).await?;
    operator(context.delete(path))
        .send()
        .await?
        .expect("12.1", &[204])
        .map(drop)
}

async fn deleted_pool(context: Context) -> CaseResult {
    add_pool(&context, "p", 0).await?;
    let path = pool(&context, "p");
    for _ in 0..2 {
        operator(context.delete(path.clone()))
            .send()
            .await?
            .expect("12.1", &[204])?;
    }
    operator(context.get(path))
        .send()
        .await?
        .expect("12.1", &[404])
        .map(drop)
}

/// The case's own names on all pages of a collection, in the order in which they came.
pub(super) async fn own_names(context: &Context, collection: &str) -> Result<Vec<String>, Stop> {
    let own = name(context, "");
    let mut path = format!("/v2/{collection}?limit=2");
    let mut names = Vec::new();
    for _ in 0..PAGES_MAX {
        let reply = operator(context.get(path))
            .send()
            .await?
            .expect("12.1", &[200])?;
        let document = reply.json("12.1")?;
        let Some(all) = document[collection].as_array() else {
            return Err(reply.refuse("12.1", &format!("`{collection}`: an array")));
        };
        reply.check("12.1", "at most two on a page", all.len() <= 2)?;
        let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
        names.extend(all.iter().map(name).filter(|name| name.starts_with(&own)));
        match next_link(&reply)? {
            Some(next) if !all.is_empty() => path = next,
            _ => break,
        }
    }
    Ok(names)
}

async fn listed_pools(context: Context) -> CaseResult {
    let words = ["c", "a", "e", "b", "d"];
    for word in words {
        add_pool(&context, word, 0).await?;
    }
    let names = own_names(&context, "pools").await?;
    let expected = ["a", "b", "c", "d", "e"].map(|word| name(&context, word));
    if names != expected {
        let expected = format!("{expected:?}, each once");
        return Err(context.failure("12.1", expected, format!("{names:?}")));
    }
    clear(&context, &[], &words).await
}

async fn listing_limits(context: Context) -> CaseResult {
    let limits = ["0", "21", "-1", "x"].into_iter();
    let requests = limits.flat_map(|limit| {
        ["pools", "flavors"].map(|name| operator(context.get(format!("/v2/{name}?limit={limit}"))))
    });
    expect_each("12.1", &[400], requests.collect()).await
}
