//! Situations that a good campaign must reach, *sometimes*: without them a promise was never in danger.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nanshe_conformance::environment::Instant;
use nanshe_conformance::history::{Answer, History, Operation, Outcome, Record};

use crate::implementation::Takes;
use crate::scenario::Word;

/// Situations that came about in a run, and how often. Those that did not are not there.
pub type Reached = BTreeMap<String, u64>;

/// Operations under way at once that are looked at in pairs; beyond, a run shows nothing new.
const PAIRED_MAX: usize = 64;

/// A situation, and what leads to it.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What happens.
    pub about: &'static str,
    /// Faults that may bring it about.
    pub faults: &'static [Word],
    /// Workloads that may bring it about; none: any.
    pub workloads: &'static [&'static str],
    /// What an implementation has to be able to take for it.
    pub needs: Needs,
}

/// What a goal asks of an implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing in particular.
    Nothing,
    /// That its process may die.
    Deaths,
    /// That it has subscriptions.
    Subscribers,
    /// That it writes to its disk.
    Disk,
    /// That it looks at its node's clock.
    Clock,
}

const fn goal(
    name: &'static str,
    about: &'static str,
    faults: &'static [Word],
    workloads: &'static [&'static str],
) -> Goal {
    Goal {
        name,
        about,
        faults,
        workloads,
        needs: Needs::Nothing,
    }
}

const fn needing(needs: Needs, goal: Goal) -> Goal {
    Goal { needs, ..goal }
}

/// Workloads whose clients hold claims for long.
const CLAIMING: &[&str] = &["competing-consumers", "many-claimers"];

/// Every goal, in the order of listings.
pub const GOALS: &[Goal] = &[
    goal(
        "overlapping-claims",
        "two claims of one queue are under way at once",
        &[],
        CLAIMING,
    ),
    goal(
        "delete-across-expiry",
        "a claim expires while a delete that names it is under way",
        &[Word::SlowLink, Word::Partition, Word::Pause],
        CLAIMING,
    ),
    goal(
        "renewal-across-expiry",
        "a claim expires while its renewal is under way",
        &[Word::SlowLink, Word::Partition, Word::Pause],
        CLAIMING,
    ),
    goal(
        "late-delete",
        "a delete names a claim that has surely ended",
        &[],
        CLAIMING,
    ),
    goal(
        "claim-without-answer",
        "nobody knows what a claim took",
        &[Word::LoseAnswers, Word::BlackHole, Word::Reset],
        &[],
    ),
    goal(
        "recovered-post",
        "a message is seen whose post had no answer",
        &[Word::LoseAnswers, Word::BlackHole, Word::Reset],
        &[],
    ),
    goal(
        "redelivered",
        "a message is claimed a second time",
        &[Word::Kill],
        CLAIMING,
    ),
    goal(
        "dead-letter",
        "a message has become a dead letter",
        &[],
        &["dead-letters"],
    ),
    goal(
        "pop-beside-claim",
        "a pop and a claim of one queue are under way at once",
        &[],
        &["delayed-messages", "tenants"],
    ),
    goal(
        "taken-as-delay-ends",
        "a delayed message is taken within a second of its delay's end",
        &[],
        &["delayed-messages"],
    ),
    goal(
        "message-expired",
        "a message has outlived its ttl while clients work",
        &[],
        &[],
    ),
    goal(
        "page-across-post",
        "a page is read while messages are posted to its queue",
        &[],
        &["observers", "pop-storm", "delayed-messages"],
    ),
    goal(
        "empty-claim-beside-post",
        "a claim finds nothing while a post to its queue is under way",
        &[],
        CLAIMING,
    ),
    goal(
        "spoiled-batch",
        "a batch is refused for one of several messages",
        &[],
        &["batch-posts"],
    ),
    goal(
        "settings-across-post",
        "a queue's settings change while a post to it is under way",
        &[],
        &["metadata-races"],
    ),
    needing(
        Needs::Deaths,
        goal(
            "server-died-mid-request",
            "a server dies while somebody waits for its answer",
            &[Word::Kill, Word::Crash],
            &[],
        ),
    ),
    goal(
        "holder-died",
        "a client dies while it holds messages",
        &[Word::Kill],
        CLAIMING,
    ),
    needing(
        Needs::Clock,
        goal(
            "clock-set-back",
            "a server's clock goes back while claims live",
            &[Word::ClockJump],
            CLAIMING,
        ),
    ),
    goal(
        "cut-off-for-a-lease",
        "a node is cut off, or stands still, for longer than a lease",
        &[Word::Partition, Word::Pause, Word::BlackHole],
        CLAIMING,
    ),
    goal(
        "late-answer",
        "an answer comes after more than a second",
        &[Word::SlowLink, Word::Busy],
        &[],
    ),
    goal(
        "never-sent",
        "a request is never sent, since nobody takes the connection",
        &[Word::Kill, Word::BlackHole],
        &[],
    ),
    goal(
        "request-twice",
        "a balancer sends a request twice",
        &[Word::Duplicate],
        &[],
    ),
    needing(
        Needs::Disk,
        goal(
            "crash-before-sync",
            "a machine loses what was written and not synced",
            &[Word::Crash, Word::SlowDisk],
            &[],
        ),
    ),
    needing(
        Needs::Disk,
        goal(
            "torn-write",
            "a crash leaves a part of what was written",
            &[Word::Crash, Word::SlowDisk],
            &["batch-posts", "competing-consumers"],
        ),
    ),
    needing(
        Needs::Subscribers,
        goal(
            "pushed",
            "a message is pushed to a subscriber",
            &[],
            &["pub-sub"],
        ),
    ),
    needing(
        Needs::Subscribers,
        goal(
            "pushed-twice",
            "a message is pushed again, since its first push had no answer",
            &[Word::LoseAnswers],
            &["pub-sub"],
        ),
    ),
];

