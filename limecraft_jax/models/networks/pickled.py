"""What a pickle of arrays stands for, found out without running it.

A pickle is a program that puts objects together, and that may do anything else. Here it is looked
through, step by step. The few steps that a dictionary of arrays needs make plain values and the
records below; the first other step, or the first name that is not in `NAMES`, ends it. No name is
looked up in Python and nothing is called, so there is nothing that a file could reach.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_BYTES = 4_000_000  # of a pickle; that of MobileNet V2 has 60 kB
MOST_STEPS = 300_000  # of a pickle; EfficientNet-Lite0 takes 10 696
MOST_AXES = 8
MOST_NUMBER = 1 << 62  # for counts and steps
MOST_SHOWN = 80  # characters of a name

HALF = "bfloat16"  # which numpy does not know: the upper half of a float32
TYPES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch BFloat16Storage": HALF,
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "i1",
    "torch ByteStorage": "u1",
    "torch BoolStorage": "?",
}
DICT, PARAMETER = "collections OrderedDict", "torch._utils _rebuild_parameter"
TENSORS = "torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2"
NAMES = {*TYPES, *TENSORS, DICT, PARAMETER}

CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),
}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
STEPS = {  # all that are known, by the byte that each begins with
    step.code.encode("latin-1"): step
    for step in pickletools.opcodes
    if step.name in {*CONSTANTS, *VALUES, *TUPLES}
    or step.name
    in (
        *("PROTO", "FRAME", "STOP", "MARK", "EMPTY_DICT", "EMPTY_LIST", "TUPLE"),
        *("APPEND", "APPENDS", "SETITEM", "SETITEMS", "GLOBAL", "STACK_GLOBAL", "BINPERSID"),
        *("BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET", "REDUCE", "BUILD"),
    )
}


class Unfit(Exception):
    """A file is not what it should be; the text says what it is instead."""


@dataclass(frozen=True)
class Name:
    """One of `NAMES`, as text."""

    text: str


@dataclass(frozen=True)
class Storage:
    """Numbers in a row: their type, under which key they lie in the file, and how many."""

    kind: str
    key: str
    count: int

    @property
    def stored(self) -> np.dtype:
        """The type as numpy reads it."""
        return np.dtype("<u2" if self.kind == HALF else self.kind)

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.count * self.stored.itemsize


@dataclass(frozen=True)
class Tensor:
    """An array within a storage: where it starts, its sides, and its steps in numbers."""

    storage: Storage
    start: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes in memory."""
        each = 4 if self.storage.kind == HALF else self.storage.stored.itemsize
        return math.prod(self.shape) * each

    def array(self, raw: memoryview) -> np.ndarray:
        """The array, given the bytes of its storage."""
        numbers = np.frombuffer(raw, self.storage.stored)[self.start :]
        steps = [step * numbers.itemsize for step in self.steps]
        found = np.lib.stride_tricks.as_strided(numbers, self.shape, steps, writeable=False)
        if self.storage.kind == HALF:
            return (found.astype(np.uint32) << 16).view(np.float32)
        return found


def look(stream: io.BytesIO) -> tuple[Any, dict[str, Storage]]:
    """What the next pickle stands for, and the storages that it mentions, by their keys.

    Raises
    ------
    Unfit, ValueError, LookupError, TypeError
        If it holds more than plain values and arrays, or is damaged.
    """
    stack: list[Any] = []
    below: list[list[Any]] = []  # what was on the stack when a row of items began
    memo: dict[int, Any] = {}
    storages: dict[str, Storage] = {}
    for kind, given in _steps(stream):
        if kind in CONSTANTS:
            stack.append(CONSTANTS[kind])
        elif kind in VALUES:
            stack.append(given)
        elif kind == "EMPTY_DICT":
            stack.append({})
        elif kind == "EMPTY_LIST":
            stack.append([])
        elif kind in TUPLES:
            stack[-TUPLES[kind] :] = [tuple(stack[-TUPLES[kind] :])]
        elif kind == "MARK":
            below.append(stack)
            stack = []
        elif kind in ("TUPLE", "APPENDS", "SETITEMS"):
            items, stack = stack, below.pop()
            if kind == "TUPLE":
                stack.append(tuple(items))
            elif kind == "APPENDS":
                _kind(stack[-1], list).extend(items)
            else:
                _put(stack[-1], items)
        elif kind == "APPEND":
            item = stack.pop()
            _kind(stack[-1], list).append(item)
        elif kind == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _put(stack[-1], [key, value])
        elif kind in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if kind == "MEMOIZE" else given] = stack[-1]
        elif kind in ("BINGET", "LONG_BINGET"):
            stack.append(memo[given])
        elif kind == "GLOBAL":
            stack.append(_name(given))
        elif kind == "STACK_GLOBAL":
            name, module = stack.pop(), stack.pop()
            stack.append(_name(f"{_kind(module, str)} {_kind(name, str)}"))
        elif kind == "BINPERSID":
            storage = _storage(stack.pop())
            if storages.setdefault(storage.key, storage) != storage:
                raise Unfit("one with two kinds of numbers in one place")
            stack.append(storage)
        elif kind == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_made(function, arguments))
        elif kind == "BUILD":  # versions of the layers, which PyTorch hangs on the dictionary
            stack.pop()
            _kind(stack[-1], dict)
    return stack.pop(), storages


