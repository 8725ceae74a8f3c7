"""Public weights: where they are kept on this machine, and how they come there.

A card names one file of the Hugging Face hub. It is fetched once, checked against the card and kept
in a folder of the user's; nothing else is ever loaded from there. The files are safetensors: plain
arrays that can hold no program.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from limecraft_jax.models.card import ModelCard, Source, folder
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from limecraft_jax.models.classifier import Classifier
    from limecraft_jax.models.transfer import Progress

HUB = "https://huggingface.co"
LIMIT = 500_000_000  # bytes, where a card does not know the size
COMMAND = "python -m limecraft_jax download"


def load(name: str) -> Classifier:
    """A classifier with public weights that are on this machine; see `available`."""
    from limecraft_jax.models import networks, pace

    card = ModelCard.read(name)
    return pace.settle(networks.read(available(card), card))


def place(card: ModelCard) -> Path:
    """Where the weights of a card are kept, whether or not they are there."""
    return folder() / f"{card.name}.safetensors"


def address(card: ModelCard, base: str = HUB) -> str:
    """The address of the weights of a card."""
    source = _source(card)
    return f"{base}/{source.repository}/resolve/{source.revision}/{source.file}"


def find(card: ModelCard) -> Path | None:
    """The weights of a card in the cache; None if they are not there or not those of the card.

    A file is hashed when it is first seen, and again when its size or time has changed.
    """
    return place(card) if _known(card) else None


def fingerprint(card: ModelCard) -> str:
    """SHA-256 of the weights that `find` finds, in hexadecimal; empty if there are none."""
    return _known(card)


def available(card: ModelCard) -> Path:
    """The weights of a card in the cache, or the error that says how to get them."""
    found = find(card)
    if found:
        return found
    here = place(card)
    if here.exists():
        _check_layout(here)
        raise _mismatch(card, _sha256(here), here, _read_note(card).get("sha256"))
    raise InputError(
        f"the weights of {card.name} must be on this machine before it can be used, and they are "
        f"not: get them once with `{COMMAND} {card.name}` ({megabytes(card)} MB)."
    )


def megabytes(card: ModelCard) -> int:
    """Size of the weights in MB; where the card does not know it, from the number of parameters."""
    return round((_source(card).size or 4 * card.parameters) / 1e6)


def fetch(
    card: ModelCard,
    progress: Progress | None = None,
    base: str = HUB,
    timeout: float = 30.0,
    loopback: bool = False,
) -> Path:
    """Download the weights of a card into the cache, unless they are there, and return their path.

    Parameters
    ----------
    card
        A card with a source.
    progress
        Told (bytes so far, bytes in all or 0 if not known). If it raises, the download ends and
        the next one goes on from there.
    base
        The hub, or a mirror of it.
    timeout
        Seconds of silence after which a connection is given up.
    loopback
        Also allow http to this very machine; for tests.
    """
    from limecraft_jax.models.transfer import Unreachable, discard, transfer

    found = find(card)
    if found:
        return found
    here, url = place(card), address(card, base)
    part = here.with_name(f"{here.name}.part")
    with _disk(card), _alone(here, part, progress):
        found = find(card)  # another process may have been at it
        if found:
            return found
        try:
            transfer(url, part, _source(card).size or LIMIT, progress, timeout, loopback)
        except Unreachable as error:
            raise InputError(
                f"the weights of {card.name} must be downloaded, but there is no network or no way "
                f"to {base} ({error}): download {url} on another machine and put it at {here}, or "
                f"give its path with `{COMMAND} {card.name} --file PATH`."
            ) from None
        try:
            _check_layout(part)
            return _accept(card, part)
        except _Mismatch as error:
            kept = here.with_name(f"{here.name}.rejected")
            os.replace(part, kept)
            raise _mismatch(card, str(error), kept) from None
        finally:
            discard(part)


def adopt(card: ModelCard, path: Path | str, accept: bool = False) -> Path:
    """Copy a file that was downloaded by hand into the cache, and return its path there.

    Parameters
    ----------
    card
        A card with a source.
    path
        A safetensors file.
    accept
        Take it although its hash is not that of the card, because you know where it is from.
    """
    given = Path(path)
    if not given.is_file():
        raise InputError(f"the weights must be an existing file, got {str(path)!r}.")
    _check_layout(given)
    here = place(card)
    with _disk(card), tempfile.TemporaryDirectory(dir=_made(here.parent)) as scratch:
        copy = Path(scratch) / here.name
        shutil.copyfile(given, copy)
        try:
            return _accept(card, copy, accept)
        except _Mismatch as error:
            raise _mismatch(card, str(error), given) from None


class _Mismatch(Exception):
    """These are other weights; the text is their hash."""


def _source(card: ModelCard) -> Source:
    if card.source is None or card.source.package:
        raise InputError(
            f"only a model with public weights can be downloaded, got {card.name!r}, "
            "which needs no download."
        )
    return card.source


def _accept(card: ModelCard, file: Path, accept: bool = False) -> Path:
    """Move a file to its place in the cache if it is the one of the card, or accepted."""
    found, wanted = _sha256(file), _source(card).sha256
    if wanted and found != wanted and not accept:
        raise _Mismatch(found)
    os.replace(file, place(card))
    _write_note(card, found)
    return place(card)


def _known(card: ModelCard) -> str:
    """Hash of the file in the cache, if it is the one of the card or was accepted for it."""
    here = place(card)
    if card.source is None or card.source.package or not here.is_file():
        return ""
    note = _read_note(card)
    if note.get("wanted") != card.source.sha256:
        note = {}  # made for another version of the card
    stat = here.stat()
    if note and (note.get("size"), note.get("time")) == (stat.st_size, stat.st_mtime_ns):
        return str(note["sha256"])
    found, good = _sha256(here), {note.get("sha256"), card.source.sha256} - {None, ""}
    if good and found not in good:
        return ""
    try:
        _check_layout(here)
    except InputError:
        return ""
    with contextlib.suppress(OSError):  # a cache that cannot be written can still be read
        _write_note(card, found)
    return found


def _note(card: ModelCard) -> Path:
    return place(card).with_suffix(".json")


def _read_note(card: ModelCard) -> dict[str, object]:
    """What a successful check left: sha256 of the file, its size and time, and the hash wanted."""
    try:
        note = json.loads(_note(card).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and isinstance(note.get("sha256"), str) else {}


def _write_note(card: ModelCard, found: str) -> None:
    stat = place(card).stat()
    note: dict[str, object] = {"sha256": found, "wanted": _source(card).sha256}
    note |= {"size": stat.st_size, "time": stat.st_mtime_ns}
    with tempfile.TemporaryDirectory(dir=folder()) as scratch:
        new = Path(scratch) / "note"
        new.write_text(json.dumps(note), encoding="utf-8")
        os.replace(new, _note(card))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_layout(path: Path) -> None:
    """Raise unless the file is safetensors and whole; reads its header alone."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"weights must be a whole safetensors file, got {path.name}: {error}; download it anew."
        ) from None


