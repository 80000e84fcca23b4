//! The messages of one queue, followed through its answers: which are active for certain, which may be
//! held, and which an answer leaves out.
//!
//! Every message is looked at when an answer may be blamed for it, and put aside for as long as a claim
//! may hold it. So what an answer costs is what it shows, and what it ought to have shown.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::iter::Peekable;

use super::facts::{Facts, Queue};
use super::known::Known;
use super::log::{Act, Index};
use super::marks::{Mark, Marks};
use super::order::producer;
use super::telling::{is_popped_by, unanswered_takes};
use crate::environment::Instant;

/// A message that a short answer may be blamed for.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) message: u32,
    /// From when on it is active for certain, leases apart.
    pub(super) active_from: Instant,
    /// Until when.
    pub(super) active_until: Instant,
    /// Whether it was missing once, and something without an answer explains that: a pop, or a removal
    /// of it by name.
    pub(super) is_accounted_for: bool,
    /// Whether nobody was told that it is stored, but others of its batch are.
    pub(super) is_inferred: bool,
    /// Whether what ends its being active is a removal, and not its lifetime.
    pub(super) may_be_taken: bool,
}

impl Candidate {
    /// The message, if somebody was told that it is stored, or if it was seen.
    pub(super) fn of(facts: &Facts<'_>, marks: &Marks, number: u32) -> Option<Self> {
        let message = &facts.log.messages[number as usize];
        let mark = &marks[number];
        let is_inferred = mark.stored_from == Instant::NEVER;
        let stored_from = if is_inferred {
            batch_stored_from(facts, marks, number)?
        } else {
            mark.stored_from
        };
        let active_from = stored_from.plus(facts.delay_at_most(message));
        Some(Self {
            message: number,
            active_from: active_from.plus(facts.slack()),
            active_until: mark.active_until,
            is_accounted_for: false,
            is_inferred,
            may_be_taken: mark.may_be_taken,
        })
    }

    /// The same, after all answers, of which the last with room for more began at `last_short_at`. What
    /// something may have taken away by name was not there when somebody looked: no more will be known of it.
    pub(super) fn looked_for(mut self, last_short_at: Option<Instant>) -> Self {
        let is_gone = last_short_at.is_some_and(|at| self.active_until <= at);
        self.is_accounted_for |= self.may_be_taken && is_gone;
        self
    }

    /// Whether nobody can tell what became of it: it was never handed out, though nothing certainly
    /// took it away; or it was, and its holder never finished, and nobody looked again.
    pub(super) fn is_open(&self, mark: &Mark, end: Instant) -> bool {
        let is_settled = self.is_accounted_for || mark.is_removed;
        !is_settled && !self.is_inferred && (mark.deliveries == 0 || self.active_until > end)
    }
}

/// The order in which messages are older than others: by producer, by the latest effect of the post, and
/// within a batch by place.
type Age = (u32, Instant, u32);

/// The queue's messages while its answers are judged, one after the other, in the order of time.
pub(super) struct Sweep<'f> {
    facts: &'f Facts<'f>,
    marks: &'f Marks,
    queue: &'f Queue,
    /// Messages that are not active yet, by when they are.
    waiting: Peekable<std::vec::IntoIter<(Instant, u32)>>,
    /// Those that every answer had to hold, unless something explains their absence.
    active: BTreeMap<Age, Candidate>,
    /// The same, after an answer with something younger left them out: that is told once.
    passed: BTreeMap<Age, Candidate>,
    /// Those that a claim may hold, by when its lease has ended for certain; and their places.
    held: BinaryHeap<(Reverse<Instant>, usize)>,
    asleep: Vec<Asleep>,
    /// Places among those that are free again.
    places: Vec<usize>,
    /// Those that are never judged again.
    past: Vec<Candidate>,
}

/// A message that a claim may hold.
#[derive(Clone, Copy)]
struct Asleep {
    candidate: Candidate,
    was_passed: bool,
}

/// What one answer left out.
#[derive(Default)]
pub(super) struct LeftOut {
    /// Whatever it showed: it had room.
    pub(super) missing: Vec<u32>,
    /// Those that are older than what it showed, each with something younger.
    pub(super) passed: Vec<(u32, u32)>,
    /// Whether it could have shown something younger than what it left out.
    pub(super) could_pass: bool,
}

