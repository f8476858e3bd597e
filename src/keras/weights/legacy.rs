//! Weights of HDF5 models: a group for each layer of the outermost model, with a list of names.

use std::collections::BTreeMap;

use super::{
    Placed,
    roles::{is_trained, roles},
    variable, with_roles,
};
use crate::keras::{Layer, Model, error::Fault, hdf5::Hdf5};

/// Finds the arrays of every layer.
pub(in crate::keras) fn place(file: &Hdf5, model: &Model) -> Result<Vec<Placed>, Fault> {
    let whole = file.texts("model_weights", "layer_names")?.is_some();
    let root = if whole { "model_weights/" } else { "" };
    let mut placed = Vec::new();
    for layer in model.layers.iter().filter(|layer| !layer.is_input()) {
        // Names have slashes, which make groups in groups; so a group is found by its path.
        let group = format!("{root}{}", layer.name);
        let names = file.texts(&group, "weight_names")?.unwrap_or_default();
        let places: Vec<String> = names.iter().map(|name| format!("{group}/{name}")).collect();
        if let Some(inner) = &layer.model {
            placed.extend(nested(layer, inner, &places)?);
        } else {
            let arrays = with_roles(layer, places)?;
            placed.push(Placed { layer: vec![layer.name.clone()], arrays });
        }
    }
    Ok(placed)
}

/// A leaf of a nested model, with the names of the models from the outermost on.
type Leaf<'a> = (Vec<String>, &'a Layer);

/// A nested model's arrays lie in one list. Their names say whose they are; where they do not, their
/// order does: what is trained first, then the rest.
fn nested(outer: &Layer, model: &Model, places: &[String]) -> Result<Vec<Placed>, Fault> {
    let leaves: Vec<Leaf> = (model.walk().into_iter())
        .filter(|(_, layer)| layer.model.is_none() && !layer.is_input())
        .map(|(path, layer)| {
            let path = path.into_iter().map(str::to_owned);
            (std::iter::once(outer.name.clone()).chain(path).collect(), layer)
        })
        .collect();
    let named = by_name(&leaves, places);
    let ordered = by_order(outer, &leaves, places);
    match (named, ordered) {
        (Some(named), Some(ordered)) if named != ordered => Err(Fault::Damaged(format!(
            "names and order of the weights of the nested model {} contradict each other",
            outer.name
        ))),
        (Some(found), _) | (None, Some(found)) => Ok(found),
        (None, None) => Err(Fault::Damaged(format!(
            "the {} arrays of the nested model {} do not fit its layers",
            places.len(),
            outer.name
        ))),
    }
}

/// `None` when a name fits no layer, two layers have one name, or a layer gets the wrong number.
fn by_name(leaves: &[Leaf], places: &[String]) -> Option<Vec<Placed>> {
    let mut names: Vec<(String, &str)> =
        leaves.iter().map(|(_, layer)| (format!("/{}/", layer.name), &*layer.name)).collect();
    names.sort_unstable_by_key(|(_, name)| (std::cmp::Reverse(name.len()), *name));
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return None;
    }
    let mut owned: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for place in places {
        let owner = place.strip_suffix(place.rsplit('/').next()?)?;
        let run = format!("/{owner}");
        let (_, name) = names.iter().find(|(part, _)| run.contains(part))?;
        owned.entry(name).or_default().push(place.clone());
    }
    let placed = leaves.iter().map(|(path, layer)| {
        let places = owned.remove(&*layer.name).unwrap_or_default();
        let arrays = with_roles(layer, places).ok()?;
        Some(Placed { layer: path.clone(), arrays })
    });
    placed.collect()
}

