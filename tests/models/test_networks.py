"""The networks against the libraries whose weights they take; see tests/golden/make.py."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from limecraft_jax import models, open_model
from limecraft_jax.models import networks
from limecraft_jax.models.card import ModelCard
from limecraft_jax.models.networks import convert, layers
from limecraft_jax.types import InputError
from tests.golden.weights import array, pictures

os.environ.setdefault("KERAS_BACKEND", "jax")
GOLDEN = {path.stem: path for path in sorted((Path(__file__).parents[1] / "golden").glob("*.npz"))}


def recalled(name):
    """What a peer library had and said: facts, arrays, logits."""
    with np.load(GOLDEN[name]) as file:
        facts, logits = json.loads(file["facts"].tobytes()), file["logits"]
    arrays = {key: array(key, tuple(shape)) for key, shape in facts["shapes"].items()}
    return facts, arrays, logits


def card_for(facts, k, family=""):
    names = tuple(f"class {i}" for i in range(k))
    height, width = facts["size"]
    return ModelCard(
        "own", "", "", names, height, width, 3, network=facts["network"], family=family
    )


def logits_of(classifier, images):
    def run(classifier, images):
        return nnx.merge(classifier.net, classifier.weights)(images)

    return np.asarray(jax.jit(run)(classifier, images))


def built(name, family=""):
    """Our network with a peer's weights."""
    facts, arrays, logits = recalled(name)
    build, layouts = networks.architecture(facts["network"])
    ours, layout = convert.convert(arrays, layouts, facts["network"], family_of(name))
    card = card_for(facts, logits.shape[1], family or layout.family)
    return networks.fill(build, ours, card), layout, pictures(*facts["size"]), logits


def family_of(name):
    """Whose arithmetic a peer has."""
    return "torch" if name.startswith(("timm", "torchvision")) else "keras"


