//! beanstalkd's protocol: lines over TCP, and the few commands that a gateway needs.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

/// Longest line of an answer, and longest data of a job: more than any body that a post may have.
const LINE_BYTES_MAX: u64 = 1_024;
const DATA_BYTES_MAX: usize = 1 << 20;

/// The priority of every job. Of equal ones the oldest comes first, also after a release.
const PRIORITY: u32 = 0;

/// A connection. After an error it is of no use: nobody knows where in an answer it is.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufStream<TcpStream>,
}

/// What beanstalkd says about a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stats {
    pub(super) tube: String,
    pub(super) state: String,
    pub(super) age_secs: i64,
}

impl Connection {
    pub(super) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = BufStream::new(stream);
        Ok(Self { stream })
    }

    /// What is put from now on goes to `tube`.
    pub(super) async fn use_tube(&mut self, tube: &str) -> io::Result<()> {
        let answer = self.command(&format!("use {tube}")).await?;
        expect(&answer, "USING").map(drop)
    }

    /// What is reserved from now on comes from `tube` as well.
    pub(super) async fn watch(&mut self, tube: &str) -> io::Result<()> {
        let answer = self.command(&format!("watch {tube}")).await?;
        expect(&answer, "WATCHING").map(drop)
    }

    /// What is reserved on this new connection comes from `tube` alone.
    pub(super) async fn watch_only(&mut self, tube: &str) -> io::Result<()> {
        self.watch(tube).await?;
        self.ignore("default").await
    }

    pub(super) async fn ignore(&mut self, tube: &str) -> io::Result<()> {
        let answer = self.command(&format!("ignore {tube}")).await?;
        expect(&answer, "WATCHING").map(drop)
    }

    /// Stores a job; its number.
    pub(super) async fn put(&mut self, ttr_secs: u64, data: &[u8]) -> io::Result<u64> {
        let line = format!("put {PRIORITY} 0 {ttr_secs} {}\r\n", data.len());
        self.stream.write_all(line.as_bytes()).await?;
        self.stream.write_all(data).await?;
        self.stream.write_all(b"\r\n").await?;
        let answer = self.answer().await?;
        number(expect(&answer, "INSERTED")?)
    }

    /// Reserves the oldest ready job, without waiting for one.
    pub(super) async fn reserve(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let answer = self.command("reserve-with-timeout 0").await?;
        // Near the end of the lease of what this connection holds, it is not given more.
        if answer == "TIMED_OUT" || answer == "DEADLINE_SOON" {
            return Ok(None);
        }
        let (id, length) = two(expect(&answer, "RESERVED")?)?;
        Ok(Some((number(id)?, self.data(length).await?)))
    }

    /// Removes a job, unless it is not there or another connection has reserved it.
    pub(super) async fn delete(&mut self, id: u64) -> io::Result<bool> {
        self.done(&format!("delete {id}"), "DELETED").await
    }

    /// Gives back a job that this connection has reserved.
    pub(super) async fn release(&mut self, id: u64) -> io::Result<bool> {
        let command = format!("release {id} {PRIORITY} 0");
        self.done(&command, "RELEASED").await
    }

    /// Begins the time to run anew of a job that this connection has reserved.
    pub(super) async fn touch(&mut self, id: u64) -> io::Result<bool> {
        self.done(&format!("touch {id}"), "TOUCHED").await
    }

    /// The data of a job, whoever has reserved it.
    pub(super) async fn peek(&mut self, id: u64) -> io::Result<Option<Vec<u8>>> {
        let answer = self.command(&format!("peek {id}")).await?;
        if answer == "NOT_FOUND" {
            return Ok(None);
        }
        let (_, length) = two(expect(&answer, "FOUND")?)?;
        self.data(length).await.map(Some)
    }

    pub(super) async fn stats_job(&mut self, id: u64) -> io::Result<Option<Stats>> {
        let Some(text) = self.stats(&format!("stats-job {id}")).await? else {
            return Ok(None);
        };
        let of = |name: &str| member(&text, name).ok_or_else(|| odd(&text));
        Ok(Some(Stats {
            tube: of("tube")?.to_owned(),
            state: of("state")?.to_owned(),
            age_secs: of("age")?.parse().map_err(|_| odd(&text))?,
        }))
    }

    /// Whether a tube is there: it is as long as it has jobs, or somebody uses or watches it.
    pub(super) async fn has_tube(&mut self, tube: &str) -> io::Result<bool> {
        let stats = self.stats(&format!("stats-tube {tube}")).await?;
        Ok(stats.is_some())
    }

    async fn stats(&mut self, command: &str) -> io::Result<Option<String>> {
        let answer = self.command(command).await?;
        if answer == "NOT_FOUND" {
            return Ok(None);
        }
        let data = self.data(expect(&answer, "OK")?).await?;
        String::from_utf8(data)
            .map(Some)
            .map_err(|_| odd("no UTF-8"))
    }

    /// Whether a command that may find nothing did what it says.
    async fn done(&mut self, command: &str, word: &str) -> io::Result<bool> {
        let answer = self.command(command).await?;
        if answer == "NOT_FOUND" {
            return Ok(false);
        }
        expect(&answer, word).map(|_| true)
    }

    async fn command(&mut self, line: &str) -> io::Result<String> {
        self.stream.write_all(line.as_bytes()).await?;
        self.stream.write_all(b"\r\n").await?;
        self.answer().await
    }

    /// The line of an answer.
    async fn answer(&mut self) -> io::Result<String> {
        self.stream.flush().await?;
        let mut line = String::new();
        let mut limited = (&mut self.stream).take(LINE_BYTES_MAX);
        limited.read_line(&mut line).await?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The data behind a line that told its length.
    async fn data(&mut self, length: &str) -> io::Result<Vec<u8>> {
        let length = length
            .parse()
            .ok()
            .filter(|&length| length <= DATA_BYTES_MAX);
        let length = length.ok_or_else(|| odd("a length"))?;
        let mut data = vec![0; length + b"\r\n".len()];
        self.stream.read_exact(&mut data).await?;
        data.truncate(length);
        Ok(data)
    }
}

/// What stands behind the word that an answer should begin with.
fn expect<'a>(answer: &'a str, word: &str) -> io::Result<&'a str> {
    let rest = answer.strip_prefix(word).ok_or_else(|| odd(answer))?;
    Ok(rest.trim_start())
}

fn two(text: &str) -> io::Result<(&str, &str)> {
    text.split_once(' ').ok_or_else(|| odd(text))
}

fn number(text: &str) -> io::Result<u64> {
    text.parse().map_err(|_| odd(text))
}

/// A member of the flat YAML that statistics are.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
    Some(value.trim_matches('"'))
}

fn odd(answer: &str) -> io::Error {
    io::Error::other(format!("beanstalkd answered {answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_is_found_by_its_whole_name_and_without_quotes() {
        let text = "---\nid: 3\ntube: \"q.a\"\nstate: reserved\nage: 12\ntime-left: 1\n";
        assert_eq!(member(text, "tube"), Some("q.a"));
        assert_eq!(member(text, "age"), Some("12"));
        assert_eq!(member(text, "time"), None);
    }

    #[test]
    fn answer_with_another_word_is_an_error_that_shows_it() {
        assert_eq!(expect("INSERTED 7", "INSERTED").unwrap(), "7");
        let error = expect("OUT_OF_MEMORY", "INSERTED").unwrap_err();
        assert_eq!(error.to_string(), "beanstalkd answered OUT_OF_MEMORY");
    }
}
