//! Lines read in blocks and parsed on a few threads, and handed over in their order.

use std::io::{BufRead, ErrorKind, Read};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::{Event, HistoryError, raw};

/// Bytes of a block, about: few enough that a block and its events stay in a core's cache.
const BLOCK_BYTES: usize = 1 << 16;

/// Bytes of the longest line that is read: what has no line's end may have no end at all.
pub(super) const LINE_BYTES_MAX: usize = 64 << 20;

/// Bytes of most lines, at least.
const LINE_BYTES: usize = 64;

/// Blocks that a thread may have before it, besides the one that it parses.
const BLOCKS_WAITING_MAX: usize = 2;

/// Line of the first event: the header comes before.
const FIRST_LINE: usize = 2;

/// Whole lines.
type Block = Vec<u8>;

/// What is in a block: its events, and the line that is none, with why.
struct Parsed {
    events: Vec<Event>,
    failed: Option<String>,
}

impl Parsed {
    fn of(block: &[u8]) -> Self {
        let mut parsed = Self {
            events: Vec::with_capacity(block.len() / LINE_BYTES),
            failed: None,
        };
        // One look at all of it is much cheaper than one at each line.
        let (text, is_cut) = match std::str::from_utf8(block) {
            Ok(text) => (text, false),
            Err(error) => {
                let valid = &block[..error.valid_up_to()];
                let valid = std::str::from_utf8(valid).expect("invariant: valid up to there");
                // Of the line that is not, nothing is read.
                let whole = valid.rfind('\n').map_or(0, |place| place + 1);
                (&valid[..whole], true)
            }
        };
        let mut fields = raw::Line::default();
        for line in text.split_inclusive('\n') {
            match fields.event(line.trim_end_matches(['\r', '\n'])) {
                Ok(event) => parsed.events.push(event),
                Err(message) => {
                    parsed.failed = Some(message);
                    return parsed;
                }
            }
        }
        parsed.failed = is_cut.then(|| "is not UTF-8".to_owned());
        parsed
    }
}

/// Reads blocks of whole lines; the last one may be cut off.
struct Blocks<R> {
    input: R,
    /// What was read of a line that is not whole yet.
    rest: Vec<u8>,
}

impl<R: BufRead> Blocks<R> {
    fn next(&mut self) -> std::io::Result<Option<Block>> {
        let mut block = std::mem::take(&mut self.rest);
        loop {
            let before = block.len();
            let mut piece = (&mut self.input).take(BLOCK_BYTES as u64);
            let count = match piece.read_to_end(&mut block) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                count => count?,
            };
            let newline = block[before..].iter().rposition(|&byte| byte == b'\n');
            match newline {
                Some(place) => {
                    self.rest = block.split_off(before + place + 1);
                    return Ok(Some(block));
                }
                None if count == 0 => return Ok((!block.is_empty()).then_some(block)),
                None if block.len() > LINE_BYTES_MAX => {
                    let message = format!("is longer than {} MiB", LINE_BYTES_MAX >> 20);
                    return Err(std::io::Error::new(ErrorKind::InvalidData, message));
                }
                None => {}
            }
        }
    }
}

/// A thread that parses blocks, one after the other.
struct Worker {
    blocks: SyncSender<Block>,
    parsed: Receiver<Parsed>,
}

impl Worker {
    fn spawn<'s>(scope: &'s thread::Scope<'s, '_>) -> Self {
        let (blocks, waiting) = sync_channel::<Block>(BLOCKS_WAITING_MAX);
        let (done, parsed) = sync_channel(BLOCKS_WAITING_MAX);
        scope.spawn(move || {
            for block in waiting {
                if done.send(Parsed::of(&block)).is_err() {
                    break;
                }
            }
        });
        Self { blocks, parsed }
    }
}

