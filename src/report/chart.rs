//! Charts as SVG, without a script. Colours are classes of the style sheet.

use std::fmt::Write as _;

use super::text::escaped;
use crate::metrics::{Calibration, Coverage};

/// The drawing, and the plane inside it.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 14.0;
const RIGHT: f64 = 26.0;
const BOTTOM: f64 = 44.0;

/// Bins of the histogram of confidences.
const BINS: usize = 20;
/// Images below which a bin's accuracy says little.
const FEW: u64 = 10;
/// Most corners of a line.
const MOST_CORNERS: usize = 300;

/// A plane from 0 to 1 across, and from `low` to `high` upwards.
struct Plane {
    low: f64,
    high: f64,
    body: String,
}

impl Plane {
    fn new(low: f64, high: f64) -> Self {
        Self { low, high, body: String::new() }
    }

    fn x(value: f64) -> f64 {
        LEFT + value * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.write_fmt(element).expect("writing to a string");
    }

    fn bar(&mut self, [from, to]: [f64; 2], [low, high]: [f64; 2], (class, title): (&str, &str)) {
        let (x, y) = (Self::x(from) + 0.75, self.y(high));
        let (width, height) = (Self::x(to) - Self::x(from) - 1.5, self.y(low) - self.y(high));
        if height > 0.0 {
            let title = escaped(title);
            self.put(format_args!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
                 height=\"{height:.1}\"><title>{title}</title></rect>"
            ));
        }
    }

    fn line(&mut self, class: &str, corners: impl IntoIterator<Item = [f64; 2]>) {
        let mut points = String::new();
        for [x, y] in corners {
            let _ = write!(points, "{:.1},{:.1} ", Self::x(x), self.y(y));
        }
        self.put(format_args!("<polyline class=\"{class}\" points=\"{}\"/>", points.trim_end()));
    }

    /// Five ticks on each axis, with a grid for the upward one.
    fn finish(
        self,
        title: &str,
        [across, upwards]: [&str; 2],
        tick: &dyn Fn(f64) -> String,
    ) -> String {
        let mut frame = String::new();
        let bottom = HEIGHT - BOTTOM;
        for nth in 0..=4 {
            let share = f64::from(nth) / 4.0;
            let (x, value) = (Self::x(share), self.low + share * (self.high - self.low));
            let y = self.y(value);
            let right = WIDTH - RIGHT;
            let _ = write!(
                frame,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text class=\"tick end\" x=\"{}\" \
                 y=\"{:.1}\">{}</text><text class=\"tick middle\" x=\"{x:.1}\" y=\"{}\">{:.0} %</text>",
                LEFT - 6.0,
                y + 4.0,
                escaped(&tick(value)),
                bottom + 16.0,
                100.0 * share,
            );
        }
        let (middle, centre) = (f64::midpoint(LEFT, WIDTH - RIGHT), f64::midpoint(TOP, bottom));
        format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\
             {frame}{}<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{}\"/>\
             <text class=\"name middle\" x=\"{middle}\" y=\"{}\">{}</text>\
             <text class=\"name middle\" transform=\"translate(13 {centre}) rotate(-90)\">{}</text></svg>",
            escaped(title),
            self.body,
            WIDTH - RIGHT,
            HEIGHT - 6.0,
            escaped(across),
            escaped(upwards),
        )
    }
}

fn percent(value: f64) -> String {
    format!("{:.0} %", 100.0 * value)
}

/// Accuracy of each bin of confidence, beside what it should be.
pub(super) fn reliability(calibration: &Calibration) -> String {
    let mut plane = Plane::new(0.0, 1.0);
    for bin in calibration.bins.iter().filter(|bin| bin.images > 0) {
        let title = format!(
            "confidence {:.3} on average, {} of {} right ({:.1} %)",
            bin.confidence,
            bin.right,
            bin.images,
            100.0 * bin.accuracy
        );
        let across = [bin.low, bin.high];
        let class = if bin.images < FEW { "right few" } else { "right" };
        plane.bar(across, [0.0, bin.accuracy], (class, &title));
        let [from, to] = across;
        plane.line("expected", [[from + 0.004, bin.confidence], [to - 0.004, bin.confidence]]);
    }
    plane.line("ideal", [[0.0, 0.0], [1.0, 1.0]]);
    let title = format!(
        "Reliability diagram: accuracy by confidence in {} bins; expected calibration error {:.4}",
        calibration.bins.len(),
        calibration.ece
    );
    plane.finish(&title, ["confidence", "accuracy"], &percent)
}