impl Goal {
    /// Whether an implementation that can take so much can reach it.
    pub fn is_open_to(&self, takes: Takes) -> bool {
        match self.needs {
            Needs::Nothing => true,
            Needs::Deaths => takes.deaths,
            Needs::Subscribers => takes.subscribers,
            Needs::Disk => takes.deaths && takes.writes,
            Needs::Clock => takes.clock,
        }
    }
}

/// What the world counted beside the history.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Crashes that lost something.
    pub(crate) lost_tails: u64,
    /// Crashes that left a part of what was written.
    pub(crate) torn: u64,
    /// Requests that came twice.
    pub(crate) repeated: u64,
}

/// The goals that `history` reached.
pub(crate) fn reached(history: &History, counts: Counts) -> Reached {
    let mut search = Search::default();
    search.reach_times("request-twice", counts.repeated);
    search.reach_times("crash-before-sync", counts.lost_tails);
    search.reach_times("torn-write", counts.torn);
    search.records(history);
    search.faults(history);
    search.pushes(history);
    let named = |(name, times): (&str, u64)| (name.to_owned(), times);
    search.reached.into_iter().map(named).collect()
}

#[derive(Default)]
struct Search<'a> {
    reached: BTreeMap<&'static str, u64>,
    /// When a claim's lease ends: at the earliest, at the latest.
    leases: BTreeMap<&'a str, (Instant, Instant)>,
    posted: BTreeMap<&'a str, Posted<'a>>,
}

/// A message, by its token.
struct Posted<'a> {
    post: &'a Record,
    ttl_secs: u64,
    delay_secs: u64,
    is_claimed: bool,
}

impl<'a> Search<'a> {
    fn reach(&mut self, name: &'static str) {
        self.reach_times(name, 1);
    }

    fn reach_times(&mut self, name: &'static str, times: u64) {
        debug_assert!(GOALS.iter().any(|goal| goal.name == name), "{name}");
        if times > 0 {
            *self.reached.entry(name).or_default() += times;
        }
    }

