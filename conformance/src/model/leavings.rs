//! The queues that drawn sequences used on a server, so that nothing of them is left there.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{FutureExt as _, Shared, select};
use futures_util::stream::{StreamExt as _, iter};
use http::{HeaderValue, Method, Request};
use serde_json::Value;

use super::run::Served;
use crate::environment::{BoxFuture, Instant};
use crate::suite::queue_of;
use crate::target::Outcome;

/// Deletions under way at once.
const IN_FLIGHT_MAX: usize = 16;

/// What says whose queue it is.
const HEADERS: [&str; 2] = ["x-project-id", "client-id"];

/// The member of a queue's metadata that names another queue.
const DEAD_LETTER_QUEUE: &str = "_dead_letter_queue";

/// A server, with what was used there.
pub struct Noted<S> {
    served: S,
    left: Arc<Mutex<Left>>,
}

/// What is there, or will be.
#[derive(Default)]
struct Left {
    /// Queues that requests named in their paths.
    used: BTreeSet<Used>,
    /// Queues for the dead letters of others. The server makes them whenever it moves a message there:
    /// though no request ever named them in its path, and once more if they go before the others.
    dead_letters: BTreeSet<Used>,
    /// Requests without an answer yet. They are kept here too, so that they go on if the sequence that
    /// sent them is dropped: what left cannot be called back, and makes its queue when it arrives.
    under_way: BTreeMap<u64, Shared<BoxFuture<Outcome>>>,
    sent: u64,
}

/// A queue: its path, and the headers that name the project and a client.
type Used = (String, [Vec<u8>; 2]);

impl<S: Served> Noted<S> {
    /// `served`, of which nothing was used yet.
    pub fn new(served: S) -> Self {
        Self {
            served,
            left: Arc::default(),
        }
    }

    /// Lets the requests that are still under way end, which those who sent them no longer wait for;
    /// says how many had no answer within `span`.
    pub async fn settle(&self, span: Duration) -> Option<String> {
        let under_way: Vec<_> = self.left().under_way.values().cloned().collect();
        let all = under_way.len();
        let mut answered = 0;
        let whole = async {
            let mut ended = iter(under_way).buffer_unordered(all.max(1));
            while ended.next().await.is_some() {
                answered += 1;
            }
        };
        drop(select(pin!(whole), self.served.sleep(span)).await);
        self.left().under_way.clear();
        let late = all - answered;
        (late > 0).then(|| {
            format!("{late} requests had no answer within {span:?}: what they make may stay there")
        })
    }

    /// Deletes the queues that were used; says how much is left if that cannot be done within `span`.
    pub async fn clean_up(&self, span: Duration) -> Option<String> {
        let (dead_letters, others): (Vec<_>, Vec<_>) = {
            let left = self.left();
            let dead_letters = left.dead_letters.iter().cloned();
            let others = left.used.difference(&left.dead_letters).cloned();
            (dead_letters.collect(), others.collect())
        };
        let all = dead_letters.len() + others.len();
        let mut deleted = 0;
        let whole = async {
            for queues in [others, dead_letters] {
                let deletions = iter(queues).map(|used| self.delete(used));
                let mut deletions = deletions.buffer_unordered(IN_FLIGHT_MAX);
                while let Some(gone) = deletions.next().await {
                    deleted += usize::from(gone);
                }
            }
        };
        drop(select(pin!(whole), self.served.sleep(span)).await);
        let left = all - deleted;
        (left > 0)
            .then(|| format!("{left} of {all} queues that the sequences made were not deleted"))
    }

    async fn delete(&self, (path, values): Used) -> bool {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::DELETE;
        let Ok(uri) = path.parse() else {
            return false;
        };
        *request.uri_mut() = uri;
        for (name, value) in HEADERS.into_iter().zip(values) {
            let Ok(value) = HeaderValue::from_bytes(&value) else {
                return false;
            };
            request.headers_mut().insert(name, value);
        }
        let accept = HeaderValue::from_static("application/json");
        request.headers_mut().insert("accept", accept);
        let answer = self.served.send(request).await;
        // What a name is refused for is not there either.
        answer.is_ok_and(|answer| matches!(answer.status.as_u16(), 200..300 | 400 | 404))
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        lock(&self.left)
    }
}

