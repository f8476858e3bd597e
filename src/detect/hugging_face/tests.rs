#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;
use crate::{
    detect::sample::{facts, folder, input, said},
    geometry::Size,
    recipe::{Channels, Interpolation, Kernel},
};

fn read(processor: &Value) -> Statement {
    let found = Found { name: PREPROCESSOR.to_owned(), content: processor.clone() };
    of_processor(&found, None).unwrap()
}

fn geometry(processor: &Value) -> String {
    let statement = read(processor);
    assert_eq!(statement.refusal, None, "{processor}");
    let recipe = statement.recipe;
    format!("{} / {} / {}", recipe.resize.unwrap(), recipe.crop.unwrap(), recipe.size.unwrap())
}

#[test]
fn a_whole_file_is_read_with_its_evidence() {
    let statement = read(&json!({
        "image_processor_type": "ViTFeatureExtractor", "do_normalize": true, "do_rescale": true,
        "do_resize": true, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
        "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"height": 224, "width": 192},
    }));
    assert_eq!(
        said(&statement),
        "size = \"224x192\"\nresize = \"squash\"\ninterpolation = \"bilinear\"\n\
         kernel = \"pillow-13\"\ncrop = \"none\"\nscale = \"1/255\"\nmean = [0.485,0.456,0.406]\n\
         std = [0.229,0.224,0.225]\nchannels = \"rgb\"\nlayout = \"nchw\"\n"
    );
    assert_eq!(statement.because["mean"], "image_mean (ViTFeatureExtractor)");
}

#[test]
fn sizes_are_read_in_all_their_forms() {
    for (name, more, text) in [
        ("ViT", json!({"size": 224}), "squash / none / 224x224"),
        ("ViT", json!({"size": [192, 224]}), "squash / none / 192x224"),
        ("ViT", json!({}), "squash / none / 224x224"),
        (
            "CLIP",
            json!({"size": 256, "crop_size": 224}),
            "shorter-side 256 / center floor / 224x224",
        ),
        ("CLIP", json!({}), "shorter-side 224 / center floor / 224x224"),
        (
            "Bit",
            json!({"size": {"shortest_edge": 256, "longest_edge": 333}}),
            "shorter-side 256 at-most 333 / center floor / 224x224",
        ),
        ("DeiT", json!({}), "squash 256x256 / center floor / 224x224"),
        ("DeiT", json!({"size": 224}), "squash / none / 224x224"),
        ("CLIP", json!({"do_resize": false}), "none / center floor / 224x224"),
        (
            "MobileNetV2",
            json!({"size": {"height": 160, "width": 160}}),
            "squash 160x160 / center floor / 224x224",
        ),
        ("EfficientNet", json!({}), "squash / none / 346x346"),
        ("Perceiver", json!({"size": 256}), "center-square / none / 256x256"),
        (
            "MobileViT",
            json!({"size": {"shortest_edge": 288}, "crop_size": {"height": 256, "width": 256}}),
            "shorter-side 288 / center floor / 256x256",
        ),
    ] {
        let mut processor = more;
        processor["image_processor_type"] = format!("{name}ImageProcessor").into();
        assert_eq!(geometry(&processor), text, "{processor}");
    }
}

#[test]
fn convnext_crops_below_384_and_squashes_above() {
    for (name, more, text) in [
        (
            "ConvNext",
            json!({"size": 224, "crop_pct": 0.875}),
            "shorter-side 256 / center floor / 224x224",
        ),
        (
            "ConvNext",
            json!({"size": {"shortest_edge": 224}}),
            "shorter-side 256 / center floor / 224x224",
        ),
        (
            "ConvNext",
            json!({"size": {"shortest_edge": 288}, "crop_pct": 0.95}),
            "shorter-side 303 / center floor / 288x288",
        ),
        (
            "ConvNext",
            json!({"size": {"shortest_edge": 384}, "crop_pct": 0.5}),
            "squash / none / 384x384",
        ),
        ("ConvNext", json!({}), "squash / none / 384x384"),
    ] {
        let mut processor = more;
        processor["feature_extractor_type"] = format!("{name}FeatureExtractor").into();
        assert_eq!(geometry(&processor), text, "{processor}");
    }
}

#[test]
fn classes_that_enlarge_the_size_are_followed() {
    for (name, more, text) in [
        (
            "Levit",
            json!({"size": {"shortest_edge": 200}}),
            "shorter-side 228 / center floor / 224x224",
        ),
        (
            "Levit",
            json!({"size": {"height": 230, "width": 240}}),
            "squash 230x240 / center floor / 224x224",
        ),
        ("PoolFormer", json!({}), "shorter-side 248 / center floor / 224x224"),
        (
            "PoolFormer",
            json!({"size": {"height": 224, "width": 224}, "crop_pct": 0.95}),
            "shorter-side 235 / center floor / 224x224",
        ),
        (
            "PoolFormer",
            json!({"size": {"height": 180, "width": 225}}),
            "squash 200x250 / center floor / 224x224",
        ),
        (
            "PoolFormer",
            json!({"size": 256, "crop_pct": null}),
            "shorter-side 256 / center floor / 224x224",
        ),
    ] {
        let mut processor = more;
        processor["feature_extractor_type"] = format!("{name}FeatureExtractor").into();
        assert_eq!(geometry(&processor), text, "{processor}");
    }
}

