//! Contract 4.2: the list of queues.

use serde_json::json;

use super::queues::{create_all, expect_queues, names};
use crate::suite::capability::Capability::{Metadata, Projects, QueueLists};
use crate::suite::steps::{Queue, expect_each, next_link};
use crate::suite::{Case, CaseResult, Context, Provenance, Reply, Stop, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "queues/no-queues-is-an-empty-list",
        "4.2",
        no_queues
    )
    .needs(&[Projects, QueueLists])
    .disputed("200 with an empty list, as in the code; the documents say 204"),
    case!(
        Must,
        "queues/pages-list-every-queue-once",
        "4.2",
        pages_list_every_queue_once
    )
    .needs(&[Projects, QueueLists]),
    case!(
        Must,
        "queues/names-are-in-byte-order",
        "4.2",
        names_are_in_byte_order
    )
    .needs(&[Projects, QueueLists]),
    case!(Must, "queues/limit-is-1-to-20", "4.2", limit_is_1_to_20).needs(&[Projects, QueueLists]),
    case!(
        Should,
        "queues/page-has-ten-by-default",
        "2",
        page_has_ten_by_default
    )
    .needs(&[Projects, QueueLists]),
    case!(
        Must,
        "queues/detailed-shows-metadata",
        "4.2",
        detailed_shows_metadata
    )
    .needs(&[Projects, Metadata, QueueLists]),
    case!(
        May,
        "queues/with-count-counts-all",
        "4.2",
        with_count_counts_all
    )
    .needs(&[Projects, QueueLists])
    .provenance(Provenance::Observed),
    case!(
        May,
        "queues/count-of-none-is-left-out",
        "4.2",
        count_of_none
    )
    .needs(&[Projects, QueueLists])
    .provenance(Provenance::Observed)
    .since(4),
    case!(
        Should,
        "queues/unknown-marker-is-a-position",
        "4.2",
        unknown_marker_is_a_position
    )
    .needs(&[Projects, QueueLists])
    .disputed("names greater than the marker; one driver starts again"),
    case!(May, "queues/name-filter-is-a-substring", "4.2", name_filter)
        .needs(&[Projects, QueueLists])
        .disputed("a substring, or ignored altogether; one driver takes it for a pattern"),
    case!(
        May,
        "queues/metadata-filter-is-equality",
        "4.2",
        metadata_filter
    )
    .needs(&[Projects, Metadata, QueueLists])
    .disputed("equality of top-level members, or ignored altogether, as some drivers do"),
];

async fn list(context: &Context, query: &str) -> Result<Reply, Stop> {
    let reply = context.get(format!("/v2/queues{query}")).send().await?;
    reply.expect("4.2", &[200])
}

async fn no_queues(context: Context) -> CaseResult {
    let reply = list(&context, "").await?;
    let document = reply.json("4.2")?;
    let empty = document["queues"] == json!([]) && document["links"] == json!([]);
    reply.check("4.2", "empty `queues` and `links`", empty)
}

async fn pages_list_every_queue_once(context: Context) -> CaseResult {
    let wanted: Vec<String> = (0..23).map(|number| format!("q{number:02}")).collect();
    let all: Vec<&str> = wanted.iter().map(String::as_str).collect();
    create_all(&context, &all).await?;
    let mut seen = Vec::new();
    let mut page = list(&context, "?limit=10").await?;
    // One page more than needed ends it: the terminator is an empty page.
    for _ in 0..4 {
        let present = names(&page)?;
        if present.is_empty() {
            break;
        }
        page.check("4.2", "at most 10 queues", present.len() <= 10)?;
        seen.extend(present);
        let Some(next) = next_link(&page)? else {
            return Err(page.refuse("1.9", "a next link on a non-empty page"));
        };
        page = context.get(next).send().await?.expect("4.2", &[200])?;
    }
    page.check("4.2", "23 queues, each once, in order", seen == wanted)
}

async fn names_are_in_byte_order(context: Context) -> CaseResult {
    create_all(&context, &["a1", "10", "B2", "2", "_", "-"]).await?;
    expect_queues(&context, "4.2", &["-", "10", "2", "B2", "_", "a1"]).await
}

