//! Everything that reads what strangers wrote, each as a function of arbitrary bytes: no content may
//! make it panic, run for ever, or take memory out of proportion.
//!
//! `tests/fuzz.rs` calls these functions in every `cargo test`, and the targets below `tests/fuzz`
//! with what libFuzzer makes up, so that both mean the same.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unreachable_pub, missing_docs, reason = "a module here, and a library below tests/fuzz")]

use std::{fs, path::Path};

mod graph;
mod image;
mod journal;
mod keras;
mod labels;
mod model;
mod npy;
mod recipe;
mod sidecar;

pub use graph::{graph, graph_folder};
pub use image::image;
pub use journal::{base, checkpoint, freeze, listed};
pub use keras::{keras, keras_folder};
pub use labels::labels;
pub use model::{metadata, model};
pub use npy::npy;
pub use recipe::recipe;
pub use sidecar::{FILES, sidecars};

/// A number that follows from all of `bytes`: picks the options of a case (FNV-1a).
fn picked(bytes: &[u8]) -> usize {
    let mix = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix);
    usize::try_from(hash >> 33).unwrap()
}

fn with_file(name: &str, bytes: &[u8], examine: fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    examine(&path);
}

fn with_folder(files: &[(&str, &[u8])], examine: fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    examine(folder.path());
}
