//! Label files. Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz labels`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    surfaces::labels(bytes);
});
