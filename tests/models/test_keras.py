"""Keras files: the same function in NumPy answers, and nothing foreign is ever loaded."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

from limecraft_jax.models.formats import apart
from limecraft_jax.models.formats.own import open_model
from limecraft_jax.path import lime
from limecraft_jax.types import InputError
from tests import tiny

H, W, C, K = 12, 10, 3, 3  # of tiny.classifier
WEIGHTS = np.random.default_rng(0).normal(size=(H, W, C, K)).astype(np.float32) * 0.1
PREDICT = tiny.same_on_the_host(tiny.classifier())
PICTURES = np.random.default_rng(1).random((7, H, W, C)).astype(np.float32)
layers = keras.layers


def linear(path, *before, layout="nhwc", last="softmax", weights=WEIGHTS, batch=None):
    """Pixels to logits by one matrix, saved; layers may stand before it."""
    matrix = weights if layout == "nhwc" else np.moveaxis(weights, 2, 0)
    shape = matrix.shape[:3]
    dense = layers.Dense(weights.shape[-1], use_bias=False, activation=last)
    model = keras.Sequential(
        [keras.Input(shape, batch_size=batch), *before, layers.Flatten(), dense]
    )
    dense.set_weights([matrix.reshape(-1, weights.shape[-1])])
    model.save(path)
    return path


@pytest.fixture
def file(tmp_path):
    """Where to put the model."""
    return tmp_path / "net.keras"


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("last", ["softmax", None])
def test_a_model_answers_like_the_same_function_in_numpy(layout, batch, last, file):
    model = open_model(linear(file, layout=layout, batch=batch, last=last), {"batch": 5})
    np.testing.assert_allclose(model(PICTURES), PREDICT(PICTURES), atol=1e-6)
    assert model.shape == (H, W, C)
    assert model.batch == 5


def test_its_explanation_is_that_of_the_same_function(file):
    model = open_model(linear(file), {"classes": ["a", "b", "c"]})
    settings = lime.Settings(outside=12, samples=200)
    found, expected = (
        lime.explain(PICTURES[0], one, settings=settings).fit.coef for one in (model, PREDICT)
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(expected).max() > 1e-3
    assert model.names(3) == ("a", "b", "c")


def test_a_network_with_state_answers_as_in_keras(file):
    given = keras.Input((H, W, C))
    x = layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2", activation="gelu")(given)
    x = layers.BatchNormalization()(x) + given[..., :1]
    x = layers.Dropout(0.5)(keras.ops.mean(x, axis=(1, 2)))
    network = keras.Model(given, layers.Dense(2, activation="softmax")(x))
    rng = np.random.default_rng(2)
    network.set_weights([np.abs(rng.normal(size=w.shape)) for w in network.get_weights()])
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    network.save(file)
    np.testing.assert_allclose(
        open_model(file)(PICTURES), network.predict_on_batch(PICTURES), atol=1e-6
    )


def test_a_published_architecture_goes_through(file):
    network = keras.applications.MobileNetV3Small(
        (32, 32, 3), 0.35, True, weights=None, classes=4, include_preprocessing=True
    )
    network.save(file)
    x = np.random.default_rng(3).random((2, 32, 32, 3)).astype(np.float32)
    model = open_model(file)
    np.testing.assert_allclose(model(x), network.predict_on_batch(255 * x), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "about", "factor", "shift"),
    [
        (layers.Rescaling(1 / 255), {}, 1, 0),  # takes bytes, and is given them
        (layers.Rescaling(1 / 127.5, -1), {}, 2, -1),
        (layers.Normalization(mean=127.5, variance=127.5**2), {}, 2, -1),
        (layers.Rescaling(2.0), {}, 2, 0),
        (layers.Rescaling(1 / 255), {"range": [0, 1]}, 1 / 255, 0),
        (layers.Rescaling(2.0), {"mean": 0.5, "std": 0.5}, 4, -2),
    ],
)
def test_pixels_come_in_the_range_that_the_model_wants(layer, about, factor, shift, file):
    model = open_model(linear(file, layer), about)
    np.testing.assert_allclose(model(PICTURES), PREDICT(factor * PICTURES + shift), atol=1e-5)


def test_a_single_score_with_two_names(file):
    one = WEIGHTS[..., :1]
    p = 1 / (1 + np.exp(-np.einsum("nhwc,hwck->nk", PICTURES, one)))
    model = open_model(linear(file, last="sigmoid", weights=one), {"classes": ["no", "yes"]})
    np.testing.assert_allclose(model(PICTURES), np.hstack([1 - p, p]), atol=1e-6)


def refused(file, sentence, about=None):
    """Opening the file ends with this sentence."""
    with pytest.raises(InputError, match=sentence) as caught:
        open_model(file, about or {})
    assert "\n" not in str(caught.value)


def rewritten(file, change=None, **members):
    """The file with its configuration changed in place, and members replaced or added."""
    with zipfile.ZipFile(file) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(held["config.json"])
    if change:
        change(config)
    held["config.json"] = json.dumps(config).encode()
    held |= {name.replace("__", "."): data for name, data in members.items()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in held.items():
            if data is not None:
                archive.writestr(name, data)
    return file


@keras.saving.register_keras_serializable("mine")
class Double(layers.Layer):
    """A layer of a user's own."""

    def call(self, x):
        """Twice its input."""
        return 2 * x


