//! Runs cases, as many at once as the target takes requests, and those that wait all at once, but for the
//! few that run apart; collects what they say.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, Either, OptionFuture, select};
use futures_util::stream::FuturesUnordered;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Semaphore;

use super::cleanup::clean_up;
use super::context::Corner;
use super::namespace::Namespace;
use super::profile::{Probed, Profile, offered};
use super::pulse::{Pulse, UNANSWERED_MAX};
use super::{Capability, Case, Context, Selected, Stop, Surroundings};
use crate::environment::{Instant, World};
use crate::report::{CaseReport, Outcome, Report};
use crate::target::{Client, Description, Endpoint};

/// How the cases are run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What projects and clients are named after.
    pub seed: u64,
    /// What sets their names apart from those of another run with the same seed, on a server that outlives runs;
    /// where it does not, 0.
    pub run: u64,
    /// The command that runs the suite on this target again, for reports.
    pub command: String,
    /// The profile, in place of the target's.
    pub profile: Option<Profile>,
    /// What probing found.
    pub probed: Probed,
    /// Whether the queues that the suite makes stay.
    pub keep: bool,
    /// Today as `2026-11-24`, for excuses that end; empty: they do not.
    pub today: String,
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

/// Runs the selected cases against the target at `endpoint`, all at once but for those that run apart.
pub async fn run(
    world: World,
    reached: (&Description, Endpoint),
    selected: &Selected,
    options: &Options,
    progress: impl FnMut(Progress<'_>) + Send,
) -> Report {
    let never = std::future::pending();
    run_until(world, reached, (selected, options), progress, never).await
}

/// As [`run`], but not beyond the end of `stop`, which says why: then what is known by then.
pub async fn run_until(
    world: World,
    reached: (&Description, Endpoint),
    what: (&Selected, &Options),
    mut progress: impl FnMut(Progress<'_>) + Send,
    stop: impl Future<Output = String> + Send,
) -> Report {
    ran(world, reached, what, (&mut progress, stop.boxed())).await
}

/// Who is told how it goes.
type Watch<'a> = &'a mut (dyn FnMut(Progress<'_>) + Send);

/// In a box, so that all of it is compiled here, once, and not with everyone who waits for it.
fn ran<'a>(
    world: World,
    reached: (&'a Description, Endpoint),
    what: (&'a Selected, &'a Options),
    around: (Watch<'a>, BoxFuture<'a, String>),
) -> BoxFuture<'a, Report> {
    run_all(world, reached, what, around).boxed()
}

async fn run_all(
    world: World,
    (target, endpoint): (&Description, Endpoint),
    (selected, options): (&Selected, &Options),
    (progress, stop): (Watch<'_>, BoxFuture<'_, String>),
) -> Report {
    let started_at = world.now();
    let place = endpoint.to_string();
    let profile = options.profile.unwrap_or(target.profile);
    let offered = Arc::new(offered(profile, &options.probed, target));
    let pulse = Arc::<Pulse>::default();
    let client = Client::of(Arc::clone(&world), target, endpoint, target.in_flight_max);
    let client = Arc::new(client);
    let contexts: Vec<Context> = corners(target, options, &offered, selected)
        .into_iter()
        .map(|corner| {
            let (client, pulse) = (Arc::clone(&client), Arc::clone(&pulse));
            let context = Context::new(Arc::clone(&world), client, pulse, corner);
            context.within(&options.surroundings)
        })
        .collect();
    let mut collected = Collected {
        ended: vec![None; contexts.len()],
        target,
        today: &options.today,
        progress,
    };
    let cases = (selected.cases.as_slice(), contexts.as_slice());
    let stopped = collected.collect(cases, &offered, &pulse, stop).await;
    let mut notes = Vec::new();
    if !options.keep && !pulse.is_gone() {
        notes.extend(clean_up(&world, &contexts).await);
    }
    // Cases end in any order; a report has the order of the suite.
    let places = selected.cases.iter().zip(&contexts).zip(collected.ended);
    let why = stopped.as_deref().unwrap_or_default();
    let reports = places.map(|((case, context), ended)| {
        ended.unwrap_or_else(|| unended(case, context, started_at, why))
    });
    Report {
        target: target.name.clone(),
        endpoint: place,
        profile,
        suite_version: selected.version,
        seed: options.seed,
        command: options.command.clone(),
        cases: reports.collect(),
        left_out: selected
            .left_out
            .iter()
            .map(|case| case.path.to_owned())
            .collect(),
        elsewhere: selected
            .elsewhere
            .iter()
            .map(|case| case.path.to_owned())
            .collect(),
        stopped,
        notes,
        elapsed: world.now().since(started_at),
    }
}

/// What the cases that ended found, in the order of the suite.
struct Collected<'a> {
    ended: Vec<Option<CaseReport>>,
    target: &'a Description,
    today: &'a str,
    progress: Watch<'a>,
}

impl Collected<'_> {
    /// Runs the cases until all have ended, or `stop` does, or the target is gone; says which. Those
    /// that are under way end with it, before anything of theirs is deleted.
    async fn collect(
        &mut self,
        what: (&[&'static Case], &[Context]),
        offered: &BTreeSet<Capability>,
        pulse: &Pulse,
        stop: impl Future<Output = String>,
    ) -> Option<String> {
        let all = what.0.len();
        let mut done = 0;
        let mut stop = std::pin::pin!(stop);
        for wave in waves(what.0) {
            let mut running = self.begun(what, &wave, offered);
            while !running.is_empty() {
                let (place, mut report) = match select(running.next(), stop.as_mut()).await {
                    Either::Left((next, _)) => next?,
                    Either::Right((why, _)) => return Some(why),
                };
                report.excuse(&self.target.known_failures, self.today);
                done += 1;
                let last = &report;
                (self.progress)(Progress { done, all, last });
                self.ended[place] = Some(report);
                if pulse.is_gone() && done < all {
                    return Some(format!(
                        "the target stopped answering: {UNANSWERED_MAX} requests in a row had no answer"
                    ));
                }
            }
        }
        None
    }

    /// The cases at these places, under way. Those that watch the clock begin at once, and do not stand in
    /// line behind hundreds that do not: an answer that comes late decides nothing.
    fn begun<'a>(
        &self,
        (cases, contexts): (&'a [&'static Case], &'a [Context]),
        wave: &[usize],
        offered: &BTreeSet<Capability>,
    ) -> FuturesUnordered<impl Future<Output = (usize, CaseReport)> + use<'a>> {
        let turns = Arc::new(Semaphore::new(self.target.in_flight_max));
        let begin = |&place: &usize| {
            let (case, context) = (cases[place], contexts[place].clone());
            let (turns, lacks) = (Arc::clone(&turns), lacks(case, offered));
            async move {
                let turn = (case.wait_secs == 0).then(|| turns.acquire());
                let turn = OptionFuture::from(turn).await.transpose();
                let report = run_one(case, context, lacks).await;
                drop(turn.expect("nobody closes the line"));
                (place, report)
            }
        };
        wave.iter().map(begin).collect()
    }
}

/// The places of the cases that run at once: first of all that can, then of each that runs apart.
fn waves(cases: &[&'static Case]) -> impl Iterator<Item = Vec<usize>> {
    let (apart, together): (Vec<usize>, Vec<usize>) =
        (0..cases.len()).partition(|&place| cases[place].apart);
    std::iter::once(together).chain(apart.into_iter().map(|place| vec![place]))
}

/// What a case needs and the target does not offer.
fn lacks(case: &Case, offered: &BTreeSet<Capability>) -> Vec<Capability> {
    let lacks = |capability: &&Capability| !offered.contains(capability);
    case.needs.iter().filter(lacks).copied().collect()
}

/// A corner for each case: a project of its own, or names of its own in the one project.
fn corners(
    target: &Description,
    options: &Options,
    offered: &Arc<BTreeSet<Capability>>,
    selected: &Selected,
) -> Vec<Corner> {
    let is_share = !selected.elsewhere.is_empty();
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    random.set_stream(options.run);
    let mut corner = || {
        let (own, client_id) = (uuid(&mut random), uuid(&mut random));
        let offered = Arc::clone(offered);
        let (project, names) = if offered.contains(&Capability::Projects) {
            (format!("nanshe-{own}"), Namespace::default())
        } else {
            // Eight digits that nobody else draws, and a dash so that a reader sees the name.
            let names = Namespace::new(format!("n{}-", &own[..8]));
            let project = target.session.as_ref().map(|session| session.project());
            let project = project.unwrap_or_else(|| format!("nanshe-{:016x}", options.seed));
            (project, names)
        };
        Corner {
            project,
            client_id,
            names,
            offered,
            slack: target.slack,
            waiting: (target.happens_within, target.quiet_for),
            is_share,
        }
    };
    selected.cases.iter().map(|_| corner()).collect()
}

async fn run_one(case: &'static Case, context: Context, lacks: Vec<Capability>) -> CaseReport {
    let started_at = context.now();
    if !lacks.is_empty() {
        return reported(case, &context, started_at, Outcome::NotApplicable { lacks });
    }
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
    reported(case, &context, started_at, outcome)
}

/// A case that had not ended when the run was stopped.
fn unended(case: &Case, context: &Context, started_at: Instant, why: &str) -> CaseReport {
    let outcome = Outcome::Unknown {
        why: why.to_owned(),
        exchanges: context.exchanges(),
    };
    reported(case, context, started_at, outcome)
}

fn reported(case: &Case, context: &Context, started_at: Instant, outcome: Outcome) -> CaseReport {
    CaseReport {
        path: case.path.to_owned(),
        level: case.level,
        clause: case.clause.to_owned(),
        guarantee: case.guarantee.to_owned(),
        provenance: case.provenance,
        decision: case.decision.to_owned(),
        outcome,
        known: None,
        flaky: None,
        expired: None,
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
