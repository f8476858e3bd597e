//! Whether a frozen model answers what it should.

use std::path::{Path, PathBuf};

use crate::{
    classifier,
    config::ModelConfig,
    engine::TensorEngine,
    error::RunError,
    freeze::{Options, Source},
    model::{self, ModelFile},
    onnx::proto::{DimensionValue, GraphProto, TypeValue},
    recipe::Element,
    tensor::Tensor,
};

/// Largest difference that counts as rounding, as a share of the spread of the answers: ten times
/// that of shallow networks.
const TOLERANCE: f64 = 1e-4;

/// How many times the effect of the last bits of the images a difference may be: every layer rounds
/// anew. Networks whose images are not those that they were trained for amplify rounding without
/// bound, and noise is such an image.
const ROUNDINGS: f64 = 32.0;

/// Images of the check without Keras.
const IMAGES: usize = 2;

/// The side of an image whose size the model leaves open.
const USUAL_SIDE: usize = 224;

/// A tensor that was fed to Keras, and its answer, in `.npy` files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// What was fed, in the order of Keras.
    pub input: PathBuf,
    /// What Keras answered.
    pub output: PathBuf,
}

impl std::str::FromStr for Verification {
    type Err = String;

    /// Reads `X.npy=Y.npy`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((input, output)) if !input.is_empty() && !output.is_empty() => {
                Ok(Self { input: input.into(), output: output.into() })
            }
            _ => Err(format!("`{text}` is not X.npy=Y.npy, such as images.npy=scores.npy")),
        }
    }
}

/// Compares what can be compared, and says how.
///
/// # Errors
///
/// `Model` when the model does not run, or answers something else; `Usage` for tensors that cannot
/// be read.
pub(super) fn check(
    config: &ModelConfig,
    (file, opened, shape): (&dyn Source, &ModelFile, Option<Vec<usize>>),
    options: Options,
    verify: &[Verification],
) -> Result<Vec<String>, RunError> {
    let runtime = classifier::load_runtime(config)?;
    let load = |file: &ModelFile| TensorEngine::load(file, &runtime, config.threads);
    let mut engine = load(opened)?;
    let mut checks = Vec::new();
    let own = shape.map(|shape| of_noise(&mut engine, noise(shape), file)).transpose()?;
    for Verification { input, output } in verify {
        let fed = Tensor::read_npy(input)?;
        let fed = if options.channels_first { channels_first(fed) } else { fed };
        let answer = run(&mut engine, &fed, file)?;
        let expected = Tensor::read_npy(output)?;
        let rounding = amplified(&mut engine, (&fed, &answer), file)?;
        let difference = compare(&answer, &expected, rounding).map_err(|reason| {
            RunError::Model(format!(
                "the frozen model does not answer what {} says: {reason}; nothing was written",
                output.display()
            ))
        })?;
        let (program, output) = (file.words().program, output.display());
        checks.push(format!("equals {program}'s own answers in {output}: {difference}"));
    }
    // One network at a time is in memory.
    drop(engine);
    if let Some(own) = own {
        checks.insert(0, against_itself((file, opened), options, own, &load)?);
    }
    if verify.is_empty() {
        checks.push(format!(
            "not compared with {}: give --verify x.npy=y.npy with what it answers",
            file.words().program
        ));
    }
    Ok(checks)
}

/// What was fed, the answer, and the difference that rounding may make.
type Answered = (Tensor, Tensor, f64);

/// What the folded network answers for noise.
fn of_noise(
    engine: &mut TensorEngine,
    fed: Tensor,
    file: &dyn Source,
) -> Result<Answered, RunError> {
    let answer = run(engine, &fed, file)?;
    if answer.values.iter().any(|value| !value.is_finite()) {
        return Err(RunError::Model(format!(
            "the frozen model of {} answers numbers that are not finite; nothing was written",
            file.path().display()
        )));
    }
    let amplified = amplified(engine, (&fed, &answer), file)?;
    Ok((fed, answer, amplified))
}

/// The folded network against one in which every layer stands by itself: shows mistakes of folding,
/// and none in the reading of the layers.
fn against_itself(
    (file, opened): (&dyn Source, &ModelFile),
    options: Options,
    (fed, answer, amplified): Answered,
    load: &dyn Fn(&ModelFile) -> Result<TensorEngine, RunError>,
) -> Result<String, RunError> {
    let folder = opened.onnx().parent().unwrap_or(Path::new("."));
    let plain = unfolded(file, options, folder)?;
    let expected = run(&mut load(&plain)?, &fed, file)?;
    let difference = compare(&answer, &expected, amplified)
        .map_err(|reason| RunError::Internal(format!("folding changed the answers: {reason}")))?;
    Ok(format!(
        "answers {IMAGES} random images as without folding: {difference} (shows mistakes of \
         folding alone)"
    ))
}

