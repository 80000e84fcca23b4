//! From what the steps of a ladder measured to a verdict.
//!
//! There are three: a bound was broken for certain, kept for certain, or the noise is larger than the bound, and then
//! nobody knows.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::bounds::Bounds;
use super::fit::{Interval, Universal, decline, exponent, growth, universal};
use super::outcome::{Outcome, Step, by_round};
use crate::verdict::Verdict;

/// The share of refusals at one step above which its figures say nothing.
pub(super) const ERRORS_MAX: f64 = 0.05;

/// How late the load generator may be, in microseconds, before it is what was measured.
const LAG_US_MAX: f64 = 20_000.0;

/// What verdicts are held to, and where their choices come from.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    pub(super) bounds: Bounds,
    pub(super) seed: u64,
}

impl Judge {
    /// A source of choices for what is called `what`.
    pub(super) fn random(&self, what: &str) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let hashed = what.bytes().fold(0_u64, |hash, byte| {
            hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte)
        });
        random.set_stream(hashed);
        random
    }
}

/// What a flat-cost ladder measured of one operation.
pub(super) struct Series {
    pub(super) quantity: &'static str,
    /// What the quantity counts: `messages`.
    pub(super) counts: &'static str,
    /// The exponent that is the quantity's due.
    pub(super) due: f64,
    /// `claim`.
    pub(super) figure: String,
    pub(super) unit: &'static str,
    pub(super) steps: Vec<Step>,
}

impl Series {
    /// Whether more rounds would tell nothing new.
    pub(super) fn is_decided(&self, judge: &Judge) -> bool {
        let fitted = self.fitted(judge);
        fitted.is_some_and(|fitted| fitted.high - fitted.low < judge.bounds.exponent_max)
    }

    pub(super) fn judged(&self, judge: &Judge) -> Outcome {
        flat(self, &judge.bounds, self.fitted(judge).as_ref())
    }

    fn fitted(&self, judge: &Judge) -> Option<Interval> {
        let name = format!("{}/{}", self.quantity, self.figure);
        exponent(&by_round(&self.steps), &mut judge.random(&name))
    }
}

fn too_few(steps: usize) -> String {
    format!("too few steps for a fit: it takes three, and this ladder has {steps}")
}

/// The verdict on a flat-cost ladder.
fn flat(series: &Series, bounds: &Bounds, fitted: Option<&Interval>) -> Outcome {
    let Series {
        steps, counts, due, ..
    } = series;
    let bound = due + bounds.exponent_max;
    let (first, last) = (steps.first(), steps.last());
    let (Some(first), Some(last), Some(fitted)) = (first, last, fitted) else {
        let why = too_few(steps.len());
        return outcome(series, (Verdict::Unknown, why));
    };
    let told = format!(
        "cost ∝ n^{:.2} [{:.2}, {:.2}]: {} at {} {counts}, {} at {}",
        fitted.estimate,
        fitted.low,
        fitted.high,
        figure(first.value(), series.unit),
        power(first.n),
        figure(last.value(), series.unit),
        power(last.n),
    );
    let refused = steps.iter().find(|step| errors(step) > ERRORS_MAX);
    let (verdict, why) = if let Some(step) = refused {
        let share = errors(step) * 100.0;
        let why = format!(
            "{share:.0} % was refused at {} {counts}, so {told}",
            power(step.n)
        );
        (Verdict::Unknown, why)
    } else if fitted.low > bound {
        (Verdict::Violation, format!("{told}; the bound is {bound}"))
    } else if fitted.high <= bound {
        (Verdict::Valid, told)
    } else {
        (
            Verdict::Unknown,
            format!("{told}; the noise is larger than the bound of {bound}"),
        )
    };
    let mut judged = outcome(series, (verdict, why));
    judged.fits = vec![("exponent".to_owned(), fitted.clone())];
    if verdict == Verdict::Valid {
        let how = if *due > 0.0 { "in proportion" } else { "flat" };
        judged.verified = Some(format!("{how} to {} {counts}", power(last.n)));
        let (low, high) = (10_f64.powf(fitted.low), 10_f64.powf(fitted.high));
        judged.extrapolated = Some(format!(
            "{low:.2} to {high:.2} times as dear at ten times as much"
        ));
    }
    judged
}

fn outcome(series: &Series, (verdict, why): (Verdict, String)) -> Outcome {
    let steps = series.steps.clone();
    Outcome {
        unit: series.unit.to_owned(),
        verdict,
        why,
        ..begun("scaling/flat-cost", series.quantity, &series.figure, steps)
    }
}

/// What is said of a flat-cost ladder on which nothing could be measured.
pub(super) fn unmeasured(quantity: &'static str) -> Outcome {
    let series = Series {
        quantity,
        counts: "",
        due: 0.0,
        figure: "every operation".to_owned(),
        unit: "µs",
        steps: Vec::new(),
    };
    outcome(
        &series,
        (Verdict::Unknown, "nothing was measured".to_owned()),
    )
}

