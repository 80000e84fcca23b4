//! The unchanged suite against servers that do otherwise than the reference, as the contract allows: none is blamed.
//!
//! Each is the reference behind something that changes what it is asked and what it answers, in every way that one
//! clause leaves open. What is beyond that is a flaw, and found.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::UPGRADE;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use nanshe_conformance::environment::{
    Address, BoxFuture, Environment, Instant, Listener, Stream, World,
};
use nanshe_conformance::report::{Report, Standing};
use nanshe_conformance::suite::{Capability, Options, Selection};
use nanshe_conformance::target::KnownFailures;
use nanshe_simulator::implementation::{Answering, Inbound};
use nanshe_simulator::{Implementation, NodeContext, Variant, conform};

use self::beyond::{Beyond, FLAWS};
use self::counted_ids::CountedIds;
use self::earlier_run::EarlierRun;
use self::late_stats::LateStats;
use self::leniency::Leniency;
use self::producers_apart::ProducersApart;
use self::short_pages::ShortPages;
use crate::implementation;

mod beyond;
mod counted_ids;
mod earlier_run;
mod late_stats;
mod leniency;
mod place;
mod producers_apart;
mod short_pages;

/// Something around the reference.
trait Around: Default + Send + Sync + 'static {
    /// What the server answers, which asks the reference, or not.
    fn answer(self: Arc<Self>, reference: Reference, request: Request<Bytes>) -> BoxFuture<Told>;
}

type Told = Response<Bytes>;

/// The reference itself.
#[derive(Clone)]
struct Reference {
    answering: Answering,
    world: World,
}

impl Reference {
    async fn ask(&self, request: Request<Bytes>) -> Told {
        let whole = |body: Bytes| Inbound::new(Full::new(body).map_err(|never| match never {}));
        let (head, body) = (self.answering)(request.map(whole)).await.into_parts();
        let body = body.collect().await.unwrap_or_else(|never| match never {});
        Response::from_parts(head, body.to_bytes())
    }

