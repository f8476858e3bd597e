//! A model file, opened: what it wants, what it answers, and where it runs. Together with
//! [`crate::engine`] the only user of `ort`'s sessions.

use ort::{
    ep::{CUDA, cuda::ConvAlgorithmSearch},
    logging::LogLevel,
    session::{
        Session,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
    value::ValueType,
};
use serde::Serialize;

mod file;

pub use file::{FrozenFile, ModelFile, WeightsFile, options, refused};

use crate::{
    device::Device,
    error::{RunError, with_causes},
    onnx::{self, OnnxFile},
    recipe::{Element, InputSpec, shape_text},
    runtime::Runtime,
};

/// The execution provider that a session was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// ONNX Runtime's own kernels for processors.
    Cpu,
    /// CUDA on the GPU of this number.
    Cuda(u32),
}

impl Provider {
    /// ONNX Runtime's name for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cpu => "CPUExecutionProvider",
            Self::Cuda(_) => "CUDAExecutionProvider",
        }
    }

    /// Whether it is a GPU.
    #[must_use]
    pub fn is_gpu(&self) -> bool {
        matches!(self, Self::Cuda(_))
    }
}

/// One output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputSpec {
    /// The graph's name for it.
    pub name: String,
    /// Dimensions; `None` is dynamic.
    pub dims: Vec<Option<usize>>,
    /// ONNX's name of the element type.
    pub element: String,
}

impl OutputSpec {
    /// The number of classes when this output can be N×classes, with further dimensions of 1;
    /// `Some(None)` when the graph leaves the number open.
    #[must_use]
    pub fn classes(&self) -> Option<Option<usize>> {
        let float = matches!(self.element.as_str(), "f32" | "f16" | "f64" | "u8");
        let long: Vec<_> = self.dims.iter().skip(1).filter(|dim| **dim != Some(1)).collect();
        match (float, self.dims.len(), &long[..]) {
            (true, 2.., []) => Some(Some(1)),
            (true, 1, []) => Some(self.dims[0]),
            (true, _, [classes]) => Some(**classes),
            _ => None,
        }
    }
}

/// A loaded model.
pub struct Model {
    /// The file.
    pub file: ModelFile,
    /// The image input.
    pub input: InputSpec,
    /// Every output.
    pub outputs: Vec<OutputSpec>,
    /// Where it runs.
    pub provider: Provider,
    /// Why there, when `auto` decided it.
    pub because: Option<String>,
    session: Session,
    runtime: Runtime,
    intra_threads: usize,
}

impl Model {
    /// Loads a model on `device`, each session with `intra_threads` threads.
    ///
    /// # Errors
    ///
    /// `Runtime` when `device` is a GPU that cannot be used; `Model` when ONNX Runtime refuses the
    /// file, or its inputs are not one image.
    pub fn load(
        file: ModelFile,
        runtime: &Runtime,
        device: Device,
        intra_threads: usize,
    ) -> Result<Self, RunError> {
        let (session, provider, because) = match device {
            Device::Cpu => {
                (open(&file, runtime, &Provider::Cpu, intra_threads)?, Provider::Cpu, None)
            }
            Device::Cuda(index) => {
                let provider = Provider::Cuda(index);
                runtime.preload_cuda().map_err(|error| {
                    let why = with_causes(&error);
                    RunError::Runtime(format!("`device = \"{device}\"` cannot be used: {why}"))
                })?;
                let session = open(&file, runtime, &provider, intra_threads)?;
                (session, provider, None)
            }
            Device::Auto => open_auto(&file, runtime, intra_threads)?,
        };
        let input = session_input(&session).map_err(|reason| {
            RunError::Model(format!("the model {} {reason}", file.path.display()))
        })?;
        let outputs = session.outputs().iter().map(output_spec).collect();
        let runtime = runtime.clone();
        Ok(Self { file, input, outputs, provider, because, session, runtime, intra_threads })
    }

