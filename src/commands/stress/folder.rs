//! The folder of a run: its plan, its history while it grows, and its verdicts.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nanshe_conformance::history::Recorder;
use serde_json::Value;

use crate::output::{HarnessFailed, point_latest_to, write_whole};

/// The history.
pub(crate) const HISTORY: &str = "history.jsonl";

/// The verdicts, once the run has been judged.
pub(crate) const VERDICTS: &str = "verdicts.json";

/// What the run was meant to be.
const PLAN: &str = "plan.json";

/// `runs/stress-<target>-<workload>-<seed>/`. It is there from the beginning, so that what was recorded
/// stays if the harness does not live to judge it.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    history: HistoryFile,
}

impl RunFolder {
    /// A folder of that name below `runs`, in place of an older one of the same name.
    pub(crate) fn create(runs: &Path, name: &str, plan: &Value) -> anyhow::Result<Self> {
        let path = runs.join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path)
                .with_context(|| format!("{} cannot be replaced", path.display()))?;
        }
        std::fs::create_dir_all(&path)
            .with_context(|| format!("--runs: {} cannot be created", path.display()))?;
        write_whole(&path.join(PLAN), format!("{plan:#}\n").as_bytes())?;
        let history = HistoryFile::create(&path.join(HISTORY))?;
        point_latest_to(runs, name)?;
        Ok(Self { path, history })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is new in the history.
    pub(crate) fn append(&mut self, recorder: &Recorder) -> anyhow::Result<()> {
        let (new, count) = recorder.lines_since(self.history.line_count);
        self.history.append(&new)?;
        self.history.line_count = count;
        Ok(())
    }

    /// Writes the verdicts.
    pub(crate) fn judge(&self, verdicts: &Value) -> anyhow::Result<()> {
        let text = format!("{verdicts:#}\n");
        let written = write_whole(&self.path.join(VERDICTS), text.as_bytes());
        written.map_err(|error| HarnessFailed(format!("{error:#}")).into())
    }
}

/// A history that grows. Whatever happens, it ends with a whole line.
#[derive(Debug)]
struct HistoryFile {
    path: PathBuf,
    file: File,
    /// Lines that stand there, the header included.
    line_count: usize,
}

impl HistoryFile {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            line_count: 0,
        })
    }

    fn append(&mut self, new: &[u8]) -> anyhow::Result<()> {
        if let Err(error) = self.file.write_all(new) {
            self.cut();
            let path = self.path.display();
            let why = format!(
                "{path} cannot be written: {error}; what stands there is whole up to its last line"
            );
            return Err(HarnessFailed(why).into());
        }
        Ok(())
    }

    /// A full disk takes half a line: that half goes.
    fn cut(&mut self) {
        // Only a file has an end that can be cut; a device may be read for ever.
        let is_file = std::fs::metadata(&self.path).is_ok_and(|found| found.is_file());
        let text = is_file.then(|| std::fs::read(&self.path));
        let Some(Ok(text)) = text else {
            return;
        };
        let whole = text.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |place| place + 1);
        // Making a file shorter needs no room; what cannot even do that cannot be helped.
        drop(self.file.set_len(u64::try_from(whole).unwrap_or(0)));
        drop(self.file.seek(SeekFrom::End(0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disk_is_told_in_one_line_and_is_not_the_users_fault() {
        let mut file = HistoryFile::create(Path::new("/dev/full")).unwrap();
        let error = file.append(b"{}\n").unwrap_err();
        assert!(error.is::<HarnessFailed>());
        let told = format!("{error:#}");
        assert!(
            told.starts_with("/dev/full cannot be written: No space left on device"),
            "{told}"
        );
        assert_eq!(told.lines().count(), 1);
    }

    #[test]
    fn history_grows_by_what_is_new_and_loses_half_a_line_only() {
        let name = format!("nanshe-history-file-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut file = HistoryFile::create(&path).unwrap();
        file.append(b"one\n").unwrap();
        file.append(b"two\nthr").unwrap();
        let read = || std::fs::read_to_string(&path).unwrap();
        assert_eq!(read(), "one\ntwo\nthr");
        file.cut();
        assert_eq!(read(), "one\ntwo\n");
        std::fs::remove_file(&path).unwrap();
    }
}
