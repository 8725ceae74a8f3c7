"""Brick, grass and gravel: where the truth of an explanation is known pixel by pixel."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
import skimage.io
import skimage.transform
from flax import nnx

import limecraft_jax
from limecraft_jax import models
from limecraft_jax.files import masks
from limecraft_jax.models.bundled import composites, textures, train
from limecraft_jax.models.card import ModelCard
from limecraft_jax.models.classifier import load_weights
from limecraft_jax.path import lime

FIRST_SEED = 50_000_000  # far from the seeds of training, of the card and of the examples
PICTURES = 12
EXAMPLES = Path(limecraft_jax.__file__).parent / "examples"
ENTRIES = [
    entry
    for entry in json.loads((EXAMPLES / "index.json").read_text())
    if entry.get("model") == "textures"
]
CLASSES = composites.CLASSES
load = functools.cache(models.load)


# The network.


def test_the_card_holds_when_measured_again():
    images, labels = composites.unseen(600)
    found = [(train.answers(load("textures"), images) == labels).mean()]
    drawn = [composites.draw(train.HELD_OUT + i, parts=2 + i % 2) for i in range(600)]
    named = train.answers(load("textures"), np.stack([p.image for p in drawn]))
    counts = np.array([[(p.texture == k).sum() for k in range(3)] for p in drawn])
    found.append((counts.argmax(1) == named).mean())
    promised = [value for _, value in models.card("textures").accuracy]
    np.testing.assert_allclose(found, promised, atol=0.005)
    assert promised[0] >= 0.97
    assert promised[1] >= 0.85


def test_it_knows_crops_that_another_package_cut():
    model, rng = load("textures"), np.random.default_rng(0)
    crops = []
    for i in range(60):
        photograph = getattr(skimage.data, CLASSES[i % 3])()
        top, left = rng.integers(0, 512 - 200), rng.integers(272, 512 - 200 + 1)
        crop = photograph[top : top + 200, left : left + 200]
        crops.append(skimage.transform.resize(crop, (128, 128), anti_aliasing=True)[..., None])
    named = train.answers(model, np.stack(crops).astype(np.float32))
    assert (named == np.arange(60) % 3).mean() >= 0.97


def test_the_answer_is_the_share_of_all_evidence():
    model = load("textures")
    image = composites.draw(FIRST_SEED, parts=3).image
    network = nnx.merge(model.net, model.weights)
    evidence = network.evidence((image[None] - model.card.mean[0]) / model.card.std[0])
    weight = np.exp(np.asarray(evidence, np.float64)).sum((0, 1, 2))
    np.testing.assert_allclose(lime.predict(model, image), weight / weight.sum(), rtol=1e-4)


def test_a_place_sees_32_pixels_and_nothing_else():
    model = load("textures")
    network = nnx.merge(model.net, model.weights)
    images = np.stack([composites.draw(FIRST_SEED, parts=1).image] * 2)
    images[1, 64:72, 64:72] = 1 - images[1, 64:72, 64:72]  # the place in row 8, column 8
    one, other = np.asarray(network.evidence(jnp.asarray(images)))
    rows, columns = np.nonzero(np.abs(one - other).max(-1) > 1e-4)
    # A window reaches 12 pixels beyond its place of 8x8, so 2 places to either side can notice.
    assert {8} <= set(rows) <= {6, 7, 8, 9, 10}
    assert {8} <= set(columns) <= {6, 7, 8, 9, 10}


def test_training_writes_weights_that_load(tmp_path):
    card = train.TRAINERS["textures"]("textures", 0, tmp_path, steps=2, pictures=20, held_out=6)
    assert ModelCard.read("textures", tmp_path) == card
    assert card.parameters == models.card("textures").parameters
    load_weights(textures.build, card, tmp_path)


# The pictures.


@pytest.fixture
def repaint(monkeypatch):
    """Replace the photographs by what a function makes of them."""

    def use(change):
        real = {name: getattr(skimage.data, name)() for name in CLASSES}
        monkeypatch.setattr(composites, "photograph", lambda name: change(name, real[name].copy()))

    return use


def test_training_and_testing_share_no_column(repaint):
    def without(columns):
        def change(name, photograph):
            photograph[:, columns] = 0
            return photograph

        return change

    training = composites.collection(0, 8)[0]
    testing = [
        composites.unseen(6)[0],
        *(composites.draw(seed, parts=3).image for seed in range(3)),
        *(composites.scene(0, name).image for name in composites.SCENES),
    ]
    repaint(without(slice(256, 512)))
    np.testing.assert_array_equal(composites.collection(0, 8)[0], training)
    assert (composites.unseen(6)[0] == 0).all()
    repaint(without(slice(0, 272)))
    again = [
        composites.unseen(6)[0],
        *(composites.draw(seed, parts=3).image for seed in range(3)),
        *(composites.scene(0, name).image for name in composites.SCENES),
    ]
    for one, other in zip(testing, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (composites.collection(0, 8)[0] != training).any()


@pytest.mark.parametrize("shown", CLASSES)
def test_the_truth_map_says_which_photograph_each_pixel_shows(shown, repaint):
    repaint(lambda name, photograph: np.full_like(photograph, 255 * (name == shown)))
    pictures = [composites.draw(seed, parts=3) for seed in range(6)]
    for picture in (*pictures, composites.scene(0, "three")):
        weight, own = picture.image[..., 0], picture.texture == CLASSES.index(shown)
        assert own[weight > 0.51].all()
        assert (weight[own] > 0.32).all()
        assert ((weight == 0) | (weight == 1)).mean() > 0.8  # all but the blended borders


def test_the_goal_is_the_share_of_what_can_be_seen():
    texture = np.repeat(np.array([[0, 1, 3, 3]], np.uint8), 4, axis=0)
    picture = composites.Composite(np.zeros((4, 4, 1), np.float32), texture)
    np.testing.assert_allclose(picture.goal, np.array([0.26, 0.26, 0.01]) / 0.53)
    nothing = composites.Composite(picture.image, np.full_like(texture, composites.HIDDEN))
    np.testing.assert_allclose(nothing.goal, [1 / 3] * 3)


def test_hiding_touches_what_it_says_and_nothing_else():
    for seed in range(8):
        picture = composites.draw(seed, parts=3)
        hidden = composites.hide(np.random.default_rng(seed), picture)
        off = hidden.texture == composites.HIDDEN
        np.testing.assert_array_equal(hidden.image[~off], picture.image[~off])
        np.testing.assert_array_equal(hidden.texture[~off], picture.texture[~off])
        rough = [
            np.abs(np.diff(p.image[..., 0]))[off[:, 1:] & off[:, :-1]] for p in (hidden, picture)
        ]
        assert rough[0].mean() < 0.3 * rough[1].mean()


def test_the_same_seed_draws_the_same_picture():
    for one, two in zip(composites.collection(3, 4), composites.collection(3, 4), strict=True):
        np.testing.assert_array_equal(one, two)
    assert (composites.draw(1).image != composites.draw(2).image).any()


# Explanations whose truth is known.


@functools.cache
def explained():
    """Per picture and texture: coefficients, whether decided, and the share of the texture."""
    found = []
    for i in range(PICTURES):
        picture = composites.draw(FIRST_SEED + i, parts=2 + i % 2)
        answer = lime.explain(picture.image, load("textures"), None, lime.Settings(samples=300))
        labels = answer.neighborhood.segmentation.labels.ravel()
        low, high = answer.fit.interval()
        for k in np.flatnonzero(picture.areas[:3] >= 0.1):
            share = np.bincount(labels, picture.texture.ravel() == k) / np.bincount(labels)
            decided = (low[k] > 0) | (high[k] < 0)
            found.append((np.asarray(answer.fit.coef[k]), decided, share))
    return found


def test_a_texture_is_carried_by_its_own_superpixels():
    for coef, _, share in explained():
        assert coef[share >= 0.8].mean() > 0 > coef[share <= 0.2].mean()
        assert coef[share >= 0.8].mean() > coef[share <= 0.2].mean() + 0.002


def test_what_is_decided_has_the_right_sign():
    right = []
    for coef, decided, share in explained():
        clear = decided & ((share >= 0.8) | (share <= 0.2))
        right.append((coef > 0)[clear] == (share >= 0.8)[clear])
    assert len(np.concatenate(right)) > 20 * PICTURES
    # Three sets of 12 pictures gave .92, .90 and .91 of all, and .76 at least in one picture.
    assert np.concatenate(right).mean() >= 0.88
    assert min(each.mean() for each in right) >= 0.6


@pytest.mark.parametrize("number", range(PICTURES))
def test_drawn_textures_speak_for_themselves_and_against_the_others(number):
    picture = composites.draw(FIRST_SEED + number, parts=2 + number % 2)
    present = np.unique(picture.texture)
    mask = np.searchsorted(present, picture.texture).astype(np.int32) + 1
    settings = lime.Settings(inside=0, outside=0, samples=300)
    answer = lime.explain(picture.image, load("textures"), mask, settings)
    segmentation = answer.neighborhood.segmentation
    for j in np.flatnonzero(segmentation.areas >= 0.01 * mask.size):
        own = present[segmentation.region[j] - 1]
        for k in present:
            assert (answer.fit.coef[k, j] > 0) == (k == own)


# The examples.


def truth(entry):
    """The texture of every pixel, as the mask of an example tells it."""
    drawn = masks.load_mask(EXAMPLES / entry["mask"], (128, 128)).labels
    return np.array([CLASSES.index(name) for name in (entry["rest"], *entry["regions"])])[drawn]


def picture_of(entry):
    """The picture of an example."""
    return skimage.io.imread(EXAMPLES / entry["file"]).astype(np.float32)[..., None] / 255


@pytest.mark.parametrize("entry", [e for e in ENTRIES if "mask" in e], ids=lambda e: e["title"])
def test_the_answer_to_an_example_follows_the_areas_of_its_mask(entry):
    texture, probs = truth(entry), lime.predict(load("textures"), picture_of(entry))
    areas = np.array([(texture == k).mean() for k in range(3)])
    assert np.abs(probs - areas).sum() / 2 < 0.06
    assert CLASSES[probs.argmax()] == CLASSES[areas.argmax()] == entry["truth"]


@pytest.mark.parametrize("entry", [e for e in ENTRIES if "mask" in e], ids=lambda e: e["title"])
def test_the_regions_of_an_example_speak_for_their_textures(entry):
    mask = truth(entry) + 1
    present = np.unique(mask)
    mask = np.searchsorted(present, mask).astype(np.int32) + 1
    settings = lime.Settings(inside=0, outside=0, samples=300)
    answer = lime.explain(picture_of(entry), load("textures"), mask, settings)
    for j, region in enumerate(answer.neighborhood.segmentation.region):
        for k in present - 1:
            assert (answer.fit.coef[k, j] > 0) == (k == present[region - 1] - 1)


def test_one_brick_says_little_where_the_whole_terrace_says_much():
    (entry,) = [e for e in ENTRIES if e["file"].endswith("/terrace.png")]
    brick = CLASSES.index("brick")
    mask = (truth(entry) == brick).astype(np.int32)
    model, image = load("textures"), picture_of(entry)
    whole = lime.explain(image, model, mask, lime.Settings(inside=0, outside=40, samples=300))
    pieces = lime.explain(image, model, None, lime.Settings(samples=300))
    labels = pieces.neighborhood.segmentation.labels
    on_brick = np.bincount(labels.ravel(), mask.ravel()) / np.bincount(labels.ravel()) >= 0.8
    region = whole.fit.coef[brick, whole.neighborhood.segmentation.inside]
    assert region.item() > 2 * pieces.fit.coef[brick, on_brick].sum() > 0


@pytest.mark.parametrize("name", CLASSES)
def test_a_sure_answer_can_have_a_weak_explanation(name):
    (entry,) = [e for e in ENTRIES if e["file"].endswith(f"/{name}.png")]
    answer = lime.explain(picture_of(entry), load("textures"), None, lime.Settings(samples=300))
    k = CLASSES.index(name)
    assert answer.neighborhood.probs[0, k] > 0.95
    assert np.abs(answer.fit.coef[k]).max() < 0.05
