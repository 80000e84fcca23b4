//! A target file: where an implementation is, how to start it, what it is known to fail.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::client::{Endpoint, EndpointError};
use super::control::{Control, ControlTables};
use super::keystone::Session;
use super::known_failures::KnownFailures;
use super::tls::{Authorities, AuthoritiesError};
use crate::document::{self, Document, DocumentError};
use crate::environment::{Address, AddressError};
use crate::scale::Bounds;
use crate::suite::{Capability, Profile};

/// Why a description was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// The target file, or the known-failures file it names.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The URL given in place of a file.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The authorities that vouch for it.
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    /// An address alone, where a file or a URL belongs.
    #[error("{target}: there is no such file; if it is an address, it is http://{target}")]
    NoScheme {
        /// What was given.
        target: String,
    },
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
    /// Whether the target file says how wrong its clock may be; else preflight measures it.
    pub slack_is_given: bool,
    /// How long something that must happen beside a request may take, as a notification does. The
    /// contract names no bound.
    pub happens_within: Duration,
    /// How long nothing must be seen, until it counts as not happening: where something that was sent
    /// later, or at the same time, has arrived.
    pub quiet_for: Duration,
    /// What is expected of it beside the core.
    pub profile: Profile,
    /// What it offers beside its profile.
    pub offers: BTreeSet<Capability>,
    /// What it does not offer, whatever its profile says.
    pub lacks: BTreeSet<Capability>,
    /// What subscribers are told to be the address of the suite's sink, where loopback will not do.
    pub sink_address: Option<Address>,
    /// An origin that its CORS settings allow.
    pub cors_origin: Option<String>,
    /// The key that it signs URLs with, if that is no secret.
    pub signing_key: Option<String>,
    /// Where it hands over its mail, if the suite is to be its relay: without TLS, without a login.
    pub mail_address: Option<Address>,
    /// Where it speaks WebSocket, if it does.
    pub websocket: Option<Endpoint>,
    /// Stores for new pools that nothing else uses. One URI with `{}` in it stands for many.
    pub pool_uris: Vec<String>,
    /// How a client proves who it is, if the target file says so.
    pub authentication: Option<Authentication>,
    /// Where tokens come from, once somebody has logged in.
    pub session: Option<Arc<Session>>,
    /// What it may lose as it grows.
    pub scale: Bounds,
    /// What can be done to its processes, and how its time runs.
    pub control: Control,
    /// What it is known to fail.
    pub known_failures: KnownFailures,
    /// The file that says so.
    pub known_failures_file: Option<String>,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// Not at all: the project is what the header says.
    None,
    /// By a token of Keystone, version 3.
    Keystone,
}

