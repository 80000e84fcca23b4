//! A history, grouped: by message, by claim, by queue.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dead_letter::Attempts;
use super::log::{Act, Groups, Index, Log, Message, NONE, Op, Outcome, Place, Sight};
use super::parts::both;
use super::spans::merged;
use super::unanswered::Unanswered;
use crate::environment::{Instant, nanos};
use crate::history::{NOT_POSTS, QueueSettings, REPEATS};

/// What the history says, grouped.
pub(super) struct Facts<'l> {
    pub(super) log: &'l Log,
    /// Tokens seen that nobody posted, with the observation.
    pub(super) strangers: Vec<(u32, Index)>,
    /// By message, each in the order of invocations but for the first.
    pub(super) of_message: OfMessage,
    /// By claim: its number is its name's.
    pub(super) of_claim: OfClaim,
    /// By place.
    pub(super) queues: Vec<Queue>,
    /// Whose identifier it is, by its number.
    owner_of: Vec<u32>,
    /// When faults may have repeated posts on their way, in spans apart from each other.
    repeating: Vec<(Instant, Instant)>,
}

/// What concerns one message.
#[derive(Default)]
pub(super) struct OfMessage {
    /// Ok observations of it, in the order of their completions.
    pub(super) sightings: Groups,
    /// Deletes of it, by its identifier.
    pub(super) deletes: Groups,
    /// The same, of many messages at once.
    pub(super) bulk_deletes: Groups,
    /// Ok reads by its identifier that found it.
    pub(super) finds: Groups,
    /// Ok reads by its identifier that did not.
    pub(super) absences: Groups,
}

/// What was done with one claim, in the order of invocations.
#[derive(Default)]
pub(super) struct OfClaim {
    /// The claim that was granted, or [`NONE`].
    pub(super) grants: Vec<u32>,
    pub(super) renewals: Groups,
    /// Renewals that did not end ok, and may tell that the lease is over: not those that were never sent, or refused
    /// for what they said.
    pub(super) failed_renewals: Groups,
    pub(super) releases: Groups,
    /// Ok looks at the claim.
    pub(super) reads: Groups,
    /// Along `renewals`: the latest end of those that ended ok, from the first of its claim on.
    pub(super) renewed_until: Vec<Instant>,
    /// Along `renewals`: whether the lease was certain when it ended ok. What comes later may have found a lease
    /// that one clock had ended and another had not: it proves nothing about what others could be given.
    pub(super) is_sure: Vec<bool>,
    /// Along `renewals`: the latest end of a lease by those without an answer.
    pub(super) maybe_until: Vec<Instant>,
}

/// One queue's operations that concern all of its messages, in the order of their invocations.
#[derive(Default)]
pub(super) struct Queue {
    /// Everything but reads.
    pub(super) operations: Vec<Index>,
    /// Ok claims and pops.
    pub(super) takes: Vec<Index>,
    /// Claims and pops without an answer.
    pub(super) unanswered: Unanswered,
    pub(super) messages: Vec<u32>,
    /// Purges and deletes of the queue that may have happened.
    pub(super) sweeps: Acts,
    /// Ok looks at its counts.
    pub(super) stats: Vec<Index>,
    /// Operations that may have changed its settings, and those that may have deleted it.
    pub(super) settings: Acts,
    pub(super) deletions: Acts,
    /// Where its messages may go that were handed out too often.
    pub(super) dead_letters: Vec<DeadLetters>,
    /// Its claims and pops, if its messages may be handed out too often.
    pub(super) attempts: Attempts,
    /// The longest delay of messages that name none.
    pub(super) longest_delay: Duration,
}

impl Queue {
    /// From the first sweep on that may have acted at `from` or later: those before have not.
    pub(super) fn sweeps_from(&self, from: Instant) -> &[Index] {
        let acted = &self.sweeps.acted_until;
        let first = acted.partition_point(|&until| until < from);
        &self.sweeps.operations[first..]
    }
}

