//! How an implementation in Rust is tested without a socket and without waiting.
//!
//! `cargo run -p nanshe-conformance --features http --example toy_broker` prints the report of the
//! chapter about claims, whose cases wait for leases to end: virtual minutes, real milliseconds. In a
//! test of one's own that is
//!
//! ```text
//! #[tokio::test(start_paused = true)]
//! async fn claims_keep_their_promises() {
//!     let check = check_service(Toy::default()).profile(Profile::Core).with_waits();
//!     check.only(&["claims", "lifetimes"]).await.assert_valid();
//! }
//! ```

use std::io::Write as _;
use std::process::ExitCode;

use nanshe_conformance::check_service;
use nanshe_conformance::report::terminal;
use nanshe_conformance::suite::Profile;
use nanshe_conformance::verdict::Verdict;

mod broker;

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> ExitCode {
    let check = check_service(broker::Toy::default()).profile(Profile::Core);
    let report = check.with_waits().only(&["claims", "lifetimes"]).await;
    // Nobody is left to tell that standard output is gone.
    drop(std::io::stdout().write_all(terminal(&report).as_bytes()));
    ExitCode::from(u8::from(report.verdict() != Verdict::Valid))
}
