"""Label maps of superpixels: lay a grid, connect, merge the smallest, split the largest.

A label map is an integer array (h, w): 0 is "not ours", 1, 2, ... are superpixels. Pixels touch
by their four edges, never by corners. Nothing here is random.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import watershed

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def connect(
    labels: Int[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]
) -> Int[np.ndarray, "h w"]:
    """Give every connected piece of every label (0 is one too) in the mask a number from 1 on."""
    return label(np.where(mask, labels + 1, 0), background=0, connectivity=1)


def share(count: int, areas: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Share a count in proportion to area, at least 1 each, by largest remainders.

    >>> share(10, np.array([1, 300, 600]))
    array([1, 3, 6])
    """
    areas = np.asarray(areas)
    shares = np.ones(len(areas), int)
    free = np.ones(len(areas), bool)
    while count > len(areas):
        quota = (count - np.sum(~free)) * areas / max(np.sum(areas[free]), 1)
        poor = free & (quota < 1)
        if not poor.any():
            shares[free] = np.floor(quota[free])
            remainder = np.where(free, quota - shares, -1)
            shares[np.argsort(-remainder, kind="stable")[: count - shares.sum()]] += 1
            break
        free &= ~poor
    return shares


def grid(mask: Bool[np.ndarray, "h w"], count: int) -> Int[np.ndarray, "h w"]:
    """Rows of nearly square cells on the frame of a mask, 0 outside the mask.

    The cells have the size of which `count` fill the area of the mask. A full mask gets exactly
    `count` cells: where no rows × columns do, some rows have one cell more than others.
    """
    h, w = mask.shape
    n = min(round(count * mask.size / np.sum(mask)), mask.size)
    rows = min(max(round(np.sqrt(n * h / w)), -(-n // w), 1), h, n)
    row = np.arange(h)[:, None] * rows // h
    first, end = row * n // rows, (row + 1) * n // rows
    return np.where(mask, 1 + first + np.arange(w) * (end - first) // w, 0)


def centers(labels: Int[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Keep of every superpixel only the pixel nearest to its mean position, 0 elsewhere."""
    y, x = np.nonzero(labels)
    own = labels[y, x]
    size = np.maximum(np.bincount(own), 1)
    away_y, away_x = (at - (np.bincount(own, at) / size)[own] for at in (y, x))
    order = np.lexsort((away_y**2 + away_x**2, own))
    nearest = order[np.unique(own[order], return_index=True)[1]]
    out = np.zeros_like(labels)
    out[y[nearest], x[nearest]] = own[nearest]
    return out


def _borders(
    labels: Int[np.ndarray, "h w"], walls: Int[np.ndarray, "h w"] | None
) -> list[dict[int, int]]:
    """How many pixel edges each superpixel shares with each neighbor on its side of the walls."""
    num = int(labels.max()) + 1
    codes = []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        a, b = labels[one], labels[other]
        touch = (a != b) & (a > 0) & (b > 0)
        if walls is not None:
            touch &= walls[one] == walls[other]
        a, b = a[touch].astype(np.int64), b[touch]
        codes.append(np.minimum(a, b) * num + np.maximum(a, b))
    pairs, lengths = np.unique(np.concatenate(codes), return_counts=True)
    borders: list[dict[int, int]] = [{} for _ in range(num)]
    for a, b, length in zip(
        (pairs // num).tolist(), (pairs % num).tolist(), lengths.tolist(), strict=True
    ):
        borders[a][b] = borders[b][a] = length
    return borders


def merge(
    labels: Int[np.ndarray, "h w"],
    floor: float,
    count: int | None = None,
    keep: Collection[int] = (),
    walls: Int[np.ndarray, "h w"] | None = None,
) -> Int[np.ndarray, "h w"]:
    """Merge the smallest superpixel into the neighbor with which it shares most border, again and
    again, while it is smaller than `floor` pixels or there are more than `count` of them.

    Parameters
    ----------
    labels
        Connected superpixels.
    floor
        Area in pixels from which on a superpixel is large enough.
    count
        Largest number of superpixels wanted; None for any.
    keep
        Superpixels that are not merged away, however small they are.
    walls
        A second label map; superpixels do not merge across its boundaries.
    """
    area = np.bincount(labels.ravel()).tolist()
    left = len(area) - 1
    count = left if count is None else count
    heap = [(a, i) for i, a in enumerate(area) if i and i not in keep]
    heapq.heapify(heap)
    if not heap or (heap[0][0] >= floor and left <= count):
        return labels
    borders = _borders(labels, walls)
    into = np.arange(len(area))
    while heap:
        size, i = heapq.heappop(heap)
        if into[i] != i or size != area[i] or not borders[i]:
            continue
        if size >= floor and left <= count:
            break
        best = max(borders[i], key=lambda j: (borders[i][j], -area[j], -j))
        for j, length in borders[i].items():
            del borders[j][i]
            if j != best:
                borders[j][best] = borders[best][j] = borders[best].get(j, 0) + length
        into[i] = best
        area[best] += size
        left -= 1
        if best not in keep:
            heapq.heappush(heap, (area[best], best))
    while (into != into[into]).any():
        into = into[into]
    return np.searchsorted(np.unique(np.append(into, 0)), into)[labels]


def _halve(own: Bool[np.ndarray, "h w"], edges: Float[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Split one connected superpixel in two connected parts, 1 and 2.

    The seeds are the pixels nearest to the quartiles of the principal axis; a compact watershed
    lets both grow, so the cut lies about halfway, on an edge of the image if one is near: an edge
    of strength 50 moves it by at most about a quarter of the width.
    """
    at = np.argwhere(own).astype(float)
    at -= at.mean(0)
    along, across = (at @ np.linalg.eigh(at.T @ at)[1][:, ::-1]).T
    low, high = np.quantile(along, (0.25, 0.75))
    a, b = (np.argmin((along - q) ** 2 + across**2) for q in (low, high))
    if a == b:
        a, b = np.argmin(along), np.argmax(along)
    seeds = np.zeros(own.shape, np.int32)
    seeds[tuple(np.argwhere(own)[[a, b]].T)] = 1, 2
    return watershed(edges, seeds, mask=own, compactness=200 / np.sqrt(len(at)))


def split(
    labels: Int[np.ndarray, "h w"], count: int, edges: Float[np.ndarray, "h w"]
) -> Int[np.ndarray, "h w"]:
    """Halve the largest superpixel again and again until there are `count`, or all are pixels."""
    labels = np.array(labels, np.int32)
    boxes = ndimage.find_objects(labels)
    area = np.bincount(labels.ravel())
    heap = [(-int(a), i) for i, a in enumerate(area) if i]
    heapq.heapify(heap)
    for new in range(len(heap) + 1, count + 1):
        size, i = heap[0]
        if size == -1:
            break
        boxes.append(boxes[i - 1])
        crop = labels[boxes[i - 1]]
        half = _halve(crop == i, edges[boxes[i - 1]]) == 2
        crop[half] = new
        moved = int(np.sum(half))
        heapq.heapreplace(heap, (size + moved, i))
        heapq.heappush(heap, (-moved, new))
    return labels


def fit_count(
    labels: Int[np.ndarray, "h w"],
    mask: Bool[np.ndarray, "h w"],
    count: int,
    edges: Float[np.ndarray, "h w"],
) -> Int[np.ndarray, "h w"]:
    """Turn any label map into exactly `count` connected superpixels of one connected mask.

    What is smaller than a quarter of the mean area is merged away first, then the largest are
    split. `count` must not exceed the area of the mask.
    """
    pieces = connect(labels, mask)
    return split(merge(pieces, np.sum(mask) / (4 * count), count), count, edges)
