//! Bodies of frames to inputs, with the checks of the same request by HTTP.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use serde_json::value::RawValue;

use super::action::Action;
use super::fault::Fault;
use crate::broker::limits::{PAGE_SIZE_DEFAULT, QUEUE_NAME_CHARS_MAX};
use crate::broker::{
    Caller, ClaimId, Fence, Input, MessageId, MessageListing, Metadata, PurgeScope, QueueListing,
    QueueName, RequestedDelay, SocketId, SubscriptionId, SubscriptionInput, SubscriptionListing,
    Timestamp,
};
use crate::wire::bodies::{self, Body};
use crate::wire::refusal::Refusal;
use crate::wire::settings::Settings;
use crate::wire::{
    bulk_delete, check_confirmable, claim_id, headers, json, message_id, message_ids, of_queue,
    share, subscription_id, subscriptions,
};

/// Headers that are strings. Others are not read.
const TEXT_HEADERS: [&str; 5] = [
    "Client-ID",
    "X-Project-ID",
    "X-Auth-Token",
    "URL-Signature",
    "URL-Expires",
];
/// Headers that are arrays of strings, which HTTP joins by commas.
const LIST_HEADERS: [&str; 2] = ["URL-Methods", "URL-Paths"];

/// The members of the object `headers`, as HTTP has them. Their names are spelled as documented.
pub(crate) fn header_map(value: &RawValue) -> Result<HeaderMap, Fault> {
    let members = json::members(value).ok_or(Fault::HeadersNotObject)?;
    let mut map = HeaderMap::new();
    let mut put = |header: &'static str, text: Option<String>| {
        let value = text.and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok());
        let value = value.ok_or(Fault::HeaderInvalid { header })?;
        let name = HeaderName::from_bytes(header.as_bytes());
        map.insert(name.expect("invariant: these are names"), value);
        Ok::<(), Fault>(())
    };
    for header in TEXT_HEADERS {
        if let Some(value) = members.get(header) {
            put(header, json::string(value))?;
        }
    }
    for header in LIST_HEADERS {
        if let Some(value) = members.get(header) {
            let items = json::elements(value).map(|items| items.into_iter().map(json::string));
            let items: Option<Vec<String>> = items.and_then(Iterator::collect);
            // With a comma in it, one item would be taken for two.
            let items = items.filter(|items| !items.iter().any(|item| item.contains(',')));
            put(header, items.map(|items| items.join(",")))?;
        }
    }
    Ok(map)
}

/// Lets a request pass that has no signature, or one that covers the messages of its queue.
pub(crate) fn check_signature(
    action: Action,
    queue: Option<&QueueName>,
    headers: &HeaderMap,
    (settings, now): (&Settings, Timestamp),
) -> Result<(), Fault> {
    if !headers.contains_key("url-signature") {
        return Ok(());
    }
    let uncovered = Fault::NotAuthenticated("the signature does not cover this action");
    let (Some(method), Some(queue)) = (action.granted_by(), queue) else {
        return Err(uncovered);
    };
    let request = Request::builder()
        .method(method)
        .uri(format!("/v2/queues/{}/messages", queue.as_str()));
    let request = request
        .body(())
        .expect("invariant: names of queues fit a path");
    let (mut parts, ()) = request.into_parts();
    parts.headers.clone_from(headers);
    let checked = share::check_signature(&parts, settings.signing_key.as_ref(), now);
    checked.map_err(|_| uncovered)
}

/// What an action is asked with. Its members are of the kinds that the action wants.
pub(crate) struct Reader<'a> {
    pub(crate) members: BTreeMap<String, &'a RawValue>,
    /// The whole body.
    pub(crate) body: Body,
    pub(crate) settings: &'a Settings,
    pub(crate) socket: SocketId,
}

