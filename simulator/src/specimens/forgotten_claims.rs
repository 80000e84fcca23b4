//! Logs messages, and keeps claims in memory: after a restart nobody holds anything, whatever holders were told.
//!
//! Modelled on the scenario *restart under leases*: RabbitMQ and others that tie a lease to a process.

use crate::durable::{Entry, Log, start};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "forgotten-claims",
    about: "keeps claims in memory: a restart frees what is held",
    caught_by: Some("claims/overlap"),
    takes: Takes::ONE_ON_DISK,
    variants: &[],
    start: |context| start(&context, ForgottenClaims),
};

#[derive(Clone, Copy)]
struct ForgottenClaims;

impl Log for ForgottenClaims {
    fn keeps(&self, entry: &Entry) -> bool {
        !entry.uri.contains("/claims")
    }
}
