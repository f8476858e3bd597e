//! A model file, as it was found; a Keras model with the ONNX model that was made of it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use tempfile::TempPath;

use crate::{
    config::ModelConfig,
    digest,
    error::{RunError, with_causes},
    freeze::{self, FreezeError, Frozen, Source},
    graphdef::GraphFile,
    keras::Fault,
    memory,
    onnx::OnnxFile,
    recipe::Layout,
};

/// Protobuf's own limit for a message.
const MOST_BYTES: u64 = 1 << 31;

/// A model file as it was found, before ONNX Runtime sees it.
#[derive(Debug, Clone, Serialize)]
pub struct ModelFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Files beside it that hold its weights, once [`ModelFile::admit`] has admitted them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<WeightsFile>,
    /// The ONNX model that was made of it, when it is a Keras model or TensorFlow graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<FrozenFile>,
    /// Whether ONNX Runtime must not fuse its padding, as [`ModelFile::admit`] found.
    #[serde(skip)]
    pub(super) keeps_padding: bool,
}

/// A file of weights beside an ONNX model (external data).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WeightsFile {
    /// Its name, as the model has it: relative to the model's folder.
    pub location: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// Where the ONNX model is that was made of a Keras model.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct FrozenFile {
    path: PathBuf,
    /// The file of its weights, when it has one and is not the cache's.
    #[serde(skip)]
    weights: Option<PathBuf>,
    /// Removes the files when nobody needs them any more, unless they are the cache's.
    #[serde(skip)]
    _kept: Vec<Arc<TempPath>>,
}

impl ModelFile {
    /// Hashes a model file, and refuses what is no model at the first look. A Keras model is frozen,
    /// unless the cache has it already.
    ///
    /// # Errors
    ///
    /// `Model` for a file that cannot be read, is empty, is a Git LFS pointer or a web page, or a
    /// Keras model that cannot be frozen.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        Self::open_for(path, freeze::Options::default())
    }

    /// The model of a job. Where a Keras model leaves the size open, the recipe's holds; and its
    /// layout, where the recipe names one.
    ///
    /// # Errors
    ///
    /// As for [`ModelFile::open`].
    pub fn of(config: &ModelConfig) -> Result<Self, RunError> {
        let Some(input) = &config.input else {
            return Self::open_for(&config.path, options(config));
        };
        let file = <dyn Source>::open(&config.path, Some(input));
        let file = file.map_err(|error| RunError::Model(with_causes(&error)))?;
        Self::of_source(&*file, options(config))
    }

    fn open_for(path: &Path, options: freeze::Options) -> Result<Self, RunError> {
        let fail = |reason: &str| {
            RunError::Model(format!("cannot use the model {}: {reason}", path.display()))
        };
        if is_keras_folder(path) || path.file_name().is_some_and(|name| name == "saved_model.pb") {
            return Self::of_keras(path, options);
        }
        if path.is_dir() {
            let inside = inside(path).map_err(|reason| fail(&reason))?;
            return Self::open_for(&inside, options);
        }
        // A pipe would have to be waited for, and cannot be read again by ONNX Runtime.
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(fail("it is a pipe or device\nhint: give a regular file"));
        }
        let mut head = Vec::new();
        let read = File::open(path).and_then(|file| file.take(512).read_to_end(&mut head));
        read.map_err(|error| fail(&format!("{error}\nhint: check the path under `model`")))?;
        if head.starts_with(b"\x89HDF") || head.starts_with(b"PK\x03\x04") {
            return Self::of_keras(path, options);
        }
        // No ONNX model begins so, and every frozen graph of TensorFlow does.
        if head.first() == Some(&0x0A) {
            match GraphFile::open(path) {
                Ok(file) => return Self::of_source(&file, options),
                Err(error) if matches!(error.fault(), Fault::Foreign { .. }) => {}
                Err(error) => return Err(RunError::Model(with_causes(&error))),
            }
        }
        if path.metadata().is_ok_and(|found| found.len() > MOST_BYTES) {
            return Err(fail(
                "it is larger than 2 GiB, which no ONNX file can be\nhint: export the model with its \
                 weights in a file beside it (external data)",
            ));
        }
        if let Some(reason) = foreign(&head) {
            return Err(fail(reason));
        }
        let hashed = File::open(path).and_then(digest::of);
        let (bytes, sha256) = hashed.map_err(|error| fail(&error.to_string()))?;
        Ok(Self::new(path.to_owned(), (bytes, sha256), None))
    }

    fn of_keras(path: &Path, options: freeze::Options) -> Result<Self, RunError> {
        let file = <dyn Source>::open(path, None);
        Self::of_source(&*file.map_err(|error| RunError::Model(with_causes(&error)))?, options)
    }

    fn of_source(file: &dyn Source, options: freeze::Options) -> Result<Self, RunError> {
        let (bytes, sha256) = content(file)?;
        let frozen = freeze::stored(file, &sha256, options).map_err(|error| refused(&error))?;
        let path = file.path().to_owned();
        let frozen = FrozenFile { path: frozen, weights: None, _kept: Vec::new() };
        Ok(Self::new(path, (bytes, sha256), Some(frozen)))
    }

    /// A Keras model or TensorFlow graph with what it was frozen to, which lies in `folder` as long as this is used.
    ///
    /// # Errors
    ///
    /// `Model` when it cannot be read, `Output` when nothing can be written to `folder`.
    pub fn with_frozen(
        file: &dyn Source,
        frozen: &Frozen,
        folder: &Path,
    ) -> Result<Self, RunError> {
        let (bytes, sha256) = content(file)?;
        let fail = |source| RunError::Output { path: folder.to_owned(), source };
        let frozen = FrozenFile::temporary(frozen, folder).map_err(fail)?;
        Ok(Self::new(file.path().to_owned(), (bytes, sha256), Some(frozen)))
    }

    fn new(path: PathBuf, (bytes, sha256): (u64, String), frozen: Option<FrozenFile>) -> Self {
        Self { path, bytes, sha256, weights: Vec::new(), frozen, keeps_padding: false }
    }

    /// The temporary file of the weights beside the model that it was frozen to.
    #[must_use]
    pub fn frozen_weights(&self) -> Option<&Path> {
        self.frozen.as_ref()?.weights.as_deref()
    }

    /// The ONNX model: the file itself, or what it was frozen to.
    #[must_use]
    pub fn onnx(&self) -> &Path {
        self.frozen.as_ref().map_or(&self.path, |frozen| &frozen.path)
    }
}

