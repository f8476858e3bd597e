//! The walk to a list, beside the list of the last complete run where there is one.

use std::{
    cmp::Ordering,
    fs::{self, File},
    io,
    path::Path,
};

use super::{Entries, Entry, List, Stamp, Writer, unwritable, wire::Record};
use crate::{
    error::RunError,
    job::{Deleted, Incremental},
    output::{PARTIAL, Previous, beside, sync_folder},
    source::Source,
    walk::{Met, Walk},
};

/// How a list is made.
pub struct Freezing<'a> {
    /// By what a file is recognised on another night.
    pub by: Incremental,
    /// Whether files may be reached through symbolic links.
    pub follow: bool,
    /// What becomes of rows whose files are gone.
    pub deleted: Deleted,
    /// Whether the run was asked to stop.
    pub stopped: &'a dyn Fn() -> bool,
}

/// The last complete run: its list, and its rows.
pub struct Base {
    entries: Entries,
    rows: Previous,
    /// Row of the record that is next.
    row: u64,
    next: Option<Record>,
}

impl Base {
    /// Rows are used again only where `list` and `rows` are of one run.
    ///
    /// # Errors
    ///
    /// When the list cannot be read.
    pub fn new(list: &List, rows: Previous) -> io::Result<Self> {
        let mut base = Self { entries: list.entries(0)?, rows, row: 0, next: None };
        base.next = base.entries.next_record()?;
        Ok(base)
    }

    /// Takes the next record, its row, and whether that has a prediction.
    fn take(&mut self) -> io::Result<Option<(Record, u64, bool)>> {
        let Some(record) = self.next.take() else { return Ok(None) };
        self.next = self.entries.next_record()?;
        let row = self.row;
        self.row += 1;
        let ok = self.rows.is_ok(row)?;
        Ok(Some((record, row, ok)))
    }

    /// Takes the next record when it is before `place`, or anyway when there is none.
    fn take_before(&mut self, place: Option<Place<'_>>) -> io::Result<Option<(Record, u64, bool)>> {
        let before = |next: &Record| place.is_none_or(|place| Place::of(next).cmp(&place).is_lt());
        if self.next.as_ref().is_some_and(before) { self.take() } else { Ok(None) }
    }

    /// Takes the record of exactly this file.
    fn take_same(&mut self, place: Place<'_>) -> io::Result<Option<(Record, u64, bool)>> {
        let same = |next: &Record| Place::of(next).cmp(&place).is_eq();
        if self.next.as_ref().is_some_and(same) { self.take() } else { Ok(None) }
    }
}

/// Where something is in the order of the walk: root by root, component by component.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    root: u32,
    name: &'a [u8],
}

impl<'a> Place<'a> {
    fn of(record: &'a Record) -> Self {
        Self { root: record.root, name: &record.source().name }
    }

    fn cmp(&self, other: &Place<'_>) -> Ordering {
        let components = |name: &'a [u8]| name.split(|&byte| byte == b'/');
        let others = other.name.split(|&byte| byte == b'/');
        self.root.cmp(&other.root).then_with(|| components(self.name).cmp(others))
    }
}

/// Walks everything and writes its list: to `path`, where it appears whole or not at all, or to a
/// file without a name. `None` when the run was asked to stop meanwhile; nothing is left then.
///
/// # Errors
///
/// `Input` when a root cannot be listed, `Output` when the list cannot be written, `Mismatch` when
/// the last complete run cannot be read.
pub fn freeze(
    walk: Walk,
    base: Option<Base>,
    how: &Freezing<'_>,
    path: Option<&Path>,
) -> Result<Option<List>, RunError> {
    let partial = path.map(|path| beside(path, PARTIAL));
    let failed = unwritable(partial.as_deref().unwrap_or(Path::new("a temporary file")));
    let file = match &partial {
        Some(partial) => {
            File::options().read(true).write(true).create(true).truncate(true).open(partial)
        }
        None => tempfile::tempfile(),
    };
    let file = file.map_err(&failed)?;
    let writer = Writer::new(file.try_clone().map_err(&failed)?).map_err(&failed)?;
    let writer = match fill(writer, walk, base, how, &failed) {
        Ok(Some(writer)) => writer,
        unfinished => {
            if let Some(partial) = &partial {
                fs::remove_file(partial).map_err(&failed)?;
            }
            return unfinished.map(|_| None);
        }
    };
    let (totals, sha256, bytes) = writer.finish().map_err(&failed)?;
    if let (Some(partial), Some(path)) = (&partial, path) {
        let renamed = file.sync_all().and_then(|()| fs::rename(partial, path));
        renamed.and_then(|()| sync_folder(path)).map_err(failed)?;
    }
    Ok(Some(List { file, totals, sha256, bytes }))
}

