"""Polygons to pixels: which pixel centers lie inside.

A pixel belongs to a polygon if the outline winds round its center, which lies at +0.5 (nonzero
rule: an outline that crosses itself leaves no holes). Edges are half-open, so two polygons along
a common edge never share a pixel and never leave one out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

FINE = 0.02  # pixels, how far a polygon may leave the curve it stands for
_CORNERS = 300_000  # of one stroke; a line of thousands of points gets coarser caps
_CROSSINGS = 2_000_000  # handled at once, bounds the memory


def fill(
    rings: Float[np.ndarray, "m n 2"], shape: tuple[int, int]
) -> tuple[slice, slice, Bool[np.ndarray, "a b"]]:
    """Pixels whose centers the rings wind round, as a window of the image and a mask in it.

    Every edge adds its direction to all centers right of it in the rows it crosses, so the winding
    numbers are the running sums of a histogram of crossings.
    """
    begin, end = rings.reshape(-1, 2), np.roll(rings, -1, axis=1).reshape(-1, 2)
    low, high = begin.min(0) - 0.5, begin.max(0) - 0.5
    left, top = (int(np.clip(math.floor(v), 0, n)) for v, n in zip(low, shape[::-1], strict=True))
    right, bottom = (
        int(np.clip(math.ceil(v) + 1, 0, n)) for v, n in zip(high, shape[::-1], strict=True)
    )
    height, width = max(bottom - top, 0), max(right - left, 0)
    window = slice(top, top + height), slice(left, left + width)
    # The same edge walked either way must cross at the very same place: walk all upward.
    down = begin[:, 1] <= end[:, 1]
    upper, lower = np.where(down[:, None], begin, end), np.where(down[:, None], end, begin)
    sign = np.where(down, 1, -1)
    first = np.clip(np.ceil(upper[:, 1] - 0.5), top, top + height).astype(np.int64)
    last = np.clip(np.ceil(lower[:, 1] - 0.5), top, top + height).astype(np.int64)
    crossed = last > first
    upper, lower, sign, first, last = (v[crossed] for v in (upper, lower, sign, first, last))
    slope = (lower[:, 0] - upper[:, 0]) / (lower[:, 1] - upper[:, 1])
    many = last - first
    histogram = np.zeros(height * (width + 1))
    breaks = np.searchsorted(np.cumsum(many), np.arange(_CROSSINGS, many.sum(), _CROSSINGS))
    for some in np.split(np.arange(len(many)), breaks):
        n = many[some]
        edge = np.repeat(some, n)
        row = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n) + first[edge]
        x = upper[edge, 0] + (row + 0.5 - upper[edge, 1]) * slope[edge]
        col = np.clip(np.ceil(x - 0.5), left, left + width).astype(np.int64)
        flat = (row - top) * (width + 1) + (col - left)
        histogram += np.bincount(flat, weights=sign[edge], minlength=histogram.size)
    winding = np.cumsum(histogram.reshape(height, width + 1), axis=1)[:, :width]
    return *window, winding != 0


def circle(radius: float) -> Float[np.ndarray, "n 2"]:
    """A unit circle as a polygon of equal area, fine enough for `radius` pixels."""
    ratio = min(FINE / max(radius, FINE), 0.5)
    count = int(np.clip(math.ceil(math.pi / math.acos(1 - ratio)), 16, 360))
    angle = 2 * np.pi * np.arange(count) / count
    blow = math.sqrt(2 * math.pi / (count * math.sin(2 * math.pi / count)))
    return blow * np.stack([np.cos(angle), np.sin(angle)], 1)


def capsules(
    line: Float[np.ndarray, "n 2"], radius: float, zoom: float = 1.0
) -> Float[np.ndarray, "m k 2"]:
    """All points within `radius` of the line: one polygon per step, all wound the same way."""
    step = np.diff(line, axis=0)
    length = np.linalg.norm(step, axis=1, keepdims=True)
    keep = length[:, 0] > 0
    disk = circle(radius * zoom)
    if not keep.any():
        return (radius * disk + line[0])[None]
    start, stop = line[:-1][keep], line[1:][keep]
    along = step[keep] / length[keep]
    turn = np.stack([along, np.stack([-along[:, 1], along[:, 0]], 1)], 1)  # local x is along
    corners = min(len(disk) // 2, max(6, _CORNERS // len(line)))
    angle = np.linspace(-np.pi / 2, np.pi / 2, corners + 1)
    cap = radius * np.stack([np.cos(angle), np.sin(angle)], 1) @ turn
    return np.concatenate([stop[:, None] + cap, start[:, None] - cap], 1)
