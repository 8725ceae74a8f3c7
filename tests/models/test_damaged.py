"""Model files and what is told about them, damaged at random: a model or one sentence, no more.

Every case has a seed, so that one that fails can be looked at again.
"""

from __future__ import annotations

import json
import os
import tracemalloc
import zipfile

import numpy as np
import onnx
import pytest
from flax import nnx
from safetensors.numpy import save_file

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

from limecraft_jax.models.formats import about, apart
from limecraft_jax.models.formats.own import open_model
from limecraft_jax.types import InputError
from tests.models.test_onnx import EXPORTS, FLOAT, linear, save
from tests.models.test_own import WEIGHTS as TOLD

MOST = 300_000_000  # bytes that a case may take here; the other process has a limit of its own
NUMBERS = (-1, 0, 1, 2, 7, 255, 4097, 10**6, 2**31, 2**63 - 1, -(2**63), 10**30, 10**400)
VALUES = (
    *NUMBERS, 0.5, 1e-300, 1e300, float("nan"), float("inf"), True, False, None, "", "x", "Dense",
    "x" * 5000, "\x00\ud800", [], [0], [1, 2, 3], [[[]]], {}, {"a": 1},
)  # fmt: skip


@pytest.fixture(autouse=True)
def bounds(monkeypatch):
    """Little time and memory for each case, and none of it left behind."""
    monkeypatch.setattr(apart, "MEMORY", 500_000_000)
    monkeypatch.setattr(apart, "SECONDS", {"onnx": 1.0, "keras": 4.0})
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST


def tried(path, told, seed) -> bool:
    """Open a file: whether it is a model, which then answers in numbers or with a sentence."""
    try:
        model = open_model(path, told)
        answer = model(np.stack([np.zeros(shape(model), np.float32)] * 2))
    except InputError as error:
        return not is_sentence(error, seed)
    assert answer.shape == (2, len(model.card.classes)), seed
    assert np.isfinite(answer).all(), seed
    return True


def is_sentence(error, seed) -> bool:
    """What is said, checked."""
    assert "\n" not in str(error), seed
    assert len(str(error)) < 1000, seed
    return True


def shape(model):
    """Height, width and channels that a model of any kind takes."""
    return model.card.height, model.card.width, model.card.channels


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, left out, doubled or made up, at one to four places."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at, some = int(rng.integers(len(data))), int(rng.integers(1, 40))
        kind = rng.integers(5)
        if kind == 0:
            data[at] = rng.integers(256)
        elif kind == 1:
            del data[at : at + some]
        elif kind == 2:
            data[at:at] = data[at : at + some]
        elif kind == 3:
            data[at:at] = b"\xff" * int(rng.integers(1, 10)) + b"\x01"  # a large number
        else:
            data[at : at + some] = rng.bytes(some)
        data = data or bytearray(b"x")
    return bytes(data)


def changed(value, rng: np.random.Generator, deep: float = 0.8):
    """A value of JSON with one place in it changed, named otherwise, left out or doubled."""
    if isinstance(value, dict) and value and rng.random() < deep:
        value = dict(value)
        key = list(value)[rng.integers(len(value))]
        kind = rng.integers(8)
        if kind == 0:
            del value[key]
        elif kind == 1:
            value[str(key) + "s"] = value.pop(key)
        else:
            value[key] = changed(value[key], rng)
        return value
    if isinstance(value, list) and value and rng.random() < deep:
        value, at = list(value), rng.integers(len(value))
        if rng.random() < 0.2:
            value.append(value[at])
        else:
            value[at] = changed(value[at], rng)
        return value
    return VALUES[rng.integers(len(VALUES))]


# ------------------------------------------------------------------ ONNX


def network(path):
    """A small network with a loop's usual neighbors: shapes that are worked out on the way."""
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "kernel"], ["a"], pads=[1] * 4, strides=[2, 2]),
        node("Relu", ["a"], ["b"]),
        node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2]),
        node("Shape", ["c"], ["s"]),
        node("Slice", ["s", "start", "end"], ["n"]),
        node("Concat", ["n", "rest"], ["to"], axis=0),
        node("Reshape", ["c", "to"], ["flat"]),
        node("Gemm", ["flat", "w"], ["y"], alpha=0.1),
    ]
    rng = np.random.default_rng(0)
    arrays = {
        "kernel": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "w": rng.normal(size=(16, 3)).astype(np.float32),
        "start": np.array([0]),
        "end": np.array([1]),
        "rest": np.array([16]),
    }
    return save(path, nodes, [("x", FLOAT, ["n", 3, 8, 8])], [("y", FLOAT, ["n", 3])], arrays)


