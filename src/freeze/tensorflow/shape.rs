//! Operations that move numbers and change none: shapes, axes, parts.

use serde_json::{Value as Json, json};

use super::{
    Walk,
    item::{Item, Number, Whole},
};
use crate::{
    freeze::{
        call::Given,
        graph::Attribute,
        value::{Order, Value},
    },
    graphdef::Node,
};

impl Walk<'_> {
    /// The shape of something, its number of axes, or its number of elements.
    pub(super) fn measured(&mut self, node: &Node, input: &Item) -> Result<Item, String> {
        let sides: Vec<Number> = match input {
            Item::Tensor(value) => {
                let sides = value.shape.iter().enumerate();
                sides
                    .map(|(axis, side)| match (axis, side) {
                        (0, _) => Number::Batch,
                        (_, Some(side)) => Number::Known(*side as i64),
                        (_, None) => Number::Open,
                    })
                    .collect()
            }
            Item::Whole(whole) => known(&whole.shape),
            Item::Stored(_) | Item::Numbers(_) => {
                let array = self.numbers(input)?.ok_or("it has no shape")?;
                known(&array.shape)
            }
            _ => return Err("it measures what has no shape".to_owned()),
        };
        let whole = match node.op.as_str() {
            "Shape" => Whole::vector(sides),
            "Rank" => Whole::scalar(Number::Known(sides.len() as i64)),
            _ => {
                let product = sides.iter().try_fold(1i64, |product, side| match side {
                    Number::Known(side) => product.checked_mul(*side),
                    _ => None,
                });
                Whole::scalar(product.map_or(Number::Open, Number::Known))
            }
        };
        Ok(Item::Whole(whole))
    }

    /// `Reshape`: the batch stays the batch.
    pub(super) fn reshape(&mut self, value: Value, target: &Whole) -> Result<Value, String> {
        let Some((first, rest)) = target.values.split_first() else {
            return Err("it makes one number of a batch".to_owned());
        };
        let rest: Vec<i64> = rest
            .iter()
            .map(|side| match side {
                Number::Known(side) => Ok(*side),
                Number::Open => Ok(-1),
                Number::Batch => Err("it moves the batch to another axis"),
            })
            .collect::<Result<_, _>>()?;
        if rest.iter().filter(|&&side| side == -1).count() > 1 {
            return Err(
                "it gets a size that the graph leaves open; say it with `--size HEIGHTxWIDTH`"
                    .to_owned(),
            );
        }
        let elements = value.elements();
        let product = rest
            .iter()
            .try_fold(1usize, |product, &side| product.checked_mul(usize::try_from(side).ok()?));
        let is_batch = match first {
            Number::Batch => true,
            // The rest of the numbers of one image, or the batch as it was frozen.
            Number::Known(_) => product.is_none() || elements.is_none() || product == elements,
            Number::Open => product.is_some() && product == elements,
        };
        if !is_batch || (*first == Number::Known(-1) && product.is_none()) {
            return Err("it mixes the images of a batch".to_owned());
        }
        let same = value.shape[1..].iter().map(|side| side.map_or(-1, |side| side as i64));
        if same.eq(rest.iter().copied()) && !rest.contains(&-1) {
            return Ok(value);
        }
        if rest.len() == 1 && value.rank() > 2 && elements.is_some() {
            return self.layer("Flatten", &json!({}), Vec::new(), value);
        }
        self.layer("Reshape", &json!({ "target_shape": rest }), Vec::new(), value)
    }

    /// `Transpose`. What only says where the channels are moves nothing.
    pub(super) fn transpose(&mut self, value: Value, axes: &[i64]) -> Result<Value, String> {
        let moved = |shape: &[Option<usize>], axes: [usize; 4]| -> Vec<Option<usize>> {
            axes.iter().map(|&axis| shape[axis]).collect()
        };
        match (axes, value.order, value.rank()) {
            ([0, 3, 1, 2], Order::ChannelsFirst, 4) => {
                let shape = moved(&value.shape, [0, 3, 1, 2]);
                Ok(Value { shape, order: Order::Keras, ..value })
            }
            ([0, 2, 3, 1], Order::Keras, 4) => {
                let shape = moved(&value.shape, [0, 2, 3, 1]);
                Ok(Value { shape, order: Order::ChannelsFirst, ..value })
            }
            _ => {
                let rank = value.rank() as i64;
                if axes.len() as i64 != rank || axes.first() != Some(&0) {
                    return Err("it moves the batch to another axis".to_owned());
                }
                let dims = &axes[1..];
                self.layer("Permute", &json!({ "dims": dims }), Vec::new(), value)
            }
        }
    }

    pub(super) fn squeeze(&mut self, node: &Node, value: Value) -> Result<Value, String> {
        let axes = [node.list("squeeze_dims"), node.list("axis")].concat();
        let mut places =
            axes.iter().map(|&axis| value.keras_axis(axis)).collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        let pixel = value.rank() == 4 && value.shape[1..3] == [Some(1), Some(1)];
        let rest = places.is_empty() && value.shape.get(3) != Some(&Some(1));
        if pixel && (places == [1, 2] || rest) {
            return self.layer("Flatten", &json!({}), Vec::new(), value);
        }
        if places.iter().any(|&place| value.shape[place] != Some(1)) {
            return Err("it takes away an axis that is not 1".to_owned());
        }
        let axes = if places.is_empty() { Json::Null } else { json!(places) };
        self.one("Squeeze", vec![Given::Tensor(value), Given::Constant(axes)])
    }

    /// `Mean`, `Max`, `Min` and `Sum`.
    pub(super) fn reduced(
        &mut self,
        node: &Node,
        value: Value,
        axes: &[i64],
    ) -> Result<Value, String> {
        let keep = node.truth("keep_dims");
        let mut places =
            axes.iter().map(|&axis| value.keras_axis(axis)).collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        let pooled = match node.op.as_str() {
            "Mean" => Some("GlobalAveragePooling2D"),
            "Max" => Some("GlobalMaxPooling2D"),
            _ => None,
        };
        let format = match places[..] {
            [1, 2] => Some("channels_last"),
            [2, 3] => Some("channels_first"),
            _ => None,
        };
        if let (Some(class), Some(format), 4) = (pooled, format, value.rank()) {
            let config = json!({ "data_format": format, "keepdims": keep });
            return self.layer(class, &config, Vec::new(), value);
        }
        let axes = Given::Constant(json!(places));
        let keep = Given::Constant(keep.into());
        self.one(&node.op, vec![Given::Tensor(value), axes, keep])
    }

    /// `StridedSlice`.
    pub(super) fn part(
        &mut self,
        node: &Node,
        value: Value,
        places: [Option<Vec<i64>>; 3],
    ) -> Result<Value, String> {
        let [Some(begin), Some(end), Some(strides)] = places else {
            return Err("it takes a part that is no constant".to_owned());
        };
        let has =
            |key: &str, place: usize| place < 63 && node.whole(key).unwrap_or(0) >> place & 1 == 1;
        let mut parts = Vec::new();
        for (place, ((&begin, &end), &step)) in begin.iter().zip(&end).zip(&strides).enumerate() {
            let open = |key: &str, at: i64| if has(key, place) { Json::Null } else { at.into() };
            parts.push(if has("ellipsis_mask", place) {
                json!({"class_name": "__ellipsis__"})
            } else if has("new_axis_mask", place) {
                Json::Null
            } else if has("shrink_axis_mask", place) {
                begin.into()
            } else {
                json!({
                    "start": open("begin_mask", begin),
                    "stop": open("end_mask", end),
                    "step": step,
                })
            });
        }
        self.one("GetItem", vec![Given::Tensor(value), Given::Constant(parts.into())])
    }

    /// `ReverseV2`: the channels of BGR, for instance.
    pub(super) fn reversed(&mut self, value: Value, axes: &[i64]) -> Result<Value, String> {
        let places =
            axes.iter().map(|&axis| value.keras_axis(axis)).collect::<Result<Vec<_>, _>>()?;
        if places.contains(&0) {
            return Err("it turns the batch around".to_owned());
        }
        let part = |axis: usize| {
            let step = if places.contains(&axis) { -1 } else { 1 };
            json!({ "start": null, "stop": null, "step": step })
        };
        let parts: Vec<Json> = (0..value.rank()).map(part).collect();
        self.one("GetItem", vec![Given::Tensor(value), Given::Constant(parts.into())])
    }

    /// `Split` into equal parts.
    pub(super) fn split(&mut self, node: &Node, inputs: &[Item]) -> Result<Vec<Item>, String> {
        let [Item::Whole(axis), Item::Tensor(value)] = inputs else {
            return Err("it splits what is no tensor".to_owned());
        };
        let axis = axis.known().and_then(|axis| axis.first().copied());
        let axis = axis.ok_or("its axis is no constant")?;
        let count = node.whole("num_split").unwrap_or(1);
        let given = [count, axis].map(|number| Given::Constant(number.into()));
        let [count, axis] = given;
        let parts =
            self.keras_operation("Split", vec![Given::Tensor(value.clone()), count, axis])?;
        Ok(parts.into_iter().map(Item::Tensor).collect())
    }

    /// A padding of any axes but the batch, with a number or a reflection.
    pub(super) fn padded(
        &mut self,
        value: &Value,
        padding: &[[i64; 2]],
        (mode, number): (Option<&'static str>, f32),
    ) -> Result<Value, String> {
        let value = match value.order {
            Order::Flattened(_) => self.graph.as_keras(value),
            _ => value.clone(),
        };
        if padding.len() != value.rank() || padding[0] != [0, 0] {
            return Err("it pads the batch".to_owned());
        }
        let mut shape = value.shape.clone();
        let mut pads = vec![0; 2 * value.rank()];
        for (axis, &[before, after]) in padding.iter().enumerate() {
            let place = value.axis(axis as i64)?;
            (pads[place], pads[value.rank() + place]) = (before, after);
            let added = usize::try_from(before.saturating_add(after)).ok();
            let added = added.filter(|&added| added < 1 << 24 && before >= 0 && after >= 0);
            let added = added.ok_or("its padding is no size")?;
            shape[axis] = shape[axis].map(|side| side.saturating_add(added));
        }
        let pads = self.graph.whole("pads", pads);
        let name = if let Some(mode) = mode {
            let mode = vec![("mode", Attribute::Text(mode))];
            self.graph.node("Pad", &[&value.name, &pads], mode)
        } else {
            let number = self.graph.scalar("value", number);
            self.graph.node("Pad", &[&value.name, &pads, &number], Vec::new())
        };
        Ok(Value { name, shape, order: value.order })
    }
}

fn known(shape: &[usize]) -> Vec<Number> {
    shape.iter().map(|&side| Number::Known(side as i64)).collect()
}
