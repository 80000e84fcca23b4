//! What of a scenario can be brought about on a real server, from outside, and what cannot.

use std::time::Duration;

use nanshe_conformance::proxy::NetworkFault;
use nanshe_conformance::stress::{Fault, Timed};
use nanshe_conformance::suite::Profile;
use nanshe_conformance::target::{Controlled, Description};
use nanshe_simulator::scenario::{Direction, DiskTimes, FaultKind, Link, Loss, Scenario, Servers};

/// How long what is cut once stays cut, so that what is under way then is struck.
const RESET_LASTS: Duration = Duration::from_millis(500);

/// What becomes of a scenario on a target.
#[derive(Debug, Default)]
pub(super) struct Adopted {
    /// What goes wrong, with its times.
    pub(super) faults: Vec<Timed>,
    /// What goes wrong otherwise than in the simulator, and what does not at all: lines for people.
    pub(super) differences: Vec<String>,
}

/// A fault on the target, and how it differs from the scenario's, if it does.
type OnTarget = Result<(Fault, Option<&'static str>), String>;

/// As much of `scenario` as can be brought about on `target`, with `clients` at work, in `work`.
pub(super) fn adopt(
    scenario: &Scenario,
    (target, clients): (&Description, u32),
    work: Duration,
) -> anyhow::Result<Adopted> {
    let mut adopted = Adopted::default();
    let shrunk = work.as_secs_f64() / scenario.work.as_secs_f64();
    let times = |(least, most): (Duration, Duration)| (least.mul_f64(shrunk), most.mul_f64(shrunk));
    let place = Place {
        target,
        servers: scenario.server.count,
        share: 1.0 / f64::from(clients),
    };
    let mut reasons = Vec::new();
    for fault in &scenario.faults {
        let told = &fault.kind;
        match place.on_target(told) {
            Ok((adopted_fault, difference)) => {
                if let Some(difference) = difference {
                    let line = format!("{told}: is {adopted_fault} here: {difference}");
                    adopted.differences.push(line);
                }
                let is_once = matches!(told, FaultKind::Reset { .. });
                adopted.faults.push(Timed {
                    fault: adopted_fault,
                    from: times(fault.from),
                    lasts: match is_once {
                        true => (RESET_LASTS, RESET_LASTS),
                        false => times(fault.lasts),
                    },
                });
            }
            Err(why) => {
                reasons.push(why.clone());
                adopted.differences.push(format!("{told}: left out: {why}"));
            }
        }
    }
    reasons.dedup();
    anyhow::ensure!(
        scenario.faults.is_empty() || !adopted.faults.is_empty(),
        "nothing that goes wrong in {} can be brought about on {}: {}",
        scenario.name,
        target.name,
        reasons.join("; ")
    );
    adopted.differences.extend(settings(scenario, target));
    // One line for each, however often it strikes.
    let mut seen = Vec::new();
    adopted.differences.retain(|line| {
        let is_new = !seen.contains(line);
        seen.push(line.clone());
        is_new
    });
    Ok(adopted)
}

/// Where faults strike.
struct Place<'a> {
    target: &'a Description,
    /// Servers in the scenario.
    servers: u32,
    /// Which share of all clients one is.
    share: f64,
}

