"""Makes recipes/*.json and *.bin: tensors as the packages themselves make them.

Each script of `recipes/` writes one ecosystem. It needs, in one environment (Python 3.11):

    pip install pillow==13.0.0 torch==2.15.0 torchvision==0.29.2 timm==1.0.31 keras==3.15.1 \\
        tf_keras==2.21.0 tensorflow-cpu==2.21.0 opencv-python-headless==5.0.0.93 \\
        transformers==5.23.0 ultralytics==8.4.190 lobe==0.6.2 openvino-model-api==0.4.7

Two packages are asked in two versions. For the older ones, run their script again with them first
on the path:

    pip install --no-deps --target old transformers==4.57.6 "huggingface_hub<1.0" "tokenizers<0.23" \\
        ultralytics==8.0.200
    PYTHONPATH=old python recipes/make_transformers.py
    PYTHONPATH=old python recipes/make_ultralytics.py

torch chooses its kernel for bilinear bytes by what the processor has; these were made with AVX2.
"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "recipes"))

import records

SCRIPTS = ["keras", "torchvision", "timm", "transformers", "ultralytics", "scripts"]


def main():
    records.make_images()
    # A process each: TensorFlow and torch do not share one gladly.
    for name in sys.argv[1:] or SCRIPTS:
        script = records.HERE / f"make_{name}.py"
        subprocess.run([sys.executable, str(script)], check=True)


if __name__ == "__main__":
    main()
