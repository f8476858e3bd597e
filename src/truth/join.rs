//! Rows, and what a truth says of them.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use super::{Classes, Columns, Correction, Meaning, Source, Table, TableRow};
use crate::{error::RunError, output};

/// The classes that are right for an image; never empty.
pub type Answers = Vec<u32>;

/// Names of a truth that are no class, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Images that it was said of.
    pub images: u64,
    /// As a sentence.
    pub reason: String,
}

/// Rows, joined with their truth. Nothing is dropped: what has no counterpart is listed.
#[derive(Debug, Clone, Default)]
pub struct Joined {
    /// The right classes of each row; `None` where nothing says them.
    pub answers: Vec<Option<Answers>>,
    /// Names of the other columns of a truth table.
    pub extra: Vec<String>,
    /// Their cells of each row; empty where the row is not in the table.
    pub cells: Vec<Vec<String>>,
    /// Rows of which no truth is told.
    pub without_truth: Vec<usize>,
    /// Paths in the truth of which there is no row.
    pub without_row: Vec<String>,
    /// Names in the truth that are no class.
    pub unknown: BTreeMap<String, Unknown>,
    /// What was corrected.
    pub corrections: Vec<Correction>,
    /// How it was joined, where that is worth a look.
    pub notes: Vec<String>,
}

impl Joined {
    /// Joins rows of these `paths` (cells of the `path` column) with what `source` says. `root` is
    /// the folder that the paths are relative to.
    ///
    /// # Errors
    ///
    /// `Usage` when a truth file cannot be used, or nothing of it fits.
    pub fn new(
        (paths, root): (&[&str], Option<&Path>),
        (source, columns): (&Source, &Columns),
        classes: &Classes,
    ) -> Result<Self, RunError> {
        let mut joined = Self { answers: vec![None; paths.len()], ..Self::default() };
        joined.cells = vec![Vec::new(); paths.len()];
        match source {
            Source::Folders | Source::Parents | Source::Pattern(_) => {
                for (row, path) in paths.iter().enumerate() {
                    if let Some((class, index)) = in_path(source, path) {
                        joined.say(row, class, index, classes);
                    }
                }
            }
            Source::File(file) => {
                let table = Table::load(file, columns)?;
                joined.extra.clone_from(&table.extra);
                let rows = PathIndex::new(paths, root).find(&table.rows, file, &mut joined.notes);
                joined.join_table(&table, &rows, classes);
            }
        }
        joined.without_truth =
            (0..paths.len()).filter(|&row| joined.answers[row].is_none()).collect();
        joined.check(source, paths)?;
        Ok(joined)
    }

    /// Lets a table of corrections win: a class instead of what was said, or none at all for an
    /// image that shows nothing of the kind.
    ///
    /// # Errors
    ///
    /// `Usage` when it cannot be read.
    pub fn correct(
        &mut self,
        paths: &[&str],
        file: &Path,
        classes: &Classes,
    ) -> Result<(), RunError> {
        let table = Table::load(file, &Columns::default())?;
        let rows = PathIndex::new(paths, None).find(&table.rows, file, &mut self.notes);
        // Of several lines about one image the last wins, as when lines are added over the weeks.
        let last: HashMap<usize, usize> =
            rows.iter().zip(0..).filter_map(|(r, n)| Some(((*r)?, n))).collect();
        for (nth, (said, row)) in table.rows.iter().zip(&rows).enumerate() {
            let Some(row) = *row else {
                self.without_row.push(said.path.clone());
                continue;
            };
            if last[&row] == nth {
                self.answers[row] = None;
                self.say(row, &said.class, table.indices, classes);
                let classes = self.answers[row].clone().unwrap_or_default();
                self.corrections.push(Correction { path: paths[row].to_owned(), classes });
            }
        }
        self.without_truth = (0..paths.len()).filter(|&row| self.answers[row].is_none()).collect();
        Ok(())
    }

    fn join_table(&mut self, table: &Table, rows: &[Option<usize>], classes: &Classes) {
        for (said, row) in table.rows.iter().zip(rows) {
            match row {
                Some(row) => {
                    self.say(*row, &said.class, table.indices, classes);
                    if self.extra.len() == said.extra.len() {
                        self.cells[*row].clone_from(&said.extra);
                    }
                }
                None => self.without_row.push(said.path.clone()),
            }
        }
    }

