//! Paths and methods. Owns which exist; must not look at headers, queries or bodies.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use super::settings::Settings;

/// What a path names. Names in it are not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Root,
    Home,
    Ping,
    Queues,
    Queue { queue: String },
    Stats { queue: String },
    Purge { queue: String },
    Share { queue: String },
    Messages { queue: String },
    Message { queue: String, id: String },
    Claims { queue: String },
    Claim { queue: String, id: String },
    Subscriptions { queue: String },
    Subscription { queue: String, id: String },
    Confirmation { queue: String, id: String },
    Health,
    Pools,
    Pool { pool: String },
    Drain { pool: String },
    Flavors,
    Flavor { flavor: String },
}

impl Route {
    /// The route of a path. `None`: 404.
    ///
    /// The whole path is decoded before it is split, so an encoded slash is a slash (Zaqar v2,
    /// observed), and a trailing slash is an empty last name.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let path = decode(path);
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        Some(match segments.as_slice() {
            [""] => Self::Root,
            ["v2", ""] => Self::Home,
            ["v2", "ping"] => Self::Ping,
            ["v2", "queues"] => Self::Queues,
            ["v2", "queues", queue] => Self::Queue {
                queue: (*queue).to_owned(),
            },
            ["v2", "queues", queue, kind] => {
                let queue = (*queue).to_owned();
                match *kind {
                    "stats" => Self::Stats { queue },
                    "purge" => Self::Purge { queue },
                    "share" => Self::Share { queue },
                    "messages" => Self::Messages { queue },
                    "claims" => Self::Claims { queue },
                    "subscriptions" => Self::Subscriptions { queue },
                    _ => return None,
                }
            }
            ["v2", "queues", queue, "messages", id] => Self::Message {
                queue: (*queue).to_owned(),
                id: (*id).to_owned(),
            },
            ["v2", "queues", queue, "claims", id] => Self::Claim {
                queue: (*queue).to_owned(),
                id: (*id).to_owned(),
            },
            ["v2", "queues", queue, "subscriptions", id] => Self::Subscription {
                queue: (*queue).to_owned(),
                id: (*id).to_owned(),
            },
            ["v2", "queues", queue, "subscriptions", id, "confirm"] => Self::Confirmation {
                queue: (*queue).to_owned(),
                id: (*id).to_owned(),
            },
            ["v2", "health"] => Self::Health,
            ["v2", "pools"] => Self::Pools,
            ["v2", "pools", pool] => Self::Pool {
                pool: (*pool).to_owned(),
            },
            ["v2", "pools", pool, "drain"] => Self::Drain {
                pool: (*pool).to_owned(),
            },
            ["v2", "flavors"] => Self::Flavors,
            ["v2", "flavors", flavor] => Self::Flavor {
                flavor: (*flavor).to_owned(),
            },
            _ => return None,
        })
    }

    /// Whether a service with these settings has the route at all.
    pub(crate) fn is_served(&self, settings: &Settings) -> bool {
        match self {
            Self::Health => settings.admin_mode,
            Self::Pools
            | Self::Pool { .. }
            | Self::Drain { .. }
            | Self::Flavors
            | Self::Flavor { .. } => settings.serves_pools(),
            Self::Root
            | Self::Home
            | Self::Ping
            | Self::Queues
            | Self::Queue { .. }
            | Self::Stats { .. }
            | Self::Purge { .. }
            | Self::Share { .. }
            | Self::Messages { .. }
            | Self::Message { .. }
            | Self::Claims { .. }
            | Self::Claim { .. }
            | Self::Subscriptions { .. }
            | Self::Subscription { .. }
            | Self::Confirmation { .. } => true,
        }
    }

    /// The methods of the route, as the `Allow` header lists them.
    pub(crate) const fn allow(&self) -> &'static str {
        match self {
            Self::Root
            | Self::Home
            | Self::Queues
            | Self::Stats { .. }
            | Self::Health
            | Self::Pools
            | Self::Flavors => "GET, OPTIONS",
            Self::Ping => "GET, HEAD, OPTIONS",
            Self::Queue { .. } | Self::Pool { .. } | Self::Flavor { .. } => {
                "DELETE, GET, OPTIONS, PATCH, PUT"
            }
            Self::Purge { .. } | Self::Share { .. } | Self::Claims { .. } | Self::Drain { .. } => {
                "OPTIONS, POST"
            }
            Self::Messages { .. } => "DELETE, GET, OPTIONS, POST",
            Self::Message { .. } => "DELETE, GET, OPTIONS",
            Self::Claim { .. } | Self::Subscription { .. } => "DELETE, GET, OPTIONS, PATCH",
            Self::Subscriptions { .. } => "GET, OPTIONS, POST",
            Self::Confirmation { .. } => "OPTIONS, PUT",
        }
    }

    pub(crate) fn allows(&self, method: &Method) -> bool {
        self.allow()
            .split(", ")
            .any(|allowed| allowed == method.as_str())
    }

    /// The name of the queue in the path.
    pub(crate) fn queue(&self) -> Option<&str> {
        match self {
            Self::Root
            | Self::Home
            | Self::Ping
            | Self::Queues
            | Self::Health
            | Self::Pools
            | Self::Pool { .. }
            | Self::Drain { .. }
            | Self::Flavors
            | Self::Flavor { .. } => None,
            Self::Queue { queue }
            | Self::Stats { queue }
            | Self::Purge { queue }
            | Self::Share { queue }
            | Self::Messages { queue }
            | Self::Message { queue, .. }
            | Self::Claims { queue }
            | Self::Claim { queue, .. }
            | Self::Subscriptions { queue }
            | Self::Subscription { queue, .. }
            | Self::Confirmation { queue, .. } => Some(queue),
        }
    }
}

/// A path as it is routed, and as signatures name it.
pub(crate) fn decode(path: &str) -> Cow<'_, str> {
    percent_decode_str(path).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_significant() {
        assert_eq!(Route::of("/"), Some(Route::Root));
        assert_eq!(Route::of("/v2"), None);
        assert_eq!(Route::of("/v2/"), Some(Route::Home));
        assert_eq!(
            Route::of("/v2/queues/"),
            Some(Route::Queue {
                queue: String::new()
            })
        );
        assert_eq!(Route::of("/v2/queues/q/"), None);
        assert_eq!(Route::of("/v2/queues/a%2Fb"), None);
        let message = Route::Message {
            queue: "q".to_owned(),
            id: String::new(),
        };
        assert_eq!(Route::of("/v2/queues/q/messages/"), Some(message));
        assert_eq!(Route::of("*"), None);
    }

    #[test]
    fn head_exists_only_on_ping() {
        assert!(Route::Ping.allows(&Method::HEAD));
        assert!(!Route::Queues.allows(&Method::HEAD));
        assert!(
            !Route::Claims {
                queue: "q".to_owned()
            }
            .allows(&Method::GET)
        );
    }
}
