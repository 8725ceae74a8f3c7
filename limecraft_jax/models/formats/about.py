"""What a user tells about a model file: names, sizes and normalization, checked field by field.

A weights file holds numbers and an ONNX or Keras file a graph; neither says what its classes are
called or in which range it wants the pixels. That comes from a mapping, or a JSON file beside it.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from limecraft_jax.models.card import ModelCard, class_list
from limecraft_jax.types import InputError, unknown

MOST_BYTES = 5_000_000  # of a JSON file: 20 000 class names take less than one
MOST_SIDE = 4096  # pixels
MOST_BATCH = 4096
MOST_TEXT = 2000  # characters
MOST_NAME = 500  # characters of a class name
MOST_VALUES = 2**26  # numbers in a batch: one picture of 4096 x 4096, 445 of 224 x 224
MOST_NUMBER = 1e6  # of a mean, deviation or end of a range, either way
LEAST_NUMBER = 1e-6  # of a deviation or the width of a range


@dataclasses.dataclass(frozen=True)
class About:
    """What is told about a model file; None or empty where nothing is told.

    Attributes
    ----------
    network, family
        Architecture and arithmetic of a weights file; see `ModelCard`.
    title, about, data, architecture, trained, license
        Texts to show.
    classes
        Names of the k classes, or ``"imagenet"`` for the 1000 of that list. Two names for a single
        score: it is that of the second.
    height, width, channels
        What the network sees; channels is 1 or 3.
    mean, std
        The network is given (x - mean) / std for pixels x in [0, 1]; one number, or one a channel.
    range
        (low, high) that 0 and 1 become, instead of mean and std; [0, 255] for example.
    crop, resample
        How a picture of another size is brought to the network's; see `ModelCard`.
    batch
        Number of images asked about at once.
    layout
        Order of the input's axes, ``"nhwc"`` or ``"nchw"``.
    output
        ``"probabilities"`` or ``"logits"``.
    """

    network: str = ""
    family: str = ""
    title: str = ""
    about: str = ""
    data: str = ""
    architecture: str = ""
    trained: str = ""
    license: str = ""
    classes: tuple[str, ...] = ()
    height: int | None = None
    width: int | None = None
    channels: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    range: tuple[float, ...] | None = None
    crop: float = 0.0
    resample: str = "bilinear"
    batch: int | None = None
    layout: str = ""
    output: str = ""

    def normalization(
        self, channels: int, default: tuple[float, float] = (0.0, 1.0)
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and std, also where a range is told; `default` is the range where nothing is."""
        if self.mean is None and self.std is None:
            low, high = self.range or default
            return (low / (low - high) + 0.0,), (1 / (high - low),)  # + 0.0: no negative zero
        mean, std = self.mean or (0.0,), self.std or (1.0,)
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, channels):
                raise InputError(
                    f"{name} must hold one number, or one for each of the {channels} channels, "
                    f"got {len(values)}: give as many as the network has channels."
                )
        return mean, std

    def card(
        self,
        name: str,
        size: tuple[int, int, int],
        classes: tuple[str, ...],
        default: tuple[float, float] = (0.0, 1.0),
        batch: int = 32,
    ) -> ModelCard:
        """The card of the model.

        Parameters
        ----------
        name
            Of the file.
        size
            (height, width, channels) of what the network sees.
        classes
            Names of all classes.
        default
            Range of the input where nothing is told.
        batch
            Number of images asked about at once where nothing is told.
        """
        if self.batch:
            check_batch(name, self.batch, size)
        mean, std = self.normalization(size[2], default)
        texts = ("about", "data", "architecture", "trained", "license")
        return ModelCard(
            name=name,
            title=self.title or name,
            classes=classes,
            height=size[0],
            width=size[1],
            channels=size[2],
            mean=mean,
            std=std,
            batch=self.batch or batch,
            crop=self.crop,
            resample=self.resample,
            network=self.network,
            family=self.family,
            **{key: getattr(self, key) for key in texts},
        )


