//! Everything that can go wrong before ONNX Runtime answers.

use std::io;
use std::path::PathBuf;

use crate::runtime::Origin;

/// Why no ONNX Runtime could be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The file that was named cannot be seen.
    #[error(
        "the ONNX Runtime library {} ({origin}) cannot be opened; name an existing \
         library file, or leave it out to use the one linnaeus carries",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Who named it.
        origin: Origin,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A folder was named.
    #[error(
        "{} ({origin}) is not a file; name the library itself, such as {}",
        path.display(),
        path.join(crate::runtime::LIBRARY_NAMES[0]).display()
    )]
    NotAFile {
        /// What was named.
        path: PathBuf,
        /// Who named it.
        origin: Origin,
    },
    /// Anybody on the machine could have put other code there.
    #[error(
        "every user of this machine may change {} ({origin}), so it is not loaded; \
         take that right away first: chmod o-w {0}",
        path.display()
    )]
    WorldWritable {
        /// The file.
        path: PathBuf,
        /// Who named it.
        origin: Origin,
    },
    /// The file ends before its last segment does.
    #[error(
        "{} ({origin}) is only the beginning of a library; copy or download it again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Who named it.
        origin: Origin,
    },
    /// The system's loader refused the file.
    #[error(
        "{} ({origin}) is not a shared library this system can load; \
         name the ONNX Runtime library built for it",
        path.display()
    )]
    NotLoadable {
        /// The file.
        path: PathBuf,
        /// Who named it.
        origin: Origin,
        /// What the loader said.
        #[source]
        source: libloading::Error,
    },
    /// A library, but another one.
    #[error(
        "{} ({origin}) is a shared library, but not ONNX Runtime: it lacks OrtGetApiBase; \
         name the file called {} or similar",
        path.display(),
        crate::runtime::LIBRARY_NAMES[0]
    )]
    NotOnnxRuntime {
        /// The file.
        path: PathBuf,
        /// Who named it.
        origin: Origin,
    },
    /// ONNX Runtime, but older than the functions called.
    #[error(
        "{} ({origin}) is ONNX Runtime {found}, but 1.{} or newer is needed; \
         install a newer one, or leave it out to use the one linnaeus carries",
        path.display(),
        ort::MINOR_VERSION
    )]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Who named it.
        origin: Origin,
        /// The version it reports.
        found: String,
    },
    /// An installed GPU runtime lost or changed a file.
    #[error(
        "the GPU runtime in {} is incomplete: {problem}; \
         repair it with `linnaeus runtime install cuda`, or remove the folder",
        folder.display()
    )]
    BrokenInstallation {
        /// Its folder.
        folder: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// No folder took the unpacked library.
    #[error(
        "the ONNX Runtime that linnaeus carries could not be unpacked anywhere:\n{tried}\n\
         set LINNAEUS_CACHE_DIR to a folder that only you can write"
    )]
    NoPlace {
        /// One line per place, with the reason.
        tried: String,
    },
    /// Built without a library, and the system has none.
    #[error(
        "this linnaeus carries no ONNX Runtime and none was found in {searched}; \
         name one with --onnxruntime or ORT_DYLIB_PATH"
    )]
    NoneFound {
        /// Folders searched, separated by commas.
        searched: String,
    },
    /// A process can load one library only.
    #[error("this process already uses the ONNX Runtime at {}; start another", loaded.display())]
    AlreadyLoaded {
        /// The library in use.
        loaded: PathBuf,
    },
    /// ONNX Runtime refused to start.
    #[error("ONNX Runtime at {} loads but does not start", path.display())]
    Start {
        /// The library.
        path: PathBuf,
        /// What it said.
        #[source]
        source: ort::Error,
    },
}
