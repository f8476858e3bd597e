//! Operations on what the network computes.

use std::rc::Rc;

use serde_json::json;

use super::{
    Walk,
    constant::{self, binary, unary},
    item::{Item, Whole},
    planes, whole,
};
use crate::{
    freeze::{array::Array, call::Given, graph::Attribute, value::Value},
    graphdef::{Node, kind},
};

/// Whether there is a conversion, whatever the settings are.
pub(super) fn is_known(op: &str) -> bool {
    activation(op).is_some()
        || [
            "AvgPool",
            "AddN",
            "BatchMatMul",
            "BatchMatMulV2",
            "BatchMatMulV3",
            "BatchToSpaceND",
            "Cast",
            "Concat",
            "ConcatV2",
            "Conv2D",
            "Conv2DBackpropInput",
            "DepthwiseConv2dNative",
            "Erf",
            "Erfc",
            "ExpandDims",
            "FusedBatchNorm",
            "FusedBatchNormV2",
            "FusedBatchNormV3",
            "LRN",
            "LeakyRelu",
            "LogSoftmax",
            "MatMul",
            "Max",
            "MaxPool",
            "Mean",
            "Min",
            "MirrorPad",
            "Pack",
            "Pad",
            "PadV2",
            "Reshape",
            "ResizeBilinear",
            "ResizeNearestNeighbor",
            "ReverseV2",
            "Softmax",
            "SpaceToBatchND",
            "Split",
            "Squeeze",
            "StridedSlice",
            "Sum",
            "Transpose",
        ]
        .contains(&op)
}

/// Keras's name of an activation.
fn activation(op: &str) -> Option<&'static str> {
    Some(match op {
        "Relu" => "relu",
        "Relu6" => "relu6",
        "Sigmoid" => "sigmoid",
        "Tanh" => "tanh",
        "Elu" => "elu",
        "Selu" => "selu",
        "Softplus" => "softplus",
        "Softsign" => "softsign",
        _ => return None,
    })
}

