//! `claims/dead-letter`: what left its queue for the dead-letter queue has to arrive there.
//!
//! Told of a message that certainly had left its queue, when nothing but a move can have taken it, and that
//! a look at the whole dead-letter queue, begun later, does not find. A look at a whole queue is a walk from
//! its head to an empty page that leaves nothing out, or a claim or pop that came back short.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::findings::Findings;
use super::known::Known;
use super::log::{Act, Index, Place};
use super::pages::shows_all;
use super::telling::Telling;
use crate::environment::Instant;

/// A look at a whole queue.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) began_at: Instant,
    pub(super) ended_at: Instant,
    /// The operation that told that nothing more was there.
    pub(super) told: Index,
    /// Whether it shows what is claimed or delayed.
    shows_all: bool,
}

/// The looks at queues that have a dead-letter queue, and at dead-letter queues.
pub(super) struct Looks {
    /// By place, in the order in which they began.
    of_place: BTreeMap<Place, Vec<Look>>,
    /// By place, when the first delete began of an identifier that nobody saw there: what was moved keeps its
    /// identifier, so it may be known from where it was.
    unseen_deleted_from: BTreeMap<Place, Instant>,
}

impl Looks {
    /// Along walks, and by `telling` takes, which are by place.
    pub(super) fn of(facts: &Facts<'_>, walks: &[Vec<Index>], telling: &[Vec<Telling>]) -> Self {
        let mut of_place: BTreeMap<Place, Vec<Look>> = BTreeMap::new();
        for (place, queue) in (0..).zip(&facts.queues) {
            for to in &queue.dead_letters {
                of_place.entry(place).or_default();
                if (to.target as usize) < facts.queues.len() {
                    of_place.entry(to.target).or_default();
                }
            }
        }
        for pages in walks {
            if let Some(looks) = of_place.get_mut(&facts.op(pages[0]).place) {
                looks.extend(walk(facts, pages));
            }
        }
        for (&place, looks) in &mut of_place {
            let takes = telling[place as usize].iter();
            let short = takes.filter(|take| take.is_short).map(|take| {
                let op = facts.op(take.index);
                Look {
                    began_at: op.invoked_at,
                    ended_at: op.completed_at,
                    told: take.index,
                    shows_all: false,
                }
            });
            looks.extend(short);
            looks.sort_by_key(|look| (look.began_at, look.told));
        }
        let unseen_deleted_from = of_place.keys().filter_map(|&place| {
            let operations = facts.queue(place).operations.iter();
            let mut operations = operations.map(|&index| facts.op(index));
            let first = operations.find(|op| {
                let is_delete = matches!(op.act, Act::Delete { .. } | Act::BulkDelete { .. });
                is_delete && op.is_possible() && facts.names_unseen(op)
            });
            first.map(|op| (place, op.invoked_at))
        });
        Self {
            unseen_deleted_from: unseen_deleted_from.collect(),
            of_place,
        }
    }

    fn unseen_deleted_from(&self, place: Place) -> Option<Instant> {
        self.unseen_deleted_from.get(&place).copied()
    }

    /// Looks at `place` that began later than that: in one instant either may have come first.
    fn after(&self, place: Place, at: Instant) -> &[Look] {
        let looks = self.of_place.get(&place).map_or(&[][..], Vec::as_slice);
        &looks[looks.partition_point(|look| look.began_at <= at)..]
    }
}

/// The walk, if it is a look at the whole queue.
pub(super) fn walk(facts: &Facts<'_>, pages: &[Index]) -> Option<Look> {
    let first = facts.op(pages[0]);
    let shows_all = shows_all(facts, pages);
    let is_empty = |&&page: &&Index| facts.seen(facts.op(page)).is_empty();
    let told = *pages.iter().find(is_empty)?;
    shows_all.then(|| Look {
        began_at: first.invoked_at,
        ended_at: facts.op(told).completed_at,
        told,
        shows_all,
    })
}

