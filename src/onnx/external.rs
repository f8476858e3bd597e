//! Weights in files beside the model: where they are said to be, and whether that is safe.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    OnnxFile,
    proto::TensorProto,
    shown,
    tensor::{byte_count, is_external},
};

/// ONNX Runtime takes this for an address in its own memory.
const MEMORY_MARKER: &str = "_ORT_MEM_ADDR_";

/// Problems that are reported; one is enough to refuse a model.
const MOST_PROBLEMS: usize = 64;

/// One tensor whose elements are in another file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExternalData {
    /// The tensor's name.
    pub tensor: String,
    /// The file, relative to the model's folder.
    pub location: String,
    /// Where the elements begin in it.
    pub offset: u64,
    /// How many bytes they take, as the file says, else by their shape.
    pub length: u64,
    /// An offset or length that is no number.
    pub malformed: Option<String>,
    /// The file, offset or length is given several times.
    pub ambiguous: bool,
}

/// Why weights cannot or should not be read from where a model says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExternalProblem {
    /// The first tensor that has it.
    pub tensor: String,
    /// The file that the model names.
    pub location: String,
    /// What is wrong.
    pub kind: ExternalProblemKind,
}

/// What is wrong with a file that a model names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExternalProblemKind {
    /// No name, or one with control characters.
    BadName,
    /// An absolute path, or one with a drive.
    Absolute,
    /// A path with `..` in it.
    Upwards,
    /// An address in memory instead of a file.
    MemoryAddress,
    /// Several files.
    Ambiguous,
    /// Through a link it is outside the model's folder.
    LeavesFolder,
    /// There is no such file.
    Missing,
    /// It is a folder, pipe or device.
    NotRegular,
    /// It cannot be looked at.
    Unreadable(String),
    /// It ends before the elements do.
    TooShort {
        /// Bytes that the model needs of it.
        needed: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// The model gives an offset or length that is no number.
    BadNumber(String),
}

impl ExternalProblemKind {
    /// Whether the file should not even be opened, as opposed to one that is missing or cut.
    #[must_use]
    pub fn is_unsafe(&self) -> bool {
        !matches!(self, Self::Missing | Self::Unreadable(_) | Self::TooShort { .. })
    }
}

impl fmt::Display for ExternalProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tensor, location) = (shown(&self.tensor), shown(&self.location));
        write!(f, "the weight `{tensor}` is said to be in `{location}`, ")?;
        match &self.kind {
            ExternalProblemKind::BadName => f.write_str("which is no file name"),
            ExternalProblemKind::Absolute => f.write_str("an absolute path"),
            ExternalProblemKind::Upwards => f.write_str("outside the model's folder"),
            ExternalProblemKind::MemoryAddress => f.write_str("an address in memory"),
            ExternalProblemKind::Ambiguous => f.write_str("and in another file, too"),
            ExternalProblemKind::LeavesFolder => {
                f.write_str("a link that leads out of the model's folder")
            }
            ExternalProblemKind::Missing => f.write_str("which is not there"),
            ExternalProblemKind::NotRegular => f.write_str("which is no regular file"),
            ExternalProblemKind::Unreadable(why) => write!(f, "which cannot be read: {why}"),
            ExternalProblemKind::TooShort { needed, found } => {
                write!(f, "which has {found} bytes and would need {needed}: it is cut or another's")
            }
            ExternalProblemKind::BadNumber(number) => {
                write!(f, "at `{}`, which is no number of bytes", shown(number))
            }
        }
    }
}

