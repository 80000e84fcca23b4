//! Steps that many cases take: post, list, claim, pop, and wait for a clock that may be wrong.
//!
//! An answer that nobody foresaw becomes a failure here, never a panic.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::capability::Capability;
use super::context::{Context, Reply, Request, Sent};
use super::verdict::Stop;
use crate::environment::Instant;
use crate::href::usable_segment;

/// The only media type that a patch of a queue may have.
const PATCH_MEDIA_TYPE: &str = "application/openstack-messaging-v2.0-json-patch";

/// Pages that one pass over a queue may have.
const PAGES_MAX: usize = 5_000;

/// How much later than its ttl says the documents let a message vanish.
const EXPIRY_LAG_SECS: u64 = 60;

/// How long before the end of something a case asks whether it still holds.
const MARGIN: Duration = Duration::from_secs(5);

/// Time between two looks at something that is about to vanish.
const POLL_EVERY: Duration = Duration::from_secs(10);

/// Time between the first looks at statistics that may lag; each is twice as long as the one before.
const STATS_POLL_FIRST: Duration = Duration::from_millis(100);

/// The longest time between two of them.
const STATS_POLL_LAST: Duration = Duration::from_secs(2);

/// A queue as one client sees it. It need not exist.
#[derive(Clone)]
pub(super) struct Queue {
    context: Context,
    path: String,
}

/// A message as list, get, claim or pop show it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    /// Empty in the answer to a pop.
    pub(super) href: String,
    pub(super) ttl: Value,
    pub(super) age: f64,
    pub(super) body: Value,
}

/// An accepted post.
pub(super) struct Posted {
    pub(super) ids: Vec<String>,
    pub(super) reply: Reply,
}

/// One page of messages.
pub(super) struct Page {
    pub(super) messages: Vec<Message>,
    /// Where its next link leads.
    pub(super) next: Option<String>,
    pub(super) reply: Reply,
}

/// A claim that was granted.
pub(super) struct Claim {
    /// Its own path.
    pub(super) path: String,
    /// Its identifier: the last segment of the path.
    pub(super) id: String,
    pub(super) messages: Vec<Message>,
    pub(super) reply: Reply,
}

impl Queue {
    /// The queue called `name`.
    pub(super) fn new(context: &Context, name: &str) -> Self {
        Self {
            context: context.clone(),
            path: format!("/v2/queues/{name}"),
        }
    }

    /// The same queue as `context` sees it.
    pub(super) fn seen_by(&self, context: &Context) -> Self {
        Self {
            context: context.clone(),
            path: self.path.clone(),
        }
    }

    /// The path of something in this queue, as `/messages?echo=true`.
    pub(super) fn at(&self, rest: &str) -> String {
        format!("{}{rest}", self.path)
    }

    /// Creates it, which must be new.
    pub(super) async fn create(&self, metadata: &Value) -> Result<(), Stop> {
        let request = self.context.put(self.at("")).json(metadata);
        request.send().await?.expect("4.3", &[201]).map(drop)
    }

    /// Its metadata.
    pub(super) async fn metadata(&self) -> Result<Value, Stop> {
        let reply = self.context.get(self.at("")).send().await?;
        let reply = reply.expect("4.4", &[200])?;
        let metadata = reply.json("4.4")?;
        reply.check("4.4", "a metadata object", metadata.is_object())?;
        Ok(metadata)
    }

    /// Changes its metadata: `operations` is a JSON patch.
    pub(super) fn patch(&self, operations: &Value) -> Request {
        self.context
            .patch(self.at(""), operations)
            .header("content-type", PATCH_MEDIA_TYPE)
    }

    /// A post of `messages`, a JSON array.
    pub(super) fn posting(&self, messages: &Value) -> Request {
        let body = json!({ "messages": messages });
        self.context.post(self.at("/messages"), &body)
    }

    /// A post of whatever text.
    pub(super) fn posting_text(&self, text: impl Into<bytes::Bytes>) -> Request {
        let nothing = self.context.post(self.at("/messages"), &Value::Null);
        nothing.body(text)
    }

