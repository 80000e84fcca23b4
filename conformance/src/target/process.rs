//! Starts an implementation by its target file's command, and stops it again.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::client::{Endpoint, EndpointError};
use super::description::Start;

/// How long a started implementation may take to stop before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Why an implementation could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The command could not be run at all.
    #[error("cannot run `{command}`: {error}")]
    Spawn {
        /// The command, as the target file has it.
        command: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It ended, or fell silent, before it was ready.
    #[error("`{command}` {what}, expected a line `ready URL` within {within:?}")]
    NotReady {
        /// The command, as the target file has it.
        command: String,
        /// What it did instead.
        what: String,
        /// How long it had.
        within: Duration,
    },
    /// It was ready at something that is not a URL.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// An implementation that was started here. Dropping it kills the command.
#[derive(Debug)]
pub struct Started {
    child: Child,
    /// The command stops when this is closed: also when this process dies, in whatever way.
    stdin: ChildStdin,
    /// Where it serves.
    pub endpoint: Endpoint,
}

impl Started {
    /// Runs the command and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If it cannot be run, ends early, says something else, or takes too long.
    pub async fn start(start: &Start) -> Result<Self, StartError> {
        let command = start.command.join(" ");
        let [program, arguments @ ..] = start.command.as_slice() else {
            unreachable!("a description refuses an empty command")
        };
        // A program with a slash is meant relative to the target file, not to the caller's folder.
        let spawn_error = |error| StartError::Spawn {
            command: command.clone(),
            error,
        };
        let folder = if start.folder.as_os_str().is_empty() {
            ".".as_ref()
        } else {
            &*start.folder
        };
        let folder = folder.canonicalize().map_err(spawn_error)?;
        let program = if program.contains('/') {
            folder.join(program)
        } else {
            program.into()
        };
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(spawn_error)?;
        let stdin = child.stdin.take().expect("standard input is piped");
        let stdout = child.stdout.take().expect("standard output is piped");
        let ready = tokio::time::timeout(start.ready_within, first_line(stdout)).await;
        let ready = ready.unwrap_or_else(|_| Err("said nothing".to_owned()));
        let not_ready = |what| StartError::NotReady {
            command,
            what,
            within: start.ready_within,
        };
        let endpoint = ready
            .map_err(not_ready)
            .and_then(|url| Ok(Endpoint::parse(&url)?));
        match endpoint {
            Ok(endpoint) => Ok(Self {
                child,
                stdin,
                endpoint,
            }),
            Err(error) => {
                // What it may have started by now is its own to stop.
                drop(stop(child, stdin).await);
                Err(error)
            }
        }
    }

    /// The command's process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks it to stop, waits, and kills the command if it does not.
    ///
    /// # Errors
    ///
    /// If it neither stopped nor could be killed.
    pub async fn stop(self) -> std::io::Result<()> {
        stop(self.child, self.stdin).await
    }
}

/// The URL of the line `ready URL`, or what came instead.
async fn first_line(stdout: ChildStdout) -> Result<String, String> {
    match BufReader::new(stdout).lines().next_line().await {
        Err(error) => Err(format!("could not be read ({error})")),
        Ok(None) => Err("ended".to_owned()),
        Ok(Some(line)) => match line.strip_prefix("ready ") {
            Some(url) => Ok(url.to_owned()),
            None => Err(format!("said `{line}`")),
        },
    }
}

async fn stop(mut child: Child, stdin: ChildStdin) -> std::io::Result<()> {
    drop(stdin);
    match tokio::time::timeout(STOP_WITHIN, child.wait()).await {
        Ok(status) => status.map(drop),
        Err(_) => child.kill().await,
    }
}
