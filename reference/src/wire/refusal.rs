//! What is refused before the broker is asked, and the status of every failure.

use http::StatusCode;
use thiserror::Error;

use crate::broker::BrokerError;

use super::json::JsonFault;

/// Why a request is not passed to the broker.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No resource has this path.
    #[error("no resource has this path")]
    RouteUnknown,
    /// The body claims to be a form.
    #[error("the content type application/x-www-form-urlencoded is not supported")]
    FormContentType,
    /// The client does not accept JSON.
    #[error("only application/json is available")]
    NotAcceptable,
    /// There is no client id.
    #[error("the header Client-ID is missing")]
    ClientIdMissing,
    /// The client id is none.
    #[error("the header Client-ID is not a valid client id")]
    ClientIdInvalid,
    /// There is no project.
    #[error("the header X-Project-ID is missing or empty")]
    ProjectMissing,
    /// The project has too many characters.
    #[error("the project id is longer than {chars_max} characters")]
    ProjectTooLong {
        /// How many it may have.
        chars_max: usize,
    },
    /// The path names no possible queue.
    #[error("a queue name has 1 to {chars_max} characters from A-Z a-z 0-9 _ - .")]
    QueueNameInvalid {
        /// How many it may have.
        chars_max: usize,
    },
    /// The request has not the role that the operation takes.
    #[error("the operation {operation} needs the role {role}")]
    RoleMissing {
        /// The operation.
        operation: &'static str,
        /// The role.
        role: &'static str,
    },
    /// The path names no possible pool or flavor.
    #[error("the name of a {kind} has 1 to {chars_max} characters from A-Z a-z 0-9 _ - .")]
    NameInvalid {
        /// What it would be the name of.
        kind: &'static str,
        /// How many it may have.
        chars_max: usize,
    },
    /// What is to be a pool cannot be one.
    #[error("the pool is invalid: {0}")]
    PoolInvalid(&'static str),
    /// What is to be a flavor cannot be one.
    #[error("the flavor is invalid: {0}")]
    FlavorInvalid(&'static str),
    /// The resource does not have the method.
    #[error("the resource has only the methods {allow}")]
    MethodNotAllowed {
        /// The methods it has.
        allow: &'static str,
    },
    /// The body is longer than the operation allows.
    #[error("the body is longer than {bytes_max} bytes")]
    BodyTooLong {
        /// How long it may be.
        bytes_max: usize,
    },
    /// The body ended before it was complete.
    #[error("the body is incomplete")]
    BodyIncomplete,
    /// The operation needs a body.
    #[error("the request has no body")]
    BodyMissing,
    /// The body is no JSON, or not of the kind we accept.
    #[error("the body is not valid JSON: {0}")]
    BodyNotJson(#[from] JsonFault),
    /// The body is not an object.
    #[error("the body is not an object")]
    BodyNotObject,
    /// The body is not an array.
    #[error("the body is not an array")]
    BodyNotArray,
    /// A query parameter cannot be read.
    #[error("the parameter {name} is not {expected}")]
    ParameterInvalid {
        /// The parameter.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A number in the query is out of range.
    #[error("the parameter {name} is not between 1 and {max}")]
    ParameterOutOfRange {
        /// The parameter.
        name: &'static str,
        /// The greatest value.
        max: usize,
    },
    /// Too few or too many ids in the query.
    #[error("between 1 and {max} ids are needed")]
    IdCountOutOfRange {
        /// The most ids.
        max: usize,
    },
    /// A bulk delete needs exactly one of `ids` and `pop`.
    #[error("exactly one of the parameters ids and pop is needed")]
    DeleteAmbiguous,
    /// A bulk delete needs both `ids` and `claim_ids`, or neither.
    #[error("the parameters ids and claim_ids are needed together")]
    ClaimIdsUnpaired,
    /// `messages` is missing, no array, or empty.
    #[error("the body has no messages")]
    MessagesMissing,
    /// A message is not an object.
    #[error("a message is not an object")]
    MessageNotObject,
    /// A message has no body.
    #[error("a message has no body")]
    MessageBodyMissing,
    /// A member that must be an integer within bounds is not.
    #[error("{member} is not an integer between {min} and {max}")]
    MemberOutOfRange {
        /// The member.
        member: &'static str,
        /// The least value.
        min: u32,
        /// The greatest value.
        max: u32,
    },
    /// Metadata is patched with another media type.
    #[error("the content type of a queue patch is {media_type}")]
    PatchMediaType {
        /// The one media type.
        media_type: &'static str,
    },
    /// The patch cannot be read.
    #[error("the patch is invalid: {0}")]
    PatchInvalid(&'static str),
    /// The signature does not cover the request, or its time is over.
    #[error("no resource has this path")]
    SignatureInvalid,
    /// There is no key to sign with.
    #[error("this service has no key to sign URLs with")]
    SigningKeyMissing,
    /// What is to be shared cannot be.
    #[error("the share is invalid: {0}")]
    ShareInvalid(&'static str),
    /// Nobody is to be subscribed.
    #[error("the subscription has no subscriber")]
    SubscriberMissing,
    /// The subscriber is no URI, or none of a scheme that there is.
    #[error("the subscriber is not the URI of an address that can be sent to")]
    SubscriberInvalid,
    /// Nothing is sent to such subscribers here.
    #[error("the scheme of the subscriber is not supported: {0}")]
    SubscriberSchemeUnsupported(&'static str),
    /// Nothing may be sent to this address.
    #[error("this service does not send to the address of the subscriber")]
    SubscriberAddressDenied,
    /// The lifetime of a subscription is too short, or no integer.
    #[error("ttl is not an integer from {min} on")]
    SubscriptionTtlInvalid {
        /// The least value.
        min: u64,
    },
    /// The options are not an object, or no request can be made of them.
    #[error(
        "options is not an object with headers in post_headers, few placeholders in a string \
         post_data, an address in from, a line in subject, and an id in trust_id"
    )]
    OptionsInvalid,
    /// An update changes nothing, or what cannot be changed.
    #[error("a subscription is updated by a subscriber, a ttl or options")]
    SubscriptionUpdateInvalid,
    /// A subscriber that has to confirm cannot be sent a signature.
    #[error("a project with a comma or a backslash in its name cannot have confirmations signed")]
    ConfirmationUnsignable,
    /// A confirmation says neither yes nor no.
    #[error("confirmed is not a boolean")]
    ConfirmationInvalid,
    /// A purge names something that cannot be purged.
    #[error("resource_types is not an array of messages and subscriptions")]
    PurgeScopeInvalid,
}

/// A request that was not carried out, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request could not be read.
    Refusal(Refusal),
    /// The broker could not carry it out.
    Broker(BrokerError),
    /// The broker has failed before, by our own fault, and answers nothing any more.
    Broken,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl Failure {
    /// The status, and the title of the error document.
    pub(crate) const fn status(&self) -> Status {
        match self {
            Self::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
            Self::Refusal(refusal) => of_refusal(refusal),
            Self::Broker(error) => of_broker(error),
        }
    }

    /// What the error document describes.
    pub(crate) fn description(&self) -> String {
        match self {
            Self::Refusal(refusal) => refusal.to_string(),
            Self::Broker(error) => error.to_string(),
            Self::Broken => "the broker has failed and answers no more".to_owned(),
        }
    }
}

/// A status, and the title of the error document.
type Status = (StatusCode, &'static str);

const BODY: Status = (StatusCode::BAD_REQUEST, "Invalid request body");
const PARAMETER: Status = (StatusCode::BAD_REQUEST, "Invalid parameter");
const HEADER: Status = (StatusCode::BAD_REQUEST, "Invalid header");
const NAME: Status = (StatusCode::BAD_REQUEST, "Invalid queue identification");
const ABSENT: Status = (StatusCode::NOT_FOUND, "Not found");

const fn of_refusal(refusal: &Refusal) -> Status {
    match refusal {
        // Zaqar v2, Pre-signed URLs: always 404, so that nothing is learned from a failure.
        Refusal::RouteUnknown | Refusal::SignatureInvalid => ABSENT,
        Refusal::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, "Media type not acceptable"),
        Refusal::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        Refusal::PatchMediaType { .. } => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type")
        }
        Refusal::FormContentType
        | Refusal::ClientIdMissing
        | Refusal::ClientIdInvalid
        | Refusal::ProjectMissing => HEADER,
        Refusal::ProjectTooLong { .. } | Refusal::QueueNameInvalid { .. } => NAME,
        Refusal::RoleMissing { .. } => (StatusCode::FORBIDDEN, "Forbidden"),
        Refusal::NameInvalid { .. } => (StatusCode::BAD_REQUEST, "Invalid name"),
        Refusal::ParameterInvalid { .. }
        | Refusal::ParameterOutOfRange { .. }
        | Refusal::IdCountOutOfRange { .. }
        | Refusal::DeleteAmbiguous
        | Refusal::ClaimIdsUnpaired => PARAMETER,
        Refusal::BodyTooLong { .. }
        | Refusal::BodyIncomplete
        | Refusal::BodyMissing
        | Refusal::BodyNotJson(_)
        | Refusal::BodyNotObject
        | Refusal::BodyNotArray
        | Refusal::MessagesMissing
        | Refusal::MessageNotObject
        | Refusal::MessageBodyMissing
        | Refusal::MemberOutOfRange { .. }
        | Refusal::PatchInvalid(_)
        | Refusal::ShareInvalid(_)
        | Refusal::SubscriberMissing
        | Refusal::SubscriberInvalid
        | Refusal::SubscriberSchemeUnsupported(_)
        | Refusal::SubscriberAddressDenied
        | Refusal::SubscriptionTtlInvalid { .. }
        | Refusal::OptionsInvalid
        | Refusal::SubscriptionUpdateInvalid
        | Refusal::ConfirmationUnsignable
        | Refusal::ConfirmationInvalid
        | Refusal::SigningKeyMissing
        | Refusal::PoolInvalid(_)
        | Refusal::FlavorInvalid(_)
        | Refusal::PurgeScopeInvalid => BODY,
    }
}

const fn of_broker(error: &BrokerError) -> Status {
    match error {
        BrokerError::QueueDoesNotExist
        | BrokerError::MessageDoesNotExist
        | BrokerError::MessagesDoNotExist
        | BrokerError::SubscriptionDoesNotExist
        | BrokerError::ClaimDoesNotExist
        | BrokerError::PoolDoesNotExist
        | BrokerError::FlavorDoesNotExist => ABSENT,
        BrokerError::AttributeIsInvalid(_)
        | BrokerError::MetadataIsTooLarge { .. }
        | BrokerError::PostIsTooLarge { .. }
        | BrokerError::SubscriptionIsTooLong
        | BrokerError::TrustIsMissing
        | BrokerError::PoolIsUnknown
        | BrokerError::FlavorIsUnknown
        | BrokerError::DelayIsInvalid { .. } => BODY,
        BrokerError::MetadataMemberDoesNotExist { .. }
        | BrokerError::UriIsTaken
        | BrokerError::CatalogueIsFull { .. }
        | BrokerError::PoolHasWeight
        | BrokerError::NoPoolForQueuesLeft { .. }
        | BrokerError::SubscriberIsSubscribed { .. } => (StatusCode::CONFLICT, "Conflict"),
        BrokerError::MessageIsClaimed
        | BrokerError::PoolHasQueues { .. }
        | BrokerError::PoolIsLastOfFlavor => (StatusCode::FORBIDDEN, "Unable to delete"),
        BrokerError::NoPoolForQueue => (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable"),
        BrokerError::ClaimDoesNotHoldMessage => PARAMETER,
    }
}
