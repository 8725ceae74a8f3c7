"""Zip files from strangers: only known members, only so large, and only plain data in them."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax.bounds import short
from limecraft_jax.files.images import LEAST_SIDE, MAX_SIDE, array_header, decode, open_header
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Float32, Int32

MOST_BYTES = 200_000_000  # of the file as it comes
RATIO = 200  # bytes of JSON unpacked per byte packed; ours stay below 20
FREE = 1_000_000  # bytes; below that the ratio does not matter
MOST_VALUES = 4_000_000  # of JSON; an empty mapping is 2 bytes in the file and 64 in memory
AGAIN = "save the session again"


class Archive:
    """A zip file of which only what is asked for is unpacked, never more than it says.

    Parameters
    ----------
    data
        The file.
    known
        Names that may be in it, and the most bytes of each.
    needed
        Names that must be in it.

    Raises
    ------
    InputError
        If it is no zip file, damaged, encrypted, or holds anything else.
    """

    def __init__(self, data: bytes, known: Mapping[str, int], needed: Collection[str]):
        if len(data) > MOST_BYTES:
            raise InputError(
                f"a session bundle must have at most {MOST_BYTES // 1_000_000} MB, "
                f"got {len(data) // 1_000_000} MB."
            )
        if not data.startswith(b"PK"):
            raise InputError(
                "a session bundle must be a zip file, got another file: choose another."
            )
        with _whole():
            self._file = zipfile.ZipFile(io.BytesIO(data))
        entries = self._file.infolist()
        _check([entry.filename for entry in entries], known, needed)
        for entry in entries:
            _check_size(entry, known[entry.filename])
        self._entries = {entry.filename: entry for entry in entries}

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read(self, name: str) -> bytes:
        """The contents of one member.

        Raises
        ------
        InputError
            If it is damaged, encrypted, or of another size than the file says.
        """
        entry = copy.copy(self._entries[name])
        size = entry.file_size
        # zipfile inflates all that it is given and cuts that to the size told. Ask for one byte
        # more than that, and it stops inflating there: a member that lies is found out cheaply.
        entry.file_size = size + 1
        with _whole():
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise NotImplementedError  # the others take as much memory as they please
            with self._file.open(entry) as member:
                content = member.read(size + 1)
            if len(content) != size:
                raise zipfile.BadZipFile
        return content


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """Whatever a damaged zip file stumbles over becomes one sentence."""
    try:
        yield
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError,
        ValueError, OverflowError,
    ) as error:  # fmt: skip
        raise InputError(
            f"a session bundle must be a whole zip file without a password, got a damaged one: "
            f"{AGAIN}."
        ) from error


def _check(names: list[str], known: Collection[str], needed: Collection[str]) -> None:
    for name in names:
        if name not in known or names.count(name) > 1:
            raise InputError(
                f"a session bundle must hold nothing but its own files, each once, "
                f"got {short(name)}: {AGAIN}."
            )
    for name in needed:
        if name not in names:
            raise InputError(f"a session bundle must hold {name}, got none: {AGAIN}.")


def _check_size(entry: zipfile.ZipInfo, most: int) -> None:
    swollen = entry.file_size > FREE and entry.file_size > RATIO * max(entry.compress_size, 1)
    if entry.file_size > most or (swollen and entry.filename.endswith(".json")):
        raise InputError(
            f"{entry.filename} in a session bundle must have at most {most // 1_000_000} MB and "
            f"not be blown up, got {entry.file_size / 1e6:.1f} MB from "
            f"{entry.compress_size / 1e6:.1f} MB: {AGAIN}."
        )


def mapping(data: bytes, name: str) -> dict[str, Any]:
    """A JSON object with finite numbers."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    values = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if values > MOST_VALUES:
        raise InputError(
            f"{name} must hold at most {MOST_VALUES // 1_000_000} million values, got about "
            f"{values / 1e6:.1f} million: {AGAIN}."
        )
    try:
        value = json.loads(data, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} must be JSON, got damaged text: {AGAIN}.") from error
    if not isinstance(value, dict):
        raise InputError(
            f"{name} must hold names with their values, got {type(value).__name__}: {AGAIN}."
        )
    return value


def picture(data: bytes) -> Float32[np.ndarray, "h w c"]:
    """An .npy file of a picture; the header is checked before any memory is taken."""
    file = io.BytesIO(data)
    try:
        shape, fortran, dtype = array_header(file)
    except Exception as error:  # foreign bytes: whatever the parser stumbles over
        raise InputError(f"image.npy must be an .npy file, got a damaged one: {AGAIN}.") from error
    fits = len(shape) == 3 and shape[2] in (1, 3) and dtype == np.float32 and not fortran
    if not fits or not all(LEAST_SIDE <= side <= MAX_SIDE for side in shape[:2]):
        raise InputError(
            f"image.npy must hold float32 values in shape (h, w, 1) or (h, w, 3), sides from "
            f"{LEAST_SIDE} to {MAX_SIDE} pixels, got {dtype} {shape}: {AGAIN}."
        )
    if len(data) - file.tell() != int(np.prod(shape)) * 4:
        raise InputError(f"image.npy must be whole, got one that breaks off: {AGAIN}.")
    values = np.frombuffer(data, np.float32, offset=file.tell()).reshape(shape).copy()
    if not (values.min() >= 0 and values.max() <= 1):  # false for NaN, too
        raise InputError(f"image.npy must hold values in [0, 1], got others: {AGAIN}.")
    return values


def labels(data: bytes, shape: tuple[int, ...]) -> Int32[np.ndarray, "h w"]:
    """A label map as `masks.save_labels` writes it, its values as they are."""
    image = open_header(data, "mask.png")
    if image.format != "PNG" or (image.height, image.width) != tuple(shape):
        raise InputError(
            f"mask.png must be a PNG of {shape[1]} × {shape[0]} pixels like the image, "
            f"got {image.format} of {image.width} × {image.height}: {AGAIN}."
        )
    image = decode(image, "mask.png")[0]
    if not image.mode.startswith("I"):
        raise InputError(f"mask.png must be 16-bit gray, got mode {image.mode}: {AGAIN}.")
    return np.asarray(image).astype(np.int32)


def text(value: object, what: str) -> str:
    """A short text that can be shown and written: JSON may hold halves of characters."""
    if not isinstance(value, str) or len(value) > 500 or _SURROGATE.search(value):
        raise InputError(f"{what} must be a short text, got {short(value)}: {AGAIN}.")
    return value


def count(value: object, what: str, most: int) -> int:
    """A whole number from 0 on."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise InputError(
            f"{what} of a session must be a whole number from 0 to {most}, got {short(value)}: "
            f"{AGAIN}."
        )
    return value


_SURROGATE = re.compile("[\ud800-\udfff]")
