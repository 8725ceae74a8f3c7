"""How far this page goes: ends of its widgets, and what a session from a file may ask of it.

A session may come from a stranger. What it asks for goes through the bounds of the widgets that
could ask for the same; the command line takes more, on its user's own machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from limecraft_jax.compare.bundle import Bundle

MOST_SAMPLES = 8000  # minutes on a small machine, for the slowest network
MOST_TOTAL = 200  # superpixels shared out; more are too small to see
MOST_VARIANTS = 16  # side by side
MOST_STEPS = 32  # edits of one variant; all are done again whenever the page runs
ELSEWHERE = "do it again with python -m limecraft_jax replay"


def check(opened: Bundle) -> None:
    """Refuse a session that asks for more than the page's own widgets can.

    Raises
    ------
    InputError
        With the first number that is beyond them.
    """
    settings = opened.settings
    _within("samples", settings.samples, 1, MOST_SAMPLES)
    _within("the number of variants", len(opened.variants), 0, MOST_VARIANTS)
    for name, stack in opened.variants:
        _within(f"the number of edits of {name!r}", len(stack), 0, MOST_STEPS)
        for step in stack:
            for field, knob in step.edit.knobs.items():
                value = getattr(step.edit, field)
                _within(f"{field} of {step.edit.label}", value, knob.low, knob.high)


def check_questions(questions: int) -> None:
    """Refuse more questions about one picture than the slider of samples allows."""
    _within("the number of questions about one picture", questions, 1, MOST_SAMPLES)


def check_batch(batch: int, usual: int) -> None:
    """Refuse a larger batch than this machine uses: it takes that many times the memory."""
    _within("the number of pictures asked about at once", batch, 0, usual)


def _within(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(
            f"{what} must be from {low:g} to {high:g} on this page, got {value:g}: {ELSEWHERE}."
        )
