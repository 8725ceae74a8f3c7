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
from limecraft_jax.bounds import short
from limecraft_jax.cli import downloads, words
from limecraft_jax.edits.edit import Stack, Step
from limecraft_jax.files import images, masks, results
from limecraft_jax.models import pace
from limecraft_jax.models.formats import own
from limecraft_jax.show import draw, report, whole
from limecraft_jax.types import InputError, Neighborhood

if TYPE_CHECKING:
    from limecraft_jax.compare.variants import Variant
    from limecraft_jax.path.lime import Settings

MOST_LINES = 20  # differences that are told one by one
SOME_CLASSES = 8  # of a thousand


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
        raise InputError(f"--about is for a model file, got it with {short(name)}: leave it out.")
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
            f"model must be a known name, a file or module:attribute, got {short(name)}: {error}."
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


def explain(given: argparse.Namespace) -> None:
    """Explain one picture and write the results."""
    from limecraft_jax.path import lime

    settings = words.settings(given)
    out = results.folder(given.out)
    model, image, mask = load(given)
    # Whatever may be wrong with a choice is told before the model is asked at all.
    start = lime.begin(image, lime.cut(image, mask, settings), settings)
    probs = lime.predict(model, image)
    names = lime.class_names(model, len(probs))
    target = target_of(given, probs, names)
    for note in start.segmentation.notes:
        print(note, file=sys.stderr)
    explanation = lime.finish(model, start, settings, None if given.quiet else Bar())

    full = None if given.all_classes else report.asked([probs], [target])
    recorded = report.record(explanation, settings, own.recorded(given.model), names, full)
    written: dict[str, bytes | str] = {
        "explanation.json": report.dumps(recorded),
        "labels.png": masks.save_labels(explanation.neighborhood.segmentation.labels),
        "overlay.png": images.to_png(draw.overlay(explanation, target)),
    }
    results.write(out, written)
    probs = explanation.neighborhood.probs[0]
    print(f"{names[target]}: {share(probs[target])}")
    print(f"Likeliest: {likeliest(probs, names)}.")
    if explanation.regions:
        for sentence in whole.sentences(explanation.regions, target, names[target]):
            print(sentence)
    print(" ".join(report.trust(explanation, target, names[target]).sentences))
    print(f"Written: {out / 'explanation.json'}, labels.png, overlay.png")


def target_of(given: argparse.Namespace, probs: np.ndarray, names: Sequence[str]) -> int:
    """The class that is asked about: as named, or the likeliest."""
    return int(np.argmax(probs)) if given.target is None else words.target(given.target, names)


def share(value: float) -> str:
    """A probability in percent.

    >>> share(0.9834), share(0.0001), share(0.0)
    ('98.3%', '<0.1%', '0.0%')
    """
    return "<0.1%" if 0 < value < 0.001 else f"{value:.1%}"


def likeliest(probs: np.ndarray, names: Sequence[str]) -> str:
    """The likeliest five classes with their probabilities."""
    return ", ".join(f"{names[i]} {share(probs[i])}" for i in report.likeliest(probs))


def edit(given: argparse.Namespace) -> None:
    """Edit the drawn regions, compare before and after, and write the results."""
    from limecraft_jax.compare import bundle
    from limecraft_jax.compare.variants import compare
    from limecraft_jax.path import lime

    settings = words.settings(given)
    out = results.folder(given.out)
    model, image, mask = load(given)
    if mask is None:
        raise InputError("an edit needs a region, got a mask that marks none: draw one.")
    bundle.carried(mask)
    drawn = tuple(int(region) for region in np.unique(mask[mask != 0]))
    stack = stack_of(getattr(given, "steps", []), drawn)
    probs = lime.predict(model, image)
    names = lime.class_names(model, len(probs))
    target = target_of(given, probs, names)
    variants = compare(model, image, mask, [("edited", stack)], settings, _progress(given.quiet))
    full = report.asked([variant.probs for variant in variants], [target])
    full = None if given.all_classes else full
    write(out, variants, settings, own.recorded(given.model), model, names, target, full)


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
    from limecraft_jax.compare.variants import in_full
    from limecraft_jax.path import lime

    out = results.folder(given.out) if given.out else None
    session = bundle.read(given.bundle)
    if given.model is None and not models.registered(session.model):
        raise InputError(
            f"the session rests on a model that is not bundled, {session.model!r}: "
            "say where it is with --model FILE or --model module:attribute."
        )
    model = session.asked(find_model(given.model or session.model, given.about))
    variants = bundle.replay(session, model, _progress(given.quiet))
    names = lime.class_names(model, len(variants[0].probs))
    if out:
        target = int(variants[0].probs.argmax())
        full = in_full(session.results, names)
        # The path of a file in the session is a name in the bundle, not one on this disk.
        told = (session.settings, session.model, model, names, target, full, session.files)
        write(out, variants, *told)
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
    full: Sequence[int] | None,
    files: dict[str, bytes] | None = None,
) -> None:
    """Write a comparison into a folder and say in short what came out."""
    from limecraft_jax.compare import bundle, webreport
    from limecraft_jax.compare.variants import record

    written: dict[str, bytes | str] = {}
    for i, variant in enumerate(variants[1:]):
        number = f"_{i + 1}" if i else ""  # edited.png, edited_2.png, ...
        written[f"edited{number}.png"] = images.to_png(variant.image)
        written[f"edited_mask{number}.png"] = masks.save_labels(variant.mask)
    title = getattr(getattr(model, "card", None), "title", name)
    written["report.html"] = webreport.html(variants, classes, title, settings, target)
    recorded = record(variants, settings, name, classes, full)
    written["comparison.json"] = report.dumps(recorded)
    told = (settings, name, classes, files, model.batch, full)
    written["session.zip"] = bundle.write(variants, *told)
    results.write(out, written)
    first = variants[0].probs[target]
    for variant in variants:
        change = webreport.points(float(variant.probs[target]) - float(first))
        print(
            f"{variant.name}: {likeliest(variant.probs, classes)}"
            + (f"; {classes[target]} {change} percentage points" if variant.stack else "")
        )
    print(
        f"Written: {out / 'report.html'}, comparison.json, session.zip, edited.png, edited_mask.png"
    )


def _progress(quiet: bool):
    bar = Bar()
    return None if quiet else lambda name, neighborhood: bar(neighborhood, name)


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
