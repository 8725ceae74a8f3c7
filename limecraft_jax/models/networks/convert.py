"""Weights as other libraries name and store them, in; ours, out.

    y = γ (conv(x) + b - μ) / √(σ² + ε) + β   is a convolution:   kernel γ/√(σ² + ε), bias the rest

PyTorch keeps kernels as [out, in, h, w] and dense layers as [out, in], Keras as [h, w, in, out] and
[in, out], as we do. Every network's file lists its layers under their names elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Float

MOST_BYTES = 1_000_000_000  # of all arrays of a file
MOST_TOLD = 5  # keys and shapes that an error names
TORCH = ("weight", "bias", "running_mean", "running_var")
NORM = ("gamma", "beta", "moving_mean", "moving_variance")

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """One way in which a network's weights are published.

    Attributes
    ----------
    name
        Who publishes them so.
    family
        Whose arithmetic they are for, ``"torch"`` or ``"keras"``.
    eps
        What is added to a variance, ε.
    names
        For each of our layers: their convolution or dense layer, and their batch norm or "".
        ``conv2d#3`` means the fourth layer named ``conv2d_`` and a number.
    ignored
        How keys begin that serve training alone.
    """

    name: str
    family: str
    eps: float
    names: dict[str, tuple[str, str]]
    ignored: tuple[str, ...] = ()

    def keys(self, arrays: Arrays) -> tuple[set[str], set[str]]:
        """Keys that a file in this layout must hold, and those that it may hold."""
        torch = not any(key.endswith((".kernel", ".beta")) for key in arrays)
        kernel, parts = ("weight", TORCH) if torch else ("kernel", NORM)
        must: set[str] = set()
        may: set[str] = set()
        for conv, norm in self.names.values():
            must.add(f"{conv}.{kernel}")
            (may if norm else must).add(f"{conv}.bias")
            if norm:
                must |= {f"{norm}.{part}" for part in parts[1:]}
                (must if torch else may).add(f"{norm}.{parts[0]}")
        return must, may


def convert(
    arrays: Arrays, layouts: tuple[Layout, ...], title: str, family: str = ""
) -> tuple[Arrays, Layout]:
    """Our weights from a file's, and the layout that it turned out to have.

    Parameters
    ----------
    arrays
        As `read` gives them.
    layouts
        Those that the network is published in.
    title
        The network's name, for the error.
    family
        The one that is wanted where two layouts have the same names; "" if that is not known.

    Raises
    ------
    InputError
        If keys are missing or left over: at most five of each are named. If two layouts that differ
        in arithmetic have the same names and no family is told.
    """
    numbered = {name for layout in layouts for pair in layout.names.values() for name in pair}
    if any("#" in name for name in numbered):
        arrays = number(arrays)
    layout = max(
        layouts,
        key=lambda layout: (len(layout.keys(arrays)[0] & set(arrays)), layout.family == family),
    )
    twins = {other.family for other in layouts if other.names == layout.names}
    layout = _own_head(arrays, layout)
    must, may = layout.keys(arrays)
    missing = sorted(must - set(arrays))
    extra = sorted(
        key
        for key in set(arrays) - must - may
        if not key.startswith(layout.ignored or ("\0",)) and not key.endswith("num_batches_tracked")
    )
    if missing or extra:
        raise InputError(
            f"the file must hold the weights of {title} as {layout.name} name them, got one with "
            f"{_told(missing, 'missing')} and {_told(extra, 'unexpected')}: choose the network "
            "that the weights were made for."
        )
    if len(twins) > 1 and family not in twins:
        raise InputError(
            f'"family" must be told for weights of {title} as {layout.name} names them, got none: '
            'say "keras" for weights that come from TensorFlow (at timm those called tf_...), '
            '"torch" for others.'
        )
    ours: Arrays = {}
    for name, (conv, norm) in layout.names.items():
        ours[f"{name}.kernel"], ours[f"{name}.bias"] = fold(arrays, conv, norm, layout.eps)
    return ours, layout


def fold(arrays: Arrays, conv: str, norm: str, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a layer with its batch norm multiplied in, in double precision."""
    torch = f"{conv}.weight" in arrays
    whole = arrays[f"{conv}.{'weight' if torch else 'kernel'}"]
    if whole.ndim not in (2, 4) or whole.dtype.kind != "f":
        raise _misfit(conv, whole)
    kernel = whole.astype(np.float64)
    if torch:
        kernel = kernel.transpose((2, 3, 1, 0) if kernel.ndim == 4 else (1, 0))
    depthwise = not torch and kernel.ndim == 4 and kernel.shape[3] == 1 and "dense" not in conv
    if depthwise and kernel.shape[:2] != (1, 1):
        kernel = kernel.transpose(0, 1, 3, 2)
    outputs = kernel.shape[-1:]

    def vector(name: str, default: float) -> np.ndarray:
        found = arrays.get(name, np.full(outputs, default))
        if found.shape != outputs:  # before anything is multiplied out
            raise _misfit(name, found)
        return found.astype(np.float64)

    bias = vector(f"{conv}.bias", 0)
    if norm:
        parts = TORCH if f"{norm}.running_var" in arrays else NORM
        gamma, beta, mean, variance = (vector(f"{norm}.{part}", 1) for part in parts)
        if (variance + eps <= 0).any():
            raise InputError(
                f"{norm}.{parts[3]} must hold variances, got one below 0: is the file damaged?"
            )
        scale = gamma / np.sqrt(variance + eps)
        kernel, bias = kernel * scale, (bias - mean) * scale + beta
    elif kernel.ndim == 4:  # a dense layer written as a 1x1 convolution
        kernel = kernel[0, 0]
    return kernel.astype(np.float32), bias.astype(np.float32)


