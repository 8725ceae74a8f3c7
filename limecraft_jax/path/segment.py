"""First step of the path: cut an image into superpixels, each drawn region by itself.

    image + mask ──segment──► Segmentation

Every connected piece of every drawn region, and of the rest, is cut on its own, so no superpixel
crosses a boundary that somebody drew. The count asked for is given, or a note says why not.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.measure import label

from limecraft_jax.bounds import MOST_COUNT
from limecraft_jax.path import superpixels
from limecraft_jax.path.segmenters import SEGMENTERS, Counted, KMeans, Segmenter
from limecraft_jax.types import InputError, Segmentation, unknown

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

CRUMB = 5  # pixels; what a boundary cuts off and leaves smaller than this joins its neighbor


def segment(
    image: Float[np.ndarray, "h w c"],
    mask: Int[np.ndarray, "h w"] | Bool[np.ndarray, "h w"] | None = None,
    inside: int | Sequence[int] = 10,
    outside: int = 50,
    segmenter: Segmenter = KMeans(),  # noqa: B008 (a frozen value)
) -> Segmentation:
    """Cut an image into superpixels, each drawn region by itself.

    Parameters
    ----------
    image
        Values in [0, 1], 1 or 3 channels.
    mask
        0 outside, any other value is one drawn region. Without a mask the whole image is "the
        rest" and only `outside` counts.
    inside
        How many superpixels in the drawn regions: a total, shared in proportion to area with at
        least one each, or one count per region in the order of their values. 0 makes each region
        one superpixel. 10 and 50 are what LIMEcraft's page starts with.
    outside
        How many superpixels in the rest. 0 makes it one superpixel.
    segmenter
        How to cut; those with `counted = False` do not heed the counts.

    Returns
    -------
    Segmentation
        With a note where another number of superpixels is given than was asked for. A region of
        several pieces that do not touch has at least one superpixel for each.

    Raises
    ------
    InputError
        If the image, the mask or a count cannot be used.
    """
    rgb = _as_rgb(image)
    which, values = _regions(mask, rgb.shape[:2])
    areas = np.bincount(which.ravel(), minlength=len(values) + 1)
    wanted, notes = _counts(inside, outside, areas)
    pieces = label(which, background=-1, connectivity=1)
    first = np.unique(pieces, return_index=True)[1]
    home = which.ravel()[first]  # the region of each piece, 0 for the rest
    _bounded(max(len(home), int(np.minimum(wanted, areas).sum())))
    if isinstance(segmenter, Counted):
        raw = _cut(segmenter, rgb, pieces, home, wanted)
    else:
        raw = segmenter.labels(rgb)
    labels = _tidy(raw, pieces)

    _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    _bounded(len(first))
    home = which.ravel()[first]
    order = np.lexsort((first, np.where(home == 0, len(values) + 1, home)))
    labels = np.argsort(order)[labels.reshape(which.shape)].astype(np.int32)
    region = np.append(0, values)[home[order]].astype(np.int32)
    if segmenter.counted:
        notes += _notes(which, pieces, home, wanted, values)
    return Segmentation(labels, region, tuple(notes) if segmenter.counted else ())


def _bounded(count: int) -> None:
    if count > MOST_COUNT:
        raise InputError(
            f"superpixels must be at most {MOST_COUNT} in all, got {count}: ask for fewer, "
            "or draw fewer pieces."
        )


def suggest(
    mask: Int[np.ndarray, "h w"] | Bool[np.ndarray, "h w"], total: int = 100
) -> tuple[int, int]:
    """The counts inside and outside that give both about the same mean area of a superpixel.

    LIMEcraft's suggestion, and its total of 100. At least one for each drawn region and for the
    rest, 0 where there are no pixels. `segment` shares the count inside among regions likewise.

    >>> suggest(np.array([[0, 0, 0, 1]]), 20)
    (5, 15)
    """
    mask = np.asarray(mask)
    which, values = _regions(mask, mask.shape[:2])
    share = np.mean(which > 0)
    inside = max(round(_integer(total, "total") * share), 1 if share else 0)
    outside = max(total - inside, 1 if share < 1 else 0)
    return max(inside, len(values)), outside


def named(name: str, **settings: Any) -> Segmenter:
    """The segmenter of that name with some of its settings.

    >>> named("kmeans", compactness=20.0)
    KMeans(compactness=20.0)
    """
    if name not in SEGMENTERS:
        raise unknown("segmenter", name, SEGMENTERS)
    return SEGMENTERS[name](**settings)


def _as_rgb(image: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w 3"]:
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] not in (1, 3) or image.size == 0:
        raise InputError(
            f"image must have shape (h, w, 1) or (h, w, 3), got {image.shape}: prepare it first."
        )
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"image must hold values from 0 to 1, got {low:g} to {high:g}: rescale it first."
        )
    return np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.float32)


def _regions(
    mask: Int[np.ndarray, "h w"] | Bool[np.ndarray, "h w"] | None, shape: tuple[int, ...]
) -> tuple[Int[np.ndarray, "h w"], Int[np.ndarray, " r"]]:
    """Number the drawn regions 1 .. r by their value, 0 for the rest; and the r values."""
    if mask is None:
        mask = np.zeros(shape, bool)
    mask = np.asarray(mask)
    if mask.shape != shape or mask.ndim != 2 or not mask.size:
        raise InputError(
            f"mask must have the height and width of the image, {shape}, got {mask.shape}: "
            "resize it without interpolation."
        )
    if mask.dtype.kind not in "biu":
        raise InputError(f"mask must hold whole numbers or booleans, got {mask.dtype}: round it.")
    values, index = np.unique(mask, return_inverse=True)
    if values[0] < -(2**31) or values[-1] >= 2**31:
        raise InputError(f"mask must hold values below 2**31, got {values[-1]}: renumber it.")
    drawn = values != 0
    which = np.where(drawn, np.cumsum(drawn), 0)[index].reshape(shape)
    return which, values[drawn].astype(np.int32)


def _integer(count: object, name: str) -> int:
    try:
        if isinstance(count, bool | np.bool_):
            raise TypeError
        number = operator.index(count)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"{name} must be a whole number, got {count}: give 0, 1, 2, ...") from None
    if number < 0:
        raise InputError(f"{name} must be >= 0, got {number}: use 0 for one superpixel.")
    return number


def _counts(
    inside: int | Sequence[int], outside: int, areas: Int[np.ndarray, " r1"]
) -> tuple[Int[np.ndarray, " r1"], list[str]]:
    """How many superpixels each region should have, the rest first; 0 has become 1."""
    drawn, num = areas[1:], len(areas) - 1
    rest = max(_integer(outside, "outside"), 1)
    if not np.iterable(inside):
        total, notes = _integer(inside, "inside"), []
        if 0 < total < num:
            notes = [_note("Inside", total, num, f"there are {num} drawn regions")]
        elif num and total > drawn.sum():
            notes = [_note("Inside", total, drawn.sum(), "there are no more pixels")]
        counts = superpixels.share(min(total, drawn.sum()), drawn)
        return np.append(rest, counts), notes
    each = [max(_integer(count, "each count inside"), 1) for count in inside]
    if len(each) != num:
        raise InputError(
            f"inside must be one number or one count for each of the {num} drawn regions, "
            f"got {len(each)} counts: give {num}."
        )
    return np.array([rest, *each]), []


def _cut(
    segmenter: Counted,
    rgb: Float[np.ndarray, "h w 3"],
    pieces: Int[np.ndarray, "h w"],
    home: Int[np.ndarray, " p"],
    wanted: Int[np.ndarray, " r1"],
) -> Int[np.ndarray, "h w"]:
    """Cut every connected piece in its own frame, into its share of what its region should have."""
    area = np.bincount(pieces.ravel())[1:]
    counts = np.ones_like(area)
    for region in np.unique(home):
        own = home == region
        counts[own] = superpixels.share(min(wanted[region], area[own].sum()), area[own])
    features = segmenter.features(rgb) if (counts > 1).any() else rgb
    raw = np.zeros(pieces.shape, np.int64)
    used = 0
    for i, box in enumerate(ndimage.find_objects(pieces)):
        own = pieces[box] == i + 1
        if counts[i] == 1:
            labels = np.ones(1, int)
        elif counts[i] == area[i]:
            labels = np.arange(1, area[i] + 1)
        else:
            labels = segmenter.cut(features[box], own, int(counts[i]))[own]
        raw[box][own] = used + labels
        used += int(labels.max())
    return raw


def _tidy(raw: Int[np.ndarray, "h w"], pieces: Int[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Connected superpixels, 1, 2, ..., that stay within the pieces.

    A crumb joins a neighbor unless it is the largest part of its superpixel.
    """
    _, raw = np.unique(raw, return_inverse=True)
    raw = raw.reshape(pieces.shape)
    joint = raw.astype(np.int64) * (int(pieces.max()) + 1) + pieces
    labels = label(joint, background=-1, connectivity=1)
    area = np.bincount(labels.ravel())
    if (area[1:] >= CRUMB).all():
        return labels
    name = np.zeros(len(area), int)
    name[labels] = raw
    ascending = np.argsort(area, kind="stable")
    largest = np.zeros(int(raw.max()) + 1, int)
    largest[name[ascending]] = ascending  # the last one written is the largest
    return superpixels.merge(labels, CRUMB, keep=set(largest.tolist()), walls=pieces)