/// Judges a message of a queue whose settings are certain; `target` is where its dead letters go.
pub(super) fn nowhere(known: &Known<'_>, target: Place, looks: &Looks, findings: &mut Findings) {
    let facts = known.facts;
    // A repeated post is two messages under one token.
    if known.moved_from == Instant::NEVER || facts.may_be_repeated(known.post) {
        return;
    }
    let is_chained = |place: Place| !facts.queue(place).dead_letters.is_empty();
    let home = known.message.home;
    if (target as usize) >= facts.queues.len() || is_chained(target) {
        return;
    }
    // By when nothing but a move can have taken it from its queue.
    let popped_from = |place: Place, from: Instant| {
        let popped = facts.queue(place).unanswered.popped_from(facts, from);
        popped.unwrap_or(Instant::NEVER)
    };
    let taken_from = known.removed_from();
    let untaken_until = taken_from.min(popped_from(home, known.post.invoked_at));
    let Some((left, left_at)) = left(known, looks, untaken_until) else {
        return;
    };
    // What was seen there arrived.
    let arrived = |&seen: &Index| facts.op(seen).place == target;
    if known.sightings.iter().any(arrived) {
        findings.exercised += 1;
        return;
    }
    // They come in the order of their invocations.
    let swept = facts.queue(target).sweeps_from(known.moved_from).first();
    let swept_from = swept.map(|&index| facts.op(index).invoked_at);
    let excuses = swept_from
        .into_iter()
        .chain(looks.unseen_deleted_from(target));
    let stays_until = lives_there_until(known)
        .min(taken_from)
        .min(popped_from(target, known.moved_from))
        .min(excuses.min().unwrap_or(Instant::NEVER));
    let unanswered = &facts.queue(target).unanswered;
    let attempts = &known.queue.attempts;
    let active_from = left_at.plus(facts.slack());
    let tells = |look: &&Look| {
        let span = (look.began_at, look.ended_at);
        let may_be_kept_back = !look.shows_all
            && (look.began_at < active_from || unanswered.may_hold(facts, known.moved_from, span));
        // Nobody says that a move is one step.
        let may_be_moving = attempts.are_under_way(look.began_at);
        look.ended_at < stays_until && !may_be_kept_back && !may_be_moving
    };
    let later = looks.after(target, left_at).iter();
    let mut later = later.take_while(|look| look.began_at < stays_until);
    let Some(look) = later.find(tells) else {
        return;
    };
    findings.exercised += 1;
    findings.violate(known.message.token, || {
        let summary = format!(
            "moved to nowhere: it had left its queue by {left_at}, and was not in its dead-letter \
             queue at {}",
            look.began_at
        );
        let proof = [known.message.post, left, look.told].into_iter();
        let deliveries = known.deliveries.iter().copied();
        (summary, proof.chain(deliveries).collect())
    });
}

/// The first operation that tells that the message, which had not expired, was not in its queue any more, and
/// could have been moved; and when it ended.
fn left(known: &Known<'_>, looks: &Looks, until: Instant) -> Option<(Index, Instant)> {
    let facts = known.facts;
    let stored_from = known.stored_from?;
    let home = known.message.home;
    let until = until.min(known.lives_until);
    let counts = |ended_at: Instant| ended_at < until && known.moved_from <= ended_at;
    // What was seen at home later had not left before.
    let seen = known.sightings.iter().map(|&index| facts.op(index));
    let seen = seen.filter(|op| op.place == home).map(|op| op.completed_at);
    let after = seen.max().unwrap_or(stored_from).max(stored_from);
    let absences = facts.of_message.absences.get(known.number).iter().copied();
    let absences = absences.filter(|&index| {
        let op = facts.op(index);
        op.place == home && after < op.invoked_at && counts(op.completed_at)
    });
    let ended = absences.map(|index| (index, facts.op(index).completed_at));
    let active_from = stored_from
        .plus(facts.delay_at_most(known.message))
        .plus(facts.slack());
    let is_missing = |look: &&Look| {
        let span = (look.began_at, look.ended_at);
        let is_shown = look.shows_all || active_from <= look.began_at;
        is_shown && counts(look.ended_at) && (look.shows_all || !known.may_be_held(span.0, span.1))
    };
    let later = looks.after(home, after).iter();
    let mut later = later.take_while(|look| look.began_at < until);
    let look = later.find(is_missing);
    let look = look.map(|look| (look.told, look.ended_at));
    ended.chain(look).min_by_key(|&(index, at)| (at, index))
}

/// Until when the message certainly has not expired in its dead-letter queue.
fn lives_there_until(known: &Known<'_>) -> Instant {
    let settings = known.settled_until(Instant::NEVER);
    let Some(ttl_secs) = settings.and_then(|settings| settings.dead_letter_ttl_secs) else {
        return known.lives_until;
    };
    known.lives_moved_until(ttl_secs)
}
