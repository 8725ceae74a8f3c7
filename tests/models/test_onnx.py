"""ONNX files: the same function in NumPy or scikit-learn answers and is explained alike."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from limecraft_jax.models.formats.own import open_model
from limecraft_jax.path import lime
from limecraft_jax.types import InputError
from tests import tiny
from tests.server import ROOT

H, W, C, K = 12, 10, 3, 3  # of tiny.classifier
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
WEIGHTS = np.random.default_rng(0).normal(size=(H, W, C, K)).astype(np.float32) * 0.1
PREDICT = tiny.same_on_the_host(tiny.classifier())
SETTINGS = lime.Settings(outside=12, samples=200)
TO_BYTES = {np.float32: 1.0, np.float16: 1.0, np.float64: 1.0, np.uint8: 1 / 255}


def save(path, nodes, inputs, outputs, arrays=None, domains=(("", 17), ("ai.onnx.ml", 3))):
    """A graph in a file; inputs and outputs are (name, type, shape)."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [one if hasattr(one, "name") else helper.make_tensor_value_info(*one) for one in outputs],
        [numpy_helper.from_array(value, name) for name, value in (arrays or {}).items()],
    )
    opsets = [helper.make_opsetid(*domain) for domain in domains]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def linear(path, layout="nhwc", batch="n", dtype=np.float32, last=("Softmax",), weights=WEIGHTS):
    """Pixels to logits by one matrix, then the nodes named last."""
    matrix = weights if layout == "nhwc" else np.moveaxis(weights, 2, 0)
    matrix = matrix.reshape(-1, weights.shape[-1]) * np.float32(TO_BYTES[dtype])
    shape = (H, W, C) if layout == "nhwc" else (C, H, W)
    names = ["y0", *(f"y{i + 1}" for i in range(len(last)))]
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=FLOAT),
        helper.make_node("Flatten", ["f"], ["flat"]),
        helper.make_node("MatMul", ["flat", "m"], ["y0"]),
        *(
            helper.make_node(kind, [before], [after])
            for kind, before, after in zip(last, names, names[1:], strict=False)
        ),
    ]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    inputs = [("x", kind, [batch, *shape])]
    return save(path, nodes, inputs, [(names[-1], FLOAT, [batch, None])], {"m": matrix})


def pictures(n: int, dtype=np.float32) -> np.ndarray:
    """Random pictures; for bytes such as can be put into them."""
    x = np.random.default_rng(1).random((n, H, W, C)).astype(np.float32)
    return np.rint(255 * x).astype(np.float32) / 255 if dtype == np.uint8 else x


@pytest.fixture
def file(tmp_path):
    """Where to put the graph."""
    return tmp_path / "net.onnx"


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("batch", ["n", 1, 4])
@pytest.mark.parametrize("dtype", TO_BYTES)
def test_a_graph_answers_like_the_same_function_in_numpy(layout, batch, dtype, file):
    model = open_model(linear(file, layout, batch, dtype), {})
    x = pictures(7, dtype)
    np.testing.assert_allclose(model(x), PREDICT(x), atol=2e-3 if dtype == np.float16 else 1e-6)
    assert model.shape == (H, W, C)
    assert model.card.title == "net.onnx"
    assert model.classes == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize("last", [(), ("Softmax",), ("LogSoftmax",)])
def test_its_explanation_is_that_of_the_same_function(last, file):
    model = open_model(linear(file, "nchw", last=last), {})
    image = pictures(1)[0]
    found = lime.explain(image, model, settings=SETTINGS)
    expected = lime.explain(image, PREDICT, settings=SETTINGS)
    np.testing.assert_allclose(found.fit.coef, expected.fit.coef, atol=1e-6)
    assert np.abs(expected.fit.coef).max() > 1e-3


