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
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime
from applications import build, freeze, leaves, with_random_weights

onnxruntime.set_default_logger_severity(3)

def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("family", choices=["keras", "tf_keras"])
    parser.add_argument("--linnaeus", default="target/release/linnaeus")
    parser.add_argument("--only", nargs="*", help="names of models")
    parser.add_argument("--most-parameters", type=float, default=1e12, help="leave out larger models")
    parser.add_argument("--format", choices=["keras", "h5"], help="default: keras for keras, h5 for tf_keras")
    parser.add_argument("--log", help="append one JSON object per model, and skip those that are in it")
    return parser.parse_args()


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
        answer = np.asarray(model(images.astype("float64"), training=False))
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
    expected = np.asarray(model(images[:2], training=False))
    ending = options.format or ("keras" if options.family == "keras" else "h5")
    path, frozen = os.path.join(folder, "model." + ending), os.path.join(folder, "model.onnx")
    model.save(path)
    weights = [np.asarray(weight) for weight in model.get_weights()]
    del model
    keras.backend.clear_session()
    gc.collect()
    report, refusal, used = freeze(options.linnaeus, path, frozen, folder)
    if refusal:
        return {"model": name, "refused": refusal}
    session = onnxruntime.InferenceSession(frozen, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: images[:2]})[0]
    del session
    difference, spread = float(np.abs(found - expected).max()), float(expected.std())
    row = {
        "model": name, "parameters": parameters, "difference": difference, "spread": spread,
        "top1": bool((found.argmax(1) == expected.argmax(1)).all()),
        "nodes": report["nodes"], "transposes": report["transposes"],
        "batch_normalisations": report["folded"]["batch_normalisations"],
        "seconds": round(used["seconds"], 2), "processor": round(used["processor"], 2), "peak": used["peak"], "bytes": os.path.getsize(frozen), "source_bytes": os.path.getsize(path),
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
        f"| {row['nodes']} | {row['transposes']} | {row['seconds']} s, {row['processor']} s of a processor "
        f"| {row['peak'] / row['source_bytes']:.1f} × the file | {'yes' if row['pass'] else 'NO'} |"
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
    print("| model | parameters | difference | spread | share | to f64: Keras / ours | top-1 | nodes | transposes | freezing | memory | passes |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
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
