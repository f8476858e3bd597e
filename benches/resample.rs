//! Times one resize on one thread beside the crate `fast_image_resize`: noise of the given size,
//! shorter side to 256, 224×224 centre crop. Alone it prints a table; with `--serve` it answers
//! `HEIGHT WIDTH FILTER CROP REPEATS` lines with a line of JSON each, for `compare_resample.py`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "not shipped")]

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;

use fast_image_resize::images::{Image as PeerImage, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use linnaeus::geometry::{Rect, Size};
use linnaeus::resample::{Filter, Image, Request, Resampler};
use serde_json::json;

const FILTERS: [(&str, Filter, FilterType); 5] = [
    ("box", Filter::Box, FilterType::Box),
    ("bilinear", Filter::Bilinear, FilterType::Bilinear),
    ("hamming", Filter::Hamming, FilterType::Hamming),
    ("bicubic", Filter::Bicubic, FilterType::CatmullRom),
    ("lanczos", Filter::Lanczos, FilterType::Lanczos3),
];

/// The same as `noise` of `compare_resample.py`.
fn noise(size: Size) -> Vec<u8> {
    let mut state = 1_u32;
    let step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(step).take(size.area() * 3).collect()
}

/// Shorter side to 256, and the centre 224×224 of it if `crop`.
fn plan(size: Size, crop: bool) -> (Size, Rect) {
    let shorter = size.height.min(size.width);
    let target = Size { height: size.height * 256 / shorter, width: size.width * 256 / shorter };
    let (top, left) = ((target.height - 224) / 2, (target.width - 224) / 2);
    let crop = if crop { Rect { top, left, height: 224, width: 224 } } else { Rect::whole(target) };
    (target, crop)
}

/// Runs once unmeasured, then returns the sorted times in ns.
fn measure(repeats: usize, mut run: impl FnMut()) -> Vec<u64> {
    let run = || {
        let start = Instant::now();
        run();
        u64::try_from(start.elapsed().as_nanos()).expect("a short run")
    };
    let mut times: Vec<_> = std::iter::repeat_with(run).take(repeats + 1).skip(1).collect();
    times.sort_unstable();
    times
}

/// One source image and what both sides make of it.
struct Bench {
    size: Size,
    pixels: Vec<u8>,
    ours: Vec<u8>,
    theirs: Vec<u8>,
}

impl Bench {
    fn new(size: Size) -> Self {
        Self { size, pixels: noise(size), ours: Vec::new(), theirs: Vec::new() }
    }

    fn measure(
        &mut self,
        resampler: &mut Resampler,
        filter: Filter,
        crop: bool,
        repeats: usize,
    ) -> Vec<u64> {
        let (target, crop) = plan(self.size, crop);
        let request = Request::new(filter, target).with_crop(crop);
        let image = Image::new(&self.pixels, self.size, 3);
        self.ours.resize(crop.size().area() * 3, 0);
        measure(repeats, || resampler.resize(&image, &request, black_box(&mut self.ours)))
    }

    /// The peer computes all of the target; the crop is cut out of it.
    fn measure_peer(&mut self, filter: FilterType, crop: bool, repeats: usize) -> Vec<u64> {
        let (target, crop) = plan(self.size, crop);
        let side = |length: usize| u32::try_from(length).expect("sides are small");
        let (height, width) = (side(self.size.height), side(self.size.width));
        let image = ImageRef::new(width, height, &self.pixels, PixelType::U8x3).unwrap();
        let mut out = PeerImage::new(side(target.width), side(target.height), PixelType::U8x3);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
        let mut resizer = Resizer::new();
        measure(repeats, || {
            resizer.resize(&image, &mut out, &options).unwrap();
            self.theirs.clear();
            let rows = out.buffer().chunks_exact(target.width * 3).skip(crop.top);
            for row in rows.take(crop.height) {
                self.theirs.extend_from_slice(&row[crop.left * 3..][..crop.width * 3]);
            }
            black_box(&mut self.theirs);
        })
    }

    fn differing(&self) -> usize {
        assert_eq!(self.ours.len(), self.theirs.len());
        self.ours.iter().zip(&self.theirs).filter(|(ours, theirs)| ours != theirs).count()
    }
}

fn table() {
    println!("minimum of 30 (portable: 10) in µs; peer: fast_image_resize");
    println!(
        "{:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>16}",
        "H×W", "filter", "ours", "baseline", "portable", "peer", "peer/ours", "peer differs in"
    );
    for (height, width) in [(375, 500), (853, 1280), (2665, 4000)] {
        let mut bench = Bench::new(Size { height, width });
        for (name, filter, peer) in FILTERS {
            let portable = bench.measure(&mut Resampler::portable(), filter, true, 10)[0];
            let baseline = bench.measure(&mut Resampler::baseline(), filter, true, 30)[0];
            let ours = bench.measure(&mut Resampler::new(), filter, true, 30)[0];
            let theirs = bench.measure_peer(peer, true, 30)[0];
            let share = 100.0 * bench.differing() as f64 / bench.ours.len() as f64;
            println!(
                "{:>10} {name:>9} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>10.2} {share:>14.1} %",
                format!("{height}×{width}"),
                ours as f64 / 1e3,
                baseline as f64 / 1e3,
                portable as f64 / 1e3,
                theirs as f64 / 1e3,
                theirs as f64 / ours as f64,
            );
        }
    }
}

fn serve(mut resampler: Resampler) {
    let mut bench = Bench::new(Size { height: 0, width: 0 });
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a readable standard input");
        let fields: Vec<_> = line.split_whitespace().collect();
        let number = |index: usize| fields[index].parse::<usize>().expect("a number");
        let size = Size { height: number(0), width: number(1) };
        let (_, filter, peer) =
            *FILTERS.iter().find(|(name, ..)| *name == fields[2]).expect("a filter name");
        if bench.size != size {
            bench = Bench::new(size);
        }
        let (crop, repeats) = (number(3) == 1, number(4));
        let ours = bench.measure(&mut resampler, filter, crop, repeats);
        let theirs = bench.measure_peer(peer, crop, repeats);
        let mut sum = flate2::Crc::new();
        sum.update(&bench.ours);
        println!(
            "{}",
            json!({
                "ours": ours, "peer": theirs, "crc32": sum.sum(),
                "differing": bench.differing(), "samples": bench.ours.len(),
            })
        );
        std::io::stdout().flush().expect("an open standard output");
    }
}

fn main() {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    let resampler = if has("--portable") {
        Resampler::portable()
    } else if has("--baseline") {
        Resampler::baseline()
    } else {
        Resampler::new()
    };
    if has("--serve") { serve(resampler) } else { table() }
}
