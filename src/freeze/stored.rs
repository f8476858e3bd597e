//! Models that were frozen once, kept in the user's cache folder by the content that they were made
//! of. A file there is named after its own SHA-256, so that a damaged one is made again; one whose
//! weights lie beside it also after theirs.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{FreezeError, Frozen, Options, Source};
use crate::{
    digest::{self, Hashing},
    folders::{
        self,
        cache::{self, CacheFolder},
    },
};

/// Counts changes of the conversion that its version does not show.
const REVISION: u32 = 3;

/// What the name of a file of weights ends in.
const WEIGHTS: &str = ".weights";

/// Most files of a cache folder that are looked at.
const MOST_FILES: usize = 64;

/// Size and SHA-256 of a model: of its file, or of the names and contents of its files.
///
/// # Errors
///
/// Reading fails.
pub fn content(file: &dyn Source) -> io::Result<(u64, String)> {
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

/// The frozen model of a model whose content has this `sha256`: found in the cache folder, or
/// frozen and put there.
///
/// # Errors
///
/// Those of [`Source::freeze`], and [`FreezeError::NoPlace`].
pub fn stored(file: &dyn Source, sha256: &str, options: Options) -> Result<PathBuf, FreezeError> {
    stored_in(&cache::caches(&folders::process_variable), (file, sha256), options)
}

fn stored_in(
    folders: &[CacheFolder],
    (file, sha256): (&dyn Source, &str),
    options: Options,
) -> Result<PathBuf, FreezeError> {
    let leaf = leaf(&format!("{sha256} {:?}", file.said()), options)?;
    if let Some(found) = folders.iter().find_map(|folder| find(folder, &leaf).ok()) {
        return Ok(found);
    }
    let Frozen { model, beside, .. } = file.freeze(options)?;
    let fail = |error: io::Error| unplaced(file, &[error.to_string()]);
    let weights =
        if beside { Some(digest_of(|to| model.write_weights(to)).map_err(fail)?) } else { None };
    let location = weights.as_ref().map(|sha256| format!("{sha256}{WEIGHTS}"));
    let head = location.as_ref().map_or_else(|| model.clone(), |location| model.detached(location));
    let sha256 = digest_of(|to| head.write(to)).map_err(fail)?;
    let name = match &weights {
        Some(weights) => format!("{sha256}-{weights}.onnx"),
        None => format!("{sha256}.onnx"),
    };
    let put = |folder: &CacheFolder| {
        // The weights first: a model that is there is complete.
        if let (Some(location), Some(sha256)) = (&location, &weights) {
            let sound =
                || is_named(&folder.path.join(&leaf).join(location), sha256).is_ok_and(|is| is);
            let write = |file: &mut File| buffered(file, |to| model.write_weights(to));
            cache::store((folder, &leaf, location), write, sound)?;
        }
        let sound = || find(folder, &leaf).is_ok();
        let write = |file: &mut File| buffered(file, |to| head.write(to));
        cache::store((folder, &leaf, &name), write, sound)
    };
    cache::first_working(folders, put).map_err(|tried| unplaced(file, &tried))
}

fn buffered(
    file: &mut File,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut to = BufWriter::new(file);
    write(&mut to)?;
    to.flush()
}

/// SHA-256 of what is written.
fn digest_of(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<String> {
    let mut hashing = Hashing::new(io::sink());
    write(&mut hashing)?;
    Ok(hashing.finish().1)
}

fn unplaced(file: &dyn Source, tried: &[String]) -> FreezeError {
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

/// Whether a model is what its name says, with its weights, and nobody else wrote it.
fn is_sound(path: &Path) -> io::Result<bool> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if path.extension().is_none_or(|extension| extension != "onnx") {
        return Ok(false);
    }
    let Some((model, weights)) = stem.split_once('-') else { return is_named(path, stem) };
    Ok(is_named(path, model)?
        && is_named(&path.with_file_name(format!("{weights}{WEIGHTS}")), weights)?)
}

/// Whether this is the SHA-256 of a file that nobody else wrote.
fn is_named(path: &Path, sha256: &str) -> io::Result<bool> {
    if sha256.len() != 64 {
        return Ok(false);
    }
    let file = File::open(path)?;
    folders::trust(path, &file.metadata()?)?;
    Ok(digest::of(file)?.1 == sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keras::KerasFile, onnx::OnnxFile};

    #[test]
    fn weights_beside_a_model_are_stored_with_it_and_made_again_when_damaged() {
        let base = tempfile::tempdir().unwrap();
        let archive = File::open("tests/models/freeze.zip").unwrap();
        let mut archive = zip::ZipArchive::new(archive).unwrap();
        archive.extract(base.path().join("models")).unwrap();
        let file = KerasFile::open(&base.path().join("models/nested_3.keras")).unwrap();
        let folder = CacheFolder { path: base.path().join("cache"), private: false };
        let folders = std::slice::from_ref(&folder);
        let (_, sha256) = content(&file).unwrap();
        let options = Options { most_bytes: 0, ..Options::default() };
        let stored = || stored_in(folders, (&file, &sha256), options).unwrap();
        let path = stored();
        let onnx = || OnnxFile::read(fs::read(&path).unwrap().into()).unwrap();
        let external = onnx().external_data();
        let weights = path.with_file_name(&external[0].location);
        assert!(onnx().external_problems(&path).is_empty(), "{external:?}");
        let whole = fs::read(&weights).unwrap();
        for damaged in [&path, &weights] {
            assert!(is_sound(&path).unwrap());
            fs::write(damaged, b"cut").unwrap();
            assert!(!is_sound(&path).unwrap());
            assert_eq!(stored(), path);
        }
        fs::remove_file(&weights).unwrap();
        assert_eq!((stored(), fs::read(&weights).unwrap()), (path.clone(), whole));
        let plain = stored_in(folders, (&file, &sha256), Options::default()).unwrap();
        assert!(plain.parent() != path.parent(), "{}", plain.display());
    }
}
