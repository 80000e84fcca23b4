//! What a server counts about itself, and how it tells: the text format of Prometheus, 0.0.4.
//!
//! The label sets are fixed and few, so counting is one atomic addition into a table, with no lock
//! and no look-up by name. Gauges of the broker are read when they are asked for.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};

use crate::broker::{Census, DeliveryCounts};
use crate::wire::Resource;

const METHODS: [&str; 8] = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other",
];
const STATUSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
const RESOURCES: usize = Resource::ALL.len();
/// The upper ends of the classes of latency, in microseconds, and as they are shown.
const LATENCIES: [(u64, &str); 14] = [
    (25, "0.000025"),
    (50, "0.00005"),
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
];

/// The counters of one server.
#[derive(Debug)]
pub(super) struct Metrics {
    requests: [[[AtomicU64; STATUSES.len()]; METHODS.len()]; RESOURCES],
    latencies: [Latency; RESOURCES],
    opened: AtomicU64,
    closed: AtomicU64,
}

#[derive(Debug)]
struct Latency {
    /// The last one: longer than any class.
    classes: [AtomicU64; LATENCIES.len() + 1],
    nanos: AtomicU64,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            requests: std::array::from_fn(|_| {
                std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0)))
            }),
            latencies: std::array::from_fn(|_| Latency {
                classes: std::array::from_fn(|_| AtomicU64::new(0)),
                nanos: AtomicU64::new(0),
            }),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
        }
    }

    pub(super) fn count_request(
        &self,
        method: &Method,
        resource: Resource,
        status: StatusCode,
        elapsed: Duration,
    ) {
        let method = METHODS.iter().position(|name| method == *name);
        let method = method.unwrap_or(METHODS.len() - 1);
        let status = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        add(&self.requests[resource as usize][method][status], 1);
        let latency = &self.latencies[resource as usize];
        let micros = elapsed.as_micros();
        let class = LATENCIES.partition_point(|(end, _)| u128::from(*end) < micros);
        add(&latency.classes[class], 1);
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        add(&latency.nanos, nanos);
    }

    /// The page. What the broker holds is missing if it is broken.
    pub(super) fn page(&self, broker: Option<(Census, DeliveryCounts)>) -> String {
        let mut page = Page::default();
        if let Some((census, deliveries)) = broker {
            page.census(&census);
            page.deliveries(&deliveries);
        }
        // Read in this order, so that there are never more closed than opened.
        let (closed, opened) = (read(&self.closed), read(&self.opened));
        page.describe(
            "nanshe_connections_total",
            "counter",
            "Connections accepted",
        );
        page.value("nanshe_connections_total", "", opened);
        page.describe("nanshe_connections_open", "gauge", "Connections open");
        page.value("nanshe_connections_open", "", opened.saturating_sub(closed));
        self.requests(&mut page);
        self.latencies(&mut page);
        page.text
    }

    fn requests(&self, page: &mut Page) {
        let name = "nanshe_http_requests_total";
        page.describe(name, "counter", "Requests answered");
        for resource in Resource::ALL {
            for (method, statuses) in METHODS.iter().zip(&self.requests[resource as usize]) {
                for (status, count) in STATUSES.iter().zip(statuses) {
                    let (resource, count) = (resource.name(), read(count));
                    let labels =
                        format!("method=\"{method}\",resource=\"{resource}\",status=\"{status}\"");
                    // What never happened has no line: there are hundreds of them.
                    if count > 0 {
                        page.value(name, &labels, count);
                    }
                }
            }
        }
    }

    fn latencies(&self, page: &mut Page) {
        let name = "nanshe_http_request_duration_seconds";
        let help = "From the head of a request to its answer, arrival of the body included";
        page.describe(name, "histogram", help);
        for resource in Resource::ALL {
            let latency = &self.latencies[resource as usize];
            let classes = latency.classes.each_ref().map(read);
            let count = classes.iter().sum::<u64>();
            if count == 0 {
                continue;
            }
            let resource = format!("resource=\"{}\"", resource.name());
            let mut below = 0;
            for ((_, end), class) in LATENCIES.iter().zip(classes) {
                below += class;
                let labels = format!("{resource},le=\"{end}\"");
                page.value(&format!("{name}_bucket"), &labels, below);
            }
            let labels = format!("{resource},le=\"+Inf\"");
            page.value(&format!("{name}_bucket"), &labels, count);
            let nanos = read(&latency.nanos);
            let (secs, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
            page.value(
                &format!("{name}_sum"),
                &resource,
                format!("{secs}.{rest:09}"),
            );
            page.value(&format!("{name}_count"), &resource, count);
        }
    }
}

/// A connection, counted as open until it is dropped: also one that is cut off.
pub(super) struct OpenConnection(Arc<Metrics>);

impl OpenConnection {
    pub(super) fn count(metrics: &Arc<Metrics>) -> Self {
        add(&metrics.opened, 1);
        Self(Arc::clone(metrics))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        add(&self.0.closed, 1);
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn census(&mut self, census: &Census) {
        self.gauge("nanshe_queues", "Queues", census.queues);
        let name = "nanshe_messages";
        self.describe(name, "gauge", "Messages, by state");
        for (state, count) in [
            ("active", census.active),
            ("delayed", census.delayed),
            ("claimed", census.claimed),
        ] {
            self.value(name, &format!("state=\"{state}\""), count);
        }
        self.gauge("nanshe_claims", "Claims that live", census.claims);
        let help = "Subscriptions, and those that a purge has left to be given back";
        self.gauge("nanshe_subscriptions", help, census.subscriptions);
    }

    fn deliveries(&mut self, counts: &DeliveryCounts) {
        let name = "nanshe_notifications_total";
        self.describe(name, "counter", "What became of what subscribers were owed");
        for (outcome, count) in [
            ("delivered", counts.delivered),
            ("given_up", counts.given_up),
            ("retried", counts.retried),
            ("overflowed", counts.overflowed),
            ("abandoned", counts.abandoned),
        ] {
            self.value(name, &format!("outcome=\"{outcome}\""), count);
        }
        self.gauge(
            "nanshe_notifications_pending",
            "What subscribers are still owed",
            counts.pending(),
        );
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.describe(name, "gauge", help);
        self.value(name, "", value);
    }

    fn describe(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn value(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        if labels.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{labels}}} {value}"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("invariant: a string takes all that is written");
    }
}
