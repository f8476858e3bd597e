//! The files beside a model.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path},
};

use linnaeus::{
    detect::{Facts, Statement, decide, folder::Folder, label_files, statements},
    geometry::Size,
    recipe::{Element, InputSpec, Layout, Recipe, RecipeSpec},
};

use super::recipe::prepare;

/// A name and a content.
type File = (&'static str, &'static str);

/// Names and contents of small files that are read, each with those that have to lie beside it.
pub const FILES: [(&str, &str, &[File]); 24] = [
    (
        "preprocessor_config.json",
        r#"{"image_processor_type": "ViTImageProcessor", "do_resize": true,
            "size": {"height": 24, "width": 32}, "resample": 3, "do_rescale": true,
            "rescale_factor": 0.00392156862745098, "do_normalize": true,
            "image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.5, 0.125]}"#,
        &[("config.json", CONFIG)],
    ),
    (
        "preprocessor_config.json",
        r#"{"feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875,
            "size": {"shortest_edge": 224}, "resample": 2, "do_center_crop": true,
            "crop_size": {"height": 9, "width": 9}, "do_normalize": true}"#,
        &[],
    ),
    (
        "preprocessor_config.json",
        r#"{"image_processor_type": "CLIPImageProcessorFast", "resample": 0, "crop_size": 16,
            "size": {"shortest_edge": 20, "longest_edge": 40}, "do_center_crop": true}"#,
        &[],
    ),
    (
        "preprocessor_config.json",
        r#"{"image_processor_type": "PoolFormerImageProcessor", "crop_pct": 0.9, "size": 20}"#,
        &[],
    ),
    (
        "processor_config.json",
        r#"{"image_processor": {"image_processor_type": "EfficientNetImageProcessor",
            "rescale_offset": true, "include_top": true, "size": {"height": 9, "width": 8}}}"#,
        &[],
    ),
    ("config.json", CONFIG, &[]),
    (
        "config.json",
        r#"{"architecture": "resnet18", "num_classes": 2, "label_names": ["n01440764", "dog"],
            "label_descriptions": {"n01440764": "tench"}, "model_args": {"in_chans": 3},
            "pretrained_cfg": {"input_size": [3, 24, 32], "fixed_input_size": false,
            "test_input_size": [3, 48, 48], "interpolation": "bicubic", "crop_pct": 0.95,
            "test_crop_pct": 1.0, "crop_mode": "border", "mean": [0.5, 0.4, 0.3],
            "std": [0.25, 0.5, 0.125]}}"#,
        &[],
    ),
    (
        "model.json",
        r#"{"architecture": "x", "input_size": [3, 16, 24], "crop_pct": 0.5,
            "crop_mode": "center", "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}"#,
        &[],
    ),
    (
        "signature.json",
        r#"{"format": "onnx", "classes": {"Label": ["cat", "dog"]}, "inputs": {"Image":
            {"dtype": "float32", "shape": [null, 24, 19, 3], "name": "Image:0"}}}"#,
        &[],
    ),
    (
        "cvexport.manifest",
        r#"{"DomainType": "Classification", "LabelFileName": "labels.txt",
            "MetadataPropsFileName": "metadata_properties.json"}"#,
        &[("labels.txt", "cat\ndog\n"), ("metadata_properties.json", PROPERTIES)],
    ),
    ("metadata_properties.json", PROPERTIES, &[]),
    (
        "metadata.json",
        r#"{"tfjsVersion": "1.7", "packageName": "@teachablemachine/image", "grayscale": false,
            "labels": ["Cat", "Dog"], "imageSize": 24}"#,
        &[("labels.txt", "0 Cat\n1 Dog\n")],
    ),
    (
        "preprocessor.json",
        r#"{"class_name": "P", "config": {"image_converter": {"class_name":
            "ResNetImageConverter", "config": {"image_size": [24, 32], "scale": [0.5, 0.25, 1.0],
            "offset": [-1.0, -1.0, 0.0], "crop_to_aspect_ratio": true,
            "interpolation": "bilinear"}}}}"#,
        &[],
    ),
    (
        "image_converter.json",
        r#"{"class_name": "ResNetImageConverter", "config": {"height": 8, "width": 9,
            "scale": 1, "mean": [0.5, 0.5, 0.5], "variance": [0.25, 0.25, 0.25]}}"#,
        &[],
    ),
    (
        "open_clip_config.json",
        r#"{"model_cfg": {"vision_cfg": {"image_size": 24}}, "preprocess_cfg": {"size": 24,
            "mode": "RGB", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
            "interpolation": "bicubic", "resize_mode": "longest", "fill_color": 127}}"#,
        &[],
    ),
    (
        "inference.yml",
        "PreProcess:\n  transform_ops:\n  - DecodeImage: {to_rgb: true, channel_first: false}\n  \
         - ResizeImage:\n      resize_short: 32\n      interpolation: bilinear\n      backend: cv2\n  \
         - CropImage: {size: 24}\n  - NormalizeImage:\n      scale: 1.0/255.0\n      mean: [0.5, \
         0.4, 0.3]\n      std: [0.25, 0.5, 0.125]\n      order: ''\n  - ToCHWImage:\n\
         PostProcess:\n  Topk:\n    topk: 5\n    class_id_map_file: ../names.txt\n",
        &[("names.txt", "0 cat\n1 dog\n")],
    ),
    (
        "pipeline.json",
        r#"{"pipeline": {"tasks": [{"name": "Preprocess", "transforms": [
            {"type": "LoadImageFromFile"},
            {"type": "Resize", "size": [32, -1], "backend": "pillow", "interpolation": "bicubic"},
            {"type": "CenterCrop", "crop_size": 24}, {"type": "Normalize", "to_rgb": true,
            "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
            {"type": "ImageToTensor", "keys": ["img"]}, {"type": "Collect"}]}]}}"#,
        &[("deploy.json", r#"{"task": "Classifier"}"#)],
    ),
    (
        "environment.json",
        r#"{"CLASS_LIST": ["cat", "dog"], "PREPROCESSING": "{\"auto-orient\": {\"enabled\": true},
            \"resize\": {\"enabled\": true, \"width\": 32, \"height\": 24,
            \"format\": \"Fit (black edges) in\"}}"}"#,
        &[],
    ),
    (
        "config.pbtxt",
        "name: \"m\" # a comment\ninput [ { name: \"x\" data_type: TYPE_FP32 format: FORMAT_NCHW \
         dims: [ 3, 24, 32 ] } ]\noutput [ { name: \"y\" dims: [ 2 ] label_filename: \
         'labels.txt' } ]\n",
        &[("labels.txt", "cat\ndog\n")],
    ),
    (
        "model.xml",
        r#"<?xml version="1.0"?><net name="m" version="11"><layers><layer id="0"/></layers>
            <rt_info><Runtime_version value="2025"/><model_info>
            <model_type value="Classification"/><labels value="cat d&amp;g"/><pad_value value="9"/>
            <mean_values value="123.675 116.28 103.53"/><scale_values value="58 57 57"/>
            <resize_type value="fit_to_window_letterbox"/><orig_width value="32"/>
            <reverse_input_channels value="YES"/></model_info></rt_info></net>"#,
        &[],
    ),
    (
        "MLmodel",
        "flavors:\n  onnx:\n    data: model.onnx\nsignature:\n  inputs: '[{\"type\": \"tensor\", \
         \"tensor-spec\": {\"dtype\": \"float32\", \"shape\": [-1, 3, 24, 32]}}]'\n",
        &[],
    ),
    (
        "metadata.yaml",
        "description: Ultralytics YOLOv8n-cls\nversion: 8.4.190\nstride: 1\ntask: classify\n\
         batch: 1\nimgsz:\n- 24\n- 32\nnames:\n  0: tench\n  1: 'no'\nargs: {half: false}\n",
        &[],
    ),
    (
        "label_map.pbtxt",
        "item {\n  id: 2\n  name: 'dog'\n}\nitem { id: 1 name: \"cat\" display_name: \"C\\303\\244t\" }",
        &[("labels.csv", "id,name\n1,cat\n2,dog\n")],
    ),
    ("class_names.json", r#"{"0": ["n01440764", "cat"], "1": ["n02084071", "dog"]}"#, &[]),
];