    /// Posts `messages`, which must be accepted.
    pub(super) async fn post(&self, messages: &Value) -> Result<Posted, Stop> {
        let reply = self.posting(messages).send().await?;
        let posted = Posted::read(reply)?;
        let wanted = messages.as_array().map_or(0, Vec::len);
        let expected = format!("{wanted} entries in `resources`");
        posted
            .reply
            .check("5.2", &expected, posted.ids.len() == wanted)?;
        Ok(posted)
    }

    /// Posts one message with body 0 that lives for `ttl` seconds.
    pub(super) async fn post_one(&self, ttl: u64) -> Result<(String, Sent), Stop> {
        let posted = self.post(&numbered(0..1, ttl)).await?;
        let sent = posted.reply.sent;
        match posted.ids.into_iter().next() {
            Some(id) => Ok((id, sent)),
            None => Err(posted.reply.refuse("5.2", "one entry in `resources`")),
        }
    }

    /// `GET` of one message.
    pub(super) fn getting(&self, id: &str) -> Request {
        self.context.get(self.at(&format!("/messages/{id}")))
    }

    /// `DELETE` of one message; `query` is empty or begins with `?`.
    pub(super) fn deleting(&self, id: &str, query: &str) -> Request {
        self.context
            .delete(self.at(&format!("/messages/{id}{query}")))
    }

    /// One message that must be there.
    pub(super) async fn get(&self, id: &str) -> Result<Message, Stop> {
        let reply = self.getting(id).send().await?.expect("5.6", &[200])?;
        message(&reply, "5.1", &reply.json("5.6")?)
    }

    /// Demands that no read, claim or pop returns message `id`: `clause` says why.
    pub(super) async fn expect_gone(&self, clause: &str, id: &str) -> Result<(), Stop> {
        self.getting(id).send().await?.expect(clause, &[404])?;
        let everything = self.list(EVERYTHING).await?;
        let listed = everything.messages.iter().any(|message| message.id == id);
        let expected = format!("{id} is not listed");
        everything.reply.check(clause, &expected, !listed)?;
        if !self.context.offers(Capability::Bulk) {
            return Ok(());
        }
        let request = self.context.get(self.at(&format!("/messages?ids={id}")));
        request.send().await?.expect(clause, &[404]).map(drop)
    }

    /// One page; `query` is empty or begins with `?`.
    pub(super) async fn list(&self, query: &str) -> Result<Page, Stop> {
        let request = self.context.get(self.at(&format!("/messages{query}")));
        Page::read(request.send().await?)
    }

    /// The page that `next` leads to.
    pub(super) async fn follow(&self, page: &Page) -> Result<Page, Stop> {
        match &page.next {
            Some(next) => Page::read(self.context.get(next.clone()).send().await?),
            None => Err(page.reply.refuse("1.9", "a next link on a non-empty page")),
        }
    }

    /// What `query` lists, where `wanted` messages are expected: one page and, if that is short, all that
    /// its links lead to. Contract 5.4: a page may be short, and is empty only at the end.
    pub(super) async fn whole(&self, query: &str, wanted: usize) -> Result<Page, Stop> {
        let page = self.list(query).await?;
        self.read_on(page, wanted).await
    }

    /// What lies behind `page`, where `wanted` messages are expected; as [`Queue::whole`].
    pub(super) async fn rest(&self, page: &Page, wanted: usize) -> Result<Page, Stop> {
        let next = self.follow(page).await?;
        self.read_on(next, wanted).await
    }

    /// The first `count` messages that `query` lists, none more, and so a position behind them: one page of that
    /// many or, where pages are short, several.
    pub(super) async fn first(&self, query: &str, count: usize) -> Result<Page, Stop> {
        let mut page = self.list(&format!("?{query}&limit={count}")).await?;
        while (1..count).contains(&page.messages.len()) {
            let missing = count - page.messages.len();
            let next = match &page.next {
                Some(next) => with_limit(next, missing),
                None => return Err(page.reply.refuse("1.9", "a next link on a non-empty page")),
            };
            let next = Page::read(self.context.get(next).send().await?)?;
            if next.messages.is_empty() {
                break;
            }
            page = page.and(next)?;
        }
        Ok(page)
    }

