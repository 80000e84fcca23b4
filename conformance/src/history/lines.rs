//! The JSON Lines form: lossless both ways, and strict when reading.

use std::io::{BufRead, Read as _, Write};

use super::events::checked;
use super::pairing::{Pairing, Sink, Whole};
use super::raw::parse;
use super::{Event, FORMAT, Header, History, blocks};

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

/// Writes `header`, if it is to be written, and `events`, one a line.
///
/// # Errors
///
/// What `out` says.
pub fn write<'a>(
    mut out: impl Write,
    header: impl Into<Option<&'a Header>>,
    events: impl IntoIterator<Item = &'a Event>,
) -> std::io::Result<()> {
    if let Some(header) = header.into() {
        serde_json::to_writer(&mut out, header)?;
        out.write_all(b"\n")?;
    }
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
/// without an invocation, two operations of one process at once, an answer to another question, a walk
/// that changes its queue or its flags, fields that do not belong there.
pub fn read(input: impl BufRead) -> Result<History, HistoryError> {
    feed(input, 1, Whole::new).map(Whole::finish)
}

/// Reads a history and hands it over to what `sink` makes of its header, parsing lines on so many threads.
///
/// # Errors
///
/// As [`read`], and whatever else the sink refuses.
pub fn feed<S: Sink>(
    mut input: impl BufRead,
    threads: usize,
    sink: impl FnOnce(Header) -> S,
) -> Result<S, HistoryError> {
    let mut pairing = Pairing::new(sink(header(&mut input)?));
    blocks::events(input, threads, |line, event| {
        let added = pairing.add(event);
        added.map_err(|message| HistoryError::Line { line, message })
    })?;
    Ok(pairing.finish())
}

/// Reads the first line.
pub(super) fn header(input: &mut impl BufRead) -> Result<Header, HistoryError> {
    let mut first = String::new();
    let mut head = input.by_ref().take(blocks::LINE_BYTES_MAX as u64);
    let count = head.read_line(&mut first);
    let count = count.map_err(|error| HistoryError::Read { line: 1, error })?;
    if count == 0 {
        return Err(HistoryError::Empty);
    }
    let at = |line| move |message| HistoryError::Line { line, message };
    // Who writes a byte order mark means UTF-8 by it (RFC 8259, 8.1).
    let first = first.trim_start_matches('\u{feff}').trim_end();
    let header: Header = parse(first).map_err(at(1))?;
    checked(header).map_err(at(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Instant;
    use crate::history::{Answer, Outcome, Phase, raw};

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

    /// What came with the rules that need it: more operations, and more to say about the old ones.
    const MORE_LINES: &str = r#"{"format":"nanshe-history","version":1,"seed":7,"scenario":"","target":"reference","slack_ns":0,"latest_effect_ns":5,"profile":{"short_answers":"strict","pops_count":true,"order":"strict","strict_stats":true,"bulk_delete_needs_claims":true,"expiry_lag_ns":5,"pushed_within_ns":7}}
{"at":0,"type":"invoke","process":1,"f":"create-queue","queue":"q","settings":{"default_ttl_secs":60,"default_delay_secs":5,"dead_letter_queue":"d","dead_letter_ttl_secs":70,"max_claim_count":3}}
{"at":1,"type":"ok","process":1,"f":"create-queue","created":true}
{"at":2,"type":"invoke","process":1,"project":"p","f":"set-metadata","queue":"q","settings":{}}
{"at":3,"type":"ok","process":1,"f":"set-metadata"}
{"at":4,"type":"invoke","process":1,"f":"subscribe","queue":"q","subscriber":"sink","ttl_secs":60}
{"at":5,"type":"ok","process":1,"f":"subscribe","subscription":"s"}
{"at":6,"type":"invoke","process":1,"f":"post","queue":"q","messages":[{"token":"t","ttl_secs":60,"delay_secs":5,"body":"0a"}]}
{"at":7,"type":"push","queue":"q","subscriber":"sink","token":"t","status":200}
{"at":7,"type":"push","project":"p","queue":"q","subscriber":"sink","token":"t","id":"i","status":null}
{"at":8,"type":"ok","process":1,"f":"post","ids":["i"]}
{"at":9,"type":"invoke","process":1,"f":"list","queue":"q","chain":1,"marker":null,"limit":2,"echo":true,"include_claimed":true,"include_delayed":true}
{"at":10,"type":"ok","process":1,"f":"list","messages":[{"id":"i","token":"t","body":"0a"}],"next":"m"}
{"at":11,"type":"invoke","process":1,"f":"list","queue":"q","chain":1,"marker":"m","limit":2,"echo":true,"include_claimed":true,"include_delayed":true}
{"at":12,"type":"ok","process":1,"f":"list","messages":[],"next":null}
{"at":13,"type":"invoke","process":1,"f":"get-many","queue":"q","ids":["i","j"]}
{"at":14,"type":"ok","process":1,"f":"get-many","messages":[{"id":"i","token":"t"}]}
{"at":15,"type":"invoke","process":1,"f":"claim-get","queue":"q","claim":"c"}
{"at":16,"type":"ok","process":1,"f":"claim-get","messages":null}
{"at":17,"type":"invoke","process":1,"f":"claim-get","queue":"q","claim":"c"}
{"at":18,"type":"ok","process":1,"f":"claim-get","messages":[{"id":"i","token":"t"}]}
{"at":19,"type":"invoke","process":1,"f":"stats","queue":"q"}
{"at":20,"type":"ok","process":1,"f":"stats","free":1,"claimed":0,"total":1}
{"at":21,"type":"invoke","process":1,"f":"bulk-delete","queue":"q","ids":["i"]}
{"at":22,"type":"ok","process":1,"f":"bulk-delete"}
{"at":23,"type":"invoke","process":1,"f":"purge","queue":"q"}
{"at":24,"type":"ok","process":1,"f":"purge"}
{"at":25,"type":"invoke","process":1,"f":"delete-queue","queue":"q"}
{"at":26,"type":"ok","process":1,"f":"delete-queue"}
{"at":27,"type":"invoke","process":1,"f":"pop","queue":"q","limit":1}
{"at":28,"type":"fail","process":1,"status":null}
"#;

    const HEAD: &str = r#"{"format":"nanshe-history","version":1,"seed":7,"scenario":"","target":"reference","slack_ns":0,"latest_effect_ns":5}"#;

    #[test]
    fn every_line_survives_the_way_there_and_back() {
        for lines in [LINES, MORE_LINES] {
            let (head, rest) = lines.split_once('\n').unwrap();
            let header: Header = serde_json::from_str(head).unwrap();
            let events = rest.lines().map(|line| raw::event(line).unwrap());
            let events: Vec<Event> = events.collect();
            let mut bytes = Vec::new();
            write(&mut bytes, &header, &events).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), lines);
        }
    }

    #[test]
    fn byte_order_mark_before_the_header_says_nothing() {
        let marked = read(format!("\u{feff}{MORE_LINES}").as_bytes()).unwrap();
        let plain = read(MORE_LINES.as_bytes()).unwrap();
        assert_eq!(marked.records, plain.records);
    }

    #[test]
    fn projects_pushes_and_profile_are_kept() {
        let history = read(MORE_LINES.as_bytes()).unwrap();
        assert!(history.header.profile.pops_count);
        let projects = history.records.iter().map(|record| record.project.as_str());
        assert_eq!(projects.collect::<Vec<_>>()[..3], ["", "p", ""]);
        let pushes = history.pushes.iter();
        let pushes: Vec<_> = pushes
            .map(|push| (push.project.as_str(), push.status))
            .collect();
        assert_eq!(pushes, [("", Some(200)), ("p", None)]);
    }

    #[test]
    fn field_that_belongs_elsewhere_is_refused() {
        let pop = r#"{"at":5,"type":"invoke","process":1,"f":"pop","queue":"q","limit":1}"#;
        let extended = |field: &str| pop.replace("\"limit\":1", &format!("\"limit\":1,{field}"));
        let unknown = error(&[HEAD, &extended("\"limits\":1")]);
        assert!(
            unknown.starts_with("line 2: unknown field `limits`"),
            "{unknown}"
        );
        let elsewhere = "line 2: unknown field `claim` in a line of this kind";
        assert_eq!(error(&[HEAD, &extended("\"claim\":null")]), elsewhere);
        let twice = error(&[HEAD, &extended("\"limit\":1")]);
        assert_eq!(twice, "line 2: duplicate field `limit`");
        let missing = pop.replace(",\"limit\":1", "");
        assert_eq!(error(&[HEAD, &missing]), "line 2: missing field `limit`");
        let kind = error(&[HEAD, &pop.replace("pop", "pops")]);
        assert!(kind.starts_with("line 2: unknown variant `pops`"), "{kind}");
    }

    #[test]
    fn walk_that_changes_its_flags_is_refused() {
        let page = r#"{"at":5,"type":"invoke","process":1,"f":"list","queue":"q","chain":4,"marker":null,"limit":2,"echo":true,"include_claimed":true,"include_delayed":true}"#;
        let other = page.replace("\"echo\":true", "\"echo\":false");
        let other = other.replace("\"process\":1", "\"process\":2");
        let changed = "line 3: chain 4 goes on in another queue, or with other flags";
        assert_eq!(error(&[HEAD, page, &other]), changed);
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
        let unavailable = r#"{"at":6,"type":"fail","process":1,"status":503}"#;
        assert_eq!(
            error(&[HEAD, invoke, unavailable]),
            "line 3: a status of 503 does not tell that nothing happened: that ends as `info`"
        );
        let mismatch = "line 3: the answer is not one to what the process asked";
        assert_eq!(error(&[HEAD, invoke, release]), mismatch);
        let post = r#"{"at":5,"type":"invoke","process":1,"f":"post","queue":"q","messages":[{"token":"t","ttl_secs":60}]}"#;
        let again = post.replace("process\":1", "process\":2");
        assert_eq!(
            error(&[HEAD, post, &again]),
            "line 3: token `t` is posted a second time"
        );
    }

    #[test]
    fn byte_order_mark_says_nothing_to_either_reader() {
        let marked = format!("\u{feff}{LINES}");
        let (header, events) = super::super::read_events(marked.as_bytes()).unwrap();
        let whole = read(marked.as_bytes()).unwrap();
        assert_eq!(header, whole.header);
        assert_eq!(events.len(), LINES.lines().count() - 1);
    }
}
