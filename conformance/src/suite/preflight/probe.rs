//! How a target is configured, as far as a look from outside tells.

use http::Method;
use serde_json::{Value, json};

use super::Found;
use super::look::{Look, QUEUE, json as body};
use crate::suite::Capability;
use crate::target::Description;

/// Relations of the home document, and what they stand for.
const RELATIONS: [(&str, Capability); 5] = [
    ("rel/queue_stats", Capability::Stats),
    ("rel/queue_purge", Capability::Purge),
    ("rel/queues", Capability::QueueLists),
    ("rel/messages_delete", Capability::Bulk),
    ("rel/subscriptions_get", Capability::Subscriptions),
];

/// Which headers it wants, and of which form.
pub(super) async fn headers(look: &Look, found: &mut Found) {
    let path = format!("{QUEUE}/messages");
    let get = || look.ask(Method::GET, &path);
    let mut words = Vec::new();
    for (header, name) in [("client-id", "Client-ID"), ("x-project-id", "X-Project-ID")] {
        if let Ok(answer) = get().without(header).send().await {
            let wants = answer.status.is_client_error();
            words.push(format!(
                "{name} {}",
                if wants {
                    "is wanted"
                } else {
                    "may be left out"
                }
            ));
        }
    }
    if let Ok(answer) = get().header("client-id", "a-client-of-mine").send().await {
        let any = answer.status.is_success();
        found.probed.insert(Capability::FreeFormClients, any);
        found.probed.insert(Capability::UuidClients, !any);
        let form = if any { "any text" } else { "a UUID" };
        words.push(format!("a client is {form}"));
    }
    if !words.is_empty() {
        found.lines.push(format!("headers: {}", words.join(", ")));
    }
}

/// Which limits it has.
pub(super) async fn limits(look: &Look, found: &mut Found) {
    let mut words = Vec::new();
    if let Ok(answer) = look.ask(Method::GET, QUEUE).send().await {
        let metadata = body(&answer);
        let number = |name: &str| metadata[name].as_i64();
        words.extend(number("_max_messages_post_size").map(|size| format!("{size} bytes a post")));
        words.extend(
            number("_default_message_ttl").map(|ttl| format!("a ttl of {ttl} s by default")),
        );
    }
    let page = |limit: u32| format!("{QUEUE}/messages?limit={limit}");
    let accepts = (look.status(&page(20)).await, look.status(&page(21)).await);
    match accepts {
        (Some(200 | 204), Some(400)) => words.push("pages of at most 20".to_owned()),
        (Some(200 | 204), Some(_)) => words.push(
            "pages of more than 20, where cases about limits expect 20 (max_messages_per_page)"
                .to_owned(),
        ),
        (Some(_), _) => words.push(
            "pages of less than 20, which many cases ask for: set max_messages_per_page to 20"
                .to_owned(),
        ),
        (None, _) => {}
    }
    if !words.is_empty() {
        found.lines.push(format!("limits: {}", words.join(", ")));
    }
}

/// How it is configured.
pub(super) async fn settings(look: &Look, found: &mut Found) {
    let share = look.ask(Method::POST, &format!("{QUEUE}/share"));
    let shared = share.json(&json!({})).send().await;
    note(
        found,
        Capability::PreSigned,
        shared.ok().map(|answer| answer.status.is_success()),
    );
    // With no middleware in front, the client says itself which roles it has.
    for (path, capability) in [
        ("/v2/health", Capability::Admin),
        ("/v2/pools", Capability::Pools),
    ] {
        let answer = look
            .ask(Method::GET, path)
            .header("x-roles", "admin")
            .send()
            .await;
        let there = answer.ok().map(|answer| answer.status.is_success());
        note(found, capability, there);
    }
    if let Some(path) = look.post().await {
        let shown = look.ask(Method::GET, &path).send().await.ok();
        let checksum = shown.map(|answer| body(&answer).get("checksum").is_some());
        note(found, Capability::Checksums, checksum);
        let id = path.rsplit('/').next().unwrap_or_default();
        let delete = look.ask(Method::DELETE, &format!("{QUEUE}/messages?ids={id}"));
        if let Ok(answer) = delete.send().await {
            let needs = answer.status.as_u16() == 400;
            note(found, Capability::BulkDeleteNeedsClaims, Some(needs));
            if needs {
                note(found, Capability::BulkDeleteIgnoresClaims, Some(false));
            }
        }
    }
    let there = found.probed.iter().filter(|(_, there)| **there);
    let words: Vec<&str> = there.map(|(capability, _)| capability.word()).collect();
    if !words.is_empty() {
        found
            .lines
            .push(format!("configured: {}", words.join(", ")));
    }
}

fn note(found: &mut Found, capability: Capability, there: Option<bool>) {
    found.probed.extend(there.map(|there| (capability, there)));
}

/// Which promises of the profile its own home document does not name. That excuses nothing, but a user
/// whose implementation is meant to be smaller should say so.
pub(super) async fn relations(look: &Look, target: &Description, found: &mut Found) {
    let Ok(answer) = look.ask(Method::GET, "/v2/").send().await else {
        return;
    };
    let document = body(&answer);
    let Some(resources) = document.get("resources").and_then(Value::as_object) else {
        return;
    };
    let promises = target.profile.promises();
    let missing = RELATIONS.iter().filter(|(relation, capability)| {
        let promised = promises.contains(capability) && !target.lacks.contains(capability);
        promised && !resources.contains_key(*relation)
    });
    let words: Vec<String> = missing
        .map(|(_, capability)| format!("\"{capability}\""))
        .collect();
    if !words.is_empty() {
        let lacks = words.join(", ");
        found.lines.push(format!(
            "its home document leaves out what profile {} promises; if it is not meant to have \
             that, say `lacks = [{lacks}]` in a target file, or choose --profile core",
            target.profile
        ));
    }
}
