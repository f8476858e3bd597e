//! The official library that `build.rs` put into this executable, still deflated.

use std::io::Read as _;

use flate2::read::DeflateDecoder;

use crate::runtime::cache::Payload;

#[expect(clippy::unreadable_literal, reason = "written by build.rs")]
mod pinned {
    include!(concat!(env!("OUT_DIR"), "/bundle.rs"));
}
use pinned::{BYTES, FILE_NAME, LIBRARY, LICENSE, NOTICES, SHA256};

pub(super) use pinned::VERSION;

/// The carried library. A constant would be embedded once per use.
pub(super) static PAYLOAD: Payload = Payload {
    version: VERSION,
    file_name: FILE_NAME,
    sha256: SHA256,
    bytes: BYTES,
    deflated: LIBRARY,
};

/// Returns the licence of ONNX Runtime and the notices of what it contains.
pub(super) fn licenses() -> String {
    format!("ONNX Runtime {VERSION}\n\n{}\n{}", inflate(LICENSE), inflate(NOTICES))
}

fn inflate(deflated: &[u8]) -> String {
    let mut bytes = Vec::new();
    DeflateDecoder::new(deflated)
        .read_to_end(&mut bytes)
        .expect("build.rs copied a whole deflate stream from a wheel with the pinned SHA-256");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest;

    #[test]
    fn the_carried_library_inflates_to_the_pinned_bytes() {
        let found = digest::of(DeflateDecoder::new(PAYLOAD.deflated)).unwrap();
        assert_eq!(found, (PAYLOAD.bytes, PAYLOAD.sha256.to_owned()));
    }
}
