"""What the page does, without a browser: every click is a run of the script.

Drawings are put where the canvas would report them; what the browser does is `test_browser.py`.
"""

from __future__ import annotations

import html
import io
import json
import re

import numpy as np
import pytest
import skimage.data
from PIL import Image
from streamlit.testing.v1 import AppTest

from limecraft_jax import cli, models
from limecraft_jax.app.shared import look, strokes
from limecraft_jax.app.shared.cache import EXAMPLES
from limecraft_jax.files import images, masks
from limecraft_jax.path import lime, surrogate
from limecraft_jax.path.kernel import Exponential
from tests.server import ROOT

INDEX = json.loads((EXAMPLES / "index.json").read_text())


def open_page(**state) -> AppTest:
    """A fresh visitor's first page, with some widgets set beforehand."""
    page = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
    for key, value in state.items():
        page.session_state[key] = value
    return fine(page.run())


def small(**state) -> AppTest:
    """A page whose explanations are quick."""
    return open_page(**{"model": "digits", "samples": 128, "total-digits": 20, **state})


def fine(page: AppTest) -> AppTest:
    """The page, if nothing went wrong on it."""
    assert not page.exception, page.exception[0]
    return page


def canvas_key(page: AppTest) -> str:
    """Key of the canvas on the page."""
    (canvas,) = page.get("bidi_component")
    assert canvas.key.startswith("canvas-")
    return canvas.key


def rectangle(left, top, width, height, region=1):
    """A drawn rectangle as the canvas reports it; its inside is given, in canvas pixels."""
    given = strokes.encode("rectangle", region)
    half = given["stroke_width"] / 2
    return {
        "type": "Rect",
        "originX": "left",
        "originY": "top",
        "left": left - half,
        "top": top - half,
        "width": width,
        "height": height,
        "stroke": given["stroke_color"],
        "strokeWidth": given["stroke_width"],
        "strokeUniform": True,
    }


def draw(page: AppTest, *objects) -> AppTest:
    """Report a drawing from the canvas."""
    raw = {"version": "7.4.0", "objects": list(objects)}
    page.session_state[canvas_key(page)] = {
        "drawing": {"raw": raw, "data": None},
        "backgroundFit": None,
    }
    return fine(page.run())


def explain(page: AppTest) -> AppTest:
    """Press the button."""
    return fine(page.button(key="explain").click().run())


def job(page: AppTest):
    """The answer on the page."""
    return page.session_state["session"].job


def inputs(page: AppTest, kind: str = "number_input") -> dict:
    """Widgets of a kind by their labels."""
    return {widget.label: widget for widget in page.get(kind)}


