//! The files beside a model: only regular ones, only small ones, and only by plain names.

use std::{
    fs::{self, File},
    io::Read,
    path::{Component, Path, PathBuf},
};

use serde_json::Value;

use crate::{detect::yaml, error::RunError};

/// Most bytes of a file that describes a model.
const MAX_BYTES: u64 = 32 << 20;
/// Most names that a folder is listed with.
const MAX_NAMES: usize = 10_000;
/// Folders in which exporters put the model alone, next to the files that describe it.
const INNER: [&str; 4] = ["onnx", "saved_model", "tflite", "1"];

/// What lies beside a model.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The model's file name without its ending.
    stem: String,
    places: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    path: PathBuf,
    /// What its files are shown with: nothing, or `../`.
    prefix: &'static str,
}

/// A file's content, and its name as shown, such as `../config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<T> {
    /// The file, from the model's folder.
    pub name: String,
    /// What it holds.
    pub content: T,
}

impl Folder {
    /// The files beside the model at `path`, or inside it when it is a folder. Where that folder is
    /// called `onnx`, `saved_model`, `tflite` or `1`, the one around it counts too.
    ///
    /// # Errors
    ///
    /// `Model` when there is no such path.
    pub fn beside(path: &Path) -> Result<Self, RunError> {
        let fail =
            |error| RunError::Model(format!("cannot use the model {}: {error}", path.display()));
        let whole = std::path::absolute(path).map_err(fail)?;
        let inside = fs::metadata(&whole).map_err(fail)?.is_dir();
        let own = if inside { Some(&*whole) } else { whole.parent() };
        let own = own.unwrap_or(Path::new("/")).to_owned();
        let name = own.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let around = own.parent().filter(|_| INNER.contains(&name)).map(Path::to_owned);
        let stem = if inside { None } else { whole.file_stem() };
        let mut places = vec![Place { path: own, prefix: "" }];
        places.extend(around.map(|path| Place { path, prefix: "../" }));
        Ok(Self {
            stem: stem.map_or(String::new(), |stem| stem.to_string_lossy().into_owned()),
            places,
        })
    }

    /// The model's file name without its ending; empty when the model is a folder.
    #[must_use]
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// The names in the model's own folder in order; the first 10,000 that are found.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.places[0].path).into_iter().flatten().flatten();
        let names = entries.take(MAX_NAMES).map(|entry| entry.file_name().into_string());
        let mut names: Vec<_> = names.flatten().collect();
        names.sort_unstable();
        names
    }

    /// Whether there is a regular file of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The text of the file of this name; `None` when there is none.
    ///
    /// # Errors
    ///
    /// A message when it is larger than 32 MiB, cannot be read, or is not UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Result<Found<String>, Problem>> {
        let (path, shown) = self.find(name)?;
        let fail = |reason: String| Problem { name: shown.clone(), reason };
        Some(match read(&path) {
            Err(reason) => Err(fail(reason)),
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => {
                    let content = text.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(text);
                    Ok(Found { name: shown, content })
                }
                Err(error) => Err(fail(format!("it is not UTF-8 ({})", error.utf8_error()))),
            },
        })
    }

    /// The JSON of the file of this name; `None` when there is none.
    ///
    /// # Errors
    ///
    /// As [`Folder::text`], and when it is no JSON.
    #[must_use]
    pub fn json(&self, name: &str) -> Option<Result<Found<Value>, Problem>> {
        self.parsed(name, |text| serde_json::from_str(text).map_err(|e| format!("bad JSON: {e}")))
    }

    /// The first document of the YAML file of this name; `None` when there is none.
    ///
    /// # Errors
    ///
    /// As [`Folder::text`], and when it is no YAML, or uses aliases.
    #[must_use]
    pub fn yaml(&self, name: &str) -> Option<Result<Found<Value>, Problem>> {
        self.parsed(name, |text| yaml::parse(text).map_err(|e| format!("bad YAML: {e}")))
    }

    fn parsed(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<Value, String>,
    ) -> Option<Result<Found<Value>, Problem>> {
        Some(self.text(name)?.and_then(|found| match parse(&found.content) {
            Ok(content) => Ok(Found { name: found.name, content }),
            Err(reason) => Err(Problem { name: found.name, reason }),
        }))
    }

    /// Which of these files lie one or two folders further out than anything is read from.
    #[must_use]
    pub fn far(&self, names: &[&str]) -> Vec<String> {
        let last = self.places.last().expect("a folder has at least its own place");
        let mut found = Vec::new();
        let mut prefix = last.prefix.to_owned();
        for outer in last.path.ancestors().skip(1).take(2) {
            prefix.push_str("../");
            let here = names.iter().filter(|name| is_file(&outer.join(name)));
            found.extend(here.map(|name| format!("{prefix}{name}")));
        }
        found
    }

    /// The file of this name in the nearest place that has one, and how it is shown.
    fn find(&self, name: &str) -> Option<(PathBuf, String)> {
        let plain = |part: Component| matches!(part, Component::Normal(_));
        if name.is_empty() || !Path::new(name).components().all(plain) {
            return None;
        }
        self.places.iter().find_map(|place| {
            let path = place.path.join(name);
            is_file(&path).then(|| (path, format!("{}{name}", place.prefix)))
        })
    }
}

