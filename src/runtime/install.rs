//! Fetches the GPU runtime once, and finds it again.
//!
//! The libraries are collected in a folder beside the final one, which gets its name only when
//! they are complete: what is interrupted never looks installed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::DeflateDecoder;
use serde::{Deserialize, Serialize};

use crate::digest::{self, Hashing};
use crate::folders;
use crate::runtime::pip::{self, PipError};
use crate::runtime::{RuntimeError, wheel};

pub(in crate::runtime) mod pins;

use pins::{PACKAGES, Package};

const MANIFEST: &str = "manifest.json";

/// What to install where.
#[derive(Debug, Clone, Default)]
pub struct InstallOptions {
    /// Folder for data instead of `LINNAEUS_DATA_DIR` or the platform's; programs find the
    /// installation only when that variable names the same folder.
    pub dir: Option<PathBuf>,
    /// Tell what would be fetched, and fetch nothing.
    pub dry_run: bool,
}

/// A complete installation, or with `dry_run` the one that would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Folder of the libraries, absolute.
    pub folder: PathBuf,
    /// Whether anything was fetched.
    pub fetched: bool,
}

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// No packages exist for this system.
    #[error(
        "the GPU runtime can be fetched for Linux on x86-64 only, and this is {} on {}; \
         name an ONNX Runtime with CUDA by --onnxruntime instead",
        std::env::consts::OS,
        std::env::consts::ARCH
    )]
    Unsupported,
    /// The environment names no home.
    #[error("there is no folder to install into: neither LINNAEUS_DATA_DIR nor HOME is set")]
    NoFolder,
    /// pip brought no wheel.
    #[error(
        "{package} could not be fetched; check that Python with pip is installed and reaches a \
         package index, then run `linnaeus runtime install cuda` again"
    )]
    Fetch {
        /// The package, with its version.
        package: String,
        /// What pip said.
        #[source]
        source: PipError,
    },
    /// A wheel could not be unpacked.
    #[error("{package} could not be unpacked into {}", folder.display())]
    Unpack {
        /// The package.
        package: &'static str,
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A folder or the manifest could not be written.
    #[error("{} cannot be written; choose another folder with LINNAEUS_DATA_DIR", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What lies in an installed folder; written last.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    packages: Vec<PackageEntry>,
    files: Vec<FileEntry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PackageEntry {
    name: String,
    version: String,
    sha256: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileEntry {
    name: String,
    bytes: u64,
    sha256: String,
}

fn below(data: &Path) -> PathBuf {
    data.join("runtime").join(format!("cuda-{}", pins::VERSION))
}

/// Returns the library of an installed GPU runtime, or none when none is installed.
///
/// Compares lengths and owners only: hashing gigabytes at every start would be felt, and
/// installing again does it.
///
/// # Errors
/// The folder exists, but a file of it is missing or has another length.
pub(in crate::runtime) fn find(
    variables: folders::Variables,
) -> Result<Option<PathBuf>, RuntimeError> {
    let installed = folders::data(variables).map(|data| below(&data));
    let Some(folder) = installed.filter(|folder| folder.exists()) else {
        return Ok(None);
    };
    match inspect(&folder, false) {
        Ok(()) => Ok(Some(folder.join(pins::LIBRARY))),
        Err(error) => Err(RuntimeError::BrokenInstallation { folder, problem: error.to_string() }),
    }
}

/// Fetches ONNX Runtime for NVIDIA GPUs with the CUDA libraries it needs (1.45 GB to download,
/// 2.0 GB on disk), or verifies what is installed. Each step is told to `progress` in a sentence.
///
/// # Errors
/// The system is not supported, a folder cannot be written, or a package cannot be fetched.
pub fn cuda(
    options: &InstallOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Installed, InstallError> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(InstallError::Unsupported);
    }
    let data = options.dir.clone().or_else(|| folders::data(&folders::process_variable));
    let data = data.and_then(|data| std::path::absolute(data).ok());
    let folder = below(&data.ok_or(InstallError::NoFolder)?);
    if folder.exists() {
        progress(&format!("verifying {}", folder.display()));
        match inspect(&folder, true) {
            Ok(()) => return Ok(Installed { folder, fetched: false }),
            Err(error) => progress(&format!("it must be fetched again: {error}")),
        }
    }
    if options.dry_run {
        for Package { wheel, megabytes, .. } in &PACKAGES {
            progress(&format!("would fetch {} {} ({megabytes} MB)", wheel.package, wheel.version));
        }
        return Ok(Installed { folder, fetched: false });
    }
    fetch_all(&folder, progress)?;
    Ok(Installed { folder, fetched: true })
}

fn fetch_all(folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), InstallError> {
    let parent = folder.parent().expect("`below` appends two names");
    let failed = |path: &Path, source| InstallError::Write { path: path.to_path_buf(), source };
    fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
    sweep(parent);
    let partial = tempfile::Builder::new()
        .prefix(&format!(".partial-{}-", std::process::id()))
        .tempdir_in(parent)
        .map_err(|error| failed(parent, error))?;
    let mut files = Vec::new();
    for (index, package) in PACKAGES.iter().enumerate() {
        let pip::Wheel { package: name, version, .. } = package.wheel;
        let (number, all, megabytes) = (index + 1, PACKAGES.len(), package.megabytes);
        progress(&format!("{number}/{all}: fetching {name} {version} ({megabytes} MB)"));
        let download = partial.path().join("download");
        let wheel =
            pip::download(&package.wheel, &download, &["--no-cache-dir"]).map_err(|source| {
                InstallError::Fetch { package: format!("{name} {version}"), source }
            })?;
        let unpacked = unpack(package, &wheel, partial.path());
        files.extend(unpacked.map_err(|source| InstallError::Unpack {
            package: name,
            folder: partial.path().to_path_buf(),
            source,
        })?);
        fs::remove_dir_all(&download).map_err(|error| failed(&download, error))?;
    }
    write_manifest(partial.path(), files).map_err(|error| failed(partial.path(), error))?;
    publish(partial.path(), folder).map_err(|error| failed(folder, error))
}

/// Removes what interrupted installations left; a living process keeps its own.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner =
            name.to_str().and_then(|name| name.strip_prefix(".partial-")?.split('-').next());
        if owner.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // What cannot be removed costs disk space only.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes the wanted libraries of a wheel, and its licences, into `folder`.
fn unpack(package: &Package, path: &Path, folder: &Path) -> io::Result<Vec<FileEntry>> {
    let mut file = File::open(path)?;
    let members = wheel::members(&mut file)?;
    let mut entries = Vec::new();
    for library in package.libraries {
        let member = members.iter().find(|member| member.name.rsplit('/').next() == Some(library));
        let member = member.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("the wheel holds no {library}"))
        })?;
        entries.push(extract(&mut file, member, folder, library)?);
    }
    for member in &members {
        let base = member.name.rsplit('/').next().unwrap_or_default();
        if ["LICENSE", "License.txt", "ThirdPartyNotices.txt"].contains(&base) {
            let name = format!("{}-{base}", package.wheel.package);
            entries.push(extract(&mut file, member, folder, &name)?);
        }
    }
    Ok(entries)
}

