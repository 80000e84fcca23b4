//! Contract 5.4 and 1.9: what a listing shows, and paging through it.

use futures_util::future::join;
use serde_json::{Value, json};

use crate::href::is_same;
use crate::suite::steps::{EVERYTHING, Page, Queue, bodies, expect_each, ids, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, Stop, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "listing/own-messages-need-echo",
        "5.4",
        own_messages_need_echo
    ),
    case!(
        Must,
        "listing/claimed-messages-are-hidden",
        "5.4",
        claimed_messages_are_hidden
    )
    .guarantee("G6"),
    case!(
        Must,
        "listing/include-claimed-shows-claimed-messages",
        "5.4",
        include_claimed_shows_claimed
    ),
    case!(
        Should,
        "listing/claimed-href-names-the-claim",
        "5.1",
        claimed_href_names_the_claim
    )
    .provenance(Provenance::Observed),
    case!(Must, "listing/oldest-come-first", "5.3", oldest_come_first).guarantee("G4"),
    case!(Must, "listing/limit-is-1-to-20", "5.4", limit_is_1_to_20),
    case!(
        Should,
        "listing/page-has-ten-by-default",
        "2",
        page_has_ten_by_default
    ),
    case!(
        Should,
        "listing/empty-queue-is-an-empty-page",
        "5.4",
        empty_queue
    )
    .disputed("200 with an empty page, as in the code; the documents say 204"),
    case!(
        Must,
        "listing/pages-show-every-message-once",
        "1.9",
        pages_show_every_message_once
    )
    .guarantee("G9"),
    case!(
        Must,
        "listing/pages-of-one-reach-the-end",
        "1.9",
        pages_of_one
    )
    .guarantee("G9"),
    case!(
        Must,
        "listing/next-link-keeps-include-claimed",
        "1.9",
        next_link_keeps_include_claimed
    )
    .guarantee("G9"),
    case!(
        Must,
        "listing/next-link-keeps-parameters",
        "1.9",
        next_link_keeps_parameters
    )
    .guarantee("G9"),
    case!(
        Must,
        "listing/short-page-leads-to-later-messages",
        "1.9",
        short_page_leads_on
    )
    .guarantee("G9"),
    case!(
        Must,
        "listing/marker-outlives-its-message",
        "5.4",
        marker_outlives_its_message
    )
    .provenance(Provenance::Documents)
    .guarantee("G9"),
    case!(
        Must,
        "listing/claimed-marker-is-still-a-position",
        "5.4",
        claimed_marker
    )
    .provenance(Provenance::Documents)
    .guarantee("G9"),
    case!(
        Should,
        "listing/foreign-marker-is-an-empty-page",
        "5.4",
        foreign_marker
    )
    .disputed("an empty page; drivers start again or guess a position"),
    case!(
        Should,
        "listing/page-looks-past-own-messages",
        "5.4",
        page_looks_past_own_messages
    )
    .disputed("a page is empty only if nothing qualifies behind its marker")
    .guarantee("G9"),
    case!(
        Should,
        "listing/page-looks-past-claimed-messages",
        "5.4",
        page_looks_past_claimed
    )
    .disputed("a page is empty only if nothing qualifies behind its marker")
    .guarantee("G9"),
    case!(
        Must,
        "listing/observers-do-not-disturb-each-other",
        "5.4",
        observers
    )
    .provenance(Provenance::Documents)
    .guarantee("G9"),
    case!(
        Must,
        "listing/reader-misses-no-concurrent-post",
        "5.4",
        reader_misses_no_post
    )
    .provenance(Provenance::Documents)
    .guarantee("G9"),
];

