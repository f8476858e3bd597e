//! Memory of decoding, counted by an allocator: what a header claims is refused before anything is
//! allocated for it, and images decoded at the same time stay within one budget.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#![allow(unsafe_code, reason = "an allocator that counts can be written in no other way")]

#[macro_use]
mod told;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use linnaeus::{
    decode::{Budget, Decoder, Limits, Pixels, Policy},
    error::ItemError,
    recipe::{Alpha, Deep, Orientation},
};

/// The system's allocator, with a count of the bytes in use and of the most there were.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), SeqCst) + layout.size();
        PEAK.fetch_max(used, SeqCst);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), SeqCst) + layout.size();
        PEAK.fetch_max(used, SeqCst);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), SeqCst);
        // SAFETY: `pointer` came from this allocator, and so from the system's, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counters are the process's: one measurement at a time.
static MEASURING: Mutex<()> = Mutex::new(());

/// What `work` returns, and the most bytes that were in use over those at its beginning.
fn measured<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = USED.load(SeqCst);
    PEAK.store(before, SeqCst);
    let outcome = work();
    (outcome, PEAK.load(SeqCst) - before)
}

fn decoder(max_pixels: u64, max_bytes: u64, budget: u64) -> Decoder {
    Decoder {
        limits: Limits { max_pixels, max_bytes },
        policy: Policy { exif: Orientation::Apply, alpha: Alpha::Drop, deep: Deep::HighByte },
        budget: Budget::new(budget),
    }
}

fn hostile(name: &str) -> (PathBuf, Vec<u8>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/images/hostile");
    let path = folder.join(name);
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

const MIB: usize = 1 << 20;

#[test]
fn the_allocator_counts() {
    let _alone = MEASURING.lock();
    let ((), peak) = measured(|| drop(std::hint::black_box(vec![1_u8; 5 * MIB])));
    // The other tests wait, but the threads that run them free some bytes meanwhile.
    let about = 5 * MIB - 64 * 1024..6 * MIB;
    assert!(about.contains(&peak), "{peak}");
    let (_kept, peak) = measured(|| std::hint::black_box(vec![0_u8; 5 * MIB]));
    assert!(about.contains(&peak), "{peak}");
}

#[test]
fn a_header_that_claims_too_much_is_refused_without_memory_for_it() {
    let _alone = MEASURING.lock();
    for extension in ["jpg", "png", "gif", "webp", "bmp", "tif"] {
        let (path, bytes) = hostile(&format!("huge_header.{extension}"));
        // Once at Pillow's limit of pixels, and once stopped by the memory for decoding alone.
        for (max_pixels, max_bytes) in [(178_956_970, 2 << 30), (u64::MAX, 512 << 20)] {
            let decoder = decoder(max_pixels, max_bytes, max_bytes);
            let mut pixels = Pixels::default();
            let (outcome, peak) = measured(|| decoder.decode(&bytes, &path, &mut pixels));
            let code = outcome.as_ref().map_err(ItemError::code);
            // Two decoders refuse these headers before the limits are looked at.
            let expected =
                if matches!(extension, "webp" | "tif") { "corrupt" } else { "too_large" };
            assert_eq!(code.map(|_| ()), Err(expected), "{extension}: {outcome:?}");
            println!("huge_header.{extension}: {} KiB", peak / 1024);
            assert!(peak < 10 * MIB, "{extension} took {peak} bytes");
        }
    }
}

#[test]
fn images_decoded_at_once_share_one_budget() {
    let _alone = MEASURING.lock();
    let (path, bytes) = hostile("real_bomb.png");
    // 16,000 × 16,000 bytes are decoded into 244 MiB, for which the header asks for five times as
    // much; this budget lets one image in at a time.
    let budget = 1400 * MIB;
    let decoder = decoder(1 << 30, budget as u64, budget as u64);
    let decode = || {
        let mut pixels = Pixels::default();
        decoder.decode(&bytes, &path, &mut pixels).unwrap();
        assert_eq!(pixels.data.len(), 256_000_000);
    };
    let ((), peak) = measured(|| {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(decode);
            }
        });
    });
    told!("eight 244 MiB images within a budget of 1400 MiB: {} MiB", peak / MIB);
    assert!(peak >= 244 * MIB, "something was decoded: {peak}");
    assert!(peak <= budget, "{peak} bytes were in use, and the budget is {budget}");
}

#[test]
fn what_the_header_asks_for_is_what_decoding_takes() {
    let _alone = MEASURING.lock();
    for name in [
        "good.jpg",
        "good_progressive.jpg",
        "cmyk.jpg",
        "good.png",
        "rgb16.png",
        "rgba.png",
        "palette_transparent.png",
        "one_bit.png",
        "good.gif",
        "good.bmp",
        "good.tif",
        "good_lossy.webp",
        "good_lossless.webp",
        "animated.webp",
        "rotated_exif6.png",
    ] {
        let (path, bytes) = hostile(name);
        let decoder = decoder(1 << 20, 1 << 20, 1 << 20);
        let mut pixels = Pixels::default();
        let (outcome, peak) = measured(|| decoder.decode(&bytes, &path, &mut pixels));
        outcome.unwrap();
        println!("{name}: {} KiB for {} KiB of pixels", peak / 1024, pixels.data.len() / 1024);
        // These are small: what a decoder needs beside the pixels is most of it.
        assert!(peak < MIB, "{name} took {peak} bytes");
    }
}
