//! HTTP to inputs and outputs to HTTP, purely.
//!
//! Owns routes, headers, JSON, status codes and the order of checks; [`websocket`] does the same for
//! the frames of the WebSocket transport. Must not know connections, clocks or locks, and keeps no
//! state: reading and rendering happen outside of the broker's lock.

mod bodies;
mod calendar;
mod checksum;
mod cors;
mod dispatch;
mod flavors;
mod headers;
mod health;
mod home;
pub mod json;
pub mod keystone;
mod mail;
mod network;
mod notice;
mod patch;
mod policy;
mod pools;
mod query;
mod refusal;
mod render;
mod route;
mod secret;
mod settings;
mod share;
mod signing;
mod subscriptions;
pub mod webhook;
pub mod websocket;

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use crate::broker::limits::{PAGE_SIZE_DEFAULT, QUEUE_NAME_CHARS_MAX};
use crate::broker::{
    BulkDeleteRule, Caller, ClaimId, ConfirmationRule, Fence, FlavorInput, Input, Limits,
    MessageId, MessageListing, Output, PoolInput, QueueListing, QueueName, SubscriptionId,
    SubscriptionInput, SubscriptionListing, Timestamp, Uuid,
};

pub use bodies::Body;
pub use cors::Cors;
pub use dispatch::Dispatch;
pub use health::{Health, StoreHealth, Trial};
pub use mail::{Mail, MailSettings, Mailbox};
pub use network::{AddressRule, Network};
pub use refusal::{Failure, Refusal};
pub use secret::Secret;
pub use settings::{Scheme, Settings, TrustRule};
pub use share::Share;
pub use signing::{Grant, SigningKey};
pub use subscriptions::{POST_HEADERS_MAX, SUBSCRIBER_BYTES_MAX};

use query::Query;
use route::Route;

/// A request that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Something the broker has to answer.
    Ask {
        /// On whose behalf.
        caller: Caller,
        /// What.
        input: Input,
    },
    /// Whether the stores are well, which only trying them shows.
    CheckHealth,
    /// Something that can be answered at once.
    Known(Reply),
}

/// What a response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// What came of a request.
    Output(Output),
    /// Why it was not carried out.
    Failure(Failure),
    /// What came of trying the stores.
    Health(Health),
    /// A signature that lets others in.
    Shared(Share),
    /// The versions of the API.
    Versions,
    /// The home document of the API.
    Home,
    /// The methods of a resource.
    Options {
        /// As the `Allow` header lists them.
        allow: &'static str,
    },
}

/// Reads a request that came at `now`. Checks come in the order in which Zaqar makes them: path,
/// signature, form content type, `Accept`, client, project, queue name, method, role, and what is
/// particular to the operation.
///
/// # Errors
/// If the request is to be refused without asking the broker.
pub fn decode(
    parts: &Parts,
    body: &Body,
    settings: &Settings,
    now: Timestamp,
) -> Result<Call, Refusal> {
    let limits = &settings.limits;
    let route = Route::of(parts.uri.path())
        .filter(|route| route.is_served(settings))
        .ok_or(Refusal::RouteUnknown)?;
    if parts.method == Method::OPTIONS {
        // Before the headers: a preflight cannot carry them.
        return Ok(Call::Known(Reply::Options {
            allow: route.allow(),
        }));
    }
    share::check_signature(parts, settings.signing_key.as_ref(), now)?;
    headers::check_media_types(&parts.headers)?;
    let not_allowed = Refusal::MethodNotAllowed {
        allow: route.allow(),
    };
    if route == Route::Root {
        let allowed = route.allows(&parts.method);
        return if allowed {
            Ok(Call::Known(Reply::Versions))
        } else {
            Err(not_allowed)
        };
    }
    let caller = headers::caller(&parts.headers, limits.client_id_rule)?;
    let queue = match route.queue() {
        None => None,
        Some(name) => {
            headers::check_project_length(&caller.project)?;
            let invalid = Refusal::QueueNameInvalid {
                chars_max: QUEUE_NAME_CHARS_MAX,
            };
            Some(QueueName::parse(name).ok_or(invalid)?)
        }
    };
    if !route.allows(&parts.method) {
        return Err(not_allowed);
    }
    policy::check(&route, &parts.method, &parts.headers)?;
    let Some(queue) = queue else {
        return unnamed(route, caller, (parts, body), settings);
    };
    if let Route::Share { .. } = route {
        let share = share::sign(body, settings, (&caller.project, &queue), now)?;
        return Ok(Call::Known(Reply::Shared(share)));
    }
    let request = Request {
        parts,
        body,
        limits,
        settings,
        caller: &caller,
        query: query_of(parts),
    };
    let input = request.input(route, queue)?;
    Ok(Call::Ask { caller, input })
}

