//! Zeros that a model pads by a node of its own count in the maximum behind it, whatever ONNX
//! Runtime makes of the two.

#![allow(clippy::unwrap_used, reason = "not shipped")]

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

mod program;

use program::{TestDir, test_model};

#[test]
fn padded_zeros_are_larger_than_negative_numbers() {
    let folder = TestDir::new();
    let mut png = Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(8, 6, Rgb([255, 0, 51]));
    image.write_to(&mut png, ImageFormat::Png).unwrap();
    folder.write("in/a.png", png.into_inner());
    let flags = ["--activation", "none", "--top-k", "3"];
    for sessions in ["1", "2"] {
        let flags = [&flags[..], &["--sessions", sessions]].concat();
        let done = folder.classify("in", test_model("padded_pool.onnx"), &flags).exits(0);
        let row = &done.rows()[0];
        // (x - 2) / 2 for the channels 1, 0 and 0.2; see make_models.py.
        let expected = [("0", -0.5), ("2", -0.9), ("1", -1.0)];
        for (place, (class, score)) in expected.into_iter().enumerate() {
            let column = |name: &str| match place {
                0 => row[name].to_owned(),
                place => row[&*format!("{name}_{}", place + 1)].to_owned(),
            };
            let found: f64 = column("probability").parse().unwrap();
            assert!(column("index") == class && (found - score).abs() < 1e-6, "{row:?}");
        }
    }
}
