//! `nanshe simulate`.

#[cfg(not(madsim))]
pub(crate) fn run(
    _args: &crate::args::Simulate,
    _shell: &mut crate::output::Shell<'_>,
) -> anyhow::Result<crate::output::Exit> {
    anyhow::bail!(nanshe_simulator::UNAVAILABLE)
}

#[cfg(madsim)]
pub(crate) use simulating::{SCENARIO, SUMMARY, find, pool, run, suffix};

#[cfg(madsim)]
mod simulating;
