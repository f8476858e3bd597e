//! Real photos, real models and real damage, from the folder beside the project: its files may not
//! be copied here, so that without it these tests say that they were skipped.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[macro_use]
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use linnaeus::{
    config::Config,
    decode::silence_contained_panics,
    error::ItemError,
    interrupt::Stop,
    job::Job,
    run::{Run, Summary},
    telling::Log,
};

/// The folder, when it is there.
fn data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let found = folder.is_dir();
    if !found {
        told!("skipped: ../shared/data absent");
    }
    found.then_some(folder)
}

/// Runs the job that `text` says, as from a job file, and returns its rows, less the header.
fn run(text: &str, inputs: &[PathBuf], model: &Path) -> (Summary, Vec<csv::StringRecord>) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.csv");
    let job = Job::parse(text, Path::new("test.toml")).unwrap();
    let job = Job {
        inputs: Some(inputs.to_vec()),
        model: Some(model.to_owned()),
        output: Some(output.clone()),
        quiet: Some(true),
        ..job
    };
    let run = Run::prepare(Config::resolve(job).unwrap()).unwrap();
    let summary = run.execute(&Stop::default(), &Log::silent()).unwrap();
    let mut reader = csv::Reader::from_path(&output).unwrap();
    let rows = reader.records().map(Result::unwrap).collect();
    (summary, rows)
}

const TORCH_224: &str = "\
    [recipe]\nresize = 'shorter-side 256'\ninterpolation = 'bilinear'\nscale = '1/255'\n\
    mean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\nactivation = 'softmax'\n";
const CAFFE_224: &str = "\
    [recipe]\nresize = 'shorter-side 256'\ninterpolation = 'bilinear'\nscale = 1\n\
    mean = [103.939, 116.779, 123.68]\nchannels = 'bgr'\nactivation = 'none'\n";
const U8_128: &str = "\
    [recipe]\nresize = 'shorter-side 146'\ninterpolation = 'bilinear'\nactivation = 'none'\n";

/// A reference's best class, and how far it is ahead of the second, per file.
fn reference(path: &Path, full: f64) -> BTreeMap<String, (usize, f64)> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let row = |row: csv::StringRecord| {
        let number = |column: usize| row[column].parse::<f64>().unwrap();
        assert_eq!(&row[1], "ok");
        (row[0].to_owned(), (row[2].parse().unwrap(), (number(3) - number(5)) / full))
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

/// Compares the best class of every ImageNet photo with the reference's. `full` is the score of a
/// certain class; `least` of 200 have to agree.
fn agrees(model: &str, job: &str, full: f64, least: usize) {
    let Some(data) = data() else { return };
    let reference = reference(&data.join("reference").join(model).with_extension("csv"), full);
    let path = data.join("models/imagenet").join(model);
    let (summary, rows) = run(job, &[data.join("photos/imagenet")], &path);
    assert_eq!(rows.len(), reference.len(), "{summary}");
    let (mut same, mut clear) = (0, 0);
    let mut wrong = Vec::new();
    for row in &rows {
        let (class, margin) = reference[&row[0]];
        assert_eq!(&row[1], "ok", "{row:?}");
        let agreed = row[2].parse::<usize>().unwrap() == class;
        same += usize::from(agreed);
        clear += usize::from(margin >= 0.05);
        if !agreed && margin >= 0.05 {
            wrong.push(format!("{}: {} for {class}, {margin} ahead", &row[0], &row[2]));
        }
    }
    let total = rows.len();
    told!("{model}: {same} of {total} as the reference, {clear} of which it was sure");
    assert!(wrong.is_empty(), "{model}: {wrong:#?}");
    assert!(same >= least, "{model}: {same} of {total}");
    assert!(clear > total / 2, "{model}: the reference is sure of {clear}");
}

#[test]
fn fp32_agrees_with_the_reference() {
    agrees("mobilenetv2-12_dequant_fp32_nchw.onnx", TORCH_224, 1.0, 198);
}

#[test]
fn fp16_of_fixed_batch_one_agrees_with_the_reference() {
    agrees("squeezenet-fp16.onnx", CAFFE_224, 1.0, 198);
}

#[test]
fn quantised_agrees_with_the_reference() {
    agrees("mobilenetv2-12-qdq.onnx", TORCH_224, 1.0, 190);
}

#[test]
fn bytes_channels_last_agrees_with_the_reference() {
    agrees("mobilenet_v1_0.25_128_quant.float.onnx", U8_128, 256.0, 190);
}

/// Every regular file below `folder`, as the names of rows are written.
fn files_below(folder: &Path) -> BTreeSet<String> {
    let (mut folders, mut files) = (vec![folder.to_owned()], BTreeSet::new());
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let relative = path.strip_prefix(folder).unwrap().to_str().unwrap();
                files.insert(relative.replace('\\', "/"));
            }
        }
    }
    files
}

