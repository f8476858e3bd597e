//! Which pixels of an image end where in the tensor.

use crate::{
    error::ItemError,
    geometry::{Rect, Size},
    recipe::{Crop, CropRounding, Recipe, Resize, ResizeRounding},
    resample::Region,
};

/// The geometry of one image, in the order in which it is applied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Cut out of the image before anything else; mostly the whole image.
    pub cut: Rect,
    /// The part of the image that is resized, for filters that see beyond its edges: Pillow's
    /// `box`.
    pub region: Option<Region>,
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
        let cut = cut(recipe, source);
        let region = match recipe.resize {
            Resize::AspectBox { exact } => Some(aspect_box(source, recipe.size, exact)),
            _ => None,
        };
        let resized = resized(recipe, cut.size());
        if resized.height >= MAX_SIDE || resized.width >= MAX_SIDE {
            return Err(ItemError::Geometry(format!(
                "resizing {source} would make {resized} pixels; its sides are too unequal"
            )));
        }
        let centred = |rounding| {
            let (top, above) = center(resized.height, recipe.size.height, rounding);
            let (left, before) = center(resized.width, recipe.size.width, rounding);
            ((top, left), (above, before))
        };
        let ((top, left), offset) = match recipe.crop {
            Crop::None if resized != recipe.size => {
                return Err(ItemError::Geometry(format!(
                    "the image is {resized} (height x width), the model wants {}, and the recipe \
                     neither resizes nor crops",
                    recipe.size
                )));
            }
            Crop::None | Crop::TopLeft => ((0, 0), (0, 0)),
            Crop::Center(rounding) => centred(rounding),
        };
        let height = resized.height.min(recipe.size.height);
        let width = resized.width.min(recipe.size.width);
        Ok(Self { cut, region, resized, crop: Rect { top, left, height, width }, offset })
    }
}

/// A side of 2²⁴ pixels is where the resampler's arithmetic ends.
const MAX_SIDE: usize = 1 << 24;

fn cut(recipe: &Recipe, source: Size) -> Rect {
    let middle = |height, width| Rect {
        top: (source.height - height) / 2,
        left: (source.width - width) / 2,
        height,
        width,
    };
    match recipe.resize {
        Resize::CenterSquare => middle(source.shorter_side(), source.shorter_side()),
        Resize::AspectCrop => {
            let Size { height, width } = aspect_part(source, recipe.size);
            middle(height, width)
        }
        Resize::CenterFraction(share) => central(source, share),
        _ => Rect::whole(source),
    }
}

/// The largest part with the target's aspect ratio, as Keras computes it: both sides from the
/// other one, rounded down.
fn aspect_part(source: Size, target: Size) -> Size {
    let Size { height, width } = source;
    Size {
        height: height.min(width * target.height / target.width).max(1),
        width: width.min(height * target.width / target.height).max(1),
    }
}

/// TensorFlow's `central_crop`: the margin is half of what is left over, rounded down in f64.
fn central(source: Size, share: f64) -> Rect {
    let margin = |side: usize| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a side")]
        let margin = ((side as f64 - side as f64 * share) / 2.0) as usize;
        margin.min((side - 1) / 2)
    };
    let (top, left) = (margin(source.height), margin(source.width));
    Rect { top, left, height: source.height - 2 * top, width: source.width - 2 * left }
}

/// The part of the target's aspect ratio as edges: whole pixels as Keras' `load_img`, or between
/// them as `ImageOps.fit`.
#[expect(clippy::cast_possible_truncation, reason = "Pillow takes the edges as f32")]
fn aspect_box(source: Size, target: Size, exact: bool) -> Region {
    if !exact {
        let Size { height, width } = aspect_part(source, target);
        let Size { height: all_rows, width: all_columns } = source;
        let (top, left) = ((all_rows - height) / 2, (all_columns - width) / 2);
        let edge = |side: usize| side as f32;
        return Region {
            top: edge(top),
            left: edge(left),
            bottom: edge(top + height),
            right: edge(left + width),
        };
    }
    let (height, width) = (source.height as f64, source.width as f64);
    let (ratio, wanted) = (width / height, target.width as f64 / target.height as f64);
    let (part_width, part_height) = if ratio == wanted {
        (width, height)
    } else if ratio >= wanted {
        (wanted * height, height)
    } else {
        (width, width / wanted)
    };
    let (left, top) = ((width - part_width) * 0.5, (height - part_height) * 0.5);
    Region {
        top: top as f32,
        left: left as f32,
        bottom: (top + part_height) as f32,
        right: (left + part_width) as f32,
    }
}