    /// Adds what is said of a row; `a|b` are two right answers unless a class is called so.
    fn say(&mut self, row: usize, text: &str, index: bool, classes: &Classes) {
        if text.is_empty() {
            return;
        }
        let whole = classes.meaning(text, index);
        let parts: Vec<&str> = match whole {
            Meaning::Unknown if text.contains('|') => text.split('|').map(str::trim).collect(),
            _ => vec![text],
        };
        for part in parts {
            match classes.meaning(part, index) {
                Meaning::Class(class) => {
                    let answers = self.answers[row].get_or_insert_default();
                    if !answers.contains(&class) {
                        answers.push(class);
                    }
                }
                Meaning::Unknown => self.count_unknown(part, "no class has this name"),
                Meaning::Ambiguous(several) => {
                    let indices: Vec<_> = several.iter().map(u32::to_string).collect();
                    let reason = format!("the classes {} share this name", indices.join(", "));
                    self.count_unknown(part, &reason);
                }
            }
        }
    }

    fn count_unknown(&mut self, name: &str, reason: &str) {
        let new = || Unknown { images: 0, reason: reason.to_owned() };
        self.unknown.entry(name.to_owned()).or_insert_with(new).images += 1;
    }

    /// Refuses a truth of which nothing fits.
    fn check(&self, source: &Source, paths: &[&str]) -> Result<(), RunError> {
        if self.without_truth.len() < paths.len() {
            return Ok(());
        }
        let (reason, hint) = if let Some((name, unknown)) = self.unknown.first_key_value() {
            let hint = "give the names of the classes with `--labels`, or say what they mean with \
                        `--class-map`";
            (format!("{name:?} is no class: {}", unknown.reason), hint)
        } else if let Some(path) = self.without_row.first() {
            let hint = "are these predictions of the same images? `--images` says the folder that \
                        the predictions' paths are relative to";
            (format!("it speaks of {path:?}, which has no row"), hint)
        } else {
            let hint = "`--truth` takes `folders`, `parents`, `pattern:{class}_*.jpg` or a file";
            (format!("it says nothing of {:?}", paths.first().unwrap_or(&"any row")), hint)
        };
        Err(RunError::Usage(format!(
            "the truth, {}, fits no prediction: {reason}\nhint: {hint}",
            source.describe()
        )))
    }
}

/// The class in a path, and whether it is an index.
fn in_path<'a>(source: &Source, path: &'a str) -> Option<(&'a str, bool)> {
    match source {
        Source::Folders => path.trim_start_matches("//").split_once('/').map(|(f, _)| (f, false)),
        Source::Parents => {
            let (folders, _) = path.trim_start_matches("//").rsplit_once('/')?;
            Some((folders.rsplit('/').next().unwrap_or(folders), false))
        }
        Source::Pattern(pattern) => Some((pattern.class_in(path)?, pattern.is_index())),
        Source::File(_) => None,
    }
}

/// Where the row of a path is.
struct PathIndex<'a> {
    written: HashMap<String, usize>,
    absolute: HashMap<PathBuf, usize>,
    /// Rows by the name of the file alone; `None` where several have it.
    names: HashMap<&'a str, Option<usize>>,
}

