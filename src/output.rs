//! Where a command prints, and what it ends with.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use nanshe_conformance::verdict::Verdict;

/// Standard output and standard error, or what a test puts in their place.
pub(crate) struct Shell<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) error: &'a mut dyn Write,
    /// Whether somebody watches: progress is for people.
    pub(crate) shows_progress: bool,
}

impl Shell<'_> {
    /// Prints `text`, which has its own line ends. A reader that has gone away is no error.
    pub(crate) fn print(&mut self, text: &str) -> anyhow::Result<()> {
        match self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush())
        {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(error).context("cannot write to standard output")
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Prints one line on standard error.
    pub(crate) fn say(&mut self, line: &str) {
        // There is nobody left to tell that standard error is gone.
        drop(writeln!(self.error, "{line}"));
    }

    /// A progress bar of `length` steps, invisible if nobody watches.
    pub(crate) fn progress(&self, length: u64) -> indicatif::ProgressBar {
        if !self.shows_progress {
            return indicatif::ProgressBar::hidden();
        }
        let style = "{bar:30} {pos}/{len} {elapsed} {msg}";
        let style = indicatif::ProgressStyle::with_template(style);
        let style = style.expect("the template is valid");
        indicatif::ProgressBar::new(length).with_style(style)
    }

    /// Shows what goes on, without an end in sight; invisible if nobody watches.
    pub(crate) fn spinner(&self) -> indicatif::ProgressBar {
        if !self.shows_progress {
            return indicatif::ProgressBar::hidden();
        }
        let style = indicatif::ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        let style = style.expect("the template is valid");
        let bar = indicatif::ProgressBar::new_spinner().with_style(style);
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        bar
    }
}

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All valid.
    Valid,
    /// A promise was broken.
    Violation,
    /// Bad usage or bad input.
    Usage,
    /// Unknown, or the harness itself failed.
    Unknown,
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Valid => Self::Valid,
            Verdict::Violation => Self::Violation,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Valid => 0,
            Exit::Violation => 1,
            Exit::Usage => 2,
            Exit::Unknown => 3,
        })
    }
}

/// An error that is not the user's: the harness failed, exit code 3. All others are, with code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct HarnessFailed(pub(crate) String);

/// Writes a whole file or nothing: into a neighbour first, which then takes its name. What a link points to is
/// written in its place; a pipe or a device is written to as it is.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let told = || format!("{} cannot be written", path.display());
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(&target).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let opened = std::fs::OpenOptions::new().write(true).open(&target);
        let written = opened.and_then(|mut file| file.write_all(bytes));
        return written.with_context(told);
    }
    let path = target.as_path();
    let name = path
        .file_name()
        .with_context(|| format!("{} is not a file name", path.display()))?;
    let mut partial = name.to_owned();
    partial.push(format!(".partial-{}", std::process::id()));
    let partial = path.with_file_name(partial);
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // The partial file may not even exist; the error that counts is the first one.
        drop(std::fs::remove_file(&partial));
    }
    written.with_context(told)
}

/// What the name of a stored run ends with that was stopped: it takes the place of none that was whole.
pub(crate) fn stopped_suffix(why: Option<&str>) -> &'static str {
    why.map_or("", |_| "-stopped")
}

/// `runs/latest` points to the newest.
pub(crate) fn point_latest_to(runs: &Path, name: &str) -> anyhow::Result<()> {
    let link = runs.join(format!(".latest-{}", std::process::id()));
    let latest = runs.join("latest");
    let pointed = std::os::unix::fs::symlink(name, &link).and_then(|()| {
        std::fs::rename(&link, &latest).inspect_err(|_| drop(std::fs::remove_file(&link)))
    });
    pointed.with_context(|| format!("{} cannot be renewed", latest.display()))
}

/// Refuses, before anything runs, a file whose folder is not there.
pub(crate) fn check_writable(path: &Path) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    anyhow::ensure!(
        folder.is_dir(),
        "{}: there is no folder {}",
        path.display(),
        folder.display()
    );
    anyhow::ensure!(
        !path.is_dir(),
        "{} is a folder, expected a file",
        path.display()
    );
    Ok(())
}

/// A seed that the next start will not have: two runs on one server must not meet in one project, nor
/// two servers give out the same identifiers.
#[expect(clippy::disallowed_types, reason = "a shell reads the wall clock")]
pub(crate) fn wall_clock_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// Today as `2026-11-24`, by Greenwich.
#[expect(clippy::disallowed_types, reason = "a shell reads the wall clock")]
pub(crate) fn today() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    day(now.map_or(0, |now| now.as_secs() / 86_400))
}

/// The date of a day, counted from 1970-01-01: years of March to February, so that leap days end them.
fn day(since_1970: u64) -> String {
    let days = since_1970 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}-{month:02}-{date:02}", 400 * era + year + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_stays_one_and_a_device_stays_what_it_is() {
        let folder = std::env::temp_dir().join(format!("nanshe-output-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, link) = (folder.join("file"), folder.join("link"));
        std::fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_whole(&link, b"after").unwrap();
        let (is_link, text) = (link.is_symlink(), std::fs::read_to_string(&file).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!((is_link, text.as_str()), (true, "after"));
        write_whole(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn days_are_dates() {
        let dates = [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_781, "2026-11-24"),
        ];
        for (since_1970, date) in dates {
            assert_eq!(day(since_1970), date);
        }
    }
}
