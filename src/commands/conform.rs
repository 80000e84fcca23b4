//! `nanshe conform`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum as _;
use nanshe_conformance::environment::{TokioEnvironment, World};
use nanshe_conformance::report::{self, Report};
use nanshe_conformance::suite::{
    self, Capability, MailSink, Options, Progress, Selected, Selection, Sink, Surroundings,
};
use nanshe_conformance::target::{Description, Endpoint, KnownFailures};
use nanshe_conformance::verdict::Verdict;

use super::target::{interrupted, look, on_target};
use super::{interruption, login, pages};
use crate::args::Conform;
use crate::output::{Exit, Shell, today, wall_clock_seed};

use self::known_failures::Known;

mod known_failures;
mod modeling;

/// The longest wait of a case on a real target, unless `--wait-max` says otherwise, in seconds.
const WAIT_SECS_MAX: u64 = 300;

/// The longest wait of a case with `--fast`, in seconds.
const FAST_WAIT_SECS_MAX: u64 = 1;

pub(crate) fn run(args: &Conform, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    refuse_without_target(args)?;
    if args.modeling.model {
        return model_each(args, shell);
    }
    pages::check(args.junit.as_deref(), &args.pages)?;
    let mut reports = Vec::new();
    let ended = judge_each(args, &mut reports, shell);
    // What was found before something went wrong is worth keeping.
    if !reports.is_empty() {
        if args.json {
            shell.print(&json(&reports, args.targets.len()))?;
        }
        pages::write(&reports, args.junit.as_deref(), &args.pages)?;
    }
    ended?;
    // What was found until then may well be a violation, but the run is not what was asked for.
    let partial = reports.iter().any(|report| report.stopped.is_some());
    Ok(if partial {
        Exit::Unknown
    } else {
        Verdict::worst(reports.iter().map(Report::verdict)).into()
    })
}

/// Refuses what makes sense on a target alone, if there is none: somebody may believe that theirs was judged.
fn refuse_without_target(args: &Conform) -> anyhow::Result<()> {
    let given = [
        ("--keystone", args.login.keystone),
        ("--os-cloud", args.login.os_cloud.is_some()),
        ("--cacert", args.login.cacert.is_some()),
        ("--sink-address", args.sink_address.is_some()),
        ("--websocket", args.websocket.is_some()),
    ];
    let given = given.into_iter().find(|&(_, is_given)| is_given);
    match given.filter(|_| args.targets.is_empty()) {
        Some((option, _)) => anyhow::bail!("{option}: needs a TARGET, and there is none"),
        None => Ok(()),
    }
}

/// Compares the targets with the model, one after the other, until one differs.
fn model_each(args: &Conform, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    for args in each(args) {
        let exit = modeling::run(&args, shell)?;
        if exit != Exit::Valid {
            return Ok(exit);
        }
    }
    Ok(Exit::Valid)
}

/// Judges the targets one after the other, for they share the machine, until somebody stops a run. One that cannot be
/// judged, or does not answer any more, keeps nobody from the others.
fn judge_each(
    args: &Conform,
    reports: &mut Vec<Report>,
    shell: &mut Shell<'_>,
) -> anyhow::Result<()> {
    let all = each(args);
    // What nobody can run is refused before anything runs.
    for args in &all {
        prepared(args)?;
    }
    let mut ended = Ok(());
    for (number, args) in all.iter().enumerate() {
        let is_interrupted = match judge(args, shell) {
            Ok((report, is_interrupted)) => {
                if !args.json {
                    shell.print(&report::terminal(&report))?;
                }
                reports.push(report);
                is_interrupted
            }
            // The first comes last, where it is seen, and decides the exit.
            Err(error) if ended.is_ok() => {
                ended = Err(error);
                false
            }
            Err(error) => {
                shell.say(&format!("nanshe: {error:#}"));
                false
            }
        };
        if all.len() > 1 {
            // From the first run on signals end no process by themselves.
            interruption::listen();
        }
        if is_interrupted || interruption::stopped_by().is_some() {
            let left = all[number + 1..].iter();
            let left = left.filter_map(|args| args.target.as_ref());
            left.for_each(|target| shell.say(&format!("not judged: {target}")));
            break;
        }
    }
    ended
}

