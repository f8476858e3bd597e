//! One sentence that claims no more than was measured.

use std::fmt::Write as _;

use super::{Report, Truthful};

/// The verdict of a comparison.
pub(super) fn sentence(report: &Report) -> String {
    if let Some(truth) = &report.truth {
        return by_truth(truth);
    }
    let agreement = &report.agreement;
    format!(
        "The two runs say the same class for {} of {} images ({:.1}\u{a0}%); without a truth nothing says \
         which of them is better.",
        agreement.same,
        report.images,
        100.0 * agreement.value
    )
}

fn by_truth(truth: &Truthful) -> String {
    let top1 = &truth.top1;
    let [low, high] = top1.cautious().map(points);
    let mut text = if top1.differs() {
        let (word, verb) =
            if top1.difference > 0.0 { ("better", "rose") } else { ("worse", "fell") };
        format!(
            "On these {} images the second run is {word}: top-1 accuracy {verb} by {:.2} points, from \
             {:.2}\u{a0}% to {:.2}\u{a0}% (95\u{a0}% interval of the change {low} to {high}; McNemar mid-p {})",
            truth.images,
            100.0 * top1.difference.abs(),
            100.0 * top1.value[0],
            100.0 * top1.value[1],
            p_value(top1.mid_p),
        )
    } else {
        format!(
            "These {} images do not show a difference: top-1 accuracy changed by {} points, from \
             {:.2}\u{a0}% to {:.2}\u{a0}%, and a true change from {low} to {high} fits that as well (McNemar \
             mid-p {})",
            truth.images,
            points(top1.difference),
            100.0 * top1.value[0],
            100.0 * top1.value[1],
            p_value(top1.mid_p),
        )
    };
    let [worse, better] = truth.changed_classes;
    if worse + better > 0 {
        let _ = write!(text, "; {worse} classes got worse and {better} better by more than chance");
    }
    text + "."
}

/// A change of a share in points of a hundred, with its sign.
#[must_use]
pub fn points(share: f64) -> String {
    format!("{:+.2}", 100.0 * share).replace('-', "−")
}

fn p_value(p: f64) -> String {
    if p < 0.0001 { "below 0.0001".to_owned() } else { format!("{p:.4}") }
}
