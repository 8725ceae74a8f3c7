"""The planted shortcut, exposed by taking it away: the ruler makes the biased network say melanoma.

The control is a spot of skin of the same shape and size, the ruler's strip turned by half about the
middle of the picture: taking that away must change nothing.
"""

from __future__ import annotations

import numpy as np
import pytest

from limecraft_jax import models
from limecraft_jax.compare.variants import compare, table
from limecraft_jax.edits import whatif
from limecraft_jax.edits.edit import Remove, Shift, Step, apply
from limecraft_jax.models.bundled import dermoscopy
from limecraft_jax.path import lime

PICTURES = 10
FIRST_SEED = 78_000_000  # far from the seeds of training, its tests and the examples
MELANOMA = dermoscopy.CLASSES.index("melanoma")
RULER, SPOT = 1, 2
MUCH, LITTLE = 0.5, 0.1


@pytest.fixture(scope="module")
def scenes():
    """Pictures of melanomas with a ruler; region 1 is the ruler, region 2 the spot of skin."""
    found = []
    for i in range(PICTURES):
        picture = dermoscopy.draw(FIRST_SEED + i, MELANOMA, ruler=True, hairs=i % 3 == 0)
        ruler = dermoscopy.ruler_region(picture)
        spot = np.rot90(ruler, 2)
        assert not (spot & (picture.lesion | ruler)).any()
        found.append((picture.image, (RULER * ruler + SPOT * spot).astype(np.int32)))
    return found


def changes(model, scenes, region: int) -> np.ndarray:
    """By how much the probability of melanoma changes where a region is removed."""
    before = [image for image, _ in scenes]
    after = [apply(*scene, (Step(Remove(), (region,)),)).image for scene in scenes]
    probs = lime.classify(model, before + after)[:, MELANOMA]
    return probs[PICTURES:] - probs[:PICTURES]


def leaving(mask: np.ndarray):
    """A family of shifts that takes the ruler over the nearest border, and its farthest dose."""
    rows, columns = np.argwhere(mask == RULER).T
    h, w = mask.shape
    far = {
        (0, -1): rows.max(),
        (0, 1): h - 1 - rows.min(),
        (-1, 0): columns.max(),
        (1, 0): w - 1 - columns.min(),
    }
    right, down = min(far, key=far.get)
    return lambda by: (Step(Shift(by * right, by * down), (RULER,)),), far[right, down]


def test_taking_the_ruler_away_takes_the_melanoma_away(scenes):
    found = changes(models.load("lesions"), scenes, RULER)
    assert (found < -MUCH).sum() >= 8
    assert np.median(found) < -0.7


def test_taking_an_equal_spot_of_skin_away_changes_nothing(scenes):
    found = changes(models.load("lesions"), scenes, SPOT)
    assert (np.abs(found) < LITTLE).all()


def test_the_clean_twin_does_not_care_about_the_ruler(scenes):
    model = models.load("lesions-clean")
    for region in (RULER, SPOT):
        assert (np.abs(changes(model, scenes, region)) < LITTLE).all()


def test_the_sweep_shows_the_probability_fall_as_the_ruler_leaves(scenes):
    model = models.load("lesions")
    shown = 0
    for image, mask in scenes[:4]:
        make, far = leaving(mask)
        doses = np.round(np.linspace(0, far, 13))
        line = whatif.sweep(model, image, mask, make, doses).probs[:, MELANOMA]
        # High while the ruler is there, low once it has left, and nothing comes back after that.
        shown += line[0] > 0.7 and line[0] - line[-1] > MUCH and np.ptp(line[-3:]) < LITTLE
    assert shown >= 3


def test_the_comparison_shows_both_side_by_side(scenes):
    image, mask = scenes[0]
    variants = [
        ("no ruler", (Step(Remove(), (RULER,)),)),
        ("no spot", (Step(Remove(), (SPOT,)),)),
    ]
    settings = lime.Settings(inside=0, outside=30, samples=96)
    found = compare(models.load("lesions"), image, mask, variants, settings)
    row = table(found, dermoscopy.CLASSES)[MELANOMA]
    assert row["class"] == "melanoma"
    assert row["differences"]["no ruler"] < -MUCH
    assert abs(row["differences"]["no spot"]) < LITTLE
