"""A user's own function: what it may do with pictures, and what it may not answer."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from limecraft_jax.models.blackbox import MOST_CLASSES, BlackBox
from limecraft_jax.path import lime
from limecraft_jax.types import InputError
from tests import tiny

PREDICT = tiny.same_on_the_host(tiny.classifier())
SETTINGS = lime.Settings(outside=12, samples=64)
PICTURES = np.stack([tiny.picture(seed=i) for i in range(5)])


def test_a_function_may_change_the_pictures_it_is_given():
    """As in ``x -= mean; x /= std``, which many networks' own code does."""

    def careless(x):
        x -= 0.25
        x *= 2
        return PREDICT(x)

    def careful(x):
        return PREDICT((x - np.float32(0.25)) * 2)

    image = tiny.picture()
    before = image.copy(), PICTURES.copy()
    found, expected = (lime.explain(image, f, settings=SETTINGS) for f in (careless, careful))
    np.testing.assert_array_equal(found.fit.coef, expected.fit.coef)
    np.testing.assert_array_equal(found.neighborhood.image, before[0])
    np.testing.assert_array_equal(lime.classify(careless, PICTURES), careful(PICTURES))
    np.testing.assert_array_equal(BlackBox(careless)(PICTURES), careful(PICTURES))
    np.testing.assert_array_equal(lime.predict(careless, image), careful(image[None])[0])
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(PICTURES, before[1])


def test_a_function_may_give_the_same_array_again_and_again():
    buffer = np.empty((20, 3))

    def predict(x):
        buffer[: len(x)] = PREDICT(x)
        return buffer[: len(x)]

    model = BlackBox(predict, batch=20)
    found, expected = (lime.explain(tiny.picture(), f, settings=SETTINGS) for f in (model, PREDICT))
    np.testing.assert_allclose(found.neighborhood.probs, expected.neighborhood.probs, atol=1e-6)


class Later:
    """Answers the first batch well, and later ones in a way of their own."""

    def __init__(self, later):
        self.later, self.asked = later, 0

    def __call__(self, images):
        self.asked += 1
        found = PREDICT(images)
        return found if self.asked == 1 else self.later(found)


LATER = {
    "one class": (
        lambda p: p[:, :1],
        "the model must return the same number of class probabilities for every picture, got 3 for "
        "the first ones and 1 for later ones: look at what it does with another batch.",
    ),
    "more classes": (
        lambda p: np.hstack([p, p]),
        "the model must return the same number of class probabilities for every picture, got 3 for "
        "the first ones and 6 for later ones: look at what it does with another batch.",
    ),
    "a single score": (
        lambda p: p[:, 0],
        "the model must return the same number of class probabilities for every picture, got 3 for "
        "the first ones and 1 for later ones: look at what it does with another batch.",
    ),
    "one picture too few": (
        lambda p: p[1:],
        "the model must return one row of class probabilities per image, shape (2, k), got shape "
        "(1, 3) for 2 images: look at what it returns for a batch.",
    ),
    "one picture too many": (
        lambda p: np.vstack([p, p[:1]]),
        "the model must return one row of class probabilities per image, shape (2, k), got shape "
        "(3, 3) for 2 images: look at what it returns for a batch.",
    ),
    "no picture": (
        lambda p: p[:0],
        "the model must return one row of class probabilities per image, shape (2, k), got shape "
        "(0, 3) for 2 images: look at what it returns for a batch.",
    ),
    "nothing": (
        lambda p: None,
        "the model must return numbers, got values of type object for 2 images: return a NumPy "
        "array of floats, of shape (2, k).",
    ),
    "NaN": (
        lambda p: np.where(p == p.max(), np.nan, p),
        "the model must return finite probabilities, got NaN or infinity for 1 of 2 images: check "
        "its input range, which is [0, 1].",
    ),
    "masked": (
        lambda p: np.ma.masked_equal(p, p.max()),
        "the model must return finite probabilities, got NaN or infinity for 1 of 2 images: check "
        "its input range, which is [0, 1].",
    ),
    "rows of different length": (
        lambda p: [list(p[0]), list(p[1, :2])],
        "the model must return an array of numbers or what NumPy makes one, got list for 2 images "
        "(setting an array element with a sequence. The requested array has an inhomogeneous shape "
        "after 1 dimensions. The detected shape was (2,) + inhomogeneous part.): return a NumPy "
        "array of shape (2, k).",
    ),
    "text": (
        lambda p: p.astype(str),
        "the model must return numbers, got values of type <U32 for 2 images: return a NumPy array "
        "of floats, of shape (2, k).",
    ),
    "objects": (
        lambda p: p.astype(object),
        "the model must return numbers, got values of type object for 2 images: return a NumPy "
        "array of floats, of shape (2, k).",
    ),
    "complex numbers": (
        lambda p: p + 1j,
        "the model must return numbers, got values of type complex64 for 2 images: return a NumPy "
        "array of floats, of shape (2, k).",
    ),
    "times": (
        lambda p: (1e9 * p).astype("timedelta64[ns]"),
        "the model must return numbers, got values of type timedelta64[ns] for 2 images: return a "
        "NumPy array of floats, of shape (2, k).",
    ),
    "huge scores": (
        lambda p: 1e300 * p.astype(float) / p.max(),
        "the model must return probabilities, or scores from -1e+09 to 1e+09, got one of size "
        "3.4e+38: scale them down.",
    ),
}


@pytest.mark.parametrize(("later", "sentence"), LATER.values(), ids=LATER)
def test_a_later_batch_that_is_another_kind_of_answer_is_told(later, sentence):
    images = PICTURES[:4]
    segmentation = tiny.tiles(12, 10, 2, 1)
    start = lime.begin(images[0], segmentation, lime.Settings(samples=4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as asked:
            list(lime.query(BlackBox(Later(later), batch=2), start))
        with pytest.raises(InputError) as classified:
            lime.classify(BlackBox(Later(later), batch=2), images)
    assert str(asked.value) == str(classified.value) == sentence


def test_going_on_with_another_function_is_told():
    start = lime.begin(tiny.picture(), tiny.tiles(12, 10, 4, 4), SETTINGS)
    stopped = next(lime.query(BlackBox(PREDICT, batch=32), start))
    other = BlackBox(lambda x: PREDICT(x)[:, :1], batch=32)
    with pytest.raises(InputError, match="got 3 for the first ones and 1 for later ones"):
        list(lime.query(other, stopped))


def test_too_many_classes_are_told():
    model = BlackBox(lambda x: np.zeros((len(x), MOST_CLASSES + 1), np.float16))
    with pytest.raises(InputError, match="at most 50000 probabilities per image, got 50001: is"):
        lime.predict(model, tiny.picture())


@pytest.mark.parametrize(
    "kind", [np.float16, np.float64, np.longdouble, np.uint8, np.int64, bool, list]
)
def test_numbers_of_every_kind_are_taken(kind):
    def predict(x):
        rows = np.stack([np.arange(len(x)) % 2, np.ones(len(x))], axis=1)
        return rows.tolist() if kind is list else rows.astype(kind)

    found = lime.classify(predict, PICTURES)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[0, 1], [1, 1], [0, 1], [1, 1], [0, 1]])
