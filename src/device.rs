//! Where the model runs: the words, before anything is loaded.

use std::{fmt, str::FromStr};

/// The device asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// The NVIDIA GPU of this number; when it is not usable, the run fails and says why.
    Cuda(u32),
    /// The first GPU when it is usable, else the processor; which one and why is said.
    Auto,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let index = text.strip_prefix("cuda:").and_then(|index| index.parse().ok());
        match (text, index) {
            ("cpu", _) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda(0)),
            ("auto", _) => Ok(Self::Auto),
            (_, Some(index)) => Ok(Self::Cuda(index)),
            _ => Err(format!(
                "`device = \"{text}\"` is not known; write cpu, cuda, cuda:N (N from 0) or auto"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_read_back_as_they_are_written() {
        for text in ["cpu", "cuda", "cuda:1", "auto"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        for bad in ["gpu", "cuda:", "cuda:-1", "CPU", ""] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
    }
}
