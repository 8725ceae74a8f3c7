"""Explain one prediction of an image classifier, with the regions you draw yourself.

>>> import limecraft_jax as lj
>>> model = lj.load("lesions")
>>> image = lj.load_image("picture.png").pixels                          # doctest: +SKIP
>>> explanation = lj.explain(image, model, settings=lj.Settings(samples=500))  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "explain": "path.lime",
    "predict": "path.lime",
    "Settings": "path.lime",
    "resolve": "path.lime",
    "load": "models",
    "open_model": "models.formats.own",
    "load_image": "files.images",
    "load_mask": "files.masks",
    "overlay": "show.draw",
    "InputError": "types",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Bring in a public name when it is first used, so that importing costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
