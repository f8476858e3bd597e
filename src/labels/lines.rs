//! Class names in lines: plain, numbered, with `WordNet` ids, or as CSV.

use super::{Class, in_order, is_wnid};

/// Columns of a CSV file that have the class's index, and its name; the better ones first.
const INDEX: [&str; 6] = ["index", "class_index", "class_id", "label_id", "id", "idx"];
const NAME: [&str; 6] = ["name", "class_name", "label_name", "display_name", "label", "class"];

/// The classes that lines name. Empty lines at the end are none.
pub(super) fn names_in(text: &str) -> Result<Vec<Class>, String> {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    if let Some(classes) = of_csv(&lines.join("\n")) {
        let first = classes.iter().map(|(index, _)| *index).min().unwrap_or(0);
        return in_order(first.min(1), classes);
    }
    let synset: Option<Vec<_>> = lines.iter().map(|line| after_wnid(line)).collect();
    let plain = || lines.iter().copied().map(Class::named).collect();
    Ok(synset.or_else(|| numbered(&lines, 0)).or_else(|| numbered(&lines, 1)).unwrap_or_else(plain))
}

fn after_wnid(line: &str) -> Option<Class> {
    let (wnid, name) = line.split_once([' ', '\t'])?;
    is_wnid(wnid).then(|| Class::with_id(wnid, name.trim_start()))
}

/// The names behind the numbers `first`, `first + 1`, … One line alone may begin with a 1 that is
/// part of its name.
fn numbered(lines: &[&str], first: usize) -> Option<Vec<Class>> {
    let enough = first == 0 || lines.len() > 1;
    let names = lines.iter().enumerate().map(|(at, line)| after_number(at + first, line));
    if enough { names.collect() } else { None }
}

fn after_number(number: usize, line: &str) -> Option<Class> {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let name = line[digits..].trim_start_matches([' ', '\t', ':', ',']);
    let separated = name.len() < line.len() - digits && !name.is_empty();
    (separated && line[..digits].parse() == Ok(number)).then(|| Class::named(name))
}

/// The classes of a CSV file, when its first line names both columns and every other line has
/// them.
fn of_csv(text: &str) -> Option<Vec<(usize, Class)>> {
    let header = text.lines().next()?;
    let delimiter = [b',', b';', b'\t'].into_iter().find(|&c| header.as_bytes().contains(&c))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let columns: Vec<_> =
        reader.headers().ok()?.iter().map(|column| column.trim().to_lowercase()).collect();
    let find = |names: &[&str]| {
        names.iter().find_map(|name| columns.iter().position(|column| column == name))
    };
    let (index, name) = (find(&INDEX)?, find(&NAME)?);
    let class = |record: csv::Result<csv::StringRecord>| {
        let record = record.ok()?;
        Some((record.get(index)?.trim().parse().ok()?, Class::named(record.get(name)?.trim())))
    };
    reader.records().map(class).collect::<Option<Vec<_>>>().filter(|classes| !classes.is_empty())
}
