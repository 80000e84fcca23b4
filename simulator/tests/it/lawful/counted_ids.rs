//! Contract G20: identifiers are opaque. Here they are numbers, counted for each project and kind, and subscriptions
//! are listed in their order (8.3). In links their first digit is percent-encoded, which changes no meaning.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use nanshe_conformance::environment::BoxFuture;
use serde_json::{Value, json};

use super::place::Place;
use super::{Around, Reference, Told};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Message,
    Claim,
    Subscription,
}

impl Kind {
    /// Of what stands behind this segment of a path.
    fn behind(segment: &str) -> Option<Self> {
        match segment {
            "messages" => Some(Self::Message),
            "claims" => Some(Self::Claim),
            "subscriptions" => Some(Self::Subscription),
            _ => None,
        }
    }

    /// Of what is the value of this parameter.
    fn of_parameter(name: &str) -> Option<Self> {
        match name {
            "ids" => Some(Self::Message),
            "claim_id" | "claim_ids" => Some(Self::Claim),
            _ => None,
        }
    }
}

/// What the reference calls the things of one project, in the order of their numbers.
#[derive(Default)]
struct Names(BTreeMap<Kind, Vec<String>>);

impl Names {
    /// The number of what the reference calls `id`.
    fn number(&mut self, kind: Kind, id: &str) -> String {
        let all = self.0.entry(kind).or_default();
        let place = all.iter().position(|one| one == id).unwrap_or_else(|| {
            all.push(id.to_owned());
            all.len() - 1
        });
        (place + 1).to_string()
    }

