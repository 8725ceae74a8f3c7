"""Words of the command line become choices; what they cannot mean is said with what they can."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from limecraft_jax.bounds import short
from limecraft_jax.path import replace, sample
from limecraft_jax.path.replace import rgb
from limecraft_jax.path.segmenters import SEGMENTERS
from limecraft_jax.types import InputError, unknown

if TYPE_CHECKING:
    from limecraft_jax.path.lime import Settings

REGISTRIES: dict[str, dict[str, Any]] = {
    "segmenter": dict(SEGMENTERS),
    "design": dict(sample.DESIGNS),
    "replacement": dict(replace.REPLACEMENTS),
}
YES = {"yes": True, "true": True, "no": False, "false": False}
KINDS = {bool: "yes or no", int: "a whole number", float: "a number", str: "a file"}


def settings(given: argparse.Namespace) -> Settings:
    """The choices that the options name."""
    from limecraft_jax.path import lime
    from limecraft_jax.path.kernel import Exponential
    from limecraft_jax.path.surrogate import Ridge

    return lime.Settings(
        segmenter=pick("segmenter", given.segmenter),
        inside=None if given.inside is None else number("--inside", given.inside, int),
        outside=None if given.outside is None else number("--outside", given.outside, int),
        design=pick("design", given.design),
        samples=number("--samples", given.samples, int),
        replacement=pick("replacement", given.replacement),
        kernel=Exponential(number("--width", given.width, float)),
        ridge=Ridge(number("--penalty", given.penalty, float)),
        seed=number("--seed", given.seed, int),
    )


def number(what: str, text: str | float, kind: type) -> Any:
    """A number from its digits.

    >>> number("--samples", "200", int)
    200
    """
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"{what} must be {KINDS[kind]}, got {short(text)}.") from None


def pick(what: str, text: str) -> Any:
    """A registered choice by its name, its parameters behind a colon; a color by its name or code.

    >>> pick("segmenter", "quickshift:4,ratio=0.5")
    Quickshift(kernel_size=4, max_dist=200.0, ratio=0.5)
    >>> pick("replacement", "white")
    Color(red=1.0, green=1.0, blue=1.0)
    """
    registry = REGISTRIES[what]
    name, _, rest = text.partition(":")
    if what == "replacement":
        color = rgb(rest if name == "color" else text)
        if color:
            return replace.Color(*(round(channel, 4) for channel in color))  # as on the page
        if text.startswith("#"):
            raise InputError(f"a color must look like #ff8000, got {short(text)}.")
    if name not in registry:
        raise unknown(what, name, {**registry, **(replace.COLORS if what == "replacement" else {})})
    kind = registry[name]
    return kind(**parameters(name, kind, rest)) if rest else kind()


def parameters(name: str, kind: type[Any], text: str) -> dict[str, Any]:
    """What stands behind the colon of a choice: values in the order of its parameters, or named."""
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    if [type(value) for value in defaults.values()] == [str]:
        return dict.fromkeys(defaults, text)  # a path may hold any sign
    found: dict[str, Any] = {}
    for place, part in enumerate(text.split(",")):
        key, named, value = part.rpartition("=")
        if not named:
            key = list(defaults)[place] if place < len(defaults) else ""
        if key not in defaults or key in found:
            raise _refused(name, defaults, text)
        found[key] = _value(value.strip(), type(defaults[key]))
        if found[key] is None:
            raise _refused(name, defaults, text)
    return found


def _value(text: str, kind: type) -> Any:
    """A value from its letters; None if it is none. Whole numbers stay whole."""
    if kind is bool:
        return YES.get(text.lower())
    for number in (int, float)[: 1 + (kind is float)]:
        try:
            return number(text)
        except ValueError:
            pass
    return None


def _refused(name: str, defaults: dict[str, Any], text: str) -> InputError:
    told = [f"{key} ({KINDS[type(value)]})" for key, value in defaults.items()]
    if not told:
        return InputError(f"{name} takes nothing behind a colon, got {short(text)}: leave it out.")
    return InputError(f"{name} takes {', '.join(told)} behind the colon, got {short(text)}.")


def target(wanted: str, names: Sequence[str]) -> int:
    """Index of a class by its name, with capitals or without, or its number.

    >>> target("TABBY", ["tench", "tabby"]), target("1", ["tench", "tabby"])
    (1, 1)
    """
    if wanted in names:
        return list(names).index(wanted)
    numbers = {str(i): i for i in range(len(names))}
    if wanted in numbers:
        return numbers[wanted]
    word = wanted.strip().casefold()
    alike = [i for i, name in enumerate(names) if name.strip().casefold() == word]
    if len(alike) > 1:
        listed = " and ".join(short(names[i]) for i in alike[:3])
        raise InputError(f"target must be one class, got {short(wanted)}, which may be {listed}.")
    if not alike:
        raise unknown("target", wanted, names)
    return alike[0]
