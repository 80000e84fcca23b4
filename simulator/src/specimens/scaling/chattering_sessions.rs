//! Every session has a worker, which keeps a copy of the routes for itself. Whoever writes tells the workers of all
//! sessions that were heard of lately, and waits until each has made its copy anew. What all of them do together
//! grows with the number of pairs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use http::Method;
use nanshe_conformance::environment::Environment;

use super::Indexed;
use super::shelves::{IN_TIME, Shelves};
use crate::implementation::{Answering, Implementation, NodeContext, Takes};
use crate::specimens::front::answering;
use crate::specimens::tables::SECOND;
use crate::world::Processor;

/// How long a session counts as active after its last request, in nanoseconds: a quarter of a second.
const ACTIVE: u64 = SECOND / 4;

/// Routes in a copy.
const ROUTES: u64 = 400;

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "chattering-sessions",
    about: "tells every active session of every write, and waits until each has made its routes anew",
    caught_by: Some("scaling/throughput"),
    takes: Takes::ONE_IN_MEMORY,
    variants: &[],
    start,
};

/// The workers of the sessions that are active, by client.
#[derive(Default)]
struct Sessions {
    workers: Mutex<BTreeMap<String, Arc<Mutex<Worker>>>>,
}

/// A session's worker.
struct Worker {
    heard_at: u64,
    /// Which node serves which part of the queues, and since which write.
    routes: BTreeMap<u64, (u64, u64)>,
    /// The routes as they would be sent.
    copy: String,
}

fn start(context: NodeContext) -> Answering {
    let sessions = Arc::new(Sessions::default());
    let (environment, processor) = (Arc::clone(&context.environment), context.processor.clone());
    let shelves = Shelves::new(&context, IN_TIME);
    let inner = answering(Indexed { shelves });
    Arc::new(move |request| {
        let client = request.headers().get("client-id");
        let client = client.and_then(|client| client.to_str().ok());
        let client = client.unwrap_or_default().to_owned();
        let writes = request.method() != Method::GET;
        let answer = inner(request);
        let (sessions, processor) = (Arc::clone(&sessions), processor.clone());
        let environment = Arc::clone(&environment);
        Box::pin(async move {
            let active = sessions.hear_of(client, &*environment);
            let answer = answer.await;
            if writes {
                announce(&active, &processor).await;
            }
            answer
        })
    })
}

impl Sessions {
    /// The workers of all sessions that are active, that of `client` among them.
    fn hear_of(&self, client: String, environment: &dyn Environment) -> Vec<Arc<Mutex<Worker>>> {
        let now = environment.now().as_nanos();
        let mut workers = self.workers.lock().expect("no holder of this lock panics");
        let worker = workers.entry(client).or_insert_with(Worker::new);
        lock(worker).heard_at = now;
        workers.retain(|_, worker| now < lock(worker).heard_at + ACTIVE);
        workers.values().map(Arc::clone).collect()
    }
}

/// Tells all workers of a write, one after the other.
async fn announce(workers: &[Arc<Mutex<Worker>>], processor: &Processor) {
    for worker in workers {
        let made = lock(worker).make_anew();
        processor.spend(made).await;
    }
}

fn lock(worker: &Mutex<Worker>) -> std::sync::MutexGuard<'_, Worker> {
    worker.lock().expect("no holder of this lock panics")
}

impl Worker {
    fn new() -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            heard_at: 0,
            routes: (0..ROUTES).map(|part| (part, (part % 7, 0))).collect(),
            copy: String::new(),
        }))
    }

    /// Writes the copy out again after a write. How many routes are in it.
    fn make_anew(&mut self) -> u64 {
        self.copy.clear();
        let mut made = 0;
        for (part, (node, since)) in &mut self.routes {
            *since += 1;
            // Writing to a string cannot fail.
            let _infallible = write!(
                self.copy,
                "{{\"part\":{part},\"node\":{node},\"since\":{since}}},"
            );
            made += 1;
        }
        made
    }
}
