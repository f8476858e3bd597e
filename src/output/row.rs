//! One row as bytes, and names of files as text that loses nothing.

use std::{borrow::Cow, fmt::Write as _};

use serde::Serialize;

use super::Table;
use crate::{error::ItemError, job::Format, rank::Ranked};

/// Begins a cell that a spreadsheet would run (OWASP, CSV injection).
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The header; JSON lines have none.
pub(super) fn write_header(table: &Table, out: &mut Vec<u8>) {
    if table.format == Format::Jsonl {
        return;
    }
    let mut cells = vec!["path".to_owned(), "status".to_owned()];
    for rank in 1..=table.top_k {
        let suffix = if rank == 1 { String::new() } else { format!("_{rank}") };
        cells.extend(["index", "label", "probability"].map(|name| format!("{name}{suffix}")));
    }
    cells.push("message".to_owned());
    write_record(cells.iter().map(String::as_str), out);
}

/// The row of the image `name`.
pub(super) fn write(
    table: &Table,
    name: &[u8],
    outcome: Result<&[Ranked], &ItemError>,
    out: &mut Vec<u8>,
) {
    match table.format {
        Format::Csv => write_csv(table, name, outcome, out),
        Format::Jsonl => write_json(table, name, outcome, out),
    }
}

fn write_csv(
    table: &Table,
    name: &[u8],
    outcome: Result<&[Ranked], &ItemError>,
    out: &mut Vec<u8>,
) {
    let path = encode_name(name);
    // `./x` is the same file as `x`, so the column still joins with what it came from.
    let path = if path.starts_with(FORMULA) { format!("./{path}").into() } else { path };
    let mut cells: Vec<Cow<'_, str>> = Vec::with_capacity(3 + 3 * table.top_k);
    cells.push(path);
    cells.push(outcome.map_or_else(ItemError::code, |_| "ok").into());
    let ranked = outcome.unwrap_or_default();
    for rank in 0..table.top_k {
        match ranked.get(rank) {
            Some(ranked) => {
                cells.push(ranked.class.to_string().into());
                cells.push(inert(label(table, ranked.class)));
                cells.push(format!("{:.6}", ranked.probability).into());
            }
            None => cells.extend([const { Cow::Borrowed("") }; 3]),
        }
    }
    cells.push(outcome.err().map_or_else(String::new, ItemError::to_string).into());
    write_record(cells.iter().map(AsRef::as_ref), out);
}

fn write_record<'a>(cells: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    // LF rather than RFC 4180's CRLF, as the tools that read such files on Unix expect; every
    // CSV reader takes both.
    let mut writer = csv::WriterBuilder::new().from_writer(out);
    writer.write_record(cells).and_then(|()| Ok(writer.flush()?)).expect("writing to memory");
}

#[derive(Serialize)]
struct JsonRow<'a> {
    path: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top: Vec<JsonClass<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Serialize)]
struct JsonClass<'a> {
    index: usize,
    label: &'a str,
    probability: f64,
}

fn write_json(
    table: &Table,
    name: &[u8],
    outcome: Result<&[Ranked], &ItemError>,
    out: &mut Vec<u8>,
) {
    let class = |ranked: &Ranked| JsonClass {
        index: ranked.class,
        label: label(table, ranked.class),
        // The same six decimals as in a CSV.
        probability: format!("{:.6}", ranked.probability).parse().expect("a number just printed"),
    };
    let row = JsonRow {
        path: &encode_name(name),
        status: outcome.map_or_else(ItemError::code, |_| "ok"),
        top: outcome.unwrap_or_default().iter().map(class).collect(),
        message: outcome.err().map(ItemError::to_string),
    };
    serde_json::to_writer(&mut *out, &row).expect("writing to memory");
    out.push(b'\n');
}

fn label(table: &Table, class: usize) -> &str {
    table.labels.as_ref().and_then(|labels| labels.name(class)).unwrap_or("")
}

/// A label as a cell that no spreadsheet runs: `'` goes before a formula's first character,
/// unless the label is a plain number.
fn inert(label: &str) -> Cow<'_, str> {
    if label.starts_with(FORMULA) && label.parse::<f64>().is_err() {
        format!("'{label}").into()
    } else {
        label.into()
    }
}

/// A `path` cell that no spreadsheet runs: `./x` is the same file as `x`, so the column still joins
/// with what it came from.
pub(crate) fn guarded_path(path: &str) -> String {
    if begins_formula(path) { format!("./{path}") } else { path.to_owned() }
}