fn resized(recipe: &Recipe, source: Size) -> Size {
    match recipe.resize {
        Resize::None => source,
        Resize::Squash(Some(size)) => size,
        Resize::ShorterSide { side, rounding } => shorter_side(source, side, rounding),
        Resize::ShorterSideAtMost { side, longest } => shorter_side_at_most(source, side, longest),
        Resize::Cover(None) => cover(source, recipe.size),
        Resize::Cover(Some(size)) => keep_ratio(source, size, f64::min),
        Resize::Fit(size) => keep_ratio(source, size.unwrap_or(recipe.size), f64::max),
        // The part that was cut out, or the region, becomes the model's size.
        _ => recipe.size,
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

/// Hugging Face's `get_size_with_aspect_ratio`: where the longer side would exceed `longest`, the
/// shorter one is rounded to nearest from it and the longer one truncated.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sides: small, ≥ 0")]
fn shorter_side_at_most(source: Size, side: usize, longest: usize) -> Size {
    let Size { height, width } = source;
    let (short, long) = (height.min(width) as f64, height.max(width) as f64);
    let mut wanted = side;
    let mut raw = None;
    if long / short * side as f64 > longest as f64 {
        let exact = longest as f64 * short / long;
        raw = Some(exact);
        wanted = round_half_even(exact).max(1);
    }
    if (height <= width && height == wanted) || (width <= height && width == wanted) {
        return source;
    }
    let exact = raw.unwrap_or(wanted as f64);
    let follow = |long: usize, short: usize| ((exact * long as f64 / short as f64) as usize).max(1);
    if width < height {
        Size { height: follow(height, width), width: wanted }
    } else {
        Size { height: wanted, width: follow(width, height) }
    }
}

/// Lobe's `resize_uniform_to_fill`: scale by the larger ratio, both sides rounded to nearest.
fn cover(source: Size, target: Size) -> Size {
    let ratio = |to: usize, from: usize| to as f64 / from as f64;
    let scale = ratio(target.height, source.height).max(ratio(target.width, source.width));
    let side = |side: usize| round_half_even(scale * side as f64).max(1);
    Size { height: side(source.height), width: side(source.width) }
}

/// timm's `ResizeKeepRatio`: both sides by the smaller or larger ratio, rounded to nearest.
fn keep_ratio(source: Size, target: Size, choose: fn(f64, f64) -> f64) -> Size {
    let ratio = |from: usize, to: usize| from as f64 / to as f64;
    let ratio = choose(ratio(source.height, target.height), ratio(source.width, target.width));
    let side = |side: usize| round_half_even(side as f64 / ratio).max(1);
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
    fn letterboxes_and_boxes_are_timms_and_keras() {
        // Vector G5: timm border mode, 400 wide and 300 high into 224: (168, 224).
        let size = |height, width| Size { height, width };
        assert_eq!(keep_ratio(size(300, 400), Size::square(224), f64::max), size(168, 224));
        // Vector G6: Keras' keep_aspect_ratio, (W, H) into (width, height): left, top, right, bottom.
        for (source, target, [left, top, right, bottom]) in [
            (size(375, 500), size(224, 224), [62.0, 0.0, 437.0, 375.0]),
            (size(500, 375), size(224, 224), [0.0, 62.0, 375.0, 437.0]),
            (size(480, 640), size(200, 300), [0.0, 27.0, 640.0, 453.0]),
        ] {
            let found = aspect_box(source, target, false);
            assert_eq!(found, Region { top, left, bottom, right }, "{source} to {target}");
        }
    }

    #[test]
    fn the_longest_side_limits_the_shorter_one() {
        // transformers 5.23: get_size_with_aspect_ratio of these.
        let size = |height, width| Size { height, width };
        for (source, side, longest, expected) in [
            (size(480, 640), 800, 1333, size(800, 1066)),
            (size(300, 1000), 800, 1333, size(400, 1333)),
            (size(1000, 300), 800, 1333, size(1333, 400)),
        ] {
            assert_eq!(shorter_side_at_most(source, side, longest), expected, "{source}");
        }
    }
}
