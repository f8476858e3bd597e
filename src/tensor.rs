//! One image's tensor as a file, and how it differs from the one that somebody else computed.

use std::{
    fmt, fs,
    io::{self, BufReader, BufWriter, Seek as _, Write as _},
    path::Path,
};

use half::f16;
use npyz::WriterBuilder as _;

use crate::{
    decode::{Budget, Decoder, Limits, Pixels, Policy},
    error::{ItemError, RunError},
    output,
    preprocess::{Preprocessor, Sample, Scratch},
    recipe::{Element, InputSpec, Recipe},
    source,
};

mod header;

/// Most elements of a file that is compared: a batch of a hundred large images.
const MAX_ELEMENTS: u64 = 1 << 28;

/// A tensor in f32, row-major, and the element type that it has or had.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Its elements.
    pub values: Vec<f32>,
    /// What its elements are in its file.
    pub element: Element,
}

/// Prepares the images of files and of bytes, one at a time.
pub struct Workbench {
    decoder: Decoder,
    recipe: Recipe,
    scratch: Scratch,
    pixels: Pixels,
}

impl Workbench {
    /// A workbench for `recipe` under `limits`.
    #[must_use]
    pub fn new(recipe: Recipe, limits: Limits) -> Self {
        let Recipe { exif, alpha, deep, .. } = recipe;
        let policy = Policy { exif, alpha, deep };
        let decoder = Decoder { limits, policy, budget: Budget::new(limits.max_bytes) };
        Self { decoder, recipe, scratch: Scratch::default(), pixels: Pixels::default() }
    }

    /// The elements of one image, from the bytes of its file; `path` is for messages.
    ///
    /// # Errors
    ///
    /// Those of decoding and of the recipe's geometry.
    pub fn prepare<T: Sample>(&mut self, bytes: &[u8], path: &Path) -> Result<Vec<T>, ItemError> {
        let preprocessor = Preprocessor::<T>::new(self.recipe.clone());
        let permit = self.decoder.decode(bytes, path, &mut self.pixels)?;
        let mut tensor = vec![T::default(); preprocessor.image_len()];
        preprocessor.write(&self.pixels, &mut self.scratch, &mut tensor)?;
        drop(permit);
        Ok(tensor)
    }
}

impl Tensor {
    /// The exact tensor, a batch of one, that a model with this `input` gets for an image file.
    ///
    /// # Errors
    ///
    /// What is wrong with the image, as in a row.
    pub fn of_image(
        path: &Path,
        recipe: &Recipe,
        input: &InputSpec,
        (limits, max_file_bytes): (Limits, u64),
    ) -> Result<Self, ItemError> {
        let mut bytes = Vec::new();
        source::read_named(path, max_file_bytes, &mut bytes)?;
        let mut bench = Workbench::new(recipe.clone(), limits);
        let values = match recipe.element {
            Element::F32 => bench.prepare::<f32>(&bytes, path)?,
            Element::F16 => {
                bench.prepare::<f16>(&bytes, path)?.into_iter().map(f16::to_f32).collect()
            }
            Element::U8 => bench.prepare::<u8>(&bytes, path)?.into_iter().map(f32::from).collect(),
        };
        let axes = recipe.layout.axes(recipe.channels.count(), recipe.size);
        let axes = if input.planar { &axes[1..] } else { &axes[..] };
        let shape = std::iter::once(1).chain(axes.iter().copied()).collect();
        Ok(Self { shape, values, element: recipe.element })
    }