@pytest.mark.parametrize(
    ("about", "mean", "std"),
    [
        ({"range": [-1, 1]}, 0.5, 0.5),
        ({"range": [0, 255]}, 0, 1 / 255),
        ({"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.1]}, [0.4, 0.5, 0.6], [0.2, 0.3, 0.1]),
        ({"mean": 0.25}, 0.25, 1),
    ],
)
def test_pixels_are_normalized_as_told(about, mean, std, file):
    model = open_model(linear(file), about)
    x = pictures(3)
    np.testing.assert_allclose(model(x), PREDICT((x - mean) / std), atol=1e-5)
    np.testing.assert_allclose(model.card.mean, np.unique(mean))
    np.testing.assert_allclose(sorted(model.card.std), np.unique(std))


def test_one_logit_is_a_probability_and_two_names_make_it_two(file):
    one = WEIGHTS[..., :1]
    x = pictures(4)
    p = 1 / (1 + np.exp(-np.einsum("nhwc,hwck->nk", x, one)))
    for last in ((), ("Sigmoid",)):
        path = linear(file, last=last, weights=one)
        np.testing.assert_allclose(
            open_model(path, {"output": "logits"} if not last else {})(x), p, atol=1e-6
        )
        both = open_model(path, {"classes": ["no", "yes"]} | ({} if last else {"output": "logits"}))
        np.testing.assert_allclose(both(x), np.hstack([1 - p, p]), atol=1e-6)
        assert both.classes == ("no", "yes")


def test_scores_of_several_labels_are_asked_for(file):
    path = linear(file, last=("Sigmoid",))
    with pytest.raises(InputError, match=r'sum 0\.981, which can be either: tell "output"'):
        open_model(path, {})
    x = pictures(4)
    logits = np.einsum("nhwc,hwck->nk", x, WEIGHTS)
    model = open_model(path, {"output": "probabilities"})
    np.testing.assert_allclose(model(x), 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_axes_of_one_pixel_behind_the_classes_are_taken_away(file):
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["y"]),
        helper.make_node("GlobalAveragePool", ["y"], ["mean"]),
    ]
    kernel = np.random.default_rng(2).normal(size=(K, C, 1, 1)).astype(np.float32)
    save(file, nodes, [("x", FLOAT, ["n", C, H, W])], [("mean", FLOAT, None)], {"kernel": kernel})
    x = pictures(5)
    logits = x.mean((1, 2)) @ kernel[:, :, 0, 0].T
    odds = np.exp(logits)
    model = open_model(file, {})
    np.testing.assert_allclose(model(x), odds / odds.sum(1, keepdims=True), atol=1e-6)


def test_a_graph_that_promises_any_batch_and_takes_one_picture(file):
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "m"], ["y"]),
        helper.make_node("Softmax", ["y"], ["p"]),
    ]
    arrays = {"shape": np.array([1, H * W * C]), "m": WEIGHTS.reshape(-1, K)}
    save(file, nodes, [("x", FLOAT, ["n", H, W, C])], [("p", FLOAT, [1, K])], arrays)
    x = pictures(5)
    np.testing.assert_allclose(open_model(file, {})(x), PREDICT(x), atol=1e-6)


def scikit_learn(file, zipmap: bool):
    """Logistic regression on digits as scikit-learn's converter writes it, and the original."""
    digits = load_digits()
    x = digits.data[:500] / 16
    fitted = LogisticRegression(max_iter=30, tol=1e-2).fit(x, digits.target[:500])
    node = helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        classlabels_ints=list(range(10)),
        coefficients=fitted.coef_.ravel().tolist(),
        intercepts=fitted.intercept_.tolist(),
        post_transform="SOFTMAX",
        multi_class=1,
    )
    nodes, outputs = [node], [("label", TensorProto.INT64, ["n"])]
    if zipmap:
        nodes.append(
            helper.make_node(
                "ZipMap",
                ["scores"],
                ["maps"],
                domain="ai.onnx.ml",
                classlabels_int64s=list(range(10)),
            )
        )
        row = helper.make_map_type_proto(
            TensorProto.INT64, helper.make_tensor_type_proto(FLOAT, [])
        )
        outputs.append(helper.make_value_info("maps", helper.make_sequence_type_proto(row)))
    else:
        outputs.append(("scores", FLOAT, ["n", 10]))
    save(file, nodes, [("x", FLOAT, ["n", 64])], outputs)
    return fitted


def test_a_pipeline_of_scikit_learn_on_flat_pixels(file):
    fitted = scikit_learn(file, zipmap=False)
    model = open_model(file, {"height": 8, "width": 8, "classes": list("0123456789")})
    assert model.shape == (8, 8, 1)

    def predict(images):
        return fitted.predict_proba(images.reshape(len(images), -1))

    x = load_digits().images[600:610, ..., None].astype(np.float32) / 16
    np.testing.assert_allclose(model(x), predict(x), atol=1e-5)
    settings = lime.Settings(outside=10, samples=200)
    found, expected = (lime.explain(x[0], one, settings=settings).fit for one in (model, predict))
    np.testing.assert_allclose(found.coef, expected.coef, atol=1e-5)
    assert np.abs(expected.coef).max() > 0.01


@pytest.mark.parametrize(("layout", "axes"), [("nhwc", (0, 1, 2, 3)), ("nchw", (0, 3, 1, 2))])
def test_flat_pixels_of_color_pictures(layout, axes, file):
    matrix = np.transpose(WEIGHTS[None], (*axes, 4)).reshape(-1, K)
    nodes = [
        helper.make_node("MatMul", ["x", "m"], ["y"]),
        helper.make_node("Softmax", ["y"], ["p"]),
    ]
    save(file, nodes, [("x", FLOAT, ["n", None])], [("p", FLOAT, ["n", K])], {"m": matrix})
    x = pictures(3)
    model = open_model(file, {"height": H, "width": W, "channels": C, "layout": layout})
    np.testing.assert_allclose(model(x), PREDICT(x), atol=1e-6)