/// Some of a queue's operations, in the order of their invocations.
#[derive(Default)]
pub(super) struct Acts {
    pub(super) operations: Vec<Index>,
    /// Along them: the latest instant at which any of those so far may have acted.
    acted_until: Vec<Instant>,
}

impl Acts {
    fn push(&mut self, index: Index, acts_until: Instant) {
        let before = self.acted_until.last().copied();
        self.operations.push(index);
        let until = before.map_or(acts_until, |before| acts_until.max(before));
        self.acted_until.push(until);
    }

    /// Whether none of those that began by `until`, but for the `last` that did if there is one, may have acted at
    /// `from` or later.
    fn is_over(
        &self,
        facts: &Facts<'_>,
        (from, until): (Instant, Instant),
        last: Option<Index>,
    ) -> bool {
        let began = |&index: &Index| facts.op(index).invoked_at <= until;
        let began = self.operations.partition_point(began);
        let (rest, is_last) = match last {
            None => (began, true),
            Some(last) => {
                let newest = began.checked_sub(1);
                let is_last = newest.is_some_and(|newest| self.operations[newest] == last);
                (newest.unwrap_or(0), is_last)
            }
        };
        is_last
            && rest
                .checked_sub(1)
                .is_none_or(|rest| self.acted_until[rest] < from)
    }
}

/// What may be settled about messages that were handed out too often.
#[derive(Clone, Copy)]
pub(super) struct DeadLetters {
    pub(super) target: Place,
    pub(super) max_claim_count: u64,
    /// How long they live there, if not for what is left of their life.
    pub(super) ttl_secs: Option<u64>,
}

impl<'l> Facts<'l> {
    /// Gathers them, on so many threads.
    pub(super) fn gather(log: &'l Log, threads: usize) -> Self {
        let mut facts = Self {
            log,
            strangers: Vec::new(),
            of_message: OfMessage::default(),
            of_claim: OfClaim::default(),
            queues: Vec::new(),
            owner_of: Vec::new(),
            repeating: repeating(log),
        };
        let ((sightings, strangers), owner_of) =
            both(threads, || facts.sightings(), || owners(log));
        facts.of_message.sightings = sightings;
        facts.strangers = strangers;
        facts.owner_of = owner_of;
        let ([deletes, bulk_deletes, finds, absences], (of_claim, queues)) = both(
            threads,
            || facts.named(),
            || (facts.claims(), facts.queues()),
        );
        facts.of_message.deletes = deletes;
        facts.of_message.bulk_deletes = bulk_deletes;
        facts.of_message.finds = finds;
        facts.of_message.absences = absences;
        facts.of_claim = of_claim;
        facts.queues = queues;
        facts
    }

    /// Ok observations by message, and those of what nobody posted.
    fn sightings(&self) -> (Groups, Vec<(u32, Index)>) {
        let log = self.log;
        let mut strangers = Vec::new();
        let mut sightings = Vec::with_capacity(log.seen.len());
        for (index, op) in log.numbered() {
            let before = sightings.len();
            for sight in self.seen(op) {
                match log.message_of(sight.token) {
                    None => strangers.push((sight.token, index)),
                    // One answer is one observation, however often it repeats itself.
                    Some(message) if !sightings[before..].contains(&(message, index)) => {
                        sightings.push((message, index));
                    }
                    Some(_) => {}
                }
            }
        }
        let mut sightings = Groups::of(log.messages.len(), &sightings);
        sightings.sort_by_key(|index| (log.op(index).completed_at, index));
        (sightings, strangers)
    }

