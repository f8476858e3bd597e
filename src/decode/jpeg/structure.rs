//! The marker structure of a JPEG (ITU-T T.81 annex B): what it declares, and whether it is whole.
//!
//! The codec is more forgiving than Pillow about markers (wrong segment lengths, illegal progressive
//! parameters, no end marker), so the rules of libjpeg (`jdmarker.c`, `jdphuff.c`) and of Pillow's
//! own reader (`JpegImagePlugin.py`) are applied here first.

use super::{Header, JpegError, MAX_SCANS};

/// Blocks that one interleaved unit may hold (T.81 B.2.3).
const MAX_BLOCKS_IN_UNIT: u32 = 10;
/// libjpeg's `JPEG_MAX_DIMENSION`.
const MAX_SIDE: u32 = 65_500;

/// A file whose markers lead from start to end of image.
pub(super) struct Structure {
    pub(super) header: Header,
    pub(super) scans: u32,
}

/// The frame that the markers before the first scan declare.
pub(super) fn first_scan(bytes: &[u8]) -> Result<Header, JpegError> {
    let mut walk = Walk::new(bytes)?;
    while walk.scans == 0 {
        walk.step()?;
    }
    walk.frame.map(|frame| frame.header).ok_or_else(|| corrupt("no frame before the image data"))
}

/// Follows all markers to the end of the image.
pub(super) fn whole_file(bytes: &[u8]) -> Result<Structure, JpegError> {
    let mut walk = Walk::new(bytes)?;
    while !walk.ended {
        walk.step()?;
    }
    let frame = walk.frame.ok_or_else(|| corrupt("no frame"))?;
    if frame.scanned.contains(&false) {
        return Err(corrupt("a component without image data"));
    }
    Ok(Structure { header: frame.header, scans: walk.scans })
}

struct Frame {
    header: Header,
    ids: Vec<u8>,
    /// Which components have had a scan.
    scanned: Vec<bool>,
}

impl Frame {
    /// The components that a scan header selects, as indices into this frame's.
    fn choose(&self, selectors: &[u8]) -> Result<Vec<usize>, JpegError> {
        let mut chosen = Vec::with_capacity(self.ids.len());
        for selector in selectors.chunks_exact(2) {
            let component = (0..self.ids.len())
                .find(|&i| self.ids[i] == selector[0] && !chosen.contains(&i))
                .ok_or_else(|| corrupt("a scan of unknown components"))?;
            chosen.push(component);
        }
        let blocks =
            |&i: &usize| u32::from(self.header.sampling[i][0] * self.header.sampling[i][1]);
        if chosen.len() > 1 && chosen.iter().map(blocks).sum::<u32>() > MAX_BLOCKS_IN_UNIT {
            return Err(corrupt("more than 10 blocks in an interleaved unit"));
        }
        Ok(chosen)
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    position: usize,
    frame: Option<Frame>,
    quantization: [Option<&'a [u8]>; 4],
    scans: u32,
    /// Number, 0 to 7, that the next restart marker of this scan must have.
    restart: u8,
    ended: bool,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, JpegError> {
        if bytes.iter().zip([0xFF, 0xD8, 0xFF]).any(|(&byte, expected)| byte != expected) {
            return Err(corrupt("it does not start with the marker of a jpeg"));
        }
        Ok(Self {
            bytes,
            position: 2,
            frame: None,
            quantization: [None; 4],
            scans: 0,
            restart: 0,
            ended: false,
        })
    }

    /// Handles one marker with its segment, and the image data behind a scan header.
    fn step(&mut self) -> Result<(), JpegError> {
        let marker = self.next_marker()?;
        match marker {
            0xD9 if self.scans == 0 => return Err(corrupt("no image data before the end marker")),
            0xD9 => self.ended = true,
            // These stand alone. Pillow passes restart markers before the first scan, not 0xFF01.
            0xD0..=0xD7 if self.scans == 0 => {}
            0x01 if self.scans > 0 => {}
            0xD0..=0xD7 if marker & 7 == self.restart => self.restart = (self.restart + 1) % 8,
            0xD0..=0xD7 => return Err(corrupt("restart markers out of order")),
            0xC0..=0xC2 | 0xC9 | 0xCA => self.read_frame(marker)?,
            0xC3 | 0xC5..=0xC8 | 0xCB | 0xCD..=0xCF | 0xDE | 0xDF => {
                return unsupported(&format!("lossless or hierarchical coding (0xFF{marker:02X})"));
            }
            0xC4 => check_huffman_tables(self.segment()?)?,
            0xCC => check_arithmetic_conditions(self.segment()?)?,
            0xDB => self.read_quantization_tables()?,
            0xDA => self.read_scan()?,
            0xDD => self.read_restart_interval()?,
            0xDC | 0xE0..=0xEF | 0xFE => {
                self.segment()?;
            }
            _ => return Err(corrupt(&format!("unknown marker 0xFF{marker:02X}"))),
        }
        Ok(())
    }

    /// Skips image data, padding and stray bytes up to the next marker code.
    fn next_marker(&mut self) -> Result<u8, JpegError> {
        loop {
            let rest = self.bytes.get(self.position..).unwrap_or_default();
            let prefix = find_ff(rest).ok_or_else(|| self.truncated())?;
            let code = rest[prefix..].iter().position(|&byte| byte != 0xFF);
            let code = prefix + code.ok_or_else(|| self.truncated())?;
            self.position += code + 1;
            if rest[code] != 0 {
                return Ok(rest[code]);
            }
        }
    }

    /// The payload of the segment at the current position.
    fn segment(&mut self) -> Result<&'a [u8], JpegError> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let &[high, low, ..] = rest else { return Err(self.truncated()) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err(corrupt(&format!("segment length {length} at byte {}", self.position)));
        }
        let payload = rest.get(2..length).ok_or_else(|| self.truncated())?;
        self.position += length;
        Ok(payload)
    }

