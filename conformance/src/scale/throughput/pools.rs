//! The same clients, with more and more pools behind the target.
//!
//! A queue stays on the pool where it was put. So each step has queues of its own, which were created when there were so
//! many pools, and all steps can be visited in turn.

use std::sync::Arc;

use super::super::judge;
use super::super::operator::{Operator, Pool};
use super::super::outcome::Outcome;
use super::super::rig::{Fell, Rig};
use super::{Climbed, PROJECT, Visit, climbed, queue, remove};

/// Pools that are added at most, one after the other: enough for a fit.
const ADDED_MAX: u32 = 3;

/// The weight of new pools where there were none.
const WEIGHT: u64 = 100;

/// Steps that a fit takes.
const STEPS_MIN: usize = 3;

/// The number of the first new pool: no pool of the ladder `elastic` has it.
const FIRST_NAME: u32 = 10;

/// Climbs the axis; nothing is said of a target that shows no pools.
pub(super) async fn climb(rig: &Arc<Rig>) -> Option<Outcome> {
    let operator = Operator::new(rig);
    let pools = operator.pools().await?;
    let (visits, fell) = prepare(rig, &operator, &pools).await;
    let Climbed { steps, doubt } = climbed(rig, &visits).await;
    remove(rig, &visits).await;
    for number in 0..ADDED_MAX {
        // Those that were never added are refused.
        drop(operator.remove(&operator.name(FIRST_NAME + number)).await);
    }
    let mut judged = judge::throughput("pools", (steps, doubt), &rig.judge);
    if let Some(Fell(why)) = fell {
        let reached = visits.last().map_or(0, |visit| visit.n);
        let next = u64::try_from(reached + 1).unwrap_or(u64::MAX);
        judge::ended_at(&mut judged, next, &why);
    }
    Some(judged)
}

/// Adds pools, and creates the queues of each step; why there are no more, if the target did not follow.
async fn prepare(
    rig: &Arc<Rig>,
    operator: &Operator,
    pools: &[Pool],
) -> (Vec<Visit>, Option<Fell>) {
    // As heavy as the heaviest, so that every pool has its part.
    let weight = pools.iter().map(|pool| pool.weight).max();
    let weight = weight.unwrap_or(WEIGHT).max(1);
    let mut visits = Vec::new();
    if !pools.is_empty()
        && let Err(why) = create(rig, pools.len(), &mut visits).await
    {
        return (visits, Some(why));
    }
    let mut spare = operator.spare_stores(pools);
    for number in 0..ADDED_MAX {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(uri) = spare.next() else {
            let why = "the target names no further spare store: see `pool_uris` in its file";
            let is_enough = visits.len() >= STEPS_MIN;
            return (visits, (!is_enough).then(|| Fell(why.to_owned())));
        };
        let name = operator.name(FIRST_NAME + number);
        if let Err(why) = operator.put(&name, &uri, weight).await {
            return (visits, Some(why));
        }
        if let Err(why) = create(rig, pools.len() + index + 1, &mut visits).await {
            return (visits, Some(why));
        }
    }
    (visits, None)
}

/// Creates the queues of a step, on as many pools as there are now.
async fn create(rig: &Arc<Rig>, pools: usize, visits: &mut Vec<Visit>) -> Result<(), Fell> {
    let visit = Visit {
        n: pools,
        clients: usize::try_from(rig.options.clients_max).unwrap_or(1),
        queues: format!("throughput-on-{pools}"),
    };
    let (clients, queues) = (visit.clients, visit.queues.clone());
    visits.push(visit);
    let mut client = rig.client(PROJECT);
    for number in 0..clients {
        client.create(queue(&queues, number)).await?;
    }
    Ok(())
}
