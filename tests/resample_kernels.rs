//! The kernels of OpenCV, TensorFlow and torch, and Pillow's with alpha, against results of these
//! libraries: goldens of many shapes, and the vectors of the project's preprocessing research.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "not shipped")]

use linnaeus::geometry::{Rect, Size};
use linnaeus::resample::{
    Filter, Image, OpenCv, OpenCvFilter, Part, PassOrder, Region, Request, Resampler, TensorFlow,
    TensorFlowFilter, Torch, TorchFilter,
};
use serde_json::{Value, from_value};

mod samples;

use samples::{crc32, formula};

const ROW: [u8; 8] = [0, 10, 20, 30, 40, 50, 60, 70];

const PILLOW: [(&str, Filter); 6] = [
    ("nearest", Filter::Nearest),
    ("box", Filter::Box),
    ("bilinear", Filter::Bilinear),
    ("hamming", Filter::Hamming),
    ("bicubic", Filter::Bicubic),
    ("lanczos", Filter::Lanczos),
];

const OPENCV: [(&str, OpenCvFilter); 4] = [
    ("nearest", OpenCvFilter::Nearest),
    ("linear", OpenCvFilter::Linear),
    ("cubic", OpenCvFilter::Cubic),
    ("area", OpenCvFilter::Area),
];

const TENSORFLOW: [(&str, TensorFlowFilter); 5] = [
    ("nearest", TensorFlowFilter::Nearest),
    ("bilinear", TensorFlowFilter::Bilinear),
    ("legacy-bilinear", TensorFlowFilter::LegacyBilinear),
    ("bicubic", TensorFlowFilter::Bicubic),
    ("area", TensorFlowFilter::Area),
];

const TORCH: [(&str, TorchFilter); 4] = [
    ("nearest-exact", TorchFilter::NearestExact),
    ("bilinear", TorchFilter::Bilinear),
    ("bicubic", TorchFilter::Bicubic),
    ("lanczos", TorchFilter::Lanczos),
];

fn named<F: Copy>(filters: &[(&str, F)], name: &str) -> F {
    filters.iter().find(|(found, _)| *found == name).expect("a filter name").1
}

fn size(height: usize, width: usize) -> Size {
    Size { height, width }
}

/// One of each, used for all cases: what one image leaves behind must not show in the next.
#[derive(Default)]
struct Kernels {
    pillow: Resampler,
    opencv: OpenCv,
    tensorflow: TensorFlow,
    torch: Torch,
}

/// What a kernel wrote.
enum Samples {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

impl Samples {
    fn crc32(&self) -> u32 {
        match self {
            Self::Bytes(bytes) => crc32(bytes),
            Self::Floats(floats) => {
                crc32(&floats.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
            }
        }
    }

    fn values(&self) -> Vec<f64> {
        match self {
            Self::Bytes(bytes) => bytes.iter().map(|&byte| byte.into()).collect(),
            Self::Floats(floats) => floats.iter().map(|&value| value.into()).collect(),
        }
    }
}

impl Kernels {
    fn resize(&mut self, kernel: &str, filter: &str, image: &Image<'_>, part: &Part) -> Samples {
        // Not zero, so that a sample that is never written shows.
        let length = part.output_size().area() * image.channels();
        let (mut bytes, mut floats) = (vec![0xa5; length], vec![-7.0; length]);
        match kernel {
            "opencv" => self.opencv.resize(image, named(&OPENCV, filter), part, &mut bytes),
            "torch" => self.torch.resize(image, named(&TORCH, filter), part, &mut bytes),
            "torch-rounded" => {
                self.torch.resize_rounded(image, named(&TORCH, filter), part, &mut bytes);
            }
            "tensorflow" => {
                let filter = named(&TENSORFLOW, filter);
                self.tensorflow.resize(image, filter, part, &mut floats);
                return Samples::Floats(floats);
            }
            "torch-float" => {
                let filter = named(&TORCH, filter);
                self.torch.resize_to_floats(image, filter, part, &mut floats);
                return Samples::Floats(floats);
            }
            _ => panic!("no kernel {kernel}"),
        }
        Samples::Bytes(bytes)
    }

    fn resize_rgba(
        &mut self,
        filter: &str,
        image: &Image<'_>,
        target: Size,
        crop: Rect,
    ) -> Vec<u8> {
        let request = Request::new(named(&PILLOW, filter), target)
            .with_crop(crop)
            .with_order(PassOrder::Pillow13);
        let mut out = vec![0xa5; crop.size().area() * 4];
        self.pillow.resize_rgba(image, &request, &mut out);
        out
    }
}

/// How far a sample may be off where the library's own result depends on the processor.
fn tolerance(kernel: &str) -> f64 {
    match kernel {
        "opencv" => 1.0,
        // Half of it is the rounding of the golden file.
        "torch-float" => 1e-3,
        _ => panic!("{kernel} is exact"),
    }
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance, "{what} at {at}: {found} for {expected}");
    }
}

