"""Writes tests/golden/jpeg/: small JPEGs of formula images and what Pillow 13 makes of them.

    python tests/golden/make_jpeg.py        (needs Pillow 13 and numpy)

pixels.txt   name height width channels crc32 -- of the decoded bytes, CMYK after convert("RGB")
edits.txt    name position value crc32|reject -- after one byte of the file was replaced
refused.txt  name                             -- whole files that Pillow refuses
"""

import io
import pathlib
import zlib

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).parent / "jpeg"


def formula(height, width, channels):
    """Gradients, steps and a hash in equal parts: smooth areas, edges, full-range noise."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    gradient = x * 7 + y * 5 + c * 60
    steps = ((x // 5 + y // 3 + c) % 2) * 255
    noise = (x * 2654435761 + y * 40503 + c * 97) >> 3
    third = (x // 8 + y // 8) % 3
    pixels = (np.choose(third, [gradient, steps, noise]) % 256).astype(np.uint8)
    return pixels[:, :, 0] if channels == 1 else pixels


def encode(height, width, mode, **options):
    pixels = formula(height, width, {"L": 1, "RGB": 3, "CMYK": 4}[mode])
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, "JPEG", **options)
    return file.getvalue()


def frame_at(data):
    position = 2
    while data[position + 1] not in (0xC0, 0xC1, 0xC2):
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return position


def resample(data, height, width, sampling, adobe_transform=None):
    """Declares other sampling factors for the same blocks: kinds that Pillow cannot write."""
    data = bytearray(data)
    frame = frame_at(data)
    data[frame + 5 : frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    for component, factors in enumerate(sampling):
        data[frame + 11 + 3 * component] = factors
    if adobe_transform is not None:
        data[data.index(b"Adobe") + 11] = adobe_transform
    return bytes(data)


def before_scan(data, count):
    """The file up to its scan number `count`, ended there."""
    position = 0
    for _ in range(count):
        position = data.index(b"\xff\xda", position + 1)
    table = data.rfind(b"\xff\xc4", 0, position)
    return data[: table if count > 1 else position] + b"\xff\xd9"


def files():
    yield "gray", encode(37, 29, "L")
    yield "gray_progressive", encode(37, 29, "L", progressive=True)
    for name, subsampling in ("444", 0), ("422", 1), ("420", 2):
        yield name, encode(37, 45, "RGB", subsampling=subsampling)
        yield f"{name}_progressive", encode(37, 45, "RGB", subsampling=subsampling, progressive=True)
        for height, width in (1, 1), (2, 3), (3, 2), (1, 17), (16, 16), (17, 5), (9, 33):
            yield f"{name}_{height}x{width}", encode(height, width, "RGB", subsampling=subsampling)
    yield "quality_1", encode(37, 45, "RGB", quality=1)
    yield "quality_100", encode(37, 45, "RGB", quality=100)
    yield "optimized", encode(37, 45, "RGB", optimize=True)
    yield "restart_rows", encode(67, 35, "RGB", restart_marker_rows=1)
    yield "restart_blocks_progressive", encode(67, 35, "RGB", restart_marker_blocks=2, progressive=True)
    yield "rgb", encode(21, 27, "RGB", keep_rgb=True)
    yield "rgb_progressive", encode(21, 27, "RGB", keep_rgb=True, progressive=True)
    base = encode(32, 64, "RGB", subsampling=2)
    yield "411", resample(base, 15, 125, (0x41, 0x11, 0x11))
    yield "441", resample(base, 61, 31, (0x14, 0x11, 0x11))
    yield "440", resample(encode(32, 32, "RGB", subsampling=1), 63, 15, (0x12, 0x11, 0x11))
    yield "cmyk", encode(19, 23, "CMYK")
    yield "cmyk_progressive", encode(19, 23, "CMYK", progressive=True)
    yield "cmyk_420", encode(19, 23, "CMYK", subsampling=2)
    yield "ycck_444", resample(encode(16, 24, "CMYK"), 15, 21, (0x11,) * 4, 2)
    six = encode(16, 48, "CMYK", subsampling=1)  # 6 units of 5 blocks
    yield "ycck_422", resample(six, 7, 77, (0x21, 0x11, 0x11, 0x21), 2)
    yield "ycck_440", resample(six, 77, 7, (0x12, 0x11, 0x11, 0x12), 2)
    ten = encode(32, 80, "CMYK", subsampling=2)  # 10 units of 7 blocks
    yield "ycck_420", resample(ten, 111, 15, (0x22, 0x11, 0x11, 0x22), 2)
    yield "cmyk_odd", resample(ten, 7, 317, (0x41, 0x11, 0x11, 0x11))
    whole = encode(37, 45, "RGB", progressive=True)
    yield "unfinished_progressive", before_scan(whole, 5)
    plain = encode(21, 27, "RGB")
    yield "stray_bytes_between_segments", plain[:20] + b"stray" + plain[20:]
    yield "bytes_after_end", plain + b"more than an image"
    yield "fill_bytes", plain[:20] + b"\xff\xff\xff" + plain[20:]


def refused():
    plain = encode(21, 27, "RGB")
    frame = frame_at(plain)
    yield "stray_bytes_at_start", plain[:2] + b"\0\0\0" + plain[2:]
    yield "no_scan", before_scan(plain, 1)
    yield "twelve_bits", plain[: frame + 4] + b"\x0c" + plain[frame + 5 :]
    yield "zero_height", resample(plain, 0, 27, (0x22, 0x11, 0x11))
    yield "two_images_in_one", plain[:-2] + plain[2:]
    yield "baseline_scan_in_progressive", plain[: frame + 1] + b"\xc2" + plain[frame + 2 :]
    yield "second_scan_of_all", plain[:-2] + plain[plain.index(b"\xff\xda") :]


def verdict(data):
    try:
        image = Image.open(io.BytesIO(data), formats=["JPEG"])
        if image.size[0] * image.size[1] > 1_000_000:
            return None
        pixels = np.asarray(image.convert("RGB") if image.mode == "CMYK" else image)
    except (OSError, SyntaxError, ValueError):
        return "reject"
    return pixels.reshape(*pixels.shape[:2], -1)


def edits(data, seed):
    """Every third byte of the headers and 60 of the rest, each replaced by a hash of its place."""
    scan = data.index(b"\xff\xda") + 14
    step = max(1, (len(data) - scan) // 60)
    for position in [*range(2, scan, 3), *range(scan, len(data), step)]:
        value = (position * 2654435761 + seed) >> 7 & 0xFF
        if value != data[position]:
            yield position, value


def main():
    OUT.mkdir(exist_ok=True)
    made = dict(files())
    with open(OUT / "pixels.txt", "w") as lines:
        for name, data in made.items():
            (OUT / f"{name}.jpg").write_bytes(data)
            pixels = verdict(data)
            height, width, channels = pixels.shape
            print(name, height, width, channels, f"{zlib.crc32(pixels.tobytes()):08x}", file=lines)
    with open(OUT / "refused.txt", "w") as lines:
        for name, data in refused():
            assert isinstance(verdict(data), str), name
            (OUT / f"{name}.jpg").write_bytes(data)
            print(name, file=lines)
    with open(OUT / "edits.txt", "w") as lines:
        names = ("gray", "420_16x16", "422_progressive", "restart_rows", "cmyk", "444_9x33")
        for seed, name in enumerate(names):
            for position, value in edits(made[name], seed):
                pixels = verdict(made[name][:position] + bytes([value]) + made[name][position + 1 :])
                if pixels is None:
                    continue
                crc = pixels if isinstance(pixels, str) else f"{zlib.crc32(pixels.tobytes()):08x}"
                print(name, position, value, crc, file=lines)


main()
