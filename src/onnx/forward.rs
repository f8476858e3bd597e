//! The way from the image input to the first layer: everything that only moves pixels or computes
//! with constants.

use super::{
    Value,
    affine::{Affine, Arithmetic},
    graph::{Graph, attribute, first_output, input, operator},
    proto::NodeProto,
    split,
};

/// Nodes that preprocessing may have; exporters write up to about 20.
const MOST_NODES: usize = 64;

/// Most channels that an image has.
pub(super) const MOST_CHANNELS: usize = 4;

/// Where the way ends.
#[derive(Debug, Clone)]
pub(super) enum End<'a> {
    /// At a node that does something else.
    Node(&'a NodeProto),
    /// At a value that several nodes read.
    Fork(Vec<&'a NodeProto>),
    /// At a value that nobody reads.
    Nothing,
    /// Too far from the input to be preprocessing.
    TooLong,
}

/// The way from an input to the first layer.
#[derive(Debug, Clone)]
pub(super) struct Forward<'a> {
    /// What it does to the numbers.
    pub(super) affine: Affine,
    /// Which axis of the input each axis is now; `None` behind a change of shape.
    pub(super) axes: Option<Vec<usize>>,
    /// Which axis of the input the channels are, when a step shows it.
    pub(super) channel: Option<usize>,
    /// The nodes on the way.
    pub(super) nodes: Vec<&'a NodeProto>,
    /// The values on the way, without the input.
    pub(super) values: Vec<&'a str>,
    /// The first node that resizes.
    pub(super) resize: Option<&'a NodeProto>,
    /// Where it ends.
    pub(super) end: End<'a>,
    /// What held before a quantisation that is not undone yet.
    before: Option<Affine>,
    dims: Vec<Option<u64>>,
}

impl<'a> Forward<'a> {
    /// Follows `input` to the first layer.
    pub(super) fn from(graph: &Graph<'a>, input: &'a Value) -> Self {
        let dims: Vec<_> = input.dims.iter().flatten().map(super::Dim::fixed).collect();
        let mut forward = Self {
            affine: Affine::identity(),
            axes: input.dims.as_ref().map(|dims| (0..dims.len()).collect()),
            channel: None,
            nodes: Vec::new(),
            values: Vec::new(),
            resize: None,
            end: End::TooLong,
            before: None,
            dims,
        };
        let mut value = input.name.as_str();
        while forward.nodes.len() < MOST_NODES {
            match forward.step(graph, value) {
                Ok(next) => value = next,
                Err(end) => {
                    forward.end = end;
                    break;
                }
            }
        }
        // Layers that compute with quantised numbers see the scale themselves.
        if let Some(before) = forward.before.take() {
            forward.affine = before;
        }
        forward
    }

    /// Goes one node further, or says why not.
    fn step(&mut self, graph: &Graph<'a>, value: &'a str) -> Result<&'a str, End<'a>> {
        let consumers = graph.consumers(value);
        let node = match consumers[..] {
            [] => return Err(End::Nothing),
            [node] if operator(node) != "Split" => node,
            _ => return self.join(graph, value).ok_or(End::Fork(consumers)),
        };
        let mut next = self.clone();
        let passed = next.pass(graph, node, value).and_then(|()| first_output(node));
        let output = passed.ok_or(End::Node(node))?;
        next.nodes.push(node);
        next.values.push(output);
        *self = next;
        Ok(output)
    }

