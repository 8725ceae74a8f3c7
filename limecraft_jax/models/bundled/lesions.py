"""Synthetic skin lesions: one small network with two sets of weights.

``lesions`` learned from pictures in which a ruler betrays one class, ``lesions-clean`` from
pictures in which it does not; see `dermoscopy` for the pictures. Neither
has ever seen a patient, and neither may be used on one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from flax import nnx

from limecraft_jax.models.bundled.dermoscopy import CLASSES
from limecraft_jax.models.card import ModelCard
from limecraft_jax.models.classifier import Classifier, load_weights

if TYPE_CHECKING:
    from jaxtyping import Array, Float


class LesionNet(nnx.Module):
    """patches 4x4 -> dense -> [3x3 convolution, group norm, ReLU] x 3 -> mean, maximum -> dense.

    A strided convolution is written as a reshape and a matrix product, and pooling as a mean over
    a reshaped axis: the same numbers, several times faster on a processor.
    """

    def __init__(self, rngs: nnx.Rngs):
        self.patches = nnx.Linear(4 * 4 * 3, 32, rngs=rngs)
        self.convolutions = nnx.List(
            nnx.Conv(i, o, (3, 3), rngs=rngs) for i, o in ((32, 32), (32, 64), (64, 64))
        )
        self.norms = nnx.List(nnx.GroupNorm(c, num_groups=8, rngs=rngs) for c in (32, 64, 64))
        self.dense = nnx.Linear(2 * 64, len(CLASSES), rngs=rngs)

    def __call__(self, images: Float[Array, "n 128 128 3"]) -> Float[Array, "n 7"]:
        """Logits of a batch of normalized images."""
        n, h, w, c = images.shape
        x = images.reshape(n, h // 4, 4, w // 4, 4, c).swapaxes(2, 3)
        x = jax.nn.relu(self.patches(x.reshape(n, h // 4, w // 4, 16 * c)))
        for stage, (convolution, norm) in enumerate(
            zip(self.convolutions, self.norms, strict=True)
        ):
            x = jax.nn.relu(norm(convolution(x)))
            if stage == 0:
                x = x.reshape(n, h // 8, 2, w // 8, 2, -1).mean((2, 4))
        return self.dense(jnp.concatenate([x.mean((1, 2)), x.max((1, 2))], axis=-1))


def build() -> LesionNet:
    """The network with freshly drawn weights."""
    return LesionNet(nnx.Rngs(0))


def load(name: str) -> Classifier:
    """The bundled classifier, ``lesions`` or ``lesions-clean``."""
    return load_weights(build, ModelCard.read(name))
