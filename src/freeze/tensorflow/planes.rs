//! Operations on planes of images.

use serde_json::json;

use super::{
    Walk,
    item::{Item, Number, Spread, Whole},
};
use crate::{
    freeze::{array::Array, call::float, graph::Attribute, value::Value},
    graphdef::Node,
};

/// Keras's name of where the channels are.
fn format(node: &Node) -> &'static str {
    if is_first(node) { "channels_first" } else { "channels_last" }
}

fn is_first(node: &Node) -> bool {
    node.text("data_format").as_deref() == Some("NCHW")
}

/// Height and width of a list for four axes.
fn pair(node: &Node, key: &str) -> Result<[i64; 2], String> {
    let list = node.list(key);
    match (<[i64; 4]>::try_from(&list[..]), is_first(node)) {
        (Ok([1, height, width, 1]), false) | (Ok([1, 1, height, width]), true) => {
            Ok([height, width])
        }
        _ if list.is_empty() => Ok([1, 1]),
        _ => Err(format!("its `{key}` is {list:?}")),
    }
}

/// `[[top, bottom], [left, right]]` of explicit paddings.
fn explicit(node: &Node) -> Result<[[i64; 2]; 2], String> {
    let list = node.list("explicit_paddings");
    match (<[i64; 8]>::try_from(&list[..]), is_first(node)) {
        (Ok([0, 0, a, b, c, d, 0, 0]), false) | (Ok([0, 0, 0, 0, a, b, c, d]), true) => {
            Ok([[a, b], [c, d]])
        }
        _ => Err(format!("its `explicit_paddings` is {list:?}")),
    }
}

/// Pairs of whole numbers.
fn pairs(whole: &Whole) -> Option<Vec<[i64; 2]>> {
    let known = whole.known()?;
    let (pairs, rest) = known.as_chunks::<2>();
    rest.is_empty().then(|| pairs.to_vec())
}

