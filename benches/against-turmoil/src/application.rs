//! What runs over both simulators: one broker, clients that post, claim and delete, a history and its verdicts.

use std::time::Duration;

use anyhow::ensure;
use nanshe_conformance::checker::Verdicts;
use nanshe_conformance::document::Document;
use nanshe_conformance::history::{Record, read};
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::scenario::Scenario;

/// Requests that so many turns of a client come to: a post and now and then a look at what was posted, or a claim and
/// the deletes of what it holds.
const TURNS: u64 = 10;
const REQUESTS_OF_THEM: u64 = 19;

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// The server and its clients; 2 at least.
    pub(crate) nodes: u32,
    /// The longest time between two turns of a client. It is drawn between zero and this, evenly.
    pub(crate) pause_ms_max: u64,
    /// About as many requests as all clients send together.
    pub(crate) requests: u64,
}

/// What came of a run.
pub(crate) struct Done {
    /// Requests that were sent, those of the drain included.
    pub(crate) requests: usize,
    /// Its history, as JSON Lines.
    pub(crate) lines: Vec<u8>,
}

impl Done {
    /// How long an answer took on average, in virtual time.
    pub(crate) fn answer_after(&self) -> anyhow::Result<Duration> {
        let records = read(self.lines.as_slice())?.records;
        let took = |record: &Record| record.completed_at.since(record.invoked_at);
        let all: Duration = records.iter().map(took).sum();
        Ok(all / u32::try_from(records.len())?.max(1))
    }
}

/// The application in that size. The times of links are 500 µs on average, so that an answer comes about a
/// millisecond after its request.
pub(crate) fn scenario(size: Size) -> anyhow::Result<Scenario> {
    let Size {
        nodes,
        pause_ms_max,
        requests,
    } = size;
    let clients = nodes.saturating_sub(1).max(1);
    let turns = (requests * TURNS / REQUESTS_OF_THEM / u64::from(clients)).max(1);
    let text = format!(
        "name = 'benchmarks/against-turmoil'\nabout = ''\nimplementation = 'reference'\nwork_secs = 86400\n\
         patience_ms = 10000\nturns = {turns}\n\
         [link]\nlatency_us = [200, 800]\n\
         [workload.observers]\nclients = {clients}\nqueues = 8\nbatch_max = 2\npause_ms_max = {pause_ms_max}\n\
         message_ttl_secs = 1209600\nmix = {{ post = 1, consume = 1, walk = 0, stats = 0 }}\n"
    );
    let file = "the benchmark's scenario";
    Ok(Scenario::parse(Document { file, text: &text })?)
}

/// A figure means nothing unless every promise was kept.
pub(crate) fn check(verdicts: &Verdicts) -> anyhow::Result<()> {
    let broken = verdicts.rules.iter().find(|rule| rule.violations > 0);
    ensure!(verdicts.verdict() == Verdict::Valid, "{broken:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{over_nanshe, over_turmoil};

    #[test]
    fn both_do_the_same_and_answers_take_about_as_long() {
        let size = Size {
            nodes: 5,
            pause_ms_max: 5,
            requests: 2_000,
        };
        let scenario = scenario(size).unwrap();
        let theirs = over_turmoil::once(&scenario, 1).unwrap();
        let ours = over_nanshe::once(&scenario, 1).unwrap();
        for done in [theirs, ours] {
            assert!((1_800..2_200).contains(&done.requests), "{}", done.requests);
            let micros = done.answer_after().unwrap().as_micros();
            assert!((900..1_100).contains(&micros), "{micros}");
        }
    }
}