    /// libjpeg keeps for a component the table that its first scan met, the codec the last of all.
    fn read_quantization_tables(&mut self) -> Result<(), JpegError> {
        let mut tables = self.segment()?;
        while let Some(&precision_and_slot) = tables.first() {
            let length = if precision_and_slot >> 4 == 0 { 65 } else { 129 };
            let table = tables.get(..length);
            let slot = self.quantization.get_mut(usize::from(precision_and_slot & 15));
            let (Some(table), Some(slot)) = (table, slot) else {
                return Err(corrupt("an impossible quantization table"));
            };
            if self.scans > 0 && slot.is_some_and(|before| before != table) {
                return unsupported("quantization tables that change between scans");
            }
            *slot = Some(table);
            tables = &tables[length..];
        }
        Ok(())
    }

    fn read_restart_interval(&mut self) -> Result<(), JpegError> {
        match self.segment()?.len() {
            2 => Ok(()),
            _ => Err(bad_length("restart interval")),
        }
    }

    fn read_frame(&mut self, marker: u8) -> Result<(), JpegError> {
        if self.frame.is_some() {
            return Err(corrupt("two frames in one image"));
        }
        let segment = self.segment()?;
        let &[precision, h1, h0, w1, w0, components, ref specs @ ..] = segment else {
            return Err(bad_length("frame"));
        };
        if specs.len() != 3 * usize::from(components) {
            return Err(bad_length("frame"));
        }
        if precision != 8 {
            return unsupported(&format!("{precision} bits per sample"));
        }
        if ![1, 3, 4].contains(&components) {
            return unsupported(&format!("{components} components"));
        }
        let (height, width) =
            (u32::from_be_bytes([0, 0, h1, h0]), u32::from_be_bytes([0, 0, w1, w0]));
        if height == 0 || width == 0 || height.max(width) > MAX_SIDE {
            return Err(corrupt(&format!("an image of {height} rows of {width} pixels")));
        }
        let sampling: Vec<[u8; 2]> =
            specs.chunks_exact(3).map(|spec| [spec[1] >> 4, spec[1] & 15]).collect();
        check_sampling(&sampling)?;
        let progressive = matches!(marker, 0xC2 | 0xCA);
        self.frame = Some(Frame {
            header: Header { height, width, components, progressive, sampling },
            ids: specs.chunks_exact(3).map(|spec| spec[0]).collect(),
            scanned: vec![false; usize::from(components)],
        });
        Ok(())
    }

