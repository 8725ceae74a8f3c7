"""A user's own model from a file: weights, an ONNX graph or a Keras model, never Python code.

Nothing in these files is run but the numbers: weights are arrays, graphs are made of known
operators and run in a process of their own, see `apart`. Pickles (``.pkl``, ``.joblib``) can hold
any program and are refused; of PyTorch's files, which have one inside, only a state dict is read,
and no pickle is run for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limecraft_jax import models
from limecraft_jax.models.formats import about as about_
from limecraft_jax.models.formats.wrap import batch_for
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from limecraft_jax.models.blackbox import BlackBox
    from limecraft_jax.models.classifier import Classifier

MOST_BYTES = 500_000_000  # ResNet-152 has 240 MB
TORCH = (".pth", ".pt", ".bin")
WEIGHTS = (".safetensors", ".h5", *TORCH)
SUFFIXES = (".onnx", ".keras", *WEIGHTS)
PICKLES = (".ckpt", ".pkl", ".pickle", ".joblib")
GRAPH_ONLY = ("layout", "output")
WEIGHTS_ONLY = ("network", "family")


def is_file(name: str) -> bool:
    """Whether a model's name is that of a file, one that can be opened or one that is refused."""
    return Path(name).suffix.lower() in (*SUFFIXES, *PICKLES)


def open_model(
    path: str | Path,
    about: Mapping[str, Any] | str | Path | None = None,
    most: int = MOST_BYTES,
) -> Classifier | BlackBox:
    """Open a model file.

    Parameters
    ----------
    path
        ``.onnx`` (needs onnxruntime), ``.keras`` (needs keras and h5py), or weights of a network
        that is built in: ``.safetensors``, PyTorch's state dict in ``.pth``, ``.pt`` or ``.bin``,
        keras.applications' ``.h5``.
    about
        Classes, sizes and normalization, see `about.About`: a mapping, the path of a JSON file, or
        None for the JSON file of the same stem beside it, if there is one.
    most
        Bytes that the file may have.

    Raises
    ------
    InputError
        If the file is missing, too large, of another kind or damaged, a package is missing, or the
        model and what is told about it do not fit. The model is asked about two pictures first.

    >>> open_model("cats.onnx", {"classes": ["cat", "dog"], "range": [-1, 1]})  # doctest: +SKIP
    """
    path = Path(path)
    suffix = _check(path, most)
    told = about_.read(about, path)
    if suffix == ".h5" and not told.network:
        raise InputError(
            f"{path.name} must be a .keras file, or weights of a network that is built in and told "
            'as "network", got .h5: save the model again with model.save("model.keras").'
        )
    wrong = GRAPH_ONLY if suffix in WEIGHTS else WEIGHTS_ONLY
    for field in wrong:
        if getattr(told, field):
            raise InputError(
                f'"{field}" must not be told about a {suffix} file, got '
                f"{getattr(told, field)!r} for {path.name}: leave it out."
            )
    if suffix == ".onnx":
        from limecraft_jax.models.formats import onnxfile

        return onnxfile.read(path, told)
    if suffix == ".keras":
        from limecraft_jax.models.formats import kerasfile

        return kerasfile.read(path, told)
    return _weights(path, told)


def _check(path: Path, most: int) -> str:
    """The suffix of a file that is there and of a size and kind that can be opened."""
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise InputError(
            f"{path.name} must be a file without programs in it, got {suffix}, which can hold "
            "any: export the model as .onnx, or save its weights as a state dict or .safetensors."
        )
    if suffix not in SUFFIXES:
        raise InputError(
            f"a model file must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, "
            f"got {path.name!r}: export it as .onnx."
        )
    if not path.is_file():
        raise InputError(
            f"a model file must be there, got {str(path)!r}, which is not: check the path."
        )
    size = path.stat().st_size
    if not 0 < size <= most:
        got = f"{size / 1e6:.1f} MB" if size else "an empty file"
        raise InputError(
            f"{path.name} must have up to {most // 1_000_000} MB, got {got}: "
            f"{'give a smaller model' if size else 'export it again'}."
        )
    return suffix


def _weights(path: Path, told: about_.About) -> Classifier:
    """Weights of a network that is built in."""
    from limecraft_jax.models import networks, pace

    for field in ("network", "classes", "height", "width"):
        if not getattr(told, field):
            if path.suffix.lower() in TORCH:
                networks.convert.read(path)  # what is no state dict is told so first
            raise InputError(
                f'{path.name} holds weights alone: tell "network", "classes", "height" and '
                f'"width" in a JSON file, got no {field}.'
            )
    size = (told.height or 0, told.width or 0, told.channels or 3)
    card = told.card(path.name, size, told.classes, batch=batch_for(size))
    model = networks.read(path, card)
    return model if told.batch else pace.settle(model)


def recorded(name: str) -> str:
    """What results say about a model: a file by its name, without the folders of this machine."""
    return Path(name).name if is_file(models.split(name)[0]) else name


def made(found: Any) -> Any:
    """What a name in a Python module stands for: a model, or what makes one.

    A function or class that needs no argument and takes none is called; anything else is the
    model itself.
    """
    if not callable(found):
        return found
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return found
    return found if signature.parameters else found()
