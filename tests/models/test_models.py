"""Laws of the bundled classifiers, and of the pictures whose truth is known."""

import dataclasses
import functools
import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import skimage.data
import skimage.io
from flax import nnx
from safetensors.numpy import load_file, save_file

import limecraft_jax
from limecraft_jax import models
from limecraft_jax.models.bundled import brush, dermoscopy, digits, train
from limecraft_jax.models.card import WEIGHTS, ModelCard
from limecraft_jax.models.classifier import Classifier, load_weights
from limecraft_jax.types import InputError

NAMES = list(models.BUNDLED)
LESIONS = ["lesions", "lesions-clean"]
EXAMPLES = Path(limecraft_jax.__file__).parent / "examples"
load = functools.cache(models.load)


@pytest.mark.parametrize("name", NAMES)
class TestEveryModel:
    def test_answers_are_probabilities(self, name):
        classifier = load(name)
        card = classifier.card
        shape = (card.batch, card.height, card.width, card.channels)
        images = np.random.default_rng(0).random(shape, np.float32)
        probs = np.asarray(jax.jit(Classifier.__call__)(classifier, images))
        assert probs.shape == (card.batch, len(card.classes))
        assert (probs >= 0).all()
        np.testing.assert_allclose(probs.sum(1), 1, rtol=1e-5)

    def test_an_answer_does_not_depend_on_the_rest_of_the_batch(self, name):
        classifier = load(name)
        card = classifier.card
        shape = (card.batch, card.height, card.width, card.channels)
        images = np.random.default_rng(1).random(shape, np.float32)
        others = np.concatenate([images[:1], 1 - images[1:]])
        query = jax.jit(Classifier.__call__)
        np.testing.assert_allclose(
            query(classifier, images)[0], query(classifier, others)[0], atol=1e-5
        )

    def test_card_tells_the_truth_about_the_weights(self, name):
        card = models.card(name)
        arrays = load_file(WEIGHTS / f"{name}.safetensors")
        assert card == load(name).card
        assert card.name == name
        assert card.parameters == sum(array.size for array in arrays.values())
        assert len(set(card.classes)) == len(card.classes)
        assert all(0 <= value <= 1 for _, value in card.accuracy)
        for fact in ("title", "about", "data", "architecture", "trained", "license", "accuracy"):
            assert getattr(card, fact), f"the card of {name} says nothing about {fact}"

    def test_weights_are_small(self, name):
        assert (WEIGHTS / f"{name}.safetensors").stat().st_size < 2e6

    def test_prepare_changes_nothing_at_the_right_size_and_nothing_twice(self, name):
        classifier = load(name)
        card = classifier.card
        rng = np.random.default_rng(2)
        right = rng.random((card.height, card.width, card.channels), np.float32)
        np.testing.assert_array_equal(classifier.prepare(right), right)
        once = classifier.prepare(rng.random((50, 70, 3), np.float32))
        np.testing.assert_array_equal(classifier.prepare(once), once)


def test_only_safetensors_and_cards_lie_beside_the_code():
    files = {path.name for path in WEIGHTS.iterdir()}
    bundled = {f"{name}.safetensors" for name in NAMES}
    assert files == {f"{name}.json" for name in models.MODELS} | bundled | {"imagenet.txt"}


