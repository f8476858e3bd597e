//! What a test tells past the capture of its output: what it skipped, and figures worth reading.

/// `println!` that shows also when the test passes.
macro_rules! told {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