/// A command that starts an implementation in the foreground.
///
/// It prints `ready URL` on its standard output once it serves, with URIs that pools may be made of,
/// and that of its WebSocket, behind it if there are any, and stops everything that it started
/// when its standard input ends.
#[derive(Clone, Debug)]
pub struct Start {
    /// Program and arguments, run in `folder`.
    pub command: Vec<String>,
    /// The folder of the target file.
    pub folder: PathBuf,
    /// How long it may take until it is ready.
    pub ready_within: Duration,
    /// Who vouches for it, beside the well-known authorities, if it says that it is `https`.
    pub authorities: Option<Authorities>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    url: Option<Spanned<String>>,
    cacert: Option<Spanned<String>>,
    start: Option<StartTable>,
    #[serde(default = "patience_secs_default")]
    patience_secs: u64,
    #[serde(default = "in_flight_max_default")]
    in_flight_max: Spanned<usize>,
    slack_ms: Option<u64>,
    #[serde(default = "happens_within_ms_default")]
    happens_within_ms: u64,
    #[serde(default = "quiet_for_ms_default")]
    quiet_for_ms: u64,
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    offers: BTreeSet<Capability>,
    lacks: Option<Spanned<BTreeSet<Capability>>>,
    authentication: Option<Authentication>,
    sink_address: Option<Spanned<String>>,
    cors_origin: Option<String>,
    signing_key: Option<String>,
    mail_address: Option<Spanned<String>>,
    websocket: Option<Spanned<String>>,
    #[serde(default)]
    pool_uris: Vec<String>,
    known_failures: Option<String>,
    scale: Option<Spanned<Bounds>>,
    #[serde(default)]
    stress: ControlTables,
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

/// For a busy server that sends as many notifications as the whole suite asks for at once.
fn happens_within_ms_default() -> u64 {
    60_000
}

fn quiet_for_ms_default() -> u64 {
    8_000
}

/// Whole seconds at the server, and as much again for the way there and back.
const SLACK_MS_DEFAULT: u64 = 2_000;

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
        if is_address(target) {
            let target = target.to_owned();
            return Err(DescriptionError::NoScheme { target });
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
            slack: Duration::from_millis(SLACK_MS_DEFAULT),
            slack_is_given: false,
            happens_within: Duration::from_millis(happens_within_ms_default()),
            quiet_for: Duration::from_millis(quiet_for_ms_default()),
            profile: Profile::default(),
            offers: BTreeSet::new(),
            lacks: BTreeSet::new(),
            sink_address: None,
            cors_origin: None,
            signing_key: None,
            mail_address: None,
            websocket: None,
            pool_uris: Vec::new(),
            authentication: None,
            session: None,
            scale: Bounds::default(),
            control: Control::default(),
            known_failures: KnownFailures::default(),
            known_failures_file: None,
        }
    }

    /// Parses a target file that lies in `folder`.
    ///
    /// # Errors
    ///
    /// With file, line and key.
    pub fn of_file(document: Document<'_>, folder: &Path) -> Result<Self, DocumentError> {
        let file: File = document.parse()?;
        let (endpoint, authorities) = reached(&document, &file, folder)?;
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
                authorities: None,
            }),
        };
        let known_failures_file = file.known_failures.as_ref();
        let known_failures_file =
            known_failures_file.map(|path| folder.join(path).to_string_lossy().into_owned());
        let known_failures = match &known_failures_file {
            None => KnownFailures::default(),
            Some(path) => KnownFailures::load(path)?,
        };
        if let Some(lacks) = &file.lacks
            && let Some(both) = lacks.get_ref().intersection(&file.offers).next()
        {
            let message = format!("`{both}` is among what it offers as well");
            return Err(document.error(Some(lacks.span()), message));
        }
        let sink_address = address(&document, file.sink_address.as_ref())?;
        let mail_address = address(&document, file.mail_address.as_ref())?;
        let websocket = match &file.websocket {
            None => None,
            Some(url) => Some(
                Endpoint::parse_websocket(url.get_ref())
                    .map_err(|error| document.error(Some(url.span()), error.to_string()))?,
            ),
        };
        let control = file.stress.check(document, folder)?;
        let scale = bounds(&document, file.scale)?;
        let mut description = Self {
            name: file.name,
            endpoint,
            start,
            patience: Duration::from_secs(file.patience_secs),
            in_flight_max: file.in_flight_max.into_inner(),
            slack: Duration::from_millis(file.slack_ms.unwrap_or(SLACK_MS_DEFAULT)),
            slack_is_given: file.slack_ms.is_some(),
            happens_within: Duration::from_millis(file.happens_within_ms),
            quiet_for: Duration::from_millis(file.quiet_for_ms),
            profile: file.profile,
            offers: file.offers,
            lacks: file.lacks.map(Spanned::into_inner).unwrap_or_default(),
            sink_address,
            cors_origin: file.cors_origin,
            signing_key: file.signing_key,
            mail_address,
            websocket,
            pool_uris: file.pool_uris,
            authentication: file.authentication,
            session: None,
            scale,
            control,
            known_failures,
            known_failures_file,
        };
        if let Some(authorities) = authorities {
            description.trust(&authorities);
        }
        Ok(description)
    }

    /// Trusts these authorities as well, wherever the target is reached by `https`.
    pub fn trust(&mut self, authorities: &Authorities) {
        let trusting = |endpoint: Endpoint| endpoint.trusting(authorities);
        self.endpoint = self.endpoint.take().map(trusting);
        self.websocket = self.websocket.take().map(trusting);
        if let Some(start) = &mut self.start {
            let before = start.authorities.take().unwrap_or_default();
            start.authorities = Some(before.and(authorities));
        }
    }
}

/// The bounds of the ladders, if they make sense.
fn bounds(
    document: &Document<'_>,
    given: Option<Spanned<Bounds>>,
) -> Result<Bounds, DocumentError> {
    let Some(given) = given else {
        return Ok(Bounds::default());
    };
    if let Some((key, right)) = given.get_ref().wrong() {
        return Err(document.error(Some(given.span()), format!("`{key}` {right}")));
    }
    Ok(given.into_inner())
}