#[test]
fn results_equal_those_of_the_libraries() {
    let goldens: Value = serde_json::from_str(include_str!("golden/kernels.json")).unwrap();
    let mut kernels = Kernels::default();
    let mut compared = 0;
    for case in goldens["cases"].as_array().unwrap() {
        let [kernel, filter] = ["kernel", "filter"].map(|name| case[name].as_str().unwrap());
        let channels = from_value(case["channels"].clone()).unwrap();
        for (index, shape) in goldens["shapes"].as_array().unwrap().iter().enumerate() {
            let (source, target, crop): ([usize; 2], [usize; 2], [usize; 4]) =
                from_value(shape.clone()).unwrap();
            let [source, target] = [source, target].map(|[height, width]| size(height, width));
            let [top, left, height, width] = crop;
            let crop = Rect { top, left, height, width };
            let pixels = formula(source, channels, case["hard"] == true);
            let image = Image::new(&pixels, source, channels);
            let found = if kernel == "pillow-rgba" {
                Samples::Bytes(kernels.resize_rgba(filter, &image, target, crop))
            } else {
                kernels.resize(kernel, filter, &image, &Part::new(target, crop))
            };
            let what = format!("{kernel} {filter} of {source:?} by {channels} to {target:?}");
            if let Some(sums) = case["crc32"].as_array() {
                assert_eq!(sums[index], found.crc32(), "{what}, hard: {}", case["hard"]);
            } else if let Some(samples) = case["samples"].get(index) {
                let expected: Vec<f64> = from_value(samples.clone()).unwrap();
                assert_close(&found.values(), &expected, tolerance(kernel), &what);
            } else {
                continue;
            }
            compared += 1;
        }
    }
    assert!(compared > 600, "{compared} comparisons");
}

/// The vectors, by the names that the research gives them.
fn vectors() -> Value {
    serde_json::from_str(include_str!("golden/vectors.json")).unwrap()
}

/// All numbers of nested arrays.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().expect("a number")],
    }
}

fn bytes(values: &[u8]) -> Vec<f64> {
    values.iter().map(|&byte| byte.into()).collect()
}

fn pillow(image: &Image<'_>, request: &Request) -> Vec<f64> {
    let mut out = vec![0xa5; request.output_size().area() * image.channels()];
    Resampler::new().resize(image, request, &mut out);
    bytes(&out)
}

/// Compares a kernel's resizes of one row with the rows of a vector.
fn assert_rows(kernel: &str, filter: &str, expected: &Value, tolerance: f64) {
    let image = Image::new(&ROW, size(1, 8), 1);
    for expected in expected.as_array().unwrap() {
        let expected = numbers(expected);
        let part = Part::whole(size(1, expected.len()));
        let found = Kernels::default().resize(kernel, filter, &image, &part);
        assert_close(&found.values(), &expected, tolerance, &format!("{kernel} {filter}"));
    }
}

#[test]
fn the_vectors_of_pillow_hold() {
    let vectors = vectors();
    let steps = [0, 255, 0, 255, 255, 0, 0, 255, 0, 255];
    for (name, filter) in PILLOW {
        for (vector, row) in [("R1", &ROW[..]), ("R2", &steps)] {
            for expected in vectors[vector][name].as_array().unwrap() {
                let expected = numbers(expected);
                let request = Request::new(filter, size(1, expected.len()));
                let image = Image::new(row, size(1, row.len()), 1);
                assert_eq!(pillow(&image, &request), expected, "{vector} {name}");
            }
        }
    }
    let color = formula(size(5, 7), 3, false);
    for (vector, filter) in [("R3", Filter::Bilinear), ("R4", Filter::Bicubic)] {
        let found = pillow(&Image::new(&color, size(5, 7), 3), &Request::new(filter, size(3, 4)));
        assert_eq!(found, numbers(&vectors[vector]), "{vector}");
    }
    for (vector, hard) in [("R5", false), ("R5b", true)] {
        let gray = formula(size(12, 3), 1, hard);
        for (version, order) in [("v12", PassOrder::Pillow12), ("v13", PassOrder::Pillow13)] {
            for (name, expected) in vectors[vector][version].as_object().unwrap() {
                let request = Request::new(named(&PILLOW, name), size(3, 2)).with_order(order);
                let found = pillow(&Image::new(&gray, size(12, 3), 1), &request);
                assert_eq!(found, numbers(expected), "{vector} {version} {name}");
            }
        }
    }
    let region = Region { top: 0.0, left: 2.0, bottom: 5.0, right: 7.0 };
    let request = Request::new(Filter::Bilinear, size(4, 4)).with_region(region);
    let gray = formula(size(5, 9), 1, false);
    assert_eq!(pillow(&Image::new(&gray, size(5, 9), 1), &request), numbers(&vectors["R6"]));
}

