"""A model of one's own: what is told about it, files of all kinds, and the command line."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from limecraft_jax import cli
from limecraft_jax.files import images
from limecraft_jax.models import networks
from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.models.card import ModelCard
from limecraft_jax.models.formats import about, own
from limecraft_jax.path import lime
from limecraft_jax.types import InputError
from tests import tiny
from tests.golden.weights import array
from tests.models import test_checkpoint, test_onnx
from tests.models.test_networks import recalled
from tests.server import ROOT

# ------------------------------------------------------------------ what is told


@pytest.mark.parametrize(
    ("field", "value", "must"),
    [
        ("network", 3, "a text of at most 2000 characters"),
        ("family", "flax", "'torch' or 'keras'"),
        ("title", "x" * 2001, "a text of at most 2000 characters"),
        ("classes", [], "a list of names"),
        ("classes", {"a": 1}, "a list of names"),
        ("classes", ["a", " "], "a list of names that are not empty"),
        ("classes", ["a", 2], "a list of names that are not empty"),
        ("classes", ["a", "b", "a"], "a list of names, each once"),
        ("classes", ["a", "b" * 501], "a list of names of at most 500 characters"),
        ("height", 0, "a whole number from 1 to 4096"),
        ("width", 4097, "a whole number from 1 to 4096"),
        ("height", 2.0, "a whole number from 1 to 4096"),
        ("height", True, "a whole number from 1 to 4096"),
        ("channels", 2, "1 (gray) or 3 (color)"),
        ("channels", True, "1 (gray) or 3 (color)"),
        ("mean", [0.1, 0.2], "one number, or one for each channel"),
        ("mean", "half", "a finite number"),
        ("mean", [float("nan")], "a finite number"),
        ("mean", 10**400, "a number from -1000000 to 1000000"),
        ("std", [0.2, 0, 0.2], "at least 1e-06"),
        ("std", 1e-30, "at least 1e-06"),
        ("std", float("inf"), "a number from -1000000 to 1000000"),
        ("range", [0], "two numbers, [0, 1], [-1, 1] or [0, 255] for example"),
        ("range", [1, 0], "two numbers, the smaller one first"),
        ("range", [0, 1e-300], "two numbers that are 1e-06 or more apart"),
        ("crop", 1.5, "from 0 (the whole picture) to 1"),
        ("crop", -0.1, "from 0 (the whole picture) to 1"),
        ("resample", "nearest", "'bilinear' or 'bicubic'"),
        ("batch", 0, "a whole number from 1 to 4096"),
        ("layout", "hwc", "'nhwc' or 'nchw'"),
        ("output", "softmax", "'probabilities' or 'logits'"),
    ],
)
def test_every_field_is_checked(field, value, must, tmp_path):
    with pytest.raises(InputError, match=f"^{field} in about must be {re.escape(must)}, got "):
        about.read({field: value}, tmp_path / "net.onnx")


def test_a_wrong_field_gets_the_nearest_known_one(tmp_path):
    sentence = "^a field of about must be a known name, got 'clases': did you mean 'classes'"
    with pytest.raises(InputError, match=sentence):
        about.read({"clases": ["a"]}, tmp_path / "net.onnx")
    with pytest.raises(InputError, match="either range or mean and std, got both: leave one out"):
        about.read({"range": [0, 1], "std": 1}, tmp_path / "net.onnx")
    with pytest.raises(InputError, match="the class list of a card must be a known name, got 'co"):
        about.read({"classes": "coco"}, tmp_path / "net.onnx")
    assert about.read({"classes": "imagenet"}, tmp_path / "net.onnx").classes[281] == "tabby"


def test_a_json_file_is_read_and_one_beside_the_model_is_found(tmp_path):
    model, told = tmp_path / "net.onnx", {"classes": ["a", "b"], "crop": 0.5, "height": None}
    assert about.read(None, model) == about.About()
    (tmp_path / "net.json").write_text(json.dumps(told))
    (tmp_path / "other.json").write_text('{"title": "Other"}')
    assert about.read(None, model) == about.About(classes=("a", "b"), crop=0.5)
    assert about.read(tmp_path / "other.json", model) == about.About(title="Other")
    assert about.read({}, model) == about.About()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "told.json must be JSON, got text that is not: "),
        ("[" * 100_000, "told.json must be JSON, got text that is not: "),
        (b"\xff\xfe\x00", "told.json must be JSON, got text that is not: "),
        ("[1]", "told.json must hold names with their values, got "),
        (" " * 5_000_001, "told.json must have at most 5 MB, got 5.0 MB: is it the right file"),
        ('{"hight": 3}', "a field of told.json must be a known name, got 'hight': did you mean 'h"),
        (None, "must be a JSON file, got 'told.json', which is not there: check the path"),
    ],
)
def test_json_files_that_cannot_be_used(text, sentence, tmp_path):
    if text is not None:
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "told.json").write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        about.read(tmp_path / "told.json", tmp_path / "net.onnx")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 255), (0.5, 2)])
def test_a_range_is_the_mean_and_std_that_lead_to_it(low, high):
    mean, std = about.About(range=(low, high)).normalization(3)
    ends = (np.array([0.0, 1.0]) - mean) / std
    np.testing.assert_allclose(ends, [low, high], atol=1e-12)


def test_numbers_of_a_normalization_go_with_the_channels():
    with pytest.raises(InputError, match="std must hold one number, or one for each of the 1 chan"):
        about.About(std=(1.0, 1.0, 1.0)).normalization(1)


# ------------------------------------------------------------------ black boxes with a card


def test_a_card_fills_what_is_not_given():
    card = tiny.card(12, 10, 3, 3, batch=5)
    predict = tiny.same_on_the_host(tiny.classifier())
    model = BlackBox(predict, card=card)
    assert (model.classes, model.shape, model.batch) == (card.classes, (12, 10, 3), 5)
    other = BlackBox(predict, ("a", "b", "c"), (6, 5, 3), 7, card)
    assert (other.classes, other.shape, other.batch) == (("a", "b", "c"), (6, 5, 3), 7)
    assert other.prepare(tiny.picture()).shape == (6, 5, 3)
    assert (BlackBox(predict).batch, BlackBox(predict).shape) == (64, None)


def test_a_card_prepares_as_for_a_flax_network():
    card = ModelCard("a", "", "", ("x",), 8, 8, 1, crop=0.5, resample="bicubic")
    image = tiny.picture(40, 30)
    model = BlackBox(lambda images: images.mean((1, 2)), card=card)
    np.testing.assert_array_equal(model.prepare(image), card.prepare(image))
    assert (model.prepare(image) != BlackBox(len, shape=(8, 8, 1)).prepare(image)).any()


# ------------------------------------------------------------------ files


def test_a_file_of_another_kind_size_or_place(tmp_path):
    def refused(name, sentence, **options):
        with pytest.raises(InputError, match=sentence):
            own.open_model(tmp_path / name, {}, **options)

    for name in ("net.ckpt", "net.pkl", "net.joblib", "NET.PICKLE"):
        refused(name, "must be a file without programs in it, got .* export the model as .onnx, or")
    kinds = ".onnx, .keras, .safetensors, .h5, .pth, .pt or .bin"
    refused("net.tflite", f"must end in {kinds}, got 'net.tflite': export it as .onnx")
    refused("gone.onnx", "a model file must be there, got '.*gone.onnx', which is not: check the p")
    (tmp_path / "folder.onnx").mkdir()
    refused("folder.onnx", "a model file must be there, got '.*folder.onnx', which is not")
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(own.MOST_BYTES + 1)  # takes no room on the disk
    refused("huge.onnx", "huge.onnx must have up to 500 MB, got 500.0 MB: give a smaller model")
    (tmp_path / "net.keras").write_bytes(bytes(3_000_000))
    refused("net.keras", "net.keras must have up to 2 MB, got 3.0 MB", most=2_000_000)


def test_what_is_told_must_be_for_that_kind_of_file(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"x")
    (tmp_path / "net.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match=r'"network" must not be told about a \.onnx file, got '):
        own.open_model(tmp_path / "net.onnx", {"network": "resnet50"})
    with pytest.raises(InputError, match=r'"layout" must not be told about a \.safetensors file'):
        own.open_model(tmp_path / "net.safetensors", {"network": "resnet50", "layout": "nchw"})


WEIGHTS = {"network": "mobilenet_v1", "classes": ["a", "b"], "height": 64, "width": 96}


@pytest.mark.parametrize("left_out", WEIGHTS)
def test_weights_alone_need_to_be_told_about(left_out, tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"x")
    told = {key: value for key, value in WEIGHTS.items() if key != left_out}
    with pytest.raises(InputError, match=f"holds weights alone: tell .*, got no {left_out}"):
        own.open_model(path, told)


def test_weights_fill_the_network_that_is_told(tmp_path):
    from limecraft_jax.models.networks import mobilenet_v1

    rng = np.random.default_rng(0)
    shapes = nnx.eval_shape(lambda: mobilenet_v1.NETWORK(2, "keras"))
    arrays = {
        ".".join(map(str, path)): rng.random(leaf.shape, np.float32)
        for path, leaf in nnx.to_flat_state(nnx.state(shapes, nnx.Param))
    }
    path = tmp_path / "net.safetensors"
    save_file(arrays, path)
    model = own.open_model(path, WEIGHTS | {"family": "keras", "range": [-1, 1], "title": "Mine"})
    assert model.card == ModelCard(
        "net.safetensors", "Mine", "", ("a", "b"), 64, 96, 3, (0.5,), (0.5,), 42,
        network="mobilenet_v1", family="keras",
    )  # fmt: skip
    held = sum(float(np.sum(leaf)) for leaf in jax.tree.leaves(model.weights))
    assert held == pytest.approx(sum(float(a.sum()) for a in arrays.values()), rel=1e-4)
    with pytest.raises(InputError, match="network must be a known name, got 'mobilenet': did you"):
        own.open_model(path, WEIGHTS | {"network": "mobilenet"})
    assert "mobilenet_v1" in networks.NETWORKS


@pytest.mark.parametrize("suffix", own.TORCH)
def test_a_state_dict_opens_as_the_same_arrays_in_safetensors_do(suffix, tmp_path):
    facts, arrays, _ = recalled("torchvision-mobilenet_v2")
    h, w = facts["size"]
    told = {"network": "mobilenet_v2", "classes": "imagenet", "height": h, "width": w}
    path = tmp_path / f"net{suffix}"
    path.write_bytes(state_dict(arrays))
    save_file(arrays, tmp_path / "net.safetensors")
    ours, theirs = (own.open_model(p, told) for p in (path, tmp_path / "net.safetensors"))
    assert ours.card == dataclasses.replace(theirs.card, name=path.name, title=path.name)
    leaves = zip(jax.tree.leaves(ours.weights), jax.tree.leaves(theirs.weights), strict=True)
    assert all((one == other).all() for one, other in leaves)


def state_dict(arrays):
    """What PyTorch's save makes of arrays."""
    parts, members = {}, {}
    for key, value in arrays.items():
        kind = "LongStorage" if value.dtype == np.int64 else "FloatStorage"
        steps = tuple(step // value.itemsize for step in value.strides)
        numbers = test_checkpoint.stored(value.size, kind, key)
        parts[key] = test_checkpoint.tensor(0, value.shape, steps, numbers)
        members[f"net/data/{key}"] = value.tobytes()
    return test_checkpoint.new(parts, members)


def test_a_file_of_pytorch_is_looked_at_before_anything_is_asked_about_it(tmp_path):
    for name, words in {
        "network.pt": "network.pt must be a state dict, arrays by their names, got a whole network",
        "script.pt": "script.pt must be a state dict, arrays by their names, got a TorchScript",
        "state.pth": 'state.pth holds weights alone: tell "network"',
    }.items():
        with pytest.raises(InputError, match=f"^{words}"):
            own.open_model(test_checkpoint.FOLDER / name)
    with pytest.raises(InputError, match=r"must hold the weights of ResNet50 as .* and 1 more"):
        own.open_model(test_checkpoint.FOLDER / "state.pth", WEIGHTS | {"network": "resnet50"})


def test_every_kind_of_weights_has_a_reader():
    assert set(own.WEIGHTS) == set(networks.convert.READERS)


# ------------------------------------------------------------------ command line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A picture, a graph with what is told about it, and a module, in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    test_onnx.linear(tmp_path / "nets" / "net.onnx")
    (tmp_path / "nets" / "net.json").write_text('{"classes": ["a", "b", "c"], "title": "Net"}')
    (tmp_path / "other.json").write_text('{"classes": ["x", "y", "z"]}')
    (tmp_path / "one.png").write_bytes(images.to_png(test_onnx.pictures(1)[0]))
    mask = np.zeros((12, 10), np.float32)
    mask[3:7, 3:7] = 1
    (tmp_path / "mask.png").write_bytes(images.to_png(mask))
    (tmp_path / "factories_of_a_test.py").write_text(
        "from limecraft_jax.models.blackbox import BlackBox\n"
        "def predict(images):\n"
        "    return images.mean(axis=(1, 2))\n"
        "def build():\n"
        "    return BlackBox(predict, ('r', 'g', 'b'), (12, 10, 3))\n"
        "class Net:\n"
        "    def __call__(self, images):\n"
        "        return predict(images)\n"
        "def nothing():\n"
        "    return None\n"
        "def maybe(images=None):\n"
        "    return predict(images)\n"
    )
    return tmp_path


def explain(model, *options):
    """Run `explain` on the picture; gives the status."""
    few = ["--outside", "9", "--samples", "64", "--quiet", "--out", "out"]
    return cli.main(["explain", "one.png", "--model", model, *few, *options])


@pytest.mark.parametrize(
    ("options", "classes"), [((), ["a", "b", "c"]), (("--about", "other.json"), ["x", "y", "z"])]
)
def test_a_file_on_the_command_line(options, classes, folder):
    assert explain("nets/net.onnx", *options) == 0
    found = json.loads((folder / "out" / "explanation.json").read_text())
    assert found["model"] == "net.onnx"
    assert found["classes"] == classes
    image = images.load_image(folder / "one.png").pixels
    expected = lime.predict(test_onnx.PREDICT, image)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)


