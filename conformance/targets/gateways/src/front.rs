//! HTTP and JSON in front of a broker: routes, headers, what is refused, and what answers look like.
//! Knows no broker and no socket.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use self::answer::Answer;
use self::body::{MESSAGES_BYTES_MAX, QUEUE_BYTES_MAX};
use self::headers::Sender;
use self::query::Query;
use self::refusal::Refusal;
use self::route::Route;
use crate::broker::{Broker, Deletion, Page, Place};

mod answer;
mod body;
mod headers;
mod query;
mod refusal;
mod route;
#[cfg(test)]
mod tests;

/// Messages of a page or a claim if nothing else is said, and at most.
const LIMIT_DEFAULT: i64 = 10;
const LIMIT_MAX: i64 = 20;

/// Identifiers in one request.
const IDS_MAX: usize = 20;

/// Longest `Location` that names every message of a batch.
const LOCATION_BYTES_MAX: usize = 8_000;

/// The contract's core in front of a broker.
#[derive(Debug)]
pub struct Front<B> {
    broker: B,
    /// Sets the request ids of this process apart from those of others.
    nonce: u64,
    requests: AtomicU64,
}

/// A request that was let in.
struct Request {
    method: Method,
    sender: Sender,
    query: Query,
    body: Bytes,
}

type Served = Result<Answer, Refusal>;

impl<B: Broker> Front<B> {
    /// In front of `broker`.
    pub fn new(broker: B) -> Self {
        Self {
            broker,
            nonce: RandomState::new().hash_one("request"),
            requests: AtomicU64::new(0),
        }
    }

    /// Answers a request.
    pub async fn answer(&self, head: Parts, body: Bytes) -> Response<Bytes> {
        let served = self.admit_and_serve(&head, body).await;
        let serial = self.requests.fetch_add(1, Ordering::Relaxed);
        let request_id = format!("req-{:016x}-{serial:012x}", self.nonce);
        served
            .unwrap_or_else(Refusal::into_answer)
            .into_response(&request_id)
    }

    /// The order of the checks is the contract's, 1.2.
    async fn admit_and_serve(&self, head: &Parts, body: Bytes) -> Served {
        let route = Route::of(head.uri.path()).ok_or(Refusal::NOT_FOUND)?;
        headers::check_media(&head.headers)?;
        let sender = Sender::of(&head.headers)?;
        let request = Request {
            method: head.method.clone(),
            query: Query::of(head.uri.query().unwrap_or_default())?,
            body,
            sender,
        };
        let Some(queue) = route.queue() else {
            return self.ping(&request).await;
        };
        headers::check_names(&request.sender.project, queue)?;
        let place = Place {
            project: request.sender.project.clone(),
            queue: queue.to_owned(),
        };
        match &route {
            Route::Ping => Err(Refusal::NOT_FOUND),
            Route::Queue(_) => self.queue(&request, &place).await,
            Route::Messages(_) => self.messages(&request, &place).await,
            Route::Message(_, id) => self.message(&request, &place, id).await,
            Route::Claims(_) => self.claims(&request, &place).await,
            Route::Claim(_, id) => self.claim(&request, &place, id).await,
            Route::Stats(_) => self.stats(&request, &place).await,
            Route::Purge(_) => self.purge(&request, &place).await,
        }
    }

    async fn ping(&self, request: &Request) -> Served {
        match request.method {
            Method::HEAD => Ok(Answer::empty()),
            Method::GET => {
                self.broker.ping().await?;
                Ok(Answer::empty())
            }
            _ => Err(Refusal::method("GET, HEAD")),
        }
    }

