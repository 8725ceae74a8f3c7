"""Does what is said hold? Intervals, signs and R² against the endless answer and fresh samples.

Printed, not asserted: the same laws are asserted, on fewer cases, in tests/path. Simulated scores
of which the endless answer can be computed; "warned" are the runs for which the page would ask for
care: no interval for the class, or fewer effective samples than superpixels.
"""

from __future__ import annotations

import numpy as np
import pytest

from limecraft_jax.path import sample
from limecraft_jax.path.surrogate import Ridge, fit
from tests.benchmarks.machine import table
from tests.games import endless, games, lime_weights

DESIGNS = {
    "balanced": sample.Balanced(),
    "balanced, no complements": sample.Balanced(complements=False),
    "random": sample.Bernoulli(),
    "pairs": sample.Paired(),
    "GLIME": sample.KernelSizes(),
}
SEEDS = range(10)


def scores(d: int) -> dict:
    """Games whose coefficients are all different from 0, one that saturates, one that is linear."""
    rng = np.random.default_rng(4)
    slope, line = rng.normal(size=d) * np.exp(-np.arange(d) / 8), rng.normal(size=d) / d
    needed = rng.choice(d, 3, replace=False)
    return {
        **games(d, 5),
        "steep": lambda z: 1 / (1 + np.exp(-4 * ((z - 0.5) @ slope))),
        "three at once": lambda z: z[:, needed].all(axis=1) * 1.0,
        "saturated": lambda z: 1 / (1 + np.exp(-8 - 4 * ((z - 0.5) @ slope))),
        "linear": lambda z: 0.5 + z @ line,
    }


def runs(design, d, n, width, names):
    """A fit for each seed, to all scores at once."""
    for seed in SEEDS:
        z = sample.draw(design, n, d, seed)
        ratio = np.exp(design.log_ratio(d)[z.sum(axis=1)])
        y = np.stack([score(z) for score in names.values()], axis=1)
        weights = lime_weights(z, width) * ratio
        yield fit(z, y, weights, Ridge(), pairs=design.pairs, even=design.even)


@pytest.mark.parametrize("width", [0.1, 0.25, 1.0])
@pytest.mark.parametrize("d", [20, 55, 100])
def test_how_often_intervals_hold(d, width, capsys):
    names = scores(d)
    truth = np.stack([endless(score, d, width=width) for score in names.values()])
    sizes = (2 * d + 2, 256, 512, 1000)
    rows, warned = {}, {}
    for label, design in DESIGNS.items():
        rows[label], warned[label] = [], []
        for n in sizes:
            held, care = [], []
            for found in runs(design, d, n, width, names):
                low, high = found.interval()
                fine = found.known & (found.effective_samples >= d)
                held.append(((low <= truth) & (truth <= high))[fine].ravel())
                care.append(~fine)
            rows[label].append(np.concatenate(held) if np.size(np.concatenate(held)) else [np.nan])
            warned[label].append(np.concatenate(care))
    table(capsys, f"held, d = {d}, width {width}, at n samples; 95 % promised", sizes, rows)
    table(capsys, f"share of runs warned, d = {d}, width {width}", sizes, warned)


def test_how_often_signs_are_right(capsys):
    levels = ((0.95, 0.99), (0.99, 0.999), (0.999, 1.01))
    rows: dict[str, list] = {}
    for d in (20, 55, 100):
        names = scores(d)
        names.pop("three at once")  # most of its coefficients are 0 and have no sign
        truth = np.stack([endless(score, d) for score in names.values()])
        for n in (2 * d + 2, 256, 1000):
            for found in runs(sample.Balanced(), d, n, 0.25, names):
                right = np.sign(found.coef) == np.sign(truth)
                for i, (low, high) in enumerate(levels):
                    picked = (found.sign_probability > low) & (found.sign_probability <= high)
                    for label in (f"d = {d}", "all"):
                        cells = rows.setdefault(label, [[] for _ in levels])
                        cells[i].extend(right[picked])
    heads = ("> .95", "> .99", "> .999")
    table(capsys, "share of right signs among statements that sure, balanced", heads, rows)
    counts = {label: [len(cell) for cell in cells] for label, cells in rows.items()}
    table(capsys, "number of such statements", heads, counts)


@pytest.mark.parametrize("d", [20, 55, 100])
def test_r2_against_fresh_samples(d, capsys):
    names = scores(d)
    names.pop("saturated")
    fresh = sample.draw(sample.Bernoulli(), 8000, d, 999)
    weights = lime_weights(fresh)
    told = np.stack([score(fresh) for score in names.values()], axis=1)
    spread = weights @ (told - weights @ told / weights.sum()) ** 2
    sizes = sorted({2 * d + 2, 3 * d, 256, 512, 1000})
    rows: dict[str, list] = {}
    for label, design in DESIGNS.items():
        for kind in ("shown", "in the sample"):
            rows[f"{label}, {kind}"[-26:]] = cells = []
            for n in sizes:
                gaps = []
                for found in runs(design, d, n, 0.25, names):
                    lost = weights @ (told - fresh @ found.coef.T - found.intercept) ** 2
                    r2 = found.r2 if kind == "shown" else found.r2_sample
                    gaps.extend((r2 - (1 - lost / spread))[found.known])
                cells.append(gaps or [np.nan])
    table(capsys, f"R² told less R² on fresh samples, d = {d}, at n samples", sizes, rows)
