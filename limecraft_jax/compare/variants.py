"""Before and after: one picture and its edited variants, all explained alike.

    image, mask ──stack──► image', mask' ──explain──► Explanation'        for every variant

Seed, samples, design, replacement and superpixel counts are the same for all, so that what differs
is the edit. The counts are those of the original; a region that an edit took away takes its
superpixels with it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax import __version__
from limecraft_jax.edits.edit import Step, apply, as_record
from limecraft_jax.path import lime
from limecraft_jax.path.segment import suggest
from limecraft_jax.show import report
from limecraft_jax.types import Explanation, InputError, Neighborhood

if TYPE_CHECKING:
    from jaxtyping import Float32, Int32

    from limecraft_jax.models.blackbox import BlackBox
    from limecraft_jax.models.classifier import Classifier

ORIGINAL = "original"


@dataclasses.dataclass(frozen=True, eq=False)
class Variant:
    """One picture among those compared.

    Attributes
    ----------
    name
        What it is called; the first one is `ORIGINAL`.
    stack
        The steps that made it; none for the original.
    image, mask
        The edited picture, values in [0, 1], and its regions, 0 outside.
    explanation
        Of that picture, on those regions.
    """

    name: str
    stack: tuple[Step, ...]
    image: Float32[np.ndarray, "h w c"]
    mask: Int32[np.ndarray, "h w"]
    explanation: Explanation

    @property
    def probs(self) -> np.ndarray:
        """Class probabilities of the picture."""
        return self.explanation.neighborhood.probs[0]


def compare(
    model: Classifier | BlackBox | Callable,
    image: np.ndarray,
    mask: np.ndarray | None,
    variants: Sequence[tuple[str, Sequence[Step]]],
    settings: lime.Settings | None = None,
    progress: Callable[[str, Neighborhood], None] | None = None,
) -> tuple[Variant, ...]:
    """Explain a picture and every edited variant of it in the same way.

    All edits are made before the first question, so that a wrong one is told at once.

    Parameters
    ----------
    model, image
        As in `lime.explain`.
    mask
        0 outside, 1, 2, ... the regions, at the size that the model sees. None draws nothing.
    variants
        Names and stacks of the variants, besides the original.
    settings
        The choices that all explanations share.
    progress
        Called after each batch with the name of the variant and its neighborhood so far.

    Returns
    -------
    tuple of Variant
        The original first.

    Raises
    ------
    InputError
        If an edit cannot be done, or a name is empty or given twice.
    """
    names = [ORIGINAL, *(name for name, _ in variants)]
    for name in names:
        if not name.strip() or names.count(name) > 1:
            raise InputError(
                f"variants must have names of their own besides {ORIGINAL!r}, got {name!r}: "
                "choose another."
            )
    model, settings = lime.as_model(model), settings or lime.Settings()
    image = model.prepare(image)
    drawn = np.zeros(image.shape[:2]) if mask is None else np.asarray(mask)
    drawn = drawn.astype(np.int32)
    stacks = [(), *(tuple(stack) for _, stack in variants)]
    scenes = [apply(image, drawn, stack) for stack in stacks]

    def explained(name: str, scene) -> Explanation:
        so_far = (lambda neighborhood: progress(name, neighborhood)) if progress else None
        return lime.explain(
            scene.image, model, scene.mask, settled(settings, drawn, scene.mask), so_far
        )

    return tuple(
        Variant(name, stack, *scene, explained(name, scene))
        for name, stack, scene in zip(names, stacks, scenes, strict=True)
    )


def settled(
    settings: lime.Settings, drawn: Int32[np.ndarray, "h w"], mask: Int32[np.ndarray, "h w"]
) -> lime.Settings:
    """Settings with the counts that the original gets, less those of regions that are gone.

    Parameters
    ----------
    settings
        As the user chose them.
    drawn
        The regions of the original.
    mask
        The regions of a variant.
    """
    suggested = suggest(drawn, settings.total)
    inside = suggested[0] if settings.inside is None else settings.inside
    outside = suggested[1] if settings.outside is None else settings.outside
    before = np.unique(drawn[drawn != 0])
    if not isinstance(inside, int) and len(inside) == len(before):
        left = np.isin(before, mask)
        inside = tuple(count for count, stays in zip(inside, left, strict=True) if stays) or 0
    return dataclasses.replace(settings, inside=inside, outside=outside)


def words(step: Step) -> str:
    """A step with all its parameters, in words.

    >>> from limecraft_jax.edits.moves import Rotate
    >>> words(Step(Rotate(90), (1, 2)))
    'rotate regions 1, 2: angle 90°'
    """
    edit: Any = step.edit
    knobs = getattr(edit, "knobs", {})

    def said(name: str) -> str:
        value, unit = getattr(edit, name), knobs[name].unit if name in knobs else ""
        number = f"{value:g}" if isinstance(value, float) else str(value)
        return f"{name} {number}{' ' if unit.isalpha() else ''}{unit}"

    where = ", ".join("the rest" if region == 0 else str(region) for region in step.regions)
    where = f"region{'s' if len(step.regions) > 1 else ''} {where}".replace("region the", "the")
    settings = ", ".join(said(field.name) for field in dataclasses.fields(edit))
    return (
        f"{edit.label} {where}{': ' if settings else ''}{settings}"
        f"{'' if step.on else ' (switched off)'}"
    )


def table(variants: Sequence[Variant], classes: Sequence[str]) -> list[dict[str, Any]]:
    """What the model says to every variant, one row per class.

    Parameters
    ----------
    variants
        The original first.
    classes
        Names of the k classes.

    Returns
    -------
    list of dict
        ``class``; ``probabilities``, by the name of the variant; ``differences`` to the original,
        by the name of the variant, in [-1, 1].
    """
    first, rest = variants[0], variants[1:]
    return [
        {
            "class": name,
            "probabilities": {v.name: float(v.probs[k]) for v in variants},
            "differences": {v.name: float(v.probs[k]) - float(first.probs[k]) for v in rest},
        }
        for k, name in enumerate(classes)
    ]


def record(
    variants: Sequence[Variant],
    settings: lime.Settings,
    model: str,
    classes: Sequence[str],
    full: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Everything that a comparison rests on and says, ready for JSON.

    Parameters
    ----------
    variants
        The original first.
    settings
        The choices that they share.
    model
        The model's name.
    classes
        Names of the k classes.
    full
        The classes that every explanation has in full, see `report.record`.
    """
    drawn = variants[0].mask
    return {
        "limecraft_jax": __version__,
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": model,
        "seed": settings.seed,
        "classes": list(classes),
        "table": table(variants, classes),
        "variants": [
            {
                "name": variant.name,
                "steps": [as_record(step) for step in variant.stack],
                "stack": repr(variant.stack),
                "mask": {
                    "area": {
                        str(region): float(np.mean(variant.mask == region))
                        for region in np.unique(variant.mask[variant.mask != 0])
                    },
                    "sha256": hashlib.sha256(variant.mask.tobytes()).hexdigest(),
                },
                "explanation": report.record(
                    variant.explanation,
                    settled(settings, drawn, variant.mask),
                    model,
                    classes,
                    full,
                ),
            }
            for variant in variants
        ],
    }


def in_full(recorded: Mapping[str, Any], classes: Sequence[str]) -> list[int] | None:
    """Those of a model's classes that a record of a comparison, perhaps a stranger's, has in full.

    None if it does not say.
    """
    try:
        told = recorded["variants"][0]["explanation"]["explanations"]
        names = {explained["class"] for explained in told}
    except (LookupError, TypeError):
        return None
    return [i for i, name in enumerate(classes) if name in names]


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in report.PACKAGES},
    }