impl Walk<'_> {
    pub(super) fn of_image(
        &mut self,
        node: &Node,
        value: Value,
        inputs: &[Item],
    ) -> Result<Value, String> {
        let whole = |place: usize| match inputs.get(place) {
            Some(Item::Whole(whole)) => Some(whole),
            _ => None,
        };
        match node.op.as_str() {
            "Conv2D" | "DepthwiseConv2dNative" => {
                let kernel = self.array(inputs, 1)?;
                let (padding, value) = self.convolution_padding(node, value)?;
                self.convolution(node, value, kernel, (padding, pair(node, "dilations")?))
            }
            "FusedBatchNorm" | "FusedBatchNormV2" | "FusedBatchNormV3" => {
                self.normalised(node, value, inputs)
            }
            "MaxPool" | "AvgPool" => {
                let padding = match node.text("padding").as_deref() {
                    Some("SAME") => "same",
                    Some("VALID") => "valid",
                    other => return Err(format!("its `padding` is {other:?}")),
                };
                let class = if node.op == "MaxPool" { "MaxPooling2D" } else { "AveragePooling2D" };
                let config = json!({
                    "pool_size": pair(node, "ksize")?,
                    "strides": pair(node, "strides")?,
                    "padding": padding,
                    "data_format": format(node),
                });
                self.layer(class, &config, Vec::new(), value)
            }
            "Pad" | "PadV2" | "MirrorPad" => {
                let padding = whole(1).and_then(pairs).ok_or("its padding is no constant")?;
                self.padding(node, &value, &padding, inputs)
            }
            "ResizeBilinear" | "ResizeNearestNeighbor" => {
                let size = whole(1).and_then(Whole::known).ok_or(
                    "its size is no constant; say the size of the images with `--size \
                     HEIGHTxWIDTH`",
                )?;
                self.resized(node, &value, &size)
            }
            "LRN" => self.local_response(node, &value),
            _ => Err("it is applied to what the network computes".to_owned()),
        }
    }

    /// Numbers among the inputs.
    fn array(&mut self, inputs: &[Item], place: usize) -> Result<Array, String> {
        let input = inputs.get(place).cloned().ok_or("it gets too few inputs")?;
        let array = self.numbers(&input)?.ok_or("its weights are computed by the network")?;
        Ok(std::rc::Rc::try_unwrap(array).unwrap_or_else(|shared| shared.as_ref().clone()))
    }

    /// Keras's name of the padding, and the value with what is padded explicitly.
    fn convolution_padding(
        &mut self,
        node: &Node,
        value: Value,
    ) -> Result<(&'static str, Value), String> {
        match node.text("padding").as_deref() {
            Some("SAME") => Ok(("same", value)),
            Some("VALID") => Ok(("valid", value)),
            Some("EXPLICIT") => {
                let config = json!({ "padding": explicit(node)?, "data_format": format(node) });
                Ok(("valid", self.layer("ZeroPadding2D", &config, Vec::new(), value)?))
            }
            other => Err(format!("its `padding` is {other:?}")),
        }
    }

    fn convolution(
        &mut self,
        node: &Node,
        value: Value,
        kernel: Array,
        (padding, dilations): (&str, [i64; 2]),
    ) -> Result<Value, String> {
        let strides = pair(node, "strides")?;
        let inputs = value.shape.get(if is_first(node) { 1 } else { 3 }).copied().flatten();
        let [.., takes, _] = kernel.shape[..] else {
            return Err(format!("its kernel is {:?}", kernel.shape));
        };
        let depthwise = node.op == "DepthwiseConv2dNative";
        let groups = match inputs {
            Some(inputs) if takes > 0 && inputs.is_multiple_of(takes) && !depthwise => {
                inputs / takes
            }
            _ => 1,
        };
        let class = if depthwise { "DepthwiseConv2D" } else { "Conv2D" };
        let config = json!({
            "strides": strides,
            "dilation_rate": dilations,
            "padding": padding,
            "data_format": format(node),
            "use_bias": false,
            "groups": groups,
        });
        self.layer(class, &config, vec![("kernel", kernel)], value)
    }

    /// `Conv2DBackpropInput`, the transposed convolution.
    pub(super) fn transposed(
        &mut self,
        node: &Node,
        value: Value,
        (kernel, size): (Item, &Whole),
    ) -> Result<Value, String> {
        let kernel = self.array(&[kernel], 0)?;
        let (strides, sides) = (pair(node, "strides")?, if is_first(node) { 2..4 } else { 1..3 });
        let same = node.text("padding").as_deref() == Some("SAME");
        if pair(node, "dilations")? != [1, 1] || kernel.shape.len() != 4 {
            return Err("it has gaps, or its kernel is no image".to_owned());
        }
        let mut config = json!({
            "strides": strides,
            "padding": if same { "same" } else { "valid" },
            "data_format": format(node),
            "use_bias": false,
        });
        let (from, to) = (value.shape.get(sides.clone()), size.values.get(sides));
        let (Some(&[Some(rows), Some(columns)]), Some(&[Number::Known(high), Number::Known(wide)])) =
            (from, to)
        else {
            return Err("its size is no constant; say the size of the images with `--size \
                        HEIGHTxWIDTH`"
                .to_owned());
        };
        let mut added = [0i64; 2];
        for (axis, (from, to)) in [(rows, high), (columns, wide)].into_iter().enumerate() {
            let reach = kernel.shape[axis] as i64;
            let cut = if same { 2 * (reach / 2) } else { 0 };
            let full = (from as i64 - 1).saturating_mul(strides[axis]).saturating_add(reach);
            added[axis] = to.saturating_sub(full).saturating_add(cut);
        }
        if added.iter().any(|&added| added < 0) {
            return Err(format!("its size is {high}×{wide}, which is cut"));
        }
        config["output_padding"] = json!(added);
        self.layer("Conv2DTranspose", &config, vec![("kernel", kernel)], value)
    }

    fn normalised(&mut self, node: &Node, value: Value, inputs: &[Item]) -> Result<Value, String> {
        if !node.has("is_training") || node.truth("is_training") {
            return Err(
                "it has `is_training`, so that the answer for an image depends on the others of \
                 its batch; save the model for inference"
                    .to_owned(),
            );
        }
        let roles = ["gamma", "beta", "moving_mean", "moving_variance"];
        let mut weights = Vec::new();
        for (place, role) in roles.into_iter().enumerate() {
            weights.push((role, self.array(inputs, place + 1)?));
        }
        let axis = if is_first(node) { 1 } else { 3 };
        let epsilon = node.float("epsilon").unwrap_or(1e-4);
        let config = json!({ "axis": axis, "epsilon": epsilon });
        self.layer("BatchNormalization", &config, weights, value)
    }

    fn padding(
        &mut self,
        node: &Node,
        value: &Value,
        padding: &[[i64; 2]],
        inputs: &[Item],
    ) -> Result<Value, String> {
        if node.op == "MirrorPad" {
            return match node.text("mode").as_deref() {
                Some("REFLECT") => self.padded(value, padding, (Some("reflect"), 0.0)),
                mode => Err(format!("its `mode` is {mode:?}")),
            };
        }
        let number = match inputs.get(2).cloned() {
            Some(input) if node.op == "PadV2" => {
                let number = self.numbers(&input)?.ok_or("its number is no constant")?;
                number.values.first().copied().unwrap_or(0.0)
            }
            _ => 0.0,
        };
        let formats = [("channels_last", [0, 3], [1, 2]), ("channels_first", [0, 1], [2, 3])];
        if let (4, true) = (padding.len(), number == 0.0) {
            for (format, still, sides) in formats {
                let sides = sides.map(|axis| padding[axis]);
                let fits = still.iter().all(|&axis| padding[axis] == [0, 0]);
                if fits && sides.as_flattened().iter().all(|&side| side >= 0) {
                    let config = json!({ "padding": sides, "data_format": format });
                    return self.layer("ZeroPadding2D", &config, Vec::new(), value.clone());
                }
            }
        }
        self.padded(value, padding, (None, number))
    }

    fn resized(&mut self, node: &Node, value: &Value, size: &[i64]) -> Result<Value, String> {
        let sides =
            |side: &i64| usize::try_from(*side).ok().filter(|side| (1..1 << 24).contains(side));
        let (&[height, width], false) = (size, size.iter().any(|side| sides(side).is_none()))
        else {
            return Err(format!("its size is {size:?}"));
        };
        let target = [height, width];
        let corners = node.truth("align_corners");
        let place = match (corners, node.truth("half_pixel_centers")) {
            (true, _) => "align_corners",
            (_, true) => "half_pixel",
            // TensorFlow 1 places the pixels at their upper left corners.
            _ => "asymmetric",
        };
        let planes = self.graph.planes(value, false)?;
        let to: [Option<usize>; 2] = target.map(|side| usize::try_from(side).ok());
        if planes.sides == to {
            return Ok(value.clone());
        }
        let mut attributes = vec![("coordinate_transformation_mode", Attribute::Text(place))];
        if node.op == "ResizeBilinear" {
            attributes.push(("mode", Attribute::Text("linear")));
        } else {
            attributes.push(("mode", Attribute::Text("nearest")));
            let rounding = if place == "asymmetric" { "floor" } else { "round_prefer_ceil" };
            attributes.push(("nearest_mode", Attribute::Text(rounding)));
        }
        let graph = &mut self.graph;
        let ends = vec![("start", Attribute::Int(0)), ("end", Attribute::Int(2))];
        let front = graph.node("Shape", &[&planes.name], ends);
        let size = graph.whole("size", target.to_vec());
        let sizes = graph.node("Concat", &[&front, &size], vec![("axis", Attribute::Int(0))]);
        let name = graph.node("Resize", &[&planes.name, "", "", &sizes], attributes);
        Ok(planes.with(name, to).into_value())
    }

    fn local_response(&mut self, node: &Node, value: &Value) -> Result<Value, String> {
        let planes = self.graph.planes(value, false)?;
        let radius = node.whole("depth_radius").unwrap_or(5).clamp(0, 1 << 20);
        let size = 2 * radius + 1;
        let number = |key: &str, usual: f32| f64::from(node.float(key).unwrap_or(usual));
        let attributes = vec![
            ("size", Attribute::Int(size)),
            // ONNX takes the mean of the squares and TensorFlow their sum.
            ("alpha", float(number("alpha", 1.0) * size as f64)),
            ("beta", float(number("beta", 0.5))),
            ("bias", float(number("bias", 1.0))),
        ];
        let name = self.graph.node("LRN", &[&planes.name], attributes);
        let sides = planes.sides;
        Ok(planes.with(name, sides).into_value())
    }

    /// A convolution of spread images, and bringing them together again: a convolution with gaps.
    pub(super) fn of_spread(
        &mut self,
        at: usize,
        node: &Node,
        spread: &Spread,
    ) -> Result<Item, String> {
        let unknown = || "only a convolution between them is known".to_owned();
        if ["Conv2D", "DepthwiseConv2dNative"].contains(&&*node.op) && spread.convolution.is_none()
        {
            let plain = pair(node, "strides")? == [1, 1] && pair(node, "dilations")? == [1, 1];
            if !plain || node.text("padding").as_deref() != Some("VALID") {
                return Err("it is spread over the batch, and not a plain convolution".to_owned());
            }
            return Ok(Item::Spread(Spread { convolution: Some(at), ..spread.clone() }));
        }
        let (Some(convolution), "BatchToSpaceND") = (spread.convolution, node.op.as_str()) else {
            return Err(unknown());
        };
        let nodes = self.nodes;
        let convolution = &nodes[convolution];
        let find = |place: usize| node.inputs.get(place).and_then(|&input| self.item(input));
        let crops = match find(2) {
            Some(Item::Whole(crops)) => pairs(&crops),
            _ => None,
        };
        let Some(&[rows, columns]) = crops.as_deref() else { return Err(unknown()) };
        let kernel = convolution.inputs.get(1).and_then(|&input| self.item(input));
        let kernel = self.array(&[kernel.ok_or_else(unknown)?], 0)?;
        let crops = [rows, columns];
        let mut left = [[0i64; 2]; 2];
        for (left, (padding, crop)) in left
            .as_flattened_mut()
            .iter_mut()
            .zip(spread.padding.as_flattened().iter().zip(crops.as_flattened()))
        {
            *left = padding.checked_sub(*crop).filter(|left| *left >= 0).ok_or_else(unknown)?;
        }
        let config = json!({ "padding": left, "data_format": "channels_last" });
        let value = self.layer("ZeroPadding2D", &config, Vec::new(), spread.value.clone())?;
        let dilations = spread.block.map(|side| side as i64);
        let value = self.convolution(convolution, value, kernel, ("valid", dilations))?;
        Ok(Item::Tensor(value))
    }
}

/// `SpaceToBatchND`, which waits for its convolution.
pub(super) fn spread(value: &Value, block: &Whole, padding: &Whole) -> Result<Item, String> {
    let block = block.known().ok_or("its blocks are no constant")?;
    let padding = pairs(padding).ok_or("its padding is no constant")?;
    let (&[height, width], &[rows, columns], 4) = (&block[..], &padding[..], value.rank()) else {
        return Err("it spreads other axes than height and width".to_owned());
    };
    let side = |side: i64| usize::try_from(side).ok().filter(|side| (1..1 << 16).contains(side));
    let block = side(height).zip(side(width)).ok_or("its blocks are no sizes")?;
    let (value, padding) = (value.clone(), [rows, columns]);
    Ok(Item::Spread(Spread { value, block: block.into(), padding, convolution: None }))
}
