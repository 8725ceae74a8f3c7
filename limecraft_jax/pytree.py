"""One decorator: a frozen dataclass whose floats flow and whose shapes stay put.

``@pytree(static=("net",))`` makes a frozen dataclass that JAX can carry through ``jit`` and
``vmap``. The named fields are part of the compilation key, every other field is a leaf. Rebuilding
an instance inside a transformation skips ``__init__``, so a check written in ``__post_init__``
sees what a user typed and never a tracer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T", bound=type)


@dataclass_transform(frozen_default=True)
def pytree(static: tuple[str, ...] = ()) -> Callable[[T], T]:
    """Make a class a frozen dataclass and a JAX pytree.

    Parameters
    ----------
    static
        Names of the fields that shape a computation (counts, names, architectures). They must be
        hashable. All other fields are leaves, which may be traced and vmapped.
    """

    def decorate(cls: T) -> T:
        dataclasses.dataclass(frozen=True)(cls)
        names = [field.name for field in dataclasses.fields(cls)]
        leaves = [name for name in names if name not in static]

        def flatten(obj):
            return [getattr(obj, n) for n in leaves], tuple(getattr(obj, n) for n in static)

        def unflatten(aux, children):
            obj: Any = object.__new__(cls)
            for name, value in zip((*leaves, *static), (*children, *aux), strict=True):
                object.__setattr__(obj, name, value)
            return obj

        jax.tree_util.register_pytree_node(cls, flatten, unflatten)
        return cls

    return decorate
