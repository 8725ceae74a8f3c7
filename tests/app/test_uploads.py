"""What a visitor uploads is forgotten with the visitor: in memory and on the disk."""

from __future__ import annotations

import tempfile
import time

import pytest
from PIL import Image
from playwright.sync_api import expect
from streamlit.runtime.caching import clear_session_data_cache, clear_session_resource_cache

from limecraft_jax.app.shared import cache
from limecraft_jax.files import images
from tests import tiny
from tests.app.test_browser import choose, chromium, idle, ready
from tests.app.test_owned import give
from tests.app.test_page import explain, fine, job, saved, small
from tests.models import test_onnx
from tests.server import serve

__all__ = ["chromium"]  # a fixture

VISITOR = "test session id"  # of every page without a browser
PATIENCE = 60  # seconds


def picture(seed: int) -> tuple[str, bytes, str]:
    """An uploaded picture."""
    pixels = tiny.picture(20, 20, 3, seed=seed)
    return f"{seed}.png", images.to_png(pixels), "image/png"


def files(folder) -> list:
    """What lies in a temporary folder of ours."""
    return sorted(path for path in folder.glob("limecraft-*/**/*") if path.is_file())


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """An empty temporary folder that nobody else uses."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache.folder.clear()
    leave()
    yield tmp_path
    leave()
    cache.folder.clear()


def leave() -> None:
    """What Streamlit does when the page is closed."""
    clear_session_resource_cache(VISITOR)
    clear_session_data_cache(VISITOR)


def test_another_picture_lies_on_the_disk_as_long_as_its_visitor_is_there(scratch):
    page = small(replacement="picture")
    assert files(scratch) == []
    page.file_uploader(key="other").set_value(picture(0))
    explain(fine(page.run()))
    assert job(page).neighborhood.done
    (path,) = files(scratch)
    assert path.read_bytes() == picture(0)[1]
    fine(page.run())
    assert files(scratch) == [path]
    leave()
    assert list(scratch.glob("limecraft-*/*")) == []
    fine(page.run())  # the connection was gone for a moment only
    assert files(scratch) == [path]


def test_the_oldest_file_gives_way(scratch):
    page = small(replacement="picture")
    for seed in range(7):
        page.file_uploader(key="other").set_value(picture(seed))
        fine(page.run())
        assert len(files(scratch)) == min(seed + 1, 4)
    found = [path.read_bytes() for path in files(scratch)]
    assert sorted(found) == sorted(picture(seed)[1] for seed in range(3, 7))


def test_two_visitors_do_not_take_each_others_file_away(scratch):
    mine, other = (cache.file.__wrapped__("key", owner, b"x") for owner in ("a", "b"))
    assert mine != other
    cache._remove(mine)
    assert [str(path) for path in files(scratch)] == [other]


@pytest.mark.parametrize("about", [None, {"classes": ["a", "b", "c"]}, {"classes": ["too", "few"]}])
def test_a_model_is_on_the_disk_only_while_it_is_opened(scratch, about, tmp_path_factory):
    path = test_onnx.linear(tmp_path_factory.mktemp("model") / "mine.onnx")
    page = give(small(), "mine.onnx", path.read_bytes(), about)
    assert bool(page.error) == (about == {"classes": ["too", "few"]})
    assert files(scratch) == []
    explain(page)
    assert job(page).neighborhood.done


def test_an_uploaded_picture_is_not_kept_for_others(scratch, monkeypatch):
    read = []
    monkeypatch.setattr(
        cache, "_prepared", lambda *given, old=cache._prepared: read.append(1) or old(*given)
    )
    page = small()
    read.clear()
    data = saved(Image.new("RGB", (50, 50), "red"), "PNG")
    page.file_uploader(key="upload").set_value(("mine.png", data, "image/png"))
    fine(page.run())
    fine(page.run())
    assert len(read) == 1
    leave()
    fine(page.run())
    assert len(read) == 2


def test_no_file_is_left_when_the_tab_is_closed_or_the_server_stops(
    chromium, tmp_path, monkeypatch
):
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("TEMP", str(folder))
    name, data, mime = picture(1)

    def bring(page) -> None:
        page.goto(address)
        ready(page)
        page.get_by_text("Settings", exact=True).click()
        idle(page)
        choose(page, "What stands in for a hidden superpixel", "another picture")
        box = page.get_by_test_id("stFileUploader").filter(has_text="The other picture")
        box.locator("input[type=file]").set_input_files(
            {"name": name, "mimeType": mime, "buffer": data}
        )
        expect(box.get_by_text(name)).to_be_visible()
        idle(page)

    with serve(tmp_path / "log.txt") as address:
        page = chromium.new_page()
        bring(page)
        assert [path.read_bytes() for path in files(folder)] == [data]
        page.close()
        until = time.monotonic() + PATIENCE
        while files(folder) and time.monotonic() < until:
            time.sleep(0.05)
        assert files(folder) == []
        page = chromium.new_page()
        bring(page)
        assert len(files(folder)) == 1
    assert list(folder.glob("limecraft-*")) == []
    page.close()
