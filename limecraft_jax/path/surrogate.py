"""The linear model that stands in for the network near the image, for all classes at once.

    β̂ = argmin Σ π_i (y_i - β₀ - βᵀz_i)² + λ‖β‖²

A weighted ridge in closed form: centered by the weighted means (so the intercept is not
penalized), G = Zᵀ diag(π) Z is d × d, m = Zᵀ diag(π) Y is d × k, and (G + λI) B = m is solved by
Cholesky for all k classes together, in double precision.

How sure is it? Rows that were drawn together (a row and its complement, else each by itself) are a
cluster. A cluster g has the residuals e_g of the fit and pulls the answer by G⁻¹ Z_gᵀ π e_g. As the
fit bends towards the rows it has seen, residuals are too small, by the leverage
H_g = π^½ Z_g G⁻¹ Z_gᵀ π^½; taken times (I - H_g)^-½ they have the right size again, and

    Var β̂ = Σ_g v_g v_gᵀ,   v_g = G⁻¹ Z_gᵀ π^½ (I - H_g)^-½ π^½ e_g

(CR2; Bell & McCaffrey 2002, Pustejovsky & Tipton 2018). With (I - H_g)⁻¹ instead it is what leaving
one cluster out does to the answer, to the last digit, and the residuals are then those of rows that
the fit has not seen. Nothing is fitted twice, except once without the penalty: that answer and its
errors are what the interval goes by, so that the pull of the penalty is part of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

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

# Sizes are padded to multiples, so that few of them are ever compiled. XLA also takes four times as
# long to compile for 1000 classes as for 1008. Rows are looked at in pieces to keep memory low.
ROWS, COLUMNS, CLASSES, SUMS = 512, 64, 16, 8
# Of an interval: rows that carry the variance, for each degree of freedom
PER_FREEDOM = 8
BLIND = 1.0  # degrees of freedom that the variance has before any residual is seen
SEEN = 2 * PER_FREEDOM  # with fewer of them the samples never really show the other side
STEADY = 2.5e-7  # float32 answers that differ by less are one and the same
LEVERAGE = 1 - 1e-6  # above it a row is followed by the fit whatever it says

# XLA hands a batch of Cholesky factorizations to the very threads that wait for it: on a machine of
# few cores, two such batches at once wait forever. And the LAPACK underneath starts threads of its
# own for matrices that need none, which makes 4 ms into 350 ms on two cores.
_ALONE = threading.Lock()
_LAPACK = ThreadpoolController()  # by way of scikit-learn, which needs it too

# GPUs may round products to 10 bits unless told not to.
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

    def factor(self, gram: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """Cholesky factor of G + λI; a superpixel that was never switched gets coefficient 0."""
        diagonal = jnp.diagonal(gram)
        rounding = 1e-11 * diagonal.max()  # never singular, and right to ten digits
        never = jnp.where(diagonal <= rounding, 1.0, 0.0)
        return cho_factor(gram + jnp.diag(self.penalty + never + rounding), lower=True)[0]


class Solution(NamedTuple):
    """What `solve` finds, for d superpixels and k classes; `fit` makes a `Fit` of it."""

    coef: Float[Array, "d k"]
    intercept: Float[Array, " k"]
    unpenalized: Float[Array, "d k"]
    stderr: Float[Array, "d k"]
    blind: Float[Array, "d k"]  # what stderr would be if the fit explained nothing
    sum_stderr: Float[Array, "r k"]  # both for sums of coefficients
    sum_blind: Float[Array, "r k"]
    fitted: Float[Array, " k"]  # share of the variance explained in the sample
    even: Float[Array, " k"]  # the same on fresh samples, for rows that balance each other
    left_out: Float[Array, " k"]  # the same, each cluster predicted from the others
    carriers: Float[Array, " k"]  # how many rows carry the variance of the answers


class Tally(NamedTuple):
    """Sums over all rows, or over a piece of them, of what the residuals e tell."""

    power: Float[Array, " k"]  # Σ π y²
    fourth: Float[Array, " k"]  # Σ (π y²)²
    lost: Float[Array, " k"]  # Σ π e²
    drawn: Float[Array, " k"]  # Σ π y² over the rows that chance has drawn, as are the rest
    along: Float[Array, "2 k"]  # Σ π e² along the directions in which the fit sees more, and less
    freedom: Float[Array, " 2"]  # Σ of I - H along them
    left_out: Float[Array, " k"]  # Σ π e², each cluster predicted from the others
    error: Float[Array, " k"]  # variance of a prediction, by the penalized coefficients' own
    variance: Float[Array, "d k"]  # of the unpenalized coefficients
    sum_variance: Float[Array, "r k"]  # of sums of them


def directions(
    h: Float[Array, "g 2 2"],
) -> tuple[Float[Array, "g 2"], Float[Array, "g 2 2"]]:
    """Eigenvalues of I - H, the smaller first, and its eigenvectors as rows, for 2 × 2 matrices."""
    a, b, c = 1 - h[:, 0, 0], -h[:, 0, 1], 1 - h[:, 1, 1]
    middle, half = (a + c) / 2, jnp.hypot((a - c) / 2, b)
    angle = jnp.arctan2(2 * b, a - c) / 2
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    values = jnp.maximum(jnp.stack([middle - half, middle + half], -1), 1 - LEVERAGE)
    vectors = [jnp.stack([-sine, cosine], -1), jnp.stack([cosine, sine], -1)]
    return values, jnp.stack(vectors, -2)


def tally(x, y, weights, drawn, total, switched, pairs, sums, penalized, free) -> Tally:
    """What the residuals of a piece of rows tell; x and y are centered, rows come in twos.

    ``penalized`` and ``free`` are the coefficients [d k] with the inverse [d d] that made them;
    ``sums`` [d r] says which coefficients are summed up.
    """
    root = jnp.sqrt(weights).reshape(-1, 2, 1)
    x, y, drawn = (part.reshape(*root.shape[:2], -1) for part in (x, y, drawn))
    own = jnp.eye(2) + pairs * (1 - jnp.eye(2))  # a row that is no pair's is a cluster by itself

    def look(coef, inverse):
        pull = root * product("gid,de->gie", x, inverse)
        leverage = (
            product("gid,gjd->gij", pull, root * x) + product("gij,gkj->gik", root, root) / total
        )
        values, vectors = directions(leverage * own)
        residuals = root * (y - product("gid,dk->gik", x, coef))
        return pull, values, vectors, residuals

    pull, values, vectors, residuals = look(*penalized)
    along = product("gij,gjk->gik", vectors, drawn * residuals)
    unbiased = along / jnp.sqrt(values)[..., None]
    reach = product("gij,gjd->gid", vectors, pull * jnp.sqrt(switched))
    reach = product("gid,gjd->gij", reach, reach) * own
    power = (root * y) ** 2

    pull, freed, turned, rest = look(*free)
    rest = product("gij,gjk->gik", turned, rest) / jnp.sqrt(freed)[..., None]
    rest = product("gji,gjk->gik", turned, rest)

    def variance(pull):
        cross = product("gd,gk->dk", pull[:, 0] * pull[:, 1], rest[:, 0] * rest[:, 1])
        return product("gid,gik->dk", pull**2, rest**2) + 2 * pairs * cross

    return Tally(
        power=power.sum((0, 1)),
        fourth=(power**2).sum((0, 1)),
        lost=(residuals**2).sum((0, 1)),
        drawn=(drawn * power).sum((0, 1)),
        along=(along**2).sum(0),
        freedom=(drawn[:, 0] * values).sum(0),
        left_out=((along / values[..., None]) ** 2).sum((0, 1)),
        error=(unbiased * product("gij,gjk->gik", reach, unbiased)).sum((0, 1)),
        variance=variance(pull),
        sum_variance=variance(product("gid,dr->gir", pull, sums)),
    )


@jax.jit
def solve(
    ridge: Ridge,
    z: Bool[Array, "p r d"],
    y: Float[Array, "p r k"],
    weights: Float[Array, "p r"],
    drawn: Float[Array, "p r"],
    pairs: Float[Array, ""],
    sums: Float[Array, "d r"],
) -> Solution:
    """The fit and how sure it is, in pieces of r rows; rows of weight 0 change nothing.

    ``drawn`` is 1 for rows that chance has drawn, 0 for the others; ``pairs`` is 1 where rows 2g
    and 2g + 1 are one cluster, else 0; ``sums`` says which coefficients are summed up.
    """
    d, k, total = z.shape[-1], y.shape[-1], weights.sum()
    pieces = (z.astype(y.dtype), y, weights, drawn)

    def add(over: Callable, start):
        """The sum of what a function says of each piece."""

        def step(sums, piece):
            return jax.tree.map(jnp.add, sums, over(*piece)), None

        return jax.lax.scan(step, start, pieces)[0]

    first = y[0, 0]  # an answer that never changes then differs from it by exactly 0
    off = jnp.where(weights[..., None] > 0, y - first, 0.0)
    steady = jnp.abs(off).max((0, 1)) <= STEADY * jnp.abs(first)
    z_sum, y_sum = add(lambda z, y, w, _: (w @ z, w @ (y - first)), (jnp.zeros(d), jnp.zeros(k)))
    z_mean, y_mean = z_sum / total, y_sum / total

    def center(z, y):
        return z - z_mean, jnp.where(steady, 0.0, y - first - y_mean)

    def products(z, y, w, _):
        x, y = center(z, y)
        wx = w[:, None] * x
        return product("nd,ne->de", wx, x), product("nd,nk->dk", wx, y)

    gram, moment = add(products, (jnp.zeros((d, d)), jnp.zeros((d, k))))
    penalized, free = (
        (cho_solve((factor, True), moment), cho_solve((factor, True), jnp.eye(d)))
        for factor in (ridge.factor(gram), Ridge(0.0).factor(gram))
    )
    switched = jnp.diagonal(gram) / total

    def tallied(z, y, w, drawn):
        x, y = center(z, y)
        return tally(x, y, w, drawn, total, switched, pairs, sums, penalized, free)

    one, two = jnp.zeros(k), jnp.zeros((2, k))
    each, few = jnp.zeros((d, k)), jnp.zeros((sums.shape[1], k))
    found = add(tallied, Tally(one, one, one, one, two, jnp.zeros(2), one, one, each, few))
    n = drawn.sum()
    variance = found.drawn * n / jnp.maximum(n - 1, 1)
    right = (found.along * (n / 2 / jnp.maximum(found.freedom, 1e-30))[:, None]).sum(0)
    fresh = right * (1 + 1 / n) + (drawn * weights).sum() * found.error
    blind = (weights**2).sum() / total**2 * jnp.maximum(variance, 0)
    of_sums = (sums * product("de,er->dr", free[1], sums)).sum(0)

    def explained(lost, of):
        return jnp.where(steady, jnp.nan, 1 - lost / jnp.where(of > 0, of, 1.0))

    return Solution(
        coef=penalized[0],
        intercept=first + y_mean - product("d,dk->k", z_mean, penalized[0]),
        unpenalized=free[0],
        stderr=jnp.sqrt(jnp.maximum(found.variance, 0)),
        blind=jnp.sqrt(blind * jnp.diagonal(free[1])[:, None]),
        sum_stderr=jnp.sqrt(jnp.maximum(found.sum_variance, 0)),
        sum_blind=jnp.sqrt(blind * of_sums[:, None]),
        fitted=explained(found.lost, found.power),
        even=explained(fresh, variance),
        left_out=explained(found.left_out, variance),
        carriers=found.power**2 / jnp.where(found.fourth > 0, found.fourth, 1.0),
    )


def fit(
    z: Bool[np.ndarray, "n d"],
    y: Float[np.ndarray, "n k"],
    weights: Float[np.ndarray, " n"],
    ridge: Ridge,
    complete: bool = False,
    pairs: bool = False,
    even: bool = False,
    sums: Bool[np.ndarray, "r d"] | None = None,
) -> Fit:
    """Fit the surrogate to the answers.

    Parameters
    ----------
    z
        Samples.
    y
        The model's answers to them; anything finite where there is none yet.
    weights
        Weight of each sample, >= 0; 0 where there is no answer yet.
    ridge
        The penalty.
    complete
        Whether the samples are all there are. Then nothing is left to chance, and the standard
        error is that of rounding alone.
    pairs
        Whether rows 2g and 2g + 1 were drawn together.
    even
        Whether the rows balance each other, see `limecraft_jax.path.sample.Design`.
    sums
        Sets of superpixels; how sure the sum of the coefficients of each is, is told too.
    """
    (n, d), k = z.shape, y.shape[1]
    sums = np.zeros((0, d), bool) if sums is None else sums
    answered = weights > 0
    drawn = answered & (np.arange(n) > pairs)  # the image, and what hides it all, are always there
    scale = np.abs(y[answered]).max(axis=0, initial=0)
    bounded = bool(answered.any() and y[answered].min() >= -1e-6 and y[answered].max() <= 1 + 1e-6)
    rows, columns, classes = -n % ROWS, -d % COLUMNS, -k % CLASSES if k > CLASSES else 0
    with _ALONE, _LAPACK.limit(limits=1, user_api="blas"), jax.enable_x64(True):
        found = solve(
            jax.tree.map(np.float64, ridge),  # whatever kind of number came in, one compilation
            np.pad(z, ((0, rows), (0, columns))).reshape(-1, ROWS, d + columns),
            np.pad(y.astype(float), ((0, rows), (0, classes))).reshape(-1, ROWS, k + classes),
            np.pad(weights.astype(float), (0, rows)).reshape(-1, ROWS),
            np.pad(drawn.astype(float), (0, rows)).reshape(-1, ROWS),
            np.float64(pairs),
            np.pad(sums.astype(float), ((0, -len(sums) % SUMS), (0, columns))).T,
        )
        found = {name: np.asarray(part) for name, part in found._asdict().items()}
    of_each = ("coef", "unpenalized", "stderr", "blind")
    coef, free, stderr, blind = (found[name][:d, :k].T for name in of_each)
    carriers = found["carriers"][:k]
    rounding = 1e-6 * np.maximum(scale, 1e-30)[:, None]  # of answers in float32
    worth = weights.sum() ** 2 / max((weights**2).sum(), 1e-30)
    clusters = 1 + pairs
    spare = answered.sum() / clusters - d - (not pairs)  # a pair spares the intercept
    spared = np.maximum(worth / clusters - d, 1)

    def certain(stderr, blind):
        """The standard errors, none below what rounding makes."""
        if complete:
            return np.broadcast_to(rounding, stderr.shape)
        both = np.sqrt((spared * stderr**2 + BLIND * blind**2) / (spared + BLIND))
        return np.maximum(both, rounding)

    of_sums = (found[name][: len(sums), :k].T for name in ("sum_stderr", "sum_blind"))
    errors, sum_errors = certain(stderr, blind), certain(*of_sums)
    freedom = np.minimum(spared, carriers / PER_FREEDOM - 1)
    known = (carriers >= SEEN) & (spare >= 1)
    r2 = np.where(known, found["even" if even else "left_out"][:k], np.nan)
    if complete:
        known, r2 = np.full(k, True), found["fitted"][:k]
    return Fit(
        coef=coef,
        intercept=found["intercept"][:k],
        r2=r2,
        stderr=errors,
        weights=weights,
        dof=np.full(k, np.inf) if complete else np.maximum(freedom, 1.0),
        unpenalized=free,
        r2_sample=found["fitted"][:k],
        known=known,
        bounded=bounded,
        sums=sums,
        sum_stderr=sum_errors,
    )
