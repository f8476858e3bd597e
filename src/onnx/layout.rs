//! Where an image input has its channels, and what size the graph is made for.

use serde::Serialize;

use super::{
    Dim, OnnxFile, Value,
    forward::{End, Forward},
    graph::{Graph, domain_name, input, int, node_text, operator},
    proto::NodeProto,
    shown,
};
use crate::{
    geometry::Size,
    recipe::{Layout, as_text},
};

/// Where the channels are, and how that shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayoutHint {
    /// Channels first or last; `None` when the graph does not show it.
    #[serde(serialize_with = "as_text::serialize")]
    pub layout: Option<Layout>,
    /// How many channels, when the graph shows it.
    pub channels: Option<u64>,
    /// What was seen, in one sentence.
    pub evidence: String,
}

/// A size that the graph shows although its input leaves it open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SizeHint {
    /// The size behind the input; `None` when the graph resizes to a size that it computes.
    pub size: Option<Size>,
    /// Whether the graph itself resizes its input.
    pub resizes: bool,
    /// What was seen, in one sentence.
    pub evidence: String,
}

impl OnnxFile {
    /// Says where `input`, of four dimensions, has its channels: by the first convolution, then by
    /// what the dimensions are called, then by their sizes.
    #[must_use]
    pub fn layout(&self, input: &Value) -> LayoutHint {
        let graph = self.index();
        hint(&graph, input, &Forward::from(&graph, input))
    }

