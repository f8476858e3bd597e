//! What lies in folders: odd names, odd kinds of files, and folders that change meanwhile. Every
//! candidate is a row, and nothing blocks or crashes a run.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

#[macro_use]
mod told;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, SystemTime},
};

use linnaeus::output::decode_name;

mod program;

use program::{
    Program, Row, TestDir, digits, digits_model, listing, paths, repository, rows, test_model,
};

fn image() -> std::path::PathBuf {
    digits().join("3/0879.png")
}

/// A folder with the image under each of `names`.
fn with_images(names: &[&str]) -> TestDir {
    let folder = TestDir::new();
    for name in names {
        folder.link(&image(), format!("in/{name}"));
    }
    folder
}

fn classify(folder: &TestDir, flags: &[&str]) -> Program {
    folder.classify("in", digits_model(), flags)
}

fn endings(rows: &[Row]) -> Vec<(&str, &str)> {
    rows.iter().map(Row::ending).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn pipes_sockets_and_devices_are_never_opened() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = with_images(&["a.png"]);
    let make = |name: &str, kind| {
        let mode = Mode::from_raw_mode(0o644);
        // Number 1:5 is /dev/zero, which never ends.
        mknodat(CWD, folder.path(format!("in/{name}")), kind, mode, rustix::fs::makedev(1, 5))
    };
    let mut expected = vec![("a.png", "ok")];
    for (name, kind) in [("pipe.jpg", FileType::Fifo), ("pipe", FileType::Fifo)] {
        make(name, kind).unwrap();
    }
    make("socket.jpg", FileType::Socket).unwrap();
    expected.push(("pipe.jpg", "not_regular"));
    expected.push(("socket.jpg", "not_regular"));
    if make("zero.jpg", FileType::CharacterDevice).is_ok() {
        expected.push(("zero.jpg", "not_regular"));
    } else {
        told!("skipped: only root can make a device");
    }
    let done = classify(&folder, &[]).exits(3).says(&["1 skipped (pipe, socket or device)"]);
    assert_eq!(endings(&done.rows()), expected);
    let every = classify(&folder, &["--every-file"]).exits(3);
    assert_eq!(every.rows().len(), expected.len() + 1);
    // Named outright, a pipe is a row, too.
    let named = folder.classify("in/pipe", digits_model(), &[]).exits(3);
    assert_eq!(endings(&named.rows()), [("in/pipe", "not_regular")]);
}

#[test]
fn links_are_followed_only_when_asked() {
    let folder = with_images(&["a.png", "z/b.png"]);
    folder.link(&image(), "elsewhere/c.png");
    symlink("a.png", folder.path("in/link.png")).unwrap();
    symlink("gone", folder.path("in/nowhere.png")).unwrap();
    symlink("../elsewhere", folder.path("in/other")).unwrap();
    symlink("..", folder.path("in/z/up")).unwrap();
    let done = classify(&folder, &[]).exits(0).says(&["4 skipped (symbolic link, not followed)"]);
    assert_eq!(paths(&done.rows()), ["a.png", "z/b.png"]);

    let followed = classify(&folder, &["--follow-symlinks"]).exits(3).rows();
    let expected = [
        ("a.png", "ok"),
        ("link.png", "ok"),
        ("nowhere.png", "unreadable"),
        ("other/c.png", "ok"),
        ("z/b.png", "ok"),
        ("z/up", "symlink_loop"),
    ];
    assert_eq!(endings(&followed), expected);

    let every = classify(&folder, &["--every-file"]).exits(3).rows();
    assert_eq!(every.iter().filter(|row| row["status"] == *"not_regular").count(), 4);
}

#[test]
fn an_input_that_is_itself_a_link_is_followed() {
    let folder = with_images(&["a.png"]);
    symlink("in", folder.path("link")).unwrap();
    let done = folder.classify("link", digits_model(), &[]).exits(0);
    assert_eq!(paths(&done.rows()), ["a.png"]);
}

#[test]
fn hidden_names_are_left_out_unless_asked() {
    let folder = with_images(&[".a.png", ".b/c.png", "d.png"]);
    assert_eq!(paths(&classify(&folder, &[]).exits(0).rows()), ["d.png"]);
    let all = classify(&folder, &["--hidden"]).exits(0);
    assert_eq!(paths(&all.rows()), [".a.png", ".b/c.png", "d.png"]);
}

