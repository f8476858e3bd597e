//! What a run leaves beside its output, so that another one can go on with it.
//!
//! | file | holds | as long as |
//! |---|---|---|
//! | `OUTPUT.lock` | who writes it; the lock itself is the kernel's | a run writes |
//! | `OUTPUT.partial` | rows | the output is not complete |
//! | `OUTPUT.list` | what is to be classified | the output is not complete |
//! | `OUTPUT.checkpoint` | how many rows are safe | the output is not complete |
//! | `OUTPUT.in-flight` | files being read now | the output is not complete |
//! | `OUTPUT.seen`, `OUTPUT.seen.json` | the list and the last checkpoint | the next incremental run |
//!
//! Rows are synced before the checkpoint that counts them, and a checkpoint appears whole or not at
//! all. What lies in the partial output behind the checkpoint is cut off and made again.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    error::RunError,
    job::Format,
    list::{Base, List},
    output::{self, FilePlace, Mark, Output, Previous, Table, beside, sync_folder},
};

mod checkpoint;
mod fingerprint;
mod in_flight;
mod lock;

pub use checkpoint::Checkpoint;
pub use fingerprint::Fingerprint;
pub use in_flight::InFlight;
use lock::Lock;

/// Rows and time between checkpoints: what a crash costs at most.
const EVERY: (u64, Duration) = (10_000, Duration::from_secs(5));

/// The files beside an output, and the right to write them.
#[derive(Debug)]
pub struct Journal {
    place: FilePlace,
    list: PathBuf,
    checkpoint: PathBuf,
    in_flight: PathBuf,
    seen: PathBuf,
    seen_json: PathBuf,
    /// Given back when the journal is dropped, after everything else.
    lock: Lock,
}

/// A run that did not end.
#[derive(Debug)]
pub struct Unfinished {
    /// How far it came.
    pub checkpoint: Checkpoint,
    /// What it has to classify.
    pub list: List,
    /// Entries that were being read when it died; empty when it ended by itself.
    pub suspects: BTreeSet<u64>,
}

impl Journal {
    /// Takes the right to write the output and its journal.
    ///
    /// # Errors
    ///
    /// `Locked` when another run has it, `Output` when there is no writing in the folder.
    pub fn lock(place: FilePlace) -> Result<Self, RunError> {
        let beside = |suffix| beside(&place.target, suffix);
        let lock = Lock::take(&beside(".lock"), &place.named)?;
        Ok(Self {
            list: beside(".list"),
            checkpoint: beside(".checkpoint"),
            in_flight: beside(".in-flight"),
            seen: beside(".seen"),
            seen_json: beside(".seen.json"),
            place,
            lock,
        })
    }

    /// Where the output and everything beside it is.
    #[must_use]
    pub fn place(&self) -> &FilePlace {
        &self.place
    }

    /// The file of the list.
    #[must_use]
    pub fn list_path(&self) -> &Path {
        &self.list
    }

