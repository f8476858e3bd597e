//! Whole numbers that only say shapes: they are computed while a graph is converted.

use super::item::{Number, Whole};
use crate::graphdef::Node;

/// Most numbers of a result.
const MAX_NUMBERS: usize = 1 << 16;

/// What an operation makes of whole numbers alone; `None` when it is not known here.
pub(super) fn evaluated(node: &Node, inputs: &[&Whole]) -> Option<Result<Whole, String>> {
    Some(match (node.op.as_str(), inputs) {
        ("Pack", [first, ..]) => {
            if !first.shape.is_empty() {
                return None;
            }
            Ok(Whole::vector(inputs.iter().flat_map(|input| input.values.clone()).collect()))
        }
        ("ConcatV2", [parts @ .., _]) | ("Concat", [_, parts @ ..]) => {
            Ok(Whole::vector(parts.iter().flat_map(|part| part.values.clone()).collect()))
        }
        ("StridedSlice", [from, begin, end, step]) => sliced(node, from, [begin, end, step]),
        ("Prod", [from, _]) => {
            let product = from.values.iter().copied().try_fold(Number::Known(1), times);
            product.map(Whole::scalar).ok_or_else(too_large)
        }
        ("Reshape", [from, to]) => {
            let wanted = to.known()?;
            Ok(Whole { shape: reshaped(&wanted, from.values.len())?, ..(*from).clone() })
        }
        ("Squeeze" | "ExpandDims", [from, ..]) if from.values.len() == 1 => {
            let shape =
                if node.op == "Squeeze" { Vec::new() } else { vec![1; from.shape.len() + 1] };
            Ok(Whole { shape, ..(*from).clone() })
        }
        ("GatherV2", [from, places, _]) if from.shape.len() == 1 => {
            let found = places.known()?.into_iter().map(|place| {
                usize::try_from(place).ok().and_then(|place| from.values.get(place).copied())
            });
            let values = found.collect::<Option<Vec<_>>>()?;
            Ok(Whole { shape: places.shape.clone(), values })
        }
        ("Range", [start, limit, step]) => {
            let [start, limit, step] = [start, limit, step].map(|number| number.known());
            let (start, limit, step) = (start?, limit?, step?);
            let (&start, &limit, &step) = (start.first()?, limit.first()?, step.first()?);
            range(start, limit, step).map(Whole::vector)
        }
        ("Fill", [shape, value]) => filled(shape, value),
        ("Cast", [from]) => Ok((*from).clone()),
        ("Neg", [from]) => {
            let zero = Whole::scalar(Number::Known(0));
            combined("Sub", &zero, from)
        }
        ("LogicalNot", [from]) => combined("Equal", from, &Whole::scalar(Number::Known(0))),
        (op, [a, b]) if is_arithmetic(op) => combined(op, a, b),
        _ => return None,
    })
}

fn too_large() -> String {
    "its numbers are too large".to_owned()
}

fn is_arithmetic(op: &str) -> bool {
    [
        "Add",
        "AddV2",
        "Sub",
        "Mul",
        "FloorDiv",
        "Maximum",
        "Minimum",
        "Equal",
        "NotEqual",
        "Greater",
        "GreaterEqual",
        "Less",
        "LessEqual",
        "LogicalAnd",
        "LogicalOr",
        "FloorMod",
    ]
    .contains(&op)
}

/// A product; 1 changes nothing, and a batch times something is open.
fn times(a: Number, b: Number) -> Option<Number> {
    Some(match (a, b) {
        (Number::Known(a), Number::Known(b)) => Number::Known(a.checked_mul(b)?),
        (Number::Known(1), other) | (other, Number::Known(1)) => other,
        _ => Number::Open,
    })
}

fn combined(op: &str, a: &Whole, b: &Whole) -> Result<Whole, String> {
    let length = a.values.len().max(b.values.len());
    let fits = |whole: &Whole| whole.values.len() == length || whole.values.len() == 1;
    if !fits(a) || !fits(b) {
        return Err("it combines shapes of other lengths".to_owned());
    }
    let at = |whole: &Whole, place: usize| whole.values[place % whole.values.len().max(1)];
    let values = (0..length).map(|place| one(op, at(a, place), at(b, place)).ok_or_else(too_large));
    let shape = if a.shape.len() >= b.shape.len() { &a.shape } else { &b.shape };
    Ok(Whole { shape: shape.clone(), values: values.collect::<Result<_, _>>()? })
}