    /// Writes it as a `.npy` file, with elements of its own type.
    ///
    /// # Errors
    ///
    /// `Output` when the file cannot be written; it appears whole or not at all.
    pub fn write_npy(&self, path: &Path) -> Result<(), RunError> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes).map_err(|error| RunError::Internal(error.to_string()))?;
        output::write_atomically(path, &bytes)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, 0 to 255")]
    fn encode(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let shape: Vec<u64> = self.shape.iter().map(|&dim| dim as u64).collect();
        let mut writer = BufWriter::new(bytes);
        macro_rules! write {
            ($type:ty, $convert:expr) => {{
                let options = npyz::WriteOptions::<$type>::new().default_dtype().shape(&shape);
                let mut npy = options.writer(&mut writer).begin_nd()?;
                npy.extend(self.values.iter().copied().map($convert))?;
                npy.finish()?;
            }};
        }
        match self.element {
            Element::F32 => write!(f32, |value| value),
            Element::F16 => write!(f16, f16::from_f32),
            Element::U8 => write!(u8, |value| value as u8),
        }
        writer.flush()
    }

    /// Reads a `.npy` file of numbers.
    ///
    /// # Errors
    ///
    /// `Usage` when it cannot be read, is no `.npy`, or holds something other than numbers.
    pub fn read_npy(path: &Path) -> Result<Self, RunError> {
        let fail = |reason: String| {
            RunError::Usage(format!(
                "cannot read the tensor {}: {reason}\nhint: write it in Python with \
                 `numpy.save(\"x.npy\", array)`",
                path.display()
            ))
        };
        let mut file = fs::File::open(path).map_err(|error| fail(error.to_string()))?;
        header::look_over(&file).map_err(fail)?;
        file.rewind().map_err(|error| fail(error.to_string()))?;
        let length = file.metadata().map_err(|error| fail(error.to_string()))?.len();
        let npy =
            npyz::NpyFile::new(BufReader::new(file)).map_err(|error| fail(error.to_string()))?;
        // A header may promise more than there is.
        let elements = npy.shape().iter().try_fold(1u64, |product, &dim| product.checked_mul(dim));
        if elements.is_none_or(|elements| elements > MAX_ELEMENTS.min(length)) {
            return Err(fail(format!("its shape, {:?}, is not that of its data", npy.shape())));
        }
        if npy.order() == npyz::Order::Fortran {
            return Err(fail("it is in Fortran order; save `numpy.ascontiguousarray(x)`".into()));
        }
        let shape = npy.shape().iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect();
        let (values, element) = values_of(npy).map_err(fail)?;
        Ok(Self { shape, values, element })
    }
}

/// The elements as f32; f64 is rounded.
#[expect(clippy::cast_possible_truncation, reason = "compared as f32")]
fn values_of(npy: npyz::NpyFile<impl io::Read>) -> Result<(Vec<f32>, Element), String> {
    let text = npy.dtype().descr();
    let kind = text.trim_matches(|c| "'<>|=".contains(c)).to_owned();
    macro_rules! read {
        ($type:ty, $element:expr, $convert:expr) => {
            npy.into_vec::<$type>()
                .map(|values| (values.into_iter().map($convert).collect(), $element))
                .map_err(|error| error.to_string())
        };
    }
    match kind.as_str() {
        "f4" => read!(f32, Element::F32, |value| value),
        "f8" => read!(f64, Element::F32, |value| value as f32),
        "f2" => read!(f16, Element::F16, f16::to_f32),
        "u1" => read!(u8, Element::U8, f32::from),
        "i1" => read!(i8, Element::F32, f32::from),
        "i4" => read!(i32, Element::F32, |value| value as f32),
        "i8" => read!(i64, Element::F32, |value| value as f32),
        _ => Err(format!("its elements are {text}, not numbers")),
    }
}

/// How two tensors differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Elements of each.
    pub elements: usize,
    /// Elements that differ in any bit.
    pub differing: usize,
    /// Largest absolute difference.
    pub max: f32,
    /// Mean absolute difference.
    pub mean: f64,
    /// Where the largest one is: the index along each axis.
    pub at: Vec<usize>,
    /// Both values there.
    pub values: [f32; 2],
    /// What would explain it, as a sentence.
    pub likely: Option<String>,
}

impl Difference {
    /// Compares two tensors; axes of 1 are left out of the comparison of shapes.
    ///
    /// # Errors
    ///
    /// A message when the shapes differ, which says so when one is the other with its channels
    /// first or last.
    pub fn between(a: &Tensor, b: &Tensor) -> Result<Self, String> {
        let long = |t: &Tensor| t.shape.iter().copied().filter(|&dim| dim != 1).collect::<Vec<_>>();
        let (left, right) = (long(a), long(b));
        if left != right {
            let moved = [&left[..], &right[..]].iter().all(|shape| shape.len() == 3)
                && (rotated(&left) == right || rotated(&right) == left);
            let hint = if moved {
                "one has its channels first and the other last: compare `numpy.moveaxis(x, -1, 0)`"
            } else {
                "they are not of the same image and recipe"
            };
            return Err(format!("the shapes are {:?} and {:?}\nhint: {hint}", a.shape, b.shape));
        }
        let pairs = || a.values.iter().copied().zip(b.values.iter().copied());
        // NaN on one side is a difference without bound.
        let gap = |(a, b): (f32, f32)| match (a - b).abs() {
            gap if gap.is_nan() && a.to_bits() != b.to_bits() => f32::INFINITY,
            gap if gap.is_nan() => 0.0,
            gap => gap,
        };
        let largest = pairs().map(gap).enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        let (index, max) = largest.unwrap_or((0, 0.0));
        let elements = a.values.len();
        let total: f64 = pairs().map(gap).map(f64::from).sum();
        let at = |t: &Tensor| t.values.get(index).copied().unwrap_or_default();
        let likely = if max > 0.0 { likely(a, b) } else { None };
        Ok(Self {
            elements,
            differing: pairs().filter(|(a, b)| a.to_bits() != b.to_bits()).count(),
            max,
            mean: total / elements.max(1) as f64,
            at: position(index, &a.shape),
            values: [at(a), at(b)],
            likely,
        })
    }
}

