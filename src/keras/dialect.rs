//! Names that changed between Keras 1, 2 and 3, and which classes are Keras's own.

use serde_json::{Map, Value};

/// Splits `Custom>Scale` and `keras.layers>Dense`.
pub(super) fn without_package(class: &str) -> (Option<&str>, &str) {
    match class.rsplit_once('>') {
        Some((package, class)) => (Some(package), class),
        None => (None, class),
    }
}

/// Today's name of a class.
pub(super) fn class(name: &str) -> &str {
    match name {
        "Convolution2D" | "AtrousConvolution2D" | "AtrousConv2D" => "Conv2D",
        "Convolution1D" => "Conv1D",
        "Deconvolution2D" => "Conv2DTranspose",
        "SeparableConvolution2D" => "SeparableConv2D",
        "BatchNormalizationV1" | "BatchNormalizationV2" => "BatchNormalization",
        other => other,
    }
}

/// Settings under the names of Keras 2 and 3, whatever Keras wrote them.
pub(super) fn settings(mut config: Map<String, Value>) -> Map<String, Value> {
    for (old, new) in [
        ("nb_filter", "filters"),
        ("border_mode", "padding"),
        ("subsample", "strides"),
        ("bias", "use_bias"),
        ("output_dim", "units"),
        ("p", "rate"),
        ("atrous_rate", "dilation_rate"),
    ] {
        if config.contains_key(new) {
            continue;
        }
        if let Some(value) = config.remove(old) {
            config.insert(new.to_owned(), value);
        }
    }
    match config.remove("dim_ordering").as_ref().and_then(Value::as_str) {
        Some("th") => _ = config.insert("data_format".to_owned(), "channels_first".into()),
        Some("tf") => _ = config.insert("data_format".to_owned(), "channels_last".into()),
        _ => {}
    }
    if let (Some(rows), Some(columns)) = (config.remove("nb_row"), config.remove("nb_col")) {
        config.insert("kernel_size".to_owned(), Value::Array(vec![rows, columns]));
    }
    config
}

/// Layers of Keras 1 to 3 and `tensorflow.keras` that compute what their name
/// and settings say.
const BUILT_IN: &str = "\
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention AugMix \
    AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D \
    BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate Conv1D \
    Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D \
    ConvLSTM3D Cropping1D Cropping2D Cropping3D CutMix Dense \
    DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding \
    Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D \
    GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D \
    GlobalMaxPooling3D GroupNormalization GroupQueryAttention Hashing Identity InputLayer \
    IntegerLookup LSTM LSTMCell LayerNormalization LeakyReLU Masking \
    MaxNumBoundingBoxes MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Merge \
    Minimum MixUp MultiHeadAttention Multiply Normalization PReLU Permute Pipeline \
    RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration \
    RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing \
    RandomFlip RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert \
    RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness \
    RandomShear RandomTranslation RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape \
    Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D SimpleRNN \
    SimpleRNNCell SlicingOpLambda Softmax Solarization SpatialDropout1D SpatialDropout2D \
    SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup \
    Subtract SyncBatchNormalization TFOpLambda TensorFlowOpLayer TextVectorization \
    ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D \
    ZeroPadding1D ZeroPadding2D ZeroPadding3D";

/// Whether a layer of this class and package is one of Keras's own. `package` is a package of
/// custom layers or a Python module; files in HDF5 have neither.
pub(super) fn is_built_in(class: &str, package: Option<&str>, operation: bool) -> bool {
    let foreign = package.is_some_and(|package| !is_own_package(package));
    !foreign && (operation || BUILT_IN.split(' ').any(|own| own == class))
}

/// Whether a package of layers, or a Python module, is one of Keras's own.
#[must_use]
pub fn is_own_package(package: &str) -> bool {
    let own = ["keras", "tf_keras", "tensorflow", "Keras", "builtins"];
    own.contains(&package.split('.').next().unwrap_or_default())
}

/// Whether a layer is one that `keras.applications` has, or the package `efficientnet` had, beside
/// those of Keras. They are written as people's own layers are, without a package or under
/// `Custom`, so each is known by its class and by the settings that it has and others lack.
pub(super) fn is_of_applications(
    class: &str,
    package: Option<&str>,
    config: &Map<String, Value>,
) -> bool {
    if package.is_some_and(|package| package != "Custom" && !is_own_package(package)) {
        return false;
    }
    match class {
        "CustomScaleLayer" => config.contains_key("scale"),
        "LayerScale" => config.contains_key("projection_dim"),
        "StochasticDepth" => config.contains_key("drop_path_rate"),
        // A `Dropout` in all but how its noise is shaped, of whole images: so it has the settings
        // of `Dropout` and no others.
        "FixedDropout" => {
            let known = ["name", "trainable", "dtype", "rate", "noise_shape", "seed"];
            let whole = config.get("noise_shape").and_then(Value::as_array);
            whole.is_some_and(|shape| shape[..] == [Value::Null, 1.into(), 1.into(), 1.into()])
                && config.get("rate").is_some_and(Value::is_number)
                && config.keys().all(|key| known.contains(&&**key))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_layers_are_told_from_others() {
        assert!(
            is_built_in("Activation", None, false) && is_built_in("ZeroPadding3D", None, false)
        );
        assert!(is_built_in("Dense", Some("keras.layers"), false));
        assert!(is_built_in("TrueDivide", Some("keras.src.ops.numpy"), true));
        assert!(!is_built_in("Dense", Some("mine"), false));
        assert!(!is_built_in("KerasLayer", None, false) && !is_built_in("Lambda", None, false));
    }

    #[test]
    fn layers_of_applications_are_told_from_peoples_own() {
        let config = serde_json::from_str::<Map<String, Value>>(r#"{"scale":0.17}"#).unwrap();
        let known = |class, package| is_of_applications(class, package, &config);
        assert!(known("CustomScaleLayer", Some("Custom")));
        assert!(!known("CustomScaleLayer", Some("Addons")) && !known("Mine", Some("Custom")));
        assert!(known("CustomScaleLayer", None) && !known("LayerScale", None));
        assert!(!known("StochasticDepth", Some("Custom")) && !known("StochasticDepth", None));
    }

    #[test]
    fn the_dropout_of_whole_images_is_known_by_all_of_its_settings() {
        let known = |config: &str| {
            let config = serde_json::from_str::<Map<String, Value>>(config).unwrap();
            is_of_applications("FixedDropout", None, &config)
        };
        let all = r#""name":"a","trainable":true,"dtype":"float32","rate":0.2,"seed":null"#;
        assert!(known(&format!("{{{all},\"noise_shape\":[null,1,1,1]}}")));
        assert!(!known(&format!("{{{all},\"noise_shape\":null}}")));
        assert!(!known(&format!("{{{all},\"noise_shape\":[null,1,1,1],\"always\":true}}")));
        assert!(!known("{}"));
    }

    #[test]
    fn settings_of_keras_1_get_their_later_names() {
        let old =
            r#"{"nb_filter":8,"nb_row":3,"nb_col":5,"dim_ordering":"th","border_mode":"same"}"#;
        let new =
            r#"{"filters":8,"kernel_size":[3,5],"data_format":"channels_first","padding":"same"}"#;
        let read = |text| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        assert_eq!(settings(read(old)), read(new));
    }
}