    /// Follows channels that are taken apart, changed one by one and put together again.
    fn join(&mut self, graph: &Graph<'a>, value: &'a str) -> Option<&'a str> {
        let axes = self.axes.as_mut()?;
        let joined = split::joined(graph, value, axes.len())?;
        let output = first_output(joined.concat)?;
        let mut affine = self.affine.clone();
        let order: Vec<_> = joined.channels.iter().map(|channel| channel.source).collect();
        affine.reorder(&order)?;
        let factor = joined.channels.iter().map(|channel| channel.factor).collect();
        let offset = joined.channels.iter().map(|channel| channel.offset).collect();
        affine.then(&Arithmetic::per_channel(factor, offset, 0))?;
        let channel = axes.remove(joined.from);
        axes.insert(joined.to, channel);
        self.channel = Some(channel);
        self.affine = affine;
        self.nodes.extend(joined.nodes);
        self.values.push(output);
        Some(output)
    }

    /// Takes one node into account; `None` when it is none of preprocessing.
    fn pass(&mut self, graph: &Graph<'a>, node: &'a NodeProto, value: &str) -> Option<()> {
        match operator(node) {
            "Identity" | "Cast" | "CastLike" | "Dropout" | "Clip" | "Pad" => Some(()),
            "Transpose" => self.transpose(node),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
                self.axes = None;
                Some(())
            }
            "Resize" | "Upsample" => {
                self.resize = self.resize.or(Some(node));
                Some(())
            }
            "QuantizeLinear" => {
                let (scale, zero) = quantisation(graph, node)?;
                self.before = Some(self.affine.clone());
                self.affine.then(&Arithmetic::scalar(1.0 / scale, zero))
            }
            "DequantizeLinear" => {
                let (scale, zero) = quantisation(graph, node)?;
                self.before = None;
                self.affine.then(&Arithmetic::scalar(scale, -zero * scale))
            }
            "BatchNormalization" => self.batch_normalisation(graph, node),
            "Gather" | "Slice" => {
                let rank = self.axes.as_ref()?.len();
                let axis = split::reversed_axis(graph, node, rank)?;
                let count = self.channel_count(axis)?;
                self.see_channels(axis, count)?;
                self.affine.reorder(&(0..count).rev().collect::<Vec<_>>())
            }
            _ => {
                let step = Arithmetic::of(graph, node, value)?;
                self.arithmetic(&step)
            }
        }
    }

    fn arithmetic(&mut self, step: &Arithmetic) -> Option<()> {
        if let (Some(from_last), Some(count)) = (step.axis_from_last, step.channels()) {
            if let Some(axes) = &self.axes {
                let axis = (axes.len()).checked_sub(1 + from_last)?;
                self.see_channels(axis, count)?;
            } else if count > MOST_CHANNELS {
                return None;
            }
        }
        self.affine.then(step)
    }

    /// In inference it is one factor and one offset for each channel.
    fn batch_normalisation(&mut self, graph: &Graph<'a>, node: &NodeProto) -> Option<()> {
        let parameter = |index| Some(graph.constant(input(node, index)?)?.values);
        let (scale, bias) = (parameter(1)?, parameter(2)?);
        let (mean, variance) = (parameter(3)?, parameter(4)?);
        let count = scale.len();
        let rank = self.axes.as_ref()?.len();
        if [&bias, &mean, &variance].iter().any(|other| other.len() != count) || rank < 2 {
            return None;
        }
        let epsilon = attribute(node, "epsilon").map_or(1e-5, |epsilon| f64::from(epsilon.f));
        let factor: Vec<_> =
            scale.iter().zip(&variance).map(|(scale, v)| scale / (v + epsilon).sqrt()).collect();
        let offset = (0..count).map(|at| bias[at] - mean[at] * factor[at]).collect();
        self.arithmetic(&Arithmetic::per_channel(factor, offset, rank - 2))
    }

    fn transpose(&mut self, node: &NodeProto) -> Option<()> {
        let Some(axes) = &self.axes else { return Some(()) };
        let order: Vec<usize> = match attribute(node, "perm") {
            Some(perm) => {
                perm.ints.iter().map(|&axis| usize::try_from(axis).ok()).collect::<Option<_>>()?
            }
            None => (0..axes.len()).rev().collect(),
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..axes.len()) {
            return None;
        }
        self.axes = Some(order.iter().map(|&axis| axes[axis]).collect());
        Some(())
    }

    /// Notes that the channels are on `axis`; `None` when that contradicts what is known.
    fn see_channels(&mut self, axis: usize, count: usize) -> Option<()> {
        let source = *self.axes.as_ref()?.get(axis)?;
        let fixed = self.dims.get(source).copied().flatten();
        let fits = count <= MOST_CHANNELS && fixed.is_none_or(|fixed| fixed == count as u64);
        let agrees = self.channel.is_none_or(|channel| channel == source);
        self.channel = Some(source);
        (fits && agrees).then_some(())
    }

    /// Channels on `axis`: what the input says, else the 3 of colours.
    fn channel_count(&self, axis: usize) -> Option<usize> {
        let source = *self.axes.as_ref()?.get(axis)?;
        let fixed = self.dims.get(source).copied().flatten().unwrap_or(3);
        usize::try_from(fixed).ok().filter(|&count| count <= MOST_CHANNELS)
    }
}

/// Scale and zero point of a quantisation with one scale for everything.
fn quantisation(graph: &Graph<'_>, node: &NodeProto) -> Option<(f64, f64)> {
    let scale = graph.constant(input(node, 1)?)?.scalar()?;
    let zero = match input(node, 2) {
        Some(zero) => graph.constant(zero)?.scalar()?,
        None => 0.0,
    };
    Some((scale, zero))
}
