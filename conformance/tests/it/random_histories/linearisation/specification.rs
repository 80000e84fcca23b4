//! What a queue with claims may do, one operation after the other, wherever the contract leaves it
//! free: which states an operation with this answer can lead to.
//!
//! Free is: what a claim or pop hands out while others are in flight, and how much, and whether it sees
//! what was posted within the slack; how long a page is; when a lease, and a life, ends within the slack;
//! whether a purge takes what is claimed; whether a claim outlives its messages; what an operation
//! without an answer did, if anything.

use std::collections::BTreeMap;

use nanshe_conformance::history::{Answer, Operation, Outcome};

use super::question::{Question, nanos};
use super::zone::{ORIGIN, Point, Zone};

/// An instant of the future: that long after the point, give or take the slack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deadline {
    base: Point,
    span: i64,
}

/// A message that is stored. What is gone is not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Message {
    number: u8,
    /// Who posted it: its process, and its queue are those of that operation.
    post: u8,
    /// Younger is more.
    rank: u8,
    expires_at: Deadline,
    /// Ends of leases that its life outlasts, as the server's clock said when they began.
    outlasts: Vec<Deadline>,
    /// The claim that holds it, by the operation that was granted it.
    holder: Option<u8>,
}

/// All that the future depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State {
    zone: Zone,
    /// The operation that acted last.
    last: Point,
    /// In the order of their ranks.
    messages: Vec<Message>,
    posted: u8,
    /// Claims that have not ended, and when they will.
    leases: BTreeMap<u8, Deadline>,
    /// By walk: the rank of the last message shown.
    walks: BTreeMap<u64, u8>,
}

const NANOS_PER_SEC: i64 = 1_000_000_000;

fn secs(secs: u64) -> i64 {
    i64::try_from(secs).unwrap() * NANOS_PER_SEC
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            zone: Zone::new(),
            last: ORIGIN,
            messages: Vec::new(),
            posted: 0,
            leases: BTreeMap::new(),
            walks: BTreeMap::new(),
        }
    }

    /// The states that `number` can lead to if it acts next.
    pub(super) fn after(&self, question: &Question<'_>, number: u8) -> Vec<Self> {
        let record = question.record(number);
        let mut state = self.clone();
        let (last, until) = (self.last, question.acts_until(number));
        state.zone.add(number);
        let is_in_time = state.zone.demand(number, ORIGIN, until)
            && state.zone.demand(ORIGIN, number, -nanos(record.invoked_at))
            && state.zone.demand(last, number, 0);
        if !is_in_time {
            return Vec::new();
        }
        state.last = number;
        let step = Step { question, number };
        let mut states = step.act(state);
        for state in &mut states {
            state.forget();
        }
        states
    }

    /// Drops instants that nothing depends on any more, so that equal states look equal.
    fn forget(&mut self) {
        let ends = |message: &Message| {
            let outlasted = message.outlasts.iter().map(|lease| lease.base);
            outlasted
                .chain([message.expires_at.base])
                .collect::<Vec<_>>()
        };
        let lives = self.messages.iter().flat_map(ends);
        let posts = self.messages.iter().map(|message| message.post);
        let leases = self.leases.values().map(|lease| lease.base);
        let kept: Vec<Point> = lives
            .chain(posts)
            .chain(leases)
            .chain([self.last])
            .collect();
        self.zone.keep(|point| kept.contains(&point));
    }

    fn end_lease(&mut self, claim: u8) {
        self.leases.remove(&claim);
        for message in &mut self.messages {
            if message.holder == Some(claim) {
                message.holder = None;
            }
        }
    }

    fn remove(&mut self, is_meant: impl Fn(&Message) -> bool) {
        self.messages.retain(|message| !is_meant(message));
    }

    fn find_mut(&mut self, number: u8) -> &mut Message {
        let mut messages = self.messages.iter_mut();
        messages.find(|message| message.number == number).unwrap()
    }

    fn find(&self, number: u8) -> Option<&Message> {
        self.messages
            .iter()
            .find(|message| message.number == number)
    }
}

/// One operation that acts.
struct Step<'q, 'h> {
    question: &'q Question<'h>,
    number: u8,
}