/// The verdict on throughput by `quantity`, `clients` or `pools`; there may be a doubt, with which figures say nothing.
pub(super) fn throughput(
    quantity: &str,
    (steps, doubt): (Vec<Step>, Option<String>),
    judge: &Judge,
) -> Outcome {
    let mut judged = begun("scaling/throughput", quantity, "operations", steps);
    "operations/s".clone_into(&mut judged.unit);
    let rounds = by_round(&judged.steps);
    let fitted = universal(&rounds, &mut judge.random("universal"));
    let declined = decline(&rounds, &mut judge.random("decline"));
    let doubt = doubt.or_else(|| refused(&judged.steps));
    let (Some(fitted), Some(declined)) = (fitted, declined) else {
        judged.why = doubt.unwrap_or_else(|| too_few(judged.steps.len()));
        return judged;
    };
    let top = judged.steps.last().map_or(0.0, |step| step.n);
    let told = format!(
        "{}, {}; {:.2} of the best at {top} {quantity}",
        interval("σ", &fitted.sigma, 3),
        interval("κ", &fitted.kappa, 4),
        declined.estimate,
    );
    (judged.verdict, judged.why) = match doubt {
        Some(why) => (Verdict::Unknown, format!("{why}; {told}")),
        None => held(&judge.bounds, (&fitted, &declined), told),
    };
    if judged.verdict == Verdict::Valid {
        judged.verified = Some(format!("no decline to {top} {quantity}"));
        judged.extrapolated = fitted.peak.as_ref().map(|peak| {
            let (estimate, low, high) = (peak.estimate, peak.low, peak.high);
            format!("most at {estimate:.0} {quantity} [{low:.0}, {high:.0}]")
        });
    }
    let mut fits = vec![
        ("λ".to_owned(), fitted.lambda),
        ("σ".to_owned(), fitted.sigma),
        ("κ".to_owned(), fitted.kappa),
    ];
    fits.extend(fitted.peak.map(|peak| ("N*".to_owned(), peak)));
    fits.push(("last/best".to_owned(), declined));
    judged.fits = fits;
    judged
}

/// The share of the best throughput above which κ is a matter of the fit alone: a server that is simply busy has a
/// plateau, which the law can only follow by bending down behind the ladder's top.
const DECLINED: f64 = 0.9;

/// How the fit of throughput stands to the bounds.
fn held(
    bounds: &Bounds,
    (fitted, declined): (&Universal, &Interval),
    told: String,
) -> (Verdict, String) {
    let kept = 1.0 - bounds.decline_max;
    let (kappa_max, sigma_max) = (bounds.kappa_max, bounds.sigma_max.unwrap_or(f64::INFINITY));
    let broken = if declined.high < kept {
        format!("retrograde: less than {kept:.2} of the best")
    } else if fitted.kappa.low > kappa_max && declined.high < DECLINED {
        format!("κ is above {kappa_max}")
    } else if fitted.sigma.low > sigma_max {
        format!("σ is above {sigma_max}")
    } else if declined.low >= kept && fitted.sigma.high <= sigma_max {
        return (Verdict::Valid, told);
    } else {
        let why = format!("{told}; the noise is larger than the bounds");
        return (Verdict::Unknown, why);
    };
    (Verdict::Violation, format!("{told}; {broken}"))
}

/// `σ 0.100 [0.050, 0.150]`
fn interval(name: &str, of: &Interval, digits: usize) -> String {
    let (estimate, low, high) = (of.estimate, of.low, of.high);
    format!("{name} {estimate:.digits$} [{low:.digits$}, {high:.digits$}]")
}

/// Why figures say nothing about the target, if much was refused.
fn refused(steps: &[Step]) -> Option<String> {
    let refused = steps.iter().find(|step| errors(step) > ERRORS_MAX)?;
    let share = errors(refused) * 100.0;
    Some(format!("{share:.0} % was refused at {}", power(refused.n)))
}

/// Why figures say nothing about the target, if the load generator was so late.
pub(super) fn late(lag_us: f64) -> Option<String> {
    let late = lag_us / 1e3;
    let why = || format!("the load generator was {late:.0} ms late: it is the bottleneck");
    (lag_us > LAG_US_MAX).then(why)
}

/// An outcome that says nothing yet.
pub(super) fn begun(rule: &str, quantity: &str, figure: &str, steps: Vec<Step>) -> Outcome {
    Outcome {
        rule: rule.to_owned(),
        quantity: quantity.to_owned(),
        figure: figure.to_owned(),
        unit: "µs".to_owned(),
        fits: Vec::new(),
        verdict: Verdict::Unknown,
        verified: None,
        extrapolated: None,
        why: String::new(),
        steps,
    }
}

