"""The linear model that stands in for the network near the image, for all classes at once.

    β̂ = argmin Σ π_i (y_i - β₀ - βᵀz_i)² + λ‖β‖²

A weighted ridge in closed form: centered by the weighted means (so the intercept is not
penalized), G = Zᵀ diag(π) Z is d × d, m = Zᵀ diag(π) Y is d × k, and (G + λI) B = m is solved by
Cholesky for all k classes together.

How sure is it? Pairs of rows are dealt to ten groups; the spread of the ten answers that each
leave one group out is the grouped jackknife (Quenouille 1956; Efron & Stein 1981). It needs only
the ten groups' own G and m.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve
from threadpoolctl import ThreadpoolController

from limecraft_jax import bounds
from limecraft_jax.pytree import pytree
from limecraft_jax.types import Fit

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float

GROUPS = 10
# Sizes are padded to multiples, so that few of them are ever compiled. XLA also takes four times as
# long to compile for 1000 classes as for 1008.
ROWS, COLUMNS, CLASSES = 260, 64, 16

# XLA hands a batch of Cholesky factorizations to the very threads that wait for it: on a machine of
# few cores, two such batches at once wait forever. And the LAPACK underneath starts threads of its
# own for matrices that need none, which makes 4 ms into 350 ms on two cores.
_ALONE = threading.Lock()
_LAPACK = ThreadpoolController()  # by way of scikit-learn, which needs it too

# GPUs may round float32 products to 10 bits unless told not to.
product = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


@pytree()
class Ridge:
    """Least squares with a penalty on the squared size of the coefficients.

    Attributes
    ----------
    penalty
        λ from 0 to 10^9, lime's is 1. The weights of the samples sum to 10^6 at most, so a larger
        one would leave nothing of any coefficient.
    """

    penalty: float = 1.0

    def __post_init__(self):
        bounds.number("penalty", self.penalty, 0, 1e9)

    def __call__(
        self, gram: Float[Array, "d d"], moment: Float[Array, "d k"]
    ) -> Float[Array, "d k"]:
        """Solve (G + λI) B = m; a superpixel that was never switched gets coefficient 0."""
        diagonal = jnp.diagonal(gram)
        rounding = 32 * jnp.finfo(gram.dtype).eps * diagonal.max()
        never = jnp.where(diagonal <= rounding, 1.0, 0.0)
        system = gram + jnp.diag(self.penalty + never)
        factor = cho_factor(system + rounding * jnp.eye(len(gram)))  # never singular, nearly right
        guess = cho_solve(factor, moment)
        return guess + cho_solve(factor, moment - product("de,ek->dk", system, guess))


@jax.jit
def solve(
    ridge: Ridge, z: Float[Array, "n d"], y: Float[Array, "n k"], weights: Float[Array, " n"]
) -> tuple[Array, Array, Array, Array]:
    """Coefficients [d k], intercepts [k], weighted R² [k] and jackknife errors [d k].

    n must be a multiple of 2 · GROUPS; rows of weight 0 and columns of zeros change nothing.
    """
    total = weights.sum()
    first = y[0]  # an answer that never changes then differs from it by exactly 0
    y = y - first
    z_mean, y_mean = product("n,nd->d", weights, z) / total, product("n,nk->k", weights, y) / total
    present = (weights > 0)[:, None]
    z, y = jnp.where(present, z - z_mean, 0), jnp.where(present, y - y_mean, 0)

    def deal(rows):
        return jnp.moveaxis(rows.reshape(-1, GROUPS, 2, rows.shape[-1]), 1, 0).reshape(
            GROUPS, -1, rows.shape[-1]
        )

    def moments(z, y, w):
        wz = w * z
        return (
            w.sum(),
            wz.sum(0),
            (w * y).sum(0),
            product("nd,ne->de", wz, z),
            product("nd,nk->dk", wz, y),
        )

    parts = jax.vmap(moments)(deal(z), deal(y), deal(weights[:, None]))
    whole = jax.tree.map(lambda part: part.sum(0), parts)

    def without(part):
        w, z_sum, y_sum, gram, moment = jax.tree.map(jnp.subtract, whole, part)
        w = jnp.maximum(w, jnp.finfo(w.dtype).tiny)
        return ridge(gram - jnp.outer(z_sum, z_sum) / w, moment - jnp.outer(z_sum, y_sum) / w)

    coef = ridge(whole[3], whole[4])
    left_out = jax.vmap(without)(parts)
    used = (parts[0] > 0)[:, None, None]
    groups = used.sum()
    middle = jnp.where(used, left_out, 0).sum(0) / groups
    spread = jnp.where(used, (left_out - middle) ** 2, 0).sum(0)
    stderr = jnp.sqrt((groups - 1) / groups * spread)

    residual = product("n,nk->k", weights, (y - product("nd,dk->nk", z, coef)) ** 2)
    variance = product("n,nk->k", weights, y**2)
    r2 = jnp.where(variance > 0, 1 - residual / jnp.maximum(variance, 1e-30), 1.0)
    return coef, first + y_mean - product("d,dk->k", z_mean, coef), r2, stderr


def fit(
    z: Bool[np.ndarray, "n d"],
    y: Float[np.ndarray, "n k"],
    weights: Float[np.ndarray, " n"],
    ridge: Ridge,
    complete: bool = False,
) -> Fit:
    """Fit the surrogate to the answers.

    Parameters
    ----------
    z
        Samples, rows in pairs (2g, 2g + 1).
    y
        The model's answers to them; anything finite where there is none yet.
    weights
        Weight of each sample, >= 0; 0 where there is no answer yet.
    ridge
        The penalty.
    complete
        Whether the samples are all there are. Then nothing is left to chance, and the standard
        error is that of float32 rounding alone.
    """
    (n, d), k = z.shape, y.shape[1]
    rows, columns, classes = -n % ROWS, -d % COLUMNS, -k % CLASSES if k > CLASSES else 0
    z_padded = np.pad(z, ((0, rows), (0, columns))).astype(np.float32)
    y_padded = np.pad(y, ((0, rows), (0, classes))).astype(np.float32)
    w_padded = np.pad(weights, (0, rows)).astype(np.float32)
    ridge = jax.tree.map(np.float32, ridge)  # whatever kind of number came in, one compilation
    with _ALONE, _LAPACK.limit(limits=1, user_api="blas"):
        coef, intercept, r2, stderr = map(np.asarray, solve(ridge, z_padded, y_padded, w_padded))
    rounding = 1e-6 * np.maximum(np.abs(y).max(axis=0), 1e-30)[:, None]
    stderr = (
        np.broadcast_to(rounding, (k, d)) if complete else np.maximum(stderr[:d, :k].T, rounding)
    )
    groups = len(np.unique((np.flatnonzero(weights) // 2) % GROUPS))
    dof = max(groups - 1, 1)
    return Fit(coef[:d, :k].T, intercept[:k], r2[:k], stderr, weights, dof)