impl Step<'_, '_> {
    fn act(&self, state: State) -> Vec<State> {
        let record = self.question.record(self.number);
        let is_ok = record.is_ok();
        match &record.operation {
            Operation::Post { .. } => vec![self.post(state)],
            Operation::Claim { .. } | Operation::Pop { .. } => self.take(state),
            Operation::Renew { claim, .. } => self.renew(state, claim),
            Operation::Release { claim, .. } => {
                let mut state = state;
                if let Some(claim) = self.question.grant(claim) {
                    state.end_lease(claim);
                }
                vec![state]
            }
            Operation::Delete { message, claim, .. } => {
                self.delete(state, message, claim.as_deref())
            }
            Operation::BulkDelete { ids, .. } => {
                let mut state = state;
                let meant: Vec<u8> = ids
                    .iter()
                    .filter_map(|id| self.question.by_id(id))
                    .collect();
                state.remove(|message| meant.contains(&message.number));
                vec![state]
            }
            Operation::Purge { .. } => self.purge(state),
            Operation::Get { message, .. } if is_ok => {
                self.get(state, std::slice::from_ref(message))
            }
            Operation::GetMany { ids, .. } if is_ok => self.get(state, ids),
            Operation::ClaimGet { claim, .. } if is_ok => self.look_at_claim(state, claim),
            Operation::List { .. } if is_ok => self.page(state),
            Operation::Get { .. }
            | Operation::GetMany { .. }
            | Operation::ClaimGet { .. }
            | Operation::List { .. }
            | Operation::Stats { .. }
            | Operation::CreateQueue { .. }
            | Operation::SetMetadata { .. }
            | Operation::DeleteQueue { .. }
            | Operation::Subscribe { .. } => {
                unreachable!("invariant: tiny histories have none, and unanswered reads do not act")
            }
        }
    }

    /// The state in which all deadlines are over, and the one in which the last of them is not.
    fn decide(&self, state: &State, deadlines: &[Deadline]) -> (Option<State>, Option<State>) {
        let slack = self.question.slack();
        let mut over = state.clone();
        let mut ends = deadlines.iter();
        let is_over = ends.all(|end| over.zone.demand(end.base, self.number, slack - end.span));
        let mut lasts = state.clone();
        let last = deadlines[deadlines.len() - 1];
        let is_lasting = lasts.zone.demand(self.number, last.base, last.span + slack);
        (is_over.then_some(over), is_lasting.then_some(lasts))
    }

    /// Settles which of those leases, and which of those lives, are over.
    fn settle(&self, state: State, claims: &[u8], messages: &[u8]) -> Vec<State> {
        let mut states = vec![state];
        for &claim in claims {
            states = self.branch(
                states,
                |state| state.leases.get(&claim).map(|&end| vec![end]),
                |state| {
                    state.end_lease(claim);
                },
            );
        }
        for &number in messages {
            let ends = |state: &State| {
                let message = state.find(number)?;
                let outlasted = message.outlasts.iter().copied();
                Some(outlasted.chain([message.expires_at]).collect())
            };
            states = self.branch(states, ends, |state| {
                state.remove(|message| message.number == number);
            });
        }
        states
    }

    fn branch(
        &self,
        states: Vec<State>,
        deadlines: impl Fn(&State) -> Option<Vec<Deadline>>,
        end: impl Fn(&mut State),
    ) -> Vec<State> {
        let mut settled = Vec::new();
        for state in states {
            let Some(deadlines) = deadlines(&state) else {
                settled.push(state);
                continue;
            };
            let (over, lasts) = self.decide(&state, &deadlines);
            settled.extend(lasts);
            settled.extend(over.map(|mut state| {
                end(&mut state);
                state
            }));
        }
        settled
    }

    /// Settles everything about the queue.
    fn settle_queue(&self, state: State) -> Vec<State> {
        let here: Vec<Message> = self.here(&state).cloned().collect();
        let mut claims: Vec<u8> = here.iter().filter_map(|message| message.holder).collect();
        claims.sort_unstable();
        claims.dedup();
        let messages: Vec<u8> = here.iter().map(|message| message.number).collect();
        self.settle(state, &claims, &messages)
    }

    fn here<'s>(&'s self, state: &'s State) -> impl Iterator<Item = &'s Message> {
        let queue = self.question.record(self.number).operation.queue();
        let of = |message: &Message| self.question.record(message.post).operation.queue();
        state
            .messages
            .iter()
            .filter(move |message| of(message) == queue)
    }

    fn post(&self, mut state: State) -> State {
        let Operation::Post { messages, .. } = &self.question.record(self.number).operation else {
            unreachable!("invariant: only posts post")
        };
        for posted in messages {
            state.posted += 1;
            state.messages.push(Message {
                number: self.question.messages[posted.token.as_str()],
                post: self.number,
                rank: state.posted,
                expires_at: Deadline {
                    base: self.number,
                    span: secs(posted.ttl_secs),
                },
                outlasts: Vec::new(),
                holder: None,
            });
        }
        state
    }

    fn take(&self, state: State) -> Vec<State> {
        let record = self.question.record(self.number);
        let limit = usize::try_from(record.operation.limit().unwrap()).unwrap();
        let mut taken = Vec::new();
        for state in self.settle_queue(state) {
            let Some(answer) = record.answer() else {
                for chosen in subsets(&free(self.here(&state)), limit) {
                    taken.extend(self.hand_out(state.clone(), &chosen));
                }
                continue;
            };
            let shown = self.question.shown(answer);
            if let Some(state) = self.show(state, &shown, limit) {
                taken.extend(self.hand_out(state, &shown));
            }
        }
        taken
    }

