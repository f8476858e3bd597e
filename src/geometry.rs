//! Sizes and rectangles in pixels, height before width everywhere.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Height and width in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Size {
    /// A square of `side`×`side` pixels.
    #[must_use]
    pub const fn square(side: usize) -> Self {
        Self { height: side, width: side }
    }

    /// Height times width.
    #[must_use]
    pub const fn area(self) -> usize {
        self.height * self.width
    }

    /// The smaller of height and width.
    #[must_use]
    pub fn shorter_side(self) -> usize {
        self.height.min(self.width)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

impl FromStr for Size {
    type Err = String;

    /// Reads `224` (a square) or `HEIGHTxWIDTH`.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`{text}` is no size; write `224` or `HEIGHTxWIDTH`, such as `240x320`");
        let side = |part: &str| part.trim().parse().ok().filter(|&n: &usize| n > 0).ok_or_else(bad);
        match text.split_once('x') {
            Some((height, width)) => Ok(Self { height: side(height)?, width: side(width)? }),
            None => side(text).map(Self::square),
        }
    }
}

/// A rectangle of whole pixels inside an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rect {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Rect {
    /// The whole of an image of `size`.
    #[must_use]
    pub const fn whole(size: Size) -> Self {
        Self { top: 0, left: 0, height: size.height, width: size.width }
    }

    /// Height and width, without the position.
    #[must_use]
    pub const fn size(self) -> Size {
        Size { height: self.height, width: self.width }
    }

    /// Whether it lies inside an image of `size`.
    #[must_use]
    pub const fn fits(self, size: Size) -> bool {
        self.top + self.height <= size.height && self.left + self.width <= size.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_height_first() {
        assert_eq!("240x320".parse(), Ok(Size { height: 240, width: 320 }));
        assert_eq!("224".parse(), Ok(Size::square(224)));
        for bad in ["", "0", "12x", "x3", "-1", "3x0", "2.5"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
