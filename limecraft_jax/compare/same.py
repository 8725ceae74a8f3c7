"""Is a replay the same to the last digit? The places at which two records differ."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from limecraft_jax.bounds import short

ASIDE = ("date", "versions", "limecraft_jax")  # may differ though the numbers are the same
MOST_MORE = 20  # names that only the first record has, told one by one
LONG = 60  # characters of such a name


def differences(then: Any, now: Any, where: str = "") -> Iterator[str]:
    """One line for each place at which two records, made for JSON, differ.

    Parameters
    ----------
    then
        Perhaps a stranger's: what it has beyond the other is told in short.
    now
        Ours.
    where
        The place of both in what they belong to.

    >>> list(differences({"a": [1, 2]}, {"a": [1, 3]}))
    ['a 1: 2 then, 3 now']
    """
    if isinstance(then, dict) and isinstance(now, dict):
        more = (key for key in then if key not in now)
        for key in [*now, *itertools.islice(more, MOST_MORE)]:
            if key not in ASIDE:
                place = f"{where}, {key[:LONG]}" if where else key[:LONG]
                yield from differences(then.get(key), now.get(key), place)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for i, (old, new) in enumerate(zip(then, now, strict=True)):
            name = (new.get("name") or new.get("class")) if isinstance(new, dict) else None
            yield from differences(old, new, f"{where} {name or i}")
    elif type(then) is not type(now) or then != now:
        yield f"{where}: {short(then)} then, {short(now)} now"
