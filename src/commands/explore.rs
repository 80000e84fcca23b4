//! `nanshe explore`.

#[cfg(not(madsim))]
pub(crate) fn run(
    _args: &crate::args::Explore,
    _shell: &mut crate::output::Shell<'_>,
) -> anyhow::Result<crate::output::Exit> {
    anyhow::bail!(nanshe_simulator::UNAVAILABLE)
}

#[cfg(madsim)]
pub(crate) use exploring::run;

#[cfg(madsim)]
mod exploring;
#[cfg(madsim)]
mod table;
