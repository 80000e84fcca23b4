//! A thread of its own for every run: the order of a `HashMap` is the same on a fresh one only, and a panic
//! ends no more than that.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::sync::Once;

use serde::{Deserialize, Serialize};

use crate::world::at_work;

/// Why a run has no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunError {
    /// The implementation under test, or the harness itself, panicked.
    #[error("seed {seed} panicked{}: {message}", on(node.as_deref()))]
    Panicked {
        /// The run's seed.
        seed: u64,
        /// The node whose task was under way; none: the harness was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// What the panic said, and where.
        message: String,
        /// Which functions were under way, those of the runtime left out.
        backtrace: Vec<String>,
    },
    /// It took longer than a run may take: it loops, or waits for ever.
    #[error("seed {seed} did not end within {limit_secs} s")]
    Hung {
        /// The run's seed.
        seed: u64,
        /// What it was given.
        limit_secs: u64,
    },
    /// The process that it ran in took more memory than a run may take: it leaks, or stores without end.
    #[error("seed {seed} took more than {limit_mib} MiB of memory")]
    Outgrown {
        /// The run's seed.
        seed: u64,
        /// What it was given.
        limit_mib: u64,
    },
    /// The process that it ran in is gone: an abort.
    #[error("seed {seed} took its process along: {status}")]
    Died {
        /// The run's seed.
        seed: u64,
        /// How the process ended.
        status: String,
    },
}

fn on(node: Option<&str>) -> String {
    node.map_or(String::new(), |node| format!(" on {node}"))
}

impl RunError {
    /// The seed that it happened to.
    pub fn seed(&self) -> u64 {
        match self {
            Self::Panicked { seed, .. }
            | Self::Hung { seed, .. }
            | Self::Outgrown { seed, .. }
            | Self::Died { seed, .. } => *seed,
        }
    }
}

/// Functions that a backtrace shows at most.
const FRAMES_MAX: usize = 12;

/// What a panic said, on which node, and which functions were under way.
#[derive(Default)]
struct Told {
    node: Option<String>,
    message: String,
    backtrace: Vec<String>,
}

thread_local! {
    /// What the panic of this thread said: filled in by the hook, if this is a thread of ours.
    static PANIC: RefCell<Option<Option<Told>>> = const { RefCell::new(None) };
}

/// Runs `work` on a thread of its own, and turns its panic into an error.
pub(crate) fn on_fresh_thread<T: Send + 'static>(
    seed: u64,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RunError> {
    listen_for_panics();
    let thread = std::thread::Builder::new()
        .name(format!("seed-{seed}"))
        .spawn(move || {
            PANIC.set(Some(None));
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            done.map_err(|_| PANIC.take().flatten())
        });
    let thread = thread.expect("the system has room for one more thread");
    let told = match thread.join() {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(told)) => told,
        Err(_) => None,
    };
    let Told {
        node,
        message,
        backtrace,
    } = told.unwrap_or_else(|| Told {
        message: "without a message".to_owned(),
        ..Told::default()
    });
    Err(RunError::Panicked {
        seed,
        node,
        message,
        backtrace,
    })
}

/// Panics on threads of ours are kept rather than printed; others are told as before.
fn listen_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_ours = PANIC.with_borrow(Option::is_some);
            if !is_ours {
                return before(info);
            }
            let message = info.payload_as_str().unwrap_or("without a message");
            let place = info.location().map_or_else(String::new, |location| {
                format!(" at {}:{}", location.file(), location.line())
            });
            let told = Told {
                node: at_work().map(|name| name.to_string()),
                message: format!("{message}{place}"),
                backtrace: frames(),
            };
            PANIC.with_borrow_mut(|panic| {
                // The first panic is the cause; what unwinding brings about is not.
                panic.get_or_insert_default().get_or_insert(told);
            });
        }));
    });
}

/// The functions under way, without those of the panic, of the runtime and of the standard library.
fn frames() -> Vec<String> {
    let trace = Backtrace::force_capture().to_string();
    let names = trace.lines().filter_map(|line| {
        let (number, name) = line.trim().split_once(": ")?;
        number.parse::<u32>().ok().map(|_| name.to_owned())
    });
    let foreign = [
        "std::",
        "core::",
        "alloc::",
        "madsim::",
        "__",
        "rust_",
        "<core::",
        "<alloc::",
        "<std::",
        "async_task::",
        "_start",
        "main",
        "clone",
        "start_thread",
        "nanshe_simulator::thread::",
        "<nanshe_simulator::thread::",
        "nanshe_simulator::world::at_work::",
        "<nanshe_simulator::world::at_work::",
    ];
    names
        .filter(|name| !foreign.iter().any(|start| name.starts_with(start)))
        .take(FRAMES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::world::{Network, Node};

    fn planted(index: usize) -> usize {
        [1, 2, 3][index]
    }

    #[test]
    fn panic_tells_what_it_said_where_and_how_it_came_there() {
        let done = on_fresh_thread(7, || planted(std::hint::black_box(3)));
        let Err(RunError::Panicked {
            seed: 7,
            node: None,
            message,
            backtrace,
        }) = done
        else {
            panic!("{done:?}");
        };
        assert!(message.starts_with("index out of bounds"), "{message}");
        assert!(message.contains("thread.rs:"), "{message}");
        assert!(
            backtrace.iter().any(|frame| frame.contains("planted")),
            "{backtrace:?}"
        );
    }

    #[test]
    fn panic_names_the_node_that_it_happened_on() {
        let done = on_fresh_thread(7, || {
            let config = madsim::Config::default();
            let runtime = madsim::runtime::Runtime::with_seed_and_config(7, config);
            runtime.block_on(async {
                let network = Network::new((Duration::ZERO, Duration::ZERO), 1);
                let nodes = ["server-0", "server-1"].map(|name| Node::new(&network, name));
                let second = nodes[1].environment();
                // A task of a task, as servers have them.
                let outer = Box::pin(async move {
                    let inner = Arc::clone(&second);
                    second.spawn(Box::pin(async move {
                        inner.sleep(Duration::from_secs(1)).await;
                        planted(std::hint::black_box(3));
                    }));
                });
                nodes[1].environment().spawn(outer);
                nodes[0].environment().sleep(Duration::from_secs(9)).await;
            });
        });
        let error = done.unwrap_err();
        let told = error.to_string();
        assert!(
            told.starts_with("seed 7 panicked on server-1: index out of bounds"),
            "{told}"
        );
        let RunError::Panicked { backtrace, .. } = error else {
            panic!("{told}");
        };
        assert!(
            backtrace.iter().any(|frame| frame.contains("planted")),
            "{backtrace:?}"
        );
    }

    #[test]
    fn next_run_does_not_hear_of_the_panic_before() {
        let _panicked = on_fresh_thread(1, || panic!("the first"));
        assert_eq!(on_fresh_thread(2, || 5), Ok(5));
    }
}
