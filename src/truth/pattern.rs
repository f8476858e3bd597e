//! The class in the name of a file.

use std::fmt::Write as _;

use regex::Regex;

/// Names of the group that holds the class, in a regular expression and in a simple pattern.
const GROUPS: [&str; 4] = ["class", "label", "wnid", "index"];

/// A pattern with one named part, the class.
#[derive(Debug, Clone)]
pub struct Pattern {
    written: String,
    regex: Regex,
    group: &'static str,
    whole_path: bool,
}

impl Pattern {
    /// A name with `{class}`, `{label}`, `{wnid}` (as `n01440764`) or `{index}` (a number) in it,
    /// and `*` and `?` for what does not matter, such as `{wnid}_*.JPEG`. With a `/` it is matched
    /// with the whole path, otherwise with the file's name.
    ///
    /// # Errors
    ///
    /// A message when no part or several are named.
    pub fn simple(text: &str) -> Result<Self, String> {
        let mut regex = String::from("^");
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let named = GROUPS.iter().find(|name| rest.starts_with(&format!("{{{name}}}")));
            if let Some(&name) = named {
                let of = match name {
                    "wnid" => r"n\d{8}",
                    "index" => r"\d+",
                    _ => "[^/]+?",
                };
                let _ = write!(regex, "(?P<{name}>{of})");
                rest = &rest[name.len() + 2..];
                continue;
            }
            match first {
                '*' => regex += ".*",
                '?' => regex += ".",
                other => regex += &regex::escape(other.encode_utf8(&mut [0; 4])),
            }
            rest = &rest[first.len_utf8()..];
        }
        Self::new(text, &(regex + "$"), text.contains('/'))
    }

    /// A regular expression with one group `(?<class>…)`, matched with the whole path.
    ///
    /// # Errors
    ///
    /// A message when it is no regular expression, or has not one such group.
    pub fn regex(text: &str) -> Result<Self, String> {
        Self::new(text, text, true)
    }

    fn new(written: &str, regex: &str, whole_path: bool) -> Result<Self, String> {
        let wrong = |reason: &str| format!("`{written}` is no pattern of a truth: {reason}");
        let regex = Regex::new(regex).map_err(|error| wrong(&error.to_string()))?;
        let named =
            |name: &&'static str| regex.capture_names().flatten().any(|found| found == *name);
        let named: Vec<_> = GROUPS.into_iter().filter(named).collect();
        let &[group] = &named[..] else {
            let reason = "it names the class once, as `{class}_*.jpg`, or `(?<class>…)` in a regex";
            return Err(wrong(reason));
        };
        Ok(Self { written: written.to_owned(), regex, group, whole_path })
    }

    /// As the person wrote it.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// Whether the class is an index.
    #[must_use]
    pub fn is_index(&self) -> bool {
        self.group == "index"
    }

    /// The class in `path`, whose separators are `/`.
    #[must_use]
    pub fn class_in<'a>(&self, path: &'a str) -> Option<&'a str> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let captures = self.regex.captures(if self.whole_path { path } else { name })?;
        captures.name(self.group).map(|found| found.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_read_from_names() {
        for (pattern, path, class) in [
            ("{wnid}_*.JPEG", "val/n01440764_tench.JPEG", Some("n01440764")),
            ("{wnid}_*.JPEG", "val/tench.JPEG", None),
            ("{class}.*.jpg", "cat.12.jpg", Some("cat")),
            ("{index}-?.png", "a/7-b.png", Some("7")),
            ("{label}/*/*", "cat/home/1.jpg", Some("cat")),
            ("[{class}].jpg", "[a b].jpg", Some("a b")),
        ] {
            assert_eq!(Pattern::simple(pattern).unwrap().class_in(path), class, "{pattern} {path}");
        }
        let regex = Pattern::regex(r"/(?<class>\w+?)\d*_[^/]*$").unwrap();
        assert_eq!(regex.class_in("x/dog12_a.png"), Some("dog"));
    }

    #[test]
    fn a_pattern_names_one_class() {
        for text in ["*.jpg", "{class}_{wnid}.jpg", "{}"] {
            assert!(Pattern::simple(text).unwrap_err().contains("{class}"), "{text}");
        }
        assert!(Pattern::regex("(").is_err() && Pattern::regex("(a)").is_err());
    }
}
