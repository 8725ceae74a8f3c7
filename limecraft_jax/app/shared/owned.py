"""A classifier of the visitor's own, from files: opened, tried on two pictures, put in the menu."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from limecraft_jax.app.shared import cache, look
from limecraft_jax.app.shared.session import Session, sentence
from limecraft_jax.models.card import ModelCard
from limecraft_jax.types import InputError

MODEL_MB = 200
EXAMPLE = '{"classes": ["cat", "dog"], "range": [-1, 1]}'


def bring(session: Session) -> None:
    """The boxes for a model file and for what must be told about it."""
    with st.expander("Bring your own classifier"):
        st.markdown(
            "An **ONNX** file (what PyTorch and scikit-learn export), a **.keras** model, or "
            "weights of EfficientNet-Lite, MobileNet, ResNet-50 or Inception V3: a state dict of "
            "PyTorch (**.pth**, **.pt**) or **.safetensors**. No code from it is run, and it is "
            "forgotten when the program ends."
        )
        left, right = st.columns(2, gap="medium")
        left.file_uploader(
            "The model",
            type=["onnx", "keras", "safetensors", "pth", "pt", "bin"],
            max_upload_size=MODEL_MB,
            key="own-model",
        )
        right.file_uploader(
            "What to know about it (JSON, if need be)",
            type=["json"],
            max_upload_size=1,
            key="own-about",
            help=f"For example {EXAMPLE}. Weights also need "
            '"network": "efficientnet_lite0", "mobilenet_v2", "resnet50", "mobilenet_v1" or '
            '"inception_v3".',
        )
        st.button(
            "Use this classifier",
            disabled=st.session_state.get("own-model") is None,
            on_click=take,
            args=(session,),
        )
        if session.trouble:
            st.error(session.trouble, icon=":material/error:")


def take(session: Session) -> None:
    """Open what was given; a file that cannot be used leaves everything as it was."""
    given, about = (st.session_state.get(key) for key in ("own-model", "own-about"))
    session.trouble = ""
    if given is None:
        return
    try:
        card = put(given.name, given.getvalue(), about and about.getvalue())
    except InputError as error:
        session.trouble = sentence(error)
        return
    session.own[card.name] = card
    st.session_state["model"] = card.name


def put(filename: str, data: bytes, about: bytes | None) -> ModelCard:
    """Open a model and keep it under a name made of its contents; gives its card.

    Its file is on the disk only while it is opened.
    """
    from limecraft_jax.models.formats import own

    key = cache.digest(data, about or b"")
    with tempfile.TemporaryDirectory(prefix="limecraft-") as folder:
        path = Path(folder) / f"{key}{Path(filename).suffix.lower()}"
        path.write_bytes(data)
        if about:
            path.with_suffix(".json").write_bytes(about)
        model = own.open_model(path)
    assert model.card, "an opened model has a card"
    cache.hold(f"own-{key}", model)
    stem = Path(filename).stem
    title = stem if model.card.title.startswith(key) else model.card.title or stem
    texts: dict[str, Any] = {
        name: look.whole(getattr(model.card, name)) for name in ("architecture", "data", "license")
    }
    return dataclasses.replace(
        model.card,
        name=f"own-{key}",
        title=look.whole(title),
        about="Your own classifier.",
        classes=tuple(map(look.whole, model.card.classes)),
        **texts,
    )
