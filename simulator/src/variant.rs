//! The reference as operators may have configured it: no single configuration has everything that the
//! suite has cases about.

use std::collections::BTreeSet;
use std::sync::Arc;

use nanshe_conformance::suite::Capability;
use nanshe_reference::broker::{
    BulkDeleteRule, ClientIdRule, ConfirmationRule, Limits, PoolingRule,
};
use nanshe_reference::service::Service;
use nanshe_reference::wire::{MailSettings, Mailbox, Settings, SigningKey};

use crate::implementation::{Answering, NodeContext, charging};
use crate::notifier;
use crate::sockets::Sockets;

/// The origin that the `default` variant allows.
pub(crate) const CORS_ORIGIN: &str = "https://console.example:8443";

/// The key that the variants sign URLs with.
pub(crate) const SIGNING_KEY: &str = "nanshe";

/// One configuration of an implementation.
#[derive(Clone, Copy)]
pub struct Variant {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it offers beside what a Zaqar as it is installed does.
    pub offers: &'static [Capability],
    /// What it lacks of that.
    pub lacks: &'static [Capability],
    /// Starts it.
    pub start: fn(NodeContext) -> Answering,
}

/// All that the suite has cases about, in as few configurations as go.
pub(crate) const REFERENCE: &[Variant] = &[
    Variant {
        name: "default",
        offers: &[
            Capability::Webhooks,
            Capability::PreSigned,
            Capability::KnownSigningKey,
            Capability::Cors,
            Capability::Admin,
            Capability::WebSocket,
            Capability::Mail,
        ],
        lacks: &[],
        start: |context| reference(context, mailing()),
    },
    Variant {
        name: "wary",
        offers: &[
            Capability::Webhooks,
            Capability::PreSigned,
            Capability::KnownSigningKey,
            Capability::Confirmation,
            Capability::Checksums,
            Capability::FreeFormClients,
            Capability::BulkDeleteNeedsClaims,
            Capability::WebSocket,
            Capability::Mail,
        ],
        lacks: &[Capability::UuidClients, Capability::BulkDeleteIgnoresClaims],
        start: |context| reference(context, wary()),
    },
    Variant {
        name: "pooled",
        offers: &[Capability::Admin, Capability::Pools, Capability::WebSocket],
        lacks: &[],
        start: |context| reference(context, pooled()),
    },
];

fn signing() -> Settings {
    Settings {
        signing_key: SigningKey::new(SIGNING_KEY.to_owned()),
        cors_origins: BTreeSet::from([CORS_ORIGIN.to_owned()]),
        admin_mode: true,
        ..Settings::default()
    }
}

fn mailing() -> Settings {
    let from = Mailbox::parse("zaqar@example.org");
    Settings {
        mail: Some(MailSettings {
            from: from.expect("invariant: this is an address"),
            confirmation_url: "https://console.example/confirm".to_owned(),
            service_url: None,
        }),
        ..signing()
    }
}

fn wary() -> Settings {
    let limits = Limits {
        client_id_rule: ClientIdRule::FreeForm {
            chars_min: 10,
            chars_max: 36,
        },
        bulk_delete_rule: BulkDeleteRule::NeedsClaims,
        confirmation_rule: ConfirmationRule::Required,
        ..Limits::default()
    };
    Settings {
        limits,
        checksums: true,
        ..mailing()
    }
}

fn pooled() -> Settings {
    let limits = Limits {
        pooling_rule: PoolingRule::Pools,
        ..Limits::default()
    };
    Settings {
        limits,
        ..signing()
    }
}

/// The reference under these settings, which sends its notifications and speaks WebSocket.
fn reference(context: NodeContext, settings: Settings) -> Answering {
    let NodeContext {
        clock,
        environment,
        processor,
        seed,
        ..
    } = context;
    let service = Service::new(settings, seed, Arc::new(clock));
    let sockets = Sockets::default();
    let sending = notifier::send_all(service.clone(), sockets.clone(), Arc::clone(&environment));
    environment.spawn(Box::pin(sending));
    let http = charging(service.clone(), processor);
    Arc::new(
        move |mut request| match sockets.upgrade(&mut request, (&service, &environment)) {
            Some(response) => Box::pin(std::future::ready(response)),
            None => http(request),
        },
    )
}
