//! Whether a confidence of 80 % is right in 80 % of the cases.

use serde::Serialize;

/// Bins of a reliability diagram when nobody says how many, as in C. Guo et al., *On calibration of
/// modern neural networks* (2017).
const BINS: usize = 15;

/// Confidences of one bin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Lower end, which does not belong to it unless it is 0.
    pub low: f64,
    /// Upper end, which does.
    pub high: f64,
    /// Images.
    pub images: u64,
    /// Those that are right.
    pub right: u64,
    /// Mean confidence, 0 when it is empty.
    pub confidence: f64,
    /// Share that is right, 0 when it is empty.
    pub accuracy: f64,
}

/// Calibration of the confidence in the predicted class, in bins of equal width.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The bins from 0 to 1.
    pub bins: Vec<Bin>,
    /// Expected calibration error: mean of |accuracy − confidence| over the bins, weighted with
    /// their images. M. P. Naeini et al., *Obtaining well calibrated probabilities using Bayesian
    /// binning* (2015); M. Guo et al. use it as here.
    pub ece: f64,
    /// Maximum calibration error: the largest such difference of a bin with images.
    pub mce: f64,
    /// Mean confidence less accuracy: above 0 is too sure.
    pub overconfidence: f64,
}

impl Calibration {
    /// Bins pairs of a confidence and whether it was right.
    #[must_use]
    pub fn of(pairs: impl IntoIterator<Item = (f64, bool)>) -> Self {
        let edge = |at: usize| at as f64 * (1.0 / BINS as f64);
        let mut sums = [(0u64, 0u64, 0.0f64); BINS];
        for (confidence, right) in pairs {
            let at = (1..BINS).filter(|&at| edge(at) < confidence).count();
            let (images, hits, sum) = &mut sums[at];
            *images += 1;
            *hits += u64::from(right);
            *sum += confidence;
        }
        let bin = |(at, &(images, right, sum)): (usize, &(u64, u64, f64))| Bin {
            low: edge(at),
            high: if at + 1 == BINS { 1.0 } else { edge(at + 1) },
            images,
            right,
            confidence: sum / images.max(1) as f64,
            accuracy: right as f64 / images.max(1) as f64,
        };
        let bins: Vec<Bin> = sums.iter().enumerate().map(bin).collect();
        let total = bins.iter().map(|bin| bin.images).sum::<u64>().max(1) as f64;
        let gap = |bin: &Bin| bin.confidence - bin.accuracy;
        let weighted = |of: &dyn Fn(f64) -> f64| {
            bins.iter().map(|bin| bin.images as f64 * of(gap(bin))).sum::<f64>() / total
        };
        Self {
            ece: weighted(&f64::abs),
            overconfidence: weighted(&|gap| gap),
            mce: bins.iter().map(|bin| gap(bin).abs()).fold(0.0, f64::max),
            bins,
        }
    }
}
