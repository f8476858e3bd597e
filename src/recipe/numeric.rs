//! The numbers of a recipe: scale, mean, std, and temperature.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What logits are divided by before a softmax; above 1 it makes answers less sure, and it changes none.
///
/// C. Guo et al., *On calibration of modern neural networks* (2017). From 0.01 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Temperature(f64);

impl Temperature {
    /// A temperature of this value.
    ///
    /// # Errors
    ///
    /// A message when it is not from 0.01 to 100.
    pub fn new(value: f64) -> Result<Self, String> {
        if (0.01..=100.0).contains(&value) {
            return Ok(Self(value));
        }
        Err(format!(
            "`temperature = {value}` is none: it is a number from 0.01 to 100, such as the one that \
             `linnaeus evaluate` fits"
        ))
    }

    /// What logits are divided by.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Temperature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Temperature {
    type Err = String;

    /// Reads a number.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text.trim().parse().unwrap_or(f64::NAN))
    }
}

impl<'de> Deserialize<'de> for Temperature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// How a byte becomes a number: `x / divisor + offset` or `x · factor + offset`, in f32.
///
/// Division and multiplication by the reciprocal differ in the last bit for 126 of the 256 bytes
/// when the divisor is 255, so they are told apart.
#[derive(Clone, Copy, PartialEq)]
pub struct Scale {
    by: By,
    offset: f32,
}

#[derive(Clone, Copy, PartialEq)]
enum By {
    Division(f32),
    Multiplication(f32),
}

impl Scale {
    /// The byte as it is: 0 to 255.
    pub const RAW: Self = Self { by: By::Multiplication(1.0), offset: 0.0 };

    /// The number that `x`, a byte or a value between bytes, becomes.
    #[must_use]
    pub fn apply(self, x: f32) -> f32 {
        let scaled = match self.by {
            By::Division(divisor) => x / divisor,
            By::Multiplication(factor) => x * factor,
        };
        scaled + self.offset
    }

    /// Whether every byte stays what it is.
    #[must_use]
    pub fn is_raw(self) -> bool {
        (0..=255u8).map(f32::from).all(|x: f32| self.apply(x).to_bits() == x.to_bits())
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            By::Division(divisor) => write!(f, "1/{divisor}")?,
            By::Multiplication(factor) => write!(f, "{factor}")?,
        }
        if self.offset == 0.0 { Ok(()) } else { write!(f, "{:+}", self.offset) }
    }
}

impl fmt::Debug for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl FromStr for Scale {
    type Err = String;

    /// Reads `1/255`, `1`, `0.00392` or, with an offset, `1/127.5-1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "`scale = \"{text}\"` is not known; write `1/255` (0 to 1), `1/127.5-1` (−1 to 1), \
                 `1` (0 to 255), or another factor"
            )
        };
        let number = |text: &str| text.parse().ok().filter(|x: &f32| x.is_finite()).ok_or_else(bad);
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        // A sign after an `e` belongs to the number, not to an offset.
        let split = compact
            .char_indices()
            .skip(1)
            .find(|&(at, c)| "+-".contains(c) && !compact[..at].ends_with(['e', 'E']))
            .map_or(compact.len(), |(at, _)| at);
        let (by, offset) = compact.split_at(split);
        let offset = if offset.is_empty() { 0.0 } else { number(offset)? };
        let by = match by.strip_prefix("1/") {
            Some(divisor) => By::Division(number(divisor)?),
            None => By::Multiplication(number(by)?),
        };
        let positive = matches!(by, By::Division(x) | By::Multiplication(x) if x > 0.0);
        if positive { Ok(Self { by, offset }) } else { Err(bad()) }
    }
}

impl Serialize for Scale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Scale;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a scale such as \"1/255\", \"1/127.5-1\" or 1")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scale, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, factor: f64) -> Result<Scale, E> {
                self.visit_str(&factor.to_string())
            }

            fn visit_i64<E: de::Error>(self, factor: i64) -> Result<Scale, E> {
                self.visit_str(&factor.to_string())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One number for all channels, or one for each.
#[derive(Debug, Clone, PartialEq)]
pub struct PerChannel(pub Vec<f32>);

impl FromStr for PerChannel {
    type Err = String;

    /// Reads `0.5` or `0.485,0.456,0.406`.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.trim().parse().ok().filter(|x: &f32| x.is_finite());
        let values: Option<Vec<f32>> = text.split(',').map(number).collect();
        values.map(Self).ok_or_else(|| {
            format!("`{text}` is no list of numbers; write `0.5` or `0.485,0.456,0.406`")
        })
    }
}

impl Serialize for PerChannel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Through the shortest decimal, so that 0.485 does not print as 0.48500001430511475.
        let shortest = |x: &f32| x.to_string().parse::<f64>().unwrap_or(f64::from(*x));
        serializer.collect_seq(self.0.iter().map(shortest))
    }
}

impl<'de> Deserialize<'de> for PerChannel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = PerChannel;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a list of one number per channel")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<PerChannel, E> {
                value.to_string().parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<PerChannel, E> {
                value.to_string().parse().map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<PerChannel, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element::<f32>()? {
                    values.push(value);
                }
                Ok(PerChannel(values))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_keeps_its_spelling_and_its_arithmetic() {
        for text in ["1/255", "1/127.5-1", "1", "0.017", "1/128-0.9921875"] {
            assert_eq!(text.parse::<Scale>().unwrap().to_string(), text);
        }
        assert_eq!(
            "1/127.5 - 1".parse::<Scale>().unwrap().apply(255.0).to_bits(),
            1.0f32.to_bits()
        );
        for bad in ["", "1/0", "0", "-1", "x", "1/", "1/255-", "nan"] {
            assert!(bad.parse::<Scale>().is_err(), "{bad}");
        }
    }

    #[test]
    fn dividing_by_255_is_not_multiplying_by_its_reciprocal() {
        // Counted with numpy: x / float32(255) against x * float32(1 / 255).
        let divided: Scale = "1/255".parse().unwrap();
        let multiplied: Scale = "0.003921569".parse().unwrap();
        let bytes = (0..=255u8).map(f32::from);
        let differing = bytes.filter(|&x| divided.apply(x) != multiplied.apply(x)).count();
        assert_eq!(differing, 126);
    }
}