/// A shape with its last axis first.
fn rotated(shape: &[usize]) -> Vec<usize> {
    let mut shape = shape.to_vec();
    shape.rotate_right(1);
    shape
}

fn position(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut at: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&dim| {
            let along = index % dim.max(1);
            index /= dim.max(1);
            along
        })
        .collect();
    at.reverse();
    at
}

/// The mistakes that whole tensors show: another order of channels, or other numbers.
fn likely(a: &Tensor, b: &Tensor) -> Option<String> {
    let close = |a: &[f32], b: &[f32]| {
        let spread = a.iter().fold(0.0f32, |most, value| most.max(value.abs())).max(1e-6);
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-3 * spread)
    };
    if reversed(b).is_some_and(|reversed| close(&a.values, &reversed)) {
        return Some(
            "the channels are in the opposite order: RGB on one side, BGR on the other".into(),
        );
    }
    let (factor, offset, fit) = line(&a.values, &b.values)?;
    if fit >= STRAIGHT {
        let same = (factor - 1.0).abs() < 1e-3 && offset.abs() < 1e-3;
        return (!same).then(|| {
            format!(
                "the second is {}: another `scale`, `mean` or `std`",
                line_text(factor, offset, "the first")
            )
        });
    }
    if let Some(text) = by_channel(&a.values, b, a) {
        return Some(format!("another `mean` or `std` for each channel: the second is {text}"));
    }
    let text = by_channel(&reversed(a)?, b, a)?;
    Some(format!(
        "the channels are in the opposite order, RGB on one side, BGR on the other, and have \
         another `mean` or `std`: the second is {text}"
    ))
}

/// The coefficient of determination from which a line explains a difference.
const STRAIGHT: f64 = 0.9999;

/// What `b` is of `a`, whose values are given apart, when each channel is a line of its own.
fn by_channel(values: &[f32], b: &Tensor, a: &Tensor) -> Option<String> {
    let lines: Option<Vec<_>> = planes(values, &a.shape)?
        .iter()
        .zip(planes(&b.values, &b.shape)?)
        .map(|(a, b)| line(a, &b).filter(|(.., fit)| *fit >= STRAIGHT))
        .collect();
    let text = |(factor, offset, _): (f64, f64, f64)| line_text(factor, offset, "x");
    Some(lines?.into_iter().map(text).collect::<Vec<_>>().join(", "))
}

fn line_text(factor: f64, offset: f64, of: &str) -> String {
    let sign = if offset < 0.0 { "less" } else { "plus" };
    format!("{factor:.6} times {of} {sign} {:.6}", offset.abs())
}

/// The three channels of an image tensor, one after another.
fn planes(values: &[f32], shape: &[usize]) -> Option<Vec<Vec<f32>>> {
    let shape: Vec<usize> = shape.iter().copied().filter(|&dim| dim != 1).collect();
    match shape[..] {
        [3, height, width] => {
            Some(values.chunks_exact(height * width).map(<[f32]>::to_vec).collect())
        }
        [_, _, 3] => {
            let channel = |at: usize| values.iter().skip(at).step_by(3).copied().collect();
            Some((0..3).map(channel).collect())
        }
        _ => None,
    }
}

/// The values with their channels reversed, for an image tensor of three channels.
fn reversed(tensor: &Tensor) -> Option<Vec<f32>> {
    let shape: Vec<usize> = tensor.shape.iter().copied().filter(|&dim| dim != 1).collect();
    match shape[..] {
        [3, height, width] => {
            let planes = tensor.values.chunks_exact(height * width).rev();
            Some(planes.flatten().copied().collect())
        }
        [_, _, 3] => {
            let pixels = tensor.values.chunks_exact(3);
            Some(pixels.flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect())
        }
        _ => None,
    }
}

