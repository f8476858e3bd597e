//! Times one resize on one thread: noise of the given size, shorter side to 256, 224×224 centre
//! crop. Alone it prints a table; with `--serve` it answers `HEIGHT WIDTH FILTER CROP REPEATS`
//! lines with nanoseconds of wall time, for `compare_resample.py` beside it.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "not shipped")]

use std::io::{BufRead, Write};
use std::time::Instant;

use linnaeus::geometry::{Rect, Size};
use linnaeus::resample::{Filter, Image, Request, Resampler};

const FILTERS: [(&str, Filter); 6] = [
    ("nearest", Filter::Nearest),
    ("box", Filter::Box),
    ("bilinear", Filter::Bilinear),
    ("hamming", Filter::Hamming),
    ("bicubic", Filter::Bicubic),
    ("lanczos", Filter::Lanczos),
];

fn noise(size: Size) -> Vec<u8> {
    let mut state = 1_u32;
    let step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(step).take(size.area() * 3).collect()
}

/// Shorter side to 256, and its centre 224×224 if `crop`.
fn request(size: Size, filter: Filter, crop: bool) -> Request {
    let shorter = size.height.min(size.width);
    let target = Size { height: size.height * 256 / shorter, width: size.width * 256 / shorter };
    let request = Request::new(filter, target);
    if !crop {
        return request;
    }
    let (top, left) = ((target.height - 224) / 2, (target.width - 224) / 2);
    request.with_crop(Rect { top, left, height: 224, width: 224 })
}

/// Runs once unmeasured, then returns the sorted times in ns.
fn measure(
    resampler: &mut Resampler,
    pixels: &[u8],
    request: &Request,
    (size, repeats): (Size, usize),
) -> Vec<u64> {
    let image = Image::new(pixels, size, 3);
    let mut out = vec![0; request.output_size().area() * 3];
    let run = || {
        let start = Instant::now();
        resampler.resize(&image, request, std::hint::black_box(&mut out));
        u64::try_from(start.elapsed().as_nanos()).expect("a short run")
    };
    let mut times: Vec<_> = std::iter::repeat_with(run).take(repeats + 1).skip(1).collect();
    times.sort_unstable();
    times
}

fn table() {
    println!(
        "{:>12} {:>9} {:>12} {:>12} {:>12}",
        "H×W", "filter", "min ns", "median ns", "portable min"
    );
    for (height, width) in [(375, 500), (853, 1280), (2665, 4000)] {
        let size = Size { height, width };
        let pixels = noise(size);
        for (name, filter) in &FILTERS[2..] {
            let request = request(size, *filter, true);
            let times = measure(&mut Resampler::new(), &pixels, &request, (size, 30));
            let portable = measure(&mut Resampler::portable(), &pixels, &request, (size, 10));
            let shape = format!("{height}×{width}");
            println!(
                "{shape:>12} {name:>9} {:>12} {:>12} {:>12}",
                times[0], times[15], portable[0]
            );
        }
    }
}

fn serve(portable: bool) {
    let mut resampler = if portable { Resampler::portable() } else { Resampler::new() };
    let mut pixels = (Size { height: 0, width: 0 }, Vec::new());
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a readable standard input");
        let fields: Vec<_> = line.split_whitespace().collect();
        let number = |index: usize| fields[index].parse::<usize>().expect("a number");
        let size = Size { height: number(0), width: number(1) };
        let (_, filter) =
            *FILTERS.iter().find(|(name, _)| *name == fields[2]).expect("a filter name");
        if pixels.0 != size {
            pixels = (size, noise(size));
        }
        let request = request(size, filter, number(3) == 1);
        let times = measure(&mut resampler, &pixels.1, &request, (size, number(4)));
        let times: Vec<_> = times.iter().map(u64::to_string).collect();
        println!("{}", times.join(" "));
        std::io::stdout().flush().expect("an open standard output");
    }
}

fn main() {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    if has("--serve") { serve(has("--portable")) } else { table() }
}
