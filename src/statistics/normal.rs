//! Quantiles of the normal distribution.

use std::f64::consts::PI;

/// How many standard deviations on both sides hold a `level` (0 to 1) of a normal distribution:
/// 1.96 for 0.95.
#[must_use]
pub fn two_sided(level: f64) -> f64 {
    let wanted = f64::midpoint(1.0, level);
    let [mut low, mut high] = [0.0, 8.0];
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if below(middle) < wanted { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The distribution function: G. Marsaglia, *Evaluating the normal distribution* (2004), the Taylor
/// series of Φ about 0.
fn below(x: f64) -> f64 {
    let (mut sum, mut term, mut odd) = (x, x, 1.0);
    while term > 1e-17 * sum {
        odd += 2.0;
        term *= x * x / odd;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_scipys() {
        // scipy 1.17: norm.ppf((1 + level) / 2).
        for (level, expected) in [
            (0.8, 1.2815515655446004),
            (0.9, 1.6448536269514722),
            (0.95, 1.959963984540054),
            (0.99, 2.5758293035489004),
            (0.999, 3.2905267314919255),
        ] {
            assert!((two_sided(level) - expected).abs() < 1e-9, "{level}");
        }
    }
}
