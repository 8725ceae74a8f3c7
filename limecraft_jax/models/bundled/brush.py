"""Strokes, discs and clouds: what the synthetic pictures are painted with. NumPy only.

Positions and lengths are shares of the picture's side, with the origin in the middle, so a drawing
does not depend on the number of pixels. A coverage is 0 outside, 1 inside and in between on the one
pixel that an edge crosses, which is what keeps thin lines smooth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jaxtyping import Float, UInt8

    Map = Float[np.ndarray, "s s"]

CELLS = 48  # most cells of a patchwork


def axes(size: int) -> tuple[Map, Map]:
    """Positions (x to the right, y down) of the pixel centers, from -0.5 to 0.5."""
    line = (np.arange(size) + 0.5) / size - 0.5
    x, y = np.meshgrid(line, line)
    return x, y


def ramp(values: np.ndarray, softness: float) -> np.ndarray:
    """A smooth step from 0 to 1 while the values go from -softness to softness."""
    t = np.clip(values / softness / 2 + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def noise(rng: np.random.Generator, size: int, cells: int) -> Map:
    """A random cloud with mean 0 and variance 1, smooth over ``1 / cells`` of the side.

    White noise on a lattice, carried to the pixels by cubic B-splines. The lattice depends on
    ``cells`` alone: a larger picture shows the same cloud in more detail.
    """
    lattice = rng.standard_normal((cells + 3, cells + 3))
    place = (np.arange(size) + 0.5) / size * cells
    knot = place.astype(int)
    t = place - knot
    basis = np.zeros((size, cells + 3))
    pieces = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * t * (1 + t - t**2) + 1, t**3)
    for step, piece in enumerate(pieces):
        basis[np.arange(size), knot + step] = piece / 6
    # 0.479 is the mean of the squared B-spline weights along one axis.
    return basis @ lattice @ basis.T / 0.479


def cloud(rng: np.random.Generator, size: int, cells: int, octaves: int = 3) -> Map:
    """Noise on several scales, each half as wide and half as strong as the one before."""
    layers = [noise(rng, size, cells << k) / 2**k for k in range(octaves)]
    return np.sum(layers, axis=0) / np.sqrt(sum(4.0**-k for k in range(octaves)))


def honeycomb(rng: np.random.Generator, size: int, cells: float, bend: float = 0.35) -> Map:
    """A bent hexagonal lattice: 1 in the middle of the holes, about 0 on the lines between them."""
    x, y = axes(size)
    x = x + bend / cells * noise(rng, size, 7)
    y = y + bend / cells * noise(rng, size, 7)
    turn = rng.uniform(0, np.pi)
    waves = [
        np.cos(2 * np.pi * cells * (x * np.cos(turn + k) + y * np.sin(turn + k)))
        for k in (0, np.pi / 3, 2 * np.pi / 3)
    ]
    return (np.sum(waves, axis=0) + 1.5) / 4.5


def stroke(
    canvas: Map,
    start: Iterable[float],
    end: Iterable[float],
    width: float,
    least: float = 1.0,
) -> None:
    """Draw a straight line with round ends on a coverage map, in place.

    Parameters
    ----------
    canvas
        Coverage so far; the larger of old and new stays.
    start, end
        Points (x, y).
    width
        Full width, a share of the side.
    least
        Width in pixels below which a line fades instead of thinning further.
    """
    size = len(canvas)
    a, b = (np.asarray(p, float) * size + size / 2 - 0.5 for p in (start, end))
    pixels = width * size
    half, strength = max(pixels, least) / 2, min(1.0, pixels / least)
    low = np.clip(np.floor(np.minimum(a, b) - half - 1), 0, size).astype(int)
    high = np.clip(np.ceil(np.maximum(a, b) + half + 2), 0, size).astype(int)
    if (low >= high).any():
        return
    x, y = np.arange(low[0], high[0])[None, :] - a[0], np.arange(low[1], high[1])[:, None] - a[1]
    dx, dy = b - a
    t = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
    distance = np.hypot(x - t * dx, y - t * dy)
    window = canvas[low[1] : high[1], low[0] : high[0]]
    np.maximum(window, strength * np.clip(half + 0.5 - distance, 0, 1), out=window)


def curve(canvas: Map, points: Float[np.ndarray, "p 2"], width: float, tip: float) -> None:
    """Draw a line through points, its width going from ``width`` to ``tip`` along the way."""
    widths = np.linspace(width, tip, len(points) - 1)
    for start, end, w in zip(points[:-1], points[1:], widths, strict=True):
        stroke(canvas, start, end, w)


def disc(size: int, center: Iterable[float], radius: float, softness: float) -> Map:
    """Coverage of a round spot with a soft edge."""
    x, y = axes(size)
    cx, cy = center
    return ramp(radius - np.hypot(x - cx, y - cy), max(softness, 0.5 / size))


def patchworks(
    rng: np.random.Generator, count: int, size: int, most: int = CELLS
) -> UInt8[np.ndarray, "m s s"]:
    """Random maps of wavy cells, much like the superpixels a picture will be explained with.

    Parameters
    ----------
    count
        How many maps.
    most
        Each map has from 25 to `most` - 1 cells, at most 255.
    """
    x, y = axes(size)
    maps = np.empty((count, size, size), np.uint8)
    for i in range(count):
        centers = rng.uniform(-0.5, 0.5, (int(rng.integers(25, most)), 2))
        u, v = x + 0.03 * noise(rng, size, 8), y + 0.03 * noise(rng, size, 8)
        maps[i] = np.argmin([(u - a) ** 2 + (v - b) ** 2 for a, b in centers], axis=0)
    return maps
