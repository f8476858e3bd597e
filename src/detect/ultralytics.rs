//! Ultralytics' metadata, in a model's file or in `metadata.yaml`, and `YOLOv5`'s, which is less.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    Facts, Statement, Tier,
    fields::Fields,
    folder::{Folder, Found},
    saying::{CENTER, Numbers, shorter_side},
};
use crate::{
    labels::{self, Labels, literal},
    recipe::{
        Activation, Alpha, Channels, Crop, Deep, Interpolation, Kernel, Layout, Orientation,
        Resize, preset::IMAGENET,
    },
};

const YAML: &str = "metadata.yaml";

/// What `metadata.yaml` beside a model says, when it is Ultralytics'.
pub(super) fn of_folder(folder: &Folder) -> Option<Statement> {
    match folder.yaml(YAML)? {
        Ok(found) => of_yaml(&found),
        Err(problem) => Some(Statement::unreadable(problem, Tier::Sidecar)),
    }
}

fn of_yaml(found: &Found<Value>) -> Option<Statement> {
    let fields = Fields::of(&found.content)?;
    is_exported(fields).then(|| Statement::made(&found.name, Tier::Sidecar, |s| classify(s, fields)))
}

/// What metadata inside a model's file says, when it is Ultralytics' or `YOLOv5`'s. The values are
/// Python's, as text.
pub(super) fn of_metadata(
    place: &str,
    metadata: &BTreeMap<String, String>,
    facts: &Facts<'_>,
) -> Option<Statement> {
    let value = |(key, text): (&String, &String)| {
        let python = ["names", "imgsz", "channels"].contains(&key.as_str());
        let value = if python { literal::parse(text).ok() } else { None };
        (key.clone(), value.unwrap_or_else(|| Value::String(text.clone())))
    };
    let map: Value = Value::Object(metadata.iter().map(value).collect::<Map<_, _>>());
    let fields = Fields::of(&map)?;
    if is_exported(fields) {
        return Some(Statement::made(place, Tier::Metadata, |s| classify(s, fields)));
    }
    (fields.has("names") && fields.has("stride"))
        .then(|| Statement::made(place, Tier::Metadata, |s| yolov5(s, fields, facts)))
}

/// Whether Ultralytics' exporter wrote it.
fn is_exported(fields: Fields<'_>) -> bool {
    fields.has("task") && fields.has("names") && (fields.has("stride") || fields.has("imgsz"))
}

fn classify(statement: &mut Statement, fields: Fields<'_>) -> Result<(), String> {
    let task = fields.text("task").unwrap_or("unknown");
    if task != "classify" {
        return Err(format!("the model is no classifier (task: {task})"));
    }
    name_classes(statement, fields);
    read_by_opencv(statement, "Ultralytics");
    statement.layout("Ultralytics' models are PyTorch's", Layout::Nchw);
    let gray = fields.number("channels")? == Some(1.0);
    let channels = if gray { Channels::Gray } else { Channels::Rgb };
    statement.channels(if gray { "channels" } else { "Ultralytics feeds RGB" }, channels);
    let numbers = Numbers::scaled(1.0 / 255.0, 0.0);
    statement.numbers(["task classify: its mean is 0 and its std 1", "", ""], &numbers)?;
    statement.activation("the exported model ends in softmax", Activation::None);
    say_geometry(statement, fields)
}

/// Two transforms: Pillow's since version 8.1, OpenCV's before.
fn say_geometry(statement: &mut Statement, fields: Fields<'_>) -> Result<(), String> {
    let size = fields.size("imgsz")?;
    if let Some(size) = size {
        statement.size("imgsz", size);
    }
    let text = fields.text("version").unwrap_or_default();
    let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor))) = (parts.next(), parts.next()) else {
        statement.note("it names no version, and Ultralytics 8.1 changed how images are resized");
        return Ok(());
    };
    if (major, minor) < (8, 1) {
        let because = format!("version {text}, below 8.1");
        statement.geometry(&because, Resize::CenterSquare, Crop::None);
        statement.filter(&because, Interpolation::Bilinear, Kernel::OpenCv);
        return Ok(());
    }
    let Some(size) = size else {
        statement.note("it has no imgsz, to which images are resized");
        return Ok(());
    };
    let because = format!("imgsz, version {text}");
    if size.height == size.width {
        statement.geometry(&because, shorter_side(size.height), CENTER);
    } else {
        statement.geometry(&because, Resize::Squash(None), Crop::None);
    }
    let because = format!("version {text} resizes by torchvision on Pillow images");
    statement.filter(&because, Interpolation::Bilinear, Kernel::Pillow13);
    Ok(())
}

