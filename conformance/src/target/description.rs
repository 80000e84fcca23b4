//! A target file: where an implementation is, how to start it, what it is known to fail.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::client::{Endpoint, EndpointError};
use crate::document::{self, Document, DocumentError};

/// Why a description was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// The target file, or the known-failures file it names.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The URL given in place of a file.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// How an implementation is reached, started and excused.
#[derive(Clone, Debug)]
pub struct Description {
    /// What reports call it.
    pub name: String,
    /// Where it is; `None` if [`Start`] tells when it has started.
    pub endpoint: Option<Endpoint>,
    /// How to start it.
    pub start: Option<Start>,
    /// How long to wait for a connection, and for an answer.
    pub patience: Duration,
    /// Most requests under way at once.
    pub in_flight_max: usize,
    /// How wrong its clock may be as a client sees it, granularity included (`guarantees.md`, ε).
    pub slack: Duration,
    /// What it is known to fail.
    pub known_failures: KnownFailures,
}

/// A command that starts an implementation in the foreground.
///
/// It prints `ready URL` on its standard output once it serves, and stops everything that it started
/// when its standard input ends.
#[derive(Clone, Debug)]
pub struct Start {
    /// Program and arguments, run in `folder`.
    pub command: Vec<String>,
    /// The folder of the target file.
    pub folder: PathBuf,
    /// How long it may take until it is ready.
    pub ready_within: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    url: Option<Spanned<String>>,
    start: Option<StartTable>,
    #[serde(default = "patience_secs_default")]
    patience_secs: u64,
    #[serde(default = "in_flight_max_default")]
    in_flight_max: Spanned<usize>,
    #[serde(default = "slack_ms_default")]
    slack_ms: u64,
    known_failures: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartTable {
    command: Spanned<Vec<String>>,
    ready_secs_max: u64,
}

fn patience_secs_default() -> u64 {
    30
}

fn in_flight_max_default() -> Spanned<usize> {
    Spanned::new(0..0, 32)
}

/// Whole seconds at the server, and as much again for the way there and back.
fn slack_ms_default() -> u64 {
    2_000
}

impl Description {
    /// The target that the user named: a URL or a target file.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong with the URL, the file, or the known-failures file it names.
    pub fn load(target: &str) -> Result<Self, DescriptionError> {
        if target.contains("://") {
            return Ok(Self::of_endpoint(
                target.to_owned(),
                Endpoint::parse(target)?,
            ));
        }
        let text = document::read(target)?;
        let folder = Path::new(target)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        Ok(Self::of_file(
            Document {
                file: target,
                text: &text,
            },
            &folder,
        )?)
    }

    /// A target of which only the endpoint is known.
    pub fn of_endpoint(name: String, endpoint: Endpoint) -> Self {
        Self {
            name,
            endpoint: Some(endpoint),
            start: None,
            patience: Duration::from_secs(patience_secs_default()),
            in_flight_max: in_flight_max_default().into_inner(),
            slack: Duration::from_millis(slack_ms_default()),
            known_failures: KnownFailures::default(),
        }
    }