    /// By message: deletes, alone and of many, and ok reads that found it and that did not.
    fn named(&self) -> [Groups; 4] {
        let log = self.log;
        let [mut bulk_deletes, mut finds, mut absences] = [const { Vec::new() }; 3];
        let mut deletes = Vec::with_capacity(log.messages.len());
        for (index, op) in log.numbered() {
            let is_shown = |id: u32| self.seen(op).iter().any(|sight| sight.id == id);
            for &id in log.ids(op) {
                let list = if matches!(op.act, Act::Delete { .. }) {
                    &mut deletes
                } else if matches!(op.act, Act::BulkDelete { .. }) {
                    &mut bulk_deletes
                } else if !op.is_ok() {
                    continue;
                } else if is_shown(id) {
                    &mut finds
                } else {
                    &mut absences
                };
                list.extend(self.owner(id).map(|message| (message, index)));
            }
        }
        let of = |pairs: Vec<(u32, u32)>| Groups::of(log.messages.len(), &pairs);
        [deletes, bulk_deletes, finds, absences].map(of)
    }

    fn claims(&self) -> OfClaim {
        let log = self.log;
        let mut grants = vec![NONE; log.claims.count()];
        let [mut renewals, mut failed, mut releases, mut reads] = [const { Vec::new() }; 4];
        for (index, op) in log.numbered() {
            let claim = op.claim();
            if claim == NONE {
                continue;
            }
            if matches!(op.act, Act::Claim { .. }) {
                let grant = &mut grants[claim as usize];
                *grant = index.min(*grant);
            } else if matches!(op.act, Act::Renew { .. }) {
                renewals.push((claim, index));
                let is_nothing = matches!(
                    op.outcome,
                    Outcome::Fail {
                        status: None | Some(400)
                    }
                );
                if !op.is_ok() && !is_nothing {
                    failed.push((claim, index));
                }
            } else if matches!(op.act, Act::Release { .. }) {
                releases.push((claim, index));
            } else if matches!(op.act, Act::ClaimGet { .. }) && op.is_ok() {
                reads.push((claim, index));
            }
        }
        let of = |pairs: Vec<(u32, u32)>| Groups::of(log.claims.count(), &pairs);
        let renewals = of(renewals);
        let mut renewed_until = Vec::with_capacity(renewals.items().len());
        let mut maybe_until = Vec::with_capacity(renewals.items().len());
        let mut is_sure = Vec::with_capacity(renewals.items().len());
        let mut last = Renewed::of(self, NONE, NONE);
        for &index in renewals.items() {
            let op = log.op(index);
            if last.claim != op.claim() {
                last = Renewed::of(self, op.claim(), grants[op.claim() as usize]);
            }
            is_sure.push(last.add(self, op));
            renewed_until.push(last.renewed);
            maybe_until.push(last.maybe);
        }
        OfClaim {
            grants,
            renewals,
            failed_renewals: of(failed),
            releases: of(releases),
            reads: of(reads),
            renewed_until,
            is_sure,
            maybe_until,
        }
    }

    fn queues(&self) -> Vec<Queue> {
        let log = self.log;
        let mut queues: Vec<Queue> = Vec::new();
        queues.resize_with(log.queues.count(), Queue::default);
        for (index, op) in log.numbered() {
            let queue = &mut queues[op.place as usize];
            if !op.is_read() {
                queue.operations.push(index);
            }
            match op.act {
                Act::Post { first, count } => queue.messages.extend(first..first + count),
                Act::Claim { .. } | Act::Pop { .. } => match op.outcome {
                    Outcome::Ok => queue.takes.push(index),
                    Outcome::Info => queue.unanswered.takes.push(index),
                    Outcome::Fail { .. } => {}
                },
                Act::Stats { .. } => queue.stats.push(index),
                Act::Purge | Act::DeleteQueue if op.is_possible() => {
                    let acts = self.acts_until(op);
                    if op.act == Act::DeleteQueue {
                        queue.deletions.push(index, acts);
                    }
                    queue.sweeps.push(index, acts);
                }
                // What exists keeps the settings that it has. If nobody here gave it any, somebody did before,
                // most likely the same.
                Act::CreateQueue {
                    settings,
                    was_there: true,
                } if queue.settings.operations.is_empty() => {
                    self.settle(queue, op.place, &log.settings[settings as usize]);
                }
                Act::CreateQueue {
                    settings,
                    was_there: false,
                }
                | Act::SetMetadata { settings }
                    if op.is_possible() =>
                {
                    queue.settings.push(index, self.acts_until(op));
                    self.settle(queue, op.place, &log.settings[settings as usize]);
                }
                Act::Purge
                | Act::DeleteQueue
                | Act::CreateQueue { .. }
                | Act::SetMetadata { .. }
                | Act::ClaimGet { .. }
                | Act::Renew { .. }
                | Act::Release { .. }
                | Act::Delete { .. }
                | Act::BulkDelete { .. }
                | Act::Get { .. }
                | Act::GetMany { .. }
                | Act::List { .. }
                | Act::Subscribe { .. } => {}
            }
        }
        for queue in &mut queues {
            queue.unanswered.settle(self);
            if !queue.dead_letters.is_empty() {
                let takes = queue.takes.iter().chain(&queue.unanswered.takes);
                queue.attempts = Attempts::of(self, takes.copied());
            }
        }
        queues
    }

