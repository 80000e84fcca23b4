//! What is read, what is refused and with which line, and the way there and back.

use std::fs;
use std::path::Path;

use super::*;
use crate::history;

/// As Jepsen prints a history: tags, extra fields, and what completes says once more what was asked.
const JEPSEN: &str = r#"; a comment
[{:format "nanshe-history", :version 1, :seed 7, :scenario "", :target "redis",
  :slack-ns 1000, :latest-effect-ns nil}
 #jepsen.history.Op{:index 0, :time 10, :type :invoke, :process 0, :f :post,
                    :value {:queue "q", :messages [{:token "t", :ttl-secs 60}]}}
 {:index 1, :time 20, :type :ok, :process 0, :f :post, :value {:ids ["i"]}}
 {:time 30, :type :info, :process :nemesis, :f :inject, :value "kill \"a\""}
 {:time 40, :type :invoke, :process 1, :f :get, :value {:queue "q" :message "i"}}
 #_ {:what "is discarded"}
 {:time 50, :type :info, :process 1, :f :get, :value {:queue "q"}, :error [:timeout 5]}
 {:time 60, :type :invoke, :process 2, :f :pop, :project "p", :value {:queue "q", :limit 1}}
 {:time 70, :type :fail, :process 2, :f :pop, :error 403}
 {:time 75, :type :info, :process :nemesis, :f :push,
  :value {:queue "q", :subscriber "s", :token "t", :status nil}}
 {:time 80, :type :info, :process :nemesis, :f :phase, :value :end}]
"#;

fn error(text: &str) -> String {
    read(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn histories_that_jepsen_wrote_are_read() {
    let (header, events) = read_events(JEPSEN.as_bytes()).unwrap();
    let mut lines = Vec::new();
    history::write(&mut lines, &header, &events).unwrap();
    insta::assert_snapshot!(String::from_utf8(lines).unwrap());
}

#[test]
fn every_event_survives_the_way_there_and_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders = fs::read_dir(root).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let mut texts: Vec<Vec<u8>> = files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(texts.len() > 50, "{} fixtures", texts.len());
    let (header, events) = read_events(JEPSEN.as_bytes()).unwrap();
    let mut lines = Vec::new();
    history::write(&mut lines, &header, &events).unwrap();
    texts.push(lines);
    for lines in texts {
        let (header, events) = history::read_events(lines.as_slice()).unwrap();
        let mut text = Vec::new();
        write(&mut text, &header, &events).unwrap();
        let again = read_events(text.as_slice()).unwrap();
        assert_eq!(
            (header, events),
            again,
            "{}",
            String::from_utf8_lossy(&text)
        );
        let history = read(text.as_slice()).unwrap();
        assert_eq!(history, history::read(lines.as_slice()).unwrap());
        // What is written once is written so again.
        let mut second = Vec::new();
        write(&mut second, &again.0, &again.1).unwrap();
        assert_eq!(text, second);
    }
}

#[test]
fn history_without_a_header_is_judged_by_what_promises_least() {
    let history = read("{:time 1 :type :info :process :nemesis :f :phase :value :work}".as_bytes());
    let header = history.unwrap().header;
    assert_eq!((header.slack_ns, header.latest_effect_ns), (SLACK_NS, None));
    assert!(header.profile.is_default());
}

#[test]
fn what_is_not_edn_is_refused_with_its_line() {
    for (text, wrong) in [
        ("{:time 1\n :type", "line 2: ends where a value is missing"),
        ("[{:time 1}]\n", "line 1: missing field `type`"),
        ("[\n", "line 2: ends where `]` is missing"),
        (
            "\n{:time 1.5}",
            "line 2: `1.5` is not nil, true, false, an integer, a string or a keyword",
        ),
        ("{:a \"\n\n", "line 3: ends where `\"` is missing"),
        ("{:a \"\\q\"}", "line 1: `\\q` is no escape in a string"),
        ("{:a #{1}}", "line 1: a set stands where a history has none"),
        ("{:a 1 :a 2}", "line 1: duplicate field `a`"),
        (
            "{1 2}",
            "line 1: the key of a map is neither a keyword nor a string",
        ),
        ("{:a }", "line 1: `}` stands where a value is missing"),
        ("[] x", "line 1: `x` stands after the end of the history"),
        (
            "\n\n17",
            "line 3: expected a map with `:type`, `:process`, `:f` and `:time`",
        ),
        (")", "line 1: `)` stands where a value is missing"),
    ] {
        assert_eq!(error(text), wrong, "{text}");
    }
    let deep = "[".repeat(100);
    assert_eq!(error(&deep), "line 1: is nested more than 32 deep");
}

#[test]
fn what_is_no_event_is_refused_with_its_line() {
    let invoke = "{:time 5 :type :invoke :process 1 :f :pop :value {:queue \"q\" :limit 1}}";
    for (text, wrong) in [
        (
            invoke.replace(":limit", ":limits"),
            "line 1: unknown field `limits`",
        ),
        (
            invoke.replace(":pop", ":pops"),
            "line 1: unknown variant `pops`",
        ),
        (
            invoke.replace(":time 5", ":tim 5"),
            "line 1: unknown field `tim`",
        ),
        (
            invoke.replace(":time 5", ""),
            "line 1: missing field `time`",
        ),
        (
            invoke.replace(":invoke", ":begin"),
            "line 1: unknown variant `begin`",
        ),
        (
            invoke.replace(":limit", ":process"),
            "line 1: duplicate field `process`",
        ),
        (
            format!("{invoke}\n{invoke}"),
            "line 2: process 1 has two operations under way",
        ),
        (
            format!("{invoke}\n{}", invoke.replace(":time 5", ":time 4")),
            "line 2: time runs backwards, from 5 to 4 ns",
        ),
        (
            "{:time 1 :type :info :process :nemesis :f :start-partition}".to_owned(),
            "line 1: `\"start-partition\"` is nothing that the nemesis does",
        ),
        (
            "{:format \"nanshe-history\"}".to_owned(),
            "line 1: missing field `version`",
        ),
        (
            invoke.replace("{:queue \"q\" :limit 1}", "1"),
            "line 1: `:value` is not a map",
        ),
    ] {
        let found = error(&text);
        assert!(found.starts_with(wrong), "{found} is not {wrong}: {text}");
    }
}
