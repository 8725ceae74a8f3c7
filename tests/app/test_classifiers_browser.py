"""Other classifiers in a real browser: a public one with 1000 classes, and a visitor's own."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect
from safetensors.numpy import save_file

from limecraft_jax import models
from limecraft_jax.models import hub
from tests.app.test_browser import button, choose, chromium, idle, set_samples, visit
from tests.golden.weights import array
from tests.models.test_networks import recalled
from tests.server import ROOT, serve

__all__ = ["chromium", "visit"]  # fixtures


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the app runs, MobileNet V2 with random weights on its machine."""
    folder = tmp_path_factory.mktemp("classifiers")
    shapes = recalled("torchvision-mobilenet_v2")[0]["shapes"]
    given = folder / "given.safetensors"
    save_file({key: array(key, tuple(shape)) for key, shape in shapes.items()}, given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMECRAFT_JAX_CACHE", str(folder / "cache"))
        hub.adopt(models.card("mobilenet_v2"), given, accept=True)
        with serve(folder / "log.txt") as address:
            yield address


def test_one_of_a_thousand_classes_is_found_by_typing(visit):
    page = visit(classifier="")
    choose(page, "Classifier", "MobileNet V2 (ImageNet), run by onnxruntime")
    expect(page.get_by_role("combobox", name="Picture")).to_have_value("Chelsea the cat")
    expect(page.locator("text=It says")).to_have_count(1)
    set_samples(page, -3)
    button(page, "Explain").click()
    expect(page.get_by_text("Read the answer")).to_be_visible(timeout=60_000)
    idle(page)
    menu = page.get_by_role("combobox", name="Explain the class")
    menu.click()
    menu.fill("tabby")
    page.keyboard.press("Enter")
    idle(page)
    expect(page.get_by_text("of the picture speaks for tabby").first).to_be_visible()


def test_a_model_of_ones_own_is_put_in_and_explained(visit, tmp_path):
    about = tmp_path / "about.json"
    about.write_text(json.dumps({"classes": ["cat", "dog", "fish"]}))
    page = visit(800, "dark", "")
    page.get_by_text("Bring your own classifier").click()
    boxes = page.locator("input[type=file]")
    expect(boxes).to_have_count(3)
    boxes.nth(0).set_input_files(ROOT / "tests" / "golden" / "exports" / "torch_export.onnx")
    boxes.nth(1).set_input_files(about)
    use = button(page, "Use this classifier")
    expect(use).to_be_enabled()
    idle(page)
    use.click()
    expect(page.get_by_role("combobox", name="Classifier")).to_have_value("torch_export")
    idle(page)
    expect(page.get_by_text("It says")).to_contain_text("sure")
    set_samples(page, -3)
    button(page, "Explain").click()
    expect(page.get_by_text("Read the answer")).to_be_visible(timeout=60_000)
    idle(page)
    assert page.evaluate("document.body.scrollWidth") <= 800
