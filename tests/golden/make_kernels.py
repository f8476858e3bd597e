"""Makes kernels.json: what OpenCV, TensorFlow, torch, torchvision and Pillow give for formula images.

A case stores, for each shape, the CRC-32 of the wanted samples, row after row with the channels together (floats
little-endian); where the libraries' own results depend on the processor, it stores the samples.
Needs opencv-python-headless 5.0.0.93, tensorflow 2.21.0, torch 2.15.0, torchvision 0.29.2 and
pillow 13.0.0.
"""

import json
import pathlib
import zlib

import cv2
import numpy
import PIL
import tensorflow
import torch
import torchvision
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as v1
from torchvision.transforms.v2 import functional as v2

# (height, width), target (height, width), crop (top, left, height, width)
SHAPES = [
    ((5, 7), (3, 4), (0, 0, 3, 4)),
    ((5, 7), (11, 16), (2, 3, 7, 12)),
    ((48, 64), (24, 32), (0, 0, 24, 32)),
    ((60, 48), (20, 12), (3, 2, 15, 9)),
    ((75, 100), (32, 42), (4, 9, 24, 24)),
    ((100, 75), (42, 32), (9, 4, 24, 24)),
    ((13, 11), (13, 29), (1, 0, 9, 29)),
    ((31, 40), (17, 55), (0, 10, 17, 30)),
    ((9, 700), (4, 9), (0, 1, 3, 8)),
    ((213, 320), (64, 96), (4, 20, 56, 56)),
]

# As many of the shapes are small enough for samples.
SMALL = 2


def formula(size, channels, hard):
    y, x, k = numpy.indices((*size, channels))
    image = ((37 * y + 59 * x + 101 * k + 13 * x * y) % 256).astype(numpy.uint8)
    return (image > 127).astype(numpy.uint8) * 255 if hard else image


def opencv(image, target, name):
    interpolation = getattr(cv2, f"INTER_{name.upper()}")
    return cv2.resize(image, target[::-1], interpolation=interpolation).reshape(*target, -1)


def tensor_flow(image, target, name):
    floats = image.astype(numpy.float32)
    if name == "legacy-bilinear":
        return tensorflow.compat.v1.image.resize_bilinear(floats[None], target)[0].numpy()
    return tensorflow.image.resize(floats, target, method=name).numpy()


def as_tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1).contiguous()


def as_array(tensor):
    return tensor.permute(1, 2, 0).contiguous().numpy()


def mode(name):
    return InterpolationMode[name.replace("-", "_").upper()]


def torch_bytes(image, target, name):
    return as_array(v2.resize(as_tensor(image), list(target), mode(name), antialias=True))


def torch_rounded(image, target, name):
    return as_array(v1.resize(as_tensor(image), list(target), mode(name), antialias=True))


def torch_float(image, target, name):
    more = {} if name == "nearest-exact" else {"antialias": True}
    batch = as_tensor(image).float()[None]
    return as_array(torch.nn.functional.interpolate(batch, list(target), mode=name, **more)[0])


def pillow_rgba(image, target, name):
    resized = Image.fromarray(image, "RGBA").resize(target[::-1], Image.Resampling[name.upper()])
    return numpy.asarray(resized)


# kernel: (function, channels, filters compared bit for bit, filters compared within a tolerance)
KERNELS = {
    "opencv": (opencv, (1, 3, 4), ("nearest", "linear", "area"), ("cubic",)),
    "tensorflow": (
        tensor_flow,
        (1, 3),
        ("nearest", "bilinear", "legacy-bilinear", "bicubic", "area"),
        (),
    ),
    "torch": (torch_bytes, (1, 3), ("nearest-exact", "bilinear", "bicubic", "lanczos"), ()),
    "torch-rounded": (torch_rounded, (1, 3), ("nearest-exact", "bilinear", "bicubic"), ()),
    "torch-float": (torch_float, (1, 3), ("nearest-exact",), ("bilinear", "bicubic", "lanczos")),
    "pillow-rgba": (
        pillow_rgba,
        (4,),
        ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"),
        (),
    ),
}


def results(kernel, name, channels, hard, shapes):
    function = KERNELS[kernel][0]
    for size, target, (top, left, height, width) in shapes:
        result = function(formula(size, channels, hard), target, name)
        yield result[top : top + height, left : left + width]


def main():
    cases = []
    for kernel, (_, all_channels, exact, near) in KERNELS.items():
        for channels in all_channels:
            for hard in (False, True):
                named = {"kernel": kernel, "channels": channels, "hard": hard}
                for name in exact:
                    parts = results(kernel, name, channels, hard, SHAPES)
                    sums = [zlib.crc32(part.tobytes()) for part in parts]
                    cases.append({**named, "filter": name, "crc32": sums})
                for name in near if channels == 3 else ():
                    parts = results(kernel, name, channels, hard, SHAPES[:SMALL])
                    samples = [[round(float(v), 3) for v in part.ravel()] for part in parts]
                    cases.append({**named, "filter": name, "samples": samples})
    versions = {
        "opencv": cv2.__version__,
        "tensorflow": tensorflow.__version__,
        "torch": torch.__version__.split("+")[0],
        "torchvision": torchvision.__version__.split("+")[0],
        "pillow": PIL.__version__,
    }
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    shapes = json.dumps(SHAPES, separators=(",", ":"))
    text = f'{{"versions":{json.dumps(versions)},\n"shapes":{shapes},\n"cases":[\n{lines}\n]}}\n'
    pathlib.Path(__file__).with_name("kernels.json").write_text(text)


if __name__ == "__main__":
    main()
