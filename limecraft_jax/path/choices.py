"""Settings as plain data for a JSON file, and back: by names from the registries, never by code.

Settings(segmenter=KMeans(20.0), ...)  <->  {"segmenter": {"choice": "kmeans", ...}, ...}

Such a file may come from a stranger, so every number in it has bounds: no setting may take a
machine's memory, or keep it busy where nobody can stop it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from limecraft_jax.files.archive import short
from limecraft_jax.files.images import MAX_SIDE
from limecraft_jax.path.kernel import KERNELS
from limecraft_jax.path.lime import Settings
from limecraft_jax.path.replace import REPLACEMENTS
from limecraft_jax.path.sample import DESIGNS, MOST_SAMPLES
from limecraft_jax.path.segment import MOST_SUPERPIXELS
from limecraft_jax.path.segmenters import SEGMENTERS
from limecraft_jax.path.surrogate import Ridge
from limecraft_jax.types import InputError, unknown

REGISTRIES: dict[str, dict[str, Any]] = {
    "segmenter": dict(SEGMENTERS),
    "design": dict(DESIGNS),
    "replacement": dict(REPLACEMENTS),
    "kernel": KERNELS,
    "ridge": {"ridge": Ridge},
}
SEED = 2**63 - 1  # what every reader of JSON with whole numbers holds
FAR = 1e6  # of numbers that cost nothing: far beyond any use, near enough to compute with

# (low, high) of every number in a file; the choices themselves refuse some of the low ends.
BOUNDS: dict[str, tuple[float, float]] = {
    "inside": (0, MOST_SUPERPIXELS),
    "outside": (0, MOST_SUPERPIXELS),
    "total": (0, MOST_SUPERPIXELS),
    "samples": (1, MOST_SAMPLES),
    "seed": (0, SEED),
    "compactness of kmeans": (1 / FAR, FAR),
    "compactness of slic": (1 / FAR, FAR),
    "compactness of watershed": (0, FAR),
    "kernel_size of quickshift": (1, 20),  # every pixel looks at (6 × 20)² others: 5 s at 224 × 224
    "max_dist of quickshift": (0, FAR),
    "ratio of quickshift": (0, 1),
    "scale of felzenszwalb": (0, FAR),
    "sigma of felzenszwalb": (0, 100),  # pixels; all details are gone long before
    "min_size of felzenszwalb": (1, MAX_SIDE**2),
    "width of kernel-sizes": (0.025, FAR),  # below, no float holds what a sample weighs
    "red of color": (0, 1),
    "green of color": (0, 1),
    "blue of color": (0, 1),
    "sigma of blur": (0, 1),  # of the picture's side: one even color
    "seed of noise": (0, SEED),
    "margin of inpaint": (2, 64),  # pixels; what lies farther away has no say
    "width of exponential": (0, FAR),
    "penalty of ridge": (0, 1e9),
}


def as_record(settings: Settings) -> dict[str, Any]:
    """Settings as plain data; `from_record` reads it.

    >>> as_record(Settings())["kernel"]
    {'choice': 'exponential', 'width': 0.25}
    """
    record: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name in REGISTRIES:
            kinds = REGISTRIES[field.name].items()
            name = next((name for name, kind in kinds if type(value) is kind), None)
            if name is None:
                raise InputError(
                    f"{field.name} must be a registered choice to be written down, "
                    f"got {type(value).__name__}: add it to the registry."
                )
            record[field.name] = {"choice": name, **dataclasses.asdict(value)}
        else:
            record[field.name] = list(value) if isinstance(value, tuple) else value
    return record


def from_record(record: object) -> Settings:
    """The settings of a record; what is missing has its default.

    Raises
    ------
    InputError
        If a name is unknown, or a value of another kind than its default or out of its bounds.
    """
    given = _mapping("settings", record)
    known = {field.name: field.default for field in dataclasses.fields(Settings)}
    for name in given:
        if name not in known:
            raise unknown("setting", name[:60], known)
    return Settings(**{name: _value(name, value) for name, value in given.items()})


def _value(name: str, value: object) -> Any:
    if name in REGISTRIES:
        return _choice(name, value)
    if value is None and name in ("inside", "outside"):
        return None
    if isinstance(value, list) and name == "inside" and all(_whole(count) for count in value):
        for count in (*value, sum(value)):
            _bounded(name, count)
        return tuple(value)
    if not _whole(value):
        raise InputError(f"{name} must be a whole number, got {short(value)}.")
    _bounded(name, value)
    return value


def _choice(what: str, record: object) -> Any:
    settings = dict(_mapping(what, record))
    name, registry = settings.pop("choice", None), REGISTRIES[what]
    if not isinstance(name, str) or name not in registry:
        raise unknown(what, short(name), registry)
    known = {field.name: field.default for field in dataclasses.fields(registry[name])}
    for parameter, value in settings.items():
        if parameter not in known:
            raise InputError(
                f"{name} must have known parameters ({', '.join(known) or 'none'}), "
                f"got {short(parameter)}."
            )
        if not _like(value, known[parameter]):
            raise InputError(
                f"{parameter} of {name} must be a value like {known[parameter]!r}, "
                f"got {short(value)}."
            )
    made = registry[name](**settings)
    for parameter in known:
        _bounded(f"{parameter} of {name}", getattr(made, parameter))
    return made


def _bounded(what: str, value: Any) -> None:
    low, high = BOUNDS.get(what, (-math.inf, math.inf))
    if isinstance(value, int | float) and not low <= value <= high:
        raise InputError(f"{what} must be from {low:g} to {high:g} in a file, got {short(value)}.")


def _mapping(what: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{what} must be names with their values, got {short(value)}.")
    return value


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _like(value: object, default: object) -> bool:
    """Whether a value is of the kind of a default; whole numbers are numbers too."""
    if isinstance(default, float):
        return _whole(value) or (isinstance(value, float) and math.isfinite(value))
    return type(value) is type(default)
