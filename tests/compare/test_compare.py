"""Before and after: all variants explained alike, told in a table, a record and a report."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from limecraft_jax.compare import webreport
from limecraft_jax.compare.variants import compare, record, settled, table, words
from limecraft_jax.edits import edit
from limecraft_jax.edits.edit import Brightness, Flip, Noise, Offset, Remove, Rotate, Shift, Step
from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.path import lime, sample
from limecraft_jax.show import draw, radar, report
from limecraft_jax.types import InputError
from tests import tiny

CLASSES = tuple(f"class {i}" for i in range(3))
SETTINGS = lime.Settings(inside=3, outside=6, samples=64, seed=5)
BRIGHT = (Step(Brightness(0.3), (1,)),)
GONE = (Step(Remove(), (1,)),)
BOTH = (Step(Shift(2, 1), (1, 2)), Step(Noise(0.1, 3), (0,)), Step(Rotate(90), (1,), False))


@pytest.fixture(scope="module")
def scene():
    mask = np.zeros((24, 20), np.int32)
    mask[2:9, 3:10], mask[14:20, 8:15] = 1, 2
    return tiny.picture(24, 20, 3), mask


@pytest.fixture(scope="module")
def model():
    return tiny.classifier(24, 20, 3)


@pytest.fixture(scope="module")
def variants(scene, model):
    given = [("bright", BRIGHT), ("gone", GONE), ("both", BOTH)]
    return compare(model, *scene, given, SETTINGS)


# ------------------------------------------------------------------ the comparison


def test_the_original_comes_first_and_is_not_touched(variants, scene):
    assert [v.name for v in variants] == ["original", "bright", "gone", "both"]
    assert variants[0].stack == ()
    np.testing.assert_array_equal(variants[0].image, scene[0])
    np.testing.assert_array_equal(variants[0].mask, scene[1])


def test_every_variant_is_its_edits_explained_on_its_own_mask(variants, scene, model):
    for variant in variants:
        image, mask = edit.apply(*scene, variant.stack)
        np.testing.assert_array_equal(variant.image, image)
        np.testing.assert_array_equal(variant.mask, mask)
        alone = lime.explain(image, model, mask, SETTINGS)
        np.testing.assert_array_equal(variant.explanation.fit.coef, alone.fit.coef)
        region = variant.explanation.neighborhood.segmentation.region
        assert set(region) == {0, *np.unique(mask)}


def test_samples_seed_and_counts_are_shared(variants):
    first, bright, gone, both = (v.explanation.neighborhood for v in variants)
    for other in (bright, both):
        np.testing.assert_array_equal(first.z, other.z)
    assert len(gone.z) == len(first.z)
    assert (gone.segmentation.region == 0).sum() == (first.segmentation.region == 0).sum()


def test_counts_that_nobody_gave_are_those_of_the_original(scene, model):
    settings = lime.Settings(total=12, samples=64)
    found = compare(model, *scene, [("gone", GONE)], settings)
    outside = [(v.explanation.neighborhood.segmentation.region == 0).sum() for v in found]
    assert outside[0] == outside[1]


def test_a_count_goes_with_the_region_it_was_for(scene, model):
    settings = dataclasses.replace(SETTINGS, inside=(4, 2))
    used = settled(settings, scene[1], edit.apply(*scene, GONE).mask)
    assert used.inside == (2,)
    found = compare(model, *scene, [("gone", GONE)], settings)
    assert (found[0].explanation.neighborhood.segmentation.region == 1).sum() == 4
    assert (found[1].explanation.neighborhood.segmentation.region == 2).sum() == 2
    everything = (*GONE, Step(Remove(), (2,)))
    assert settled(settings, scene[1], edit.apply(*scene, everything).mask).inside == 0
    bare = compare(model, *scene, [("bare", everything)], settings)[1]
    assert not bare.explanation.neighborhood.segmentation.inside.any()


def test_no_mask_and_no_variant_is_a_plain_explanation(scene, model):
    (only,) = compare(model, scene[0], None, [], SETTINGS)
    alone = lime.explain(scene[0], model, None, SETTINGS)
    np.testing.assert_array_equal(only.explanation.fit.coef, alone.fit.coef)


def test_progress_names_the_variant(scene, model):
    told = []
    compare(
        model, *scene, [("bright", BRIGHT)], SETTINGS, lambda name, n: told.append((name, n.done))
    )
    assert told == [
        ("original", False), ("original", True), ("bright", False), ("bright", True)
    ]  # fmt: skip


@pytest.mark.parametrize("names", [["a", "a"], ["original"], [""], [" "]])
def test_names_must_tell_the_variants_apart(names, scene, model):
    with pytest.raises(InputError, match=r"names of their own besides 'original', got '.*': "):
        compare(model, *scene, [(name, BRIGHT) for name in names], SETTINGS)


@pytest.mark.parametrize(
    ("stack", "sentence"),
    [
        ((Step(Rotate(9), (7,)),), "region 7 must have pixels, got none: choose one of 1, 2."),
        ((Step(Rotate(9), ()),), "an edit needs a region, got none: select one."),
        ((Step(Remove(), (1,)), Step(Rotate(9), (1,))), "region 1 must have pixels, got none: "),
        ((Step(Shift(900, 0), (1,)),), "an edit must leave some of region 1 in the picture, "),
    ],
)
def test_a_wrong_edit_is_told_before_the_first_question(stack, sentence, scene):
    model = BlackBox(lambda images: pytest.fail("asked already"))
    with pytest.raises(InputError) as told:
        compare(model, *scene, [("fine", BRIGHT), ("wrong", stack)], SETTINGS)
    assert str(told.value).startswith(sentence)


def test_a_region_that_is_the_whole_picture_cannot_be_removed(scene, model):
    whole = np.ones_like(scene[1])
    with pytest.raises(InputError, match="got a region that is the whole picture: draw a smaller"):
        compare(model, scene[0], whole, [("gone", GONE)], SETTINGS)


def test_a_step_in_words_tells_every_parameter():
    assert [words(step) for step in (*GONE, *BOTH)] == [
        "remove region 1",
        "shift regions 1, 2: right 2 px, down 1 px",
        "noise the rest: sigma 0.1, seed 3",
        "rotate region 1: angle 90° (switched off)",
    ]
    assert words(Step(Flip(), (0, 2))) == "flip regions the rest, 2: axis left-right"
    for name, kind in edit.EDITS.items():
        said = words(Step(kind(), (1,)))
        assert all(f" {field.name} " in f"{said} " for field in dataclasses.fields(kind)), name


# ------------------------------------------------------------------ table and record


def test_the_table_holds_what_the_model_says(variants, model):
    rows = table(variants, CLASSES)
    said = lime.classify(model, [v.image for v in variants])
    assert [row["class"] for row in rows] == list(CLASSES)
    for k, row in enumerate(rows):
        assert list(row["probabilities"]) == ["original", "bright", "gone", "both"]
        assert list(row["differences"]) == ["bright", "gone", "both"]
        np.testing.assert_array_equal(np.float32(list(row["probabilities"].values())), said[:, k])
        for i, name in enumerate(("bright", "gone", "both"), start=1):
            assert row["differences"][name] == float(said[i, k]) - float(said[0, k])


def test_the_record_is_complete_and_survives_json(variants):
    told = record(variants, SETTINGS, "tiny", CLASSES)
    again = json.loads(report.dumps(told))
    assert again == told
    assert again["table"] == table(variants, CLASSES)
    assert (again["model"], again["seed"], again["classes"]) == ("tiny", 5, list(CLASSES))
    assert {"python", "jax", "numpy"} <= set(again["versions"])
    assert re.match(r"\d{4}-\d\d-\d\dT", again["date"])
    for variant, told in zip(variants, again["variants"], strict=True):
        assert told["name"] == variant.name
        assert tuple(map(edit.from_record, told["steps"])) == variant.stack
        assert eval(told["stack"], vars(edit)) == variant.stack
        areas = {str(r): np.mean(variant.mask == r) for r in np.unique(variant.mask) if r}
        assert told["mask"]["area"] == areas
        own = report.record(variant.explanation, SETTINGS, "tiny", CLASSES)
        own.pop("date"), told["explanation"].pop("date")
        assert told["explanation"] == own


# ------------------------------------------------------------------ pictures


def test_several_overlays_can_share_a_color_scale(variants):
    explanation = variants[0].explanation
    largest = float(np.abs(explanation.fit.coef[0]).max())
    own = draw.overlay(explanation, 0)
    np.testing.assert_array_equal(own, draw.overlay(explanation, 0, strongest=largest))
    bare = draw.overlay(explanation, 0, opacity=0).astype(int)

    def color(strongest):
        return np.abs(draw.overlay(explanation, 0, strongest=strongest) - bare).sum()

    assert color(10 * largest) < color(2 * largest) < color(largest) < color(largest / 2)


def test_the_radar_plot_puts_every_probability_on_its_axis():
    probs = {"original": np.array([1.0, 0.5, 0, 0.25]), "edited": np.array([0.0, 0, 1, 0])}
    svg = radar.svg(probs, ["up", "right", "down", "left"])
    x, y = radar.MIDDLE
    r = radar.RADIUS
    outlines = re.findall(r'<polygon points="([^"]*)"', svg)
    points = np.array([[tuple(map(float, p.split(","))) for p in o.split()] for o in outlines])
    expected = [[x, y - r], [x + r / 2, y], [x, y], [x - r / 4, y]]
    np.testing.assert_allclose(points[0], expected, atol=0.06)
    np.testing.assert_allclose(points[1], [[x, y]] * 2 + [[x, y + r]] + [[x, y]], atol=0.06)


def test_lines_of_the_radar_plot_differ_in_color_and_in_dashes():
    assert len(set(radar.COLORS)) == len(radar.COLORS) == len(set(radar.DASHES))


@pytest.mark.parametrize("k", [1, 2, 3, 12, 1000])
def test_the_radar_plot_takes_any_number_of_classes(k):
    rng = np.random.default_rng(k)
    names = [f"<class> {i}" for i in range(k)]
    probs = {"a": rng.dirichlet(np.ones(k)), "b": rng.dirichlet(np.ones(k))}
    svg = radar.svg(probs, names)
    shown = [
        name for name in names if f"<title>{name.replace('<', '&lt;').replace('>', '&gt;')}<" in svg
    ]
    assert len(shown) == min(k, radar.AXES)
    assert names[int(probs["a"].argmax())] in shown
    assert "<class>" not in svg
    assert "nan" not in svg


# ------------------------------------------------------------------ the report


class Reader(HTMLParser):
    """Collects what a page would fetch or run, its text, and its pictures."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.pictures, self.said, self.tags = [], 0, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.pictures += tag == "img"
        for name, value in attrs:
            leads = name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster")
            if leads and not value.startswith(("data:", "#")):
                self.fetched.append(value)

    def handle_data(self, data):
        self.said.append(data)


HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def page(variants):
    named = [dataclasses.replace(variants[1], name=HOSTILE), *variants[2:]]
    names = (*CLASSES[:2], '"><img src=x onerror=alert(2)>')
    return webreport.html([variants[0], *named], names, "<b>model</b>", SETTINGS, target=2)


def test_the_report_fetches_nothing_and_runs_nothing(page):
    read = Reader(page)
    assert read.fetched == []
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(read.tags)
    assert read.pictures == 3 * 4
    plain = re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?:|//|@import|url\(", plain)
    assert "default-src 'none'" in page


def test_what_users_typed_is_text_in_the_report(page):
    assert HOSTILE not in page
    assert "onerror=alert(2)>" not in page
    assert "<b>model</b>" not in page
    said = " ".join(Reader(page).said)
    for text in (HOSTILE, '"><img src=x onerror=alert(2)>', "<b>model</b>"):
        assert text in said


def test_the_report_tells_everything(page, variants):
    said = " ".join(" ".join(Reader(page).said).split())
    for name in CLASSES[:2]:
        assert name in said
    for variant in variants:
        assert variant.name in said or variant.name == "bright"
        for step in variant.stack:
            assert words(step) in said
        for probability in variant.probs:
            assert webreport.percent(probability) in said
        shares = variant.explanation.shares(2)
        assert webreport.percent(shares.negligible) in said
        assert report.score(variant.explanation.fit.r2[2]) in said
        assert f"{variant.explanation.fit.effective_samples:.0f}" in said
        for k in range(3):
            change = float(variant.probs[k]) - float(variants[0].probs[k])
            assert webreport.points(change) in said or variant is variants[0]
        assert webreport.percent(float(np.mean(variant.mask != 0))) in said
    for text in ("seed 5", "samples 64", repr(SETTINGS.design), "jax", "numpy", "python"):
        assert text in said
    assert "@page" in page
    assert "prefers-color-scheme: dark" in page
    assert page.count("<polygon") == 4


