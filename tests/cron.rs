//! What the README says of cron works when it is followed word for word, and so does what
//! `examples/cron` has to be copied.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

#[macro_use]
mod told;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::Command,
};

use linnaeus::{config::Config, job::Job};

mod program;

use program::{BINARY, Program, TestDir, digits, listing, repository, rows, test_model};

fn text(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap()
}

/// The blocks of `language` in a text.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opened = text.split("```").skip(1).step_by(2);
    opened.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

/// A clone in which `cargo build` has been run.
fn built_clone() -> TestDir {
    let clone = TestDir::new();
    for name in listing(&repository("jobs")) {
        clone.write(format!("jobs/{name}"), fs::read(repository("jobs").join(&name)).unwrap());
    }
    symlink(repository("examples"), clone.path("examples")).unwrap();
    fs::create_dir_all(clone.path("target/release")).unwrap();
    symlink(BINARY, clone.path("target/release/linnaeus")).unwrap();
    let cargo = clone.write("bin/cargo", "#!/bin/sh\n[ \"$*\" = 'build --release' ]\n");
    fs::set_permissions(cargo, fs::Permissions::from_mode(0o755)).unwrap();
    clone
}

#[test]
fn the_cron_section_of_the_readme_works_word_for_word() {
    let readme = text("README.md");
    let section = readme.split("\n## Cron\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let commands = blocks(section, "sh").concat();
    let clone = built_clone();
    let path = format!("{}:/usr/bin:/bin", clone.path("bin").display());
    let shell = |script: &str| {
        Program::new("sh".as_ref(), ["-euc", script]).within(&clone.path("")).env("PATH", &path)
    };
    let done = shell(&commands).exits(0);
    assert_eq!(rows(&clone.read("out/nightly.csv")).len(), 360, "{done}");

    let line = done.text().lines().last().unwrap();
    let command = line.strip_prefix("30 2 * * *  ").unwrap();
    assert!(!command.contains('%'), "{command}");
    fs::remove_dir_all(clone.path("out")).unwrap();
    // As cron does it: another folder, and hardly an environment.
    let cache = concat!("LINNAEUS_CACHE_DIR=", env!("CARGO_TARGET_TMPDIR"), "/cache");
    let home = format!("HOME={}", clone.path("").display());
    let cron = ["-i", "PATH=/usr/bin:/bin", &home, "SHELL=/bin/sh", cache, "sh", "-c", command];
    let done = Program::new("env".as_ref(), cron).within("/".as_ref()).exits(0);
    assert_eq!((done.text(), &*done.stderr), ("", ""));
    assert_eq!(rows(&clone.read("out/nightly.csv")).len(), 360);
}

#[test]
fn the_jobs_of_the_page_are_jobs() {
    let page = text("examples/cron/README.md");
    let jobs = blocks(&page, "toml");
    assert_eq!(jobs.len(), 2);
    for job in &jobs {
        Job::parse(job, "page".as_ref()).unwrap();
    }
    let job = Job::parse(jobs[0], "page".as_ref()).unwrap();
    let config = Config::resolve(job).unwrap();
    assert_eq!(config.telling.on_failure.len(), 2);
    for line in blocks(&page, "json").concat().lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["event"].is_string());
    }
}

/// Names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let names = text.split(|c| !is_name(c)).filter(|name| name.starts_with("linnaeus_"));
    names.map(str::to_owned).collect()
}

#[test]
fn every_metric_that_is_spoken_of_is_written() {
    let folder = TestDir::new();
    let flags = ["-q", "-o", "out.csv", "--metrics-file", "m.prom"];
    folder.classify(digits(), test_model("dynamic.onnx"), &flags).run();
    let written = metrics(&String::from_utf8(folder.read("m.prom")).unwrap());
    assert_eq!(metrics(&text("examples/cron/README.md")), written);
    let watched = metrics(&text("examples/cron/alerts.yml"));
    assert!(watched.len() >= 4 && watched.is_subset(&written), "{watched:?}");
}

#[test]
fn the_failure_hook_tells_what_happened() {
    let folder = TestDir::new();
    let mail = folder.write("bin/mail", "#!/bin/sh\nprintf '%s\\n' \"$@\" > sent; cat >> sent\n");
    fs::set_permissions(mail, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path("bin").display());
    let script = repository("examples/cron/tell-somebody.sh");
    let script = script.to_str().unwrap();
    let hook = [&format!("--on-failure={script}"), "--on-failure=nightly", "-o", "out.csv"];
    let program = folder.classify("gone", test_model("dynamic.onnx"), &hook);
    program.env("PATH", &path).exits(13);
    let sent = String::from_utf8(folder.read("sent")).unwrap();
    for words in ["linnaeus: nightly failed\nroot\n", "Exit status 13: ", "the input gone"] {
        assert!(sent.contains(words), "{sent}");
    }
    assert!(!sent.contains("The record"), "{sent}");
    // As systemd runs it.
    let done = Program::new(script.as_ref(), ["nightly.service"]).within(&folder.path(""));
    done.env("PATH", &path).exits(0);
    assert!(folder.read("sent").ends_with(b".\n"));
}

#[test]
fn systemd_understands_the_units() {
    if !Command::new("systemd-analyze").arg("--version").output().is_ok_and(|d| d.status.success())
    {
        return told!("skipped: no systemd-analyze");
    }
    let folder = TestDir::new();
    let units = ["linnaeus-nightly.service", "linnaeus-nightly.timer", "linnaeus-failed@.service"];
    for unit in units {
        let text = text(&format!("examples/cron/{unit}"));
        let text = text.replace("/usr/local/bin/linnaeus", BINARY);
        folder.write(unit, text.replace("/usr/local/bin/tell-somebody.sh", "/bin/true"));
    }
    let analyze = |args: &[&str]| {
        Program::new("systemd-analyze".as_ref(), args.iter().copied())
            .within(&folder.path(""))
            .env("SYSTEMD_UNIT_PATH", &format!("{}:", folder.path("").display()))
            .run()
    };
    let done =
        analyze(&["verify", "--man=no", "./linnaeus-nightly.service", "./linnaeus-nightly.timer"]);
    assert!(done.status.success(), "{done}");
    assert!(!done.stderr.contains("linnaeus"), "{done}");
    // 2.0 of 10 is what systemd calls OK.
    let args = ["security", "--offline=true", "--threshold=20", "./linnaeus-nightly.service"];
    let done = analyze(&args);
    assert!(done.status.success(), "{done}");
}
