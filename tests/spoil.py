"""Files, records and commands that are right, spoiled at random: what `tests/fuzz.py` tries."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
import os
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from limecraft_jax import cli
from limecraft_jax.compare import bundle
from limecraft_jax.compare.variants import compare
from limecraft_jax.edits.edit import EDITS, Step
from limecraft_jax.files import archive
from limecraft_jax.files.images import load_image, to_png
from limecraft_jax.files.masks import load_mask, save_labels
from limecraft_jax.path import choices, lime, replace, sample, segmenters
from tests import tiny

Rng = np.random.Generator
SIDES = (24, 20)
NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)


def pick(rng: Rng, things) -> Any:
    """One of some things."""
    return things[int(rng.integers(len(things)))]


# ------------------------------------------------------------------ bytes


def damaged(rng: Rng, data: bytes, others: tuple[bytes, ...] = ()) -> bytes:
    """Some bytes changed, cut out, doubled, set to an odd number, or taken from another file."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        if not out:
            break
        at = int(rng.integers(len(out) if rng.random() < 0.6 else min(len(out), 64)))
        way = int(rng.integers(7))
        if way == 0:
            out[at] = int(rng.integers(256))
        elif way == 1:
            out[at] ^= 1 << int(rng.integers(8))
        elif way == 2:
            form = pick(rng, ("<H", ">H", "<I", ">I"))
            number = pick(rng, NUMBERS) % 2 ** (8 * struct.calcsize(form))
            out[at : at + struct.calcsize(form)] = struct.pack(form, number)
        elif way == 3:
            del out[at : at + int(rng.integers(1, 40))]
        elif way == 4:
            out[at:at] = out[at : at + int(rng.integers(1, 40))]
        elif way == 5 and others:
            other = pick(rng, others)
            start = int(rng.integers(len(other)))
            out[at : at + 16] = other[start : start + 16]
        elif rng.random() < 0.3:
            del out[at:]
    return bytes(out)


def chunk(name: bytes, data: bytes) -> bytes:
    """A piece of a PNG file with its right checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def damaged_png(rng: Rng, data: bytes) -> bytes:
    """A PNG file with one piece spoiled whose checksum is right again."""
    pieces, at = [], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        pieces.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    which = int(rng.integers(len(pieces)))
    name, content = pieces[which]
    if name == b"IDAT" and rng.random() < 0.7:
        content = zlib.compress(damaged(rng, zlib.decompress(content)))
    else:
        content = damaged(rng, content)
    pieces[which] = (name, content)
    if rng.random() < 0.2:
        pieces.insert(which, (pick(rng, (b"tEXt", b"iCCP", b"tRNS", b"PLTE", b"acTL")), content))
    return data[:8] + b"".join(chunk(*piece) for piece in pieces)


# ------------------------------------------------------------------ pictures and masks


def saved(image: Image.Image, kind: str, **options) -> bytes:
    """A picture file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@functools.cache