/// Appends a record of a CSV whose cells no spreadsheet runs.
pub(crate) fn write_cells(cells: &[String], out: &mut Vec<u8>) {
    let inert: Vec<Cow<'_, str>> = cells.iter().map(|cell| inert(cell)).collect();
    write_record(inert.iter().map(AsRef::as_ref), out);
}

/// Whether a cell would be run by a spreadsheet.
pub(crate) fn begins_formula(cell: &str) -> bool {
    cell.starts_with(FORMULA)
}

/// The text of a name in the `path` column.
///
/// UTF-8 is written as it is. A name that is not UTF-8 is written as `//` and the name with `%`
/// and every byte that is not UTF-8 as `%XX`; so is one that begins with `//` itself.
#[must_use]
pub fn encode_name(name: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(name) {
        Ok(text) if !text.starts_with("//") => text.into(),
        _ => {
            let mut encoded = String::from("//");
            for chunk in name.utf8_chunks() {
                encoded.push_str(&chunk.valid().replace('%', "%25"));
                for byte in chunk.invalid() {
                    write!(encoded, "%{byte:02X}").expect("writing to a string");
                }
            }
            encoded.into()
        }
    }
}

/// The bytes of a name from the text of its `path` cell; the inverse of [`encode_name`].
#[must_use]
pub fn decode_name(text: &str) -> Vec<u8> {
    let Some(encoded) = text.strip_prefix("//") else { return text.as_bytes().to_vec() };
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;

    fn line(format: Format, name: &[u8], outcome: Result<&[Ranked], &ItemError>) -> String {
        let labels = Some(Labels::parse("cat\n=cmd()\n-1\n").unwrap());
        let mut out = Vec::new();
        write(&Table { format, top_k: 2, labels }, name, outcome, &mut out);
        String::from_utf8(out).unwrap()
    }

    const RANKED: [Ranked; 2] =
        [Ranked { class: 0, probability: 0.75 }, Ranked { class: 1, probability: 0.25 }];

    #[test]
    fn a_row_has_the_same_cells_whatever_happened() {
        let csv = |name, outcome| line(Format::Csv, name, outcome);
        assert_eq!(csv(b"a.jpg", Ok(&RANKED)), "a.jpg,ok,0,cat,0.750000,1,'=cmd(),0.250000,\n");
        assert_eq!(
            csv(b"a,\"b\".jpg", Err(&ItemError::Vanished)),
            "\"a,\"\"b\"\".jpg\",vanished,,,,,,,the file vanished between listing and reading\n"
        );
        let mut header = Vec::new();
        let table = Table { format: Format::Csv, top_k: 2, labels: None };
        write_header(&table, &mut header);
        assert_eq!(
            String::from_utf8(header).unwrap(),
            "path,status,index,label,probability,index_2,label_2,probability_2,message\n"
        );
    }

    #[test]
    fn json_lines_hold_the_same() {
        let row: serde_json::Value =
            serde_json::from_str(&line(Format::Jsonl, b"=a.jpg", Ok(&RANKED))).unwrap();
        assert_eq!(row["path"], "=a.jpg");
        assert_eq!(row["top"][1]["label"], "=cmd()");
        assert_eq!(row["top"][0]["probability"], 0.75);
        let failed = line(Format::Jsonl, b"a", Err(&ItemError::Empty));
        assert_eq!(
            failed,
            "{\"path\":\"a\",\"status\":\"empty\",\"message\":\"the file is empty\"}\n"
        );
    }

    #[test]
    fn no_cell_begins_a_formula() {
        for name in ["=1+1.jpg", "+a", "-a", "@a", "\ta", "\ra"] {
            let row = line(Format::Csv, name.as_bytes(), Ok(&RANKED));
            assert!(row.trim_start_matches('"').starts_with("./"), "{row}");
        }
        assert_eq!(inert("-1"), "-1");
        assert_eq!(inert("-x"), "'-x");
    }

    #[test]
    fn every_name_comes_back() {
        for name in [
            &b"plain.jpg"[..],
            b"100%.jpg",
            "\u{e9}.jpg".as_bytes(),
            b"\xFE\xFF%41.jpg",
            b"//server/a.jpg",
            b"half \xE2\x82.jpg",
            b"line\nbreak",
        ] {
            assert_eq!(decode_name(&encode_name(name)), name, "{name:?}");
        }
        assert_eq!(encode_name(b"\xFE%.jpg"), "//%FE%25.jpg");
    }
}
