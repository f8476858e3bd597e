//! Loads the runtime in processes of their own: a process can load one library only, and the
//! environment of a running one cannot be changed.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "not shipped")]

#[macro_use]
mod told;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use linnaeus::runtime::{RuntimeError, RuntimeRequest, locate};

const EXPLICIT: &str = "RUNTIME_TEST_EXPLICIT";

/// Run by the other tests only; what it prints is read by `answer`.
#[test]
#[ignore = "a part of the other tests"]
fn child() {
    let explicit = std::env::var_os(EXPLICIT).map(PathBuf::from);
    let request = RuntimeRequest { explicit, gpu_wanted: true };
    let runtime = match locate(&request).and_then(linnaeus::runtime::Located::load) {
        Ok(runtime) => runtime,
        Err(error) => return println!("\nerror={error}"),
    };
    println!("\npath={}", runtime.path().display());
    println!("origin={:?}", runtime.origin());
    println!("version={}", runtime.version());
    println!("providers={}", runtime.providers().join(","));
    println!("sha256={}", runtime.sha256());
    if let Err(error) = runtime.preload_cuda() {
        println!("cuda={error}");
    }
    let again = locate(&request).unwrap().load().unwrap();
    assert_eq!(again.path(), runtime.path());
    let other = RuntimeRequest { explicit: std::env::current_exe().ok(), gpu_wanted: false };
    let error = locate(&other).unwrap().load().unwrap_err();
    assert!(matches!(error, RuntimeError::AlreadyLoaded { .. }), "{error:?}");
}

