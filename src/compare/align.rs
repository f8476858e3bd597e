//! The classes of two runs in one numbering.

use std::collections::{BTreeMap, HashMap};

use crate::saved_run::SavedRun;

/// Gives the classes of `b` the indices that classes of the same name have in `a`; those that `a` has
/// not come after all of both. Without names the indices are taken as they are. Says what was done.
pub(super) fn align(a: &mut SavedRun, b: &mut SavedRun) -> Vec<String> {
    let (names_a, names_b) = (a.classes.names(), b.classes.names());
    if names_a.is_empty() || names_b.is_empty() {
        return match (names_a.is_empty(), a.about.classes == b.about.classes) {
            (true, true) if names_b.is_empty() => Vec::new(),
            _ => vec![
                "one run names no classes, or another number of them: they were taken as the same by \
                 their indices"
                    .to_owned(),
            ],
        };
    }
    let mut by_name: HashMap<&str, u32> = HashMap::new();
    for (&class, name) in names_a.iter().rev() {
        by_name.insert(name, class);
    }
    let largest = [names_a, names_b].iter().filter_map(|names| names.keys().last()).max();
    let counts = [a.classes.count(), b.classes.count()];
    let mut next =
        largest.map_or(0, |class| class + 1).max(counts.into_iter().flatten().max().unwrap_or(0));
    let (mut moved, mut added) = (BTreeMap::new(), Vec::new());
    for (&class, name) in names_b {
        if names_a.get(&class) == Some(name) {
            continue;
        }
        if let Some(&other) = by_name.get(name.as_str()) {
            moved.insert(class, other);
        } else if names_a.contains_key(&class) {
            added.push((next, name.clone()));
            moved.insert(class, next);
            next += 1;
        } else {
            added.push((class, name.clone()));
        }
    }
    let notes = told(&moved, &added);
    b.predictions.renumber(&moved);
    a.classes.add(added);
    notes
}

fn told(moved: &BTreeMap<u32, u32>, added: &[(u32, String)]) -> Vec<String> {
    let mut notes = Vec::new();
    if !moved.is_empty() {
        notes.push(format!(
            "{} classes have another index in the second run; they were matched by their names",
            moved.len()
        ));
    }
    if !added.is_empty() {
        let names: Vec<_> = added.iter().take(5).map(|(_, name)| name.as_str()).collect();
        notes.push(format!(
            "{} classes that the second run says have no name that the first says: {}{}",
            added.len(),
            names.join("; "),
            if added.len() > 5 { " …" } else { "" }
        ));
    }
    notes
}
