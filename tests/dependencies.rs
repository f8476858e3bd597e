//! What the program is made of: licences, sources and names of every dependency. Advisories are not
//! looked up: their database is not in the package registry.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use serde_json::Value;

/// Licences that a binary under MIT may carry when it names them, as `linnaeus licenses` does.
const ALLOWED: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that would need more than Rust and a C compiler, or that read formats in C that were a
/// source of advisories.
const BANNED: [&str; 6] =
    ["cmake", "hdf5-sys", "nasm-rs", "native-tls", "openssl-sys", "pkg-config"];

/// The packages of the default build, for every platform.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Whether one of the alternatives of an SPDX expression is allowed, each of its parts being so.
/// Parentheses are read for the forms that occur: `A AND (B OR C)` and `(A OR B) AND C`.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    if expression.contains('(') {
        return split_outside_parentheses(&expression, " AND ").iter().all(|part| {
            let inner = part.trim().trim_start_matches('(').trim_end_matches(')');
            inner != expression && is_allowed(inner)
        });
    }
    let all = |part: &str| part.split(" AND ").all(|name| ALLOWED.contains(&name.trim()));
    expression.split(" OR ").any(all)
}

fn split_outside_parentheses<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= start && text[at..].starts_with(separator) => {
                parts.push(&text[start..at]);
                start = at + separator.len();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[test]
fn every_dependency_has_a_licence_that_may_be_shipped() {
    let packages = packages();
    assert!(packages.len() > 50, "only {} packages", packages.len());
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(is_allowed(licence), "{}: {licence}", package["name"]);
    }
}

#[test]
fn every_dependency_is_from_the_registry_and_none_is_banned() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let source = package["source"].as_str().unwrap_or("path");
        assert!(name == "linnaeus" || source.starts_with("registry+"), "{name} is from {source}");
        assert!(!BANNED.contains(&name), "{name} is banned");
    }
}

#[test]
fn licence_expressions_are_read() {
    for allowed in [
        "MIT",
        "Unlicense/MIT",
        "GPL-3.0 OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        "BSD-3-Clause AND (MIT OR GPL-2.0)",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in
        ["none", "GPL-3.0", "MIT AND GPL-2.0", "(MIT OR ISC) AND AGPL-3.0", "AGPL-3.0-only"]
    {
        assert!(!is_allowed(refused), "{refused}");
    }
}
