//! What reads find.

use nanshe_conformance::history::{Answer, Operation, Outcome, Seen};

use super::{Message, Model, Place};
use crate::random_histories::flaws::Flaw;

impl Model {
    pub(super) fn get(&mut self, now: u64, queue: &str, id: &str) -> Outcome {
        let message = self.find(now, queue, id);
        Outcome::Ok(Answer::Get { message })
    }

    fn find(&mut self, now: u64, queue: &str, id: &str) -> Option<Seen> {
        let mut messages = self.messages.iter();
        let is_owed = messages.any(|message| message.seen.id == id && message.is_owed(now));
        self.has_struck |= is_owed;
        let mut messages = self.messages.iter();
        let place = messages.position(|message| message.seen.id == id && message.is_alive(now))?;
        let is_here = self.messages[place].queue == queue;
        if !is_here && !self.looks_elsewhere(place, queue) {
            return None;
        }
        if self.strikes(Flaw::ReadMissed, 0.5) {
            return None;
        }
        Some(self.shown(place))
    }

    pub(super) fn look(&mut self, now: u64, process: u64, operation: &Operation) -> Outcome {
        let queue = operation.queue();
        Outcome::Ok(if let Operation::GetMany { ids, .. } = operation {
            let messages = ids.iter().filter_map(|id| self.find(now, queue, id));
            Answer::GetMany {
                messages: messages.collect(),
            }
        } else if let Operation::ClaimGet { claim, .. } = operation {
            let messages = self.claimed(now, claim);
            Answer::ClaimGet { messages }
        } else if let Operation::Stats { .. } = operation {
            self.stats(now, queue)
        } else {
            self.page(now, process, operation)
        })
    }

    fn claimed(&mut self, now: u64, claim: &str) -> Option<Vec<Seen>> {
        let mut claims = self.claims.iter();
        let is_live = claims.any(|known| known.id == claim && now < known.ends_at);
        if !is_live || self.strikes(Flaw::ClaimForgotten, 0.5) {
            return None;
        }
        let held = self
            .messages
            .iter()
            .filter(|message| message.is_alive(now) && message.is_held_by(claim, now));
        Some(held.map(|message| message.seen.clone()).collect())
    }

    fn stats(&mut self, now: u64, queue: &str) -> Answer {
        let here = self.messages.iter();
        let here = here.filter(|message| message.queue == queue && message.is_alive(now));
        let (claimed, free): (Vec<_>, Vec<_>) = here.partition(|message| message.is_held(now));
        let mut free = u64::try_from(free.len()).unwrap();
        let claimed = u64::try_from(claimed.len()).unwrap();
        if self.strikes(Flaw::CountsOff, 0.5) {
            free += 3;
        }
        let total = free + claimed;
        Answer::Stats {
            free,
            claimed,
            total,
        }
    }

    /// Markers are ranks; with a flaw, they are the number of messages passed.
    fn page(&mut self, now: u64, process: u64, operation: &Operation) -> Answer {
        let Operation::List {
            queue,
            chain,
            marker,
            limit,
            echo,
            include_claimed,
            include_delayed,
            ..
        } = operation
        else {
            unreachable!("invariant: only a listing has pages")
        };
        let after: u64 = marker.as_ref().map_or(0, |marker| marker.parse().unwrap());
        let qualifies = |message: &Message| {
            message.queue == *queue
                && message.place == Place::Stored
                && now < message.expires_at
                && (*echo || message.producer != process)
                && (*include_claimed || !message.is_held(now))
                && (*include_delayed || !message.is_delayed(now))
        };
        let all = (0..self.messages.len()).filter(|&place| qualifies(&self.messages[place]));
        let all: Vec<usize> = all.collect();
        let limit = usize::try_from(*limit).unwrap();
        let by_rank = all
            .iter()
            .filter(|&&place| self.messages[place].rank > after);
        let mut places: Vec<usize> = by_rank.copied().take(limit).collect();
        let mut next = places
            .last()
            .map_or(after, |&last| self.messages[last].rank);
        if self.flaw == Some(Flaw::PagedByOffset) {
            let passed = usize::try_from(after).unwrap().min(all.len());
            let by_offset: Vec<usize> = all[passed..].iter().copied().take(limit).collect();
            next = after + u64::try_from(by_offset.len()).unwrap();
            // It makes no difference before the page is another than it would be by rank.
            let shown = self.shown_ranks.get(chain).copied().unwrap_or(0);
            let right = all
                .iter()
                .filter(|&&place| self.messages[place].rank > shown);
            self.has_struck |= !right.take(limit).eq(&by_offset);
            if let Some(&last) = by_offset.last() {
                self.shown_ranks.insert(*chain, self.messages[last].rank);
            }
            places = by_offset;
        }
        let shown_before = self.shown.entry(*chain).or_default();
        let mut before = all.iter().rev();
        let before = before.find(|&&place| shown_before.contains(&self.messages[place].seen.id));
        // A full page may have no room for more than what it repeats.
        if before.is_some() && self.strikes(Flaw::PageRepeated, 0.5) {
            places.splice(0..0, before.copied());
            places.truncate(limit);
        }
        if places.len() > 1 && self.strikes(Flaw::PageSkips, 0.5) {
            let skipped = self.draw_up_to(places.len() - 2);
            places.remove(skipped);
        }
        let ids = places
            .iter()
            .map(|&place| self.messages[place].seen.id.clone());
        self.shown.entry(*chain).or_default().extend(ids);
        let messages = places.into_iter().map(|place| self.shown(place)).collect();
        let next = Some(next.to_string());
        Answer::List { messages, next }
    }
}
