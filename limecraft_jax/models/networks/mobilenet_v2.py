"""MobileNet V2: widen, filter every channel by itself, narrow again, 17 times.

Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
CVPR 2018, table 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
from flax import nnx

from limecraft_jax.models.networks.convert import Layout
from limecraft_jax.models.networks.layers import Conv, Dense, Network

if TYPE_CHECKING:
    from jaxtyping import Array, Float

STAGES = (  # (widening, output channels, blocks, stride of the first)
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nnx.Module):
    """1x1 to more channels -> a window for each by itself -> 1x1 to few, without activation."""

    def __init__(
        self, inputs: int, outputs: int, widening: int, stride: int, family: str, window: int = 3
    ):
        relu, wide = jax.nn.relu6, widening * inputs
        self.widen = Conv(inputs, wide, activation=relu) if widening > 1 else None
        self.depthwise = Conv(
            wide, wide, window, stride, family=family, depthwise=True, activation=relu
        )
        self.narrow = Conv(wide, outputs)
        self.residual = stride == 1 and inputs == outputs

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n p q d"]:
        """Pass a batch through."""
        y = self.narrow(self.depthwise(self.widen(x) if self.widen else x))
        return x + y if self.residual else y


class MobileNetV2(Network):
    """3x3 convolution -> 17 inverted residuals -> 1x1 convolution -> mean -> dense.

    Parameters
    ----------
    classes
        Number of classes k.
    family
        ``"torch"`` or ``"keras"``; they pad differently where the picture is halved.
    """

    def __init__(self, classes: int, family: str):
        self.stem = Conv(3, 32, 3, 2, family=family, activation=jax.nn.relu6)
        blocks, inputs = [], 32
        for widening, outputs, count, stride in STAGES:
            for i in range(count):
                step = 1 if i else stride
                blocks.append(InvertedResidual(inputs, outputs, widening, step, family))
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


STEPS = ("widen", "depthwise", "narrow")


def _blocks(stages: Sequence[tuple[int, ...]] = STAGES) -> list[tuple[int, int, tuple[str, ...]]]:
    """(stage, number in the stage, steps) of every block."""
    return [
        (stage, i, STEPS if widening > 1 else STEPS[1:])
        for stage, (widening, _, count, *_) in enumerate(stages)
        for i in range(count)
    ]


def timm_names(stages: Sequence[tuple[int, ...]]) -> dict[str, tuple[str, str]]:
    """timm's names of inverted residuals in stages, (widening, output channels, blocks, ...)."""
    names = {
        "stem": ("conv_stem", "bn1"),
        "last": ("conv_head", "bn2"),
        "dense": ("classifier", ""),
    }
    for n, (stage, i, steps) in enumerate(_blocks(stages)):
        theirs = ("conv_pw", "conv_dw", "conv_pwl") if len(steps) == 3 else ("conv_dw", "conv_pw")
        for k, (ours, conv) in enumerate(zip(steps, theirs, strict=True), 1):
            names[f"blocks.{n}.{ours}"] = f"blocks.{stage}.{i}.{conv}", f"blocks.{stage}.{i}.bn{k}"
    return names


def _torchvision() -> dict[str, tuple[str, str]]:
    names = {
        "stem": ("features.0.0", "features.0.1"),
        "last": ("features.18.0", "features.18.1"),
        "dense": ("classifier.1", ""),
    }
    for n, (_, _, steps) in enumerate(_blocks()):
        there = f"features.{n + 1}.conv"
        for k, ours in enumerate(steps[:-1]):
            names[f"blocks.{n}.{ours}"] = f"{there}.{k}.0", f"{there}.{k}.1"
        k = len(steps) - 1
        names[f"blocks.{n}.narrow"] = f"{there}.{k}", f"{there}.{k + 1}"
    return names


def _keras() -> dict[str, tuple[str, str]]:
    names = {
        "stem": ("Conv1", "bn_Conv1"),
        "last": ("Conv_1", "Conv_1_bn"),
        "dense": ("predictions", ""),
    }
    theirs = {"widen": "expand", "depthwise": "depthwise", "narrow": "project"}
    for n, (_, _, steps) in enumerate(_blocks()):
        there = f"block_{n}" if n else "expanded_conv"
        for ours in steps:
            conv = f"{there}_{theirs[ours]}"
            names[f"blocks.{n}.{ours}"] = conv, f"{conv}_BN"
    return names


NETWORK = MobileNetV2
LAYOUTS = (
    Layout("timm", "torch", 1e-5, timm_names(STAGES)),
    Layout("torchvision", "torch", 1e-5, _torchvision()),
    Layout("Keras", "keras", 1e-3, _keras()),
)
