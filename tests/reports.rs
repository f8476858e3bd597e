//! `evaluate`, `compare` and `[evaluate]`, as a person runs them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

mod program;

use program::{Done, TestDir, digits, digits_model};

const HEADER: &str = "path,status,index,label,probability,index_2,label_2,probability_2,message\n";

/// Predictions of two classes; `right` of ten are.
fn predictions(right: usize) -> String {
    let row = |at: usize| {
        let (first, second) = if (at < right) == at.is_multiple_of(2) {
            ("0,cat", "1,dog")
        } else {
            ("1,dog", "0,cat")
        };
        let folder = if at.is_multiple_of(2) { "cat" } else { "dog" };
        format!("{folder}/{at}.jpg,ok,{first},0.8{at}0000,{second},0.1,\n")
    };
    let failed = "cat/10.jpg,truncated,,,,,,,the file ends\n";
    HEADER.to_owned() + &(0..10).map(row).collect::<String>() + failed
}

fn linnaeus(folder: &TestDir, args: &[&str], code: i32) -> Done {
    folder.program(args).exits(code)
}

#[test]
fn an_evaluation_writes_a_page_json_and_tables() {
    let folder = TestDir::new();
    folder.write("p.csv", predictions(7));
    let done =
        linnaeus(&folder, &["evaluate", "p.csv", "--truth", "folders", "-o", "new/r.html"], 0);
    for words in [
        "**70.0 %**",
        "7 of 10 images",
        "Images without a prediction: 1 (1 truncated)",
        "new/r.html",
    ] {
        assert!(done.text().contains(words), "{words} in {}", done.text());
    }
    let report = folder.json("new/r.json");
    assert_eq!((&report["schema"], &report["kind"]), (&1.into(), &"evaluation".into()));
    assert_eq!(report["images"], 10);
    assert_eq!(report["predictions"]["failed"]["truncated"], 1);
    assert_eq!(report["truth"]["without_prediction"]["first"][0], "cat/10.jpg");
    assert_eq!(report["classes"][1]["name"], "dog");
    let confusion = String::from_utf8(folder.read("new/r.confusion.csv")).unwrap();
    assert!(confusion.contains("\n0,cat,1,dog,1\n"), "{confusion}");
    let unmatched = String::from_utf8(folder.read("new/r.unmatched.csv")).unwrap();
    assert_eq!(unmatched, "what,path_or_name\nwithout_prediction,cat/10.jpg\n");
    let per_class = String::from_utf8(folder.read("new/r.per_class.csv")).unwrap();
    assert_eq!(per_class.lines().count(), 3, "{per_class}");
    // It reads without a script: every figure and table is in the page itself.
    let page = String::from_utf8(folder.read("new/r.html")).unwrap();
    for words in [
        "7 are right",
        "<svg class=\"matrix\"",
        "dog/7.jpg",
        "top-2 accuracy",
        "default-src 'none'",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let addresses = ["src=\"http", "href=\"http", "url(", "@import", "<link", "<iframe"];
    assert!(addresses.iter().all(|address| !page.contains(address)));
}

#[test]
fn a_gate_decides_the_exit_status() {
    let folder = TestDir::new();
    folder.write("p.csv", predictions(7));
    folder.write("q.csv", predictions(4));
    let evaluate = |gate: &str, code| {
        linnaeus(&folder, &["evaluate", "p.csv", "--truth", "folders", "--gate", gate], code)
    };
    evaluate("top1 >= 0.7, top2 >= 1, failed <= 10%", 0);
    evaluate("top1 >= 0.7 @ 95%", 6).says(&[]);
    assert!(evaluate("top1 > 0.7", 6).text().contains("gate FAILS: `top1 > 0.7`: it is 0.7000"));
    assert!(evaluate("top9 > 0.7", 2).text().is_empty());
    assert!(evaluate("speed > 0.7", 2).text().is_empty());
    let compare = |gate: &str, code| {
        let args =
            ["compare", "p.csv", "q.csv", "--truth", "folders", "-o", "c.html", "--gate", gate];
        linnaeus(&folder, &args, code)
    };
    compare("top1_drop <= 0.3, agreement >= 0.7, images >= 10", 0);
    compare("top1_drop <= 0.3 @ 95%", 6);
    let report = folder.json("c.json");
    let top1 = &report["truth"]["top1"];
    assert_eq!(
        top1["table"],
        serde_json::json!({"both": 4, "only_a": 3, "only_b": 0, "neither": 3})
    );
    // By hand: three changes in one direction, 2 · (1/2)³ less half of it.
    assert!((top1["mid_p"].as_f64().unwrap() - 0.125).abs() < 1e-12);
    assert!((top1["exact_p"].as_f64().unwrap() - 0.25).abs() < 1e-12);
    assert!(report["verdict"].as_str().unwrap().contains("do not show a difference"));
    let flips = String::from_utf8(folder.read("c.flips.csv")).unwrap();
    assert_eq!(flips.lines().count(), 4, "{flips}");
    assert!(flips.lines().nth(1).unwrap().contains(",right_to_wrong,"), "{flips}");
}

#[test]
fn a_comparison_without_a_truth_pairs_by_path_and_classes_by_name() {
    let folder = TestDir::new();
    folder.write("a.csv", predictions(10));
    // The same answers of a model that counts its classes the other way, and two other images.
    let turned: String = predictions(10)
        .lines()
        .skip(1)
        .map(|line| {
            line.replace("0,cat", "#").replace("1,dog", "0,dog").replace('#', "1,cat") + "\n"
        })
        .collect();
    let turned = turned.replace("cat/0.jpg", "cat/new.jpg").replace("dog/1.jpg", "dog/new.jpg");
    folder.write("b.csv", HEADER.to_owned() + &turned);
    linnaeus(&folder, &["compare", "a.csv", "b.csv", "-o", "c.html"], 0);
    let report = folder.json("c.json");
    assert_eq!((&report["images"], &report["agreement"]["same"]), (&8.into(), &8.into()));
    assert_eq!(report["only_a"]["first"], serde_json::json!(["cat/0.jpg", "dog/1.jpg"]));
    assert_eq!(report["only_b"]["count"], 2);
    assert!(report["notes"][0].as_str().unwrap().contains("2 classes have another index"));
    assert!(report["verdict"].as_str().unwrap().contains("nothing says which of them is better"));
    assert_eq!(report["truth"], serde_json::Value::Null);
}

#[test]
fn corrections_and_other_names_change_the_truth() {
    let folder = TestDir::new();
    folder.write("p.csv", predictions(10));
    folder.write(
        "truth.csv",
        "file,what,site\ncat/0.jpg,Katze,a\ndog/1.jpg,Hund,b\ncat/2.jpg,Vogel,b\n",
    );
    folder.write("map.csv", "Katze,cat\nHund,1\n");
    let base = ["evaluate", "p.csv", "--truth", "truth.csv", "--truth-class", "what"];
    let args = [&base[..], &["--class-map", "map.csv", "-o", "r.html"]].concat();
    linnaeus(&folder, &args, 0);
    let report = folder.json("r.json");
    assert_eq!((&report["images"], &report["top"][0]["hits"]), (&2.into(), &2.into()));
    assert_eq!(report["truth"]["unknown"]["Vogel"]["images"], 1);
    folder.write("fixed.csv", "path,index\ncat/0.jpg,1\ncat/2.jpg,0\n");
    linnaeus(&folder, &[&args[..], &["--corrections", "fixed.csv"]].concat(), 0);
    let report = folder.json("r.json");
    assert_eq!((&report["images"], &report["top"][0]["hits"]), (&3.into(), &2.into()));
    assert_eq!(report["truth"]["corrected"], 2);
    let done = linnaeus(&folder, &base, 2);
    done.says(&["\"Hund\" is no class", "--class-map"]);
    // A report carries its corrections to the next one, and is a truth by itself.
    linnaeus(&folder, &[&args[..], &["--corrections", "r.json"]].concat(), 0);
    assert_eq!(folder.json("r.json")["truth"]["corrections"], report["truth"]["corrections"]);
    folder.program(["evaluate", "p.csv", "--truth", "r.json", "-o", "s.html"]).exits(0);
    assert_eq!(folder.json("s.json")["images"], 2);
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    let folder = TestDir::new();
    folder.write("p.csv", predictions(5));
    folder.write("t.csv", "path,label\nelsewhere.jpg,cat\n");
    for (args, words) in [
        (&["evaluate", "none.csv", "--truth", "folders"][..], &["none.csv"][..]),
        (&["evaluate", "p.csv"], &["nothing says what the images show"]),
        (&["evaluate", "p.csv", "--truth", "t.csv"], &["elsewhere.jpg", "--images"]),
        (&["evaluate", "p.csv", "--truth", "pattern:*.jpg"], &["{class}"]),
        (&["evaluate", "t.csv", "--truth", "folders"], &["no column"]),
    ] {
        linnaeus(&folder, args, 2).says(words);
    }
}

#[test]
fn a_job_ends_with_its_report() {
    let folder = TestDir::new();
    let job = |gate: &str| {
        let flags = digits_model();
        let flag = |name: &str| {
            let at = flags.iter().position(|flag| flag == name).unwrap();
            flags[at + 1].to_str().unwrap().to_owned()
        };
        let text = format!(
            "inputs = [{:?}]\nmodel = {:?}\nlabels = {:?}\noutput = \"d.csv\"\ntop-k = 10\nquiet = true\n\
             [recipe]\nresize = \"none\"\nscale = \"1/255\"\nactivation = \"none\"\n\
             [evaluate]\ntruth = \"folders\"\ngate = {gate:?}\n",
            digits(),
            flag("--model"),
            flag("--labels")
        );
        folder.write("job.toml", text);
    };
    job("top1 >= 0.97");
    assert!(linnaeus(&folder, &["run", "job.toml"], 0).text().is_empty());
    let report = folder.json("d.report.json");
    assert_eq!(
        (&report["images"], &report["losses"]["brier"]["kind"]),
        (&360.into(), &"exact".into())
    );
    assert_eq!(report["predictions"]["record"]["provider"], "CPUExecutionProvider");
    assert_eq!(report["predictions"]["notes"], serde_json::json!([]));
    assert_eq!(folder.json("d.run.json")["labels"]["classes"].as_array().unwrap().len(), 10);
    let page = fs::read_to_string(folder.path("d.report.html")).unwrap();
    assert!(page.contains("data:image/jpeg;base64,"));
    job("top1 >= 0.999");
    let log = ["run", "job.toml", "--log-file", "run.log"];
    assert!(linnaeus(&folder, &log, 6).text().contains("gate FAILS"));
    assert_eq!(folder.json("d.run.json")["exit"]["code"], 6);
    let log = String::from_utf8(folder.read("run.log")).unwrap();
    assert!(log.contains("gate FAILS: `top1 >= 0.999`"), "{log}");
    // What cannot be judged is found before hours of classifying.
    fs::remove_file(folder.path("d.csv")).unwrap();
    job("speed > 1");
    linnaeus(&folder, &["run", "job.toml"], 2).says(&["speed"]);
    linnaeus(&folder, &["run", "job.toml", "--dry-run"], 2).says(&["speed"]);
    job("top1 >= 0.97");
    let text = String::from_utf8(folder.read("job.toml")).unwrap();
    folder.write("job.toml", text.replace("\"folders\"", "\"foldrs\""));
    linnaeus(&folder, &["run", "job.toml"], 2).says(&["foldrs"]);
    assert!(!folder.path("d.csv").exists());
}

/// A gray picture of `side`×`side` pixels as a BMP.
fn bmp(side: usize, value: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let row = (3 * side).next_multiple_of(4);
    let mut bytes = b"BM".to_vec();
    let number = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    for value in [54 + row * side, 0, 54, 40, side, side] {
        bytes.extend(number(value));
    }
    bytes.extend([1, 0, 24, 0]);
    for value in [0, row * side, 0, 0, 0, 0] {
        bytes.extend(number(value));
    }
    for y in 0..side {
        let pixels: Vec<u8> = (0..side).flat_map(|x| [value(x, y); 3]).collect();
        bytes.extend(pixels.iter().copied().chain(std::iter::repeat_n(0, row - 3 * side)));
    }
    bytes
}

#[test]
fn odd_images_and_duplicates_are_found() {
    let folder = TestDir::new();
    let texture =
        |x: usize, y: usize| u8::try_from((x * x / 7 + 3 * y * x / 5 + y * y / 11) % 200).unwrap();
    let other =
        |x: usize, y: usize| u8::try_from((x * 13 / (1 + y % 9) + y * 29 / 3) % 180).unwrap();
    for (name, bytes) in [
        ("a.bmp", bmp(120, texture)),
        ("b.bmp", bmp(120, |x, y| texture(x, y) + 20)),
        ("c.bmp", bmp(120, other)),
        ("d.bmp", bmp(120, other)),
        ("black.bmp", bmp(120, |_, _| 0)),
        ("small.bmp", bmp(20, other)),
    ] {
        folder.write(format!("images/{name}"), bytes);
    }
    let rows = ["a", "b", "c", "d", "black", "small", "gone"]
        .map(|name| format!("{name}.bmp,ok,0,cat,0.9,1,dog,0.1,\n"));
    folder.write("p.csv", HEADER.to_owned() + &rows.concat());
    let args = ["evaluate", "p.csv", "--truth", "regex:^(?<class>)", "-o", "r.html"];
    folder.program(args).exits(2);
    folder.write("t.csv", "path,label\na.bmp,cat\nb.bmp,cat\nc.bmp,cat\nd.bmp,dog\nblack.bmp,cat\nsmall.bmp,cat\ngone.bmp,cat\n");
    let args = ["evaluate", "p.csv", "--truth", "t.csv", "--images", "images", "-o", "r.html"];
    linnaeus(&folder, &args, 0);
    let galleries = folder.json("r.json")["galleries"].clone();
    let notes = |list: &str| -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let entry = |one: &serde_json::Value| (text(&one["path"]), text(&one["note"]));
        galleries[list].as_array().unwrap().iter().map(entry).collect()
    };
    let pair = |path: &str, note: &str| (path.to_owned(), note.to_owned());
    let odd = [pair("black.bmp", "blank, 120×120"), pair("small.bmp", "tiny, 20×20")];
    assert_eq!(notes("odd"), odd);
    let duplicates = galleries["duplicates"].as_array().unwrap();
    let of = |at: usize| {
        (&duplicates[at][0]["path"], &duplicates[at][1]["path"], &duplicates[at][0]["note"])
    };
    assert_eq!(of(0), (&"a.bmp".into(), &"b.bmp".into(), &"nearly the same".into()));
    assert_eq!(of(1), (&"c.bmp".into(), &"d.bmp".into(), &"the same file, other truth".into()));
    assert_eq!(duplicates.len(), 2);
    assert_eq!((&galleries["looked_at"], &galleries["not_found"]), (&6.into(), &1.into()));
}
