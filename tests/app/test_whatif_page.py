"""What the editing page does, without a browser: every number on it is the engine's own."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from limecraft_jax import models
from limecraft_jax.app.shared.cache import EXAMPLES
from limecraft_jax.compare.variants import compare
from limecraft_jax.edits import edit
from limecraft_jax.edits.edit import Brightness, Flip, Hue, Noise, Remove, Rotate, Shift, Step
from limecraft_jax.files import images
from limecraft_jax.path import lime, sample
from limecraft_jax.path.segment import suggest
from tests.app.test_page import canvas_key, draw, fine, inputs, rectangle, text
from tests.server import ROOT

ONE = rectangle(120, 90, 150, 240)  # in canvas pixels, 15 of which are a pixel of a digit
TWO = rectangle(300, 60, 90, 120, region=3)


def open_page(*drawn, path="pages/whatif.py", **state) -> AppTest:
    """A fresh visitor's editing page with something drawn on a digit."""
    page = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
    for key, value in {"model": "digits", "samples": 256, **state}.items():
        page.session_state[key] = value
    page = fine(page.switch_page(path).run())
    return draw(page, *drawn) if drawn else page


def picture(page: AppTest) -> np.ndarray:
    """The picture on the page as the classifier sees it."""
    example = page.selectbox(key="example-digits").value
    loaded = images.load_image(EXAMPLES / example["file"]).pixels
    return models.load("digits").prepare(loaded)


def mask(*regions: int) -> np.ndarray:
    """What `ONE` and `TWO` select."""
    out = np.zeros((28, 28), np.int32)
    if 1 in regions:
        out[6:22, 8:18] = 1
    if 2 in regions:
        out[4:12, 20:26] = 2
    return out


def lab(page: AppTest):
    """The edits of the picture on the page."""
    return next(iter(page.session_state["session"].labs.values()))


def press(page: AppTest, label: str) -> AppTest:
    """Press a button."""
    return fine(inputs(page, "button")[label].click().run())


def press_key(page: AppTest, key: str) -> AppTest:
    """Press a button that shows a symbol only."""
    return fine(page.button(key=key).click().run())


def add(page: AppTest, name: str, *regions: int) -> AppTest:
    """Add an edit with its defaults."""
    fine(page.selectbox(key="edit-kind").set_value(name).run())
    if regions:
        fine(inputs(page, "multiselect")["of"].set_value(list(regions)).run())
    return press(page, "Add this edit")


def turn(page: AppTest, i: int, field: str, value: float, kind: str = "slider") -> AppTest:
    """Turn a knob of a step."""
    found = [
        w
        for w in page.get(kind)
        if (w.key or "").startswith("knob-")
        and w.key.split("-")[-3] == str(i)
        and w.key.endswith(f"-{field}")
    ]
    (knob,) = found
    return fine(knob.set_value(value).run())


def says(page: AppTest, stack: tuple, drawn: np.ndarray) -> None:
    """The page's stack, and its table: the engine's answers, bit for bit."""
    assert lab(page).stack == stack
    assert not page.error
    (table,) = [t.value for t in page.dataframe if "edited" in t.value.columns]
    model, image = models.load("digits"), picture(page)
    before = lime.predict(model, image)
    after = lime.predict(model, edit.apply(image, drawn, stack).image)
    rows = table.set_index("class").loc[list(model.card.classes)]
    np.testing.assert_array_equal(rows["original"], 100 * before.astype(float))
    np.testing.assert_array_equal(rows["edited"], 100 * after.astype(float))
    np.testing.assert_array_equal(rows["difference"], 100 * (after - before).astype(float))
    assert list(table["difference"].abs()) == sorted(table["difference"].abs(), reverse=True)


# ------------------------------------------------------------------ the stack


def test_the_page_opens_and_asks_for_a_drawing():
    page = open_page()
    assert page.title[0].value == "What if it looked different?"
    assert "Draw a region first" in text(page)
    assert not page.error
    assert "Add this edit" not in inputs(page, "button")
    says(draw(page, ONE), (), mask(1))


def test_every_change_of_the_stack_shows_what_the_engine_says():
    page, drawn = open_page(ONE), mask(1)
    turned, moved = Step(Rotate(180), (1,)), Step(Shift(10, 10), (1,))
    says(add(page, "rotate"), (turned,), drawn)
    says(turn(page, 0, "angle", 40.0), ((forty := Step(Rotate(40), (1,))),), drawn)
    says(add(page, "shift"), (forty, moved), drawn)
    says(turn(page, 1, "right", -3.0), (forty, (left := Step(Shift(-3, 10), (1,)))), drawn)
    says(press_key(page, "down-0"), (left, forty), drawn)
    says(press_key(page, "up-1"), (forty, left), drawn)
    (switch,) = [t for t in page.toggle if t.key.startswith("on-") and t.key.endswith("-0")]
    fine(switch.set_value(False).run())
    off = Step(Rotate(40), (1,), on=False)
    says(page, (off, left), drawn)
    says(press_key(page, "gone-1"), (off,), drawn)
    says(press(page, "Undo edit"), (off, left), drawn)
    says(press(page, "Undo edit"), (forty, left), drawn)
    says(press(page, "Undo edit"), (left, forty), drawn)
    says(press(page, "Redo edit"), (forty, left), drawn)
    says(press(page, "No edits"), (), drawn)
    says(press(page, "Undo edit"), (forty, left), drawn)
    for _ in range(6):
        assert not inputs(page, "button")["Undo edit"].disabled
        press(page, "Undo edit")
    says(page, (), drawn)
    assert inputs(page, "button")["Undo edit"].disabled