/// How many images have which confidence, right and wrong.
pub(super) fn confidences(pairs: &[(f64, bool)]) -> String {
    let mut counts = [[0u64; 2]; BINS];
    for &(confidence, right) in pairs {
        counts[bin_of(confidence)][usize::from(!right)] += 1;
    }
    let top = round_top(counts.iter().map(|[right, wrong]| right + wrong).max().unwrap_or(0));
    let mut plane = Plane::new(0.0, top as f64);
    for (at, [right, wrong]) in counts.into_iter().enumerate() {
        let across = [at, at + 1].map(|at| at as f64 / BINS as f64);
        let title = format!(
            "confidence {:.2} to {:.2}: {right} right, {wrong} wrong",
            across[0], across[1]
        );
        plane.bar(across, [0.0, wrong as f64], ("wrong", &title));
        plane.bar(across, [wrong as f64, (wrong + right) as f64], ("right", &title));
    }
    let title = "Histogram of the confidence: wrong answers below, right ones above";
    plane.finish(title, ["confidence", "images"], &|value| format!("{value:.0}"))
}

/// How many images have which confidence in two runs: the first as a line, the second as bars.
pub(super) fn both_confidences(pairs: &[[f64; 2]]) -> String {
    let mut counts = [[0u64; 2]; BINS];
    for pair in pairs {
        for (run, confidence) in pair.iter().enumerate() {
            counts[bin_of(*confidence)][run] += 1;
        }
    }
    let top = round_top(counts.iter().flatten().copied().max().unwrap_or(0));
    let mut plane = Plane::new(0.0, top as f64);
    let edge = |at: usize| at as f64 / BINS as f64;
    for (at, [a, b]) in counts.into_iter().enumerate() {
        let title = format!("confidence {:.2} to {:.2}: A {a}, B {b}", edge(at), edge(at + 1));
        plane.bar([edge(at), edge(at + 1)], [0.0, b as f64], ("second", &title));
    }
    let steps = counts.iter().enumerate();
    let steps = steps.flat_map(|(at, [a, _])| [[edge(at), *a as f64], [edge(at + 1), *a as f64]]);
    plane.line("expected", steps.collect::<Vec<_>>());
    let title = "Histogram of the confidence of both runs: the first as a line, the second as bars";
    plane.finish(title, ["confidence", "images"], &|value| format!("{value:.0}"))
}

fn bin_of(confidence: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let at = (confidence * BINS as f64) as usize;
    at.min(BINS - 1)
}

/// The next number above whose quarters are whole and short.
fn round_top(highest: u64) -> u64 {
    let highest = highest.max(4);
    let step = 10u64.pow(highest.ilog10().saturating_sub(1)) * 4;
    highest.div_ceil(step) * step
}

/// Accuracy of the surest answers, by the share that is kept.
pub(super) fn coverage(coverage: &Coverage) -> String {
    let points = &coverage.points;
    let stride = points.len().div_ceil(MOST_CORNERS).max(1);
    // The surest few say nothing yet; their jumps would only hide the rest.
    let worth = |at: usize| points[at].coverage >= 0.02 || at + 1 == points.len();
    let mut corners: Vec<_> = (0..points.len()).step_by(stride).filter(|&at| worth(at)).collect();
    corners.extend(points.len().checked_sub(1));
    let lowest = corners.iter().map(|&at| points[at].interval[0]).fold(1.0, f64::min);
    let low = [0.9, 0.8, 0.6, 0.4, 0.2].into_iter().find(|low| *low <= lowest).unwrap_or(0.0);
    let mut plane = Plane::new(low, 1.0);
    let side = |end: usize| {
        let point = |&at: &usize| [points[at].coverage, points[at].interval[end].max(low)];
        corners.iter().map(point).collect::<Vec<_>>()
    };
    let band = side(0).into_iter().chain(side(1).into_iter().rev());
    plane.line("band", band);
    plane.line("curve", corners.iter().map(|&at| [points[at].coverage, points[at].accuracy]));
    let title =
        "Accuracy of the surest answers by the share of images that is kept, with 95 % intervals";
    let tick = |value: f64| {
        if low >= 0.8 { format!("{:.1} %", 100.0 * value) } else { percent(value) }
    };
    plane.finish(title, ["share of images kept", "accuracy"], &tick)
}
