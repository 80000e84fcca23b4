//! Malformed scenarios are refused in one line that names file, line and key; good ones are written as
//! they are read.

use std::time::Duration;

use nanshe_conformance::document::Document;
use nanshe_simulator::implementations;
use nanshe_simulator::scenario::Scenario;

use crate::implementation;

const GOOD: &str = r#"name = "delivery/sample"
about = "a sample"
implementation = "reference"
work_secs = 60
patience_ms = 1000
[link]
latency_us = [100, 2000]
[server]
offset_ms = [0, 0]
drift_ppm = [-10, 10]
[workload.competing-consumers]
clients = 2
queues = 1
message_ttl_secs = 7200
[[fault]]
kind = "kill"
node = "client-1"
from_secs = [5, 10]
for_secs = [1, 2]
"#;

fn parse(text: &str) -> Result<Scenario, String> {
    let file = "s.toml";
    Scenario::parse(Document { file, text }).map_err(|error| error.to_string())
}

fn error(from: &str, to: &str) -> String {
    let text = GOOD.replacen(from, to, 1);
    assert_ne!(text, GOOD, "{from} is not there");
    parse(&text).unwrap_err()
}

#[test]
fn sample_is_good() {
    parse(GOOD).unwrap();
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
        "[[fault]]\nkind = \"pause\"\nnode = \"client-1\"\nfrom_secs = [9, 20]\nfor_secs = [1, 2]\n[[fault]]",
        "s.toml:23: `from_secs`: may begin while the pause of that node is in force",
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
        "clients = 2",
        "clients = 0",
        "s.toml:12: `clients`: is 0, expected 1 to 10000",
    ),
    (
        "queues = 1",
        "queue = 1",
        "s.toml:13: `queue`: unknown field `queue` (did you mean `queues`?), expected one of",
    ),
    (
        "[workload.competing-consumers]",
        "[workload.competing-consumer]",
        "s.toml:11: `competing-consumer`: there is no such workload (did you mean `competing-consumers`?)",
    ),
    (
        "message_ttl_secs = 7200",
        "message_ttl_secs = 60",
        "s.toml:14: `message_ttl_secs`: is 60, but the drain may end only",
    ),
    (
        "node = \"client-1\"",
        "node = \"client-2\"",
        "s.toml:17: `node`: there is no node `client-2` (did you mean `client-0`?) that `kill` can strike, \
         expected server-0 to server-0 or client-0 to client-1",
    ),
    (
        "kind = \"kill\"",
        "kind = \"crash\"",
        "s.toml:17: `node`: there is no node `client-1` that `crash` can strike, expected server-0 to \
         server-0",
    ),
    (
        "node = \"client-1\"",
        "share = 0.5",
        "s.toml:16: `kind`: `kill` needs `node`",
    ),
    (
        "kind = \"kill\"",
        "kind = \"duplicate\"\nshare = 0.1",
        "s.toml:18: `node`: `duplicate` has no `node`",
    ),
    (
        "for_secs = [1, 2]",
        "for_secs = [1, 59]",
        "s.toml:19: `for_secs`: the fault may end after 69 s, but faults end with the work, after 60 s",
    ),
    (
        "name = \"delivery/sample\"",
        "name = \"Sample\"",
        "s.toml:1: `name`: `Sample` is not a kebab-case path like `delivery/lost-answer`",
    ),
    (
        "kind = \"kill\"",
        "kind = \"kil\"",
        "s.toml:16: `kind`: unknown variant `kil` (did you mean `kill`?), expected one of",
    ),
    (
        "work_secs = 60",
        "breaks = [\"delivery/losst\"]\nwork_secs = 60",
        "s.toml:4: `breaks`: there is no rule `delivery/losst` (did you mean `delivery/lost`?)",
    ),
    (
        "from_secs = [5, 10]",
        "from_secs = [5, 2.5]",
        "s.toml:18: `from_secs`: is [5, 2.5], expected [at least, at most] from 0 to 60",
    ),
    (
        "for_secs = [1, 2]",
        "for_secs = [1, 1.0001]",
        "s.toml:19: `for_secs`: invalid value: floating point `1.0001`, expected seconds, with three decimals at most",
    ),
    (
        "for_secs = [1, 2]",
        "for_secs = [1, 50.5]",
        "s.toml:19: `for_secs`: the fault may end after 60.5 s, but faults end with the work, after 60 s",
    ),
    (
        "kind = \"kill\"\nnode = \"client-1\"",
        "kind = \"busy\"\nfactor = 5\nnode = \"server-0\"",
        "s.toml:16: `kind`: nothing costs a processor anything, and many times nothing is nothing: say `service_us`",
    ),
    (
        "kind = \"kill\"\nnode = \"client-1\"",
        "kind = \"slow-link\"\nfactor = 1\nnode = \"server-0\"",
        "s.toml:17: `factor`: is 1, expected 2 to 10000",
    ),
    (
        "kind = \"kill\"\nnode = \"client-1\"",
        "kind = \"duplicate\"\nshare = 0.0",
        "s.toml:17: `share`: is 0, expected more, and 1 at most: nothing would go wrong",
    ),
    (
        "kind = \"kill\"\nnode = \"client-1\"",
        "kind = \"clock-jump\"\nby_ms = [0, 0]\nnode = \"server-0\"",
        "s.toml:17: `by_ms`: is [0, 0], expected a jump",
    ),
    (
        "latency_us = [100, 2000]",
        "spike_share = 0.5",
        "s.toml:7: `spike_share`: needs `spike_us`: how much longer so many take",
    ),
    (
        "latency_us = [100, 2000]",
        "bytes_a_second = 4",
        "s.toml:7: `bytes_a_second`: is 4, expected 1000 to ",
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

/// ε covers the longest span that a clock is believed over, and λ what the slowest link may hold.
#[test]
fn slack_and_latest_effect_follow_from_all_that_lasts() {
    let of = |from: &str, to: &str| parse(&GOOD.replacen(from, to, 1)).unwrap();
    let drift = Duration::from_micros(7_200 * 10);
    assert_eq!(of("", "").slack(), Duration::from_secs(1) + drift);
    let longer = "message_ttl_secs = 7200\nclaim_ttl_secs = 9000\nclaim_grace_secs = 1000";
    let text = "work_secs = 60\nmessages_expire = true";
    let text = GOOD.replacen("work_secs = 60", text, 1);
    let held = parse(&text.replacen("message_ttl_secs = 7200", longer, 1)).unwrap();
    let drift = Duration::from_micros(10_000 * 10);
    assert_eq!(held.slack(), Duration::from_secs(1) + drift);
    // Two clocks of different speed part for as long as the run lasts: work, leases, and what is waited for.
    let two = of("[server]", "[server]\ncount = 2");
    let apart = two.slack() - of("", "").slack();
    assert!(
        apart >= Duration::from_secs(120).mul_f64(20e-6),
        "{apart:?}"
    );
    assert!(apart < Duration::from_secs(1), "{apart:?}");
    let slow = "kind = \"slow-link\"\nfactor = 1000\nnode = \"server-0\"";
    let slowed = of("kind = \"kill\"\nnode = \"client-1\"", slow);
    // 2 ms a thousand times.
    let longer = slowed.latest_effect() - of("", "").latest_effect();
    assert_eq!(longer, Duration::from_micros(2_000 * 999));
}

#[test]
fn scenario_is_written_as_it_is_read() {
    for seed in 0..300 {
        let of = implementations()
            .nth(usize::try_from(seed).unwrap() % 3)
            .unwrap();
        let drawn = nanshe_simulator::explore::draw(seed, of, &Default::default());
        let text = drawn.to_toml();
        let read = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read.to_toml(), text);
        assert_eq!(format!("{read:?}"), format!("{drawn:?}"));
    }
}

