//! `nanshe convert`.

use std::fs::File;
use std::io::BufReader;

use anyhow::Context as _;
use nanshe_conformance::history::{self, Event, Header, edn, trace};

use crate::args::{Convert, HistoryForm, RecordedForm};
use crate::output::{Exit, Shell, check_writable, write_whole};

pub(crate) fn run(args: &Convert, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    args.output.as_deref().map_or(Ok(()), check_writable)?;
    let path = &args.history;
    let from = args.from.unwrap_or_else(|| RecordedForm::of(path));
    let bytes = match args.to {
        HistoryForm::Trace => {
            let mut bytes = Vec::new();
            trace::write(&mut bytes, &super::check::read_as(path, from)?).map(|()| bytes)
        }
        HistoryForm::Edn => {
            let (header, events) = read_events(path, from)?;
            let mut bytes = Vec::new();
            edn::write(&mut bytes, &header, &events).map(|()| bytes)
        }
        HistoryForm::Jsonl => {
            let (header, events) = read_events(path, from)?;
            let mut bytes = Vec::new();
            history::write(&mut bytes, &header, &events).map(|()| bytes)
        }
    };
    let bytes = bytes.context("the history cannot be written down")?;
    match &args.output {
        Some(output) => write_whole(output, &bytes)?,
        None => shell.print(&String::from_utf8(bytes).context("all forms are text")?)?,
    }
    Ok(Exit::Valid)
}

/// The history as it was written, event by event: nothing that a line says is lost.
fn read_events(path: &str, from: RecordedForm) -> anyhow::Result<(Header, Vec<Event>)> {
    let file = File::open(path).with_context(|| format!("{path} cannot be opened"))?;
    let events = match from {
        RecordedForm::Edn => edn::read_events(file),
        RecordedForm::Jsonl => history::read_events(BufReader::new(file)),
    };
    events.with_context(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::commands::tests::nanshe;
    use crate::output::Exit;

    const FIXTURE: &str = "conformance/tests/fixtures/claims/overlap.renewed.violation.jsonl";

    fn converted(args: &[&str]) -> String {
        let (exit, out, error) = nanshe(&[&["convert"], args].concat());
        assert_eq!((exit, error.as_str()), (Exit::Valid, ""), "{args:?}");
        out
    }

    #[test]
    fn history_goes_to_edn_and_back_unchanged_and_is_judged_alike() {
        let folder = std::env::temp_dir().join(format!("nanshe-convert-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let edn = folder.join("history.edn");
        let edn = edn.to_str().unwrap();
        assert_eq!(converted(&[FIXTURE, "--to", "edn", "--output", edn]), "");
        let lines = converted(&[edn, "--to", "jsonl"]);
        let original = std::fs::read_to_string(FIXTURE).unwrap();
        // A line may leave out what is null; written, it is there.
        let normal = converted(&[FIXTURE, "--to", "jsonl"]);
        assert_eq!(lines, normal);
        assert_eq!(original.lines().count(), lines.lines().count());
        let (exit, out, _) = nanshe(&["check", edn]);
        let (_, expected, _) = nanshe(&["check", FIXTURE]);
        assert_eq!(
            (exit, out),
            (Exit::Violation, expected.replace(FIXTURE, edn))
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn trace_names_a_track_for_every_process() {
        let trace = converted(&[FIXTURE, "--to", "trace"]);
        let trace: serde_json::Value = serde_json::from_str(&trace).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let slices = events.iter().filter(|event| event["ph"] == "X");
        assert!(slices.count() >= 3, "{trace:#}");
    }

    #[test]
    fn malformed_edn_exits_2_with_its_line() {
        let args = ["convert", "Cargo.toml", "--from", "edn", "--to", "jsonl"];
        let (exit, out, error) = nanshe(&args);
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
        assert!(error.starts_with("nanshe: Cargo.toml: line 1: "), "{error}");
    }

    #[test]
    fn file_whose_folder_is_not_there_exits_2() {
        let (exit, _, error) = nanshe(&["convert", FIXTURE, "--to", "edn", "--output", "no/such"]);
        assert_eq!(exit, Exit::Usage, "{error}");
    }
}