#[test]
fn alpha_weighs_the_colours() {
    let pixels = [255, 0, 0, 255, 0, 255, 0, 0, 0, 0, 255, 128, 10, 20, 30, 64];
    let image = Image::new(&pixels, size(1, 4), 4);
    let target = size(1, 2);
    let found = Kernels::default().resize_rgba("bilinear", &image, target, Rect::whole(target));
    assert_eq!(bytes(&found), numbers(&vectors()["R7"]));
}

#[test]
fn the_vectors_of_torch_hold() {
    let vectors = vectors();
    for name in ["bilinear", "bicubic"] {
        assert_rows("torch-float", name, &vectors["R8"][name], 1e-5);
        let color = formula(size(5, 7), 3, false);
        let image = Image::new(&color, size(5, 7), 3);
        let part = Part::whole(size(3, 4));
        let found = Kernels::default().resize("torch-rounded", name, &image, &part);
        assert_eq!(found.values(), numbers(&vectors["R11"][name]), "R11 {name}");
    }
    for kernel in ["torch-float", "torch", "torch-rounded"] {
        assert_rows(kernel, "nearest-exact", &vectors["R10"]["nearest-exact"], 0.0);
    }
}

#[test]
fn torch_without_antialiasing_is_what_tensorflow_and_opencv_do() {
    let vectors = vectors();
    assert_rows("tensorflow", "bilinear", &vectors["R9"]["bilinear"], 1e-5);
    assert_rows("opencv", "nearest", &vectors["R10"]["nearest"], 0.0);
    // OpenCV's bytes are the rounded floats of the same cubic.
    assert_rows("opencv", "cubic", &clipped(&vectors["R9"]["bicubic"]), 0.5);
}

#[test]
fn the_vectors_of_opencv_hold() {
    let vectors = vectors();
    for name in ["NEAREST", "LINEAR", "CUBIC", "AREA"] {
        assert_rows("opencv", &name.to_lowercase(), &vectors["R12"][name], 0.0);
    }
    // On floats OpenCV does what it does on bytes, unrounded.
    for name in ["LINEAR", "CUBIC", "AREA"] {
        let expected = clipped(&vectors["R12b"][name]);
        assert_rows("opencv", &name.to_lowercase(), &expected, 0.5);
    }
    for (name, filter) in [("LINEAR", "bilinear"), ("AREA", "area")] {
        assert_rows("tensorflow", filter, &vectors["R12b"][name], 1e-4);
    }
}

/// The same rows without their overshoot below the range of bytes.
fn clipped(rows: &Value) -> Value {
    let clip = |row: &Value| numbers(row).into_iter().map(|value| value.max(0.0)).collect();
    rows.as_array().unwrap().iter().map(clip).collect::<Vec<Vec<f64>>>().into()
}

#[test]
fn the_vectors_of_tensorflow_hold() {
    let vectors = vectors();
    for name in ["nearest", "bilinear", "bicubic", "area"] {
        assert_rows("tensorflow", name, &vectors["T1"][name], 1e-4);
    }
    // With antialiasing TensorFlow and torch agree.
    for name in ["bilinear", "bicubic"] {
        let expected = &vectors["T1"][format!("{name} antialias=True")];
        assert_rows("torch-float", name, expected, 1e-4);
    }
    assert_rows("tensorflow", "legacy-bilinear", &Value::Array(vec![vectors["T2"].clone()]), 1e-4);
}

#[test]
#[should_panic(expected = "samples of")]
fn an_output_of_another_length_is_refused() {
    let image = Image::new(&ROW, size(1, 8), 1);
    Torch::default().resize(&image, TorchFilter::Bilinear, &Part::whole(size(1, 3)), &mut [0; 4]);
}

#[test]
#[should_panic(expected = "is no part of")]
fn a_crop_outside_the_target_is_refused() {
    let crop = Rect { top: 0, left: 2, height: 1, width: 2 };
    let _ = Part::new(size(1, 3), crop);
}
