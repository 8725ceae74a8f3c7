"""The command line: what it writes, how it refuses, and that its numbers are the API's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from limecraft_jax import cli, models
from limecraft_jax.cli import commands
from limecraft_jax.files import images, masks
from limecraft_jax.models.bundled import dermoscopy
from limecraft_jax.path import lime, replace, sample, segmenters
from limecraft_jax.show import report
from limecraft_jax.types import SHARE_RULES

ROOT = Path(__file__).resolve().parents[2]
FEW = ("--outside", "9", "--samples", "64", "--quiet")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A picture, two masks and a model of one's own, in a folder."""
    folder = tmp_path_factory.mktemp("cli")
    stroke = np.zeros((40, 40), np.float32)
    stroke[6:34, 17:23] = 1
    (folder / "one.png").write_bytes(images.to_png(stroke))
    lesion = dermoscopy.draw(40_000_123, 4, False, False)
    (folder / "lesion.png").write_bytes(images.to_png(lesion.image))
    regions = np.zeros((28, 28), np.uint8)
    regions[4:24, 12:16], regions[20:26, 20:26] = 100, 200
    Image.fromarray(regions).save(folder / "regions.png")
    Image.fromarray(regions.repeat(3, 0).repeat(3, 1)).save(folder / "large.png")
    (folder / "text.png").write_text("no picture at all")
    (folder / "own_model_of_a_test.py").write_text(
        "import numpy as np\n"
        "from limecraft_jax.models.blackbox import BlackBox\n"
        "def bright(images):\n"
        "    left = images[:, :, :20].mean(axis=(1, 2, 3))\n"
        "    return np.stack([left, 1 - left], axis=1)\n"
        "class Inner:\n"
        "    named = BlackBox(bright, classes=('bright', 'dark'), shape=(40, 40, 1))\n"
        "number = 3\n"
    )
    return folder


@pytest.fixture
def explain(files, tmp_path, capsys, monkeypatch):
    """Run `explain` on a picture in the folder; gives status, output, complaints, results."""
    monkeypatch.chdir(files)

    def run(image, *options, model="digits", out=tmp_path / "new" / "out"):
        given = ["explain", str(image), "--out", str(out), "--model", model, *map(str, options)]
        status = cli.main(given)
        said = capsys.readouterr()
        recorded = out / "explanation.json"
        found = json.loads(recorded.read_text()) if status == 0 else None
        return status, said.out, said.err, found, out

    return run


# ------------------------------------------------------------------ what it writes


