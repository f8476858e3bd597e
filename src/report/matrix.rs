//! The confusion matrix as SVG: whole for few classes, as blocks for many.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::text::escaped;
use crate::metrics::Confusion;

/// Most classes that are drawn one by one.
pub(super) const MOST_WHOLE: usize = 40;
/// Classes up to which they keep their own order.
const KEPT_ORDER: usize = 12;
/// Classes of the excerpt, where there are too many for all.
const EXCERPT: usize = 30;
/// Blocks along one side.
const BLOCKS: usize = 25;
/// Most room for the names, and what a character takes.
const MARGIN: usize = 150;
const CHARACTER: usize = 7;
/// Characters of a name.
const NAME: usize = 22;

/// Classes in an order in which those that are confused stand together: pairs are joined from the most
/// confused on, and each joins the chains of its two classes (single linkage). Similarity is the share of
/// both classes' images that the pair confuses.
pub(super) fn order(confusion: &Confusion) -> Vec<u32> {
    let classes = confusion.classes();
    if classes.len() <= KEPT_ORDER {
        return classes;
    }
    let mut totals: BTreeMap<u32, u64> = BTreeMap::new();
    let mut shared: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for (&(truth, predicted), &count) in &confusion.cells {
        *totals.entry(truth).or_default() += count;
        *totals.entry(predicted).or_default() += count;
        if truth != predicted {
            *shared.entry((truth.min(predicted), truth.max(predicted))).or_default() += count;
        }
    }
    let mut pairs: Vec<_> = shared
        .into_iter()
        .map(|((a, b), count)| (count as f64 / (totals[&a] + totals[&b]) as f64, a, b))
        .collect();
    pairs.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut chain_of: BTreeMap<u32, usize> = classes.iter().copied().zip(0..).collect();
    let mut chains: Vec<Vec<u32>> = classes.iter().map(|&class| vec![class]).collect();
    for (_, a, b) in pairs {
        let (into, from) = (chain_of[&a], chain_of[&b]);
        if into != from {
            let moved = std::mem::take(&mut chains[from]);
            for &class in &moved {
                chain_of.insert(class, into);
            }
            chains[into].extend(moved);
        }
    }
    chains.sort_by_key(|chain| std::cmp::Reverse(chain.len()));
    chains.concat()
}

/// The classes with the most confusions, in the given order.
pub(super) fn excerpt(confusion: &Confusion, order: &[u32]) -> Vec<u32> {
    let mut chosen: BTreeSet<u32> = BTreeSet::new();
    for (truth, predicted, _) in confusion.worst_pairs(usize::MAX) {
        for class in [truth, predicted] {
            if chosen.len() < EXCERPT {
                chosen.insert(class);
            }
        }
        if chosen.len() >= EXCERPT {
            break;
        }
    }
    order.iter().copied().filter(|class| chosen.contains(class)).collect()
}

/// The matrix of these `classes`: rows are what it is, columns what it is taken for.
pub(super) fn whole(
    confusion: &Confusion,
    classes: &[u32],
    names: &BTreeMap<u32, String>,
) -> String {
    let side = (520 / classes.len().max(1)).clamp(14, 44);
    let longest = classes.iter().map(|class| shortened(&names[class]).chars().count()).max();
    let margin = (CHARACTER * longest.unwrap_or(0) + 16).min(MARGIN);
    let extent = margin + side * classes.len();
    let mut supports: BTreeMap<u32, u64> = BTreeMap::new();
    for ((truth, _), count) in &confusion.cells {
        *supports.entry(*truth).or_default() += count;
    }
    let mut body = labels(classes, names, (margin, side));
    for (row, truth) in classes.iter().enumerate() {
        for (column, predicted) in classes.iter().enumerate() {
            let Some(&count) = confusion.cells.get(&(*truth, *predicted)) else { continue };
            let share = count as f64 / supports[truth] as f64;
            let (x, y) = (margin + column * side, margin + row * side);
            body += &cell(
                (x, y, side),
                (*truth, *predicted, count, share),
                [&names[truth], &names[predicted]],
            );
        }
    }
    format!(
        "<svg class=\"matrix\" viewBox=\"0 0 {2} {0}\" width=\"{2}\" height=\"{0}\" role=\"group\" \
         aria-label=\"Confusion matrix: rows are the truth, columns the prediction\">\
         <rect class=\"plane\" x=\"{margin}\" y=\"{margin}\" width=\"{1}\" height=\"{1}\"/>{body}</svg>",
        extent,
        side * classes.len(),
        // The last name leans out to the right.
        extent + margin / 2,
    )
}

/// The names of the rows and columns.
fn labels(
    classes: &[u32],
    names: &BTreeMap<u32, String>,
    (margin, side): (usize, usize),
) -> String {
    let mut body = String::new();
    for (at, class) in classes.iter().enumerate() {
        let middle = margin + at * side + side / 2;
        let short = escaped(&shortened(&names[class]));
        let _ = write!(
            body,
            "<text class=\"label end\" x=\"{}\" y=\"{}\">{short}</text><text class=\"label\" \
             transform=\"translate({} {}) rotate(-60)\">{short}</text>",
            margin - 6,
            middle + 4,
            middle + 3,
            margin - 6,
        );
    }
    body
}

