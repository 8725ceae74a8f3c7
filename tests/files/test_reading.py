"""Whatever is named as a file: it is read, or refused in a sentence, and nothing hangs."""

from __future__ import annotations

import os

import pytest

from limecraft_jax.compare import bundle
from limecraft_jax.files import reading
from limecraft_jax.files.images import load_image
from limecraft_jax.files.masks import load_mask
from limecraft_jax.types import InputError

DOORS = {
    "an image": load_image,
    "a mask": lambda path: load_mask(path, (9, 9)),
    "a session bundle": bundle.read,
}


@pytest.fixture(params=DOORS)
def refused(request):
    """The sentence that one of the ways in says to a path."""

    def refused(path):
        with pytest.raises(InputError) as told:
            DOORS[request.param](path)
        said = str(told.value)
        assert said.startswith(f"{request.param} must ")
        assert "\n" not in said
        return said.removeprefix(f"{request.param} must ")

    return refused


def test_pipes_and_devices_are_refused_unopened(refused, tmp_path):
    os.mkfifo(tmp_path / "pipe")  # would be waited for until somebody writes
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        assert refused(path) == (
            f"be a file, got {str(path)!r}, a pipe or device: save its contents as a file first."
        )


def test_what_looks_like_an_empty_file_is_not_read(refused, tmp_path):
    (tmp_path / "empty").touch()
    for path in (tmp_path / "empty", "/proc/self/pagemap"):
        if os.path.exists(path):
            assert refused(path) == "not be an empty file, got 0 bytes: choose another file."


def test_a_file_without_end_is_refused_by_its_size(refused, tmp_path):
    with (tmp_path / "endless").open("wb") as file:
        file.truncate(10**12)  # takes no room
    assert refused(tmp_path / "endless") == (
        "have at most 500 MB, got 1000000 MB: is it the right file?"
    )


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("gone", "be an existing file, got 'gone': check the path."),
        (".", "be a file, got the folder '.': name a file in it."),
        ("a\0b", "be a readable file, got 'a\\x00b' (embedded null byte): check the path."),
        ("n" * 5000, f"be a readable file, got '{'n' * 296}... (File name too long): check the "),
        (None, "be a readable file, got 'None' ("),
        (3.5, "be a readable file, got '3.5' ("),
    ],
)
def test_what_is_no_file_is_said(refused, path, said):
    assert refused(path).startswith(said)


def test_a_file_that_grows_while_it_is_read_is_read_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "log").write_bytes(b"first")
    look = reading.Path.stat

    def later(path, **options):
        found = look(path, **options)
        with path.open("ab") as file:
            file.write(b" and more")
        return found

    monkeypatch.setattr(reading.Path, "stat", later)
    assert reading.read_bytes(tmp_path / "log", "a file") == b"first"
