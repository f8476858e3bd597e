//! Where the user keeps data, and who else could have written there.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// The user's cache folder.
pub(crate) mod cache;

/// How environment variables are read; tests pass their own.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Reads a variable of this process.
pub(crate) fn process_variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Returns the folder for data worth keeping, or none when the environment names no home.
pub(crate) fn data(variables: Variables) -> Option<PathBuf> {
    named(variables, "LINNAEUS_DATA_DIR").or_else(|| platform_data(variables))
}

/// Returns the folder that one of our own variables names, made absolute.
pub(crate) fn named(variables: Variables, name: &str) -> Option<PathBuf> {
    let value = variables(name).filter(|value| !value.is_empty())?;
    std::path::absolute(PathBuf::from(value)).ok()
}

/// A folder variable of the system; relative values are void, as the XDG base directory
/// specification asks.
pub(crate) fn absolute_only(variables: Variables, name: &str) -> Option<PathBuf> {
    variables(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(windows)]
fn platform_data(variables: Variables) -> Option<PathBuf> {
    Some(absolute_only(variables, "LOCALAPPDATA")?.join("linnaeus").join("data"))
}

#[cfg(not(windows))]
fn platform_data(variables: Variables) -> Option<PathBuf> {
    let inside_home =
        if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    xdg_or_home(variables, "XDG_DATA_HOME", inside_home)
}

/// Returns the folder of the XDG variable `name`, or the one inside the home.
#[cfg(not(windows))]
pub(crate) fn xdg_or_home(variables: Variables, name: &str, inside_home: &str) -> Option<PathBuf> {
    let base = absolute_only(variables, name)
        .or_else(|| Some(absolute_only(variables, "HOME")?.join(inside_home)))?;
    Some(base.join("linnaeus"))
}

/// Whether every user of this machine may change the file.
#[cfg(unix)]
pub(crate) fn is_world_writable(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.mode() & 0o002 != 0
}

/// Never: file modes of this system do not tell.
#[cfg(not(unix))]
pub(crate) fn is_world_writable(_found: &Metadata) -> bool {
    false
}

/// Passes when only this user or the administrator can have written `path`.
///
/// # Errors
/// `PermissionDenied`, with a sentence naming the path.
#[cfg(unix)]
pub(crate) fn trust(path: &Path, found: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = found.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(refuse(path, &format!("belongs to user {owner}")));
    }
    if found.mode() & 0o022 != 0 {
        return Err(refuse(path, "can be written by others"));
    }
    Ok(())
}

/// Gives `path` these rights, whatever the process grants by default.
///
/// # Errors
/// The rights cannot be changed.
#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Does nothing: this system has other rights, which files inherit from their folder.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "fails on Unix")]
pub(crate) fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Passes always: the folders used on this system are the user's own by default.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "fails on Unix")]
pub(crate) fn trust(_path: &Path, _found: &Metadata) -> io::Result<()> {
    Ok(())
}

/// The error for a path that is not trusted.
pub(crate) fn refuse(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    fn variables(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.into())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_variable_comes_before_xdg_before_home() {
        assert_eq!(data(&variables(&[])), None);
        let found = data(&variables(&[("HOME", "/h"), ("LINNAEUS_DATA_DIR", "")]));
        assert_eq!(found.as_deref(), Some(Path::new("/h/.local/share/linnaeus")));
        let found = data(&variables(&[("HOME", "/h"), ("XDG_DATA_HOME", "/x")]));
        assert_eq!(found.as_deref(), Some(Path::new("/x/linnaeus")));
        let found = data(&variables(&[("XDG_DATA_HOME", "/x"), ("LINNAEUS_DATA_DIR", "/d")]));
        assert_eq!(found.as_deref(), Some(Path::new("/d")));
    }
}
