//! Many claimers on one queue, with random limits and leases; renewals, releases, deletes by href.

use rand::RngExt;

use super::kind::{no_set_up, plain_places};
use super::{Action, Actor, Kind};
use crate::history::Operation;

/// The workload.
pub(super) const KIND: Kind = Kind {
    name: "many-claimers",
    about: "many clients claim from one queue, with random limits and leases, and do all that a claim allows",
    actions: &[
        Action {
            word: "post",
            weight: 4,
            act: |actor| Box::pin(post(actor)),
        },
        Action {
            word: "claim",
            weight: 6,
            act: |actor| Box::pin(claim(actor)),
        },
    ],
    tune: |settings| {
        settings.queues = 1;
        settings.clients = 16;
        settings.batch_max = 20;
    },
    places: plain_places,
    set_up: no_set_up,
};

async fn post(actor: &mut Actor) {
    let queue = actor.queue();
    actor.post(&queue).await;
}

async fn claim(actor: &mut Actor) {
    let queue = actor.queue();
    // The lease is at least what the target allows, and the run waits for the longest of them.
    let longest = actor.settings.claim_ttl_secs;
    let ttl_secs = actor
        .random
        .random_range(longest.div_ceil(2).max(longest.min(60))..=longest);
    let limit = actor.some();
    let Some((claim, ids)) = actor.claim_for(&queue, ttl_secs, limit).await else {
        return;
    };
    if actor.chance(0.3) {
        let renewed = actor.random.random_range(longest.min(60)..=longest);
        actor.renew(&queue, &claim, renewed).await;
    }
    if actor.chance(0.3) {
        let (queue, claim) = (queue.clone(), claim.clone());
        actor
            .process
            .perform(Operation::ClaimGet { queue, claim })
            .await;
    }
    let kept = actor.random.random_range(0..=ids.len());
    for id in ids.into_iter().skip(kept) {
        actor.delete(&queue, &claim, id).await;
    }
    if actor.chance(0.6) {
        actor.release(&queue, &claim).await;
    }
}
