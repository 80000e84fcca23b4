//! What befalls a request: drawn from the seed, the fault, the client and the request's number with it,
//! so that it does not depend on who comes first.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::history::NOT_POSTS;

/// The kinds of faults of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkFault {
    /// Requests vanish before they are sent on; their clients wait in vain.
    DropRequests,
    /// Answers vanish: the request was processed, and its client waits in vain.
    DropAnswers,
    /// Requests arrive late, perhaps when their clients have given up.
    DelayRequests,
    /// Connections are reset when half of a request was sent on.
    ResetRequests,
    /// Connections are reset when half of an answer has come.
    ResetAnswers,
    /// Answers trickle.
    SlowAnswers,
    /// Requests are sent twice, as by a load balancer that tries again; the second answer counts.
    DuplicateRequests,
    /// A share of the clients is cut off; what they send arrives when that has ended.
    CutOff,
}

impl NetworkFault {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::DropRequests,
        Self::DropAnswers,
        Self::DelayRequests,
        Self::ResetRequests,
        Self::ResetAnswers,
        Self::SlowAnswers,
        Self::DuplicateRequests,
        Self::CutOff,
    ];

    /// What schedules and histories call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::DropRequests => "drop-requests",
            Self::DropAnswers => "drop-answers",
            Self::DelayRequests => "delay-requests",
            Self::ResetRequests => "reset-requests",
            Self::ResetAnswers => "reset-answers",
            Self::SlowAnswers => "slow-answers",
            Self::DuplicateRequests => "duplicate-requests",
            Self::CutOff => "cut-off",
        }
    }

    /// What schedules and histories say of it behind its name, if anything: which requests it spares, though others of
    /// its kind do not.
    pub fn spares(self) -> String {
        match self {
            Self::DuplicateRequests => format!(" ({NOT_POSTS})"),
            Self::DropRequests
            | Self::DropAnswers
            | Self::DelayRequests
            | Self::ResetRequests
            | Self::ResetAnswers
            | Self::SlowAnswers
            | Self::CutOff => String::new(),
        }
    }
}

/// A fault in force: what, and which share of requests (or clients) it strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strike {
    /// What happens.
    pub fault: NetworkFault,
    /// Between 0 and 1.
    pub share: f64,
}

/// What befalls one request: each fault in force that strikes it, by the fault's number, and a number
/// from 0 to 1 that says how hard.
pub type Fate = BTreeMap<usize, (NetworkFault, f64)>;

/// The fate of request `number` of `client` under the faults `in_force`.
pub fn fate(seed: u64, in_force: &BTreeMap<usize, Strike>, (client, number): (u64, u64)) -> Fate {
    let struck = in_force.iter().filter_map(|(&index, strike)| {
        // A client is cut off or it is not, whatever it sends.
        let number = match strike.fault {
            NetworkFault::CutOff => 0,
            NetworkFault::DropRequests
            | NetworkFault::DropAnswers
            | NetworkFault::DelayRequests
            | NetworkFault::ResetRequests
            | NetworkFault::ResetAnswers
            | NetworkFault::SlowAnswers
            | NetworkFault::DuplicateRequests => number,
        };
        let mut key = [0; 32];
        let index_bytes = u64::try_from(index).unwrap_or(u64::MAX);
        for (place, word) in [seed, index_bytes, client, number].into_iter().enumerate() {
            key[place * 8..place * 8 + 8].copy_from_slice(&word.to_le_bytes());
        }
        let mut random = ChaCha8Rng::from_seed(key);
        let strikes = random.random_bool(strike.share);
        let force = random.random_range(0.0..1.0);
        strikes.then_some((index, (strike.fault, force)))
    });
    struck.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_force(fault: NetworkFault, share: f64) -> BTreeMap<usize, Strike> {
        BTreeMap::from([(3, Strike { fault, share })])
    }

    fn struck(strikes: &BTreeMap<usize, Strike>, seed: u64) -> Vec<(u64, u64)> {
        let all = (0..40).flat_map(|client| (1..=50).map(move |number| (client, number)));
        all.filter(|&request| !fate(seed, strikes, request).is_empty())
            .collect()
    }

    #[test]
    fn same_seed_strikes_the_same_requests_and_another_seed_strikes_others() {
        let strikes = in_force(NetworkFault::DropAnswers, 0.3);
        let first = struck(&strikes, 1);
        assert_eq!(first, struck(&strikes, 1));
        assert_ne!(first, struck(&strikes, 2));
        // 2,000 requests: 600 are expected, and 100 more or less are five standard deviations.
        assert!((500..700).contains(&first.len()), "{}", first.len());
    }

    #[test]
    fn client_that_is_cut_off_is_so_with_all_it_sends() {
        let strikes = in_force(NetworkFault::CutOff, 0.5);
        let first = struck(&strikes, 1);
        let clients: std::collections::BTreeSet<u64> =
            first.iter().map(|(client, _)| *client).collect();
        assert_eq!(first.len(), clients.len() * 50);
        assert!((5..35).contains(&clients.len()), "{}", clients.len());
    }
}
