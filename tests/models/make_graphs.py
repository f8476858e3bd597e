"""Makes tests/models/graphs.zip.

    python make_graphs.py        # tensorflow-cpu 2.21.0, keras 3.15.1, tf_keras 2.21.0

Small TensorFlow graphs, frozen and in SavedModel folders, with random weights from a fixed seed, and
what TensorFlow answers for two images. The images are `image()`, which the test computes by itself.
Graphs with their channels first are not run, because TensorFlow has no such convolutions on
processors: their answers are those of the same graph with the channels last.
"""

import json
import os
import shutil
import tempfile
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import graph_util

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = tempfile.mkdtemp()
SHAPE = (8, 10, 3)
v1 = tf.compat.v1
golden = {}


def image(shape, images=2):
    """Numbers from -2 to 2 that no axis repeats."""
    count = images * int(np.prod(shape))
    places = (np.arange(count, dtype=np.int64) * 7919 + 13) % 1009
    return (places.astype("float32") / np.float32(252.25) - np.float32(2)).reshape((images,) + shape)


def say(file, shape, answers):
    listed = {
        name: {"shape": list(np.shape(a)), "values": [float(f"{x:.7g}") for x in np.asarray(a, "float64").ravel()]}
        for name, a in answers.items()
    }
    golden[file] = {"input": list(shape), "outputs": listed}


class Numbers:
    """Weights, the same ones for the same calls."""

    def __init__(self):
        self.rng = np.random.default_rng(5)

    def __call__(self, *shape, low=None, high=None):
        if low is not None:
            return self.rng.uniform(low, high, shape).astype("float32")
        return self.rng.normal(0, 0.5, shape).astype("float32")