#[test]
fn patterns_choose_files_and_folders() {
    let folder = with_images(&["a.png", "b.jpg", "sub/a.png", "sub/b.jpg", "thumbs/a.png"]);
    let chosen = |flags: &[&str]| {
        let done = classify(&folder, flags).exits(0);
        paths(&done.rows()).join(" ")
    };
    assert_eq!(chosen(&["--include", "*.jpg"]), "b.jpg sub/b.jpg");
    assert_eq!(chosen(&["--include", "sub/*"]), "sub/a.png sub/b.jpg");
    assert_eq!(
        chosen(&["--include", "*.jpg", "--include", "thumbs/**"]),
        "b.jpg sub/b.jpg thumbs/a.png"
    );
    assert_eq!(chosen(&["--exclude", "thumbs", "--exclude", "*.jpg"]), "a.png sub/a.png");
    assert_eq!(chosen(&["--include", "a.*", "--exclude", "sub"]), "a.png thumbs/a.png");
}

#[test]
fn content_decides_not_the_extension() {
    let folder = with_images(&["a.jpg", "b.txt", "c", "d.tar.gz"]);
    folder.write("in/e.txt", "text");
    folder.write("in/f.png", "text");
    folder.write("in/g.JPG", "");
    folder.write("in/h", "");
    let done = classify(&folder, &[]).exits(3).says(&["2 skipped (not an image)"]);
    let candidates = [
        ("a.jpg", "ok"),
        ("b.txt", "ok"),
        ("c", "ok"),
        ("d.tar.gz", "ok"),
        ("f.png", "not_an_image"),
        ("g.JPG", "empty"),
    ];
    assert_eq!(endings(&done.rows()), candidates);

    let every = classify(&folder, &["--every-file"]).exits(3).rows();
    assert_eq!(paths(&every), listing(&folder.path("in")));
    assert_eq!(every[4].ending(), ("e.txt", "not_an_image"));
    assert_eq!(every[7].ending(), ("h", "empty"));
}

#[test]
fn limits_are_rows_that_name_their_key() {
    let folder = with_images(&["a.png"]);
    for (flags, key) in [
        (["--max-file-bytes", "20"], "max-file-bytes"),
        (["--max-pixels", "63"], "max-pixels"),
        (["--decode-memory", "10"], "decode-memory"),
    ] {
        let row = &classify(&folder, &flags).exits(3).rows()[0];
        assert_eq!(row["status"], *"too_large", "{key}");
        assert!(row["message"].contains(key), "{row:?}");
    }
    classify(&folder, &["--max-pixels", "64"]).exits(0);
}

#[test]
fn an_image_of_another_size_is_a_row() {
    let folder = with_images(&["a.png"]);
    folder.link(&repository("tests/images/formula/h4w5.png"), "in/b.png");
    let rows = classify(&folder, &[]).exits(3).rows();
    assert_eq!(endings(&rows), [("a.png", "ok"), ("b.png", "bad_geometry")]);
}

