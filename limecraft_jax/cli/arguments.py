"""The same path on the command line: `explain`, `edit`, `replay`, `models` and `download`."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limecraft_jax.bounds import short
from limecraft_jax.cli import commands, console, downloads
from limecraft_jax.cli.words import number
from limecraft_jax.edits.edit import EDITS
from limecraft_jax.path import replace, sample
from limecraft_jax.path.segmenters import SEGMENTERS
from limecraft_jax.show import report
from limecraft_jax.types import InputError

AXES = {"horizontal": "left-right", "vertical": "up-down"}  # other words for the ways to flip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what cannot be used ends with one sentence and status 2."""
    console.plain()
    try:
        with console.quiet():
            given = parser().parse_args(arguments)
            status = given.run(given) or 0
            sys.stdout.flush()
            return status
    except InputError as error:
        return _say(str(error), 2)
    except BrokenPipeError:  # whoever reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _say(f"a file cannot be read or written: {error}.", 2)
    except MemoryError:
        return _say("the memory must suffice, got too little: ask for fewer samples.", 2)
    except KeyboardInterrupt:
        return _say("stopped.", 130)


def _say(sentence: str, status: int) -> int:
    """One line on standard error, whatever names are in it."""
    print(f"limecraft_jax: {' '.join(sentence.split())}", file=sys.stderr)
    return status


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    installed = Path(sys.argv[0]).stem == "limecraft"
    top = argparse.ArgumentParser(
        prog="limecraft" if installed else "python -m limecraft_jax",
        description="Explain one prediction of an image classifier, with the regions you draw.",
    )
    known = top.add_subparsers(required=True, metavar="COMMAND")
    p = known.add_parser("models", help="list the models")
    p.set_defaults(run=commands.list_models)
    _download(known)

    p = known.add_parser(
        "explain",
        help="explain one picture",
        description="Explain one picture. Writes explanation.json (every setting, and for the "
        "classes asked about coefficients with 95%% intervals), labels.png (16-bit label map of "
        "the superpixels) and overlay.png into DIR.",
        formatter_class=_Help,
    )
    p.set_defaults(run=commands.explain)
    _picture(p, required=False)
    _choices(p)

    p = known.add_parser(
        "edit",
        help="change drawn regions and compare before and after",
        usage="%(prog)s IMAGE --mask MASK --out DIR [--regions N,N] EDIT [EDIT ...] [options]",
        description="Change the drawn regions of a picture, explain it before and after, and "
        "compare. Edits apply one after the other in the order given. Writes edited.png, "
        "edited_mask.png, report.html (open it in a browser, or print it), comparison.json and "
        "session.zip (for `replay`) into DIR.",
        formatter_class=_Help,
    )
    p.set_defaults(run=commands.edit)
    _picture(p, required=True)
    group = p.add_argument_group("edits", "applied in the order given, each as often as you like")
    group.add_argument(
        "--regions",
        action=_Regions,
        metavar="N,N",
        default=argparse.SUPPRESS,
        help="regions that the edits behind it are for, by their number in the mask; 0 is the "
        "rest, which can be painted (at first: all drawn regions)",
    )
    for name, kind in EDITS.items():
        _edit(group, name, kind)
    _choices(p)

    p = known.add_parser(
        "replay",
        help="do a saved session again",
        description="Do a saved session again and say whether every number is the same to the "
        "last digit (status 0) or which differ (status 1).",
        formatter_class=_Help,
    )
    p.set_defaults(run=commands.replay)
    p.add_argument("bundle", metavar="BUNDLE", help="a session.zip")
    p.add_argument("--out", metavar="DIR", help="folder for the same files as `edit` writes")
    _model(p, None, "the model, if it is not a bundled one: ")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    return top


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Tells the defaults that there are."""

    def _get_help_string(self, action):
        plain = action.default is None or action.default is False
        return action.help if plain else super()._get_help_string(action)

    def _format_args(self, action, default_metavar):
        given = super()._format_args(action, default_metavar)
        return action.shape if isinstance(action, _Edit) else given


def _download(known: Any) -> None:
    """The command that brings weights to this machine."""
    p = known.add_parser(
        "download",
        help="get the weights of a model that is not bundled",
        description="Get the weights of a model that is not bundled, once. They are kept in the "
        "folder that the environment variable LIMECRAFT_JAX_CACHE names, or in "
        "~/.cache/limecraft-jax/models.",
        formatter_class=_Help,
    )
    p.set_defaults(run=downloads.download)
    p.add_argument("name", metavar="NAME", help="a model, see `models`")
    p.add_argument("--file", metavar="PATH", help="take this file instead of the network's")
    p.add_argument(
        "--accept", action="store_true", help="take the file although its hash is another"
    )
    p.add_argument("--quiet", action="store_true", help="no progress bar")


def _picture(p: argparse.ArgumentParser, required: bool) -> None:
    """What is looked at, by which model, and where the results go."""
    p.add_argument("image", metavar="IMAGE", help="a picture file")
    p.add_argument("--out", metavar="DIR", required=True, help="folder for the results")
    p.add_argument(
        "--mask",
        required=required,
        help="mask or label map (PNG, ...): black is outside, every other value is a region",
    )
    _model(p, "lesions")


def _model(p: argparse.ArgumentParser, default: str | None, about: str = "") -> None:
    """Which model, and what is told about it."""
    p.add_argument(
        "--model",
        default=default,
        metavar="NAME|FILE|module:attribute",
        help=f"{about}a name that `models` lists, a .onnx, .keras, .safetensors or .pth file, or a "
        "Classifier, BlackBox or function in a Python module; a Flax network runs faster on a "
        "processor as NAME@onnxruntime, on a GPU as NAME@bfloat16",
    )
    p.add_argument(
        "--about",
        metavar="FILE.json",
        help="class names, sizes and normalization of a model file (default: the .json file of "
        "the same name beside it, if there is one)",
    )


def _choices(p: argparse.ArgumentParser) -> None:
    """How it is explained."""
    p.add_argument(
        "--inside",
        metavar="N",
        help="superpixels in all drawn regions together; 0 keeps each region whole "
        "(default: the same size inside and outside)",
    )
    p.add_argument("--outside", metavar="N", help="superpixels in the rest; 0 keeps it whole")
    p.add_argument("--segmenter", default="kmeans", help=_one_of(SEGMENTERS))
    p.add_argument(
        "--target", metavar="CLASS", help="class on the overlay (default: the likeliest)"
    )
    p.add_argument(
        "--all-classes",
        action="store_true",
        help="write every class in full, not just the target and the likeliest five (a model "
        f"of no more than {report.FEW_CLASSES} classes always has all)",
    )
    p.add_argument("--samples", default=1000, metavar="N", help="questions to the model")
    p.add_argument("--design", default="balanced", help=_one_of(sample.DESIGNS))
    p.add_argument(
        "--replacement",
        default="mean",
        help=f"{_one_of(replace.REPLACEMENTS)}; or a color: {', '.join(replace.COLORS)}, #rrggbb",
    )
    p.add_argument("--width", default=0.25, metavar="W", help="kernel width, > 0")
    p.add_argument("--penalty", default=1.0, metavar="L", help="ridge penalty, >= 0")
    p.add_argument("--seed", default=0, metavar="S", help="seed of the samples")
    p.add_argument("--quiet", action="store_true", help="no progress bar")


def _one_of(registry: dict[str, Any]) -> str:
    return "one of " + ", ".join(registry)


def _edit(group: Any, name: str, kind: type[Any]) -> None:
    """The option of one edit; it takes the edit's parameters in their order."""
    fields = [field.name for field in dataclasses.fields(kind)]
    about = (kind.__doc__ or "").split("\n")[0].rstrip(".:")
    knobs = getattr(kind, "knobs", {})
    told = [
        f"{field}{f' in {knobs[field].unit}' if knobs[field].unit else ''} {knobs[field].must}"
        for field in fields
        if field in knobs and knobs[field].must != "a finite number"
    ]
    if {"red", "green", "blue", "strength"} <= set(fields):
        told.insert(0, "or #rrggbb")
    if name == "flip":
        told = [f"{word} or {axis}" for word, axis in AXES.items()]
    group.add_argument(
        f"--{name}",
        action=_Edit,
        kind=kind,
        nargs="+" if fields else 0,
        default=argparse.SUPPRESS,
        help="; ".join([about, *told]).replace("%", "%%"),
    )


