//! The command-line grammar.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nanshe_conformance::environment::Address;
use nanshe_conformance::model::Kind;
use nanshe_conformance::scale::Ladder;
use nanshe_conformance::suite::{Level, Profile, Shard};
use nanshe_conformance::target::Endpoint;

/// Tells whether a message service keeps its promises.
///
/// Exit codes: 0 all valid, 1 a violation, 2 bad usage or input, 3 unknown, or the harness failed.
#[derive(Debug, Parser)]
#[command(name = "nanshe", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the API suite; without a target, against the embedded reference in virtual time
    Conform(Box<Conform>),
    /// Run failure scenarios over many seeds in virtual time, and judge what the clients saw
    Simulate(Simulate),
    /// Draw scenarios, run them in virtual time, and shrink what fails to a scenario file
    Explore(Explore),
    /// Run concurrent clients and faults against a real server, and judge what the clients saw
    Stress(Stress),
    /// Climb the scaling ladders: what operations cost while things grow, and what clients get done together
    Scale(Scale),
    /// Judge stored runs of `stress` again, by the rules of today; run stored runs of `simulate` again, byte for byte
    Replay(Replay),
    /// Judge recorded histories, whoever recorded them
    Check(Check),
    /// Write a recorded history in another form: as a trace for viewers, as EDN, or as JSON Lines
    Convert(Convert),
    /// Serve the reference broker on a socket, until SIGINT or SIGTERM
    Serve(Serve),
    /// List what there is
    List(List),
    /// Join what the shards of `conform`, `simulate` or `explore` found; show reports in other forms
    Report(Report),
    /// Do what a parent process says on standard input
    #[command(hide = true)]
    Worker,
}

#[derive(Clone, Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that stands alone"
)]
pub(crate) struct Conform {
    /// What to judge: http://HOST:PORT, or a target file; several are judged one after the other, and
    /// compared
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// The one of them that is being judged; none: the embedded reference.
    #[arg(skip)]
    pub(crate) target: Option<String>,
    /// Only these cases or chapters
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) only: Vec<String>,
    /// Not these cases or chapters
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) skip: Vec<String>,
    /// Only cases that demand at least as much
    #[arg(long)]
    pub(crate) level: Option<LevelWord>,
    /// What is expected beside the core, in place of the target file's
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<ProfileWord>,
    /// Only cases that this version of the suite has, so that a newer one breaks nobody's build
    #[arg(long, value_name = "N")]
    pub(crate) suite_version: Option<u32>,
    /// Only the K-th of N shares of the cases, for machines that divide the work
    #[arg(long, value_name = "K/N")]
    pub(crate) shard: Option<Shard>,
    /// Leave out cases that wait longer than a second, and say how many of which chapters
    #[arg(long, conflicts_with = "wait_max")]
    pub(crate) fast: bool,
    /// Leave out cases that may wait longer than this many seconds [default: 300 on a target, no limit
    /// in virtual time]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait_max: Option<u64>,
    /// Cases that are known to fail, with the reason of each, in place of the target file's
    #[arg(long, value_name = "FILE")]
    pub(crate) known_failures: Option<String>,
    /// Write the known-failures file anew: without those that pass, and with those that fail
    #[arg(long)]
    pub(crate) update_known_failures: bool,
    #[command(flatten)]
    pub(crate) login: Login,
    /// Leave the queues that the suite makes
    #[arg(long)]
    pub(crate) keep: bool,
    /// Where the target finds the suite, which then sees whether notifications come; a target file that
    /// offers `webhooks` needs it only if that is not on loopback
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) sink_address: Option<Address>,
    /// Where the target speaks WebSocket, for the cases about that
    #[arg(long, value_name = "ws://HOST[:PORT]", value_parser = Endpoint::parse_websocket)]
    pub(crate) websocket: Option<Endpoint>,
    /// What projects and clients are named after, and on a target after the time as well [default: 1 in virtual time, the
    /// time on a target]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Print the report as JSON; of several targets, a list of reports
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the report as JUnit XML as well
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) modeling: Modeling,
    #[command(flatten)]
    pub(crate) pages: Pages,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Modeling {
    /// In place of the suite, draw sequences of operations and compare every answer with a sequential
    /// specification of the contract
    #[arg(long, conflicts_with_all = ["only", "skip", "level", "shard", "fast", "update_known_failures", "junit", "markdown", "html"])]
    pub(crate) model: bool,
    /// How many sequences to draw [default: 200 on a target, 1000 in virtual time]
    #[arg(long, value_name = "COUNT", requires = "model", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) sequences: Option<u64>,
    /// The most operations of a sequence
    #[arg(long, value_name = "COUNT", requires = "model", default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) length: u16,
    /// Leave these kinds of operations out of sequences, so that a known defect does not hide others
    #[arg(long, value_name = "KIND", num_args = 1.., requires = "model")]
    pub(crate) without: Vec<Kind>,
}

