//! What a run of ladders is told.

use std::time::Duration;

use super::Ladder;

/// How much is measured, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// The ladders, in the order in which they are climbed.
    pub ladders: Vec<Ladder>,
    /// The top of the ladders that count things, at least 1,000; the dearer ones end at a tenth of it.
    pub longest: u64,
    /// Turns that are not measured before those that are, at every visit to a step.
    pub warm_up: u32,
    /// Turns that are measured at every visit to a step.
    pub turns: u32,
    /// Visits to every step, least and most: they end as soon as every interval is narrow enough.
    pub rounds: (u32, u32),
    /// How long clients work at one visit to a step, where they work beside each other.
    pub span: Duration,
    /// The most clients that work beside each other.
    pub clients_max: u32,
    /// The most turns a second that are offered, whatever the target could do.
    pub rate_max: f64,
    /// What choices are drawn from.
    pub seed: u64,
    /// What the tenants are named after, so that runs do not meet.
    pub realm: String,
    /// The lifetime of messages that are to stay, in seconds.
    pub message_ttl_secs: u64,
    /// The lifetime of messages that are to end, in seconds: the shortest that the target grants.
    pub short_ttl_secs: u64,
    /// The lease of claims, in seconds.
    pub claim_ttl_secs: u64,
}

impl Options {
    /// What is measured in virtual time, where time costs nothing and is exact.
    pub fn in_virtual_time() -> Self {
        Self {
            ladders: Ladder::ALL.to_vec(),
            longest: 100_000,
            warm_up: 1,
            turns: 10,
            rounds: (5, 5),
            span: Duration::from_secs(1),
            clients_max: 16,
            rate_max: 1_000.0,
            seed: 0,
            realm: "scale".to_owned(),
            message_ttl_secs: 43_200,
            short_ttl_secs: 60,
            claim_ttl_secs: 43_200,
        }
    }

    /// What is measured of a real server in some minutes.
    pub fn in_real_time() -> Self {
        Self {
            longest: 10_000,
            warm_up: 2,
            turns: 20,
            rounds: (8, 24),
            rate_max: 200.0,
            ..Self::in_virtual_time()
        }
    }
}
