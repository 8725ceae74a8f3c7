"""How fabric.js (7.4, inside streamlit-drawable-canvas 0.13) says where a shape lies.

A shape is described by local coordinates and a placement. With c the center of the local bounding
box,

    canvas = C + R(angle) · flip · scale · skew_x · skew_y · (local - c),

where C follows from ``left``/``top``, the origin and the size including the outline's width.
Moving, scaling and turning a shape changes the placement alone. Everything here is browser input:
what makes no sense raises `Unreadable`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax.app.shared.winding import FINE, capsules, circle

if TYPE_CHECKING:
    from jaxtyping import Float

TYPES = ("path", "polygon", "rect", "labeledrect", "circle")
MOST_POINTS = 20_000  # in one shape; a slow freehand lasso has about 500
_MOST_CUTS = 40_000  # points of a path's polyline
_FAR = 1e5  # canvas px; numbers beyond are no drawing
_ORIGIN = {"left": -0.5, "top": -0.5, "center": 0.0, "right": 0.5, "bottom": 0.5}


class Unreadable(Exception):
    """An object of a known type whose numbers make no sense."""


@dataclass(frozen=True, eq=False)
class Shape:
    """One object: its line in local coordinates, and the affine map to the canvas.

    Attributes
    ----------
    line
        The outline as a polygon, or what the brush followed.
    matrix, shift
        canvas = matrix · local + shift, in canvas pixels.
    width
        Of the brush or outline, in pixels.
    uniform
        Whether the width is meant on the canvas; else it is local and scaled with the shape.
    size
        How many points the browser sent.
    """

    line: Float[np.ndarray, "n 2"]
    matrix: Float[np.ndarray, "2 2"]
    shift: Float[np.ndarray, " 2"]
    width: float
    uniform: bool
    size: int

    @property
    def placed(self) -> Float[np.ndarray, "n 2"]:
        """The line on the canvas."""
        return self.line @ self.matrix.T + self.shift

    @property
    def ink(self) -> Float[np.ndarray, "m k 2"]:
        """What the brush covered on the canvas, one polygon for each of its steps."""
        if self.uniform:
            return capsules(self.placed, self.width / 2)
        zoom = float(np.linalg.norm(self.matrix, 2))
        return capsules(self.line, self.width / 2, zoom) @ self.matrix.T + self.shift

    @property
    def gap(self) -> tuple[float, float]:
        """Distance between the two ends of the line and the line's length, in canvas pixels."""
        placed = self.placed
        length = np.linalg.norm(np.diff(placed, axis=0), axis=1).sum()
        return float(np.linalg.norm(placed[-1] - placed[0])), float(length)


def read(item: Mapping[str, Any]) -> Shape:
    """A JSON object of one of `TYPES`.

    The size that `left` and `top` refer to follows fabric's ``_getTransformedDimensions``: the
    outline's width is added before scaling, or after it if it is uniform.
    """
    line, center, extent, size = _local(item)
    width = _number(item.get("strokeWidth", 1), 0, 1e4)
    scale = np.array([_number(item.get(f"scale{axis}", 1)) for axis in "XY"])
    flip = [-1.0 if item.get(f"flip{axis}") is True else 1.0 for axis in "XY"]
    skew = [math.tan(math.radians(_number(item.get(f"skew{axis}", 0), -89, 89))) for axis in "XY"]
    angle = math.radians(_number(item.get("angle", 0)))
    corner = np.array([_number(item.get("left", 0)), _number(item.get("top", 0))])
    origin = np.array([_origin(item.get(f"origin{axis}")) for axis in "XY"])
    uniform = item.get("strokeUniform") is True

    shear = np.array([[1, skew[0]], [0, 1]]) @ np.array([[1, 0], [skew[1], 1]])
    linear = np.diag(scale * flip) @ shear
    outer = extent + (0.0 if uniform else width)
    outer = np.abs(linear) @ outer if any(skew) else scale * outer
    outer = outer + (width if uniform else 0.0)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ linear
    shift = corner - turn @ (origin * outer) - matrix @ center
    return Shape(line, matrix, shift, width, uniform, size)


