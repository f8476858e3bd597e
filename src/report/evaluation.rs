//! The page of an evaluation.

use std::{collections::BTreeMap, path::Path};

use minijinja::{Error, Value, context, value::Serde};
use serde::Serialize;

use super::{chart, environment, matrix, page_parts, text};
use crate::{
    evaluate::{Evaluation, Report, album::Shown},
    metrics::{Curve, Loss},
    output,
    truth::Correction,
};

/// Wrong images that the page lists for a click on a cell, and without any.
const MOST_WRONG: usize = 3000;
const MOST_WRONG_ROWS: usize = 100;
/// Points of a curve in the page.
const MOST_POINTS: usize = 24;

/// Renders the page that is to lie in `folder`, beside the file named `json`.
pub(super) fn page(evaluation: &Evaluation, folder: &Path, json: &str) -> Result<String, Error> {
    let Evaluation { report, confusion, coverage, confidences, names, wrong, .. } = evaluation;
    let environment = environment()?;
    let order = matrix::order(confusion);
    let whole = order.len() <= matrix::MOST_WHOLE;
    let drawn = if whole { order.clone() } else { matrix::excerpt(confusion, &order) };
    let named = |class: u32| text::visible(&names[&class]);
    let wrong_row = |(path, truth, predicted, confidence): &(String, u32, u32, f64)| {
        (path.clone(), named(*truth), named(*predicted), *confidence)
    };
    let run = environment.get_template("run.html")?;
    let run = run.render(context! { about => Serde(&report.predictions) })?;
    let charts = context! {
        matrix => matrix::whole(confusion, &drawn, names),
        matrix_count => drawn.len(),
        blocks => if whole { None } else { Some(matrix::blocks(confusion, &order)) },
        per_block => matrix::per_block(&order),
        reliability => chart::reliability(&report.calibration),
        histogram => chart::confidences(confidences),
        coverage => chart::coverage(coverage),
    };
    let words = context! {
        json => json,
        unmatched => evaluation.unmatched.len(),
        r => with_cards(evaluation, folder),
        run => run,
        names => Serde(names),
        notices => notices(report),
        shown_classes => report.classes.iter().filter(|class| class.figures.support > 0).count(),
        class_count => report.classes.len(),
        class_total => report.predictions.classes.unwrap_or(0),
        wrong_count => wrong.len(),
        wrong => wrong.iter().take(MOST_WRONG_ROWS).map(wrong_row).collect::<Vec<_>>(),
        log_loss => loss(report.losses.log_loss),
        brier => loss(report.losses.brier),
        no_temperature => no_temperature(report),
        data => text::json(&Data::new(evaluation, order)),
    };
    let template = environment.get_template("evaluation.html")?;
    template.render(context! { ..words, ..charts, ..page_parts() })
}

/// What the script needs.
#[derive(Serialize)]
struct Data {
    names: BTreeMap<u32, String>,
    order: Vec<u32>,
    cells: Vec<(u32, u32, u64)>,
    wrong: Vec<(String, u32, u32, f64)>,
    /// Recall and precision in thousandths.
    curves: BTreeMap<u32, Vec<[u16; 2]>>,
    /// Corrections that were already made: path cells, and classes with `|` between them.
    corrected: Vec<(String, String)>,
}

impl Data {
    fn new(evaluation: &Evaluation, order: Vec<u32>) -> Self {
        let Evaluation { confusion, curves, names, wrong, .. } = evaluation;
        let row = |(path, truth, predicted, confidence): &(String, u32, u32, f64)| {
            (text::name(path), *truth, *predicted, *confidence)
        };
        Self {
            names: names.iter().map(|(class, name)| (*class, text::visible(name))).collect(),
            order,
            cells: confusion.cells.iter().map(|(&(t, p), &count)| (t, p, count)).collect(),
            wrong: wrong.iter().take(MOST_WRONG).map(row).collect(),
            corrected: corrected(evaluation),
            curves: curves.iter().map(|(class, curve)| (*class, thinned(curve))).collect(),
        }
    }
}

fn corrected(evaluation: &Evaluation) -> Vec<(String, String)> {
    let row = |Correction { path, classes }: &Correction| {
        let classes: Vec<_> = classes.iter().map(u32::to_string).collect();
        (output::guarded_path(path), classes.join("|"))
    };
    evaluation.report.truth.corrections.iter().map(row).collect()
}

fn thinned(curve: &Curve) -> Vec<[u16; 2]> {
    let points = &curve.points;
    let stride = points.len().div_ceil(MOST_POINTS).max(1);
    let mut places: Vec<usize> = (0..points.len()).step_by(stride).collect();
    places.extend(points.len().checked_sub(1));
    places.dedup();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    let thousandths = |share: f64| (1000.0 * share).round() as u16;
    places.into_iter().map(|at| [thousandths(points[at][2]), thousandths(points[at][1])]).collect()
}

