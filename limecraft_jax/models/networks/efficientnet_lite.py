"""EfficientNet-Lite: the blocks of MobileNet V2 in other numbers, some with windows of 5x5.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
table 1, as its authors trimmed it for small devices (Liu, 2020): no squeeze-and-excitation, ReLU6
for swish, and neither the first layers nor the last grow with the size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import jax
from flax import nnx

from limecraft_jax.models.networks.convert import Layout
from limecraft_jax.models.networks.layers import Conv, Dense, Network
from limecraft_jax.models.networks.mobilenet_v2 import InvertedResidual, timm_names

if TYPE_CHECKING:
    from jaxtyping import Array, Float

STAGES = (  # (widening, output channels, blocks, stride of the first, window)
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
SIZES = (  # of Lite0 to Lite4: (factor of channels, factor of blocks, pixels)
    (1.0, 1.0, 224),
    (1.0, 1.1, 240),
    (1.1, 1.2, 260),
    (1.2, 1.4, 280),
    (1.4, 1.8, 300),
)
DIVISOR = 8  # all channels are multiples of it
LEAST = 0.9  # rounding must not lose more than a tenth of the channels


def channels(count: int, factor: float) -> int:
    """So many channels times a factor, rounded to a multiple of 8.

    >>> channels(24, 1.1), channels(40, 1.1), channels(80, 1.4)
    (24, 48, 112)
    """
    wanted = count * factor
    rounded = max(DIVISOR, int(wanted + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded if rounded >= LEAST * wanted else rounded + DIVISOR


def stages(size: int) -> tuple[tuple[int, int, int, int, int], ...]:
    """`STAGES` for one of the `SIZES`: more channels, and more blocks between first and last."""
    width, depth, _ = SIZES[size]
    return tuple(
        (
            widening,
            channels(outputs, width),
            count if stage in (0, len(STAGES) - 1) else math.ceil(count * depth),
            stride,
            window,
        )
        for stage, (widening, outputs, count, stride, window) in enumerate(STAGES)
    )


class EfficientNetLite(Network):
    """3x3 convolution -> 16 to 30 inverted residuals -> 1x1 convolution -> mean -> dense.

    Parameters
    ----------
    classes
        Number of classes k.
    family
        ``"keras"`` for weights that come from TensorFlow, ``"torch"`` for those trained in PyTorch;
        they pad differently where the picture is halved.
    size
        0 to 4, see `SIZES`.
    """

    def __init__(self, classes: int, family: str, size: int = 0):
        self.stem = Conv(3, 32, 3, 2, family=family, activation=jax.nn.relu6)
        blocks, inputs = [], 32
        for widening, outputs, count, stride, window in stages(size):
            for i in range(count):
                step = 1 if i else stride
                blocks.append(InvertedResidual(inputs, outputs, widening, step, family, window))
                inputs = outputs
        self.blocks = nnx.List(blocks)
        self.last = Conv(inputs, 1280, activation=jax.nn.relu6)
        self.dense = Dense(1280, classes)

    def features(self, images: Float[Array, "n h w 3"]) -> Float[Array, "n p q 1280"]:
        """The last maps that still know where something is."""
        x = self.stem(images)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def _package(size: int) -> dict[str, tuple[str, str]]:
    """Names of the package efficientnet_lite_pytorch, which continues efficientnet_pytorch."""
    names = {
        "stem": ("_conv_stem", "_bn0"),
        "last": ("_conv_head", "_bn1"),
        "dense": ("_fc", ""),
    }
    theirs = {"widen": ("expand", 0), "depthwise": ("depthwise", 1), "narrow": ("project", 2)}
    widenings = [widening for widening, _, count, *_ in stages(size) for _ in range(count)]
    for n, widening in enumerate(widenings):
        for ours, (conv, k) in theirs.items():
            if ours != "widen" or widening > 1:
                there = f"_blocks.{n}"
                names[f"blocks.{n}.{ours}"] = f"{there}._{conv}_conv", f"{there}._bn{k}"
    return names


def layouts(size: int) -> tuple[Layout, ...]:
    """How weights of one of the `SIZES` are published.

    timm names its own and those from TensorFlow (``tf_efficientnet_lite0``) alike; they differ in
    arithmetic, so that the family must be told.
    """
    timm = timm_names(stages(size))
    return (
        Layout("efficientnet_lite_pytorch", "keras", 1e-3, _package(size)),
        Layout("timm", "torch", 1e-5, timm),
        Layout("timm", "keras", 1e-3, timm),
    )


NETWORK = EfficientNetLite
