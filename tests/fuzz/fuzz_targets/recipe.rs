//! Recipes. Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz recipe`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    surfaces::recipe(bytes);
});
