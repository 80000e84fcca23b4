//! `delivery/page-gap` and `delivery/page-repeat`: a walk that follows the markers shows everything
//! that stays, once.
//!
//! A gap is told of messages that certainly were there, and qualified under the walk's own flags, from
//! before some page on whose beginning surely lies before them, until the walk has passed them: it showed
//! something younger, or found nothing more. The first page begins at the head of the queue. A later one
//! begins before whatever is surely younger than all that the walk has shown so far.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use super::findings::Findings;
use super::known::Known;
use super::log::{Act, Index, NONE, Place};
use super::marks::Marks;
use super::order::producer;
use crate::environment::Instant;

/// The ok pages of each walk, in the order of their invocations, as far as each follows the marker
/// that the one before named. The walks are in the order in which they began.
pub(super) fn walks(facts: &Facts<'_>) -> Vec<Vec<Index>> {
    let log = facts.log;
    let mut numbers: BTreeMap<u64, usize> = BTreeMap::new();
    let mut walks: Vec<Vec<Index>> = Vec::new();
    let mut is_broken: Vec<bool> = Vec::new();
    for (index, op) in log.numbered() {
        let Act::List { page } = op.act else { continue };
        // A page without an answer moves no marker: the walk goes on where it was.
        if !op.is_ok() {
            continue;
        }
        let page = log.pages[page as usize];
        let number = *numbers.entry(page.chain).or_insert(walks.len());
        if number == walks.len() {
            walks.push(Vec::new());
            is_broken.push(false);
        }
        if is_broken[number] {
            continue;
        }
        let follows = match walks[number].last().map(|&last| log.op(last)) {
            None => page.marker == NONE,
            Some(last) => {
                let Act::List { page: before } = last.act else {
                    unreachable!("walks are of pages");
                };
                let next = log.pages[before as usize].next;
                last.completed_at <= op.invoked_at && next != NONE && next == page.marker
            }
        };
        if follows {
            walks[number].push(index);
        } else {
            is_broken[number] = true;
        }
    }
    walks.retain(|pages| !pages.is_empty());
    walks
}

/// The same walk returned a message twice.
pub(super) fn repeats(facts: &Facts<'_>, pages: &[Index], findings: &mut Findings) {
    let mut shown: BTreeMap<u32, Index> = BTreeMap::new();
    for (number, &page) in pages.iter().enumerate() {
        let seen = facts.seen(facts.op(page));
        findings.exercised += u64::from(number > 0 && !seen.is_empty());
        for sight in seen {
            if let Some(first) = shown.insert(sight.id, page) {
                findings.violate(sight.token, || {
                    ("returned twice by one walk".to_owned(), vec![first, page])
                });
            }
        }
    }
}

/// The walks of one queue.
pub(super) fn gaps(
    facts: &Facts<'_>,
    marks: &Marks,
    (place, walks): (Place, &[&Vec<Index>]),
    findings: &mut Findings,
) {
    let mut there = There::of(facts, marks, place);
    let numbered = walks.iter().enumerate();
    let pages = numbered.flat_map(|(walk, pages)| (0..pages.len()).map(move |page| (walk, page)));
    let mut pages: Vec<(usize, usize)> = pages.collect();
    // In the order of time, whichever walk they belong to.
    pages.sort_by_key(|&(walk, page)| walks[walk][page]);
    let mut so_far: Vec<Walk> = Vec::new();
    so_far.resize_with(walks.len(), Walk::default);
    for (walk, page) in pages {
        let pages = walks[walk];
        there.advance(facts, marks, facts.op(pages[page]).invoked_at);
        let mut judge = Judge {
            facts,
            marks,
            findings,
        };
        if page == 0 {
            let whole = Walk::along(facts, pages);
            for message in there.passed_by(facts, &whole, &Starts::AtTheHead) {
                judge.look(message, (&whole, pages), 0);
            }
        } else {
            let here = Walk::along(facts, &pages[page..=page]);
            let starts = so_far[walk].starts(shows_all(facts, pages));
            for message in there.passed_by(facts, &here, &starts) {
                if !so_far[walk]
                    .tokens
                    .contains(&facts.log.messages[message as usize].token)
                {
                    judge.look(message, (&here, pages), page);
                }
            }
        }
        so_far[walk].add(facts, pages[page]);
    }
}

