"""A graph with an input and an output of its own, as a function from images to probabilities.

    images in [0, 1] -> (x - mean) / std -> axes, type, batch as wanted -> graph -> probabilities

The graph is asked about two pictures when it is opened, so that what does not fit is said then.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from limecraft_jax.models.blackbox import MOST_CLASSES, BlackBox
from limecraft_jax.models.formats.about import About
from limecraft_jax.models.formats.port import Port, axes_text
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Float32

SUM_TO_ONE = 0.01  # what probabilities in half precision may miss 1 by, over 1000 classes
COMPANY = 0.1  # share of the probability that may move with a picture's company: 8-bit arithmetic


def batch_for(size: tuple[int, int, int]) -> int:
    """Pictures asked about at once where nothing is told: 64 small ones, 8 of 224 x 224.

    On a processor small batches are as fast as large ones, and take less memory. From 724 x 724
    pixels on it is fewer, at last one.
    """
    pixels = size[0] * size[1]
    return max(1, min(8, 2**22 // pixels), min(64, 2**18 // pixels))


def probes(size: tuple[int, int, int]) -> Float32[np.ndarray, "2 h w c"]:
    """Two different pictures: noise, and a ramp from dark to bright."""
    noise = np.random.default_rng(0).random(size, np.float32)
    ramp = np.linspace(0, 1, int(np.prod(size)), dtype=np.float32).reshape(size)
    return np.stack([noise, ramp])


def row_size(shape: Sequence[int], n: int) -> int:
    """How many scores each of n pictures got; 0 for what is not one row for each.

    Axes of size 1 behind the classes do not count, nor does a missing axis of a single score.
    """
    k = shape[1] if len(shape) > 1 else 1
    fits = len(shape) > 0 and shape[0] == n and set(shape[2:]) <= {1}
    return k if fits and k <= MOST_CLASSES else 0


def rows(file: str, answer: np.ndarray, n: int, k: int = 0) -> Float[np.ndarray, "n k"]:
    """One row of scores per image, k of them if it is known how many there must be."""
    found = row_size(answer.shape, n)
    if not found:
        raise InputError(
            f"{file} must give one row of class scores per picture, shape [n, classes], at most "
            f"{MOST_CLASSES} of them, got an output of shape {axes_text(answer.shape)} for {n} "
            "pictures: give an image classifier."
        )
    if k and found != k:
        raise InputError(
            f"{file} must give {k} class scores for every picture, as for the first ones, got "
            f"{found}: export it again with that number fixed."
        )
    with np.errstate(over="ignore"):  # what comes out is checked
        return answer.reshape(n, found).astype(np.float32)


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
    with np.errstate(invalid="ignore"):  # of what is infinite; what comes out is checked
        if kind == "logits" and scores.shape[1] == 1:
            scores = 0.5 * (1 + np.tanh(scores / 2))
        elif kind == "logits":
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            scores = scores / scores.sum(axis=1, keepdims=True)
    return (np.hstack([1 - scores, scores]) if both else scores).astype(np.float32)


def _in_range(file: str, scores: Float[np.ndarray, "n k"]) -> None:
    """Refuse as probabilities what is none, for these pictures at least."""
    for value in (scores.min(), scores.max()):
        if value < -SUM_TO_ONE or value > 1 + SUM_TO_ONE:  # false for NaN, which is told elsewhere
            raise InputError(
                f"the scores of {file} must be probabilities in [0, 1] for every picture, got "
                f'{value:.3g} for one: tell "output", "logits".'
            )


def _each_by_itself(
    file: str, together: Float[np.ndarray, " k"], twice: Float[np.ndarray, "2 k"]
) -> None:
    """Refuse a model that answers about a picture otherwise beside another one, or next time."""
    moved = 0.5 * np.abs(twice - together).sum(axis=1).max()
    if moved > COMPANY:
        raise InputError(
            f"{file} must give a picture the same scores whenever and beside whatever it is asked "
            f"about, got {100 * moved:.0f} % of the probability elsewhere the second time: export "
            "it in evaluation mode, net.eval() in PyTorch."
        )


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

    def scores(images: np.ndarray, k: int = 0) -> np.ndarray:
        x = entry.fill(images, mean, std)
        size = entry.batch or len(x)
        x = np.pad(x, ((0, -len(x) % size), *[(0, 0)] * (x.ndim - 1)), mode="edge")
        parts = []
        for start in range(0, len(x), size):
            parts.append(rows(file, ask(x[start : start + size]), size, k))
            k = parts[0].shape[1]
        return np.concatenate(parts)[: len(images)]

    pictures = probes(entry.size)
    first = scores(pictures)
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

    def answer(images: np.ndarray) -> np.ndarray:
        found = scores(images, k)
        if kind == "probabilities":
            _in_range(file, found)
        return probabilities(found, kind, both)

    _each_by_itself(file, probabilities(first, kind, both)[0], answer(pictures[[0, 0]]))
    return BlackBox(answer, card=card)