def test_the_report_uses_one_color_scale(variants, monkeypatch):
    scales = []
    real = draw.overlay

    def seen(explanation, target, **options):
        scales.append(options["strongest"])
        return real(explanation, target, **options)

    monkeypatch.setattr(draw, "overlay", seen)
    webreport.html(variants, CLASSES, "tiny", SETTINGS, target=1)
    assert scales == [max(float(np.abs(v.explanation.fit.coef[1]).max()) for v in variants)] * 4


def test_the_report_draws_the_likeliest_class_unless_told(variants):
    likeliest = CLASSES[int(variants[0].probs.argmax())]
    text = webreport.html(variants, CLASSES, "tiny", SETTINGS)
    assert f"what speaks for {likeliest}" in text


@pytest.mark.parametrize("k", [1, 2, 40])
def test_the_report_takes_models_with_few_and_many_classes(k, scene):
    def answer(images):
        level = images.mean(axis=(1, 2, 3))[:, None]
        return np.concatenate([level, np.repeat((1 - level) / max(k - 1, 1), k - 1, 1)], axis=1)

    given = [("bright", BRIGHT), ("tinted", (Step(Offset(0.1, 0, -0.1), (2,)),))]
    settings = lime.Settings(outside=4, samples=64, design=sample.Balanced())
    found = compare(answer, scene[0], scene[1], given, settings)
    names = [f"class {i}" for i in range(k)]
    text = webreport.html(found, names, "own", settings)
    assert all(f">{name}</th>" in text for name in names)
    assert ("likeliest of 40 classes" in text) == (k == 40)
