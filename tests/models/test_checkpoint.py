"""State dicts of PyTorch: as it writes them (tests/golden/checkpoints.py), and as nobody should."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from limecraft_jax.models.networks import checkpoint, pickled
from limecraft_jax.types import InputError

FOLDER = Path(__file__).parents[1] / "golden" / "checkpoints"
START = "must be a state dict, arrays by their names, got "
END = r': save that alone, torch.save\(net.state_dict\(\), "net.pth"\).$'

# ------------------------------------------------------------------ what PyTorch writes


@pytest.mark.parametrize(
    "name", ["old", "new", "protocol5", "old_protocol4", "state", "training", "training_old"]
)
def test_arrays_are_those_that_pytorch_saved(name):
    found = checkpoint.read(FOLDER / f"{name}.pth")
    with np.load(FOLDER / ("arrays.npz" if "plain" in found else "network.npz")) as wanted:
        assert list(found) == list(wanted)
        for key, array in found.items():
            assert array.shape == wanted[key].shape
            np.testing.assert_array_equal(array.astype(np.float32), wanted[key], strict=False)
    kinds = {"double": "f8", "half": "f2", "brain": "f4", "bytes": "u1", "yes": "?", "number": "i8"}
    assert all(found[key].dtype == kind for key, kind in kinds.items() if key in found)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("network.pt", "a whole network or another program, which asks for torch.nn.modules.cont"),
        ("script.pt", "a TorchScript program"),
        ("list.pth", "something else"),
    ],
)
def test_what_is_no_state_dict_is_told_how_to_become_one(name, words):
    with pytest.raises(InputError, match=f"^{name} {START}{words}.*: save that alone"):
        checkpoint.read(FOLDER / name)


# ------------------------------------------------------------------ files made here


def op(value) -> bytes:
    """The steps that put a value on a pickle's stack; bytes are steps already."""
    match value:
        case bytes():
            return value
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            packed = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(packed)]) + packed
        case None:
            return b"N"
        case float():
            return b"G" + struct.pack(">d", value)
        case list():
            return b"](" + b"".join(map(op, value)) + b"e"
        case tuple():
            return b"(" + b"".join(map(op, value)) + b"t"
        case dict():
            return b"}(" + b"".join(op(key) + op(x) for key, x in value.items()) + b"u"
    raise TypeError(value)


def called(module: str, name: str, *arguments) -> bytes:
    """A call."""
    return f"c{module}\n{name}\n".encode() + op(arguments) + b"R"


def stored(count=6, kind="FloatStorage", key="0", module="torch") -> bytes:
    """Numbers outside the pickle."""
    return op(("storage", f"c{module}\n{kind}\n".encode(), key, "cpu", count)) + b"Q"


def tensor(start=0, shape=(2, 3), steps=(3, 1), storage=None, name="_rebuild_tensor_v2") -> bytes:
    """An array."""
    hooks = called("collections", "OrderedDict")
    storage = stored() if storage is None else storage
    return called("torch._utils", name, storage, start, shape, steps, False, hooks)


NUMBERS = np.arange(6, dtype=np.float32)


ROW = (("0", NUMBERS.tobytes(), 6),)


def old(whole, raw=ROW, keys=None) -> bytes:
    """A file in the old layout; `raw` has (key, bytes, length that is told)."""
    keys = [key for key, *_ in raw] if keys is None else keys
    parts = (checkpoint.MAGIC, checkpoint.PROTOCOL, {"little_endian": True}, whole, keys)
    head = b"".join(b"\x80\x02" + op(part) + b"." for part in parts)
    return head + b"".join(struct.pack("<q", count) + data for _, data, count in raw)


