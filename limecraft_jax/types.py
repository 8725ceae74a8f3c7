"""What flows along the path: arrays with a promise, and the words for what cannot be used.

Images are float32 sRGB in [0, 1], shape (h, w, c), rows first; batches lead with n. Probabilities
lie in [0, 1]. A mask is an int32 map of what the user drew: 0 outside, 1, 2, ... the regions.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit

from limecraft_jax import regions

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32, Int, Int32


MOST_LISTED, MOST_TEXT = 20, 60  # names in a sentence, and letters of each


class InputError(ValueError):
    """Something given from outside cannot be used. The text is one sentence fit for a user."""


def unknown(what: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not registered, with up to three of the nearest known ones.

    >>> str(unknown("fruit", "Aple", ["apple", "pear", "plum"]))
    "fruit must be a known name, got 'Aple': did you mean 'apple'?"
    """
    names, given = list(map(str, known)), str(name)[:MOST_TEXT]
    folded = {text.casefold(): text for text in reversed(names)}  # the first of several stays
    word = given.casefold()
    within = [text for text in folded if len(word) > 2 and word in text]
    near = sorted(within, key=len)[:3] or difflib.get_close_matches(word, folded, n=3)
    if not near and len(names) > MOST_LISTED:
        near = difflib.get_close_matches(word, folded, n=3, cutoff=0.0)
    told = [repr(folded[text][:MOST_TEXT]) for text in near]
    listed = " or ".join([", ".join(told[:-1]), told[-1]] if told[1:] else told)
    hint = f"did you mean {listed}?" if told else f"choose one of {', '.join(names)}."
    return InputError(f"{what} must be a known name, got {given!r}: {hint}")


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Which superpixel every pixel belongs to, and which drawn region every superpixel.

    Promise, kept by its one constructor `limecraft_jax.path.segment.segment`: labels are exactly
    0 .. num - 1, every superpixel is one 4-connected piece and lies in one drawn region or
    outside them all. Superpixels are numbered by region, those of the rest come last.

    Parameters
    ----------
    labels
        The superpixel of each pixel.
    region
        The drawn region of each superpixel: its value in the mask, 0 for the rest.
    notes
        Sentences for the user, for example why there are fewer superpixels than asked for.
    """

    labels: Int32[np.ndarray, "h w"]
    region: Int32[np.ndarray, " d"]
    notes: tuple[str, ...] = ()

    @property
    def num(self) -> int:
        """How many superpixels there are, d."""
        return len(self.region)

    @property
    def inside(self) -> Bool[np.ndarray, " d"]:
        """Which superpixels lie in a drawn region."""
        return self.region != 0

    @functools.cached_property
    def areas(self) -> Int[np.ndarray, " d"]:
        """Area of each superpixel in pixels."""
        return np.bincount(self.labels.ravel(), minlength=self.num)


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """Everything that cost queries: the samples and what the model said to them.

    The waist of the path. All that is left of `probs` is expensive and computed once; every
    question to the right of it is answered from here in milliseconds.

    Parameters
    ----------
    image
        What the model saw, values in [0, 1].
    segmentation
        The superpixels.
    z
        Which superpixels each sample keeps; row 0 keeps all.
    ratio
        By how much LIME's own law would have drawn each sample more often than the design did.
    replacement
        The image that shows where a superpixel is off.
    probs
        Answers to the first m samples, 0 <= m <= n; row 0 is the answer to the image itself.
    complete, pairs, even, plain
        What the design says of its rows, see `limecraft_jax.path.sample.Design`.
    regional
        Answers to whole regions hidden and shown, see `limecraft_jax.regions`; None where
        they were not asked for.
    """

    image: Float32[np.ndarray, "h w c"]
    segmentation: Segmentation
    z: Bool[np.ndarray, "n d"]
    ratio: Float[np.ndarray, " n"]
    replacement: Float32[np.ndarray, "h w c"]
    probs: Float32[np.ndarray, "m k"]
    complete: bool = False
    pairs: bool = False
    even: bool = False
    plain: bool = False
    regional: Float32[np.ndarray, "c k"] | None = None

    @property
    def exact(self) -> bool:
        """Whether nothing is left to chance: every row there is has its answer."""
        return self.complete and self.done

    @property
    def done(self) -> bool:
        """Whether every sample has its answer."""
        return len(self.probs) == len(self.z)


@dataclass(frozen=True, eq=False)
class Fit:
    """A linear surrogate for every class, with its health.

    Parameters
    ----------
    coef
        Coefficient β of each class and superpixel: how much the class probability rises when the
        superpixel is on.
    intercept
        Probability that the surrogate gives to a picture with every superpixel off.
    r2
        Weighted share of the variance of the answers that the surrogate explains on samples that
        it has not seen, <= 1; NaN for an answer that never changes.
    stderr
        Standard error of each unpenalized coefficient over repeated draws of the samples.
    weights
        Weight π of each sample.
    dof
        Degrees of freedom of the standard errors of each class, >= 1; one number is for all.
    unpenalized
        The coefficients without the penalty; those with it where not given.
    r2_sample
        The share on the very samples of the fit, which flatters: the smaller the sample, the more.
    known
        For which classes there is an interval: the samples show them high and low often enough.
        All, where not given.
    bounded
        Whether the answers are probabilities, so that no effect can be larger than 1.
    sums, sum_stderr
        Sets of superpixels, and the standard errors of the sums of their coefficients.
    """

    coef: Float[np.ndarray, "k d"]
    intercept: Float[np.ndarray, " k"]
    r2: Float[np.ndarray, " k"]
    stderr: Float[np.ndarray, "k d"]
    weights: Float[np.ndarray, " m"]
    dof: Float[np.ndarray, " k"]
    unpenalized: Float[np.ndarray, "k d"] = None  # type: ignore[assignment]
    r2_sample: Float[np.ndarray, " k"] = None  # type: ignore[assignment]
    known: Bool[np.ndarray, " k"] = None  # type: ignore[assignment]
    bounded: bool = False
    sums: Bool[np.ndarray, "r d"] = None  # type: ignore[assignment]
    sum_stderr: Float[np.ndarray, "k r"] = None  # type: ignore[assignment]

    def __post_init__(self):
        k, d = self.coef.shape
        none = {"sums": np.zeros((0, d), bool), "sum_stderr": np.zeros((k, 0))}
        defaults = {"unpenalized": self.coef, "r2_sample": self.r2, "known": np.full(k, True)}
        for name, value in (defaults | none).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        object.__setattr__(self, "dof", np.broadcast_to(np.asarray(self.dof, float), k))

    @property
    def local_pred(self) -> Float[np.ndarray, " k"]:
        """What the surrogate predicts for the image itself (lime's ``local_pred``)."""
        return self.intercept + self.coef.sum(axis=1)

    @property
    def effective_samples(self) -> float:
        """Kish's (Σπ)² / Σπ²: how many equally weighted samples these are worth."""
        return float(self.weights.sum() ** 2 / np.maximum((self.weights**2).sum(), 1e-30))

    @functools.cached_property
    def shrinkage(self) -> Float[np.ndarray, " k"]:
        """By what share the penalty makes the coefficients smaller, in [0, 1]."""
        size, free = (np.abs(part).sum(axis=1) for part in (self.coef, self.unpenalized))
        return np.clip(1 - size / np.maximum(free, 1e-30), 0, 1)

    def interval(self, level: float = 0.95) -> tuple[Float[np.ndarray, "k d"], ...]:
        """Lower and upper end of the interval of each coefficient; NaN where none is known.

        It spans the coefficients with and without the penalty, and on both sides the standard
        error times Student's t with `dof`; cut to what is possible for probabilities.
        """
        return self._between(self.coef, self.unpenalized, self.stderr, level)

    def sum_interval(self, level: float = 0.95) -> tuple[Float[np.ndarray, "k r"], ...]:
        """The same for the sums of the coefficients of the sets `sums`."""
        coef, free = self.coef @ self.sums.T, self.unpenalized @ self.sums.T
        return self._between(coef, free, self.sum_stderr, level)

    def _between(self, coef, free, stderr, level):
        half = stdtrit(self.dof, (1 + level) / 2)[:, None] * stderr
        low, high = np.minimum(coef, free) - half, np.maximum(coef, free) + half
        if self.bounded:
            low, high = np.clip(low, -1, 1), np.clip(high, -1, 1)
        known = self.known[:, None]
        return np.where(known, low, np.nan), np.where(known, high, np.nan)

    @functools.cached_property
    def sign_probability(self) -> Float[np.ndarray, "k d"]:
        """Probability in [.5, 1] that the sign of a coefficient would stay with endless samples."""
        near = np.minimum(np.abs(self.coef), np.abs(self.unpenalized))
        sure = (np.sign(self.coef) == np.sign(self.unpenalized)) & self.known[:, None]
        return np.where(sure, stdtr(self.dof[:, None], near / self.stderr), 0.5)


@dataclass(frozen=True)
class Shares:
    """Share of the picture's area that speaks for a class, against it, or for neither; sum is 1.

    ``negligible`` is the part of ``neutral`` that is known to matter little.
    """

    positive: float
    negative: float
    neutral: float
    negligible: float = 0.0


NEGLIGIBLE = 0.1  # of the largest effect: less is of no account, whichever its sign

SHARE_RULES = {
    "interval": "neutral = the interval contains 0",
    "limecraft": "neutral = not among the 10 largest coefficients (LIMEcraft's definition)",
}


@dataclass(frozen=True, eq=False)
class Explanation:
    """An answer: which superpixels speak for a class, which against, and how sure that is."""

    neighborhood: Neighborhood
    fit: Fit
    names: tuple[str, ...] = ()  # of the drawn regions, in the order of their values

    @functools.cached_property
    def regions(self) -> regions.Regions | None:
        """What whole regions do; None where nothing is drawn or they were not asked about."""
        segmentation = self.neighborhood.segmentation
        values, inside = regions.members(segmentation.region)
        if self.neighborhood.regional is None or not len(values):
            return None
        low, high = self.fit.sum_interval()
        return regions.Regions(
            values,
            regions.named(values, self.names),
            inside @ segmentation.areas / segmentation.labels.size,
            regions.table(len(values)),
            self.neighborhood.regional,
            self.fit.coef @ self.fit.sums.T,
            low,
            high,
        )

    def heatmap(self, target: int) -> Float[np.ndarray, "h w"]:
        """The coefficient of each pixel's superpixel."""
        return self.fit.coef[target][self.neighborhood.segmentation.labels]

    def undecided(self, target: int) -> Bool[np.ndarray, " d"]:
        """Which superpixels have an interval that contains 0, or none."""
        return self._undecided[target]

    def negligible(self, target: int) -> Bool[np.ndarray, " d"]:
        """Which of the undecided are known to matter little.

        Their interval lies within ± `NEGLIGIBLE` times the largest effect of the class.
        """
        low, high = (end[target] for end in self.fit.interval())
        bound = NEGLIGIBLE * np.abs(self.fit.coef[target]).max()
        return self.undecided(target) & (low >= -bound) & (high <= bound)

    def open(self, target: int) -> Bool[np.ndarray, " d"]:
        """Which superpixels could go either way: undecided, and not negligible."""
        return self.undecided(target) & ~self.negligible(target)

    @functools.cached_property
    def _undecided(self) -> Bool[np.ndarray, "k d"]:
        low, high = self.fit.interval()
        return ~((low > 0) | (high < 0))

    def top(self, target: int, m: int) -> Int[np.ndarray, " m"]:
        """The m superpixels with the largest |coefficient|, largest first."""
        return np.argsort(-np.abs(self.fit.coef[target]), kind="stable")[:m]

    def shares(self, target: int, rule: str = "interval") -> Shares:
        """How much of the picture's area speaks for the class, against it, or for neither.

        Parameters
        ----------
        target
            Index of the class.
        rule
            ``"interval"``: a superpixel whose interval contains 0 is neutral. ``"limecraft"``: all
            but the 10 largest |coefficients| are neutral (LIMEcraft, `utils.py`), which depends on
            how many superpixels there are.
        """
        coef = self.fit.coef[target]
        if rule == "interval":
            counted = ~self.undecided(target)
        elif rule == "limecraft":
            counted = np.zeros(len(coef), bool)
            counted[self.top(target, 10)] = True
        else:
            raise unknown("rule", rule, SHARE_RULES)
        area = self.neighborhood.segmentation.areas / self.neighborhood.segmentation.labels.size
        positive = float(area[counted & (coef > 0)].sum())
        negative = float(area[counted & (coef < 0)].sum())
        negligible = float(area[~counted & self.negligible(target)].sum())
        return Shares(positive, negative, 1 - positive - negative, negligible)
