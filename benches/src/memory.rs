//! How much memory a process has, as the kernel tells it.

use anyhow::Context as _;

/// Bytes of the unit that memory is told in.
pub const MIB: u64 = 1024 * 1024;

/// Bytes that the process of that id has in use.
///
/// # Errors
///
/// If the kernel does not tell.
pub fn resident_bytes(process: u32) -> anyhow::Result<u64> {
    read(&process.to_string(), "VmRSS:")
}

/// The most bytes that this process ever had in use.
///
/// # Errors
///
/// If the kernel does not tell.
pub fn peak_bytes() -> anyhow::Result<u64> {
    read("self", "VmHWM:")
}

fn read(process: &str, field: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib
        .with_context(|| format!("{path} has no {field}"))?
        .parse()?;
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_no_more_now_than_it_ever_had() {
        let now = resident_bytes(std::process::id()).unwrap();
        let most = peak_bytes().unwrap();
        assert!(0 < now && now <= most, "{now} {most}");
    }
}
