"""The command line in odd places: no letters, no reader, a thousand classes, choices that fail."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from limecraft_jax import cli
from limecraft_jax.cli import console, words
from limecraft_jax.compare import bundle
from limecraft_jax.files import images
from limecraft_jax.types import InputError
from tests.server import ROOT

FEW = ("--outside", "5", "--samples", "16", "--quiet")
MODELS = '''
import numpy as np
from limecraft_jax.models.blackbox import BlackBox

def score(images):
    """A thousand classes, of which each likes another brightness."""
    bright = images.mean(axis=(1, 2, 3))[:, None]
    odds = np.exp(-100 * (bright - np.linspace(0, 1, 1000)) ** 2)
    return odds / odds.sum(axis=1, keepdims=True)

thousand = BlackBox(score, tuple(f"Class No. {i}" for i in range(1000)), (24, 24, 1), batch=8)

def never(images):
    raise AssertionError("asked")

silent = BlackBox(never, ("cat", "dog"), (24, 24, 1), batch=8)
signs = BlackBox(lambda x: np.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1), ("ν²", "犬"))
'''


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A picture, a mask and models of one's own, in a folder."""
    folder = tmp_path_factory.mktemp("odd")
    picture = np.linspace(0, 1, 24 * 24, dtype=np.float32).reshape(24, 24)
    (folder / "grey.png").write_bytes(images.to_png(picture))
    region = np.zeros((24, 24), np.uint8)
    region[4:14, 4:14] = 255
    Image.fromarray(region).save(folder / "mask.png")
    Image.fromarray(region.repeat(2, 0).repeat(2, 1)).save(folder / "large.png")
    (folder / "models_in_odd_places.py").write_text(MODELS)
    return folder


@pytest.fixture
def run(files, capsys, monkeypatch):
    """Run a command in the folder; gives status, output, complaints."""
    monkeypatch.chdir(files)

    def run(*given):
        status = cli.main([str(word) for word in given])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


# ------------------------------------------------------------------ before the model is asked


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--samples", "6"), "5 superpixels need at least"),
        (("--design", "exhaustive", "--outside", "20"), "all combinations need at most 16"),
        (("--replacement", "inpaint", "--outside", "0"), "inpainting needs something around the"),
        (("--replacement", "picture:gone.png"), "an image must be an existing file, got 'gone.png"),
        (("--segmenter", "labels:gone.png"), "a mask must be an existing file, got 'gone.png': ch"),
        (("--width", "1e-30"), "width must be a number from 0.001 to 1e+06, got 1e-30."),
        (("--penalty", "1e39"), "penalty must be a number from 0 to 1e+09, got 1e+39."),
        (("--out", "grey.png"), "--out must be a folder that can be made and written to, got 'gr"),
    ],
    ids=str,
)
def test_no_choice_fails_after_the_model_was_asked(options, sentence, run, tmp_path):
    given = ("--model", "models_in_odd_places:silent", "--out", tmp_path / "out")
    status, out, err = run("explain", "grey.png", *given, *FEW, *options)
    assert (status, out) == (2, "")
    assert err.startswith(f"limecraft_jax: {sentence}")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_folder_is_tried_first_of_all(run, files):
    """Even before a picture that is not there."""
    for command in (
        ("explain", "gone.png", "--out", "grey.png"),
        ("edit", "gone.png", "--mask", "mask.png", "--remove", "--out", "grey.png"),
        ("replay", "gone.zip", "--out", "grey.png"),
    ):
        status, _, err = run(*command)
        assert status == 2
        assert err.startswith("limecraft_jax: --out must be a folder that can be made and written")


# ------------------------------------------------------------------ a thousand classes


def test_of_a_thousand_classes_those_asked_about_are_written_in_full(run, tmp_path):
    given = ("explain", "grey.png", "--model", "models_in_odd_places:thousand", *FEW)
    status, out, err = run(*given, "--target", " class no. 7", "--out", tmp_path / "some")
    assert status == 0, err
    found = json.loads((tmp_path / "some" / "explanation.json").read_text())
    best = np.argsort(-np.array(found["probabilities"]), kind="stable")[:5]
    told = [f"Class No. {i}" for i in sorted({7, *best.tolist()})]
    assert [explained["class"] for explained in found["explanations"]] == told
    assert len(found["classes"]) == len(found["probabilities"]) == 1000
    assert out.startswith("Class No. 7: ")
    likeliest = [f"Class No. {i} {found['probabilities'][i]:.1%}" for i in best]
    assert f"\nLikeliest: {', '.join(likeliest)}.\n" in out
    assert (tmp_path / "some" / "explanation.json").stat().st_size < 100_000

    assert run(*given, "--all-classes", "--target", "7", "--out", tmp_path / "all")[0] == 0
    everything = json.loads((tmp_path / "all" / "explanation.json").read_text())
    assert len(everything["explanations"]) == 1000
    some = [everything["explanations"][i] for i in sorted({7, *best.tolist()})]
    assert some == found["explanations"]


