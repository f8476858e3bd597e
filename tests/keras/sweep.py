"""Freezes every model of keras.applications and compares it with Keras itself.

    pip install keras tensorflow-cpu tf_keras onnxruntime numpy
    python tests/keras/sweep.py keras    --linnaeus target/release/linnaeus     # .keras of Keras 3
    python tests/keras/sweep.py tf_keras --linnaeus target/release/linnaeus     # .h5 of Keras 2

The weights are random and the statistics of batch normalisation those of real activations, so that
every array matters; the answers are compared before the softmax, which would hide differences. A
model passes when the best class is the same for every image and no score differs by more than
1e-4 of their spread. Deep networks amplify the rounding of f32 beyond that; those are computed in
f64 too, and pass when ONNX Runtime is at most eight times as far from it as Keras's own f32.
"""

import argparse
import gc
import inspect
import json
import os
import subprocess
import sys
import tempfile
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime

onnxruntime.set_default_logger_severity(3)

SIDES = {
    "NASNetMobile": 224, "NASNetLarge": 331, "InceptionV3": 139, "InceptionResNetV2": 139, "Xception": 111,
}
FIXED = {"NASNetMobile", "NASNetLarge"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("family", choices=["keras", "tf_keras"])
    parser.add_argument("--linnaeus", default="target/release/linnaeus")
    parser.add_argument("--only", nargs="*", help="names of models")
    parser.add_argument("--most-parameters", type=float, default=1e12, help="leave out larger models")
    parser.add_argument("--format", choices=["keras", "h5"], help="default: keras for keras, h5 for tf_keras")
    parser.add_argument("--log", help="append one JSON object per model, and skip those that are in it")
    return parser.parse_args()


def variable(weight):
    return weight.name.split("/")[-1].split(":")[0]


def leaves(model):
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaves(layer)
        else:
            yield layer


def with_random_weights(model, rng):
    """Arrays that all matter: no scale of 1, no shift of 0, no bias of 0."""
    for layer in leaves(model):
        kind = type(layer).__name__
        for weight in layer.weights:
            name, shape = variable(weight), tuple(weight.shape)
            if name == "gamma":
                low, high = (0.6, 1.4) if kind == "BatchNormalization" else (0.4, 1.2)
                weight.assign(rng.uniform(low, high, shape).astype("float32"))
            elif name == "beta":
                weight.assign(rng.normal(0, 0.2, shape).astype("float32"))
            elif name == "bias":
                weight.assign(rng.normal(0, 0.1, shape).astype("float32"))
            elif kind == "Normalization" and name == "mean":
                weight.assign(rng.uniform(0.3, 0.6, shape).astype("float32"))
            elif kind == "Normalization" and name == "variance":
                weight.assign(rng.uniform(0.04, 0.3, shape).astype("float32"))
        if kind == "BatchNormalization":
            # One call in training mode then leaves the statistics of its own batch.
            layer.momentum = 0.0
        if kind == "Normalization":
            layer.finalize_state()


def build(keras, name):
    side = SIDES.get(name, 96)
    options = {"weights": None, "classifier_activation": None}
    if name not in FIXED:
        options["input_shape"] = (side, side, 3)
    return getattr(keras.applications, name)(**options)


def in_f64(keras, name, weights, images):
    legacy = hasattr(keras, "mixed_precision") and hasattr(keras.mixed_precision, "set_global_policy")
    set_policy = keras.mixed_precision.set_global_policy if legacy else keras.config.set_dtype_policy
    keras.backend.set_floatx("float64")
    set_policy("float64")
    try:
        model = build(keras, name)
        model.set_weights(weights)
        for layer in leaves(model):
            if type(layer).__name__ == "Normalization":
                layer.finalize_state()
        answer = model.predict(images.astype("float64"), verbose=0)
        assert answer.dtype == "float64", answer.dtype
        return answer
    finally:
        keras.backend.set_floatx("float32")
        set_policy("float32")


def compare(keras, name, options, folder):
    rng = np.random.default_rng(1)
    model = build(keras, name)
    parameters = int(model.count_params())
    if parameters > options.most_parameters:
        return None
    with_random_weights(model, rng)
    images = (rng.random((4,) + tuple(model.input_shape[1:])) * 255).astype("float32")
    model(images, training=True)
    expected = model.predict(images[:2], verbose=0)
    ending = options.format or ("keras" if options.family == "keras" else "h5")
    path, frozen = os.path.join(folder, "model." + ending), os.path.join(folder, "model.onnx")
    model.save(path)
    weights = [np.asarray(weight) for weight in model.get_weights()]
    del model
    keras.backend.clear_session()
    gc.collect()
    start = time.time()
    command = [options.linnaeus, "freeze", path, "-o", frozen, "--bare", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.time() - start
    if done.returncode:
        return {"model": name, "refused": done.stderr.strip()}
    report = json.loads(done.stdout)
    session = onnxruntime.InferenceSession(frozen, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: images[:2]})[0]
    difference, spread = float(np.abs(found - expected).max()), float(expected.std())
    row = {
        "model": name, "parameters": parameters, "difference": difference, "spread": spread,
        "top1": bool((found.argmax(1) == expected.argmax(1)).all()),
        "nodes": report["nodes"], "transposes": report["transposes"],
        "batch_normalisations": report["folded"]["batch_normalisations"],
        "seconds": round(seconds, 2), "bytes": os.path.getsize(frozen), "source_bytes": os.path.getsize(path),
    }
    row["pass"] = row["top1"] and report["parameters"] == parameters
    if difference > 1e-4 * max(1.0, spread):
        exact = in_f64(keras, name, weights, images[:2])
        row["keras_f64"] = float(np.abs(expected - exact).max())
        row["ours_f64"] = float(np.abs(found - exact).max())
        row["pass"] &= row["ours_f64"] <= 8 * row["keras_f64"] + 1e-5
    return row


def shown(row):
    if "refused" in row:
        return f"| {row['model']} | refused: {row['refused'][:200]} |"
    exact = f"{row['keras_f64']:.1e} / {row['ours_f64']:.1e}" if "keras_f64" in row else ""
    return (
        f"| {row['model']} | {row['parameters'] / 1e6:.1f} M | {row['difference']:.1e} | {row['spread']:.2g} "
        f"| {row['difference'] / row['spread']:.0e} | {exact} | {'equal' if row['top1'] else 'DIFFERS'} "
        f"| {row['nodes']} | {row['transposes']} | {row['seconds']} s | {'yes' if row['pass'] else 'NO'} |"
    )


def main():
    options = arguments()
    if options.family == "tf_keras":
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        import tf_keras as keras
    else:
        import keras
    names = [n for n in dir(keras.applications) if inspect.isfunction(getattr(keras.applications, n))]
    done = {}
    if options.log and os.path.exists(options.log):
        done = {row["model"]: row for row in map(json.loads, open(options.log))}
    print("| model | parameters | difference | spread | share | to f64: Keras / ours | top-1 | nodes | transposes | freezing | passes |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    failed = 0
    for name in names:
        if options.only and name not in options.only:
            continue
        row = done.get(name)
        if row is None:
            with tempfile.TemporaryDirectory() as folder:
                row = compare(keras, name, options, folder)
            keras.backend.clear_session()
            gc.collect()
            if row is None:
                continue
            if options.log:
                with open(options.log, "a") as log:
                    log.write(json.dumps(row) + "\n")
        failed += not row.get("pass", False)
        print(shown(row), flush=True)
    print(f"{failed} failed", file=sys.stderr)
    sys.exit(failed > 0)


main()
