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
from limecraft_jax.path.surrogate import Ridge, fit
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
    np.testing.assert_allclose(found.coef, np.atleast_2d(peer.coef_), atol=1e-9)
    np.testing.assert_allclose(found.intercept, np.atleast_1d(peer.intercept_), atol=1e-9)
    np.testing.assert_allclose(
        found.local_pred, np.atleast_1d(peer.predict(z[:1]).squeeze()), atol=1e-9
    )
    for j in range(y.shape[1]):
        peer_j = PeerRidge(alpha=penalty).fit(z, y[:, j], sample_weight=weights)
        assert found.r2_sample[j] == pytest.approx(peer_j.score(z, y[:, j], weights), abs=1e-9)


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
        assert found.r2_sample[j] == pytest.approx(r2, abs=1e-5)
        assert found.local_pred[j] == pytest.approx(local.item(), abs=5e-6)


def clusters(n: int, pairs: bool) -> list[np.ndarray]:
    """The rows that were drawn together."""
    size = 1 + pairs
    return [np.arange(start, min(start + size, n)) for start in range(0, n, size)]


def cr2(z, y, weights, penalty, pairs):
    """Bell & McCaffrey's standard errors by the book, one cluster after the other."""
    x = np.column_stack([np.ones(len(z)), z]).astype(float)
    inverse = np.linalg.inv((x * weights[:, None]).T @ x + penalty * np.diag([0.0] + [1.0] * 9))
    residuals = y - x @ (inverse @ (x * weights[:, None]).T @ y)
    total = np.zeros((10, 10))
    for rows in clusters(len(z), pairs):
        root = np.sqrt(np.diag(weights[rows]))
        hat = root @ x[rows] @ inverse @ x[rows].T @ root
        values, vectors = np.linalg.eigh(np.eye(len(rows)) - hat)
        adjusted = vectors @ np.diag(values**-0.5) @ vectors.T @ root @ residuals[rows]
        pull = inverse @ x[rows].T @ root @ adjusted
        total += np.outer(pull, pull)
    return np.sqrt(np.diag(total)[1:])


@pytest.mark.parametrize("pairs", [False, True])
def test_standard_errors_are_cr2_done_slowly(pairs):
    n, d = 230, 9
    design = sample.Paired() if pairs else sample.Bernoulli()
    z = sample.draw(design, n, d, 0)
    rng = np.random.default_rng(0)
    y, weights = rng.random((n, 2)) * z[:, :1] + z[:, :2] * 0.5, lime_weights(z)
    found = fit(z, y, weights, Ridge(1.0), pairs=pairs)
    worth = weights.sum() ** 2 / (weights**2).sum()
    freedom = worth / (1 + pairs) - d
    for j in range(2):
        mean = weights @ y[:, j] / weights.sum()
        drawn = weights[1 + pairs :] @ (y[1 + pairs :, j] - mean) ** 2
        m = n - 1 - pairs
        centered = z - weights @ z / weights.sum()
        inverse = np.linalg.inv((centered * weights[:, None]).T @ centered)
        blind = drawn * m / (m - 1) / weights.sum() / worth * weights.sum() * np.diag(inverse)
        slow = cr2(z, y[:, j], weights, 0.0, pairs)
        want = np.sqrt((freedom * slow**2 + blind) / (freedom + 1))
        np.testing.assert_allclose(found.stderr[j], want, rtol=1e-6)
        _, free = least_squares(z, y[:, j], weights)
        np.testing.assert_allclose(found.unpenalized[j], free, atol=1e-8)
        power = weights * (y[:, j] - mean) ** 2
        carriers = power.sum() ** 2 / (power**2).sum()
        assert found.dof[j] == pytest.approx(min(freedom, carriers / 8 - 1))