def test_gray_pictures_without_an_axis_of_channels(file):
    matrix = WEIGHTS[:, :, 0].reshape(-1, K)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "m"], ["y"]),
    ]
    save(file, nodes, [("x", FLOAT, ["n", H, W])], [("y", FLOAT, ["n", K])], {"m": matrix})
    model = open_model(file, {})
    assert model.shape == (H, W, 1)
    x = pictures(3)[..., :1]
    odds = np.exp(x.reshape(3, -1) @ matrix)
    np.testing.assert_allclose(model(x), odds / odds.sum(1, keepdims=True), atol=1e-6)


def test_open_sizes_are_as_told(file):
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["y"]),
    ]
    save(file, nodes, [("x", FLOAT, ["n", C, "h", "w"])], [("y", FLOAT, ["n", C])])
    with pytest.raises(InputError, match=r'of shape \[\?, 3, \?, \?\], which .* tell "height"\.'):
        open_model(file, {})
    told = {"height": 9, "width": 7, "crop": 0.875, "output": "logits", "title": "Mean"}
    model = open_model(file, told)
    assert model.shape == (9, 7, 3)
    assert model.card.title == "Mean"
    assert model.batch == 64
    image = tiny.picture(40, 50)
    np.testing.assert_array_equal(model.prepare(image), model.card.prepare(image))
    assert model.prepare(image).shape == (9, 7, 3)


def test_which_of_several_outputs_is_meant(file):
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "m"], ["y"]),
        helper.make_node("Softmax", ["y"], ["p"]),
        helper.make_node("ArgMax", ["p"], ["best"], axis=1, keepdims=0),
        helper.make_node("Relu", ["x"], ["features"]),
    ]
    outputs = [("features", FLOAT, None), ("best", TensorProto.INT64, None), ("p", FLOAT, None)]
    arrays = {"m": WEIGHTS.reshape(-1, K)}
    save(file, nodes, [("x", FLOAT, ["n", H, W, C])], outputs, arrays)
    x = pictures(3)
    np.testing.assert_allclose(open_model(file, {})(x), PREDICT(x), atol=1e-6)


def identity(file, *inputs, kind="Identity", output=None):
    """A graph that gives its (first) input on."""
    node = helper.make_node(kind, [name for name, *_ in inputs[:1]], ["y"])
    return save(file, [node], inputs, [output or ("y", inputs[0][1], None)])


def test_what_is_no_image_classifier_is_said(file):
    def refused(sentence, about=None):
        with pytest.raises(InputError, match=sentence):
            open_model(file, about or {})

    text = TensorProto.STRING
    identity(file, ("words", text, ["n", 5]))
    refused(r"pictures as float or uint8 numbers, got an input of type tensor\(string\)")
    identity(file, ("x", FLOAT, ["n", C, H, W]))
    refused(rf"one row of class scores .*, got y \[1, {C}, {H}, {W}\] for 1: give an image class")
    identity(file, ("x", FLOAT, ["n", 5, 6]), ("other", FLOAT, [2]))
    refused(r"one input, the pictures, got 2 \(x \[\?, 5, 6\], other \[2\]\): export")
    identity(file, ("x", FLOAT, [1, 2, 3, 4, 5]))
    refused(r"\[n, channels, height, width\], got \[1, 2, 3, 4, 5\]: give an image classifier")
    identity(file, ("x", FLOAT, ["n", 3, 9, 3]))
    refused(r'where its channels are, got shape \[\?, 3, 9, 3\]: tell "layout", "nhwc" or "nchw"')
    identity(file, ("x", FLOAT, ["n", 5, 9, 6]))
    refused(r'where its channels are, got shape \[\?, 5, 9, 6\]: tell "layout"')
    refused("1 or 3 channels and sides of 1 to 4096 pixels, got an input", {"layout": "nhwc"})
    identity(file, ("x", FLOAT, ["n", 64]))
    refused(r'an input of net.onnx that takes 64 numbers in a row: tell "height", "width"')
    refused("must be the 64 numbers that net.onnx takes, got 5 x 8 x ", {"height": 5, "width": 8})
    output = ("y", TensorProto.INT64, None)
    node = helper.make_node("ArgMax", ["x"], ["y"], axis=1)
    save(file, [node], [("x", FLOAT, ["n", H, W, C])], [output])
    refused(r"output of floating-point scores, .* got y of type tensor\(int64\): give an image")
    scikit_learn(file, zipmap=True)
    refused("convert it with zipmap off", {"height": 8, "width": 8})


