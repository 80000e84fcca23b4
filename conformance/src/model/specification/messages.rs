//! Contract 5.2 to 5.6, 5.9: posting, listing, reading.

use http::Method;
use serde_json::{Value, json};

use super::super::answer::{Difference, Heard, last_segment};
use super::super::certainty::{Certainty, Window};
use super::super::operation::{BadPost, Draft, Listing, MessageRef, Place};
use super::selecting::View;
use super::state::{Message, Page};
use super::{Listed, Meaning, Planned, Poster, Specification};
use crate::suite::Sent;

/// The ttl of a message where neither it nor its queue names one (contract 2).
const TTL_DEFAULT_SECS: u64 = 3600;

/// What spreads the keys of a batch.
const KEY_STEP: u16 = 0x5bd1;

impl Specification {
    pub(super) fn plan_post(&mut self, poster: Poster, messages: &[Draft]) -> Planned {
        let messages: Vec<_> = messages
            .iter()
            .map(|draft| (draft.clone(), self.next_body()))
            .collect();
        let documents: Vec<Value> = messages.iter().map(document).collect();
        let body = Some(json!({ "messages": documents }));
        let meaning = Meaning::Post { poster, messages };
        Some((Method::POST, "/messages".to_owned(), body, meaning))
    }

    pub(super) fn plan_bad_post(place: Place, bad: BadPost) -> Planned {
        let good = json!({ "ttl": 300, "body": "never" });
        let messages = match bad {
            BadPost::ShortTtl => json!([good, { "ttl": 59, "body": "never" }]),
            BadPost::NoBody => json!([good, { "ttl": 300 }]),
            BadPost::Empty => json!([]),
        };
        let body = Some(json!({ "messages": messages }));
        Some((
            Method::POST,
            "/messages".to_owned(),
            body,
            Meaning::BadPost(place),
        ))
    }

    pub(super) fn plan_list(&self, poster: Poster, page: Option<u16>, listing: Listing) -> Planned {
        let after = match page {
            None => None,
            Some(wanted) => Some(self.find_page(wanted, poster.place)?),
        };
        let listed = Listed {
            reader: poster,
            after,
            listing,
        };
        Some((
            Method::GET,
            query(after, listing),
            None,
            Meaning::List(listed),
        ))
    }

    pub(super) fn plan_get(&self, place: Place, wanted: MessageRef, now: Sent) -> Planned {
        let message = self.find_message(wanted, place, now)?;
        let rest = format!("/messages/{}", self.message_variable(message));
        Some((Method::GET, rest, None, Meaning::Get { place, message }))
    }

    pub(super) fn plan_get_many(&self, place: Place, wanted: &[MessageRef], now: Sent) -> Planned {
        let found = wanted
            .iter()
            .filter_map(|one| self.find_message(*one, place, now));
        let messages: Vec<usize> = found.flatten().collect();
        if messages.is_empty() {
            return None;
        }
        let rest = format!("/messages?ids={}", self.message_variables(&messages));
        Some((
            Method::GET,
            rest,
            None,
            Meaning::GetMany { place, messages },
        ))
    }

    pub(super) fn judge_bad_post(
        &mut self,
        place: Place,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        heard.status("5.2, G2", &[400], "the whole post is refused")?;
        // The queue may have been created all the same (contract 5.2).
        let queue = self.queue(place);
        queue.exists = queue.exists.max(Certainty::Maybe);
        Ok(())
    }

    fn next_body(&mut self) -> Value {
        let number = self.bodies;
        self.bodies += 1;
        if number % 3 == 2 {
            json!({ "n": number, "words": ["é", null, 0.5] })
        } else {
            json!(number)
        }
    }

    /// The page that `wanted` means: of this queue, and of its present incarnation.
    fn find_page(&self, wanted: u16, place: Place) -> Option<usize> {
        let deletions = self.queues.get(&place).map_or(0, |queue| queue.deletions);
        let pages = self.pages.iter().enumerate();
        let here = pages.filter(|(_, page)| page.place == place && page.deletions == deletions);
        super::nearest(here.map(|(index, page)| (index, page.key)), wanted)
    }

