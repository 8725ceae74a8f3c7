"""An ONNX graph as a classifier, run by onnxruntime on the host: a file, or a network of ours.

The graph says how its input lies and what comes out; `about.About` tells the rest. Only operators
that onnxruntime brings are run: libraries of a user's own operators are never loaded. A file runs
in a process of its own, see `apart`; a network of ours runs here.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from limecraft_jax.models.blackbox import MOST_CLASSES, BlackBox
from limecraft_jax.models.formats import apart, onnxwrite, worker
from limecraft_jax.models.formats.about import About
from limecraft_jax.models.formats.port import Port, listed, port
from limecraft_jax.models.formats.wrap import probes, row_size, wrap
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from limecraft_jax.models.classifier import Classifier

TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}
SCORES = ("tensor(float)", "tensor(float16)", "tensor(double)")
BYTES = (0.0, 255.0)  # range of an input of bytes


def read(path: Path, about: About) -> BlackBox:
    """The classifier in an ``.onnx`` file.

    Parameters
    ----------
    path
        The file.
    about
        What is told about it.

    Raises
    ------
    InputError
        If onnxruntime is not installed, the file is no whole ONNX graph of known operators, or the
        graph is not one from one picture to class scores.
    """
    _needed(path.name)
    try:
        with apart.opened("onnx", path) as graph:
            return _read(path, about, graph)
    except apart.Failed as failure:
        raise _refused(path.name, str(failure)) from None


def _read(path: Path, about: About, graph: apart.Graph) -> BlackBox:
    entry = _entry(path.name, graph, about)
    entry, chosen = _choose(path.name, graph, entry, _exits(path.name, graph.outputs))

    def ask(x: np.ndarray) -> np.ndarray:
        try:
            return graph.run(chosen, x, MOST_CLASSES * len(x))
        except apart.Failed as failure:
            raise _stuck(path.name, entry, failure) from None

    return wrap(path, about, entry, ask, BYTES if entry.dtype == "uint8" else (0.0, 1.0))


def run(model: Classifier) -> BlackBox:
    """A network of ours, run by onnxruntime: the same answers, on a processor sooner.

    Raises
    ------
    InputError
        If onnx or onnxruntime is missing, or the network is more than `onnxwrite` knows.
    """
    source = onnxwrite.write(model)
    _needed(model.card.name)
    import onnxruntime as ort

    session = ort.InferenceSession(source, worker.session_options(), providers=worker.providers())

    def ask(images: np.ndarray) -> np.ndarray:
        return session.run(None, {"images": np.asarray(images, np.float32)})[0]

    return BlackBox(ask, card=model.card)


def _needed(name: str) -> None:
    if importlib.util.find_spec("onnxruntime") is None:
        raise InputError(f"{name} needs the package onnxruntime, got none: pip install onnxruntime")


def _refused(file: str, told: str) -> InputError:
    """Why onnxruntime did not open a file."""
    reason = " ".join(told.split())[:300]
    lower = told.lower()
    if "external" in lower or ".data" in lower:
        return InputError(
            f"{file} must lie beside the file of its weights, got none that can be read: put it "
            f"there, or export one file with the weights inside ({reason})."
        )
    if "registered function" in lower or "no op registered" in lower or "opset" in lower:
        return InputError(
            f"{file} must hold operators that onnxruntime knows, got others: export it with the "
            f"standard operators of an older opset ({reason})."
        )
    if "protobuf" in lower or "model_proto" in lower or "no graph" in lower:
        return InputError(
            f"{file} must be an ONNX file, got something else or a part of one: export it again."
        )
    return InputError(f"{file} must be a graph that onnxruntime can run, got: {reason}")


def _stuck(file: str, entry: Port, failure: Exception | None) -> InputError:
    """Why a graph did not answer."""
    reason = " ".join(str(failure).split())[:300]
    return InputError(
        f"{file} must run on pictures of {entry.height} x {entry.width} with {entry.channels} "
        f'channels, got: {reason}: check "height", "width" and "layout".'
    )


def _entry(file: str, graph: apart.Graph, about: About) -> Port:
    """The one input of a graph."""
    if graph.all_inputs != 1:
        raise InputError(
            f"{file} must have one input, the pictures, got {graph.all_inputs} "
            f"({listed(graph.inputs)}): export it with one."
        )
    (found,) = graph.inputs
    if found.type not in TYPES:
        raise InputError(
            f"{file} must take pictures as float or uint8 numbers, got an input of type "
            f"{found.type}: give an image classifier."
        )
    shape = [size if size and size > 0 else None for size in found.shape]
    return port(file, shape, about, TYPES[found.type])


def _exits(file: str, outputs: Sequence[apart.Tensor]) -> list[int]:
    """Which outputs can hold scores: tensors of floating-point numbers."""
    found = [i for i, output in enumerate(outputs) if output.type in SCORES]
    if found:
        return found
    hint = "give an image classifier"
    if any("map" in output.type for output in outputs):
        hint = "convert it with zipmap off, options={'zipmap': False}"
    shown = ", ".join(f"{output.name} of type {output.type}" for output in outputs[:5])
    raise InputError(
        f"{file} must have an output of floating-point scores, shape [n, classes], got "
        f"{shown}: {hint}."
    )


def _choose(file: str, graph: apart.Graph, entry: Port, exits: list[int]) -> tuple[Port, int]:
    """The first output with one row of scores per picture, and the input with its true batch.

    Some exports promise any batch and keep a reshape to one picture inside; they are asked one by
    one.
    """
    pictures = entry.fill(probes(entry.size), np.zeros(1), np.ones(1))
    failure: Exception | None = None
    for batch in [entry.batch] if entry.batch else [2, 1]:
        given = np.resize(pictures, (batch, *pictures.shape[1:]))
        try:
            shapes = graph.shapes(exits, given)
        except apart.Failed as error:
            failure = error
            continue
        fitting = [i for i, shape in zip(exits, shapes, strict=True) if row_size(shape, batch)]
        if fitting:
            fixed = entry.batch or (1 if batch == 1 else 0)
            return Port(*entry.size, entry.layout, entry.rank, entry.dtype, fixed), fitting[0]
        if batch == 1 or entry.batch:
            shown = listed(
                [
                    dataclasses.replace(graph.outputs[i], shape=shape)
                    for i, shape in zip(exits, shapes, strict=True)
                ]
            )
            raise InputError(
                f"{file} must give one row of class scores per picture, shape [n, classes], at "
                f"most {MOST_CLASSES} of them, got {shown} for {batch}: give an image classifier."
            )
    raise _stuck(file, entry, failure)
