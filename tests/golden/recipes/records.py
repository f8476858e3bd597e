"""What every script here shares: the source images, the recipes' words, and the files of records.

<ecosystem>.json lists the records; <ecosystem>.bin holds elements of their tensors, f32 in little
endian: every `stride`-th, to keep the files small. `crc` is the CRC-32 of all of them.
"""

import json
import math
import pathlib
import zlib

import numpy
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
IMAGES = HERE.parent.parent / "images"
# Images of other tests too, and those that only these records use.
SHARED, OWN = "formula", "recipes"

# Elements that are kept of a tensor that is met to the last bit, and of others.
KEPT_EXACT, KEPT = 400, 1400

# The same steps in the same precision.
EXACT = 0.0
# The same numbers in another order or precision: a few units in the last place of values below 8.
ORDER = 1e-6

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
HALF = {"mean": [0.5] * 3, "std": [0.5] * 3}
CLIP = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}
UNIT = {"scale": "1/255"}


def formula(height, width):
    """Slow waves with noise on them: edges to ring at, and shapes that survive shrinking."""
    y, x, k = numpy.indices((height, width, 3))
    waves = 90 * numpy.sin(y / 7 + k) * numpy.cos(x / (9 + k))
    noise = (37 * y + 59 * x + 101 * k + 13 * x * y) % 97
    return numpy.clip(100 + waves + noise, 0, 255).astype(numpy.uint8)


def make_images():
    """The images that only these records use: odd sides, a tall one with alpha, a gray one."""
    Image.fromarray(formula(61, 97)).save(IMAGES / OWN / "h61w97.png", optimize=True)
    y, x = numpy.indices((130, 40))
    alpha = ((y * 5 + x * 11) % 256).astype(numpy.uint8)
    tall = numpy.dstack([formula(130, 40), alpha])
    Image.fromarray(tall).save(IMAGES / OWN / "h130w40-alpha.png", optimize=True)
    Image.fromarray(formula(45, 33)[..., 1]).save(IMAGES / OWN / "h45w33-gray.png", optimize=True)


# Odd sides; tall, with alpha; gray; landscape; portrait; very wide; smaller than every target.
ODD, TALL, GRAY = "h61w97.png", "h130w40-alpha.png", "h45w33-gray.png"
LANDSCAPE, PORTRAIT, WIDE = "h30w40.png", "h47w26.png", "h19w71.png"
SMALL, TINY = "h12w12.png", "h4w5.png"


def below_images(image):
    folder = OWN if (IMAGES / OWN / image).exists() else SHARED
    return f"{folder}/{image}"


def path(image):
    return str(IMAGES / below_images(image))


def rgb(image):
    return Image.open(path(image)).convert("RGB")


def toml(value):
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(part) for part in value) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def recipe(**keys):
    """A `[recipe]` table in linnaeus's words."""
    return "".join(f"{key.replace('_', '-')} = {toml(value)}\n" for key, value in keys.items())


def stride_of(shape, most):
    """Without a divisor in common with any side, so that it meets every row, column and channel."""
    stride = -(-math.prod(shape) // most)
    while any(math.gcd(side, stride) > 1 for side in shape):
        stride += 1
    return stride


class Records:
    def __init__(self, ecosystem, **versions):
        self.ecosystem = ecosystem
        self.versions = versions
        self.records = []
        self.data = bytearray()
        self.places = {}

    def add(self, name, image, tensor, words, bound, **more):
        """One tensor without its batch axis. `more` may be `config`, and `note` where linnaeus
        has no words for it: `words` are the nearest then, and `bound` is None."""
        # The sum turns -0 into 0, so that there is one spelling to make the CRC of.
        tensor = numpy.ascontiguousarray(tensor, dtype="<f4") + numpy.float32(0)
        assert tensor.ndim == 3 and name not in {record["name"] for record in self.records}, name
        stride = stride_of(tensor.shape, KEPT_EXACT if bound == EXACT else KEPT)
        kept = tensor.ravel()[::stride]
        data = kept.tobytes()
        offset = self.places.setdefault(data, len(self.data))
        if offset == len(self.data):
            self.data += data
        self.records.append(
            {
                "name": name,
                "image": below_images(image),
                "recipe": words,
                "dims": tensor.shape,
                "crc": f"{zlib.crc32(tensor.tobytes()):08x}",
                "stride": stride,
                "offset": offset,
                "bound": bound,
                **more,
            }
        )

    def write(self):
        lines = ",\n".join(
            json.dumps(record, separators=(",", ":"), ensure_ascii=False) for record in self.records
        )
        text = f'{{"versions":{json.dumps(self.versions)},"records":[\n{lines}\n]}}\n'
        (HERE / f"{self.ecosystem}.json").write_text(text)
        (HERE / f"{self.ecosystem}.bin").write_bytes(self.data)
        print(f"{self.ecosystem}: {len(self.records)} records, {len(self.data)} bytes")
