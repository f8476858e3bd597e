//! How an image processor resizes and crops.

use super::{
    super::{
        Statement,
        fields::{Fields, as_side, as_size, odd, pixels},
        saying::{CENTER, CENTER_FLOOR, shorter_side},
    },
    classes::{Default, Kind},
    processor::Processor,
};
use crate::{
    geometry::Size,
    recipe::{Crop, Resize},
};

/// What `size` means.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Exact(Size),
    Shortest(usize),
    AtMost { side: usize, longest: usize },
}

/// Says resize, crop and size.
pub(super) fn say(statement: &mut Statement, processor: &Processor<'_>) -> Result<(), String> {
    let crop = crop_size(processor)?;
    if !processor.switch("do_resize", true)? {
        let why = format!("do_resize is false ({})", processor.shown);
        let kept = if crop.is_some() { CENTER_FLOOR } else { Crop::None };
        statement.geometry(&why, Resize::None, kept);
        say_crop(statement, processor, crop);
        return Ok(());
    }
    let mut because = processor.evidence("size");
    let target = target(processor)?;
    if let (Kind::Perceiver, Target::Exact(size), Some(crop)) = (processor.class.kind, target, crop)
    {
        return perceiver(statement, processor, &because, [size, crop]);
    }
    let (resize, crop) = by_class(processor, target, crop, &mut because)?;
    if let (Resize::ShorterSideAtMost { .. }, true) = (resize, processor.may_be_slow()) {
        statement.note("transformers 4 ignores size.longest_edge when it resizes with Pillow");
    }
    finish(statement, processor, &because, (resize, crop))
}

/// The resize that the class makes of its target, and the size that it crops to.
fn by_class(
    processor: &Processor<'_>,
    target: Target,
    crop: Option<Size>,
    because: &mut String,
) -> Result<(Resize, Option<Size>), String> {
    match (processor.class.kind, target) {
        (Kind::ConvNext, Target::Shortest(side)) => {
            let (resize, inner) = convnext(processor, side, because)?;
            Ok((resize, Some(crop.unwrap_or(inner))))
        }
        (Kind::ConvNext, _) => {
            Err(format!("its size has no shortest_edge, which {} needs", processor.shown))
        }
        (Kind::Levit, Target::Shortest(side)) => {
            because.push_str(", times 256/224");
            Ok((shorter_side(truncated(256.0 / 224.0 * side as f64)?), crop))
        }
        (Kind::PoolFormer, target) => Ok((poolformer(processor, target, because)?, crop)),
        (_, target) => Ok((plain(target), crop)),
    }
}

/// It cuts out a square of `size` over `crop` of the shorter side first: all of that side when they
/// are the same.
fn perceiver(
    statement: &mut Statement,
    processor: &Processor<'_>,
    because: &str,
    [size, crop]: [Size; 2],
) -> Result<(), String> {
    if size != crop {
        return Err(format!(
            "{} cuts a square out of the middle first, which no recipe can say",
            processor.shown
        ));
    }
    let because = format!("{because}, of a square by crop_size");
    statement.size(&because, size);
    statement.geometry(&because, Resize::CenterSquare, Crop::None);
    Ok(())
}

fn finish(
    statement: &mut Statement,
    processor: &Processor<'_>,
    because: &str,
    (resize, crop): (Resize, Option<Size>),
) -> Result<(), String> {
    match (resize, crop) {
        (Resize::Squash(Some(to)), None) => {
            statement.geometry(because, Resize::Squash(None), Crop::None);
            statement.size(because, to);
        }
        (Resize::Squash(Some(to)), Some(crop)) if to == crop => {
            statement.geometry(because, Resize::Squash(None), Crop::None);
            statement.size(because, to);
        }
        (Resize::Squash(Some(_)), Some(_)) if !processor.crops_for_sure() => {
            return Err(format!(
                "do_center_crop is true, which {} of transformers 4 ignores and its later versions \
                 follow\nhint: say `resize` and `crop` under `[recipe]`",
                processor.shown
            ));
        }
        (_, None) => {
            return Err(format!(
                "its images keep their shapes (size without a crop, {}), and a batch needs one",
                processor.shown
            ));
        }
        (resize, Some(_)) => {
            // ConvNext's fast class of version 4 crops as torchvision does.
            let own = processor.class.kind == Kind::ConvNext && processor.is_fast_4();
            statement.geometry(because, resize, if own { CENTER } else { CENTER_FLOOR });
            say_crop(statement, processor, crop);
        }
    }
    Ok(())
}