/// Judges one message after the other that a walk has passed.
struct Judge<'f, 'l> {
    facts: &'f Facts<'l>,
    marks: &'f Marks,
    findings: &'f mut Findings,
}

impl Judge<'_, '_> {
    /// The message was there when the page at `from` of `pages` began, and lies behind it; `walk` is what
    /// they showed from then on.
    fn look(&mut self, message: u32, (walk, pages): (&Walk, &[Index]), from: usize) {
        let facts = self.facts;
        let Some(page) = walk.passed_at(facts, message) else {
            return;
        };
        let span = (
            facts.op(pages[from]).invoked_at,
            facts.op(page).completed_at,
        );
        let stays = span.1 < self.marks[message].stays_until
            && facts.certainly_lives(message, facts.op(page));
        if !stays || !qualifies(facts, message, pages, span) {
            return;
        }
        self.findings.exercised += 1;
        let message = &facts.log.messages[message as usize];
        if !walk.tokens.contains(&message.token) {
            self.findings.violate(message.token, || {
                let summary = "passed over by a walk, although it was certainly there".to_owned();
                let proof = std::iter::once(message.post).chain(pages.iter().copied());
                (summary, proof.collect())
            });
        }
    }
}

/// What surely lies behind the beginning of a page.
enum Starts {
    /// Everything.
    AtTheHead,
    /// Whatever was there when it began: nothing was shown before.
    AtNothing,
    /// Whatever was posted after the page before had ended; and if all that was shown is of one producer, what that
    /// one posted later.
    Behind {
        ended_at: Instant,
        shown: Option<(u32, Instant)>,
    },
}

impl Starts {
    /// Whether the page surely begins before the message.
    fn are_before(&self, facts: &Facts<'_>, message: u32) -> bool {
        let behind = self.behind(producer(facts, message));
        let post = facts.log.messages[message as usize].post;
        behind.is_none_or(|at| facts.op(post).invoked_at > at)
    }

    /// What `producer` began to post later than that surely lies behind; everything, if there is no such instant.
    fn behind(&self, producer: u32) -> Option<Instant> {
        match *self {
            Self::AtTheHead | Self::AtNothing => None,
            Self::Behind { ended_at, shown } => {
                let shown = shown.filter(|&(of, _)| of == producer);
                Some(shown.map_or(ended_at, |(_, shown_by)| shown_by.min(ended_at)))
            }
        }
    }
}

/// The messages of a queue that certainly are there while time goes on, the oldest of each producer
/// first: walks begin with what is old, so nobody has to look at what they never came near.
struct There {
    /// Those still to come, the next last.
    coming: Vec<u32>,
    /// By producer, in the order of the latest effect of their posts.
    messages: BTreeMap<u32, BTreeSet<(Instant, u32)>>,
    /// The same, in the order in which they may go.
    going: BTreeSet<(Instant, u32)>,
}

impl There {
    fn of(facts: &Facts<'_>, marks: &Marks, place: Place) -> Self {
        let stored_from = |message: u32| marks[message].stored_from;
        let coming = facts.queue(place).messages.iter().copied();
        let mut coming: Vec<u32> = coming
            .filter(|&message| stored_from(message) < Instant::NEVER)
            .collect();
        coming.sort_by_key(|&message| std::cmp::Reverse((stored_from(message), message)));
        Self {
            coming,
            messages: BTreeMap::new(),
            going: BTreeSet::new(),
        }
    }