fn cell(
    (x, y, side): (usize, usize, usize),
    (truth, predicted, count, share): (u32, u32, u64, f64),
    [truth_name, predicted_name]: [&str; 2],
) -> String {
    let kind = if truth == predicted { "hit" } else { "miss" };
    // The eye tells small shares apart only when they are raised.
    let opacity = 0.12 + 0.88 * share.sqrt();
    let said = if truth == predicted { "right" } else { "taken for" };
    let label = if truth == predicted {
        format!("{truth_name}: {count} right, {:.1} %", 100.0 * share)
    } else {
        format!("{truth_name} {said} {predicted_name}: {count}, {:.1} %", 100.0 * share)
    };
    let label = escaped(&label);
    let tone = if opacity > 0.62 { "strong" } else { "weak" };
    let figure = if side >= 20 && count < 10_000 {
        format!(
            "<text class=\"count middle {tone}\" x=\"{}\" y=\"{}\">{count}</text>",
            x + side / 2,
            y + side / 2 + 4
        )
    } else {
        String::new()
    };
    format!(
        "<g class=\"cell\" role=\"button\" tabindex=\"0\" data-t=\"{truth}\" data-p=\"{predicted}\" \
         aria-label=\"{label}\"><title>{label}</title><rect class=\"{kind}\" x=\"{x}\" y=\"{y}\" \
         width=\"{side}\" height=\"{side}\" fill-opacity=\"{opacity:.2}\"/>{figure}</g>"
    )
}

/// Classes of a block.
pub(super) fn per_block(order: &[u32]) -> usize {
    order.len().div_ceil(BLOCKS).max(1)
}

/// Confusions between blocks of classes that follow each other in `order`.
pub(super) fn blocks(confusion: &Confusion, order: &[u32]) -> String {
    let per_block = per_block(order);
    let count = order.len().div_ceil(per_block);
    let block_of: BTreeMap<u32, usize> =
        order.iter().enumerate().map(|(at, class)| (*class, at / per_block)).collect();
    let mut sums: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for (&(truth, predicted), &images) in &confusion.cells {
        if truth != predicted {
            *sums.entry((block_of[&truth], block_of[&predicted])).or_default() += images;
        }
    }
    let most = sums.values().copied().max().unwrap_or(1) as f64;
    let (side, margin) = (20, 34);
    let mut body = block_numbers(count, per_block, (margin, side));
    let range = |block: usize| {
        let first = block * per_block + 1;
        format!("{first} to {}", (first + per_block - 1).min(order.len()))
    };
    for ((row, column), images) in sums {
        let of = if row == column { "each other".to_owned() } else { range(column) };
        let label = format!("classes {} taken for {of}: {images} images; open", range(row));
        let opacity = 0.1 + 0.9 * (images as f64 / most).sqrt();
        let (x, y) = (margin + column * side, margin + row * side);
        let _ = write!(
            body,
            "<g class=\"block\" role=\"button\" tabindex=\"0\" data-row=\"{row}\" \
             data-column=\"{column}\" aria-label=\"{label}\"><title>{label}</title><rect \
             class=\"miss\" x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" \
             fill-opacity=\"{opacity:.2}\"/></g>"
        );
    }
    let extent = margin + count * side + 2;
    format!(
        "<svg class=\"matrix\" viewBox=\"0 0 {extent} {extent}\" width=\"{extent}\" \
         height=\"{extent}\" role=\"group\" data-block=\"{per_block}\" aria-label=\"Confusions between \
         blocks of {per_block} classes: rows are the truth, columns the prediction\">\
         <rect class=\"plane\" x=\"{margin}\" y=\"{margin}\" width=\"{0}\" height=\"{0}\"/>{body}</svg>",
        count * side,
    )
}

/// The number of the first class of every fourth block, beside and above the plane.
fn block_numbers(count: usize, per_block: usize, (margin, side): (usize, usize)) -> String {
    let mut body = String::new();
    for at in (0..count).step_by(4) {
        let middle = margin + at * side + side / 2;
        let number = at * per_block + 1;
        let _ = write!(
            body,
            "<text class=\"label end\" x=\"{}\" y=\"{}\">{number}</text>\
             <text class=\"label middle\" x=\"{middle}\" y=\"{}\">{number}</text>",
            margin - 4,
            middle + 4,
            margin - 6,
        );
    }
    body
}

fn shortened(name: &str) -> String {
    let first = name.split(',').next().unwrap_or(name);
    if first.chars().count() <= NAME {
        return first.to_owned();
    }
    first.chars().take(NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confused_classes_stand_together() {
        let mut pairs: Vec<(u32, u32)> = (0..20).map(|class| (class, class)).collect();
        pairs.extend([(3, 17), (17, 3), (3, 17), (8, 11)]);
        let order = order(&Confusion::of_pairs(pairs));
        assert_eq!(order.len(), 20);
        let at = |class: u32| order.iter().position(|found| *found == class).unwrap();
        assert_eq!(at(3).abs_diff(at(17)), 1);
        assert_eq!(at(8).abs_diff(at(11)), 1);
    }
}
