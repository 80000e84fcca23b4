//! `nanshe conform --model`: drawn sequences in place of the suite.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nanshe_conformance::environment::{TokioEnvironment, World};
use nanshe_conformance::model::{
    self, Findings, Noted, Plan, Progress, Reached, Rules, Served, Without,
};
use nanshe_conformance::target::{Client, Description, Endpoint};

use super::known_failures;
use crate::args::Conform;
#[cfg(madsim)]
use crate::commands::interruption;
use crate::commands::login;
use crate::commands::target::{look, on_target};
use crate::output::{Exit, Shell, wall_clock_seed};

/// Sequences on a target and in virtual time, unless `--sequences` says otherwise.
const SEQUENCES: (u64, u64) = (200, 1_000);

/// The longest single wait on a target, unless `--wait-max` says otherwise, in seconds.
const WAIT_SECS_MAX: u64 = 3;

/// Where nothing is said about waiting, one in so many sequences on a target may wait a minute.
const LONG_WAIT_EVERY: u64 = 25;

/// How much later than its ttl says the documents let a message vanish, in seconds.
const EXPIRY_LAG_SECS: u64 = 60;

/// How long what is under way when a run is stopped may take to be answered.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// How long deleting what the sequences made may take.
const CLEAN_UP_WITHIN: Duration = Duration::from_secs(60);

/// On a target: runs that may go into making one difference smaller, and seconds.
const SHRINK_MAX: (u64, u64) = (400, 90);

pub(super) fn run(args: &Conform, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let findings = match &args.target {
        None => in_virtual_time(args, shell)?,
        Some(target) => {
            let mut target = login::load(&args.login, target)?;
            target.known_failures = known_failures::read(args, Some(&target))?.list;
            let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
            let work = async |target: &_, endpoint, _, shell: &mut Shell<'_>| {
                compare(args, (target, endpoint), shell).await
            };
            runtime.block_on(on_target(&target, shell, work))?
        }
    };
    let text = if args.json {
        findings.json()
    } else {
        findings.terminal()
    };
    shell.print(&text)?;
    Ok(findings.verdict().into())
}

/// What the command line says, for a server in virtual time.
fn plan(args: &Conform, sequences: u64) -> Plan {
    let modeling = &args.modeling;
    let seed = args.seed.unwrap_or_else(|| match args.target {
        None => 1,
        Some(_) => wall_clock_seed(),
    });
    Plan {
        length: usize::from(modeling.length),
        without: Without(modeling.without.clone()),
        wait_max: args.wait_max.map(Duration::from_secs),
        command: command(args, seed),
        ..Plan::new(seed, modeling.sequences.unwrap_or(sequences))
    }
}

async fn compare(
    args: &Conform,
    (target, endpoint): (&Description, Endpoint),
    shell: &mut Shell<'_>,
) -> anyhow::Result<Findings> {
    let world: World = Arc::new(TokioEnvironment::new());
    let target = &Description {
        session: login::log_in(&args.login, target, Arc::clone(&world)).await?,
        ..target.clone()
    };
    look(&world, target, &endpoint, shell).await?;
    let drawn = plan(args, SEQUENCES.0);
    let plan = Plan {
        rules: Rules {
            slack: target.slack,
            expiry_lag: Duration::from_secs(EXPIRY_LAG_SECS),
        },
        wait_max: Some(drawn.wait_max.unwrap_or(Duration::from_secs(WAIT_SECS_MAX))),
        long_wait_every: args.wait_max.is_none().then_some(LONG_WAIT_EVERY),
        known: target.known_failures.differences.clone(),
        at_once: target.in_flight_max,
        shrink_attempts_max: SHRINK_MAX.0,
        shrink_for: Duration::from_secs(SHRINK_MAX.1),
        // The same seed twice on one server must not meet what the first run left.
        names: format!("nanshe-{:x}", wall_clock_seed()),
        url: endpoint.to_string(),
        ..drawn
    };
    shell.say(&format!(
        "{} sequences on {endpoint}, seed {}, {} at once",
        plan.sequences, plan.seed, plan.at_once
    ));
    let bar = shell.progress(plan.sequences);
    let client = Client::of(Arc::clone(&world), target, endpoint, target.in_flight_max);
    let client = Arc::new(client);
    let served = Arc::new(Noted::new(Reached { world, client }));
    let drawing = model::run_until(
        Arc::clone(&served) as Arc<dyn Served>,
        &plan,
        |progress| show(&bar, progress),
        super::interrupted(),
    );
    let findings = drawing.await;
    bar.finish_and_clear();
    if !args.keep {
        // What is still on its way would make its queue anew after that was deleted.
        let late = match findings.stopped {
            Some(_) => served.settle(ANSWERED_WITHIN).await,
            None => None,
        };
        let left = served.clean_up(CLEAN_UP_WITHIN).await;
        for trouble in [late, left].into_iter().flatten() {
            shell.say(&trouble);
        }
    }
    Ok(findings)
}

