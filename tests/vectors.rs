//! The research's vectors of whole preparations: numbers, padding and small images, each made by
//! the library that it names. `resample_kernels.rs` holds those of resampling alone.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "the goldens are f32, JSON knows f64 alone")]

use linnaeus::{
    decode::Pixels,
    geometry::Size,
    preprocess::{Plan, Preprocessor, Scratch},
    recipe::{Element, InputSpec, Recipe, RecipeSpec},
};
use serde_json::Value;

mod samples;

fn vectors() -> Value {
    serde_json::from_str(include_str!("golden/vectors.json")).unwrap()
}

/// All numbers of a nested list, in order.
fn flat(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(list) => list.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

fn recipe(toml: &str, dims: [usize; 3]) -> Recipe {
    let spec: RecipeSpec = toml::from_str(toml).unwrap();
    let input = InputSpec {
        name: "x".into(),
        element: Element::F32,
        batch: None,
        dims: dims.map(Some),
        planar: false,
    };
    Recipe::resolve(&spec, &input).unwrap()
}

fn tensor(toml: &str, dims: [usize; 3], pixels: &Pixels) -> Vec<f32> {
    let preprocessor = Preprocessor::new(recipe(toml, dims));
    let mut tensor = vec![0.0; preprocessor.image_len()];
    preprocessor.write(pixels, &mut Scratch::default(), &mut tensor).unwrap();
    tensor
}

fn close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{what}: {found} for {expected}");
    }
}

fn formula(height: usize, width: usize) -> Pixels {
    let size = Size { height, width };
    Pixels { size, channels: 3, data: samples::formula(size, 3, false) }
}

const IMAGENET: &str = "mean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n";
const CAFFE: &str = "scale = 1\nchannels = 'bgr'\nmean = [103.939, 116.779, 123.68]\n";

#[test]
fn one_pixel_under_every_normalisation() {
    let vectors = vectors();
    let pixels = Pixels { size: Size::square(1), channels: 3, data: vec![10, 128, 250] };
    let torch = format!("scale = '1/255'\n{IMAGENET}");
    let clip = "scale = '1/255'\nmean = [0.48145466, 0.4578275, 0.40821073]\n\
                std = [0.26862954, 0.26130258, 0.27577711]\n";
    let forms = [
        ("keras_caffe", CAFFE.to_owned()),
        ("keras_tf", "scale = '1/127.5-1'\n".into()),
        ("torch(x/255-m)/s", torch.clone()),
        ("torch_totensor_norm", torch.clone()),
        ("hf_pil", torch.clone()),
        ("hf_torchvision_fused", torch.clone()),
        ("half(0.5,0.5)", "scale = '1/255'\nmean = 0.5\nstd = 0.5\n".into()),
        ("clip", clip.into()),
        ("effnetv2_SML 1/128-1", "scale = '1/128-1'\n".into()),
        ("effnet_lite (x-127)/128", "scale = 1\nmean = 127\nstd = 128\n".into()),
        ("hf_efficientnet include_top", torch),
        ("teachable_js x/127-1", "scale = '1/127-1'\n".into()),
        ("paddle *0.00392157", format!("scale = '0.00392157'\n{IMAGENET}")),
        (
            "mmpretrain",
            "scale = 1\nmean = [123.675, 116.28, 103.53]\nstd = [58.395, 57.12, 57.375]\n".into(),
        ),
        (
            "dpn",
            "scale = '1/255'\nmean = [0.48627451, 0.45882353, 0.40784314]\nstd = 0.23481911\n"
                .into(),
        ),
    ];
    let expected = vectors["N1"].as_object().unwrap();
    assert_eq!(expected.len(), forms.len());
    for (name, form) in forms {
        let toml = format!("resize = 'none'\nlayout = 'nchw'\n{form}");
        let found = tensor(&toml, [3, 1, 1], &pixels);
        // DPN's vector was printed with four decimals.
        let digits = if name == "dpn" { 1e-4 } else { 1e-5 };
        for (found, expected) in found.iter().zip(flat(&expected[name])) {
            assert!((found - expected).abs() < digits, "{name}: {found} for {expected}");
        }
    }
}

