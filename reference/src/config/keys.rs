//! The keys of a configuration: where each stands, what it means, which values it takes.

use std::time::Duration;

use super::{Config, Key};
use crate::broker::limits::{CLAIM_GRACE_SECS_MIN, CLAIM_TTL_SECS_MIN, MESSAGE_TTL_SECS_MIN};
use crate::broker::limits::{SUBSCRIPTION_END_SECS_MAX, SUBSCRIPTION_TTL_SECS_MIN};
use crate::broker::{BulkDeleteRule, ConfirmationRule, PoolingRule, VirtualPoolRule};
use crate::server::RelaySecurity;
use crate::wire::keystone::Trustee;
use crate::wire::{Mailbox, Network, Scheme, SigningKey};

/// What a key takes, and the way to it.
pub(super) enum Kind {
    Number {
        min: u64,
        max: u64,
        get: fn(&Config) -> u64,
        set: fn(&mut Config, u64),
    },
    Flag {
        get: fn(&Config) -> bool,
        set: fn(&mut Config, bool),
    },
    Text {
        get: fn(&Config) -> String,
        set: fn(&mut Config, &str),
    },
    /// Text that not every string is; `set` returns `None` for those.
    Checked {
        expected: &'static str,
        /// One that is.
        #[cfg_attr(
            not(test),
            expect(dead_code, reason = "tests set every key to something")
        )]
        sample: &'static str,
        get: fn(&Config) -> String,
        set: fn(&mut Config, &str) -> Option<()>,
    },
    /// `set` returns `None` if an item is none of those expected.
    List {
        expected: &'static str,
        get: fn(&Config) -> Vec<String>,
        set: fn(&mut Config, &[&str]) -> Option<()>,
    },
}

/// Seconds that fit the broker's counting, for what has no bound of its own.
const SECS_MAX: u64 = u32::MAX as u64;
/// Things on a page.
const PAGE_MAX: u64 = 1_000;
/// Bytes in a body.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Seconds that a client, a subscriber or a stop may take.
const WAIT_SECS_MAX: u64 = 3_600;

/// The first of each pair may not be greater than the second.
pub(super) const ORDERED: [(&str, &str); 5] = [
    ("messages.ttl_secs_default", "messages.ttl_secs_max"),
    ("messages.delay_secs_default", "messages.delay_secs_max"),
    ("claims.ttl_secs_default", "claims.ttl_secs_max"),
    ("claims.grace_secs_default", "claims.grace_secs_max"),
    ("clients.chars_min", "clients.chars_max"),
];

/// A number of `Limits`, of any unsigned type: values are within its range, for ours is narrower.
macro_rules! limit {
    ($table:literal, $name:literal, $meaning:literal, $min:expr, $max:expr, $field:ident) => {
        Key {
            table: $table,
            name: $name,
            meaning: $meaning,
            kind: Kind::Number {
                min: $min as u64,
                max: $max,
                get: |config| widen(config.settings.limits.$field),
                set: |config, number| config.settings.limits.$field = narrow(number),
            },
        }
    };
}

/// A duration of `Options`, in seconds.
macro_rules! wait {
    ($name:literal, $meaning:literal, $field:ident) => {
        Key {
            table: "server",
            name: $name,
            meaning: $meaning,
            kind: Kind::Number {
                min: 1,
                max: WAIT_SECS_MAX,
                get: |config| config.options.$field.as_secs(),
                set: |config, secs| config.options.$field = Duration::from_secs(secs),
            },
        }
    };
}

/// Something of `Options` that is counted.
macro_rules! count {
    ($name:literal, $meaning:literal, $field:ident) => {
        Key {
            table: "server",
            name: $name,
            meaning: $meaning,
            kind: Kind::Number {
                min: 1,
                max: 65_536,
                get: |config| widen(config.options.$field),
                set: |config, number| config.options.$field = narrow(number),
            },
        }
    };
}

/// Text about those who take part in sending. Any string will do.
macro_rules! text {
    ($table:literal, $name:literal, $meaning:literal, $($field:tt).+) => {
        Key {
            table: $table,
            name: $name,
            meaning: $meaning,
            kind: Kind::Text {
                get: |config| config.correspondents.$($field).+.clone(),
                set: |config, text| text.clone_into(&mut config.correspondents.$($field).+),
            },
        }
    };
}

