//! Odd but legal names of queues and projects: whatever they are called, they are apart.

use crate::suite::capability::Capability::{Projects, Stats};
use crate::suite::steps::{EVERYTHING, Page, Queue, bodies, numbered};
use crate::suite::{Case, CaseResult, Context, case};
use serde_json::json;

pub(super) const CASES: &[Case] = &[
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
        Should,
        "common/project-has-any-characters-up-to-256",
        "1.3",
        long_foreign_projects
    )
    .needs(&[Projects])
    .since(5),
];

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
        let one = |stats: &serde_json::Value| stats["total"] == 1;
        queue.expect_stats("4.7", "a total of one", one).await?;
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
        let theirs = |request: crate::suite::Request| request.header("x-project-id", &project);
        let post = theirs(queue.posting(&numbered(number..number + 1, 300)))
            .send()
            .await?;
        post.expect("5.2", &[201])?;
        let listing = theirs(context.get(queue.at("/messages?echo=true")))
            .send()
            .await?;
        let page = Page::read(listing)?;
        let alone = bodies(&page.messages) == json!([number]);
        page.reply
            .check("14.2", "the project's own message alone", alone)?;
    }
    let page = queue.list(EVERYTHING).await?;
    let alone = bodies(&page.messages) == json!([99]);
    page.reply
        .check("14.2", "the project's own message alone", alone)
}

/// Whether a server counts bytes or characters of UTF-8 is left open: the first are few enough either way, and
/// the second are too many.
async fn long_foreign_projects(context: Context) -> CaseResult {
    let own = context.project();
    let put = |letters: usize, dashes: usize| {
        let project = format!("{own}{}{}", "\u{e9}".repeat(letters), "-".repeat(dashes));
        context
            .put("/v2/queues/q")
            .header("x-project-id", &project)
            .send()
    };
    let rest = 256_usize.saturating_sub(own.len());
    put(rest / 2, rest % 2).await?.expect("1.3", &[201])?;
    put(257, 0).await?.expect("1.3", &[400]).map(drop)
}
