//! A history as a trace for viewers: the JSON that Chrome's and Perfetto's read.
//!
//! Each client process is a track, each of its operations a slice. Faults, phases and pushes have tracks
//! of their own. Times are microseconds.

use std::io::Write;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{History, Outcome, Phase, Push, Record};
use crate::environment::Instant;

/// Groups of tracks, in the order that viewers show them.
const CLIENTS: u64 = 1;
const FAULTS: u64 = 2;
const PHASES: u64 = 3;
const PUSHES: u64 = 4;

/// Writes `history` as a trace, one event of it a line.
///
/// # Errors
///
/// What `out` says.
pub fn write(mut out: impl Write, history: &History) -> std::io::Result<()> {
    let end = end(history);
    let mut trace = Trace::default();
    trace.name_groups();
    trace.add_operations(history, end);
    trace.add_faults(history, end);
    trace.add_phases(history, end);
    trace.add_pushes(history);
    let about = json!({
        "seed": history.header.seed,
        "scenario": history.header.scenario,
        "target": history.header.target,
    });
    writeln!(
        out,
        "{{\"displayTimeUnit\":\"ms\",\"otherData\":{about},\"traceEvents\":["
    )?;
    for (number, event) in trace.events.iter().enumerate() {
        let separator = if number == 0 { "" } else { ",\n" };
        write!(out, "{separator}{}", serde_json::to_string(event)?)?;
    }
    writeln!(out, "\n]}}")?;
    out.flush()
}

/// When the last thing happened that the history tells of.
fn end(history: &History) -> Instant {
    let records = history.records.iter();
    let records = records.flat_map(|record| [record.invoked_at, record.completed_at]);
    let faults = history
        .faults
        .iter()
        .chain(&history.heals)
        .map(|&(at, _)| at);
    let phases = history.phases.iter().map(|&(at, _)| at);
    let pushes = history.pushes.iter().map(|push| push.at);
    let all = records.chain(faults).chain(phases).chain(pushes);
    all.filter(|&at| at != Instant::NEVER)
        .max()
        .unwrap_or(Instant::START)
}

/// One event of the trace, as the viewers' format names its fields.
#[derive(Serialize)]
struct Shown {
    name: String,
    /// `X` a slice, `i` an instant, `M` the name of a track.
    ph: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'static str>,
    pid: u64,
    tid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<Box<RawValue>>,
    /// Of an instant: it belongs to its track.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    args: Value,
}

#[derive(Default)]
struct Trace {
    events: Vec<Shown>,
}

impl Trace {
    fn name_groups(&mut self) {
        let groups = [
            (CLIENTS, "clients"),
            (FAULTS, "faults"),
            (PHASES, "phases"),
            (PUSHES, "pushes"),
        ];
        for (group, name) in groups {
            self.name("process_name", (group, 0), name);
            self.events.push(Shown {
                args: json!({ "sort_index": group }),
                ..named("process_sort_index", (group, 0))
            });
        }
    }

    fn name(&mut self, what: &str, track: (u64, u64), name: &str) {
        self.events.push(Shown {
            args: json!({ "name": name }),
            ..named(what, track)
        });
    }

    fn slice(&mut self, track: (u64, u64), (from, until): (Instant, Instant), name: String) {
        let nanos = until.as_nanos().saturating_sub(from.as_nanos());
        self.events.push(Shown {
            ph: "X",
            ts: Some(micros(from.as_nanos())),
            dur: Some(micros(nanos)),
            args: json!({}),
            ..named(&name, track)
        });
    }

    fn add_operations(&mut self, history: &History, end: Instant) {
        let mut processes: Vec<u64> = history
            .records
            .iter()
            .map(|record| record.process)
            .collect();
        processes.sort_unstable();
        processes.dedup();
        for process in processes {
            self.name(
                "thread_name",
                (CLIENTS, process),
                &format!("process {process}"),
            );
        }
        for record in &history.records {
            let question = json!(record.operation);
            let f = question["f"].as_str().unwrap_or_default();
            let name = format!("{f} {}", record.operation.queue());
            let until = record.completed_at.min(end);
            self.slice((CLIENTS, record.process), (record.invoked_at, until), name);
            let (outcome, told) = told(record);
            if let Some(slice) = self.events.last_mut() {
                slice.cat = Some(outcome);
                slice.args = json!({ "outcome": outcome, "asked": question, "told": told });
                if !record.project.is_empty() {
                    slice.args["project"] = json!(record.project);
                }
            }
        }
    }

