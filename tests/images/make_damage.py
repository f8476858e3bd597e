"""Writes ../golden/damage.txt: what Pillow makes of damaged images.

    python tests/images/make_damage.py

Made with Pillow 13.0.0. The damaged files are not kept: a line says how one is made from a file in
hostile/, and `tests/damage.rs` makes it again by the same rules. The last word is `-` where Pillow
refuses the file, else the CRC-32 of its pixels as RGB bytes; or `x` where they are more than 4
megapixels.
"""

import io
import random
import warnings
import zlib
from pathlib import Path

import PIL
from PIL import Image

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden" / "damage.txt"
SEEDS = [
    "good.jpg", "good_progressive.jpg", "gray.jpg", "cmyk.jpg", "rotated_exif6.jpg",
    "good.png", "gray16.png", "palette_transparent.png", "rgba.png", "one_bit.png",
    "good.gif", "animated.gif", "good_lossy.webp", "good_lossless.webp", "rgba_lossless.webp",
    "good.bmp", "good.tif",
]  # fmt: skip
FLIPS, SETS, DROPS, TWICES, ZEROS, FIXED = 60, 40, 12, 8, 8, 25


def fixed(data):
    """A PNG whose chunks have right sums again, as far as chunks can be told apart."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        length = int.from_bytes(out[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(out):
            break
        out[end : end + 4] = zlib.crc32(out[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(out)


def damaged(data, kind, at, much):
    if kind == "cut":
        return data[:at]
    if kind in ("flip", "fixed"):
        out = bytearray(data)
        out[at] ^= much
        return fixed(out) if kind == "fixed" else bytes(out)
    if kind == "set":
        return data[:at] + bytes([much]) + data[at + 1 :]
    if kind == "drop":
        return data[:at] + data[at + much :]
    if kind == "twice":
        return data[: at + much] + data[at:]
    if kind == "zero":
        return data[:at] + bytes(len(data[at : at + much])) + data[at + much :]
    raise ValueError(kind)


def ways(name, data):
    rng = random.Random(name)
    yield from (("cut", at, 0) for at in range(0, len(data), 37))
    if name.endswith(".gif"):
        # A screen that is larger than its first image.
        yield from (("set", at, much) for at, much in ((6, 60), (6, 90), (8, 60), (8, 99)))
    # The last bytes decide most about whether a cut is seen.
    yield from (("cut", len(data) - back, 0) for back in (1, 2, 3, 5, 8))
    head = min(len(data), 80)
    for count, kind in ((FLIPS, "flip"), (FIXED if name.endswith(".png") else 0, "fixed")):
        for number in range(count):
            at = rng.randrange(head if number % 3 == 0 else len(data))
            yield kind, at, 1 << rng.randrange(8)
    for number in range(SETS):
        at = rng.randrange(head if number % 2 else len(data))
        yield "set", at, rng.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF])
    for count, kind in ((DROPS, "drop"), (TWICES, "twice"), (ZEROS, "zero")):
        for _ in range(count):
            yield kind, rng.randrange(len(data)), rng.choice([1, 2, 4, 16, 64])


def verdict(data):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=["JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF"])
            if image.width * image.height > 1 << 22:
                return "x"
            image.load()
            rgb = image.convert("RGB").tobytes()
    except Exception:
        return "-"
    return f"{image.height}x{image.width}:{zlib.crc32(rgb):08x}"


def main():
    assert PIL.__version__ == "13.0.0", PIL.__version__
    lines, seen = [], set()
    for name in SEEDS:
        data = (HERE / "hostile" / name).read_bytes()
        for way in ways(name, data):
            if (name, *way) in seen:
                continue
            seen.add((name, *way))
            kind, at, much = way
            lines.append(f"{name} {kind} {at} {much} {verdict(damaged(data, *way))}")
    GOLDEN.write_text("\n".join(lines) + "\n")
    read = sum(not line.endswith(" -") for line in lines)
    print(f"{len(lines)} damaged images, of which Pillow reads {read}")


if __name__ == "__main__":
    main()
