"""Records of Hugging Face's image processors, read from a preprocessor_config.json as
`AutoImageProcessor` reads it, with both of its backends.

It writes the ecosystem of the major version that it finds: transformers-4 or transformers-5.
"""

import json
import pathlib
import tempfile

import PIL
import torch
import torchvision
import transformers
from transformers import AutoImageProcessor

import records
from records import CLIP, EXACT, HALF, IMAGENET, LANDSCAPE, ODD, ORDER, TALL, TINY, WIDE, recipe

MAJOR = int(transformers.__version__.split(".")[0])
BACKENDS = {"pil": {"use_fast": False}, "torchvision": {"use_fast": True}}
if MAJOR >= 5:
    BACKENDS = {name: {"backend": name} for name in BACKENDS}

FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
SQUARE = {"height": 20, "width": 20}
CROP = {"height": 21, "width": 21}
# EfficientNet's: the roots of ImageNet's, because `include_top` divides by them twice.
ROOTS = [0.47853944, 0.4732864, 0.47434163]


def image_numbers(numbers):
    return {"image_mean": numbers["mean"], "image_std": numbers["std"]}


class Case:
    """A configuration, and what linnaeus should do for it.

    `numbers` are the words of scale, mean and std; `filter` the resampling that the class takes
    by default where the configuration has none.
    """

    def __init__(self, kind, config, resize, crop=None, numbers=HALF, filter=None, **more):
        self.kind = kind
        self.config = config
        self.resize = resize
        self.crop = crop
        self.numbers = {"scale": "1/255", **numbers}
        self.filter = filter or FILTERS[config["resample"]]
        self.images = more.pop("images", [ODD])
        # Backends that the case is about.
        self.backends = more.pop("backends", list(BACKENDS))
        self.more = more

    def words(self, backend):
        words = {"resize": self.resize, "interpolation": self.filter}
        if backend == "torchvision":
            words["kernel"] = "torch"
        if self.crop:
            words["crop"] = self.crop
        words |= {"layout": "nchw", **self.numbers, **self.more.get("words", {})}
        return words


def plain():
    """Resize, perhaps crop, rescale, normalise."""
    sides = {"height": 18, "width": 24}
    for kind in ["ViT", "BeiT", "Siglip", "Pvt", "Segformer"]:
        name = "Beit" if kind == "BeiT" else kind
        config = {
            "do_resize": True,
            "do_rescale": True,
            "do_normalize": True,
            "image_processor_type": f"{name}ImageProcessor",
            "resample": 2 if kind in ("ViT", "Pvt", "Segformer") else 3,
            "size": SQUARE,
            **({"do_center_crop": False} if kind == "BeiT" else {}),
            **image_numbers(HALF),
        }
        yield Case(kind, config, "squash", images=[ODD, TALL] if kind == "ViT" else [ODD])
    config = {"image_processor_type": "ViTImageProcessor", "size": sides, "resample": 3}
    yield Case("ViT not square", config, "squash", images=[ODD, TALL])
    for code in [0, 1, 4, 5]:
        config = {"image_processor_type": "ViTImageProcessor", "size": SQUARE, "resample": code}
        backends = ["pil"] if code > 1 else list(BACKENDS)
        yield Case(f"ViT {FILTERS[code]}", config, "squash", backends=backends)
    # Everything left to the class; a size in one number; a scale of its own; none at all.
    yield Case(
        "ViT short",
        {"feature_extractor_type": "ViTFeatureExtractor", "size": 20},
        "squash",
        filter="bilinear",
    )
    config = {"image_processor_type": "ViTImageProcessor", "size": 20, "resample": 2}
    scaled = {"rescale_factor": 1 / 127.5, "do_normalize": False}
    yield Case("ViT 0 to 2", config | scaled, "squash", numbers={"scale": "1/127.5"})
    raw = {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [127.5] * 3}
    yield Case(
        "ViT unscaled", config | raw, "squash", numbers={"scale": "1", "mean": 127.5, "std": 127.5}
    )
    config = {
        "image_processor_type": "DeiTImageProcessor",
        "size": {"height": 24, "width": 24},
        "crop_size": CROP,
        "do_center_crop": True,
        "resample": 3,
        **image_numbers(IMAGENET),
    }
    yield Case("DeiT", config, "squash 24x24", "center floor", IMAGENET, images=[ODD, TALL])
    if MAJOR < 5:
        config = config | {"image_processor_type": "EfficientFormerImageProcessor"}
        yield Case(
            "EfficientFormer", config, "squash 24x24", "center floor", IMAGENET, backends=["pil"]
        )


