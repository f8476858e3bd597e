//! Windows that slide over planes: strides, dilations, padding.

use crate::freeze::{graph::Attribute, settings::Settings, value::Planes};

/// A side far larger than any window, for padding that does not depend on the side.
const LARGE: usize = 1 << 40;

/// The settings of a node.
pub(super) type Attributes = Vec<(&'static str, Attribute)>;

/// How a window slides.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) kernel: [usize; 2],
    pub(super) strides: [usize; 2],
    pub(super) dilations: [usize; 2],
    pub(super) padding: Padding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    Valid,
    Same,
}

impl Window {
    /// Reads the settings around a window of `kernel`.
    ///
    /// # Errors
    ///
    /// When a setting is none that Keras has.
    pub(super) fn new(
        settings: Settings,
        kernel: [usize; 2],
        usual_strides: [usize; 2],
    ) -> Result<Self, String> {
        let padding = match settings.text("padding")? {
            Some("same") => Padding::Same,
            Some("valid") | None => Padding::Valid,
            Some(other) => return Err(format!("its `padding` is {other:?}")),
        };
        Ok(Self {
            kernel,
            strides: settings.steps("strides", usual_strides)?,
            dilations: settings.steps("dilation_rate", [1, 1])?,
            padding,
        })
    }

    pub(super) fn is_same(&self) -> bool {
        self.padding == Padding::Same
    }

    /// How far the window reaches along an axis, its gaps included.
    pub(super) fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis].saturating_sub(1)).saturating_mul(self.dilations[axis]).saturating_add(1)
    }

    /// Attributes of the operator, and the sides of what it makes of `planes`.
    ///
    /// Padding is TensorFlow's: `out = ⌈in / stride⌉`, and of what is missing the smaller half comes
    /// before.
    ///
    /// # Errors
    ///
    /// When the window is larger than the planes.
    pub(super) fn over(&self, planes: &Planes) -> Result<(Attributes, [Option<usize>; 2]), String> {
        let list = |pair: [usize; 2]| Attribute::Ints(pair.map(|side| side as i64).to_vec());
        let mut attributes =
            vec![("kernel_shape", list(self.kernel)), ("strides", list(self.strides))];
        if self.dilations != [1, 1] {
            attributes.push(("dilations", list(self.dilations)));
        }
        let mut sides = [None; 2];
        let mut pads = [0i64; 4];
        for axis in 0..2 {
            let (before, after, out) = self.along(axis, planes.sides[axis])?;
            (pads[axis], pads[axis + 2], sides[axis]) = (before as i64, after as i64, out);
        }
        let strided = (0..2).any(|axis| planes.sides[axis].is_none() && self.strides[axis] > 1);
        if self.is_same() && strided {
            // Exactly TensorFlow's rule, evaluated when the size is known.
            attributes.push(("auto_pad", Attribute::Text("SAME_UPPER")));
        } else {
            attributes.push(("pads", Attribute::Ints(pads.to_vec())));
        }
        Ok((attributes, sides))
    }

    /// Padding before and after one axis, and its side afterwards.
    fn along(
        &self,
        axis: usize,
        side: Option<usize>,
    ) -> Result<(usize, usize, Option<usize>), String> {
        let (reach, stride) = (self.reach(axis), self.strides[axis]);
        if !self.is_same() {
            let out = match side {
                Some(side) if side < reach => {
                    return Err(format!(
                        "its window of {reach} is larger than its input of {side}"
                    ));
                }
                Some(side) => Some((side - reach) / stride + 1),
                None => None,
            };
            return Ok((0, 0, out));
        }
        let known = side.unwrap_or(LARGE);
        let out = known.div_ceil(stride);
        let covered = (out.saturating_sub(1)).saturating_mul(stride).saturating_add(reach);
        let missing = covered.saturating_sub(known);
        Ok((missing / 2, missing - missing / 2, side.map(|_| out)))
    }
}
