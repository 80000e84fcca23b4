//! Histories as Jepsen writes them: EDN maps of `:type`, `:process`, `:f`, `:value` and `:time`, one
//! after the other or in one vector. `HISTORY.md` says what stands in them.
//!
//! Every map becomes a line of our own form, and is read by the reader of that: what it refuses is
//! refused here, with the line on which the map begins.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};

use serde_json::{Map, Value, json};

use self::reader::{Form, forms};
use super::events::{Checked, checked};
use super::pairing::{Pairing, Whole};
use super::{Event, FORMAT, Header, History, HistoryError, Profile, VERSION, raw};

mod reader;

/// The process of everything that is not a client's.
const NEMESIS: &str = "nemesis";

/// How wrong a target's clock may be of which nobody said: more than one that counts whole seconds.
const SLACK_NS: u64 = 2_000_000_000;

/// Fields of an operation that other tools add, and that say nothing here.
const PASSED_OVER: [&str; 4] = ["index", "node", "exception", "clock_offsets"];

/// Reads a history and pairs its events.
///
/// # Errors
///
/// With the number of the line on which what is wrong begins: not EDN, a map that is no event, and
/// whatever [`super::read`] refuses.
pub fn read(input: impl Read) -> Result<History, HistoryError> {
    let (header, events) = read_events(input)?;
    let mut pairing = Pairing::new(Whole::new(header));
    for event in events {
        pairing
            .add(event)
            .expect("invariant: they were paired when they were read");
    }
    Ok(pairing.finish().finish())
}

/// Reads a history's header and events. Where there is no header, the least is promised.
///
/// # Errors
///
/// As those of [`read`].
pub fn read_events(mut input: impl Read) -> Result<(Header, Vec<Event>), HistoryError> {
    let mut text = String::new();
    input
        .read_to_string(&mut text)
        .map_err(|error| HistoryError::Read { line: 1, error })?;
    let at = |line, message| HistoryError::Line { line, message };
    let forms = forms(&text).map_err(|(line, message)| at(line, message))?;
    let mut forms = forms.into_iter().peekable();
    let is_header = |form: &Form| form.value.get("format").is_some();
    let header = match forms.next_if(is_header) {
        None => header(),
        Some(Form { line, value }) => {
            let header = serde_json::from_value(value).map_err(|error| error.to_string());
            let header = header.and_then(checked);
            header.map_err(|message| at(line, message))?
        }
    };
    let mut events = Checked::default();
    for Form { line, value } in forms {
        let event = event(value).map_err(|message| at(line, message))?;
        let added = events.add(&header, event);
        added.map_err(|message| at(line, message))?;
    }
    Ok((header, events.events))
}

/// The header of a history without one.
fn header() -> Header {
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        seed: 0,
        scenario: String::new(),
        target: String::new(),
        slack_ns: SLACK_NS,
        latest_effect_ns: None,
        profile: Profile::default(),
    }
}

/// The event that a map means.
fn event(form: Value) -> Result<Event, String> {
    let Value::Object(mut map) = form else {
        return Err("expected a map with `:type`, `:process`, `:f` and `:time`".to_owned());
    };
    for name in PASSED_OVER {
        map.remove(name);
    }
    let mut line = Map::new();
    let mut take = |name: &str| map.remove(name).unwrap_or(Value::Null);
    let [time, kind, process, f] = ["time", "type", "process", "f"].map(&mut take);
    let [value, error, project] = ["value", "error", "project"].map(&mut take);
    if let Some(name) = map.keys().next() {
        return Err(format!("unknown field `{name}`"));
    }
    let known = [("time", &time), ("type", &kind), ("process", &process)];
    if let Some((name, _)) = known.iter().find(|(_, value)| value.is_null()) {
        return Err(format!("missing field `{name}`"));
    }
    line.insert("at".to_owned(), time);
    if process == NEMESIS {
        nemesis(&mut line, f, value)?;
        return raw::event(&Value::Object(line).to_string());
    }
    line.insert("process".to_owned(), process);
    if !project.is_null() {
        line.insert("project".to_owned(), project);
    }
    match kind.as_str() {
        Some("fail") => {
            // Why it did not happen may be said in other words: it did not.
            let status = if error.is_number() {
                error
            } else {
                Value::Null
            };
            line.insert("status".to_owned(), status);
        }
        Some("info") => {
            let why = error.as_str().map_or_else(|| edn(&error), str::to_owned);
            line.insert("why".to_owned(), Value::String(why));
        }
        // Another type is refused by name.
        Some(_) | None => {
            line.insert("f".to_owned(), f);
            extend(&mut line, value)?;
        }
    }
    line.insert("type".to_owned(), kind);
    raw::event(&Value::Object(line).to_string())
}