    /// Parses a target file that lies in `folder`.
    ///
    /// # Errors
    ///
    /// With file, line and key.
    pub fn of_file(document: Document<'_>, folder: &Path) -> Result<Self, DocumentError> {
        let file: File = document.parse()?;
        let endpoint = match &file.url {
            None => None,
            Some(url) => Some(
                Endpoint::parse(url.get_ref())
                    .map_err(|error| document.error(Some(url.span()), error.to_string()))?,
            ),
        };
        if endpoint.is_some() == file.start.is_some() {
            let message = "needs one of `url` and `[start]`, so that it can be reached";
            return Err(document.error(None, message));
        }
        if *file.in_flight_max.get_ref() == 0 {
            let span = Some(file.in_flight_max.span());
            return Err(document.error(span, "must be at least 1"));
        }
        let start = match file.start {
            None => None,
            Some(start) if start.command.get_ref().is_empty() => {
                let message = "is empty, expected a program and its arguments";
                return Err(document.error(Some(start.command.span()), message));
            }
            Some(start) => Some(Start {
                command: start.command.into_inner(),
                folder: folder.to_owned(),
                ready_within: Duration::from_secs(start.ready_secs_max),
            }),
        };
        let known_failures = match &file.known_failures {
            None => KnownFailures::default(),
            Some(path) => KnownFailures::load(&folder.join(path).to_string_lossy())?,
        };
        Ok(Self {
            name: file.name,
            endpoint,
            start,
            patience: Duration::from_secs(file.patience_secs),
            in_flight_max: file.in_flight_max.into_inner(),
            slack: Duration::from_millis(file.slack_ms),
            known_failures,
        })
    }
}

/// Cases that an implementation is known to fail. They still run.
#[derive(Clone, Debug, Default)]
pub struct KnownFailures {
    /// The entries, in the order of the file.
    pub entries: Vec<KnownFailure>,
}

/// One case that is known to fail, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFailure {
    /// The case's path.
    pub case: String,
    /// Why it fails.
    pub reason: String,
    /// `file:line` of the entry.
    pub place: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownFailuresFile {
    #[serde(default)]
    failure: Vec<KnownFailureTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownFailureTable {
    case: Spanned<String>,
    reason: Spanned<String>,
}

impl KnownFailures {
    /// Reads a known-failures file.
    ///
    /// # Errors
    ///
    /// With file, line and key: not such a file, an unknown case, a case named twice, no reason.
    pub fn load(file: &str) -> Result<Self, DocumentError> {
        let text = document::read(file)?;
        Self::parse(Document { file, text: &text })
    }

    /// Parses a known-failures file.
    ///
    /// # Errors
    ///
    /// As [`KnownFailures::load`].
    pub fn parse(document: Document<'_>) -> Result<Self, DocumentError> {
        let file: KnownFailuresFile = document.parse()?;
        let mut entries: Vec<KnownFailure> = Vec::new();
        for failure in file.failure {
            let at = document.error(Some(failure.case.span()), "");
            let case = failure.case.into_inner();
            if !crate::suite::cases().any(|known| known.path == case) {
                let near = document::suggestion(&case, crate::suite::cases().map(|c| c.path));
                let message = format!("there is no case `{case}`{near}");
                return Err(DocumentError { message, ..at });
            }
            if entries.iter().any(|entry| entry.case == case) {
                return Err(DocumentError {
                    message: format!("`{case}` is named twice"),
                    ..at
                });
            }
            if failure.reason.get_ref().trim().is_empty() {
                let span = Some(failure.reason.span());
                return Err(document.error(span, "is empty, expected why the case fails"));
            }
            let place = format!("{}:{}", document.file, at.line.unwrap_or(1));
            entries.push(KnownFailure {
                case,
                reason: failure.reason.into_inner(),
                place,
            });
        }
        Ok(Self { entries })
    }

    /// The entry for `case`.
    pub fn find(&self, case: &str) -> Option<&KnownFailure> {
        self.entries.iter().find(|entry| entry.case == case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(text: &str) -> Result<Description, String> {
        Description::of_file(
            Document {
                file: "t.toml",
                text,
            },
            Path::new("folder"),
        )
        .map_err(|error| error.to_string())
    }

    fn known(text: &str) -> Result<KnownFailures, String> {
        KnownFailures::parse(Document {
            file: "k.toml",
            text,
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn target_with_url_has_the_documented_defaults() {
        let target = description("name = 'x'\nurl = 'http://127.0.0.1:8888/'").unwrap();
        assert_eq!(
            target.endpoint.unwrap().to_string(),
            "http://127.0.0.1:8888"
        );
        assert_eq!(target.patience, Duration::from_secs(30));
        assert_eq!(target.in_flight_max, 32);
        assert_eq!(target.slack, Duration::from_secs(2));
    }

    #[test]
    fn target_errors_name_file_line_and_key() {
        let error = |text| description(text).unwrap_err();
        assert_eq!(
            error("name = 'x'\nurl = 'ftp://x'"),
            "t.toml:2: `url`: `ftp://x` is not a target URL: its scheme is not http, \
             expected http://HOST[:PORT][/PREFIX]"
        );
        assert_eq!(
            error("name = 'x'"),
            "t.toml: needs one of `url` and `[start]`, so that it can be reached"
        );
        assert_eq!(
            error("name = 'x'\n[start]\ncommand = []\nready_secs_max = 1"),
            "t.toml:3: `command`: is empty, expected a program and its arguments"
        );
        assert_eq!(
            error("name = 'x'\nurl = 'http://h'\nin_flight_max = 0"),
            "t.toml:3: `in_flight_max`: must be at least 1"
        );
    }

    #[test]
    fn known_failure_needs_an_existing_case_and_a_reason() {
        let case = crate::suite::cases().next().unwrap().path;
        assert_eq!(
            known("[[failure]]\ncase = 'no/such'\nreason = 'r'").unwrap_err(),
            "k.toml:2: `case`: there is no case `no/such`"
        );
        assert_eq!(
            known(&format!("[[failure]]\ncase = '{case}'\nreason = ' '")).unwrap_err(),
            "k.toml:3: `reason`: is empty, expected why the case fails"
        );
        let entry = format!("[[failure]]\ncase = '{case}'\nreason = 'r'\n");
        assert_eq!(known(&entry).unwrap().find(case).unwrap().reason, "r");
        assert_eq!(
            known(&format!("{entry}{entry}")).unwrap_err(),
            format!("k.toml:5: `case`: `{case}` is named twice")
        );
    }

    #[test]
    fn endpoint_understands_prefix_default_port_and_ipv6() {
        let parse = |url| Endpoint::parse(url).map(|endpoint| endpoint.to_string());
        assert_eq!(
            parse("http://h/messaging/").unwrap(),
            "http://h:80/messaging"
        );
        assert_eq!(parse("http://[::1]:9").unwrap(), "http://[::1]:9");
        for bad in [
            "",
            "h:80",
            "https://h",
            "http://",
            "http://h:0",
            "http://h:70000",
            "http://h/?x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
