"""Writes hostile/, the files that go wrong in real folders, and ../golden/hostile.json about them.

    python tests/images/make_hostile.py

Made with Pillow 13.0.0, libjpeg-turbo 3.2.0, libwebp 1.6.0 and zlib-ng 2.3.3 (all inside Pillow)
and numpy 2.4.6. Every picture is a formula, `scene` below; nothing is photographed or copied. The
golden says for each file what Pillow makes of it: that is an observation, not always the wish.

Height comes before width, except in what Pillow takes.
"""

import hashlib
import io
import json
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps, features

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "hostile"
GOLDEN = HERE.parent / "golden" / "hostile.json"
HEIGHT, WIDTH = 30, 40
HUGE = 60000


def scene(height=HEIGHT, width=WIDTH, shift=0):
    """A smooth H×W×3 picture with three different channels and no symmetry."""
    y, x = np.ogrid[:height, :width]
    red = 255 * x // max(width - 1, 1) + 0 * y
    green = 255 * y // max(height - 1, 1) + 0 * x
    blue = 128 + 90 * np.sin((3 * y + 2 * x * x / width + shift) / 9)
    channels = [(channel + shift) % 256 for channel in (red, green, blue.round().astype(int))]
    return np.stack(channels, axis=2).astype(np.uint8)


