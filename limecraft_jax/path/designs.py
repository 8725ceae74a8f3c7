"""The designs: laws for which superpixels each sample keeps.

A design is a law p[s] for the number of superpixels kept plus, for some, a rule for how rows hang
together. Image LIME weighs a sample by s alone (Garreau & Mardaoui 2021, §2), so a design that
draws sizes from another law than LIME's own C(d,s)/2^d still answers LIME's question once each
sample is weighted by

    ratio(s) = C(d,s) 2^-d / p[s]
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from scipy.special import gammaln, logsumexp

from limecraft_jax import bounds
from limecraft_jax.path import paley
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

EXHAUSTIVE_LIMIT = 16


class Design(Protocol):
    """A law for the samples of one explanation; what the fit must know of it, in four words.

    ``complete``: the rows are all there are, so the answer carries no sampling error. ``pairs``:
    every row is followed by its complement. ``even``: rows are drawn without replacement from a
    table in which any two superpixels meet in all four ways alike. ``plain``: a plain difference
    is asked for, without kernel and penalty.
    """

    complete: ClassVar[bool]
    plain: ClassVar[bool]
    label: ClassVar[str]

    even: ClassVar[bool]

    @property
    def pairs(self) -> bool: ...

    def draw(self, rng: np.random.Generator, n: int, d: int) -> Bool[np.ndarray, "n d"]: ...

    def log_ratio(self, d: int) -> Float[np.ndarray, "d+1"]: ...


def log_binomial(d: int) -> Float[np.ndarray, "d+1"]:
    """log of C(d,s) 2^-d for s = 0..d, the sizes that ``lime`` draws."""
    s = np.arange(d + 1)
    return gammaln(d + 1) - gammaln(s + 1) - gammaln(d - s + 1) - d * np.log(2)


def pairs_after_ends(half: Bool[np.ndarray, "m d"], n: int) -> Bool[np.ndarray, "n d"]:
    """Rows: all on, all off, then each given row followed by its complement; cut to n."""
    m, d = half.shape
    z = np.empty((2 * m + 2, d), bool)
    z[0], z[1], z[2::2], z[3::2] = True, False, half, ~half
    return z[:n]


def subsets(rng: np.random.Generator, sizes: Int[np.ndarray, " m"], d: int):
    """One uniformly random subset of 0..d-1 of each given size, as rows ``Bool[m d]``."""
    ranks = rng.random((len(sizes), d)).argsort(axis=1).argsort(axis=1)
    return ranks < np.asarray(sizes)[:, None]


class _Random:
    """Independent rows, unless a design says otherwise."""

    complete: ClassVar[bool] = False
    plain: ClassVar[bool] = False
    even: ClassVar[bool] = False

    @property
    def pairs(self) -> bool:
        """Whether every row is followed by its complement."""
        return False


class _Complements:
    """Rows 2g and 2g + 1 are complements."""

    @property
    def pairs(self) -> bool:
        """Whether every row is followed by its complement."""
        return True


class _LimeSizes(_Random):
    """Designs whose rows are, one by one, uniform over all subsets."""

    def log_ratio(self, d: int) -> Float[np.ndarray, "d+1"]:
        """Zero: the law is LIME's own."""
        return np.zeros(d + 1)


@dataclasses.dataclass(frozen=True)
class Bernoulli(_LimeSizes):
    """Every superpixel by itself on or off with probability 1/2: what the ``lime`` package does."""

    label: ClassVar[str] = "random (lime)"

    def draw(self, rng: np.random.Generator, n: int, d: int) -> Bool[np.ndarray, "n d"]:
        """n rows, the first all on."""
        z = rng.integers(0, 2, (n, d), dtype=np.int8).astype(bool)
        z[0] = True
        return z


