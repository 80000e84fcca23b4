//! What the benchmarks share: loads that are bounded in count, and servers to compare with.
//!
//! Absolute figures are the machine's; only ratios of one run mean something.

pub mod child;
pub mod core;
pub mod judged;
pub mod load;
pub mod memory;
pub mod servers;
#[cfg(madsim)]
pub mod simulated;
#[cfg(madsim)]
pub mod specimen;
#[cfg(madsim)]
pub mod worlds;

/// The one that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
