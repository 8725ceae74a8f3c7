"""A Keras 3 model as a classifier, compiled by JAX.

A ``.keras`` file is a zip of a configuration and weights. The configuration names the classes that
Keras makes, so it is read here first: only layers and functions of Keras itself are let through,
and none that run programs or open files (Lambda layers, wrapped modules, vocabularies). What is let
through is opened and run in a process of its own, see `apart`.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax.models.blackbox import MOST_CLASSES
from limecraft_jax.models.formats import apart
from limecraft_jax.models.formats.about import About, check_batch
from limecraft_jax.models.formats.port import Port, listed, port
from limecraft_jax.models.formats.wrap import batch_for, wrap
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from limecraft_jax.models.blackbox import BlackBox

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = {"metadata.json": 1_000_000, CONFIG: 20_000_000, WEIGHTS: 1_000_000_000}  # most bytes
PIECE = 1_000_000  # bytes
AGAIN = 'save the model again with model.save("model.keras")'

# What a configuration may name. Keras looks a name up in the module beside it.
MODULES = (
    "keras.layers",
    "keras.activations",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.dtype_policies",
    "keras.optimizers",
    "keras.optimizers.schedules",
    "keras.losses",
    "keras.metrics",
    "keras.ops",
    "keras.ops.nn",
    "keras.ops.numpy",
    "keras.ops.image",
    "keras.src.applications.convnext",
    "keras.src.models.functional",
    "keras.src.models.sequential",
    "keras.src.ops.nn",
    "keras.src.ops.numpy",
    "keras.src.ops.math",
    "keras.src.ops.image",
    "keras.src.ops.linalg",
)
TOP = ("Model", "Sequential", "Functional", "DTypePolicy", "FloatDTypePolicy")
PLAIN = ("__keras_tensor__", "__tensor__", "__numpy__", "__ellipsis__", "__slice__", "__bytes__")
BARRED = (
    "Lambda",
    "TFSMLayer",
    "TorchModuleWrapper",
    "JaxLayer",
    "FlaxLayer",
    "IndexLookup",
    "StringLookup",
    "IntegerLookup",
    "TextVectorization",
)


def read(path: Path, about: About) -> BlackBox:
    """The classifier in a ``.keras`` file.

    Parameters
    ----------
    path
        The file.
    about
        What is told about it. Where no range or normalization is told and a layer of the model
        divides by 100 or more (Rescaling) or takes a mean above 2 away (Normalization), it is
        given values in [0, 255], otherwise in [0, 1].

    Raises
    ------
    InputError
        If Keras is missing, the file is no whole `.keras` file, names anything that is not Keras'
        own, or is not a model from one picture to class scores.
    """
    config = check(path)
    for package in ("keras", "h5py"):
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"{path.name} needs the packages keras and h5py, got no {package}: "
                "pip install keras h5py"
            )
    try:
        with apart.opened("keras", path) as graph:
            return _read(path, about, graph, _takes_bytes(config))
    except apart.Failed as failure:
        raise _stuck(path.name, failure) from None


def _read(path: Path, about: About, graph: apart.Graph, takes_bytes: bool) -> BlackBox:
    entry = _entry(path.name, graph, about)

    def ask(x: np.ndarray) -> np.ndarray:
        try:
            return graph.run(0, x, MOST_CLASSES * len(x))
        except apart.Failed as failure:
            raise _stuck(path.name, failure) from None

    whole = "int" in entry.dtype or takes_bytes
    return wrap(path, about, entry, ask, (0.0, 255.0) if whole else (0.0, 1.0))


def check(path: Path) -> dict[str, Any]:
    """The configuration in a ``.keras`` file, once it is known to name nothing foreign.

    Raises
    ------
    InputError
        If the file is no zip with a configuration and weights, is larger than it should be once
        unpacked, or its configuration names what is not Keras' own.
    """
    config = _config(path)
    for named in _named(config):
        _permit(path.name, named)
    return config


def _config(path: Path) -> dict[str, Any]:
    """The configuration, once every member is known to be whole and no larger than it says."""
    file = path.name
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _members(file, entries)
            for entry in entries:
                _unpacked(file, archive, entry)
            with archive.open(CONFIG) as member:
                config = json.loads(member.read(MEMBERS[CONFIG]))
    except InputError:
        raise
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError,
        ValueError, OverflowError, RecursionError,
    ) as error:  # fmt: skip
        raise InputError(
            f"{file} must be a .keras file, a whole zip without a password, got something else: "
            f"{AGAIN}."
        ) from error
    if not isinstance(config, dict):
        raise InputError(f"{CONFIG} in {file} must describe a model, got none: {AGAIN}.")
    return config


def _members(file: str, entries: list[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    for needed in (CONFIG, WEIGHTS):
        if needed not in names:
            raise InputError(f"{file} must hold {needed}, got none: {AGAIN}.")
    for entry in entries:
        most = MEMBERS.get(entry.filename, -1)
        if most < 0 or names.count(entry.filename) > 1:
            raise InputError(
                f"{file} must hold {', '.join(MEMBERS)} and nothing else, each once, got "
                f"{entry.filename[:60]!r}: {AGAIN}, without text layers."
            )
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                f"{file} must be packed as Keras does, stored or deflated, got {entry.filename} "
                f"packed in another way: {AGAIN}."
            )
        if entry.file_size > most:
            raise _too_large(file, entry.filename, entry.file_size)


def _unpacked(file: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Go through a member in small pieces: more may come out than the zip's list says."""
    most, found = MEMBERS[entry.filename], 0
    unknown = copy.copy(entry)
    unknown.file_size = most + 2 * PIECE  # where reading would end without a word
    with archive.open(unknown) as member:
        while piece := member.read(PIECE):
            found += len(piece)
            if found > most:
                raise _too_large(file, entry.filename, found)
    if found != entry.file_size:
        raise zipfile.BadZipFile("a member is shorter or longer than the list says")


