"""Records of timm: `resolve_data_config` of a pretrained configuration, then `create_transform`."""

import PIL
import timm
import torchvision
from timm.data import create_transform, resolve_data_config

import records
from records import CLIP, EXACT, HALF, IMAGENET, LANDSCAPE, ODD, SMALL, TALL, WIDE, recipe


def config(size=(21, 21), crop_pct=0.875, mode="center", filter="bicubic", numbers=IMAGENET):
    return {
        "input_size": [3, *size],
        "interpolation": filter,
        "crop_pct": crop_pct,
        "crop_mode": mode,
        "mean": numbers["mean"],
        "std": numbers["std"],
    }


def add(out, name, image, said, resize, **more):
    resolved = resolve_data_config({}, pretrained_cfg=said)
    tensor = create_transform(**resolved, is_training=False)(records.rgb(image))
    words = recipe(
        resize=resize,
        interpolation=resolved["interpolation"],
        crop="center",
        scale="1/255",
        mean=list(resolved["mean"]),
        std=list(resolved["std"]),
        layout="nchw",
        **more,
    )
    # As `save_config_for_hf` writes it.
    file = {"architecture": "resnet50", "num_classes": 1000, "pretrained_cfg": said}
    out.add(f"{name} {image}", image, tensor, words, EXACT, config=file)


def main():
    out = records.Records(
        "timm", timm=timm.__version__, torchvision=torchvision.__version__, pillow=PIL.__version__
    )
    for filter in ["bicubic", "bilinear"]:
        for image in [ODD, TALL, WIDE, SMALL]:
            add(out, f"center {filter}", image, config(filter=filter), "shorter-side 24")
    add(out, "center 0.5 crop_pct 0.9", ODD, config(crop_pct=0.9, numbers=HALF), "shorter-side 23")
    add(out, "center CLIP crop_pct 1", TALL, config(crop_pct=1.0, numbers=CLIP), "shorter-side 21")
    # floor(20 / 1.15) = 17: the crop is larger than the image and padded.
    add(out, "center crop_pct 1.15", ODD, config(size=(20, 20), crop_pct=1.15), "shorter-side 17")
    # floor(18 / 0.9) = 20, floor(24 / 0.9) = 26.
    for image in [ODD, TALL, LANDSCAPE]:
        wide = config(size=(18, 24), crop_pct=0.9)
        add(out, "center not square", image, wide, "cover 20x26")
    for image in [ODD, TALL]:
        add(out, "squash", image, config(mode="squash", crop_pct=0.9), "squash 23x23")
        squashed = config(mode="squash", crop_pct=1.0, size=(18, 24))
        add(out, "squash not square", image, squashed, "squash 18x24")
    fills = [([124, 116, 104], IMAGENET), ([128, 128, 128], HALF)]
    for fill, numbers in fills:
        for image in [ODD, TALL]:
            border = config(mode="border", crop_pct=0.9, numbers=numbers)
            add(out, f"border {fill[0]}", image, border, "fit 23x23", fill=fill)
    border = config(mode="border", crop_pct=1.0, size=(18, 24))
    add(out, "border not square", ODD, border, "fit 18x24", fill=[124, 116, 104])
    plain = {"mean": [0.0] * 3, "std": [1.0] * 3}
    add(out, "center 0 to 1", ODD, config(numbers=plain), "shorter-side 24")
    # Every key left to `resolve_data_config`.
    add(out, "defaults", ODD, {"input_size": [3, 21, 21]}, "shorter-side 24")
    out.write()


if __name__ == "__main__":
    main()