def test_what_does_not_fit_the_graph_is_said(file):
    linear(file, "nchw")
    for about, sentence in [
        ({"classes": ["a", "b"]}, "classes must name the 3 classes of net.onnx, got 2 names: give"),
        ({"height": 11}, "height must be that of the input of net.onnx, 12, got 11: leave it out"),
        ({"channels": 1}, "channels must be that of the input of net.onnx, 3, got 1: leave"),
        ({"layout": "nhwc"}, r"1 or 3 channels .* got an input of shape \[\?, 3, 12, 10\]"),
    ]:
        with pytest.raises(InputError, match=sentence):
            open_model(file, about)


def test_a_size_that_the_graph_cannot_take_is_said(file):
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "m"], ["y"]),
    ]
    shape, arrays = ["n", "h", "w", C], {"m": WEIGHTS.reshape(-1, K)}
    save(file, nodes, [("x", FLOAT, shape)], [("y", FLOAT, None)], arrays)
    with pytest.raises(InputError, match=r'must run on pictures of 9 x 10 with 3 .*check "height"'):
        open_model(file, {"height": 9, "width": 10})


def test_nan_is_said_when_the_file_is_opened_or_when_it_comes(file):
    weights = WEIGHTS.copy()
    weights[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"net\.onnx must give finite scores, got NaN or infinity"):
        open_model(linear(file, weights=weights), {})
    nodes = [  # the logarithm of a negative number
        helper.make_node("Sub", ["x", "half"], ["rest"]),
        helper.make_node("Log", ["rest"], ["log"]),
        helper.make_node("GlobalMaxPool", ["log"], ["most"]),
        helper.make_node("Flatten", ["most"], ["y"]),
    ]
    inputs, outputs = [("x", FLOAT, ["n", C, H, W])], [("y", FLOAT, None)]
    save(file, nodes, inputs, outputs, {"half": np.float32(-0.001)})
    model = open_model(file, {"output": "logits", "mean": 0})
    with pytest.raises(InputError, match="finite probabilities, got NaN or infinity for 1 of 2"):
        model(np.stack([pictures(1)[0], np.full((H, W, C), -1, np.float32)]))


def test_files_that_cannot_be_opened(file):
    def refused(sentence):
        with pytest.raises(InputError, match=sentence) as caught:
            open_model(file, {})
        assert "\n" not in str(caught.value)

    file.write_bytes(b"")
    refused("net.onnx must have up to 500 MB, got an empty file: export it again")
    for data in (b"no graph at all", b"\x89PNG\r\n\x1a\n" + bytes(100)):
        file.write_bytes(data)
        refused("net.onnx must be an ONNX file, got something else or a part of one")
    whole = linear(file).read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    refused("net.onnx must be an ONNX file, got something else or a part of one")
    node = helper.make_node("Magic", ["x"], ["y"], domain="my.ops")
    inputs, outputs = [("x", FLOAT, ["n", H, W, C])], [("y", FLOAT, None)]
    save(file, [node], inputs, outputs, domains=(("", 17), ("my.ops", 1)))
    refused("net.onnx must hold operators that onnxruntime knows, got others: .*Magic")
    linear(file)
    model = onnx.load(file)
    onnx.save(model, file, save_as_external_data=True, location="net.data", size_threshold=0)
    assert open_model(file, {}).shape == (H, W, C)
    (file.parent / "net.data").unlink()
    refused("net.onnx must lie beside the file of its weights, got none that can be read")


def test_a_missing_package_is_named(file, monkeypatch):
    linear(file)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        InputError, match=r"the package onnxruntime, got none: pip install onnxrunt"
    ):
        open_model(file, {})


EXPORTS = ROOT / "tests" / "golden" / "exports"
PIXELS = {"height": 8, "width": 8, "channels": 1}


@pytest.mark.parametrize(
    ("name", "peer", "about"),
    [
        ("torch_script", "torch", {}),
        ("torch_export", "torch", {}),
        ("sklearn", "sklearn", PIXELS),
    ],
)
def test_real_exports_answer_as_where_they_come_from(name, peer, about):
    with np.load(EXPORTS / f"{peer}.npz") as file:
        images, probs = file["images"], file["probs"]
    model = open_model(EXPORTS / f"{name}.onnx", about)
    np.testing.assert_allclose(model(images), probs, atol=1e-6)


def test_the_map_that_skl2onnx_adds_is_said():
    with pytest.raises(InputError, match=r"convert it with zipmap off"):
        open_model(EXPORTS / "sklearn_map.onnx", PIXELS)