/// What a rise from the first step to the last is held to.
pub(super) struct Rise {
    pub(super) rule: &'static str,
    pub(super) quantity: &'static str,
    pub(super) figure: &'static str,
    /// What is verified if it holds: `beside 10⁴ idle queues`.
    pub(super) verified: String,
    /// How many times as long it may take.
    pub(super) most: f64,
}

/// The verdict on how much longer something takes at the last step than at the first.
pub(super) fn rise(rise: &Rise, steps: Vec<Step>, lag_us: f64, judge: &Judge) -> Outcome {
    let mut judged = begun(rise.rule, rise.quantity, rise.figure, steps);
    // A law of growth knows no step 0: one more at each stands for it.
    let mut rounds = by_round(&judged.steps);
    rounds.iter_mut().flatten().for_each(|(n, _)| *n += 1.0);
    let Some(grown) = growth(&rounds, &mut judge.random(rise.rule)) else {
        "too few steps or rounds for a comparison".clone_into(&mut judged.why);
        return judged;
    };
    let most = rise.most;
    let told = format!(
        "{:.2} times as long [{:.2}, {:.2}]; the bound is {most}",
        grown.estimate, grown.low, grown.high
    );
    let doubt = late(lag_us).or_else(|| refused(&judged.steps));
    (judged.verdict, judged.why) = match doubt {
        Some(why) => (Verdict::Unknown, format!("{why}; {told}")),
        None if grown.low > most => (Verdict::Violation, told),
        None if grown.high <= most => {
            judged.verified = Some(rise.verified.clone());
            (Verdict::Valid, told)
        }
        None => (
            Verdict::Unknown,
            format!("{told}: the noise is larger than that"),
        ),
    };
    judged.fits = vec![("last/first".to_owned(), grown)];
    judged
}

/// Tells that the ladder ended before its top, and what follows from that.
pub(super) fn ended_at(outcome: &mut Outcome, step: u64, why: &str) {
    let told = format!("; the ladder ends before {step}, where {why}");
    outcome.why += &told;
    // What was not measured is not known, however flat it was until there.
    outcome.verdict = outcome.verdict.max(Verdict::Unknown);
}

/// Tells why the figures do not show what they seem to; what they show to be broken is broken all the same.
pub(super) fn not_shown(outcome: &mut Outcome, why: &str) {
    outcome.why += &format!("; {why}");
    outcome.verdict = outcome.verdict.max(Verdict::Unknown);
    outcome.verified = None;
}

/// The share that was refused or not answered.
fn errors(step: &Step) -> f64 {
    if step.operations == 0 {
        return 0.0;
    }
    super::sample::count(step.errors) / super::sample::count(step.operations)
}

