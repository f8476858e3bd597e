//! The recipes that a model may have been trained with.

use crate::{
    geometry::Size,
    recipe::{
        Channels, Element, Group, InputSpec, Interpolation, Kernel, PerChannel, Recipe, RecipeSpec,
        Resize, preset,
    },
};

/// One recipe to try.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// What is said of it, as in a job file.
    pub(super) spec: RecipeSpec,
    pub(super) recipe: Recipe,
    /// Who says it: the job or a place, when it is not one of the usual ones.
    pub(super) said: bool,
}

impl Candidate {
    /// Whether bytes become the same numbers in the same order.
    pub(super) fn has_numbers_of(&self, other: &Self) -> bool {
        let numbers = |recipe: &Recipe| {
            (recipe.scale, recipe.mean.clone(), recipe.std.clone(), recipe.channels)
        };
        numbers(&self.recipe) == numbers(&other.recipe)
    }
}

/// Sizes that models of any size are tried with, the most usual first.
const SIZES: [usize; 7] = [224, 256, 299, 384, 192, 160, 128];

/// Mean and std.
type Numbers = [[f32; 3]; 2];

/// The usual normalisations of a colour model, the most usual first, with the orders of channels in
/// which they are met. Caffe's mean is listed in each order.
fn colour() -> [(&'static str, Numbers, &'static [Channels]); 8] {
    let [blue, green, red] = preset::CAFFE_BGR;
    let (none, one) = ([0.0; 3], [1.0; 3]);
    let both = &[Channels::Rgb, Channels::Bgr];
    [
        ("1/255", preset::IMAGENET, both),
        ("1/127.5-1", [none, one], both),
        ("1/255", [none, one], both),
        ("1", [none, one], &[Channels::Rgb]),
        ("1", [[blue, green, red], one], &[Channels::Bgr]),
        ("1", [[red, green, blue], one], &[Channels::Rgb]),
        ("1/255", preset::CLIP, &[Channels::Rgb]),
        // A model of Caffe's that forgives the missing mean would tie with it.
        ("1", [none, one], &[Channels::Bgr]),
    ]
}

/// Those of a gray model; the third is the usual one of MNIST in torch.
const GRAY: [(&str, [f32; 2]); 4] = [
    ("1/255", [0.0, 1.0]),
    ("1/127.5-1", [0.0, 1.0]),
    ("1/255", [0.1307, 0.3081]),
    ("1", [0.0, 1.0]),
];

/// What is known before anything is tried: the keys that somebody said, and the model's input.
pub(super) struct Known<'a> {
    pub(super) spec: &'a RecipeSpec,
    pub(super) input: &'a InputSpec,
}

