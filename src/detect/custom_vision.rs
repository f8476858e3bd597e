//! Azure Custom Vision's export folder: `cvexport.manifest` and `metadata_properties.json`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Statement, Tier, fields::Fields, folder::Folder, image_metadata, label_files};

const MANIFEST: &str = "cvexport.manifest";
const PROPERTIES: &str = "metadata_properties.json";

/// What the export's files beside a model say.
pub(super) fn statements(folder: &Folder) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut properties = PROPERTIES;
    let mut manifest = folder.json(MANIFEST);
    if let Some(Ok(found)) = &mut manifest {
        if let Some(name) = found.content["MetadataPropsFileName"].as_str() {
            properties = if folder.has(name) { name } else { properties };
        }
        statements.extend(of_manifest(folder, &found.name, &found.content));
    }
    match folder.json(properties) {
        Some(Ok(found)) => {
            let text = |(key, value): (&String, &Value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (key.clone(), text)
            };
            let map: BTreeMap<_, _> =
                found.content.as_object().into_iter().flatten().map(text).collect();
            statements.extend(image_metadata::of_metadata(&found.name, Tier::Sidecar, &map));
        }
        Some(Err(problem)) => statements.push(Statement::unreadable(problem, Tier::Sidecar)),
        None => {}
    }
    if let Some(Err(problem)) = manifest {
        statements.push(Statement::unreadable(problem, Tier::Sidecar));
    }
    statements
}

fn of_manifest(folder: &Folder, place: &str, content: &Value) -> Option<Statement> {
    let fields = Fields::of(content)?;
    let statement = Statement::made(place, Tier::Sidecar, |statement| {
        match fields.text("DomainType") {
            Some("Classification") | None => {}
            Some(other) => return Err(format!("the model is no classifier (DomainType: {other})")),
        }
        if let Some(name) = fields.text("LabelFileName") {
            label_files::name_classes(statement, folder, name);
        }
        Ok(())
    });
    (!statement.is_empty()).then_some(statement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::folder;

    #[test]
    fn the_manifest_names_labels_and_the_properties_say_the_rest() {
        let (_root, here) = folder(&[
            (MANIFEST, r#"{"DomainType": "Classification", "LabelFileName": "names.txt"}"#),
            ("names.txt", "cat\ndog\n"),
            (PROPERTIES, r#"{"CustomVision.Postprocess.Method": "ClassificationMultiClass",
                             "Image.NominalPixelRange": "NominalRange_0_255"}"#),
        ]);
        let [manifest, properties] = &statements(&here)[..] else { panic!() };
        assert_eq!(manifest.labels.as_ref().unwrap().name(1), Some("dog"));
        assert_eq!(properties.recipe.scale.unwrap().to_string(), "1");
        let (_root, here) = folder(&[(MANIFEST, r#"{"DomainType": "ObjectDetection"}"#)]);
        assert!(statements(&here)[0].refusal.as_ref().unwrap().contains("ObjectDetection"));
    }
}
