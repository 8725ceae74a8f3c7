"""Random weights and pictures that a seed gives again, here and beside the peer libraries.

Every array is drawn by itself from the hash of its name, with the spread that keeps a network
alive (He et al. 2015), so that a file needs to keep names and shapes only.
"""

from __future__ import annotations

import zlib

import numpy as np


def array(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The weights of one name and shape; names are PyTorch's or ``layer.kernel`` and so on."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    part = name.rpartition(".")[2]
    if part == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if len(shape) > 1:
        torch = part == "weight"
        one_each = shape[1] == 1 if torch else len(shape) == 4 and shape[3] == 1
        fan = np.prod(shape[2:] if one_each else shape[1:] if torch else shape[:-1])
        if one_each and not torch:
            fan = np.prod(shape[:2])
        return (rng.standard_normal(shape) * np.sqrt(2 / fan)).astype(np.float32)
    if part in ("running_var", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if part in ("gamma", "weight"):
        return rng.uniform(0.5, 1.3, shape).astype(np.float32)
    return (0.05 * rng.standard_normal(shape)).astype(np.float32)


def pictures(height: int, width: int) -> np.ndarray:
    """Two pictures as a network gets them, normalized: noise, and noise that is smooth."""
    rng = np.random.default_rng(0)
    rough = rng.standard_normal((height, width, 3))
    small = rng.standard_normal((-(-height // 16), -(-width // 16), 3))
    smooth = small.repeat(16, 0).repeat(16, 1)[:height, :width]
    return np.stack([rough, smooth]).astype(np.float32)
