"""Original and variants explained alike, on one color scale, and what can be taken home."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from limecraft_jax.app.shared import cache, limits, look, strokes, work
from limecraft_jax.app.shared.choose import Subject, offered
from limecraft_jax.app.shared.session import Comparison, Lab, Replay, Session, one_sentence
from limecraft_jax.edits.edit import Stack
from limecraft_jax.files import images, masks
from limecraft_jax.show import draw
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from limecraft_jax.compare.variants import Stage


def open_session_file(session: Session) -> None:
    """Open a session that was saved, and do it again to the last digit."""
    with st.expander("Open a saved session", icon=":material/folder_open:"):
        given = st.file_uploader("A session file (zip)", type=["zip"], key="session-file")

        def take():
            if given:
                _open(session, given.getvalue())

        st.button("Open it", disabled=given is None, on_click=take)
    replay = session.replaying
    if replay and replay.waiting:
        on, told = st.columns([1, 2], vertical_alignment="center")
        told.caption("Stopped: the opened session is not done again yet.")
        replay.waiting = not on.button(
            "Go on with it", icon=":material/play_arrow:", key="go-on-again", width="stretch"
        )
    if replay and not replay.waiting:
        replay.waiting = True  # whatever ends this run of the script
        try:
            session.replayed = _replay(session, replay)
        except InputError as error:
            session.replayed = f"The session cannot be done again: {error}"
        session.replaying = None
        st.rerun()
    if session.replayed:
        st.info(look.text(session.replayed), icon=":material/fact_check:")


def _open(session: Session, data: bytes) -> None:
    from limecraft_jax import models
    from limecraft_jax.compare import bundle

    try:
        opened = bundle.read(data)
        limits.check(opened)
        card = models.card(opened.model)
        models.require(opened.model)  # or says how to get it
        if opened.model not in offered():
            raise InputError(
                f"it rests on {card.title}, which this page does not offer: {limits.ELSEWHERE}."
            )
    except InputError as error:
        session.replayed = f"The file cannot be opened: {error}"
        return
    shown = cache.Shown(
        cache.digest(opened.image),
        opened.image,
        images.to_jpeg(draw.enlarge(opened.image)),
        ("This picture comes from the session that you opened.",),
    )
    session.opened, session.replaying, session.replayed = shown, Replay(opened), ""
    st.session_state["model"] = opened.model
    numbers = {int(v): i for i, v in enumerate(np.unique(opened.mask[opened.mask != 0]), 1)}
    base = np.zeros(opened.mask.shape, np.int32)
    for value, number in numbers.items():
        base[opened.mask == value] = number
    sketch, lab = session.sketch(shown.key), session.lab(shown.key)
    sketch.base, sketch.base_notes = base if numbers else None, ()
    sketch.restart({})
    lab.variants = {
        name: tuple(
            replace(step, regions=tuple(numbers.get(r, r) for r in step.regions)) for step in stack
        )
        for name, stack in opened.variants
    }
    lab.do(next(reversed(lab.variants.values()), ()))


def _replay(session: Session, replay: Replay) -> str:
    """Do a session again, and say whether it came out the same."""
    from limecraft_jax import models
    from limecraft_jax.compare import bundle

    opened, usual = replay.bundle, cache.model(replay.bundle.model)
    limits.check_batch(opened.batch, max(usual.batch, models.card(opened.model).batch))
    model = opened.asked(usual)
    parts = bundle.replaying(opened, model, replay.stage)
    for stage in follow(parts, len(opened.variants) + 1, "stop-again", replay.stage):
        if stage.neighborhood is not None:
            limits.check_questions(len(stage.neighborhood.z))
        if not stage.editing:
            replay.stage = stage
    assert replay.stage, "there is always a last stage"
    variants = replay.stage.finished
    check = bundle.check(opened, variants, models.card(opened.model).classes)
    session.lab(cache.digest(opened.image)).comparison = Comparison(
        "opened", opened.settings, variants, model.batch
    )
    said = (
        "Done again: every number is the same, to the last digit."
        if check.same
        else f"Done again: {len(check.differences)} numbers differ, the first being "
        f"{check.differences[0]}."
    )
    return " ".join([said, *check.notes])


def follow(
    parts: Iterator[Stage], total: int, key: str, after: Stage | None = None
) -> Iterator[Stage]:
    """Stages of a comparison, shown by a bar; a button stops them.

    Parameters
    ----------
    parts
        The stages.
    total
        Number of pictures.
    key
        Of the button.
    after
        Where an earlier run was stopped.
    """

    def share(stage: Stage) -> float:
        so_far = stage.neighborhood
        part = 0.0 if so_far is None else len(so_far.probs) / len(so_far.z)
        return min((len(stage.finished) + part) / total, 1.0)

    bar = work.Bar(key, share(after) if after else 0.0)
    for stage in work.batches(parts):
        yield stage
        verb = "Editing" if stage.editing else "Asking about"
        bar.tell(share(stage), f"{verb} {stage.name}")


def kept(lab: Lab) -> dict[str, Stack]:
    """The variants with a name, and the edits as they stand if they have none."""
    found = dict(lab.variants)
    if lab.stack and lab.stack not in found.values():
        found["as it stands"] = lab.stack
    return found


def explain(subject: Subject, drawing: strokes.Drawing, lab: Lab, chosen: dict) -> None:
    """Explain the original and every variant with the same seed, samples and stand-in."""
    variants = kept(lab)
    key = cache.digest(subject.shown.key, subject.card.name, drawing.labels, variants, chosen)
    found: Comparison | None = lab.comparison
    stopped = found and found.key == key and found.stage
    left, right = st.columns([1, 2], vertical_alignment="center")
    clicked = left.button(
        "Go on" if stopped else "Explain all",
        type="primary",
        icon=":material/play_arrow:",
        key="explain-all",
        width="stretch",
        disabled=not variants,
        help="The same question about the original and every variant.",
    )
    if found and found.key != key:
        right.caption("What you see below is the answer to earlier edits or choices.")
    elif found and stopped:
        right.caption(
            f"Stopped: {len(found.variants)} of {len(variants) + 1} pictures are explained."
        )
    if clicked:
        with one_sentence():
            _run(subject, drawing, lab, chosen, key)
            st.rerun()
    if found and found.variants:
        _show(found, subject)
        _take_home(found, subject, drawing)


def _run(subject: Subject, drawing: strokes.Drawing, lab: Lab, chosen: dict, key: str) -> None:
    """Ask about all variants; every stage is kept, so that stopping loses nothing."""
    from limecraft_jax.compare.variants import stages
    from limecraft_jax.path import lime
    from limecraft_jax.path.segment import suggest

    inside, outside = suggest(drawing.labels)
    settings = lime.Settings(inside=inside, outside=outside, **chosen)
    variants, found = list(kept(lab).items()), lab.comparison
    after = found.stage if found and found.key == key else None
    model = cache.model(subject.card.name)
    parts = stages(model, subject.shown.pixels, drawing.labels, variants, settings, after)
    for stage in follow(parts, len(variants) + 1, "stop-all", after):
        if not stage.editing:
            rest = stage if len(stage.finished) <= len(variants) else None
            lab.comparison = Comparison(key, settings, stage.finished, model.batch, rest)


def _show(found: Comparison, subject: Subject) -> None:
    classes = subject.card.classes
    first = found.variants[0]
    target = st.selectbox(
        "Explain the class",
        [int(i) for i in np.argsort(-first.probs, kind="stable")],
        format_func=lambda i: classes[i],
        key="compared-target",
    )
    strongest = max(float(np.abs(v.explanation.fit.coef[target]).max()) for v in found.variants)
    for start in range(0, len(found.variants), 3):
        columns = st.columns(3, gap="small")
        for column, v in zip(columns, found.variants[start : start + 3], strict=False):
            picture = draw.overlay(v.explanation, target, strongest=strongest)
            look.picture(
                images.to_jpeg(picture),
                f"{v.name}, colored by what speaks for {classes[target]} and against it",
                f"{v.name}: {look.percent(float(v.probs[target]))}",
                place=column,
            )
    st.caption(
        "One color scale for all: equal color means equal effect. Green speaks for the class, red "
        "against it, hatched could go either way."
    )


def _take_home(found: Comparison, subject: Subject, drawing: strokes.Drawing) -> None:
    from limecraft_jax.compare import bundle, webreport

    card, last = subject.card, found.variants[-1]

    def page() -> str:
        return webreport.html(found.variants, card.classes, card.title, found.settings)

    def zipped() -> bytes:
        return bundle.write(
            found.variants, found.settings, card.name, card.classes, batch=found.batch
        )

    files: list[tuple[str, str, str, Callable[[], str | bytes]]] = [
        ("Report", "report.html", "text/html", page),
        ("Session", "session.zip", "application/zip", zipped),
        ("Edited picture", "edited.png", "image/png", lambda: images.to_png(last.image)),
        ("Edited mask", "edited_mask.png", "image/png", lambda: masks.save_labels(last.mask)),
    ]
    helps = (
        "One file with pictures, explanations, tables and all settings. Open it in a browser; "
        "print it from there for a PDF.",
        "Picture, mask, edits, settings and results: open it here again, or with "
        "python -m limecraft_jax replay.",
        "The last variant's picture.",
        "The last variant's regions.",
    )
    for column, (label, name, mime, data), text in zip(st.columns(4), files, helps, strict=True):
        column.download_button(
            label,
            data,
            name,
            mime,
            icon=":material/download:",
            on_click="ignore",
            width="stretch",
            key=f"get-{name}",
            help=text,
        )
