//! Resizes 8-bit images as the libraries do that models are trained with, and computes only the
//! wanted part.
//!
//! `Resampler` does so bit for bit as Pillow's `Image.resize`. Both passes use 22-bit fixed-point
//! coefficients, and the image between them is again 8 bits wide, rounded and clipped; so the order
//! of the passes can be seen in the result.

mod alpha;
mod axis;
mod filter;
mod nearest;
mod opencv;
mod part;
mod plane;
mod portable;
mod rows;
#[cfg(target_arch = "x86_64")]
mod simd;
#[cfg(target_arch = "x86_64")]
mod sse2;
mod tensorflow;
mod torch;

pub use filter::Filter;
pub use opencv::{OpenCv, OpenCvFilter};
pub use part::Part;
pub use tensorflow::{TensorFlow, TensorFlowFilter};
pub use torch::{Torch, TorchFilter};

use crate::geometry::{Rect, Size};
use axis::{Axis, AxisCache, AxisKey, Weights};
use plane::{Plane, PlaneMut};

/// Which pass comes first when both are needed; it differs between Pillow versions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum PassOrder {
    /// Pillow up to 12.1: always the horizontal pass.
    #[default]
    Pillow12,
    /// Pillow 12.2 and 12.3: the vertical pass if the source is more than 100 times as high as
    /// wide and loses height.
    Pillow12_2,
    /// Pillow 13.0: the vertical pass if the height shrinks by more than twice as many pixels as
    /// the width.
    Pillow13,
}

impl PassOrder {
    /// Whether the vertical pass comes first; a source region plays no part in it.
    fn vertical_first(self, source: Size, target: Size) -> bool {
        let shrinks = target.height < source.height;
        match self {
            Self::Pillow12 => false,
            Self::Pillow12_2 => shrinks && source.height > source.width.saturating_mul(100),
            // h1 - h2 > 2 * (w1 - w2), without going below zero.
            Self::Pillow13 => {
                let grown = source.height.saturating_add(target.width.saturating_mul(2));
                shrinks && grown > target.height.saturating_add(source.width.saturating_mul(2))
            }
        }
    }
}

/// The part of the source that is resized, by its edges in pixels: Pillow's `box`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Region {
    /// Upper edge.
    pub top: f32,
    /// Left edge.
    pub left: f32,
    /// Lower edge.
    pub bottom: f32,
    /// Right edge.
    pub right: f32,
}

/// A borrowed image: H×W×C samples of 8 bits, row after row, channels together.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    samples: &'a [u8],
    size: Size,
    channels: usize,
}

impl<'a> Image<'a> {
    /// Names the shape of `samples`; `channels` is 1, 3 or 4.
    ///
    /// # Panics
    /// If the number of channels is another, if the image has no pixel or a side of 2^24 pixels
    /// or more, or if `samples` has not exactly height × width × channels bytes.
    #[must_use]
    pub fn new(samples: &'a [u8], size: Size, channels: usize) -> Self {
        assert!(matches!(channels, 1 | 3 | 4), "{channels} channels, not 1, 3 or 4");
        assert_sides(size);
        assert_eq!(samples.len(), size.area() * channels, "samples of {size:?} by {channels}");
        Self { samples, size, channels }
    }

    /// Height and width.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Samples of a pixel: 1, 3 or 4.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    fn plane(&self) -> Plane<'a> {
        Plane::new(self.samples, self.size.width * self.channels)
    }
}

/// What is to be made of a source image.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Request {
    filter: Filter,
    target: Size,
    crop: Rect,
    region: Option<Region>,
    order: PassOrder,
    weights: Weights,
}

impl Request {
    /// Asks for all of the source as an image of size `target`.
    ///
    /// # Panics
    /// If the target has no pixel or a side of 2^24 pixels or more.
    #[must_use]
    pub fn new(filter: Filter, target: Size) -> Self {
        assert_sides(target);
        let (order, weights) = (PassOrder::default(), Weights::Pillow);
        Self { filter, target, crop: Rect::whole(target), region: None, order, weights }
    }

    /// Asks for this part of the target only; its samples are those of the whole.
    ///
    /// # Panics
    /// If the part is empty or not inside the target.
    #[must_use]
    pub fn with_crop(self, crop: Rect) -> Self {
        let inside = crop.size().area() > 0 && crop.fits(self.target);
        assert!(inside, "{crop:?} is no part of {:?}", self.target);
        Self { crop, ..self }
    }

    /// Makes the target from this region of the source only.
    #[must_use]
    pub fn with_region(self, region: Region) -> Self {
        Self { region: Some(region), ..self }
    }

