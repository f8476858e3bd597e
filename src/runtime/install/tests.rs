use super::*;

/// An installation whose packages are the pinned ones and whose one file is small.
fn installation(data: &Path) -> PathBuf {
    let folder = below(data);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("library"), "abc").unwrap();
    // SHA-256 of "abc", FIPS 180-4.
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
    let files = vec![FileEntry { name: "library".to_owned(), bytes: 3, sha256 }];
    write_manifest(&folder, files).unwrap();
    folders::set_mode(&folder, 0o755).unwrap();
    folder
}

fn find_in(data: &Path) -> Result<Option<PathBuf>, RuntimeError> {
    find(&|name| (name == "LINNAEUS_DATA_DIR").then(|| data.as_os_str().to_owned()))
}

#[test]
fn an_installation_is_found_until_it_is_damaged() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(find_in(data.path()).unwrap(), None);
    let folder = installation(data.path());
    assert_eq!(find_in(data.path()).unwrap(), Some(folder.join(pins::LIBRARY)));
    assert!(inspect(&folder, true).is_ok());

    fs::write(folder.join("library"), "abd").unwrap();
    assert!(inspect(&folder, false).is_ok());
    assert!(inspect(&folder, true).unwrap_err().to_string().contains("library has changed"));
    fs::write(folder.join("library"), "ab").unwrap();
    let error = find_in(data.path()).unwrap_err().to_string();
    assert!(error.contains("library has changed") && error.contains("install cuda"), "{error}");
}

#[test]
fn a_folder_without_its_manifest_is_not_taken_for_an_installation() {
    let data = tempfile::tempdir().unwrap();
    let folder = installation(data.path());
    fs::remove_file(folder.join(MANIFEST)).unwrap();
    assert!(find_in(data.path()).is_err());
}

#[test]
fn an_installation_of_other_versions_is_not_used() {
    let data = tempfile::tempdir().unwrap();
    let folder = installation(data.path());
    let text = fs::read_to_string(folder.join(MANIFEST)).unwrap();
    fs::write(folder.join(MANIFEST), text.replace("13.0.96", "13.0.48")).unwrap();
    assert!(find_in(data.path()).unwrap_err().to_string().contains("other versions"));
}

#[test]
fn a_complete_folder_replaces_a_broken_one_and_leaves_nothing_behind() {
    let data = tempfile::tempdir().unwrap();
    let folder = installation(data.path());
    let partial = folder.with_file_name("complete");
    fs::rename(&folder, &partial).unwrap();
    fs::create_dir_all(&folder).unwrap();
    publish(&partial, &folder).unwrap();
    assert!(inspect(&folder, true).is_ok());
    assert_eq!(fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn only_leftovers_of_dead_processes_are_swept() {
    let parent = tempfile::tempdir().unwrap();
    let living = parent.path().join(format!(".partial-{}-x", std::process::id()));
    // Above the largest process number Linux gives (2^22, proc(5)).
    let dead = parent.path().join(".partial-4194305-x");
    for folder in [&living, &dead] {
        fs::create_dir(folder).unwrap();
    }
    sweep(parent.path());
    assert!(living.exists() && !dead.exists());
}

#[test]
fn a_dry_run_tells_every_package_and_writes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let options = InstallOptions { dir: Some(data.path().to_path_buf()), dry_run: true };
    let mut said = Vec::new();
    let installed = cuda(&options, &mut |line| said.push(line.to_owned()));
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        assert!(!installed.unwrap().fetched);
        assert_eq!(said.len(), PACKAGES.len());
    } else {
        assert!(matches!(installed, Err(InstallError::Unsupported)));
    }
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}
