"""Brick, grass and gravel: views of real photographs, alone and put together in one picture.

The photographs are scikit-image's ``brick``, ``grass`` and ``gravel``, 512 x 512 gray, CC0. Their
columns are dealt out once: 0 to 255 to training, 272 to 511 to everything else, and the 16 between
them to nobody. Every picture here knows pixel by pixel which texture it shows, and every seed
always gives the same picture.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from limecraft_jax.models.bundled.brush import axes, noise, patchworks

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float, Float32, Int, UInt8

    Map = Float[np.ndarray, "s s"]

CLASSES = ("brick", "grass", "gravel")
SIDE = 128
TRAIN, UNSEEN = slice(0, 256), slice(272, 512)
# Evidence that a picture without any texture is taken to hold of each class, as a share of area.
DOUBT = 0.01
HIDDEN = len(CLASSES)  # in a map of textures: nothing of a photograph to be seen here


@dataclass(frozen=True, eq=False)
class Composite:
    """A picture of one or more textures.

    Attributes
    ----------
    image
        Gray values in [0, 1], multiples of 1/255.
    texture
        The class that each pixel shows, or `HIDDEN`.
    """

    image: Float32[np.ndarray, "s s 1"]
    texture: UInt8[np.ndarray, "s s"]

    @property
    def areas(self) -> Float[np.ndarray, " 4"]:
        """Share of the picture that each class covers, and last what is hidden."""
        return np.bincount(self.texture.ravel(), minlength=HIDDEN + 1) / self.texture.size

    @property
    def goal(self) -> Float[np.ndarray, " 3"]:
        """The probabilities of a fair judge: shares of what can be seen, with a little doubt."""
        share = self.areas[:HIDDEN] + DOUBT
        return share / share.sum()


@functools.cache
def photograph(name: str) -> UInt8[np.ndarray, "512 512"]:
    """One of the three photographs; it lies in scikit-image, nothing is downloaded."""
    import skimage.data

    return getattr(skimage.data, name)()


def view(rng: np.random.Generator, label: int, columns: slice, least: int, most: int) -> Map:
    """A crop of a photograph, brought to the model's size and mirrored at random.

    Parameters
    ----------
    columns
        Where the crop may lie; every row is allowed.
    least, most
        Bounds of the sides in pixels of the photograph. They are drawn together and then differ
        by up to a tenth.
    """
    source = photograph(CLASSES[label])[:, columns]
    side = rng.uniform(least, most)
    h, w = np.clip(side * rng.uniform(0.95, 1.05, 2), least, most)
    top, left = rng.uniform(0, [source.shape[0] - h, source.shape[1] - w])
    scaled = Image.fromarray(source).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC, box=(left, top, left + w, top + h)
    )
    crop = np.asarray(scaled, np.float32) / 255
    crop = crop[:, ::-1] if rng.random() < 0.5 else crop
    return crop[::-1] if rng.random() < 0.5 else crop


def mix(layers: Float[np.ndarray, "k s s"], heights: Float[np.ndarray, "k s s"]) -> Map:
    """Lay textures side by side: at each pixel the one with the greatest height, edges blended.

    Where the heights of two differ by less than a hundredth of the picture's side, both show; so
    a border is about three pixels wide and has no hard seam.
    """
    weights = np.exp(np.clip(400 * (heights - heights.max(0)), -50, 0))
    return (weights * layers).sum(0) / weights.sum(0)


def lay(rng: np.random.Generator, heights: Map, columns: slice, least: int, most: int) -> Composite:
    """A picture of the textures whose landscape stands highest, pixel by pixel.

    Parameters
    ----------
    heights
        One landscape per class, -inf where a class is absent; differences are lengths in shares
        of the side.
    """
    layers = np.stack([view(rng, k, columns, least, most) for k in range(len(CLASSES))])
    image = np.rint(255 * mix(layers, heights)).clip(0, 255).astype(np.float32) / np.float32(255)
    return Composite(image[..., None], heights.argmax(0).astype(np.uint8))


def landscape(rng: np.random.Generator, parts: int) -> Float[np.ndarray, "3 s s"]:
    """Heights for `parts` textures in one to three wavy pieces each, chosen at random."""
    x, y = axes(SIDE)
    u, v = (axis + 0.05 * noise(rng, SIDE, 4) + 0.015 * noise(rng, SIDE, 12) for axis in (x, y))
    heights = np.full((len(CLASSES), SIDE, SIDE), -np.inf)
    for k in rng.permutation(len(CLASSES))[:parts]:
        for a, b in rng.uniform(-0.5, 0.5, (int(rng.integers(1, 4)), 2)):
            heights[k] = np.maximum(heights[k], -np.hypot(u - a, v - b))
    return heights


def draw(seed: int, columns: slice = UNSEEN, parts: int | None = None) -> Composite:
    """A picture of 1, 2 or 3 textures in irregular shapes.

    Parameters
    ----------
    seed
        The same seed always gives the same picture.
    columns
        `TRAIN` or `UNSEEN`.
    parts
        How many textures there are; drawn at random where not given.
    """
    rng = np.random.default_rng((seed, columns.start))
    parts = int(rng.integers(1, 4)) if parts is None else parts
    least, most = (140, 256) if columns == TRAIN else (190, 240)
    return lay(rng, landscape(rng, parts), columns, least, most)


def scene(seed: int, name: str) -> Composite:
    """A picture from the unseen columns that is composed on purpose, one of `SCENES`."""
    rng = np.random.default_rng((seed, list(SCENES).index(name)))
    axis = (a + 0.02 * noise(rng, SIDE, 4) + 0.007 * noise(rng, SIDE, 12) for a in axes(SIDE))
    heights = SCENES[name](*axis)
    layers = [np.broadcast_to(heights.get(k, -np.inf), (SIDE, SIDE)) for k in CLASSES]
    return lay(rng, np.stack(layers), UNSEEN, 200, 240)


@functools.cache
def cells() -> UInt8[np.ndarray, "100 s s"]:
    """Maps of 25 to 119 cells each, to hide parts of pictures by."""
    return patchworks(np.random.default_rng(7), 100, SIDE, most=120)


def hide(rng: np.random.Generator, picture: Composite) -> Composite:
    """Hide some cells of a picture, much as an explanation hides superpixels.

    A cell is hidden behind its own mean, the picture's mean or a blurred copy of the picture.
    """
    from scipy.ndimage import gaussian_filter

    image, labels = picture.image[..., 0], cells()[rng.integers(len(cells()))].ravel()
    total, area = np.bincount(labels, image.ravel(), 256), np.bincount(labels, minlength=256)
    off = (rng.random(256) < rng.uniform(0.1, 0.9))[labels].reshape(image.shape)
    own = (total / np.maximum(area, 1))[labels].reshape(image.shape)
    behind = (own, own, np.full_like(image, image.mean()), gaussian_filter(image, 8))
    image = np.where(off, behind[rng.integers(len(behind))], image).astype(np.float32)
    return Composite(image[..., None], np.where(off, HIDDEN, picture.texture).astype(np.uint8))


def collection(
    start: int, count: int
) -> tuple[UInt8[np.ndarray, "4n 64 64 1"], Float32[np.ndarray, "4n 3"]]:
    """Quarters of pictures for training (0..255) and the probabilities wanted.

    7 pictures in 10 are partly hidden. Four quarters say more than one whole about which part of a
    picture is what, and a network that adds up places does not mind the size.
    """
    half = SIDE // 2
    quarters = [
        np.s_[top : top + half, left : left + half] for top in (0, half) for left in (0, half)
    ]
    images, goals = np.empty((4 * count, half, half, 1), np.uint8), np.empty((4 * count, HIDDEN))
    for i in range(count):
        rng = np.random.default_rng((start + i, 1))
        picture = draw(start + i, TRAIN)
        picture = hide(rng, picture) if rng.random() < 0.7 else picture
        for j, quarter in enumerate(quarters, 4 * i):
            part = Composite(picture.image[quarter], picture.texture[quarter])
            images[j], goals[j] = np.rint(255 * part.image), part.goal
    return images, goals.astype(np.float32)


def unseen(count: int) -> tuple[UInt8[np.ndarray, "n 128 128 1"], Int[np.ndarray, " n"]]:
    """Single textures from the unseen columns (0..255) and their labels; classes take turns."""
    labels = np.arange(count) % len(CLASSES)
    rngs = (np.random.default_rng((i, 2)) for i in range(count))
    views = [view(r, int(k), UNSEEN, 150, 240) for r, k in zip(rngs, labels, strict=True)]
    return np.rint(255 * np.stack(views)[..., None]).astype(np.uint8), labels


# Heights of the textures at (x, y), positions as in `brush.axes`; what is not named is absent.
SCENES: dict[str, Callable[[Map, Map], dict[str, Any]]] = {
    "path": lambda x, y: {"grass": 0, "gravel": 0.14 - abs(x - 0.13 * np.sin(5.7 * y + 0.6))},
    "terrace": lambda x, y: {"grass": 0, "brick": 0.3 - np.maximum(abs(x - 0.06), abs(y + 0.04))},
    "corner": lambda x, y: {"brick": x + y + 0.03, "gravel": 0},
    "tuft": lambda x, y: {"gravel": 0, "grass": 0.28 - np.hypot(1.1 * x + 0.06, y - 0.04)},
    "three": lambda x, y: {
        "brick": -0.17 - y,
        "grass": y + 0.55 * x + 0.05,
        "gravel": y - 0.55 * x,
    },
    "brick": lambda x, y: {"brick": 0},
    "grass": lambda x, y: {"grass": 0},
    "gravel": lambda x, y: {"gravel": 0},
}