/// Least squares of `b = factor · a + offset`, and the coefficient of determination.
fn line(a: &[f32], b: &[f32]) -> Option<(f64, f64, f64)> {
    let count = a.len() as f64;
    let mean = |values: &[f32]| values.iter().copied().map(f64::from).sum::<f64>() / count;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut aa, mut ab, mut bb) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a) - mean_a, f64::from(b) - mean_b);
        aa += a * a;
        ab += a * b;
        bb += b * b;
    }
    (aa > 0.0 && bb > 0.0).then(|| {
        let factor = ab / aa;
        (factor, mean_b - factor * mean_a, ab * ab / (aa * bb))
    })
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { elements, differing, max, mean, at, values, likely } = self;
        if *differing == 0 {
            return writeln!(f, "equal in every bit: {elements} elements");
        }
        writeln!(f, "max difference   {max:.6e} at {at:?} ({} and {})", values[0], values[1])?;
        writeln!(f, "mean difference  {mean:.6e}")?;
        let share = 100.0 * *differing as f64 / *elements as f64;
        writeln!(f, "differing        {differing} of {elements} elements ({share:.2} %)")?;
        match likely {
            Some(likely) => writeln!(f, "likely           {likely}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor { shape: shape.to_vec(), values: values.to_vec(), element: Element::F32 }
    }

    #[test]
    fn a_tensor_reads_back_what_it_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        for element in [Element::F32, Element::F16, Element::U8] {
            let written =
                Tensor { element, ..tensor(&[1, 3, 1, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 255.0]) };
            written.write_npy(&path).unwrap();
            assert_eq!(Tensor::read_npy(&path).unwrap(), written);
        }
    }

    #[test]
    fn a_file_that_promises_more_than_it_holds_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        tensor(&[2, 2], &[0.0; 4]).write_npy(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        let at = bytes.windows(4).position(|window| window == b"2, 2").unwrap();
        let mut lying = bytes.clone();
        lying[at..at + 4].copy_from_slice(b"9, 9");
        for content in [lying, bytes[..40].to_vec(), b"no".to_vec()] {
            fs::write(&path, content).unwrap();
            assert!(Tensor::read_npy(&path).is_err());
        }
    }

    #[test]
    fn the_usual_mistakes_are_named() {
        let a =
            tensor(&[1, 2, 2, 3], &[1.0, 2.0, 3.0, 40.0, 50.0, 60.0, 7.0, 8.0, 9.0, 1.0, 5.0, 0.0]);
        let bgr = [3.0, 2.0, 1.0, 60.0, 50.0, 40.0, 9.0, 8.0, 7.0, 0.0, 5.0, 1.0];
        let bgr = tensor(&[2, 2, 3], &bgr);
        let difference = Difference::between(&a, &bgr).unwrap();
        assert!(difference.likely.unwrap().contains("BGR"));
        let scaled: Vec<f32> = a.values.iter().map(|x| x / 127.5 - 1.0).collect();
        let difference = Difference::between(&a, &tensor(&[2, 2, 3], &scaled)).unwrap();
        assert!(difference.likely.unwrap().contains("scale"));
        let own = |at: usize, x: f32| x * [2.0, 3.0, 5.0][at % 3] - [1.0, 20.0, 300.0][at % 3];
        for (order, word) in [([0, 1, 2], "for each channel"), ([2, 1, 0], "opposite order")] {
            let value = |at: usize| own(at, a.values[at / 3 * 3 + order[at % 3]]);
            let other = tensor(&[2, 2, 3], &(0..12).map(value).collect::<Vec<_>>());
            let likely = Difference::between(&a, &other).unwrap().likely.unwrap();
            assert!(likely.contains(word), "{likely}");
            assert!(likely.contains("5.000000 times x less 300.000000"), "{likely}");
        }
        let message = Difference::between(
            &tensor(&[3, 4, 5], &[0.0; 60]),
            &tensor(&[1, 4, 5, 3], &[0.0; 60]),
        );
        assert!(message.unwrap_err().contains("moveaxis"));
    }

    #[test]
    fn the_largest_difference_is_found_and_nan_is_one() {
        let a = tensor(&[2, 2], &[0.0, 1.0, 2.0, 3.0]);
        let b = tensor(&[2, 2], &[0.0, 1.5, 2.0, 3.25]);
        let difference = Difference::between(&a, &b).unwrap();
        assert_eq!(
            (difference.max, &difference.at[..], difference.differing),
            (0.5, &[0, 1][..], 2)
        );
        assert!((difference.mean - 0.1875).abs() < 1e-12);
        let nan = tensor(&[2, 2], &[0.0, f32::NAN, 2.0, 3.0]);
        assert_eq!(Difference::between(&a, &nan).unwrap().max, f32::INFINITY);
        assert_eq!(
            Difference::between(&a, &a).unwrap().to_string(),
            "equal in every bit: 4 elements\n"
        );
    }
}
