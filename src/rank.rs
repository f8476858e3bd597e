//! Scores to the most probable classes. Pure: no model, no file.

use crate::{
    error::ItemError,
    recipe::{Activation, Temperature},
};

/// One class of one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Class index.
    pub class: usize,
    /// Its probability, or its score when the activation is `none`.
    pub probability: f64,
}

/// Largest deviation of a probability row's sum from 1 that half-precision models show.
const SUM_TOLERANCE: f64 = 5e-3;

/// The evidence of probabilities of classes that exclude each other.
const ADD_UP: &str = "its outputs are probabilities already: they add up to 1";

/// What was found out about scores whose recipe leaves the activation open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detected {
    /// What will be applied.
    pub activation: Activation,
    /// On what evidence, as a sentence's end.
    pub because: &'static str,
}

/// Decides from the first batch whether scores are logits or probabilities already.
///
/// `scores` is N×`classes`, row-major; rows with NaN or infinities are left out, and at least one
/// other has to be there.
///
/// # Errors
///
/// A message when the rows look like probabilities on another scale (quantised models that answer
/// 0 to 255): neither a softmax nor nothing would be right without being asked for.
pub fn detect(scores: &[f32], classes: usize) -> Result<Detected, String> {
    let rows = || scores.chunks_exact(classes).filter(|row| row.iter().all(|x| x.is_finite()));
    let sum = |row: &[f32]| row.iter().copied().map(f64::from).sum::<f64>();
    let within = |low: f32, high: f32| rows().all(|row| row.iter().all(|&x| low <= x && x <= high));
    let found = |activation, because| Ok(Detected { activation, because });
    if classes == 1 {
        return if within(0.0, 1.0) {
            found(Activation::None, "its one output lies between 0 and 1")
        } else {
            found(Activation::Sigmoid, "its one output is not limited to 0 to 1")
        };
    }
    if within(0.0, 1.0) {
        return if rows().all(|row| (sum(row) - 1.0).abs() <= SUM_TOLERANCE) {
            found(Activation::None, ADD_UP)
        } else {
            found(
                Activation::None,
                "its outputs lie between 0 and 1 and do not add up to 1, as a multi-label model's",
            )
        };
    }
    let mut sums = rows().map(sum);
    let first = sums.next().unwrap_or(0.0);
    let constant = sums.all(|other| (other - first).abs() <= first * 0.02);
    let whole = rows().all(|row| row.iter().all(|x| x.fract() == 0.0));
    if within(0.0, 256.0) && constant && whole && (200.0..=270.0).contains(&first) {
        return Err(format!(
            "the model answers whole numbers from 0 to 255 that add up to {first}, as a quantised \
             model does whose outputs are probabilities\nhint: say `activation = \"none\"` under \
             `[recipe]` to write them as they are, or `activation = \"softmax\"`"
        ));
    }
    found(Activation::Softmax, "its outputs are not limited to 0 to 1")
}

/// So many scores do not lie between 0 and 1 by chance.
const CHANCE: usize = 32;

/// Checks the activation that `sayer`, a file, says against the first scores, N×`classes`.
///
/// Scores beyond 0 to 1 are never probabilities. Others are, where rows add up to 1, or there are
/// too many of them for chance.
///
/// # Errors
///
/// A message that says what contradicts it; those of [`detect`].
pub fn confirm(
    said: Activation,
    sayer: &str,
    scores: &[f32],
    classes: usize,
) -> Result<(), String> {
    let found = detect(scores, classes)?;
    let right = match (said, found.activation) {
        (Activation::None, found) => found == Activation::None,
        (_, Activation::None) => scores.len() < CHANCE && found.because != ADD_UP,
        _ => true,
    };
    if right {
        return Ok(());
    }
    Err(format!(
        "`activation = \"{said}\"` is said by {sayer}, and the first images contradict it: {}\n\
         hint: say `activation = \"{}\"` under `[recipe]` if the images are right, or `{said}` to \
         insist",
        found.because, found.activation
    ))
}

