"""How fast edits are: one after a slider's rest, and a sweep against the network alone.

Prints what it finds with the machine and the versions; every figure is a median of several rounds.
"""

from __future__ import annotations

import dataclasses
from statistics import median

import jax
import numpy as np
import pytest

from limecraft_jax import models
from limecraft_jax.edits import edit, inpaint, whatif
from limecraft_jax.edits.edit import Hue, Recolor, Remove, Rotate, Shift, Step
from limecraft_jax.models.bundled import dermoscopy
from tests.benchmarks.test_speed import report, seconds


def forget() -> None:
    """Make the next filled hole a new one."""
    inpaint._known.clear()


@pytest.mark.parametrize(
    "change", [Rotate(40), Shift(10, 10), Remove(), Recolor(), Hue()], ids=repr
)
def test_an_edit_after_the_slider_rests(change, capsys):
    """A picture of 224 × 224 pixels, a round region of a tenth of it."""
    image = np.random.default_rng(0).random((224, 224, 3)).astype(np.float32)
    rows, columns = np.mgrid[:224, :224]
    mask = ((rows - 112) ** 2 + (columns - 112) ** 2 <= 0.1 * 224**2 / np.pi).astype(np.int32)
    turned = dataclasses.replace(change, angle=41) if isinstance(change, Rotate) else change

    def spent(change):
        return seconds(lambda: edit.apply(image, mask, (Step(change, (1,)),)))

    first, again = [], []
    for _ in range(5):
        forget()
        first.append(spent(change))
        again.append(spent(turned))
    report(
        capsys,
        f"{change.label} of a tenth of a 224 × 224 picture",
        "at most 200 ms after the slider rests, the hole being filled once",
        f"first {1000 * median(first):.0f} ms, again {1000 * median(again):.0f} ms",
    )


def test_a_sweep_against_the_forward_passes_alone(capsys):
    """36 angles, over the network on 36 ready pictures and the edits by themselves."""
    model = models.load("lesions")
    lesion = dermoscopy.draw(9_000_000, 1, True, False)
    image = model.prepare(lesion.image)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    middle, radius = np.array(image.shape[:2]) / 2, np.sqrt(0.1 * image[..., 0].size / np.pi)
    inside = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 <= radius**2
    mask, angles = inside.astype(np.int32), np.arange(36) * 10.0 - 175

    def make(angle):
        return (Step(Rotate(angle), (1,)),)

    def edits():
        forget()
        return [edit.apply(image, mask, make(angle)).image for angle in angles]

    ready = jax.device_put(np.stack(edits()))
    forward, network = jax.jit(lambda network, images: network(images)), jax.device_put(model)

    def pure():
        forward(network, ready).block_until_ready()

    def whole():
        forget()
        whatif.sweep(model, image, mask, make, angles)

    pure(), whole()
    rounds = [(seconds(whole), seconds(pure), seconds(edits)) for _ in range(5)]
    swept, asked, edited = (median(side) for side in zip(*rounds, strict=True))
    ratio = median(w / (p + e) for w, p, e in rounds)
    report(
        capsys,
        "A sweep of 36 rotations of a tenth of a lesion picture",
        "at most 1.2 times the network's time for 36 pictures and the edits",
        f"sweep {swept:.2f} s; network {asked:.2f} s, edits {edited:.2f} s: {ratio:.2f} times",
    )
