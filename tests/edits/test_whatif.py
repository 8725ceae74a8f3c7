"""Sweeps: each picture is asked about as if alone; what is found is what slow search finds."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
from scipy.special import stdtrit

from limecraft_jax.edits import whatif
from limecraft_jax.edits.edit import Brightness, Offset, Rotate, Shift, Step, apply
from limecraft_jax.edits.knobs import Scene
from limecraft_jax.edits.whatif import JITTERS, Effect, Jitter, Sweep
from limecraft_jax.path import lime
from limecraft_jax.types import InputError
from tests import tiny

H, W = 24, 20
IMAGE = tiny.picture(H, W)
MASK = np.zeros((H, W), np.int32)
MASK[6:16, 4:13] = 1
MASK[18:22, 15:] = 2
VALUES = np.linspace(-120, 120, 11)


def turned(angle):
    return (Step(Offset(0.3, 0, 0), (1,)), Step(Rotate(angle), (1,)))


def lit(amount):
    return (Step(Brightness(amount), (1,)),)


def model():
    return tiny.classifier(H, W, batch=4)


def sentence(text, call):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == text


@pytest.mark.parametrize("n", [1, 3, 4, 9])
def test_many_pictures_get_the_answers_of_each_alone(n):
    network = model()
    images = [tiny.picture(H, W, seed=i) for i in range(n)]
    alone = np.stack([lime.predict(network, image) for image in images])
    np.testing.assert_array_equal(lime.classify(network, images), alone)
    host = lime.classify(tiny.same_on_the_host(network), iter(images))
    np.testing.assert_allclose(host, alone, atol=1e-6)


def test_classify_needs_pictures_and_finite_answers():
    sentence("a model needs pictures, got none.", lambda: lime.classify(model(), []))
    broken = np.full((H, W, 3), np.nan, np.float32)
    sentence(
        "the model must return finite probabilities, got NaN or infinity: "
        "check its weights and its input range, which is [0, 1].",
        lambda: lime.classify(model(), [broken]),
    )


@pytest.mark.parametrize("jitters", [(), JITTERS], ids=["plain", "jittered"])
@pytest.mark.parametrize("black_box", [False, True])
def test_a_sweep_equals_asking_one_by_one(black_box, jitters):
    network = tiny.same_on_the_host(model()) if black_box else model()
    got = whatif.sweep(network, IMAGE, MASK, turned, VALUES, jitters)
    np.testing.assert_allclose(got.before, lime.predict(network, IMAGE), atol=1e-6)
    for i, value in enumerate(VALUES):
        want = lime.predict(network, apply(IMAGE, MASK, turned(value)).image)
        np.testing.assert_allclose(got.probs[i], want, atol=1e-6)
        for j, jitter in enumerate(jitters):
            want = lime.predict(network, apply(IMAGE, jitter(MASK), turned(value)).image)
            np.testing.assert_allclose(got.jittered[j, i], want, atol=1e-6)
    assert got.jittered.shape == (len(jitters), len(VALUES), 3)


def test_a_sweep_never_compiles_the_network_again():
    network = model()
    lime.explain(IMAGE, network, MASK, lime.Settings(samples=26, total=12))
    lime.predict(network, IMAGE)
    before = tiny.Linear.traces
    for count in (1, 4, 7):
        whatif.sweep(network, IMAGE, MASK, turned, VALUES[:count])
    whatif.grid(network, IMAGE, MASK, lambda a, b: turned(a) + lit(b), [1, 2], [0.1, 0.2, 0.3])
    whatif.nuisance(network, IMAGE, MASK, turned(20))
    whatif.smallest(network, IMAGE, MASK, lit, 0, (1,), scan=4)
    assert tiny.Linear.traces == before


def test_a_grid_equals_asking_one_by_one():
    network, rows, columns = model(), [10.0, 50.0, 90.0], [-0.2, 0.2]
    got = whatif.grid(network, IMAGE, MASK, lambda a, b: turned(a) + lit(b), rows, columns)
    assert got.shape == (3, 2, 3)
    for i, angle in enumerate(rows):
        for j, amount in enumerate(columns):
            edited = apply(IMAGE, MASK, turned(angle) + lit(amount)).image
            np.testing.assert_allclose(got[i, j], lime.predict(network, edited), atol=1e-6)


@dataclasses.dataclass(frozen=True)
class Counted:
    """An edit of nothing that counts how often it is made."""

    label: ClassVar[str] = "counted"
    knobs: ClassVar[dict] = {}
    calls: ClassVar[list] = []
    is_nothing = False

    def __call__(self, image, mask, regions):
        self.calls.append(1)
        return Scene(image, mask)


def test_steps_that_all_stacks_begin_with_are_done_once():
    Counted.calls.clear()
    counted = Step(Counted(), (1,))
    whatif.sweep(model(), IMAGE, MASK, lambda v: (counted, *turned(v)), VALUES)
    assert len(Counted.calls) == 1
    whatif.sweep(model(), IMAGE, MASK, lambda v: (*turned(v), counted), VALUES)
    assert len(Counted.calls) == 1 + len(VALUES)
    whatif.sweep(model(), IMAGE, MASK, lambda v: (counted,) * (2 if v > 0 else 1), VALUES)
    assert len(Counted.calls) == 1 + len(VALUES) + 1 + (VALUES > 0).sum()


def test_changes_are_where_another_class_is_on_top_than_before():
    probs = np.array([[0.6, 0.4], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]])
    got = Sweep(np.arange(5.0), probs[0], probs, np.zeros((0, 5, 2)))
    assert got.top.tolist() == [0, 0, 1, 1, 0]
    assert got.changes.tolist() == [2, 4]
    sentence("a spread needs at least 2 masks, got 0: sweep with jitters.", lambda: got.effect(0))


# The smallest edit


def flips_at(*edges):
    """A model of the brightness x at one pixel: class 1 between the edges, 0 elsewhere."""

    def predict(images):
        x = images[:, 10, 8, 0].astype(float)
        low, high = edges
        inside = np.minimum(x - low, high - x)
        one = 1 / (1 + np.exp(-50 * inside))
        return np.stack([1 - one, one], axis=1)

    return predict


FLAT = np.full((H, W, 3), 0.4, np.float32)


@pytest.mark.parametrize("scan", [2, 5, 32])
@pytest.mark.parametrize(
    ("edges", "ends", "want"),
    [
        ((0.5213, 2), (1,), 0.1213),
        ((0.5213, 2), (-1, 1), 0.1213),
        ((0.5213, 2), (1, -1), 0.1213),
        ((-1, 0.3457), (-1, 1), -0.0543),
        ((-1, 0.3457), (-1,), -0.0543),
        ((0.4004, 2), (1,), 0.0004),
        ((0.9999, 2), (0.6,), 0.5999),
    ],
)
def test_the_smallest_edit_is_where_the_class_is_known_to_change(edges, ends, want, scan):
    predict = flips_at(*edges)
    got = whatif.smallest(predict, FLAT, MASK, lit, 0, ends, scan=scan, tolerance=1e-5)
    assert abs(got.value) >= abs(want) - 1e-6
    assert abs(got.value) <= abs(want) + 1e-5 + 1e-6
    assert got.before.argmax() == 0
    assert got.probs.argmax() == 1
    edited = apply(FLAT, MASK, lit(got.value))
    assert got.scene.image.tobytes() == edited.image.tobytes()
    np.testing.assert_array_equal(got.probs, lime.predict(predict, edited.image))


@pytest.mark.parametrize("seed", [6, 10])  # the class changes within 30 degrees
def test_the_smallest_edit_is_what_brute_force_finds(seed):
    network = tiny.classifier(H, W, k=4, batch=16, seed=seed)
    got = whatif.smallest(network, IMAGE, MASK, turned, 0, (90, -90), scan=36, tolerance=0.01)
    angles = np.arange(0, 30, 0.1)
    top = [whatif.sweep(network, IMAGE, MASK, turned, sign * angles).top for sign in (1, -1)]
    changed = [line != got.before.argmax() for line in top]
    want = min(angles[line.argmax()] for line in changed if line.any())
    assert abs(abs(got.value) - want) <= 0.1
    assert got.tolerance == 0.01


def test_the_nearer_of_two_changes_is_taken():
    predict = flips_at(0.31, 0.4)  # class 1 at the start
    image = np.full((H, W, 3), 0.38, np.float32)
    for ends in ((1, -1), (-1, 1)):
        got = whatif.smallest(predict, image, MASK, lit, 0, ends, scan=3)
        assert got.value == pytest.approx(0.02, abs=1.1e-3)


def test_no_change_within_range_is_said():
    got = whatif.smallest(flips_at(0.9, 2), FLAT, MASK, lit, 0, (0.3, -0.3))
    assert got.value is None
    assert got.scene is None
    assert got.probs is None
    assert got.tolerance == pytest.approx(0.0003)
    assert [scan.values[-1] for scan in got.scans] == [0.3, -0.3]


def test_the_smallest_edit_asks_little(monkeypatch):
    asked = []
    predict = flips_at(0.5213, 2)

    def spy(images):
        asked.append(len(images))
        return predict(images)

    whatif.smallest(spy, FLAT, MASK, lit, 0, (1,))
    assert len(asked) <= 3
    assert sum(asked) < 110


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ({"ends": ()}, "ends must be numbers other than the start, 0, got []."),
        ({"ends": (0,)}, "ends must be numbers other than the start, 0, got [0]."),
        ({"ends": (np.inf,)}, "ends must be numbers other than the start, 0, got [inf]."),
        ({"scan": 1}, "scan must be >= 2, got 1."),
        ({"tolerance": 0}, "tolerance must be > 0, got 0."),
        ({"tolerance": np.nan}, "tolerance must be > 0, got nan."),
    ],
)
def test_sentences_of_the_search(choices, text):
    choices = {"ends": (1,), **choices}
    predict = flips_at(0, 1)
    sentence(text, lambda: whatif.smallest(predict, FLAT, MASK, lit, 0, **choices))


def test_a_sweep_needs_values():
    sentence(
        "a sweep needs values, got none.",
        lambda: whatif.sweep(model(), IMAGE, MASK, turned, []),
    )


def test_a_dose_that_cannot_be_says_so():
    sentence(
        "an edit must leave some of region 1 in the picture, got nothing of it: "
        "move or shrink it less, or remove it.",
        lambda: whatif.sweep(model(), IMAGE, MASK, lambda v: (Step(Shift(v), (1,)),), [1, 99]),
    )


# Slips of the hand


def jittered_slowly(mask, jitter):
    """Pixel by pixel, straight from the words."""
    h, w = mask.shape
    out = np.zeros_like(mask)

    def at(row, column, region, beyond):
        return mask[row, column] == region if 0 <= row < h and 0 <= column < w else beyond

    for region in sorted(set(mask.ravel().tolist()) - {0}):
        new = np.zeros(mask.shape, bool)
        for row in range(h):
            for column in range(w):
                cross = [(row, column), (row - 1, column), (row + 1, column)]
                cross += [(row, column - 1), (row, column + 1)]
                if jitter.grow == 1:
                    free = mask[row, column] in (0, region)
                    new[row, column] = free and any(at(*p, region, False) for p in cross)
                elif jitter.grow == -1:
                    new[row, column] = all(at(*p, region, True) for p in cross)
                else:
                    new[row, column] = at(row - jitter.down, column - jitter.right, region, False)
        out[new if new.any() else mask == region] = region
    return out


@pytest.mark.parametrize("jitter", JITTERS, ids=repr)
def test_a_jitter_is_what_its_words_say(jitter):
    mask = MASK.copy()
    mask[6:16, 13:16] = 3  # touches region 1
    mask[2, 1:9] = 4  # too thin to shrink
    mask[0, 19] = 5  # leaves the picture
    mask.flags.writeable = False
    got = jitter(mask)
    np.testing.assert_array_equal(got, jittered_slowly(mask, jitter))
    assert got.dtype == mask.dtype
    assert set(np.unique(got)) == set(np.unique(mask))
    assert eval(repr(jitter)) == jitter


def test_the_first_jitter_is_the_mask_as_drawn():
    np.testing.assert_array_equal(JITTERS[0](MASK), MASK)
    assert len(set(JITTERS)) == len(JITTERS)


def test_the_spread_is_that_over_the_jittered_masks():
    network, stack = model(), turned(35)
    got = whatif.nuisance(network, IMAGE, MASK, stack)
    before = lime.predict(network, IMAGE)
    each = [
        lime.predict(network, apply(IMAGE, jittered_slowly(MASK, jitter), stack).image) - before
        for jitter in JITTERS
    ]
    np.testing.assert_allclose(got.each, each, atol=1e-6)
    np.testing.assert_allclose(got.drawn, each[0], atol=1e-6)
    mean, sd = np.mean(each, axis=0), np.std(each, axis=0, ddof=1)
    half = stdtrit(6, 0.975) * sd * np.sqrt(8 / 7)
    np.testing.assert_allclose(got.interval(), (mean - half, mean + half), atol=1e-5)
    assert (got.sd > 0).all()
    again = whatif.nuisance(network, IMAGE, MASK, stack)
    np.testing.assert_array_equal(again.each, got.each)


@pytest.mark.parametrize(
    ("mean", "spread", "want"),
    [
        (0.3, 0.01, "effect"),
        (-0.3, 0.01, "effect"),
        (0.3, 0.0, "effect"),
        (0.0, 0.001, "no effect"),
        (0.002, 0.0, "no effect"),
        (0.0, 0.2, "too noisy to tell"),
        (0.1, 0.2, "too noisy to tell"),
    ],
)
def test_no_effect_and_too_noisy_to_tell_differ(mean, spread, want):
    each = mean + spread * np.array([-1.0, 1, -1, 1, -1, 1, 0])[:, None]
    assert Effect(each[-1], each).verdict(0) == want


def test_an_edit_that_the_model_cannot_see_has_no_effect():
    blind = flips_at(0.5, 2)  # looks at one pixel of region 1
    got = whatif.nuisance(blind, FLAT, MASK, (Step(Brightness(0.4), (2,)),))
    assert got.verdict(1) == "no effect"
    seen = whatif.nuisance(blind, FLAT, MASK, (Step(Brightness(0.4), (1,)),))
    assert seen.verdict(1) == "effect"


def test_a_jitter_of_two_pixels_grows_by_two():
    np.testing.assert_array_equal(Jitter(grow=2)(MASK), Jitter(grow=1)(Jitter(grow=1)(MASK)))