    /// What the reference calls the one of that number, or what was no number of ours.
    fn inner(&self, kind: Kind, number: &str) -> String {
        let plain = decoded(number);
        let place = plain
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_sub(1));
        let all = self.0.get(&kind);
        let inner = place.and_then(|place| all?.get(place));
        inner.map_or_else(|| number.to_owned(), Clone::clone)
    }

    /// `place` with every identifier in it changed.
    fn map(mut place: Place, mut one: impl FnMut(Kind, &str) -> String) -> Place {
        if place.segments.len() > 4
            && let Some(kind) = Kind::behind(&place.segments[3])
        {
            place.segments[4] = one(kind, &place.segments[4]);
        }
        for (name, value) in &mut place.query {
            if let Some(kind) = Kind::of_parameter(name) {
                let all = value.split(',').map(|id| one(kind, id));
                *value = all.collect::<Vec<_>>().join(",");
            }
        }
        place
    }

    fn inward(&self, place: Place) -> Place {
        Self::map(place, |kind, number| self.inner(kind, number))
    }

    fn outward(&mut self, path: &str) -> String {
        let place = Place::read(path);
        let is_id = |id: &str| id.len() == 36 && id.matches('-').count() == 4;
        let map = |kind, id: &str| {
            if is_id(id) {
                // RFC 3986, 6.2.2.2: it is the same number.
                let number = self.number(kind, id);
                format!("%3{number}")
            } else {
                id.to_owned()
            }
        };
        Self::map(place, map).write()
    }

    /// Changes what a document of the reference calls things, but for the bodies of messages.
    fn tell(&mut self, kind: Kind, document: &mut Value) {
        match document {
            Value::Array(all) => all.iter_mut().for_each(|one| self.tell(kind, one)),
            Value::Object(members) => {
                for (name, value) in members.iter_mut() {
                    self.tell_member((kind, name), value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn tell_member(&mut self, (kind, name): (Kind, &str), value: &mut Value) {
        match (name, value.as_str().map(str::to_owned)) {
            ("body" | "options", _) => {}
            ("resources", _) => {
                for path in value.as_array_mut().into_iter().flatten() {
                    *path = json!(self.outward(path.as_str().unwrap()));
                }
            }
            ("href", Some(path)) => *value = json!(self.outward(&path)),
            ("id" | "subscription_id", Some(id)) => *value = json!(self.number(kind, &id)),
            ("subscriptions", _) => self.tell(Kind::Subscription, value),
            ("messages", _) => self.tell(Kind::Message, value),
            (_, Some(_)) => {}
            (_, None) => self.tell(kind, value),
        }
    }
}

/// The names in each project.
#[derive(Default)]
pub(super) struct CountedIds(Mutex<BTreeMap<Vec<u8>, Names>>);

impl Around for CountedIds {
    fn answer(self: Arc<Self>, reference: Reference, request: Request<Bytes>) -> BoxFuture<Told> {
        Box::pin(async move {
            let place = Place::of(&request);
            let project = request.headers().get("x-project-id");
            let project = project
                .map(|project| project.as_bytes().to_vec())
                .unwrap_or_default();
            let is_queue =
                matches!(place.path().as_slice(), ["v2", "queues", name, ..] if !name.is_empty());
            if !is_queue {
                return reference.ask(request).await;
            }
            let lists_subscriptions = request.method() == Method::GET
                && matches!(place.path().as_slice(), [_, _, _, "subscriptions"])
                && place.limit().is_some();
            if lists_subscriptions {
                return self.subscriptions(&reference, &request, &project).await;
            }
            let kind = match place.path().get(3) {
                Some(&"subscriptions") => Kind::Subscription,
                Some(_) | None => Kind::Message,
            };
            let holds_metadata = place.segments.len() < 4;
            let inward = self.with(&project, |names| names.inward(place));
            let mut told = reference.ask(inward.redirect(request)).await;
            if let Some(location) = told.headers().get("location") {
                let path = location.to_str().unwrap().to_owned();
                let outward = self.with(&project, |names| names.outward(&path));
                let outward = HeaderValue::try_from(outward).unwrap();
                told.headers_mut().insert("location", outward);
            }
            let is_ours = told.status().is_success() && !holds_metadata;
            match serde_json::from_slice::<Value>(told.body()) {
                Ok(mut document) if is_ours => {
                    self.with(&project, |names| names.tell(kind, &mut document));
                    told.map(|_| document.to_string().into())
                }
                Ok(_) | Err(_) => told,
            }
        })
    }
}

impl CountedIds {
    fn with<T>(&self, project: &[u8], work: impl FnOnce(&mut Names) -> T) -> T {
        let mut all = self.0.lock().unwrap();
        work(all.entry(project.to_vec()).or_default())
    }

    /// A page of subscriptions in the order of their numbers.
    async fn subscriptions(
        &self,
        reference: &Reference,
        request: &Request<Bytes>,
        project: &[u8],
    ) -> Told {
        let place = Place::of(request);
        let bare = Place {
            query: vec![("limit".to_owned(), "20".to_owned())],
            ..place.clone()
        };
        let mut all: Vec<Value> = Vec::new();
        let mut next = bare.write();
        let last = loop {
            let told = reference.ask_like(request, (Method::GET, &next, "")).await;
            let page: Value = serde_json::from_slice(told.body()).unwrap_or_default();
            let shown = page["subscriptions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            if told.status() != StatusCode::OK || shown.is_empty() {
                break told;
            }
            all.extend(shown);
            next = page["links"][0]["href"].as_str().unwrap().to_owned();
        };
        if last.status() != StatusCode::OK {
            return last;
        }
        let mut all = json!(all);
        self.with(project, |names| names.tell(Kind::Subscription, &mut all));
        let number = |one: &Value| one["id"].as_str().unwrap().parse::<u64>().unwrap();
        let mut all: Vec<Value> = all.as_array().unwrap().clone();
        all.sort_by_key(number);
        let marker = place
            .value("marker")
            .unwrap_or("0")
            .parse()
            .unwrap_or(u64::MAX);
        all.retain(|one| number(one) > marker);
        all.truncate(place.limit().unwrap());
        let link = |last: &Value| {
            let next = place.clone().with("marker", last["id"].as_str().unwrap());
            json!({ "rel": "next", "href": next.write() })
        };
        let links: Vec<Value> = all.last().map(link).into_iter().collect();
        let page = json!({ "subscriptions": all, "links": links });
        last.map(|_| page.to_string().into())
    }
}

/// Without percent-encoding.
fn decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let byte = piece
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii() => {
                plain.push(char::from(byte));
                plain.push_str(&piece[2..]);
            }
            Some(_) | None => return text.to_owned(),
        }
    }
    plain
}