    /// Picks the output to read: the one named `wanted`, else the only one that can be
    /// N×classes, else the only one of those with as many classes as there are `labels`.
    ///
    /// # Errors
    ///
    /// `Model`, listing the outputs, when none or several remain.
    pub fn choose_output(
        &self,
        wanted: Option<&str>,
        labels: Option<usize>,
    ) -> Result<&OutputSpec, RunError> {
        let fail = |reason: &str, hint: &str| {
            let list: Vec<_> = self.outputs.iter().map(output_text).collect();
            RunError::Model(format!(
                "the model {} {reason}; its outputs are {}\nhint: {hint}",
                self.file.path.display(),
                list.join(", ")
            ))
        };
        if let Some(wanted) = wanted {
            let found = self.outputs.iter().find(|output| output.name == wanted);
            return match found {
                Some(output) if output.classes().is_some() => Ok(output),
                Some(_) => Err(fail(
                    &format!("has no N×classes in its output `{wanted}`"),
                    "choose another `model-output`",
                )),
                None => Err(fail(
                    &format!("has no output named `{wanted}`"),
                    "choose one of these as `model-output`",
                )),
            };
        }
        let candidates: Vec<_> = self.outputs.iter().filter(|o| o.classes().is_some()).collect();
        let fits = |o: &&OutputSpec| labels.is_some() && o.classes().flatten() == labels;
        let fitting: Vec<_> = candidates.iter().copied().filter(fits).collect();
        match (&candidates[..], &fitting[..]) {
            ([], _) => Err(fail(
                "is no image classifier: none of its outputs is N×classes",
                "linnaeus classifies; for detection or segmentation use another tool",
            )),
            ([only], _) | (_, [only]) => Ok(only),
            _ => Err(fail(
                "has several outputs that could be scores",
                "say which with `model-output`",
            )),
        }
    }

    /// The model's first session, and how to make more of them.
    #[must_use]
    pub fn into_sessions(self) -> Sessions {
        let Self { file, provider, session, runtime, intra_threads, .. } = self;
        Sessions { first: Some(session), file, provider, runtime, intra_threads }
    }
}

/// Makes sessions of one model, all alike.
pub struct Sessions {
    first: Option<Session>,
    file: ModelFile,
    provider: Provider,
    runtime: Runtime,
    intra_threads: usize,
}

impl Sessions {
    /// Another session.
    ///
    /// # Errors
    ///
    /// `Model` when ONNX Runtime refuses what it took before, for want of memory for instance.
    pub fn session(&mut self) -> Result<Session, RunError> {
        match self.first.take() {
            Some(session) => Ok(session),
            None => open(&self.file, &self.runtime, &self.provider, self.intra_threads),
        }
    }

    /// Takes back a session that was only tried.
    pub fn give_back(&mut self, session: Session) {
        self.first = Some(session);
    }
}

/// A session of a model file on the processor, whatever its inputs are.
///
/// # Errors
///
/// `Model` when ONNX Runtime refuses the file.
pub(crate) fn session_of(
    file: &ModelFile,
    runtime: &Runtime,
    intra_threads: usize,
) -> Result<Session, RunError> {
    open(file, runtime, &Provider::Cpu, intra_threads)
}

