"""First panel: which classifier, which picture, and what the classifier says to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from limecraft_jax import models
from limecraft_jax.app.shared import cache, look
from limecraft_jax.app.shared.gallery import gallery
from limecraft_jax.app.shared.owned import bring
from limecraft_jax.app.shared.session import Session, one_sentence
from limecraft_jax.files import masks
from limecraft_jax.models.card import ModelCard

UPLOAD_MB = 20
PICTURES = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"]


@dataclass(frozen=True, eq=False)
class Subject:
    """What is to be explained: a picture as one classifier sees it."""

    card: ModelCard
    shown: cache.Shown
    title: str
    truth: str = ""
    story: str = ""
    mask: str = ""


def choose(session: Session) -> Subject:
    """Let the visitor choose a classifier and a picture; there is always one to go on with."""
    left, right = st.columns([1, 1], gap="medium")
    with left:
        name = st.selectbox(
            "Classifier",
            [*offered(), *session.own],
            format_func=lambda name: known(session, name).title,
            key="model",
            persist_state="session",
            help="The program whose answer you want to understand. All of these run right here, "
            "nothing is sent anywhere. More can be fetched below. Run by onnxruntime, a classifier "
            "gives the same answers, on a processor in about half the time.",
        )
        card = known(session, name)
    base = models.base_of(card.name)
    family = base.partition("-")[0]  # a twin looks at the same pictures
    fitting = [e for e in cache.examples() if e.get("model") in (family, card.name)]
    told = {e.get("skimage") for e in fitting}
    others = [e for e in cache.examples() if "model" not in e and e["skimage"] not in told]
    with right:
        example = st.selectbox(
            "Picture",
            fitting + others,
            format_func=lambda e: e["title"],
            key=f"example-{family}",
            persist_state="session",
            on_change=session.drop_upload,
            help="Pictures that this classifier knows how to look at come first.",
        )
    about(card)
    gallery()
    bring(session)
    st.file_uploader(
        "Or use a picture of your own",
        type=PICTURES,
        max_upload_size=UPLOAD_MB,
        key="upload",
        on_change=session.take_upload,
        help="Any common picture file. It stays in the memory of this program and is forgotten "
        "when you close the page.",
    )
    fits = (card.height, card.width, card.channels)
    if session.opened and session.opened.pixels.shape == fits:
        look.notes(session.opened.notes)
        return Subject(card, session.opened, "opened session")
    if session.upload:
        name, data = session.upload
        with one_sentence():
            shown = cache.picture(cache.digest(data, card), data, card)
            look.notes((f"You are looking at your picture {name}.", *shown.notes))
            return Subject(card, shown, name)
        st.caption("Going on with the example chosen above.")
    source = example.get("skimage") and f"skimage:{example['skimage']}"
    source = source or str(cache.EXAMPLES / example["file"])
    shown = cache.picture(cache.digest(source, card), source, card)
    look.notes(shown.notes)
    return Subject(
        card,
        shown,
        example["title"],
        truth=example.get("truth", "") if example in fitting else "",
        story=example.get("story", "") if example.get("model", base) == base else "",
        mask=example.get("mask", "") if example in fitting else "",
    )


def offered() -> list[str]:
    """Registered classifiers that are on this machine, the large ones in every quick way."""
    quick = models.onnxruntime_here()
    names = []
    for name in filter(models.ready, models.MODELS):
        names.append(name)
        if quick and name not in models.BUNDLED:
            names.append(f"{name}@onnxruntime")
    return names


def known(session: Session, name: str) -> ModelCard:
    """The card of a classifier in the menu."""
    return session.own.get(name) or models.card(name)


def about(card: ModelCard) -> None:
    """The classifier's card."""
    short = card.about.split(". ")[0].rstrip(".")
    with st.expander(f"About this classifier: {look.text(short)}."):
        st.markdown(look.text(card.about))
        st.markdown(
            "\n".join(
                f"- {look.text(what)}: **{look.percent(value)}**" for what, value in card.accuracy
            )
        )
        trained = f"Trained {card.trained} on: {card.data} {card.license}" if card.trained else ""
        size = f"{card.parameters:,} parameters, " if card.parameters else ""
        st.caption(
            look.text(
                f"{card.architecture} {size}{len(card.classes)} classes, sees {card.width} × "
                f"{card.height} pixels. {trained}"
            )
        )


def say(subject: Subject) -> np.ndarray | None:
    """What the classifier answers, in one sentence and as bars."""
    with one_sentence():
        with st.spinner(f"Loading and asking: {look.text(subject.card.title)} …"):
            probs = cache.prediction(subject.card.name, subject.shown.key, subject.shown.pixels)
        best = np.argsort(-probs, kind="stable")[:5]
        names = subject.card.classes
        sure = look.percent(float(probs[best[0]]))
        sentence = f"It says **{look.text(names[best[0]])}**, {sure} sure."
        if subject.truth:
            right = subject.truth == names[best[0]]
            sentence += f" The picture really shows **{look.text(subject.truth)}**, so it is " + (
                "right." if right else "**wrong**."
            )
        st.markdown(sentence)
        look.bars((names[i], float(probs[i])) for i in best)
        return probs
    return None


def example_mask(subject: Subject) -> np.ndarray:
    """The mask that comes with an example."""
    shape = subject.shown.pixels.shape[:2]
    return masks.load_mask(cache.EXAMPLES / subject.mask, shape, subject.card.crop).labels