impl<'a> PathIndex<'a> {
    fn new(paths: &[&'a str], root: Option<&Path>) -> Self {
        let mut names = HashMap::with_capacity(paths.len());
        for (row, path) in paths.iter().enumerate() {
            names.entry(file_name(path)).and_modify(|found| *found = None).or_insert(Some(row));
        }
        let written = paths.iter().enumerate().map(|(row, path)| (clean(path), row)).collect();
        let below = |root: &Path| {
            let rows = paths.iter().enumerate();
            rows.map(|(row, path)| (absolute(&root.join(output::name_path(path))), row)).collect()
        };
        Self { written, absolute: root.map(below).unwrap_or_default(), names }
    }

    /// The row of each path of a table: as written, else relative to the table's folder, else by the
    /// file's name where only one row and one line have it.
    fn find(&self, rows: &[TableRow], file: &Path, notes: &mut Vec<String>) -> Vec<Option<usize>> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let mut found: Vec<Option<usize>> = rows
            .iter()
            .map(|row| {
                let written = self.written.get(&clean(&row.path));
                let absolute = || self.absolute.get(&absolute(&folder.join(&row.path)));
                written.or_else(absolute).copied()
            })
            .collect();
        if found.iter().any(Option::is_some) {
            return found;
        }
        let mut times: HashMap<&str, u32> = HashMap::new();
        for row in rows {
            *times.entry(file_name(&row.path)).or_default() += 1;
        }
        for (row, found) in rows.iter().zip(&mut found) {
            let name = file_name(&row.path);
            *found = self.names.get(name).copied().flatten().filter(|_| times[name] == 1);
        }
        let count = found.iter().flatten().count();
        if count > 0 {
            notes.push(format!(
                "no whole path of {} is in the predictions: {count} were joined by the file's name \
                 alone",
                file.display()
            ));
        }
        found
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// A path without what its spellings differ in.
fn clean(path: &str) -> String {
    path.strip_prefix("./").unwrap_or(path).replace('\\', "/")
}

/// The whole path, without `.` and `..`, as far as that goes without looking at the disk.
fn absolute(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut clean = PathBuf::new();
    for part in whole.components() {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Classes {
        let names = ["cat", "dog", "crane", "crane"];
        Classes::new((0..).zip(names.map(str::to_owned)).collect(), Some(4))
    }

    fn join(paths: &[&str], source: &str) -> Result<Joined, RunError> {
        let source = source.parse().unwrap();
        Joined::new((paths, None), (&source, &Columns::default()), &classes())
    }

    #[test]
    fn a_missing_or_foreign_folder_shifts_no_other() {
        let paths = ["dog/1.jpg", "zebra/2.jpg", "crane/3.jpg", "4.jpg", "dog/sub/5.jpg"];
        let joined = join(&paths, "folders").unwrap();
        assert_eq!(joined.answers, [Some(vec![1]), None, None, None, Some(vec![1])]);
        assert_eq!(joined.without_truth, [1, 2, 3]);
        assert_eq!(joined.unknown["zebra"].images, 1);
        assert!(joined.unknown["crane"].reason.contains("2, 3"));
        assert!(join(&["x/1.jpg"], "folders").unwrap_err().to_string().contains("\"x\""));
    }

    #[test]
    fn a_table_is_joined_by_path_by_place_and_last_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let table = write("t.csv", "path,label,site\n./a/1.jpg,cat|dog,north\n9.jpg,dog,\n");
        let paths = ["a/1.jpg", "b/2.jpg"];
        let joined = join(&paths, table.to_str().unwrap()).unwrap();
        assert_eq!(joined.answers, [Some(vec![0, 1]), None]);
        assert_eq!((joined.without_row, joined.without_truth), (vec!["9.jpg".to_owned()], vec![1]));
        assert_eq!(
            (joined.cells[0].clone(), joined.extra),
            (vec!["north".into()], vec!["site".into()])
        );

        let places = Source::File(write("p.csv", "path,label\nin/b/2.jpg,dog\n"));
        let root = folder.path().join("in");
        let columns = Columns::default();
        let joined = Joined::new((&paths, Some(&root)), (&places, &columns), &classes()).unwrap();
        assert_eq!(joined.answers, [None, Some(vec![1])]);
        assert!(joined.notes.is_empty());

        let names = write("n.csv", "path,label\nelsewhere/2.jpg,dog\nx/1.jpg,cat\ny/1.jpg,dog\n");
        let joined = join(&paths, names.to_str().unwrap()).unwrap();
        assert_eq!(joined.answers, [None, Some(vec![1])]);
        assert!(joined.notes[0].contains("name alone"), "{:?}", joined.notes);
    }

    #[test]
    fn corrections_win_and_an_empty_one_sets_an_image_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.csv");
        std::fs::write(&file, "path,label\ncat/1.jpg,cat\ncat/2.jpg,\ncat/1.jpg,dog\n").unwrap();
        let paths = ["cat/1.jpg", "cat/2.jpg", "cat/3.jpg"];
        let mut joined = join(&paths, "parents").unwrap();
        joined.correct(&paths, &file, &classes()).unwrap();
        assert_eq!(joined.answers, [Some(vec![1]), None, Some(vec![0])]);
        let corrections: Vec<_> =
            joined.corrections.into_iter().map(|one| (one.path, one.classes)).collect();
        assert_eq!(
            corrections,
            [("cat/2.jpg".to_owned(), vec![]), ("cat/1.jpg".to_owned(), vec![1])]
        );
        assert_eq!(joined.without_truth, [1]);
    }
}
