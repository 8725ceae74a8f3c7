"""Any Python function as a classifier: called on the host, batch by batch, never traced."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from limecraft_jax.models.card import ModelCard
from limecraft_jax.pixels import prepare
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Float

MOST_CLASSES = 50_000  # ImageNet's largest list has 21 843
LARGEST = np.finfo(np.float32).max


@dataclasses.dataclass(frozen=True)
class BlackBox:
    """A callable with what is known about it.

    Attributes
    ----------
    predict
        Takes images ``[n h w c]`` in [0, 1] (NumPy, float32; a copy, to do with as it likes), gives
        probabilities ``[n k]``, or ``[n]`` for a single score.
    classes
        Names of the k classes; empty means "class 0", "class 1", ...
    shape
        (height, width, channels) that the callable wants; None means that it takes any.
    batch
        Number of images asked about at once; 0 means as the card says, or 64.
    card
        What else is known: a title, and how pictures are prepared. `classes`, `shape` and `batch`
        are the card's where they are not given.
    """

    predict: Callable[[np.ndarray], np.ndarray]
    classes: tuple[str, ...] = ()
    shape: tuple[int, int, int] | None = None
    batch: int = 0
    card: ModelCard | None = None

    def __post_init__(self):
        card = self.card
        filled: dict[str, object] = {"batch": self.batch or (card.batch if card else 64)}
        if card:
            filled["classes"] = tuple(self.classes) or card.classes
            filled["shape"] = self.shape or (card.height, card.width, card.channels)
        for name, value in filled.items():
            object.__setattr__(self, name, value)

    def prepare(self, image: np.ndarray) -> Float[np.ndarray, "h w c"]:
        """Bring a picture to the wanted size and channels, if there are any."""
        if self.card and self.shape == (self.card.height, self.card.width, self.card.channels):
            return self.card.prepare(image)
        height, width, channels = self.shape or (*image.shape[:2], np.atleast_3d(image).shape[2])
        return prepare(image, height, width, channels)

    def __call__(self, images: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n k"]:
        """Ask the callable, which may do with the pictures what it likes, and check its answer."""
        n = len(images)
        answer = _numbers(self.predict(np.array(images, np.float32)), n)
        if answer.shape == (n,):
            answer = answer[:, None]
        if answer.ndim != 2 or len(answer) != n or answer.shape[1] == 0:
            raise InputError(
                f"the model must return one row of class probabilities per image, shape ({n}, k), "
                f"got shape {answer.shape} for {n} images: look at what it returns for a batch."
            )
        k = answer.shape[1]
        if k > MOST_CLASSES:
            raise InputError(
                f"the model must return at most {MOST_CLASSES} probabilities per image, got {k}: "
                "is it an image classifier?"
            )
        if self.classes and k != len(self.classes):
            raise InputError(
                f"the model must return {len(self.classes)} probabilities per image, one for each "
                f"class name, got {k}: give as many names, or look at what it returns."
            )
        if not np.isfinite(answer).all():
            bad = int((~np.isfinite(answer)).any(axis=1).sum())
            raise InputError(
                f"the model must return finite probabilities, got NaN or infinity for {bad} of {n} "
                "images: check its input range, which is [0, 1]."
            )
        return np.clip(answer, -LARGEST, LARGEST).astype(np.float32)

    def with_batch(self, batch: int) -> BlackBox:
        """The same callable, asked about so many pictures at once."""
        return dataclasses.replace(self, batch=batch)

    def names(self, k: int) -> tuple[str, ...]:
        """Names of the k classes."""
        return self.classes or tuple(f"class {i}" for i in range(k))


def _numbers(answer: object, n: int) -> np.ndarray:
    """An answer as an array of numbers in double precision; what is masked is NaN."""
    try:
        array = np.asarray(answer)
    except Exception as error:  # rows of different length; a tensor on a GPU or with a gradient
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            "the model must return an array of numbers or what NumPy makes one, got "
            f"{type(answer).__name__} for {n} images ({reason}): return a NumPy array of shape "
            f"({n}, k)."
        ) from error
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"the model must return numbers, got values of type {array.dtype} for {n} images: "
            f"return a NumPy array of floats, of shape ({n}, k)."
        )
    array = array.astype(np.float64)
    if isinstance(answer, np.ma.MaskedArray):
        array[np.ma.getmaskarray(answer)] = np.nan
    return array
