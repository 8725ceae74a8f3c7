"""Second panel: draw the regions you mean, see the superpixels at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit_drawable_canvas import st_canvas

from limecraft_jax.app.shared import cache, choose, limits, look, strokes
from limecraft_jax.app.shared.session import Session, Sketch, one_sentence
from limecraft_jax.bounds import MOST_COUNT
from limecraft_jax.files import masks
from limecraft_jax.path.segment import suggest
from limecraft_jax.path.segmenters import SEGMENTERS, Segmenter
from limecraft_jax.path.superpixels import share
from limecraft_jax.types import Segmentation

WIDTH = 420  # canvas pixels
COLOR_NAMES = ("sky blue", "yellow", "green", "vermilion", "pink", "blue", "orange", "white")
TOOLS = {
    "lasso": (
        ":material/gesture: Lasso",
        "Draw around what you mean; the line closes by itself. "
        "On a touch screen use this or the brush.",
    ),
    "polygon": (
        ":material/polyline: Polygon",
        "Click corner by corner; click the first corner again to close it.",
    ),
    "rectangle": (":material/crop_square: Rectangle", "Press, pull, let go."),
    "ellipse": (
        ":material/circle: Ellipse",
        "Press, pull, let go for a circle; the pencil below the picture stretches and turns it.",
    ),
    "brush": (":material/brush: Brush", "Paint over what you mean."),
    "eraser": (":material/ink_eraser: Eraser", "Wipe away what you drew."),
}


@dataclass(frozen=True, eq=False)
class Cut:
    """The superpixels on the page and what they came from."""

    mask: np.ndarray
    inside: int | tuple[int, ...]
    outside: int
    segmenter: Segmenter
    segmentation: Segmentation


def rgb(color: str) -> tuple[int, int, int]:
    """#rrggbb as three numbers."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def tools() -> dict:
    """The row of tools; returns the canvas' arguments for the one in hand."""
    tool = st.segmented_control(
        "Tool",
        list(TOOLS),
        default="lasso",
        required=True,
        format_func=lambda tool: TOOLS[tool][0],
        key="tool",
        persist_state="session",
        label_visibility="collapsed",
        width="stretch",
    )
    hint, choice = st.columns([56, 44], gap="medium", vertical_alignment="center")
    hint.caption(TOOLS[tool][1])
    region, width = 1, strokes.BRUSH
    with choice:
        if tool != "eraser":
            region = st.selectbox(
                "Draw in",
                list(strokes.COLORS),
                format_func=lambda r: f"Draws region {r} ({COLOR_NAMES[r - 1]})",
                key="region",
                persist_state="session",
                label_visibility="collapsed",
                help="Each region is cut into superpixels by itself.",
            )
        if tool in strokes.INKS:
            width = st.slider(
                "Width of the stroke", 4, 80, strokes.BRUSH, key="width", persist_state="session"
            )
    return strokes.encode(tool, region, float(width))


def draw(session: Session, subject: choose.Subject, tool: dict) -> strokes.Drawing:
    """The canvas; returns the regions drawn on it."""
    sketch = session.sketch(subject.shown.key)
    h, w = subject.shown.pixels.shape[:2]
    size = (WIDTH, round(WIDTH * h / w))
    backdrop = subject.shown.jpeg
    if sketch.base is not None:
        colors = {r: rgb(color) for r, color in strokes.COLORS.items()}
        key = cache.digest(subject.shown.key, sketch.base)
        backdrop = cache.backdrop(key, subject.shown.pixels, sketch.base, colors)
    result = st_canvas(
        **tool,
        background_image=backdrop,
        width=size[0],
        height=size[1],
        initial_drawing=sketch.seed,
        key=f"canvas-{subject.shown.key}-{sketch.epoch}",
    )
    sketch.json = result.json_data or {}
    with one_sentence():
        return strokes.regions(sketch.json, size, (h, w), sketch.base)
    return strokes.Drawing(np.zeros((h, w), np.int32))


