//! Runs cases, all at once, and collects what they say.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Case, Context, Selected, Stop, Surroundings};
use crate::environment::World;
use crate::report::{CaseReport, Outcome, Report};
use crate::target::{Client, Description, Endpoint};

/// How the cases are run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What projects and clients are named after: two runs with one seed use the same names.
    pub seed: u64,
    /// The command that runs the suite on this target again, for reports.
    pub command: String,
    /// What cases may make use of beside the target itself.
    pub surroundings: Arc<Surroundings>,
}

/// What a run tells while it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Cases that have ended.
    pub done: usize,
    /// All cases of the run.
    pub all: usize,
    /// The one that just ended.
    pub last: &'a CaseReport,
}

/// Runs the selected cases against the target at `endpoint`, all at once.
pub async fn run(
    world: World,
    (target, endpoint): (&Description, Endpoint),
    selected: &Selected,
    options: &Options,
    mut progress: impl FnMut(Progress<'_>),
) -> Report {
    let cases = &selected.cases;
    let started_at = world.now();
    let client = Client::new(
        Arc::clone(&world),
        endpoint,
        target.patience,
        target.in_flight_max,
    );
    let client = Arc::new(client);
    let mut names = ChaCha8Rng::seed_from_u64(options.seed);
    let mut running: FuturesUnordered<_> = cases
        .iter()
        .map(|&case| {
            let names = (format!("nanshe-{}", uuid(&mut names)), uuid(&mut names));
            let context =
                Context::new(Arc::clone(&world), Arc::clone(&client), target.slack, names);
            let context = context.within(&options.surroundings);
            run_one(case, context)
        })
        .collect();
    let mut reports = Vec::with_capacity(cases.len());
    while let Some(mut report) = running.next().await {
        report.excuse(&target.known_failures);
        progress(Progress {
            done: reports.len() + 1,
            all: cases.len(),
            last: &report,
        });
        reports.push(report);
    }
    // Cases end in any order; a report has the order of the suite.
    let place = |path: &str| cases.iter().position(|case| case.path == path);
    reports.sort_by_key(|report: &CaseReport| place(&report.path));
    Report {
        target: target.name.clone(),
        seed: options.seed,
        command: options.command.clone(),
        elapsed: world.now().since(started_at),
        cases: reports,
        left_out: selected
            .left_out
            .iter()
            .map(|case| case.path.to_owned())
            .collect(),
    }
}

async fn run_one(case: &'static Case, context: Context) -> CaseReport {
    let started_at = context.now();
    // A case that panics over an answer nobody foresaw is a defect of the case, not the end of the run.
    let ended = std::panic::AssertUnwindSafe((case.run)(context.clone()))
        .catch_unwind()
        .await;
    let outcome = match ended {
        Ok(Ok(())) => Outcome::Passed,
        Ok(Err(Stop::Failed(failure))) => Outcome::Failed { failure: *failure },
        Ok(Err(Stop::Unknown { why, exchanges })) => Outcome::Unknown { why, exchanges },
        Err(_) => Outcome::Unknown {
            why: "the case itself panicked: a defect of the suite".to_owned(),
            exchanges: context.exchanges(),
        },
    };
    CaseReport {
        path: case.path.to_owned(),
        level: case.level,
        clause: case.clause.to_owned(),
        guarantee: case.guarantee.to_owned(),
        provenance: case.provenance,
        decision: case.decision.to_owned(),
        outcome,
        known: None,
        elapsed: context.now().since(started_at),
        waited: context.waited(),
        requests: context.requests(),
    }
}

/// A random UUID, dashed and in lower case.
fn uuid(random: &mut ChaCha8Rng) -> String {
    let bits: u128 = random.random();
    let bits = (bits & !(0xf << 76) | (0x4 << 76)) & !(0x3 << 62) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// Asks whether anything like Zaqar v2 is there, before hundreds of cases do.
///
/// # Errors
///
/// One line that says what is there instead.
pub async fn preflight(
    world: World,
    target: &Description,
    endpoint: &Endpoint,
) -> Result<(), String> {
    let patience = target.patience.min(Duration::from_secs(10));
    let client = Client::new(Arc::clone(&world), endpoint.clone(), patience, 1);
    let mut request = http::Request::new(bytes::Bytes::new());
    *request.uri_mut() = http::Uri::from_static("/v2/ping");
    let names = request.headers_mut();
    names.insert(
        "client-id",
        http::HeaderValue::from_static("6b2e4f0a-27a1-4a5e-8f3c-0d9c5c1a7e11"),
    );
    names.insert(
        "x-project-id",
        http::HeaderValue::from_static("nanshe-preflight"),
    );
    match client.send(request).await {
        Ok(answer) if answer.status == http::StatusCode::NO_CONTENT => Ok(()),
        Ok(answer) => Err(format!(
            "{endpoint} does not look like Zaqar v2: GET /v2/ping answered {}, expected 204",
            answer.status.as_u16()
        )),
        Err(not_answered) => Err(format!("{endpoint} is not there: {not_answered}")),
    }
}
