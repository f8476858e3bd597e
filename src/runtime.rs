//! Brings ONNX Runtime: which library to use, where it comes from, and loading it once.
//!
//! Nothing else may call an `ort` function before `Located::load` has returned: `ort` would
//! search for a library by itself and panic without one.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::folders;

#[cfg(feature = "bundled")]
mod bundle;
#[cfg(feature = "bundled")]
mod cache;
mod cuda;
mod describe;
#[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
mod elf;
mod error;
pub mod install;
mod load;
mod pip;
mod probe;
mod wheel;

pub use cuda::CudaError;
pub use describe::Description;
pub use error::RuntimeError;
pub use load::Runtime;
pub use probe::silence_telemetry;

/// File names of ONNX Runtime on this system, the most usual first.
#[cfg(target_os = "windows")]
const LIBRARY_NAMES: &[&str] = &["onnxruntime.dll"];
#[cfg(target_os = "macos")]
const LIBRARY_NAMES: &[&str] = &["libonnxruntime.dylib", "libonnxruntime.1.dylib"];
#[cfg(not(any(target_os = "windows", target_os = "macos")))]
const LIBRARY_NAMES: &[&str] = &["libonnxruntime.so", "libonnxruntime.so.1"];

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct RuntimeRequest {
    /// The library given with `--onnxruntime`.
    pub explicit: Option<PathBuf>,
    /// Whether the device may be a GPU, so that an installed GPU runtime comes before the carried
    /// library.
    pub gpu_wanted: bool,
}

/// Who decided which library is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `--onnxruntime`.
    Flag,
    /// The variable `ORT_DYLIB_PATH`.
    Environment,
    /// `linnaeus runtime install cuda`, earlier.
    Installed,
    /// It is carried in this executable.
    Bundled,
    /// The system's package manager.
    System,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Flag => "named by --onnxruntime",
            Self::Environment => "named by ORT_DYLIB_PATH",
            Self::Installed => "the installed GPU runtime",
            Self::Bundled => "carried in this executable",
            Self::System => "installed on this system",
        })
    }
}

/// A library that was decided on, but not yet loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    origin: Origin,
    /// None for the carried library, whose place is settled when it is unpacked.
    path: Option<PathBuf>,
}

impl Located {
    /// Who decided for it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns the library's absolute path, or none for the carried library.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Unpacks the library if needed, checks it, loads it, and starts ONNX Runtime.
    ///
    /// Call it before the program starts threads: it sets the variable that keeps ONNX Runtime from
    /// recording telemetry. Loading the same library again returns the same [`Runtime`].
    ///
    /// # Errors
    /// The library cannot be unpacked, loaded or started, is not ONNX Runtime, is too old, or the
    /// process already uses another one.
    pub fn load(self) -> Result<Runtime, RuntimeError> {
        load::load(self)
    }
}

/// Decides which library to use: the one named by flag, by `ORT_DYLIB_PATH`, an installed GPU
/// runtime if wanted, the carried one, or the system's when none is carried.
///
/// Looks at files, but writes and loads nothing.
///
/// # Errors
/// The named library is missing, a folder, or open to everybody; the installed GPU runtime is
/// incomplete; or there is none at all.
pub fn locate(request: &RuntimeRequest) -> Result<Located, RuntimeError> {
    locate_with(request, &folders::process_variable)
}

fn locate_with(
    request: &RuntimeRequest,
    variables: folders::Variables,
) -> Result<Located, RuntimeError> {
    let from_environment =
        || variables("ORT_DYLIB_PATH").filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = &request.explicit {
        return named(path, Origin::Flag);
    }
    if let Some(path) = from_environment() {
        return named(&path, Origin::Environment);
    }
    if request.gpu_wanted
        && let Some(path) = install::find(variables)?
    {
        return Ok(Located { origin: Origin::Installed, path: Some(path) });
    }
    carried_or_system(variables)
}

#[cfg(feature = "bundled")]
#[expect(clippy::unnecessary_wraps, reason = "fails without the feature `bundled`")]
fn carried_or_system(_variables: folders::Variables) -> Result<Located, RuntimeError> {
    Ok(Located { origin: Origin::Bundled, path: None })
}

#[cfg(not(feature = "bundled"))]
fn carried_or_system(variables: folders::Variables) -> Result<Located, RuntimeError> {
    let folders = system_folders(variables);
    let files =
        folders.iter().flat_map(|folder| LIBRARY_NAMES.iter().map(|name| folder.join(name)));
    let found = files.into_iter().find(|path| path.is_file());
    let path = found.ok_or_else(|| RuntimeError::NoneFound {
        searched: folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "),
    })?;
    named(&path, Origin::System)
}

