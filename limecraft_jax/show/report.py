"""An explanation in numbers and words: rows, a record with every setting, how far to trust it.

The page and the command line write these same rows and records.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import io
import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax import __version__
from limecraft_jax.types import SHARE_RULES, Explanation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jaxtyping import Float, Int

PACKAGES = ("jax", "flax", "numpy", "scikit-image")
FEW_CLASSES = 20  # so many are always written in full; a thousand take ten megabytes
LIKELIEST = 5


def rows(explanation: Explanation, target: int) -> list[dict[str, Any]]:
    """One row per superpixel for one class, the largest |coefficient| first.

    Keys: ``superpixel``, ``region`` (0 outside), ``coefficient``, ``low`` and ``high`` (ends of the
    95 % interval), ``sign_probability`` in [.5, 1], ``undecided``, ``area`` (share of the picture).
    """
    fit, segmentation = explanation.fit, explanation.neighborhood.segmentation
    low, high = (end[target] for end in fit.interval())
    sure, undecided = fit.sign_probability[target], explanation.undecided(target)
    areas = segmentation.areas / segmentation.labels.size
    return [
        {
            "superpixel": int(j),
            "region": int(segmentation.region[j]),
            "coefficient": float(fit.coef[target, j]),
            "low": float(low[j]),
            "high": float(high[j]),
            "sign_probability": float(sure[j]),
            "undecided": bool(undecided[j]),
            "area": float(areas[j]),
        }
        for j in explanation.top(target, segmentation.num)
    ]


def table(
    explanation: Explanation, settings: Any, model: str, classes: Sequence[str], target: int
) -> str:
    """The rows of one class as CSV, after comment lines (#) with every setting."""
    lines = rows(explanation, target)
    text = io.StringIO()
    text.write(f"# limecraft_jax {__version__}, model {model}, class {classes[target]}\n")
    text.write(f"# {settings!r}\n")
    writer = csv.DictWriter(text, lines[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def likeliest(probs: Float[np.ndarray, " k"], m: int = LIKELIEST) -> Int[np.ndarray, " m"]:
    """The m likeliest classes, likeliest first."""
    return np.argsort(-probs, kind="stable")[:m]


def asked(
    probs: Iterable[Float[np.ndarray, " k"]], targets: Iterable[int] = ()
) -> tuple[int, ...] | None:
    """The classes that are written in full: the targets, and the likeliest five of each picture.

    Parameters
    ----------
    probs
        What the model says to each picture.
    targets
        The classes asked about.

    Returns
    -------
    tuple of int or None
        None, for all, of a model with no more than `FEW_CLASSES`.
    """
    found = set(targets)
    for answer in probs:
        if len(answer) <= FEW_CLASSES:
            return None
        found.update(likeliest(answer).tolist())
    return tuple(sorted(found))


def record(
    explanation: Explanation,
    settings: Any,
    model: str,
    classes: Sequence[str],
    full: Iterable[int] | None = None,
) -> dict[str, Any]:
    """Everything that the explanation rests on and says, ready for JSON.

    Parameters
    ----------
    explanation
        The answer.
    settings
        The choices behind it; each is written as the expression that makes it again.
    model
        The model's name.
    classes
        Names of the k classes.
    full
        The classes with all that is said of them, see `asked`; of the others there is the
        probability alone. None for all.
    """
    full = range(len(classes)) if full is None else full
    neighborhood, fit = explanation.neighborhood, explanation.fit
    segmentation = neighborhood.segmentation
    low, high = fit.interval()
    return {
        "limecraft_jax": __version__,
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": model,
        "image": {
            "shape": list(neighborhood.image.shape),
            "sha256": hashlib.sha256(neighborhood.image.tobytes()).hexdigest(),
        },
        "settings": {
            field.name: _plain(getattr(settings, field.name))
            for field in dataclasses.fields(settings)
        },
        "samples": len(neighborhood.probs),
        "samples_planned": len(neighborhood.z),
        "exact": bool(neighborhood.complete and neighborhood.done),
        "superpixels": {
            "count": segmentation.num,
            "region": segmentation.region.tolist(),
            "area": segmentation.areas.tolist(),
            "notes": list(segmentation.notes),
        },
        "classes": list(classes),
        "probabilities": neighborhood.probs[0].tolist(),
        "effective_sample_size": fit.effective_samples,
        "explanations": [
            {
                "class": classes[target],
                "probability": float(neighborhood.probs[0, target]),
                "coefficients": fit.coef[target].tolist(),
                "low": low[target].tolist(),
                "high": high[target].tolist(),
                "sign_probability": fit.sign_probability[target].tolist(),
                "intercept": float(fit.intercept[target]),
                "local_prediction": float(fit.local_pred[target]),
                "r2": float(fit.r2[target]),
                "effective_sample_size": fit.effective_samples,
                "area_shares": {
                    rule: dataclasses.asdict(explanation.shares(target, rule))
                    for rule in SHARE_RULES
                },
            }
            for target in full
        ],
    }


def dumps(recorded: dict[str, Any]) -> str:
    """The record as JSON text, a line for each entry and for each class.

    A line for each number, as ``json.dumps(indent=1)`` has it, takes seconds for 1000 classes.
    """
    plain = functools.partial(json.dumps, allow_nan=False)

    def text(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{plain(key)}: {text(v)}" for key, v in value.items()) + "}"
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n  " + ",\n  ".join(map(text, value)) + "\n ]"
        return plain(value)

    return "{\n" + ",\n".join(f" {plain(k)}: {text(v)}" for k, v in recorded.items()) + "\n}\n"


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | list | None) else repr(value)


@dataclasses.dataclass(frozen=True)
class Trust:
    """How far an explanation can be trusted: a level and the reasons, in plain sentences."""

    level: str  # "good", "fair" or "poor"
    sentences: tuple[str, ...]


def trust(explanation: Explanation, target: int, name: str) -> Trust:
    """Judge the explanation of one class.

    Poor: the surrogate explains less than .3 of the variance, or fewer effective samples than
    superpixels. Fair: R² below .6, fewer than five effective samples per superpixel, fewer than
    half of the picture decided, or a probability that hardly moves. These bounds are ours.
    """
    neighborhood, fit = explanation.neighborhood, explanation.fit
    probs, d = neighborhood.probs[:, target], neighborhood.segmentation.num
    r2, effective = float(fit.r2[target]), fit.effective_samples
    undecided = int(explanation.undecided(target).sum())
    poor, fair, good = [], [], []
    exact = neighborhood.complete and neighborhood.done
    if np.ptp(probs) < 0.02:
        fair.append(
            f"Whatever is hidden, the probability of {name} moves by less than 2 percentage "
            "points, so there is hardly anything to explain for this class."
        )
    elif probs[0] > 0.2 and np.mean(probs > probs[0] / 2) < 0.02:
        fair.append(
            f"Hardly any sample keeps half of the probability of {name}: the class needs most of "
            "the picture. Fewer or larger superpixels show more."
        )
    rounded = f"R² {r2:.2f}"
    if r2 < 0.3:
        poor.append(
            f"The simple model follows the classifier badly here ({rounded} of 1): "
            "take the colors as a hint and not as a measure."
        )
    elif r2 < 0.6:
        fair.append(f"The simple model follows the classifier roughly ({rounded} of 1).")
    else:
        good.append(f"The simple model follows the classifier well ({rounded} of 1).")
    if exact:
        good.append("Nothing is left to chance: every sample of this design was asked about.")
    elif effective < d:
        poor.append(
            f"The samples are worth only {effective:.0f} for {d} superpixels: "
            "raise the kernel width or the number of samples."
        )
    elif effective < 5 * d:
        fair.append(
            f"The samples are worth {effective:.0f} for {d} superpixels; "
            "more samples narrow the intervals."
        )
    if undecided:
        part = explanation.shares(target).neutral
        text = (
            f"{undecided} of {d} superpixels (hatched, {part:.0%} of the picture) could go either "
            "way: their interval contains 0."
        )
        (fair if part > 0.5 else good).append(text)
    else:
        good.append("Every superpixel has a clear sign.")
    level = "poor" if poor else "fair" if fair else "good"
    return Trust(level, tuple(poor + fair + good))
