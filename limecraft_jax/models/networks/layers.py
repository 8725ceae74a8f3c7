"""Convolutions and pools, each in the form that the device at hand does fastest.

A layer here is a convolution and a bias: batch norm is folded into both when weights are read
(`convert.fold`). Weights start at zero, for they are always read from a file. XLA's compiler for
processors is slow at some forms and fast at others which give the same numbers: depthwise
convolutions and pools become sums and maxima of shifted pictures, 1x1 convolutions matrix
products, and 3x3 ones without padding are padded and cropped. On an accelerator the plain forms
are the fast ones.
"""

from __future__ import annotations

import contextlib
import contextvars
import itertools
from collections.abc import Callable, Iterator
from functools import reduce
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

if TYPE_CHECKING:
    from jaxtyping import Array, Float

Pads = tuple[tuple[int, int], tuple[int, int]]  # (before, after) of rows and of columns
NONE: Pads = ((0, 0), (0, 0))
LAYERS = "NHWC", "HWIO", "NHWC"


_plain = contextvars.ContextVar("plain", default=False)


def rewrite() -> bool:
    """Whether the forms for processors are wanted."""
    return jax.default_backend() == "cpu" and not _plain.get()


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """While this lasts, the forms for accelerators are taken everywhere."""
    before = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(before)


