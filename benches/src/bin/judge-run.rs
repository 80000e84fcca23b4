//! Judges long histories, from memory and from a file, and says how fast, and how much memory it took.
#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a program that measures reads the clock and prints"
)]

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Parser;
use nanshe_benches::{judged, memory};
use nanshe_conformance::checker::{judge_on, judge_stored};
use nanshe_conformance::history::{Event, What, write};
use nanshe_conformance::verdict::Verdict;

/// Events of which the longest history of the ladder in memory consists.
const LADDER: [u64; 3] = [100_000, 1_000_000, 10_000_000];

/// Events that are judged of each length, one history as often as that takes.
const EVENTS_JUDGED: u64 = 20_000_000;

/// Times that the longest is judged: the fastest of two would be compared with the fastest of many.
const TIMES_MIN: u64 = 5;

/// Events that are written to a file at once.
const EVENTS_WRITTEN: usize = 10_000;

/// Judges long histories, from memory and from a file, and says how fast
#[derive(Debug, Parser)]
struct Arguments {
    /// Judge a history of so many events from a file, in place of the ladder in memory
    #[arg(long, value_name = "EVENTS")]
    stored: Option<u64>,
    /// Length of the longest history of the ladder in memory, in events
    #[arg(long, default_value_t = LADDER[2])]
    longest: u64,
    /// Where the file lies while it is judged [default: the system's folder for such]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// How many threads [default: as many as cores]
    #[arg(long)]
    threads: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let cores = available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(cores);
    match arguments.stored {
        None => ladder(arguments.longest, threads),
        Some(events) => {
            let folder = arguments.folder.unwrap_or_else(std::env::temp_dir);
            stored(events, folder, threads)
        }
    }
}

/// Histories of growing length, in memory.
fn ladder(longest: u64, threads: usize) -> anyhow::Result<()> {
    let mut first = None;
    for events in LADDER.into_iter().filter(|&events| events <= longest) {
        let history = judged::history(judged::messages(events));
        let mut fastest = f64::INFINITY;
        for _ in 0..(EVENTS_JUDGED / events).max(TIMES_MIN) {
            let began = Instant::now();
            let verdicts = judge_on(&history, threads);
            fastest = fastest.min(began.elapsed().as_secs_f64());
            ensure!(
                verdicts.verdict() == Verdict::Valid,
                "the history is correct"
            );
        }
        let nanos = fastest * 1e9 / events as f64;
        let first = *first.get_or_insert(nanos);
        println!(
            "{events} events from memory on {threads} threads: {:.1} M/s, {:.2} times the first's time an event",
            1e3 / nanos,
            nanos / first
        );
    }
    Ok(())
}

/// A file that goes when it is done with, however that ends.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed was never there, or its folder is gone.
        drop(std::fs::remove_file(&self.0));
    }
}

/// One history in a file.
fn stored(events: u64, folder: PathBuf, threads: usize) -> anyhow::Result<()> {
    let name = format!("nanshe-judge-run-{}.jsonl", std::process::id());
    let file = Temporary(folder.join(name));
    let path = &file.0;
    let told = || path.display().to_string();
    let out = File::create(path).with_context(|| format!("{} cannot be written", told()))?;
    let mut out = BufWriter::new(out);
    write(&mut out, &judged::header(), [])?;
    let mut waiting = Vec::new();
    for (number, (operation, answer)) in (0..).zip(judged::operations(judged::messages(events))) {
        let (begins, ends) = judged::span(number);
        let process = 1;
        let project = String::new();
        let invoke = What::Invoke {
            process,
            project,
            operation,
        };
        let ok = What::Ok { process, answer };
        waiting.extend([(begins, invoke), (ends, ok)].map(|(at, what)| Event { at, what }));
        if waiting.len() >= EVENTS_WRITTEN {
            write(&mut out, None, &waiting)?;
            waiting.clear();
        }
    }
    write(&mut out, None, &waiting)?;
    drop(out);
    let size = std::fs::metadata(path)?.len();
    let began = Instant::now();
    let open = || File::open(path).map(BufReader::new);
    let verdicts = judge_stored(open, threads)?;
    let took = began.elapsed().as_secs_f64();
    ensure!(
        verdicts.verdict() == Verdict::Valid,
        "the history is correct"
    );
    println!(
        "{events} events in a file of {} MB on {threads} threads: {:.2} M/s, {} MiB of memory at most",
        size / 1_000_000,
        events as f64 / took / 1e6,
        memory::peak_bytes()? / memory::MIB
    );
    Ok(())
}
