"""How much, not whether: what a model says along a family of edits.

    value ──make──► stack ──apply──► image ──┐
    value ──make──► stack ──apply──► image ──┴─ one batch ──► probs [v k]

A family is a function from a value to a stack of steps. Steps that all stacks begin with are done
once. Pictures go through the very network step that explains them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.special import stdtrit

from limecraft_jax.edits.edit import Scene, Step, apply
from limecraft_jax.path import lime
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Int, Int32

    from limecraft_jax.models.blackbox import BlackBox
    from limecraft_jax.models.classifier import Classifier

    Model = Classifier | BlackBox | Callable
    Between = Callable[[], None] | None


@dataclass(frozen=True)
class Jitter:
    """A slip of the hand: the same regions, drawn a little otherwise.

    Attributes
    ----------
    grow
        Pixels by which every edge moves outward, or inward if negative. Regions grow into the
        rest only, not into each other, and the border of the picture is no edge.
    right, down
        Pixels by which all regions are displaced.
    """

    grow: int = 0
    right: int = 0
    down: int = 0

    def __call__(self, mask: Int32[np.ndarray, "h w"]) -> Int32[np.ndarray, "h w"]:
        """The mask as it might have been drawn. A region that would vanish stays as it is."""
        out = np.zeros_like(mask)
        for region in np.unique(mask[mask != 0]):
            own = mask == region
            changed = own
            if self.grow > 0:
                changed = ndimage.binary_dilation(own, iterations=self.grow) & (own | (mask == 0))
            elif self.grow < 0:
                changed = ndimage.binary_erosion(own, iterations=-self.grow, border_value=1)
            changed = ndimage.shift(changed, (self.down, self.right), order=0)
            out[changed if changed.any() else own] = region
        return out


JITTERS = (
    Jitter(),
    Jitter(grow=1),
    Jitter(grow=-1),
    Jitter(right=1),
    Jitter(right=-1),
    Jitter(down=1),
    Jitter(down=-1),
)


@dataclass(frozen=True, eq=False)
class Effect:
    """What an edit does to the probabilities, and how much of it hangs on the drawn edge.

    Parameters
    ----------
    drawn
        Probabilities after less before, with the mask as it was drawn.
    each
        The same for each of j slightly different masks.
    """

    drawn: Float[np.ndarray, " k"]
    each: Float[np.ndarray, "j k"]

    @property
    def mean(self) -> Float[np.ndarray, " k"]:
        """Mean over the masks."""
        return self.each.mean(axis=0)

    @property
    def sd(self) -> Float[np.ndarray, " k"]:
        """Standard deviation over the masks (that of one drawing, n - 1 in the denominator)."""
        return self.each.std(axis=0, ddof=1)

    def interval(self, level: float = 0.95) -> tuple[Float[np.ndarray, " k"], ...]:
        """Where the effect would lie with another drawing of this kind (Student's t).

        mean ± t sd √(1 + 1/j), the prediction interval for one more of j draws. The masks are a
        fixed list and no random draw, so the level is nominal.
        """
        j = len(self.each)
        half = stdtrit(j - 1, (1 + level) / 2) * self.sd * np.sqrt(1 + 1 / j)
        return self.mean - half, self.mean + half

    def verdict(self, target: int, least: float = 0.01, level: float = 0.95) -> str:
        """``"effect"``, ``"no effect"`` or ``"too noisy to tell"``.

        Parameters
        ----------
        target
            Index of the class.
        least
            Change of probability that matters; an interval within ± this is no effect. One percent
            point by default (ours).
        level
            Level of the interval.
        """
        low, high = (float(end[target]) for end in self.interval(level))
        if -least <= low and high <= least:
            return "no effect"
        return "effect" if low > 0 or high < 0 else "too noisy to tell"


@dataclass(frozen=True, eq=False)
class Sweep:
    """What the model says along a family of edits.

    Parameters
    ----------
    values
        The doses.
    before
        Probabilities of the picture without any edit.
    probs
        Probabilities at each dose.
    jittered
        The same for each of j slightly different masks; empty if they were not asked for.
    """

    values: Float[np.ndarray, " v"]
    before: Float[np.ndarray, " k"]
    probs: Float[np.ndarray, "v k"]
    jittered: Float[np.ndarray, "j v k"]

    @property
    def top(self) -> Int[np.ndarray, " v"]:
        """The most probable class at each dose."""
        return self.probs.argmax(axis=1)

    @property
    def changes(self) -> Int[np.ndarray, " c"]:
        """Indices at which another class is on top than at the dose before."""
        return np.flatnonzero(np.diff(self.top)) + 1

    def effect(self, index: int) -> Effect:
        """The effect at one dose with its spread; the sweep must have been made with jitters."""
        if len(self.jittered) < 2:
            raise InputError(
                f"a spread needs at least 2 masks, got {len(self.jittered)}: sweep with jitters."
            )
        return Effect(self.probs[index] - self.before, self.jittered[:, index] - self.before)


def sweep(
    model: Model,
    image: Float32[np.ndarray, "h w c"],
    mask: Int32[np.ndarray, "h w"],
    make: Callable[[float], Sequence[Step]],
    values: Sequence[float] | np.ndarray,
    jitters: Sequence[Jitter] = (),
    between: Between = None,
) -> Sweep:
    """Ask the model about one edited picture per value.

    Parameters
    ----------
    model
        As in `lime.explain`.
    image
        As prepared by the model.
    mask
        0 outside, 1, 2, ... the regions.
    make
        The stack of steps for a value, for example ``lambda a: (Step(Rotate(a), (1,)),)``.
    values
        The doses, in the order wanted.
    jitters
        Slightly different masks to do it all again with, for example `JITTERS`.
    between
        Called before every edit: what it raises ends the work there.
    """
    doses = np.asarray(values, float)
    stacks = [tuple(make(float(dose))) for dose in doses]
    before, probs, jittered = _ask(model, image, mask, stacks, jitters, between)
    return Sweep(doses, before, probs, jittered)


def grid(
    model: Model,
    image: Float32[np.ndarray, "h w c"],
    mask: Int32[np.ndarray, "h w"],
    make: Callable[[float, float], Sequence[Step]],
    rows: Sequence[float] | np.ndarray,
    columns: Sequence[float] | np.ndarray,
    between: Between = None,
) -> Float[np.ndarray, "r c k"]:
    """Probabilities over two parameters; `make` gives the stack for a row and a column value."""
    stacks = [tuple(make(float(row), float(column))) for row in rows for column in columns]
    probs = _ask(model, image, mask, stacks, (), between)[1]
    return probs.reshape(len(rows), len(columns), -1)


def nuisance(
    model: Model,
    image: Float32[np.ndarray, "h w c"],
    mask: Int32[np.ndarray, "h w"],
    stack: Sequence[Step],
    jitters: Sequence[Jitter] = JITTERS,
    between: Between = None,
) -> Effect:
    """The effect of a stack of edits, with its spread over slightly different masks."""
    return sweep(model, image, mask, lambda _: stack, [0.0], jitters, between).effect(0)


@dataclass(frozen=True, eq=False)
class Smallest:
    """The smallest edit that changes the class, or that there is none.

    Parameters
    ----------
    value
        The dose: another class is on top here, and not yet at most `tolerance` before. None if no
        dose that was tried changes the class.
    tolerance
        How closely the dose is known.
    scene
        The edited picture and its mask at that dose.
    before, probs
        Probabilities at the start and at that dose.
    scans
        The coarse scans, one toward each end.
    """

    value: float | None
    tolerance: float
    scene: Scene | None
    before: Float[np.ndarray, " k"]
    probs: Float[np.ndarray, " k"] | None
    scans: tuple[Sweep, ...]


def smallest(
    model: Model,
    image: Float32[np.ndarray, "h w c"],
    mask: Int32[np.ndarray, "h w"],
    make: Callable[[float], Sequence[Step]],
    start: float,
    ends: Sequence[float],
    scan: int = 32,
    tolerance: float | None = None,
    between: Between = None,
) -> Smallest:
    """Search for the dose nearest to `start` at which another class is on top.

    Scans evenly from the start to each end, then cuts the step before the first change into equal
    parts, over and over. A change that comes and goes within one step of the scan is not seen.

    Parameters
    ----------
    model, image, mask, make, between
        As in `sweep`.
    start
        Where nothing is edited, for example 0 degrees or power 1.
    ends
        How far to look: one end, or two to look both ways.
    scan
        Steps of the scan toward each end (a choice of ours; half a batch).
    tolerance
        How closely to find the dose; 1/1000 of the way to the farther end if not given.
    """
    if not ends or not all(np.isfinite(end) and end != start for end in ends):
        raise InputError(f"ends must be numbers other than the start, {start:g}, got {[*ends]}.")
    if scan < 2:
        raise InputError(f"scan must be >= 2, got {scan}.")
    if tolerance is None:
        tolerance = max(abs(end - start) for end in ends) / 1000
    if not tolerance > 0:
        raise InputError(f"tolerance must be > 0, got {tolerance:g}.")

    asked = functools.partial(sweep, model, image, mask, make, between=between)
    scans = tuple(asked(np.linspace(start, end, scan + 1)) for end in ends)
    before = scans[0].probs[0]
    same = int(before.argmax())

    def narrow(doses, probs):
        """The first dose along a line at which the class is another, and what is said there."""
        while (other := np.flatnonzero(probs[1:].argmax(axis=1) != same)).size:
            (near, far), ends = doses[other[0] :][:2], probs[other[0] :][:2]
            inner = np.linspace(near, far, scan + 1)[1:-1]
            if abs(far - near) <= tolerance or np.isin(inner, (near, far)).all():
                return float(far), ends[1]
            doses = np.concatenate([[near], inner, [far]])
            probs = np.concatenate([ends[:1], asked(inner).probs, ends[1:]])
        return None

    found = [answer for line in scans if (answer := narrow(line.values, line.probs))]
    if not found:
        return Smallest(None, tolerance, None, before, None, scans)
    value, probs = min(found, key=lambda answer: abs(answer[0] - start))
    return Smallest(value, tolerance, apply(image, mask, make(value)), before, probs, scans)


def _ask(
    model: Model,
    image: Float32[np.ndarray, "h w c"],
    mask: Int32[np.ndarray, "h w"],
    stacks: list[tuple[Step, ...]],
    jitters: Sequence[Jitter],
    between: Between,
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "v k"], Float[np.ndarray, "j v k"]]:
    """Answers to the picture itself, to every stack, and to every stack on every jittered mask."""

    def pictures() -> Iterator[Float32[np.ndarray, "h w c"]]:
        yield image
        for own in (mask, *(jitter(mask) for jitter in jitters)):
            yield from _edited(image, own, stacks, between)

    probs = lime.classify(model, pictures())
    rest = probs[1:].reshape(1 + len(jitters), len(stacks), -1)
    return probs[0], rest[0], rest[1:]


def _edited(image, mask, stacks, between):
    """The picture after each stack. What all stacks begin with is done once."""
    if not stacks:
        raise InputError("a sweep needs values, got none.")
    common, shortest = 0, min(len(stack) for stack in stacks)
    while common < shortest and len({stack[common] for stack in stacks}) == 1:
        common += 1
    image, mask = apply(image, mask, stacks[0][:common], between)
    for stack in stacks:
        yield apply(image, mask, stack[common:], between).image
