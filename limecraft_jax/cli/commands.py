"""What the commands do: read files, take the path, write the results."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax import models
from limecraft_jax.cli import downloads
from limecraft_jax.edits.edit import Stack, Step
from limecraft_jax.files import images, masks
from limecraft_jax.models import pace
from limecraft_jax.models.formats import own
from limecraft_jax.path import replace, sample
from limecraft_jax.path.segmenters import SEGMENTERS
from limecraft_jax.show import draw, report
from limecraft_jax.types import InputError, Neighborhood, unknown

if TYPE_CHECKING:
    from limecraft_jax.compare.variants import Variant
    from limecraft_jax.path.lime import Settings

MOST_LINES = 20  # differences that are told one by one
SOME_CLASSES = 8  # of a thousand


def pick(what: str, name: str, registry: dict[str, type]) -> Any:
    """A registered choice with its defaults; ``name:argument`` gives its one argument.

    `picture:FILE` and `labels:FILE` take the file, `kernel-sizes:0.1` the width.
    """
    given = name
    name, _, argument = name.partition(":")
    if name not in registry:
        raise unknown(what, name, registry)
    try:
        return registry[name](_value(argument)) if argument else registry[name]()
    except TypeError:
        raise InputError(
            f"{what} must be a name, or a name and what it takes behind a colon, got {given!r}."
        ) from None


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def find_model(name: str, about: str | None = None) -> Any:
    """A registered model by name, one in a file, or anything callable by ``module:attribute``.

    Parameters
    ----------
    name
        What ``--model`` says.
    about
        JSON file of what is told about a model file, see `models.about`.
    """
    pace.keep_compiled()
    base, way = models.split(name)
    if own.is_file(base):
        return models.adapt(own.open_model(base, about), way)
    if about:
        raise InputError(f"--about is for a model file, got it with {name!r}: leave it out.")
    if ":" not in base:
        return models.load(name)
    return models.adapt(attribute_of(base), way)


def attribute_of(name: str) -> Any:
    """What ``module:attribute`` stands for."""
    module, _, attribute = name.partition(":")
    sys.path.insert(0, "")
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"model must be a known name, a file or module:attribute, got {name!r}: {error}."
        ) from None
    return own.made(found)


def list_models(given: argparse.Namespace) -> None:
    """Print the registered models."""
    for name in models.MODELS:
        card = models.card(name)
        accuracy = ", ".join(f"{what} {value:.3f}" for what, value in card.accuracy)
        print(f"{name}\n  {card.title}. {card.about}")
        print(f"  {card.width} x {card.height} pixels, {card.channels} channels; {accuracy}")
        more = f" and {len(card.classes) - SOME_CLASSES} more" * (card.source is not None)
        print(f"  classes: {', '.join(card.classes[: SOME_CLASSES if more else None])}{more}")
        print(f"  {downloads.state(card)}")


def settings_of(given: argparse.Namespace) -> Settings:
    """The choices that the options name."""
    from limecraft_jax.path import lime
    from limecraft_jax.path.kernel import Exponential
    from limecraft_jax.path.surrogate import Ridge

    return lime.Settings(
        segmenter=pick("segmenter", given.segmenter, SEGMENTERS),
        inside=given.inside,
        outside=given.outside,
        design=pick("design", given.design, sample.DESIGNS),
        samples=given.samples,
        replacement=pick("replacement", given.replacement, replace.REPLACEMENTS),
        kernel=Exponential(given.width),
        ridge=Ridge(given.penalty),
        seed=given.seed,
    )


def load(given: argparse.Namespace) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """The model, the picture as it sees it, and the drawn regions; notes go to standard error."""
    from limecraft_jax.path import lime

    loaded = images.load_image(given.image)
    model = lime.as_model(find_model(given.model, given.about))
    image = model.prepare(loaded.pixels)
    notes = list(loaded.notes)
    mask = None
    if given.mask:
        read = masks.load_mask(
            given.mask, image.shape[:2], getattr(getattr(model, "card", None), "crop", 0.0)
        )
        mask = read.labels if read.labels.any() else None
        notes += read.notes
    for note in notes:
        print(note, file=sys.stderr)
    return model, image, mask


def folder(path: str) -> Path:
    """The folder for the results, made if need be."""
    out = Path(path)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--out must be a folder that can be made, got {path!r}: {error}."
        ) from None
    return out


def explain(given: argparse.Namespace) -> None:
    """Explain one picture and write the results."""
    from limecraft_jax.path import lime

    settings = settings_of(given)
    model, image, mask = load(given)
    out = folder(given.out)
    probs = lime.predict(model, image)  # first, so that a wrong target is told at once
    names = lime.class_names(model, len(probs))
    target = int(np.argmax(probs)) if given.target is None else find_class(given.target, names)
    explanation = lime.explain(image, model, mask, settings, None if given.quiet else Bar())
    for note in explanation.neighborhood.segmentation.notes:
        print(note, file=sys.stderr)

    recorded = report.record(explanation, settings, own.recorded(given.model), names)
    (out / "explanation.json").write_text(report.dumps(recorded))
    labels = masks.save_labels(explanation.neighborhood.segmentation.labels)
    (out / "labels.png").write_bytes(labels)
    (out / "overlay.png").write_bytes(images.to_png(draw.overlay(explanation, target)))
    probability = explanation.neighborhood.probs[0, target]
    print(f"{names[target]}: {probability:.1%}")
    print(" ".join(report.trust(explanation, target, names[target]).sentences))
    print(f"Written: {out / 'explanation.json'}, labels.png, overlay.png")


def edit(given: argparse.Namespace) -> None:
    """Edit the drawn regions, compare before and after, and write the results."""
    from limecraft_jax.compare import bundle
    from limecraft_jax.compare.variants import compare
    from limecraft_jax.path import lime

    settings = settings_of(given)
    bundle.carried(settings)
    model, image, mask = load(given)
    if mask is None:
        raise InputError("an edit needs a region, got a mask that marks none: draw one.")
    bundle.carried(settings, mask)
    drawn = tuple(int(region) for region in np.unique(mask[mask != 0]))
    stack = stack_of(getattr(given, "steps", []), drawn)
    out = folder(given.out)
    probs = lime.predict(model, image)
    names = lime.class_names(model, len(probs))
    target = int(np.argmax(probs)) if given.target is None else find_class(given.target, names)
    variants = compare(model, image, mask, [("edited", stack)], settings, _progress(given.quiet))
    write(out, variants, settings, own.recorded(given.model), model, names, target)


def stack_of(given: Sequence[Any], drawn: tuple[int, ...]) -> Stack:
    """Steps from edits and the regions named between them, in the order of the command line.

    Parameters
    ----------
    given
        Edits, and before them tuples of the regions that they are for.
    drawn
        The regions for edits that come before any such tuple.
    """
    regions, steps = drawn, []
    for item in given:
        if isinstance(item, tuple):
            regions = item
        else:
            steps.append(Step(item, regions))
    if not steps:
        raise InputError("edit needs an edit, got none: add one, for example --rotate 180.")
    if isinstance(given[-1], tuple):
        raise InputError("--regions must stand before the edits it is for, got none behind it.")
    return tuple(steps)


def replay(given: argparse.Namespace) -> int:
    """Do a session again; status 1 if any number differs."""
    from limecraft_jax.compare import bundle
    from limecraft_jax.path import lime

    session = bundle.read(given.bundle)
    if given.model is None and not models.registered(session.model):
        raise InputError(
            f"the session rests on a model that is not bundled, {session.model!r}: "
            "say where it is with --model FILE or --model module:attribute."
        )
    model = session.asked(find_model(given.model or session.model, given.about))
    out = folder(given.out) if given.out else None
    variants = bundle.replay(session, model, _progress(given.quiet))
    names = lime.class_names(model, len(variants[0].probs))
    if out:
        target = int(variants[0].probs.argmax())
        # The path of a file in the session is a name in the bundle, not one on this disk.
        write(out, variants, session.settings, session.model, model, names, target, session.files)
    checked = bundle.check(session, variants, names)
    for note in checked.notes:
        print(note, file=sys.stderr)
    if checked.same:
        print(f"Every number is the same ({len(variants)} pictures).")
        return 0
    print(f"{len(checked.differences)} numbers differ:")
    for line in checked.differences[:MOST_LINES]:
        print(f"  {line}")
    if len(checked.differences) > MOST_LINES:
        print("  ...")
    return 1


def write(
    out: Path,
    variants: Sequence[Variant],
    settings: Settings,
    name: str,
    model: Any,
    classes: Sequence[str],
    target: int,
    files: dict[str, bytes] | None = None,
) -> None:
    """Write a comparison into a folder and say in short what came out."""
    from limecraft_jax.compare import bundle, webreport
    from limecraft_jax.compare.variants import record

    for i, variant in enumerate(variants[1:]):
        number = f"_{i + 1}" if i else ""  # edited.png, edited_2.png, ...
        (out / f"edited{number}.png").write_bytes(images.to_png(variant.image))
        (out / f"edited_mask{number}.png").write_bytes(masks.save_labels(variant.mask))
    title = getattr(getattr(model, "card", None), "title", name)
    text = webreport.html(variants, classes, title, settings, target)
    (out / "report.html").write_text(text, encoding="utf-8")
    recorded = record(variants, settings, name, classes)
    (out / "comparison.json").write_text(report.dumps(recorded))
    packed = bundle.write(variants, settings, name, classes, files, model.batch)
    (out / "session.zip").write_bytes(packed)
    first = variants[0].probs[target]
    for variant in variants:
        best = int(variant.probs.argmax())
        change = webreport.points(float(variant.probs[target]) - float(first))
        print(
            f"{variant.name}: {classes[best]} {variant.probs[best]:.1%}"
            + (f", {classes[target]} {change} percentage points" if variant.stack else "")
        )
    print(
        f"Written: {out / 'report.html'}, comparison.json, session.zip, edited.png, edited_mask.png"
    )


def _progress(quiet: bool):
    bar = Bar()
    return None if quiet else lambda name, neighborhood: bar(neighborhood, name)


def find_class(wanted: str, names: Sequence[str]) -> int:
    """Index of a class by its name or number."""
    if wanted in names:
        return list(names).index(wanted)
    if wanted.isdigit() and int(wanted) < len(names):
        return int(wanted)
    raise unknown("target", wanted, names)


class Bar:
    """A progress bar on standard error."""

    def __init__(self, stream=None, width: int = 30):
        self.stream, self.width = stream or sys.stderr, width

    def __call__(self, neighborhood: Neighborhood, name: str = "") -> None:
        """Draw how far the questions are, about one of several pictures if it has a name."""
        done, planned = len(neighborhood.probs), len(neighborhood.z)
        full, about = self.width * done // planned, f" ({name})" if name else ""
        bar = f"[{'#' * full}{'.' * (self.width - full)}]"
        self.stream.write(f"\r{bar} {done}/{planned} samples{about}")
        self.stream.write("\n" if neighborhood.done else "")
        self.stream.flush()