impl Known<'_> {
    /// Recipes that differ in their numbers and channels, with the usual geometry.
    pub(super) fn numbers(&self) -> Vec<Candidate> {
        let mut specs = vec![self.spec.clone()];
        for size in self.sizes() {
            let base = with_usual_geometry(self.spec, size, self.input);
            specs.push(base.clone());
            if self.input.element == Element::U8 {
                specs.extend([Channels::Rgb, Channels::Bgr].map(|c| with_channels(&base, c)));
                continue;
            }
            for (scale, [mean, std], orders) in colour() {
                let base = with_numbers(&base, scale, [&mean, &std]);
                specs.extend(orders.iter().map(|&order| with_channels(&base, order)));
            }
            for (scale, [mean, std]) in GRAY {
                let gray = with_numbers(&base, scale, [&[mean], &[std]]);
                specs.push(with_channels(&gray, Channels::Gray));
            }
        }
        self.resolved(specs)
    }

    /// Recipes that differ from `best` in how images get to their size.
    pub(super) fn geometries(&self, best: &Candidate) -> Vec<Candidate> {
        let size = best.recipe.size;
        let shorter = |side: usize| format!("shorter-side {side}").parse().expect("a resize");
        let resizes: [Resize; 4] = [
            shorter(usual_shorter_side(size)),
            shorter(size.shorter_side()),
            Resize::Squash(None),
            Resize::AspectCrop,
        ];
        let filters = [
            (Interpolation::Bilinear, None),
            (Interpolation::Bicubic, None),
            (Interpolation::Nearest, None),
            (Interpolation::Bilinear, Some(Kernel::OpenCv)),
        ];
        let mut specs = Vec::new();
        for resize in resizes {
            for (interpolation, kernel) in filters {
                specs.push(RecipeSpec {
                    resize: Some(resize),
                    crop: None,
                    interpolation: Some(interpolation),
                    kernel,
                    ..best.spec.clone()
                });
            }
        }
        self.resolved(specs)
    }

    fn sizes(&self) -> Vec<Option<Size>> {
        let open = self.input.dims.iter().filter(|dim| dim.is_none()).count();
        if self.spec.size.is_some() || open == 0 {
            return vec![self.spec.size];
        }
        SIZES.iter().map(|&side| Some(Size::square(side))).collect()
    }

    /// The specs that make a recipe for this input, each once.
    fn resolved(&self, specs: Vec<RecipeSpec>) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for spec in specs {
            let said = spec == *self.spec;
            let Ok(recipe) = Recipe::resolve(&spec, self.input) else { continue };
            if candidates.iter().all(|known| known.recipe != recipe) {
                candidates.push(Candidate { spec, recipe, said });
            }
        }
        candidates
    }
}

/// Keys that nobody said about the geometry get the most usual values.
fn with_usual_geometry(spec: &RecipeSpec, size: Option<Size>, input: &InputSpec) -> RecipeSpec {
    let mut spec = RecipeSpec { size, ..spec.clone() };
    if spec.part(Group::Geometry) == RecipeSpec::default() {
        spec.resize = Some(match size.or_else(|| input.fixed_size(spec.layout)) {
            // A small or oblong input is nearly always squashed to.
            Some(Size { height, width }) if height == width && height >= 64 => {
                let side = usual_shorter_side(Size { height, width });
                format!("shorter-side {side}").parse().expect("a resize")
            }
            _ => Resize::Squash(None),
        });
    }
    if spec.part(Group::Filter) == RecipeSpec::default() {
        spec.interpolation = Some(Interpolation::Bilinear);
    }
    spec
}

/// 256 for 224, as torchvision and timm have it, and in proportion: the side over 0.875.
fn usual_shorter_side(size: Size) -> usize {
    (size.shorter_side() * 8).div_ceil(7)
}

fn with_numbers(spec: &RecipeSpec, scale: &str, [mean, std]: [&[f32]; 2]) -> RecipeSpec {
    RecipeSpec {
        scale: Some(scale.parse().expect("a scale")),
        mean: Some(PerChannel(mean.to_vec())),
        std: Some(PerChannel(std.to_vec())),
        ..spec.clone()
    }
}

fn with_channels(spec: &RecipeSpec, channels: Channels) -> RecipeSpec {
    RecipeSpec { channels: Some(channels), ..spec.clone() }
}

/// A name for the numbers of a recipe, where they are well known.
pub(super) fn numbers_name(recipe: &Recipe) -> String {
    let close = |found: &[f32], wanted: &[f32]| {
        found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4)
    };
    let list = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
    let known = [
        ("ImageNet mean and std", preset::IMAGENET),
        ("CLIP mean and std", preset::CLIP),
        ("mean and std 0.5", preset::HALF),
    ];
    let named = known
        .iter()
        .find(|(_, [mean, std])| close(&recipe.mean, mean) && close(&recipe.std, std))
        .map(|(name, _)| (*name).to_owned());
    let plain = recipe.mean.iter().all(|&m| m == 0.0) && recipe.std.iter().all(|&s| s == 1.0);
    let scale = recipe.scale.to_string();
    match (named, plain) {
        (Some(name), _) => format!("{scale}, {name}"),
        (None, true) => scale,
        (None, false) => format!("{scale}, mean {}, std {}", list(&recipe.mean), list(&recipe.std)),
    }
}
