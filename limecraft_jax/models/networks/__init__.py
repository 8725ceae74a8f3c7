"""Architectures of photo classifiers, the table of them, and files of weights for them."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from flax import nnx

from limecraft_jax.models.classifier import Classifier
from limecraft_jax.models.networks import convert
from limecraft_jax.types import InputError, unknown

if TYPE_CHECKING:
    from limecraft_jax.models.card import ModelCard

__all__ = ["FAMILIES", "NETWORKS", "architecture", "fill", "read"]

FAMILIES = ("torch", "keras")


def read(path: Path, card: ModelCard) -> Classifier:
    """A classifier from a file of weights, in whatever layout they are published.

    Parameters
    ----------
    path
        A ``.safetensors`` file (timm, torchvision, Hugging Face, Keras or our own names) or an
        ``.h5`` one (keras.applications).
    card
        Its `network` and `classes` are needed. An empty `family` is taken from the layout.

    Raises
    ------
    InputError
        If the network is unknown, the file cannot be read, belongs to another network or to
        another number of classes, or holds NaN.
    """
    if card.network not in NETWORKS:
        raise unknown("network", card.network, NETWORKS)
    if card.family and card.family not in FAMILIES:
        raise unknown("family", card.family, FAMILIES)
    build, layouts = architecture(card.network)
    arrays = convert.read(path)
    family = card.family
    if not {f"{name}.kernel" for name in layouts[0].names} <= set(arrays):
        arrays, layout = convert.convert(arrays, layouts, title(build), family)
        family = family or layout.family
    elif not family:
        raise InputError(
            "family must be given for weights under our own names, got none: say torch or keras."
        )
    card = dataclasses.replace(card, family=family)
    found = np.size(arrays.get("dense.bias", card.classes))
    if found != len(card.classes):
        raise InputError(
            f"classes must name all {found} classes of the weights in {path.name}, "
            f"got {len(card.classes)} names."
        )
    return fill(build, arrays, card)


def architecture(name: str) -> tuple[Callable[..., nnx.Module], tuple[convert.Layout, ...]]:
    """What builds a network, given its number of classes and its family, and its layouts."""
    home, _, size = NETWORKS[name].partition(":")
    module = importlib.import_module(home)
    if not size:
        return module.NETWORK, module.LAYOUTS
    return functools.partial(module.NETWORK, size=int(size)), module.layouts(int(size))


def title(build: Callable[..., nnx.Module]) -> str:
    """What a network is called in errors: its class, and its size where there are several."""
    if isinstance(build, functools.partial):
        return f"{build.func.__name__}{build.keywords['size']}"
    return build.__name__


def fill(network: Callable[..., nnx.Module], arrays: convert.Arrays, card: ModelCard) -> Classifier:
    """A network with given weights; no initializer runs, only shapes are worked out."""
    build = functools.partial(network, len(card.classes), card.family)
    net, abstract = nnx.split(nnx.eval_shape(build), nnx.Param)
    flat, wrong = [], []
    for path, leaf in nnx.to_flat_state(abstract):
        key = ".".join(map(str, path))
        value = np.asarray(arrays.get(key, np.zeros(0)), np.float32)
        if value.shape != leaf.shape:
            wrong.append(f"{key} {value.shape} instead of {leaf.shape}")
        flat.append((path, leaf.replace(jnp.asarray(value, card.precision))))
    if wrong:
        more = f" and {len(wrong) - convert.MOST_TOLD} more" * (len(wrong) > convert.MOST_TOLD)
        raise InputError(
            f"weights of {title(network)} must have its shapes, got "
            f"{', '.join(wrong[: convert.MOST_TOLD])}{more}: choose the network that they were "
            "made for."
        )
    return Classifier(nnx.from_flat_state(flat), net, card)


NETWORKS = {  # where each is defined, and which size of it
    "inception_v3": "limecraft_jax.models.networks.inception",
    "resnet50": "limecraft_jax.models.networks.resnet",
    "mobilenet_v1": "limecraft_jax.models.networks.mobilenet_v1",
    "mobilenet_v2": "limecraft_jax.models.networks.mobilenet_v2",
} | {
    f"efficientnet_lite{size}": f"limecraft_jax.models.networks.efficientnet_lite:{size}"
    for size in range(5)
}
