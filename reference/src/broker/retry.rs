//! Retry policies: when a delivery that failed is tried again, and when it is given up.
//!
//! Zaqar v2, notification delivery policy: first retries without delay, then retries after the
//! minimum delay each, then delays that grow from the minimum to the maximum, then retries after
//! the maximum delay each. No state, no time: only the delay before the n-th retry.

use serde::{Deserialize, Serialize};

use super::attributes::{AttributeFault, Metadata};
use super::json_text::JsonText;

/// Where a policy stands, in the metadata of a queue and in the options of a subscription.
pub(crate) const RETRY_POLICY: &str = "_retry_policy";

/// Most retries in one phase. Zaqar has no bound.
const RETRIES_PER_PHASE_MAX: u32 = 1_000;
/// Longest delay before a retry. Zaqar has no bound.
const RETRY_DELAY_SECS_MAX: u32 = 86_400;
/// Shortest distance between the two delays of a policy.
const DELAY_SPAN_SECS_MIN: u32 = 10;
/// How many seconds of the distance between the two delays make one step of the growth.
const STEP_SECS: u32 = 5;

/// How delays grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Backoff {
    Linear,
    Arithmetic,
    /// Also for `exponential`: Zaqar computes both alike.
    Geometric,
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RetryPolicy {
    retries_with_no_delay: u32,
    retries_at_minimum: u32,
    delay_secs_min: u32,
    delay_secs_max: u32,
    retries_at_maximum: u32,
    backoff: Backoff,
    /// Whether the queue's policy counts, whatever the subscription says.
    ignores_override: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries_with_no_delay: 3,
            retries_at_minimum: 3,
            delay_secs_min: 5,
            delay_secs_max: 30,
            retries_at_maximum: 3,
            backoff: Backoff::Linear,
            ignores_override: false,
        }
    }
}

impl RetryPolicy {
    /// Reads a policy; members that are absent have their defaults.
    pub(crate) fn read(value: &JsonText) -> Result<Self, AttributeFault> {
        let members = value
            .as_members()
            .ok_or(AttributeFault::RetryPolicy("it is not an object"))?;
        let default = Self::default();
        let count = |member, default| number(&members, member, (default, RETRIES_PER_PHASE_MAX));
        let delay = |member, default| number(&members, member, (default, RETRY_DELAY_SECS_MAX));
        let policy = Self {
            retries_with_no_delay: count("retries_with_no_delay", default.retries_with_no_delay)?,
            retries_at_minimum: count("minimum_delay_retries", default.retries_at_minimum)?,
            delay_secs_min: delay("minimum_delay", default.delay_secs_min)?,
            delay_secs_max: delay("maximum_delay", default.delay_secs_max)?,
            retries_at_maximum: count("maximum_delay_retries", default.retries_at_maximum)?,
            backoff: backoff(&members)?,
            ignores_override: flag(&members)?,
        };
        let span_secs = policy.delay_secs_max.checked_sub(policy.delay_secs_min);
        if span_secs.is_none_or(|secs| secs < DELAY_SPAN_SECS_MIN) {
            return Err(AttributeFault::RetryPolicy(
                "the delays are not ten seconds apart",
            ));
        }
        Ok(policy)
    }

    /// The policy in the options of a subscription.
    pub(crate) fn of_options(options: &JsonText) -> Result<Option<Self>, AttributeFault> {
        let members = options.as_members().unwrap_or_default();
        let policy = members.get(RETRY_POLICY).filter(|value| !value.is_null());
        policy.map(Self::read).transpose()
    }

    /// The policy that counts: the subscription's, unless either side says that it does not.
    pub(crate) fn choose(queue: Option<Self>, subscription: Option<Self>) -> Self {
        let ignored = [queue, subscription]
            .into_iter()
            .flatten()
            .any(|policy| policy.ignores_override);
        let chosen = if ignored { None } else { subscription };
        chosen.or(queue).unwrap_or_default()
    }

    /// Seconds to wait before a retry, the first being number 0. `None`: there is no such retry.
    pub(crate) fn delay_secs(&self, retry: u32) -> Option<u32> {
        let Some(retry) = retry.checked_sub(self.retries_with_no_delay) else {
            return Some(0);
        };
        let Some(step) = retry.checked_sub(self.retries_at_minimum) else {
            return Some(self.delay_secs_min);
        };
        let Some(retry) = step.checked_sub(self.steps()) else {
            return Some(self.grown_secs(step));
        };
        (retry < self.retries_at_maximum).then_some(self.delay_secs_max)
    }