/// A run over `folder` with a small model: its rows by file, after checks that hold for any.
fn rows_of(folder: &Path, more: &str) -> (Summary, BTreeMap<String, String>) {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/dynamic.onnx");
    let job = format!(
        "hidden = true\n{more}\n[recipe]\nresize = 'squash'\ninterpolation = 'nearest'\n\
         scale = '1/255'\nactivation = 'softmax'\n"
    );
    let (summary, rows) = run(&job, &[folder.to_owned()], &model);
    let mut found = BTreeMap::new();
    for row in &rows {
        let status = row[1].to_owned();
        assert!(status == "ok" || ItemError::CODES.contains(&status.as_str()), "{row:?}");
        assert_eq!(row[2].is_empty(), status != "ok", "{row:?}");
        assert!(found.insert(row[0].to_owned(), status).is_none(), "two rows for {}", &row[0]);
    }
    let names: Vec<_> = rows.iter().map(|row| row[0].split('/').collect::<Vec<_>>()).collect();
    assert!(names.is_sorted(), "rows are in the order of their names");
    assert_eq!(summary.counts.rows(), rows.len() as u64);
    (summary, found)
}

#[test]
fn every_file_is_a_row_or_was_skipped() {
    let Some(data) = data() else { return };
    silence_contained_panics();
    for (folder, least) in [("damaged", 1000), ("formats", 400), ("photos", 600)] {
        let folder = data.join(folder);
        let files = files_below(&folder);
        assert!(files.len() >= least, "{}", files.len());
        let (summary, rows) = rows_of(&folder, "");
        let skipped: u64 = summary.counts.skipped.iter().sum();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for status in rows.values() {
            *counts.entry(status).or_default() += 1;
        }
        told!("{} files, {skipped} skipped, {counts:?}", files.len());
        for (name, status) in rows.iter().filter(|(_, status)| *status == "decoder_panic") {
            told!("  {status}: {name}");
        }
        assert_eq!(rows.len() as u64 + skipped, files.len() as u64);
        assert!(rows.keys().all(|name| files.contains(name)));
    }
}

#[test]
fn every_file_is_a_row_when_asked() {
    let Some(data) = data() else { return };
    silence_contained_panics();
    let folder = data.join("damaged");
    let (_, rows) = rows_of(&folder, "every-file = true");
    assert_eq!(rows.into_keys().collect::<BTreeSet<_>>(), files_below(&folder));
}

#[test]
fn what_is_no_classifier_classifies_nothing() {
    let Some(data) = data() else { return };
    let mut refused = 0;
    for entry in fs::read_dir(data.join("models/refuse")).unwrap() {
        let model = entry.unwrap().path();
        for recipe in [TORCH_224, CAFFE_224, U8_128] {
            let job = Job::parse(recipe, Path::new("test.toml")).unwrap();
            let job = Job {
                inputs: Some(vec![data.join("photos/mnist")]),
                model: Some(model.clone()),
                ..job
            };
            let Err(error) = Run::prepare(Config::resolve(job).unwrap()) else {
                panic!("{} was accepted", model.display())
            };
            assert_eq!(error.exit().code(), 10, "{error}");
            let text = error.to_string();
            assert!(text.contains(model.file_name().unwrap().to_str().unwrap()), "{text}");
            if recipe == TORCH_224 {
                told!("{}", text.lines().next().unwrap());
            }
        }
        refused += 1;
    }
    assert_eq!(refused, 7);
}
