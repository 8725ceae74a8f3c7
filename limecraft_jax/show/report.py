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
from limecraft_jax.show import whole
from limecraft_jax.types import NEGLIGIBLE, SHARE_RULES, Explanation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jaxtyping import Float, Int

SUM = ("positive", "negative", "neutral")  # shares of the area that make 1
SHOWN = 20  # superpixels that the page colors at first
PACKAGES = ("jax", "flax", "numpy", "scikit-image")
FEW_CLASSES = 20  # so many are always written in full; a thousand take ten megabytes
LIKELIEST = 5


def rows(explanation: Explanation, target: int) -> list[dict[str, Any]]:
    """One row per superpixel for one class, the largest |coefficient| first.

    Keys: ``superpixel``, ``region`` (0 outside), ``coefficient``, ``low`` and ``high`` (ends of the
    95 % interval, None where there is none), ``sign_probability`` in [.5, 1], ``undecided`` (the
    interval contains 0), ``negligible`` (undecided, but known to matter little), ``area`` (share of
    the picture).
    """
    fit, segmentation = explanation.fit, explanation.neighborhood.segmentation
    low, high = (end[target] for end in fit.interval())
    sure, undecided = fit.sign_probability[target], explanation.undecided(target)
    negligible = explanation.negligible(target)
    areas = segmentation.areas / segmentation.labels.size
    return [
        {
            "superpixel": int(j),
            "region": int(segmentation.region[j]),
            "coefficient": float(fit.coef[target, j]),
            "low": _number(low[j]),
            "high": _number(high[j]),
            "sign_probability": float(sure[j]),
            "undecided": bool(undecided[j]),
            "negligible": bool(negligible[j]),
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
    for entry in whole.records(explanation)["regions"]:
        told = {key: v[target] if isinstance(v, list) else v for key, v in entry.items()}
        text.write("# " + ", ".join(f"{key} {value}" for key, value in told.items()) + "\n")
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
        "exact": neighborhood.exact,
        "superpixels": {
            "count": segmentation.num,
            "region": segmentation.region.tolist(),
            "area": segmentation.areas.tolist(),
            "notes": list(segmentation.notes),
        },
        "classes": list(classes),
        "probabilities": neighborhood.probs[0].tolist(),
        "effective_sample_size": fit.effective_samples,
        **whole.records(explanation),
        "explanations": [
            {
                "class": classes[target],
                "probability": float(neighborhood.probs[0, target]),
                "coefficients": fit.coef[target].tolist(),
                "low": list(map(_number, low[target])),
                "high": list(map(_number, high[target])),
                "sign_probability": fit.sign_probability[target].tolist(),
                "intercept": float(fit.intercept[target]),
                "local_prediction": float(fit.local_pred[target]),
                "r2": _number(fit.r2[target]),
                "r2_in_sample": _number(fit.r2_sample[target]),
                "effective_sample_size": fit.effective_samples,
                "area_shares": {
                    rule: {name: getattr(explanation.shares(target, rule), name) for name in SUM}
                    for rule in SHARE_RULES
                },
                "area_negligible": explanation.shares(target).negligible,
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


def score(r2: float) -> str:
    """An R² as people read it; a dash where there is none."""
    return f"{r2:.3f}" if np.isfinite(r2) else "–"


def _number(value: Any) -> float | None:
    """A number as JSON has it; None where there is none."""
    return float(value) if np.isfinite(value) else None


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | list | None) else repr(value)


@dataclasses.dataclass(frozen=True)
class Trust:
    """How far an explanation can be trusted: a level and the reasons, in plain sentences."""

    level: str  # "good", "fair" or "poor"
    sentences: tuple[str, ...]


def trust(explanation: Explanation, target: int, name: str, shown: int = SHOWN) -> Trust:
    """Judge the explanation of one class.

    Poor: the surrogate explains less than .3 of the variance of fresh samples, there are fewer
    effective samples than superpixels, or the samples do not show the class high and low often
    enough. Fair: R² below .6, fewer than five effective samples per superpixel, a penalty that
    takes more than a tenth of the effects, half of the superpixels that are looked at open, or a
    probability that hardly moves. These bounds are ours.

    Parameters
    ----------
    explanation, target, name
        The answer, the class and its name.
    shown
        How many superpixels are looked at, the largest |coefficients| first; those in drawn
        regions are looked at too.
    """
    neighborhood, fit = explanation.neighborhood, explanation.fit
    probs, d = neighborhood.probs[:, target], neighborhood.segmentation.num
    r2, effective = float(fit.r2[target]), fit.effective_samples
    poor: list[str] = []
    fair: list[str] = []
    good: list[str] = []
    exact, moves = neighborhood.exact, float(np.ptp(probs))
    if moves < 0.02:
        fair.append(
            f"Whatever is hidden, the probability of {name} moves by less than 2 percentage "
            "points, so there is hardly anything to explain for this class."
        )
    elif fit.known[target] and probs[0] > 0.2 and np.mean(probs > probs[0] / 2) < 0.02:
        fair.append(
            f"Hardly any sample keeps half of the probability of {name}: the class needs most of "
            "the picture. Fewer or larger superpixels show more."
        )
    if not fit.known[target] and moves > 0:
        poor.append(_unknown(explanation, target, name))
    rounded = f"R² {r2:.2f}"
    if r2 < 0.3:
        poor.append(
            f"The simple model follows the classifier badly here ({rounded} of 1): "
            "take the colors as a hint and not as a measure."
        )
    elif r2 < 0.6:
        fair.append(f"The simple model follows the classifier roughly ({rounded} of 1).")
    elif r2 >= 0.6 and moves >= 0.02:
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
    if (shrunk := float(fit.shrinkage[target])) > 0.1:
        fair.append(
            f"The penalty makes the effects {shrunk:.0%} smaller than they are; the intervals "
            "allow for it. A smaller penalty or more samples mend it."
        )
    if moves > 0 and fit.known[target]:
        _undecided(explanation, target, shown, fair, good)
    level = "poor" if poor else "fair" if fair else "good"
    return Trust(level, tuple(poor + fair + good))


def _unknown(explanation: Explanation, target: int, name: str) -> str:
    """Why there is no interval for a class."""
    neighborhood = explanation.neighborhood
    m, d, probs = len(neighborhood.probs), neighborhood.segmentation.num, neighborhood.probs
    need = 2 * d + 2 if neighborhood.pairs else d + 2
    if m < need:
        return (
            f"{m} samples cannot tell {d} superpixels apart, at least {need} are needed: "
            "there are no intervals yet."
        )
    middle = (probs[:, target].min() + probs[:, target].max()) / 2
    high = int((probs[:, target] > middle).sum())
    side, count = ("high", high) if high <= m - high else ("low", m - high)
    return (
        f"Only {count} of {m} samples show {name} {side}, too few to say how sure the effects "
        "are: there are no intervals. More samples or fewer, larger superpixels show more."
    )


def _undecided(
    explanation: Explanation, target: int, shown: int, fair: list[str], good: list[str]
) -> None:
    """Say which superpixels could go either way; care is asked for where somebody looks."""
    segmentation = explanation.neighborhood.segmentation
    either, negligible = explanation.open(target), explanation.negligible(target)
    looked = segmentation.inside.copy()
    looked[explanation.top(target, shown)] = True
    seen, elsewhere = int((either & looked).sum()), int((either & ~looked).sum())
    if seen:
        what = "shown or drawn" if segmentation.inside.any() else "shown"
        text = (
            f"{seen} of the {looked.sum()} superpixels that are {what} could go either way "
            "(hatched): their interval contains 0."
        )
        (fair if 2 * seen > looked.sum() else good).append(text)
    if negligible.any():
        good.append(
            f"{negligible.sum()} of {len(either)} superpixels are known to matter little: less "
            f"than {NEGLIGIBLE:.0%} of the largest effect."
        )
    if elsewhere:
        good.append(f"{elsewhere} smaller ones, not shown, could go either way.")
    if not (seen or elsewhere or negligible.any()):
        good.append("Every superpixel has a clear sign.")