def _steps(stream: io.BytesIO) -> Iterator[tuple[str, Any]]:
    """The steps of the next pickle by their names, each with what stands behind it."""
    for _ in range(MOST_STEPS):
        byte = stream.read(1)
        if not byte:
            raise Unfit("one that is cut off or damaged")
        if byte not in STEPS:
            raise Unfit(f"one with a step that arrays do not need (0x{byte.hex()})")
        step = STEPS[byte]
        if step.name == "GLOBAL":
            yield step.name, f"{_line(stream)} {_line(stream)}"
        else:
            yield step.name, step.arg.reader(stream) if step.arg else None
        if step.name == "STOP":
            return
    raise Unfit("one with too much besides the arrays")


def _line(stream: io.BytesIO) -> str:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise Unfit("one that is cut off or damaged")
    return line[:-1].decode("ascii")


def _kind(value: Any, kind: type) -> Any:
    """The value, if it is a plain one of a kind."""
    if type(value) is not kind:
        raise Unfit("one with more than arrays in it")
    return value


def _put(target: Any, items: list[Any]) -> None:
    """Add keys and values, which take turns, to a dictionary."""
    _kind(target, dict)
    for key, value in zip(items[::2], items[1::2], strict=True):
        # Text and small numbers alone: they are hashed quickly and do not collide.
        if type(key) is not str and not (type(key) is int and 0 <= key < 1 << 31):
            raise Unfit("a dictionary whose keys are no names")
        target[key] = value


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MOST_NUMBER:
        raise Unfit("an array whose size is none")
    return value


def _name(text: str) -> Name:
    if text not in NAMES:
        asked = ascii(text[:MOST_SHOWN].replace(" ", "."))[1:-1]
        raise Unfit(f"a whole network or another program, which asks for {asked}")
    return Name(text)


def _storage(given: Any) -> Storage:
    """What is said about numbers outside the pickle: (mark, type, key, device, count, part)."""
    if type(given) is not tuple or len(given) not in (5, 6) or given[5:] not in ((), (None,)):
        raise Unfit("one with more than arrays in it")
    mark, kind, key, _, count = given[:5]
    if mark != "storage" or type(kind) is not Name or kind.text not in TYPES:
        raise Unfit("one with more than arrays in it")
    return Storage(TYPES[kind.text], _kind(key, str), _whole(count))


def _made(function: Any, arguments: Any) -> dict | Tensor:
    """What a call in the pickle stands for."""
    _kind(function, Name)
    _kind(arguments, tuple)
    if function.text == DICT and not arguments:
        return {}
    if function.text == PARAMETER and arguments and type(arguments[0]) is Tensor:
        return arguments[0]
    if function.text not in TENSORS or len(arguments) < 4 or type(arguments[0]) is not Storage:
        raise Unfit("one with more than arrays in it")
    return _tensor(*arguments[:4])


def _tensor(storage: Storage, start: Any, shape: Any, steps: Any) -> Tensor:
    """An array that is known to lie within its storage and to be no larger."""
    if len(_kind(shape, tuple)) != len(_kind(steps, tuple)):
        raise Unfit("an array with other steps than sides")
    if len(shape) > MOST_AXES:
        raise Unfit(f"an array of {len(shape)} axes")
    tensor = Tensor(storage, _whole(start), tuple(map(_whole, shape)), tuple(map(_whole, steps)))
    last = sum((side - 1) * step for side, step in zip(tensor.shape, tensor.steps, strict=True))
    inside = tensor.start + last < storage.count
    if not inside or not 0 < math.prod(tensor.shape) <= storage.count:
        raise Unfit("an array that reaches beyond its numbers")
    return tensor
