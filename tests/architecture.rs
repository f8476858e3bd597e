//! The layout rules as tests: the module list in `lib.rs` is the data flow, each outside crate has
//! one owner, few files start threads or are unsafe, and files stay small.
//!
//! The rules are searches in the text: comments, strings and unit tests are blanked out first. Each
//! rule has a made-up text next to it that breaks it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Files of the program around the library; they see it from outside.
const BINARY: [&str; 3] = ["main", "cli", "commands"];

/// Most lines of a file, its unit tests included.
const MAX_LINES: usize = 600;

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "misc", "mod"];

/// Each outside crate, and the files and folders that alone may use it.
const OWNERS: [(&str, &[&str]); 20] = [
    ("image", &["decode/"]),
    ("libjpeg_turbo_rs", &["decode/jpeg.rs", "decode/jpeg/", "thumbnail.rs"]),
    ("minijinja", &["report.rs", "report/"]),
    ("toml", &["job.rs"]),
    ("walkdir", &["walk.rs"]),
    ("globset", &["walk.rs"]),
    ("indicatif", &["progress.rs"]),
    ("csv", &["labels/", "output.rs", "output/", "predictions.rs"]),
    ("regex", &["truth/pattern.rs"]),
    ("quick_xml", &["detect/openvino.rs"]),
    ("saphyr_parser", &["detect/yaml.rs"]),
    ("ort", &["model.rs", "engine.rs", "runtime.rs", "runtime/"]),
    ("libloading", &["runtime/"]),
    ("tokio", &["interrupt.rs"]),
    ("rayon", &["pipeline.rs", "run.rs", "thumbnail.rs"]),
    ("prost", &["onnx.rs", "onnx/", "keras/", "graphdef.rs", "graphdef/"]),
    ("zip", &["keras/archive.rs"]),
    ("hdf5_reader", &["keras/hdf5.rs"]),
    ("bytes", &["onnx.rs", "onnx/", "graphdef.rs", "graphdef/"]),
    ("clap", &["main.rs", "cli.rs", "cli/", "commands.rs", "commands/classify.rs"]),
];

/// Files that start threads: the stages, the counting for the progress bar, the signals, and the
/// bar itself, and the watch over a model's first answer; and the one that starts processes for
/// images, which the search cannot tell apart.
const THREADS: [&str; 6] =
    ["pipeline.rs", "run.rs", "interrupt.rs", "progress.rs", "engine.rs", "isolate/process.rs"];

/// Files with unsafe code.
const UNSAFE: [&str; 2] = ["resample/simd.rs", "runtime/probe.rs"];

/// One file below `src`.
struct Source {
    /// Its path from `src`, such as `decode/jpeg.rs`.
    name: String,
    text: String,
}

impl Source {
    fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    /// Names of the modules from the crate's root to this one.
    fn modules(&self) -> Vec<&str> {
        self.name.trim_end_matches(".rs").split('/').collect()
    }

    fn words(&self) -> Vec<String> {
        words(&without_tests(&blanked(&self.text)))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { &mut folders } else { &mut found }.push(path);
        }
    }
    found.sort();
    assert!(found.len() > 30, "{found:?}");
    let source = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        Source::new(&name, &fs::read_to_string(path).unwrap())
    };
    found.iter().map(source).collect()
}

/// The text with comments and the insides of literals blanked; lines stay where they are.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` when none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied().unwrap_or('\0');
    let find = |from: usize, stop: &str| {
        let stop: Vec<char> = stop.chars().collect();
        let hit = (from..chars.len()).find(|&i| chars[i..].starts_with(&stop));
        hit.map_or(chars.len(), |hit| hit + stop.len())
    };
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match (chars[at], next(1)) {
        ('/', '/') => find(at, "\n") - 1,
        ('/', '*') => find(at + 2, "*/"),
        ('r', '"' | '#') if !in_word => {
            let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
            if next(1 + hashes) != '"' {
                return at;
            }
            find(at + 2 + hashes, &format!("\"{}", "#".repeat(hashes)))
        }
        ('"', _) => {
            let mut end = at + 1;
            while end < chars.len() && chars[end] != '"' {
                end += if chars[end] == '\\' { 2 } else { 1 };
            }
            (end + 1).min(chars.len())
        }
        ('\'', '\\') => find(at + 3, "'"),
        // Otherwise a lifetime.
        ('\'', _) if next(2) == '\'' => at + 3,
        _ => at,
    }
}

