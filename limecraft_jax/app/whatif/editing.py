"""The stack of edits: add, turn the knobs, reorder, switch off, undo."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st
from scipy.ndimage import grey_dilation
from skimage.morphology import disk

from limecraft_jax import models
from limecraft_jax.app.shared import cache, limits, strokes
from limecraft_jax.app.shared.session import Lab, Session
from limecraft_jax.edits import edit
from limecraft_jax.edits.knobs import Knob
from limecraft_jax.files import masks


@dataclasses.dataclass(frozen=True)
class Case:
    """An example of editing: a bundled picture, and what is done to which of its regions."""

    title: str
    file: str
    steps: tuple[tuple[Any, str], ...]  # edit, and the region by its name in the index


MARGIN = 3  # pixels around a region of an example, so that its hole is filled from clean skin
CASES = (
    Case("Remove the ruler", "lesions/melanoma_ruler.png", ((edit.Remove(), "ruler"),)),
    Case("Remove the hairs", "lesions/nevus_hairs.png", ((edit.Remove(), "hairs"),)),
    Case("Another color", "lesions/melanoma.png", ((edit.Offset(0.25, 0.15, 0.1), "lesion"),)),
    Case("Another shape", "lesions/melanoma.png", ((edit.Power(1.4), "lesion"),)),
    Case(
        "Turned and moved",
        "lesions/nevus_ruler.png",
        ((edit.Recolor(), "skin"), (edit.Rotate(180), "lesion"), (edit.Shift(10, 10), "lesion")),
    ),
)


def gallery(session: Session) -> None:
    """Examples to begin with: the paper's own cases (§4.1, Fig. 4) and the planted shortcut."""
    st.caption("Examples, one click each (the cases of the LIMEcraft paper, and a bad habit):")
    for column, case in zip(st.columns(len(CASES)), CASES, strict=True):
        column.button(
            case.title, on_click=load, args=(session, case), width="stretch", key=case.title
        )


def load(session: Session, case: Case) -> None:
    """Put an example on the page: its picture, its mask and its edits."""
    entry = next(e for e in cache.examples() if e.get("file") == case.file)
    card = models.card(entry["model"])
    st.session_state["model"] = card.name
    st.session_state[f"example-{card.name}"] = entry
    session.drop_upload()
    source = str(cache.EXAMPLES / case.file)
    shown = cache.picture(cache.digest(source, card), source, card)
    sketch, lab = session.sketch(shown.key), session.lab(shown.key)
    mask = masks.load_mask(cache.EXAMPLES / entry["mask"], shown.pixels.shape[:2]).labels
    grown = grey_dilation(mask, footprint=disk(MARGIN))
    sketch.base, sketch.base_notes = np.where(mask > 0, mask, grown), ()
    sketch.restart({})
    number = {name: i for i, name in enumerate(entry["regions"], 1)} | {"skin": 0}
    lab.do(tuple(edit.Step(change, (number[region],)) for change, region in case.steps))


def names(drawing: strokes.Drawing) -> dict[int, str]:
    """What each region is called on the page, by its value in the mask."""
    return {label: f"region {r}" for label, r in enumerate(drawing.ids, 1)}


def panel(lab: Lab, drawing: strokes.Drawing, key: str) -> None:
    """Show the stack with its controls; every change goes through the lab's history."""
    regions = names(drawing)
    kind, where = st.columns(2)
    name = kind.selectbox(
        "Edit",
        list(edit.EDITS),
        format_func=lambda name: edit.EDITS[name].label,
        key="edit-kind",
        persist_state="session",
        help="What to do to the region. Edits are done one after the other, from the top down.",
    )
    chosen = where.multiselect(
        "of",
        [*regions, 0],
        default=list(regions)[:1],
        format_func=lambda r: regions.get(r, "the rest"),
        key=f"edit-of-{key}-{len(regions)}",
        help="Which of the regions that you drew.",
    )

    def append():
        lab.do((*lab.stack, edit.Step(edit.EDITS[name](), tuple(chosen))))

    st.button(
        "Add this edit",
        icon=":material/add:",
        on_click=append,
        disabled=not chosen or len(lab.stack) >= limits.MOST_STEPS,
        width="stretch",
        help=f"At most {limits.MOST_STEPS} edits of one picture.",
    )
    for i, step in enumerate(lab.stack):
        with st.container(border=True):
            _step(lab, i, step, regions, key)
    undo, redo, clear = st.columns(3)
    undo.button(
        "Undo edit",
        on_click=lab.undo,
        disabled=not lab.history.past,
        width="stretch",
    )
    redo.button(
        "Redo edit",
        on_click=lab.redo,
        disabled=not lab.history.future,
        width="stretch",
    )
    clear.button(
        "No edits",
        on_click=lambda: lab.do(()),
        disabled=not lab.stack,
        width="stretch",
    )


