//! Layers that change the size of images.

use super::{pooling::cut, sampling};
use crate::freeze::{
    call::LayerCall,
    graph::Attribute,
    value::{Planes, Value},
};

/// `Resizing`.
pub(super) fn resizing(call: &mut LayerCall) -> Result<Value, String> {
    let target = target(call)?;
    if call.settings.flag("pad_to_aspect_ratio", false)? {
        return Err("it has `pad_to_aspect_ratio`".to_owned());
    }
    let filter = call.settings.text("interpolation")?.unwrap_or("bilinear").to_lowercase();
    refuse_antialias(call, &filter)?;
    let mut planes = call.planes()?;
    if call.settings.flag("crop_to_aspect_ratio", false)? {
        planes = cropped_to(call, &planes, target)?;
    }
    Ok(to_size(call, &planes, target, &filter)?.into_value())
}

/// The height and width that the settings ask for.
fn target(call: &LayerCall) -> Result<[usize; 2], String> {
    let side = |key: &str| -> Result<usize, String> {
        let side = call.settings.whole(key)?.filter(|&side| side > 0);
        side.ok_or_else(|| format!("its `{key}` is missing"))
    };
    Ok([side("height")?, side("width")?])
}

fn refuse_antialias(call: &LayerCall, filter: &str) -> Result<(), String> {
    if call.settings.flag("antialias", false)? && filter != "nearest" {
        return Err("it has `antialias`".to_owned());
    }
    Ok(())
}

/// Keras's `smart_resize` before the resizing: the largest part in the middle with the shape of the
/// target.
fn cropped_to(
    call: &mut LayerCall,
    planes: &Planes,
    [height, width]: [usize; 2],
) -> Result<Planes, String> {
    let [Some(rows), Some(columns)] = planes.sides else {
        return Err("it crops to a shape, and the model leaves its input's size open".to_owned());
    };
    if height == 0 || width == 0 {
        return Err("its target has no pixels".to_owned());
    }
    // Truncated towards zero, as Keras's `int(float(a * b) / c)`.
    let part = |side: usize, other: usize, over: usize, most: usize| {
        side.saturating_mul(other).checked_div(over).unwrap_or(most).clamp(1, most.max(1))
    };
    let crop = [part(columns, height, width, rows), part(rows, width, height, columns)];
    let starts = [(rows - crop[0]) / 2, (columns - crop[1]) / 2];
    let ends = [starts[0] + crop[0], starts[1] + crop[1]];
    let number = |pair: [usize; 2]| pair.map(|side| side as i64);
    Ok(cut(call, planes, (number(starts), number(ends)), crop.map(Some)))
}

/// Planes of another size.
fn to_size(
    call: &mut LayerCall,
    planes: &Planes,
    target: [usize; 2],
    filter: &str,
) -> Result<Planes, String> {
    if planes.sides == target.map(Some) {
        return Ok(planes.clone());
    }
    let mut attributes = vec![("coordinate_transformation_mode", Attribute::Text("half_pixel"))];
    match filter {
        "nearest" => {
            attributes.push(("mode", Attribute::Text("nearest")));
            // ⌊(x + ½)·scale⌋, as TensorFlow has it.
            attributes.push(("nearest_mode", Attribute::Text("round_prefer_ceil")));
        }
        "bilinear" => attributes.push(("mode", Attribute::Text("linear"))),
        other => return by_matrices(call, planes, target, other),
    }
    let graph = &mut *call.graph;
    let ends = vec![("start", Attribute::Int(0)), ("end", Attribute::Int(2))];
    let front = graph.node("Shape", &[&planes.name], ends);
    let size = graph.whole("size", target.map(|side| side as i64).to_vec());
    let sizes = graph.node("Concat", &[&front, &size], vec![("axis", Attribute::Int(0))]);
    let name = graph.node("Resize", &[&planes.name, "", "", &sizes], attributes);
    Ok(planes.with(name, target.map(Some)))
}

