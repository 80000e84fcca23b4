//! What a service may lose as it grows: the table `[scale]` of a target file.

use serde::{Deserialize, Serialize};

/// The bounds that verdicts hold a service to. What a target file leaves out is as [`Bounds::default`] says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// The largest exponent `b` of cost ∝ nᵇ that counts as flat.
    pub exponent_max: f64,
    /// The largest coherence κ of the Universal Scalability Law.
    pub kappa_max: f64,
    /// The largest contention σ; none: it is told, and nobody is held to it. One machine that is busy has a large one.
    pub sigma_max: Option<f64>,
    /// The share of its best throughput that a service may lose when more clients come.
    pub decline_max: f64,
    /// The share of refused or unanswered turns up to which a load on a ramp counts as served, 0 to 1.
    pub errors_jump_max: f64,
    /// How many times as long a turn's operations may take on one side of a jump as on the other.
    pub latency_jump_max: f64,
    /// How many times as long a cold queue's operations may take while another queue is hot.
    pub isolation_max: f64,
    /// How many times as long operations may take beside queues that nobody uses.
    pub idle_max: f64,
    /// How long no operation at all may succeed while pools change, in seconds.
    pub refused_secs_max: f64,
    /// The smallest probability at which a spread over pools still counts as drawn by their weights.
    pub spread_p_min: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            exponent_max: 0.15,
            kappa_max: 0.01,
            sigma_max: None,
            decline_max: 0.25,
            errors_jump_max: 0.05,
            latency_jump_max: 5.0,
            isolation_max: 5.0,
            idle_max: 2.0,
            refused_secs_max: 5.0,
            spread_p_min: 0.001,
        }
    }
}

impl Bounds {
    /// The key that makes no sense and what would, if there is one.
    pub fn wrong(&self) -> Option<(&'static str, &'static str)> {
        let positive = [
            ("exponent_max", self.exponent_max),
            ("kappa_max", self.kappa_max),
            ("sigma_max", self.sigma_max.unwrap_or(1.0)),
            ("refused_secs_max", self.refused_secs_max),
        ];
        let shares = [
            ("decline_max", self.decline_max),
            ("errors_jump_max", self.errors_jump_max),
            ("spread_p_min", self.spread_p_min),
        ];
        let factors = [
            ("latency_jump_max", self.latency_jump_max),
            ("isolation_max", self.isolation_max),
            ("idle_max", self.idle_max),
        ];
        let found = |all: &[(&'static str, f64)], fits: fn(f64) -> bool| {
            all.iter()
                .find(|(_, value)| !fits(*value))
                .map(|(key, _)| *key)
        };
        let positive = found(&positive, |value| value.is_finite() && value > 0.0);
        let shares = found(&shares, |value| value > 0.0 && value < 1.0);
        let factors = found(&factors, |value| value.is_finite() && value > 1.0);
        positive
            .map(|key| (key, "must be above 0"))
            .or(shares.map(|key| (key, "must lie between 0 and 1")))
            .or(factors.map(|key| (key, "must be above 1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_nothing_could_keep_or_break_are_told() {
        assert_eq!(Bounds::default().wrong(), None);
        let with = |line: &str| toml::from_str::<Bounds>(line).map(|bounds| bounds.wrong());
        assert_eq!(
            with("idle_max = 1"),
            Ok(Some(("idle_max", "must be above 1")))
        );
        assert_eq!(
            with("decline_max = 1.5"),
            Ok(Some(("decline_max", "must lie between 0 and 1")))
        );
        assert_eq!(
            with("exponent_max = 0.0"),
            Ok(Some(("exponent_max", "must be above 0")))
        );
        assert!(with("exponent = 1").is_err());
    }
}
