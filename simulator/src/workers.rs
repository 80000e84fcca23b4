//! Runs in processes of their own: a panic in a destructor, an endless loop or a leak of the implementation
//! under test costs one seed, and becomes a finding.
//!
//! A worker reads a job a line and writes what became of it a line, both as JSON. The parent has the clock and the
//! scales: a worker that does not answer in time, or grows beyond its limit, is killed, and another takes its place.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nanshe_conformance::document::Document;
use serde::{Deserialize, Serialize};

use crate::implementation::{Implementation, implementations};
use crate::pool::{Done, Job, Pool, in_order};
use crate::run::{RunError, run};
use crate::scenario::Scenario;

/// Runs after which a worker is replaced: what leaks a little does not pile up.
const RUNS_MAX: u32 = 5_000;

/// Time between two looks at how large a worker is: what it may grow beyond its limit meanwhile is as much as the
/// machine can fill in that time.
const WEIGH_EVERY: Duration = Duration::from_millis(50);

/// In which Linux counts the time of a process (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// What a run may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time of the processor; and real time in which it stands still. How busy the machine is with something else does
    /// not matter. Where the system does not tell in `/proc`, all real time counts.
    pub time: Duration,
    /// Memory of the process that it runs in, in MiB. It is looked at where the system tells it in `/proc`, which is on
    /// Linux.
    pub memory_mib: u64,
}

/// How a worker is told what to run.
#[derive(Serialize, Deserialize)]
struct Order {
    /// The scenario as a file; none: the same as before.
    scenario: Option<String>,
    implementation: String,
    seed: u64,
}

/// What stands before an answer: the implementation under test may print what it likes.
const ANSWER: &str = "nanshe-worker: ";

/// Does what comes in on standard input until it ends. The heart of a worker process.
///
/// # Errors
///
/// If the parent does not keep to the protocol, or is gone.
pub fn work(input: impl BufRead, output: impl Write) -> std::io::Result<()> {
    work_with(&[], input, output)
}

/// The same in a program of your own, which has implementations of its own as well: it calls this if it was started as a
/// worker, and gives [`Workers`] a command that starts it as one.
///
/// # Errors
///
/// As [`work`].
pub fn work_with(
    own: &[Implementation],
    input: impl BufRead,
    mut output: impl Write,
) -> std::io::Result<()> {
    let mut scenario: Option<Scenario> = None;
    for line in input.lines() {
        let order: Order = serde_json::from_str(&line?)?;
        if let Some(text) = &order.scenario {
            let file = "the parent's scenario";
            let parsed = Scenario::parse(Document { file, text });
            scenario = Some(parsed.map_err(std::io::Error::other)?);
        }
        let mut all = own.iter().copied().chain(implementations());
        let implementation = all.find(|known| known.name == order.implementation);
        let (Some(scenario), Some(implementation)) = (&scenario, implementation) else {
            return Err(std::io::Error::other("no such scenario or implementation"));
        };
        let done = run(scenario, implementation, order.seed);
        // Something may have been printed, and the line not ended.
        write!(output, "\n{ANSWER}")?;
        serde_json::to_writer(&mut output, &done)?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
    Ok(())
}

/// Worker processes.
pub struct Workers {
    start: Arc<dyn Fn() -> Command + Send + Sync>,
    count: usize,
    limits: Limits,
    /// Those that have nothing to do just now.
    idle: Mutex<Vec<Worker>>,
}

impl Workers {
    /// `count` processes that `start` starts, each of which calls [`work`].
    pub fn new(
        start: impl Fn() -> Command + Send + Sync + 'static,
        count: usize,
        limits: Limits,
    ) -> Self {
        Self {
            start: Arc::new(start),
            count: count.max(1),
            limits,
            idle: Mutex::default(),
        }
    }
}

impl Pool for Workers {
    fn run(
        &self,
        jobs: &mut (dyn Iterator<Item = Job> + Send),
        tell: &mut dyn FnMut(&Job, Done) -> bool,
    ) {
        let workers = (0..self.count).map(|_| {
            let mut seat = Seat {
                workers: self,
                worker: None,
            };
            move |job: &Job| seat.run(job)
        });
        in_order(workers, jobs, tell);
    }
}

/// A place at work; whoever sits there when it is over may be asked again.
struct Seat<'a> {
    workers: &'a Workers,
    worker: Option<Worker>,
}

impl Seat<'_> {
    fn run(&mut self, job: &Job) -> Done {
        let sitting = self.worker.take().or_else(|| self.workers.idle().pop());
        let mut worker = match sitting {
            Some(worker) if worker.runs < RUNS_MAX => worker,
            _ => Worker::start(&self.workers.start)
                .unwrap_or_else(|error| panic!("a worker cannot be started: {error}")),
        };
        let limits = self.workers.limits;
        let done = worker.run(job, limits);
        // One that has failed is not asked again, nor one in which earlier runs have left too little room.
        let is_fit = match &done {
            Ok(_) | Err(RunError::Panicked { .. }) => {
                worker.mib().unwrap_or(0) <= limits.memory_mib / 2
            }
            Err(RunError::Hung { .. } | RunError::Outgrown { .. } | RunError::Died { .. }) => false,
        };
        if is_fit {
            self.worker = Some(worker);
        }
        done
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.workers.idle().extend(self.worker.take());
    }
}

