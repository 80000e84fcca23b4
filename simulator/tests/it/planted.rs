//! Servers with a planted fault: the suite must find it, and the case that is there for it must.
//!
//! Each is the reference behind something that meddles with requests, or with what it sends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use nanshe_conformance::environment::{Address, BoxFuture, Environment, Instant, Listener, Stream};
use nanshe_conformance::report::Standing;
use nanshe_conformance::suite::{Options, Selection};
use nanshe_conformance::target::KnownFailures;
use nanshe_simulator::implementation::{Answering, Inbound};
use nanshe_simulator::{Implementation, NodeContext, Takes, Variant, conform, implementations};

/// What is wrong with a server.
trait Fault: 'static {
    /// The variant of the reference that has it.
    const VARIANT: usize = 0;
    /// How many of its connections to subscribers are real; the others end in a void that answers 200.
    const CONNECTIONS: usize = usize::MAX;

    /// Changes a request, or answers it in the server's place.
    fn meddle(_: &mut Request<Inbound>) -> Option<StatusCode> {
        None
    }
}

pub(crate) fn reference(variant: usize) -> Variant {
    let reference = implementations().next().unwrap();
    reference.variants[variant]
}

fn start<F: Fault>(context: NodeContext) -> Answering {
    let environment = Arc::new(Void {
        inner: Arc::clone(&context.environment),
        real: AtomicUsize::new(F::CONNECTIONS),
    });
    let context = NodeContext {
        environment,
        ..context
    };
    let inner = (reference(F::VARIANT).start)(context);
    Arc::new(move |mut request| {
        let Some(status) = F::meddle(&mut request) else {
            return inner(request);
        };
        Box::pin(async move {
            let mut response = Response::new(Full::<Bytes>::default());
            *response.status_mut() = status;
            response
        })
    })
}

/// Demands that each of these cases fails on the server with the fault, and passes without it.
fn caught_by<F: Fault>(paths: &[&str]) {
    caught(F::VARIANT, start::<F>, paths);
}

/// Demands that each of these cases fails on what `faulty` starts, and passes on the variant that it is of.
pub(crate) fn caught(of: usize, faulty: fn(NodeContext) -> Answering, paths: &[&str]) {
    let outcome = |start: fn(NodeContext) -> Answering| {
        let variant = Variant {
            start,
            ..reference(of)
        };
        let implementation = Implementation {
            name: "planted",
            about: "the reference with a fault",
            caught_by: None,
            takes: Takes::ONE_IN_MEMORY,
            start,
            variants: Box::leak(Box::new([variant])),
        };
        let only = paths.iter().map(|&path| path.to_owned()).collect();
        let selection = Selection {
            only,
            ..Selection::default()
        };
        let chosen = (selection.select().unwrap(), KnownFailures::default());
        conform(implementation, chosen, Options::default(), |_| {}).unwrap()
    };
    let (sound, faulty) = (outcome(reference(of).start), outcome(faulty));
    assert_eq!(sound.count(Standing::Passed), paths.len(), "{sound:#?}");
    for case in &faulty.cases {
        assert_eq!(case.standing(), Standing::Failed, "{}", case.path);
    }
}

fn header(request: &mut Request<Inbound>, name: &'static str, value: &str) {
    let value = value.parse().unwrap();
    request.headers_mut().insert(name, value);
}

