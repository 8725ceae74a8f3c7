"""Words for what cannot be used: short, and with the nearest that can."""

from __future__ import annotations

import pytest

from limecraft_jax.models.card import class_list
from limecraft_jax.types import unknown

FEW = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("gren", FEW, "did you mean 'green'?"),
        ("GREEN", FEW, "did you mean 'green'?"),
        ("xyz", FEW, "choose one of red, green, blue."),
        ("taby", class_list("imagenet"), "did you mean 'tabby', 'tray' or 'abaya'?"),
        ("Labrador", class_list("imagenet"), "did you mean 'Labrador retriever'?"),
        ("crane", class_list("imagenet"), "did you mean 'crane (bird)' or 'crane (machine)'?"),
        ("zzzqqq", class_list("imagenet"), "did you mean 'pizza', 'muzzle' or 'jigsaw puzzle'?"),
        ("x", range(12), "choose one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11."),
    ],
)
def test_a_mistyped_name_gets_the_nearest_three(name, known, hint):
    assert str(unknown("color", name, known)) == f"color must be a known name, got {name!r}: {hint}"


@pytest.mark.parametrize("name", ["a" * 10**6, "a\nb" * 1000, "\0", "²", "", None, ["x"]])
def test_whatever_came_the_sentence_is_short_and_one_line(name):
    said = str(unknown("target", name, class_list("imagenet")))
    assert len(said) < 300
    assert "\n" not in said
    assert said.endswith("?")
