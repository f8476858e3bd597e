//! Images that a person should look at.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde::Serialize;

use crate::{
    metrics::{self, Item},
    saved_run::SavedRun,
    thumbnail::{Look, Viewer},
};

/// Entries of one gallery.
const MOST: usize = 48;
/// A mean gray value below or above which an image is called dark or bright, of 255.
const DARK: f64 = 18.0;
const BRIGHT: f64 = 240.0;
/// A standard deviation of gray values below which an image is called blank.
const BLANK: f64 = 3.0;
/// A shorter side below which an image is called tiny, where most are larger.
const TINY: usize = 48;
/// Sides that differ by this factor make an odd shape.
const LONG: usize = 4;
/// Bits of 256 by which near-duplicates may differ.
const NEAR: u32 = 10;

/// One image of a gallery.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Shown {
    /// The `path` cell of its row.
    pub path: String,
    /// Indices of the right classes.
    pub truth: Vec<u32>,
    /// Their names.
    pub truth_names: Vec<String>,
    /// The best classes: index, name, probability.
    pub top: Vec<(u32, String, f64)>,
    /// The class that it looks like, when its label is likely an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<(u32, String)>,
    /// Why it is shown, when the gallery does not say it.
    pub note: String,
    /// The file.
    #[serde(skip)]
    pub image: PathBuf,
    /// Its thumbnail, as the address of an `img`.
    #[serde(skip)]
    pub picture: Option<String>,
}

/// The galleries of an evaluation.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Galleries {
    /// Wrong, the surest first.
    pub worst: Vec<Shown>,
    /// The least sure.
    pub unsure: Vec<Shown>,
    /// Likely label errors, the likeliest first, and how many there are in all.
    pub label_errors: (u64, Vec<Shown>),
    /// Dark, bright, blank, tiny or long.
    pub odd: Vec<Shown>,
    /// Pairs that are the same, or nearly.
    pub duplicates: Vec<(Shown, Shown)>,
    /// Images that were looked at for the last two.
    pub looked_at: u64,
    /// Images that could not be opened any more.
    pub not_found: u64,
}

/// The images of a run, looked at when they are needed.
pub struct Album<'a> {
    run: &'a SavedRun,
    rows: &'a [usize],
    items: &'a [Item<'a>],
    viewer: Viewer,
    pictures_left: usize,
    not_found: u64,
    /// By place in `items`; `None` where the file cannot be opened.
    looks: BTreeMap<usize, Option<Look>>,
}

