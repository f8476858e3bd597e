//! Metadata of ONNX files. Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz metadata`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    surfaces::metadata(bytes);
});
