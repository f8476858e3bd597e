//! Class names in JSON.

use serde_json::{Map, Value};

use super::{Class, in_order};

/// Keys under which objects of a list have the class's index, and its name.
const INDEX: [&str; 4] = ["id", "index", "class_id", "label_id"];
const NAME: [&str; 5] = ["name", "label", "class_name", "display_name", "class"];

/// The classes that a list or an object names.
pub(crate) fn names_in(value: &Value) -> Result<Vec<Class>, String> {
    match value {
        Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_object) => {
            of_objects(list)
        }
        Value::Array(list) => {
            let name = |name: &Value| name.as_str().map(Class::named);
            let names: Option<Vec<_>> = list.iter().map(name).collect();
            names.ok_or_else(|| "its list holds more than names".to_owned())
        }
        Value::Object(map) => of_map(map),
        _ => Err("its JSON is neither a list nor an object".to_owned()),
    }
}

fn of_objects(list: &[Value]) -> Result<Vec<Class>, String> {
    let field = |object: &Value, keys: &[&str]| keys.iter().find_map(|key| object.get(key).cloned());
    let class = |object: &Value| {
        let name = field(object, &NAME)?.as_str().map(Class::named)?;
        Some((as_index(&field(object, &INDEX)?)?, name))
    };
    let classes: Option<Vec<_>> = list.iter().map(class).collect();
    let classes = classes.ok_or("its list has an object without an index or a name")?;
    let first = classes.iter().map(|(index, _)| *index).min().unwrap_or(0);
    in_order(first.min(1), classes)
}

fn as_index(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64()?.try_into().ok(),
    }
}

fn of_map(map: &Map<String, Value>) -> Result<Vec<Class>, String> {
    let inverted = map.values().all(Value::is_u64);
    let class = |(key, value): (&String, &Value)| {
        if inverted {
            Some((as_index(value)?, Class::named(key)))
        } else {
            Some((key.parse().ok()?, named(value)?))
        }
    };
    let classes: Option<Vec<_>> = map.iter().map(class).collect();
    in_order(0, classes.ok_or("its object is no map between class indices and names")?)
}

/// A name, or `[wnid, name]` as in `imagenet_class_index.json`.
fn named(value: &Value) -> Option<Class> {
    if let Some(name) = value.as_str() {
        return Some(Class::named(name));
    }
    let pair = value.as_array()?;
    Some(Class::with_id(pair.first()?.as_str()?, pair.get(1)?.as_str()?))
}
