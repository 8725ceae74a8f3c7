"""MobileNet V1: a window for every channel, then a mixture of the channels, 13 times.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
2017, table 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
from flax import nnx

from limecraft_jax.models.networks.convert import Layout
from limecraft_jax.models.networks.layers import Conv, Dense, Network

if TYPE_CHECKING:
    from jaxtyping import Array, Float

STAGES = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5)
BLOCKS = (*STAGES, (1024, 2), (1024, 1))  # (output channels, stride)


class Separable(nnx.Module):
    """3x3 for every channel by itself -> 1x1 over all channels."""

    def __init__(self, inputs: int, outputs: int, stride: int, family: str):
        relu = jax.nn.relu6
        self.depthwise = Conv(
            inputs,
            inputs,
            3,
            stride,
            family=family,
            depthwise=True,
            activation=relu,
        )
        self.pointwise = Conv(inputs, outputs, activation=relu)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n p q d"]:
        """Pass a batch through."""
        return self.pointwise(self.depthwise(x))


class MobileNetV1(Network):
    """3x3 convolution -> 13 separable convolutions -> mean -> dense.

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
        for outputs, stride in BLOCKS:
            blocks.append(Separable(inputs, outputs, stride, family))
            inputs = outputs
        self.blocks = nnx.List(blocks)
        self.dense = Dense(inputs, classes)

    def features(self, images: Float[Array, "n h w 3"]) -> Float[Array, "n p q 1024"]:
        """The last maps that still know where something is."""
        x = self.stem(images)
        for block in self.blocks:
            x = block(x)
        return x


def _timm() -> dict[str, tuple[str, str]]:
    names = {"stem": ("conv_stem", "bn1"), "dense": ("classifier", "")}
    stage, i = -1, 0
    for n, (outputs, _) in enumerate(BLOCKS):
        new = n == 0 or outputs != BLOCKS[n - 1][0]
        stage, i = (stage + 1, 0) if new else (stage, i + 1)
        there = f"blocks.{stage}.{i}"
        names[f"blocks.{n}.depthwise"] = f"{there}.conv_dw", f"{there}.bn1"
        names[f"blocks.{n}.pointwise"] = f"{there}.conv_pw", f"{there}.bn2"
    return names


def _hugging_face() -> dict[str, tuple[str, str]]:
    def layer(name):
        return f"{name}.convolution", f"{name}.normalization"

    names = {"stem": layer("mobilenet_v1.conv_stem"), "dense": ("classifier", "")}
    for n in range(len(BLOCKS)):
        names[f"blocks.{n}.depthwise"] = layer(f"mobilenet_v1.layer.{2 * n}")
        names[f"blocks.{n}.pointwise"] = layer(f"mobilenet_v1.layer.{2 * n + 1}")
    return names


def _keras() -> dict[str, tuple[str, str]]:
    names = {"stem": ("conv1", "conv1_bn"), "dense": ("conv_preds", "")}
    for n in range(len(BLOCKS)):
        names[f"blocks.{n}.depthwise"] = f"conv_dw_{n + 1}", f"conv_dw_{n + 1}_bn"
        names[f"blocks.{n}.pointwise"] = f"conv_pw_{n + 1}", f"conv_pw_{n + 1}_bn"
    return names


NETWORK = MobileNetV1
LAYOUTS = (
    Layout("timm", "torch", 1e-5, _timm()),
    Layout("Hugging Face", "keras", 1e-3, _hugging_face()),
    Layout("Keras", "keras", 1e-3, _keras()),
)