/// Faults, phases and pushes: whatever no client does.
fn nemesis(line: &mut Map<String, Value>, f: Value, value: Value) -> Result<(), String> {
    match f.as_str() {
        Some("inject" | "heal") => line.insert("fault".to_owned(), value),
        Some("phase") => line.insert("phase".to_owned(), value),
        Some("push") => {
            extend(line, value)?;
            None
        }
        Some(_) | None => {
            return Err(format!(
                "`{}` is nothing that the nemesis does, expected :inject, :heal, :phase or :push",
                edn(&f)
            ));
        }
    };
    line.insert("type".to_owned(), f);
    Ok(())
}

fn extend(line: &mut Map<String, Value>, value: Value) -> Result<(), String> {
    match value {
        Value::Null => Ok(()),
        Value::Object(value) => {
            let mut names = value.keys();
            if let Some(name) = names.find(|name| line.contains_key(*name)) {
                return Err(format!("duplicate field `{name}`"));
            }
            line.extend(value);
            Ok(())
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err("`:value` is not a map of the operation's fields".to_owned())
        }
    }
}

/// Writes `header` and `events`, one map a line.
///
/// # Errors
///
/// What `out` says.
pub fn write<'a>(
    mut out: impl Write,
    header: &Header,
    events: impl IntoIterator<Item = &'a Event>,
) -> std::io::Result<()> {
    writeln!(out, "{}", edn(&serde_json::to_value(header)?))?;
    // By process: what it asked for last. Its completion says so once more.
    let mut asked: BTreeMap<u64, Value> = BTreeMap::new();
    for event in events {
        let Value::Object(mut line) = serde_json::to_value(event)? else {
            unreachable!("invariant: an event is an object")
        };
        writeln!(out, "{}", map_of(&mut line, &mut asked))?;
    }
    out.flush()
}

/// The map that means the line.
fn map_of(line: &mut Map<String, Value>, asked: &mut BTreeMap<u64, Value>) -> String {
    let mut take = |name: &str| line.remove(name).unwrap_or(Value::Null);
    let [time, kind, process, project] = ["at", "type", "process", "project"].map(&mut take);
    let [f, status, why] = ["f", "status", "why"].map(&mut take);
    let mut text = String::new();
    let Some(number) = process.as_u64() else {
        if !project.is_null() {
            line.insert("project".to_owned(), project);
        }
        let value = match kind.as_str() {
            Some("push") => {
                line.insert("status".to_owned(), status);
                edn(&json!(line))
            }
            Some("phase") => format!(":{}", line["phase"].as_str().unwrap_or_default()),
            Some(_) | None => edn(&line["fault"]),
        };
        let kind = kind.as_str().unwrap_or_default();
        write!(
            text,
            "{{:type :info, :process :{NEMESIS}, :f :{kind}, :value {value}"
        )
        .expect("a string takes every text");
        return format!("{text}, :time {time}}}");
    };
    if !f.is_null() {
        asked.insert(number, f);
    }
    let f = asked
        .get(&number)
        .and_then(Value::as_str)
        .unwrap_or_default();
    let kind = kind.as_str().unwrap_or_default();
    write!(text, "{{:type :{kind}, :process {number}, :f :{f}").expect("a string takes every text");
    let (error, project) = (
        edn(if status.is_null() { &why } else { &status }),
        edn(&project),
    );
    for (name, value) in [("project", project), ("error", error)] {
        if value != "nil" {
            write!(text, ", :{name} {value}").expect("a string takes every text");
        }
    }
    let value = if line.is_empty() {
        "nil".to_owned()
    } else {
        edn(&json!(line))
    };
    format!("{text}, :value {value}, :time {time}}}")
}

/// The value as EDN. Keys are keywords.
fn edn(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", list(items.iter().map(edn).collect())),
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| {
                format!(":{} {}", key.replace('_', "-"), edn(value))
            };
            format!("{{{}}}", list(map.iter().map(pair).collect()))
        }
    }
}

#[cfg(test)]
mod tests;
