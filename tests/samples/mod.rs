//! The image that the golden scripts make by a formula, and the sum by which results are compared.

#![allow(dead_code, reason = "each test file uses its own part")]

use linnaeus::geometry::Size;

/// A(h,w,c)[y][x][k] = (37y + 59x + 101k + 13xy) mod 256, height × width × channels bytes; `hard`
/// is black and white.
pub(crate) fn formula(size: Size, channels: usize, hard: bool) -> Vec<u8> {
    let mut samples = Vec::new();
    for y in 0..size.height {
        for x in 0..size.width {
            for k in 0..channels {
                let [value, ..] = (37 * y + 59 * x + 101 * k + 13 * x * y).to_le_bytes();
                samples.push(if hard { u8::from(value > 127) * 255 } else { value });
            }
        }
    }
    samples
}

/// CRC-32 as in zlib.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
