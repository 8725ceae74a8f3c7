"""Records, tables, verdicts and pictures say what the numbers say, worked out again more slowly."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json

import numpy as np
import pytest

from limecraft_jax.path import lime
from limecraft_jax.show import draw, report
from limecraft_jax.types import Explanation, Fit, Neighborhood, Segmentation
from tests import tiny

LABELS = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 3], [2, 2, 2, 3]], np.int32)
REGION = np.array([4, 0, 0, 7], np.int32)


def made(coef, stderr, probs=(0.8, 0.3, 0.5, 0.2), r2=0.9, weights=100, complete=False):
    """An explanation with these numbers, for two classes of which the second is the opposite."""
    coef, stderr = np.array(coef, float), np.array(stderr, float)
    segmentation = Segmentation(LABELS, REGION)
    probs = np.array(probs, np.float32)
    n = len(probs)
    neighborhood = Neighborhood(
        tiny.picture(4, 4),
        segmentation,
        np.ones((n, 4), bool),
        np.ones(n),
        tiny.picture(4, 4, seed=1),
        np.stack([probs, 1 - probs], axis=1),
        complete,
    )
    fit = Fit(
        np.stack([coef, -coef]),
        np.array([0.25, 0.75]),
        np.array([r2, r2]),
        np.stack([stderr, stderr]),
        np.ones(weights),
        9,
    )
    return Explanation(neighborhood, fit)


T9 = 2.2621571628  # 97.5 % point of Student's t with 9 degrees of freedom (any table)
KNOWN = made([0.1, -0.4, 0.02, 0.3], [0.01, 0.1, 0.02, 0.2])


def test_rows_are_sorted_and_complete():
    rows = report.rows(KNOWN, 0)
    assert [row["superpixel"] for row in rows] == [1, 3, 0, 2]
    assert [row["region"] for row in rows] == [0, 7, 4, 0]
    assert [row["coefficient"] for row in rows] == [-0.4, 0.3, 0.1, 0.02]
    assert [row["area"] for row in rows] == [4 / 16, 2 / 16, 4 / 16, 6 / 16]
    assert [row["undecided"] for row in rows] == [False, True, False, True]
    for row, stderr in zip(rows, (0.1, 0.2, 0.01, 0.02), strict=True):
        assert row["low"] == pytest.approx(row["coefficient"] - T9 * stderr, abs=1e-9)
        assert row["high"] == pytest.approx(row["coefficient"] + T9 * stderr, abs=1e-9)
        assert 0.5 <= row["sign_probability"] <= 1
        assert row["undecided"] == (row["sign_probability"] < 0.975)
    other = report.rows(KNOWN, 1)
    assert [row["coefficient"] for row in other] == [0.4, -0.3, -0.1, -0.02]


def test_the_table_reads_back_as_the_rows():
    settings = lime.Settings(seed=3)
    table = report.table(KNOWN, settings, "my model", ("yes", "no"), 0).splitlines()
    told = [line for line in table if line.startswith("#")]
    assert "my model" in told[0]
    assert "class yes" in told[0]
    assert told[1] == f"# {settings!r}"
    read = list(csv.DictReader(table[len(told) :]))
    rows = report.rows(KNOWN, 0)
    assert [{key: str(value) for key, value in row.items()} for row in rows] == read


def test_the_record_holds_everything_and_is_plain_json():
    settings = lime.Settings(inside=(1, 1), outside=2)
    record = report.record(KNOWN, settings, "my model", ("yes", "no"))
    again = json.loads(report.dumps(record))
    assert again == record
    assert set(again["settings"]) == {field.name for field in dataclasses.fields(settings)}
    image = KNOWN.neighborhood.image
    assert again["image"] == {
        "shape": [4, 4, 3],
        "sha256": hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest(),
    }
    assert again["superpixels"]["region"] == [4, 0, 0, 7]
    assert again["superpixels"]["area"] == [4, 4, 6, 2]
    assert again["effective_sample_size"] == 100
    first, second = again["explanations"]
    assert (first["class"], second["class"]) == ("yes", "no")
    assert first["coefficients"] == [0.1, -0.4, 0.02, 0.3]
    assert first["local_prediction"] == pytest.approx(0.25 + 0.1 - 0.4 + 0.02 + 0.3)
    interval, limecraft = (first["area_shares"][rule] for rule in ("interval", "limecraft"))
    assert interval == pytest.approx({"positive": 0.25, "negative": 0.25, "neutral": 0.5})
    assert limecraft == pytest.approx({"positive": 0.75, "negative": 0.25, "neutral": 0.0})


def test_a_record_holds_the_classes_asked_about_in_full():
    settings = lime.Settings()
    whole = report.record(KNOWN, settings, "my model", ("yes", "no"))
    part = report.record(KNOWN, settings, "my model", ("yes", "no"), [1])
    assert part["explanations"] == whole["explanations"][1:]
    assert part["classes"] == whole["classes"]
    assert part["probabilities"] == whole["probabilities"]


def test_asked_about_are_the_targets_and_the_likeliest_of_every_picture():
    rng = np.random.default_rng(0)
    few, many = rng.random((3, 20)), rng.random((3, 21))
    assert report.asked(few, [3]) is None
    for targets in ([], [3], [20, 0]):
        best = {k for probs in many for k in np.argsort(-probs)[:5].tolist()}
        assert report.asked(many, targets) == tuple(sorted(best | set(targets)))
    assert report.likeliest(np.array([0.1, 0.5, 0.5, 0.2]), 3).tolist() == [1, 2, 3]


def test_a_record_with_nan_is_refused_rather_than_written():
    with pytest.raises(ValueError, match="JSON compliant"):
        report.dumps({"value": float("nan")})


@pytest.mark.parametrize(
    ("changes", "level", "part"),
    [
        ({}, "good", "follows the classifier well (R² 0.90 of 1)"),
        ({"r2": 0.61}, "good", "follows the classifier well"),
        ({"r2": 0.59}, "fair", "follows the classifier roughly (R² 0.59 of 1)"),
        ({"r2": 0.29}, "poor", "follows the classifier badly here (R² 0.29 of 1)"),
        ({"weights": 3}, "poor", "The samples are worth only 3 for 4 superpixels"),
        ({"weights": 19}, "fair", "The samples are worth 19 for 4 superpixels"),
        ({"weights": 20}, "good", "Every superpixel has a clear sign."),
        ({"weights": 3, "complete": True}, "good", "Nothing is left to chance"),
        ({"probs": (0.8, 0.79, 0.82, 0.8)}, "good", "clear sign"),
        ({"probs": (0.8, 0.81, 0.8, 0.8)}, "fair", "moves by less than 2 percentage points"),
        ({"stderr": [1, 0.01, 0.01, 0.01]}, "good", "1 of the 4 superpixels that are shown or"),
        (
            {"stderr": [1, 0.01, 1, 1]},
            "fair",
            "3 of the 4 superpixels that are shown or drawn",
        ),
    ],
)
def test_trust(changes, level, part):
    numbers = {"coef": [0.1, -0.4, 0.05, 0.3], "stderr": [0.01] * 4, **changes}
    trust = report.trust(made(**numbers), 0, "yes")
    assert trust.level == level
    assert part in " ".join(trust.sentences)


def test_care_is_asked_for_only_where_somebody_looks():
    """Superpixels 1 and 2 lie outside the drawn regions, the others inside."""
    found = made([0.3, -0.01, 0.05, 0.4], [0.01, 0.2, 0.2, 0.01])
    assert found.open(0).tolist() == [False, True, True, False]
    said = report.trust(found, 0, "yes", shown=2)
    assert said.level == "good"
    assert "2 smaller ones, not shown, could go either way." in said.sentences
    said = report.trust(found, 0, "yes", shown=3)
    assert "1 of the 3 superpixels that are shown or drawn could go" in " ".join(said.sentences)
    assert "1 smaller ones, not shown, could go either way." in said.sentences


@pytest.mark.parametrize(
    ("coef", "stderr", "negligible"),
    [
        (0.001, 0.01, True),  # -.022 to .024, a tenth of the largest being .04
        (0.02, 0.01, False),  # to .043
        (-0.02, 0.01, False),  # from -.043
        (0.0, 0.2, False),
    ],
)
def test_what_matters_little_has_its_whole_interval_within_a_tenth_of_the_largest(
    coef, stderr, negligible
):
    found = made([0.4, coef, 0.3, 0.3], [0.01, stderr, 0.01, 0.01])
    assert found.undecided(0)[1]
    assert found.negligible(0)[1] == negligible
    assert found.open(0)[1] != negligible


# ------------------------------------------------------------------ pictures


def colored(explanation, **options):
    """Mean color of each superpixel of an overlay over mid gray, signed red minus green."""
    gray = np.full((4, 4, 3), 0.5, np.float32)
    neighborhood = dataclasses.replace(explanation.neighborhood, image=gray)
    picture = draw.overlay(
        dataclasses.replace(explanation, neighborhood=neighborhood),
        0,
        boundaries=False,
        **options,
    ).astype(float)
    factor = picture.shape[0] // 4
    big = LABELS.repeat(factor, 0).repeat(factor, 1)
    return picture, big


def test_the_overlay_colors_by_sign_and_strength_and_hatches_the_undecided():
    picture, big = colored(KNOWN, opacity=1.0)
    palette = draw.PALETTES["green-red"]
    # Superpixel 1 has the largest effect: its color in full.
    assert (picture[big == 1] == palette.negative).all()
    # Superpixel 0 has a quarter of it: 0.1 + 0.9 / 4 of the way from gray to the color.
    share = 0.1 + 0.9 * 0.1 / 0.4
    want = (1 - share) * 128 + share * np.array(palette.positive)
    assert np.abs(picture[big == 0] - want).max() <= 1
    # Superpixels 2 and 3 are undecided: some of their pixels are as they were, the rest is not.
    for j in (2, 3):
        untouched = (picture[big == j] == 128).all(axis=1).mean()
        assert 0.5 < untouched < 0.9


def test_only_the_superpixels_asked_for_are_colored():
    picture, big = colored(KNOWN, show=1)
    touched = (picture != 128).any(axis=2)
    assert touched[big == 1].all()
    assert not touched[big != 1].any()
    assert not (colored(KNOWN, opacity=0.0)[0] != 128).any()


def test_small_pictures_are_enlarged_by_a_whole_factor():
    assert draw.scale((28, 28, 1)) == 19
    assert draw.scale((512, 100, 3)) == 1
    assert draw.scale((2000, 3000)) == 1
    assert draw.enlarge(tiny.picture(28, 20, c=1)).shape == (532, 380, 3)


def test_lines_lie_where_labels_change():
    lines = draw.edges(LABELS)
    for r in range(4):
        for c in range(4):
            here = LABELS[r, c]
            right = c < 3 and LABELS[r, c + 1] != here
            below = r < 3 and LABELS[r + 1, c] != here
            assert lines[r, c] == (right or below)


def test_outlines_enclose_exactly_the_superpixels():
    from skimage.draw import polygon2mask

    labels = LABELS.repeat(5, 0).repeat(5, 1)
    labels[2:4, 2:4] = 3  # a second piece and a hole
    segmentation = Segmentation(labels, REGION)
    for j, rings in enumerate(draw.outlines(segmentation)):
        covered = np.zeros(labels.shape, int)
        for ring in rings:
            assert ring[0] == ring[-1]
            points = [(y - 0.5, x - 0.5) for x, y in ring]  # pixel centers lie at whole numbers
            covered += polygon2mask(labels.shape, points)
        np.testing.assert_array_equal(covered % 2 == 1, labels == j)


def test_superpixel_pictures_show_regions_in_their_color():
    image = np.full((4, 4, 3), 0.5, np.float32)
    picture = draw.superpixels(
        image, Segmentation(LABELS, REGION), {4: (255, 0, 0), 7: (0, 0, 255)}
    )
    assert picture.shape == (512, 512, 3)
    red, blue = ((picture == color).all(axis=2) for color in ((255, 0, 0), (0, 0, 255)))
    rows, columns = np.nonzero(red)
    assert 250 <= rows.max() <= 262
    assert 250 <= columns.max() <= 262
    rows, columns = np.nonzero(blue)
    assert rows.min() >= 250
    assert columns.min() >= 378
