//! What goes one step beyond that which a clause leaves open: flaws, and the cases that must find them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use nanshe_conformance::environment::BoxFuture;
use serde_json::{Value, json};

use super::place::Place;
use super::{Around, Reference, Told};

/// One flaw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Each page hides the last message that it passes.
    PagesHide,
    /// Each page has one message more than it is asked for.
    PagesAreLong,
    /// The counts never move.
    CountsStandStill,
    /// Nothing is purged, be it claimed or not.
    PurgesNothing,
    /// The link to the next page forgets the filters by metadata.
    LinksForgetFilters,
    /// The subscriptions of a deleted queue are unknown one by one, and listed all the same.
    SubscriptionsAreHalfGone,
    /// With a slash behind it a queue is the list of queues.
    SlashLeadsElsewhere,
    /// A message whose delay is refused is stored.
    RefusedDelaysAreStored,
    /// Subscriptions are listed from the last to the first.
    SubscriptionsAreReversed,
}

/// All of them, each with the cases that find it.
pub(super) const FLAWS: [(Flaw, &[&str]); 9] = [
    (
        Flaw::PagesHide,
        &[
            "listing/next-link-keeps-parameters",
            "listing/oldest-come-first",
            "listing/marker-outlives-its-popped-message",
            "messages/bodies-round-trip",
        ],
    ),
    (
        Flaw::PagesAreLong,
        &[
            "listing/limit-is-1-to-20",
            "listing/page-has-ten-by-default",
            "listing/next-link-keeps-parameters",
        ],
    ),
    (
        Flaw::CountsStandStill,
        &[
            "queues/stats-count-free-and-claimed",
            "queues/stats-show-oldest-and-newest",
            "queues/stats-follow-a-whole-life",
            "queues/stats-tell-many-messages-of-all-kinds-apart",
            "lifetimes/stats-forget-expired-messages",
        ],
    ),
    (
        Flaw::PurgesNothing,
        &[
            "queues/purge-removes-claimed-messages",
            "queues/purge-removes-messages",
        ],
    ),
    (
        Flaw::LinksForgetFilters,
        &["queues/next-link-keeps-the-filters"],
    ),
    (
        Flaw::SubscriptionsAreHalfGone,
        &["subscriptions/survives-its-queue"],
    ),
    (
        Flaw::SlashLeadsElsewhere,
        &["root/trailing-slash-is-another-path"],
    ),
    (
        Flaw::RefusedDelaysAreStored,
        &[
            "delays/delay-needs-a-delay-queue",
            "delays/default-of-zero-makes-no-delay-queue",
        ],
    ),
    (
        Flaw::SubscriptionsAreReversed,
        &["subscriptions/list-is-ordered-by-id"],
    ),
];

/// The flaw of that number.
#[derive(Default)]
pub(super) struct Beyond<const FLAW: usize> {
    /// Whether a queue was deleted.
    is_deleted: AtomicBool,
}

