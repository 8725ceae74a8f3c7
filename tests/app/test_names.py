"""Names come from strangers' files: wherever they are shown they are text, letter by letter."""

from __future__ import annotations

import json
import re

import pytest
from streamlit.testing.v1 import AppTest

from limecraft_jax.app.shared import look
from tests.app.test_owned import give
from tests.app.test_page import draw, fine, inputs, rectangle
from tests.models import test_onnx
from tests.server import ROOT

# Each would be something else than its letters in Streamlit's markdown.
MARKS = (
    "![x](http://evil.example/x.png)",
    "<img src=http://evil.example/y.png>",
    "[link](http://evil.example)",
    "http://evil.example/z",
    "www.evil.example",
    "a@evil.example",
    ":material/home:",
    ":streamlit:",
    ":smile:",
    ":red[red]",
    ":small[s]",
    "$x^2$",
    "**bold**",
    "_slanted_ __x__ a_ _b",
    "`code`",
    "~~struck~~",
    "a -> b <- c -- d <-> e >= f <= g ~= h",
    "&lt; &#42;",
    "\\*",
    "# heading",
    "> quote",
    "- item",
    "1. item",
    "a | b",
)
NAME = " ".join(MARKS)
# What is plain text on the page: (kind of element, field of its message).
PLAIN = {
    ("Selectbox", "options"),
    ("Selectbox", "raw_value"),
    ("VegaLiteChart", "spec"),
    ("VegaLiteChart", "alt"),
    ("ArrowVegaLiteChart", "spec"),
    ("Image", "alt"),
    ("TextInput", "default"),
    ("TextInput", "value"),
    ("Dataframe", "columns"),
    ("Dataframe", "arrow_data"),
}


@pytest.mark.parametrize("mark", [*MARKS, NAME, "melanoma", "keratoses, actinic (thin)", "a_b.png"])
def test_escaped_text_reads_as_it_was(mark):
    """A backslash before a mark is not shown, and the joiner has no width."""
    shown = look.text(mark).replace(look.JOINER, "")
    letters, rest = [], iter(shown)
    for letter in rest:
        letters.append(next(rest) if letter == "\\" else letter)
    assert "".join(letters) == mark


@pytest.mark.parametrize(
    "name", ["melanoma", "benign keratosis-like", "Granny Smith", "mobilenet_v2", "é (é)"]
)
def test_usual_names_stay_as_they_are(name):
    assert look.text(name) == name


def test_lines_and_halves_of_characters_cannot_leave_a_text():
    assert look.text("a\n\n# b\t c\r") == r"a \# b c"
    assert look.text("half \ud800") == "half ?"


def texts(message, path=()):
    """Every string in a message of Streamlit's, with the fields that lead to it."""
    for field, value in message.ListFields():
        alone = isinstance(value, str | bytes | int | float) or hasattr(value, "ListFields")
        for item in [value] if alone else list(value):
            if isinstance(item, str):
                yield (*path, field.name), item
            elif hasattr(item, "ListFields"):
                yield from texts(item, (*path, field.name))


def elements(node):
    """Every element of a page."""
    for child in node.children.values():
        if getattr(child, "proto", None) is not None:
            yield child.proto
        if hasattr(child, "children"):
            yield from elements(child)


def nothing_but_text(page: AppTest) -> int:
    """How many texts of the page hold the name; in none may a mark of it mean something."""
    count = 0
    for proto in elements(page._tree):
        kind = type(proto).__name__
        for path, text in texts(proto):
            if "evil.example" not in text:
                continue
            count += 1
            if kind == "Html":
                assert "<img" not in text, path
            elif path[-1] not in ("id", "alt") and (kind, path[-1]) not in PLAIN:
                bare = re.sub(r"\\.", "", text)  # without what is escaped
                for mark in ("![", "](", "<img", ":material/", ":smile:", ":red", "http:/", "$x"):
                    assert mark not in bare, (kind, path, text)
    return count


@pytest.fixture
def page(tmp_path):
    """A visitor's page with a classifier whose file and classes have such names."""
    path = test_onnx.linear(tmp_path / "mine.onnx")
    page = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
    page.session_state["samples"] = 256
    fine(page.run())
    about = {"classes": [f"{NAME} {i}" for i in range(3)], "architecture": NAME, "about": NAME}
    give(page, "![x](http:\\\\evil.example) **bold**.onnx", path.read_bytes(), about)
    assert not page.error
    return page


def test_names_of_classes_files_and_pictures_are_text_on_the_page_that_explains(page):
    before = nothing_but_text(page)
    assert before >= 5
    fine(page.button(key="explain").click().run())
    assert page.session_state["session"].job.neighborhood.done
    assert not page.error
    assert nothing_but_text(page) > before
    picture = (ROOT / "limecraft_jax/examples/lesions/carcinoma.png").read_bytes()
    page.file_uploader(key="upload").set_value((f"{NAME}.png", picture, "image/png"))
    fine(page.run())
    assert "your picture" in str([h.proto.body for h in page.get("html")])
    nothing_but_text(page)


def test_halves_of_characters_in_names_do_no_harm(tmp_path):
    path = test_onnx.linear(tmp_path / "mine.onnx")
    page = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
    page.session_state["samples"] = 256
    half = "\ud800"
    about = {"classes": [f"{half} {i}" for i in range(3)], "title": half, "architecture": half}
    give(fine(page.run()), "mine.onnx", path.read_bytes(), about)
    assert page.selectbox(key="model").options[-1] == "?"
    fine(page.button(key="explain").click().run())
    assert page.session_state["session"].job.classes == ("? 0", "? 1", "? 2")


def test_names_of_variants_are_text_on_the_page_that_edits(page):
    draw(page, rectangle(120, 120, 150, 150))
    fine(page.switch_page("pages/whatif.py").run())
    fine(page.run())
    fine(page.selectbox(key="edit-kind").set_value("rotate").run())
    fine(inputs(page, "button")["Add this edit"].click().run())
    for i in range(2):
        fine(inputs(page, "text_input")["Name of this variant"].set_value(f"{MARKS[0]} {i}").run())
        fine(inputs(page, "button")["Keep it"].click().run())
    before = nothing_but_text(page)
    assert before >= 8
    labs = page.session_state["session"].labs.values()
    assert sum(len(lab.variants) for lab in labs) == 2
    fine(inputs(page, "button")["Explain all"].click().run())
    assert not page.error
    assert nothing_but_text(page) > before
    fine(inputs(page, "button")["Turn it"].click().run())
    assert not page.error
    nothing_but_text(page)


def test_a_sentence_about_a_strangers_file_is_text(page):
    page.file_uploader(key="own-about").set_value(
        ("about.json", json.dumps({NAME: 1}).encode(), "application/json")
    )
    fine(page.run())
    fine(inputs(page, "button")["Use this classifier"].click().run())
    assert len(page.error) == 1
    assert nothing_but_text(page) > 0
