//! Responses: statuses, headers and documents.

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, LOCATION, VARY};
use http::{HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::broker::attributes::shown;
use crate::broker::{
    BrokerError, CatalogueListing, ClaimId, ClaimView, FlavorOutput, JsonText, Limits, MessageId,
    MessageListing, MessageView, Output, PoolOutput, QueueListing, QueueName, QueueView, Stats,
    StatsMessage, SubscriptionOutput, Uuid,
};

use super::refusal::{Failure, Refusal};
use super::settings::Settings;
use super::share::Share;
use super::subscriptions::{self, SubscriptionDocument, SubscriptionPage};
use super::{Reply, calendar, checksum, flavors, home, pools};

/// Longest `Location` of a post; beyond it the header is left out, for common clients refuse
/// headers that are much longer.
const LOCATION_BYTES_MAX: usize = 8_192;
pub(crate) const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub(crate) fn response(reply: &Reply, settings: &Settings, request: Uuid) -> Response<Bytes> {
    let mut response = match reply {
        Reply::Output(output) => of_output(output, settings),
        Reply::Failure(failure) => of_failure(failure),
        Reply::Health(health) => document(health.status(), &health.document()),
        Reply::Shared(share) => document(StatusCode::OK, &share_document(share)),
        Reply::Versions => document(StatusCode::MULTIPLE_CHOICES, &home::versions()),
        Reply::Home => {
            let mut response = document(StatusCode::OK, &home::home(settings));
            let headers = response.headers_mut();
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/json-home"),
            );
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=86400"));
            response
        }
        Reply::Options { allow } => {
            let mut response = empty(StatusCode::OK);
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(allow));
            response
        }
    };
    let request = header_value(&format!("req-{request}"));
    response
        .headers_mut()
        .insert("x-openstack-request-id", request);
    response
}

fn of_failure(failure: &Failure) -> Response<Bytes> {
    let (status, title) = failure.status();
    let error = json!({"title": title, "description": failure.description()});
    let mut response = match failure {
        // Whoever does not accept JSON gets none.
        Failure::Refusal(Refusal::NotAcceptable) => empty(status),
        Failure::Refusal(_) | Failure::Broker(_) | Failure::Broken => document(status, &error),
    };
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_name(ACCEPT));
    if let Failure::Refusal(Refusal::MethodNotAllowed { allow }) = failure {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Failure::Broker(BrokerError::SubscriberIsSubscribed { queue }) = failure {
        headers.insert(LOCATION, header_value(&subscriptions::path(queue)));
    }
    if let Failure::Refusal(Refusal::PatchMediaType { media_type }) = failure {
        headers.insert("accept-patch", HeaderValue::from_static(media_type));
    }
    response
}

fn of_output(output: &Output, settings: &Settings) -> Response<Bytes> {
    let limits = &settings.limits;
    match output {
        Output::QueueCreated { queue } => located(empty(StatusCode::CREATED), &queue_path(queue)),
        Output::QueueExists { queue } => located(empty(StatusCode::NO_CONTENT), &queue_path(queue)),
        Output::QueueMetadata { metadata } => document(StatusCode::OK, &shown(metadata, limits)),
        Output::QueuePage {
            listing,
            queues,
            count,
        } => document(
            StatusCode::OK,
            &queue_page((listing, limits), queues, *count),
        ),
        Output::QueueStats { queue, stats, .. } => document(
            StatusCode::OK,
            &json!({"messages": stats_document(queue, stats)}),
        ),
        Output::MessagesPosted { queue, ids } => posted(queue, ids),
        Output::MessagePage {
            queue,
            listing,
            messages,
            marker,
        } => {
            let links = marker
                .iter()
                .map(|marker| next_messages(queue, listing, marker));
            let links = links.collect();
            document(
                StatusCode::OK,
                &MessagePage {
                    messages: documents((queue, settings), messages),
                    links,
                },
            )
        }
        Output::Messages { queue, messages } => document(
            StatusCode::OK,
            &Messages {
                messages: documents((queue, settings), messages),
            },
        ),
        Output::Message { queue, message } => document(
            StatusCode::OK,
            &MessageDocument::new((queue, settings), message),
        ),
        Output::MessagesPopped { messages } => {
            let messages = messages.iter().map(PoppedDocument::new).collect();
            document(StatusCode::OK, &Popped { messages })
        }
        Output::MessagesClaimed {
            queue,
            claim,
            messages,
        } => claimed((queue, settings), *claim, messages),
        Output::Claim { queue, claim } => document(
            StatusCode::OK,
            &ClaimDocument::new((queue, settings), claim),
        ),
        Output::Subscriptions { queue, output } => of_subscriptions(queue, output),
        Output::Pools(output) => of_pools(output),
        Output::Flavors(output) => of_flavors(output),
        Output::Pong
        | Output::QueueDeleted
        | Output::QueuePurged
        | Output::MessagesDeleted
        | Output::NothingClaimed
        | Output::ClaimRenewed
        | Output::ClaimReleased => empty(StatusCode::NO_CONTENT),
    }
}