/// Who asks, and whom they believe.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Login {
    /// Log in to Keystone with the usual OS_* variables, or to the cloud that OS_CLOUD names
    #[arg(long)]
    pub(crate) keystone: bool,
    /// Log in to this cloud of clouds.yaml, which lies here, in ~/.config/openstack or /etc/openstack
    #[arg(long, value_name = "NAME")]
    pub(crate) os_cloud: Option<String>,
    /// Trust the authorities of this PEM file too, beside the well-known ones [default: that of OS_CACERT]
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<String>,
}

impl Login {
    /// Whether the command line asks for a login.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.keystone || self.os_cloud.is_some()
    }

    /// The options, for a line that repeats the run.
    pub(crate) fn words(&self) -> Vec<String> {
        let Self {
            keystone,
            os_cloud,
            cacert,
        } = self;
        let keystone = keystone.then(|| "--keystone".to_owned());
        let cloud = os_cloud.iter().map(|name| format!("--os-cloud {name}"));
        let cacert = cacert.iter().map(|file| format!("--cacert {file}"));
        keystone.into_iter().chain(cloud).chain(cacert).collect()
    }
}

/// The forms of a report that are pages for people.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Pages {
    /// Write the report as Markdown as well, for the summary of a CI run
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Write the report as one HTML page as well
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(subcommand)]
    pub(crate) action: ReportAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportAction {
    /// Join the reports of one run's shards, or the summaries of one campaign's, and say what is missing
    Merge(Merge),
    /// Show stored reports in other forms; several are compared
    Show(Show),
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// Reports: what `conform --json` printed; or what `simulate` or `explore` stored: a folder, or its
    /// summary.json
    #[arg(required = true, value_name = "RUN")]
    pub(crate) files: Vec<String>,
    /// Write the joined report or summary as JSON as well
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Of drawn scenarios: fail if a situation that can come about never did in any shard
    #[arg(long)]
    pub(crate) every_goal: bool,
    /// Write the joined report as JUnit XML as well
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) pages: Pages,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Reports: what `conform --json` printed
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// Write the reports as JUnit XML as well
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) pages: Pages,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Scenario files
    #[arg(required = true, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,
    /// Number of seeds [default: 10, or 1 of a scenario that names its seed]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) seeds: Option<u64>,
    /// The first seed [default: 0, or the scenario's]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=1 << 62))]
    pub(crate) first_seed: Option<u64>,
    /// What to run as the server, in place of what the scenario names: see `nanshe list
    /// implementations`
    #[arg(long, value_name = "NAME")]
    pub(crate) implementation: Option<String>,
    #[command(flatten)]
    pub(crate) share: ShareOption,
    #[command(flatten)]
    pub(crate) pool: PoolOptions,
    /// Where runs are stored
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Store at most this many histories, and as many more of seeds that broke a rule
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) keep: usize,
    /// Print the summaries as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which seeds are for this machine, of those that several divide among themselves.
#[derive(Debug, Args)]
pub(crate) struct ShareOption {
    /// Only the K-th of N shares of the seeds; /N: which one is said by SLURM_ARRAY_TASK_ID or
    /// JOB_COMPLETION_INDEX [default: that of a Slurm array, otherwise all]
    #[arg(long, value_name = "K/N")]
    pub(crate) shard: Option<SeedShard>,
}

/// A share of the seeds as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeedShard {
    /// This one.
    Of(Shard),
    /// One of so many: a variable says which.
    Count(usize),
}

impl FromStr for SeedShard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('/').map(str::parse) {
            None => text.parse().map(Self::Of),
            Some(Ok(count @ 1..)) => Ok(Self::Count(count)),
            Some(_) => Err("expected /N, with N from 1".to_owned()),
        }
    }
}

