"""What every edit has in common: parameters that are checked once, and what an edit works on."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from limecraft_jax.bounds import MOST_SEED, short
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Float32, Int32


class Scene(NamedTuple):
    """A picture and what is drawn on it.

    Attributes
    ----------
    image
        Values in [0, 1].
    mask
        0 outside, any other value is one drawn region.
    """

    image: Float32[np.ndarray, "h w c"]
    mask: Int32[np.ndarray, "h w"]


MUST: dict[str, Callable[[float], bool]] = {
    "a finite number": lambda value: True,
    "> 0": lambda value: value > 0,
    ">= 0": lambda value: value >= 0,
    "in [0, 1]": lambda value: 0 <= value <= 1,
    "in [-1, 1]": lambda value: -1 <= value <= 1,
}


LARGEST = 1_000_000  # pixels, degrees, times: more than any picture can show
LEAST = {"> 0": 0.001, ">= 0": 0}  # less than .001 times leaves nothing of a region


@dataclass(frozen=True)
class Knob:
    """What one parameter of an edit may be.

    Attributes
    ----------
    low, high
        Range worth turning it through: ends of a slider, ends of a sweep.
    neutral
        Where it changes nothing; None if it has no such place.
    must
        What must hold, a key of `MUST`.
    unit
        Unit on screen.
    whole
        Whether only whole numbers make sense.
    """

    low: float
    high: float
    neutral: float | None = None
    must: str = "a finite number"
    unit: str = ""
    whole: bool = False


class Checked:
    """Checks the parameters of an edit when it is made, and the picture when it is used."""

    knobs: ClassVar[dict[str, Knob]] = {}

    def __post_init__(self):
        for name, knob in self.knobs.items():
            object.__setattr__(self, name, _number(name, getattr(self, name), knob))

    @property
    def is_nothing(self) -> bool:
        """Whether this changes nothing, whatever the picture."""
        neutral = {n: k.neutral for n, k in self.knobs.items() if k.neutral is not None}
        return bool(neutral) and all(getattr(self, n) == value for n, value in neutral.items())

    def __call__(self, image, mask, regions):
        """The edited picture and its mask."""
        regions = _check(image, mask, regions)
        if self.is_nothing:
            return Scene(image, mask)
        return Scene(*self._edit(image, mask, regions))

    def _edit(self, image, mask, regions):
        raise NotImplementedError


def _number(name: str, value: object, knob: Knob) -> float | int:
    kind = "a whole number" if knob.whole else "a finite number"
    try:
        number = operator.index(value) if knob.whole else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} must be {kind}, got {short(value)}.") from None
    if not knob.whole and not math.isfinite(number):
        raise InputError(f"{name} must be {kind}, got {number}.")
    if not MUST[knob.must](number):
        raise InputError(f"{name} must be {knob.must}, got {short(value)}.")
    least, most = LEAST.get(knob.must, -LARGEST), MOST_SEED if knob.whole else LARGEST
    if not least <= number <= most:
        raise InputError(f"{name} must be from {least} to {most}, got {short(value)}.")
    return number


def _check(image: np.ndarray, mask: np.ndarray, regions: tuple[int, ...]) -> tuple[int, ...]:
    """The regions, each once, in the order given."""
    if mask.shape != image.shape[:2]:
        raise InputError(
            f"mask must have the height and width of the image, {image.shape[:2]}, got "
            f"{mask.shape}: resize it without interpolation."
        )
    regions = tuple(dict.fromkeys(int(region) for region in regions))
    if not regions:
        raise InputError("an edit needs a region, got none: select one.")
    for region in regions:
        if not (mask == region).any():
            drawn = ", ".join(str(value) for value in np.unique(mask[mask != 0]))
            raise InputError(
                f"region {region} must have pixels, got none: "
                + (f"choose one of {drawn}." if drawn else "draw it first.")
            )
    return regions
