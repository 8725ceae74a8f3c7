"""Loaded by a server before the app: when told to, its work waits until its visitor has left.

So what becomes of the work does not hang on how fast a machine is. The folder that the environment
names holds `armed` while work is to wait, and `lines` of what it did.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from streamlit.runtime.websocket_session_manager import WebsocketSessionManager

from limecraft_jax.path import lime

FOLDER = Path(os.environ["LIMECRAFT_TRACE"])
PATIENCE = 60  # seconds; then the work goes on as if nobody had left
left = threading.Event()
_query, _classify = lime.query, lime.classify
_disconnect = WebsocketSessionManager.disconnect_session


def tell(line: str) -> None:
    """Write a line where the test reads it."""
    with (FOLDER / "lines").open("a") as file:
        file.write(line + "\n")


def wait() -> None:
    """Until the visitor has left."""
    tell("waits")
    left.wait(PATIENCE)


def disconnect_session(self, session_id):
    """Streamlit's own, and a sign that it is done."""
    _disconnect(self, session_id)
    left.set()


def query(model, neighborhood):
    """As `lime.query`; waits after the first of many batches."""
    if len(neighborhood.z) == 1 or not (FOLDER / "armed").exists():
        yield from _query(model, neighborhood)
        return
    left.clear()
    done = 0
    try:
        for so_far in _query(model, neighborhood):
            yield so_far
            if not done:
                wait()
            done = len(so_far.probs)
    finally:
        tell("finished" if done == len(neighborhood.z) else "ended")


def classify(model, images):
    """As `lime.classify`; waits before the third of many pictures."""
    if not (FOLDER / "armed").exists():
        return _classify(model, images)
    left.clear()

    def pictures():
        for i, image in enumerate(images):
            if i == 2:
                wait()
            yield image

    try:
        found = _classify(model, pictures())
    except BaseException:
        tell("ended")
        raise
    tell("finished")
    return found


lime.query, lime.classify = query, classify
WebsocketSessionManager.disconnect_session = disconnect_session  # type: ignore[method-assign]