def _mismatch(card: ModelCard, found: str, path: Path, noted: object = None) -> InputError:
    wanted = _source(card).sha256 or noted
    return InputError(
        f"the weights of {card.name} must have sha256 {wanted}, got {found}: "
        "the publisher may have replaced the file, or it was tampered with; if you know that it is "
        f"good, take it with `{COMMAND} {card.name} --file {path} --accept`."
    )


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def _disk(card: ModelCard) -> Iterator[None]:
    """Says in one sentence that the cache cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the weights of {card.name} must fit into {folder()}, but it cannot be written "
            f"({error.strerror or error}): free {megabytes(card)} MB there, or name another folder "
            "in the environment variable LIMECRAFT_JAX_CACHE."
        ) from None


@contextlib.contextmanager
def _alone(here: Path, part: Path, progress: Progress | None) -> Iterator[None]:
    """Waits until no other thread or process downloads this file, then keeps them waiting.

    The system itself drops the lock of a process that ends, however it ends.
    """
    from limecraft_jax.models.transfer import size

    with (_made(here.parent) / f"{here.name}.lock").open("a+b") as lock:
        while not _locked(lock):
            time.sleep(0.1)
            if progress:
                progress(size(part), 0)
        yield


def _locked(file: IO[bytes]) -> bool:
    """Lock a file for as long as it is open; False if somebody else has done so."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
