"""The stack of edits: add, turn the knobs, reorder, switch off, undo."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st

from limecraft_jax import edit
from limecraft_jax.app import strokes
from limecraft_jax.app.session import Lab
from limecraft_jax.knobs import Knob

PAPER: dict[str, tuple[Any, ...]] = {
    "Color (as in the paper's Fig. 4e)": (edit.Offset(red=0.25, green=0.15, blue=0.1),),
    "Shape, power 1.4 (Fig. 4g)": (edit.Power(1.4),),
    "Hair removal (Fig. 4i)": (edit.Remove(),),
    "Shift, half turn and skin color (Fig. 4k)": (
        edit.Recolor(),
        edit.Rotate(180),
        edit.Shift(10, 10),
    ),
}


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
        list(regions),
        default=list(regions)[:1],
        format_func=regions.__getitem__,
        key=f"edit-of-{key}-{len(regions)}",
        help="Which of the regions that you drew.",
    )

    def append():
        lab.do((*lab.stack, edit.Step(edit.EDITS[name](), tuple(chosen))))

    add, paper = st.columns(2)
    add.button(
        "Add this edit",
        icon=":material/add:",
        on_click=append,
        disabled=not chosen,
        width="stretch",
    )
    with paper.popover("From the paper", icon=":material/science:", width="stretch"):
        for title, edits in PAPER.items():
            if st.button(title, width="stretch", key=f"paper-{title}", disabled=not chosen):
                lab.do(tuple(edit.Step(e, tuple(chosen)) for e in edits))
                st.rerun()
    for i, step in enumerate(lab.stack):
        with st.container(border=True):
            _step(lab, i, step, regions, key)
    undo, redo, clear = st.columns(3)
    undo.button(
        "Undo edit",
        icon=":material/undo:",
        on_click=lab.undo,
        disabled=not lab.history.past,
        width="stretch",
    )
    redo.button(
        "Redo edit",
        icon=":material/redo:",
        on_click=lab.redo,
        disabled=not lab.history.future,
        width="stretch",
    )
    clear.button(
        "No edits",
        icon=":material/delete:",
        on_click=lambda: lab.do(()),
        disabled=not lab.stack,
        width="stretch",
    )


def _step(lab: Lab, i: int, step: edit.Step, regions: dict[int, str], key: str) -> None:
    head, off, up, down, gone = st.columns([5, 1.6, 1, 1, 1], vertical_alignment="center")
    of = ", ".join(regions.get(r, f"label {r}") for r in step.regions)
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
        widget = f"color-{key}-{i}"
        parts = [getattr(step.edit, c) for c in ("red", "green", "blue")]
        st.session_state[widget] = "#" + "".join(f"{round(255 * v):02x}" for v in parts)

        def recolor():
            r, g, b = (int(st.session_state[widget][j : j + 2], 16) / 255 for j in (1, 3, 5))
            set_to(red=round(r, 4), green=round(g, 4), blue=round(b, 4))

        st.color_picker("toward this color", key=widget, on_change=recolor)
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