/// Renders a response. `request` goes into the `X-OpenStack-Request-Id` header.
#[must_use]
pub fn encode(reply: &Reply, settings: &Settings, request: Uuid) -> http::Response<Bytes> {
    render::response(reply, settings, request)
}

/// Reads a request to a resource that belongs to no queue.
fn unnamed(
    route: Route,
    caller: Caller,
    (parts, body): (&Parts, &Body),
    settings: &Settings,
) -> Result<Call, Refusal> {
    let limits = &settings.limits;
    let input = match route {
        Route::Home => return Ok(Call::Known(Reply::Home)),
        Route::Health => return Ok(Call::CheckHealth),
        Route::Queues => queue_listing(parts, limits)?,
        Route::Pools => {
            let listing = pools::listing(parts, limits.pools_per_page_max)?;
            Input::Pools(PoolInput::List(listing))
        }
        Route::Pool { pool } => Input::Pools(pools::input(&pool, parts, body, settings)?),
        Route::Drain { pool } => Input::Pools(pools::drain(&pool, parts)?),
        Route::Flavors => {
            let listing = pools::listing(parts, limits.flavors_per_page_max)?;
            Input::Flavors(FlavorInput::List(listing))
        }
        Route::Flavor { flavor } => Input::Flavors(flavors::input(&flavor, parts, body, settings)?),
        Route::Ping => Input::Ping,
        Route::Root
        | Route::Queue { .. }
        | Route::Stats { .. }
        | Route::Purge { .. }
        | Route::Share { .. }
        | Route::Messages { .. }
        | Route::Message { .. }
        | Route::Claims { .. }
        | Route::Claim { .. }
        | Route::Subscriptions { .. }
        | Route::Subscription { .. }
        | Route::Confirmation { .. } => {
            panic!("invariant: these routes name a queue, or were answered before")
        }
    };
    Ok(Call::Ask { caller, input })
}

/// A request to a resource of a queue, with what it takes to read the rest of it.
struct Request<'a> {
    parts: &'a Parts,
    body: &'a Body,
    limits: &'a Limits,
    settings: &'a Settings,
    caller: &'a Caller,
    query: Query,
}

