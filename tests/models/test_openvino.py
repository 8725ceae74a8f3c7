"""Networks run by OpenVINO: the same answers to the digits that the processor computes in."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from limecraft_jax import models
from limecraft_jax.models.formats import openvinorun
from limecraft_jax.path import lime
from limecraft_jax.types import InputError
from tests.golden import photographs
from tests.models import test_networks
from tests.models.test_onnxwrite import probabilities
from tests.server import ROOT

DIGITS = {"bfloat16": 0.05, "float32": 1e-4}


@pytest.fixture(scope="module")
def quick():
    """EfficientNet-Lite0 with its real weights, run by OpenVINO."""
    return models.load("efficientnet_lite0@openvino")


def test_photographs_are_named_as_by_pytorch(quick):
    images = [quick.prepare(photographs.photograph(name)) for name in photographs.NAMES]
    with np.load(photographs.FILE) as file:
        theirs = probabilities(file["logits"])
    probs = np.stack([lime.predict(quick, image) for image in images])
    assert (probs.argmax(1) == theirs.argmax(1)).all()
    assert np.abs(probs - theirs).max() < DIGITS[quick.card.precision]
    many = quick(np.stack(images))  # any number at once
    assert np.abs(many - probs).max() < DIGITS[quick.card.precision]


@pytest.mark.parametrize("name", ["keras-mobilenet_v1", "timm-resnet50"])
def test_other_networks_are_run_too(name):
    classifier, _, images, theirs = test_networks.built(name)
    found = models.adapt(classifier, "openvino")
    assert found.card.precision in DIGITS
    # Random weights answer in a narrow range, which 8 bits resolve badly.
    np.testing.assert_allclose(found(images), probabilities(theirs), atol=0.1)


def test_several_may_ask_at_once(quick):
    image = quick.prepare(photographs.photograph("coffee"))[None]
    alone = quick(image)
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: quick(image), range(12)):
            np.testing.assert_array_equal(answer, alone)


def test_it_says_in_what_it_computes(quick, monkeypatch):
    assert models.card("efficientnet_lite0@openvino").title.endswith(", run by openvino")
    core = openvinorun.library().Core()
    half = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert quick.card.precision == ("bfloat16" if half else "float32")
    monkeypatch.setattr(openvinorun, "BEST", "an ability that none has")
    classifier, _, images, theirs = test_networks.built("timm-mobilenet_v2")
    exact = models.adapt(classifier, "openvino")
    assert exact.card.precision == "float32"
    np.testing.assert_allclose(exact(images), probabilities(theirs), atol=1e-5)


def test_importing_it_tells_nobody():
    """OpenVINO's package reports every import to its makers, unless its reporter is not there."""
    code = (
        "import sys; from limecraft_jax.models.formats import openvinorun; openvinorun.library();"
        "print([name for name in sys.modules if 'openvino_telemetry' in name])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_without_the_package_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match="needs the packages onnx and openvino: pip install onnx"):
        models.load("efficientnet_lite0@openvino")
    assert "openvino_telemetry" not in sys.modules