def test_the_interval_spans_the_answers_with_and_without_the_penalty():
    z, y, weights = problem(n=230, d=9, k=2)
    found = fit(z, y, weights, Ridge(20.0))
    assert (np.abs(found.unpenalized) > np.abs(found.coef)).mean() > 0.6
    low, high = found.interval(0.95)
    half = student.ppf(0.975, found.dof)[:, None] * found.stderr
    both = [found.coef, found.unpenalized]
    np.testing.assert_allclose(low, np.min(both, axis=0) - half)
    np.testing.assert_allclose(high, np.max(both, axis=0) + half)
    same = np.sign(found.coef) == np.sign(found.unpenalized)
    sure = student.cdf(np.abs(both).min(axis=0) / found.stderr, found.dof[:, None])
    np.testing.assert_allclose(found.sign_probability, np.where(same, sure, 0.5))


@pytest.mark.parametrize("pairs", [False, True])
def test_r2_is_that_of_fits_that_each_leave_one_cluster_out(pairs):
    design = sample.Paired() if pairs else sample.Bernoulli()
    z = sample.draw(design, 130, 9, 0)
    rng = np.random.default_rng(0)
    y, weights = rng.random((130, 2)) * z[:, :1] + z[:, :2] * 0.5, lime_weights(z)
    found = fit(z, y, weights, Ridge(1.0), pairs=pairs)
    drawn = np.arange(130) > pairs
    for j in range(2):
        lost = 0.0
        for rows in clusters(130, pairs)[1:]:
            left = np.setdiff1d(np.arange(130), rows)
            intercept, coef = least_squares(z[left], y[left, j], weights[left], 1.0)
            lost += weights[rows] @ (y[rows, j] - intercept - z[rows] @ coef) ** 2
        mean, m = weights @ y[:, j] / weights.sum(), drawn.sum()
        spread = (weights * (y[:, j] - mean) ** 2)[drawn].sum() * m / (m - 1)
        assert found.r2[j] == pytest.approx(1 - lost / spread, rel=1e-6)
    assert (found.r2 < found.r2_sample).all()


def test_r2_of_balanced_rows_is_its_formula_done_slowly():
    """Residuals along and across each pair, unbiased in the mean, and the coefficients' own error.

    Across the direction in which the fit sees a pair, its residuals are too small by the mean of
    1 - leverage there; a fresh sample has that variance and the error of the fit besides.
    """
    n, d, penalty = 130, 30, 1.0
    z = sample.draw(sample.Balanced(), n, d, 0)
    y, weights = games(d)["gentle"](z), lime_weights(z)
    mean, total = weights @ z / weights.sum(), weights.sum()
    x = np.column_stack([np.ones(n), z - mean])
    penalties = penalty * np.diag([0.0] + [1.0] * d)
    inverse = np.linalg.inv((x * weights[:, None]).T @ x + penalties)
    centered = y - weights @ y / total
    residuals = y - x @ (inverse @ (x * weights[:, None]).T @ y)
    switched = weights @ (z - mean) ** 2 / total
    along, freedom, error = np.zeros(2), np.zeros(2), 0.0
    for rows in clusters(n, True)[1:]:
        root = np.sqrt(np.diag(weights[rows]))
        values, vectors = np.linalg.eigh(np.eye(2) - root @ x[rows] @ inverse @ x[rows].T @ root)
        turned = vectors.T @ root @ residuals[rows]
        along, freedom = along + turned**2, freedom + values
        pull = (inverse @ x[rows].T @ root @ vectors @ (turned / np.sqrt(values)))[1:]
        error += switched @ pull**2
    m, drawn = n - 2, np.arange(n) >= 2
    spread = (weights * centered**2)[drawn].sum() * m / (m - 1)
    lost = (along * (m / 2) / freedom).sum() * (1 + 1 / m) + weights[drawn].sum() * error
    found = fit(z, y[:, None], weights, Ridge(penalty), pairs=True, even=True)
    assert found.r2[0] == pytest.approx(1 - lost / spread, rel=1e-6)


