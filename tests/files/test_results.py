"""Results are written whole or not at all, into a folder that was tried before the work."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile

import pytest

from limecraft_jax.files import results
from limecraft_jax.types import InputError


def test_files_are_written_over_old_ones_and_into_new_folders(tmp_path):
    out = results.folder(str(tmp_path / "new" / "er"))
    assert list(tmp_path.iterdir()) == [], "trying a folder leaves nothing behind"
    for text in ("ä²\n", "second"):
        results.write(out, {"a.txt": text, "b.bin": b"\0\1"})
        assert (out / "a.txt").read_bytes() == text.encode()
        assert (out / "b.bin").read_bytes() == b"\0\1"
        assert sorted(path.name for path in out.iterdir()) == ["a.txt", "b.bin"]


def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path):
    results.write(tmp_path, {"a.txt": "old" * 100_000})
    with (tmp_path / "a.txt").open() as reader:
        assert reader.read(3) == "old"
        results.write(tmp_path, {"a.txt": "new"})
        assert reader.read() == "old" * 99_999
    assert (tmp_path / "a.txt").read_text() == "new"


def test_results_have_the_rights_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    results.write(tmp_path, {"ours": ""})
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_that_was_there_is_left_as_it_was(tmp_path):
    (tmp_path / "kept.txt").write_text("x")
    assert results.folder(tmp_path) == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("name", ["file", "file/below", "gone", "n" * 300, "a\0b"])
def test_what_cannot_be_a_folder_is_said_before_any_work(name, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere" / "at all")
    with pytest.raises(InputError) as told:
        results.folder(tmp_path / name)
    said = str(told.value)
    assert said.startswith("--out must be a folder that can be made and written to, got ")
    assert said.endswith("): make room there or name another one.")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "gone"]


def test_a_folder_that_cannot_be_written_is_said_before_any_work(tmp_path, monkeypatch):
    """Whoever runs the tests may write anywhere, so the system's answer is made up."""

    def refused(dir):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    said = f"written to, got {str(tmp_path / 'new')!r} (Permission denied): make room"
    with pytest.raises(InputError, match=re.escape(said)):
        results.folder(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_files_whole_and_no_new_ones(tmp_path, monkeypatch):
    results.write(tmp_path, {"a.txt": "old", "b.txt": "old"})
    synced = []

    def full(file):
        synced.append(file)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"must have room .* \(No space left on device\): make "):
        results.write(tmp_path, {"a.txt": "new", "b.txt": "new", "c.txt": "new"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.txt": "old",
        "b.txt": "old",
    }


def test_a_folder_in_the_place_of_a_file_is_said(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(InputError, match="the folder for the results must have room for them"):
        results.write(tmp_path, {"a.txt": "new"})
    assert stat.S_ISDIR((tmp_path / "a.txt").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