impl Request<'_> {
    fn input(&self, route: Route, queue: QueueName) -> Result<Input, Refusal> {
        match route {
            Route::Queue { .. } => self.queue(queue),
            Route::Stats { .. } => Ok(Input::QueueStats { queue }),
            Route::Purge { .. } => {
                let scope = bodies::purge_scope(self.body, self.limits)?;
                Ok(Input::PurgeQueue { queue, scope })
            }
            Route::Messages { .. } => self.messages(queue),
            Route::Message { id, .. } => self.message(queue, &id),
            Route::Claims { .. } => self.claims(queue),
            Route::Claim { id, .. } => self.claim(queue, &id),
            Route::Subscriptions { .. } => self.subscriptions().map(of_queue(queue)),
            Route::Subscription { id, .. } => self.subscription(&id).map(of_queue(queue)),
            Route::Confirmation { id, .. } => {
                let confirmed = subscriptions::confirmation(self.body, self.settings)?;
                let input = SubscriptionInput::Confirm(subscription_id(&id), confirmed);
                Ok(of_queue(queue)(input))
            }
            Route::Root
            | Route::Home
            | Route::Ping
            | Route::Queues
            | Route::Share { .. }
            | Route::Health
            | Route::Pools
            | Route::Pool { .. }
            | Route::Drain { .. }
            | Route::Flavors
            | Route::Flavor { .. } => {
                panic!("invariant: these routes were answered before")
            }
        }
    }

    fn queue(&self, queue: QueueName) -> Result<Input, Refusal> {
        if self.parts.method == Method::PUT {
            let metadata = bodies::metadata(self.body, self.limits)?;
            return Ok(Input::CreateQueue { queue, metadata });
        }
        if self.parts.method == Method::PATCH {
            let content_type = self.parts.headers.get(CONTENT_TYPE);
            if content_type.is_none_or(|value| value.as_bytes() != patch::MEDIA_TYPE.as_bytes()) {
                return Err(Refusal::PatchMediaType {
                    media_type: patch::MEDIA_TYPE,
                });
            }
            let changes = bodies::changes(self.body, self.limits)?;
            return Ok(Input::PatchQueue { queue, changes });
        }
        if self.parts.method == Method::DELETE {
            return Ok(Input::DeleteQueue { queue });
        }
        Ok(Input::ReadQueue { queue })
    }

    fn messages(&self, queue: QueueName) -> Result<Input, Refusal> {
        if self.parts.method == Method::POST {
            let (bytes, messages) = bodies::messages(self.body, self.limits)?;
            return Ok(Input::PostMessages {
                queue,
                bytes,
                messages,
            });
        }
        let ids = match self.query.list("ids") {
            Some(ids) => Some(message_ids(ids.iter().copied(), self.limits)?),
            None => None,
        };
        if self.parts.method == Method::DELETE {
            return self.delete_messages(queue, ids);
        }
        if let Some(ids) = ids {
            return Ok(Input::ReadMessages { queue, ids });
        }
        let limit = self
            .query
            .count("limit", self.limits.messages_per_page_max)?;
        let listing = MessageListing {
            marker: self.query.text("marker").map(str::to_owned),
            limit: limit.unwrap_or(PAGE_SIZE_DEFAULT.min(self.limits.messages_per_page_max)),
            echo: self.query.flag("echo")?,
            include_claimed: self.query.flag("include_claimed")?,
            include_delayed: self.query.flag("include_delayed")?,
        };
        Ok(Input::ListMessages { queue, listing })
    }

    fn delete_messages(
        &self,
        queue: QueueName,
        ids: Option<Vec<MessageId>>,
    ) -> Result<Input, Refusal> {
        let pop = self
            .query
            .count("pop", self.limits.messages_per_claim_or_pop_max)?;
        let claims = self.query.list("claim_ids");
        let claims = claims.map(|ids| ids.into_iter().filter_map(claim_id).collect());
        bulk_delete(queue, (ids, claims), pop, self.limits)
    }

    fn message(&self, queue: QueueName, id: &str) -> Result<Input, Refusal> {
        let id = message_id(id);
        if self.parts.method != Method::DELETE {
            return Ok(Input::ReadMessage { queue, id });
        }
        let fence = match self.query.text("claim_id") {
            None => Fence::Absent,
            Some(text) => claim_id(text).map_or(Fence::Malformed, Fence::Claim),
        };
        Ok(Input::DeleteMessage { queue, id, fence })
    }

    fn claims(&self, queue: QueueName) -> Result<Input, Refusal> {
        let limit_max = self.limits.messages_per_claim_or_pop_max;
        let limit = self.query.count("limit", limit_max)?;
        let limit = limit.unwrap_or(PAGE_SIZE_DEFAULT.min(limit_max));
        let terms = bodies::new_claim(self.body, self.limits)?;
        Ok(Input::ClaimMessages {
            queue,
            limit,
            terms,
        })
    }

    fn claim(&self, queue: QueueName, id: &str) -> Result<Input, Refusal> {
        let id = claim_id(id);
        if self.parts.method == Method::PATCH {
            let terms = bodies::renewal(self.body, self.limits)?;
            return Ok(Input::RenewClaim { queue, id, terms });
        }
        if self.parts.method == Method::DELETE {
            return Ok(Input::ReleaseClaim { queue, id });
        }
        Ok(Input::ReadClaim { queue, id })
    }

    fn subscriptions(&self) -> Result<SubscriptionInput, Refusal> {
        if self.parts.method == Method::POST {
            let new = subscriptions::new_subscription(self.body, self.settings)?;
            check_confirmable(self.caller, self.limits)?;
            return Ok(SubscriptionInput::Create(new));
        }
        let limit_max = self.limits.subscriptions_per_page_max;
        let limit = self.query.count("limit", limit_max)?;
        Ok(SubscriptionInput::List(SubscriptionListing {
            marker: self.query.text("marker").map(str::to_owned),
            limit: limit.unwrap_or(PAGE_SIZE_DEFAULT.min(limit_max)),
        }))
    }

    fn subscription(&self, id: &str) -> Result<SubscriptionInput, Refusal> {
        let id = subscription_id(id);
        if self.parts.method == Method::PATCH {
            let update = subscriptions::update(self.body, self.settings)?;
            return Ok(SubscriptionInput::Update(id, update));
        }
        if self.parts.method == Method::DELETE {
            return Ok(SubscriptionInput::Delete(id));
        }
        Ok(SubscriptionInput::Read(id))
    }
}