fn say_crop(statement: &mut Statement, processor: &Processor<'_>, crop: Option<Size>) {
    let Some(size) = crop else { return };
    let own = processor.class.kind == Kind::ConvNext && !processor.fields.has("crop_size");
    let because = processor.evidence(if own { "size" } else { "crop_size" });
    statement.because.insert("crop", because.clone());
    statement.size(&because, size);
}

/// From 384 on it squashes; below it crops from a larger image. See
/// `ConvNextImageProcessor.resize`.
fn convnext(
    processor: &Processor<'_>,
    side: usize,
    because: &mut String,
) -> Result<(Resize, Size), String> {
    let square = Size::square(side);
    if side >= 384 {
        *because = format!("{because}, squashed from 384 on");
        return Ok((Resize::Squash(Some(square)), square));
    }
    let share = share(processor.fields.number("crop_pct")?.unwrap_or(224.0 / 256.0))?;
    *because = format!("{because} over crop_pct {share}, below 384");
    Ok((shorter_side(truncated(side as f64 / share)?), square))
}

fn poolformer(
    processor: &Processor<'_>,
    target: Target,
    because: &mut String,
) -> Result<Resize, String> {
    let given = processor.fields.number("crop_pct")?;
    // Version 4 keeps a null, which switches the enlarging off.
    if given.is_none() && processor.fields.keys().any(|key| key == "crop_pct") {
        return Ok(plain(target));
    }
    let share = share(given.unwrap_or(0.9))?;
    *because = format!("{because} over crop_pct {share}");
    let enlarged = |side: usize| truncated(side as f64 / share);
    Ok(match target {
        Target::Shortest(side) | Target::AtMost { side, .. } => shorter_side(enlarged(side)?),
        Target::Exact(size) if size.height == size.width => shorter_side(enlarged(size.height)?),
        Target::Exact(size) => Resize::Squash(Some(Size {
            height: enlarged(size.height)?,
            width: enlarged(size.width)?,
        })),
    })
}

fn plain(target: Target) -> Resize {
    match target {
        Target::Exact(size) => Resize::Squash(Some(size)),
        Target::Shortest(side) => shorter_side(side),
        Target::AtMost { side, longest } => Resize::ShorterSideAtMost { side, longest },
    }
}

fn target(processor: &Processor<'_>) -> Result<Target, String> {
    let class = processor.class;
    let Some(value) = processor.fields.value("size") else {
        return Ok(match class.size(processor.version) {
            Default::Square(side) => Target::Exact(Size::square(side)),
            Default::Shortest(side) => Target::Shortest(side),
        });
    };
    let Some(size) = Fields::of(value) else {
        return match as_side(value) {
            Some(side) if !class.squares => Ok(Target::Shortest(side)),
            _ => as_size(value).map(Target::Exact).ok_or_else(|| odd("size", value, "a size")),
        };
    };
    match (size.side("height")?, size.side("width")?, size.side("shortest_edge")?) {
        (Some(height), Some(width), _) => Ok(Target::Exact(Size { height, width })),
        (None, None, Some(side)) => Ok(match size.side("longest_edge")? {
            Some(longest) => Target::AtMost { side, longest },
            None => Target::Shortest(side),
        }),
        _ => Err(odd("size", value, "height and width, or shortest_edge")),
    }
}

/// The size that is cropped to, if anything is cropped.
fn crop_size(processor: &Processor<'_>) -> Result<Option<Size>, String> {
    if !processor.switch("do_center_crop", processor.class.crops(processor.version))? {
        return Ok(None);
    }
    let Some(value) = processor.fields.value("crop_size") else {
        return Ok(Some(Size::square(processor.class.crop)));
    };
    let size = match Fields::of(value) {
        None => as_size(value),
        Some(fields) => match (fields.side("height")?, fields.side("width")?) {
            (Some(height), Some(width)) => Some(Size { height, width }),
            _ => None,
        },
    };
    size.map(Some).ok_or_else(|| odd("crop_size", value, "a size"))
}

/// A share of an image that a crop keeps.
fn share(share: f64) -> Result<f64, String> {
    let possible = (0.01..=100.0).contains(&share);
    possible.then_some(share).ok_or_else(|| format!("`crop_pct` is {share}, which is no share"))
}

/// As Python's `int`.
fn truncated(side: f64) -> Result<usize, String> {
    pixels(side.trunc()).ok_or_else(|| format!("its images would have a side of {side} pixels"))
}
