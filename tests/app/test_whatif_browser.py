"""The editing page in a real browser: draw, rotate, compare, take the report home, open it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from limecraft_jax import models
from tests.app.test_browser import (  # fixtures are found by their names
    address,  # noqa: F401
    button,
    choose,
    chromium,  # noqa: F401
    idle,
    lasso,
    set_samples,
    visit,  # noqa: F401
)

BOX = ((0.3, 0.35), (0.7, 0.35), (0.7, 0.75), (0.3, 0.75), (0.3, 0.36))


def edited(page: Page) -> str:
    """Where the edited picture lies; another picture has another name."""
    image = page.get_by_alt_text("The edited picture; the regions moved along")
    return image.get_attribute("src") or ""


def test_draw_rotate_compare_report(visit, tmp_path):  # noqa: F811
    page = visit()
    page.get_by_role("link", name="What if?").first.click()
    expect(page.get_by_role("heading", name="What if it looked different?")).to_be_visible()
    page.wait_for_selector("canvas.upper-canvas")
    expect(page.get_by_text("Draw a region first")).to_be_visible()
    idle(page)
    lasso(page, *BOX)
    add = button(page, "Add this edit")
    expect(add).to_be_visible()
    expect(page.get_by_alt_text("The original picture with the drawn regions")).to_be_visible()
    idle(page)
    before = edited(page)
    assert before

    choose(page, "Edit", "rotate")
    add.click()
    expect(page.get_by_text("1. rotate")).to_be_visible()
    expect(page.get_by_text("Its probability changes by")).to_be_visible()
    idle(page)
    assert edited(page) != before
    angle = page.get_by_role("slider", name="angle")
    angle.focus()
    page.keyboard.press("ArrowLeft")
    expect(angle).to_have_value("179")
    idle(page)

    button(page, "Keep it").click()
    expect(button(page, "Forget")).to_be_visible()
    set_samples(page, -3)  # 128
    button(page, "Explain all").click()
    with page.expect_download(timeout=60_000) as got:
        page.get_by_test_id("stDownloadButton").get_by_role("button", name="Report").click()
    file = tmp_path / "report.html"
    got.value.save_as(file)

    report = file.read_text()
    for name in models.card("lesions").classes:
        assert name in report
    assert "angle 179" in report
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", report)

    asked: list[str] = []
    sheet = page.context.new_page()
    sheet.on("request", lambda request: asked.append(request.url))
    sheet.goto(file.as_uri())
    expect(sheet.get_by_role("heading").first).to_be_visible()
    pictures = sheet.locator("img")
    assert pictures.count() >= 4
    for picture in pictures.all():
        assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    expect(sheet.get_by_text("variant 1").first).to_be_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