impl<'f> Sweep<'f> {
    /// Of candidates in the order in which they become active, by when they do.
    pub(super) fn of(
        (facts, marks): (&'f Facts<'f>, &'f Marks),
        queue: &'f Queue,
        waiting: Vec<(Instant, u32)>,
    ) -> Self {
        Self {
            facts,
            marks,
            queue,
            waiting: waiting.into_iter().peekable(),
            active: BTreeMap::new(),
            passed: BTreeMap::new(),
            held: BinaryHeap::new(),
            asleep: Vec::new(),
            places: Vec::new(),
            past: Vec::new(),
        }
    }

    fn age(&self, message: u32) -> Age {
        let posted_by = self.facts.posted_by(message);
        (producer(self.facts, message), posted_by, message)
    }

    /// Those that nothing holds, told or not.
    fn awake(&mut self, was_passed: bool) -> &mut BTreeMap<Age, Candidate> {
        if was_passed {
            &mut self.passed
        } else {
            &mut self.active
        }
    }

    /// Judges the answer of `take`, which begins when the one before did or later.
    pub(super) fn judge(&mut self, take: Index, is_short: bool) -> LeftOut {
        let from = self.facts.op(take).invoked_at;
        while let Some((_, message)) = self.waiting.next_if(|&(active, _)| active <= from) {
            let candidate = Candidate::of(self.facts, self.marks, message);
            let candidate = candidate.expect("invariant: it is one whenever it is asked");
            // Takes come in the order of time: it is never judged again.
            if candidate.active_until <= from {
                self.past.push(candidate);
            } else {
                self.active.insert(self.age(message), candidate);
            }
        }
        self.wake(from);
        let mut left_out = LeftOut::default();
        if is_short {
            left_out.missing = self.missing(take);
        } else {
            self.pass(take, &mut left_out);
        }
        left_out
    }

    /// Leases that ended before `from` hold nothing any more.
    fn wake(&mut self, from: Instant) {
        while let Some(&(Reverse(until), place)) = self.held.peek() {
            if until >= from {
                return;
            }
            self.held.pop();
            self.places.push(place);
            let Asleep {
                candidate,
                was_passed,
            } = self.asleep[place];
            if candidate.active_until <= from {
                self.past.push(candidate);
                continue;
            }
            let age = self.age(candidate.message);
            self.awake(was_passed).insert(age, candidate);
        }
    }

    /// Whether nothing that is known kept the message out of the answer of `take`. If something does,
    /// it is put aside for so long, or for ever.
    fn is_free(
        &mut self,
        (age, candidate): (Age, Candidate),
        take: Index,
        was_passed: bool,
    ) -> bool {
        let facts = self.facts;
        let op = facts.op(take);
        let span = (op.invoked_at, op.completed_at);
        // Takes come in the order of time: what has ended by now is never judged again.
        if candidate.active_until <= span.1 {
            self.awake(was_passed).remove(&age);
            self.past.push(candidate);
            return false;
        }
        let Some(until) = facts.held_until(candidate.message, span) else {
            let sightings = facts.of_message.sightings.get(candidate.message);
            return !sightings.contains(&take) && facts.certainly_lives(candidate.message, op);
        };
        self.awake(was_passed).remove(&age);
        let asleep = Asleep {
            candidate,
            was_passed,
        };
        self.put_aside(asleep, until);
        false
    }

    /// A claim may hold the message until then.
    fn put_aside(&mut self, asleep: Asleep, until: Instant) {
        let place = self.places.pop().unwrap_or(self.asleep.len());
        if place == self.asleep.len() {
            self.asleep.push(asleep);
        } else {
            self.asleep[place] = asleep;
        }
        self.held.push((Reverse(until), place));
    }

    /// Which of the active messages the short answer of `take` certainly had to hold, and did not.
    /// They are active no more.
    fn missing(&mut self, take: Index) -> Vec<u32> {
        let mut free = Vec::new();
        for was_passed in [false, true] {
            let awake = self.awake(was_passed).iter();
            let all: Vec<(Age, Candidate)> = awake.map(|(&age, &it)| (age, it)).collect();
            for entry in all {
                if self.is_free(entry, take, was_passed) {
                    free.push((entry, was_passed));
                }
            }
        }
        if free.is_empty() {
            return Vec::new();
        }
        let excuses = self.excuses(take);
        let (excused, missing): (Vec<_>, Vec<_>) = free
            .into_iter()
            .partition(|((_, candidate), _)| self.is_excused(candidate.message, &excuses));
        let Excuses { takes, .. } = excuses;
        let mut missing: Vec<Age> = missing.into_iter().map(|((age, _), _)| age).collect();
        let pops = takes.iter().copied().filter(is_popped_by(self.facts));
        if excused.len() > limits(self.facts, takes.iter().copied()) {
            missing.extend(excused.iter().map(|((age, _), _)| *age));
        } else if excused.len() <= limits(self.facts, pops) {
            // What an unanswered pop took never comes back: no later answer will tell.
            for ((age, _), was_passed) in excused {
                if let Some(candidate) = self.awake(was_passed).get_mut(&age) {
                    candidate.is_accounted_for = true;
                }
            }
        }
        for age in &missing {
            self.active.remove(age);
            self.passed.remove(age);
        }
        let mut missing: Vec<u32> = missing.into_iter().map(|(.., message)| message).collect();
        missing.sort_unstable();
        missing
    }

    /// Which of the active messages are older than what the full answer of `take` shows.
    fn pass(&mut self, take: Index, left_out: &mut LeftOut) {
        let facts = self.facts;
        let op = facts.op(take);
        // What is shown last in the order of age, one of each producer.
        let mut youngest: Vec<Age> = Vec::new();
        for sight in facts.seen(op) {
            let Some(message) = facts.log.message_of(sight.token) else {
                continue;
            };
            if facts.is_in_order(&facts.log.messages[message as usize], op.place) {
                youngest.push(self.age(message));
            }
        }
        left_out.could_pass = !youngest.is_empty();
        youngest.sort_unstable_by_key(|&age| Reverse(age));
        youngest.dedup_by_key(|&mut (producer, ..)| producer);
        youngest.reverse();
        let mut excuses = None;
        for (producer, posted_by, younger) in youngest {
            let first = (producer, Instant::START, 0);
            let older = self.active.range(first..(producer, posted_by, younger));
            let older: Vec<(Age, Candidate)> = older.map(|(&age, &it)| (age, it)).collect();
            for entry in older {
                let message = entry.1.message;
                if !self.is_free(entry, take, false) || !is_older(facts, message, younger) {
                    continue;
                }
                let excuses = excuses.get_or_insert_with(|| self.excuses(take));
                if self.is_excused(message, excuses) {
                    continue;
                }
                left_out.passed.push((message, younger));
                self.active.remove(&entry.0);
                self.passed.insert(entry.0, entry.1);
            }
        }
    }

    fn excuses(&self, take: Index) -> Excuses {
        let facts = self.facts;
        let op = facts.op(take);
        let takes = unanswered_takes(facts, self.queue, (op.invoked_at, op.completed_at));
        let acted_by = |are_pops: bool| {
            let takes = takes.iter().map(|&index| facts.op(index));
            let takes = takes.filter(|op| op.is_pop() == are_pops);
            takes.map(|op| facts.acts_until(op)).max()
        };
        Excuses {
            claimed_by: acted_by(false),
            popped_by: acted_by(true),
            takes,
        }
    }

    /// An unanswered claim or pop can have taken only what was posted before its latest effect, and a pop only what
    /// was not seen after that.
    fn is_excused(&self, message: u32, excuses: &Excuses) -> bool {
        let post = self.facts.log.messages[message as usize].post;
        let posted_at = self.facts.op(post).invoked_at;
        let may_act = |by: Option<Instant>| by.is_some_and(|by| posted_at <= by);
        may_act(excuses.claimed_by)
            || (may_act(excuses.popped_by)
                && Known::of(self.facts, message).popped_from() < Instant::NEVER)
    }

    /// Those that were never missed, and are never judged again.
    pub(super) fn take_past(&mut self) -> impl Iterator<Item = Candidate> {
        self.past.drain(..)
    }

    /// The others that were never missed.
    pub(super) fn finish(self) -> Vec<Candidate> {
        let Self {
            facts,
            marks,
            waiting,
            active,
            passed,
            held,
            asleep,
            mut past,
            ..
        } = self;
        past.extend(active.into_values().chain(passed.into_values()));
        past.extend(held.into_iter().map(|(_, place)| asleep[place].candidate));
        past.extend(waiting.filter_map(|(_, message)| Candidate::of(facts, marks, message)));
        past
    }
}

/// From when on others of its batch certainly are stored, and it has to be.
pub(super) fn batch_stored_from(facts: &Facts<'_>, marks: &Marks, number: u32) -> Option<Instant> {
    let post = facts.op(facts.log.messages[number as usize].post);
    let Act::Post { first, count } = post.act else {
        return None;
    };
    let batch = first..first + count;
    let first = batch.map(|message| marks[message].stored_from).min();
    first.filter(|&at| at < Instant::NEVER)
}

/// Claims and pops without an answer that may keep messages away, and until when any of each may have acted.
struct Excuses {
    takes: Vec<Index>,
    claimed_by: Option<Instant>,
    popped_by: Option<Instant>,
}

/// Whether one message was surely posted before another: earlier in its batch, or by a post that ended
/// before the other began.
fn is_older(facts: &Facts<'_>, message: u32, younger: u32) -> bool {
    let [older, newer] = [message, younger].map(|it| &facts.log.messages[it as usize]);
    if older.post == newer.post {
        return older.place < newer.place;
    }
    facts.posted_by(message) < facts.op(newer.post).invoked_at
}

/// How many messages `takes` may have handed out together.
pub(super) fn limits(facts: &Facts<'_>, takes: impl Iterator<Item = Index>) -> usize {
    takes
        .filter_map(|index| facts.log.limit(facts.op(index)))
        .map(|limit| limit as usize)
        .fold(0, usize::saturating_add)
}