impl<'a> Album<'a> {
    /// The images of these `rows`, of which so many get a thumbnail.
    #[must_use]
    pub fn new(
        run: &'a SavedRun,
        (rows, items): (&'a [usize], &'a [Item<'a>]),
        thumbnails: usize,
    ) -> Self {
        let (viewer, looks) = (Viewer::default(), BTreeMap::new());
        Self { run, rows, items, viewer, pictures_left: thumbnails, not_found: 0, looks }
    }

    /// What was seen of the image at this place of the items.
    #[must_use]
    pub fn seen(&self, at: usize) -> Option<&Look> {
        self.looks.get(&at)?.as_ref()
    }

    /// Looks at the images at these places, as far as that was not done, and draws pictures of the
    /// first while there are any left.
    fn look_at(&mut self, places: impl IntoIterator<Item = usize>, pictures: bool) {
        let mut new = BTreeSet::new();
        let is_new = |at: &usize| match self.looks.get(at) {
            None => true,
            Some(look) => pictures && look.as_ref().is_some_and(|look| look.picture.is_none()),
        };
        let mut places: Vec<usize> =
            places.into_iter().filter(|at| is_new(at) && new.insert(*at)).collect();
        while !places.is_empty() {
            let pictures = pictures && self.pictures_left > 0;
            if !pictures {
                places.retain(|at| !self.looks.contains_key(at));
            }
            let most = if pictures { self.pictures_left } else { places.len() };
            let rest = places.split_off(most.min(places.len()));
            let files: Vec<_> = places.iter().map(|&at| self.run.image(self.rows[at])).collect();
            for (at, look) in places.into_iter().zip(self.viewer.look_at(&files, pictures)) {
                let drawn = look.as_ref().is_some_and(|look| look.picture.is_some());
                self.pictures_left -= usize::from(drawn);
                self.not_found += u64::from(look.is_none());
                self.looks.insert(at, look);
            }
            places = rest;
        }
    }

    /// The image at this place of the items, as a gallery shows it, with its picture if it has one.
    fn shown(&self, at: usize, note: String) -> Shown {
        let picture = self.seen(at).and_then(|look| look.picture.clone());
        let (run, item) = (self.run, &self.items[at]);
        let name = |class: u32| run.classes.name(class);
        let top = item.top.iter().take(3);
        Shown {
            path: run.predictions.rows()[self.rows[at]].path.clone(),
            truth: item.answers.to_vec(),
            truth_names: item.answers.iter().map(|&class| name(class)).collect(),
            top: top.map(|score| (score.class, name(score.class), score.probability)).collect(),
            looks_like: None,
            note,
            image: run.image(self.rows[at]),
            picture,
        }
    }

    /// All galleries; so many images are looked at for the last two.
    pub fn galleries(&mut self, look: usize) -> Galleries {
        let confidence = |at: &usize| self.items[*at].confidence();
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        order.sort_by(|a, b| confidence(b).total_cmp(&confidence(a)));
        let wrong = order.iter().copied().filter(|&at| !self.items[at].is_right());
        let worst: Vec<usize> = wrong.take(MOST).collect();
        let unsure: Vec<usize> = order.iter().rev().copied().take(MOST / 2).collect();
        let suspects = metrics::suspects(self.items);
        let suspicious = &suspects[..suspects.len().min(MOST)];
        let likely = suspicious.iter().map(|suspect| suspect.item);
        self.look_at(worst.iter().copied().chain(likely).chain(unsure.iter().copied()), true);
        let all = |places: Vec<usize>| -> Vec<Shown> {
            places.into_iter().map(|at| self.shown(at, String::new())).collect()
        };
        let likely = suspicious.iter().map(|suspect| {
            let class = suspect.looks_like;
            let looks_like = Some((class, self.run.classes.name(class)));
            Shown { looks_like, ..self.shown(suspect.item, String::new()) }
        });
        let label_errors = (suspects.len() as u64, likely.collect());
        let (worst, unsure) = (all(worst), all(unsure));
        let looked: Vec<usize> = self.spread(look);
        let odd = self.odd(&looked);
        let duplicates = self.duplicates(&looked);
        let looked_at = looked.len() as u64;
        let not_found = self.not_found;
        Galleries { worst, unsure, label_errors, odd, duplicates, looked_at, not_found }
    }

    /// Looks at `most` images, evenly spread; gives those that could be opened. Where the first ones
    /// are gone, the others are not tried.
    fn spread(&mut self, most: usize) -> Vec<usize> {
        let count = self.items.len();
        let most = most.min(count);
        let places: Vec<usize> = (0..most).map(|nth| nth * count / most).collect();
        let (first, others) = places.split_at(MOST.min(most));
        self.look_at(first.iter().copied(), false);
        if first.iter().any(|&at| self.seen(at).is_some()) {
            self.look_at(others.iter().copied(), false);
        }
        places.into_iter().filter(|&at| self.seen(at).is_some()).collect()
    }

    fn odd(&mut self, looked: &[usize]) -> Vec<Shown> {
        let shorter = |look: &Look| look.size.height.min(look.size.width);
        let sides = looked.iter().filter_map(|&at| self.seen(at)).map(shorter);
        let mut sides: Vec<usize> = sides.collect();
        sides.sort_unstable();
        let usual = sides.get(sides.len() / 2).copied().unwrap_or(0);
        let why = |look: &Look| {
            let (height, width) = (look.size.height, look.size.width);
            let kinds = [
                (look.contrast < BLANK, "blank"),
                (look.contrast >= BLANK && look.brightness < DARK, "dark"),
                (look.contrast >= BLANK && look.brightness > BRIGHT, "bright"),
                (shorter(look) < TINY && usual >= 2 * TINY, "tiny"),
                (height.max(width) > LONG * height.min(width), "a long shape"),
            ];
            let kinds: Vec<_> = kinds.iter().filter(|kind| kind.0).map(|kind| kind.1).collect();
            (!kinds.is_empty()).then(|| format!("{}, {height}×{width}", kinds.join(", ")))
        };
        let found = looked.iter().filter_map(|&at| Some((at, why(self.seen(at)?)?)));
        let found: Vec<_> = found.take(MOST / 2).collect();
        self.look_at(found.iter().map(|(at, _)| *at), true);
        found.into_iter().map(|(at, why)| self.shown(at, why)).collect()
    }

    fn duplicates(&mut self, looked: &[usize]) -> Vec<(Shown, Shown)> {
        let seen: Vec<_> = looked.iter().filter_map(|&at| Some((at, self.seen(at)?))).collect();
        let mut found = Vec::new();
        for (nth, (a, one)) in seen.iter().enumerate() {
            for (b, other) in &seen[nth + 1..] {
                let near = || Some(one.hash?.distance(&other.hash?) <= NEAR);
                let plain = one.contrast < BLANK || other.contrast < BLANK;
                let note = if one.sha256 == other.sha256 {
                    "the same file"
                } else if !plain && near().unwrap_or(false) {
                    "nearly the same"
                } else {
                    continue;
                };
                found.push((*a, *b, note));
                if found.len() == MOST / 2 {
                    break;
                }
            }
        }
        found.truncate(MOST / 2);
        self.look_at(found.iter().flat_map(|(a, b, _)| [*a, *b]), true);
        let shown = |(a, b, note): (usize, usize, &str)| {
            let differ = self.items[a].answers != self.items[b].answers;
            let note = format!("{note}{}", if differ { ", other truth" } else { "" });
            (self.shown(a, note.clone()), self.shown(b, note))
        };
        found.into_iter().map(shown).collect()
    }
}
