//! One image's best classes as a table for a person.

use std::{fmt, path::Path};

use crate::{
    classifier::Classifier,
    decode::Limits,
    error::{ItemError, RunError},
    rank::Ranked,
    source,
};

/// Classes in the table when nobody says how many; as Keras' `decode_predictions`.
pub const USUAL_CLASSES: usize = 5;

/// The best classes of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Best first.
    pub rows: Vec<Row>,
}

/// One class of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Class index.
    pub class: usize,
    /// Its probability, or its score when the activation is `none`.
    pub probability: f64,
    /// Its `WordNet` id, when the labels have one.
    pub wnid: Option<String>,
    /// Its name, when there are labels.
    pub label: Option<String>,
}

/// Classifies one image file, under limits on its pixels and on the bytes of its file.
///
/// # Errors
///
/// `Usage` when the image cannot be read, `Model` when it cannot be decoded or the model fails.
pub fn predict(
    classifier: &mut Classifier,
    image: &Path,
    classes: usize,
    (limits, max_file_bytes): (Limits, u64),
) -> Result<Prediction, RunError> {
    let mut bytes = Vec::new();
    let fail = |error: ItemError| RunError::Usage(format!("{}: {error}", image.display()));
    source::read_named(image, max_file_bytes, &mut bytes).map_err(fail)?;
    let name = image.to_string_lossy();
    let (_, answers) = classifier.answers(&[(&name, &bytes)], classes, limits)?;
    let labels = classifier.labels.as_ref().map(|(labels, _)| labels);
    let row = |ranked: &Ranked| Row {
        class: ranked.class,
        probability: ranked.probability,
        wnid: labels.and_then(|labels| labels.wnid(ranked.class)).map(str::to_owned),
        label: labels.and_then(|labels| labels.name(ranked.class)).map(str::to_owned),
    };
    Ok(Prediction { rows: answers.first().into_iter().flatten().map(row).collect() })
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Row { class, probability, wnid, label } in &self.rows {
            let wnid = wnid.as_ref().map(|wnid| format!("  {wnid}")).unwrap_or_default();
            let label = label.as_deref().unwrap_or_default();
            writeln!(f, "{probability:>9.6}  {class:>5}{wnid}  {label}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_class() {
        let row = |class, probability, wnid: &str, label: &str| Row {
            class,
            probability,
            wnid: Some(wnid.to_owned()),
            label: Some(label.to_owned()),
        };
        let prediction = Prediction {
            rows: vec![
                row(386, 0.9312, "n02504458", "African elephant"),
                row(101, 0.05, "n01871265", "tusker"),
            ],
        };
        assert_eq!(
            prediction.to_string(),
            " 0.931200    386  n02504458  African elephant\n 0.050000    101  n01871265  tusker\n"
        );
    }
}
