"""Classifiers that can be fetched, on the page."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

from limecraft_jax import models
from limecraft_jax.models import hub
from tests.golden.weights import array
from tests.models.test_networks import recalled

PAGE = Path(__file__).resolve().parents[2] / "pages" / "explain.py"


@pytest.fixture
def page(monkeypatch, tmp_path):
    """The page of someone who has fetched nothing yet."""
    monkeypatch.setenv("LIMECRAFT_JAX_CACHE", str(tmp_path))
    return AppTest.from_file(str(PAGE), default_timeout=120)


def menu(page):
    return next(box for box in page.selectbox if box.label == "Classifier")


def test_public_classifiers_are_offered_with_their_facts(page):
    page.run()
    assert not page.exception
    words = " ".join(m.value for m in [*page.markdown, *page.caption])
    for name in models.PUBLIC:
        card = models.card(name)
        assert card.title in words
        assert f"{len(card.classes)} classes" in words
        assert page.button(key=f"fetch-{name}").label == f"Fetch {hub.megabytes(card)} MB"
        assert card.title not in menu(page).options


def test_without_network_there_is_a_sentence_and_everything_stays(page, monkeypatch):
    away = functools.partial(hub.fetch, base="https://127.0.0.1:9", timeout=2)
    monkeypatch.setattr(hub, "fetch", away)
    page.run()
    page.button(key="fetch-mobilenet_v2").click().run()
    assert not page.exception
    assert len(page.error) == 1
    assert "mobilenet_v2.safetensors" in page.error[0].value
    assert menu(page).value == "efficientnet_lite0"


def test_a_fetched_classifier_is_in_the_menu_and_names_a_photograph(page, monkeypatch, tmp_path):
    shapes = recalled("torchvision-mobilenet_v2")[0]["shapes"]
    path = tmp_path / "given.safetensors"
    save_file({key: array(key, tuple(shape)) for key, shape in shapes.items()}, path)

    def arrive(card, progress=None):
        progress(1, 2)
        return hub.adopt(card, path, accept=True)

    monkeypatch.setattr(hub, "fetch", arrive)
    page.run()
    page.button(key="fetch-mobilenet_v2").click().run()
    card = models.card("mobilenet_v2")
    assert card.title in menu(page).options
    menu(page).set_value("mobilenet_v2").run()
    assert not page.exception
    assert not page.error
    assert page.selectbox(key="example-mobilenet_v2").options[:3] == [
        "Chelsea the cat",
        "An astronaut",
        "A cup of coffee",
    ]
    said = next(m.value for m in page.markdown if m.value.startswith("It says"))
    assert any(name in said for name in card.classes)
    assert any("here" in c.value and "(a guess)" not in c.value for c in page.caption)
    drawn_on = page.session_state["session"].drawn_on
    menu(page).set_value("mobilenet_v2@onnxruntime").run()
    assert not page.exception
    assert not page.error
    again = next(m.value for m in page.markdown if m.value.startswith("It says"))
    assert again == said
    assert page.session_state["session"].drawn_on == drawn_on, "a drawing stays"
    assert np.any(["Or use a picture" in box.label for box in page.get("file_uploader")])
