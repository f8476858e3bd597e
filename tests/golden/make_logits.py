"""Writes logits.json: input tensors by Pillow and numpy, scores by ONNX Runtime, for the models.

    python tests/models/make_models.py && python tests/golden/make_logits.py

Made with Pillow 13.0.0, numpy 2.4.6 and onnxruntime 1.31.1 (CPU). Also writes the images that it
uses, ../images/formula/*.png: 8-bit RGB, channel k of the pixel in row y and column x is
(37 y + 59 x + 101 k + 13 x y) mod 256.

Height comes before width, both in names (`h30w40.png`) and in shapes.
"""

import json
import math
from pathlib import Path

import numpy as np
import onnxruntime
import PIL
from PIL import Image

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parent / "images" / "formula"
MODELS = HERE.parent / "models"
HEIGHT, WIDTH = 6, 8
SIZES = [(30, 40), (47, 26), (19, 71), (4, 5), (12, 12)]
SHORTER_SIDE = 10

# ImageNet mean and standard deviation, as in torchvision's reference transforms.
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
PREPROCESSINGS = {
    "rgb": {"layout": "nchw", "dtype": "f32", "scale": "1/255", "mean": MEAN, "std": STD},
    "rgb_f16": {"layout": "nchw", "dtype": "f16", "scale": "1/255", "mean": MEAN, "std": STD},
    "gray": {"layout": "nchw", "dtype": "f32", "scale": "1/255", "mean": [0.5], "std": [0.5]},
    "bytes": {"layout": "nhwc", "dtype": "u8"},
}
# Model, preprocessing, largest difference allowed between two builds of the runtime. A half has
# 11 bits: one unit in the last place of a score near 4 is 0.004.
MODEL_RUNS = [
    ("dynamic", "rgb", 1e-4),
    ("fixed1", "rgb", 1e-4),
    ("fixed4", "rgb", 1e-4),
    ("fp16", "rgb_f16", 1e-2),
    ("u8_nhwc", "bytes", 1e-4),
    ("gray", "gray", 1e-4),
    ("probs", "rgb", 1e-4),
    ("sigmoid", "rgb", 1e-4),
    ("binary", "rgb", 1e-4),
    ("spatial_out", "rgb", 1e-4),
    ("two_outputs", "rgb", 1e-4),
    ("dynamic_hw", "rgb", 1e-4),
    ("nan", "rgb", 1e-4),
]


def formula(height, width):
    y, x, k = np.ogrid[:height, :width, :3]
    return ((37 * y + 59 * x + 101 * k + 13 * x * y) % 256).astype(np.uint8)


def write_images():
    """Writes the images and returns their names with the pixels."""
    images = {f"h{height}w{width}.png": formula(height, width) for height, width in SIZES}
    # On either side of the threshold of nan.onnx, with any usual normalization.
    images["dark.png"] = formula(10, 14) % 56
    images["bright.png"] = formula(10, 14) % 56 + 200
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, pixels in images.items():
        Image.fromarray(pixels).save(IMAGES / name, optimize=True)
    return images


def resized_size(geometry, height, width):
    """Returns the height and width to resize to, checking that no usual rounding would change it.

    squash: to 6×8. cover: the smallest size of the same aspect that covers 6×8. shorter: the
    shorter side to 10. What the longer side rounds to is a convention; these images do not tell
    the conventions apart, so that the file is valid for each of them.
    """
    if geometry == "squash":
        return HEIGHT, WIDTH
    if geometry == "cover":
        scale = max(HEIGHT / height, WIDTH / width)
    else:
        scale = SHORTER_SIDE / min(height, width)
    exact = (height * scale, width * scale)
    rounded = tuple(round(side) for side in exact)
    assert rounded == tuple(math.floor(side + 1e-9) for side in exact), (geometry, exact)
    return rounded


def crop_offset(resized, target):
    """Returns the first row or column of the centre crop, which no rounding of a half changes."""
    offset = (resized - target) // 2
    assert offset == round((resized - target) / 2), (resized, target)
    return offset


def geometry_of(geometry, height, width):
    resized_height, resized_width = resized_size(geometry, height, width)
    return {
        "resized": {"height": resized_height, "width": resized_width},
        "crop": {
            "top": crop_offset(resized_height, HEIGHT),
            "left": crop_offset(resized_width, WIDTH),
        },
    }


