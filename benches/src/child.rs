//! `nanshe serve` as a process of its own, so that its memory is nobody else's.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::memory;

/// A server that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts a program as `nanshe`; without one, that beside this program.
    ///
    /// # Errors
    ///
    /// If it does not start, or does not say where it listens.
    pub fn start(program: Option<&Path>) -> anyhow::Result<Self> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => beside()?,
        };
        let mut child = Command::new(&program)
            .args(["serve", "--bind", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        read.context("cannot read what the server says")?;
        let address = line.trim().strip_prefix("serving http://");
        let address = address.and_then(|address| address.parse().ok());
        match address {
            Some(address) => Ok(Self { child, address }),
            None => {
                drop(child.kill());
                anyhow::bail!("the server said `{}`", line.trim())
            }
        }
    }

    /// The bytes of memory that it has in use.
    ///
    /// # Errors
    ///
    /// If the system does not tell.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        memory::resident_bytes(self.child.id())
    }

    /// Stops it with SIGTERM and waits for its end.
    ///
    /// # Errors
    ///
    /// If it ends with anything but success.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("the server has no process id")?, Signal::TERM)?;
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn beside() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("nanshe");
    anyhow::ensure!(
        program.exists(),
        "{} is not there: `cargo build --release` makes it",
        program.display()
    );
    Ok(program)
}
