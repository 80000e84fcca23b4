//! Contract 8.5: notifications that come by mail.

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::environment::Instant;
use crate::suite::capability::Capability::{
    self, Confirmation, Mail as Mails, Projects, Subscriptions,
};
use crate::suite::mail_sink::Mail;
use crate::suite::steps::{Queue, numbered, unknown};
use crate::suite::subscriber::{confirming, subscribe_with};
use crate::suite::{Case, CaseResult, Context, Stop, case};

const NEEDS: &[Capability] = &[Subscriptions, Mails];

/// Time between two looks at what has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) const CASES: &[Case] = &[
    case!(Must, "mail/message-comes-as-text", "8.5", as_text)
        .needs(NEEDS)
        .guarantee("G17")
        .waits(5)
        .since(3),
    case!(Must, "mail/subject-and-sender-are-options", "8.5", options)
        .needs(NEEDS)
        .waits(5)
        .since(3),
    case!(Must, "mail/subject-may-be-in-the-uri", "8.5", in_the_uri)
        .needs(NEEDS)
        .waits(5)
        .since(3),
    case!(Should, "mail/sender-may-have-a-name", "8.5", named_sender)
        .needs(NEEDS)
        .waits(5)
        .since(4),
    case!(Should, "mail/address-may-have-signs", "8.5", signs)
        .needs(NEEDS)
        .waits(5)
        .since(4),
    case!(Must, "mail/subscriber-is-asked-by-mail", "8.7", asked)
        .needs(&[Subscriptions, Mails, Confirmation, Projects])
        .guarantee("G16")
        .waits(10)
        .since(4),
    case!(Must, "mail/every-message-is-mailed", "8.5", every_message)
        .needs(NEEDS)
        .guarantee("G17")
        .waits(5)
        .since(3),
    case!(
        Must,
        "mail/other-queues-are-not-mailed",
        "8.5",
        other_queues
    )
    .needs(NEEDS)
    .waits(15)
    .since(3),
];

/// Somebody in the suite's relay.
struct Reader {
    context: Context,
    address: String,
}

impl Reader {
    /// One of the case's own.
    fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            address: format!("{}@example.org", context.client_id()),
        }
    }

    /// Subscribes to `queue`, with what stands behind the address in the URI.
    async fn subscribe(&self, queue: &Queue, (query, options): (&str, Value)) -> CaseResult {
        let uri = format!("mailto:{}{query}", self.address);
        let body = json!({ "subscriber": uri, "ttl": 3_600, "options": options });
        let subscribed = subscribe_with(&self.context, queue, &body).await?;
        if self.context.offers(Confirmation) {
            let confirmed = json!({ "confirmed": true });
            let confirm = confirming(&self.context, &subscribed, &confirmed);
            confirm.send().await?.expect("8.4", &[204])?;
        }
        Ok(())
    }

    /// The mails of whatever kind that came so far.
    fn received(&self) -> Result<Vec<Mail>, Stop> {
        let Some(sink) = &self.context.surroundings().mail else {
            return Err(unknown(&self.context, "there is no relay for mail"));
        };
        Ok(sink.received(&self.address))
    }

    /// Those with a message.
    fn mails(&self) -> Result<Vec<(Mail, Value)>, Stop> {
        let all = self.received()?.into_iter();
        let read = all.map(|mail| {
            let document: Value = serde_json::from_str(&mail.text).unwrap_or_default();
            (mail, document)
        });
        // Whoever is asked to confirm is asked by mail as well, in prose.
        Ok(read.filter(|(_, document)| document.is_object()).collect())
    }

    /// Waits until there are `count` mails, or it took too long.
    async fn await_mails(&self, count: usize) -> Result<Vec<(Mail, Value)>, Stop> {
        self.await_until(
            count,
            self.context.now().plus(self.context.happens_within()),
        )
        .await
    }

    async fn await_until(
        &self,
        count: usize,
        deadline: Instant,
    ) -> Result<Vec<(Mail, Value)>, Stop> {
        let enough = |mails: &Vec<_>| mails.len() >= count;
        self.look_until(enough, || self.mails(), deadline).await
    }

    /// What `look` sees as soon as it is `enough`, or at the deadline.
    async fn look_until<T>(
        &self,
        enough: impl Fn(&T) -> bool,
        look: impl Fn() -> Result<T, Stop>,
        deadline: Instant,
    ) -> Result<T, Stop> {
        loop {
            let seen = look()?;
            if enough(&seen) || self.context.now() >= deadline {
                return Ok(seen);
            }
            let next = self.context.now().plus(LOOK_EVERY).min(deadline);
            self.context.sleep_until(next).await;
        }
    }

    /// The first mail of whatever kind, which must come.
    async fn first_of_all(&self) -> Result<Mail, Stop> {
        let deadline = self.context.now().plus(self.context.happens_within());
        let look = || Ok(self.received()?.into_iter().next());
        let first = self.look_until(Option::is_some, look, deadline).await?;
        first.ok_or_else(|| {
            let expected = format!("a mail to {}", self.address);
            self.context.failure("8.7", expected, "none")
        })
    }

    /// The first mail with a message, which must come.
    async fn first(&self) -> Result<(Mail, Value), Stop> {
        let mails = self.await_mails(1).await?;
        let first = mails.into_iter().next();
        first.ok_or_else(|| {
            let expected = format!("a mail to {}", self.address);
            self.context.failure("8.5", expected, "none")
        })
    }

    /// Demands of a mail that `holds`, which `expected` says in words.
    fn check(&self, mail: &Mail, expected: &str, holds: bool) -> CaseResult {
        if holds {
            return Ok(());
        }
        Err(self.context.failure("8.5", expected, format!("{mail:?}")))
    }
}