/// Hands the events of `input` over to `take`, each with the number of its line, parsing on so many
/// threads besides this one.
pub(super) fn events(
    input: impl BufRead,
    threads: usize,
    take: impl FnMut(usize, Event) -> Result<(), HistoryError>,
) -> Result<(), HistoryError> {
    let mut blocks = Blocks {
        input,
        rest: Vec::new(),
    };
    let mut lines = Lines {
        next: FIRST_LINE,
        take,
    };
    if threads <= 1 {
        while let Some(block) = blocks.next().map_err(|error| lines.unreadable(error))? {
            lines.take(Parsed::of(&block))?;
        }
        return Ok(());
    }
    thread::scope(|scope| {
        let workers: Vec<Worker> = (0..threads).map(|_| Worker::spawn(scope)).collect();
        let (mut sent, mut taken) = (0, 0);
        let mut read = ControlFlow::Continue(());
        loop {
            // Every worker has as much to do as it may; they take turns, so the order is kept.
            while read.is_continue() && sent - taken < threads * BLOCKS_WAITING_MAX {
                match blocks.next() {
                    Ok(Some(block)) => {
                        let worker = &workers[sent % threads];
                        worker
                            .blocks
                            .send(block)
                            .expect("invariant: it waits for more");
                        sent += 1;
                    }
                    Ok(None) => read = ControlFlow::Break(None),
                    Err(error) => read = ControlFlow::Break(Some(error)),
                }
            }
            if taken == sent {
                let ControlFlow::Break(Some(error)) = read else {
                    return Ok(());
                };
                return Err(lines.unreadable(error));
            }
            let parsed = workers[taken % threads].parsed.recv();
            lines.take(parsed.expect("invariant: every block is parsed"))?;
            taken += 1;
        }
    })
}

/// Where the reader is.
struct Lines<T> {
    next: usize,
    take: T,
}

impl<T: FnMut(usize, Event) -> Result<(), HistoryError>> Lines<T> {
    fn take(&mut self, parsed: Parsed) -> Result<(), HistoryError> {
        for event in parsed.events {
            (self.take)(self.next, event)?;
            self.next += 1;
        }
        let line = self.next;
        let failed = parsed.failed;
        failed.map_or(Ok(()), |message| Err(HistoryError::Line { line, message }))
    }

    fn unreadable(&self, error: std::io::Error) -> HistoryError {
        HistoryError::Read {
            line: self.next,
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Instant;

    const COUNT: usize = 20_000;

    fn lines() -> String {
        let line = |at| format!("{{\"at\":{at},\"type\":\"heal\",\"fault\":\"fault {at}\"}}\n");
        (0..COUNT).map(line).collect()
    }

    fn taken(text: &[u8], threads: usize) -> (Vec<usize>, Result<(), HistoryError>) {
        let mut taken = Vec::new();
        let result = events(text, threads, |line, event| {
            let at = u64::try_from(line - FIRST_LINE).unwrap();
            assert_eq!(event.at, Instant::from_nanos(at));
            taken.push(line);
            Ok(())
        });
        (taken, result)
    }

    #[test]
    fn every_line_comes_once_and_in_order_on_any_number_of_threads() {
        let text = lines();
        assert!(text.len() > 3 * BLOCK_BYTES);
        for threads in [0, 1, 2, 5] {
            let (taken, result) = taken(text.as_bytes(), threads);
            assert!(result.is_ok());
            assert!(
                taken.into_iter().eq(FIRST_LINE..FIRST_LINE + COUNT),
                "{threads}"
            );
        }
    }

    #[test]
    fn first_bad_line_is_named_whatever_comes_after() {
        let text = lines();
        let bad = text.replace("\"at\":15000,", "\"at\":-1,");
        let cut = &bad.as_bytes()[..bad.len() - 10];
        for threads in [1, 3] {
            let (taken, result) = taken(cut, threads);
            assert_eq!(taken.len(), 15_000);
            let error = result.unwrap_err().to_string();
            assert!(error.starts_with("line 15002: "), "{error}");
        }
    }

    #[test]
    fn line_that_is_no_text_is_named_and_those_before_it_are_read() {
        let mut text = lines().into_bytes();
        let at = text.len() / 2;
        let line = FIRST_LINE + text[..at].iter().filter(|&&byte| byte == b'\n').count();
        text[at] = 0xFF;
        for threads in [1, 3] {
            let (taken, result) = taken(&text, threads);
            assert_eq!(taken.len(), line - FIRST_LINE);
            let error = result.unwrap_err().to_string();
            assert_eq!(error, format!("line {line}: is not UTF-8"));
        }
    }

    #[test]
    fn line_without_an_end_is_given_up() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let error = events(endless, 1, |_, _| Ok(())).unwrap_err().to_string();
        assert_eq!(error, "line 2: cannot be read: is longer than 64 MiB");
    }

    #[test]
    fn last_line_may_lack_its_end_but_not_its_sense() {
        let text = lines();
        let (whole, result) = taken(text.trim_end().as_bytes(), 2);
        assert!(result.is_ok() && whole.len() == COUNT);
        let (_, result) = taken(&text.as_bytes()[..text.len() - 3], 2);
        let error = result.unwrap_err().to_string();
        assert!(
            error.starts_with("line 20001: EOF while parsing"),
            "{error}"
        );
    }
}
