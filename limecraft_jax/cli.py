"""The same path on the command line: `explain` and `models`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limecraft_jax import draw, images, masks, models, replace, report, sample
from limecraft_jax.segmenters import SEGMENTERS
from limecraft_jax.types import InputError, Neighborhood, unknown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what cannot be used ends with one sentence and status 2."""
    given = parser().parse_args(arguments)
    try:
        given.run(given)
    except InputError as error:
        print(f"limecraft_jax: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("limecraft_jax: stopped.", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="python -m limecraft_jax",
        description="Explain one prediction of an image classifier, with the regions you draw.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    known = commands.add_parser("models", help="list the bundled models")
    known.set_defaults(run=list_models)

    p = commands.add_parser(
        "explain",
        help="explain one picture",
        description="Explain one picture. Writes explanation.json (every setting, and per class "
        "coefficients with 95%% intervals), labels.png (16-bit label map of the superpixels) and "
        "overlay.png into DIR.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.set_defaults(run=explain)
    p.add_argument("image", metavar="IMAGE", help="a picture file")
    p.add_argument("--out", metavar="DIR", required=True, help="folder for the results")
    p.add_argument(
        "--mask",
        help="mask or label map (PNG, ...): black is outside, every other value is a region",
    )
    p.add_argument(
        "--model",
        default="lesions",
        metavar="NAME|module:attribute",
        help="a bundled model, or a Classifier, BlackBox or function in a Python module",
    )
    p.add_argument(
        "--inside",
        type=int,
        metavar="N",
        help="superpixels in all drawn regions together; 0 keeps each region whole "
        "(default: the same size inside and outside)",
    )
    p.add_argument(
        "--outside", type=int, metavar="N", help="superpixels in the rest; 0 keeps it whole"
    )
    p.add_argument("--segmenter", default="kmeans", help=_one_of(SEGMENTERS))
    p.add_argument(
        "--target", metavar="CLASS", help="class on the overlay (default: the likeliest)"
    )
    p.add_argument("--samples", type=int, default=1000, metavar="N", help="questions to the model")
    p.add_argument("--design", default="balanced", help=_one_of(sample.DESIGNS))
    p.add_argument("--replacement", default="mean", help=_one_of(replace.REPLACEMENTS))
    p.add_argument("--width", type=float, default=0.25, metavar="W", help="kernel width, > 0")
    p.add_argument("--penalty", type=float, default=1.0, metavar="L", help="ridge penalty, >= 0")
    p.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the samples")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    return top


def _one_of(registry: dict[str, Any]) -> str:
    return "one of " + ", ".join(registry)


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


def find_model(name: str) -> Any:
    """A bundled model by name, or anything callable by ``module:attribute``."""
    if ":" not in name:
        return models.load(name)
    module, _, attribute = name.partition(":")
    sys.path.insert(0, "")
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"model must be a bundled name or module:attribute, got {name!r}: {error}."
        ) from None
    return found


def list_models(given: argparse.Namespace) -> None:
    """Print the bundled models."""
    for name in models.MODELS:
        card = models.card(name)
        accuracy = ", ".join(f"{what} {value:.3f}" for what, value in card.accuracy)
        print(f"{name}\n  {card.title}. {card.about}")
        print(f"  {card.width} x {card.height} pixels, {card.channels} channels; {accuracy}")
        print(f"  classes: {', '.join(card.classes)}")


def explain(given: argparse.Namespace) -> None:
    """Explain one picture and write the results."""
    from limecraft_jax import lime
    from limecraft_jax.kernel import Exponential
    from limecraft_jax.surrogate import Ridge

    settings = lime.Settings(
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
    loaded = images.load_image(given.image)
    model = lime.as_model(find_model(given.model))
    image = model.prepare(loaded.pixels)
    notes = list(loaded.notes)
    mask = None
    if given.mask:
        read = masks.load_mask(given.mask, image.shape[:2])
        mask = read.labels if read.labels.any() else None
        notes += read.notes
    for note in notes:
        print(note, file=sys.stderr)

    out = Path(given.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--out must be a folder that can be made, got {given.out!r}: {error}."
        ) from None
    probs = lime.predict(model, image)  # first, so that a wrong target is told at once
    names = lime.class_names(model, len(probs))
    target = int(np.argmax(probs)) if given.target is None else find_class(given.target, names)
    explanation = lime.explain(image, model, mask, settings, None if given.quiet else Bar())
    for note in explanation.neighborhood.segmentation.notes:
        print(note, file=sys.stderr)

    recorded = report.record(explanation, settings, given.model, names)
    (out / "explanation.json").write_text(report.dumps(recorded))
    labels = masks.save_labels(explanation.neighborhood.segmentation.labels)
    (out / "labels.png").write_bytes(labels)
    (out / "overlay.png").write_bytes(images.to_png(draw.overlay(explanation, target)))
    probability = explanation.neighborhood.probs[0, target]
    print(f"{names[target]}: {probability:.1%}")
    print(" ".join(report.trust(explanation, target, names[target]).sentences))
    print(f"Written: {out / 'explanation.json'}, labels.png, overlay.png")


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

    def __call__(self, neighborhood: Neighborhood) -> None:
        """Draw how far the questions are."""
        done, planned = len(neighborhood.probs), len(neighborhood.z)
        full = self.width * done // planned
        self.stream.write(f"\r[{'#' * full}{'.' * (self.width - full)}] {done}/{planned} samples")
        self.stream.write("\n" if neighborhood.done else "")
        self.stream.flush()
