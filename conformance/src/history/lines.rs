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
    use crate::history::{Answer, Phase, Seen};

    fn header() -> Header {
        Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            seed: 7,
            scenario: "delivery/sample".to_owned(),
            target: "reference".to_owned(),
            slack_ns: 1_000_000_000,
            latest_effect_ns: None,
        }
    }

    fn events() -> Vec<Event> {
        let at = Instant::from_nanos;
        let queue = || "q".to_owned();
        let seen = || Seen {
            id: "i".to_owned(),
            token: "t".to_owned(),
        };
        let claim = || "c".to_owned();
        let invoke = |operation| What::Invoke {
            process: 1,
            operation,
        };
        let ok = |answer| What::Ok { process: 1, answer };
        let posted = Posted {
            token: "t".to_owned(),
            ttl_secs: 60,
        };
        let claimed = Answer::Claim {
            claim: Some(claim()),
            messages: vec![seen()],
        };
        let (ttl_secs, grace_secs) = (60, 60);
        let operations = vec![
            What::Phase { phase: Phase::Work },
            What::Inject {
                fault: "partition a".to_owned(),
            },
            invoke(Operation::Post {
                queue: queue(),
                messages: vec![posted],
            }),
            ok(Answer::Post {
                ids: vec!["i".to_owned()],
            }),
            invoke(Operation::Claim {
                queue: queue(),
                limit: 5,
                ttl_secs,
                grace_secs,
            }),
            ok(claimed),
            invoke(Operation::Renew {
                queue: queue(),
                claim: claim(),
                ttl_secs,
                grace_secs,
            }),
            ok(Answer::Renew),
            invoke(Operation::Release {
                queue: queue(),
                claim: claim(),
            }),
            What::Info {
                process: 1,
                why: "nothing within 5s".to_owned(),
            },
            invoke(Operation::Get {
                queue: queue(),
                message: "i".to_owned(),
            }),
            ok(Answer::Get {
                message: Some(seen()),
            }),
            invoke(Operation::Pop {
                queue: queue(),
                limit: 1,
            }),
            ok(Answer::Pop {
                messages: vec![seen()],
            }),
            invoke(Operation::Delete {
                queue: queue(),
                message: "i".to_owned(),
                claim: None,
            }),
            What::Fail {
                process: 1,
                status: Some(403),
            },
            What::Heal {
                fault: "partition a".to_owned(),
            },
            invoke(Operation::Get {
                queue: queue(),
                message: "i".to_owned(),
            }),
        ];
        let instants = (0..).map(|nanos| at(nanos * 10));
        instants
            .zip(operations)
            .map(|(at, what)| Event { at, what })
            .collect()
    }

    fn text(events: &[Event]) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes, &header(), events).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_have_the_documented_form() {
        insta::assert_snapshot!(text(&events()));
    }

    #[test]
    fn every_event_survives_the_way_there_and_back() {
        for event in events() {
            let line = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        }
        let history = read(text(&events()).as_bytes()).unwrap();
        assert_eq!(history.header, header());
        assert_eq!(history.records.len(), 8);
        assert_eq!(history.records[3].outcome, Outcome::Info);
        assert_eq!(
            history.records[6].outcome,
            Outcome::Fail { status: Some(403) }
        );
        assert_eq!(history.records[7].completed_at, Instant::NEVER);
    }

    fn error(text: &str) -> String {
        read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn malformed_line_is_refused_with_its_number() {
        let head = serde_json::to_string(&header()).unwrap();
        let invoke = r#"{"at":5,"type":"invoke","process":1,"f":"pop","queue":"q","limit":1}"#;
        let release = r#"{"at":6,"type":"ok","process":1,"f":"release"}"#;
        assert_eq!(
            error(""),
            "is empty, expected a header line with `\"format\":\"nanshe-history\"`"
        );
        assert!(error("{}").starts_with("line 1: missing field `format`"));
        assert_eq!(
            error(&head.replace("\"version\":1", "\"version\":9")),
            "line 1: is `nanshe-history` version 9, expected `nanshe-history` version 1"
        );
        let cut = error(&format!("{head}\n{invoke}\n{}", &invoke[..20]));
        assert!(cut.starts_with("line 3: EOF while parsing"), "{cut}");
        let backwards = invoke
            .replace("\"at\":5", "\"at\":4")
            .replace("\"process\":1", "\"process\":2");
        assert_eq!(
            error(&format!("{head}\n{invoke}\n{backwards}")),
            "line 3: time runs backwards, from 5 to 4 ns"
        );
        assert_eq!(
            error(&format!("{head}\n{invoke}\n{invoke}")),
            "line 3: process 1 has two operations under way"
        );
        assert_eq!(
            error(&format!("{head}\n{release}")),
            "line 2: process 1 completes what it never invoked"
        );
        assert_eq!(
            error(&format!("{head}\n{invoke}\n{release}")),
            "line 3: the answer is not one to what the process asked"
        );
    }
}