fn fill(
    mut writer: Writer<File>,
    mut walk: Walk,
    mut base: Option<Base>,
    how: &Freezing<'_>,
    failed: &dyn Fn(io::Error) -> RunError,
) -> Result<Option<Writer<File>>, RunError> {
    // What could not be listed, the last of it: what was below comes next in the last run's list.
    let mut closed: Option<Record> = None;
    while let Some(met) = walk.next() {
        if (how.stopped)() {
            return Ok(None);
        }
        let (source, error) = match met? {
            Met::Skipped(reason) => {
                writer.totals.skipped[reason as usize] += 1;
                continue;
            }
            Met::Candidate(source) => (source, None),
            Met::Failed(source, error) => (source, Some(error)),
        };
        let root = walk.root();
        let place = Place { root, name: &source.name };
        let mut last = None;
        if let Some(base) = &mut base {
            pass(base, Some(place), (how.deleted, closed.as_ref()), &mut writer, failed)?;
            last = base.take_same(place).map_err(unreadable)?;
        }
        let stamp = if error.is_some() { None } else { Stamp::of(&source, how.by, how.follow) };
        let entry = match error {
            Some(error) => Entry::Failed(source, error),
            None => match kept(last.as_ref(), &source, stamp.as_ref()) {
                Some(row) => Entry::Kept(source, row),
                None => Entry::Candidate(source),
            },
        };
        let record = Record { entry, root, stamp };
        writer.push(&record).map_err(failed)?;
        closed = matches!(record.entry, Entry::Failed(..)).then_some(record).or(closed);
    }
    if let Some(base) = &mut base {
        pass(base, None, (how.deleted, closed.as_ref()), &mut writer, failed)?;
    }
    Ok(Some(writer))
}

/// The row of the last run that still stands for this file.
fn kept(last: Option<&(Record, u64, bool)>, source: &Source, stamp: Option<&Stamp>) -> Option<u64> {
    let (record, row, ok) = last?;
    let same = *ok && stamp.is_some() && record.stamp.as_ref() == stamp;
    (same && record.source() == source).then_some(*row)
}

/// Passes over what the last run had before `place` and is not met any more: it is gone, unless it
/// is below a folder that is `closed` tonight.
fn pass(
    base: &mut Base,
    place: Option<Place<'_>>,
    (deleted, closed): (Deleted, Option<&Record>),
    writer: &mut Writer<File>,
    failed: &dyn Fn(io::Error) -> RunError,
) -> Result<(), RunError> {
    while let Some((record, row, ok)) = base.take_before(place).map_err(unreadable)? {
        let hidden = closed.is_some_and(|folder| {
            let below = record.source().name.strip_prefix(&*folder.source().name);
            folder.root == record.root && below.is_some_and(|rest| rest.starts_with(b"/"))
        });
        *(if hidden { &mut writer.totals.hidden } else { &mut writer.totals.gone }) += 1;
        if ok && (hidden || deleted == Deleted::Keep) {
            let entry = Entry::Kept(record.source().clone(), row);
            writer.push(&Record { entry, ..record }).map_err(failed)?;
        }
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unreadable(error: io::Error) -> RunError {
    RunError::Mismatch(format!(
        "cannot read the list of the last complete run: {error}\nhint: `--restart` classifies \
         everything again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_walk() {
        let names = ["B.jpg", "a/10.jpg", "a/2.jpg", "b/1.jpg", "b-1.jpg", "b.jpg"];
        for pair in names.windows(2) {
            let place = |name: &'static str| Place { root: 0, name: name.as_bytes() };
            assert_eq!(place(pair[0]).cmp(&place(pair[1])), Ordering::Less, "{pair:?}");
        }
        let [first, second] = [(0, "z"), (1, "a")].map(|(root, name)| (root, name.as_bytes()));
        let place = |(root, name)| Place { root, name };
        assert_eq!(place(first).cmp(&place(second)), Ordering::Less);
    }
}
