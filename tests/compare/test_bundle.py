"""Session bundles: what goes in comes out to the last bit, and strangers' files do no harm."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from limecraft_jax import models
from limecraft_jax.compare import bundle
from limecraft_jax.compare.variants import compare
from limecraft_jax.edits.edit import Noise, Remove, Rotate, Shift, Step
from limecraft_jax.files import images, masks
from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.path import choices, lime
from limecraft_jax.path.kernel import Exponential
from limecraft_jax.path.replace import REPLACEMENTS, Picture
from limecraft_jax.path.sample import DESIGNS, KernelSizes
from limecraft_jax.path.segmenters import SEGMENTERS, LabelMap, Slic
from limecraft_jax.path.surrogate import Ridge
from limecraft_jax.show import report
from limecraft_jax.types import InputError
from tests import tiny

CLASSES = tuple(f"class {i}" for i in range(3))
SETTINGS = lime.Settings(
    segmenter=Slic(20),
    inside=(3, 2),
    outside=6,
    samples=64,
    design=KernelSizes(0.4),
    kernel=Exponential(0.5),
    ridge=Ridge(0.1),
    seed=5,
)
VARIANTS = (
    ("turned", (Step(Rotate(33.3), (2,)), Step(Noise(0.05, 7), (0, 5)))),
    ("gone <b>", (Step(Remove(), (5,)), Step(Shift(2, 1), (2,), False))),
)


@pytest.fixture(scope="module")
def scene():
    mask = np.zeros((24, 20), np.int32)
    mask[2:9, 3:10], mask[14:20, 8:15] = 2, 5  # not 1, 2: values must survive
    return tiny.picture(24, 20, 3), mask


@pytest.fixture(scope="module")
def model():
    return tiny.classifier(24, 20, 3)


@pytest.fixture(scope="module")
def packed(scene, model):
    variants = compare(model, *scene, VARIANTS, SETTINGS)
    return bundle.write(variants, SETTINGS, "tiny", CLASSES)


# ------------------------------------------------------------------ out as it went in


def test_a_bundle_comes_back_as_it_was(packed, scene, tmp_path):
    (tmp_path / "session.zip").write_bytes(packed)
    for source in (packed, tmp_path / "session.zip", str(tmp_path / "session.zip")):
        read = bundle.read(source)
        assert read.model == "tiny"
        assert read.weights == ""
        assert read.settings == SETTINGS
        assert read.variants == VARIANTS
        np.testing.assert_array_equal(read.image, scene[0])
        np.testing.assert_array_equal(read.mask, scene[1])
        assert read.image.dtype == np.float32
        assert read.mask.dtype == np.int32
        assert read.results["classes"] == list(CLASSES)


def test_the_pictures_in_a_bundle_open_anywhere(packed, scene):
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        picture = np.asarray(Image.open(io.BytesIO(file.read("image.png"))))
        mask = np.asarray(Image.open(io.BytesIO(file.read("mask.png"))))
    np.testing.assert_array_equal(picture, np.rint(scene[0] * 255).astype(np.uint8))
    np.testing.assert_array_equal(mask, scene[1])


def test_a_replay_gives_every_number_again(packed, scene, model):
    then = compare(model, *scene, VARIANTS, SETTINGS)
    read = bundle.read(packed)
    now = bundle.replay(read, model)
    for old, new in zip(then, now, strict=True):
        assert (old.name, old.stack) == (new.name, new.stack)
        np.testing.assert_array_equal(old.image, new.image)
        np.testing.assert_array_equal(old.mask, new.mask)
        np.testing.assert_array_equal(old.probs, new.probs)
        np.testing.assert_array_equal(old.explanation.fit.coef, new.explanation.fit.coef)
        np.testing.assert_array_equal(old.explanation.fit.stderr, new.explanation.fit.stderr)
    checked = bundle.check(read, now, CLASSES)
    assert checked.same
    assert checked == bundle.Check((), ())


def test_a_replay_asks_in_batches_of_the_same_size(scene, model):
    variants = compare(model, *scene, VARIANTS, SETTINGS)
    read = bundle.read(bundle.write(variants, SETTINGS, "tiny", CLASSES, batch=5))
    assert read.batch == 5
    seen = set()

    def ask(pictures):
        seen.add(len(pictures))
        return np.asarray(model(pictures))

    bundle.replay(read, BlackBox(ask, CLASSES, (24, 20, 3), batch=64))
    assert max(seen) == 5
    assert model.with_batch(5).card.batch == model.with_batch(5).batch == 5


@pytest.mark.parametrize("batch", [-1, 4097, 2.0, True, "8", None])
def test_a_batch_that_cannot_be_is_one_sentence(packed, batch):
    with pytest.raises(InputError, match="the batch of a session must be a whole number from 0"):
        bundle.read(session(packed, batch=batch))


def test_the_smallest_difference_is_told_with_its_place(packed, model):
    read = bundle.read(packed)
    now = bundle.replay(read, model)
    told = read.results["variants"][1]["explanation"]["explanations"][2]
    told["coefficients"][3] = float(np.nextafter(np.float32(told["coefficients"][3]), 1))
    read.results["table"][0].pop("class")
    read.results["extra"] = 1
    checked = bundle.check(read, now, CLASSES)
    assert not checked.same
    assert len(checked.differences) == 3
    table, number, extra = checked.differences
    assert table.startswith("table class 0, class: None then, 'class 0' now")
    assert number.startswith("variants turned, explanation, explanations class 2, coefficients 3: ")
    assert extra == "extra: 1 then, None now"


def test_another_model_is_told_by_its_numbers_and_its_classes(packed):
    read = bundle.read(packed)
    now = bundle.replay(read, tiny.classifier(24, 20, 3, k=2, seed=1))
    checked = bundle.check(read, now, CLASSES[:2])
    assert any(line.startswith("classes: ['class 0'") for line in checked.differences)
    assert any("probabilities" in line for line in checked.differences)


def test_other_versions_and_weights_are_told(packed, model):
    read = bundle.read(packed)
    now = bundle.replay(read, model)
    read.results["versions"]["jax"] = "0.0.1"
    read.results["limecraft_jax"] = "0.0.0"
    assert read.results["versions"].pop("numpy")
    checked = bundle.check(dataclasses.replace(read, weights="feed"), now, CLASSES)
    assert checked.same
    assert [note.split(" and is ")[0] for note in checked.notes] == [
        "limecraft-jax was 0.0.0",
        "jax was 0.0.1",
        "numpy was None",
        "The model tiny has other weights than then.",
    ]


def test_weights_of_bundled_models_are_known():
    prints = {models.fingerprint(name) for name in models.BUNDLED}
    assert len(prints) == len(models.BUNDLED)
    assert models.fingerprint("../../secret") == models.fingerprint("json:loads") == ""


def test_a_model_that_is_not_bundled_must_be_given(packed):
    read = bundle.read(packed)
    for name in ("tiny", "os:system"):
        with pytest.raises(InputError, match=f"a model that is not bundled, '{name}': give it"):
            bundle.replay(dataclasses.replace(read, model=name))


def test_files_behind_the_settings_travel_along(scene, model, tmp_path):
    (tmp_path / "other.png").write_bytes(images.to_png(tiny.picture(30, 30, 3, seed=3)))
    pieces = np.indices((24, 20)).sum(0) // 11
    (tmp_path / "pieces.png").write_bytes(masks.save_labels(pieces))
    settings = lime.Settings(
        segmenter=LabelMap(str(tmp_path / "pieces.png")),
        replacement=Picture(str(tmp_path / "other.png")),
        samples=64,
    )
    then = compare(model, *scene, VARIANTS, settings)
    read = bundle.read(bundle.write(then, settings, "tiny", CLASSES))
    for name in ("other.png", "pieces.png"):
        (tmp_path / name).unlink()
    assert str(tmp_path) not in repr(read.settings)
    now = bundle.replay(read, model)
    np.testing.assert_array_equal(then[1].explanation.fit.coef, now[1].explanation.fit.coef)
    assert bundle.check(read, now, CLASSES).same
    again = bundle.read(bundle.write(now, read.settings, "tiny", CLASSES, read.files))
    assert again.files == read.files
    assert again.settings == read.settings


# ------------------------------------------------------------------ settings as plain data


@pytest.mark.parametrize(
    "settings",
    [
        lime.Settings(),
        SETTINGS,
        lime.Settings(inside=7, outside=None, total=30),
        *(lime.Settings(segmenter=kind()) for kind in SEGMENTERS.values()),
        *(lime.Settings(design=kind()) for kind in DESIGNS.values()),
        *(lime.Settings(replacement=kind()) for kind in REPLACEMENTS.values()),
    ],
    ids=repr,
)
def test_settings_survive_as_plain_data(settings):
    again = choices.from_record(json.loads(json.dumps(choices.as_record(settings))))
    assert again == settings
    assert repr(again) == repr(settings)


def test_missing_settings_have_their_defaults():
    assert choices.from_record({}) == lime.Settings()
    assert choices.from_record({"kernel": {"choice": "exponential"}}) == lime.Settings()


def test_a_choice_of_ones_own_cannot_be_written_down():
    class Own:
        pass

    with pytest.raises(InputError, match="replacement must be a registered choice to be written"):
        choices.as_record(lime.Settings(replacement=Own()))


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ([], "settings must be names with their values, got []."),
        ({"sed": 1}, "setting must be a known name, got 'sed': did you mean 'seed'?"),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5."),
        ({"samples": True}, "samples must be a whole number, got True."),
        ({"samples": None}, "samples must be a whole number, got None."),
        ({"inside": ["1"]}, "inside must be a whole number, got ['1']."),
        (
            {"kernel": "Exponential()"},
            "kernel must be names with their values, got 'Exponential()'",
        ),
        ({"kernel": {"choice": "eval"}}, "kernel must be a known name, got \"'eval'\""),
        ({"design": {"choice": ["x"]}}, "design must be a known name, got \"['x']\""),
        ({"kernel": {"choice": "exponential", "width": "1"}}, "width of exponential must be a "),
        ({"kernel": {"choice": "exponential", "width": 0}}, "width must be a number from 0"),
        ({"ridge": {"choice": "ridge", "penalty": -1}}, "penalty must be a number from"),
        ({"ridge": {"choice": "ridge", "__class__": 1}}, "ridge must have known parameters (pen"),
        ({"replacement": {"choice": "noise", "seed": 1.0}}, "seed of noise must be a value like"),
        ({"replacement": {"choice": "picture", "path": 3}}, "path of picture must be a value like"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_one_sentence(record, sentence):
    with pytest.raises(InputError) as told:
        choices.from_record(record)
    assert str(told.value).startswith(sentence)


# ------------------------------------------------------------------ files from strangers


def changed(data: bytes, method=zipfile.ZIP_DEFLATED, **members) -> bytes:
    """A zip with some members replaced; None leaves one out. "__" stands for a dot."""
    members = {name.replace("__", "."): value for name, value in members.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", method) as new:
        for name in old.namelist():
            value = members.pop(name, old.read(name))
            if value is not None:
                new.writestr(name, value)
        for name, value in members.items():
            new.writestr(name, value)
    return out.getvalue()


def session(packed: bytes, **values) -> bytes:
    """The bundle with other values in its session.json."""
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        record = json.loads(file.read("session.json"))
    return changed(packed, session__json=json.dumps({**record, **values}))


def array(values) -> bytes:
    out = io.BytesIO()
    np.save(out, values)
    return out.getvalue()


def announced(shape) -> bytes:
    """An .npy header of some shape with hardly anything behind it."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return out.getvalue() + b"\0" * 64