impl Workers {
    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().expect("no holder of this lock panics")
    }
}

struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
    scenario: Option<Arc<Scenario>>,
    runs: u32,
}

impl Worker {
    fn start(start: &Arc<dyn Fn() -> Command + Send + Sync>) -> std::io::Result<Self> {
        let mut child = start()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().map(BufReader::new);
        let (sender, answers) = mpsc::channel();
        // Nothing else waits for a line and a clock at once. It ends with the process.
        let reader = std::thread::Builder::new().name("worker's answers".to_owned());
        reader.spawn(move || {
            for line in output
                .into_iter()
                .flat_map(BufRead::lines)
                .map_while(Result::ok)
            {
                if sender.send(line).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            child,
            input,
            answers,
            scenario: None,
            runs: 0,
        })
    }

    fn run(&mut self, job: &Job, limits: Limits) -> Done {
        self.runs += 1;
        let known = self.scenario.as_ref();
        let is_known = known.is_some_and(|known| Arc::ptr_eq(known, &job.scenario));
        let order = Order {
            scenario: (!is_known).then(|| job.scenario.to_toml()),
            implementation: job.implementation.name.to_owned(),
            seed: job.seed,
        };
        self.scenario = Some(Arc::clone(&job.scenario));
        let mut line = serde_json::to_vec(&order).expect("invariant: an order can be written");
        line.push(b'\n');
        // If it is gone, there will be no answer either.
        let _told_by_the_answer = self
            .input
            .iter_mut()
            .try_for_each(|input| input.write_all(&line));
        self.answer(job.seed, limits)
    }

    fn answer(&mut self, seed: u64, limits: Limits) -> Done {
        let mut progress = Progress::of(self.processor_time());
        loop {
            match self.answers.recv_timeout(WEIGH_EVERY.min(limits.time)) {
                Ok(line) => {
                    let Some(answer) = line.strip_prefix(ANSWER) else {
                        continue;
                    };
                    return serde_json::from_str(answer).unwrap_or_else(|error| {
                        let status = format!("it answers what nobody understands: {error}");
                        Err(RunError::Died { seed, status })
                    });
                }
                Err(RecvTimeoutError::Timeout) => {
                    if progress.is_over(self.processor_time(), limits.time) {
                        return Err(RunError::Hung {
                            seed,
                            limit_secs: limits.time.as_secs(),
                        });
                    }
                    let limit_mib = limits.memory_mib;
                    if self.mib().is_some_and(|mib| mib > limit_mib) {
                        return Err(RunError::Outgrown { seed, limit_mib });
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait();
                    let status = status.map_or_else(|error| error.to_string(), |it| it.to_string());
                    return Err(RunError::Died { seed, status });
                }
            }
        }
    }

    /// How long the processor has worked for it, if the system tells.
    fn processor_time(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name, in parentheses, may hold anything. In user mode and in the system's are the 14th and 15th field.
        let (_, fields) = stat.rsplit_once(") ")?;
        let ticks: Vec<&str> = fields.split(' ').skip(11).take(2).collect();
        let [user, system] = ticks[..] else {
            return None;
        };
        let ticks = user.parse::<u64>().ok()? + system.parse::<u64>().ok()?;
        Some(TICK * u32::try_from(ticks).ok()?)
    }

    /// How much memory it has filled, in MiB, if the system tells.
    fn mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let mut lines = status.lines();
        let resident = lines.find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = resident.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib / 1_024)
    }
}

/// How far a run has come.
#[expect(clippy::disallowed_types, reason = "a shell has a clock")]
struct Progress {
    /// What the processor had worked for the worker before, and by now.
    worked: Option<(Duration, Duration)>,
    /// When that changed last; from the beginning, if the system does not tell.
    moved_at: std::time::Instant,
}

impl Progress {
    #[expect(clippy::disallowed_types, reason = "a shell has a clock")]
    fn of(worked: Option<Duration>) -> Self {
        Self {
            worked: worked.map(|worked| (worked, worked)),
            moved_at: std::time::Instant::now(),
        }
    }

