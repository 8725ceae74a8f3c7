"""The page in a real browser: draw with the mouse, press the buttons, read what is there."""

from __future__ import annotations

import json

import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from limecraft_jax import models
from limecraft_jax.app.shared.cache import EXAMPLES
from limecraft_jax.files import images
from limecraft_jax.path import lime
from tests.run import browser
from tests.server import IDLE, SWITCHES, serve

expect.set_options(timeout=30_000)  # a slow machine is no failure
LESIONS = "Synthetic skin lesions"
HARMLESS = ("favicon", "preload", "ResizeObserver", "WebGL", "Slow network")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the app runs."""
    with serve(tmp_path_factory.mktemp("server") / "log.txt") as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    """A browser."""
    path = browser()
    assert path, "Chromium must be installed: run python tests/run.py."
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(SWITCHES))
        yield chromium
        chromium.close()


@pytest.fixture
def visit(chromium, address):
    """Open the app as a new visitor; at the end nothing may have gone wrong in the browser.

    Most tests look at small pictures, which are quick; ``classifier=""`` stays where it opens.
    """
    contexts, complaints = [], []

    def open_page(width: int = 1280, scheme: str = "light", classifier: str = LESIONS) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: said.type == "error" and complaints.append(f"{said.text} {said.location}"),
        )
        page.goto(address)
        ready(page)
        if classifier:
            choose(page, "Classifier", classifier)
            ready(page)
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            assert "Traceback" not in page.inner_text("body")
            assert page.locator("[data-testid=stException]").count() == 0
        context.close()
    serious = [c for c in complaints if not any(word in c for word in HARMLESS)]
    assert serious == []


def idle(page: Page) -> None:
    """Wait until the script has run to its end, twice in a row."""
    page.wait_for_selector(IDLE)
    page.wait_for_timeout(300)
    page.wait_for_selector(IDLE)


def ready(page: Page) -> None:
    """Wait for the canvas, which reports back once, and for the classifier's answer."""
    page.wait_for_selector("canvas.upper-canvas")
    expect(page.get_by_text("It says").first).to_be_visible()
    idle(page)