@pytest.mark.parametrize(
    "design", [sample.Bernoulli(), sample.Paired(), sample.Balanced(), sample.Balanced(False)]
)
@pytest.mark.parametrize(("d", "n"), [(30, 128), (55, 256), (55, 1000)])
def test_r2_is_what_fresh_samples_give(design, d, n):
    names = games(d)
    fresh = sample.draw(sample.Bernoulli(), 4000, d, 999)
    weights = lime_weights(fresh)
    truth = np.stack([game(fresh) for game in names.values()], axis=1)
    spread = weights @ (truth - weights @ truth / weights.sum()) ** 2
    gaps = []
    for seed in range(12):
        z = sample.draw(design, n, d, seed)
        y = np.stack([game(z) for game in names.values()], axis=1)
        found = fit(z, y, lime_weights(z), Ridge(), pairs=design.pairs, even=design.even)
        predicted = fresh @ found.coef.T + found.intercept
        gaps.append(found.r2 - (1 - weights @ (truth - predicted) ** 2 / spread))
        assert (found.r2_sample > found.r2)[found.known].all()
    assert abs(np.nanmean(gaps)) <= 0.05
    assert np.nanmean(np.abs(gaps)) <= (0.05 if n >= 256 else 0.15)


def test_rows_without_an_answer_yet_change_nothing():
    z, y, weights = problem(n=300)
    waiting = weights.copy()
    waiting[120:] = 0
    part, alone = fit(z, y, waiting, Ridge()), fit(z[:120], y[:120], weights[:120], Ridge())
    for field in ("coef", "stderr", "r2", "dof", "unpenalized"):
        np.testing.assert_allclose(getattr(part, field), getattr(alone, field), atol=1e-9)


@pytest.mark.parametrize(
    "design", [sample.Bernoulli(), sample.Paired(), sample.Balanced()], ids=repr
)
@pytest.mark.parametrize(("d", "n"), [(20, 60), (30, 1000)])
def test_intervals_cover_the_endless_answer_in_95_of_100_cases(design, d, n):
    names = games(d)
    truth = {name: endless(game, d) for name, game in names.items()}
    hits, right, said = [], 0, 0
    for seed in range(40):
        z = sample.draw(design, n, d, seed)
        y = np.stack([game(z) for game in names.values()], axis=1)
        found = fit(z, y, lime_weights(z), Ridge(1.0), pairs=design.pairs, even=design.even)
        low, high = found.interval()
        want = np.stack(list(truth.values()))
        hits.append(((low <= want) & (want <= high))[found.known])
        sure = found.sign_probability > 0.999
        said += sure.sum()
        right += (sure & (np.sign(found.coef) == np.sign(want))).sum()
    # Few samples leave few degrees of freedom, and the intervals err on the wide side.
    assert 0.94 <= np.mean(np.concatenate(hits)) <= (0.99 if n == 1000 else 1)
    assert right >= 0.998 * said
    assert said > 0 or n < 1000


@pytest.mark.parametrize(
    ("design", "d"),
    [
        (make(), d)
        for make in sample.DESIGNS.values()
        for d in (1, 2, 3, 5, 9, 12, 16, 17, 25, 40)
        if d <= sample.EXHAUSTIVE_LIMIT or make is not sample.Exhaustive
    ],
    ids=repr,
)
def test_by_default_a_linear_score_gets_its_slopes_within_its_intervals(design, d):
    """With the penalty and the samples that come unasked; none is set to 0 for the test."""
    slope = np.random.default_rng(d).normal(size=d) / d
    used = sample.settle(design, 1000, d)
    z = sample.draw(used, 1000, d, 3)
    weights = lime_weights(z) * np.exp(used.log_ratio(d))[z.sum(axis=1)]
    weights = weights * 1000 / len(z) if used.complete else weights
    ridge = Ridge()
    if used.plain:
        weights, ridge = np.ones(len(z)), Ridge(0.0)
    y = (0.5 + z @ slope)[:, None]
    found = fit(z, y, weights, ridge, used.complete, used.pairs, used.even)
    low, high = found.interval()
    assert ((low[0] <= slope) & (slope <= high[0])).all()
    if d > 1 and not isinstance(used, sample.ShapleySizes):
        np.testing.assert_allclose(found.coef[0], slope, atol=0.03 * np.abs(slope).max())
    assert found.r2[0] > 0.99 or d == 1