    /// The states in which exactly that may be handed out: what is free, the oldest first, and all of it
    /// if nothing else is in flight and there is room. What was posted within the slack may be left out.
    fn show(&self, mut state: State, shown: &[u8], limit: usize) -> Option<State> {
        let free = free(self.here(&state));
        let mut rest = free.iter();
        let is_in_order = shown.iter().all(|number| rest.any(|free| free == number));
        if shown.len() > limit || !is_in_order {
            return None;
        }
        if self.question.alone & (1 << self.number) == 0 {
            return Some(state);
        }
        let last = shown.last().filter(|_| shown.len() == limit);
        let had_to_come = free.iter().take_while(|&number| last != Some(number));
        for &number in had_to_come.filter(|number| !shown.contains(number)) {
            let post = state.find(number)?.post;
            if !state.zone.demand(self.number, post, self.question.slack()) {
                return None;
            }
        }
        Some(state)
    }

    fn hand_out(&self, mut state: State, chosen: &[u8]) -> Vec<State> {
        let operation = &self.question.record(self.number).operation;
        if operation.is_pop() {
            state.remove(|message| chosen.contains(&message.number));
            return vec![state];
        }
        if chosen.is_empty() {
            return vec![state];
        }
        for message in &mut state.messages {
            if chosen.contains(&message.number) {
                message.holder = Some(self.number);
            }
        }
        self.lease(state, self.number, chosen)
    }

    /// The claim ends that long from now, and its messages live as long at least.
    fn lease(&self, mut state: State, claim: u8, messages: &[u8]) -> Vec<State> {
        let operation = &self.question.record(self.number).operation;
        let (ttl_secs, grace_secs) = operation.lease().unwrap();
        let (base, slack) = (self.number, self.question.slack());
        let span = secs(ttl_secs);
        state.leases.insert(claim, Deadline { base, span });
        let extended = Deadline {
            base,
            span: span + secs(grace_secs),
        };
        let mut states = vec![state];
        for &number in messages {
            let mut leased = Vec::new();
            for state in states {
                let Some(life) = state.find(number).map(|message| message.expires_at) else {
                    leased.push(state);
                    continue;
                };
                let mut outlives = state.clone();
                if outlives
                    .zone
                    .demand(base, life.base, life.span - span + slack)
                {
                    let message = outlives.find_mut(number);
                    message.outlasts.push(Deadline { base, span });
                    leased.push(outlives);
                }
                let mut ends_before = state;
                if ends_before
                    .zone
                    .demand(life.base, base, span - life.span + slack)
                {
                    let message = ends_before.find_mut(number);
                    message.expires_at = extended;
                    message.outlasts.clear();
                    leased.push(ends_before);
                }
            }
            states = leased;
        }
        states
    }

    fn renew(&self, state: State, claim: &str) -> Vec<State> {
        let outcome = &self.question.record(self.number).outcome;
        let Some(claim) = self.question.grant(claim) else {
            let is_refused = matches!(outcome, Outcome::Fail { .. });
            return is_refused.then_some(state).into_iter().collect();
        };
        let mut renewed = Vec::new();
        for state in self.settle_claim(state, claim) {
            let held = held(&state, claim);
            let is_live = state.leases.contains_key(&claim);
            match outcome {
                Outcome::Ok(_) | Outcome::Info if is_live => {
                    renewed.extend(self.lease(state, claim, &held));
                }
                // A claim whose messages are gone may be gone as well.
                Outcome::Fail { .. } if !is_live || held.is_empty() => renewed.push(state),
                Outcome::Ok(_) | Outcome::Info | Outcome::Fail { .. } => {}
            }
        }
        renewed
    }

    fn settle_claim(&self, state: State, claim: u8) -> Vec<State> {
        let messages = held(&state, claim);
        self.settle(state, &[claim], &messages)
    }

    fn look_at_claim(&self, state: State, claim: &str) -> Vec<State> {
        let Some(Answer::ClaimGet { messages }) = self.question.record(self.number).answer() else {
            unreachable!("invariant: only looks at claims are looked at here")
        };
        let shown = messages.as_ref().map(|_| {
            let answer = self.question.record(self.number).answer();
            let mut shown = self.question.shown(answer.unwrap());
            shown.sort_unstable();
            shown
        });
        let Some(claim) = self.question.grant(claim) else {
            return shown.is_none().then_some(state).into_iter().collect();
        };
        let states = self.settle_claim(state, claim).into_iter();
        let is_possible = |state: &State| {
            let mut held = held(state, claim);
            held.sort_unstable();
            let is_live = state.leases.contains_key(&claim);
            match &shown {
                None => !is_live || held.is_empty(),
                Some(shown) => is_live && *shown == held,
            }
        };
        states.filter(is_possible).collect()
    }

