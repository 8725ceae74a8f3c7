"""Whatever a stranger brings ends in one sentence: a search for what does not, bounded and seeded.

    python tests/fuzz.py                      a few seconds, as in the tests
    python tests/fuzz.py --seconds 3600       for as long as you like, with cases never tried before
    python tests/fuzz.py --kind pictures --seed 0 --case 137     one case again, with its traceback

Files, records and commands that are right are spoiled at random and given to the ways in. What they
say must be an answer or an `InputError` of one line; memory must stay bounded and nothing may hang.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from limecraft_jax.types import InputError  # noqa: E402
from tests import spoil  # noqa: E402

CASES = {"pictures": 4000, "arrays": 2000, "sessions": 400, "records": 3000, "commands": 100}
MOST_SECONDS = 60  # for one case: a hang, not a slow machine
MOST_MEGABYTES = 800  # beyond what is taken at the start; 40 million pixels may be read
LONGEST = 700  # letters of a sentence


@dataclasses.dataclass(frozen=True)
class Found:
    """A case that ended in anything but an answer or a sentence."""

    kind: str
    seed: int
    case: int
    why: str

    def __str__(self) -> str:
        again = f"python tests/fuzz.py --kind {self.kind} --seed {self.seed} --case {self.case}"
        return f"{self.kind}: {self.why}\n    {again}"


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Ends what hangs, where the system can."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def end(*_):
        raise TimeoutError(f"took more than {MOST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def megabytes() -> float:
    """The most memory that was ever taken; 0 where nobody knows."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def fault(said: BaseException) -> str:
    """What is wrong with how a case ended; empty if it is a sentence fit for a user."""
    text = str(said)
    if not isinstance(said, InputError):
        return f"{type(said).__name__}: {text[:300]}"
    if "\n" in text or len(text) > LONGEST or not text.endswith((".", "?")):
        return f"no sentence: {text[:300]!r}"
    return ""


def attempt(kind: str, seed: int, case: int, aloud: bool = False) -> Found | None:
    """Try one case; the same numbers try the same."""
    make = KINDS[kind]
    rng = np.random.default_rng([seed, list(KINDS).index(kind), case])
    before = megabytes()
    try:
        with watched(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", module=r"limecraft_jax\.")  # ours tells nothing more
            make(rng)
    except (Exception, SystemExit) as error:
        if aloud:
            traceback.print_exc()
        if why := fault(error):
            return Found(kind, seed, case, why)
    if megabytes() - before > MOST_MEGABYTES:
        return Found(kind, seed, case, f"took {megabytes() - before:.0f} MB")
    return None


def search(
    cases: dict[str, int], seed: int = 0, seconds: float = 0.0, found: Callable = print
) -> int:
    """Try so many cases of each kind, then more until the time is over; how many went wrong."""
    wrong, turn, end = 0, 0, time.monotonic() + seconds
    while not turn or time.monotonic() < end:
        for kind, count in cases.items():
            for case in range(turn * count, (turn + 1) * count):
                if result := attempt(kind, seed, case):
                    found(result)
                    wrong += 1
        turn += 1
    return wrong


KINDS: dict[str, Callable[[np.random.Generator], object]] = {
    "pictures": spoil.picture,
    "arrays": spoil.array,
    "sessions": spoil.session,
    "records": spoil.record,
    "commands": spoil.command,
}


def main(arguments: list[str]) -> int:
    """Search, and tell what was found."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--seconds", type=float, default=0.0, help="go on for so long")
    p.add_argument("--seed", type=int, default=0, help="another one tries other cases")
    p.add_argument("--kind", choices=KINDS, help="of this kind alone")
    p.add_argument("--case", type=int, help="this case alone, with its traceback")
    given = p.parse_args(arguments)
    if given.case is not None:
        result = attempt(given.kind or next(iter(KINDS)), given.seed, given.case, aloud=True)
        print(result or "It ends as it should.")
        return int(result is not None)
    cases = {kind: n for kind, n in CASES.items() if given.kind in (None, kind)}
    show = functools.partial(print, flush=True)
    wrong = search(cases, given.seed, given.seconds, show)
    print(f"{wrong} found; at most {megabytes():.0f} MB taken.")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
