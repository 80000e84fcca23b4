//! The suite's own mail relay: takes whatever mail it is handed, and remembers it.
//!
//! RFC 5321 as far as a client needs it that wants neither TLS nor a login: one listener for a run, and
//! each case has addresses of its own.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::BASE64;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::environment::{Address, Stream, World};

/// Largest line that is read, in bytes. Beyond it the client is hung up on.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Largest mail that is kept, in bytes.
const MAIL_BYTES_MAX: usize = 1024 * 1024;

/// Most mails that are kept.
const MAILS_MAX: usize = 10_000;

/// Pause after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The suite's relay.
#[derive(Debug, Default)]
pub struct MailSink {
    mails: Mutex<Vec<Mail>>,
}

/// A mail that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mail {
    /// Who gets it, as the relay was told.
    pub(super) recipients: Vec<String>,
    /// Name and value of each header; folded lines are put together.
    pub(super) headers: Vec<(String, String)>,
    /// What it says, decoded.
    pub(super) text: String,
}

impl Mail {
    /// The value of a header; empty if it is not there.
    pub(super) fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        let found = headers.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// Reads the lines of a mail.
    fn read(recipients: Vec<String>, content: &[u8]) -> Self {
        let content = String::from_utf8_lossy(content).replace("\r\n", "\n");
        let (head, body) = content.split_once("\n\n").unwrap_or((&content, ""));
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in head.lines() {
            match (line.starts_with([' ', '\t']), headers.last_mut()) {
                (true, Some((_, value))) => value.push_str(&format!(" {}", line.trim())),
                (true, None) | (false, _) => {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    headers.push((name.to_owned(), value.trim().to_owned()));
                }
            }
        }
        let mut mail = Self {
            recipients,
            headers,
            text: String::new(),
        };
        mail.text = decoded(mail.header("content-transfer-encoding"), body);
        mail
    }
}

/// A body in its transfer encoding: RFC 2045, 6. What cannot be decoded is shown as it came.
fn decoded(encoding: &str, body: &str) -> String {
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "base64" => {
            let digits: String = body.split_whitespace().collect();
            BASE64.decode(digits.as_bytes()).ok()
        }
        "quoted-printable" => {
            quoted_printable::decode(body, quoted_printable::ParseMode::Robust).ok()
        }
        _ => None,
    };
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.unwrap_or_else(|| body.to_owned())
}

impl MailSink {
    /// Takes mail at `address` for the rest of the run.
    ///
    /// # Errors
    ///
    /// If it cannot listen there.
    pub async fn open(world: &World, address: &Address) -> io::Result<Arc<Self>> {
        let listener = world.listen(address).await?;
        let sink = Arc::new(Self::default());
        let (serving, world_within) = (Arc::clone(&sink), Arc::clone(world));
        world.spawn(Box::pin(async move {
            loop {
                match listener.accept().await {
                    Ok(stream) => {
                        let sink = Arc::clone(&serving);
                        world_within.spawn(Box::pin(async move {
                            // That a client goes away in the middle is its own concern.
                            drop(sink.serve(stream).await);
                        }));
                    }
                    Err(_) => world_within.sleep(ACCEPT_RETRY).await,
                }
            }
        }));
        Ok(sink)
    }

    /// The mails that came for `recipient`, in order of arrival.
    pub(super) fn received(&self, recipient: &str) -> Vec<Mail> {
        let mails = self.mails.lock().expect("no holder of this lock panics");
        let is_theirs = |mail: &&Mail| mail.recipients.iter().any(|one| one == recipient);
        mails.iter().filter(is_theirs).cloned().collect()
    }

    async fn serve(&self, stream: Box<dyn Stream>) -> io::Result<()> {
        let mut stream = BufReader::new(TokioIo::new(stream));
        stream.write_all(b"220 nanshe\r\n").await?;
        let mut recipients = Vec::new();
        loop {
            stream.flush().await?;
            let line = line(&mut stream).await?;
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            let verb = line.split([' ', ':']).next().unwrap_or_default();
            let answer: &[u8] = match verb.to_ascii_uppercase().as_str() {
                "" => return Ok(()),
                "HELO" | "EHLO" | "MAIL" | "NOOP" => b"250 OK\r\n",
                "RSET" => {
                    recipients.clear();
                    b"250 OK\r\n"
                }
                "RCPT" => {
                    recipients.extend(recipient(&line));
                    b"250 OK\r\n"
                }
                "DATA" if recipients.is_empty() => b"503 nobody is to get it\r\n",
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await?;
                    stream.flush().await?;
                    let content = content(&mut stream).await?;
                    self.keep(Mail::read(std::mem::take(&mut recipients), &content));
                    b"250 OK\r\n"
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return stream.shutdown().await;
                }
                _ => b"502 not here\r\n",
            };
            stream.write_all(answer).await?;
        }
    }

    fn keep(&self, mail: Mail) {
        let mut mails = self.mails.lock().expect("no holder of this lock panics");
        if mails.len() < MAILS_MAX {
            mails.push(mail);
        }
    }
}

type Reader = BufReader<TokioIo<Box<dyn Stream>>>;

/// The next line with its end; empty at the end of the stream.
async fn line(stream: &mut Reader) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let most = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    stream.take(most).read_until(b'\n', &mut line).await?;
    if line.len() == LINE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(line)
}

/// The lines of a mail up to the dot, without the dots that were added.
async fn content(stream: &mut Reader) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let line = line(stream).await?;
        match line.as_slice() {
            [] => return Err(io::ErrorKind::UnexpectedEof.into()),
            b".\r\n" | b".\n" => return Ok(content),
            [b'.', rest @ ..] => content.extend_from_slice(rest),
            line => content.extend_from_slice(line),
        }
        if content.len() > MAIL_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// The address in `RCPT TO:<a@b>`.
fn recipient(line: &str) -> Option<String> {
    let (_, rest) = line.split_once('<')?;
    rest.split_once('>').map(|(address, _)| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_read_in_each_transfer_encoding() {
        let mail = |encoding: &str, body: &str| {
            let content =
                format!("Subject: a\r\n  b\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}");
            Mail::read(Vec::new(), content.as_bytes())
        };
        assert_eq!(mail("7bit", "{\"a\": 1}\r\n").text, "{\"a\": 1}\n");
        assert_eq!(mail("base64", "eyJhIjog\r\nMX0=\r\n").text, "{\"a\": 1}");
        let quoted = mail("quoted-printable", "{\"a\":=\r\n =C3=BC}");
        assert_eq!(quoted.text.trim(), "{\"a\": ü}");
        assert_eq!(quoted.header("subject"), "a b");
        assert_eq!(quoted.header("to"), "");
    }

    #[test]
    fn recipients_stand_in_angle_brackets() {
        let read = |line| recipient(line);
        assert_eq!(read("RCPT TO:<a@b> X=1").as_deref(), Some("a@b"));
        assert_eq!(read("RCPT TO:a@b"), None);
    }
}
