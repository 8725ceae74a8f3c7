"""`edit` and `replay` on the command line: the order counts, and the numbers are the API's."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from limecraft_jax import cli, models
from limecraft_jax.cli import arguments, commands
from limecraft_jax.compare import bundle
from limecraft_jax.compare.variants import compare, record
from limecraft_jax.edits import edit
from limecraft_jax.edits.edit import Brightness, Flip, Noise, Recolor, Remove, Rotate, Shift, Step
from limecraft_jax.files import images, masks
from limecraft_jax.path import lime

FEW = ("--outside", "6", "--inside", "3", "--samples", "32", "--quiet")
SETTINGS = lime.Settings(inside=3, outside=6, samples=32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A digit and a mask of two regions, in a folder."""
    folder = tmp_path_factory.mktemp("edit")
    one = np.zeros((28, 28), np.float32)
    one[4:24, 12:16] = np.linspace(0.4, 1, 20)[:, None]
    regions = np.zeros((28, 28), np.uint8)
    regions[3:14, 10:18], regions[20:26, 4:9] = 100, 200
    (folder / "one.png").write_bytes(images.to_png(one))
    Image.fromarray(regions).save(folder / "regions.png")
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(folder / "empty.png")
    Image.fromarray(np.full((28, 28), 255, np.uint8)).save(folder / "whole.png")
    (folder / "text.png").write_text("no picture at all")
    (folder / "own_model_for_replay.py").write_text(
        "def bright(images):\n    return images.mean(axis=(1, 2, 3))\n"
    )
    return folder


@pytest.fixture
def run(files, tmp_path, capsys, monkeypatch):
    """Run a command in the folder; gives status, output, complaints."""
    monkeypatch.chdir(files)

    def run(*given):
        status = cli.main([str(word) for word in given])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def edited(run, tmp_path):
    """Run `edit` on the digit and give its folder."""

    def edited(*options, out="out", mask="regions.png", model="digits"):
        given = ("edit", "one.png", "--mask", mask, "--model", model, "--out", tmp_path / out)
        status, said, complaints = run(*given, *FEW, *options)
        assert status == 0, complaints
        return tmp_path / out, said

    return edited


def by_hand(files, *steps):
    model = models.load("digits")
    image = model.prepare(images.load_image(files / "one.png").pixels)
    mask = masks.load_mask(files / "regions.png", (28, 28)).labels
    return compare(model, image, mask, [("edited", steps)], SETTINGS)


