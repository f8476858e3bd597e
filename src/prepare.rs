//! One image, from its file to its place in a batch: read, decoded, preprocessed, within its time.

use std::{path::Path, time::Duration};

use crate::{
    budget::Budget,
    deadline::Deadline,
    decode::{Decoder, Pixels},
    error::ItemError,
    preprocess::{Preprocessor, Sample, Scratch},
    source::Reader,
    timing::{Stage, Timing},
};

/// How images are prepared; many threads use one.
#[derive(Debug, Clone, Copy)]
pub struct Preparer<'a, T> {
    /// How files are read.
    pub reader: Reader,
    /// Bytes that all files take together while they are decoded.
    pub files: &'a Budget,
    /// Settings of decoding.
    pub decoder: &'a Decoder,
    /// Settings of preprocessing.
    pub preprocessor: &'a Preprocessor<T>,
    /// For all of it together. It is looked at between the stages and where a decoder lets itself be
    /// stopped: a system call or a decoder that hangs for ever is only ended by [`crate::isolate`].
    pub image_timeout: Duration,
}

/// What one thread reuses from image to image.
#[derive(Debug, Default)]
pub struct Buffers {
    bytes: Vec<u8>,
    pixels: Pixels,
    scratch: Scratch,
}

/// Bytes of a buffer that is kept for the next image: a 12-megapixel photo in colour fits.
const KEPT_BYTES: usize = 40 << 20;

/// What each of the four buffers of one of `threads` may keep.
fn kept_bytes(budget: u64, threads: usize) -> usize {
    let share = budget / (4 * threads.max(1) as u64);
    usize::try_from(share).unwrap_or(usize::MAX).min(KEPT_BYTES)
}

/// What `threads` take at most beside the images that they work on: what they keep between two of
/// them, and 64 MiB each for what is read before an image's pixels, and for resampling, whose
/// passes hold rows of the image's height and the model's width.
#[must_use]
pub fn threads_bytes(budget: u64, threads: usize) -> u64 {
    (4 * kept_bytes(budget, threads) as u64 + (64 << 20)) * threads as u64
}

impl Buffers {
    /// Gives back buffers that an unusually large image took. `budget` is the memory for images
    /// being decoded and `threads` how many share it: it counts images being worked on, and what
    /// idle threads keep stays below it, too.
    pub fn trim(&mut self, budget: u64, threads: usize) {
        let kept = kept_bytes(budget, threads);
        let Self { bytes, pixels, scratch } = self;
        for buffer in [bytes, &mut pixels.data] {
            if buffer.capacity() > kept {
                *buffer = Vec::new();
            }
        }
        scratch.trim(kept);
    }
}

impl<T: Sample> Preparer<'_, T> {
    /// Writes the image in the file `path` into `slot`: the elements of one image.
    ///
    /// # Errors
    ///
    /// Every reason why an image has no tensor.
    ///
    /// # Panics
    ///
    /// Panics when `slot` is not [`Preprocessor::image_len`] long.
    pub fn prepare(
        &self,
        path: &Path,
        buffers: &mut Buffers,
        slot: &mut [T],
        timing: &Timing,
    ) -> Result<(), ItemError> {
        let Buffers { bytes, pixels, scratch } = buffers;
        let mut deadline = Deadline::after(self.image_timeout);
        let _file = timing
            .measure(Stage::Read, || self.reader.read(path, &mut deadline, bytes, self.files))?;
        let decoded = timing
            .measure(Stage::Decode, || self.decoder.decode_by(bytes, path, pixels, &mut deadline));
        // Holding the permit: preprocessing still needs the pixels.
        decoded.and_then(|_permit| {
            timing.measure(Stage::Preprocess, || self.preprocessor.write(pixels, scratch, slot))
        })
    }
}