def test_everything_is_written_and_agrees_with_the_api(files, explain):
    status, out, err, found, folder = explain(
        "one.png", "--mask", "regions.png", "--inside", 7, "--outside", 20, "--samples", 200,
        "--seed", 5, "--width", 0.4, "--penalty", 0.5, "--target", "7",
    )  # fmt: skip
    assert status == 0
    model = models.load("digits")
    image = model.prepare(images.load_image(files / "one.png").pixels)
    mask = masks.load_mask(files / "regions.png", (28, 28)).labels
    settings = lime.Settings(
        inside=7,
        outside=20,
        samples=200,
        seed=5,
        kernel=lime.Exponential(0.4),
        ridge=lime.surrogate.Ridge(0.5),
    )
    api = lime.explain(image, model, mask, settings)

    assert found["classes"] == list("0123456789")
    assert found["model"] == "digits"
    assert found["image"]["shape"] == [28, 28, 1]
    assert found["versions"]["jax"] == jax.__version__
    assert found["settings"] == {
        "segmenter": "KMeans(compactness=10.0)",
        "inside": 7,
        "outside": 20,
        "total": 100,
        "design": "Balanced(complements=True)",
        "samples": 200,
        "replacement": "MeanColor()",
        "kernel": "Exponential(width=0.4)",
        "ridge": "Ridge(penalty=0.5)",
        "seed": 5,
    }
    assert found["samples"] == found["samples_planned"] == 200
    assert found["exact"] is False
    assert found["superpixels"]["count"] == 27
    assert found["superpixels"]["region"] == api.neighborhood.segmentation.region.tolist()
    assert sum(found["superpixels"]["area"]) == 28 * 28

    # Bit for bit: every float32 survives its decimal form.
    np.testing.assert_array_equal(np.float32(found["probabilities"]), lime.predict(model, image))
    assert len(found["explanations"]) == 10
    low, high = api.fit.interval()
    for k, told in enumerate(found["explanations"]):
        assert told["class"] == str(k)
        np.testing.assert_array_equal(told["coefficients"], api.fit.coef[k])
        for name, end in (("low", low), ("high", high)):
            np.testing.assert_array_equal(np.array(told[name], float), end[k])
        assert told["intercept"] == api.fit.intercept[k]
        for name, r2 in (("r2", api.fit.r2), ("r2_in_sample", api.fit.r2_sample)):
            assert told[name] == (r2[k] if np.isfinite(r2[k]) else None)
        assert told["effective_sample_size"] == api.fit.effective_samples
        assert told["local_prediction"] == pytest.approx(
            told["intercept"] + sum(told["coefficients"]), abs=1e-5
        )
        assert set(told["area_shares"]) == set(SHARE_RULES)
        for shares in told["area_shares"].values():
            assert sum(shares.values()) == pytest.approx(1)

    labels = api.neighborhood.segmentation.labels
    with Image.open(folder / "labels.png") as picture:
        assert picture.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(picture), labels)
    # As a mask the file has 0 for outside, so label j comes back as region j.
    np.testing.assert_array_equal(masks.load_mask(folder / "labels.png", (28, 28)).labels, labels)
    with Image.open(folder / "overlay.png") as picture:
        assert picture.mode == "RGB"
        assert min(picture.size) >= 512
        from limecraft_jax.show import draw

        np.testing.assert_array_equal(np.asarray(picture), draw.overlay(api, 7))
    first, likeliest, *_ = out.splitlines()
    probs = lime.predict(model, image)
    assert first == f"7: {commands.share(probs[7])}"
    best = np.argsort(-probs)[:5]
    assert likeliest == f"Likeliest: {', '.join(f'{k} {commands.share(probs[k])}' for k in best)}."
    hidden = api.neighborhood.replacement
    for entry in found["regions"]:
        here = (api.neighborhood.segmentation.region == entry["region"])[labels][..., None]
        for key, shown in (("without", ~here), ("alone", here)):
            want = lime.predict(model, np.where(shown, image, hidden))
            np.testing.assert_allclose(entry[key], want, atol=1e-6)
            if entry["region"]:
                assert f"{100 * want[7]:.1f} %" in out or want[7] < 0.001
    assert str(folder / "explanation.json") in out
    assert "200/200 samples" in err


def test_every_written_setting_makes_itself_again(explain):
    *_, found, _ = explain("one.png", *FEW)
    from limecraft_jax.path import kernel, surrogate

    names = {**vars(segmenters), **vars(sample), **vars(replace), **vars(kernel), **vars(surrogate)}
    again = {
        key: eval(value, names) if isinstance(value, str) else value
        for key, value in found["settings"].items()
    }
    assert lime.Settings(**again) == lime.Settings(outside=9, samples=64)


