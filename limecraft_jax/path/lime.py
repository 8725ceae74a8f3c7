"""The path from an image to an explanation: segment, sample, perturb, query, fit.

    image + regions → superpixels → z → where(z[labels], image, replacement) → probs → surrogate

`begin` and `query` are the expensive half and end in a `Neighborhood`; `resolve` is the free half:
it answers any width, penalty, class and number of superpixels shown without another query.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from limecraft_jax import regions
from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.models.classifier import Classifier, forward
from limecraft_jax.path import sample, surrogate
from limecraft_jax.path.kernel import Exponential
from limecraft_jax.path.perturb import compose
from limecraft_jax.path.segment import segment, suggest
from limecraft_jax.path.settings import Settings
from limecraft_jax.types import Explanation, InputError, Neighborhood, Segmentation

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Float32

WIDTH = 1024  # columns of z on the device, a multiple; a new number of superpixels compiles nothing
MOST_CELLS = 100_000_000  # of z, 100 MB; drawing and fitting take up to thirty times as much
MOST_SCORE = 1e9  # far above any that is meant; sums of its square still fit into float32


def ask(classifier: Classifier, z, labels, image, replacement) -> Float[Array, "b k"]:
    """A batch of samples through a Flax network, pixels never leaving the device."""
    return forward(classifier, compose(z, labels, image, replacement))


def as_model(model: Classifier | BlackBox | Callable) -> Classifier | BlackBox:
    """A Flax Classifier as it is, any other callable as a black box."""
    if isinstance(model, Classifier | BlackBox):
        return model
    if not callable(model):
        raise InputError(
            "a model must be a Classifier or a function from images [n h w c] in [0, 1] to "
            f"probabilities [n k], got {type(model).__name__}."
        )
    return BlackBox(model)


def predict(model: Classifier | BlackBox | Callable, image: np.ndarray) -> Float[np.ndarray, " k"]:
    """Class probabilities of one picture, by the very step that explanations use."""
    model = as_model(model)
    image = model.prepare(image)
    whole = Segmentation(np.zeros(image.shape[:2], np.int32), np.zeros(1, np.int32))
    start = Neighborhood(
        image, whole, np.ones((1, 1), bool), np.ones(1), image, np.zeros((0, 0), np.float32)
    )
    return next(query(model, start)).probs[0]


def classify(
    model: Classifier | BlackBox | Callable, images: Iterable[Float32[np.ndarray, "h w c"]]
) -> Float[np.ndarray, "n k"]:
    """Class probabilities of many pictures, in batches of the size that explanations use.

    Parameters
    ----------
    model
        As in `explain`.
    images
        As prepared by the model; taken one by one, so they need never exist all at once.
    """
    model = as_model(model)
    batch = model.batch
    if isinstance(model, Classifier):
        model = jax.device_put(model)
    answers, images = [], iter(images)
    while group := list(itertools.islice(images, batch)):
        pixels = np.stack(group)
        if isinstance(model, Classifier):
            pixels = np.pad(pixels, ((0, batch - len(group)), *[(0, 0)] * 3))
            answers.append(forward(model, pixels)[: len(group)])  # not awaited: edit on meanwhile
        else:
            answers.append(model(pixels))
            _as_before(answers[-1], answers[0].shape[1])
    if not answers:
        raise InputError("a model needs pictures, got none.")
    probs = np.concatenate([np.asarray(answer) for answer in answers])
    _usable(probs)
    return probs


def _as_before(probs: Float[np.ndarray, "b k"], k: int) -> None:
    """Refuse another number of classes than in earlier batches; NumPy would spread one over all."""
    if probs.shape[1] != k:
        raise InputError(
            f"the model must return the same number of class probabilities for every picture, got "
            f"{k} for the first ones and {probs.shape[1]} for later ones: look at what it does "
            "with another batch."
        )


def _usable(probs: Float[np.ndarray, "n k"]) -> None:
    if not np.isfinite(probs).all():
        raise InputError(
            "the model must return finite probabilities, got NaN or infinity: "
            "check its weights and its input range, which is [0, 1]."
        )
    largest = float(np.abs(probs).max(initial=0))
    if largest > MOST_SCORE:
        raise InputError(
            f"the model must return probabilities, or scores from -{MOST_SCORE:g} to "
            f"{MOST_SCORE:g}, got one of size {largest:.3g}: scale them down."
        )


def cut(image: np.ndarray, mask: np.ndarray | None, settings: Settings) -> Segmentation:
    """Superpixels of a prepared image; counts not given are those of `segment.suggest`."""
    inside, outside = settings.inside, settings.outside
    if inside is None or outside is None:
        drawn = np.zeros(image.shape[:2], np.int32) if mask is None else mask
        suggested = suggest(drawn, settings.total)
        inside = suggested[0] if inside is None else inside
        outside = suggested[1] if outside is None else outside
    return segment(image, mask, inside, outside, settings.segmenter)


def begin(
    image: Float32[np.ndarray, "h w c"], segmentation: Segmentation, settings: Settings
) -> Neighborhood:
    """A neighborhood with all its samples and no answers yet.

    Parameters
    ----------
    image
        As prepared by the model.
    segmentation
        The superpixels of that image.
    settings
        Design, number of samples, replacement and seed are used.
    """
    d = segmentation.num
    _affordable(max(settings.samples, d + 1), d)
    design = sample.settle(settings.design, settings.samples, d)
    z = sample.draw(design, settings.samples, d, settings.seed)
    ratio = np.exp(design.log_ratio(d)[z.sum(axis=1)])  # of sizes never drawn it may be endless
    if design.complete:  # the table stands for as many samples as were asked for
        ratio *= settings.samples / len(z)
    replacement = settings.replacement(image, segmentation)
    nothing = np.zeros((0, 0), np.float32)
    traits = (design.complete, design.pairs, design.even, design.plain)
    return Neighborhood(image, segmentation, z, ratio, replacement, nothing, *traits)


def _affordable(rows: int, d: int) -> None:
    if rows * d > MOST_CELLS:
        raise InputError(
            f"samples times superpixels must be at most {MOST_CELLS // 1_000_000} million, "
            f"got {rows} × {d}: ask for fewer."
        )


def query(
    model: Classifier | BlackBox | Callable, neighborhood: Neighborhood
) -> Iterator[Neighborhood]:
    """Ask the model about the samples that have no answer yet, batch by batch.

    Yields the neighborhood with more answers after every batch. Stop whenever you like; passing
    the last one yielded goes on from there and ends with the same bits as one run.
    """
    model = as_model(model)
    batch = model.batch
    n, d = neighborhood.z.shape
    z = np.pad(neighborhood.z, ((0, -n % batch), (0, -d % WIDTH)))
    scene = jax.device_put(
        (neighborhood.segmentation.labels, neighborhood.image, neighborhood.replacement)
    )
    if isinstance(model, Classifier):
        model = jax.device_put(model)

    def answers(start):
        rows = z[start : start + batch]
        if isinstance(model, Classifier):
            return ask(model, rows, *scene)
        real = min(batch, n - start)
        return model(np.asarray(compose(rows, *scene))[:real])

    if neighborhood.done:
        return
    starts = range(len(neighborhood.probs) // batch * batch, n, batch)
    waiting = iter(starts)
    # The device works on the next batch while the last one is looked at; a host has one at a time.
    depth = 2 if isinstance(model, Classifier) else 1
    pending: deque = deque()
    probs = None
    for start in starts:
        pending.extend(map(answers, itertools.islice(waiting, depth - len(pending))))
        found = np.asarray(pending.popleft())[: n - start]
        _usable(found)
        if probs is None:
            k = neighborhood.probs.shape[1] if start else found.shape[1]
            probs = np.empty((n, k), np.float32)
            probs[:start] = neighborhood.probs[:start] if start else 0
        _as_before(found, probs.shape[1])
        probs[start : start + batch] = found
        yield dataclasses.replace(neighborhood, probs=probs[: start + batch])


def query_regions(
    model: Classifier | BlackBox | Callable, neighborhood: Neighborhood
) -> Iterator[Neighborhood]:
    """Ask the model about whole regions hidden and shown, batch by batch; see `regions`.

    Yields the neighborhood after every batch; the last one has all answers in `regional`. Nothing
    is asked where they are known, or there are no two regions to tell apart.
    """
    values, inside = regions.members(neighborhood.segmentation.region)
    if neighborhood.regional is not None or not len(values):
        return
    whole = dataclasses.replace(
        neighborhood, z=regions.table(len(values)) @ inside, probs=np.zeros((0, 0), np.float32)
    )
    for answered in query(model, whole):
        regional = answered.probs if answered.done else None
        yield dataclasses.replace(neighborhood, regional=regional)


def resolve(
    neighborhood: Neighborhood,
    kernel: Exponential | None = None,
    ridge: surrogate.Ridge | None = None,
) -> Explanation:
    """Fit the surrogate to the answers so far; no query, no new compilation of the network.

    Parameters
    ----------
    neighborhood
        With at least one batch of answers.
    kernel, ridge
        Width and penalty; lime's where not given.
    """
    m = len(neighborhood.probs)
    if not m:
        raise InputError("a fit needs answers of the model, got none: query the model first.")
    waiting, d = len(neighborhood.z) - m, neighborhood.segmentation.num
    with jax.enable_x64(True):
        of_size = np.asarray((kernel or Exponential())(jnp.arange(d + 1) / d))
    weights = of_size[neighborhood.z.sum(axis=1)] * neighborhood.ratio
    ridge = ridge or surrogate.Ridge()
    if neighborhood.plain:
        weights, ridge = np.ones(len(weights)), surrogate.Ridge(0.0)
    weights[m:] = 0
    y = np.pad(neighborhood.probs, ((0, waiting), (0, 0)))
    found = surrogate.fit(
        neighborhood.z,
        y,
        weights,
        ridge,
        neighborhood.exact,
        neighborhood.pairs,
        neighborhood.even,
        regions.members(neighborhood.segmentation.region)[1],
    )
    return Explanation(neighborhood, found)


def explain(
    image: np.ndarray,
    model: Classifier | BlackBox | Callable,
    mask: np.ndarray | None = None,
    settings: Settings | None = None,
    progress: Callable[[Neighborhood], None] | None = None,
) -> Explanation:
    """Explain one prediction: which superpixels speak for each class, which against.

    Parameters
    ----------
    image
        Values in [0, 1], shape (h, w), (h, w, 1) or (h, w, 3); any size, the model prepares it.
    model
        A Flax `Classifier`, or any function from images [n h w c] to probabilities [n k].
    mask
        What the user drew: 0 outside, 1, 2, ... the regions, at the size that the model sees.
        None explains the whole image.
    settings
        Every other choice.
    progress
        Called after each batch with the neighborhood so far.
    """
    settings = settings or Settings()
    model = as_model(model)
    image = model.prepare(image)
    return finish(model, begin(image, cut(image, mask, settings), settings), settings, progress)


def finish(
    model: Classifier | BlackBox | Callable,
    neighborhood: Neighborhood,
    settings: Settings,
    progress: Callable[[Neighborhood], None] | None = None,
) -> Explanation:
    """Ask all that is left to ask, and fit: `explain` from what `begin` made.

    Parameters
    ----------
    model, progress
        As in `explain`.
    neighborhood
        With any number of answers.
    settings
        Kernel and ridge are used.
    """
    for asked in query_regions(model, neighborhood):
        neighborhood = asked
    for so_far in query(model, neighborhood):
        neighborhood = so_far
        if progress:
            progress(so_far)
    return resolve(neighborhood, settings.kernel, settings.ridge)


def class_names(model: Classifier | BlackBox, k: int) -> tuple[str, ...]:
    """Names of the k classes of a model."""
    return model.card.classes if isinstance(model, Classifier) else model.names(k)