def check_batch(name: str, batch: int, size: tuple[int, int, int]) -> None:
    """Refuse more pictures at once than fit in memory."""
    if batch > MOST_BATCH or batch * math.prod(size) > MOST_VALUES:
        most = min(MOST_BATCH, MOST_VALUES // math.prod(size))
        raise InputError(
            f"{name} must take at most {most} pictures of {size[0]} x {size[1]} with {size[2]} "
            f"channels at once, got a batch of {batch}: give it a smaller one."
        )


def read(about: Mapping[str, Any] | str | Path | None, model: Path) -> About:
    """What is told about a model, checked.

    Parameters
    ----------
    about
        A mapping, the path of a JSON file, or None for the file of the model's stem beside it,
        ``cats.json`` for ``cats.onnx``, if there is one.
    model
        Path of the model.

    Raises
    ------
    InputError
        If the file cannot be read, or a field is unknown or has a value that it cannot have.
    """
    source = "about"
    if about is None:
        beside = model.with_suffix(".json")
        if not beside.exists():
            return About()
        about = beside
    if isinstance(about, str | Path):
        source = Path(about).name
        about = _json(Path(about))
    if not isinstance(about, Mapping):
        raise InputError(
            f"{source} must hold names with their values, got {_short(about)}: "
            'write {"classes": [...], ...}.'
        )
    for key in about:
        if key not in CHECKS:
            raise unknown(f"a field of {source}", key, CHECKS)
    fields = {
        key: CHECKS[key](f"{key} in {source}", value)
        for key, value in about.items()
        if value is not None
    }
    if "range" in fields and fields.keys() & {"mean", "std"}:
        raise InputError(
            f"{source} must have either range or mean and std, got both: leave one out."
        )
    return About(**fields)


def _json(path: Path) -> Any:
    if not path.is_file():
        raise InputError(
            f"what is told about a model must be a JSON file, got {path.name!r}, which is not "
            "there: check the path."
        )
    if path.stat().st_size > MOST_BYTES:
        raise InputError(
            f"{path.name} must have at most {MOST_BYTES // 1_000_000} MB, "
            f"got {path.stat().st_size / 1e6:.1f} MB: is it the right file?"
        )
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} must be JSON, got text that is not: {error}.") from None


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _refuse(what: str, must: str, value: object) -> NoReturn:
    raise InputError(f"{what} must be {must}, got {_short(value)}.")


def _text(what: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        _refuse(what, f"a text of at most {MOST_TEXT} characters", value)
    return value


def _names(what: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return class_list(value)
    if not isinstance(value, list | tuple) or not value:
        _refuse(what, "a list of names", value)
    names: list[str] = []
    seen: set[str] = set()
    for name in value:
        if not isinstance(name, str) or not name.strip():
            _refuse(what, "a list of names that are not empty", name)
        if len(name) > MOST_NAME:
            _refuse(what, f"a list of names of at most {MOST_NAME} characters", name)
        if name in seen:
            _refuse(what, "a list of names, each once", name)
        seen.add(name)
        names.append(name)
    return tuple(names)


def _whole(most: int) -> Callable[[str, object], int]:
    def check(what: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            _refuse(what, f"a whole number from 1 to {most}", value)
        return value

    return check


def _number(what: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        _refuse(what, "a finite number", value)
    if not -MOST_NUMBER <= value <= MOST_NUMBER:
        _refuse(what, f"a number from {-MOST_NUMBER:.0f} to {MOST_NUMBER:.0f}", value)
    return float(value)


def _numbers(what: str, value: object) -> tuple[float, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if len(values) not in (1, 3):
        _refuse(what, "one number, or one for each channel", value)
    return tuple(_number(what, one) for one in values)


def _deviations(what: str, value: object) -> tuple[float, ...]:
    values = _numbers(what, value)
    if min(values) < LEAST_NUMBER:
        _refuse(what, f"at least {LEAST_NUMBER}", value)
    return values


def _range(what: str, value: object) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        _refuse(what, "two numbers, [0, 1], [-1, 1] or [0, 255] for example", value)
    low, high = (_number(what, one) for one in value)
    if not low < high:
        _refuse(what, "two numbers, the smaller one first", value)
    if high - low < LEAST_NUMBER:
        _refuse(what, f"two numbers that are {LEAST_NUMBER} or more apart", value)
    return low, high


def _channels(what: str, value: object) -> int:
    if isinstance(value, bool) or value not in (1, 3):
        _refuse(what, "1 (gray) or 3 (color)", value)
    return 3 if value == 3 else 1


def _crop(what: str, value: object) -> float:
    if not 0 <= _number(what, value) <= 1:
        _refuse(what, "from 0 (the whole picture) to 1", value)
    return _number(what, value)


def _one_of(*known: str) -> Callable[[str, object], str]:
    def check(what: str, value: object) -> str:
        if not isinstance(value, str) or value not in known:
            _refuse(what, " or ".join(map(repr, known)), value)
        return value

    return check


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "network": _text,
    "family": _one_of("torch", "keras"),
    "title": _text,
    "about": _text,
    "data": _text,
    "architecture": _text,
    "trained": _text,
    "license": _text,
    "classes": _names,
    "height": _whole(MOST_SIDE),
    "width": _whole(MOST_SIDE),
    "channels": _channels,
    "mean": _numbers,
    "std": _deviations,
    "range": _range,
    "crop": _crop,
    "resample": _one_of("bilinear", "bicubic"),
    "batch": _whole(MOST_BATCH),
    "layout": _one_of("nhwc", "nchw"),
    "output": _one_of("probabilities", "logits"),
}
