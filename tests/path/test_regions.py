"""What whole regions do, against direct calls of the model and brute force."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

import limecraft_jax as lj
from limecraft_jax import regions
from limecraft_jax.path import lime, replace, sample
from limecraft_jax.path.surrogate import Ridge, fit
from limecraft_jax.show import report, whole
from tests import tiny
from tests.games import games, lime_weights

IMAGE = tiny.picture(24, 24, seed=3)
MASK = np.zeros((24, 24), np.int32)
MASK[2:9, 2:9], MASK[12:20, 3:10], MASK[4:16, 14:22] = 1, 4, 2
CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def model():
    return tiny.classifier(24, 24, seed=5)


@pytest.fixture(scope="module")
def explanation(model):
    settings = lj.Settings(inside=6, outside=9, samples=100, replacement=replace.Blur())
    return lj.explain(IMAGE, model, MASK, settings)


def shown(which: set[int]) -> np.ndarray:
    """The picture with only some regions shown, made from the definition."""
    hidden = replace.Blur()(IMAGE, None)
    return np.where(np.isin(MASK, list(which))[..., None], IMAGE, hidden)


def test_answers_are_those_of_the_model_to_pictures_made_by_hand(model, explanation):
    found, every = explanation.regions, {0, 1, 2, 4}
    assert found.values.tolist() == [1, 2, 4, 0]
    np.testing.assert_allclose(found.whole, lime.predict(model, IMAGE), atol=1e-6)
    for j, value in enumerate(found.values.tolist()):
        np.testing.assert_allclose(
            found.without[:, j], lime.predict(model, shown(every - {value})), atol=1e-6
        )
        np.testing.assert_allclose(
            found.alone[:, j], lime.predict(model, shown({value})), atol=1e-6
        )
        assert found.area[j] == pytest.approx((value == MASK).mean())
    for (i, a), (j, b) in itertools.combinations(enumerate(found.values.tolist()), 2):
        of = [lime.predict(model, shown(every - gone)) for gone in ({a}, {b}, set(), {a, b})]
        want = of[0].astype(float) + of[1] - of[2] - of[3]
        np.testing.assert_allclose(found.together[:, i, j], want, atol=1e-6)
        np.testing.assert_array_equal(found.together[:, j, i], found.together[:, i, j])


def test_the_effect_of_a_region_is_the_sum_of_its_pieces(explanation):
    found, fit_ = explanation.regions, explanation.fit
    region = explanation.neighborhood.segmentation.region
    for j, value in enumerate(found.values.tolist()):
        np.testing.assert_allclose(found.effect[:, j], fit_.coef[:, region == value].sum(axis=1))
    assert (found.low <= found.effect).all()
    assert (found.effect <= found.high).all()


def test_a_region_kept_whole_has_the_interval_of_its_superpixel(model):
    found = lj.explain(IMAGE, model, MASK, lj.Settings(inside=0, outside=20, samples=100))
    low, high = found.fit.interval()
    region = found.neighborhood.segmentation.region
    for j, value in enumerate((1, 2, 4)):
        (piece,) = np.flatnonzero(region == value)
        np.testing.assert_allclose(found.regions.low[:, j], low[:, piece], atol=1e-12)
        np.testing.assert_allclose(found.regions.high[:, j], high[:, piece], atol=1e-12)


def test_intervals_of_sums_hold():
    """Sums of 7 superpixels, of a score full of interactions, against all 2^14 samples."""
    d, sums = 14, np.zeros((2, 14), bool)
    sums[0, :7], sums[1, 7:] = True, True
    every = sample.draw(sample.Exhaustive(), 0, d, 0)
    names = games(d)
    told = np.stack([game(every) for game in names.values()], axis=1)
    truth = fit(every, told, lime_weights(every), Ridge(0.0), complete=True).coef @ sums.T
    hits = []
    for seed in range(60):
        z = sample.draw(sample.Balanced(), 200, d, seed)
        y = np.stack([game(z) for game in names.values()], axis=1)
        found = fit(z, y, lime_weights(z), Ridge(), pairs=True, even=True, sums=sums)
        low, high = found.sum_interval()
        hits.append((low <= truth) & (truth <= high))
    assert np.mean(hits) >= 0.93
    wide = (high - low).mean()
    assert wide < 2 * np.abs(truth).mean()


@pytest.mark.parametrize(("r", "questions"), [(1, 2), (2, 4), (8, 256), (9, 20)])
def test_up_to_eight_regions_are_asked_about_in_every_combination(r, questions):
    table = regions.table(r)
    assert len(table) == questions
    assert table[0].all()
    assert len(np.unique(table, axis=0)) == len(table)
    needed = {(~row).tobytes() for row in np.eye(r, dtype=bool)}
    needed |= {row.tobytes() for row in np.eye(r, dtype=bool)}
    assert needed <= {row.tobytes() for row in table}


def test_nine_regions_have_no_pairs_and_all_else(model):
    mask = np.zeros((24, 24), np.int32)
    for i in range(9):
        mask[8 * (i // 3) : 8 * (i // 3) + 6, 8 * (i % 3) : 8 * (i % 3) + 6] = i + 1
    found = lj.explain(IMAGE, model, mask, lj.Settings(inside=9, outside=9, samples=80)).regions
    assert len(found) == 10
    assert found.together is None
    assert found.without.shape == found.alone.shape == (3, 10)


@pytest.mark.parametrize("mask", [None, np.ones((24, 24), np.int32)])
def test_without_two_regions_nothing_is_asked(mask, model):
    found = lj.explain(IMAGE, model, mask, lj.Settings(inside=9, outside=9, samples=64))
    assert found.regions is None
    assert whole.records(found) == {"regions": [], "interactions": []}


def test_the_record_tells_every_region(explanation):
    record = report.record(explanation, lj.Settings(), "tiny", CLASSES)
    again = json.loads(report.dumps(record))
    found = explanation.regions
    assert [entry["region"] for entry in again["regions"]] == [1, 2, 4, 0]
    for j, entry in enumerate(again["regions"]):
        assert set(entry) == {
            "region", "name", "area", "without", "alone", "effect", "low", "high"
        }  # fmt: skip
        np.testing.assert_array_equal(np.float32(entry["without"]), found.without[:, j])
        np.testing.assert_array_equal(np.float32(entry["alone"]), found.alone[:, j])
        np.testing.assert_array_equal(entry["effect"], found.effect[:, j])
        np.testing.assert_array_equal(entry["low"], found.low[:, j])
    assert [entry["regions"] for entry in again["interactions"]] == [
        [1, 2], [1, 4], [1, 0], [2, 4], [2, 0], [4, 0]
    ]  # fmt: skip
    np.testing.assert_array_equal(again["interactions"][3]["together"], found.together[:, 1, 2])


def test_the_table_begins_with_the_regions(explanation):
    told = report.table(explanation, lj.Settings(), "tiny", CLASSES, 1).splitlines()
    lines = [line for line in told if line.startswith("# region ")]
    assert len(lines) == 4
    for j, line in enumerate(lines):
        without = float(line.partition("without ")[2].partition(",")[0])
        assert np.float32(without) == explanation.regions.without[1, j]


def test_sentences_name_the_strongest_region_first(explanation):
    found = explanation.regions
    said = whole.sentences(found, 0, "a")
    drop = np.abs(found.whole[0] - found.without[0])[:3]
    assert said[0].startswith(f"Without region {found.values[drop.argmax()]}: a ")
    assert whole.percent(found.without[0][drop.argmax()]) in said[0]
    assert len([sentence for sentence in said if sentence.startswith("Without")]) == 3
    assert regions.named(found.values, ("ruler", "", "mole")) == (
        "ruler", "region 2", "mole", "the rest"
    )  # fmt: skip
