//! NVIDIA Triton's `config.pbtxt`: layout, dimensions, and the label file.

use super::{
    Statement, Tier, label_files,
    fields::pixels,
    folder::{Folder, Found},
};
use crate::{
    geometry::Size,
    labels::text_proto::{self, Message},
    recipe::Layout,
};

const CONFIG: &str = "config.pbtxt";

/// What `config.pbtxt` beside a model says.
pub(super) fn statement(folder: &Folder) -> Option<Statement> {
    let statement = match folder.text(CONFIG)? {
        Ok(found) => of_config(folder, &found),
        Err(problem) => Statement::unreadable(problem, Tier::Config),
    };
    (!statement.is_empty()).then_some(statement)
}

fn of_config(folder: &Folder, found: &Found<String>) -> Statement {
    Statement::made(&found.name, Tier::Config, |statement| {
        let config = text_proto::parse(&found.content)?;
        let inputs: Vec<_> = config.messages("input").collect();
        if let [input] = inputs[..] {
            say_input(statement, input);
        }
        let file = config.messages("output").find_map(|output| output.text("label_filename"));
        if let Some(file) = file.filter(|file| !file.is_empty()) {
            label_files::name_classes(statement, folder, file);
        }
        Ok(())
    })
}

fn say_input(statement: &mut Statement, input: &Message) {
    let layout = match input.text("format") {
        Some("FORMAT_NCHW") => Layout::Nchw,
        Some("FORMAT_NHWC") => Layout::Nhwc,
        _ => return,
    };
    statement.layout("input.format", layout);
    let dims: Option<Vec<f64>> = input.texts("dims").map(|dim| dim.parse().ok()).collect();
    // Without batching the dimensions include the batch.
    let last = dims.as_deref().and_then(<[f64]>::last_chunk::<3>);
    let [_, height, width] = match last {
        Some(dims) => layout.channels_first(*dims).map(pixels),
        None => return,
    };
    if let Some((height, width)) = height.zip(width) {
        statement.size("input.dims", Size { height, width });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{folder, said};

    #[test]
    fn layout_size_and_labels_are_read() {
        for (input, text) in [
            ("format: FORMAT_NCHW dims: [ 3, 160, 224 ]", "size = \"160x224\"\nlayout = \"nchw\"\n"),
            ("format: FORMAT_NHWC dims: [ 1, 160, 224, 3 ]", "size = \"160x224\"\nlayout = \"nhwc\"\n"),
            ("format: FORMAT_NCHW dims: [ 3, -1, -1 ]", "layout = \"nchw\"\n"),
            ("dims: [ 3, 8, 8 ]", ""),
        ] {
            let config = format!(
                "name: \"m\"\ninput [ {{ name: \"x\" data_type: TYPE_FP32 {input} }} ]\n\
                 output [ {{ name: \"y\" dims: [ 2 ] label_filename: \"names.txt\" }} ]\n"
            );
            let (_root, here) = folder(&[(CONFIG, config.as_str()), ("names.txt", "cat\ndog\n")]);
            let statement = statement(&here).unwrap();
            assert_eq!(said(&statement), text);
            assert_eq!(statement.labels.unwrap().name(1), Some("dog"));
        }
    }

    #[test]
    fn a_broken_file_is_refused_and_an_empty_one_says_nothing() {
        let (_root, here) = folder(&[(CONFIG, "input [ {")]);
        assert!(statement(&here).unwrap().refusal.is_some());
        let (_root, here) = folder(&[(CONFIG, "name: \"m\"")]);
        assert_eq!(statement(&here), None);
    }
}
