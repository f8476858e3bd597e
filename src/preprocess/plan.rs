//! Which pixels of an image end where in the tensor.

use crate::{
    error::ItemError,
    geometry::{Rect, Size},
    recipe::{Crop, CropRounding, Recipe, Resize, ResizeRounding},
};

/// The geometry of one image, in the order in which it is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Cut out of the image before anything else; the whole image unless the recipe wants a square.
    pub square: Rect,
    /// What that is resized to.
    pub resized: Size,
    /// The part of the resized image that reaches the tensor.
    pub crop: Rect,
    /// Where its first pixel lies in the tensor: row and column.
    pub offset: (usize, usize),
}

impl Plan {
    /// Plans an image of size `source`, which is not empty.
    ///
    /// # Errors
    ///
    /// `bad_geometry` when the recipe neither resizes nor crops and the size is not the model's,
    /// or when one side is so long beside the other that the resized image would not fit memory.
    pub fn new(recipe: &Recipe, source: Size) -> Result<Self, ItemError> {
        let square = match recipe.resize {
            Resize::CenterSquare => {
                let side = source.shorter_side();
                let (top, left) = ((source.height - side) / 2, (source.width - side) / 2);
                Rect { top, left, height: side, width: side }
            }
            _ => Rect::whole(source),
        };
        let resized = resized(recipe, square.size());
        if resized.height >= MAX_SIDE || resized.width >= MAX_SIDE {
            return Err(ItemError::Geometry(format!(
                "resizing {source} would make {resized} pixels; its sides are too unequal"
            )));
        }
        let (crop, offset) = match recipe.crop {
            Crop::None if resized == recipe.size => (Rect::whole(resized), (0, 0)),
            Crop::None => {
                return Err(ItemError::Geometry(format!(
                    "the image is {resized} (height x width), the model wants {}, and the recipe \
                     neither resizes nor crops",
                    recipe.size
                )));
            }
            Crop::Center(rounding) => {
                let (top, above) = center(resized.height, recipe.size.height, rounding);
                let (left, before) = center(resized.width, recipe.size.width, rounding);
                let height = resized.height.min(recipe.size.height);
                let width = resized.width.min(recipe.size.width);
                (Rect { top, left, height, width }, (above, before))
            }
        };
        Ok(Self { square, resized, crop, offset })
    }
}

/// A side of 2²⁴ pixels is where the resampler's arithmetic ends.
const MAX_SIDE: usize = 1 << 24;

fn resized(recipe: &Recipe, source: Size) -> Size {
    match recipe.resize {
        Resize::Squash(Some(size)) => size,
        Resize::Squash(None) | Resize::CenterSquare => recipe.size,
        Resize::ShorterSide { side, rounding } => shorter_side(source, side, rounding),
        Resize::Cover => cover(source, recipe.size),
        _ => source,
    }
}

/// The shorter side becomes `side`; of a square, both do.
fn shorter_side(source: Size, side: usize, rounding: ResizeRounding) -> Size {
    let short = source.shorter_side();
    let follow = |long: usize| match rounding {
        // The product first and then a true division, as torchvision's
        // `_compute_resized_output_size`; in whole numbers the quotient is the same.
        ResizeRounding::Truncate => long * side / short,
        ResizeRounding::Nearest => round_half_even(long as f64 * (side as f64 / short as f64)),
    };
    if source.width <= source.height {
        Size { height: follow(source.height).max(1), width: side }
    } else {
        Size { height: side, width: follow(source.width).max(1) }
    }
}

/// Lobe's `resize_uniform_to_fill`: scale by the larger ratio, both sides rounded to nearest.
fn cover(source: Size, target: Size) -> Size {
    let ratio = |to: usize, from: usize| to as f64 / from as f64;
    let scale = ratio(target.height, source.height).max(ratio(target.width, source.width));
    let side = |side: usize| round_half_even(scale * side as f64).max(1);
    Size { height: side(source.height), width: side(source.width) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a side: small, ≥ 0")]
fn round_half_even(value: f64) -> usize {
    value.round_ties_even() as usize
}

/// First kept index along one axis, and first index written: one of them is 0.
fn center(from: usize, to: usize, rounding: CropRounding) -> (usize, usize) {
    if from < to {
        // torchvision pads (to−from)//2 before; Hugging Face's PIL backend pads the odd one first.
        let missing = to - from;
        return match rounding {
            CropRounding::Floor => (0, missing.div_ceil(2)),
            CropRounding::HalfEven | CropRounding::Halves => (0, missing / 2),
        };
    }
    let margin = from - to;
    let start = match rounding {
        CropRounding::HalfEven => round_half_even(margin as f64 / 2.0),
        CropRounding::Floor => margin / 2,
        CropRounding::Halves => from / 2 - to / 2,
    };
    (start, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_side_is_rounded_as_each_library_does() {
        // Vector G1: (W, H, s) → (W, H) by truncation, and by rounding where that differs.
        for (width, height, side, truncated, rounded) in [
            (500, 375, 256, (341, 256), (341, 256)),
            (375, 500, 256, (256, 341), (256, 341)),
            (640, 427, 232, (347, 232), (348, 232)),
            (1, 1000, 4, (4, 4000), (4, 4000)),
            (500, 334, 256, (383, 256), (383, 256)),
        ] {
            for (rounding, expected) in
                [(ResizeRounding::Truncate, truncated), (ResizeRounding::Nearest, rounded)]
            {
                let size = shorter_side(Size { height, width }, side, rounding);
                assert_eq!((size.width, size.height), expected, "{width}x{height} {rounding:?}");
            }
        }
    }

    #[test]
    fn the_crop_starts_where_each_library_starts() {
        // Vectors G2 and G3: (size, crop) → offset for torchvision, Hugging Face, MXNet.
        for (from, to, expected) in [
            (257, 224, [16, 16, 16]),
            (259, 224, [18, 17, 17]),
            (261, 224, [18, 18, 18]),
            (456, 299, [78, 78, 79]),
        ] {
            let roundings = [CropRounding::HalfEven, CropRounding::Floor, CropRounding::Halves];
            assert_eq!(roundings.map(|rounding| center(from, to, rounding).0), expected, "{from}");
        }
        for (from, torch, hugging_face) in [(194, 15, 15), (195, 14, 15), (223, 0, 1)] {
            assert_eq!(center(from, 224, CropRounding::HalfEven), (0, torch));
            assert_eq!(center(from, 224, CropRounding::Floor), (0, hugging_face));
        }
    }
}
