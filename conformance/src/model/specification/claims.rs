//! Contract 6 and 7.1, 7.2: claims, and what becomes of messages that were handed out too often.

use http::Method;
use serde_json::{Value, json};

use super::super::answer::{Difference, Heard, last_segment};
use super::super::certainty::{Certainty, Window};
use super::super::operation::{ClaimRef, Place, Terms};
use super::selecting::View;
use super::state::{Claim, Lease, Message};
use super::{Asked, Meaning, Planned, Specification, claim_variable};
use crate::suite::Sent;

impl Specification {
    pub(super) fn plan_claim(asked: Asked) -> Planned {
        let rest = format!("/claims?limit={}", asked.limit);
        let body = Some(document(asked.terms));
        Some((Method::POST, rest, body, Meaning::Claim(asked)))
    }

    pub(super) fn plan_read_claim(&self, place: Place, wanted: ClaimRef, now: Sent) -> Planned {
        let claim = self.find_claim(wanted, place, now)?;
        let meaning = Meaning::ReadClaim { place, claim };
        Some((Method::GET, item(claim), None, meaning))
    }

    pub(super) fn plan_renewal(
        &self,
        place: Place,
        (wanted, terms): (ClaimRef, Terms),
        now: Sent,
    ) -> Planned {
        let claim = self.find_claim(wanted, place, now)?;
        let meaning = Meaning::Renew {
            place,
            claim,
            terms,
        };
        Some((Method::PATCH, item(claim), Some(document(terms)), meaning))
    }

    pub(super) fn plan_release(&self, place: Place, wanted: ClaimRef, now: Sent) -> Planned {
        let claim = self.find_claim(wanted, place, now)?;
        let meaning = Meaning::Release { place, claim };
        Some((Method::DELETE, item(claim), None, meaning))
    }

    pub(super) fn judge_claim(&mut self, asked: Asked, heard: Heard<'_>) -> Result<(), Difference> {
        let Asked {
            key,
            place,
            terms,
            limit,
        } = asked;
        let status = heard.status("6.1", &[201, 204], "")?;
        let shown = if status == 204 {
            Vec::new()
        } else {
            heard.messages("6.1")?
        };
        if status == 201 && shown.is_empty() {
            return Err(heard.differs("6.1", "status 204 where there is nothing to claim"));
        }
        let found = self.identify(("6.1", place, View::CLAIMING), &shown, heard)?;
        let handed_out = self.hand_out((place, limit), &found, heard)?;
        if status == 204 {
            self.move_spent(place, &handed_out, heard.sent);
            return Ok(());
        }
        let location = heard.answer.headers.get("location");
        let id = location.and_then(|value| last_segment(value.to_str().ok()?));
        let id = id.ok_or_else(|| heard.differs("6.1", "`Location`: the path of the claim"))?;
        if self.claims.iter().any(|claim| claim.id == id) {
            return Err(heard.differs("6.1", format!("a claim id that is new, not {id}")));
        }
        let counts = self.claim_count_max(place).is_some();
        let end = self.window(heard.sent, terms.ttl);
        let claim = self.claims.len();
        self.claims.push(Claim {
            id,
            key,
            place,
            terms,
            since: heard.sent,
            end,
            is_ended: false,
        });
        for index in found {
            self.was_seen(index, View::ACTIVE, heard.sent);
            self.extend(index, terms, heard.sent);
            let message = &mut self.messages[index];
            message.lease = Some(Lease { claim, end });
            message.last_holder = Some(claim);
            message.deliveries += u64::from(counts);
        }
        self.move_spent(place, &handed_out, heard.sent);
        Ok(())
    }

    /// Demands that `found` is what a claim of at most `limit` may hand out, and tells which messages
    /// move because their deliveries are used up: for certain, or perhaps.
    fn hand_out(
        &mut self,
        (place, limit): (Place, u64),
        found: &[usize],
        heard: Heard<'_>,
    ) -> Result<Vec<(usize, bool)>, Difference> {
        let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
        if total > limit {
            return Err(heard.differs("6.1", format!("at most {limit} messages")));
        }
        self.check_order("6.1, G4", found, heard)?;
        let last = self.last_rank(found);
        let count_max = self.claim_count_max(place);
        let (mut shown, mut spent_before) = (0, 0);
        let mut spent = Vec::new();
        for (index, certainty) in self.candidates((place, None), View::ACTIVE, heard.sent) {
            let message = &self.messages[index];
            let is_found = found.contains(&index);
            if count_max.is_some_and(|max| message.deliveries >= max) {
                if is_found {
                    let expected = format!(
                        "no message {}: it was handed out {} times and moves to the dead letter queue",
                        message.id, message.deliveries
                    );
                    return Err(heard.differs("7.2, G12", expected));
                }
                if shown < limit {
                    let is_reached = shown + spent_before < limit;
                    let moves = is_reached && self.is_active_if_here(message, heard.sent);
                    spent.push((index, moves));
                    spent_before += 1;
                }
                continue;
            }
            shown += u64::from(is_found);
            // Messages that were moved by this claim need not be replaced (contract 6.1).
            let is_passed = message.is_ranked && last.is_some_and(|last| message.rank < last);
            if !is_found && (is_passed || total + spent_before < limit) {
                if certainty == Certainty::Yes {
                    return Err(self.missing("6.1", index, heard));
                }
                self.was_unseen(index, View::ACTIVE, heard.sent);
            }
        }
        Ok(spent)
    }