def test_programs_in_a_file_are_refused(file):
    linear(file, layers.Lambda(lambda x: x))
    refused(file, "net.keras must hold no Lambda layer, which can run any program, got one")
    linear(file, Double())
    refused(
        file,
        "made of Keras' own layers alone, got 'tests.models.test_keras.Double'|'mine>Double",
    )


FOREIGN = [
    {"module": "os", "class_name": "function", "config": "system"},
    {"module": "foreign_module_of_a_test", "class_name": "Layer", "config": {}},
    {"module": "keras.src.backend.common", "class_name": "Layer", "config": {}},
    {"module": "keras.utils", "class_name": "function", "config": "get_file"},
    {"module": "keras", "class_name": "function", "config": "utils.get_file"},
    {"module": "keras", "class_name": "utils.get_file", "config": {}},
    {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "x"}},
    {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {}},
    {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "x"}},
    {"module": "keras.layers", "class_name": ["Dense"], "config": {}},
    {"module": "keras.layers", "class_name": "Dense", "registered_name": "a>B", "config": {}},
    {"module": ["keras.layers"], "class_name": "Dense", "config": {}},
    {"module": "builtins", "class_name": "Dense", "config": {}},
    {"module": "builtins", "config": "eval"},
    {"class_name": "Dense", "config": {}},
    {"module": None, "class_name": "Mine", "registered_name": "Mine", "config": {}},
    {"class_name": "__lambda__", "config": {"value": "x"}},
    {"class_name": "__typespec__", "module": "os", "spec_name": "x", "config": []},
]


@pytest.mark.parametrize("named", FOREIGN, ids=str)
@pytest.mark.parametrize("deep", [False, True])
def test_foreign_names_are_refused_before_keras_sees_them(named, deep, file, monkeypatch):
    folder = file.parent
    (folder / "foreign_module_of_a_test.py").write_text("raise SystemExit('loaded')")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(apart, "opened", lambda *_: pytest.fail("Keras was asked"))

    def put(config):
        inner = config["config"]["layers"][-1]["config"]
        inner["activation"] = {"any": [[{"thing": named}]]} if deep else named

    rewritten(linear(file), put)
    refused(file, "net.keras must (be made of Keras' own layers alone|hold no Lambda layer), ")
    assert "foreign_module_of_a_test" not in sys.modules