def test_everything_is_written_and_agrees_with_the_api(files, edited):
    out, said = edited("--rotate", 180, "--shift", -2, 3, "--target", "1")
    both = (1, 2)
    variants = by_hand(files, Step(Rotate(180), both), Step(Shift(-2, 3), both))
    assert sorted(path.name for path in out.iterdir()) == [
        "comparison.json",
        "edited.png",
        "edited_mask.png",
        "report.html",
        "session.zip",
    ]
    assert (out / "edited.png").read_bytes() == images.to_png(variants[1].image)
    with Image.open(out / "edited_mask.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), variants[1].mask)
    found = json.loads((out / "comparison.json").read_text())
    expected = record(variants, SETTINGS, "digits", tuple("0123456789"))
    for told in (found, expected, *(v["explanation"] for v in found["variants"]),
                   *(v["explanation"] for v in expected["variants"])):  # fmt: skip
        told.pop("date")
    assert found == expected
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "speaks for 1" in page
    assert models.card("digits").title in page
    first, second, written = said.splitlines()
    for line, variant in ((first, variants[0]), (second, variants[1])):
        best = np.argsort(-variant.probs)[:5]
        told = ", ".join(f"{k} {commands.share(variant.probs[k])}" for k in best)
        assert line.startswith(f"{variant.name}: {told}")
    assert first.endswith("%")
    assert re.search(r"%; 1 [+−]\d+\.\d\d percentage points$", second)
    assert written.startswith("Written: ")


def test_edits_apply_in_the_order_given(files, edited):
    """What was pushed over the border first is lost, so turning it back is another thing."""
    turn, move = ("--rotate", 180), ("--shift", 13, 0)
    one, _ = edited("--regions", 1, *turn, *move, out="one")
    other, _ = edited("--regions", 1, *move, *turn, out="other")
    assert (one / "edited.png").read_bytes() != (other / "edited.png").read_bytes()
    steps = [Step(Rotate(180), (1,)), Step(Shift(13, 0), (1,))]
    for out, stack in ((one, steps), (other, steps[::-1])):
        variants = by_hand(files, *stack)
        assert (out / "edited.png").read_bytes() == images.to_png(variants[1].image)
        told = json.loads((out / "comparison.json").read_text())["variants"][1]["steps"]
        assert tuple(map(edit.from_record, told)) == tuple(stack)


@pytest.mark.parametrize(
    ("words", "stack"),
    [
        (["--remove"], [(Remove(), (1, 2))]),
        (["--regions", "2", "--remove"], [(Remove(), (2,))]),
        (["--regions", "0,2", "--brightness", "-.5"], [(Brightness(-0.5), (0, 2))]),
        (["--flip", "horizontal"], [(Flip("left-right"), (1, 2))]),
        (["--flip", "up-down"], [(Flip("up-down"), (1, 2))]),
        (["--recolor", "#ff0080"], [(Recolor(1, 0, 128 / 255), (1, 2))]),
        (["--recolor", "#ff0080", ".5"], [(Recolor(1, 0, 128 / 255, 0.5), (1, 2))]),
        (["--recolor", "ff0080", ".5"], [(Recolor(1, 0, 128 / 255, 0.5), (1, 2))]),
        (["--recolor", "black"], [(Recolor(0, 0, 0), (1, 2))]),
        (["--recolor", "1", "0", ".25", ".5"], [(Recolor(1, 0, 0.25, 0.5), (1, 2))]),
        (["--noise", ".2", "9"], [(Noise(0.2, 9), (1, 2))]),
        (
            ["--noise", ".2", "--regions", "1", "--remove", "--noise", ".1"],
            [(Noise(0.2), (1, 2)), (Remove(), (1,)), (Noise(0.1), (1,))],
        ),
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_words_become_steps(words, stack):
    given = arguments.parser().parse_args(["edit", "a", "--mask", "b", "--out", "c", *words])
    found = commands.stack_of(given.steps, (1, 2))
    assert found == tuple(Step(*step) for step in stack)


@pytest.mark.parametrize("name", edit.EDITS)
def test_every_edit_is_an_option_and_explained(name, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["edit", "--help"])
    assert end.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    needed, more = arguments.signature(edit.EDITS[name])
    shape = " ".join([*(part.upper() for part in needed), *(f"[{part.upper()}]" for part in more)])
    assert f"--{name} {shape}".strip() in said
    about = " ".join(edit.EDITS[name].__doc__.split("\n")[0].rstrip(".:").split())
    assert about in said
    default = edit.EDITS[name]()
    values = [getattr(default, part) for part in needed]
    given = ["edit", "a", "--mask", "b", "--out", "c", f"--{name}", *map(str, values)]
    assert arguments.parser().parse_args(given).steps == [default]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "edit needs an edit, got none: add one, for example --rotate 180."),
        (("--power", 0), "power must be > 0, got 0."),
        (("--scale", -1), "factor must be > 0, got -1."),
        (("--rotate", "nan"), "angle must be a finite number, got nan."),
        (("--rotate", "far"), "angle of --rotate must be a number, got 'far'."),
        (("--noise", 0.1, 1.5), "seed of --noise must be a whole number, got '1.5'."),
        (("--shift", 10), "--shift takes right, down, got '10': give the picture before the "),
        (("--rotate", 1, "x.png"), "--rotate takes angle, got '1 x.png': give the picture before"),
        (("--recolor", "#12"), "a color of --recolor must look like #ff8000, got '#12'."),
        (("--recolor", "#12345g"), "a color of --recolor must look like #ff8000, got '#12345g'."),
        (("--recolor", "red"), "--recolor takes red, green, blue and perhaps strength, got 'red'"),
        (("--flip", "sideways"), "axis must be a known name, got 'sideways': choose one of "),
        (("--regions", "one", "--remove"), "--regions must be whole numbers with commas between"),
        (("--remove", "--regions", "1"), "--regions must stand before the edits it is for, got "),
        (("--regions", "3", "--remove"), "region 3 must have pixels, got none: choose one of 1, 2"),
        (("--regions", "0", "--remove"), "only a drawn region can be removed, got 0, the rest of"),
        (("--remove", "--blur", 2), "region 1 must have pixels, got none: draw it first."),
        (("--shift", 99, 0), "an edit must leave some of region 1 in the picture, got nothing of"),
        (("--remove", "--target", "ten"), "target must be a known name, got 'ten': choose one of"),
        (("--remove", "--mask", "empty.png"), "an edit needs a region, got a mask that marks none"),
        (("--remove", "--mask", "whole.png"), "filling in needs something around the region, got"),
        (("--remove", "--mask", "text.png"), "a mask must be a PNG, JPEG, WEBP, GIF, BMP or TIFF"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_edits_end_with_one_sentence(options, sentence, run, tmp_path):
    status, out, err = run(
        "edit", "one.png", "--mask", "regions.png", "--model", "digits", "--out", tmp_path / "o",
        *FEW, *options,
    )  # fmt: skip
    assert status == 2
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("limecraft_jax: " + sentence)
    assert last.endswith((".", "?"))
    assert "Traceback" not in err


# ------------------------------------------------------------------ replay


def test_a_replay_says_that_every_number_is_the_same(edited, run, tmp_path):
    out, _ = edited("--regions", "1", "--rotate", 77, "--noise", 0.1)
    status, said, complaints = run("replay", out / "session.zip", "--quiet")
    assert (status, complaints) == (0, "")
    assert said == "Every number is the same (2 pictures).\n"
    status, said, _ = run("replay", out / "session.zip", "--quiet", "--out", tmp_path / "again")
    assert status == 0
    assert said.endswith("Every number is the same (2 pictures).\n")
    for name in ("edited.png", "edited_mask.png"):
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert bundle.read(tmp_path / "again" / "session.zip").variants == (
        ("edited", (Step(Rotate(77), (1,)), Step(Noise(0.1), (1,)))),
    )


def test_a_replay_says_which_numbers_differ(edited, run):
    out, _ = edited("--rotate", 77)
    other = ("--model", "own_model_for_replay:bright")
    status, said, _ = run("replay", out / "session.zip", "--quiet", *other)
    assert status == 1
    first, *lines = said.splitlines()
    assert first.endswith(" numbers differ:")
    assert lines[0].startswith("  classes: ")
    assert len(lines) == commands.MOST_LINES + 1 or len(lines) == int(first.split()[0])


def test_every_variant_of_a_session_is_written(files, run, tmp_path):
    model = models.load("digits").with_batch(50)
    image = model.prepare(images.load_image(files / "one.png").pixels)
    mask = masks.load_mask(files / "regions.png", (28, 28)).labels
    stacks = [("a", (Step(Remove(), (1,)),)), ("b", (Step(Flip(), (2,)),))]
    variants = compare(model, image, mask, stacks, SETTINGS)
    packed = bundle.write(variants, SETTINGS, "digits", tuple("0123456789"), batch=50)
    (tmp_path / "s.zip").write_bytes(packed)
    status, said, _ = run("replay", tmp_path / "s.zip", "--quiet", "--out", tmp_path / "o")
    assert status == 0
    assert "a: " in said
    assert (tmp_path / "o" / "edited.png").read_bytes() == images.to_png(variants[1].image)
    assert (tmp_path / "o" / "edited_2.png").read_bytes() == images.to_png(variants[2].image)
    assert (tmp_path / "o" / "edited_mask_2.png").exists()
    again = bundle.read(tmp_path / "o" / "session.zip")
    assert again.batch == 50, "that of the session, not that of the model"


def test_a_model_of_ones_own_must_be_named_again(edited, run):
    out, _ = edited("--remove", model="own_model_for_replay:bright")
    status, _, complaints = run("replay", out / "session.zip", "--quiet")
    assert status == 2
    assert complaints == (
        "limecraft_jax: the session rests on a model that is not bundled, "
        "'own_model_for_replay:bright': say where it is with --model FILE or "
        "--model module:attribute.\n"
    )
    again = ("--model", "own_model_for_replay:bright")
    assert run("replay", out / "session.zip", "--quiet", *again)[0] == 0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone.zip", "a session bundle must be an existing file, got 'gone.zip': check the path."),
        ("one.png", "a session bundle must be a zip file, got another file: choose another."),
    ],
)
def test_what_is_no_session_is_one_sentence(name, sentence, run):
    assert run("replay", name) == (2, "", f"limecraft_jax: {sentence}\n")


def test_the_bar_names_the_picture(run, tmp_path):
    given = [word for word in FEW if word != "--quiet"]
    *_, complaints = run(
        "edit", "one.png", "--mask", "regions.png", "--model", "digits", "--remove",
        "--out", tmp_path / "o", *given,
    )  # fmt: skip
    bars = [bar for bar in complaints.replace("\r", "\n").splitlines() if bar]
    assert bars[0].endswith("32/32 samples (original)")
    assert bars[-1].endswith("32/32 samples (edited)")
