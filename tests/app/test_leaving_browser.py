"""Work ends when its visitor is gone, whatever it is: a real server, and a tab that is closed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from limecraft_jax import models
from limecraft_jax.compare import bundle
from limecraft_jax.compare.variants import compare
from limecraft_jax.edits.edit import Rotate, Step
from limecraft_jax.path import lime
from tests import tiny
from tests.app.test_browser import SQUARE, button, choose, chromium, idle, lasso, ready, set_samples
from tests.server import serve

__all__ = ["chromium"]  # a fixture
PATIENCE = 60  # seconds


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """Where the server tells what it does."""
    return tmp_path_factory.mktemp("trace")


@pytest.fixture(scope="module")
def address(trace, tmp_path_factory):
    """Where an app runs whose work can be made to wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMECRAFT_TRACE", str(trace))
        with serve(tmp_path_factory.mktemp("server") / "log.txt", "tests.app.traced") as address:
            yield address


@pytest.fixture(scope="module")
def saved():
    """A session about the lesions."""
    model = models.load("lesions")
    image, mask = tiny.picture(128, 128, 3), np.zeros((128, 128), np.int32)
    mask[40:80, 40:80] = 1
    variants, settings = (
        [("turned", (Step(Rotate(9), (1,)),))],
        lime.Settings(total=20, samples=128),
    )
    made = compare(model, image, mask, variants, settings)
    return bundle.write(made, settings, "lesions", model.card.classes, batch=model.batch)


def edit_page(page: Page) -> None:
    """Go to the other page."""
    page.get_by_role("link", name="What if?").first.click()
    expect(page.get_by_role("heading", name="What if it looked different?")).to_be_visible()
    page.wait_for_selector("canvas.upper-canvas")
    idle(page)


def turned(page: Page) -> None:
    """Go to the other page, draw something and turn it."""
    edit_page(page)
    lasso(page, *SQUARE)
    expect(button(page, "Add this edit")).to_be_visible()
    idle(page)
    choose(page, "Edit", "rotate")
    button(page, "Add this edit").click()
    expect(page.get_by_text("Its probability changes by")).to_be_visible()
    idle(page)


def opened(page: Page, saved: bytes) -> None:
    """Go to the other page and choose a saved session."""
    edit_page(page)
    page.get_by_text("Open a saved session").click()
    box = page.locator("input[type=file]").first
    box.set_input_files({"name": "s.zip", "mimeType": "application/zip", "buffer": saved})
    expect(button(page, "Open it")).to_be_enabled()
    idle(page)


WORK = {
    "Explain": lambda page, saved: set_samples(page, -1),
    "Explain all": lambda page, saved: turned(page),
    "Turn it": lambda page, saved: turned(page),
    "Open it": opened,
}


@pytest.mark.parametrize("name", WORK)
def test_work_ends_when_its_tab_is_closed(name, chromium, address, trace, saved):
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(30_000)
    page.goto(address)
    ready(page)
    WORK[name](page, saved)
    lines, armed = trace / "lines", trace / "armed"
    lines.write_text("")
    armed.touch()
    button(page, name).click()
    until(lambda: "waits" in lines.read_text())
    if name != "Turn it":
        expect(button(page, "Stop")).to_be_visible()
    page.close()
    until(lambda: len(lines.read_text().split()) == 2)
    armed.unlink()
    assert lines.read_text().split() == ["waits", "ended"]


def until(holds) -> None:
    """Wait for something that the server does."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "the server did not get there"
        time.sleep(0.05)
