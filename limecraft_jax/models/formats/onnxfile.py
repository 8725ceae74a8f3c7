"""An ONNX graph as a classifier, run by onnxruntime on the host: a file, or a network of ours.

The graph says how its input lies and what comes out; `about.About` tells the rest. Only operators
that onnxruntime brings are run: libraries of a user's own operators are never loaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.models.formats import onnxwrite
from limecraft_jax.models.formats.about import About
from limecraft_jax.models.formats.wrap import Port, axes_text, port, probes, rows, wrap
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
    session = _session(str(path), path.name)
    entry = _entry(path.name, session.get_inputs(), about)
    name, exits = session.get_inputs()[0].name, _exits(path.name, session.get_outputs())
    entry, chosen = _choose(path.name, session, entry, exits)

    def ask(x: np.ndarray) -> np.ndarray:
        return session.run([chosen], {name: x})[0]

    return wrap(path, about, entry, ask, BYTES if entry.dtype == "uint8" else (0.0, 1.0))


def run(model: Classifier) -> BlackBox:
    """A network of ours, run by onnxruntime: the same answers, on a processor sooner.

    Raises
    ------
    InputError
        If onnx or onnxruntime is missing, or the network is more than `onnxwrite` knows.
    """
    session = _session(onnxwrite.write(model), model.card.name)

    def ask(images: np.ndarray) -> np.ndarray:
        return session.run(None, {"images": np.asarray(images, np.float32)})[0]

    return BlackBox(ask, card=model.card)


def _session(source: str | bytes, name: str) -> Any:
    """A graph ready to run, from a path or from the contents of a file."""
    try:
        import onnxruntime as ort
    except ImportError:
        raise InputError(
            f"{name} needs the package onnxruntime, got none: pip install onnxruntime"
        ) from None
    options = ort.SessionOptions()
    options.intra_op_num_threads = _cores()
    options.log_severity_level = 4  # what goes wrong is said in a sentence
    # Waiting threads would take the cores that JAX needs between two batches.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [name for name in wanted if name in ort.get_available_providers()]
    try:
        return ort.InferenceSession(source, options, providers=providers)
    except Exception as error:  # onnxruntime has a class of its own for every failure
        raise _refused(name, str(error)) from error


def _cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


def _entry(file: str, inputs: Sequence[Any], about: About) -> Port:
    """The one input of a graph."""
    if len(inputs) != 1:
        listed = ", ".join(f"{i.name} {axes_text(_shape(i.shape))}" for i in inputs)
        raise InputError(
            f"{file} must have one input, the pictures, got {len(inputs)} ({listed}): export it "
            "with one."
        )
    (found,) = inputs
    if found.type not in TYPES:
        raise InputError(
            f"{file} must take pictures as float or uint8 numbers, got an input of type "
            f"{found.type}: give an image classifier."
        )
    return port(file, _shape(found.shape), about, TYPES[found.type])


def _shape(shape: Sequence[Any] | None) -> list[int | None]:
    """Sizes of the axes; None where the graph has a name or nothing."""
    return [size if isinstance(size, int) and size > 0 else None for size in shape or []]


def _exits(file: str, outputs: Sequence[Any]) -> list[str]:
    """Names of the outputs that can hold scores: tensors of floating-point numbers."""
    names = [output.name for output in outputs if output.type in SCORES]
    if names:
        return names
    hint = "give an image classifier"
    if any("map" in output.type for output in outputs):
        hint = "convert it with zipmap off, options={'zipmap': False}"
    raise InputError(
        f"{file} must have an output of floating-point scores, shape [n, classes], got "
        f"{', '.join(f'{output.name} of type {output.type}' for output in outputs)}: {hint}."
    )


def _choose(file: str, session: Any, entry: Port, names: list[str]) -> tuple[Port, str]:
    """The first output with one row of scores per picture, and the input with its true batch.

    Some exports promise any batch and keep a reshape to one picture inside; they are asked one by
    one.
    """
    name = session.get_inputs()[0].name
    pictures = entry.fill(probes(entry.size), np.zeros(1), np.ones(1))
    failure: Exception | None = None
    for batch in [entry.batch] if entry.batch else [2, 1]:
        given = np.resize(pictures, (batch, *pictures.shape[1:]))
        try:
            answers = session.run(names, {name: given})
        except Exception as error:  # see _session
            failure = error
            continue
        fitting = [n for n, a in zip(names, answers, strict=True) if _is_rows(a, batch)]
        if fitting:
            fixed = entry.batch or (1 if batch == 1 else 0)
            return Port(*entry.size, entry.layout, entry.rank, entry.dtype, fixed), fitting[0]
        shapes = [f"{n} {axes_text(a.shape)}" for n, a in zip(names, answers, strict=True)]
        if batch == 1 or entry.batch:
            raise InputError(
                f"{file} must give one row of class scores per picture, shape [n, classes], got "
                f"{', '.join(shapes)} for {batch}: give an image classifier."
            )
    raise InputError(
        f"{file} must run on pictures of {entry.height} x {entry.width} with {entry.channels} "
        f'channels, got: {" ".join(str(failure).split())[:300]}: check "height", "width" and '
        '"layout".'
    )


def _is_rows(answer: np.ndarray, n: int) -> bool:
    try:
        return bool(rows("", answer, n).size)
    except InputError:
        return False
