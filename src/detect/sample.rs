//! Folders, facts and statements for the unit tests beside.

use std::{collections::BTreeMap, fs};

use super::{Facts, Statement, folder::Folder};
use crate::{
    geometry::Size,
    recipe::{Element, InputSpec, Layout},
};

/// A folder with `model.onnx` and these files; it lives as long as the guard.
pub(super) fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Folder) {
    let root = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in [("model.onnx", "")].iter().chain(files) {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().expect("inside the root")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let folder = Folder::beside(&root.path().join("model.onnx")).expect("the model is there");
    (root, folder)
}

/// An image input of N×3×height×width, both open when there is no size.
pub(super) fn input(size: Option<Size>) -> InputSpec {
    let [height, width] = [size.map(|size| size.height), size.map(|size| size.width)];
    let dims = [Some(3), height, width];
    InputSpec { name: "input".into(), element: Element::F32, batch: None, dims, planar: false }
}

/// What such an input shows.
pub(super) fn facts(input: &InputSpec, classes: Option<usize>) -> Facts<'_> {
    let size = match input.dims {
        [_, Some(height), Some(width)] => Some(Size { height, width }),
        _ => None,
    };
    Facts { input, size, layout: Some(Layout::Nchw), classes }
}

/// Metadata of a model's file.
pub(super) fn metadata(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A statement's keys as the lines of a job file. Each has to have its evidence.
pub(super) fn said(statement: &Statement) -> String {
    let said = statement.recipe.said();
    let mut keys: Vec<_> = said.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    let proven: Vec<_> = statement.because.keys().copied().collect();
    assert_eq!(keys, proven, "keys and evidence of {}", statement.place);
    let lines: Vec<_> = said.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    lines.concat()
}
