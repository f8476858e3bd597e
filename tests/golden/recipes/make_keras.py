"""Records of Keras 3, of tf_keras' ImageDataGenerator, and of Teachable Machine's snippets."""

import os
import pathlib
import shutil
import tempfile

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import cv2
import keras
import numpy
import PIL
import tensorflow
import tf_keras
from PIL import Image, ImageOps

import records
from records import EXACT, GRAY, IMAGENET, LANDSCAPE, ODD, PORTRAIT, SMALL, TALL, TINY, WIDE, recipe

RAW = {"scale": "1", "layout": "nhwc"}


def load(image, target, **how):
    loaded = keras.utils.load_img(records.path(image), target_size=target, **how)
    return keras.utils.img_to_array(loaded)


def load_img(out):
    for filter in ["nearest", "bilinear", "bicubic", "hamming", "box", "lanczos"]:
        words = recipe(resize="squash", interpolation=filter, **RAW)
        for image, target in [(ODD, (20, 20)), (TALL, (24, 18))]:
            tensor = load(image, target, interpolation=filter)
            out.add(f"load_img {filter} {image}", image, tensor, words, EXACT)
    words = recipe(resize="squash", interpolation="bicubic", **RAW)
    out.add("load_img enlarging", TINY, load(TINY, (15, 12), interpolation="bicubic"), words, EXACT)
    # Where neither `target_size` nor a filter is said.
    words = recipe(resize="none", **RAW)
    out.add("load_img as it is", SMALL, load(SMALL, None), words, EXACT)
    for image in [ODD, GRAY]:
        words = recipe(resize="squash", interpolation="bilinear", channels="gray", **RAW)
        tensor = load(image, (20, 20), interpolation="bilinear", color_mode="grayscale")
        out.add(f"load_img grayscale {image}", image, tensor, words, EXACT)
    for filter in ["nearest", "bilinear", "lanczos"]:
        words = recipe(resize="aspect-box", interpolation=filter, **RAW)
        for image, target in [(ODD, (20, 20)), (PORTRAIT, (20, 20)), (WIDE, (20, 16))]:
            tensor = load(image, target, interpolation=filter, keep_aspect_ratio=True)
            out.add(f"load_img keep_aspect_ratio {filter} {image}", image, tensor, words, EXACT)


MODES = {
    "tf": (keras.applications.mobilenet_v2, {"scale": "1/127.5-1"}),
    "torch": (keras.applications.densenet, {"scale": "1/255", **IMAGENET}),
    "caffe": (
        keras.applications.vgg16,
        {"scale": "1", "channels": "bgr", "mean": [103.939, 116.779, 123.68]},
    ),
    "identity": (keras.applications.efficientnet, {"scale": "1"}),
}


def preprocess_input(out):
    for mode, (family, numbers) in MODES.items():
        words = recipe(resize="squash", interpolation="nearest", layout="nhwc", **numbers)
        batch = numpy.expand_dims(load(LANDSCAPE, (16, 14)), 0)
        out.add(
            f"preprocess_input {mode}", LANDSCAPE, family.preprocess_input(batch)[0], words, EXACT
        )
        batch = tensorflow.constant(numpy.expand_dims(load(LANDSCAPE, (16, 14)), 0))
        tensor = numpy.asarray(family.preprocess_input(batch))[0]
        # Of a backend's tensor the mean is added with its sign turned.
        out.add(f"preprocess_input {mode} of a tensor", LANDSCAPE, tensor, words, EXACT)


def dataset(image, target, **how):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "one").mkdir()
        shutil.copy(records.path(image), pathlib.Path(folder) / "one")
        batches = keras.utils.image_dataset_from_directory(
            folder, image_size=target, batch_size=1, shuffle=False, verbose=False, **how
        )
        return next(iter(batches))[0].numpy()[0]


