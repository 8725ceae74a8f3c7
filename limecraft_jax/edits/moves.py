"""Edits that take a region elsewhere, or away; what they uncover is filled in."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from limecraft_jax.edits import inpaint, warp
from limecraft_jax.edits.knobs import Checked, Knob
from limecraft_jax.types import InputError, unknown


def _drawn(regions: tuple[int, ...], verb: str) -> None:
    if 0 in regions:
        raise InputError(
            f"only a drawn region can {verb}, got 0, the rest of the picture: draw a region there."
        )


class _Moving(Checked):
    """Edits that take a region elsewhere; see `warp.move`."""

    def _edit(self, image, mask, regions):
        _drawn(regions, "move")
        return warp.move(image, mask, regions, self)

    @property
    def least(self) -> float:
        """Smallest factor by which any length changes."""
        return 1.0

    @property
    def most(self) -> float:
        """Largest factor by which any length changes."""
        return 1.0

    def there(self, points: np.ndarray, reach: float) -> np.ndarray:
        """Where points of the region go, relative to its center."""
        raise NotImplementedError

    def back(self, points: np.ndarray, reach: float) -> np.ndarray:
        """Where they came from; undoes `there`."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Shift(_Moving):
    """Move the region; whole numbers of pixels are copied as they are.

    Attributes
    ----------
    right, down
        Pixels; negative is left and up. LIMEcraft's example moves 10 pixels each (§4.1).
    """

    right: float = 10.0
    down: float = 10.0
    label: ClassVar[str] = "shift"
    knobs: ClassVar[dict[str, Knob]] = {
        "right": Knob(-100, 100, 0, unit="px"),
        "down": Knob(-100, 100, 0, unit="px"),
    }

    def there(self, points, reach):
        """x + (down, right)."""
        return points + np.array([self.down, self.right])

    def back(self, points, reach):
        """x - (down, right)."""
        return points - np.array([self.down, self.right])


@dataclasses.dataclass(frozen=True)
class Rotate(_Moving):
    """Turn the region about the centroid of its area (to the nearest pixel center or corner).

    Multiples of 90 degrees take pixels to pixels and mix none.

    Attributes
    ----------
    angle
        Degrees, counterclockwise as seen. LIMEcraft's example turns by 180 (§4.1).
    """

    angle: float = 180.0
    label: ClassVar[str] = "rotate"
    knobs: ClassVar[dict[str, Knob]] = {"angle": Knob(-180, 180, 0, unit="°")}

    @property
    def is_nothing(self) -> bool:
        """Whole turns change nothing."""
        return self.angle % 360 == 0

    def there(self, points, reach):
        """x turned by the angle; rows run downward."""
        turn = math.radians(self.angle % 360)
        c, s = math.cos(turn), math.sin(turn)
        return points @ np.array([[c, -s], [s, c]]).T

    def back(self, points, reach):
        """x turned by the opposite angle."""
        return Rotate(-self.angle).there(points, reach)


@dataclasses.dataclass(frozen=True)
class Power(_Moving):
    """Bulge or pinch the region: LIMEcraft's shape edition (§3.3), made smooth and radial.

    With p the power, q = √p, ρ the distance from the center and R the reach of the region,

        ρ' = p ρ / (1 + (q - 1) ρ / R)

    The middle is magnified p times, the rim moves from R to q R, and a round region grows to p
    times its area. Power(1/p) on the result (its reach is q R) is the exact inverse,
    ρ = ρ' / (p - (q - 1) ρ' / R). LIMEcraft itself moves each pixel of the region along x and y by
    ρ = R (ρ'/R)^p, within the region's old outline.

    Attributes
    ----------
    power
        > 1 enlarges, < 1 shrinks, 1 changes nothing. LIMEcraft's example uses 1.4 (§4.1).
    """

    power: float = 1.4
    label: ClassVar[str] = "enlarge or shrink (power)"
    knobs: ClassVar[dict[str, Knob]] = {"power": Knob(0.25, 4, 1, "> 0")}

    @property
    def least(self) -> float:
        """p in the middle of a shrinking region, 1 along the rim of a growing one."""
        return min(self.power, 1.0)

    @property
    def most(self) -> float:
        """p in the middle of a growing region, 1 along the rim of a shrinking one."""
        return max(self.power, 1.0)

    def there(self, points, reach):
        """x p / (1 + (q - 1) ρ / R)."""
        rho = np.linalg.norm(points, axis=-1, keepdims=True) / max(reach, 1e-9)
        return points * self.power / (1 + (math.sqrt(self.power) - 1) * rho)

    def back(self, points, reach):
        """x / (p - (q - 1) ρ' / R); far outside, where nothing comes from, x / q."""
        rho = np.linalg.norm(points, axis=-1, keepdims=True) / max(reach, 1e-9)
        root = math.sqrt(self.power)
        return points / np.maximum(self.power - (root - 1) * rho, min(root, self.power))


@dataclasses.dataclass(frozen=True)
class Scale(_Moving):
    """Make the region larger or smaller about its centroid, everywhere alike.

    Attributes
    ----------
    factor
        By which lengths grow; the area grows by its square. The default doubles the area (ours).
    """

    factor: float = 1.41
    label: ClassVar[str] = "scale"
    knobs: ClassVar[dict[str, Knob]] = {"factor": Knob(0.25, 4, 1, "> 0")}

    @property
    def least(self) -> float:
        """The factor itself."""
        return self.factor

    most = least

    def there(self, points, reach):
        """x times the factor."""
        return points * self.factor

    def back(self, points, reach):
        """x over the factor."""
        return points / self.factor


@dataclasses.dataclass(frozen=True)
class Flip(_Moving):
    """Mirror the region about its centroid; pixels are copied as they are.

    Attributes
    ----------
    axis
        What trades places: ``"left-right"`` or ``"up-down"``.
    """

    axis: str = "left-right"
    label: ClassVar[str] = "flip"
    axes: ClassVar[tuple[str, ...]] = ("left-right", "up-down")

    def __post_init__(self):
        if self.axis not in self.axes:
            raise unknown("axis", str(self.axis)[:60], self.axes)

    def there(self, points, reach):
        """x with one sign turned."""
        return points * np.array([1, -1] if self.axis == "left-right" else [-1, 1])

    back = there


@dataclasses.dataclass(frozen=True)
class Remove(Checked):
    """Take the region away and fill the hole in from around; its mask goes with it.

    What it cut out of another region belongs to that one again (`inpaint.heal`).

    Thin strokes over hairs and this are LIMEcraft's hair removal (§4.1).
    """

    label: ClassVar[str] = "remove"

    def _edit(self, image, mask, regions):
        _drawn(regions, "be removed")
        hole = np.isin(mask, regions)
        return inpaint.fill(image, hole), inpaint.heal(mask, hole)
