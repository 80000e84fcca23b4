//! `postgres-gateway ADDRESS CONFIG`: the contract's core over PostgreSQL.

use std::process::ExitCode;
use std::time::Duration;

use nanshe_gateways::broker::Failed;
use nanshe_gateways::front::Front;
use nanshe_gateways::postgres::Postgres;
use nanshe_gateways::server::serve;

/// How often what expired is removed.
const FORGET_EVERY: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bind, config] = arguments.as_slice() else {
        return complain("usage: postgres-gateway HOST:PORT 'host=… user=…'", 2);
    };
    match run(bind, config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string(), 1),
    }
}

async fn run(bind: &str, config: &str) -> Result<(), Failed> {
    let broker = Postgres::open(config).await?;
    let keeper = broker.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            // What is not removed now will be later, and is hidden until then.
            drop(keeper.forget_what_expired().await);
        }
    });
    serve(bind, Front::new(broker)).await?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "only a main prints")]
fn complain(line: &str, code: u8) -> ExitCode {
    eprintln!("postgres-gateway: {line}");
    ExitCode::from(code)
}
