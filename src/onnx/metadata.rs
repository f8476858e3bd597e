//! The texts that exporters leave in a file, and writing more of them.

use std::collections::BTreeMap;

use prost::Message as _;
use serde::Serialize;

use super::{
    OnnxError,
    proto::StringStringEntryProto,
    wire::{Field, Fields, Payload},
};

/// The field of a model that holds one entry.
const ENTRIES: u64 = 14;

/// What an exporter wrote beside the graph (`metadata_props`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Keys and values. Of a key that is there more than once, the last.
    pub entries: BTreeMap<String, String>,
    /// Keys that are there more than once.
    pub duplicates: Vec<String>,
}

impl Metadata {
    pub(super) fn of(props: &[StringStringEntryProto]) -> Self {
        let mut metadata = Self::default();
        for prop in props {
            let before = metadata.entries.insert(prop.key.clone(), prop.value.clone());
            if before.is_some() && !metadata.duplicates.contains(&prop.key) {
                metadata.duplicates.push(prop.key.clone());
            }
        }
        metadata
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    /// The value of a key in any case, as the keys of ONNX's `MetadataProps.md` are to be read. The
    /// first in alphabetical order when there are several.
    #[must_use]
    pub fn get_in_any_case(&self, key: &str) -> Option<&str> {
        let found = self.entries.iter().find(|(found, _)| found.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.as_str())
    }
}

/// A copy of the model file `model` with these entries set. Everything else stays byte for byte;
/// entries with the same keys go.
///
/// References to weights in other files stay relative: the copy belongs into the same folder.
///
/// # Errors
///
/// `model` is damaged or no ONNX model.
pub fn with_metadata(
    model: &[u8],
    entries: &BTreeMap<String, String>,
) -> Result<Vec<u8>, OnnxError> {
    let mut copy = Vec::with_capacity(model.len());
    for piece in pieces(model, entries)? {
        copy.extend_from_slice(piece);
    }
    copy.extend(encoded(entries));
    Ok(copy)
}

/// The parts of a file that stay, in their order.
fn pieces<'a>(
    model: &'a [u8],
    entries: &BTreeMap<String, String>,
) -> Result<Vec<&'a [u8]>, OnnxError> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    for field in Fields::of(model) {
        let field = field?;
        if key_of(&field).is_some_and(|key| entries.contains_key(key)) {
            pieces.push(&model[start..field.start]);
            start = field.end;
        }
    }
    pieces.push(&model[start..]);
    Ok(pieces)
}

/// The key of a field that is an entry. Of a key that is there twice, the last, as parsers have it.
fn key_of<'a>(field: &Field<'a>) -> Option<&'a str> {
    let Payload::Bytes(entry) = field.payload else { return None };
    if field.number != ENTRIES {
        return None;
    }
    let mut key = &b""[..];
    for field in Fields::of(entry) {
        if let Field { number: 1, payload: Payload::Bytes(bytes), .. } = field.ok()? {
            key = bytes;
        }
    }
    std::str::from_utf8(key).ok()
}

fn encoded(entries: &BTreeMap<String, String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in entries {
        let entry = StringStringEntryProto { key: key.clone(), value: value.clone() };
        prost::encoding::encode_key(14, prost::encoding::WireType::LengthDelimited, &mut bytes);
        entry.encode_length_delimited(&mut bytes).expect("a vector grows as needed");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// IR version 8, entries a = 1, b = 2, an unknown field 99, entry a = 3.
    const MODEL: &[u8] =
        b"\x08\x08\x72\x06\x0a\x01a\x12\x011\x72\x06\x0a\x01b\x12\x012\x9a\x06\x02??\x72\x06\x0a\x01a\x12\x013";

    #[test]
    fn an_entry_replaces_all_of_its_key_and_nothing_else_moves() {
        let copy = with_metadata(MODEL, &entries(&[("a", "é"), ("c", "")])).unwrap();
        let mut expected = b"\x08\x08\x72\x06\x0a\x01b\x12\x012\x9a\x06\x02??".to_vec();
        expected.extend("\x72\x07\x0a\x01a\x12\x02é\x72\x03\x0a\x01c".as_bytes());
        assert_eq!(copy, expected);
        assert_eq!(with_metadata(MODEL, &BTreeMap::new()).unwrap(), MODEL);
    }

    #[test]
    fn a_damaged_file_is_not_copied() {
        for end in [1, 3, 12] {
            assert!(with_metadata(&MODEL[..end], &entries(&[])).is_err(), "{end}");
        }
    }

    #[test]
    fn of_a_repeated_key_the_last_counts_and_the_key_is_noted() {
        let prop = |key: &str, value: &str| StringStringEntryProto {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let metadata = Metadata::of(&[prop("Image.X", "1"), prop("b", "2"), prop("Image.X", "3")]);
        assert_eq!(metadata.get("Image.X"), Some("3"));
        assert_eq!(metadata.duplicates, ["Image.X"]);
        assert_eq!(metadata.get_in_any_case("image.x"), Some("3"));
        assert_eq!(metadata.get("image.x"), None);
    }
}