    /// Whether the lock is a real one; some network file systems have none.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.lock.is_real()
    }

    /// Throws away what an unfinished run left.
    ///
    /// # Errors
    ///
    /// `Output` when it cannot be removed.
    pub fn discard(&self) -> Result<(), RunError> {
        // The checkpoint first: without it nothing else means anything.
        for path in [&self.checkpoint, &self.list, &self.in_flight] {
            remove(path)?;
        }
        remove(&beside(&self.place.target, output::PARTIAL))
    }

    /// What an unfinished run left, when there is one.
    ///
    /// # Errors
    ///
    /// `Mismatch` when it cannot be read or lacks a part.
    pub fn unfinished(&self) -> Result<Option<Unfinished>, RunError> {
        let Some(checkpoint) = Checkpoint::read(&self.checkpoint)? else {
            return self.finish_what_was_published().map(|()| None);
        };
        let list = match List::open(&self.list) {
            Ok(list) => list,
            Err(error) => return Err(self.mismatch(&self.list, &error.to_string())),
        };
        if list.sha256 != checkpoint.list {
            return Err(self.mismatch(&self.list, "it is not the list that the checkpoint is of"));
        }
        let suspects = if checkpoint.died() {
            InFlight::read(&self.in_flight)
                .into_iter()
                .filter(|&at| at >= checkpoint.rows)
                .collect()
        } else {
            BTreeSet::new()
        };
        Ok(Some(Unfinished { checkpoint, list, suspects }))
    }

    /// Between the two renames that keep the list of an incremental run, the program may have died.
    fn finish_what_was_published(&self) -> Result<(), RunError> {
        let (Ok(Some(seen)), Ok(list)) =
            (Checkpoint::read(&self.seen_json), List::open(&self.list))
        else {
            return Ok(());
        };
        if seen.list == list.sha256 { rename(&self.list, &self.seen) } else { Ok(()) }
    }

    /// Opens the output of an unfinished run, cut back to what is safe.
    ///
    /// # Errors
    ///
    /// `Mismatch` when it is not what the checkpoint says, `Output` when it cannot be opened.
    pub fn reopen(&self, checkpoint: &Checkpoint, table: Table) -> Result<Output, RunError> {
        let mark = checkpoint.mark();
        match Output::resume(&self.place, table, &mark)? {
            Ok(output) => Ok(output),
            Err(reason) => {
                let partial = beside(&self.place.target, output::PARTIAL);
                Err(self.mismatch(&partial, &reason))
            }
        }
    }

    /// The last complete run, whose rows may be used again, and its output.
    ///
    /// # Errors
    ///
    /// The reason, as a sentence for a person, why everything is classified again; none on the
    /// first night.
    pub fn last_complete(
        &self,
        fingerprint: &Fingerprint,
        format: Format,
    ) -> Result<(Base, Mark), Option<String>> {
        let again = |reason: &str| Some(format!("everything is classified again: {reason}"));
        let checkpoint = Checkpoint::read(&self.seen_json).map_err(|e| again(&e.to_string()))?;
        let Some(checkpoint) = checkpoint else {
            return Err(if self.place.target.exists() {
                again("the output there is not that of an incremental run")
            } else {
                None
            });
        };
        let changed = checkpoint.fingerprint.changes_of_rows(fingerprint);
        if !changed.is_empty() {
            return Err(again(&changed.join("; ")));
        }
        let usable = || {
            let list = List::open(&self.seen)?;
            let same_list = list.sha256 == checkpoint.list;
            if !same_list || !checkpoint.mark().is_of(&self.place.target)? {
                return Ok(Err("the output or its list was changed since"));
            }
            let rows = Previous::open(&self.place.target, format)?;
            Base::new(&list, rows).map(Ok)
        };
        match usable() {
            Ok(Ok(base)) => Ok((base, checkpoint.mark())),
            Ok(Err(reason)) => Err(again(reason)),
            Err(error) => {
                let error: io::Error = error;
                Err(again(&format!("the list of the last run cannot be read ({error})")))
            }
        }
    }

    /// Makes `checkpoint` the state to go on from, after `output` is synced.
    ///
    /// # Errors
    ///
    /// `Output` when it cannot be written; the last checkpoint stands then.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), RunError> {
        checkpoint.write(&self.checkpoint)
    }

    /// The file of what is in flight on `threads` threads; none where it cannot be made, for it
    /// serves only to find a culprit.
    #[must_use]
    pub fn in_flight(&self, threads: usize) -> Option<InFlight> {
        InFlight::create(&self.in_flight, threads).ok()
    }

    /// Clears up behind a published output; `keep` keeps what the next incremental run needs.
    ///
    /// # Errors
    ///
    /// `Output` when files cannot be renamed or removed.
    pub fn complete(self, keep: bool) -> Result<(), RunError> {
        if keep {
            rename(&self.checkpoint, &self.seen_json)?;
            rename(&self.list, &self.seen)?;
            remove(&self.in_flight)
        } else {
            self.discard()?;
            remove(&self.seen_json)?;
            remove(&self.seen)
        }
    }

    fn mismatch(&self, path: &Path, reason: &str) -> RunError {
        RunError::Mismatch(format!(
            "cannot go on with the run that {} is of: {}: {reason}\nhint: `--restart` throws it \
             away and starts over",
            self.checkpoint.display(),
            path.display(),
        ))
    }
}

/// When the next checkpoint is due.
#[derive(Debug)]
pub struct Due {
    at: Instant,
    rows: u64,
}

impl Due {
    /// As if `rows` had been saved now.
    #[must_use]
    pub fn after(rows: u64) -> Self {
        Self { at: Instant::now(), rows }
    }

    /// Whether so much time or so many rows have passed.
    #[must_use]
    pub fn is_due(&self, rows: u64) -> bool {
        rows - self.rows >= EVERY.0 || (rows > self.rows && self.at.elapsed() >= EVERY.1)
    }
}

fn remove(path: &Path) -> Result<(), RunError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(RunError::Output { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), RunError> {
    let renamed = fs::rename(from, to).and_then(|()| sync_folder(to));
    renamed.map_err(|source| RunError::Output { path: to.to_owned(), source })
}
