"""Classifiers that can be fetched: what they are, what they cost, and the button that gets them."""

from __future__ import annotations

import streamlit as st

from limecraft_jax import models
from limecraft_jax.app.shared import look
from limecraft_jax.app.shared.session import one_sentence
from limecraft_jax.models import hub, pace
from limecraft_jax.models.card import ModelCard

LARGE = 600  # MB of memory from which on a small cloud machine gets into trouble


def gallery() -> None:
    """Every classifier with public weights, with its facts and a way to get it."""
    public = models.PUBLIC
    waiting = [name for name in public if not models.ready(name)]
    title = f"More classifiers: {len(waiting)} can be fetched"
    with st.expander(title if waiting else "Classifiers of photographs: all are in the menu"):
        st.markdown(
            "These know a thousand kinds of things on photographs. They are too large to come "
            "along: a click fetches the weights once, from the public hub that publishes them, and "
            "keeps them on the machine that runs this program. Your pictures are sent nowhere."
        )
        if not models.onnxruntime_here():
            st.caption(
                "With `pip install onnx onnxruntime` they run about twice as fast on a processor."
            )
        for name in public:
            entry(models.card(name))


def entry(card: ModelCard) -> None:
    """One classifier: facts on the left, the button on the right."""
    left, right = st.columns([3, 1], vertical_alignment="center")
    left.markdown(f"**{look.text(card.title)}**: {look.text(card.about)}")
    left.caption(look.text(facts(card)))
    if models.ready(card.name):
        right.markdown(":material/check: in the menu above")
        return
    clicked = right.button(
        f"Fetch {hub.megabytes(card)} MB",
        icon=":material/download:",
        key=f"fetch-{card.name}",
        width="stretch",
    )
    if not clicked:
        return
    title = look.text(card.title)
    bar = st.progress(0.0, f"Fetching {title} …")

    def progress(done: int, total: int) -> None:
        whole = total or 1_000_000 * hub.megabytes(card)
        bar.progress(min(done / max(whole, 1), 1.0), f"{title}: {done / 1e6:.0f} MB")

    with one_sentence():
        hub.fetch(card, progress)
        bar.progress(1.0, "Measuring how fast it is on this machine …")
        pace.measure(hub.load(card.name))
        st.rerun()
    bar.empty()


def facts(card: ModelCard) -> str:
    """Classes, accuracy, size, memory and terms in one line."""
    told = [f"{len(card.classes)} classes", f"sees {card.width} × {card.height} pixels"]
    told += [f"{what}: {look.percent(value)}" for what, value in card.accuracy]
    if card.memory:
        warning = ", too much for a very small machine" if card.memory > LARGE else ""
        told.append(f"needs about {card.memory} MB of memory{warning}")
    known = pace.recall(card)
    spent = 100 / (known.rate if known else pace.guess(card))
    told.append(f"about {spent:.2g} s per 100 samples here{'' if known else ' (a guess)'}")
    return " · ".join([*told, card.license])