#[test]
fn numbers_follow_the_switches_of_the_class() {
    let numbers = |name: &str, mut processor: Value| {
        processor["image_processor_type"] = format!("{name}ImageProcessor").into();
        let recipe = read(&processor).recipe;
        let list = |values: Option<crate::recipe::PerChannel>| values.map(|values| values.0);
        (recipe.scale.unwrap().to_string(), list(recipe.mean), list(recipe.std))
    };
    let half = || Some(vec![0.5; 3]);
    assert_eq!(numbers("ViT", json!({})), ("1/255".into(), half(), half()));
    assert_eq!(numbers("ViT", json!({"do_normalize": false})), ("1/255".into(), None, None));
    let bytes =
        json!({"do_rescale": false, "image_mean": [127.5, 127.5, 127.5], "image_std": 127.5});
    assert_eq!(numbers("ViT", bytes), ("1".into(), Some(vec![127.5; 3]), Some(vec![127.5])));
    assert_eq!(numbers("MobileViT", json!({"image_mean": 0.5})), ("1/255".into(), None, None));
    // 0.47853944² = 0.229, as timm's and Keras' EfficientNets have it.
    let twice = numbers("EfficientNet", json!({"image_std": [0.47853944, 0.5, 0.5]}));
    assert!((twice.2.unwrap()[0] - 0.229).abs() < 1e-6);
    let offset = json!({"rescale_factor": 0.00784313725490196, "rescale_offset": true,
                        "do_normalize": false, "include_top": false});
    assert_eq!(numbers("EfficientNet", offset), ("1/127.5-1".into(), None, None));
    let top = json!({"do_normalize": false});
    assert_eq!(numbers("EfficientNet", top), ("1/255".into(), None, half()));
}

#[test]
fn channels_kernel_and_filter_are_the_classs() {
    let recipe = |name: &str, resample: Option<u64>| {
        read(&json!({"image_processor_type": name, "resample": resample})).recipe
    };
    assert_eq!(recipe("MobileViTImageProcessor", None).channels, Some(Channels::Bgr));
    assert_eq!(recipe("DINOv3ViTImageProcessorFast", None).kernel, Some(Kernel::TorchFloat));
    assert_eq!(recipe("ViTImageProcessorFast", None).kernel, Some(Kernel::Pillow13));
    let crop = |name: &str| {
        let processor = json!({"image_processor_type": name, "size": {"shortest_edge": 224}});
        read(&processor).recipe.crop.unwrap().to_string()
    };
    assert_eq!(crop("ConvNextImageProcessorFast"), "center");
    assert_eq!(crop("ConvNextImageProcessor"), "center floor");
    for (code, interpolation) in [
        (0, Interpolation::Nearest),
        (1, Interpolation::Lanczos),
        (2, Interpolation::Bilinear),
        (3, Interpolation::Bicubic),
        (4, Interpolation::Box),
        (5, Interpolation::Hamming),
    ] {
        let found = recipe("ViTImageProcessor", Some(code)).interpolation;
        assert_eq!(found, Some(interpolation));
    }
}

#[test]
fn missing_keys_are_those_of_the_version() {
    let read = |version: &str| {
        let config = json!({"model_type": "convnext", "transformers_version": version});
        let content = json!({"do_resize": true, "size": {"shortest_edge": 224}});
        of_processor(&Found { name: PREPROCESSOR.to_owned(), content }, Some(&config)).unwrap()
    };
    assert_eq!(read("4.57.6").recipe.interpolation, Some(Interpolation::Bilinear));
    let newer = read("5.0.0");
    assert_eq!(newer.recipe.interpolation, Some(Interpolation::Bicubic));
    assert!(newer.because["interpolation"].contains("transformers 5"), "{:?}", newer.because);
    assert!(newer.because["interpolation"].contains("model_type convnext"));
    assert!(newer.notes[0].contains("torchvision"));
}

