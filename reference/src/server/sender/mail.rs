//! Mail: a notification is handed to a relay, on a connection of its own.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransport, Error};
use lettre::{Address, AsyncTransport, Message, Tokio1Executor};

use super::tls::Authorities;
use crate::broker::{Outcome, Timestamp};
use crate::server::{Relay, RelaySecurity};
use crate::wire::Mail;

/// Statuses that tell us to prove who we are: RFC 4954, 6. That is not the mail's fault, and an
/// operator may mend it.
const STATUSES_OF_LOGIN: [u16; 4] = [530, 534, 535, 538];

/// A relay, as it is spoken to.
pub(super) struct Post(AsyncSmtpTransport<Tokio1Executor>);

impl Post {
    pub(super) fn new(relay: &Relay, authorities: &Authorities) -> io::Result<Self> {
        let invalid = |error: Error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let tls = match relay.security {
            RelaySecurity::Plain => Tls::None,
            RelaySecurity::StartTls => {
                Tls::Required(parameters(relay, authorities).map_err(invalid)?)
            }
            RelaySecurity::Tls => Tls::Wrapper(parameters(relay, authorities).map_err(invalid)?),
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&relay.host);
        // A delivery has a bound as a whole, from outside.
        let mut builder = builder.port(relay.port).tls(tls).timeout(None);
        if let Some((user, password)) = &relay.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.0.clone()));
        }
        Ok(Self(builder.build()))
    }

    /// Hands over a mail that is written at `now`.
    pub(super) async fn send(&self, mail: Mail, now: Timestamp) -> Outcome {
        let Some(message) = message(mail, now) else {
            // It will be none later either.
            return Outcome::Refused;
        };
        match self.0.send(message).await {
            Ok(_) => Outcome::Delivered,
            Err(error) => outcome(&error),
        }
    }
}

fn parameters(relay: &Relay, authorities: &Authorities) -> Result<TlsParameters, Error> {
    let builder = TlsParameters::builder(relay.host.clone());
    let mut builder = builder.certificate_store(CertificateStore::WebpkiRoots);
    for certificate in authorities.encoded() {
        builder = builder.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
    }
    builder.build()
}

/// What a relay says for good, it would say again: RFC 5321, 4.2.1. Whatever else went wrong may
/// go well another time; whether a mail whose answer was lost is there, nobody knows.
fn outcome(error: &Error) -> Outcome {
    let status = error.status().map(u16::from);
    let login = status.is_some_and(|status| STATUSES_OF_LOGIN.contains(&status));
    if error.is_permanent() && !login {
        Outcome::Refused
    } else {
        Outcome::Failed
    }
}

/// The mail as it is sent. `None`: an address is none, though `wire` lets only such pass as are.
fn message(mail: Mail, now: Timestamp) -> Option<Message> {
    let from: Address = mail.from.address.parse().ok()?;
    let to: Address = mail.to.parse().ok()?;
    let message = Message::builder()
        .date(UNIX_EPOCH + Duration::from_nanos(now.as_nanos()))
        .from(Mailbox::new(mail.from.name, from))
        .to(Mailbox::new(None, to))
        .subject(mail.subject)
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text);
    message.ok()
}
