//! The ladders in virtual time.

use anyhow::Context as _;
use nanshe_conformance::scale::{Bounds, Options, Report};
use nanshe_simulator::scale;

use super::{options, repeat};
use crate::args::Scale;
use crate::commands::interruption;
use crate::commands::simulate::find;
use crate::output::{HarnessFailed, Shell};

pub(super) fn run(args: &Scale, shell: &mut Shell<'_>) -> anyhow::Result<Report> {
    let implementation = find(&args.implementation).context("--implementation")?;
    let seed = args.seed.unwrap_or(0);
    let options = options(args, Options::in_virtual_time(), seed);
    interruption::listen();
    let bar = shell.spinner();
    let told = bar.clone();
    let climbed = scale(
        implementation,
        (options, Bounds::default()),
        interruption::flag(),
        move |what| {
            told.set_message(what.to_owned());
            told.tick();
        },
    );
    bar.finish_and_clear();
    let mut report = climbed.map_err(|error| HarnessFailed(error.to_string()))?;
    report.repeat = repeat(args, seed);
    Ok(report)
}