fn claimed(
    (queue, settings): Context<'_>,
    claim: ClaimId,
    messages: &[MessageView],
) -> Response<Bytes> {
    let messages = documents((queue, settings), messages);
    let response = document(StatusCode::CREATED, &Messages { messages });
    located(response, &format!("{}/claims/{claim}", queue_path(queue)))
}

fn of_subscriptions(queue: &QueueName, output: &SubscriptionOutput) -> Response<Bytes> {
    let path = subscriptions::path(queue);
    match output {
        SubscriptionOutput::Page(listing, subscriptions) => document(
            StatusCode::OK,
            &SubscriptionPage::new(queue, listing, subscriptions),
        ),
        SubscriptionOutput::Created(id) => {
            let created = json!({"subscription_id": id.to_string()});
            located(document(StatusCode::CREATED, &created), &path)
        }
        SubscriptionOutput::One(subscription) => {
            let shown = SubscriptionDocument::new(queue, subscription);
            document(StatusCode::OK, &shown)
        }
        SubscriptionOutput::Updated(id) => {
            located(empty(StatusCode::NO_CONTENT), &format!("{path}/{id}"))
        }
        SubscriptionOutput::Deleted => empty(StatusCode::NO_CONTENT),
    }
}

fn of_pools(output: &PoolOutput) -> Response<Bytes> {
    match output {
        PoolOutput::Page(listing, found) => {
            let response = document(StatusCode::OK, &pools::page(listing, found));
            found_at(response, pools::PATH, listing)
        }
        PoolOutput::Put(name) => located(empty(StatusCode::CREATED), &pools::path(name)),
        PoolOutput::One(pool) | PoolOutput::Updated(pool) => {
            document(StatusCode::OK, &pools::document(pool))
        }
        PoolOutput::Deleted => empty(StatusCode::NO_CONTENT),
        PoolOutput::Drained { moved, left } => {
            document(StatusCode::OK, &json!({"moved": moved, "left": left}))
        }
    }
}

fn of_flavors(output: &FlavorOutput) -> Response<Bytes> {
    match output {
        FlavorOutput::Page(listing, found) => {
            let response = document(StatusCode::OK, &flavors::page(listing, found));
            found_at(response, flavors::PATH, listing)
        }
        FlavorOutput::Put(name) => located(empty(StatusCode::CREATED), &flavors::path(name)),
        FlavorOutput::One(flavor) => document(StatusCode::OK, &flavors::document(flavor, true)),
        FlavorOutput::Deleted => empty(StatusCode::NO_CONTENT),
    }
}

fn share_document(share: &Share) -> Value {
    json!({
        "paths": share.grant.paths,
        "methods": share.grant.methods,
        "project": share.grant.project.0.as_ref(),
        "expires": calendar::date_time(share.grant.expires_at_secs),
        "signature": share.signature,
    })
}

fn posted(queue: &QueueName, ids: &[MessageId]) -> Response<Bytes> {
    let path = format!("{}/messages", queue_path(queue));
    let resources: Vec<String> = ids.iter().map(|id| format!("{path}/{id}")).collect();
    let response = document(StatusCode::CREATED, &json!({"resources": resources}));
    let ids: Vec<String> = ids.iter().map(MessageId::to_string).collect();
    let location = format!("{path}?ids={}", ids.join(","));
    if location.len() > LOCATION_BYTES_MAX {
        response
    } else {
        located(response, &location)
    }
}

fn queue_page(
    (listing, limits): (&QueueListing, &Limits),
    queues: &[QueueView],
    count: Option<usize>,
) -> Value {
    let documents: Vec<Value> = queues
        .iter()
        .map(|queue| {
            let mut entry = json!({"name": queue.name.as_str(), "href": queue_path(&queue.name)});
            if let Some(metadata) = &queue.metadata {
                entry["metadata"] = json!(shown(metadata, limits));
            }
            entry
        })
        .collect();
    let links: Vec<Link> = queues
        .last()
        .map(|last| next_queues(listing, &last.name))
        .into_iter()
        .collect();
    let mut page = json!({"queues": documents, "links": links});
    // Zaqar v2, observed: a count of zero is left out.
    if let Some(count) = count.filter(|&count| count > 0) {
        page["count"] = json!(count);
    }
    page
}