    /// Each fault has a track. One that begins again before it ended is another slice on it.
    fn add_faults(&mut self, history: &History, end: Instant) {
        let mut names: Vec<&str> = history
            .faults
            .iter()
            .map(|(_, fault)| fault.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        for (track, &name) in (1..).zip(&names) {
            self.name("thread_name", (FAULTS, track), name);
            let mut heals = history.heals.iter().filter(|(_, fault)| fault == name);
            for &(from, _) in history.faults.iter().filter(|(_, fault)| fault == name) {
                let healed = heals.find(|&&(at, _)| at >= from);
                let until = healed.map_or(end, |&(at, _)| at);
                self.slice((FAULTS, track), (from, until), name.to_owned());
            }
        }
    }

    fn add_phases(&mut self, history: &History, end: Instant) {
        self.name("thread_name", (PHASES, 1), "phase");
        for (number, &(from, phase)) in history.phases.iter().enumerate() {
            let next = history.phases.get(number + 1);
            let until = next.map_or(end, |&(at, _)| at);
            if phase != Phase::End {
                let name = json!(phase).as_str().unwrap_or_default().to_owned();
                self.slice((PHASES, 1), (from, until), name);
            }
        }
    }

    fn add_pushes(&mut self, history: &History) {
        let mut names: Vec<&str> = history
            .pushes
            .iter()
            .map(|push| push.subscriber.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        for (track, &name) in (1..).zip(&names) {
            self.name("thread_name", (PUSHES, track), name);
            for push in history.pushes.iter().filter(|push| push.subscriber == name) {
                let Push {
                    at,
                    project,
                    queue,
                    token,
                    status,
                    subscriber: _,
                } = push;
                self.events.push(Shown {
                    ph: "i",
                    ts: Some(micros(at.as_nanos())),
                    s: Some("t"),
                    args: json!({ "project": project, "queue": queue, "status": status }),
                    ..named(token, (PUSHES, track))
                });
            }
        }
    }
}

/// The word for an outcome, and what the process was told.
fn told(record: &Record) -> (&'static str, Value) {
    match &record.outcome {
        Outcome::Ok(answer) => ("ok", json!(answer)),
        Outcome::Fail { status } => ("fail", json!({ "status": status })),
        Outcome::Info => ("info", Value::Null),
    }
}

fn named(name: &str, (pid, tid): (u64, u64)) -> Shown {
    Shown {
        name: name.to_owned(),
        ph: "M",
        cat: None,
        pid,
        tid,
        ts: None,
        dur: None,
        s: None,
        args: Value::Null,
    }
}

/// Nanoseconds as microseconds, exactly.
fn micros(nanos: u64) -> Box<RawValue> {
    let text = format!("{}.{:03}", nanos / 1_000, nanos % 1_000);
    RawValue::from_string(text).expect("invariant: a decimal number is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::read;

    const LINES: &str = r#"{"format":"nanshe-history","version":1,"seed":7,"scenario":"","target":"reference","slack_ns":0,"latest_effect_ns":5}
{"at":0,"type":"phase","phase":"work"}
{"at":1000,"type":"inject","fault":"cut off 1"}
{"at":1500,"type":"invoke","process":1,"project":"p","f":"post","queue":"q","messages":[{"token":"t","ttl_secs":60}]}
{"at":2000,"type":"invoke","process":2,"f":"pop","queue":"q","limit":1}
{"at":2250,"type":"fail","process":2,"status":null}
{"at":2500,"type":"heal","fault":"cut off 1"}
{"at":3000,"type":"ok","process":1,"f":"post","ids":["i"]}
{"at":3500,"type":"push","queue":"q","subscriber":"sink","token":"t","status":200}
{"at":4000,"type":"inject","fault":"cut off 1"}
{"at":4500,"type":"phase","phase":"drain"}
{"at":5001,"type":"invoke","process":1,"f":"stats","queue":"q"}
{"at":6002,"type":"phase","phase":"end"}
"#;

    #[test]
    fn trace_shows_every_operation_fault_phase_and_push() {
        let history = read(LINES.as_bytes()).unwrap();
        let mut trace = Vec::new();
        write(&mut trace, &history).unwrap();
        let trace = String::from_utf8(trace).unwrap();
        let parsed: Value = serde_json::from_str(&trace).unwrap();
        assert!(
            parsed["traceEvents"]
                .as_array()
                .is_some_and(|events| events.len() > 10)
        );
        insta::assert_snapshot!(trace);
    }

    #[test]
    fn history_in_which_nothing_happened_is_a_trace_without_slices() {
        let head = LINES.lines().next().unwrap();
        let history = read(head.as_bytes()).unwrap();
        let mut trace = Vec::new();
        write(&mut trace, &history).unwrap();
        let parsed: Value = serde_json::from_slice(&trace).unwrap();
        let events = parsed["traceEvents"].as_array().unwrap();
        assert!(events.iter().all(|event| event["ph"] == "M"), "{parsed}");
    }
}