async fn own_messages_need_echo(context: Context) -> CaseResult {
    let mine = Queue::new(&context, "q");
    let theirs = mine.seen_by(&context.other_client());
    mine.post(&numbered(0..1, 300)).await?;
    theirs.post(&numbered(1..2, 300)).await?;
    for (queue, query, wanted) in [
        (&mine, "", json!([1])),
        (&theirs, "", json!([0])),
        (&mine, "?echo=false", json!([1])),
        (&mine, "?echo=true", json!([0, 1])),
        (&theirs, "?echo=true", json!([0, 1])),
    ] {
        let count = wanted.as_array().map_or(0, Vec::len);
        let page = queue.whole(query, count).await?;
        let expected = format!("the bodies {wanted}");
        let mut shown = bodies(&page.messages);
        // How two clients' messages lie beside each other is nobody's promise.
        if let Some(shown) = shown.as_array_mut() {
            shown.sort_unstable_by_key(Value::as_u64);
        }
        page.reply.check("5.4", &expected, shown == wanted)?;
    }
    Ok(())
}

async fn claimed_messages_are_hidden(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let claim = queue.claim(300, 2).await?;
    for (query, wanted) in [
        ("?echo=true", json!([2])),
        ("?echo=true&include_claimed=false", json!([2])),
    ] {
        let page = queue.list(query).await?;
        let expected = format!("the bodies {wanted}");
        page.reply
            .check("5.4", &expected, bodies(&page.messages) == wanted)?;
    }
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    let page = queue.whole("?echo=true", 3).await?;
    let back = bodies(&page.messages) == json!([0, 1, 2]);
    page.reply.check("5.4", "all again after the release", back)
}

async fn include_claimed_shows_claimed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    queue.claim(300, 2).await?;
    let page = queue.whole("?echo=true&include_claimed=true", 3).await?;
    let all = bodies(&page.messages) == json!([0, 1, 2]);
    page.reply.check("5.4", "all messages, in order", all)
}

/// The claim in the href is what lets its holder delete; once released, it would be refused.
async fn claimed_href_names_the_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    let query = format!("claim_id={}", claim.id);
    let message = queue.get(&id).await?;
    let of = message.href.split_once('?').map_or("", |(_, query)| query);
    let named = is_same(of, &query);
    claim
        .reply
        .check("5.1", "an href with the claim id", named)?;
    let release = context.delete(claim.path.clone()).send().await?;
    release.expect("6.6", &[204])?;
    let released = queue.get(&id).await?;
    let bare = !released.href.contains("claim_id");
    claim
        .reply
        .check("5.1", "an href without a claim id after the release", bare)
}

async fn oldest_come_first(context: Context) -> CaseResult {
    let mine = Queue::new(&context, "q");
    let theirs = mine.seen_by(&context.other_client());
    for (queue, first) in [(&mine, 0), (&theirs, 2), (&mine, 4)] {
        queue.post(&numbered(first..first + 2, 300)).await?;
    }
    let page = mine.whole(EVERYTHING, 6).await?;
    // Each producer's: how they lie beside each other is nobody's promise.
    let (theirs, mine): (Vec<u64>, Vec<u64>) = page
        .messages
        .iter()
        .filter_map(|message| message.body.as_u64())
        .partition(|body| (2..4).contains(body));
    let holds = page.messages.len() == 6 && mine == [0, 1, 4, 5] && theirs == [2, 3];
    page.reply
        .check("5.3", "the order of each client's posts", holds)
}

async fn limit_is_1_to_20(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..21, 300)).await?;
    let bad = [0, 21].map(|limit| context.get(queue.at(&format!("/messages?limit={limit}"))));
    expect_each("5.4", &[400], bad.into()).await?;
    for limit in [1, 20] {
        let page = queue.list(&format!("?echo=true&limit={limit}")).await?;
        let holds = (1..=limit).contains(&page.messages.len());
        let expected = format!("1 to {limit} messages");
        page.reply.check("5.4", &expected, holds)?;
    }
    Ok(())
}

/// It may be short, but never longer, and not empty while there is something to show.
async fn page_has_ten_by_default(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..11, 300)).await?;
    let page = queue.list("?echo=true").await?;
    let holds = (1..=10).contains(&page.messages.len());
    page.reply.check("2", "1 to 10 messages", holds)
}

