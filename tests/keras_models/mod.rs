//! The Keras models of the tests, and what Keras itself says of them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

pub(crate) fn golden() -> Value {
    serde_json::from_str(&fs::read_to_string(tests().join("golden/keras.json")).unwrap()).unwrap()
}

/// The models, unpacked.
pub(crate) fn models() -> TempDir {
    let folder = TempDir::new().unwrap();
    let archive = fs::File::open(tests().join("models/keras.zip")).unwrap();
    zip::ZipArchive::new(archive).unwrap().extract(folder.path()).unwrap();
    folder
}