async fn as_text(context: Context) -> CaseResult {
    let (reader, queue) = (Reader::new(&context), Queue::new(&context, "q"));
    reader.subscribe(&queue, ("", json!({}))).await?;
    let body = json!({ "text": "Grüße, ...\n.\nand more", "long": "x".repeat(2_000) });
    queue.post(&json!([{ "ttl": 300, "body": body }])).await?;
    let (mail, document) = reader.first().await?;
    let holds = document["body"] == body
        && document["ttl"] == 300
        && document["queue_name"] == "q"
        && document["Message_Type"] == "Notification";
    let expected = "a JSON text with ttl, body, queue_name and Message_Type: Notification";
    reader.check(&mail, expected, holds)?;
    let to = mail.header("to").contains(&reader.address);
    reader.check(&mail, "`To`: the subscriber", to)
}

async fn options(context: Context) -> CaseResult {
    let (reader, queue) = (Reader::new(&context), Queue::new(&context, "q"));
    let options = json!({ "subject": "A message for you", "from": "queues@example.org" });
    reader.subscribe(&queue, ("", options)).await?;
    queue.post(&numbered(0..1, 300)).await?;
    let (mail, _) = reader.first().await?;
    let subject = mail.header("subject") == "A message for you";
    reader.check(&mail, "the subject of the options", subject)?;
    let from = mail.header("from").contains("queues@example.org");
    reader.check(&mail, "the sender of the options", from)
}

async fn in_the_uri(context: Context) -> CaseResult {
    let (reader, queue) = (Reader::new(&context), Queue::new(&context, "q"));
    let query = "?subject=Hello%20there";
    reader.subscribe(&queue, (query, json!({}))).await?;
    queue.post(&numbered(0..1, 300)).await?;
    let (mail, _) = reader.first().await?;
    let subject = mail.header("subject") == "Hello there";
    reader.check(&mail, "the subject of the URI", subject)
}

async fn named_sender(context: Context) -> CaseResult {
    let (reader, queue) = (Reader::new(&context), Queue::new(&context, "q"));
    let options = json!({ "from": "The Queues <queues@example.org>" });
    reader.subscribe(&queue, ("", options)).await?;
    queue.post(&numbered(0..1, 300)).await?;
    let (mail, _) = reader.first().await?;
    let from = mail.header("from");
    let whole = from.contains("The Queues") && from.contains("<queues@example.org>");
    reader.check(&mail, "the sender of the options, with its name", whole)
}

