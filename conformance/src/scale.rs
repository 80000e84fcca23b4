//! Scaling as a verdict: whether cost stays flat and throughput grows while one quantity climbs a
//! ladder.
//!
//! [`fit`] turns measured numbers into estimates with intervals; it must know nothing of queues,
//! clocks or targets.

pub mod fit;
