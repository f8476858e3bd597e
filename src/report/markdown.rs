//! A report in a few lines, for a terminal, a mail or a comment.

use std::{fmt::Write as _, path::Path};

use super::{comparison, evaluation::notices, text::visible};
use crate::{compare::Comparison, evaluate::Evaluation, gate::Outcome};

/// Confused pairs and classes that are named.
const MOST: usize = 5;

/// A share below which a threshold keeps nothing worth telling.
const LEAST_KEPT: f64 = 0.01;

/// Foreign text that is no mark-up.
fn plain(text: &str) -> String {
    visible(text).chars().fold(String::new(), |mut out, c| {
        if "\\`*_{}[]<>#|~&".contains(c) {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

pub(super) fn evaluation(evaluation: &Evaluation, page: Option<&Path>) -> String {
    let report = &evaluation.report;
    let mut out = format!("# Evaluation of {}\n\n", plain(&report.predictions.file));
    for top in &report.top {
        let [low, high] = top.interval.map(percent);
        let _ = writeln!(
            out,
            "- top-{} accuracy **{}** ({low} to {high} at 95 %), {} of {} images",
            top.k,
            percent(top.value),
            top.hits,
            report.images
        );
    }
    figures(evaluation, &mut out);
    for notice in notices(report) {
        let _ = writeln!(out, "- note: {}", plain(&notice));
    }
    gate(&report.gate, &mut out);
    if let Some(page) = page {
        let _ = writeln!(out, "\nReport: {}", plain(&page.display().to_string()));
    }
    out
}

fn figures(evaluation: &Evaluation, out: &mut String) {
    let report = &evaluation.report;
    let averages = &report.averages;
    let _ = writeln!(
        out,
        "- balanced accuracy {}, macro F1 {:.3}, MCC {:.3}, calibration error {:.3}",
        percent(averages.balanced_accuracy),
        averages.macro_f1,
        averages.mcc,
        report.calibration.ece
    );
    if let Some(wanted) = report.coverage.wanted.iter().find(|one| one.wanted == 0.95)
        && let Some(point) = wanted.point.filter(|point| point.coverage >= LEAST_KEPT)
    {
        let _ = writeln!(
            out,
            "- to be right in 95 %, keep the {} with a confidence of {:.3} or more",
            percent(point.coverage),
            point.threshold
        );
    }
    let pairs = report.confused.iter().take(MOST).map(|pair| {
        let short = |class: u32| plain(&evaluation.names[&class]);
        let [truth, predicted] = [pair.truth, pair.predicted].map(short);
        format!("{truth} taken for {predicted} ({})", pair.images)
    });
    let pairs: Vec<String> = pairs.collect();
    if !pairs.is_empty() {
        let _ = writeln!(out, "- most confused: {}", pairs.join("; "));
    }
    let likely = report.galleries.label_errors.0;
    if likely > 0 {
        let _ = writeln!(out, "- {likely} likely label errors");
    }
}

fn gate(outcomes: &[Outcome], out: &mut String) {
    for outcome in outcomes {
        let _ = writeln!(out, "- gate {outcome}");
    }
}

pub(super) fn comparison(comparison: &Comparison, page: Option<&Path>) -> String {
    let report = &comparison.report;
    let [a, b] = [&report.a.file, &report.b.file].map(|file| plain(file));
    let mut out = format!("# {a} (A) and {b} (B) compared\n\n{}\n\n", report.verdict);
    let agreement = &report.agreement;
    let _ = writeln!(
        out,
        "- the same answer for {} of {} images, kappa {:.3}; the confidence changed by {:+.2} points on \
         average",
        agreement.same,
        report.images,
        agreement.kappa,
        100.0 * agreement.confidence_change
    );
    let flips = &report.flips;
    if report.truth.is_some() {
        let _ = writeln!(
            out,
            "- {} right to wrong, {} wrong to right, {} wrong to another",
            flips.right_to_wrong, flips.wrong_to_right, flips.wrong_to_other
        );
    }
    for notice in comparison::notices(report) {
        let _ = writeln!(out, "- note: {}", plain(&notice));
    }
    gate(&report.gate, &mut out);
    if let Some(page) = page {
        let _ = writeln!(out, "\nReport: {}", plain(&page.display().to_string()));
    }
    out
}
