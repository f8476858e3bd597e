"""Converts the same Keras files here and by the official routes, and runs what comes out side by side.

    pip install keras tensorflow-cpu tf_keras tf2onnx onnxruntime numpy
    python tests/keras/peers.py keras    --linnaeus target/release/linnaeus   # model.export, tf2onnx
    python tests/keras/peers.py tf_keras --linnaeus target/release/linnaeus   # tf2onnx.from_keras

Each converter is a process of its own, from the file to the file, as a person would run it. A route
counts as right when ONNX Runtime loads its file and no score differs by more than 1e-3 of their
spread from Keras's own. Speed is processor time for one image on one thread, the routes in turns,
and their medians; other programs on the machine make it less exact, so a few percent are noise.
"""

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
from applications import build, freeze, measured, with_random_weights

MODELS = {
    "keras": [
        "digits", "tutorial", "transformer", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "MobileNet", "EfficientNetB0",
        "NASNetMobile", "EfficientNetV2B0", "DenseNet121", "ResNet50", "ResNet50V2", "InceptionV3", "Xception", "ConvNeXtTiny",
        "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetV2B1", "EfficientNetV2S", "DenseNet169", "DenseNet201",
        "ResNet101", "ResNet101V2", "InceptionResNetV2", "ConvNeXtSmall", "VGG16",
    ],
    "tf_keras": [
        "tutorial", "MobileNetV2", "MobileNetV3Small", "RegNetX002", "RegNetY004", "EfficientNetB0", "DenseNet121", "ResNet50", "InceptionV3",
        "ResNetRS50", "ConvNeXtTiny", "Xception",
    ],
}
ROUTES = {"keras": ["export", "tf2onnx"], "tf_keras": ["from_keras"]}
RUNS = 15


def tutorial(keras):
    """The classifier of TensorFlow's tutorial on images."""
    l = keras.layers
    return keras.Sequential([
        keras.Input((180, 180, 3)), l.RandomFlip("horizontal"), l.RandomRotation(0.1), l.RandomZoom(0.1), l.Rescaling(1 / 255),
        l.Conv2D(16, 3, padding="same", activation="relu"), l.MaxPooling2D(), l.Conv2D(32, 3, padding="same", activation="relu"),
        l.MaxPooling2D(), l.Conv2D(64, 3, padding="same", activation="relu"), l.MaxPooling2D(), l.Dropout(0.2), l.Flatten(),
        l.Dense(128, activation="relu"), l.Dense(5),
    ])


def transformer(keras):
    """A vision transformer of four blocks."""
    l = keras.layers
    photo = keras.Input((96, 96, 3))
    x = l.Reshape((36, 192))(l.Conv2D(192, 16, strides=16)(l.Rescaling(1 / 255)(photo)))
    for _ in range(4):
        y = l.LayerNormalization(epsilon=1e-6)(x)
        x = l.Add()([x, l.MultiHeadAttention(4, 48)(y, y)])
        y = l.Dense(768, activation="gelu")(l.LayerNormalization(epsilon=1e-6)(x))
        x = l.Add()([x, l.Dropout(0.1)(l.Dense(192)(y))])
    return keras.Model(photo, l.Dense(10)(l.GlobalAveragePooling1D()(l.LayerNormalization(epsilon=1e-6)(x))))


def digits(keras):
    here = os.path.dirname(os.path.abspath(__file__))
    return keras.models.load_model(os.path.join(here, "../../examples/digits/digits.keras"))


OWN = {"tutorial": tutorial, "transformer": transformer, "digits": digits}


def imported(family):
    if family == "tf_keras":
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        import tf_keras as keras
    else:
        import keras
    return keras


def convert(family, route, path, out):
    """What a person writes to convert a file, in this process."""
    keras = imported(family)
    import tensorflow as tf

    model = keras.models.load_model(path, compile=False)
    # Without it, `export` says that the model was never called.
    model.predict(np.zeros((1,) + tuple(model.input_shape[1:]), "float32"), verbose=0)
    if route == "export":
        model.export(out, format="onnx", verbose=False)
        return
    import tf2onnx

    signature = [tf.TensorSpec((None,) + tuple(model.input_shape[1:]), tf.float32, name="photo")]
    if route == "from_keras":
        tf2onnx.convert.from_keras(model, signature, output_path=out)
        return
    function = tf.function(lambda photo: model(photo, training=False), input_signature=signature)
    tf2onnx.convert.from_function(function, signature, output_path=out)


def by_peer(family, route, path, out, folder):
    command = [sys.executable, os.path.abspath(__file__), family, "--convert", route, path, out]
    said, errors, used = measured(command, folder)
    row = {"seconds": round(used["seconds"], 1), "peak": used["peak"]}
    if used["code"] or not os.path.exists(out):
        lines = (said + errors).strip().splitlines()
        row["failed"] = (lines[-1] if lines else f"exit {used['code']}")[:160]
    return row