const CONFIG: &str = r#"{"model_type": "vit", "architectures": ["ViTForImageClassification"],
    "transformers_version": "5.0.0", "problem_type": "single_label_classification",
    "id2label": {"1": "dog", "0": "cat"}, "num_labels": 2}"#;

const PROPERTIES: &str = r#"{"CustomVision.Metadata.Version": "1.0",
    "CustomVision.Postprocess.Method": "ClassificationMultiClass",
    "CustomVision.Preprocess.NormalizeMean": "[0.0, 0.5, 0.0]",
    "CustomVision.Preprocess.NormalizeStd": "[1.0, 0.5, 1.0]",
    "CustomVision.Preprocess.ResizeMethod": "Stretch", "Image.BitmapPixelFormat": "Bgr8",
    "Image.NominalPixelRange": "Normalized_0_1"}"#;

/// The first byte says which file of [`FILES`] the others are; which is damaged then.
pub fn sidecars(bytes: &[u8]) {
    if let Some((&at, content)) = bytes.split_first() {
        sidecar(usize::from(at) % FILES.len(), content);
    }
}

/// A folder in which the file at this place of [`FILES`] has this content.
fn sidecar(at: usize, content: &[u8]) {
    let (name, _, beside) = FILES[at];
    let root = tempfile::tempdir().unwrap();
    let files = beside.iter().map(|(name, text)| (*name, text.as_bytes()));
    for (name, bytes) in files.chain([("model.onnx", &[][..]), (name, content)]) {
        assert!(Path::new(name).components().all(|part| matches!(part, Component::Normal(_))));
        fs::write(root.path().join(name), bytes).unwrap();
    }
    let folder = Folder::beside(&root.path().join("model.onnx")).unwrap();
    _ = label_files(&folder);
    for input in inputs() {
        for classes in [None, Some(2)] {
            let found = statements(&folder, &BTreeMap::new(), &facts(&input, classes));
            examine(&found, &input);
        }
    }
}

