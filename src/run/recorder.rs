//! The end of the pipeline: ranks each batch, writes its rows, counts them.

use std::{ops::ControlFlow, time::SystemTime};

use crate::{
    detect,
    error::{Exit, ItemError, RunError},
    interrupt::Stop,
    job::MaxErrors,
    journal::{Checkpoint, Due, Journal},
    list::Totals,
    manifest::{ActivationRecord, Attempt, Scaled},
    output::{Output, Previous, Written, encode_name},
    pipeline::{Batch, Outcome},
    progress::Counts,
    rank,
    recipe::{Activation, Temperature},
    telling::Log,
};

use super::{Run, begin::Begun};

/// Failed images that the summary names.
const EXAMPLES: usize = 3;

pub(super) struct Recorder {
    output: Output,
    records: Option<(Journal, Checkpoint)>,
    due: Due,
    previous: Option<Previous>,
    totals: Totals,
    top_k: usize,
    classes: usize,
    max_errors: Option<MaxErrors>,
    allow_empty: bool,
    log: Log,
    counts: Counts,
    /// Images with a row when the run began.
    before: u64,
    /// Rows taken over from the last complete run, in this run.
    kept: u64,
    activation: Option<(Activation, ActivationRecord)>,
    /// Who says the activation, as long as the first batch has not confirmed it; a person needs no
    /// confirmation.
    unconfirmed: Option<String>,
    temperature: Option<Temperature>,
    /// What the temperature divides, once the first batch has shown it.
    scaled: Option<Scaled>,
    examples: Vec<String>,
    too_many: bool,
}

/// What was recorded in the end.
pub(super) struct Recorded {
    pub(super) written: Written,
    pub(super) counts: Counts,
    /// Images that were read in this run.
    pub(super) read: u64,
    pub(super) totals: Totals,
    pub(super) activation: Option<ActivationRecord>,
    /// The first failed images, as `path: message`.
    pub(super) examples: Vec<String>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) exit: Exit,
    /// To be cleared up behind a complete output, once everything about it is written.
    pub(super) journal: Option<Journal>,
}

impl Recorder {
    pub(super) fn new(begun: Begun, top_k: usize, run: &Run, log: Log) -> Self {
        let Begun { output, list, records, previous, .. } = begun;
        let said = run.classifier.recipe.activation;
        let sayer = run.classifier.evidence.get("activation").cloned();
        let because = sayer.clone().unwrap_or_default();
        let said = said.map(|said| (said, ActivationRecord::new(said, &because)));
        let mut counts = Counts::default();
        let (mut examples, mut found) = (Vec::new(), None);
        if let Some((_, checkpoint)) = &records {
            counts.ok = checkpoint.counts.get("ok").copied().unwrap_or(0);
            counts.failed = checkpoint.failed();
            examples.clone_from(&checkpoint.examples);
            let parsed = |record: &ActivationRecord| record.applied.parse().ok();
            found = checkpoint.activation.as_ref().and_then(|r| Some((parsed(r)?, r.clone())));
        }
        Self {
            due: Due::after(output.rows()),
            output,
            records,
            previous,
            totals: list.totals,
            top_k,
            classes: run.classifier.classes,
            max_errors: run.config.max_errors,
            allow_empty: run.config.allow_empty,
            log,
            before: counts.rows(),
            kept: 0,
            counts,
            activation: said.or(found),
            temperature: run.classifier.recipe.temperature,
            scaled: None,
            unconfirmed: sayer.filter(|sayer| !detect::is_persons(sayer)),
            examples,
            too_many: false,
        }
    }

