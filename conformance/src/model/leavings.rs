//! The queues that drawn sequences used on a server, so that nothing of them is left there.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderValue, Method, Request};

use super::run::Served;
use crate::environment::{BoxFuture, Instant};
use crate::suite::queue_of;
use crate::target::Outcome;

/// Deletions under way at once.
const IN_FLIGHT_MAX: usize = 16;

/// What says whose queue it is.
const HEADERS: [&str; 2] = ["x-project-id", "client-id"];

/// A server, with what was used there.
pub struct Noted<S> {
    served: S,
    used: Mutex<BTreeSet<Used>>,
}

/// A queue: its path, and the headers that name the project and a client.
type Used = (String, [Vec<u8>; 2]);

impl<S: Served> Noted<S> {
    /// `served`, of which nothing was used yet.
    pub fn new(served: S) -> Self {
        Self {
            served,
            used: Mutex::default(),
        }
    }

    /// Deletes the queues that were used; says how much is left if that cannot be done within `span`.
    pub async fn clean_up(&self, span: Duration) -> Option<String> {
        let used = self.used().clone();
        let all = used.len();
        let mut deleted = 0;
        let deletions = futures_util::stream::iter(used);
        let mut deletions = deletions
            .map(|used| self.delete(used))
            .buffer_unordered(IN_FLIGHT_MAX);
        let whole = async {
            while let Some(gone) = deletions.next().await {
                deleted += usize::from(gone);
            }
        };
        let whole = std::pin::pin!(whole);
        drop(futures_util::future::select(whole, self.served.sleep(span)).await);
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

    fn used(&self) -> std::sync::MutexGuard<'_, BTreeSet<Used>> {
        self.used.lock().expect("no holder of this lock panics")
    }
}

impl<S: Served> Served for Noted<S> {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<Outcome> {
        if let Some(name) = queue_of(&request.uri().to_string()) {
            let value = |header| {
                let value = request.headers().get(header);
                value.map(|value| value.as_bytes().to_vec())
            };
            let values = HEADERS.map(|header| value(header).unwrap_or_default());
            self.used().insert((format!("/v2/queues/{name}"), values));
        }
        self.served.send(request)
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
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::target::{Answer, NotAnswered};

    /// A server that keeps what was asked, and refuses to delete `kept`.
    #[derive(Default)]
    struct Fake {
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Served for Fake {
        fn send(&self, request: Request<Bytes>) -> BoxFuture<Outcome> {
            let project = request.headers()["x-project-id"].to_str().unwrap();
            let line = format!("{} {} {project}", request.method(), request.uri());
            let fails = request.method() == Method::DELETE && line.contains("kept");
            self.asked.lock().unwrap().push(line);
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
            Box::pin(std::future::ready(outcome))
        }

        fn now(&self) -> Instant {
            Instant::START
        }

        fn sleep(&self, _: Duration) -> BoxFuture<()> {
            Box::pin(std::future::pending())
        }
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
