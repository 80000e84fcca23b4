//! The same application over turmoil 0.7 and over Nanshe's simulator, in turn, in one process.
//!
//!     cargo run --release --manifest-path benches/against-turmoil/Cargo.toml
//!
//! One node serves the reference behind hyper; all others post, claim and delete over HTTP/1.1 on kept connections, and
//! nothing goes wrong. The clients are the same code on both sides, and so is what is done beside: every operation is
//! written down, what is left is drained, and the history is written as JSON Lines, judged, and must be valid. Nanshe
//! runs it as `nanshe simulate` would, so it also lives through a virtual day in which nobody does anything any more,
//! and looks for the situations that scenarios are to bring about; turmoil does not.
//!
//! turmoil has the settings with which it is fastest while answers take as long as over Nanshe's links, which the table
//! shows: about a millisecond. Its tick is the default of 1 ms, and its links add nothing to that.
//!
//! What turmoil spends depends on virtual time more than on requests: in every tick it wakes every node, and for each of
//! them looks at every link. So the ratio is a matter of how busy clients are. While they never rest, hyper, the broker
//! and the history cost more on both sides than the simulators do; the longer they pause, as clients of scenarios do,
//! the more turmoil has to tick through. A tick of 10 ms takes it a third to a ninth of the time where clients pause for
//! 200 ms and more, but then an answer takes 10 ms, and pauses end on a tick.
#![cfg_attr(
    madsim,
    expect(
        clippy::disallowed_types,
        clippy::print_stdout,
        reason = "a program that measures reads the clock and prints"
    )
)]

#[cfg(madsim)]
mod application;
#[cfg(madsim)]
mod over_nanshe;
#[cfg(madsim)]
mod over_turmoil;

#[cfg(madsim)]
fn main() -> anyhow::Result<()> {
    comparing::main()
}

#[cfg(not(madsim))]
fn main() -> anyhow::Result<()> {
    anyhow::bail!(nanshe_simulator::UNAVAILABLE)
}

#[cfg(madsim)]
mod comparing {
    use std::time::{Duration, Instant};

    use clap::Parser;
    use nanshe_simulator::scenario::Scenario;

    use crate::application::{Done, Size, scenario};
    use crate::{over_nanshe, over_turmoil};

    /// Runs on each side of a line; the middle one counts.
    const ROUNDS: u64 = 5;

    /// Milliseconds that a client pauses at most between two turns, and how many requests are enough then. It never
    /// rests; it does as workloads do if nothing is said; and as scenarios mostly say.
    const PACES: [(u64, u64); 4] = [(0, 20_000), (20, 10_000), (200, 5_000), (2_000, 2_000)];

    /// Compares turmoil with Nanshe's simulator
    #[derive(Debug, Parser)]
    struct Arguments {
        /// Do a so-manieth part of the requests
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        part: u64,
    }

    pub(super) fn main() -> anyhow::Result<()> {
        let arguments = Arguments::parse();
        println!(
            "| Nodes | Pause up to, ms | Requests | turmoil: answer after, ms | requests a second \
             | Nanshe: answer after, ms | requests a second | times as fast |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for nodes in [5, 50] {
            for (pause_ms_max, requests) in PACES {
                let requests = requests / arguments.part;
                measure(Size {
                    nodes,
                    pause_ms_max,
                    requests,
                })?;
            }
        }
        Ok(())
    }

    /// One line: both sides in turn.
    fn measure(size: Size) -> anyhow::Result<()> {
        let scenario = scenario(size)?;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for seed in 0..ROUNDS {
            theirs.push(timed(over_turmoil::once, &scenario, seed)?);
            ours.push(timed(over_nanshe::once, &scenario, seed)?);
        }
        let (theirs, ours) = (Figures::of(theirs), Figures::of(ours));
        let Size {
            nodes,
            pause_ms_max,
            requests,
        } = size;
        println!(
            "| {nodes} | {pause_ms_max} | {requests} | {theirs} | {ours} | {:.1} |",
            ours.requests_a_second / theirs.requests_a_second
        );
        Ok(())
    }

    /// What is said of one side.
    #[derive(Clone, Copy)]
    struct Figures {
        answer_after: Duration,
        /// In real time.
        requests_a_second: f64,
    }

    impl Figures {
        /// Those of the middle run.
        fn of(mut runs: Vec<Self>) -> Self {
            runs.sort_by(|one, two| one.requests_a_second.total_cmp(&two.requests_a_second));
            runs[runs.len() / 2]
        }
    }

    impl std::fmt::Display for Figures {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let millis = self.answer_after.as_secs_f64() * 1e3;
            write!(f, "{millis:.2} | {:.0}", self.requests_a_second)
        }
    }

    fn timed(
        once: fn(&Scenario, u64) -> anyhow::Result<Done>,
        scenario: &Scenario,
        seed: u64,
    ) -> anyhow::Result<Figures> {
        let began = Instant::now();
        let done = once(scenario, seed)?;
        let took = began.elapsed();
        let requests = f64::from(u32::try_from(done.requests)?);
        Ok(Figures {
            answer_after: done.answer_after()?,
            requests_a_second: requests / took.as_secs_f64(),
        })
    }
}