def test_the_same_command_gives_the_same_files(explain, tmp_path):
    results = [explain("one.png", *FEW, out=tmp_path / name) for name in "ab"]
    first, second = (result[3] for result in results)
    first.pop("date"), second.pop("date")
    assert first == second
    for name in ("labels.png", "overlay.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_likeliest_class_is_on_the_overlay_unless_told(explain, tmp_path):
    _, out, _, found, folder = explain("one.png", *FEW, out=tmp_path / "a")
    best = int(np.argmax(found["probabilities"]))
    assert out.startswith(f"{best}: ")
    other = explain("one.png", *FEW, "--target", (best + 1) % 10, out=tmp_path / "b")
    assert other[1].startswith(f"{(best + 1) % 10}: ")
    assert (folder / "overlay.png").read_bytes() != (other[4] / "overlay.png").read_bytes()


@pytest.mark.parametrize("name", segmenters.SEGMENTERS)
def test_every_segmenter_has_a_name(name, explain, files):
    argument = ":" + str(files / "regions.png") if name == "labels" else ""
    status, *_, found, _ = explain("one.png", *FEW, "--segmenter", name + argument)
    assert status == 0
    assert found["settings"]["segmenter"].startswith(segmenters.SEGMENTERS[name].__name__)


@pytest.mark.parametrize("name", sample.DESIGNS)
def test_every_design_has_a_name(name, explain):
    status, *_, found, _ = explain("one.png", *FEW, "--design", name)
    assert status == 0
    assert found["settings"]["design"] == repr(sample.DESIGNS[name]())
    assert found["exact"] == sample.DESIGNS[name].complete


@pytest.mark.parametrize("name", replace.REPLACEMENTS)
def test_every_replacement_has_a_name(name, explain, files):
    argument = ":" + str(files / "lesion.png") if name == "picture" else ""
    status, *_, found, _ = explain("one.png", *FEW, "--replacement", name + argument)
    assert status == 0
    assert found["settings"]["replacement"].startswith(replace.REPLACEMENTS[name].__name__)


@pytest.mark.parametrize(
    ("option", "value", "key", "written"),
    [
        ("--design", "kernel-sizes:0.1", "design", "KernelSizes(width=0.1)"),
        ("--replacement", "blur:0.1", "replacement", "Blur(sigma=0.1)"),
        ("--replacement", "noise:3", "replacement", "Noise(seed=3)"),
        ("--replacement", "inpaint:4", "replacement", "Inpaint(margin=4)"),
        ("--segmenter", "slic:20", "segmenter", "Slic(compactness=20)"),
        ("--design", "balanced:no", "design", "Balanced(complements=False)"),
        ("--design", "balanced:complements=True", "design", "Balanced(complements=True)"),
        (
            "--segmenter",
            "quickshift:3,ratio=0.5",
            "segmenter",
            "Quickshift(kernel_size=3, max_dist=200.0, ratio=0.5)",
        ),
        ("--replacement", "black", "replacement", "Color(red=0.0, green=0.0, blue=0.0)"),
        ("--replacement", "white", "replacement", "Color(red=1.0, green=1.0, blue=1.0)"),
        ("--replacement", "gray", "replacement", "Color(red=0.5, green=0.5, blue=0.5)"),
        ("--replacement", "#ff8000", "replacement", "Color(red=1.0, green=0.502, blue=0.0)"),
        ("--replacement", "FF8000", "replacement", "Color(red=1.0, green=0.502, blue=0.0)"),
        ("--replacement", "color:ff8000", "replacement", "Color(red=1.0, green=0.502, blue=0.0)"),
        ("--replacement", "color:1,.5,blue=0", "replacement", "Color(red=1, green=0.5, blue=0)"),
    ],
)
def test_a_choice_takes_its_parameters_behind_a_colon(option, value, key, written, explain):
    status, *_, found, _ = explain("one.png", *FEW, option, value)
    assert status == 0
    assert found["settings"][key] == written


def test_a_mask_of_another_size_is_resized_and_that_is_said(explain, tmp_path):
    common = ("--inside", 4, "--outside", 9, "--samples", 64, "--quiet")
    *_, small, _ = explain("one.png", "--mask", "regions.png", *common, out=tmp_path / "a")
    _, _, err, large, _ = explain("one.png", "--mask", "large.png", *common, out=tmp_path / "b")
    assert err == "The mask was resized from 84 × 84 to 28 × 28 pixels.\n"
    assert small["superpixels"] == large["superpixels"]
    assert small["explanations"] == large["explanations"]
    assert set(small["superpixels"]["region"]) == {0, 1, 2}


def test_an_empty_mask_explains_the_whole_picture_and_that_is_said(explain, files, tmp_path):
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "empty.png")
    status, _, err, found, _ = explain("one.png", *FEW, "--mask", tmp_path / "empty.png")
    assert status == 0
    assert "The mask is empty" in err
    assert found["superpixels"]["region"] == [0] * 9


