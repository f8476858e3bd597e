"""Makes resample.json: what Pillow's Image.resize gives for images that a formula makes.

Run it once with each of Pillow 12.1.1, 12.3.0 and 13.0.0, in any order; each run fills in its own
column. Only Pillow is needed. A case stores the CRC-32 of the wanted samples, row after row with
the channels together, and the samples themselves where they are few.
"""

import json
import pathlib
import zlib

import PIL
from PIL import Image

PATH = pathlib.Path(__file__).with_name("resample.json")
COLUMNS = {"12.1.1": "pillow12", "12.3.0": "pillow12_2", "13.0.0": "pillow13"}
MODES = {1: "L", 3: "RGB", 4: "RGBX"}
FILTERS = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

# (height, width), target (height, width), box (left, top, right, bottom),
# crop (top, left, height, width)
SHAPES = [
    ((1, 1), (3, 2), None, None),
    ((2, 1), (1, 5), None, None),
    ((13, 11), (13, 11), None, (2, 3, 7, 5)),
    ((13, 11), (13, 4), None, (1, 0, 9, 3)),
    ((13, 11), (5, 11), None, (2, 1, 2, 9)),
    ((9, 14), (23, 31), None, (7, 11, 13, 17)),
    ((48, 37), (19, 52), None, None),
    ((75, 100), (32, 42), None, (4, 9, 24, 24)),
    ((100, 75), (42, 32), None, (9, 4, 24, 24)),
    ((60, 20), (10, 12), None, (1, 2, 8, 9)),
    ((812, 8), (40, 5), None, None),
    ((3, 700), (2, 9), None, (0, 1, 2, 8)),
    ((40, 30), (16, 16), (3, 5, 27, 29), (2, 1, 9, 11)),
    ((40, 30), (24, 24), (3, 5, 27, 29), None),
    ((40, 30), (17, 21), (0.25, 1.7, 28.6, 39.9), (3, 4, 12, 15)),
    ((40, 30), (40, 21), (0.1, 0.0, 29.3, 40.0), None),
    ((40, 30), (40, 30), (0.1, 3.0, 29.3, 39.5), None),
    ((40, 30), (25, 30), (2, 4, 17, 29), (1, 1, 20, 25)),
]


def samples(size, channels, hard):
    height, width = size
    values = bytearray()
    for y in range(height):
        for x in range(width):
            for k in range(channels):
                value = (37 * y + 59 * x + 101 * k + 13 * x * y) % 256
                values.append((255 if value > 127 else 0) if hard else value)
    return bytes(values)


def resized(case):
    height, width = case["size"]
    mode = MODES[case["channels"]]
    pixels = samples(case["size"], case["channels"], case["hard"])
    image = Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)
    target = case["target"][::-1]
    result = image.resize(target, Image.Resampling[case["filter"].upper()], box=case["box"])
    if case["crop"]:
        top, left, rows, columns = case["crop"]
        result = result.crop((left, top, left + columns, top + rows))
    return result.tobytes("raw", mode)


def cases():
    for number, (size, target, box, crop) in enumerate(SHAPES):
        for channels in MODES:
            for name in FILTERS:
                # Black and white lets the overshoot of a filter clip.
                hard = (number + channels) % 2 == 1
                yield {
                    "size": size,
                    "channels": channels,
                    "hard": hard,
                    "filter": name,
                    "target": target,
                    "box": box,
                    "crop": crop,
                }


def main():
    column = COLUMNS[PIL.__version__]
    known = json.loads(PATH.read_text())["cases"] if PATH.exists() else []
    made = []
    for number, case in enumerate(cases()):
        values = resized(case)
        results = known[number]["results"] if number < len(known) else {}
        results[column] = {"crc32": zlib.crc32(values)}
        if len(values) <= 12:
            results[column]["samples"] = list(values)
        made.append(case | {"results": dict(sorted(results.items()))})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in made)
    versions = json.dumps({name: version for version, name in COLUMNS.items()})
    PATH.write_text(f'{{"pillow":{versions},"cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
