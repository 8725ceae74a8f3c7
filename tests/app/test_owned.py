"""A visitor's own classifier, on the page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from limecraft_jax import models, open_model
from limecraft_jax.app.shared import cache
from limecraft_jax.models import installed
from limecraft_jax.path import lime
from tests.app.test_gallery import PAGE, menu
from tests.models import test_checkpoint, test_onnx


@pytest.fixture
def page():
    """The page of a new visitor."""
    return AppTest.from_file(str(PAGE), default_timeout=120).run()


def give(page, name, data, about=None):
    model = page.file_uploader(key="own-model")
    model.set_value((name, data, "application/octet-stream"))
    if about is not None:
        page.file_uploader(key="own-about").set_value(
            ("about.json", json.dumps(about).encode(), "application/json")
        )
    page.run()
    next(b for b in page.button if b.label == "Use this classifier").click()
    page.run()
    assert not page.exception
    return page


def test_an_onnx_file_is_explained_as_in_python(page, tmp_path):
    path = test_onnx.linear(tmp_path / "mine.onnx")
    k = test_onnx.WEIGHTS.shape[-1]
    about = {"classes": [f"kind {i}" for i in range(k)]}
    give(page, "mine.onnx", path.read_bytes(), about)
    assert menu(page).value.startswith("own-")
    assert menu(page).options[-1] == "mine"
    assert not page.error
    model = open_model(path, about)
    said = next(m.value for m in page.markdown if m.value.startswith("It says"))
    picture = page.session_state["session"].drawn_on
    assert picture
    page.button(key="explain").click().run()
    assert not page.exception
    job = page.session_state["session"].job
    assert job.neighborhood.done
    probs = lime.predict(model, job.neighborhood.image)
    np.testing.assert_allclose(job.neighborhood.probs[0], probs, atol=1e-6)
    assert about["classes"][int(probs.argmax())] in said


def test_what_cannot_be_used_is_one_sentence_and_nothing_is_lost(page):
    give(page, "mine.onnx", b"this is no graph")
    assert menu(page).value == "efficientnet_lite0"
    assert len(page.error) == 1
    assert "onnx" in page.error[0].value.lower()


def test_a_state_dict_of_pytorch_is_opened_and_a_whole_network_is_not(page):
    network = test_checkpoint.FOLDER / "network.pt"
    give(page, "network.pt", network.read_bytes(), {"network": "efficientnet_lite0"})
    assert "must be a state dict" in page.error[0].value
    card = models.card("efficientnet_lite0")
    about = {key: getattr(card, key) for key in ("network", "height", "width", "mean", "std")}
    about |= {"classes": "imagenet", "crop": card.crop, "resample": card.resample}
    give(page, "mine.pth", installed.available(card).read_bytes(), about)
    assert menu(page).value.startswith("own-")
    assert not page.error
    said = next(m.value for m in page.markdown if m.value.startswith("It says"))
    assert said.startswith("It says **tiger cat**, 39.4 % sure.")  # of Chelsea


def test_a_wrong_list_of_classes_is_told_before_any_run(page, tmp_path):
    path = test_onnx.linear(tmp_path / "mine.onnx")
    give(page, "mine.onnx", path.read_bytes(), {"classes": ["only", "these", "5", "and", "more"]})
    assert menu(page).value == "efficientnet_lite0"
    assert "class" in page.error[0].value


def test_the_oldest_gives_way_when_there_are_many(monkeypatch):
    kept = {}
    monkeypatch.setattr(cache, "owned", lambda: kept)
    for i in range(cache.MOST_OWNED + 2):
        cache.hold(f"own-{i}", i)
    assert list(kept) == [f"own-{i}" for i in range(2, cache.MOST_OWNED + 2)]
    with pytest.raises(ValueError, match="bring its file again"):
        cache.model("own-0")


def test_a_keras_model_stays_whole_while_the_page_is_used(page, tmp_path):
    # Streamlit clears what Keras keeps for itself after every run of a page.
    import keras

    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    path = tmp_path / "mine.keras"
    keras.Sequential(layers).save(path)
    about = {"classes": ["a", "b", "c"], "output": "logits"}
    give(page, "mine.keras", path.read_bytes(), about)
    assert not page.error
    for seed in (0, 1):
        page.number_input(key="seed").set_value(seed)
        page.button(key="explain").click().run()
        assert not page.exception
        assert not page.error
        job = page.session_state["session"].job
        assert job.neighborhood.done
        probs = lime.predict(open_model(path, about), job.neighborhood.image)
        np.testing.assert_allclose(job.neighborhood.probs[0], probs, atol=1e-6)