def pixels_of(image, plan):
    """Resizes with Pillow's bilinear filter and crops; H×W×3 or H×W×1 bytes."""
    resized = image.resize((plan["resized"]["width"], plan["resized"]["height"]), Image.BILINEAR)
    left, top = plan["crop"]["left"], plan["crop"]["top"]
    pixels = np.asarray(resized.crop((left, top, left + WIDTH, top + HEIGHT)))
    return pixels.reshape(HEIGHT, WIDTH, -1)


def tensor_of(pixels, preprocessing):
    """The model's input without the batch axis, every step in f32: /255, - mean, / std."""
    if preprocessing["dtype"] == "u8":
        return pixels
    mean, std = (np.array(preprocessing[key], np.float32) for key in ("mean", "std"))
    values = (pixels.astype(np.float32) / np.float32(255) - mean) / std
    dtype = np.float16 if preprocessing["dtype"] == "f16" else np.float32
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype)


def numbers(values):
    """A flat list with the fewest digits that give the same value back in its own precision."""
    flat = np.asarray(values).ravel()
    if flat.dtype == np.uint8:
        return flat.tolist()
    return [float(str(value)) if np.isfinite(value) else None for value in flat]


def make_tensors(images):
    """One record for each image, geometry and preprocessing; the array itself under `array`."""
    records = []
    for name, pixels in images.items():
        plain = name in ("dark.png", "bright.png")
        for geometry in ["squash"] if plain else ["squash", "cover", "shorter"]:
            plan = geometry_of(geometry, *pixels.shape[:2])
            for key, preprocessing in PREPROCESSINGS.items():
                image = Image.fromarray(pixels)
                # Gray comes before the resizing, as in a loader that opens a file as grayscale.
                image = image.convert("L") if key == "gray" else image
                array = tensor_of(pixels_of(image, plan), preprocessing)
                where = {"image": name, "preprocessing": key, "geometry": geometry}
                records.append({**where, **plan, "shape": list(array.shape), "array": array})
    return records


def run_model(name, arrays):
    """Returns the scores of each array from the output that comes last, one row each."""
    session = onnxruntime.InferenceSession(
        MODELS / f"{name}.onnx", providers=["CPUExecutionProvider"]
    )
    output = session.get_outputs()[-1].name
    batch = session.get_inputs()[0].shape[0]
    size = batch if isinstance(batch, int) else 1
    rows = []
    for start in range(0, len(arrays), size):
        block = arrays[start : start + size]
        block = block + [np.zeros_like(arrays[0])] * (size - len(block))
        rows.extend(session.run([output], {"image": np.stack(block)})[0])
    return output, [row.ravel() for row in rows[: len(arrays)]]


def make_scores(tensors):
    records = []
    for model, preprocessing, tolerance in MODEL_RUNS:
        used = [t for t in tensors if t["preprocessing"] == preprocessing]
        output, rows = run_model(model, [t["array"] for t in used])
        for tensor, row in zip(used, rows):
            where = {key: tensor[key] for key in ("image", "preprocessing", "geometry")}
            head = {"model": f"{model}.onnx", "output": output, **where}
            records.append({**head, "tolerance": tolerance, "values": numbers(row)})
    return records


def lines(records):
    return ",\n".join(json.dumps(record) for record in records)


def main():
    images = write_images()
    tensors = make_tensors(images)
    scores = make_scores(tensors)
    head = {
        "made_by": "tests/golden/make_logits.py",
        "versions": {
            "pillow": PIL.__version__,
            "numpy": np.__version__,
            "onnxruntime": onnxruntime.__version__,
        },
        "target": {"height": HEIGHT, "width": WIDTH},
        "filter": "bilinear",
        "shorter_side": SHORTER_SIDE,
        "preprocessings": PREPROCESSINGS,
    }
    for record in tensors:
        record["values"] = numbers(record.pop("array"))
    text = json.dumps(head, indent=1)[:-2]
    text += f',\n "tensors": [\n{lines(tensors)}\n ],\n "scores": [\n{lines(scores)}\n ]\n}}\n'
    json.loads(text)
    (HERE / "logits.json").write_text(text)


if __name__ == "__main__":
    main()
