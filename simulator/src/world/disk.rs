//! A node's disk: files that are appended to, and what a crash leaves of them.
//!
//! What is written goes to the operating system at once and to the disk with the next sync. A killed
//! process loses nothing; a machine that loses its power loses what was not synced, in whole or in part, and
//! may leave holes in it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::time;

/// What a disk writes in one piece, in bytes: a crash tears between two of them.
const SECTOR: usize = 512;

/// How fast a disk is when nothing is wrong with it, in microseconds: shortest and longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSettings {
    /// A write or a read.
    pub write_us: (u64, u64),
    /// A sync.
    pub sync_us: (u64, u64),
}

/// A disk. It outlives the processes of its node. Cheap to clone; clones are one disk.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<State>>);

struct State {
    settings: DiskSettings,
    random: ChaCha8Rng,
    files: BTreeMap<String, File>,
    slowness: u32,
    full: bool,
    read_errors: f64,
}

#[derive(Default)]
struct File {
    synced: Vec<u8>,
    /// Written since the last sync.
    pending: Vec<u8>,
    /// How many bytes were ever pending, and are not any more.
    settled: usize,
}

impl File {
    /// How many bytes were ever written.
    fn written(&self) -> usize {
        self.settled + self.pending.len()
    }

    /// Of all that was ever written, the first `until` bytes are on the disk.
    fn settle(&mut self, until: usize) {
        let count = until.saturating_sub(self.settled).min(self.pending.len());
        self.synced.extend(self.pending.drain(..count));
        self.settled += count;
    }

    /// What is pending, which is pending no more.
    fn take_pending(&mut self) -> Vec<u8> {
        self.settled = self.written();
        std::mem::take(&mut self.pending)
    }
}

