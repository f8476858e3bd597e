//! Fisher's exact test.

/// Fisher's exact test of shares in two groups, for many tables of up to a known count.
#[derive(Debug, Clone)]
pub struct Fisher {
    /// Logarithm of n! by n.
    ln_factorials: Vec<f64>,
}

impl Fisher {
    /// Tests of tables whose four cells add up to `count` at most.
    #[must_use]
    pub fn up_to(count: usize) -> Self {
        let mut sum = 0.0;
        let ln_factorial = |n: usize| {
            sum += if n == 0 { 0.0 } else { (n as f64).ln() };
            sum
        };
        Self { ln_factorials: (0..=count).map(ln_factorial).collect() }
    }

    fn ln_choose(&self, n: usize, k: usize) -> f64 {
        self.ln_factorials[n] - self.ln_factorials[k] - self.ln_factorials[n - k]
    }

    /// Two-sided p value that `hits` of `count` and `other_hits` of `other_count` have one share: the
    /// probability of all tables that are not more probable than this one.
    ///
    /// R. A. Fisher, *On the interpretation of χ² from contingency tables* (1922).
    ///
    /// # Panics
    ///
    /// Panics when the counts add up to more than was told.
    #[must_use]
    pub fn p_value(&self, [hits, count]: [usize; 2], [other_hits, other_count]: [usize; 2]) -> f64 {
        let (all, all_hits) = (count + other_count, hits + other_hits);
        let ln_p = |k: usize| {
            self.ln_choose(count, k) + self.ln_choose(other_count, all_hits - k)
                - self.ln_choose(all, all_hits)
        };
        // Rounding must not tell equally probable tables apart; scipy allows as much.
        let observed = ln_p(hits) + 1e-7;
        let tables = all_hits.saturating_sub(other_count)..=count.min(all_hits);
        let unlikely = tables.map(ln_p).filter(|ln_p| *ln_p <= observed);
        unlikely.map(f64::exp).sum::<f64>().min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_scipys() {
        let fisher = Fisher::up_to(1000);
        // scipy 1.17: fisher_exact([[hits, count - hits], [other, …]]).pvalue.
        for (one, other, expected) in [
            ([8, 10], [1, 6], 0.034965034965034975),
            ([30, 40], [700, 900], 0.6984318496660309),
            ([0, 5], [50, 60], 0.0003635642517186673),
            ([3, 3], [3, 3], 1.0),
        ] {
            let found = fisher.p_value(one, other);
            assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
        }
    }
}
