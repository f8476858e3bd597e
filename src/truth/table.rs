//! Truth in a file: a CSV with a header, lines `path index`, or what a report was corrected by.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{error::RunError, output};

const PATHS: [&str; 7] =
    ["path", "file", "filename", "file_name", "image", "image_path", "filepath"];
const INDICES: [&str; 4] = ["index", "class_index", "class_id", "label_index"];
const NAMES: [&str; 8] =
    ["label", "class", "name", "class_name", "wnid", "species", "truth", "target"];

/// Which columns of a CSV are meant, when not those of the usual names.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// The one of the paths.
    pub path: Option<String>,
    /// The one of the classes.
    pub class: Option<String>,
}

/// What a truth file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Whether the classes are indices; otherwise they are names, or numbers that are no name.
    pub indices: bool,
    /// Names of the other columns.
    pub extra: Vec<String>,
    /// The images.
    pub rows: Vec<TableRow>,
}

/// One image of a truth file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// As written.
    pub path: String,
    /// The class, or several with `|` between them.
    pub class: String,
    /// Cells of the other columns.
    pub extra: Vec<String>,
}

impl Table {
    /// Reads a file: a CSV whose header names a column of paths (`path`, `file`, `filename`,
    /// `image` …) and one of classes (`index`, `class_id` …, or `label`, `class`, `name`, `wnid` …),
    /// lines of a path, a blank and an index, as in Caffe's lists; or the JSON of a report, whose
    /// corrections it is then.
    ///
    /// # Errors
    ///
    /// `Usage` when it cannot be read, or has not the columns.
    pub fn load(path: &Path, columns: &Columns) -> Result<Self, RunError> {
        let fail = |reason: String| {
            RunError::Usage(format!(
                "cannot use the truth file {}: {reason}\nhint: it is a CSV with a header, such as \
                 `path,label` or `path,index`, lines `path index`, or the JSON of a report with \
                 corrections",
                path.display()
            ))
        };
        let text = fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        Self::parse(&text, columns).map_err(fail)
    }

    /// Reads the content of a truth file; see [`Table::load`].
    ///
    /// # Errors
    ///
    /// A message that says what is missing.
    pub fn parse(text: &str, columns: &Columns) -> Result<Self, String> {
        if text.trim_start_matches('\u{FEFF}').trim_start().starts_with('{') {
            return corrections(text);
        }
        if let Some(list) = list(text).filter(|_| columns.class.is_none()) {
            return Ok(list);
        }
        let mut rows = output::csv_rows(text)?.into_iter();
        let header = rows.next().ok_or("it is empty")?;
        let file = column(&header, columns.path.as_deref(), &PATHS)?;
        let class = match (&columns.class, column(&header, None, &INDICES)) {
            (None, Ok(index)) => index,
            (named, _) => column(&header, named.as_deref(), &NAMES)?,
        };
        let others: Vec<usize> =
            (0..header.len()).filter(|at| ![file, class].contains(at)).collect();
        let row = |row: Vec<String>| {
            let cell =
                |at: usize| row.get(at).map(|cell| cell.trim().to_owned()).unwrap_or_default();
            let extra = others.iter().map(|&at| cell(at)).collect();
            TableRow { path: cell(file), class: cell(class), extra }
        };
        Ok(Self {
            indices: INDICES.iter().any(|name| header[class].trim().eq_ignore_ascii_case(name)),
            extra: others.iter().map(|&at| header[at].trim().to_owned()).collect(),
            rows: rows.map(row).filter(|row| !row.path.is_empty()).collect(),
        })
    }
}

/// The column that is `named`, or has the first of the `usual` names that there is.
fn column(header: &[String], named: Option<&str>, usual: &[&str]) -> Result<usize, String> {
    let at = |name: &str| header.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name));
    let found = match named {
        Some(name) => at(name),
        None => usual.iter().find_map(|name| at(name)),
    };
    found.ok_or_else(|| {
        let wanted = named.map_or_else(|| usual.join(", "), str::to_owned);
        format!("it has no column {wanted}; its columns are {}", header.join(", "))
    })
}