class _Edit(argparse.Action):
    """Puts an edit behind those given before."""

    def __init__(self, *args, kind: type[Any], **options):
        super().__init__(*args, **options)
        needed, more = signature(kind)
        self.kind = kind
        self.shape = " ".join([*map(str.upper, needed), *(f"[{name.upper()}]" for name in more)])

    def __call__(self, parser, namespace, values, option_string=None):
        made = self.kind(**parameters(self.kind, option_string, [str(v) for v in values]))
        namespace.steps = [*getattr(namespace, "steps", []), made]


class _Regions(argparse.Action):
    """Notes for which regions the edits behind it are."""

    def __call__(self, parser, namespace, values, option_string=None):
        try:
            regions = tuple(int(part) for part in str(values).split(","))
        except ValueError:
            raise InputError(
                f"--regions must be whole numbers with commas between them, got {short(values)}."
            ) from None
        namespace.steps = [*getattr(namespace, "steps", []), regions]


def signature(kind: type[Any]) -> tuple[list[str], list[str]]:
    """Parameters that an edit needs on the command line, and those that may be left out.

    The first is needed, and what is turned like it: down with right, but not seed with sigma.

    >>> signature(EDITS["noise"])
    (['sigma'], ['seed'])
    """
    fields, knobs = [field.name for field in dataclasses.fields(kind)], getattr(kind, "knobs", {})
    needed = [name for name in fields if knobs.get(name) == knobs.get(fields[0])]
    return needed, [name for name in fields if name not in needed]


def parameters(kind: type[Any], option: str, texts: list[str]) -> dict[str, Any]:
    """Parameters of an edit from the words behind its option; missing ones keep their default.

    >>> parameters(EDITS["recolor"], "--recolor", ["#ff0000", ".5"])
    {'red': 1.0, 'green': 0.0, 'blue': 0.0, 'strength': 0.5}
    """
    fields, knobs = [field.name for field in dataclasses.fields(kind)], getattr(kind, "knobs", {})
    if texts and fields[:3] == ["red", "green", "blue"]:
        channels = replace.rgb(texts[0])
        if texts[0].startswith("#") and not channels:
            sentence = f"a color of {option} must look like #ff8000, got {short(texts[0])}."
            raise InputError(sentence)
        texts = [*map(repr, channels), *texts[1:]] if channels else texts
    needed, more = signature(kind)
    if not len(needed) <= len(texts) <= len(fields):
        optional = "".join(f" and perhaps {name}" for name in more)
        raise InputError(
            f"{option} takes {', '.join(needed)}{optional}, got {short(' '.join(texts))}: "
            "give the picture before the edits."
        )
    found: dict[str, Any] = {}
    for name, text in zip(fields, texts, strict=False):
        if name in knobs:
            kind = int if knobs[name].whole else float
            found[name] = number(f"{name} of {option}", text, kind)
        else:
            found[name] = AXES.get(text, text)
    return found
