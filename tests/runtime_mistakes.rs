//! What ONNX Runtime does wrong when it is used as it comes, and what linnaeus therefore asks of it.

#![allow(clippy::unwrap_used, reason = "not shipped")]

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

mod program;

use program::{TestDir, test_model};

/// The scores of the first three classes for an image of one colour.
fn scores(model: &str, colour: [u8; 3], more: &[&str]) -> [f64; 3] {
    let folder = TestDir::new();
    let mut png = Cursor::new(Vec::new());
    RgbImage::from_pixel(8, 6, Rgb(colour)).write_to(&mut png, ImageFormat::Png).unwrap();
    folder.write("in/a.png", png.into_inner());
    let flags = [&["--activation", "none", "--top-k", "3"], more].concat();
    let done = folder.classify("in", test_model(model), &flags).exits(0);
    let row = &done.rows()[0];
    let mut scores = [f64::NAN; 3];
    for place in ["", "_2", "_3"] {
        let class: usize = row[&*format!("index{place}")].parse().unwrap();
        scores[class] = row[&*format!("probability{place}")].parse().unwrap();
    }
    scores
}

#[track_caller]
fn assert_near(found: [f64; 3], expected: [f64; 3], most: f64) {
    let near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() <= most);
    assert!(near, "{found:?} is not {expected:?}");
}

/// Up to 1.31 it makes one operator of a padding and the maximum pooling behind it, and forgets the
/// padded values.
#[test]
fn padded_zeros_are_larger_than_negative_numbers() {
    for sessions in ["1", "2"] {
        let found = scores("padded_pool.onnx", [255, 0, 51], &["--sessions", sessions]);
        // (x - 2) / 2 for the channels 1, 0 and 0.2; see make_models.py.
        assert_near(found, [-0.5, -1.0, -0.9], 1e-6);
    }
}

/// On processors without VNNI it adds products of bytes in 16 bits.
#[test]
fn sums_of_products_of_bytes_are_not_cut_off() {
    let found = scores("saturating.onnx", [255; 3], &[]);
    assert_near(found, [27.0, 27.0 * 64.0 / 127.0, 0.0], 27.0 / 255.0);
}
