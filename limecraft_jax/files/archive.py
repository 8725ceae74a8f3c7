"""Zip files from strangers: only known members, only so large, and only plain data in them."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax.files.images import LEAST_SIDE, MAX_SIDE, array_header, decode, open_header
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Float32, Int32

MOST_BYTES = 200_000_000  # of the file as it comes
RATIO = 200  # bytes of JSON unpacked per byte packed; ours stay below 20
FREE = 1_000_000  # bytes; below that the ratio does not matter
AGAIN = "save the session again"


def members(data: bytes, known: Mapping[str, int], needed: Collection[str]) -> dict[str, bytes]:
    """Contents of a zip file by name; sizes are checked before anything is unpacked.

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
    if len(data) > MOST_BYTES:
        raise InputError(
            f"a session bundle must have at most {MOST_BYTES // 1_000_000} MB, "
            f"got {len(data) // 1_000_000} MB."
        )
    if not data.startswith(b"PK"):
        raise InputError("a session bundle must be a zip file, got another file: choose another.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            entries = file.infolist()
            _check([entry.filename for entry in entries], known, needed)
            for entry in entries:
                _check_size(entry, known[entry.filename])
            return {entry.filename: file.read(entry) for entry in entries}
    except InputError:
        raise
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
    """A short text."""
    if not isinstance(value, str) or len(value) > 500:
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


def short(value: object) -> str:
    """A value as one short line."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
