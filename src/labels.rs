//! Names of the classes, from the label files that models come with.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{digest, error::RunError};

/// More classes before the first label than any model has.
const MAX_OFFSET: usize = 1 << 20;

/// One name per class, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    sha256: String,
}

impl Labels {
    /// Reads a label file. Its content decides how:
    ///
    /// * a JSON list of names;
    /// * a JSON object from index to name, from index to `[wnid, name]`
    ///   (`imagenet_class_index.json`), or from name to index;
    /// * lines `n01440764 tench, Tinca tinca` (`synset.txt`): the `WordNet` id is dropped;
    /// * lines `0 tench`, when the numbers are 0, 1, 2 … in order: the number is dropped;
    /// * otherwise one name per line.
    ///
    /// # Errors
    ///
    /// `Model` when the file cannot be read, is not UTF-8, or its JSON does not name every class
    /// from 0 on exactly once.
    pub fn load(path: &Path) -> Result<Self, RunError> {
        let fail = |reason: String| {
            RunError::Model(format!("cannot use the label file {}: {reason}", path.display()))
        };
        let bytes = fs::read(path).map_err(|error| fail(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            fail(format!("it is not UTF-8 ({})\nhint: save it as UTF-8", error.utf8_error()))
        })?;
        Self::parse(&text).map_err(fail)
    }

    /// Reads the content of a label file; see [`Labels::load`].
    ///
    /// # Errors
    ///
    /// A message that says what is missing or doubled.
    pub fn parse(text: &str) -> Result<Self, String> {
        let whole = text;
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let names = if text.trim_start().starts_with(['{', '[']) {
            let value = serde_json::from_str(text).map_err(|error| format!("bad JSON: {error}"))?;
            from_json(&value)?
        } else {
            from_lines(text)
        };
        if names.is_empty() {
            Err("it is empty".to_owned())
        } else {
            Ok(Self { names, sha256: sha256_of(whole) })
        }
    }

    /// How many classes are named.
    #[must_use]
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The names, by class index.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// SHA-256 of the text that they were read from, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The name of class `index`.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<&str> {
        self.names.get(index).map(String::as_str)
    }

    /// The names with `offset` classes before them that are called `background`, or without their
    /// first ones when it is below zero.
    ///
    /// # Errors
    ///
    /// A message when there are not as many names to leave out.
    pub fn shifted(mut self, offset: i64) -> Result<Self, String> {
        let count = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        if offset < 0 && count >= self.names.len() || count > MAX_OFFSET {
            return Err(format!(
                "`label-offset = {offset}` leaves nothing of {} labels, or is no such offset\nhint: \
                 write 1 for a background class that the labels leave out, or -1 for the opposite",
                self.names.len()
            ));
        }
        if offset < 0 {
            self.names.drain(..count);
        } else {
            self.names.splice(0..0, std::iter::repeat_n("background".to_owned(), count));
        }
        Ok(self)
    }

    /// Checks that there is a name for each of the model's `classes`.
    ///
    /// # Errors
    ///
    /// `Model`, with both counts, and what to do about 1000 names for 1001 classes.
    pub fn fit(self, classes: usize, place: &str) -> Result<Self, RunError> {
        let count = self.count();
        if count == classes {
            return Ok(self);
        }
        let hint = match (count, classes) {
            (1000, 1001) => {
                "a model with 1001 classes counts a background class as class 0; say \
                 `label-offset = 1`"
            }
            (1001, 1000) => {
                "the labels count a background class that the model has not, if the first of them is \
                 one; say `label-offset = -1`"
            }
            _ => "give the label file that belongs to this model as `labels`",
        };
        Err(RunError::Model(format!(
            "{place} names {count} classes, and the model has {classes}\nhint: {hint}"
        )))
    }
}

fn sha256_of(text: &str) -> String {
    digest::of(text.as_bytes()).expect("reading from memory").1
}

