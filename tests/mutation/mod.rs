//! Damage to inputs, and made-up ones; the same for the same number.

/// Xorshift of Marsaglia with Vigna's multiplier (xorshift64*).
pub(crate) struct Random(u64);

/// Numbers at which arithmetic or a limit ends.
const NUMBERS: [&str; 24] = [
    "0",
    "-1",
    "1",
    "2",
    "3",
    "255",
    "256",
    "0.5",
    "-0.0",
    "1e-30",
    "1e9",
    "1e308",
    "1e999",
    "nan",
    "16384",
    "16385",
    "65536",
    "16777216",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999999",
];

/// Those of them that are sides.
const WHOLE: [&str; 6] =
    ["1", "16384", "65535", "16777215", "9223372036854775807", "18446744073709551615"];

/// Pieces of the texts that are read.
const PIECES: [&str; 36] = [
    "null",
    "true",
    "false",
    "\"",
    "'",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ":",
    "\n",
    "\r\n",
    "\t",
    " ",
    "#",
    "&a",
    "*a",
    "- ",
    "---\n",
    "<a>",
    "</a>",
    "&amp;",
    "<!--",
    "item {",
    "id: ",
    "\u{FEFF}",
    "\0",
    "é",
    "\u{1F600}",
    "\\u",
    "\\ud800",
    "!!str ",
];

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % limit
    }

    pub(crate) fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// One of the seeds, damaged.
    pub(crate) fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let seed = &seeds[self.below(seeds.len())];
        self.mutation_of(seed, seeds)
    }

    /// This seed, damaged in one to five places, at times with a part of another.
    pub(crate) fn mutation_of(&mut self, seed: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(5) {
            self.damage(&mut bytes, others);
        }
        bytes
    }

    fn damage(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let end = (at + 1 + self.below(16)).min(bytes.len());
        match self.below(12) {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
            1 => {
                let value = [0, 1, 0x7f, 0x80, 0xff][self.below(5)];
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = value);
            }
            2 => self.overwrite(&mut bytes[at..]),
            3 => _ = bytes.drain(at..end),
            4 => bytes.truncate(at),
            5 => {
                let part = bytes[at..end].repeat(1 + self.below(40));
                bytes.splice(at..at, part);
            }
            6 if !others.is_empty() => {
                let other = &others[self.below(others.len())];
                let from = self.below(other.len() + 1);
                let to = (from + self.below(64)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            7 => _ = bytes.splice(at..at, self.one(&PIECES).bytes()),
            8 => {
                let word = self.one(&PIECES).repeat(1 + self.below(300));
                bytes.splice(at..at, word.bytes());
            }
            _ => self.replace_number(bytes, at),
        }
    }

    /// A whole number of 1, 2, 4 or 8 bytes, small or at an end of its range, in either order.
    fn overwrite(&mut self, bytes: &mut [u8]) {
        let value = [0u64, 1, 2, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, u64::MAX];
        let value = value[self.below(value.len())];
        let width = [1, 2, 4, 8][self.below(4)];
        let (low, high) = (&value.to_le_bytes()[..width], &value.to_be_bytes()[..width]);
        let written = if self.below(2) == 0 { low } else { high };
        bytes.iter_mut().zip(written).for_each(|(byte, new)| *byte = *new);
    }

    /// The first decimal number behind `at` becomes one at the end of some range.
    fn replace_number(&mut self, bytes: &mut Vec<u8>, at: usize) {
        let numeric = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let Some(start) = bytes[at..].iter().position(numeric) else { return };
        let start = at + start;
        let length = bytes[start..].iter().take_while(|byte| numeric(byte)).count();
        bytes.splice(start..start + length, self.one(&NUMBERS).bytes());
    }
}