impl ExternalData {
    fn of(tensor: &TensorProto) -> Self {
        let entry = |key: &str| {
            let found = tensor.external_data.iter().rev().find(|entry| entry.key == key);
            found.map(|entry| entry.value.as_str())
        };
        let mut malformed = None;
        let mut number = |key| match entry(key).map(|text| (text, text.parse::<u64>())) {
            Some((_, Ok(number))) => Some(number),
            Some((text, Err(_))) => {
                malformed = Some(text.to_owned());
                None
            }
            None => None,
        };
        let (offset, length) = (number("offset"), number("length"));
        Self {
            tensor: tensor.name.clone(),
            location: entry("location").unwrap_or_default().to_owned(),
            offset: offset.unwrap_or(0),
            length: length.or_else(|| byte_count(tensor)).unwrap_or(0),
            malformed,
            ambiguous: ["location", "offset", "length"].into_iter().any(|key| {
                tensor.external_data.iter().filter(|entry| entry.key == key).count() > 1
            }),
        }
    }

    /// What is wrong with the reference itself, wherever the model lies.
    pub(super) fn problem_in_itself(&self) -> Option<ExternalProblemKind> {
        let location = self.location.as_str();
        let drive = location.as_bytes().get(1) == Some(&b':');
        if location.contains(MEMORY_MARKER) {
            Some(ExternalProblemKind::MemoryAddress)
        } else if location.is_empty() || location.chars().any(char::is_control) {
            Some(ExternalProblemKind::BadName)
        } else if location.starts_with(['/', '\\']) || drive {
            Some(ExternalProblemKind::Absolute)
        } else if location.split(['/', '\\']).any(|part| part == "..") {
            Some(ExternalProblemKind::Upwards)
        } else if self.ambiguous {
            Some(ExternalProblemKind::Ambiguous)
        } else if let Some(number) = &self.malformed {
            Some(ExternalProblemKind::BadNumber(number.clone()))
        } else if self.offset.checked_add(self.length).is_none() {
            Some(ExternalProblemKind::BadNumber(self.length.to_string()))
        } else {
            None
        }
    }

    /// What is wrong with the file, when the model is in `folder`.
    fn problem_in(&self, folder: &Path, roots: &[PathBuf]) -> Option<ExternalProblemKind> {
        let path = match fs::canonicalize(folder.join(&self.location)) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Some(ExternalProblemKind::Missing);
            }
            Err(error) => return Some(ExternalProblemKind::Unreadable(error.to_string())),
        };
        if !roots.iter().any(|root| path.starts_with(root)) {
            return Some(ExternalProblemKind::LeavesFolder);
        }
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) => return Some(ExternalProblemKind::Unreadable(error.to_string())),
        };
        let needed = self.offset.saturating_add(self.length);
        if !found.is_file() {
            Some(ExternalProblemKind::NotRegular)
        } else if found.len() < needed {
            Some(ExternalProblemKind::TooShort { needed, found: found.len() })
        } else {
            None
        }
    }
}

impl OnnxFile {
    /// Every tensor whose elements are in another file, also of inner graphs.
    #[must_use]
    pub fn external_data(&self) -> Vec<ExternalData> {
        self.tensors().filter(|tensor| is_external(tensor)).map(ExternalData::of).collect()
    }

    /// Looks at the files that the model at `path` takes its weights from, without opening them.
    /// At most one problem of a kind for each file,
    /// and 64 in all.
    ///
    /// A link may lead to where the model itself really is: download caches link both into one
    /// folder.
    #[must_use]
    pub fn external_problems(&self, path: &Path) -> Vec<ExternalProblem> {
        let parent = |path: &Path| match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let folder = parent(path);
        let real = fs::canonicalize(path).ok().map(|path| parent(&path));
        let roots: Vec<_> = fs::canonicalize(&folder).ok().into_iter().chain(real).collect();
        let mut problems: Vec<ExternalProblem> = Vec::new();
        for data in self.external_data() {
            if problems.len() == MOST_PROBLEMS {
                break;
            }
            let problem = data.problem_in_itself().or_else(|| data.problem_in(&folder, &roots));
            let Some(kind) = problem else { continue };
            let known = |known: &ExternalProblem| {
                let same = std::mem::discriminant(&known.kind) == std::mem::discriminant(&kind);
                known.location == data.location && same
            };
            if !problems.iter().any(known) {
                let ExternalData { tensor, location, .. } = data;
                problems.push(ExternalProblem { tensor, location, kind });
            }
        }
        problems
    }
}
