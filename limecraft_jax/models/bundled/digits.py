"""Handwritten digits: the network of the LIMEcraft paper on scikit-learn's pictures.

One convolution with ReLU, max-pooling, flattening and one dense layer (Hryniewska, Grudzień and
Biecek, "LIMEcraft", 2022, section 4.2). It is small enough to be read in full and right often
enough that its mistakes are worth an explanation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np
from flax import nnx

from limecraft_jax.models.card import ModelCard
from limecraft_jax.models.classifier import Classifier, load_weights
from limecraft_jax.pixels import prepare

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

SIDE = 28
CLASSES = tuple("0123456789")


class DigitNet(nnx.Module):
    """convolve 3x3 -> ReLU -> max-pool 2x2 -> flatten -> dense."""

    def __init__(self, rngs: nnx.Rngs):
        self.convolution = nnx.Conv(1, 32, (3, 3), padding="VALID", rngs=rngs)
        pooled = (SIDE - 2) // 2
        self.dense = nnx.Linear(pooled * pooled * 32, len(CLASSES), rngs=rngs)

    def __call__(self, images: Float[Array, "n 28 28 1"]) -> Float[Array, "n 10"]:
        """Logits of a batch of normalized images."""
        x = jax.nn.relu(self.convolution(images))
        n, h, w, c = x.shape
        x = x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))
        return self.dense(x.reshape(n, -1))


def build() -> DigitNet:
    """The network with freshly drawn weights."""
    return DigitNet(nnx.Rngs(0))


def load(name: str) -> Classifier:
    """The bundled classifier."""
    return load_weights(build, ModelCard.read(name))


def split(
    seed: int = 0,
) -> tuple[
    Float[np.ndarray, "m 28 28 1"],
    Int[np.ndarray, " m"],
    Float[np.ndarray, "n 28 28 1"],
    Int[np.ndarray, " n"],
]:
    """Training images and labels, then held-out images and labels (a quarter, stratified).

    The 1797 digits of 8x8 pixels (Alpaydin and Kaynak 1998, by way of ``load_digits``) go through
    the same preparation as a user's picture: bright ink on black, values in [0, 1].

    Parameters
    ----------
    seed
        Which quarter is held out. The bundled weights belong to 0.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.stack([prepare(image / 16, SIDE, SIDE, 1) for image in digits.images])
    train, held_out, train_labels, held_out_labels = train_test_split(
        images, digits.target, test_size=0.25, random_state=seed, stratify=digits.target
    )
    return train, train_labels, held_out, held_out_labels