/// Texts that are nested deeply, or never end.
pub(crate) fn deep() -> Vec<String> {
    let many = 4000;
    let pieces = |count: usize, piece: fn(usize) -> String| -> String {
        (0..count).map(piece).collect::<Vec<_>>().concat()
    };
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(many), close.repeat(many));
    vec![
        nested("[", "]"),
        nested("{\"a\":", "}"),
        nested("{'a':", "}"),
        nested("(", ")"),
        nested("item {", "}"),
        nested("a <", ">"),
        nested("<a>", "</a>"),
        nested("- ", "\n"),
        nested("{a: ", "}"),
        pieces(300, |depth| format!("{}a:\n", " ".repeat(depth))),
        "? ".repeat(many),
        "a: &a ".repeat(many),
        "item { id: ".repeat(many),
        pieces(many, |n| format!("a{n}: [\n")),
        format!("{{{}}}", pieces(many, |n| format!("'{n}': '{n}',"))),
        "[[],".repeat(many),
        "\"\\".repeat(many),
        "a: &a [1]\nb: &b [*a, *a]\n".to_owned(),
        format!("{{\"id2label\": {}1{}}}", "[".repeat(100), "]".repeat(100)),
    ]
}

/// A table `[recipe]` of random words, most of them known ones.
pub(crate) fn recipe_text(random: &mut Random) -> String {
    let mut text = String::new();
    for (key, values) in WORDS {
        // What has to be said is said mostly.
        let needed = ["size", "resize", "interpolation", "scale", "layout", "channels"];
        if random.below(8) >= if needed.contains(&key) { 8 } else { 3 } {
            continue;
        }
        let mut value = random.one(values).to_owned();
        while let Some(at) = value.find('#') {
            let plain = (1 + random.below(40)).to_string();
            let number = match random.below(8) {
                0 => random.one(&NUMBERS),
                1 => random.one(&WHOLE),
                _ => &plain,
            };
            value.replace_range(at..=at, number);
        }
        let plain = value.starts_with(['[', '"']) || random.below(50) == 0;
        let quote = if plain { "" } else { "'" };
        text.extend([key, " = ", quote, &value, quote, "\n"]);
    }
    text
}

/// The keys of a recipe and what may stand there; `#` becomes a number.
const WORDS: [(&str, &[&str]); 15] = [
    ("size", &["#", "#x#", "8", "9x7", "1x1", "300x1"]),
    (
        "resize",
        &[
            "none",
            "squash",
            "squash #",
            "squash #x#",
            "shorter-side #",
            "shorter-side # nearest",
            "shorter-side # at-most #",
            "cover",
            "cover #x#",
            "fit",
            "fit #x#",
            "center-square",
            "aspect-crop",
            "aspect-box",
            "aspect-box exact",
            "center-fraction #",
            "center-fraction 0.875",
            "center-fraction 0.01",
        ],
    ),
    (
        "interpolation",
        &["nearest", "box", "bilinear", "bilinear", "bicubic", "hamming", "lanczos", "area"],
    ),
    (
        "kernel",
        &[
            "pillow-12",
            "pillow-12.2",
            "pillow-13",
            "opencv",
            "tensorflow",
            "tensorflow-1",
            "torch",
            "torch-float",
            "torch-float-rounded",
        ],
    ),
    ("crop", &["none", "center", "center floor", "center halves", "top-left"]),
    ("fill", &["[0, 255, 7]", "[#]", "[#, #, #]"]),
    ("scale", &["1/255", "1/127.5-1", "1", "#", "1/#", "1/#-#", "#+#"]),
    ("mean", &["[0.5]", "[0.1, 0.2, 0.3]", "[#]", "[#, #, #]"]),
    ("std", &["[0.5]", "[0.1, 0.2, 0.3]", "[#]", "[#, #, #]"]),
    ("channels", &["rgb", "bgr", "gray"]),
    ("layout", &["nchw", "nhwc"]),
    ("exif", &["ignore", "apply"]),
    ("alpha", &["drop", "white", "black"]),
    ("deep", &["high-byte", "clip"]),
    ("activation", &["softmax", "sigmoid", "none"]),
];
