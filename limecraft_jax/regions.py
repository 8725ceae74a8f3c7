"""What whole regions do: the classifier's own answers with each of them hidden, and shown alone.

    without_r = f(all but r)      alone_r = f(r and nothing else)

The regions are those that were drawn, and the rest. Up to `EXACT` of them, every combination is
asked about, and how two of them work together is known exactly:

    together_rs = f(all but r) + f(all but s) - f(all) - f(all but r and s)

which is how much more hiding both takes away than hiding each does alone. These are answers and no
estimates; what the surrogate says of a region is the sum of its superpixels' coefficients.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

EXACT = 8  # regions of which all combinations are asked about, 256 questions at most
REST = "the rest"


def members(
    region: Int[np.ndarray, " d"],
) -> tuple[Int[np.ndarray, " r"], Bool[np.ndarray, "r d"]]:
    """The regions by their values in the mask, the rest (0) last, and the superpixels of each.

    ``region`` is the region of each superpixel.

    None where nothing is drawn, or all is one region: there is nothing to tell apart.
    """
    values = np.unique(region)
    values = np.append(values[values != 0], values[values == 0])
    values = values if len(values) > 1 else values[:0]
    return values, region == values[:, None]


def named(values: Int[np.ndarray, " r"], names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of regions: as given, in the order of the values, else "region 1", ...; the rest last.

    >>> named(np.array([1, 4, 0]), ("ruler",))
    ('ruler', 'region 4', 'the rest')
    """
    given = dict(zip(values[values != 0].tolist(), names, strict=False))
    return tuple(REST if v == 0 else given.get(v) or f"region {v}" for v in values.tolist())


def table(r: int) -> Bool[np.ndarray, "c r"]:
    """Which regions each question shows, all of them first.

    >>> table(2).astype(int).tolist()
    [[1, 1], [0, 1], [1, 0], [0, 0]]
    """
    if not r:
        return np.zeros((0, 0), bool)
    if r > EXACT:
        one = np.eye(r, dtype=bool)
        return np.concatenate([np.ones((1, r), bool), ~one, one, np.zeros((1, r), bool)])
    hidden = np.arange(2**r)[:, None] >> np.arange(r) & 1
    return hidden == 0


@dataclasses.dataclass(frozen=True, eq=False)
class Regions:
    """The effect of every region on every class.

    Parameters
    ----------
    values, names
        Value in the mask, 0 for the rest, and name of each of the r regions, the rest last.
    area
        Share of the picture.
    shown
        Which regions each question showed; row 0 shows all.
    probs
        The classifier's answers.
    effect, low, high
        What the surrogate says: the sum of the coefficients of a region, with its interval (NaN
        where there is none).
    """

    values: Int[np.ndarray, " r"]
    names: tuple[str, ...]
    area: Float[np.ndarray, " r"]
    shown: Bool[np.ndarray, "c r"]
    probs: Float[np.ndarray, "c k"]
    effect: Float[np.ndarray, "k r"]
    low: Float[np.ndarray, "k r"]
    high: Float[np.ndarray, "k r"]

    def __len__(self) -> int:
        return len(self.values)

    def _answers(self, shown: Bool[np.ndarray, "c r"]) -> Float[np.ndarray, "k c"]:
        rows = {row.tobytes(): i for i, row in enumerate(self.shown)}
        return self.probs[[rows[row.tobytes()] for row in shown]].T

    @property
    def whole(self) -> Float[np.ndarray, " k"]:
        """Answers to the picture itself."""
        return self.probs[0]

    @functools.cached_property
    def without(self) -> Float[np.ndarray, "k r"]:
        """Answers with each region hidden, all others shown."""
        return self._answers(~np.eye(len(self), dtype=bool))

    @functools.cached_property
    def alone(self) -> Float[np.ndarray, "k r"]:
        """Answers with each region shown, all others hidden."""
        return self._answers(np.eye(len(self), dtype=bool))

    @functools.cached_property
    def together(self) -> Float[np.ndarray, "k r r"] | None:
        """How much more hiding two regions takes away than hiding each alone; None if not known.

        Negative: one of them does what the other does too. 0 on the diagonal.
        """
        r = len(self)
        if r > EXACT:
            return None
        first, second = np.triu_indices(r, 1)
        both = np.ones((len(first), r), bool)
        both[np.arange(len(first)), first] = both[np.arange(len(first)), second] = False
        found = np.zeros((len(self.whole), r, r))
        without = self.without.astype(float)
        more = without[:, first] + without[:, second] - self.whole[:, None] - self._answers(both)
        found[:, first, second] = found[:, second, first] = more
        return found
