//! Which messages an answer may, must and must not show.

use super::super::answer::{Difference, Heard, Shown};
use super::super::certainty::Certainty;
use super::super::operation::{Place, QUEUES};
use super::Specification;
use super::state::Message;
use crate::suite::Sent;

/// What a request looks at.
#[derive(Clone, Copy)]
pub(super) struct View {
    /// The client whose messages it does not see.
    pub(super) hides_own_of: Option<u8>,
    pub(super) sees_claimed: bool,
    pub(super) sees_delayed: Certainty,
    /// Whether it may change the ttl that it shows (contract 6.2).
    pub(super) may_extend: bool,
}

impl View {
    /// Every message.
    pub(super) const ALL: Self = Self {
        hides_own_of: None,
        sees_claimed: true,
        sees_delayed: Certainty::Yes,
        may_extend: false,
    };
    /// Active messages only.
    pub(super) const ACTIVE: Self = Self {
        hides_own_of: None,
        sees_claimed: false,
        sees_delayed: Certainty::No,
        may_extend: false,
    };
    /// Active messages only, as a claim takes them.
    pub(super) const CLAIMING: Self = Self {
        may_extend: true,
        ..Self::ACTIVE
    };
}

impl Specification {
    /// Whether `message` is visible, and what hides it if it is not.
    pub(super) fn visible(&self, message: &Message, view: View, sent: Sent) -> (Certainty, Reason) {
        let own = view.hides_own_of == Some(message.client);
        let held = Self::held(message, sent);
        let delayed = Self::delayed(message, sent);
        let reasons = [
            (self.alive(message, sent), Reason::Gone),
            (Certainty::of(!own), Reason::Own),
            (
                held.not().max(Certainty::of(view.sees_claimed)),
                Reason::Held,
            ),
            (delayed.not().max(view.sees_delayed), Reason::Delayed),
        ];
        let least = reasons.iter().min_by_key(|(certainty, _)| *certainty);
        *least.expect("there are four")
    }

    /// The entries of `place` that may be visible, oldest first, behind `after`.
    pub(super) fn candidates(
        &self,
        (place, after): (Place, Option<u64>),
        view: View,
        sent: Sent,
    ) -> Vec<(usize, Certainty)> {
        let mut found: Vec<(usize, Certainty)> = self
            .messages
            .iter()
            .enumerate()
            .filter(|(_, message)| message.place == place)
            .filter(|(_, message)| {
                !message.is_ranked || after.is_none_or(|rank| message.rank > rank)
            })
            .map(|(index, message)| (index, self.visible(message, view, sent).0))
            .filter(|(_, certainty)| *certainty != Certainty::No)
            .collect();
        found.sort_by_key(|(index, _)| self.messages[*index].rank);
        found
    }

    /// The entries that an answer shows, each of which must be one of `place` that may be visible, and
    /// be shown as it is.
    pub(super) fn identify(
        &self,
        (clause, place, view): (&str, Place, View),
        shown: &[Shown],
        heard: Heard<'_>,
    ) -> Result<Vec<usize>, Difference> {
        let mut found = Vec::new();
        for one in shown {
            let index = self.identify_one((clause, place, view), one, heard)?;
            let (certainty, reason) = self.visible(&self.messages[index], view, heard.sent);
            if certainty == Certainty::No {
                let (clause, why) = self.tell(reason, index, clause);
                return Err(heard.differs(&clause, format!("no message {}: {why}", one.id)));
            }
            if found.contains(&index) {
                return Err(heard.differs(clause, format!("message {} but once", one.id)));
            }
            found.push(index);
        }
        Ok(found)
    }

    fn identify_one(
        &self,
        (clause, place, view): (&str, Place, View),
        shown: &Shown,
        heard: Heard<'_>,
    ) -> Result<usize, Difference> {
        let with_id = |message: &&Message| message.id == shown.id;
        let here = |message: &Message| message.place == place;
        let index = self
            .messages
            .iter()
            .rposition(|message| here(message) && with_id(&message));
        let Some(index) = index else {
            return Err(match self.messages.iter().rev().find(with_id) {
                Some(other) => heard.differs(
                    "14.2",
                    format!(
                        "no message {}: it belongs to queue {} of project {}",
                        shown.id,
                        QUEUES[usize::from(other.place.queue)],
                        other.place.project + 1,
                    ),
                ),
                None => heard.differs(clause, format!("no message {}: nobody posted it", shown.id)),
            });
        };
        self.check_content((&self.messages[index], view), shown, heard)?;
        Ok(index)
    }