fn one(op: &str, a: Number, b: Number) -> Option<Number> {
    let (Number::Known(x), Number::Known(y)) = (a, b) else {
        return Some(match (op, a, b) {
            ("Mul", ..) => times(a, b)?,
            ("Add" | "AddV2" | "Sub", other, Number::Known(0))
            | ("FloorDiv", other, Number::Known(1)) => other,
            _ => Number::Open,
        });
    };
    let truth = |truth: bool| Some(i64::from(truth));
    let value = match op {
        "Add" | "AddV2" => x.checked_add(y),
        "Sub" => x.checked_sub(y),
        "Mul" => x.checked_mul(y),
        "FloorDiv" => x.checked_div_euclid(y).filter(|_| y > 0),
        "FloorMod" => x.checked_rem_euclid(y).filter(|_| y > 0),
        "Maximum" => Some(x.max(y)),
        "Minimum" => Some(x.min(y)),
        "Equal" => truth(x == y),
        "NotEqual" => truth(x != y),
        "Greater" => truth(x > y),
        "GreaterEqual" => truth(x >= y),
        "Less" => truth(x < y),
        "LessEqual" => truth(x <= y),
        "LogicalAnd" => truth(x != 0 && y != 0),
        _ => truth(x != 0 || y != 0),
    };
    value.map(Number::Known)
}

fn sliced(node: &Node, from: &Whole, places: [&Whole; 3]) -> Result<Whole, String> {
    let known = places.map(Whole::known);
    let [Some(begin), Some(end), Some(step)] = known else {
        return Err("it takes a part that is no constant".to_owned());
    };
    let (&[begin], &[end], &[step], 1) = (&begin[..], &end[..], &step[..], from.shape.len()) else {
        return Err("it takes a part of several axes of whole numbers".to_owned());
    };
    let length = from.values.len() as i64;
    let mask = |key: &str| node.whole(key).unwrap_or(0) & 1 == 1;
    let place = |place: i64| if place < 0 { place.saturating_add(length) } else { place };
    if mask("shrink_axis_mask") {
        let found = usize::try_from(place(begin)).ok().and_then(|at| from.values.get(at));
        return found
            .copied()
            .map(Whole::scalar)
            .ok_or_else(|| "it takes what is not there".into());
    }
    if step != 1 {
        return Err(format!("it takes every {step}th number"));
    }
    let begin = if mask("begin_mask") { 0 } else { place(begin).clamp(0, length) };
    let end = if mask("end_mask") { length } else { place(end).clamp(begin, length) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
    Ok(Whole::vector(from.values[begin as usize..end as usize].to_vec()))
}

/// A target shape with its −1 filled in; `None` when it does not fit.
fn reshaped(wanted: &[i64], length: usize) -> Option<Vec<usize>> {
    let known = wanted
        .iter()
        .filter(|&&side| side >= 0)
        .try_fold(1usize, |product, &side| product.checked_mul(usize::try_from(side).ok()?))?;
    let rest = length.checked_div(known.max(1))?;
    let shape: Vec<usize> =
        wanted.iter().map(|&side| usize::try_from(side).unwrap_or(rest)).collect();
    let product = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side))?;
    (product == length).then_some(shape)
}

fn range(start: i64, limit: i64, step: i64) -> Result<Vec<Number>, String> {
    let mut values = Vec::new();
    let mut at = start;
    while (step > 0 && at < limit) || (step < 0 && at > limit) {
        if values.len() == MAX_NUMBERS {
            return Err(too_large());
        }
        values.push(Number::Known(at));
        at = at.checked_add(step).ok_or_else(too_large)?;
    }
    Ok(values)
}

fn filled(shape: &Whole, value: &Whole) -> Result<Whole, String> {
    let sides: Option<Vec<usize>> = shape
        .known()
        .and_then(|sides| sides.into_iter().map(|side| usize::try_from(side).ok()).collect());
    let sides = sides.ok_or("it fills a shape that is not known")?;
    let count = sides.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    let count = count.filter(|&count| count <= MAX_NUMBERS).ok_or_else(too_large)?;
    let value = value.values.first().copied().ok_or("it fills with nothing")?;
    Ok(Whole { shape: sides, values: vec![value; count] })
}
