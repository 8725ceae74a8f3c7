"""The one way in which a picture is brought to the size that a model sees."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Float

LONGEST = 8  # times longer than what is wanted of it: more of a picture is not looked at


def frame(size: tuple[int, int], wanted: tuple[int, int], crop: float) -> tuple[int, int]:
    """Size (h, w) to which a picture is scaled before its middle of the wanted size is cut out.

    Parameters
    ----------
    size, wanted
        (h, w) of the picture, and of what the model sees.
    crop
        How much of the picture's side, the one that limits, the model sees; 0 stretches the whole
        picture to the wanted size. A picture of the wanted size is left as it is.

    >>> frame((400, 600), (224, 224), 0.875)
    (256, 384)
    """
    if not crop or tuple(size) == tuple(wanted):
        return wanted
    ratios = [new / old for new, old in zip(wanted, size, strict=True)]
    short = int(np.argmax(ratios))
    side = math.floor(wanted[short] / crop + 1e-6)
    scaled = [round(side * old / size[short]) for old in size]
    return max(scaled[0], wanted[0]), max(scaled[1], wanted[1])


def band(size: tuple[int, int], wanted: tuple[int, int], crop: float) -> tuple[int, int]:
    """Size (h, w) of the middle of a picture that is enough where only its middle is seen.

    Parameters are those of `frame`. A strip a thousand times as long as wide would else be blown up
    as a whole, to gigabytes, before its middle is cut out.

    >>> band((8, 100_000), (224, 224), 0.875), band((400, 600), (224, 224), 0.875)
    ((8, 64), (400, 600))
    """
    if not crop or tuple(size) == tuple(wanted):
        return size
    shares = (size[1] * wanted[0] / wanted[1], size[0] * wanted[1] / wanted[0])
    height, width = (
        old - max(old - math.ceil(LONGEST * share), 0) // 2 * 2  # as much from both ends
        for old, share in zip(size, shares, strict=True)
    )
    return height, width


def middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle of a picture or mask."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def prepare(
    image: np.ndarray,
    height: int,
    width: int,
    channels: int,
    crop: float = 0.0,
    resample: str = "bilinear",
) -> Float[np.ndarray, "h w c"]:
    """Bring a picture to the size and channels that a model sees; the only such path.

    A picture that already has the right size and channels comes back with the same values.

    Parameters
    ----------
    image
        Values in [0, 1], shape (h, w), (h, w, 1) or (h, w, 3).
    height, width
        Wanted size in pixels.
    channels
        1 (luminance, ITU-R BT.709 weights as in scikit-image's ``rgb2gray``) or 3.
    crop
        See `frame`. 0 keeps the whole picture: another aspect ratio is stretched.
    resample
        ``"bilinear"`` (scikit-image) or ``"bicubic"`` (Pillow, as ImageNet networks are tested).
    """
    from skimage.color import rgb2gray
    from skimage.transform import resize

    image = np.asarray(image, np.float32)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise InputError(
            f"an image must have shape (h, w), (h, w, 1) or (h, w, 3), got {image.shape}."
        )
    if channels == 1 and image.shape[2] == 3:
        image = rgb2gray(image)[..., None]
    if channels == 3 and image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    image = middle(image, *band(image.shape[:2], (height, width), crop))
    size = frame(image.shape[:2], (height, width), crop)
    if image.shape[:2] != size and resample == "bicubic":
        from PIL import Image

        layers = [Image.fromarray(channel) for channel in np.moveaxis(image, 2, 0)]
        layers = [layer.resize(size[::-1], Image.Resampling.BICUBIC) for layer in layers]
        image = np.stack([np.asarray(layer) for layer in layers], axis=2)
    elif image.shape[:2] != size:
        image = resize(image, size, order=1, anti_aliasing=True)
    image = middle(image, height, width)
    return np.clip(image, 0, 1).astype(np.float32)