    /// Contract 5.1: body, ttl and age of a message.
    fn check_content(
        &self,
        (message, view): (&Message, View),
        shown: &Shown,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        if shown.body != message.body {
            return Err(heard.differs("5.1", format!("body {} of {}", message.body, shown.id)));
        }
        let slack = self.rules.slack;
        let oldest = heard.sent.answered_at.since(message.posted.invoked_at) + slack;
        let youngest = heard.sent.invoked_at.since(message.posted.answered_at);
        // Claims and moves may restart the age, and change the ttl that is shown (contract 6.2, 7.2).
        let youngest = if message.is_as_posted {
            youngest.saturating_sub(slack)
        } else {
            std::time::Duration::ZERO
        };
        let ages = youngest.as_secs_f64()..=oldest.as_secs_f64();
        if !ages.contains(&shown.age) {
            let expected = format!("{} with an age within {ages:?}", shown.id);
            return Err(heard.differs("5.1", expected));
        }
        if message.is_as_posted && !view.may_extend && shown.ttl != message.ttl {
            let expected = format!("{} with ttl {}", shown.id, message.ttl);
            return Err(heard.differs("5.1", expected));
        }
        Ok(())
    }

    /// Demands that `shown` keeps the order of `candidates`.
    pub(super) fn check_order(
        &self,
        clause: &str,
        shown: &[usize],
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        let ranked = shown.iter().copied();
        let ranked: Vec<usize> = ranked.filter(|&one| self.messages[one].is_ranked).collect();
        let out_of_order = ranked
            .windows(2)
            .find(|pair| self.messages[pair[0]].rank > self.messages[pair[1]].rank);
        match out_of_order {
            None => Ok(()),
            Some(pair) => {
                let (late, early) = (&self.messages[pair[0]].id, &self.messages[pair[1]].id);
                let expected = format!("oldest first: {early} before {late}");
                Err(heard.differs(clause, expected))
            }
        }
    }

    /// The rank up to which an answer has passed the queue.
    pub(super) fn last_rank(&self, shown: &[usize]) -> Option<u64> {
        let ranked = shown.iter().map(|&index| &self.messages[index]);
        ranked
            .filter(|message| message.is_ranked)
            .map(|message| message.rank)
            .max()
    }

    /// The violation that an answer lacks `message`.
    pub(super) fn missing(&self, clause: &str, message: usize, heard: Heard<'_>) -> Difference {
        let message = &self.messages[message];
        let expected = format!(
            "message {} (body {}), which is there",
            message.id, message.body
        );
        heard.differs(clause, expected)
    }

    /// Takes over that `message` was seen through `view`.
    pub(super) fn was_seen(&mut self, message: usize, view: View, sent: Sent) {
        self.was_present(message);
        let entry = &mut self.messages[message];
        if !view.sees_claimed {
            entry.lease = None;
        }
        if view.sees_delayed == Certainty::No && Self::delayed(entry, sent) != Certainty::No {
            entry.ready.was_over_by(sent.answered_at);
        }
    }

    /// Takes over that `message` was not seen through `view`, where it would have been if nothing hid
    /// it.
    pub(super) fn was_unseen(&mut self, message: usize, view: View, sent: Sent) {
        let entry = &self.messages[message];
        let may_be_hidden = (!view.sees_claimed && Self::held(entry, sent) != Certainty::No)
            || (view.sees_delayed != Certainty::Yes && Self::delayed(entry, sent) != Certainty::No);
        if !may_be_hidden {
            self.was_absent(message, sent);
        }
    }

    fn tell(&self, reason: Reason, message: usize, clause: &str) -> (String, String) {
        let message = &self.messages[message];
        match reason {
            Reason::Own => ("5.4".to_owned(), "it is the client's own".to_owned()),
            Reason::Held => {
                let lease = message.lease.expect("a held message has a lease");
                let claim = &self.claims[lease.claim].id;
                let until = lease.end.earliest;
                let why = format!("claim {claim} holds it until {until} at least");
                ("6.1, G6".to_owned(), why)
            }
            Reason::Delayed => {
                let until = message.ready.earliest;
                (
                    "5.9, G11".to_owned(),
                    format!("it is delayed until {until} at least"),
                )
            }
            Reason::Gone if message.presence != Certainty::No => {
                let by = message.expiry.latest.plus(self.rules.expiry_lag);
                ("5.10, G10".to_owned(), format!("it expired by {by}"))
            }
            Reason::Gone => {
                let same = |other: &&Message| other.id == message.id;
                let why = if self.messages.iter().filter(same).count() > 1 {
                    "it was moved to the dead letter queue"
                } else {
                    "it was removed"
                };
                (format!("{clause}, G13"), why.to_owned())
            }
        }
    }
}

/// What hides a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Removed or expired.
    Gone,
    Own,
    Held,
    Delayed,
}