/// `YOLOv5` writes no task: a classifier is known by its output, one number for each name.
fn yolov5(
    statement: &mut Statement,
    fields: Fields<'_>,
    facts: &Facts<'_>,
) -> Result<(), String> {
    name_classes(statement, fields);
    let names = statement.labels.as_ref().map(Labels::count);
    if names.is_none() || names != facts.classes {
        let outputs = facts.classes.map_or("an open number of".to_owned(), |n| n.to_string());
        return Err(format!(
            "it is YOLOv5's, and the model has {outputs} outputs for {} names, as a detector has",
            names.unwrap_or(0)
        ));
    }
    let because = "names and stride without a task: YOLOv5's classifier";
    read_by_opencv(statement, "YOLOv5");
    statement.geometry(because, Resize::CenterSquare, Crop::None);
    statement.filter(because, Interpolation::Bilinear, Kernel::OpenCv);
    let [mean, std] = IMAGENET.map(|values| values.map(f64::from).to_vec());
    let numbers = Numbers { mean, std, ..Numbers::scaled(1.0 / 255.0, 0.0) };
    statement.numbers([because; 3], &numbers)?;
    statement.channels(because, Channels::Rgb);
    statement.layout(because, Layout::Nchw);
    statement.activation("YOLOv5's classifier ends in logits", Activation::Softmax);
    Ok(())
}

/// What `cv2.imread` does, which these libraries read files with.
pub(super) fn read_by_opencv(statement: &mut Statement, library: &str) {
    let because = format!("{library} reads files with OpenCV");
    statement.say("exif", &because, |recipe| recipe.exif = Some(Orientation::Apply));
    statement.say("alpha", &because, |recipe| recipe.alpha = Some(Alpha::Drop));
    statement.say("deep", &because, |recipe| recipe.deep = Some(Deep::HighByte));
}

fn name_classes(statement: &mut Statement, fields: Fields<'_>) {
    if let Some(names) = fields.value("names") {
        statement.name_classes(labels::from_json(names).map(Labels::of_unwritten));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{facts, folder, input, metadata, said};

    const NAMES: (&str, &str) = ("names", "{0: 'tench', 1: \"bird's nest\"}");

    fn read(pairs: &[(&str, &str)], classes: usize) -> Option<Statement> {
        let input = input(None);
        of_metadata("metadata_props", &metadata(pairs), &facts(&input, Some(classes)))
    }

    #[test]
    fn the_version_decides_how_images_are_resized() {
        let common = "scale = \"1/255\"\nchannels = \"rgb\"\nlayout = \"nchw\"\nexif = \"apply\"\n\
                      alpha = \"drop\"\ndeep = \"high-byte\"\nactivation = \"none\"\n";
        for (version, imgsz, geometry) in [
            ("8.4.190", "[224, 224]", "size = \"224x224\"\nresize = \"shorter-side 224\"\n\
              interpolation = \"bilinear\"\nkernel = \"pillow-13\"\ncrop = \"center\"\n"),
            ("8.1.0", "[160, 224]", "size = \"160x224\"\nresize = \"squash\"\n\
              interpolation = \"bilinear\"\nkernel = \"pillow-13\"\ncrop = \"none\"\n"),
            ("8.0.200", "[64, 64]", "size = \"64x64\"\nresize = \"center-square\"\n\
              interpolation = \"bilinear\"\nkernel = \"opencv\"\ncrop = \"none\"\n"),
            ("next", "[64, 64]", "size = \"64x64\"\n"),
        ] {
            let pairs =
                [("task", "classify"), ("stride", "1"), NAMES, ("version", version), ("imgsz", imgsz)];
            let statement = read(&pairs, 2).unwrap();
            assert_eq!(said(&statement), format!("{geometry}{common}"), "{version}");
            assert_eq!(statement.labels.unwrap().name(1), Some("bird's nest"));
        }
    }

    #[test]
    fn other_tasks_are_refused_by_name() {
        let statement =
            read(&[("task", "detect"), ("stride", "32"), NAMES, ("version", "8.3.0")], 2).unwrap();
        assert!(statement.refusal.unwrap().contains("detect") && statement.because.is_empty());
    }

    #[test]
    fn yolov5_is_a_classifier_when_it_has_an_output_for_each_name() {
        let pairs = [("stride", "1"), NAMES];
        let statement = read(&pairs, 2).unwrap();
        assert_eq!(statement.recipe.mean.as_ref().unwrap().0, [0.485, 0.456, 0.406]);
        assert_eq!(statement.recipe.activation, Some(Activation::Softmax));
        assert!(read(&pairs, 85).unwrap().refusal.unwrap().contains("85"));
        assert!(read(&[NAMES], 2).is_none());
    }

    #[test]
    fn a_yaml_file_beside_the_model_says_the_same() {
        let yaml = "task: classify\nversion: 8.2.0\nimgsz: [32, 32]\nstride: 1\nchannels: 1\n\
                    names:\n  0: a\n  1: b\n";
        let (_root, here) = folder(&[("metadata.yaml", yaml)]);
        let statement = of_folder(&here).unwrap();
        assert_eq!((statement.tier, statement.recipe.channels), (Tier::Sidecar, Some(Channels::Gray)));
        assert_eq!(statement.labels.unwrap().count(), 2);
        let (_root, here) = folder(&[("metadata.yaml", "title: a photo book\n")]);
        assert_eq!(of_folder(&here), None);
    }
}
