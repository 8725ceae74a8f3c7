"""The bytes of a file that somebody names: of a regular one, and not endlessly many."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from limecraft_jax.bounds import short
from limecraft_jax.types import InputError

PATH = 300  # letters of one that are told
MOST_BYTES = 500_000_000  # 40 million pixels of three times 32 bits take 480 MB


def read_bytes(source: bytes | str | os.PathLike[str], what: str) -> bytes:
    """The contents of a file, or an ``InputError`` that says why there are none.

    Pipes and devices are never opened: they may have no end, or no beginning.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    else:
        try:
            data = _contents(Path(source), what)
        except FileNotFoundError:
            raise InputError(
                f"{what} must be an existing file, got {short(str(source), PATH)}: check the path."
            ) from None
        except IsADirectoryError:
            raise InputError(
                f"{what} must be a file, got the folder {short(str(source), PATH)}: "
                "name a file in it."
            ) from None
        except InputError:
            raise
        except (OSError, ValueError, TypeError) as error:
            why = getattr(error, "strerror", None) or error
            raise InputError(
                f"{what} must be a readable file, got {short(str(source), PATH)} ({why}): "
                "check the path."
            ) from error
    if not data:
        raise InputError(f"{what} must not be an empty file, got 0 bytes: choose another file.")
    return data


def _contents(path: Path, what: str) -> bytes:
    """The bytes of a regular file, not endlessly many of them."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            f"{what} must be a file, got {short(str(path), PATH)}, a pipe or device: "
            "save its contents as a file first."
        )
    if status.st_size > MOST_BYTES:
        raise InputError(
            f"{what} must have at most {MOST_BYTES // 1_000_000} MB, "
            f"got {status.st_size // 1_000_000} MB: is it the right file?"
        )
    if not status.st_size:  # also what only looks like a file, and may have no end
        return b""
    with path.open("rb") as file:
        return file.read(status.st_size)