impl Place<'_> {
    fn on_target(&self, kind: &FaultKind) -> OnTarget {
        // What the target file can do itself, it does best.
        let word = kind.word().as_str();
        let mut own = self.target.control.faults.iter();
        if own.any(|pair| pair.name == word) {
            let name = word.to_owned();
            return Ok((Fault::Custom { name }, None));
        }
        let network = |kind, share| Ok((Fault::Network { kind, share }, None));
        match kind {
            FaultKind::LoseRequests { share, how } => match how {
                Loss::Reset => network(NetworkFault::ResetRequests, *share),
                Loss::Hang => network(NetworkFault::DropRequests, *share),
            },
            FaultKind::LoseAnswers { share, how } => match how {
                Loss::Reset => network(NetworkFault::ResetAnswers, *share),
                Loss::Hang => network(NetworkFault::DropAnswers, *share),
            },
            FaultKind::Duplicate { share } => network(NetworkFault::DuplicateRequests, *share),
            FaultKind::Partition { .. }
            | FaultKind::BlackHole { .. }
            | FaultKind::Reset { .. }
            | FaultKind::SlowLink { .. } => self.link(kind),
            FaultKind::Kill { .. } | FaultKind::Crash { .. } | FaultKind::Pause { .. } => {
                self.process(kind)
            }
            FaultKind::ClockJump { .. } => Err(self.out_of_reach("clock", word)),
            FaultKind::DiskFull { .. }
            | FaultKind::SlowDisk { .. }
            | FaultKind::ReadErrors { .. } => Err(self.out_of_reach("disk", word)),
            FaultKind::Busy { .. } => Err(self.out_of_reach("processor", word)),
        }
    }

    fn out_of_reach(&self, what: &str, word: &str) -> String {
        format!(
            "the {what} of the target is out of reach, unless its target file has a fault `{word}`"
        )
    }

    /// What strikes the links of one node. Between clients and target stands a proxy; nowhere else.
    fn link(&self, kind: &FaultKind) -> OnTarget {
        let share = match server(kind) {
            None => self.share,
            Some(_) if self.servers == 1 => 1.0,
            Some(_) => {
                return Err(
                    "the proxy stands before the whole target, not before one of its servers"
                        .to_owned(),
                );
            }
        };
        let network = |kind, difference| Ok((Fault::Network { kind, share }, difference));
        let all_alike = "the proxy does that to the requests of all clients alike";
        match kind {
            FaultKind::Partition { direction, .. } => match direction {
                Direction::Both => network(NetworkFault::CutOff, self.drawn(share)),
                Direction::In if server(kind).is_some() => {
                    network(NetworkFault::CutOff, Some("only requests are held back"))
                }
                Direction::Out if server(kind).is_none() => {
                    network(NetworkFault::CutOff, Some("only requests are held back"))
                }
                Direction::In | Direction::Out => {
                    Err("the proxy holds requests back, but not answers".to_owned())
                }
            },
            FaultKind::BlackHole { .. } if server(kind).is_some() => network(
                NetworkFault::DropRequests,
                Some("connections are not half-open afterwards"),
            ),
            FaultKind::Reset { .. } if server(kind).is_some() => network(
                NetworkFault::ResetAnswers,
                Some("connections on which nothing is under way stay"),
            ),
            FaultKind::BlackHole { .. } | FaultKind::Reset { .. } => Err(all_alike.to_owned()),
            FaultKind::SlowLink { .. } => network(
                NetworkFault::DelayRequests,
                Some("requests of any client are late by a share of a client's patience"),
            ),
            FaultKind::LoseRequests { .. }
            | FaultKind::LoseAnswers { .. }
            | FaultKind::Duplicate { .. }
            | FaultKind::Kill { .. }
            | FaultKind::Crash { .. }
            | FaultKind::Pause { .. }
            | FaultKind::ClockJump { .. }
            | FaultKind::DiskFull { .. }
            | FaultKind::SlowDisk { .. }
            | FaultKind::ReadErrors { .. }
            | FaultKind::Busy { .. } => Err("it strikes no link".to_owned()),
        }
    }

    fn drawn(&self, share: f64) -> Option<&'static str> {
        (share < 1.0).then_some("whom it strikes is drawn, and it may be nobody or several")
    }

    /// What takes a node away for a while.
    fn process(&self, kind: &FaultKind) -> OnTarget {
        let is_pause = matches!(kind, FaultKind::Pause { .. });
        let share = self.share;
        let Some(number) = server(kind) else {
            return Ok(match is_pause {
                true => (
                    Fault::Network {
                        kind: NetworkFault::CutOff,
                        share,
                    },
                    Some("what it sends arrives late, but it knows that time has passed"),
                ),
                false => (Fault::KillClients { share }, self.drawn(share)),
            });
        };
        let processes = &self.target.control.processes;
        let Some(struck) = processes.get(number) else {
            let known = processes.len();
            return Err(format!(
                "it strikes server {number}, from 0, and the target file has commands for {known} processes"
            ));
        };
        let Controlled {
            name,
            kill_and_start,
            stop_and_continue,
            restart: _,
        } = struck;
        let has_no = |what: &str| format!("the target file has no `{what}` of {name}");
        let process = name.clone();
        if is_pause {
            let can = stop_and_continue.is_some();
            return can
                .then_some((Fault::Stop { process }, None))
                .ok_or_else(|| has_no("stop"));
        }
        let is_crash = matches!(kind, FaultKind::Crash { .. });
        let difference = is_crash.then_some("what was written and not synced is not lost");
        let can = kill_and_start.is_some();
        can.then_some((Fault::Kill { process }, difference))
            .ok_or_else(|| has_no("kill"))
    }
}