/// Networks of the rule for addresses.
macro_rules! networks {
    ($name:literal, $meaning:literal, $field:ident) => {
        Key {
            table: "subscriptions",
            name: $name,
            meaning: $meaning,
            kind: Kind::List {
                expected: "networks, each an address with the length of its prefix behind a slash",
                get: |config| {
                    let networks = config.settings.address_rule.$field.iter();
                    networks.map(Network::to_string).collect()
                },
                set: |config, networks| {
                    let networks = networks.iter().map(|text| Network::parse(text));
                    config.settings.address_rule.$field = networks.collect::<Option<_>>()?;
                    Some(())
                },
            },
        }
    };
}

/// Every key, table by table.
#[rustfmt::skip]
pub(super) static KEYS: [Key; 56] = [
    limit!("queues", "per_page_max", "queues on a page", 1, PAGE_MAX, queues_per_page_max),
    limit!("queues", "metadata_bytes_max",
        "bytes in a body with metadata, a share, a subscription, a pool or a flavor", 1, BYTES_MAX, queue_metadata_bytes_max),

    limit!("messages", "ttl_secs_default", "lifetime of a message that names none",
        MESSAGE_TTL_SECS_MIN, SECS_MAX, message_ttl_secs_default),
    limit!("messages", "ttl_secs_max", "longest lifetime of a message",
        MESSAGE_TTL_SECS_MIN, SECS_MAX, message_ttl_secs_max),
    limit!("messages", "delay_secs_default", "delay shown for a queue that names none",
        0, SECS_MAX, message_delay_secs_default),
    limit!("messages", "delay_secs_max", "longest delay of a message",
        0, SECS_MAX, message_delay_secs_max),
    limit!("messages", "per_page_max", "messages on a page, and ids in a bulk request",
        1, PAGE_MAX, messages_per_page_max),
    limit!("messages", "per_claim_or_pop_max", "messages in one claim or pop",
        1, PAGE_MAX, messages_per_claim_or_pop_max),
    limit!("messages", "post_bytes_max", "bytes in a body with messages",
        1, BYTES_MAX, messages_post_bytes_max),
    Key {
        table: "messages",
        name: "delete_needs_claims",
        meaning: "whether a bulk delete must name the claims that hold its messages",
        kind: Kind::Flag {
            get: |config| config.settings.limits.bulk_delete_rule == BulkDeleteRule::NeedsClaims,
            set: |config, needs| config.settings.limits.bulk_delete_rule = match needs {
                true => BulkDeleteRule::NeedsClaims,
                false => BulkDeleteRule::IgnoresClaims,
            },
        },
    },
    Key {
        table: "messages",
        name: "checksums",
        meaning: "whether messages show the MD5 of their body",
        kind: Kind::Flag {
            get: |config| config.settings.checksums,
            set: |config, shown| config.settings.checksums = shown,
        },
    },

    limit!("claims", "ttl_secs_default", "lifetime of a claim that names none",
        CLAIM_TTL_SECS_MIN, SECS_MAX, claim_ttl_secs_default),
    limit!("claims", "ttl_secs_max", "longest lifetime of a claim",
        CLAIM_TTL_SECS_MIN, SECS_MAX, claim_ttl_secs_max),
    limit!("claims", "grace_secs_default", "grace of a claim that names none",
        CLAIM_GRACE_SECS_MIN, SECS_MAX, claim_grace_secs_default),
    limit!("claims", "grace_secs_max", "longest grace of a claim",
        CLAIM_GRACE_SECS_MIN, SECS_MAX, claim_grace_secs_max),

    limit!("subscriptions", "ttl_secs_default", "lifetime of a subscription that names none",
        SUBSCRIPTION_TTL_SECS_MIN, SUBSCRIPTION_END_SECS_MAX, subscription_ttl_secs_default),
    limit!("subscriptions", "per_page_max", "subscriptions on a page",
        1, PAGE_MAX, subscriptions_per_page_max),
    Key {
        table: "subscriptions",
        name: "schemes",
        meaning: "who may subscribe; mailto needs mail.relay too, and trust+… keystone.auth_url",
        kind: Kind::List {
            expected: "\"http\", \"https\", \"mailto\", \"trust+http\" and \"trust+https\"",
            get: |config| {
                let schemes = config.settings.subscriber_schemes.iter();
                schemes.map(|scheme| scheme.as_str().to_owned()).collect()
            },
            set: |config, schemes| {
                let known = |text: &&str| Scheme::ALL.into_iter().find(|known| known.as_str() == *text);
                let schemes = schemes.iter().map(known).collect::<Option<_>>()?;
                config.settings.subscriber_schemes = schemes;
                Some(())
            },
        },
    },
    networks!("denied_networks", "networks that nothing is sent to, as 127.0.0.0/8 or ::1", denied),
    networks!("allowed_networks", "networks within these that are sent to nevertheless", allowed),
    text!("subscriptions", "authorities_file",
        "PEM file of authorities to trust beside the well-known ones; empty: none", authorities_file),
    Key {
        table: "subscriptions",
        name: "confirmation_required",
        meaning: "whether subscribers get nothing before they have confirmed",
        kind: Kind::Flag {
            get: |config| config.settings.limits.confirmation_rule == ConfirmationRule::Required,
            set: |config, required| config.settings.limits.confirmation_rule = match required {
                true => ConfirmationRule::Required,
                false => ConfirmationRule::NotNeeded,
            },
        },
    },

    limit!("notifications", "pending_max", "messages kept for the subscribers of one queue",
        1, 1_000_000, notifications_pending_max),
    limit!("notifications", "pending_bytes_max", "bytes of these",
        1, 1024 * BYTES_MAX, notification_bytes_pending_max),
    limit!("notifications", "per_project_max", "webhooks under way for one project",
        1, 65_536, deliveries_per_project_max),

    text!("mail", "relay", "host of the relay that takes mail; empty: there is no mail", relay),
    Key {
        table: "mail",
        name: "port",
        meaning: "its port",
        kind: Kind::Number {
            min: 1,
            max: 65_535,
            get: |config| config.correspondents.relay_port.into(),
            set: |config, port| config.correspondents.relay_port = narrow(port),
        },
    },
    Key {
        table: "mail",
        name: "security",
        meaning: "\"starttls\", \"tls\" from the first byte, or \"none\", for a relay on one's own network",
        kind: Kind::Checked {
            expected: "\"starttls\", \"tls\" or \"none\"",
            sample: "tls",
            get: |config| security_word(config.correspondents.relay_security).to_owned(),
            set: |config, word| {
                let all = [RelaySecurity::Plain, RelaySecurity::StartTls, RelaySecurity::Tls];
                let found = all.into_iter().find(|one| security_word(*one) == word)?;
                config.correspondents.relay_security = found;
                Some(())
            },
        },
    },
    text!("mail", "username", "user of the relay; empty: it asks for none", relay_username),
    text!("mail", "password", "its password", relay_password.0),
    Key {
        table: "mail",
        name: "from",
        meaning: "who sends mail if a subscription does not say, and asks for confirmation",
        kind: Kind::Checked {
            expected: "an address, as a@b or Name <a@b>",
            sample: "a@b",
            get: |config| config.correspondents.mail_from.to_string(),
            set: |config, text| {
                config.correspondents.mail_from = Mailbox::parse(text)?;
                Some(())
            },
        },
    },
    text!("mail", "confirmation_url",
        "page that a mail with a request to confirm links to", confirmation_url),
    text!("mail", "service_url",
        "where that page reaches this service; empty: it knows", service_url),

    Key {
        table: "keystone",
        name: "auth_url",
        meaning: "where tokens for trusts come from; empty: there are none",
        kind: Kind::Checked {
            expected: "a URL with http or https, or empty",
            sample: "http://h",
            get: |config| config.correspondents.auth_url.clone(),
            set: |config, text| {
                let valid = text.is_empty() || Trustee::url(text).is_some();
                valid.then(|| text.clone_into(&mut config.correspondents.auth_url))
            },
        },
    },
    text!("keystone", "username", "user that the trusts of subscribers are given to", keystone_username),
    text!("keystone", "password", "its password", keystone_password.0),
    text!("keystone", "user_domain_name", "name of its domain", user_domain_name),

    Key {
        table: "sharing",
        name: "signing_key",
        meaning: "the secret that URLs are signed with; empty: nothing can be shared",
        kind: Kind::Text {
            get: |config| {
                let key = config.settings.signing_key.as_ref();
                key.map(|key| key.secret().to_owned()).unwrap_or_default()
            },
            set: |config, secret| config.settings.signing_key = SigningKey::new(secret.to_owned()),
        },
    },

    Key {
        table: "cors",
        name: "allowed_origins",
        meaning: "origins, as https://host:port, whose pages may see responses",
        kind: Kind::List {
            expected: "origins, each a scheme and a host without a path",
            get: |config| config.settings.cors_origins.iter().cloned().collect(),
            set: |config, origins| {
                let origin = |origin: &&str| is_origin(origin).then(|| (*origin).to_owned());
                config.settings.cors_origins = origins.iter().map(origin).collect::<Option<_>>()?;
                Some(())
            },
        },
    },

    Key {
        table: "clients",
        name: "uuid_required",
        meaning: "whether a Client-ID must be a UUID",
        kind: Kind::Flag {
            get: |config| config.clients.uuid_required,
            set: |config, required| config.clients.uuid_required = required,
        },
    },
    Key {
        table: "clients",
        name: "chars_min",
        meaning: "characters in a Client-ID that need not be a UUID",
        kind: Kind::Number {
            min: 1,
            max: 1_024,
            get: |config| widen(config.clients.chars_min),
            set: |config, chars| config.clients.chars_min = narrow(chars),
        },
    },
    Key {
        table: "clients",
        name: "chars_max",
        meaning: "characters in a Client-ID that need not be a UUID",
        kind: Kind::Number {
            min: 1,
            max: 1_024,
            get: |config| widen(config.clients.chars_max),
            set: |config, chars| config.clients.chars_max = narrow(chars),
        },
    },

    Key {
        table: "admin",
        name: "mode",
        meaning: "whether operators can look after the service over the API; who is one, X-Roles says",
        kind: Kind::Flag {
            get: |config| config.settings.admin_mode,
            set: |config, on| config.settings.admin_mode = on,
        },
    },
    Key {
        table: "admin",
        name: "pooling",
        meaning: "whether queues are kept in pools, which operators have to add first",
        kind: Kind::Flag {
            get: |config| config.settings.limits.pooling_rule == PoolingRule::Pools,
            set: |config, on| config.settings.limits.pooling_rule = match on {
                true => PoolingRule::Pools,
                false => PoolingRule::OneStore,
            },
        },
    },
    Key {
        table: "admin",
        name: "virtual_pool",
        meaning: "whether a queue that no pool takes is kept outside of them; otherwise it is refused",
        kind: Kind::Flag {
            get: |config| config.settings.limits.virtual_pool_rule == VirtualPoolRule::Enabled,
            set: |config, on| config.settings.limits.virtual_pool_rule = match on {
                true => VirtualPoolRule::Enabled,
                false => VirtualPoolRule::Disabled,
            },
        },
    },
    limit!("admin", "pools_per_page_max", "pools on a page", 1, PAGE_MAX, pools_per_page_max),
    limit!("admin", "flavors_per_page_max", "flavors on a page",
        1, PAGE_MAX, flavors_per_page_max),

    count!("connections_max", "connections at one time", connections_max),
    wait!("header_read_secs_max", "seconds that the head of a request may take", header_read),
    wait!("body_read_secs_max", "seconds that the body of a request may take", body_read),
    wait!("stop_secs_max", "seconds that a stop waits for requests under way", stop),
    count!("deliveries_max", "webhooks under way at one time", deliveries_max),
    wait!("delivery_secs_max", "seconds that a webhook may take", delivery),
    count!("sockets_max", "WebSockets at one time", sockets_max),
    wait!("socket_quiet_secs_max", "seconds after which a quiet WebSocket is asked, and then closed", socket_quiet),
    wait!("socket_write_secs_max", "seconds that a frame may take to be written to a WebSocket", socket_write),
];

const fn security_word(security: RelaySecurity) -> &'static str {
    match security {
        RelaySecurity::Plain => "none",
        RelaySecurity::StartTls => "starttls",
        RelaySecurity::Tls => "tls",
    }
}

/// Whether a browser may spell an origin like this.
fn is_origin(text: &str) -> bool {
    let visible = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b',');
    let host = text.split_once("://").map(|(_, host)| host);
    visible && host.is_some_and(|host| !host.is_empty() && !host.contains('/'))
}

fn widen<T: TryInto<u64>>(number: T) -> u64 {
    number
        .try_into()
        .ok()
        .expect("invariant: our numbers have at most 64 bits")
}

fn narrow<T: TryFrom<u64>>(number: u64) -> T {
    T::try_from(number)
        .ok()
        .expect("invariant: the range of a key fits its type")
}