/// The program without the right of root to read everything; none when that cannot be taken away.
fn unprivileged(program: Program) -> Option<Program> {
    if !rustix::process::geteuid().is_root() {
        return Some(program);
    }
    let drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
    let works = Command::new(drop[0]).arg(drop[1]).arg("true").status();
    if works.is_ok_and(|status| status.success()) {
        return Some(program.through(drop));
    }
    told!("skipped: permissions do not bind root, and there is no setpriv");
    None
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_may_not_be_read_is_a_row_and_a_forbidden_input_is_13() {
    let folder = with_images(&["a.png", "closed/b.png", "z.png"]);
    folder.write("in/c.png", fs::read(image()).unwrap());
    folder.write("in/d", fs::read(image()).unwrap());
    for name in ["c.png", "d", "closed"] {
        set_mode(&folder.path(format!("in/{name}")), 0o000);
    }
    folder.write("out.csv", "the old rows");
    let closed = folder.path("in/closed");
    if let Some(program) = unprivileged(classify(&folder, &[])) {
        let rows = program.exits(3).rows();
        let expected = [
            ("a.png", "ok"),
            ("c.png", "unreadable"),
            ("closed", "unreadable"),
            ("d", "unreadable"),
            ("z.png", "ok"),
        ];
        assert_eq!(endings(&rows), expected);
        assert!(rows[1]["message"].contains("ermission denied"), "{:?}", rows[1]);
        let both = ["classify", "in", "in/closed", "-o", "out.csv"].map(Into::into);
        let program = folder.program(both.into_iter().chain(digits_model()));
        unprivileged(program).unwrap().exits(13).says(&["in/closed"]);
        assert_eq!(folder.read("out.csv"), b"the old rows");
    }
    set_mode(&closed, 0o700);
}

/// Names that break careless programs. The file system says which of them can be.
const NAMES: [&[u8]; 17] = [
    b"plain.png",
    b"with space.png",
    b"comma,.png",
    b"quote\".png",
    b"apostrophe'.png",
    b"line\nbreak.png",
    b"return\r.png",
    b"tab\t.png",
    b"=1+1.png",
    b"+1.png",
    b"-1.png",
    b"@a.png",
    b"\t.png",
    b"100%41.png",
    b"\xFFodd\xFE%.png",
    b"=\xFF.png",
    "\u{e9}\u{4e2d}\u{1f600}.png".as_bytes(),
];

#[test]
fn every_name_comes_back_from_its_row() {
    let folder = TestDir::new();
    let mut long = vec![b'x'; 251];
    long.extend(b".png");
    let deep = ["a"; 120].join("/") + "/b.png";
    let mut names: Vec<Vec<u8>> = NAMES.map(<[u8]>::to_vec).into();
    names.extend([long, deep.into_bytes()]);
    names.retain(|name| {
        let path = folder.path("in").join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let made = fs::copy(image(), path);
        if made.is_err() {
            told!("skipped: this file system has no name {}", name.escape_ascii());
        }
        made.is_ok()
    });
    names.sort_by(|a, b| a.split(|&c| c == b'/').cmp(b.split(|&c| c == b'/')));
    let plain = |cell: &str| {
        let name = decode_name(cell);
        name.strip_prefix(b"./").map(<[u8]>::to_vec).unwrap_or(name)
    };

    let done = classify(&folder, &[]).exits(0);
    let rows = done.rows();
    let found: Vec<_> = rows.iter().map(|row| plain(&row["path"])).collect();
    assert_eq!(found, names);
    for row in &rows {
        assert!(!row["path"].starts_with(['=', '+', '-', '@', '\t', '\r']), "{row:?}");
    }

    let lines = classify(&folder, &["--format", "jsonl"]).exits(0);
    let path = |line: &str| -> String {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        row["path"].as_str().unwrap().to_owned()
    };
    let found: Vec<_> = lines.text().lines().map(|line| plain(&path(line))).collect();
    assert_eq!(found, names);
}

/// Makes folders of `name` inside each other below `in`, `levels` of them, with an image in the
/// last, and returns the image's name.
fn nested(folder: &TestDir, name: &str, levels: usize) -> String {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    fs::create_dir_all(folder.path("in")).unwrap();
    let open = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(CWD, folder.path("in"), open, Mode::empty()).unwrap();
    for _ in 0..levels {
        // From folder to folder: the whole path would be too long for a system call.
        mkdirat(&at, name, Mode::RWXU).unwrap();
        at = openat(&at, name, open, Mode::empty()).unwrap();
    }
    let create = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(&at, "z.png", create, Mode::RUSR | Mode::WUSR).unwrap();
    File::from(file).write_all(&fs::read(image()).unwrap()).unwrap();
    format!("{name}/").repeat(levels) + "z.png"
}

#[test]
fn a_thousand_levels_and_a_path_of_four_thousand_bytes_are_rows() {
    for (name, levels) in [("d", 1_000), (&*"n".repeat(249), 15), (&*"m".repeat(248), 16)] {
        let folder = TestDir::new();
        let expected = nested(&folder, name, levels);
        for isolate in ["--isolate=false", "--isolate"] {
            let rows = classify(&folder, &[isolate]).exits(0).rows();
            assert_eq!(endings(&rows), [(&*expected, "ok")]);
        }
    }
}

#[test]
fn a_path_that_is_too_long_for_the_system_is_a_row() {
    let folder = with_images(&["a.png"]);
    nested(&folder, &"n".repeat(249), 18);
    let rows = classify(&folder, &[]).exits(3).rows();
    assert_eq!(rows[0].ending(), ("a.png", "ok"));
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(&rows[1]["status"], "unreadable", "{:?}", rows[1]);
    assert!(rows[1]["message"].contains("too long"), "{:?}", rows[1]);
}

/// What a file is that is two things at once: its first bytes decide.
#[test]
fn polyglots_are_what_they_begin_with() {
    let hostile = |name: &str| fs::read(repository("tests/images/hostile").join(name)).unwrap();
    let (jpeg, png, gif) = (hostile("good.jpg"), hostile("good.png"), hostile("good.gif"));
    let zip = b"PK\x05\x06".iter().copied().chain([0; 18]).collect::<Vec<_>>();
    let script = b"<script>alert(1)</script>".to_vec();
    // A script that is a GIF: its screen is as wide as `/*` says, and the rest a comment.
    let mut js = gif.clone();
    js[6..10].copy_from_slice(b"/*\x1e\0");
    let folder = TestDir::new();
    let files = [
        ("1 jpeg, zip.jpg", [&jpeg[..], &zip].concat(), "ok"),
        ("2 jpeg, script.jpg", [&jpeg[..], &script].concat(), "ok"),
        ("3 png, zip.zip.png", [&png[..], &zip].concat(), "ok"),
        ("4 gif, script.gif", [&gif[..], b"=1;alert(1)"].concat(), "ok"),
        ("5 gif as script.gif", [&js[..], b"*/=1;alert(1)"].concat(), "ok"),
        ("6 pdf, jpeg.jpg", [b"%PDF-1.4\n".to_vec(), jpeg.clone()].concat(), "not_an_image"),
        ("7 html, png.png", [script.clone(), png.clone()].concat(), "not_an_image"),
        ("8 zip, jpeg.jpg", [zip.clone(), jpeg.clone()].concat(), "not_an_image"),
        ("9 jpeg, png.png", [jpeg.clone(), png.clone()].concat(), "ok"),
        ("a svg.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "not_an_image"),
        ("b elf.jpg", b"\x7fELF\x02\x01\x01".to_vec(), "not_an_image"),
    ];
    for (name, bytes, _) in &files {
        folder.write(format!("in/{name}"), bytes);
    }
    let rows = folder.classify("in", test_model("dynamic.onnx"), &[]).exits(3).rows();
    let expected: Vec<_> = files.iter().map(|(name, _, status)| (*name, *status)).collect();
    assert_eq!(endings(&rows), expected);
    // What comes first decides, and what follows changes nothing.
    assert_eq!(rows[0]["probability"], rows[1]["probability"]);
    assert_eq!(rows[0]["probability"], rows[8]["probability"]);
}

#[test]
fn twenty_thousand_files_in_one_folder_are_twenty_thousand_rows() {
    let folder = TestDir::new();
    let names = folder.crowd("in", 20_000);
    let rows = classify(&folder, &[]).exits(0).rows();
    assert_eq!(paths(&rows), names);
}

#[test]
fn names_cannot_steer_the_terminal() {
    let folder = TestDir::new();
    for name in ["\u{1b}]0;owned\u{7}.png", "\u{1b}[2J.png", "line\nbreak.png"] {
        folder.write(format!("in/{name}"), "damaged");
    }
    let done = classify(&folder, &["-o", "out.csv"]).exits(3);
    assert!(!done.stderr.contains(['\u{1b}', '\u{7}']), "{done}");
    done.says(&[r"\u{1b}[2J.png", r"line\nbreak.png"]);
    assert_eq!(rows(&folder.read("out.csv")).len(), 3);
}

#[test]
fn names_of_inputs_cannot_steer_the_terminal_either() {
    let folder = TestDir::new();
    let done = folder.classify("gone\u{1b}[2J", digits_model(), &[]).exits(13);
    assert!(!done.stderr.contains('\u{1b}'), "{done}");
}

/// A run over `count` files in `in/a`, and what is in `in/b` later, that has listed `in/a` and
/// cannot get to its second half before the rows are read: names are so long that the pipe is
/// full long before.
fn stalled(folder: &TestDir, count: usize) -> (program::Running, Vec<String>) {
    let names: Vec<_> = (0..count).map(|index| format!("a/{index:04}{:-<200}.png", "")).collect();
    for name in &names {
        folder.link(&image(), format!("in/{name}"));
    }
    let flags = ["--threads", "1", "--batch-size", "1"];
    (classify(folder, &flags).start(), names)
}

/// Does `change` when the first row is there, and returns all rows.
fn while_running(mut running: program::Running, code: i32, change: impl FnOnce()) -> Vec<Row> {
    let mut stdout = BufReader::with_capacity(512, running.child.stdout.take().unwrap());
    let mut csv = Vec::new();
    for _ in 0..2 {
        stdout.read_until(b'\n', &mut csv).unwrap();
    }
    change();
    stdout.read_to_end(&mut csv).unwrap();
    running.finish().expect(code);
    rows(&csv)
}

#[test]
fn files_that_vanish_are_rows() {
    let folder = TestDir::new();
    let (running, names) = stalled(&folder, 2_000);
    let rows = while_running(running, 3, || {
        for name in &names[1_000..] {
            fs::remove_file(folder.path(format!("in/{name}"))).unwrap();
        }
    });
    assert_eq!(paths(&rows), names);
    assert!(rows[..1_000].iter().all(|row| row["status"] == *"ok"));
    assert!(rows[1_000..].iter().all(|row| row["status"] == *"vanished"));
}

#[test]
fn what_takes_the_place_of_a_file_is_not_followed_opened_or_trusted() {
    let folder = TestDir::new();
    let (running, names) = stalled(&folder, 1_500);
    let place = |at: usize| folder.path(format!("in/{}", names[at]));
    let fifo = |path: &Path| Command::new("mkfifo").arg(path).status().unwrap();
    let rows = while_running(running, 3, || {
        for at in 1_000..1_006 {
            fs::remove_file(place(at)).unwrap();
        }
        symlink("/dev/zero", place(1_000)).unwrap();
        symlink(image(), place(1_001)).unwrap();
        fs::create_dir(place(1_002)).unwrap();
        assert!(fifo(&place(1_003)).success());
        fs::write(place(1_004), "").unwrap();
        fs::write(place(1_005), [fs::read(image()).unwrap(), b"more".to_vec()].concat()).unwrap();
    });
    assert_eq!(paths(&rows), names);
    let statuses: Vec<_> = rows[1_000..1_006].iter().map(|row| &row["status"]).collect();
    let refused = "not_regular";
    assert_eq!(statuses, [refused, refused, refused, refused, "empty", "ok"]);
    assert_eq!(rows.iter().filter(|row| row["status"] != *"ok").count(), 5);
}

#[test]
fn what_appears_later_belongs_to_the_next_run() {
    let folder = TestDir::new();
    folder.link(&image(), "in/b/1.png");
    folder.link(&image(), "in/c/1.png");
    let (running, names) = stalled(&folder, 1_000);
    let rows = while_running(running, 3, || {
        folder.link(&image(), "in/a/zzz.png");
        folder.link(&image(), "in/b/2.png");
        fs::remove_dir_all(folder.path("in/c")).unwrap();
    });
    let (listed, later) = rows.split_at(names.len());
    assert_eq!(paths(listed), names);
    assert_eq!(endings(later), [("b/1.png", "ok"), ("c/1.png", "vanished")]);
}

#[test]
fn a_file_that_is_being_written_is_told() {
    let folder = with_images(&["a.png", "z.png"]);
    // Holes only, and so much that its time stamp moves while it is read.
    let growing = folder.write("in/growing.png", fs::read(image()).unwrap());
    let file = File::options().write(true).open(&growing).unwrap();
    file.set_len(64 << 20).unwrap();
    let done = AtomicBool::new(false);
    let rows = thread::scope(|scope| {
        scope.spawn(|| {
            let mut time = SystemTime::UNIX_EPOCH;
            while !done.load(Ordering::Relaxed) {
                time += Duration::from_millis(1);
                file.set_modified(time).unwrap();
            }
        });
        // The system may leave the writer without a turn during the read, though hardly often.
        let found = (0..50).map(|_| classify(&folder, &[]).run().rows()).find(|rows| {
            assert_eq!(paths(rows), ["a.png", "growing.png", "z.png"]);
            rows[1]["status"] == *"changed"
        });
        done.store(true, Ordering::Relaxed);
        found
    });
    let statuses: Vec<_> =
        endings(&rows.unwrap()).into_iter().map(|(_, status)| status.to_owned()).collect();
    assert_eq!(statuses, ["ok", "changed", "ok"]);
}

#[test]
fn the_output_may_lie_among_the_images() {
    let folder = with_images(&["a.png", "z.png"]);
    for _ in 0..2 {
        classify(&folder, &["-o", "in/b.csv"]).exits(0);
        assert_eq!(paths(&rows(&folder.read("in/b.csv"))), ["a.png", "z.png"]);
    }
}