@pytest.mark.parametrize("more", [(), ("--all-classes",)])
def test_a_comparison_of_a_thousand_classes_is_replayed(more, run, tmp_path):
    model = ("--model", "models_in_odd_places:thousand")
    given = ("--mask", "mask.png", "--inside", "2", *model, *FEW, *more)
    edit = ("--brightness", "-.4", "--target", "CLASS NO. 3", "--out", tmp_path / "o")
    status, _, err = run("edit", "grey.png", *given, *edit)
    assert status == 0, err
    found = json.loads((tmp_path / "o" / "comparison.json").read_text())
    full = [
        [explained["class"] for explained in variant["explanation"]["explanations"]]
        for variant in found["variants"]
    ]
    assert full[0] == full[1]
    best = {
        f"Class No. {i}"
        for variant in found["variants"]
        for i in np.argsort(-np.array(variant["explanation"]["probabilities"]))[:5]
    }
    assert "Class No. 3" in full[0]
    assert best <= set(full[0])
    assert (len(full[0]) == 1000) == bool(more)
    status, said, _ = run("replay", tmp_path / "o" / "session.zip", *model, "--quiet")
    assert (status, said) == (0, "Every number is the same (2 pictures).\n")
    again = (*model, "--quiet", "--out", tmp_path / "again")
    assert run("replay", tmp_path / "o" / "session.zip", *again)[0] == 0
    told, then = (bundle.read(tmp_path / place / "session.zip").results for place in ("again", "o"))
    for recorded in (told, then):
        assert recorded["variants"][0]["explanation"].pop("date")
    assert told["variants"][0] == then["variants"][0]


def test_a_class_is_found_without_capitals_and_a_doubtful_name_is_said():
    names = ("Cat", "cat ", "Dog", "7", "0")
    assert [words.target(name, names) for name in ("Cat", "DOG", " dog ", "2", "7", "0")] == [
        0, 2, 2, 2, 3, 4,
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"^target must be one class, got 'CAT', which may be"):
        words.target("CAT", names)
    with pytest.raises(InputError, match=r"^target must be a known name, got 'Dig': did you mean "):
        words.target("Dig", names)


# ------------------------------------------------------------------ odd consoles


@pytest.mark.parametrize(
    ("encoding", "minus", "size", "name"),
    [
        ("ascii", "-", "48 x 48", "n2"),
        ("cp1252", "-", "48 × 48", "n²"),
        ("latin-1", "-", "48 × 48", "n²"),
        ("utf-8", "−", "48 × 48", "ν²"),
    ],
)
def test_a_console_without_the_letters_gets_plain_ones(
    encoding, minus, size, name, files, tmp_path, monkeypatch
):
    monkeypatch.chdir(files)
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    name = name.replace("n", "nu") if name != "ν²" else name
    given = ("--mask", "large.png", "--model", "models_in_odd_places:signs", *FEW)
    edit = ("--brightness", "-.5", "--target", "ν²", "--inside", "2", "--out", str(tmp_path / "o"))
    assert cli.main(["edit", "grey.png", *given, *edit]) == 0
    for stream in streams:
        stream.flush()
    out, err = (stream.buffer.getvalue().decode(encoding) for stream in streams)
    assert f"The mask was resized from {size} to " in err
    assert f"{name} " in out
    assert f"{name} {minus}" in out
    assert ("犬" if encoding == "utf-8" else "?") in out
    assert cli.main(["explain", "naïve\udce9²−.png", "--out", str(tmp_path / "o")]) == 2


def test_every_letter_has_a_plain_one():
    for letter in map(chr, range(0x3000)):
        console.spell(letter).encode("ascii")
    said = "".join(map(console.spell, "−½ – 3 × 10² ≥ λ, “ä”…"))
    assert said == '-1/2 - 3 x 102 >= lambda, "a"...'


# ------------------------------------------------------------------ as a program


@pytest.fixture
def program(files):
    """Start the program in the folder."""
    place = {**os.environ, "PYTHONPATH": str(ROOT)}

    def program(*given, python=(), **options):
        command = [sys.executable, *python, "-m", "limecraft_jax", *map(str, given)]
        return subprocess.run(command, cwd=files, env=place, timeout=100, **options)

    return program


@pytest.mark.parametrize(
    ("compression", "cut", "aloud"),
    [("tiff_lzw", -40, "UserWarning: "), ("tiff_adobe_deflate", None, "ZIPDecode: ")],
    ids=["Pillow warns", "libtiff prints"],
)
def test_libraries_say_nothing_before_our_sentence(
    compression, cut, aloud, program, files, tmp_path
):
    picture = Image.fromarray(np.zeros((24, 24, 3), np.uint8))
    picture.save(files / "broken.tif", compression=compression)
    data = bytearray((files / "broken.tif").read_bytes())
    data[10] ^= 255
    (files / "broken.tif").write_bytes(data[:cut])
    given = ("explain", "broken.tif", "--out", tmp_path)
    said = program(*given, capture_output=True, text=True, python=("-W", "default")).stderr
    assert aloud in said, "or this test shows nothing"
    done = program(*given, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("limecraft_jax: an image must be a whole ")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_seen_enough_ends_it_quietly(program):
    ours, theirs = os.pipe()
    os.close(ours)
    done = program("models", stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, b"")
