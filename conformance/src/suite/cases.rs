//! What any correct server does, one file per chapter of the contract or per way in which chapters meet.
//!
//! A file of cases begins with their list, `CASES`; what they are written with (requests, queues, subscribers, sockets)
//! is the folder above.

use super::Case;

mod admin;
mod admin_changes;
mod admin_details;
mod admin_flavors;
mod aftermath;
mod backoff;
mod bulk;
mod checksums;
mod claims;
mod common;
mod confirmation;
mod cors;
mod crowds;
mod dead_letters;
mod delays;
mod deliveries;
mod details;
mod detours;
mod ended;
mod entanglements;
mod everywhere;
mod free_form_clients;
mod held;
mod json;
mod leases;
mod leftovers;
mod lifetimes;
mod listing;
mod mail;
mod messages;
mod metadata;
mod mixed;
mod names;
mod notification_scope;
mod notifications;
mod order;
mod patch;
mod producers;
mod queue_lists;
mod queues;
mod races;
mod rebirth;
mod removal;
mod retries;
mod root;
mod signature;
mod signing;
mod signing_refusals;
mod spellings;
mod stats;
mod strict_delete;
mod subscription_items;
mod subscription_lives;
mod subscription_options;
mod subscriptions;
mod websocket;

/// All cases, chapter by chapter.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [
        common::CASES,
        order::CASES,
        json::CASES,
        spellings::CASES,
        queues::CASES,
        queue_lists::CASES,
        stats::CASES,
        metadata::CASES,
        patch::CASES,
        messages::CASES,
        removal::CASES,
        listing::CASES,
        claims::CASES,
        held::CASES,
        lifetimes::CASES,
        leases::CASES,
        delays::CASES,
        dead_letters::CASES,
        details::CASES,
        mixed::CASES,
        detours::CASES,
        races::CASES,
        entanglements::CASES,
        aftermath::CASES,
        rebirth::CASES,
        leftovers::CASES,
        names::CASES,
        bulk::CASES,
        crowds::CASES,
        producers::CASES,
        root::CASES,
        everywhere::CASES,
        subscriptions::CASES,
        subscription_items::CASES,
        subscription_lives::CASES,
        subscription_options::CASES,
        notifications::CASES,
        notification_scope::CASES,
        deliveries::CASES,
        backoff::CASES,
        retries::CASES,
        mail::CASES,
        confirmation::CASES,
        ended::CASES,
        signing::CASES,
        signing_refusals::CASES,
        signature::CASES,
        strict_delete::CASES,
        free_form_clients::CASES,
        checksums::CASES,
        cors::CASES,
        admin::CASES,
        admin_flavors::CASES,
        admin_details::CASES,
        admin_changes::CASES,
        websocket::CASES,
        websocket::frames::CASES,
        websocket::queues::CASES,
        websocket::messages::CASES,
        websocket::claims::CASES,
        websocket::subscriptions::CASES,
        websocket::pushes::CASES,
        websocket::signing::CASES,
    ]
    .into_iter()
    .flatten()
}
