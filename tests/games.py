"""Simulated classifiers on superpixels: scores f(z) whose right answer can be computed."""

from __future__ import annotations

import numpy as np


def lime_weights(z: np.ndarray, width: float = 0.25) -> np.ndarray:
    """lime's kernel on the cosine distance to the all-on row, from its definition."""
    norm = np.sqrt(z.sum(axis=1)) * np.sqrt(z.shape[1])
    cosine = np.divide(z.sum(axis=1), norm, out=np.zeros(len(z)), where=norm > 0)
    return np.sqrt(np.exp(-((1 - cosine) ** 2) / width**2))


def games(d: int, seed: int = 1) -> dict:
    """Scores of different character: gently bent, full of interactions, one that jumps."""
    rng = np.random.default_rng(seed)
    slope = rng.normal(size=d) * np.exp(-np.arange(d) / 8)
    twos = [rng.choice(d, 2, replace=False) for _ in range(60)]
    threes = [rng.choice(d, 3, replace=False) for _ in range(40)]
    two_size, three_size = rng.normal(size=60) * 0.3, rng.normal(size=40) * 0.3
    thing = rng.choice(d, d // 3, replace=False)

    def gentle(z):
        score = (z - 0.5) @ slope
        score += sum(c * (z[:, j].prod(1) - 0.25) for c, j in zip(two_size, twos, strict=True))
        return 1 / (1 + np.exp(-score))

    def interacting(z):
        score = 0.3 * ((z - 0.5) @ slope)
        return score + sum(c * z[:, j].prod(1) for c, j in zip(three_size, threes, strict=True))

    def jumping(z):
        return 1 / (1 + np.exp(-20 * (z[:, thing].mean(1) - 0.55)))

    return {"gentle": gentle, "interacting": interacting, "jumping": jumping}


def least_squares(z, y, weights, penalty: float = 0.0):
    """Weighted ridge with free intercept by the textbook, in float64: (intercept, coefficients)."""
    x = np.column_stack([np.ones(len(z)), z]).astype(float)
    gram = (x * weights[:, None]).T @ x + penalty * np.diag([0.0] + [1.0] * z.shape[1])
    beta = np.linalg.solve(gram, (x * weights[:, None]).T @ y)
    return beta[0], beta[1:]


def endless(game, d: int, samples: int = 400_000, seed: int = 7, width: float = 0.25) -> np.ndarray:
    """lime's coefficients with (nearly) endless samples and no penalty."""
    rng = np.random.default_rng(seed)
    gram, moment = np.zeros((d + 1, d + 1)), np.zeros(d + 1)
    for _ in range(samples // 20_000):
        half = rng.integers(0, 2, (10_000, d)).astype(bool)
        z = np.concatenate([half, ~half])
        x = np.column_stack([np.ones(len(z)), z])
        wx = x * lime_weights(z, width)[:, None]
        gram, moment = gram + wx.T @ x, moment + wx.T @ game(z)
    return np.linalg.solve(gram, moment)[1:]