/// One document: the report, or if there are several targets a list of theirs.
fn json(reports: &[Report], targets: usize) -> String {
    let reports: Vec<String> = reports.iter().map(report::json).collect();
    if targets > 1 {
        format!("[{}]\n", reports.join(","))
    } else {
        reports.concat()
    }
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

/// What is read before a target is judged: the cases, what is known of it, and what it is known to fail.
fn prepared(args: &Conform) -> anyhow::Result<(Selected, Option<Description>, Known)> {
    let selected = selection(args).select()?;
    let load = |target| login::load(&args.login, target);
    let target = args.target.as_deref().map(load).transpose()?;
    let known = known_failures::read(args, target.as_ref())?;
    Ok((selected, target, known))
}

/// Judges one target, and whether somebody stopped the run.
fn judge(args: &Conform, shell: &mut Shell<'_>) -> anyhow::Result<(Report, bool)> {
    let (selected, mut target, known) = prepared(args)?;
    say_what_is_left_out(args, &selected, shell);
    let (mut report, is_interrupted) = match &mut target {
        None => {
            let report = in_virtual_time(args, selected, known.list.clone(), shell)?;
            let is_interrupted = report.stopped.is_some();
            (report, is_interrupted)
        }
        Some(target) => {
            target.known_failures = known.list.clone();
            let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
            let work = async |target: &_, endpoint, _, shell: &mut Shell<'_>| {
                conform(args, (target, endpoint), &selected, shell).await
            };
            runtime.block_on(on_target(target, shell, work))?
        }
    };
    if args.update_known_failures {
        known_failures::update(known, &mut report, shell)?;
    }
    Ok((report, is_interrupted))
}

fn selection(args: &Conform) -> Selection {
    let wait_secs_max = match &args.target {
        _ if args.fast => Some(FAST_WAIT_SECS_MAX),
        Some(_) => Some(args.wait_max.unwrap_or(WAIT_SECS_MAX)),
        None => args.wait_max,
    };
    Selection {
        only: args.only.clone(),
        skip: args.skip.clone(),
        level: args.level.map(Into::into),
        wait_secs_max,
        suite_version: args.suite_version,
        shard: args.shard,
    }
}

/// A fast run says what it leaves out, chapter by chapter; the JSON report names each case.
fn say_what_is_left_out(args: &Conform, selected: &Selected, shell: &mut Shell<'_>) {
    if !args.fast || selected.left_out.is_empty() {
        return;
    }
    let mut chapters: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &selected.left_out {
        *chapters.entry(case.chapter()).or_default() += 1;
    }
    let words: Vec<String> = chapters
        .iter()
        .map(|(chapter, count)| format!("{chapter} {count}"))
        .collect();
    let count = selected.left_out.len();
    shell.say(&format!(
        "--fast leaves out {count} cases that wait longer than a second: {}",
        words.join(", ")
    ));
}