    fn settle(&self, queue: &mut Queue, place: Place, settings: &QueueSettings) {
        let delay = Duration::from_secs(settings.default_delay_secs.unwrap_or(0));
        queue.longest_delay = queue.longest_delay.max(delay);
        queue
            .dead_letters
            .extend(self.dead_letters(place, settings));
    }

    /// Where messages of the queue at `place` go that were handed out too often, if those are its settings.
    pub(super) fn dead_letters(
        &self,
        place: Place,
        settings: &QueueSettings,
    ) -> Option<DeadLetters> {
        let target = settings.dead_letter_queue.as_ref()?;
        let project = self.log.queues.scope(place);
        Some(DeadLetters {
            // A queue that nobody ever used: nothing can be seen there.
            target: self.log.queues.find(project, target).unwrap_or(NONE),
            max_claim_count: settings.max_claim_count?,
            ttl_secs: settings.dead_letter_ttl_secs,
        })
    }

    /// The settings that certainly hold for the queue from `from` to `until`: those of the last answered operation
    /// that gave it any before, if nothing else may change or remove them meanwhile.
    pub(super) fn settled(
        &self,
        queue: &Queue,
        (from, until): (Instant, Instant),
    ) -> Option<&'l QueueSettings> {
        let operations = &queue.settings.operations;
        let began = operations.partition_point(|&index| self.op(index).invoked_at <= from);
        let last = *operations[..began].last()?;
        let op = self.op(last);
        let (Act::CreateQueue { settings, .. } | Act::SetMetadata { settings }) = op.act else {
            return None;
        };
        let is_certain = op.is_ok()
            && op.completed_at <= from
            && queue
                .settings
                .is_over(self, (op.invoked_at, until), Some(last))
            && queue.deletions.is_over(self, (op.invoked_at, until), None);
        is_certain.then(|| &self.log.settings[settings as usize])
    }

    /// Whether a fault may have sent the post twice.
    pub(super) fn may_be_repeated(&self, post: &Op) -> bool {
        let over = |&(_, until): &(Instant, Instant)| until < post.invoked_at;
        let next = self.repeating.get(self.repeating.partition_point(over));
        next.is_some_and(|&(from, _)| from <= self.acts_until(post))
    }

    /// Whether the message may be seen there: where it was posted, or where its queue moves what is handed out too
    /// often, or where that one moves it on.
    pub(super) fn is_home(&self, message: &Message, place: Place) -> bool {
        place == message.home || self.moves_lead(message.home, place)
    }

    /// Whether dead letters of one queue come to the other, by one move or more.
    fn moves_lead(&self, from: Place, place: Place) -> bool {
        if self.queue(from).dead_letters.is_empty() {
            return false;
        }
        let mut known = vec![from];
        let mut next = 0;
        while let Some(&from) = known.get(next) {
            next += 1;
            let targets = self.queue(from).dead_letters.iter().map(|to| to.target);
            for target in targets.filter(|&target| target != NONE) {
                if target == place {
                    return true;
                }
                if !known.contains(&target) {
                    known.push(target);
                }
            }
        }
        false
    }

    /// Whether the message has the rank of its post in the queue at `place`. What was moved has the rank of its move,
    /// also if it was moved back.
    pub(super) fn is_in_order(&self, message: &Message, place: Place) -> bool {
        place == message.home && !self.moves_lead(place, place)
    }

    /// By when the message certainly had been posted, if it ever was: its post had acted, or somebody had seen it or
    /// another of its batch.
    pub(super) fn posted_by(&self, message: u32) -> Instant {
        let post = self.op(self.log.messages[message as usize].post);
        let acts_until = self.acts_until(post);
        let Act::Post { first, count } = post.act else {
            return acts_until;
        };
        if !post.is_info() {
            return acts_until;
        }
        let seen = (first..first + count).filter_map(|other| {
            let sightings = self.of_message.sightings.get(other);
            sightings.first().map(|&seen| self.op(seen).completed_at)
        });
        seen.fold(acts_until, Instant::min).max(post.invoked_at)
    }

    /// What tells that the message had been posted, if its post has no answer: the first look at it.
    pub(super) fn told_by_sight(&self, message: u32) -> Option<Index> {
        let post = self.op(self.log.messages[message as usize].post);
        let sightings = self.of_message.sightings.get(message);
        sightings.first().copied().filter(|_| post.is_info())
    }

    /// The message whose identifier it is, if anybody said so.
    pub(super) fn owner(&self, id: u32) -> Option<u32> {
        Some(self.owner_of[id as usize]).filter(|&owner| owner != NONE)
    }

    /// Whether the operation names an identifier that nobody saw where it is named.
    pub(super) fn names_unseen(&self, op: &Op) -> bool {
        let mut ids = self.log.ids(op).iter();
        ids.any(|&id| self.owner_of[id as usize] == NONE)
    }

    pub(super) fn op(&self, index: Index) -> &'l Op {
        self.log.op(index)
    }

    /// Those of `operations`, in the order of invocations, that began at `from` or later. If that is not
    /// long after `near` began, the first of them is found without a look at those far away.
    pub(super) fn begun_from<'o>(
        &self,
        operations: &'o [Index],
        (near, from): (Index, Instant),
    ) -> &'o [Index] {
        let begun_before = |&index: &Index| self.op(index).invoked_at < from;
        if self.op(near).invoked_at >= from {
            return &operations[operations.partition_point(begun_before)..];
        }
        // Nothing that was numbered by then began later than it.
        let mut rest = &operations[operations.partition_point(|&index| index <= near)..];
        let mut step = 1;
        while let Some((passed, beyond)) = rest.split_at_checked(step)
            && passed.last().is_some_and(begun_before)
        {
            rest = beyond;
            step *= 2;
        }
        let passed = rest.len().min(step);
        &rest[rest[..passed].partition_point(begun_before)..]
    }

    /// The queue at that place.
    pub(super) fn queue(&self, place: Place) -> &Queue {
        &self.queues[place as usize]
    }

    /// The messages that the answer shows. What a post was told is no observation.
    pub(super) fn seen(&self, op: &Op) -> &'l [Sight] {
        if matches!(op.act, Act::Post { .. }) {
            return &[];
        }
        op.seen.of(&self.log.seen)
    }

    /// The slack ε.
    pub(super) fn slack(&self) -> Duration {
        self.log.header.slack()
    }

    /// The latest instant at which a possible operation can have acted: `c`, or `i + λ`.
    pub(super) fn acts_until(&self, op: &Op) -> Instant {
        if op.is_info() {
            self.log.header.latest_effect(op.invoked_at)
        } else {
            op.completed_at
        }
    }

    /// When the history ends, as far as it tells.
    pub(super) fn ends_at(&self) -> Instant {
        let last = self.last_invoked_at();
        let phases = self.log.phases.iter().map(|&(at, _)| at);
        phases.fold(last, Instant::max)
    }

    /// When the last operation began.
    pub(super) fn last_invoked_at(&self) -> Instant {
        let last = self.log.operations.last();
        last.map_or(Instant::START, |op| op.invoked_at)
    }
}

