//! Metrics against what scikit-learn, scipy, numpy and cleanlab computed, by
//! `tests/golden/make_metrics.py`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use linnaeus::{
    metrics::{self, Calibration, Confusion, Coverage, Item, Loss, Losses},
    predictions::Score,
};
use serde_json::Value;

/// What floating point may differ in.
const TOLERANCE: f64 = 1e-9;

struct Case {
    name: String,
    rows: Vec<([u32; 1], Vec<Score>)>,
    expected: Value,
}

impl Case {
    fn items(&self) -> Vec<Item<'_>> {
        self.rows.iter().map(|(answers, top)| Item { answers, top }).collect()
    }

    fn assert(&self, key: &str, found: f64) {
        let expected = self.expected[key].as_f64().unwrap();
        self.assert_near(key, found, expected);
    }

    fn assert_near(&self, what: &str, found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < TOLERANCE,
            "{}, {what}: {found} for {expected}",
            self.name
        );
    }
}

fn cases() -> (u32, Vec<Case>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.json");
    let golden: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let index = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    let score =
        |pair: &Value| Score { class: index(&pair[0]), probability: pair[1].as_f64().unwrap() };
    let row =
        |row: &Value| ([index(&row[0])], row[1].as_array().unwrap().iter().map(score).collect());
    let case = |case: &Value| Case {
        name: case["name"].as_str().unwrap().to_owned(),
        rows: case["rows"].as_array().unwrap().iter().map(row).collect(),
        expected: case["expected"].clone(),
    };
    let cases: Vec<_> = golden["cases"].as_array().unwrap().iter().map(case).collect();
    assert_eq!(cases.len(), 3);
    (index(&golden["classes"]), cases)
}

#[test]
fn counts_and_averages_are_scikit_learns() {
    for case in cases().1 {
        let items = case.items();
        let share = |k| metrics::hits(&items, k) as f64 / items.len() as f64;
        case.assert("accuracy", share(1));
        case.assert("top3", share(3));
        let confusion = Confusion::of(&items);
        let averages = serde_json::to_value(confusion.averages()).unwrap();
        for (key, value) in averages.as_object().unwrap() {
            case.assert(key, value.as_f64().unwrap());
        }
        let expected = case.expected["classes"].as_array().unwrap();
        assert_eq!(confusion.figures().len(), expected.len());
        for (figures, row) in confusion.figures().iter().zip(expected) {
            let found = [
                f64::from(figures.class),
                figures.precision,
                figures.recall,
                figures.f1,
                figures.support as f64,
            ];
            for (at, found) in found.into_iter().enumerate() {
                case.assert_near("class", found, row[at].as_f64().unwrap());
            }
            let [low, high] = figures.f1_interval;
            assert!(low <= figures.f1 && figures.f1 <= high, "{figures:?}");
        }
    }
}

#[test]
fn calibration_and_coverage_are_scikit_learns_and_numpys() {
    for case in cases().1 {
        let items = case.items();
        let calibration = Calibration::of(items.iter().map(|i| (i.confidence(), i.is_right())));
        case.assert("ece", calibration.ece);
        case.assert("mce", calibration.mce);
        let coverage = Coverage::of(&items);
        case.assert("area", coverage.area);
        let expected = case.expected["coverage"].as_array().unwrap();
        assert_eq!(coverage.points.len(), expected.len());
        for (point, row) in coverage.points.iter().zip(expected) {
            for (at, found) in
                [point.threshold, point.kept as f64, point.accuracy].into_iter().enumerate()
            {
                case.assert_near("coverage", found, row[at].as_f64().unwrap());
            }
        }
        for (wanted, point) in coverage.wanted() {
            let kept = |row: &&Value| row[2].as_f64().unwrap() >= wanted;
            let expected = expected.iter().filter(kept).map(|row| row[1].as_u64().unwrap()).max();
            assert_eq!(point.map(|point| point.kept), expected, "{wanted}");
        }
    }
}

#[test]
fn average_precision_is_scikit_learns() {
    for case in cases().1 {
        let curves = metrics::curves(&case.items());
        let expected = case.expected["average_precision"].as_array().unwrap();
        assert_eq!(curves.len(), expected.len());
        for ((class, curve), row) in curves.iter().zip(expected) {
            case.assert_near("class", f64::from(*class), row[0].as_f64().unwrap());
            case.assert_near(
                "average precision",
                curve.average_precision,
                row[1].as_f64().unwrap(),
            );
            assert!((curve.points.last().unwrap()[2] - 1.0).abs() < TOLERANCE, "{curve:?}");
        }
    }
}

