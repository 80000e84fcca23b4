//! The application over Nanshe's simulator, as `nanshe simulate` runs every scenario.

use anyhow::{Context as _, ensure};
use nanshe_simulator::scenario::Scenario;
use nanshe_simulator::{implementations, run};

use crate::application::{Done, check};

/// One run.
pub(crate) fn once(scenario: &Scenario, seed: u64) -> anyhow::Result<Done> {
    let reference = implementations()
        .next()
        .context("the reference comes first")?;
    let run = run(scenario, reference, seed)?;
    ensure!(run.trouble.is_none(), "{:?}", run.trouble);
    check(&run.verdicts)?;
    Ok(Done {
        requests: run.operations,
        lines: run.lines.into_bytes(),
    })
}
