//! Files of images. Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz image`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    _ = surfaces::image(bytes);
});