def session(path):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def answer(opened, images):
    return opened.run(None, {opened.get_inputs()[0].name: images})[0]


def timed(opened, image):
    """Medians of the processor's milliseconds for one image, in turns."""
    times = {route: [] for route in opened}
    for turn in range(RUNS):
        # Each is first as often as the others: who comes first finds the caches cold.
        order = list(opened)
        for route in order[turn % len(order):] + order[: turn % len(order)]:
            start = time.process_time()
            answer(opened[route], image)
            times[route].append((time.process_time() - start) * 1e3)
    return {route: statistics.median(found[2:]) for route, found in times.items()}


def compare(keras, name, options, folder):
    rng = np.random.default_rng(1)
    model = OWN[name](keras) if name in OWN else build(keras, name, native=True)
    row = {"model": name, "parameters": int(model.count_params()), "routes": {}}
    if name != "digits":
        with_random_weights(model, rng)
        images = (rng.random((4,) + tuple(model.input_shape[1:])) * 255).astype("float32")
        model(images, training=True)
    images = (rng.random((2,) + tuple(model.input_shape[1:])) * 255).astype("float32")
    expected = np.asarray(model(images, training=False))
    path = os.path.join(folder, "model." + ("keras" if options.family == "keras" else "h5"))
    model.save(path)
    row["source_bytes"] = os.path.getsize(path)
    del model
    keras.backend.clear_session()
    gc.collect()
    files = {route: os.path.join(folder, route + ".onnx") for route in ["ours"] + ROUTES[options.family]}
    _, refusal, used = freeze(options.linnaeus, path, files["ours"], folder)
    row["routes"]["ours"] = {"seconds": round(used["seconds"], 2), "peak": used["peak"]} | ({"failed": refusal} if refusal else {})
    for route in ROUTES[options.family]:
        row["routes"][route] = by_peer(options.family, route, path, files[route], folder)
    opened = {}
    for route, result in row["routes"].items():
        if "failed" in result:
            continue
        try:
            opened[route] = session(files[route])
            found = answer(opened[route], images)
        except Exception as error:
            opened.pop(route, None)
            result["failed"] = "ONNX Runtime: " + str(error).splitlines()[0][:160]
            continue
        result["share"] = float(np.abs(found - expected).max() / max(1.0, float(expected.std())))
        result["bytes"] = os.path.getsize(files[route])
        if found.argmax(1).tolist() != expected.argmax(1).tolist():
            result["failed"] = "another best class"
    for route, milliseconds in timed(opened, images[:1]).items():
        row["routes"][route]["milliseconds"] = round(milliseconds, 3)
    return row


def shown(row, routes):
    cells = [f"{row['model']} ({row['parameters'] / 1e6:.1f} M)"]
    ours = row["routes"]["ours"].get("milliseconds")
    for route in routes:
        result = row["routes"][route]
        if "failed" in result:
            cells.append(f"**no**: {result['failed'][:90]} ({result['seconds']} s)")
            continue
        times = f", {result['milliseconds'] / ours:.2f} × ours" if ours and route != "ours" else ""
        cells.append(
            f"{result['share']:.0e}; {result['milliseconds']:.1f} ms{times}; "
            f"{result['seconds']} s, {result['peak'] / row['source_bytes']:.1f} × the file"
        )
    return "| " + " | ".join(cells).replace("\n", " ") + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("family", choices=["keras", "tf_keras"])
    parser.add_argument("--linnaeus", default="target/release/linnaeus")
    parser.add_argument("--only", nargs="*", help="names of models")
    parser.add_argument("--log", help="append one JSON object per model, and skip those that are in it")
    parser.add_argument("--convert", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.convert:
        return convert(options.family, *options.convert)
    keras = imported(options.family)
    done = {}
    if options.log and os.path.exists(options.log):
        done = {row["model"]: row for row in map(json.loads, open(options.log))}
    routes = ["ours"] + ROUTES[options.family]
    print("| model | " + " | ".join(routes) + " |\n|" + "---|" * (len(routes) + 1))
    counts = {route: 0 for route in routes}
    for name in options.only or MODELS[options.family]:
        row = done.get(name)
        if row is None:
            with tempfile.TemporaryDirectory() as folder:
                row = compare(keras, name, options, folder)
            keras.backend.clear_session()
            if options.log:
                with open(options.log, "a") as log:
                    log.write(json.dumps(row) + "\n")
        for route, result in row["routes"].items():
            counts[route] += "failed" not in result and result["share"] <= 1e-3
        print(shown(row, routes), flush=True)
    print("right: " + ", ".join(f"{route} {count}" for route, count in counts.items()))


main()
