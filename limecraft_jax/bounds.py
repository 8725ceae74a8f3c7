"""Numbers from outside: of the right kind and within their bounds, or refused in one sentence.

Every choice checks its own when it is made, so no question is asked before all of them can be used.
The bounds leave out what no arithmetic can tell from 0 or infinity, and slips of the pen.
"""

from __future__ import annotations

import numbers

from limecraft_jax.types import InputError

MOST_SEED = 2**53 - 1  # the largest whole number that every reader of JSON keeps
MOST_COUNT = 10_000  # superpixels; to cut a picture into so many takes seconds
WIDTHS = (1e-3, 1e6)  # of a kernel: below, all but the picture weighs 0; above, all weighs the same


def number(name: str, value: object, low: float, high: float, advice: str = "") -> None:
    """Refuse what is no number from low to high.

    >>> number("width", 0.25, *WIDTHS)
    """
    real = isinstance(value, numbers.Real) or (hasattr(value, "dtype") and not value.shape)  # type: ignore[attr-defined]
    if not real or isinstance(value, bool) or not low <= value <= high:  # type: ignore[operator]
        raise _outside(name, "number", value, f"{low:g}", f"{high:g}", advice)


def whole(name: str, value: object, low: int, high: int, advice: str = "") -> None:
    """Refuse what is no whole number from low to high.

    >>> whole("seed", 7, 0, MOST_SEED)
    """
    real = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not (real and low <= value <= high):  # type: ignore[operator]
        raise _outside(name, "whole number", value, str(low), str(high), advice)


def short(value: object, most: int = 60) -> str:
    """A value as one short line, whatever it is.

    >>> short("a" * 100, 10)
    "'aaaaaa..."
    """
    try:
        shown = repr(value[:most] if isinstance(value, str | bytes) else value)
    except ValueError:  # Python spells out no number of more than 4300 digits
        shown = "a number of thousands of digits"
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def _outside(name: str, kind: str, value: object, low: str, high: str, advice: str) -> InputError:
    must = f"{name} must be a {kind} from {low} to {high}, got {short(value)}"
    return InputError(f"{must}: {advice}." if advice else f"{must}.")
