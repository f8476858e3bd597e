//! Whether a graph scales its image itself.

use serde::Serialize;

use super::{
    OnnxFile, Value,
    affine::Channel,
    forward::{End, Forward},
    graph::node_text,
    shown,
};

/// What a graph does to its image before the first layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NormaliserKind {
    /// Nothing: the image has to come as the first layer wants it.
    None,
    /// It takes 0 to 255, and makes about −1 to 1, 0 to 1 or ImageNet's range of it, or subtracts a
    /// mean colour.
    Bytes,
    /// It takes 0 to 1, and makes −1 to 1, ImageNet's range or 0 to 255 of it.
    Unit,
    /// It takes numbers scaled by ImageNet's mean and standard deviation, and makes about −1 to 1
    /// of them: torchvision's `transform_input` of its Inception v3.
    TransformInput,
    /// It only reverses the channels.
    ChannelReversal,
    /// Something else; see factors and offsets.
    Other,
}

/// What a graph does to its image before the first layer: `factor · x + offset`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Normaliser {
    /// What that amounts to.
    pub kind: NormaliserKind,
    /// One for all channels, or one for each in the order in which they are fed.
    pub factor: Vec<f64>,
    /// As many as there are factors.
    pub offset: Vec<f64>,
    /// Whether the channels are reversed on the way: what is fed last is used first.
    pub reversed: bool,
    /// What was seen, in one sentence.
    pub evidence: String,
}

impl OnnxFile {
    /// Follows `input` to the first layer, and says what happens to its numbers on the way.
    #[must_use]
    pub fn normaliser(&self, input: &Value) -> Normaliser {
        let graph = self.index();
        let forward = Forward::from(&graph, input);
        let channels = forward.affine.as_fed();
        let reversed = forward.affine.is_reversed();
        let kind = classify(&channels, reversed);
        let same = channels.iter().all(|channel| Channel { source: 0, ..*channel } == channels[0]);
        let shown_channels = if same { &channels[..1] } else { &channels[..] };
        Normaliser {
            kind,
            evidence: evidence(&input.name, &forward, shown_channels),
            factor: shown_channels.iter().map(|channel| channel.factor).collect(),
            offset: shown_channels.iter().map(|channel| channel.offset).collect(),
            reversed,
        }
    }
}

fn classify(channels: &[Channel], reversed: bool) -> NormaliserKind {
    let every = |fits: fn(f64, f64) -> bool| channels.iter().all(|c| fits(c.factor, c.offset));
    if every(|factor, offset| near(factor, 1.0, 1e-6) && near(offset, 0.0, 1e-6)) {
        return if reversed { NormaliserKind::ChannelReversal } else { NormaliserKind::None };
    }
    if is_transform_input(channels) {
        NormaliserKind::TransformInput
    } else if every(takes_bytes) {
        NormaliserKind::Bytes
    } else if every(takes_unit) {
        NormaliserKind::Unit
    } else {
        NormaliserKind::Other
    }
}

fn near(value: f64, wanted: f64, tolerance: f64) -> bool {
    (value - wanted).abs() <= tolerance
}

/// Whether numbers from `low` to `high` are what networks are trained with. ImageNet's mean and
/// standard deviation make −2.12 to 2.64 of 0 to 1.
fn is_network_range(low: f64, high: f64) -> bool {
    (-4.0..=0.5).contains(&low) && (0.4..=4.0).contains(&high)
}

fn takes_bytes(factor: f64, offset: f64) -> bool {
    let scaled = factor <= 1.0 / 50.0 && is_network_range(offset, 255.0 * factor + offset);
    // Caffe's mean colours are 104, 117 and 123; 127.5 is the middle.
    let mean = near(factor, 1.0, 1e-6) && (-140.0..=-80.0).contains(&offset);
    scaled || mean
}

fn takes_unit(factor: f64, offset: f64) -> bool {
    let scaled = factor > 1.25 && is_network_range(offset, factor + offset);
    let to_bytes = near(factor, 255.0, 1.0) && (-140.0..=1.0).contains(&offset);
    scaled || to_bytes
}

