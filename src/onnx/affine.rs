//! Maps of the form `factor · x + offset`, one for each channel, and channels in another order.

use super::{
    graph::{Graph, input, operator},
    proto::NodeProto,
};

/// Where a channel comes from, and what was done to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Channel {
    /// Its index in what is fed.
    pub(super) source: usize,
    pub(super) factor: f64,
    pub(super) offset: f64,
}

/// What a part of a graph makes of an image, `factor · x + offset` for each channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Affine {
    /// One for all channels, or one for each in the order in which they come out.
    pub(super) channels: Vec<Channel>,
}

/// One arithmetic step: `factor · x + offset`, with one number for all channels or one for each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arithmetic {
    factor: Vec<f64>,
    offset: Vec<f64>,
    /// The axis of the channels, counted from the last one; `None` for one number for all.
    pub(super) axis_from_last: Option<usize>,
}

impl Affine {
    pub(super) fn identity() -> Self {
        Self { channels: vec![Channel { source: 0, factor: 1.0, offset: 0.0 }] }
    }

    /// Appends a step; `None` when it has another number of channels.
    pub(super) fn then(&mut self, step: &Arithmetic) -> Option<()> {
        let count = step.factor.len();
        if count > 1 {
            self.spread(count)?;
        }
        for (at, channel) in self.channels.iter_mut().enumerate() {
            let at = if count == 1 { 0 } else { at };
            channel.factor *= step.factor[at];
            channel.offset = channel.offset * step.factor[at] + step.offset[at];
        }
        Some(())
    }

    /// Takes the channels in another order.
    pub(super) fn reorder(&mut self, order: &[usize]) -> Option<()> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..order.len()) {
            return None;
        }
        self.spread(order.len())?;
        self.channels = order.iter().map(|&from| self.channels[from]).collect();
        Some(())
    }

    /// Makes one entry for each of `count` channels.
    fn spread(&mut self, count: usize) -> Option<()> {
        if let [all] = self.channels[..] {
            self.channels = (0..count).map(|source| Channel { source, ..all }).collect();
        }
        (self.channels.len() == count).then_some(())
    }

    /// Whether the last fed channel comes out first.
    pub(super) fn is_reversed(&self) -> bool {
        let count = self.channels.len();
        let sources = self.channels.iter().map(|channel| channel.source);
        count > 1 && sources.eq((0..count).rev())
    }

    /// The channels in the order in which they are fed.
    pub(super) fn as_fed(&self) -> Vec<Channel> {
        let mut channels = self.channels.clone();
        channels.sort_by_key(|channel| channel.source);
        channels
    }
}

impl Arithmetic {
    /// `factor · x + offset` for all channels.
    pub(super) fn scalar(factor: f64, offset: f64) -> Self {
        Self { factor: vec![factor], offset: vec![offset], axis_from_last: None }
    }

    /// One map for each channel of an axis.
    pub(super) fn per_channel(factor: Vec<f64>, offset: Vec<f64>, axis_from_last: usize) -> Self {
        Self { factor, offset, axis_from_last: Some(axis_from_last) }
    }

    /// How many channels it is made for; `None` for any number.
    pub(super) fn channels(&self) -> Option<usize> {
        self.axis_from_last.map(|_| self.factor.len())
    }

    /// What `node` does to `value`, when it is arithmetic with a constant.
    pub(super) fn of(graph: &Graph<'_>, node: &NodeProto, value: &str) -> Option<Self> {
        let op = operator(node);
        match op {
            "Neg" => return Some(Self::scalar(-1.0, 0.0)),
            "Add" | "Sub" | "Mul" | "Div" => {}
            _ => return None,
        }
        let is_first = input(node, 0)? == value;
        let constant = graph.constant(input(node, usize::from(is_first))?)?;
        let values = constant.values;
        let long: Vec<_> = (0..constant.dims.len()).filter(|&at| constant.dims[at] != 1).collect();
        let axis_from_last = match long[..] {
            [] if values.len() == 1 => None,
            [axis] if values.len() > 1 => Some(constant.dims.len() - 1 - axis),
            _ => return None,
        };
        let all = |number: f64| vec![number; values.len()];
        let each = |number: fn(f64) -> f64| values.iter().map(|&value| number(value)).collect();
        let (factor, offset) = match (op, is_first) {
            ("Add", _) => (all(1.0), values),
            ("Sub", true) => (all(1.0), each(|value| -value)),
            ("Sub", false) => (all(-1.0), values),
            ("Mul", _) => (each(|value| value), all(0.0)),
            ("Div", true) => (each(|value| 1.0 / value), all(0.0)),
            _ => return None,
        };
        Some(Self { factor, offset, axis_from_last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_compose_in_order_and_follow_their_channel() {
        let mut affine = Affine::identity();
        affine.then(&Arithmetic::scalar(0.5, 1.0)).unwrap();
        affine.then(&Arithmetic::per_channel(vec![1.0, 2.0, 4.0], vec![0.0; 3], 2)).unwrap();
        affine.reorder(&[2, 1, 0]).unwrap();
        affine.then(&Arithmetic::per_channel(vec![1.0; 3], vec![10.0, 20.0, 30.0], 2)).unwrap();
        assert!(affine.is_reversed());
        // y = (0.5 x + 1)·k, then the last channel comes first and gets the first offset.
        let fed: Vec<_> = affine.as_fed().iter().map(|c| (c.factor, c.offset)).collect();
        assert_eq!(fed, [(0.5, 31.0), (1.0, 22.0), (2.0, 14.0)]);
    }

    #[test]
    fn another_number_of_channels_or_a_choice_of_them_is_refused() {
        let mut affine = Affine::identity();
        affine.reorder(&[2, 1, 0]).unwrap();
        assert_eq!(affine.reorder(&[0, 1]), None);
        assert_eq!(Affine::identity().reorder(&[0, 0, 2]), None);
        let four = Arithmetic::per_channel(vec![1.0; 4], vec![0.0; 4], 0);
        assert_eq!(affine.then(&four), None);
    }
}