    /// Looks for a size that the graph shows behind `input`: a node that resizes, or a type that
    /// the file notes for a value there. `None` when there is neither.
    #[must_use]
    pub fn size_hint(&self, input: &Value) -> Option<SizeHint> {
        let graph = self.index();
        let forward = Forward::from(&graph, input);
        let layout = hint(&graph, input, &forward).layout?;
        let channel = if layout == Layout::Nchw { 1 } else { 3 };
        if let Some(resize) = forward.resize {
            let size = resized_to(&graph, resize).and_then(|sizes| spatial(&sizes, channel));
            let to = size.map_or("a size that it computes".to_owned(), |size| size.to_string());
            let name = shown(&input.name);
            let evidence = format!("{} resizes `{name}` to {to}", node_text(resize));
            return Some(SizeHint { size, resizes: true, evidence });
        }
        // Behind a transposition the noted axes are others.
        let same_axes = forward.axes.as_ref().is_some_and(|axes| axes.iter().copied().eq(0..4));
        let noted = graph.proto.value_info.iter().map(Value::of);
        let on_the_way = |value: &Value| forward.values.contains(&value.name.as_str());
        noted.filter(|value| same_axes && on_the_way(value)).find_map(|value| {
            let dims: Option<Vec<_>> = value.dims.iter().flatten().map(Dim::fixed).collect();
            let size = spatial(&dims?, channel)?;
            let evidence = format!("the file notes {} for `{}`", value.r#type, shown(&value.name));
            Some(SizeHint { size: Some(size), resizes: false, evidence })
        })
    }
}

fn hint(graph: &Graph<'_>, input: &Value, forward: &Forward<'_>) -> LayoutHint {
    by_convolution(graph, input, forward)
        .or_else(|| by_steps(input, forward))
        .or_else(|| by_denotation(input))
        .or_else(|| by_sizes(input))
        .unwrap_or_else(|| LayoutHint {
            layout: None,
            channels: None,
            evidence: format!(
                "`{}` {} does not show where its channels are",
                shown(&input.name),
                input.shape_text()
            ),
        })
}

fn layout_of(axis: usize) -> Option<Layout> {
    match axis {
        1 => Some(Layout::Nchw),
        3 => Some(Layout::Nhwc),
        _ => None,
    }
}

fn by_convolution(graph: &Graph<'_>, image: &Value, forward: &Forward<'_>) -> Option<LayoutHint> {
    let axes = forward.axes.as_ref().filter(|axes| axes.len() == 4)?;
    let nodes: &[&NodeProto] = match &forward.end {
        End::Node(node) => &[node],
        End::Fork(nodes) => nodes,
        _ => return None,
    };
    let (node, weight) = nodes.iter().find_map(|&node| Some((node, convolution_weight(node)?)))?;
    // ONNX Runtime writes these when it saves a model that it has optimised.
    let last = domain_name(&node.domain) == "com.ms.internal.nhwc"
        || node.op_type.starts_with("Nhwc")
        || int(node, "channels_last", 0) == 1;
    let layout = layout_of(axes[if last { 3 } else { 1 }])?;
    let weight = input(node, weight).and_then(|name| graph.shape_of_constant(name));
    let per_group = weight.filter(|dims| dims.len() == 4 && !last).map(|dims| dims[1]);
    let channels = per_group.and_then(|dim| dim.checked_mul(int(node, "group", 1)));
    let channels = channels.and_then(|channels| u64::try_from(channels).ok());
    let ops: Vec<_> = forward.nodes.iter().map(|node| node.op_type.as_str()).collect();
    let way = if ops.contains(&"Transpose") {
        "through a Transpose"
    } else {
        "with its axes as they are"
    };
    let of = channels.map(|channels| format!(" of {channels} input channels"));
    Some(LayoutHint {
        layout: Some(layout),
        channels,
        evidence: format!(
            "`{}` {} reaches {}{}, {way}",
            shown(&image.name),
            image.shape_text(),
            node_text(node),
            of.unwrap_or_default(),
        ),
    })
}

/// Which input of a convolution its weight is.
fn convolution_weight(node: &NodeProto) -> Option<usize> {
    match node.op_type.as_str() {
        "Conv" | "ConvInteger" | "FusedConv" | "NhwcConv" | "NhwcFusedConv" => Some(1),
        "QLinearConv" => Some(3),
        _ => None,
    }
}

fn by_steps(input: &Value, forward: &Forward<'_>) -> Option<LayoutHint> {
    let axis = forward.channel?;
    let channels = input.dims.as_ref()?.get(axis)?.fixed();
    let evidence =
        format!("the graph treats axis {axis} of `{}` channel by channel", shown(&input.name));
    Some(LayoutHint { layout: Some(layout_of(axis)?), channels, evidence })
}

fn by_denotation(input: &Value) -> Option<LayoutHint> {
    let is_channel = |name: &String| name == "DATA_CHANNEL" || name == "DATA_FEATURE";
    let axis = input.dim_denotations.iter().position(is_channel)?;
    let channels = input.dims.as_ref()?.get(axis)?.fixed();
    let evidence = format!(
        "the file says {} of axis {axis} of `{}`",
        shown(&input.dim_denotations[axis]),
        shown(&input.name)
    );
    Some(LayoutHint { layout: Some(layout_of(axis)?), channels, evidence })
}

fn by_sizes(input: &Value) -> Option<LayoutHint> {
    let dims = input.dims.as_deref().filter(|dims| dims.len() == 4)?;
    let channels = |axis: usize| dims[axis].fixed().filter(|size| matches!(size, 1 | 3 | 4));
    let (layout, channels) = match (channels(1), channels(3)) {
        (Some(first), None) => (Layout::Nchw, first),
        (None, Some(last)) => (Layout::Nhwc, last),
        _ => return None,
    };
    let evidence = format!("`{}` is {}", shown(&input.name), input.shape_text());
    Some(LayoutHint { layout: Some(layout), channels: Some(channels), evidence })
}

fn resized_to(graph: &Graph<'_>, resize: &NodeProto) -> Option<Vec<u64>> {
    let sizes = graph.constant(input(resize, 3)?)?.ints();
    sizes.into_iter().map(|size| u64::try_from(size).ok()).collect()
}

/// Height and width of a shape with its channels on `channel`.
fn spatial(dims: &[u64], channel: usize) -> Option<Size> {
    let [_, a, b, c] = *dims else { return None };
    let (height, width) = if channel == 1 { (b, c) } else { (a, b) };
    Some(Size { height: usize::try_from(height).ok()?, width: usize::try_from(width).ok()? })
}

impl Graph<'_> {
    /// The shape of a weight, also of one that is stored quantised or under another name.
    fn shape_of_constant(&self, name: &str) -> Option<Vec<i64>> {
        let mut name = name;
        for _ in 0..8 {
            if let Some(tensor) = self.initialiser(name) {
                return Some(tensor.dims.clone());
            }
            let node = self.producer(name)?;
            match operator(node) {
                "Identity" | "Cast" | "QuantizeLinear" | "DequantizeLinear" => {
                    name = input(node, 0)?;
                }
                "Constant" => {
                    let tensor = node.attribute.iter().find_map(|attribute| attribute.t.as_deref());
                    return tensor.map(|tensor| tensor.dims.clone());
                }
                _ => return None,
            }
        }
        None
    }
}
