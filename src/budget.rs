//! A byte budget that all threads share: many images that are each within the limits must not
//! exhaust the memory together.

use std::{
    fmt,
    sync::{Condvar, Mutex, PoisonError},
};

/// Bytes to be shared; [`Budget::acquire`] waits until enough are free.
pub struct Budget {
    total: u64,
    free: Mutex<u64>,
    returned: Condvar,
    lender: Option<Lender>,
}

/// Asks for bytes that other processes share, and returns when it has them.
type Lender = Box<dyn Fn(u64) + Send + Sync>;

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lent = self.lender.is_some();
        f.debug_struct("Budget")
            .field("total", &self.total)
            .field("lent", &lent)
            .finish_non_exhaustive()
    }
}

/// Bytes taken from a [`Budget`]; dropping it gives them back.
#[derive(Debug)]
pub struct Permit<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    /// A budget of `total` bytes.
    #[must_use]
    pub fn new(total: u64) -> Self {
        Self { total, free: Mutex::new(total), returned: Condvar::new(), lender: None }
    }

    /// A budget of `total` bytes whose memory other processes share: `lender` is called with what
    /// is to be taken, and returns when it may be.
    #[must_use]
    pub fn lent(total: u64, lender: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { lender: Some(Box::new(lender)), ..Self::new(total) }
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Takes `bytes`, waiting while others hold them. More than the whole budget takes all of it,
    /// so that nobody waits for ever.
    pub fn acquire(&self, bytes: u64) -> Permit<'_> {
        let bytes = bytes.min(self.total);
        if let Some(lender) = &self.lender {
            lender(bytes);
        }
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes {
            free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= bytes;
        Permit { budget: self, bytes }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicU64, sync::atomic::Ordering::SeqCst, thread};

    use super::*;

    #[test]
    fn what_is_held_at_once_never_exceeds_the_budget() {
        let budget = Budget::new(100);
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for bytes in [10, 60, 40, 1_000] {
                        let permit = budget.acquire(bytes);
                        let now = held.fetch_add(permit.bytes, SeqCst) + permit.bytes;
                        most.fetch_max(now, SeqCst);
                        thread::yield_now();
                        held.fetch_sub(permit.bytes, SeqCst);
                    }
                });
            }
        });
        assert!(most.load(SeqCst) <= 100, "{most:?}");
        assert_eq!(*budget.free.lock().unwrap(), 100);
    }
}
