"""Writes `article.onnx` next to this file: a Keras-style classifier as in the article that the
project began with, only tiny. It takes N×299×299×3 in −1 to 1, red first, and tells 27 colours
apart: low, middle and high of each channel.

    python tests/models/make_article.py

Made with onnx 1.23.2 and numpy 2.4.6; nothing is random. The logits are those of the nearest
centre, sharpness · (2 c·x − |c|²), so that a tensor on another scale, or with its channels
swapped, is nearer to another colour.
"""

from itertools import product
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

LEVELS = (-0.6, 0.0, 0.6)
SHARPNESS = 20.0


def main():
    centres = np.array(list(product(LEVELS, repeat=3)), np.float32)
    weight = numpy_helper.from_array((2 * SHARPNESS * centres.T).copy(), "dense/kernel")
    bias = numpy_helper.from_array(-SHARPNESS * (centres**2).sum(1), "dense/bias")
    nodes = [
        helper.make_node("ReduceMean", ["input_1"], ["mean"], "avg_pool", axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "dense/kernel"], ["product"], "dense/MatMul"),
        helper.make_node("Add", ["product", "dense/bias"], ["logits"], "dense/BiasAdd"),
        helper.make_node("Softmax", ["logits"], ["predictions"], "predictions/Softmax", axis=-1),
    ]
    image = helper.make_tensor_value_info("input_1", TensorProto.FLOAT, ["N", 299, 299, 3])
    scores = helper.make_tensor_value_info("predictions", TensorProto.FLOAT, ["N", len(centres)])
    graph = helper.make_graph(nodes, "colours", [image], [scores], [weight, bias])
    opsets = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=7, producer_name="tf2onnx")
    target = Path(__file__).resolve().parent / "article.onnx"
    target.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
