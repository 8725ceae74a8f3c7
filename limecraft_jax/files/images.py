"""Picture files in, picture files out: one loader for every file a user may bring.

    bytes or path ──magic, header──► size checked ──decode──► upright ──► sRGB in [0, 1], (h, w, c)

Nothing is stretched, equalized or silently dropped; what had to be done is told in ``notes``,
whole sentences for the user. What cannot be used raises ``InputError`` with one sentence. The
size is checked from the header, before a pixel is decoded.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from limecraft_jax.files.reading import read_bytes
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float, UInt8

LEAST_SIDE = 8  # pixels; below that no segmentation is meaningful
MOST_PIXELS = 40_000_000  # a 40 Mpx RGB picture decodes to 120 MB
MAX_SIDE = 2048  # pixels; far above any network's input and any screen's canvas

# The formats are opened by their own classes rather than by Image.open, whose guard against
# decompression bombs warns (process-wide) or raises at other limits than ours.
_READERS: dict[bytes, Callable[..., Image.Image]] = {
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"\xff\xd8\xff": JpegImagePlugin.jpeg_factory,
    b"RIFF": WebPImagePlugin.WebPImageFile,
    b"GIF87a": GifImagePlugin.GifImageFile,
    b"GIF89a": GifImagePlugin.GifImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
    b"II*\x00": TiffImagePlugin.TiffImageFile,
    b"MM\x00*": TiffImagePlugin.TiffImageFile,
}
_FORMATS = "PNG, JPEG, WEBP, GIF, BMP or TIFF"
# What people upload by mistake: (where the mark lies, the mark, its name).
_STRANGERS = (
    (0, b"%PDF", "a PDF"),
    (4, b"ftyphei", "a HEIC photo"),
    (4, b"ftypmif1", "a HEIC photo"),
    (4, b"ftypavif", "an AVIF picture"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an XML or SVG file"),
    (0, b"PK\x03\x04", "a ZIP archive or office document"),
    (0, b"\x93NUMPY", "a NumPy array"),
)
_ORIENTATION = 0x0112  # EXIF tag, 1 = upright


@dataclass(frozen=True, eq=False)
class Loaded:
    """A picture as every other part of the package expects it.

    Attributes
    ----------
    pixels
        sRGB values in [0, 1], rows first; one channel if the file is grey, else three.
    notes
        Sentences on what was done to the file to get there; empty if nothing.
    """

    pixels: Float[np.ndarray, "h w c"]
    notes: tuple[str, ...] = ()


def load_image(source: bytes | str | os.PathLike[str], max_side: int = MAX_SIDE) -> Loaded:
    """Read a picture file of any common format, bit depth and color mode.

    Transparent pixels are laid over white, EXIF-rotated pictures are turned upright, an embedded
    color profile other than sRGB is converted, and of an animation the first frame is used.

    Parameters
    ----------
    source
        The file's contents, or its path.
    max_side
        Longer pictures are reduced (area-averaging, aspect kept) to this many pixels.

    Raises
    ------
    InputError
        If the file is missing, empty, damaged, no picture, smaller than 8 × 8 or larger than 40
        million pixels.
    """
    if max_side < LEAST_SIDE:
        raise InputError(f"max_side must be at least {LEAST_SIDE} pixels, got {max_side}.")
    data = read_bytes(source, "an image")
    image = open_header(data, "an image")
    full = image.size
    if min(full) < LEAST_SIDE:
        raise InputError(
            f"an image must be at least {LEAST_SIDE} × {LEAST_SIDE} pixels, "
            f"got {_size(full)}: choose a larger one."
        )
    wanted = full
    if max(full) > max_side:
        width, height = (max(LEAST_SIDE, round(s * max_side / max(full))) for s in full)
        wanted = (width, height)
    image.draft(None, wanted)  # JPEG alone can skip detail while decoding; others ignore this
    image, notes = decode(image, "an image")
    full, wanted = _upright(full, image), _upright(wanted, image)
    try:
        pixels = _floats(image, wanted, notes)
    except InputError:
        raise
    except Exception as error:  # any failure inside the codec or the color conversion
        raise damaged(image, "an image") from error
    if wanted != full:
        notes.append(f"The image was reduced from {_size(full)} to {_size(wanted)} pixels.")
    return Loaded(pixels, tuple(notes))


def to_png(pixels: Float[np.ndarray, "h w c"] | UInt8[np.ndarray, "h w c"]) -> bytes:
    """A PNG file of a picture with values in [0, 1] (rounded to 8 bits), or of 8-bit values."""
    return _encode(pixels, "PNG")


def to_jpeg(
    pixels: Float[np.ndarray, "h w c"] | UInt8[np.ndarray, "h w c"], quality: int = 90
) -> bytes:
    """A JPEG file of a picture with values in [0, 1], or of 8-bit values.

    The default quality is where 8-bit pictures are visually lossless; four times smaller than PNG
    as a canvas background.
    """
    return _encode(pixels, "JPEG", quality=quality)


def array_header(file: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and type that an .npy file announces; nothing is allocated yet.

    Raises whatever NumPy's parser stumbles over in foreign bytes.
    """
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(file)]
    shape, fortran, dtype = read(file)
    if not all(type(side) is int and side >= 0 for side in shape):  # NumPy takes True and -1
        raise ValueError(shape)
    return shape, fortran, dtype