/// The report with what a card of a gallery shows.
fn with_cards(evaluation: &Evaluation, folder: &Path) -> Value {
    let Evaluation { report, names, .. } = evaluation;
    let galleries = &report.galleries;
    let boxed = galleries.worst.iter().chain(&galleries.unsure).any(|one| one.picture.is_some());
    let card = |one: &Shown| card(one, boxed, names, folder);
    let cards = |all: &[Shown]| all.iter().map(card).collect::<Vec<_>>();
    let pairs: Vec<Vec<Value>> =
        galleries.duplicates.iter().map(|(a, b)| vec![card(a), card(b)]).collect();
    context! {
        galleries => context! {
            worst => cards(&galleries.worst),
            unsure => cards(&galleries.unsure),
            label_errors => (galleries.label_errors.0, cards(&galleries.label_errors.1)),
            odd => cards(&galleries.odd),
            duplicates => pairs,
            looked_at => galleries.looked_at,
            not_found => galleries.not_found,
        },
        ..Value::from(Serde(report))
    }
}

/// `boxed` is whether there is room for a picture, as other cards have one.
fn card(one: &Shown, boxed: bool, names: &BTreeMap<u32, String>, folder: &Path) -> Value {
    let short = |class: u32, name: &str| text::visible(names.get(&class).map_or(name, |s| s));
    let (predicted, says, confidence) = one.top.first().cloned().unwrap_or_default();
    let says = short(predicted, &says);
    let is = one.truth.iter().zip(&one.truth_names);
    let is: Vec<String> = is.map(|(&class, name)| short(class, name)).collect();
    let is = is.join(" or ");
    let looks_like = one.looks_like.as_ref().map(|(class, name)| short(*class, name));
    let likely = one.looks_like.iter().map(|(class, name)| (*class, name));
    let best = one.top.iter().map(|(class, name, _)| (*class, name));
    let mut choices: Vec<(u32, String)> = Vec::new();
    for (class, name) in likely.chain(best) {
        let known = |(other, _): &(u32, String)| *other == class;
        if !one.truth.contains(&class) && !choices.iter().any(known) {
            choices.push((class, short(class, name)));
        }
    }
    let search = format!("{} {} {}", text::name(&one.path), is, says);
    context! {
        path => one.path.clone(),
        cell => output::guarded_path(&one.path),
        truth => one.truth.clone(),
        predicted => predicted,
        says => says,
        looks_like => looks_like,
        choices => choices,
        is => is,
        confidence => confidence,
        right => one.truth.contains(&predicted),
        note => one.note.clone(),
        // Base64 alone: escaping would only make it longer.
        picture => one.picture.clone().map(Value::from_safe_string),
        boxed => boxed,
        href => one.picture.is_some().then(|| text::href(&one.image, folder)),
        search => search.to_lowercase(),
    }
}

/// What a reader has to know before the figures.
pub(super) fn notices(report: &Report) -> Vec<String> {
    let Report { predictions, truth, .. } = report;
    let mut notices = Vec::new();
    let failed: u64 = predictions.failed.values().sum();
    if failed > 0 {
        let each: Vec<_> =
            predictions.failed.iter().map(|(status, count)| format!("{count} {status}")).collect();
        notices.push(format!("Images without a prediction: {failed} ({}).", each.join(", ")));
    }
    for (count, what) in [
        (truth.without_truth.count, "Rows without a truth, which are in no figure"),
        (truth.without_row.count, "Images of the truth without a row"),
    ] {
        if count > 0 {
            notices.push(format!("{what}: {count}; see Truth."));
        }
    }
    if !truth.unknown.is_empty() {
        let images: u64 = truth.unknown.values().map(|unknown| unknown.images).sum();
        notices.push(format!(
            "Names in the truth that are no class of the model: {}, of {images} images, which are not scored; \
             see Truth.",
            truth.unknown.len()
        ));
    }
    notices.extend(predictions.notes.iter().chain(&truth.notes).map(|note| text::visible(note)));
    notices
}

fn loss(loss: Loss) -> String {
    match loss {
        Loss::Exact { value } => format!("{value:.4}"),
        Loss::AtLeast { value, unlisted } => format!(
            "at least {value:.4} (the rows hold only the best classes; {unlisted} images do not list the \
             right one)"
        ),
    }
}

fn no_temperature(report: &Report) -> &'static str {
    match report.predictions.classes {
        None => "how many classes the model has is not known; give `--labels`",
        Some(_) if report.predictions.notes.iter().any(|note| note.contains("multi-label")) => {
            "the classes do not exclude each other"
        }
        Some(_) => "none between 0.05 and 20 fits best, as when all answers are right",
    }
}
