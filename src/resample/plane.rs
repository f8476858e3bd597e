//! Borrowed rows of bytes with a distance between them, for reading and for writing.

/// Rows of samples; byte 0 is the first sample of row 0, the last row may end early.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane<'a> {
    bytes: &'a [u8],
    stride: usize,
}

impl<'a> Plane<'a> {
    pub(super) fn new(bytes: &'a [u8], stride: usize) -> Self {
        Self { bytes, stride }
    }

    /// The plane that begins `rows` rows and `bytes` bytes further on.
    pub(super) fn skip(self, rows: usize, bytes: usize) -> Self {
        Self { bytes: &self.bytes[rows * self.stride + bytes..], stride: self.stride }
    }

    /// Everything from the start of a row to the end of the plane, following rows included.
    pub(super) fn row(self, row: usize) -> &'a [u8] {
        &self.bytes[row * self.stride..]
    }

    /// How many rows, from the first, have `length` bytes before the end of the plane.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn rows_with(self, length: usize) -> usize {
        self.bytes.len().checked_sub(length).map_or(0, |spare| spare / self.stride + 1)
    }
}

/// Rows of samples to write, without gaps.
#[derive(Debug)]
pub(super) struct PlaneMut<'a> {
    bytes: &'a mut [u8],
    row_bytes: usize,
}

impl<'a> PlaneMut<'a> {
    pub(super) fn new(bytes: &'a mut [u8], row_bytes: usize) -> Self {
        debug_assert_eq!(bytes.len() % row_bytes, 0);
        Self { bytes, row_bytes }
    }

    pub(super) fn rows(&self) -> usize {
        self.bytes.len() / self.row_bytes
    }

    pub(super) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    pub(super) fn row(&mut self, row: usize) -> &mut [u8] {
        &mut self.bytes[row * self.row_bytes..][..self.row_bytes]
    }

    /// The rows before and from `row`.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn split_at(&mut self, row: usize) -> (PlaneMut<'_>, PlaneMut<'_>) {
        let row_bytes = self.row_bytes;
        let (before, from) = self.bytes.split_at_mut(row * row_bytes);
        (PlaneMut { bytes: before, row_bytes }, PlaneMut { bytes: from, row_bytes })
    }
}
