//! Who hears of a run: a person and a log all along, Prometheus and a program of the user's when it
//! is over. Nothing that fails here changes how the run ends.

/// The program that is run when all is over.
pub mod hook;

/// Every message, as text and as JSON.
pub mod log;

/// Figures for Prometheus.
pub mod metrics;

pub use log::{Log, Show};
