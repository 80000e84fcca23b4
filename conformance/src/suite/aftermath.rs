//! State after an error, and after deletion and re-creation; odd but legal names.

use futures_util::future::join_all;
use http::Method;
use serde_json::json;

use super::capability::Capability::{
    Bulk, Metadata, Patch, Pop, Projects, Purge, QueueLists, Stats,
};
use super::queues::expect_queues;
use super::steps::{EVERYTHING, Queue, bodies, expect_each, numbered};
use super::{Case, CaseResult, Context, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "claims/refused-renewal-keeps-the-claim",
        "6.5",
        refused_renewal
    )
    .since(2),
    case!(
        Must,
        "claims/refused-delete-keeps-the-claim",
        "5.7",
        refused_delete
    )
    .guarantee("G6")
    .since(2),
    case!(
        Must,
        "claims/refused-claim-takes-nothing",
        "6.1",
        refused_claim
    )
    .since(2),
    case!(
        Must,
        "messages/refused-pop-removes-nothing",
        "5.8",
        refused_pop
    )
    .needs(&[Pop])
    .since(2),
    case!(
        Must,
        "messages/refused-bulk-delete-removes-nothing",
        "5.8",
        refused_bulk_delete
    )
    .needs(&[Bulk, Pop])
    .since(2),
    case!(
        Must,
        "messages/refused-batches-leave-no-trace",
        "5.2",
        refused_batches
    )
    .guarantee("G2")
    .needs(&[Stats])
    .since(2),
    case!(
        Must,
        "queues/new-queue-of-the-name-has-no-metadata",
        "4.6",
        no_old_metadata
    )
    .needs(&[Metadata])
    .since(2),
    case!(
        Must,
        "queues/new-queue-of-the-name-has-no-old-limits",
        "4.6",
        no_old_limits
    )
    .needs(&[Metadata])
    .since(2),
    case!(Must, "queues/queue-can-come-and-go", "4.6", come_and_go)
        .guarantee("G13")
        .needs(&[Stats, QueueLists])
        .since(2),
    case!(
        Must,
        "queues/deleted-queue-is-listed-no-more",
        "4.6",
        listed_no_more
    )
    .needs(&[Projects, QueueLists])
    .since(2),
    case!(Must, "queues/purged-queue-works-on", "4.8", purged_works_on)
        .needs(&[Purge, Metadata, Stats])
        .since(2),
    case!(
        Must,
        "queues/concurrent-creations-make-one",
        "4.3",
        concurrent_creations
    )
    .needs(&[QueueLists])
    .since(2),
    case!(
        Must,
        "queues/concurrent-first-posts-lose-nothing",
        "5.2",
        concurrent_first_posts
    )
    .guarantee("G1")
    .since(2),
    case!(
        Must,
        "queues/names-may-be-words-of-the-api",
        "2",
        words_of_the_api
    )
    .needs(&[Stats])
    .since(2),
    case!(Must, "queues/similar-names-are-apart", "2", similar_names)
        .guarantee("G14")
        .since(2),
    case!(Must, "queues/dotted-names-are-apart", "2", dotted_names)
        .guarantee("G14")
        .since(2),
    case!(
        Must,
        "common/projects-may-have-odd-names",
        "1.3",
        odd_projects
    )
    .guarantee("G14")
    .needs(&[Projects])
    .since(2),
    case!(
        Must,
        "messages/id-of-a-deleted-queue-stays-unknown",
        "4.6",
        old_ids
    )
    .guarantee("G13")
    .since(2),
    case!(
        Must,
        "claims/claim-of-a-deleted-queue-holds-nothing",
        "4.6",
        old_claims
    )
    .guarantee("G13")
    .since(2),
    case!(
        Must,
        "metadata/deleted-queue-cannot-be-patched",
        "4.5",
        patch_after_delete
    )
    .needs(&[Metadata, Patch])
    .since(2),
];

async fn refused_renewal(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(120, 1).await?;
    for terms in [
        json!({ "ttl": 59 }),
        json!({ "ttl": 43_201 }),
        json!({ "ttl": "300" }),
    ] {
        let renew = context.patch(claim.path.clone(), &terms).send().await?;
        renew.expect("6.5", &[400])?;
    }
    let same = super::claims::claim_ttl(&context, &claim).await? == 120;
    claim.reply.check("6.5", "the claim with its ttl", same)?;
    queue.expect_nothing_to_claim("6.5").await?;
    let query = format!("?claim_id={}", claim.id);
    queue
        .deleting(&id, &query)
        .send()
        .await?
        .expect("5.7", &[204])
        .map(drop)
}