/// The part of a report that says what was corrected in it.
#[derive(Deserialize)]
struct Report {
    truth: ReportTruth,
}

#[derive(Deserialize)]
struct ReportTruth {
    corrections: Vec<Correction>,
}

/// The right classes of one image; none sets it aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// The `path` cell of its row.
    pub path: String,
    /// Indices of its classes.
    pub classes: Vec<u32>,
}

fn corrections(text: &str) -> Result<Table, String> {
    let wrong = |error| format!("it is JSON and no report of `linnaeus evaluate`: {error}");
    let report: Report =
        serde_json::from_str(text.trim_start_matches('\u{FEFF}')).map_err(wrong)?;
    let corrections = report.truth.corrections;
    if corrections.is_empty() {
        return Err("nothing was corrected in this report".to_owned());
    }
    let row = |Correction { path, classes }| {
        let classes: Vec<String> = classes.iter().map(u32::to_string).collect();
        TableRow { path, class: classes.join("|"), extra: Vec::new() }
    };
    let rows = corrections.into_iter().map(row).collect();
    Ok(Table { indices: true, extra: Vec::new(), rows })
}

/// Lines that all end in a blank and a number.
fn list(text: &str) -> Option<Table> {
    let row = |line: &str| {
        let (path, class) = line.trim_end().rsplit_once([' ', '\t'])?;
        class.parse::<u32>().ok()?;
        let (path, class) = (path.trim().to_owned(), class.to_owned());
        Some(TableRow { path, class, extra: Vec::new() })
    };
    let lines = text.trim_start_matches('\u{FEFF}').lines().filter(|line| !line.trim().is_empty());
    let rows: Vec<TableRow> = lines.map(row).collect::<Option<_>>()?;
    (!rows.is_empty()).then_some(Table { indices: true, extra: Vec::new(), rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(text: &str, columns: &Columns) -> Result<(bool, Vec<(String, String)>), String> {
        let table = Table::parse(text, columns)?;
        Ok((table.indices, table.rows.into_iter().map(|row| (row.path, row.class)).collect()))
    }

    #[test]
    fn tables_and_lists_are_told_apart_by_their_content() {
        let usual = Columns::default();
        let named = Columns { path: Some("Bild".into()), class: Some("Art".into()) };
        let pair = |path: &str, class: &str| (path.to_owned(), class.to_owned());
        for (text, columns, expected) in [
            ("path,label\na.jpg,cat\n", &usual, (false, vec![pair("a.jpg", "cat")])),
            ("label,index,file\ncat,3,a.jpg\n", &usual, (true, vec![pair("a.jpg", "3")])),
            ("\u{FEFF}PATH,Class\na,1\n\n", &usual, (false, vec![pair("a", "1")])),
            (
                "a b.jpg 3\nc.jpg\t4\n",
                &usual,
                (true, vec![pair("a b.jpg", "3"), pair("c.jpg", "4")]),
            ),
            ("Art,Bild,Ort\nLuchs,a,x\n", &named, (false, vec![pair("a", "Luchs")])),
        ] {
            assert_eq!(classes(text, columns).unwrap(), expected, "{text}");
        }
        let report = r#"{"kind":"evaluation","truth":{"corrections":[{"path":"a","classes":[3,5]},{"path":"b","classes":[]}]}}"#;
        assert_eq!(classes(report, &usual).unwrap(), (true, vec![pair("a", "3|5"), pair("b", "")]));
        let table = Table::parse("path,label,site\na,cat,north\n", &usual).unwrap();
        assert_eq!(
            (table.extra, table.rows[0].extra.clone()),
            (vec!["site".into()], vec!["north".into()])
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let usual = Columns::default();
        for (text, word) in [
            ("", "empty"),
            ("a,b\n", "path, file"),
            ("path,x\na,1\n", "label"),
            ("{\"schema\": 1}", "no report"),
            (r#"{"truth":{"corrections":[]}}"#, "nothing was corrected"),
        ] {
            assert!(classes(text, &usual).unwrap_err().contains(word), "{text}");
        }
        let named = Columns { class: Some("Art".into()), ..usual };
        assert!(classes("path,label\na,b\n", &named).unwrap_err().contains("Art"));
    }
}