fn extract(
    wheel: &mut File,
    member: &wheel::Member,
    folder: &Path,
    name: &str,
) -> io::Result<FileEntry> {
    let path = folder.join(name);
    let mut hashing = Hashing::new(File::create(&path)?);
    io::copy(&mut DeflateDecoder::new(wheel::open(wheel, member)?), &mut hashing)?;
    let (bytes, sha256) = hashing.finish();
    File::open(&path)?.sync_all()?;
    Ok(FileEntry { name: name.to_owned(), bytes, sha256 })
}

fn write_manifest(folder: &Path, files: Vec<FileEntry>) -> io::Result<()> {
    let manifest = Manifest { packages: expected_packages(), files };
    let mut file = File::create(folder.join(MANIFEST))?;
    serde_json::to_writer_pretty(&mut file, &manifest)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn expected_packages() -> Vec<PackageEntry> {
    let entries = PACKAGES.iter().map(|Package { wheel, .. }| PackageEntry {
        name: wheel.package.to_owned(),
        version: wheel.version.to_owned(),
        sha256: wheel.sha256.to_owned(),
    });
    entries.collect()
}

/// Gives the complete folder its name, in place of a broken one.
fn publish(partial: &Path, folder: &Path) -> io::Result<()> {
    folders::set_mode(partial, 0o755)?;
    if folder.exists() {
        // Another process may have been faster.
        if inspect(folder, false).is_ok() {
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(folder);
        let broken = tempfile::Builder::new().prefix(".broken-").tempdir_in(parent)?;
        fs::rename(folder, broken.path().join("was"))?;
    }
    fs::rename(partial, folder)
}

/// Passes when `folder` holds the pinned packages' files, unchanged as far as `thorough` looks:
/// their lengths, or also their SHA-256.
fn inspect(folder: &Path, thorough: bool) -> io::Result<()> {
    let wrong = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    folders::trust(folder, &fs::metadata(folder)?)?;
    let Ok(text) = fs::read(folder.join(MANIFEST)) else {
        return wrong(format!("{MANIFEST} cannot be read"));
    };
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else {
        return wrong(format!("{MANIFEST} is damaged"));
    };
    if manifest.packages != expected_packages() {
        return wrong("it holds other versions than this linnaeus needs".to_owned());
    }
    for FileEntry { name, bytes, sha256 } in &manifest.files {
        let path = folder.join(name);
        let Ok(found) = fs::metadata(&path) else { return wrong(format!("{name} is missing")) };
        folders::trust(&path, &found)?;
        let same = found.len() == *bytes
            && (!thorough || File::open(&path).and_then(digest::of)?.1 == *sha256);
        if !same {
            return wrong(format!("{name} has changed"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