@pytest.mark.parametrize("name", edit.EDITS)
def test_every_edit_can_be_added(name):
    page = open_page(ONE)
    add(page, name)
    says(page, (Step(edit.EDITS[name](), (1,)),), mask(1))


def test_knobs_of_every_kind_turn():
    page, drawn = open_page(ONE), mask(1)
    add(page, "noise")
    turn(page, 0, "seed", 5, "number_input")
    says(turn(page, 0, "sigma", 0.25), (noise := Step(Noise(0.25, 5), (1,)),), drawn)
    add(page, "flip")
    turned = turn(page, 1, "axis", "up-down", "selectbox")
    says(turned, (noise, flip := Step(Flip("up-down"), (1,))), drawn)
    add(page, "recolor")
    (color,) = page.color_picker
    fine(color.set_value("#ff0080").run())
    wanted = edit.Recolor(1, 0, round(128 / 255, 4))
    says(page, (noise, flip, Step(wanted, (1,))), drawn)


def test_edits_of_one_region_of_two_and_of_the_rest():
    page, drawn = open_page(ONE, TWO), mask(1, 2)
    says(add(page, "brightness", 2), ((one := Step(Brightness(), (2,))),), drawn)
    says(add(page, "contrast", 0), (one, Step(edit.Contrast(), (0,))), drawn)
    says(add(page, "rotate", 1, 2), (*lab(page).stack[:2], Step(Rotate(), (1, 2))), drawn)


def test_drawing_and_edits_are_there_on_every_page():
    page = open_page(ONE, path="pages/explain.py")
    assert "Inside region 1" in inputs(page)
    fine(page.switch_page("pages/whatif.py").run())
    says(add(page, "rotate"), (Step(Rotate(), (1,)),), mask(1))
    key = canvas_key(page)
    fine(page.switch_page("pages/explain.py").run())
    assert canvas_key(page) != key
    assert "Inside region 1" in inputs(page)
    fine(page.switch_page("pages/guide.py").run())
    fine(page.switch_page("pages/whatif.py").run())
    says(page, (Step(Rotate(), (1,)),), mask(1))


# ------------------------------------------------------------------ variants


def keep(page: AppTest, name: str) -> AppTest:
    """Keep the edits under a name."""
    fine(inputs(page, "text_input")["Name of this variant"].set_value(name).run())
    return press(page, "Keep it")


def test_variants_are_kept_compared_loaded_and_forgotten():
    page, drawn = open_page(ONE), mask(1)
    assert inputs(page, "button")["Keep it"].disabled
    stacks = {"turned": (Step(Rotate(), (1,)),), "gone": (Step(Remove(), (1,)),)}
    keep(add(page, "rotate"), "turned")
    press(page, "No edits")
    keep(add(page, "remove"), "gone")
    press(page, "No edits")
    assert lab(page).variants == stacks
    (table,) = [t.value for t in page.dataframe if "turned" in t.value.columns]
    model, image = models.load("digits"), picture(page)
    for name, stack in {"original": (), **stacks}.items():
        said = lime.predict(model, edit.apply(image, drawn, stack).image)
        rows = table.set_index("class")[name].loc[list(model.card.classes)]
        np.testing.assert_array_equal(rows, 100 * said.astype(float))
    says(press_key(page, "load-turned"), stacks["turned"], drawn)
    press_key(page, "drop-gone")
    assert list(lab(page).variants) == ["turned"]
    says(page, stacks["turned"], drawn)


