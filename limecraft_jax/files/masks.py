"""Mask files in, label maps out.

    file ──decode──► one code per pixel ──which codes are regions?──► labels ──nearest──► (h, w)

A label map is int32, 0 outside and 1, 2, ... the regions. Black and transparent pixels are
outside; every other value, palette index or color is a region of its own, in increasing order. A
file whose intermediate values are mere blends (soft edges, JPEG) is cut at half brightness instead.
Pixels are only ever picked, never mixed: resizing cannot make a region grow or invent a label.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, PngImagePlugin

from limecraft_jax.files.images import (
    MOST_PIXELS,
    array_header,
    damaged,
    decode,
    open_header,
    read_bytes,
)
from limecraft_jax.pixels import band, frame, middle
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Int32

_NPY = b"\x93NUMPY"
_OURS = "limecraft-jax labels"  # PNG text key of our own label maps: read back to the letter
_MOST_LABEL = 65535  # what a 16-bit gray PNG holds
_MANY = 32  # more values than people draw by hand
_STRETCH = 0.02  # relative change of aspect that is worth a word
# For a shape on file: that of the middle which is looked at, and the one wanted of that.
Wanted = Callable[[tuple[int, int]], tuple[tuple[int, int], tuple[int, int]]]


@dataclass(frozen=True, eq=False)
class LoadedMask:
    """A mask of the wanted size.

    Attributes
    ----------
    labels
        0 outside, 1..R the regions; all zero if the file was empty.
    notes
        Sentences on how the file was read.
    """

    labels: Int32[np.ndarray, "h w"]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Coded:
    """One code per pixel as the file had it, and what the codes mean."""

    codes: Int[np.ndarray, "h w"]
    outside: Bool[np.ndarray, "h w"]  # black or transparent
    brightness: Float[np.ndarray, "h w"]  # in [0, 1]
    exact: bool = False  # every code is a label by declaration (array, our own file, 16 bits)
    lossy: bool = False  # the codec does not keep values


def load_mask(
    source: bytes | str | os.PathLike[str], shape: tuple[int, int], crop: float = 0.0
) -> LoadedMask:
    """Read a mask or label map and bring it to the size of the image it belongs to.

    Parameters
    ----------
    source
        Contents or path of a picture file of any mode, or of an ``.npy`` array of whole numbers or
        booleans.
    shape
        (h, w) of the image in pixels. The nearest pixel centers are picked.
    crop
        How the image was brought to that size, see `types.frame`; a mask of another size than
        `shape` goes the same way.

    Raises
    ------
    InputError
        If the file is missing, empty, damaged, or holds no mask. An empty mask is no error: it
        comes back as zeros with a note.
    """
    data = read_bytes(source, "a mask")
    notes: list[str] = []
    # Shrinking comes before sorting out the codes (less to do), growing after it (a blend is only
    # recognizable while it is one pixel wide).
    read = _from_array if data.startswith(_NPY) else _from_picture

    def seen(size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        kept = band(size, shape, crop)
        return kept, frame(kept, shape, crop)

    coded, size = read(data, seen, notes)
    labels = _labels(coded, notes)
    kept, full = seen(size)
    labels = labels[_nearest(labels.shape[0], full[0])][:, _nearest(labels.shape[1], full[1])]
    labels = middle(labels, *shape)
    if size != tuple(shape):
        ratio = (kept[1] / kept[0]) / (full[1] / full[0])
        stretched = " and stretched, its aspect differs" if abs(ratio - 1) > _STRETCH else ""
        notes.append(
            f"The mask was resized from {size[1]} × {size[0]} to {shape[1]} × {shape[0]} "
            f"pixels{stretched}."
        )
    if not labels.any():
        notes.append("The mask is empty: it marks no region, so the whole image is explained.")
    return LoadedMask(labels, tuple(notes))


def save_labels(labels: Int[np.ndarray, "h w"]) -> bytes:
    """A 16-bit gray PNG of a label map with labels 0..65535; `load_mask` reads it back exactly."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "biu" or not labels.size:
        raise InputError(
            f"a label map must hold whole numbers in shape (h, w), "
            f"got {labels.dtype} {labels.shape}."
        )
    if labels.min() < 0 or labels.max() > _MOST_LABEL:
        raise InputError(
            f"a label map must have labels from 0 to {_MOST_LABEL}, "
            f"got {labels.min()} to {labels.max()}."
        )
    ours = PngImagePlugin.PngInfo()
    ours.add_text(_OURS, "0 is outside, 1, 2, ... are the regions")
    buffer = io.BytesIO()
    Image.fromarray(labels.astype(np.uint16)).save(buffer, "PNG", pnginfo=ours)
    return buffer.getvalue()


