"""Move pieces of a picture: lift the regions, fill what they leave, lay them down elsewhere.

    new(x) = (1 - α(x)) · filled(x) + α(x) · old(back(x))

A motion says where a point goes, `there`, and where it came from, `back`; points are (row, column)
relative to the center of their region. α softens the edge inside the piece, so nothing changes
outside the old place and the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import ndimage

from limecraft_jax.edits import inpaint
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32, Int32

SOFT = 2  # pixels; depth at which a piece is opaque. Its outermost pixel is half transparent.
FINEST = 16  # most samples across one pixel, for pieces that shrink


class Motion(Protocol):
    """Where the points of a region go.

    ``reach`` is the largest distance of a pixel of the region from its center, in pixels.
    """

    def there(self, points: Float[np.ndarray, "*n 2"], reach: float) -> np.ndarray: ...

    def back(self, points: Float[np.ndarray, "*n 2"], reach: float) -> np.ndarray: ...

    @property
    def least(self) -> float:
        """Smallest factor by which any length changes."""
        ...

    @property
    def most(self) -> float:
        """Largest factor by which any length changes."""
        ...


def center(own: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, " 2"]:
    """Centroid of a region's area, moved by half a pixel at most onto a pixel's center or corner.

    Quarter turns and mirrors about such a point take pixels to pixels, so they mix none.
    """
    exact = np.argwhere(own).mean(axis=0)
    places = np.stack([np.floor(exact + 0.5), np.floor(exact) + 0.5])
    return places[np.argmin(((places - exact) ** 2).sum(axis=1))]


def soft(own: Bool[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Opacity of a piece: 0 outside, rising to 1 at `SOFT` pixels inside its edge.

    The border of the picture is no edge. Strokes too thin to have an inside are opaque.
    """
    if own.all():
        return np.ones(own.shape, np.float32)
    alpha = np.zeros(own.shape, np.float32)
    window = _window(own, SOFT + 1)
    inside = own[window]
    depth = np.minimum(ndimage.distance_transform_edt(inside), SOFT)
    deepest = ndimage.maximum_filter(depth, 2 * SOFT + 1)
    np.divide(depth, deepest, out=alpha[window], where=inside, casting="same_kind")
    return alpha


def move(
    image: Float32[np.ndarray, "h w c"],
    mask: Int32[np.ndarray, "h w"],
    regions: tuple[int, ...],
    motion: Motion,
) -> tuple[Float32[np.ndarray, "h w c"], Int32[np.ndarray, "h w"]]:
    """Move every region by itself, about its own center, and the mask with it.

    All are lifted before any is laid down; later ones cover earlier ones. What was uncovered is
    filled in (`inpaint.fill`); the hole is all that was lifted, wherever it lands, so that the
    filling is the same for every motion.

    Raises
    ------
    InputError
        If a region has nothing left in the picture, or nothing is left to fill a hole from.
    """
    lifted = np.isin(mask, regions)
    landed = [(region, *_land(image, mask == region, motion, region)) for region in regions]
    moved = inpaint.heal(mask, lifted)
    bare = lifted.copy()
    for _, places, alpha, _ in landed:
        bare[places] &= alpha < 1
    out = inpaint.fill(image, lifted) if bare.any() else image.copy()
    for region, places, alpha, colors in landed:
        under, over = out[places], alpha[:, None]
        out[places] = np.where(over == 1, colors, under + over * (colors - under))
        moved[places] = region
    return out, moved


def _land(image, own, motion, region):
    """Where a region comes down: its pixels (rows, columns), their opacity and their colors."""
    shape = np.array(own.shape)
    middle = center(own)
    inside = np.argwhere(own)
    reach = float(np.sqrt(((inside - middle) ** 2).sum(axis=1).max()))
    goal = motion.there(inside - middle, reach) + middle
    first = np.clip(np.floor(goal.min(axis=0)) - SOFT - 1, 0, shape).astype(int)
    last = np.clip(np.ceil(goal.max(axis=0)) + SOFT + 2, 0, shape).astype(int)
    grid = np.moveaxis(np.mgrid[first[0] : last[0], first[1] : last[1]], 0, -1)

    piece = _piece(own, _back(motion, grid, middle, reach), smooth=motion.most > 1)
    if not piece.any():
        raise InputError(
            f"an edit must leave some of region {region} in the picture, got nothing of it: "
            "move or shrink it less, or remove it."
        )
    alpha = soft(piece)[piece]
    colors = _colors(image, own, motion, grid[piece], middle, reach)
    return tuple(grid[piece].T), alpha, colors


def _piece(own, source, smooth):
    """Which points came from the region: from one of its pixels, or from within a smooth outline.

    The smooth outline spares pieces that grow the staircase of large pixels.
    """
    if smooth:
        whole = np.pad(own.astype(np.float32), 1, mode="edge")
        coordinates = np.moveaxis(source + 1, -1, 0)
        return ndimage.map_coordinates(whole, coordinates, order=1) > 0.5
    nearest = np.floor(source + 0.5).astype(int)
    exists = ((nearest >= 0) & (nearest < own.shape)).all(axis=-1)
    row, column = np.moveaxis(np.where(exists[..., None], nearest, 0), -1, 0)
    return exists & own[row, column]


def _window(own, margin):
    """The region's box and some pixels around it, as far as the picture goes."""
    return inpaint.grown(ndimage.find_objects(own.astype(np.uint8))[0], margin)


def _back(motion, points, middle, reach):
    """Where points of the new picture came from, free of rounding noise."""
    return np.round(motion.back(points - middle, reach) + middle, 6)


def _colors(image, own, motion, points, middle, reach):
    """Colors for points of the new picture: picked if they were pixels, else cubic splines.

    Where lengths shrink, a pixel is the mean of several samples.
    """
    source = _back(motion, points, middle, reach)
    finest = int(np.clip(np.ceil(1 / motion.least - 1e-9), 1, FINEST))
    if finest == 1 and (source == np.round(source)).all():
        return image[tuple(source.astype(int).T)]
    if finest > 1:
        offsets = (np.arange(finest) + 0.5) / finest - 0.5
        square = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), axis=-1).reshape(-1, 2)
        source = _back(motion, points[:, None] + square, middle, reach)
    window = _window(own, 8)  # splines forget what lies farther away
    origin = np.array([side.start for side in window])
    nearby = image[window].astype(np.float64)
    source = np.clip(source - origin, 0, np.array(nearby.shape[:2]) - 1)
    colors = []
    for channel in np.moveaxis(nearby, -1, 0):
        found = ndimage.map_coordinates(channel, np.moveaxis(source, -1, 0), order=3, mode="mirror")
        found = found.mean(axis=1) if finest > 1 else found
        colors.append(np.clip(found, channel.min(), channel.max()))
    return np.stack(colors, axis=-1).astype(np.float32)
