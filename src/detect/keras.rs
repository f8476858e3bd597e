//! What a Keras model says: its input, the preprocessing among its layers, its last layer, and, for
//! models of `keras.applications`, what their `preprocess_input` does.

use crate::{
    geometry::Size,
    keras::{Input, KerasFile, Layer, Model},
    recipe::{
        Activation, Channels, Crop, Interpolation, Kernel, Layout, Resize, Scale,
        preset::keras::Mode,
    },
};

use super::{Statement, Tier};

mod ending;
mod family;
mod opening;
mod operation;
mod pixels;

use ending::{Ending, ending};
use family::Family;
use opening::{Opening, Sizing, opening};
use pixels::Pixels;

/// Classes of `ImageNet`, as models of `keras.applications` come with them.
const IMAGENET_CLASSES: usize = 1000;

/// What a model says, and what Keras's own way of loading images adds. `place` is the file as shown.
///
/// The first statement is the graph's; a second holds what follows from the model's family and from
/// `load_img`, with less weight than files beside the model.
#[must_use]
pub fn statements(file: &KerasFile, place: &str) -> Vec<Statement> {
    let mut graph = Statement::new(place, Tier::Graph);
    let model = file.model();
    let ending = ending(model);
    graph.classes = ending.classes;
    say_activation(&mut graph, &ending);
    let image = match image_input(model) {
        Ok(image) => image,
        Err(refusal) => {
            graph.refusal = Some(refusal);
            return vec![graph];
        }
    };
    image.say(&mut graph);
    let opening = opening(file, image.channels);
    say_sizings(&mut graph, &opening.sizings, image.size);
    say_numbers(&mut graph, &opening);
    let later = file.opaque_layers();
    if opening.opaque.is_empty() && !later.is_empty() {
        let named = |(path, layer): &(Vec<&str>, &Layer)| {
            format!("`{}` ({})", path.join(" › "), layer.class)
        };
        let names = later.iter().map(named).collect::<Vec<_>>().join(", ");
        graph.notes.push(format!("only Python code knows what {names} computes"));
    }
    let mut usual = Statement::new(format!("{place}, as Keras loads images"), Tier::Config);
    usual.usual = true;
    say_usual(&mut usual, &graph, &image);
    say_family(&mut usual, &graph, model, &opening, &ending);
    vec![graph, usual]
}

/// The image input of a model.
struct Image {
    size: Option<Size>,
    layout: Option<Layout>,
    channels: usize,
    shown: String,
}

impl Image {
    fn say(&self, graph: &mut Statement) {
        let because = || format!("the input's shape, {}", self.shown);
        if let Some(size) = self.size {
            graph.say("size", because(), |recipe| recipe.size = Some(size));
        }
        match self.layout {
            Some(layout) => graph.say("layout", because(), |recipe| recipe.layout = Some(layout)),
            None => graph.notes.push(format!(
                "the input, {}, has no axis for channels; it takes one number for each pixel",
                self.shown
            )),
        }
        if self.channels == 1 {
            graph.say("channels", because(), |recipe| recipe.channels = Some(Channels::Gray));
        }
    }
}

/// Reads the shape of the only input.
///
/// # Errors
///
/// A refusal, when it does not take images of one or three channels.
fn image_input(model: &Model) -> Result<Image, String> {
    let inputs = model.input_layers();
    let [input] = &inputs[..] else {
        return Err(format!("it has {} inputs, and not one for images", inputs.len()));
    };
    let shown = shown(input);
    let sized = |height: Option<usize>, width: Option<usize>| {
        height.zip(width).map(|(height, width)| Size { height, width })
    };
    match input.shape[..] {
        [_, Some(count)] => Err(format!(
            "its input, {shown}, is {count} numbers in a row and not an image\nhint: put \
             keras.layers.Reshape behind an input of height × width × channels, and save it again"
        )),
        [_, height, width] => {
            Ok(Image { size: sized(height, width), layout: None, channels: 1, shown })
        }
        [_, a, b, c] => {
            let layout = layout([a, b, c], model.data_format());
            let [channels, height, width] = layout.channels_first([a, b, c]);
            let channels = channels.ok_or_else(|| {
                format!("its input, {shown}, does not say how many channels it takes")
            })?;
            if channels != 1 && channels != 3 {
                return Err(format!("its input, {shown}, takes {channels} channels, not 1 or 3"));
            }
            Ok(Image { size: sized(height, width), layout: Some(layout), channels, shown })
        }
        _ => Err(format!("its input, {shown}, does not take images")),
    }
}

