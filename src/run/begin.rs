//! Where a run begins: at the first row, or where an earlier run ended.

use std::{collections::BTreeSet, time::SystemTime};

use super::Run;
use crate::{
    error::{Exit, RunError},
    interrupt::Stop,
    job::Incremental,
    journal::{Checkpoint, Fingerprint, Journal, Unfinished},
    list::{self, Freezing, List},
    manifest::Attempt,
    output::{Destination, Output, Previous, Table},
    timing::{Stage, Timing},
};

/// Everything that rows are written to and read from.
pub(super) struct Begun {
    pub(super) output: Output,
    pub(super) list: List,
    /// Of an output that can be gone on with.
    pub(super) records: Option<(Journal, Checkpoint)>,
    /// Rows of the last complete run.
    pub(super) previous: Option<Previous>,
    /// Entries that were being read when the program died.
    pub(super) suspects: BTreeSet<u64>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

impl Run {
    /// Takes the lock, and goes on with what an earlier run left or lists everything anew.
    ///
    /// # Errors
    ///
    /// `Stopped` when that is asked for meanwhile; `Locked`, `Mismatch`, `Input` and `Output`.
    pub(super) fn begin(
        &self,
        table: Table,
        stop: &Stop,
        timing: &Timing,
    ) -> Result<Begun, RunError> {
        let destination = Destination::of(&self.config.target)?;
        let Destination::File(place) = &destination else {
            let list = timing.measure(Stage::Walk, || self.freeze(None, None, stop))?;
            let output = Output::create(&destination, table)?;
            let (records, previous, suspects) = (None, None, BTreeSet::new());
            let notes = Vec::new();
            return Ok(Begun { output, list, records, previous, suspects, notes });
        };
        let journal = Journal::lock(place.clone())?;
        let mut notes = Vec::new();
        if !journal.is_locked() {
            notes.push(format!(
                "the file system of {} has no locks: take care that no second run writes it",
                place.named.display()
            ));
        }
        if self.config.restart {
            journal.discard()?;
        }
        if let Some(unfinished) = journal.unfinished()? {
            match self.why_not(&unfinished)? {
                None => return self.go_on(journal, unfinished, table, notes),
                Some(reason) => notes.push(reason),
            }
            journal.discard()?;
        }
        self.begin_anew((journal, notes), &destination, table, (stop, timing))
    }

    /// Why an unfinished run is thrown away rather than gone on with.
    fn why_not(&self, unfinished: &Unfinished) -> Result<Option<String>, RunError> {
        let checkpoint = &unfinished.checkpoint;
        let changes = checkpoint.fingerprint.changes(&self.fingerprint());
        let errors: u64 = checkpoint.failed().values().sum();
        let too_many = self.config.max_errors.is_some_and(|m| m.exceeded(errors, checkpoint.total));
        let gave_up = checkpoint.attempts.last().and_then(|last| last.exit);
        if too_many || (!changes.is_empty() && gave_up == Some(Exit::TooManyErrors.code())) {
            let reason = "the last run stopped because too many images had failed: starting over";
            return Ok(Some(reason.to_owned()));
        }
        if changes.is_empty() {
            return Ok(None);
        }
        if checkpoint.rows == 0 {
            return Ok(Some("the last run came to no row: starting over".to_owned()));
        }
        Err(RunError::Mismatch(format!(
            "an earlier run of this output did not end, and this one would make other rows:\n  \
             {}\nhint: `--restart` throws away its {} rows and starts over; or change it back to go \
             on",
            changes.join("\n  "),
            checkpoint.rows
        )))
    }

    fn go_on(
        &self,
        journal: Journal,
        unfinished: Unfinished,
        table: Table,
        mut notes: Vec<String>,
    ) -> Result<Begun, RunError> {
        let Unfinished { mut checkpoint, list, suspects } = unfinished;
        let output = journal.reopen(&checkpoint, table)?;
        let begun = checkpoint.attempts.first().map_or("earlier", |first| &first.started);
        notes.push(format!(
            "going on with the run that began {begun}: {} of {} rows are done (files that came \
             since belong to the next run)",
            checkpoint.rows, checkpoint.total
        ));
        if !suspects.is_empty() && self.config.patience.program.is_some() {
            notes.push(format!(
                "images being read when the program died: {}; each is tried in a child process first",
                suspects.len()
            ));
        }
        let previous = match &checkpoint.base {
            Some(base) if checkpoint.rows < checkpoint.total => {
                let target = &journal.place().target;
                if !base.is_of(target).unwrap_or(false) {
                    return Err(RunError::Mismatch(format!(
                        "cannot go on: {} is not the output any more whose rows were to be used \
                         again\nhint: `--restart` starts over",
                        target.display()
                    )));
                }
                Some(self.previous(target)?)
            }
            _ => None,
        };
        start_attempt(&journal, &mut checkpoint)?;
        let records = Some((journal, checkpoint));
        Ok(Begun { output, list, records, previous, suspects, notes })
    }

