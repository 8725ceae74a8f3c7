"""Results go out whole or not at all, and whether they can is known before any work is done.

folder ──can be made, can be written──►  ...the work...  ──► temporary names ──► all in place
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from limecraft_jax.bounds import short
from limecraft_jax.types import InputError


def folder(path: str | os.PathLike[str], what: str = "--out") -> Path:
    """A folder that results can be written into; it is made when they are.

    Parameters
    ----------
    path
        The folder. It and those around it need not exist; none of them is left behind.
    what
        What it is called where it was named.

    Raises
    ------
    InputError
        If it cannot be made, or nothing can be written into it.
    """
    out = Path(path)
    with _said(out, f"{what} must be a folder that can be made and written to"):
        missing = [place for place in (out, *out.parents) if not os.path.lexists(place)]
        try:
            out.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=out).close()
        finally:
            for place in missing:
                with contextlib.suppress(OSError):
                    place.rmdir()
    return out


def write(out: Path, files: Mapping[str, bytes | str]) -> None:
    """Write files into a folder: all of them first under names of their own, then in place.

    Parameters
    ----------
    out
        The folder, made if need be.
    files
        Contents by name; texts are written as UTF-8.

    Raises
    ------
    InputError
        If one cannot be written. Then what was there before still is, and nothing else.
    """
    mark = secrets.token_hex(4)
    waiting = {out / name: out / f".{name}.{mark}.part" for name in files}
    with _said(out, "the folder for the results must have room for them"):
        out.mkdir(parents=True, exist_ok=True)
        try:
            for part, data in zip(waiting.values(), files.values(), strict=True):
                with part.open("xb") as file:
                    file.write(data.encode() if isinstance(data, str) else data)
                    file.flush()
                    os.fsync(file.fileno())  # some systems tell only now that there is no room
            for place, part in waiting.items():
                os.replace(part, place)
        finally:
            for part in waiting.values():
                with contextlib.suppress(OSError):
                    part.unlink()


@contextlib.contextmanager
def _said(out: Path, must: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a path with a zero in it
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"{must}, got {short(str(out), 300)} ({why}): make room there or name another one."
        ) from None
