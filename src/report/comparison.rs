//! The page of a comparison.

use std::path::Path;

use minijinja::{Error, Value, context, value::Serde};

use super::{chart, environment, page_parts, text};
use crate::{
    compare::{ClassChange, Comparison, Flip, Flips, Kind, Report},
    output,
};

/// Renders the page that is to lie in `folder`.
pub(super) fn page(comparison: &Comparison, folder: &Path) -> Result<String, Error> {
    let Comparison { report, changed, confidences, .. } = comparison;
    let environment = environment()?;
    let template = environment.get_template("run.html")?;
    let run = |about| template.render(context! { about => Serde(about) });
    let mut classes = report.truth.as_ref().map_or(Vec::new(), |truth| truth.classes.clone());
    let change = |class: &ClassChange| std::cmp::Reverse(class.a.abs_diff(class.b));
    classes.sort_by(|one, other| {
        one.p_value.total_cmp(&other.p_value).then(change(one).cmp(&change(other)))
    });
    let top1 = report.truth.as_ref().map(|truth| &truth.top1);
    let top5 = report.truth.as_ref().and_then(|truth| truth.top5.as_ref());
    let accuracies = [("top-1 accuracy", top1), ("top-5 accuracy", top5)];
    let accuracies: Vec<Value> = accuracies
        .iter()
        .filter_map(|(name, accuracies)| {
            Some(context! { name => *name, a => Serde((*accuracies)?) })
        })
        .collect();
    let words = context! {
        r => Value::from(Serde(report)),
        run_a => run(&report.a)?,
        run_b => run(&report.b)?,
        cautious => top1.map(|top1| top1.cautious().to_vec()),
        accuracies => accuracies,
        classes => Serde(&classes),
        changed_count => changed.len(),
        kinds => kinds(&report.flips, folder),
        notices => notices(report),
        confidences => chart::both_confidences(confidences),
        data => text::json(&serde_json::json!({ "names": {}, "order": [], "cells": [], "wrong": [] })),
    };
    environment.get_template("comparison.html")?.render(context! { ..words, ..page_parts() })
}

fn kinds(flips: &Flips, folder: &Path) -> Vec<Value> {
    let boxed = flips.shown.iter().any(|flip| flip.picture.is_some());
    let kind = |(kind, title, count): (Kind, &str, u64)| {
        let shown = flips.shown.iter().filter(|flip| flip.kind == kind);
        let cards: Vec<Value> = shown.map(|flip| card(flip, boxed, folder)).collect();
        context! { word => kind.word(), title => title, count => count, cards => cards }
    };
    let all = [
        (Kind::RightToWrong, "Right before, wrong now", flips.right_to_wrong),
        (Kind::WrongToRight, "Wrong before, right now", flips.wrong_to_right),
        (Kind::WrongToOther, "From one wrong class to another", flips.wrong_to_other),
        (Kind::Changed, "Changed", flips.changed),
    ];
    all.into_iter().filter(|(_, _, count)| *count > 0).map(kind).collect()
}

fn card(flip: &Flip, boxed: bool, folder: &Path) -> Value {
    let [says_a, says_b] = [&flip.a, &flip.b].map(|(_, name, _)| text::visible(name));
    let truth: Vec<String> = flip.truth.iter().map(|name| text::visible(name)).collect();
    let is = truth.join(" or ");
    let [class_a, class_b] = match flip.kind {
        Kind::RightToWrong => ["right", "wrong"],
        Kind::WrongToRight => ["wrong", "right"],
        Kind::WrongToOther => ["wrong", "wrong"],
        Kind::Changed => ["", ""],
    };
    let search = format!("{} {is} {says_a} {says_b}", text::name(&flip.path));
    context! {
        path => flip.path.clone(),
        truth => Vec::<u32>::new(),
        predicted => flip.b.0,
        says_a => says_a,
        says_b => says_b,
        confidence_a => flip.a.2,
        confidence_b => flip.b.2,
        class_a => class_a,
        class_b => class_b,
        is => is,
        picture => flip.picture.clone().map(Value::from_safe_string),
        boxed => boxed,
        href => flip.picture.is_some().then(|| text::href(&flip.images[0], folder)),
        search => search.to_lowercase(),
    }
}

/// What a reader has to know before the figures.
pub(super) fn notices(report: &Report) -> Vec<String> {
    let mut notices = Vec::new();
    for (count, what) in [
        (report.only_a.count, "Images only in A"),
        (report.only_b.count, "Images only in B"),
        (report.failed.count, "Images of both without a prediction in one"),
    ] {
        if count > 0 {
            notices.push(format!("{what}, which are in no figure: {count}; see Drift."));
        }
    }
    if let Some(truth) = &report.truth {
        let without = report.images - truth.images;
        if without > 0 {
            notices.push(format!("Images of both without a truth: {without}."));
        }
    }
    for (run, about) in [("A", &report.a), ("B", &report.b)] {
        notices.extend(about.notes.iter().map(|note| format!("{run}: {}", text::visible(note))));
    }
    notices.extend(report.notes.iter().map(|note| text::visible(note)));
    notices
}

/// One line for each image whose answer changed.
pub(super) fn table(flips: &[Flip]) -> Vec<u8> {
    let header = "path,change,truth,index_a,label_a,probability_a,index_b,label_b,probability_b\n";
    let mut out = header.as_bytes().to_vec();
    for flip in flips {
        let mut cells = vec![
            output::guarded_path(&flip.path),
            flip.kind.word().to_owned(),
            flip.truth.join("|"),
        ];
        for (class, name, probability) in [&flip.a, &flip.b] {
            cells.extend([class.to_string(), name.clone(), format!("{probability:.6}")]);
        }
        output::write_cells(&cells, &mut out);
    }
    out
}
