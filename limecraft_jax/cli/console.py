"""What reaches the terminal: one sentence and no more, in letters that it has.

A console of Windows or an old server knows no minus sign (−) and no ², and libraries warn of what a
user can do nothing about. Neither may come between a user and the sentence that says what to do.
"""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import sys
import unicodedata
import warnings
from collections.abc import Iterator

# Signs that have no plain letters in them; of the others (é, ², …) Unicode itself knows some.
PLAIN = {
    "−": "-", "–": "-", "—": "-", "×": "x", "→": "->", "±": "+-", "≤": "<=", "≥": ">=",
    "°": " degrees", "‘": "'", "’": "'", "“": '"', "”": '"', "λ": "lambda", "ν": "nu",
    "β": "beta", "π": "pi", "⁄": "/",
}  # fmt: skip
NOISY = ("PIL", "jax", "absl", "onnxruntime")  # loggers that tell no user anything


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let no library speak, unless somebody asked for it with ``python -W default``."""
    if sys.warnoptions:
        yield
        return
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), _ours():
        warnings.simplefilter("ignore", append=True)  # behind what others asked for
        yield


@contextlib.contextmanager
def _ours() -> Iterator[None]:
    """Standard error for us alone: what a library in C prints there comes to nothing.

    Ours goes by another number that stands for the same place.
    """
    before = sys.stderr
    if before is not sys.__stderr__ or before is None:
        yield  # somebody listens to us from Python
        return
    before.flush()
    place = before.fileno()
    kept, nowhere = os.dup(place), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, place)
    os.close(nowhere)
    form = (1, before.encoding, before.errors)
    try:
        with open(kept, "w", *form, closefd=False) as sys.stderr:
            yield
    finally:
        sys.stderr = before
        os.dup2(kept, place)
        os.close(kept)


def plain() -> None:
    """Let the terminal show what it has no letters for in plain ones."""
    codecs.register_error("limecraft_jax", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="limecraft_jax")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(spell, error.object[error.start : error.end])), error.end


def spell(letter: str) -> str:
    """A letter in ASCII.

    >>> "".join(map(spell, "R² −0.5 café 犬"))
    'R2 -0.5 cafe ?'
    """
    parts = unicodedata.normalize("NFKD", letter)
    return "".join(PLAIN.get(c, c) for c in parts).encode("ascii", "ignore").decode() or "?"
