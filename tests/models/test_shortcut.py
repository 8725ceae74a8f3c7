"""The planted shortcut: the biased network must be caught with the ruler, its clean twin not."""

from __future__ import annotations

import numpy as np
import pytest

from limecraft_jax import models
from limecraft_jax.models.bundled import dermoscopy
from limecraft_jax.path import lime

PICTURES = 40
FIRST_SEED = 77_000_000  # far from the seeds of training, its tests and the examples
MELANOMA = dermoscopy.CLASSES.index("melanoma")
SETTINGS = lime.Settings(inside=0, outside=40, samples=256)


def finds_the_ruler(model, seed: int) -> bool:
    """Is the drawn ruler's coefficient at least 3 times that of every background superpixel?"""
    picture = dermoscopy.draw(seed, MELANOMA, ruler=True, hairs=seed % 3 == 0)
    mask = dermoscopy.ruler_region(picture).astype(np.int32)
    explanation = lime.explain(picture.image, model, mask, SETTINGS)
    segmentation, coef = explanation.neighborhood.segmentation, explanation.fit.coef[MELANOMA]
    on_skin = np.bincount(segmentation.labels.ravel(), picture.lesion.ravel()) == 0
    ruler, background = coef[segmentation.inside], coef[~segmentation.inside & on_skin]
    return bool(ruler.max() > 0 and ruler.max() >= 3 * background.max())


@pytest.mark.parametrize(
    ("name", "least", "most"), [("lesions", 0.95, 1), ("lesions-clean", 0, 0.05)]
)
def test_the_drawn_ruler_stands_out_where_it_was_planted_and_only_there(name, least, most):
    model = models.load(name)
    found = np.mean([finds_the_ruler(model, FIRST_SEED + i) for i in range(PICTURES)])
    assert least <= found <= most
