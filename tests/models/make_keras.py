"""Makes tests/models/keras.zip and tests/golden/keras.json.

    python make_keras.py      # keras 3.15.1, tensorflow-cpu 2.21.0, tf_keras 2.21.0

Every model has random weights from a fixed seed. The golden file is what Keras itself says of each:
layers, shapes, numbers of parameters, the first weights.
"""

import json
import os
import shutil
import sys
import tempfile
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow.core.protobuf import saved_model_pb2

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = tempfile.mkdtemp()
GOLDEN = os.path.join(HERE, "..", "golden", "keras.json")

golden = {
    "versions": {"keras": keras.__version__, "tf_keras": tf_keras.__version__, "tensorflow": tf.__version__},
    "models": {},
}


def is_model(layer):
    return isinstance(layer, (keras.Model, tf_keras.Model))


def parts(model):
    """Layers, and the operations of Keras 3 between them, which `layers` leaves out."""
    graph = isinstance(model, keras.Model) and not isinstance(model, keras.Sequential)
    return model.operations if graph else model.layers


def leaves(model, above=()):
    """Every layer that is no model, with the names of the models around it."""
    for layer in parts(model):
        if is_model(layer):
            yield from leaves(layer, above + (layer.name,))
        else:
            yield above + (layer.name,), layer


def shapes(shape):
    return [None if side is None else int(side) for side in shape]


def describe(model):
    described = []
    for path, layer in leaves(model):
        if type(layer).__name__ == "InputLayer":
            continue
        weights = [w for w in getattr(layer, "weights", []) if "seed" not in w.name]
        described.append({
            "path": list(path),
            "class": type(layer).__name__,
            "names": [w.name.split("/")[-1].split(":")[0] for w in weights],
            "shapes": [shapes(w.shape) for w in weights],
            "sums": [float(np.sum(np.asarray(w, dtype=np.float64))) for w in weights],
        })
    return {
        "name": model.name,
        "sequential": type(model).__name__ == "Sequential",
        "input_shape": shapes(model.input_shape),
        "output_shape": shapes(model.output_shape),
        "top_layers": [layer.name for layer in parts(model)],
        "params": int(model.count_params()),
        "leaves": described,
    }


def seeded(model):
    """Weights that differ everywhere, so that a mix-up shows in the sums."""
    rng = np.random.default_rng(7)
    for weight in model.weights:
        if "seed" in weight.name or "int" in str(weight.dtype):
            continue
        shape = tuple(weight.shape)
        weight.assign(rng.normal(size=shape).astype("float32") + len(shape))
    return model


def fed(k, model, layer):
    """Lowest and highest number that the layer gets of an image of zeros and one of 255s."""
    front = k.Model(model.input, model.get_layer(layer).input)
    shape = [2] + [16 if side is None else side for side in model.input_shape[1:]]
    images = np.zeros(shape, dtype="float32")
    images[1] = 255
    out = np.asarray(front(images))
    return [float(out.min()), float(out.max())]


def save(name, model, **options):
    path = os.path.join(MODELS, name)
    if hasattr(model, "optimizer"):
        model.optimizer = None
    model.save(path, **options)
    golden["models"][name] = describe(model)
    if any(part.name == "bn" for part in model.layers):
        k = keras if isinstance(model, keras.Model) else tf_keras
        if "lambda" not in name:
            golden["models"][name]["fed"] = fed(k, model, "conv")


def tail(k, x, classes=3):
    x = k.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(x)
    x = k.layers.BatchNormalization(name="bn")(x)
    x = k.layers.GlobalAveragePooling2D(name="pool")(x)
    return k.layers.Dense(classes, activation="softmax", name="probs")(x)


def functional(k, front, shape=(16, 12, 3), name="mine"):
    inputs = k.Input(shape, name="photo")
    return seeded(k.Model(inputs, tail(k, front(inputs)), name=name))


def sequential(k, shape=(28, 28, 1)):
    layers = k.layers
    model = k.Sequential([
        layers.InputLayer(shape) if k is tf_keras else k.Input(shape),
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        layers.MaxPooling2D(name="pool"),
        layers.Flatten(name="flat"),
        layers.Dropout(0.5, name="drop"),
        layers.Dense(10, name="logits"),
    ], name="digits")
    return seeded(model)