def test_a_color_picture_and_the_bundled_lesion_model(explain):
    status, _, err, found, _ = explain("lesion.png", *FEW, model="lesions")
    assert status == 0
    assert err == ""
    assert found["image"]["shape"] == [128, 128, 3]
    assert found["classes"] == list(dermoscopy.CLASSES)


@pytest.mark.parametrize(
    ("attribute", "classes"),
    [("bright", ["class 0", "class 1"]), ("Inner.named", ["bright", "dark"])],
)
def test_a_model_of_ones_own(attribute, classes, explain):
    status, _, _, found, _ = explain(
        "one.png", *FEW, "--segmenter", "grid", model=f"own_model_of_a_test:{attribute}"
    )
    assert status == 0
    assert found["classes"] == classes
    assert found["probabilities"][0] == pytest.approx(3 * 28 / 800, abs=1e-3)
    one, other = (told["coefficients"] for told in found["explanations"])
    np.testing.assert_allclose(one, -np.array(other), atol=1e-5)


# ------------------------------------------------------------------ what it says

SEED = f"a whole number from 0 to {2**53 - 1}"
COUNT = "a whole number from 0 to 2000"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--model", "digit"), "model must be a known name, got 'digit': did you mean 'digits'?"),
        (
            ("--model", "no_such_module:x"),
            "model must be a known name, a file or module:attribute, got 'no_such_module:x': "
            "No module named 'no_such_module'.",
        ),
        (
            ("--model", "json:nothing"),
            "model must be a known name, a file or module:attribute, got 'json:nothing': "
            "module 'json' has no attribute 'nothing'.",
        ),
        (
            ("--model", ":x"),
            "model must be a known name, a file or module:attribute, got ':x': ",
        ),
        (
            ("--model", ".x:y"),
            "model must be a known name, a file or module:attribute, got '.x:y': ",
        ),
        (
            ("--model", "own_model_of_a_test:number"),
            "a model must be a Classifier or a function from images [n h w c] in [0, 1] to "
            "probabilities [n k], got int.",
        ),
        (
            ("--segmenter", "kmean"),
            "segmenter must be a known name, got 'kmean': did you mean 'kmeans'?",
        ),
        (
            ("--segmenter", "kmeans:many"),
            "kmeans takes compactness (a number) behind the colon, got 'many'.",
        ),
        (("--segmenter", "kmeans:-1"), "compactness must be a number from 0.0001 to 1e+06, got -"),
        (
            ("--design", "balance"),
            "design must be a known name, got 'balance': did you mean 'balanced'?",
        ),
        (
            ("--design", "exhaustive", "--outside", "40"),
            "all combinations need at most 16 superpixels, got 40: "
            "ask for fewer superpixels or choose another design.",
        ),
        (
            ("--replacement", "blue"),
            "replacement must be a known name, got 'blue': did you mean 'blur'?",
        ),
        (("--replacement", "picture"), "another picture needs a file, got none: "),
        (("--replacement", "mean:3"), "mean takes nothing behind a colon, got '3': leave it out."),
        (("--replacement", "#12345"), "a color must look like #ff8000, got '#12345'."),
        (("--replacement", "color:red"), "color takes red (a number), green (a number), blue (a "),
        (("--replacement", "color:.5,.5,.5,.5"), "color takes red (a number), green (a number), b"),
        (("--replacement", "color:red=2"), "red must be a number from 0 to 1, got 2."),
        (("--replacement", "blak"), "replacement must be a known name, got 'blak': did you mean '"),
        (("--design", "balanced:abc"), "balanced takes complements (yes or no) behind the colon"),
        (("--design", "balanced:-1"), "balanced takes complements (yes or no) behind the colon,"),
        (("--design", "bernoulli:1"), "bernoulli takes nothing behind a colon, got '1': leave it "),
        (("--design", "kernel-sizes:depth=1"), "kernel-sizes takes width (a number) behind the co"),
        (("--design", "kernel-sizes:-1"), "width must be a number from 0.025 to 1e+06, got -1."),
        (("--segmenter", "quickshift:4,ratio=.2,ratio=.3"), "quickshift takes kernel_size (a n"),
        (("--segmenter", "quickshift:4,200,-.2"), "ratio must be a number from 0 to 1, got -0.2."),
        (("--segmenter", "felzenszwalb:9,.5,1.5"), "felzenszwalb takes scale (a number), sigma (a"),
        (("--replacement", "noise:-1"), f"seed must be {SEED}, got -1."),
        (("--replacement", "noise:1.5"), "noise takes seed (a whole number) behind the colon, got"),
        (("--replacement", "inpaint:2.5"), "inpaint takes margin (a whole number) behind the c"),
        (
            ("--target", "1O"),
            "target must be a known name, got '1O': did you mean '1'?",
        ),
        (
            ("--samples", "10", "--outside", "20"),
            "20 superpixels need at least 42 samples, got 10: "
            "raise the number of samples or ask for fewer superpixels, "
            "or draw without complements (then 22 are enough).",
        ),
        (("--target", "²"), "target must be a known name, got '²': choose one of 0, 1, 2, 3, 4, "),
        (("--target", "9" * 5000), f"target must be a known name, got '{'9' * 60}': choose one"),
        (("--samples", "many"), "--samples must be a whole number, got 'many'."),
        (("--samples", "64.0"), "--samples must be a whole number, got '64.0'."),
        (("--samples", "9" * 5000), "--samples must be a whole number, got '99999999999999999999"),
        (("--inside", "²"), "--inside must be a whole number, got '²'."),
        (("--width", "wide"), "--width must be a number, got 'wide'."),
        (("--samples", "10000000000"), "samples must be a whole number from 1 to 1000000, got 10"),
        (("--width", "0"), "width must be a number from 0.001 to 1e+06, got 0.0."),
        (("--width", "nan"), "width must be a number from 0.001 to 1e+06, got nan."),
        (("--width", "1e-30"), "width must be a number from 0.001 to 1e+06, got 1e-30."),
        (("--width", "1e300"), "width must be a number from 0.001 to 1e+06, got 1e+300."),
        (("--penalty", "-0.5"), "penalty must be a number from 0 to 1e+09, got -0.5."),
        (("--penalty", "inf"), "penalty must be a number from 0 to 1e+09, got inf."),
        (("--penalty", "1e39"), "penalty must be a number from 0 to 1e+09, got 1e+39."),
        (("--design", "kernel-sizes:1e-200"), "width must be a number from 0.025 to 1e+06, got 1"),
        (("--replacement", "blur:inf"), "sigma must be a number from 0.001 to 1, got inf: it is "),
        (("--seed", "-1"), f"seed must be {SEED}, got -1."),
        (("--outside", "-1"), f"outside must be {COUNT}, got -1: 0 makes one superpixel."),
        (("--mask", "gone.png"), "a mask must be an existing file, got 'gone.png': check "),
        (("--mask", "text.png"), "a mask must be a PNG, JPEG, WEBP, GIF, BMP or TIFF file, "),
        (
            ("--mask", "regions.png", "--inside", "-3"),
            f"inside must be {COUNT}, got -3: 0 makes one superpixel.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_bad_options_end_with_one_sentence(options, sentence, explain):
    status, out, err, *_ = explain("one.png", "--quiet", *options)
    assert status == 2
    assert out == ""
    assert err.startswith("limecraft_jax: " + sentence)
    assert err.endswith((".\n", "?\n"))
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ("gone.png", "an image must be an existing file, got 'gone.png': check the path."),
        (".", "an image must be a file, got the folder '.': name a file in it."),
        ("text.png", "an image must be a PNG, JPEG, WEBP, GIF, BMP or TIFF file, "),
    ],
)
def test_bad_pictures_end_with_one_sentence(image, sentence, explain):
    status, _, err, *_ = explain(image)
    assert status == 2
    assert err.startswith("limecraft_jax: " + sentence)
    assert err.count("\n") == 1


