"""A saved session on the page: opened, done again, stopped and gone on with, or refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from limecraft_jax import models
from limecraft_jax.app.shared import limits, work
from limecraft_jax.compare import bundle
from limecraft_jax.compare.variants import compare
from limecraft_jax.edits.edit import EDITS, Blur, Rotate, Shift, Step, as_record
from limecraft_jax.path import lime
from tests.app.test_page import fine, inputs, text
from tests.app.test_whatif_page import ONE, add, lab, open_page, press
from tests.compare.test_bundle import changed, session

SETTINGS = lime.Settings(inside=3, outside=9, samples=128, seed=4)
VARIANTS = (("turned", (Step(Rotate(40), (7,)),)), ("both", (Step(Shift(2, 1), (7,)),) * 3))
SAME = "Done again: every number is the same, to the last digit."


@pytest.fixture(scope="module")
def saved() -> bytes:
    """A session about a digit, its one region called 7."""
    model = models.load("digits")
    image, mask = np.zeros((28, 28, 1), np.float32), np.zeros((28, 28), np.int32)
    image[6:20, 10:17], mask[5:22, 9:18] = 0.8, 7
    made = compare(model, image, mask, VARIANTS, SETTINGS)
    return bundle.write(made, SETTINGS, "digits", model.card.classes, batch=model.batch)


def give(data: bytes, **state) -> AppTest:
    """A visitor's page after a session was opened on it."""
    page = open_page(**state)
    page.file_uploader(key="session-file").set_value(("s.zip", data, "application/zip"))
    fine(page.run())
    return press(page, "Open it")


def steps(saved: bytes, *records: dict) -> bytes:
    """The session with one variant of other edits."""
    return session(saved, variants=[{"name": "x", "steps": list(records)}])


def stopped_after(monkeypatch, count: int) -> None:
    """As if the visitor pressed Stop after so many parts of the work."""
    whole = work.batches

    def batches(parts):
        for i, part in enumerate(whole(parts), 1):
            yield part
            if i == count:
                st.stop()

    monkeypatch.setattr(work, "batches", batches)


def test_an_opened_session_is_done_again_and_on_the_page(saved):
    page = give(saved)
    assert [info.value for info in page.info] == [SAME]
    assert not page.error
    assert "Stop" not in inputs(page, "button")
    assert page.session_state["session"].replaying is None
    opened = page.session_state["session"].opened
    found = page.session_state["session"].lab(opened.key)
    assert [v.name for v in found.comparison.variants] == ["original", "turned", "both"]
    assert list(found.variants) == ["turned", "both"]
    assert found.stack == tuple(Step(step.edit, (1,)) for step in VARIANTS[1][1])


@pytest.mark.parametrize("parts", [2, 6, 10])
def test_a_replay_can_be_stopped_and_gone_on_with(saved, parts, monkeypatch):
    with monkeypatch.context() as patch:
        stopped_after(patch, parts)
        page = give(saved)
    assert not page.error
    assert "Stop" in inputs(page, "button")
    fine(page.run())
    assert "Stop" not in inputs(page, "button")
    assert "Stopped: the opened session is not done again yet." in text(page)
    assert SAME not in text(page)
    assert "Add this edit" in inputs(page, "button")
    press(page, "Go on with it")
    assert [info.value for info in page.info] == [SAME]
    assert "Go on with it" not in inputs(page, "button")


