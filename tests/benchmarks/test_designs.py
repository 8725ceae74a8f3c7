"""Which design needs how many samples? Error against a reference of many random samples.

Printed, not asserted: root mean square error of the coefficients of the likeliest class, relative
to their own size, averaged over pictures, for each bundled model and some simulated games.
"""

from __future__ import annotations

import numpy as np
import pytest

from limecraft_jax import models
from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.models.bundled import dermoscopy, digits
from limecraft_jax.path import lime, sample
from limecraft_jax.path.kernel import Exponential
from limecraft_jax.path.surrogate import Ridge
from limecraft_jax.types import Segmentation
from tests.benchmarks.machine import table
from tests.games import endless, games

DESIGNS = {
    "random": sample.Bernoulli(),
    "pairs": sample.Paired(),
    "balanced": sample.Balanced(),
    "balanced, no complements": sample.Balanced(complements=False),
    "GLIME": sample.KernelSizes(),
    "Shapley sizes": sample.ShapleySizes(),
}
SIZES = (128, 256, 512, 1024)


def answer(model, start_image, segmentation, design, n, seed):
    settings = lime.Settings(design=design, samples=n, seed=seed)
    *_, neighborhood = lime.query(model, lime.begin(start_image, segmentation, settings))
    return lime.resolve(neighborhood, Exponential(), Ridge())


def pictures(name):
    if name == "digits":
        return list(digits.split(0)[2][:3])
    return [dermoscopy.draw(9_000_000 + i, i % 7, i % 2 == 0, i % 3 == 0).image for i in range(3)]


@pytest.mark.parametrize(("name", "d"), [("lesions", 55), ("digits", 40)])
def test_bundled_models(name, d, capsys):
    model = models.load(name)
    rows = {design: [[] for _ in SIZES] for design in DESIGNS}
    for picture in pictures(name):
        image = model.prepare(picture)
        segmentation = lime.cut(image, None, lime.Settings(total=d))
        reference = [
            answer(model, image, segmentation, sample.Paired(), 4000, 900 + i) for i in range(2)
        ]
        target = int(np.argmax(reference[0].neighborhood.probs[0]))
        truth = np.mean([r.fit.coef[target] for r in reference], axis=0)
        for label, design in DESIGNS.items():
            for i, n in enumerate(SIZES):
                for seed in range(3):
                    got = answer(model, image, segmentation, design, n, seed).fit.coef[target]
                    rows[label][i].append(np.linalg.norm(got - truth) / np.linalg.norm(truth))
    table(capsys, f"{name}, d = {d}: relative error at n samples", SIZES, rows)


@pytest.mark.parametrize("game", ["gentle", "interacting", "jumping", "steep"])
def test_simulated_games(game, capsys):
    d = 55
    rng = np.random.default_rng(1)
    slope = rng.normal(size=d) * np.exp(-np.arange(d) / 8)
    score = {**games(d), "steep": lambda z: 1 / (1 + np.exp(-4 * ((z - 0.5) @ slope)))}[game]
    labels = np.arange(d, dtype=np.int32)[None]
    segmentation = Segmentation(labels, np.zeros(d, np.int32))
    image = np.ones((1, d, 1), np.float32)
    truth = endless(score, d)

    def from_pixels(images):
        return score(images[:, 0, :, 0] > 0.5)[:, None]

    class Off:
        def __call__(self, image, segmentation):
            return np.zeros_like(image)

    rows = {design: [[] for _ in SIZES] for design in DESIGNS}
    for label, design in DESIGNS.items():
        for i, n in enumerate(SIZES):
            for seed in range(10):
                settings = lime.Settings(design=design, samples=n, seed=seed, replacement=Off())
                start = lime.begin(image, segmentation, settings)
                *_, got = lime.query(BlackBox(from_pixels, batch=512), start)
                coef = lime.resolve(got).fit.coef[0]
                rows[label][i].append(np.linalg.norm(coef - truth) / np.linalg.norm(truth))
    table(capsys, f"{game} game, d = {d}: relative error at n samples", SIZES, rows)