def open_header(data: bytes, what: str) -> Image.Image:
    """Open a picture without decoding it, and check the size that its header announces."""
    reader = next((read for mark, read in _READERS.items() if data.startswith(mark)), None)
    if reader is None or (data[:4] == b"RIFF" and data[8:12] != b"WEBP"):
        name = next((n for at, mark, n in _STRANGERS if data[at:].startswith(mark)), "another file")
        raise InputError(f"{what} must be a {_FORMATS} file, got {name}: save it as PNG or JPEG.")
    try:
        image = reader(io.BytesIO(data), "")
    except Exception as error:  # foreign bytes: whatever the parser stumbles over
        raise InputError(
            f"{what} must be a whole {_FORMATS} file, got one that breaks off or is damaged "
            f"in its header: save or download it again."
        ) from error
    if image.width * image.height > MOST_PIXELS:
        raise InputError(
            f"{what} must have at most {MOST_PIXELS // 1_000_000} million pixels, "
            f"got {_size(image.size)}: reduce it first."
        )
    return image


def decode(image: Image.Image, what: str) -> tuple[Image.Image, list[str]]:
    """Decode the first frame and turn it upright; the notes say so if there was anything to do."""
    notes = []
    try:
        frames = getattr(image, "n_frames", 1)
        orientation = _orientation(image)
        image.load()
        # A phone's JPEG often carries a second picture (depth, gain map): not worth a word.
        if frames > 1 and image.format != "MPO":
            notes.append(f"The file has {frames} frames; the first one is used.")
        if orientation in range(2, 9):
            # TIFF files are already turned by Pillow while loading, and then have no tag left.
            image = ImageOps.exif_transpose(image)
            notes.append("The image was turned upright as its EXIF tag says.")
    except Exception as error:  # any failure inside the codec
        raise damaged(image, what) from error
    return image, notes


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a broken tag does not spoil the picture
        return 1


def _upright(size: tuple[int, int], image: Image.Image) -> tuple[int, int]:
    """`size` with its sides swapped if the decoded image lies the other way."""
    return size if (size[0] >= size[1]) == (image.width >= image.height) else size[::-1]


def _floats(image: Image.Image, size: tuple[int, int], notes: list[str]) -> np.ndarray:
    """Reduce to `size`, then bring any Pillow mode to (h, w, 1 or 3) in [0, 1]."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image, scale = _deep(image, notes)
        gray = np.asarray(_reduce(image, size), np.float32)[..., None] / scale
        return np.clip(gray, 0, 1, dtype=np.float32)
    if image.has_transparency_data:
        mode = "LA" if image.mode in ("1", "L", "LA") else "RGBA"
    else:
        mode = {"1": "L", "L": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")
    image = image if image.mode == mode else image.convert(mode)  # convert would copy
    image = _srgb(_reduce(image, size), notes)
    pixels = np.asarray(image, np.float32).reshape(image.height, image.width, -1) / 255
    if image.mode in ("LA", "RGBA"):
        alpha, pixels = pixels[..., -1:], pixels[..., :-1]
        if alpha.min() < 1:
            pixels = pixels * alpha + (1 - alpha)
            notes.append("Transparent pixels were laid over white.")
    return pixels


def _deep(image: Image.Image, notes: list[str]) -> tuple[Image.Image, float]:
    """A picture of more than 8 bits as floats, and the value that means white."""
    whole, plain = image.mode != "F", image.mode == "I"  # plain: 32 bits, white is not known
    image = image.convert("I").convert("F") if whole else image
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise InputError("an image must hold finite values, got NaN or infinity: mend the file.")
    low, high = float(values.min()), float(values.max())
    if whole:
        if low < 0:
            notes.append("Values below 0 were set to 0.")
        if plain and 1 < high <= 255:
            notes.append("The values were divided by 255.")
            return image, 255.0
        return image, 65535.0 if high <= 65535 else 2.0**31 - 1
    if low < 0 or high > 255:
        raise InputError(
            f"an image of floats must have values in [0, 1] or [0, 255], "
            f"got {low:.4g} to {high:.4g}: rescale them or save it as PNG."
        )
    if high > 1:
        notes.append("The values were divided by 255.")
    return image, 255.0 if high > 1 else 1.0


def _reduce(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Antialiased (triangle filter: no value outside the old range, alpha weighed in)."""
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3)


def _srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """CMYK and RGB with a foreign color profile to sRGB; everything else untouched."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            name = ImageCms.getProfileDescription(source).strip()
            if source.profile.xcolor_space.strip() != image.mode:
                raise ValueError(name)  # of another kind of colors: it tells nothing of these
            if "srgb" in name.lower():
                return image
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
            if converted is not None:
                notes.append(f"Colors were converted from the profile {name!r} to sRGB.")
                return converted
        except (ImageCms.PyCMSError, ImportError, OSError, ValueError, TypeError):
            pass  # an unreadable or unfitting profile: read the numbers as they stand
    return image.convert("RGB") if image.mode == "CMYK" else image


def _encode(pixels: np.ndarray, kind: str, **options: int) -> bytes:
    pixels = np.asarray(pixels)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise InputError(f"a picture must have shape (h, w, 1) or (h, w, 3), got {pixels.shape}.")
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, kind, **options)
    return buffer.getvalue()


def damaged(image: Image.Image, what: str) -> InputError:
    """The error for a picture whose header is right and whose contents are not."""
    return InputError(
        f"{what} must be a whole file, got a {image.format} of {_size(image.size)} pixels that "
        f"breaks off or is damaged: save or download it again."
    )


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]}"
