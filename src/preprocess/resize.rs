//! Which resampling a recipe's kernel and interpolation are.

use super::Plan;
use crate::{
    recipe::{Interpolation, Kernel, Recipe},
    resample::{
        Filter, Image, OpenCv, OpenCvFilter, Part, PassOrder, Request, Resampler, TensorFlow,
        TensorFlowFilter, Torch, TorchFilter,
    },
};

/// The resamplers of all libraries, with their buffers.
#[derive(Debug, Default)]
pub(super) struct Resizer {
    pillow: Resampler,
    opencv: OpenCv,
    tensorflow: TensorFlow,
    torch: Torch,
}

impl Resizer {
    /// Writes the plan's crop of the resized image, H×W×C bytes.
    ///
    /// # Panics
    ///
    /// Panics for a kernel whose results lie between bytes, and for a filter that the kernel has
    /// not; a resolved recipe has none.
    pub(super) fn write_bytes(
        &mut self,
        image: &Image<'_>,
        recipe: &Recipe,
        plan: &Plan,
        out: &mut [u8],
    ) {
        let part = Part::new(plan.resized, plan.crop);
        let filter = recipe.interpolation;
        match recipe.kernel {
            Kernel::OpenCv => self.opencv.resize(image, opencv(filter), &part, out),
            Kernel::Torch => self.torch.resize(image, torch(filter), &part, out),
            Kernel::TorchFloatRounded => {
                self.torch.resize_rounded(image, torch(filter), &part, out);
            }
            kernel => {
                let mut request = Request::new(pillow(filter), plan.resized)
                    .with_crop(plan.crop)
                    .with_order(pass_order(kernel));
                if let Some(region) = plan.region {
                    request = request.with_region(region);
                }
                self.pillow.resize(image, &request, out);
            }
        }
    }

    /// Writes the plan's crop of the resized image, H×W×C values from about 0 to 255.
    ///
    /// # Panics
    ///
    /// Panics for a kernel whose results are bytes, and for a filter that the kernel has not.
    pub(super) fn write_floats(
        &mut self,
        image: &Image<'_>,
        recipe: &Recipe,
        plan: &Plan,
        out: &mut [f32],
    ) {
        let part = Part::new(plan.resized, plan.crop);
        let filter = recipe.interpolation;
        match recipe.kernel {
            Kernel::TensorFlow => self.tensorflow.resize(image, tensorflow(filter), &part, out),
            Kernel::TensorFlow1 => {
                self.tensorflow.resize(image, TensorFlowFilter::LegacyBilinear, &part, out);
            }
            Kernel::TorchFloat => self.torch.resize_to_floats(image, torch(filter), &part, out),
            kernel => unreachable!("the kernel {kernel} makes bytes"),
        }
    }
}

fn pillow(interpolation: Interpolation) -> Filter {
    match interpolation {
        Interpolation::Nearest => Filter::Nearest,
        Interpolation::Box => Filter::Box,
        Interpolation::Bilinear => Filter::Bilinear,
        Interpolation::Hamming => Filter::Hamming,
        Interpolation::Bicubic => Filter::Bicubic,
        Interpolation::Lanczos => Filter::Lanczos,
        Interpolation::Area => refused(interpolation),
    }
}

fn opencv(interpolation: Interpolation) -> OpenCvFilter {
    match interpolation {
        Interpolation::Nearest => OpenCvFilter::Nearest,
        Interpolation::Bilinear => OpenCvFilter::Linear,
        Interpolation::Bicubic => OpenCvFilter::Cubic,
        Interpolation::Area => OpenCvFilter::Area,
        _ => refused(interpolation),
    }
}

fn tensorflow(interpolation: Interpolation) -> TensorFlowFilter {
    match interpolation {
        Interpolation::Nearest => TensorFlowFilter::Nearest,
        Interpolation::Bilinear => TensorFlowFilter::Bilinear,
        Interpolation::Bicubic => TensorFlowFilter::Bicubic,
        Interpolation::Area => TensorFlowFilter::Area,
        _ => refused(interpolation),
    }
}

fn torch(interpolation: Interpolation) -> TorchFilter {
    match interpolation {
        Interpolation::Nearest => TorchFilter::NearestExact,
        Interpolation::Bilinear => TorchFilter::Bilinear,
        Interpolation::Bicubic => TorchFilter::Bicubic,
        Interpolation::Lanczos => TorchFilter::Lanczos,
        _ => refused(interpolation),
    }
}

fn refused(interpolation: Interpolation) -> ! {
    unreachable!("`{interpolation}` was refused when the recipe was resolved")
}

fn pass_order(kernel: Kernel) -> PassOrder {
    match kernel {
        Kernel::Pillow12 => PassOrder::Pillow12,
        Kernel::Pillow12_2 => PassOrder::Pillow12_2,
        _ => PassOrder::Pillow13,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    #[test]
    fn every_filter_that_a_kernel_lists_is_there() {
        let size = Size { height: 7, width: 9 };
        let samples: Vec<u8> = (0..63).collect();
        let image = Image::new(&samples, size, 1);
        for kernel in Kernel::WORDS {
            let kernel: Kernel = kernel.parse().unwrap();
            for filter in kernel.filters() {
                let text = format!(
                    "size = '3x4'\nresize = 'squash'\nscale = 1\nkernel = '{kernel}'\n\
                     interpolation = '{filter}'\nlayout = 'nchw'"
                );
                let input = crate::recipe::InputSpec {
                    name: "x".into(),
                    element: crate::recipe::Element::F32,
                    batch: None,
                    dims: [Some(1), None, None],
                    planar: false,
                };
                let recipe = Recipe::resolve(&toml::from_str(&text).unwrap(), &input).unwrap();
                let plan = Plan::new(&recipe, size).unwrap();
                let mean = if kernel.is_fractional() {
                    let mut out = [0.0; 12];
                    Resizer::default().write_floats(&image, &recipe, &plan, &mut out);
                    out.iter().sum::<f32>() / 12.0
                } else {
                    let mut out = [0; 12];
                    Resizer::default().write_bytes(&image, &recipe, &plan, &mut out);
                    out.iter().copied().map(f32::from).sum::<f32>() / 12.0
                };
                // Every filter keeps the mean of a plane, but for the sample it starts at.
                assert!((mean - 31.0).abs() < 12.0, "{kernel} {filter}: {mean}");
            }
        }
    }
}
