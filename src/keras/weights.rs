//! Which array belongs to which layer, in each of the containers.

use super::{
    config::Layer,
    error::Fault,
    tensor::{Element, Tensor},
};

pub(in crate::keras) mod bundle;
pub(super) mod legacy;
mod roles;
pub(super) mod v3;

/// One array of a layer's weights, not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Names of the models around the layer, from outside, and its own.
    pub layer: Vec<String>,
    /// What it is to the layer: `kernel`, `bias`, `gamma`, `query/kernel`.
    pub role: String,
    /// Its name in the container.
    pub place: String,
    /// Its sides.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub element: Element,
}

/// The places of one layer's arrays, by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) layer: Vec<String>,
    /// Role and place.
    pub(super) arrays: Vec<(String, String)>,
}

/// Where arrays are read from.
pub(crate) trait Store {
    fn outline(&self, place: &str) -> Result<(Vec<usize>, Element), Fault>;
    fn read(&self, place: &str) -> Result<Tensor, Fault>;
}

pub(super) fn index(store: &dyn Store, placed: Vec<Placed>) -> Result<Vec<Weight>, Fault> {
    let mut weights = Vec::new();
    for Placed { layer, arrays } in placed {
        for (role, place) in arrays {
            let (shape, element) = store.outline(&place)?;
            weights.push(Weight { layer: layer.clone(), role, place, shape, element });
        }
    }
    Ok(weights)
}

/// Gives a layer's arrays, in their stored order, their roles.
///
/// # Errors
///
/// `Damaged` when there are more or fewer than a layer with its settings has.
pub(super) fn with_roles(
    layer: &Layer,
    mut places: Vec<String>,
) -> Result<Vec<(String, String)>, Fault> {
    let Some(mut roles) = roles::roles(layer) else {
        return Ok(places.into_iter().map(|place| (variable(&place).to_owned(), place)).collect());
    };
    if places.len() != roles.len() {
        // Seeds of random generators are no weights.
        places.retain(|place| !place.contains("seed"));
    }
    if places.len() + 1 == roles.len() && roles.last().is_some_and(|last| last == "count") {
        roles.pop();
    }
    if places.len() == roles.len() {
        return Ok(roles.into_iter().zip(places).collect());
    }
    Err(Fault::Damaged(format!(
        "layer {} ({}) has {} arrays of weights and not {} ({})",
        layer.name,
        layer.class,
        places.len(),
        roles.len(),
        roles.join(", ")
    )))
}

/// The last part of a place, without TensorFlow's `:0`.
fn variable(place: &str) -> &str {
    let name = place.rsplit('/').next().unwrap_or(place);
    name.split(':').next().unwrap_or(name)
}