def shortest_edges():
    base = {"do_center_crop": True, "crop_size": CROP, "size": {"shortest_edge": 24}}
    for kind, code, numbers in [
        ("CLIP", 3, CLIP),
        ("Bit", 3, CLIP),
        ("MobileNetV1", 2, HALF),
        ("MobileNetV2", 2, HALF),
    ]:
        config = {"image_processor_type": f"{kind}ImageProcessor", "resample": code, **base}
        config |= image_numbers(numbers)
        images = [ODD, TALL, WIDE] if kind == "CLIP" else [ODD]
        yield Case(kind, config, "shorter-side 24", "center floor", numbers, images=images)
    # The crop is 3 rows larger than the image: 2 are added before and 1 after, or 1 and 2.
    config = {"image_processor_type": "CLIPImageProcessor", "resample": 3, **base}
    config |= {"size": {"shortest_edge": 18}, **image_numbers(CLIP)}
    yield Case(
        "CLIP padded",
        config,
        "shorter-side 18",
        "center floor",
        CLIP,
        images=[TINY],
        backends=["pil"],
    )
    yield Case(
        "CLIP padded",
        config,
        "shorter-side 18",
        "center",
        CLIP,
        images=[TINY],
        backends=["torchvision"],
    )
    config = config | {"size": {"shortest_edge": 24, "longest_edge": 40}}
    yield Case(
        "CLIP longest_edge",
        config,
        "shorter-side 24 at-most 40",
        "center floor",
        CLIP,
        images=[LANDSCAPE, WIDE],
        backends=["torchvision"],
    )
    config = {
        "image_processor_type": "LevitImageProcessor",
        "resample": 3,
        "size": {"shortest_edge": 21},
        "crop_size": CROP,
        **image_numbers(IMAGENET),
    }
    yield Case("LeViT", config, "shorter-side 24", "center floor", IMAGENET, images=[ODD, TALL])
    config = {
        "image_processor_type": "MobileViTImageProcessor",
        "resample": 2,
        "size": {"shortest_edge": 24},
        "crop_size": CROP,
        "do_flip_channel_order": True,
    }
    yield Case(
        "MobileViT",
        config,
        "shorter-side 24",
        "center floor",
        {},
        words={"channels": "bgr"},
        images=[ODD, TALL],
    )


def own_ways():
    for size, resize in [
        ({"shortest_edge": 20}, "shorter-side 22"),
        ({"height": 20, "width": 20}, "shorter-side 22"),
    ]:
        config = {
            "image_processor_type": "PoolFormerImageProcessor",
            "resample": 3,
            "size": size,
            "crop_pct": 0.9,
            "crop_size": SQUARE,
            **image_numbers(IMAGENET),
        }
        yield Case(f"PoolFormer {next(iter(size))}", config, resize, "center floor", IMAGENET)
    config = config | {"crop_pct": None, "size": {"shortest_edge": 24}}
    yield Case("PoolFormer no crop_pct", config, "shorter-side 24", "center floor", IMAGENET)
    config = {
        "image_processor_type": "ConvNextImageProcessor",
        "resample": 3,
        "size": {"shortest_edge": 21},
        "crop_pct": 0.875,
        **image_numbers(IMAGENET),
    }
    # 24 rows less 21 are 3 over: half of it is 1 rounded down, and 2 to even.
    fast_crop = "center floor" if MAJOR >= 5 else "center"
    for backend, crop in [("pil", "center floor"), ("torchvision", fast_crop)]:
        yield Case(
            "ConvNeXT",
            config,
            "shorter-side 24",
            crop,
            IMAGENET,
            images=[ODD, TALL],
            backends=[backend],
        )
        missing = {"image_processor_type": "ConvNextImageProcessor", "size": 21}
        filter = "bicubic" if MAJOR >= 5 else "bilinear"
        yield Case(
            "ConvNeXT short", missing, "shorter-side 24", crop, HALF, filter, backends=[backend]
        )
    config = config | {"size": {"shortest_edge": 384}}
    yield Case("ConvNeXT 384", config, "squash", None, IMAGENET)
    for top in [True, False]:
        config = {
            "image_processor_type": "EfficientNetImageProcessor",
            "do_center_crop": False,
            "resample": 2,
            "size": SQUARE,
            "include_top": top,
            "image_mean": IMAGENET["mean"],
            "image_std": ROOTS,
        }
        # Both divisions: by the square, in double precision.
        std = [root * root for root in ROOTS] if top else ROOTS
        yield Case(
            f"EfficientNet {'with' if top else 'without'} top",
            config,
            "squash",
            None,
            {"mean": IMAGENET["mean"], "std": std},
            bound=4 * ORDER if top else None,
        )
    config = config | {"rescale_offset": True, "rescale_factor": 1 / 127.5, "do_normalize": False}
    yield Case("EfficientNet rescale_offset", config, "squash", None, {"scale": "1/127.5-1"})
    config = {
        "image_processor_type": "PerceiverImageProcessor",
        "resample": 3,
        "size": SQUARE,
        "crop_size": {"height": 24, "width": 24},
        **image_numbers(IMAGENET),
    }
    yield Case(
        "Perceiver",
        config,
        "center-square",
        None,
        IMAGENET,
        note="not expressible: cut to (size/crop_size) of the shorter side in square",
    )
    config = config | {"crop_size": SQUARE}
    yield Case("Perceiver whole", config, "center-square", None, IMAGENET)
    config = {"image_processor_type": "DINOv3ViTImageProcessorFast", "size": SQUARE, "resample": 2}
    # Scaled to 1 before it is resized, and not rounded.
    yield Case(
        "DINOv3",
        config | image_numbers(IMAGENET),
        "squash",
        None,
        IMAGENET,
        backends=["torchvision"],
        words={"kernel": "torch-float"},
        images=[ODD, TALL],
        bound=4 * ORDER,
    )