impl<const FLAW: usize> Around for Beyond<FLAW> {
    fn answer(self: Arc<Self>, reference: Reference, request: Request<Bytes>) -> BoxFuture<Told> {
        Box::pin(async move {
            match FLAWS[FLAW].0 {
                Flaw::PagesHide => pages(&reference, request, true).await,
                Flaw::PagesAreLong => pages(&reference, request, false).await,
                Flaw::CountsStandStill => {
                    let told = reference.ask(request.clone()).await;
                    let is_stats = at(&request, (Method::GET, &["v2", "queues", "*", "stats"]));
                    let zeros = json!({ "messages": { "claimed": 0, "free": 0, "total": 0 } });
                    changed_if(is_stats, told, |document| *document = zeros)
                }
                Flaw::PurgesNothing => {
                    let is_purge = at(&request, (Method::POST, &["v2", "queues", "*", "purge"]));
                    let nothing = Bytes::from_static(br#"{"resource_types": []}"#);
                    let request = request.map(|body| if is_purge { nothing } else { body });
                    reference.ask(bare(request)).await
                }
                Flaw::LinksForgetFilters => {
                    let told = reference.ask(request.clone()).await;
                    let is_list = at(&request, (Method::GET, &["v2", "queues"]));
                    changed_if(is_list, told, |document| {
                        for link in document["links"].as_array_mut().into_iter().flatten() {
                            let mut next = Place::read(link["href"].as_str().unwrap());
                            next.query.retain(|(name, _)| name != "colour");
                            link["href"] = json!(next.write());
                        }
                    })
                }
                Flaw::SubscriptionsAreHalfGone => self.half_gone(&reference, request).await,
                Flaw::SlashLeadsElsewhere => {
                    let is_slashed = at(&request, (Method::GET, &["v2", "queues", "*", ""]));
                    let list = Place::read("/v2/queues");
                    let request = if is_slashed {
                        list.redirect(request)
                    } else {
                        request
                    };
                    reference.ask(request).await
                }
                Flaw::RefusedDelaysAreStored => {
                    let is_long =
                        String::from_utf8_lossy(request.body()).contains("\"delay\":5000");
                    let mut told = reference.ask(request).await;
                    if is_long {
                        *told.status_mut() = StatusCode::BAD_REQUEST;
                    }
                    told
                }
                Flaw::SubscriptionsAreReversed => {
                    let told = reference.ask(request.clone()).await;
                    let listing = (Method::GET, &["v2", "queues", "*", "subscriptions"][..]);
                    changed_if(at(&request, listing), told, |document| {
                        let all = document["subscriptions"].as_array_mut();
                        all.into_iter().for_each(|all| all.reverse());
                    })
                }
            }
        })
    }
}

impl<const FLAW: usize> Beyond<FLAW> {
    async fn half_gone(&self, reference: &Reference, request: Request<Bytes>) -> Told {
        if at(&request, (Method::DELETE, &["v2", "queues", "*"])) {
            self.is_deleted.store(true, Ordering::Relaxed);
        }
        let one = (
            Method::GET,
            &["v2", "queues", "*", "subscriptions", "*"][..],
        );
        let is_gone = at(&request, one) && self.is_deleted.load(Ordering::Relaxed);
        let mut told = reference.ask(request).await;
        if is_gone {
            *told.status_mut() = StatusCode::NOT_FOUND;
        }
        told
    }
}

/// A page of messages for one that has another limit, and without its last message if that is hidden.
async fn pages(reference: &Reference, request: Request<Bytes>, hides: bool) -> Told {
    let is_listing = at(&request, (Method::GET, &["v2", "queues", "*", "messages"]));
    let place = Place::of(&request);
    let is_listing = is_listing && place.value("ids").is_none();
    let (true, Some(limit)) = (is_listing, place.limit()) else {
        return reference.ask(request).await;
    };
    let longer = (limit + 1).min(20).to_string();
    let told = reference
        .ask(place.with("limit", &longer).redirect(request))
        .await;
    changed_if(true, told, |page| {
        for link in page["links"].as_array_mut().into_iter().flatten() {
            let next = Place::read(link["href"].as_str().unwrap());
            link["href"] = json!(next.with("limit", &limit.to_string()).write());
        }
        if hides
            && let Some(messages) = page["messages"].as_array_mut()
            && messages.len() > 1
        {
            messages.pop();
        }
    })
}

/// Whether that is what is asked for; a star stands for any segment.
fn at(request: &Request<Bytes>, (method, segments): (Method, &[&str])) -> bool {
    let place = Place::of(request);
    let pairs = place.segments.iter().zip(segments);
    request.method() == method
        && place.segments.len() == segments.len()
        && pairs
            .into_iter()
            .all(|(one, wanted)| *wanted == "*" || one == wanted)
}

/// Without what was said about a body that is another now.
fn bare(mut request: Request<Bytes>) -> Request<Bytes> {
    request.headers_mut().remove("content-length");
    request
}

fn changed_if(is_so: bool, told: Told, change: impl FnOnce(&mut Value)) -> Told {
    match serde_json::from_slice::<Value>(told.body()) {
        Ok(mut document) if is_so => {
            change(&mut document);
            told.map(|_| document.to_string().into())
        }
        Ok(_) | Err(_) => told,
    }
}
