"""The input of a graph: how large its pictures are, how their axes lie, and how many at once.

What the graph leaves open is told (`about.About`); what neither says is asked for in a sentence.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from limecraft_jax.models.formats.about import MOST_SIDE, About, check_batch
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Num

    from limecraft_jax.models.formats.apart import Tensor


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
        with np.errstate(all="ignore"):  # half precision ends at 65504: what comes out is checked
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
    check_batch(file, batch or 1, found)
    return Port(*found, layout, len(shape), dtype, batch or 0)


def listed(tensors: Sequence[Tensor]) -> str:
    """Names and shapes for a message; the first five."""
    shown = ", ".join(f"{one.name} {axes_text(one.shape)}" for one in tensors[:5])
    return shown + ", ..." * (len(tensors) > 5)


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