fn next_queues(listing: &QueueListing, last: &QueueName) -> Link {
    let mut query = vec![("limit", listing.limit.to_string())];
    query.extend(listing.detailed.then(|| ("detailed", "true".to_owned())));
    query.extend(
        listing
            .with_count
            .then(|| ("with_count", "true".to_owned())),
    );
    query.extend(listing.name.iter().map(|name| ("name", name.clone())));
    query.extend(
        listing
            .filters
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    query.push(("marker", last.as_str().to_owned()));
    Link::next("/v2/queues", &query)
}

fn next_messages(queue: &QueueName, listing: &MessageListing, marker: &str) -> Link {
    let mut query = vec![("limit", listing.limit.to_string())];
    for (name, set) in [
        ("echo", listing.echo),
        ("include_claimed", listing.include_claimed),
        ("include_delayed", listing.include_delayed),
    ] {
        query.extend(set.then(|| (name, "true".to_owned())));
    }
    query.push(("marker", marker.to_owned()));
    Link::next(&format!("{}/messages", queue_path(queue)), &query)
}

pub(crate) fn stats_document(queue: &QueueName, stats: &Stats) -> Value {
    let mut document = json!({
        "claimed": stats.claimed,
        "free": stats.free,
        "total": stats.claimed + stats.free,
    });
    let entry = |message: &StatsMessage| {
        json!({
            "age": message.age_secs,
            "created": format!("{}Z", calendar::date_time(message.posted_at.as_secs())),
            "href": format!("{}/messages/{}", queue_path(queue), message.id),
        })
    };
    if let Some((oldest, newest)) = &stats.ends {
        document["oldest"] = entry(oldest);
        document["newest"] = entry(newest);
    }
    document
}

pub(crate) fn queue_path(queue: &QueueName) -> String {
    format!("/v2/queues/{}", queue.as_str())
}

/// A queue, and the settings under which something in it is shown.
type Context<'a> = (&'a QueueName, &'a Settings);

fn documents<'a>(context: Context<'_>, messages: &'a [MessageView]) -> Vec<MessageDocument<'a>> {
    messages
        .iter()
        .map(|message| MessageDocument::new(context, message))
        .collect()
}

fn document(status: StatusCode, document: &impl Serialize) -> Response<Bytes> {
    let bytes = serde_json::to_vec(document).expect("invariant: our documents are JSON");
    let mut response = Response::new(Bytes::from(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

fn located(mut response: Response<Bytes>, location: &str) -> Response<Bytes> {
    response
        .headers_mut()
        .insert(LOCATION, header_value(location));
    response
}

fn found_at(
    mut response: Response<Bytes>,
    path: &str,
    listing: &CatalogueListing,
) -> Response<Bytes> {
    let location = header_value(&pools::location(path, listing));
    response.headers_mut().insert(CONTENT_LOCATION, location);
    response
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("invariant: names and ids fit a header")
}

#[derive(Serialize)]
pub(crate) struct Link {
    rel: &'static str,
    href: String,
}

impl Link {
    pub(crate) fn next(path: &str, query: &[(&str, String)]) -> Self {
        let encode = |text| utf8_percent_encode(text, QUERY);
        let pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        Self {
            rel: "next",
            href: format!("{path}?{}", pairs.join("&")),
        }
    }

    /// Where it leads.
    pub(crate) fn into_href(self) -> String {
        self.href
    }
}

#[derive(Serialize)]
struct Messages<'a> {
    messages: Vec<MessageDocument<'a>>,
}

#[derive(Serialize)]
struct MessagePage<'a> {
    messages: Vec<MessageDocument<'a>>,
    links: Vec<Link>,
}

#[derive(Serialize)]
struct MessageDocument<'a> {
    id: String,
    href: String,
    ttl: u32,
    age: u64,
    body: &'a JsonText,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

impl<'a> MessageDocument<'a> {
    fn new((queue, settings): Context<'_>, message: &'a MessageView) -> Self {
        let claim = message
            .claim
            .map(|claim| format!("?claim_id={claim}"))
            .unwrap_or_default();
        Self {
            id: message.id.to_string(),
            href: format!("{}/messages/{}{claim}", queue_path(queue), message.id),
            ttl: message.ttl_secs,
            age: message.age_secs,
            body: &message.body,
            checksum: settings.checksums.then(|| checksum::of(&message.body)),
        }
    }
}

#[derive(Serialize)]
struct Popped<'a> {
    messages: Vec<PoppedDocument<'a>>,
}

#[derive(Serialize)]
struct PoppedDocument<'a> {
    id: String,
    age: u64,
    ttl: u32,
    body: &'a JsonText,
    /// A pop is no claim.
    claim_id: Option<String>,
    claim_count: u32,
}

impl<'a> PoppedDocument<'a> {
    fn new(message: &'a MessageView) -> Self {
        Self {
            id: message.id.to_string(),
            age: message.age_secs,
            ttl: message.ttl_secs,
            body: &message.body,
            claim_id: message.claim.map(|claim| claim.to_string()),
            claim_count: message.claim_count,
        }
    }
}

#[derive(Serialize)]
struct ClaimDocument<'a> {
    age: u64,
    ttl: u32,
    messages: Vec<MessageDocument<'a>>,
    href: String,
}

impl<'a> ClaimDocument<'a> {
    fn new((queue, settings): Context<'_>, claim: &'a ClaimView) -> Self {
        Self {
            age: claim.age_secs,
            ttl: claim.ttl_secs,
            messages: documents((queue, settings), &claim.messages),
            href: format!("{}/claims/{}", queue_path(queue), claim.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_quote_what_they_carry() {
        let link = Link::next("/v2/queues", &[("a b", "x&y=é".to_owned())]);
        assert_eq!(link.href, "/v2/queues?a%20b=x%26y%3D%C3%A9");
    }
}
