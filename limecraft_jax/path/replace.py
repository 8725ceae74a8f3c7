"""What stands in for a superpixel that is switched off? One replacement image ξ̄, ``Float[h w c]``.

A sample shows ``where(z[labels], image, replacement)``; what a choice here returns is that second
image, made once per explanation on the host.
"""

from __future__ import annotations

import dataclasses
import string
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from limecraft_jax import bounds
from limecraft_jax.pixels import prepare
from limecraft_jax.types import InputError, Segmentation

if TYPE_CHECKING:
    from jaxtyping import Float, Float32


COLORS = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0), "gray": (0.5, 0.5, 0.5)}


def rgb(text: str) -> tuple[float, float, float] | None:
    """Red, green and blue in [0, 1] of a color by its name in `COLORS` or its code, if it is one.

    >>> rgb("black"), rgb("#ff8000") == rgb("FF8000"), rgb("#ff80")
    ((0.0, 0.0, 0.0), True, None)
    """
    if text in COLORS:
        return COLORS[text]
    code = text.removeprefix("#")
    if len(code) != 6 or not set(code) <= set(string.hexdigits):
        return None
    red, green, blue = bytes.fromhex(code)
    return red / 255, green / 255, blue / 255


class Replacement(Protocol):
    """Makes the replacement image of an explanation."""

    label: ClassVar[str]

    def __call__(
        self, image: Float[np.ndarray, "h w c"], segmentation: Segmentation
    ) -> Float32[np.ndarray, "h w c"]: ...


@dataclasses.dataclass(frozen=True)
class MeanColor:
    """Each superpixel's own mean color, channel by channel: the default of ``lime``."""

    label: ClassVar[str] = "mean color of the superpixel"

    def __call__(self, image, segmentation):
        """ξ̄_u = mean of ξ over the superpixel of u (Garreau & Mardaoui 2021, §2)."""
        flat = segmentation.labels.ravel()
        sums = [np.bincount(flat, channel.ravel()) for channel in np.moveaxis(image, -1, 0)]
        means = np.stack(sums, axis=-1) / segmentation.areas[:, None]
        return means[segmentation.labels].astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Color:
    """One color everywhere.

    Attributes
    ----------
    red, green, blue
        sRGB in [0, 1]; the default is mid gray. For gray images the luminance is used.
    """

    red: float = 0.5
    green: float = 0.5
    blue: float = 0.5
    label: ClassVar[str] = "one color"

    def __post_init__(self):
        for name in ("red", "green", "blue"):
            bounds.number(name, getattr(self, name), 0, 1)

    def __call__(self, image, segmentation):
        """The color, spread over the picture."""
        pixel = np.array([[[self.red, self.green, self.blue]]], np.float32)
        return np.broadcast_to(prepare(pixel, 1, 1, image.shape[2]), image.shape).copy()


@dataclasses.dataclass(frozen=True)
class Blur:
    """The picture itself, out of focus (Fong & Vedaldi 2017, §4.1).

    Attributes
    ----------
    sigma
        Standard deviation of the Gaussian as a share of the longer side, from .001 (at that nothing
        is blurred yet) to 1 (at that all is of one color); the default, 1/20, is 11 pixels at 224,
        near the 10 pixels of Fong & Vedaldi.
    """

    sigma: float = 0.05
    label: ClassVar[str] = "blur"

    def __post_init__(self):
        bounds.number("sigma", self.sigma, 1e-3, 1, "it is a share of the picture's longer side")

    def __call__(self, image, segmentation):
        """Gaussian blur with reflected borders."""
        from scipy.ndimage import gaussian_filter

        sigma = self.sigma * max(image.shape[:2])
        return gaussian_filter(image, (sigma, sigma, 0), mode="reflect").astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Noise:
    """Every pixel a random color, uniform in [0, 1] (one fixed draw per seed).

    Attributes
    ----------
    seed
        Seed of the noise picture, a whole number from 0 to `bounds.MOST_SEED`.
    """

    seed: int = 0
    label: ClassVar[str] = "noise"

    def __post_init__(self):
        bounds.whole("seed", self.seed, 0, bounds.MOST_SEED)

    def __call__(self, image, segmentation):
        """The noise picture."""
        return np.random.default_rng(self.seed).random(image.shape, np.float32)


@dataclasses.dataclass(frozen=True)
class Inpaint:
    """Each superpixel filled in from what surrounds it, by the biharmonic equation.

    scikit-image's ``inpaint_biharmonic`` (Damelin & Hoang 2018), one superpixel at a time.

    Attributes
    ----------
    margin
        Pixels around the superpixel that the filling may look at, from 2 to 64.
    """

    margin: int = 8
    label: ClassVar[str] = "filled in from around (inpainting)"

    def __post_init__(self):
        bounds.whole("margin", self.margin, 2, 64)

    def __call__(self, image, segmentation):
        """The picture in which every superpixel is what its surroundings suggest."""
        from scipy.ndimage import find_objects
        from skimage.restoration import inpaint_biharmonic

        if segmentation.num == 1:
            raise InputError(
                "inpainting needs something around the superpixel, got one superpixel that is the "
                "whole picture: ask for more superpixels or choose another replacement."
            )
        filled = np.empty_like(image, np.float32)
        h, w = segmentation.labels.shape
        for j, (rows, columns) in enumerate(find_objects(segmentation.labels + 1)):
            window = (
                slice(max(rows.start - self.margin, 0), min(rows.stop + self.margin, h)),
                slice(max(columns.start - self.margin, 0), min(columns.stop + self.margin, w)),
            )
            hole = segmentation.labels[window] == j
            patch = inpaint_biharmonic(image[window], hole, channel_axis=-1)
            filled[window][hole] = np.clip(patch[hole], 0, 1)
        return filled


@dataclasses.dataclass(frozen=True)
class Picture:
    """Another picture, stretched to the size of the image.

    Attributes
    ----------
    path
        An image file.
    """

    path: str = ""
    label: ClassVar[str] = "another picture"

    def __call__(self, image, segmentation):
        """The other picture at the image's size and channels."""
        from limecraft_jax.files.images import load_image

        if not self.path:
            raise InputError("another picture needs a file, got none: choose an image file.")
        return prepare(load_image(Path(self.path)).pixels, *image.shape)


REPLACEMENTS: dict[str, type[Replacement]] = {
    "mean": MeanColor,
    "color": Color,
    "blur": Blur,
    "noise": Noise,
    "inpaint": Inpaint,
    "picture": Picture,
}