def saved(config, backend):
    """As the processor of that backend saves its type; from 5 on both save the same."""
    kind = config.get("image_processor_type", "Fast")
    if MAJOR >= 5 or backend == "pil" or kind.endswith("Fast"):
        return dict(config)
    return config | {"image_processor_type": f"{kind}Fast"}


def processor(config, backend):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "preprocessor_config.json").write_text(json.dumps(config))
        return AutoImageProcessor.from_pretrained(folder, **BACKENDS[backend])


def add(out, case):
    for backend in case.backends:
        config = saved(case.config, backend)
        found = processor(config, backend)
        for image in case.images:
            tensor = found(records.rgb(image), return_tensors="pt")["pixel_values"][0]
            # The torchvision backend folds the scale into mean and std.
            bound = case.more.get("bound") or (EXACT if backend == "pil" else ORDER)
            note = {}
            if "note" in case.more:
                bound, note = None, {"note": case.more["note"]}
            name = f"{case.kind} {backend} {image}"
            words = recipe(**case.words(backend))
            out.add(name, image, tensor, words, bound, **note, config=config)


def fused(out):
    """What the torchvision backend computes to the last bit: bytes less a mean of 0 to 255."""
    for code, image in [(2, ODD), (3, ODD), (2, TALL), (3, TALL)]:
        config = {"image_processor_type": "ViTImageProcessor", "size": SQUARE, "resample": code}
        config |= image_numbers(IMAGENET)
        # The processor's products in f32, with all digits.
        factor = torch.tensor(IMAGENET["mean"]) * (1.0 / (1 / 255))
        divisor = torch.tensor(IMAGENET["std"]) * (1.0 / (1 / 255))
        numbers = {"scale": "1", "mean": factor.tolist(), "std": divisor.tolist()}
        case = Case("ViT", config, "squash", None, numbers)
        config = saved(config, "torchvision")
        found = processor(config, "torchvision")(records.rgb(image), return_tensors="pt")
        name = f"fused {case.filter} {image}"
        words = recipe(**case.words("torchvision"))
        out.add(name, image, found["pixel_values"][0], words, EXACT, config=config)


def transparent(out):
    """Where the processor itself is given an image with alpha."""
    config = {"image_processor_type": "CLIPImageProcessor", "resample": 3, "do_convert_rgb": True}
    config |= {"crop_size": CROP, "size": {"shortest_edge": 24}, **image_numbers(CLIP)}
    case = Case("CLIP alpha", config, "shorter-side 24", "center floor", CLIP)
    for backend in case.backends:
        image = PIL.Image.open(records.path(TALL))
        tensor = processor(config, backend)(image, return_tensors="pt")["pixel_values"][0]
        alpha = "white" if MAJOR >= 5 else "drop"
        words = recipe(**case.words(backend), alpha=alpha)
        bound = EXACT if backend == "pil" else ORDER
        # linnaeus's detector takes what the pipeline does, which drops alpha first.
        out.add(f"{case.kind} {backend}", TALL, tensor, words, bound)


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    out = records.Records(
        f"transformers-{MAJOR}",
        transformers=transformers.__version__,
        torchvision=torchvision.__version__,
        torch=torch.__version__,
        pillow=PIL.__version__,
    )
    for cases in [plain, shortest_edges, own_ways]:
        for case in cases():
            add(out, case)
    fused(out)
    transparent(out)
    out.write()


if __name__ == "__main__":
    main()