def distance(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


def test_every_network_has_every_peer():
    for network in networks.NETWORKS:
        lite = network.startswith("efficientnet_lite")  # of five sizes, and not in Keras
        peers = ("timm", "tensorflow") if lite else ("timm", "keras")
        for peer in peers:
            assert f"{peer}-{'efficientnet_lite0' if lite else network}" in GOLDEN


@pytest.mark.parametrize(
    ("size", "parameters", "arrays"),
    [
        (0, 4652008, 296),
        (1, 5416680, 386),
        (2, 6092072, 386),
        (3, 8197096, 440),
        (4, 13006568, 548),
    ],
)
def test_every_size_of_efficientnet_lite_has_the_parameters_of_timm(size, parameters, arrays):
    build, layouts = networks.architecture(f"efficientnet_lite{size}")
    state = nnx.state(nnx.eval_shape(lambda: build(1000, "keras")))
    shapes = [leaf.shape for _, leaf in nnx.to_flat_state(state)]
    norms = sum(shape[0] for shape in shapes if len(shape) == 1) - 1000  # folded, see `convert`
    assert sum(map(math.prod, shapes)) + norms == parameters
    for layout in layouts:
        counters = len(layout.names) - 1  # of batches that each norm saw
        must, _ = layout.keys({})
        assert len(must) + counters == arrays


@pytest.mark.parametrize("name", GOLDEN)
def test_same_answers_as_the_peer(name):
    classifier, layout, images, theirs = built(name)
    ours = logits_of(classifier, images)
    assert distance(ours, theirs) < 1e-4
    assert (ours.argmax(1) == theirs.argmax(1)).all()
    assert layout.family == family_of(name)


@pytest.mark.parametrize("name", [n for n in GOLDEN if n.startswith(("timm", "keras", "tensor"))])
def test_the_other_family_fails_by_far(name):
    _, layout, images, theirs = built(name)
    other = next(f for f in networks.FAMILIES if f != layout.family)
    assert distance(logits_of(built(name, other)[0], images), theirs) > 0.02


def test_left_out_arrays_and_left_over_ones_are_named(tmp_path):
    facts, arrays, _ = recalled("timm-mobilenet_v2")
    path = tmp_path / "wrong.safetensors"
    save_file(arrays, path)
    wrong = dataclasses.replace(card_for(facts, 3), network="resnet50")
    with pytest.raises(
        InputError, match=r"weights of ResNet50 as .* missing conv1.weight, .* and 258 more"
    ):
        networks.read(path, wrong)
    known = dataclasses.replace(card_for(facts, 3), network="resnet5")
    with pytest.raises(InputError, match="did you mean 'resnet50'"):
        networks.read(path, known)
    with pytest.raises(InputError, match=r"all 3 classes of the weights .* got 5 names"):
        networks.read(path, card_for(facts, 5))
    other = dict(arrays, conv_stem_weight=arrays["conv_stem.weight"])
    save_file(other, path)
    with pytest.raises(InputError, match="nothing missing and unexpected conv_stem_weight"):
        networks.read(path, card_for(facts, 3))
    narrow = dict(arrays, **{"conv_head.weight": arrays["conv_head.weight"][:, :100]})
    save_file(narrow, path)
    with pytest.raises(InputError, match=r"got last.kernel \(1, 1, 100, 1280\) instead of"):
        networks.read(path, card_for(facts, 3))


def test_the_arithmetic_must_be_told_where_the_names_do_not_tell_it(tmp_path):
    """timm gives its own EfficientNet-Lite and that from TensorFlow the same names."""
    path = tmp_path / "net.safetensors"
    for name, family in (("timm", "torch"), ("tensorflow", "keras")):
        facts, arrays, theirs = recalled(f"{name}-efficientnet_lite0")
        save_file(arrays, path)
        card = card_for(facts, 5)
        with pytest.raises(InputError, match=r'"family" must be told for .* EfficientNetLite0 as'):
            networks.read(path, card)
        classifier = networks.read(path, dataclasses.replace(card, family=family))
        assert distance(logits_of(classifier, pictures(*facts["size"])), theirs) < 1e-4
    with pytest.raises(InputError, match=r"weights of EfficientNetLite1 as timm .* and 70 more"):
        networks.read(path, dataclasses.replace(card, network="efficientnet_lite1"))


@pytest.mark.parametrize(
    ("key", "change", "words"),
    [
        ("bn2.weight", lambda x: x.repeat(2), r"got bn2.weight of float32 \(2560,\)"),
        ("bn2.bias", lambda x: x[:1], r"got bn2.bias of float32 \(1,\)"),
        ("bn2.running_var", lambda x: -x, "bn2.running_var must hold variances, got one below 0"),
        ("conv_head.weight", lambda x: x[0], r"got conv_head of float32 \(320, 1, 1\)"),
        ("conv_head.weight", lambda x: x.astype(np.int8), "got conv_head of int8"),
        ("classifier.bias", lambda x: x[None], r"got classifier.bias of float32 \(1, 3\)"),
    ],
)
def test_arrays_that_do_not_go_together_are_found_before_they_are_multiplied(
    tmp_path, key, change, words
):
    facts, arrays, _ = recalled("timm-mobilenet_v2")
    path = tmp_path / "net.safetensors"
    save_file({**arrays, key: change(arrays[key]).copy()}, path)
    with pytest.raises(InputError, match=words):
        networks.read(path, card_for(facts, 3))


def test_weights_must_be_finite_and_a_file_of_weights(tmp_path):
    facts, arrays, _ = recalled("timm-mobilenet_v2")
    arrays["bn2.bias"][7] = np.nan
    save_file(arrays, tmp_path / "nan.safetensors")
    with pytest.raises(InputError, match=r"NaN or infinity in bn2.bias of nan.safetensors"):
        networks.read(tmp_path / "nan.safetensors", card_for(facts, 3))
    for name, words in {
        "no.safetensors": "must be a safetensors file",
        "no.h5": "must be a file of Keras weights",
        "no.pth": "must be a state dict",
        "no.ckpt": r"must end in .safetensors, .h5, .pth, .pt, .bin, got 'no.ckpt'",
    }.items():
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(InputError, match=words):
            networks.read(tmp_path / name, card_for(facts, 3))


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
def test_files_that_keras_writes(tmp_path, suffix):
    import keras

    facts, arrays, theirs = recalled("keras-mobilenet_v2")
    model = keras.applications.MobileNetV2(
        weights=None, input_shape=(*facts["size"], 3), classifier_activation=None
    )
    for layer in model.layers:
        names = [w.name.replace("depthwise_kernel", "kernel") for w in layer.weights]
        if names:
            layer.set_weights([arrays[f"{layer.name}.{name}"] for name in names])
    path = tmp_path / f"model{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    classifier = networks.read(path, card_for(facts, 1000))
    assert distance(logits_of(classifier, pictures(*facts["size"])), theirs) < 1e-4


def test_our_own_names_need_the_family(tmp_path):
    classifier, _, images, _ = built("timm-mobilenet_v2")
    flat = nnx.to_flat_state(classifier.weights)
    arrays = {".".join(map(str, path)): np.asarray(leaf[...]) for path, leaf in flat}
    path = tmp_path / "ours.safetensors"
    save_file(arrays, path)
    again = networks.read(path, classifier.card)
    assert (logits_of(again, images) == logits_of(classifier, images)).all()
    with pytest.raises(InputError, match="say torch or keras"):
        networks.read(path, dataclasses.replace(classifier.card, family=""))


def test_features_and_head_are_the_whole():
    for name in sorted(name for name in GOLDEN if name.startswith("timm")):
        classifier, _, images, _ = built(name)
        network = nnx.merge(classifier.net, classifier.weights)
        maps = jax.eval_shape(network.features, images)
        assert maps.ndim == 4
        assert maps.shape[3] == network.dense.kernel[...].shape[0]
        assert jax.eval_shape(network.head, maps).shape == jax.eval_shape(network, images).shape


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 5), (1, 7), (7, 1)])
@pytest.mark.parametrize("family", ["torch", "keras", "valid"])
@pytest.mark.parametrize("depthwise", [False, True])
def test_the_forms_for_processors_give_the_plain_numbers(
    monkeypatch, stride, size, family, depthwise
):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((2, 11, 12, 6)), jnp.float32)
    conv = layers.Conv(6, 6, size, stride, family=family, depthwise=depthwise)
    conv.kernel[...] = jnp.asarray(rng.standard_normal(conv.kernel[...].shape), jnp.float32)
    quick = conv(x)
    monkeypatch.setattr(layers, "rewrite", lambda: False)
    np.testing.assert_allclose(quick, conv(x), atol=1e-4)