/// What a temperature is applied to, by the first scores, N×`classes`: logits, or the logarithms of
/// probabilities, which are logits up to a constant that a softmax does not see.
///
/// # Errors
///
/// A message when the scores are not of classes that exclude each other.
pub fn scaled(
    activation: Activation,
    scores: &[f32],
    classes: usize,
) -> Result<&'static str, String> {
    let reason = match activation {
        _ if classes == 1 => "it answers one score".to_owned(),
        Activation::Softmax => return Ok("logits"),
        Activation::Sigmoid => "a sigmoid is applied to each score on its own".to_owned(),
        Activation::None => match detect(scores, classes)? {
            Detected { because: ADD_UP, .. } => return Ok("logarithms of probabilities"),
            Detected { activation: Activation::None, because } => because.to_owned(),
            _ => "`activation` is `none`, and its outputs are no probabilities".to_owned(),
        },
    };
    Err(format!(
        "`temperature` cannot be applied to this model: {reason}; it scales classes that exclude each \
         other\nhint: drop `temperature`, or say the right `activation`"
    ))
}

/// Checks that one row of scores has a ranking.
///
/// # Errors
///
/// `bad_scores`, with the first class whose score is NaN or infinite.
pub fn check(scores: &[f32]) -> Result<(), ItemError> {
    match scores.iter().position(|score| !score.is_finite()) {
        Some(class) => Err(ItemError::BadScores { class, value: scores[class] }),
        None => Ok(()),
    }
}

