//! Looks how a run goes: keeps its history on disk, and shows people how it goes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nanshe_conformance::checker::judge;
use nanshe_conformance::history::Phase;
use nanshe_conformance::stress::Progress;
use nanshe_conformance::verdict::Verdict;
use tokio::time::Instant;

use super::folder::RunFolder;
use crate::output::Shell;

/// Time between two judgements of the whole history, in times of what the last one took: they take a
/// small share of the machine, however long the history.
const PAUSE: u32 = 20;

/// Time between two of them at least.
const PAUSE_MIN: Duration = Duration::from_secs(2);

/// Time between two writings of what is new: a harness that is killed loses no more than that.
const WRITE_EVERY: Duration = Duration::from_millis(200);

/// Who looks.
pub(super) struct Watch {
    bar: indicatif::ProgressBar,
    shows_progress: bool,
    scale: u64,
    next: Instant,
    so_far: Arc<Mutex<SoFar>>,
    unwritten: Option<anyhow::Error>,
}

/// What is known before the end.
struct SoFar {
    told: String,
    /// When to judge again; `None` while somebody does.
    next: Option<Instant>,
}

impl Watch {
    /// Of a run that takes `whole` of a time that passes `scale` times as fast.
    pub(super) fn new(shell: &Shell<'_>, whole: Duration, scale: u32) -> Self {
        let bar = shell.progress((whole / scale).as_secs());
        bar.enable_steady_tick(Duration::from_millis(500));
        let now = Instant::now();
        Self {
            bar,
            shows_progress: shell.shows_progress,
            scale: scale.into(),
            next: now,
            so_far: Arc::new(Mutex::new(SoFar {
                told: "no violation".to_owned(),
                next: Some(now + PAUSE_MIN),
            })),
            unwritten: None,
        }
    }

    /// Looks once. An error ends the run: a history that nobody can keep is worth nothing.
    pub(super) fn look(
        &mut self,
        progress: &Progress,
        folder: &mut RunFolder,
    ) -> Result<(), String> {
        if self.shows_progress {
            self.show(progress);
        }
        let now = Instant::now();
        if self.unwritten.is_some() || (now < self.next && progress.phase != Phase::End) {
            return Ok(());
        }
        let written = folder.append(&progress.recorder);
        self.next = now + WRITE_EVERY;
        written.map_err(|error| {
            let why = format!("{error:#}");
            self.unwritten = Some(error);
            why
        })
    }

    /// Nothing to see any more. What could not be written, if anything.
    pub(super) fn finish(self) -> Option<anyhow::Error> {
        self.bar.finish_and_clear();
        self.unwritten
    }

    fn show(&self, progress: &Progress) {
        self.judge_beside(progress);
        let so_far = self.so_far.lock().expect("no holder of this lock panics");
        let phase = match progress.phase {
            Phase::Work => "work",
            Phase::Heal => "heal",
            Phase::Drain => "drain",
            Phase::End => "end",
        };
        self.bar
            .set_position(progress.now.since_start().as_secs() / self.scale);
        // What matters first: a terminal of 80 columns cuts the rest off.
        self.bar.set_message(format!(
            "{phase}, {}: {} operations, {} answered, {} faults, {} struck",
            so_far.told, progress.asked, progress.answered, progress.faults, progress.struck
        ));
    }

    /// Judges what there is on a thread of its own, so that clients do not wait for it.
    fn judge_beside(&self, progress: &Progress) {
        let mut so_far = self.so_far.lock().expect("no holder of this lock panics");
        if so_far.next.is_none_or(|next| Instant::now() < next) {
            return;
        }
        so_far.next = None;
        let (so_far, recorder) = (Arc::clone(&self.so_far), Arc::clone(&progress.recorder));
        drop(tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let verdicts = judge(&recorder.history());
            let broken = verdicts.rules.iter();
            let broken = broken.filter(|rule| rule.verdict == Verdict::Violation);
            let broken: Vec<&str> = broken.map(|rule| rule.rule).collect();
            let mut so_far = so_far.lock().expect("no holder of this lock panics");
            if !broken.is_empty() {
                so_far.told = format!("VIOLATION {}", broken.join(", "));
            }
            so_far.next = Some(Instant::now() + (began.elapsed() * PAUSE).max(PAUSE_MIN));
        }));
    }
}
