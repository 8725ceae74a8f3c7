"""Classifiers: their cards, the registry, and the ways to run one.

A bundled model is one file in `bundled`, plus its name at the foot of this one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
from typing import TYPE_CHECKING, Any

from limecraft_jax.models.card import PRECISIONS, WEIGHTS, ModelCard
from limecraft_jax.types import InputError, unknown

if TYPE_CHECKING:
    from limecraft_jax.models.blackbox import BlackBox
    from limecraft_jax.models.classifier import Classifier

__all__ = [
    "BUNDLED",
    "MODELS",
    "PUBLIC",
    "WAYS",
    "adapt",
    "base_of",
    "blackbox",
    "card",
    "classifier",
    "fingerprint",
    "hub",
    "installed",
    "load",
    "onnxruntime_here",
    "pace",
    "ready",
    "registered",
    "require",
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
        ``"onnxruntime"``: by that library, usually faster on a processor; ``"openvino"``: by that
        one, in bfloat16 where the processor has it, then faster again; "": as it is.
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

    if way in RUNNERS:
        runner = importlib.import_module(f"limecraft_jax.models.formats.{RUNNERS[way]}")
        return runner.run(model)
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
    return _keeper(base).fingerprint(card(base))


def ready(name: str) -> bool:
    """Whether the weights of a registered model are on this machine; bundled ones always are."""
    return name in BUNDLED or _keeper(name).find(card(name)) is not None


def require(name: str) -> None:
    """Raise the error that says how to get the weights of a registered model if need be."""
    base = base_of(name)
    if base not in BUNDLED:
        _keeper(base).available(card(base))


def _keeper(base: str) -> Any:
    """The module that knows where the weights of a model are kept: `hub` or `installed`."""
    return importlib.import_module(MODELS[base])


RUNNERS = {"onnxruntime": "onnxfile", "openvino": "openvinorun"}
WAYS = {name: f"in {name}" for name in PRECISIONS} | {name: f"run by {name}" for name in RUNNERS}
MODELS = {
    "efficientnet_lite0": "limecraft_jax.models.installed",
    "lesions": "limecraft_jax.models.bundled.lesions",
    "lesions-clean": "limecraft_jax.models.bundled.lesions",
    "digits": "limecraft_jax.models.bundled.digits",
    "textures": "limecraft_jax.models.bundled.textures",
    "mobilenet_v2": "limecraft_jax.models.hub",
    "mobilenet_v1": "limecraft_jax.models.hub",
    "resnet50": "limecraft_jax.models.hub",
    "inception_v3": "limecraft_jax.models.hub",
}
# The weights are in this package; in a package of their own; or must be downloaded once.
BUNDLED = tuple(name for name, home in MODELS.items() if ".bundled." in home)
PUBLIC = tuple(name for name, home in MODELS.items() if home.endswith(".hub"))
