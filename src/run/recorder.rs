//! The end of the pipeline: ranks each batch, writes its rows, counts them.

use std::ops::ControlFlow;

use crate::{
    detect,
    error::{Exit, ItemError, RunError},
    interrupt::Stop,
    job::MaxErrors,
    manifest::ActivationRecord,
    output::{Output, Written, encode_name},
    pipeline::Batch,
    progress::{Counts, Progress},
    rank,
    recipe::Activation,
};

use super::Run;

/// Failed images that the summary names.
const EXAMPLES: usize = 3;

pub(super) struct Recorder {
    output: Output,
    top_k: usize,
    classes: usize,
    max_errors: Option<MaxErrors>,
    progress: Progress,
    counts: Counts,
    activation: Option<(Activation, ActivationRecord)>,
    /// Who says the activation, as long as the first batch has not confirmed it; a person needs no
    /// confirmation.
    unconfirmed: Option<String>,
    examples: Vec<String>,
    too_many: bool,
}

/// What was recorded in the end.
pub(super) struct Recorded {
    pub(super) written: Written,
    pub(super) counts: Counts,
    pub(super) activation: Option<ActivationRecord>,
    /// The first failed images, as `path: message`.
    pub(super) examples: Vec<String>,
    pub(super) exit: Exit,
}

impl Recorder {
    pub(super) fn new(output: Output, top_k: usize, run: &Run, progress: Progress) -> Self {
        let said = run.classifier.recipe.activation;
        let sayer = run.classifier.evidence.get("activation").cloned();
        let because = sayer.clone().unwrap_or_default();
        Self {
            output,
            top_k,
            classes: run.classifier.classes,
            max_errors: run.config.max_errors,
            progress,
            counts: Counts::default(),
            activation: said.map(|said| (said, ActivationRecord::new(said, &because))),
            unconfirmed: sayer.filter(|sayer| !detect::is_persons(sayer)),
            examples: Vec::new(),
            too_many: false,
        }
    }

    /// Writes the rows of `batch`; breaks when more images have failed than may.
    ///
    /// # Errors
    ///
    /// `Output` when they cannot be written, `Model` when the scores cannot be understood.
    pub(super) fn record<T>(&mut self, batch: &Batch<T>) -> Result<ControlFlow<()>, RunError> {
        for (counted, skipped) in self.counts.skipped.iter_mut().zip(batch.skipped()) {
            *counted += skipped;
        }
        for (source, outcome) in batch.rows() {
            match outcome.map(|scores| (scores, rank::check(scores))) {
                Ok((scores, Ok(()))) => {
                    let activation = self.activation(batch.scores())?;
                    let ranked = rank::top_k(scores, activation, self.top_k);
                    let ranked = ranked.expect("scores that were just checked");
                    self.output.write(&source.name, Ok(&ranked))?;
                    self.counts.ok += 1;
                }
                // A row without a ranking says nothing about the others' activation.
                Ok((_, Err(error))) => self.failed(&source.name, &error)?,
                Err(error) => self.failed(&source.name, error)?,
            }
            if self.too_many {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.output.flush()?;
        self.progress.update(&self.counts);
        Ok(ControlFlow::Continue(()))
    }

    fn failed(&mut self, name: &[u8], error: &ItemError) -> Result<(), RunError> {
        self.output.write(name, Err(error))?;
        *self.counts.failed.entry(error.code()).or_default() += 1;
        if self.examples.len() < EXAMPLES {
            // Control characters in a name must not reach the terminal.
            let name: String = encode_name(name).chars().flat_map(char::escape_debug).collect();
            self.examples.push(format!("{name}: {error}"));
        }
        self.too_many =
            self.max_errors.is_some_and(|most| most.exceeded(self.counts.errors(), u64::MAX));
        Ok(())
    }

    /// What is applied to scores: as the recipe says, or as the first batch shows.
    fn activation(&mut self, scores: &[f32]) -> Result<Activation, RunError> {
        if let Some((activation, _)) = self.activation {
            if let Some(sayer) = self.unconfirmed.take() {
                rank::confirm(activation, &sayer, scores, self.classes).map_err(RunError::Model)?;
            }
            return Ok(activation);
        }
        let found = rank::detect(scores, self.classes).map_err(RunError::Model)?;
        let what = match found.activation {
            Activation::None => "scores are written as they are".to_owned(),
            other => format!("{other} is applied to the scores"),
        };
        self.progress.note(&format!(
            "{what}: {} (say `activation` under `[recipe]` to decide it yourself)",
            found.because
        ));
        let record = ActivationRecord::new(found.activation, found.because);
        self.activation = Some((found.activation, record));
        Ok(found.activation)
    }

    pub(super) fn finish_progress(&self) {
        self.progress.finish();
    }

    /// Publishes the output when every image has its row, leaves it partial when the run ended
    /// early, and leaves the old one as it is when there was no image.
    ///
    /// # Errors
    ///
    /// `Output` when the rows cannot be written out.
    pub(super) fn close(self, stop: &Stop) -> Result<Recorded, RunError> {
        let early = stop.requested().or(self.too_many.then_some(Exit::TooManyErrors));
        let exit = early.unwrap_or(match (self.counts.rows(), self.counts.errors()) {
            (0, _) => Exit::Empty,
            (_, 0) => Exit::Complete,
            _ => Exit::SomeFailed,
        });
        let written = match exit {
            Exit::Complete | Exit::SomeFailed => self.output.publish()?,
            // A folder that was not mounted must not replace last night's rows by none.
            Exit::Empty => self.output.discard()?,
            _ => self.output.leave_partial()?,
        };
        Ok(Recorded {
            written,
            counts: self.counts,
            activation: self.activation.map(|(_, record)| record),
            examples: self.examples,
            exit,
        })
    }
}
