"""Small pieces of page that several panels use: style, steps, bars."""

from __future__ import annotations

import base64
import html
import math
import re
from collections.abc import Iterable
from typing import Any

import streamlit as st

JOINER = "\u2060"  # of no width; breaks no line
_MARKS = re.compile(r"[\\`*\[\]<>$~&#|]|(?<![^\W_])_|_(?![^\W_])")
_START = re.compile(r"^(\d*)([.)+-])")  # a list, where a text begins with it
_FOUND = re.compile(r"[:@](?! )|www(?=\.)|(?<!\S)\\?[-<>~](?=[-=>\\])", re.IGNORECASE)

STYLE = """<style>
.stMainBlockContainer {max-width: 56rem; padding-top: 4.5rem;}
.lc-step {display: flex; align-items: baseline; gap: .6rem; margin: 1.1rem 0 .1rem;}
.lc-step b {font-size: 1.25rem;}
.lc-step i {font-style: normal; flex: none; width: 1.7rem; height: 1.7rem; border-radius: 50%;
  display: inline-flex; align-items: center; justify-content: center; font-weight: 600;
  background: #0b728522; color: inherit; font-size: .95rem;}
.lc-bars {display: grid; grid-template-columns: minmax(7rem, max-content) 1fr 3.6rem;
  gap: .3rem .7rem; align-items: center; font-size: .92rem; margin-bottom: .6rem;}
.lc-bars div.track {background: #8884; border-radius: 4px; height: .7rem; position: relative;}
.lc-bars div.fill {border-radius: 4px; height: 100%;}
.lc-bars span.n {text-align: right; font-variant-numeric: tabular-nums;}
.lc-shares {display: flex; height: 1.5rem; border-radius: 6px; overflow: hidden; margin: .2rem 0;}
.lc-key {display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .9rem;}
.lc-key i {display: inline-block; width: .85rem; height: .85rem; border-radius: 3px;
  margin-right: .4rem; vertical-align: -.05rem;}
.lc-regions {overflow-x: auto;}
.lc-regions table {width: 100%; border-collapse: collapse; font-size: .92rem;}
.lc-regions th {text-align: left; font-weight: 600; padding: .25rem .8rem .25rem 0;}
.lc-regions thead th {font-weight: 400; opacity: .75;}
.lc-regions td {padding: .25rem .8rem .25rem 0; white-space: nowrap;
  font-variant-numeric: tabular-nums;}
.lc-regions .track {display: inline-block; width: 6.5rem; height: .7rem; border-radius: 4px;
  background: #8884; margin-right: .5rem; vertical-align: -.05rem;}
.lc-regions .track div {height: 100%; border-radius: 4px; background: #0b7285;}
.lc-note {opacity: .75; font-size: .88rem;}
.lc-note i {display: inline-block; width: 1.05em; height: 1.05em; line-height: 1.05em;
  border: 1px solid currentColor; border-radius: 50%; text-align: center; font-size: .8em;
  font-style: normal; margin-right: .25em;}
</style>"""


def step(number: int, title: str, text: str = "") -> None:
    """The heading of a step, with one line on what to do."""
    st.html(
        f'<div class="lc-step"><i>{number}</i><b role="heading" aria-level="2">'
        f"{html.escape(title)}</b></div>"
    )
    if text:
        st.caption(text)


def text(value: object) -> str:
    r"""Markdown that shows a name, or a sentence with names in it, letter by letter.

    Names come from files of strangers. Streamlit's markdown fetches pictures, and some of what it
    looks for (icons, emoji, addresses, arrows) it finds behind backslashes, too: there a mark that
    has no width comes between.

    >>> text("a*b") == r"a\*b", text("1. http://x") == rf"1\. http:{JOINER}//x"
    (True, True)
    """
    shown = " ".join(whole(str(value)).split())
    shown = _MARKS.sub(r"\\\g<0>", shown)
    shown = _START.sub(r"\1\\\2", shown)
    return _FOUND.sub(rf"\g<0>{JOINER}", shown)


def whole(value: str) -> str:
    """A text without halves of characters, which JSON may hold and no browser is sent.

    >>> whole("half " + chr(0xD800))
    'half ?'
    """
    return value.encode("utf-8", "replace").decode()


def data_url(jpeg: bytes) -> str:
    """A JPEG as an address that holds it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def picture(
    jpeg: bytes, alt: str, caption: str = "", width: Any = "stretch", place: Any = st
) -> None:
    """A picture that travels with the page.

    As a file of its own it could be gone when the browser asks for it: Streamlit drops what the
    next run replaced, and a run that shows itself replaces its picture several times a second.
    """
    place.image(data_url(jpeg), caption=text(caption) or None, width=width, alt=alt)


def bars(rows: Iterable[tuple[str, float]], color: str = "#0b7285") -> None:
    """Shares in [0, 1] as horizontal bars with their percentage."""
    cells = "".join(
        f'<span>{html.escape(name)}</span><div class="track"><div class="fill" style="width:'
        f'{100 * value:.1f}%;background:{color}"></div></div>'
        f'<span class="n">{percent(value)}</span>'
        for name, value in rows
    )
    st.html(f'<div class="lc-bars">{cells}</div>')


def percent(value: float) -> str:
    """A share as people read it."""
    if 0 < value < 0.001:
        return "< 0.1 %"
    return f"{100 * value:.1f} %"


def points(value: float, digits: int = 2) -> str:
    """A difference of probabilities in percentage points, with its sign."""
    return f"{100 * value:+.{digits}f}".replace("-", "−")


def digits(largest: float) -> int:
    """Digits behind the point of effects in percentage points, so that the largest has two.

    Among 1000 classes most probabilities are tiny, and so is what changes them.
    """
    return min(max(1 - math.floor(math.log10(100 * largest)), 2), 9) if largest > 0 else 2


def hatched(color: str) -> str:
    """CSS background of diagonal stripes."""
    return f"repeating-linear-gradient(135deg,{color} 0 3px,transparent 3px 8px)"


def notes(sentences: Iterable[str]) -> None:
    """What was done to a file or a drawing, said in small print."""
    for sentence in sentences:
        st.html(f'<div class="lc-note"><i>i</i> {html.escape(sentence)}</div>')
