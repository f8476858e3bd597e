"""Makes linear.json: what OpenCV 5.0.0 and TensorFlow 2.21.0 give for formula images.

A case stores the CRC-32 of the wanted samples, row after row with the channels together: of the
bytes of OpenCV's INTER_LINEAR, and of the little-endian f32 of tf.image.resize.
"""

import json
import pathlib
import zlib

import cv2
import numpy
import tensorflow

# (height, width), target (height, width), crop (top, left, height, width)
SHAPES = [
    ((1, 1), (3, 2), (0, 0, 3, 2)),
    ((5, 7), (3, 4), (0, 0, 3, 4)),
    ((5, 7), (11, 16), (2, 3, 7, 12)),
    ((48, 64), (24, 32), (0, 0, 24, 32)),
    ((75, 100), (32, 42), (4, 9, 24, 24)),
    ((100, 75), (42, 32), (9, 4, 24, 24)),
    ((13, 11), (13, 11), (2, 3, 7, 5)),
    ((13, 11), (13, 29), (1, 0, 9, 29)),
    ((3, 700), (2, 9), (0, 1, 2, 8)),
]


def formula(size, channels):
    y, x, k = numpy.indices((*size, channels))
    return ((37 * y + 59 * x + 101 * k + 13 * x * y) % 256).astype(numpy.uint8)


def checksum(image, crop):
    top, left, height, width = crop
    return zlib.crc32(image[top : top + height, left : left + width].tobytes())


def main():
    cases = []
    for size, target, crop in SHAPES:
        for channels in (1, 3):
            image = formula(size, channels)
            linear = cv2.resize(image, target[::-1], interpolation=cv2.INTER_LINEAR)
            bilinear = tensorflow.image.resize(image.astype(numpy.float32), target).numpy()
            cases.append({
                "size": size,
                "channels": channels,
                "target": target,
                "crop": crop,
                "opencv": checksum(linear, crop),
                "tensorflow": checksum(bilinear, crop),
            })
    versions = {"opencv": cv2.__version__, "tensorflow": tensorflow.__version__}
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    text = f'{{"versions":{json.dumps(versions)},"cases":[\n{lines}\n]}}\n'
    pathlib.Path(__file__).with_name("linear.json").write_text(text)


if __name__ == "__main__":
    main()
