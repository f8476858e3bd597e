//! Unpacks the carried library into a cache folder once, and checks it at every use.
//!
//! A file counts only when its SHA-256 is the pinned one, so a truncated or damaged file is simply
//! written again; it appears by a rename, so a second process sees all of it or nothing.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use flate2::read::DeflateDecoder;

use crate::{
    digest::{self, Hashing},
    folders::{
        self,
        cache::{self as places, CacheFolder},
    },
    runtime::RuntimeError,
};

/// A library carried in this executable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload {
    /// Version, part of the cache path.
    pub version: &'static str,
    /// File name to give it.
    pub file_name: &'static str,
    /// SHA-256 of the unpacked bytes, in lower-case hexadecimal.
    pub sha256: &'static str,
    /// Length of the unpacked bytes.
    pub bytes: u64,
    /// The raw deflate stream.
    pub deflated: &'static [u8],
}

/// An unpacked and checked library.
#[derive(Debug)]
pub(super) struct Placed {
    /// Where to load it from, absolute.
    pub path: PathBuf,
    /// Keeps a library that lies in memory only alive; drop it once the library is loaded.
    pub memory: Option<File>,
}

impl Payload {
    /// Name of the folder inside a cache folder; differs when the bytes differ.
    pub(super) fn leaf(&self) -> String {
        format!("onnxruntime-{}-{}", self.version, &self.sha256[..12])
    }
}

/// Unpacks `payload` into the first folder that works, unless one has it already.
///
/// # Errors
/// No folder works, nor does memory where the system allows that.
pub(super) fn place(payload: &Payload, folders: &[CacheFolder]) -> Result<Placed, RuntimeError> {
    let placed = places::first_working(folders, |folder| {
        check(payload, folder).or_else(|_| store(payload, folder))
    });
    let mut tried = match placed {
        Ok(path) => return Ok(Placed { path, memory: None }),
        Err(tried) => tried,
    };
    in_memory(payload).map_err(|error| {
        tried.push(format!("  memory: {error}"));
        RuntimeError::NoPlace { tried: tried.join("\n") }
    })
}

/// Returns the first sound copy, without writing anything.
pub(super) fn find(payload: &Payload, folders: &[CacheFolder]) -> Option<PathBuf> {
    folders.iter().find_map(|folder| check(payload, folder).ok())
}

/// Returns the path of a sound copy in `folder`.
fn check(payload: &Payload, folder: &CacheFolder) -> io::Result<PathBuf> {
    let leaf = places::vouch(folder, &payload.leaf())?;
    let path = leaf.join(payload.file_name);
    let file = File::open(&path)?;
    let found = file.metadata()?;
    folders::trust(&path, &found)?;
    if found.len() != payload.bytes {
        return Err(unsound("it has another length"));
    }
    if digest::of(file)?.1 != payload.sha256 {
        return Err(unsound("it has another SHA-256"));
    }
    Ok(path)
}

fn store(payload: &Payload, folder: &CacheFolder) -> io::Result<PathBuf> {
    places::store(
        (folder, &payload.leaf(), payload.file_name),
        |file| inflate(payload, file),
        || check(payload, folder).is_ok(),
    )
}

/// Writes the unpacked library, and refuses bytes other than the pinned ones.
fn inflate(payload: &Payload, into: impl Write) -> io::Result<()> {
    let mut hashing = Hashing::new(into);
    io::copy(&mut DeflateDecoder::new(payload.deflated), &mut hashing)?;
    let (bytes, sha256) = hashing.finish();
    if bytes != payload.bytes || sha256 != payload.sha256 {
        return Err(unsound(
            "the library inside this executable is damaged; build or fetch it again",
        ));
    }
    Ok(())
}

/// Unpacks into anonymous memory, for systems where no folder can be written or executed from.
#[cfg(target_os = "linux")]
pub(super) fn in_memory(payload: &Payload) -> io::Result<Placed> {
    use std::os::fd::AsRawFd as _;
    let memory = rustix::fs::memfd_create("onnxruntime", rustix::fs::MemfdFlags::CLOEXEC)?;
    let memory = File::from(memory);
    inflate(payload, &memory)?;
    let path = PathBuf::from("/proc/self/fd").join(memory.as_raw_fd().to_string());
    std::fs::metadata(&path)?;
    Ok(Placed { path, memory: Some(memory) })
}

