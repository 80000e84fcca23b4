//! One file per subcommand.

use std::ffi::OsString;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::{Cli, Command};
use crate::output::{Exit, HarnessFailed, Shell};

mod check;
mod conform;
mod convert;
mod explore;
mod interruption;
mod list;
mod login;
mod pages;
mod replay;
mod report;
mod scale;
mod serve;
#[cfg(madsim)]
mod shard;
mod simulate;
mod stress;
mod target;
mod worker;

/// Runs the command that `args` say, the program's name first.
pub(crate) fn run(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    shell: &mut Shell<'_>,
) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, shell),
    };
    let done = match cli.command {
        Command::Conform(args) => conform::run(&args, shell),
        Command::Simulate(args) => simulate::run(&args, shell),
        Command::Explore(args) => explore::run(&args, shell),
        Command::Stress(args) => stress::run(&args, shell),
        Command::Scale(args) => scale::run(&args, shell),
        Command::Replay(args) => replay::run(&args, shell),
        Command::Check(args) => check::run(&args, shell),
        Command::Convert(args) => convert::run(&args, shell),
        Command::Serve(args) => serve::run(&args, shell),
        Command::List(args) => list::run(&args, shell),
        Command::Report(args) => report::run(&args, shell),
        Command::Worker => worker::run(shell),
    };
    done.unwrap_or_else(|error| {
        shell.say(&format!("nanshe: {error:#}"));
        if error.is::<HarnessFailed>() {
            Exit::Unknown
        } else {
            Exit::Usage
        }
    })
}

/// Help and version go to standard output and are no error.
fn refuse(error: &clap::Error, shell: &mut Shell<'_>) -> Exit {
    let text = error.render().to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return shell.print(&text).map_or(Exit::Unknown, |()| Exit::Valid);
    }
    shell.say(text.trim_end());
    if is_without_target(error) {
        shell.say("An option with <FAULT>... or the like takes all that follows it: TARGET stands before it.");
    }
    Exit::Usage
}

/// Whether the target is missing, which an option that takes a list may have taken for one of its words.
fn is_without_target(error: &clap::Error) -> bool {
    let missing = error.get(clap::error::ContextKind::InvalidArg);
    error.kind() == ErrorKind::MissingRequiredArgument
        && missing.is_some_and(|names| names.to_string().contains("<TARGET>"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Runs a command line: exit, standard output, standard error.
    pub(crate) fn nanshe(args: &[&str]) -> (Exit, String, String) {
        let (mut out, mut error) = (Vec::new(), Vec::new());
        let mut shell = Shell {
            out: &mut out,
            error: &mut error,
            shows_progress: false,
        };
        let exit = run(["nanshe"].iter().chain(args), &mut shell);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (exit, text(out), text(error))
    }

    #[test]
    fn help_names_every_command_and_the_exit_codes() {
        let (exit, out, error) = nanshe(&["--help"]);
        assert_eq!((exit, error.as_str()), (Exit::Valid, ""));
        for word in [
            "conform",
            "simulate",
            "stress",
            "scale",
            "replay",
            "check",
            "convert",
            "serve",
            "list",
            "report",
            "Exit codes: 0 all valid",
        ] {
            assert!(out.contains(word), "{word} in {out}");
        }
    }

    #[test]
    fn bad_usage_exits_2() {
        for args in [
            &["conform", "--levle", "must"][..],
            &["nonsense"],
            &[],
            &["simulate"],
        ] {
            let (exit, out, _) = nanshe(args);
            assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{args:?}");
        }
    }
}