def manage(sketch: Sketch, subject: choose.Subject, drawing: strokes.Drawing) -> None:
    """Undo, clear, and masks from files."""
    undo, clear, file = st.columns([1, 1, 1.3])
    if undo.button(
        "Undo",
        icon=":material/undo:",
        disabled=not sketch.objects,
        help="Take back the last stroke.",
        width="stretch",
    ):
        sketch.restart({**sketch.json, "objects": sketch.objects[:-1]})
        st.rerun()
    if clear.button(
        "Clear",
        icon=":material/delete:",
        disabled=not sketch.objects and sketch.base is None,
        help="Take away all that is drawn.",
        width="stretch",
    ):
        sketch.base, sketch.base_notes, sketch.counts = None, (), {}
        sketch.restart({})
        st.rerun()
    with file.popover("Mask file", icon=":material/upload_file:", width="stretch"):
        if subject.mask and st.button("Use the mask that comes with this example"):
            sketch.base, sketch.base_notes = choose.example_mask(subject), ()
            st.rerun()
        given = st.file_uploader(
            "A mask or label map",
            type=["png", "npy", "gif", "bmp", "tif", "tiff", "webp", "jpg", "jpeg"],
            key=f"mask-{subject.shown.key}-{sketch.epoch}",
            help="Black is outside; every other value or color is a region. You can go on "
            "drawing on top of it.",
        )
        if given is not None and st.button("Use this file", type="primary"):
            with one_sentence():
                loaded = masks.load_mask(
                    given.getvalue(), subject.shown.pixels.shape[:2], subject.card.crop
                )
                sketch.base, sketch.base_notes = loaded.labels, loaded.notes
                st.rerun()
    look.notes(sketch.base_notes + drawing.notes)


def superpixels(session: Session, subject: choose.Subject, drawing: strokes.Drawing) -> Cut | None:
    """Counts inside and outside, and the superpixels that they give."""
    sketch = session.sketch(subject.shown.key)
    mask, (h, w) = drawing.labels, drawing.labels.shape
    ids = drawing.ids
    areas = np.bincount(mask.ravel(), minlength=len(ids) + 1)
    slot = st.container()
    total = st.slider(
        "Superpixels in all",
        2,
        limits.MOST_TOTAL,
        min(100, h * w // 160 * 10),
        key=f"total-{subject.card.name}",
        persist_state="session",
        help="How finely the picture is cut. LIMEcraft suggests 100. The suggestion for each "
        "region follows: the same size of superpixel inside and outside.",
    )
    name = st.session_state.get("segmenter", "kmeans")
    segmenter = SEGMENTERS[name]()
    inside: int | tuple[int, ...]
    inside, outside = suggest(mask, total)
    if ids and len(ids) <= 8 and segmenter.counted:
        each = share(inside, areas[1:])
        inside = tuple(count(sketch, r, int(n), subject) for r, n in zip(ids, each, strict=True))
    elif len(ids) > 8:
        inside = count(sketch, -1, inside, subject)
    if areas[0] and segmenter.counted:
        outside = count(sketch, 0, outside, subject)
    if sketch.counts and st.button(
        "Use the suggestion",
        icon=":material/auto_fix_high:",
        help="Back to superpixels of the same size inside and outside.",
    ):
        sketch.counts.clear()
        st.rerun()
    chosen = (inside, outside, segmenter)
    with one_sentence():
        image = subject.shown.pixels
        key = cache.digest(image, mask, chosen)
        cut = cache.superpixels(key, image, mask, chosen)
        colors = {i + 1: rgb(strokes.COLORS.get(r, "#000000")) for i, r in enumerate(ids)}
        key = cache.digest(key, tuple(colors.items()))
        with slot:
            look.picture(
                cache.preview(key, image, cut, colors),
                f"The picture cut into {cut.num} superpixels",
            )
            st.caption(f"{cut.num} superpixels" + (f", {cut.inside.sum()} drawn" if ids else ""))
        look.notes(cut.notes)
        return Cut(mask, inside, outside, segmenter, cut)
    return None


def count(sketch: Sketch, region: int, suggested: int, subject: choose.Subject) -> int:
    """How many superpixels one region should have; the suggestion until somebody says otherwise."""
    key = f"count-{subject.shown.key}-{region}"
    st.session_state[key] = sketch.counts.get(region, suggested)

    def set_by_hand():
        sketch.counts[region] = st.session_state[key]

    label = {0: "Outside", -1: "Inside all regions"}.get(region, f"Inside region {region}")
    return st.number_input(
        label,
        0,
        MOST_COUNT,
        key=key,
        on_change=set_by_hand,
        help="0 keeps it whole, as one superpixel." if region >= 0 else None,
    )
