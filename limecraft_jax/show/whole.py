"""What whole regions do, in words and as plain data: hidden, shown alone, two together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax.types import Explanation

if TYPE_CHECKING:
    from limecraft_jax.regions import Regions

WORTH_TELLING = 0.02  # of how two regions work together, in probability


def percent(p: float) -> str:
    """A probability as people read it.

    >>> percent(0.9751), percent(0.0004), percent(0.0)
    ('97.5 %', '< 0.1 %', '0.0 %')
    """
    return "< 0.1 %" if 0 < p < 0.001 else f"{100 * p:.1f} %"


def records(explanation: Explanation) -> dict[str, list[dict[str, Any]]]:
    """The regions and how they work together, ready for JSON; both empty where none is drawn.

    ``without``, ``alone``, ``effect``, ``low``, ``high`` and ``together`` are lists with a number
    for each class; ``low`` and ``high`` are None where there is no interval.
    """
    found = explanation.regions
    if found is None:
        return {"regions": [], "interactions": []}
    listed = [
        {
            "region": int(value),
            "name": name,
            "area": float(found.area[j]),
            "without": found.without[:, j].tolist(),
            "alone": found.alone[:, j].tolist(),
            "effect": found.effect[:, j].tolist(),
            "low": _known(found.low[:, j]),
            "high": _known(found.high[:, j]),
        }
        for j, (value, name) in enumerate(zip(found.values, found.names, strict=True))
    ]
    pairs: Any = (
        [] if found.together is None else np.argwhere(np.triu(np.ones((len(found),) * 2), 1))
    )
    return {
        "regions": listed,
        "interactions": [
            {
                "regions": [int(found.values[i]), int(found.values[j])],
                "together": found.together[:, i, j].tolist(),  # type: ignore[index]
            }
            for i, j in pairs
        ],
    }


def _known(ends: np.ndarray) -> list[float | None]:
    return [float(end) if np.isfinite(end) else None for end in ends]


def sentences(found: Regions, target: int, name: str) -> list[str]:
    """What each drawn region does for a class, the strongest first; two together at the end.

    Parameters
    ----------
    found
        The regions.
    target, name
        Index and name of the class.
    """
    whole, without, alone = found.whole[target], found.without[target], found.alone[target]
    drawn = [j for j in range(len(found)) if found.values[j]]
    order = sorted(drawn, key=lambda j: -abs(float(whole - without[j])))
    told = [
        f"Without {_the(found.names[j])}: {name} {percent(whole)} → {percent(without[j])}. "
        f"{_the(found.names[j], True)} alone: {percent(alone[j])}."
        for j in order
    ]
    if found.together is not None and len(drawn) > 1:
        pairs = [(i, j) for i in drawn for j in drawn if i < j]
        i, j = max(pairs, key=lambda pair: abs(found.together[target][pair]))  # type: ignore[index]
        more = float(found.together[target, i, j])
        if abs(more) >= WORTH_TELLING:
            both = f"{_the(found.names[i], True)} and {_the(found.names[j])}"
            how = "more" if more > 0 else "less"
            told.append(
                f"{both}: hiding both takes away {100 * abs(more):.0f} points {how} than hiding "
                "each alone would."
            )
    return told


def _the(name: str, first: bool = False) -> str:
    """A name with its article, if it is no "region 1"."""
    article = "" if name.startswith(("region ", "the ")) else "the "
    text = article + name
    return text[:1].upper() + text[1:] if first else text
