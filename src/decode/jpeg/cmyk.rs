//! Four-component JPEGs to RGB.
//!
//! The codec upsamples four components only when the first and the last are full-size, and panics
//! otherwise, so its raw planes are upsampled here, by the formulas of libjpeg (`jdsample.c`, "fancy
//! upsampling") that the codec uses for three.

use libjpeg_turbo_rs::RawImage;

use super::{Header, JpegError, resize};

/// One component as stored: `height` × `width` samples that belong to the image, in rows of `stride`.
struct Plane<'a> {
    samples: &'a [u8],
    stride: usize,
    height: usize,
    width: usize,
    /// Output rows and columns per sample.
    ratio: [usize; 2],
}

impl Plane<'_> {
    fn row(&self, y: usize) -> &[u8] {
        &self.samples[y * self.stride..][..self.width]
    }

    /// Writes row `y` of the full-size image.
    fn upsample_row(&self, y: usize, out: &mut [u8]) {
        let [vertical, horizontal] = self.ratio;
        let near = self.row(y / vertical);
        // The other row that a vertical triangle filter weighs: above for the upper half of a
        // sample, below for the lower; the image's edge is its own neighbour.
        let lower = y % vertical == 1;
        let far = if lower { y / 2 + 1 } else { (y / 2).saturating_sub(1) };
        match (vertical, horizontal) {
            (1, 1) => out.copy_from_slice(&near[..out.len()]),
            (1, 2) if self.width > 2 => triangle_2x1(near, out),
            (2, 1) => {
                let bias = if lower { 2 } else { 1 };
                let far = self.row(far.min(self.height - 1));
                for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
                    *out = narrow((3 * u32::from(near) + u32::from(far) + bias) >> 2);
                }
            }
            (2, 2) if self.width > 2 => {
                triangle_2x2(near, self.row(far.min(self.height - 1)), out);
            }
            _ => {
                for (x, out) in out.iter_mut().enumerate() {
                    *out = near[x / horizontal];
                }
            }
        }
    }
}

/// `h2v1_fancy_upsample`: 3/4 of the nearer sample, 1/4 of the farther, rounding down and up in turn.
fn triangle_2x1(samples: &[u8], out: &mut [u8]) {
    let last = samples.len() - 1;
    for (x, out) in out.iter_mut().enumerate() {
        let (near, right) = (x / 2, x % 2 == 1);
        let far = if right { (near + 1).min(last) } else { near.saturating_sub(1) };
        let bias = if right { 2 } else { 1 };
        *out = narrow((3 * u32::from(samples[near]) + u32::from(samples[far]) + bias) >> 2);
    }
}

/// `h2v2_fancy_upsample`: the triangle in both directions, biased by 8 and 7 of 16 in turn.
fn triangle_2x2(near_row: &[u8], far_row: &[u8], out: &mut [u8]) {
    let last = near_row.len() - 1;
    let column = |x: usize| 3 * u32::from(near_row[x]) + u32::from(far_row[x]);
    for (x, out) in out.iter_mut().enumerate() {
        let (near, right) = (x / 2, x % 2 == 1);
        let far = if right { (near + 1).min(last) } else { near.saturating_sub(1) };
        let bias = if right { 7 } else { 8 };
        *out = narrow((3 * column(near) + column(far) + bias) >> 4);
    }
}

/// Converts raw CMYK (or YCCK) planes, stored inverted as Adobe does, to RGB in `out`. Pillow takes
/// all four-component JPEGs for inverted ones.
pub(super) fn to_rgb(
    raw: &RawImage,
    header: &Header,
    ycck: bool,
    out: &mut Vec<u8>,
) -> Result<(), JpegError> {
    let (height, width) = (header.height as usize, header.width as usize);
    resize(out, height * width * 3)?;
    let most = |axis: usize| {
        header.sampling.iter().map(|factors| factors[axis]).max().map_or(1, usize::from)
    };
    let (most_h, most_v) = (most(0), most(1));
    let planes: Vec<Plane> = (0..4)
        .map(|i| {
            let [h, v] = header.sampling[i].map(usize::from);
            Plane {
                samples: &raw.planes[i],
                stride: raw.plane_widths[i],
                height: (height * v).div_ceil(most_v),
                width: (width * h).div_ceil(most_h),
                ratio: [most_v / v, most_h / h],
            }
        })
        .collect();
    let mut rows: [Vec<u8>; 4] = std::array::from_fn(|_| vec![0; width]);
    for (y, out) in out.chunks_exact_mut(width * 3).enumerate() {
        for (plane, row) in planes.iter().zip(&mut rows) {
            plane.upsample_row(y, row);
        }
        for (x, rgb) in out.chunks_exact_mut(3).enumerate() {
            let [mut inks @ .., key] = [rows[0][x], rows[1][x], rows[2][x], rows[3][x]];
            if ycck {
                inks = ycc_to_rgb(inks).map(|value| 255 - value);
            }
            for (value, ink) in rgb.iter_mut().zip(inks) {
                *value = uncover(255 - ink, key);
            }
        }
    }
    Ok(())
}

/// Pillow's CMYK → RGB for one channel: paper of brightness `light` (255 − K) under `ink`.
fn uncover(ink: u8, light: u8) -> u8 {
    let product = u32::from(ink) * u32::from(light) + 128;
    light.saturating_sub(narrow(((product >> 8) + product) >> 8))
}

/// JFIF `YCbCr` → RGB in the 16-bit fixed point of libjpeg (`jdcolor.c`).
fn ycc_to_rgb([luma, blue, red]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let luma = i32::from(luma);
    let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
    let clamp = |value: i32| u8::try_from(value.clamp(0, 255)).expect("clamped to 0..=255");
    [
        clamp(luma + ((91881 * red + HALF) >> 16)),
        clamp(luma + ((-22554 * blue - 46802 * red + HALF) >> 16)),
        clamp(luma + ((116_130 * blue + HALF) >> 16)),
    ]
}

fn narrow(value: u32) -> u8 {
    u8::try_from(value).expect("a weighted mean of bytes is a byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uncover_matches_pillow() {
        // `Image.new("CMYK", (1, 1), ink).convert("RGB")` in Pillow 13.0.0.
        let cases = [
            ([0, 0, 0, 0], [255, 255, 255]),
            ([255, 0, 0, 0], [0, 255, 255]),
            ([10, 20, 30, 40], [207, 198, 190]),
            ([100, 150, 200, 128], [77, 52, 27]),
            ([0, 0, 0, 255], [0, 0, 0]),
        ];
        for ([c, m, y, k], rgb) in cases {
            assert_eq!([c, m, y].map(|ink| uncover(ink, 255 - k)), rgb, "cmyk {c} {m} {y} {k}");
        }
    }
}
