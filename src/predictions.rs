//! Saved predictions, read back: the rows that [`crate::output`] wrote, as CSV or JSON lines.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use serde::Deserialize;

use crate::{error::RunError, output};

/// A class and its probability, as written: six decimals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Class index.
    pub class: u32,
    /// From 0 to 1.
    pub probability: f64,
}

/// One row of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The `path` cell; [`output::decode_name`] gives the bytes of the name.
    pub path: String,
    /// Why there is no prediction: the status that is not `ok`, and the message.
    pub failure: Option<Box<(String, String)>>,
    start: usize,
    count: usize,
}

/// Every row of a predictions file.
#[derive(Debug, Clone, Default)]
pub struct Predictions {
    rows: Vec<Row>,
    /// The classes of all rows, one row after another, the most probable first.
    scores: Vec<Score>,
    names: BTreeMap<u32, String>,
    top_k: usize,
}

impl Predictions {
    /// Reads a file that linnaeus wrote; its first character decides between CSV and JSON lines.
    ///
    /// # Errors
    ///
    /// `Usage` when it cannot be read or is no such file, with the line.
    pub fn load(path: &Path) -> Result<Self, RunError> {
        let fail = |reason: String| {
            RunError::Usage(format!(
                "cannot read the predictions {}: {reason}\nhint: it is the CSV or JSON-lines file \
                 that `linnaeus run` or `classify` wrote",
                path.display()
            ))
        };
        let file = File::open(path).map_err(|error| fail(error.to_string()))?;
        let predictions = Self::read(BufReader::with_capacity(1 << 18, file)).map_err(&fail)?;
        if let Some(twice) = predictions.first_doubled() {
            return Err(fail(format!("{twice} has two rows")));
        }
        Ok(predictions)
    }

    /// Reads rows from `reader`.
    ///
    /// # Errors
    ///
    /// A message that names the line.
    pub fn read(mut reader: impl BufRead) -> Result<Self, String> {
        let head = reader.fill_buf().map_err(|error| error.to_string())?;
        let json = head.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let mut read = Self::default();
        if json { read.read_json(reader) } else { read.read_csv(reader) }?;
        Ok(read)
    }

    fn read_csv(&mut self, reader: impl BufRead) -> Result<(), String> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        let columns = Columns::find(&header)?;
        self.top_k = columns.top.len();
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(|error| error.to_string())? {
            let line = record.position().map_or(0, csv::Position::line);
            self.push_record(&columns, &record)
                .map_err(|reason| format!("line {line}: {reason}"))?;
        }
        Ok(())
    }

    fn push_record(&mut self, columns: &Columns, record: &csv::StringRecord) -> Result<(), String> {
        let cell = |at: usize| record.get(at).unwrap_or("");
        let start = self.scores.len();
        for &[index, label, probability] in &columns.top {
            if cell(index).is_empty() {
                break;
            }
            let class = cell(index).parse().map_err(|_| bad("index", cell(index)))?;
            let probability = cell(probability);
            let parsed = probability.parse().map_err(|_| bad("probability", probability))?;
            self.push_score(class, without_guard(cell(label), "'"), parsed)?;
        }
        let path = without_guard(cell(columns.path), "./");
        let message = columns.message.map_or("", cell);
        self.push_row(path, cell(columns.status), message, start)
    }

    fn read_json(&mut self, reader: impl BufRead) -> Result<(), String> {
        for (number, line) in reader.lines().enumerate() {
            let line = line.map_err(|error| error.to_string())?;
            if line.trim().is_empty() {
                continue;
            }
            let read = serde_json::from_str::<JsonRow>(&line).map_err(|error| error.to_string());
            let pushed = read.and_then(|row| {
                let start = self.scores.len();
                for class in &row.top {
                    self.push_score(class.index, &class.label, class.probability)?;
                }
                self.top_k = self.top_k.max(row.top.len());
                self.push_row(&row.path, &row.status, row.message.as_deref().unwrap_or(""), start)
            });
            pushed.map_err(|reason| format!("line {}: {reason}", number + 1))?;
        }
        Ok(())
    }

    fn push_score(&mut self, class: u32, label: &str, probability: f64) -> Result<(), String> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(format!(
                "the score {probability} is no probability; was it written with `activation = \
                 \"none\"` by a model that answers logits?"
            ));
        }
        if !label.is_empty() && !self.names.contains_key(&class) {
            self.names.insert(class, label.to_owned());
        }
        self.scores.push(Score { class, probability });
        Ok(())
    }

    fn push_row(
        &mut self,
        path: &str,
        status: &str,
        message: &str,
        start: usize,
    ) -> Result<(), String> {
        let count = self.scores.len() - start;
        let failure = (status != "ok").then(|| Box::new((status.to_owned(), message.to_owned())));
        if failure.is_none() && count == 0 {
            return Err(format!("{path} is `ok` and has no class"));
        }
        self.rows.push(Row { path: path.to_owned(), failure, start, count });
        Ok(())
    }

    fn first_doubled(&self) -> Option<&str> {
        let mut seen = HashSet::with_capacity(self.rows.len());
        self.rows.iter().map(|row| row.path.as_str()).find(|path| !seen.insert(*path))
    }

    /// The rows, in the order of the file.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The classes of a row, the most probable first; none when it failed.
    #[must_use]
    pub fn top(&self, row: usize) -> &[Score] {
        let Row { start, count, .. } = self.rows[row];
        &self.scores[start..start + count]
    }

    /// Gives classes other indices; those that are not named keep theirs.
    pub fn renumber(&mut self, indices: &BTreeMap<u32, u32>) {
        for score in &mut self.scores {
            score.class = indices.get(&score.class).copied().unwrap_or(score.class);
        }
    }

    /// Names of the classes that occur.
    #[must_use]
    pub fn names(&self) -> &BTreeMap<u32, String> {
        &self.names
    }

    /// Most classes of a row.
    #[must_use]
    pub fn top_k(&self) -> usize {
        self.top_k
    }
}