#[test]
fn processor_is_written_as_it_is_read_and_left_out_where_it_is_as_usual() {
    let said = "cores = 4\nservice_us = [0, 3]\nentry_ns = 50\n";
    let chosen = parse(&GOOD.replacen("offset_ms", &format!("{said}offset_ms"), 1)).unwrap();
    assert_eq!((chosen.server.cores, chosen.server.entry_ns), (4, 50));
    assert!(chosen.to_toml().contains(said), "{}", chosen.to_toml());
    let usual = parse(GOOD).unwrap().to_toml();
    assert!(
        !usual.contains("cores") && !usual.contains("entry_ns"),
        "{usual}"
    );
}

#[test]
fn fraction_of_a_second_is_kept_and_what_is_whole_stays_written_so() {
    let text = GOOD.replacen("from_secs = [5, 10]", "from_secs = [2.5, 3.0]", 1);
    let scenario = parse(&text).unwrap();
    let (from, lasts) = (scenario.faults[0].from, scenario.faults[0].lasts);
    let millis = |(min, max): (Duration, Duration)| (min.as_millis(), max.as_millis());
    assert_eq!(
        (millis(from), millis(lasts)),
        ((2_500, 3_000), (1_000, 2_000))
    );
    let written = scenario.to_toml();
    assert!(
        written.contains("from_secs = [2.5, 3]\nfor_secs = [1, 2]\n"),
        "{written}"
    );
    assert_eq!(parse(&written).unwrap().to_toml(), written);
}

#[test]
fn what_an_implementation_cannot_take_is_refused() {
    let with = |from: &str, to: &str| parse(&GOOD.replacen(from, to, 1)).unwrap();
    let refusal = |scenario: &Scenario, name| implementation(name).refuses(scenario);
    let deadly = with("client-1", "server-0");
    assert_eq!(
        refusal(&deadly, "reference").unwrap(),
        "`reference` keeps everything in memory, so `kill server-0` proves nothing"
    );
    assert_eq!(refusal(&deadly, "durable"), None);
    let two = with("offset_ms", "count = 2\noffset_ms");
    assert_eq!(
        refusal(&two, "durable").unwrap(),
        "`durable` runs on 1 server at most, not on 2"
    );
    assert_eq!(refusal(&two, "transactional"), None);
    let pushes = with("competing-consumers", "pub-sub");
    assert_eq!(
        refusal(&pushes, "durable").unwrap(),
        "`durable` has no subscriptions, which `pub-sub` needs"
    );
    assert_eq!(refusal(&pushes, "reference"), None);
}