async fn refused_delete(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(120, 1).await?;
    queue
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[403])?;
    let query = format!("?claim_id={}", super::claims::UNKNOWN);
    queue
        .deleting(&id, &query)
        .send()
        .await?
        .expect("5.7", &[400])?;
    queue.expect_nothing_to_claim("6.1").await?;
    let reply = context
        .get(claim.path.clone())
        .send()
        .await?
        .expect("6.4", &[200])?;
    let held = super::steps::messages(&reply, "6.4")?.len() == 1;
    reply.check("6.4", "the message, still held", held)?;
    let delete = context.delete(claim.only()?.href.clone());
    delete.send().await?.expect("5.7", &[204]).map(drop)
}

async fn refused_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let good = json!({ "ttl": 60, "grace": 60 });
    let requests = vec![
        queue.claiming(&good, 21),
        queue.claiming(&good, 0),
        queue.claiming(&json!({ "ttl": 60, "grace": 59 }), 3),
        queue.claiming(&json!({ "ttl": 43_201, "grace": 60 }), 3),
        queue.claiming(&good, 3).body("{"),
        queue.claiming(&good, 3).without("client-id"),
    ];
    expect_each("6.1", &[400], requests).await?;
    let claim = queue.claim(60, 3).await?;
    let all = bodies(&claim.messages) == json!([0, 1, 2]);
    claim.reply.check("6.1", "all three messages", all)
}

async fn refused_pop(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let bad = ["0", "21", "-1", "x"];
    let requests = bad.map(|count| context.delete(queue.at(&format!("/messages?pop={count}"))));
    expect_each("5.8", &[400], requests.into()).await?;
    let page = queue.list(EVERYTHING).await?;
    let all = bodies(&page.messages) == json!([0, 1, 2]);
    page.reply.check("5.8", "all three messages", all)
}

async fn refused_bulk_delete(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..21, 300)).await?;
    let all = posted.ids.join(",");
    let requests = vec![
        context.delete(queue.at(&format!("/messages?ids={all}"))),
        context.delete(queue.at(&format!("/messages?ids={}&pop=1", posted.ids[0]))),
        context.delete(queue.at("/messages")),
    ];
    expect_each("5.8", &[400], requests).await?;
    let all = queue.pass(EVERYTHING).await?;
    posted
        .reply
        .check("5.8", "all 21 messages", all.len() == 21)
}

async fn refused_batches(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..1, 300)).await?;
    let bad = [
        json!([{ "ttl": 300, "body": 9 }, { "ttl": 300 }]),
        json!([{ "ttl": 300, "body": 9 }, { "ttl": 59, "body": 9 }]),
        json!([{ "ttl": 300, "body": 9 }, { "ttl": 1_209_601, "body": 9 }]),
    ];
    let requests = bad.iter().map(|batch| queue.posting(batch));
    expect_each("5.2", &[400], requests.collect()).await?;
    queue.post(&numbered(1..2, 300)).await?;
    let page = queue.list(EVERYTHING).await?;
    let good = bodies(&page.messages) == json!([0, 1]);
    page.reply.check("5.2", "the two accepted messages", good)?;
    let reply = context
        .get(queue.at("/stats"))
        .send()
        .await?
        .expect("4.7", &[200])?;
    let two = reply.json("4.7")?["messages"]["total"] == 2;
    reply.check("4.7", "a total of two", two)
}

async fn no_old_metadata(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "colour": "red", "_max_claim_count": 3 }))
        .await?;
    let fresh = Queue::new(&context, "fresh");
    fresh.create(&json!({})).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    queue.create(&json!({})).await?;
    let reply = context
        .get(queue.at(""))
        .send()
        .await?
        .expect("4.4", &[200])?;
    let same = reply.json("4.4")? == fresh.metadata().await?;
    reply.check("4.6", "the metadata of any new queue", same)
}

async fn no_old_limits(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let metadata = json!({
        "_default_message_ttl": 120, "_max_messages_post_size": 100, "_default_message_delay": 900,
    });
    queue.create(&metadata).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    let long = json!([{ "body": "x".repeat(200) }]);
    let posted = queue.post(&long).await?;
    let message = queue.get(&posted.ids[0]).await?;
    posted
        .reply
        .check("4.6", "a ttl of 3600", message.ttl == 3_600)?;
    queue.claim(60, 1).await?.only().map(drop)
}