/// The model with every layer by itself.
fn unfolded(file: &dyn Source, options: Options, folder: &Path) -> Result<ModelFile, RunError> {
    let frozen = file.freeze(Options { fold: false, ..options });
    ModelFile::with_frozen(file, &frozen.map_err(|error| model::refused(&error))?, folder)
}

/// The difference that rounding may make, measured: that of nudging every number of the images by
/// its last bits.
fn amplified(
    engine: &mut TensorEngine,
    (fed, answer): (&Tensor, &Tensor),
    file: &dyn Source,
) -> Result<f64, RunError> {
    let nudge = |value: &f32| value * (1.0 + 4.0 * f32::EPSILON);
    let values = fed.values.iter().map(nudge).collect();
    let nudged = run(engine, &Tensor { values, ..fed.clone() }, file)?;
    Ok(ROUNDINGS * largest_gap(answer, &nudged))
}

/// Two images of the first input.
pub(super) fn input_shape(graph: &GraphProto) -> Option<Vec<usize>> {
    let TypeValue::Tensor(tensor) = graph.input.first()?.r#type.as_ref()?.value.as_ref()? else {
        return None;
    };
    let side = |value: &Option<DimensionValue>| match value {
        Some(DimensionValue::Fixed(side)) => usize::try_from(*side).unwrap_or(USUAL_SIDE),
        _ => USUAL_SIDE,
    };
    let dims = tensor.shape.as_ref()?.dim.iter().skip(1).map(|dim| side(&dim.value));
    Some(std::iter::once(IMAGES).chain(dims).collect())
}

/// The first output.
fn run(engine: &mut TensorEngine, fed: &Tensor, file: &dyn Source) -> Result<Tensor, RunError> {
    let first = |answers: Vec<(String, Tensor)>| {
        answers.into_iter().next().map(|(_, answer)| answer).ok_or("it has no output".to_owned())
    };
    engine.answers(fed).and_then(first).map_err(|reason| {
        RunError::Model(format!(
            "the frozen model of {} does not run: {reason}; nothing was written",
            file.path().display()
        ))
    })
}

/// How much two answers differ, in words. `amplified` is what counts as rounding at least.
///
/// # Errors
///
/// When that is more than rounding, or an answer is no number.
fn compare(found: &Tensor, expected: &Tensor, amplified: f64) -> Result<String, String> {
    if found.values.len() != expected.values.len() {
        return Err(format!("it answers {:?}, not {:?}", found.shape, expected.shape));
    }
    let largest = largest_gap(found, expected);
    let spread = spread(&expected.values);
    let size = expected.values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    let last_bits = 4.0 * f64::from(f32::EPSILON) * f64::from(size);
    let most = (TOLERANCE * spread).max(amplified).max(last_bits);
    if !largest.is_finite() || largest > most {
        return Err(format!("it differs by {largest:.1e}, and the answers spread by {spread:.1e}"));
    }
    let classes = expected.shape.last().copied().unwrap_or(1).max(1);
    let best = |values: &[f32]| (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b]));
    let rows = found.values.chunks(classes).zip(expected.values.chunks(classes));
    let (all, same) =
        rows.fold((0, 0), |(all, same), (a, b)| (all + 1, same + usize::from(best(a) == best(b))));
    Ok(format!(
        "largest difference {largest:.1e} of a spread of {spread:.1e}, best class equal for {same} of {all}"
    ))
}

/// The largest difference; infinite where one is no number.
fn largest_gap(a: &Tensor, b: &Tensor) -> f64 {
    let gap = |(a, b): (&f32, &f32)| {
        if (a - b).is_nan() { f64::INFINITY } else { f64::from((a - b).abs()) }
    };
    a.values.iter().zip(&b.values).map(gap).fold(0.0, f64::max)
}

/// Standard deviation.
fn spread(values: &[f32]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let squares = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>();
    (squares / count).sqrt()
}

/// Repeatable numbers between −1 and 1 (xorshift).
fn noise(shape: Vec<usize>) -> Tensor {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let values = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor { shape, values, element: Element::F32 }
}

/// N×H×W×C to N×C×H×W.
fn channels_first(tensor: Tensor) -> Tensor {
    let [images, height, width, channels] = tensor.shape[..] else { return tensor };
    let mut values = Vec::with_capacity(tensor.values.len());
    let image = height * width * channels;
    for image in tensor.values.chunks_exact(image.max(1)).take(images) {
        for channel in 0..channels {
            values.extend(image.iter().skip(channel).step_by(channels));
        }
    }
    Tensor { shape: vec![images, channels, height, width], values, ..tensor }
}
