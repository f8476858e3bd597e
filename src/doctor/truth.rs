//! What the images of an examination show, as a person says it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    error::RunError,
    labels::Labels,
    truth::{Columns, Table, TableRow},
};

/// Where the truth is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// Nowhere: candidates are ranked by how sure and different their answers are.
    Unknown,
    /// In the names of the folders below this one.
    Folders(PathBuf),
    /// In a table, see [`Table::load`]. Paths are relative to the file.
    File(PathBuf),
}

/// One image and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Labelled {
    pub(super) path: PathBuf,
    pub(super) truth: Option<String>,
}

/// How a truth becomes a class index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    /// As a sentence's end, for a person.
    pub(super) name: String,
    /// Class index of each truth.
    pub(super) classes: BTreeMap<String, usize>,
}

/// Reads a truth file.
///
/// # Errors
///
/// `Usage` when it cannot be read, or has not the columns.
pub(super) fn read_file(path: &Path) -> Result<Vec<Labelled>, RunError> {
    let table = Table::load(path, &Columns::default())?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let labelled = |row: TableRow| Labelled { path: folder.join(row.path), truth: Some(row.class) };
    Ok(table.rows.into_iter().map(labelled).collect())
}

/// The ways in which the truths of these images may be meant as classes of a model.
pub(super) fn readings(
    images: &[Labelled],
    labels: Option<&Labels>,
    classes: usize,
) -> Vec<Reading> {
    let truths: BTreeSet<&str> = images.iter().filter_map(|image| image.truth.as_deref()).collect();
    let mut readings = Vec::new();
    let mut add = |name: &str, class: &dyn Fn(&str) -> Option<usize>| {
        let mapped: BTreeMap<String, usize> = truths
            .iter()
            .filter_map(|&truth| Some((truth.to_owned(), class(truth)?)))
            .filter(|(_, class)| *class < classes)
            .collect();
        // A reading that covers less than half of the truths is no reading of them.
        if 2 * mapped.len() > truths.len() {
            readings.push(Reading { name: name.to_owned(), classes: mapped });
        }
    };
    let index = |truth: &str| truth.parse::<usize>().ok();
    let numbers = truths.iter().all(|truth| index(truth).is_some());
    if numbers {
        add("the truth's numbers are class indices", &index);
        if classes == 1001 || classes == 1000 {
            add("class indices, shifted by a background class (`label-offset = 1`)", &|truth| {
                index(truth)?.checked_add(1)
            });
        }
        add("class indices that count from 1", &|truth| index(truth)?.checked_sub(1));
    }
    if let Some(labels) = labels {
        let find = |truth: &str| labels.classes_named(truth).first().copied();
        add("the truth's names in the order of the labels", &find);
        add("the labels, shifted by a background class (`label-offset = 1`)", &|truth| {
            find(truth)?.checked_add(1)
        });
    }
    if !numbers || truths.len() == classes {
        let sorted: Vec<&str> = truths.iter().copied().collect();
        if sorted.len() == classes {
            add("the truth's names in alphabetical order", &|truth| {
                sorted.iter().position(|name| *name == truth)
            });
        }
    }
    readings
}
