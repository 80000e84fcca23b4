//! The small server: HTTP in front of the store, and a clock of its own that only waiting moves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use nanshe_conformance::environment::{BoxFuture, Instant};
use nanshe_conformance::model::Served;
use nanshe_conformance::target::{Answer, Outcome};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::flaws::Flaw;
use super::store::{Message, Queue, Secs, Store};

/// How the server tells time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Exactly, and at once.
    Exact,
    /// In whole seconds, rounded down.
    WholeSeconds,
    /// Exactly, but the way there and back take 300 ms each.
    Slow,
}

#[derive(Clone)]
pub(crate) struct Server {
    pace: Pace,
    shared: Arc<Mutex<(Store, Duration)>>,
}

impl Server {
    pub(crate) fn new(flaw: Option<Flaw>, pace: Pace) -> Self {
        Self {
            pace,
            // Seconds do not begin when the run does.
            shared: Arc::new(Mutex::new((Store::new(flaw), Duration::from_millis(345)))),
        }
    }
}

impl Served for Server {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<Outcome> {
        let mut shared = self.shared.lock().unwrap();
        let (store, clock) = &mut *shared;
        let way = match self.pace {
            Pace::Exact => Duration::ZERO,
            Pace::WholeSeconds => Duration::from_millis(1),
            Pace::Slow => Duration::from_millis(300),
        };
        *clock += way;
        let now = match self.pace {
            Pace::Exact | Pace::Slow => clock.as_secs_f64(),
            Pace::WholeSeconds => clock.as_secs_f64().floor(),
        };
        let answer = Exchange::new(store, &request, now).answer();
        *clock += way;
        Box::pin(async move { Ok(answer) })
    }

    fn now(&self) -> Instant {
        Instant::START.plus(self.shared.lock().unwrap().1)
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        self.shared.lock().unwrap().1 += span;
        Box::pin(async {})
    }
}

struct Exchange<'a> {
    store: &'a mut Store,
    method: String,
    segments: Vec<String>,
    query: Vec<(String, String)>,
    project: String,
    client: String,
    body: Value,
    now: Secs,
}

fn reply(status: u16, body: &Value) -> Answer {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: text.into(),
    }
}