def test_a_wrong_target_is_said_before_the_long_run(explain, monkeypatch):
    monkeypatch.setattr(lime, "finish", lambda *_: pytest.fail("explained already"))
    status, _, err, *_ = explain("one.png", "--target", "ten")
    assert status == 2
    assert err.startswith(
        "limecraft_jax: target must be a known name, got 'ten': choose one of 0, "
    )


def test_a_file_in_the_place_of_the_folder_is_said_before_any_question(explain, files):
    status, _, err, *_ = explain("one.png", out=files / "text.png")
    assert status == 2
    assert err.startswith("limecraft_jax: --out must be a folder that can be made and written to,")
    assert "samples" not in err
    assert err.count("\n") == 1


def test_what_a_model_answers_wrongly_is_said(explain, files):
    (files / "wrong_model_of_a_test.py").write_text("def wrong(images):\n    return 'cat'\n")
    status, _, err, *_ = explain("one.png", *FEW, model="wrong_model_of_a_test:wrong")
    assert status == 2
    assert err.startswith("limecraft_jax: the model must return numbers, got values of type")


def test_help_tells_every_choice(capsys):
    for given in (["--help"], ["explain", "--help"]):
        with pytest.raises(SystemExit) as end:
            cli.main(given)
        assert end.value.code == 0
    said = capsys.readouterr().out
    for registry in (segmenters.SEGMENTERS, sample.DESIGNS, replace.REPLACEMENTS):
        for name in registry:
            assert name in said
    for option in ("--mask", "--inside", "--outside", "--target", "--width", "--penalty", "--seed"):
        assert option in said


