//! Arithmetic among constants, in f32 as TensorFlow would do it at every run.

use crate::{
    freeze::array::{Array, MAX_MADE},
    graphdef::Node,
};

/// The result of an operation of one operand on each number; `None` when it is not known here.
pub(super) fn unary(op: &str) -> Option<fn(f32) -> f32> {
    Some(match op {
        "Rsqrt" => |x| 1.0 / x.sqrt(),
        "Sqrt" => f32::sqrt,
        "Square" => |x| x * x,
        "Neg" => |x| -x,
        "Exp" => f32::exp,
        "Log" => f32::ln,
        "Abs" => f32::abs,
        "Reciprocal" | "Inv" => |x| 1.0 / x,
        "Relu" => |x| x.max(0.0),
        "Floor" => f32::floor,
        "Ceil" => f32::ceil,
        "Round" => f32::round_ties_even,
        _ => return None,
    })
}

/// The same for two operands.
pub(super) fn binary(op: &str) -> Option<fn(f32, f32) -> f32> {
    Some(match op {
        "Add" | "AddV2" | "BiasAdd" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "RealDiv" | "Div" => |a, b| a / b,
        "Maximum" => f32::max,
        "Minimum" => f32::min,
        "Pow" => f32::powf,
        "SquaredDifference" => |a, b| (a - b) * (a - b),
        _ => return None,
    })
}

/// Two arrays combined number by number; sides of 1 are stretched as numpy does.
pub(super) fn combined(
    a: &Array,
    b: &Array,
    combine: impl Fn(f32, f32) -> f32,
) -> Result<Array, String> {
    let rank = a.shape.len().max(b.shape.len());
    let filled = |shape: &[usize]| [vec![1; rank - shape.len()], shape.to_vec()].concat();
    let (left, right) = (filled(&a.shape), filled(&b.shape));
    let mut shape = Vec::new();
    for (&a, &b) in left.iter().zip(&right) {
        if a != b && a != 1 && b != 1 {
            return Err(format!("it combines constants of sides {a} and {b}"));
        }
        shape.push(if a == 1 { b } else { a });
    }
    let count = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    let most = a.values.len().max(b.values.len()).max(MAX_MADE);
    let count = count.filter(|&count| count <= most).ok_or("its result is too large")?;
    let steps = |sides: &[usize]| {
        let mut steps = vec![0; rank];
        let mut step = 1;
        for axis in (0..rank).rev() {
            steps[axis] = if sides[axis] == 1 { 0 } else { step };
            step *= sides[axis];
        }
        steps
    };
    let (left, right) = (steps(&left), steps(&right));
    let mut places = vec![0; rank];
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let at = |steps: &[usize]| -> usize { places.iter().zip(steps).map(|(p, s)| p * s).sum() };
        values.push(combine(a.values[at(&left)], b.values[at(&right)]));
        for axis in (0..rank).rev() {
            places[axis] += 1;
            if places[axis] < shape[axis] {
                break;
            }
            places[axis] = 0;
        }
    }
    Ok(Array { shape, values })
}

/// Other sides for the same numbers: those of a target shape, in which −1 is what remains.
pub(super) fn reshaped(array: &Array, target: &[i64]) -> Result<Array, String> {
    let mut sides = target.iter().filter(|&&side| side >= 0);
    let known = sides.try_fold(1i64, |product, &side| product.checked_mul(side)).unwrap_or(0);
    let rest = (array.values.len() as i64).checked_div(known.max(1)).unwrap_or(0);
    let side = |&side: &i64| usize::try_from(if side < 0 { rest } else { side }).unwrap_or(0);
    let shape: Vec<usize> = target.iter().map(side).collect();
    let count = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    if count != Some(array.values.len()) {
        return Err(format!("it brings {} numbers to {target:?}", array.values.len()));
    }
    Ok(array.clone().reshaped(shape))
}

/// Without the axes of 1 that a node names, or without all of them.
pub(super) fn squeezed(array: &Array, node: &Node) -> Array {
    let rank = array.shape.len() as i64;
    let named = [node.list("squeeze_dims"), node.list("axis")].concat();
    let goes = |axis: usize| {
        let listed = named
            .iter()
            .any(|&named| (if named < 0 { named + rank } else { named }) == axis as i64);
        array.shape[axis] == 1 && (named.is_empty() || listed)
    };
    let shape = (0..array.shape.len()).filter(|&axis| !goes(axis)).map(|axis| array.shape[axis]);
    array.clone().reshaped(shape.collect())
}

/// With one more axis of 1.
pub(super) fn expanded(array: &Array, axis: i64) -> Result<Array, String> {
    let rank = array.shape.len() as i64;
    let axis = if axis < 0 { axis + rank + 1 } else { axis };
    let place = usize::try_from(axis).ok().filter(|&place| place <= array.shape.len());
    let mut shape = array.shape.clone();
    shape.insert(place.ok_or("it adds an axis that cannot be")?, 1);
    Ok(array.clone().reshaped(shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_of_one_are_stretched_as_numpy_stretches_them() {
        // numpy: numpy.arange(3)[:, None] - numpy.arange(2)[None] * 10
        let a = Array { shape: vec![3, 1], values: vec![0.0, 1.0, 2.0] };
        let b = Array { shape: vec![2], values: vec![0.0, 10.0] };
        let found = combined(&a, &b, |a, b| a - b).unwrap();
        assert_eq!(
            (found.shape, found.values),
            (vec![3, 2], vec![0.0, -10.0, 1.0, -9.0, 2.0, -8.0])
        );
        let c = Array { shape: vec![4], values: vec![0.0; 4] };
        assert!(combined(&b, &c, |a, _| a).is_err());
    }
}
