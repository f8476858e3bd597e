//! What is wanted of a resized image: its size, and which part of it.

use super::{Image, assert_sides};
use crate::geometry::{Rect, Size};

/// A part of a resized image; its samples are those of the whole.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Part {
    pub(super) target: Size,
    pub(super) crop: Rect,
}

impl Part {
    /// The part `crop` of an image that is resized to `target`.
    ///
    /// # Panics
    /// If the target has no pixel or a side of 2^24 pixels or more, or if the part is empty or not
    /// inside the target.
    #[must_use]
    pub fn new(target: Size, crop: Rect) -> Self {
        assert_sides(target);
        let inside = crop.size().area() > 0 && crop.fits(target);
        assert!(inside, "{crop:?} is no part of {target:?}");
        Self { target, crop }
    }

    /// All of an image that is resized to `target`.
    ///
    /// # Panics
    /// If the target has no pixel or a side of 2^24 pixels or more.
    #[must_use]
    pub fn whole(target: Size) -> Self {
        Self::new(target, Rect::whole(target))
    }

    /// Height and width of the result.
    #[must_use]
    pub fn output_size(&self) -> Size {
        self.crop.size()
    }

    /// Panics unless `length` samples hold the result of resizing `source`.
    pub(super) fn assert_length(&self, source: &Image<'_>, length: usize) {
        let needed = self.crop.size().area() * source.channels;
        assert_eq!(length, needed, "samples of {:?} by {}", self.crop, source.channels);
    }

    /// The columns of the target.
    pub(super) fn across(&self, source: &Image<'_>) -> Line {
        let wanted = self.crop.left..self.crop.left + self.crop.width;
        Line { input: source.size.width, output: self.target.width, wanted }
    }

    /// The rows of the target.
    pub(super) fn down(&self, source: &Image<'_>) -> Line {
        let wanted = self.crop.top..self.crop.top + self.crop.height;
        Line { input: source.size.height, output: self.target.height, wanted }
    }
}

/// One axis of a part.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Line {
    /// Input samples.
    pub(super) input: usize,
    /// Output samples of the whole.
    pub(super) output: usize,
    /// The output samples that are wanted.
    pub(super) wanted: std::ops::Range<usize>,
}

impl Line {
    /// The position `index` as an input position; those outside are the nearest one inside.
    pub(super) fn clamp(&self, index: isize) -> usize {
        let last = self.input - 1;
        usize::try_from(index).map_or(0, |index| index.min(last))
    }
}