/// Where simulated runs take place.
#[derive(Debug, Args)]
pub(crate) struct PoolOptions {
    /// Processes that run seeds [default: one for each core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Run seeds on threads of this process: an implementation that never returns, or aborts, then takes
    /// all of them along
    #[arg(long)]
    pub(crate) in_process: bool,
    /// How many seconds of the processor's time one run may take, or may stand still, before it is given up and reported
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) limit_secs: u64,
    /// How many MiB of memory the process of one run may fill before it is given up and reported
    #[arg(long, value_name = "MIB", default_value_t = 4_096, conflicts_with = "in_process", value_parser = clap::value_parser!(u64).range(64..=1_048_576))]
    pub(crate) memory_mib: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Explore {
    /// What to run as the server: see `nanshe list implementations`
    #[arg(long, value_name = "NAME", default_value = "reference")]
    pub(crate) implementation: String,
    /// Number of seeds, each with a scenario of its own
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1 << 62))]
    pub(crate) first_seed: u64,
    /// Stop at the first run that breaks a rule
    #[arg(long)]
    pub(crate) stop: bool,
    /// Look for a run that breaks this rule, stop there, and shrink that: see `nanshe list rules`
    #[arg(long, value_name = "RULE")]
    pub(crate) rule: Option<String>,
    /// Runs that shrinking one failure may take; 0: store it as it was drawn
    #[arg(long, value_name = "COUNT", default_value_t = 3_000)]
    pub(crate) shrink_runs: u64,
    /// Fail if a situation that can come about never did; of shards, `report merge` can tell
    #[arg(long)]
    pub(crate) every_goal: bool,
    /// In place of one exploration: look for each specimen from this many first seeds, at most `--seeds` each, and
    /// print the table of simulator/README.md
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["stop", "rule", "every_goal", "implementation", "json", "shard"], value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) specimens: Option<u64>,
    #[command(flatten)]
    pub(crate) share: ShareOption,
    #[command(flatten)]
    pub(crate) pool: PoolOptions,
    /// Where the summary, and scenarios that fail, are stored
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Print the summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stress {
    /// What to judge: http://HOST:PORT, or a target file
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// What clients do: see `nanshe list workloads`, or a file with a table [workload.NAME]
    #[arg(long, value_name = "NAME|FILE", default_value = "competing-consumers")]
    pub(crate) workload: String,
    /// Workload, duration and faults of this scenario, as far as faults can be brought about from outside
    #[arg(long, value_name = "FILE", conflicts_with_all = ["workload", "faults"])]
    pub(crate) scenario: Option<String>,
    /// What goes wrong: see `nanshe list faults`; or none, network, process, all
    #[arg(long, value_name = "FAULT", num_args = 1.., value_delimiter = ',', default_value = "network")]
    pub(crate) faults: Vec<String>,
    /// How many seconds clients work and faults strike; the times of a scenario's faults shrink with it
    /// [default: 60, or the scenario's]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) duration: Option<u64>,
    /// Number of clients, in place of the workload's
    #[arg(long, value_name = "COUNT", conflicts_with = "rate", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) clients: Option<u32>,
    /// Begin this many turns a second, however slow the target is [default: each client begins its next
    /// when one is over]
    #[arg(long, value_name = "TURNS", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// What choices and faults are drawn from [default: the time]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many seconds a client waits for an answer [default: the target file's, at most 5]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) patience: Option<u64>,
    /// How many seconds pass for the target in each, as with `nanshe serve --time-scale`, in place of
    /// the target file's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) time_scale: Option<u32>,
    #[command(flatten)]
    pub(crate) login: Login,
    /// Where runs are stored
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Print the plan, and end
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the verdicts as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    if rate > 0.0 && rate <= 100_000.0 {
        return Ok(rate);
    }
    Err("expected more than 0, and 100000 at most".to_owned())
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Scale {
    /// What to judge: http://HOST:PORT, or a target file; none: an implementation in virtual time
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// Only these ladders: see `nanshe list ladders`
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) ladder: Vec<Ladder>,
    /// What runs in virtual time: see `nanshe list implementations`
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "target",
        default_value = "reference"
    )]
    pub(crate) implementation: String,
    /// Climb them with every specimen that scales badly, under this many seeds each, and tell which rules caught it
    #[arg(long, value_name = "SEEDS", conflicts_with = "target", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) specimens: Option<u64>,
    /// Where the ladders of messages end; those of queues, claims and pages end at a tenth of it, and are too short for
    /// a verdict if that is 300 or less [default: 100000 in virtual time, 10000 on a target]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    pub(crate) longest: Option<u64>,
    /// Visits to every step, least and most: they end as soon as every interval is narrow enough [default: 5 in virtual
    /// time, 8..24 on a target]
    #[arg(long, value_name = "LEAST[..MOST]", value_parser = rounds)]
    pub(crate) rounds: Option<(u32, u32)>,
    /// Turns at every visit that are not measured [default: 1 in virtual time, 2 on a target]
    #[arg(long, value_name = "TURNS", value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub(crate) warm_up: Option<u32>,
    /// Turns at every visit that are measured [default: 10 in virtual time, 20 on a target]
    #[arg(long, value_name = "TURNS", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) turns: Option<u32>,
    /// How many seconds clients work beside each other at one visit
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600), default_value_t = 1)]
    pub(crate) span: u64,
    /// Most clients beside each other
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000), default_value_t = 16)]
    pub(crate) clients: u32,
    /// Most turns a second that are offered, however much the target could do [default: 1000 in virtual time, 200 on a
    /// target]
    #[arg(long, value_name = "TURNS", value_parser = rate)]
    pub(crate) rate_max: Option<f64>,
    /// What choices are drawn from [default: 0 in virtual time, the time on a target]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) login: Login,
    /// Where runs are stored
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn rounds(text: &str) -> Result<(u32, u32), String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| {
        text.parse::<u32>()
            .map_err(|_| "expected LEAST or LEAST..MOST".to_owned())
    };
    let (least, most) = (number(least)?, number(most)?);
    if least >= 3 && least <= most && most <= 1_000 {
        return Ok((least, most));
    }
    Err("expected at least 3, and 1000 at most".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Stored runs: folders that `stress` or `simulate` made
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Print the verdicts as JSON, a line for each run
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Histories: JSON Lines files, or EDN if they are named `.edn`
    #[arg(required = true, value_name = "HISTORY")]
    pub(crate) histories: Vec<String>,
    /// Print the verdicts as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The history
    #[arg(value_name = "HISTORY")]
    pub(crate) history: String,
    /// What it becomes
    #[arg(long, value_name = "FORM")]
    pub(crate) to: HistoryForm,
    /// What it is [default: edn if it is named `.edn`, otherwise jsonl]
    #[arg(long, value_name = "FORM")]
    pub(crate) from: Option<RecordedForm>,
    /// Where it goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// What a history can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistoryForm {
    /// JSON that ui.perfetto.dev and chrome://tracing open
    Trace,
    /// Maps as Jepsen writes them
    Edn,
    /// The format of histories itself
    Jsonl,
}

