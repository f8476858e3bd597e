//! Files beside a model. Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz sidecars`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    surfaces::sidecars(bytes);
});
