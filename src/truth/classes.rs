//! What a person calls a class, to its index.

use std::collections::{BTreeMap, HashMap};

use crate::labels::{Labels, first_name, plain};

/// The classes of a model as far as they are known: by their names, and what else they are called.
#[derive(Debug, Clone, Default)]
pub struct Classes {
    names: BTreeMap<u32, String>,
    wnids: HashMap<String, u32>,
    exact: HashMap<String, Vec<u32>>,
    spelled: HashMap<String, Vec<u32>>,
    synonyms: HashMap<String, String>,
    count: Option<u32>,
}

/// What a truth means as a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// This class.
    Class(u32),
    /// A name that no class has.
    Unknown,
    /// A name that several classes have.
    Ambiguous(Vec<u32>),
}

impl Classes {
    /// Classes that have `names`; `count` is how many the model has, if it is known.
    #[must_use]
    pub fn new(names: BTreeMap<u32, String>, count: Option<u32>) -> Self {
        let mut classes = Self { names, count, ..Self::default() };
        for (&class, name) in &classes.names {
            classes.exact.entry(name.clone()).or_default().push(class);
            let (whole, first) = (plain(name), plain(first_name(name)));
            classes.spelled.entry(whole.clone()).or_default().push(class);
            if first != whole {
                classes.spelled.entry(first).or_default().push(class);
            }
        }
        classes
    }

    /// Classes that a label file names.
    #[must_use]
    pub fn of_labels(labels: &Labels, count: Option<u32>) -> Self {
        let index = |class: usize| u32::try_from(class).expect("labels are fewer than 2³²");
        let names = labels.names().iter().enumerate().map(|(at, name)| (index(at), name.clone()));
        let mut classes = Self::new(names.collect(), count.or(Some(index(labels.count()))));
        let wnids =
            (0..labels.count()).filter_map(|at| Some((labels.wnid(at)?.to_owned(), index(at))));
        classes.wnids = wnids.collect();
        classes
    }

    /// What other names mean, each a name or an index of a class.
    #[must_use]
    pub fn with_synonyms(mut self, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        self.synonyms.extend(pairs.into_iter().map(|(from, to)| (plain(&from), to)));
        self
    }

    /// Names by index.
    #[must_use]
    pub fn names(&self) -> &BTreeMap<u32, String> {
        &self.names
    }

    /// How many the model has, if that is known.
    #[must_use]
    pub fn count(&self) -> Option<u32> {
        self.count
    }

    /// The name of a class, or its index where it has none.
    #[must_use]
    pub fn name(&self, class: u32) -> String {
        self.names.get(&class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// The shortest names of these classes that tell them apart: the first of several names, where two
    /// share it the whole name, and where they share that too, the index with it.
    #[must_use]
    pub fn short_names(&self, classes: &[u32]) -> BTreeMap<u32, String> {
        let first = |class: u32| first_name(&self.name(class)).trim().to_owned();
        let shared = |of: &dyn Fn(u32) -> String| {
            let mut times: HashMap<String, u32> = HashMap::new();
            for &class in classes {
                *times.entry(of(class)).or_default() += 1;
            }
            times
        };
        let (firsts, wholes) = (shared(&first), shared(&|class| self.name(class)));
        let short = |class: u32| match (first(class), self.name(class)) {
            (first, _) if firsts[&first] == 1 && !first.is_empty() => first,
            (_, whole) if wholes[&whole] == 1 => whole,
            (_, whole) => format!("{whole} ({class})"),
        };
        classes.iter().map(|&class| (class, short(class))).collect()
    }

    /// Adds classes, which must be new.
    pub fn add(&mut self, more: impl IntoIterator<Item = (u32, String)>) {
        for (class, name) in more {
            self.count = self.count.map(|count| count.max(class + 1));
            self.exact.entry(name.clone()).or_default().push(class);
            self.spelled.entry(plain(&name)).or_default().push(class);
            self.names.insert(class, name);
        }
    }

    /// The class that `text` means: by a synonym, its name, the first of several names or a `WordNet`
    /// id; a number that is no name is an index. With `index` it is an index only.
    #[must_use]
    pub fn meaning(&self, text: &str, index: bool) -> Meaning {
        let text = self.synonyms.get(&plain(text)).map_or(text, String::as_str);
        if !index {
            let found = self.exact.get(text).or_else(|| self.spelled.get(&plain(text)));
            match found.map(Vec::as_slice) {
                Some(&[class]) => return Meaning::Class(class),
                Some(several) => return Meaning::Ambiguous(several.to_vec()),
                None => {}
            }
            if let Some(&class) = self.wnids.get(text) {
                return Meaning::Class(class);
            }
        }
        let known = |class: &u32| self.count.is_none_or(|count| *class < count);
        let class = text.parse().ok().filter(known);
        class.map_or(Meaning::Unknown, Meaning::Class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_any_spelling_and_never_guessed() {
        let labels =
            Labels::parse("n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\n")
                .unwrap();
        let classes = Classes::of_labels(&labels, None).with_synonyms([
            ("Schleie".to_owned(), "tench".to_owned()),
            ("bird".into(), "1".into()),
        ]);
        for (text, index, meaning) in [
            ("tench, Tinca tinca", false, Meaning::Class(0)),
            ("Tench", false, Meaning::Class(0)),
            ("n02012849", false, Meaning::Class(1)),
            ("crane", false, Meaning::Ambiguous(vec![1, 2])),
            ("schleie", false, Meaning::Class(0)),
            ("bird", false, Meaning::Class(1)),
            ("2", false, Meaning::Class(2)),
            ("3", true, Meaning::Unknown),
            ("tench", true, Meaning::Unknown),
            ("dog", false, Meaning::Unknown),
        ] {
            assert_eq!(classes.meaning(text, index), meaning, "{text}");
        }
    }

    #[test]
    fn short_names_tell_classes_apart() {
        let names = ["tench, Tinca tinca", "crane, bird", "crane, machine", "boa", "boa"];
        let classes = Classes::new((0..).zip(names.map(str::to_owned)).collect(), None);
        let short: Vec<_> = classes.short_names(&[0, 1, 2, 3, 4, 9]).into_values().collect();
        assert_eq!(short, ["tench", "crane, bird", "crane, machine", "boa (3)", "boa (4)", "9"]);
    }

    #[test]
    fn a_name_that_is_a_number_is_a_name_first() {
        let classes = Classes::of_labels(&Labels::parse("[\"1\", \"0\"]").unwrap(), None);
        assert_eq!(classes.meaning("1", false), Meaning::Class(0));
        assert_eq!(classes.meaning("1", true), Meaning::Class(1));
        assert_eq!(Classes::default().meaning("7", false), Meaning::Class(7));
    }
}
