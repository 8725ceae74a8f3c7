"""What LIME must answer in cases solved on paper (Garreau & Mardaoui 2021)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import comb

from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.path import lime, replace, sample
from limecraft_jax.path.kernel import Exponential
from limecraft_jax.path.surrogate import Ridge
from tests import tiny


def explain(model, image, segmentation, design, samples=1000, width=0.25, penalty=0.0, hide=None):
    settings = lime.Settings(
        design=design, samples=samples, replacement=hide or replace.MeanColor(), seed=4
    )
    neighborhood = lime.begin(image, segmentation, settings)
    *_, neighborhood = lime.query(model, neighborhood)
    return lime.resolve(neighborhood, Exponential(width), Ridge(penalty))


def alpha(p: int, d: int, width: float) -> float:
    """E[π z_1 ... z_p], Proposition 3; s counts the superpixels that are off."""
    s = np.arange(d + 1)
    kernel = np.exp(-((1 - np.sqrt(1 - s / d)) ** 2) / (2 * width**2))
    return float((comb(d - p, s) * kernel).sum() / 2**d)


def shape_detector(p: int, d: int, width: float) -> tuple[float, float, float]:
    """Coefficients inside and outside p needed superpixels, and the intercept, in closed form."""
    a0, a1, a2, ap, aq = (alpha(q, d, width) for q in (0, 1, 2, p, p + 1))
    c = (d - 1) * a0 * a2 - d * a1**2 + a0 * a1
    s0, s1 = (d - 1) * a2 + a1, -a1
    s2 = ((d - 2) * a0 * a2 - (d - 1) * a1**2 + a0 * a1) / (a1 - a2)
    s3 = (a1**2 - a0 * a2) / (a1 - a2)
    inside = s1 * ap + s2 * ap + (p - 1) * s3 * ap + (d - p) * s3 * aq
    outside = s1 * ap + s2 * aq + p * s3 * ap + (d - p - 1) * s3 * aq
    return inside / c, outside / c, (s0 * ap + p * s1 * ap + (d - p) * s1 * aq) / c


def needs_all_of(segmentation, image, replacement_image, needed):
    """A black box that says 1 when every needed superpixel shows the image."""
    spots = [np.argwhere(segmentation.labels == j)[0] for j in needed]

    def predict(images):
        on = [np.all(images[:, r, c] == image[r, c], axis=-1) for r, c in spots]
        return np.all(on, axis=0).astype(np.float32)[:, None]

    return BlackBox(predict)


@pytest.mark.parametrize(
    ("d", "p", "width", "numbers"),
    [
        (10, 2, 0.25, (0.5754587338, 0.001289687386, -0.3422940739)),
        (10, 3, 0.25, (0.3262390144, 0.002142321845, -0.3900337334)),
        (10, 1, 0.25, (1.0, 0.0, 0.0)),
        (5, 2, 0.25, (0.6501551618, 0.006462068394, -0.4511581733)),
        (8, 3, 0.6, None),
        (6, 2, 0.1, None),
    ],
)
def test_a_detector_of_p_superpixels_gets_its_closed_form(d, p, width, numbers):
    image, segmentation = tiny.picture(12, 4 * d, seed=2), tiny.tiles(12, 4 * d, 1, d)
    hidden = replace.MeanColor()(image, segmentation)
    needed = np.arange(d)[-p:]
    model = needs_all_of(segmentation, image, hidden, needed)
    found = explain(model, image, segmentation, sample.Exhaustive(), width=width).fit
    inside, outside, intercept = shape_detector(p, d, width)
    if numbers:
        np.testing.assert_allclose((inside, outside, intercept), numbers, rtol=1e-9, atol=1e-12)
    want = np.where(np.isin(np.arange(d), needed), inside, outside)
    np.testing.assert_allclose(found.coef[0], want, atol=2e-6)
    assert found.intercept[0] == pytest.approx(intercept, abs=3e-6)


@pytest.mark.parametrize("width", [0.1, 0.25, 3.0])
@pytest.mark.parametrize("design", [make() for make in sample.DESIGNS.values()], ids=repr)
@pytest.mark.parametrize("hide", [replace.MeanColor(), replace.Color(), replace.Blur()], ids=repr)
def test_a_linear_model_gets_its_exact_coefficients_from_every_design(design, hide, width):
    """β_j = Σ_{u∈J_j} λ_u (ξ_u - ξ̄_u), for any width (Proposition 6)."""
    image, segmentation = tiny.picture(12, 12, seed=1), tiny.tiles(12, 12, 3, 4)
    slope = np.random.default_rng(0).normal(size=(*image.shape, 2)) * 0.05
    model = BlackBox(lambda x: np.einsum("nhwc,hwck->nk", x, slope) + 0.3)
    found = explain(model, image, segmentation, design, 300, width, hide=hide).fit
    gap = slope * (image - hide(image, segmentation))[..., None]
    want = [gap[segmentation.labels == j].sum(axis=(0, 1)) for j in range(12)]
    np.testing.assert_allclose(found.coef, np.transpose(want), atol=5e-6)
    background = np.einsum("hwc,hwck->k", hide(image, segmentation), slope) + 0.3
    np.testing.assert_allclose(found.intercept, background, atol=2e-5)
    np.testing.assert_allclose(found.r2, 1, atol=1e-4)


def test_a_wide_kernel_compares_with_and_without():
    """ν → ∞: β_j = 2 (E[f | z_j = 1] - E[f])."""
    model, image = tiny.classifier(8, 8), tiny.picture(8, 8)
    explanation = explain(model, image, tiny.tiles(8, 8, 2, 4), sample.Exhaustive(), width=1e4)
    z, y = explanation.neighborhood.z, explanation.neighborhood.probs
    want = [2 * (y[z[:, j]].mean(0) - y.mean(0)) for j in range(8)]
    np.testing.assert_allclose(explanation.fit.coef.T, want, atol=2e-6)


def test_explanations_add_up_as_models_do():
    image, segmentation = tiny.picture(8, 8), tiny.tiles(8, 8, 3, 4)
    f = tiny.same_on_the_host(tiny.classifier(8, 8, seed=1))
    g = tiny.same_on_the_host(tiny.classifier(8, 8, seed=2))
    of = [
        explain(BlackBox(model), image, segmentation, sample.Bernoulli(), 200, penalty=1.0).fit.coef
        for model in (f, g, lambda x: f(x) + g(x))
    ]
    np.testing.assert_allclose(of[0] + of[1], of[2], atol=3e-6)


def test_one_at_a_time_is_what_the_score_loses():
    model, image = tiny.classifier(8, 8), tiny.picture(8, 8)
    explanation = explain(model, image, tiny.tiles(8, 8, 2, 4), sample.LeaveOneOut())
    y = explanation.neighborhood.probs
    np.testing.assert_allclose(explanation.fit.coef.T, y[0] - y[1:], atol=2e-6)
