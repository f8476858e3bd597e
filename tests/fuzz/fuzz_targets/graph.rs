//! Frozen TensorFlow graphs. Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz graph`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    surfaces::graph(bytes);
});
