//! Resizing against results of Pillow: fixed vectors, and goldens of three Pillow versions.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "not shipped")]

use linnaeus::geometry::{Rect, Size};
use linnaeus::resample::{Filter, Image, PassOrder, Region, Request, Resampler};
use serde_json::{Value, from_value};

mod samples;

use samples::{crc32, formula};

const FILTERS: [(&str, Filter); 6] = [
    ("nearest", Filter::Nearest),
    ("box", Filter::Box),
    ("bilinear", Filter::Bilinear),
    ("hamming", Filter::Hamming),
    ("bicubic", Filter::Bicubic),
    ("lanczos", Filter::Lanczos),
];

const ORDERS: [(&str, PassOrder); 3] = [
    ("pillow12", PassOrder::Pillow12),
    ("pillow12_2", PassOrder::Pillow12_2),
    ("pillow13", PassOrder::Pillow13),
];

fn resize(
    resampler: &mut Resampler,
    image: &Image<'_>,
    channels: usize,
    request: &Request,
) -> Vec<u8> {
    // Not zero, so that a sample that is never written shows.
    let mut out = vec![0xa5; request.output_size().area() * channels];
    resampler.resize(image, request, &mut out);
    out
}

/// Resizes with all sets of kernels, which must agree.
fn all(samples: &[u8], size: Size, channels: usize, request: &Request) -> Vec<u8> {
    let image = Image::new(samples, size, channels);
    let fast = resize(&mut Resampler::new(), &image, channels, request);
    let portable = resize(&mut Resampler::portable(), &image, channels, request);
    assert_eq!(fast, portable, "{request:?} of {size:?} by {channels}");
    let baseline = resize(&mut Resampler::baseline(), &image, channels, request);
    assert_eq!(baseline, portable, "baseline, {request:?} of {size:?} by {channels}");
    fast
}

fn size(height: usize, width: usize) -> Size {
    Size { height, width }
}

#[test]
fn rows_shrink_and_grow_as_in_pillow() {
    let ramp = [0, 10, 20, 30, 40, 50, 60, 70];
    let expected: [(&[u8], &[u8]); 6] = [
        (&[10, 40, 60], &[0, 10, 10, 20, 20, 30, 40, 50, 50, 60, 70, 70]),
        (&[10, 35, 60], &[0, 10, 10, 20, 30, 30, 40, 50, 50, 60, 70, 70]),
        (&[11, 35, 59], &[0, 5, 12, 18, 25, 32, 38, 45, 52, 58, 65, 70]),
        (&[9, 35, 61], &[0, 5, 10, 20, 25, 30, 40, 45, 50, 60, 65, 70]),
        (&[9, 35, 61], &[0, 4, 12, 18, 25, 32, 38, 45, 52, 58, 66, 71]),
        (&[8, 35, 62], &[0, 4, 12, 19, 25, 31, 39, 45, 51, 58, 66, 71]),
    ];
    for ((name, filter), (shrunk, grown)) in FILTERS.into_iter().zip(expected) {
        for expected in [shrunk, grown] {
            let across = Request::new(filter, size(1, expected.len()));
            assert_eq!(all(&ramp, size(1, 8), 1, &across), expected, "{name}, a row");
            let down = Request::new(filter, size(expected.len(), 1));
            assert_eq!(all(&ramp, size(8, 1), 1, &down), expected, "{name}, a column");
        }
    }
}

#[test]
fn overshoot_is_clipped_as_in_pillow() {
    let steps = [0, 255, 0, 255, 255, 0, 0, 255, 0, 255];
    let expected: [(Filter, &[u8], &[u8]); 3] = [
        (Filter::Box, &[0, 128, 255, 128, 0, 128, 255], &[85, 255, 85, 128]),
        (Filter::Bicubic, &[92, 110, 228, 127, 27, 145, 163], &[107, 181, 74, 148]),
        (Filter::Lanczos, &[101, 109, 227, 128, 28, 146, 154], &[104, 184, 71, 151]),
    ];
    for (filter, seven, four) in expected {
        for expected in [seven, four] {
            let request = Request::new(filter, size(1, expected.len()));
            assert_eq!(all(&steps, size(1, 10), 1, &request), expected, "{filter:?}");
        }
    }
    let grown = [0, 146, 239, 22, 87, 255, 255, 128, 0, 0, 168, 233, 16, 109, 255];
    let request = Request::new(Filter::Lanczos, size(1, 15));
    assert_eq!(all(&steps, size(1, 10), 1, &request), grown);
}

#[test]
fn colour_channels_stay_apart() {
    let samples = formula(size(5, 7), 3, false);
    let bilinear = [
        [50, 146, 130, 150, 122, 96, 161, 114, 136, 120, 157, 129],
        [116, 122, 95, 165, 107, 141, 156, 109, 102, 155, 126, 101],
        [112, 166, 126, 117, 155, 150, 162, 136, 108, 126, 102, 149],
    ];
    let bicubic = [
        [39, 150, 130, 160, 118, 88, 164, 108, 141, 115, 164, 130],
        [119, 118, 92, 170, 103, 148, 154, 114, 98, 161, 124, 97],
        [112, 165, 125, 115, 157, 155, 169, 138, 104, 122, 98, 150],
    ];
    for (filter, expected) in [(Filter::Bilinear, bilinear), (Filter::Bicubic, bicubic)] {
        let request = Request::new(filter, size(3, 4));
        assert_eq!(all(&samples, size(5, 7), 3, &request), expected.as_flattened(), "{filter:?}");
    }
}