async fn empty_queue(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    for path in [
        queue.at("/messages"),
        "/v2/queues/nowhere/messages".to_owned(),
    ] {
        let reply = context.get(path).send().await?.expect("5.4", &[200])?;
        let document = reply.json("5.4")?;
        let empty = document["messages"] == json!([]) && document["links"] == json!([]);
        reply.check("5.4", "empty `messages` and `links`", empty)?;
    }
    Ok(())
}

async fn pages_show_every_message_once(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let mut posted = Vec::new();
    for first in [0, 20, 40] {
        let last = if first == 40 { 43 } else { first + 20 };
        posted.extend(queue.post(&numbered(first..last, 300)).await?.ids);
    }
    for limit in [7, 20] {
        let all = queue.pass(&format!("?echo=true&limit={limit}")).await?;
        let holds = ids(&all) == posted;
        let expected = format!("43 messages, each once, in order, by pages of {limit}");
        let page = queue.list(EVERYTHING).await?;
        page.reply.check("1.9", &expected, holds)?;
    }
    Ok(())
}

/// The smallest page there is: its marker is the very first message.
async fn pages_of_one(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..3, 300)).await?;
    let all = queue.pass("?echo=true&limit=1").await?;
    let holds = ids(&all) == posted.ids;
    posted
        .reply
        .check("1.9", "3 messages, each once, in order", holds)
}

async fn next_link_keeps_parameters(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..6, 300)).await?;
    expect_pages_of_two(&queue, "?limit=2&echo=true").await
}

/// Demands the six messages, by pages of two at most that lead from one to the next.
async fn expect_pages_of_two(queue: &Queue, query: &str) -> CaseResult {
    let mut page = queue.list(query).await?;
    let mut next = 0;
    while next < 6 {
        let end = next + page.messages.len();
        let wanted: Value = (next..end).collect();
        let holds = (1..=2).contains(&(end - next)) && bodies(&page.messages) == wanted;
        let expected = format!("two messages from {next} on, or one of them");
        page.reply.check("1.9", &expected, holds)?;
        next = end;
        page = queue.follow(&page).await?;
    }
    page.reply
        .check("1.9", "an empty page at the end", page.messages.is_empty())
}

async fn next_link_keeps_include_claimed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..6, 300)).await?;
    queue.claim(300, 6).await?;
    expect_pages_of_two(&queue, "?limit=2&include_claimed=true&echo=true").await
}

/// A reader that has everything keeps its place by the last next link.
async fn short_page_leads_on(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let first = queue.whole(EVERYTHING, 3).await?;
    let empty = queue.follow(&first).await?;
    empty
        .reply
        .check("1.9", "an empty page", empty.messages.is_empty())?;
    queue.post(&numbered(3..5, 300)).await?;
    let second = queue.rest(&first, 2).await?;
    let new = bodies(&second.messages) == json!([3, 4]);
    second
        .reply
        .check("1.9", "the new messages, and only these", new)
}

async fn marker_outlives_its_message(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..5, 300)).await?;
    let page = queue.first("echo=true", 3).await?;
    let [_, second, third, fourth, _] = posted.ids.as_slice() else {
        return Err(posted.reply.refuse("5.2", "5 ids"));
    };
    // The marker's own message, one before it, and the one that would come next. The first one stays: a
    // server that starts again at the head shows it twice.
    for id in [third, second, fourth] {
        queue.deleting(id, "").send().await?.expect("5.7", &[204])?;
    }
    let next = queue.rest(&page, 1).await?;
    let holds = bodies(&next.messages) == json!([4]);
    next.reply.check("5.4", "the fifth message alone", holds)
}

async fn claimed_marker(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..4, 300)).await?;
    let page = queue.first("echo=true", 2).await?;
    queue.claim(300, 2).await?;
    let next = queue.rest(&page, 2).await?;
    let holds = bodies(&next.messages) == json!([2, 3]);
    next.reply
        .check("5.4", "the third and fourth messages", holds)
}