def _step(lab: Lab, i: int, step: edit.Step, regions: dict[int, str], key: str) -> None:
    head, off, up, down, gone = st.columns([5, 1.6, 1, 1, 1], vertical_alignment="center")
    called = {0: "all that is not drawn", **regions}
    of = ", ".join(called.get(r, f"label {r}") for r in step.regions)
    head.markdown(f"**{i + 1}. {step.edit.label}** · {of}")
    small: dict[str, Any] = {"width": "stretch", "type": "tertiary"}
    up.button(
        "",
        icon=":material/arrow_upward:",
        key=f"up-{i}",
        help="Do it earlier.",
        disabled=i == 0,
        on_click=lambda: lab.do(edit.moved(lab.stack, i, i - 1)),
        **small,
    )
    down.button(
        "",
        icon=":material/arrow_downward:",
        key=f"down-{i}",
        help="Do it later.",
        disabled=i == len(lab.stack) - 1,
        on_click=lambda: lab.do(edit.moved(lab.stack, i, i + 1)),
        **small,
    )
    on = f"on-{key}-{i}"
    st.session_state[on] = step.on
    off.toggle(
        "on",
        key=on,
        label_visibility="collapsed",
        help="Switch it off and on.",
        on_change=lambda: lab.do(edit.switched(lab.stack, i)),
    )
    gone.button(
        "",
        icon=":material/close:",
        key=f"gone-{i}",
        help="Take this edit away.",
        on_click=lambda: lab.do(lab.stack[:i] + lab.stack[i + 1 :]),
        **small,
    )
    _knobs(lab, i, step, key)


def _knobs(lab: Lab, i: int, step: edit.Step, key: str) -> None:
    fields = [field.name for field in dataclasses.fields(step.edit)]  # type: ignore[arg-type]

    def set_to(**values):
        changed = dataclasses.replace(step.edit, **values)  # type: ignore[type-var]
        new = dataclasses.replace(step, edit=changed)
        lab.do((*lab.stack[:i], new, *lab.stack[i + 1 :]))

    if isinstance(step.edit, edit.Recolor):
        picker = f"color-{key}-{i}"
        parts = [getattr(step.edit, c) for c in ("red", "green", "blue")]
        st.session_state[picker] = "#" + "".join(f"{round(255 * v):02x}" for v in parts)

        def recolor():
            r, g, b = (int(st.session_state[picker][j : j + 2], 16) / 255 for j in (1, 3, 5))
            set_to(red=round(r, 4), green=round(g, 4), blue=round(b, 4))

        st.color_picker("toward this color", key=picker, on_change=recolor)
        fields = ["strength"]
    columns = st.columns(max(len(fields), 1), gap="medium")
    for column, field in zip(columns, fields, strict=False):
        widget = f"knob-{key}-{i}-{type(step.edit).__name__}-{field}"
        with column:
            _knob(step, field, widget, set_to)


def _knob(step: edit.Step, field: str, widget: str, set_to: Callable[..., None]) -> None:
    knob, value = step.edit.knobs.get(field), getattr(step.edit, field)

    def changed():
        set_to(**{field: st.session_state[widget]})

    st.session_state[widget] = value
    if knob is None:
        st.selectbox(field, step.edit.axes, key=widget, on_change=changed)  # type: ignore[attr-defined]
    elif knob.whole:
        st.session_state[widget] = int(value)
        st.number_input(field, int(knob.low), int(knob.high), key=widget, on_change=changed)
    else:
        low, high, pace = reach(knob)
        st.session_state[widget] = float(np.clip(value, low, high))
        st.slider(
            f"{field}, {knob.unit}" if knob.unit else field,
            low,
            high,
            step=pace,
            key=widget,
            on_change=changed,
        )


def reach(knob: Knob) -> tuple[float, float, float]:
    """Ends and pace of a knob's slider."""
    span = knob.high - knob.low
    pace = 1.0 if span >= 50 else 0.05 if span > 1.5 else 0.01
    return float(knob.low), float(knob.high), pace
