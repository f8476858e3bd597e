"""Freezes TensorFlow graphs and SavedModels of others and compares each with TensorFlow itself.

    python tests/tensorflow/graphs.py FILE... --linnaeus target/release/linnaeus
    python tests/tensorflow/graphs.py --applications MobileNetV2 ResNet50 --linnaeus ...

Each gets noise of three ranges. `--applications` makes frozen graphs and exported folders of models
of keras.applications with random weights and real statistics in their batch normalisations.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

onnxruntime.set_default_logger_severity(3)


def frozen_graph(path):
    """The graph of a file as a function, with the shape of its input."""
    definition = tf.compat.v1.GraphDef()
    with open(path, "rb") as file:
        definition.ParseFromString(file.read())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    operations = graph.get_operations()
    given = next(o for o in operations if o.type == "Placeholder").outputs[0]
    silent = ["Const", "NoOp", "Placeholder"]
    ends = [o for o in operations if o.type not in silent and not any(t.consumers() for t in o.outputs)]
    answer = ends[-1].outputs[0]
    session = tf.compat.v1.Session(graph=graph)
    fixed = given.shape[0] if given.shape.rank else None

    def run(x):
        if fixed:
            return np.concatenate([session.run(answer, {given: one[None]}) for one in x])
        return session.run(answer, {given: x})

    return run


def saved_model(path):
    signature = tf.saved_model.load(path).signatures["serving_default"]
    key = list(signature.structured_input_signature[1])[0]
    return lambda x: list(signature(**{key: tf.constant(x)}).values())[0].numpy()


def without_layers(path):
    with open(path, "rb") as file:
        saved = saved_model_pb2.SavedModel.FromString(file.read())
    for graph in saved.meta_graphs:
        graph.ClearField("object_graph_def")
    with open(path, "wb") as file:
        file.write(saved.SerializeToString())


def compare(linnaeus, path, run=None):
    with tempfile.TemporaryDirectory() as folder:
        alone = path
        if os.path.isdir(path):
            # Without the description of its layers, as TensorFlow alone writes it.
            alone = shutil.copytree(path, os.path.join(folder, "alone"), copy_function=shutil.copyfile)
            os.chmod(alone, 0o755)
            if os.path.exists(os.path.join(alone, "keras_metadata.pb")):
                os.remove(os.path.join(alone, "keras_metadata.pb"))
            without_layers(os.path.join(alone, "saved_model.pb"))
        frozen = os.path.join(folder, "model.onnx")
        done = subprocess.run([linnaeus, "freeze", alone, "-o", frozen, "--bare"], capture_output=True, text=True)
        if done.returncode:
            return "refused: " + done.stderr.strip().splitlines()[0][:300]
        session = onnxruntime.InferenceSession(frozen, providers=["CPUExecutionProvider"])
        nodes = next(line for line in done.stdout.splitlines() if line.startswith("graph"))
        given = session.get_inputs()[0]
        shape = [side if isinstance(side, int) else (4 if at == 0 else 96) for at, side in enumerate(given.shape)]
        rng = np.random.default_rng(3)
        run = run or (saved_model(path) if os.path.isdir(path) else frozen_graph(path))
        worst, within, same = 0.0, 0, 0
        for scale, shift in [(2, -1), (1, 0), (255, 0)]:
            x = (rng.random(shape) * scale + shift).astype("float32")
            expected, found = run(x), session.run(None, {given.name: x})[0]
            if expected.shape != found.shape:
                return f"DIFFERS in shape: {expected.shape}, {found.shape}"
            spread = float(expected.std())
            gap = float(np.abs(expected - found).max())
            # What rounding makes of an image that the network was not made for: as TensorFlow shows itself.
            nudged = float(np.abs(run(x * np.float32(1 + 4 * 2**-23)) - expected).max())
            worst = max(worst, gap / max(spread, 1e-6))
            within += gap <= max(1e-4 * max(1.0, spread), 32 * nudged)
            same += int((expected.argmax(-1) == found.argmax(-1)).all())
        verdict = "equal" if within == 3 and same == 3 else "DIFFERS"
        return f"{verdict}: difference {worst:.1e} of the spread; {nodes[10:20]}"


def application(name, folder):
    """A model with random weights and statistics, its frozen graph and its exported folder."""
    keras.utils.set_random_seed(1)
    side = {"InceptionV3": 139, "NASNetMobile": 224, "Xception": 111}.get(name, 96)
    model = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), classifier_activation=None)
    rng = np.random.default_rng(0)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        if layer.gamma is not None:
            layer.gamma.assign(rng.uniform(0.6, 1.4, layer.gamma.shape))
        layer.beta.assign(rng.normal(0, 0.2, layer.beta.shape))
        layer.momentum = 0.0
    model(rng.random((8, side, side, 3)).astype("float32") * 2 - 1, training=True)
    exported = os.path.join(folder, name)
    model.export(exported, verbose=False)
    call = tf.function(lambda x: model(x, training=False))
    concrete = call.get_concrete_function(tf.TensorSpec([None, side, side, 3], tf.float32))
    graph = convert_variables_to_constants_v2(concrete).graph.as_graph_def()
    path = exported + ".pb"
    with open(path, "wb") as file:
        file.write(graph.SerializeToString())
    predict = lambda x: np.asarray(model(x, training=False))
    return [(path, predict), (exported, predict)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--applications", nargs="*", default=[])
    parser.add_argument("--linnaeus", default="target/release/linnaeus")
    options = parser.parse_args()
    results = []

    def tell(path, run=None):
        results.append(compare(options.linnaeus, path, run))
        name = "/".join(path.rstrip("/").split("/")[-2:])
        print(f"| {name} | {results[-1]} |", flush=True)

    for path in options.files:
        tell(path)
    for name in options.applications:
        with tempfile.TemporaryDirectory() as folder:
            for path, run in application(name, folder):
                tell(path, run)
    sys.exit(any("DIFFERS" in result for result in results))


main()
