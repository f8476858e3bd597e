//! Metadata inside a model's file: ONNX's `metadata_props`.

use std::collections::BTreeMap;

use super::{Facts, Statement, Tier, image_metadata, model_api, ultralytics};

/// What a model's own metadata is called as a place.
const PLACE: &str = "the model's metadata";

/// What a model's own metadata says.
pub(super) fn statements(
    metadata: &BTreeMap<String, String>,
    facts: &Facts<'_>,
) -> Vec<Statement> {
    let statements = [
        ultralytics::of_metadata(PLACE, metadata, facts),
        model_api::of_metadata(PLACE, metadata, facts),
        image_metadata::of_metadata(PLACE, Tier::Metadata, metadata),
    ];
    statements.into_iter().flatten().collect()
}