async fn foreign_marker(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    for marker in ["malformed", "abcdef", "%F0%9F%98%80", "%27%22%5C"] {
        let reply = context.get(queue.at(&format!("/messages?echo=true&marker={marker}")));
        let reply = reply.send().await?.expect("5.4", &[200, 204])?;
        let page = Page::read(reply)?;
        page.reply
            .check("5.4", "an empty page", page.messages.is_empty())?;
    }
    Ok(())
}

/// An empty page tells a reader that it is done, so hidden messages must not fill one.
async fn page_looks_past_own_messages(context: Context) -> CaseResult {
    let mine = Queue::new(&context, "q");
    let theirs = mine.seen_by(&context.other_client());
    mine.post(&numbered(0..45, 300)).await?;
    theirs.post(&numbered(45..46, 300)).await?;
    let page = mine.list("?limit=5").await?;
    let found = bodies(&page.messages) == json!([45]);
    page.reply.check("5.4", "the other client's message", found)
}

async fn page_looks_past_claimed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..41, 300)).await?;
    for _ in 0..2 {
        let claim = queue.claim(300, 20).await?;
        claim
            .reply
            .check("6.1", "20 messages", claim.messages.len() == 20)?;
    }
    let page = queue.list("?echo=true&limit=5").await?;
    let found = bodies(&page.messages) == json!([40]);
    page.reply
        .check("5.4", "the one message that is not claimed", found)
}

async fn observers(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..4, 300)).await?;
    let first = queue.first("echo=true", 3).await?;
    let other = queue.seen_by(&context.other_client());
    let second = other.first("echo=false", 2).await?;
    let first_next = queue.rest(&first, 1).await?;
    let second_next = other.rest(&second, 2).await?;
    let holds = bodies(&first_next.messages) == json!([3]);
    first_next.reply.check("5.4", "the fourth message", holds)?;
    let holds = bodies(&second_next.messages) == json!([2, 3]);
    second_next
        .reply
        .check("5.4", "the third and fourth messages", holds)
}

/// A reader that follows its links while several producers post has seen everything in the end.
async fn reader_misses_no_post(context: Context) -> CaseResult {
    const POSTS: u64 = 30;
    let queue = Queue::new(&context, "q");
    let mut wanted = queue.post(&numbered(0..2, 300)).await?.ids;
    let producers = (0..3).map(|producer| {
        let (queue, from) = (queue.clone(), 2 + producer * POSTS);
        async move {
            let mut posted = Vec::new();
            for body in (from..from + POSTS).step_by(3) {
                posted.extend(queue.post(&numbered(body..body + 3, 300)).await?.ids);
            }
            Ok::<Vec<String>, Stop>(posted)
        }
    });
    let (posted, read) = join(futures_util::future::join_all(producers), tail(&queue)).await;
    let (mut seen, mut last) = read?;
    // What came after the reader's last look, by pages of one at least.
    for _ in 0..=3 * POSTS + 2 {
        let page = queue.follow(&last).await?;
        if page.messages.is_empty() {
            break;
        }
        seen.extend(page.messages.iter().map(|message| message.id.clone()));
        last = page;
    }
    for outcome in posted {
        wanted.extend(outcome?);
    }
    let order = queue.pass(EVERYTHING).await?;
    let listed: Value = ids(&order).into_iter().collect();
    last.reply.check(
        "5.4",
        "every accepted message",
        ids(&order).len() == wanted.len(),
    )?;
    let same = json!(seen) == listed;
    let expected = format!(
        "{} messages, each once, in the order of a later pass",
        wanted.len()
    );
    last.reply.check("5.4", &expected, same)
}

/// Reads on while others post: the ids it saw, and the last page that showed any.
async fn tail(queue: &Queue) -> Result<(Vec<String>, Page), Stop> {
    let mut last = queue.list(EVERYTHING).await?;
    let mut seen: Vec<String> = last.messages.iter().map(|m| m.id.clone()).collect();
    for _ in 0..30 {
        let page = queue.follow(&last).await?;
        if !page.messages.is_empty() {
            seen.extend(page.messages.iter().map(|message| message.id.clone()));
            last = page;
        }
    }
    Ok((seen, last))
}
