//! Serves one of the specimens that scale badly, or the sound one, over HTTP on loopback: so that a target file can
//! start it. It prints `ready URL` once it serves, and ends when its standard input does.
#![expect(
    clippy::print_stdout,
    reason = "a program that says where it serves prints"
)]

use std::net::SocketAddr;

use clap::Parser;

/// Serves a specimen that scales badly, or `indexed`, until its standard input ends
#[derive(Debug, Parser)]
struct Arguments {
    /// Which one: see `nanshe list implementations`
    name: String,
    /// Where; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    bind: SocketAddr,
}

fn main() -> anyhow::Result<()> {
    run(&Arguments::parse())
}

#[cfg(madsim)]
fn run(arguments: &Arguments) -> anyhow::Result<()> {
    use nanshe_benches::specimen::{named, outside, serve};

    let specimen = named(&arguments.name)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let address = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(arguments.bind).await?;
        let address = listener.local_addr()?;
        let answering = (specimen.start)(outside(specimen.name));
        drop(tokio::spawn(serve(listener, answering)));
        anyhow::Ok(address)
    })?;
    println!("ready http://{address}");
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}

#[cfg(not(madsim))]
fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { name, bind } = arguments;
    anyhow::bail!(
        "{}, and not serve `{name}` at {bind}",
        nanshe_simulator::UNAVAILABLE
    )
}
