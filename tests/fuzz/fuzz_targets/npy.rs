//! Tensors as files. Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz npy`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    surfaces::npy(bytes);
});
