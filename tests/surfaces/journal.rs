//! What a run that did not end left for the next one.

use std::{fs, path::Path};

use linnaeus::{
    job::{Deleted, Format, Incremental},
    journal::Checkpoint,
    list::{self, Base, Freezing, List},
    output::Previous,
    walk::{Globs, Walk, WalkOptions},
};

/// Rows that a list may speak of.
const OUTPUT: &str = "path,status\na.png,ok\nb.png,corrupt\nc.png,ok\nd.png,ok\ne.png,not_found\n";

/// A list of `folder`, written to `place` where there is one; `None` for a run that cannot have it.
pub fn freeze(
    folder: &Path,
    base: Option<Base>,
    by: Incremental,
    place: Option<&Path>,
) -> Option<List> {
    let options = WalkOptions {
        include: Globs::compile("include", &[]).unwrap(),
        exclude: Globs::compile("exclude", &[]).unwrap(),
        hidden: false,
        follow_symlinks: false,
        every_file: true,
        min_age: None,
    };
    let walk = Walk::new(&[folder.to_owned()], options).unwrap();
    let how = Freezing { by, follow: false, deleted: Deleted::Keep, stopped: &|| false };
    list::freeze(walk, base, &how, place).ok().flatten()
}

/// The rows of the last run, of which `list` is said to be the list.
pub fn base(list: &List, folder: &Path) -> Option<Base> {
    let path = folder.join("rows.csv");
    fs::write(&path, OUTPUT).unwrap();
    Base::new(list, Previous::open(&path, Format::Csv).unwrap()).ok()
}

/// The list of a run: read from its start and its midst, and as that of the last complete run.
pub fn listed(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.list");
    fs::write(&path, bytes).unwrap();
    let Ok(list) = List::open(&path) else { return };
    for first in [0, 2] {
        let Ok(entries) = list.entries(first) else { continue };
        let read = entries.take_while(Result::is_ok).count() as u64;
        assert!(read <= list.totals.rows);
    }
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    if let Some(base) = base(&list, folder.path()) {
        _ = freeze(&empty, Some(base), Incremental::Stat, None);
    }
}

/// How far a run came.
pub fn checkpoint(bytes: &[u8]) {
    let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(bytes) else { return };
    _ = (checkpoint.died(), checkpoint.failed(), checkpoint.mark());
    _ = checkpoint.fingerprint.changes(&checkpoint.fingerprint);
    serde_json::to_vec(&checkpoint).unwrap();
}