    /// Follows another Pillow version.
    #[must_use]
    pub fn with_order(self, order: PassOrder) -> Self {
        Self { order, ..self }
    }

    fn with_weights(self, weights: Weights) -> Self {
        Self { weights, ..self }
    }

    /// The size of the result: that of the crop, or the target.
    #[must_use]
    pub fn output_size(&self) -> Size {
        self.crop.size()
    }
}

/// Resizes images one after the other; keeps its buffers and the coefficients of recent sizes.
#[derive(Debug)]
pub struct Resampler {
    kernels: Kernels,
    axes: AxisCache,
    middle: Vec<u8>,
    columns: Vec<usize>,
    premultiplied: Vec<u8>,
}

impl Default for Resampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Resampler {
    /// A resampler with the fastest kernels that this processor has.
    #[must_use]
    pub fn new() -> Self {
        Self::with_kernels(Kernels::detect())
    }

    /// A resampler that uses only what every processor of this architecture has; the results are
    /// the same.
    #[must_use]
    pub fn baseline() -> Self {
        Self::with_kernels(Kernels::baseline())
    }

    /// A resampler that uses no vector instructions of its own; the results are the same.
    #[must_use]
    pub fn portable() -> Self {
        Self::with_kernels(Kernels::Portable)
    }

    fn with_kernels(kernels: Kernels) -> Self {
        let axes = AxisCache::default();
        let premultiplied = Vec::new();
        Self { kernels, axes, middle: Vec::new(), columns: Vec::new(), premultiplied }
    }

    /// Writes the requested part of the resized image to `out`, H×W×C samples of the crop.
    ///
    /// Four channels are resized independently; Pillow does so for `RGBX` and `CMYK`, but
    /// multiplies `RGBA` by its alpha first: see [`Resampler::resize_rgba`].
    ///
    /// # Panics
    /// If `out` has not the length of the output, or if the region is empty or not inside the
    /// source.
    pub fn resize(&mut self, source: &Image<'_>, request: &Request, out: &mut [u8]) {
        let length = request.crop.size().area() * source.channels;
        assert_eq!(out.len(), length, "bytes of {:?} by {}", request.crop, source.channels);
        let job = Job::new(source, request);
        match (request.filter, source.channels) {
            (Filter::Nearest, _) => nearest::resize(&job, &mut self.columns, out),
            (_, 1) => self.convolve::<1>(&job, out),
            (_, 3) => self.convolve::<3>(&job, out),
            _ => self.convolve::<4>(&job, out),
        }
    }

    /// Like [`Resampler::resize`] for colour with alpha as the fourth channel, as Pillow resizes
    /// `RGBA`: colours count as much as they are opaque.
    ///
    /// # Panics
    /// As [`Resampler::resize`], and if the source has not four channels.
    pub fn resize_rgba(&mut self, source: &Image<'_>, request: &Request, out: &mut [u8]) {
        assert_eq!(source.channels, 4, "channels of an image with alpha");
        let job = Job::new(source, request);
        let same = !job.resizes_rows() && !job.resizes_columns();
        if request.filter == Filter::Nearest || same {
            return self.resize(source, request, out);
        }
        let mut premultiplied = std::mem::take(&mut self.premultiplied);
        alpha::premultiply(source.samples, &mut premultiplied);
        self.resize(&Image { samples: &premultiplied, ..*source }, request, out);
        alpha::unpremultiply(out);
        self.premultiplied = premultiplied;
    }

    fn convolve<const C: usize>(&mut self, job: &Job<'_>, out: &mut [u8]) {
        let Self { kernels, axes, middle, .. } = self;
        let crop = job.request.crop;
        let source = job.source.plane();
        let mut out = PlaneMut::new(out, crop.width * C);
        match (job.resizes_rows(), job.resizes_columns()) {
            (false, false) => copy(source.skip(crop.top, crop.left * C), &mut out),
            (true, false) => {
                let axis = axes.get(&job.row_key());
                let source = source.skip(crop.top, axis.span.start * C);
                kernels.horizontal::<C>(axis, source, &mut out);
            }
            (false, true) => {
                let axis = axes.get(&job.column_key());
                kernels.vertical(axis, source.skip(axis.span.start, crop.left * C), &mut out);
            }
            (true, true) => {
                let (across, down) = axes.get_pair(&job.row_key(), &job.column_key());
                let source = source.skip(down.span.start, across.span.start * C);
                if job.vertical_first() {
                    let stride = across.span.len() * C;
                    let mut between = PlaneMut::new(grown(middle, crop.height * stride), stride);
                    kernels.vertical(down, source, &mut between);
                    let between = Plane::new(&middle[..crop.height * stride], stride);
                    kernels.horizontal::<C>(across, between, &mut out);
                } else {
                    let stride = crop.width * C;
                    let length = down.span.len() * stride;
                    let mut between = PlaneMut::new(grown(middle, length), stride);
                    kernels.horizontal::<C>(across, source, &mut between);
                    kernels.vertical(down, Plane::new(&middle[..length], stride), &mut out);
                }
            }
        }
    }
}