def rewired(model: onnx.ModelProto, rng: np.random.Generator) -> bytes:
    """A graph that is whole and has one to three numbers, names or operators changed."""
    graph = model.graph
    number = lambda: NUMBERS[rng.integers(11)]  # noqa: E731
    for _ in range(rng.integers(1, 4)):
        node = graph.node[rng.integers(len(graph.node))]
        array = graph.initializer[rng.integers(len(graph.initializer))]
        kind = rng.integers(7)
        if kind == 0:
            node.op_type = ["Tile", "Expand", "Pad", "Resize", "Range", "Loop"][rng.integers(6)]
        elif kind == 1 and node.attribute:
            attribute = node.attribute[rng.integers(len(node.attribute))]
            if attribute.ints:
                attribute.ints[rng.integers(len(attribute.ints))] = number()
            else:
                attribute.i = number()
        elif kind == 2:
            array.dims[:] = [number() for _ in range(rng.integers(5))]
        elif kind == 3 and array.data_type == onnx.TensorProto.INT64:
            array.raw_data = np.array([number()], object).astype(np.int64).tobytes()
        elif kind == 4:
            node.input[rng.integers(len(node.input))] = ["", "x", "y", "w"][rng.integers(4)]
        elif kind == 5:
            axes = graph.input[0].type.tensor_type.shape.dim
            axes[rng.integers(len(axes))].dim_value = number()
        else:
            array.data_type = int(rng.integers(25))
    return model.SerializeToString()


def test_damaged_onnx_files(tmp_path):
    path = tmp_path / "net.onnx"
    sources = [linear(path).read_bytes(), network(path).read_bytes()]
    sources.append((EXPORTS / "torch_export.onnx").read_bytes())
    good = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        data = sources[seed % 3]
        if seed % 2:
            path.write_bytes(damaged(data, rng))
        else:
            path.write_bytes(rewired(onnx.load_from_string(data), rng))
        good += tried(path, {"output": "logits"}, seed)
    assert 5 < good < 290


# ------------------------------------------------------------------ Keras


def test_damaged_keras_files(tmp_path):
    path = tmp_path / "net.keras"
    layers = keras.layers
    chain = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D()]
    chain += [layers.Flatten(), layers.Dense(3, activation="softmax")]
    keras.Sequential([keras.Input((8, 8, 3)), *chain]).save(path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    good = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        if seed % 3 == 0:
            path.write_bytes(damaged(whole, rng))
        else:
            config = json.loads(held["config.json"])
            inner = config["config"]["layers"]
            at = rng.integers(len(inner))
            inner[at] = changed(inner[at], rng, 0.9)
            weights = held["model.weights.h5"]
            parts = {
                "config.json": json.dumps(config).encode("utf-8", "surrogatepass"),
                "model.weights.h5": damaged(weights, rng) if seed % 5 == 0 else weights,
            }
            with zipfile.ZipFile(path, "w") as archive:
                for name, data in (held | parts).items():
                    archive.writestr(name, data)
        good += tried(path, {"output": "logits"}, seed)
    assert 5 < good < 55


# ------------------------------------------------------------------ weights, and what is told


def test_damaged_weights(tmp_path):
    from limecraft_jax.models.networks import mobilenet_v1

    path = tmp_path / "net.safetensors"
    shapes = nnx.eval_shape(lambda: mobilenet_v1.NETWORK(2, "keras"))
    save_file(
        {
            ".".join(map(str, place)): np.full(leaf.shape, 0.01, np.float32)
            for place, leaf in nnx.to_flat_state(nnx.state(shapes, nnx.Param))
        },
        path,
    )
    whole = path.read_bytes()
    head = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + head])
    told = TOLD | {"family": "keras", "height": 32, "width": 32}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        if seed % 2:
            front = damaged(whole[: 8 + head], rng)
        else:
            new = json.dumps(changed(header, rng, 0.97)).encode()
            front = len(new).to_bytes(8, "little") + new
        path.write_bytes(front + whole[8 + head :])
        tried(path, told, seed)


def test_whatever_is_told(tmp_path):
    model, told = tmp_path / "net.onnx", tmp_path / "told.json"
    whole = TOLD | {
        "title": "a", "channels": 3, "mean": [0.1, 0.2, 0.3], "std": [0.1, 0.2, 0.3], "crop": 0.9,
        "batch": 8, "layout": "nhwc", "output": "logits", "family": "torch", "resample": "bicubic",
    }  # fmt: skip
    good = 0
    for seed in range(1500):
        rng = np.random.default_rng(seed)
        value = changed(whole, rng, 0.95)
        if seed % 3 == 0 and isinstance(value, dict):
            value = {k: v for k, v in value.items() if k not in ("mean", "std")}
            value["range"] = changed([0, 255], rng, 0.5)
        text = json.dumps(value).encode("utf-8", "surrogatepass")
        told.write_bytes(damaged(text, rng) if seed % 4 == 0 else text)
        try:
            found = about.read(told, model)
            card = found.card("net", (8, 8, found.channels or 3), found.classes)
        except InputError as error:
            is_sentence(error, seed)
            continue
        assert np.isfinite([*card.mean, *card.std]).all(), seed
        good += 1
    assert 100 < good < 1400
