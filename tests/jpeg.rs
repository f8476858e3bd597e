//! The JPEG decoder against Pillow 13: `golden/jpeg/` was written by `golden/make_jpeg.py`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "not shipped")]

use std::fs;
use std::path::PathBuf;

use linnaeus::decode::jpeg::{Decoded, JpegError, decode, read_header};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/jpeg").join(name)
}

fn image(name: &str) -> Vec<u8> {
    fs::read(golden(&format!("{name}.jpg"))).expect("golden image")
}

/// The lines of a golden table, split at spaces.
fn table(name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(golden(name)).expect("golden table");
    text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

mod samples;

fn hex(crc: &str) -> u32 {
    u32::from_str_radix(crc, 16).expect("a hexadecimal crc")
}

/// Cuts every golden image in every place that leaves a jpeg's first bytes.
fn each_cut(mut check: impl FnMut(&str, &[u8])) {
    for row in table("pixels.txt") {
        let bytes = image(&row[0]);
        let end = bytes.windows(2).rposition(|pair| pair == [0xFF, 0xD9]).expect("an end marker");
        for length in 0..end + 2 {
            check(&format!("{} cut to {length} bytes", row[0]), &bytes[..length]);
        }
    }
}

#[test]
fn pixels_are_those_of_pillow() {
    let mut out = vec![7; 100_000];
    let rows = table("pixels.txt");
    assert_eq!(rows.len(), 51, "kinds of jpeg");
    for row in rows {
        let [name, height, width, channels, crc] = &row[..] else { panic!("row {row:?}") };
        let decoded =
            decode(&image(name), &mut out).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = Decoded {
            height: height.parse().unwrap(),
            width: width.parse().unwrap(),
            channels: channels.parse().unwrap(),
        };
        assert_eq!(decoded, expected, "{name}");
        assert_eq!(
            out.len(),
            height.parse::<usize>().unwrap() * width.parse::<usize>().unwrap() * expected.channels,
            "{name}"
        );
        assert_eq!(samples::crc32(&out), hex(crc), "{name}");
    }
}

#[test]
fn header_is_read_without_the_image_data() {
    for row in table("pixels.txt") {
        let bytes = image(&row[0]);
        let scan = bytes.windows(2).position(|pair| pair == [0xFF, 0xDA]).expect("a scan");
        let header =
            read_header(&bytes[..scan + 16]).unwrap_or_else(|error| panic!("{}: {error}", row[0]));
        assert_eq!(header.height.to_string(), row[1], "{}", row[0]);
        assert_eq!(header.width.to_string(), row[2], "{}", row[0]);
        assert_eq!(header.channels().to_string(), row[3], "{}", row[0]);
        assert_eq!(header.progressive, row[0].contains("progressive"), "{}", row[0]);
    }
}

#[test]
fn a_cut_file_is_truncated_wherever_it_is_cut() {
    each_cut(|what, bytes| {
        let result = decode(bytes, &mut Vec::new());
        assert!(matches!(result, Err(JpegError::Truncated(_))), "{what}: {result:?}");
    });
}

#[test]
fn a_cut_file_with_an_end_marker_added_has_no_invented_pixels() {
    let row = table("pixels.txt").into_iter().find(|row| row[0] == "420").expect("the 420 image");
    let bytes = image(&row[0]);
    let scan = bytes.windows(2).position(|pair| pair == [0xFF, 0xDA]).expect("a scan");
    // Less than 8 bytes from the end, the last block may be whole already.
    for length in scan + 14..bytes.len() - 8 {
        let result = decode(&[&bytes[..length], &[0xFF, 0xD9]].concat(), &mut Vec::new());
        assert!(matches!(result, Err(JpegError::Corrupt(_))), "{length} bytes: {result:?}");
    }
}

#[test]
fn what_pillow_refuses_is_refused() {
    for row in table("refused.txt") {
        let result = decode(&image(&row[0]), &mut Vec::new());
        assert!(result.is_err(), "{}: {result:?}", row[0]);
    }
}

#[test]
fn a_changed_byte_is_refused_or_read_as_pillow_reads_it() {
    let mut out = Vec::new();
    let (mut same, mut stricter) = (0, 0);
    for row in table("edits.txt") {
        let [name, position, value, verdict] = &row[..] else { panic!("row {row:?}") };
        let mut bytes = image(name);
        bytes[position.parse::<usize>().unwrap()] = value.parse().unwrap();
        match decode(&bytes, &mut out) {
            Ok(_) => {
                assert_ne!(verdict, "reject", "{name} {position} {value}");
                // Damage makes coefficients beyond the range of a jpeg, which libjpeg's kernels and
                // the codec's saturate in ways of their own on each architecture.
                let pillow = !cfg!(target_arch = "x86_64") || samples::crc32(&out) == hex(verdict);
                assert!(pillow, "{name} {position} {value}: other pixels than Pillow's");
                same += 1;
            }
            Err(_) if verdict == "reject" => same += 1,
            Err(_) => stricter += 1,
        }
    }
    // Pillow paints over invalid codes and missing data, which is refused here.
    assert!(stricter * 8 < same, "{stricter} files refused that Pillow reads, {same} agreements");
}

#[test]
fn too_many_scans_are_refused_before_decoding() {
    let bytes = image("gray_progressive");
    let scan = bytes.windows(2).rposition(|pair| pair == [0xFF, 0xDA]).expect("a scan");
    let end = bytes.len() - 2;
    let mut bomb = bytes[..end].to_vec();
    for _ in 0..100 {
        bomb.extend_from_slice(&bytes[scan..end]);
    }
    bomb.extend_from_slice(&bytes[end..]);
    let result = decode(&bomb, &mut Vec::new());
    assert!(matches!(result, Err(JpegError::TooComplex(_))), "{result:?}");
}

#[test]
fn lossless_and_hierarchical_files_are_named_unsupported() {
    let bytes = image("444");
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).expect("a frame");
    for code in [0xC3, 0xC5, 0xC7, 0xCB, 0xCF] {
        let mut edited = bytes.clone();
        edited[frame + 1] = code;
        let result = read_header(&edited);
        assert!(matches!(result, Err(JpegError::Unsupported(_))), "{code:02x}: {result:?}");
    }
}