    fn read_scan(&mut self) -> Result<(), JpegError> {
        let segment = self.segment()?;
        let frame = self.frame.as_mut().ok_or_else(|| corrupt("image data before the frame"))?;
        let (&count, rest) = segment.split_first().ok_or_else(|| bad_length("scan"))?;
        let count = usize::from(count);
        if count == 0 || count > frame.ids.len() || rest.len() != 2 * count + 3 {
            return Err(bad_length("scan"));
        }
        let (selectors, parameters) = rest.split_at(2 * count);
        let chosen = frame.choose(selectors)?;
        if frame.header.progressive {
            check_progression(count, parameters)?;
        } else if count > 1 && count < frame.ids.len() {
            return unsupported("sequential scans of several components each");
        } else if chosen.iter().any(|&i| frame.scanned[i]) {
            return Err(corrupt("a component with two sequential scans"));
        }
        for i in chosen {
            frame.scanned[i] = true;
        }
        self.restart = 0;
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return Err(JpegError::TooComplex(format!("more than {MAX_SCANS} scans")));
        }
        Ok(())
    }

    fn truncated(&self) -> JpegError {
        let have = self.bytes.len();
        JpegError::Truncated(format!("its {have} bytes end before the end-of-image marker"))
    }
}

/// Position of the first 0xFF. Image data holds one in some 200 bytes.
fn find_ff(bytes: &[u8]) -> Option<usize> {
    const STRIDE: usize = 32;
    let clear = bytes.chunks(STRIDE).take_while(|chunk| !chunk.contains(&0xFF)).count() * STRIDE;
    let tail = bytes.get(clear..)?;
    tail.iter().position(|&byte| byte == 0xFF).map(|at| clear + at)
}

/// The codec upsamples by whole factors only, and in colour only to the size of the first component.
fn check_sampling(sampling: &[[u8; 2]]) -> Result<(), JpegError> {
    for axis in 0..2 {
        let factors = || sampling.iter().map(|factors| factors[axis]);
        if factors().any(|factor| !(1..=4).contains(&factor)) {
            return Err(corrupt("a sampling factor outside 1 to 4"));
        }
        let most = factors().max().unwrap_or(1);
        let largest_first = sampling.len() != 3 || sampling[0][axis] == most;
        if !largest_first || factors().any(|factor| most % factor != 0) {
            return unsupported(&format!("chroma sampling {sampling:?}"));
        }
    }
    Ok(())
}

/// `jinit_phuff_decoder`'s rules for spectral selection and successive approximation.
fn check_progression(components: usize, parameters: &[u8]) -> Result<(), JpegError> {
    let &[first, last, bits] = parameters else { return Err(bad_length("scan")) };
    let (high, low) = (bits >> 4, bits & 15);
    let spectrum =
        if first == 0 { last == 0 } else { first <= last && last < 64 && components == 1 };
    if spectrum && (high == 0 || high == low + 1) && low <= 13 {
        return Ok(());
    }
    Err(corrupt(&format!("progressive parameters {first}-{last}, bits {high}-{low}")))
}

fn check_huffman_tables(mut tables: &[u8]) -> Result<(), JpegError> {
    while !tables.is_empty() {
        let (Some(&class_and_slot), Some(lengths)) = (tables.first(), tables.get(1..17)) else {
            return Err(bad_length("Huffman table"));
        };
        let count: usize = lengths.iter().map(|&length| usize::from(length)).sum();
        let symbols = tables.get(17..17 + count).ok_or_else(|| bad_length("Huffman table"))?;
        let dc = class_and_slot & 0xF0 == 0;
        // A DC symbol is the bit length of a difference (T.81 F.1.2.1).
        let valid = count <= 256 && class_and_slot & !0x10 < 4;
        if !valid || (dc && symbols.iter().any(|&symbol| symbol > 15)) {
            return Err(corrupt("an impossible Huffman table"));
        }
        tables = &tables[17 + count..];
    }
    Ok(())
}

fn check_arithmetic_conditions(conditions: &[u8]) -> Result<(), JpegError> {
    // Slots 0 to 15 are for DC, with a lower and an upper bound; 16 to 31 for AC (T.81 B.2.4.3).
    let invalid = |pair: &[u8]| match *pair {
        [0..16, bounds] => bounds & 15 > bounds >> 4,
        [slot, _] => slot >= 32,
        _ => true,
    };
    if conditions.chunks(2).any(invalid) {
        return Err(corrupt("an impossible arithmetic coding condition"));
    }
    Ok(())
}

fn corrupt(what: &str) -> JpegError {
    JpegError::Corrupt(what.to_owned())
}

fn bad_length(what: &str) -> JpegError {
    corrupt(&format!("a {what} segment of wrong length"))
}

fn unsupported<T>(what: &str) -> Result<T, JpegError> {
    Err(JpegError::Unsupported(what.to_owned()))
}
