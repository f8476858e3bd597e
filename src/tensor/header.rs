//! The header of a `.npy` file, looked at before the library that reads it allocates and multiplies
//! what it says.

use std::io::Read;

/// Most bytes of a header; numpy's of an array of numbers have 118.
const MAX_BYTES: u32 = 1 << 14;

/// Most brackets that a header opens; that of an array of numbers opens two.
const MAX_BRACKETS: usize = 8;

/// Checks the header's length and nesting, and that its shape has a number of elements.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn look_over(mut file: impl Read) -> Result<(), String> {
    let mut exactly = |length: u32| {
        let mut bytes = Vec::new();
        let read = file.by_ref().take(u64::from(length)).read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        let whole = bytes.len() as u64 == u64::from(length);
        whole.then_some(bytes).ok_or_else(|| "it ends inside its header".to_owned())
    };
    let start = exactly(8)?;
    // Versions 2 and 3 have four bytes for the length, version 1 has two.
    let mut length = [0; 4];
    let digits = exactly(if start[6] == 1 { 2 } else { 4 })?;
    length[..digits.len()].copy_from_slice(&digits);
    let length = u32::from_le_bytes(length);
    if length > MAX_BYTES {
        return Err(format!("its header has {length} bytes; those of arrays have a few hundred"));
    }
    let text = exactly(length)?;
    let text = String::from_utf8_lossy(&text);
    // The library's time doubles with each level.
    if text.matches(['[', '(', '{']).count() > MAX_BRACKETS {
        return Err("its header is nested as that of no array of numbers".to_owned());
    }
    let shape = text.split_once("shape").map_or("", |(_, behind)| behind);
    let numbers = shape.split(')').next().unwrap_or_default().split(|c: char| !c.is_ascii_digit());
    // Dimensions of 0 are left out: around them the others may be of any size, and are multiplied.
    let mut dims = numbers.filter(|text| !text.is_empty() && text.parse() != Ok(0u64));
    let product = dims.try_fold(1u64, |all, dim| all.checked_mul(dim.parse().ok()?));
    product.map(|_| ()).ok_or_else(|| "its shape has more elements than can be counted".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(version: u8, length: &[u8], shape: &str) -> Vec<u8> {
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let length =
            if length.is_empty() { vec![text.len().to_le_bytes()[0], 0] } else { length.to_vec() };
        [b"\x93NUMPY", &[version, 0][..], &length, text.as_bytes()].concat()
    }

    #[test]
    fn shapes_without_end_nesting_and_headers_of_gigabytes_are_refused() {
        for shape in ["(2, 3)", "()", "(0, 7)", "(4294967295, 4294967297)"] {
            assert_eq!(look_over(&*npy(1, &[], shape)), Ok(()), "{shape}");
        }
        for shape in [
            "(4294967296, 4294967296)",
            "(9223372036854775807, 0, 4, 3)",
            "(1e9, 99999999999999999999)",
        ] {
            assert!(look_over(&*npy(1, &[], shape)).unwrap_err().contains("shape"), "{shape}");
        }
        let nested = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        assert!(look_over(&*npy(1, &[], &nested)).unwrap_err().contains("nested"));
        let huge = npy(2, &[0xff; 4], "(2, 3)");
        assert!(look_over(&*huge).unwrap_err().contains("4294967295 bytes"));
        assert!(look_over(&huge[..7]).unwrap_err().contains("ends"));
        assert_eq!(look_over(&*npy(2, &[59, 0, 0, 0], "(2, 3)")), Ok(()));
    }
}
