//! What each class of layers is in ONNX.

use std::collections::BTreeMap;

use super::{
    call::{Given, LayerCall},
    value::Value,
};
use crate::keras;

mod activation;
mod attention;
mod convolution;
mod dense;
mod index;
mod merge;
mod normalize;
mod operation;
mod pooling;
mod reshape;
mod resize;
mod sampling;
mod scaling;
mod window;
mod wrapper;

/// Whether there is a conversion for layers of this class, whatever their settings are.
pub(super) fn is_known(class: &str) -> bool {
    keras::is_silent(class) || converter(class).is_some()
}

/// Whether a `Lambda` is one of those that are known without their code.
pub(super) fn is_known_lambda(layer: &keras::Layer) -> bool {
    layer.class == "Lambda" && scaling::scale_of_lambda(layer).is_some()
}

type Converter = fn(&mut LayerCall) -> Result<Value, String>;

fn converter(class: &str) -> Option<Converter> {
    Some(match class {
        "Activation" => activation::activation_layer,
        "ReLU" => activation::relu,
        "LeakyReLU" => activation::leaky_relu,
        "ELU" => activation::elu,
        "PReLU" => activation::prelu,
        "ThresholdedReLU" => activation::thresholded_relu,
        "Softmax" => activation::softmax_layer,
        "Conv2D" => convolution::convolution,
        "Conv1D" => convolution::convolution_1d,
        "DepthwiseConv2D" => convolution::depthwise,
        "SeparableConv2D" => convolution::separable,
        "Conv2DTranspose" => convolution::transposed,
        "Dense" => dense::dense,
        "EinsumDense" => dense::einsum,
        "MultiHeadAttention" => attention::multi_head,
        "BatchNormalization" | "SyncBatchNormalization" => normalize::batch,
        "LayerNormalization" => normalize::layer,
        "GroupNormalization" => normalize::group,
        "UnitNormalization" => normalize::unit,
        "Rescaling" => scaling::rescaling,
        "Normalization" => scaling::normalization,
        "LayerScale" => scaling::layer_scale,
        "CustomScaleLayer" => scaling::scaled_sum,
        "MaxPooling2D" | "AveragePooling2D" => pooling::pooling,
        "MaxPooling1D" | "AveragePooling1D" => pooling::pooling_1d,
        "GlobalAveragePooling2D" | "GlobalMaxPooling2D" => pooling::global,
        "GlobalAveragePooling1D" | "GlobalMaxPooling1D" => pooling::global_1d,
        "ZeroPadding2D" => pooling::padding,
        "Cropping2D" => pooling::cropping,
        "CenterCrop" => resize::center_crop,
        "UpSampling2D" => resize::up_sampling,
        "Resizing" => resize::resizing,
        "Flatten" => reshape::flatten,
        "Reshape" => reshape::reshape,
        "Permute" => reshape::permute,
        "RepeatVector" => reshape::repeat_vector,
        "Add" | "Subtract" | "Multiply" | "Average" | "Maximum" | "Minimum" | "Merge" => {
            merge::merge
        }
        "Concatenate" => merge::concatenate,
        "Dot" => merge::dot,
        "TimeDistributed" => wrapper::time_distributed,
        "SlicingOpLambda" | "TFOpLambda" | "TensorFlowOpLayer" => operation::operation,
        _ => return None,
    })
}

/// Converts one use of a layer.
///
/// # Errors
///
/// Why it cannot be converted, as the end of a sentence about the layer.
pub(super) fn convert(call: &mut LayerCall) -> Result<Vec<Value>, String> {
    if is_operation(call) {
        return operation::operations(call);
    }
    let class = call.layer.class.as_str();
    if is_training(&call.arguments, &call.named) {
        if is_normalised_in_training(call.layer) {
            return Err(TRAINING.to_owned());
        }
        if class.contains("Dropout") {
            call.notes.push("it is called with `training=True`; its dropout is left out".into());
        }
    }
    if keras::is_silent(class) {
        return call
            .inputs
            .first()
            .cloned()
            .map(|input| vec![input])
            .ok_or("it gets nothing".into());
    }
    if class == "Lambda" {
        return scaling::scaled_sum_of_lambda(call).map(|value| vec![value]);
    }
    let convert = converter(class).ok_or("linnaeus has no conversion for its class")?;
    convert(call).map(|value| vec![value])
}

/// Why a batch normalisation that is called as in training is refused.
pub(super) const TRAINING: &str = "it is called with `training=True`, so that the answer for an \
                                   image depends on the others of its batch";

/// Whether a layer or model is called as in training. All that have the argument have it second.
pub(super) fn is_training(arguments: &[Given], named: &BTreeMap<String, Given>) -> bool {
    let said = arguments.get(1).into_iter().chain(named.get("training"));
    said.into_iter().any(|given| matches!(given, Given::Constant(said) if *said == true))
}

/// Whether a layer, or one of a nested model, computes with its batch's own statistics when it is
/// called as in training.
pub(super) fn is_normalised_in_training(layer: &keras::Layer) -> bool {
    let inner = layer.model.iter().flat_map(|model| &model.layers);
    let wrapped = layer.config.get("layer").and_then(|inner| inner.get("class_name"));
    layer.class.contains("BatchNormalization")
        || wrapped.is_some_and(|class| class == "BatchNormalization")
        || inner.into_iter().any(is_normalised_in_training)
}

/// Operations of Keras 3 have the names of layers, some of them.
fn is_operation(call: &LayerCall) -> bool {
    call.writer.version == 3 && call.layer.class != "Lambda" && call.layer.is_operation()
}