#[test]
fn exact_forms_are_exact_in_every_bit() {
    let vectors = vectors();
    let pixels = Pixels { size: Size::square(1), channels: 3, data: vec![10, 128, 250] };
    let torch = format!("scale = '1/255'\n{IMAGENET}");
    for (name, form) in [
        ("keras_caffe", CAFFE),
        ("keras_tf", "scale = '1/127.5-1'\n"),
        ("torch(x/255-m)/s", &torch),
        ("torch_totensor_norm", &torch),
        ("hf_pil", &torch),
        // Mean and std are multiplied by 255 in f32, and bytes are not scaled at all.
        (
            "hf_torchvision_fused",
            "scale = 1\nmean = [123.675, 116.28, 103.53]\nstd = [58.395, 57.120003, 57.375]\n",
        ),
    ] {
        let found =
            tensor(&format!("resize = 'none'\nlayout = 'nchw'\n{form}"), [3, 1, 1], &pixels);
        let bits: Vec<_> = found.iter().map(|value| format!("{:08x}", value.to_bits())).collect();
        let expected: Vec<_> =
            vectors["N2"][name].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        assert_eq!(bits, expected, "{name}");
    }
}

#[test]
fn whole_preparations_of_a_small_image() {
    let vectors = vectors();
    let image = formula(6, 9);
    let torch = format!(
        "resize = 'shorter-side 4'\ninterpolation = 'bilinear'\nlayout = 'nchw'\nscale = '1/255'\n\
         {IMAGENET}"
    );
    close(&tensor(&torch, [3, 3, 3], &image), &flat(&vectors["P1"]), "torchvision");
    let squash = "resize = 'squash'\ninterpolation = ";
    let vit = format!("{squash}'bilinear'\nscale = '1/255'\nmean = 0.5\nstd = 0.5\n");
    close(&tensor(&vit, [3, 4, 4], &image), &flat(&vectors["P2"]), "ViT");
    let keras = format!("{squash}'nearest'\nscale = '1/127.5-1'\n");
    close(&tensor(&keras, [4, 4, 3], &image), &flat(&vectors["P3"]), "Keras, mode tf");
    let caffe = format!("{squash}'nearest'\n{CAFFE}");
    close(&tensor(&caffe, [4, 4, 3], &image), &flat(&vectors["P4"]), "Keras, mode caffe");
    let yolo =
        "resize = 'center-square'\ninterpolation = 'bilinear'\nkernel = 'opencv'\nscale = 1\n";
    close(&tensor(yolo, [4, 4, 3], &image), &flat(&vectors["P5"]), "YOLOv5");
}

#[test]
fn sides_crops_and_padding_are_each_librarys() {
    let vectors = vectors();
    let list = |id: &str, key: &str| vectors[id][key].as_array().unwrap().clone();
    let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let plan = |toml: &str, dims: [usize; 3], size: Size| {
        let rest = "interpolation = 'bilinear'\nscale = 1\nlayout = 'nchw'";
        Plan::new(&recipe(&format!("{toml}\n{rest}"), dims), size).unwrap()
    };
    for (word, name) in [("", "trunc"), (" nearest", "round")] {
        for (case, expected) in
            list("G1", "input").iter().zip(vectors["G1"]["expected"][name].as_array().unwrap())
        {
            let size = Size { height: number(&case[1]), width: number(&case[0]) };
            let toml = format!("resize = 'shorter-side {}{word}'\ncrop = 'center'", case[2]);
            let resized = plan(&toml, [1, 2, 2], size).resized;
            let expected = Size { height: number(&expected[1]), width: number(&expected[0]) };
            assert_eq!(resized, expected, "{case} {name}");
        }
    }
    for (word, name) in [("", "tv"), (" floor", "hf"), (" halves", "mx")] {
        let expected = vectors["G2"]["expected"][name].as_array().unwrap();
        for (case, expected) in list("G2", "input").iter().zip(expected) {
            let [size, crop] = [0, 1].map(|at| number(&case[at]));
            let toml = format!("resize = 'none'\ncrop = 'center{word}'");
            let plan = plan(&toml, [1, crop, crop], Size::square(size));
            assert_eq!(plan.crop.left, number(expected), "{case} {name}");
        }
    }
    for (word, name) in [("", "tv"), (" floor", "hf_pil")] {
        let expected = vectors["G3"]["expected"][name].as_array().unwrap();
        for (case, expected) in list("G3", "input").iter().zip(expected) {
            let [size, crop] = [0, 1].map(|at| number(&case[at]));
            let toml = format!("resize = 'none'\ncrop = 'center{word}'");
            let plan = plan(&toml, [1, crop, crop], Size::square(size));
            let before = plan.offset.1;
            assert_eq!(
                [before, crop - size - before],
                [0, 1].map(|at| number(&expected[at])),
                "{case}"
            );
        }
    }
}
