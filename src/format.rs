//! Which files are images: by extension, and by their first bytes.

use std::path::Path;

/// How many first bytes [`sniff`] wants to see.
pub const SNIFF_BYTES: usize = 64;

/// An image format, as its first bytes tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageFormat {
    /// JPEG.
    Jpeg,
    /// PNG; of an animated one, the default image.
    Png,
    /// GIF; the first frame.
    Gif,
    /// WebP; the first frame.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// TIFF; the first page.
    Tiff,
    /// An image format that is recognised and not decoded, by its name.
    Other(&'static str),
}

/// Extensions, in lower case, of formats that are decoded.
const DECODED: [&str; 13] = [
    "apng", "bmp", "dib", "gif", "jfif", "jpe", "jpeg", "jpg", "pjpeg", "png", "tif", "tiff",
    "webp",
];

/// Extensions of image formats that are not decoded: their files are candidates all the same, so
/// that a folder of HEIC photos ends as rows that say so, and not as an empty success.
const NOT_DECODED: [(&str, &str); 38] = [
    ("3fr", "camera raw"),
    ("arw", "camera raw"),
    ("avif", "AVIF"),
    ("cr2", "camera raw"),
    ("cr3", "camera raw"),
    ("cur", "Windows cursor"),
    ("dcm", "DICOM"),
    ("dds", "DDS"),
    ("dng", "camera raw"),
    ("emf", "EMF"),
    ("eps", "EPS"),
    ("exr", "OpenEXR"),
    ("ff", "farbfeld"),
    ("hdr", "Radiance HDR"),
    ("heic", "HEIC"),
    ("heif", "HEIF"),
    ("ico", "Windows icon"),
    ("j2k", "JPEG 2000"),
    ("jp2", "JPEG 2000"),
    ("jpx", "JPEG 2000"),
    ("jxl", "JPEG XL"),
    ("nef", "camera raw"),
    ("orf", "camera raw"),
    ("pam", "PAM"),
    ("pbm", "PBM"),
    ("pcx", "PCX"),
    ("pfm", "PFM"),
    ("pgm", "PGM"),
    ("pnm", "PNM"),
    ("ppm", "PPM"),
    ("psd", "Photoshop"),
    ("qoi", "QOI"),
    ("raf", "camera raw"),
    ("rw2", "camera raw"),
    ("svg", "SVG"),
    ("tga", "TGA"),
    ("wmf", "WMF"),
    ("xpm", "XPM"),
];

/// Whether the extension is an image's, in any case of letters.
#[must_use]
pub fn has_image_extension(path: &Path) -> bool {
    lower_extension(path).is_some_and(|extension| {
        DECODED.contains(&extension.as_str()) || name_of_extension(&extension).is_some()
    })
}

/// The name of the format that the extension stands for, when it is one that is not decoded.
#[must_use]
pub fn undecoded_by_extension(path: &Path) -> Option<&'static str> {
    name_of_extension(&lower_extension(path)?)
}

fn lower_extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

fn name_of_extension(extension: &str) -> Option<&'static str> {
    NOT_DECODED.iter().find(|(known, _)| *known == extension).map(|(_, name)| *name)
}

/// Recognises an image by its first bytes, of which up to [`SNIFF_BYTES`] are looked at.
#[must_use]
pub fn sniff(head: &[u8]) -> Option<ImageFormat> {
    const MAGIC: [(&[u8], ImageFormat); 16] = [
        (b"\xFF\xD8\xFF", ImageFormat::Jpeg),
        (b"\x89PNG\r\n\x1A\n", ImageFormat::Png),
        (b"GIF87a", ImageFormat::Gif),
        (b"GIF89a", ImageFormat::Gif),
        (b"II*\0", ImageFormat::Tiff),
        (b"MM\0*", ImageFormat::Tiff),
        (b"II+\0", ImageFormat::Tiff),
        (b"MM\0+", ImageFormat::Tiff),
        (b"8BPS\0", ImageFormat::Other("Photoshop")),
        (b"\0\0\0\x0CJXL \r\n\x87\n", ImageFormat::Other("JPEG XL")),
        (b"\xFF\x4F\xFF\x51", ImageFormat::Other("JPEG 2000")),
        (b"\0\0\0\x0CjP  \r\n\x87\n", ImageFormat::Other("JPEG 2000")),
        (b"qoif", ImageFormat::Other("QOI")),
        (b"DDS ", ImageFormat::Other("DDS")),
        (b"v/1\x01", ImageFormat::Other("OpenEXR")),
        (b"#?RADIANCE\n", ImageFormat::Other("Radiance HDR")),
    ];
    let by_magic = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
    by_magic
        .map(|&(_, format)| format)
        .or_else(|| sniff_container(head))
        .or_else(|| sniff_bmp(head))
}

fn sniff_container(head: &[u8]) -> Option<ImageFormat> {
    if head.get(..4) == Some(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Some(ImageFormat::WebP);
    }
    if head.get(4..8)? != b"ftyp" {
        return None;
    }
    match head.get(8..12)? {
        b"avif" | b"avis" => Some(ImageFormat::Other("AVIF")),
        b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" => Some(ImageFormat::Other("HEIC")),
        b"mif1" | b"msf1" => Some(ImageFormat::Other("HEIF")),
        b"crx " => Some(ImageFormat::Other("camera raw")),
        _ => None,
    }
}

/// `BM` begins many a text, so the header size behind it must be one that exists as well.
fn sniff_bmp(head: &[u8]) -> Option<ImageFormat> {
    let header = u32::from_le_bytes(head.get(14..18)?.try_into().ok()?);
    let known = matches!(header, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124);
    (head.starts_with(b"BM") && known).then_some(ImageFormat::Bmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_read_in_any_case() {
        for name in ["a.jpg", "a.JPEG", "b.HeIc", "x.tif", "dir.d/c.webp"] {
            assert!(has_image_extension(Path::new(name)), "{name}");
        }
        for name in ["a.txt", "jpg", ".jpg", "a.jpg.bak", "a"] {
            assert!(!has_image_extension(Path::new(name)), "{name}");
        }
        assert_eq!(undecoded_by_extension(Path::new("a.HEIC")), Some("HEIC"));
        assert_eq!(undecoded_by_extension(Path::new("a.jpg")), None);
    }

    #[test]
    fn content_decides_where_it_can() {
        assert_eq!(sniff(b"\xFF\xD8\xFF\xE0 more"), Some(ImageFormat::Jpeg));
        assert_eq!(sniff(b"RIFF\x10\0\0\0WEBPVP8 "), Some(ImageFormat::WebP));
        assert_eq!(sniff(b"RIFF\x10\0\0\0WAVEfmt "), None);
        assert_eq!(sniff(b"\0\0\0\x20ftypheic\0\0\0\0"), Some(ImageFormat::Other("HEIC")));
        assert_eq!(sniff(b"BMW builds cars in Munich"), None);
        assert_eq!(sniff(b""), None);
    }

    #[test]
    fn the_lists_are_sorted_and_disjoint() {
        assert!(DECODED.is_sorted() && NOT_DECODED.is_sorted());
        assert!(NOT_DECODED.iter().all(|(extension, _)| !DECODED.contains(extension)));
    }
}
