"""Every choice is checked when it is made: no number is too odd for the arithmetic behind it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from limecraft_jax import bounds
from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.path import choices, lime, replace, sample, segmenters
from limecraft_jax.path.kernel import Exponential
from limecraft_jax.path.surrogate import Ridge
from limecraft_jax.types import InputError
from tests import tiny

KINDS = [kind for registry in choices.REGISTRIES.values() for kind in registry.values()]
NUMBERS = [
    (kind, field.name)
    for kind in [*KINDS, lime.Settings]
    for field in dataclasses.fields(kind)
    if type(field.default) in (int, float) or field.name in ("inside", "outside")
]
ODD = (float("nan"), float("inf"), -1e-30, 1e300, 10**400, 10**5000, True, "1", b"1", [1], 1j)


@pytest.mark.parametrize(
    ("kind", "name"), NUMBERS, ids=lambda value: getattr(value, "__name__", value)
)
@pytest.mark.parametrize("value", ODD, ids=lambda value: bounds.short(value, 12))
def test_no_choice_takes_an_odd_number(kind, name, value):
    with pytest.raises(InputError) as told:
        kind(**{name: value})
    sentence = str(told.value)
    assert sentence.startswith(f"{name} must be a ")
    assert sentence.endswith(".")
    assert len(sentence) < 200
    assert "\n" not in sentence


COUNT, ONE = "a whole number from 0 to 10000", "0 makes one superpixel"
SEED = f"seed must be a whole number from 0 to {2**53 - 1}"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"samples": 0}, "samples must be a whole number from 1 to 1000000, got 0."),
        ({"samples": 10**10}, "samples must be a whole number from 1 to 1000000, got 10000000000."),
        ({"samples": 64.0}, "samples must be a whole number from 1 to 1000000, got 64.0."),
        ({"seed": -1}, f"{SEED}, got -1."),
        ({"seed": 2**53}, f"{SEED}, got {2**53}."),
        ({"outside": -1}, f"outside must be {COUNT}, got -1: {ONE}."),
        ({"inside": 10**9}, f"inside must be {COUNT}, got 1000000000: {ONE}."),
        ({"inside": (3, -2)}, f"each count inside must be {COUNT}, got -2: {ONE}."),
        ({"total": 0}, "total must be a whole number from 1 to 10000, got 0."),
    ],
    ids=str,
)
def test_settings_say_what_they_take(given, sentence):
    with pytest.raises(InputError) as told:
        lime.Settings(**given)
    assert str(told.value) == sentence


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), np.array(0.5), 1, np.int64(1)])
def test_every_kind_of_number_is_a_number(value):
    assert Exponential(value).width == value
    assert lime.Settings(samples=np.int32(64)).samples == 64


@pytest.mark.parametrize(
    "settings",
    [
        *({"kernel": Exponential(width)} for width in bounds.WIDTHS),
        *({"ridge": Ridge(penalty)} for penalty in (0, 1e-300, 1e9)),
        *({"design": sample.KernelSizes(width)} for width in (0.025, 1e6)),
        {"design": sample.KernelSizes(0.025), "kernel": Exponential(1e6)},
        {"design": sample.KernelSizes(1e6), "kernel": Exponential(1e-3)},
        *({"replacement": replace.Blur(sigma)} for sigma in (1e-3, 1)),
        {"replacement": replace.Noise(bounds.MOST_SEED)},
        {"replacement": replace.Inpaint(64)},
        {"seed": bounds.MOST_SEED},
        *(
            {"segmenter": kind(compactness)}
            for kind in (segmenters.KMeans, segmenters.Slic)
            for compactness in segmenters.COMPACTNESS
        ),
        *({"segmenter": segmenters.Watershed(compactness)} for compactness in (0, 1e6)),
        {"segmenter": segmenters.Felzenszwalb(1e9, 100, 10**8), "replacement": replace.Noise()},
        {"segmenter": segmenters.Quickshift(20, 1e6, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_at_its_bounds_every_number_is_finite(settings, size):
    """With scores as small and as large as may be, and no warning of a library."""
    score = BlackBox(lambda x: size * np.stack([x.mean((1, 2, 3)), x[:, :9].std((1, 2, 3))], 1))
    chosen = lime.Settings(**{"total": 20, "samples": 90} | settings)
    fit = lime.explain(tiny.picture(24, 20), score, None, chosen).fit
    for name in ("coef", "intercept", "stderr", "local_pred"):
        assert np.isfinite(getattr(fit, name)).all(), name
    assert (np.abs(fit.coef) < 100 * size).all()


def test_too_many_samples_of_too_many_superpixels_are_refused_before_any_is_drawn():
    fine = lime.Settings(segmenter=segmenters.Quickshift(1, 0.1, 0), samples=10**6)
    for settings in (fine, dataclasses.replace(fine, design=sample.LeaveOneOut(), samples=9)):
        image = tiny.picture(120, 110)
        segmentation = lime.cut(image, None, settings)
        assert segmentation.num > 10_000
        with pytest.raises(InputError, match="samples times superpixels must be at most 100 mill"):
            lime.begin(image, segmentation, settings)
