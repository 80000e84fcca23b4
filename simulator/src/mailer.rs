//! Hands mails of the reference to the relay of this world, which is the suite's own.
//!
//! RFC 5321 as far as that goes: no TLS, no login, one mail a connection.

use std::fmt::Write as _;
use std::io;

use hyper_util::rt::TokioIo;
use nanshe_conformance::environment::{Address, Environment, Stream};
use nanshe_reference::broker::Outcome;
use nanshe_reference::wire::Mail;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// Where the relay is: on the node of the clients, as the webhooks are.
pub(crate) fn relay() -> Address {
    Address {
        host: "client".to_owned(),
        port: 25,
    }
}

/// Hands over a mail. Whether it is there nobody knows without an answer: at least once, so again.
pub(crate) async fn send(mail: &Mail, environment: &dyn Environment) -> Outcome {
    let Ok(stream) = environment.connect(&relay()).await else {
        return Outcome::Failed;
    };
    match converse(mail, stream).await {
        Ok(()) => Outcome::Delivered,
        Err(_) => Outcome::Failed,
    }
}

async fn converse(mail: &Mail, stream: Box<dyn Stream>) -> io::Result<()> {
    let mut stream = BufReader::new(TokioIo::new(stream));
    expect(&mut stream, '2').await?;
    for (line, answer) in [
        ("EHLO server\r\n".to_owned(), '2'),
        (format!("MAIL FROM:<{}>\r\n", mail.from.address), '2'),
        (format!("RCPT TO:<{}>\r\n", mail.to), '2'),
        ("DATA\r\n".to_owned(), '3'),
        (content(mail), '2'),
        ("QUIT\r\n".to_owned(), '2'),
    ] {
        stream.write_all(line.as_bytes()).await?;
        stream.flush().await?;
        expect(&mut stream, answer).await?;
    }
    Ok(())
}

/// Demands an answer of a class: its first digit.
async fn expect(stream: &mut BufReader<TokioIo<Box<dyn Stream>>>, class: char) -> io::Result<()> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if line.starts_with(class) {
        Ok(())
    } else {
        Err(io::Error::other(line))
    }
}

/// The mail with the dot that ends it, and dots before those that begin a line.
fn content(mail: &Mail) -> String {
    let mut content = format!(
        "From: {}\r\nTo: {}\r\nSubject: {}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n",
        mail.from, mail.to, mail.subject,
    );
    for line in mail.text.lines() {
        let dot = if line.starts_with('.') { "." } else { "" };
        // Writing to a string cannot fail.
        let _infallible = write!(content, "{dot}{line}\r\n");
    }
    content.push_str(".\r\n");
    content
}