/// Everything before the unit tests, which stand last in a file and may use more.
fn without_tests(text: &str) -> String {
    text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()
}

/// Identifiers, `::`, and every other character that is no space.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut joined = false;
    for c in text.chars() {
        let ident = c.is_alphanumeric() || c == '_';
        match words.last_mut() {
            Some(last)
                if joined && ident && last.chars().all(|c| c.is_alphanumeric() || c == '_') =>
            {
                last.push(c);
            }
            Some(last) if joined && c == ':' && last == ":" => last.push(c),
            _ if c.is_whitespace() => {}
            _ => words.push(c.to_string()),
        }
        joined = !c.is_whitespace();
    }
    words
}

/// The names right behind the path that ends at `at`, which is a `::`: one, or those of a group.
fn names_behind(words: &[String], at: usize) -> Vec<&str> {
    if words.get(at + 1).is_none_or(|word| word != "{") {
        return words.get(at + 1).map(String::as_str).into_iter().collect();
    }
    let (mut depth, mut names) = (0, Vec::new());
    for pair in words[at + 1..].windows(2) {
        match pair[0].as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (pair[0] == "{" || pair[0] == ",") && pair[1] != "}" {
            names.push(pair[1].as_str());
        }
    }
    names
}

/// What a file names directly below the crate's root.
fn names_at_root(source: &Source) -> BTreeSet<String> {
    let words = source.words();
    let depth = source.modules().len();
    let mut names = BTreeSet::new();
    let is = |at: usize, word: &str| words.get(at).is_some_and(|found| found == word);
    for at in 0..words.len() {
        let start_of_path = at == 0 || words[at - 1] != "::";
        let root = match words[at].as_str() {
            "crate" if is(at + 1, "::") => Some(at + 1),
            "super" if start_of_path => {
                let ups =
                    (0..).take_while(|&n| is(at + 2 * n, "super") && is(at + 2 * n + 1, "::"));
                let ups = ups.count();
                (ups >= depth).then(|| at + 2 * ups - 1)
            }
            _ => None,
        };
        if let Some(root) = root {
            names.extend(names_behind(&words, root).into_iter().map(str::to_owned));
        }
    }
    names
}

/// The modules that `lib.rs` lists, in its order.
fn module_list(lib: &str) -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    lib.lines().filter_map(name).collect()
}

/// Uses that go against the order of the list.
fn against_the_flow(order: &[String], source: &Source) -> Vec<String> {
    let module = source.modules()[0];
    if BINARY.contains(&module) || module == "lib" {
        return Vec::new();
    }
    let Some(own) = order.iter().position(|name| name == module) else {
        return vec![format!("{} belongs to no module of the list", source.name)];
    };
    names_at_root(source)
        .into_iter()
        .filter(|name| {
            let position = order.iter().position(|listed| listed == name);
            name == "*" || position.is_some_and(|position| position > own)
        })
        .map(|name| format!("{} uses {name}, which is listed after {module}", source.name))
        .collect()
}