    /// A walk begins `now`: what was stored before, and certainly is there still.
    fn advance(&mut self, facts: &Facts<'_>, marks: &Marks, now: Instant) {
        let posted_by = |message: u32| facts.posted_by(message);
        while let Some(&message) = self.coming.last() {
            let mark = &marks[message];
            if mark.stored_from >= now {
                break;
            }
            self.coming.pop();
            if mark.stays_until > now {
                let of_producer = self.messages.entry(producer(facts, message)).or_default();
                of_producer.insert((posted_by(message), message));
                self.going.insert((mark.stays_until, message));
            }
        }
        while let Some(&(until, message)) = self.going.first() {
            if until > now {
                break;
            }
            self.going.pop_first();
            if let Some(messages) = self.messages.get_mut(&producer(facts, message)) {
                messages.remove(&(posted_by(message), message));
            }
        }
    }

    /// Whether it is one of those.
    fn contains(&self, facts: &Facts<'_>, message: u32) -> bool {
        let messages = self.messages.get(&producer(facts, message));
        messages.is_some_and(|messages| messages.contains(&(facts.posted_by(message), message)))
    }

    /// Those that the walk has passed, and that lie behind where it starts.
    fn passed_by(&self, facts: &Facts<'_>, walk: &Walk, starts: &Starts) -> Vec<u32> {
        let mut passed = Vec::new();
        for (producer, messages) in &self.messages {
            let behind = starts.behind(*producer);
            let from = behind.unwrap_or(Instant::START);
            let shown = walk.shown.get(producer).and_then(|shown| shown.last());
            let until = match (walk.empty, shown) {
                // Nothing more was there.
                (Some(_), _) => None,
                (None, Some(&(latest, _))) => Some(latest),
                (None, None) => continue,
            };
            let behind = messages.range((from, 0)..);
            // What began to be posted before all that was shown had ended may lie before it.
            let behind = behind.filter(|&&(_, message)| starts.are_before(facts, message));
            let older = behind.take_while(|(at, _)| until.is_none_or(|until| *at < until));
            passed.extend(older.map(|&(_, message)| message));
        }
        let of_batches = walk.older_of_batches(facts);
        passed.extend(
            of_batches.filter(|&message| {
                self.contains(facts, message) && starts.are_before(facts, message)
            }),
        );
        passed.sort_unstable();
        passed.dedup();
        passed
    }
}

/// How far a walk came.
#[derive(Default)]
struct Walk {
    /// By producer: the latest beginning of a post among what it showed so far, and the page that
    /// showed it.
    shown: BTreeMap<u32, Vec<(Instant, Index)>>,
    /// The first page that was empty: nothing more was there.
    empty: Option<Index>,
    tokens: BTreeSet<u32>,
    /// By post of several messages: the places in the batch that it showed, in order, and the pages that did.
    batches: BTreeMap<Index, Vec<(u32, Index)>>,
    /// Whether it showed something that was not posted there: nobody knows its rank.
    is_foreign: bool,
    /// When the last page so far ended.
    ended_at: Instant,
    /// By when everything that it showed had been posted.
    posted_by: Instant,
}

impl Walk {
    fn along(facts: &Facts<'_>, pages: &[Index]) -> Self {
        let mut walk = Self::default();
        pages.iter().for_each(|&page| walk.add(facts, page));
        walk
    }