def _misfit(name: str, found: np.ndarray) -> InputError:
    return InputError(
        f"the weights of a layer must fit together, got {name} of {found.dtype} {found.shape}: "
        "is the file damaged?"
    )


def _own_head(arrays: Arrays, layout: Layout) -> Layout:
    """The layout with the file's own name for a Keras head, where it is the one dense layer."""
    theirs = layout.names["dense"][0]
    dense = [
        key.removesuffix(".kernel")
        for key, value in arrays.items()
        if key.endswith(".kernel") and value.ndim == 2
    ]
    if f"{theirs}.kernel" in arrays or len(dense) != 1:
        return layout
    return replace(layout, names={**layout.names, "dense": (dense[0], "")})


def number(arrays: Arrays) -> Arrays:
    """Layers that Keras numbered as it went, ``conv2d_95``, under their rank, ``conv2d#0``."""
    stems: dict[str, dict[int, str]] = {}
    for key in arrays:
        layer = key.rpartition(".")[0]
        found = re.fullmatch(r"(conv2d|batch_normalization)(?:_(\d+))?", layer)
        if found:
            stems.setdefault(found[1], {})[int(found[2] or 0)] = layer
    rank = {
        layer: f"{stem}#{n}"
        for stem, layers in stems.items()
        for n, (_, layer) in enumerate(sorted(layers.items()))
    }
    renamed = {}
    for key, value in arrays.items():
        layer, _, part = key.rpartition(".")
        renamed[f"{rank.get(layer, layer)}.{part}"] = value
    return renamed


def _told(keys: list[str], what: str) -> str:
    if not keys:
        return f"nothing {what}"
    more = f" and {len(keys) - MOST_TOLD} more" if len(keys) > MOST_TOLD else ""
    return f"{what} {', '.join(key[:60] for key in keys[:MOST_TOLD])}{more}"


def read(path: Path) -> Arrays:
    """All arrays of a file of weights, see `READERS`, by their names.

    Keras' come as ``layer.kernel``, ``layer.bias``, ``layer.gamma`` and so on.

    Raises
    ------
    InputError
        If the file is none of these, is damaged, or holds a number that is not finite.
    """
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise InputError(
            f"a file of weights must end in {', '.join(READERS)}, got {path.name!r}: export the "
            "weights as safetensors. Code that is in a file is never run."
        )
    arrays = READERS[suffix](path)
    for key, value in arrays.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise InputError(
                f"weights must be finite numbers, got NaN or infinity in {key} of {path.name}: "
                "the training went wrong, or the file is damaged."
            )
    return arrays


def _safetensors(path: Path) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise InputError(
            f"{path.name} must be a safetensors file, got one that cannot be read "
            f"({str(error)[:200]}): download or export it again."
        ) from None


def _h5(path: Path) -> Arrays:
    try:
        import h5py
    except ImportError:
        raise InputError(f"reading {path.name} needs the package h5py: pip install h5py.") from None
    try:
        with h5py.File(path, "r") as file:
            arrays: Arrays = {}
            for layer, values in _layers(file):
                arrays |= _parts(layer, values)
            return arrays
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise InputError(
            f"{path.name} must be a file of Keras weights, got one that cannot be read ({error}): "
            "save the weights again."
        ) from None


def _layers(file: Any) -> list[tuple[str, list[np.ndarray]]]:
    """Every layer with its arrays in Keras' order, from an old or a new file."""
    found: list[tuple[str, list[np.ndarray]]] = []
    taken = 0

    def array(held: Any) -> np.ndarray:
        nonlocal taken
        taken += held.nbytes  # a few bytes can stand for any number of zeros
        if taken > MOST_BYTES:
            raise ValueError(f"its arrays take more than {MOST_BYTES // 1_000_000} MB")
        return np.asarray(held)

    old = file.get("model_weights", file)
    if "layer_names" in old.attrs:
        for name in map(_text, old.attrs["layer_names"]):
            group = old[name]
            weights = [array(group[_text(key)]) for key in group.attrs["weight_names"]]
            found.append((name, weights))
        return found

    def visit(path: str, group: Any) -> None:
        if path.endswith("/vars") and len(group):
            weights = [array(group[str(i)]) for i in range(len(group))]
            name = group.parent.attrs.get("name") or group.attrs.get("name")
            found.append((_text(name or path.split("/")[-2]), weights))

    file.visititems(visit)
    return found


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _parts(layer: str, values: list[Float[np.ndarray, ...]]) -> Arrays:
    """The arrays of one Keras layer by name: a kernel comes first, a norm has one axis only."""
    if not values:
        return {}
    names = ("kernel", "bias")[: len(values)] if values[0].ndim > 1 else NORM[4 - len(values) :]
    return {f"{layer}.{name}": value for name, value in zip(names, values, strict=True)}


def _torch(path: Path) -> Arrays:
    from limecraft_jax.models.networks import checkpoint

    return checkpoint.read(path)


TORCH_FILES = (".pth", ".pt", ".bin")  # what PyTorch's users, and Hugging Face, call them
READERS = {".safetensors": _safetensors, ".h5": _h5} | dict.fromkeys(TORCH_FILES, _torch)
