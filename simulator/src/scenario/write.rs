//! A scenario as a file that says no more than it must.

use std::fmt::Write as _;

use nanshe_conformance::workload::Workload;

use super::fault::{Direction, Fault, FaultKind, Loss};
use super::seconds::Seconds;
use super::{DiskTimes, Link, Scenario, Servers};

/// The scenario as TOML.
pub(super) fn to_toml(scenario: &Scenario) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _infallible = write(&mut text, scenario);
    text
}

fn write(text: &mut String, scenario: &Scenario) -> std::fmt::Result {
    let string = |text: &str| toml::Value::String(text.to_owned()).to_string();
    writeln!(text, "name = {}", string(&scenario.name))?;
    writeln!(text, "about = {}", string(&scenario.about))?;
    writeln!(
        text,
        "implementation = {}",
        string(&scenario.implementation)
    )?;
    if let Some(seed) = scenario.seed {
        writeln!(text, "seed = {seed}")?;
    }
    if !scenario.breaks.is_empty() {
        let rules: Vec<&String> = scenario.breaks.iter().collect();
        writeln!(text, "breaks = {rules:?}")?;
    }
    writeln!(text, "work_secs = {}", scenario.work.as_secs())?;
    writeln!(text, "patience_ms = {}", scenario.patience.as_millis())?;
    if let Some(turns) = scenario.turns {
        writeln!(text, "turns = {turns}")?;
    }
    if scenario.messages_expire {
        writeln!(text, "messages_expire = true")?;
    }
    if scenario.is_strict {
        writeln!(text, "strict = true")?;
    }
    write_tables(text, scenario)?;
    write_workload(text, &scenario.workload)?;
    scenario
        .faults
        .iter()
        .try_for_each(|fault| write_fault(text, fault))
}

fn write_tables(text: &mut String, scenario: &Scenario) -> std::fmt::Result {
    let pair = |(min, max): (u64, u64)| format!("[{min}, {max}]");
    let (link, plain) = (scenario.link, Link::default());
    let mut lines = Vec::new();
    if link.latency_us != plain.latency_us {
        lines.push(format!("latency_us = {}", pair(link.latency_us)));
    }
    if link.spike_share != plain.spike_share {
        lines.push(format!("spike_share = {:?}", link.spike_share));
        lines.push(format!("spike_us = {}", link.spike_us));
    }
    if link.bytes_a_second != plain.bytes_a_second {
        lines.push(format!("bytes_a_second = {}", link.bytes_a_second));
    }
    table(text, "link", &mut lines)?;
    let (server, plain) = (scenario.server, Servers::default());
    let signed = |(min, max): (i64, i64)| format!("[{min}, {max}]");
    if server.count != plain.count {
        lines.push(format!("count = {}", server.count));
    }
    if server.cores != plain.cores {
        lines.push(format!("cores = {}", server.cores));
    }
    if server.service_us != plain.service_us {
        lines.push(format!("service_us = {}", pair(server.service_us)));
    }
    if server.entry_ns != plain.entry_ns {
        lines.push(format!("entry_ns = {}", server.entry_ns));
    }
    if server.offset_ms != plain.offset_ms {
        lines.push(format!("offset_ms = {}", signed(server.offset_ms)));
    }
    if server.drift_ppm != plain.drift_ppm {
        lines.push(format!("drift_ppm = {}", signed(server.drift_ppm)));
    }
    if !server.excuses_jumps {
        lines.push("excuses_jumps = false".to_owned());
    }
    table(text, "server", &mut lines)?;
    let (disk, plain) = (scenario.disk, DiskTimes::default());
    if disk.write_us != plain.write_us {
        lines.push(format!("write_us = {}", pair(disk.write_us)));
    }
    if disk.sync_us != plain.sync_us {
        lines.push(format!("sync_us = {}", pair(disk.sync_us)));
    }
    table(text, "disk", &mut lines)
}

/// A table with `lines`, unless there are none; they are used up.
fn table(text: &mut String, name: &str, lines: &mut Vec<String>) -> std::fmt::Result {
    if !lines.is_empty() {
        writeln!(text, "\n[{name}]\n{}", lines.join("\n"))?;
    }
    lines.clear();
    Ok(())
}

fn write_workload(text: &mut String, workload: &Workload) -> std::fmt::Result {
    let name = workload.kind.name;
    writeln!(text, "\n[workload.{name}]")?;
    let value = |workload: &Workload| {
        toml::Table::try_from(&workload.settings)
            .expect("invariant: settings are a table of plain values")
    };
    let plain = Workload::named(name).map(|plain| value(&plain));
    let plain = plain.unwrap_or_default();
    for (key, value) in value(workload) {
        if plain.get(&key) != Some(&value) {
            writeln!(text, "{key} = {value}")?;
        }
    }
    Ok(())
}

fn write_fault(text: &mut String, fault: &Fault) -> std::fmt::Result {
    let kind = &fault.kind;
    writeln!(text, "\n[[fault]]\nkind = \"{}\"", kind.word().as_str())?;
    if let Some(node) = kind.node() {
        writeln!(text, "node = \"{node}\"")?;
    }
    match kind {
        FaultKind::LoseRequests { share, how } | FaultKind::LoseAnswers { share, how } => {
            let how = match how {
                Loss::Reset => "reset",
                Loss::Hang => "hang",
            };
            writeln!(text, "share = {share:?}\nhow = \"{how}\"")?;
        }
        FaultKind::Duplicate { share } | FaultKind::ReadErrors { share, .. } => {
            writeln!(text, "share = {share:?}")?;
        }
        FaultKind::Partition { direction, .. } => match direction {
            Direction::Both => {}
            Direction::In => writeln!(text, "direction = \"in\"")?,
            Direction::Out => writeln!(text, "direction = \"out\"")?,
        },
        FaultKind::SlowLink { factor, .. }
        | FaultKind::SlowDisk { factor, .. }
        | FaultKind::Busy { factor, .. } => writeln!(text, "factor = {factor}")?,
        FaultKind::ClockJump { by_ms, .. } => {
            writeln!(text, "by_ms = [{}, {}]", by_ms.0, by_ms.1)?;
        }
        FaultKind::BlackHole { .. }
        | FaultKind::Reset { .. }
        | FaultKind::Kill { .. }
        | FaultKind::Crash { .. }
        | FaultKind::Pause { .. }
        | FaultKind::DiskFull { .. } => {}
    }
    let pair = |(min, max)| format!("[{}, {}]", Seconds::of(min), Seconds::of(max));
    writeln!(text, "from_secs = {}", pair(fault.from))?;
    writeln!(text, "for_secs = {}", pair(fault.lasts))
}
