//! Tensors to scores. One engine owns one session and is used by one thread.

use std::{
    iter,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use half::f16;
use ort::{
    session::{NoSelectedOutputs, RunOptions, Session},
    value::{DynValue, PrimitiveTensorElementType, TensorElementType, TensorRef},
};

use crate::{
    error::RunError,
    model::{self, ModelFile},
    preprocess::Sample,
    recipe::{Element, InputSpec, Recipe},
    runtime::Runtime,
    tensor::Tensor,
};

/// For a model's first answer. The slowest machine and the largest classifier take a minute; one
/// that loops for ever should not take the night.
const FIRST_ANSWER: Duration = Duration::from_mins(10);

/// An element type that ONNX Runtime takes.
pub trait Feed: Sample + PrimitiveTensorElementType + std::fmt::Debug {}

impl<T: Sample + PrimitiveTensorElementType + std::fmt::Debug> Feed for T {}

/// What turns a batch into scores.
pub trait Engine<T>: Send {
    /// Scores the first `images` images of `tensor`, which holds whole images one after the other,
    /// and leaves `images`×classes scores in `scores`, row-major.
    ///
    /// # Errors
    ///
    /// A message when the runtime fails or its answer is not `images`×classes.
    fn score(&mut self, tensor: &[T], images: usize, scores: &mut Vec<f32>) -> Result<(), String>;
}

/// An engine on ONNX Runtime.
pub struct OrtEngine {
    session: Session,
    output: String,
    /// The axes after the batch: three, or height and width alone.
    axes: Vec<usize>,
    /// Images per call when the graph fixes it; fewer are padded to it.
    fixed_batch: Option<usize>,
    /// What the first answer had; every other must have as many.
    classes: Option<usize>,
}

impl OrtEngine {
    /// Takes a session whose `output` is read.
    #[must_use]
    pub fn new(session: Session, recipe: &Recipe, input: &InputSpec, output: &str) -> Self {
        let axes = axes(recipe, input);
        let fixed_batch = input.batch;
        Self { session, output: output.to_owned(), axes, fixed_batch, classes: None }
    }

    /// Takes images of another recipe from now on.
    pub fn follow(&mut self, recipe: &Recipe, input: &InputSpec) {
        self.axes = axes(recipe, input);
        self.classes = None;
    }

    /// Runs `images` blank images and returns the number of classes that the model answers: what
    /// the graph says of its shapes is not always true.
    ///
    /// # Errors
    ///
    /// `Model` when the model cannot run such a batch, or its answer is not `images`×classes.
    pub fn probe<T: Feed>(&mut self, images: usize) -> Result<usize, RunError> {
        self.probe_within::<T>(images, FIRST_ANSWER)
    }

    /// As [`OrtEngine::probe`], for a model that has to answer within `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`OrtEngine::probe`], also when it does not answer.
    pub fn probe_within<T: Feed>(
        &mut self,
        images: usize,
        limit: Duration,
    ) -> Result<usize, RunError> {
        let batch = self.fixed_batch.unwrap_or(images);
        let tensor = vec![T::default(); batch * self.axes.iter().product::<usize>()];
        let mut scores = Vec::new();
        let options = RunOptions::new().map_err(|error| RunError::Model(error.to_string()))?;
        let outcome = thread::scope(|scope| {
            let (done, wait) = channel::<()>();
            let options = &options;
            let watch = scope.spawn(move || {
                let late = wait.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
                // A kernel that runs cannot be ended, only what would run after it.
                late && options.terminate().is_ok()
            });
            let outcome = self.run(&tensor, images, &mut scores, options);
            drop(done);
            let late = watch.join().expect("the watch does not panic");
            let limit = humantime::format_duration(limit);
            outcome.map_err(|reason| {
                if late { format!("it has not answered after {limit}") } else { reason }
            })
        });
        self.classes = outcome.as_ref().ok().copied();
        outcome.map_err(|reason| {
            RunError::Model(format!(
                "the model does not run on a batch of {images} blank images: {reason}\nhint: it \
                 may have been exported for another batch size or image size; try `batch-size = 1`"
            ))
        })
    }

    /// The session, for another engine.
    #[must_use]
    pub fn into_session(self) -> Session {
        self.session
    }

    fn run<T: Feed>(
        &mut self,
        tensor: &[T],
        images: usize,
        scores: &mut Vec<f32>,
        options: &RunOptions<NoSelectedOutputs>,
    ) -> Result<usize, String> {
        let image_len: usize = self.axes.iter().product();
        let batch = self.fixed_batch.unwrap_or(images);
        assert!(images <= batch && tensor.len() >= batch * image_len, "a batch of whole images");
        let shape: Vec<usize> = iter::once(batch).chain(self.axes.iter().copied()).collect();
        let input = TensorRef::from_array_view((shape, &tensor[..batch * image_len]))
            .map_err(|error| error.to_string())?;
        let outputs = self
            .session
            .run_with_options(ort::inputs![input], options)
            .map_err(|error| error.to_string())?;
        let output = outputs.get(&self.output).ok_or("its output is missing from its answer")?;
        let dims = read_scores(output, scores)?;
        let classes = scores.len().checked_div(batch).unwrap_or(0);
        // N×C, with any further dimension being 1; a single image may come without N.
        let rows = dims.first() == Some(&(batch as i64));
        let single = batch == 1 && dims.len() == 1;
        let long = dims.iter().skip(1).filter(|&&dim| dim != 1).count();
        if classes == 0 || !(single || (rows && long <= 1 && dims.len() > 1)) {
            let dims: Vec<_> = dims.iter().map(i64::to_string).collect();
            return Err(format!(
                "its output `{}` is {}, and a classifier's is {batch}×classes",
                self.output,
                dims.join("×")
            ));
        }
        scores.truncate(images * classes);
        Ok(classes)
    }
}

impl<T: Feed> Engine<T> for OrtEngine {
    fn score(&mut self, tensor: &[T], images: usize, scores: &mut Vec<f32>) -> Result<(), String> {
        let options = RunOptions::new().map_err(|error| error.to_string())?;
        let classes = self.run(tensor, images, scores, &options)?;
        let first = *self.classes.get_or_insert(classes);
        if classes == first {
            return Ok(());
        }
        Err(format!("it answered {classes} classes, after {first} at first"))
    }
}

/// A model as a function of a tensor, whatever that means; for comparisons.
pub struct TensorEngine {
    session: Session,
}

impl TensorEngine {
    /// Loads a model on the processor, with `threads` threads.
    ///
    /// # Errors
    ///
    /// `Model` when ONNX Runtime refuses the file.
    pub fn load(file: &ModelFile, runtime: &Runtime, threads: usize) -> Result<Self, RunError> {
        Ok(Self { session: model::session_of(file, runtime, threads)? })
    }

    /// Every output, in the graph's order, for one tensor as the only input.
    ///
    /// # Errors
    ///
    /// A message when the runtime fails, or an output is no tensor of numbers.
    pub fn answers(&mut self, tensor: &Tensor) -> Result<Vec<(String, Tensor)>, String> {
        let message = |error: ort::Error| error.to_string();
        let view = (tensor.shape.clone(), &tensor.values[..]);
        let input = TensorRef::from_array_view(view).map_err(message)?;
        let outputs = self.session.run(ort::inputs![input]).map_err(message)?;
        let read = |(name, output): (&str, ort::value::ValueRef<'_>)| {
            let mut values = Vec::new();
            let dims = read_scores(&output, &mut values)?;
            let shape = dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect();
            Ok((name.to_owned(), Tensor { shape, values, element: Element::F32 }))
        };
        outputs.iter().map(read).collect()
    }
}

/// The axes of an image after the batch.
fn axes(recipe: &Recipe, input: &InputSpec) -> Vec<usize> {
    if input.planar {
        return vec![recipe.size.height, recipe.size.width];
    }
    recipe.layout.axes(recipe.channels.count(), recipe.size).to_vec()
}

/// Copies an output of any float type into `scores` and returns its dimensions.
fn read_scores(output: &DynValue, scores: &mut Vec<f32>) -> Result<Vec<i64>, String> {
    scores.clear();
    let message = |error: ort::Error| error.to_string();
    let dims = match output.dtype().tensor_type() {
        Some(TensorElementType::Float32) => {
            let (dims, values) = output.try_extract_tensor::<f32>().map_err(message)?;
            scores.extend_from_slice(values);
            dims
        }
        Some(TensorElementType::Float16) => {
            let (dims, values) = output.try_extract_tensor::<f16>().map_err(message)?;
            scores.extend(values.iter().map(|value| value.to_f32()));
            dims
        }
        Some(TensorElementType::Float64) => {
            let (dims, values) = output.try_extract_tensor::<f64>().map_err(message)?;
            #[expect(clippy::cast_possible_truncation, reason = "scores are ranked as f32")]
            scores.extend(values.iter().map(|&value| value as f32));
            dims
        }
        Some(TensorElementType::Uint8) => {
            let (dims, values) = output.try_extract_tensor::<u8>().map_err(message)?;
            scores.extend(values.iter().map(|&value| f32::from(value)));
            dims
        }
        other => return Err(format!("its output is {other:?}, not a tensor of scores")),
    };
    Ok(dims.iter().copied().collect())
}