impl FrozenFile {
    fn temporary(frozen: &Frozen, folder: &Path) -> io::Result<Self> {
        let file = |suffix: &str, write: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
            let builder = &mut tempfile::Builder::new();
            builder.prefix(".freezing-").suffix(suffix);
            // One of them may stay, under its own name.
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            let temporary = builder.tempfile_in(folder)?;
            let mut to = BufWriter::new(temporary.as_file());
            write(&mut to)?;
            to.flush()?;
            drop(to);
            Ok::<_, io::Error>(temporary.into_temp_path())
        };
        let model = &frozen.model;
        if !frozen.beside {
            let kept = file(".onnx", &|to| model.write(to))?;
            return Ok(Self { path: kept.to_path_buf(), weights: None, _kept: vec![kept.into()] });
        }
        let weights = file(".onnx.data", &|to| model.write_weights(to))?;
        let location = weights.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kept = file(".onnx", &|to| model.detached(&location).write(to))?;
        Ok(Self {
            path: kept.to_path_buf(),
            weights: Some(weights.to_path_buf()),
            _kept: vec![kept.into(), weights.into()],
        })
    }
}

/// How the Keras model of a job is frozen.
#[must_use]
pub fn options(config: &ModelConfig) -> freeze::Options {
    let channels_first = config.recipe.layout == Some(Layout::Nchw);
    freeze::Options { size: config.recipe.size, channels_first, ..freeze::Options::default() }
}

fn content(file: &dyn Source) -> Result<(u64, String), RunError> {
    freeze::content(file).map_err(|error| {
        RunError::Model(format!("cannot use the model {}: {error}", file.path().display()))
    })
}

/// The error of a model that cannot be frozen.
#[must_use]
pub fn refused(error: &FreezeError) -> RunError {
    RunError::Model(with_causes(error))
}

fn is_keras_folder(path: &Path) -> bool {
    let has = |name: &str| path.join(name).is_file();
    !has("model.onnx") && (has("saved_model.pb") || has("config.json") && has("model.weights.h5"))
}

/// What a file is that begins so and is no model.
fn foreign(head: &[u8]) -> Option<&'static str> {
    let text = head.trim_ascii_start();
    if text.starts_with(b"version https://git-lfs") {
        return Some(
            "it is a Git LFS pointer, a few lines of text that stand for the model\n\
             hint: run `git lfs pull` in its repository",
        );
    }
    if text.starts_with(b"<!DOCTYPE") || text.starts_with(b"<html") {
        return Some("it is a web page\nhint: download the file itself, not the page about it");
    }
    if head.get(4..8) == Some(b"TFL3") {
        return Some(
            "it is a TensorFlow Lite model, and linnaeus runs ONNX and Keras models\nhint: give \
             the Keras model that it was made of, or convert it, for instance with \
             `python -m tf2onnx.convert --tflite`",
        );
    }
    head.is_empty().then_some("it is empty")
}

