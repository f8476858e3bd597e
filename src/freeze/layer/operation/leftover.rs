//! What an operation was given and no conversion asked for.

use serde_json::Value as Json;

use crate::freeze::call::{Given, LayerCall};

/// Settings of every layer, which say nothing of what it computes.
const BOOKKEEPING: &[&str] =
    &["name", "trainable", "dtype", "function", "node_def", "constants", "batch_input_shape"];

/// Refuses an operation with a setting or an argument that its conversion did not ask for: it would
/// compute something else with it. What is null or false is as if it were not there.
pub(super) fn refuse_leftover(call: &LayerCall) -> Result<(), String> {
    let (asked, furthest) = call.asked();
    let unknown = |key: &str, value: &Json| {
        let value: String = value.to_string().chars().take(60).collect();
        Err(format!("its `{key}` is {value}, and linnaeus knows the operation without it alone"))
    };
    for (key, value) in call.settings.0 {
        if !BOOKKEEPING.contains(&&**key) && !asked.contains(&**key) && !says_nothing(value) {
            return unknown(key, value);
        }
    }
    for (key, given) in &call.named {
        match given {
            _ if key == "name" || asked.contains(&**key) => {}
            Given::Constant(value) if says_nothing(value) => {}
            Given::Constant(value) => return unknown(key, value),
            // The only tensor may have any name.
            Given::Tensor(_) if call.inputs.len() == 1 => {}
            _ => return Err(format!("it gets tensors as `{key}`")),
        }
    }
    for given in call.arguments.iter().skip(furthest + 1) {
        if !matches!(given, Given::Constant(value) if says_nothing(value)) {
            return Err("it gets more than linnaeus knows the operation with".to_owned());
        }
    }
    Ok(())
}

fn says_nothing(value: &Json) -> bool {
    let usual = ["channels_last", "NHWC"];
    value.is_null() || *value == false || value.as_str().is_some_and(|text| usual.contains(&text))
}
