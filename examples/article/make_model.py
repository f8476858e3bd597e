"""Saves keras.applications' InceptionV3, and what Keras answers for noise, to compare with.

    pip install keras tensorflow-cpu
    python make_model.py            # downloads the weights for ImageNet, 92 MB
    python make_model.py random     # the same network with random weights
"""

import sys

import keras
import numpy as np

weights = None if sys.argv[1:] == ["random"] else "imagenet"
model = keras.applications.InceptionV3(weights=weights)
model.save("inception_v3.keras")

images = np.random.default_rng(0).uniform(-1, 1, (4, 299, 299, 3)).astype("float32")
np.save("images.npy", images)
np.save("scores.npy", model.predict(images, verbose=0))

if weights:
    classes = keras.applications.imagenet_utils.decode_predictions(np.eye(1000), top=1)
    names = [name for [(_, name, _)] in classes]
else:
    names = [f"class_{number}" for number in range(1000)]
with open("imagenet.txt", "w") as file:
    file.writelines(f"{name}\n" for name in names)
