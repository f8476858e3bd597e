//! What a model's first layers make of the numbers that it is fed.

use serde_json::Value;

/// One channel as a function of the channel that was fed: `fed · factor + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Channel {
    /// Which of the fed channels.
    pub(super) fed: usize,
    pub(super) factor: f64,
    pub(super) offset: f64,
}

/// An image inside the model, or one channel of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pixels {
    Image(Vec<Channel>),
    Single(Channel),
}

/// What is done with a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Pixels {
    /// As they are fed.
    pub(super) fn fed(channels: usize) -> Self {
        let channel = |fed| Channel { fed, factor: 1.0, offset: 0.0 };
        Self::Image((0..channels).map(channel).collect())
    }

    pub(super) fn channels(&self) -> &[Channel] {
        match self {
            Self::Image(channels) => channels,
            Self::Single(channel) => std::slice::from_ref(channel),
        }
    }

    /// Whether they are still what was fed.
    pub(super) fn is_untouched(&self) -> bool {
        let same = |(at, c): (usize, &Channel)| c.fed == at && c.factor == 1.0 && c.offset == 0.0;
        self.channels().iter().enumerate().all(same)
    }

    /// `x · factor + offset`, with one number for all channels or one for each; `None` when their
    /// numbers do not fit the channels.
    pub(super) fn scaled(&self, factors: &[f64], offsets: &[f64]) -> Option<Self> {
        let pick = |list: &[f64], at: usize| match list {
            [one] => Some(*one),
            more if more.len() == self.channels().len() => Some(more[at]),
            _ => None,
        };
        let one = |(at, channel): (usize, &Channel)| {
            let factor = pick(factors, at)?;
            Some(Channel {
                factor: channel.factor * factor,
                offset: channel.offset * factor + pick(offsets, at)?,
                ..*channel
            })
        };
        let channels = self.channels().iter().enumerate().map(one).collect::<Option<Vec<_>>>()?;
        Some(self.with(channels))
    }

    /// The outcome with a constant, `fed` being on the left or on the right of it.
    pub(super) fn combined(&self, by: Arithmetic, constant: &[f64], left: bool) -> Option<Self> {
        let negative: Vec<f64> = constant.iter().map(|x| -x).collect();
        let inverse: Vec<f64> = constant.iter().map(|x| 1.0 / x).collect();
        match (by, left) {
            (Arithmetic::Add, _) => self.scaled(&[1.0], constant),
            (Arithmetic::Multiply, _) => self.scaled(constant, &[0.0]),
            (Arithmetic::Subtract, true) => self.scaled(&[1.0], &negative),
            (Arithmetic::Subtract, false) => self.scaled(&[-1.0], constant),
            (Arithmetic::Divide, true) => self.scaled(&inverse, &[0.0]),
            (Arithmetic::Divide, false) => None,
        }
    }

    pub(super) fn reversed(&self) -> Self {
        self.with(self.channels().iter().rev().copied().collect())
    }

    pub(super) fn single(&self, at: usize) -> Option<Self> {
        self.channels().get(at).copied().map(Self::Single)
    }

    /// Channels side by side.
    pub(super) fn joined<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        Self::Image(parts.flat_map(Self::channels).copied().collect())
    }

    fn with(&self, channels: Vec<Channel>) -> Self {
        match (self, channels.first()) {
            (Self::Single(_), Some(first)) => Self::Single(*first),
            _ => Self::Image(channels),
        }
    }

    /// The lowest and highest number that bytes become.
    pub(super) fn range_of_bytes(&self) -> (f64, f64) {
        let ends = |c: &Channel| [c.offset, c.factor * 255.0 + c.offset];
        let ends = self.channels().iter().flat_map(ends);
        ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    }

    /// Whether what is computed makes sense for bytes: it shrinks them at least five times, which
    /// would leave little of numbers from 0 to 1, or moves their middle to about zero as Caffe's
    /// means do.
    pub(super) fn expects_bytes(&self) -> bool {
        let channels = self.channels();
        let shrinks = channels.iter().all(|c| c.factor.abs() <= 0.2);
        let centres = |c: &Channel| c.factor == 1.0 && (-160.0..=-60.0).contains(&c.offset);
        shrinks || channels.iter().all(centres)
    }
}

/// The numbers of a constant, flattened; `None` when it is anything else.
pub(super) fn numbers(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::Number(number) => Some(vec![number.as_f64()?]),
        Value::Array(items) => {
            let parts: Option<Vec<_>> = items.iter().map(numbers).collect();
            Some(parts?.concat()).filter(|numbers| !numbers.is_empty())
        }
        _ => None,
    }
}
