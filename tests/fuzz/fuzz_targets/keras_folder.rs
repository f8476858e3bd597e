//! Folders of Keras: the JSON of a configuration, and the protobuf and tables of a `SavedModel`. Run:
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz keras_folder`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let whole: &[(&str, &[u8])] = match kind % 4 {
        0 => &[("config.json", bytes), ("model.weights.h5", b"")],
        1 => &[("saved_model.pb", bytes)],
        2 => &[("saved_model.pb", b""), ("keras_metadata.pb", bytes)],
        _ => &[("saved_model.pb", b""), ("variables/variables.index", bytes)],
    };
    surfaces::keras_folder(whole);
});