/// What models may say of their image input: everything, its size or nothing.
pub(super) fn inputs() -> [InputSpec; 3] {
    let input = |dims, element| InputSpec {
        name: "input".into(),
        element,
        batch: None,
        dims,
        planar: false,
    };
    [
        input([Some(3), None, None], Element::F32),
        input([Some(24), Some(32), Some(3)], Element::F16),
        input([None; 3], Element::U8),
    ]
}

/// What such an input shows.
pub(super) fn facts(input: &InputSpec, classes: Option<usize>) -> Facts<'_> {
    let (layout, size) = match input.dims {
        [Some(height), Some(width), Some(3)] => (Some(Layout::Nhwc), Some(Size { height, width })),
        [Some(3), ..] => (Some(Layout::Nchw), None),
        _ => (None, None),
    };
    Facts { input, size, layout, classes }
}

/// Every recipe that was said alone and together makes tensors or is refused, and reads back as
/// itself.
pub(super) fn examine(statements: &[Statement], input: &InputSpec) {
    let usual = RecipeSpec {
        size: Some(Size::square(8)),
        resize: Some("squash".parse().unwrap()),
        interpolation: Some("bilinear".parse().unwrap()),
        scale: Some("1/255".parse().unwrap()),
        channels: Some("rgb".parse().unwrap()),
        layout: Some(Layout::Nchw),
        ..RecipeSpec::default()
    };
    for statement in statements {
        let keys = statement.recipe.keys();
        assert!(statement.because.keys().all(|key| keys.contains(key)), "{statement:?}");
        let text = toml::to_string(&statement.recipe).unwrap();
        assert!(toml::from_str::<RecipeSpec>(&text).is_ok(), "{}: {text}", statement.place);
        let mut spec = usual.clone().overridden_by(statement.recipe.clone());
        prepare(&spec, input);
        if let Some(fixed) = input.fixed_size(None) {
            spec.size = Some(fixed);
            prepare(&spec, input);
        }
    }
    let fixed = input.fixed_size(None);
    if let Ok(decision) = decide(&RecipeSpec::default(), statements, fixed) {
        _ = Recipe::resolve(&decision.recipe, input);
    }
}