def _nearest(old: int, new: int) -> Int[np.ndarray, " new"]:
    """Which of `old` pixels lies under the center of each of `new` pixels."""
    return ((2 * np.arange(new) + 1) * old) // (2 * new)


def _from_array(data: bytes, seen: Wanted, notes: list[str]) -> tuple[_Coded, tuple[int, int]]:
    """Codes of an .npy file, picked to at most the shape that is wanted, and its shape on file.

    The header is checked before anything of the announced size is allocated.
    """
    file = io.BytesIO(data)
    try:
        shape, fortran, dtype = array_header(file)
    except Exception as error:  # foreign bytes: whatever the parser stumbles over
        raise InputError(
            "a mask must be a whole .npy file, got a damaged one: save it again."
        ) from (error)
    if len(shape) != 2 or dtype.kind not in "biu" or 0 in shape:
        raise InputError(
            f"a mask array must hold whole numbers or booleans in shape (h, w), "
            f"got {dtype} {shape}: convert it first."
        )
    if shape[0] * shape[1] > MOST_PIXELS:
        raise InputError(
            f"a mask must have at most {MOST_PIXELS // 1_000_000} million pixels, "
            f"got {shape[1]} × {shape[0]}: reduce it first."
        )
    if len(data) - file.tell() != shape[0] * shape[1] * dtype.itemsize:
        raise InputError("a mask must be a whole .npy file, got a damaged one: save it again.")
    codes = np.frombuffer(data, dtype, offset=file.tell())
    if dtype.kind == "b":
        codes = codes.view(np.uint8) != 0  # whatever bytes a stranger calls true
    kept, wanted = seen(shape)
    codes = middle(codes.reshape(shape, order="F" if fortran else "C"), *kept)
    rows, cols = (
        _nearest(old, min(old, new)) for old, new in zip(codes.shape, wanted, strict=True)
    )
    codes = codes[rows][:, cols]
    if codes.dtype.kind == "i" and codes.min() < 0:
        notes.append("Negative labels count as outside.")
    return _Coded(codes, codes <= 0, (codes > 0).astype(np.float32), exact=True), shape


def _from_picture(data: bytes, seen: Wanted, notes: list[str]) -> tuple[_Coded, tuple[int, int]]:
    """Codes of a picture file, picked to at most the shape wanted, and its shape on file."""
    image = open_header(data, "a mask")
    ours = _OURS in image.info
    lossy = image.format in ("JPEG", "MPO") or image.info.get("compression") == "jpeg"
    lossy |= image.format == "WEBP" and b"VP8L" not in data
    image, told = decode(image, "a mask")
    notes += [note.replace("The image", "The mask") for note in told]
    size = image.height, image.width
    kept, wanted = seen(size)
    least = min(kept[1], wanted[1]), min(kept[0], wanted[0])
    try:
        if kept != size:
            top, left = (size[0] - kept[0]) // 2, (size[1] - kept[1]) // 2
            image = image.crop((left, top, left + kept[1], top + kept[0]))
        if image.size != least:  # Pillow's picks are those of _nearest
            image = image.resize(least, Image.Resampling.NEAREST)
        return _code(image, ours, lossy), size
    except InputError:
        raise
    except Exception as error:  # a palette that breaks off, for example
        raise damaged(image, "a mask") from error