fn open_auto(
    file: &ModelFile,
    runtime: &Runtime,
    intra_threads: usize,
) -> Result<(Session, Provider, Option<String>), RunError> {
    let gpu = Provider::Cuda(0);
    let opened = match runtime.preload_cuda() {
        Ok(()) => open(file, runtime, &gpu, intra_threads).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match opened {
        Ok(session) => Ok((session, gpu, Some("a GPU is usable".to_owned()))),
        Err(reason) => {
            let session = open(file, runtime, &Provider::Cpu, intra_threads)?;
            Ok((session, Provider::Cpu, Some(reason)))
        }
    }
}

fn open(
    file: &ModelFile,
    runtime: &Runtime,
    provider: &Provider,
    intra_threads: usize,
) -> Result<Session, RunError> {
    let configure = || -> ort::Result<SessionBuilder> {
        let mut builder = Session::builder(runtime.environment())?
            // What ONNX Runtime logs goes to stderr past the progress display, with names from the
            // file as they are; its errors come back as such.
            .with_log_level(LogLevel::Fatal)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(intra_threads)?
            .with_inter_threads(1)?
            // A spinning thread takes the processor from the threads that decode.
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?;
        // Without VNNI the kernel that adds two products of 8 bits in 16 is fast, and wrong when they
        // do not fit: MobileNetV2 then takes a photo's class for another by 0.9. With this ONNX
        // Runtime takes that kernel only where they fit, and on other processors nothing changes.
        builder = builder.with_precise_qmm()?;
        if file.keeps_padding {
            builder = builder.with_disabled_optimizers("Pad_Fusion")?;
        }
        if let Provider::Cuda(index) = provider {
            let cuda = CUDA::default()
                .with_device_id(i32::try_from(*index).unwrap_or(i32::MAX))
                // Exhaustive search times every algorithm again for each new batch shape.
                .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
                // TF32 changes answers in the third digit; being faster is for the user to ask.
                .with_tf32(false);
            builder = builder.with_execution_providers([cuda.build().error_on_failure()])?;
        }
        Ok(builder)
    };
    let fail = |error: &dyn std::error::Error| {
        let place = match provider {
            Provider::Cpu => String::new(),
            Provider::Cuda(index) => format!(" on cuda:{index}"),
        };
        let reason = error.to_string();
        RunError::Model(format!(
            "ONNX Runtime {} cannot load the model {}{place}: {reason}\nhint: {}",
            runtime.version(),
            file.path.display(),
            load_hint(&reason)
        ))
    };
    let mut builder = configure().map_err(|error| fail(&error))?;
    builder.commit_from_file(file.onnx()).map_err(|error| fail(&error))
}

fn load_hint(reason: &str) -> &'static str {
    let reason = reason.to_ascii_lowercase();
    if reason.contains("external") || reason.contains("no such file") {
        "its weights are in a second file, which has to lie in the same folder under the name \
         that the model uses"
    } else if reason.contains("protobuf") {
        "the file is damaged or no ONNX model; compare its size or checksum with the original"
    } else if reason.contains("is not a registered function/op") || reason.contains("opset") {
        "it uses operators that this ONNX Runtime does not have; export it with a lower opset, or \
         give a newer library with `onnxruntime`"
    } else {
        "check the file with the tool that made it"
    }
}

/// An input as a file or a session declares it.
struct Declared {
    name: String,
    /// Element type in words, such as `f32`; `None` when it is no tensor.
    element: Option<String>,
    /// Dimensions; `None` when even their number is open.
    dims: Option<Vec<Option<usize>>>,
}

/// The image input that an ONNX file declares.
///
/// # Errors
///
/// A message, with a hint, when its inputs are not one image.
pub fn declared_input(onnx: &OnnxFile) -> Result<InputSpec, String> {
    let dim = |dim: &onnx::Dim| dim.fixed().and_then(|dim| usize::try_from(dim).ok());
    let declared = |value: onnx::Value| Declared {
        name: value.name,
        element: value.element.map(|element| element.name().to_owned()),
        dims: value.dims.map(|dims| dims.iter().map(dim).collect()),
    };
    image_input(onnx.inputs().into_iter().map(declared).collect())
}

fn session_input(session: &Session) -> Result<InputSpec, String> {
    let dim = |&dim: &i64| usize::try_from(dim).ok().filter(|&dim| dim > 0);
    let declared = |outlet: &ort::value::Outlet| match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => Declared {
            name: outlet.name().to_owned(),
            element: Some(ty.to_string()),
            dims: Some(shape.iter().map(dim).collect()),
        },
        _ => Declared { name: outlet.name().to_owned(), element: None, dims: None },
    };
    image_input(session.inputs().iter().map(declared).collect())
}

