//! `nanshe scale`.

use std::time::Duration;

use nanshe_conformance::scale::{Ladder, Options, Report};

use super::login;
use crate::args::Scale;
use crate::output::{Exit, Shell, point_latest_to, stopped_suffix, write_whole};

mod on_target;
#[cfg(madsim)]
mod table;
#[cfg(madsim)]
mod virtually;

pub(crate) fn run(args: &Scale, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    if let Some(seeds) = args.specimens {
        return specimens(args, seeds, shell);
    }
    let report = match &args.target {
        Some(target) => {
            // Everything is read before anything is started.
            let description = login::load(&args.login, target)?;
            on_target::run(args, &description, shell)?
        }
        None => {
            anyhow::ensure!(
                !args.login.is_asked_for(),
                "--keystone: needs a TARGET to log in for"
            );
            in_virtual_time(args, shell)?
        }
    };
    conclude(args, &report, shell)
}

#[cfg(madsim)]
fn in_virtual_time(args: &Scale, shell: &mut Shell<'_>) -> anyhow::Result<Report> {
    virtually::run(args, shell)
}

#[cfg(madsim)]
fn specimens(args: &Scale, seeds: u64, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    table::run(args, seeds, shell)
}

#[cfg(not(madsim))]
fn specimens(_args: &Scale, _seeds: u64, _shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    anyhow::bail!(nanshe_simulator::UNAVAILABLE)
}

#[cfg(not(madsim))]
fn in_virtual_time(_args: &Scale, _shell: &mut Shell<'_>) -> anyhow::Result<Report> {
    anyhow::bail!(nanshe_simulator::UNAVAILABLE)
}

/// The defaults, and what the command line says instead.
fn options(args: &Scale, default: Options, seed: u64) -> Options {
    let ladders = if args.ladder.is_empty() {
        Ladder::ALL.to_vec()
    } else {
        args.ladder.clone()
    };
    Options {
        ladders,
        longest: args.longest.unwrap_or(default.longest),
        rounds: args.rounds.unwrap_or(default.rounds),
        warm_up: args.warm_up.unwrap_or(default.warm_up),
        turns: args.turns.unwrap_or(default.turns),
        span: Duration::from_secs(args.span),
        clients_max: args.clients,
        rate_max: args.rate_max.unwrap_or(default.rate_max),
        seed,
        ..default
    }
}

/// Tells, stores, and chooses the exit code.
fn conclude(args: &Scale, report: &Report, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let document = format!("{:#}\n", serde_json::to_value(report)?);
    if args.json {
        shell.print(&document)?;
    } else {
        shell.print(&report.terminal())?;
    }
    let name = format!(
        "scale-{}-{}{}",
        super::stress::kebab(&report.target),
        report.seed,
        stopped_suffix(report.stopped.as_deref())
    );
    let folder = args.runs.join(&name);
    std::fs::create_dir_all(&folder)?;
    write_whole(&folder.join("report.json"), document.as_bytes())?;
    write_whole(&folder.join("report.html"), report.html().as_bytes())?;
    point_latest_to(&args.runs, &name)?;
    shell.say(&format!("stored in {}", folder.display()));
    Ok(report.verdict().into())
}

/// The command line that does the same again.
fn repeat(args: &Scale, seed: u64) -> String {
    let mut words = "nanshe scale".to_owned();
    match &args.target {
        Some(target) => words += &format!(" {target}"),
        None => words += &format!(" --implementation {}", args.implementation),
    }
    if !args.ladder.is_empty() {
        let ladders: Vec<&str> = args.ladder.iter().map(|ladder| ladder.name()).collect();
        words += &format!(" --ladder {}", ladders.join(","));
    }
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            words += &format!(" --{name} {value}");
        }
    };
    option("longest", args.longest.map(|longest| longest.to_string()));
    option(
        "rounds",
        args.rounds.map(|(least, most)| format!("{least}..{most}")),
    );
    option("warm-up", args.warm_up.map(|turns| turns.to_string()));
    option("turns", args.turns.map(|turns| turns.to_string()));
    option("span", (args.span != 1).then(|| args.span.to_string()));
    option(
        "clients",
        (args.clients != 16).then(|| args.clients.to_string()),
    );
    option("rate-max", args.rate_max.map(|rate| rate.to_string()));
    option("seed", Some(seed.to_string()));
    let login = args.login.words().into_iter();
    login.fold(words, |words, word| words + " " + &word)
}
