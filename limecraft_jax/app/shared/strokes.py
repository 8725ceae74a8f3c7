"""From what the browser's canvas reports to exact pixel masks.

    json objects ──fabric──► polygons on the canvas ──scale──► on the image ──winding──► labels

Which tool drew a shape and which region it belongs to is written in its color, the one thing the
canvas keeps as it was given: the color is the region, its opacity tells outlines (lasso, polygon,
rectangle, ellipse: what they enclose counts) from ink (brush: what it covers counts).

Everything here is browser input: wrong numbers and types are ignored with a note or end in an
``InputError``, nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from limecraft_jax.app.shared.fabric import TYPES, Shape, Unreadable, read
from limecraft_jax.app.shared.winding import fill
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Int, Int32

# Okabe & Ito, "Color Universal Design" (2008), told apart with every common color blindness; white
# takes the place of black. Those that stand out on skin and foliage come first.
COLORS = {
    1: "#56b4e9",  # sky blue
    2: "#f0e442",  # yellow
    3: "#009e73",  # green
    4: "#d55e00",  # vermilion
    5: "#cc79a7",  # pink
    6: "#0072b2",  # blue
    7: "#e69f00",  # orange
    8: "#ffffff",  # white
}
OUTLINES = {"lasso": "freedraw", "polygon": "polygon", "rectangle": "rect", "ellipse": "circle"}
INKS = ("brush", "eraser")
TOOLS = (*OUTLINES, *INKS)
ERASER = "#808080cc"
_OUTLINE, _INK, _FILL = "ff", "99", "33"  # the last two hex digits of a color: its opacity

THIN = 2  # canvas px, outlines; also the canvas' smallest rectangle and circle
BRUSH = 24  # canvas px, the ink of brush and eraser: about 1/20 of a 512 px canvas
LEAST_AREA = 16  # canvas px²; below that a click, not a region
OPEN_GAP = 0.15  # gap between the ends of a lasso, of its length, that is worth a word
MOST_OBJECTS = 200
MOST_POINTS = 100_000  # in all shapes together; a slow freehand lasso has about 500
MOST_LABEL = 65535  # what a label map on file can hold
_SLACK = 0.5  # canvas px beyond the edge that are not worth a word


@dataclass(frozen=True, eq=False)
class Drawing:
    """What was drawn, on the grid of the image.

    Attributes
    ----------
    labels
        0 outside, 1..R the regions in order of their ids.
    ids
        The region id (of color or base map) that label 1, 2, ... stands for.
    notes
        Sentences on what was closed, cut off or ignored.
    """

    labels: Int32[np.ndarray, "h w"]
    ids: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def encode(tool: str, region: int = 1, width: float = BRUSH) -> dict[str, Any]:
    """The arguments for ``st_canvas`` with which a tool draws one region; `decode` inverts it.

    Parameters
    ----------
    tool
        One of `TOOLS`.
    region
        1 to 8; the eraser has none and cuts all.
    width
        Of the ink of brush and eraser, in canvas pixels.
    """
    if tool not in TOOLS:
        raise InputError(f"tool must be one of {', '.join(TOOLS)}, got {tool!r}.")
    if region not in COLORS:
        raise InputError(f"region must be from 1 to {len(COLORS)}, got {region!r}.")
    color = COLORS[region]
    if tool in OUTLINES:
        stroke, line = color + _OUTLINE, float(THIN)
    else:
        stroke, line = (ERASER if tool == "eraser" else color + _INK), width
    return {
        "drawing_mode": OUTLINES.get(tool, "freedraw"),
        "stroke_color": stroke,
        "stroke_width": line,
        "fill_color": color + _FILL,
    }


# What a color means: (is it ink, which region; 0 for the eraser).
_MEANING = {
    **{color + _OUTLINE: (False, region) for region, color in COLORS.items()},
    **{color + _INK: (True, region) for region, color in COLORS.items()},
    ERASER: (True, 0),
}
_ENCLOSING = dict(
    zip(TYPES, ("lasso", "polygon", "rectangle", "rectangle", "ellipse"), strict=True)
)


def decode(item: Mapping[str, Any]) -> tuple[str, int] | None:
    """Tool and region (0 for the eraser) of a JSON object, or None if its color is not ours."""
    kind, stroke = item.get("type"), item.get("stroke")
    if not isinstance(kind, str) or not isinstance(stroke, str):
        return None
    meaning = _MEANING.get(stroke.lower())
    if meaning is None or kind.lower() not in _ENCLOSING:
        return None
    ink, region = meaning
    if not ink:
        return _ENCLOSING[kind.lower()], region
    if kind.lower() != "path":
        return None
    return ("brush" if region else "eraser"), region


def regions(
    json_data: Mapping[str, Any] | None,
    canvas: tuple[int, int],
    shape: tuple[int, int],
    base: Int[np.ndarray, "h w"] | None = None,
) -> Drawing:
    """The label map of a drawing.

    Shapes are laid down in the order they were drawn: those of one region unite, a later region
    covers an earlier one, the eraser cuts what lies before it. A shape in a color that is not ours
    counts to region 1.

    Parameters
    ----------
    json_data
        The canvas' ``json_data``; None before its first report.
    canvas
        (width, height) of the canvas in its pixels.
    shape
        (h, w) of the image, which fills the canvas.
    base
        A label map to draw on, 0 outside. Its regions keep their ids; what is drawn with the
        color of the same id is added to them.
    """
    labels = np.zeros(shape, np.int32) if base is None else np.array(base, np.int32)
    if labels.shape != tuple(shape):
        raise InputError(f"base must have shape {tuple(shape)}, got {labels.shape}.")
    if not 0 <= labels.min() <= labels.max() <= MOST_LABEL:
        raise InputError(
            f"base must have labels from 0 to {MOST_LABEL}, got {labels.min()} to {labels.max()}."
        )
    notes = _Notes()
    scale = np.array([shape[1] / canvas[0], shape[0] / canvas[1]])
    budget = MOST_POINTS
    drawn = set(_present(labels))
    for item in _objects(json_data):
        read = _read(item, notes)
        if read is None:
            continue
        tool, region, shape_ = read
        budget -= shape_.size
        if budget < 0:
            raise InputError(
                f"a drawing must have at most {MOST_POINTS} points, got more: undo some."
            )
        rings = shape_.ink if tool in INKS else shape_.placed[None]
        low, high = rings.min((0, 1)), rings.max((0, 1))
        rows, cols, inside = fill(rings * scale, shape)
        if (high <= 0).any() or (low >= canvas).any():
            notes.count("outside")
        elif min(inside.sum() / scale.prod(), np.prod(high - low)) < LEAST_AREA:
            notes.count("dot")
        else:
            if (low < -_SLACK).any() or (high > np.add(canvas, _SLACK)).any():
                notes.count("clipped")
            gap, length = shape_.gap
            if tool == "lasso" and gap > OPEN_GAP * length:
                notes.add(
                    f"Region {region}: a lasso was left open by {gap:.0f} canvas pixels "
                    f"({gap / length:.0%} of its length) and closed with a straight line."
                )
            labels[rows, cols][inside] = region
            drawn |= {region} - {0}
    ids = _present(labels)
    for gone in sorted(drawn - set(ids)):
        notes.add(f"Region {gone} is wholly covered or erased by what was drawn later.")
    numbers = np.zeros(max(ids, default=0) + 1, np.int32)
    numbers[ids] = np.arange(1, len(ids) + 1)
    return Drawing(numbers[labels], tuple(ids), notes.told())


def _present(labels: Int32[np.ndarray, "h w"]) -> list[int]:
    """The labels that occur, without 0."""
    return [int(i) for i in np.flatnonzero(np.bincount(labels.ravel())) if i]


class _Notes:
    """Sentences, and counts that become sentences."""

    _COUNTED: ClassVar = {
        "dot": "too small to be a region (a dot) {was} ignored",
        "line": "without an area (a line or text) {was} ignored",
        "unreadable": "that cannot be read {was} ignored",
        "outside": "wholly outside the picture {was} ignored",
        "clipped": "{was} cut off at the edge of the picture",
        "foreign": "in a color of no region {was} counted to region 1",
    }

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.counts: dict[str, int] = {}

    def add(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def told(self) -> tuple[str, ...]:
        counted = []
        for what, n in self.counts.items():
            who, was = ("One shape", "was") if n == 1 else (f"{n} shapes", "were")
            counted.append(f"{who} {self._COUNTED[what].format(was=was)}.")
        return (*self.sentences, *counted)


def _read(item: object, notes: _Notes) -> tuple[str, int, Shape] | None:
    """Tool, region and shape of an object, or None and a word on why not."""
    if not isinstance(item, Mapping) or not isinstance(item.get("type"), str):
        notes.count("unreadable")
        return None
    if item["type"].lower() not in TYPES:
        notes.count("line")
        return None
    try:
        shape = read(item)
    except Unreadable:
        notes.count("unreadable")
        return None
    known = decode(item)
    if known is None:
        notes.count("foreign")
    return (*(known or (_ENCLOSING[item["type"].lower()], 1)), shape)


def _objects(json_data: object) -> list[Any]:
    if json_data is None:
        return []
    items = json_data.get("objects", []) if isinstance(json_data, Mapping) else None
    if not isinstance(items, list):
        raise InputError(
            f"a drawing must be a dict with a list of objects, got {type(json_data).__name__}: "
            f"clear the canvas."
        )
    if len(items) > MOST_OBJECTS:
        raise InputError(
            f"a drawing must have at most {MOST_OBJECTS} shapes, got {len(items)}: undo some."
        )
    return items
