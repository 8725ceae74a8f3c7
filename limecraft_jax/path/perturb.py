"""Third step of the path: the samples as pictures, where(z[labels], image, replacement).

Written for one sample and vmapped; a batch of pixels lives only inside the step that queries the
network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int


def kept(z: Bool[Array, "b d"], labels: Int[Array, "h w"]) -> Bool[Array, "b h w"]:
    """Which pixels each sample keeps, z[labels].

    Looking a label up is what costs, so 32 samples share a word: bit i of ``words[j]`` says
    whether sample i keeps superpixel j, and one look-up per pixel serves them all.
    """
    b, d = z.shape
    bits = jnp.arange(32, dtype=jnp.uint32)
    groups = jnp.pad(z, ((0, -b % 32), (0, 0))).reshape(-1, 32, d).astype(jnp.uint32)
    words = (groups << bits[:, None]).sum(axis=1, dtype=jnp.uint32)
    on = (words[:, None, labels] >> bits[:, None, None]) & 1
    return on.reshape(-1, *labels.shape)[:b] == 1


def perturb(
    on: Bool[Array, "h w"],
    image: Float[Array, "h w c"],
    replacement: Float[Array, "h w c"],
) -> Float[Array, "h w c"]:
    """One sample: the image where its superpixel is on, the replacement where it is off."""
    return jnp.where(on[..., None], image, replacement)


@jax.jit
def compose(z, labels, image, replacement) -> Float[Array, "b h w c"]:
    """A batch of samples as pictures."""
    return jax.vmap(perturb, in_axes=(0, None, None))(kept(z, labels), image, replacement)
