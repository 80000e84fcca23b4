//! Your own router in the simulator: `cargo run -p nanshe-simulator --example axum_router`.
//!
//! What is yours is `start`. It gets a node's clock, disk, seed and sockets, and gives back the router that you
//! ship. Here that is the reference behind axum, with a header of its own. The seeds run in processes of their own, so
//! that a panic in a destructor, an endless loop or a leak costs one of them: this program is also the worker.

#[cfg(madsim)]
#[expect(clippy::print_stdout, reason = "an example shows what it found")]
fn main() {
    use std::time::Duration;

    use nanshe_simulator::{
        Campaign, Limits, Summary, Workers, campaign, scenario::Scenario, work_with,
    };

    if std::env::args().nth(1).as_deref() == Some("worker") {
        let (input, output) = (std::io::stdin().lock(), std::io::stdout());
        return work_with(&[YOURS], input, output).expect("its parent keeps to the protocol");
    }
    let program = std::env::current_exe().expect("a program finds itself");
    let start = move || {
        let mut command = std::process::Command::new(&program);
        command.arg("worker");
        command
    };
    let limits = Limits {
        time: Duration::from_secs(60),
        memory_mib: 4_096,
    };
    let workers = Workers::new(start, 2, limits);
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../scenarios/delivery/lost-acknowledgement.toml"
    );
    let scenario = Scenario::load(path).expect("the scenario is sound");
    let about = Campaign {
        scenario: &scenario.name,
        file: path,
        text: &scenario.to_toml(),
        implementation: YOURS.name,
        seeds: 0..20,
    };
    let mut summary = Summary::new(&about, 0);
    campaign(&scenario, YOURS, 0..20, &workers, |done| {
        summary.add(&done);
        true
    });
    println!("{}", summary.terminal(None));
    assert!(summary.is_as_expected(), "a promise was broken");
}

#[cfg(not(madsim))]
fn main() {}

#[cfg(madsim)]
use yours::YOURS;

#[cfg(madsim)]
mod yours {
    use std::sync::Arc;

    use axum::Router;
    use axum::middleware::map_response;
    use axum::response::Response;
    use nanshe_reference::{broker::Limits, service::Service};
    use nanshe_simulator::implementation::{Answering, tower};
    use nanshe_simulator::{Implementation, NodeContext, Takes};

    pub(crate) const YOURS: Implementation = Implementation {
        name: "yours",
        about: "a router as it is shipped",
        caught_by: None,
        takes: Takes::ONE_IN_MEMORY,
        variants: &[],
        start,
    };

    fn start(context: NodeContext) -> Answering {
        let broker = Service::new(Limits::default(), context.seed, Arc::new(context.clock));
        let router = Router::new().fallback_service(broker).layer(map_response(
            async |mut response: Response| {
                let name = "yours".parse().expect("it is a valid header");
                response.headers_mut().insert("server", name);
                response
            },
        ));
        tower(router)
    }
}
