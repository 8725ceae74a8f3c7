"""The run that shows itself while it goes on, and can be stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from limecraft_jax.app.shared import cache, look, work
from limecraft_jax.app.shared.canvas import Cut
from limecraft_jax.app.shared.choose import Subject
from limecraft_jax.app.shared.session import Job, Session, one_sentence

if TYPE_CHECKING:
    from limecraft_jax.path.lime import Settings
    from limecraft_jax.types import Neighborhood

PICTURE = 430  # pixels of the picture that refines itself
LEAST_PAUSE = 0.3  # seconds between two pictures of a run


def run(session: Session, subject: Subject, cut: Cut, chosen: dict) -> None:
    """The button, the run with its progress and pictures; leaves its answer in ``session.job``."""
    from limecraft_jax.path import lime

    settings = lime.Settings(
        segmenter=cut.segmenter, inside=cut.inside, outside=cut.outside, **chosen
    )
    key = cache.digest(subject.shown.key, subject.card.name, cut.mask, settings)
    job = session.job if session.job and session.job.key == key else None
    stopped = job if job and not job.neighborhood.done else None
    label = "Go on" if stopped else "Explain again" if job else "Explain"
    left, right = st.columns([1, 2], vertical_alignment="center")
    clicked = left.button(
        label,
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        key="explain",
        help="Ask the classifier about many variants of the picture.",
    )
    if session.job and not job:
        right.caption("What you see below is the answer to your earlier choices.")
    elif stopped:
        done, planned = len(stopped.neighborhood.probs), len(stopped.neighborhood.z)
        right.caption(f"Stopped after {done} of {planned} samples; below is what they say.")
    if not clicked:
        return
    with one_sentence():
        if stopped:
            neighborhood, spent = stopped.neighborhood, stopped.seconds
        else:
            neighborhood = lime.begin(subject.shown.pixels, cut.segmentation, settings)
            spent = 0.0
        watch(session, subject, settings, key, neighborhood, spent)
        st.rerun()


def watch(
    session: Session,
    subject: Subject,
    settings: Settings,
    key: str,
    neighborhood: Neighborhood,
    spent: float,
) -> None:
    """Query batch by batch; every batch is kept, so that stopping loses nothing."""
    from limecraft_jax.files import images
    from limecraft_jax.path import lime
    from limecraft_jax.show.draw import overlay

    bar = work.Bar("stop", len(neighborhood.probs) / len(neighborhood.z))
    slot = st.empty()
    classifier, card = cache.model(subject.card.name), subject.card
    start = last = time.monotonic() - spent
    pause = 0.0
    for asked in work.batches(lime.query_regions(classifier, neighborhood)):
        neighborhood = asked
    for answered in work.batches(lime.query(classifier, neighborhood)):
        neighborhood = answered
        now = time.monotonic()
        session.job = Job(
            key, card.name, card.title, card.classes, settings, neighborhood, now - start
        )
        done = len(neighborhood.probs)
        bar.tell(done / len(neighborhood.z))
        if neighborhood.done or now - last >= pause:
            target = int(np.argmax(neighborhood.probs[0]))
            picture = overlay(lime.resolve(neighborhood, settings.kernel, settings.ridge), target)
            look.picture(
                images.to_jpeg(picture),
                f"The picture, colored by what speaks for {card.classes[target]} and against it",
                f"For “{card.classes[target]}”, after {done} samples",
                PICTURE,
                slot,
            )
            last = time.monotonic()
            pause = max(LEAST_PAUSE, 4 * (last - now))
