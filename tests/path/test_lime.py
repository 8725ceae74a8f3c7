"""The path itself: what the network is shown, how often it is compiled, stopping and going on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.path import lime, replace, sample, segmenters
from limecraft_jax.path.kernel import Exponential
from limecraft_jax.path.surrogate import Ridge
from limecraft_jax.types import InputError
from tests import tiny
from tests.games import least_squares, lime_weights

SEGMENTATION = tiny.tiles(12, 10, 4, 5)


def run(model, image=None, segmentation=SEGMENTATION, **choices):
    image = tiny.picture() if image is None else image
    settings = lime.Settings(**{"samples": 100, **choices})
    *_, neighborhood = lime.query(model, lime.begin(image, segmentation, settings))
    return neighborhood


@pytest.mark.parametrize("hide", [replace.MeanColor(), replace.Color(), replace.Noise()], ids=repr)
def test_the_model_sees_the_image_where_on_and_the_replacement_where_off(hide):
    shown = []

    def predict(images):
        shown.append(images.copy())
        return images.mean(axis=(1, 2))

    image = tiny.picture()
    neighborhood = run(BlackBox(predict, batch=7), image, replacement=hide, samples=60)
    shown = np.concatenate(shown)
    assert len(shown) == 60
    for row, seen in zip(neighborhood.z, shown, strict=True):
        want = image.copy()
        for j in range(SEGMENTATION.num):
            if not row[j]:
                own = SEGMENTATION.labels == j
                want[own] = neighborhood.replacement[own]
        np.testing.assert_array_equal(seen, want)
    np.testing.assert_array_equal(shown[0], image)
    assert shown.min() >= 0
    assert shown.max() <= 1


def test_mean_replacement_is_the_mean_of_each_superpixel():
    image = tiny.picture()
    hidden = replace.MeanColor()(image, SEGMENTATION)
    for j in range(SEGMENTATION.num):
        own = SEGMENTATION.labels == j
        want = np.broadcast_to(image[own].mean(axis=0), (own.sum(), 3))
        np.testing.assert_allclose(hidden[own], want, atol=1e-6)


def test_a_flax_model_and_the_same_function_on_the_host_agree():
    flax = tiny.classifier()
    device, host = run(flax), run(tiny.same_on_the_host(flax))
    np.testing.assert_allclose(device.probs, host.probs, atol=1e-6)
    np.testing.assert_allclose(
        lime.resolve(device).fit.coef, lime.resolve(host).fit.coef, atol=3e-6
    )


@pytest.mark.parametrize("black_box", [False, True])
def test_stopping_and_going_on_gives_the_bits_of_one_run(black_box):
    model = tiny.classifier()
    model = tiny.same_on_the_host(model) if black_box else model
    settings = lime.Settings(samples=230)
    start = lime.begin(tiny.picture(), SEGMENTATION, settings)
    *_, whole = lime.query(model, start)
    *_, stopped = itertools.islice(lime.query(model, start), 2)
    assert 0 < len(stopped.probs) < len(whole.probs)
    assert not stopped.done
    lime.resolve(stopped)  # what is there is already an answer
    *_, resumed = lime.query(model, stopped)
    assert resumed.done
    np.testing.assert_array_equal(resumed.probs, whole.probs)
    assert list(lime.query(model, resumed)) == []


def test_answers_do_not_depend_on_the_batch():
    one, other = run(tiny.classifier(batch=32)), run(tiny.classifier(batch=9))
    np.testing.assert_allclose(one.probs, other.probs, atol=1e-6)


def test_no_control_compiles_the_network_again():
    model = tiny.classifier(h=11, w=9)
    tiny.Linear.traces = 0
    image, other = tiny.picture(11, 9), tiny.picture(11, 9, seed=5)
    lime.predict(model, image)
    first = tiny.Linear.traces
    assert first == 1
    mask = np.zeros((11, 9), np.int32)
    mask[2:7, 3:8] = 1
    for picture, drawn, settings in [
        (image, None, lime.Settings(outside=40)),
        (other, mask, lime.Settings(inside=4, outside=20)),
        (image, mask, lime.Settings(inside=0, outside=30, samples=333, seed=9)),
        (image, mask, lime.Settings(inside=3, outside=30, replacement=replace.Blur())),
        (image, mask, lime.Settings(inside=3, outside=30, design=sample.Bernoulli())),
        (image, mask, lime.Settings(inside=3, outside=30, segmenter=segmenters.Grid())),
    ]:
        explanation = lime.explain(picture, model, drawn, settings)
        for width, penalty in [(0.1, 0.0), (0.5, 3.0)]:
            lime.resolve(explanation.neighborhood, Exponential(width), Ridge(penalty))
    assert tiny.Linear.traces == first


def test_moving_a_slider_of_the_free_half_asks_the_model_nothing():
    asked = []

    def predict(images):
        asked.append(len(images))
        return images.mean(axis=(1, 2))

    neighborhood = run(predict)
    before = len(asked)
    wide, narrow = (lime.resolve(neighborhood, Exponential(w)) for w in (10.0, 0.1))
    assert not np.allclose(wide.fit.weights, narrow.fit.weights)
    assert len(asked) == before


@pytest.mark.parametrize(("c", "k"), [(1, 1), (3, 1), (1, 4)])
def test_gray_images_and_single_scores_work(c, k):
    model = tiny.same_on_the_host(tiny.classifier(c=c, k=k))
    neighborhood = run(model, tiny.picture(c=c))
    assert lime.resolve(neighborhood).fit.coef.shape == (k, SEGMENTATION.num)
    scores = run(lambda images: images.mean(axis=(1, 2, 3)), tiny.picture(c=c))
    assert scores.probs.shape == (100, 1)


def test_predict_is_row_zero_of_an_explanation():
    model, image = tiny.classifier(), tiny.picture()
    np.testing.assert_array_equal(lime.predict(model, image), run(model, image).probs[0])


def test_few_superpixels_are_answered_exactly():
    neighborhood = run(tiny.classifier(), segmentation=tiny.tiles(12, 10, 2, 3))
    assert neighborhood.complete
    assert len(neighborhood.z) == 64
    assert not lime.resolve(neighborhood).undecided(0).any()


def test_explain_is_the_parts_put_together():
    model, image = tiny.classifier(), tiny.picture(30, 24, seed=3)
    seen = []
    settings = lime.Settings(total=12, samples=90, seed=2)
    got = lime.explain(image, model, None, settings, progress=lambda n: seen.append(len(n.probs)))
    prepared = model.prepare(image)
    parts = lime.begin(prepared, lime.cut(prepared, None, settings), settings)
    *_, parts = lime.query(model, parts)
    np.testing.assert_array_equal(got.fit.coef, lime.resolve(parts).fit.coef)
    assert seen == [32, 64, 90]


def test_area_shares():
    explanation = lime.resolve(run(tiny.classifier()))
    coef, areas = explanation.fit.coef[1], np.bincount(SEGMENTATION.labels.ravel())
    low, high = (end[1] for end in explanation.fit.interval())
    shares = explanation.shares(1)
    assert shares.positive == pytest.approx(areas[low > 0].sum() / areas.sum())
    assert shares.negative == pytest.approx(areas[high < 0].sum() / areas.sum())
    assert shares.positive + shares.negative + shares.neutral == pytest.approx(1)
    ten = sorted(range(len(coef)), key=lambda j: -abs(coef[j]))[:10]
    theirs = explanation.shares(1, "limecraft")
    assert theirs.positive == pytest.approx(sum(areas[j] for j in ten if coef[j] > 0) / 120)
    assert theirs.negative == pytest.approx(sum(areas[j] for j in ten if coef[j] < 0) / 120)
    np.testing.assert_array_equal(explanation.heatmap(1), coef[SEGMENTATION.labels])
    assert set(explanation.top(1, 10)) == set(ten)


def test_inpainting_is_scikit_images():
    from skimage.restoration import inpaint_biharmonic

    image = tiny.picture(24, 24)
    segmentation = tiny.tiles(24, 24, 3, 3)
    filled = replace.Inpaint(margin=24)(image, segmentation)
    for j in range(9):
        hole = segmentation.labels == j
        whole = np.clip(inpaint_biharmonic(image, hole, channel_axis=-1), 0, 1)
        np.testing.assert_allclose(filled[hole], whole[hole], atol=1e-5)


@pytest.mark.parametrize("make", replace.REPLACEMENTS.values(), ids=list(replace.REPLACEMENTS))
@pytest.mark.parametrize("c", [1, 3])
def test_every_replacement_is_a_picture_like_the_image(make, c, tmp_path):
    image = tiny.picture(c=c)
    if make is replace.Picture:
        from PIL import Image

        path = tmp_path / "other.png"
        Image.fromarray(np.arange(3072, dtype=np.uint8).reshape(32, 32, 3)).save(path)
        choice = make(str(path))
    else:
        choice = make()
    hidden = choice(image, SEGMENTATION)
    assert hidden.shape == image.shape
    assert hidden.dtype == np.float32
    assert hidden.min() >= 0
    assert hidden.max() <= 1
    np.testing.assert_array_equal(hidden, choice(image, SEGMENTATION))
    assert eval(repr(choice), vars(replace)) == choice


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            lambda n: np.zeros((n, 2, 2)),
            "the model must return one row of class probabilities per image, shape (32, k), "
            "got shape (32, 2, 2) for 32 images: look at what it returns for a batch.",
        ),
        (
            lambda n: np.zeros((2, n)),
            "the model must return one row of class probabilities per image, shape (32, k), "
            "got shape (2, 32) for 32 images: look at what it returns for a batch.",
        ),
        (
            lambda n: np.full((n, 2), np.nan),
            "the model must return finite probabilities, got NaN or infinity for 32 of 32 images: "
            "check its input range, which is [0, 1].",
        ),
        (
            lambda n: np.array(["cat"] * n),
            "the model must return numbers, got values of type <U3 for 32 images: return a NumPy "
            "array of floats, of shape (32, k).",
        ),
        (
            lambda n: np.zeros((n, 3)),
            "the model must return 2 probabilities per image, one for each class name, got 3: "
            "give as many names, or look at what it returns.",
        ),
        (
            lambda n: np.tile([0.5, -1e30], (n, 1)),
            "the model must return probabilities, or scores from -1e+09 to 1e+09, "
            "got one of size 1e+30: scale them down.",
        ),
        (
            lambda n: np.tile([0.5, 1e39], (n, 1)),  # more than float32 can hold
            "the model must return probabilities, or scores from -1e+09 to 1e+09, "
            "got one of size 3.4e+38: scale them down.",
        ),
    ],
)
def test_what_a_model_returns_is_checked(answer, sentence):
    model = BlackBox(lambda images: answer(len(images)), classes=("a", "b"), batch=32)
    with pytest.raises(InputError) as error:
        run(model)
    assert str(error.value) == sentence


def test_enormous_scores_are_said_after_the_first_batch():
    asked = []

    def score(images):
        asked.append(len(images))
        return np.full(len(images), 2e9)

    with pytest.raises(InputError, match="got one of size 2e\\+09: scale them down"):
        run(BlackBox(score, batch=8), samples=80)
    assert asked == [8]
    with pytest.raises(InputError, match="got one of size 2e\\+09: scale them down"):
        lime.classify(BlackBox(score, batch=8), [tiny.picture()])


def test_nan_from_a_flax_model_is_said():
    weights = np.full((12, 10, 3, 2), np.nan, np.float32)
    from flax import nnx

    net, state = nnx.split(tiny.Linear(weights), nnx.Param)
    with pytest.raises(InputError, match="finite probabilities, got NaN or infinity"):
        run(lime.Classifier(state, net, tiny.card(12, 10, 3, 2)))


def test_a_thing_that_is_no_model_is_said():
    with pytest.raises(InputError, match="a model must be a Classifier or a function"):
        lime.predict(3, tiny.picture())


def corner_matters(images):
    """A score that is exactly linear: hiding the corner costs .5, the rest nothing."""
    p = 0.2 + 0.5 * images[:, :16, :16, 0].mean((1, 2))
    return np.stack([p, 1 - p], axis=1)


CORNER = np.zeros((64, 64), int)
CORNER[:16, :16] = 1


@pytest.mark.parametrize("outside", [0, 1, 2, 4, 8, 15, 40])
def test_by_default_an_effect_of_a_half_is_told_as_a_half(outside):
    """From picture to coefficient with every setting as it comes, for few and many superpixels."""
    settings = lime.Settings(inside=1, outside=outside, replacement=replace.Color(0, 0, 0))
    found = lime.explain(np.ones((64, 64, 3), np.float32), corner_matters, CORNER, settings).fit
    low, high = found.interval()
    assert found.coef[0, 0] == pytest.approx(0.495, abs=0.002)  # what the lime package says
    assert low[0, 0] <= 0.5 <= high[0, 0]
    assert (low[0, 1:] <= 0).all()
    assert (high[0, 1:] >= 0).all()
    np.testing.assert_allclose(found.coef[0, 1:], 0, atol=0.003)  # the penalty shares a little out


@pytest.mark.parametrize("samples", [100, 1000, 5000])
def test_all_combinations_weigh_what_the_samples_asked_for_would(samples):
    """The ridge of all 2^d rows, by the textbook, each with the weight samples / 2^d."""
    image, d = np.ones((64, 64, 3), np.float32), 5
    settings = lime.Settings(
        inside=1, outside=4, samples=samples, replacement=replace.Color(0, 0, 0)
    )
    found = lime.explain(image, corner_matters, CORNER, settings)
    z, y = found.neighborhood.z, found.neighborhood.probs[:, 0].astype(float)
    assert len(z) == 2**d
    weights = lime_weights(z) * samples / 2**d
    intercept, coef = least_squares(z, y, weights, 1.0)
    np.testing.assert_allclose(found.fit.coef[0], coef, atol=1e-7)
    assert found.fit.intercept[0] == pytest.approx(intercept, abs=1e-7)


@pytest.mark.parametrize("width", [0.05, 0.25, 2.0])
def test_leave_one_out_is_the_drop_of_the_score_whatever_kernel_and_penalty(width):
    settings = lime.Settings(
        inside=1,
        outside=40,
        replacement=replace.Color(0, 0, 0),
        design=sample.LeaveOneOut(),
        kernel=Exponential(width),
    )
    found = lime.explain(np.ones((64, 64, 3), np.float32), corner_matters, CORNER, settings)
    drops = found.neighborhood.probs[0, 0] - found.neighborhood.probs[1:, 0]
    np.testing.assert_allclose(found.fit.coef[0], drops, atol=1e-6)
    assert found.fit.coef[0, 0] == pytest.approx(0.5, abs=1e-6)
    assert found.undecided(0).tolist() == [False] + [True] * 40


def test_too_few_samples_are_said_with_the_remedy():
    with pytest.raises(InputError, match="20 superpixels need at least 42 samples, got 10"):
        run(tiny.classifier(), samples=10)
