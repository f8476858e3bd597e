//! Parts of tensors by their places: `x[..., ::-1]`.

use serde_json::Value as Json;

use crate::freeze::{
    call::LayerCall,
    graph::Attribute,
    value::{Order, Value},
};

/// What is taken along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// One place; the axis goes.
    One(i64),
    /// From, to, step.
    Slice(Option<i64>, Option<i64>, i64),
    /// All axes that are not named.
    Rest,
    /// A new axis.
    New,
}

impl Part {
    const WHOLE: Self = Self::Slice(None, None, 1);
}

/// Reads `x[…]` as Keras writes it.
pub(super) fn parts(spec: &Json) -> Option<Vec<Part>> {
    match spec {
        Json::Array(items) => items.iter().map(part).collect(),
        one => part(one).map(|one| vec![one]),
    }
}

fn part(spec: &Json) -> Option<Part> {
    if spec.is_null() {
        return Some(Part::New);
    }
    if let Some(index) = spec.as_i64() {
        return Some(Part::One(index));
    }
    let class = spec.get("class_name").and_then(Json::as_str);
    if class == Some("__ellipsis__") || spec.as_str() == Some("...") {
        return Some(Part::Rest);
    }
    let fields = spec.get("config").unwrap_or(spec).as_object()?;
    let number = |key: &str| match fields.get(key) {
        None | Some(Json::Null) => Some(None),
        Some(value) => value.as_i64().map(Some),
    };
    let known = ["start", "stop", "step"].iter().any(|key| fields.contains_key(*key));
    let step = number("step")?.unwrap_or(1);
    if !known || step == 0 {
        return None;
    }
    Some(Part::Slice(number("start")?, number("stop")?, step))
}

/// Takes parts of a tensor.
pub(super) fn taken(call: &mut LayerCall, input: &Value, parts: &[Part]) -> Result<Value, String> {
    let full = full(parts, input.rank())?;
    let loses_axes = full.iter().any(|part| matches!(part, Part::One(_)));
    let mut value = match input.order {
        Order::ChannelsFirst if !loses_axes => input.clone(),
        _ => call.graph.as_keras(input),
    };
    let mut gone = Vec::new();
    for (axis, part) in full.iter().enumerate().skip(1) {
        let along = value.axis(axis as i64)? as i64;
        match *part {
            Part::WHOLE | Part::Rest | Part::New => {}
            Part::One(index) => {
                let place = call.graph.whole("place", vec![index]);
                let attributes = vec![("axis", Attribute::Int(along))];
                value.name = call.graph.node("Gather", &[&value.name, &place], attributes);
                gone.push(along);
            }
            Part::Slice(start, stop, step) => {
                sliced(call, &mut value, (axis, along), (start, stop, step))?;
            }
        }
    }
    if gone.is_empty() {
        return Ok(value);
    }
    let kept = full.iter().zip(&value.shape).filter(|(part, _)| !matches!(part, Part::One(_)));
    let shape = kept.map(|(_, side)| *side).collect();
    let axes = call.graph.whole("gone", gone);
    let name = call.graph.node("Squeeze", &[&value.name, &axes], Vec::new());
    Ok(Value::new(name, shape))
}

/// A part for each of `rank` axes.
fn full(parts: &[Part], rank: usize) -> Result<Vec<Part>, String> {
    let named = parts.iter().filter(|part| !matches!(part, Part::Rest | Part::New)).count();
    let rests = parts.iter().filter(|part| **part == Part::Rest).count();
    if rests > 1 || named > rank || parts.contains(&Part::New) {
        return Err("it takes a part of its input in a way that linnaeus does not know".to_owned());
    }
    let filler = vec![Part::WHOLE; rank - named];
    let at = parts.iter().position(|part| *part == Part::Rest);
    let (before, after) = match at {
        Some(at) => (&parts[..at], &parts[at + 1..]),
        None => (parts, &[][..]),
    };
    let full = [before, &filler, after].concat();
    if full.first() != Some(&Part::WHOLE) {
        return Err("it takes some of the images of a batch".to_owned());
    }
    Ok(full)
}

type Range = (Option<i64>, Option<i64>, i64);

fn sliced(
    call: &mut LayerCall,
    value: &mut Value,
    (axis, along): (usize, i64),
    (start, stop, step): Range,
) -> Result<(), String> {
    let side = value.shape[axis];
    let count = side.map(|side| length(side as i64, (start, stop, step)));
    let usual = if step > 0 { (0, i64::MAX) } else { (i64::MAX, i64::MIN) };
    let graph = &mut *call.graph;
    let starts = graph.whole("start", vec![start.unwrap_or(usual.0)]);
    let ends = graph.whole("stop", vec![stop.unwrap_or(usual.1)]);
    let axes = graph.whole("axis", vec![along]);
    let steps = graph.whole("step", vec![step]);
    value.name = graph.node("Slice", &[&value.name, &starts, &ends, &axes, &steps], Vec::new());
    value.shape[axis] = count;
    if count == Some(0) { Err("it takes nothing of its input".to_owned()) } else { Ok(()) }
}

/// How many places Python's slice has.
fn length(side: i64, (start, stop, step): Range) -> usize {
    let within = |place: i64, low: i64, high: i64| {
        let place = if place < 0 { place.saturating_add(side) } else { place };
        place.clamp(low, high)
    };
    let count = if step > 0 {
        let start = start.map_or(0, |start| within(start, 0, side));
        let stop = stop.map_or(side, |stop| within(stop, 0, side));
        (stop - start).max(0).saturating_add(step - 1) / step
    } else {
        let start = start.map_or(side - 1, |start| within(start, -1, side - 1));
        let stop = stop.map_or(-1, |stop| within(stop, -1, side - 1));
        (start - stop).max(0).saturating_sub(step.saturating_add(1)) / step.saturating_neg()
    };
    usize::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_have_the_lengths_of_pythons() {
        // len(range(7)[a:b:c])
        for (range, expected) in [
            ((None, None, 1), 7),
            ((None, None, -1), 7),
            ((Some(1), None, 2), 3),
            ((Some(-3), Some(-1), 1), 2),
            ((Some(5), Some(1), -2), 2),
            ((Some(100), None, 1), 0),
            ((None, Some(-100), -3), 3),
        ] {
            assert_eq!(length(7, range), expected, "{range:?}");
        }
    }

    #[test]
    fn the_spellings_of_parts_are_read() {
        let read = |text: &str| parts(&serde_json::from_str(text).unwrap());
        let reversed = Part::Slice(None, None, -1);
        for text in [
            r#"[{"class_name": "__ellipsis__"}, {"start": null, "stop": null, "step": -1}]"#,
            r#"[{"class_name": "__ellipsis__", "config": {}},
                {"class_name": "__slice__", "config": {"start": null, "stop": null, "step": -1}}]"#,
        ] {
            assert_eq!(read(text), Some(vec![Part::Rest, reversed]), "{text}");
        }
        assert_eq!(read("2"), Some(vec![Part::One(2)]));
        assert_eq!(read("[2.5]"), None);
    }
}