def test_explain_all_is_the_comparison_of_the_engine():
    page, drawn = open_page(ONE, TWO), mask(1, 2)
    assert inputs(page, "button")["Explain all"].disabled
    keep(add(page, "rotate"), "turned")
    press(page, "No edits")
    add(page, "remove", 2)
    press(page, "Explain all")
    assert not page.error
    found = lab(page).comparison
    stacks = [("turned", (Step(Rotate(), (1,)),)), ("as it stands", (Step(Remove(), (2,)),))]
    inside, outside = suggest(drawn)
    settings = lime.Settings(inside=inside, outside=outside, samples=256, seed=0)
    assert found.settings == settings
    want = compare(models.load("digits"), picture(page), drawn, stacks, settings)
    assert [v.name for v in found.variants] == ["original", "turned", "as it stands"]
    for ours, theirs in zip(found.variants, want, strict=True):
        assert ours.stack == theirs.stack
        np.testing.assert_array_equal(ours.image, theirs.image)
        np.testing.assert_array_equal(ours.mask, theirs.mask)
        np.testing.assert_array_equal(ours.probs, theirs.probs)
        np.testing.assert_array_equal(ours.explanation.fit.coef, theirs.explanation.fit.coef)
    assert {"Report", "Session", "Edited picture", "Edited mask"} <= set(
        inputs(page, "download_button")
    )
    stale = "What you see below is the answer to earlier edits or choices."
    assert stale not in text(page)
    add(page, "blur", 1)
    assert stale in text(page)
    press(page, "Undo edit")
    assert stale not in text(page)
    assert lab(page).comparison is found


def test_the_choices_of_the_page_are_those_of_the_comparison():
    page = add(open_page(ONE, seed=7, design="bernoulli", replacement="blur"), "rotate")
    press(page, "Explain all")
    settings = lab(page).comparison.settings
    assert (settings.seed, settings.samples) == (7, 256)
    assert settings.design == sample.Bernoulli()
    assert type(settings.replacement).__name__ == "Blur"


def test_turning_a_knob_through_its_range():
    page = add(open_page(ONE), "rotate")
    press(page, "Turn it")
    assert not page.error
    assert "another class is on top from there on" in text(page)
    assert ("The smallest angle that changes the class is" in text(page)) or (
        "No angle from -180 to 180 changes the class." in text(page)
    )


# ------------------------------------------------------------------ bad cases


def refused(page: AppTest, sentence: str) -> None:
    """One sentence, and the stack with its controls still there."""
    assert [error.value for error in page.error] == [sentence]
    assert "Undo edit" in inputs(page, "button")


def test_moving_everything_out_is_one_sentence_and_loses_nothing():
    page, drawn = open_page(ONE), mask(1)
    first = Step(Rotate(), (1,))
    keep(add(page, "rotate"), "turned")
    turn(add(page, "shift"), 1, "right", 90.0)
    refused(
        page,
        "An edit must leave some of region 1 in the picture, got nothing of it: "
        "move or shrink it less, or remove it.",
    )
    assert lab(page).stack == (first, Step(Shift(90, 10), (1,)))
    says(turn(page, 1, "right", 2.0), (first, Step(Shift(2, 10), (1,))), drawn)
    assert list(lab(page).variants) == ["turned"]


def test_a_removed_region_cannot_be_edited_again_but_taken_back():
    page, drawn = open_page(ONE), mask(1)
    gone = Step(Remove(), (1,))
    says(add(page, "remove"), (gone,), drawn)
    add(page, "rotate")
    refused(page, "Region 1 must have pixels, got none: draw it first.")
    assert lab(page).stack == (gone, Step(Rotate(), (1,)))
    says(press_key(page, "up-1"), (Step(Rotate(), (1,)), gone), drawn)
    press(page, "Undo edit")
    says(press(page, "Undo edit"), (gone,), drawn)


def test_edits_of_a_region_that_is_no_longer_drawn_are_one_sentence():
    page = open_page(ONE, TWO)
    keep(add(page, "brightness", 2), "bright")
    press(page, "Undo")  # the second rectangle
    refused(page, "Region 2 must have pixels, got none: choose one of 1.")
    draw(page, ONE, TWO)
    says(page, (Step(Brightness(), (2,)),), mask(1, 2))
    press(page, "Undo")
    press(page, "No edits")
    assert len(page.error) == 1  # the variant that was kept
    assert list(lab(page).variants) == ["bright"]
    press_key(page, "drop-bright")
    says(page, (), mask(1))


def test_the_whole_picture_cannot_be_removed_but_painted():
    page = open_page(rectangle(0, 0, 420, 420))
    whole = np.ones((28, 28), np.int32)
    add(page, "remove")
    (error,) = page.error
    assert error.value.startswith("Filling in needs something around the region, got a region")
    press(page, "Undo edit")
    says(add(page, "brightness"), (Step(Brightness(), (1,)),), whole)
    press(page, "Undo edit")
    says(add(page, "hue"), (Step(Hue(), (1,)),), whole)


def test_a_name_given_twice_replaces_and_a_reserved_one_is_one_sentence():
    page = open_page(ONE)
    keep(add(page, "rotate"), "mine")
    keep(add(page, "blur"), "mine")
    assert lab(page).variants == {"mine": (Step(Rotate(), (1,)), Step(edit.Blur(), (1,)))}
    keep(page, "original")
    press(page, "Explain all")
    refused(
        page,
        "Variants must have names of their own besides 'original', got 'original': choose another.",
    )
    press_key(page, "drop-original")
    assert list(lab(page).variants) == ["mine"]
    assert not page.error
