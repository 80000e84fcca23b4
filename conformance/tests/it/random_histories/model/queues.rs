//! What holds for whole queues, and what happens to many messages at once.

use nanshe_conformance::history::{Answer, Operation, Outcome, Posted, QueueSettings};
use rand::RngExt;

use super::{Message, Model, Place, Subscription};
use crate::random_histories::flaws::Flaw;

impl Model {
    /// Operations that act on many messages, or on none.
    pub(super) fn settle(&mut self, operation: &Operation) -> Outcome {
        let queue = operation.queue();
        let answer = if let Operation::BulkDelete { ids, .. } = operation {
            self.remove(|message| message.queue == queue && ids.contains(&message.seen.id));
            Answer::BulkDelete
        } else if let Operation::CreateQueue { settings, .. } = operation {
            let created = !self.settings.contains_key(queue);
            let known = self.settings.entry(queue.to_owned());
            known.or_insert_with(|| QueueSettings::clone(settings));
            Answer::CreateQueue { created }
        } else if let Operation::SetMetadata { settings, .. } = operation {
            self.settings
                .insert(queue.to_owned(), QueueSettings::clone(settings));
            Answer::SetMetadata
        } else if let Operation::DeleteQueue { .. } = operation {
            self.remove(|message| message.queue == queue);
            self.settings.remove(queue);
            Answer::DeleteQueue
        } else {
            self.remove(|message| message.queue == queue);
            Answer::Purge
        };
        Outcome::Ok(answer)
    }

    fn remove(&mut self, is_meant: impl Fn(&Message) -> bool) {
        for message in self.messages.iter_mut().filter(|message| is_meant(message)) {
            if message.place == Place::Stored {
                message.place = Place::Deleted;
            }
        }
    }

    pub(super) fn subscribe(&mut self, queue: &str, subscriber: &str, ends_at: u64) -> Outcome {
        self.subscriptions.push(Subscription {
            queue: queue.to_owned(),
            subscriber: subscriber.to_owned(),
            ends_at,
        });
        let subscription = format!("subscription-{}", self.subscriptions.len());
        Outcome::Ok(Answer::Subscribe { subscription })
    }

    /// Tells subscribers of what was posted, but for what `flaw` is about: that makes all the
    /// difference there is, to a message that should be pushed or to one that should not.
    pub(super) fn push(&mut self, now: u64, queue: &str, batch: &[Posted], flaw: Flaw) {
        let subscribers = self.subscriptions.iter();
        let subscribers = subscribers.filter(|it| it.queue == queue && now < it.ends_at);
        let subscribers: Vec<String> = subscribers.map(|it| it.subscriber.clone()).collect();
        for subscriber in subscribers {
            for posted in batch {
                let is_wrong = self.strikes(flaw, 0.2);
                if is_wrong == (flaw == Flaw::PushedUnstored) {
                    let token = posted.token.clone();
                    self.pushes
                        .push((queue.to_owned(), subscriber.clone(), token));
                }
            }
        }
    }

    /// Moves what was handed out too often, instead of handing it out. Nothing takes its place.
    pub(super) fn move_dead_letters(&mut self, now: u64, queue: &str, taken: &mut Vec<usize>) {
        let settings = self.settings.get(queue).cloned().unwrap_or_default();
        let QueueSettings {
            dead_letter_queue: Some(target),
            max_claim_count: Some(most),
            dead_letter_ttl_secs,
            ..
        } = settings
        else {
            return;
        };
        let is_right = |message: &Message| message.claim_count >= most;
        let later = self.flaw == Some(Flaw::DeadLetterLate);
        let sooner = self.flaw == Some(Flaw::DeadLetterEarly);
        let most = (most + u64::from(later)).saturating_sub(u64::from(sooner));
        let moves = |message: &Message| message.claim_count >= most;
        let differs = |&&place: &&usize| {
            let message = &self.messages[place];
            moves(message) != is_right(message)
        };
        self.has_struck |= taken.iter().any(|place| differs(&place));
        let gone = taken.extract_if(.., |place| moves(&self.messages[*place]));
        for place in gone.collect::<Vec<_>>() {
            self.serial += 1;
            let rank = self.serial;
            let is_swallowed = self.strikes(Flaw::DeadLetterSwallowed, 0.5);
            let message = &mut self.messages[place];
            if is_swallowed {
                message.place = Place::Deleted;
            }
            message.queue.clone_from(&target);
            message.rank = rank;
            message.holder = None;
            message.active_at = now;
            if let Some(ttl_secs) = dead_letter_ttl_secs {
                message.expires_at = now + ttl_secs * 1000;
            }
        }
        // Places are ranks: what was moved stands last. Those that were taken keep their order.
        let ids = taken
            .iter()
            .map(|&place| self.messages[place].seen.id.clone());
        let ids: Vec<String> = ids.collect();
        self.messages.sort_by_key(|message| message.rank);
        let place_of = |id: &String| {
            let mut messages = self.messages.iter();
            messages.position(|message| message.seen.id == *id).unwrap()
        };
        *taken = ids.iter().map(place_of).collect();
    }

    /// A lease does not outlast its message: one that would have ended earlier lives until the grace
    /// after it.
    pub(super) fn extend(&mut self, place: usize, lease_until: u64, grace_secs: u64) {
        self.messages[place].lease_until = lease_until;
        if self.messages[place].expires_at >= lease_until {
            return;
        }
        // It makes no difference before somebody misses the message.
        let extended = lease_until + grace_secs * 1000;
        let cut = match self.flaw {
            Some(Flaw::LifeNotExtended) => Some(self.messages[place].expires_at),
            Some(Flaw::GraceForgotten) => Some(lease_until),
            _ => None,
        };
        let is_cut = cut.is_some() && self.random.random_bool(0.7);
        let message = &mut self.messages[place];
        message.expires_at = cut.filter(|_| is_cut).unwrap_or(extended);
        message.owed_until = if is_cut { extended } else { 0 };
    }

    /// The message as an answer shows it.
    pub(super) fn shown(&mut self, place: usize) -> nanshe_conformance::history::Seen {
        let mut seen = self.messages[place].seen.clone();
        if seen.body.is_some() && self.strikes(Flaw::BodyChanged, 0.2) {
            seen.body = Some("something else".to_owned());
        }
        seen
    }

    /// Whether some flaw lets a look into `queue` find a message of another.
    pub(super) fn looks_elsewhere(&mut self, message: usize, queue: &str) -> bool {
        self.messages[message].queue != queue && self.strikes(Flaw::QueuesConfused, 0.7)
    }

    /// A number between 0 and `most`.
    pub(super) fn draw_up_to(&mut self, most: usize) -> usize {
        self.random.random_range(0..=most)
    }
}