fn lock(left: &Mutex<Left>) -> MutexGuard<'_, Left> {
    left.lock().expect("no holder of this lock panics")
}

impl Left {
    fn note(&mut self, request: &Request<Bytes>) {
        let Some(name) = queue_of(request.uri().path()) else {
            return;
        };
        let value = |header| {
            let value = request.headers().get(header);
            value.map(|value| value.as_bytes().to_vec())
        };
        let values = HEADERS.map(|header| value(header).unwrap_or_default());
        let queue = |name: &str| (format!("/v2/queues/{name}"), values.clone());
        self.used.insert(queue(name));
        // Only these say what a queue is like; their bodies are small.
        if matches!(*request.method(), Method::PUT | Method::PATCH) {
            let named = dead_letter_queues(request.body());
            self.dead_letters
                .extend(named.iter().map(|name| queue(name)));
        }
    }
}

/// The queues for dead letters that metadata or a patch of it names.
fn dead_letter_queues(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let member = body.get(DEAD_LETTER_QUEUE);
    let steps = body.as_array().into_iter().flatten();
    let values = steps.filter_map(|step| {
        let path = step.get("path")?.as_str()?;
        path.ends_with(DEAD_LETTER_QUEUE)
            .then(|| step.get("value"))?
    });
    let names = member.into_iter().chain(values).filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

impl<S: Served> Served for Noted<S> {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<Outcome> {
        let mut left = self.left();
        left.note(&request);
        let number = left.sent;
        left.sent += 1;
        let outcome = self.served.send(request).shared();
        left.under_way.insert(number, outcome.clone());
        drop(left);
        let left = Arc::clone(&self.left);
        Box::pin(async move {
            let outcome = outcome.await;
            lock(&left).under_way.remove(&number);
            outcome
        })
    }

    fn now(&self) -> Instant {
        self.served.now()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        self.served.sleep(span)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::target::{Answer, NotAnswered};

    /// A server that keeps what was asked, refuses to delete `kept`, and answers what concerns `slow` the
    /// second time that somebody looks.
    #[derive(Default)]
    struct Fake {
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Served for Fake {
        fn send(&self, request: Request<Bytes>) -> BoxFuture<Outcome> {
            let project = request.headers()["x-project-id"].to_str().unwrap();
            let line = format!("{} {} {project}", request.method(), request.uri());
            let fails = request.method() == Method::DELETE && line.contains("kept");
            let mut is_late = line.contains("slow");
            let asked = Arc::clone(&self.asked);
            let answer = Answer {
                status: StatusCode::NO_CONTENT,
                headers: HeaderMap::new(),
                body: Bytes::new(),
            };
            let outcome = if fails {
                Err(NotAnswered::NoAnswer("it kept it".to_owned()))
            } else {
                Ok(answer)
            };
            let mut outcome = Some(outcome);
            Box::pin(std::future::poll_fn(move |_| {
                if std::mem::take(&mut is_late) {
                    return Poll::Pending;
                }
                asked.lock().unwrap().push(line.clone());
                Poll::Ready(outcome.take().unwrap())
            }))
        }

        fn now(&self) -> Instant {
            Instant::START
        }

        fn sleep(&self, _: Duration) -> BoxFuture<()> {
            Box::pin(std::future::pending())
        }
    }

    fn send(noted: &Noted<Fake>, (method, path): (Method, &str), body: &str) -> BoxFuture<Outcome> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-project-id", "p")
            .header("client-id", "c")
            .body(Bytes::from(body.to_owned()));
        noted.send(request.unwrap())
    }

    fn ask(noted: &Noted<Fake>, path: &str, project: &str) {
        let request = Request::post(path)
            .header("x-project-id", project)
            .header("client-id", "c")
            .body(Bytes::new());
        let answer = noted.send(request.unwrap()).now_or_never().unwrap();
        assert!(answer.is_ok());
    }

    #[test]
    fn every_queue_of_every_project_is_deleted_once() {
        let fake = Fake::default();
        let asked = Arc::clone(&fake.asked);
        let noted = Noted::new(fake);
        for (path, project) in [
            ("/v2/queues/a/messages?echo=true", "p"),
            ("/v2/queues/a/claims", "p"),
            ("/v2/queues/a", "other"),
            ("/v2/queues?limit=1", "p"),
            ("/v2/queues/b/purge", "p"),
        ] {
            ask(&noted, path, project);
        }
        asked.lock().unwrap().clear();
        let left = noted.clean_up(Duration::MAX).now_or_never().unwrap();
        assert_eq!(left, None);
        let mut deleted = asked.lock().unwrap().clone();
        deleted.sort();
        let expected = [
            "DELETE /v2/queues/a other",
            "DELETE /v2/queues/a p",
            "DELETE /v2/queues/b p",
        ];
        assert_eq!(deleted, expected);
    }

    #[test]
    fn queues_for_dead_letters_are_deleted_last_though_only_the_metadata_of_others_names_them() {
        let fake = Fake::default();
        let asked = Arc::clone(&fake.asked);
        let noted = Noted::new(fake);
        let metadata = r#"{"_dead_letter_queue": "a.dead", "_max_claim_count": 1}"#;
        let patch = r#"[{"op": "add", "path": "/metadata/_dead_letter_queue", "value": "c.dead"},
            {"op": "remove", "path": "/metadata/_dead_letter_queue"}]"#;
        for (method, path, body) in [
            (Method::PUT, "/v2/queues/b", metadata),
            (Method::PATCH, "/v2/queues/d", patch),
            (Method::GET, "/v2/queues/c.dead/stats", ""),
        ] {
            let answer = send(&noted, (method, path), body).now_or_never();
            assert!(answer.unwrap().is_ok());
        }
        asked.lock().unwrap().clear();
        let left = noted.clean_up(Duration::MAX).now_or_never().unwrap();
        assert_eq!(left, None);
        let deleted = ["b", "d", "a.dead", "c.dead"];
        let deleted = deleted.map(|name| format!("DELETE /v2/queues/{name} p"));
        assert_eq!(*asked.lock().unwrap(), deleted);
    }

    #[test]
    fn what_nobody_waits_for_any_more_ends_before_its_queue_is_deleted() {
        let fake = Fake::default();
        let asked = Arc::clone(&fake.asked);
        let noted = Noted::new(fake);
        let mut dropped = send(&noted, (Method::POST, "/v2/queues/slow/claims"), "");
        assert!((&mut dropped).now_or_never().is_none());
        drop(dropped);
        assert_eq!(*asked.lock().unwrap(), [""; 0]);
        let late = noted.settle(Duration::MAX).now_or_never().unwrap();
        assert_eq!(late, None);
        assert_eq!(*asked.lock().unwrap(), ["POST /v2/queues/slow/claims p"]);
        assert!(noted.left().under_way.is_empty());
    }

    #[test]
    fn what_has_no_answer_in_time_is_told() {
        let noted = Noted::new(Silent);
        drop(noted.send(Request::new(Bytes::new())));
        let late = noted.settle(Duration::from_secs(10)).now_or_never();
        let expected = "1 requests had no answer within 10s: what they make may stay there";
        assert_eq!(late.unwrap().as_deref(), Some(expected));
    }

    /// A server that never answers, and whose time is over at once.
    struct Silent;

    impl Served for Silent {
        fn send(&self, _: Request<Bytes>) -> BoxFuture<Outcome> {
            Box::pin(std::future::pending())
        }

        fn now(&self) -> Instant {
            Instant::START
        }

        fn sleep(&self, _: Duration) -> BoxFuture<()> {
            Box::pin(std::future::ready(()))
        }
    }

    #[test]
    fn what_could_not_be_deleted_is_told() {
        let noted = Noted::new(Fake::default());
        for path in ["/v2/queues/a/messages", "/v2/queues/kept/messages"] {
            ask(&noted, path, "p");
        }
        let left = noted.clean_up(Duration::MAX).now_or_never().unwrap();
        let expected = "1 of 2 queues that the sequences made were not deleted";
        assert_eq!(left.as_deref(), Some(expected));
    }
}