impl Reader<'_> {
    /// The queue that the action is about.
    pub(crate) fn queue(&self, action: Action) -> Result<Option<QueueName>, Refusal> {
        if !action.names_queue() {
            return Ok(None);
        }
        let invalid = Refusal::QueueNameInvalid {
            chars_max: QUEUE_NAME_CHARS_MAX,
        };
        let name = self.members.get("queue_name");
        let name = name.and_then(|value| json::string(value));
        let queue = name.and_then(|name| QueueName::parse(&name));
        queue.map(Some).ok_or(invalid)
    }

    pub(crate) fn input(
        &self,
        action: Action,
        queue: Option<QueueName>,
        caller: &Caller,
    ) -> Result<Input, Refusal> {
        let Some(queue) = queue else {
            return self.queue_listing();
        };
        headers::check_project_length(&caller.project)?;
        match action {
            Action::Authenticate | Action::QueueList => {
                panic!("invariant: these are about no queue")
            }
            Action::QueueCreate => {
                let metadata = self.metadata()?;
                Ok(Input::CreateQueue { queue, metadata })
            }
            Action::QueueGet => Ok(Input::ReadQueue { queue }),
            Action::QueueDelete => Ok(Input::DeleteQueue { queue }),
            Action::QueueGetStats => Ok(Input::QueueStats { queue }),
            Action::QueuePurge => {
                let scope = self.purge_scope()?;
                Ok(Input::PurgeQueue { queue, scope })
            }
            Action::MessagePost => self.post(queue),
            Action::MessageList => self.message_listing(queue),
            Action::MessageGet => {
                let id = self.message_id();
                Ok(Input::ReadMessage { queue, id })
            }
            Action::MessageGetMany => {
                let ids = self.message_ids()?.unwrap_or_default();
                Ok(Input::ReadMessages { queue, ids })
            }
            Action::MessageDelete => Ok(Input::DeleteMessage {
                queue,
                id: self.message_id(),
                fence: self.fence(),
            }),
            Action::MessageDeleteMany => self.bulk_delete(queue),
            Action::ClaimCreate => self.new_claim(queue),
            Action::ClaimGet => {
                let id = self.claim_id();
                Ok(Input::ReadClaim { queue, id })
            }
            Action::ClaimUpdate => {
                let terms = bodies::renewal(&self.body, &self.settings.limits)?;
                let id = self.claim_id();
                Ok(Input::RenewClaim { queue, id, terms })
            }
            Action::ClaimDelete => {
                let id = self.claim_id();
                Ok(Input::ReleaseClaim { queue, id })
            }
            Action::SubscriptionCreate => self.new_subscription(caller).map(of_queue(queue)),
            Action::SubscriptionList => self.subscription_listing().map(of_queue(queue)),
            Action::SubscriptionGet => {
                let input = SubscriptionInput::Read(self.subscription_id());
                Ok(of_queue(queue)(input))
            }
            Action::SubscriptionDelete => {
                let input = SubscriptionInput::Delete(self.subscription_id());
                Ok(of_queue(queue)(input))
            }
        }
    }

    fn queue_listing(&self) -> Result<Input, Refusal> {
        Ok(Input::ListQueues(QueueListing {
            marker: self.text("marker"),
            limit: self.limit(self.settings.limits.queues_per_page_max)?,
            detailed: self.flag("detailed"),
            with_count: false,
            name: None,
            filters: Vec::new(),
        }))
    }

    fn metadata(&self) -> Result<Metadata, Refusal> {
        let body = match self.members.get("metadata") {
            Some(metadata) => Body::Complete(self.slice(metadata)),
            None => Body::empty(),
        };
        bodies::metadata(&body, &self.settings.limits)
    }

    /// In HTTP, no body stands for everything; here there is always one.
    fn purge_scope(&self) -> Result<PurgeScope, Refusal> {
        if !self.members.contains_key("resource_types") {
            return Ok(PurgeScope::Everything);
        }
        bodies::purge_scope(&self.body, &self.settings.limits)
    }

    fn post(&self, queue: QueueName) -> Result<Input, Refusal> {
        let (bytes, mut messages) = bodies::messages(&self.body, &self.settings.limits)?;
        for message in &mut messages {
            // Zaqar v2, WebSocket: no support for `delay`. What the queue says holds.
            message.delay = RequestedDelay::Absent;
        }
        Ok(Input::PostMessages {
            queue,
            bytes,
            messages,
        })
    }

    fn message_listing(&self, queue: QueueName) -> Result<Input, Refusal> {
        let listing = MessageListing {
            marker: self.text("marker"),
            limit: self.limit(self.settings.limits.messages_per_page_max)?,
            echo: self.flag("echo"),
            include_claimed: self.flag("include_claimed"),
            include_delayed: self.flag("include_delayed"),
        };
        Ok(Input::ListMessages { queue, listing })
    }

    fn bulk_delete(&self, queue: QueueName) -> Result<Input, Refusal> {
        let limits = &self.settings.limits;
        let claims = self.texts("claim_ids");
        let claims = claims.map(|ids| ids.iter().filter_map(|id| claim_id(id)).collect());
        let pop = self.count("pop", limits.messages_per_claim_or_pop_max)?;
        bulk_delete(queue, (self.message_ids()?, claims), pop, limits)
    }

    fn new_claim(&self, queue: QueueName) -> Result<Input, Refusal> {
        let limits = &self.settings.limits;
        Ok(Input::ClaimMessages {
            queue,
            limit: self.limit(limits.messages_per_claim_or_pop_max)?,
            terms: bodies::new_claim(&self.body, limits)?,
        })
    }

    fn new_subscription(&self, caller: &Caller) -> Result<SubscriptionInput, Refusal> {
        let (socket, settings) = (self.socket, self.settings);
        let new = subscriptions::new_subscription_of(socket, &self.body, settings)?;
        check_confirmable(caller, &settings.limits)?;
        Ok(SubscriptionInput::Create(new))
    }

    fn subscription_listing(&self) -> Result<SubscriptionInput, Refusal> {
        Ok(SubscriptionInput::List(SubscriptionListing {
            marker: self.text("marker"),
            limit: self.limit(self.settings.limits.subscriptions_per_page_max)?,
        }))
    }

    fn fence(&self) -> Fence {
        match self.text("claim_id") {
            None => Fence::Absent,
            Some(text) => claim_id(&text).map_or(Fence::Malformed, Fence::Claim),
        }
    }

    fn message_ids(&self) -> Result<Option<Vec<MessageId>>, Refusal> {
        let ids = self.texts("message_ids");
        let known =
            |ids: Vec<String>| message_ids(ids.iter().map(String::as_str), &self.settings.limits);
        ids.map(known).transpose()
    }

    fn message_id(&self) -> Option<MessageId> {
        message_id(&self.text("message_id")?)
    }

    fn claim_id(&self) -> Option<ClaimId> {
        claim_id(&self.text("claim_id")?)
    }

    fn subscription_id(&self) -> Option<SubscriptionId> {
        subscription_id(&self.text("subscription_id")?)
    }

    fn slice(&self, value: &RawValue) -> Bytes {
        match &self.body {
            Body::Complete(bytes) => bytes.slice_ref(value.get().as_bytes()),
            Body::TooLong | Body::Incomplete => Bytes::new(),
        }
    }

    /// A string; `None` if it is absent or null. A blank one counts as absent, as in HTTP.
    fn text(&self, member: &str) -> Option<String> {
        let text = json::string(self.members.get(member)?)?;
        (!text.is_empty()).then_some(text)
    }

    fn texts(&self, member: &str) -> Option<Vec<String>> {
        let elements = json::elements(self.members.get(member)?)?;
        elements.into_iter().map(json::string).collect()
    }

    fn flag(&self, member: &str) -> bool {
        self.members
            .get(member)
            .is_some_and(|flag| flag.get() == "true")
    }

    /// The size of a page or a claim.
    fn limit(&self, max: usize) -> Result<usize, Refusal> {
        let limit = self.count("limit", max)?;
        Ok(limit.unwrap_or(PAGE_SIZE_DEFAULT.min(max)))
    }

    fn count(&self, name: &'static str, max: usize) -> Result<Option<usize>, Refusal> {
        let Some(value) = self.members.get(name) else {
            return Ok(None);
        };
        let number = json::integer(value).and_then(|number| usize::try_from(number).ok());
        let number = number.filter(|number| (1..=max).contains(number));
        number
            .map(Some)
            .ok_or(Refusal::ParameterOutOfRange { name, max })
    }
}
