//! `nanshe`: does a message service keep its promises?
//!
//! This package parses arguments, calls one library function, prints, and chooses the exit code. This
//! file is the only one that touches standard output, standard error and the process.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

mod args;
mod commands;
mod output;
#[cfg(test)]
mod tidy;

/// Histories are many small values, made on one thread and freed on another, and so are the worlds of seeds: the
/// system's allocator took a third of a simulated run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let (mut out, mut error) = (std::io::stdout(), std::io::stderr());
    let shows_progress = error.is_terminal();
    let mut shell = output::Shell {
        out: &mut out,
        error: &mut error,
        shows_progress,
    };
    let exit = commands::run(std::env::args_os(), &mut shell);
    // Nobody is left to tell that standard output is gone.
    drop(std::io::stdout().flush());
    exit.into()
}
