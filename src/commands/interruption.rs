//! Ctrl-C and SIGTERM, for commands that ask now and then whether to go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::target::interrupted;
#[cfg(madsim)]
use crate::output::stopped_suffix;

/// What stopped this process, once something has.
static STOPPED_BY: OnceLock<String> = OnceLock::new();

/// From now on a signal ends no command: it is up to the command to ask [`stopped_by`].
pub(super) fn listen() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let (sender, listens) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("signals".to_owned());
        // If there is no thread, the system ends the process as before.
        let _ends_by_itself = thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                let why = runtime.block_on(async move {
                    let interrupted = interrupted();
                    drop(sender);
                    interrupted.await
                });
                STOPPED_BY.get_or_init(|| why);
                flag().store(true, Ordering::Relaxed);
            }
        });
        // Nothing is ever sent: this ends when the other end is gone.
        let _closed: Result<(), _> = listens.recv();
    });
}

/// What is set once something has stopped this process, for who asks that.
pub(super) fn flag() -> Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    Arc::clone(FLAG.get_or_init(Arc::default))
}

/// What the names of stored campaigns end with.
#[cfg(madsim)]
pub(super) fn suffix() -> &'static str {
    stopped_suffix(stopped_by())
}

/// Why to stop now, if there is a reason.
pub(super) fn stopped_by() -> Option<&'static str> {
    STOPPED_BY.get().map(String::as_str)
}
