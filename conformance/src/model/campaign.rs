//! Many drawn sequences against one server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use proptest::strategy::Strategy;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::answer::Difference;
use super::operation::{Kind, Operation, Without, sequences};
use super::report::{Findings, Found, Recognized};
use super::run::{Attempt, End, Ground, Names, Served};
use super::script::script;
use super::shrink::{Budget, shrink};
use super::specification::Rules;
use crate::target::KnownDifference;

/// Sequences without an answer after which the target counts as gone.
const UNANSWERED_MAX: usize = 3;

/// Kinds of differences that are shrunk.
const SHRUNK_MAX: usize = 12;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What every sequence is drawn from.
    pub seed: u64,
    /// How many sequences.
    pub sequences: u64,
    /// The most operations of a sequence.
    pub length: usize,
    /// How exactly the server keeps time.
    pub rules: Rules,
    /// What to leave out.
    pub without: Without,
    /// The longest single wait; `None` is no limit.
    pub wait_max: Option<Duration>,
    /// Every so many sequences, one may wait for as long as [`Plan::long_wait_max`].
    pub long_wait_every: Option<u64>,
    /// The longest single wait of those.
    pub long_wait_max: Duration,
    /// Sequences under way at once.
    pub at_once: usize,
    /// Attempts at making a difference smaller.
    pub shrink_attempts_max: u64,
    /// Time for those, as the target's clock counts it.
    pub shrink_for: Duration,
    /// What projects are named after: two runs on one server must not meet in one.
    pub names: String,
    /// Where scripts send their requests.
    pub url: String,
    /// Differences that are known, which are counted and not made smaller.
    pub known: Vec<KnownDifference>,
    /// The command that runs the same again, without the number of sequences.
    pub command: String,
}

impl Plan {
    /// `sequences` drawn from `seed`, on a server whose time costs nothing and is exact but for the way.
    pub fn new(seed: u64, sequences: u64) -> Self {
        Self {
            seed,
            sequences,
            length: 40,
            rules: Rules {
                slack: Duration::from_secs(2),
                expiry_lag: Duration::ZERO,
            },
            without: Without::default(),
            wait_max: None,
            long_wait_every: None,
            long_wait_max: Duration::from_secs(70),
            at_once: 16,
            shrink_attempts_max: 4_000,
            shrink_for: Duration::MAX,
            names: format!("nanshe-{seed:x}"),
            url: "http://127.0.0.1:8888".to_owned(),
            known: Vec::new(),
            command: format!("nanshe conform --model --seed {seed}"),
        }
    }

    fn wait_max(&self, sequence: u64) -> Option<Duration> {
        match (self.wait_max, self.long_wait_every) {
            (Some(max), Some(every)) if sequence % every == every - 1 => {
                Some(max.max(self.long_wait_max))
            }
            (max, _) => max,
        }
    }

    /// The names of the `attempt`-th run of a sequence.
    fn names(&self, sequence: u64, attempt: u64) -> Names {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(sequence);
        let word = random.next_u64();
        let client = |end: char| {
            let (high, low) = (word >> 32, word & 0xffff);
            format!("{high:08x}-{low:04x}-4000-8000-00000000000{end}")
        };
        let own = format!("{sequence}-{attempt}");
        // Where there is but one project for all, queues are told apart by their names.
        let is_shared = self.without.has(Kind::Projects);
        let (project, prefix) = if is_shared {
            (self.names.clone(), format!("s{own}-"))
        } else {
            (format!("{}-{own}", self.names), String::new())
        };
        Names {
            projects: [project.clone(), format!("{project}.a")],
            clients: [client('a'), client('b')],
            prefix,
        }
    }
}

/// What a run tells while it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Sequences that have ended.
    pub done: u64,
    /// How many of them differed.
    pub differed: u64,
}

/// A drawn sequence, which can be made smaller.
pub(super) type Tree = Box<dyn ValueTree<Value = Vec<Operation>> + Send>;

/// The `sequence`-th sequence of `seed`: the same on any machine.
pub(super) fn draw(seed: u64, sequence: u64, length: usize) -> Tree {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(sequence);
    let mut bytes = [0; 32];
    random.fill_bytes(&mut bytes);
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let tree = sequences(length).new_tree(&mut runner);
    Box::new(tree.expect("nothing is filtered out"))
}

/// Runs the sequences of `plan` against `served`, and shrinks what differs.
pub async fn run(
    served: Arc<dyn Served>,
    plan: &Plan,
    progress: impl FnMut(Progress) + Send,
) -> Findings {
    run_until(served, plan, progress, std::future::pending()).await
}

/// As [`run`], but not beyond the end of `stop`, which says why: then what is known by then.
pub async fn run_until(
    served: Arc<dyn Served>,
    plan: &Plan,
    mut progress: impl FnMut(Progress) + Send,
    stop: impl Future<Output = String> + Send,
) -> Findings {
    ran(served, plan, (&mut progress, stop.boxed())).await
}

/// Who is told how it goes, and what ends it.
type Around<'a> = (&'a mut (dyn FnMut(Progress) + Send), BoxFuture<'a, String>);

/// In a box, so that all of it is compiled here, once, and not with everyone who waits for it.
fn ran<'a>(served: Arc<dyn Served>, plan: &'a Plan, around: Around<'a>) -> BoxFuture<'a, Findings> {
    run_all(served, plan, around).boxed()
}

