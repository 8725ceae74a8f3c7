"""The registry of classifiers: a model is one file in this folder plus its name below."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from limecraft_jax.models.card import ModelCard
from limecraft_jax.types import unknown

if TYPE_CHECKING:
    from limecraft_jax.models.classifier import Classifier


def card(name: str) -> ModelCard:
    """The card of a registered model, read without loading the network."""
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return ModelCard.read(name)


def load(name: str) -> Classifier:
    """Load a registered model with its weights.

    ``name@bfloat16`` computes in that precision, see `ModelCard.precision`.
    """
    name, _, precision = name.partition("@")
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    model = importlib.import_module(MODELS[name]).load(name)
    return model.cast(precision) if precision else model


def registered(name: str) -> bool:
    """Whether `load` knows a name, with or without a precision behind it."""
    return name.partition("@")[0] in MODELS


def ready(name: str) -> bool:
    """Whether the weights of a registered model are on this machine; bundled ones always are."""
    from limecraft_jax.models import hub

    return name in BUNDLED or hub.find(card(name)) is not None


MODELS = {
    "lesions": "limecraft_jax.models.lesions",
    "lesions-clean": "limecraft_jax.models.lesions",
    "digits": "limecraft_jax.models.digits",
    "textures": "limecraft_jax.models.textures",
    "mobilenet_v2": "limecraft_jax.models.hub",
    "mobilenet_v1": "limecraft_jax.models.hub",
    "resnet50": "limecraft_jax.models.hub",
    "inception_v3": "limecraft_jax.models.hub",
}
# Their weights are in the package; those of the others must be downloaded once.
BUNDLED = tuple(name for name, home in MODELS.items() if not home.endswith(".hub"))
