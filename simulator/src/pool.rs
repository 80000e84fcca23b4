//! Many runs, on several threads or in several processes, told in the order in which they were asked for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};

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

/// Jobs that are given out for each worker beyond the one that is told next: enough that a run which takes longer than
/// others holds nobody up, and few enough for what is done early to wait in memory.
const AHEAD: usize = 32;

/// Lets each of `workers` do one job after the other, and tells what comes of them in the order of the jobs.
pub(crate) fn in_order<W: FnMut(&Job) -> Done + Send>(
    workers: impl Iterator<Item = W>,
    jobs: &mut (dyn Iterator<Item = Job> + Send),
    tell: &mut dyn FnMut(&Job, Done) -> bool,
) {
    let workers: Vec<W> = workers.collect();
    let gate = Gate::new(jobs, workers.len() * AHEAD);
    let (sender, done) = mpsc::channel();
    std::thread::scope(|scope| {
        for mut work in workers {
            let (sender, gate) = (sender.clone(), &gate);
            scope.spawn(move || {
                // Who ends has found no more jobs, or no listener; or has panicked with a job that others would
                // wait for.
                let _closes = Closes(gate);
                while let Some((number, job)) = gate.next() {
                    let done = work(&job);
                    // A closed channel means that nobody wants to know any more.
                    if sender.send((number, job, done)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let _closes = Closes(&gate);
        let mut early = BTreeMap::new();
        for (number, job, result) in done {
            early.insert(number, (job, result));
            while let Some((job, result)) = early.remove(&gate.due()) {
                if !tell(&job, result) {
                    return;
                }
                gate.told();
            }
        }
    });
}

/// Where workers get their jobs, and wait if they are too far ahead.
struct Gate<'a> {
    state: Mutex<Jobs<'a>>,
    moved: Condvar,
    /// Jobs between the one that is told next and the last that is given out.
    ahead: usize,
}

/// Jobs, numbered from 0.
struct Jobs<'a> {
    left: &'a mut (dyn Iterator<Item = Job> + Send),
    /// The next to be given out.
    next: usize,
    /// The next to be told.
    due: usize,
    is_closed: bool,
}

impl<'a> Gate<'a> {
    fn new(jobs: &'a mut (dyn Iterator<Item = Job> + Send), ahead: usize) -> Self {
        Self {
            state: Mutex::new(Jobs {
                left: jobs,
                next: 0,
                due: 0,
                is_closed: false,
            }),
            moved: Condvar::new(),
            ahead,
        }
    }

    /// The next job and its number, as soon as it is near enough; `None` if there is none, or nobody wants any more.
    ///
    /// Invariant: whoever is due has been given out before anybody waits, so that the wait ends.
    fn next(&self) -> Option<(usize, Job)> {
        let is_far = |jobs: &mut Jobs<'a>| !jobs.is_closed && jobs.next >= jobs.due + self.ahead;
        let jobs = self.moved.wait_while(self.jobs(), is_far);
        let mut jobs = jobs.unwrap_or_else(PoisonError::into_inner);
        if jobs.is_closed {
            return None;
        }
        let job = jobs.left.next()?;
        jobs.next += 1;
        Some((jobs.next - 1, job))
    }

    /// The number of the job that is told next.
    fn due(&self) -> usize {
        self.jobs().due
    }

    /// The job that was due has been told.
    fn told(&self) {
        self.jobs().due += 1;
        self.moved.notify_all();
    }

    fn close(&self) {
        self.jobs().is_closed = true;
        self.moved.notify_all();
    }

    /// Whoever panicked while it held the lock closes the gate: nothing half done is used.
    fn jobs(&self) -> MutexGuard<'_, Jobs<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a gate when it goes out of scope, however that comes about.
struct Closes<'g, 'a>(&'g Gate<'a>);

impl Drop for Closes<'_, '_> {
    fn drop(&mut self) {
        self.0.close();
    }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::explore::{Weights, draw};
    use crate::implementation::implementations;

    const WORKERS: usize = 3;

    fn jobs(count: u64) -> impl Iterator<Item = Job> + Send {
        let implementation = implementations().next().unwrap();
        let scenario = Arc::new(draw(1, implementation, &Weights::default()));
        (0..count).map(move |seed| Job {
            scenario: Arc::clone(&scenario),
            implementation,
            seed,
        })
    }

    fn done(job: &Job) -> Done {
        Err(RunError::Hung {
            seed: job.seed,
            limit_secs: 1,
        })
    }

    #[test]
    fn nobody_runs_further_ahead_of_a_worker_that_stands_still_than_there_is_room_for() {
        let ahead = WORKERS * AHEAD;
        let (given_out, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (beyond, is_beyond) = mpsc::channel();
        let is_beyond = Mutex::new(is_beyond);
        let mut jobs = jobs(1_000).inspect(|job| {
            let given_out = given_out.fetch_add(1, Ordering::SeqCst) + 1;
            if job.seed > 0 && given_out > told.load(Ordering::SeqCst) + ahead {
                beyond.send(job.seed).unwrap();
            }
        });
        let workers = (0..WORKERS).map(|_| {
            |job: &Job| {
                if job.seed == 0 {
                    // Time for the others to go too far; that they never do is no question of time.
                    let listening = is_beyond.lock().unwrap();
                    let beyond = listening.recv_timeout(Duration::from_millis(200));
                    assert!(
                        beyond.is_err(),
                        "seed {beyond:?} ran before seed 0 was told"
                    );
                }
                done(job)
            }
        });
        let mut seeds = Vec::new();
        in_order(workers, &mut jobs, &mut |job, _| {
            seeds.push(job.seed);
            told.fetch_add(1, Ordering::SeqCst);
            true
        });
        assert_eq!(seeds, (0..1_000).collect::<Vec<u64>>());
        assert!(is_beyond.lock().unwrap().try_recv().is_err());
    }

    #[test]
    fn who_waits_is_sent_home_when_nobody_wants_more_or_another_has_panicked() {
        let workers = (0..WORKERS).map(|_| done);
        in_order(workers, &mut jobs(1_000), &mut |job, _| job.seed < 5);

        let all_wait = std::panic::catch_unwind(|| {
            let falls = |job: &Job| {
                assert!(job.seed != 5, "a worker cannot be started");
                done(job)
            };
            let workers = (0..WORKERS).map(|_| falls);
            let mut seeds = Vec::new();
            in_order(workers, &mut jobs(1_000), &mut |job, _| {
                seeds.push(job.seed);
                true
            });
        });
        assert!(all_wait.is_err());
    }
}
