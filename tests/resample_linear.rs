//! The two-tap resizes against results of OpenCV 5.0.0 and TensorFlow 2.21.0.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "not shipped")]

use linnaeus::geometry::{Rect, Size};
use linnaeus::resample::{Image, OpenCv, OpenCvFilter, Part, TensorFlow, TensorFlowFilter};
use serde_json::{Value, from_value};

const RAMP: [u8; 8] = [0, 10, 20, 30, 40, 50, 60, 70];

fn size(height: usize, width: usize) -> Size {
    Size { height, width }
}

/// The image that the golden script makes by the same formula.
fn formula(size: Size, channels: usize) -> Vec<u8> {
    let mut samples = Vec::new();
    for y in 0..size.height {
        for x in 0..size.width {
            for k in 0..channels {
                let [value, ..] = (37 * y + 59 * x + 101 * k + 13 * x * y).to_le_bytes();
                samples.push(value);
            }
        }
    }
    samples
}

/// CRC-32 as in zlib.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

fn opencv(image: &Image<'_>, channels: usize, target: Size, crop: Rect) -> Vec<u8> {
    let mut out = vec![0xa5; crop.size().area() * channels];
    let part = Part::new(target, crop);
    OpenCv::default().resize(image, OpenCvFilter::Linear, &part, &mut out);
    out
}

fn tensorflow(image: &Image<'_>, channels: usize, target: Size, crop: Rect) -> Vec<f32> {
    let mut out = vec![-1.0; crop.size().area() * channels];
    let part = Part::new(target, crop);
    TensorFlow::default().resize(image, TensorFlowFilter::Bilinear, &part, &mut out);
    out
}

#[test]
fn a_ramp_is_resized_as_in_opencv() {
    let image = Image::new(&RAMP, size(1, 8), 1);
    let cases: [&[u8]; 2] = [&[8, 35, 62], &[0, 5, 12, 18, 25, 32, 38, 45, 52, 58, 65, 70]];
    for expected in cases {
        let target = size(1, expected.len());
        assert_eq!(opencv(&image, 1, target, Rect::whole(target)), expected);
    }
}

#[test]
fn a_square_of_colour_is_resized_as_in_opencv() {
    // Columns 1 to 6 of six rows of nine, as a square centre crop takes them.
    let whole = formula(size(6, 9), 3);
    let square: Vec<u8> = whole.chunks(27).flat_map(|row| row[3..21].to_vec()).collect();
    let image = Image::new(&square, size(6, 6), 3);
    let expected = [
        [87, 172, 33, 180, 73, 126, 162, 119, 156, 111, 164, 105],
        [167, 60, 113, 146, 135, 92, 156, 65, 102, 135, 140, 81],
        [135, 92, 177, 143, 196, 137, 182, 123, 128, 142, 83, 136],
        [71, 124, 209, 108, 113, 198, 129, 70, 123, 118, 59, 160],
    ];
    let target = size(4, 4);
    assert_eq!(opencv(&image, 3, target, Rect::whole(target)), expected.as_flattened());
}

#[test]
fn a_ramp_is_resized_as_in_tensorflow() {
    let image = Image::new(&RAMP, size(1, 8), 1);
    let cases: [&[f32]; 2] = [
        &[8.3333, 35.0, 61.6667],
        &[0.0, 5.0, 11.6667, 18.3333, 25.0, 31.6667, 38.3333, 45.0, 51.6667, 58.3333, 65.0, 70.0],
    ];
    for expected in cases {
        let target = size(1, expected.len());
        let actual = tensorflow(&image, 1, target, Rect::whole(target));
        for (actual, expected) in actual.iter().zip(expected) {
            assert!((actual - expected).abs() < 1e-4, "{actual}, not {expected}");
        }
    }
}

#[test]
fn results_equal_those_of_opencv_and_tensorflow() {
    let goldens: Value = serde_json::from_str(include_str!("golden/linear.json")).unwrap();
    for case in goldens["cases"].as_array().unwrap() {
        let pair = |name: &str| {
            let [height, width] = from_value(case[name].clone()).unwrap();
            size(height, width)
        };
        let channels = from_value(case["channels"].clone()).unwrap();
        let [top, left, height, width] = from_value(case["crop"].clone()).unwrap();
        let crop = Rect { top, left, height, width };
        let (source, target) = (pair("size"), pair("target"));
        let samples = formula(source, channels);
        let image = Image::new(&samples, source, channels);
        assert_eq!(case["opencv"], crc32(&opencv(&image, channels, target, crop)), "{case}");
        let values = tensorflow(&image, channels, target, crop);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(case["tensorflow"], crc32(&bytes), "{case}");
    }
}