    pub(super) fn judge_post(
        &mut self,
        poster: Poster,
        messages: &[(Draft, Value)],
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        heard.status("5.2", &[201], "")?;
        let document = heard.json("5.2")?;
        let ids = document["resources"].as_array().and_then(|paths| {
            let ids = paths.iter().map(|path| last_segment(path.as_str()?));
            ids.collect::<Option<Vec<String>>>()
        });
        let wanted = messages.len();
        let ids = ids.filter(|ids| ids.len() == wanted);
        let expected = format!("`resources`: paths of {wanted} messages");
        let ids = ids.ok_or_else(|| heard.differs("5.2", expected))?;
        for (at, id) in ids.iter().enumerate() {
            let known = self.messages.iter().any(|message| message.id == *id);
            if known || ids[..at].contains(id) {
                return Err(heard.differs("5.2, G3", format!("an id that is new, not {id}")));
            }
        }
        self.queue(poster.place).exists = Certainty::Yes;
        let mut poster = poster;
        for ((draft, body), id) in messages.iter().zip(ids) {
            self.accept(poster, (draft, body.clone(), id), heard.sent);
            poster.key = poster.key.wrapping_add(KEY_STEP);
        }
        Ok(())
    }

    fn accept(
        &mut self,
        Poster { key, place, client }: Poster,
        (draft, body, id): (&Draft, Value, String),
        sent: Sent,
    ) {
        let queue_ttl = self.setting(place, "_default_message_ttl");
        let ttl = draft.ttl.or(queue_ttl).unwrap_or(TTL_DEFAULT_SECS);
        let expiry = self.window(sent, ttl);
        let ready = match (self.setting(place, "_default_message_delay"), draft.delay) {
            (None, None | Some(0)) | (Some(_), Some(0)) => Window::PAST,
            (Some(default), delay) => self.window(sent, delay.unwrap_or(default)),
            // Elsewhere than on a delay queue the delay is dropped, or honoured (contract 5.9).
            (None, Some(delay)) => Window {
                earliest: crate::environment::Instant::START,
                ..self.window(sent, delay)
            },
        };
        let rank = self.next_rank();
        self.messages.push(Message {
            id,
            first_entry: self.messages.len(),
            key,
            place,
            rank,
            is_ranked: true,
            client,
            body,
            posted: sent,
            ttl,
            is_as_posted: true,
            presence: Certainty::Yes,
            expiry,
            own_end: expiry.earliest,
            ready,
            lease: None,
            last_holder: None,
            deliveries: 0,
            twin: None,
        });
    }

    pub(super) fn next_rank(&mut self) -> u64 {
        self.rank += 1;
        self.rank
    }

    pub(super) fn judge_list(
        &mut self,
        listed: Listed,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        let Listed {
            reader,
            after,
            listing,
        } = listed;
        let place = reader.place;
        let status = heard.status("5.4", &[200, 204], "")?;
        let shown = if status == 204 {
            Vec::new()
        } else {
            heard.messages("5.4")?
        };
        let view = self.view(reader, listing);
        let found = self.identify(("5.4", place, view), &shown, heard)?;
        let after_rank = after.map(|page| self.pages[page].rank);
        self.check_page(&found, (after_rank, listing), heard)?;
        let last = self.last_rank(&found);
        for (index, certainty) in self.candidates((place, after_rank), view, heard.sent) {
            if found.contains(&index) {
                self.was_seen(index, view, heard.sent);
                continue;
            }
            // A page may be short, but it is empty only if nothing is there (contract 5.4).
            let Message {
                rank, is_ranked, ..
            } = self.messages[index];
            let is_passed = if is_ranked {
                found.is_empty() || last.is_some_and(|last| rank < last)
            } else {
                found.is_empty() && after.is_none()
            };
            if is_passed && certainty == Certainty::Yes {
                return Err(self.missing("5.4, G9", index, heard));
            }
            if is_passed {
                self.was_unseen(index, view, heard.sent);
            }
        }
        if let Some(&last) = found.last() {
            let Message {
                rank, is_ranked, ..
            } = self.messages[last];
            let deletions = self.queue(place).deletions;
            let marker = heard.next_marker()?;
            let key = reader.key;
            if is_ranked {
                self.pages.push(Page {
                    key,
                    place,
                    deletions,
                    rank,
                    marker,
                });
            }
        }
        Ok(())
    }

    fn view(&self, reader: Poster, listing: Listing) -> View {
        let is_delay_queue = self
            .setting(reader.place, "_default_message_delay")
            .is_some();
        View {
            hides_own_of: (!listing.echo).then_some(reader.client),
            sees_claimed: listing.include_claimed,
            // Elsewhere delayed messages are shown anyway, but not by every driver (contract 5.4, 5.9).
            sees_delayed: match (listing.include_delayed, is_delay_queue) {
                (true, _) => Certainty::Yes,
                (false, true) => Certainty::No,
                (false, false) => Certainty::Maybe,
            },
            may_extend: false,
        }
    }

