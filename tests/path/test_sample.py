"""Laws of every design, and what each one promises by itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import comb

from limecraft_jax.path import paley, sample
from limecraft_jax.path.surrogate import Ridge, fit
from limecraft_jax.types import InputError
from tests.games import games, least_squares, lime_weights

DESIGNS = [make() for make in sample.DESIGNS.values()] + [sample.Balanced(complements=False)]
RANDOM = [design for design in DESIGNS if not design.complete]
each_design = pytest.mark.parametrize("design", DESIGNS, ids=repr)
each_random = pytest.mark.parametrize("design", RANDOM, ids=repr)


@each_design
@pytest.mark.parametrize("d", [1, 2, 9, 15])
def test_row_zero_keeps_all_and_every_superpixel_is_off_somewhere(design, d):
    z = sample.draw(sample.settle(design, 300, d), 300, d, seed=3)
    assert z.dtype == bool
    assert z.shape[1] == d
    assert z[0].all()
    assert (~z).any(axis=0).all()
    assert z.any(axis=0).all()


@each_design
def test_the_seed_decides(design):
    first, again, other = (sample.draw(design, 64, 9, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert design.complete or not np.array_equal(first, other)


@each_design
def test_a_choice_is_a_value(design):
    assert eval(repr(design), vars(sample)) == design
    assert hash(design) == hash(eval(repr(design), vars(sample)))


@each_random
@pytest.mark.parametrize("n", [60, 61, 256, 1000])
def test_as_many_rows_as_asked_for(design, n):
    assert sample.draw(design, n, 20, seed=0).shape == (n, 20)


@each_random
def test_sizes_follow_the_law_that_the_ratio_tells(design):
    """ratio(s) = C(d,s) 2^-d / p[s], so the sizes drawn must follow C(d,s) 2^-d / ratio(s)."""
    d = 10
    p = comb(d, np.arange(d + 1)) / 2**d / np.exp(design.log_ratio(d))
    drawn = np.arange(d + 1) if not isinstance(design, sample.ShapleySizes) else np.arange(1, d)
    p = p[drawn] / p[drawn].sum()
    rows = np.concatenate([sample.draw(design, 802, d, seed)[2:] for seed in range(60)])
    counts = np.bincount(rows.sum(axis=1), minlength=d + 1)[drawn]
    error = np.abs(counts / counts.sum() - p)
    # Rows of one matrix hang together, so the bound is wider than for independent rows.
    assert (error < 6 * np.sqrt(p / len(rows)) + 2e-3).all()


@each_random
def test_within_a_size_every_superpixel_has_the_same_chance(design):
    rows = np.concatenate([sample.draw(design, 402, 8, seed)[2:] for seed in range(40)])
    rows = rows[rows.sum(axis=1) == 4]
    assert np.abs(rows.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(len(rows))


@each_random
def test_every_random_design_answers_limes_question(design):
    """Weighted by kernel times ratio, all of them aim at the coefficients of all 2^d samples."""
    d = 8
    game = games(d)["gentle"]
    every = sample.draw(sample.Exhaustive(), 0, d, 0)
    _, truth = least_squares(every, game(every), lime_weights(every))
    z = np.concatenate([sample.draw(design, 4000, d, seed)[2:] for seed in range(8)])
    ratio = np.exp(design.log_ratio(d))[z.sum(axis=1)]
    _, found = least_squares(z, game(z), lime_weights(z) * ratio)
    # Shapley sizes never draw the two ends, which hold 2/256 of LIME's law.
    bound = 0.03 if isinstance(design, sample.ShapleySizes) else 0.012
    assert np.abs(found - truth).max() < bound * np.abs(truth).max() + 1e-3


def test_pairs_are_complements():
    for design in (sample.Paired(), sample.Balanced(), sample.ShapleySizes()):
        z = sample.draw(design, 200, 12, seed=1)
        np.testing.assert_array_equal(z[0::2], ~z[1::2])


@pytest.mark.parametrize("order", [4, 8, 12, 20, 60, 128, 500])
def test_paleys_matrices_are_hadamard(order):
    signs = np.where(paley.positive(order, np.arange(order), np.arange(order)), 1, -1)
    np.testing.assert_array_equal(signs @ signs.T, order * np.eye(order))
    assert paley.orders(order, order) == (order,)


@pytest.mark.parametrize("order", [12, 20, 60])
def test_no_product_of_three_columns_is_a_fourth(order):
    """In Sylvester's matrices it always is, and a fourth superpixel gets what three do together."""
    signs = np.where(paley.positive(order, np.arange(order), np.arange(order)), 1, -1)
    largest = 0
    for three in itertools.combinations(range(min(order, 14)), 3):
        others = np.setdiff1d(np.arange(order), three)
        product = signs[:, three].prod(axis=1)
        largest = max(largest, np.abs(product @ signs[:, others]).max() / order)
    assert largest <= 0.6