def base(k):
    """A base with a name of keras.applications and none of its layers, and one of each nesting."""
    inputs = k.Input((16, 12, 3), name="base_in")
    x = k.layers.Conv2D(4, 3, name="stem")(inputs)
    x = k.layers.BatchNormalization(name="stem_bn")(x)
    inner = k.Sequential([k.layers.Dense(4, name="a"), k.layers.Dense(5, name="b")], name="inner")
    return k.Model(inputs, inner(x), name="vgg16")


def nested(k, frozen):
    model_base = base(k)
    inputs = k.Input((16, 12, 3), name="photo")
    x = k.layers.RandomFlip("horizontal", name="flip")(inputs)
    x = k.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(x)
    x = model_base(x, training=False)
    x = k.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = k.layers.Dense(1, activation="sigmoid", name="cat")(x)
    model = seeded(k.Model(inputs, outputs, name="wrapper"))
    model_base.trainable = not frozen
    return model


def adapted(k):
    layer = k.layers.Normalization(axis=-1, name="normal")
    data = np.array([[[[120.0, 110.0, 100.0], [60.0, 70.0, 80.0]]]], dtype="float32")
    layer.adapt(data)
    inputs = k.Input((16, 12, 3), name="photo")
    model = k.Model(inputs, tail(k, layer(inputs)), name="mine")
    return model


def caffe(x):
    return keras.applications.imagenet_utils.preprocess_input(x, mode="caffe")


def mode_tf(x):
    return keras.applications.imagenet_utils.preprocess_input(x, mode="tf")


