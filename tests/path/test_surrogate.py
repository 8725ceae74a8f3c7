"""The ridge against scikit-learn and lime, the jackknife against a slow loop, intervals."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from lime.lime_base import LimeBase
from scipy.stats import t as student
from sklearn.linear_model import Ridge as PeerRidge
from sklearn.metrics import pairwise_distances

from limecraft_jax.path import sample
from limecraft_jax.path.kernel import KERNELS, Exponential
from limecraft_jax.path.surrogate import GROUPS, Ridge, fit
from limecraft_jax.types import InputError
from tests.games import endless, games, least_squares, lime_weights


def problem(n=400, d=23, k=5, seed=0):
    rng = np.random.default_rng(seed)
    z = sample.draw(sample.Bernoulli(), n, d, seed)
    y = rng.random((n, k)) * z[:, :1] + z[:, :k] * 0.5
    return z, y, lime_weights(z)


@pytest.mark.parametrize("penalty", [0.0, 0.3, 1.0, 50.0])
@pytest.mark.parametrize(("n", "d", "k"), [(400, 23, 5), (259, 64, 1), (521, 65, 3), (60, 2, 2)])
def test_the_ridge_is_scikit_learns(penalty, n, d, k):
    z, y, weights = problem(n, d, min(k, d))
    peer = PeerRidge(alpha=penalty).fit(z, y, sample_weight=weights)
    found = fit(z, y, weights, Ridge(penalty))
    np.testing.assert_allclose(found.coef, np.atleast_2d(peer.coef_), atol=3e-6)
    np.testing.assert_allclose(found.intercept, np.atleast_1d(peer.intercept_), atol=1e-5)
    np.testing.assert_allclose(
        found.local_pred, np.atleast_1d(peer.predict(z[:1]).squeeze()), atol=1e-5
    )
    for j in range(y.shape[1]):
        peer_j = PeerRidge(alpha=penalty).fit(z, y[:, j], sample_weight=weights)
        assert found.r2[j] == pytest.approx(peer_j.score(z, y[:, j], weights), abs=1e-5)


@pytest.mark.parametrize("width", [0.1, 0.25, 1.0])
def test_coefficients_are_those_of_the_lime_package(width):
    z, y, _ = problem()
    distances = pairwise_distances(z, z[:1], metric="cosine").ravel()
    base = LimeBase(lambda x: np.sqrt(np.exp(-(x**2) / width**2)))
    kept = z.mean(axis=1)
    weights = np.asarray(Exponential(width)(kept))
    found = fit(z, y, weights, Ridge(1.0))
    for j in range(y.shape[1]):
        intercept, pairs, r2, local = base.explain_instance_with_data(
            z.astype(float), y, distances, j, z.shape[1], feature_selection="none"
        )
        theirs = np.zeros(z.shape[1])
        theirs[[i for i, _ in pairs]] = [b for _, b in pairs]
        np.testing.assert_allclose(found.coef[j], theirs, atol=2e-6)
        assert found.intercept[j] == pytest.approx(intercept, abs=5e-6)
        assert found.r2[j] == pytest.approx(r2, abs=1e-5)
        assert found.local_pred[j] == pytest.approx(local.item(), abs=5e-6)


def test_standard_errors_are_those_of_the_jackknife_done_slowly():
    z, y, weights = problem(n=230, d=9, k=2)
    group = np.arange(len(z)) // 2 % GROUPS
    found = fit(z, y, weights, Ridge(1.0))
    for j in range(2):
        answers = np.array(
            [
                least_squares(z[group != g], y[group != g, j], weights[group != g], 1.0)[1]
                for g in range(GROUPS)
            ]
        )
        slow = np.sqrt((GROUPS - 1) / GROUPS * ((answers - answers.mean(0)) ** 2).sum(0))
        np.testing.assert_allclose(found.stderr[j], slow, rtol=2e-3, atol=2e-6)
    low, high = found.interval(0.95)
    half = student.ppf(0.975, GROUPS - 1) * found.stderr
    np.testing.assert_allclose([low, high], [found.coef - half, found.coef + half])
    np.testing.assert_allclose(
        found.sign_probability, student.cdf(np.abs(found.coef) / found.stderr, GROUPS - 1)
    )


def test_rows_without_an_answer_yet_change_nothing():
    z, y, weights = problem(n=300)
    waiting = weights.copy()
    waiting[120:] = 0
    part, alone = fit(z, y, waiting, Ridge()), fit(z[:120], y[:120], weights[:120], Ridge())
    np.testing.assert_allclose(part.coef, alone.coef, atol=2e-6)
    np.testing.assert_allclose(part.stderr, alone.stderr, atol=2e-6)
    assert part.dof == alone.dof


def test_fewer_pairs_than_groups_count_as_fewer_groups():
    z, y, weights = problem(n=8, d=2, k=1)
    assert fit(z, y, weights, Ridge()).dof == 3


@pytest.mark.parametrize(
    "design", [sample.Bernoulli(), sample.Paired(), sample.Balanced()], ids=repr
)
def test_intervals_cover_the_endless_answer_in_95_of_100_cases(design):
    d, n, repeats = 30, 1000, 60
    names = games(d)
    truth = {name: endless(game, d) for name, game in names.items()}
    hits = []
    for seed in range(repeats):
        z = sample.draw(design, n, d, seed)
        y = np.stack([game(z) for game in names.values()], axis=1)
        found = fit(z, y, lime_weights(z), Ridge(1.0))
        low, high = found.interval()
        want = np.stack(list(truth.values()))
        hits.append((low <= want) & (want <= high))
    assert 0.93 <= np.mean(hits) <= 0.97


def test_without_sampling_error_the_interval_is_a_point():
    z = sample.draw(sample.Exhaustive(), 0, 6, 0)
    y = z[:, :1] * 0.5 + 0.2
    found = fit(z, y, lime_weights(z), Ridge(0.0), complete=True)
    low, high = found.interval()
    assert (high - low).max() < 1e-5
    assert found.sign_probability[0, 0] == pytest.approx(1)


def test_a_model_that_never_changes_gets_zeros_and_not_nan():
    z, _, weights = problem()
    found = fit(z, np.full((len(z), 2), 0.3), weights, Ridge())
    np.testing.assert_allclose(found.coef, 0, atol=1e-7)
    np.testing.assert_allclose(found.intercept, 0.3, atol=1e-6)
    np.testing.assert_allclose(found.r2, 1)
    assert np.isfinite(found.stderr).all()


def test_effective_sample_size_is_kishs():
    z, y, weights = problem()
    assert fit(z, y, weights, Ridge()).effective_samples == pytest.approx(
        weights.sum() ** 2 / (weights**2).sum()
    )
    assert fit(z, y, np.ones(len(z)), Ridge()).effective_samples == pytest.approx(len(z))


@pytest.mark.parametrize("kernel", [make() for make in KERNELS.values()], ids=repr)
def test_a_locality_kernel_gives_1_for_the_image_and_never_more_for_a_poorer_one(kernel):
    weights = np.asarray(jax.vmap(kernel)(np.linspace(0, 1, 101, dtype=np.float32)))
    assert weights[-1] == 1
    assert (np.diff(weights) >= 0).all()
    assert (weights >= 0).all()
    assert eval(repr(kernel), {type(kernel).__name__: type(kernel)}) == kernel


def test_the_kernel_is_limes_also_for_the_all_off_sample():
    z = np.tril(np.ones((11, 10), bool), -1)
    for width in (0.1, 0.25, 2.0):
        np.testing.assert_allclose(
            Exponential(width)(z.mean(axis=1)), lime_weights(z, width), rtol=1e-5, atol=1e-12
        )


def test_widths_and_penalties_flow_through_vmap():
    widths = np.array([0.1, 0.25, 1.0], np.float32)
    kernels = Exponential(0.25)
    leaves, tree = jax.tree.flatten(kernels)
    assert leaves == [0.25]
    stacked = jax.tree.unflatten(tree, [widths])
    values = jax.vmap(lambda kernel: kernel(np.float32(0.3)))(stacked)
    np.testing.assert_allclose(values, [Exponential(float(w))(0.3) for w in widths], rtol=1e-5)


WIDTH = "width must be a number from 0.001 to 1e+06"
NO_WIDTH = (0.0, -0.1, float("nan"), 1e-30, 1e-200, 1e300, float("inf"), True, "1", None)
PENALTY = "penalty must be a number from 0 to 1e+09"
NO_PENALTY = (-1.0, 1e39, float("inf"), float("nan"), "1")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        *(
            (lambda value=value: Exponential(value), f"{WIDTH}, got {value!r}.")
            for value in NO_WIDTH
        ),
        *((lambda value=value: Ridge(value), f"{PENALTY}, got {value!r}.") for value in NO_PENALTY),
    ],
)
def test_sentences(call, sentence):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == sentence


def test_many_classes_are_fitted_like_one():
    rng = np.random.default_rng(0)
    z, weights = rng.random((64, 9)) < 0.5, rng.random(64)
    y = rng.random((64, 37))  # no multiple of what the sizes are padded to
    ridge = Ridge(0.5)
    many = fit(z, y, weights, ridge)
    assert many.coef.shape == many.stderr.shape == (37, 9)
    for j in (0, 15, 36):
        one = fit(z, y[:, j : j + 1], weights, ridge)
        for field in ("coef", "intercept", "r2", "stderr"):
            np.testing.assert_allclose(
                getattr(many, field)[j], getattr(one, field)[0], rtol=1e-4, atol=1e-5
            )
