//! timm's `config.json`: `pretrained_cfg`, and the older form in which that is the whole object.
//! As `resolve_data_config` and `transforms_imagenet_eval` of timm 1.0 read it.

use serde_json::Value;

use super::{
    Facts, Statement, Tier,
    fields::{Fields, as_number, as_side, pixels},
    folder::{Folder, Found},
    saying::{CENTER, Numbers, shorter_side},
};
use crate::{
    geometry::Size,
    labels::{self, Class, Labels},
    recipe::{Channels, Crop, Interpolation, Kernel, Layout, PerChannel, Resize, preset},
};

/// What timm's `config.json` beside a model says. One that cannot be read is reported with Hugging
/// Face's.
pub(super) fn statement(folder: &Folder, facts: &Facts<'_>) -> Option<Statement> {
    of_config(&folder.json("config.json")?.ok()?, facts)
}

/// What an object says, if it is timm's.
pub(super) fn of_config(found: &Found<Value>, facts: &Facts<'_>) -> Option<Statement> {
    let root = Fields::of(&found.content)?;
    let nested = root.object("pretrained_cfg");
    let wrapped = root.text("model_type") == Some("timm_wrapper");
    let numeric = ["mean", "std", "crop_pct", "input_size"].iter().any(|key| root.has(key));
    if nested.is_none() && !wrapped && !root.has("architecture") {
        return None;
    }
    if nested.is_none() && !numeric {
        let mut statement = Statement::new(&found.name, Tier::Sidecar);
        let name = root.text("architecture").unwrap_or("timm's");
        statement.note(format!(
            "it names the architecture {name} without numbers; the same architecture has other \
             numbers with other weights"
        ));
        name_classes(&mut statement, root, root);
        return Some(statement);
    }
    let config = Config { root, own: nested.unwrap_or(root) };
    Some(Statement::made(&found.name, Tier::Sidecar, |statement| {
        name_classes(statement, root, config.own);
        config.say(statement, facts)
    }))
}

struct Config<'a> {
    root: Fields<'a>,
    own: Fields<'a>,
}

/// The size of the model's input, and the crop that belongs to it.
struct Target {
    size: Size,
    crop_pct: f64,
    because: String,
}

