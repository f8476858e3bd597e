//! `model_info` in an `OpenVINO` model's XML.

use std::collections::BTreeMap;

use quick_xml::{
    XmlVersion,
    events::{BytesStart, Event},
    reader::Reader,
};

use super::{Facts, Statement, Tier, folder::Folder, model_api};

/// Deepest nesting that is followed.
const DEPTH: usize = 256;

/// What `MODEL.xml` beside a model says.
pub(super) fn statement(folder: &Folder, facts: &Facts<'_>) -> Option<Statement> {
    if folder.stem().is_empty() {
        return None;
    }
    let found = match folder.text(&format!("{}.xml", folder.stem()))? {
        Ok(found) => found,
        Err(problem) => return Some(Statement::unreadable(problem, Tier::Sidecar)),
    };
    let info = match model_info(&found.content) {
        Ok(info) => info,
        Err(reason) => {
            let refuse = |_: &mut Statement| Err(format!("bad XML: {reason}"));
            return Some(Statement::made(&found.name, Tier::Sidecar, refuse));
        }
    };
    // Ultralytics says here YOLO for every task, and the task in metadata.yaml.
    let told_elsewhere =
        info.get("model_type").is_some_and(|kind| kind == "YOLO") && folder.has("metadata.yaml");
    (!info.is_empty() && !told_elsewhere)
        .then(|| model_api::of_info(&found.name, Tier::Sidecar, &info, facts))
}

/// The names and values below `rt_info` and `model_info`.
fn model_info(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut reader = Reader::from_str(text);
    let mut info = BTreeMap::new();
    let mut path: Vec<String> = Vec::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(tag) => {
                path.push(name_of(&tag));
                if path.len() > DEPTH {
                    return Err(format!("it is nested more than {DEPTH} deep"));
                }
                note(&path, &tag, &mut info);
            }
            Event::Empty(tag) => {
                path.push(name_of(&tag));
                note(&path, &tag, &mut info);
                path.pop();
            }
            Event::End(_) => _ = path.pop(),
            Event::Eof if path.is_empty() => return Ok(info),
            Event::Eof => return Err("it ends too early".to_owned()),
            _ => {}
        }
    }
}

fn name_of(tag: &BytesStart<'_>) -> String {
    tag.name().0.to_owned()
}

fn note(path: &[String], tag: &BytesStart<'_>, info: &mut BTreeMap<String, String>) {
    let [.., outer, around, name] = path else { return };
    if outer != "rt_info" || around != "model_info" {
        return;
    }
    let value = tag.try_get_attribute("value").ok().flatten();
    let text = value.and_then(|value| {
        value.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
    });
    if let Some(text) = text {
        info.insert(name.clone(), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        detect::sample::{facts, folder, input},
        geometry::Size,
        recipe::Channels,
    };

    const XML: &str = r#"<?xml version="1.0"?><net name="m" version="11"><layers><layer id="0"/></layers>
        <rt_info><Runtime_version value="2025"/><model_info>
        <model_type value="Classification"/><labels value="cat d&amp;g"/>
        <reverse_input_channels value="YES"/><scale_values value="255 255 255"></scale_values>
        </model_info></rt_info></net>"#;

    fn read(files: &[(&str, &str)]) -> Option<Statement> {
        let (_root, here) = folder(files);
        let input = input(Some(Size::square(64)));
        statement(&here, &facts(&input, None))
    }

    #[test]
    fn runtime_information_is_read_past_the_graph() {
        let statement = read(&[("model.xml", XML)]).unwrap();
        assert_eq!(statement.recipe.channels, Some(Channels::Rgb));
        assert_eq!(statement.recipe.std.unwrap().0, [255.0; 3]);
        assert_eq!(statement.labels.unwrap().name(1), Some("d&g"));
        assert_eq!(read(&[("model.xml", "<net><layers/></net>")]), None);
        assert_eq!(read(&[("other.xml", XML)]), None);
    }

    #[test]
    fn ultralytics_models_are_described_elsewhere() {
        let yolo = XML.replace("Classification", "YOLO");
        assert!(read(&[("model.xml", &yolo)]).unwrap().refusal.unwrap().contains("YOLO"));
        assert_eq!(read(&[("model.xml", &yolo), ("metadata.yaml", "")]), None);
    }

    #[test]
    fn broken_and_deep_files_are_refused() {
        let deep = "<a>".repeat(100_000);
        for text in ["<net>", "<net></nett>", "<net a=<", &deep] {
            assert!(read(&[("model.xml", text)]).unwrap().refusal.is_some(), "{text:.20}");
        }
    }
}
