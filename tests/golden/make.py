"""Ask the peer libraries and store what they answer: run by hand, where they are installed.

    pip install torch torchvision timm transformers keras h5py jax efficientnet_lite_pytorch
    python -m tests.golden.make

One file for each: the names and shapes of its weights, and its logits for two pictures with the
weights of :mod:`tests.golden.weights`.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path

import numpy as np

from tests.golden.weights import array, pictures

FOLDER = Path(__file__).parent
os.environ["KERAS_BACKEND"] = "jax"


def store(name: str, network: str, shapes: dict, logits: np.ndarray, size, versions: str) -> None:
    """Write one file, after a look at whether the answers depend on the pictures at all."""
    spread = np.abs(logits[0] - logits[1]).mean() / np.abs(logits).mean()
    assert np.isfinite(logits).all()
    assert spread > 0.05, f"{name} is blind: {spread}"
    facts = {"network": network, "size": size, "shapes": shapes, "versions": versions}
    facts_bytes = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez_compressed(FOLDER / f"{name}.npz", facts=facts_bytes, logits=logits.astype(np.float32))
    print(f"{name}: spread between pictures {spread:.2f}, {len(shapes)} arrays")


def with_torch(name: str, network: str, model, size, answer=lambda out: out) -> None:
    """A PyTorch module."""
    import torch

    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    made = {key: torch.from_numpy(array(key, tuple(shape))) for key, shape in shapes.items()}
    model.load_state_dict(made)
    model.eval()
    with torch.no_grad():
        images = torch.from_numpy(pictures(*size).transpose(0, 3, 1, 2).copy())
        logits = answer(model(images)).numpy()
    store(name, network, shapes, logits, size, f"torch {torch.__version__}")


def with_keras(name: str, network: str, build, size, classes: int) -> None:
    """A network of keras.applications."""
    import keras

    model = build(weights=None, input_shape=(*size, 3), classes=classes, classifier_activation=None)
    shapes = {}
    for layer in model.layers:
        parts = [weight.name.replace("depthwise_kernel", "kernel") for weight in layer.weights]
        keys = [f"{layer.name}.{part}" for part in parts]
        shapes |= {k: list(w.shape) for k, w in zip(keys, layer.weights, strict=True)}
        if keys:
            layer.set_weights(
                [array(k, tuple(w.shape)) for k, w in zip(keys, layer.weights, strict=True)]
            )
    logits = np.asarray(model(pictures(*size), training=False))
    store(name, network, shapes, logits, size, f"keras {keras.__version__}")


@functools.cache
def torchvision():
    """The library, also beside a build of PyTorch that it was not made for."""
    try:
        import torchvision
    except RuntimeError:  # its own operators are missing; timm and its models need none of them
        from torch import library

        for op in ("nms", "qnms"):
            takes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            library.define(f"torchvision::{op}", takes)
        import torchvision

    return torchvision


def package(name: str, **settings):
    """A network of the package efficientnet_lite_pytorch."""
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name(name, **settings)


def main(wanted: list[str]) -> None:
    """Make all files, or those named."""
    vision = torchvision()
    import keras
    import timm
    import transformers

    small, odd = (128, 96), (139, 107)
    mobile = transformers.MobileNetV1Config(num_labels=1001)
    apps = keras.applications
    jobs = {
        "timm-inception_v3": lambda n: with_torch(
            n, "inception_v3", timm.create_model("inception_v3", num_classes=1000), odd
        ),
        "torchvision-inception_v3": lambda n: with_torch(
            n,
            "inception_v3",
            vision.models.inception_v3(
                weights=None, num_classes=7, aux_logits=True, init_weights=False
            ),
            odd,
        ),
        "keras-inception_v3": lambda n: with_keras(n, "inception_v3", apps.InceptionV3, odd, 1000),
        "timm-resnet50": lambda n: with_torch(
            n, "resnet50", timm.create_model("resnet50", num_classes=10), small
        ),
        "torchvision-resnet50": lambda n: with_torch(
            n, "resnet50", vision.models.resnet50(weights=None), odd
        ),
        "keras-resnet50": lambda n: with_keras(n, "resnet50", apps.ResNet50, small, 10),
        "timm-mobilenet_v1": lambda n: with_torch(
            n, "mobilenet_v1", timm.create_model("mobilenetv1_100"), small
        ),
        "huggingface-mobilenet_v1": lambda n: with_torch(
            n,
            "mobilenet_v1",
            transformers.MobileNetV1ForImageClassification(mobile),
            odd,
            lambda out: out.logits,
        ),
        "keras-mobilenet_v1": lambda n: with_keras(n, "mobilenet_v1", apps.MobileNet, small, 7),
        "timm-mobilenet_v2": lambda n: with_torch(
            n, "mobilenet_v2", timm.create_model("mobilenetv2_100", num_classes=3), small
        ),
        "torchvision-mobilenet_v2": lambda n: with_torch(
            n, "mobilenet_v2", vision.models.mobilenet_v2(weights=None), odd
        ),
        "timm-efficientnet_lite0": lambda n: with_torch(
            n, "efficientnet_lite0", timm.create_model("efficientnet_lite0", num_classes=5), odd
        ),
        "tensorflow-efficientnet_lite0": lambda n: with_torch(
            n, "efficientnet_lite0", timm.create_model("tf_efficientnet_lite0", num_classes=5), odd
        ),
        "package-efficientnet_lite2": lambda n: with_torch(
            n,
            "efficientnet_lite2",
            package("efficientnet-lite2", num_classes=5, image_size=list(small)),
            small,
        ),
        "keras-mobilenet_v2": lambda n: with_keras(n, "mobilenet_v2", apps.MobileNetV2, odd, 1000),
    }
    for name, job in jobs.items():
        if not wanted or name in wanted:
            job(name)


if __name__ == "__main__":
    main(sys.argv[1:])
