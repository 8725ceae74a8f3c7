"""Sessions with one thing changed to something hostile: read, or refused in one sentence.

Which is which may change; that nothing else happens may not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest

from limecraft_jax.compare import bundle
from limecraft_jax.compare.variants import compare
from limecraft_jax.edits.edit import EDITS, Step
from limecraft_jax.path import choices, lime
from limecraft_jax.types import InputError
from tests import tiny
from tests.compare.test_bundle import CLASSES, NUMBERS, SETTINGS, changed, session

HOSTILE = (
    None, True, -1, 0, 0.0, 1, 2**31, 2**63, 10**40, -(10**40), 1e-308, 1e308, -1e308, "", "0",
    "../x", "\x00", "\ud800", "é" * 10_000, [], [[]], {}, {"": 0}, [0] * 1000, {"a": {"b": [0]}},
)  # fmt: skip
STACK = tuple(Step(kind(), (2, 5)) for kind in EDITS.values())
SOME = 6  # of them at each place
FLIPS = 400  # places in the file at which a byte is turned


@pytest.fixture(scope="module")
def packed():
    """A session in which every kind of edit occurs."""
    mask = np.zeros((24, 20), np.int32)
    mask[2:9, 3:10], mask[14:20, 8:15] = 2, 5
    model = tiny.classifier(24, 20, 3)
    made = compare(model, tiny.picture(24, 20, 3), mask, [], SETTINGS)
    made = (*made, dataclasses.replace(made[0], name="all", stack=STACK))
    return bundle.write(made, SETTINGS, "tiny", CLASSES)


def opened(data: bytes) -> bundle.Bundle | None:
    """The session, or None for a sentence."""
    try:
        return bundle.read(data)
    except InputError as error:
        said = str(error)
        assert "\n" not in said
        assert len(said) < 1000
        assert said.endswith((".", "?"))
        return None


def places(record, path=()):
    """Every place in a record."""
    yield path
    if isinstance(record, dict | list):
        for key, value in record.items() if isinstance(record, dict) else enumerate(record):
            yield from places(value, (*path, key))


def with_value(record, path, value):
    """The record with another value at one place."""
    if not path:
        return value
    new = dict(record) if isinstance(record, dict) else list(record)
    new[path[0]] = with_value(record[path[0]], path[1:], value)
    return new


def test_any_value_at_any_place_is_read_or_refused_in_a_sentence(packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        record = json.loads(file.read("session.json"))
    every = [path for path in places(record) if path]
    assert len(every) > 80
    tracemalloc.start()
    rng = np.random.default_rng(0)
    for path in every:
        for i in rng.choice(len(HOSTILE), SOME, replace=False):
            data = json.dumps(with_value(record, path, HOSTILE[i]))
            opened(changed(packed, session__json=data))
        more = with_value(record, path, {"nobody": "knows"})
        opened(changed(packed, session__json=json.dumps(more)))
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()


def test_any_turned_byte_is_read_or_refused_in_a_sentence(packed):
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(packed), FLIPS):
        data = bytearray(packed)
        data[place] ^= 1 << rng.integers(0, 8)
        opened(bytes(data))
    for end in rng.integers(0, len(packed), FLIPS // 4):
        opened(packed[:end])


@pytest.mark.parametrize("name", [name for name in NUMBERS if name != "samples"])
@pytest.mark.parametrize("number", [0, 1, 100, 1_000_000, 0.001, 1e6])
def test_no_number_does_any_harm(name, number, packed):
    """It is explained, or refused in a sentence, in the memory of any other explanation."""
    settings = {"samples": 128, "inside": [2, 2], "outside": 5, **NUMBERS[name](number)}
    read = opened(session(packed, settings=settings, variants=[]))
    if read is None:
        return
    tracemalloc.start()
    with contextlib.suppress(InputError):
        (found,) = bundle.replay(read, tiny.classifier(24, 20, 3))
        assert np.isfinite(found.explanation.fit.coef).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


def test_bounds_are_those_of_the_default_settings_too():
    choices.from_record(choices.as_record(lime.Settings()))
