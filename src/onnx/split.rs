//! Channels taken one by one: reversed, or changed apart and put together again, as torchvision's
//! `transform_input` and Keras' `preprocess_input` are exported.

use super::{
    affine::{Affine, Arithmetic, Channel},
    forward::MOST_CHANNELS,
    graph::{Graph, first_output, input, int, operator},
    proto::NodeProto,
};

/// Nodes that change one channel.
const MOST_NODES: usize = 16;

/// An end of a slice that means as far as there is something.
const FAR: i64 = i32::MAX as i64;

/// Channels that were apart and are together again.
pub(super) struct Joined<'a> {
    /// The axis on which they were taken apart.
    pub(super) from: usize,
    /// The axis on which they are now.
    pub(super) to: usize,
    /// Each channel in its new order.
    pub(super) channels: Vec<Channel>,
    /// The node that puts them together.
    pub(super) concat: &'a NodeProto,
    /// All nodes, the last one included.
    pub(super) nodes: Vec<&'a NodeProto>,
}

/// One channel, taken from `axis`.
struct Taken<'a> {
    axis: usize,
    source: usize,
    value: &'a str,
}

/// Follows `value`, which has `rank` axes, when every node that reads it takes single channels, and
/// all of these end in one `Concat`.
pub(super) fn joined<'a>(graph: &Graph<'a>, value: &str, rank: usize) -> Option<Joined<'a>> {
    let readers = graph.consumers(value);
    let mut taken = Vec::new();
    for &reader in readers.iter().take(MOST_CHANNELS + 1) {
        taken.extend(taken_by(graph, reader, rank)?);
    }
    let from = taken.first()?.axis;
    let one_axis = taken.iter().all(|channel| channel.axis == from);
    if !one_axis || taken.len() < 2 || taken.len() > MOST_CHANNELS || readers.len() > taken.len() {
        return None;
    }
    let mut nodes = readers;
    let mut ends: Vec<(&str, Channel)> = Vec::new();
    let mut concat: Option<&NodeProto> = None;
    for channel in &taken {
        let (end, name, affine) = follow(graph, channel.value, &mut nodes)?;
        if concat.is_some_and(|concat| !std::ptr::eq(concat, end)) {
            return None;
        }
        concat = Some(end);
        ends.push((name, Channel { source: channel.source, ..affine.channels[0] }));
    }
    let concat = concat?;
    nodes.push(concat);
    let place = |name: &String| ends.iter().find(|(end, _)| *end == name).map(|(_, c)| *c);
    let channels = concat.input.iter().map(place).collect::<Option<Vec<_>>>()?;
    let to = axis_of(int(concat, "axis", 1), rank)?;
    Some(Joined { from, to, channels, concat, nodes })
}

/// The single channels that a node takes.
fn taken_by<'a>(graph: &Graph<'a>, node: &'a NodeProto, rank: usize) -> Option<Vec<Taken<'a>>> {
    let one = |axis, source| Some(vec![Taken { axis, source, value: first_output(node)? }]);
    match operator(node) {
        "Gather" => {
            let indices = graph.constant(input(node, 1)?)?.ints();
            let [source] = indices[..] else { return None };
            one(axis_of(int(node, "axis", 0), rank)?, usize::try_from(source).ok()?)
        }
        "Slice" => {
            let cut = only_cut(graph, node, rank)?;
            let is_one = cut.step == 1 && cut.end == cut.start + 1;
            if is_one { one(cut.axis, usize::try_from(cut.start).ok()?) } else { None }
        }
        "Split" => {
            let axis = axis_of(int(node, "axis", 0), rank)?;
            let sizes = graph.ints(node, 1, "split").unwrap_or_default();
            let single = sizes.iter().all(|&size| size == 1);
            let parts = node.output.iter().enumerate();
            let parts = parts.map(|(source, value)| Taken { axis, source, value });
            single.then(|| parts.collect())
        }
        _ => None,
    }
}

/// Follows one channel to the `Concat` that ends it: that node, the name it knows the channel by,
/// and what was done to it.
fn follow<'a>(
    graph: &Graph<'a>,
    start: &'a str,
    nodes: &mut Vec<&'a NodeProto>,
) -> Option<(&'a NodeProto, &'a str, Affine)> {
    let mut affine = Affine::identity();
    let mut value = start;
    for _ in 0..MOST_NODES {
        let [node] = graph.consumers(value)[..] else { return None };
        match operator(node) {
            "Concat" => return Some((node, value, affine)),
            "Identity" | "Cast" | "Squeeze" | "Unsqueeze" | "Reshape" => {}
            _ => {
                let step = Arithmetic::of(graph, node, value)?;
                if step.axis_from_last.is_some() {
                    return None;
                }
                affine.then(&step)?;
            }
        }
        nodes.push(node);
        value = first_output(node)?;
    }
    None
}

/// The axis that a node reverses, when that is all it does.
pub(super) fn reversed_axis(graph: &Graph<'_>, node: &NodeProto, rank: usize) -> Option<usize> {
    if operator(node) == "Gather" {
        let indices = graph.constant(input(node, 1)?)?.ints();
        let count = i64::try_from(indices.len()).ok()?;
        let reversed = indices.iter().copied().eq((0..count).rev());
        return if count > 1 && reversed { axis_of(int(node, "axis", 0), rank) } else { None };
    }
    let cut = only_cut(graph, node, rank)?;
    let whole = (cut.start == -1 || cut.start >= 2) && cut.end < -2;
    (cut.step == -1 && whole).then_some(cut.axis)
}

/// One axis of a slice.
struct Cut {
    axis: usize,
    start: i64,
    end: i64,
    step: i64,
}

/// The only axis on which a slice does not take everything.
fn only_cut(graph: &Graph<'_>, node: &NodeProto, rank: usize) -> Option<Cut> {
    let starts = graph.ints(node, 1, "starts")?;
    let ends = graph.ints(node, 2, "ends")?;
    let count = i64::try_from(starts.len()).ok()?;
    let axes = graph.ints(node, 3, "axes").unwrap_or_else(|| (0..count).collect());
    let steps = graph.ints(node, 4, "steps").unwrap_or_else(|| vec![1; starts.len()]);
    if [&ends, &axes, &steps].iter().any(|other| other.len() != starts.len()) {
        return None;
    }
    let mut cuts = (0..starts.len()).filter(|&at| {
        let whole = starts[at] == 0 && ends[at] >= FAR && steps[at] == 1;
        !whole
    });
    let (Some(at), None) = (cuts.next(), cuts.next()) else { return None };
    Some(Cut { axis: axis_of(axes[at], rank)?, start: starts[at], end: ends[at], step: steps[at] })
}

/// An axis counted from the first one.
fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis + rank } else { axis };
    usize::try_from(axis).ok().filter(|_| axis < rank)
}
