//! `nanshe worker`: a process that runs seeds for `simulate` and `explore`. Not for users.

use crate::output::{Exit, Shell};

#[cfg(madsim)]
pub(crate) fn run(shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    // A parent that is gone has no use for what is left.
    let _parent_is_gone = nanshe_simulator::work(std::io::stdin().lock(), &mut *shell.out);
    Ok(Exit::Valid)
}

#[cfg(not(madsim))]
pub(crate) fn run(_: &mut Shell<'_>) -> anyhow::Result<Exit> {
    anyhow::bail!(nanshe_simulator::UNAVAILABLE)
}