impl<'a> Exchange<'a> {
    fn new(store: &'a mut Store, request: &Request<Bytes>, now: Secs) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        let query = request.uri().query().unwrap_or_default();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Self {
            store,
            method: request.method().to_string(),
            segments: request
                .uri()
                .path()
                .split('/')
                .skip(3)
                .map(decode)
                .collect(),
            query: pairs
                .map(|(name, value)| (name.to_owned(), decode(value)))
                .collect(),
            project: header("x-project-id"),
            client: header("client-id"),
            body: serde_json::from_slice(request.body()).unwrap_or_default(),
            now,
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        let found = self.query.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.clone())
    }

    fn number(&self, name: &str) -> usize {
        self.value(name).map_or(10, |text| text.parse().unwrap())
    }

    fn ids(&self) -> Vec<String> {
        let ids = self.value("ids").unwrap_or_default();
        ids.split(',').map(str::to_owned).collect()
    }

    fn terms(&self) -> (u64, u64) {
        (
            self.body["ttl"].as_u64().unwrap(),
            self.body["grace"].as_u64().unwrap(),
        )
    }

    fn key(&self) -> String {
        self.store.key(&self.project, &self.segments[0])
    }

    fn existing(&self) -> Option<&Queue> {
        self.store.queues.get(&self.key())
    }

    fn answer(mut self) -> Answer {
        let segments: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        let rest: Vec<&str> = segments.iter().skip(1).copied().collect();
        let item = rest
            .get(1)
            .map(|item| (*item).to_owned())
            .unwrap_or_default();
        match (self.method.as_str(), rest.as_slice()) {
            ("GET", []) if segments.is_empty() => self.list_queues(),
            ("PUT", []) => self.create(),
            ("GET", []) => self.metadata(200),
            ("PATCH", []) => {
                let (key, body) = (self.key(), self.body.clone());
                match self.store.patch(&key, &body) {
                    200 => self.metadata(200),
                    status => reply(status, &Value::Null),
                }
            }
            ("DELETE", []) => self.delete_queue(),
            ("GET", ["stats"]) => self.stats(),
            ("POST", ["purge"]) => self.purge(),
            ("POST", ["messages"]) => self.post(),
            ("GET", ["messages"]) if self.value("ids").is_some() => self.get_many(),
            ("GET", ["messages"]) => self.list(),
            ("DELETE", ["messages"]) => self.delete_many(),
            ("GET", ["messages", _]) => self.get(&item),
            ("DELETE", ["messages", _]) => self.delete(&item),
            ("POST", ["claims"]) => self.claim(),
            ("GET", ["claims", _]) => self.read_claim(&item),
            ("PATCH", ["claims", _]) => {
                let (key, terms, now) = (self.key(), self.terms(), self.now);
                let is_there = self.store.renew(&key, (&item, terms), now);
                reply(if is_there { 204 } else { 404 }, &Value::Null)
            }
            ("DELETE", ["claims", _]) => {
                let (key, now) = (self.key(), self.now);
                self.store.release(&key, &item, now);
                reply(204, &Value::Null)
            }
            other => panic!("nobody asks {other:?}"),
        }
    }

    fn list_queues(&self) -> Answer {
        let (limit, marker) = (
            self.number("limit"),
            self.value("marker").unwrap_or_default(),
        );
        let prefix = self.store.key(&self.project, "");
        let queues = self.store.queues.iter();
        let names = queues
            .filter(|(_, queue)| queue.metadata.is_some())
            .filter_map(|(key, _)| key.strip_prefix(&prefix))
            .filter(|name| *name > marker.as_str());
        let queues: Vec<Value> = names
            .take(limit)
            .map(|name| json!({ "name": name }))
            .collect();
        reply(200, &json!({ "queues": queues, "links": [] }))
    }

    fn create(&mut self) -> Answer {
        let (key, body) = (self.key(), self.body.as_object().cloned());
        let overwrites = self.store.has(Flaw::CreationOverwrites);
        let queue = self.store.queue(&key);
        let is_new = queue.metadata.is_none();
        if is_new || overwrites {
            queue.metadata = Some(body.unwrap_or_default());
        }
        reply(if is_new { 201 } else { 204 }, &Value::Null)
    }

    fn metadata(&self, status: u16) -> Answer {
        let stored = self.existing().and_then(|queue| queue.metadata.clone());
        let mut shown: Map<String, Value> = json!({
            "_max_messages_post_size": 262_144, "_default_message_ttl": 3600,
            "_default_message_delay": 0, "_dead_letter_queue": null,
            "_dead_letter_queue_messages_ttl": null, "_max_claim_count": null,
            "_enable_encrypt_messages": false,
        })
        .as_object()
        .cloned()
        .unwrap();
        shown.extend(stored.unwrap_or_default());
        reply(status, &Value::Object(shown))
    }

    fn delete_queue(&mut self) -> Answer {
        let key = self.key();
        let claims = self.store.queues.remove(&key).map(|queue| queue.claims);
        if self.store.has(Flaw::ClaimsOutliveQueue) {
            self.store.queue(&key).claims = claims.unwrap_or_default();
        }
        reply(204, &Value::Null)
    }

    fn stats(&self) -> Answer {
        let counts_expired = self.store.has(Flaw::StatsCountExpired);
        let counted = |message: &&Message| counts_expired || message.is_alive(self.now);
        let messages = self.existing().map(|queue| queue.messages.as_slice());
        let alive: Vec<_> = messages
            .unwrap_or_default()
            .iter()
            .filter(counted)
            .collect();
        let claimed = alive
            .iter()
            .filter(|message| message.is_held(self.now))
            .count();
        let mut stats =
            json!({ "claimed": claimed, "free": alive.len() - claimed, "total": alive.len() });
        for (name, end) in [("oldest", alive.first()), ("newest", alive.last())] {
            if let Some(message) = end {
                stats[name] = json!({ "href": format!("/messages/{}", message.id) });
            }
        }
        reply(200, &json!({ "messages": stats }))
    }

    fn purge(&mut self) -> Answer {
        let (key, now) = (self.key(), self.now);
        let leaves = self.store.has(Flaw::PurgeLeavesDelayed);
        let kinds = self.body["resource_types"].as_array().unwrap();
        if kinds.contains(&json!("messages")) && self.existing().is_some() {
            let messages = &mut self.store.queue(&key).messages;
            messages.retain(|message| leaves && message.ready_at > now);
        }
        reply(204, &Value::Null)
    }

    fn post(&mut self) -> Answer {
        let messages = self.body["messages"].as_array().cloned().unwrap();
        let is_good = |one: &Value| {
            one.get("body").is_some() && one.get("ttl").is_none_or(|ttl| ttl.as_u64() >= Some(60))
        };
        let all_good = !messages.is_empty() && messages.iter().all(is_good);
        let stores = all_good || self.store.has(Flaw::BatchHalfStored);
        let (key, client, now) = (self.key(), self.client.clone(), self.now);
        let mut paths = Vec::new();
        for one in messages.iter().filter(|one| stores && is_good(one)) {
            let id = self.store.post((&key, &client), one, now);
            paths.push(format!("/v2/queues/{}/messages/{id}", self.segments[0]));
        }
        reply(
            if all_good { 201 } else { 400 },
            &json!({ "resources": paths }),
        )
    }

    fn shown(&self, message: &Message) -> Value {
        json!({
            "id": message.id, "href": format!("/messages/{}", message.id), "ttl": message.ttl,
            "age": (self.now - message.posted_at).floor(), "body": message.body,
        })
    }

    fn page(&self, status: u16, messages: &[Message]) -> Value {
        let shown: Vec<Value> = messages.iter().map(|message| self.shown(message)).collect();
        let mut page = json!({ "messages": shown, "links": [] });
        if let (200, Some(last)) = (status, messages.last()) {
            let href = format!("/v2/queues/q/messages?marker={}&limit=1", last.rank);
            page["links"] = json!([{ "rel": "next", "href": href }]);
        }
        page
    }

    fn list(&self) -> Answer {
        let is_on = |name: &str| self.value(name).as_deref() == Some("true");
        let skips = u64::from(self.store.has(Flaw::MarkerSkips));
        let marker: u64 = self
            .value("marker")
            .map_or(0, |text| text.parse::<u64>().unwrap() + skips);
        let Some(queue) = self.existing() else {
            return reply(200, &self.page(200, &[]));
        };
        let delays = queue.setting("_default_message_delay").is_some();
        let (expired, own) = (Flaw::ExpiredListed, Flaw::OwnShown);
        let visible = |message: &&Message| {
            message.rank > marker
                && (message.is_alive(self.now) || self.store.has(expired))
                && (is_on("echo") || self.store.has(own) || message.client != self.client)
                && (is_on("include_claimed") || !message.is_held(self.now))
                && (is_on("include_delayed") || !delays || message.ready_at <= self.now)
        };
        let found = queue
            .messages
            .iter()
            .filter(visible)
            .take(self.number("limit"));
        reply(200, &self.page(200, &found.cloned().collect::<Vec<_>>()))
    }

    fn find(&self, id: &str) -> Option<&Message> {
        let anywhere = self.store.has(Flaw::ReadAnywhere);
        let of = |queue: &'_ Queue| queue.messages.iter().position(|m| m.id == id);
        let mut queues: Vec<&Queue> = self.existing().into_iter().collect();
        if anywhere {
            queues.extend(self.store.queues.values());
        }
        let found = queues
            .into_iter()
            .find_map(|queue| Some(&queue.messages[of(queue)?]));
        found.filter(|message| message.is_alive(self.now))
    }

    fn get(&self, id: &str) -> Answer {
        match self.find(id) {
            Some(message) => reply(200, &self.shown(message)),
            None => reply(404, &Value::Null),
        }
    }

    fn get_many(&self) -> Answer {
        let found = self.ids().into_iter().filter_map(|id| self.find(&id));
        let found: Vec<Value> = found.map(|message| self.shown(message)).collect();
        let status = if found.is_empty() { 404 } else { 200 };
        reply(status, &json!({ "messages": found }))
    }

    fn delete_many(&mut self) -> Answer {
        let (key, now) = (self.key(), self.now);
        if self.value("pop").is_some() {
            let popped = self.store.pop(&key, self.number("pop"), now);
            return reply(200, &self.page(0, &popped));
        }
        let ids = self.ids();
        let messages = &mut self.store.queue(&key).messages;
        messages.retain(|message| !ids.contains(&message.id));
        reply(204, &Value::Null)
    }

    /// The table of contract 5.7.
    fn delete(&mut self, id: &str) -> Answer {
        let (key, now, named) = (self.key(), self.now, self.value("claim_id"));
        let (late, free) = (Flaw::ExpiredClaimDeletes, Flaw::DeleteNeedsNoClaim);
        let (late, free) = (self.store.has(late), self.store.has(free));
        let queue = self.store.queue(&key);
        let place = queue
            .messages
            .iter()
            .position(|m| m.id == id && m.is_alive(now));
        let Some(place) = place else {
            return reply(204, &Value::Null);
        };
        let message = &queue.messages[place];
        let last = message.lease.as_ref().map(|(holder, _)| holder.clone());
        let is_last = named.is_some() && named == last;
        let is_live = |id: &String| {
            queue
                .claims
                .get(id)
                .is_some_and(|claim| claim.ends_at > now)
        };
        let status = match (message.is_held(now), &named) {
            (false, None) => 204,
            (false, Some(_)) if is_last && late => 204,
            (false, Some(_)) => 400,
            (true, None) => {
                if free {
                    204
                } else {
                    403
                }
            }
            (true, Some(_)) if is_last => 204,
            (true, Some(other)) => {
                if is_live(other) {
                    403
                } else {
                    400
                }
            }
        };
        if status == 204 {
            queue.messages.remove(place);
        }
        reply(status, &Value::Null)
    }

    fn claim(&mut self) -> Answer {
        let (key, terms, now) = (self.key(), self.terms(), self.now);
        if self.existing().is_none() {
            return reply(204, &Value::Null);
        }
        let (id, taken) = self.store.claim(&key, (terms, self.number("limit")), now);
        if taken.is_empty() {
            return reply(204, &Value::Null);
        }
        let mut answer = reply(201, &self.page(0, &taken));
        let location = format!("/v2/queues/{}/claims/{id}", self.segments[0]);
        answer.headers.insert("location", location.parse().unwrap());
        answer
    }

    fn read_claim(&self, id: &str) -> Answer {
        let claim = self.existing().and_then(|queue| queue.claims.get(id));
        let Some(claim) = claim.filter(|claim| claim.ends_at > self.now) else {
            return reply(404, &Value::Null);
        };
        let held = |message: &&Message| {
            let lease = message.lease.as_ref();
            lease.is_some_and(|(holder, until)| holder == id && *until > self.now)
                && message.is_alive(self.now)
        };
        let messages = self
            .existing()
            .map(|queue| queue.messages.iter().filter(held));
        let messages: Vec<Message> = messages.into_iter().flatten().cloned().collect();
        let mut document = self.page(0, &messages);
        document["ttl"] = json!(claim.ttl);
        document["age"] = json!((self.now - claim.since).floor());
        reply(200, &document)
    }
}