    fn delete(&self, state: State, id: &str, claim: Option<&str>) -> Vec<State> {
        let outcome = &self.question.record(self.number).outcome;
        let Some(number) = self.question.by_id(id) else {
            return vec![state];
        };
        let claim = claim.map(|claim| self.question.grant(claim));
        let holder: Vec<u8> = state
            .find(number)
            .and_then(|it| it.holder)
            .into_iter()
            .collect();
        let mut deleted = Vec::new();
        for mut state in self.settle(state, &holder, &[number]) {
            let is_refused = state.find(number).map(|message| match claim {
                None => message.holder.is_some(),
                Some(claim) => message.holder.is_none() || message.holder != claim,
            });
            let is_possible = match outcome {
                Outcome::Ok(_) => is_refused != Some(true),
                Outcome::Info => is_refused == Some(false),
                Outcome::Fail { .. } => is_refused == Some(true),
            };
            if is_possible {
                if is_refused == Some(false) {
                    state.remove(|message| message.number == number);
                }
                deleted.push(state);
            }
        }
        deleted
    }

    /// Everything, or everything that is not claimed.
    fn purge(&self, state: State) -> Vec<State> {
        let mut purged = Vec::new();
        for state in self.settle_queue(state) {
            let here: Vec<u8> = self.here(&state).map(|message| message.number).collect();
            for takes_claimed in [true, false] {
                let mut state = state.clone();
                state.remove(|message| {
                    here.contains(&message.number) && (takes_claimed || message.holder.is_none())
                });
                purged.push(state);
            }
        }
        purged
    }

    fn get(&self, state: State, ids: &[String]) -> Vec<State> {
        let answer = self.question.record(self.number).answer().unwrap();
        let mut shown = self.question.shown(answer);
        shown.sort_unstable();
        let asked = ids.iter().filter_map(|id| self.question.by_id(id));
        let asked: Vec<u8> = asked.collect();
        let states = self.settle(state, &[], &asked).into_iter();
        let is_possible = |state: &State| {
            let found = self.here(state).map(|message| message.number);
            let mut found: Vec<u8> = found.filter(|number| asked.contains(number)).collect();
            found.sort_unstable();
            // Who asks twice for one may be told twice.
            let mut told = shown.clone();
            told.dedup();
            found == told && shown.len() <= ids.len()
        };
        states.filter(is_possible).collect()
    }

    fn page(&self, state: State) -> Vec<State> {
        let record = self.question.record(self.number);
        let Operation::List {
            chain,
            limit,
            echo,
            include_claimed,
            ..
        } = &record.operation
        else {
            unreachable!("invariant: only listings have pages")
        };
        let shown = self.question.shown(record.answer().unwrap());
        let after = state.walks.get(chain).copied().unwrap_or(0);
        let limit = usize::try_from(*limit).unwrap();
        let mut listed = Vec::new();
        for mut state in self.settle_queue(state) {
            let is_own =
                |message: &Message| self.question.record(message.post).process == record.process;
            let qualifies = |message: &&Message| {
                message.rank > after
                    && (*echo || !is_own(message))
                    && (*include_claimed || message.holder.is_none())
            };
            let mut page: Vec<Message> = self.here(&state).filter(qualifies).cloned().collect();
            // A page may be short, but not empty.
            let is_possible = shown.len() <= limit && (page.is_empty() || !shown.is_empty());
            page.truncate(shown.len());
            if !is_possible
                || !page
                    .iter()
                    .map(|message| message.number)
                    .eq(shown.iter().copied())
            {
                continue;
            }
            if let Some(last) = page.last() {
                state.walks.insert(*chain, last.rank);
            }
            listed.push(state);
        }
        listed
    }
}

fn free<'s>(here: impl Iterator<Item = &'s Message>) -> Vec<u8> {
    let free = here.filter(|message| message.holder.is_none());
    free.map(|message| message.number).collect()
}

fn held(state: &State, claim: u8) -> Vec<u8> {
    let held = state
        .messages
        .iter()
        .filter(|message| message.holder == Some(claim));
    held.map(|message| message.number).collect()
}

/// All choices of at most `limit`, in order; nothing at all is none of them.
fn subsets(of: &[u8], limit: usize) -> Vec<Vec<u8>> {
    let masks = 1_u32..1 << of.len();
    let chosen = masks.map(|mask| {
        let chosen = of
            .iter()
            .enumerate()
            .filter(|(place, _)| mask & (1 << place) != 0);
        chosen.map(|(_, &number)| number).collect::<Vec<u8>>()
    });
    chosen.filter(|chosen| chosen.len() <= limit).collect()
}