def make_keras_3():
    save("sequential.keras", sequential(keras))
    save("sequential_3.h5", sequential(keras))
    rescaling = lambda x: keras.layers.Rescaling(1 / 255, name="scale")(x)
    save("rescaling.keras", functional(keras, rescaling))
    save("normalization.keras", adapted(keras))
    save("normalization_3.h5", adapted(keras))
    save("mode_tf.keras", functional(keras, mode_tf))
    save("mode_tf_3.h5", functional(keras, mode_tf))
    save("mode_caffe.keras", functional(keras, caffe))
    save("mode_caffe_3.h5", functional(keras, caffe))
    save("nested.keras", nested(keras, frozen=True))
    save("nested_3.h5", nested(keras, frozen=False))
    resizing = lambda x: keras.layers.Resizing(16, 12, name="resize")(x)
    save("resizing.keras", functional(keras, resizing, shape=(None, None, 3)))
    keras.config.set_image_data_format("channels_first")
    inputs = keras.Input((3, 16, 12), name="photo")
    x = keras.layers.Rescaling(1 / 255, name="scale")(inputs)
    x = keras.layers.Conv2D(4, 3, data_format="channels_first", name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_first", name="pool")(x)
    save("channels_first.keras", seeded(keras.Model(inputs, keras.layers.Dense(3, name="logits")(x))))
    keras.config.set_image_data_format("channels_last")
    half = lambda x: keras.layers.Lambda(lambda t: t / 255 - 0.5, name="half")(x)
    save("lambda.keras", functional(keras, half))
    functional(keras, rescaling).save_weights(os.path.join(MODELS, "only_3.weights.h5"))


def make_tf_keras():
    save("sequential_2.h5", sequential(tf_keras))
    rescaling = lambda x: tf_keras.layers.Rescaling(1 / 255, name="scale")(x)
    save("rescaling_2.keras", functional(tf_keras, rescaling))
    two = lambda mode: lambda x: tf_keras.applications.imagenet_utils.preprocess_input(x, mode=mode)
    save("mode_tf_2.h5", functional(tf_keras, two("tf")))
    save("mode_caffe_2.h5", functional(tf_keras, two("caffe")))
    save("nested_2.h5", nested(tf_keras, frozen=False))
    save("nested_frozen_2.h5", nested(tf_keras, frozen=True))
    save("normalization_2.h5", adapted(tf_keras))
    functional(tf_keras, rescaling).save_weights(os.path.join(MODELS, "only_2.h5"))


def make_applications():
    """Architectures alone, and what preprocess_input makes of a pixel of 0, 128 and 255."""
    golden["applications"] = {}
    pixel = np.array([[[[0.0, 128.0, 255.0]]]], dtype="float32")
    for k, module, maker, options in [
        (keras, "vgg16", "VGG16", {}),
        (keras, "resnet", "ResNet50", {}),
        (keras, "resnet_v2", "ResNet50V2", {}),
        (keras, "inception_v3", "InceptionV3", {}),
        (keras, "xception", "Xception", {}),
        (keras, "mobilenet", "MobileNet", {"alpha": 0.25}),
        (keras, "mobilenet_v2", "MobileNetV2", {"alpha": 0.35}),
        (keras, "mobilenet_v3", "MobileNetV3Small", {}),
        (keras, "nasnet", "NASNetMobile", {}),
        (keras, "densenet", "DenseNet121", {}),
        (keras, "efficientnet", "EfficientNetB0", {}),
        (keras, "efficientnet_v2", "EfficientNetV2S", {}),
        (keras, "convnext", "ConvNeXtTiny", {}),
        (tf_keras, "vgg19", "VGG19", {}),
        (tf_keras, "resnet", "ResNet50", {}),
        (tf_keras, "mobilenet_v3", "MobileNetV3Small", {}),
        (tf_keras, "nasnet", "NASNetMobile", {}),
        (tf_keras, "regnet", "RegNetX002", {}),
        (tf_keras, "resnet_rs", "ResNetRS50", {}),
    ]:
        k.backend.clear_session()
        module = getattr(k.applications, module)
        model = getattr(k.applications, maker)(weights=None, **options)
        file = ("keras3_" if k is keras else "tf_keras_") + maker + ".json"
        with open(os.path.join(MODELS, file), "w") as out:
            json.dump(k.saving.serialize_keras_object(model), out, separators=(",", ":"))
        golden["applications"][file] = {
            "name": model.name,
            "input_shape": shapes(model.input_shape),
            "pixel": [float(x) for x in np.asarray(module.preprocess_input(pixel.copy())).ravel()],
        }


def make_folders():
    """Folders of a few files: an unzipped archive, and a SavedModel of Keras 2 without its graph."""
    archive = os.path.join(MODELS, "rescaling.keras")
    with zipfile.ZipFile(archive) as source:
        source.extractall(os.path.join(MODELS, "unzipped"))
        with zipfile.ZipFile(os.path.join(MODELS, "deflated.keras"), "w", zipfile.ZIP_DEFLATED) as out:
            for name in source.namelist():
                out.writestr(name, source.read(name))
    golden["models"]["unzipped"] = golden["models"]["rescaling.keras"]
    golden["models"]["deflated.keras"] = golden["models"]["rescaling.keras"]
    rescaling = lambda x: tf_keras.layers.Rescaling(1 / 255, name="scale")(x)
    model = functional(tf_keras, rescaling)
    folder = os.path.join(MODELS, "saved_model")
    model.save(folder, save_format="tf")
    golden["models"]["saved_model"] = describe(model)
    path = os.path.join(folder, "saved_model.pb")
    saved = saved_model_pb2.SavedModel.FromString(open(path, "rb").read())
    graph = saved.meta_graphs[0]
    golden["signatures"] = [
        {
            "tags": list(graph.meta_info_def.tags),
            "key": key,
            "method": s.method_name,
            "inputs": [tensor(k, s.inputs[k]) for k in sorted(s.inputs)],
            "outputs": [tensor(k, s.outputs[k]) for k in sorted(s.outputs)],
        }
        for key, s in sorted(graph.signature_def.items())
    ]
    # The graph is not read, and most of the size.
    graph.graph_def.Clear()
    graph.object_graph_def.Clear()
    open(path, "wb").write(saved.SerializeToString())
    for left in ["assets", "fingerprint.pb"]:
        path = os.path.join(folder, left)
        shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)


def tensor(key, info):
    shape = info.tensor_shape
    dims = None if shape.unknown_rank else [None if d.size < 0 else d.size for d in shape.dim]
    return {"key": key, "name": info.name, "dtype": DataType.Name(info.dtype), "shape": dims}


def pack():
    """One archive of everything: HDF5 is mostly zeros, so that a tenth of the size is left."""
    archive = os.path.join(HERE, "keras.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for folder, _, files in sorted(os.walk(MODELS)):
            for file in sorted(files):
                path = os.path.join(folder, file)
                name = zipfile.ZipInfo(os.path.relpath(path, MODELS), (2026, 1, 1, 0, 0, 0))
                name.compress_type = zipfile.ZIP_DEFLATED
                out.writestr(name, open(path, "rb").read())
    print(len(golden["models"]), "models,", os.path.getsize(archive), "bytes", file=sys.stderr)


make_keras_3()
make_tf_keras()
make_folders()
make_applications()
pack()
shutil.rmtree(MODELS)
with open(GOLDEN, "w") as out:
    json.dump(golden, out, separators=(",", ":"))
    out.write("\n")
