//! Which folders may take what can be made again, and putting files there that nobody else wrote.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{self as folders, Variables, named, refuse, trust};

/// A folder that may take files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheFolder {
    /// Its path, absolute.
    pub path: PathBuf,
    /// Whether it lies where others write too, so that it must belong to this user alone.
    pub private: bool,
}

/// Lists the cache folders from the most to the least wanted.
pub(crate) fn caches(variables: Variables) -> Vec<CacheFolder> {
    let shared = |path| CacheFolder { path, private: false };
    let mut folders = Vec::new();
    folders.extend(named(variables, "LINNAEUS_CACHE_DIR").map(shared));
    folders.extend(platform_cache(variables).filter(|path| may_create_in(path)).map(shared));
    folders.push(CacheFolder { path: temporary(), private: true });
    folders
}

#[cfg(windows)]
fn platform_cache(variables: Variables) -> Option<PathBuf> {
    Some(folders::absolute_only(variables, "LOCALAPPDATA")?.join("linnaeus").join("cache"))
}

#[cfg(not(windows))]
fn platform_cache(variables: Variables) -> Option<PathBuf> {
    let inside_home = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    folders::xdg_or_home(variables, "XDG_CACHE_HOME", inside_home)
}

#[cfg(unix)]
fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!("linnaeus-{}", rustix::process::geteuid().as_raw()))
}

#[cfg(not(unix))]
fn temporary() -> PathBuf {
    std::env::temp_dir().join("linnaeus")
}

/// `sudo` may keep the caller's HOME: root must not leave its own folders there, which the caller
/// could never write again.
#[cfg(unix)]
fn may_create_in(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let existing = path.ancestors().find_map(|ancestor| fs::metadata(ancestor).ok());
    !rustix::process::geteuid().is_root() || existing.is_some_and(|folder| folder.uid() == 0)
}

#[cfg(not(unix))]
fn may_create_in(_path: &Path) -> bool {
    true
}

/// Creates `leaf` in `folder`, with the parents, and vouches for it.
///
/// # Errors
/// It cannot be created, or somebody else could have written there.
pub(crate) fn create(folder: &CacheFolder, leaf: &str) -> io::Result<PathBuf> {
    if folder.private {
        create_one(&folder.path, 0o700)?;
    } else {
        fs::create_dir_all(&folder.path)?;
    }
    create_one(&folder.path.join(leaf), 0o755)?;
    vouch(folder, leaf)
}

/// Returns the path of `leaf` when nobody else can have put files into it.
///
/// # Errors
/// It does not exist, or somebody else could have written there.
pub(crate) fn vouch(folder: &CacheFolder, leaf: &str) -> io::Result<PathBuf> {
    if folder.private {
        // Not followed: a link could lead into a folder of somebody else.
        let found = fs::symlink_metadata(&folder.path)?;
        if !found.is_dir() {
            return Err(refuse(&folder.path, "is not a folder"));
        }
        trust(&folder.path, &found)?;
    }
    let path = folder.path.join(leaf);
    trust(&path, &fs::metadata(&path)?)?;
    Ok(path)
}

#[cfg(unix)]
fn create_one(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    allow_existing(fs::DirBuilder::new().mode(mode).create(path))
}

#[cfg(not(unix))]
fn create_one(path: &Path, _mode: u32) -> io::Result<()> {
    allow_existing(fs::create_dir(path))
}

fn allow_existing(made: io::Result<()>) -> io::Result<()> {
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Puts a file into `leaf` of `folder`: it appears whole, by a rename, or not at all, and others may
/// only read it. `sound` says whether a file of that name that is already there will do as well:
/// one that is in use cannot be replaced on Windows.
///
/// # Errors
/// It cannot be written.
pub(crate) fn store(
    (folder, leaf, file_name): (&CacheFolder, &str, &str),
    write: impl FnOnce(&mut fs::File) -> io::Result<()>,
    sound: impl FnOnce() -> bool,
) -> io::Result<PathBuf> {
    let leaf = create(folder, leaf)?;
    let path = leaf.join(file_name);
    let mut temporary = tempfile::Builder::new().prefix(".unpacking-").tempfile_in(&leaf)?;
    write(temporary.as_file_mut())?;
    folders::set_mode(temporary.path(), 0o644)?;
    temporary.as_file().sync_all()?;
    match temporary.persist(&path) {
        Ok(_) => Ok(path),
        Err(error) if sound() => {
            drop(error);
            Ok(path)
        }
        Err(error) => Err(error.error),
    }
}

/// What `attempt` gives for the first folder that works.
///
/// # Errors
/// What stood against each of them, as lines.
pub(crate) fn first_working<T>(
    folders: &[CacheFolder],
    attempt: impl Fn(&CacheFolder) -> io::Result<T>,
) -> Result<T, Vec<String>> {
    let mut tried = Vec::new();
    for folder in folders {
        match attempt(folder) {
            Ok(found) => return Ok(found),
            Err(error) => tried.push(format!("  {}: {error}", folder.path.display())),
        }
    }
    Err(tried)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn variables(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.into())
    }

    fn paths(pairs: &'static [(&str, &str)]) -> Vec<PathBuf> {
        caches(&variables(pairs)).into_iter().map(|folder| folder.path).collect()
    }

    #[test]
    fn the_named_cache_comes_before_xdg_before_home_before_the_temporary_one() {
        let temporary = temporary();
        let all = [("LINNAEUS_CACHE_DIR", "/c"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        let all: &'static [_] = Box::leak(Box::new(all));
        if rustix::process::geteuid().is_root() {
            assert_eq!(paths(all), [Path::new("/c"), Path::new("/x/linnaeus"), &temporary]);
        }
        assert_eq!(paths(&[]), [temporary]);
        let home = platform_cache(&variables(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")]));
        assert_eq!(home.as_deref(), Some(Path::new("/h/.cache/linnaeus")));
    }

    #[test]
    fn a_folder_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let base = tempfile::tempdir().unwrap();
        let folder = CacheFolder { path: base.path().join("private"), private: true };
        create(&folder, "leaf").unwrap();
        fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(create(&folder, "leaf").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_link_in_place_of_the_private_folder_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let folder = CacheFolder { path: base.path().join("link"), private: true };
        std::os::unix::fs::symlink(base.path(), &folder.path).unwrap();
        assert!(create(&folder, "leaf").unwrap_err().to_string().contains("is not a folder"));
    }
}