def encode(image, kind, **options):
    """The bytes of an image file; arrays are taken as 8-bit gray, RGB or RGBA."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def good():
    """One small sound file of each format."""
    rgb = scene()
    return {
        "good.jpg": encode(rgb, "JPEG", quality=90),
        "good_progressive.jpg": encode(rgb, "JPEG", quality=90, progressive=True),
        "good.png": encode(rgb, "PNG", optimize=True),
        "good.gif": encode(rgb, "GIF"),
        "good_lossy.webp": encode(rgb, "WEBP", quality=80),
        "good_lossless.webp": encode(rgb, "WEBP", lossless=True),
        "good.bmp": encode(rgb, "BMP"),
        "good.tif": encode(rgb, "TIFF", compression="tiff_lzw"),
    }


def truncated(sound):
    """Each sound file cut in the middle, and cut near its end, where pixels have been read."""
    cut = {}
    for name, data in sound.items():
        rest = name.removeprefix("good")
        cut[f"truncated{rest}"] = data[: len(data) // 2]
        cut[f"truncated_late{rest}"] = data[: len(data) * 9 // 10]
    return cut


def misnamed(sound):
    """Names that lie about the content, or say nothing."""
    return {
        "empty.jpg": b"",
        "text.jpg": b"This is no picture, whatever its name says.\n",
        "really_png.jpg": sound["good.png"],
        "really_jpeg.png": sound["good.jpg"],
        "photo.txt": sound["good.jpg"],
        "photo_without_extension": sound["good.jpg"],
        "UPPERCASE.JPG": sound["good.jpg"],
    }


def png_chunk(kind, data):
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png(height, width, depth, color, rows):
    """A PNG of big-endian rows, for the kinds that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    chunks = [png_chunk(b"IHDR", header), png_chunk(b"IDAT", packed), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def pixel_kinds():
    """Sound files whose pixels are not 8-bit RGB, and very small ones."""
    rgb = scene()
    wide = rgb.astype(np.uint16) * 257 ^ 0x2B
    alpha = np.linspace(0, 255, WIDTH).round().astype(np.uint8)
    rgba = np.dstack([rgb, np.broadcast_to(alpha, (HEIGHT, WIDTH))])
    gray = Image.fromarray(rgb).convert("L")
    gray_alpha = gray.copy()
    gray_alpha.putalpha(Image.fromarray(np.ascontiguousarray(rgba[..., 3])))
    palette = Image.fromarray(rgb).quantize(16, dither=Image.Dither.NONE)
    rows16 = [row.astype(">u2").tobytes() for row in wide]
    gray16 = [row.astype(">u2").tobytes() for row in wide[..., 2]]
    return {
        "gray.jpg": encode(gray, "JPEG", quality=90),
        "gray16.png": png(HEIGHT, WIDTH, 16, 0, gray16),
        "rgb16.png": png(HEIGHT, WIDTH, 16, 2, rows16),
        "rgba.png": encode(rgba, "PNG", optimize=True),
        "rgba_lossless.webp": encode(rgba, "WEBP", lossless=True, exact=True),
        "gray_alpha.png": encode(gray_alpha, "PNG", optimize=True),
        "palette_transparent.png": encode(palette, "PNG", transparency=3),
        "one_bit.png": encode(gray.convert("1", dither=Image.Dither.NONE), "PNG"),
        "cmyk.jpg": encode(Image.fromarray(rgb).convert("CMYK"), "JPEG", quality=90),
        "one_pixel.png": encode(scene(1, 1, 77), "PNG"),
        "one_pixel.jpg": encode(scene(1, 1, 77), "JPEG"),
        "one_pixel.gif": encode(scene(1, 1, 77), "GIF"),
        "one_row.png": encode(scene(1, 200), "PNG", optimize=True),
        "one_column.png": encode(scene(200, 1), "PNG", optimize=True),
    }


def rotated():
    """Orientation 6: the file holds the picture turned left, a viewer turns it right."""
    upright = Image.fromarray(scene(32, 40))
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg = {"quality": 95, "subsampling": 0}
    return {
        "upright.jpg": encode(upright, "JPEG", **jpeg),
        "rotated_exif6.jpg": encode(stored, "JPEG", exif=exif, **jpeg),
        "upright.png": encode(upright, "PNG", optimize=True),
        "rotated_exif6.png": encode(stored, "PNG", exif=exif, optimize=True),
    }


def animated():
    """Three frames, the first of which is the scene of the sound files."""
    frames = [Image.fromarray(scene(shift=shift)) for shift in (0, 60, 120)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 100, "loop": 0}
    return {
        "animated.gif": encode(frames[0], "GIF", **options),
        "animated.webp": encode(frames[0], "WEBP", lossless=True, **options),
    }


def patched(data, offset, replacement):
    return data[:offset] + replacement + data[offset + len(replacement) :]


def jpeg_frame_offset(data):
    """Where the height and width stand in a baseline JPEG: 5 bytes after its SOF0 marker."""
    return data.index(b"\xff\xc0") + 5


def tiff_size_patched(data, size):
    """Overwrites the width and length entries of a little-endian TIFF as 32-bit numbers."""
    directory = struct.unpack_from("<I", data, 4)[0]
    (entries,) = struct.unpack_from("<H", data, directory)
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag = struct.unpack_from("<H", data, entry)[0]
        if tag in (256, 257):
            data = patched(data, entry, struct.pack("<HHII", tag, 4, 1, size))
    return data


def oversized(sound):
    """Small files that claim, or truly unpack to, more pixels than anyone wants to allocate."""
    header = struct.pack(">IIBBBBB", HUGE, HUGE, 8, 2, 0, 0, 0)
    lossless = sound["good_lossless.webp"]
    # VP8L: a signature byte, then 14 bits of width - 1 and 14 bits of height - 1.
    bits = struct.unpack_from("<I", lossless, 21)[0] | 0x0FFFFFFF
    bomb_rows = [bytes(16000 // 8)] * 16000
    sixteen = struct.pack(">HH", 65000, 65000)
    jpeg = sound["good.jpg"]
    return {
        "huge_header.png": patched(sound["good.png"], 8, png_chunk(b"IHDR", header)),
        "huge_header.bmp": patched(sound["good.bmp"], 18, struct.pack("<ii", HUGE, HUGE)),
        "huge_header.gif": patched(sound["good.gif"], 6, struct.pack("<HH", HUGE, HUGE)),
        "huge_header.webp": patched(lossless, 21, struct.pack("<I", bits)),
        "huge_header.tif": tiff_size_patched(sound["good.tif"], HUGE),
        "huge_header.jpg": patched(jpeg, jpeg_frame_offset(jpeg), sixteen),
        "real_bomb.png": png(16000, 16000, 1, 0, bomb_rows),
    }


def other_formats():
    """The first bytes of formats that are recognised by content, with nothing sound behind them."""
    brand = struct.pack(">I", 24) + b"ftyp%b" + bytes(4) + b"mif1%b"
    return {
        "fake.avif": brand % (b"avif", b"avif") + bytes(40),
        "fake.heic": brand % (b"heic", b"heic") + bytes(40),
        "fake.ico": struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, 1128, 22) + bytes(40),
        "fake.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>\n',
        "fake.psd": b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, HEIGHT, WIDTH, 8, 3) + bytes(8),
        "fake.pdf": b"%PDF-1.4\n%%EOF\n",
    }


def corrupt(sound):
    """Damage inside a file that is otherwise complete, and things put after its end."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr(zipfile.ZipInfo("note.txt"), "a zip after a JPEG\n")
    jpeg, progressive = sound["good.jpg"], sound["good_progressive.jpg"]
    picture = sound["good.png"]
    check = picture.index(b"IEND") - 8
    noise = bytes((37 * i * i + 91) % 251 for i in range(24))
    return {
        "corrupt_middle.jpg": patched(jpeg, len(jpeg) - 200, noise),
        "corrupt_middle_progressive.jpg": patched(progressive, len(progressive) - 300, noise),
        "corrupt_header.jpg": patched(jpeg, jpeg_frame_offset(jpeg) + 4, b"\x77"),
        "bad_crc_ihdr.png": patched(picture, 29, b"\xde\xad\xbe\xef"),
        "bad_crc_idat.png": patched(picture, check, b"\xde\xad\xbe\xef"),
        "corrupt_middle.png": patched(picture, len(picture) // 2, noise),
        "garbage_after_end.png": picture + noise * 8,
        "garbage_after_end.jpg": jpeg + noise * 8,
        "jpeg_then_zip.jpg": jpeg + archive.getvalue(),
        "signature_only.png": picture[:8],
        "signature_only.jpg": jpeg[:3],
    }


def pixels_of(image):
    """The size, and what `convert("RGB")` gives: a hash of the bytes and the mean of each channel.

    What is lossless can be held to the hash, what another decoder reads to the means.
    """
    rgb = image.convert("RGB")
    mean = np.asarray(rgb).reshape(-1, 3).mean(axis=0)
    return {
        "height": rgb.height,
        "width": rgb.width,
        "rgb_sha256": hashlib.sha256(rgb.tobytes()).hexdigest(),
        "rgb_mean": [round(float(value), 3) for value in mean],
    }


def verdict(path):
    """What Pillow says: the first frame as it is stored, and turned upright where that differs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with Image.open(path) as image:
                image.load()
                report = {
                    "ok": True,
                    "format": image.format,
                    "mode": image.mode,
                    "frames": getattr(image, "n_frames", 1),
                    **pixels_of(image),
                }
                orientation = image.getexif().get(0x0112, 1)
                if orientation != 1:
                    report["orientation"] = orientation
                    report["upright"] = pixels_of(ImageOps.exif_transpose(image))
        except Exception as error:  # The golden is about whatever Pillow raises.
            message = str(error).replace(str(path), path.name)
            report = {"ok": False, "error": type(error).__name__, "message": message}
    names = sorted({warning.category.__name__ for warning in caught})
    return {**report, "warnings": names} if names else report


def main():
    sound = good()
    files = {
        **sound,
        **truncated(sound),
        **misnamed(sound),
        **pixel_kinds(),
        **rotated(),
        **animated(),
        **oversized(sound),
        **other_formats(),
        **corrupt(sound),
    }
    FOLDER.mkdir(exist_ok=True)
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)
    versions = {"pillow": PIL.__version__, "numpy": np.__version__}
    for feature in ("libjpeg_turbo", "webp", "libtiff", "zlib"):
        versions[feature] = features.version(feature)
    head = json.dumps({"made_by": "tests/images/make_hostile.py", "versions": versions}, indent=1)
    rows = [
        json.dumps({"file": name, "bytes": len(files[name]), **verdict(FOLDER / name)})
        for name in sorted(files)
    ]
    text = head[:-2] + ',\n "files": [\n' + ",\n".join(rows) + "\n ]\n}\n"
    json.loads(text)
    GOLDEN.write_text(text)


if __name__ == "__main__":
    main()
