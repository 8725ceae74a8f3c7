"""Small networks and pictures whose explanation is known, for the tests of the path."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from limecraft_jax.models.card import ModelCard
from limecraft_jax.models.classifier import Classifier
from limecraft_jax.types import Segmentation


class Linear(nnx.Module):
    """Logits that are linear in the pixels; counts how often it is traced."""

    traces = 0

    def __init__(self, weights):
        self.weights = nnx.Param(jnp.asarray(weights))

    def __call__(self, images):
        type(self).traces += 1
        return jnp.einsum("nhwc,hwck->nk", images, self.weights[...], precision="highest")


def card(h: int, w: int, c: int, k: int, batch: int = 32) -> ModelCard:
    """A card for a test network."""
    return ModelCard(
        name="tiny",
        title="tiny",
        about="",
        classes=tuple(f"class {i}" for i in range(k)),
        height=h,
        width=w,
        channels=c,
        mean=(0.0,) * c,
        std=(1.0,) * c,
        batch=batch,
    )


def classifier(h: int = 12, w: int = 10, c: int = 3, k: int = 3, batch: int = 32, seed: int = 0):
    """A softmax over linear logits, as a Flax Classifier."""
    weights = np.random.default_rng(seed).normal(size=(h, w, c, k)).astype(np.float32) * 0.1
    net, state = nnx.split(Linear(weights), nnx.Param)
    return Classifier(state, net, card(h, w, c, k, batch))


def same_on_the_host(flax: Classifier):
    """The same function as a plain NumPy callable."""
    weights = np.asarray(jax.tree.leaves(flax.weights)[0])

    def predict(images):
        logits = np.einsum("nhwc,hwck->nk", images, weights)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    return predict


def picture(h: int = 12, w: int = 10, c: int = 3, seed: int = 0) -> np.ndarray:
    """Random pixels."""
    return np.random.default_rng(seed).random((h, w, c)).astype(np.float32)


def tiles(h: int, w: int, rows: int, columns: int) -> Segmentation:
    """A regular grid of superpixels."""
    r = np.arange(h) * rows // h
    c = np.arange(w) * columns // w
    labels = (r[:, None] * columns + c).astype(np.int32)
    return Segmentation(labels, np.zeros(rows * columns, np.int32))