/// The one input that is an image; else a message, with a hint.
fn image_input(inputs: Vec<Declared>) -> Result<InputSpec, String> {
    let fail = |reason: String, hint: &str| Err(format!("{reason}\nhint: {hint}"));
    let names: Vec<_> = inputs.iter().map(|input| format!("`{}`", input.name)).collect();
    let Ok([input]) = <[Declared; 1]>::try_from(inputs) else {
        return fail(
            format!("has {} inputs ({}), and an image is only one", names.len(), names.join(", ")),
            "linnaeus runs models with one image input; export the model without the others",
        );
    };
    let Declared { name, element, dims } = input;
    let element = match element.as_deref() {
        Some("f32") => Element::F32,
        Some("f16") => Element::F16,
        Some("u8") => Element::U8,
        None => {
            return fail(
                format!("has an input `{name}` that is no tensor"),
                "linnaeus runs models with one image input",
            );
        }
        Some(other) => {
            return fail(
                format!("has an input `{name}` of type {other}"),
                "linnaeus feeds f32, f16 and u8; export the model with one of these",
            );
        }
    };
    match dims.as_deref().unwrap_or_default() {
        &[batch, a, b, c] => Ok(InputSpec { name, element, batch, dims: [a, b, c], planar: false }),
        &[batch, height, width] => {
            let dims = [Some(1), height, width];
            Ok(InputSpec { name, element, batch, dims, planar: true })
        }
        dims => fail(
            format!("has an input `{name}` of {} dimensions", dims.len()),
            "an image input has four: batch, and channels, height and width in either layout; or \
             three, for gray images without an axis of channels",
        ),
    }
}

fn output_spec(outlet: &ort::value::Outlet) -> OutputSpec {
    let (dims, element) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (
            shape.iter().map(|&dim| usize::try_from(dim).ok().filter(|&dim| dim > 0)).collect(),
            ty.to_string(),
        ),
        other => (Vec::new(), other.to_string()),
    };
    OutputSpec { name: outlet.name().to_owned(), dims, element }
}

/// An output as text, such as `` `logits` f32 N×1000 ``.
#[must_use]
pub fn output_text(output: &OutputSpec) -> String {
    let dim = |(at, dim): (usize, &Option<usize>)| match dim {
        Some(dim) => dim.to_string(),
        None if at == 0 => "N".to_owned(),
        None => "?".to_owned(),
    };
    let dims: Vec<_> = output.dims.iter().enumerate().map(dim).collect();
    format!("`{}` {} {}", output.name, output.element, dims.join("×"))
}

/// The input as text, such as `` `x` f32 N×3×224×224 ``.
#[must_use]
pub fn input_text(input: &InputSpec) -> String {
    let element = match input.element {
        Element::U8 => "u8",
        Element::F16 => "f16",
        Element::F32 => "f32",
    };
    format!("`{}` {element} {}", input.name, shape_text(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(dims: &[usize], element: &str) -> OutputSpec {
        let dims = dims.iter().map(|&dim| (dim > 0).then_some(dim)).collect();
        OutputSpec { name: "y".into(), dims, element: element.into() }
    }

    #[test]
    fn only_n_by_classes_is_a_classifiers_output() {
        for (dims, element, expected) in [
            (&[0, 1000][..], "f32", Some(Some(1000))),
            (&[1, 1000, 1, 1], "f16", Some(Some(1000))),
            (&[0, 1], "f32", Some(Some(1))),
            (&[1, 0], "f32", Some(None)),
            (&[0, 20, 6], "f32", None),
            (&[0, 1000], "i64", None),
            (&[10], "f32", Some(Some(10))),
        ] {
            assert_eq!(output(dims, element).classes(), expected, "{dims:?} {element}");
        }
    }
}
