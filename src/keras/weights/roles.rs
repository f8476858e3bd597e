//! Which weights a layer has, in the order in which every Keras stores them.

use serde_json::Value;

use crate::keras::{Layer, dialect};

/// The names of a layer's weights in their order; `None` for a class that is not known here.
///
/// Weights of layers inside a layer have its name before theirs, as in `query/kernel`.
pub(super) fn roles(layer: &Layer) -> Option<Vec<String>> {
    roles_of(&layer.class, &layer.config)
}

/// Whether training changes a weight; the others are stored behind all trainable ones of a model.
pub(super) fn is_trained(role: &str) -> bool {
    !["moving_mean", "moving_variance", "mean", "variance", "count"].contains(&role)
}

fn roles_of(class: &str, config: &serde_json::Map<String, Value>) -> Option<Vec<String>> {
    let said = |key: &str| config.get(key) != Some(&Value::Bool(false));
    let list = |roles: &[(&str, bool)]| {
        let kept = roles.iter().filter(|(_, kept)| *kept);
        Some(kept.map(|(role, _)| (*role).to_owned()).collect::<Vec<_>>())
    };
    let bias = said("use_bias");
    match class {
        "Conv1D" | "Conv2D" | "Conv3D" | "Conv2DTranspose" | "DepthwiseConv2D" | "Dense" => {
            list(&[("kernel", true), ("bias", bias)])
        }
        "EinsumDense" => {
            let bias = config.get("bias_axes").is_some_and(|axes| !axes.is_null());
            list(&[("kernel", true), ("bias", bias)])
        }
        "SeparableConv2D" => list(&[("depthwise", true), ("pointwise", true), ("bias", bias)]),
        "BatchNormalization" | "SyncBatchNormalization" => list(&[
            ("gamma", said("scale")),
            ("beta", said("center")),
            ("moving_mean", true),
            ("moving_variance", true),
        ]),
        "LayerNormalization" | "GroupNormalization" => {
            list(&[("gamma", said("scale")), ("beta", said("center"))])
        }
        "PReLU" => list(&[("alpha", true)]),
        "LayerScale" => list(&[("gamma", true)]),
        "Normalization" => {
            let adapted = config.get("mean").is_none_or(Value::is_null);
            list(&[("mean", adapted), ("variance", adapted), ("count", adapted)])
        }
        "MultiHeadAttention" => Some(attention(bias)),
        "TimeDistributed" => inside(config.get("layer")?),
        _ if without_weights(class) => Some(Vec::new()),
        _ => None,
    }
}

fn attention(bias: bool) -> Vec<String> {
    let parts = ["query", "key", "value", "output"];
    let both = parts.map(|part| [format!("{part}/kernel"), format!("{part}/bias")]);
    both.into_iter().flatten().filter(|role| bias || !role.ends_with("bias")).collect()
}

/// The weights of a layer inside a wrapper.
fn inside(layer: &Value) -> Option<Vec<String>> {
    let class = dialect::without_package(layer.get("class_name")?.as_str()?).1;
    let settings = dialect::settings(layer.get("config")?.as_object()?.clone());
    let roles = roles_of(dialect::class(class), &settings)?;
    Some(roles.into_iter().map(|role| format!("layer/{role}")).collect())
}

/// Classes of which no weight is needed; `Random…` layers may store the state of a generator.
fn without_weights(class: &str) -> bool {
    const CLASSES: &str = "Activation ActivityRegularization Add AlphaDropout Average CenterCrop \
        Concatenate CustomScaleLayer Dot Dropout ELU Flatten GaussianDropout GaussianNoise \
        Identity InputLayer Lambda LeakyReLU Maximum Merge Minimum Multiply Permute RandAugment \
        AugMix MixUp CutMix AutoContrast Equalization Solarization ReLU RepeatVector Rescaling \
        Reshape Resizing SlicingOpLambda Softmax SpatialDropout1D SpatialDropout2D \
        StochasticDepth Subtract TFOpLambda TensorFlowOpLayer ThresholdedReLU UnitNormalization";
    let starts = ["Random", "MaxPooling", "AveragePooling", "Global", "ZeroPadding", "Cropping"];
    CLASSES.split_whitespace().any(|known| known == class)
        || class.starts_with("UpSampling")
        || starts.iter().any(|start| class.starts_with(start))
}