    /// After how many deliveries a message moves, if the queue says so and says where to.
    fn claim_count_max(&self, place: Place) -> Option<u64> {
        let metadata = &self.queues.get(&place)?.metadata;
        let target = metadata.get("_dead_letter_queue").and_then(Value::as_str)?;
        let count = metadata.get("_max_claim_count").and_then(Value::as_u64)?;
        (!target.is_empty()).then_some(count)
    }

    fn claim_of(&self, place: Place, claim: Option<usize>) -> Option<usize> {
        claim.filter(|&claim| self.claims[claim].place == place)
    }

    fn leased_to(&self, claim: usize) -> Vec<usize> {
        let held = |message: &Message| message.lease.is_some_and(|lease| lease.claim == claim);
        let entries = self.messages.iter().enumerate();
        entries
            .filter(|(_, message)| held(message))
            .map(|(index, _)| index)
            .collect()
    }

    pub(super) fn judge_read_claim(
        &mut self,
        place: Place,
        claim: Option<usize>,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        let sent = heard.sent;
        let here = self.claim_of(place, claim);
        let lives = here.map_or(Certainty::No, |claim| self.claim_lives(claim, sent));
        let status = heard.status("6.4", statuses(lives, 200), why(lives))?;
        let Some(claim) = here else { return Ok(()) };
        if status == 404 {
            self.claims[claim].is_ended = true;
            return Ok(());
        }
        let shown = heard.messages("6.4")?;
        let found = self.identify(("6.4", place, View::ALL), &shown, heard)?;
        let leased = self.leased_to(claim);
        if let Some(&index) = found.iter().find(|index| !leased.contains(index)) {
            let id = &self.messages[index].id;
            return Err(heard.differs("6.4, G6", format!("no message {id}: this claim lacks it")));
        }
        for index in leased {
            let message = &self.messages[index];
            let is_owed = self.alive(message, sent).and(Self::held(message, sent));
            if !found.contains(&index) && is_owed == Certainty::Yes {
                return Err(self.missing("6.4", index, heard));
            }
        }
        self.check_terms(claim, heard)
    }

    fn check_terms(&self, claim: usize, heard: Heard<'_>) -> Result<(), Difference> {
        let document = heard.json("6.4")?;
        let Claim { terms, since, .. } = &self.claims[claim];
        if document["ttl"] != json!(terms.ttl) {
            return Err(heard.differs("6.4", format!("ttl {}", terms.ttl)));
        }
        let slack = self.rules.slack;
        let oldest = heard.sent.answered_at.since(since.invoked_at) + slack;
        let youngest = heard
            .sent
            .invoked_at
            .since(since.answered_at)
            .saturating_sub(slack);
        let ages = youngest.as_secs_f64()..=oldest.as_secs_f64();
        let age = document["age"].as_f64();
        if age.is_none_or(|age| !ages.contains(&age)) {
            return Err(heard.differs("6.4, G7", format!("an age within {ages:?}")));
        }
        Ok(())
    }

    pub(super) fn judge_renewal(
        &mut self,
        (place, claim): (Place, Option<usize>),
        terms: Terms,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        let sent = heard.sent;
        let here = self.claim_of(place, claim);
        let lives = here.map_or(Certainty::No, |claim| self.claim_lives(claim, sent));
        let status = heard.status("6.5", statuses(lives, 204), why(lives))?;
        let Some(claim) = here else { return Ok(()) };
        if status == 404 {
            self.claims[claim].is_ended = true;
            return Ok(());
        }
        let end = self.window(sent, terms.ttl);
        for index in self.leased_to(claim) {
            let held = Self::held(&self.messages[index], sent);
            self.shorten(index, end.earliest, terms.grace);
            self.extend(index, terms, sent);
            let lease = self.messages[index].lease.as_mut();
            let lease = lease.expect("it is leased to this claim");
            lease.end = match held {
                Certainty::Yes => end,
                // Its lease may have been over before the claim itself was.
                Certainty::Maybe | Certainty::No => Window {
                    earliest: lease.end.earliest,
                    latest: end.latest,
                },
            };
        }
        let renewed = &mut self.claims[claim];
        (renewed.terms, renewed.since, renewed.end) = (terms, sent, end);
        Ok(())
    }

    pub(super) fn judge_release(
        &mut self,
        place: Place,
        claim: Option<usize>,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        heard.status("6.6", &[204], "")?;
        if let Some(claim) = self.claim_of(place, claim) {
            self.release(claim, heard.sent);
        }
        Ok(())
    }

    fn release(&mut self, claim: usize, sent: Sent) {
        let grace = self.claims[claim].terms.grace;
        let end = sent.invoked_at.minus(self.rules.slack);
        for index in self.leased_to(claim) {
            if Self::held(&self.messages[index], sent) != Certainty::No {
                self.shorten(index, end, grace);
            }
            self.messages[index].lease = None;
        }
        self.claims[claim].is_ended = true;
    }
}

fn statuses(lives: Certainty, success: u16) -> &'static [u16] {
    match (lives, success) {
        (Certainty::Yes, 200) => &[200],
        (Certainty::Yes, _) => &[204],
        (Certainty::Maybe, 200) => &[200, 404],
        (Certainty::Maybe, _) => &[204, 404],
        (Certainty::No, _) => &[404],
    }
}

fn why(lives: Certainty) -> &'static str {
    match lives {
        Certainty::Yes => "the claim is live",
        Certainty::Maybe => "",
        Certainty::No => "there is no such claim in this queue, or it is over",
    }
}

fn item(claim: Option<usize>) -> String {
    format!("/claims/{}", claim_variable(claim))
}

fn document(terms: Terms) -> Value {
    json!({ "ttl": terms.ttl, "grace": terms.grace })
}
