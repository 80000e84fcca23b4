//! A ladder as a curve: what every round measured, its median, the fit and its interval. Shapes and dashes tell them
//! apart, so that it can be read without colour.

use std::ops::Range;

use plotters::prelude::{
    BLACK, ChartBuilder, Circle, Color, Cross, DashedLineSeries, IntoDrawingArea, IntoFont,
    LineSeries, Polygon, SVGBackend, ShapeStyle, WHITE,
};

use super::judge::power;
use super::outcome::{Outcome, Step};

/// Width and height, in pixels.
const SIZE: (u32, u32) = (640, 320);

/// Points of a fitted curve.
const POINTS: u32 = 60;

/// The scale of both axes.
#[derive(Clone, Copy)]
enum Axes {
    Linear,
    Logarithmic,
}

impl Axes {
    fn of(outcome: &Outcome) -> Self {
        if outcome.rule == "scaling/flat-cost" {
            Self::Logarithmic
        } else {
            Self::Linear
        }
    }

    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.max(f64::MIN_POSITIVE).log10(),
        }
    }

    fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear => place,
            Self::Logarithmic => 10_f64.powf(place),
        }
    }

    fn label(self, place: f64) -> String {
        let value = self.value(place);
        if value >= 100.0 {
            power(value)
        } else {
            format!("{value:.1}")
        }
    }
}

/// The curve of an outcome, as SVG; `None` if there are fewer than two steps with figures, or all are the same.
pub(super) fn svg(outcome: &Outcome) -> Option<String> {
    let steps: Vec<&Step> = outcome
        .steps
        .iter()
        .filter(|step| !step.rounds.is_empty())
        .collect();
    let [first, .., last] = steps.as_slice() else {
        return None;
    };
    if first.n >= last.n {
        return None;
    }
    let axes = Axes::of(outcome);
    let wide = axes.place(first.n)..axes.place(last.n);
    let values = steps
        .iter()
        .flat_map(|step| &step.rounds)
        .map(|value| axes.place(*value));
    let high = range(values, matches!(axes, Axes::Linear))?;
    let mut drawn = String::new();
    draw(&mut drawn, outcome, &steps, (axes, wide, high))
        .expect("invariant: a string takes every shape");
    Some(drawn)
}

/// What holds all values, with some room; from 0 if they are to be compared by their height.
fn range(values: impl Iterator<Item = f64>, from_zero: bool) -> Option<Range<f64>> {
    let values = values.filter(|value| value.is_finite());
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return None;
    }
    let low = if from_zero { low.min(0.0) } else { low };
    let room = ((high - low) * 0.1).max(0.2);
    Some(if from_zero {
        low..high + room
    } else {
        low - room..high + room
    })
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(
    drawn: &mut String,
    outcome: &Outcome,
    steps: &[&Step],
    (axes, wide, high): (Axes, Range<f64>, Range<f64>),
) -> Drawn {
    let root = SVGBackend::with_string(drawn, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(wide.clone(), high.clone())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(outcome.quantity.clone())
        .y_desc(outcome.unit.clone())
        .label_style(("sans-serif", 13).into_font())
        .x_label_formatter(&|place| axes.label(*place))
        .y_label_formatter(&|place| axes.label(*place))
        .draw()?;
    if let Some((estimate, band)) = fitted(outcome, steps, (axes, &wide)) {
        let kept = |point: &(f64, f64)| high.contains(&point.1);
        let clipped = band
            .into_iter()
            .map(|(x, y)| (x, y.clamp(high.start, high.end)));
        let band: Vec<(f64, f64)> = clipped.collect();
        chart.draw_series([Polygon::new(band, BLACK.mix(0.12).filled())])?;
        let estimate = estimate.into_iter().filter(kept);
        chart.draw_series(DashedLineSeries::new(estimate, 6, 4, BLACK.stroke_width(1)))?;
    }
    let at = |step: &Step, value: f64| (axes.place(step.n), axes.place(value));
    let hollow = ShapeStyle::from(&BLACK.mix(0.5));
    let rounds = steps
        .iter()
        .flat_map(|step| step.rounds.iter().map(move |value| at(step, *value)));
    chart.draw_series(rounds.map(|point| Circle::new(point, 3, hollow)))?;
    let medians: Vec<(f64, f64)> = steps.iter().map(|step| at(step, step.value())).collect();
    chart.draw_series(LineSeries::new(medians.clone(), BLACK.stroke_width(2)))?;
    chart.draw_series(
        medians
            .into_iter()
            .map(|point| Cross::new(point, 5, BLACK.stroke_width(2))),
    )?;
    root.present()?;
    Ok(())
}

type Line = Vec<(f64, f64)>;

/// The fitted curve, and the outline of its interval.
fn fitted(
    outcome: &Outcome,
    steps: &[&Step],
    (axes, wide): (Axes, &Range<f64>),
) -> Option<(Line, Line)> {
    let fit = |name: &str| {
        outcome
            .fits
            .iter()
            .find(|(of, _)| of == name)
            .map(|(_, fit)| fit)
    };
    let along = || {
        (0..=POINTS).map(|point| {
            wide.start + (wide.end - wide.start) * f64::from(point) / f64::from(POINTS)
        })
    };
    let curve = |of: &dyn Fn(f64) -> f64| -> Line {
        along()
            .map(|x| (x, axes.place(of(axes.value(x)))))
            .collect()
    };
    let outline = |low: Line, mut high: Line| -> Line {
        high.reverse();
        low.into_iter().chain(high).collect()
    };
    if let Some(exponent) = fit("exponent") {
        // Through the middle of what was measured.
        let middle = axes.value((wide.start + wide.end) / 2.0);
        let nearest = steps.iter().min_by(|one, other| {
            let far = |step: &Step| (step.n.log10() - middle.log10()).abs();
            far(one).total_cmp(&far(other))
        })?;
        let through = |b: f64| move |n: f64| nearest.value() * (n / nearest.n).powf(b);
        let band = outline(
            curve(&through(exponent.low)),
            curve(&through(exponent.high)),
        );
        return Some((curve(&through(exponent.estimate)), band));
    }
    let (lambda, sigma, kappa) = (fit("λ")?, fit("σ")?, fit("κ")?);
    let law = |lambda: f64, sigma: f64, kappa: f64| {
        move |n: f64| lambda * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
    };
    let low = curve(&law(lambda.low, sigma.high, kappa.high));
    let high = curve(&law(lambda.high, sigma.low, kappa.low));
    let estimate = curve(&law(lambda.estimate, sigma.estimate, kappa.estimate));
    Some((estimate, outline(low, high)))
}