    fn records(&mut self, history: &'a History) {
        let mut active: Vec<&Record> = Vec::new();
        for record in &history.records {
            active.retain(|other| other.completed_at > record.invoked_at);
            if active.len() < PAIRED_MAX {
                for other in &active {
                    self.pair(other, record);
                }
            }
            active.push(record);
            self.leases_of(record);
            self.messages_of(record);
            self.outcome_of(record);
        }
        let last = history.records.last().map(|record| record.invoked_at);
        let work_ends = history.phases.get(1).map(|(at, _)| *at);
        if let Some(end) = work_ends.or(last) {
            let lifetime = |ttl| Duration::from_secs(ttl);
            let expired = self
                .posted
                .values()
                .filter(|Posted { post, ttl_secs, .. }| {
                    post.is_ok() && post.completed_at.plus(lifetime(*ttl_secs)) < end
                });
            let expired = u64::try_from(expired.count()).unwrap_or(u64::MAX);
            self.reach_times("message-expired", expired);
        }
    }

    /// Two operations that were under way at once.
    fn pair(&mut self, one: &Record, other: &Record) {
        let Some(name) = meeting(one, other).or_else(|| meeting(other, one)) else {
            return;
        };
        if one.operation.queue() == other.operation.queue() && one.project == other.project {
            self.reach(name);
        }
    }

    fn leases_of(&mut self, record: &'a Record) {
        let named = if let Operation::Delete {
            claim: Some(claim), ..
        } = &record.operation
        {
            Some((claim, "delete-across-expiry"))
        } else if let Operation::Renew { claim, .. } = &record.operation {
            Some((claim, "renewal-across-expiry"))
        } else {
            None
        };
        if let Some((claim, across)) = named
            && let Some((earliest, latest)) = self.leases.get(claim.as_str()).copied()
        {
            if record.invoked_at < latest && earliest < record.completed_at {
                self.reach(across);
            } else if record.invoked_at >= latest && across == "delete-across-expiry" {
                self.reach("late-delete");
            }
        }
        let Some((ttl_secs, _)) = record.operation.lease() else {
            return;
        };
        let claim = if let Some(Answer::Claim { claim, .. }) = record.answer() {
            claim.as_ref()
        } else if let Operation::Renew { claim, .. } = &record.operation {
            record.is_ok().then_some(claim)
        } else {
            None
        };
        let Some(claim) = claim else {
            return;
        };
        let ttl = Duration::from_secs(ttl_secs);
        let ends = (record.invoked_at.plus(ttl), record.completed_at.plus(ttl));
        self.leases.insert(claim, ends);
    }

    fn messages_of(&mut self, record: &'a Record) {
        if let Operation::Post { messages, .. } = &record.operation {
            for message in messages {
                let posted = Posted {
                    post: record,
                    ttl_secs: message.ttl_secs,
                    delay_secs: message.delay_secs.unwrap_or(0),
                    is_claimed: false,
                };
                self.posted.insert(&message.token, posted);
            }
            if messages.len() > 1 && record.outcome == REFUSED {
                self.reach("spoiled-batch");
            }
        }
        let Some(answer) = record.answer() else {
            return;
        };
        for seen in answer.seen() {
            let Some(posted) = self.posted.get_mut(seen.token.as_str()) else {
                continue;
            };
            let Posted {
                post, delay_secs, ..
            } = *posted;
            let is_claim = matches!(record.operation, Operation::Claim { .. });
            let is_again = is_claim && std::mem::replace(&mut posted.is_claimed, true);
            if post.is_info() {
                self.reach("recovered-post");
            }
            if post.operation.queue() != record.operation.queue() {
                self.reach("dead-letter");
            }
            if record.operation.is_take() && delay_secs > 0 {
                let ends = post.completed_at.plus(Duration::from_secs(delay_secs));
                if record.completed_at.since(ends) < Duration::from_secs(1) {
                    self.reach("taken-as-delay-ends");
                }
            }
            if is_again {
                self.reach("redelivered");
            }
        }
    }

