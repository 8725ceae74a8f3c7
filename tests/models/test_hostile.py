"""Graphs that ask for endless time or memory: one sentence, and the next question is answered."""

from __future__ import annotations

import json
import subprocess
import sys

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from limecraft_jax.models.formats import apart, worker
from limecraft_jax.models.formats.own import open_model
from limecraft_jax.path import lime
from limecraft_jax.types import InputError
from tests.models.test_onnx import FLOAT, PREDICT, WEIGHTS, H, K, W, linear, pictures, save

C = 3
INT, BOOL = TensorProto.INT64, TensorProto.BOOL
IMAGES = [("x", FLOAT, ["n", H, W, C])]
SCORES = [("y", FLOAT, ["n", None])]
TIGHT = r"net\.onnx must do with 0\.5 GB of memory, got a model that asks for more: give a "
LATE = r"net\.onnx must answer \d pictures within 2 seconds, got nothing until then: give "


@pytest.fixture
def file(tmp_path):
    """Where to put the graph."""
    return tmp_path / "net.onnx"


@pytest.fixture(autouse=True)
def bounds(monkeypatch):
    """Less time and memory than usual, so that they are soon used up."""
    monkeypatch.setattr(apart, "MEMORY", 500_000_000)
    monkeypatch.setitem(apart.SECONDS, "onnx", 2.0)


node = helper.make_node


def info(name, kind, shape=()):
    """What a subgraph says about a value."""
    return helper.make_tensor_value_info(name, kind, shape)


def mean_color(*nodes, **arrays):
    """Nodes that turn ``m``, the mean color of each picture, into ``y``; with it all."""
    first = node("ReduceMean", ["x"], ["m"], axes=[1, 2], keepdims=0)
    return [first, *nodes], IMAGES, SCORES, arrays


def around(condition):
    """A loop that goes on for as long as a value from outside says."""
    nodes = [node("Identity", [condition], ["on"]), node("Identity", ["before"], ["after"])]
    given = [info("i", INT), info("was", BOOL), info("before", FLOAT, None)]
    return helper.make_graph(nodes, "body", given, [info("on", BOOL), info("after", FLOAT, None)])


def endless():
    """A loop without an end."""
    loop = node("Loop", ["", "true", "m"], ["y"], body=around("was"))
    return mean_color(loop, true=np.array(True))


def constant():
    """Four gigabytes of ones."""
    nodes = [
        node("ConstantOfShape", ["shape"], ["ones"]),
        node("ReduceSum", ["ones"], ["sum"], keepdims=0),
        node("Add", ["m", "sum"], ["y"]),
    ]
    return mean_color(*nodes, shape=np.array([40_000, 25_000]))


def padded():
    """Pictures padded to 20 000 pixels."""
    nodes = [
        node("Pad", ["x", "pads"], ["wide"]),
        node("ReduceMean", ["wide"], ["y"], axes=[1, 2], keepdims=0),
    ]
    return nodes, IMAGES, SCORES, {"pads": np.array([0, 10**4, 10**4, 0, 0, 10**4, 10**4, 0])}


def enlarged():
    """Pictures enlarged to millions of pixels on a side."""
    nodes = [
        node("Resize", ["x", "", "scales"], ["wide"], mode="nearest"),
        node("ReduceMean", ["wide"], ["y"], axes=[1, 2], keepdims=0),
    ]
    return nodes, IMAGES, SCORES, {"scales": np.array([1, 1e5, 1e5, 1], np.float32)}


def classes():
    """Ten million classes."""
    nodes = [
        node("Flatten", ["x"], ["flat"]),
        node("ReduceMean", ["flat"], ["one"], axes=[1]),
        node("Expand", ["one", "shape"], ["y"]),
    ]
    return nodes, IMAGES, SCORES, {"shape": np.array([1, 10**7])}


def slow():
    """Few numbers, and no end of work on them: the largest of 4001 x 4001 neighbors."""
    nodes = [
        node("Resize", ["x", "", "scales"], ["wide"], mode="nearest"),
        node("MaxPool", ["wide"], ["top"], kernel_shape=[4001, 4001], pads=[2000] * 4),
        node("GlobalAveragePool", ["top"], ["all"]),
        node("Flatten", ["all"], ["y"]),
    ]
    scales = np.array([1, 1, 200, 200], np.float32)
    return nodes, [("x", FLOAT, ["n", C, H, W])], SCORES, {"scales": scales}


