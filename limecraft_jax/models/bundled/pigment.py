"""The seven kinds of synthetic lesion, each a recipe for what lies in the skin.

A recipe adds to the skin's own layers: melanin (brown), blood (red), veil (blue-gray), and an
opaque pale scale on top. What color that gives on lighter or darker skin is left to
`dermoscopy`. The recipes follow what a dermoscopy atlas names as typical;
they are caricatures made to be told apart by a small network, not medicine.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from limecraft_jax.models.bundled.brush import (
    axes,
    cloud,
    curve,
    disc,
    honeycomb,
    noise,
    ramp,
    stroke,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from limecraft_jax.models.bundled.brush import Map


@dataclasses.dataclass
class Layers:
    """What a lesion adds to the skin, as maps over the picture.

    Attributes
    ----------
    depth
        Distance to the outline as a share of the side, positive inside.
    melanin, blood, veil
        Amounts of absorbing matter, added to the skin's; 1 is a strong color.
    pale
        Opacity of a pale scale or scar, in [0, 1].
    """

    depth: Map
    melanin: Map | float = 0.0
    blood: Map | float = 0.0
    veil: Map | float = 0.0
    pale: Map | float = 0.0


def outline(
    rng: np.random.Generator, size: int, radius: tuple[float, float], wild: float, oval: float = 0.2
) -> Map:
    """Signed distance to a random closed outline.

    Parameters
    ----------
    radius
        Range of the mean radius, shares of the side.
    wild
        0 draws an ellipse, 1 a jagged map of an island.
    oval
        Largest relative difference between the two half axes.
    """
    x, y = axes(size)
    cx, cy = rng.normal(0, 0.03, 2)
    turn, squeeze = rng.uniform(0, np.pi), 1 - rng.uniform(0, oval)
    u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
    v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
    angle = np.arctan2(v, u)
    edge = np.ones_like(angle)
    for k in range(2, 9):
        edge += wild * 0.22 / k * rng.normal() * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    mean = rng.uniform(*radius)
    ragged = 0.02 * wild * noise(rng, size, 12)
    return mean * edge + ragged - np.hypot(u * squeeze, v / squeeze)


def spots(rng, size: int, depth: Map, count: int, radius: tuple[float, float], edge=0.4) -> Map:
    """Coverage of up to ``count`` round spots that start inside the outline."""
    coverage = np.zeros_like(depth)
    for _ in range(count):
        center = rng.uniform(-0.35, 0.35, 2)
        r = rng.uniform(*radius)
        row, column = np.clip(((center[::-1] + 0.5) * size).astype(int), 0, size - 1)
        if depth[row, column] > 0.6 * r:
            np.maximum(coverage, disc(size, center, r, edge * r), out=coverage)
    return coverage


def melanocytic(rng: np.random.Generator, size: int, atypia: float) -> Layers:
    """A mole: ``atypia`` 0 is round, even and brown, 1 ragged, lopsided and many-colored."""
    depth = outline(rng, size, (0.2, 0.31), 0.1 + 1.0 * atypia, 0.15 + 0.25 * atypia)
    inside = ramp(depth, rng.uniform(0.02, 0.045) * (1 - 0.4 * atypia))
    net = 1 - honeycomb(rng, size, rng.uniform(18, 26), 0.8)
    tone = rng.uniform(0.45, 0.95) + 0.35 * atypia
    x, y = axes(size)
    turn = rng.uniform(0, 2 * np.pi)
    lopsided = 1.6 * atypia * (x * np.cos(turn) + y * np.sin(turn))
    blotches = 0.45 * atypia * cloud(rng, size, 4)
    center = 0.25 * ramp(depth - rng.uniform(0.02, 0.12), 0.08)
    melanin = tone * (0.75 + center + lopsided + blotches + rng.uniform(0.1, 0.5) * (net - 0.55))
    dots = spots(rng, size, depth, int(rng.poisson(2 + 9 * atypia)), (0.006, 0.013))
    red = np.clip(cloud(rng, size, 3, 2) - 0.6, 0, 1) * atypia
    veil = np.clip(cloud(rng, size, 3, 2) - 0.9 + 0.5 * atypia, 0, 1) * atypia
    fading = np.clip(cloud(rng, size, 3, 2) - 1.5 + 0.4 * atypia, 0, 0.6) * atypia
    return Layers(
        depth,
        melanin=inside * (np.clip(melanin, 0.12, 3) + 0.6 * dots) * (1 - 0.7 * fading),
        blood=inside * (0.08 + 0.6 * red),
        veil=inside * 0.9 * veil,
        pale=inside * 0.4 * fading,
    )


def nevus(rng: np.random.Generator, size: int) -> Layers:
    """Melanocytic nevus: round, symmetric, brown; now and then an odd one."""
    return melanocytic(rng, size, rng.beta(2.2, 4.6))


def melanoma(rng: np.random.Generator, size: int) -> Layers:
    """Melanoma: drawn like a nevus, more atypical on average, often not visibly so."""
    return melanocytic(rng, size, rng.beta(3.6, 2.8))


def keratosis(rng: np.random.Generator, size: int) -> Layers:
    """Benign keratosis: a waxy plaque with a sharp edge, furrows, pale cysts and dark plugs."""
    depth = outline(rng, size, (0.22, 0.32), 0.35, 0.3)
    inside = ramp(depth, 0.012)
    ridges = np.exp(-((noise(rng, size, int(rng.integers(12, 18))) / 0.35) ** 2))
    melanin = rng.uniform(0.4, 0.8) + 0.12 * cloud(rng, size, 5) + rng.uniform(0.2, 0.45) * ridges
    plugs = spots(rng, size, depth - 0.02, int(rng.integers(4, 14)), (0.009, 0.018), 0.3)
    cysts = spots(rng, size, depth - 0.02, int(rng.integers(8, 24)), (0.007, 0.014), 0.5)
    return Layers(
        depth,
        melanin=inside * (np.clip(melanin, 0.1, 3) + 0.9 * plugs),
        blood=inside * 0.05,
        veil=inside * rng.uniform(0.1, 0.3),
        pale=inside * np.clip(0.1 + 0.55 * cysts * (1 - plugs), 0, 1),
    )


def basal_cell(rng: np.random.Generator, size: int) -> Layers:
    """Basal cell carcinoma: pearly pink, branching vessels, blue-gray nests."""
    depth = outline(rng, size, (0.2, 0.3), 0.4, 0.25)
    inside = ramp(depth, 0.035)
    vessels = np.zeros_like(depth)
    for _ in range(int(rng.integers(3, 6))):
        turn = rng.uniform(0, 2 * np.pi)
        start = 0.27 * np.array([np.cos(turn), np.sin(turn)])
        branch(rng, vessels, start, turn + np.pi + rng.normal(0, 0.4), 0.017, 0)
    nests = spots(rng, size, depth, int(rng.integers(4, 12)), (0.015, 0.04))
    return Layers(
        depth,
        melanin=inside * (0.05 + 0.25 * nests),
        blood=inside * (0.28 + 0.08 * cloud(rng, size, 4)) + ramp(depth + 0.04, 0.05) * vessels,
        veil=inside * 0.95 * nests,
        pale=inside * np.clip(0.14 + 0.06 * cloud(rng, size, 5), 0, 1) * (1 - vessels),
    )


def branch(rng, canvas: Map, start: np.ndarray, turn: float, width: float, level: int) -> None:
    """Draw a winding vessel that forks into thinner ones."""
    steps = int(rng.integers(6, 10)) - 2 * level
    turns = turn + np.cumsum(rng.normal(0, 0.3, steps))
    moves = 0.035 * np.stack([np.cos(turns), np.sin(turns)], 1)
    points = np.vstack([start, start + np.cumsum(moves, 0)])
    curve(canvas, points, width, 0.6 * width)
    if level < 2:
        for at in rng.integers(2, len(points), 3 - level):
            side = rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)
            branch(rng, canvas, points[at], turns[at - 1] + side, 0.6 * width, level + 1)


def actinic(rng: np.random.Generator, size: int) -> Layers:
    """Actinic keratosis: an ill-defined red patch, pale follicles in a red net, white scales."""
    depth = outline(rng, size, (0.22, 0.34), 0.7, 0.3)
    inside = ramp(depth, 0.09)
    holes = np.clip(honeycomb(rng, size, rng.uniform(9, 13), 0.6) - 0.35, 0, 1)
    flakes = np.clip(1.6 * (noise(rng, size, 26) + 0.8 * cloud(rng, size, 4, 2)) - 2.1, 0, 1)
    return Layers(
        depth,
        melanin=inside * 0.12 * np.clip(cloud(rng, size, 6) + 0.6, 0, 2),
        blood=inside * (0.75 - 0.6 * holes + 0.12 * cloud(rng, size, 6)),
        pale=np.clip(inside * (0.45 * holes + 0.75 * flakes), 0, 0.9),
    )


def vascular(rng: np.random.Generator, size: int) -> Layers:
    """Vascular lesion: crowded red, purple and nearly black lagoons."""
    depth = outline(rng, size, (0.18, 0.28), 0.3, 0.3)
    inside = ramp(depth, 0.03)
    blood, veil = np.zeros_like(depth), np.zeros_like(depth)
    purple = rng.uniform(0.1, 0.6)
    for _ in range(int(rng.integers(18, 34))):
        turn, far = rng.uniform(0, 2 * np.pi), 0.24 * np.sqrt(rng.uniform())
        r = rng.uniform(0.025, 0.065)
        lagoon = disc(size, (far * np.cos(turn), far * np.sin(turn)), r, 0.3 * r)
        lagoon *= ramp(depth, 0.03)
        np.maximum(blood, lagoon * rng.uniform(0.8, 1.5), out=blood)
        np.maximum(veil, lagoon * purple * rng.uniform(0.3, 1.3), out=veil)
    return Layers(depth, blood=inside * 0.45 + blood, veil=veil, melanin=0.1 * inside)


def dermatofibroma(rng: np.random.Generator, size: int) -> Layers:
    """Dermatofibroma: a white scar in the middle, a fine brown net around it."""
    depth = outline(rng, size, (0.22, 0.3), 0.15, 0.15)
    inside = ramp(depth, 0.07)
    middle = ramp(depth - rng.uniform(0.1, 0.15), 0.05)
    net = 1 - honeycomb(rng, size, rng.uniform(15, 20), 0.8)
    scar = np.zeros_like(depth)
    for _ in range(7):
        center, turn = rng.normal(0, 0.03, 2), rng.uniform(0, np.pi)
        reach = rng.uniform(0.05, 0.1) * np.array([np.cos(turn), np.sin(turn)])
        stroke(scar, center - reach, center + reach, 0.012)
    return Layers(
        depth,
        melanin=inside * (1 - 0.8 * middle) * (0.2 + rng.uniform(0.35, 0.6) * net),
        blood=inside * (0.12 + 0.1 * middle),
        pale=np.clip(middle * (0.45 + 0.3 * scar + 0.08 * cloud(rng, size, 5)), 0, 1),
    )


RECIPES: dict[str, Callable[[np.random.Generator, int], Layers]] = {
    "melanocytic nevi": nevus,
    "melanoma": melanoma,
    "benign keratosis-like": keratosis,
    "basal cell carcinoma": basal_cell,
    "actinic keratoses": actinic,
    "vascular lesions": vascular,
    "dermatofibroma": dermatofibroma,
}
