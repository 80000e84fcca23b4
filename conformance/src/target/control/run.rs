//! Runs the commands of a target file.

use std::process::Stdio;

use tokio::process::Command;

use super::Order;
use crate::target::Endpoint;

/// What a command finds in its environment.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// Where the target is (`NANSHE_URL`).
    pub endpoint: Endpoint,
    /// The process that the target file's start command became, if there is one (`NANSHE_PID`).
    pub pid: Option<u32>,
}

/// A command that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{command}` {what}")]
pub struct OrderError {
    command: String,
    what: String,
}

impl Order {
    /// Runs the command. The new place of the target, if it says one.
    ///
    /// # Errors
    ///
    /// If it cannot be run, fails, or takes too long; it is killed then.
    pub async fn run(&self, ordered: &Ordered) -> Result<Option<Endpoint>, OrderError> {
        let failed = |what: String| OrderError {
            command: self.command.join(" "),
            what,
        };
        let [program, arguments @ ..] = self.command.as_slice() else {
            unreachable!("invariant: a description refuses an empty command")
        };
        let folder = if self.folder.as_os_str().is_empty() {
            ".".as_ref()
        } else {
            &*self.folder
        };
        let folder = folder.canonicalize();
        let folder = folder.map_err(|error| failed(format!("has no folder to run in: {error}")))?;
        // A program with a slash is meant relative to the target file, not to the caller's folder.
        let program = if program.contains('/') {
            folder.join(program)
        } else {
            program.into()
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&folder)
            .env("NANSHE_URL", ordered.endpoint.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(pid) = ordered.pid {
            command.env("NANSHE_PID", pid.to_string());
        }
        let output = tokio::time::timeout(self.within, command.output()).await;
        let output = output
            .map_err(|_| failed(format!("did not end within {:?}", self.within)))?
            .map_err(|error| failed(format!("cannot be run: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().last().unwrap_or("nothing");
            return Err(failed(format!(
                "failed ({}), and said: {said}",
                output.status
            )));
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let url = said.lines().find_map(|line| line.strip_prefix("ready "));
        url.map(|url| Endpoint::parse(url).map_err(|error| failed(error.to_string())))
            .transpose()
    }
}