/// What deletes many messages: those of these ids, held by these claims, or a number of them.
fn bulk_delete(
    queue: QueueName,
    (ids, claims): (Option<Vec<MessageId>>, Option<Vec<ClaimId>>),
    pop: Option<usize>,
    limits: &Limits,
) -> Result<Input, Refusal> {
    let paired = match limits.bulk_delete_rule {
        BulkDeleteRule::NeedsClaims => ids.is_some() == claims.is_some(),
        BulkDeleteRule::IgnoresClaims => true,
    };
    match (ids, pop) {
        _ if !paired => Err(Refusal::ClaimIdsUnpaired),
        (Some(ids), None) => {
            let claims = claims.unwrap_or_default();
            Ok(Input::DeleteMessages { queue, ids, claims })
        }
        (None, Some(limit)) => Ok(Input::PopMessages { queue, limit }),
        (None, None) | (Some(_), Some(_)) => Err(Refusal::DeleteAmbiguous),
    }
}

/// The ids among the listed ones. Those that are spelled like none count, but name nothing.
fn message_ids<'a>(
    ids: impl ExactSizeIterator<Item = &'a str>,
    limits: &Limits,
) -> Result<Vec<MessageId>, Refusal> {
    let max = limits.messages_per_page_max;
    if !(1..=max).contains(&ids.len()) {
        return Err(Refusal::IdCountOutOfRange { max });
    }
    Ok(ids.filter_map(message_id).collect())
}

/// Whether whoever subscribes here is to be sent a signature that cannot be made.
fn check_confirmable(caller: &Caller, limits: &Limits) -> Result<(), Refusal> {
    let asks = limits.confirmation_rule == ConfirmationRule::Required;
    if asks && signing::is_ambiguous(&caller.project.0) {
        return Err(Refusal::ConfirmationUnsignable);
    }
    Ok(())
}

fn queue_listing(parts: &Parts, limits: &Limits) -> Result<Input, Refusal> {
    let query = query_of(parts);
    let limit = query.count("limit", limits.queues_per_page_max)?;
    Ok(Input::ListQueues(QueueListing {
        marker: query.text("marker").map(str::to_owned),
        limit: limit.unwrap_or(PAGE_SIZE_DEFAULT.min(limits.queues_per_page_max)),
        detailed: query.flag("detailed")?,
        with_count: query.flag("with_count")?,
        name: query.text("name").map(str::to_owned),
        filters: query.others(&["marker", "limit", "detailed", "with_count", "name"]),
    }))
}

fn query_of(parts: &Parts) -> Query {
    Query::parse(parts.uri.query().unwrap_or_default())
}

fn message_id(text: &str) -> Option<MessageId> {
    Uuid::parse_canonical(text).map(MessageId)
}

/// What makes an input of what is asked about the subscriptions to this queue.
fn of_queue(queue: QueueName) -> impl FnOnce(SubscriptionInput) -> Input {
    |input| Input::Subscriptions { queue, input }
}

fn subscription_id(text: &str) -> Option<SubscriptionId> {
    Uuid::parse_canonical(text).map(SubscriptionId)
}

fn claim_id(text: &str) -> Option<ClaimId> {
    Uuid::parse_canonical(text).map(ClaimId)
}
