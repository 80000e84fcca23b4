//! A load over real sockets: kept connections, one request under way on each.
//!
//! The generator writes ready-made bytes and looks only for the end of an answer, so that it costs
//! little beside the server under test. It still shares the machine with it, which flatters the slower
//! of two servers; that is part of what a ratio here means.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The bytes of a request: `line` is its method and path.
#[must_use]
pub fn request(line: &str, body: &str) -> Bytes {
    request_of(0, line, body)
}

/// The bytes of a request of this client.
#[must_use]
pub fn request_of(client: usize, line: &str, body: &str) -> Bytes {
    let headers = format!(
        "HTTP/1.1\r\nhost: localhost\r\n\
        client-id: 3381af92-2b9e-11e3-b191-{client:012x}\r\nx-project-id: bench\r\n"
    );
    if body.is_empty() {
        return Bytes::from(format!("{line} {headers}\r\n"));
    }
    let length = body.len();
    Bytes::from(format!(
        "{line} {headers}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

/// A connection on which one request is under way at a time.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If nobody listens there.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let buffer = Vec::with_capacity(4096);
        Ok(Self { stream, buffer })
    }

    /// Sends a request; the body of the answer.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or the answer is not a success; then the error tells the answer.
    pub async fn send(&mut self, request: &[u8]) -> io::Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let head = self.buffer.windows(4).position(|end| end == b"\r\n\r\n");
            let Some(head) = head else { continue };
            if !self.buffer.starts_with(b"HTTP/1.1 20") {
                let text = String::from_utf8_lossy(&self.buffer).into_owned();
                return Err(io::Error::other(text));
            }
            let text = String::from_utf8_lossy(&self.buffer[..head]);
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length = length
                .and_then(|length| length.trim().parse().ok())
                .unwrap_or(0);
            let body = head + 4;
            if self.buffer.len() >= body + length {
                return Ok(&self.buffer[body..body + length]);
            }
        }
    }
}

/// Several connections to one server, kept from one batch of requests to the next.
#[derive(Debug)]
pub struct Load {
    connections: Vec<Connection>,
}

impl Load {
    /// Connects this often.
    ///
    /// # Errors
    ///
    /// If nobody listens there.
    pub async fn open(address: SocketAddr, connections: usize) -> io::Result<Self> {
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(Connection::open(address).await?);
        }
        Ok(Self {
            connections: opened,
        })
    }

    /// Sends every request once, over all of the connections; the bodies of the answers, in no
    /// particular order.
    ///
    /// # Errors
    ///
    /// If a connection breaks, or an answer is not a success. Then the load is of no use any more.
    pub async fn send(&mut self, requests: &[Bytes]) -> io::Result<Vec<Bytes>> {
        let share = requests.len().div_ceil(self.connections.len().max(1));
        let mut tasks = Vec::new();
        for requests in requests.chunks(share.max(1)) {
            let mut connection = self.connections.pop().ok_or(io::ErrorKind::NotConnected)?;
            let requests = requests.to_vec();
            tasks.push(tokio::spawn(async move {
                let mut bodies = Vec::with_capacity(requests.len());
                for request in &requests {
                    bodies.push(Bytes::copy_from_slice(connection.send(request).await?));
                }
                Ok::<_, io::Error>((connection, bodies))
            }));
        }
        let mut answers = Vec::with_capacity(requests.len());
        for task in tasks {
            let (connection, bodies) = task.await.map_err(io::Error::other)??;
            self.connections.push(connection);
            answers.extend(bodies);
        }
        Ok(answers)
    }
}