/// Returns the `k` best classes of one row of scores, best first; equal scores keep the order of
/// their classes, so that no sort and no device decides it.
///
/// # Errors
///
/// `bad_scores` when any score is NaN or infinite: such a row has no ranking.
pub fn top_k(
    scores: &[f32],
    activation: Activation,
    temperature: Option<Temperature>,
    k: usize,
) -> Result<Vec<Ranked>, ItemError> {
    check(scores)?;
    // All are finite, so `partial_cmp` orders them, and takes −0 and 0 for the tie that they are.
    let best_first = |&a: &usize, &b: &usize| {
        scores[b].partial_cmp(&scores[a]).expect("finite scores have an order").then(a.cmp(&b))
    };
    let k = k.min(scores.len());
    let mut order: Vec<usize> = (0..scores.len()).collect();
    if k < order.len() {
        order.select_nth_unstable_by(k, best_first);
        order.truncate(k);
    }
    order.sort_unstable_by(best_first);

    let peak = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let beta = temperature.map_or(1.0, |temperature| 1.0 / temperature.value());
    let weight = |score: f32| match activation {
        Activation::Softmax => ((f64::from(score) - f64::from(peak)) * beta).exp(),
        // The logarithms of a softmax's probabilities are its logits up to a constant.
        Activation::None if temperature.is_some() => {
            (f64::from(score.max(0.0)) / f64::from(peak)).powf(beta)
        }
        Activation::None => f64::from(score),
        Activation::Sigmoid => 1.0 / (1.0 + (-f64::from(score)).exp()),
    };
    let total: f64 = match (activation, temperature) {
        (Activation::Softmax, _) | (Activation::None, Some(_)) => {
            scores.iter().copied().map(weight).sum()
        }
        _ => 1.0,
    };
    let probability = |score: f32| weight(score) / total;
    let ranked = |class: usize| Ranked { class, probability: probability(scores[class]) };
    Ok(order.into_iter().map(ranked).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_and_sigmoid_are_the_known_ones() {
        // Vector S1 of the project's preprocessing research.
        let row = [1.0, 2.0, 3.0];
        let close = |activation, expected: [f64; 3]| {
            let ranked = top_k(&row, activation, None, 3).unwrap();
            for (ranked, expected) in ranked.iter().zip(expected) {
                assert!((ranked.probability - expected).abs() < 1e-6, "{ranked:?}");
            }
            assert_eq!(ranked.iter().map(|r| r.class).collect::<Vec<_>>(), [2, 1, 0]);
        };
        close(Activation::Softmax, [0.665_241, 0.244_728, 0.090_031]);
        close(Activation::Sigmoid, [0.952_574, 0.880_797, 0.731_059]);
        close(Activation::None, [3.0, 2.0, 1.0]);
    }

    #[test]
    fn a_temperature_scales_logits_and_what_a_softmax_made_of_them_alike() {
        // scipy.special.softmax([1, 2, 3] / 2), and of [1, 2, 3].
        let expected = [0.506_480_39, 0.307_195_89, 0.186_323_72];
        let probabilities = [0.090_030_57_f32, 0.244_728_48, 0.665_240_94];
        let two = Some(Temperature::new(2.0).unwrap());
        for (row, activation, of) in [
            ([1.0, 2.0, 3.0], Activation::Softmax, "logits"),
            (probabilities, Activation::None, "logarithms of probabilities"),
        ] {
            assert_eq!(scaled(activation, &row, 3).unwrap(), of);
            let ranked = top_k(&row, activation, two, 3).unwrap();
            assert_eq!(ranked.iter().map(|r| r.class).collect::<Vec<_>>(), [2, 1, 0]);
            for (ranked, expected) in ranked.iter().zip(expected) {
                assert!((ranked.probability - expected).abs() < 1e-7, "{ranked:?}");
            }
        }
        let certain = top_k(&[0.0, 1.0], Activation::None, two, 2).unwrap();
        assert_eq!([certain[0].probability, certain[1].probability], [1.0, 0.0]);
    }

    #[test]
    fn a_temperature_is_refused_where_classes_do_not_exclude_each_other() {
        for (activation, scores, classes, word) in [
            (Activation::Sigmoid, &[1.0, 2.0][..], 2, "sigmoid"),
            (Activation::None, &[0.9, 0.8], 2, "multi-label"),
            (Activation::None, &[3.0, -1.0], 2, "no probabilities"),
            (Activation::Softmax, &[0.5], 1, "one score"),
        ] {
            let message = scaled(activation, scores, classes).unwrap_err();
            assert!(message.contains(word) && message.contains("temperature"), "{message}");
        }
    }

    #[test]
    fn ties_keep_class_order_for_every_k() {
        let row = [1.0, 5.0, 5.0, 0.0, 5.0];
        for k in 1..=9 {
            let classes: Vec<_> = top_k(&row, Activation::Softmax, None, k)
                .unwrap()
                .iter()
                .map(|r| r.class)
                .collect();
            assert_eq!(classes, [1, 2, 4, 0, 3][..k.min(5)], "k = {k}");
        }
        assert_eq!(top_k(&[-0.0, 0.0], Activation::None, None, 1).unwrap()[0].class, 0);
    }

    #[test]
    fn a_row_without_order_is_an_error_that_names_the_class() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = top_k(&[0.0, value], Activation::Softmax, None, 1).unwrap_err();
            assert_eq!(error.code(), "bad_scores");
            assert!(error.to_string().contains("class 1"), "{error}");
        }
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        let ranked = top_k(&[3e38, -3e38, 2.9e38], Activation::Softmax, None, 2).unwrap();
        assert_eq!((ranked[0].class, ranked[0].probability), (0, 1.0));
    }

    #[test]
    fn probabilities_are_never_softmaxed_again() {
        let activation = |scores: &[f32], classes| detect(scores, classes).unwrap().activation;
        assert_eq!(activation(&[0.2, 0.8, 0.5, 0.5], 2), Activation::None);
        assert_eq!(activation(&[0.9, 0.8, 0.1, 0.2], 2), Activation::None);
        assert_eq!(activation(&[2.0, -1.0, 0.5, 0.5], 2), Activation::Softmax);
        assert_eq!(activation(&[0.3, 0.9], 1), Activation::None);
        assert_eq!(activation(&[-3.0, 0.9], 1), Activation::Sigmoid);
        let quantised = [213.0, 18.0, 25.0, 100.0, 100.0, 56.0];
        assert!(detect(&quantised, 3).unwrap_err().contains("activation"));
    }

    #[test]
    fn what_a_file_says_of_scores_is_held_to_them() {
        let right = |said, scores: &[f32], classes| confirm(said, "x.json", scores, classes);
        let logits = [2.0, -1.0, 0.5, 0.5];
        assert!(right(Activation::Softmax, &logits, 2).is_ok());
        assert!(right(Activation::Sigmoid, &logits, 2).is_ok());
        assert!(right(Activation::None, &logits, 2).unwrap_err().contains("x.json"));
        assert!(right(Activation::None, &[-3.0], 1).is_err());
        let probabilities = [0.2, 0.8, 0.5, 0.5];
        assert!(right(Activation::None, &probabilities, 2).is_ok());
        assert!(right(Activation::Softmax, &probabilities, 2).is_err());
        // One image's logits may lie between 0 and 1; those of many do not.
        assert!(right(Activation::Softmax, &[0.3, 0.9], 2).is_ok());
        assert!(right(Activation::Softmax, &[0.3, 0.9].repeat(16), 2).is_err());
    }
}
