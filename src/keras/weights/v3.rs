//! Weights of archives: groups named after classes, numbered in the order of the layers.

use std::collections::BTreeMap;

use super::{Placed, roles::roles, with_roles};
use crate::keras::{Layer, Model, error::Fault, hdf5::Hdf5};

/// Groups in groups below a layer of a class that is not known.
const MAX_DEPTH: usize = 16;

/// Finds the arrays of every layer.
///
/// Keras 2.12 and 2.13 counted layers with weights twice; which rule holds is found by trying.
pub(in crate::keras) fn place(file: &Hdf5, model: &Model) -> Result<Vec<Placed>, Fault> {
    let root = file.groups("")?;
    // Keras 2.12 to 2.15 on Windows wrote paths with backslashes as the names of groups.
    let windows = root.iter().any(|name| name.contains('\\'));
    let groups = Groups { file, flat: windows.then_some(root), twice: false };
    let once = groups.model("", &[], model);
    once.or_else(|fault| Groups { twice: true, ..groups }.model("", &[], model).map_err(|_| fault))
}

struct Groups<'a> {
    file: &'a Hdf5,
    /// The names at the root, when those are whole paths.
    flat: Option<Vec<String>>,
    twice: bool,
}

impl Groups<'_> {
    fn joined(&self, group: &str, name: &str) -> String {
        let separator = if self.flat.is_some() { "\\" } else { "/" };
        if group.is_empty() { name.to_owned() } else { format!("{group}{separator}{name}") }
    }

    /// Names of the groups directly below one.
    fn below(&self, group: &str) -> Result<Vec<String>, Fault> {
        let Some(flat) = &self.flat else { return self.file.groups(group) };
        let start = self.joined(group, "");
        let rest = flat.iter().filter_map(|path| path.strip_prefix(&start));
        let mut names: Vec<_> =
            rest.map(|rest| rest.split('\\').next().unwrap_or(rest).to_owned()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn model(&self, group: &str, above: &[String], model: &Model) -> Result<Vec<Placed>, Fault> {
        let below = self.below(group)?;
        let has = |name: &str| below.iter().any(|found| found == name);
        let list = if has("layers") { "layers" } else { "_layer_checkpoint_dependencies" };
        let container = self.joined(group, list);
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut placed = Vec::new();
        for layer in model.layers.iter().filter(|layer| !layer.is_input()) {
            let class = snake(layer);
            let count = counts.entry(class.clone()).or_default();
            let name = if *count == 0 { class } else { format!("{class}_{count}") };
            *count += if self.twice && has_weights(layer) { 2 } else { 1 };
            let group = self.joined(&container, &name);
            let path = [above, std::slice::from_ref(&layer.name)].concat();
            if let Some(inner) = &layer.model {
                placed.extend(self.model(&group, &path, inner)?);
            } else {
                let arrays = self.layer(&group, layer)?;
                placed.push(Placed { layer: path, arrays });
            }
        }
        Ok(placed)
    }

    fn layer(&self, group: &str, layer: &Layer) -> Result<Vec<(String, String)>, Fault> {
        let Some(roles) = roles(layer) else {
            let mut places = Vec::new();
            self.gather(group, 0, &mut places)?;
            return with_roles(layer, places);
        };
        if roles.is_empty() {
            return Ok(Vec::new());
        }
        let said = self.file.text(&format!("{group}/vars"), "name")?;
        if said.as_ref().is_some_and(|said| *said != layer.name) {
            let said = said.unwrap_or_default();
            return Err(Fault::Damaged(format!("{group} belongs to {said}, not {}", layer.name)));
        }
        let mut parts: Vec<&str> =
            roles.iter().map(|role| role.rsplit_once('/').map_or("", |(part, _)| part)).collect();
        parts.dedup();
        let mut places = Vec::new();
        for part in parts {
            places.extend(self.vars(&self.part(group, part)?)?);
        }
        with_roles(layer, places)
    }

    /// The group of a layer inside a layer: `query_dense`, `_query_dense` of Keras 2, or `layer`.
    fn part(&self, group: &str, part: &str) -> Result<String, Fault> {
        if part.is_empty() {
            return Ok(group.to_owned());
        }
        let below = self.below(group)?;
        let names = [part.to_owned(), format!("{part}_dense"), format!("_{part}_dense")];
        let name = names.into_iter().find(|name| below.contains(name));
        let name = name.ok_or_else(|| Fault::Damaged(format!("{group} has no {part}")))?;
        Ok(self.joined(group, &name))
    }

    /// The arrays of one group, by their numbers.
    fn vars(&self, group: &str) -> Result<Vec<String>, Fault> {
        let group = format!("{group}/vars");
        let names = self.file.arrays(&group)?;
        let mut numbers: Vec<usize> = names.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|number| format!("{group}/{number}")).collect())
    }

    fn gather(&self, group: &str, depth: usize, places: &mut Vec<String>) -> Result<(), Fault> {
        places.extend(self.vars(group)?);
        if depth < MAX_DEPTH {
            for name in self.below(group)?.iter().filter(|name| *name != "vars") {
                self.gather(&self.joined(group, name), depth + 1, places)?;
            }
        }
        Ok(())
    }
}

fn has_weights(layer: &Layer) -> bool {
    match &layer.model {
        Some(model) => model.layers.iter().any(has_weights),
        None => roles(layer).is_none_or(|roles| !roles.is_empty()),
    }
}

/// Keras's `to_snake_case` of a class: `Conv2D` is `conv2d`, `PReLU` is `p_re_lu`.
fn snake(layer: &Layer) -> String {
    let class = match (&layer.model, layer.class.as_str()) {
        (Some(_), "Model") => "functional",
        (_, class) => class,
    };
    let letters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut words = String::new();
    // Before every capital that a small letter follows, then between a small letter and a capital.
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let followed = letters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let after_small = before.is_some_and(|before| before.is_ascii_lowercase());
        if letter.is_ascii_uppercase() && before.is_some() && (followed || after_small) {
            words.push('_');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_become_the_names_that_keras_gives_their_groups() {
        // Computed with keras.src.utils.naming.to_snake_case of Keras 3.15.1.
        for (class, name) in [
            ("Conv2D", "conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("ReLU", "re_lu"),
            ("PReLU", "p_re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("ELU", "elu"),
            ("Functional", "functional"),
            ("SeparableConv2D", "separable_conv2d"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("LSTM", "lstm"),
            ("EinsumDense", "einsum_dense"),
            ("TFOpLambda", "tf_op_lambda"),
        ] {
            let layer = Layer {
                class: class.to_owned(),
                package: None,
                name: String::new(),
                config: serde_json::Map::new(),
                calls: Vec::new(),
                model: None,
            };
            assert_eq!(snake(&layer), name);
        }
    }
}
