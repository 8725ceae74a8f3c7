"""Keras files that ask for endless time or memory, or lie about their size: one sentence."""

from __future__ import annotations

import os
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

from limecraft_jax.models.formats import apart, kerasfile
from limecraft_jax.models.formats.own import open_model
from limecraft_jax.types import InputError
from tests.models.test_keras import PICTURES, PREDICT, C, H, W, linear, rewritten

layers = keras.layers
IMAGES = (H, W, C)


@pytest.fixture
def file(tmp_path):
    """Where to put the model."""
    return tmp_path / "net.keras"


def through(file, *between):
    """A model of these layers that ends in three scores."""
    chain = [keras.Input(IMAGES), *between, layers.GlobalAveragePooling2D(), layers.Dense(3)]
    keras.Sequential(chain).save(file)
    return file


def refused(file, sentence):
    """Opening ends with this sentence, and another model is answered then."""
    with pytest.raises(InputError, match=sentence) as caught:
        open_model(file, {})
    assert len(str(caught.value)) < 600
    np.testing.assert_allclose(open_model(linear(file), {})(PICTURES), PREDICT(PICTURES), atol=1e-6)


LARGE = {
    "padding": lambda: layers.ZeroPadding2D(10_000),
    "enlarging": lambda: layers.UpSampling2D(2_000),
    "resizing": lambda: layers.Resizing(20_000, 20_000),
    "transposed": lambda: layers.Conv2DTranspose(1, 1, strides=5_000, use_bias=False),
}


@pytest.mark.parametrize("make", LARGE.values(), ids=LARGE)
def test_memory_of_every_layer_is_worked_out_before_it_runs(make, file):
    through(file, make())
    refused(file, r"net\.keras must do with [\d.]+ GB of memory, got a model that takes \d+\.\d GB")


def test_giant_filters(file):
    through(file, layers.Conv2D(1, 3, padding="same"))

    def grow(config):
        config["config"]["layers"][1]["config"]["kernel_size"] = [20_000, 20_000]

    rewritten(file, grow)
    refused(file, "net.keras must have at most 1000 MB of weights, its layers ask for 4800 MB: giv")


def test_ten_million_classes(file):
    given = keras.Input(IMAGES)
    scores = keras.ops.tile(layers.GlobalAveragePooling2D()(given), [1, 10**7])
    keras.Model(given, scores).save(file)
    refused(file, "net.keras must give at most 50000 class scores per picture, got 30000000: give")


@pytest.mark.parametrize("batch", [5000, 10**7])
def test_a_fixed_batch_that_is_too_large(batch, file):
    def grow(config):
        config["config"]["layers"][0]["config"]["batch_shape"][0] = batch

    rewritten(linear(file, batch=4), grow)
    refused(
        file, f"at most 4096 pictures of 12 x 10 with 3 channels at once, got a batch of {batch}"
    )


def unrolled(file):
    """A recurrent layer that is written out step by step, a hundred thousand of them."""
    row = [layers.UpSampling2D((100, 100)), layers.Reshape((1200 * 1000, 3))]
    chain = [keras.Input(IMAGES), *row, layers.SimpleRNN(2), layers.Dense(3)]
    keras.Sequential(chain).save(file)

    def unroll(config):
        config["config"]["layers"][3]["config"]["unroll"] = True

    rewritten(file, unroll)


def slow(file):
    """The largest of 4001 x 4001 neighbors, everywhere."""
    through(file, layers.UpSampling2D(100), layers.MaxPooling2D(4001, 1, "same"))


@pytest.mark.parametrize("make", [unrolled, slow])
def test_time_is_bounded(make, file, monkeypatch):
    make(file)
    monkeypatch.setitem(apart.SECONDS, "keras", 3.0)
    with pytest.raises(InputError, match=r"must (open|answer \d+ pictures) within 3 seconds, got "):
        open_model(file, {"output": "logits"})
    assert "keras" not in apart._idle


# ------------------------------------------------------------------ zips that lie


def lying(file, member, data, told):
    """The file with a member that holds more than its entries in the zip say."""
    rewritten(file, **{member.replace(".", "__"): data})
    true, said = (len(data).to_bytes(4, "little"), told.to_bytes(4, "little"))
    crc = zlib.crc32(data).to_bytes(4, "little"), zlib.crc32(data[:told]).to_bytes(4, "little")
    whole = file.read_bytes()
    assert whole.count(true) == whole.count(crc[0]) == 2
    file.write_bytes(whole.replace(true, said).replace(*crc))
    with zipfile.ZipFile(file) as archive:
        assert archive.getinfo(member).file_size == told


@pytest.mark.parametrize("told", [2, 15_000_000])
def test_a_member_that_is_larger_than_it_says_is_never_unpacked_whole(told, file):
    lying(linear(file), "config.json", b"[]" + b" " * 100_000_000, told)
    assert file.stat().st_size < 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"config\.json in net.keras must have at most 20 MB"):
            kerasfile.check(file)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_weights_that_are_larger_than_they_say(file):
    whole = linear(file).read_bytes()
    lying(file, "model.weights.h5", bytes(30_000_000), 1_000)
    refused(file, "net.keras must be a .keras file, a whole zip without a password, got something")
    file.write_bytes(whole)
    assert kerasfile.check(file)


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_of_packing_that_cannot_be_unpacked_piece_by_piece(way, file):
    with zipfile.ZipFile(linear(file)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", way) as archive:
        for name, data in held.items():
            archive.writestr(name, data)
    refused(file, "must be packed as Keras does, stored or deflated, got .* packed in another way")
