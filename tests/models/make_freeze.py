"""Makes tests/models/freeze.zip and tests/golden/freeze.json.

    python make_freeze.py           # keras 3.15.1, tensorflow-cpu 2.21.0, tf_keras 2.21.0, torch
    python make_freeze.py settings  # only those models, the others as they are

Small models of every kind of layer, each layer an output of its own, with random weights from a
fixed seed, and what Keras answers for two images. The images are `image()`, which the test
computes by itself. Convolutions with their channels first need torch, because TensorFlow has none
on processors; they are made by a second process.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

PART = sys.argv[1] if len(sys.argv) > 1 else "tensorflow"
ONLY, PART = (PART, "tensorflow") if PART == "settings" else (None, PART)
os.environ["KERAS_BACKEND"] = PART
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPE = (7, 9, 3)
MODELS = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()
golden = {}


def image(shape, images=2):
    """Numbers from -2 to 2 that no axis repeats."""
    count = images * int(np.prod(shape))
    places = (np.arange(count, dtype=np.int64) * 7919 + 13) % 1009
    return (places.astype("float32") / np.float32(252.25) - np.float32(2)).reshape((images,) + shape)


def seeded(model):
    rng = np.random.default_rng(11)
    for weight in model.weights:
        name = weight.name.split("/")[-1].split(":")[0]
        if "seed" in weight.name or "int" in str(weight.dtype) or name == "count":
            continue
        shape = tuple(weight.shape)
        if "variance" in name:
            values = rng.uniform(0.3, 2.0, shape)
        elif name in ("gamma", "alpha"):
            values = rng.uniform(0.3, 1.5, shape)
        else:
            values = rng.normal(0, 0.5, shape)
        weight.assign(values.astype("float32"))
    for layer in model.layers:
        if type(layer).__name__ == "Normalization":
            layer.finalize_state()
    return model


def outputs(k, branches, shape=SHAPE):
    """A model with one output for each branch."""
    inputs = k.Input(shape, name="photo")
    found = [branch(inputs) for branch in branches]
    return seeded(k.Model(inputs, found, name="mine"))


def save(name, model, files):
    shape = tuple(model.input_shape[1:])
    answers = model.predict(image(shape), verbose=0)
    answers = answers if isinstance(answers, list) else [answers]
    listed = [
        {"shape": list(np.shape(a)), "values": [float(f"{x:.7g}") for x in np.asarray(a, "float64").ravel()]}
        for a in answers
    ]
    for file in files:
        path = os.path.join(MODELS, file)
        if "." in file:
            model.save(path)
        else:
            model.save(path, save_format="tf")
            for left in ["assets", "fingerprint.pb"]:
                left = os.path.join(path, left)
                shutil.rmtree(left) if os.path.isdir(left) else os.path.exists(left) and os.remove(left)
        golden[file] = {"model": name, "input": list(shape), "parameters": int(model.count_params())}
    golden[name] = {"outputs": listed}


def convolutions(k):
    l = k.layers
    branches = []
    for padding in ("same", "valid"):
        for stride in (1, 2, 3):
            branches += [
                lambda x, p=padding, s=stride: l.Conv2D(2, 3, strides=s, padding=p)(x),
                lambda x, p=padding, s=stride: l.Conv2D(2, 2, strides=s, padding=p)(x),
                lambda x, p=padding, s=stride: l.DepthwiseConv2D(2, strides=s, padding=p, depth_multiplier=2)(x),
                lambda x, p=padding, s=stride: l.Conv2DTranspose(2, 3, strides=s, padding=p)(x),
                lambda x, p=padding, s=stride: l.Conv2DTranspose(2, 2, strides=s, padding=p)(x),
            ]
        branches += [
            lambda x, p=padding: l.Conv2D(2, 3, dilation_rate=2, padding=p, use_bias=False)(x),
            lambda x, p=padding: l.SeparableConv2D(2, 3, strides=2, padding=p, activation="relu")(x),
        ]
    branches += [
        lambda x: l.Conv2D(6, 3, groups=3)(x),
        lambda x: l.Conv2D(2, (1, 4), strides=(1, 2), padding="same")(x),
        lambda x: l.Conv2DTranspose(2, 3, strides=2, output_padding=1, padding="same")(x),
        lambda x: l.Conv1D(3, 3, strides=2, padding="same")(l.Reshape((63, 3))(x)),
        # What folding makes one of: padding, convolution, normalisation.
        lambda x: l.BatchNormalization(epsilon=0.02)(l.Conv2D(3, 3, strides=2)(l.ZeroPadding2D(((0, 1), (0, 1)))(x))),
        lambda x: l.BatchNormalization(scale=False)(l.DepthwiseConv2D(3, use_bias=False, padding="same")(x)),
        lambda x: l.BatchNormalization()(l.SeparableConv2D(3, 3)(x)),
        lambda x: l.BatchNormalization()(l.Conv2DTranspose(3, 3, strides=2, padding="same")(x)),
        lambda x: l.BatchNormalization()(l.Dense(4)(l.Flatten()(l.Conv2D(3, 3)(x)))),
        lambda x: l.BatchNormalization()(l.Activation("relu")(l.Conv2D(3, 3)(x))),
    ]
    return outputs(k, branches)


def activations(k):
    l = k.layers
    names = ["relu", "sigmoid", "tanh", "softmax", "softplus", "softsign", "elu", "selu", "exponential",
             "hard_sigmoid", "swish", "gelu", "mish", "relu6"]
    if k is keras:
        names += ["leaky_relu", "hard_silu", "log_softmax", "celu", "squareplus", "hard_tanh", "tanh_shrink",
                  "soft_shrink", "hard_shrink", "log_sigmoid"]
    branches = [lambda x, n=n: l.Conv2D(3, 2, strides=3, activation=n)(x) for n in names]
    small = lambda x: l.MaxPooling2D(3)(x)
    branches += [
        lambda x: l.ReLU(max_value=1.5)(small(x)),
        lambda x: l.ReLU(max_value=1.2, negative_slope=0.1, threshold=0.5)(small(x)),
        lambda x: l.ReLU(negative_slope=0.2)(small(x)),
        lambda x: l.LeakyReLU()(small(x)),
        lambda x: l.ELU(0.7)(small(x)),
        lambda x: l.PReLU()(small(x)),
        lambda x: l.PReLU(shared_axes=[1, 2])(l.Conv2D(3, 3)(x)),
        lambda x: l.PReLU()(l.Flatten()(small(l.Conv2D(3, 1)(x)))),
        lambda x: l.Softmax(axis=1)(small(x)),
        lambda x: l.Softmax()(l.Conv2D(3, 3, strides=3)(x)),
        lambda x: l.Softmax()(l.Flatten()(l.Conv2D(3, 3, strides=3)(x))),
    ]
    return outputs(k, branches)


def shapes(k):
    l = k.layers
    small = lambda x: l.Conv2D(4, 3, strides=2)(x)
    branches = [
        lambda x: l.Dense(3)(l.Flatten()(small(x))),
        lambda x: l.Flatten()(small(x)),
        lambda x: l.BatchNormalization()(l.Dropout(0.5)(l.Flatten()(small(x)))),
        lambda x: l.Dense(3)(small(x)),
        lambda x: l.Reshape((-1, 6))(small(x)),
        lambda x: l.Conv2D(2, 1)(l.Reshape((4, 3, 4))(small(x))),
        lambda x: l.Permute((3, 1, 2))(small(x)),
        lambda x: l.RepeatVector(3)(l.GlobalAveragePooling2D()(x)),
        lambda x: l.MaxPooling2D(3, strides=2, padding="same")(x),
        lambda x: l.AveragePooling2D((2, 3), padding="same")(x),
        lambda x: l.AveragePooling2D(2)(small(x)),
        lambda x: l.GlobalMaxPooling2D(keepdims=True)(x),
        lambda x: l.GlobalAveragePooling1D()(l.Reshape((21, 9))(x)),
        lambda x: l.MaxPooling1D(2)(l.Reshape((21, 9))(x)),
        lambda x: l.ZeroPadding2D(((0, 1), (2, 0)))(small(x)),
        lambda x: l.Cropping2D(((1, 0), (2, 1)))(x),
        lambda x: l.Add()([small(x), l.GlobalAveragePooling2D(keepdims=True)(small(x))]),
        lambda x: l.Multiply()([x, l.Reshape((1, 1, 3))(l.Dense(3, activation="sigmoid")(l.GlobalAveragePooling2D()(x)))]),
        lambda x: l.Average()([x, l.Conv2D(3, 1)(x), l.ReLU()(x)]),
        lambda x: l.Maximum()([x, l.Conv2D(3, 1)(x)]),
        lambda x: l.Minimum()([x, l.Conv2D(3, 1)(x)]),
        lambda x: l.Subtract()([x, l.Conv2D(3, 1)(x)]),
        lambda x: l.Dot(axes=-1)([l.GlobalAveragePooling2D()(x), l.GlobalMaxPooling2D()(x)]),
        lambda x: l.Concatenate()([small(x), small(x)]),
        lambda x: l.Concatenate(axis=1)([x, l.Conv2D(3, 1)(x)]),
        lambda x: l.Concatenate()([l.Flatten()(small(x)), l.GlobalAveragePooling2D()(x)]),
        lambda x: l.Add()([l.Flatten()(small(x)), l.Flatten()(small(x))]),
        lambda x: l.UpSampling2D((2, 1))(small(x)),
        lambda x: l.UpSampling2D((2, 3), interpolation="bilinear")(small(x)),
        lambda x: l.UpSampling2D(2, interpolation="bicubic")(small(x)),
        lambda x: l.Resizing(4, 5)(x),
        lambda x: l.Resizing(10, 11, interpolation="nearest")(x),
        lambda x: l.Resizing(5, 10, interpolation="bicubic")(x),
        lambda x: l.Resizing(4, 4, crop_to_aspect_ratio=True)(x),
        lambda x: l.CenterCrop(4, 5)(x),
        lambda x: l.CenterCrop(8, 6)(x),
        lambda x: l.TimeDistributed(l.Dense(2))(l.Reshape((21, 9))(x)),
        lambda x: l.TimeDistributed(l.Conv2D(2, 2))(l.Reshape((3, 3, 7, 3))(x)),
    ]
    return outputs(k, branches)


def normalisations(k):
    l = k.layers
    small = lambda x: l.Conv2D(4, 3, strides=2)(x)
    branches = [
        lambda x: l.BatchNormalization()(x),
        lambda x: l.BatchNormalization(axis=1)(x),
        lambda x: l.BatchNormalization(center=False, epsilon=0.1)(l.GlobalAveragePooling2D()(x)),
        lambda x: l.LayerNormalization(epsilon=1e-6)(small(x)),
        lambda x: l.LayerNormalization(axis=[1, 2, 3], center=False)(small(x)),
        lambda x: l.LayerNormalization(scale=False)(l.Flatten()(small(x))),
        lambda x: l.GroupNormalization(2)(small(x)),
        lambda x: l.UnitNormalization()(small(x)),
        lambda x: l.Rescaling(1 / 127.5, offset=-1)(x),
        lambda x: l.Rescaling([0.1, 0.2, 0.3], offset=[1.0, 2.0, 3.0])(l.Conv2D(3, 2)(x)),
        lambda x: l.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 3.0, 2.0])(x),
        lambda x: l.Normalization()(x),
        lambda x: l.Normalization(axis=None, mean=1.0, variance=4.0, invert=True)(x),
        lambda x: l.MultiHeadAttention(2, 4, value_dim=3)(*[l.Reshape((21, 9))(x)] * 2),
        lambda x: l.MultiHeadAttention(2, 4, output_shape=5, use_bias=False)(
            query=l.Reshape((21, 9))(x), value=l.Reshape((7, 27))(x), key=l.Reshape((7, 27))(l.ReLU()(x))),
    ]
    return outputs(k, branches)


def operations_3():
    ops, l = keras.ops, keras.layers
    branches = [
        lambda x: ops.relu(x / 2.0 - 1.0) * x,
        lambda x: 1.0 - x,
        lambda x: -x,
        lambda x: x**2,
        lambda x: ops.mean(l.Conv2D(3, 2)(x), axis=[1, 2]),
        lambda x: ops.max(x, axis=-1, keepdims=True),
        lambda x: ops.reshape(l.Conv2D(3, 2)(x), (-1, 24, 6)),
        lambda x: ops.concatenate([x, l.Conv2D(3, 1)(x)], -1),
        lambda x: ops.gelu(x),
        lambda x: ops.gelu(x, approximate=False),
        lambda x: ops.hard_sigmoid(x),
        lambda x: ops.silu(x),
        lambda x: x[:, 1:, ::2, :],
        lambda x: l.Conv2D(3, 2)(x)[:, 1:-1, ::-1, 1:],
        lambda x: l.Conv2D(3, 1)(x[..., ::-1]),
        lambda x: ops.image.resize(x, (8, 5)),
        lambda x: ops.transpose(x, [0, 2, 1, 3]),
        lambda x: ops.cast(x, "float32") / 255.0,
        lambda x: ops.normalize(x, axis=-1),
        lambda x: ops.clip(x, -1.0, 0.5),
        lambda x: ops.squeeze(ops.expand_dims(x, 1), 1),
        lambda x: ops.split(x, 3, axis=-1)[1],
        lambda x: ops.maximum(x, l.Conv2D(3, 1)(x)),
        lambda x: x + ops.mean(x, axis=[1, 2], keepdims=True),
        lambda x: keras.applications.imagenet_utils.preprocess_input(x, mode="caffe"),
        lambda x: keras.applications.imagenet_utils.preprocess_input(x, mode="tf"),
        lambda x: keras.applications.imagenet_utils.preprocess_input(x, mode="torch"),
    ]
    return outputs(keras, branches)


def operations_2(k, tf):
    l = k.layers
    branches = [
        lambda x: tf.nn.relu(tf.math.divide(x, 2.0) - 1.0) * x,
        lambda x: 1.0 - x,
        lambda x: -x,
        lambda x: x**2,
        lambda x: tf.reduce_mean(l.Conv2D(3, 2)(x), axis=[1, 2]),
        lambda x: tf.reshape(l.Conv2D(3, 2)(x), (-1, 24, 6)),
        lambda x: tf.concat([x, l.Conv2D(3, 1)(x)], -1),
        lambda x: tf.nn.gelu(x),
        lambda x: tf.nn.silu(x),
        lambda x: tf.nn.relu6(x + 3) / 6,
        lambda x: x[:, 1:, ::2, :],
        lambda x: l.Conv2D(3, 1)(x[..., ::-1]),
        lambda x: tf.image.resize(x, (8, 5)),
        lambda x: tf.transpose(x, [0, 2, 1, 3]),
        lambda x: tf.cast(x, tf.float32) / 255.0,
        lambda x: tf.math.l2_normalize(x, axis=-1),
        lambda x: tf.clip_by_value(x, -1.0, 0.5),
        lambda x: x + tf.reduce_mean(x, axis=[1, 2], keepdims=True),
        lambda x: k.applications.imagenet_utils.preprocess_input(x, mode="caffe"),
        lambda x: k.applications.imagenet_utils.preprocess_input(x, mode="tf"),
        lambda x: k.applications.imagenet_utils.preprocess_input(x, mode="torch"),
    ]
    return outputs(k, branches)


def grown(x, k):
    """An image that a constant makes of one pixel, in front of what has to know its size."""
    pixels = np.random.default_rng(7).uniform(-1, 1, (5, 6, 3)).astype("float32")
    return k.layers.Conv2D(2, 3, strides=2, padding="same")(k.layers.GlobalAveragePooling2D(keepdims=True)(x) + pixels)


def settings_3():
    """Operations and activations with other settings than the usual ones."""
    ops, a, l = keras.ops, keras.activations, keras.layers
    branches = [
        lambda x: a.relu(x, max_value=0.5),
        lambda x: a.relu(x, negative_slope=0.1, max_value=1.0, threshold=0.2),
        lambda x: ops.leaky_relu(x, negative_slope=0.33),
        lambda x: ops.elu(x, alpha=0.3),
        lambda x: ops.celu(x, alpha=0.3),
        lambda x: ops.squareplus(x, b=2),
        lambda x: ops.hard_shrink(x, threshold=0.3),
        lambda x: ops.soft_shrink(x, threshold=0.3),
        lambda x: ops.normalize(x, axis=1, epsilon=3.0),
        lambda x: ops.max(x, axis=[1, 2]),
        lambda x: ops.clip(x, -0.2, 0.3),
        lambda x: ops.image.resize(x, (4, 5), interpolation="nearest"),
        lambda x: grown(x, keras),
        lambda x: l.Conv2D(2, 3, activation=l.ReLU(max_value=0.5, negative_slope=0.1))(x),
        lambda x: l.Conv2D(2, 3, activation=l.LeakyReLU(0.07))(x),
    ]
    return outputs(keras, branches)


def settings_2(k, tf):
    l = k.layers
    branches = [
        lambda x: tf.nn.leaky_relu(x, alpha=0.33),
        lambda x: tf.nn.gelu(x, approximate=True),
        lambda x: tf.math.l2_normalize(x, axis=-1, epsilon=3.0),
        lambda x: k.activations.relu(x, max_value=0.5),
        lambda x: grown(x, k),
        lambda x: l.Conv2D(2, 3, activation=l.LeakyReLU(0.07))(x),
    ]
    return outputs(k, branches)


def nested(k):
    """A base that is used twice, in a model with augmentation, as transfer learning builds it."""
    l = k.layers
    deepest = k.Sequential([l.Dense(4, activation="relu"), l.Dense(3)], name="deepest")
    inputs = k.Input(SHAPE, name="base_in")
    x = l.BatchNormalization(name="bn")(l.Conv2D(3, 3, padding="same", name="conv")(inputs))
    base = k.Model(inputs, [deepest(x), x], name="base")
    shared = l.Conv2D(3, 2, name="shared")
    inputs = k.Input(SHAPE, name="photo")
    x = l.RandomFlip("horizontal")(inputs)
    x = l.RandomRotation(0.1)(x)
    first, second = base(x, training=False)
    third, fourth = base(l.Rescaling(0.5)(x), training=False)
    x = l.Concatenate()([shared(first), shared(second), shared(third), shared(fourth)])
    x = l.Dropout(0.3)(l.GlobalAveragePooling2D()(x))
    return seeded(k.Model(inputs, l.Dense(4, activation="softmax", name="classes")(x), name="wrapper"))


def chain(k):
    l = k.layers
    first = [l.InputLayer(SHAPE)] if k is not keras else [k.Input(SHAPE)]
    return seeded(k.Sequential(first + [
        l.Conv2D(4, 3, activation="relu"), l.MaxPooling2D(2), l.Dropout(0.2), l.Flatten(),
        l.Dense(5, activation="relu"), l.Dense(3, activation="softmax", name="probs"),
    ], name="digits"))


def policy(name):
    keras.config.set_dtype_policy(name)
    try:
        l = keras.layers
        inputs = keras.Input(SHAPE, name="photo")
        x = l.Conv2D(4, 3, activation="relu")(inputs)
        x = l.BatchNormalization()(x)
        x = l.GlobalAveragePooling2D()(x)
        return seeded(keras.Model(inputs, l.Dense(3, dtype="float32")(x), name="mine"))
    finally:
        keras.config.set_dtype_policy("float32")


def make_tensorflow():
    import tensorflow as tf
    import tf_keras

    make_settings()
    for make in (convolutions, activations, shapes, normalisations, nested, chain):
        save(make.__name__ + "_3", make(keras), [make.__name__ + "_3.keras"])
        keras.backend.clear_session()
        save(make.__name__ + "_2", make(tf_keras), [make.__name__ + "_2.h5"])
        tf_keras.backend.clear_session()
    save("nested_3h", nested(keras), ["nested_3.h5"])
    save("chain_3h", chain(keras), ["chain_3.h5"])
    save("nested_2k", nested(tf_keras), ["nested_2.keras"])
    tf_keras.backend.clear_session()
    save("operations_3", operations_3(), ["operations_3.keras", "operations_3.h5"])
    save("operations_2", operations_2(tf_keras, tf), ["operations_2.h5"])
    tf_keras.backend.clear_session()
    model = chain(tf_keras)
    save("chain_2s", model, ["saved_model"])
    path = os.path.join(MODELS, "saved_model", "saved_model.pb")
    from tensorflow.core.protobuf import saved_model_pb2
    saved = saved_model_pb2.SavedModel.FromString(open(path, "rb").read())
    saved.meta_graphs[0].graph_def.Clear()
    saved.meta_graphs[0].object_graph_def.Clear()
    open(path, "wb").write(saved.SerializeToString())
    for name in ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16"):
        save(name, policy(name), [name + ".keras", name + ".h5"])


def make_settings():
    import tensorflow as tf
    import tf_keras

    save("settings_3", settings_3(), ["settings_3.keras", "settings_3.h5"])
    save("settings_2", settings_2(tf_keras, tf), ["settings_2.h5"])
    tf_keras.backend.clear_session()


def make_torch():
    """Channels first."""
    keras.config.set_image_data_format("channels_first")
    l = keras.layers
    small = lambda x: l.Conv2D(4, 3, strides=2)(x)
    branches = [
        lambda x: l.Dense(3)(l.Flatten()(small(x))),
        lambda x: l.Flatten(data_format="channels_last")(small(x)),
        lambda x: l.BatchNormalization(axis=1)(small(x)),
        lambda x: l.DepthwiseConv2D(3, strides=2, padding="same")(x),
        lambda x: l.MaxPooling2D(2)(small(x)),
        lambda x: l.AveragePooling2D(2)(x),
        lambda x: l.GlobalAveragePooling2D()(x),
        lambda x: l.GlobalMaxPooling2D(keepdims=True)(x),
        lambda x: l.Concatenate(axis=1)([x, l.Conv2D(2, 1)(x)]),
        lambda x: l.ZeroPadding2D(1)(x),
        lambda x: l.Cropping2D(1)(x),
        lambda x: l.UpSampling2D(2)(x),
        lambda x: l.Rescaling(0.5)(x),
        lambda x: l.PReLU(shared_axes=[2, 3])(small(x)),
        lambda x: l.Softmax(axis=1)(small(x)),
    ]
    save("channels_first", outputs(keras, branches, (3, 7, 9)), ["channels_first.keras", "channels_first.h5"])


def pack():
    """One archive of everything, and one of the answers."""
    with zipfile.ZipFile(os.path.join(HERE, "freeze.zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for folder, _, files in sorted(os.walk(MODELS)):
            for file in sorted(files):
                path = os.path.join(folder, file)
                name = zipfile.ZipInfo(os.path.relpath(path, MODELS), (2026, 1, 1, 0, 0, 0))
                name.compress_type = zipfile.ZIP_DEFLATED
                out.writestr(name, open(path, "rb").read())
        name = zipfile.ZipInfo("golden.json", (2026, 1, 1, 0, 0, 0))
        name.compress_type = zipfile.ZIP_DEFLATED
        out.writestr(name, json.dumps(golden, separators=(",", ":")))
    print(len(golden), os.path.getsize(os.path.join(HERE, "freeze.zip")), "bytes", file=sys.stderr)


if ONLY:
    with zipfile.ZipFile(os.path.join(HERE, "freeze.zip")) as made:
        made.extractall(MODELS)
    golden = json.load(open(os.path.join(MODELS, "golden.json")))
    os.remove(os.path.join(MODELS, "golden.json"))
    make_settings()
    pack()
    shutil.rmtree(MODELS)
elif PART == "torch":
    make_torch()
    print(json.dumps(golden))
else:
    make_tensorflow()
    made = subprocess.run([sys.executable, __file__, "torch", MODELS], capture_output=True, text=True, check=True)
    golden.update(json.loads(made.stdout.strip().splitlines()[-1]))
    pack()
    shutil.rmtree(MODELS)
