//! Images of which two runs say different things.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Serialize;

use super::Pair;
use crate::{saved_run::SavedRun, thumbnail::Viewer};

/// Most flips of one kind in the report.
const MOST: usize = 60;

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It was right.
    RightToWrong,
    /// It is right now.
    WrongToRight,
    /// It is another wrong one.
    WrongToOther,
    /// Nothing says what is right, or both answers are.
    Changed,
}

impl Kind {
    /// Every kind, the most important first.
    pub const ALL: [Self; 4] =
        [Self::RightToWrong, Self::WrongToRight, Self::WrongToOther, Self::Changed];

    /// As it is written in tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::RightToWrong => "right_to_wrong",
            Self::WrongToRight => "wrong_to_right",
            Self::WrongToOther => "wrong_to_other",
            Self::Changed => "changed",
        }
    }

    fn of(pair: &Pair<'_>) -> Self {
        match (pair.answers, pair.is_right(0, 1), pair.is_right(1, 1)) {
            (Some(_), true, false) => Self::RightToWrong,
            (Some(_), false, true) => Self::WrongToRight,
            (Some(_), false, false) => Self::WrongToOther,
            _ => Self::Changed,
        }
    }
}

/// An image whose answer changed.
#[derive(Debug, Clone, Serialize)]
pub struct Flip {
    /// The `path` cell of its rows.
    pub path: String,
    /// What became of it.
    pub kind: Kind,
    /// Names of the right classes.
    pub truth: Vec<String>,
    /// What the first says: index, name, probability.
    pub a: (u32, String, f64),
    /// What the second says, with the first's index of the class.
    pub b: (u32, String, f64),
    /// The file, where the runs' inputs say it is.
    #[serde(skip)]
    pub images: [PathBuf; 2],
    /// Its thumbnail, as the address of an `img`.
    #[serde(skip)]
    pub picture: Option<String>,
}

/// All flips, counted, and the surest of each kind.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Flips {
    /// Images that were right.
    pub right_to_wrong: u64,
    /// Images that are right now.
    pub wrong_to_right: u64,
    /// Images that are wrong in another way.
    pub wrong_to_other: u64,
    /// Images without a truth, or with several right answers.
    pub changed: u64,
    /// The surest of each kind.
    pub shown: Vec<Flip>,
}

/// Every flip, by kind, the surest first.
pub(super) fn all(
    runs: [&SavedRun; 2],
    pairs: &[Pair<'_>],
    names: &BTreeMap<u32, String>,
) -> Vec<Flip> {
    let flip = |pair: &Pair<'_>| {
        let says = |run: usize| {
            let best = pair.top[run][0];
            (best.class, names[&best.class].clone(), best.probability)
        };
        let truth = pair.answers.into_iter().flatten().map(|class| names[class].clone());
        Flip {
            path: runs[0].predictions.rows()[pair.rows[0]].path.clone(),
            kind: Kind::of(pair),
            truth: truth.collect(),
            a: says(0),
            b: says(1),
            images: [0, 1].map(|run| runs[run].image(pair.rows[run])),
            picture: None,
        }
    };
    let changed = pairs.iter().filter(|pair| pair.classes()[0] != pair.classes()[1]);
    let mut flips: Vec<Flip> = changed.map(flip).collect();
    flips.sort_by(|one, other| one.kind.cmp(&other.kind).then(other.b.2.total_cmp(&one.b.2)));
    flips
}

/// Draws the first `most` images, as they lie in the first run's place, or else in the second's.
fn draw(shown: &mut [Flip], most: usize) {
    let viewer = Viewer::default();
    let mut open: Vec<&mut Flip> = shown.iter_mut().take(most).collect();
    for _run in 0..2 {
        let files: Vec<PathBuf> = open.iter().map(|flip| flip.images[0].clone()).collect();
        for (flip, look) in open.iter_mut().zip(viewer.look_at(&files, true)) {
            flip.picture = look.and_then(|look| look.picture);
            if flip.picture.is_none() {
                flip.images.swap(0, 1);
            }
        }
        open.retain(|flip| flip.picture.is_none());
    }
}

impl Flips {
    /// Counts `all` and draws thumbnails of so many.
    pub(super) fn of(all: &[Flip], thumbnails: usize) -> Self {
        let count = |kind: Kind| all.iter().filter(|flip| flip.kind == kind).count() as u64;
        let shown = Kind::ALL.iter().flat_map(|kind| {
            let of_kind = all.iter().filter(|flip| flip.kind == *kind);
            of_kind.take(MOST)
        });
        let mut shown: Vec<Flip> = shown.cloned().collect();
        draw(&mut shown[..], thumbnails);
        Self {
            right_to_wrong: count(Kind::RightToWrong),
            wrong_to_right: count(Kind::WrongToRight),
            wrong_to_other: count(Kind::WrongToOther),
            changed: count(Kind::Changed),
            shown,
        }
    }
}