    async fn queue(&self, request: &Request, place: &Place) -> Served {
        match request.method {
            Method::PUT => {
                // Metadata is looked at, as the contract says, and then forgotten: these brokers have none.
                body::optional_object(&request.body, QUEUE_BYTES_MAX)?;
                let created = self.broker.create_queue(place).await?;
                let answer = if created {
                    Answer::of(StatusCode::CREATED)
                } else {
                    Answer::empty()
                };
                Ok(answer.with_location(answer::queue_path(place)))
            }
            Method::DELETE => {
                self.broker.delete_queue(place).await?;
                Ok(Answer::empty())
            }
            _ => Err(Refusal::method("PUT, DELETE")),
        }
    }

    async fn messages(&self, request: &Request, place: &Place) -> Served {
        match request.method {
            Method::POST => self.post(request, place).await,
            Method::GET if request.query.has("ids") => {
                let ids = request.query.list("ids");
                check_ids(&ids)?;
                let found = self.broker.get_many(place, &plain(ids)).await?;
                if found.is_empty() {
                    return Err(Refusal::NOT_FOUND);
                }
                Ok(Answer::json(
                    json!({ "messages": answer::messages(place, &found) }),
                ))
            }
            Method::GET => self.list(request, place).await,
            Method::DELETE => self.delete_some(request, place).await,
            _ => Err(Refusal::method("GET, POST, DELETE")),
        }
    }

    async fn post(&self, request: &Request, place: &Place) -> Served {
        let batch = body::batch(&request.body, MESSAGES_BYTES_MAX)?;
        let ids = self
            .broker
            .post(place, &request.sender.client, &batch)
            .await?;
        let base = format!("{}/messages", answer::queue_path(place));
        let hrefs: Vec<String> = ids.iter().map(|id| format!("{base}/{id}")).collect();
        let answer = Answer::of(StatusCode::CREATED).with_json(json!({ "resources": hrefs }));
        let location = format!("{base}?ids={}", ids.join(","));
        Ok(if location.len() <= LOCATION_BYTES_MAX {
            answer.with_location(location)
        } else {
            answer
        })
    }

    async fn list(&self, request: &Request, place: &Place) -> Served {
        let query = &request.query;
        // Nothing is ever delayed here, so whether delayed messages are shown makes no difference.
        query.boolean("include_delayed")?;
        let page = Page {
            client: request.sender.client.clone(),
            echo: query.boolean("echo")?,
            include_claimed: query.boolean("include_claimed")?,
            marker: query.text("marker").map(str::to_owned),
            limit: query.limit("limit")?.unwrap_or(LIMIT_DEFAULT),
        };
        let (messages, marker) = self.broker.list(place, &page).await?;
        let mut links = Vec::new();
        if !messages.is_empty() {
            let href = format!(
                "{}/messages?limit={}&echo={}&include_claimed={}&marker={marker}",
                answer::queue_path(place),
                page.limit,
                page.echo,
                page.include_claimed,
            );
            links.push(json!({ "rel": "next", "href": href }));
        }
        let messages = answer::messages(place, &messages);
        Ok(Answer::json(
            json!({ "messages": messages, "links": links }),
        ))
    }

    async fn delete_some(&self, request: &Request, place: &Place) -> Served {
        let query = &request.query;
        match (query.has("ids"), query.has("pop")) {
            (true, false) => {
                let ids = query.list("ids");
                check_ids(&ids)?;
                self.broker.delete_many(place, &plain(ids)).await?;
                Ok(Answer::empty())
            }
            (false, true) => {
                let limit = query.limit("pop")?.ok_or(Refusal::bad("pop: 1 to 20"))?;
                let popped = self.broker.pop(place, limit).await?;
                let shown: Vec<Value> = popped.iter().map(answer::popped).collect();
                Ok(Answer::json(json!({ "messages": shown })))
            }
            (true, true) | (false, false) => Err(Refusal::bad("either ids or pop")),
        }
    }

