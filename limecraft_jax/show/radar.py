"""Class probabilities as a radar plot, one line per picture (LIMEcraft's Fig. 5), in plain SVG.

Lines differ in color and in dashes, so that they are told apart in gray and by color-blind people.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int

AXES = 12  # classes that are legible around one circle (ours)
COLORS = ("#7a858c", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
DASHES = ("", "9 4", "2 4", "12 4 2 4", "5 3", "1 3 7 3", "16 6")
WIDTH, RADIUS, MIDDLE = 720, 170, (360, 235)
RINGS = 4


def likeliest(probs: Mapping[str, Float[np.ndarray, " k"]]) -> Int[np.ndarray, " m"]:
    """The at most `AXES` classes that are likeliest anywhere, in the order of the classes."""
    most = np.stack([np.asarray(p, float) for p in probs.values()]).max(axis=0)
    return np.sort(np.argsort(-most, kind="stable")[:AXES])


def svg(probs: Mapping[str, Float[np.ndarray, " k"]], classes: Sequence[str]) -> str:
    """The plot with its legend.

    Parameters
    ----------
    probs
        Class probabilities by the name of the picture, the original first.
    classes
        Names of the k classes. The `AXES` that are likeliest anywhere are drawn, in their order.
    """
    shown = likeliest(probs)
    values = np.clip([np.asarray(p, float)[shown] for p in probs.values()], 0, 1)
    turns = 2 * np.pi * np.arange(len(shown)) / len(shown)
    ways = np.stack([np.sin(turns), -np.cos(turns)], axis=-1)
    rows = -(-len(probs) // 2)
    height = 2 * MIDDLE[1] + 10 + 24 * rows
    parts = [*_frame(ways), *_labels(ways, [classes[k] for k in shown])]
    for i, (name, row) in enumerate(zip(probs, values, strict=True)):
        parts += _line(i, name, row[:, None] * ways * RADIUS + MIDDLE)
    about = escape(f"Class probabilities of {', '.join(probs)}")
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{about}">'
        f"{''.join(parts)}</svg>"
    )


def _frame(ways):
    for ring in range(1, RINGS + 1):
        radius = RADIUS * ring / RINGS
        yield (
            f'<circle cx="{MIDDLE[0]}" cy="{MIDDLE[1]}" r="{radius:g}" fill="none" '
            'stroke="#8886" stroke-width="1"/>'
        )
    for x, y in ways * RADIUS + MIDDLE:
        yield (
            f'<line x1="{MIDDLE[0]}" y1="{MIDDLE[1]}" x2="{x:.1f}" y2="{y:.1f}" '
            'stroke="#8886" stroke-width="1"/>'
        )
    between = np.pi / len(ways)
    for ring in range(1, RINGS + 1):
        radius = RADIUS * ring / RINGS
        x, y = MIDDLE[0] - radius * np.sin(between), MIDDLE[1] - radius * np.cos(between)
        yield (
            f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" opacity=".6" '
            f'style="font-size: 11px">{100 * ring // RINGS} %</text>'
        )


def _labels(ways, names):
    for (across, down), name in zip(ways, names, strict=True):
        x, y = MIDDLE[0] + across * (RADIUS + 14), MIDDLE[1] + down * (RADIUS + 22)
        anchor = "middle" if abs(across) < 0.1 else "start" if across > 0 else "end"
        lines = textwrap.wrap(name, 22, max_lines=2, placeholder=" …") or [""]
        for i, line in enumerate(lines):
            place = y + 4 + 15 * (i - (len(lines) - 1) / 2)
            yield (
                f'<text x="{x:.1f}" y="{place:.1f}" text-anchor="{anchor}">'
                f"<title>{escape(name)}</title>{escape(line)}</text>"
            )


def _line(i, name, places):
    color, dash = COLORS[i % len(COLORS)], DASHES[i % len(DASHES)]
    style = f'fill="none" stroke="{color}" stroke-width="2.5" stroke-dasharray="{dash}"'
    outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polygon points="{outline}" {style}><title>{escape(name)}</title></polygon>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>'
    x, y = 20 + (i % 2) * WIDTH / 2, 2 * MIDDLE[1] + 12 + 24 * (i // 2)
    yield f'<line x1="{x:g}" y1="{y}" x2="{x + 44:g}" y2="{y}" {style}/>'
    short = textwrap.shorten(name, 40, placeholder=" …") or name[:38] + " …"
    yield f'<text x="{x + 54:g}" y="{y + 4}">{escape(short)}</text>'
