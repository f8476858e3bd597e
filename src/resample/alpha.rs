//! Colour multiplied by its alpha and back, as Pillow does around a resize of `RGBA` images.

/// Appends the pixels with their colour multiplied by alpha: Pillow's `RGBA` to `RGBa`.
pub(super) fn premultiply(pixels: &[u8], out: &mut Vec<u8>) {
    out.clear();
    for &[red, green, blue, alpha] in pixels.as_chunks::<4>().0 {
        let [red, green, blue] = [red, green, blue].map(|color| multiply(color, alpha));
        out.extend([red, green, blue, alpha]);
    }
}

/// Divides the colour of the pixels by alpha: Pillow's `RGBa` to `RGBA`.
pub(super) fn unpremultiply(pixels: &mut [u8]) {
    for [red, green, blue, alpha] in pixels.as_chunks_mut::<4>().0 {
        if !matches!(*alpha, 0 | 255) {
            for color in [red, green, blue] {
                let quotient = 255 * u32::from(*color) / u32::from(*alpha);
                *color = u8::try_from(quotient).unwrap_or(255);
            }
        }
    }
}

/// `color` × `alpha` / 255 rounded, by shifts as in Pillow; exact for bytes.
fn multiply(color: u8, alpha: u8) -> u8 {
    let product = u32::from(color) * u32::from(alpha) + 128;
    u8::try_from(((product >> 8) + product) >> 8).expect("at most 255 × 255 / 255")
}