def test_what_is_no_whole_keras_file(file):
    whole = linear(file).read_bytes()
    for data in (b"nothing of the kind", whole[: len(whole) // 2], b"PK\x03\x04" + bytes(40)):
        file.write_bytes(data)
        refused(file, "net.keras must be a .keras file, a whole zip without a password, got")
    for missing in ("config__json", "model__weights__h5"):
        file.write_bytes(whole)
        rewritten(file, **{missing: None}) if missing[0] == "m" else without_config(file)
        refused(file, f"net.keras must hold {missing.replace('__', '.')}, got none: save the model")
    file.write_bytes(whole)
    rewritten(file, assets__txt=b"x")
    refused(file, "model.weights.h5 and nothing else, each once, got 'assets.txt': save the model")
    file.write_bytes(whole)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr("config.json", "{}")
    refused(file, "and nothing else, each once, got 'config.json'")
    for text in ("[1, 2]", "{", "[" * 100_000):
        file.write_bytes(whole)
        rewritten(file, config__json=text.encode())
        refused(
            file, r"net.keras must (describe a model|be a .keras file)|config.json in net.keras"
        )


def without_config(file):
    """Leave the configuration out."""
    held = zipfile.ZipFile(io.BytesIO(file.read_bytes()))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.weights.h5", held.read("model.weights.h5"))


def test_a_small_file_that_unpacks_to_a_huge_one(file):
    rewritten(linear(file), config__json=b" " * 30_000_000)
    assert file.stat().st_size < 1_000_000
    refused(file, "config.json in net.keras must have at most 20 MB unpacked, got 30 MB or more")


def test_a_small_file_that_asks_for_more_memory_than_there_is(file):
    def grow(config):
        config["config"]["layers"][-1]["config"]["units"] = 4_000_000_000

    rewritten(linear(file), grow)  # 360 pixels times 4e9 units in 4 bytes
    refused(file, "net.keras must have at most 1000 MB of weights, its layers ask for 5760000 MB")


def test_what_keras_cannot_load_is_said(file):
    whole = linear(file).read_bytes()
    rewritten(file, model__weights__h5=b"no weights")
    refused(file, r"net.keras must be a model that Keras [\d.]+ can load and run, got: ")
    file.write_bytes(whole)
    rewritten(file, lambda config: config["config"]["layers"][-1]["config"].update(units=4))
    refused(file, r"net.keras must be a model that Keras [\d.]+ can load and run, got: ")


def test_what_is_no_image_classifier(file):
    one, two = keras.Input((H, W, C)), keras.Input((H, W, C))
    flat = layers.Flatten()(one + two)
    keras.Model([one, two], layers.Dense(2)(flat)).save(file)
    refused(file, r"one input and one output, got inputs \w+ \[\?, 12, 10, 3\], \w+ \[\?, 12")
    flat = layers.Flatten()(one)
    keras.Model(one, [layers.Dense(2)(flat), layers.Dense(3)(flat)]).save(file)
    refused(file, r"one input and one output, got outputs \w+ \[\?, 2\], \w+ \[\?, 3\]: build")
    keras.Sequential([one, layers.Conv2D(2, 3)]).save(file)
    refused(file, r"one row of class scores .*, got output \w+ \[\?, 10, 8, 2\]: give an image")
    keras.Sequential([keras.Input((5,)), layers.Dense(2)]).save(file)
    refused(file, r'that takes 5 numbers in a row: tell "height", "width" and "channels"')
    refused(linear(file), "classes must name the 3 classes of net.keras", {"classes": ["a"]})
    weights = np.full_like(WEIGHTS, np.nan)
    refused(linear(file, weights=weights), "net.keras must give finite scores, got NaN or infinity")


def test_a_missing_package_is_named(file, monkeypatch):
    linear(file)
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(file, "net.keras needs the packages keras and h5py, got no h5py: pip install keras h5p")


def test_it_does_not_matter_on_what_keras_runs_here(file, monkeypatch):
    monkeypatch.setattr(apart, "_idle", {})
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    np.testing.assert_allclose(open_model(linear(file))(PICTURES), PREDICT(PICTURES), atol=1e-6)


def test_files_of_older_keras_are_refused_with_the_way_out(tmp_path):
    path = tmp_path / "net.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    refused(path, r'got .h5: save the model again with model.save\("model.keras"\)')
