//! The resampling filters as functions of the distance, in f64.

use std::f64::consts::PI;

/// A resampling filter of Pillow; all but `Nearest` widen with the scale when they shrink.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Filter {
    /// Takes the sample under the centre of the output sample.
    Nearest,
    /// Averages equally over the output sample.
    Box,
    /// Triangle of radius 1.
    Bilinear,
    /// Sinc under a Hamming window, radius 1.
    Hamming,
    /// Keys' cubic with a = −0.5, radius 2.
    Bicubic,
    /// Sinc under a sinc window, radius 3.
    Lanczos,
}

impl Filter {
    /// Radius of the filter at scale 1, in input samples.
    pub(super) fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// Weight at a signed distance, not normalised.
    pub(super) fn weight(self, distance: f64) -> f64 {
        match self {
            Self::Nearest => 1.0,
            // Half open, so that a sample between two outputs counts once.
            Self::Box => f64::from(u8::from(distance > -0.5 && distance <= 0.5)),
            Self::Bilinear => (1.0 - distance.abs()).max(0.0),
            Self::Hamming => hamming(distance.abs()),
            Self::Bicubic => bicubic(distance.abs()),
            Self::Lanczos if (-3.0..3.0).contains(&distance) => {
                sinc(distance) * sinc(distance / 3.0)
            }
            Self::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * PI;
    x.sin() / x
}

fn hamming(x: f64) -> f64 {
    if x >= 1.0 {
        return 0.0;
    }
    // Pillow writes the two constants of the window as f32.
    sinc(x) * (f64::from(0.54_f32) + f64::from(0.46_f32) * (x * PI).cos())
}

fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_open_edges_are_on_the_stated_side() {
        let cases = [
            (Filter::Box, -0.5, 0.0),
            (Filter::Box, 0.5, 1.0),
            (Filter::Lanczos, 3.0, 0.0),
            (Filter::Bicubic, 2.0, 0.0),
            (Filter::Bicubic, 0.5, 0.5625),
            (Filter::Bicubic, -1.5, -0.0625),
            (Filter::Bilinear, -0.25, 0.75),
            (Filter::Hamming, 1.0, 0.0),
        ];
        for (filter, distance, weight) in cases {
            assert_eq!(filter.weight(distance).to_bits(), f64::to_bits(weight), "{filter:?}");
        }
    }
}