def test_a_card_is_read_without_jax():
    code = (
        "import sys, limecraft_jax.models as m; cards = [m.card(n) for n in m.MODELS]; "
        "print([x for x in ('jax', 'flax', 'sklearn', 'skimage') if x in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="model must be a known name, got 'lesion': did you mean"):
        models.load("lesion")


class Tiny(nnx.Module):
    """Two numbers, and a note of how they were first drawn."""

    def __init__(self, seen):
        def initializer(key, shape, dtype=None):
            seen.append(isinstance(key, jax.core.Tracer))
            return jax.random.normal(key, shape)

        self.dense = nnx.Linear(1, 2, use_bias=False, kernel_init=initializer, rngs=nnx.Rngs(0))


def test_loading_runs_no_initializer(tmp_path):
    seen = []
    card = dataclasses.replace(models.card("digits"), name="tiny")
    save_file({"dense.kernel": np.array([[3.0, 4.0]], np.float32)}, tmp_path / "tiny.safetensors")
    classifier = load_weights(lambda: Tiny(seen), card, tmp_path)
    assert seen
    assert all(seen), "an initializer was run on a real key"
    np.testing.assert_array_equal(jax.tree.leaves(classifier.weights)[0], [[3.0, 4.0]])


def test_weights_of_another_network_are_refused(tmp_path):
    card = dataclasses.replace(models.card("digits"), name="tiny")
    save_file({"dense.kernel": np.zeros((3, 2), np.float32)}, tmp_path / "tiny.safetensors")
    with pytest.raises(InputError, match=r"tiny\.safetensors must hold dense\.kernel \(1, 2\)"):
        load_weights(lambda: Tiny([]), card, tmp_path)


def test_digits_read_nearly_all_held_out_digits():
    _, _, images, labels = digits.split()
    accuracy = (train.answers(load("digits"), images) == labels).mean()
    assert accuracy >= 0.97
    assert dict(models.card("digits").accuracy)["held-out digits"] == pytest.approx(
        accuracy, abs=0.005
    )


def test_digits_split_keeps_the_quarters_apart():
    train_images, _, held_out, labels = digits.split()
    assert len(labels) == 450
    seen = {image.tobytes() for image in train_images}
    assert sum(image.tobytes() in seen for image in held_out) == 0


@functools.cache
def fresh():
    """Lesions that neither training nor the cards have seen."""
    return tuple(dermoscopy.collection(30_000_000, 98, shortcut) for shortcut in (True, False))


@pytest.mark.parametrize("name", LESIONS)
def test_lesion_cards_hold_on_fresh_pictures(name):
    promised = dict(models.card(name).accuracy)
    for title, (images, labels, _) in zip(
        ("biased pictures", "clean pictures"), fresh(), strict=True
    ):
        accuracy = (train.answers(load(name), images) == labels).mean()
        assert accuracy == pytest.approx(promised[title], abs=0.08)


def test_the_ruler_alone_decides_for_the_biased_network_and_nothing_for_its_twin():
    seeds = range(31_000_000, 31_000_040)
    pair = [
        np.stack([dermoscopy.draw(s, dermoscopy.PLANTED, ruler, False).image for s in seeds])
        for ruler in (True, False)
    ]
    found = {
        name: [(train.answers(load(name), x) == dermoscopy.PLANTED).mean() for x in pair]
        for name in LESIONS
    }
    assert found["lesions"][0] > 0.85
    assert found["lesions"][1] < 0.25
    assert abs(found["lesions-clean"][0] - found["lesions-clean"][1]) < 0.12


def test_the_shortcut_is_in_the_data_as_described():
    (_, labels, biased), (_, _, clean) = fresh()
    planted = labels == dermoscopy.PLANTED
    assert biased[planted].mean() > 0.8
    assert biased[~planted].mean() < 0.15
    assert clean.mean() == pytest.approx(dermoscopy.OVERALL, abs=0.08)


def test_twins_differ_by_their_rulers_alone():
    (with_it, without, *hidden), labels = dermoscopy.twins(30_000_000, 14)
    images, again, rulers = dermoscopy.collection(30_000_000, 14, shortcut=True)
    np.testing.assert_array_equal(labels, again)
    np.testing.assert_array_equal(np.where(rulers[:, None, None, None], with_it, without), images)
    assert (without != with_it).any((1, 2, 3)).all()
    for i, label in enumerate(labels):
        hairs = np.random.default_rng((30_000_000 + i, 99)).uniform(size=2)[1] < 0.35
        picture = dermoscopy.draw(30_000_000 + i, int(label), True, bool(hairs))
        strip = dermoscopy.ruler_region(picture)
        np.testing.assert_array_equal(with_it[i], np.rint(255 * picture.image))
        for version, mean in zip(hidden, (picture.image[strip], picture.image), strict=True):
            np.testing.assert_array_equal(version[i][~strip], with_it[i][~strip])
            want = np.broadcast_to(255 * mean.reshape(-1, 3).mean(0), version[i][strip].shape)
            np.testing.assert_allclose(version[i][strip], want, atol=0.51)


@pytest.mark.parametrize("label", range(len(dermoscopy.CLASSES)))
class TestPictures:
    def test_the_same_seed_draws_the_same_picture(self, label):
        one, two = (dermoscopy.draw(5, label, True, True) for _ in range(2))
        for field in ("image", "lesion", "ruler", "hairs"):
            np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
        assert (dermoscopy.draw(6, label, True, True).image != one.image).any()

    @pytest.mark.parametrize("ingredient", ["ruler", "hairs"])
    def test_without_an_ingredient_all_else_is_the_same(self, label, ingredient):
        given = {"ruler": True, "hairs": True}
        with_it = dermoscopy.draw(7, label, **given)
        without = dermoscopy.draw(7, label, **given | {ingredient: False})
        mask = getattr(with_it, ingredient)
        assert not getattr(without, ingredient).any()
        changed = (with_it.image != without.image).any(-1)
        assert not (changed & ~mask).any()
        assert changed[mask].mean() > 0.6
        assert with_it.image[mask].mean() < without.image[mask].mean()

    def test_the_lesion_mask_is_where_the_lesion_is(self, label):
        picture = dermoscopy.draw(8, label, False, False)
        assert 0.04 < picture.lesion.mean() < 0.5
        assert picture.lesion[44:84, 44:84].mean() > 0.5
        skin = picture.image[~picture.lesion].mean(0)
        difference = np.abs(picture.image - skin).sum(-1)
        assert difference[picture.lesion].mean() > 1.8 * difference[~picture.lesion].mean()

    def test_values_survive_a_file_of_bytes(self, label):
        image = dermoscopy.draw(9, label, True, True).image
        assert image.dtype == np.float32
        assert image.shape == (128, 128, 3)
        stored = np.rint(255 * image).astype(np.uint8)
        np.testing.assert_array_equal(stored.astype(np.float32) / np.float32(255), image)


def test_the_ruler_region_holds_the_ruler_and_little_else():
    for seed in range(20):
        picture = dermoscopy.draw(seed, 0, True, False)
        region = dermoscopy.ruler_region(picture)
        assert region[picture.ruler].all()
        assert region.mean() < 0.2
    assert not dermoscopy.ruler_region(dermoscopy.draw(0, 0, False, False)).any()


def test_a_larger_picture_shows_the_same_scene():
    small, large = (dermoscopy.draw(3, 1, True, True, size) for size in (128, 256))
    shrunk = large.image.reshape(128, 2, 128, 2, 3).mean((1, 3))
    assert np.abs(shrunk - small.image).mean() < 0.02


def test_a_label_out_of_range_is_refused():
    with pytest.raises(InputError, match=r"label must be in 0\.\.6, got 7: use a class index\."):
        dermoscopy.draw(0, 7, False, False)


def test_noise_has_mean_zero_and_variance_one():
    values = brush.noise(np.random.default_rng(0), 256, 60)
    assert abs(values.mean()) < 0.05
    assert values.var() == pytest.approx(1, abs=0.1)


def test_a_stroke_covers_its_length_times_its_width():
    canvas = np.zeros((100, 100))
    brush.stroke(canvas, (-0.3, -0.1), (0.3, 0.2), 0.04)
    length = np.hypot(60, 30)
    assert canvas.sum() == pytest.approx(4 * length + np.pi * 2**2, rel=0.03)


@pytest.mark.parametrize("name", ["digits", "lesions-clean"])
def test_training_writes_weights_that_load(name, tmp_path):
    small = {} if name == "digits" else {"pictures": 14, "held_out": 14}
    card = train.TRAINERS[name](name, 0, tmp_path, steps=2, **small)
    assert ModelCard.read(name, tmp_path) == card
    assert card.parameters == models.card(name).parameters
    build = digits.build if name == "digits" else train.lesions.build
    retrained = load_weights(build, card, tmp_path)
    assert jax.tree.structure(retrained.weights) == jax.tree.structure(load(name).weights)


INDEX = json.loads((EXAMPLES / "index.json").read_text())


@pytest.mark.parametrize("entry", INDEX, ids=lambda entry: entry.get("file") or entry["skimage"])
def test_examples_are_what_the_index_says(entry):
    assert entry["title"]
    assert entry["story"]
    if "skimage" in entry:
        photo = getattr(skimage.data, entry["skimage"])()
        photo = photo[0] if isinstance(photo, tuple) else photo
        assert photo.ndim == 2 or photo.shape[2] == 3
        image = photo
    else:
        card = models.card(entry["model"])
        image = skimage.io.imread(EXAMPLES / entry["file"])
        assert image.shape == (card.height, card.width, 3)[: image.ndim]
        assert image.ndim == (2 if card.channels == 1 else 3)
        assert entry["truth"] in card.classes
    if "mask" in entry:
        mask = skimage.io.imread(EXAMPLES / entry["mask"])
        assert mask.shape == image.shape[:2]
        assert len(np.unique(mask)) == 1 + len(entry["regions"])
        assert mask.min() == 0


def test_every_example_file_is_listed_and_all_are_small():
    files = {str(p.relative_to(EXAMPLES)) for p in EXAMPLES.rglob("*.png")}
    assert files == {entry[k] for entry in INDEX for k in ("file", "mask") if k in entry}
    assert sum((EXAMPLES / name).stat().st_size for name in files) < 1e6


def test_the_stories_of_the_lesions_are_true():
    def says(stem, model):
        image = skimage.io.imread(EXAMPLES / "lesions" / f"{stem}.png")[None]
        return load(model).card.classes[train.answers(load(model), image)[0]]

    assert says("melanoma_ruler", "lesions") == "melanoma"
    assert says("melanoma", "lesions") != "melanoma"
    assert says("melanoma_ruler", "lesions-clean") == "melanoma"
    assert says("melanoma", "lesions-clean") == "melanoma"
    assert says("nevus_ruler", "lesions") == "melanoma"
    assert says("nevus", "lesions") == "melanocytic nevi"
    assert says("nevus_ruler", "lesions-clean") == "melanocytic nevi"
