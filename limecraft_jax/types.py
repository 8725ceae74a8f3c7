"""What flows along the path: arrays with a promise, and the words for what cannot be used.

Images are float32 sRGB in [0, 1], shape (h, w, c), rows first; batches lead with n. Probabilities
lie in [0, 1]. A mask is an int32 map of what the user drew: 0 outside, 1, 2, ... the regions.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Int32


class InputError(ValueError):
    """Something given from outside cannot be used. The text is one sentence fit for a user."""


def unknown(what: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not registered, with the nearest known one."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(names)}."
    return InputError(f"{what} must be a known name, got {str(name)!r}: {hint}")


def prepare(image: np.ndarray, height: int, width: int, channels: int) -> Float[np.ndarray, "h w c"]:
    """Bring a picture to the size and channels that a model sees; the only such path.

    The whole picture is kept: another aspect ratio is stretched. A picture that already has the
    right size and channels comes back with the same values.

    Parameters
    ----------
    image
        Values in [0, 1], shape (h, w), (h, w, 1) or (h, w, 3).
    height, width
        Wanted size in pixels.
    channels
        1 (luminance, ITU-R BT.709 weights as in scikit-image's ``rgb2gray``) or 3.
    """
    from skimage.color import rgb2gray
    from skimage.transform import resize

    image = np.asarray(image, np.float32)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise InputError(f"an image must have shape (h, w), (h, w, 1) or (h, w, 3), got {image.shape}.")
    if channels == 1 and image.shape[2] == 3:
        image = rgb2gray(image)[..., None]
    if channels == 3 and image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    if image.shape[:2] != (height, width):
        image = resize(image, (height, width), order=1, anti_aliasing=True)
    return np.clip(image, 0, 1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Which superpixel every pixel belongs to, and which drawn region every superpixel.

    Promise, kept by its one constructor `limecraft_jax.segment.segment`: labels are exactly
    0 .. num - 1, every superpixel is one 4-connected piece and lies in one drawn region or
    outside them all. Superpixels are numbered by region, those of the rest come last.

    Parameters
    ----------
    labels
        The superpixel of each pixel.
    region
        The drawn region of each superpixel: its value in the mask, 0 for the rest.
    notes
        Sentences for the user, for example why there are fewer superpixels than asked for.
    """

    labels: Int32[np.ndarray, "h w"]
    region: Int32[np.ndarray, " d"]
    notes: tuple[str, ...] = ()

    @property
    def num(self) -> int:
        """How many superpixels there are, d."""
        return len(self.region)

    @property
    def inside(self) -> Bool[np.ndarray, " d"]:
        """Which superpixels lie in a drawn region."""
        return self.region != 0

    @property
    def areas(self) -> Int[np.ndarray, " d"]:
        """Area of each superpixel in pixels."""
        return np.bincount(self.labels.ravel(), minlength=self.num)
