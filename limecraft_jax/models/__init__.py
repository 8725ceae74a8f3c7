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
    """Load a registered model with its weights."""
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return importlib.import_module(MODELS[name]).load(name)


MODELS = {
    "lesions": "limecraft_jax.models.lesions",
    "lesions-clean": "limecraft_jax.models.lesions",
    "digits": "limecraft_jax.models.digits",
}