def lasso(page: Page, *points: tuple[float, float]) -> None:
    """Draw a line through points given as shares of the canvas."""
    canvas = page.locator("canvas.upper-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    path = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*path[0])
    page.mouse.down()
    for point in path[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()


SQUARE = ((0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6), (0.2, 0.21))


def choose(page: Page, label: str, option: str) -> None:
    """Pick an entry of a select box."""
    box = page.get_by_role("combobox", name=label).first
    box.scroll_into_view_if_needed()  # an open menu closes when the page moves
    idle(page)
    box.click()
    page.get_by_role("option", name=option).first.click()
    idle(page)


def set_samples(page: Page, steps: int) -> None:
    """Move the slider of the number of samples with the arrow keys."""
    slider = page.get_by_role("slider", name="Samples")
    if not slider.is_visible():
        page.get_by_text("Settings", exact=True).click()
    slider.focus()
    for _ in range(abs(steps)):
        page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")
    idle(page)


def button(page: Page, name: str):
    """A button of the page, neither of Streamlit's header nor of the canvas."""
    buttons = page.get_by_test_id("stMainBlockContainer").get_by_test_id("stButton")
    return buttons.get_by_role("button", name=name, exact=True)


def explain(page: Page) -> None:
    """Press Explain and wait for the answer."""
    button(page, "Explain").click()
    expect(button(page, "Explain again")).to_be_visible()
    idle(page)


def result(page: Page) -> dict:
    """What the JSON download says."""
    with page.expect_download() as got:
        page.get_by_role("button", name="Numbers (JSON)").click()
    return json.loads(got.value.path().read_text())


def test_draw_explain_read_download(visit):
    page = visit()
    expect(page.get_by_text("100 superpixels", exact=True)).to_be_visible()
    lasso(page, *SQUARE)
    expect(page.get_by_text("superpixels, ")).to_be_visible()
    inside = page.get_by_role("spinbutton", name="Inside region 1")
    expect(inside).to_be_visible()
    idle(page)
    counts = [
        int(page.get_by_role("spinbutton", name=name).input_value())
        for name in ("Inside region 1", "Outside")
    ]
    assert sum(counts) == 100
    assert 13 <= counts[0] <= 19  # 0.4² of the picture
    set_samples(page, -2)  # 256
    explain(page)

    said = page.inner_text("body")
    assert "of the picture speaks for" in said
    assert "speaks against it" in said
    assert any(box in said for box in ("lean on this", "with care"))
    chart = page.get_by_test_id("stVegaLiteChart")
    expect(chart).to_be_visible()
    assert chart.locator("path[aria-roledescription=bar]").count() == 20

    # What lights up when touched lies exactly over the picture.
    corners = "e => {const b = e.getBoundingClientRect(); return [b.x, b.y, b.right, b.bottom]}"
    shapes = chart.locator("path[aria-roledescription=geoshape]")
    assert shapes.count() == 100
    boxes = np.array(shapes.evaluate_all(f"all => all.map({corners})"))
    shown = chart.locator("image").evaluate(corners)
    np.testing.assert_allclose([*boxes[:, :2].min(0), *boxes[:, 2:].max(0)], shown, atol=0.5)

    told = result(page)
    assert told["samples"] == 256
    region = np.array(told["superpixels"]["region"])
    assert (region == 1).sum() == counts[0]
    assert (region == 0).sum() == counts[1]
    drawn = np.array(told["superpixels"]["area"])[region == 1].sum()
    assert abs(drawn / 128**2 - 0.16) < 0.02

    # The same numbers from Python, with the superpixels that the page gives away.
    with page.expect_download() as got:
        page.get_by_role("button", name="Superpixels", exact=True).click()
    from PIL import Image

    with Image.open(got.value.path()) as picture:
        labels = np.array(picture)
    mask = (region[labels] == 1).astype(np.int32)
    rows, columns = np.nonzero(mask)
    edges = np.array([rows.min(), rows.max() + 1, columns.min(), columns.max() + 1]) / 128
    np.testing.assert_allclose(edges, [0.2, 0.6, 0.2, 0.6], atol=0.015)
    index = json.loads((EXAMPLES / "index.json").read_text())
    first = next(entry for entry in index if entry.get("model") == "lesions")
    settings = lime.Settings(inside=(counts[0],), outside=counts[1], samples=256)
    picture = images.load_image(EXAMPLES / first["file"]).pixels
    direct = lime.explain(picture, models.load("lesions"), mask, settings)
    np.testing.assert_array_equal(direct.neighborhood.segmentation.labels, labels)
    coefficients = np.array([one["coefficients"] for one in told["explanations"]])
    np.testing.assert_allclose(coefficients, direct.fit.coef, atol=1e-5)


def test_one_click_without_drawing_and_the_free_half(visit):
    page = visit()
    choose(page, "Classifier", "Handwritten digits")
    ready(page)
    explain(page)
    before = result(page)
    page.get_by_text("Fine-tune").click()
    page.get_by_role("slider", name="Kernel width").focus()
    page.keyboard.press("ArrowRight")
    idle(page)
    after = result(page)
    assert after["settings"]["kernel"] == "Exponential(width=0.35)"
    assert after["probabilities"] == before["probabilities"]
    assert after["superpixels"] == before["superpixels"]
    assert after["explanations"] != before["explanations"]


def test_stop_keeps_what_is_there_and_go_on_finishes(visit):
    page = visit()
    set_samples(page, 1)  # 2000
    button(page, "Explain").click()
    expect(page.get_by_text("% · about")).to_be_visible()
    button(page, "Stop").click()
    expect(button(page, "Go on")).to_be_visible()
    expect(page.get_by_text("Stopped after")).to_be_visible()
    idle(page)
    part = result(page)
    assert 0 < part["samples"] < part["samples_planned"] == 2000
    set_samples(page, -1)
    expect(page.get_by_text("the answer to your earlier choices")).to_be_visible()
    set_samples(page, 1)
    button(page, "Go on").click()
    expect(button(page, "Explain again")).to_be_visible()
    idle(page)
    whole = result(page)
    assert whole["samples"] == 2000
    assert whole["probabilities"] == part["probabilities"]


def test_looking_elsewhere_keeps_the_drawing(visit):
    page = visit()
    lasso(page, *SQUARE)
    inside = page.get_by_role("spinbutton", name="Inside region 1")
    expect(inside).to_be_visible()
    idle(page)
    count = inside.input_value()

    page.get_by_role("link", name="How to read it").click()
    expect(page.get_by_role("heading", name="How to read an explanation")).to_be_visible()
    page.get_by_role("link", name="Explain a picture").click()
    ready(page)
    expect(inside).to_have_value(count)

    choose(page, "Classifier", "Handwritten digits")
    expect(inside).to_have_count(0)
    choose(page, "Classifier", "Synthetic skin lesions")
    ready(page)
    expect(inside).to_have_value(count)

    button(page, "Undo").click()
    expect(inside).to_have_count(0)
    idle(page)
    lasso(page, *SQUARE)
    expect(inside).to_have_value(count)
    button(page, "Clear").click()
    expect(inside).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_shows_everything(visit, scheme):
    page = visit(800, scheme)
    set_samples(page, -2)
    lasso(page, *SQUARE)
    expect(page.get_by_role("spinbutton", name="Inside region 1")).to_be_visible()
    idle(page)
    explain(page)
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    block = page.get_by_test_id("stMainBlockContainer").bounding_box()
    assert block
    for name in ("stVegaLiteChart", "stImage", "stDataFrame"):
        for part in page.get_by_test_id(name).all():
            box = part.bounding_box()
            assert box is None or box["x"] + box["width"] <= 800, name
    background = page.evaluate(
        "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 24, 28)"}[scheme]