async fn conform(
    args: &Conform,
    (target, endpoint): (&Description, Endpoint),
    selected: &Selected,
    shell: &mut Shell<'_>,
) -> anyhow::Result<(Report, bool)> {
    let world: World = Arc::new(TokioEnvironment::new());
    let target = &Description {
        session: login::log_in(&args.login, target, Arc::clone(&world)).await?,
        ..target.clone()
    };
    let found = look(&world, target, &endpoint, shell).await?;
    let target = &Description {
        slack: found.slack,
        websocket: args.websocket.clone().or(target.websocket.clone()),
        ..target.clone()
    };
    let cases = &selected.cases;
    let longest = cases.iter().map(|case| case.wait_secs).max();
    let apart = cases.iter().filter(|case| case.apart).count();
    shell.say(&format!(
        "{} cases on {endpoint}, all at once but for {apart}; the longest waits {}",
        cases.len(),
        human(longest.unwrap_or(0)),
    ));
    let bar = shell.progress(u64::try_from(cases.len()).unwrap_or(u64::MAX));
    bar.enable_steady_tick(Duration::from_millis(500));
    let mut probed = found.probed;
    let told = args.sink_address.clone().or(target.sink_address.clone());
    let sends = told.is_some() || target.offers.contains(&Capability::Webhooks);
    let sink = if sends {
        probed.insert(Capability::Webhooks, true);
        let sink = Sink::open_for(&world, told).await;
        Some(sink.context("cannot listen for notifications")?)
    } else {
        None
    };
    let mail = match &target.mail_address {
        None => None,
        Some(address) => {
            let mail = MailSink::open(&world, address).await;
            Some(mail.with_context(|| format!("cannot take mail at {address}"))?)
        }
    };
    let (origin, pools) = (target.cors_origin.clone(), target.pool_uris.clone());
    let around = Surroundings::new(sink, origin, pools);
    let options = Options {
        probed,
        keep: args.keep,
        surroundings: Arc::new(
            around
                .with_signing_key(target.signing_key.clone())
                .with_websocket(target.websocket.clone())
                .with_mail(mail),
        ),
        // What an earlier run with the same seed left on the server must not be met.
        run: wall_clock_seed(),
        ..options(args, args.seed.unwrap_or_else(wall_clock_seed))
    };
    let mut is_interrupted = false;
    let stop = async {
        let why = interrupted().await;
        is_interrupted = true;
        why
    };
    let report = suite::run_until(
        world,
        (target, endpoint),
        (selected, &options),
        |progress| show(&bar, progress),
        stop,
    );
    let report = report.await;
    bar.finish_and_clear();
    Ok((report, is_interrupted))
}

fn options(args: &Conform, seed: u64) -> Options {
    Options {
        seed,
        command: command(args),
        profile: args.profile.map(Into::into),
        today: today(),
        ..Options::default()
    }
}

fn show(bar: &indicatif::ProgressBar, progress: Progress<'_>) {
    bar.set_position(u64::try_from(progress.done).unwrap_or(u64::MAX));
    bar.set_message(progress.last.path.clone());
}

/// The command that runs the suite on this target again.
fn command(args: &Conform) -> String {
    let target = args.target.iter().map(|target| format!(" {target}"));
    let profile = args.profile.and_then(|word| word.to_possible_value());
    let profile = profile.map(|word| format!(" --profile {}", word.get_name()));
    let seed = args.seed.iter().map(|seed| format!(" --seed {seed}"));
    let known = args.known_failures.iter();
    let known = known.map(|file| format!(" --known-failures {file}"));
    let wait = args
        .wait_max
        .iter()
        .map(|secs| format!(" --wait-max {secs}"));
    let sink = args.sink_address.iter();
    let sink = sink.map(|address| format!(" --sink-address {address}"));
    let socket = args.websocket.iter().map(|endpoint| {
        let url = endpoint.to_string().replacen("http", "ws", 1);
        format!(" --websocket {url}")
    });
    let login = args
        .login
        .words()
        .into_iter()
        .map(|word| format!(" {word}"));
    let words = target.chain(profile).chain(seed).chain(known).chain(wait);
    let words = words.chain(sink).chain(socket).chain(login);
    format!("nanshe conform{}", words.collect::<String>())
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
    known: KnownFailures,
    shell: &mut Shell<'_>,
) -> anyhow::Result<Report> {
    let bar = shell.progress(u64::try_from(selected.cases.len()).unwrap_or(u64::MAX));
    let reference = nanshe_simulator::implementations().next();
    let reference = reference.expect("the reference is the first implementation");
    let options = Options {
        // The whole world ends with the run.
        keep: true,
        ..options(args, args.seed.unwrap_or(1))
    };
    let progress = {
        let bar = bar.clone();
        move |progress: Progress<'_>| show(&bar, progress)
    };
    let report = nanshe_simulator::conform(reference, (selected, known), options, progress);
    bar.finish_and_clear();
    Ok(report.map_err(|error| crate::output::HarnessFailed(error.to_string()))?)
}