def _local(item: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Line, center and extent of the bounding box as fabric sees it, and the number of points."""
    kind = item["type"].lower()
    if kind == "circle":
        radius = _number(item.get("radius"), 0)
        zoom = max(abs(_number(item.get(f"scale{axis}", 1))) for axis in "XY")
        line = radius * circle(radius * zoom)
        return line, np.zeros(2), np.full(2, 2 * radius), 1
    if kind in ("rect", "labeledrect"):
        extent = np.array([_number(item.get(side), 0) for side in ("width", "height")])
        line = extent / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        return line, np.zeros(2), extent, 4
    if kind == "path":
        steps = _points(item.get("path"), _step)
        line, seen = _curve(steps)
    else:
        line = seen = steps = _points(item.get("points"), _corner)
    low, high = seen.min(0), seen.max(0)
    return line, (low + high) / 2, high - low, len(steps)


def _curve(
    steps: Float[np.ndarray, "n 4"],
) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "k 2"]]:
    """The path as a fine polyline, and the points that span fabric's bounding box of it.

    For the box fabric takes a quadratic step p0, c, p2 as the cubic p0, c, c, p2. Per axis that has
    one extreme inside, where (c - p0)(1-t)² + (p2 - c)t² = 0, so t = 1 / (1 + √(-(p2-c)/(c-p0))).
    """
    ends = steps[:, 2:]
    start, stop = ends[:-1], ends[1:]
    control = np.where(np.isnan(steps[1:, :2]), (start + stop) / 2, steps[1:, :2])
    # A quadratic arc cut in n leaves its chords by |p0 - 2c + p2| / 4n² at most.
    bend = np.linalg.norm(start - 2 * control + stop, axis=1).max(initial=0)
    count = int(np.clip(math.ceil(math.sqrt(bend / (4 * FINE))), 1, _MOST_CUTS // len(steps)))
    t = (np.arange(1, count + 1) / count)[:, None]
    p0, c, p2 = start[:, None], control[:, None], stop[:, None]
    inner = (1 - t) ** 2 * p0 + 2 * t * (1 - t) * c + t**2 * p2
    line = np.concatenate([ends[:1], inner.reshape(-1, 2)])
    a, b = control - start, stop - control
    turns = a * b < 0
    s = 1 / (1 + np.sqrt(np.where(turns, -b, 0) / np.where(turns, a, 1)))
    cubic = (1 - s) ** 3 * start + 3 * s * (1 - s) * control + s**3 * stop
    return line, np.concatenate([ends, np.where(turns, cubic, start)])


def _number(value: object, low: float = -_FAR, high: float = _FAR) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unreadable
    if not low <= value <= high:  # also so for NaN
        raise Unreadable
    return float(value)


def _origin(value: object) -> float:
    """Where left or top lie on the shape, as a fraction of its size counted from its center."""
    if not isinstance(value, str) or value not in _ORIGIN:
        raise Unreadable
    return _ORIGIN[value]


def _points(values: object, one: Callable[[object], tuple[float, ...]]) -> np.ndarray:
    if not isinstance(values, list) or not 2 <= len(values) <= MOST_POINTS:
        raise Unreadable
    return np.array([one(value) for value in values])


def _corner(value: object) -> tuple[float, float]:
    if not isinstance(value, Mapping):
        raise Unreadable
    return _number(value.get("x")), _number(value.get("y"))


def _step(value: object) -> tuple[float, float, float, float]:
    """One path command as (control point, end point); a straight step has NaN for the former."""
    if not isinstance(value, (list, tuple)) or not value:
        raise Unreadable
    name, *numbers = value
    if (name, len(numbers)) in (("M", 2), ("L", 2)):
        return math.nan, math.nan, _number(numbers[0]), _number(numbers[1])
    if (name, len(numbers)) == ("Q", 4):
        x, y, end_x, end_y = (_number(number) for number in numbers)
        return x, y, end_x, end_y
    raise Unreadable