/// The child with nothing in its environment but `variables`.
fn spawn(variables: &[(&str, &Path)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--ignored", "--nocapture"]).env_clear();
    for name in ["PATH", "SystemRoot"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.envs(variables.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn answer(child: Child) -> BTreeMap<String, String> {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "the child failed: {stdout}\n{stderr}");
    let lines = stdout.lines().filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn ask(variables: &[(&str, &Path)]) -> BTreeMap<String, String> {
    answer(spawn(variables))
}

#[cfg(feature = "bundled")]
mod bundled {
    use super::*;

    #[test]
    fn processes_at_once_share_one_copy() {
        let cache = tempfile::tempdir().unwrap();
        let children: Vec<_> =
            (0..8).map(|_| spawn(&[("LINNAEUS_CACHE_DIR", cache.path())])).collect();
        let answers: Vec<_> = children.into_iter().map(answer).collect();
        for found in &answers {
            assert_eq!(found, &answers[0]);
            assert_eq!(found["version"], "1.31.1");
            assert_eq!(found["origin"], "Bundled");
            assert!(found["providers"].contains("CPUExecutionProvider"));
            assert!(found["cuda"].contains("linnaeus runtime install cuda"));
        }
        let folder = Path::new(&answers[0]["path"]).parent().unwrap();
        assert!(folder.starts_with(cache.path()));
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_copy_is_repaired() {
        let cache = tempfile::tempdir().unwrap();
        let variables = [("LINNAEUS_CACHE_DIR", cache.path())];
        let before = ask(&variables);
        let sound = fs::read(&before["path"]).unwrap();
        let mut damaged = sound.clone();
        damaged[sound.len() / 2] ^= 1;
        for wrong in [&damaged[..], &sound[..sound.len() / 3], b""] {
            fs::write(&before["path"], wrong).unwrap();
            assert_eq!(ask(&variables), before);
            assert!(fs::read(&before["path"]).unwrap() == sound);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_but_the_library_is_left_in_the_home() {
        let home = tempfile::tempdir().unwrap();
        let found = ask(&[("HOME", home.path()), ("TMPDIR", home.path())]);
        let mut left = vec![home.path().to_path_buf()];
        while !left.is_empty() && left[0].is_dir() {
            let folder = left.remove(0);
            left.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
        }
        assert_eq!(left, [PathBuf::from(&found["path"])]);
        assert!(found["path"].contains("/.cache/linnaeus/"), "{found:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn without_a_home_the_temporary_folder_serves() {
        let temporary = tempfile::tempdir().unwrap();
        let found = ask(&[("TMPDIR", temporary.path())]);
        let prefix = temporary.path().join("linnaeus-");
        assert!(found["path"].starts_with(prefix.to_str().unwrap()), "{found:?}");
        let found = ask(&[("TMPDIR", temporary.path()), ("HOME", Path::new("/proc/nowhere"))]);
        assert!(found["path"].starts_with(prefix.to_str().unwrap()), "{found:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn without_any_folder_memory_serves() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = ask(&[
            ("LINNAEUS_CACHE_DIR", file.path()),
            ("TMPDIR", Path::new("/proc/nowhere")),
            ("XDG_CACHE_HOME", Path::new("/proc/nowhere")),
        ]);
        assert!(found["path"].starts_with("/proc/self/fd/"), "{found:?}");
        assert_eq!(found["version"], "1.31.1");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_library_cut_short_is_refused_before_it_is_mapped() {
        let cache = tempfile::tempdir().unwrap();
        let library = fs::read(&ask(&[("LINNAEUS_CACHE_DIR", cache.path())])["path"]).unwrap();
        let file = cache.path().join("library.so");
        for length in [100, 5_000, 1_000_000, library.len() - 1_000_000] {
            fs::write(&file, &library[..length]).unwrap();
            let error = &ask(&[(EXPLICIT, &file)])["error"];
            assert!(error.contains("only the beginning of a library"), "{error}");
        }
    }

    #[test]
    fn the_variable_is_heeded() {
        let cache = tempfile::tempdir().unwrap();
        let library = PathBuf::from(&ask(&[("LINNAEUS_CACHE_DIR", cache.path())])["path"]);
        let found = ask(&[("ORT_DYLIB_PATH", &library)]);
        assert_eq!(found["origin"], "Environment");
        assert_eq!(Path::new(&found["path"]), library);
    }
}

#[test]
fn a_file_that_is_no_library_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("library");
    for bytes in [&b""[..], b"not a library", b"\x7fELF\x02\x01\x01"] {
        fs::write(&file, bytes).unwrap();
        let error = &ask(&[(EXPLICIT, &file)])["error"];
        assert!(error.contains("is not a shared library this system can load"), "{error}");
        assert!(error.contains(file.to_str().unwrap()), "{error}");
    }
}

/// Libraries that only look like ONNX Runtime, compiled on the spot.
#[cfg(unix)]
#[test]
fn another_library_and_an_old_one_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let Some(other) = compile(folder.path(), "other", "") else { return };
    let error = &ask(&[(EXPLICIT, &other)])["error"];
    assert!(error.contains("not ONNX Runtime"), "{error}");

    let old = r#"
        #[repr(C)]
        pub struct Base(extern "C" fn(u32) -> usize, extern "C" fn() -> *const u8);
        static BASE: Base = Base(api, version);
        extern "C" fn api(_: u32) -> usize { 0 }
        extern "C" fn version() -> *const u8 { c"1.20.1".as_ptr().cast() }
        #[unsafe(no_mangle)]
        pub extern "C" fn OrtGetApiBase() -> *const Base { &BASE }
    "#;
    let Some(old) = compile(folder.path(), "old", old) else { return };
    let error = &ask(&[(EXPLICIT, &old)])["error"];
    assert!(error.contains("is ONNX Runtime 1.20.1, but 1.24 or newer is needed"), "{error}");
}

#[cfg(unix)]
fn compile(folder: &Path, name: &str, source: &str) -> Option<PathBuf> {
    let (input, output) = (folder.join(format!("{name}.rs")), folder.join(format!("{name}.so")));
    fs::write(&input, source).unwrap();
    let compiler = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let Ok(done) = Command::new(compiler)
        .args(["--edition=2024", "--crate-type=cdylib", "-o"])
        .args([&output, &input])
        .output()
    else {
        told!("skipped: no rustc to compile a library with");
        return None;
    };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(output)
}