impl Config<'_> {
    fn say(&self, statement: &mut Statement, facts: &Facts<'_>) -> Result<(), String> {
        let target = self.target(statement, facts)?;
        let mean = self.channels("mean", preset::IMAGENET[0])?;
        let std = self.channels("std", preset::IMAGENET[1])?;
        self.say_geometry(statement, &target, &mean)?;
        let name = self.own.text("interpolation").filter(|name| !name.is_empty());
        let interpolation: Interpolation = name.unwrap_or("bicubic").parse()?;
        statement.filter(&self.evidence("interpolation"), interpolation, Kernel::Pillow13);
        statement.because.insert("kernel", "timm resizes with Pillow".to_owned());
        let numbers = Numbers { mean, std, ..Numbers::scaled(1.0 / 255.0, 0.0) };
        let because = ["timm's ToTensor", &self.evidence("mean"), &self.evidence("std")];
        statement.numbers(because, &numbers)?;
        statement.layout("timm's models are PyTorch's", Layout::Nchw);
        match self.channel_count() {
            1 => statement.channels("input_size", Channels::Gray),
            3 => statement.channels("timm reads images as RGB", Channels::Rgb),
            count => return Err(format!("its input has {count} channels")),
        }
        Ok(())
    }

    fn evidence(&self, key: &str) -> String {
        if self.own.has(key) { key.to_owned() } else { "timm's default".to_owned() }
    }

    fn channels(&self, key: &str, default: [f32; 3]) -> Result<Vec<f64>, String> {
        let own = self.own.numbers(key)?;
        Ok(own.unwrap_or_else(|| default.map(f64::from).to_vec()))
    }

    /// Channels, as `model_args` or `input_size` count them.
    fn channel_count(&self) -> usize {
        let args = self.root.object("model_args");
        let given = args.and_then(|args| args.side("in_chans").ok().flatten());
        let size = self.own.list("input_size").and_then(|size| as_side(size.first()?));
        given.or(size).unwrap_or(3)
    }

    fn input_size(&self, key: &str) -> Result<Option<Size>, String> {
        let Some(list) = self.own.list(key) else { return Ok(None) };
        let size = match list {
            [_, height, width] => as_side(height).zip(as_side(width)),
            _ => None,
        };
        let (height, width) = size.ok_or_else(|| format!("`{key}` is no list of three sides"))?;
        Ok(Some(Size { height, width }))
    }

    /// The size that the model was trained with, or was exported with.
    fn target(&self, statement: &mut Statement, facts: &Facts<'_>) -> Result<Target, String> {
        let crop_pct = self.crop_pct("crop_pct")?.unwrap_or(0.875);
        let size = self.input_size("input_size")?.unwrap_or(Size::square(224));
        let tested = self.input_size("test_input_size")?;
        let because = self.evidence("input_size");
        let Some(fixed) = facts.size.filter(|&fixed| fixed != size) else {
            if let (None, Some(tested)) = (facts.size, tested) {
                statement.note(format!(
                    "it was tested with {tested} too; the size it was trained with, {size}, is taken"
                ));
            }
            return Ok(Target { size, crop_pct, because });
        };
        if tested == Some(fixed) {
            let crop_pct = self.crop_pct("test_crop_pct")?.unwrap_or(crop_pct);
            return Ok(Target { size: fixed, crop_pct, because: "test_input_size".to_owned() });
        }
        if self.own.flag("fixed_input_size")?.unwrap_or(false) {
            return Ok(Target { size, crop_pct, because });
        }
        statement.note(format!(
            "assumed: the model's input is {fixed}, and it names {size}; images are resized in the \
             same proportion"
        ));
        Ok(Target { size: fixed, crop_pct, because: format!("{because}, scaled to the input") })
    }

    /// A share of the image; 0 counts as absent there.
    fn crop_pct(&self, key: &str) -> Result<Option<f64>, String> {
        let share = self.own.number(key)?.filter(|share| *share != 0.0);
        match share {
            Some(share) if !(0.01..=100.0).contains(&share) => {
                Err(format!("`{key}` is {share}, which is no share"))
            }
            share => Ok(share),
        }
    }

    fn say_geometry(
        &self,
        statement: &mut Statement,
        target: &Target,
        mean: &[f64],
    ) -> Result<(), String> {
        let enlarged = |side: usize| {
            let side = (side as f64 / target.crop_pct).floor();
            pixels(side).ok_or_else(|| format!("its images would have a side of {side} pixels"))
        };
        let to = Size {
            height: enlarged(target.size.height)?,
            width: enlarged(target.size.width)?,
        };
        let mode = self.own.text("crop_mode").filter(|mode| !mode.is_empty()).unwrap_or("center");
        let resize = match mode {
            "squash" => Resize::Squash(Some(to)),
            "border" => Resize::Fit(Some(to)),
            "center" if to.height == to.width => shorter_side(to.height),
            "center" => Resize::Cover(Some(to)),
            _ => return Err(format!("linnaeus does not know `crop_mode` {mode}")),
        };
        let because =
            format!("{} over crop_pct {}, crop_mode {mode}", target.because, target.crop_pct);
        match resize {
            Resize::Squash(Some(size)) if size == target.size => {
                statement.geometry(&because, Resize::Squash(None), Crop::None);
            }
            resize => statement.geometry(&because, resize, CENTER),
        }
        if mode == "border" {
            let bytes = mean.iter().map(|mean| as_byte(*mean)).collect();
            let fill = Some(PerChannel(bytes));
            statement.say("fill", "the mean, by crop_mode border", |recipe| recipe.fill = fill);
        }
        statement.size(&target.because, target.size);
        Ok(())
    }
}

/// As Python's `round(255 * mean)`.
#[expect(clippy::cast_possible_truncation, reason = "a byte")]
fn as_byte(mean: f64) -> f32 {
    (255.0 * mean).round_ties_even().clamp(0.0, 255.0) as f32
}

