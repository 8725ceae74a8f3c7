"""What if a region looked different? Edits of drawn regions, one after the other.

    image, mask ──Step──► image, mask ──Step──► ...        apply(x, (a, b)) = b(a(x))

An edit is a value. Called with an image, a mask and the regions to edit, it returns both anew: the
mask travels with what moved. Nothing changes outside the region, the hole that it leaves and the
place where it comes to lie, and an edit of nothing returns what it was given. A stack of edits is a
tuple of steps, changed by copying.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from limecraft_jax.bounds import short
from limecraft_jax.edits.knobs import Knob, Scene
from limecraft_jax.edits.moves import Flip, Power, Remove, Rotate, Scale, Shift
from limecraft_jax.edits.paints import Blur, Brightness, Contrast, Hue, Noise, Offset, Recolor
from limecraft_jax.types import InputError, unknown

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32, Int32


class Edit(Protocol):
    """A change of some regions of a picture."""

    label: ClassVar[str]
    knobs: ClassVar[dict[str, Knob]]

    @property
    def is_nothing(self) -> bool: ...

    def __call__(
        self,
        image: Float32[np.ndarray, "h w c"],
        mask: Int32[np.ndarray, "h w"],
        regions: tuple[int, ...],
    ) -> Scene: ...


@dataclasses.dataclass(frozen=True)
class Step:
    """An edit of some regions.

    Attributes
    ----------
    edit
        What is done, one of `edit.EDITS`.
    regions
        To which values of the mask.
    on
        Whether it is done at all.
    """

    edit: Edit
    regions: tuple[int, ...]
    on: bool = True

    def __post_init__(self):
        object.__setattr__(self, "regions", tuple(int(region) for region in self.regions))


Stack = tuple[Step, ...]


def apply(
    image: Float32[np.ndarray, "h w c"],
    mask: Int32[np.ndarray, "h w"],
    stack: Sequence[Step],
    between: Callable[[], None] | None = None,
) -> Scene:
    """The picture and its mask after all steps that are on, first to last.

    `between` is called before every step: what it raises ends the work there.
    """
    scene = Scene(image, mask)
    for step in stack:
        if between:
            between()
        if step.on:
            scene = step.edit(*scene, step.regions)
    return scene


def moved(stack: Stack, index: int, to: int) -> Stack:
    """The stack with one step taken out and put in elsewhere.

    >>> moved(("a", "b", "c"), 0, 2)
    ('b', 'c', 'a')
    """
    rest = stack[:index] + stack[index + 1 :]
    return (*rest[:to], stack[index], *rest[to:])


def switched(stack: Stack, index: int) -> Stack:
    """The stack with one step switched on or off."""
    step = dataclasses.replace(stack[index], on=not stack[index].on)
    return (*stack[:index], step, *stack[index + 1 :])


@dataclasses.dataclass(frozen=True)
class History:
    """A stack with what it was before and what was undone.

    >>> History().do((1,)).do((1, 2)).undo().stack
    (1,)
    """

    stack: tuple = ()
    past: tuple[tuple, ...] = ()
    future: tuple[tuple, ...] = ()

    def do(self, stack: tuple) -> History:
        """Another stack; what was undone is gone. The same stack is no change."""
        return self if stack == self.stack else History(stack, (*self.past, self.stack))

    def undo(self) -> History:
        """The stack before, if there is one."""
        if not self.past:
            return self
        return History(self.past[-1], self.past[:-1], (self.stack, *self.future))

    def redo(self) -> History:
        """The stack that was undone last, if there is one."""
        if not self.future:
            return self
        return History(self.future[0], (*self.past, self.stack), self.future[1:])


def as_record(step: Step) -> dict[str, Any]:
    """A step as plain data for a JSON file; `from_record` reads it.

    >>> as_record(Step(Rotate(90), (1,)))
    {'edit': 'rotate', 'angle': 90.0, 'regions': [1], 'on': True}
    """
    name = next(name for name, kind in EDITS.items() if type(step.edit) is kind)
    settings = dataclasses.asdict(step.edit)  # type: ignore[call-overload]
    return {"edit": name, **settings, "regions": list(step.regions), "on": step.on}


def from_record(record: dict[str, Any]) -> Step:
    """The step of a record; parameters that are missing have their defaults.

    Raises
    ------
    InputError
        If the edit or a parameter is unknown or out of range.
    """
    settings = dict(record)
    name, regions = settings.pop("edit", None), settings.pop("regions", ())
    on = bool(settings.pop("on", True))
    if name not in EDITS:
        raise unknown("edit", str(name)[:60], EDITS)
    known = [field.name for field in dataclasses.fields(EDITS[name])]
    for parameter in settings:
        if parameter not in known:
            expected = ", ".join(known) or "none"
            raise InputError(
                f"{name} must have known parameters ({expected}), got {short(parameter)}."
            )
    return Step(EDITS[name](**settings), tuple(regions), on)


EDITS: dict[str, type[Any]] = {
    "shift": Shift,
    "rotate": Rotate,
    "power": Power,
    "scale": Scale,
    "flip": Flip,
    "remove": Remove,
    "offset": Offset,
    "brightness": Brightness,
    "contrast": Contrast,
    "recolor": Recolor,
    "hue": Hue,
    "blur": Blur,
    "noise": Noise,
}
