//! A model file before ONNX Runtime sees it: whether it is one, and whether it may be loaded.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    digest,
    error::{RunError, with_causes},
    memory,
    onnx::OnnxFile,
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
    /// SHA-256 of its bytes, in hexadecimal. External data files are not part of it.
    pub sha256: String,
}

impl ModelFile {
    /// Hashes a model file, and refuses what is no model at the first look.
    ///
    /// # Errors
    ///
    /// `Model` for a file that cannot be read, is empty, is a Git LFS pointer or a web page.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let fail = |reason: &str| {
            RunError::Model(format!("cannot use the model {}: {reason}", path.display()))
        };
        if path.is_dir() {
            return Self::open(&inside(path).map_err(|reason| fail(&reason))?);
        }
        // A pipe would have to be waited for, and cannot be read again by ONNX Runtime.
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(fail("it is a pipe or device\nhint: give a regular file"));
        }
        if path.metadata().is_ok_and(|found| found.len() > MOST_BYTES) {
            return Err(fail(
                "it is larger than 2 GiB, which no ONNX file can be\nhint: export the model with its \
                 weights in a file beside it (external data)",
            ));
        }
        let mut head = Vec::new();
        let hashed = File::open(path).and_then(|mut file| {
            file.by_ref().take(512).read_to_end(&mut head)?;
            digest::of(head.as_slice().chain(file))
        });
        let (bytes, sha256) = hashed.map_err(|error| fail(&error.to_string()))?;
        let text = head.trim_ascii_start();
        if text.starts_with(b"version https://git-lfs") {
            return Err(fail(
                "it is a Git LFS pointer, a few lines of text that stand for the model\n\
                 hint: run `git lfs pull` in its repository",
            ));
        }
        if text.starts_with(b"<!DOCTYPE") || text.starts_with(b"<html") {
            return Err(fail(
                "it is a web page\nhint: download the file itself, not the page about it",
            ));
        }
        if head.starts_with(b"\x89HDF") || head.starts_with(b"PK\x03\x04") {
            return Err(fail(
                "it is a Keras model or another archive, and linnaeus runs ONNX\nhint: convert it, \
                 for instance with tf2onnx; `linnaeus inspect` says what it wants to be fed",
            ));
        }
        if head.get(4..8) == Some(b"TFL3") {
            return Err(fail(
                "it is a TensorFlow Lite model, and linnaeus runs ONNX\nhint: convert it, for \
                 instance with `python -m tf2onnx.convert --tflite`",
            ));
        }
        if bytes == 0 {
            return Err(fail("it is empty"));
        }
        Ok(Self { path: path.to_owned(), bytes, sha256 })
    }
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
        let bytes = fs::read(&self.path).map_err(|error| fail(error.to_string()))?;
        OnnxFile::read(bytes.into()).map_err(|error| {
            fail(format!(
                "{}\nhint: compare its size or checksum with the original",
                with_causes(&error)
            ))
        })
    }
}

impl ModelFile {
    /// Reads the file without ONNX Runtime, and refuses what should not reach it.
    ///
    /// # Errors
    ///
    /// As for [`ModelFile::read`], and `Model` for what [`OnnxFile::refusals`] says.
    pub fn admit(&self) -> Result<OnnxFile, RunError> {
        let onnx = self.read()?;
        let refusals = onnx.refusals(&self.path, memory::limit().unwrap_or(u64::MAX));
        let Some(first) = refusals.first() else { return Ok(onnx) };
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
