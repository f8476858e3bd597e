//! How much a figure from a sample says: intervals, paired tests, information. Pure.
//!
//! Of n images that two runs saw, a are right in the first only and b in the second only; m = a + b.
//!
//! | figure | formula | source |
//! |---|---|---|
//! | difference of accuracies | (b − a)/n | – |
//! | its bootstrap interval | the 2.5 % and 97.5 % quantiles of the difference in up to 10,000 samples of n images with replacement | Efron 1979 |
//! | its adjusted Wald interval | (b′ − a′)/n′ ± z √((a′ + b′)/n′ − ((b′ − a′)/n′)²) / √n′, a′ = a + 1, b′ = b + 1, n′ = n + 2 | Bonett and Price 2012 |
//! | `McNemar`, exact | min(1, 2 Σ_{i ≤ min(a, b)} C(m, i)/2ᵐ) | `McNemar` 1947 |
//! | `McNemar`, mid-p | the exact p less C(m, a)/2ᵐ | Fagerland, Lydersen and Laake 2013 |
//! | Holm | the largest of (k − j + 1) p₍ⱼ₎ up to each p, of k sorted ones, at most 1 | Holm 1979 |
//! | Fisher, exact | Σ of the hypergeometric probabilities that are not above the table's | Fisher 1922 |

mod exact;
mod normal;

pub use exact::Fisher;
pub use normal::two_sided;

/// 97.5 % quantile of the normal distribution: two-sided intervals of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % interval of a share: `hits` of `count`, each from 0 to 1.
///
/// E. B. Wilson, *Probable inference, the law of succession, and statistical inference* (1927).
/// Without any count the interval is everything.
#[must_use]
pub fn wilson(hits: u64, count: u64) -> [f64; 2] {
    wilson_within(hits, count, Z)
}

/// Wilson's interval as [`wilson`], `z` standard deviations wide; see [`two_sided`].
#[must_use]
pub fn wilson_within(hits: u64, count: u64, z: f64) -> [f64; 2] {
    if count == 0 {
        return [0.0, 1.0];
    }
    let (n, share) = (count as f64, hits as f64 / count as f64);
    let centre = share + z * z / (2.0 * n);
    let spread = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // At a share of 0 or 1 an end is that share, but for rounding.
    let [low, high] = [centre - spread, centre + spread].map(|end| end / scale);
    [low.clamp(0.0, share), high.clamp(share, 1.0)]
}

/// Two-sided mid-p value of `McNemar`'s test: `only_a` items that only the first gets right,
/// `only_b` that only the second does.
///
/// M. W. Fagerland, S. Lydersen, P. Laake, *The `McNemar` test for binary matched-pairs data*
/// (2013): the exact test's p less half the probability of what was observed.
#[must_use]
pub fn mcnemar_mid_p(only_a: u64, only_b: u64) -> f64 {
    let (n, k) = (only_a + only_b, only_a.min(only_b));
    if n == 0 {
        return 1.0;
    }
    let ln_half = 0.5f64.ln();
    // Each term from the one before it: ln C(n, i+1) = ln C(n, i) + ln((n − i) / (i + 1)).
    let mut ln_term = n as f64 * ln_half;
    let mut tail = ln_term.exp();
    for i in 0..k {
        ln_term += ((n - i) as f64 / (i + 1) as f64).ln();
        tail += ln_term.exp();
    }
    let observed = ln_term.exp();
    if only_a == only_b {
        return 1.0 - 0.5 * observed;
    }
    (2.0 * tail - observed).clamp(0.0, 1.0)
}

/// An interval of the difference of two shares of the same items, second less first, `z` standard
/// deviations wide: `only_a` are right in the first only, `only_b` in the second only, of `count`.
///
/// D. G. Bonett and R. M. Price, *Adjusted Wald confidence interval for a difference of binomial
/// proportions based on paired data* (2012). It is no point where nothing differs.
#[must_use]
pub fn paired_difference([only_a, only_b, count]: [u64; 3], z: f64) -> [f64; 2] {
    let n = count as f64 + 2.0;
    let [a, b] = [only_a, only_b].map(|only| (only as f64 + 1.0) / n);
    let spread = z * ((a + b - (b - a).powi(2)) / n).sqrt();
    [b - a - spread, b - a + spread].map(|end| end.clamp(-1.0, 1.0))
}

/// Two-sided p value of the exact `McNemar` test, which never claims too much.
///
/// Twice the tail of the binomial distribution, see [`mcnemar_mid_p`].
#[must_use]
pub fn mcnemar_exact_p(only_a: u64, only_b: u64) -> f64 {
    // The mid-p value leaves out half of what was observed on either side.
    let (n, k) = (only_a + only_b, only_a.min(only_b));
    if only_a == only_b {
        return 1.0;
    }
    let ln_factorial = |count: u64| (1..=count).map(|i| (i as f64).ln()).sum::<f64>();
    let ln_choose = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    (mcnemar_mid_p(only_a, only_b) + (ln_choose + n as f64 * 0.5f64.ln()).exp()).min(1.0)
}

/// Holm's step-down adjustment: p values that hold for all comparisons of a family together.
///
/// S. Holm, *A simple sequentially rejective multiple test procedure* (1979).
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, &at) in order.iter().enumerate() {
        largest = largest.max((p_values.len() - rank) as f64 * p_values[at]).min(1.0);
        adjusted[at] = largest;
    }
    adjusted
}

/// Shannon entropy of a distribution, in nats.
#[must_use]
pub fn entropy(probabilities: impl IntoIterator<Item = f64>) -> f64 {
    probabilities.into_iter().filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum()
}