@pytest.mark.parametrize("family", ["torch", "keras"])
def test_pools_for_processors_give_the_plain_numbers(monkeypatch, family):
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 9, 10, 3)), jnp.float32)
    rim = layers.even((3, 3))
    quick = [layers.max_pool(x, 3, 2, p) for p in (layers.NONE, rim)]
    quick.append(layers.mean_pool(x, 3, family))
    monkeypatch.setattr(layers, "rewrite", lambda: False)
    plain = [layers.max_pool(x, 3, 2, p) for p in (layers.NONE, rim)]
    plain.append(layers.mean_pool(x, 3, family))
    for ours, theirs in zip(quick, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["timm-inception_v3", "timm-resnet50", "timm-mobilenet_v1", "torchvision-mobilenet_v2"]
)
def test_half_precision_keeps_the_answers_to_its_digits(name):
    classifier, _, images, theirs = built(name)
    half = classifier.cast("bfloat16")
    leaves = jax.tree.leaves(half.weights)
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("bfloat16")}
    ours = logits_of(half, images.astype(jnp.bfloat16)).astype(np.float32)
    assert 1e-4 < distance(ours, theirs) < 0.05  # 8 bits, and not by chance computed in 24


def test_precision_is_named_behind_a_model(tmp_path):
    digits = models.load("digits@bfloat16")
    assert digits.card.precision == "bfloat16"
    probs = digits(np.zeros((2, 28, 28, 1), np.float32))
    assert probs.dtype == jnp.float32
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-5)
    assert models.load("digits@bfloat16").cast("float32").card.precision == "float32"
    with pytest.raises(InputError, match="did you mean 'bfloat16'"):
        models.load("digits@bfloat")
    _, arrays, _ = recalled("timm-mobilenet_v2")
    path = tmp_path / "skin.safetensors"
    save_file(arrays, path)
    about = {"network": "mobilenet_v2", "classes": ["a", "b", "c"], "height": 128, "width": 96}
    own = models.adapt(open_model(path, about), "bfloat16")
    assert jax.tree.leaves(own.weights)[0].dtype == jnp.bfloat16