HOSTILE = {
    endless: LATE,
    constant: TIGHT,
    padded: TIGHT,
    enlarged: TIGHT + "|must run on pictures of 12 x 10 with 3 channels, got: .*[Oo]verflow",
    classes: r"one row of class scores .* at most 50000 of them, got y \[1, 10000000\] for 1",
    slow: LATE,
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_time_and_memory_are_bounded(make, file):
    save(file, *make())
    with pytest.raises(InputError, match=HOSTILE[make]) as caught:
        open_model(file, {"output": "logits"})
    assert len(str(caught.value)) < 600
    x = pictures(2)
    np.testing.assert_allclose(open_model(linear(file), {})(x), PREDICT(x), atol=1e-6)


def test_a_sparse_weight_that_is_huge_when_spread_out(file):
    save(file, *mean_color(node("Add", ["m", "w"], ["sum"]), node("ReduceSum", ["sum"], ["y"])))
    model = onnx.load(file)
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "at")
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, places, [20_000, 25_000])
    )
    file.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=TIGHT):
        open_model(file, {})


def test_functions_that_double_at_every_step(file):
    """30 functions, each of two calls of the one before: 2^30 nodes when spread out."""
    save(file, *mean_color(node("f30", ["m"], ["y"], domain="own")))
    model = onnx.load(file)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model.opset_import.append(opsets[1])
    body = [node("Neg", ["a"], ["b"])]
    for i in range(31):
        model.functions.append(helper.make_function("own", f"f{i}", ["a"], ["b"], body, opsets))
        name = f"f{i}"
        body = [node(name, ["a"], ["c"], domain="own"), node(name, ["c"], ["b"], domain="own")]
    file.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=f"{TIGHT}|must open (within 2 seconds|without a crash)"):
        open_model(file, {})


@pytest.mark.parametrize("side", [10_000, 10**6])
def test_keras_weights_of_zeros_that_are_nowhere(side, tmp_path):
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as weights:
        for layer in "abc":
            held = weights.create_group(f"layers/{layer}/vars")
            held.create_dataset("0", (side, side), "f4", chunks=(1000, 1000))
    assert path.stat().st_size < 100_000
    told = {"network": "mobilenet_v1", "classes": ["a", "b"], "height": 64, "width": 64}
    with pytest.raises(InputError, match="its arrays take more than 1000 MB"):
        open_model(path, told)


@pytest.mark.parametrize("batch", [5000, 10**7, 2**62])
def test_a_fixed_batch_that_is_too_large(batch, file):
    linear(file, batch=batch)
    with pytest.raises(InputError, match=f"at most 4096 pictures of 12 x 10 .* batch of {batch}"):
        open_model(file, {})


def test_a_told_batch_that_is_too_large_for_its_pictures(file):
    nodes = [node("GlobalAveragePool", ["x"], ["mean"]), node("Flatten", ["mean"], ["y"])]
    save(file, nodes, [("x", FLOAT, ["n", C, "h", "w"])], SCORES)
    told = {"height": 2000, "width": 1000, "output": "logits"}
    with pytest.raises(InputError, match="at most 11 pictures of 2000 x 1000 with 3 channels at o"):
        open_model(file, told | {"batch": 12})
    assert open_model(file, told | {"batch": 11}).batch == 11
    assert open_model(file, told).batch == 2


# ------------------------------------------------------------------ later, for some pictures


def bright_only(then):
    """Whether a picture's batch is bright, as ``bright``, and the nodes that make use of it."""
    nodes = [
        node("ReduceMax", ["m"], ["most"], keepdims=0),
        node("Greater", ["most", "limit"], ["bright"]),
    ]
    return [*nodes, *then], {"limit": np.float32(0.9)}


def loop_if_bright():
    """A loop that ends at once, except for bright pictures."""
    nodes, arrays = bright_only([node("Loop", ["", "bright", "m"], ["y"], body=around("bright"))])
    return mean_color(*nodes, **arrays)