    /// `page` itself if it has `wanted` messages; else all from there to the end.
    async fn read_on(&self, mut page: Page, wanted: usize) -> Result<Page, Stop> {
        if page.messages.is_empty() || page.messages.len() >= wanted {
            return Ok(page);
        }
        for _ in 0..PAGES_MAX {
            let next = self.follow(&page).await?;
            if next.messages.is_empty() {
                return Ok(page);
            }
            page = page.and(next)?;
        }
        let expected = format!("an empty page after at most {PAGES_MAX} pages");
        Err(page.reply.refuse("1.9", &expected))
    }

    /// All messages from the page that `query` asks for to the end.
    pub(super) async fn pass(&self, query: &str) -> Result<Vec<Message>, Stop> {
        let mut page = self.list(query).await?;
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            if page.messages.is_empty() {
                return Ok(all);
            }
            let again = |message: &Message| all.iter().any(|seen: &Message| seen.id == message.id);
            let repeats = page.messages.iter().any(again);
            page.reply
                .check("1.9", "no message that an earlier page showed", !repeats)?;
            let next = self.follow(&page).await?;
            all.append(&mut page.messages);
            page = next;
        }
        let expected = format!("an empty page after at most {PAGES_MAX} pages");
        Err(page.reply.refuse("1.9", &expected))
    }

    /// Its statistics, once `holds` says that they are what `expected` has in words. They may follow what they
    /// count (G19), but follow they must.
    pub(super) async fn expect_stats(
        &self,
        clause: &str,
        expected: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Reply, Stop> {
        self.expect_stats_by(Instant::NEVER, (clause, expected), holds)
            .await
    }

    /// As [`Queue::expect_stats`], where they are certain to stay like that until `deadline` alone.
    pub(super) async fn expect_stats_by(
        &self,
        deadline: Instant,
        (clause, expected): (&str, &str),
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Reply, Stop> {
        let context = &self.context;
        let latest = context.now().plus(context.happens_within());
        let latest = latest.min(shortly_before(deadline));
        let mut pause = STATS_POLL_FIRST;
        loop {
            let reply = context.get(self.at("/stats")).send().await?;
            still_before(context, reply.sent, deadline)?;
            let reply = reply.expect("4.7", &[200])?;
            if holds(&reply.json("4.7")?["messages"]) {
                return Ok(reply);
            }
            if reply.sent.invoked_at >= latest {
                return Err(reply.refuse(clause, expected));
            }
            context
                .sleep_until(context.now().plus(pause).min(latest))
                .await;
            pause = (pause * 2).min(STATS_POLL_LAST);
        }
    }

    /// A request for a claim with these terms, `{"ttl": …, "grace": …}`.
    pub(super) fn claiming(&self, terms: &Value, limit: u64) -> Request {
        let path = self.at(&format!("/claims?limit={limit}"));
        self.context.post(path, terms)
    }

    /// A claim that must be granted.
    pub(super) async fn claim(&self, ttl: u64, limit: u64) -> Result<Claim, Stop> {
        let terms = json!({ "ttl": ttl, "grace": 60 });
        Claim::read(self.claiming(&terms, limit).send().await?)
    }

    /// Demands that there is nothing to claim. This proves something on a quiet queue only.
    pub(super) async fn expect_nothing_to_claim(&self, clause: &str) -> Result<(), Stop> {
        let terms = json!({ "ttl": 60, "grace": 60 });
        let reply = self.claiming(&terms, 20).send().await?;
        reply.expect(clause, &[204]).map(drop)
    }

    /// Removes and returns up to `count` messages.
    pub(super) async fn pop(&self, count: u64) -> Result<(Vec<Message>, Reply), Stop> {
        let path = self.at(&format!("/messages?pop={count}"));
        let reply = self.context.delete(path).send().await?;
        let reply = reply.expect("5.8", &[200])?;
        Ok((messages(&reply, "5.8")?, reply))
    }

    /// Waits until message `id`, which got a lifetime of `secs` by `sent`, is gone; at most the
    /// documented lag.
    pub(super) async fn await_gone(&self, id: &str, sent: Sent, secs: u64) -> Result<(), Stop> {
        let context = &self.context;
        let latest = surely_gone(context, sent, secs);
        let mut look_at = surely_after(context, sent, secs);
        loop {
            context.sleep_until(look_at).await;
            let reply = self.getting(id).send().await?;
            if reply.sent.invoked_at >= latest {
                return reply.expect("5.10", &[404]).map(drop);
            }
            if reply.expect("5.10", &[200, 404])?.status() == StatusCode::NOT_FOUND {
                return Ok(());
            }
            look_at = context.now().plus(POLL_EVERY).min(latest);
        }
    }
}

/// A listing of all messages but claimed ones. Most cases claim nothing, and look no further than
/// they must: what is wrong with `include_claimed` is for the cases about it to say.
pub(super) const EVERYTHING: &str = "?limit=20&echo=true&include_delayed=true";

impl Posted {
    fn read(reply: Reply) -> Result<Self, Stop> {
        let reply = reply.expect("5.2", &[201])?;
        let document = reply.json("5.2")?;
        let resources = document["resources"].as_array();
        let ids = resources.and_then(|paths| {
            let id = |path: &Value| Some(usable_segment(legal_path(path.as_str()?)?));
            paths.iter().map(id).collect::<Option<Vec<String>>>()
        });
        match ids {
            Some(ids) => Ok(Self { ids, reply }),
            None => Err(reply.refuse("5.2", "`resources`: an array of relative paths")),
        }
    }
}

impl Page {
    /// A page; 204 counts as an empty one, for the documents say so and the code does not.
    pub(super) fn read(reply: Reply) -> Result<Self, Stop> {
        let reply = reply.expect("5.4", &[200, 204])?;
        if reply.status() == StatusCode::NO_CONTENT {
            let messages = Vec::new();
            return Ok(Self {
                messages,
                next: None,
                reply,
            });
        }
        Ok(Self {
            messages: messages(&reply, "5.4")?,
            next: next_link(&reply)?,
            reply,
        })
    }

    /// Both as if they were one: asked for when the first was, and answered when `next` was.
    fn and(mut self, mut next: Self) -> Result<Self, Stop> {
        let again = |message: &Message| self.messages.iter().any(|seen| seen.id == message.id);
        let repeats = next.messages.iter().any(again);
        next.reply
            .check("1.9", "no message that an earlier page showed", !repeats)?;
        self.messages.append(&mut next.messages);
        next.reply.sent.invoked_at = self.reply.sent.invoked_at;
        Ok(Self {
            messages: self.messages,
            ..next
        })
    }
}

/// The page behind a next link, with another limit. The rest of the link is the server's own.
fn with_limit(next: &str, limit: usize) -> String {
    let (path, query) = next.split_once('?').unwrap_or((next, ""));
    let others = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        name != "limit" && !name.is_empty()
    });
    let others: Vec<&str> = others.collect();
    format!("{path}?{}&limit={limit}", others.join("&"))
}

