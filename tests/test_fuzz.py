"""Whatever comes from outside ends in an answer or in one sentence; and the search would see it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from limecraft_jax.types import InputError
from tests import fuzz
from tests.server import ROOT


def test_whatever_comes_ends_in_an_answer_or_in_one_sentence():
    """`python tests/fuzz.py --seconds 3600` tries more."""
    done = subprocess.run(
        [sys.executable, "tests/fuzz.py"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.startswith("0 found; at most ")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyError("x"), "KeyError: 'x'"),
        (SystemExit(3), "SystemExit: 3"),
        (InputError("a number must be one, got two:\n give one."), "no sentence: "),
        (InputError("a number must be one"), "no sentence: "),
        (InputError("a number must be one, got " + "9" * 5000 + "."), "no sentence: "),
        (InputError("a number must be one, got two: give one."), ""),
    ],
)
def test_the_search_knows_a_sentence(error, why, monkeypatch):
    def spoiled(rng):
        raise error

    monkeypatch.setitem(fuzz.KINDS, "pictures", spoiled)
    found = fuzz.attempt("pictures", 3, 7)
    assert bool(found) == bool(why)
    if found:
        assert found.why.startswith(why)
        assert str(found).endswith("python tests/fuzz.py --kind pictures --seed 3 --case 7")


def test_the_search_finds_what_takes_too_much(monkeypatch):
    taken = iter([100.0, 100.0 + fuzz.MOST_MEGABYTES + 1, 1000.0])
    monkeypatch.setattr(fuzz, "megabytes", lambda: next(taken))
    monkeypatch.setitem(fuzz.KINDS, "pictures", lambda rng: None)
    assert fuzz.attempt("pictures", 0, 0).why == "took 900 MB"


def test_the_search_finds_what_hangs():
    """In a process of its own: a signal may end one in which other libraries took signals over."""
    code = """
    from tests import fuzz
    def forever(rng):
        while True:
            pass
    fuzz.MOST_SECONDS = 1
    fuzz.KINDS["pictures"] = forever
    print(fuzz.attempt("pictures", 0, 0).why)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "TimeoutError: took more than 1 s\n", done.stderr


def test_a_case_is_the_same_again(monkeypatch):
    drawn = []
    monkeypatch.setitem(fuzz.KINDS, "arrays", lambda rng: drawn.append(rng.integers(2**62)))
    assert fuzz.search({"arrays": 4}, seed=1) == 0
    for case in range(4):
        fuzz.attempt("arrays", 1, case)
    assert drawn[:4] == drawn[4:]
    assert len(set(drawn)) == 4
