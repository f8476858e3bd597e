//! What images really show, as a person says it: folders, tables, names of files; and how that is
//! joined with rows and classes.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

mod classes;
mod join;
mod pattern;
mod table;

pub use classes::{Classes, Meaning};
pub use join::{Answers, Joined, Unknown};
pub use pattern::Pattern;
pub use table::{Columns, Correction, Table, TableRow};

/// Where the truth of saved predictions is.
#[derive(Debug, Clone)]
pub enum Source {
    /// The first folder of each path: `cat/home/1.jpg` is a `cat`.
    Folders,
    /// The folder that each image lies in: `train/cat/1.jpg` is a `cat`.
    Parents,
    /// Each file's name.
    Pattern(Pattern),
    /// A table, see [`Table::load`].
    File(PathBuf),
}

impl FromStr for Source {
    type Err = String;

    /// Reads `folders`, `parents`, `pattern:{class}_*.jpg`, `regex:^(?<class>\w+)_`, or the path of
    /// a file. A file of such a name is written with `./` before it.
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once(':')) {
            ("folders", _) => Ok(Self::Folders),
            ("parents", _) => Ok(Self::Parents),
            (_, Some(("pattern", pattern))) => Pattern::simple(pattern).map(Self::Pattern),
            (_, Some(("regex", pattern))) => Pattern::regex(pattern).map(Self::Pattern),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl Source {
    /// Reads the key or flag `truth`.
    ///
    /// # Errors
    ///
    /// A message when a pattern is none.
    pub fn said(truth: &Path) -> Result<Self, String> {
        truth.to_str().map_or_else(|| Ok(Self::File(truth.to_owned())), str::parse)
    }

    /// As a sentence's end, for a person.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Folders => "the first folder of each path".to_owned(),
            Self::Parents => "the folder that each image lies in".to_owned(),
            Self::Pattern(pattern) => format!("the files' names, by {}", pattern.as_written()),
            Self::File(path) => format!("the file {}", path.display()),
        }
    }
}