/// Folders in which the system's loader looks; a bare name would leave the choice to it, and the
/// path unknown.
#[cfg(not(feature = "bundled"))]
fn system_folders(variables: folders::Variables) -> Vec<PathBuf> {
    let name = if cfg!(windows) {
        "PATH"
    } else if cfg!(target_os = "macos") {
        "DYLD_LIBRARY_PATH"
    } else {
        "LD_LIBRARY_PATH"
    };
    let listed = variables(name).unwrap_or_default();
    let mut folders: Vec<_> =
        std::env::split_paths(&listed).filter(|path| path.is_absolute()).collect();
    if cfg!(unix) {
        let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let usual = ["/usr/local/lib", &multiarch, "/usr/lib64", "/usr/lib", "/opt/homebrew/lib"];
        folders.extend(usual.map(PathBuf::from));
    }
    folders
}

fn named(path: &Path, origin: Origin) -> Result<Located, RuntimeError> {
    let unreadable =
        |path: &Path, source| RuntimeError::Unreadable { path: path.to_path_buf(), origin, source };
    let path = std::path::absolute(path).map_err(|source| unreadable(path, source))?;
    let found = fs::metadata(&path).map_err(|source| unreadable(&path, source))?;
    if !found.is_file() {
        return Err(RuntimeError::NotAFile { path, origin });
    }
    if folders::is_world_writable(&found) {
        return Err(RuntimeError::WorldWritable { path, origin });
    }
    Ok(Located { origin, path: Some(path) })
}

/// Returns the licence of the carried ONNX Runtime and the notices of the libraries inside it, or
/// none when this executable carries no library.
#[must_use]
pub fn licenses() -> Option<String> {
    #[cfg(feature = "bundled")]
    return Some(bundle::licenses());
    #[cfg(not(feature = "bundled"))]
    None
}

/// Version of the carried ONNX Runtime, such as `1.31.1`, or none when none is carried.
#[cfg(feature = "bundled")]
pub const BUNDLED_VERSION: Option<&str> = Some(bundle::VERSION);
/// Version of the carried ONNX Runtime, such as `1.31.1`, or none when none is carried.
#[cfg(not(feature = "bundled"))]
pub const BUNDLED_VERSION: Option<&str> = None;

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn no_variables(_name: &str) -> Option<OsString> {
        None
    }

    fn flag(path: &Path) -> RuntimeRequest {
        RuntimeRequest { explicit: Some(path.to_path_buf()), gpu_wanted: false }
    }

    #[test]
    fn the_flag_comes_before_the_variable_before_the_carried_library() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("library");
        fs::write(&path, "").unwrap();
        let value = path.clone().into_os_string();
        let variables = move |name: &str| (name == "ORT_DYLIB_PATH").then(|| value.clone());

        let found = locate_with(&flag(&path), &variables).unwrap();
        assert_eq!((found.origin(), found.path()), (Origin::Flag, Some(path.as_path())));
        let found = locate_with(&RuntimeRequest::default(), &variables).unwrap();
        assert_eq!((found.origin(), found.path()), (Origin::Environment, Some(path.as_path())));
        #[cfg(feature = "bundled")]
        {
            let empty = |_: &str| Some(OsString::new());
            let found = locate_with(&RuntimeRequest::default(), &empty).unwrap();
            assert_eq!((found.origin(), found.path()), (Origin::Bundled, None));
        }
    }

    #[test]
    fn a_missing_file_and_a_folder_are_told_apart() {
        let base = tempfile::tempdir().unwrap();
        let error = locate_with(&flag(&base.path().join("none")), &no_variables).unwrap_err();
        assert!(matches!(error, RuntimeError::Unreadable { .. }), "{error:?}");
        let error = locate_with(&flag(base.path()), &no_variables).unwrap_err();
        assert!(matches!(error, RuntimeError::NotAFile { .. }), "{error:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_library_everybody_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = locate_with(&flag(file.path()), &no_variables).unwrap_err();
        assert!(error.to_string().contains("chmod o-w"), "{error}");
    }

    #[cfg(feature = "bundled")]
    #[test]
    fn the_licences_name_their_holders() {
        let text = licenses().unwrap();
        assert!(text.contains("MIT License") && text.contains("Microsoft Corporation"));
        assert!(text.contains("protocolbuffers/protobuf"));
    }
}