#[test]
fn what_is_unknown_or_has_no_word_is_refused_by_name() {
    let vit =
        |key: &str, value: Value| json!({"image_processor_type": "ViTImageProcessor", key: value});
    for (processor, word) in [
        (json!({"image_processor_type": "DonutImageProcessor"}), "DonutImageProcessor"),
        (json!({"feature_extractor_type": "Wav2Vec2FeatureExtractor"}), "Wav2Vec2"),
        (vit("auto_map", json!({"AutoImageProcessor": "code.Own"})), "code.Own"),
        (json!({"image_processor_type": "PerceiverImageProcessor"}), "square"),
        (json!({"image_processor_type": "CLIPImageProcessor", "do_center_crop": false}), "shapes"),
        (
            json!({"image_processor_type": "ConvNextImageProcessor", "size": {"height": 8, "width": 8}}),
            "shortest_edge",
        ),
        (vit("do_pad", json!(true)), "do_pad"),
        (vit("do_thumbnail", json!(true)), "do_thumbnail"),
        (vit("size_divisor", json!(32)), "size_divisor"),
        (vit("size", json!({"longest_edge": 224})), "size"),
        (vit("size", json!({"max_height": 9, "max_width": 9})), "size"),
        (vit("size", json!(0)), "size"),
        (vit("size", json!({"height": 1e9, "width": 1})), "height"),
        (vit("image_std", json!([0.5, 0.5, 0.0])), "std"),
        (vit("image_mean", json!([0.5, 0.5])), "mean"),
        (vit("resample", json!(9)), "resample"),
        (vit("rescale_factor", json!(0.0)), "scale"),
        (vit("do_resize", json!("yes")), "do_resize"),
        (
            json!({"image_processor_type": "ViTImageProcessor", "do_center_crop": true,
                "size": 256, "crop_size": 224}),
            "transformers 4",
        ),
        (json!({"size": 224, "do_resize": true}), "names no image processor"),
        (json!([1]), "no JSON object"),
    ] {
        let statement = read(&processor);
        let refusal = statement.refusal.unwrap_or_else(|| panic!("{processor}"));
        assert!(refusal.contains(word) && statement.because.is_empty(), "{processor}: {refusal}");
    }
}

#[test]
fn a_file_without_a_class_is_plain_when_it_says_everything() {
    let statement = read(&json!({
        "size": {"height": 64, "width": 64}, "resample": 3, "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }));
    assert_eq!(statement.recipe.size, Some(Size::square(64)));
    assert!(statement.notes[0].starts_with("assumed"));
}

fn beside(files: &[(&str, &str)], classes: Option<usize>) -> Vec<Statement> {
    let (_root, here) = folder(files);
    let input = input(None);
    statements(&here, &facts(&input, classes))
}

#[test]
fn the_nested_processor_of_version_5_has_more_weight() {
    let nested = r#"{"image_processor": {"image_processor_type": "CLIPImageProcessor"}}"#;
    let plain = r#"{"image_processor_type": "ViTImageProcessor"}"#;
    let found = beside(&[(PROCESSOR, nested), (PREPROCESSOR, plain)], None);
    assert_eq!((found.len(), found[0].place.as_str()), (1, PROCESSOR));
    let found = beside(&[(PROCESSOR, "{}"), (PREPROCESSOR, plain)], None);
    assert_eq!(found[0].place, PREPROCESSOR);
    let timm = r#"{"image_processor_type": "TimmWrapperImageProcessor"}"#;
    assert!(beside(&[(PREPROCESSOR, timm)], None).is_empty());
}

#[test]
fn the_config_names_classes_and_what_makes_probabilities() {
    let named = r#"{"model_type": "vit", "id2label": {"1": "dog", "0": "cat"},
                    "architectures": ["ViTForImageClassification"]}"#;
    let found = &beside(&[(CONFIG, named)], None)[0];
    assert_eq!(found.labels.as_ref().unwrap().name(1), Some("dog"));
    assert_eq!(said(found), "activation = \"softmax\"\n");
    for (config, classes, activation) in [
        (r#"{"model_type": "vit", "problem_type": "multi_label_classification"}"#, None, "sigmoid"),
        (r#"{"model_type": "vit", "id2label": {"0": "LABEL_0"}}"#, None, "sigmoid"),
        (r#"{"model_type": "vit", "problem_type": "regression"}"#, None, "none"),
        (r#"{"model_type": "vit"}"#, Some(7), "softmax"),
    ] {
        let found = &beside(&[(CONFIG, config)], classes)[0];
        assert_eq!(said(found), format!("activation = \"{activation}\"\n"), "{config}");
        assert_eq!(found.labels, None);
    }
    let placeholders = r#"{"model_type": "vit", "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}"#;
    assert_eq!(beside(&[(CONFIG, placeholders)], None)[0].classes, Some(2));
    let holes = r#"{"model_type": "vit", "id2label": {"0": "a", "2": "b"}}"#;
    assert!(beside(&[(CONFIG, holes)], None)[0].notes[0].contains("class 1"));
}

#[test]
fn other_tasks_are_refused() {
    let detector = r#"{"model_type": "detr", "architectures": ["DetrForObjectDetection"]}"#;
    let refusal = beside(&[(CONFIG, detector)], None)[0].refusal.clone().unwrap();
    assert!(refusal.contains("DetrForObjectDetection"));
    let backbone = r#"{"model_type": "vit", "architectures": ["ViTModel"]}"#;
    assert!(beside(&[(CONFIG, backbone)], None).iter().all(|found| found.refusal.is_none()));
}