/// Fails: this system cannot load a library from memory.
#[cfg(not(target_os = "linux"))]
pub(super) fn in_memory(_payload: &Payload) -> io::Result<Placed> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "not possible on this system"))
}

fn unsound(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::thread;

    use super::*;

    /// `printf 'hello hello hello' | python3 -c "import sys,zlib; c=zlib.compressobj(9,8,-15);
    /// print((c.compress(sys.stdin.buffer.read())+c.flush()).hex())"` and `sha256sum`.
    const PAYLOAD: Payload = Payload {
        version: "0.0.0",
        file_name: "libhello.so",
        sha256: "d4e10166a657fc3f93818e86c62b43bf5e8919edd4130d219009a0108b130cd9",
        bytes: 17,
        deflated: &[0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x90, 0x00],
    };

    fn folder(path: &Path) -> CacheFolder {
        CacheFolder { path: path.to_path_buf(), private: false }
    }

    fn file_in(path: &Path) -> PathBuf {
        path.join(PAYLOAD.leaf()).join(PAYLOAD.file_name)
    }

    fn names_in(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path.join(PAYLOAD.leaf())).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn the_library_is_unpacked_once_and_then_found() {
        let base = tempfile::tempdir().unwrap();
        assert_eq!(find(&PAYLOAD, &[folder(base.path())]), None);
        let placed = place(&PAYLOAD, &[folder(base.path())]).unwrap();
        assert_eq!(placed.path, file_in(base.path()));
        assert_eq!(fs::read(&placed.path).unwrap(), b"hello hello hello");
        assert_eq!(find(&PAYLOAD, &[folder(base.path())]), Some(placed.path.clone()));
        let written = fs::metadata(&placed.path).unwrap().modified().unwrap();
        let again = place(&PAYLOAD, &[folder(base.path())]).unwrap();
        assert_eq!(fs::metadata(&again.path).unwrap().modified().unwrap(), written);
        assert_eq!(names_in(base.path()), ["libhello.so"]);
    }

    #[test]
    fn a_damaged_or_truncated_copy_is_replaced() {
        let base = tempfile::tempdir().unwrap();
        let path = place(&PAYLOAD, &[folder(base.path())]).unwrap().path;
        for wrong in [&b"hello jello hello"[..], b"hello", b""] {
            fs::write(&path, wrong).unwrap();
            assert_eq!(find(&PAYLOAD, &[folder(base.path())]), None);
            place(&PAYLOAD, &[folder(base.path())]).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"hello hello hello");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_passed_over() {
        let base = tempfile::tempdir().unwrap();
        let blocked = base.path().join("file");
        fs::write(&blocked, "").unwrap();
        let good = base.path().join("good");
        let placed = place(&PAYLOAD, &[folder(&blocked), folder(&good)]).unwrap();
        assert_eq!(placed.path, file_in(&good));
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_others_can_write_is_replaced() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let base = tempfile::tempdir().unwrap();
        let path = place(&PAYLOAD, &[folder(base.path())]).unwrap().path;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        place(&PAYLOAD, &[folder(base.path())]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_serves_when_no_folder_does() {
        let nowhere = folder(Path::new("/proc/self/nowhere"));
        let placed = place(&PAYLOAD, &[nowhere]).unwrap();
        assert!(placed.path.starts_with("/proc/self/fd"));
        assert_eq!(fs::read(&placed.path).unwrap(), b"hello hello hello");
    }

    #[test]
    fn a_damaged_executable_is_named_as_such() {
        let base = tempfile::tempdir().unwrap();
        let damaged = Payload { deflated: &PAYLOAD.deflated[..8], ..PAYLOAD };
        assert!(place(&damaged, &[folder(base.path())]).is_err());
        let other = Payload { sha256: "00112233445566778899", ..PAYLOAD };
        let error = place(&other, &[folder(base.path())]).unwrap_err();
        assert!(error.to_string().contains("inside this executable is damaged"), "{error}");
    }

    #[test]
    fn threads_at_once_all_get_a_sound_copy() {
        let base = tempfile::tempdir().unwrap();
        let folders = [folder(base.path())];
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let placed = place(&PAYLOAD, &folders).unwrap();
                    assert_eq!(fs::read(placed.path).unwrap(), b"hello hello hello");
                });
            }
        });
        assert_eq!(names_in(base.path()), ["libhello.so"]);
    }
}
