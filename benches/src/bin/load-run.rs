//! Posts, claims and deletes messages over sockets, and counts that none is lost or handed out twice.
//!
//! The server is a process of its own, `nanshe serve`: what is told of its memory is its own.
#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a program that measures reads the clock and prints"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;
use nanshe_benches::child::Server;
use nanshe_benches::load::{Connection, request, request_of};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use tokio::task::JoinSet;

/// Bytes of the body of each message, as JSON.
const BODY_BYTES: usize = 100;
const CLAIM: &str = "POST /v2/queues/load/claims?limit=20";

/// Posts, claims and deletes messages over sockets, and counts them
#[derive(Debug, Parser)]
struct Arguments {
    /// How many messages
    #[arg(long, default_value_t = 1_000_000)]
    messages: usize,
    /// How many clients, each with one connection
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Hold so many idle connections instead, and see whether others are served
    #[arg(long, value_name = "CONNECTIONS")]
    idle: Option<usize>,
    /// The `nanshe` to run [default: the one beside this program]
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let server = Server::start(arguments.server.as_deref())?;
    let runtime = tokio::runtime::Runtime::new()?;
    match arguments.idle {
        Some(connections) => runtime.block_on(idle(&server, connections))?,
        None => runtime.block_on(run(&server, &arguments))?,
    }
    server.stop()?;
    println!("the server stopped in order");
    Ok(())
}

/// The three phases, and what came of them.
async fn run(server: &Server, arguments: &Arguments) -> anyhow::Result<()> {
    let before = server.resident_bytes()?;
    let started_at = Instant::now();
    let requests = post(server, arguments).await?;
    tell("posted", requests, started_at);
    let held = server.resident_bytes()?.saturating_sub(before);
    println!(
        "memory: {} bytes for each of {} messages of {BODY_BYTES} bytes",
        held / u64::try_from(arguments.messages)?,
        arguments.messages
    );
    let started_at = Instant::now();
    let seen: Arc<[AtomicU8]> = (0..arguments.messages).map(|_| AtomicU8::new(0)).collect();
    let requests = claim_and_delete(server, arguments, &seen).await?;
    tell("claimed and deleted", requests, started_at);

    let count = |times| {
        let seen = seen.iter().map(|seen| seen.load(Ordering::Relaxed));
        seen.filter(|seen| *seen == times).count()
    };
    let (lost, once) = (count(0), count(1));
    let repeated = arguments.messages - lost - once;
    println!("{once} delivered once, {lost} lost, {repeated} delivered more than once");
    anyhow::ensure!(lost == 0 && repeated == 0, "messages were lost or repeated");
    let mut connection = Connection::open(server.address).await?;
    let stats = connection
        .send(&request("GET /v2/queues/load/stats", ""))
        .await?;
    let stats: Value = serde_json::from_slice(stats)?;
    anyhow::ensure!(
        stats["messages"]["total"] == 0,
        "messages are left: {stats}"
    );
    Ok(())
}

fn tell(what: &str, requests: u64, started_at: Instant) {
    let secs = started_at.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
    let rate = requests as f64 / secs;
    println!("{what}: {requests} requests in {secs:.1} s, {rate:.0} a second");
}

/// Every client posts its share, message by message.
async fn post(server: &Server, arguments: &Arguments) -> anyhow::Result<u64> {
    let (messages, clients) = (arguments.messages, arguments.clients);
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let address = server.address;
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut posted = 0;
            for number in (client..messages).step_by(clients) {
                let width = BODY_BYTES - 2;
                let body = format!(r#"{{"messages":[{{"ttl":3600,"body":"{number:0width$}"}}]}}"#);
                let post = request_of(client, "POST /v2/queues/load/messages", &body);
                connection.send(&post).await?;
                posted += 1;
            }
            anyhow::Ok(posted)
        });
    }
    sum(tasks).await
}

/// Every client claims until there is nothing left, and deletes what it was given.
async fn claim_and_delete(
    server: &Server,
    arguments: &Arguments,
    seen: &Arc<[AtomicU8]>,
) -> anyhow::Result<u64> {
    let mut tasks = JoinSet::new();
    for client in 0..arguments.clients {
        let (address, seen) = (server.address, Arc::clone(seen));
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let claim = request_of(client, CLAIM, r#"{"ttl":3600,"grace":60}"#);
            let mut sent = 0;
            loop {
                let claimed = connection.send(&claim).await?;
                sent += 1;
                if claimed.is_empty() {
                    return anyhow::Ok(sent);
                }
                let claimed: Value = serde_json::from_slice(claimed)?;
                for message in claimed["messages"].as_array().context("no messages")? {
                    let number: usize = message["body"].as_str().context("no text")?.parse()?;
                    let seen = seen.get(number).context("a message that nobody posted")?;
                    seen.fetch_add(1, Ordering::Relaxed);
                    let href = message["href"].as_str().context("no href")?;
                    let delete = request_of(client, &format!("DELETE {href}"), "");
                    connection.send(&delete).await?;
                    sent += 1;
                }
            }
        });
    }
    sum(tasks).await
}

async fn sum(mut tasks: JoinSet<anyhow::Result<u64>>) -> anyhow::Result<u64> {
    let mut sum = 0;
    while let Some(done) = tasks.join_next().await {
        sum += done??;
    }
    Ok(sum)
}

/// Many connections that were used once, one that is used all the time, and all of them again.
async fn idle(server: &Server, connections: usize) -> anyhow::Result<()> {
    let before = server.resident_bytes()?;
    let ping = request("GET /v2/ping", "");
    let mut idle = Vec::with_capacity(connections);
    for number in 0..connections {
        let opened = Connection::open(server.address).await;
        let mut connection = opened.with_context(|| format!("connection {number}"))?;
        connection.send(&ping).await?;
        idle.push(connection);
    }
    let held = server.resident_bytes()?.saturating_sub(before);
    println!(
        "memory: {} bytes for each of {connections} idle connections",
        held / u64::try_from(connections)?
    );
    let mut slowest = 0;
    let mut busy = Connection::open(server.address).await?;
    for _ in 0..10_000 {
        let started_at = Instant::now();
        busy.send(&ping).await?;
        let micros = u64::try_from(started_at.elapsed().as_micros())?;
        slowest = slowest.max(micros);
    }
    println!("beside them 10000 requests were answered, each within {slowest} µs");
    for connection in &mut idle {
        connection.send(&ping).await?;
    }
    println!("all of the {connections} were answered once more");
    Ok(())
}
