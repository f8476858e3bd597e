//! The executable alone, in an empty folder, with no environment, no home and no network.

#![cfg(all(target_os = "linux", feature = "bundled"))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

#[macro_use]
mod told;

use std::{fs, process::Command};

mod program;

use program::{BINARY, Program, TestDir, digits, digits_model, listing, paths};

/// `env -i`, and no network where the system lets this user have none.
fn wrapper() -> Vec<&'static str> {
    for unshare in [&["unshare", "-n"][..], &["unshare", "-r", "-n"]] {
        let works = Command::new(unshare[0]).args(&unshare[1..]).arg("true").output();
        if works.is_ok_and(|done| done.status.success()) {
            return [unshare, &["env", "-i"]].concat();
        }
    }
    told!("skipped: no `unshare -n` to take the network away with; the rest is tested");
    vec!["env", "-i"]
}

#[test]
fn the_executable_alone_classifies_the_digits() {
    let folder = TestDir::new();
    fs::create_dir(folder.path("empty")).unwrap();
    fs::copy(BINARY, folder.path("empty/linnaeus")).unwrap();
    let program = || {
        let args = ["classify".into(), digits().into()].into_iter().chain(digits_model());
        let program = Program::new("./linnaeus".as_ref(), args);
        program.within(&folder.path("empty")).through(wrapper())
    };
    let done = program().exits(0);
    assert_eq!(paths(&done.rows()), listing(&digits()));
    let usual = folder.classify(digits(), digits_model(), &[]).exits(0);
    assert!(done.stdout == usual.stdout);
    // The second time it finds what the first unpacked, and leaves nothing in its own folder.
    assert!(program().exits(0).stdout == usual.stdout);
    assert_eq!(listing(&folder.path("empty")), ["linnaeus"]);
}