impl Walk<'_> {
    /// What an operation makes of its inputs, which are all known.
    pub(super) fn operation(
        &mut self,
        at: usize,
        node: &Node,
        inputs: &[Item],
    ) -> Result<Vec<Item>, String> {
        if let Some(known) = self.among_constants(node, inputs)? {
            return Ok(vec![known]);
        }
        if node.op == "Split" {
            return self.split(node, inputs);
        }
        match inputs {
            [Item::Spread(spread), ..] => return self.of_spread(at, node, spread).map(|i| vec![i]),
            [Item::Tensor(value), Item::Whole(block), Item::Whole(padding)]
                if node.op == "SpaceToBatchND" =>
            {
                return planes::spread(value, block, padding).map(|item| vec![item]);
            }
            _ => {}
        }
        self.tensor(node, inputs).map(|value| vec![Item::Tensor(value)])
    }

    /// The result, when nothing of it depends on an image.
    fn among_constants(&mut self, node: &Node, inputs: &[Item]) -> Result<Option<Item>, String> {
        if let ("Shape" | "Rank" | "Size", [input]) = (node.op.as_str(), inputs) {
            return self.measured(node, input).map(Some);
        }
        let wholes = inputs.iter().map(|input| match input {
            Item::Whole(whole) => Some(whole),
            _ => None,
        });
        if let Some(wholes) = wholes.collect::<Option<Vec<&Whole>>>() {
            let to_float = node.op == "Cast" && node.kind("DstT").is_some_and(kind::is_float);
            if to_float && let [whole] = wholes[..] {
                let array = whole.to_array().ok_or("it computes with an open size")?;
                return Ok(Some(Item::Numbers(Rc::new(array))));
            }
            return match whole::evaluated(node, &wholes) {
                Some(found) => found.map(|whole| Some(Item::Whole(whole))),
                None => Err("it computes with whole numbers in an unknown way".to_owned()),
            };
        }
        let is_tensor = |item: &Item| matches!(item, Item::Tensor(_) | Item::Spread(_));
        if inputs.iter().any(is_tensor) || inputs.is_empty() {
            return Ok(None);
        }
        let list = |place: usize| match inputs.get(place) {
            Some(Item::Whole(whole)) => whole.known(),
            _ => None,
        };
        let first = inputs.first().cloned().ok_or("it gets nothing")?;
        let array = self.numbers(&first)?.ok_or("it computes with something that is no number")?;
        let result = match node.op.as_str() {
            op if unary(op).is_some() => {
                let compute = unary(op).expect("it was found above");
                array.as_ref().clone().map(compute)
            }
            op if binary(op).is_some() => {
                let second = inputs.get(1).cloned().ok_or("it has one operand")?;
                let second = self.numbers(&second)?.ok_or("its operand is no number")?;
                constant::combined(&array, &second, binary(op).expect("it was found above"))?
            }
            "Cast" => {
                if node.kind("DstT").is_some_and(|kind| !kind::is_float(kind)) {
                    return truncated(&array).map(|whole| Some(Item::Whole(whole)));
                }
                array.as_ref().clone()
            }
            "Fill" => return self.filled(&array, inputs).map(Some),
            "Reshape" => constant::reshaped(&array, &list(1).ok_or("its shape is open")?)?,
            "Squeeze" => constant::squeezed(&array, node),
            "ExpandDims" => {
                let axis = list(1).and_then(|axis| axis.first().copied());
                constant::expanded(&array, axis.ok_or("its axis is open")?)?
            }
            "Transpose" => {
                let rank = array.shape.len();
                let axes = list(1).ok_or("its axes are open")?;
                let axes: Vec<usize> =
                    axes.iter().filter_map(|&axis| usize::try_from(axis).ok()).collect();
                let mut sorted = axes.clone();
                sorted.sort_unstable();
                if sorted != (0..rank).collect::<Vec<_>>() {
                    return Err("its axes are no order".to_owned());
                }
                array.transposed(&axes)
            }
            _ => return Err("it computes with constants in a way that linnaeus does not".into()),
        };
        Ok(Some(Item::Numbers(Rc::new(result))))
    }

    fn filled(&mut self, shape: &Array, inputs: &[Item]) -> Result<Item, String> {
        let value = inputs.get(1).cloned().ok_or("it fills with nothing")?;
        let value = self.numbers(&value)?.ok_or("it fills with no number")?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let sides: Vec<usize> = shape.values.iter().map(|&side| side as usize).collect();
        let one = Array { shape: vec![1; sides.len()], values: value.values.clone() };
        if one.values.len() != 1 {
            return Err("it fills with several numbers".to_owned());
        }
        let filled = constant::combined(&one, &repeated(&sides)?, |value, _| value)?;
        Ok(Item::Numbers(Rc::new(filled)))
    }

    /// The result of an operation with at least one tensor.
    fn tensor(&mut self, node: &Node, inputs: &[Item]) -> Result<Value, String> {
        if binary(&node.op).is_some() {
            return self.binary(node, inputs);
        }
        let list = |place: usize| -> Option<Vec<i64>> {
            match inputs.get(place) {
                Some(Item::Whole(whole)) => whole.known(),
                _ => None,
            }
        };
        match node.op.as_str() {
            "Concat" | "ConcatV2" => return self.concatenated(node, inputs),
            "AddN" | "Pack" => {
                let values = values(inputs)?;
                return if node.op == "Pack" {
                    let items = values.into_iter().map(Given::Tensor).collect();
                    let axis = node.whole("axis").unwrap_or(0);
                    self.one("Stack", vec![Given::List(items), Given::Constant(axis.into())])
                } else {
                    let mut values = values.into_iter();
                    let first = values.next().ok_or("it gets nothing")?;
                    values.try_fold(first, |sum, value| {
                        self.one("Add", vec![Given::Tensor(sum), Given::Tensor(value)])
                    })
                };
            }
            _ => {}
        }
        if let ("Conv2DBackpropInput", [Item::Whole(size), kernel, Item::Tensor(value)]) =
            (node.op.as_str(), inputs)
        {
            return self.transposed(node, value.clone(), (kernel.clone(), size));
        }
        let Some(Item::Tensor(value)) = inputs.first() else {
            return Err("its first operand is a constant".to_owned());
        };
        let value = value.clone();
        if let Some(name) = activation(&node.op) {
            return self.layer("Activation", &json!({ "activation": name }), Vec::new(), value);
        }
        match node.op.as_str() {
            "Rsqrt" | "Sqrt" | "Square" | "Neg" | "Exp" | "Log" | "Abs" | "Erf" => {
                self.one(&node.op, vec![Given::Tensor(value)])
            }
            "Erfc" => {
                let erf = self.one("Erf", vec![Given::Tensor(value)])?;
                self.combined("Sub", (&erf, &Array::scalar(1.0), true))
            }
            "Reciprocal" | "Inv" => Ok(self.graph.elementwise("Reciprocal", &value, Vec::new())),
            "LeakyRelu" => {
                let alpha = node.float("alpha").unwrap_or(0.2);
                self.layer("LeakyReLU", &json!({ "alpha": alpha }), Vec::new(), value)
            }
            "Softmax" => self.layer("Softmax", &json!({ "axis": -1 }), Vec::new(), value),
            "LogSoftmax" => self.one("LogSoftmax", vec![Given::Tensor(value)]),
            "Cast" => {
                if node.kind("DstT").is_some_and(kind::is_float) {
                    Ok(value)
                } else {
                    Err("it makes whole numbers of what the network computes".to_owned())
                }
            }
            "MatMul" | "BatchMatMul" | "BatchMatMulV2" | "BatchMatMulV3" => {
                self.product(node, value, inputs)
            }
            "Reshape" => match inputs.get(1) {
                Some(Item::Whole(target)) => self.reshape(value, target),
                _ => Err("its shape is no constant".to_owned()),
            },
            "Transpose" => self.transpose(value, &list(1).ok_or("its axes are no constant")?),
            "Squeeze" => self.squeeze(node, value),
            "ExpandDims" => {
                let axis = list(1).ok_or("its axis is no constant")?;
                let axis = axis.first().copied().unwrap_or(0);
                self.one("ExpandDims", vec![Given::Tensor(value), Given::Constant(axis.into())])
            }
            "Mean" | "Max" | "Min" | "Sum" => {
                self.reduced(node, value, &list(1).ok_or("its axes are no constant")?)
            }
            "StridedSlice" => self.part(node, value, [list(1), list(2), list(3)]),
            "ReverseV2" => self.reversed(value, &list(1).ok_or("its axes are no constant")?),
            _ => self.of_image(node, value, inputs),
        }
    }

    /// The only result of an operation of Keras 3.
    pub(super) fn one(&mut self, class: &str, arguments: Vec<Given>) -> Result<Value, String> {
        let results = self.keras_operation(class, arguments)?;
        results.into_iter().next().ok_or_else(|| "it answers nothing".to_owned())
    }

    fn binary(&mut self, node: &Node, inputs: &[Item]) -> Result<Value, String> {
        let [a, b] = inputs else { return Err("it has not two operands".to_owned()) };
        let (class, operator) = match node.op.as_str() {
            "Add" | "AddV2" | "BiasAdd" => ("Add", "Add"),
            "Sub" | "SquaredDifference" => ("Subtract", "Sub"),
            "Mul" => ("Multiply", "Mul"),
            "RealDiv" | "Div" => ("Divide", "Div"),
            "Maximum" => ("Maximum", "Max"),
            "Minimum" => ("Minimum", "Min"),
            _ => ("Power", "Pow"),
        };
        let first = node.op == "BiasAdd" && node.text("data_format").as_deref() == Some("NCHW");
        let value = match (a, b) {
            (Item::Tensor(a), Item::Tensor(b)) => {
                self.one(class, vec![Given::Tensor(a.clone()), Given::Tensor(b.clone())])?
            }
            (Item::Tensor(value), constant) | (constant, Item::Tensor(value)) => {
                let swapped = !matches!(a, Item::Tensor(_));
                let numbers = self.numbers(constant)?.ok_or("its operand is no number")?;
                let length = numbers.values.len();
                let numbers = if first && value.rank() > 2 {
                    let ones = vec![1; value.rank() - 2];
                    &Rc::new(numbers.as_ref().clone().reshaped([vec![length], ones].concat()))
                } else {
                    &numbers
                };
                self.combined(operator, (value, numbers, swapped))?
            }
            _ => return Err("it gets no tensor".to_owned()),
        };
        if node.op == "SquaredDifference" {
            return self.one("Square", vec![Given::Tensor(value)]);
        }
        Ok(value)
    }

    fn concatenated(&mut self, node: &Node, inputs: &[Item]) -> Result<Value, String> {
        let (("ConcatV2", [parts @ .., axis]) | (_, [axis, parts @ ..])) =
            (node.op.as_str(), inputs)
        else {
            return Err("it gets nothing".to_owned());
        };
        let Item::Whole(axis) = axis else { return Err("its axis is no constant".to_owned()) };
        let axis = axis.known().and_then(|axis| axis.first().copied());
        let axis = axis.ok_or("its axis is no constant")?;
        let items = values(parts)?.into_iter().map(Given::Tensor).collect();
        self.one("Concatenate", vec![Given::List(items), Given::Constant(axis.into())])
    }

    fn product(&mut self, node: &Node, value: Value, inputs: &[Item]) -> Result<Value, String> {
        let [_, second] = inputs else { return Err("it has not two operands".to_owned()) };
        let turned = |keys: [&str; 2]| keys.iter().any(|key| node.truth(key));
        let (left, right) = (turned(["transpose_a", "adj_x"]), turned(["transpose_b", "adj_y"]));
        if let Item::Tensor(other) = second {
            return self.product_of_two((value, left), (other, right));
        }
        if left {
            return Err("it turns what the network computes".to_owned());
        }
        let kernel = self.numbers(second)?.ok_or("its second operand is no number")?;
        let mut kernel = Rc::try_unwrap(kernel).unwrap_or_else(|shared| shared.as_ref().clone());
        while kernel.shape.len() > 2 && kernel.shape[0] == 1 {
            kernel.shape.remove(0);
        }
        if kernel.shape.len() != 2 {
            return Err(format!("its kernel is {:?}", kernel.shape));
        }
        let kernel = if right { kernel.transposed(&[1, 0]) } else { kernel };
        self.layer("Dense", &json!({ "use_bias": false }), vec![("kernel", kernel)], value)
    }

    fn product_of_two(
        &mut self,
        (a, left): (Value, bool),
        (b, right): (&Value, bool),
    ) -> Result<Value, String> {
        let rank = a.rank();
        if rank < 3 || b.rank() != rank {
            return Err("it multiplies the images of a batch with each other".to_owned());
        }
        let mut turn = |value: &Value, turned: bool| {
            let mut value = self.graph.as_keras(value);
            if turned {
                let mut order: Vec<i64> = (0..rank as i64).collect();
                order.swap(rank - 1, rank - 2);
                let perm = vec![("perm", Attribute::Ints(order))];
                value.name = self.graph.node("Transpose", &[&value.name], perm);
                value.shape.swap(rank - 1, rank - 2);
            }
            value
        };
        let (a, b) = (turn(&a, left), turn(b, right));
        if a.shape[rank - 1].zip(b.shape[rank - 2]).is_some_and(|(a, b)| a != b) {
            return Err("its operands do not fit".to_owned());
        }
        let name = self.graph.node("MatMul", &[&a.name, &b.name], Vec::new());
        let mut shape = a.shape;
        shape[rank - 1] = b.shape[rank - 1];
        Ok(Value::new(name, shape))
    }
}

/// Zeros of a shape.
fn repeated(sides: &[usize]) -> Result<Array, String> {
    let count = sides.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    let zeros = Array::repeated(0.0, count.ok_or("its shape is too large")?)?;
    Ok(zeros.reshaped(sides.to_vec()))
}

/// Whole numbers of numbers with fractions.
fn truncated(array: &Array) -> Result<Whole, String> {
    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
    let values: Vec<i64> = array.values.iter().map(|&value| value as i64).collect();
    Whole::of(crate::keras::Tensor {
        shape: array.shape.clone(),
        values: crate::keras::Values::I64(values),
    })
}

fn values(items: &[Item]) -> Result<Vec<Value>, String> {
    let value = |item: &Item| match item {
        Item::Tensor(value) => Ok(value.clone()),
        _ => Err("it joins constants".to_owned()),
    };
    items.iter().map(value).collect()
}
