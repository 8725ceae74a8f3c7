"""How fast a network is here: measured, remembered, used."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from limecraft_jax import cli, models, open_model
from limecraft_jax.models import hub, networks, pace
from limecraft_jax.models.card import ModelCard
from limecraft_jax.models.networks import mobilenet_v2
from limecraft_jax.models.pace import Pace
from tests.golden.weights import array
from tests.models.test_networks import recalled

CARD = ModelCard("net", "", "", ("a", "b"), 32, 32, 3, network="mobilenet_v2", batch=5)


def zeros():
    """Weights of MobileNet V2 for two classes."""
    network = nnx.eval_shape(lambda: mobilenet_v2.NETWORK(2, "torch"))
    flat = nnx.to_flat_state(nnx.state(network, nnx.Param))
    return {".".join(map(str, path)): np.zeros(leaf.shape, np.float32) for path, leaf in flat}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("LIMECRAFT_JAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def rates(monkeypatch):
    """Pictures per second of each batch; any other is too large for the memory."""
    found = {}

    def timed(model, seconds):
        batch = model.card.batch
        if batch not in found:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return Pace(batch, found[batch], 10 * batch)

    monkeypatch.setattr(pace, "timed", timed)
    return found


def test_the_smallest_batch_that_is_about_as_fast_as_the_best(rates):
    model = models.load("digits")
    rates |= {2: 90.0, 4: 100.0, 8: 104.0}
    assert pace.measure(model) == Pace(4, 100.0, 40)
    rates |= {2: 99.0}
    assert pace.measure(model).batch == 2
    rates.pop(8)
    assert pace.measure(model).batch == 2
    rates.clear()
    with pytest.raises(jax.errors.JaxRuntimeError):
        pace.measure(model)


def test_an_accelerator_is_measured_at_once_and_a_processor_only_when_asked(rates, monkeypatch):
    model = models.load("digits")
    rates |= {b: 1000.0 * b for b in pace.LARGE[:4]}
    assert pace.settle(model).card.batch == model.card.batch
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert pace.settle(model).card.batch == pace.LARGE[3]
    monkeypatch.setattr(pace, "measure", None)
    assert pace.settle(model).card.batch == pace.LARGE[3], "remembered"
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert pace.settle(model).card.batch == pace.LARGE[3]


def test_another_precision_has_a_batch_of_its_own(rates, monkeypatch):
    rates |= {2: 1.0, 4: 2.0, 8: 3.0}
    model = networks.fill(mobilenet_v2.NETWORK, zeros(), CARD)
    assert models.adapt(model, "bfloat16").card.batch == CARD.batch
    pace.measure(model.cast("bfloat16"))
    assert models.adapt(model, "bfloat16").card.batch == 8
    assert models.adapt(model, "float32").card.batch == CARD.batch


def test_every_device_and_network_has_its_own_entry(rates, monkeypatch, cache):
    rates |= {2: 1.0, 4: 2.0, 8: 3.0}
    digits, lesions = models.load("digits"), models.load("lesions")
    first = pace.measure(digits)
    monkeypatch.setattr(pace, "this_device", lambda: "another")
    rates[8] = 1.0
    second = pace.measure(digits)
    assert pace.recall(digits.card, "another") == pace.recall(digits.card) == second != first
    assert pace.recall(lesions.card) is None
    assert pace.recall(digits.cast("bfloat16").card) is None
    monkeypatch.undo()
    monkeypatch.setenv("LIMECRAFT_JAX_CACHE", str(cache))
    assert pace.recall(digits.card, pace.this_device()) == first


@pytest.mark.parametrize("text", ["", "[]", "{", '{"digits, 28 x 28, float32": {"x": 3}}', "{}"])
def test_a_spoiled_file_is_as_good_as_none(cache, text, rates):
    cache.mkdir()
    (cache / "pace.json").write_text(text)
    model = models.load("digits")
    assert pace.recall(model.card) is None
    rates |= {2: 1.0, 4: 2.0, 8: 3.0}
    pace.measure(model)
    assert pace.recall(model.card) == Pace(8, 3.0, 80)


def test_a_folder_that_cannot_be_written_does_no_harm(rates, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIMECRAFT_JAX_CACHE", str(tmp_path / "file" / "cache"))
    rates |= {2: 1.0, 4: 2.0, 8: 3.0}
    assert pace.measure(models.load("digits")).batch == 8
    assert pace.recall(models.card("digits")) is None


def test_what_is_measured_is_plausible():
    model = models.load("digits")
    found = pace.timed(model.with_batch(4), 0.01)
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(model.weights))
    assert found.rate > 1
    assert weights <= 1e6 * (found.memory + 0.5)


def test_seconds_are_those_of_100_samples():
    assert str(Pace(4, 20.0, 31)) == (
        "20 pictures per second in batches of 4, 5 s per 100 samples; weights and batch take 31 MB"
    )


def test_a_guess_is_the_cost_of_a_picture_at_the_speed_of_matrix_products(monkeypatch):
    monkeypatch.setattr(pace, "_products", lambda: 175.0)
    assert pace.guess(models.card("inception_v3")) == pytest.approx(10)
    monkeypatch.undo()
    assert pace.guess(models.card("mobilenet_v2")) > 0.1
    for name in models.PUBLIC:
        assert models.card(name).work > 0


def test_download_measures_and_the_next_run_uses_it(tmp_path, cache, capsys, monkeypatch):
    shapes = recalled("torchvision-mobilenet_v2")[0]["shapes"]
    path = tmp_path / "given.safetensors"
    save_file({key: array(key, tuple(shape)) for key, shape in shapes.items()}, path)
    monkeypatch.setattr(pace, "BATCHES", (3,))
    monkeypatch.setattr(pace, "SECONDS", 0.01)
    given = ["download", "mobilenet_v2", "--file", str(path), "--accept"]
    assert cli.main(given) == 0
    assert "pictures per second in batches of 3" in capsys.readouterr().out
    (entry,) = json.loads((cache / "pace.json").read_text()).values()
    assert entry[pace.this_device()]["batch"] == 3
    model = models.load("mobilenet_v2")
    assert model.card.batch == 3
    assert cli.main(["models"]) == 0
    assert str(pace.recall(model.card)) in capsys.readouterr().out
    about = {"network": "mobilenet_v2", "height": 224, "width": 224}
    about["classes"] = [str(i) for i in range(1000)]
    assert open_model(path, about).card.batch == 3
    assert open_model(path, {**about, "batch": 5}).card.batch == 5
    assert open_model(path, {**about, "height": 96, "width": 96}).card.batch != 3
    assert hub.find(models.card("mobilenet_v2"))
    np.testing.assert_array_equal(model.card.classes[281], "tabby")
