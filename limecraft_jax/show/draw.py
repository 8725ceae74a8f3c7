"""Pictures for people: superpixels as lines, an explanation as colors over the image.

NumPy in, NumPy out: images are uint8 ``[H W 3]``, enlarged by a whole factor so that lines stay
thin on small pictures.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from skimage.measure import find_contours

from limecraft_jax.types import Explanation, Segmentation

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8

SIDE = 512  # pixels; pictures are enlarged until their longer side is at least this


@dataclasses.dataclass(frozen=True)
class Palette:
    """Colors (sRGB, 0..255) for what speaks for a class and what speaks against it."""

    label: str
    positive: tuple[int, int, int]
    negative: tuple[int, int, int]

    def hex(self, positive: bool) -> str:
        """One of the two as ``#rrggbb``."""
        return "#" + "".join(f"{v:02x}" for v in (self.positive if positive else self.negative))


PALETTES = {
    "green-red": Palette("green / red", (26, 152, 80), (215, 48, 39)),
    "blue-orange": Palette("blue / orange (color-blind safe)", (0, 114, 178), (230, 97, 0)),
}


def enlarge(image: Float[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture as people see it: three channels, smooth, at least `SIDE` pixels long."""
    factor = scale(image.shape)
    h, w = image.shape[:2]
    rgb = (np.clip(np.broadcast_to(image, (h, w, 3)), 0, 1) * 255).round().astype(np.uint8)
    if factor > 1:  # Pillow is 30 times as fast as scikit-image here, and only eyes look at it
        large = Image.fromarray(rgb).resize((factor * w, factor * h), Image.Resampling.BILINEAR)
        rgb = np.array(large)
    return rgb


def scale(shape: tuple[int, ...]) -> int:
    """Whole factor by which a picture of this shape is enlarged."""
    return max(1, -(-SIDE // max(shape[:2])))


def repeat(values: Int[np.ndarray, "h w"], factor: int) -> Int[np.ndarray, "H W"]:
    """Every pixel as a square of factor × factor."""
    return values.repeat(factor, axis=0).repeat(factor, axis=1)


def edges(labels: Int[np.ndarray, "H W"], width: int = 1) -> Bool[np.ndarray, "H W"]:
    """Where labels change, as lines about ``width`` pixels wide."""
    lines = np.zeros(labels.shape, bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    for i in range(width):
        shift = i // 2 + i % 2 if i % 2 else -(i // 2)
        lines |= np.roll(np.pad(across, ((0, 0), (0, 1))), shift, axis=1)
        lines |= np.roll(np.pad(down, ((0, 1), (0, 0))), shift, axis=0)
    return lines


def blend(picture, where, color, opacity):
    """Lay a color over some pixels, in place; opacity in [0, 1], a number or one per pixel."""
    opacity = np.broadcast_to(np.asarray(opacity, np.float32), where.shape)[where][:, None]
    picture[where] = ((1 - opacity) * picture[where] + opacity * np.array(color)).astype(np.uint8)


def superpixels(
    image: Float[np.ndarray, "h w c"],
    segmentation: Segmentation,
    colors: dict[int, tuple[int, int, int]] | None = None,
) -> UInt8[np.ndarray, "H W 3"]:
    """The picture with the superpixels' boundaries; drawn regions get a bold line in their color.

    Parameters
    ----------
    image
        What the model sees.
    segmentation
        Its superpixels.
    colors
        Color of each drawn region by its value in the mask, 0..255; black where not given.
    """
    factor = scale(image.shape)
    picture = enlarge(image)
    labels = repeat(segmentation.labels, factor)
    lines = edges(labels)
    blend(picture, lines, (255, 255, 255), 0.75)
    region = segmentation.region[labels]
    bold = edges(region, 5)
    for value in np.unique(segmentation.region[segmentation.inside]):
        near = bold & _near(region == value, 3)
        blend(picture, near, (colors or {}).get(int(value), (0, 0, 0)), 1.0)
    return picture


def regions(
    image: Float[np.ndarray, "h w c"],
    mask: Int[np.ndarray, "h w"],
    colors: dict[int, tuple[int, int, int]],
) -> UInt8[np.ndarray, "H W 3"]:
    """The picture with the regions of a mask tinted and outlined in their colors.

    Parameters
    ----------
    image, mask
        A picture and the regions on it, 0 outside.
    colors
        Color of each region by its value, 0..255; gray where not given.
    """
    picture = enlarge(image)
    labels = repeat(mask, scale(image.shape))
    for value in np.unique(mask[mask > 0]):
        color = colors.get(int(value), (128, 128, 128))
        own = labels == value
        blend(picture, own, color, 0.25)
        blend(picture, edges(own.astype(np.int8), 3), color, 1.0)
    return picture


def _near(mask, reach):
    from scipy.ndimage import maximum_filter

    return maximum_filter(mask, 2 * reach + 1)


def overlay(
    explanation: Explanation,
    target: int,
    show: int | None = None,
    opacity: float = 0.6,
    palette: Palette = PALETTES["green-red"],
    boundaries: bool = True,
    lit: tuple[int, ...] = (),
    strongest: float | None = None,
) -> UInt8[np.ndarray, "H W 3"]:
    """The explanation of one class over the picture.

    Color says for or against, its strength |β| relative to the strongest one, and hatching that it
    could go either way. What is known to matter little stays as it is.

    Parameters
    ----------
    explanation
        What is drawn.
    target
        Index of the class.
    show
        How many superpixels to color, the largest |β| first; None colors all.
    opacity
        Opacity of the strongest color, in [0, 1].
    palette
        Colors for and against.
    boundaries
        Whether the superpixels' boundaries are drawn.
    lit
        Superpixels to outline.
    strongest
        The |β| that gets the full color, > 0, so that several pictures share one color scale; None
        takes the largest one here.
    """
    neighborhood, coef = explanation.neighborhood, explanation.fit.coef[target]
    factor = scale(neighborhood.image.shape)
    picture = enlarge(neighborhood.image)
    labels = repeat(neighborhood.segmentation.labels, factor)
    shown = np.zeros(len(coef), bool)
    shown[explanation.top(target, len(coef) if show is None else show)] = True
    undecided, either = explanation.undecided(target), explanation.open(target)
    strongest = np.abs(coef).max() if strongest is None else strongest
    strength = 0.1 + 0.9 * np.minimum(np.abs(coef) / max(strongest, 1e-12), 1)
    rows, columns = np.indices(labels.shape)
    stripes = (rows + columns) % 14 < 4
    for sign, color in ((1, palette.positive), (-1, palette.negative)):
        own = shown & (np.sign(coef) == sign)
        blend(picture, (own & ~undecided)[labels], color, opacity * strength[labels])
        blend(picture, (own & either)[labels] & stripes, color, opacity * 0.5)
    if boundaries:
        blend(picture, edges(labels), (255, 255, 255), 0.45)
        inside = neighborhood.segmentation.inside[labels].astype(np.int8)
        blend(picture, edges(inside, 3), (20, 20, 20), 0.9)
    for j in lit:
        blend(picture, edges((labels == j).astype(np.int8), 7), (255, 221, 0), 1.0)
    return picture


def outlines(segmentation: Segmentation) -> list[list[list[tuple[float, float]]]]:
    """The outline of every superpixel as closed rings of (x, y) in pixels, origin top left.

    Rings around holes run the other way round, so that both fill rules leave them open.
    """
    padded = np.pad(segmentation.labels, 1, constant_values=-1)
    found = []
    from scipy.ndimage import find_objects

    for j, (rows, columns) in enumerate(find_objects(padded + 1)):
        window = (slice(rows.start - 1, rows.stop + 1), slice(columns.start - 1, columns.stop + 1))
        rings = find_contours((padded[window] == j).astype(np.float32), 0.5)
        origin = np.array([rows.start - 1, columns.start - 1]) - 0.5
        found.append([[(x, y) for y, x in (ring + origin).round(2).tolist()] for ring in rings])
    return found
