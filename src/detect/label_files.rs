//! The label file beside a model.

use super::{
    Statement,
    folder::{Folder, Found},
};
use crate::labels::Labels;

/// Names of label files, the more particular ones first.
const NAMES: [&str; 12] = [
    "labels.txt",
    "labels_map.txt",
    "synset.txt",
    "classes.txt",
    "class_names.txt",
    "class_names.json",
    "labels.json",
    "imagenet_class_index.json",
    "imagenet_classes.txt",
    "ImageNetLabels.txt",
    "label_map.pbtxt",
    "labels.csv",
];

/// The names of the classes in the label file beside a model, and that file's name. A file that is
/// named after the model, `MODEL.labels.txt`, counts alone.
///
/// # Errors
///
/// A message when the file cannot be used, or when two files name a class differently.
pub fn label_files(folder: &Folder) -> Result<Option<(Labels, String)>, String> {
    let own = format!("{}.labels.txt", folder.stem());
    if let (false, Some(found)) = (folder.stem().is_empty(), read(folder, &own)?) {
        return Ok(Some(found));
    }
    let mut first: Option<(Labels, String)> = None;
    for name in NAMES {
        let Some((labels, name)) = read(folder, name)? else { continue };
        match &first {
            None => first = Some((labels, name)),
            Some((other, other_name)) => {
                if let Some(index) = other.first_difference(&labels) {
                    return Err(disagreement(index, (other, other_name), (&labels, &name)));
                }
            }
        }
    }
    Ok(first)
}

/// Takes the classes of the label file that a sidecar names, by its last part alone: the folders
/// before it are those of another machine.
pub(super) fn name_classes(statement: &mut Statement, folder: &Folder, path: &str) {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    match read(folder, name) {
        Ok(Some((labels, _))) => statement.labels = Some(labels),
        Ok(None) => statement.note(format!("its label file {name} is not there")),
        Err(reason) => statement.note(reason),
    }
}

fn read(folder: &Folder, name: &str) -> Result<Option<(Labels, String)>, String> {
    let fail = |name: &str, reason: &str| format!("cannot use the label file {name}: {reason}");
    match folder.text(name) {
        None => Ok(None),
        Some(Err(problem)) => Err(fail(&problem.name, &problem.reason)),
        Some(Ok(Found { name, content })) => match Labels::parse(&content) {
            Ok(labels) => Ok(Some((labels, name))),
            Err(reason) => Err(fail(&name, &reason)),
        },
    }
}

fn disagreement(index: usize, one: (&Labels, &str), other: (&Labels, &str)) -> String {
    let name = |(labels, file): (&Labels, &str)| {
        let name = labels.name(index).unwrap_or("nothing");
        format!("{name} in {file} ({} classes)", labels.count())
    };
    format!(
        "two label files lie beside the model, and class {index} is {}, and {}",
        name(one),
        name(other)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::folder;

    #[test]
    fn the_file_named_after_the_model_counts_alone() {
        let (_root, here) =
            folder(&[("model.labels.txt", "a\nb\n"), ("labels.txt", "c\nd\n"), ("other.txt", "x")]);
        let (labels, name) = label_files(&here).unwrap().unwrap();
        assert_eq!((labels.name(0), name.as_str()), (Some("a"), "model.labels.txt"));
        let (_root, here) = folder(&[("other.txt", "x")]);
        assert_eq!(label_files(&here), Ok(None));
    }

    #[test]
    fn files_that_disagree_are_both_named() {
        let (_root, here) = folder(&[
            ("labels.txt", "cat\ndog\n"),
            ("synset.txt", "n02123045 cat, tabby\nn02084071 dog\n"),
        ]);
        assert_eq!(label_files(&here).unwrap().unwrap().1, "labels.txt");
        for other in ["dog\ncat\n", "cat\ndog\nbird\n"] {
            let (_root, here) = folder(&[("labels.txt", "cat\ndog\n"), ("classes.txt", other)]);
            let message = label_files(&here).unwrap_err();
            assert!(message.contains("labels.txt") && message.contains("classes.txt"), "{message}");
        }
        let (_root, here) = folder(&[("labels.json", "{")]);
        assert!(label_files(&here).unwrap_err().contains("labels.json"));
    }
}