/// `None` when a class is not known, or the number is wrong.
fn by_order(outer: &Layer, leaves: &[Leaf], places: &[String]) -> Option<Vec<Placed>> {
    let model = outer.model.as_ref()?;
    let mut order = Vec::new();
    let mut rest = Vec::new();
    list(model, outer.trainable(), &mut 0, &mut order, &mut rest)?;
    order.extend(rest);
    if order.len() != places.len() {
        return None;
    }
    let mut placed: Vec<Placed> =
        leaves.iter().map(|(path, _)| Placed { layer: path.clone(), arrays: Vec::new() }).collect();
    for ((leaf, role), place) in order.into_iter().zip(places) {
        placed.get_mut(leaf)?.arrays.push((role, place.clone()));
    }
    // Within a layer the roles have their own order, whichever came first in the file.
    for (placed, (_, layer)) in placed.iter_mut().zip(leaves) {
        let roles = roles(layer)?;
        placed.arrays.sort_by_key(|(role, _)| roles.iter().position(|known| known == role));
        if placed.arrays.iter().any(|(role, place)| !same_variable(role, variable(place))) {
            return None;
        }
    }
    Some(placed)
}

/// Whether a variable's name agrees with a role, where it is a name that says anything.
fn same_variable(role: &str, name: &str) -> bool {
    let known = ["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"];
    !known.contains(&name) || role.rsplit('/').next() == Some(name)
}

/// Lists `(leaf, role)`: what is trained into `first`, the rest into `last`; a frozen model's
/// layers go to `last` whole, one after the other.
fn list(
    model: &Model,
    trains: bool,
    next: &mut usize,
    first: &mut Vec<(usize, String)>,
    last: &mut Vec<(usize, String)>,
) -> Option<()> {
    for layer in model.layers.iter().filter(|layer| !layer.is_input()) {
        let trains = trains && layer.trainable();
        if let Some(inner) = &layer.model {
            list(inner, trains, next, first, last)?;
            continue;
        }
        for role in roles(layer)? {
            let to = if trains && is_trained(&role) { &mut *first } else { &mut *last };
            to.push((*next, role));
        }
        *next += 1;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The base of `nested_2.h5` and `nested_frozen_2.h5`, made by `tests/models/make_keras.py`.
    fn outer(trainable: bool) -> Model {
        let layer =
            |class: &str, name: &str| json!({"class_name": class, "config": {"name": name}});
        let inner = json!({"class_name": "Sequential", "config": {
            "name": "inner", "layers": [layer("Dense", "a"), layer("Dense", "b")]}});
        let stem = [layer("Conv2D", "stem"), layer("BatchNormalization", "bn"), inner];
        let base = json!({"class_name": "Sequential", "config": {
            "name": "base", "trainable": trainable, "layers": stem}});
        let model = json!({"class_name": "Sequential", "config": {"name": "m", "layers": [base]}});
        Model::parse(&model).unwrap()
    }

    #[test]
    fn weights_whose_names_say_nothing_are_told_by_their_order() {
        // The orders in which tf_keras 2.21 lists them.
        let trained = "stem/kernel stem/bias bn/gamma bn/beta a/kernel a/bias b/kernel b/bias \
                       bn/moving_mean bn/moving_variance";
        let frozen = "stem/kernel stem/bias bn/gamma bn/beta bn/moving_mean bn/moving_variance \
                      a/kernel a/bias b/kernel b/bias";
        for (trainable, order) in [(true, trained), (false, frozen)] {
            let model = outer(trainable);
            let base = model.layer("base").unwrap();
            let places: Vec<String> = (0..10).map(|at| format!("base/w{at}:0")).collect();
            let placed = nested(base, base.model.as_ref().unwrap(), &places).unwrap();
            let mut found = vec![String::new(); 10];
            for Placed { layer, arrays } in placed {
                for (role, place) in arrays {
                    let at = places.iter().position(|known| *known == place).unwrap();
                    found[at] = format!("{}/{role}", layer.last().unwrap());
                }
            }
            assert_eq!(found.join(" "), order);
            assert!(nested(base, base.model.as_ref().unwrap(), &places[1..]).is_err());
        }
    }
}
