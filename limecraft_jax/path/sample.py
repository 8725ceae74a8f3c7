"""Second step of the path: which superpixels does each sample keep?

All samples of one explanation are one tensor z, ``Bool[n d]``; row 0 keeps all. Drawing happens on
the host: a table of booleans is small, and a new number of superpixels then compiles nothing. In a
design with complements, rows 2g and 2g + 1 belong together: each keeps what the other hides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from limecraft_jax.path.designs import (
    DESIGNS,
    EXHAUSTIVE_LIMIT,
    Balanced,
    Bernoulli,
    Design,
    Exhaustive,
    KernelSizes,
    LeaveOneOut,
    Paired,
    ShapleySizes,
)
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool

__all__ = [
    "DESIGNS",
    "EXHAUSTIVE_LIMIT",
    "Balanced",
    "Bernoulli",
    "Design",
    "Exhaustive",
    "KernelSizes",
    "LeaveOneOut",
    "Paired",
    "ShapleySizes",
    "draw",
    "full_rank",
    "least",
    "settle",
]

MOST_SAMPLES = 1_000_000  # a guard against a slip of the pen; z alone is then a gigabyte
MOST_SUPERPIXELS = 2000  # the fit's d x d matrices then take 32 MB each, and seconds
ATTEMPTS = 20  # tables drawn before it is said that a design cannot tell the superpixels apart


def least(design: Design, d: int) -> int:
    """The fewest samples from which a design can tell d superpixels apart and judge itself."""
    return 2 * d + 2 if design.pairs else d + 2


def settle(design: Design, n: int, d: int) -> Design:
    """The design that is really used: all combinations when they cost no more than n samples.

    Parameters
    ----------
    design
        What was asked for.
    n
        Number of samples asked for, the untouched image included.
    d
        Number of superpixels.
    """
    if n > MOST_SAMPLES:
        raise InputError(f"samples must be at most {MOST_SAMPLES}, got {n}: ask for fewer.")
    if d > MOST_SUPERPIXELS:
        raise InputError(f"superpixels must be at most {MOST_SUPERPIXELS}, got {d}: ask for fewer.")
    if design.complete:
        return design
    if d <= EXHAUSTIVE_LIMIT and 2**d <= n:
        return Exhaustive()
    if n < least(design, d):
        halves = f", or draw without complements (then {d + 2} are enough)" * design.pairs
        raise InputError(
            f"{d} superpixels need at least {least(design, d)} samples, got {n}: "
            f"raise the number of samples or ask for fewer superpixels{halves}."
        )
    return design


def full_rank(z: Bool[np.ndarray, "n d"]) -> bool:
    """Whether the rows can tell all superpixels apart, an intercept beside them."""
    few = 2 * z.shape[1] + 256  # mostly enough, where there are many more
    for rows in (z[:few], z):
        centered = rows - rows.mean(axis=0)
        gram = centered.T @ centered
        try:
            np.linalg.cholesky(gram - 1e-9 * len(rows) * np.eye(len(gram)))
            return True
        except np.linalg.LinAlgError:
            continue
    return False


def draw(design: Design, n: int, d: int, seed: int) -> Bool[np.ndarray, "n d"]:
    """All samples of one explanation; the same seed gives the same samples.

    Parameters
    ----------
    design
        One of :data:`DESIGNS`, already settled.
    n, d
        Number of samples and of superpixels.
    seed
        Any integer >= 0.

    Raises
    ------
    InputError
        If the design does not tell the superpixels apart, whatever table is drawn.
    """
    if seed < 0:
        raise InputError(f"seed must be an integer >= 0, got {seed}.")
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt] if attempt else seed)
        z = design.draw(rng, n, d)
        if design.complete or full_rank(z):
            return z
    enough = n
    while enough < MOST_SAMPLES // 64 and not full_rank(design.draw(rng, enough, d)):
        enough *= 2
    told = f"take {enough} samples" if enough < MOST_SAMPLES // 64 else "choose another design"
    raise InputError(
        f"the samples must tell {d} superpixels apart, got {n} of {design!r}, in which some are "
        f"always hidden and shown together: {told} or ask for fewer superpixels."
    )