def pictures() -> tuple[bytes, ...]:
    """A picture file of every kind, mode and way to be written that we read."""
    rng = np.random.default_rng(0)
    color = Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8))
    smooth = color.resize((40, 32), Image.Resampling.BICUBIC)
    deep = Image.fromarray(rng.integers(0, 65536, (20, 24), dtype=np.uint16))
    real = Image.fromarray(rng.random((20, 24), np.float32))
    long = Image.fromarray(rng.integers(0, 256, (20, 24), dtype=np.int32))
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = {"save_all": True, "append_images": [color.rotate(90 * i) for i in (1, 2)]}
    found = [saved(color.convert(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")]
    found += [saved(deep, "PNG"), saved(color.quantize(9), "PNG", transparency=3)]
    found += [saved(color, "PNG", **frames), save_labels(rng.integers(0, 5, (20, 24)))]
    found += [saved(smooth.convert(mode), "JPEG") for mode in ("L", "RGB", "CMYK")]
    found += [saved(smooth, "JPEG", progressive=True, exif=exif)]
    found += [saved(color, "WEBP", lossless=True), saved(color, "WEBP", **frames)]
    found += [saved(smooth, "WEBP")]
    found += [saved(color.quantize(16), "GIF"), saved(color, "GIF", **frames)]
    found += [saved(color.convert(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")]
    found += [saved(color.convert(mode), "TIFF") for mode in ("1", "L", "P", "RGB", "CMYK", "LAB")]
    ways = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    found += [saved(color, "TIFF", compression=way) for way in ways]
    found += [saved(image, "TIFF") for image in (deep, real, long)] + [
        saved(color, "TIFF", **frames)
    ]
    return tuple(found)


def picture(rng: Rng) -> None:
    """A spoiled picture file, read as a picture or as a mask."""
    data = pick(rng, pictures())
    if data.startswith(b"\x89PNG") and rng.random() < 0.5:
        data = damaged_png(rng, data)
    else:
        data = damaged(rng, data, pictures())
    if rng.random() < 0.5:
        pixels = load_image(data, int(pick(rng, (8, 16, 2048)))).pixels
        assert pixels.dtype == np.float32, pixels.dtype
        assert pixels.ndim == 3, pixels.shape
        assert pixels.shape[2] in (1, 3), pixels.shape
        assert 0 <= pixels.min() <= pixels.max() <= 1, "values beyond [0, 1]"
    else:
        mask(rng, data)


def mask(rng: Rng, data: bytes) -> None:
    """A file read as a mask of any size."""
    shape = pick(rng, ((20, 24), (9, 9), (64, 40)))
    labels = load_mask(data, shape, pick(rng, (0.0, 0.875))).labels
    assert labels.shape == shape, labels.shape
    assert labels.dtype == np.int32, labels.dtype
    assert labels.min() >= 0, "labels below 0"


HEADERS = (
    "(20, 24)", "(-20, -24)", "(True, 480)", "(480,)", "(20, 24, 1)", "(0, 24)", "()", "None", "20",
    "(20.0, 24)", "(99999, 99999)", "(2 ** 9, 24)", "(" * 90, "(1, 9" + "9" * 90 + ")", "(24, 20)",
)  # fmt: skip
TYPES = (
    "|u1", "|b1", "<i8", ">i2", "<u8", "<f4", "|O", "|S1", "<U1", "<M8[s]", "|V8", "", "x", "<i3",
    "[('a', '|u1')]", "('<i4', (2,))",
)  # fmt: skip


def array(rng: Rng) -> None:
    """An .npy file whose header lies, or that is spoiled, read as a mask or a session's picture."""
    kind, shape, order = "'|u1'", "(20, 24)", "False"
    size = 480
    if rng.random() < 0.5:
        kind = pick(rng, TYPES)
        size *= 8 if "8" in kind else 4 if "4" in kind else 2 if "2" in kind else 1
        kind = kind if kind[:1] in ("[", "(") else repr(kind)
    if rng.random() < 0.5:
        shape = pick(rng, HEADERS)
    if rng.random() < 0.3:
        order, size = (
            pick(rng, ("True", "3", "None")),
            int(pick(rng, (0, size, size + 1, 4 * size))),
        )
    header = f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}"
    header = header.ljust(int(pick(rng, (0, 117, 300)))) + "\n"
    told = len(header) if rng.random() < 0.9 else int(pick(rng, NUMBERS)) % 65536
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", told) + header.encode() + rng.bytes(size)
    data = damaged(rng, data) if rng.random() < 0.4 else data
    if rng.random() < 0.8:
        mask(rng, data)
    else:
        archive.picture(data)


# ------------------------------------------------------------------ records and sessions


ODD = (
    None, True, False, -1, 0, 1, 2, 0.5, -0.0, 1e-300, 1e308, -1e308, 2**31, 2**53, 2**63, 10**30,
    "", "a", "a" * 3000, "a\nb", "\0", "\ud800", "../x", [], [1, 2], [None], {}, {"choice": "mean"},
    float("nan"), float("inf"),
)  # fmt: skip


def twisted(rng: Rng, value: Any) -> Any:
    """Plain data with some of its parts replaced, left out, renamed or nested."""
    value = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 4))):
        place: Any = value
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = pick(rng, keys)
            below = place[key]
            if isinstance(below, dict | list) and below and rng.random() < 0.8:
                place = below
                continue
            way = int(rng.integers(6))
            if way == 0 and isinstance(place, dict):
                place[pick(rng, ("seed", "choice", "x", "", "__class__", "steps"))] = place.pop(key)
            elif way == 1:
                del place[key]
            elif way == 2:
                place[key] = functools.reduce(lambda inner, _: [inner], range(200), below)
            elif way == 3 and isinstance(place, list):
                place *= int(pick(rng, (2, 50)))
            else:
                place[key] = copy.deepcopy(pick(rng, ODD))
            break
    return value


def record(rng: Rng) -> None:
    """Settings as plain data, twisted; what is taken must come back the same."""
    kinds = {name: list(registry) for name, registry in choices.REGISTRIES.items()}
    given = choices.as_record(lime.Settings())
    for name, registry in kinds.items():
        if rng.random() < 0.5:
            kind = pick(rng, registry)
            defaults = choices.as_record(lime.Settings(**{name: choices.REGISTRIES[name][kind]()}))[
                name
            ]
            given[name] = defaults
    settings = choices.from_record(twisted(rng, given))
    assert choices.from_record(choices.as_record(settings)) == settings, "not the same again"


@functools.cache
def packed() -> bytes:
    """A session as it is saved."""
    image, drawn = tiny.picture(*SIDES), np.zeros(SIDES, np.int32)
    drawn[2:9, 3:10], drawn[14:20, 8:15] = 1, 2
    steps = [Step(kind(), (1,)) for name, kind in EDITS.items() if name != "remove"]
    settings = lime.Settings(inside=(2, 1), outside=3, samples=16)
    variants = compare(
        tiny.same_on_the_host(tiny.classifier(*SIDES)), image, drawn, [("a", steps)], settings
    )
    return bundle.write(variants, settings, "digits", ("a", "b", "c"), batch=8)


def session(rng: Rng) -> None:
    """A session file, spoiled as a whole, in one of its members, or in its words."""
    data = packed()
    if rng.random() < 0.4:
        bundle.read(damaged(rng, data))
        return
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = pick(rng, ("session.json", "session.json", "session.json", *members))
    if name.endswith(".json") and rng.random() < 0.8:
        members[name] = json.dumps(twisted(rng, json.loads(members[name]))).encode()
    elif name.endswith(".png") and rng.random() < 0.6:
        members[name] = damaged_png(rng, members[name])
    else:
        members[name] = damaged(rng, members[name], pictures())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for member, content in members.items():
            file.writestr(member, content)
    read = bundle.read(out.getvalue())
    assert choices.from_record(choices.as_record(read.settings)) == read.settings


# ------------------------------------------------------------------ command lines


@functools.cache
def folder() -> Path:
    """A folder with files to name, good and bad ones."""
    kept = tempfile.TemporaryDirectory(prefix="fuzz")
    place = Path(kept.name)
    folder.kept = kept  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    (place / "one.png").write_bytes(to_png(rng.random((28, 28, 1))))
    drawn = np.zeros((28, 28), np.int32)
    drawn[4:14, 4:12], drawn[18:24, 16:24] = 1, 2
    (place / "mask.png").write_bytes(save_labels(drawn))
    (place / "session.zip").write_bytes(packed())
    (place / "text.png").write_text("no picture")
    (place / "empty").touch()
    if hasattr(os, "mkfifo"):
        os.mkfifo(place / "pipe")
    return place


FILES = (
    "one.png",
    "mask.png",
    "session.zip",
    "text.png",
    "empty",
    "pipe",
    ".",
    "gone",
    "",
    "/dev/zero",
)
WORDS = (
    "0", "1", "3", "16", "-1", "²", "1e300", "1e-300", "nan", "inf", "9" * 5000, "a", "", " ", "-",
    "--", "é\n", "\udce9", "#12", "black", "ff8000", "0.5", "a:b:c", ":", "=", "true",
    "balanced:abc", "noise:-1", "kmeans:1e300", "blur:inf", "picture:pipe", "labels:/dev/zero",
    "quickshift:1,.1,0",
)  # fmt: skip
OPTIONS: dict[str, tuple[str, ...]] = {
    "--mask": FILES,
    "--inside": ("0", "2"),
    "--outside": ("0", "6", "10000"),
    "--samples": ("20", "64", "5"),
    "--segmenter": tuple(segmenters.SEGMENTERS),
    "--design": tuple(sample.DESIGNS),
    "--replacement": (*replace.REPLACEMENTS, *replace.COLORS),
    "--target": ("1", "7", "ten"),
    "--width": ("0.25", "0.001", "1e6"),
    "--penalty": ("0", "1", "1e9"),
    "--seed": ("0", str(2**53 - 1)),
    "--model": ("digits", "digits@bfloat16", "json:nothing", "math:pi", "gone.onnx", "@"),
    "--about": FILES,
    "--regions": ("1", "0,2", "9", "1,,2"),
    **{f"--{name}": ("1", "0.5", "up-down") for name in EDITS},
}


def command(rng: Rng) -> None:
    """A command line of known and unknown words; it ends with an answer or with one sentence."""
    kind = pick(rng, ("explain", "explain", "explain", "edit", "edit", "replay", "download", "x"))
    words = [kind, "one.png" if rng.random() < 0.8 else pick(rng, FILES)]
    known = [name for name in OPTIONS if kind == "edit" or name[2:] not in (*EDITS, "regions")]
    if kind in ("explain", "edit"):
        words += ["--out", "new/er" if rng.random() < 0.9 else pick(rng, FILES), "--samples", "20"]
        words += ["--outside", "6", "--model", "digits"]
        words += ["--mask", "mask.png"] * (kind == "edit")
    if kind == "download":
        words[1] = pick(rng, ("digits", "mobilenet", "²"))  # never one that is fetched
    if kind == "replay":
        words[1] = pick(rng, ("session.zip", *FILES))
    for _ in range(int(rng.integers(1, 3))):
        option = pick(rng, known)
        words += [option, pick(rng, OPTIONS[option] if rng.random() < 0.6 else (*WORDS, *FILES))]
    if rng.random() < 0.2:
        words[int(rng.integers(len(words)))] = pick(rng, WORDS)
    answered([word for word in words if "\0" not in word])


def answered(words: list[str]) -> None:
    """Run a command on a console of few letters; complain of all that is no answer."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2))
    before = Path.cwd()
    os.chdir(folder())
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main(words)
    except SystemExit as end:  # argparse has shown how
        status = None if end.code in (0, 2) else end.code
    finally:
        os.chdir(before)
        for stream in (out, err):
            stream.flush()
    said = err.buffer.getvalue().decode("ascii").replace("\r", "\n")  # type: ignore[attr-defined]
    assert "Traceback" not in said, said
    if status == 2:
        *_, last = said.splitlines()
        assert last.startswith("limecraft_jax: "), said
        assert last.endswith((".", "?")), said
        assert len(last) < 800, said
    else:
        assert status in (None, 0, 1), (status, said)
