//! Pixels to one image of the model's input tensor, as the recipe says. Pure.

use crate::{
    decode::Pixels,
    error::ItemError,
    geometry::Rect,
    recipe::{Channels, Layout, Recipe},
    resample::Image,
};

mod plan;
mod resize;
mod sample;

pub use plan::Plan;
use resize::Resizer;
pub use sample::Sample;

/// A recipe, ready to be applied to many images whose tensor elements are `T`.
#[derive(Debug)]
pub struct Preprocessor<T> {
    recipe: Recipe,
    /// What each byte becomes, per fed channel. A table makes every form of scaling exact, and
    /// is as fast as arithmetic.
    tables: Vec<[T; 256]>,
}

/// Memory that one worker reuses from image to image.
#[derive(Debug, Default)]
pub struct Scratch {
    resizer: Resizer,
    floats: Vec<f32>,
    gray: Pixels,
    part: Pixels,
    resized: Vec<u8>,
}

impl Scratch {
    /// Gives back buffers that hold more than `kept` bytes.
    pub fn trim(&mut self, kept: usize) {
        for buffer in [&mut self.gray.data, &mut self.part.data] {
            if buffer.capacity() > kept {
                *buffer = Vec::new();
            }
        }
    }
}

impl<T: Sample> Preprocessor<T> {
    /// Prepares the tables of `recipe`.
    #[must_use]
    pub fn new(recipe: Recipe) -> Self {
        let table = |channel: usize| {
            std::array::from_fn(|byte| {
                let byte = u8::try_from(byte).expect("an index below 256");
                let scaled = recipe.scale.apply(f32::from(byte));
                // In this order and with a true division, as torchvision and Keras compute it.
                T::from_f32((scaled - recipe.mean[channel]) / recipe.std[channel])
            })
        };
        let tables = (0..recipe.channels.count()).map(table).collect();
        Self { recipe, tables }
    }

    /// The recipe.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Elements of one image: channels × height × width.
    #[must_use]
    pub fn image_len(&self) -> usize {
        self.recipe.size.area() * self.tables.len()
    }

    /// Writes `pixels` into `tensor`: C×H×W or H×W×C elements, as the recipe's layout says.
    ///
    /// # Errors
    ///
    /// `bad_geometry` when nothing may be resized and the image has another size.
    ///
    /// # Panics
    ///
    /// Panics when `tensor` is not [`Preprocessor::image_len`] long.
    pub fn write(
        &self,
        pixels: &Pixels,
        scratch: &mut Scratch,
        tensor: &mut [T],
    ) -> Result<(), ItemError> {
        assert_eq!(tensor.len(), self.image_len(), "the slot of one image");
        let recipe = &self.recipe;
        let Scratch { resizer, floats, gray, part, resized } = scratch;
        let mut source = pixels;
        if recipe.channels == Channels::Gray && pixels.channels == 3 {
            to_gray(pixels, gray);
            source = gray;
        }
        let plan = Plan::new(recipe, source.size)?;
        if plan.cut != Rect::whole(source.size) {
            cut(source, plan.cut, part);
            source = part;
        }
        if plan.crop.size() != recipe.size {
            self.fill(tensor);
        }
        let image = Image::new(&source.data, source.size, source.channels);
        let samples = plan.crop.size().area() * source.channels;
        if recipe.kernel.is_fractional() {
            floats.resize(samples, 0.0);
            resizer.write_floats(&image, recipe, &plan, floats);
            let normalised = |channel: usize, value| {
                let scaled = recipe.scale.apply(value);
                T::from_f32((scaled - recipe.mean[channel]) / recipe.std[channel])
            };
            self.place(floats, &plan, normalised, tensor);
            return Ok(());
        }
        resized.resize(samples, 0);
        resizer.write_bytes(&image, recipe, &plan, resized);
        let looked_up = |channel: usize, byte| self.tables[channel][usize::from(byte)];
        self.place(resized, &plan, looked_up, tensor);
        Ok(())
    }

    /// Every pixel of `tensor` becomes what the recipe's `fill` becomes.
    fn fill(&self, tensor: &mut [T]) {
        let bytes = self.recipe.fill.iter().map(|&byte| usize::from(byte));
        let pixel: Vec<T> =
            self.tables.iter().zip(bytes).map(|(table, byte)| table[byte]).collect();
        match self.recipe.layout {
            Layout::Nchw => {
                let planes = tensor.chunks_exact_mut(self.recipe.size.area());
                planes.zip(&pixel).for_each(|(plane, &element)| plane.fill(element));
            }
            Layout::Nhwc => {
                tensor.chunks_exact_mut(pixel.len()).for_each(|out| out.copy_from_slice(&pixel));
            }
        }
    }

