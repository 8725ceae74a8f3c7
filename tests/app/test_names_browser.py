"""Names from strangers in a real browser: it shows their letters and fetches nothing for them."""

from __future__ import annotations

import json
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Page, expect

from limecraft_jax.app.shared import look
from tests.app.test_browser import SQUARE, button, choose, chromium, idle, lasso, set_samples
from tests.app.test_names import MARKS, NAME
from tests.models import test_onnx
from tests.server import serve

__all__ = ["chromium"]  # a fixture
SHORT = f"{MARKS[0]} :material/home: **b**"  # as long as a variant's name may be
STEM = "$x$ **bold** ![y](evil.example) :smile:"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the app runs."""
    with serve(tmp_path_factory.mktemp("server") / "log.txt") as address:
        yield address


def reads(page: Page, *names: str) -> None:
    """The page shows the names letter by letter, and makes nothing of them."""
    shown = " ".join(page.inner_text("body").replace(look.JOINER, "").split())
    for name in names:
        assert name in shown
    for odd in (
        "a[href*=evil]",
        "img[src*=evil]",
        ".katex",
        "[data-testid=stMainBlockContainer] s, del",
        "code:text-is('code')",
        "strong:text-is('bold')",
        "em:text-is('slanted')",
        "[aria-label='home icon']",
        "[role=img]:text-is('home')",
    ):
        assert page.locator(odd).count() == 0, odd


def test_names_are_letters_and_nothing_is_fetched(chromium, address, tmp_path):
    asked: list[str] = []
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(30_000)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("canvas.upper-canvas")
    idle(page)

    page.get_by_text("Bring your own classifier").click()
    boxes = page.locator("input[type=file]")
    model = test_onnx.linear(tmp_path / "mine.onnx").read_bytes()
    about = json.dumps({"classes": [f"{NAME} {i}" for i in range(3)], "architecture": NAME})
    for i, (name, data) in enumerate([(f"{STEM}.onnx", model), ("about.json", about.encode())]):
        given = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
        boxes.nth(i).set_input_files(given)
    use = button(page, "Use this classifier")
    expect(use).to_be_enabled()
    idle(page)
    use.click()
    expect(page.get_by_role("combobox", name="Classifier")).to_have_value(STEM)
    expect(page.get_by_text("It says")).to_contain_text("sure")
    idle(page)
    page.get_by_text("About this classifier").click()
    reads(page, f"It says {NAME}", f"{NAME} 3 classes, sees 10 × 12 pixels.")

    set_samples(page, -2)
    button(page, "Explain").click()
    expect(page.get_by_text("Read the answer")).to_be_visible(timeout=60_000)
    idle(page)
    reads(page, f"of the picture speaks for {NAME}")

    lasso(page, *SQUARE)
    expect(page.get_by_role("spinbutton", name="Inside region 1")).to_be_visible()
    idle(page)
    page.get_by_role("link", name="What if?").first.click()
    expect(button(page, "Add this edit")).to_be_visible()
    idle(page)
    choose(page, "Edit", "rotate")
    button(page, "Add this edit").click()
    expect(page.get_by_text("Its probability changes by")).to_be_visible()
    idle(page)
    page.get_by_role("textbox", name="Name of this variant").fill(SHORT)
    page.keyboard.press("Enter")
    idle(page)
    button(page, "Keep it").click()
    expect(button(page, "Forget")).to_be_visible()
    idle(page)
    button(page, "Explain all").click()
    expect(page.get_by_text("One color scale for all")).to_be_visible(timeout=60_000)
    idle(page)
    reads(page, f"{SHORT} · rotate region 1", f"{SHORT}: ", "The answer stays " + NAME)
    page.locator("path[aria-roledescription=bar]").first.hover()
    tip = page.locator("#vg-tooltip-element")
    expect(tip).to_contain_text("Change")
    assert " ".join(tip.inner_text().split()).startswith(f"Class {NAME}")
    assert tip.locator("img, a").count() == 0
    for url in asked:
        part = urlparse(url)
        assert part.scheme in ("data", "blob") or part.hostname == "127.0.0.1", url
    page.close()
