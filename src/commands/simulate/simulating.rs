//! `nanshe simulate`, in a build that can.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use nanshe_conformance::document::suggestion;
use nanshe_conformance::suite::Shard;
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::scenario::Scenario;
use nanshe_simulator::{
    Campaign, Implementation, Limits, Pool, Run, Summary, Threads, Workers, campaign,
    implementations, share,
};

use crate::args::{PoolOptions, Simulate};
use crate::commands::{interruption, shard};
use crate::output::{Exit, Shell, point_latest_to, write_whole};

/// Workers if the system does not tell how many cores there are.
const WORKERS_DEFAULT: usize = 1;

/// A stored campaign's scenario, as it was run, and what came of it.
pub(crate) const SCENARIO: &str = "scenario.toml";
pub(crate) const SUMMARY: &str = "summary.json";

/// Seeds of a scenario that names none.
const SEEDS: u64 = 10;

/// A scenario that will be run, by whom, and under which seeds.
struct Chosen<'a> {
    file: &'a str,
    scenario: Scenario,
    implementation: Implementation,
    /// Those of all shares together.
    whole: Range<u64>,
    /// Those for this machine.
    seeds: Range<u64>,
    /// How a stored share is told from the others; empty for all of them.
    suffix: String,
}

pub(crate) fn run(args: &Simulate, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let (shard, source) = shard::choose(args.share.shard, &shard::variable)?;
    // Everything is read before the first seed runs.
    let chosen = args.scenarios.iter();
    let chosen = chosen.map(|file| choose(args, file, shard));
    let chosen = chosen.collect::<anyhow::Result<Vec<Chosen<'_>>>>()?;
    check_names(&chosen)?;
    let pool = pool(&args.pool)?;
    if let Some(source) = source {
        shell.say(&format!("share {shard} of the seeds, says {source}"));
    }
    interruption::listen();
    let mut summaries = Vec::new();
    for chosen in &chosen {
        if interruption::stopped_by().is_some() {
            break;
        }
        let summary = simulate(args, chosen, (&*pool, shell))?;
        if !args.json {
            shell.print(&summary.0.terminal(Some(summary.1)))?;
        }
        summaries.push(summary.0);
    }
    if args.json {
        shell.print(&format!(
            "[{}]\n",
            summaries
                .iter()
                .map(Summary::json)
                .collect::<Vec<_>>()
                .join(",")
        ))?;
    }
    if let Some(why) = interruption::stopped_by() {
        let (told, all) = (summaries.len(), chosen.len());
        shell.say(&format!(
            "NOT WHOLE: {why}; told of {told} of {all} scenarios, the last perhaps in part"
        ));
        return Ok(Exit::Unknown);
    }
    Ok(Verdict::worst(summaries.iter().map(Summary::outcome)).into())
}

fn choose<'a>(args: &Simulate, file: &'a str, shard: Shard) -> anyhow::Result<Chosen<'a>> {
    let scenario = Scenario::load(file)?;
    let name = args
        .implementation
        .as_deref()
        .unwrap_or(&scenario.implementation);
    let implementation = find(name).with_context(|| match args.implementation {
        Some(_) => "--implementation".to_owned(),
        None => place_of(file, "implementation"),
    })?;
    if let Some(why) = implementation.refuses(&scenario) {
        anyhow::bail!("{file}: {why}");
    }
    let first = args.first_seed.or(scenario.seed).unwrap_or(0);
    // A scenario that names its seed is about that one.
    let count = args
        .seeds
        .unwrap_or(if scenario.seed.is_some() { 1 } else { SEEDS });
    let whole = first..first + count;
    let seeds = share(&whole, shard, 1).with_context(|| {
        format!(
            "{file}: --shard {shard}: there are fewer seeds than shares: --seeds {} at least",
            shard.count()
        )
    })?;
    Ok(Chosen {
        file,
        scenario,
        implementation,
        whole,
        seeds,
        suffix: suffix(shard),
    })
}