@pytest.mark.parametrize("size", [3, 4, 5])
@pytest.mark.parametrize("kind", ["product", "parity"])
@pytest.mark.parametrize(("d", "n"), [(12, 26), (25, 200), (49, 200), (100, 202), (100, 1000)])
def test_what_a_few_do_together_is_not_charged_to_another(kind, size, d, n):
    """No superpixel without a part in it comes out half as large as those with one, and certain."""
    seeds, count = range(20), 0
    for seed in seeds:
        parts = np.random.default_rng(1000 + seed).choice(d, size, replace=False)
        z = sample.draw(sample.Balanced(), n, d, seed)
        shown = z[:, parts]
        y = shown.all(axis=1) * 1.0 if kind == "product" else (1 + (2.0 * shown - 1).prod(1)) / 2
        found = fit(z, y[:, None], lime_weights(z), Ridge(), pairs=True, even=True)
        low, high = found.interval()
        others = np.setdiff1d(np.arange(d), parts)
        size_of = np.abs(found.coef[0])
        half = 0.5 * (size_of[parts].mean() if kind == "product" else 1.0)
        certain = (low[0] > 0) | (high[0] < 0)
        count += bool((certain & (size_of > half))[others].any())
    assert count <= 1


def test_a_table_that_cannot_tell_superpixels_apart_is_drawn_again_or_refused():
    z = sample.draw(sample.Balanced(), 42, 20, 0)
    assert sample.full_rank(z)
    confounded = z.copy()
    confounded[:, 3] = z[:, 7]
    assert not sample.full_rank(confounded)
    assert not sample.full_rank(z[:20])
    for d in (3, 5, 8, 11, 17):
        for seed in range(30):
            assert sample.full_rank(sample.draw(sample.Paired(), 2 * d + 2, d, seed))
    with pytest.raises(InputError, match=r"must tell 20 superpixels apart, got 22 of .* take 44 "):
        sample.draw(sample.KernelSizes(0.025), 22, 20, 0)
    assert sample.full_rank(sample.draw(sample.KernelSizes(0.025), 44, 20, 0))


@pytest.mark.parametrize("complements", [True, False])
def test_in_a_full_balanced_design_any_two_superpixels_meet_in_all_four_ways_alike(complements):
    rows = 128
    z = sample.draw(sample.Balanced(complements), 2 * rows if complements else rows, 40, 2)
    signs = 2.0 * (z[2:] if complements else z[1:]) - 1
    # One row of the matrix (with its complement) gave way to the untouched image: put it back.
    missing = -signs[::2].sum(axis=0) if complements else -signs.sum(axis=0)
    signs = np.vstack([signs, missing, -missing][: 3 if complements else 2])
    np.testing.assert_array_equal(signs.T @ signs, len(signs) * np.eye(40))


def test_all_combinations_are_all_different_and_all_there():
    z = sample.draw(sample.Exhaustive(), 0, 6, 0)
    assert len(np.unique(z, axis=0)) == len(z) == 64
    assert z[0].all()
    assert not z[1].any()
    np.testing.assert_array_equal(z[0::2], ~z[1::2])


def test_one_at_a_time_switches_off_each_superpixel_once():
    z = sample.draw(sample.LeaveOneOut(), 0, 7, 0)
    np.testing.assert_array_equal(z, 1 - np.vstack([np.zeros(7), np.eye(7)]))


def test_few_superpixels_get_all_combinations_by_themselves():
    assert sample.settle(sample.Bernoulli(), 1024, 10) == sample.Exhaustive()
    assert sample.settle(sample.Bernoulli(), 1023, 10) == sample.Bernoulli()
    assert sample.settle(sample.LeaveOneOut(), 1024, 3) == sample.LeaveOneOut()
    assert sample.settle(sample.Bernoulli(), 100_000, 17) == sample.Bernoulli()


def test_glime_sizes_follow_kernel_times_binomial():
    d, width = 12, 0.1
    s = np.arange(d + 1)
    mass = comb(d, s) * np.exp(-((1 - np.sqrt(s / d)) ** 2) / (2 * width**2))
    np.testing.assert_allclose(np.exp(sample.KernelSizes(width).law(d)), mass / mass.sum())


def test_shapley_sizes():
    d = 9
    s = np.arange(1, d)
    mass = (d - 1) / (s * (d - s))
    np.testing.assert_allclose(np.exp(sample.ShapleySizes().law(d))[1:d], mass / mass.sum())


WIDTH = "width must be a number from 0.025 to 1e+06"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: sample.settle(sample.Bernoulli(), 50, 100),
            "100 superpixels need at least 102 samples, got 50: "
            "raise the number of samples or ask for fewer superpixels.",
        ),
        (
            lambda: sample.draw(sample.Exhaustive(), 9, 20, 0),
            "all combinations need at most 16 superpixels, got 20: "
            "ask for fewer superpixels or choose another design.",
        ),
        *(
            (lambda value=value: sample.KernelSizes(value), f"{WIDTH}, got {value!r}.")
            for value in (0.0, -1, float("nan"), 1e-200, 1e200, float("inf"), 0.02)
        ),
        (
            lambda: sample.draw(sample.Bernoulli(), 9, 2, -1),
            "seed must be an integer >= 0, got -1.",
        ),
    ],
)
def test_sentences(call, sentence):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == sentence