    fn outcome_of(&mut self, record: &Record) {
        if record.is_info() && matches!(record.operation, Operation::Claim { .. }) {
            self.reach("claim-without-answer");
        }
        if matches!(record.outcome, Outcome::Fail { status: None }) {
            self.reach("never-sent");
        }
        let took = record.completed_at.since(record.invoked_at);
        if record.is_ok() && took > Duration::from_secs(1) {
            self.reach("late-answer");
        }
    }

    fn faults(&mut self, history: &History) {
        let under_way = |at: Instant| {
            let mut records = history.records.iter();
            records.any(|record| record.invoked_at < at && at < record.completed_at)
        };
        let longest = history
            .records
            .iter()
            .filter_map(|record| record.operation.lease());
        let lease = longest.map(|(ttl, _)| ttl).max().unwrap_or(u64::MAX);
        for (at, fault) in &history.faults {
            let words: Vec<&str> = fault.split(' ').collect();
            let node = words.get(1).copied().unwrap_or_default();
            let word = words.first().copied().unwrap_or_default();
            if matches!(word, "kill" | "crash") && node.starts_with("server") && under_way(*at) {
                self.reach("server-died-mid-request");
            }
            if word == "kill" && node.starts_with("client") && holds_for_ever(history, *at) {
                self.reach("holder-died");
            }
            let back = words.get(2).is_some_and(|millis| millis.starts_with('-'));
            let held = self.leases.values().any(|(_, ends)| *ends > *at);
            if word == "clock-jump" && back && held {
                self.reach("clock-set-back");
            }
            let healed = history
                .heals
                .iter()
                .find(|(heals_at, heals)| heals_at >= at && heals == fault);
            if matches!(word, "partition" | "pause" | "black-hole")
                && let Some((healed_at, _)) = healed
                && healed_at.since(*at) > Duration::from_secs(lease)
            {
                self.reach("cut-off-for-a-lease");
            }
        }
    }

    fn pushes(&mut self, history: &History) {
        let mut pushed = BTreeSet::new();
        for push in &history.pushes {
            self.reach("pushed");
            if !pushed.insert(&push.token) {
                self.reach("pushed-twice");
            }
        }
    }
}

/// What it is called that two such operations meet, in this order; kinds first, since most pairs are
/// nothing, and to compare names costs more.
fn meeting(one: &Record, other: &Record) -> Option<&'static str> {
    match (&one.operation, &other.operation) {
        (Operation::Claim { .. }, Operation::Claim { .. }) => Some("overlapping-claims"),
        (Operation::Claim { .. }, Operation::Pop { .. }) => Some("pop-beside-claim"),
        (Operation::Claim { .. }, Operation::Post { .. }) => {
            let found_nothing = matches!(one.answer(), Some(Answer::Claim { claim: None, .. }));
            found_nothing.then_some("empty-claim-beside-post")
        }
        (Operation::Post { .. }, Operation::List { .. }) => Some("page-across-post"),
        (Operation::Post { .. }, Operation::SetMetadata { .. }) => Some("settings-across-post"),
        _ => None,
    }
}

/// How a spoiled batch is answered.
const REFUSED: Outcome = Outcome::Fail { status: Some(400) };

/// Whether a process holds messages at `at` and is never heard of again.
fn holds_for_ever(history: &History, at: Instant) -> bool {
    let mut last: BTreeMap<u64, &Record> = BTreeMap::new();
    for record in &history.records {
        last.insert(record.process, record);
    }
    last.values().any(|record| {
        record.completed_at <= at
            && matches!(
                record.answer(),
                Some(Answer::Claim { claim: Some(_), messages }) if !messages.is_empty()
            )
    })
}