@pytest.mark.parametrize("attribute", ["predict", "build", "Net", "maybe"])
def test_a_function_a_factory_and_a_class(attribute, folder):
    assert explain(f"factories_of_a_test:{attribute}") == 0
    found = json.loads((folder / "out" / "explanation.json").read_text())
    assert found["model"] == f"factories_of_a_test:{attribute}"
    image = images.load_image(folder / "one.png").pixels
    np.testing.assert_allclose(found["probabilities"], image.mean((0, 1)), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "options", "sentence"),
    [
        ("digit", (), "model must be a known name, got 'digit': did you mean 'digits'?"),
        ("net.onnx", (), "a model file must be there, got 'net.onnx', which is not: check the p"),
        ("nets/net.onnx", ("--about", "no.json"), "what is told about a model must be a JSON file"),
        ("one.keras", (), "a model file must be there, got 'one.keras', which is not"),
        (
            "net.pkl",
            (),
            "net.pkl must be a file without programs in it, got .pkl, which can hold a",
        ),
        ("digits", ("--about", "other.json"), "--about is for a model file, got it with 'digits'"),
        ("factories_of_a_test:nothing", (), "a model must be a Classifier or a function from ima"),
    ],
)
def test_a_model_that_cannot_be_had(model, options, sentence, folder, capsys):
    assert explain(model, *options) == 2
    assert capsys.readouterr().err.startswith(f"limecraft_jax: {sentence}")


