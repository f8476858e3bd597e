//! Keras archives and HDF5 files. Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz keras`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    surfaces::keras(bytes);
});