fn address(
    document: &Document<'_>,
    text: Option<&Spanned<String>>,
) -> Result<Option<Address>, DocumentError> {
    let parse = |text: &Spanned<String>| {
        let parsed = text.get_ref().parse();
        parsed.map_err(|error: AddressError| document.error(Some(text.span()), error.to_string()))
    };
    text.map(parse).transpose()
}

/// Where a target is, if its file says so, and who vouches for it.
fn reached(
    document: &Document<'_>,
    file: &File,
    folder: &Path,
) -> Result<(Option<Endpoint>, Option<Authorities>), DocumentError> {
    let endpoint = match &file.url {
        None => None,
        Some(url) => Some(
            Endpoint::parse(url.get_ref())
                .map_err(|error| document.error(Some(url.span()), error.to_string()))?,
        ),
    };
    let authorities = match &file.cacert {
        None => None,
        Some(cacert) => Some(
            Authorities::read(&folder.join(cacert.get_ref()))
                .map_err(|error| document.error(Some(cacert.span()), error.to_string()))?,
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
    Ok((endpoint, authorities))
}

/// Whether this is a host with a port, and no file.
fn is_address(target: &str) -> bool {
    let address = target.split('/').next().unwrap_or_default();
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let is_host = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    is_host && port.parse::<u16>().is_ok() && !Path::new(target).exists()
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
        assert_eq!(target.happens_within, Duration::from_secs(60));
        assert_eq!(target.quiet_for, Duration::from_secs(8));
    }

    #[test]
    fn target_errors_name_file_line_and_key() {
        let error = |text| description(text).unwrap_err();
        assert_eq!(
            error("name = 'x'\nurl = 'ftp://x'"),
            "t.toml:2: `url`: `ftp://x` is not a target URL: its scheme is not http or https, \
             expected http[s]://HOST[:PORT][/PREFIX]"
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
            error("name = 'x'\nurl = 'http://h'\nwebsocket = 'http://h:9000'"),
            "t.toml:3: `websocket`: `http://h:9000` is not a target URL: its scheme is not ws or \
             wss, expected ws[s]://HOST[:PORT][/PREFIX]"
        );
        assert_eq!(
            error("name = 'x'\nurl = 'http://h'\nin_flight_max = 0"),
            "t.toml:3: `in_flight_max`: must be at least 1"
        );
    }

    #[test]
    fn profile_and_capabilities_are_words_and_the_wrong_one_is_told() {
        let with = |lines: &str| description(&format!("name = 'x'\nurl = 'http://h'\n{lines}"));
        let target = with("profile = 'core'\noffers = ['pop']\nlacks = ['stats']\n").unwrap();
        assert_eq!(target.profile, Profile::Core);
        assert_eq!(target.offers, BTreeSet::from([Capability::Pop]));
        assert_eq!(target.lacks, BTreeSet::from([Capability::Stats]));
        let error = with("offers = ['poop']").unwrap_err();
        assert!(
            error.starts_with("t.toml:3: `offers`: unknown variant `poop`"),
            "{error}"
        );
        assert_eq!(
            with("offers = ['pop']\nlacks = ['pop']").unwrap_err(),
            "t.toml:4: `lacks`: `pop` is among what it offers as well"
        );
        let error = with("cacert = 'none.pem'").unwrap_err();
        assert!(
            error.starts_with("t.toml:3: `cacert`: folder/none.pem: No such file"),
            "{error}"
        );
        let error = with("authentication = 'basic'").unwrap_err();
        assert!(error.contains("expected `none` or `keystone`"), "{error}");
    }

    #[test]
    fn endpoint_understands_prefix_default_port_and_ipv6() {
        let parse = |url| Endpoint::parse(url).map(|endpoint| endpoint.to_string());
        assert_eq!(
            parse("http://h/messaging/").unwrap(),
            "http://h:80/messaging"
        );
        assert_eq!(parse("http://[::1]:9").unwrap(), "http://[::1]:9");
        assert_eq!(parse("https://h/m").unwrap(), "https://h:443/m");
        for bad in [
            "",
            "h:80",
            "http://",
            "http://h:0",
            "http://h:70000",
            "http://h/?x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