#[test]
fn a_module_uses_only_modules_listed_before_it() {
    let sources = sources();
    let lib = sources.iter().find(|source| source.name == "lib.rs").unwrap();
    let order = module_list(&lib.text);
    assert!(order.len() > 15, "{order:?}");
    for module in &order {
        assert!(sources.iter().any(|s| s.name == format!("{module}.rs")), "{module} has no file");
    }
    let wrong: Vec<_> = sources.iter().flat_map(|s| against_the_flow(&order, s)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The search sees what is there: nearly every module uses one above it.
    let used = |module: &str| sources.iter().any(|s| names_at_root(s).contains(module));
    let unused: Vec<_> = order.iter().filter(|module| !used(module)).collect();
    assert!(unused.len() <= 6, "nobody uses {unused:?}");
}

#[test]
fn every_spelling_of_a_use_against_the_flow_is_seen() {
    let order: Vec<String> = ["error", "rank", "decode", "output", "ranking", "run"]
        .iter()
        .map(ToString::to_string)
        .collect();
    for (name, text, wrong) in [
        ("decode.rs", "use crate::run::Run;", true),
        ("decode.rs", "use crate::{error::Item, output};", true),
        ("decode.rs", "use crate::{\n    error::{Item, Run},\n    output::{self, Row},\n};", true),
        ("decode.rs", "fn f() { crate::output::write() }", true),
        ("decode.rs", "use super::output;", true),
        ("decode.rs", "use super::{error, output};", true),
        ("decode.rs", "use crate::*;", true),
        ("decode/jpeg.rs", "use super::super::output::Row;", true),
        ("decode/jpeg/cmyk.rs", "use super::super::super::{rank, output};", true),
        ("decode/jpeg.rs", "use crate :: output;", true),
        ("nowhere.rs", "", true),
        ("decode.rs", "use crate::{error::output, rank};", false),
        ("decode/jpeg.rs", "use super::output;", false),
        ("decode/jpeg/cmyk.rs", "use super::super::output;", false),
        ("decode.rs", "// use crate::output;\n/* crate::run */ let a = \"crate::run\";", false),
        ("decode.rs", "let q = '\"'; // crate::output\nlet r = '\"';", false),
        ("decode.rs", "fn f<'a>(x: &'a u8) -> &'a u8 { x } use crate::error;", false),
        ("decode.rs", "#[cfg(test)]\nmod tests { use crate::output; }", false),
        ("rank.rs", "use crate::ranking::Best;", true),
        ("ranking.rs", "use crate::rank::Best;", false),
        ("output.rs", "use crate::{decode::{run, a}, rank};", false),
        ("main.rs", "use crate::run;", false),
    ] {
        let found = against_the_flow(&order, &Source::new(name, text));
        assert_eq!(!found.is_empty(), wrong, "{name}: {text}: {found:?}");
    }
}

fn belongs(name: &str, places: &[&str]) -> bool {
    places.iter().any(|place| name == *place || place.ends_with('/') && name.starts_with(place))
}

/// Whether a file names the outside crate `owned`.
fn uses_crate(source: &Source, owned: &str) -> bool {
    let words = source.words();
    let is = |at: Option<usize>, word: &str| {
        at.and_then(|at| words.get(at)).is_some_and(|found| found == word)
    };
    (0..words.len()).any(|at| {
        let first = !is(at.checked_sub(1), "::") || is(at.checked_sub(2), ">");
        let whole = is(at.checked_sub(1), "use") || is(at.checked_sub(1), "crate");
        let behind = is(Some(at + 1), "::") || whole && !is(Some(at + 1), "::");
        words[at] == owned && first && behind
    })
}

#[test]
fn every_outside_crate_has_its_owners() {
    let sources = sources();
    for (owned, owners) in OWNERS {
        let users: Vec<_> =
            sources.iter().filter(|s| uses_crate(s, owned)).map(|s| s.name.as_str()).collect();
        let strangers: Vec<_> = users.iter().filter(|name| !belongs(name, owners)).collect();
        assert!(
            strangers.is_empty(),
            "{owned} is used by {strangers:?}, and not by {owners:?} alone"
        );
        assert!(!users.is_empty(), "nobody uses {owned}: the rule is out of date");
    }
}

#[test]
fn every_spelling_of_a_crate_is_seen() {
    for (text, seen) in [
        ("use csv::Writer;", true),
        ("use csv;", true),
        ("use csv as table;", true),
        ("extern crate csv;", true),
        ("fn f() -> csv::Result<()> { g() }", true),
        ("use ::csv::Writer;", true),
        ("use {std::fs, csv::Writer};", true),
        ("use crate::csv::Writer;", false),
        ("use image::csv::Writer;", false),
        ("let csv = 1; f(csv);", false),
        ("Format::Csv => \"csv\", // csv::Writer", false),
        ("use csv_core::Writer;", false),
        ("#[cfg(test)]\nmod tests { use csv::Writer; }", false),
    ] {
        // A leading `::` is the one form in which the crate is not first; it counts all the same.
        let found = uses_crate(&Source::new("a.rs", text), "csv")
            || words(text).windows(3).any(|w| w[0] == "use" && w[1] == "::" && w[2] == "csv");
        assert_eq!(found, seen, "{text}");
    }
    assert!(belongs("decode/raster.rs", &["decode/"]) && !belongs("decoder.rs", &["decode/"]));
    assert!(belongs("walk.rs", &["walk.rs"]) && !belongs("walk/x.rs", &["walk.rs"]));
}

#[test]
fn no_crate_is_named_with_a_leading_colon() {
    for source in sources() {
        let words = source.words();
        let hidden = words.windows(2).any(|w| w[0] == "use" && w[1] == "::");
        assert!(!hidden, "{}: `use ::x` would slip past the rule of owners", source.name);
    }
}

/// Whether a file starts threads, or pools of them.
fn starts_threads(source: &Source) -> bool {
    let words = source.words();
    words.iter().any(|word| word == "ThreadPoolBuilder" || word == "enable_steady_tick")
        || words.windows(3).any(|w| {
            let forms = [
                ("thread", &["spawn", "scope", "Builder", "{"][..]),
                ("rayon", &["spawn", "spawn_fifo", "scope", "join"]),
            ];
            let named = |(path, names): &(&str, &[&str])| {
                w[0] == *path && w[1] == "::" && names.contains(&w[2].as_str())
            };
            let method = ["spawn", "spawn_fifo", "spawn_blocking"].contains(&w[1].as_str());
            forms.iter().any(named) || w[0] == "." && method && w[2] == "("
        })
}

#[test]
fn threads_are_started_in_few_places() {
    let starters: Vec<_> = sources().into_iter().filter(starts_threads).map(|s| s.name).collect();
    let mut expected = THREADS;
    expected.sort_unstable();
    assert_eq!(starters, expected);
}

#[test]
fn every_way_to_start_a_thread_is_seen() {
    for (text, seen) in [
        ("std::thread::spawn(|| 1);", true),
        ("thread::scope(|s| 1);", true),
        ("thread::Builder::new();", true),
        ("use std::thread::{spawn};", true),
        ("scope.spawn(|| 1);", true),
        ("pool.spawn_fifo(|| 1);", true),
        ("rayon::ThreadPoolBuilder::new();", true),
        ("rayon::join(a, b);", true),
        ("bar.enable_steady_tick(interval);", true),
        ("thread::available_parallelism();", false),
        ("thread::sleep(a);", false),
        ("let spawn = 1; // thread::spawn(", false),
        ("#[cfg(test)]\nmod tests { fn f() { thread::spawn(g); } }", false),
    ] {
        assert_eq!(starts_threads(&Source::new("a.rs", text)), seen, "{text}");
    }
}

/// Lines whose unsafe block or implementation has no `SAFETY:` comment directly above it.
fn unexplained(text: &str) -> Vec<usize> {
    let code = blanked(text);
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let explained = |number: usize| {
        // The statement may have begun some lines before.
        let above = lines[..number].iter().rev();
        let before = above.skip_while(|line| {
            !line.starts_with("//") && !line.is_empty() && !line.ends_with([';', '{', '}'])
        });
        before.take_while(|line| line.starts_with("//")).any(|line| line.contains("SAFETY:"))
    };
    code.lines()
        .enumerate()
        .filter(|(_, line)| {
            let words = words(line);
            words.windows(2).any(|w| w[0] == "unsafe" && (w[1] == "{" || w[1] == "impl"))
                || words.last().is_some_and(|word| word == "unsafe")
        })
        .filter(|(number, _)| !explained(*number))
        .map(|(number, _)| number + 1)
        .collect()
}

#[test]
fn unsafe_code_is_in_few_places_and_argued_for() {
    let mut found = Vec::new();
    for source in sources() {
        // Unit tests count here.
        if words(&blanked(&source.text)).iter().any(|word| word == "unsafe") {
            let bare = unexplained(&source.text);
            assert!(bare.is_empty(), "{}: no SAFETY comment above lines {bare:?}", source.name);
            found.push(source.name);
        }
    }
    assert_eq!(found, UNSAFE);
}

#[test]
fn a_block_without_an_argument_is_seen() {
    for (text, bare) in [
        ("unsafe { f() }", &[1][..]),
        ("// SAFETY: checked above.\nunsafe { f() }", &[]),
        ("// SAFETY: checked\n// above.\nlet a =\n    unsafe { f() };", &[]),
        ("// SAFETY: that was another one.\nf();\nunsafe { f() }", &[3]),
        ("// It is fine.\nunsafe { f() }", &[2]),
        ("// SAFETY: far away.\n\nunsafe { f() }", &[3]),
        ("/// # Safety\n///\n/// Call it well.\nunsafe fn f() {}", &[]),
        ("unsafe impl Send for A {}", &[1]),
        ("let a = \"unsafe { f() }\"; // unsafe { g() }", &[]),
    ] {
        assert_eq!(unexplained(text), bare, "{text}");
    }
}

#[test]
fn files_are_small_and_named_after_what_they_hold() {
    for source in sources() {
        let lines = source.text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines: move a concept out of it", source.name);
        for module in source.modules() {
            assert!(!EMPTY_NAMES.contains(&module), "{} says nothing with its name", source.name);
        }
    }
}