async fn run_all(served: Arc<dyn Served>, plan: &Plan, (progress, stop): Around<'_>) -> Findings {
    let started_at = served.now();
    let ground = Ground {
        served: Arc::clone(&served),
        rules: plan.rules,
        without: plan.without.clone(),
    };
    let mut tally = Tally::default();
    let mut running = FuturesUnordered::new();
    let mut next = 0;
    let mut stop = std::pin::pin!(stop.fuse());
    let mut stopped = None;
    loop {
        let is_gone = tally.unanswered.len() >= UNANSWERED_MAX;
        while next < plan.sequences && running.len() < plan.at_once.max(1) && !is_gone {
            running.push(run_one(&ground, plan, next));
            next += 1;
        }
        let (sequence, attempt) = match select(running.next(), stop.as_mut()).await {
            Either::Left((Some(ended), _)) => ended,
            Either::Left((None, _)) => break,
            Either::Right((why, _)) => {
                stopped = Some(why);
                break;
            }
        };
        tally.add(sequence, attempt, &plan.known);
        progress(Progress {
            done: tally.sequences,
            differed: tally.differed,
        });
    }
    let mut found = Vec::new();
    let wanted = std::mem::take(&mut tally.differences);
    let is_known = |(_, _, known): &Signature| known.is_some();
    let (known, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(s, _)| is_known(s));
    // The sequences end here; what they sent goes on its way.
    drop(running);
    for (place, (_, seen)) in wanted.into_iter().enumerate() {
        let shrinks = place < SHRUNK_MAX && stopped.is_none();
        let telling = std::pin::pin!(tell(&ground, plan, (seen.clone(), shrinks)));
        let told = match select(telling, stop.as_mut()).await {
            Either::Left((told, _)) => Some(told),
            Either::Right((why, _)) => {
                stopped = Some(why);
                None
            }
        };
        found.push(match told {
            Some(told) => told,
            None => tell(&ground, plan, (seen, false)).await,
        });
    }
    found.sort_by_key(|found: &Found| found.first_sequence);
    let recognized = known.into_iter().filter_map(|((_, _, place), seen)| {
        let sequences = seen.count;
        Some(Recognized::new(&plan.known[place?], sequences))
    });
    Findings {
        recognized: recognized.collect(),
        seed: plan.seed,
        sequences: tally.sequences,
        sequences_wanted: plan.sequences,
        requests: tally.requests,
        elapsed: served.now().since(started_at),
        found,
        unanswered: tally.unanswered,
        stopped,
    }
}

async fn run_one(ground: &Ground, plan: &Plan, sequence: u64) -> (u64, Attempt) {
    let operations = draw(plan.seed, sequence, plan.length).current();
    let names = plan.names(sequence, 0);
    let attempt = ground
        .run(&operations, names, plan.wait_max(sequence))
        .await;
    (sequence, attempt)
}

/// What makes differences alike: kind of operation, clauses, and the place of what is known of them.
type Signature = (Kind, String, Option<usize>);

/// What came of sequences so far.
#[derive(Default)]
struct Tally {
    sequences: u64,
    requests: u64,
    differed: u64,
    differences: BTreeMap<Signature, Seen>,
    unanswered: Vec<String>,
}

/// Sequences that differ alike.
#[derive(Clone)]
struct Seen {
    count: u64,
    first: u64,
    attempt: Attempt,
}

impl Tally {
    fn add(&mut self, sequence: u64, attempt: Attempt, known: &[KnownDifference]) {
        self.sequences += 1;
        self.requests += u64::try_from(attempt.requests()).unwrap_or(u64::MAX);
        match &attempt.end {
            End::Agreed => {}
            End::Unanswered(why) => self.unanswered.push(format!("sequence {sequence}: {why}")),
            End::Differed {
                kind, difference, ..
            } => {
                self.differed += 1;
                let known = known.iter().position(|one| one.explains(*kind, difference));
                let signature = (*kind, difference.clause.clone(), known);
                let seen = self.differences.entry(signature);
                let seen = seen.or_insert_with(|| Seen {
                    count: 0,
                    first: sequence,
                    attempt: attempt.clone(),
                });
                seen.count += 1;
                // Sequences end in any order; the report names the first by number.
                if sequence < seen.first {
                    (seen.first, seen.attempt) = (sequence, attempt);
                }
            }
        }
    }
}

async fn tell(ground: &Ground, plan: &Plan, (seen, shrinks): (Seen, bool)) -> Found {
    let requests_before = seen.attempt.requests();
    let tree = draw(plan.seed, seen.first, plan.length);
    let budget = Budget {
        attempts_max: if shrinks { plan.shrink_attempts_max } else { 0 },
        until: ground.served.now().plus(plan.shrink_for),
        wait_max: plan.wait_max(seen.first),
    };
    let names = |attempt| plan.names(seen.first, attempt);
    let shrunk = shrink(ground, (tree, seen.attempt), budget, names).await;
    let End::Differed {
        kind, difference, ..
    } = &shrunk.attempt.end
    else {
        unreachable!("only what differs is kept");
    };
    let difference: Difference = difference.clone();
    Found {
        kind: kind.to_string(),
        requests: shrunk.attempt.requests(),
        requests_before,
        attempts: shrunk.attempts,
        sequences: seen.count,
        first_sequence: seen.first,
        script: script(&shrunk.attempt, Some(&difference), &plan.url),
        difference,
        repeat: format!("{} --sequences {}", plan.command, seen.first + 1),
    }
}