/// A figure with its unit, to three digits.
pub(super) fn figure(value: f64, unit: &str) -> String {
    if value >= 100.0 {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// `10⁴`, or the number itself.
pub(super) fn power(n: f64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let exponent = n.log10().round();
    let is_power = exponent >= 2.0 && (10_f64.powf(exponent) - n).abs() < 0.5;
    let digit = DIGITS.iter().enumerate().find(|(place, _)| {
        u32::try_from(*place).is_ok_and(|place| (f64::from(place) - exponent).abs() < 0.5)
    });
    match digit {
        Some((_, digit)) if is_power => format!("10{digit}"),
        Some(_) | None => format!("{n:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge() -> Judge {
        Judge {
            bounds: Bounds::default(),
            seed: 1,
        }
    }

    /// Five rounds in which a step costs what `cost` says, the rounds a little different.
    fn steps(ns: &[f64], cost: impl Fn(f64, usize) -> f64) -> Vec<Step> {
        let step = |n: &f64| Step {
            n: *n,
            rounds: (0..5).map(|round| cost(*n, round)).collect(),
            operations: 100,
            ..Step::default()
        };
        ns.iter().map(step).collect()
    }

    fn series(steps: Vec<Step>) -> Series {
        Series {
            quantity: "backlog",
            counts: "messages",
            due: 0.0,
            figure: "claim".to_owned(),
            unit: "µs",
            steps,
        }
    }

    const NS: [f64; 4] = [100.0, 1_000.0, 10_000.0, 100_000.0];

    /// Rounds of which one was slow altogether.
    fn shaken(round: usize) -> f64 {
        [1.0, 1.1, 3.0, 0.95, 1.05][round]
    }

    #[test]
    fn cost_that_grows_is_a_violation_and_cost_that_does_not_is_none() {
        let grows = series(steps(&NS, |n, round| (200.0 + n) * shaken(round))).judged(&judge());
        assert_eq!(grows.verdict, Verdict::Violation, "{}", grows.why);
        assert_eq!(grows.verified, None);
        // A machine that shakes all steps of a round alike has grown nothing.
        let flat = series(steps(&NS, |n, round| (200.0 + n.log2()) * shaken(round)));
        let flat = flat.judged(&judge());
        assert_eq!(flat.verdict, Verdict::Valid, "{}", flat.why);
        assert_eq!(flat.verified.as_deref(), Some("flat to 10⁵ messages"));
    }

    #[test]
    fn noise_refusals_and_short_ladders_are_not_known() {
        let jumping = |n: f64, round: usize| {
            if (n > 5_000.0) ^ (round.is_multiple_of(2)) {
                100.0
            } else {
                900.0
            }
        };
        let noisy = series(steps(&NS, jumping)).judged(&judge());
        assert_eq!(noisy.verdict, Verdict::Unknown, "{}", noisy.why);
        let short = series(steps(&NS[..2], |_, _| 100.0)).judged(&judge());
        assert_eq!(short.verdict, Verdict::Unknown, "{}", short.why);
        assert!(
            short.why.starts_with("too few steps for a fit"),
            "{}",
            short.why
        );
        let mut refused = steps(&NS, |_, _| 100.0);
        refused[3].errors = 50;
        let refused = series(refused).judged(&judge());
        assert_eq!(refused.verdict, Verdict::Unknown, "{}", refused.why);
    }

    #[test]
    fn a_ladder_that_ended_early_is_not_valid_and_stays_a_violation() {
        let mut flat = series(steps(&NS, |_, _| 100.0)).judged(&judge());
        ended_at(&mut flat, 1_000_000, "it fell over");
        assert_eq!(flat.verdict, Verdict::Unknown);
        let mut grows = series(steps(&NS, |n, _| n)).judged(&judge());
        ended_at(&mut grows, 1_000_000, "it fell over");
        assert_eq!(grows.verdict, Verdict::Violation);
    }

    const CLIENTS: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];

    #[test]
    fn retrograde_throughput_is_a_violation_and_saturation_is_none() {
        let law = |sigma: f64, kappa: f64| {
            move |n: f64, round: usize| {
                let x = 1_000.0 * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0));
                x / shaken(round)
            }
        };
        let retrograde = throughput("clients", (steps(&CLIENTS, law(0.1, 0.05)), None), &judge());
        assert_eq!(retrograde.verdict, Verdict::Violation, "{}", retrograde.why);
        let saturated = |n: f64, round: usize| (1_000.0 * n).min(3_500.0) / shaken(round);
        let saturated = throughput("clients", (steps(&CLIENTS, saturated), None), &judge());
        assert_eq!(saturated.verdict, Verdict::Valid, "{}", saturated.why);
        // A generator that was late measured itself.
        let late = throughput(
            "clients",
            (steps(&CLIENTS, law(0.1, 0.05)), late(50_000.0)),
            &judge(),
        );
        assert_eq!(late.verdict, Verdict::Unknown, "{}", late.why);
    }

    #[test]
    fn rise_may_begin_with_nothing_and_its_steps_are_told_as_they_are() {
        let of = Rise {
            rule: "scaling/idle",
            quantity: "idle queues",
            figure: "post",
            verified: "no slower".to_owned(),
            most: 2.0,
        };
        for (times, verdict) in [(1.2, Verdict::Valid), (3.0, Verdict::Violation)] {
            let cost = |n: f64, round| shaken(round) * if n > 0.0 { times } else { 1.0 };
            let judged = rise(&of, steps(&[0.0, 10_000.0], cost), 0.0, &judge());
            assert_eq!(judged.verdict, verdict, "{}", judged.why);
            assert_eq!(
                judged
                    .steps
                    .iter()
                    .map(|step| power(step.n))
                    .collect::<Vec<_>>(),
                ["0", "10⁴"]
            );
        }
    }

    #[test]
    fn contention_counts_only_where_the_profile_says_so() {
        let mut strict = judge();
        strict.bounds.sigma_max = Some(0.3);
        let serial = |_: f64, _: usize| 1_000.0;
        let told = throughput("clients", (steps(&CLIENTS, serial), None), &judge());
        assert_ne!(told.verdict, Verdict::Violation, "{}", told.why);
        let held = throughput("clients", (steps(&CLIENTS, serial), None), &strict);
        assert_eq!(held.verdict, Verdict::Violation, "{}", held.why);
    }

    #[test]
    fn figures_are_short_and_powers_are_written_as_such() {
        assert_eq!(power(100_000.0), "10⁵");
        assert_eq!(power(300.0), "300");
        assert_eq!(power(10.0), "10");
        assert_eq!(figure(12.345, "µs"), "12.3 µs");
        assert_eq!(figure(1234.5, "µs"), "1234 µs");
    }
}
