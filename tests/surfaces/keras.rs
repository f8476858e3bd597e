//! Keras models.

use std::path::Path;

use linnaeus::{detect, freeze, inspect::KerasReport, keras::KerasFile, recipe::RecipeSpec};

/// Most bytes of weights of one case that are read.
const MAX_BYTES: usize = 1 << 24;

/// A Keras archive or HDF5 file.
pub fn keras(bytes: &[u8]) {
    super::with_file("model.keras", bytes, examine);
}

/// A folder with a Keras model in it.
pub fn keras_folder(files: &[(&str, &[u8])]) {
    super::with_folder(files, examine);
}

fn examine(path: &Path) {
    if let Ok(Some(report)) = KerasReport::new(path, &RecipeSpec::default()) {
        _ = (report.to_string(), serde_json::to_string(&report).unwrap());
    }
    let file = match KerasFile::open(path) {
        Ok(file) => file,
        Err(error) => return drop(error.to_string()),
    };
    _ = file.opaque_layers();
    for statement in detect::keras::statements(&file, "here") {
        super::recipe::prepare_with(&statement.recipe);
    }
    let Ok(weights) = file.weight_index() else { return };
    let mut left = MAX_BYTES;
    for weight in &weights {
        let elements = weight.shape.iter().try_fold(1usize, |all, &dim| all.checked_mul(dim));
        let Some(rest) = elements.and_then(|elements| left.checked_sub(elements)) else { continue };
        left = rest;
        _ = file.read(weight);
    }
    if left > 0 {
        match freeze::freeze(&file, freeze::Options::default()) {
            Ok(frozen) => drop(frozen.model.to_bytes()),
            Err(error) => drop(error.to_string()),
        }
    }
}
