//! What a packed model carries in its own metadata: recipe, labels, and golden images with their
//! expected results.
//!
//! The keys, all text, of format 1:
//!
//! | key | content |
//! |---|---|
//! | `linnaeus.package` | `1`, the version of this format |
//! | `linnaeus.recipe` | JSON object of the keys under `[recipe]`, all of them said |
//! | `linnaeus.labels` | JSON list of names, one per class, or object from index to `[wnid, name]`; an empty list when there are none |
//! | `linnaeus.output` | name of the output to read; empty when there is only one |
//! | `linnaeus.golden` | JSON list of `Golden` images, their bytes in Base64 |
//! | `linnaeus.source` | JSON object: `file`, `sha256` of the model that was packed, `linnaeus` |
//!
//! Every key is written, so that a model that is packed again keeps nothing of its old package.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{labels::Labels, recipe::RecipeSpec};

/// The version of the format.
const VERSION: &str = "1";

const PACKAGE: &str = "linnaeus.package";
const RECIPE: &str = "linnaeus.recipe";
const LABELS: &str = "linnaeus.labels";
const OUTPUT: &str = "linnaeus.output";
const GOLDEN: &str = "linnaeus.golden";
const SOURCE: &str = "linnaeus.source";

/// JSON of a list without elements.
const NONE: &str = "[]";

/// Bytes of one golden image; the model carries them, and they are read before every run.
pub const MAX_GOLDEN_BYTES: u64 = 1 << 20;

/// Golden images of one model.
pub const MAX_GOLDENS: usize = 32;

/// What a model carries with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// How images are prepared, every key said.
    pub recipe: RecipeSpec,
    /// Names of the classes.
    pub labels: Option<Labels>,
    /// The output to read, when there are several.
    pub output: Option<String>,
    /// Images with their expected results.
    pub goldens: Vec<Golden>,
    /// What was packed.
    pub source: Origin,
}

/// An image and what the model makes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The name of its file.
    pub name: String,
    /// The most probable class.
    pub class: usize,
    /// Its probability when the model was packed.
    pub probability: f64,
    /// The bytes of its file.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub image: Vec<u8>,
}

/// The model that was packed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The name of its file.
    pub file: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// The version of linnaeus that packed it.
    pub linnaeus: String,
}

impl Package {
    /// Reads the package out of a model's metadata; `None` when it carries none.
    ///
    /// # Errors
    ///
    /// A message that names the key when a newer version wrote it, or it is damaged.
    pub fn read(metadata: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        let Some(version) = metadata.get(PACKAGE) else { return Ok(None) };
        if version != VERSION {
            return Err(format!(
                "its `{PACKAGE}` is {version:?}, and this linnaeus reads version {VERSION}\n\
                 hint: use the linnaeus that packed it, or pack the original again"
            ));
        }
        let damaged = |key: &str, reason: &dyn std::fmt::Display| {
            format!("its `{key}` is damaged: {reason}\nhint: pack the original again")
        };
        let text = |key: &str| metadata.get(key).map(String::as_str);
        let recipe = text(RECIPE).ok_or_else(|| damaged(RECIPE, &"it is missing"))?;
        let recipe = serde_json::from_str(recipe).map_err(|error| damaged(RECIPE, &error))?;
        let labels = text(LABELS).filter(|list| *list != NONE).map(Labels::parse).transpose();
        let goldens: Vec<Golden> = serde_json::from_str(text(GOLDEN).unwrap_or(NONE))
            .map_err(|error| damaged(GOLDEN, &error))?;
        if goldens.len() > MAX_GOLDENS {
            return Err(damaged(GOLDEN, &format!("it has more than {MAX_GOLDENS} images")));
        }
        let source = text(SOURCE).map(serde_json::from_str).transpose();
        Ok(Some(Self {
            recipe,
            labels: labels.map_err(|reason| damaged(LABELS, &reason))?,
            output: text(OUTPUT).filter(|name| !name.is_empty()).map(str::to_owned),
            goldens,
            source: source.map_err(|error| damaged(SOURCE, &error))?.unwrap_or_default(),
        }))
    }

    /// The metadata that says it: keys and values.
    ///
    /// # Errors
    ///
    /// A message when a value has no JSON.
    pub fn entries(&self) -> Result<Vec<(String, String)>, String> {
        let json = |value: serde_json::Result<String>| value.map_err(|error| error.to_string());
        let labels = self.labels.as_ref().map(Labels::to_json);
        let labels = labels.map_or_else(|| NONE.to_owned(), |labels| labels.to_string());
        Ok(vec![
            (PACKAGE.to_owned(), VERSION.to_owned()),
            (RECIPE.to_owned(), json(serde_json::to_string(&self.recipe))?),
            (SOURCE.to_owned(), json(serde_json::to_string(&self.source))?),
            (LABELS.to_owned(), labels),
            (OUTPUT.to_owned(), self.output.clone().unwrap_or_default()),
            (GOLDEN.to_owned(), json(serde_json::to_string(&self.goldens))?),
        ])
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    BASE64_STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> Package {
        Package {
            recipe: RecipeSpec {
                resize: Some("squash".parse().unwrap()),
                scale: Some("1/127.5-1".parse().unwrap()),
                ..RecipeSpec::default()
            },
            labels: Some(Labels::parse("[\"cat\", \"dog\"]").unwrap()),
            output: Some("logits".into()),
            goldens: vec![Golden {
                name: "a.png".into(),
                class: 1,
                probability: 0.75,
                image: vec![0, 255, 7],
            }],
            source: Origin { file: "m.onnx".into(), sha256: "00".into(), linnaeus: "0".into() },
        }
    }

    #[test]
    fn a_package_reads_back_what_it_says() {
        let metadata: BTreeMap<_, _> = package().entries().unwrap().into_iter().collect();
        let read = Package::read(&metadata).unwrap().unwrap();
        assert_eq!((&read.recipe, &read.goldens), (&package().recipe, &package().goldens));
        assert_eq!(read.labels.unwrap().names(), ["cat", "dog"]);
        assert_eq!(Package::read(&BTreeMap::new()).unwrap(), None);
        let labels = Labels::parse("n01440764 tench\nn01443537 goldfish\n").unwrap();
        let with_ids = Package { labels: labels.shifted(1).ok(), ..package() };
        let metadata: BTreeMap<_, _> = with_ids.entries().unwrap().into_iter().collect();
        let labels = Package::read(&metadata).unwrap().unwrap().labels.unwrap();
        assert_eq!(labels.names(), ["background", "tench", "goldfish"]);
        assert_eq!(
            [0, 1, 2].map(|at| labels.wnid(at)),
            [None, Some("n01440764"), Some("n01443537")]
        );
    }

    #[test]
    fn damage_and_newer_versions_are_refused_by_key() {
        for (key, value) in [
            (PACKAGE, "2"),
            (RECIPE, "{\"resize\": \"huge\"}"),
            (RECIPE, "{\"unknown\": 1}"),
            (LABELS, "[1]"),
            (GOLDEN, "[{\"name\": \"a\", \"class\": -1, \"probability\": 0, \"image\": \"\"}]"),
            (GOLDEN, "[{\"name\": \"a\", \"class\": 0, \"probability\": 0, \"image\": \"?\"}]"),
            (SOURCE, "[]"),
        ] {
            let mut metadata: BTreeMap<_, _> = package().entries().unwrap().into_iter().collect();
            metadata.insert(key.to_owned(), value.to_owned());
            let message = Package::read(&metadata).unwrap_err();
            assert!(message.contains(key), "{message}");
        }
    }
}
