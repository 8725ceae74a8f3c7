"""How the bundled networks learn, and how what they learned is measured and stored."""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from limecraft_jax.models.classifier import Classifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jaxtyping import Array, Float, Int, Key

    from limecraft_jax.models.card import ModelCard

BATCH = 64
# Weight of the squared difference between the log-probabilities of a picture's two versions.
AGREEMENT = 5.0


def fit(
    network: nnx.Module,
    card: ModelCard,
    images: np.ndarray,
    labels: Int[np.ndarray, " n"] | Float[np.ndarray, "n k"],
    augment: Callable[[Key[Array, ""], Float[Array, "h w c"]], Float[Array, "h w c"]],
    steps: int,
    rate: float,
    seed: int,
    others: np.ndarray | None = None,
) -> nnx.Module:
    """Train with AdamW, a warm-up and a cosine decay; the loss is the cross-entropy.

    Parameters
    ----------
    network
        The network with freshly drawn weights.
    card
        Its normalization and classes.
    images, labels
        Pictures, floats in [0, 1] or integers in 0..255, and class indices, which are smoothed by
        0.02, or the probabilities wanted.
    augment
        Changes one picture at random; called on every picture of a batch.
    steps
        Number of batches.
    rate
        Largest learning rate.
    seed
        Orders the pictures and drives the augmentation.
    others
        Other versions of every picture, shape (v, n, h, w, c). Each batch then holds half as many
        pictures, each beside one of its other versions, and answering the two differently costs.
    """
    net, weights = nnx.split(network, nnx.Param)
    schedule = optax.warmup_cosine_decay_schedule(0, rate, max(1, steps // 20), max(2, steps))
    optimizer = optax.adamw(schedule, weight_decay=1e-3)
    scale = 255 if images.dtype == np.uint8 else 1

    @jax.jit
    def step(weights, state, key, batch, wanted):
        keys = jax.random.split(key, len(wanted))
        batch = jax.vmap(jax.vmap(augment), (None, 0))(keys, batch / scale)
        batch = (batch - jnp.array(card.mean)) / jnp.array(card.std)

        def loss(weights):
            logits = nnx.merge(net, weights)(batch.reshape(-1, *batch.shape[2:]))
            logits = jax.nn.log_softmax(logits).reshape(*batch.shape[:2], -1)
            goal = wanted
            if wanted.ndim == 1:
                goal = optax.smooth_labels(jax.nn.one_hot(wanted, len(card.classes)), 0.02)
            wrong = -(goal * logits).sum(-1).mean()
            return wrong + AGREEMENT * ((logits - logits.mean(0)) ** 2).mean()

        value, gradient = jax.value_and_grad(loss)(weights)
        updates, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, updates), state, value

    state, rng = optimizer.init(weights), np.random.default_rng(seed)
    order: list[int] = []
    size = BATCH if others is None else BATCH // 2
    for number, key in enumerate(jax.random.split(jax.random.key(seed), steps)):
        if len(order) < size:
            order = rng.permutation(len(images)).tolist() + order
        chosen, order = order[-size:], order[:-size]
        batch = images[chosen][None]
        if others is not None:
            other = others[rng.integers(len(others), size=len(chosen)), chosen][None]
            batch = np.concatenate([batch, other])
        weights, state, value = step(weights, state, key, batch, labels[chosen])
        if number % 50 == 0 or number == steps - 1:
            print(f"step {number + 1} of {steps}: loss {float(value):.3f}", flush=True)
    return nnx.merge(net, weights)


def answers(classifier: Classifier, images: np.ndarray) -> Int[np.ndarray, " n"]:
    """The likeliest class of every picture, floats in [0, 1] or integers in 0..255."""
    scale = np.float32(255 if images.dtype == np.uint8 else 1)
    size = classifier.card.batch
    query, found = jax.jit(Classifier.__call__), []
    for first in range(0, len(images), size):
        batch = images[first : first + size] / scale
        padded = np.concatenate(
            [batch, np.zeros((size - len(batch), *batch.shape[1:]), np.float32)]
        )
        found.append(np.asarray(query(classifier, padded)).argmax(1)[: len(batch)])
    return np.concatenate(found)


def describe(network: nnx.Module, card: ModelCard) -> ModelCard:
    """The card with what the trained network itself says."""
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))
    today = datetime.date.today().isoformat()
    return dataclasses.replace(card, parameters=count, trained=today, license="MIT")


def store(card: ModelCard, out: Path, found: dict[str, float]) -> ModelCard:
    """Write the card with what was measured."""
    rounded = tuple((what, round(float(value), 4)) for what, value in found.items())
    card = dataclasses.replace(card, accuracy=rounded)
    card.write(out)
    for what, value in rounded:
        print(f"{card.name}: {what} {value:.3f}")
    return card