    /// Another request, by whoever sent `like`.
    async fn ask_like(
        &self,
        like: &Request<Bytes>,
        (method, path, body): (Method, &str, &str),
    ) -> Told {
        let mut request = Request::new(Bytes::copy_from_slice(body.as_bytes()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse::<Uri>().unwrap();
        for name in ["client-id", "x-project-id", "accept"] {
            if let Some(value) = like.headers().get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        self.ask(request).await
    }
}

/// The world of a server whose connections to others take their time.
struct SlowToConnect(World);

impl Environment for SlowToConnect {
    fn connect(&self, address: &Address) -> BoxFuture<std::io::Result<Box<dyn Stream>>> {
        let (world, address) = (Arc::clone(&self.0), address.clone());
        Box::pin(async move {
            world.sleep(Duration::from_millis(1_200)).await;
            world.connect(&address).await
        })
    }

    fn listen(&self, address: &Address) -> BoxFuture<std::io::Result<Box<dyn Listener>>> {
        self.0.listen(address)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        self.0.sleep(span)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.0.spawn(task);
    }
}

/// The variant of that number of the reference, with `A` around it.
fn start<A: Around, const VARIANT: usize>(context: NodeContext) -> Answering {
    let world = Arc::clone(&context.environment);
    let context = NodeContext {
        environment: Arc::new(SlowToConnect(Arc::clone(&world))),
        ..context
    };
    let answering = (implementation("reference").variants[VARIANT].start)(context);
    let (reference, around) = (Reference { answering, world }, Arc::new(A::default()));
    Arc::new(move |request: Request<Inbound>| {
        if request.headers().contains_key(UPGRADE) {
            return (reference.answering)(request);
        }
        let (reference, around) = (reference.clone(), Arc::clone(&around));
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let Ok(body) = body.collect().await else {
                let mut refusal = Response::new(Full::default());
                *refusal.status_mut() = StatusCode::BAD_REQUEST;
                return refusal;
            };
            let request = Request::from_parts(head, body.to_bytes());
            around.answer(reference, request).await.map(Full::new)
        })
    })
}

/// Which configurations of the reference are run, and what else than the reference they lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Configurations {
    All,
    First(&'static [Capability]),
}

fn report<A: Around>(configurations: Configurations, selection: Selection) -> Report {
    let reference = implementation("reference");
    let starts = [start::<A, 0>, start::<A, 1>, start::<A, 2>];
    let variants = reference.variants.iter().zip(starts);
    let mut variants: Vec<Variant> = variants
        .map(|(variant, start)| Variant { start, ..*variant })
        .collect();
    assert_eq!(variants.len(), reference.variants.len());
    if let Configurations::First(lacks) = configurations {
        variants.truncate(1);
        variants[0].lacks = lacks;
    }
    let lawful = Implementation {
        name: "lawful",
        start: starts[0],
        variants: Box::leak(variants.into_boxed_slice()),
        ..reference
    };
    let selected = selection.select().unwrap();
    let known = KnownFailures::default();
    conform(lawful, (selected, known), Options::default(), |_| {}).unwrap()
}

/// Demands that no case complains, and that `least` of them were run.
fn expect_no_complaint(report: &Report, least: usize) {
    let fine = [Standing::Passed, Standing::NotApplicable];
    let broken = { report.cases.iter() }.filter(|case| !fine.contains(&case.standing()));
    let broken: Vec<_> = broken.map(|case| (&case.path, &case.outcome)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let passed = report.count(Standing::Passed);
    assert!(passed >= least, "{passed} passed");
}

/// Cases in which nobody looks at messages' pages.
fn without_operators() -> Selection {
    let skip = ["admin", "confirmation", "cors", "mail", "notifications"];
    Selection {
        skip: skip.map(str::to_owned).into(),
        ..Selection::default()
    }
}

#[test]
fn pages_may_be_short() {
    let report = report::<ShortPages>(Configurations::All, without_operators());
    expect_no_complaint(&report, 400);
}

#[test]
fn counts_may_follow_and_webhooks_may_be_slow() {
    let report = report::<LateStats>(Configurations::All, Selection::default());
    expect_no_complaint(&report, 500);
}

#[test]
fn what_a_clause_leaves_open_may_be_otherwise() {
    let report = report::<Leniency>(Configurations::All, Selection::default());
    expect_no_complaint(&report, 500);
}

#[test]
fn identifiers_may_be_counted() {
    let lacks = &[
        Capability::WebSocket,
        Capability::PreSigned,
        Capability::KnownSigningKey,
    ];
    let report = report::<CountedIds>(Configurations::First(lacks), without_operators());
    expect_no_complaint(&report, 300);
}

#[test]
fn producers_may_lie_beside_each_other_in_any_order() {
    let lacks = &[Capability::TotalOrder];
    let report = report::<ProducersApart>(Configurations::First(lacks), without_operators());
    expect_no_complaint(&report, 300);
}

#[test]
fn pools_of_an_earlier_run_are_in_nobodys_way() {
    let selection = Selection {
        only: vec!["admin".to_owned()],
        ..Selection::default()
    };
    let report = report::<EarlierRun>(Configurations::All, selection);
    expect_no_complaint(&report, 20);
}

#[test]
fn who_promises_one_order_of_all_producers_is_held_to_it() {
    let needs_order = nanshe_conformance::suite::cases()
        .filter(|case| case.needs.contains(&Capability::TotalOrder))
        .map(|case| case.path.to_owned());
    let only: Vec<String> = needs_order.collect();
    assert!(!only.is_empty());
    let count = only.len();
    let selection = Selection {
        only,
        ..Selection::default()
    };
    let report = report::<ProducersApart>(Configurations::All, selection);
    assert_eq!(report.count(Standing::Failed), count);
}

/// Demands that the flaw of that number is found by the cases that are there for it.
fn expect_found<const FLAW: usize>() {
    let (flaw, finders) = FLAWS[FLAW];
    let selection = Selection {
        only: finders.iter().map(|&path| path.to_owned()).collect(),
        ..Selection::default()
    };
    let report = report::<Beyond<FLAW>>(Configurations::First(&[]), selection);
    for case in &report.cases {
        assert_eq!(case.standing(), Standing::Failed, "{flaw:?}: {}", case.path);
    }
    assert_eq!(report.cases.len(), finders.len(), "{flaw:?}");
}

#[test]
fn who_goes_one_step_further_is_blamed() {
    expect_found::<0>();
    expect_found::<1>();
    expect_found::<2>();
    expect_found::<3>();
    expect_found::<4>();
    expect_found::<5>();
    expect_found::<6>();
    expect_found::<7>();
    expect_found::<8>();
    assert_eq!(FLAWS.len(), 9);
}