    /// Whether it has had its time, the processor having worked for so long by now.
    #[expect(clippy::disallowed_types, reason = "a shell has a clock")]
    fn is_over(&mut self, worked: Option<Duration>, limit: Duration) -> bool {
        let (Some((before, last)), Some(now)) = (&mut self.worked, worked) else {
            return self.moved_at.elapsed() >= limit;
        };
        if *last < now {
            *last = now;
            self.moved_at = std::time::Instant::now();
        }
        now.saturating_sub(*before) >= limit || self.moved_at.elapsed() >= limit
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Without input a worker ends by itself; one that loops does not. Both may have ended already.
        drop(self.input.take());
        let _already_gone = self.child.kill();
        let _status = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::{Weights, draw};

    /// What becomes of a job given to a shell that does `what`, within so many seconds, and of a second one.
    fn done_by(what: &'static str, within_secs: u64) -> Vec<RunError> {
        let start = move || {
            let mut command = Command::new("sh");
            command.args(["-c", what]);
            command
        };
        let limits = Limits {
            time: Duration::from_secs(within_secs),
            memory_mib: 64,
        };
        let workers = Workers::new(start, 1, limits);
        let reference = implementations().next().unwrap();
        let scenario = Arc::new(draw(1, reference, &Weights::default()));
        let mut jobs = (8..10).map(|seed| Job {
            scenario: Arc::clone(&scenario),
            implementation: reference,
            seed,
        });
        let mut errors = Vec::new();
        workers.run(&mut jobs, &mut |_, done| {
            errors.push(done.unwrap_err());
            true
        });
        errors
    }

    #[test]
    fn worker_that_never_answers_is_given_up_and_another_takes_its_place() {
        let told: Vec<String> = done_by("exec sleep 60", 1)
            .iter()
            .map(RunError::to_string)
            .collect();
        let expected = [
            "seed 8 did not end within 1 s",
            "seed 9 did not end within 1 s",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn worker_that_is_busy_for_too_long_is_given_up_and_one_that_is_only_slow_is_not() {
        let loops = "read -r job; while :; do :; done";
        let told: Vec<String> = done_by(loops, 1).iter().map(RunError::to_string).collect();
        assert_eq!(told[0], "seed 8 did not end within 1 s");
        if !cfg!(target_os = "linux") {
            return;
        }
        // For longer than it may, of which it works a part.
        let works = "read -r job; i=0; while [ $i -lt 24 ]; do i=$((i+1)); sleep 0.1; \
                     j=0; while [ $j -lt 9000 ]; do j=$((j+1)); done; done; kill -ABRT $$";
        let told: Vec<String> = done_by(works, 2).iter().map(RunError::to_string).collect();
        assert!(
            told.iter()
                .all(|told| told.contains("took its process along")),
            "{told:?}"
        );
    }

    #[test]
    fn worker_that_grows_without_end_costs_one_seed_and_is_told_from_one_that_hangs() {
        // Twice as large with every step.
        let grows = "read -r job; leak=0123456789abcdef; while :; do leak=$leak$leak; done";
        let told: Vec<String> = done_by(grows, 60).iter().map(RunError::to_string).collect();
        let expected = [
            "seed 8 took more than 64 MiB of memory",
            "seed 9 took more than 64 MiB of memory",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_an_implementation_prints_is_no_answer_and_one_of_your_own_is_found() {
        let answers = r#"read -r job; echo tracing; printf 'half a line'
            printf '\nnanshe-worker: {"Err": {"hung": {"seed": 8, "limit_secs": 5}}}\n'; sleep 60"#;
        let told: Vec<String> = done_by(answers, 60)
            .iter()
            .map(RunError::to_string)
            .collect();
        assert_eq!(told[0], "seed 8 did not end within 5 s");

        let reference = implementations().next().unwrap();
        let own = Implementation {
            name: "yours",
            ..reference
        };
        let order = Order {
            scenario: Some(draw(1, reference, &Weights::default()).to_toml()),
            implementation: own.name.to_owned(),
            seed: 1,
        };
        let order = serde_json::to_string(&order).unwrap() + "\n";
        let mut out = Vec::new();
        work_with(&[own], order.as_bytes(), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("\nnanshe-worker: {\"Ok\":"), "{out}");
        assert!(work(order.as_bytes(), Vec::new()).is_err());
    }

    #[test]
    fn worker_that_dies_costs_one_seed_and_says_how() {
        let told: Vec<String> = done_by("read -r job; kill -ABRT $$", 60)
            .iter()
            .map(RunError::to_string)
            .collect();
        assert_eq!(told.len(), 2);
        assert!(
            told[0].starts_with("seed 8 took its process along: signal: 6"),
            "{told:?}"
        );
        assert!(told[1].starts_with("seed 9 took"), "{told:?}");
    }

    #[test]
    fn orders_are_done_line_by_line() {
        let reference = implementations().next().unwrap();
        let scenario = draw(1, reference, &Weights::default());
        let order = |scenario: Option<&Scenario>, seed| Order {
            scenario: scenario.map(Scenario::to_toml),
            implementation: "reference".to_owned(),
            seed,
        };
        let orders = [order(Some(&scenario), 3), order(None, 4)];
        let orders = orders.map(|order| serde_json::to_string(&order).unwrap() + "\n");
        let mut output = Vec::new();
        work(orders.concat().as_bytes(), &mut output).unwrap();
        let output = String::from_utf8(output).unwrap();
        let answers = output.lines().filter_map(|line| line.strip_prefix(ANSWER));
        let done: Vec<Done> = answers
            .map(|answer| serde_json::from_str(answer).unwrap())
            .collect();
        assert_eq!(done.len(), 2, "{output}");
        for (seed, done) in (3..).zip(done) {
            let here = run(&scenario, reference, seed).unwrap();
            let there = done.unwrap();
            assert_eq!((here.lines, here.verdicts), (there.lines, there.verdicts));
        }
    }
}