/// What is known of one claim, renewal by renewal.
struct Renewed {
    claim: u32,
    /// The latest end of those that ended ok.
    renewed: Instant,
    /// The latest end of a lease by those without an answer.
    maybe: Instant,
    /// The early end of the lease so far, and the latest end of what it goes back to.
    sure_until: (Instant, Instant),
    /// The late end of the lease so far.
    possible_until: Instant,
}

impl Renewed {
    /// Before the first renewal of `claim`, which `grant` granted.
    fn of(facts: &Facts<'_>, claim: u32, grant: u32) -> Self {
        let (sure, possible) = if grant == NONE {
            (Instant::NEVER, Instant::NEVER)
        } else {
            let granted = facts.op(grant);
            (facts.lease_ends_from(granted), facts.lease_ends_by(granted))
        };
        Self {
            claim,
            renewed: Instant::START,
            maybe: Instant::START,
            sure_until: (sure, Instant::START),
            possible_until: possible,
        }
    }

    /// The next renewal, in the order of invocations. Whether it surely found the lease.
    fn add(&mut self, facts: &Facts<'_>, op: &Op) -> bool {
        if op.is_info() {
            // What begins when the lease is surely over cannot prolong it.
            if op.invoked_at <= self.possible_until {
                self.maybe = facts.lease_ends_by(op).max(self.maybe);
                self.possible_until = self.possible_until.max(self.maybe);
            }
            return false;
        }
        if !op.is_ok() {
            return false;
        }
        self.renewed = op.completed_at.max(self.renewed);
        self.possible_until = facts.lease_ends_by(op).max(self.possible_until);
        let (sure, settled) = self.sure_until;
        if op.completed_at >= sure {
            return false;
        }
        let ends_from = facts.lease_ends_from(op);
        // Of two at once, nobody knows which came last.
        let ends_from = if op.invoked_at < settled {
            ends_from.min(sure)
        } else {
            ends_from
        };
        self.sure_until = (ends_from, op.completed_at.max(settled));
        true
    }
}