async fn come_and_go(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for round in 0..4 {
        queue.create(&json!({})).await?;
        queue.post(&numbered(round..round + 2, 300)).await?;
        queue.claim(300, 1).await?;
        let page = queue
            .list(&format!("{EVERYTHING}&include_claimed=true"))
            .await?;
        let own = bodies(&page.messages) == json!([round, round + 1]);
        page.reply
            .check("4.6", "the messages of this life alone", own)?;
        context
            .delete(queue.at(""))
            .send()
            .await?
            .expect("4.6", &[204])?;
        let page = queue
            .list(&format!("{EVERYTHING}&include_claimed=true"))
            .await?;
        page.reply
            .check("4.6", "no messages", page.messages.is_empty())?;
        let reply = context
            .get(queue.at("/stats"))
            .send()
            .await?
            .expect("4.7", &[200])?;
        let none = reply.json("4.7")?["messages"]["total"] == 0;
        reply.check("4.6", "a total of nothing", none)?;
        expect_queues(&context, "4.6", &[]).await?;
    }
    Ok(())
}

async fn listed_no_more(context: Context) -> CaseResult {
    super::queues::create_all(&context, &["a", "b", "c", "d"]).await?;
    let reply = context
        .get("/v2/queues?limit=2")
        .send()
        .await?
        .expect("4.2", &[200])?;
    let Some(next) = super::steps::next_link(&reply)? else {
        return Err(reply.refuse("1.9", "a next link on a non-empty page"));
    };
    context
        .delete("/v2/queues/c")
        .send()
        .await?
        .expect("4.6", &[204])?;
    let reply = context.get(next).send().await?.expect("4.2", &[200])?;
    let rest = super::queues::names(&reply)? == ["d"];
    reply.check("4.6", "the queue d alone", rest)?;
    expect_queues(&context, "4.6", &["a", "b", "d"]).await
}

async fn purged_works_on(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_ttl": 120 }))
        .await?;
    queue.post(&numbered(0..25, 300)).await?;
    context
        .request(Method::POST, queue.at("/purge"))
        .send()
        .await?
        .expect("4.8", &[204])?;
    let reply = context
        .get(queue.at("/stats"))
        .send()
        .await?
        .expect("4.7", &[200])?;
    let none = reply.json("4.7")?["messages"]["total"] == 0;
    reply.check("4.8", "a total of nothing", none)?;
    let posted = queue.post(&json!([{ "body": 25 }])).await?;
    let page = queue.list(EVERYTHING).await?;
    let own = matches!(page.messages.as_slice(), [one] if one.body == 25 && one.ttl == 120);
    page.reply
        .check("4.8", "the new message alone, with the queue's ttl", own)?;
    let claim = queue.claim(60, 20).await?;
    let same = claim.only()?.id == posted.ids[0];
    claim.reply.check("4.8", "the new message", same)
}

/// Who made it is told by 201; nobody is told anything but 201 and 204.
async fn concurrent_creations(context: Context) -> CaseResult {
    let puts = (0..8).map(|_| context.put("/v2/queues/q").send());
    let mut made = 0;
    for reply in join_all(puts).await {
        made += usize::from(reply?.expect("4.3", &[201, 204])?.status() == 201);
    }
    if made == 0 {
        let came = "204 for each of 8 requests";
        return Err(context.failure("4.3", "201 for the one that made the queue", came));
    }
    expect_queues(&context, "4.3", &["q"]).await
}

async fn concurrent_first_posts(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posts = (0..8).map(|number| {
        queue
            .posting(&numbered(number * 2..number * 2 + 2, 300))
            .send()
    });
    for reply in join_all(posts).await {
        reply?.expect("5.2", &[201])?;
    }
    let all = queue.pass(EVERYTHING).await?;
    let mut found: Vec<u64> = all
        .iter()
        .filter_map(|message| message.body.as_u64())
        .collect();
    found.sort_unstable();
    if found == (0..16).collect::<Vec<u64>>() {
        return Ok(());
    }
    Err(context.failure("5.2", "all sixteen messages", format!("{found:?}")))
}