/// Sides below 2^24 are exact as f32, as are the edges of a region then.
fn assert_sides(size: Size) {
    let sides = 1..1 << 24;
    assert!(sides.contains(&size.height) && sides.contains(&size.width), "no image has {size:?}");
}

/// The first `length` bytes of a buffer that never shrinks.
fn grown(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}

fn copy(source: Plane<'_>, target: &mut PlaneMut<'_>) {
    let length = target.row_bytes();
    for row in 0..target.rows() {
        target.row(row).copy_from_slice(&source.row(row)[..length]);
    }
}

/// A checked pair of source and request.
#[derive(Debug)]
struct Job<'a> {
    source: &'a Image<'a>,
    request: &'a Request,
    region: Region,
}

impl<'a> Job<'a> {
    fn new(source: &'a Image<'a>, request: &'a Request) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "sides are below 2^24")]
        let (bottom, right) = (source.size.height as f32, source.size.width as f32);
        let whole = Region { top: 0.0, left: 0.0, bottom, right };
        let region = request.region.unwrap_or(whole);
        let vertical = 0.0 <= region.top && region.top < region.bottom && region.bottom <= bottom;
        let horizontal = 0.0 <= region.left && region.left < region.right && region.right <= right;
        assert!(vertical && horizontal, "{region:?} is no part of {:?}", source.size);
        Self { source, request, region }
    }

    fn row_edges(&self) -> [f32; 2] {
        [self.region.left, self.region.right]
    }

    fn column_edges(&self) -> [f32; 2] {
        [self.region.top, self.region.bottom]
    }

    fn resizes_rows(&self) -> bool {
        changes(self.source.size.width, self.row_edges(), self.request.target.width)
    }

    fn resizes_columns(&self) -> bool {
        changes(self.source.size.height, self.column_edges(), self.request.target.height)
    }

    fn vertical_first(&self) -> bool {
        self.request.order.vertical_first(self.source.size, self.request.target)
    }

    fn row_key(&self) -> AxisKey {
        let crop = self.request.crop;
        AxisKey {
            filter: self.request.filter,
            input: self.source.size.width,
            region: self.row_edges(),
            output: self.request.target.width,
            wanted: crop.left..crop.left + crop.width,
            weights: self.request.weights,
            // One vector load covers 16 gray samples, or 4 pixels of more channels.
            tap_multiple: if self.source.channels == 1 { 16 } else { 4 },
        }
    }

    fn column_key(&self) -> AxisKey {
        let crop = self.request.crop;
        AxisKey {
            filter: self.request.filter,
            input: self.source.size.height,
            region: self.column_edges(),
            output: self.request.target.height,
            wanted: crop.top..crop.top + crop.height,
            weights: self.request.weights,
            tap_multiple: 2,
        }
    }
}

/// Whether an axis needs a pass: Pillow leaves it out only for a whole axis of equal length.
fn changes(input: usize, [begin, end]: [f32; 2], output: usize) -> bool {
    #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "sides are exact as f32")]
    let whole = begin == 0.0 && end == output as f32;
    input != output || !whole
}

/// The implementations of the two passes.
#[derive(Debug)]
enum Kernels {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Vectors(simd::Vectors),
}

impl Kernels {
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = simd::Vectors::avx2() {
            return Self::Vectors(vectors);
        }
        Self::baseline()
    }

    fn baseline() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = simd::Vectors::sse2() {
            return Self::Vectors(vectors);
        }
        Self::Portable
    }

    fn horizontal<const C: usize>(
        &mut self,
        axis: &Axis,
        source: Plane<'_>,
        target: &mut PlaneMut<'_>,
    ) {
        match self {
            Self::Portable => portable::horizontal::<C>(axis, source, target),
            #[cfg(target_arch = "x86_64")]
            Self::Vectors(vectors) => vectors.horizontal::<C>(axis, source, target),
        }
    }

    fn vertical(&self, axis: &Axis, source: Plane<'_>, target: &mut PlaneMut<'_>) {
        match self {
            Self::Portable => portable::vertical(axis, source, target),
            #[cfg(target_arch = "x86_64")]
            Self::Vectors(vectors) => vectors.vertical(axis, source, target),
        }
    }
}
