"""Trains the digit classifier and writes everything in this folder but this file and the README.

    python -m venv venv && venv/bin/pip install keras jax scikit-learn pillow
    venv/bin/python examples/digits/train.py

Last run with Python 3.11.7 and keras 3.15.1, jax 0.10.2, numpy 2.4.6, scikit-learn 1.9.1,
pillow 13.0.0, on a CPU. The data comes with scikit-learn; nothing is downloaded.

Height comes before width in every shape.
"""

import os
import shutil
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import layers
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
LABELS = [str(digit) for digit in range(10)]
SEED = 1735
HELD_OUT = 360
EPOCHS = 60
SIDE = 8


def load_pixels():
    """Returns N×8×8 bytes and N digits. The data counts ink, 0 to 16, in cells of 4×4 pixels."""
    digits = load_digits()
    return np.rint(digits.images * 255 / 16).astype(np.uint8), digits.target


def split(target):
    """Returns the data set indices for training and, in ascending order, the held-out ones."""
    train, test = train_test_split(
        np.arange(len(target)), test_size=HELD_OUT, random_state=SEED, stratify=target
    )
    return train, np.sort(test)


def write_images(pixels, target, indices):
    """Writes one 8×8 grayscale PNG for each index, in the folder of its digit."""
    shutil.rmtree(HERE / "images", ignore_errors=True)
    for index in indices:
        folder = HERE / "images" / str(target[index])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[index]).save(folder / f"{index:04}.png", optimize=True)


def to_input(pixels):
    """N×8×8 bytes → N×8×8×1 floats in [0, 1]."""
    return pixels[..., np.newaxis].astype(np.float32) / np.float32(255)


def shifted(images, rng):
    """Moves each image by at most one cell in both directions; zeros come in at the border."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moves = rng.integers(0, 3, size=(len(images), 2))
    return np.stack([image[y : y + SIDE, x : x + SIDE] for image, (y, x) in zip(padded, moves)])


def build():
    """Returns the network: N×8×8×1 in [0, 1] → N×10 probabilities."""
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1), name="image"),
            layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv_1"),
            layers.BatchNormalization(name="norm_1"),
            layers.ReLU(name="relu_1"),
            layers.Conv2D(32, 3, padding="same", name="conv_2"),
            layers.BatchNormalization(name="norm_2"),
            layers.ReLU(name="relu_2"),
            layers.MaxPooling2D(2, name="pool_1"),
            layers.Conv2D(48, 3, padding="same", name="conv_3"),
            layers.BatchNormalization(name="norm_3"),
            layers.ReLU(name="relu_3"),
            layers.MaxPooling2D(2, name="pool_2"),
            layers.Dropout(0.3, name="dropout_1"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense_1"),
            layers.Dropout(0.3, name="dropout_2"),
            layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="digits",
    )


def train(images, target):
    """Trains for a fixed number of epochs; the held-out images take no part in it."""
    rng = np.random.default_rng(SEED)
    model = build()
    steps = EPOCHS * -(-len(images) // 64)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))
        model.fit(
            shifted(images[order], rng), target[order], batch_size=64, shuffle=False, verbose=0
        )
    # A model that was never compiled, so that the file holds no optimizer state. `clone_model`
    # would compile it.
    plain = build()
    plain.set_weights(model.get_weights())
    return plain


def main():
    keras.utils.set_random_seed(SEED)
    pixels, target = load_pixels()
    train_indices, test_indices = split(target)
    write_images(pixels, target, test_indices)
    model = train(to_input(pixels[train_indices]), target[train_indices])

    model.save(HERE / "digits.keras")
    (HERE / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))

    probabilities = np.asarray(model(to_input(pixels[test_indices]), training=False))
    right = int((probabilities.argmax(axis=1) == target[test_indices]).sum())
    print(f"held-out accuracy: {right} of {HELD_OUT} = {right / HELD_OUT:.2%}")
    assert right >= 0.97 * HELD_OUT, "something is wrong with the training"


if __name__ == "__main__":
    main()