def large_if_bright():
    """Some scores, of which a bright picture gets a billion before they are summed up."""
    nodes, arrays = bright_only(
        [
            node("Cast", ["bright"], ["number"], to=INT),
            node("Mul", ["number", "many"], ["times"]),
            node("Add", ["times", "one"], ["size"]),
            node("Expand", ["zero", "size"], ["zeros"]),
            node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
            node("Add", ["m", "sum"], ["y"]),
        ]
    )
    arrays |= {"many": np.array([10**9]), "one": np.array([1]), "zero": np.zeros(1, np.float32)}
    return mean_color(*nodes, **arrays)


def more_if_bright():
    """Three classes, of which bright pictures get the first alone."""
    nodes, arrays = bright_only(
        [
            node("Cast", ["bright"], ["number"], to=INT),
            node("Mul", ["number", "minus"], ["less"]),
            node("Add", ["less", "three"], ["end"]),
            node("Slice", ["m", "start", "end", "axis"], ["y"]),
        ]
    )
    arrays |= {"minus": np.array([-2]), "three": np.array([3])}
    return mean_color(*nodes, start=np.array([0]), axis=np.array([1]), **arrays)


LATER = {
    loop_if_bright: r"net\.onnx must answer 16 pictures within 2 seconds, got nothing until then: ",
    large_if_bright: TIGHT,
    more_if_bright: "net.onnx must give 3 class scores for every picture, as for the first ones, g",
}


@pytest.mark.parametrize("make", LATER, ids=lambda make: make.__name__)
def test_what_only_some_pictures_set_off(make, file):
    save(file, *make())
    model = open_model(file, {"output": "logits"})
    dark = pictures(1)
    before = model(dark)
    with pytest.raises(InputError, match=LATER[make]):
        lime.explain(np.ones((H, W, C)), model, settings=lime.Settings(outside=4, samples=16))
    np.testing.assert_array_equal(model(dark), before)


def test_answers_that_stop_being_probabilities(file):
    nodes = [node("Flatten", ["x"], ["flat"]), node("MatMul", ["flat", "m"], ["y"])]
    weights = np.zeros((H * W * C, 1), np.float32)
    weights[:6] = [[1 / 3]] * 6  # about 1 for noise, about 0 for a ramp, 2 for white
    save(file, nodes, IMAGES, SCORES, {"m": weights / 2})
    model = open_model(file, {})
    assert model(np.zeros((1, H, W, C))) == 0
    save(file, nodes, IMAGES, SCORES, {"m": weights})
    model = open_model(file, {})
    with pytest.raises(InputError, match=r"be probabilities in \[0, 1\] for every picture, got 2"):
        model(np.ones((1, H, W, C)))
    assert open_model(file, {"output": "logits"})(np.ones((1, H, W, C))) < 1


@pytest.mark.parametrize("kind", ["noise", "batch statistics", "softmax over the batch"])
def test_a_graph_that_is_still_in_training(kind, file):
    weights = 5 * WEIGHTS.reshape(-1, K)
    nodes = [node("Flatten", ["x"], ["flat"]), node("MatMul", ["flat", "w"], ["y0"])]
    arrays = {"w": weights}
    if kind == "noise":
        nodes += [
            node("RandomNormalLike", ["y0"], ["noise"], scale=99.0, seed=1.0),
            node("Add", ["y0", "noise"], ["y1"]),
        ]
    elif kind == "batch statistics":
        names = ["scale", "shift", "mean", "variance"]
        nodes.append(
            node("BatchNormalization", ["y0", *names], ["y1", "m1", "v1"], training_mode=1)
        )
        arrays |= {name: np.full(K, name != "shift", np.float32) for name in names}
    else:
        nodes.append(node("Softmax", ["y0"], ["y1"], axis=0))
    nodes.append(node("Identity", ["y1"], ["y"]))
    save(file, nodes, IMAGES, SCORES, arrays)
    with pytest.raises(InputError, match="a picture the same scores whenever and beside whatever"):
        open_model(file, {"output": "logits"})


# ------------------------------------------------------------------ the process itself


