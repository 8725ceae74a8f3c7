"""Our networks as ONNX graphs: the same answers from onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from limecraft_jax import models, open_model
from limecraft_jax.models.card import ModelCard
from limecraft_jax.models.classifier import Classifier
from limecraft_jax.models.formats import onnxfile, onnxwrite
from limecraft_jax.models.networks import layers
from limecraft_jax.path import lime
from limecraft_jax.types import InputError
from tests.golden.weights import pictures
from tests.models import test_networks


def probabilities(logits):
    parts = np.exp(logits - logits.max(1, keepdims=True))
    return parts / parts.sum(1, keepdims=True)


@pytest.mark.parametrize("name", test_networks.GOLDEN)
def test_onnxruntime_gives_the_answers_of_the_peer(name):
    classifier, _, images, theirs = test_networks.built(name)
    ours = onnxfile.run(classifier)(images)
    np.testing.assert_allclose(ours, probabilities(theirs), atol=2e-4 * np.abs(theirs).max() / 10)
    assert (ours.argmax(1) == theirs.argmax(1)).all()


def test_a_file_that_others_can_run(tmp_path):
    classifier, _, images, theirs = test_networks.built("keras-mobilenet_v1")
    path = tmp_path / "mobilenet.onnx"
    path.write_bytes(onnxwrite.write(classifier))
    again = open_model(path, {"output": "probabilities"})
    np.testing.assert_allclose(again(images), probabilities(theirs), atol=1e-5)
    assert again.card.height, again.card.width == images.shape[1:3]


def test_any_number_of_pictures_at_once():
    classifier, _, images, _ = test_networks.built("timm-mobilenet_v2")
    run = onnxfile.run(classifier)
    one_by_one = np.concatenate([run(image[None]) for image in images])
    np.testing.assert_allclose(run(np.concatenate([images] * 3)), np.tile(one_by_one, (3, 1)), 1e-4)


def test_a_model_is_run_in_the_way_that_stands_behind_its_name(tmp_path):
    facts, arrays, _ = test_networks.recalled("timm-mobilenet_v2")
    path = tmp_path / "skin@home.safetensors"
    save_file(arrays, path)
    h, w = facts["size"]
    about = {"network": "mobilenet_v2", "classes": ["a", "b", "c"], "height": h, "width": w}
    flax = open_model(path, about)
    quick = models.adapt(flax, "onnxruntime")
    picture = pictures(h, w)[0]
    np.testing.assert_allclose(lime.predict(quick, picture), lime.predict(flax, picture), atol=1e-5)
    assert quick.card == flax.card
    assert models.split(f"{path}@onnxruntime") == (str(path), "onnxruntime")
    assert models.split(str(path)) == (str(path), "")
    card = models.card("resnet50@onnxruntime")
    assert (card.name, card.title) == (
        "resnet50@onnxruntime",
        "ResNet-50 (ImageNet), run by onnxruntime",
    )
    with pytest.raises(InputError, match="did you mean 'onnxruntime'"):
        models.adapt(flax, "onnxruntim")
    with pytest.raises(InputError, match="for Flax networks, got a BlackBox"):
        models.adapt(quick, "bfloat16")


def test_what_a_graph_cannot_hold_is_one_sentence():
    with pytest.raises(InputError, match="convolutions, pools and dense layers, got one with"):
        models.load("lesions@onnxruntime")


class Odd(nnx.Module):
    """Every operation that the four networks do not do."""

    def __init__(self):
        self.conv = layers.Conv(3, 4, (3, 5), 2, family="keras")
        self.dense = layers.Dense(4, 3)

    def __call__(self, x):
        y = self.conv(x * 2 - 1)
        y = np.float32(0.5) * y + np.linspace(0, 1, 4, dtype=np.float32)
        y = layers.max_pool(y, 2, 1, ((0, 1), (1, 0)))
        y = np.float32(1) - layers.mean_pool(y, 3, "keras")
        return self.dense(y.sum((1, 2)) / np.float32(7))


def test_operators_one_by_one():
    rng = np.random.default_rng(0)
    net, state = nnx.split(Odd(), nnx.Param)
    flat = [
        (path, leaf.replace(rng.standard_normal(leaf.shape).astype(np.float32)))
        for path, leaf in nnx.to_flat_state(state)
    ]
    card = ModelCard("odd", "", "", ("a", "b", "c"), 13, 10, 3, mean=(0.1, 0.2, 0.3), std=(0.5,))
    model = Classifier(nnx.from_flat_state(flat), net, card)
    images = rng.random((2, 13, 10, 3), np.float32)
    np.testing.assert_allclose(onnxfile.run(model)(images), model(images), atol=1e-5)