/// Which server it strikes; `None` if it is a client, or all.
fn server(kind: &FaultKind) -> Option<usize> {
    let number = kind.node()?.strip_prefix("server-")?;
    number.parse().ok()
}

/// What the scenario says about its world, where the target has its own.
fn settings(scenario: &Scenario, target: &Description) -> Vec<String> {
    let (servers, plain) = (scenario.server, Servers::default());
    let mut lines = Vec::new();
    let mut differs = |is_said: bool, key: &str, why: &str| {
        if is_said {
            lines.push(format!("{key}: left out: {why}"));
        }
    };
    let its_own = "the target has its own";
    differs(
        scenario.link != Link::default(),
        "`link`",
        "the network is the real one",
    );
    differs(servers.count != plain.count, "`server.count`", its_own);
    differs(
        servers.service_us != plain.service_us,
        "`server.service_us`",
        "requests cost what they cost",
    );
    differs(
        servers.offset_ms != plain.offset_ms || servers.drift_ppm != plain.drift_ppm,
        "`server.offset_ms` and `drift_ppm`",
        "the clocks of the target are out of reach",
    );
    differs(scenario.disk != DiskTimes::default(), "`disk`", its_own);
    differs(
        scenario.is_strict && target.profile != Profile::Strict,
        "`strict`",
        "the target file says another profile",
    );
    differs(
        !scenario.breaks.is_empty(),
        "`breaks`",
        &format!(
            "that is of {}, and the target has to keep every promise",
            scenario.implementation
        ),
    );
    lines
}

#[cfg(test)]
mod tests {
    use nanshe_conformance::document::Document;

    use super::*;

    const CONTROLLED: &str = "
        [[stress.process]]
        name = 'broker'
        kill = ['true']
        start = ['true']
        stop = ['true']
        continue = ['true']
        [[stress.fault]]
        name = 'disk-full'
        inject = ['true']
        heal = ['true']
    ";

    fn target(more: &str) -> Description {
        let text = format!("name = 't'\nurl = 'http://127.0.0.1:1'\n{more}");
        let document = Document {
            file: "t.toml",
            text: &text,
        };
        Description::of_file(document, "".as_ref()).unwrap()
    }

