"""The numbers inside the charts of the editing page, worked out again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from limecraft_jax.app.shared import look
from limecraft_jax.app.whatif import plots
from limecraft_jax.edits.whatif import Sweep
from limecraft_jax.show import radar

CLASSES = ("a", "b", "c")
BEFORE, AFTER = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.25, 0.65])


def test_bars_of_differences_are_percentage_points_largest_first():
    rows = plots.differences(BEFORE, AFTER, CLASSES).to_dict()["data"]["values"]
    assert [row["Class"] for row in rows] == ["a", "c", "b"]
    assert [row["Change"] for row in rows] == pytest.approx([-60, 55, 5])
    assert [row["way"] for row in rows] == ["falls", "rises", "rises"]


def test_the_radar_puts_every_probability_on_its_spoke():
    layers = plots.radar({"original": BEFORE, "edited": AFTER}, CLASSES).to_dict()["layer"]
    points = layers[2]["data"]["values"]
    for name, probs in (("original", BEFORE), ("edited", AFTER)):
        own = [p for p in points if p["Variant"] == name]
        assert [p["Class"] for p in own] == ["a", "b", "c", "a"]
        for i, p in enumerate(own):
            assert p["Probability"] == pytest.approx(probs[i % 3])
            assert math.hypot(p["x"], p["y"]) == pytest.approx(probs[i % 3])
            turn = 2 * math.pi * (i % 3) / 3
            assert p["x"] == pytest.approx(probs[i % 3] * math.sin(turn))


def test_the_curve_of_doses_shows_the_sweep_its_spread_and_where_the_class_changes():
    probs = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    jittered = np.stack([probs - 0.05, probs + 0.02])
    sweep = Sweep(np.array([0.0, 10.0, 20.0]), probs[0], probs, jittered)
    chart = plots.doses(sweep, CLASSES, "angle", "°").to_dict()
    curve = chart["layer"][1]["data"]["values"]
    for row in curve:
        i, c = int(row["dose"] // 10), CLASSES.index(row["Class"])
        assert row["Probability"] == pytest.approx(probs[i, c])
        assert (row["low"], row["high"]) == pytest.approx((probs[i, c] - 0.05, probs[i, c] + 0.02))
    assert len(curve) == 9
    assert chart["layer"][2]["data"]["values"] == [{"dose": 15.0, "to": "b"}]


def test_the_heat_map_shows_every_cell():
    probs = np.arange(6).reshape(2, 3) / 6
    rows, columns = np.array([1.0, 2.0]), np.array([5.0, 6.0, 7.0])
    cells = plots.heat(probs, rows, columns, ("r", "c"), "a").to_dict()["data"]["values"]
    found = {(cell["row"], cell["column"]): cell["p"] for cell in cells}
    assert found == {
        (r, c): pytest.approx(probs[i, j])
        for i, r in enumerate(rows)
        for j, c in enumerate(columns)
    }


@pytest.mark.parametrize(
    ("largest", "shown"),
    [
        (0.4, "+40.00"),
        (0.00123, "+0.12"),
        (0.000123, "+0.012"),
        (3.1e-7, "+0.000031"),
        (1e-12, "+0.000000000"),
        (0, "+0.00"),
    ],
)
def test_the_largest_effect_shows_two_digits_or_more(largest, shown):
    assert look.points(largest, look.digits(largest)) == shown


def test_of_many_classes_the_likeliest_anywhere_are_drawn():
    rng = np.random.default_rng(0)
    answers = {"original": rng.random(1000) / 1000, "edited": rng.random(1000) / 1000}
    answers["original"][700], answers["edited"][3] = 0.6, 0.5
    names = [f"kind {i}" for i in range(1000)]
    spec = plots.radar(answers, names).to_dict()
    rows = [row for layer in spec["layer"] for row in layer["data"]["values"]]
    drawn = {row["Class"] for row in rows if "Class" in row}
    most = np.max(list(answers.values()), axis=0)
    assert drawn == {names[i] for i in np.argsort(-most)[: radar.AXES]}
    assert {"kind 3", "kind 700"} <= drawn
