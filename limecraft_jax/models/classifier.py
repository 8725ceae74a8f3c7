"""A Flax network as a function: images in [0, 1] in, probabilities out.

The network travels as a pytree (weights are leaves, architecture and card are static), so one
compiled step serves every image, and two models of one architecture share it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors.numpy import load_file, save

from limecraft_jax.models.card import PRECISIONS, WEIGHTS, ModelCard
from limecraft_jax.pytree import pytree
from limecraft_jax.types import InputError, unknown

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Array, Float


@pytree(static=("net", "card"))
class Classifier:
    """A network with its weights and its card.

    Attributes
    ----------
    weights
        The network's parameters, a pytree of arrays.
    net
        The architecture (``nnx.GraphDef``).
    card
        Class names, input size and normalization.
    """

    weights: Any
    net: Any
    card: ModelCard

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n k"]:
        """Class probabilities of a batch of prepared images, values in [0, 1]."""
        mean, std = jnp.array(self.card.mean), jnp.array(self.card.std)
        x = ((images - mean) / std).astype(self.card.precision)
        logits = nnx.merge(self.net, self.weights)(x)
        return jax.nn.softmax(logits.astype(jnp.float32), axis=-1)

    @property
    def batch(self) -> int:
        """How many pictures it is asked about at once."""
        return self.card.batch

    def with_batch(self, batch: int) -> Classifier:
        """The same network, asked about so many at once; their number moves the last digits."""
        card = dataclasses.replace(self.card, batch=batch)
        return Classifier(self.weights, self.net, card)

    def cast(self, precision: str) -> Classifier:
        """The same network computing in another precision, see `ModelCard.precision`.

        From float32 to bfloat16 and back loses what bfloat16 cannot hold.
        """
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS)
        weights = jax.tree.map(lambda leaf: leaf.astype(precision), self.weights)
        return Classifier(weights, self.net, dataclasses.replace(self.card, precision=precision))

    def prepare(self, image: np.ndarray) -> Float[np.ndarray, "h w c"]:
        """Bring a picture to what the network sees; see :func:`types.prepare`."""
        return self.card.prepare(image)


@jax.jit
def forward(classifier: Classifier, images: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
    """The one compiled step of a network: samples and edited pictures alike go through it."""
    return classifier(images)


def save_weights(network: nnx.Module, name: str, folder: Path = WEIGHTS) -> Path:
    """Store a network's parameters as ``<name>.safetensors`` and return the path."""
    flat = nnx.to_flat_state(nnx.state(network, nnx.Param))
    arrays = {".".join(map(str, path)): np.asarray(leaf[...]) for path, leaf in flat}
    path = folder / f"{name}.safetensors"
    path.write_bytes(save(arrays))
    return path


def load_weights(build: Any, card: ModelCard, folder: Path = WEIGHTS) -> Classifier:
    """Make a Classifier from ``<name>.safetensors`` without running an initializer.

    Parameters
    ----------
    build
        Makes the network, ``build() -> nnx.Module``; only its shapes are used.
    card
        The model's card; its name is the stem of the file.
    """
    arrays = load_file(folder / f"{card.name}.safetensors")
    net, abstract = nnx.split(nnx.eval_shape(build), nnx.Param)
    flat = []
    for path, leaf in nnx.to_flat_state(abstract):
        key = ".".join(map(str, path))
        found = arrays[key].shape if key in arrays else "nothing"
        if found != leaf.shape:
            raise InputError(
                f"{card.name}.safetensors must hold {key} {leaf.shape}, got {found}: "
                "take the weights that belong to this version, or train again."
            )
        flat.append((path, leaf.replace(jnp.asarray(arrays[key]))))
    return Classifier(nnx.from_flat_state(flat), net, card)
