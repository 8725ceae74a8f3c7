"""Brick, grass or gravel: a small network on real photographs that names what covers most.

It judges every place of a picture by itself and then adds up, so the truth of an explanation is
known: see `composites` for pictures that show several textures at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
from flax import nnx

from limecraft_jax.models.bundled.composites import CLASSES
from limecraft_jax.models.card import ModelCard
from limecraft_jax.models.classifier import Classifier, load_weights

if TYPE_CHECKING:
    from jaxtyping import Array, Float


class TextureNet(nnx.Module):
    """patches 4x4 -> dense -> [3x3 convolution, layer norm, ReLU] x 2 -> dense, ReLU -> evidence.

    With e[i, k] the evidence that place i, one of 16 x 16, gives for class k, the answer is
    p[k] = Σ_i exp(e[i, k]) / Σ_i Σ_l exp(e[i, l]), the share of all evidence: places add up, and a
    flat one can abstain. The norm looks at the channels of one place alone, so a place sees a
    window of 32 x 32 pixels and nothing else.
    """

    def __init__(self, rngs: nnx.Rngs):
        self.patches = nnx.Linear(4 * 4, 32, rngs=rngs)
        self.convolutions = nnx.List(
            nnx.Conv(i, o, (3, 3), rngs=rngs) for i, o in ((32, 32), (32, 96))
        )
        self.norms = nnx.List(nnx.LayerNorm(c, rngs=rngs) for c in (32, 96))
        self.hidden = nnx.Linear(96, 64, rngs=rngs)
        self.dense = nnx.Linear(64, len(CLASSES), rngs=rngs)

    def evidence(self, images: Float[Array, "n 128 128 1"]) -> Float[Array, "n 16 16 3"]:
        """Evidence of each place of 8x8 pixels for each class, of normalized images."""
        n, h, w, _ = images.shape
        x = images.reshape(n, h // 4, 4, w // 4, 4).swapaxes(2, 3)
        x = jax.nn.relu(self.patches(x.reshape(n, h // 4, w // 4, 16)))
        for stage, (convolution, norm) in enumerate(
            zip(self.convolutions, self.norms, strict=True)
        ):
            x = jax.nn.relu(norm(convolution(x)))
            if stage == 0:
                x = x.reshape(n, h // 8, 2, w // 8, 2, -1).mean((2, 4))
        return self.dense(jax.nn.relu(self.hidden(x)))

    def __call__(self, images: Float[Array, "n 128 128 1"]) -> Float[Array, "n 3"]:
        """Logits of a batch of normalized images: log Σ_i exp(e[i, k])."""
        return jax.nn.logsumexp(self.evidence(images), axis=(1, 2))


def build() -> TextureNet:
    """The network with freshly drawn weights."""
    return TextureNet(nnx.Rngs(0))


def load(name: str) -> Classifier:
    """The bundled classifier."""
    return load_weights(build, ModelCard.read(name))