@pytest.mark.parametrize(("parts", "finished"), [(1, None), (3, 0), (7, 1), (9, 1)])
def test_a_comparison_can_be_stopped_and_gone_on_with(parts, finished, monkeypatch):
    """One edit, then for each of two pictures: no answers, four batches, finished."""
    whole = lab(press(add(open_page(ONE), "rotate"), "Explain all")).comparison
    page = add(open_page(ONE), "rotate")
    with monkeypatch.context() as patch:
        stopped_after(patch, parts)
        press(page, "Explain all")
    assert "Stop" in inputs(page, "button")
    fine(page.run())
    assert "Stop" not in inputs(page, "button")
    part = lab(page).comparison
    if finished is None:
        assert part is None
        press(page, "Explain all")
    else:
        assert len(part.variants) == finished
        assert f"Stopped: {finished} of 2 pictures are explained." in text(page)
        assert ("Session" in inputs(page, "download_button")) == (finished > 0)
        asked = []
        query = lime.query
        monkeypatch.setattr(lime, "query", lambda m, n: asked.append(len(n.probs)) or query(m, n))
        press(page, "Go on")
        assert len(asked) == 2 - finished
        assert asked[0] == {3: 64, 7: 0, 9: 64}[parts]
    for ours, theirs in zip(lab(page).comparison.variants, whole.variants, strict=True):
        np.testing.assert_array_equal(ours.probs, theirs.probs)
        np.testing.assert_array_equal(ours.explanation.fit.coef, theirs.explanation.fit.coef)
    assert "Explain all" in inputs(page, "button")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"samples": 8001}, "samples must be from 1 to 8000 on this page, got 8001: "),
        ({"outside": 2001}, "outside must be a whole number from 0 to 2000, got 2001"),
        ({"inside": [1, 2001]}, "each count inside must be a whole number from 0 to 2000, got 2"),
        ({"total": 9999}, "total must be a whole number from 1 to 2000, got 9999"),
        ({"samples": 2_000_000}, "samples must be "),
        (
            {"replacement": {"choice": "blur", "sigma": 1e6}},
            "sigma ",
        ),
    ],
)
def test_a_session_that_asks_for_more_than_the_page_can_is_one_sentence(values, sentence, saved):
    page = give(session(saved, settings=values))
    assert page.info[0].value.startswith(f"The file cannot be opened: {sentence}")
    assert page.session_state["session"].opened is None


@pytest.mark.parametrize("kind", EDITS)
def test_knobs_of_a_session_go_as_far_as_those_of_the_page(kind, saved):
    for name, knob in getattr(EDITS[kind], "knobs", {}).items():
        limits.check(
            bundle.read(steps(saved, as_record(Step(EDITS[kind](**{name: knob.high}), (7,)))))
        )
        for value in (knob.high + 1, knob.low - 1):
            try:
                step = Step(EDITS[kind](**{name: value}), (7,))
            except ValueError:
                continue  # no such edit
            with pytest.raises(ValueError, match=f"^{name} of .* on this page, got "):
                limits.check(bundle.read(steps(saved, as_record(step))))


def test_too_many_variants_edits_and_pictures_at_once_are_one_sentence(saved):
    blur = as_record(Step(Blur(), (7,)))
    many = [{"name": str(i), "steps": []} for i in range(limits.MOST_VARIANTS + 1)]
    for data, sentence in (
        (session(saved, variants=many), "the number of variants must be from 0 to 16 on this pa"),
        (steps(saved, *[blur] * 33), "the number of edits of 'x' must be from 0 to 32 on this p"),
    ):
        with pytest.raises(ValueError, match=sentence):
            limits.check(bundle.read(data))
    page = give(session(saved, batch=65))
    (info,) = page.info
    assert info.value.startswith(
        "The session cannot be done again: the number of pictures asked about at once must be "
        "from 0 to 64 on this page, got 65: "
    )
    assert "Add this edit" in inputs(page, "button")


def test_all_combinations_of_many_superpixels_are_more_than_the_page_asks(saved, monkeypatch):
    monkeypatch.setattr(lime, "query", lambda *_: pytest.fail("nothing may be asked"))
    settings = {"design": {"choice": "exhaustive"}, "inside": 7, "outside": 7, "samples": 64}
    page = give(session(saved, settings=settings, variants=[]))
    (info,) = page.info
    assert info.value.startswith(
        "The session cannot be done again: the number of questions about one picture must be "
        "from 1 to 8000 on this page, got 16384: "
    )


def test_the_widgets_end_where_sessions_end():
    page = add(open_page(ONE), "rotate")
    assert page.select_slider(key="samples").options[-1] == str(limits.MOST_SAMPLES)
    stack = (Step(Rotate(1), (1,)),) * limits.MOST_STEPS
    lab(page).do(stack[1:])
    fine(page.run())
    assert not inputs(page, "button")["Add this edit"].disabled
    lab(page).do(stack)
    lab(page).variants = {str(i): stack[:1] for i in range(limits.MOST_VARIANTS)}
    fine(page.run())
    assert inputs(page, "button")["Add this edit"].disabled
    assert inputs(page, "button")["Keep it"].disabled


def test_numbers_of_another_machine_are_told(saved):
    results = bundle.read(saved).results
    results["table"][0]["class"] = "**bold**"
    page = give(changed(saved, results__json=json.dumps(results)))
    (info,) = page.info
    assert info.value.startswith("Done again: 1 numbers differ, the first being table 0, class: ")
    assert r"\*\*bold\*\*" in info.value
