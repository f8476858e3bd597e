"""Writes onnx.json: what the `onnx` package says of the models in ../models.

    python tests/models/make_models.py && python tests/golden/make_onnx.py

Made with onnx 1.23.2, numpy 2.4.6 and onnxruntime 1.31.1. The maps from what is fed to what the
first convolution gets are measured: ONNX Runtime runs the graph up to there on an image of zeros,
and on one with ones in a single channel for each channel.
"""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models"


def dims(value):
    found = []
    for dim in value.type.tensor_type.shape.dim:
        found.append(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None)
    return found


def values(found):
    return [[v.name, v.type.tensor_type.elem_type, dims(v)] for v in found]


def up_to_convolution(model):
    """The model cut before its first convolution, and the value that this gets."""
    nodes = list(model.graph.node)
    at = next(at for at, node in enumerate(nodes) if node.op_type == "Conv")
    end = nodes[at].input[0]
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.node[at:], cut.graph.output[:]
    read = {name for node in cut.graph.node for name in node.input}
    kept = [weight for weight in cut.graph.initializer if weight.name in read]
    del cut.graph.initializer[:]
    cut.graph.initializer.extend(kept)
    cut.graph.output.append(onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, None))
    return cut, end


def measured_map(model):
    """Factor and offset for each fed channel, and whether the order of the channels is reversed."""
    cut, end = up_to_convolution(model)
    image = model.graph.input[0]
    shape = [size if isinstance(size, int) and size else 1 for size in dims(image)]
    kind = onnx.helper.tensor_dtype_to_np_dtype(image.type.tensor_type.elem_type)
    axis = 1 if shape[1] == 3 else 3

    def run(channel):
        x = np.zeros(shape, kind)
        if channel is not None:
            np.moveaxis(x, axis, 0)[channel] = 1
        if end == image.name:
            return x[0, :, 0, 0].astype(np.float64)
        out = onnxruntime.InferenceSession(cut.SerializeToString()).run([end], {image.name: x})[0]
        return out[0, :, 0, 0].astype(np.float64)

    zero = run(None)
    matrix = np.stack([run(channel) - zero for channel in range(3)])
    place = np.abs(matrix).argmax(axis=1)
    return {
        "factor": [float(matrix[channel, place[channel]]) for channel in range(3)],
        "offset": [float(zero[place[channel]]) for channel in range(3)],
        "reversed": place.tolist() == [2, 1, 0],
    }


def describe(path):
    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    weights = {weight.name for weight in graph.initializer}
    operators = Counter((node.domain or "ai.onnx", node.op_type) for node in graph.node)
    widths = [onnx.helper.tensor_dtype_to_np_dtype(w.data_type).itemsize for w in graph.initializer]
    counts = [math.prod(weight.dims) for weight in graph.initializer]
    found = {
        "ir_version": model.ir_version,
        "producer": [model.producer_name, model.producer_version],
        "graph": graph.name,
        "opsets": [[opset.domain or "ai.onnx", opset.version] for opset in model.opset_import],
        "metadata": {entry.key: entry.value for entry in model.metadata_props},
        "inputs": values(v for v in graph.input if v.name not in weights),
        "outputs": values(graph.output),
        "parameters": sum(counts),
        "parameter_bytes": sum(n * width for n, width in zip(counts, widths)),
        "nodes": len(graph.node),
        "operators": [[*op, count] for op, count in sorted(operators.items())],
        "external": [w.name for w in graph.initializer if w.data_location == w.EXTERNAL],
    }
    if path.stem.startswith("inside_"):
        found["map"] = measured_map(model)
    return found


def main():
    found = {}
    for path in sorted(MODELS.glob("*.onnx")):
        if path.stem not in ("lfs_pointer", "not_a_model"):
            found[path.stem] = describe(path)
    lines = [f"{json.dumps(name)}: {json.dumps(model)}" for name, model in found.items()]
    (HERE / "onnx.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
