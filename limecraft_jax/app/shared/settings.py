"""The choices behind an explanation that make a new run necessary."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from limecraft_jax.app.shared import cache
from limecraft_jax.app.shared.choose import PICTURES
from limecraft_jax.path import replace, sample
from limecraft_jax.path.segmenters import SEGMENTERS

SAMPLES = (64, 128, 256, 512, 1000, 2000, 4000, 8000)


def choices(superpixels: int = 1) -> dict:
    """Widgets for everything that makes a new run necessary.

    Parameters
    ----------
    superpixels
        How many there will be: numbers of samples that could not tell them apart are not offered.
    """
    drawn = sample.DESIGNS[st.session_state.get("design", "balanced")]()
    least = sample.least(drawn, superpixels)
    enough = [n for n in SAMPLES if n >= least] or [SAMPLES[-1]]
    if superpixels <= sample.EXHAUSTIVE_LIMIT:
        enough = [n for n in SAMPLES if n >= min(least, 2**superpixels)]
    if st.session_state.get("samples", enough[0]) not in enough:
        st.session_state["samples"] = enough[0]
    with st.expander("Settings", icon=":material/tune:"):
        left, right = st.columns(2, gap="medium")
        with left:
            samples = st.select_slider(
                "Samples",
                enough,
                1000 if 1000 in enough else enough[0],
                key="samples",
                persist_state="session",
                help="How many variants of the picture, with superpixels hidden at random, the "
                "classifier is asked about. More take longer and narrow the intervals. "
                "Numbers too small for your superpixels are not offered.",
            )
            design = st.selectbox(
                "How they are drawn",
                [name for name in sample.DESIGNS if name != "exhaustive"],
                format_func=lambda name: sample.DESIGNS[name].label,
                key="design",
                persist_state="session",
                help="Balanced: every two superpixels are hidden together, apart or not at all "
                "equally often. With few superpixels all combinations are tried anyway.",
            )
            seed = st.number_input(
                "Seed",
                0,
                2**31,
                0,
                key="seed",
                persist_state="session",
                help="The same seed gives the same numbers again.",
            )
        with right:
            hide = st.selectbox(
                "What stands in for a hidden superpixel",
                list(replace.REPLACEMENTS),
                format_func=lambda name: replace.REPLACEMENTS[name].label,
                key="replacement",
                persist_state="session",
                help="If the stand-in looks like what it hides, hiding it changes nothing and the "
                "superpixel seems unimportant. Try another one to see.",
            )
            if hide == "color":
                color = st.color_picker("Color", "#808080", key="color", persist_state="session")
                parts = [round(int(color[i : i + 2], 16) / 255, 4) for i in (1, 3, 5)]
                replacement: replace.Replacement = replace.Color(*parts)
            elif hide == "blur":
                replacement = replace.Blur(
                    st.slider(
                        "Blur, share of the picture's side",
                        0.01,
                        0.2,
                        0.05,
                        key="sigma",
                        persist_state="session",
                    )
                )
            elif hide == "picture":
                other = st.file_uploader("The other picture", type=PICTURES, key="other")
                path = other and cache.file(
                    cache.digest(other.getvalue()), other.getvalue(), Path(other.name).suffix
                )
                replacement = replace.Picture(path or "")
            else:
                replacement = replace.REPLACEMENTS[hide]()
            st.selectbox(
                "How regions are cut",
                [name for name in SEGMENTERS if name != "labels"],
                format_func=lambda name: SEGMENTERS[name].label,
                key="segmenter",
                persist_state="session",
                help="The method that makes superpixels.",
            )
    return {
        "samples": samples,
        "design": sample.DESIGNS[design](),
        "replacement": replacement,
        "seed": int(seed),
    }
