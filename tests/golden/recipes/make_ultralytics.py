"""Records of Ultralytics' and YOLOv5's classifiers. Of versions before 8.1 run it with one such
first on the path: it writes the ecosystem of the version that it finds."""

import cv2
import PIL
import torch
import ultralytics
from PIL import Image
from torchvision.transforms import Compose, Normalize
from ultralytics.data import augment

import records
from records import EXACT, IMAGENET, LANDSCAPE, ODD, SMALL, TALL, WIDE, recipe

OLD = tuple(int(part) for part in ultralytics.__version__.split(".")[:2]) < (8, 1)
UNIT = {"scale": "1/255", "layout": "nchw"}


def recent(out):
    pixels = lambda image: Image.fromarray(cv2.imread(records.path(image))[..., ::-1])
    for image in [ODD, TALL, WIDE, SMALL, LANDSCAPE]:
        words = recipe(resize="shorter-side 21", interpolation="bilinear", crop="center", **UNIT)
        tensor = augment.classify_transforms(size=21)(pixels(image))
        out.add(f"classify {image}", image, tensor, words, EXACT)
    for image in [ODD, TALL]:
        words = recipe(resize="squash 18x24", interpolation="bilinear", crop="center", **UNIT)
        tensor = augment.classify_transforms(size=(18, 24))(pixels(image))
        out.add(f"classify not square {image}", image, tensor, words, EXACT)


def old(out):
    for image in [ODD, TALL, WIDE, SMALL, LANDSCAPE]:
        words = recipe(resize="center-square", interpolation="bilinear", kernel="opencv", **UNIT)
        tensor = augment.classify_transforms(21)(cv2.imread(records.path(image)))
        out.add(f"classify {image}", image, tensor, words, EXACT)
    # YOLOv5's classify_transforms are these three, with ImageNet's numbers.
    steps = [augment.CenterCrop(21), augment.ToTensor(), Normalize(**IMAGENET)]
    words = recipe(
        resize="center-square", interpolation="bilinear", kernel="opencv", **UNIT, **IMAGENET
    )
    tensor = Compose(steps)(cv2.imread(records.path(ODD)))
    out.add("YOLOv5", ODD, tensor, words, EXACT)


def main():
    out = records.Records(
        "ultralytics-8.0" if OLD else "ultralytics",
        ultralytics=ultralytics.__version__,
        torch=torch.__version__,
        pillow=PIL.__version__,
        opencv=cv2.__version__,
    )
    (old if OLD else recent)(out)
    out.write()


if __name__ == "__main__":
    main()
