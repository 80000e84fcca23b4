//! Producers and consumers that crash: the work queue that claims were made for.

use super::kind::{no_set_up, plain_places};
use super::{Action, Actor, Kind};

/// Share of claims that are renewed once.
const RENEWED: f64 = 0.2;

/// Share of claims that are given back with messages left.
const RELEASED: f64 = 0.1;

/// Share of claims whose holder works for longer than its lease, and deletes then.
const OVERRUN: f64 = 0.02;

/// Share of those that ask for more time first, be it too late.
const LATE_RENEWAL: f64 = 0.5;

/// The workload.
pub(super) const KIND: Kind = Kind {
    name: "competing-consumers",
    about: "producers, and consumers that renew, release, overrun their lease, or crash",
    actions: &[
        Action {
            word: "post",
            weight: 10,
            act: |actor| Box::pin(post(actor)),
        },
        Action {
            word: "serve",
            weight: 12,
            act: |actor| Box::pin(serve(actor)),
        },
        Action {
            word: "crash",
            weight: 1,
            act: |actor| Box::pin(crash(actor)),
        },
    ],
    tune: |_| {},
    places: plain_places,
    set_up: no_set_up,
};

async fn post(actor: &mut Actor) {
    let queue = actor.queue();
    actor.post(&queue).await;
}

async fn serve(actor: &mut Actor) {
    let queue = actor.queue();
    let Some((claim, ids)) = actor.claim(&queue).await else {
        return;
    };
    let ttl_secs = actor.settings.claim_ttl_secs;
    if actor.chance(RENEWED) {
        actor.pause().await;
        actor.renew(&queue, &claim, ttl_secs).await;
    }
    if actor.chance(OVERRUN) {
        let lease = std::time::Duration::from_secs(ttl_secs);
        let share = rand::RngExt::random_range(&mut actor.random, 0.9..1.3);
        actor.process.world().sleep(lease.mul_f64(share)).await;
        if actor.chance(LATE_RENEWAL) {
            actor.renew(&queue, &claim, ttl_secs).await;
        }
    }
    let release = actor.chance(RELEASED);
    let served = if release { ids.len() / 2 } else { ids.len() };
    for id in ids.into_iter().take(served) {
        actor.delete(&queue, &claim, id).await;
    }
    if release {
        actor.release(&queue, &claim).await;
    }
}

/// Claims, and is never heard of again: the lease must run out.
async fn crash(actor: &mut Actor) {
    let queue = actor.queue();
    actor.claim(&queue).await;
}