/// The model in a folder: `model.onnx` or `onnx/model.onnx`, as Hugging Face's exporters put it, or
/// the only `.onnx` there is.
fn inside(folder: &Path) -> Result<PathBuf, String> {
    let usual = ["model.onnx", "onnx/model.onnx"].map(|name| folder.join(name));
    if let Some(found) = usual.into_iter().find(|path| path.is_file()) {
        return Ok(found);
    }
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut models: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "onnx")).collect();
    models.sort_unstable();
    match &models[..] {
        [only] => Ok(only.clone()),
        [] => Err("it is a folder without a model.onnx\nhint: give the .onnx file itself".into()),
        several => {
            let names: Vec<_> = several
                .iter()
                .filter_map(|path| path.file_name())
                .map(|name| name.to_string_lossy().into_owned())
                .collect();
            Err(format!(
                "it is a folder with several models\nhint: give one of them: {}",
                names.join(", ")
            ))
        }
    }
}

impl ModelFile {
    /// Reads the file without ONNX Runtime.
    ///
    /// # Errors
    ///
    /// `Model` when it cannot be read or is no ONNX model.
    pub fn read(&self) -> Result<OnnxFile, RunError> {
        let fail = |reason: String| {
            RunError::Model(format!("cannot use the model {}: {reason}", self.path.display()))
        };
        let bytes = fs::read(self.onnx()).map_err(|error| fail(error.to_string()))?;
        OnnxFile::read(bytes.into()).map_err(|error| {
            fail(format!(
                "{}\nhint: compare its size or checksum with the original",
                with_causes(&error)
            ))
        })
    }
}

impl ModelFile {
    /// The files that hold the weights of `onnx`, each once.
    fn weights_of(&self, onnx: &OnnxFile) -> Result<Vec<WeightsFile>, RunError> {
        let folder = self.onnx().parent().unwrap_or(Path::new(""));
        let data = onnx.external_data();
        let locations: BTreeSet<_> = data.into_iter().map(|data| data.location).collect();
        let hashed = |location: String| {
            let path = folder.join(&location);
            let hashed = File::open(&path).and_then(digest::of);
            let (bytes, sha256) = hashed.map_err(|error| {
                RunError::Model(format!(
                    "cannot read {}, the weights of {}: {error}\nhint: take both from the model's \
                     maker again",
                    path.display(),
                    self.path.display()
                ))
            })?;
            Ok(WeightsFile { location, bytes, sha256 })
        };
        locations.into_iter().map(hashed).collect()
    }

    /// Reads the file without ONNX Runtime, and refuses what should not reach it. What is admitted
    /// has its [`ModelFile::weights`].
    ///
    /// # Errors
    ///
    /// As for [`ModelFile::read`], and `Model` for what [`OnnxFile::refusals`] says.
    pub fn admit(&mut self) -> Result<OnnxFile, RunError> {
        let onnx = self.read()?;
        let refusals = onnx.refusals(self.onnx(), memory::limit().unwrap_or(u64::MAX));
        let Some(first) = refusals.first() else {
            self.weights = self.weights_of(&onnx)?;
            self.keeps_padding = onnx.pads_before_max_pooling();
            return Ok(onnx);
        };
        let others = match refusals.len() - 1 {
            0 => String::new(),
            count => format!(" (and {count} more such things)"),
        };
        let hint = if onnx.external_data().is_empty() {
            "no exporter writes such a file; take the model from its maker again"
        } else {
            "weights in a second file have to lie beside the model, complete and under the name that \
             it uses"
        };
        let path = self.path.display();
        Err(RunError::Model(format!(
            "the model {path} is not loaded: {first}{others}\nhint: {hint}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model_is_refused_by_its_first_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        for (bytes, word) in [
            (&b"version https://git-lfs.github.com/spec/v1\n"[..], "git lfs pull"),
            (b"\n<!DOCTYPE html>", "web page"),
            (b"", "empty"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let message = ModelFile::open(&path).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        if cfg!(unix) {
            let message = ModelFile::open("/dev/null".as_ref()).unwrap_err().to_string();
            assert!(message.contains("device"), "{message}");
        }
    }

    #[test]
    fn a_folder_stands_for_the_one_model_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let message = || ModelFile::open(folder.path()).unwrap_err().to_string();
        assert!(message().contains("without a model.onnx"), "{}", message());
        std::fs::write(folder.path().join("b.onnx"), b"b").unwrap();
        assert_eq!(ModelFile::open(folder.path()).unwrap().bytes, 1);
        std::fs::write(folder.path().join("a.onnx"), b"a").unwrap();
        assert!(message().contains("a.onnx, b.onnx"), "{}", message());
        std::fs::write(folder.path().join("model.onnx"), b"model").unwrap();
        assert_eq!(ModelFile::open(folder.path()).unwrap().bytes, 5);
    }
}
