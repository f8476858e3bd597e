"""Freezes small models of the layers and operations that people use, each by itself, and compares.

    pip install keras tensorflow-cpu tf_keras onnxruntime numpy
    python tests/keras/layers.py keras    --linnaeus target/release/linnaeus
    python tests/keras/layers.py tf_keras --linnaeus target/release/linnaeus

What `make_freeze.py` keeps as goldens is a part of it; this asks more variants than a repository
should hold, to find what is silently wrong. Every model is saved as each kind of file that its Keras
writes. A refusal is no failure, and is told; a difference is.
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

import numpy as np
import onnxruntime

onnxruntime.set_default_logger_severity(3)


def common(k, l):
    """Cases that both Keras know: a name, and a function of an image of 12×10×4."""
    small = lambda x: l.Conv2D(6, 3, strides=2)(x)
    row = lambda x: l.GlobalAveragePooling2D()(x)
    words = lambda x: l.Reshape((30, 16))(x)
    return {
        "conv_valid_relu6": lambda x: l.Conv2D(5, 3, activation="relu6")(x),
        "conv_even_same_stride3": lambda x: l.Conv2D(5, 4, strides=3, padding="same")(x),
        "conv_dilated_same": lambda x: l.Conv2D(5, 3, dilation_rate=(2, 3), padding="same")(x),
        "conv_groups": lambda x: l.Conv2D(8, 3, groups=4, padding="same")(x),
        "conv_object_activation": lambda x: l.Conv2D(5, 3, activation=l.LeakyReLU())(x),
        "conv_object_relu": lambda x: l.Conv2D(5, 3, activation=l.ReLU(max_value=0.8, negative_slope=0.1))(x),
        "conv_softmax": lambda x: l.Conv2D(5, 3, activation="softmax")(x),
        "depthwise_multiplier_stride": lambda x: l.DepthwiseConv2D(3, strides=2, depth_multiplier=3, activation="elu")(x),
        "separable_multiplier": lambda x: l.SeparableConv2D(5, 3, depth_multiplier=2, dilation_rate=2, padding="same", activation="tanh")(x),
        "separable_no_bias": lambda x: l.BatchNormalization()(l.SeparableConv2D(5, (3, 1), use_bias=False)(x)),
        "transpose_same": lambda x: l.Conv2DTranspose(5, 4, strides=2, padding="same", activation="relu")(x),
        "transpose_valid_dilated": lambda x: l.Conv2DTranspose(5, 3, dilation_rate=2)(x),
        "transpose_stride_over_kernel": lambda x: l.Conv2DTranspose(5, 2, strides=3, padding="same")(x),
        "transpose_stride_over_kernel_valid": lambda x: l.Conv2DTranspose(5, 2, strides=3)(x),
        "transpose_output_padding": lambda x: l.Conv2DTranspose(5, 3, strides=2, output_padding=1)(x),
        "conv1d": lambda x: l.Conv1D(5, 3, strides=2, activation="relu")(words(x)),
        "conv1d_causal": lambda x: l.Conv1D(5, 3, padding="causal", dilation_rate=2)(words(x)),
        "conv1d_groups_dilated": lambda x: l.Conv1D(8, 3, groups=4, dilation_rate=2, padding="same")(words(x)),
        "separable1d": lambda x: l.SeparableConv1D(5, 3)(words(x)),
        "depthwise1d": lambda x: l.DepthwiseConv1D(3)(words(x)),
        "pool1d": lambda x: l.AveragePooling1D(3, strides=2, padding="same")(words(x)),
        "max1d": lambda x: l.GlobalMaxPooling1D()(words(x)),
        "avg1d_keep": lambda x: l.GlobalAveragePooling1D(keepdims=True)(words(x)),
        "upsampling1d": lambda x: l.UpSampling1D(2)(words(x)),
        "padding1d": lambda x: l.ZeroPadding1D((1, 2))(words(x)),
        "cropping1d": lambda x: l.Cropping1D((1, 2))(words(x)),
        "max_same": lambda x: l.MaxPooling2D((3, 2), strides=(2, 3), padding="same")(x),
        "avg_same": lambda x: l.AveragePooling2D(3, strides=2, padding="same")(x),
        "avg_stride1_same": lambda x: l.AveragePooling2D(3, strides=1, padding="same")(x),
        "pool_negative": lambda x: l.MaxPooling2D(3, padding="same")(l.Rescaling(1.0, offset=-5.0)(x)),
        "global_max": lambda x: l.Dense(3)(l.GlobalMaxPooling2D()(x)),
        "padding_sides": lambda x: l.Conv2D(3, 3)(l.ZeroPadding2D(((3, 0), (1, 2)))(x)),
        "padding_then_same": lambda x: l.Conv2D(3, 3, strides=2, padding="same")(l.ZeroPadding2D(((1, 0), (0, 2)))(x)),
        "padding_then_pool": lambda x: l.MaxPooling2D(2)(l.ZeroPadding2D(1)(l.Rescaling(1.0, offset=-5.0)(x))),
        "padding_used_twice": lambda x: (lambda p: l.Concatenate()([l.Conv2D(3, 3)(p), l.Conv2D(2, 3)(p)]))(l.ZeroPadding2D(1)(x)),
        "cropping": lambda x: l.Cropping2D(((1, 2), (0, 3)))(x),
        "up_nearest": lambda x: l.UpSampling2D((3, 2))(small(x)),
        "up_bilinear": lambda x: l.UpSampling2D((2, 3), interpolation="bilinear")(small(x)),
        "up_bicubic": lambda x: l.UpSampling2D(3, interpolation="bicubic")(small(x)),
        "up_area": lambda x: l.UpSampling2D(2, interpolation="area")(small(x)),
        "resizing_down": lambda x: l.Resizing(5, 7)(x),
        "resizing_up_nearest": lambda x: l.Resizing(17, 23, interpolation="nearest")(x),
        "resizing_down_nearest": lambda x: l.Resizing(5, 3, interpolation="nearest")(x),
        "resizing_area": lambda x: l.Resizing(5, 7, interpolation="area")(x),
        "resizing_crop": lambda x: l.Resizing(8, 4, crop_to_aspect_ratio=True)(x),
        "resizing_crop_wide": lambda x: l.Resizing(3, 9, crop_to_aspect_ratio=True)(x),
        "resizing_lanczos": lambda x: l.Resizing(5, 7, interpolation="lanczos3")(x),
        "center_crop": lambda x: l.CenterCrop(7, 5)(x),
        "center_crop_larger": lambda x: l.CenterCrop(20, 8)(x),
        "random_crop": lambda x: l.RandomCrop(7, 5)(x),
        "augmentation": lambda x: l.Conv2D(3, 3)(l.RandomContrast(0.3)(l.RandomZoom(0.2)(l.RandomTranslation(0.1, 0.1)(l.RandomRotation(0.2)(l.RandomFlip()(x)))))),
        "noise": lambda x: l.SpatialDropout2D(0.3)(l.GaussianDropout(0.2)(l.GaussianNoise(0.5)(l.AlphaDropout(0.2)(x)))),
        "activity_regularization": lambda x: l.ActivityRegularization(l2=0.1)(x),
        "rescaling_list": lambda x: l.Rescaling([1.0, 2.0, 3.0, 4.0], offset=[-1.0, 0.0, 0.5, 0.2])(x),
        "rescaling_then_conv_same": lambda x: l.Conv2D(3, 3, padding="same")(l.Rescaling(0.5, offset=-1.0)(x)),
        "normalization_fixed": lambda x: l.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 0.5, 2.0, 0.0])(x),
        "normalization_scalar": lambda x: l.Normalization(axis=None, mean=0.4, variance=0.3)(x),
        "normalization_adapted": lambda x: l.Normalization()(x),
        "normalization_axis1": lambda x: l.Normalization(axis=1)(x),
        "normalization_two_axes": lambda x: l.Normalization(axis=(1, 3))(x),
        "normalization_row": lambda x: l.Normalization()(row(x)),
        "leaky_default": lambda x: l.LeakyReLU()(x),
        "leaky_slope": lambda x: l.LeakyReLU(0.07)(x),
        "relu_limit": lambda x: l.ReLU(6.0)(l.Rescaling(9.0)(x)),
        "relu_all": lambda x: l.ReLU(max_value=0.7, negative_slope=0.2, threshold=-0.3)(x),
        "relu_threshold": lambda x: l.ReLU(threshold=0.3)(x),
        "prelu_all": lambda x: l.PReLU()(x),
        "prelu_shared": lambda x: l.PReLU(shared_axes=[1, 2])(x),
        "prelu_shared_one": lambda x: l.PReLU(shared_axes=[2])(x),
        "prelu_words": lambda x: l.PReLU(shared_axes=[1])(words(x)),
        "elu": lambda x: l.ELU(0.4)(x),
        "softmax_axis1": lambda x: l.Softmax(axis=1)(x),
        "softmax_axes": lambda x: l.Softmax(axis=[1, 2])(x),
        "softmax_words_axis1": lambda x: l.Softmax(axis=1)(words(x)),
        "activation_softmax_4d": lambda x: l.Activation("softmax")(small(x)),
        "activation_elu": lambda x: l.Activation("elu")(small(x)),
        "activation_relu_function": lambda x: l.Activation(k.activations.relu)(small(x)),
        "activation_gelu_function": lambda x: l.Activation(k.activations.gelu)(small(x)),
        "activation_swish": lambda x: l.Activation("swish")(small(x)),
        "batch_axis1": lambda x: l.BatchNormalization(axis=1)(x),
        "batch_axis2_bare": lambda x: l.BatchNormalization(axis=2, scale=False, center=False)(x),
        "batch_words": lambda x: l.BatchNormalization()(words(x)),
        "batch_words_axis1": lambda x: l.BatchNormalization(axis=1)(words(x)),
        "batch_after_flatten": lambda x: l.Dense(4)(l.BatchNormalization()(l.Flatten()(small(x)))),
        "batch_after_relu": lambda x: l.BatchNormalization()(l.Conv2D(3, 3, activation="relu")(x)),
        "batch_after_dense_activation": lambda x: l.BatchNormalization()(l.Dense(3, activation="sigmoid")(row(x))),
        "batch_after_dense_4d": lambda x: l.BatchNormalization()(l.Dense(3)(x)),
        "batch_twice": lambda x: (lambda c: l.Add()([l.BatchNormalization()(c), l.BatchNormalization()(c)]))(l.Conv2D(3, 3)(x)),
        "batch_chain": lambda x: l.BatchNormalization()(l.BatchNormalization()(l.Conv2D(3, 3)(x))),
        "layer_norm_axis1": lambda x: l.LayerNormalization(axis=1)(x),
        "layer_norm_two": lambda x: l.LayerNormalization(axis=[2, 3])(x),
        "layer_norm_row": lambda x: l.LayerNormalization()(row(x)),
        "layer_norm_bare": lambda x: l.LayerNormalization(center=False, scale=False)(words(x)),
        "group_norm": lambda x: l.GroupNormalization(2)(x),
        "group_norm_instance": lambda x: l.GroupNormalization(-1)(x),
        "group_norm_axis1": lambda x: l.GroupNormalization(3, axis=1)(x),
        "group_norm_words": lambda x: l.GroupNormalization(4)(words(x)),
        "group_norm_row": lambda x: l.GroupNormalization(2)(row(x)),
        "unit_norm": lambda x: l.UnitNormalization()(x),
        "unit_norm_axis1": lambda x: l.UnitNormalization(axis=1)(x),
        "unit_norm_axes": lambda x: l.UnitNormalization(axis=[1, 2])(x),
        "spectral": lambda x: l.SpectralNormalization(l.Conv2D(3, 3))(x),
        "attention": lambda x: l.MultiHeadAttention(2, 5)(words(x), words(x)),
        "attention_cross": lambda x: l.MultiHeadAttention(2, 5, value_dim=3, output_shape=7)(words(x), l.Reshape((40, 12))(x)),
        "attention_key": lambda x: l.MultiHeadAttention(3, 4)(words(x), l.Reshape((60, 8))(x), key=l.Reshape((60, 8))(l.ReLU()(x))),
        "attention_4d": lambda x: l.MultiHeadAttention(2, 5)(x, x),
        "attention_causal": lambda x: l.MultiHeadAttention(2, 5)(words(x), words(x), use_causal_mask=True),
        "attention_simple": lambda x: l.Attention()([words(x), words(x)]),
        "transformer": lambda x: l.Dense(3)(l.GlobalAveragePooling1D()(l.LayerNormalization(epsilon=1e-6)(
            (lambda p: l.Add()([p, l.Dense(16)(l.Dropout(0.1)(l.Dense(32, activation="gelu")(l.LayerNormalization()(p))))]))(
                (lambda p: l.Add()([p, l.MultiHeadAttention(2, 8, dropout=0.1)(l.LayerNormalization()(p), l.LayerNormalization()(p))]))(
                    l.Dense(16)(l.Reshape((6, 80))(x))))))),
        "dot_axes": lambda x: l.Dot(axes=1)([row(x), row(l.ReLU()(x))]),
        "dot_cosine": lambda x: l.Dot(axes=1, normalize=True)([row(x), row(l.ReLU()(x))]),
        "dot_words": lambda x: l.Dot(axes=(2, 2))([words(x), words(l.ReLU()(x))]),
        "multiply_three": lambda x: l.Multiply()([x, l.ReLU()(x), l.Conv2D(4, 1)(x)]),
        "multiply_broadcast": lambda x: l.Multiply()([x, l.Conv2D(1, 1, activation="sigmoid")(x)]),
        "multiply_ranks": lambda x: l.Multiply()([x, l.Dense(4)(row(x))]),
        "subtract": lambda x: l.Subtract()([l.ReLU()(x), l.Conv2D(4, 3, padding="same")(x)]),
        "maximum_average": lambda x: l.Average()([x, l.Maximum()([x, l.Conv2D(4, 1)(x)])]),
        "add_flattened": lambda x: l.Dense(3)(l.Add()([l.Flatten()(small(x)), l.Dense(120)(l.Flatten()(x))])),
        "concat_axis1": lambda x: l.Concatenate(axis=1)([x, l.ReLU()(x)]),
        "concat_axis_2": lambda x: l.Concatenate(axis=-2)([small(x), small(x)]),
        "concat_flattened": lambda x: l.Dense(3)(l.Concatenate()([l.Flatten()(small(x)), l.Flatten()(x), row(x)])),
        "permute": lambda x: l.Dense(3)(l.Flatten()(l.Permute((2, 3, 1))(small(x)))),
        "permute_conv": lambda x: l.Conv2D(3, 3)(l.Permute((2, 1, 3))(small(x))),
        "reshape_conv": lambda x: l.Conv2D(3, 2)(l.Reshape((8, -1, 6))(x)),
        "reshape_from_row": lambda x: l.Conv2DTranspose(3, 3, strides=2, padding="same")(l.Reshape((5, 4, 2))(l.Dense(40, activation="relu")(l.Flatten()(x)))),
        "reshape_five": lambda x: l.Reshape((12, 5, 2, 4))(x),
        "reshape_pixel": lambda x: l.Conv2D(3, 1)(l.Reshape((1, 1, 4))(row(x))),
        "flatten_dropout_dense": lambda x: l.Dense(5)(l.Dropout(0.4)(l.Activation("relu")(l.Flatten()(small(x))))),
        "flatten_twice": lambda x: l.Dense(3)(l.Flatten()(l.Flatten()(small(x)))),
        "flatten_reshape_conv": lambda x: l.Conv2D(2, 2)(l.Reshape((5, 4, 6))(l.Flatten()(small(x)))),
        "flatten_prelu": lambda x: l.Dense(3)(l.PReLU()(l.Flatten()(small(x)))),
        "flatten_layer_norm": lambda x: l.Dense(3)(l.LayerNormalization()(l.Flatten()(small(x)))),
        "flatten_rescaling": lambda x: l.Dense(3)(l.Rescaling(list(np.linspace(0.1, 2, 120)))(l.Flatten()(small(x)))),
        "flatten_softmax_output": lambda x: l.Softmax()(l.Flatten()(small(x))),
        "flatten_repeat": lambda x: l.RepeatVector(2)(l.Flatten()(small(x))),
        "flatten_words": lambda x: l.Dense(3)(l.Flatten()(words(x))),
        "dense_4d": lambda x: l.Dense(5, activation="gelu")(x),
        "dense_words_softmax": lambda x: l.Dense(5, activation="softmax")(words(x)),
        "einsum_dense": lambda x: l.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d")(words(x)),
        "einsum_dense_heads": lambda x: l.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3))(words(x)),
        "time_dense": lambda x: l.TimeDistributed(l.Dense(5))(words(x)),
        "time_conv": lambda x: l.TimeDistributed(l.Conv2D(3, 2, activation="relu"))(l.Reshape((3, 4, 10, 4))(x)),
        "time_flatten": lambda x: l.TimeDistributed(l.Flatten())(x),
        "time_norm": lambda x: l.TimeDistributed(l.LayerNormalization())(x),
        "time_batch": lambda x: l.TimeDistributed(l.BatchNormalization())(x),
        "time_softmax": lambda x: l.TimeDistributed(l.Activation("softmax"))(words(x)),
        "lstm": lambda x: l.LSTM(4)(words(x)),
        "masking": lambda x: l.GlobalAveragePooling1D()(l.Masking(0.0)(words(x))),
        "squeeze_excite": lambda x: l.Multiply()([x, l.Dense(4, activation="hard_sigmoid")(l.Dense(2, activation="relu")(l.GlobalAveragePooling2D(keepdims=True)(x)))]),
        "unet": lambda x: l.Conv2D(2, 1, activation="softmax")(l.Concatenate()([x, l.UpSampling2D(2)(l.MaxPooling2D(2)(x))])),
        "shared_conv": lambda x: (lambda c: l.Concatenate()([c(x), c(l.ReLU()(x))]))(l.Conv2D(3, 3)),
        "shared_conv_batch": lambda x: (lambda c: l.Concatenate()([l.BatchNormalization()(c(x)), c(l.ReLU()(x))]))(l.Conv2D(3, 3)),
        "shared_batch": lambda x: (lambda b: l.Concatenate()([b(l.Conv2D(3, 3)(x)), b(l.Conv2D(3, 3)(x))]))(l.BatchNormalization()),
        "shared_model": lambda x: (lambda m: l.Dense(3)(l.Concatenate()([m(x), m(l.ReLU()(x))])))(
            k.Sequential([l.Conv2D(3, 3), l.BatchNormalization(), l.ReLU(), l.Flatten()])),
        "model_in_model": lambda x: l.Dense(2)(k.Sequential([k.Sequential([l.Conv2D(3, 3), l.BatchNormalization()]), k.Sequential([l.ReLU(), l.Flatten()])])(x)),
        "frozen_base": lambda x: l.Dense(2)(frozen(k.Sequential([l.Conv2D(3, 3), l.BatchNormalization(), l.Conv2D(3, 3), l.BatchNormalization(), l.Flatten()]))(x, training=False)),
        "partly_frozen": lambda x: l.Dense(2)(partly(k.Sequential([l.Conv2D(3, 3), l.BatchNormalization(), l.Conv2D(3, 3), l.BatchNormalization(), l.Flatten()]))(x)),
        "identity_output": lambda x: x if False else l.Dropout(0.2)(x),
        "two_outputs": lambda x: [l.Dense(3, name="one")(row(x)), l.Dense(2, name="two")(row(x))],
        "same_output_twice": lambda x: (lambda y: [y, y])(l.Dense(3)(row(x))),
        "slashes": lambda x: l.Conv2D(3, 3, name="block/conv" if k.__name__ != "keras" else "block_conv")(x),
    }


def frozen(model):
    model.trainable = False
    return model


def partly(model):
    model.build((None, 12, 10, 4))
    model.layers[0].trainable = False
    model.layers[3].trainable = False
    return model


def of_keras(k, l):
    ops = k.ops
    row = lambda x: l.GlobalAveragePooling2D()(x)
    words = lambda x: l.Reshape((30, 16))(x)
    names = ["relu", "relu6", "sigmoid", "tanh", "softplus", "softsign", "elu", "selu", "exponential", "hard_sigmoid", "silu",
             "gelu", "mish", "leaky_relu", "hard_silu", "log_softmax", "celu", "squareplus", "hard_tanh", "tanh_shrink",
             "soft_shrink", "hard_shrink", "log_sigmoid", "linear", "sparse_plus", "sparsemax", "glu", "sparse_sigmoid", "threshold"]
    cases = {"activation_" + name: lambda x, name=name: l.Activation(name)(l.Rescaling(3.0)(x)) for name in names}
    for name in ["relu", "relu6", "sigmoid", "tanh", "softplus", "softsign", "elu", "selu", "hard_sigmoid", "silu", "gelu", "mish",
                 "leaky_relu", "hard_silu", "log_softmax", "softmax", "celu", "squareplus", "hard_tanh", "tanh_shrink",
                 "soft_shrink", "hard_shrink", "log_sigmoid", "glu", "swish", "hard_swish", "exponential"]:
        if hasattr(k.activations, name):
            cases["function_" + name] = lambda x, name=name: getattr(k.activations, name)(l.Rescaling(3.0)(x))
        if hasattr(ops, name):
            cases["ops_" + name] = lambda x, name=name: getattr(ops, name)(l.Rescaling(3.0)(x))
    for name in ["abs", "exp", "sqrt", "square", "log", "negative", "sign", "floor", "round", "sin", "log1p", "rsqrt", "erf",
                 "reciprocal", "ceil", "cos", "expm1", "isnan", "logical_not", "flip", "ravel", "max", "mean", "sum", "min", "var", "std"]:
        if hasattr(ops, name):
            cases["ops_" + name] = lambda x, name=name: getattr(ops, name)(ops.abs(x) + 0.1)
    for name in ["mean", "max", "min", "sum", "prod", "var", "std", "amax", "logsumexp", "argmax", "any", "norm", "softmax", "median"]:
        if hasattr(ops, name):
            cases[f"ops_{name}_12"] = lambda x, name=name: getattr(ops, name)(l.Conv2D(4, 1)(x), axis=(1, 2) if name != "argmax" else 1)
            cases[f"ops_{name}_last_keep"] = lambda x, name=name: getattr(ops, name)(x, axis=-1, **({} if name == "softmax" else {"keepdims": True}))
    cases |= {
        "times_two": lambda x: x * 2,
        "two_minus": lambda x: 2 - x,
        "two_over": lambda x: 2.0 / (ops.abs(x) + 1),
        "two_power": lambda x: 2.0**x,
        "floordiv": lambda x: x // 0.3,
        "modulo": lambda x: x % 0.3,
        "tensor_over": lambda x: x / (ops.abs(x) + 1),
        "array_operand": lambda x: x * np.array([1.0, 2.0, 3.0, 4.0], "float32"),
        "array_of_pixels": lambda x: x + np.random.default_rng(0).random((12, 10, 4)).astype("float32"),
        "array_column": lambda x: x + np.random.default_rng(0).random((12, 1, 1)).astype("float32"),
        "array_grows": lambda x: l.Conv2D(2, 3, padding="same")(l.GlobalAveragePooling2D(keepdims=True)(x) + np.random.default_rng(0).random((5, 6, 4)).astype("float32")),
        "array_rank_grows": lambda x: row(x) * np.random.default_rng(0).random((1, 1, 4)).astype("float32"),
        "after_flatten_array": lambda x: l.Flatten()(l.Conv2D(6, 3, strides=2)(x)) * np.linspace(0, 1, 120).astype("float32"),
        "ranks": lambda x: x * ops.mean(x, axis=[1, 2], keepdims=True),
        "matmul": lambda x: ops.matmul(words(x), ops.transpose(words(x), (0, 2, 1))),
        "matmul_operator": lambda x: words(x) @ ops.transpose(words(x), (0, 2, 1)),
        "einsum": lambda x: ops.einsum("bij,bkj->bik", words(x), words(x)),
        "relu_limited": lambda x: k.activations.relu(x, max_value=0.5),
        "relu_sloped": lambda x: k.activations.relu(x, negative_slope=0.2),
        "leaky_sloped": lambda x: ops.leaky_relu(x, negative_slope=0.33),
        "activation_leaky_sloped": lambda x: k.activations.leaky_relu(x, negative_slope=0.33),
        "elu_alpha": lambda x: ops.elu(x, alpha=0.3),
        "activation_elu_alpha": lambda x: k.activations.elu(x, alpha=0.3),
        "celu_alpha": lambda x: ops.celu(x, alpha=0.3),
        "squareplus_b": lambda x: ops.squareplus(x, b=2),
        "gelu_exact": lambda x: k.activations.gelu(x, approximate=False),
        "gelu_approximate": lambda x: k.activations.gelu(x, approximate=True),
        "softmax_axis1": lambda x: k.activations.softmax(x, axis=1),
        "ops_softmax_axis1": lambda x: ops.softmax(x, axis=1),
        "ops_softmax_axes": lambda x: ops.softmax(x, axis=(1, 2)),
        "clip": lambda x: ops.clip(x, -0.5, 0.5),
        "clip_array": lambda x: ops.clip(x, np.array([0.0, 0.1, 0.2, 0.3], "float32"), 0.5),
        "normalize": lambda x: ops.normalize(x),
        "normalize_axis1": lambda x: ops.normalize(x, axis=1),
        "normalize_order1": lambda x: ops.normalize(x, order=1),
        "normalize_epsilon": lambda x: ops.normalize(x, epsilon=0.5),
        "max_initial": lambda x: ops.max(x, axis=-1, initial=0.2),
        "where": lambda x: ops.where(x > 0, x, x * 0.1),
        "greater": lambda x: ops.cast(x > 0, "float32") * x,
        "maximum_number": lambda x: ops.maximum(x, 0.2),
        "minimum_number": lambda x: ops.minimum(0.2, x),
        "stack": lambda x: ops.stack([x, ops.relu(x)], axis=-1),
        "stack_axis1": lambda x: ops.stack([row(x), row(ops.relu(x))], axis=1),
        "split_uneven": lambda x: ops.split(x, [1], axis=-1)[1],
        "split_two": lambda x: ops.concatenate(ops.split(x, 2, axis=1)[::-1], axis=1),
        "concatenate_axis1": lambda x: ops.concatenate([x, ops.relu(x)], axis=1),
        "expand": lambda x: ops.expand_dims(row(x), -1),
        "expand_axis1": lambda x: l.Conv2D(3, 1)(ops.expand_dims(ops.expand_dims(row(x), 1), 1)),
        "squeeze": lambda x: ops.squeeze(l.GlobalAveragePooling2D(keepdims=True)(x), axis=(1, 2)),
        "repeat": lambda x: ops.repeat(x, 2, axis=1),
        "tile": lambda x: ops.tile(x, (1, 2, 1, 1)),
        "pad": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0), (0, 0))),
        "pad_reflect": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0), (0, 0)), mode="reflect"),
        "roll": lambda x: ops.roll(x, 2, axis=1),
        "flip_axis2": lambda x: ops.flip(x, axis=2),
        "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
        "moveaxis": lambda x: ops.moveaxis(x, 3, 1),
        "transpose": lambda x: ops.transpose(x, (0, 3, 1, 2)),
        "reshape": lambda x: ops.reshape(x, (-1, 60, 8)),
        "getitem_index": lambda x: x[:, 0],
        "getitem_last": lambda x: words(x)[:, -1],
        "getitem_slices": lambda x: x[:, 1:-2, ::-2, 1:3],
        "getitem_ellipsis_index": lambda x: x[..., 2],
        "getitem_newaxis": lambda x: row(x)[:, None, :],
        "resize": lambda x: ops.image.resize(x, (7, 5)),
        "resize_nearest": lambda x: ops.image.resize(x, (17, 23), interpolation="nearest"),
        "resize_antialias": lambda x: ops.image.resize(x, (7, 5), antialias=True),
        "resize_crop": lambda x: ops.image.resize(x, (5, 4), crop_to_aspect_ratio=True),
        "resize_pad": lambda x: ops.image.resize(x, (5, 4), pad_to_aspect_ratio=True),
        "rgb_to_grayscale": lambda x: ops.image.rgb_to_grayscale(x[..., :3]),
        "ops_average_pool": lambda x: ops.average_pool(x, 2),
        "ops_conv": lambda x: ops.max_pool(x, 3, strides=2, padding="same"),
        "cast_int": lambda x: ops.cast(ops.cast(x * 10, "int32"), "float32"),
        "cast_half": lambda x: ops.cast(ops.cast(x, "float32"), "float32"),
        "layer_norm_rms": lambda x: l.LayerNormalization(rms_scaling=True)(x),
        "rms_norm": lambda x: l.RMSNormalization()(x),
        "resizing_pad": lambda x: l.Resizing(8, 4, pad_to_aspect_ratio=True)(x),
        "resizing_antialias": lambda x: l.Resizing(5, 4, antialias=True)(x),
        "dropout_training": lambda x: l.SpatialDropout2D(0.1)(x, training=False),
        "batch_training": lambda x: l.BatchNormalization()(x, training=True),
        "identity": lambda x: l.Identity()(x),
        "group_query": lambda x: l.GroupQueryAttention(4, 2, 1)(words(x), words(x)),
        "attention_axes_first": lambda x: l.MultiHeadAttention(2, 5, attention_axes=1)(words(x), words(x)),
        "random_grayscale": lambda x: l.RandomGrayscale(1.0)(x[..., :3]),
        "solarization": lambda x: l.Solarization()(x),
        "equalization": lambda x: l.Equalization()(x),
        "auto_contrast": lambda x: l.AutoContrast()(x),
        "random_many": lambda x: l.RandomErasing()(l.RandomShear(0.1)(l.RandomSharpness(0.2)(l.RandomBrightness(0.2)(x)))),
        "conv_transpose1d": lambda x: l.Conv1DTranspose(3, 3)(words(x)),
        "conv3d": lambda x: l.Conv3D(3, 2)(l.Reshape((12, 5, 2, 4))(x)),
        "merge_ranks_3": lambda x: l.Add()([words(x), l.Dense(16)(row(x))]),
    }
    return cases


def of_tf_keras(k, l):
    import tensorflow as tf

    row = lambda x: l.GlobalAveragePooling2D()(x)
    words = lambda x: l.Reshape((30, 16))(x)
    names = ["relu", "sigmoid", "tanh", "softplus", "softsign", "elu", "selu", "exponential", "hard_sigmoid", "swish", "gelu", "mish"]
    cases = {"activation_" + name: lambda x, name=name: l.Activation(name)(l.Rescaling(3.0)(x)) for name in names}
    for name in ["relu", "relu6", "sigmoid", "tanh", "softplus", "softsign", "elu", "selu", "swish", "silu", "gelu", "leaky_relu",
                 "crelu", "log_softmax", "softmax", "l2_normalize"]:
        given = {"axis": -1} if name == "l2_normalize" else {}
        cases["nn_" + name] = lambda x, name=name, given=given: getattr(tf.nn, name)(l.Rescaling(3.0)(x), **given)
    for name in ["relu", "elu", "selu", "gelu", "swish", "hard_sigmoid", "softmax", "mish", "softplus"]:
        cases["function_" + name] = lambda x, name=name: getattr(k.activations, name)(l.Rescaling(3.0)(x))
    for name in ["abs", "exp", "sqrt", "square", "log", "negative", "sign", "floor", "rsqrt", "erf", "reciprocal", "log1p", "sin"]:
        cases["math_" + name] = lambda x, name=name: getattr(tf.math, name)(tf.abs(x) + 0.1)
    for name in ["mean", "max", "min", "sum", "prod", "variance", "std", "logsumexp", "euclidean_norm"]:
        cases[f"reduce_{name}"] = lambda x, name=name: getattr(tf.math, "reduce_" + name)(x, axis=[1, 2])
        cases[f"reduce_{name}_keep"] = lambda x, name=name: getattr(tf.math, "reduce_" + name)(x, axis=-1, keepdims=True)
    cases |= {
        "times_two": lambda x: x * 2,
        "two_minus": lambda x: 2 - x,
        "two_over": lambda x: 2.0 / (tf.abs(x) + 1),
        "floordiv": lambda x: x // 0.3,
        "modulo": lambda x: x % 0.3,
        "array_operand": lambda x: x * np.array([1.0, 2.0, 3.0, 4.0], "float32"),
        "array_grows": lambda x: l.Conv2D(2, 3, padding="same")(l.GlobalAveragePooling2D(keepdims=True)(x) + np.random.default_rng(0).random((5, 6, 4)).astype("float32")),
        "constant_tensor": lambda x: x + tf.constant([1.0, 2.0, 3.0, 4.0]),
        "relu_limited": lambda x: k.activations.relu(x, max_value=0.5),
        "relu_six": lambda x: k.activations.relu(l.Rescaling(9.0)(x), max_value=6),
        "relu_alpha": lambda x: k.activations.relu(x, alpha=0.2),
        "relu_threshold": lambda x: k.activations.relu(x, threshold=0.2),
        "elu_alpha": lambda x: k.activations.elu(x, alpha=0.3),
        "leaky_alpha": lambda x: tf.nn.leaky_relu(x, alpha=0.33),
        "gelu_approximate": lambda x: tf.nn.gelu(x, approximate=True),
        "gelu_positional": lambda x: tf.nn.gelu(x, True),
        "softmax_axis1": lambda x: tf.nn.softmax(x, axis=1),
        "resize": lambda x: tf.image.resize(x, (7, 5)),
        "resize_nearest": lambda x: tf.image.resize(x, (17, 23), method="nearest"),
        "resize_bicubic": lambda x: tf.image.resize(x, (17, 23), method="bicubic"),
        "resize_lanczos": lambda x: tf.image.resize(x, (17, 23), method="lanczos3"),
        "resize_ratio": lambda x: tf.image.resize(x, (7, 7), preserve_aspect_ratio=True),
        "resize_antialias": lambda x: tf.image.resize(x, (7, 5), antialias=True),
        "resize_v1": lambda x: tf.compat.v1.image.resize(x, (7, 5)),
        "resize_v1_corners": lambda x: tf.compat.v1.image.resize(x, (7, 5), align_corners=True),
        "resize_v1_bilinear": lambda x: tf.compat.v1.image.resize_bilinear(x, (7, 5)),
        "resize_with_pad": lambda x: tf.image.resize_with_pad(x, 7, 5),
        "linalg_normalize": lambda x: tf.linalg.normalize(x)[0],
        "linalg_normalize_axis": lambda x: tf.linalg.normalize(x, axis=-1)[0],
        "l2_normalize_epsilon": lambda x: tf.math.l2_normalize(x, axis=-1, epsilon=0.5),
        "l2_normalize_axes": lambda x: tf.math.l2_normalize(x, axis=[1, 2]),
        "clip": lambda x: tf.clip_by_value(x, -0.5, 0.5),
        "clip_array": lambda x: tf.clip_by_value(x, np.array([0.0, 0.1, 0.2, 0.3], "float32"), 0.5),
        "where": lambda x: tf.where(x > 0, x, x * 0.1),
        "maximum": lambda x: tf.maximum(x, 0.2),
        "minimum_first": lambda x: tf.minimum(0.2, x),
        "stack": lambda x: tf.stack([x, tf.nn.relu(x)], axis=-1),
        "concat_axis1": lambda x: tf.concat([x, tf.nn.relu(x)], axis=1),
        "split": lambda x: tf.split(x, 2, axis=-1)[1],
        "unstack": lambda x: tf.unstack(x, axis=-1)[1],
        "expand": lambda x: tf.expand_dims(row(x), -1),
        "squeeze": lambda x: tf.squeeze(l.GlobalAveragePooling2D(keepdims=True)(x), axis=[1, 2]),
        "tile": lambda x: tf.tile(x, [1, 2, 1, 1]),
        "pad": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 0], [0, 0]]),
        "reverse": lambda x: tf.reverse(x, axis=[-1]),
        "transpose": lambda x: tf.transpose(x, [0, 3, 1, 2]),
        "reshape": lambda x: tf.reshape(x, [-1, 60, 8]),
        "getitem_index": lambda x: x[:, 0],
        "getitem_slices": lambda x: x[:, 1:-2, ::-2, 1:3],
        "getitem_ellipsis_index": lambda x: x[..., 2],
        "getitem_newaxis": lambda x: row(x)[:, None, :],
        "matmul": lambda x: tf.matmul(words(x), words(x), transpose_b=True),
        "cast_int": lambda x: tf.cast(tf.cast(x * 10, tf.int32), tf.float32),
        "pool": lambda x: tf.nn.max_pool2d(x, 2, 2, "SAME"),
        "depth_to_space": lambda x: tf.nn.depth_to_space(x, 2),
        "backend_mean": lambda x: k.backend.mean(x, axis=[1, 2]),
        "backend_relu": lambda x: k.backend.relu(x, alpha=0.1, max_value=0.6),
        "backend_concat": lambda x: k.backend.concatenate([x, x], axis=1),
        "backend_l2": lambda x: k.backend.l2_normalize(x, axis=-1),
        "backend_hard_sigmoid": lambda x: k.backend.hard_sigmoid(x),
        "bias_add": lambda x: tf.nn.bias_add(x, [1.0, 2.0, 3.0, 4.0]),
        "image_standard": lambda x: tf.image.per_image_standardization(x),
        "image_gray": lambda x: tf.image.rgb_to_grayscale(x[..., :3]),
        "image_crop": lambda x: tf.image.central_crop(x, 0.5),
        "preprocess_caffe": lambda x: k.applications.vgg16.preprocess_input(x[..., :3]),
        "preprocess_tf": lambda x: k.applications.mobilenet_v2.preprocess_input(x[..., :3]),
        "preprocess_torch": lambda x: k.applications.densenet.preprocess_input(x[..., :3]),
        "thresholded": lambda x: l.ThresholdedReLU(0.3)(x),
        "random_height": lambda x: l.RandomHeight(0.3)(x),
        "sync_batch": lambda x: l.BatchNormalization(synchronized=True)(x),
        "batch_renorm": lambda x: l.BatchNormalization(renorm=True)(x),
        "attention_axes": lambda x: l.MultiHeadAttention(2, 5, attention_axes=(1,))(words(x), words(x)),
        "locally": lambda x: l.LocallyConnected2D(3, 3)(x),
        "lambda": lambda x: l.Lambda(lambda y: y * 2)(x),
    }
    return cases


def seeded(model, k):
    rng = np.random.default_rng(5)
    for weight in model.weights:
        name = weight.name.split("/")[-1].split(":")[0]
        if "seed" in weight.name or "int" in str(weight.dtype) or name == "count":
            continue
        shape = tuple(weight.shape)
        low, high = (0.3, 2.0) if "var" in name or name in ("gamma", "alpha") else (-0.6, 0.6)
        weight.assign(rng.uniform(low, high, shape).astype("float32"))
    for layer in model.layers:
        if type(layer).__name__ == "Normalization" and layer.input_mean is None:
            layer.finalize_state()
    return model


def frozen_answers(linnaeus, path, folder, x, extra=()):
    frozen_path = os.path.join(folder, "model.onnx")
    command = [linnaeus, "freeze", path, "-o", frozen_path, "--bare", *extra]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return None, done.stderr.strip()
    session = onnxruntime.InferenceSession(frozen_path, providers=["CPUExecutionProvider"])
    os.remove(frozen_path)
    return session.run(None, {session.get_inputs()[0].name: x}), None


def one(k, case, options, folder, report):
    name, build = case
    files = ["model.keras", "model.h5"] if options.family == "keras" else ["model.h5", "model.keras", "saved"]
    try:
        inputs = k.Input((12, 10, 4), name="photo")
        model = seeded(k.Model(inputs, build(inputs)), k)
        x = np.random.default_rng(3).uniform(-2, 2, (3, 12, 10, 4)).astype("float32")
        expected = model.predict(x, verbose=0)
    except Exception as error:
        return report(name, "", "unbuilt", str(error).strip().splitlines()[0][:150])
    expected = expected if isinstance(expected, list) else [expected]
    for file in files:
        path = os.path.join(folder, file)
        try:
            model.save(path, save_format="tf") if file == "saved" else model.save(path)
        except Exception as error:
            report(name, file, "unsaved", str(error).strip().splitlines()[0][:150])
            continue
        found, refusal = frozen_answers(options.linnaeus, path, folder, x)
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        if refusal:
            report(name, file, "refused" if refusal.startswith("error:") else "FAILED", refusal.split(": ", 3)[-1].splitlines()[0][:200])
            continue
        shapes = [np.shape(a) for a in expected], [a.shape for a in found]
        if shapes[0] != shapes[1]:
            report(name, file, "DIFFERS", f"in shape: {shapes}")
            continue
        gap = max(np.abs(np.asarray(a, "float64") - b).max() / max(1.0, np.abs(a).max()) for a, b in zip(expected, found))
        report(name, file, "equal" if gap <= 3e-5 else "DIFFERS", f"{gap:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("family", choices=["keras", "tf_keras"])
    parser.add_argument("--linnaeus", default="target/release/linnaeus")
    parser.add_argument("--only", nargs="*", help="names of cases")
    options = parser.parse_args()
    if options.family == "tf_keras":
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        import tf_keras as k
    else:
        import keras as k
    cases = common(k, k.layers) | (of_keras if options.family == "keras" else of_tf_keras)(k, k.layers)
    counts = {}

    def report(name, file, verdict, detail):
        counts[verdict] = counts.get(verdict, 0) + 1
        if verdict != "equal":
            print(f"| {name} | {file} | {verdict} | {detail} |", flush=True)

    for case in cases.items():
        if options.only and case[0] not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            one(k, case, options, folder, report)
        k.backend.clear_session()
    print(counts, file=sys.stderr)
    sys.exit(any(verdict.isupper() for verdict in counts))


main()
