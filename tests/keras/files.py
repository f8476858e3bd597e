"""Freezes Keras files and SavedModel folders of others and compares each with Keras itself.

    python tests/keras/files.py FILE... --linnaeus target/release/linnaeus

Each is opened by the first of tf_keras, keras and TensorFlow's own loader that can, and fed noise.
"""

import argparse
import os
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
import tf_keras

onnxruntime.set_default_logger_severity(3)


def opened(path):
    """The model as a function, and who opened it."""
    reasons = []
    for name, load in [("tf_keras", tf_keras.models.load_model), ("keras", keras.models.load_model)]:
        try:
            model = load(path, compile=False)
            return (lambda x: np.asarray(model.predict(x, verbose=0))), name
        except Exception as error:
            reasons.append(f"{name}: {str(error).splitlines()[0][:80]}")
    if os.path.isdir(path):
        try:
            signature = tf.saved_model.load(path).signatures["serving_default"]
            key = list(signature.structured_input_signature[1])[0]
            return (lambda x: list(signature(**{key: tf.constant(x)}).values())[0].numpy()), "saved_model"
        except Exception as error:
            reasons.append(f"saved_model: {str(error).splitlines()[0][:80]}")
    return None, "; ".join(reasons)


def compare(linnaeus, path):
    with tempfile.TemporaryDirectory() as folder:
        frozen = os.path.join(folder, "model.onnx")
        done = subprocess.run([linnaeus, "freeze", path, "-o", frozen, "--bare"], capture_output=True, text=True)
        if done.returncode:
            return "refused: " + done.stderr.strip().splitlines()[0][:150]
        session = onnxruntime.InferenceSession(frozen, providers=["CPUExecutionProvider"])
        given = session.get_inputs()[0]
        shape = [side if isinstance(side, int) else (8 if at == 0 else 96) for at, side in enumerate(given.shape)]
        rng = np.random.default_rng(3)
        model, opener = opened(path)
        if model is None:
            return f"frozen; Keras itself cannot open it: {opener}"
        worst, same, spread = 0.0, 0, 0.0
        for scale, shift in [(2, -1), (1, 0), (255, 0)]:
            x = (rng.random(shape) * scale + shift).astype("float32")
            expected, found = model(x), session.run(None, {given.name: x})[0]
            if expected.shape != found.shape:
                return f"DIFFERS in shape: {expected.shape}, {found.shape}"
            worst = max(worst, float(np.abs(expected - found).max()))
            spread = max(spread, float(expected.std()))
            same += int((expected.argmax(-1) == found.argmax(-1)).all())
        verdict = "equal" if worst <= 1e-4 * max(1.0, spread) and same == 3 else "DIFFERS"
        return f"{verdict}: difference {worst:.1e} of a spread of {spread:.2g}, by {opener}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--linnaeus", default="target/release/linnaeus")
    options = parser.parse_args()
    results = []
    for path in options.files:
        results.append(compare(options.linnaeus, path))
        print(f"| {os.path.basename(path.rstrip('/'))} | {results[-1]} |", flush=True)
    sys.exit(any("DIFFERS" in result for result in results))


main()
