//! `nanshe conform`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nanshe_conformance::environment::{TokioEnvironment, World};
use nanshe_conformance::report::{self, Report};
use nanshe_conformance::suite::{self, Options, Progress, Selected, Selection};
use nanshe_conformance::target::{Description, Endpoint, KnownFailures, Started};
use nanshe_conformance::verdict::Verdict;

use super::pages;
use crate::args::Conform;
use crate::output::{Exit, HarnessFailed, Shell, wall_clock_seed};

/// The longest wait of a case on a real target, unless `--wait-max` says otherwise, in seconds.
const WAIT_SECS_MAX: u64 = 300;

pub(crate) fn run(args: &Conform, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    pages::check(args.junit.as_deref(), &args.pages)?;
    let mut reports = Vec::new();
    // One after the other: they share the machine.
    for args in each(args) {
        let report = judge(&args, shell)?;
        let text = if args.json {
            report::json(&report)
        } else {
            report::terminal(&report)
        };
        shell.print(&text)?;
        reports.push(report);
    }
    pages::write(&reports, args.junit.as_deref(), &args.pages)?;
    Ok(Verdict::worst(reports.iter().map(Report::verdict)).into())
}

/// The same command line for each of its targets.
fn each(args: &Conform) -> Vec<Conform> {
    let with = |target| Conform {
        target,
        ..args.clone()
    };
    if args.targets.is_empty() {
        return vec![with(None)];
    }
    let targets = args.targets.iter().cloned();
    targets.map(|target| with(Some(target))).collect()
}

fn judge(args: &Conform, shell: &mut Shell<'_>) -> anyhow::Result<Report> {
    let selection = Selection {
        only: args.only.clone(),
        skip: args.skip.clone(),
        level: args.level.map(Into::into),
        wait_secs_max: match (args.wait_max, &args.target) {
            (Some(secs), _) => Some(secs),
            (None, Some(_)) => Some(WAIT_SECS_MAX),
            (None, None) => None,
        },
    };
    let selected = selection.select()?;
    let known = args
        .known_failures
        .as_deref()
        .map(KnownFailures::load)
        .transpose()?;
    match &args.target {
        None => in_virtual_time(args, selected, known, shell),
        Some(target) => {
            let mut target = Description::load(target)?;
            if let Some(known) = known {
                target.known_failures = known;
            }
            let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
            runtime.block_on(on_target(args, &target, &selected, shell))
        }
    }
}

async fn on_target(
    args: &Conform,
    target: &Description,
    selected: &Selected,
    shell: &mut Shell<'_>,
) -> anyhow::Result<Report> {
    let started = match &target.start {
        None => None,
        Some(start) => {
            shell.say(&format!(
                "starting {} ({})",
                target.name,
                start.command.join(" ")
            ));
            let started = Started::start(start).await;
            Some(started.map_err(|error| HarnessFailed(format!("{}: {error}", target.name)))?)
        }
    };
    let endpoint = started.as_ref().map(|started| started.endpoint.clone());
    let endpoint = endpoint.or_else(|| target.endpoint.clone());
    let endpoint = endpoint.expect("a description has a URL or a start command");
    let found = conform(args, (target, endpoint), selected, shell).await;
    if let Some(started) = started {
        let stopped = started.stop().await;
        stopped.map_err(|error| HarnessFailed(format!("{} did not stop: {error}", target.name)))?;
    }
    found
}

async fn conform(
    args: &Conform,
    (target, endpoint): (&Description, Endpoint),
    selected: &Selected,
    shell: &mut Shell<'_>,
) -> anyhow::Result<Report> {
    let world: World = Arc::new(TokioEnvironment::new());
    let found = suite::preflight(Arc::clone(&world), target, &endpoint).await;
    found.map_err(anyhow::Error::msg)?;
    let longest = selected
        .cases
        .iter()
        .map(|case| case.wait_secs)
        .max()
        .unwrap_or(0);
    shell.say(&format!(
        "{} cases on {endpoint}, all at once; the longest waits {}",
        selected.cases.len(),
        human(longest),
    ));
    let bar = shell.progress(u64::try_from(selected.cases.len()).unwrap_or(u64::MAX));
    bar.enable_steady_tick(Duration::from_millis(500));
    let options = Options {
        seed: args.seed.unwrap_or_else(wall_clock_seed),
        command: command(args),
    };
    let report = suite::run(world, (target, endpoint), selected, &options, |progress| {
        show(&bar, progress);
    });
    let report = report.await;
    bar.finish_and_clear();
    Ok(report)
}

fn show(bar: &indicatif::ProgressBar, progress: Progress<'_>) {
    bar.set_position(u64::try_from(progress.done).unwrap_or(u64::MAX));
    bar.set_message(progress.last.path.clone());
}

/// The command that runs the suite on this target again.
fn command(args: &Conform) -> String {
    let target = args.target.iter().map(|target| format!(" {target}"));
    let seed = args.seed.iter().map(|seed| format!(" --seed {seed}"));
    format!("nanshe conform{}", target.chain(seed).collect::<String>())
}

fn human(secs: u64) -> String {
    match (secs / 60, secs % 60) {
        (0, secs) => format!("{secs} s"),
        (minutes, secs) => format!("{minutes} min {secs} s"),
    }
}

