//! Lists of runs. Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz list`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    surfaces::listed(bytes);
});