    /// Writes the rows of `batch`; breaks when more images have failed than may.
    ///
    /// # Errors
    ///
    /// `Output` when they cannot be written, `Model` when the scores cannot be understood.
    pub(super) fn record<T>(&mut self, batch: &Batch<T>) -> Result<ControlFlow<()>, RunError> {
        for (source, outcome) in batch.rows() {
            match outcome {
                Outcome::Scores(scores) => match rank::check(scores) {
                    Ok(()) => {
                        let activation = self.activation(batch.scores())?;
                        let ranked = rank::top_k(scores, activation, self.temperature, self.top_k);
                        let ranked = ranked.expect("scores that were just checked");
                        self.output.write(&source.name, Ok(&ranked))?;
                        self.counts.ok += 1;
                    }
                    // A row without a ranking says nothing about the others' activation.
                    Err(error) => self.failed(&source.name, &error)?,
                },
                Outcome::Failed(error) => self.failed(&source.name, error)?,
                Outcome::Kept(row) => self.keep(row)?,
            }
            if self.too_many {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.output.flush()?;
        if self.due.is_due(self.output.rows()) {
            self.save(None)?;
        }
        self.log.progress(&self.counts);
        Ok(ControlFlow::Continue(()))
    }

    /// Writes a row of the last complete run again.
    fn keep(&mut self, row: u64) -> Result<(), RunError> {
        let gone = |reason: String| {
            RunError::Mismatch(format!(
                "row {row} of the last complete output cannot be read: {reason}\nhint: was it \
                 changed meanwhile? `--restart` classifies everything again"
            ))
        };
        let previous = self.previous.as_mut().ok_or_else(|| gone("it is not open".to_owned()))?;
        let row = previous.row(row).map_err(|error| gone(error.to_string()))?;
        self.output.write_again(row)?;
        self.counts.ok += 1;
        self.kept += 1;
        Ok(())
    }

    /// Makes what was written safe, and with `exit` the last state of this run.
    fn save(&mut self, exit: Option<Exit>) -> Result<(), RunError> {
        let Some((journal, checkpoint)) = &mut self.records else { return Ok(()) };
        checkpoint.set_mark(self.output.mark()?);
        let failed = self.counts.failed.iter().map(|(&code, &count)| (code.to_owned(), count));
        checkpoint.counts = failed.chain([("ok".to_owned(), self.counts.ok)]).collect();
        checkpoint.examples.clone_from(&self.examples);
        let scaled = &self.scaled;
        checkpoint.activation = self.activation.as_ref().map(|(_, record)| ActivationRecord {
            temperature: scaled.clone().or(record.temperature.clone()),
            ..record.clone()
        });
        if let (Some(exit), Some(attempt)) = (exit, checkpoint.attempts.last_mut()) {
            attempt.ended = Some(humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
            attempt.to = Some(checkpoint.rows);
            attempt.exit = Some(exit.code());
        }
        journal.save(checkpoint)?;
        self.log.checkpoint(checkpoint.rows, checkpoint.bytes);
        self.due = Due::after(self.output.rows());
        Ok(())
    }

    fn failed(&mut self, name: &[u8], error: &ItemError) -> Result<(), RunError> {
        self.output.write(name, Err(error))?;
        self.log.image_error(name, error);
        *self.counts.failed.entry(error.code()).or_default() += 1;
        if self.examples.len() < EXAMPLES {
            // Control characters in a name must not reach the terminal.
            let name: String = encode_name(name).chars().flat_map(char::escape_debug).collect();
            self.examples.push(format!("{name}: {error}"));
        }
        let errors = self.counts.errors();
        self.too_many = self.max_errors.is_some_and(|most| most.exceeded(errors, self.totals.rows));
        Ok(())
    }

    /// What is applied to scores: as the recipe says, or as the first batch shows.
    fn activation(&mut self, scores: &[f32]) -> Result<Activation, RunError> {
        let activation = self.detected(scores)?;
        if let (Some(value), None) = (self.temperature, &self.scaled) {
            let of = rank::scaled(activation, scores, self.classes).map_err(RunError::Model)?;
            self.log.note(&format!("{of} are divided by the temperature {value}"));
            self.scaled = Some(Scaled { value, of: of.to_owned() });
        }
        Ok(activation)
    }

    fn detected(&mut self, scores: &[f32]) -> Result<Activation, RunError> {
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
        self.log.note(&format!(
            "{what}: {} (say `activation` under `[recipe]` to decide it yourself)",
            found.because
        ));
        let record = ActivationRecord::new(found.activation, found.because);
        self.activation = Some((found.activation, record));
        Ok(found.activation)
    }

    /// Keeps what was done, as far as that is possible, when the run fails with `error`.
    pub(super) fn abandon(&mut self, error: &RunError) {
        // The error of the run is the one to tell.
        let _ = match &self.records {
            // What is wrong showed before anything was worth keeping.
            Some((journal, _)) if self.output.rows() == 0 => journal.discard(),
            _ if matches!(error, RunError::Output { .. }) => Ok(()),
            _ => self.save(Some(error.exit())),
        };
    }

    /// How the run ends.
    fn exit(&self, stop: &Stop) -> Exit {
        if self.too_many {
            return Exit::TooManyErrors;
        }
        if self.counts.rows() < self.totals.rows {
            // Nothing else cuts a run short without an error.
            return stop.requested().unwrap_or(Exit::Budget);
        }
        match (self.totals.rows, self.counts.errors()) {
            (0, _) if !self.allow_empty => Exit::Empty,
            (_, 0) => Exit::Complete,
            _ => Exit::SomeFailed,
        }
    }

    /// Publishes the output when every image has its row, leaves it to be gone on with when the run
    /// ended early, and leaves the old one as it is when there was no image.
    ///
    /// # Errors
    ///
    /// `Output` when the rows cannot be written out.
    pub(super) fn close(mut self, stop: &Stop) -> Result<Recorded, RunError> {
        let exit = self.exit(stop);
        self.counts.skipped = self.totals.skipped;
        if exit != Exit::Empty {
            self.save(Some(exit))?;
        }
        let (journal, checkpoint) = self.records.unzip();
        let written = match exit {
            Exit::Complete | Exit::SomeFailed => self.output.publish()?,
            // A folder that was not mounted must not replace last night's rows by none.
            Exit::Empty => {
                let written = self.output.discard()?;
                journal.as_ref().map_or(Ok(()), Journal::discard)?;
                written
            }
            _ => self.output.leave_partial()?,
        };
        Ok(Recorded {
            written,
            read: self.counts.rows() - self.before - self.kept,
            counts: self.counts,
            totals: self.totals,
            activation: self.activation.map(|(_, record)| ActivationRecord {
                temperature: self.scaled.or(record.temperature),
                ..record
            }),
            examples: self.examples,
            attempts: checkpoint.map_or_else(Vec::new, |checkpoint| checkpoint.attempts),
            exit,
            journal: journal.filter(|_| matches!(exit, Exit::Complete | Exit::SomeFailed)),
        })
    }
}