/// Demands that each queue holds its own message alone, also when another one has gone.
async fn apart(context: &Context, names: &[&str]) -> CaseResult {
    let queues: Vec<Queue> = names.iter().map(|name| Queue::new(context, name)).collect();
    for (number, queue) in (0..).zip(&queues) {
        queue.post(&numbered(number..number + 1, 300)).await?;
    }
    for (number, queue) in (0..).zip(&queues) {
        let page = queue.list(EVERYTHING).await?;
        let own = bodies(&page.messages) == json!([number]);
        page.reply
            .check("14.2", "the queue's own message alone", own)?;
    }
    for (number, queue) in (0_usize..).zip(&queues) {
        queue.claim(60, 20).await?.only()?;
        context
            .delete(queue.at(""))
            .send()
            .await?
            .expect("4.6", &[204])?;
        for later in queues.iter().skip(number + 1) {
            let page = later.list(EVERYTHING).await?;
            let kept = page.messages.len() == 1;
            page.reply
                .check("14.2", "the message of a queue that was not deleted", kept)?;
        }
    }
    Ok(())
}

async fn words_of_the_api(context: Context) -> CaseResult {
    for name in [
        "messages",
        "claims",
        "stats",
        "share",
        "purge",
        "subscriptions",
        "queues",
        "ping",
    ] {
        let queue = Queue::new(&context, name);
        queue.create(&json!({})).await?;
        queue.post_one(300).await?;
        let reply = context
            .get(queue.at("/stats"))
            .send()
            .await?
            .expect("4.7", &[200])?;
        let one = reply.json("4.7")?["messages"]["total"] == 1;
        reply.check("4.7", "a total of one", one)?;
    }
    apart(
        &context,
        &[
            "health", "v2", "-", "_", "--", "None", "null", "0", "-1", "marker", "id",
        ],
    )
    .await
}

async fn similar_names(context: Context) -> CaseResult {
    apart(
        &context,
        &["a", "A", "aa", "a-", "a_", "a-messages", "a_claims", "-a"],
    )
    .await
}

async fn dotted_names(context: Context) -> CaseResult {
    apart(
        &context,
        &[
            "a",
            "a.b",
            "a.b.c",
            "a.messages",
            "a.claims",
            "b.a",
            "a..b",
            ".a",
            "a.",
        ],
    )
    .await
}

async fn odd_projects(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(99..100, 300)).await?;
    let own = context.project();
    let suffixes = [
        ".q", "/q", ":q", "*", "?", "%2A", " q", "\\q", ",q", "'q", "{q}", ".queues",
    ];
    for (number, suffix) in (0..).zip(suffixes) {
        let project = format!("{own}{suffix}");
        let theirs = |request: super::Request| request.header("x-project-id", &project);
        let post = theirs(queue.posting(&numbered(number..number + 1, 300)))
            .send()
            .await?;
        post.expect("5.2", &[201])?;
        let listing = theirs(context.get(queue.at("/messages?echo=true")))
            .send()
            .await?;
        let page = super::steps::Page::read(listing)?;
        let alone = bodies(&page.messages) == json!([number]);
        page.reply
            .check("14.2", "the project's own message alone", alone)?;
    }
    let page = queue.list(EVERYTHING).await?;
    let alone = bodies(&page.messages) == json!([99]);
    page.reply
        .check("14.2", "the project's own message alone", alone)
}

async fn old_ids(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    queue.expect_gone("4.6", &id).await?;
    let posted = queue.post(&numbered(1..2, 300)).await?;
    queue.expect_gone("4.6", &id).await?;
    queue
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[204])?;
    queue.get(&posted.ids[0]).await.map(drop)
}

async fn old_claims(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 2).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    let posted = queue.post(&numbered(2..4, 300)).await?;
    let query = format!("?claim_id={}", claim.id);
    queue
        .deleting(&posted.ids[0], &query)
        .send()
        .await?
        .expect("5.7", &[400])?;
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    let new = queue.claim(300, 20).await?;
    let own = bodies(&new.messages) == json!([2, 3]);
    new.reply.check("4.6", "the two new messages", own)
}

async fn patch_after_delete(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({ "colour": "red" })).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    let add = json!([{ "op": "add", "path": "/metadata/colour", "value": "blue" }]);
    queue.patch(&add).send().await?.expect("4.5", &[404])?;
    let none = queue.metadata().await?.get("colour").is_none();
    if none {
        return Ok(());
    }
    Err(context.failure("4.5", "no metadata of a queue that is gone", "a colour"))
}
