//! The commands that look at saved predictions.

use std::path::Path;

use linnaeus::{
    compare::{self, Comparison},
    error::{Exit, RunError},
    evaluate::{Evaluation, Options},
    job::EvaluateSpec,
    progress::printable,
    report,
    saved_run::Given,
};

use super::print;
use crate::cli::{Compare, Evaluate};

pub(super) fn evaluate(flags: Evaluate) -> Result<Exit, RunError> {
    let (predictions, spec, given) = flags.into_spec();
    evaluate_file(&predictions, spec, given)
}

/// Evaluates a predictions file, writes the report and prints the summary.
pub(super) fn evaluate_file(
    predictions: &Path,
    spec: EvaluateSpec,
    given: Given,
) -> Result<Exit, RunError> {
    let page = spec.report.clone();
    let evaluation = Evaluation::new(predictions, &Options::resolve(spec, given)?)?;
    if let Some(page) = &page {
        report::write_evaluation(&evaluation, page)?;
    }
    print(&printable(&report::evaluation_summary(&evaluation, page.as_deref())))?;
    Ok(if evaluation.passes() { Exit::Complete } else { Exit::Gate })
}

pub(super) fn compare(flags: Compare) -> Result<Exit, RunError> {
    let ([a, b], spec, given) = flags.into_spec();
    let page = spec.report.clone();
    let options = compare::Options::resolve(spec, given)?;
    let comparison = Comparison::new([&a, &b], &options)?;
    if let Some(page) = &page {
        report::write_comparison(&comparison, page)?;
    }
    print(&printable(&report::comparison_summary(&comparison, page.as_deref())))?;
    Ok(if comparison.passes() { Exit::Complete } else { Exit::Gate })
}
