//! What else is known of images, to slice accuracy by.

use std::fs;

use super::Album;
use crate::{
    saved_run::SavedRun,
    truth::{Joined, Source},
};

/// A name and the value of each image, `None` where it has none.
type Known = (String, Vec<Option<String>>);

/// Everything that slices may be made of, for the images of these `rows`.
pub(super) fn of(
    run: &SavedRun,
    (rows, joined): (&[usize], &Joined),
    (truth, album): (&Source, &Album<'_>),
) -> Vec<Known> {
    let path = |row: usize| run.predictions.rows()[row].path.as_str();
    let all = |name: &str, value: &dyn Fn(usize) -> Option<String>| {
        (name.to_owned(), rows.iter().map(|&row| value(row)).collect::<Vec<_>>())
    };
    let mut known = Vec::new();
    // Where folders are the classes, the table of the classes says the same.
    if !matches!(truth, Source::Folders | Source::Parents) {
        known.push(all("folder", &|row| Some(path(row).rsplit_once('/')?.0.to_owned())));
    }
    known.push(all("format", &|row| {
        let (_, ending) = path(row).rsplit('/').next()?.rsplit_once('.')?;
        Some(match ending.to_lowercase().as_str() {
            "jpeg" | "jpe" | "jfif" => "jpg".to_owned(),
            "tif" => "tiff".to_owned(),
            other => other.to_owned(),
        })
    }));
    known.push(all("file size", &|row| {
        let bytes = fs::metadata(run.image(row)).ok()?.len();
        Some(bucket(bytes, &[(10 << 10, "10 KiB"), (100 << 10, "100 KiB"), (1 << 20, "1 MiB")]))
    }));
    let side = |at: usize| {
        let size = album.seen(at)?.size;
        let shorter = size.height.min(size.width) as u64;
        Some(bucket(
            shorter,
            &[(128, "128 px"), (256, "256 px"), (512, "512 px"), (1024, "1024 px")],
        ))
    };
    known.push(("shorter side".to_owned(), (0..rows.len()).map(side).collect()));
    for (column, name) in joined.extra.iter().enumerate() {
        let cell =
            |row: usize| joined.cells[row].get(column).filter(|cell| !cell.is_empty()).cloned();
        known.push(all(name, &cell));
    }
    known
}

/// `under 10 KiB`, `10 KiB to 100 KiB` …: in the order of their letters, numbers would be mixed up, so
/// each begins with its place.
fn bucket(value: u64, limits: &[(u64, &str)]) -> String {
    let at = limits.iter().filter(|(limit, _)| value >= *limit).count();
    let text = match at {
        0 => format!("under {}", limits[0].1),
        _ if at == limits.len() => format!("{} and over", limits[at - 1].1),
        _ => format!("{} to {}", limits[at - 1].1, limits[at].1),
    };
    format!("{}. {text}", at + 1)
}
