//! Presets that a model's name and make point at. They are shown to a person and never used: the
//! same architecture is published with many preparations.

use super::folder::Folder;
use crate::{
    onnx::OnnxFile,
    recipe::{InputSpec, Layout, preset},
};

/// Most candidates that are told.
const MOST: usize = 4;

/// Names of presets with the reason for each, the likeliest first.
pub(super) fn candidates(
    onnx: &OnnxFile,
    folder: &Folder,
    input: Option<&InputSpec>,
) -> Vec<(String, String)> {
    let Some(input) = input else { return Vec::new() };
    let (producer, _) = onnx.producer();
    let mut found = Vec::new();
    let mut add = |name: &str, why: String| {
        if found.len() < MOST && found.iter().all(|(known, _)| known != name) {
            found.push((name.to_owned(), why));
        }
    };
    match (input.name.as_str(), producer) {
        ("data_0" | "gpu_0/data_0", _) | (_, "onnx-caffe2") => {
            add(
                "zoo/caffe2",
                format!("its input is called `{}`, as Caffe2's exporter does", input.name),
            );
        }
        ("data", _) => {
            add("zoo/gluon", "its input is called `data`, as MXNet's exporter does".into());
        }
        ("Input3", "CNTK") => {
            let name = if input.dims[2] == Some(64) { "zoo/emotion-ferplus" } else { "zoo/mnist" };
            add(name, "CNTK made it, as the Model Zoo's".into());
        }
        _ => {}
    }
    let last = input.dims[2].is_some_and(|dim| dim == 3 || dim == 1);
    // Converters from Keras may move the channels, and keep the rest.
    let keras = last || matches!(producer, "tf2onnx" | "keras2onnx");
    let layout = if keras { Layout::Nhwc } else { Layout::Nchw };
    for name in [folder.stem(), onnx.graph_name()] {
        let why = || format!("its name is `{name}`");
        let plain = folded(name);
        let zoo = ["mobilenetv2", "resnet", "vgg", "squeezenet11"];
        let zoo = zoo.iter().any(|family| plain.starts_with(family));
        // The Zoo's names end in the operator set.
        let opset = name.split(['-', '_']).any(|part| matches!(part, "7" | "12"));
        if layout == Layout::Nchw && zoo && opset {
            add("zoo/gluon", format!("its name is `{name}`, as the ONNX Model Zoo's"));
        }
        for preset in longest_matches(&plain, layout) {
            add(&preset, why());
        }
    }
    found
}

/// The presets of this layout whose model's name is the longest one in `plain`.
fn longest_matches(plain: &str, layout: Layout) -> Vec<String> {
    let family = match layout {
        Layout::Nchw => "torchvision/",
        Layout::Nhwc => "keras/",
    };
    let named = |name: &str| {
        let own = name.strip_prefix(family)?;
        let own = own.split("-imagenet1k").next().unwrap_or(own);
        Some(folded(own))
    };
    let matching = preset::all().into_iter().filter_map(|preset| {
        let own = named(&preset.name).filter(|own| plain.contains(own.as_str()))?;
        Some((own.len(), preset.name))
    });
    let mut matching: Vec<_> = matching.collect();
    let longest = matching.iter().map(|(length, _)| *length).max().unwrap_or(0);
    matching.retain(|(length, _)| *length == longest);
    matching.into_iter().map(|(_, name)| name).collect()
}

/// Letters and digits alone, in lower case.
fn folded(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_points_at_the_longest_architecture_in_it() {
        let torch = longest_matches(&folded("mobilenetv2-12-qdq"), Layout::Nchw);
        assert_eq!(
            torch,
            ["torchvision/mobilenet_v2-imagenet1k_v1", "torchvision/mobilenet_v2-imagenet1k_v2"]
        );
        assert_eq!(
            longest_matches(&folded("my_inception_v3"), Layout::Nhwc),
            ["keras/inception_v3"]
        );
        assert!(longest_matches(&folded("cnn"), Layout::Nchw).is_empty());
    }
}
