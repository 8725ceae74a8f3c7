"""Settings as plain data for a JSON file, and back: by names from the registries, never by code.

Settings(segmenter=KMeans(20.0), ...)  <->  {"segmenter": {"choice": "kmeans", ...}, ...}

Such a file may come from a stranger; a choice refuses what is beyond its bounds when it is made.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from limecraft_jax.bounds import short
from limecraft_jax.path.kernel import KERNELS
from limecraft_jax.path.lime import Settings
from limecraft_jax.path.replace import REPLACEMENTS
from limecraft_jax.path.sample import DESIGNS
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
        return tuple(value)
    if not _whole(value):
        raise InputError(f"{name} must be a whole number, got {short(value)}.")
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
    return registry[name](**settings)


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
