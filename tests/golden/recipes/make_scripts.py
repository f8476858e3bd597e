"""Records of the packages and scripts that call OpenCV, Pillow or TensorFlow themselves: Lobe,
OpenVINO's Model API, ONNX Model Zoo, PaddleClas, mmpretrain, TF-slim, Custom Vision.

Lobe's and OpenVINO's are their packages' own functions. The others are the steps that their
sources take, written down here with the library that they call.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from importlib.metadata import version

import cv2
import lobe.image_utils
import numpy
import PIL
import tensorflow
from model_api.adapters.utils import (
    crop_resize_ocv,
    resize_image_letterbox_ocv,
    resize_image_ocv,
    resize_image_with_aspect_ocv,
)
from PIL import Image

import records
from records import EXACT, IMAGENET, LANDSCAPE, ODD, ORDER, TALL, TINY, WIDE, recipe

f32 = numpy.float32


def bgr(image):
    return cv2.imread(records.path(image))


def opencv(image):
    return numpy.ascontiguousarray(bgr(image)[..., ::-1])


def chw(pixels):
    return pixels.transpose(2, 0, 1)


def model_zoo(out):
    """onnx/models' imagenet_preprocess.py, efficientnet-lite4's and the Caffe2 models' READMEs."""
    words = recipe(
        resize="shorter-side 24 nearest",
        interpolation="bilinear",
        crop="center halves",
        scale="1/255",
        layout="nchw",
        **IMAGENET,
    )
    for image in [ODD, TALL, WIDE]:
        pixels = records.rgb(image)
        ratio = 24 / min(pixels.size)
        sides = [24 if side == min(pixels.size) else round(side * ratio) for side in pixels.size]
        pixels = numpy.array(pixels.resize(sides, Image.BILINEAR))
        top, left = (side // 2 - 21 // 2 for side in pixels.shape[:2])
        # In double precision, and rounded once at the end.
        tensor = pixels[top : top + 21, left : left + 21] / 255.0
        tensor = (tensor - numpy.array(IMAGENET["mean"])) / numpy.array(IMAGENET["std"])
        out.add(f"Model Zoo MXNet {image}", image, chw(tensor), words, ORDER)

    words = recipe(
        resize="shorter-side 24",
        interpolation="bilinear",
        kernel="opencv",
        crop="center floor",
        scale="1",
        mean=127,
        std=128,
        layout="nhwc",
    )
    for image in [ODD, TALL]:
        pixels = opencv(image)
        height, width = pixels.shape[:2]
        size = int(100.0 * 21 / 87.5)
        long = int(size * max(height, width) / min(height, width))
        pixels = cv2.resize(pixels, (size, long) if height > width else (long, size))
        top, left = (int((side - 21) / 2) for side in pixels.shape[:2])
        tensor = (pixels[top : top + 21, left : left + 21].astype(f32) - 127) / 128
        out.add(f"Model Zoo EfficientNet-lite4 {image}", image, tensor, words, EXACT)

    words = recipe(
        resize="squash",
        interpolation="bicubic",
        channels="bgr",
        scale="1",
        mean=[103.939, 116.779, 123.68],
        layout="nchw",
    )
    pixels = numpy.array(records.rgb(ODD).resize((20, 20)), dtype=f32)[..., ::-1]
    tensor = chw(pixels - numpy.array([103.939, 116.779, 123.68], dtype=f32))
    out.add("Model Zoo Caffe2", ODD, tensor, words, EXACT)

    words = recipe(
        resize="squash", interpolation="lanczos", channels="gray", scale="1", layout="nchw"
    )
    pixels = Image.open(records.path(ODD)).convert("L").resize((24, 24), Image.LANCZOS)
    out.add("Model Zoo FER+", ODD, numpy.array(pixels)[None], words, EXACT)

    words = recipe(
        resize="squash",
        interpolation="bilinear",
        kernel="opencv",
        channels="gray",
        scale="1/255",
        layout="nchw",
    )
    pixels = cv2.resize(cv2.cvtColor(bgr(ODD), cv2.COLOR_BGR2GRAY), (28, 28))
    out.add("Model Zoo MNIST", ODD, pixels[None].astype(f32) / 255, words, EXACT)


def paddle(out):
    words = recipe(
        resize="shorter-side 24 nearest",
        interpolation="bilinear",
        kernel="opencv",
        crop="center floor",
        scale="0.00392157",
        layout="nchw",
        **IMAGENET,
    )
    for image in [ODD, TALL, WIDE]:
        pixels = opencv(image)
        ratio = 24 / min(pixels.shape[:2])
        height, width = (round(side * ratio) for side in pixels.shape[:2])
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
        top, left = ((side - 21) // 2 for side in pixels.shape[:2])
        tensor = pixels[top : top + 21, left : left + 21].astype(f32) * f32(0.00392157)
        mean, std = (numpy.array(IMAGENET[key], dtype=f32) for key in ["mean", "std"])
        out.add(f"PaddleClas {image}", image, chw((tensor - mean) / std), words, EXACT)


def mmpretrain(out):
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    words = recipe(
        resize="shorter-side 24",
        interpolation="bilinear",
        kernel="opencv",
        crop="center floor",
        scale="1",
        mean=mean,
        std=std,
        layout="nchw",
    )
    pixels = opencv(ODD)
    height, width = pixels.shape[:2]
    size = (int(24 * width / height), 24) if height < width else (24, int(24 * height / width))
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    top, left = ((side - 21) // 2 for side in pixels.shape[:2])
    pixels = numpy.ascontiguousarray(pixels[top : top + 21, left : left + 21]).astype(f32)
    # As mmcv's imnormalize: a multiplication by the reciprocal.
    cv2.subtract(pixels, numpy.float64([mean]), pixels)
    cv2.multiply(pixels, 1 / numpy.float64([std]), pixels)
    out.add("mmpretrain", ODD, chw(pixels), words, ORDER)


def lobe_images(out):
    words = recipe(
        resize="cover", interpolation="bicubic", crop="center floor", scale="1/255", layout="nhwc"
    )
    for image in [ODD, TALL, WIDE, TINY]:
        pixels = lobe.image_utils.preprocess_image(Image.open(records.path(image)), (21, 21))
        # Divided in double precision.
        tensor = lobe.image_utils.image_to_array(pixels)[0]
        out.add(f"Lobe {image}", image, tensor, words, EXACT)


def openvino(out):
    words = {"interpolation": "bilinear", "kernel": "opencv", "scale": "1", "layout": "nhwc"}
    numbers = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
    mean, std = (f32(numbers[key]) for key in ["mean", "std"])
    for image in [ODD, TALL]:
        said = recipe(resize="squash", **words, **numbers)
        tensor = (resize_image_ocv(opencv(image), (24, 18)).astype(f32) - mean) / std
        out.add(f"OpenVINO standard {image}", image, tensor, said, EXACT)
        said = recipe(resize="fit", crop="center", fill=114, **words)
        tensor = resize_image_letterbox_ocv(opencv(image), (24, 20), pad_value=114)
        out.add(f"OpenVINO letterbox {image}", image, tensor, said, EXACT)
        said = recipe(resize="aspect-crop", **words)
        for size in [(20, 20), (18, 24), (24, 18)]:
            tensor = crop_resize_ocv(opencv(image), size)
            name = f"OpenVINO crop {size[1]}x{size[0]} {image}"
            # Its ratio is width by height where it compares, and turned where it crops.
            note = (
                {}
                if size == (20, 20)
                else {
                    "note": "not expressible: crop_resize_ocv takes the ratio of a size (width, "
                    "height) the wrong way round"
                }
            )
            out.add(name, image, tensor, said, None if note else EXACT, **note)
        said = recipe(resize="fit", crop="top-left", **words)
        tensor = resize_image_with_aspect_ocv(opencv(image), (24, 20))
        # `fx` is the scale that is sampled with, not the rounded sides' ratio.
        note = "not expressible where a side is rounded: the package samples with the scale itself"
        out.add(f"OpenVINO fit_to_window {image}", image, tensor, said, None, note=note)
    # 30 by 40 into 18 by 24: both sides are whole.
    said = recipe(resize="fit", crop="top-left", **words)
    tensor = resize_image_with_aspect_ocv(opencv(LANDSCAPE), (24, 20))
    out.add("OpenVINO fit_to_window", LANDSCAPE, tensor, said, EXACT)


def opencv_filters(out):
    for filter, flag in [
        ("nearest", cv2.INTER_NEAREST),
        ("bilinear", cv2.INTER_LINEAR),
        ("bicubic", cv2.INTER_CUBIC),
        ("area", cv2.INTER_AREA),
    ]:
        words = recipe(
            resize="squash", interpolation=filter, kernel="opencv", scale="1", layout="nhwc"
        )
        # Shrunk, shrunk by whole numbers, one side enlarged, both enlarged.
        for image, size in [
            (ODD, (20, 20)),
            (LANDSCAPE, (20, 15)),
            (WIDE, (17, 23)),
            (TINY, (13, 11)),
        ]:
            tensor = cv2.resize(opencv(image), size, interpolation=flag)
            out.add(f"OpenCV {filter} {image}", image, tensor, words, EXACT)


def custom_vision(out):
    words = recipe(
        resize="squash", interpolation="bicubic", channels="bgr", scale="1", layout="nchw"
    )
    pixels = numpy.array(records.rgb(TALL).resize((20, 20)), dtype=f32)
    out.add("Custom Vision sample", TALL, chw(pixels)[::-1], words, EXACT)


def slim(out):
    """TF-slim's inception_preprocessing and vgg_preprocessing, of evaluation."""
    resize = tensorflow.compat.v1.image.resize_bilinear
    words = recipe(
        resize="center-fraction 0.875",
        interpolation="bilinear",
        kernel="tensorflow-1",
        scale="1/127.5-1",
        layout="nhwc",
    )
    for image in [ODD, TALL]:
        pixels = tensorflow.image.convert_image_dtype(numpy.array(records.rgb(image)), "float32")
        pixels = tensorflow.image.central_crop(pixels, 0.875)
        pixels = resize(pixels[None], [20, 20], align_corners=False)[0]
        # The package scales to 1 before it resizes, linnaeus after.
        tensor = ((pixels - 0.5) * 2.0).numpy()
        out.add(f"TF-slim inception {image}", image, tensor, words, ORDER)
    words = recipe(
        resize="shorter-side 24",
        interpolation="bilinear",
        kernel="tensorflow-1",
        crop="center floor",
        scale="1",
        mean=[123.68, 116.78, 103.94],
        layout="nhwc",
    )
    for image in [ODD, TALL]:
        pixels = numpy.array(records.rgb(image))
        height, width = pixels.shape[:2]
        ratio = f32(24) / f32(min(height, width))
        sides = [int(f32(height) * ratio), int(f32(width) * ratio)]
        pixels = resize(pixels[None], sides, align_corners=False)[0].numpy()
        top, left = (int((side - 21) / 2) for side in pixels.shape[:2])
        tensor = pixels[top : top + 21, left : left + 21] - f32([123.68, 116.78, 103.94])
        out.add(f"TF-slim vgg {image}", image, tensor, words, EXACT)


def main():
    out = records.Records(
        "scripts",
        pillow=PIL.__version__,
        opencv=cv2.__version__,
        tensorflow=tensorflow.__version__,
        lobe=version("lobe"),
        **{"openvino-model-api": version("openvino-model-api")},
    )
    for part in [model_zoo, paddle, mmpretrain, lobe_images, openvino, opencv_filters]:
        part(out)
    custom_vision(out)
    slim(out)
    out.write()


if __name__ == "__main__":
    main()