def text(page: AppTest) -> str:
    """All that the page says."""
    kinds = ("markdown", "caption", "html", "info", "success", "warning", "error")
    parts = [item for kind in kinds for item in page.get(kind)]
    return "\n".join(str(getattr(p, "value", None) or p.proto.body) for p in parts)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    """A picture file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# ------------------------------------------------------------------ first look, first click


def test_the_first_page_says_what_the_classifier_says():
    page = open_page()
    assert not page.error
    assert page.selectbox(key="model").value == "efficientnet_lite0"
    example = page.selectbox(key="example-efficientnet_lite0").value
    model = models.load("efficientnet_lite0")
    photo = getattr(skimage.data, example["skimage"])().astype(np.float32) / 255
    probs = lime.predict(model, model.prepare(photo))
    best = model.card.classes[int(np.argmax(probs))]
    assert f"It says **{best}**, {100 * probs.max():.1f} % sure." in text(page)
    assert page.info[0].value == example["story"]
    assert job(page) is None


def test_every_photograph_is_offered_once_whatever_the_classifier():
    titles = page_titles("efficientnet_lite0")
    photographs = {e["skimage"] for e in INDEX if "skimage" in e}
    assert len(titles) == len(photographs)
    assert titles[0] == "A cup of espresso"
    general = [e["title"] for e in INDEX if "model" not in e]
    assert page_titles("digits")[-len(general) :] == general


def page_titles(model):
    """The pictures that the page offers with a classifier."""
    return open_page(model=model).selectbox(key=f"example-{model}").options


def test_the_drawn_cup_convinces_the_classifier():
    page = open_page(samples=64, **{"total-efficientnet_lite0": 12})
    (use,) = [b for b in page.button if b.label == "Use the mask that comes with this example"]
    page = explain(fine(use.click().run()))
    assert not page.error
    found = job(page).neighborhood
    assert found.done
    image = found.image
    (entry,) = [e for e in INDEX if e["title"] == "A cup of espresso"]
    crop = models.card("efficientnet_lite0").crop
    mask = masks.load_mask(EXAMPLES / entry["mask"], image.shape[:2], crop).labels
    labels, region = found.segmentation.labels, found.segmentation.region
    np.testing.assert_array_equal(region[labels], mask)
    espresso = found.probs[:, models.card("efficientnet_lite0").classes.index("espresso")]
    by_region = [np.corrcoef(found.z[:, region == r].mean(1), espresso)[0, 1] for r in (0, 1, 2)]
    assert by_region[1] > 0.5
    assert max(abs(by_region[0]), abs(by_region[2])) < 0.4


def test_a_picture_of_lesions_says_what_it_really_shows():
    page = open_page(model="lesions")
    example = page.selectbox(key="example-lesions").value
    pixels = images.load_image(EXAMPLES / example["file"]).pixels
    probs = lime.predict(models.load("lesions"), pixels)
    best = models.card("lesions").classes[int(np.argmax(probs))]
    assert f"It says **{best}**, {100 * probs.max():.1f} % sure." in text(page)
    assert f"The picture really shows **{example['truth']}**" in text(page)


def test_one_click_explains():
    page = explain(small())
    done = job(page)
    assert done.neighborhood.done
    assert done.model == "digits"
    assert done.neighborhood.segmentation.num == 20
    assert len(done.neighborhood.probs) == 128
    assert len(page.get("vega_lite_chart")) == 1
    assert "of the picture speaks for" in text(page)
    assert {"Picture", "Superpixels", "Numbers (JSON)", "Table (CSV)"} <= set(
        inputs(page, "download_button")
    )
    # Bit for bit what the same settings give in Python.
    direct = lime.explain(done.neighborhood.image, models.load("digits"), None, done.settings)
    np.testing.assert_array_equal(direct.neighborhood.probs, done.neighborhood.probs)
    assert page.button(key="explain").label == "Explain again"


@pytest.mark.parametrize("model", models.BUNDLED)
def test_every_classifier_opens_with_a_picture_and_explains(model):
    total = f"total-{model}"
    page = explain(open_page(**{"model": model, "samples": 64, total: 10}))
    assert not page.error
    assert job(page).model == model
    assert job(page).neighborhood.done


@pytest.mark.parametrize("number", range(len(INDEX)), ids=[entry["title"] for entry in INDEX])
def test_every_example_opens(number):
    entry = INDEX[number]
    model = entry.get("model", "digits")
    page = open_page(model=model)
    choice = page.selectbox(key=f"example-{model.partition('-')[0]}")
    (title,) = [t for t in choice.options if t == entry["title"]]
    fine(choice.select(title).run())
    assert not page.error
    shown = text(page)
    assert "It says **" in shown
    if entry.get("truth"):
        assert f"really shows **{entry['truth']}**" in shown


def test_the_guide_opens_and_the_way_back_too():
    page = explain(small())
    before = job(page)
    fine(page.switch_page("pages/guide.py").run())
    assert page.title[0].value == "How to read an explanation"
    fine(page.switch_page("pages/explain.py").run())
    assert job(page) is before
    assert page.button(key="explain").label == "Explain again"


# ------------------------------------------------------------------ drawing


def test_two_regions_are_cut_by_themselves_and_counted():
    page = small(**{"total-digits": 24})
    draw(page, rectangle(60, 60, 120, 120), rectangle(240, 240, 120, 120, region=3))
    counts = inputs(page)
    # Two squares of 8 × 8 out of 28 × 28 pixels: the same mean area everywhere.
    suggested = {name: widget.value for name, widget in counts.items() if name != "Seed"}
    assert suggested == {"Inside region 1": 2, "Inside region 3": 2, "Outside": 20}
    fine(counts["Inside region 1"].set_value(5).run())
    assert inputs(page)["Inside region 1"].value == 5
    segmentation = job(explain(page)).neighborhood.segmentation
    np.testing.assert_array_equal(np.bincount(segmentation.region), [20, 5, 2])
    drawn = segmentation.region[segmentation.labels]
    want = np.zeros((28, 28), int)
    want[4:12, 4:12], want[16:24, 16:24] = 1, 2
    np.testing.assert_array_equal(drawn, want)
    assert "in region" in text(page) or "outside your regions" in text(page)


def test_counts_follow_the_suggestion_until_set_by_hand_and_can_go_back():
    page = draw(small(), rectangle(60, 60, 210, 210))
    first = inputs(page)["Inside region 1"].value
    assert (first, inputs(page)["Outside"].value) == (5, 15)
    fine(page.slider(key="total-digits").set_value(40).run())
    assert inputs(page)["Inside region 1"].value == 10
    fine(inputs(page)["Inside region 1"].set_value(3).run())
    fine(page.slider(key="total-digits").set_value(80).run())
    assert inputs(page)["Inside region 1"].value == 3
    assert inputs(page)["Outside"].value == 60
    (back,) = [button for button in page.button if button.label == "Use the suggestion"]
    fine(back.click().run())
    assert inputs(page)["Inside region 1"].value == 20
    assert "Use the suggestion" not in inputs(page, "button")


def test_a_drawn_region_leads_the_answer_with_what_the_classifier_says_of_it():
    """Hidden and alone, as direct calls of the model have it; without a drawing there is none."""
    page = explain(small(**{"total-digits": 12, "replacement": "color", "color": "#000000"}))
    assert 'class="lc-regions"' not in text(page)
    explain(draw(page, rectangle(120, 30, 180, 360)))
    picture, model = job(page).neighborhood.image, models.load("digits")
    hidden = job(page).neighborhood.replacement
    inside = (job(page).neighborhood.segmentation.region != 0)[
        job(page).neighborhood.segmentation.labels
    ]
    whole = lime.predict(model, picture)
    target = int(np.argmax(whole))
    without, alone = (
        look.percent(float(lime.predict(model, np.where(on[..., None], picture, hidden))[target]))
        for on in (~inside, inside)
    )
    assert without != alone
    said = text(page)
    digit, first = job(page).classes[target], look.percent(float(whole[target]))
    sentence = f"Without region 1: {digit} {first} → {without}. Region 1 alone: {alone}."
    assert look.text(sentence) in said
    (table,) = [one for one in said.splitlines() if 'class="lc-regions"' in one]
    cells = re.findall(r"<span>([^<]*)</span>", table)
    assert list(map(html.unescape, cells)) == [first, without, alone, alone, without]


def test_zero_keeps_a_region_whole():
    page = draw(small(), rectangle(60, 60, 210, 210))
    fine(inputs(page)["Inside region 1"].set_value(0).run())
    segmentation = job(explain(page)).neighborhood.segmentation
    assert segmentation.inside.sum() == 1


def test_undo_and_clear():
    page = draw(small(), rectangle(60, 60, 90, 90), rectangle(240, 240, 90, 90, region=2))
    assert not inputs(page, "button")["Undo"].disabled
    fine(inputs(page, "button")["Undo"].click().run())
    assert "Inside region 1" in inputs(page)
    assert "Inside region 2" not in inputs(page)
    fine(inputs(page, "button")["Clear"].click().run())
    assert "Inside region 1" not in inputs(page)
    assert inputs(page, "button")["Clear"].disabled
    assert inputs(page, "button")["Undo"].disabled


@pytest.mark.parametrize(
    "raw",
    [
        {"objects": "nonsense"},
        {"objects": [{"type": "Rect", "left": "x"}, 3, None, {"type": []}]},
        {"objects": [rectangle(0, 0, 10, 10)] * 300},
        {"objects": [{**rectangle(0, 0, 10, 10), "left": float("nan")}]},
    ],
    ids=["no list", "no numbers", "too many", "nan"],
)
def test_a_drawing_that_makes_no_sense_breaks_nothing(raw):
    page = small()
    page.session_state[canvas_key(page)] = {
        "drawing": {"raw": raw, "data": None},
        "backgroundFit": None,
    }
    fine(page.run())
    assert job(explain(page)).neighborhood.done


def test_another_picture_and_back_keeps_the_drawing():
    page = draw(small(), rectangle(60, 60, 120, 120))
    choice = page.selectbox(key="example-digits")
    first, second = choice.options[:2]
    key = canvas_key(page)
    fine(choice.select(second).run())
    assert canvas_key(page) != key
    assert "Inside region 1" not in inputs(page)
    fine(page.selectbox(key="example-digits").select(first).run())
    assert "Inside region 1" in inputs(page)


def test_another_page_and_back_keeps_drawing_and_settings():
    page = draw(small(), rectangle(60, 60, 120, 120))
    fine(page.select_slider(key="samples").set_value(256).run())
    key = canvas_key(page)
    fine(page.switch_page("pages/guide.py").run())
    fine(page.switch_page("pages/explain.py").run())
    assert canvas_key(page) != key
    assert "Inside region 1" in inputs(page)
    assert page.selectbox(key="model").value == "digits"
    assert page.select_slider(key="samples").value == 256


# ------------------------------------------------------------------ settings and staleness


def test_an_answer_to_earlier_choices_is_marked_and_comes_back():
    page = explain(small())
    stale = "What you see below is the answer to your earlier choices."
    assert stale not in text(page)
    fine(page.number_input(key="seed").set_value(7).run())
    assert stale in text(page)
    assert page.button(key="explain").label == "Explain"
    fine(page.number_input(key="seed").set_value(0).run())
    assert stale not in text(page)
    assert page.button(key="explain").label == "Explain again"
    fine(page.number_input(key="seed").set_value(7).run())
    before = job(page)
    after = job(explain(page))
    assert after.settings.seed == 7
    assert after.neighborhood.z.shape == before.neighborhood.z.shape
    assert (after.neighborhood.z != before.neighborhood.z).any()
    assert stale not in text(page)


@pytest.mark.parametrize("key", ["design", "replacement", "segmenter"])
def test_every_choice_of_the_settings_explains(key):
    page = small(samples=64)
    labels, settings = page.selectbox(key=key).options, set()
    assert len(labels) >= 5
    for label in labels:
        fine(page.selectbox(key=key).select(label).run())
        if label == "another picture":
            explain(page)
            sentence = "Another picture needs a file, got none: choose an image file."
            assert [error.value for error in page.error] == [sentence]
            fine(page.file_uploader(key="other").set_value(("a.png", PNG, "image/png")).run())
        explain(page)
        assert not page.error, (label, page.error[0].value)
        assert job(page).neighborhood.done
        settings.add(job(page).settings)
    assert len(settings) == len(labels)


def test_samples_too_few_for_the_superpixels_are_not_offered():
    page = small(**{"samples": 64, "total-digits": 100})
    slider = page.select_slider(key="samples")
    assert slider.options == ["256", "512", "1000", "2000", "4000", "8000"]
    assert slider.value == 256
    assert len(job(explain(page)).neighborhood.probs) == 256
    page = small(**{"samples": 64, "total-digits": 5})
    assert page.select_slider(key="samples").value == 64  # all 32 combinations are tried anyway
    assert job(explain(page)).neighborhood.exact


def test_the_free_half_asks_the_classifier_nothing(monkeypatch):
    page = explain(small())
    shown = page.get("vega_lite_chart")[0].proto.spec

    def forbidden(*_):
        raise AssertionError("the classifier was asked")

    monkeypatch.setattr(lime, "query", forbidden)
    monkeypatch.setattr(lime, "ask", forbidden)
    done = job(page)
    for kind, key, value in (
        ("select_slider", "kernel", 0.5),
        ("select_slider", "penalty", 10.0),
        ("slider", "opacity", 0.3),
        ("toggle", "lines", False),
        ("slider", "shown-20", 5),
        ("selectbox", "palette", "blue-orange"),
        ("selectbox", f"target-{done.key}", int(np.argmin(done.neighborhood.probs[0]))),
    ):
        (widget,) = [widget for widget in page.get(kind) if widget.key == key]
        fine(widget.set_value(value).run())
        again = page.get("vega_lite_chart")[0].proto.spec
        assert again != shown, key
        shown = again
    before = text(page)
    fine(page.selectbox(key="rule").set_value("limecraft").run())
    assert text(page) != before
    assert job(page) is done


# ------------------------------------------------------------------ stop and go on


def test_a_stopped_run_goes_on_to_the_same_bits(monkeypatch):
    page = small(samples=512)
    whole = job(explain(page)).neighborhood
    page = small(samples=512)
    query = lime.query

    def stopped(model, neighborhood):
        for number, answered in enumerate(query(model, neighborhood)):
            if number == 2:
                return
            yield answered

    monkeypatch.setattr(lime, "query", stopped)
    part = job(explain(page)).neighborhood
    assert not part.done
    assert len(part.probs) == 128
    assert page.button(key="explain").label == "Go on"
    assert "Stopped after 128 of 512 samples" in text(page)
    assert len(page.get("vega_lite_chart")) == 1  # what is there is already an answer
    monkeypatch.setattr(lime, "query", query)
    gone_on = job(explain(page)).neighborhood
    assert gone_on.done
    np.testing.assert_array_equal(gone_on.probs, whole.probs)
    assert page.button(key="explain").label == "Explain again"


# ------------------------------------------------------------------ files

GRADIENT = Image.fromarray(np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3))
PNG = saved(GRADIENT, "PNG")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "An image must not be an empty file, got 0 bytes: choose another file."),
        (b"this is text", "An image must be a PNG, JPEG, WEBP, GIF, BMP or TIFF file, "),
        (PNG[: len(PNG) // 2], "An image must be a whole file, got a PNG of 60 × 40 pixels that "),
        (PNG[:20], "An image must be a whole PNG, JPEG, WEBP, GIF, BMP or TIFF file, "),
        (b"%PDF-1.4", "An image must be a PNG, JPEG, WEBP, GIF, BMP or TIFF file, got a PDF: "),
        (saved(GRADIENT.resize((4, 4)), "PNG"), "An image must be at least 8 × 8 pixels, "),
    ],
    ids=["empty", "text", "truncated", "header", "pdf", "tiny"],
)
def test_a_file_that_is_no_picture_is_one_sentence(data, sentence):
    page = small()
    fine(page.file_uploader(key="upload").set_value(("mine.png", data, "image/png")).run())
    (error,) = page.error
    assert error.value.startswith(sentence)
    assert "Going on with the example chosen above." in text(page)
    assert "It says **" in text(page)
    assert job(explain(page)).neighborhood.done


@pytest.mark.parametrize(
    ("name", "data", "note"),
    [
        ("deep.png", saved(Image.fromarray(np.full((40, 40), 40000, np.uint16)), "PNG"), ""),
        ("few.gif", saved(GRADIENT.quantize(8), "GIF"), "stretched"),
        ("print.jpg", saved(GRADIENT.convert("CMYK"), "JPEG"), "stretched"),
        ("glass.png", saved(GRADIENT.convert("RGBA").resize((40, 40)), "PNG"), ""),
        ("clear.png", saved(Image.new("RGBA", (30, 30), (9, 9, 9, 90)), "PNG"), "over white"),
        ("two.tif", saved(GRADIENT.convert("1"), "TIFF"), "stretched"),
    ],
)
def test_pictures_of_ones_own_work(name, data, note):
    page = small()
    fine(page.file_uploader(key="upload").set_value((name, data, "image/png")).run())
    assert not page.error
    assert name in text(page)
    assert note in text(page)
    want = models.load("digits").prepare(images.load_image(data).pixels)
    np.testing.assert_array_equal(job(explain(page)).neighborhood.image, want)
    assert "really shows" not in text(page)


def test_a_mask_file_is_used_and_drawn_upon():
    regions = np.zeros((28, 28), np.uint8)
    regions[4:12, 4:12] = 1
    page = small()
    box = next(box for box in page.file_uploader if box.key.startswith("mask-"))
    fine(box.set_value(("mask.png", masks.save_labels(regions), "image/png")).run())
    assert "Inside region 1" not in inputs(page)
    fine(inputs(page, "button")["Use this file"].click().run())
    assert "Inside region 1" in inputs(page)
    draw(page, rectangle(240, 240, 120, 120, region=2))
    assert {"Inside region 1", "Inside region 2"} <= set(inputs(page))
    segmentation = job(explain(page)).neighborhood.segmentation
    want = regions.astype(int)
    want[16:24, 16:24] = 2
    np.testing.assert_array_equal(segmentation.region[segmentation.labels], want)
    fine(inputs(page, "button")["Clear"].click().run())
    assert "Inside region 1" not in inputs(page)


@pytest.mark.parametrize("data", [b"", b"text", PNG[:60]], ids=["empty", "text", "truncated"])
def test_a_bad_mask_file_is_one_sentence(data):
    page = small()
    box = next(box for box in page.file_uploader if box.key.startswith("mask-"))
    fine(box.set_value(("mask.png", data, "image/png")).run())
    fine(inputs(page, "button")["Use this file"].click().run())
    (error,) = page.error
    assert error.value.startswith("A mask must ")
    assert "Inside region 1" not in inputs(page)
    assert job(explain(page)).neighborhood.done


# ------------------------------------------------------------------ one engine, three doors


def test_page_command_line_and_python_give_the_same_bits(tmp_path):
    page = draw(small(seed=3), rectangle(120, 30, 180, 360))
    inside, outside = inputs(page)["Inside region 1"].value, inputs(page)["Outside"].value
    done = job(explain(page))
    fine(page.select_slider(key="kernel").set_value(0.5).run())
    fine(page.select_slider(key="penalty").set_value(0.1).run())
    on_page = lime.resolve(done.neighborhood, Exponential(0.5), surrogate.Ridge(0.1))

    example = page.selectbox(key="example-digits").value
    mask = np.zeros((28, 28), np.int32)
    mask[2:26, 8:20] = 1
    (tmp_path / "mask.png").write_bytes(masks.save_labels(mask))
    options = {
        "--model": "digits", "--mask": tmp_path / "mask.png", "--out": tmp_path / "out",
        "--inside": inside, "--outside": outside, "--samples": 128, "--seed": 3,
        "--width": 0.5, "--penalty": 0.1,
    }  # fmt: skip
    given = [str(part) for pair in options.items() for part in pair]
    assert cli.main(["explain", str(EXAMPLES / example["file"]), "--quiet", *given]) == 0
    told = json.loads((tmp_path / "out" / "explanation.json").read_text())

    settings = lime.Settings(
        inside=inside,
        outside=outside,
        samples=128,
        seed=3,
        kernel=Exponential(0.5),
        ridge=surrogate.Ridge(0.1),
    )
    picture = images.load_image(EXAMPLES / example["file"]).pixels
    direct = lime.explain(picture, models.load("digits"), mask, settings)
    coefficients = np.array([one["coefficients"] for one in told["explanations"]])
    np.testing.assert_array_equal(coefficients, direct.fit.coef)
    np.testing.assert_array_equal(on_page.fit.coef, direct.fit.coef)
    np.testing.assert_array_equal(np.float32(told["probabilities"]), done.neighborhood.probs[0])
    shown = json.loads(page.get("vega_lite_chart")[0].proto.spec)
    target = int(np.argmax(done.neighborhood.probs[0]))
    largest = max(np.abs(direct.fit.coef[target])) * 100
    effects = [row["Effect"] for row in _bars(shown)]
    assert max(map(abs, effects)) == largest


def _bars(spec: dict) -> list[dict]:
    """The rows of the chart's bars."""
    tables = [layer["data"] for layer in spec["hconcat"][1:] if "data" in layer]
    tables += list(spec.get("datasets", {}).values())
    rows = [table["values"] if isinstance(table, dict) else table for table in tables]
    return next(r for r in rows if r and "Effect" in r[0])