def even(size: tuple[int, int]) -> Pads:
    """PyTorch's usual padding: the same on both sides, half the kernel."""
    return ((size[0] // 2,) * 2, (size[1] // 2,) * 2)


def same(shape: tuple[int, ...], size: tuple[int, int], stride: int) -> Pads:
    """TensorFlow's and Keras' ``SAME``: as many windows as strides fit, the odd pixel behind."""
    pads = []
    for side, window in zip(shape[1:3], size, strict=True):
        missing = max((-(-side // stride) - 1) * stride + window - side, 0)
        pads.append((missing // 2, missing - missing // 2))
    return pads[0], pads[1]


def around(shape: tuple[int, ...], size: tuple[int, int], stride: int, family: str) -> Pads:
    """The padding that keeps the size (divided by the stride) in one family or the other."""
    return same(shape, size, stride) if family == "keras" else even(size)


def shifted(
    x: Float[Array, "n h w c"], size: tuple[int, int], stride: int
) -> Iterator[tuple[int, int, Float[Array, "n p q c"]]]:
    """For every place of a window, what it sees there: (row, column, pictures)."""
    rows, cols = ((s - k) // stride + 1 for s, k in zip(x.shape[1:3], size, strict=True))
    for i, j in itertools.product(range(size[0]), range(size[1])):
        ends = i + (rows - 1) * stride + 1, j + (cols - 1) * stride + 1
        yield i, j, x[:, i : ends[0] : stride, j : ends[1] : stride]


def pad(x: Float[Array, "n h w c"], pads: Pads, value: float = 0.0) -> Float[Array, "n p q c"]:
    """Pictures with a rim."""
    if pads == NONE:
        return x
    return jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=value)


class Conv(nnx.Module):
    """A convolution with a bias, perhaps followed by an activation.

    Parameters
    ----------
    inputs, outputs
        Channels; a depthwise convolution keeps them, so that both are the same.
    size, stride
        Of the window, in pixels; `size` is one number or (height, width).
    family
        ``"torch"`` or ``"keras"``: how the rim is padded, see `around`; ``"valid"``: not at all.
    depthwise
        Whether every channel has a window of its own.
    activation
        What follows, for example ``jax.nn.relu``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int | tuple[int, int] = 1,
        stride: int = 1,
        *,
        family: str = "torch",
        depthwise: bool = False,
        activation: Callable | None = None,
    ):
        self.size = (size, size) if isinstance(size, int) else size
        self.stride, self.family, self.activation = stride, family, activation
        self.depthwise = depthwise
        shape = (*self.size, 1 if depthwise else inputs, outputs)
        self.kernel = nnx.Param(jnp.zeros(shape))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n p q d"]:
        """Convolve a batch."""
        pads = (
            NONE if self.family == "valid" else around(x.shape, self.size, self.stride, self.family)
        )
        kernel = self.kernel[...]
        if self.depthwise:
            y = depthwise(x, kernel, self.stride, pads)
        else:
            y = convolve(x, kernel, self.stride, pads)
        y = y + self.bias[...]
        return self.activation(y) if self.activation else y


class Dense(nnx.Module):
    """A matrix product and a bias."""

    def __init__(self, inputs: int, outputs: int):
        self.kernel = nnx.Param(jnp.zeros((inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n k"]:
        """Logits of a batch."""
        return x @ self.kernel[...] + self.bias[...]


class Network(nnx.Module):
    """Maps, their mean over the picture, and one matrix product.

    A network sets `dense` and says how it makes its maps, `features`.
    """

    dense: Dense

    def features(self, images: Float[Array, "n h w 3"]) -> Float[Array, "n p q f"]:
        """The last maps that still know where something is."""
        raise NotImplementedError

    def head(self, features: Float[Array, "n p q f"]) -> Float[Array, "n k"]:
        """Logits from the last maps."""
        if features.dtype == jnp.bfloat16:
            # jax 0.12 gives NaN on a processor where it melts maps and mean together.
            features = lax.optimization_barrier(features)
        return self.dense(features.mean((1, 2)))

    def __call__(self, images: Float[Array, "n h w 3"]) -> Float[Array, "n k"]:
        """Logits of a batch of normalized images."""
        return self.head(self.features(images))


def convolve(x, kernel, stride: int, pads: Pads) -> Float[Array, "n p q d"]:
    """A convolution over all channels."""
    size = kernel.shape[:2]
    if rewrite() and size == (1, 1):
        return x[:, ::stride, ::stride] @ kernel[0, 0]
    if rewrite() and pads == NONE and stride == 1:
        full = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYERS)
        rows, cols = (s // 2 for s in size)
        return full[:, rows : x.shape[1] - rows, cols : x.shape[2] - cols]
    return lax.conv_general_dilated(x, kernel, (stride, stride), pads, dimension_numbers=LAYERS)


def depthwise(x, kernel, stride: int, pads: Pads) -> Float[Array, "n p q c"]:
    """A convolution of every channel by itself."""
    if rewrite():
        size = kernel.shape[:2]
        terms = (seen * kernel[i, j, 0] for i, j, seen in shifted(pad(x, pads), size, stride))
        return reduce(jnp.add, terms)
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        pads,
        dimension_numbers=LAYERS,
        feature_group_count=x.shape[3],
    )


def max_pool(x, size: int, stride: int, pads: Pads = NONE) -> Float[Array, "n p q c"]:
    """The largest value in every window; the rim never wins."""
    window = (size, size)
    if rewrite():
        low = pad(x, pads, -jnp.inf)
        return reduce(jnp.maximum, (seen for _, _, seen in shifted(low, window, stride)))
    return nnx.max_pool(x, window, (stride, stride), pads)


def mean_pool(x, size: int, family: str) -> Float[Array, "n h w c"]:
    """The mean of every window at stride 1; torch counts the zeros of the rim, Keras does not."""
    window, pads = (size, size), even((size, size))
    if rewrite():
        total = reduce(jnp.add, (seen for _, _, seen in shifted(pad(x, pads), window, 1)))
    else:
        total = nnx.avg_pool(x, window, (1, 1), pads) * size**2
    if family == "torch":
        return total / size**2
    reach, rows, cols = size // 2, np.arange(x.shape[1]), np.arange(x.shape[2])
    counts = (
        np.minimum(at + reach, len(at) - 1) - np.maximum(at - reach, 0) + 1 for at in (rows, cols)
    )
    return total / np.outer(*counts)[..., None].astype(x.dtype)