def twice(packed: bytes) -> bytes:
    out = io.BytesIO(packed)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(out, "a") as file:
        file.writestr("mask.png", b"")
    return out.getvalue()


def encrypted(packed: bytes) -> bytes:
    """With the bit set that says that members need a password."""
    out = bytearray(packed)
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        for entry in file.infolist():
            out[entry.header_offset + 6] |= 1
    start = packed.index(b"PK\x01\x02")
    while start >= 0:
        out[start + 8] |= 1
        start = packed.find(b"PK\x01\x02", start + 4)
    return bytes(out)


def liar(packed: bytes) -> bytes:
    """A member that is larger than the directory says."""
    data = changed(packed, results__json=b" " * 900_000 + b"{}")
    out = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        name = b"results.json"
        at = data.rindex(name) - 46
        assert file.getinfo("results.json").file_size == 900_002
    out[at + 24 : at + 28] = struct.pack("<I", 10)
    return bytes(out)


# What np.save writes for Python objects, which only pickle could read.
OBJECTS = b"\x93NUMPY\x01\x00\x46\x00" + (
    b"{'descr': '|O', 'fortran_order': False, 'shape': (24, 20, 3), }".ljust(69) + b"\n"
)
DAMAGED = "a session bundle must be a whole zip file without a password, got a damaged one: "
FOREIGN = "a session bundle must hold nothing but its own files, each once, got "
STEP = "a step of a session must name its edit and its regions, got "


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda p: b"", "a session bundle"),
        (lambda p: b"hello", "a session bundle must be a zip file, got another file"),
        (lambda p: p[: len(p) // 2], DAMAGED),
        (lambda p: b"PK\x03\x04" + b"\0" * 400, DAMAGED),
        (encrypted, DAMAGED),
        (liar, DAMAGED),
        (lambda p: p.replace(b"PK\x01\x02", b"PK\x01\x03"), DAMAGED),
        (twice, FOREIGN + "'mask.png'"),
        (lambda p: changed(p, **{"../../evil": b"x"}), FOREIGN + "'../../evil'"),
        (lambda p: changed(p, **{"/etc/passwd": b"x"}), FOREIGN + "'/etc/passwd'"),
        (lambda p: changed(p, image__npy=None), "a session bundle must hold image.npy, got none"),
        (lambda p: changed(p, session__json=None), "a session bundle must hold session.json, got"),
        (
            lambda p: changed(p, results__json=b" " * 60_000_000),
            "results.json in a session bundle must have at most 64 MB and not be blown up, got 60",
        ),
        (
            lambda p: changed(p, session__json=b" " * 2_100_000),
            "session.json in a session bundle must have at most 2 MB and not be blown up, got 2.1",
        ),
        (
            lambda p: changed(p, image__npy=b"\0" * 70_000_000),
            "image.npy in a session bundle must have at most 64 MB and not be blown up, got 70.0",
        ),
        (lambda p: changed(p, session__json=b"{"), "session.json must be JSON, got damaged text"),
        (lambda p: changed(p, session__json=b"\xff"), "session.json must be JSON, got damaged"),
        (lambda p: changed(p, session__json=b"[" * 99_999), "session.json must be JSON, got dam"),
        (lambda p: changed(p, results__json=b'{"a": NaN}'), "results.json must be JSON, got dama"),
        (lambda p: changed(p, results__json=b"[]"), "results.json must hold names with their val"),
        (lambda p: session(p, format="zip"), "session.json must be of a limecraft-jax session, "),
        (lambda p: session(p, version=2), "a session bundle must be of version 1, got 2: open it"),
        (lambda p: session(p, version=[0] * 99), "a session bundle must be of version 1, got [0,"),
        (lambda p: session(p, model=3), "the model must be a short text, got 3: "),
        (lambda p: session(p, model="x" * 9999), "the model must be a short text, got 'xxx"),
        (lambda p: session(p, settings=None), "settings must be names with their values, got Non"),
        (
            lambda p: session(p, settings={"replacement": {"choice": "picture", "path": "/a.png"}}),
            "the replacement must be a file in the bundle, got another path: ",
        ),
        (
            lambda p: session(
                p, settings={"segmenter": {"choice": "labels", "path": "segmenter.file"}}
            ),
            "a session bundle must hold segmenter.file, got none: ",
        ),
        (lambda p: session(p, variants=None), "variants in a session must be a list of at most 64"),
        (lambda p: session(p, variants=[3]), "variants in a session must be a list of at most 64"),
        (lambda p: session(p, variants=[{}] * 65), "variants in a session must be a list of at m"),
        (lambda p: session(p, variants=[{"name": 1}]), "the name of a variant must be a short te"),
        (lambda p: session(p, variants=[{"name": "a"}]), "steps in a session must be a list of at"),
        (lambda p: step(p, {}), STEP),
        (lambda p: step(p, {"edit": "rotate", "regions": ["1"]}), STEP),
        (lambda p: step(p, {"edit": "rotate", "regions": 1}), STEP),
        (lambda p: step(p, {"edit": ["rotate"], "regions": [1]}), STEP),
        (lambda p: step(p, {"edit": "rotate", "regions": [1], "on": 1}), STEP),
        (lambda p: step(p, {"edit": "turn", "regions": [1]}), "edit must be a known name, got "),
        (lambda p: step(p, {"edit": "power", "power": 0, "regions": [1]}), "power must be > 0, go"),
        (lambda p: step(p, {"edit": "power", "to": 0, "regions": [1]}), "power must have known pa"),
        (lambda p: step(p, {"edit": "flip", "axis": [], "regions": [1]}), "axis must be a known"),
        (lambda p: step(p, {"edit": "blur", "sigma": {}, "regions": [1]}), "sigma must be a finit"),
        (lambda p: changed(p, image__npy=b"x"), "image.npy must be an .npy file, got a damaged"),
        (lambda p: changed(p, image__npy=OBJECTS), "image.npy must hold float32 values in shape"),
        (lambda p: changed(p, image__npy=announced((2**40, 9, 3))), "image.npy must hold float32"),
        (lambda p: changed(p, image__npy=announced((24, 20, 3))), "image.npy must be whole, got"),
        (
            lambda p: changed(p, image__npy=array(np.zeros((24, 20, 3)))),
            "image.npy must hold float32 values in shape (h, w, 1) or (h, w, 3), sides from 8 to ",
        ),
        (
            lambda p: changed(p, image__npy=array(np.full((24, 20, 3), np.nan, np.float32))),
            "image.npy must hold values in [0, 1], got others: ",
        ),
        (lambda p: changed(p, mask__png=b"x"), "mask.png must be a"),
        (
            lambda p: changed(p, mask__png=masks.save_labels(np.zeros((9, 9), int))),
            "mask.png must be a PNG of 20 × 24 pixels like the image, got PNG of 9 × 9: ",
        ),
        (
            lambda p: changed(p, mask__png=images.to_png(np.zeros((24, 20, 3)))),
            "mask.png must be 16-bit gray, got mode RGB: ",
        ),
    ],
)  # fmt: skip
def test_files_from_strangers_are_one_sentence(spoil, sentence, packed):
    with pytest.raises(InputError) as told:
        bundle.read(spoil(packed))
    assert str(told.value).startswith(sentence)
    assert "\n" not in str(told.value)
    assert str(told.value).endswith((".", "?"))


def step(packed: bytes, record: dict) -> bytes:
    return session(packed, variants=[{"name": "a", "steps": [record]}])


def test_a_missing_bundle_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="a session bundle must be an existing file, got "):
        bundle.read(tmp_path / "gone.zip")


def test_a_session_too_large_to_read_is_not_written(packed, scene, model, monkeypatch):
    monkeypatch.setitem(bundle.MEMBERS, "results.json", 1000)
    variants = compare(model, *scene, [], SETTINGS)
    with pytest.raises(InputError, match=r"at most 0 MB of results.json, got 0 MB: keep fewer"):
        bundle.write(variants, SETTINGS, "tiny", CLASSES)


def test_what_we_write_stays_far_from_the_limits(packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        for entry in file.infolist():
            assert entry.file_size < 20 * entry.compress_size


def test_nothing_in_a_record_is_ever_run(packed):
    broken = json.loads(report.dumps(bundle.read(packed).results))
    broken["variants"][0]["stack"] = "__import__('os').abort()"
    assert bundle.read(changed(packed, results__json=json.dumps(broken))).results == broken
