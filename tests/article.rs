//! The bug that the project began with: a 299-pixel model of −1 to 1 fed as 224 pixels in VGG's
//! way. It is refused with what the model wants, and `doctor` finds the right recipe.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{ffi::OsString, path::PathBuf};

use image::{Rgb, RgbImage};
use serde_json::Value;

mod program;

use program::{TestDir, repository};

/// Bytes of the three levels of a channel, as the model's centres −0.6, 0, 0.6.
const LEVELS: [u8; 3] = [51, 128, 204];

/// A folder for each of the 27 colours, in the order of the model's classes, with an image.
fn colours(folder: &TestDir) -> PathBuf {
    for class in 0..27 {
        let level = |at: usize| LEVELS[at % 3];
        let colour = [level(class / 9), level(class / 3), level(class)];
        let pixel = |x: u32, y: u32| {
            let ripple = if (x + y) % 2 == 0 { 6 } else { -6 };
            Rgb(colour.map(|c| u8::try_from(i16::from(c) + ripple).unwrap()))
        };
        let path = folder.path(format!("colours/{class:02}"));
        std::fs::create_dir_all(&path).unwrap();
        RgbImage::from_fn(40, 30, pixel).save(path.join("image.png")).unwrap();
    }
    folder.path("colours")
}

fn model() -> PathBuf {
    repository("tests/models/article.onnx")
}

fn arguments(words: &[&str], paths: &[&PathBuf]) -> Vec<OsString> {
    words.iter().map(Into::into).chain(paths.iter().map(Into::into)).collect()
}

fn ranking(folder: &TestDir, arguments: Vec<OsString>) -> Value {
    serde_json::from_str(folder.program(arguments).exits(0).text()).unwrap()
}

#[test]
fn the_articles_size_is_refused_with_what_the_model_wants() {
    let folder = TestDir::new();
    let (colours, model) = (colours(&folder), model());
    let caffe = [
        "classify",
        "--size",
        "224",
        "--resize",
        "squash",
        "--interpolation",
        "nearest",
        "--scale",
        "1",
        "--channels",
        "bgr",
        "--mean",
        "103.939,116.779,123.68",
        "--model",
    ];
    let preset = ["classify", "--preset", "keras/vgg16", "--model"];
    for words in [&caffe[..], &preset] {
        let run = folder.program(arguments(words, &[&model, &colours])).exits(10);
        run.says(&["224", "299x299"]);
    }
}

#[test]
fn the_doctor_finds_the_right_recipe_and_tells_it_from_the_articles() {
    let folder = TestDir::new();
    let (colours, model) = (colours(&folder), model());
    let report =
        ranking(&folder, arguments(&["doctor", "--json", "--labelled"], &[&colours, &model]));
    let ranking = report["ranking"].as_array().unwrap();

    let best = &ranking[0];
    assert_eq!(best["recipe"]["scale"], "1/127.5-1", "{best}");
    assert_eq!(best["recipe"]["channels"], "rgb", "{best}");
    assert_eq!(best["accuracy"][0], 1.0, "{best}");

    let caffe = |ranked: &&Value| {
        ranked["recipe"]["channels"] == "bgr" && ranked["recipe"]["mean"][0] == 103.939
    };
    let caffe = ranking.iter().find(caffe).unwrap();
    assert_eq!(caffe["same_as_best"], false, "{caffe}");
    assert!(caffe["accuracy"][0].as_f64().unwrap() < 0.5, "{caffe}");
}

#[test]
fn without_labels_the_right_numbers_are_the_most_informative() {
    let folder = TestDir::new();
    let (colours, model) = (colours(&folder), model());
    let report =
        ranking(&folder, arguments(&["doctor", "--json", "--most", "16"], &[&model, &colours]));
    assert_eq!(report["ranking"][0]["recipe"]["scale"], "1/127.5-1");
    assert_eq!(report["truth"], Value::Null);
}
