"""Hadamard matrices after Paley: any two columns agree as often as they differ.

For a prime q ≡ 3 mod 4 and χ(k) = 1, -1 or 0 as k is a square, none, or 0 modulo q,

    H = I + S,   S[0, j] = 1,   S[i, 0] = -1,   S[i, j] = χ(i - j)   (i, j >= 1),

is a matrix of signs of order q + 1 with H Hᵀ = (q + 1) I (Paley 1933). Unlike Sylvester's matrices,
of order 2^k, the product of three columns is not a fourth one: it is spread thinly over all of
them, so what three superpixels do together is never charged to a fourth.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Int


@functools.lru_cache(maxsize=256)
def orders(low: int, high: int) -> tuple[int, ...]:
    """All orders q + 1 from low to high; the first one above, if there is none between.

    >>> orders(10, 30), orders(61, 62)
    ((12, 20, 24), (68,))
    """
    found: list[int] = []
    order = -(-max(low, 4) // 4) * 4
    while order <= high or not found:
        q = order - 1
        if all(q % divisor for divisor in range(3, int(q**0.5) + 1, 2)):
            found.append(order)
        order += 4
    return tuple(found)


@functools.lru_cache(maxsize=8)
def _signs(q: int) -> Int[np.ndarray, " q"]:
    """χ(k) for k = 0 .. q - 1; no order needs more than one number for each row."""
    signs = np.full(q, -1, np.int8)
    signs[np.arange(1, q, dtype=np.int64) ** 2 % q] = 1
    signs[0] = 0
    return signs


def positive(
    order: int, rows: Int[np.ndarray, " m"], columns: Int[np.ndarray, " d"]
) -> Bool[np.ndarray, "m d"]:
    """Where the matrix of an order is positive, in the given rows and columns.

    >>> H = np.where(positive(12, np.arange(12), np.arange(12)), 1, -1)
    >>> bool((H @ H.T == 12 * np.eye(12)).all())
    True
    """
    i, j = rows[:, None], columns[None]
    inner = _signs(order - 1)[(i - j) % (order - 1)] + (i == j)
    return np.where(i == 0, True, np.where(j == 0, False, inner > 0))


def block_order(rows: int, d: int) -> int:
    """Order of the matrix of which a whole number comes nearest to a number of rows.

    >>> block_order(127, 60), block_order(499, 60)
    (128, 500)
    """
    found = orders(d + 1, max(2 * (d + 1), min(rows + 4, 2048)))
    return min(found, key=lambda order: (abs(rows - max(round(rows / order), 1) * order), order))


def blocks(rng: np.random.Generator, rows: int, d: int) -> Bool[np.ndarray, "rows d"]:
    """Block after block, each a matrix with random columns, signs and order of rows; cut to rows.

    In a whole block every column is on as often as off, and so are any two together.
    """
    order, found = block_order(rows, d), []
    for _ in range(-(-rows // order)):
        picked, columns = rng.permutation(order), 1 + rng.permutation(order - 1)[:d]
        flipped = rng.integers(0, 2, d, dtype=np.int8).astype(bool)
        # Times their first entry, the rows leave every other column with as many + as -.
        first = positive(order, picked, np.zeros(1, int))
        found.append((positive(order, picked, columns) == first) ^ flipped)
    return np.concatenate(found)[:rows]
