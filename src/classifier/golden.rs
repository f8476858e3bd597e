//! Golden images: what a model answers for them when it is packed, and that it still does.

use std::path::Path;

use half::f16;

use crate::{
    config,
    decode::Limits,
    engine::{Engine as _, Feed, OrtEngine},
    error::RunError,
    labels::Labels,
    package::Golden,
    rank::{self, Ranked},
    recipe::{Activation, Element, InputSpec, Recipe},
    tensor::Workbench,
};

/// A probability may differ by this much before the answer counts as another: processors and GPUs
/// add in different orders, and quantised models amplify it. A score that is none may by this share
/// of itself.
const TOLERANCE: f64 = 0.02;

/// The `k` best classes of each of a few images, given as the bytes of their files with their names.
/// `unconfirmed` is the file that says the activation, when no person does.
///
/// # Errors
///
/// `Model` when an image cannot be prepared, the model fails, or its scores are not what the file
/// says.
pub(super) fn answers(
    engine: &mut OrtEngine,
    recipe: &Recipe,
    input: &InputSpec,
    (images, k): (&[(&str, &[u8])], usize),
    (limits, unconfirmed): (Limits, Option<&str>),
) -> Result<(Activation, Vec<Vec<Ranked>>), RunError> {
    let scores = match recipe.element {
        Element::U8 => scores::<u8>(engine, (recipe, input), images, limits),
        Element::F16 => scores::<f16>(engine, (recipe, input), images, limits),
        Element::F32 => scores::<f32>(engine, (recipe, input), images, limits),
    }?;
    if images.is_empty() {
        return Ok((recipe.activation.unwrap_or(Activation::None), Vec::new()));
    }
    let classes = scores.len() / images.len();
    if let (Some(said), Some(sayer)) = (recipe.activation, unconfirmed) {
        rank::confirm(said, sayer, &scores, classes).map_err(RunError::Model)?;
    }
    let activation = match recipe.activation {
        Some(said) => said,
        None => rank::detect(&scores, classes).map_err(RunError::Model)?.activation,
    };
    if recipe.temperature.is_some() {
        rank::scaled(activation, &scores, classes).map_err(RunError::Model)?;
    }
    let best = |row: &[f32]| {
        rank::top_k(row, activation, recipe.temperature, k)
            .map_err(|error| RunError::Model(error.to_string()))
    };
    let best: Result<Vec<_>, _> = scores.chunks_exact(classes).map(best).collect();
    Ok((activation, best?))
}

fn scores<T: Feed>(
    engine: &mut OrtEngine,
    (recipe, input): (&Recipe, &InputSpec),
    images: &[(&str, &[u8])],
    limits: Limits,
) -> Result<Vec<f32>, RunError> {
    let mut bench = Workbench::new(recipe.clone(), limits);
    let (mut all, mut scores) = (Vec::new(), Vec::new());
    for (name, bytes) in images {
        let fail = |reason: String| RunError::Model(format!("the image {name}: {reason}"));
        let mut tensor =
            bench.prepare::<T>(bytes, Path::new(name)).map_err(|error| fail(error.to_string()))?;
        tensor.resize(tensor.len() * input.batch.unwrap_or(1), T::default());
        engine.score(&tensor, 1, &mut scores).map_err(fail)?;
        all.extend_from_slice(&scores);
    }
    Ok(all)
}

/// Checks that the model still answers what it did when it was packed.
///
/// # Errors
///
/// `Model`, with both answers, when it does not.
pub(super) fn check(
    engine: &mut OrtEngine,
    recipe: &Recipe,
    input: &InputSpec,
    (goldens, labels): (&[Golden], Option<&Labels>),
) -> Result<(), RunError> {
    let images: Vec<_> = goldens.iter().map(|g| (g.name.as_str(), &g.image[..])).collect();
    // They were packed under the usual limits, whatever those of this run are.
    let (limits, _) = config::usual_limits();
    let (_, found) = answers(engine, recipe, input, (&images, 1), (limits, None))?;
    let named = |class: usize| labels.and_then(|labels| labels.name(class)).unwrap_or("no name");
    for (golden, found) in goldens.iter().zip(found.into_iter().flatten()) {
        let most = TOLERANCE * golden.probability.abs().max(1.0);
        let near = (found.probability - golden.probability).abs() <= most;
        if found.class == golden.class && near {
            continue;
        }
        return Err(RunError::Model(format!(
            "the golden image {} of this package was class {} ({}) with {:.3} when it was packed, \
             and is class {} ({}) with {:.3} now\nhint: the model, the recipe, ONNX Runtime or the \
             device is another one; pack the original again and look at `linnaeus inspect`",
            golden.name,
            golden.class,
            named(golden.class),
            golden.probability,
            found.class,
            named(found.class),
            found.probability
        )));
    }
    Ok(())
}
