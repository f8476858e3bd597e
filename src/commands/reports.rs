//! The commands that look at saved predictions.

use std::path::{Path, PathBuf};

use linnaeus::{
    compare::{self, Comparison},
    config::{Config, Target},
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
    let evaluation = evaluation(&predictions, spec, given)?;
    print(&summary(&evaluation))?;
    Ok(if evaluation.0.passes() { Exit::Complete } else { Exit::Gate })
}

/// The evaluation of a run's output, when the job asks for one.
pub(super) struct AfterRun {
    predictions: PathBuf,
    spec: EvaluateSpec,
    given: Given,
    quiet: bool,
}

impl AfterRun {
    /// Checks what can be checked before the run.
    pub(super) fn new(mut spec: EvaluateSpec, config: &Config) -> Result<Option<Self>, RunError> {
        if spec == EvaluateSpec::default() {
            return Ok(None);
        }
        let Target::File(predictions) = config.target.clone() else {
            return Err(RunError::Usage(
                "`[evaluate]` reads the output again, and it goes to standard output\nhint: name a \
                 file as `output`"
                    .to_owned(),
            ));
        };
        spec.report.get_or_insert_with(|| predictions.with_extension("report.html"));
        let given = Given { manifest: config.manifest.clone(), ..Given::default() };
        Options::resolve(spec.clone(), given.clone())?.check()?;
        Ok(Some(Self { predictions, spec, given, quiet: config.quiet }))
    }

    /// Evaluates what a run wrote.
    pub(super) fn evaluate(self) -> Result<Evaluated, RunError> {
        let evaluation = evaluation(&self.predictions, self.spec, self.given)?;
        let failed = evaluation.0.report.gate.iter().filter(|outcome| !outcome.holds);
        let failed: Vec<_> = failed.map(|outcome| format!("gate {outcome}")).collect();
        let failed = (!failed.is_empty()).then(|| printable(&failed.join("; ")).into_owned());
        let text = (!self.quiet || failed.is_some()).then(|| summary(&evaluation));
        Ok(Evaluated { text, failed })
    }
}

/// What came of it.
pub(super) struct Evaluated {
    /// For a person, if there is anything to tell.
    pub(super) text: Option<String>,
    /// The conditions of the gate that do not hold.
    pub(super) failed: Option<String>,
}

/// Evaluates a predictions file and writes its report, whose page is given with it.
fn evaluation(
    predictions: &Path,
    spec: EvaluateSpec,
    given: Given,
) -> Result<(Evaluation, Option<PathBuf>), RunError> {
    let page = spec.report.clone();
    let evaluation = Evaluation::new(predictions, &Options::resolve(spec, given)?)?;
    if let Some(page) = &page {
        report::write_evaluation(&evaluation, page)?;
    }
    Ok((evaluation, page))
}

fn summary((evaluation, page): &(Evaluation, Option<PathBuf>)) -> String {
    printable(&report::evaluation_summary(evaluation, page.as_deref())).into_owned()
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
