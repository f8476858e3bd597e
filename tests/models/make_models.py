"""Writes the small models that the tests run, next to this file.

    python tests/models/make_models.py

Made with onnx 1.23.2 and numpy 2.4.6. The weights come from numpy's frozen `RandomState`, one seed
a model, so the files are the same bytes every time. None of them has been trained: they only have
to be classifiers in shape, and to depend on every pixel, so that a swapped axis or channel changes
the scores.

Shapes are height before width: 6×8 throughout, so that H and W cannot be confused, and 5 classes.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = Path(__file__).resolve().parent
HEIGHT, WIDTH, CLASSES = 6, 8, 5
NAN_ABOVE = 0.5

# ImageNet mean and standard deviation, and Caffe's mean colour in the order blue, green, red.
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CAFFE_MEAN = [103.939, 116.779, 123.68]


class Graph:
    """Collects nodes and weights; every method returns the name of the value that it adds."""

    def __init__(self, seed, dtype=np.float32):
        self.random = np.random.RandomState(seed)
        self.dtype = dtype
        self.nodes, self.weights = [], []

    def node(self, op, *inputs, output=None, **attributes):
        output = output or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], output, **attributes))
        return output

    def constant(self, values, dtype=None):
        name = f"constant_{len(self.weights)}"
        values = np.ascontiguousarray(values, dtype or self.dtype)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def scalar(self, number, dtype=None):
        """A constant without dimensions."""
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(number, dtype or self.dtype), name))
        return name

    def noise(self, *shape, scale):
        return self.constant(self.random.standard_normal(shape) * scale)

    def convolution(self, source, channels_in, channels_out, side, **attributes):
        scale = 1 / np.sqrt(channels_in * side * side)
        weight = self.noise(channels_out, channels_in, side, side, scale=scale)
        bias = self.noise(channels_out, scale=0.1)
        return self.node("Conv", source, weight, bias, **attributes)

    def dense(self, source, size_in, size_out, output=None):
        weight = self.noise(size_in, size_out, scale=2 / np.sqrt(size_in))
        return self.node("Gemm", source, weight, self.noise(size_out, scale=0.5), output=output)

    def features(self, source, channels=3):
        """N×C×6×8 → N×48. Nothing is pooled, so the scores depend on where each pixel is."""
        x = self.convolution(source, channels, 4, 3, strides=[2, 2], pads=[0, 0, 1, 1])
        return self.node("Flatten", self.node("Relu", x), axis=1)

    def classify_colour(self, source, output=None):
        """N×3×6×8 → N×5 scores of the mean of each channel: few weights."""
        x = self.node("GlobalAveragePool", self.convolution(source, 3, 2, 1))
        return self.dense(self.node("Flatten", x, axis=1), 2, CLASSES, output)

    def classify(self, source, channels=3, output=None):
        """N×C×6×8 → N×5 scores."""
        return self.dense(self.features(source, channels), 48, CLASSES, output)


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, list(shape))


def image(batch="N", channels=3, kind=TensorProto.FLOAT):
    return value("image", (batch, channels, HEIGHT, WIDTH), kind)


def save(name, graph, inputs, outputs, domains=(), metadata=()):
    model = helper.make_model(
        helper.make_graph(graph.nodes, name, inputs, outputs, graph.weights),
        opset_imports=[helper.make_opsetid("", 17)] + [helper.make_opsetid(d, 1) for d in domains],
        ir_version=9,
        producer_name="linnaeus tests/models/make_models.py",
    )
    for key, text in metadata:
        model.metadata_props.add(key=key, value=text)
    # The checker knows no operators of other domains.
    onnx.checker.check_model(model, full_check=not domains)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def classifiers():
    """The same network with a dynamic batch, batch 1, batch 4 and in half precision."""
    for name, batch in [("dynamic", "N"), ("fixed1", 1), ("fixed4", 4)]:
        g = Graph(seed=1)
        g.classify("image", output="logits")
        save(name, g, [image(batch)], [value("logits", (batch, CLASSES))])

    g = Graph(seed=1, dtype=np.float16)
    g.classify("image", output="logits")
    kind = TensorProto.FLOAT16
    save("fp16", g, [image(kind=kind)], [value("logits", ("N", CLASSES), kind)])


def other_inputs():
    """Inputs that are not f32 N×3×6×8 but still images."""
    g = Graph(seed=2)
    x = g.node("Cast", "image", to=TensorProto.FLOAT)
    x = g.node("Div", x, g.constant(255.0))
    x = g.node("Transpose", x, perm=[0, 3, 1, 2])
    g.classify(x, output="logits")
    pixels = value("image", ("N", HEIGHT, WIDTH, 3), TensorProto.UINT8)
    save("u8_nhwc", g, [pixels], [value("logits", ("N", CLASSES))])

    g = Graph(seed=3)
    g.classify("image", channels=1, output="logits")
    save("gray", g, [image(channels=1)], [value("logits", ("N", CLASSES))])

    g = Graph(seed=4)
    x = g.node("Relu", g.convolution("image", 3, 4, 3))
    x = g.node("Flatten", g.node("GlobalAveragePool", x), axis=1)
    g.dense(x, 4, CLASSES, output="logits")
    any_size = value("image", ("N", 3, "H", "W"))
    save("dynamic_hw", g, [any_size], [value("logits", ("N", CLASSES))])


def other_outputs():
    """Outputs that are not N×5 logits but still scores."""
    for name, seed, op, attributes in [
        ("probs", 5, "Softmax", {"axis": 1}),
        ("sigmoid", 6, "Sigmoid", {}),
    ]:
        g = Graph(seed)
        g.node(op, g.classify("image"), output="probabilities", **attributes)
        save(name, g, [image()], [value("probabilities", ("N", CLASSES))])

    g = Graph(seed=7)
    g.node("Sigmoid", g.dense(g.features("image"), 48, 1), output="probability")
    save("binary", g, [image()], [value("probability", ("N", 1))])

    g = Graph(seed=8)
    x = g.node("Relu", g.convolution("image", 3, 4, 3, strides=[2, 2], pads=[0, 0, 1, 1]))
    weight = g.noise(CLASSES, 4, 3, 4, scale=0.3)
    g.node("Conv", x, weight, g.noise(CLASSES, scale=0.5), output="scores")
    save("spatial_out", g, [image()], [value("scores", ("N", CLASSES, 1, 1))])

    g = Graph(seed=9)
    features = g.dense(g.features("image"), 48, 7, output="features")
    g.dense(g.node("Relu", features), 7, CLASSES, output="logits")
    outputs = [value("features", ("N", 7)), value("logits", ("N", CLASSES))]
    save("two_outputs", g, [image()], outputs)


def padded_pool():
    """A maximum pooling of negative numbers, with zeros padded around them by a node of its own.

    Three rows and four columns of windows; those of the first row and column touch the padding, six
    of twelve, and their maximum is 0. So the score of a channel that is x everywhere is (x - 2) / 2.
    """
    g = Graph(seed=41)
    x = g.node("Sub", "image", g.constant(2.0))
    x = g.node("Identity", g.node("Pad", x, g.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64)))
    x = g.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    g.node("Flatten", g.node("GlobalAveragePool", x), output="scores", axis=1)
    save("padded_pool", g, [image()], [value("scores", ("N", 3))])

    model = onnx.load(HERE / "padded_pool.onnx")
    channels = np.array([1.0, 0.0, 0.5], np.float32)
    fed = np.broadcast_to(channels[None, :, None, None], (1, 3, HEIGHT, WIDTH))
    (scores,) = ReferenceEvaluator(model).run(None, {"image": fed})
    np.testing.assert_array_equal(scores, [(channels - 2) / 2])


def saturating():
    """A quantised convolution whose sums of two products leave 16 bits: 2 x 255 x 127.

    Three classes with weights of 1, 64/127 and 0 for each of the 27 numbers of a window. For a white
    image the scores are 27, 27 x 64/127 and 0, to one step of 27/255.
    """
    g = Graph(seed=42)
    zero, step = g.scalar(0, np.uint8), g.scalar(1 / 255)
    x = g.node("QuantizeLinear", "image", step, zero)
    x = g.node("DequantizeLinear", x, step, zero)
    weight = np.zeros((3, 3, 3, 3), np.int8)
    weight[0], weight[1] = 127, 64
    weight = g.constant(weight, np.int8)
    weight = g.node("DequantizeLinear", weight, g.scalar(1 / 127), g.scalar(0, np.int8))
    x = g.node("Conv", x, weight)
    wide = g.scalar(27 / 255)
    x = g.node("QuantizeLinear", x, wide, zero)
    x = g.node("DequantizeLinear", x, wide, zero)
    g.node("Flatten", g.node("GlobalAveragePool", x), output="scores", axis=1)
    save("saturating", g, [image()], [value("scores", ("N", 3))])


def not_a_number():
    """NaN in all scores of an image whose mean input value is above 0.5, finite scores below it."""
    g = Graph(seed=10)
    mean = g.node("ReduceMean", "image", axes=[1, 2, 3], keepdims=1)
    room = g.node("Flatten", g.node("Sub", g.constant(NAN_ABOVE), mean), axis=1)
    g.node("Add", g.classify("image"), g.node("Log", room), output="logits")
    save("nan", g, [image()], [value("logits", ("N", CLASSES))])


def refused():
    """Valid ONNX that is no image classifier, or one that cannot be fed an image."""
    scores = value("logits", ("N", CLASSES))

    g = Graph(seed=11)
    g.dense("features", 10, CLASSES, output="logits")
    save("wrong_rank", g, [value("features", ("N", 10))], [scores])

    g = Graph(seed=12)
    g.classify(g.node("Cast", "image", to=TensorProto.FLOAT), output="logits")
    save("int64_in", g, [image(kind=TensorProto.INT64)], [scores])

    g = Graph(seed=13)
    x = g.node("Concat", g.features("image"), "age_and_place", axis=1)
    g.dense(x, 52, CLASSES, output="logits")
    save("two_inputs", g, [image(), value("age_and_place", ("N", 4))], [scores])

    g = Graph(seed=14)
    x = g.dense(g.dense(g.features("image"), 48, 4), 4, 120)
    g.node("Reshape", x, g.constant([-1, 20, 6], np.int64), output="boxes")
    save("detector", g, [image()], [value("boxes", ("N", 20, 6))])


def save_colour(name, graph, source, layout="nchw", inputs=(), **more):
    """Saves a model of N×3×6×8 or N×6×8×3 images that ends in scores of the colour `source`."""
    graph.classify_colour(source, output="logits")
    nhwc = value("image", ("N", HEIGHT, WIDTH, 3))
    pixels = nhwc if layout == "nhwc" else image()
    save(name, graph, [pixels, *inputs], [value("logits", ("N", CLASSES))], **more)


def normalised_inside():
    """Models that scale their images themselves, as exporters write it."""
    g = Graph(seed=16)
    x = g.node("Sub", "image", g.constant(127.5))
    save_colour("inside_scalar", g, g.node("Div", x, g.constant(127.5)))

    g = Graph(seed=17)
    mean, std = np.reshape(MEAN, (1, 3, 1, 1)), np.reshape(STD, (3, 1, 1))
    x = g.node("Mul", "image", g.constant(1 / 255))
    std = g.node("Identity", g.constant(std))
    x = g.node("Div", g.node("Sub", x, g.constant(mean)), std)
    save_colour("inside_imagenet", g, x)

    g = Graph(seed=18)
    x = g.node("Div", g.node("Sub", "image", g.constant(MEAN)), g.constant(STD))
    save_colour("inside_unit_nhwc", g, g.node("Transpose", x, perm=[0, 3, 1, 2]), "nhwc")

    g = Graph(seed=19)
    channels = []
    for channel in range(3):
        x = g.node("Gather", "image", g.scalar(channel, np.int64), axis=1)
        x = g.node("Unsqueeze", x, g.constant([1], np.int64))
        x = g.node("Mul", x, g.scalar(STD[channel] / 0.5))
        channels.append(g.node("Add", x, g.scalar((MEAN[channel] - 0.5) / 0.5)))
    save_colour("inside_transform_input", g, g.node("Concat", *channels, axis=1))

    g = Graph(seed=20)
    x = g.node("Gather", "image", g.constant([2, 1, 0], np.int64), axis=1)
    save_colour("inside_reversed", g, x)

    g = Graph(seed=21)
    whole = [np.iinfo(np.int64).max] * 3
    slices = [[0, 0, 0, -1], [*whole, -whole[0]], [0, 1, 2, 3], [1, 1, 1, -1]]
    x = g.node("Slice", "image", *[g.constant(part, np.int64) for part in slices])
    x = g.node("Sub", x, g.constant(CAFFE_MEAN))
    save_colour("inside_caffe_nhwc", g, g.node("Transpose", x, perm=[0, 3, 1, 2]), "nhwc")

    g = Graph(seed=22)
    parts = [f"part_{channel}" for channel in range(3)]
    g.nodes.append(helper.make_node("Split", ["image"], parts, axis=1))
    x = g.node("Concat", *parts[::-1], axis=1)
    statistics = [g.constant(x) for x in ([1, 2, 3], [0.5, 0, -0.5], [9, 8, 7], [4, 9, 16])]
    save_colour("inside_other", g, g.node("BatchNormalization", x, *statistics))

    g = Graph(seed=23)
    x = g.node("DequantizeLinear", "image", g.scalar(1 / 128), g.scalar(128, np.uint8))
    g.classify_colour(g.node("Transpose", x, perm=[0, 3, 1, 2]), output="logits")
    pixels = value("image", (1, HEIGHT, WIDTH, 3), TensorProto.UINT8)
    save("inside_dequantised", g, [pixels], [value("logits", (1, CLASSES))])

    g = Graph(seed=24)
    scale, zero = g.scalar(0.02), g.scalar(120, np.uint8)
    x = g.node("DequantizeLinear", g.node("QuantizeLinear", "image", scale, zero), scale, zero)
    save_colour("inside_qdq", g, x)


def tails():
    """Nodes between the probabilities and the output."""
    g = Graph(seed=25)
    x = g.node("Softmax", g.classify_colour("image"), axis=1)
    x = g.node("Reshape", g.node("Clip", x), g.constant([-1, CLASSES, 1, 1], np.int64))
    g.node("Squeeze", x, g.constant([2, 3], np.int64), output="probabilities")
    save("softmax_moved", g, [image()], [value("probabilities", ("N", CLASSES))])

    g = Graph(seed=26)
    g.node("LogSoftmax", g.classify_colour("image"), output="log_probabilities", axis=1)
    save("log_softmax", g, [image()], [value("log_probabilities", ("N", CLASSES))])

    g = Graph(seed=27)
    x = g.node("Exp", g.classify_colour("image"))
    total = g.node("ReduceSum", x, g.constant([1], np.int64), keepdims=1)
    g.node("Div", x, total, output="probabilities")
    save("softmax_in_parts", g, [image()], [value("probabilities", ("N", CLASSES))])

    g = Graph(seed=28)
    g.node("ArgMax", g.classify_colour("image"), output="class", axis=1, keepdims=0)
    save("chosen", g, [image()], [value("class", ("N",), TensorProto.INT64)])


def said_beside_the_graph():
    """Models with metadata, as exporters write it."""
    names = "{0: 'tench', 1: \"bird's nest\", 2: 'a', 3: 'b', 4: 'c'}"
    ultralytics = {"task": "classify", "stride": "1", "imgsz": f"[{HEIGHT}, {WIDTH}]",
                   "names": names, "version": "8.3.0"}
    save_colour("ultralytics", Graph(seed=29), "image", metadata=ultralytics.items())

    g = Graph(seed=30)
    g.classify_colour("image", output="logits")
    pixels = image()
    pixels.type.denotation = "IMAGE"
    for dim, text in zip(pixels.type.tensor_type.shape.dim, ["BATCH", "CHANNEL", "", ""]):
        dim.denotation = f"DATA_{text}" if text else "DATA_FEATURE"
    said = [("Image.BitmapPixelFormat", "Bgr8"),
            ("Image.NominalPixelRange", "NominalRange_0_255")]
    save("windows_ml", g, [pixels], [value("logits", ("N", CLASSES))], metadata=said)


def suspicious():
    """Models that are slow, or that ask for caution; the last three cannot be loaded."""
    g = Graph(seed=31)
    g.classify_colour("image", output="logits")
    weights = [value(w.name, w.dims, w.data_type) for w in g.weights]
    scores = [value("logits", (1, CLASSES))]
    save("initialiser_inputs", g, [image(1), *weights], scores)

    g = Graph(seed=32)
    g.classify_colour("image", output="logits")
    for weight, location in zip(g.weights, ["../outside.data", "/outside.data", "missing.data"]):
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=location)
    scores = [value("logits", ("N", CLASSES))]
    graph = helper.make_graph(g.nodes, "external_outside", [image()], scores, g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (HERE / "external_outside.onnx").write_bytes(model.SerializeToString(deterministic=True))

    g = Graph(seed=33)
    g.node("Blur", "image", output="blurred", domain="org.example")
    save_colour("custom_operator", g, "blurred", domains=["org.example"])

    g = Graph(seed=34)
    x = g.node("DecodeImage", "file", domain="ai.onnx.contrib", pixel_format="BGR")
    x = g.node("Cast", g.node("Transpose", x, perm=[2, 0, 1]), to=TensorProto.FLOAT)
    g.classify_colour(g.node("Unsqueeze", x, g.constant([0], np.int64)), output="logits")
    file = value("file", ("bytes",), TensorProto.UINT8)
    save("decodes_images", g, [file], [value("logits", (1, CLASSES))], ["ai.onnx.contrib"])


def missing_data():
    """A model whose weights are in `external.onnx.data`, which does not exist on purpose."""
    g = Graph(seed=15)
    g.classify("image", output="logits")
    offset = 0
    for weight in g.weights:
        size = len(weight.raw_data)
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        entries = [("location", "external.onnx.data"), ("offset", offset), ("length", size)]
        for key, text in entries:
            weight.external_data.add(key=key, value=str(text))
        offset += size
    graph = helper.make_graph(
        g.nodes, "external", [image()], [value("logits", ("N", CLASSES))], g.weights
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (HERE / "external.onnx").write_bytes(model.SerializeToString(deterministic=True))


def not_models():
    """Text under a model's name."""
    (HERE / "not_a_model.onnx").write_bytes(b"Nothing in this file is a network.\n" * 9)
    pointer = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'5eed' * 16}\nsize 13964571\n"
    )
    (HERE / "lfs_pointer.onnx").write_bytes(pointer.encode())


def main():
    classifiers()
    other_inputs()
    other_outputs()
    padded_pool()
    saturating()
    not_a_number()
    refused()
    normalised_inside()
    tails()
    said_beside_the_graph()
    suspicious()
    missing_data()
    not_models()


if __name__ == "__main__":
    main()