    fn add(&mut self, facts: &Facts<'_>, page: Index) {
        let op = facts.op(page);
        let seen = facts.seen(op);
        self.ended_at = op.completed_at;
        if seen.is_empty() {
            self.empty.get_or_insert(page);
        }
        for sight in seen {
            self.tokens.insert(sight.token);
            let message = facts.log.message_of(sight.token);
            let is_in_order =
                |&message: &u32| facts.is_in_order(&facts.log.messages[message as usize], op.place);
            let Some(message) = message.filter(is_in_order) else {
                self.is_foreign = true;
                continue;
            };
            let posted = &facts.log.messages[message as usize];
            let post = facts.op(posted.post);
            self.posted_by = self.posted_by.max(facts.posted_by(message));
            if matches!(post.act, Act::Post { count, .. } if count > 1) {
                let places = self.batches.entry(posted.post).or_default();
                if places.last().is_none_or(|&(last, _)| last < posted.place) {
                    places.push((posted.place, page));
                }
            }
            let shown = self.shown.entry(producer(facts, message)).or_default();
            // The latest so far, so that the list is in order.
            let latest = shown
                .last()
                .map_or(post.invoked_at, |&(latest, _)| post.invoked_at.max(latest));
            shown.push((latest, page));
        }
    }

    /// Where the next page starts, if the walk shows all that there is, or else passes over what is claimed or delayed
    /// just then, or is its own.
    fn starts(&self, shows_all: bool) -> Starts {
        let mut producers = self.shown.keys();
        let shown = match (self.is_foreign, producers.next(), producers.next()) {
            (false, None, _) if shows_all => return Starts::AtNothing,
            (false, Some(&producer), None) => Some((producer, self.posted_by)),
            (true, ..) | (false, None, _) | (false, Some(_), Some(_)) => None,
        };
        Starts::Behind {
            ended_at: self.ended_at,
            shown,
        }
    }

    /// Messages before others of their batch that it showed.
    fn older_of_batches<'f>(&'f self, facts: &'f Facts<'_>) -> impl Iterator<Item = u32> + 'f {
        let batches = self.batches.iter();
        batches.flat_map(move |(&post, places)| {
            let last = places.last().map_or(0, |&(last, _)| last);
            let Act::Post { first, .. } = facts.op(post).act else {
                unreachable!("batches are posted");
            };
            first..first + last
        })
    }

    /// The first page by which the walk had surely passed the message.
    fn passed_at(&self, facts: &Facts<'_>, message: u32) -> Option<Index> {
        let posted = &facts.log.messages[message as usize];
        let ended_at = facts.posted_by(message);
        let in_batch = self.batches.get(&posted.post);
        let in_batch = in_batch.and_then(|places| {
            let mut later = places.iter().filter(|&&(place, _)| place > posted.place);
            later.next().map(|&(_, page)| page)
        });
        let shown = self.shown.get(&producer(facts, message));
        let shown = shown.map_or(&[][..], Vec::as_slice);
        let first = shown.partition_point(|&(began_at, _)| began_at <= ended_at);
        let younger = shown.get(first).map(|&(_, page)| page);
        let passed = younger.into_iter().chain(in_batch);
        passed.chain(self.empty).min()
    }
}

/// Whether the walk leaves nothing out.
pub(super) fn shows_all(facts: &Facts<'_>, pages: &[Index]) -> bool {
    let Act::List { page } = facts.op(pages[0]).act else {
        return false;
    };
    let flags = facts.log.pages[page as usize].flags;
    flags.echo && flags.include_claimed && flags.include_delayed
}

/// Whether the message certainly qualifies under the flags of the walk, from `from` to `until`.
fn qualifies(
    facts: &Facts<'_>,
    message: u32,
    pages: &[Index],
    (from, until): (Instant, Instant),
) -> bool {
    let Act::List { page } = facts.op(pages[0]).act else {
        return false;
    };
    let flags = facts.log.pages[page as usize].flags;
    let known = Known::of(facts, message);
    let delay_ends_at = known.stored_from.map(|stored| {
        stored
            .plus(facts.delay_at_most(known.message))
            .plus(facts.slack())
    });
    // Processes may share a walk: then each page leaves out what is its process's own.
    let is_own = pages
        .iter()
        .any(|&page| facts.op(page).process == known.post.process);
    let is_active = delay_ends_at.is_some_and(|at| at <= from);
    (flags.echo || !is_own)
        && (flags.include_claimed || !known.may_be_held(from, until))
        && (flags.include_delayed || is_active)
}
