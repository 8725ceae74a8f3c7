"""How close is a sample to the image? Weights that fall with the superpixels switched off.

    π(s) = exp(-(1 - √(s/d))² / 2ν²)

s of d superpixels are on, 1 - √(s/d) is the cosine distance to the all-on sample, ν the width
(Ribeiro et al. 2016, §3.4; Garreau & Mardaoui 2021, §2). A kernel is written for one sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from limecraft_jax import bounds
from limecraft_jax.pytree import pytree

if TYPE_CHECKING:
    from jaxtyping import Array, Float


@pytree()
class Exponential:
    """LIME's kernel, exp(-(1 - √x)² / 2ν²) of the share x of superpixels that are on.

    Attributes
    ----------
    width
        ν in `bounds.WIDTHS`, lime's ``kernel_width``; its default for images is .25.
    """

    width: float = 0.25

    def __post_init__(self):
        bounds.number("width", self.width, *bounds.WIDTHS)

    def __call__(self, kept: Float[Array, ""]) -> Float[Array, ""]:
        """Weight in [0, 1] of a sample that keeps the share ``kept`` of its superpixels."""
        return jnp.exp(-((1 - jnp.sqrt(kept)) ** 2) / (2 * self.width**2))


KERNELS: dict[str, type] = {"exponential": Exponential}
