"""Classifiers: their cards, the registry, and the ways to run one.

A bundled model is one file in `bundled`, plus its name at the foot of this one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
from typing import TYPE_CHECKING

from limecraft_jax.models.card import PRECISIONS, WEIGHTS, ModelCard
from limecraft_jax.types import InputError, unknown

if TYPE_CHECKING:
    from limecraft_jax.models.blackbox import BlackBox
    from limecraft_jax.models.classifier import Classifier

__all__ = [
    "BUNDLED",
    "MODELS",
    "WAYS",
    "adapt",
    "base_of",
    "blackbox",
    "card",
    "classifier",
    "fingerprint",
    "hub",
    "load",
    "onnxruntime_here",
    "pace",
    "ready",
    "registered",
    "split",
]


def card(name: str) -> ModelCard:
    """The card of a registered model, read without loading the network."""
    base = base_of(name)
    if base not in MODELS:
        raise unknown("model", base, MODELS)
    card = ModelCard.read(base)
    way = name[len(base) + 1 :]
    if not way:
        return card
    if way not in WAYS:
        raise unknown("the way to run a model", way, WAYS)
    return dataclasses.replace(card, name=name, title=f"{card.title}, {WAYS[way]}")


def load(name: str) -> Classifier | BlackBox:
    """Load a registered model with its weights; ``name@way`` runs it as `adapt` says."""
    base = base_of(name)
    if base not in MODELS:
        raise unknown("model", base, MODELS)
    return adapt(importlib.import_module(MODELS[base]).load(base), name[len(base) + 1 :])


def adapt(model: Classifier | BlackBox, way: str) -> Classifier | BlackBox:
    """The same network, run in another way.

    Parameters
    ----------
    model
        A Flax network; anything else only as it is.
    way
        ``"bfloat16"`` or ``"float32"``: computed in that precision, see `ModelCard.precision`;
        ``"onnxruntime"``: by that library, usually faster on a processor; "": as it is.
    """
    from limecraft_jax.models.classifier import Classifier

    if not way:
        return model
    if way not in WAYS:
        raise unknown("the way to run a model", way, WAYS)
    if not isinstance(model, Classifier):
        raise InputError(
            f"@{way} is for Flax networks, got a {type(model).__name__}: leave it out."
        )
    from limecraft_jax.models import pace
    from limecraft_jax.models.formats import onnxfile

    if way == "onnxruntime":
        return onnxfile.run(model)
    cast = model.cast(way)
    return pace.settle(cast) if cast.card.network else cast


def split(name: str) -> tuple[str, str]:
    """The name of a model, a file or an attribute, and the way behind it; "" if there is none."""
    base, _, way = name.rpartition("@")
    return (base, way) if base and way in WAYS else (name, "")


def base_of(name: str) -> str:
    """The name of a registered model without the way behind it."""
    return name.partition("@")[0]


def registered(name: str) -> bool:
    """Whether `load` knows a name, with or without a way behind it."""
    return base_of(name) in MODELS


def onnxruntime_here() -> bool:
    """Whether the packages are installed that `adapt` needs for ``"onnxruntime"``."""
    return all(map(importlib.util.find_spec, ("onnx", "onnxruntime")))


def fingerprint(name: str) -> str:
    """SHA-256 of the weights of a registered model; empty if they are not here, and for others."""
    base = base_of(name)  # the file is the same in every way
    if base not in MODELS:
        return ""
    if base in BUNDLED:
        return hashlib.sha256((WEIGHTS / f"{base}.safetensors").read_bytes()).hexdigest()
    from limecraft_jax.models import hub

    return hub.fingerprint(card(base))


def ready(name: str) -> bool:
    """Whether the weights of a registered model are on this machine; bundled ones always are."""
    from limecraft_jax.models import hub

    return name in BUNDLED or hub.find(card(name)) is not None


WAYS = {name: f"in {name}" for name in PRECISIONS} | {"onnxruntime": "run by onnxruntime"}
MODELS = {
    "lesions": "limecraft_jax.models.bundled.lesions",
    "lesions-clean": "limecraft_jax.models.bundled.lesions",
    "digits": "limecraft_jax.models.bundled.digits",
    "textures": "limecraft_jax.models.bundled.textures",
    "mobilenet_v2": "limecraft_jax.models.hub",
    "mobilenet_v1": "limecraft_jax.models.hub",
    "resnet50": "limecraft_jax.models.hub",
    "inception_v3": "limecraft_jax.models.hub",
}
# Their weights are in the package; those of the others must be downloaded once.
BUNDLED = tuple(name for name, home in MODELS.items() if not home.endswith(".hub"))