/// What a history can be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordedForm {
    /// Maps as Jepsen writes them
    Edn,
    /// The format of histories itself
    Jsonl,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8888")]
    pub(crate) bind: SocketAddr,
    /// Where to listen for WebSockets as well; port 0 takes a free one [default: there are none]
    #[arg(long, value_name = "ADDR")]
    pub(crate) websocket: Option<SocketAddr>,
    /// Where operators ask for /metrics, /ready and /live [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<SocketAddr>,
    /// What is told on standard error: nothing, or what is at least this bad
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub(crate) log: LogLevel,
    /// What to serve with, in place of Zaqar's defaults: see --print-config
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<String>,
    /// Print the whole configuration as TOML, secrets included, with what every key means, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
    /// For tests: let this many seconds pass for the broker in every second, so that a client need
    /// not wait a minute for the end of a claim
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) time_scale: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogLevel {
    /// Nothing
    Off,
    /// What ends the service
    Error,
    /// What an operator should look at
    Warn,
    /// Starts, stops, and what becomes of notifications
    Info,
    /// Every request and every connection that breaks
    Debug,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// What to list
    pub(crate) what: Listed,
    /// Of scenarios: files, or folders of them [default: scenarios]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the clauses of the contract with the cases of each, as Markdown; for `cases` only
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Listed {
    /// The suite's cases
    Cases,
    /// The rules that histories are judged by
    Rules,
    /// What can be simulated: the reference, and the specimens
    Implementations,
    /// What clients of `stress` can do
    Workloads,
    /// What `stress` can let go wrong
    Faults,
    /// What `scale` asks
    Ladders,
    /// Scenario files: what they are called, and which implementation breaks what in them
    Scenarios,
    /// Situations that `explore` wants to come about
    Goals,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LevelWord {
    Must,
    Should,
    May,
}

impl From<LevelWord> for Level {
    fn from(word: LevelWord) -> Self {
        match word {
            LevelWord::Must => Self::Must,
            LevelWord::Should => Self::Should,
            LevelWord::May => Self::May,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProfileWord {
    /// What a Zaqar v2 as it is installed offers
    ZaqarV2,
    /// That, and expiry to the second, and one order across producers
    Strict,
    /// Queues, messages and claims only
    Core,
}

impl From<ProfileWord> for Profile {
    fn from(word: ProfileWord) -> Self {
        match word {
            ProfileWord::ZaqarV2 => Self::ZaqarV2,
            ProfileWord::Strict => Self::Strict,
            ProfileWord::Core => Self::Core,
        }
    }
}