@pytest.mark.parametrize("given", [[], ["explain"], ["explain", "x.png"], ["nonsense"]])
def test_incomplete_commands_show_how(given, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(given)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("usage: python -m limecraft_jax")


def test_models_are_listed(capsys):
    assert cli.main(["models"]) == 0
    said = capsys.readouterr().out
    for name in models.MODELS:
        card = models.card(name)
        assert f"{name}\n  {card.title}" in said
        some = card.classes if name in models.BUNDLED else card.classes[:8]
        assert ", ".join(some) in said
    assert "and 992 more" in said
    assert "toilet tissue" not in said


def test_control_c_ends_quietly(explain, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(lime, "finish", interrupted)
    status, _, err, *_ = explain("one.png")
    assert status == 130
    assert err == "limecraft_jax: stopped.\n"


def test_as_a_program(files, tmp_path):
    """The whole way once, with the progress bar, from another folder."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "limecraft_jax", "explain", "one.png", "--out", str(out)]
    command += ["--model", "digits", "--outside", "12", "--samples", "300"]
    place = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=files, env=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    bars = done.stderr.splitlines()
    assert bars[-1] == "[" + "#" * 30 + "] 300/300 samples"
    assert any("....] 64/300 samples" in bar for bar in bars)
    assert {path.name for path in out.iterdir()} == {
        "explanation.json",
        "labels.png",
        "overlay.png",
    }
    known = json.loads((out / "explanation.json").read_text())
    assert report.dumps(known) == (out / "explanation.json").read_text()

    command[4:5] = ["gone.png"]
    failed = subprocess.run(command, cwd=files, env=place, capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert "Traceback" not in failed.stderr
    assert failed.stderr.startswith("limecraft_jax: an image must be an existing file")
