//! The JSON Lines form: lossless both ways, and strict when reading.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write};

use super::{Event, FORMAT, Header, History, Operation, Outcome, Posted, Record, VERSION, What};
use crate::environment::Instant;

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file itself.
    #[error("line {line}: cannot be read: {error}")]
    Read {
        /// From 1.
        line: usize,
        /// What the system said.
        error: std::io::Error,
    },
    /// Not even a header.
    #[error("is empty, expected a header line with `\"format\":\"{FORMAT}\"`")]
    Empty,
    /// A line that is not what it should be.
    #[error("line {line}: {message}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong, and what would be right.
        message: String,
    },
}

/// Writes `header` and `events`, one a line.
///
/// # Errors
///
/// What `out` says.
pub fn write<'a>(
    mut out: impl Write,
    header: &Header,
    events: impl IntoIterator<Item = &'a Event>,
) -> std::io::Result<()> {
    serde_json::to_writer(&mut out, header)?;
    out.write_all(b"\n")?;
    for event in events {
        serde_json::to_writer(&mut out, event)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Reads a history, line by line, and pairs its events.
///
/// # Errors
///
/// With the line's number: not JSON, another format or version, time running backwards, a completion
/// without an invocation, two operations of one process at once, an answer to another question.
pub fn read(input: impl BufRead) -> Result<History, HistoryError> {
    let mut lines = input.lines().enumerate().map(|(index, line)| {
        let number = index + 1;
        line.map(|line| (number, line))
            .map_err(|error| HistoryError::Read {
                line: number,
                error,
            })
    });
    let (_, first) = lines.next().ok_or(HistoryError::Empty)??;
    let header: Header = parse(1, &first)?;
    if header.format != FORMAT || header.version != VERSION {
        let message = format!(
            "is `{}` version {}, expected `{FORMAT}` version {VERSION}",
            header.format, header.version
        );
        return Err(HistoryError::Line { line: 1, message });
    }
    let mut pairing = Pairing::new(header);
    for line in lines {
        let (number, line) = line?;
        let event = parse(number, &line)?;
        pairing.add(event).map_err(|message| HistoryError::Line {
            line: number,
            message,
        })?;
    }
    Ok(pairing.finish())
}

fn parse<T: serde::de::DeserializeOwned>(line: usize, text: &str) -> Result<T, HistoryError> {
    serde_json::from_str(text).map_err(|error| {
        // The line is one JSON text: serde_json's own "at line 1" would only confuse.
        let message = error.to_string();
        let message = message
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned();
        HistoryError::Line { line, message }
    })
}

/// Pairs invocations with completions.
pub(super) struct Pairing {
    history: History,
    now: Instant,
    under_way: BTreeMap<u64, usize>,
    tokens: BTreeSet<String>,
}

impl Pairing {
    pub(super) fn new(header: Header) -> Self {
        let history = History {
            header,
            records: Vec::new(),
            phases: Vec::new(),
            faults: Vec::new(),
        };
        let (under_way, tokens) = (BTreeMap::new(), BTreeSet::new());
        Self {
            history,
            now: Instant::START,
            under_way,
            tokens,
        }
    }

    pub(super) fn add(&mut self, event: Event) -> Result<(), String> {
        let Event { at, what } = event;
        if at < self.now {
            return Err(format!(
                "time runs backwards, from {} to {} ns",
                self.now.as_nanos(),
                at.as_nanos()
            ));
        }
        self.now = at;
        match what {
            What::Invoke { process, operation } => {
                if let Operation::Post { messages, .. } = &operation {
                    for Posted { token, .. } in messages {
                        if !self.tokens.insert(token.clone()) {
                            return Err(format!("token `{token}` is posted a second time"));
                        }
                    }
                }
                if self
                    .under_way
                    .insert(process, self.history.records.len())
                    .is_some()
                {
                    return Err(format!("process {process} has two operations under way"));
                }
                self.history.records.push(Record {
                    process,
                    operation,
                    invoked_at: at,
                    completed_at: Instant::NEVER,
                    outcome: Outcome::Info,
                });
                Ok(())
            }
            What::Ok { process, answer } => self.complete(at, process, Outcome::Ok(answer)),
            What::Fail { process, status } => self.complete(at, process, Outcome::Fail { status }),
            What::Info { process, .. } => self.complete(at, process, Outcome::Info),
            What::Inject { fault } => {
                self.history.faults.push((at, fault));
                Ok(())
            }
            What::Heal { .. } => Ok(()),
            What::Phase { phase } => {
                self.history.phases.push((at, phase));
                Ok(())
            }
        }
    }

    fn complete(&mut self, at: Instant, process: u64, outcome: Outcome) -> Result<(), String> {
        let Some(index) = self.under_way.remove(&process) else {
            return Err(format!("process {process} completes what it never invoked"));
        };
        let record = &mut self.history.records[index];
        if let Outcome::Ok(answer) = &outcome {
            record.operation.answered_by(answer)?;
        }
        record.completed_at = at;
        record.outcome = outcome;
        Ok(())
    }

    pub(super) fn finish(self) -> History {
        self.history
    }
}

impl Operation {
    /// Whether `answer` answers this question.
    fn answered_by(&self, answer: &super::Answer) -> Result<(), String> {
        use super::Answer;
        match (self, answer) {
            (Operation::Post { messages, .. }, Answer::Post { ids }) => {
                if messages.len() == ids.len() {
                    return Ok(());
                }
                Err(format!(
                    "{} messages were posted, but {} ids came",
                    messages.len(),
                    ids.len()
                ))
            }
            (Operation::Claim { .. }, Answer::Claim { .. })
            | (Operation::Renew { .. }, Answer::Renew)
            | (Operation::Release { .. }, Answer::Release)
            | (Operation::Delete { .. }, Answer::Delete)
            | (Operation::Pop { .. }, Answer::Pop { .. })
            | (Operation::Get { .. }, Answer::Get { .. }) => Ok(()),
            _ => Err("the answer is not one to what the process asked".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Answer, Phase};

    /// Every kind of line there is. Other people's tools write them too: what stands here is a promise.
    const LINES: &str = r#"{"format":"nanshe-history","version":1,"seed":7,"scenario":"delivery/sample","target":"reference","slack_ns":1000000000,"latest_effect_ns":null}
{"at":0,"type":"phase","phase":"work"}
{"at":10,"type":"inject","fault":"partition a"}
{"at":20,"type":"invoke","process":1,"f":"post","queue":"q","messages":[{"token":"t","ttl_secs":60}]}
{"at":30,"type":"ok","process":1,"f":"post","ids":["i"]}
{"at":40,"type":"invoke","process":1,"f":"claim","queue":"q","limit":5,"ttl_secs":60,"grace_secs":60}
{"at":50,"type":"ok","process":1,"f":"claim","claim":"c","messages":[{"id":"i","token":"t"}]}
{"at":60,"type":"invoke","process":1,"f":"renew","queue":"q","claim":"c","ttl_secs":60,"grace_secs":60}
{"at":70,"type":"ok","process":1,"f":"renew"}
{"at":80,"type":"invoke","process":1,"f":"release","queue":"q","claim":"c"}
{"at":90,"type":"info","process":1,"why":"nothing within 5s"}
{"at":100,"type":"invoke","process":1,"f":"get","queue":"q","message":"i"}
{"at":110,"type":"ok","process":1,"f":"get","message":{"id":"i","token":"t"}}
{"at":120,"type":"invoke","process":1,"f":"pop","queue":"q","limit":1}
{"at":130,"type":"ok","process":1,"f":"pop","messages":[{"id":"i","token":"t"}]}
{"at":140,"type":"invoke","process":1,"f":"delete","queue":"q","message":"i","claim":null}
{"at":150,"type":"fail","process":1,"status":403}
{"at":160,"type":"heal","fault":"partition a"}
{"at":170,"type":"invoke","process":1,"f":"get","queue":"q","message":"i"}
"#;

    const HEAD: &str = r#"{"format":"nanshe-history","version":1,"seed":7,"scenario":"","target":"reference","slack_ns":0,"latest_effect_ns":5}"#;

    #[test]
    fn every_line_survives_the_way_there_and_back() {
        let (head, rest) = LINES.split_once('\n').unwrap();
        let header: Header = serde_json::from_str(head).unwrap();
        let events: Vec<Event> = rest
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let mut bytes = Vec::new();
        write(&mut bytes, &header, &events).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), LINES);
    }

    #[test]
    fn events_of_one_operation_are_paired() {
        let history = read(LINES.as_bytes()).unwrap();
        assert_eq!(history.header.seed, 7);
        assert_eq!(history.phases, [(Instant::START, Phase::Work)]);
        assert_eq!(
            history.faults,
            [(Instant::from_nanos(10), "partition a".to_owned())]
        );
        let records = &history.records;
        assert_eq!(records.len(), 8);
        assert!(
            matches!(&records[1].outcome, Outcome::Ok(Answer::Claim { messages, .. }) if messages.len() == 1)
        );
        assert_eq!(records[3].outcome, Outcome::Info);
        assert_eq!(records[3].completed_at, Instant::from_nanos(90));
        assert_eq!(records[6].outcome, Outcome::Fail { status: Some(403) });
        // Never completed: nobody knows.
        assert_eq!(records[7].outcome, Outcome::Info);
        assert_eq!(records[7].completed_at, Instant::NEVER);
    }

    fn error(lines: &[&str]) -> String {
        read(lines.join("\n").as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn malformed_line_is_refused_with_its_number() {
        let invoke = r#"{"at":5,"type":"invoke","process":1,"f":"pop","queue":"q","limit":1}"#;
        let release = r#"{"at":6,"type":"ok","process":1,"f":"release"}"#;
        let empty = "is empty, expected a header line with `\"format\":\"nanshe-history\"`";
        assert_eq!(error(&[]), empty);
        assert!(error(&["{}"]).starts_with("line 1: missing field `format`"));
        let newer = HEAD.replace("\"version\":1", "\"version\":9");
        let version = "line 1: is `nanshe-history` version 9, expected `nanshe-history` version 1";
        assert_eq!(error(&[&newer]), version);
        let cut = error(&[HEAD, invoke, &invoke[..20]]);
        assert!(cut.starts_with("line 3: EOF while parsing"), "{cut}");
        let earlier = invoke
            .replace("\"at\":5", "\"at\":4")
            .replace("process\":1", "process\":2");
        let backwards = "line 3: time runs backwards, from 5 to 4 ns";
        assert_eq!(error(&[HEAD, invoke, &earlier]), backwards);
        let twice = "line 3: process 1 has two operations under way";
        assert_eq!(error(&[HEAD, invoke, invoke]), twice);
        let never_invoked = "line 2: process 1 completes what it never invoked";
        assert_eq!(error(&[HEAD, release]), never_invoked);
        let mismatch = "line 3: the answer is not one to what the process asked";
        assert_eq!(error(&[HEAD, invoke, release]), mismatch);
        let post = r#"{"at":5,"type":"invoke","process":1,"f":"post","queue":"q","messages":[{"token":"t","ttl_secs":60}]}"#;
        let again = post.replace("process\":1", "process\":2");
        assert_eq!(
            error(&[HEAD, post, &again]),
            "line 3: token `t` is posted a second time"
        );
    }
}