@dataclasses.dataclass(frozen=True)
class Paired(_Complements, _LimeSizes):
    """Random rows, each followed by its complement (antithetic sampling; Covert & Lee 2021, §4)."""

    label: ClassVar[str] = "random pairs"

    def draw(self, rng: np.random.Generator, n: int, d: int) -> Bool[np.ndarray, "n d"]:
        """n rows: all on, all off, then pairs."""
        return pairs_after_ends(rng.integers(0, 2, (n // 2, d), dtype=np.int8).astype(bool), n)


@dataclasses.dataclass(frozen=True)
class Balanced(_LimeSizes):
    """Rows of Paley's Hadamard matrices: every two superpixels meet in all four ways alike.

    A block is one such matrix, its columns picked and their signs flipped at random, its rows
    shuffled; blocks follow one another, each drawn anew, and their order is the one of which a
    whole number comes nearest to the samples asked for. Each row by itself is uniform over all
    subsets, so LIME's question stays the same. With ``complements`` every row is followed by its
    opposite, which cancels the interactions of two superpixels (a fold-over design; Box & Wilson
    1951): far fewer samples when the score bends gently, up to twice the error when it jumps.
    Without, the design was never worse than independent rows in our trials.
    """

    complements: bool = True
    even: ClassVar[bool] = True
    label: ClassVar[str] = "balanced"

    @property
    def pairs(self) -> bool:
        """Whether every row is followed by its complement."""
        return self.complements

    def draw(self, rng: np.random.Generator, n: int, d: int) -> Bool[np.ndarray, "n d"]:
        """n rows: all on, (all off,) then block after block."""
        rows = max((n - 1) // 2 if self.complements else n, 1)
        matrix = paley.blocks(rng, rows, d)
        if self.complements:
            return pairs_after_ends(matrix, n)
        matrix[0] = True
        return matrix


@dataclasses.dataclass(frozen=True)
class KernelSizes(_Random):
    """The kernel moved into the law: p[s] ∝ C(d,s) π(s), so every sample weighs the same.

    GLIME (Tan, Tian & Li 2023) with LIME's own cosine kernel. It helps when the width is small.

    Attributes
    ----------
    width
        Kernel width ν at which the sizes are drawn, >= .025 (below, a few samples weigh more than
        all others together); the default is lime's.
    """

    width: float = 0.25
    label: ClassVar[str] = "kernel sizes (GLIME)"

    def __post_init__(self):
        bounds.number("width", self.width, 0.025, bounds.WIDTHS[1])

    def law(self, d: int) -> Float[np.ndarray, "d+1"]:
        """log p[s], s = 0..d."""
        log_kernel = -((1 - np.sqrt(np.arange(d + 1) / d)) ** 2) / (2 * self.width**2)
        log_mass = log_binomial(d) + log_kernel
        return log_mass - logsumexp(log_mass)

    def draw(self, rng: np.random.Generator, n: int, d: int) -> Bool[np.ndarray, "n d"]:
        """n rows, the first all on."""
        z = subsets(rng, rng.choice(d + 1, n, p=np.exp(self.law(d))), d)
        z[0] = True
        return z

    def log_ratio(self, d: int) -> Float[np.ndarray, "d+1"]:
        """log of C(d,s) 2^-d / p[s]: the kernel taken out again."""
        return log_binomial(d) - self.law(d)


@dataclasses.dataclass(frozen=True)
class ShapleySizes(_Complements, _Random):
    """Kernel SHAP's sizes, p[s] ∝ (d-1) / (s (d-s)) for 0 < s < d, each row with its complement.

    Lundberg & Lee 2017, Theorem 2; pairs as in Covert & Lee 2021. Many near-full and near-empty
    samples, which LIME's kernel then weighs little: precise for Shapley values, not for LIME.
    """

    label: ClassVar[str] = "Shapley sizes"

    def law(self, d: int) -> Float[np.ndarray, "d+1"]:
        """log p[s]; -inf at s = 0 and s = d."""
        s = np.arange(1, d)
        log_p = np.full(d + 1, -np.inf)
        log_p[1:d] = -np.log(s * (d - s))
        return log_p - logsumexp(log_p)

    def draw(self, rng: np.random.Generator, n: int, d: int) -> Bool[np.ndarray, "n d"]:
        """n rows: all on, all off, then pairs."""
        if d < 2:
            return pairs_after_ends(np.ones((n // 2, d), bool), n)
        sizes = rng.choice(d + 1, n // 2, p=np.exp(self.law(d)))
        return pairs_after_ends(subsets(rng, sizes, d), n)

    def log_ratio(self, d: int) -> Float[np.ndarray, "d+1"]:
        """log of C(d,s) 2^-d / p[s]; 0 for the two ends, which the law never draws."""
        ratio = np.zeros(d + 1)
        ratio[1:d] = log_binomial(d)[1:d] - self.law(d)[1:d]
        return ratio


@dataclasses.dataclass(frozen=True)
class LeaveOneOut(_Random):
    """The untouched image, then each superpixel switched off alone: n = d + 1, nothing random.

    The coefficient of a superpixel is then what the score loses without it (Zeiler & Fergus 2014,
    §4.2, on superpixels), a question of its own and not LIME's: no kernel, no penalty.
    """

    complete: ClassVar[bool] = True
    plain: ClassVar[bool] = True
    label: ClassVar[str] = "one at a time"

    def draw(self, rng: np.random.Generator, n: int, d: int) -> Bool[np.ndarray, "d+1 d"]:
        """d + 1 rows, however many are asked for."""
        return np.concatenate([np.ones((1, d), bool), ~np.eye(d, dtype=bool)])

    def log_ratio(self, d: int) -> Float[np.ndarray, "d+1"]:
        """Zero: the few sizes drawn are taken as they are."""
        return np.zeros(d + 1)


@dataclasses.dataclass(frozen=True)
class Exhaustive(_Complements, _LimeSizes):
    """All 2^d samples, d <= 16: LIME's answer without sampling error.

    In random order, each row followed by its complement, so that the first ones are a fair sample
    of them all if the run is stopped.
    """

    complete: ClassVar[bool] = True
    label: ClassVar[str] = "all combinations"

    def draw(self, rng: np.random.Generator, n: int, d: int) -> Bool[np.ndarray, "2**d d"]:
        """All rows, all on and all off first, however many are asked for."""
        if d > EXHAUSTIVE_LIMIT:
            raise InputError(
                f"all combinations need at most {EXHAUSTIVE_LIMIT} superpixels, got {d}: "
                "ask for fewer superpixels or choose another design."
            )
        half = 1 + rng.permutation(2 ** (d - 1) - 1)[:, None] >> np.arange(d - 1, -1, -1)
        return pairs_after_ends((half & 1).astype(bool), 2**d)


DESIGNS: dict[str, type[Design]] = {
    "balanced": Balanced,
    "bernoulli": Bernoulli,
    "paired": Paired,
    "kernel-sizes": KernelSizes,
    "shapley-sizes": ShapleySizes,
    "leave-one-out": LeaveOneOut,
    "exhaustive": Exhaustive,
}