impl Disk {
    /// An empty disk.
    pub fn new(settings: DiskSettings, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            settings,
            random: ChaCha8Rng::seed_from_u64(seed),
            files: BTreeMap::new(),
            slowness: 1,
            full: false,
            read_errors: 0.0,
        })))
    }

    /// Writes `bytes` at the end of `file`, which comes into being by that.
    ///
    /// # Errors
    ///
    /// If the disk is full: nothing was written.
    pub async fn append(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.take(|settings| settings.write_us).await;
        let mut state = self.lock();
        if state.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = state.files.entry(file.to_owned()).or_default();
        file.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// What was written to `file` before survives a crash.
    ///
    /// # Errors
    ///
    /// None today; a caller has to expect them.
    pub async fn sync(&self, file: &str) -> io::Result<()> {
        // What is written while the sync goes on belongs to the next, however many go on at once.
        let until = self.lock().files.get(file).map_or(0, File::written);
        self.take(|settings| settings.sync_us).await;
        if let Some(file) = self.lock().files.get_mut(file) {
            file.settle(until);
        }
        Ok(())
    }

    /// The whole of `file`; nothing if there is none.
    ///
    /// # Errors
    ///
    /// If the disk has read errors just now.
    pub async fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        self.take(|settings| settings.write_us).await;
        let mut state = self.lock();
        let share = state.read_errors;
        if share > 0.0 && state.random.random_bool(share) {
            return Err(io::Error::other("the disk cannot read this sector"));
        }
        let file = state.files.get(file);
        Ok(file.map_or_else(Vec::new, |file| [&file.synced[..], &file.pending].concat()))
    }

    /// Cuts `file` to its first `length` bytes, at once and for good.
    ///
    /// # Errors
    ///
    /// None today; a caller has to expect them.
    pub async fn truncate(&self, file: &str, length: usize) -> io::Result<()> {
        self.take(|settings| settings.sync_us).await;
        if let Some(file) = self.lock().files.get_mut(file) {
            let mut pending = file.take_pending();
            file.synced.append(&mut pending);
            file.synced.truncate(length);
        }
        Ok(())
    }

    /// The machine loses its power: of what was not synced some prefix is left, in which sectors may
    /// be missing (zeroes). Whether anything was lost, and whether a part of a write is left.
    pub(crate) fn crash(&self) -> (bool, bool) {
        let (mut lost, mut torn) = (false, false);
        let mut state = self.lock();
        let State { files, random, .. } = &mut *state;
        for file in files.values_mut() {
            let mut left = file.take_pending();
            if left.is_empty() {
                continue;
            }
            let whole = left.len();
            left.truncate(random.random_range(0..=whole));
            lost |= left.len() < whole;
            torn |= !left.is_empty() && left.len() < whole;
            let start = file.synced.len();
            file.synced.append(&mut left);
            // Sectors reach the disk in any order.
            let end = file.synced.len();
            let mut place = start;
            while place < end {
                let next = ((place / SECTOR + 1) * SECTOR).min(end);
                if next < end && random.random_bool(0.25) {
                    file.synced[place..next].fill(0);
                    (lost, torn) = (true, true);
                }
                place = next;
            }
        }
        (lost, torn)
    }

    /// From now on everything takes so many times as long; 1 is as it was.
    pub(crate) fn slow_down(&self, factor: u32) {
        self.lock().slowness = factor;
    }

    /// From now on there is no room, or there is again.
    pub(crate) fn fill(&self, full: bool) {
        self.lock().full = full;
    }

    /// From now on this share of reads fails.
    pub(crate) fn fail_reads(&self, share: f64) {
        self.lock().read_errors = share;
    }

    /// Lets the time of one operation pass.
    async fn take(&self, of: impl FnOnce(&DiskSettings) -> (u64, u64)) {
        let span = {
            let mut state = self.lock();
            let (min, max) = of(&state.settings);
            let micros = state.random.random_range(min..=max);
            Duration::from_micros(micros) * state.slowness
        };
        time::sleep(span).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: DiskSettings = DiskSettings {
        write_us: (10, 50),
        sync_us: (500, 2_000),
    };

    fn play<T>(seed: u64, scene: impl AsyncFnOnce(Disk) -> T) -> T {
        let config = madsim::Config::default();
        let runtime = madsim::runtime::Runtime::with_seed_and_config(seed, config);
        runtime.block_on(async { scene(Disk::new(SETTINGS, seed)).await })
    }

    #[test]
    fn crash_leaves_what_was_synced_and_a_part_at_most_of_the_rest() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let left = play(seed, async |disk| {
                disk.append("log", &[1; 700]).await.unwrap();
                disk.sync("log").await.unwrap();
                disk.append("log", &[2; 1_500]).await.unwrap();
                assert_eq!(disk.read("log").await.unwrap().len(), 2_200);
                disk.crash();
                disk.read("log").await.unwrap()
            });
            assert!(left.starts_with(&[1; 700]), "synced bytes are lost");
            assert!(left[700..].iter().all(|byte| [0, 2].contains(byte)));
            lengths.insert((left.len(), left[700..].contains(&0)));
        }
        assert!(lengths.len() > 20, "every crash leaves as much");
        assert!(
            lengths.iter().any(|(_, holes)| *holes),
            "no crash leaves holes"
        );
    }

    #[test]
    fn what_is_written_during_a_sync_waits_for_the_next() {
        for seed in 0..40 {
            let left = play(seed, async |disk| {
                disk.append("log", &[1; 10]).await.unwrap();
                let (synced, ()) = futures_util::future::join(disk.sync("log"), async {
                    disk.append("log", &[2; 10]).await.unwrap();
                })
                .await;
                synced.unwrap();
                disk.crash();
                disk.read("log").await.unwrap()
            });
            assert!(left.starts_with(&[1; 10]));
            if left.len() < 20 {
                return;
            }
        }
        panic!("what was never synced always survives");
    }

    #[test]
    fn what_is_written_after_one_of_two_syncs_waits_for_the_next() {
        for seed in 0..200 {
            let (was_under_way, left) = play(seed, async |disk| {
                disk.append("log", &[1; 10]).await.unwrap();
                let is_over = std::cell::Cell::new(false);
                let ((), was_under_way) = futures_util::future::join(
                    async {
                        disk.sync("log").await.unwrap();
                        is_over.set(true);
                    },
                    async {
                        disk.sync("log").await.unwrap();
                        disk.append("log", &[2; 10]).await.unwrap();
                        !is_over.get()
                    },
                )
                .await;
                disk.crash();
                (was_under_way, disk.read("log").await.unwrap())
            });
            assert!(left.starts_with(&[1; 10]));
            if was_under_way && left.len() < 20 {
                return;
            }
        }
        panic!("what was never synced always survives");
    }

    #[test]
    fn full_disk_takes_nothing_and_a_bad_one_cannot_be_read() {
        play(1, async |disk| {
            disk.append("log", b"whole").await.unwrap();
            disk.fill(true);
            let refused = disk.append("log", b"more").await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
            disk.fail_reads(1.0);
            disk.read("log").await.unwrap_err();
            disk.fail_reads(0.0);
            assert_eq!(disk.read("log").await.unwrap(), b"whole");
            disk.truncate("log", 2).await.unwrap();
            assert_eq!(disk.read("log").await.unwrap(), b"wh");
        });
    }
}
