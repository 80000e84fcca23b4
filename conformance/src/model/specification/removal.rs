//! Contract 5.7 and 5.8: deletes and pops.

use http::Method;

use super::super::answer::{Difference, Heard};
use super::super::certainty::Certainty;
use super::super::operation::{ClaimArgument, MessageRef, Place};
use super::selecting::View;
use super::{INVENTED, Meaning, NamedClaim, Planned, Specification, claim_variable};
use crate::suite::Sent;

impl Specification {
    pub(super) fn plan_delete(
        &self,
        place: Place,
        (message, claim): (MessageRef, ClaimArgument),
        now: Sent,
    ) -> Planned {
        let message = self.find_message(message, place, now)?;
        let claim = match claim {
            ClaimArgument::Absent => NamedClaim::Absent,
            ClaimArgument::LastHolder => NamedClaim::Known(self.messages[message?].last_holder?),
            ClaimArgument::Of(wanted) => match self.find_claim(wanted, place, now)? {
                None => NamedClaim::Invented,
                Some(claim) => NamedClaim::Known(claim),
            },
        };
        let query = match claim {
            NamedClaim::Absent => String::new(),
            NamedClaim::Invented => format!("?claim_id={INVENTED}"),
            NamedClaim::Known(claim) => format!("?claim_id={}", claim_variable(Some(claim))),
        };
        let rest = format!("/messages/{}{query}", self.message_variable(message));
        let meaning = Meaning::Delete {
            place,
            message,
            claim,
        };
        Some((Method::DELETE, rest, None, meaning))
    }

    pub(super) fn plan_delete_many(
        &self,
        place: Place,
        wanted: &[MessageRef],
        now: Sent,
    ) -> Planned {
        let found = wanted
            .iter()
            .filter_map(|one| self.find_message(*one, place, now));
        let messages: Vec<usize> = found.flatten().collect();
        if messages.is_empty() {
            return None;
        }
        let rest = format!("/messages?ids={}", self.message_variables(&messages));
        let meaning = Meaning::DeleteMany { place, messages };
        Some((Method::DELETE, rest, None, meaning))
    }

    pub(super) fn judge_delete_many(
        &mut self,
        place: Place,
        messages: &[usize],
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        heard.status("5.8", &[204], "")?;
        for &index in messages {
            if let Some(index) = self.entry_in(place, index) {
                self.remove(index);
            }
        }
        Ok(())
    }

    /// The decision table of contract 5.7.
    pub(super) fn judge_delete(
        &mut self,
        place: Place,
        message: Option<usize>,
        (claim, heard): (NamedClaim, Heard<'_>),
    ) -> Result<(), Difference> {
        let sent = heard.sent;
        let here = message.and_then(|index| self.entry_in(place, index));
        let Some(index) = here else {
            let why = "there is no such message in this queue";
            return heard.status("5.7", &[204], why).map(drop);
        };
        let entry = &self.messages[index];
        let (alive, held) = (self.alive(entry, sent), Self::held(entry, sent));
        let holder = entry.lease.map(|lease| lease.claim);
        let mut statuses = Vec::new();
        let mut why = Vec::new();
        if alive != Certainty::Yes {
            statuses.push(204);
            why.push("the message is gone".to_owned());
        }
        if alive != Certainty::No && held != Certainty::Yes {
            statuses.push(if matches!(claim, NamedClaim::Absent) {
                204
            } else {
                400
            });
            why.push("no claim holds the message".to_owned());
        }
        if alive != Certainty::No && held != Certainty::No {
            let holder = holder.expect("what may be held has a lease");
            why.push(format!(
                "claim {} holds the message",
                self.claims[holder].id
            ));
            match claim {
                NamedClaim::Absent => statuses.push(403),
                NamedClaim::Invented => statuses.push(400),
                NamedClaim::Known(named) if named == holder => statuses.push(204),
                NamedClaim::Known(named) => {
                    statuses.extend(self.refusals_of_another(named, place, sent));
                }
            }
        }
        let came = heard.status("5.7, G7", &statuses, &why.join(", or "))?;
        match came {
            204 => self.remove(index),
            403 => self.was_present(index),
            _ => {
                self.was_present(index);
                let is_holder = matches!(claim, NamedClaim::Known(named) if Some(named) == holder);
                // The claim was refused although it took the message last: it is over.
                if is_holder {
                    self.messages[index].lease = None;
                }
            }
        }
        Ok(())
    }

    /// A claim that does not hold the message: 403 if it is live and of this queue, else 400.
    fn refusals_of_another(&self, named: usize, place: Place, sent: Sent) -> Vec<u16> {
        if self.claims[named].place != place {
            return vec![400];
        }
        match self.claim_lives(named, sent) {
            Certainty::Yes => vec![403],
            Certainty::No => vec![400],
            Certainty::Maybe => vec![403, 400],
        }
    }

    pub(super) fn judge_pop(
        &mut self,
        place: Place,
        count: u64,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        heard.status("5.8", &[200], "")?;
        let shown = heard.messages("5.8")?;
        let found = self.identify(("5.8", place, View::ACTIVE), &shown, heard)?;
        let number = u64::try_from(found.len()).unwrap_or(u64::MAX);
        if number > count {
            return Err(heard.differs("5.8", format!("at most {count} messages")));
        }
        self.check_order("5.8, G4", &found, heard)?;
        let last = self.last_rank(&found);
        for (index, certainty) in self.candidates((place, None), View::ACTIVE, heard.sent) {
            if found.contains(&index) {
                self.was_present(index);
                self.remove(index);
                continue;
            }
            let message = &self.messages[index];
            let is_passed = message.is_ranked && last.is_some_and(|last| message.rank < last);
            if is_passed || number < count {
                if certainty == Certainty::Yes {
                    return Err(self.missing("5.8", index, heard));
                }
                self.was_unseen(index, View::ACTIVE, heard.sent);
            }
        }
        Ok(())
    }
}