async fn signs(context: Context) -> CaseResult {
    let reader = Reader {
        context: context.clone(),
        address: format!("first.{}+tag_1@mail-1.example.org", context.client_id()),
    };
    let queue = Queue::new(&context, "q");
    reader.subscribe(&queue, ("", json!({}))).await?;
    queue.post(&numbered(0..1, 300)).await?;
    reader.first().await.map(drop)
}

/// The parameters behind the link in a text.
fn link_in(text: &str) -> BTreeMap<String, String> {
    let marks = ['<', '>', '"', '.', ',', ')'];
    let words = text.split_whitespace().map(|word| word.trim_matches(marks));
    let mut queries = words.filter_map(|word| word.split_once('?').map(|(_, query)| query));
    let query = queries.rfind(|query| query.contains("Signature="));
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    pairs
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

/// The page that the link leads to is the operator's; what it is told is enough to confirm.
async fn asked(context: Context) -> CaseResult {
    let (reader, queue) = (Reader::new(&context), Queue::new(&context, "q"));
    let uri = format!("mailto:{}", reader.address);
    let body = json!({ "subscriber": uri, "ttl": 3_600 });
    let subscribed = subscribe_with(&context, &queue, &body).await?;
    let mail = reader.first_of_all().await?;
    let link = link_in(&mail.text);
    let told = |name: &str| link.get(name).cloned().unwrap_or_default();
    let path = format!("{}/confirm", subscribed.path);
    let whole = told("Methods") == "PUT"
        && told("Paths").ends_with(&format!("/subscriptions/{}/confirm", subscribed.id))
        && told("Project") == context.project()
        && told("Queue").ends_with('q')
        && !told("Signature").is_empty()
        && link.contains_key("Url");
    let expected = "a link with Signature, Methods, Paths, Project, Expires, Url and Queue";
    reader.check(&mail, expected, whole)?;
    let confirm = context.put(path).json(&json!({ "confirmed": true }));
    let confirm = confirm
        .header("url-signature", &told("Signature"))
        .header("url-methods", &told("Methods"))
        .header("url-paths", &told("Paths"))
        .header("url-expires", &told("Expires"))
        .header("x-project-id", &told("Project"));
    confirm.send().await?.expect("8.7", &[204])?;
    queue.post(&numbered(0..1, 300)).await?;
    reader.first().await.map(drop)
}

async fn every_message(context: Context) -> CaseResult {
    let (reader, queue) = (Reader::new(&context), Queue::new(&context, "q"));
    reader.subscribe(&queue, ("", json!({}))).await?;
    queue.post(&numbered(0..3, 300)).await?;
    queue.post(&numbered(3..5, 300)).await?;
    let mails = reader.await_mails(5).await?;
    let mut bodies: Vec<Option<u64>> = mails.iter().map(|(_, one)| one["body"].as_u64()).collect();
    bodies.sort_unstable();
    // At least once: some may come twice.
    bodies.dedup();
    if bodies == [0, 1, 2, 3, 4].map(Some) {
        return Ok(());
    }
    let expected = "a mail for each of five messages";
    Err(context.failure("8.5", expected, format!("{bodies:?}")))
}

async fn other_queues(context: Context) -> CaseResult {
    let (reader, queue) = (Reader::new(&context), Queue::new(&context, "q"));
    queue.post(&numbered(7..8, 300)).await?;
    reader.subscribe(&queue, ("", json!({}))).await?;
    Queue::new(&context, "other").post_one(300).await?;
    queue.post(&numbered(1..2, 300)).await?;
    reader.first().await?;
    let quiet = context.now().plus(context.quiet_for());
    for (mail, document) in reader.await_until(usize::MAX, quiet).await? {
        let own = document["body"] == 1 && document["queue_name"] == "q";
        reader.check(&mail, "the message that was posted since, alone", own)?;
    }
    Ok(())
}