    const fn span_secs(&self) -> u32 {
        self.delay_secs_max - self.delay_secs_min
    }

    /// How many delays lie between those at the minimum and those at the maximum.
    const fn steps(&self) -> u32 {
        match self.backoff {
            Backoff::Linear => self.span_secs().div_ceil(STEP_SECS),
            Backoff::Arithmetic | Backoff::Geometric => self.span_secs() / STEP_SECS,
        }
    }

    /// The delay at one of these steps, rounded down.
    fn grown_secs(&self, step: u32) -> u32 {
        // At least one, because the span is at least two steps.
        let last = self.steps() - 1;
        match self.backoff {
            Backoff::Linear => self.delay_secs_min + step * STEP_SECS,
            Backoff::Arithmetic => {
                let [step, last, span] = [step, last, self.span_secs()].map(u64::from);
                let grown = span * step * (step + 1) / (last * (last + 1));
                self.delay_secs_min + u32::try_from(grown).expect("invariant: at most the span")
            }
            Backoff::Geometric => {
                geometric_mean((self.delay_secs_min, self.delay_secs_max), (step, last))
            }
        }
    }
}

/// `low^(1 - part/whole) · high^(part/whole)`, rounded down; but what is within a millionth of the
/// next integer is that one. In integers, because floats need not be the same everywhere.
fn geometric_mean((low, high): (u32, u32), (part, whole): (u32, u32)) -> u32 {
    if part == 0 || low == high {
        return low;
    }
    if part == whole || low == 0 {
        return if part == whole { high } else { 0 };
    }
    let (part, whole) = (u128::from(part), u128::from(whole));
    let exponent = (log2(low) * (whole - part) + log2(high) * part) / whole;
    let mean = (exp2(exponent) + 1) >> FRACTION_BITS;
    u32::try_from(mean).expect("invariant: a mean is not above the greater number")
}

/// Bits behind the point of a logarithm.
const LOG_BITS: u32 = 48;
/// Bits behind the point of what [`exp2`] returns.
const FRACTION_BITS: u32 = 20;
/// Bits behind the point of numbers from 1 to 2.
const UNIT_BITS: u32 = 63;

/// The binary logarithm of a positive number, with [`LOG_BITS`] bits behind the point.
fn log2(number: u32) -> u128 {
    let whole = number.ilog2();
    let mut mantissa = u128::from(number) << (UNIT_BITS - whole);
    let mut logarithm = u128::from(whole);
    for _ in 0..LOG_BITS {
        mantissa = (mantissa * mantissa) >> UNIT_BITS;
        let bit = mantissa >> (UNIT_BITS + 1);
        mantissa >>= bit;
        logarithm = logarithm << 1 | bit;
    }
    logarithm
}

/// Two to the power of a logarithm as [`log2`] writes it, with [`FRACTION_BITS`] behind the point.
fn exp2(logarithm: u128) -> u128 {
    let mut power: u128 = 1 << UNIT_BITS;
    let mut root: u128 = 2 << UNIT_BITS;
    for bit in (0..LOG_BITS).rev() {
        root = (root << UNIT_BITS).isqrt();
        if logarithm >> bit & 1 == 1 {
            power = (power * root) >> UNIT_BITS;
        }
    }
    (power << (logarithm >> LOG_BITS)) >> (UNIT_BITS - FRACTION_BITS)
}

fn number(
    members: &Metadata,
    member: &str,
    (default, max): (u32, u32),
) -> Result<u32, AttributeFault> {
    let Some(value) = members.get(member) else {
        return Ok(default);
    };
    let number = value
        .as_integer()
        .and_then(|number| u32::try_from(number).ok());
    number
        .filter(|&number| number <= max)
        .ok_or(AttributeFault::RetryPolicy(
            "a count is not an integer from 0 to 1000, or a delay not one from 0 to 86400",
        ))
}

fn backoff(members: &Metadata) -> Result<Backoff, AttributeFault> {
    let Some(value) = members.get("retry_backoff_function") else {
        return Ok(Backoff::Linear);
    };
    match value.as_string().as_deref() {
        Some("linear") => Ok(Backoff::Linear),
        Some("arithmetic") => Ok(Backoff::Arithmetic),
        Some("geometric" | "exponential") => Ok(Backoff::Geometric),
        Some(_) | None => Err(AttributeFault::RetryPolicy(
            "the backoff function is unknown",
        )),
    }
}

