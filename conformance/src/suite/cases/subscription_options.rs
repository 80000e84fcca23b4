//! Contract 8.2 and 8.5: what the options of a subscription may say.

use serde_json::{Value, json};

use super::notifications;
use super::subscriptions::NOWHERE;
use crate::suite::capability::Capability::Subscriptions;
use crate::suite::steps::Queue;
use crate::suite::subscriber::{Subscriber, shown, subscribe, subscribe_with};
use crate::suite::{Case, CaseResult, Context, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "subscriptions/known-options-are-kept",
        "8.2",
        known_options
    )
    .needs(&[Subscriptions])
    .since(4),
    case!(
        Must,
        "notifications/every-mark-of-a-template-is-filled",
        "8.5",
        every_mark
    )
    .needs(notifications::NEEDS)
    .waits(60)
    .since(4),
];

/// All the members that the documents name at once, though no subscriber needs them all.
async fn known_options(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let options = json!({
        "post_headers": { "X-Colour": "red" },
        "post_data": r#"{"message": "$zaqar_message$"}"#,
        "_retry_policy": { "retries_with_no_delay": 1, "minimum_delay": 5, "maximum_delay": 30 },
        "trust_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "from": "queues@example.org",
        "subject": "A message for you",
    });
    let body = json!({ "subscriber": NOWHERE, "ttl": 600, "options": options });
    let subscribed = subscribe_with(&context, &queue, &body).await?;
    let same = shown(&context, &subscribed).await?["options"] == options;
    subscribed
        .reply
        .check("8.2", "the options as they were given", same)
}

async fn every_mark(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscriber = Subscriber::new(&context, "s")?;
    let mark = r#""$zaqar_message$""#;
    let template = format!(r#"{{"all": [{mark}, {mark}, [{mark}]], "last": {mark}}}"#);
    let options = json!({ "post_data": template });
    subscribe(&context, &queue, (&subscriber, options)).await?;
    queue.post(&json!([{ "ttl": 300, "body": "x" }])).await?;
    let filled = |subscriber: &Subscriber| {
        let is_message = |document: &Value| {
            document["body"] == "x" && document["Message_Type"] == "Notification"
        };
        subscriber.messages().iter().any(|notified| {
            let document = &notified.document;
            let marks = [
                &document["all"][0],
                &document["all"][1],
                &document["all"][2][0],
                &document["last"],
            ];
            marks.into_iter().all(is_message)
        })
    };
    if subscriber.until(filled).await {
        return Ok(());
    }
    let expected = "the template with the message in the place of each of its marks";
    let came = format!("{:?}", subscriber.received());
    Err(context.failure("8.5", expected, came))
}
