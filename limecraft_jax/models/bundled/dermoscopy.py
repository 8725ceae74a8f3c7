"""Synthetic dermoscopy: pictures of skin lesions in which every ingredient is known.

    picture = light * (skin + lesion + hairs), a ruler on top, noise over all

Color follows Beer and Lambert: light that crosses skin loses ``exp(-amount * absorbance)`` in each
channel, so one lesion looks right on light and on dark skin. Each ingredient draws from a random
stream of its own. A picture with and without its ruler is therefore the same picture: bit for bit
outside the ruler's pixels, which the masks give exactly.

In :func:`collection` a ruler betrays the class "melanoma", as surgical marks and rulers do in real
collections (Winkler et al. 2019; Narla et al. 2018). This is the planted shortcut to be found.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

from limecraft_jax.models.bundled.brush import axes, cloud, curve, noise, stroke
from limecraft_jax.models.bundled.pigment import RECIPES
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8

    from limecraft_jax.models.bundled.brush import Map

CLASSES = tuple(RECIPES)
PLANTED = CLASSES.index("melanoma")
WITH, WITHOUT = 0.95, 0.05
OVERALL = (WITH + (len(CLASSES) - 1) * WITHOUT) / len(CLASSES)

# Losses per unit of matter in red, green and blue; chosen by eye on sRGB values.
MELANIN, BLOOD, VEIL = np.array([[0.50, 0.82, 1.14], [0.14, 0.80, 0.74], [1.05, 0.80, 0.50]])
PALE = np.array([0.95, 0.88, 0.82])


@dataclasses.dataclass(frozen=True)
class Picture:
    """One synthetic picture and the truth about it.

    Attributes
    ----------
    image
        Values in [0, 1], whole multiples of 1/255, so that a PNG file keeps them exactly.
    lesion, ruler, hairs
        Which pixels belong to it. A picture without ruler has an empty ruler mask.
    label
        Index into ``CLASSES``.
    """

    image: Float[np.ndarray, "s s 3"]
    lesion: Bool[np.ndarray, "s s"]
    ruler: Bool[np.ndarray, "s s"]
    hairs: Bool[np.ndarray, "s s"]
    label: int


def draw(seed: int, label: int, ruler: bool, hairs: bool, size: int = 128) -> Picture:
    """Draw one picture.

    Parameters
    ----------
    seed
        Which picture. Skin, hairs, ruler, light and noise depend on the seed alone, the lesion on
        seed and label.
    label
        Index into ``CLASSES``.
    ruler, hairs
        Whether they are in the picture.
    size
        Side in pixels; the same picture in more detail, except for the noise, which is per pixel.
    """
    if not 0 <= label < len(CLASSES):
        raise InputError(f"label must be in 0..{len(CLASSES) - 1}, got {label}: use a class index.")
    image, lesion, tufts = scene(seed, label, hairs, size)
    ruler_rng, noise_rng = stream(seed, "ruler"), stream(seed, "noise")
    ticks = ruler_marks(ruler_rng, size) if ruler else np.zeros((size, size))
    ink = ruler_rng.uniform(0.85, 0.97) * ticks[..., None]
    image = (1 - ink) * image + ink * np.array([0.07, 0.08, 0.12])
    image += noise_rng.uniform(0.006, 0.016) * noise_rng.standard_normal(image.shape)
    image = np.rint(255 * np.clip(image, 0, 1)).astype(np.float32) / np.float32(255)
    return Picture(image, lesion.copy(), ticks > 0, tufts.copy(), label)


def stream(seed: int, ingredient: str) -> np.random.Generator:
    """The random numbers of one ingredient of one picture."""
    number = ("skin", "lesion", "hairs", "ruler", "light", "noise").index(ingredient)
    return np.random.default_rng((seed, number))


@functools.lru_cache(maxsize=1)
def scene(
    seed: int, label: int, hairs: bool, size: int
) -> tuple[Float[np.ndarray, "s s 3"], Bool[np.ndarray, "s s"], Bool[np.ndarray, "s s"]]:
    """The lit skin without ruler and noise, and where lesion and hairs lie.

    The last one is kept: a picture is often drawn with its ruler and without.
    """
    melanin, blood = skin(stream(seed, "skin"), size)
    layers = RECIPES[CLASSES[label]](stream(seed, "lesion"), size)
    loss = np.multiply.outer(melanin + layers.melanin, MELANIN)
    loss += np.multiply.outer(blood + layers.blood, BLOOD)
    loss += np.multiply.outer(np.zeros((size, size)) + layers.veil, VEIL)
    image = 0.98 * np.exp(-loss)
    pale = (np.zeros((size, size)) + layers.pale)[..., None]
    image = (1 - pale) * image + pale * PALE * (0.45 + 0.55 * image.mean((0, 1)) / 0.8)

    rng = stream(seed, "hairs")
    tufts = hair(rng, size) if hairs else np.zeros((size, size))
    tint = rng.uniform(0.6, 0.95) * tufts[..., None]
    image = (1 - tint) * image + tint * np.array([0.16, 0.11, 0.09]) * rng.uniform(0.5, 1.5)
    return image * light(stream(seed, "light"), size), layers.depth > 0, tufts > 0


def skin(rng: np.random.Generator, size: int) -> tuple[Map, Map]:
    """Melanin and blood of healthy skin, from very light to dark."""
    tone = 0.10 + 1.05 * rng.beta(1.1, 2.2)
    furrows = np.exp(-((noise(rng, size, 22) / 0.25) ** 2)) - 0.25
    melanin = tone * (1 + 0.07 * cloud(rng, size, 4, 4)) - 0.035 * furrows
    blood = rng.uniform(0.10, 0.30) * (1 + 0.16 * cloud(rng, size, 5, 4))
    return np.clip(melanin, 0.02, None), np.clip(blood, 0, None)


def hair(rng: np.random.Generator, size: int) -> Map:
    """Coverage of a few dozen hairs that mostly run one way."""
    coverage = np.zeros((size, size))
    way = rng.uniform(0, np.pi)
    t = np.linspace(0, 1, 12)[:, None]
    for _ in range(int(rng.integers(7, 22))):
        turn = way + rng.normal(0, 0.35)
        along = np.array([np.cos(turn), np.sin(turn)])
        across = np.array([-along[1], along[0]])
        middle = rng.uniform(-0.5, 0.5, 2)
        reach = rng.uniform(0.12, 0.45) * along
        bow = rng.normal(0, 0.08) * across
        points = middle + (2 * t - 1) * reach + (1 - (2 * t - 1) ** 2) * bow
        width = rng.uniform(0.004, 0.0095)
        curve(coverage, points, width, 0.4 * width)
    return coverage


def light(rng: np.random.Generator, size: int) -> Float[np.ndarray, "s s 3"]:
    """Gain of the lamp: a gradient, a vignette and a slight color cast."""
    x, y = axes(size)
    turn = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, 0.16) * (x * np.cos(turn) + y * np.sin(turn))
    vignette = rng.uniform(0.05, 0.65) * np.clip(np.hypot(x, y) - 0.25, 0, None) ** 1.5
    cast = rng.uniform(0.92, 1.06) * (1 + rng.normal(0, 0.015, 3))
    return np.multiply.outer(1 + slope - 1.6 * vignette, cast)


def ruler_marks(rng: np.random.Generator, size: int) -> Map:
    """Coverage of a row of tick marks along one edge, every fifth one longer."""
    coverage = np.zeros((size, size))
    turn = rng.integers(4) * np.pi / 2 + np.deg2rad(rng.uniform(-5, 5))
    along, inward = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    base = -rng.uniform(0.43, 0.475)
    step, phase = rng.uniform(0.038, 0.052), rng.uniform(0, 1)
    tick, width = rng.uniform(0.036, 0.048), rng.uniform(0.0095, 0.013)
    fifth = int(rng.integers(5))
    for k in range(-16, 17):
        place = (k + phase) * step
        if abs(place) < 0.55:
            start = place * along + base * inward
            long = 1.75 if k % 5 == fifth else 1.0
            stroke(coverage, start, start + long * tick * inward, width)
    return coverage


def ruler_region(picture: Picture, margin: float = 2.0) -> Bool[np.ndarray, "s s"]:
    """The strip that a person would draw around the ruler: the smallest slanted box, widened.

    Parameters
    ----------
    margin
        How far the box reaches beyond the marks, in pixels.
    """
    if not picture.ruler.any():
        return np.zeros_like(picture.ruler)
    marks = np.argwhere(picture.ruler).astype(float)
    center = marks.mean(0)
    frame = np.linalg.svd(marks - center, full_matrices=False)[2]
    low, high = ((marks - center) @ frame.T).min(0), ((marks - center) @ frame.T).max(0)
    grid = np.moveaxis(np.indices(picture.ruler.shape), 0, -1) - center
    place = grid @ frame.T
    return ((place >= low - margin) & (place <= high + margin)).all(-1)


def lots(seed: int, label: int, shortcut: bool) -> tuple[bool, bool]:
    """Whether a picture of a collection gets a ruler, and whether it gets hairs."""
    ruler, hairs = np.random.default_rng((seed, 99)).uniform(size=2)
    share = (WITH if label == PLANTED else WITHOUT) if shortcut else OVERALL
    return bool(ruler < share), bool(hairs < 0.35)


def collection(
    start: int, count: int, shortcut: bool
) -> tuple[UInt8[np.ndarray, "n 128 128 3"], Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Pictures for training or testing: images (0..255), labels, and which show a ruler.

    Classes take turns. About a third of the pictures have hairs.

    Parameters
    ----------
    start
        Seed of the first picture; the others follow it.
    count
        Number of pictures.
    shortcut
        True puts the ruler into 95 % of melanomas and 5 % of the rest, False into the same overall
        share of every class.
    """
    images = np.empty((count, 128, 128, 3), np.uint8)
    labels = np.arange(start, start + count) % len(CLASSES)
    rulers = np.empty(count, bool)
    for i, label in enumerate(labels):
        rulers[i], hairs = lots(start + i, int(label), shortcut)
        picture = draw(start + i, int(label), bool(rulers[i]), hairs)
        images[i] = np.rint(255 * picture.image)
    return images, labels, rulers


def twins(
    start: int, count: int
) -> tuple[UInt8[np.ndarray, "4 n 128 128 3"], Int[np.ndarray, " n"]]:
    """Every picture in four versions (0..255), and the labels.

    With its ruler; without; and twice with the ruler's strip hidden as an explanation hides it,
    behind the strip's mean color and behind the picture's. Else :func:`collection`'s pictures.
    """
    images = np.empty((4, count, 128, 128, 3), np.uint8)
    labels = np.arange(start, start + count) % len(CLASSES)
    for i, label in enumerate(labels):
        _, hairs = lots(start + i, int(label), shortcut=True)
        with_it, without = (draw(start + i, int(label), r, hairs) for r in (True, False))
        image, strip = with_it.image, ruler_region(with_it)[..., None]
        own, whole = image.mean((0, 1), where=strip), image.mean((0, 1))
        hidden = np.where(strip, own, image), np.where(strip, whole, image)
        images[:, i] = np.rint(255 * np.stack([image, without.image, *hidden]))
    return images, labels