/// Whose each identifier is: whose it was said to be when it was posted, or else where it was seen first.
fn owners(log: &Log) -> Vec<u32> {
    let mut owners = vec![NONE; log.ids.count()];
    for op in &log.operations {
        let is_post = matches!(op.act, Act::Post { .. });
        for sight in log.seen(op) {
            let owner = &mut owners[sight.id as usize];
            if is_post || *owner == NONE {
                *owner = log.message_of(sight.token).unwrap_or(NONE);
            }
        }
    }
    owners
}

/// When faults that may repeat posts were there, in spans apart from each other.
fn repeating(log: &Log) -> Vec<(Instant, Instant)> {
    let mut heals: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
    for (at, fault) in &log.heals {
        heals.entry(fault).or_default().push(*at);
    }
    let repeats = |fault: &str| fault.contains(REPEATS) && !fault.contains(NOT_POSTS);
    let repeating = log.faults.iter().filter(|(_, fault)| repeats(fault));
    let spans = repeating.map(|(from, fault)| {
        let heals = heals.get(fault.as_str()).map_or(&[][..], Vec::as_slice);
        let healed = heals.get(heals.partition_point(|at| at < from));
        (*from, healed.copied().unwrap_or(Instant::NEVER))
    });
    merged(spans.collect())
}

/// That many seconds; at most what an instant can hold.
pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs.min(nanos(Duration::MAX) / 1_000_000_000))
}