def datasets(out):
    floats = {"kernel": "tensorflow", **RAW}
    for filter in ["bilinear", "nearest", "area", "bicubic"]:
        words = recipe(resize="squash", interpolation=filter, **floats)
        for image, target in [(ODD, (20, 20)), (TALL, (24, 18)), (TINY, (9, 11))]:
            tensor = dataset(image, target, interpolation=filter)
            out.add(f"dataset {filter} {image}", image, tensor, words, EXACT)
    for image, target in [(ODD, (20, 20)), (TALL, (18, 24)), (WIDE, (20, 16))]:
        words = recipe(resize="aspect-crop", interpolation="bilinear", **floats)
        tensor = dataset(image, target, crop_to_aspect_ratio=True)
        out.add(f"dataset crop_to_aspect_ratio {image}", image, tensor, words, EXACT)
    # The resized sides are whole numbers here, so that rounding down and to nearest agree …
    words = recipe(resize="fit", crop="center", interpolation="bilinear", **floats)
    tensor = dataset(LANDSCAPE, (20, 20), pad_to_aspect_ratio=True)
    out.add("dataset pad_to_aspect_ratio", LANDSCAPE, tensor, words, EXACT)
    # … and here they are not: 61 rows of 97 columns become 12.58 rows of 20.
    tensor = dataset(ODD, (20, 20), pad_to_aspect_ratio=True)
    note = "not expressible: `fit` rounds the side to nearest, TensorFlow's resize_with_pad down"
    out.add("dataset pad_to_aspect_ratio odd", ODD, tensor, words, None, note=note)
    words = recipe(resize="squash", interpolation="bilinear", channels="gray", **floats)
    tensor = dataset(GRAY, (20, 20), color_mode="grayscale")
    out.add("dataset grayscale", GRAY, tensor, words, EXACT)
    pixels = keras.utils.img_to_array(records.rgb(ODD))
    tensor = keras.preprocessing.image.smart_resize(pixels, (18, 24))
    words = recipe(resize="aspect-crop", interpolation="bilinear", **floats)
    out.add("smart_resize", ODD, tensor, words, EXACT)


def generator(out):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "one").mkdir()
        shutil.copy(records.path(ODD), pathlib.Path(folder) / "one")
        flow = tf_keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255)
        batches = flow.flow_from_directory(folder, target_size=(20, 20), batch_size=1)
        tensor = next(batches)[0][0]
    words = recipe(
        resize="squash", interpolation="nearest", scale="0.00392156862745098", layout="nhwc"
    )
    out.add("ImageDataGenerator rescale", ODD, tensor, words, EXACT)


def teachable_machine(out):
    words = {"scale": "1/127.5-1", "layout": "nhwc"}
    # A box between pixels: 26 of 47 rows begin at 10.5.
    for image, target in [
        (ODD, (18, 24)),
        (PORTRAIT, (20, 20)),
        (WIDE, (20, 16)),
        (TINY, (10, 10)),
    ]:
        fitted = ImageOps.fit(records.rgb(image), target[::-1], Image.Resampling.LANCZOS)
        tensor = (numpy.asarray(fitted).astype(numpy.float32) / 127.5) - 1
        said = recipe(resize="aspect-box exact", interpolation="lanczos", **words)
        out.add(f"Teachable Machine {image}", image, tensor, said, EXACT)
    frame = cv2.resize(cv2.imread(records.path(ODD)), (20, 20), interpolation=cv2.INTER_AREA)
    frame = numpy.asarray(frame, dtype=numpy.float32).reshape(1, 20, 20, 3)
    said = recipe(resize="squash", interpolation="area", kernel="opencv", channels="bgr", **words)
    out.add("Teachable Machine OpenCV", ODD, ((frame / 127.5) - 1)[0], said, EXACT)


def main():
    out = records.Records(
        "keras",
        keras=keras.__version__,
        tf_keras=tf_keras.__version__,
        tensorflow=tensorflow.__version__,
        pillow=PIL.__version__,
        opencv=cv2.__version__,
    )
    load_img(out)
    preprocess_input(out)
    datasets(out)
    generator(out)
    teachable_machine(out)
    out.write()


if __name__ == "__main__":
    main()