fn bad(what: &str, cell: &str) -> String {
    format!("the {what} {cell:?} is no number")
}

/// A cell without what [`crate::output`] put before a formula.
fn without_guard<'a>(cell: &'a str, guard: &str) -> &'a str {
    match cell.strip_prefix(guard) {
        Some(rest) if output::begins_formula(rest) => rest,
        _ => cell,
    }
}

/// Where in a CSV row what stands.
struct Columns {
    path: usize,
    status: usize,
    message: Option<usize>,
    /// Index, label and probability of each rank.
    top: Vec<[usize; 3]>,
}

impl Columns {
    fn find(header: &csv::StringRecord) -> Result<Self, String> {
        let at =
            |name: &str| header.iter().position(|cell| cell.trim_start_matches('\u{FEFF}') == name);
        let need = |name: &str| {
            let found: Vec<_> = header.iter().take(8).collect();
            at(name).ok_or_else(|| {
                format!("it has no column `{name}`; its header begins {:?}", found.join(","))
            })
        };
        let rank = |rank: usize| {
            let suffix = if rank == 1 { String::new() } else { format!("_{rank}") };
            let names = ["index", "label", "probability"].map(|name| format!("{name}{suffix}"));
            Some([at(&names[0])?, at(&names[1])?, at(&names[2])?])
        };
        let top: Vec<_> = (1..).map_while(rank).collect();
        if top.is_empty() {
            need("index")?;
            need("label")?;
            need("probability")?;
        }
        Ok(Self { path: need("path")?, status: need("status")?, message: at("message"), top })
    }
}

#[derive(Deserialize)]
struct JsonRow {
    path: String,
    status: String,
    #[serde(default)]
    top: Vec<JsonClass>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct JsonClass {
    index: u32,
    #[serde(default)]
    label: String,
    probability: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Target,
        error::ItemError,
        job::Format,
        labels::Labels,
        output::{Destination, Output, Table},
        rank::Ranked,
    };

    const RANKED: [Ranked; 2] =
        [Ranked { class: 1, probability: 0.75 }, Ranked { class: 0, probability: 0.25 }];

    fn written(format: Format) -> Predictions {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let labels = Some(Labels::parse("=cmd()\ncat, \"tabby\"\n").unwrap());
        let table = Table { format, top_k: 2, labels };
        let mut output =
            Output::create(&Destination::of(&Target::File(path.clone())).unwrap(), table).unwrap();
        for name in [&b"=1+1.jpg"[..], b"a,\"b\"\n.jpg", b"\xFF.jpg"] {
            output.write(name, Ok(&RANKED)).unwrap();
        }
        output.write(b"gone.jpg", Err(&ItemError::Vanished)).unwrap();
        output.publish().unwrap();
        Predictions::load(&path).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back_in_both_formats() {
        for format in [Format::Csv, Format::Jsonl] {
            let read = written(format);
            let names: Vec<_> =
                read.rows().iter().map(|row| output::decode_name(&row.path)).collect();
            assert_eq!(names, [&b"=1+1.jpg"[..], b"a,\"b\"\n.jpg", b"\xFF.jpg", b"gone.jpg"]);
            let top =
                [Score { class: 1, probability: 0.75 }, Score { class: 0, probability: 0.25 }];
            assert_eq!((read.top(2), read.top(3), read.top_k()), (&top[..], &[][..], 2));
            assert_eq!(read.names()[&0], "=cmd()");
            assert_eq!(read.names()[&1], "cat, \"tabby\"");
            assert_eq!(read.rows()[3].failure.as_ref().unwrap().0, "vanished");
        }
    }

    #[test]
    fn what_is_no_prediction_is_refused_with_its_line() {
        const HEAD: &str = "path,status,index,label,probability,message\n";
        for (rows, word) in [
            ("a,ok,0,cat,1.5,\n", "line 2: the score 1.5"),
            ("a,ok,x,cat,0.5,\n", "line 2: the index"),
            ("a,ok,,,,\n", "no class"),
            ("a,ok,0,cat,NaN,\n", "the score NaN"),
        ] {
            let message = Predictions::read(format!("{HEAD}{rows}").as_bytes()).unwrap_err();
            assert!(message.contains(word), "{message}");
        }
        for text in ["path,label\na,cat\n", "{\"path\": 1}\n", ""] {
            assert!(Predictions::read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_with_two_rows_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        let row = "a.jpg,ok,0,,0.5,\n";
        let text = format!("path,status,index,label,probability,message\n{row}{row}");
        std::fs::write(&path, text).unwrap();
        assert!(Predictions::load(&path).unwrap_err().to_string().contains("two rows"));
    }
}
