"""A graph with an input and an output of its own, as a function from images to probabilities.

    images in [0, 1] -> (x - mean) / std -> axes, type, batch as wanted -> graph -> probabilities

The graph is asked about two pictures when it is opened, so that what does not fit is said then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.models.formats.about import MOST_SIDE, About
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Float32, Num

SUM_TO_ONE = 0.01  # what probabilities in half precision may miss 1 by, over 1000 classes


@dataclasses.dataclass(frozen=True)
class Port:
    """The input of a graph.

    Attributes
    ----------
    height, width, channels
        What the graph sees, in pixels.
    layout
        Order of the axes, ``"nhwc"`` or ``"nchw"``.
    rank
        4, 3 for gray pictures without an axis of channels, or 2 for flat pixels.
    dtype
        Type of the numbers, ``"float32"`` for example.
    batch
        The only number of images that it takes at once; 0: any.
    """

    height: int
    width: int
    channels: int
    layout: str = "nhwc"
    rank: int = 4
    dtype: str = "float32"
    batch: int = 0

    @property
    def size(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    def fill(
        self, images: Float[np.ndarray, "n h w c"], mean: np.ndarray, std: np.ndarray
    ) -> Num[np.ndarray, "n ..."]:
        """Images in [0, 1] as the input wants them."""
        x = (images - mean) / std
        if np.issubdtype(np.dtype(self.dtype), np.integer):
            limits = np.iinfo(self.dtype)
            x = np.clip(np.rint(x), limits.min, limits.max)
        x = x if self.layout == "nhwc" else np.moveaxis(x, 3, 1)
        shape = {2: (len(x), -1), 3: (len(x), self.height, self.width), 4: x.shape}[self.rank]
        return np.ascontiguousarray(x.reshape(shape), dtype=self.dtype)


def port(file: str, shape: Sequence[int | None], about: About, dtype: str = "float32") -> Port:
    """The input of a graph from its shape, with what is told where the shape leaves it open.

    Parameters
    ----------
    file
        Name of the file, for messages.
    shape
        Size of each axis, the batch first; None where it is open.
    about
        What is told.
    dtype
        Type of the numbers.

    Raises
    ------
    InputError
        If the input is no picture, or its layout or a size is neither in the graph nor told.
    """
    batch, *axes = shape or [None]
    told = (about.height, about.width, about.channels)
    if len(axes) == 3:
        layout = about.layout or _layout(file, shape)
        h, w, c = axes if layout == "nhwc" else (*axes[1:], axes[0])
        found = _sizes(file, shape, (h, w, c), told)
    elif len(axes) == 2 and batch in (None, 1):
        layout = "nhwc"
        found = _sizes(file, shape, (axes[0], axes[1], 1), told)
    elif len(axes) == 1:
        layout = about.layout or "nhwc"
        found = _flat(file, axes[0], about)
    else:
        raise InputError(
            f"{file} must take pictures, an input of shape [n, height, width, channels] or "
            f"[n, channels, height, width], got {axes_text(shape)}: give an image classifier."
        )
    return Port(*found, layout, len(shape), dtype, batch or 0)


def axes_text(shape: Sequence[object]) -> str:
    """A shape for a message, an open size as ``?``."""
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def _layout(file: str, shape: Sequence[int | None]) -> str:
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first == last:
        raise InputError(
            f"the input of {file} must show where its channels are, got shape "
            f'{axes_text(shape)}: tell "layout", "nhwc" or "nchw".'
        )
    return "nchw" if first else "nhwc"


def _sizes(
    file: str,
    shape: Sequence[int | None],
    found: Sequence[int | None],
    told: Sequence[int | None],
) -> tuple[int, int, int]:
    """Height, width and channels from the graph, or as told where the graph leaves them open."""
    sizes = []
    for name, size, said in zip(("height", "width", "channels"), found, told, strict=True):
        if size is None and said is None:
            raise InputError(
                f"the {name} of the pictures must be known, got an input of {file} of shape "
                f'{axes_text(shape)}, which leaves it open: tell "{name}".'
            )
        if None not in (size, said) and size != said:
            raise InputError(
                f"{name} must be that of the input of {file}, {size}, got {said}: "
                'leave it out, or check "layout".'
            )
        sizes.append(size if said is None else said)
    height, width, channels = (int(size) for size in sizes if size is not None)
    if channels not in (1, 3) or max(height, width) > MOST_SIDE or min(height, width) < 1:
        raise InputError(
            f"{file} must take pictures with 1 or 3 channels and sides of 1 to {MOST_SIDE} "
            f"pixels, got an input of shape {axes_text(shape)}: check it, or tell another "
            '"layout".'
        )
    return height, width, channels


def _flat(file: str, length: int | None, about: About) -> tuple[int, int, int]:
    """Size of the pictures that an input takes as flat rows of pixels."""
    if about.height is None or about.width is None:
        raise InputError(
            f"the height and width of the pictures must be known, got an input of {file} that "
            f'takes {length or "?"} numbers in a row: tell "height", "width" and "channels".'
        )
    pixels = about.height * about.width
    channels = about.channels or (length or pixels) // pixels
    if channels not in (1, 3) or (length or pixels * channels) != pixels * channels:
        raise InputError(
            f"height x width x channels must be the {length} numbers that {file} takes, got "
            f"{about.height} x {about.width} x {about.channels or '1 or 3'}: check them."
        )
    return about.height, about.width, channels


def batch_for(size: tuple[int, int, int]) -> int:
    """Pictures asked about at once where nothing is told: 64 small ones, 8 of 224 x 224.

    On a processor small batches are as fast as large ones, and take less memory.
    """
    return max(8, min(64, 2**18 // (size[0] * size[1])))


def probes(size: tuple[int, int, int]) -> Float32[np.ndarray, "2 h w c"]:
    """Two different pictures: noise, and a ramp from dark to bright."""
    noise = np.random.default_rng(0).random(size, np.float32)
    ramp = np.linspace(0, 1, int(np.prod(size)), dtype=np.float32).reshape(size)
    return np.stack([noise, ramp])


def rows(file: str, answer: np.ndarray, n: int) -> Float[np.ndarray, "n k"]:
    """One row of scores per image; axes of size 1 behind the classes are taken away."""
    answer = np.asarray(answer)
    if answer.ndim > 2 and set(answer.shape[2:]) == {1}:
        answer = answer.reshape(answer.shape[:2])
    if answer.shape == (n,):
        answer = answer[:, None]
    if answer.ndim != 2 or len(answer) != n or not answer.shape[1]:
        raise InputError(
            f"{file} must give one row of class scores per picture, shape [n, classes], got an "
            f"output of shape {axes_text(answer.shape)} for {n} pictures: give an image "
            "classifier."
        )
    return answer.astype(np.float32)


def kind_of(file: str, scores: Float[np.ndarray, "2 k"]) -> str:
    """Whether scores are ``"probabilities"`` or ``"logits"``, from answers to two pictures."""
    bounded = bool(((scores >= -1e-6) & (scores <= 1 + SUM_TO_ONE)).all())
    if not bounded:
        return "logits"
    if scores.shape[1] == 1 or (np.abs(scores.sum(axis=1) - 1) <= SUM_TO_ONE).all():
        return "probabilities"
    raise InputError(
        f"the scores of {file} must be probabilities that sum to 1 or logits, got values in "
        f"[0, 1] with sum {scores[0].sum():.3g}, which can be either: "
        'tell "output", "probabilities" or "logits".'
    )


def probabilities(
    scores: Float[np.ndarray, "n k"], kind: str, both: bool = False
) -> Float[np.ndarray, "n k"]:
    """Probabilities from scores: softmax, or the logistic function of a single score.

    Parameters
    ----------
    scores
        As the graph gives them.
    kind
        ``"probabilities"`` or ``"logits"``.
    both
        Whether a single score becomes the probabilities of two classes, 1 - p and p.
    """
    scores = scores.astype(np.float64)
    if kind == "logits" and scores.shape[1] == 1:
        scores = 0.5 * (1 + np.tanh(scores / 2))
    elif kind == "logits":
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores = scores / scores.sum(axis=1, keepdims=True)
    return (np.hstack([1 - scores, scores]) if both else scores).astype(np.float32)


def wrap(
    path: Path,
    about: About,
    entry: Port,
    ask: Callable[[np.ndarray], np.ndarray],
    default: tuple[float, float] = (0.0, 1.0),
) -> BlackBox:
    """A graph as a black box with a card.

    Parameters
    ----------
    path
        The file it came from.
    about
        What is told.
    entry
        The graph's input.
    ask
        The graph: what `Port.fill` makes to scores, one row per image.
    default
        Range of the input where nothing is told.

    Raises
    ------
    InputError
        If the answers to two pictures are no rows of finite scores, or not as many as classes.
    """
    file = path.name
    mean, std = (np.array(v, np.float32) for v in about.normalization(entry.channels, default))

    def scores(images: np.ndarray) -> np.ndarray:
        x = entry.fill(images, mean, std)
        size = entry.batch or len(x)
        x = np.pad(x, ((0, -len(x) % size), *[(0, 0)] * (x.ndim - 1)), mode="edge")
        parts = [rows(file, ask(x[start : start + size]), size) for start in range(0, len(x), size)]
        return np.concatenate(parts)[: len(images)]

    first = scores(probes(entry.size))
    if not np.isfinite(first).all():
        raise InputError(
            f"{file} must give finite scores, got NaN or infinity for a picture of noise or a "
            'ramp: check its weights, and "range" or "mean" and "std".'
        )
    k, given = first.shape[1], len(about.classes)
    both = k == 1 and given == 2
    if given and given != k and not both:
        raise InputError(
            f"classes must name the {k} classes of {file}, got {given} "
            f"{'name' if given == 1 else 'names'}: give one name for each, in the order of the "
            "output."
        )
    kind = about.output or kind_of(file, first)
    classes = about.classes or tuple(f"class {i}" for i in range(k))
    card = about.card(file, entry.size, classes, default, batch_for(entry.size))
    return BlackBox(lambda images: probabilities(scores(images), kind, both), card=card)
