//! Reports of panics, for which a process has one place: hence one test in a process of its own.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    panic::{catch_unwind, set_hook},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use linnaeus::{
    decode::{contained, silence_contained_panics},
    error::ItemError,
};

static REPORTS: AtomicUsize = AtomicUsize::new(0);

fn panics() -> Result<(), ItemError> {
    panic!("made for the test")
}

#[test]
fn a_panic_that_becomes_a_row_prints_no_report_and_any_other_does() {
    set_hook(Box::new(|_| {
        REPORTS.fetch_add(1, SeqCst);
    }));
    contained(panics).unwrap_err();
    assert_eq!(REPORTS.load(SeqCst), 1, "nothing is silenced unless the program asks for it");

    silence_contained_panics();
    silence_contained_panics();
    contained(panics).unwrap_err();
    contained(|| {
        contained(panics).unwrap_err();
        // Still inside the outer one.
        panics()
    })
    .unwrap_err();
    assert_eq!(REPORTS.load(SeqCst), 1);
    catch_unwind(panics).unwrap_err();
    assert_eq!(REPORTS.load(SeqCst), 2, "outside, a panic is reported once");
    contained(|| Ok(())).unwrap();
    catch_unwind(panics).unwrap_err();
    assert_eq!(REPORTS.load(SeqCst), 3);
}
