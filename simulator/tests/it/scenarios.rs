//! Malformed scenarios are refused in one line that names file, line and key.

use nanshe_conformance::document::Document;
use nanshe_simulator::scenario::Scenario;

const GOOD: &str = r#"name = "delivery/sample"
about = "a sample"
implementation = "reference"
work_secs = 60
patience_ms = 1000
[link]
latency_us = [100, 2000]
[server_clock]
offset_ms = [0, 0]
drift_ppm = [-10, 10]
[workload.competing-consumers]
producers = 1
consumers = 2
queues = 1
posts = 3
batch_max = 2
pause_ms_max = 10
message_ttl_secs = 7200
claim_ttl_secs = 60
claim_grace_secs = 60
invalid_post_share = 0.0
renew_share = 0.0
release_share = 0.0
overrun_share = 0.0
[[fault]]
kind = "kill"
node = "consumer-1"
from_secs = [5, 10]
for_secs = [1, 2]
"#;

fn error(from: &str, to: &str) -> String {
    let text = GOOD.replacen(from, to, 1);
    assert_ne!(text, GOOD, "{from} is not there");
    Scenario::parse(Document {
        file: "s.toml",
        text: &text,
    })
    .unwrap_err()
    .to_string()
}

#[test]
fn sample_is_good() {
    Scenario::parse(Document {
        file: "s.toml",
        text: GOOD,
    })
    .unwrap();
}

/// What is changed, into what, and how the error begins.
const ERRORS: &[(&str, &str, &str)] = &[
    (
        "patience_ms = 1000",
        "patience_ms = 4",
        "s.toml:5: `patience_ms`: is 4, but a round trip may take 4 ms: nothing would ever be answered",
    ),
    (
        "[[fault]]",
        "[[fault]]\nkind = \"kill\"\nnode = \"consumer-1\"\nfrom_secs = [9, 20]\nfor_secs = [1, 2]\n[[fault]]",
        "s.toml:33: `from_secs`: may begin while another kill of that node is in force",
    ),
    (
        "work_secs = 60",
        "work_secs = 0",
        "s.toml:4: `work_secs`: is 0, expected 1 to 604800",
    ),
    (
        "latency_us = [100, 2000]",
        "latency_us = [9, 1]",
        "s.toml:7: `latency_us`: is [9, 1], expected [at least, at most] from 1 to 10000000",
    ),
    (
        "producers = 1",
        "producers = 0",
        "s.toml:12: `producers`: is 0, expected 1 to 1000",
    ),
    (
        "renew_share = 0.0",
        "renew_share = 1.5",
        "s.toml:22: `renew_share`: is 1.5, expected 0 to 1",
    ),
    (
        "message_ttl_secs = 7200",
        "message_ttl_secs = 60",
        "s.toml:18: `message_ttl_secs`: is 60, but the drain may end only",
    ),
    (
        "node = \"consumer-1\"",
        "node = \"consumer-2\"",
        "s.toml:27: `node`: there is no node `consumer-2` (did you mean `consumer-0`?), expected \
             server, producer-0 to producer-0 or consumer-0 to consumer-1",
    ),
    (
        "node = \"consumer-1\"",
        "share = 0.5",
        "s.toml:27: `share`: belongs to losses, not to a fault of one node",
    ),
    (
        "kind = \"kill\"",
        "kind = \"lose-answers\"",
        "s.toml:27: `node`: strikes every client, it has no `node`",
    ),
    (
        "for_secs = [1, 2]",
        "for_secs = [1, 59]",
        "s.toml:29: `for_secs`: the fault may end after 69 s, but faults end with the work, after \
             60 s",
    ),
    (
        "name = \"delivery/sample\"",
        "name = \"Sample\"",
        "s.toml:1: `name`: `Sample` is not a kebab-case path like `delivery/lost-answer`",
    ),
    (
        "kind = \"kill\"",
        "kind = \"kil\"",
        "s.toml:26: `kind`: unknown variant `kil`, expected one of",
    ),
    (
        "[link]\nlatency_us = [100, 2000]\n",
        "",
        "s.toml: missing field `link`",
    ),
    (
        "about = \"a sample\"",
        "abuot = \"\"",
        "s.toml:2: `abuot`: unknown field `abuot`",
    ),
];

#[test]
fn errors_name_file_line_key_and_what_would_be_right() {
    for &(from, to, message) in ERRORS {
        let error = error(from, to);
        assert!(error.starts_with(message), "{error}\nexpected: {message}");
        assert!(!error.contains('\n'), "{error}");
    }
}