    async fn message(&self, request: &Request, place: &Place, id: &str) -> Served {
        match request.method {
            Method::GET => {
                let found = match is_plain(id) {
                    true => self.broker.get(place, id).await?,
                    false => None,
                };
                let message = found.ok_or(Refusal::NOT_FOUND)?;
                Ok(Answer::json(answer::message(place, &message)))
            }
            Method::DELETE if !is_plain(id) => Ok(Answer::empty()),
            Method::DELETE => {
                // What cannot be a claim is none of ours, but it was named.
                let claim = request.query.text("claim_id");
                let claim = claim.map(|claim| if is_plain(claim) { claim } else { "-" });
                match self.broker.delete(place, id, claim).await? {
                    Deletion::Done => Ok(Answer::empty()),
                    Deletion::Claimed => Err(Refusal::CLAIMED),
                    Deletion::NotHeld => Err(Refusal::bad("that claim does not hold it")),
                }
            }
            _ => Err(Refusal::method("GET, DELETE")),
        }
    }

    async fn claims(&self, request: &Request, place: &Place) -> Served {
        if request.method != Method::POST {
            return Err(Refusal::method("POST"));
        }
        let limit = request.query.limit("limit")?.unwrap_or(LIMIT_DEFAULT);
        let lease = body::lease(&body::optional_object(&request.body, MESSAGES_BYTES_MAX)?)?;
        let Some((claim, messages)) = self.broker.claim(place, limit, lease).await? else {
            return Ok(Answer::empty());
        };
        let messages = answer::messages(place, &messages);
        Ok(Answer::of(StatusCode::CREATED)
            .with_json(json!({ "messages": messages }))
            .with_location(answer::claim_path(place, &claim)))
    }

    async fn claim(&self, request: &Request, place: &Place, id: &str) -> Served {
        match request.method {
            Method::GET if !is_plain(id) => Err(Refusal::NOT_FOUND),
            Method::GET => {
                let found = self.broker.read_claim(place, id).await?;
                let claim = found.ok_or(Refusal::NOT_FOUND)?;
                Ok(Answer::json(json!({
                    "age": claim.age_secs,
                    "ttl": claim.ttl_secs,
                    "href": answer::claim_path(place, id),
                    "messages": answer::messages(place, &claim.messages),
                })))
            }
            Method::PATCH => {
                let lease = body::lease(&body::object(&request.body, MESSAGES_BYTES_MAX)?)?;
                if is_plain(id) && self.broker.renew(place, id, lease).await? {
                    Ok(Answer::empty())
                } else {
                    Err(Refusal::NOT_FOUND)
                }
            }
            Method::DELETE => {
                if is_plain(id) {
                    self.broker.release(place, id).await?;
                }
                Ok(Answer::empty())
            }
            _ => Err(Refusal::method("GET, PATCH, DELETE")),
        }
    }

    async fn stats(&self, request: &Request, place: &Place) -> Served {
        if request.method != Method::GET {
            return Err(Refusal::method("GET"));
        }
        let stats = self.broker.stats(place).await?;
        let mut counts = json!({
            "claimed": stats.claimed,
            "free": stats.free,
            "total": stats.claimed + stats.free,
        });
        for (name, end) in ["oldest", "newest"].iter().zip(stats.ends.iter().flatten()) {
            counts[*name] = answer::end(place, end);
        }
        Ok(Answer::json(json!({ "messages": counts })))
    }

    async fn purge(&self, request: &Request, place: &Place) -> Served {
        if request.method != Method::POST {
            return Err(Refusal::method("POST"));
        }
        if body::purges_messages(&request.body)? {
            self.broker.purge(place).await?;
        }
        Ok(Answer::empty())
    }
}

/// Whether it can be an identifier that a gateway gave. Nothing else reaches a broker.
fn is_plain(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=64).contains(&id.len()) && id.bytes().all(legal)
}

fn plain(ids: Vec<String>) -> Vec<String> {
    ids.into_iter().filter(|id| is_plain(id)).collect()
}

fn check_ids(ids: &[String]) -> Result<(), Refusal> {
    if (1..=IDS_MAX).contains(&ids.len()) {
        Ok(())
    } else {
        Err(Refusal::bad("ids: 1 to 20 of them"))
    }
}
