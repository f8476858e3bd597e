"""Times Pillow against benches/resample.rs, interleaved in one run, on one thread each.

    cargo build --release --benches
    python benches/compare_resample.py target/release/deps/resample-HASH [--portable]

Both sides get noise of the same size and make the shorter side 256; "crop" wants the centre
224×224 of it, which Pillow cuts out afterwards. Times are wall time in ms; on a busy machine
trust the minimum.
"""

import statistics
import subprocess
import sys
import time

import numpy
import PIL
from PIL import Image

ROUNDS = 7
SIZES = [(375, 500), (853, 1280), (1500, 2000), (2665, 4000), (3000, 4000)]
FILTERS = ["bilinear", "bicubic", "lanczos"]


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
            result.crop((left, top, left + 224, top + 224)).load()
        times.append(time.perf_counter_ns() - before)
    return times[1:]


def main():
    server = subprocess.Popen(
        [sys.argv[1], "--serve", *sys.argv[2:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    print(f"Pillow {PIL.__version__}, {' '.join(sys.argv[2:])} min / median in ms")
    for height, width in SIZES:
        noise = numpy.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=numpy.uint8)
        image = Image.fromarray(noise)
        repeats = 10 if height < 1000 else 3
        for name in FILTERS:
            for crop in (1, 0):
                ours, theirs = [], []
                for _ in range(ROUNDS):
                    server.stdin.write(f"{height} {width} {name} {crop} {repeats}\n")
                    server.stdin.flush()
                    ours += map(int, server.stdout.readline().split())
                    theirs += pillow_times(image, Image.Resampling[name.upper()], crop, repeats)
                low = [min(times) / 1e6 for times in (ours, theirs)]
                middle = [statistics.median(times) / 1e6 for times in (ours, theirs)]
                print(
                    f"{height:5}x{width:<5}{name:9}{'crop' if crop else 'full'}"
                    f"  ours {low[0]:7.3f} /{middle[0]:7.3f}  Pillow {low[1]:7.2f} /{middle[1]:7.2f}"
                    f"  ratio {low[1] / low[0]:5.1f} /{middle[1] / middle[0]:5.1f}",
                    flush=True,
                )
    server.stdin.close()
    server.wait()


if __name__ == "__main__":
    main()