fn shown(input: &Input) -> String {
    if input.shape.is_empty() {
        return "of a shape that the file does not say".to_owned();
    }
    let side = |side: &Option<usize>| side.map_or("?".to_owned(), |side| side.to_string());
    let sides = input.shape.iter().skip(1).map(side);
    format!("N×{}", sides.collect::<Vec<_>>().join("×"))
}

/// Where the channels are: on the axis of 1 or 3 entries, else where the layers' `data_format` has
/// them; the last axis is Keras's default.
fn layout([a, _, c]: [Option<usize>; 3], data_format: Option<&str>) -> Layout {
    let few = |side: Option<usize>| side.is_some_and(|side| side == 1 || side == 3);
    match (few(a), few(c), data_format) {
        (true, false, _) => Layout::Nchw,
        (a, c, Some("channels_first")) if a == c => Layout::Nchw,
        _ => Layout::Nhwc,
    }
}

fn say_activation(graph: &mut Statement, ending: &Ending) {
    let layer = &ending.layer;
    let (word, because) = match (ending.activation.as_deref(), ending.classes) {
        (Some("softmax"), _) => (Activation::None, format!("layer `{layer}` ends in a softmax")),
        (Some("sigmoid"), _) => (Activation::None, format!("layer `{layer}` ends in a sigmoid")),
        (Some("linear"), Some(2..)) => {
            (Activation::Softmax, format!("layer `{layer}` has no activation"))
        }
        (Some(other), _) if other != "linear" => {
            let note = format!("layer `{layer}` ends in {other}, which makes no probabilities");
            graph.notes.push(note);
            return;
        }
        _ => return,
    };
    graph.say("activation", because, |recipe| recipe.activation = Some(word));
    if ending.classes == Some(1) {
        graph.notes.push("it has one score for two classes: that of the second".to_owned());
    }
}

/// Layers that resize inside the model. Where the input's size is open, images may as well be
/// resized before it, in the same arithmetic.
fn say_sizings(graph: &mut Statement, sizings: &[Sizing], fixed: Option<Size>) {
    let plain = match sizings {
        [one] if fixed.is_none() && one.class == "Resizing" => Some(one),
        _ => None,
    };
    let filter = plain.and_then(|sizing| match sizing.interpolation.as_str() {
        "bilinear" => Some(Interpolation::Bilinear),
        "nearest" => Some(Interpolation::Nearest),
        _ => None,
    });
    let resize = plain.and_then(|sizing| match sizing.aspect {
        None => Some(Resize::Squash(None)),
        Some("crop_to_aspect_ratio") => Some(Resize::AspectCrop),
        Some(_) => None,
    });
    if let (Some(Sizing { layer, size: Some(size), .. }), Some(filter), Some(resize)) =
        (plain, filter, resize)
    {
        let because = || format!("layer {layer} and an input whose size is open");
        graph.say("size", because(), |recipe| recipe.size = Some(*size));
        graph.say("resize", because(), |recipe| recipe.resize = Some(resize));
        graph.say("crop", because(), |recipe| recipe.crop = Some(Crop::None));
        graph.say("interpolation", because(), |recipe| recipe.interpolation = Some(filter));
        graph.say("kernel", because(), |recipe| recipe.kernel = Some(Kernel::TensorFlow));
        return;
    }
    for Sizing { layer, size, interpolation, aspect, .. } in sizings {
        let to = size.map_or("another size".to_owned(), |size| size.to_string());
        let aspect = aspect.map_or(String::new(), |aspect| format!(", {aspect}"));
        graph.notes.push(format!(
            "layer {layer} brings images to {to} inside the model ({interpolation}{aspect})"
        ));
    }
}