#[cfg(not(madsim))]
fn in_virtual_time(
    _args: &Conform,
    _selected: Selected,
    _known: KnownFailures,
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
        for what in [&[][..], &["--model"]] {
            let (exit, out, error) = nanshe(&[&["conform", "http://127.0.0.1:1"], what].concat());
            assert_eq!((exit, out.as_str()), (Exit::Unknown, ""));
            let expected = "nanshe: http://127.0.0.1:1 is not there: not sent: cannot connect: ";
            assert!(error.starts_with(expected), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        let line = refused(&["no-such-target.toml"]);
        assert_eq!(line, "nanshe: no-such-target.toml: there is no such file");
        for address in ["127.0.0.1:8888", "localhost:8888/v2", "[::1]:8888"] {
            let line = refused(&[address]);
            assert!(line.ends_with(&format!("it is http://{address}")), "{line}");
        }
        let line = refused(&["--only", "claims", "http://127.0.0.1:1"]);
        assert!(line.contains("a target stands before --only"), "{line}");
        let line = refused(&["ftp://127.0.0.1"]);
        assert!(line.contains("its scheme is not http"), "{line}");
        let line = refused(&["http://user:word@127.0.0.1:1"]);
        assert!(line.contains("it names a user"), "{line}");
    }

    #[test]
    fn what_is_said_of_a_target_is_refused_without_one() {
        for given in [
            &["--keystone"][..],
            &["--cacert", "x"],
            &["--os-cloud", "x"],
        ] {
            for what in [&[][..], &["--model"]] {
                let line = refused(&[given, what].concat());
                let expected = format!("nanshe: {}: needs a TARGET, and there is none", given[0]);
                assert_eq!(line, expected);
            }
        }
    }

    #[test]
    fn malformed_files_are_named_with_their_line() {
        let line = refused(&["Cargo.toml"]);
        assert!(line.starts_with("nanshe: Cargo.toml:"), "{line}");
        let line = refused(&["http://127.0.0.1:1", "--known-failures", "Cargo.toml"]);
        assert!(line.starts_with("nanshe: Cargo.toml:"), "{line}");
    }

    #[test]
    fn options_that_cannot_be_are_refused_with_what_would_be_right() {
        let line = refused(&["--suite-version", "99"]);
        assert!(line.contains("there is no version 99, this is "), "{line}");
        let line = refused(&["--update-known-failures"]);
        assert!(line.contains("name one by --known-failures FILE"), "{line}");
        for bad in [
            &["--shard", "3/2"][..],
            &["--profile", "lax"],
            &["--fast", "--wait-max", "1"],
        ] {
            let (exit, out, _) = nanshe(&[&["conform"], bad].concat());
            assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{bad:?}");
        }
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

    /// A server on a port of its own, while the runtime lives.
    fn server(runtime: &tokio::runtime::Runtime, seed: u64) -> String {
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clock = std::sync::Arc::new(nanshe_reference::server::SystemClock::new());
        let config = nanshe_reference::config::Config::default();
        let service = nanshe_reference::Service::new(config.settings, seed, clock);
        let never = std::future::pending::<()>();
        let served = nanshe_reference::server::serve_with(listener, service, config.options, never);
        drop(runtime.spawn(served));
        url
    }

    #[test]
    fn several_targets_are_judged_one_after_the_other_and_compared() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let urls = [server(&runtime, 1), server(&runtime, 2)];
        let [html, markdown] = ["html", "md"].map(|form| {
            let name = format!("nanshe-compared-{}.{form}", std::process::id());
            std::env::temp_dir()
                .join(name)
                .to_string_lossy()
                .into_owned()
        });
        let few = [
            "--only",
            "common/ping-answers-204",
            "messages/body-is-required",
        ];
        let pages = ["--html", &html, "--markdown", &markdown];
        let words = [&["conform", &urls[0], &urls[1]], &few[..], &pages[..]].concat();
        let (exit, out, error) = nanshe(&words);
        let text = |file: &str| {
            let text = std::fs::read_to_string(file).unwrap();
            std::fs::remove_file(file).unwrap();
            text
        };
        let (html, markdown) = (text(&html), text(&markdown));
        assert_eq!(exit, Exit::Valid, "{error}");
        let words = [&["conform", "--json", &urls[0], &urls[1]], &few[..]].concat();
        let (_, list, _) = nanshe(&words);
        let list: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
        let targets: Vec<&str> = list.iter().filter_map(|it| it["target"].as_str()).collect();
        assert_eq!(targets, [&urls[0], &urls[1]]);
        for url in &urls {
            let line = format!("{url}: 2 cases");
            assert_eq!(out.matches(&line).count(), 1, "{out}");
            assert!(html.contains(url.as_str()), "{html}");
        }
        assert!(html.contains("2 implementations compared"), "{html}");
        assert!(markdown.contains("every case stands alike"), "{markdown}");

        // What the first one found is kept, whatever becomes of the second.
        let kept = std::env::temp_dir().join(format!("nanshe-kept-{}.md", std::process::id()));
        let file = kept.to_string_lossy().into_owned();
        let gone = "http://127.0.0.1:1";
        let words = [&["conform", &urls[0], gone, "--markdown", &file], &few[..]].concat();
        let (exit, out, error) = nanshe(&words);
        assert_eq!(exit, Exit::Unknown, "{error}");
        assert!(
            out.contains(&urls[0]) && error.contains(gone),
            "{out} {error}"
        );
        let kept = text(&file);
        assert!(kept.contains("| common | 1 |"), "{kept}");

        // And whatever becomes of the first, the second is judged.
        let elsewhere = "http://127.0.0.1:2";
        let words = [&["conform", gone, &urls[0], elsewhere], &few[..]].concat();
        let (exit, out, error) = nanshe(&words);
        assert_eq!(exit, Exit::Unknown, "{error}");
        assert!(out.contains(&format!("{}: 2 cases", urls[0])), "{out}");
        let last = error.lines().last().unwrap();
        assert!(error.contains(elsewhere) && last.contains(gone), "{error}");

        // But what nobody can run is refused before the first has.
        for words in [
            &[&urls[0], "no-such-target.toml"][..],
            &[&urls[0], &urls[1], "--only", "no/such-case"],
        ] {
            refused(words);
        }
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
        fn fast_run_says_what_it_leaves_out() {
            let (exit, out, error) = nanshe(&["conform", "--fast"]);
            assert_eq!(exit, Exit::Valid, "{out}");
            assert!(error.starts_with("--fast leaves out "), "{error}");
            assert!(
                error.contains("lifetimes ") && error.contains("delays "),
                "{error}"
            );
            assert!(out.contains("left out for their long wait"), "{out}");
        }

        #[test]
        fn profile_version_and_share_choose_among_the_cases() {
            let judged = |args: &[&str]| -> serde_json::Value {
                let (exit, out, _) = nanshe(&[&["conform", "--json"], args].concat());
                assert_eq!(exit, Exit::Valid, "{args:?}");
                serde_json::from_str(&out).unwrap()
            };
            let core = judged(&["--profile", "core"]);
            assert_eq!(core["profile"], "core");
            let not_applicable = core["not_applicable"].as_u64().unwrap();
            let passed = core["passed"].as_u64().unwrap();
            assert!(not_applicable > 100 && passed > 80, "{passed} passed");
            let first = judged(&["--suite-version", "1"]);
            assert_eq!(first["suite_version"], 1);
            let cases = |report: &serde_json::Value| report["cases"].as_array().unwrap().len();
            let shares = [judged(&["--shard", "1/2"]), judged(&["--shard", "2/2"])];
            let all = nanshe_conformance::suite::cases().count();
            assert_eq!(cases(&shares[0]) + cases(&shares[1]), all);
        }

        #[test]
        fn known_failures_file_is_written_anew() {
            let file = std::env::temp_dir().join(format!("nanshe-new-{}.toml", std::process::id()));
            let mut cases = nanshe_conformance::suite::cases();
            let (first, second) = (cases.next().unwrap().path, cases.next().unwrap().path);
            let entry =
                |case: &str| format!("[[failure]]\ncase = '{case}'\nreason = 'it used to'\n");
            std::fs::write(
                &file,
                format!("# kept\n\n{}{}", entry(first), entry(second)),
            )
            .unwrap();
            let path = file.to_string_lossy().into_owned();
            let words = [
                "conform",
                "--update-known-failures",
                "--known-failures",
                &path,
                "--only",
            ];
            let (exit, _, error) = nanshe(&[&words[..], &[first]].concat());
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::remove_file(&file).unwrap();
            assert_eq!(exit, Exit::Valid, "{error}");
            assert!(error.contains("0 added, 1 removed"), "{error}");
            // The case that did not run keeps its entry.
            assert_eq!(text, format!("# kept\n\n{}", entry(second)));
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
