"""Work that takes a while: seen as it goes on, stopped by a button, ended when its visitor leaves.

Streamlit ends a run of the script where it next speaks to the page or looks into the session's
state: because of a click, or because the browser's tab is closed. Work that does neither for long
must ask by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeVar

import streamlit as st

from limecraft_jax.app.shared import cache, look

T = TypeVar("T")


def still_here() -> None:
    """End the work here if its visitor clicked on something, or left."""
    st.session_state.get("session")


def batches(parts: Iterator[T]) -> Iterator[T]:
    """Parts of some work, one after the other for as long as the visitor is there.

    Two are made at once, whoever asks, so that everybody's answer moves on.
    """
    while True:
        with cache.gate():
            still_here()
            part = next(parts, None)
        if part is None:
            return
        yield part


class Bar:
    """How far some work is and about how long it will take, beside a button that stops it.

    Any click ends a run of the script, so the button need do nothing; whoever starts the work keeps
    each part of it.

    Parameters
    ----------
    key
        Of the button.
    done
        Share of the work that was done earlier.
    """

    def __init__(self, key: str, done: float = 0.0):
        row, stop = st.columns([4, 1], vertical_alignment="center")
        self._bar = row.progress(done, "Getting ready …")
        stop.button("Stop", icon=":material/stop:", key=key, width="stretch")
        self._start, self._before = time.monotonic(), done

    def tell(self, done: float, doing: str = "") -> None:
        """Show the share that is done, and what is at work."""
        words = [f"{done:.0%}"]
        if done > self._before:
            rate = (time.monotonic() - self._start) / (done - self._before)
            words.append(f"about {rate * (1 - done):.0f} s left")
        self._bar.progress(done, " · ".join([*words, *([look.text(doing)] if doing else [])]))
