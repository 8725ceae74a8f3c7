"""ResNet-50: 16 blocks of three convolutions, each with a way around it.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1. The
torch family halves the picture in the 3x3 convolution of a block (known as v1.5), the Keras
family in the first 1x1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
from flax import nnx

from limecraft_jax.models.networks.convert import Layout
from limecraft_jax.models.networks.layers import Conv, Dense, Network, even, max_pool

if TYPE_CHECKING:
    from jaxtyping import Array, Float

STAGES = (3, 4, 6, 3)  # blocks at 56, 28, 14 and 7 pixels


class Bottleneck(nnx.Module):
    """1x1 to fewer channels -> 3x3 -> 1x1 to four times as many, plus what came in."""

    def __init__(self, inputs: int, width: int, stride: int, family: str):
        first, second = (stride, 1) if family == "keras" else (1, stride)
        relu = jax.nn.relu
        self.conv1 = Conv(inputs, width, 1, first, activation=relu)
        self.conv2 = Conv(width, width, 3, second, activation=relu)
        self.conv3 = Conv(width, 4 * width)
        self.around = Conv(inputs, 4 * width, 1, stride) if inputs != 4 * width else None

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n p q d"]:
        """Pass a batch through."""
        y = self.conv3(self.conv2(self.conv1(x)))
        return jax.nn.relu(y + (self.around(x) if self.around else x))


class ResNet50(Network):
    """7x7 convolution -> 16 bottlenecks -> mean -> dense.

    Parameters
    ----------
    classes
        Number of classes k.
    family
        ``"torch"`` (v1.5) or ``"keras"`` (v1).
    """

    def __init__(self, classes: int, family: str):
        self.stem = Conv(3, 64, 7, 2, activation=jax.nn.relu)
        blocks, inputs = [], 64
        for stage, count in enumerate(STAGES):
            width = 64 * 2**stage
            for i in range(count):
                stride = 2 if stage and not i else 1
                blocks.append(Bottleneck(inputs, width, stride, family))
                inputs = 4 * width
        self.blocks = nnx.List(blocks)
        self.dense = Dense(inputs, classes)

    def features(self, images: Float[Array, "n h w 3"]) -> Float[Array, "n p q 2048"]:
        """The last maps that still know where something is."""
        x = max_pool(self.stem(images), 3, 2, even((3, 3)))
        for block in self.blocks:
            x = block(x)
        return x


def _torch() -> dict[str, tuple[str, str]]:
    names = {"stem": ("conv1", "bn1"), "dense": ("fc", "")}
    for block, (stage, i) in enumerate(_blocks()):
        there = f"layer{stage}.{i}"
        for n in (1, 2, 3):
            names[f"blocks.{block}.conv{n}"] = f"{there}.conv{n}", f"{there}.bn{n}"
        if not i:
            names[f"blocks.{block}.around"] = f"{there}.downsample.0", f"{there}.downsample.1"
    return names


def _keras() -> dict[str, tuple[str, str]]:
    names = {"stem": ("conv1_conv", "conv1_bn"), "dense": ("predictions", "")}
    for block, (stage, i) in enumerate(_blocks()):
        there = f"conv{stage + 1}_block{i + 1}"
        for n, ours in enumerate(("around", "conv1", "conv2", "conv3")):
            if n or not i:
                names[f"blocks.{block}.{ours}"] = f"{there}_{n}_conv", f"{there}_{n}_bn"
    return names


def _blocks() -> list[tuple[int, int]]:
    return [(stage, i) for stage, count in enumerate(STAGES, 1) for i in range(count)]


NETWORK = ResNet50
LAYOUTS = (
    Layout("timm and torchvision", "torch", 1e-5, _torch()),
    Layout("Keras", "keras", 1.001e-5, _keras()),
)