    fn check_page(
        &self,
        found: &[usize],
        (after, listing): (Option<u64>, Listing),
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        if u64::try_from(found.len()).unwrap_or(u64::MAX) > listing.limit {
            return Err(heard.differs("5.4", format!("at most {} messages", listing.limit)));
        }
        let behind = |index: &&usize| {
            let message = &self.messages[**index];
            message.is_ranked && after.is_some_and(|rank| message.rank <= rank)
        };
        if let Some(&index) = found.iter().find(behind) {
            let id = &self.messages[index].id;
            let expected = format!("no message {id}: it is not after the marker");
            return Err(heard.differs("5.4, G9", expected));
        }
        self.check_order("5.3, G4", found, heard)
    }

    pub(super) fn judge_get(
        &mut self,
        place: Place,
        message: Option<usize>,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        let here = message.and_then(|index| self.entry_in(place, index));
        let is_foreign = message.is_some() && here.is_none();
        let alive = here.map_or(Certainty::No, |index| {
            self.alive(&self.messages[index], heard.sent)
        });
        let (statuses, why): (&[u16], _) = match (alive, is_foreign) {
            (Certainty::Yes, _) => (&[200], "the message is there"),
            (Certainty::Maybe, _) => (&[200, 404], ""),
            (Certainty::No, false) => (&[404], "there is no such message"),
            (Certainty::No, true) => (&[404], "the message is of another queue or project"),
        };
        let clause = if is_foreign { "5.6, 14.2" } else { "5.6" };
        let status = heard.status(clause, statuses, why)?;
        let Some(index) = here else { return Ok(()) };
        if status == 404 {
            self.was_absent(index, heard.sent);
            return Ok(());
        }
        let shown = heard.message("5.6", &heard.json("5.6")?)?;
        let found = self.identify(("5.6", place, View::ALL), &[shown], heard)?;
        if found != [index] {
            return Err(heard.differs("5.6", format!("message {}", self.messages[index].id)));
        }
        self.was_present(index);
        Ok(())
    }

    pub(super) fn judge_get_many(
        &mut self,
        place: Place,
        messages: &[usize],
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        let here = messages
            .iter()
            .filter_map(|&index| self.entry_in(place, index));
        let wanted: Vec<usize> = here.collect();
        let alive = |index: &usize| self.alive(&self.messages[*index], heard.sent);
        let certain = wanted.iter().map(alive).max().unwrap_or(Certainty::No);
        let statuses: &[u16] = match certain {
            Certainty::Yes => &[200],
            Certainty::Maybe => &[200, 404],
            Certainty::No => &[404],
        };
        let status = heard.status("5.5", statuses, "")?;
        let mut shown = if status == 404 {
            Vec::new()
        } else {
            heard.messages("5.5")?
        };
        // Order and repetitions are the server's choice (contract 5.5).
        shown.sort_by(|one, other| one.id.cmp(&other.id));
        shown.dedup_by(|one, other| one.id == other.id);
        let found = self.identify(("5.5", place, View::ALL), &shown, heard)?;
        if let Some(&index) = found.iter().find(|index| !wanted.contains(index)) {
            let expected = format!("no message {}: nobody asked", self.messages[index].id);
            return Err(heard.differs("5.5", expected));
        }
        for index in wanted {
            if found.contains(&index) {
                self.was_present(index);
            } else if self.alive(&self.messages[index], heard.sent) == Certainty::Yes {
                return Err(self.missing("5.5", index, heard));
            } else {
                self.was_absent(index, heard.sent);
            }
        }
        Ok(())
    }
}

fn document((draft, body): &(Draft, Value)) -> Value {
    let mut document = json!({ "body": body });
    if let Some(ttl) = draft.ttl {
        document["ttl"] = json!(ttl);
    }
    if let Some(delay) = draft.delay {
        document["delay"] = json!(delay);
    }
    document
}

fn query(after: Option<usize>, listing: Listing) -> String {
    let mut query = format!("/messages?limit={}", listing.limit);
    for (name, is_on) in [
        ("echo", listing.echo),
        ("include_claimed", listing.include_claimed),
        ("include_delayed", listing.include_delayed),
    ] {
        if is_on {
            query.push_str(&format!("&{name}=true"));
        }
    }
    if let Some(page) = after {
        query.push_str(&format!("&marker=${{P{}}}", page + 1));
    }
    query
}