def _code(image: Image.Image, ours: bool, lossy: bool) -> _Coded:
    """One number for each distinct value, index or color, and which of them are outside."""
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        values = np.asarray(image.convert("I") if mode != "F" else image)
        if mode == "F" and not (np.isfinite(values).all() and (values == np.rint(values)).all()):
            raise InputError(
                "a mask must hold whole numbers, got a picture of floats: save it as PNG."
            )
        codes = values.astype(np.int64)
        white = 65535 if mode != "F" and codes.max() <= 65535 else max(int(codes.max()), 1)
        bright = (codes / white).astype(np.float32)
        return _Coded(codes, codes <= 0, bright, exact=ours, lossy=lossy)
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA").getchannel("A")) < 128
    else:
        alpha = np.zeros((image.height, image.width), bool)
    if mode in ("P", "PA"):
        codes = np.asarray(image if mode == "P" else image.getchannel(0)).astype(np.int64)
        rgb = np.asarray(image.convert("RGBA").convert("RGB"))
    else:
        rgb = np.asarray(image.convert("RGBA" if "A" in mode else "RGB").convert("RGB"))
        red, green, blue = np.moveaxis(rgb.astype(np.int64), -1, 0)
        gray = bool((red == green).all() and (green == blue).all())
        codes = red if gray else (red << 16) | (green << 8) | blue
    brightness = rgb.max(-1).astype(np.float32) / 255
    black = brightness == 0
    if alpha.any() and black[~alpha].all():
        # Drawn in black on nothing: there the opaque pixels are what was drawn.
        opaque = ~alpha
        return _Coded(opaque.astype(np.int64), alpha, opaque.astype(np.float32), exact=True)
    outside = alpha | black
    if not outside.any():
        if mode in ("P", "PA"):
            outside = codes == 0  # a palette without black: index 0 is the ground
        elif (seen := np.unique(codes)).size == 2:
            dark = min(seen, key=lambda code: brightness[codes == code][0])
            outside = codes == dark  # two values without black: the darker one is the ground
    return _Coded(codes, outside, brightness, lossy=lossy)


def _labels(coded: _Coded, notes: list[str]) -> Int32[np.ndarray, "h w"]:
    """0 outside, then 1..R in increasing order of the codes; or one region if they are blends."""
    seen, index = np.unique(coded.codes, return_inverse=True)
    index = index.reshape(coded.codes.shape)
    cut = None if coded.exact else _threshold(coded, seen.size, index)
    if cut is not None:
        notes.append(
            "The mask has soft edges or was saved with loss, so its pixels of at least half "
            "brightness form one region."
        )
        return (~coded.outside & (coded.brightness >= cut)).astype(np.int32)
    regions = np.zeros(seen.size, bool)
    regions[index[~coded.outside]] = True
    numbers = np.where(regions, np.cumsum(regions), 0).astype(np.int32)
    return np.where(coded.outside, np.int32(0), numbers[index])


def _threshold(coded: _Coded, count: int, index: Int[np.ndarray, "h w"]) -> float | None:
    """The brightness to cut at if most values are blends of their neighbors, else None.

    A pixel is a blend if it belongs to no uniform 2 × 2 block and lies strictly between the
    darkest and the brightest of its eight neighbors; a value, if most of its pixels do. Label maps
    have few such values however many regions they have, soft edges and photographs mostly such.
    A photograph reduced to a palette betrays itself by having hardly a uniform block at all.
    """
    if coded.lossy:
        return 0.5
    if count <= 2 or min(index.shape) < 2:
        return None
    same = index[:-1, :-1]
    block = (same == index[1:, :-1]) & (same == index[:-1, 1:]) & (same == index[1:, 1:])
    flat = np.zeros(index.shape, bool)
    for rows in (slice(None, -1), slice(1, None)):
        for cols in (slice(None, -1), slice(1, None)):
            flat[rows, cols] |= block
    light = coded.brightness
    around = np.pad(light, 1, mode="edge")
    low, high = light, light
    for i in range(3):
        for j in range(3):
            window = around[i : i + light.shape[0], j : j + light.shape[1]]
            low, high = np.minimum(low, window), np.maximum(high, window)
    blend = ~flat & (low < light) & (light < high)
    total = np.bincount(index.ravel(), minlength=count)
    blended = np.bincount(index.ravel(), weights=blend.ravel(), minlength=count)
    mixed = 2 * blended > total
    levels = np.zeros(count)
    levels[index.ravel()] = light.ravel()
    solid = levels[~mixed]
    few = mixed.any() and solid.size == 2 and solid.min() == 0 and solid.max() >= 0.5
    picture = count > _MANY and flat.mean() < 0.5
    if few or picture or mixed.sum() >= solid.size:
        return float(solid.max() / 2) if solid.size == 2 and solid.min() == 0 else 0.5
    return None