def _too_large(file: str, member: str, size: int) -> InputError:
    return InputError(
        f"{member} in {file} must have at most {MEMBERS[member] // 1_000_000} MB unpacked, got "
        f"{size / 1e6:.0f} MB or more: give a smaller model."
    )


def _named(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a configuration that names a class or function, however deep."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value or "module" in value:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _permit(file: str, named: dict[str, Any]) -> None:
    """Refuse a class or function that is not one of Keras' own harmless ones."""
    kind, module = named.get("class_name"), named.get("module")
    name = named.get("config") if kind == "function" else kind
    registered = named.get("registered_name")
    if kind == "Lambda" or kind == "__lambda__":
        raise InputError(
            f"{file} must hold no Lambda layer, which can run any program, got one: replace it "
            "by layers or keras.ops, and save the model again."
        )
    if module is None and kind in PLAIN:
        return
    fits = isinstance(name, str) and name.isidentifier() and name not in BARRED
    if module == "keras":
        fits = fits and kind in TOP
    elif module == "builtins":
        fits = fits and kind == "function"
    else:
        fits = fits and module in MODULES
    if not fits or registered not in (None, kind, name):
        shown = f"{module}.{name}" if module else str(registered or name)
        raise InputError(
            f"{file} must be made of Keras' own layers alone, got {shown[:80]!r}: no program is "
            "loaded from a file, so wrap such a model in a function and give module:attribute."
        )


def _takes_bytes(config: dict[str, Any]) -> bool:
    """Whether a layer brings values in [0, 255] down itself, by a factor or a mean."""
    for named in _named(config):
        kind, inner = named.get("class_name"), named.get("config")
        if kind not in ("Rescaling", "Normalization") or not isinstance(inner, dict):
            continue
        told = inner.get("scale" if kind == "Rescaling" else "mean")
        numbers = [
            n for n in (told if isinstance(told, list) else [told]) if isinstance(n, int | float)
        ]
        if any(0 < n <= 0.01 if kind == "Rescaling" else n > 2 for n in numbers):
            return True
    return False


def _stuck(file: str, failure: apart.Failed) -> InputError:
    """Why Keras did not open a file, or did not run it."""
    return InputError(
        f"{file} must be a model that Keras {failure.version} can load and run, got: "
        f"{str(failure)[:300]}: {AGAIN}."
    )


def _entry(file: str, graph: apart.Graph, about: About) -> Port:
    """The one input of a model; pictures go through it in batches of one size."""
    for what, found in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        if len(found) != 1:
            raise InputError(
                f"{file} must have one input and one output, got {what} {listed(found) or 'none'}: "
                "build the model on one keras.Input with one output."
            )
    (given,), (answer,) = graph.inputs, graph.outputs
    if any(size not in (None, 1) for size in answer.shape[2:]) or len(answer.shape) < 2:
        raise InputError(
            f"{file} must give one row of class scores per picture, shape [n, classes], got "
            f"output {listed([answer])}: give an image classifier."
        )
    if (answer.shape[1] or 0) > MOST_CLASSES:
        raise InputError(
            f"{file} must give at most {MOST_CLASSES} class scores per picture, got "
            f"{answer.shape[1]}: give an image classifier."
        )
    dtype = given.type if given.type in ("uint8", "int32", "float16") else "float32"
    entry = port(file, given.shape, about, dtype)
    batch = entry.batch or about.batch or batch_for(entry.size)
    check_batch(file, batch, entry.size)
    return Port(*entry.size, entry.layout, entry.rank, dtype, batch)
