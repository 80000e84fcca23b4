//! A run as a shell script that a person can repeat by hand.

use std::fmt::Write;

use super::answer::Difference;
use super::operation::{PROJECTS, Place, QUEUES};
use super::run::{Asked, Attempt, Step};
use super::specification::{Call, Meaning};

/// Bytes of an answer that a comment shows.
const ANSWER_SHOWN_BYTES_MAX: usize = 160;

/// The requests of `attempt` as curl lines for a server at `url`, with what was expected of the last.
pub(super) fn script(attempt: &Attempt, difference: Option<&Difference>, url: &str) -> String {
    let used = used_variables(attempt);
    let mut text = preamble(attempt, url);
    let mut number = 0;
    for step in &attempt.steps {
        match step {
            Step::Waited(span) => {
                let millis = span.as_millis();
                let line = format!("sleep {}.{:03}\n", millis / 1000, millis % 1000);
                text.push_str(&line);
            }
            Step::Asked(asked) => {
                number += 1;
                text.push_str(&lines(number, asked, &used));
            }
        }
    }
    if let Some(difference) = difference {
        let Difference {
            clause,
            expected,
            came,
        } = difference;
        let words = format!("# expected by contract {clause}: {expected}\n# came: {came}\n");
        text.push_str(&words);
    }
    text
}

fn preamble(attempt: &Attempt, url: &str) -> String {
    let mut text = format!("URL={url}\n");
    let asked = || attempt.steps.iter().filter_map(Step::asked);
    for project in 0..PROJECTS {
        if asked().any(|asked| asked.call.project == project) {
            let name = &attempt.names.projects[usize::from(project)];
            writeln!(text, "PROJECT{}={name}", project + 1).expect("a string takes all");
        }
    }
    for client in 0..2_u8 {
        if asked().any(|asked| asked.call.client == client) {
            let name = &attempt.names.clients[usize::from(client)];
            writeln!(text, "CLIENT{}={name}", client + 1).expect("a string takes all");
        }
    }
    text.push_str(concat!(
        "ask() { curl -sS -D head -o body -H \"X-Project-ID: $1\" -H \"Client-ID: $2\" ",
        "-H 'Accept: application/json' \"${@:3}\"; sed -n 1p head; cat body; echo; }\n"
    ));
    text
}

/// The variables that later requests use.
fn used_variables(attempt: &Attempt) -> Vec<String> {
    let paths = attempt.steps.iter().filter_map(Step::asked);
    paths
        .flat_map(|asked| asked.call.path.split("${").skip(1))
        .filter_map(|rest| rest.split_once('}'))
        .map(|(variable, _)| variable.to_owned())
        .collect()
}

fn lines(number: usize, asked: &Asked, used: &[String]) -> String {
    let Asked {
        call,
        learned,
        came,
    } = asked;
    let mut text = format!("# {number}. {}\n", title(call));
    let project = call.project + 1;
    let client = call.client + 1;
    let method = &call.method;
    write!(text, "ask $PROJECT{project} $CLIENT{client} -X {method}").expect("a string takes all");
    if let Some(body) = &call.body {
        let media = if matches!(call.meaning, Meaning::PatchQueue { .. }) {
            "openstack-messaging-v2.0-json-patch"
        } else {
            "json"
        };
        // A single quote ends the shell's word; no body that is drawn has one.
        write!(text, " -H 'Content-Type: application/{media}' -d '{body}'")
            .expect("a string takes all");
    }
    writeln!(text, " \"$URL{}\"", call.path).expect("a string takes all");
    for (position, variable) in learned.iter().enumerate() {
        if used.contains(variable) {
            text.push_str(&learning(variable, position));
        }
    }
    let end = came.floor_char_boundary(ANSWER_SHOWN_BYTES_MAX);
    let more = if end < came.len() { "…" } else { "" };
    writeln!(text, "#    {}{more}", &came[..end]).expect("a string takes all");
    text
}

/// Sets `variable` from the answer.
fn learning(variable: &str, position: usize) -> String {
    let kind = variable.chars().next();
    match kind {
        Some('M') => {
            format!("{variable}=$(jq -r '.resources[{position}] | split(\"/\")[-1]' body)\n")
        }
        Some('C') => format!("{variable}=$(sed -n 's|^[Ll]ocation: .*/||p' head | tr -d '\\r')\n"),
        _ => format!(
            "{variable}=$(jq -r '.links[] | select(.rel == \"next\").href' body | sed 's/.*marker=//; s/&.*//')\n"
        ),
    }
}

fn title(call: &Call) -> String {
    let at = |place: &Place| QUEUES[usize::from(place.queue)];
    match &call.meaning {
        Meaning::Post { poster, messages } => {
            let count = messages.len();
            let s = if count == 1 { "" } else { "s" };
            format!("post {count} message{s} to {}", at(&poster.place()))
        }
        Meaning::BadPost(place) => format!("a post to {} that must be refused", at(place)),
        Meaning::List(listed) => format!("list messages of {}", at(&listed.place())),
        Meaning::Get { place, .. } => format!("get a message of {}", at(place)),
        Meaning::GetMany { place, .. } => format!("get messages of {} by ids", at(place)),
        Meaning::Delete { place, .. } => format!("delete a message of {}", at(place)),
        Meaning::DeleteMany { place, .. } => format!("delete messages of {} by ids", at(place)),
        Meaning::Pop { place, count } => format!("pop up to {count} messages of {}", at(place)),
        Meaning::Claim(asked) => format!("claim messages of {}", at(&asked.place())),
        Meaning::ReadClaim { place, .. } => format!("read a claim of {}", at(place)),
        Meaning::Renew { place, .. } => format!("renew a claim of {}", at(place)),
        Meaning::Release { place, .. } => format!("release a claim of {}", at(place)),
        Meaning::CreateQueue { place, .. } => format!("create queue {}", at(place)),
        Meaning::ReadQueue(place) => format!("read the metadata of {}", at(place)),
        Meaning::PatchQueue { place, .. } => format!("patch the metadata of {}", at(place)),
        Meaning::DeleteQueue(place) => format!("delete queue {}", at(place)),
        Meaning::ListQueues { .. } => "list queues".to_owned(),
        Meaning::Stats(place) => format!("statistics of {}", at(place)),
        Meaning::Purge { place, .. } => format!("purge {}", at(place)),
    }
}

impl Step {
    fn asked(&self) -> Option<&Asked> {
        match self {
            Self::Waited(_) => None,
            Self::Asked(asked) => Some(asked),
        }
    }
}
