//! Values of a graph that are the same for every image.

use super::{
    graph::{Graph, attribute, first_output, input, operator},
    proto::{NodeProto, TensorProto},
    tensor::numbers,
};

/// Nodes between a constant and its use; exporters write two or three.
const MOST_NODES: usize = 16;

/// A constant as numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    /// Its shape, when nothing on the way changed it.
    pub(super) dims: Vec<usize>,
    /// Its elements.
    pub(super) values: Vec<f64>,
}

impl Constant {
    /// The only element of a constant that has one.
    pub(super) fn scalar(&self) -> Option<f64> {
        if let [only] = self.values[..] { Some(only) } else { None }
    }

    /// Its elements as whole numbers.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, as out-of-range ends do")]
    pub(super) fn ints(&self) -> Vec<i64> {
        self.values.iter().map(|&value| value as i64).collect()
    }
}

impl Graph<'_> {
    /// A value's numbers, when it is constant, small, and in this file.
    pub(super) fn constant(&self, name: &str) -> Option<Constant> {
        self.constant_within(name, MOST_NODES)
    }

    fn constant_within(&self, name: &str, nodes: usize) -> Option<Constant> {
        if let Some(tensor) = self.initialiser(name) {
            return of_tensor(tensor);
        }
        let node = self.producer(name)?;
        // Only a node's first output is what it computes.
        if first_output(node) != Some(name) {
            return None;
        }
        let from = |index| self.constant_within(input(node, index)?, nodes.checked_sub(1)?);
        // Short, so that hostile graphs cannot make the search branch again and again.
        let near = |index| self.constant_within(input(node, index)?, 1);
        match operator(node) {
            "Constant" => constant_node(node),
            "Identity" | "Cast" | "CastLike" | "Dropout" => from(0),
            "Neg" => Some(each(from(0)?, |value| -value)),
            "Sqrt" => Some(each(from(0)?, f64::sqrt)),
            "Reciprocal" => Some(each(from(0)?, f64::recip)),
            "Unsqueeze" => {
                let axes = self.ints(node, 1, "axes")?;
                unsqueezed(from(0)?, &axes)
            }
            "Squeeze" => {
                let mut constant = from(0)?;
                constant.dims.retain(|&dim| dim != 1);
                Some(constant)
            }
            "Reshape" => reshaped(from(0)?, &self.ints(node, 1, "shape")?),
            "DequantizeLinear" => {
                let scale = near(1)?.scalar()?;
                let zero = match input(node, 2) {
                    Some(_) => near(2)?.scalar()?,
                    None => 0.0,
                };
                Some(each(from(0)?, |value| (value - zero) * scale))
            }
            _ => None,
        }
    }

    /// Whole numbers that newer operator sets take as an input and older ones as an attribute.
    pub(super) fn ints(&self, node: &NodeProto, index: usize, name: &str) -> Option<Vec<i64>> {
        match input(node, index) {
            Some(value) => self.constant_within(value, 1).map(|constant| constant.ints()),
            None => attribute(node, name).map(|attribute| attribute.ints.clone()),
        }
    }
}

fn of_tensor(tensor: &TensorProto) -> Option<Constant> {
    let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok());
    Some(Constant { dims: dims.collect::<Option<_>>()?, values: numbers(tensor)? })
}

fn each(mut constant: Constant, number: impl Fn(f64) -> f64) -> Constant {
    constant.values.iter_mut().for_each(|value| *value = number(*value));
    constant
}

fn constant_node(node: &NodeProto) -> Option<Constant> {
    let row = |values: Vec<f64>| Constant { dims: vec![values.len()], values };
    let single = |value| Constant { dims: Vec::new(), values: vec![value] };
    let attribute = node.attribute.iter().find(|attribute| attribute.name.starts_with("value"))?;
    match attribute.name.as_str() {
        "value" => of_tensor(attribute.t.as_deref()?),
        "value_float" => Some(single(f64::from(attribute.f))),
        "value_int" => Some(single(attribute.i as f64)),
        "value_floats" => Some(row(attribute.floats.iter().copied().map(f64::from).collect())),
        "value_ints" => Some(row(attribute.ints.iter().map(|&value| value as f64).collect())),
        _ => None,
    }
}

fn unsqueezed(mut constant: Constant, axes: &[i64]) -> Option<Constant> {
    let rank = i64::try_from(constant.dims.len() + axes.len()).ok()?;
    let mut axes: Vec<_> =
        axes.iter().map(|&axis| if axis < 0 { axis + rank } else { axis }).collect();
    axes.sort_unstable();
    for axis in axes {
        let axis = usize::try_from(axis).ok().filter(|&axis| axis <= constant.dims.len())?;
        constant.dims.insert(axis, 1);
    }
    Some(constant)
}

fn reshaped(mut constant: Constant, shape: &[i64]) -> Option<Constant> {
    let count = constant.values.len();
    let known: i64 =
        shape.iter().filter(|&&dim| dim >= 0).try_fold(1i64, |all, &dim| all.checked_mul(dim))?;
    let known = usize::try_from(known).ok().filter(|&known| known > 0)?;
    let dim = |&dim: &i64| usize::try_from(dim).unwrap_or(count / known);
    constant.dims = shape.iter().map(dim).collect();
    let product = constant.dims.iter().try_fold(1usize, |all, &dim| all.checked_mul(dim));
    (product == Some(count)).then_some(constant)
}
