//! Reports as files: one HTML page that needs nothing else, JSON, tables, and Markdown.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use minijinja::{AutoEscape, Environment, Value, context};
use sha2::{Digest as _, Sha256};

use crate::{compare::Comparison, error::RunError, evaluate::Evaluation, output};

mod chart;
mod comparison;
mod evaluation;
mod markdown;
mod matrix;
mod tables;
mod text;

const STYLE: &str = include_str!("report/style.css");
const SCRIPT: &str = include_str!("report/script.js");
const TEMPLATES: [(&str, &str); 4] = [
    ("page.html", include_str!("report/page.html")),
    ("evaluation.html", include_str!("report/evaluation.html")),
    ("comparison.html", include_str!("report/comparison.html")),
    ("run.html", include_str!("report/run.html")),
];

/// Writes the report of an evaluation: the page, and beside it `NAME.json`, `NAME.per_class.csv` and
/// `NAME.confusion.csv`; `NAME.unmatched.csv` when something has no counterpart. Gives the paths of all.
///
/// # Errors
///
/// `Output` when one cannot be written.
pub fn write_evaluation(evaluation: &Evaluation, page: &Path) -> Result<Vec<PathBuf>, RunError> {
    let folder = folder_of(page)?;
    let name =
        page.with_extension("json").file_name().unwrap_or_default().to_string_lossy().into_owned();
    let html = evaluation::page(evaluation, &folder, &name).map_err(|error| internal(&error))?;
    let mut files = vec![
        (page.to_owned(), html.into_bytes()),
        (page.with_extension("json"), json(&evaluation.report)?),
        (page.with_extension("per_class.csv"), tables::per_class(&evaluation.report)),
        (page.with_extension("confusion.csv"), tables::confusion(evaluation)),
    ];
    if !evaluation.unmatched.is_empty() {
        files.push((page.with_extension("unmatched.csv"), tables::unmatched(evaluation)));
    }
    write(files)
}

/// Writes the report of a comparison: the page, and beside it `NAME.json` and `NAME.flips.csv`. Gives the
/// paths of all.
///
/// # Errors
///
/// `Output` when one cannot be written.
pub fn write_comparison(comparison: &Comparison, page: &Path) -> Result<Vec<PathBuf>, RunError> {
    let folder = folder_of(page)?;
    let html = comparison::page(comparison, &folder).map_err(|error| internal(&error))?;
    let files = vec![
        (page.to_owned(), html.into_bytes()),
        (page.with_extension("json"), json(&comparison.report)?),
        (page.with_extension("flips.csv"), comparison::table(&comparison.changed)),
    ];
    write(files)
}

/// The report of a comparison as a short Markdown text; `page` is named when there is one.
#[must_use]
pub fn comparison_summary(comparison: &Comparison, page: Option<&Path>) -> String {
    markdown::comparison(comparison, page)
}

/// The report of an evaluation as a short Markdown text; `page` is named when there is one.
#[must_use]
pub fn evaluation_summary(evaluation: &Evaluation, page: Option<&Path>) -> String {
    markdown::evaluation(evaluation, page)
}

fn write(files: Vec<(PathBuf, Vec<u8>)>) -> Result<Vec<PathBuf>, RunError> {
    let write =
        |(path, bytes): (PathBuf, Vec<u8>)| output::write_atomically(&path, &bytes).map(|()| path);
    files.into_iter().map(write).collect()
}

/// The folder of a page, made when it is missing, so that links from it can be relative.
fn folder_of(page: &Path) -> Result<PathBuf, RunError> {
    let folder = page.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let made = fs::create_dir_all(folder).and_then(|()| fs::canonicalize(folder));
    made.map_err(|source| RunError::Output { path: folder.to_owned(), source })
}

fn json(report: &impl serde::Serialize) -> Result<Vec<u8>, RunError> {
    let mut bytes =
        serde_json::to_vec_pretty(report).map_err(|error| RunError::Internal(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn internal(error: &minijinja::Error) -> RunError {
    RunError::Internal(crate::error::with_causes(error))
}

/// What makes pages. Every value is escaped, and first written out where it cannot be seen; only what
/// this program drew itself goes in as it is.
fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, template) in TEMPLATES {
        environment.add_template(name, template)?;
    }
    environment.add_filter("name", |value: Value| {
        value.as_str().map_or_else(|| text::visible(&value.to_string()), text::name)
    });
    environment.add_filter("n", |value: u64| grouped(value));
    environment.add_filter("pct", |share: f64| format!("{:.1}\u{a0}%", 100.0 * share));
    environment.add_filter("pct0", |share: f64| format!("{:.0}\u{a0}%", 100.0 * share));
    environment.add_filter("pct2", |share: f64| format!("{:.2}\u{a0}%", 100.0 * share));
    environment.add_filter("points", crate::compare::points);
    environment.add_filter("f1", |value: f64| format!("{value:.1}"));
    environment.add_filter("f2", |value: f64| format!("{value:.2}"));
    environment.add_filter("f3", |value: f64| format!("{value:.3}"));
    environment.add_filter("f4", |value: f64| format!("{value:.4}"));
    environment.add_filter("p", p_value);
    Ok(environment)
}

/// A p value as a person reads it.
fn p_value(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}

/// A count with thin spaces between thousands.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    if digits.len() <= 4 {
        return digits;
    }
    let group = |(at, c): (usize, char)| {
        let gap = at > 0 && (digits.len() - at).is_multiple_of(3);
        gap.then_some('\u{202f}').into_iter().chain([c])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

/// What every page needs besides its own values.
fn page_parts() -> Value {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()));
    context! {
        style => STYLE,
        style_hash => hash(STYLE),
        script => SCRIPT,
        script_hash => hash(SCRIPT),
        version => env!("CARGO_PKG_VERSION"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_and_small_p_values_are_not_zero() {
        assert_eq!(
            [999, 1234, 12345, 1_234_567].map(grouped),
            ["999", "1234", "12\u{202f}345", "1\u{202f}234\u{202f}567"]
        );
        assert_eq!([0.0, 0.04999].map(p_value), ["< 0.0001", "0.0500"]);
    }

    #[test]
    fn templates_escape_whatever_they_are_given() {
        let mut environment = environment().unwrap();
        environment.add_template("t", "<p title=\"{{ a }}\">{{ a|name }}").unwrap();
        let page = environment.get_template("t").unwrap().render(context! { a => "\"'<b>\n" });
        assert_eq!(page.unwrap(), "<p title=\"&quot;&#x27;&lt;b&gt;\n\">&quot;&#x27;&lt;b&gt;\\n");
    }
}