/// Distributions of many images over the same classes.
#[derive(Debug, Clone, Default)]
pub struct Distributions {
    classes: usize,
    rows: Vec<f32>,
    /// The entropy of each row, which every sample of them needs.
    entropies: Vec<f64>,
}

impl Distributions {
    /// Adds an image's distribution; all have as many classes.
    ///
    /// # Panics
    ///
    /// Panics when the number of classes is another than before.
    pub fn push(&mut self, row: &[f32]) {
        assert!(self.entropies.is_empty() || row.len() == self.classes, "rows of one length");
        self.classes = row.len();
        self.entropies.push(entropy(row.iter().copied().map(f64::from)));
        self.rows.extend_from_slice(row);
    }

    /// Images.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entropies.len()
    }

    /// Each image's distribution.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.rows.chunks_exact(self.classes.max(1))
    }

    /// Mutual information of the `chosen` images and the classes, in nats: the entropy of the mean
    /// of the rows less their mean entropy.
    ///
    /// High when answers are sure and differ from image to image, near zero when every image gets
    /// the same answer or none is sure.
    #[must_use]
    pub fn mutual_information(&self, chosen: &[usize]) -> f64 {
        let mut sums = vec![0.0f64; self.classes];
        for &image in chosen {
            let row = &self.rows[image * self.classes..][..self.classes];
            sums.iter_mut().zip(row).for_each(|(sum, &p)| *sum += f64::from(p));
        }
        let count = chosen.len().max(1) as f64;
        let own: f64 = chosen.iter().map(|&image| self.entropies[image]).sum();
        entropy(sums.into_iter().map(|sum| sum / count)) - own / count
    }
}

/// Draws with replacement that are the same on every machine (xorshift64*, Marsaglia and Vigna).
#[derive(Debug, Clone)]
pub struct Draws(u64);

impl Draws {
    /// Draws of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// An index below `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        // Multiply-shift: the high half of a 64-bit product, without the modulo's bias to speak of.
        usize::try_from((high * count as u64) >> 32).expect("below a usize")
    }

    /// A sample of `count` indices with replacement.
    pub fn resample(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.below(count)).collect()
    }
}

/// The nearest-rank quantile of `values`, which are sorted by it; NaN of none.
#[must_use]
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (share * (values.len().saturating_sub(1)) as f64).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
    }

    #[test]
    fn wilson_is_scipys() {
        // scipy 1.17: binomtest(k, n).proportion_ci(method="wilson").
        for (hits, count, [low, high]) in [
            (0, 10, [0.0, 0.27753279986288926]),
            (159, 200, [0.7337430194757748, 0.8451382379616379]),
            (200, 200, [0.9811546736227335, 1.0]),
        ] {
            let [found_low, found_high] = wilson(hits, count);
            close(found_low, low);
            close(found_high, high);
        }
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
    }

    #[test]
    fn mid_p_is_the_exact_test_less_half_of_the_observed() {
        // By hand from the binomial distribution of n = 5 and 8 with p = 1/2.
        close(mcnemar_mid_p(0, 5), 2.0 / 32.0 - 1.0 / 32.0);
        close(mcnemar_mid_p(6, 2), 2.0 * (1.0 + 8.0 + 28.0) / 256.0 - 28.0 / 256.0);
        close(mcnemar_mid_p(4, 4), 1.0 - 0.5 * 70.0 / 256.0);
        close(mcnemar_mid_p(0, 0), 1.0);
        close(mcnemar_exact_p(0, 5), 2.0 / 32.0);
        close(mcnemar_exact_p(6, 2), 2.0 * (1.0 + 8.0 + 28.0) / 256.0);
        close(mcnemar_exact_p(4, 4), 1.0);
        assert!(mcnemar_mid_p(400, 300) < 0.001 && mcnemar_mid_p(100_000, 1) < 1e-300);
    }

    #[test]
    fn a_paired_difference_is_the_formulas_and_no_point() {
        // By the paper's formula, computed in Python.
        for (counts, [low, high]) in [
            ([5, 20, 200], [0.024891150788600803, 0.12362370069654771]),
            ([0, 0, 48], [-0.055436152973987116, 0.055436152973987116]),
        ] {
            let [found_low, found_high] = paired_difference(counts, two_sided(0.95));
            close(found_low, low);
            close(found_high, high);
        }
    }

    #[test]
    fn holm_multiplies_by_what_is_left_and_never_falls() {
        // By hand: 4 × 0.005, 3 × 0.01, 2 × 0.03, and 0.04 that may not be below 0.06.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.into_iter().zip([0.03, 0.06, 0.06, 0.02]) {
            close(found, expected);
        }
    }

    #[test]
    fn information_is_high_for_sure_and_different_answers() {
        let of = |rows: [[f32; 2]; 2]| {
            let mut distributions = Distributions::default();
            for row in &rows {
                distributions.push(row);
            }
            distributions
        };
        let sure = of([[1.0, 0.0], [0.0, 1.0]]);
        close(sure.mutual_information(&[0, 1]), 2.0f64.ln());
        close(sure.mutual_information(&[0, 0]), 0.0);
        close(of([[0.5, 0.5], [0.5, 0.5]]).mutual_information(&[0, 1]), 0.0);
    }

    #[test]
    fn draws_cover_the_range_and_repeat() {
        let sample = Draws::new(7).resample(1000);
        assert_eq!(sample, Draws::new(7).resample(1000));
        assert!(sample.iter().all(|&index| index < 1000));
        let distinct: std::collections::BTreeSet<_> = sample.iter().collect();
        // 1 − 1/e of a bootstrap sample are distinct.
        assert!((600..670).contains(&distinct.len()), "{}", distinct.len());
    }
}