@pytest.mark.parametrize("d", [*range(1, 13), 16, 20])
def test_by_default_the_answer_is_what_the_lime_package_gives_in_the_mean(d):
    """A score full of interactions, the same superpixels, every setting left as it comes."""
    rng = np.random.default_rng(d)
    slope, twos = rng.normal(size=d) / d, rng.integers(0, d, (6, 2))

    def score(z):
        return 0.5 + z @ slope + 0.1 * z[:, twos].all(axis=2).sum(axis=1)

    base, answers = LimeBase(lambda x: np.sqrt(np.exp(-(x**2) / 0.25**2))), []
    for seed in range(30):
        z = np.random.default_rng(seed).integers(0, 2, (1000, d))
        z[0] = 1
        with np.errstate(all="ignore"):
            distances = pairwise_distances(z, z[:1], metric="cosine").ravel()
        y = np.column_stack([score(z > 0)])
        _, pairs, _, _ = base.explain_instance_with_data(
            z, y, distances, 0, d, feature_selection="none"
        )
        answers.append([beta for _, beta in sorted(pairs)])
    theirs, wobble = np.mean(answers, axis=0), np.std(answers, axis=0) / np.sqrt(30)
    design = sample.settle(sample.Balanced(), 1000, d)
    z = sample.draw(design, 1000, d, 0)
    weights = lime_weights(z) * (1000 / len(z) if design.complete else 1)
    found = fit(z, score(z)[:, None], weights, Ridge(), design.complete, True, design.even)
    ours = found.stderr[0] if not design.complete else 0
    assert (np.abs(found.coef[0] - theirs) <= 4.5 * np.hypot(wobble, ours) + 2e-4).all()


def test_where_the_samples_hardly_show_the_other_side_there_is_no_interval():
    z = sample.draw(sample.Balanced(), 400, 60, 0)
    y = z[:, :6].all(axis=1).astype(float)
    assert 2 <= y.sum() < 16
    found = fit(z, np.column_stack([y, z[:, 0]]), lime_weights(z), Ridge(), pairs=True, even=True)
    assert found.known.tolist() == [False, True]
    assert np.isnan(found.interval()[0][0]).all()
    assert np.isnan(found.r2[0])
    assert (found.sign_probability[0] == 0.5).all()
    assert found.r2[1] > 0.99


def test_intervals_of_probabilities_stay_possible():
    z = sample.draw(sample.Balanced(), 42, 20, 0)
    rng = np.random.default_rng(1)
    y = (rng.random((42, 1)) > 0.5).astype(float)
    found = fit(z, y, lime_weights(z), Ridge(), pairs=True, even=True)
    low, high = found.interval()
    assert found.bounded
    assert low.min() == -1
    assert high.max() == 1
    wide = fit(z, 3 * y, lime_weights(z), Ridge(), pairs=True, even=True)
    assert wide.interval()[1].max() > 1


@pytest.mark.parametrize(("width", "penalty"), [(0.25, 1.0), (0.25, 0.0), (0.06, 0.0), (0.04, 1.0)])
def test_everything_printed_is_right_to_five_digits_at_65536_rows(width, penalty):
    z = sample.draw(sample.Exhaustive(), 0, 16, 0)
    y = np.float32(games(16)["gentle"](z))
    weights = lime_weights(z, width)
    found = fit(z, y[:, None], weights, Ridge(penalty), complete=True)
    intercept, coef = least_squares(z, y.astype(float), weights, penalty)
    assert found.intercept[0] == pytest.approx(intercept, abs=1e-7)
    np.testing.assert_allclose(found.coef[0], coef, atol=1e-7)


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
    assert np.isnan(found.r2).all()  # followed neither well nor badly
    assert np.isnan(found.r2_sample).all()
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