#[test]
fn the_pass_order_shows_in_the_result() {
    let cases: [(bool, Filter, [u8; 6], [u8; 6]); 5] = [
        (false, Filter::Bilinear, [88, 141, 124, 132, 112, 145], [88, 141, 124, 132, 112, 145]),
        (false, Filter::Bicubic, [83, 144, 125, 130, 110, 148], [83, 144, 125, 130, 111, 148]),
        (false, Filter::Lanczos, [82, 143, 126, 131, 109, 151], [81, 143, 126, 131, 108, 151]),
        (true, Filter::Bicubic, [59, 128, 140, 117, 83, 140], [56, 129, 141, 116, 80, 141]),
        (true, Filter::Lanczos, [60, 125, 142, 120, 83, 142], [55, 128, 143, 119, 78, 144]),
    ];
    for (hard, filter, before, since) in cases {
        let samples = formula(size(12, 3), 1, hard);
        let request = Request::new(filter, size(3, 2));
        let expected = [before, before, since];
        for ((name, order), expected) in ORDERS.into_iter().zip(expected) {
            let request = request.with_order(order);
            let actual = all(&samples, size(12, 3), 1, &request);
            assert_eq!(actual, expected, "{name} {filter:?} hard={hard}");
        }
    }
}

#[test]
fn a_region_is_resized_with_the_samples_around_it_left_out() {
    let samples = formula(size(5, 9), 1, false);
    let region = Region { top: 0.0, left: 2.0, bottom: 5.0, right: 7.0 };
    let request = Request::new(Filter::Bilinear, size(4, 4)).with_region(region);
    let expected = [143, 196, 119, 112, 195, 148, 151, 155, 133, 156, 177, 138, 120, 171, 148, 104];
    assert_eq!(all(&samples, size(5, 9), 1, &request), expected);
}

/// The request that a case of the golden file describes.
fn golden_request(case: &Value) -> Request {
    let field = |name: &str| case[name].clone();
    let (_, filter) =
        FILTERS.into_iter().find(|(name, _)| case["filter"] == *name).expect("a filter name");
    let [height, width] = from_value(field("target")).expect("a target");
    let mut request = Request::new(filter, size(height, width));
    if let Some(edges) = from_value(field("box")).expect("a box or null") {
        let [left, top, right, bottom]: [f32; 4] = edges;
        request = request.with_region(Region { top, left, bottom, right });
    }
    if let Some(crop) = from_value(field("crop")).expect("a crop or null") {
        let [top, left, height, width]: [usize; 4] = crop;
        request = request.with_crop(Rect { top, left, height, width });
    }
    request
}

#[test]
fn results_equal_those_of_three_pillow_versions() {
    let goldens: Value = serde_json::from_str(include_str!("golden/resample.json")).unwrap();
    let mut order_matters = [0, 0];
    for case in goldens["cases"].as_array().unwrap() {
        let [height, width, channels] = [&case["size"][0], &case["size"][1], &case["channels"]]
            .map(|value| from_value(value.clone()).unwrap());
        let source = size(height, width);
        let samples = formula(source, channels, case["hard"] == true);
        let mut sums = Vec::new();
        for (name, order) in ORDERS {
            let expected = &case["results"][name];
            let request = golden_request(case).with_order(order);
            let actual = all(&samples, source, channels, &request);
            if let Some(values) = expected["samples"].as_array() {
                assert_eq!(
                    &actual.iter().map(|&v| v.into()).collect::<Vec<Value>>(),
                    values,
                    "{case}"
                );
            }
            assert_eq!(expected["crc32"], crc32(&actual), "{name} {case}");
            sums.push(crc32(&actual));
        }
        order_matters[0] += usize::from(sums[0] != sums[1]);
        order_matters[1] += usize::from(sums[1] != sums[2]);
    }
    assert!(order_matters.iter().all(|&count| count > 0), "{order_matters:?}");
}

#[test]
fn a_used_resampler_gives_what_a_new_one_gives() {
    let mut used = Resampler::new();
    for step in 0..40 {
        let source = size(20 + step * 7 % 23, 15 + step * 5 % 31);
        let samples = formula(source, 3, step % 2 == 0);
        let image = Image::new(&samples, source, 3);
        let request = Request::new(FILTERS[step % 6].1, size(9 + step % 11, 33 - step % 13));
        let fresh = resize(&mut Resampler::new(), &image, 3, &request);
        assert_eq!(resize(&mut used, &image, 3, &request), fresh, "step {step}: {request:?}");
    }
}

#[test]
#[should_panic(expected = "is no part of")]
fn a_region_outside_the_source_is_refused() {
    let region = Region { top: 0.0, left: 0.0, bottom: 2.5, right: 3.0 };
    let request = Request::new(Filter::Box, size(1, 1)).with_region(region);
    Resampler::new().resize(&Image::new(&[0; 6], size(2, 3), 1), &request, &mut [0]);
}
