//! Names of the classes, from the label files that models come with.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    config::{ModelConfig, NO_LABELS},
    digest,
    error::RunError,
};

mod json;
mod lines;
pub(crate) mod literal;
pub(crate) mod text_proto;

pub(crate) use json::names_in as from_json;

/// More classes before the first label than any model has.
const MAX_OFFSET: usize = 1 << 20;

/// One name per class, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    /// The classes' `WordNet` ids; empty when none is known.
    wnids: Vec<Option<String>>,
    sha256: String,
}

/// What a label file says of one class: its name, and its `WordNet` id if that stands apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) name: String,
    pub(crate) wnid: Option<String>,
}

impl Class {
    pub(crate) fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), wnid: None }
    }

    /// The class of `[id, name]` or of the line `id name`.
    pub(crate) fn with_id(id: &str, name: impl Into<String>) -> Self {
        Self { name: name.into(), wnid: is_wnid(id).then(|| id.to_owned()) }
    }
}

/// Whether this is a `WordNet` id of a noun, such as `n01440764`.
pub(crate) fn is_wnid(text: &str) -> bool {
    let digits = text.strip_prefix('n').unwrap_or("");
    digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Puts classes in the order of their indices, which have to be `first`, `first + 1`, …
pub(crate) fn in_order(
    first: usize,
    mut classes: Vec<(usize, Class)>,
) -> Result<Vec<Class>, String> {
    classes.sort_by_key(|(index, _)| *index);
    let gap = classes.iter().enumerate().find(|(at, (index, _))| at + first != *index);
    match gap {
        Some((at, (index, _))) if *index < at + first => {
            Err(format!("class {index} has two names"))
        }
        Some((at, _)) => Err(format!("class {} has no name", at + first)),
        None => Ok(classes.into_iter().map(|(_, class)| class).collect()),
    }
}

impl Labels {
    /// The labels of the label file that the job names, if it names one.
    ///
    /// # Errors
    ///
    /// As for [`Labels::load`].
    pub fn said(config: &ModelConfig) -> Result<Option<Self>, RunError> {
        let named = config.labels.as_deref().filter(|path| path.as_os_str() != NO_LABELS);
        named.map(Self::load).transpose()
    }

    /// Reads a label file. Its content decides how:
    ///
    /// * a JSON list of names, or of objects with an id and a name;
    /// * a JSON object from index to name, from index to `[wnid, name]`
    ///   (`imagenet_class_index.json`), or from name to index;
    /// * the same as Python writes a list or dictionary;
    /// * a label map of `item { id: 1 name: "tench" }`, as TensorFlow writes it;
    /// * a CSV file whose header names an index and a name;
    /// * lines `n01440764 tench, Tinca tinca` (`synset.txt`): the `WordNet` id is kept apart;
    /// * lines `0 tench`, when the numbers are 0, 1, 2 … or 1, 2, 3 … in order: the number is
    ///   dropped;
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
        let bytes = fs::read(path)
            .map_err(|error| fail(format!("{error}\nhint: check the path under `labels`")))?;
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
        let content = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let classes = if content.trim_start().starts_with(['{', '[']) {
            let value = serde_json::from_str(content);
            let value = value
                .or_else(|error| literal::parse(content).map_err(|_| format!("bad JSON: {error}")));
            json::names_in(&value?)?
        } else if text_proto::is_label_map(content) {
            text_proto::label_map(content)?
        } else {
            lines::names_in(content)?
        };
        Self::of_classes(classes, text).ok_or_else(|| "it is empty".to_owned())
    }

    /// Names in the order of the classes; `None` when there are none.
    #[must_use]
    pub fn of_names(names: Vec<String>) -> Option<Self> {
        Self::of_unwritten(names.into_iter().map(Class::named).collect())
    }

    /// Classes that stand in a larger text, whose own names are hashed one per line.
    pub(crate) fn of_unwritten(classes: Vec<Class>) -> Option<Self> {
        let lines: String = classes.iter().flat_map(|class| [class.name.as_str(), "\n"]).collect();
        Self::of_classes(classes, &lines)
    }

    fn of_classes(classes: Vec<Class>, text: &str) -> Option<Self> {
        let known = classes.iter().any(|class| class.wnid.is_some());
        let (names, wnids): (Vec<_>, Vec<_>) =
            classes.into_iter().map(|class| (class.name, class.wnid)).unzip();
        let wnids = if known { wnids } else { Vec::new() };
        (!names.is_empty()).then(|| Self { names, wnids, sha256: sha256_of(text) })
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

    /// The classes of this name: of all of it or of the first of several, as in `tench, Tinca tinca`,
    /// without regard to case and underscores.
    #[must_use]
    pub fn classes_named(&self, wanted: &str) -> Vec<usize> {
        let wanted = plain(wanted);
        let is_meant = |name: &String| plain(name) == wanted || plain(first_name(name)) == wanted;
        (0..self.count()).filter(|&class| is_meant(&self.names[class])).collect()
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
            self.wnids.drain(..count.min(self.wnids.len()));
        } else {
            self.names.splice(0..0, std::iter::repeat_n("background".to_owned(), count));
            if !self.wnids.is_empty() {
                self.wnids.splice(0..0, std::iter::repeat_n(None, count));
            }
        }
        Ok(self)
    }

    /// The `WordNet` id of class `index`, when the label file keeps one apart from the name.
    #[must_use]
    pub fn wnid(&self, index: usize) -> Option<&str> {
        self.wnids.get(index)?.as_deref()
    }

    /// The names as JSON that [`Labels::parse`] reads: a list, or an object from index to `[wnid, name]`
    /// where ids are known.
    #[must_use]
    pub fn to_json(&self) -> Value {
        if self.wnids.is_empty() {
            return Value::from(self.names.clone());
        }
        let class = |(at, name): (usize, &String)| {
            let value = match self.wnid(at) {
                Some(wnid) => Value::from(vec![wnid, name]),
                None => Value::from(name.as_str()),
            };
            (at.to_string(), value)
        };
        self.names.iter().enumerate().map(class).collect()
    }

    /// The first class that `other` names otherwise, if only in the other's spelling of it:
    /// ids are compared where both have them, otherwise the first of several names, without
    /// regard to case and underscores.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<usize> {
        let same = |index: usize| {
            let id = |labels: &Self| {
                let name = labels.names[index].as_str();
                let own = is_wnid(name).then(|| name.to_owned());
                own.or_else(|| labels.wnid(index).map(str::to_owned))
            };
            match (id(self), id(other)) {
                (Some(one), Some(two)) => one == two,
                _ => {
                    plain(first_name(&self.names[index])) == plain(first_name(&other.names[index]))
                }
            }
        };
        let shared = self.count().min(other.count());
        let differing = (0..shared).find(|&index| !same(index));
        differing.or_else(|| (self.count() != other.count()).then_some(shared))
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

/// The first of several names of a class.
pub(crate) fn first_name(name: &str) -> &str {
    name.split(',').next().unwrap_or(name)
}

/// A name without what its spellings differ in.
pub(crate) fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '-'], " ")
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
            ("1 cat\n2 dog\n", ["cat", "dog"]),
            ("2 cat\n3 dog\n", ["2 cat", "3 dog"]),
            ("n02123045\nn02084071\n", ["n02123045", "n02084071"]),
            ("{1: \"dog's\", 0: 'cat, tabby',}", ["cat, tabby", "dog's"]),
            ("['cat', 'dog']", ["cat", "dog"]),
            (r#"[{"id": 2, "name": "dog"}, {"id": 1, "name": "cat"}]"#, ["cat", "dog"]),
            (r#"[{"index": 0, "label": "cat"}, {"index": 1, "label": "dog"}]"#, ["cat", "dog"]),
            ("item {\n  id: 2\n  name: 'dog'\n}\nitem { id: 1 name: \"cat\" }", ["cat", "dog"]),
            ("id,name\n1,dog\n0,\"cat\"\n", ["cat", "dog"]),
            ("class;label_id\ncat;1\ndog;2\n", ["cat", "dog"]),
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
        for text in [
            r#"{"0": "a", "2": "b"}"#,
            r#"{"a": 0, "b": 0}"#,
            "[1]",
            "{",
            "",
            r#"{"0": 1.5}"#,
            "item { id: 1 name: 'a' } item { id: 3 name: 'b' }",
            "id,name\n0,a\n0,b\n",
        ] {
            assert!(Labels::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn wordnet_ids_are_kept_beside_the_names() {
        let lines = Labels::parse("n02123045 cat, tabby\nn02084071 dog\n").unwrap();
        assert_eq!((lines.wnid(1), lines.wnid(2)), (Some("n02084071"), None));
        let index = Labels::parse(r#"{"0": ["n02123045", "cat"]}"#).unwrap();
        assert_eq!((index.wnid(0), index.name(0)), (Some("n02123045"), Some("cat")));
        assert_eq!(Labels::parse("cat\n").unwrap().wnid(0), None);
        let before = lines.clone().shifted(1).unwrap();
        assert_eq!((before.wnid(0), before.wnid(2)), (None, Some("n02084071")));
        assert_eq!(lines.shifted(-1).unwrap().wnid(0), Some("n02084071"));
    }

    #[test]
    fn other_spellings_of_a_class_are_no_difference() {
        let labels = |text: &str| Labels::parse(text).unwrap();
        let long = labels("n02123045 tabby, tabby cat\nn02084071 web site, website\n");
        assert_eq!(long.first_difference(&labels("Tabby\nweb_site\n")), None);
        assert_eq!(long.first_difference(&labels("n02123045\nn02084071\n")), None);
        assert_eq!(long.first_difference(&labels("web_site\ntabby\n")), Some(0));
        assert_eq!(long.first_difference(&labels("tabby\nweb site\nx\n")), Some(2));
    }

    #[test]
    fn names_from_elsewhere_are_hashed_one_per_line() {
        let names = ["cat", "dog"].map(str::to_owned).to_vec();
        let labels = Labels::of_names(names).unwrap();
        assert_eq!(labels, Labels::parse("cat\ndog\n").unwrap());
        assert_eq!(Labels::of_names(Vec::new()), None);
    }

    #[test]
    fn the_1001_class_case_is_named() {
        let labels = Labels::parse(&"x\n".repeat(1000)).unwrap();
        let message = labels.fit(1001, "l.txt").unwrap_err().to_string();
        assert!(message.contains("background") && message.contains("1001"), "{message}");
    }
}