/// Refuses scenarios of which one would be stored over the other: folders are named after their scenarios.
fn check_names(chosen: &[Chosen<'_>]) -> anyhow::Result<()> {
    let mut before = BTreeMap::new();
    for Chosen { file, scenario, .. } in chosen {
        let (name, folder) = (&scenario.name, folder(&scenario.name));
        if let Some((first, other)) = before.insert(folder, (file, name)) {
            anyhow::bail!(
                "{file}: its `name` is `{name}`, and that of {first} is `{other}`: one would be stored over the \
                 other"
            );
        }
    }
    Ok(())
}

/// A scenario's name in that of a folder.
fn folder(name: &str) -> String {
    name.replace('/', "-")
}

/// What the name of a stored share ends with; the whole needs nothing.
pub(crate) fn suffix(shard: Shard) -> String {
    if shard.count() == 1 {
        return String::new();
    }
    format!("-shard-{}-of-{}", shard.number(), shard.count())
}

/// Where runs take place.
pub(crate) fn pool(options: &PoolOptions) -> anyhow::Result<Box<dyn Pool>> {
    let count = options.workers.map_or_else(
        || std::thread::available_parallelism().map_or(WORKERS_DEFAULT, usize::from),
        usize::from,
    );
    if options.in_process {
        return Ok(Box::new(Threads(count)));
    }
    let program = std::env::current_exe().context("this program cannot find itself")?;
    let start = move || {
        let mut command = std::process::Command::new(&program);
        // A Ctrl-C is for this process: a worker that dies of it would be taken for a finding.
        command.arg("worker").process_group(0);
        command
    };
    let limits = Limits {
        time: std::time::Duration::from_secs(options.limit_secs),
        memory_mib: options.memory_mib,
    };
    Ok(Box::new(Workers::new(start, count, limits)))
}

/// A key of the outermost table of `file`, with its line.
fn place_of(file: &str, key: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let is_there = |line: &str| {
        let name = line.split_once('=').map(|(name, _)| name.trim());
        name == Some(key)
    };
    match text.lines().position(is_there) {
        Some(place) => format!("{file}:{}: `{key}`", place + 1),
        None => format!("{file}: `{key}`"),
    }
}

pub(crate) fn find(name: &str) -> anyhow::Result<Implementation> {
    implementations()
        .find(|implementation| implementation.name == name)
        .with_context(|| {
            let near = suggestion(
                name,
                implementations().map(|implementation| implementation.name),
            );
            format!("there is no implementation `{name}`{near}, see `nanshe list implementations`")
        })
}

#[expect(clippy::disallowed_types, reason = "a shell tells how long it took")]
fn simulate(
    args: &Simulate,
    chosen: &Chosen<'_>,
    (pool, shell): (&dyn Pool, &Shell<'_>),
) -> anyhow::Result<(Summary, std::time::Duration)> {
    let (scenario, implementation) = (&chosen.scenario, chosen.implementation);
    let text = scenario.to_toml();
    let told = Campaign {
        scenario: &scenario.name,
        file: chosen.file,
        text: &text,
        implementation: implementation.name,
        seeds: chosen.whole.clone(),
    };
    let mut summary = Summary::new(&told, chosen.seeds.start);
    if implementation.name == scenario.implementation {
        summary.expect(&scenario.breaks);
    }
    let mut folder = RunFolder::create(args, &summary, &chosen.suffix)?;
    let file = folder.partial.join(SCENARIO);
    write_whole(&file, text.as_bytes())?;
    let started_at = std::time::Instant::now();
    let bar = shell.progress(chosen.seeds.end - chosen.seeds.start);
    let mut stored = Ok(());
    campaign(
        scenario,
        implementation,
        chosen.seeds.clone(),
        pool,
        |result| {
            bar.inc(1);
            bar.set_message(summary.verdict.to_string());
            summary.add(&result);
            if let Ok(run) = &result {
                stored = folder.store(run);
            }
            stored.is_ok() && interruption::stopped_by().is_none()
        },
    );
    bar.finish_and_clear();
    stored?;
    let elapsed = started_at.elapsed();
    folder.finish(&summary)?;
    Ok((summary, elapsed))
}

/// A stored campaign: `runs/<scenario>-<implementation>-<first seed>-<seeds>/`, with one history a
/// seed and the summary; the name of a share ends with `-shard-<K>-of-<N>`, and that of one that was stopped with
/// `-stopped`. It gets its name when all of it is there.
struct RunFolder {
    runs: PathBuf,
    name: String,
    partial: PathBuf,
    keep: usize,
    kept: usize,
    kept_violations: usize,
}

impl RunFolder {
    fn create(args: &Simulate, summary: &Summary, suffix: &str) -> anyhow::Result<Self> {
        let name = format!(
            "{}-{}-{}-{}{suffix}",
            folder(&summary.scenario),
            summary.implementation,
            summary.whole.first_seed,
            summary.whole.seeds,
        );
        let partial = args
            .runs
            .join(format!(".partial-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&partial)
            .with_context(|| format!("--runs: {} cannot be created", partial.display()))?;
        let (runs, keep) = (args.runs.clone(), args.keep);
        Ok(Self {
            runs,
            name,
            partial,
            keep,
            kept: 0,
            kept_violations: 0,
        })
    }

    fn store(&mut self, run: &Run) -> anyhow::Result<()> {
        let violation = run.verdicts.verdict() == Verdict::Violation;
        if self.kept < self.keep {
            self.kept += 1;
        } else if violation && self.kept_violations < self.keep {
            self.kept_violations += 1;
        } else {
            return Ok(());
        }
        write_whole(
            &self.partial.join(format!("seed-{}.jsonl", run.seed)),
            run.lines.as_bytes(),
        )
    }

    fn finish(self, summary: &Summary) -> anyhow::Result<()> {
        write_whole(&self.partial.join(SUMMARY), summary.json().as_bytes())?;
        let name = format!("{}{}", self.name, interruption::suffix());
        let folder = self.runs.join(&name);
        if folder.exists() {
            // The same campaign again: the same bytes, unless the binary has changed.
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("{} cannot be replaced", folder.display()))?;
        }
        std::fs::rename(&self.partial, &folder)
            .with_context(|| format!("{} cannot be stored", folder.display()))?;
        point_latest_to(&self.runs, &name)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // Gone already if the run was stored; otherwise nothing half-written stays behind.
        drop(std::fs::remove_dir_all(&self.partial));
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::commands::tests::nanshe;
    use crate::output::Exit;

    const SCENARIO: &str = "scenarios/delivery/lost-acknowledgement.toml";

    #[test]
    fn stored_runs_are_run_again_and_a_difference_is_told_with_its_event() {
        let runs = Folder::new("again");
        let path = runs.path();
        let told = ["--in-process", "--seeds", "2", "--runs", &path];
        nanshe(&[&["simulate", SCENARIO], &told[..]].concat());
        let latest = runs.0.join("latest");
        let latest = latest.to_string_lossy();
        let (exit, out, error) = nanshe(&["replay", &latest]);
        assert_eq!((exit, error.as_str()), (Exit::Valid, ""), "{out}");
        assert!(out.contains("2 histories, the same byte for byte"), "{out}");

        let history = runs.0.join("latest/seed-1.jsonl");
        let text = std::fs::read_to_string(&history).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        let other = lines[6].replace("\"at\":", "\"at\":1");
        lines[6] = &other;
        std::fs::write(&history, lines.join("\n") + "\n").unwrap();
        let (exit, out, _) = nanshe(&["replay", &latest]);
        assert_eq!(exit, Exit::Violation, "{out}");
        assert!(out.contains("seed-1.jsonl: they part at line 7"), "{out}");
    }

    #[test]
    fn runs_that_left_no_history_are_told_and_leave_no_replay_valid() {
        let runs = Folder::new("survived-by-none");
        let path = runs.path();
        let told = ["--in-process", "--seeds", "2", "--runs", &path];
        nanshe(&[&["simulate", SCENARIO], &told[..]].concat());
        let stored = runs.0.join("latest/summary.json");
        let text = std::fs::read_to_string(&stored).unwrap();
        let mut summary: serde_json::Value = serde_json::from_str(&text).unwrap();
        // As if the second seed had hung: that takes a process of its own.
        summary["findings"] = serde_json::json!([{"hung": {"seed": 1, "limit_secs": 60}}]);
        std::fs::write(&stored, summary.to_string()).unwrap();
        std::fs::remove_file(runs.0.join("latest/seed-1.jsonl")).unwrap();

        let latest = runs.0.join("latest").to_string_lossy().into_owned();
        let (exit, out, error) = nanshe(&["replay", &latest]);
        assert_eq!((exit, error.as_str()), (Exit::Violation, ""), "{out}");
        let repeat = format!(
            "nanshe simulate {SCENARIO} --implementation reference --first-seed 1 --seeds 1"
        );
        let expected = format!(
            "{latest}: 1 histories, the same byte for byte\n\
             {latest}: runs that left no history, and are not repeated here: 1\n\n\
             VIOLATION seed 1 did not end within 60 s\n  repeat: {repeat}\n\n"
        );
        assert_eq!(out, expected);
        let (exit, out, _) = nanshe(&["replay", &latest, "--json"]);
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(exit, Exit::Violation, "{out}");
        assert_eq!(document["findings"][0]["repeat"], repeat.as_str(), "{out}");

        // Even if none left one.
        std::fs::remove_file(runs.0.join("latest/seed-0.jsonl")).unwrap();
        let (exit, out, _) = nanshe(&["replay", &latest]);
        assert_eq!(exit, Exit::Violation, "{out}");
        assert!(out.contains("  repeat: nanshe simulate "), "{out}");
    }

    /// A folder of a test's own, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("nanshe-{}-{name}", std::process::id())))
        }

        fn path(&self) -> String {
            self.0.to_string_lossy().into_owned()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn campaign_is_stored_whole_and_its_histories_can_be_checked_again() {
        let runs = Folder::new("stored");
        let (exit, out, error) = nanshe(&[
            "simulate",
            SCENARIO,
            "--in-process",
            "--seeds",
            "3",
            "--runs",
            &runs.path(),
        ]);
        assert_eq!((exit, error.as_str()), (Exit::Valid, ""), "{out}");
        let stored = runs.0.join("delivery-lost-acknowledgement-reference-0-3");
        assert_eq!(
            std::fs::read_link(runs.0.join("latest")).unwrap(),
            stored.file_name().unwrap()
        );
        assert_eq!(
            std::fs::read_dir(&runs.0).unwrap().count(),
            2,
            "something partial is left"
        );
        for seed in 0..3 {
            let history = stored.join(format!("seed-{seed}.jsonl"));
            let (exit, out, _) = nanshe(&["check", &history.to_string_lossy()]);
            assert_eq!(exit, Exit::Valid, "{out}");
        }
        assert!(stored.join("summary.json").is_file());
    }

    #[test]
    fn violation_exits_1_and_prints_the_line_that_repeats_it() {
        let runs = Folder::new("violation");
        let path = runs.path();
        let args = [
            "--in-process",
            "--implementation",
            "sticky-claims",
            "--seeds",
            "2",
            "--runs",
            &path,
        ];
        let (exit, out, _) = nanshe(&[&["simulate", SCENARIO], &args[..]].concat());
        assert_eq!(exit, Exit::Violation);
        let repeat = out
            .lines()
            .find_map(|line| line.trim().strip_prefix("repeat: nanshe "));
        let mut words: Vec<&str> = repeat.unwrap().split_whitespace().collect();
        words.extend(["--in-process", "--runs", &path]);
        assert_eq!(nanshe(&words).0, Exit::Violation, "{words:?}");
    }

    #[test]
    fn histories_beyond_the_limit_are_not_kept_unless_they_broke_a_rule() {
        let runs = Folder::new("kept");
        let path = runs.path();
        let keep = [
            "--in-process",
            "--seeds",
            "4",
            "--keep",
            "1",
            "--runs",
            &path,
        ];
        let count = |implementation: &str| {
            let args = ["simulate", SCENARIO, "--implementation", implementation];
            nanshe(&[&args, &keep[..]].concat());
            std::fs::read_dir(runs.0.join("latest")).unwrap().count() - 2
        };
        assert_eq!(count("reference"), 1);
        assert_eq!(count("sticky-claims"), 2);
    }

    #[test]
    fn bad_input_is_one_line_and_stores_nothing() {
        let runs = Folder::new("refused");
        let path = runs.path();
        let refused = |args: &[&str]| {
            let told = ["simulate", "--in-process", "--runs", &path];
            let (exit, out, error) = nanshe(&[&told, args].concat());
            assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
            error
        };
        assert_eq!(
            refused(&["no.toml"]),
            "nanshe: no.toml: there is no such file\n"
        );
        let error = refused(&["Cargo.toml"]);
        assert!(error.starts_with("nanshe: Cargo.toml:"), "{error}");
        assert_eq!(
            refused(&[SCENARIO, "--implementation", "sticky-claim"]),
            "nanshe: --implementation: there is no implementation `sticky-claim` (did you mean \
             `sticky-claims`?), see `nanshe list implementations`\n"
        );
        assert!(!runs.0.exists());
        std::fs::create_dir_all(&runs.0).unwrap();
        let misspelt = runs.0.join("misspelt.toml").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(SCENARIO).unwrap();
        let line = text
            .lines()
            .position(|line| line.starts_with("implementation"));
        let text = text.replace("\"reference\"", "\"referense\"");
        std::fs::write(&misspelt, text).unwrap();
        let line = line.unwrap() + 1;
        assert_eq!(
            refused(&[&misspelt]),
            format!(
                "nanshe: {misspelt}:{line}: `implementation`: there is no implementation `referense` (did you mean \
                 `reference`?), see `nanshe list implementations`\n"
            )
        );
    }

    #[test]
    fn two_files_of_one_name_are_refused_before_the_first_seed_of_either() {
        let folder = Folder::new("same-name");
        let (runs, scenarios) = (folder.0.join("runs"), folder.0.join("scenarios"));
        std::fs::create_dir_all(&scenarios).unwrap();
        let text = std::fs::read_to_string(SCENARIO).unwrap();
        let copy = |file: &str, name: &str| {
            let text = text.replace("delivery/lost-acknowledgement", name);
            let path = scenarios.join(file);
            std::fs::write(&path, text).unwrap();
            path.to_string_lossy().into_owned()
        };
        let [one, two] = ["one.toml", "two.toml"].map(|file| copy(file, "found/a-b"));
        // Another name, but the same folder.
        let three = copy("three.toml", "found-a/b");
        let path = runs.to_string_lossy().into_owned();
        for (other, name) in [(&two, "found/a-b"), (&three, "found-a/b")] {
            let told = ["--in-process", "--seeds", "1", "--runs", &path];
            let files = ["simulate", SCENARIO, &one, other];
            let (exit, out, error) = nanshe(&[&files, &told[..]].concat());
            assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
            let expected = format!(
                "nanshe: {other}: its `name` is `{name}`, and that of {one} is `found/a-b`: one would be \
                 stored over the other\n"
            );
            assert_eq!(error, expected);
        }
        assert!(!runs.exists());
    }
}