/// Whether statistics count so many claimed and free messages.
pub(super) fn counts(stats: &Value, (claimed, free): (u64, u64)) -> bool {
    stats["claimed"] == claimed && stats["free"] == free && stats["total"] == claimed + free
}

impl Claim {
    pub(super) fn read(reply: Reply) -> Result<Self, Stop> {
        let reply = reply.expect("6.1", &[201])?;
        let messages = messages(&reply, "6.1")?;
        let Some(path) = legal_path(reply.header("location")).map(str::to_owned) else {
            return Err(reply.refuse("6.1", "`Location`: the claim's relative path"));
        };
        let id = usable_segment(&path);
        Ok(Self {
            path,
            id,
            messages,
            reply,
        })
    }

    /// The claimed message, if it is but one.
    pub(super) fn only(&self) -> Result<&Message, Stop> {
        match self.messages.as_slice() {
            [message] => Ok(message),
            _ => Err(self.reply.refuse("6.1", "one claimed message")),
        }
    }
}

/// Where the next link of a collection leads, if it has one.
pub(super) fn next_link(reply: &Reply) -> Result<Option<String>, Stop> {
    let document = reply.json("1.9")?;
    let Some(links) = document["links"].as_array() else {
        return Err(reply.refuse("1.9", "`links`: an array"));
    };
    let Some(next) = links.iter().find(|link| link["rel"] == "next") else {
        return Ok(None);
    };
    match next["href"].as_str().and_then(legal_path) {
        Some(path) => Ok(Some(path.to_owned())),
        None => Err(reply.refuse("1.9", "a relative path as `href` of the next link")),
    }
}