def test_a_process_that_dies_is_told_and_started_again(file):
    graph = apart.Graph("onnx", linear(file))
    x = pictures(2)
    before = graph.run(0, x, 100)
    process = graph._held[0]
    process.popen.kill()
    process.popen.wait()
    with pytest.raises(InputError, match=r"net.onnx must answer 2 pictures without a crash, got o"):
        graph.run(0, x, 100)
    np.testing.assert_array_equal(graph.run(0, x, 100), before)
    graph._held[0].popen.kill()
    file.unlink()
    with pytest.raises(InputError, match="without a crash"):
        graph.run(0, x, 100)
    with pytest.raises(InputError, match=r"net\.onnx must stay where it was for as long as it is"):
        graph.run(0, x, 100)


def test_a_process_is_used_again_and_never_twice_at_once(file, monkeypatch):
    monkeypatch.setattr(apart, "_idle", {})
    one, two = apart.Graph("onnx", linear(file)), apart.Graph("onnx", file)
    first, second = one._held[0], two._held[0]
    assert first is not second
    del one
    assert apart._idle == {"onnx": first}
    del two
    assert apart._idle == {"onnx": first}
    assert second.popen.poll() is not None
    three = apart.Graph("onnx", file)
    assert three._held[0] is first
    del three
    first.popen.kill()
    first.popen.wait()
    four = apart.Graph("onnx", file)
    assert four._held[0] is not first


def test_an_interrupted_question_leaves_nothing_half_said(file, monkeypatch):
    graph = apart.Graph("onnx", linear(file))
    x = pictures(2)
    before = graph.run(0, x, 100)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(apart, "received", interrupted)
        with pytest.raises(KeyboardInterrupt):
            graph.run(0, 2 * x, 100)
    np.testing.assert_array_equal(graph.run(0, x, 100), before)


def test_a_process_ends_with_whoever_asked_it_also_in_an_endless_loop(file):
    save(file, *endless())
    started = subprocess.Popen(
        [sys.executable, "-P", str(apart.WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with started:
        x = pictures(2)
        run = {"do": "run", "outputs": [0], "most": 9, "bytes": x.nbytes}
        for request, data, answered in [
            ({"do": "start", "kind": "onnx", "places": sys.path}, b"", True),
            ({"do": "open", "path": str(file), "memory": 10**9}, b"", True),
            (run | {"shape": x.shape, "dtype": "float32"}, x.tobytes(), False),
        ]:
            started.stdin.write(json.dumps(request).encode() + b"\n" + data)
            started.stdin.flush()
            assert not answered or started.stdout.readline().startswith(b"{")
        started.stdin.close()
        assert started.wait(timeout=60) == 0


@pytest.mark.parametrize("where", ["sys.platform = 'aix'", "accelerated = True"])
def test_where_a_limit_cannot_be_set_a_process_watches_itself(where):
    """As on a Mac, or with an accelerator."""
    code = (
        "import sys; sys.path.append(sys.argv[1]); import worker, numpy; accelerated = False\n"
        f"{where}\n"
        "worker.hold(100_000_000, accelerated)\n"
        "kept = [numpy.ones(5_000_000)]\n"
        "print('small', flush=True)\n"
        "while True: kept.append(numpy.ones(1_000_000))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(apart.WORKER.parent)], capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (1, b"small", b"")


def test_a_machine_with_little_memory_gives_half_of_it(monkeypatch):
    monkeypatch.setattr(apart, "MEMORY", 4 * 10**9)
    sizes = {"SC_PHYS_PAGES": 500_000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(apart.os, "sysconf", sizes.get, raising=False)
    assert apart.memory() == 1_024_000_000
    sizes["SC_PHYS_PAGES"] = 10**7
    assert apart.memory() == 4 * 10**9
    monkeypatch.delattr(apart.os, "sysconf")
    assert apart.memory() == 4 * 10**9


def not_there(path):
    """Open nothing."""
    raise FileNotFoundError(path)


def test_what_was_taken_is_told_alike_everywhere(monkeypatch):
    by_the_kernel = worker.taken()
    monkeypatch.setattr(worker, "open", not_there, raising=False)
    assert worker.taken() == pytest.approx(by_the_kernel, rel=0.2)


def test_a_far_end_without_limits_still_answers(monkeypatch):
    """As on Windows, where there is nothing to ask for them."""
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(worker, "open", not_there, raising=False)
    worker.hold(1)
    assert worker.taken() == 0
