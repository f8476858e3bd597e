"""Records of torchvision: the weights' own transforms, and transforms v1 and v2 of tensors."""

import PIL
import torch
import torchvision
from torchvision.transforms import InterpolationMode, functional, v2
from torchvision.transforms._presets import ImageClassification

import records
from records import EXACT, HALF, IMAGENET, LANDSCAPE, ODD, ORDER, SMALL, TALL, TINY, WIDE, recipe

CROP, SIDE = 21, 24
FILTERS = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
}


def tensor_of(image):
    return functional.pil_to_tensor(records.rgb(image))


# `v2.ToDtype(scale=True)` multiplies by 1/255, where v1 divides by 255.
TIMES = "0.00392156862745098"


def words(filter, side=SIDE, numbers=IMAGENET, scale="1/255", **more):
    return recipe(
        resize=f"shorter-side {side}",
        interpolation=filter,
        crop="center",
        scale=scale,
        layout="nchw",
        **numbers,
        **more,
    )


def preset(filter, crop=CROP, side=SIDE, **how):
    return ImageClassification(
        crop_size=crop, resize_size=side, interpolation=FILTERS[filter], **how
    )


def presets(out):
    for filter in FILTERS:
        for image in [ODD, TALL, LANDSCAPE, WIDE, SMALL]:
            tensor = preset(filter)(records.rgb(image))
            out.add(f"preset {filter} {image}", image, tensor, words(filter), EXACT)
    tensor = preset("bicubic", mean=HALF["mean"], std=HALF["std"])(records.rgb(ODD))
    out.add("preset 0.5", ODD, tensor, words("bicubic", numbers=HALF), EXACT)
    # Padded by one before and two after.
    tensor = preset("bilinear", crop=19, side=16)(records.rgb(TINY))
    out.add("preset crop over resize", TINY, tensor, words("bilinear", 16), EXACT)
    features = {"mean": [0.48235, 0.45882, 0.40784], "std": [0.00392156862745098] * 3}
    tensor = preset("bilinear", **features)(records.rgb(LANDSCAPE))
    # Values up to 152: the last place is 1.5e-5.
    out.add("preset features", LANDSCAPE, tensor, words("bilinear", numbers=features), EXACT)
    # Nothing is resampled where the side is right already.
    tensor = preset("bilinear", crop=11, side=12)(records.rgb(SMALL))
    out.add("preset of its own size", SMALL, tensor, words("bilinear", 12), EXACT)


def tensors(out):
    for filter, mode in FILTERS.items():
        for image in [ODD, TALL, SMALL]:
            tensor = preset(filter)(tensor_of(image))
            said = words(filter, kernel="torch-float-rounded")
            out.add(f"v1 bytes {filter} {image}", image, tensor, said, EXACT)

            first = [v2.Resize(SIDE, interpolation=mode, antialias=True), v2.CenterCrop(CROP)]
            last = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(**IMAGENET)]
            tensor = v2.Compose([*first, *last])(tensor_of(image))
            said = words(filter, kernel="torch", scale=TIMES)
            out.add(f"v2 bytes {filter} {image}", image, tensor, said, EXACT)

            # The package scales to 1 before it resizes, linnaeus after.
            tensor = v2.Compose([last[0], *first, last[1]])(tensor_of(image))
            said = words(filter, kernel="torch-float")
            out.add(f"v2 floats {filter} {image}", image, tensor, said, 4 * ORDER)
    for image in [ODD, TALL]:
        resize = v2.Resize((20, 18), interpolation=InterpolationMode.NEAREST_EXACT)
        last = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(**IMAGENET)]
        tensor = v2.Compose([resize, *last])(tensor_of(image))
        said = recipe(
            resize="squash",
            interpolation="nearest",
            kernel="torch",
            scale=TIMES,
            layout="nchw",
            **IMAGENET,
        )
        out.add(f"v2 bytes nearest-exact {image}", image, tensor, said, EXACT)


def aliased(out):
    """`antialias=False` on floats is TensorFlow's bilinear, in another order of operations."""
    resize = v2.Resize(SIDE, interpolation=InterpolationMode.BILINEAR, antialias=False)
    steps = [v2.ToDtype(torch.float32, scale=True), resize, v2.CenterCrop(CROP)]
    tensor = v2.Compose([*steps, v2.Normalize(**IMAGENET)])(tensor_of(ODD))
    said = words("bilinear", kernel="tensorflow")
    out.add("v2 floats not antialiased", ODD, tensor, said, 4 * ORDER)


def main():
    torch.set_num_threads(1)
    out = records.Records(
        "torchvision",
        torchvision=torchvision.__version__,
        torch=torch.__version__,
        pillow=PIL.__version__,
    )
    presets(out)
    tensors(out)
    aliased(out)
    out.write()


if __name__ == "__main__":
    main()