#[test]
fn losses_are_scikit_learns_where_rows_are_complete_and_bounds_elsewhere() {
    let (classes, cases) = cases();
    for case in &cases {
        let items = case.items();
        let losses = Losses::of(&items, Some(classes));
        case.assert("confidence_brier", losses.confidence_brier);
        match (losses.log_loss, losses.brier) {
            (Loss::Exact { value: log }, Loss::Exact { value: brier }) => {
                case.assert("log_loss", log);
                case.assert("brier", brier);
            }
            (Loss::AtLeast { value: log, unlisted }, Loss::AtLeast { value: brier, .. }) => {
                assert!(case.expected["log_loss"].is_null() && unlisted > 0);
                assert!(log > 0.0 && brier > 0.0);
            }
            other => panic!("{other:?}"),
        }
    }
    // What the best three bound is below what the whole rows have.
    let whole = cases[0].items();
    let cut: Vec<Item<'_>> =
        whole.iter().map(|item| Item { top: &item.top[..3], ..*item }).collect();
    let [whole, cut] = [whole, cut].map(|items| Losses::of(&items, Some(classes)));
    let value = |loss| match loss {
        Loss::Exact { value } | Loss::AtLeast { value, .. } => value,
    };
    assert!(value(cut.log_loss) <= value(whole.log_loss) + TOLERANCE);
    assert!(value(cut.brier) <= value(whole.brier) + TOLERANCE);
}

#[test]
fn the_temperature_is_scipys() {
    let (classes, cases) = cases();
    for case in &cases {
        let found = metrics::fit(&case.items(), Some(classes)).unwrap();
        let expected = &case.expected["temperature"];
        assert_eq!(found.exact, !expected.is_null(), "{}", case.name);
        if expected.is_null() {
            continue;
        }
        case.assert_near("temperature", found.value, expected["value"].as_f64().unwrap());
        for at in 0..2 {
            case.assert_near(
                "log loss",
                found.log_loss[at],
                expected["log_loss"][at].as_f64().unwrap(),
            );
            case.assert_near("ece", found.ece[at], expected["ece"][at].as_f64().unwrap());
        }
        assert!(found.log_loss[1] <= found.log_loss[0]);
    }
    assert_eq!(metrics::fit(&cases[0].items(), None), None);
    let top = [0, 1].map(|class| Score { class, probability: 0.8 });
    let multi_label = [Item { answers: &[1], top: &top }];
    assert!(!metrics::are_exclusive(&multi_label) && metrics::are_exclusive(&cases[0].items()));
    assert_eq!(metrics::fit(&multi_label, Some(2)), None);
}

#[test]
fn likely_label_errors_are_cleanlabs() {
    let (_, cases) = cases();
    for case in cases.iter().filter(|case| !case.expected["suspects"].is_null()) {
        let mut found = metrics::suspects(&case.items());
        assert!(found.is_sorted_by(|a, b| a.margin <= b.margin));
        found.sort_by_key(|suspect| suspect.item);
        let expected = case.expected["suspects"].as_array().unwrap();
        let items: Vec<u64> = found.iter().map(|suspect| suspect.item as u64).collect();
        let wanted: Vec<u64> = expected.iter().map(|row| row[0].as_u64().unwrap()).collect();
        assert_eq!(items, wanted, "{}", case.name);
        for (suspect, row) in found.iter().zip(expected) {
            case.assert_near("margin", suspect.margin, row[1].as_f64().unwrap());
        }
    }
}

#[test]
fn slices_are_tested_as_scipy_tests_and_adjusted() {
    for case in cases().1 {
        let items = case.items();
        let right: Vec<bool> = items.iter().map(Item::is_right).collect();
        let values = (0..items.len()).map(|at| Some((at % 3).to_string())).collect();
        let slices = metrics::slices(&[("third".to_owned(), values)], &right);
        let expected: Vec<f64> = case.expected["slices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p.as_f64().unwrap())
            .collect();
        for (slice, expected) in slices.iter().zip(linnaeus::statistics::holm(&expected)) {
            case.assert_near(&slice.value, slice.p_value, expected);
        }
        assert_eq!(slices.len(), 3);
    }
}