fn flag(members: &Metadata) -> Result<bool, AttributeFault> {
    let Some(value) = members.get("ignore_subscription_override") else {
        return Ok(false);
    };
    value.as_bool().ok_or(AttributeFault::RetryPolicy(
        "ignore_subscription_override is not a boolean",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> RetryPolicy {
        RetryPolicy::read(&JsonText::parse(text).unwrap()).unwrap()
    }

    fn delays(policy: &RetryPolicy) -> Vec<u32> {
        (0..).map_while(|retry| policy.delay_secs(retry)).collect()
    }

    #[test]
    fn the_default_policy_gives_up_after_three_minutes_and_fourteen_retries() {
        let delays = delays(&RetryPolicy::default());
        let expected = [0, 0, 0, 5, 5, 5, 5, 10, 15, 20, 25, 30, 30, 30];
        assert_eq!(delays, expected);
        assert_eq!(delays.iter().sum::<u32>(), 180);
    }

    #[test]
    fn every_function_grows_as_documented() {
        for (function, expected) in [
            ("linear", [5, 10, 15, 20, 25]),
            ("arithmetic", [5, 7, 12, 20, 30]),
            ("geometric", [5, 7, 12, 19, 30]),
            ("exponential", [5, 7, 12, 19, 30]),
        ] {
            let policy = policy(&format!(
                "{{\"retry_backoff_function\":\"{function}\",\"retries_with_no_delay\":0,
                \"minimum_delay_retries\":0,\"maximum_delay_retries\":0}}"
            ));
            assert_eq!(delays(&policy), expected, "{function}");
        }
    }

    #[test]
    fn means_that_are_integers_are_not_rounded_down() {
        assert_eq!(geometric_mean((1, 16), (1, 2)), 4);
        assert_eq!(geometric_mean((3, 48), (3, 4)), 24);
        assert_eq!(geometric_mean((0, 48), (3, 4)), 0);
        assert_eq!(geometric_mean((10, 86_400), (1, 1)), 86_400);
        for base in 2..44 {
            assert_eq!(
                geometric_mean((1, base * base * base), (2, 3)),
                base * base,
                "{base}"
            );
        }
    }

    #[test]
    fn delays_never_shrink_and_stay_between_their_bounds() {
        for (min, max) in [(0, 10), (1, 14), (5, 86_400), (86_390, 86_400), (7, 1_000)] {
            for function in ["linear", "arithmetic", "geometric"] {
                let policy = policy(&format!(
                    "{{\"minimum_delay\":{min},\"maximum_delay\":{max},
                    \"retry_backoff_function\":\"{function}\"}}"
                ));
                let delays = delays(&policy);
                assert!(delays.is_sorted(), "{min} {max} {function}");
                assert_eq!(delays.last(), Some(&max));
            }
        }
    }

    #[test]
    fn the_subscription_decides_unless_either_side_says_otherwise() {
        let queue = policy(r#"{"minimum_delay":1}"#);
        let mine = policy(r#"{"minimum_delay":2}"#);
        let ignored = policy(r#"{"minimum_delay":3,"ignore_subscription_override":true}"#);
        let choose = RetryPolicy::choose;
        assert_eq!(choose(Some(queue), Some(mine)), mine);
        assert_eq!(choose(Some(queue), None), queue);
        assert_eq!(choose(None, None), RetryPolicy::default());
        assert_eq!(choose(Some(ignored), Some(mine)), ignored);
        assert_eq!(choose(Some(queue), Some(ignored)), queue);
        assert_eq!(choose(None, Some(ignored)), RetryPolicy::default());
    }

    #[test]
    fn policies_that_cannot_be_followed_are_refused() {
        for text in [
            "[]",
            r#"{"minimum_delay":null}"#,
            r#"{"minimum_delay":25,"maximum_delay":30}"#,
            r#"{"minimum_delay":30,"maximum_delay":5}"#,
            r#"{"maximum_delay":86401}"#,
            r#"{"maximum_delay":40.0}"#,
            r#"{"retries_with_no_delay":-1}"#,
            r#"{"maximum_delay_retries":1001}"#,
            r#"{"retry_backoff_function":"random"}"#,
            r#"{"retry_backoff_function":1}"#,
            r#"{"ignore_subscription_override":"true"}"#,
        ] {
            let value = JsonText::parse(text).unwrap();
            assert!(RetryPolicy::read(&value).is_err(), "{text}");
        }
    }
}