    fn begin_anew(
        &self,
        (journal, mut notes): (Journal, Vec<String>),
        destination: &Destination,
        table: Table,
        (stop, timing): (&Stop, &Timing),
    ) -> Result<Begun, RunError> {
        let fingerprint = self.fingerprint();
        let incremental = self.config.incremental != Incremental::No;
        let base = if incremental && !self.config.restart {
            match journal.last_complete(&fingerprint, self.config.format) {
                Ok(base) => Some(base),
                Err(reason) => {
                    notes.extend(reason);
                    None
                }
            }
        } else {
            None
        };
        let (base, mark) = base.unzip();
        let list = timing.measure(Stage::Walk, || self.freeze(base, Some(&journal), stop))?;
        if incremental {
            let list::Totals { rows, kept, gone, .. } = list.totals;
            notes.push(format!(
                "{kept} rows of the last run stand, {} to classify, {gone} gone",
                rows - kept
            ));
        }
        let previous = match &mark {
            Some(_) => Some(self.previous(&journal.place().target)?),
            None => None,
        };
        let mut output = Output::create(destination, table)?;
        let mut checkpoint = Checkpoint::new(fingerprint, &list.sha256, list.totals.rows);
        checkpoint.base = mark;
        checkpoint.set_mark(output.mark()?);
        start_attempt(&journal, &mut checkpoint)?;
        let (records, suspects) = (Some((journal, checkpoint)), BTreeSet::new());
        Ok(Begun { output, list, records, previous, suspects, notes })
    }

    fn freeze(
        &self,
        base: Option<list::Base>,
        journal: Option<&Journal>,
        stop: &Stop,
    ) -> Result<List, RunError> {
        let how = Freezing {
            by: self.config.incremental,
            follow: self.config.walk.follow_symlinks,
            deleted: self.config.deleted,
            stopped: &|| stop.requested().is_some(),
        };
        let list = list::freeze(self.walk()?, base, &how, journal.map(Journal::list_path))?;
        let stopped = || RunError::Stopped(stop.requested().unwrap_or(Exit::Interrupted));
        list.ok_or_else(stopped)
    }

    fn previous(&self, target: &std::path::Path) -> Result<Previous, RunError> {
        Previous::open(target, self.config.format).map_err(|error| {
            RunError::Mismatch(format!(
                "cannot read the rows of the last run in {}: {error}\nhint: `--restart` classifies \
                 everything again",
                target.display()
            ))
        })
    }

    /// What decides the rows.
    fn fingerprint(&self) -> Fingerprint {
        let Self { config, classifier } = self;
        let walk = &config.walk;
        let recipe = serde_json::to_value(&classifier.recipe).expect("a recipe is JSON");
        let mut of = Fingerprint::default();
        of.add("version", env!("CARGO_PKG_VERSION"));
        of.add("inputs", format!("{:?}", config.inputs));
        of.add("include", walk.include.to_string());
        of.add("exclude", walk.exclude.to_string());
        of.add("hidden", walk.hidden.to_string());
        of.add("follow-symlinks", walk.follow_symlinks.to_string());
        of.add("every-file", walk.every_file.to_string());
        of.add("min-age", format!("{:?}", walk.min_age));
        of.add("incremental", config.incremental.to_string());
        of.add("deleted", config.deleted.to_string());
        of.add("model", classifier.file.sha256.clone());
        for weights in &classifier.file.weights {
            of.add(&format!("weights {}", weights.location), weights.sha256.clone());
        }
        if let Some(input) = &config.model.input {
            of.add("model-input", input.clone());
        }
        of.add("model-output", classifier.output.name.clone());
        for (key, value) in recipe.as_object().into_iter().flatten() {
            of.add(key, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        let labels = classifier.labels.as_ref().map_or("none", |(labels, _)| labels.sha256());
        of.add("labels", labels);
        of.add("label-offset", config.model.label_offset.to_string());
        of.add("device", classifier.provider.name());
        of.add("onnxruntime", classifier.runtime.version());
        of.add("top-k", config.top_k.to_string());
        of.add("format", config.format.to_string());
        of.add("max-file-bytes", config.max_file_bytes.to_string());
        of.add("max-pixels", config.limits.max_pixels.to_string());
        of.add("decode-memory", config.limits.max_bytes.to_string());
        of
    }
}

fn start_attempt(journal: &Journal, at: &mut Checkpoint) -> Result<(), RunError> {
    let started = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let from = at.rows;
    at.attempts.push(Attempt { started, ended: None, from, to: None, exit: None });
    journal.save(at)
}