/// The members of `messages`.
pub(super) fn messages(reply: &Reply, clause: &str) -> Result<Vec<Message>, Stop> {
    let document = reply.json(clause)?;
    let Some(entries) = document["messages"].as_array() else {
        return Err(reply.refuse(clause, "`messages`: an array"));
    };
    entries
        .iter()
        .map(|entry| message(reply, clause, entry))
        .collect()
}

fn message(reply: &Reply, clause: &str, document: &Value) -> Result<Message, Stop> {
    let href = document["href"].as_str().unwrap_or_default();
    let href_is_sane = href.is_empty() || legal_path(href).is_some();
    let (id, age) = (document["id"].as_str(), document["age"].as_f64());
    match (id, age, document.get("body")) {
        (Some(id), Some(age), Some(body)) if href_is_sane && is_legal_segment(id) => Ok(Message {
            id: id.to_owned(),
            href: href.to_owned(),
            ttl: document["ttl"].clone(),
            age,
            body: body.clone(),
        }),
        _ => Err(reply.refuse(clause, "messages with `id`, `age` and `body`")),
    }
}

/// `text` if a request can be sent there.
pub(super) fn legal_path(text: &str) -> Option<&str> {
    let legal = text.starts_with('/') && text.parse::<http::Uri>().is_ok();
    legal.then_some(text)
}

fn is_legal_segment(id: &str) -> bool {
    !id.is_empty() && !id.contains(['/', '?', '#']) && format!("/{id}").parse::<http::Uri>().is_ok()
}

/// Messages whose bodies are these numbers.
pub(super) fn numbered(bodies: std::ops::Range<u64>, ttl: u64) -> Value {
    bodies
        .map(|body| json!({ "ttl": ttl, "body": body }))
        .collect()
}

/// The identifiers of `messages`.
pub(super) fn ids(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| &*message.id).collect()
}

/// The bodies of `messages`.
pub(super) fn bodies(messages: &[Message]) -> Value {
    messages
        .iter()
        .map(|message| message.body.clone())
        .collect()
}

/// Sends each of `requests` and demands one of `statuses`.
pub(super) async fn expect_each(
    clause: &str,
    statuses: &[u16],
    requests: Vec<Request>,
) -> Result<(), Stop> {
    for request in requests {
        request.send().await?.expect(clause, statuses)?;
    }
    Ok(())
}

/// The last instant at which what `sent` began, and lasts `secs`, surely still holds.
pub(super) fn surely_until(context: &Context, sent: Sent, secs: u64) -> Instant {
    let end = sent.invoked_at.plus(Duration::from_secs(secs));
    end.minus(context.slack())
}

/// The first instant at which what `sent` began, and lasts `secs`, is surely over.
pub(super) fn surely_after(context: &Context, sent: Sent, secs: u64) -> Instant {
    let end = sent.answered_at.plus(Duration::from_secs(secs));
    end.plus(context.slack())
}

/// The first instant at which a message that lives for `secs` since `sent` must be gone.
pub(super) fn surely_gone(context: &Context, sent: Sent, secs: u64) -> Instant {
    surely_after(context, sent, secs + EXPIRY_LAG_SECS)
}

/// When a case asks whether something still holds that ends at `deadline`.
pub(super) fn shortly_before(deadline: Instant) -> Instant {
    deadline.minus(MARGIN)
}

/// Waits until shortly before `deadline`.
pub(super) async fn sleep_until_shortly_before(context: &Context, deadline: Instant) {
    context.sleep_until(shortly_before(deadline)).await;
}

/// Gives up without a verdict unless `sent` was answered by `deadline`: later, nothing is certain.
pub(super) fn still_before(context: &Context, sent: Sent, deadline: Instant) -> Result<(), Stop> {
    if sent.answered_at <= deadline {
        return Ok(());
    }
    let why = format!(
        "an answer came at {}, needed by {deadline}",
        sent.answered_at
    );
    Err(unknown(context, why))
}

/// An end without a verdict.
pub(super) fn unknown(context: &Context, why: impl Into<String>) -> Stop {
    Stop::Unknown {
        why: why.into(),
        exchanges: context.exchanges(),
    }
}