    /// What becomes of one fault, in a line; of four clients.
    fn becomes(fault: &str, servers: u32, target: &Description) -> String {
        let text = format!(
            "name = 'a/b'\nabout = ''\nimplementation = 'reference'\nwork_secs = 60\npatience_ms = 1000\n\
             [server]\ncount = {servers}\n[workload.competing-consumers]\nclients = 4\n\
             [[fault]]\nfrom_secs = [10, 20]\nfor_secs = [2, 4]\n{fault}\n"
        );
        let file = "s.toml";
        let scenario = Scenario::parse(Document { file, text: &text }).unwrap();
        match adopt(&scenario, (target, 4), Duration::from_secs(30)) {
            Err(error) => format!("refused: {error}"),
            Ok(Adopted {
                faults,
                differences,
            }) => {
                let secs = Duration::from_secs;
                assert_eq!(
                    faults[0].from,
                    (secs(5), secs(10)),
                    "times shrink with the work"
                );
                let difference = differences.iter().find(|line| !line.starts_with('`'));
                let difference = difference.and_then(|line| line.split_once(" here: "));
                let difference = difference.map_or(String::new(), |(_, why)| format!(": {why}"));
                format!("{}{difference}", faults[0].fault)
            }
        }
    }

    #[test]
    fn what_can_be_done_from_outside_is_done() {
        let (bare, controlled) = (target(""), target(CONTROLLED));
        for (fault, expected) in [
            (
                "kind = 'lose-requests'\nshare = 0.3\nhow = 'reset'",
                "reset-requests 30%",
            ),
            (
                "kind = 'lose-requests'\nshare = 0.3\nhow = 'hang'",
                "drop-requests 30%",
            ),
            (
                "kind = 'lose-answers'\nshare = 0.3\nhow = 'reset'",
                "reset-answers 30%",
            ),
            (
                "kind = 'lose-answers'\nshare = 0.3\nhow = 'hang'",
                "drop-answers 30%",
            ),
            (
                "kind = 'duplicate'\nshare = 0.3",
                "duplicate-requests 30% (not posts)",
            ),
            ("kind = 'partition'\nnode = 'server-0'", "cut-off 100%"),
            (
                "kind = 'kill'\nnode = 'client-1'",
                "kill-clients 25%: whom it strikes is drawn, and it may be nobody or several",
            ),
            (
                "kind = 'pause'\nnode = 'client-1'",
                "cut-off 25%: what it sends arrives late, but it knows that time has passed",
            ),
            (
                "kind = 'reset'\nnode = 'server-0'",
                "reset-answers 100%: connections on which nothing is under way stay",
            ),
        ] {
            assert_eq!(becomes(fault, 1, &bare), expected);
        }
        for (fault, expected) in [
            ("kind = 'kill'\nnode = 'server-0'", "kill broker"),
            ("kind = 'pause'\nnode = 'server-0'", "stop broker"),
            (
                "kind = 'crash'\nnode = 'server-0'",
                "kill broker: what was written and not synced is not lost",
            ),
            ("kind = 'disk-full'\nnode = 'server-0'", "disk-full"),
        ] {
            assert_eq!(becomes(fault, 1, &controlled), expected);
        }
    }

    #[test]
    fn scenario_of_which_nothing_can_be_done_is_refused_with_the_reason() {
        let (bare, controlled) = (target(""), target(CONTROLLED));
        for (fault, servers, target, expected) in [
            (
                "kind = 'clock-jump'\nnode = 'server-0'\nby_ms = [1, 2]",
                1,
                &controlled,
                "the clock of the target is out of reach, unless its target file has a fault `clock-jump`",
            ),
            (
                "kind = 'disk-full'\nnode = 'server-0'",
                1,
                &bare,
                "the disk of the target is out of reach, unless its target file has a fault `disk-full`",
            ),
            (
                "kind = 'partition'\nnode = 'server-1'",
                2,
                &controlled,
                "the proxy stands before the whole target, not before one of its servers",
            ),
            (
                "kind = 'partition'\nnode = 'server-0'\ndirection = 'out'",
                1,
                &bare,
                "the proxy holds requests back, but not answers",
            ),
            (
                "kind = 'kill'\nnode = 'server-1'",
                2,
                &controlled,
                "it strikes server 1, from 0, and the target file has commands for 1 processes",
            ),
        ] {
            let expected = format!(
                "refused: nothing that goes wrong in a/b can be brought about on t: {expected}"
            );
            assert_eq!(becomes(fault, servers, target), expected);
        }
    }
}