fn text(request: &Request<Inbound>, name: &str) -> String {
    let value = request.headers().get(name);
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn redirect(request: &mut Request<Inbound>, from: &str, to: &str) {
    let uri = request.uri().to_string().replace(from, to);
    *request.uri_mut() = uri.parse().unwrap();
}

fn is(request: &Request<Inbound>, method: &Method, part: &str) -> bool {
    request.method() == method && request.uri().path().contains(part)
}

/// Declares a fault and the test that it is caught.
macro_rules! planted {
    ($test:ident, $fault:ident { $($item:item)* }, $paths:expr) => {
        struct $fault;
        impl Fault for $fault { $($item)* }
        #[test]
        fn $test() {
            caught_by::<$fault>(&$paths);
        }
    };
}

planted!(
    no_notification_is_ever_sent,
    NothingSent { const CONNECTIONS: usize = 0; },
    [
        "notifications/every-message-is-posted",
        "notifications/document-is-as-documented",
        "notifications/post-headers-are-sent",
        "notifications/post-data-is-a-template",
    ]
);
planted!(
    no_mail_is_ever_sent,
    NoMail { const CONNECTIONS: usize = 0; },
    ["mail/message-comes-as-text", "mail/every-message-is-mailed"]
);
planted!(
    some_mails_are_lost,
    SomeMail { const CONNECTIONS: usize = 4; },
    ["mail/every-message-is-mailed"]
);
planted!(
    the_last_notifications_of_many_are_lost,
    SomeLost { const CONNECTIONS: usize = 249; },
    ["notifications/large-batch-arrives-in-full"]
);
planted!(
    subscribers_beyond_the_first_pages_are_forgotten,
    FirstPages { const CONNECTIONS: usize = 20; },
    ["notifications/every-subscriber-is-notified"]
);
planted!(
    no_attempt_is_made_again,
    NoRetry { const CONNECTIONS: usize = 3; },
    ["notifications/server-error-is-retried"]
);
planted!(
    no_attempt_is_made_again_after_a_dropped_connection,
    NoRetryOfDropped { const CONNECTIONS: usize = 2; },
    ["notifications/dropped-connection-is-retried"]
);
planted!(
    signature_is_good_for_every_path,
    EveryPath {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            if is(request, &Method::POST, "/claims") {
                request.headers_mut().remove("url-signature");
            }
            None
        }
    },
    ["signing/signature-is-for-its-path"]
);
planted!(
    signature_is_not_looked_at,
    NoSignatures {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            request.headers_mut().remove("url-signature");
            None
        }
    },
    [
        "signing/signature-ends",
        "signing/signature-is-for-its-methods",
        "signing/signature-is-for-its-project",
        "signing/altered-grant-is-worth-nothing",
        "signing/incomplete-grant-is-worth-nothing",
        "signing/empty-signature-is-worth-nothing",
    ]
);
planted!(
    subscription_is_seen_from_another_project,
    OneProject {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            let project = text(request, "x-project-id");
            if request.uri().path().contains("/subscriptions") {
                header(request, "x-project-id", project.trim_end_matches("-stranger"));
            }
            None
        }
    },
    [
        "subscriptions/belongs-to-its-project",
        "notifications/other-projects-are-not-notified",
    ]
);
planted!(
    subscription_is_seen_from_another_queue,
    OneQueue {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            redirect(request, "/q2/subscriptions/", "/q/subscriptions/");
            None
        }
    },
    ["subscriptions/belongs-to-its-queue"]
);
planted!(
    purge_does_nothing,
    NoPurge {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            is(request, &Method::POST, "/purge").then_some(StatusCode::NO_CONTENT)
        }
    },
    [
        "subscriptions/purge-removes-them",
        "notifications/purged-subscription-gets-nothing",
        "queues/purged-queue-works-on",
    ]
);
planted!(
    deleted_subscription_stays,
    NoUnsubscription {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            is(request, &Method::DELETE, "/subscriptions/").then_some(StatusCode::NO_CONTENT)
        }
    },
    [
        "subscriptions/deleted-one-is-gone",
        "notifications/deleted-subscription-gets-nothing",
    ]
);
planted!(
    patch_of_a_subscription_does_nothing,
    NoPatch {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            is(request, &Method::PATCH, "/subscriptions/").then_some(StatusCode::NO_CONTENT)
        }
    },
    [
        "subscriptions/patch-changes-what-it-names",
        "subscriptions/patch-names-something",
        "subscriptions/renewal-restarts-the-ttl",
        "subscriptions/renewal-can-shorten-it",
        "notifications/moved-subscriber-gets-later-messages",
    ]
);
planted!(
    marker_is_not_looked_at,
    NoMarker {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            redirect(request, "marker=", "nothing=");
            None
        }
    },
    [
        "subscriptions/pages-show-every-one-once",
        "listing/new-messages-come-behind-the-last-marker",
        "listing/marker-outlives-its-popped-message",
    ]
);
planted!(
    everybody_is_an_operator,
    NoRoles {
        const VARIANT: usize = 2;
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            header(request, "x-roles", "admin");
            None
        }
    },
    [
        "admin/health-needs-the-role",
        "admin/pools-need-the-role",
        "admin/flavors-need-the-role",
    ]
);
planted!(
    every_origin_is_allowed,
    EveryOrigin {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            let origin = text(request, "origin");
            if !origin.is_empty() {
                header(request, "origin", "https://console.example:8443");
            }
            None
        }
    },
    [
        "cors/other-origin-is-served-without-a-word",
        "cors/preflight-of-another-origin-allows-nothing",
    ]
);
planted!(
    clients_are_told_apart_by_their_beginning,
    ShortClients {
        const VARIANT: usize = 1;
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            let client = text(request, "client-id");
            if client.starts_with("worker-number") {
                header(request, "client-id", &client[..client.len().min(15)]);
            }
            None
        }
    },
    ["free-form-clients/do-not-see-their-own-messages"]
);
planted!(
    release_does_nothing,
    NoRelease {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            is(request, &Method::DELETE, "/claims/").then_some(StatusCode::NO_CONTENT)
        }
    },
    [
        "claims/release-is-for-its-own-messages",
        "claims/released-message-has-a-new-holder-at-once",
        "claims/released-claim-leaves-deleted-ones-deleted",
    ]
);
planted!(
    names_end_at_a_dot,
    NoDots {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            redirect(request, "/a.b", "/a");
            None
        }
    },
    ["queues/dotted-names-are-apart"]
);
planted!(
    projects_end_at_a_star,
    NoStars {
        fn meddle(request: &mut Request<Inbound>) -> Option<StatusCode> {
            let project = text(request, "x-project-id");
            header(request, "x-project-id", project.trim_end_matches('*'));
            None
        }
    },
    ["common/projects-may-have-odd-names"]
);

/// A world in which only the first connections are real.
struct Void {
    inner: Arc<dyn Environment>,
    real: AtomicUsize,
}

impl Environment for Void {
    fn connect(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let left = self.real.load(Ordering::Relaxed);
        if left == 0 {
            return Box::pin(async { Ok(Box::new(Answer::default()) as Box<dyn Stream>) });
        }
        self.real.store(left - 1, Ordering::Relaxed);
        self.inner.connect(address)
    }

    fn listen(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        self.inner.listen(address)
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        self.inner.sleep(span)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.inner.spawn(task);
    }
}

/// Says 200 to whatever is written, and keeps it to itself.
#[derive(Default)]
struct Answer {
    asked: bool,
    answered: bool,
    reader: Option<std::task::Waker>,
}

impl hyper::rt::Read for Answer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.asked && !self.answered {
            self.answered = true;
            buffer.put_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            return Poll::Ready(Ok(()));
        }
        self.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl hyper::rt::Write for Answer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        self.reader
            .take()
            .into_iter()
            .for_each(std::task::Waker::wake);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