def frozen(file, build, shape=SHAPE, batch=None, run=None, kind=tf.float32):
    """A frozen graph; each tensor that `build` returns is an output."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(kind, (batch,) + shape, name="photo")
        outputs = {name: tf.identity(value, name=name) for name, value in build(x, Numbers()).items()}
        # TensorFlow gives another name where an operation has the same in other letters.
        outputs = {value.op.name: value for value in outputs.values()}
        definition = graph.as_graph_def()
        if run is None:
            with v1.Session(graph=graph) as session:
                fed = image(shape)
                if batch:
                    parts = [session.run(outputs, {x: one[None]}) for one in fed]
                    answers = {name: np.concatenate([part[name] for part in parts]) for name in outputs}
                else:
                    answers = session.run(outputs, {x: fed})
        else:
            answers = run
    definition = graph_util.extract_sub_graph(definition, list(outputs))
    for node in definition.node:
        node.attr.pop("_output_shapes", None)
    with open(os.path.join(MODELS, file), "wb") as out:
        out.write(definition.SerializeToString())
    say(file, shape, answers)
    return answers


def plain(x, n):
    """Every operation for which a Keras layer may stand."""
    k = n(3, 3, 3, 4)
    outputs = {}
    for padding in ["SAME", "VALID"]:
        outputs[f"conv_{padding}"] = tf.nn.conv2d(x, k, [1, 2, 2, 1], padding)
        outputs[f"max_{padding}"] = tf.nn.max_pool2d(x, 3, 2, padding)
        outputs[f"mean_{padding}"] = tf.nn.avg_pool2d(x, 3, 2, padding)
        outputs[f"depthwise_{padding}"] = tf.nn.depthwise_conv2d(x, n(3, 3, 3, 2), [1, 1, 1, 1], padding)
        outputs[f"dilated_{padding}"] = tf.nn.conv2d(x, k, 1, padding, dilations=2)
    outputs["explicit"] = tf.nn.conv2d(x, k, 1, [[0, 0], [2, 0], [1, 3], [0, 0]])
    outputs["grouped"] = tf.nn.conv2d(x, n(3, 3, 1, 6), 1, "SAME")
    outputs["bias"] = tf.nn.bias_add(tf.nn.conv2d(x, k, 1, "SAME"), n(4))
    scale, shift, mean, variance = n(4, low=0.5, high=1.5), n(4), n(4), n(4, low=0.3, high=2)
    conv = tf.nn.conv2d(x, n(3, 3, 3, 4), 1, "SAME")
    outputs["fused"] = v1.nn.fused_batch_norm(conv, scale, shift, mean, variance, 1e-3, is_training=False)[0]
    inverse = tf.math.rsqrt(tf.constant(variance) + 1e-3) * scale
    outputs["parts"] = conv * inverse + (shift - mean * inverse)
    outputs["alone"] = v1.nn.fused_batch_norm(x, n(3), n(3), n(3), n(3, low=0.3, high=2), 1e-3, is_training=False)[0]
    for name in ["relu", "relu6", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "leaky_relu"]:
        outputs[name] = getattr(tf.nn, name)(x)
    outputs["leaky"] = tf.nn.leaky_relu(x, 0.3)
    for name in ["square", "exp", "negative", "abs", "erf"]:
        outputs[name] = getattr(tf.math, name)(x)
    outputs["gelu"] = tf.nn.gelu(x)
    outputs["roots"] = tf.sqrt(tf.square(x) + 1.0) + tf.math.rsqrt(tf.square(x) + 2.0)
    outputs["numbers"] = (2.0 - x * 0.5) / 3.0 + tf.maximum(x, 0.1) - tf.minimum(0.2, x)
    outputs["channels"] = (x - [1.0, 2.0, 3.0]) / [0.5, 2.0, 4.0]
    outputs["reciprocal"] = 1.0 / (tf.square(x) + 1.0)
    outputs["difference"] = tf.math.squared_difference(x, conv[..., :3])
    outputs["softmax"] = tf.nn.softmax(x)
    outputs["log_softmax"] = tf.nn.log_softmax(x)
    outputs["response"] = tf.nn.lrn(conv, 1, 1.5, 0.3, 0.75)
    return outputs


def shapes(x, n):
    """Operations that move numbers, and shapes computed in the graph."""
    conv = tf.nn.conv2d(x, n(3, 3, 3, 4), 2, "SAME")
    batch = tf.shape(conv)[0]
    flat = tf.reshape(conv, tf.stack([batch, 4 * 5 * 4]))
    pooled = tf.reduce_mean(conv, [1, 2])
    outputs = {
        "flat": flat,
        "dense": tf.nn.bias_add(tf.matmul(flat, n(80, 6)), n(6)),
        "turned": tf.matmul(pooled, n(5, 4), transpose_b=True) + n(5),
        "minus": tf.reshape(conv, [-1, 80]) @ n(80, 3),
        "product": tf.reshape(conv, tf.concat([tf.shape(conv)[:1], [tf.reduce_prod(tf.shape(conv)[1:])]], 0)) @ n(80, 2),
        "kept": tf.reduce_mean(conv, [1, 2], keepdims=True),
        "gate": conv * tf.sigmoid(tf.nn.conv2d(tf.reduce_mean(conv, [1, 2], keepdims=True), n(1, 1, 4, 4), 1, "SAME")),
        "pixel": tf.squeeze(tf.nn.conv2d(tf.reduce_mean(conv, [1, 2], keepdims=True), n(1, 1, 4, 5), 1, "SAME"), [1, 2]),
        "largest": tf.reduce_max(x, [1, 2]),
        "sums": tf.reduce_sum(x, 3),
        "least": tf.reduce_min(x, [-1], keepdims=True),
        "joined": tf.concat([conv, tf.nn.max_pool2d(x, 2, 2, "SAME")], 3),
        "joined_rows": tf.concat([x, x * 2.0], 1),
        "padded": tf.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]]),
        "padded_channels": tf.pad(x, [[0, 0], [0, 0], [0, 0], [1, 1]]),
        "padded_number": tf.pad(conv, [[0, 0], [1, 1], [2, 0], [0, 0]], constant_values=-1.5),
        "mirrored": tf.pad(conv, [[0, 0], [1, 1], [2, 0], [0, 0]], "REFLECT"),
        "padded_conv": tf.nn.conv2d(tf.pad(x, [[0, 0], [1, 0], [0, 1], [0, 0]]), n(3, 3, 3, 4), 2, "VALID"),
        "part": conv[:, 1:3, ::2, -1],
        "bgr": x[..., ::-1],
        "reversed": tf.reverse(x, [-1]),
        "there_and_back": tf.transpose(tf.nn.relu(tf.transpose(conv, [0, 3, 1, 2])), [0, 2, 3, 1]),
        "moved": tf.transpose(conv, [0, 2, 1, 3]),
        "stacked": tf.stack([pooled, pooled * 2.0], 1),
        "wider": tf.expand_dims(pooled, 2),
        "split": tf.split(conv, 2, 3)[1],
        "summed": tf.add_n([pooled, pooled, n(1, 4) * pooled]),
        "attention": tf.matmul(tf.nn.softmax(tf.matmul(tf.reshape(conv, [-1, 20, 4]), tf.reshape(conv, [-1, 20, 4]), transpose_b=True)), tf.reshape(conv, [-1, 20, 4])),
        "filled": conv + tf.fill([4], 0.5),
        "folded": conv * tf.reshape(tf.transpose(tf.constant(n(2, 2))), [1, 1, 1, 4]) + tf.squeeze(tf.constant(n(1, 4))),
    }
    for name, corners, half in [("corners", True, False), ("half", False, True), ("upper", False, False)]:
        size = tf.shape(x)[1:3] * 2
        outputs[f"bilinear_{name}"] = tf.raw_ops.ResizeBilinear(images=x, size=size, align_corners=corners, half_pixel_centers=half)
        outputs[f"nearest_{name}"] = tf.raw_ops.ResizeNearestNeighbor(images=x, size=[5, 17], align_corners=corners, half_pixel_centers=half)
    blocks = tf.space_to_batch_nd(x, [2, 2], [[2, 2], [2, 2]])
    outputs["spread"] = tf.batch_to_space(tf.nn.conv2d(blocks, n(3, 3, 3, 4), 1, "VALID"), [2, 2], [[0, 0], [0, 0]])
    blocks = tf.space_to_batch_nd(x, [3, 3], [[3, 4], [3, 5]])
    deep = tf.nn.depthwise_conv2d(blocks, n(3, 3, 3, 1), [1, 1, 1, 1], "VALID")
    outputs["spread_deep"] = tf.batch_to_space(deep, [3, 3], [[0, 1], [0, 2]])
    for padding, size in [("SAME", (16, 20)), ("SAME", (15, 19)), ("VALID", (17, 21)), ("VALID", (18, 22))]:
        grown = tf.nn.conv2d_transpose(x, n(3, 3, 4, 3), [tf.shape(x)[0], *size, 4], 2, padding)
        outputs[f"transposed_{padding}_{size[0]}"] = grown
    return outputs


def training(x, n):
    """What only training needs, switched off."""
    phase = v1.placeholder_with_default(False, (), name="keras_learning_phase")
    dropped = v1.cond(phase, lambda: x * 100.0, lambda: x * 1.0)
    keep = v1.cond(tf.constant(True), lambda: dropped + 1.0, lambda: dropped - 1.0)
    with tf.control_dependencies([v1.assert_greater(tf.reduce_sum(x), -1e9)]):
        logits = tf.reshape(tf.identity(keep), [-1, 240]) @ n(240, 4)
    return {"scores": tf.nn.softmax(logits), "class": tf.argmax(logits, 1)}


def decoder(file):
    """A graph that decodes files, as retrained ones of 2016 did; fed behind the subtraction."""
    with tf.Graph().as_default() as graph:
        n = Numbers()
        contents = v1.placeholder(tf.string, (), name="contents")
        x = tf.expand_dims(tf.cast(tf.image.decode_jpeg(contents, channels=3, name="DecodeJpeg"), tf.float32), 0)
        x = tf.subtract(v1.image.resize_bilinear(x, SHAPE[:2]), 128.0, name="Sub")
        y = tf.nn.relu(tf.nn.conv2d(x * (1 / 128), n(3, 3, 3, 4), 2, "SAME"))
        scores = tf.nn.softmax(tf.reshape(y, [-1, 80]) @ n(80, 3), name="scores")
        with v1.Session(graph=graph) as session:
            answer = np.concatenate([session.run(scores, {x: one[None]}) for one in image(SHAPE)])
        with open(os.path.join(MODELS, file), "wb") as out:
            out.write(graph.as_graph_def().SerializeToString())
    say(file, SHAPE, {"scores": answer})


def small(first):
    """A small classifier with its channels first or last."""

    def build(x, n):
        form, axis = ("NCHW", 1) if first else ("NHWC", 3)
        side = lambda a, b: [1, 1, a, b] if first else [1, a, b, 1]
        pads = [[0, 0], [0, 0], [1, 2], [0, 1]] if first else [[0, 0], [1, 2], [0, 1], [0, 0]]
        y = tf.nn.conv2d(x, n(3, 3, 3, 4), side(1, 2), "SAME", data_format=form)
        y = tf.nn.bias_add(y, n(4), data_format=form)
        y = tf.nn.relu(v1.nn.fused_batch_norm(y, n(4), n(4), n(4), n(4, low=0.3, high=2), 1e-3, form, False)[0])
        y = tf.nn.depthwise_conv2d(y, n(3, 3, 4, 2), side(1, 1), "SAME", data_format=form)
        y = tf.nn.conv2d(y, n(3, 3, 8, 4), side(1, 1), pads, data_format=form)
        y = tf.nn.max_pool2d(y, side(2, 2), side(2, 2), "SAME", data_format=form)
        y = tf.concat([y, tf.nn.relu(y)], axis)
        return {"scores": tf.nn.softmax(tf.reduce_mean(y, [2, 3] if first else [1, 2]) @ n(8, 3))}

    return build


def saved(folder, run, shape=SHAPE):
    """What a folder answers; its description of layers lies beside it."""
    path = os.path.join(MODELS, folder)
    if os.path.exists(os.path.join(path, "keras_metadata.pb")):
        os.replace(os.path.join(path, "keras_metadata.pb"), path + ".metadata")
    name = os.path.join(path, "saved_model.pb")
    with open(name, "rb") as file:
        proto = saved_model_pb2.SavedModel.FromString(file.read())
    for graph in proto.meta_graphs:
        graph.ClearField("object_graph_def")
        graph.meta_info_def.ClearField("stripped_op_list")
        names = list(graph.signature_def["serving_default"].outputs)
    with open(name, "wb") as file:
        file.write(proto.SerializeToString(deterministic=True))
    for extra in ["fingerprint.pb", "assets"]:
        extra = os.path.join(path, extra)
        shutil.rmtree(extra) if os.path.isdir(extra) else os.path.exists(extra) and os.remove(extra)
    answer = np.asarray(run(image(shape)))
    say(folder, shape, {names[0]: answer})


class Module(tf.Module):
    """Functions that call functions, and variables of the same name."""

    def __init__(self):
        n = Numbers()
        self.kernels = [tf.Variable(n(3, 3, 3, 4)), tf.Variable(n(3, 3, 4, 4)), tf.Variable(n(1, 1, 4, 4))]
        self.bias, self.dense = tf.Variable(n(4)), tf.Variable(n(4, 3))

    @tf.function
    def block(self, x, kernel):
        return tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + self.bias)

    @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE], tf.float32)])
    def __call__(self, x):
        for kernel in self.kernels:
            x = self.block(x, kernel)
        return {"scores": tf.nn.softmax(tf.reduce_mean(x, [1, 2]) @ self.dense)}


def layers(k):
    x = inputs = k.Input(SHAPE, name="photo")
    y = k.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = k.layers.BatchNormalization()(y)
    y = k.layers.add([k.layers.DepthwiseConv2D(3, padding="same")(y), y])
    y = k.layers.MaxPooling2D()(k.layers.ZeroPadding2D(((0, 1), (1, 0)))(y))
    y = k.layers.Dropout(0.5)(k.layers.Conv2D(6, 3, strides=2, padding="same", activation="swish")(y))
    gate = k.layers.Dense(6, activation="sigmoid")(k.layers.GlobalAveragePooling2D()(y))
    y = k.layers.multiply([y, k.layers.Reshape((1, 1, 6))(gate)])
    y = k.layers.Dense(5, name="scores", activation="softmax")(k.layers.Flatten()(y))
    model = k.Model(inputs, y, name="mine")
    rng = np.random.default_rng(11)
    for weight in model.weights:
        if "seed" in weight.name:
            continue
        shape = tuple(weight.shape)
        low = "variance" in weight.name
        weight.assign((rng.uniform(0.3, 2.0, shape) if low else rng.normal(0, 0.5, shape)).astype("float32"))
    return model


def variables_of_1(folder):
    """A SavedModel as TensorFlow 1 writes it."""
    with tf.Graph().as_default(), v1.Session() as session:
        n = Numbers()
        x = v1.placeholder(tf.float32, (None, *SHAPE), name="photo")
        use = lambda name, value, resource: v1.get_variable(name, initializer=value, use_resource=resource)
        y = tf.nn.conv2d(x, use("conv/kernel", n(3, 3, 3, 4), False), 2, "SAME") + use("conv/bias", n(4), True)
        y = tf.identity(tf.nn.softmax(tf.reduce_mean(tf.nn.relu6(y), [1, 2]) @ use("dense/kernel", n(4, 3), False)), name="scores")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, os.path.join(MODELS, folder), {"image": x}, {"scores": y})
        answer = session.run(y, {x: image(SHAPE)})
    saved(folder, lambda _: answer)


def main():
    frozen("plain.pb", plain)
    frozen("shapes.pb", shapes)
    frozen("fixed.pb", lambda x, n: {"scores": tf.reshape(tf.nn.conv2d(x, n(8, 10, 3, 4), 1, "VALID"), [1, 4])}, batch=1)
    frozen("bytes.pb", lambda x, n: {"scores": tf.reduce_mean(tf.cast(x, tf.float32) / 255.0, [1, 2]) @ n(3, 4)}, kind=tf.uint8, run={})
    frozen("training.pb", training)
    answers = frozen("last.pb", small(False))
    frozen("first.pb", small(True), shape=(3, 8, 10), run=answers)
    decoder("decoder.pb")
    module = Module()
    tf.saved_model.save(module, os.path.join(MODELS, "module"))
    saved("module", lambda x: module(tf.constant(x))["scores"])
    variables_of_1("variables_1")
    model = layers(keras)
    model.export(os.path.join(MODELS, "exported_3"), verbose=False)
    saved("exported_3", lambda x: model.predict(x, verbose=0))
    old = layers(tf_keras)
    old.save(os.path.join(MODELS, "saved_2"), save_format="tf")
    saved("saved_2", lambda x: old.predict(x, verbose=0))
    del golden["bytes.pb"]
    with open(os.path.join(MODELS, "golden.json"), "w") as out:
        json.dump(golden, out, sort_keys=True)
    with zipfile.ZipFile(os.path.join(HERE, "graphs.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, _, files in sorted(os.walk(MODELS)):
            for file in sorted(files):
                whole = os.path.join(path, file)
                entry = zipfile.ZipInfo(os.path.relpath(whole, MODELS), (1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                with open(whole, "rb") as content:
                    archive.writestr(entry, content.read())
    shutil.rmtree(MODELS)


main()