fn show(bar: &indicatif::ProgressBar, progress: Progress) {
    bar.set_position(progress.done);
    bar.set_message(format!("{} differ", progress.differed));
}

/// The command that draws the same sequences again.
fn command(args: &Conform, seed: u64) -> String {
    let mut command = "nanshe conform".to_owned();
    if let Some(target) = &args.target {
        command.push_str(&format!(" {target}"));
    }
    command.push_str(&format!(
        " --model --seed {seed} --length {}",
        args.modeling.length
    ));
    if let Some(secs) = args.wait_max {
        command.push_str(&format!(" --wait-max {secs}"));
    }
    for kind in &args.modeling.without {
        command.push_str(&format!(" --without {kind}"));
    }
    command
}

#[cfg(madsim)]
fn in_virtual_time(args: &Conform, shell: &mut Shell<'_>) -> anyhow::Result<Findings> {
    let plan = plan(args, SEQUENCES.1);
    let bar = shell.progress(plan.sequences);
    let reference = nanshe_simulator::implementations().next();
    let reference = reference.expect("the reference is the first implementation");
    interruption::listen();
    let progress = {
        let bar = bar.clone();
        move |progress| show(&bar, progress)
    };
    let findings = nanshe_simulator::model(reference, plan, progress, interruption::stopped_by);
    bar.finish_and_clear();
    findings.map_err(|error| crate::output::HarnessFailed(error.to_string()).into())
}

#[cfg(not(madsim))]
fn in_virtual_time(_: &Conform, _: &mut Shell<'_>) -> anyhow::Result<Findings> {
    anyhow::bail!(nanshe_simulator::UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use crate::commands::tests::nanshe;
    use crate::output::Exit;

    #[test]
    fn kinds_that_do_not_exist_are_refused_with_the_nearest() {
        let (exit, out, error) = nanshe(&["conform", "--model", "--without", "clam"]);
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
        assert!(error.contains("did you mean `claim`?"), "{error}");
    }

    #[test]
    fn options_of_sequences_need_sequences() {
        let (exit, _, error) = nanshe(&["conform", "--sequences", "10"]);
        assert_eq!(exit, Exit::Usage);
        assert!(error.contains("--model"), "{error}");
        let (exit, _, _) = nanshe(&["conform", "--model", "--only", "claims"]);
        assert_eq!(exit, Exit::Usage);
    }

    #[cfg(madsim)]
    #[test]
    fn sequences_on_the_reference_are_valid_and_counted() {
        let args = ["conform", "--model", "--sequences", "30", "--seed", "5"];
        let (exit, out, error) = nanshe(&args);
        assert_eq!((exit, error.as_str()), (Exit::Valid, ""), "{out}");
        assert!(out.starts_with("30 sequences, "), "{out}");
        let (_, out, _) = nanshe(&[&args[..], &["--json"]].concat());
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(document["verdict"], "valid");
        assert_eq!(document["sequences"], 30);
    }
}