    /// Puts resized samples (H×W×1 or H×W×3) where the plan wants them, each as `convert` makes it
    /// for its fed channel.
    fn place<S: Copy>(
        &self,
        resized: &[S],
        plan: &Plan,
        convert: impl Fn(usize, S) -> T,
        tensor: &mut [T],
    ) {
        let (size, channels) = (self.recipe.size, self.tables.len());
        let Rect { height, width, .. } = plan.crop;
        let stored = resized.len() / plan.crop.size().area();
        for channel in 0..channels {
            let from = match self.recipe.channels {
                Channels::Bgr if stored == 3 => 2 - channel,
                // Gray images fed as colour repeat their one channel.
                _ if stored == 1 => 0,
                _ => channel,
            };
            for row in 0..height {
                let samples = &resized[row * width * stored..][..width * stored];
                let samples = samples.iter().skip(from).step_by(stored);
                let at = (plan.offset.0 + row) * size.width + plan.offset.1;
                match self.recipe.layout {
                    Layout::Nchw => {
                        let start = channel * size.area() + at;
                        let out = &mut tensor[start..start + width];
                        for (element, &sample) in out.iter_mut().zip(samples) {
                            *element = convert(channel, sample);
                        }
                    }
                    Layout::Nhwc => {
                        let out = &mut tensor[at * channels..(at + width) * channels];
                        let out = out.iter_mut().skip(channel).step_by(channels);
                        for (element, &sample) in out.zip(samples) {
                            *element = convert(channel, sample);
                        }
                    }
                }
            }
        }
    }
}

/// Luma as Pillow's `convert("L")` and OpenCV compute it (ITU-R 601 in 16-bit fixed point).
fn to_gray(rgb: &Pixels, gray: &mut Pixels) {
    gray.size = rgb.size;
    gray.channels = 1;
    gray.data.clear();
    let luma = |&[red, green, blue]: &[u8; 3]| {
        let [red, green, blue] = [red, green, blue].map(u32::from);
        ((19_595 * red + 38_470 * green + 7_471 * blue + 0x8000) >> 16).to_le_bytes()[0]
    };
    gray.data.extend(rgb.data.as_chunks::<3>().0.iter().map(luma));
}

fn cut(source: &Pixels, part: Rect, out: &mut Pixels) {
    out.size = part.size();
    out.channels = source.channels;
    out.data.clear();
    let stride = source.size.width * source.channels;
    for row in part.top..part.top + part.height {
        let start = row * stride + part.left * source.channels;
        out.data.extend_from_slice(&source.data[start..start + part.width * source.channels]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use crate::recipe::{Element, InputSpec, RecipeSpec};

    fn preprocessor(dims: [usize; 3], toml: &str) -> Preprocessor<f32> {
        let spec: RecipeSpec = toml::from_str(toml).unwrap();
        let input = InputSpec {
            name: "x".into(),
            element: Element::F32,
            batch: None,
            dims: dims.map(Some),
            planar: false,
        };
        Preprocessor::new(Recipe::resolve(&spec, &input).unwrap())
    }

    #[test]
    fn luma_is_pillows() {
        // Vector D1 of the project's preprocessing research.
        let data = [255, 0, 0, 0, 255, 0, 0, 0, 255, 123, 45, 67, 1, 1, 1, 254, 255, 253].to_vec();
        let mut gray = Pixels::default();
        to_gray(&Pixels { size: Size { height: 2, width: 3 }, channels: 3, data }, &mut gray);
        assert_eq!(gray.data, [76, 150, 29, 71, 1, 254]);
    }

    #[test]
    fn a_crop_larger_than_the_image_is_padded_with_zero_bytes() {
        let padded = preprocessor(
            [1, 2, 5],
            "resize = 'none'\ncrop = 'center'\nscale = 1\nmean = 1\nlayout = 'nchw'",
        );
        let pixels = Pixels { size: Size { height: 1, width: 2 }, channels: 1, data: vec![8, 9] };
        let mut tensor = [7.0; 10];
        padded.write(&pixels, &mut Scratch::default(), &mut tensor).unwrap();
        // torchvision pads (c−s)//2 before and (c−s+1)//2 after: 0 and 1 rows, 1 and 2 columns.
        assert_eq!(tensor, [-1.0, 7.0, 8.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0]);
    }
}
