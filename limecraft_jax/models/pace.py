"""How fast a network is on this machine and in batches of what size: measured once, remembered.

Batches matter little to a processor, where small ones keep memory low and answers flowing, and much
to an accelerator. What was measured is kept beside the public weights, in ``pace.json``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax.models.card import folder

if TYPE_CHECKING:
    from limecraft_jax.models.card import ModelCard
    from limecraft_jax.models.classifier import Classifier

BATCHES = (2, 4, 8)  # on a processor; larger ones only need more memory
LARGE = (8, 16, 32, 64, 128, 256, 512)  # on an accelerator
ENOUGH = 0.95  # a smaller batch is preferred if it reaches this share of the best
SECONDS = 0.6  # of measuring for each batch, after its compilation


@dataclasses.dataclass(frozen=True)
class Pace:
    """What was measured.

    Attributes
    ----------
    batch
        Pictures at once.
    rate
        Pictures per second.
    memory
        MB that the device needs for the weights and one such batch, by the compiler's account.
    """

    batch: int
    rate: float
    memory: int

    def __str__(self) -> str:
        return (
            f"{self.rate:.3g} pictures per second in batches of {self.batch}, "
            f"{100 / self.rate:.2g} s per 100 samples; weights and batch take {self.memory} MB"
        )


def settle(model: Classifier) -> Classifier:
    """The model with the batch that suits this device.

    What is not known yet is measured on an accelerator, where a batch made for a processor would
    be far too small. On a processor the batch of the card will do until somebody measures.
    """
    import jax

    known = recall(model.card, this_device())
    if known is None and jax.default_backend() != "cpu":
        known = measure(model)
    return model.with_batch(known.batch) if known else model


def measure(
    model: Classifier, batches: tuple[int, ...] | None = None, seconds: float = SECONDS
) -> Pace:
    """Time a model at several batches and remember the smallest that is about as fast as the best.

    Parameters
    ----------
    model
        Weights do not matter, only the network and the size of its pictures.
    batches
        Ascending; those of the device where not given. The search ends where memory does.
    seconds
        Spent on each batch.
    """
    import jax

    if batches is None:
        batches = BATCHES if jax.default_backend() == "cpu" else LARGE
    model = jax.device_put(model)
    found: list[Pace] = []
    for batch in batches:
        try:
            found.append(timed(model.with_batch(batch), seconds))
        except jax.errors.JaxRuntimeError:  # out of memory
            if not found:
                raise
            break
    most = max(pace.rate for pace in found)
    chosen = next(pace for pace in found if pace.rate >= ENOUGH * most)
    _remember(model.card, this_device(), chosen)
    return chosen


def timed(model: Classifier, seconds: float) -> Pace:
    """Time a model at the batch of its card, compilation not counted."""
    from limecraft_jax.models.classifier import forward

    card = model.card
    images = np.zeros((card.batch, card.height, card.width, card.channels), np.float32)
    forward(model, images).block_until_ready()
    plan = forward.lower(model, images).compile().memory_analysis()
    parts = ("argument", "temp", "output")
    needs = sum(getattr(plan, f"{part}_size_in_bytes", 0) for part in parts)
    start, rounds = time.perf_counter(), 0
    while rounds < 2 or time.perf_counter() - start < seconds:
        forward(model, images).block_until_ready()
        rounds += 1
    rate = rounds * card.batch / (time.perf_counter() - start)
    return Pace(card.batch, rate, round(needs / 1e6))


def recall(card: ModelCard, device: str = "") -> Pace | None:
    """What was measured for a network on a device, or last on any if none is named."""
    found = _read().get(_what(card))
    if not isinstance(found, dict) or not found:
        return None
    entry: Any = found.get(device) if device else next(reversed(found.values()))
    try:
        return Pace(int(entry["batch"]), float(entry["rate"]), int(entry["memory"]))
    except (TypeError, KeyError, ValueError):
        return None


def guess(card: ModelCard) -> float:
    """Pictures per second to expect of a processor, from how fast it multiplies matrices."""
    return _products() / card.work


@functools.cache
def _products() -> float:
    """Billions of multiplications and additions per second in a product of matrices."""
    matrix, spent = np.ones((768, 768), np.float32), []
    for _ in range(12):
        start = time.perf_counter()
        matrix @ matrix
        spent.append(time.perf_counter() - start)
    return 2 * 768**3 / 1e9 / min(spent)  # the quickest: others may be at work just now


def keep_compiled() -> None:
    """Let JAX keep what it compiles beside the public weights, so that the next start is quick.

    A folder that JAX was given already stays.
    """
    import jax

    if not jax.config.values.get("jax_compilation_cache_dir"):
        jax.config.update("jax_compilation_cache_dir", str(folder() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def this_device() -> str:
    """What computes here."""
    import jax

    return f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, {platform.machine()}"


def _home() -> Path:
    return folder() / "pace.json"


def _read() -> dict:
    try:
        known = json.loads(_home().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(card: ModelCard, device: str, pace: Pace) -> None:
    known = _read()
    earlier = known.get(_what(card))
    earlier = earlier if isinstance(earlier, dict) else {}
    earlier.pop(device, None)  # so that the last one stands last
    known[_what(card)] = earlier | {device: dataclasses.asdict(pace)}
    with contextlib.suppress(OSError):  # then it is measured again next time
        _home().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_home().parent) as scratch:
            new = Path(scratch) / "pace"
            new.write_text(json.dumps(known, indent=1), encoding="utf-8")
            os.replace(new, _home())


def _what(card: ModelCard) -> str:
    return f"{card.network or card.name}, {card.height} x {card.width}, {card.precision}"