def new(whole, members=None, **more) -> bytes:
    """A file in the new layout, with further members or others."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02" + op(whole) + b".")
        for name, data in (
            {"net/data/0": NUMBERS.tobytes()} if members is None else members
        ).items():
            archive.writestr(name, data)
        for name, data in more.items():
            archive.writestr(f"net/{name}", data)
    return file.getvalue()


LAYOUTS = {"old": old, "new": new}


@pytest.fixture
def read(tmp_path):
    """Reads bytes as a file; memory stays in proportion to their number."""

    def run(data):
        path = tmp_path / "net.pth"
        path.write_bytes(data)
        tracemalloc.start()
        try:
            return checkpoint.read(path)
        finally:
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert most < 1_000_000 + 100 * len(data)

    return run


@pytest.fixture
def refused(read):
    """Reads bytes that must be refused in one sentence."""

    def run(data, words):
        with pytest.raises(InputError, match=f"^net.pth {START}{words}{END}") as caught:
            read(data)
        assert len(str(caught.value)) < 300

    return run


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_made_here_are_what_they_are_meant_to_be(layout, read):
    write = LAYOUTS[layout]
    found = read(write({"a": tensor(), "module.b": tensor(1, (2,), (4,), name="_rebuild_tensor")}))
    np.testing.assert_array_equal(found["a"], NUMBERS.reshape(2, 3))
    np.testing.assert_array_equal(found["module.b"], [1, 5])
    wrapped = called("torch._utils", "_rebuild_parameter", tensor(), True, None)
    found = read(write({"epoch": 1, "scale": 0.5, "model": {"module.a": wrapped}}))
    np.testing.assert_array_equal(found["a"], NUMBERS.reshape(2, 3))


# ------------------------------------------------------------------ programs


GADGETS = {
    "system": called("posix", "system", "touch SEEN"),
    "eval": called("builtins", "eval", "open('SEEN', 'w')"),
    "python 2": called("__builtin__", "eval", "open('SEEN', 'w')"),
    "getattr": called("builtins", "getattr", b"cos\npath\n", "system"),
    "import": called("importlib", "import_module", "antigravity"),
    "popen": called("subprocess", "Popen", ["touch", "SEEN"]),
    "torch itself": called("torch", "load", "SEEN"),
    "a way in": called("torch._utils", "_rebuild_tensor_v2.__globals__", "SEEN"),
    "by stack": op("os") + op("system") + b"\x93" + op(("touch SEEN",)) + b"R",
    "inst": b"(" + op("touch SEEN") + b"iposix\nsystem\n",
    "obj": b"(cposix\nsystem\n" + op("touch SEEN") + b"o",
    "newobj": b"cposix\nsystem\n" + op(("touch SEEN",)) + b"\x81",
    "newobj_ex": b"cposix\nsystem\n" + op(("touch SEEN",)) + b"}\x92",
    "a method of what is known": op("collections") + op("OrderedDict.fromkeys") + b"\x93",
}
STEPS = {
    "inst": b"(icollections\nOrderedDict\n",
    "obj": b"(ccollections\nOrderedDict\no",
    "newobj": b"ccollections\nOrderedDict\n)\x81",
    "newobj_ex": b"ccollections\nOrderedDict\n)}\x92",
    "ext1": b"\x82\x01",
    "ext2": b"\x83\x01\x00",
    "ext4": b"\x84\x01\x00\x00\x00",
    "persid": b"Pstorage\n",
    "bytes": b"C\x03abc",
    "bytearray": b"\x96" + struct.pack("<Q", 3) + b"abc",
    "buffer": b"\x97",
    "set": b"\x8f",
    "long4": b"\x8b" + struct.pack("<i", 3) + b"abc",
    "dup": b"N2",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("gadget", GADGETS)
def test_programs_are_not_run(gadget, layout, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for whole in (GADGETS[gadget], {"a": tensor(), "b": GADGETS[gadget]}):
        refused(
            LAYOUTS[layout](whole),
            "(a whole network or another program, which asks for|one with).*",
        )
        assert not (tmp_path / "SEEN").exists()


@pytest.mark.parametrize("step", STEPS)
def test_steps_that_arrays_do_not_need_are_refused(step, refused):
    refused(old({"a": tensor(), "b": STEPS[step]}), "one with a step that arrays do not need .*")


@pytest.mark.parametrize(
    "body",
    [
        b"ccollections\nOrderedDict\n}" + op("__call__") + b"Nsb",  # state for a name
        tensor() + b"}" + op("storage") + b"Nsb",  # state for an array
        b"N" + op((None, {"__defaults__": ()})) + b"b",
        called("collections", "OrderedDict", [("a", 1)]),
        called("torch", "FloatStorage", 6),
        called("torch._utils", "_rebuild_tensor_v2"),
        called("torch._utils", "_rebuild_parameter", None),
        called("torch._utils", "_rebuild_tensor_v2", None, 0, (1,), (1,)),
        op("call me") + op(()) + b"R",
        b"ccollections\nOrderedDict\n" + op([]) + b"R",
        op(()) + b"N" + b"a",
        op([]) + op("key") + b"Ns",
        op("text") + b"Q",
        op(("storage", b"ccollections\nOrderedDict\n", "0", "cpu", 6)) + b"Q",
        op(("module", b"ctorch\nFloatStorage\n", "0", "cpu", 6)) + b"Q",
        op(("storage", b"ctorch\nFloatStorage\n", 0, "cpu", 6)) + b"Q",
        op(("storage", b"ctorch\nFloatStorage\n", "0", "cpu", 6, ("1", 0, 3))) + b"Q",
        op(1) + op(2) + b"\x93",
    ],
)
def test_only_records_are_made_and_nothing_is_hung_on_them(body, refused):
    for layout in LAYOUTS.values():
        refused(layout({"a": tensor(), "b": body}), "(one with more than arrays in it)")


# ------------------------------------------------------------------ sizes


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (tensor(shape=(2, 4), steps=(3, 1)), "an array that reaches beyond its numbers"),
        (tensor(start=1), "an array that reaches beyond its numbers"),
        (tensor(shape=(10**6, 10**6), steps=(0, 0)), "an array that reaches beyond its numbers"),
        (tensor(shape=(7,), steps=(0,)), "an array that reaches beyond its numbers"),
        (tensor(shape=(1, 1 << 61), steps=(1, 0)), "an array that reaches beyond its numbers"),
        (tensor(shape=(0, 3)), "an array that reaches beyond its numbers"),
        (tensor(shape=(-2, 3)), "an array whose size is none"),
        (tensor(steps=(-3, 1)), "an array whose size is none"),
        (tensor(start=-1), "an array whose size is none"),
        (tensor(start=1 << 62), "an array whose size is none"),
        (tensor(start=True), "an array whose size is none"),
        (tensor(start=0.0), "an array whose size is none"),
        (tensor(shape=(2, "3")), "an array whose size is none"),
        (tensor(shape=(1 << 1000, 3)), "an array whose size is none"),
        (tensor(shape=[2, 3]), "one with more than arrays in it"),
        (tensor(shape=(6,)), "an array with other steps than sides"),
        (tensor(shape=(1,) * 9, steps=(1,) * 9), "an array of 9 axes"),
        (tensor(storage=stored(-1)), "an array whose size is none"),
        (tensor(storage=stored(1 << 40), shape=(1,), steps=(1,)), "one whose arrays are larger .*"),
        (
            tensor(storage=stored(12), shape=(1,), steps=(1,)),
            ".*(cut off or damaged|a part of one)",
        ),
        (tensor(storage=stored(5), shape=(1,), steps=(1,)), ".*cut off or damaged"),
        (tensor(storage=stored(kind="DoubleStorage")), ".*cut off or damaged"),
        (tensor(storage=stored(key="1")), ".*(a part of one|cut off or damaged)"),
        (op((tensor(), stored(5))), "one with two kinds of numbers in one place"),
    ],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_stay_within_the_numbers_that_are_there(body, words, layout, refused):
    refused(LAYOUTS[layout]({"a": body}), words)


def test_arrays_together_are_not_much_larger_than_the_file(read, refused):
    numbers = np.arange(5000, dtype=np.float32)
    whole = tensor(storage=stored(5000), shape=(5000,), steps=(1,))
    make = lambda n: old({str(i): whole for i in range(n)}, [("0", numbers.tobytes(), 5000)])  # noqa: E731
    assert len(read(make(2))) == 2
    refused(make(3), "one whose arrays are larger than the file")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pickles_that_go_in_circles_or_explode(layout, read, refused):
    write = LAYOUTS[layout]
    circle = b"]q\x05h\x05a"  # a list in itself
    doubled = b"(" * 60 + b"N" + b"q\x06h\x06t" * 60  # a tuple of a tuple twice, and so on
    deep = b"(" * 50_000 + b"t" * 50_000
    for body in (circle, doubled, deep, b"]" * 2000 + b"a" * 1999):
        assert list(read(write({"state_dict": {"a": tensor()}, "more": body}))) == ["a"]
    refused(
        write({"a": tensor(), "b": b"}" + doubled + b"Ns"}), "a dictionary whose keys are no .*"
    )
    refused(write({"a": tensor(), "b": {1 << 31: 1}}), "a dictionary whose keys are no names")
    refused(write({"a": tensor(), "b": b"N0" * 200_000}), "one with .*")
    refused(write({"a": tensor(), "b": b"(" * 300_001}), "one with too much besides the arrays")
    refused(write({"a": tensor(), "b": b"h\xfe"}), "something else or a part of one")
    refused(write({"a": tensor(), "b": b"0" * 9}), "one with a step that .*")
    huge = b"Nr\xff\xff\xff\xff"  # remembered at place 4 294 967 295
    assert list(read(write({"state_dict": {"a": tensor()}, "more": huge}))) == ["a"]


def test_names_are_names(refused, read):
    for key in ("x" * 201, "a\nb", "\u202eb", ""):
        whole = {key: tensor()}
        if key:
            refused(old(whole), "one with an array that has no proper name")
    refused(old({1: tensor()}), "one with an array that has no proper name")
    refused(old({}, ()), "something else")
    refused(old({"model": {"a": tensor(), "b": 1}}), "something else")
    asked = old({"a": called("x" * 100_000, "\x1b[2J")})
    refused(asked, f"a whole network or another program, which asks for {'x' * 80}")


# ------------------------------------------------------------------ damage


@pytest.mark.parametrize("name", ["old.pth", "new.pth"])
def test_every_part_of_a_file_is_refused(name, refused):
    data = (FOLDER / name).read_bytes()
    for end in range(0, len(data), 7):
        refused(data[:end], ".*")


@pytest.mark.parametrize("name", ["old.pth", "new.pth"])
def test_any_damage_ends_in_a_sentence_or_in_arrays(name, read):
    data, rng = (FOLDER / name).read_bytes(), np.random.default_rng(0)
    ends = set()
    for _ in range(700):
        bad = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            bad[at] = rng.integers(256)
        try:
            found = read(bytes(bad))
            ends.add(type(found))
        except InputError as error:
            ends.add(type(error))
    assert ends == {dict, InputError}


def test_the_list_of_storages_must_be_theirs(refused):
    for keys in ("0", [["0"]], [0], ["0", "1"], ["0", "0"], {"0": 0}, None):
        damaged = "(one that is cut off or damaged|something else or a part of one)"
        refused(old({"a": tensor()}, keys=op(keys)), damaged)
    refused(old({"a": tensor()}, keys=[]), "something else or a part of one")


def test_damaged_numbers_in_a_zip_file_are_noticed(refused):
    data = new({"a": tensor()})
    at = data.index(NUMBERS.tobytes())
    refused(data[:at] + b"\x01" + data[at + 1 :], "one that is cut off or damaged")


def test_zip_files_that_lie(read, refused):
    good = {"a": tensor()}
    assert read(new(good, byteorder=b"little"))
    refused(new(good, byteorder=b"big"), "one written on a machine with another order of bytes")
    refused(new(good, **{"constants.pkl": b""}), "a TorchScript program")
    refused(new(good, {}), "something else or a part of one")
    refused(new(good, {"net/data/0": NUMBERS.tobytes()[1:]}), "one that is cut off or damaged")
    two = {"other/data.pkl": b"", "net/data/0": NUMBERS.tobytes()}
    refused(new(good, two), "a zip file without one")
    with zipfile.ZipFile(none := io.BytesIO(), "w") as archive:
        archive.writestr("readme.txt", "nothing")
    refused(none.getvalue(), "a zip file without one")

    with zipfile.ZipFile(packed := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"\x80\x02" + op(good) + b".")
        archive.writestr("net/data/0", bytes(10_000_000))
    refused(packed.getvalue(), "a zip file that PyTorch did not write")

    data = bytearray(new(good))
    central = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)  # of net/data/0
    for offset, size, value, words in (
        (8, 2, 1, "a zip file that PyTorch did not write"),  # a password
        (10, 2, 99, "a zip file that PyTorch did not write"),  # another packing
        (24, 4, 23, "one that is cut off or damaged"),
        (24, 4, 0xFFFFFFF0, "one that is cut off or damaged"),
        (42, 4, 1, "one that is cut off or damaged"),  # begins elsewhere
        (42, 4, 0x7FFFFFFF, "(something else or a part of one|.*damaged)"),
    ):
        bad = bytearray(data)
        bad[central + offset : central + offset + size] = value.to_bytes(size, "little")
        refused(bytes(bad), words)


def test_many_members_on_the_same_bytes_cost_nothing(refused):
    """Each would be summed up by itself, a file of megabytes a thousand times."""
    whole = {str(i): tensor(storage=stored(key=str(i))) for i in range(300)}
    data = new(whole, {f"net/data/{i}": b"" for i in range(300)})
    refused(data + bytes(100), ".*")
    many = {str(i): tensor(storage=stored(10_000, key=str(i))) for i in range(300)}
    refused(new(many), "one whose arrays are larger than the file")


def test_a_list_of_too_many_members_is_not_read(monkeypatch, refused):
    monkeypatch.setattr(checkpoint, "MOST_BYTES", 10_000)
    data = new({"a": tensor()}, {f"net/data/{i}": b"" for i in range(300)})
    refused(data, "a zip file with too long a list of members")
    refused(new({"a": tensor(), "b": "x" * 20_000}), "one with too much besides the arrays")


def test_what_is_no_file_of_pytorch_at_all(refused):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    for data in (b"", pointer, b"<html>", b"\x89PNG\r\n", bytes(1000), pickle.dumps({"a": 1})):
        refused(data, "(something else or a part of one|something else)")


def test_every_step_that_is_known_is_one_that_pytorch_takes():
    """In all layouts and protocols; the others are short and long forms of these."""
    used = set()
    for path in FOLDER.glob("*.pth"):
        data, pickles = path.read_bytes(), 5
        if data.startswith(b"PK"):
            with zipfile.ZipFile(path) as file:
                data, pickles = file.read(f"{path.stem}/data.pkl"), 1
        stream = io.BytesIO(data)
        for _ in range(pickles):
            used |= {step.name for step, *_ in pickletools.genops(stream)}
    known = {step.name for step in pickled.STEPS.values()}
    assert used <= known
    longer = {"BININT", "LONG_BINPUT", "LONG_BINGET", "BINUNICODE"}
    assert known - used - longer == {"BINSTRING", "SHORT_BINSTRING"}  # from Python 2
