"""Models of keras.applications with weights that all matter, and freezing them; for the scripts beside it."""

import json
import os
import subprocess
import sys

SIDES = {
    "NASNetMobile": 224, "NASNetLarge": 331, "InceptionV3": 139, "InceptionResNetV2": 139, "Xception": 111,
}
FIXED = {"NASNetMobile", "NASNetLarge"}


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


def build(keras, name, native=False):
    """The model, with small images unless `native`, and without its softmax."""
    side = SIDES.get(name, 96)
    options = {"weights": None, "classifier_activation": None}
    if name not in FIXED and not native:
        options["input_shape"] = (side, side, 3)
    return getattr(keras.applications, name)(**options)


# A process counts the memory of the one that it was forked from as its own, so a small one stands
# between.
BETWEEN = """
import json, os, sys, time
start = time.time()
child = os.spawnv(os.P_NOWAIT, sys.argv[2], sys.argv[2:])
_, status, used = os.wait4(child, 0)
row = {"seconds": time.time() - start, "processor": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss * 1024}
json.dump(row | {"code": os.waitstatus_to_exitcode(status)}, open(sys.argv[1], "w"))
"""


def measured(command, folder):
    """Output, errors, and a dictionary: exit code, seconds, seconds of the processor, most bytes of memory."""
    said = os.path.join(folder, "measured.json")
    between = [sys.executable, "-S", "-E", "-c", BETWEEN, said]
    done = subprocess.run(between + command, capture_output=True, text=True)
    return done.stdout, done.stderr, json.load(open(said))


def freeze(linnaeus, path, frozen, folder):
    """The report or the refusal, and what it took."""
    command = [os.path.abspath(linnaeus), "freeze", path, "-o", frozen, "--bare", "--json"]
    out, refused, used = measured(command, folder)
    if used["code"]:
        return None, refused.strip() or f"exit {used['code']}", used
    return json.loads(out), None, used