/// torchvision: `x · std/0.5 + (mean − 0.5)/0.5` with ImageNet's mean and standard deviation.
fn is_transform_input(channels: &[Channel]) -> bool {
    let wanted = [(0.458, -0.030), (0.448, -0.088), (0.450, -0.188)];
    channels.len() == wanted.len()
        && channels.iter().zip(wanted).all(|(channel, (factor, offset))| {
            near(channel.factor, factor, 0.002) && near(channel.offset, offset, 0.002)
        })
}

fn evidence(input: &str, forward: &Forward<'_>, channels: &[Channel]) -> String {
    let end = match &forward.end {
        End::Node(node) => format!("up to {}", node_text(node)),
        End::Fork(nodes) => {
            let texts: Vec<_> = nodes.iter().take(4).map(|node| node_text(node)).collect();
            format!("up to where {} nodes read it ({})", nodes.len(), texts.join(", "))
        }
        End::Nothing => "and is then read by nothing".to_owned(),
        End::TooLong => "and was followed no further".to_owned(),
    };
    let mut ops: Vec<_> = forward.nodes.iter().take(16).map(|node| shown(&node.op_type)).collect();
    ops.dedup();
    let way = if ops.is_empty() {
        "through no other node".to_owned()
    } else {
        format!("through {}", ops.join(", "))
    };
    let number = |x: f64| format!("{x:+.5}").trim_end_matches('0').trim_end_matches('.').to_owned();
    let list = |pick: fn(&Channel) -> f64| {
        let numbers: Vec<_> = channels.iter().map(|channel| number(pick(channel))).collect();
        numbers.join("/")
    };
    let identity = channels.iter().all(|c| near(c.factor, 1.0, 1e-6) && near(c.offset, 0.0, 1e-6));
    let unmoved = channels.iter().all(|channel| near(channel.offset, 0.0, 1e-6));
    let map = match (identity, forward.affine.is_reversed()) {
        (true, false) => "and its numbers stay as they are".to_owned(),
        (true, true) => "and only its channels are reversed".to_owned(),
        (false, reversed) => format!(
            "and x becomes x · {}{}{}",
            list(|channel| channel.factor).replace('+', ""),
            if unmoved { String::new() } else { format!(" {}", list(|channel| channel.offset)) },
            if reversed { ", with the channels reversed" } else { "" }
        ),
    };
    format!("`{}` goes {way} {end}, {map}", shown(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composed_maps_are_told_apart() {
        let rgb = |maps: [(f64, f64); 3]| {
            maps.iter()
                .enumerate()
                .map(|(source, &(factor, offset))| Channel { source, factor, offset })
                .collect::<Vec<_>>()
        };
        let all = |factor, offset| rgb([(factor, offset); 3]);
        let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let imagenet =
            |scale: f64| rgb([0, 1, 2].map(|c| (1.0 / (scale * std[c]), -mean[c] / std[c])));
        for (channels, expected) in [
            (all(1.0, 0.0), NormaliserKind::None),
            (all(1.0 / 255.0, 0.0), NormaliserKind::Bytes),
            (all(1.0 / 127.5, -1.0), NormaliserKind::Bytes),
            (all(1.0 / 128.0, -127.0 / 128.0), NormaliserKind::Bytes),
            (imagenet(255.0), NormaliserKind::Bytes),
            (rgb([(1.0, -103.939), (1.0, -116.779), (1.0, -123.68)]), NormaliserKind::Bytes),
            (all(2.0, -1.0), NormaliserKind::Unit),
            (imagenet(1.0), NormaliserKind::Unit),
            (all(255.0, 0.0), NormaliserKind::Unit),
            (
                rgb([0, 1, 2].map(|c| (std[c] / 0.5, (mean[c] - 0.5) / 0.5))),
                NormaliserKind::TransformInput,
            ),
            (all(127.5, 127.5), NormaliserKind::Other),
            (all(1.0, -0.5), NormaliserKind::Other),
            (all(f64::NAN, 0.0), NormaliserKind::Other),
        ] {
            assert_eq!(classify(&channels, false), expected, "{channels:?}");
        }
        assert_eq!(classify(&all(1.0, 0.0), true), NormaliserKind::ChannelReversal);
    }
}
