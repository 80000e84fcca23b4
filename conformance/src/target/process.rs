//! Starts an implementation by its target file's command, and stops it again.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::client::{Endpoint, EndpointError};
use super::description::{Description, Start};

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
    /// What pools may be made of there.
    pub pool_uris: Vec<String>,
    /// Where it speaks WebSocket, if it said so.
    pub websocket: Option<Endpoint>,
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
        let trusting = |endpoint: Endpoint| match &start.authorities {
            None => endpoint,
            Some(authorities) => endpoint.trusting(authorities),
        };
        let told = ready.map_err(not_ready).and_then(|words| {
            let (url, uris) = words.split_once(' ').unwrap_or((&words, ""));
            let is_socket = |uri: &&str| uri.starts_with("ws://") || uri.starts_with("wss://");
            let (sockets, uris): (Vec<&str>, Vec<&str>) =
                uris.split_whitespace().partition(is_socket);
            let websocket = sockets.first().map(|uri| Endpoint::parse_websocket(uri));
            let websocket = websocket.transpose()?.map(trusting);
            let uris = uris.into_iter().map(str::to_owned).collect();
            Ok((trusting(Endpoint::parse(url)?), uris, websocket))
        });
        match told {
            Ok((endpoint, pool_uris, websocket)) => Ok(Self {
                child,
                stdin,
                endpoint,
                pool_uris,
                websocket,
            }),
            Err(error) => {
                // What it may have started by now is its own to stop.
                drop(stop(child, stdin).await);
                Err(error)
            }
        }
    }

    /// `target` with what was told when it started, which a file could not know.
    pub fn told(&self, target: &Description) -> Description {
        let mut target = target.clone();
        target.pool_uris.extend(self.pool_uris.iter().cloned());
        target.websocket = self.websocket.clone().or(target.websocket);
        target
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

/// What follows on the line `ready URL [URI]…`, or what came instead.
async fn first_line(stdout: ChildStdout) -> Result<String, String> {
    let mut lines = BufReader::new(stdout).lines();
    match lines.next_line().await {
        Err(error) => Err(format!("could not be read ({error})")),
        Ok(None) => Err("ended".to_owned()),
        Ok(Some(line)) => match line.strip_prefix("ready ") {
            Some(words) => {
                let words = words.to_owned();
                drop(tokio::spawn(unheard(lines)));
                Ok(words)
            }
            None => Err(format!("said `{line}`")),
        },
    }
}

/// What a server says when it serves is for nobody, but it must be able to say it.
async fn unheard(mut lines: Lines<BufReader<ChildStdout>>) {
    let stdout = lines.get_mut();
    // It has ended when it says no more, in whatever way.
    drop(tokio::io::copy(stdout, &mut tokio::io::sink()).await);
}

async fn stop(mut child: Child, stdin: ChildStdin) -> std::io::Result<()> {
    drop(stdin);
    match tokio::time::timeout(STOP_WITHIN, child.wait()).await {
        Ok(status) => status.map(drop),
        Err(_) => child.kill().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(line: &str) -> Start {
        // It lives as long as its standard input does.
        let script = format!("echo '{line}'; cat >/dev/null");
        Start {
            command: ["sh", "-c", &script].map(str::to_owned).into(),
            folder: std::path::PathBuf::new(),
            ready_within: Duration::from_secs(60),
            authorities: None,
        }
    }

    #[tokio::test]
    async fn uris_behind_the_url_are_of_pools_and_of_its_websocket() {
        let line = "ready http://127.0.0.1:9 redis://a?dbid=1{} ws://127.0.0.1:8 redis://b";
        let started = Started::start(&start(line)).await.unwrap();
        assert_eq!(started.endpoint.to_string(), "http://127.0.0.1:9");
        let mut target = Description::of_endpoint("x".to_owned(), started.endpoint.clone());
        target.pool_uris.push("memory://c".to_owned());
        let told = started.told(&target).pool_uris;
        assert_eq!(told, ["memory://c", "redis://a?dbid=1{}", "redis://b"]);
        let websocket = started.told(&target).websocket.unwrap();
        assert_eq!(websocket.address.to_string(), "127.0.0.1:8");
        started.stop().await.unwrap();
        let started = Started::start(&start("ready http://127.0.0.1:9"))
            .await
            .unwrap();
        assert!(started.pool_uris.is_empty() && started.websocket.is_none());
        started.stop().await.unwrap();
    }

    #[tokio::test]
    async fn server_may_say_more_than_that_it_is_ready() {
        // What it writes when nobody reads ends it.
        let script = "echo 'ready http://127.0.0.1:9'; head -c 1000000 /dev/zero";
        let talkative = Start {
            command: ["sh", "-c", script].map(str::to_owned).into(),
            ..start("")
        };
        let mut started = Started::start(&talkative).await.unwrap();
        assert!(started.child.wait().await.unwrap().success());
    }

    #[tokio::test]
    async fn other_words_are_told_and_the_command_is_stopped() {
        let error = Started::start(&start("hello"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("said `hello`"), "{error}");
        let line = "ready http://127.0.0.1:9 ws://";
        let error = Started::start(&start(line)).await.unwrap_err();
        assert!(matches!(error, StartError::Endpoint(_)), "{error}");
        let error = Started::start(&start("ready nowhere")).await.unwrap_err();
        assert!(matches!(error, StartError::Endpoint(_)), "{error}");
    }
}