/// Why a file that is there cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, from the model's folder.
    pub name: String,
    /// Why, as a lower-case sentence.
    pub reason: String,
}

/// Links are followed: caches of models are made of them.
fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is larger than {} MiB", MAX_BYTES >> 20));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let path = root.path().to_owned();
        (root, path)
    }

    #[test]
    fn the_folder_around_is_searched_where_exporters_nest() {
        let (_root, path) = folder(&[
            ("a/onnx/model.onnx", ""),
            ("a/config.json", "{}"),
            ("a/onnx/labels.txt", "cat"),
            ("signature.json", "{}"),
        ]);
        let nested = Folder::beside(&path.join("a/onnx/model.onnx")).unwrap();
        assert_eq!(nested.stem(), "model");
        assert_eq!(nested.json("config.json").unwrap().unwrap().name, "../config.json");
        assert_eq!(nested.text("labels.txt").unwrap().unwrap().content, "cat");
        assert!(!nested.has("signature.json"));
        assert_eq!(nested.far(&["signature.json"]), ["../../signature.json"]);
        assert_eq!(nested.names(), ["labels.txt", "model.onnx"]);
        let inside = Folder::beside(&path.join("a")).unwrap();
        assert!(inside.has("config.json") && inside.stem().is_empty());
        assert!(inside.has("onnx/labels.txt"));
        assert!(Folder::beside(&path.join("b")).is_err());
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_followed() {
        let (_root, path) = folder(&[("a/model.onnx", ""), ("secret", "x")]);
        let here = Folder::beside(&path.join("a/model.onnx")).unwrap();
        let absolute = path.join("secret").display().to_string();
        for name in ["../secret", "./../secret", "a/../../secret", "", "..", &absolute] {
            assert!(!here.has(name) && here.text(name).is_none(), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_name() {
        let (_root, path) = folder(&[("model.onnx", ""), ("bad.json", "{"), ("deep.json", "")]);
        fs::write(path.join("latin.json"), b"\xe9").unwrap();
        fs::write(path.join("deep.json"), "[".repeat(1 << 20)).unwrap();
        File::create(path.join("huge.json")).unwrap().set_len(MAX_BYTES + 1).unwrap();
        let here = Folder::beside(&path.join("model.onnx")).unwrap();
        for (name, word) in [
            ("bad.json", "JSON"),
            ("latin.json", "UTF-8"),
            ("deep.json", "JSON"),
            ("huge.json", "32 MiB"),
        ] {
            let problem = here.json(name).unwrap().unwrap_err();
            assert!(problem.name == name && problem.reason.contains(word), "{problem:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_no_file() {
        let (_root, path) = folder(&[("model.onnx", "")]);
        let made = std::process::Command::new("mkfifo").arg(path.join("config.json")).status();
        assert!(made.unwrap().success());
        assert!(Folder::beside(&path.join("model.onnx")).unwrap().json("config.json").is_none());
    }
}