/// Names and descriptions of classes; names that are `WordNet` ids give way to descriptions.
fn name_classes(statement: &mut Statement, root: Fields<'_>, own: Fields<'_>) {
    let field = |key| root.value(key).or(own.value(key));
    let names = field("label_names").or(field("labels"));
    let described = field("label_descriptions").and_then(Fields::of);
    let describe = |class: Class| {
        let text = described.and_then(|texts| texts.text(&class.name));
        match text.filter(|_| labels::is_wnid(&class.name)) {
            Some(text) => Class::with_id(&class.name, text),
            None => class,
        }
    };
    if let Some(names) = names {
        let classes = labels::from_json(names);
        statement.name_classes(classes.map(|classes| {
            Labels::of_unwritten(classes.into_iter().map(describe).collect())
        }));
    }
    let count = field("num_classes").and_then(as_number).and_then(pixels);
    statement.classes = count.filter(|_| statement.labels.is_none());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::detect::sample::{facts, input, said};

    fn read(content: Value, size: Option<Size>) -> Statement {
        let input = input(size);
        let found = Found { name: "config.json".into(), content };
        of_config(&found, &facts(&input, None)).unwrap()
    }

    #[test]
    fn the_nested_form_is_read_as_timm_reads_it() {
        let config = json!({
            "architecture": "resnet50", "num_classes": 2, "label_names": ["n02123045", "n02084071"],
            "label_descriptions": {"n02123045": "cat", "n02084071": "dog"},
            "pretrained_cfg": {
                "input_size": [3, 224, 224], "test_input_size": [3, 288, 288], "test_crop_pct": 1.0,
                "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "center",
                "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
            },
        });
        let statement = read(config.clone(), Some(Size::square(224)));
        assert_eq!(
            said(&statement),
            "size = \"224x224\"\nresize = \"shorter-side 235\"\ninterpolation = \"bicubic\"\n\
             kernel = \"pillow-13\"\ncrop = \"center\"\nscale = \"1/255\"\n\
             mean = [0.485,0.456,0.406]\nstd = [0.229,0.224,0.225]\nchannels = \"rgb\"\n\
             layout = \"nchw\"\n"
        );
        let labels = statement.labels.as_ref().unwrap();
        assert_eq!((labels.name(1), labels.wnid(1)), (Some("dog"), Some("n02084071")));
        let tested = read(config.clone(), Some(Size::square(288)));
        assert_eq!(tested.recipe.resize, Some(shorter_side(288)));
        let other = read(config, Some(Size::square(256)));
        assert_eq!(other.recipe.resize, Some(shorter_side(269)));
        assert!(other.notes[0].starts_with("assumed"), "{:?}", other.notes);
    }

    #[test]
    fn the_older_form_has_defaults_and_other_modes() {
        let old = json!({"architecture": "x", "input_size": [3, 160, 224], "labels": ["a", "b"]});
        let statement = read(old, None);
        assert_eq!(statement.recipe.resize.unwrap().to_string(), "cover 182x256");
        assert_eq!(statement.recipe.interpolation, Some(Interpolation::Bicubic));
        assert_eq!(statement.because["mean"], "timm's default");
        assert_eq!(statement.labels.unwrap().name(1), Some("b"));
        let mode = |mode: &str, crop_pct: f64| {
            read(json!({"pretrained_cfg": {
                "input_size": [3, 448, 448], "crop_mode": mode, "crop_pct": crop_pct,
                "mean": [0.5, 0.485, 0.0], "std": 0.5,
            }}), None)
        };
        assert_eq!(mode("squash", 1.0).recipe.resize, Some(Resize::Squash(None)));
        assert_eq!(mode("squash", 0.9).recipe.resize.unwrap().to_string(), "squash 497x497");
        assert_eq!(mode("center", 1.15).recipe.resize, Some(shorter_side(389)));
        let border = mode("border", 0.9).recipe;
        assert_eq!(border.resize.unwrap().to_string(), "fit 497x497");
        assert_eq!(border.fill, Some(PerChannel(vec![128.0, 124.0, 0.0])));
        assert!(mode("random", 1.0).refusal.unwrap().contains("random"));
    }

    #[test]
    fn an_architecture_alone_gives_no_recipe() {
        let statement = read(json!({"architecture": "resnet50", "num_classes": 10}), None);
        assert!(statement.because.is_empty() && statement.notes[0].contains("resnet50"));
        assert_eq!(statement.classes, Some(10));
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        for cfg in [
            json!({"input_size": [3, 0, 224]}),
            json!({"input_size": [3, 99999, 224]}),
            json!({"input_size": [3, 224, 224], "crop_pct": 1e-9}),
            json!({"input_size": [3, 224, 224], "std": [0.2, 0.2, 0.0]}),
            json!({"input_size": [3, 224, 224], "mean": "x"}),
            json!({"input_size": [7, 224, 224]}),
            json!({"input_size": [3, 224, 224], "interpolation": "random"}),
        ] {
            let statement = read(json!({"pretrained_cfg": cfg}), None);
            assert!(statement.refusal.is_some() && statement.because.is_empty(), "{cfg}");
        }
    }
}
