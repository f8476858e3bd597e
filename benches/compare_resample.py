"""Times Pillow and fast_image_resize against benches/resample.rs in one run, on one thread each.

    cargo build --release --benches
    python benches/compare_resample.py target/release/deps/resample-HASH [--baseline | --portable]

All sides get the same noise and make the shorter side 256; "crop" wants the centre 224×224 of it,
which Pillow and fast_image_resize cut out afterwards. Times are wall time in ms, ratios are theirs
over ours; on a busy machine trust the minimum. "differ" is the share of samples in which
fast_image_resize differs from Pillow; ours are checked to be Pillow's.
"""

import json
import statistics
import subprocess
import sys
import time
import zlib

import numpy
import PIL
from PIL import Image

ROUNDS = 5
SIZES = [(375, 500), (853, 1280), (1500, 2000), (2665, 4000), (3000, 4000)]
FILTERS = ["bilinear", "bicubic", "lanczos"]


def noise(height, width):
    """A linear congruential generator as in benches/resample.rs, in closed form."""
    powers = numpy.full(height * width * 3, 1664525, numpy.uint32)
    powers = numpy.multiply.accumulate(powers, dtype=numpy.uint32)
    before = numpy.concatenate([numpy.ones(1, numpy.uint32), powers[:-1]])
    increments = numpy.add.accumulate(before, dtype=numpy.uint32) * numpy.uint32(1013904223)
    return ((powers + increments) >> 24).astype(numpy.uint8).reshape(height, width, 3)


def pillow_times(image, resample, crop, repeats):
    width, height = image.size
    shorter = min(width, height)
    target = (width * 256 // shorter, height * 256 // shorter)
    left, top = (target[0] - 224) // 2, (target[1] - 224) // 2
    times = []
    for _ in range(repeats + 1):
        before = time.perf_counter_ns()
        result = image.resize(target, resample)
        if crop:
            result = result.crop((left, top, left + 224, top + 224))
            result.load()
        times.append(time.perf_counter_ns() - before)
    return times[1:], zlib.crc32(result.tobytes())


def ratios(ours, theirs):
    low = min(theirs) / min(ours)
    return f"{low:5.1f} /{statistics.median(theirs) / statistics.median(ours):5.1f}"


def row(server, image, name, crop):
    repeats = 10 if image.height < 1000 else 3
    times = {"ours": [], "peer": [], "pillow": []}
    for _ in range(ROUNDS):
        server.stdin.write(f"{image.height} {image.width} {name} {crop} {repeats}\n")
        server.stdin.flush()
        reply = json.loads(server.stdout.readline())
        pillow, checksum = pillow_times(image, Image.Resampling[name.upper()], crop, repeats)
        assert checksum == reply["crc32"], "ours differs from Pillow"
        times["ours"] += reply["ours"]
        times["peer"] += reply["peer"]
        times["pillow"] += pillow
    low = {side: min(values) / 1e6 for side, values in times.items()}
    print(
        f"{image.height:5}x{image.width:<5}{name:9}{'crop' if crop else 'full'}"
        f"  ours {low['ours']:7.3f}  Pillow {low['pillow']:7.2f}  peer {low['peer']:7.3f}"
        f"  Pillow/ours {ratios(times['ours'], times['pillow'])}"
        f"  peer/ours {ratios(times['ours'], times['peer'])}"
        f"  differ {100 * reply['differing'] / reply['samples']:5.1f} %",
        flush=True,
    )


def main():
    server = subprocess.Popen(
        [sys.argv[1], "--serve", *sys.argv[2:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    print(f"Pillow {PIL.__version__}, {' '.join(sys.argv[2:])} min in ms, ratios of min / median")
    for height, width in SIZES:
        image = Image.fromarray(noise(height, width))
        for name in FILTERS:
            for crop in (1, 0):
                row(server, image, name, crop)
    server.stdin.close()
    server.wait()


if __name__ == "__main__":
    main()