fn by_matrices(
    call: &mut LayerCall,
    planes: &Planes,
    target: [usize; 2],
    filter: &str,
) -> Result<Planes, String> {
    let [Some(rows), Some(columns)] = planes.sides else {
        return Err(format!(
            "it resizes with {filter:?} an image whose size the model leaves open; say it with \
             `--size HEIGHTxWIDTH`"
        ));
    };
    let vertical = sampling::matrix(filter, rows, target[0])?;
    let horizontal = sampling::matrix(filter, columns, target[1])?.transposed(&[1, 0]);
    let vertical = call.graph.floats("vertical", vertical);
    let horizontal = call.graph.floats("horizontal", horizontal);
    let name = call.graph.node("MatMul", &[&vertical, &planes.name], Vec::new());
    let name = call.graph.node("MatMul", &[&name, &horizontal], Vec::new());
    Ok(planes.with(name, target.map(Some)))
}

/// `UpSampling2D`.
pub(super) fn up_sampling(call: &mut LayerCall) -> Result<Value, String> {
    let planes = call.planes()?;
    let factors = call.settings.steps("size", [2, 2])?;
    let filter = call.settings.text("interpolation")?.unwrap_or("nearest").to_owned();
    let grown = |axis: usize| -> Result<Option<usize>, String> {
        let Some(side) = planes.sides[axis] else { return Ok(None) };
        let grown = side.checked_mul(factors[axis]).filter(|&grown| grown < 1 << 32);
        grown.map(Some).ok_or_else(|| "its images would be too large".to_owned())
    };
    let sides = [grown(0)?, grown(1)?];
    let (mode, place) = match filter.as_str() {
        "nearest" => ("nearest", "asymmetric"),
        "bilinear" => ("linear", "half_pixel"),
        other => {
            let [Some(height), Some(width)] = sides else {
                return by_matrices(call, &planes, [0, 0], other).map(Planes::into_value);
            };
            return by_matrices(call, &planes, [height, width], other).map(Planes::into_value);
        }
    };
    let mut attributes = vec![
        ("mode", Attribute::Text(mode)),
        ("coordinate_transformation_mode", Attribute::Text(place)),
    ];
    if mode == "nearest" {
        attributes.push(("nearest_mode", Attribute::Text("floor")));
    }
    let scales = vec![1.0, 1.0, factors[0] as f32, factors[1] as f32];
    let scales = call.graph.floats("scales", crate::freeze::array::Array::vector(scales));
    let name = call.graph.node("Resize", &[&planes.name, "", &scales], attributes);
    Ok(planes.with(name, sides).into_value())
}

/// `CenterCrop`; images that are smaller are resized, as Keras does.
pub(super) fn center_crop(call: &mut LayerCall) -> Result<Value, String> {
    let target = target(call)?;
    let planes = call.planes()?;
    let [Some(rows), Some(columns)] = planes.sides else {
        return Err("the model leaves its input's size open".to_owned());
    };
    if rows < target[0] || columns < target[1] {
        let planes = cropped_to(call, &planes, target)?;
        return Ok(to_size(call, &planes, target, "bilinear")?.into_value());
    }
    let starts = [(rows - target[0]) / 2, (columns - target[1]) / 2];
    let ends = [starts[0] + target[0], starts[1] + target[1]];
    let number = |pair: [usize; 2]| pair.map(|side| side as i64);
    Ok(cut(call, &planes, (number(starts), number(ends)), target.map(Some)).into_value())
}

/// The operation `resize` of Keras 3 and TensorFlow.
pub(super) fn resized(
    call: &mut LayerCall,
    input: &Value,
    target: [usize; 2],
    filter: &str,
) -> Result<Value, String> {
    refuse_antialias(call, filter)?;
    let first = call.settings.channels_first()?;
    let planes = call.graph.planes(input, first)?;
    Ok(to_size(call, &planes, target, filter)?.into_value())
}
