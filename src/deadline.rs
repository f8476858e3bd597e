//! How long one image may take, from opening its file to its tensor.

use std::time::{Duration, Instant};

use crate::error::ItemError;

/// Until when an image has to be ready. Whoever works on it looks here from time to time: nothing
/// is interrupted by it.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    limit: Duration,
    /// Never, when it lies beyond what the clock can say.
    at: Option<Instant>,
}

impl Deadline {
    /// In `limit` from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { limit, at: Instant::now().checked_add(limit) }
    }

    /// No limit.
    #[must_use]
    pub fn never() -> Self {
        Self { limit: Duration::MAX, at: None }
    }

    /// The time that is left; none when it has passed.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.left().is_zero()
    }

    /// The row of an image that was not ready in time.
    #[must_use]
    pub fn error(&self) -> ItemError {
        ItemError::Timeout { limit: humantime::format_duration(self.limit).to_string() }
    }

    /// Refuses to go on when it has passed.
    ///
    /// # Errors
    ///
    /// `timeout`.
    pub fn check(&self) -> Result<(), ItemError> {
        if self.has_passed() { Err(self.error()) } else { Ok(()) }
    }

    /// Runs `wait`, in which others are waited for: that time is not the image's.
    pub fn not_counting<R>(&mut self, wait: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let outcome = wait();
        self.at = self.at.and_then(|at| at.checked_add(start.elapsed()));
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_passed_is_refused_with_the_limit_and_waiting_for_others_is_free() {
        let error = Deadline::after(Duration::ZERO).check().unwrap_err();
        assert_eq!(error.code(), "timeout");
        assert!(error.to_string().contains("0s"), "{error}");
        Deadline::never().check().unwrap();
        Deadline::after(Duration::MAX).check().unwrap();

        let mut deadline = Deadline::after(Duration::from_secs(1000));
        let before = deadline.at.unwrap();
        deadline.not_counting(|| std::thread::sleep(Duration::from_millis(5)));
        assert!(deadline.at.unwrap() >= before + Duration::from_millis(5));
    }
}
