"""A Keras 3 model as a classifier, compiled by JAX.

A ``.keras`` file is a zip of a configuration and weights. The configuration names the classes that
Keras makes, so it is read here first: only layers and functions of Keras itself are let through,
and none that run programs or open files (Lambda layers, wrapped modules, vocabularies).
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from limecraft_jax.models.formats.about import About
from limecraft_jax.models.formats.wrap import Port, axes_text, batch_for, port, wrap
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from limecraft_jax.models.blackbox import BlackBox

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = {"metadata.json": 1_000_000, CONFIG: 20_000_000, WEIGHTS: 1_000_000_000}  # most bytes
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
        If Keras is missing or runs on another backend, the file is no whole `.keras` file, names
        anything that is not Keras' own, or is not a model from one picture to class scores.
    """
    config = check(path)
    model = _load(path, config)
    entry = _entry(path.name, model, about)

    # Pure, unlike predict_on_batch, so that several threads may ask; as fast on large networks.
    @jax.jit
    def step(weights, state, x):
        return model.stateless_call(weights, state, x, training=False)[0]

    groups = (model.trainable_variables, model.non_trainable_variables)
    weights, state = jax.device_put([[variable.value for variable in group] for group in groups])

    def ask(x: np.ndarray) -> np.ndarray:
        return np.asarray(step(weights, state, x))

    whole = "int" in entry.dtype or _takes_bytes(config)
    return wrap(path, about, entry, ask, (0.0, 255.0) if whole else (0.0, 1.0))


def check(path: Path) -> dict[str, Any]:
    """The configuration in a ``.keras`` file, once it is known to name nothing foreign.

    Raises
    ------
    InputError
        If the file is no zip with a configuration and weights, is larger than it should be once
        unpacked, or its configuration names what is not Keras' own.
    """
    config = _config(path.name, path.read_bytes())
    for named in _named(config):
        _permit(path.name, named)
    return config


def _config(file: str, data: bytes) -> dict[str, Any]:
    """The configuration; sizes are checked before anything is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _members(file, archive.infolist())
            config = json.loads(archive.read(CONFIG))
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
        if entry.file_size > most:
            raise InputError(
                f"{entry.filename} in {file} must have at most {most // 1_000_000} MB unpacked, "
                f"got {entry.file_size / 1e6:.0f} MB: give a smaller model."
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


def _keras(file: str) -> Any:
    """Keras on the JAX backend."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "jax"
    try:
        import h5py  # noqa: F401
        import keras
    except ImportError:
        raise InputError(
            f"{file} needs the packages keras and h5py, got none: pip install keras h5py"
        ) from None
    backend = keras.backend.backend() if hasattr(keras, "backend") else ""
    if backend != "jax":
        raise InputError(
            f"Keras must run on JAX, got {backend or 'an old Keras'}: set the environment "
            "variable KERAS_BACKEND to jax before Python starts."
        )
    return keras


def _load(path: Path, config: dict[str, Any]) -> Any:
    """The model, once its weights are known to have a size that fits in memory."""
    keras = _keras(path.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the state of its optimizer is not wanted
            size = _weights_size(keras, config)
            if size <= MEMBERS[WEIGHTS]:
                return keras.saving.load_model(path, safe_mode=True, compile=False)
    except Exception as error:  # whatever a damaged file makes Keras stumble over
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{path.name} must be a model that Keras {keras.__version__} can load, got: {reason}: "
            f"{AGAIN}."
        ) from error
    raise InputError(
        f"the weights of {path.name} must have at most {MEMBERS[WEIGHTS] // 1_000_000} MB, its "
        f"layers ask for {size / 1e6:.0f} MB: give a smaller model."
    )


def _weights_size(keras: Any, config: dict[str, Any]) -> int:
    """Bytes that the weights will take, worked out from shapes alone.

    A layer of a few letters in the configuration can ask for more memory than there is, which
    ends Python without a word.
    """

    def build() -> list[Any]:
        model = keras.saving.deserialize_keras_object(
            config | {"compile_config": None}, safe_mode=True
        )
        return [variable.value for variable in model.variables]

    return sum(math.prod(v.shape) * v.dtype.itemsize for v in jax.eval_shape(build))


def _entry(file: str, model: Any, about: About) -> Port:
    """The one input of a model; pictures go through it in batches of one size."""
    ports = {what: list(getattr(model, what, None) or []) for what in ("inputs", "outputs")}
    for what, found in ports.items():
        if len(found) != 1:
            listed = ", ".join(f"{t.name} {axes_text(t.shape)}" for t in found)
            raise InputError(
                f"{file} must have one input and one output, got {what} {listed or 'none'}: build "
                "the model on one keras.Input with one output."
            )
    (given,), (answer,) = ports["inputs"], ports["outputs"]
    if any(size not in (None, 1) for size in answer.shape[2:]) or len(answer.shape) < 2:
        raise InputError(
            f"{file} must give one row of class scores per picture, shape [n, classes], got "
            f"output {answer.name} {axes_text(answer.shape)}: give an image classifier."
        )
    dtype = given.dtype if given.dtype in ("uint8", "int32", "float16") else "float32"
    entry = port(file, list(given.shape), about, dtype)
    batch = entry.batch or about.batch or batch_for(entry.size)
    return Port(*entry.size, entry.layout, entry.rank, dtype, batch)