def _note(who: str, asked: int, given: int, why: str) -> str:
    noun = "superpixel" if asked == 1 else "superpixels"
    return f"{who}: {asked} {noun} asked for, {given} given, because {why}."


def _notes(
    which: Int[np.ndarray, "h w"],
    pieces: Int[np.ndarray, "h w"],
    home: Int[np.ndarray, " d"],
    wanted: Int[np.ndarray, " r1"],
    values: Int[np.ndarray, " r"],
) -> list[str]:
    """Where another number is given than asked for: how many, and why; one sentence per reason."""
    num = len(wanted)
    given = np.bincount(home, minlength=num)
    area = np.bincount(which.ravel(), minlength=num)
    parts = np.bincount(which.ravel()[np.unique(pieces, return_index=True)[1]], minlength=num)
    reasons = {
        "{0} pixels are all there are": wanted > area,
        "separate pieces cannot be one superpixel, and there are {1}": parts > wanted,
        "this segmenter gives counts only roughly": np.ones(num, bool),
    }
    notes = []
    open_ = (given != wanted) & (area > 0)
    for rest in (False, True):
        for why, holds in reasons.items():
            at = np.flatnonzero(open_ & holds & ((np.arange(num) == 0) == rest))
            open_[at] = False
            if at.size:
                who = _who(values[at - 1]) if not rest else "Outside" if len(values) else "Image"
                why = why.format(area[at].sum(), parts[at].sum())
                notes.append(_note(who, wanted[at].sum(), given[at].sum(), why))
    return notes


def _who(regions: Int[np.ndarray, " n"]) -> str:
    names = [str(region) for region in regions[:3]]
    if len(regions) > 3:
        names.append(f"{len(regions) - 3} more")
    if len(names) == 1:
        return f"Region {names[0]}"
    return f"Regions {', '.join(names[:-1])} and {names[-1]}"