def test_a_session_with_a_model_file_is_done_again(folder, capsys):
    options = ["--outside", "9", "--samples", "64", "--quiet", "--model", "nets/net.onnx"]
    edit = ["edit", "one.png", "--mask", "mask.png", "--remove", "--out", "out", *options]
    assert cli.main(edit) == 0
    assert "Net" in (folder / "out" / "report.html").read_text()
    capsys.readouterr()
    assert cli.main(["replay", "out/session.zip", "--quiet"]) == 2
    assert capsys.readouterr().err == (
        "limecraft_jax: the session rests on a model that is not bundled, 'net.onnx': "
        "say where it is with --model FILE or --model module:attribute.\n"
    )
    again = ["replay", "out/session.zip", "--quiet", "--model", "nets/net.onnx"]
    assert cli.main(again) == 0
    assert cli.main([*again, "--about", "other.json"]) == 1  # the classes have other names


def test_the_example_of_readme_runs(folder):
    text = (ROOT / "README.md").read_text()
    told, _ = re.findall(r"^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (line,) = re.findall(r"^python -m limecraft_jax (explain cat\.png .*)$", text, re.MULTILINE)
    (folder / "cats.json").write_text(told)
    (folder / "one.png").rename(folder / "cat.png")
    test_onnx.linear(folder / "cats.onnx", "nchw", 1, weights=test_onnx.WEIGHTS[..., :2])
    assert cli.main([*shlex.split(line), "--outside", "9", "--samples", "64", "--quiet"]) == 0
    found = json.loads((folder / "results" / "explanation.json").read_text())
    assert found["classes"] == ["cat", "dog"]
    assert about.read(json.loads(told), folder / "x.onnx").crop == 0.875


def test_the_example_with_weights_runs(folder):
    text = (ROOT / "README.md").read_text()
    _, told = re.findall(r"^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (line,) = re.findall(r"^python -m limecraft_jax (explain mole\.png .*)$", text, re.MULTILINE)
    shapes = recalled("torchvision-mobilenet_v2")[0]["shapes"]  # fine-tuned: another last layer
    shapes |= {"classifier.1.weight": [7, 1280], "classifier.1.bias": [7]}
    arrays = {key: array(key, tuple(shape)) for key, shape in shapes.items()}
    (folder / "skin.pth").write_bytes(state_dict(arrays))
    (folder / "skin.json").write_text(told)
    (folder / "one.png").rename(folder / "mole.png")
    options = ["--outside", "9", "--samples", "32", "--quiet"]
    assert cli.main([*shlex.split(line), *options]) == 0
    found = json.loads((folder / "results" / "explanation.json").read_text())
    assert found["model"] == "skin.pth"
    assert found["classes"] == json.loads(told)["classes"]
    # Run by onnxruntime: the same words, nearly the same numbers.
    words = shlex.split(line.replace("skin.pth", "skin.pth@onnxruntime"))
    assert cli.main([*words[:-1], "quick", *options]) == 0
    quick = json.loads((folder / "quick" / "explanation.json").read_text())
    assert quick["model"] == "skin.pth@onnxruntime"
    np.testing.assert_allclose(quick["probabilities"], found["probabilities"], atol=1e-5)
