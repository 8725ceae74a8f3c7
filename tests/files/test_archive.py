"""Zip files from strangers: what lies about its size costs no memory, and nothing odd gets in."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile

import pytest

from limecraft_jax.bounds import short
from limecraft_jax.files import archive
from limecraft_jax.types import InputError

KNOWN = {"a.json": 1_000_000, "b": 64_000_000}
DAMAGED = "a session bundle must be a whole zip file without a password, got a damaged one: "
HUGE = 200_000_000  # bytes, of zeros: 200 kB in the file


def packed(method=zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    """A zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in members.items():
            file.writestr(name.replace("__", "."), data)
    return out.getvalue()


def lying(data: bytes, size: int) -> bytes:
    """The zip file with another size told for its first member."""
    out = bytearray(data)
    at = data.index(b"PK\x01\x02")
    out[at + 24 : at + 28] = struct.pack("<I", size)
    return bytes(out)


def peak(work) -> int:
    """Most bytes that some work took at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def bomb():
    return packed(b=bytes(HUGE))


def test_members_come_out_as_they_went_in():
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = archive.Archive(packed(method, a__json=b"{}", b=b"x" * 99_999), KNOWN, ["b"])
        assert "a.json" in file
        assert "c" not in file
        assert file.read("b") == b"x" * 99_999
        assert file.read("b") == file.read("b")
        assert file.read("a.json") == b"{}"
        assert archive.Archive(packed(b=b""), KNOWN, []).read("b") == b""


@pytest.mark.parametrize("told", [0, 10, 60_000_000])
def test_a_member_larger_than_it_says_is_refused_without_inflating_it(bomb, told):
    file = archive.Archive(lying(bomb, told), KNOWN, ["b"])

    def read():
        with pytest.raises(InputError, match=DAMAGED):
            file.read("b")

    assert peak(read) < 3 * told + 2_000_000  # parts, their sum, and some room


@pytest.mark.parametrize("told", [1, 6])
def test_a_member_smaller_or_larger_than_it_says_is_refused(told):
    with pytest.raises(InputError, match=DAMAGED):
        archive.Archive(lying(packed(b=b"hello"), told), KNOWN, []).read("b")


def test_a_member_that_says_how_large_it_is_is_refused_before_it_is_read(bomb):
    def opened():
        with pytest.raises(InputError, match="b in a session bundle must have at most 64 MB"):
            archive.Archive(bomb, KNOWN, [])

    assert peak(opened) < 2_000_000


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_to_pack_that_take_any_amount_of_memory_are_refused(method):
    with pytest.raises(InputError, match=DAMAGED):
        archive.Archive(packed(method, b=b"hello"), KNOWN, []).read("b")


@pytest.mark.parametrize("value", [b"{}", b"[]", b"1"])
def test_json_of_many_tiny_values_is_refused_before_they_are_made(value):
    data = b'{"a": [' + b",".join([value] * (archive.MOST_VALUES + 1)) + b"]}"

    def read():
        with pytest.raises(InputError, match=r"x\.json must hold at most 4 million values"):
            archive.mapping(data, "x.json")

    assert peak(read) < 1_000_000


def test_any_value_is_one_short_line():
    deep: list = []
    for _ in range(20_000):
        deep = [deep]
    for value in (deep, "x" * 10**6, {i: i for i in range(10**5)}, 10**400, [3], None):
        assert len(short(value)) <= 60
    assert short([3, "a", {"b": None}]) == "[3, 'a', {'b': None}]"


@pytest.mark.parametrize("text", ["half \ud800", "x" * 501, 3, None])
def test_a_text_that_cannot_be_shown_is_refused(text):
    with pytest.raises(InputError, match="the name must be a short text, got "):
        archive.text(text, "the name")