async fn limit_is_1_to_20(context: Context) -> CaseResult {
    create_all(&context, &["a", "b"]).await?;
    let limit = |limit| context.get(format!("/v2/queues?limit={limit}"));
    expect_each("4.2", &[400], vec![limit(0), limit(21)]).await?;
    let one = limit(1).send().await?.expect("4.2", &[200])?;
    one.check("4.2", "one queue", names(&one)?.len() == 1)?;
    let all = limit(20).send().await?.expect("4.2", &[200])?;
    all.check("4.2", "both queues", names(&all)?.len() == 2)
}

async fn page_has_ten_by_default(context: Context) -> CaseResult {
    for number in 0..11 {
        Queue::new(&context, &format!("q{number}"))
            .create(&json!({}))
            .await?;
    }
    let reply = list(&context, "").await?;
    reply.check("2", "10 queues", names(&reply)?.len() == 10)
}

async fn detailed_shows_metadata(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({ "colour": "red" })).await?;
    let plain = list(&context, "").await?;
    let first = plain.json("4.2")?["queues"][0].clone();
    let bare = first.get("metadata").is_none() && first["href"].is_string();
    plain.check("4.2", "`href` and no `metadata`", bare)?;
    let detailed = list(&context, "?detailed=true").await?;
    let first = detailed.json("4.2")?["queues"][0].clone();
    let whole =
        first["metadata"]["colour"] == "red" && first["metadata"]["_default_message_ttl"].is_i64();
    detailed.check("4.2", "`metadata` with its own and reserved members", whole)
}

async fn with_count_counts_all(context: Context) -> CaseResult {
    create_all(&context, &["a", "b", "c"]).await?;
    let reply = list(&context, "?with_count=true&limit=1&marker=a").await?;
    let three = reply.json("4.2")?["count"] == 3;
    reply.check("4.2", "a `count` of 3 whatever the page", three)?;
    let reply = list(&context, "").await?;
    let absent = reply.json("4.2")?.get("count").is_none();
    reply.check("4.2", "no `count` unless asked for", absent)
}

async fn count_of_none(context: Context) -> CaseResult {
    let reply = list(&context, "?with_count=true").await?;
    let absent = reply.json("4.2")?.get("count").is_none();
    reply.check("4.2", "no `count` of nothing", absent)?;
    create_all(&context, &["a"]).await?;
    let reply = list(&context, "?with_count=true").await?;
    reply.check("4.2", "a `count` of 1", reply.json("4.2")?["count"] == 1)
}

/// The queue that a reader saw last may be deleted meanwhile.
async fn unknown_marker_is_a_position(context: Context) -> CaseResult {
    create_all(&context, &["a", "b", "c"]).await?;
    context
        .delete("/v2/queues/b")
        .send()
        .await?
        .expect("4.6", &[204])?;
    let reply = list(&context, "?marker=b").await?;
    reply.check("4.2", "the queue c alone", names(&reply)? == ["c"])
}

/// Whoever has no such filter shows everything, whatever is asked for.
async fn name_filter(context: Context) -> CaseResult {
    let all = ["blue-1", "infrared", "red-1"];
    create_all(&context, &all).await?;
    let reply = list(&context, "?name=red").await?;
    let ignored = names(&reply)? == all;
    let holds = ignored || names(&reply)? == ["infrared", "red-1"];
    reply.check("4.2", "the queues with `red` in their names, or all", holds)?;
    let reply = list(&context, "?name=r.d").await?;
    if ignored {
        return reply.check("4.2", "all queues again", names(&reply)? == all);
    }
    let holds = names(&reply)?.is_empty();
    reply.check("4.2", "no queue: it is no pattern", holds)
}

async fn metadata_filter(context: Context) -> CaseResult {
    Queue::new(&context, "a")
        .create(&json!({ "colour": "red", "size": 1 }))
        .await?;
    Queue::new(&context, "b")
        .create(&json!({ "colour": "blue", "size": 2 }))
        .await?;
    let all = ["a", "b"];
    let reply = list(&context, "?colour=red").await?;
    // Whoever has no such filter shows everything, whatever is asked for.
    let ignored = names(&reply)? == all;
    let holds = ignored || names(&reply)? == ["a"];
    reply.check("4.2", "the queue a alone, or all", holds)?;
    let reply = list(&context, "?size=2").await?;
    let wanted = if ignored { &all[..] } else { &["b"] };
    let expected = format!("the queues {wanted:?}");
    reply.check("4.2", &expected, names(&reply)? == wanted)
}
