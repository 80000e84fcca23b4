//! What kind of resource a path names: for those who count requests, not for those who answer them.

use super::route::{self, Route};

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// `/`.
    Root,
    /// `/v2/`.
    Home,
    /// `/v2/ping`.
    Ping,
    /// `/v2/queues`.
    Queues,
    /// A queue.
    Queue,
    /// The counts of a queue.
    Stats,
    /// The purge of a queue.
    Purge,
    /// The share of a queue.
    Share,
    /// The messages of a queue.
    Messages,
    /// A message.
    Message,
    /// The claims of a queue.
    Claims,
    /// A claim.
    Claim,
    /// The subscriptions to a queue.
    Subscriptions,
    /// A subscription.
    Subscription,
    /// The confirmation of a subscription.
    Confirmation,
    /// The health of the service.
    Health,
    /// The pools.
    Pools,
    /// A pool.
    Pool,
    /// The drain of a pool.
    Drain,
    /// The flavors.
    Flavors,
    /// A flavor.
    Flavor,
    /// Nothing that there is.
    Unknown,
}

impl Resource {
    /// Every kind, in order.
    pub const ALL: [Self; 22] = [
        Self::Root,
        Self::Home,
        Self::Ping,
        Self::Queues,
        Self::Queue,
        Self::Stats,
        Self::Purge,
        Self::Share,
        Self::Messages,
        Self::Message,
        Self::Claims,
        Self::Claim,
        Self::Subscriptions,
        Self::Subscription,
        Self::Confirmation,
        Self::Health,
        Self::Pools,
        Self::Pool,
        Self::Drain,
        Self::Flavors,
        Self::Flavor,
        Self::Unknown,
    ];

    /// The kind that a path names. Nothing in the path needs to be valid.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match Route::of(&route::decode(path)) {
            None => Self::Unknown,
            Some(route) => match route {
                Route::Root => Self::Root,
                Route::Home => Self::Home,
                Route::Ping => Self::Ping,
                Route::Queues => Self::Queues,
                Route::Queue { .. } => Self::Queue,
                Route::Stats { .. } => Self::Stats,
                Route::Purge { .. } => Self::Purge,
                Route::Share { .. } => Self::Share,
                Route::Messages { .. } => Self::Messages,
                Route::Message { .. } => Self::Message,
                Route::Claims { .. } => Self::Claims,
                Route::Claim { .. } => Self::Claim,
                Route::Subscriptions { .. } => Self::Subscriptions,
                Route::Subscription { .. } => Self::Subscription,
                Route::Confirmation { .. } => Self::Confirmation,
                Route::Health => Self::Health,
                Route::Pools => Self::Pools,
                Route::Pool { .. } => Self::Pool,
                Route::Drain { .. } => Self::Drain,
                Route::Flavors => Self::Flavors,
                Route::Flavor { .. } => Self::Flavor,
            },
        }
    }

    /// Its name: lower case, one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Home => "home",
            Self::Ping => "ping",
            Self::Queues => "queues",
            Self::Queue => "queue",
            Self::Stats => "stats",
            Self::Purge => "purge",
            Self::Share => "share",
            Self::Messages => "messages",
            Self::Message => "message",
            Self::Claims => "claims",
            Self::Claim => "claim",
            Self::Subscriptions => "subscriptions",
            Self::Subscription => "subscription",
            Self::Confirmation => "confirmation",
            Self::Health => "health",
            Self::Pools => "pools",
            Self::Pool => "pool",
            Self::Drain => "drain",
            Self::Flavors => "flavors",
            Self::Flavor => "flavor",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_stand_where_their_number_says() {
        for (number, resource) in Resource::ALL.into_iter().enumerate() {
            assert_eq!(resource as usize, number);
        }
    }

    #[test]
    fn a_path_names_a_kind_whatever_it_is_spelled_like() {
        for (path, resource) in [
            ("/v2/queues/q/messages", Resource::Messages),
            ("/v2/queues/%2E/messages/1", Resource::Message),
            ("/v2/queues/q/claims/", Resource::Claim),
            ("/v2%2Fping", Resource::Ping),
            ("/v3", Resource::Unknown),
            ("*", Resource::Unknown),
        ] {
            assert_eq!(Resource::of(path), resource, "{path}");
        }
    }
}
