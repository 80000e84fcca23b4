//! Runs worlds of growing size, and says in one table how fast, and how much memory it took.
#![cfg_attr(
    madsim,
    expect(
        clippy::disallowed_types,
        clippy::print_stdout,
        reason = "a program that measures reads the clock and prints"
    )
)]

#[cfg(madsim)]
fn main() -> anyhow::Result<()> {
    simulating::main()
}

#[cfg(not(madsim))]
fn main() -> anyhow::Result<()> {
    anyhow::bail!(nanshe_simulator::UNAVAILABLE)
}

#[cfg(madsim)]
mod simulating {
    use std::time::{Duration, Instant};

    use clap::Parser;
    use nanshe_benches::{memory, worlds};
    use nanshe_simulator::Run;
    use nanshe_simulator::scenario::Scenario;

    /// Operations that runs with 10, 100 and 1,000 clients are about as long as.
    const OPERATIONS: u64 = 100_000;

    /// Operations of the largest run.
    const OPERATIONS_LARGEST: u64 = 1_000_000;

    /// Nodes of the largest run: clients, their server, and who watches and drains.
    const NODES_LARGEST: u32 = 1_000;

    /// In six turns a client does about eleven operations: it posts, claims and deletes.
    const TURNS: u64 = 6;
    const OPERATIONS_OF_THEM: u64 = 11;

    /// Runs worlds of growing size, and says how fast
    #[derive(Debug, Parser)]
    struct Arguments {
        /// Do a so-manieth part of the operations
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        part: u64,
        /// Leave the largest run out
        #[arg(long)]
        without_largest: bool,
    }

    pub(super) fn main() -> anyhow::Result<()> {
        let arguments = Arguments::parse();
        println!("| Run | Operations | a second | Virtual s | Real s | times as fast |");
        println!("|---|---|---|---|---|---|");
        idle(u32::try_from(1_000 / arguments.part).unwrap_or(1).max(1));
        for clients in [10, 100, 1_000] {
            let scenario = sized(clients, OPERATIONS / arguments.part);
            measure(
                &format!("{clients} clients, faults and history"),
                &scenario,
                1,
            );
        }
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../scenarios/delivery/lost-acknowledgement.toml"
        );
        let name = "scenarios/delivery/lost-acknowledgement.toml";
        measure(name, &Scenario::load(path)?, (100 / arguments.part).max(1));
        if arguments.without_largest {
            return Ok(());
        }
        // The supervisor, the set-up, the drain and the server are nodes too.
        let scenario = sized(NODES_LARGEST - 4, OPERATIONS_LARGEST / arguments.part);
        measure(
            &format!("{NODES_LARGEST} nodes, faults and history"),
            &scenario,
            1,
        );
        let peak = memory::peak_bytes()? / memory::MIB;
        println!(
            "\nThe most memory that all of this took, history and verdicts included: {peak} MiB"
        );
        Ok(())
    }

    fn sized(clients: u32, operations: u64) -> Scenario {
        let turns = operations * TURNS / OPERATIONS_OF_THEM / u64::from(clients);
        worlds::with_faults(clients, turns.max(1))
    }

    /// The fixed cost of a run.
    fn idle(times: u32) {
        let scenario = worlds::without_operations();
        let began = Instant::now();
        for seed in 0..times {
            std::hint::black_box(worlds::reference(&scenario, seed.into()));
        }
        let each = began.elapsed() / times;
        println!(
            "| without operations | – | – | – | {:.6} | – |",
            each.as_secs_f64()
        );
    }

    /// One row: so many seeds, one after the other.
    fn measure(what: &str, scenario: &Scenario, seeds: u64) {
        let began = Instant::now();
        let (mut operations, mut virtual_time) = (0, Duration::ZERO);
        for seed in 0..seeds {
            let run: Run = worlds::reference(scenario, seed);
            operations += run.operations;
            virtual_time += run.virtual_time;
        }
        let took = began.elapsed();
        println!(
            "| {what} | {operations} | {:.0} | {:.0} | {:.2} | {:.0} |",
            f64::from(u32::try_from(operations).unwrap_or(u32::MAX)) / took.as_secs_f64(),
            virtual_time.as_secs_f64(),
            took.as_secs_f64(),
            worlds::times_as_fast(virtual_time, took),
        );
    }
}
