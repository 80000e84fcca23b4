//! `beanstalkd-gateway ADDRESS BROKER`: the contract's core over beanstalkd.

use std::process::ExitCode;

use nanshe_gateways::beanstalkd::Beanstalkd;
use nanshe_gateways::front::Front;
use nanshe_gateways::server::serve;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bind, address] = arguments.as_slice() else {
        return complain("usage: beanstalkd-gateway HOST:PORT BROKER:PORT", 2);
    };
    match serve(bind, Front::new(Beanstalkd::new(address))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string(), 1),
    }
}

#[expect(clippy::print_stderr, reason = "only a main prints")]
fn complain(line: &str, code: u8) -> ExitCode {
    eprintln!("beanstalkd-gateway: {line}");
    ExitCode::from(code)
}