#[cfg(madsim)]
fn in_virtual_time(
    args: &Conform,
    selected: Selected,
    known: Option<KnownFailures>,
    shell: &mut Shell<'_>,
) -> anyhow::Result<Report> {
    let bar = shell.progress(u64::try_from(selected.cases.len()).unwrap_or(u64::MAX));
    let reference = nanshe_simulator::implementations().next();
    let reference = reference.expect("the reference is the first implementation");
    let options = Options {
        seed: args.seed.unwrap_or(1),
        command: command(args),
    };
    let known = known.unwrap_or_default();
    let progress = {
        let bar = bar.clone();
        move |progress: Progress<'_>| show(&bar, progress)
    };
    let report = nanshe_simulator::conform(reference, (selected, known), options, progress);
    bar.finish_and_clear();
    Ok(report.map_err(|error| HarnessFailed(error.to_string()))?)
}

#[cfg(not(madsim))]
fn in_virtual_time(
    _args: &Conform,
    _selected: Selected,
    _known: Option<KnownFailures>,
    _shell: &mut Shell<'_>,
) -> anyhow::Result<Report> {
    anyhow::bail!(
        "conform without a target: {}",
        nanshe_simulator::UNAVAILABLE
    )
}

#[cfg(test)]
mod tests {
    use crate::commands::tests::nanshe;
    use crate::output::Exit;

    /// The one line that a bad command line is answered with; nothing is printed but that.
    fn refused(args: &[&str]) -> String {
        let (exit, out, error) = nanshe(&[&["conform"], args].concat());
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{error}");
        let lines: Vec<&str> = error
            .lines()
            .filter(|line| line.starts_with("nanshe: "))
            .collect();
        assert_eq!(lines.len(), 1, "{error}");
        lines[0].to_owned()
    }

    #[test]
    fn target_that_is_not_there_is_one_line() {
        let line = refused(&["http://127.0.0.1:1"]);
        let expected = "nanshe: http://127.0.0.1:1 is not there: not sent: cannot connect: ";
        assert!(line.starts_with(expected), "{line}");
        let line = refused(&["no-such-target.toml"]);
        assert_eq!(line, "nanshe: no-such-target.toml: there is no such file");
        let line = refused(&["ftp://127.0.0.1"]);
        assert!(line.contains("its scheme is not http"), "{line}");
    }

    #[test]
    fn malformed_files_are_named_with_their_line() {
        let line = refused(&["Cargo.toml"]);
        assert!(line.starts_with("nanshe: Cargo.toml:"), "{line}");
        let line = refused(&["http://127.0.0.1:1", "--known-failures", "Cargo.toml"]);
        assert!(line.starts_with("nanshe: Cargo.toml:"), "{line}");
    }

    #[test]
    fn unknown_case_and_missing_folder_are_refused_before_anything_runs() {
        let line = refused(&["--only", "claims/no-such-case"]);
        assert!(
            line.contains("there is no case or chapter `claims/no-such-case`"),
            "{line}"
        );
        let line = refused(&["--junit", "no-such-folder/report.xml"]);
        assert_eq!(
            line,
            "nanshe: no-such-folder/report.xml: there is no folder no-such-folder"
        );
    }

    #[cfg(madsim)]
    mod in_virtual_time {
        use super::*;

        #[test]
        fn reference_is_valid_and_its_report_comes_in_every_form() {
            let junit = std::env::temp_dir().join(format!("nanshe-{}.xml", std::process::id()));
            let path = junit.to_string_lossy().into_owned();
            let (exit, out, error) = nanshe(&["conform", "--junit", &path, "--json"]);
            let xml = std::fs::read_to_string(&junit).unwrap();
            std::fs::remove_file(&junit).unwrap();
            assert_eq!((exit, error.as_str()), (Exit::Valid, ""));
            let report: serde_json::Value = serde_json::from_str(&out).unwrap();
            assert_eq!(report["verdict"], "valid");
            let all = nanshe_conformance::suite::cases().count();
            assert_eq!(report["passed"], all);
            assert!(xml.contains(&format!("tests=\"{all}\"")), "{xml}");
            let (_, out, _) = nanshe(&["conform", "--only", "claims"]);
            assert!(out.trim_end().ends_with("passed, 0 failed: valid"), "{out}");
        }

        #[test]
        fn known_failure_that_passes_fails_the_run() {
            let file = std::env::temp_dir().join(format!("nanshe-{}.toml", std::process::id()));
            let case = nanshe_conformance::suite::cases().next().unwrap().path;
            let entry = format!("[[failure]]\ncase = '{case}'\nreason = 'it used to'\n");
            std::fs::write(&file, entry).unwrap();
            let path = file.to_string_lossy().into_owned();
            let (exit, out, _) = nanshe(&["conform", "--known-failures", &path, "--only", case]);
            std::fs::remove_file(&file).unwrap();
            assert_eq!(exit, Exit::Violation);
            assert!(out.contains("UNEXPECTED PASS"), "{out}");
        }
    }

    #[cfg(not(madsim))]
    #[test]
    fn build_that_cannot_simulate_says_so() {
        assert!(refused(&[]).contains("this build cannot simulate"));
    }
}