/// The preprocessing among the layers: when there is some, bytes are fed as they are.
fn say_numbers(graph: &mut Statement, opening: &Opening) {
    if let Some(layer) = opening.opaque.first() {
        graph.refusal = Some(format!(
            "images go first through {layer}, which only its Python code understands; what it does \
             is not guessed\nhint: look it up in the script that made the model, and say `scale`, \
             and `mean` and `std` if there are any"
        ));
        return;
    }
    if opening.steps.is_empty() {
        return;
    }
    let steps = opening.steps.join(", ");
    let Some(pixels) = opening.pixels() else {
        graph.notes.push(format!("layers use images before and after {steps}; say `scale`"));
        return;
    };
    let (low, high) = pixels.range_of_bytes();
    let reversed = if is_reversed(pixels) { ", channels reversed" } else { "" };
    let range = format!("{low:.4} to {high:.4} of 0 to 255{reversed}");
    if pixels.expects_bytes() {
        let because = format!("the model itself makes {range}: {steps}");
        graph.say("scale", because, |recipe| recipe.scale = Some(Scale::RAW));
        if pixels.channels().len() == 3 {
            let because = format!("Keras's loaders feed red first: {steps}");
            graph.say("channels", because, |recipe| recipe.channels = Some(Channels::Rgb));
        }
    } else if !pixels.is_untouched() {
        graph.notes.push(format!(
            "{steps} would make {range}, so bytes are not what it expects\nhint: if it was trained \
             on numbers from 0 to 1, say `scale = \"1/255\"`"
        ));
    }
}

fn is_reversed(pixels: &Pixels) -> bool {
    let channels = pixels.channels();
    channels.len() > 1 && channels.iter().rev().enumerate().all(|(at, channel)| channel.fed == at)
}

/// What `load_img(path, target_size=…)` and `image_dataset_from_directory` have in common.
fn say_usual(usual: &mut Statement, graph: &Statement, image: &Image) {
    if graph.recipe.channels.is_none() && image.channels == 3 {
        let because = "load_img and image_dataset_from_directory give red, green, blue";
        usual.say("channels", because, |recipe| recipe.channels = Some(Channels::Rgb));
    }
    if graph.recipe.resize.is_some() {
        return;
    }
    let because = "load_img(target_size) and image_dataset_from_directory(image_size)";
    usual.say("resize", because, |recipe| recipe.resize = Some(Resize::Squash(None)));
    usual.say("crop", because, |recipe| recipe.crop = Some(Crop::None));
    usual.notes.push(
        "the file does not say which filter resized the images it was trained on\nhint: say \
         `interpolation = \"nearest\"` for load_img and flow_from_directory (their default), or \
         `interpolation = \"bilinear\"` with `kernel = \"tensorflow\"` for \
         image_dataset_from_directory"
            .to_owned(),
    );
}

/// What the family of the model adds: numbers for a whole model of `keras.applications`, a note
/// where it is the base of another, because its new owner may have fed it differently.
fn say_family(
    usual: &mut Statement,
    graph: &Statement,
    model: &Model,
    opening: &Opening,
    ending: &Ending,
) {
    let scaled = graph.recipe.scale.is_some() || !opening.steps.is_empty();
    if let Some(family) = family::named(model) {
        let whole = ending.classes == Some(IMAGENET_CLASSES);
        if let (true, None, Some(side)) = (whole, graph.recipe.size, family.side) {
            let because = format!("{} of keras.applications, by default", family.title);
            usual.say("size", because, |recipe| recipe.size = Some(Size::square(side)));
        }
        if whole && !scaled && graph.refusal.is_none() && family.mode != Mode::InGraph {
            return say_mode(usual, family, &model.name);
        }
    }
    let nested = family::nested(model).map(|(layer, family)| (layer.name.clone(), family));
    let own = || family::named(model).or_else(|| family::resembled(model));
    let found = nested.or_else(|| own().map(|family| (model.name.clone(), family)));
    if let (Some((name, family)), false) = (found, scaled) {
        usual.notes.push(format!(
            "`{name}` is built as {} of keras.applications, and nothing in it scales bytes\nhint: \
             if it was trained through that model's preprocess_input, say {}; if through \
             rescale=1/255, say `scale = \"1/255\"`",
            family.title,
            family.mode.numbers().lines()
        ));
    }
}

fn say_mode(usual: &mut Statement, family: &Family, name: &str) {
    let because = || {
        format!("preprocess_input of {}: the model's name, `{name}`, and its layers", family.title)
    };
    let numbers = family.mode.numbers();
    for key in numbers.keys() {
        usual.say(key, because(), |_| {});
    }
    usual.recipe = std::mem::take(&mut usual.recipe).overridden_by(numbers);
}
