"""A session in one zip file, so that anybody can open it again and get the same numbers.

    image.npy   what the model saw, float32 [h w c], to the last bit     image.png  to look at
    mask.png    the drawn regions, 16-bit label map
    session.json  model, settings, variants with their steps             results.json  the answers

A bundle may come from a stranger. Nothing in it is run: choices are looked up by name, numbers are
checked, only known members of bounded size are read, and nothing is unpacked to a place that the
file names.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax import __version__, models
from limecraft_jax.compare.variants import Variant, compare, in_full, record
from limecraft_jax.edits.edit import Step, as_record, from_record
from limecraft_jax.files import archive, images, masks
from limecraft_jax.path import choices
from limecraft_jax.path.lime import as_model
from limecraft_jax.show import report
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Float32, Int32

    from limecraft_jax.path.lime import Settings
    from limecraft_jax.types import Neighborhood

FORMAT, VERSION = "limecraft-jax session", 1
MEGA = 1_000_000
# Most bytes of each member, unpacked. A picture of MAX_SIDE² pixels takes 50 MB as floats.
MEMBERS = {
    "image.npy": 64 * MEGA,
    "image.png": 64 * MEGA,
    "mask.png": 16 * MEGA,
    "session.json": 2 * MEGA,
    "results.json": 64 * MEGA,
    "segmenter.file": 64 * MEGA,
    "replacement.file": 64 * MEGA,
}
NEEDED = ("image.npy", "mask.png", "session.json", "results.json")
MOST_VARIANTS, MOST_STEPS, MOST_BATCH = 64, 256, 4096


@dataclasses.dataclass(frozen=True, eq=False)
class Bundle:
    """A session as it was written down.

    Attributes
    ----------
    model
        Name of the model.
    weights
        SHA-256 of its weights, empty for a model that is not bundled.
    batch
        Pictures that it was asked about at once, on which the last digits rest; 0 if not known.
    image
        As the model saw it.
    mask
        The drawn regions, 0 outside.
    settings
        The shared choices. Where one takes a file, its path is a key of `files`.
    variants
        Names and stacks of the variants, besides the original.
    results
        What `variants.record` said.
    files
        Contents of files that the settings rest on.
    """

    model: str
    weights: str
    batch: int
    image: Float32[np.ndarray, "h w c"]
    mask: Int32[np.ndarray, "h w"]
    settings: Settings
    variants: tuple[tuple[str, tuple[Step, ...]], ...]
    results: dict[str, Any]
    files: dict[str, bytes]

    def asked(self, model: Any) -> Any:
        """A model that is asked about as many pictures at once as then."""
        return as_model(model).with_batch(self.batch) if self.batch else as_model(model)


def write(
    variants: Sequence[Variant],
    settings: Settings,
    model: str,
    classes: Sequence[str],
    files: dict[str, bytes] | None = None,
    batch: int = 0,
    full: Sequence[int] | None = None,
) -> bytes:
    """A comparison as a session bundle: the contents of a zip file.

    Parameters
    ----------
    variants
        The original first, as `variants.compare` gives them.
    settings, model, classes, full
        As for `variants.record`; `model` is the name by which it is loaded.
    files
        `Bundle.files`, where the settings are those of a bundle that was read.
    batch
        `Bundle.batch`.
    """
    settings, files = _packed(settings) if files is None else (settings, files)
    first = variants[0]
    pixels = io.BytesIO()
    np.save(pixels, first.image, allow_pickle=False)
    session = {
        "format": FORMAT,
        "version": VERSION,
        "limecraft_jax": __version__,
        "model": model,
        "weights": models.fingerprint(model),
        "batch": batch,
        "settings": choices.as_record(settings),
        "variants": [
            {"name": variant.name, "steps": [as_record(step) for step in variant.stack]}
            for variant in variants[1:]
        ],
    }
    members = {
        "session.json": report.dumps(session).encode(),
        "image.npy": pixels.getvalue(),
        "image.png": images.to_png(first.image),
        "mask.png": masks.save_labels(first.mask),
        "results.json": report.dumps(record(variants, settings, model, classes, full)).encode(),
        **files,
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            if len(data) > MEMBERS[name]:
                raise InputError(
                    f"a session can hold at most {MEMBERS[name] // MEGA} MB of {name}, "
                    f"got {len(data) // MEGA} MB: keep fewer variants."
                )
            file.writestr(name, data)
    return packed.getvalue()


def read(source: bytes | str | os.PathLike[str]) -> Bundle:
    """A session bundle from its contents or its path.

    Raises
    ------
    InputError
        If it is missing, damaged, no bundle, of another version, or holds what it must not.
    """
    members = archive.members(images.read_bytes(source, "a session bundle"), MEMBERS, NEEDED)
    session, results = (
        archive.mapping(members[name], name) for name in ("session.json", "results.json")
    )
    if session.get("format") != FORMAT:
        raise InputError(f"session.json must be of a {FORMAT}, got another one: {archive.AGAIN}.")
    if session.get("version") != VERSION:
        raise InputError(
            f"a session bundle must be of version {VERSION}, "
            f"got {archive.short(session.get('version'))}: open it with the limecraft-jax of then."
        )
    image = archive.picture(members["image.npy"])
    mask = archive.labels(members["mask.png"], image.shape[:2])
    settings = choices.from_record(session.get("settings"))
    files = {name: data for name, data in members.items() if name.endswith(".file")}
    for what in ("segmenter", "replacement"):
        path = getattr(getattr(settings, what), "path", "")
        if path and path != f"{what}.file":
            raise InputError(
                f"the {what} must be a file in the bundle, got another path: {archive.AGAIN}."
            )
        if path and path not in files:
            raise InputError(f"a session bundle must hold {path}, got none: {archive.AGAIN}.")
    return Bundle(
        model=archive.text(session.get("model"), "the model"),
        weights=archive.text(session.get("weights", ""), "the weights"),
        batch=archive.count(session.get("batch", 0), "the batch", MOST_BATCH),
        image=image,
        mask=mask,
        settings=settings,
        variants=_variants(session.get("variants")),
        results=results,
        files=files,
    )


def replay(
    bundle: Bundle,
    model: Any = None,
    progress: Callable[[str, Neighborhood], None] | None = None,
) -> tuple[Variant, ...]:
    """Do it all again.

    Parameters
    ----------
    bundle
        As read.
    model
        The model, where it is not a bundled one. It is never looked up in a module that the bundle
        names.
    progress
        As in `variants.compare`.
    """
    if model is None:
        if not models.registered(bundle.model):
            raise InputError(
                f"the session rests on a model that is not bundled, {bundle.model!r}: give it."
            )
        model = models.load(bundle.model)
    model = bundle.asked(model)
    with _unpacked(bundle) as settings:
        return compare(model, bundle.image, bundle.mask, bundle.variants, settings, progress)


@dataclasses.dataclass(frozen=True)
class Check:
    """Whether a replay gave the same numbers.

    Attributes
    ----------
    differences
        What differs, one line each; empty if every number is the same.
    notes
        Sentences on versions or weights that are others than then.
    """

    differences: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether every number is the same."""
        return not self.differences


