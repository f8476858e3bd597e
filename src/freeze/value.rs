//! One tensor of the network while it is being built.

/// Sides in the order of Keras, the batch first; `None` is open.
pub(super) type Shape = Vec<Option<usize>>;

/// How a tensor lies in the ONNX graph, against the axes that Keras gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Order {
    /// As in Keras.
    Keras,
    /// N×channels×height×width, where Keras has N×height×width×channels.
    ChannelsFirst,
    /// N×(channels×height×width) in a row, where Keras has them as height×width×channels: what
    /// `Flatten` leaves when nothing is moved. The three sides as Keras has them.
    Flattened([usize; 3]),
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// Its name in the graph.
    pub(super) name: String,
    /// Its sides in Keras.
    pub(super) shape: Shape,
    /// Where they are in the graph.
    pub(super) order: Order,
}

impl Value {
    pub(super) fn new(name: String, shape: Shape) -> Self {
        Self { name, shape, order: Order::Keras }
    }

    pub(super) fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The same place and sides under another name: the result of an elementwise operator.
    pub(super) fn renamed(&self, name: String) -> Self {
        Self { name, ..self.clone() }
    }

    /// The axis of the graph that is Keras's `axis`, which may count from the end.
    ///
    /// # Errors
    ///
    /// When there is no such axis, or it is spread over a flattened tensor.
    pub(super) fn axis(&self, axis: i64) -> Result<usize, String> {
        let axis = self.keras_axis(axis)?;
        match self.order {
            Order::ChannelsFirst => Ok([0, 2, 3, 1][axis]),
            Order::Flattened(_) if axis == 1 => Err("its axis is flattened".to_owned()),
            _ => Ok(axis),
        }
    }

    /// Keras's axis, counted from the start.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(super) fn keras_axis(&self, axis: i64) -> Result<usize, String> {
        let rank = self.rank() as i64;
        let from_start = if axis < 0 { axis + rank } else { axis };
        let found = usize::try_from(from_start).ok().filter(|&axis| axis < self.rank());
        found.ok_or_else(|| format!("it has {rank} axes, and no axis {axis}"))
    }

    /// The number of elements of one image; `None` when a side is open.
    pub(super) fn elements(&self) -> Option<usize> {
        let sides = self.shape.get(1..)?.iter();
        sides.copied().try_fold(1usize, |product, side| product.checked_mul(side?))
    }
}

/// The sides of two shapes of the same rank together: 1 gives way.
pub(super) fn broadcast(a: &Shape, b: &Shape) -> Result<Shape, String> {
    let one = |pair: (&Option<usize>, &Option<usize>)| match pair {
        (Some(1), other) | (other, Some(1)) => Ok(*other),
        (Some(a), Some(b)) if a != b => Err(format!("it combines sides of {a} and {b}")),
        (Some(side), _) | (_, Some(side)) => Ok(Some(*side)),
        (None, None) => Ok(None),
    };
    let batch = std::iter::once(Ok(None));
    batch.chain(a.iter().zip(b).skip(1).map(one)).collect()
}

/// A stack of planes N×channels×height×width, whatever Keras calls its axes.
#[derive(Debug, Clone)]
pub(super) struct Planes {
    pub(super) name: String,
    pub(super) channels: Option<usize>,
    /// Height and width.
    pub(super) sides: [Option<usize>; 2],
    /// Whether Keras has the channels first too.
    pub(super) first: bool,
}

impl Planes {
    /// These planes after an operator that changes their sides alone.
    pub(super) fn with(&self, name: String, sides: [Option<usize>; 2]) -> Self {
        Self { name, sides, ..self.clone() }
    }

    pub(super) fn into_value(self) -> Value {
        let [height, width] = self.sides;
        if self.first {
            return Value::new(self.name, vec![None, self.channels, height, width]);
        }
        let shape = vec![None, height, width, self.channels];
        Value { name: self.name, shape, order: Order::ChannelsFirst }
    }
}
