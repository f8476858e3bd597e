//! A decoder's panic costs one row.

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

use crate::error::ItemError;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, and turns a panic in it into [`ItemError::DecoderPanic`].
///
/// # Errors
///
/// What `work` returns, and `decoder_panic`.
pub fn contained<T>(work: impl FnOnce() -> Result<T, ItemError>) -> Result<T, ItemError> {
    let outer = CONTAINED.replace(true);
    // Unwind safety: what a panic leaves half-written is the image's own buffer, which the next
    // image overwrites.
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(outer);
    outcome.unwrap_or_else(|panic| Err(ItemError::DecoderPanic { reason: message(&*panic) }))
}

/// Whether a panic on this thread would become a row.
#[must_use]
pub fn is_contained() -> bool {
    CONTAINED.get()
}

/// Keeps panics that become rows from printing a report on stderr; others print as before.
///
/// This is process-wide, so it is the program's choice and not the library's.
pub fn silence_contained_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_contained() {
                report(info);
            }
        }));
    });
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it panicked without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_the_next_call_works() {
        silence_contained_panics();
        let failed = contained::<()>(|| panic!("index {} is out of range", 7)).unwrap_err();
        assert_eq!(failed.code(), "decoder_panic");
        assert!(failed.to_string().contains("index 7 is out of range"), "{failed}");
        assert_eq!(contained(|| Ok(1)).unwrap(), 1);
    }
}