def check(bundle: Bundle, variants: Sequence[Variant], classes: Sequence[str]) -> Check:
    """Compare a replay with what the bundle says, to the last digit.

    Parameters
    ----------
    bundle
        As read.
    variants
        As `replay` gives them.
    classes
        Names of the model's classes.
    """
    then, told = bundle.results, bundle.results.get("versions")
    again = (bundle.settings, bundle.model, classes, in_full(then, classes))
    now = json.loads(report.dumps(record(variants, *again)))
    old = {**(told if isinstance(told, dict) else {}), "limecraft-jax": then.get("limecraft_jax")}
    notes = [
        f"{name} was {old.get(name)} and is {number}."
        for name, number in {"limecraft-jax": __version__, **now["versions"]}.items()
        if old.get(name) != number
    ]
    if bundle.weights != models.fingerprint(bundle.model):
        notes.append(f"The model {bundle.model} has other weights than then.")
    return Check(tuple(_differences(then, now)), tuple(notes))


_ASIDE = ("date", "versions", "limecraft_jax")  # may differ though the numbers are the same


def _differences(then: Any, now: Any, where: str = "") -> Iterator[str]:
    """The places at which two records differ."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in then if key not in now)]:
            if key not in _ASIDE:
                place = f"{where}, {key}" if where else key
                yield from _differences(then.get(key), now.get(key), place)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for i, (old, new) in enumerate(zip(then, now, strict=True)):
            name = (new.get("name") or new.get("class")) if isinstance(new, dict) else None
            yield from _differences(old, new, f"{where} {name or i}")
    elif type(then) is not type(now) or then != now:
        yield f"{where}: {archive.short(then)} then, {archive.short(now)} now"


def _variants(record: object) -> tuple[tuple[str, tuple[Step, ...]], ...]:
    """Names and stacks as `write` puts them down."""
    found = []
    for variant in _items(record, "variants", MOST_VARIANTS):
        name = archive.text(variant.get("name"), "the name of a variant")
        steps = _items(variant.get("steps"), "steps", MOST_STEPS)
        found.append((name, tuple(_step(step) for step in steps)))
    return tuple(found)


def _items(value: object, what: str, most: int) -> list[dict[str, Any]]:
    listed = isinstance(value, list) and len(value) <= most
    if not listed or not all(isinstance(item, dict) for item in value):  # type: ignore[attr-defined]
        raise InputError(
            f"{what} in a session must be a list of at most {most} records, "
            f"got {archive.short(value)}: {archive.AGAIN}."
        )
    return value  # type: ignore[return-value]


def _step(record: dict[str, Any]) -> Step:
    regions, kind = record.get("regions"), record.get("edit")
    whole = isinstance(regions, list) and all(type(region) is int for region in regions)
    if not whole or not isinstance(kind, str) or not isinstance(record.get("on", True), bool):
        raise InputError(
            f"a step of a session must name its edit and its regions, "
            f"got {archive.short(record)}: {archive.AGAIN}."
        )
    return from_record(record)


def _packed(settings: Settings) -> tuple[Settings, dict[str, bytes]]:
    """Settings that name members of the bundle, and those members."""
    files, changed = {}, {}
    for what in ("segmenter", "replacement"):
        choice: Any = getattr(settings, what)
        if path := getattr(choice, "path", ""):
            name = f"{what}.file"
            files[name] = images.read_bytes(path, f"the {what}")
            changed[what] = dataclasses.replace(choice, path=name)
    return dataclasses.replace(settings, **changed), files


@contextlib.contextmanager
def _unpacked(bundle: Bundle) -> Iterator[Settings]:
    """Settings whose files exist, for as long as they are used."""
    with tempfile.TemporaryDirectory() as folder:
        changed: dict[str, Any] = {}
        for name, data in bundle.files.items():
            what = name.partition(".")[0]
            choice: Any = getattr(bundle.settings, what)
            if getattr(choice, "path", ""):
                path = Path(folder) / f"{what}.file"
                path.write_bytes(data)
                changed[what] = dataclasses.replace(choice, path=str(path))
        yield dataclasses.replace(bundle.settings, **changed)