fn from_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let synset: Option<Vec<_>> = lines.iter().map(|line| after_wnid(line)).collect();
    let numbered: Option<Vec<_>> =
        lines.iter().enumerate().map(|(index, line)| after_number(index, line)).collect();
    synset.or(numbered).unwrap_or(lines).into_iter().map(str::to_owned).collect()
}

fn after_wnid(line: &str) -> Option<&str> {
    let (wnid, name) = line.split_once([' ', '\t'])?;
    let digits = wnid.strip_prefix('n')?;
    let valid = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    valid.then_some(name.trim_start())
}

fn after_number(index: usize, line: &str) -> Option<&str> {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let name = line[digits..].trim_start_matches([' ', '\t', ':', ',']);
    let separated = name.len() < line.len() - digits && !name.is_empty();
    (separated && line[..digits].parse() == Ok(index)).then_some(name)
}

fn from_json(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(names) => names
            .iter()
            .map(|name| name.as_str().map(str::to_owned).ok_or("its list holds more than names"))
            .collect::<Result<_, _>>()
            .map_err(str::to_owned),
        Value::Object(map) => {
            let inverted = map.values().all(Value::is_u64);
            let pairs: Option<Vec<(usize, &str)>> = map
                .iter()
                .map(|(key, value)| {
                    let index = if inverted {
                        value.as_u64()?.try_into()
                    } else {
                        return by_index(key, value);
                    };
                    Some((index.ok()?, key.as_str()))
                })
                .collect();
            in_order(pairs.ok_or("its object is no map between class indices and names")?)
        }
        _ => Err("its JSON is neither a list nor an object".to_owned()),
    }
}

fn by_index<'a>(key: &str, value: &'a Value) -> Option<(usize, &'a str)> {
    // `imagenet_class_index.json` has [wnid, name] under each index.
    let name = value.as_str().or_else(|| value.as_array()?.get(1)?.as_str())?;
    Some((key.parse().ok()?, name))
}

fn in_order(mut pairs: Vec<(usize, &str)>) -> Result<Vec<String>, String> {
    pairs.sort_unstable();
    let gap = pairs.iter().enumerate().find(|(at, (index, _))| at != index);
    match gap {
        Some((at, _)) => Err(format!("class {at} has no name, or class {} has two", at.max(1) - 1)),
        None => Ok(pairs.into_iter().map(|(_, name)| name.to_owned()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<String> {
        Labels::parse(text).unwrap().names
    }

    #[test]
    fn content_decides_how_names_are_read() {
        for (text, names) in [
            ("cat\ndog\n\n", ["cat", "dog"]),
            ("\u{FEFF}cat\r\ndog\r\n", ["cat", "dog"]),
            ("n02123045 cat, tabby\nn02084071 dog\n", ["cat, tabby", "dog"]),
            ("0 cat\n1 3D printer\n", ["cat", "3D printer"]),
            ("1 cat\n2 dog\n", ["1 cat", "2 dog"]),
            ("0\n1\n", ["0", "1"]),
            (r#"["cat", "dog"]"#, ["cat", "dog"]),
            (r#"{"1": "dog", "0": "cat"}"#, ["cat", "dog"]),
            (r#"{"cat": 0, "dog": 1}"#, ["cat", "dog"]),
            (r#"{"0": ["n01", "cat"], "1": ["n02", "dog"]}"#, ["cat", "dog"]),
        ] {
            assert_eq!(parsed(text), names, "{text}");
        }
    }

    #[test]
    fn a_map_with_holes_or_a_foreign_shape_is_refused() {
        for text in
            [r#"{"0": "a", "2": "b"}"#, r#"{"a": 0, "b": 0}"#, "[1]", "{", "", r#"{"0": 1.5}"#]
        {
            assert!(Labels::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_1001_class_case_is_named() {
        let labels = Labels::parse(&"x\n".repeat(1000)).unwrap();
        let message = labels.fit(1001, "l.txt").unwrap_err().to_string();
        assert!(message.contains("background") && message.contains("1001"), "{message}");
    }
}
