//! Many runs, on several threads or in several processes, told in the order in which they were asked for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, mpsc};

use crate::implementation::Implementation;
use crate::run::{Run, RunError, run};
use crate::scenario::Scenario;

/// A run that is asked for.
#[derive(Clone)]
pub struct Job {
    /// What happens.
    pub scenario: Arc<Scenario>,
    /// To whom.
    pub implementation: Implementation,
    /// Under which seed.
    pub seed: u64,
}

/// What becomes of a run.
pub type Done = Result<Run, RunError>;

/// Where runs take place.
pub trait Pool {
    /// Does `jobs`, and gives what became of each to `tell`, in their order, however many run at once. `tell`
    /// says whether to go on.
    fn run(
        &self,
        jobs: &mut (dyn Iterator<Item = Job> + Send),
        tell: &mut dyn FnMut(&Job, Done) -> bool,
    );
}

/// Runs in this process: what an implementation does to its process it does to all of them.
#[derive(Clone, Copy, Debug)]
pub struct Threads(pub usize);

impl Pool for Threads {
    fn run(
        &self,
        jobs: &mut (dyn Iterator<Item = Job> + Send),
        tell: &mut dyn FnMut(&Job, Done) -> bool,
    ) {
        let work = |job: &Job| run(&job.scenario, job.implementation, job.seed);
        in_order((0..self.0.max(1)).map(|_| work), jobs, tell);
    }
}

/// Lets each of `workers` do one job after the other, and tells what comes of them in the order of the jobs.
pub(crate) fn in_order<W: FnMut(&Job) -> Done + Send>(
    workers: impl Iterator<Item = W>,
    jobs: &mut (dyn Iterator<Item = Job> + Send),
    tell: &mut dyn FnMut(&Job, Done) -> bool,
) {
    let workers: Vec<W> = workers.collect();
    // Nobody runs ahead by more than this: what is done early waits in memory.
    let (sender, done) = mpsc::sync_channel(workers.len() * 2);
    let next = Mutex::new(jobs.enumerate());
    std::thread::scope(|scope| {
        for mut work in workers {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let job = next.lock().expect("no holder of this lock panics").next();
                    // A closed channel means that nobody wants to know any more.
                    let Some((number, job)) = job else {
                        return;
                    };
                    let done = work(&job);
                    if sender.send((number, job, done)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let (mut due, mut early) = (0, BTreeMap::new());
        for (number, job, result) in done {
            early.insert(number, (job, result));
            while let Some((job, result)) = early.remove(&due) {
                due += 1;
                if !tell(&job, result) {
                    return;
                }
            }
        }
    });
}

/// Runs `seeds` of `scenario`, and gives each result to `tell`, in the order of the seeds. `tell` says whether
/// to go on.
pub fn campaign(
    scenario: &Scenario,
    implementation: Implementation,
    seeds: Range<u64>,
    pool: &dyn Pool,
    mut tell: impl FnMut(Done) -> bool,
) {
    let scenario = Arc::new(scenario.clone());
    let mut jobs = seeds.map(|seed| Job {
        scenario: Arc::clone(&scenario),
        implementation,
        seed,
    });
    pool.run(&mut jobs, &mut |_, done| tell(done));
}
