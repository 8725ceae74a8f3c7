"""What one visitor has made and chosen: one dataclass under one session-state key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from limecraft_jax.app.shared import look
from limecraft_jax.edits.edit import History, Stack
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from limecraft_jax.app.shared.cache import Shown
    from limecraft_jax.compare.bundle import Bundle
    from limecraft_jax.compare.variants import Stage, Variant
    from limecraft_jax.models.card import ModelCard
    from limecraft_jax.path.lime import Settings
    from limecraft_jax.types import Neighborhood


@dataclass
class Sketch:
    """The drawing on one picture.

    The canvas goes wrong when its starting drawing changes while it is on the page, so `seed` is
    frozen; to change the drawing from Python, set a new seed and count `epoch` up, which makes a
    new canvas.
    """

    json: dict[str, Any] = field(default_factory=dict)
    seed: dict[str, Any] | None = None
    epoch: int = 0
    base: np.ndarray | None = None  # an uploaded mask, drawn upon
    base_notes: tuple[str, ...] = ()
    counts: dict[int, int] = field(default_factory=dict)  # superpixels wanted, where set by hand

    def restart(self, json: dict[str, Any]) -> None:
        """Put a drawing on a fresh canvas."""
        self.json, self.seed, self.epoch = json, json, self.epoch + 1

    @property
    def objects(self) -> list[Any]:
        """What was drawn, in order."""
        objects = self.json.get("objects", [])
        return objects if isinstance(objects, list) else []


@dataclass(frozen=True, eq=False)
class Job:
    """An explanation, finished or stopped half-way."""

    key: str
    model: str
    title: str
    classes: tuple[str, ...]
    settings: Settings
    neighborhood: Neighborhood
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Comparison:
    """Variants that were explained, and with what."""

    key: str
    settings: Settings
    variants: tuple[Variant, ...]
    batch: int  # pictures that the classifier was asked about at once
    stage: Stage | None = None  # where it was stopped; None if it was not


@dataclass
class Replay:
    """A session that was opened and is to be done again."""

    bundle: Bundle
    stage: Stage | None = None  # how far that is
    waiting: bool = False  # for its visitor to go on


@dataclass
class Lab:
    """The edits of one picture, and the variants that were kept under a name."""

    history: History = field(default_factory=History)
    variants: dict[str, Stack] = field(default_factory=dict)
    comparison: Comparison | None = None

    @property
    def stack(self) -> Stack:
        """The edits as they stand."""
        return self.history.stack

    def do(self, stack: Stack) -> None:
        """Change the edits."""
        self.history = self.history.do(stack)

    def undo(self) -> None:
        """Take the last change back."""
        self.history = self.history.undo()

    def forget(self, name: str) -> None:
        """Drop a variant that was kept."""
        self.variants.pop(name, None)

    def redo(self) -> None:
        """Bring back what was undone last."""
        self.history = self.history.redo()


@dataclass
class Session:
    """Everything that must outlive a rerun and is not the value of a widget."""

    name: str = field(default_factory=lambda: secrets.token_hex(8))
    page: str = ""
    drawn_on: str = ""  # the picture whose canvas is on the page
    sketches: dict[str, Sketch] = field(default_factory=dict)
    labs: dict[str, Lab] = field(default_factory=dict)
    upload: tuple[str, bytes] | None = None  # name and contents
    opened: Shown | None = None  # the picture of a session that was opened
    replaying: Replay | None = None
    replayed: str = ""  # what came of it
    job: Job | None = None
    own: dict[str, ModelCard] = field(default_factory=dict)  # classifiers that were brought along
    trouble: str = ""  # why the last one could not be used

    def lab(self, picture: str) -> Lab:
        """The edits of a picture."""
        return self.labs.setdefault(picture, Lab())

    def take_upload(self) -> None:
        """Keep what was put into the page's file box, also when that box is gone."""
        given = st.session_state.get("upload")
        self.upload = (given.name, given.getvalue()) if given else None
        self.opened = None

    def drop_upload(self) -> None:
        """Go back to the examples."""
        self.upload = self.opened = None

    def sketch(self, picture: str) -> Sketch:
        """The drawing on a picture, kept while others are looked at.

        A canvas forgets everything when it leaves the page: coming back gives a fresh one.
        """
        sketch = self.sketches.setdefault(picture, Sketch())
        if self.drawn_on != picture:
            self.drawn_on = picture
            sketch.restart(sketch.json)
        return sketch


def open_session(page: str) -> Session:
    """This visitor's session; coming to another page takes the canvas away."""
    session: Session = st.session_state.setdefault("session", Session())
    if session.page != page:
        session.page, session.drawn_on = page, ""
    return session


class one_sentence:
    """Show what cannot be used as one sentence and leave the rest of the block."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, InputError):
            return False
        st.error(sentence(error), icon=":material/error:")
        return True


def sentence(error: InputError) -> str:
    """What is wrong, to be shown."""
    said = str(error)
    return look.text(said[:1].upper() + said[1:])
