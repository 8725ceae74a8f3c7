"""PyTorch's files of weights, read without PyTorch.

``torch.save(net.state_dict(), "net.pth")`` writes raw numbers and, beside them, a pickle that says
how they make arrays; `pickled` finds out what it says without running it. Every array is checked
against the numbers that are there before memory is taken for it. Two layouts are in use:

    until PyTorch 1.5   five pickles in a row, then each storage with its length before it
    since then          a zip file, not compressed, with one pickle and each storage as a member
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from limecraft_jax.models.networks.pickled import MOST_BYTES, Storage, Tensor, Unfit, look
from limecraft_jax.types import InputError

MOST_KEY = 200  # characters in the name of an array
MOST_SHARED = 2  # bytes of all arrays over bytes of the file: some have two names
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # in the first two of five pickles
NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts put it
PARALLEL = "module."  # how all names begin where several devices trained

Raw = dict[Storage, memoryview]


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a state dict by their names.

    Parameters
    ----------
    path
        A file of ``torch.save``: a state dict, or a dictionary that has one under a name of
        `NESTED`.

    Raises
    ------
    InputError
        If the file holds anything but arrays and plain values, or is damaged.
    """
    data = path.read_bytes()
    try:
        whole, raw = _zipped(data) if data.startswith(b"PK\3\4") else _in_a_row(data)
        tensors = _state(whole)
        if sum(tensor.size for tensor in tensors.values()) > MOST_SHARED * len(data):
            raise Unfit("one whose arrays are larger than the file")
        return {name: tensor.array(raw[tensor.storage]) for name, tensor in tensors.items()}
    except Unfit as error:
        why = str(error)
    except (ValueError, LookupError, TypeError, struct.error):  # what damaged files lead to
        why = "something else or a part of one"
    raise InputError(
        f"{path.name} must be a state dict, arrays by their names, got {why}: save that alone, "
        f'torch.save(net.state_dict(), "{path.stem}.pth").'
    )


def _state(whole: Any) -> dict[str, Tensor]:
    """The state dict in what a file holds."""
    nested = [whole.get(key) for key in NESTED] if type(whole) is dict else []
    for found in (whole, *nested):
        if type(found) is dict and found and all(type(x) is Tensor for x in found.values()):
            break
    else:
        raise Unfit("something else")
    for key in found:
        if type(key) is not str or len(key) > MOST_KEY or not key.isprintable():
            raise Unfit("one with an array that has no proper name")
    if all(key.startswith(PARALLEL) for key in found):
        return {key.removeprefix(PARALLEL): tensor for key, tensor in found.items()}
    return found


def _check_sizes(storages: dict[str, Storage], data: bytes) -> None:
    if sum(storage.size for storage in storages.values()) > len(data):
        raise Unfit("one whose arrays are larger than the file")


def _in_a_row(data: bytes) -> tuple[Any, Raw]:
    """What a file in the old layout holds, and the bytes of its storages."""
    stream = io.BytesIO(data[:MOST_BYTES])
    begins = data.startswith(b"\x80") and look(stream)[0] == MAGIC
    if not begins or look(stream)[0] != PROTOCOL:
        raise Unfit("something else")
    look(stream)  # sizes of types where it was written
    whole, storages = look(stream)
    keys, _ = look(stream)
    if type(keys) is not list:
        raise Unfit("one that is cut off or damaged")
    _check_sizes(storages, data)
    raw: Raw = {}
    view, at = memoryview(data), stream.tell()
    for key in keys:
        storage = storages.pop(key)
        start, end = at + 8, at + 8 + storage.size
        if end > len(data) or int.from_bytes(view[at:start], "little") != storage.count:
            raise Unfit("one that is cut off or damaged")
        raw[storage], at = view[start:end], end
    return whole, raw


def _zipped(data: bytes) -> tuple[Any, Raw]:
    """What a file in the new layout holds, and the bytes of its storages."""
    members = {member.filename: member for member in _members(data)}
    pickles = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise Unfit("a zip file without one")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in members:
        raise Unfit("a TorchScript program")
    order = members.get(f"{folder}byteorder")
    if order and _contents(data, order) != b"little":
        raise Unfit("one written on a machine with another order of bytes")
    pickle = _contents(data, members[pickles[0]])
    if len(pickle) > MOST_BYTES:
        raise Unfit("one with too much besides the arrays")
    whole, storages = look(io.BytesIO(pickle))
    _check_sizes(storages, data)
    raw: Raw = {}
    for storage in storages.values():
        raw[storage] = _contents(data, members[f"{folder}data/{storage.key}"])
        if len(raw[storage]) != storage.size:
            raise Unfit("one that is cut off or damaged")
    return whole, raw


class _Pieces(io.BytesIO):
    """A file that refuses to be read in large pieces, as a list of too many members would be."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            here = self.tell()
            size = self.seek(0, io.SEEK_END) - self.seek(here)
        if size > MOST_BYTES:
            raise Unfit("a zip file with too long a list of members")
        return super().read(size)


def _members(data: bytes) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(_Pieces(data)) as file:
            return file.infolist()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, OverflowError):
        raise Unfit("a zip file that is cut off or damaged") from None


def _contents(data: bytes, member: zipfile.ZipInfo) -> memoryview:
    """The bytes of a member where they lie; nothing is unpacked or copied."""
    at, size = member.header_offset, member.file_size
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 or at < 0:
        raise Unfit("a zip file that PyTorch did not write")
    mark, name, more = struct.unpack("<4s22x2H", data[at : at + 30])
    start = at + 30 + name + more
    found = memoryview(data)[start : start + size]
    if mark != b"PK\3\4" or len(found) != size or zlib.crc32(found) != member.CRC:
        raise Unfit("one that is cut off or damaged")
    return found
