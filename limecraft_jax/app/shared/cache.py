"""Everything that is kept between reruns and visitors, in one place.

Keys are names and hashes made here; pictures and choices themselves travel in arguments whose
names begin with an underscore, which Streamlit does not hash. What shows a visitor's picture has
the scope of the session: it is forgotten when the page is closed.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from limecraft_jax import models
from limecraft_jax.files import images
from limecraft_jax.models.card import ModelCard
from limecraft_jax.path.segment import segment
from limecraft_jax.types import InputError, Segmentation

if TYPE_CHECKING:
    from limecraft_jax.edits.edit import Stack
    from limecraft_jax.edits.whatif import Effect
    from limecraft_jax.models.blackbox import BlackBox
    from limecraft_jax.models.classifier import Classifier

MOST_OWNED = 3
EXAMPLES = Path(__file__).parents[2] / "examples"


def digest(*parts: Any) -> str:
    """A short hash of arrays, bytes and anything with a telling ``repr``."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            sha.update(
                repr((part.shape, part.dtype)).encode() + np.ascontiguousarray(part).tobytes()
            )
        else:
            sha.update(part if isinstance(part, bytes) else repr(part).encode())
    return sha.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture as the model sees it, ready for the page."""

    key: str
    pixels: np.ndarray
    jpeg: bytes
    notes: tuple[str, ...] = ()


@st.cache_data(max_entries=1)
def examples() -> list[dict[str, Any]]:
    """The bundled pictures."""
    return json.loads((EXAMPLES / "index.json").read_text())


def picture(key: str, source: bytes | str, card: ModelCard) -> Shown:
    """Read a picture and prepare it for a model; `source` is a file's bytes, or a name of ours."""
    if isinstance(source, str):
        return _example(key, source, card)
    return _upload(key, source, card)


@st.cache_resource(max_entries=64, show_spinner=False)
def _example(key: str, _source: str, _card: ModelCard) -> Shown:
    return _prepared(_source, _card)


@st.cache_resource(max_entries=8, show_spinner=False, scope="session")
def _upload(key: str, _source: bytes, _card: ModelCard) -> Shown:
    return _prepared(_source, _card)


def _prepared(source: bytes | str, card: ModelCard) -> Shown:
    from limecraft_jax.show.draw import enlarge

    if isinstance(source, str) and source.startswith("skimage:"):
        import skimage.data

        photo = getattr(skimage.data, source.partition(":")[2])()
        photo = photo[0] if isinstance(photo, tuple) else photo  # one for each eye, and a map
        photo = photo[..., None] if photo.ndim == 2 else photo
        loaded = images.Loaded(np.asarray(photo, np.float32)[..., :3] / 255)
    else:
        loaded = images.load_image(source)
    pixels = card.prepare(loaded.pixels)
    notes = loaded.notes
    h, w = loaded.pixels.shape[:2]
    if card.crop:
        notes += (
            f"This classifier looks at the middle of a picture, {card.width} × {card.height} "
            f"pixels; this one has {w} × {h}.",
        ) * (loaded.pixels.shape[:2] != pixels.shape[:2])
    elif abs(h * card.width / (w * card.height) - 1) > 0.02:
        notes += (
            f"The picture is {w} × {h} pixels; this classifier sees it stretched to "
            f"{card.width} × {card.height}.",
        )
    return Shown(digest(pixels), pixels, images.to_jpeg(enlarge(pixels)), notes)


@st.cache_data(max_entries=16, show_spinner=False, scope="session")
def backdrop(key: str, _image: np.ndarray, _mask: np.ndarray, _colors: dict) -> bytes:
    """A picture with the regions of an uploaded mask, to draw upon (JPEG)."""
    from limecraft_jax.show.draw import regions

    return images.to_jpeg(regions(_image, _mask, _colors))


@st.cache_resource(max_entries=16, show_spinner=False, scope="session")
def superpixels(key: str, _image: np.ndarray, _mask: np.ndarray, _choice: tuple) -> Segmentation:
    """The superpixels of a picture; ``_choice`` is (inside, outside, segmenter)."""
    return segment(_image, _mask, *_choice)


@st.cache_data(max_entries=16, show_spinner=False, scope="session")
def preview(key: str, _image: np.ndarray, _segmentation: Segmentation, _colors: dict) -> bytes:
    """The superpixels as a picture (JPEG)."""
    from limecraft_jax.show.draw import superpixels as drawn

    return images.to_jpeg(drawn(_image, _segmentation, _colors))


@st.cache_resource
def owned() -> dict[str, Classifier | BlackBox]:
    """The classifiers that visitors brought along, the newest last."""
    return {}


def hold(name: str, brought: Classifier | BlackBox) -> None:
    """Keep a visitor's classifier, and let the oldest go when there are too many."""
    owned().pop(name, None)
    owned()[name] = brought
    while len(owned()) > MOST_OWNED:
        owned().pop(next(iter(owned())))


def model(name: str) -> Classifier | BlackBox:
    """A classifier by its name in the menu."""
    if name.startswith("own-"):
        if name not in owned():
            raise InputError("your own classifier is no longer in memory: bring its file again.")
        return owned()[name]
    return _bundled(name) if name in models.BUNDLED else _public(name)


@st.cache_resource(max_entries=4, show_spinner=False)
def _bundled(name: str) -> Classifier | BlackBox:
    return _registered(name)


@st.cache_resource(max_entries=2, show_spinner=False)  # they take 100 to 300 MB each
def _public(name: str) -> Classifier | BlackBox:
    return _registered(name)


def _registered(name: str) -> Classifier | BlackBox:
    """A registered classifier with its weights."""
    from limecraft_jax.models import pace

    pace.keep_compiled()
    return models.load(name)


@st.cache_data(max_entries=256, show_spinner=False)
def prediction(name: str, key: str, _image: np.ndarray) -> np.ndarray:
    """Class probabilities of a prepared picture."""
    from limecraft_jax.path import lime

    return lime.predict(model(name), _image)


@st.cache_resource(max_entries=64, show_spinner=False)
def nuisance(
    name: str,
    key: str,
    _image: np.ndarray,
    _mask: np.ndarray,
    _stack: Stack,
    _between: Callable[[], None],
) -> Effect:
    """The effect of edits, with its spread over slightly different outlines."""
    from limecraft_jax.edits import whatif

    return whatif.nuisance(model(name), _image, _mask, _stack, between=_between)


@st.cache_resource(show_spinner=False)
def folder() -> Path:
    """Where visitors' files lie; it goes when the program ends."""
    made = Path(tempfile.mkdtemp(prefix="limecraft-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _remove(path: str) -> None:
    """Delete a visitor's file, and the visitor's folder with the last one."""
    Path(path).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # others lie there still
        Path(path).parent.rmdir()


@st.cache_resource(max_entries=4, show_spinner=False, scope="session", on_release=_remove)
def file(key: str, owner: str, _data: bytes) -> str:
    """An uploaded file put where a path can name it, until its visitor leaves or brings others.

    The same file of the same visitor always lies in the same place.

    Parameters
    ----------
    key
        Of the contents.
    owner
        Name of the visitor's session.
    """
    path = folder() / owner / key
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(_data)
    return str(path)


@st.cache_resource
def gate() -> threading.Semaphore:
    """Lets two batches run at once, whoever asks, so that everybody's answer moves on."""
    return threading.Semaphore(2)
