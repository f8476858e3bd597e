//! Models that were frozen once, kept in the user's cache folder by the content that they were made
//! of. A file there is named after its own SHA-256, so that a damaged one is made again.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{FreezeError, Options, freeze};
use crate::{
    digest::{self, Hashing},
    folders::{
        self,
        cache::{self, CacheFolder},
    },
    keras::KerasFile,
};

/// Counts changes of the conversion that its version does not show.
const REVISION: u32 = 2;

/// Most files of a cache folder that are looked at.
const MOST_FILES: usize = 64;

/// Size and SHA-256 of a model: of its file, or of the names and contents of its files.
///
/// # Errors
///
/// Reading fails.
pub fn content(file: &KerasFile) -> io::Result<(u64, String)> {
    let parts = file.parts()?;
    if let [only] = &parts[..] {
        return digest::of(File::open(only)?);
    }
    let mut hashing = Hashing::new(io::sink());
    let mut bytes = 0;
    for part in parts {
        let mut opened = File::open(&part)?;
        let name = part.strip_prefix(file.path()).unwrap_or(&part).to_string_lossy().into_owned();
        let length = opened.metadata()?.len();
        write!(hashing, "{name}\0{length}\0")?;
        bytes += io::copy(&mut opened, &mut hashing)?;
    }
    Ok((bytes, hashing.finish().1))
}

/// The frozen model of a Keras model whose content has this `sha256`: found in the cache folder, or
/// frozen and put there.
///
/// # Errors
///
/// Those of [`freeze`], and [`FreezeError::NoPlace`].
pub fn stored(file: &KerasFile, sha256: &str, options: Options) -> Result<PathBuf, FreezeError> {
    let folders = cache::caches(&folders::process_variable);
    let leaf = leaf(sha256, options)?;
    if let Some(found) = folders.iter().find_map(|folder| find(folder, &leaf).ok()) {
        return Ok(found);
    }
    let bytes = freeze(file, options)?.model.to_bytes();
    let name =
        format!("{}.onnx", digest::of(&bytes[..]).map_err(|e| unplaced(file, &[e.to_string()]))?.1);
    let store = |folder: &CacheFolder| {
        let sound = || find(folder, &leaf).is_ok();
        cache::store((folder, &leaf, &name), |file| file.write_all(&bytes), sound)
    };
    cache::first_working(&folders, store).map_err(|tried| unplaced(file, &tried))
}

fn unplaced(file: &KerasFile, tried: &[String]) -> FreezeError {
    FreezeError::NoPlace { path: file.path().to_owned(), tried: tried.join("\n") }
}

/// The folder of one content, frozen in one way by this version.
fn leaf(sha256: &str, options: Options) -> Result<String, FreezeError> {
    let key = format!("{sha256} {options:?} {} {REVISION}", env!("CARGO_PKG_VERSION"));
    let key = digest::of(key.as_bytes())
        .map_err(|error| FreezeError::NoPlace { path: PathBuf::new(), tried: error.to_string() })?;
    Ok(format!("frozen-{}", &key.1[..32]))
}

/// A sound file in `leaf` of a cache folder.
fn find(folder: &CacheFolder, leaf: &str) -> io::Result<PathBuf> {
    let leaf = cache::vouch(folder, leaf)?;
    for entry in fs::read_dir(leaf)?.take(MOST_FILES) {
        let path = entry?.path();
        if is_sound(&path).unwrap_or(false) {
            return Ok(path);
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Whether a file is what its name says, and nobody else wrote it.
fn is_sound(path: &Path) -> io::Result<bool> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if stem.len() != 64 || path.extension().is_none_or(|extension| extension != "onnx") {
        return Ok(false);
    }
    let file = File::open(path)?;
    folders::trust(path, &file.metadata()?)?;
    Ok(digest::of(file)?.1 == stem)
}
