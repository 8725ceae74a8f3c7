"""Every kind of picture and mask file is read right, or refused with one sentence."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageCms, ImageDraw, ImageFilter

from limecraft_jax import pixels
from limecraft_jax.files.images import load_image, to_jpeg, to_png
from limecraft_jax.files.masks import load_mask, save_labels
from limecraft_jax.pixels import prepare
from limecraft_jax.types import InputError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (24, 36, 3), dtype=np.uint8)
SMOOTH = np.stack(np.broadcast_arrays(*np.ogrid[0:240:24j, 0:250:36j], 128.0), -1).astype(np.uint8)
SOFT = "soft edges or was saved with loss"


def saved(image, kind="PNG", **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth=8, color=2, rows=b"\0" * 100):
    """A PNG with any announced size and any content."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def read(data, **options):
    loaded = load_image(data, **options)
    assert loaded.pixels.dtype == np.float32
    assert loaded.pixels.ndim == 3
    assert loaded.pixels.shape[2] in (1, 3)
    assert loaded.pixels.min() >= 0
    assert loaded.pixels.max() <= 1
    return loaded


# ------------------------------------------------------------------ pictures, every mode


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_rgb_is_exact(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    loaded = read(saved(PIXELS, kind, **options))
    np.testing.assert_array_equal(loaded.pixels, np.float32(PIXELS) / 255)
    assert loaded.notes == ()


def test_jpeg_and_path(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(saved(SMOOTH, "JPEG", quality=95))
    for source in (path, str(path), path.read_bytes()):
        assert np.abs(read(source).pixels * 255 - SMOOTH).mean() < 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG"])
def test_gray_has_one_channel(kind):
    gray = SMOOTH[..., 1]
    pixels = read(saved(gray, kind)).pixels
    assert pixels.shape == (24, 36, 1)
    assert np.abs(pixels[..., 0] * 255 - gray).max() <= (4 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit(kind):
    bits = PIXELS[..., 0] > 128
    np.testing.assert_array_equal(read(saved(Image.fromarray(bits), kind)).pixels[..., 0], bits)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_gray(kind):
    values = np.linspace(0, 65535, 24 * 36).astype(np.uint16).reshape(24, 36)
    pixels = read(saved(values, kind)).pixels
    np.testing.assert_allclose(pixels[..., 0], values / 65535, atol=1e-6)


def test_sixteen_bit_rgb():
    values = RNG.integers(0, 65536, (24, 36, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    pixels = read(png(36, 24, depth=16, rows=rows)).pixels
    np.testing.assert_allclose(
        pixels, values / 65535, atol=2 / 255
    )  # they round to bytes on the way


def test_big_endian_sixteen_bit_tiff():
    values = np.linspace(0, 65535, 24 * 36).astype(np.uint16).reshape(24, 36)
    image = Image.frombytes("I;16B", (36, 24), values.astype(">u2").tobytes())
    pixels = read(saved(image, "TIFF")).pixels
    np.testing.assert_allclose(pixels[..., 0], values / 65535, atol=1e-6)


def test_thirty_two_bit_integers():
    values = PIXELS[..., 0].astype(np.int32)
    loaded = read(saved(values, "TIFF"))
    np.testing.assert_allclose(loaded.pixels[..., 0], values / 255, atol=1e-6)
    assert loaded.notes == ("The values were divided by 255.",)
    np.testing.assert_allclose(
        read(saved(values * 200, "TIFF")).pixels[..., 0], values * 200 / 65535
    )
    low = read(saved(values * 200 - 9, "TIFF"))
    assert low.pixels.min() == 0
    assert low.notes == ("Values below 0 were set to 0.",)


def test_floats():
    values = np.linspace(0, 1, 24 * 36, dtype=np.float32).reshape(24, 36)
    np.testing.assert_array_equal(read(saved(values, "TIFF")).pixels[..., 0], values)
    loaded = read(saved(values * 255, "TIFF"))
    np.testing.assert_allclose(loaded.pixels[..., 0], values, atol=1e-6)
    assert loaded.notes == ("The values were divided by 255.",)


def test_palette():
    palette = Image.fromarray(PIXELS).quantize(16)
    truth = np.float32(palette.convert("RGB")) / 255
    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        np.testing.assert_array_equal(read(saved(palette, kind)).pixels, truth)


def test_transparent_pixels_lie_over_white():
    told = ("Transparent pixels were laid over white.",)
    alpha = PIXELS[..., :1]
    over = PIXELS / 255 * (alpha / 255) + 1 - alpha / 255
    loaded = read(saved(np.dstack([PIXELS, alpha])))
    np.testing.assert_allclose(loaded.pixels, over, atol=1e-6)
    assert loaded.notes == told
    gray = read(saved(Image.merge("LA", [Image.fromarray(PIXELS[..., i]) for i in (1, 0)])))
    np.testing.assert_allclose(gray.pixels, over[..., 1:2], atol=1e-6)
    assert gray.notes == told
    opaque = read(saved(np.dstack([PIXELS, np.full_like(alpha, 255)])))
    np.testing.assert_array_equal(opaque.pixels, np.float32(PIXELS) / 255)
    assert opaque.notes == ()


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_a_transparent_index(kind):
    image = Image.fromarray(PIXELS).quantize(16)
    index = np.array(image)
    loaded = read(saved(image, kind, transparency=3))
    assert (loaded.pixels[index == 3] == 1).all()
    np.testing.assert_array_equal(
        loaded.pixels[index != 3], (np.float32(image.convert("RGB")) / 255)[index != 3]
    )


def test_transparent_color_key():
    gray = PIXELS[..., 0]
    pixels = read(saved(gray, transparency=int(gray[0, 0]))).pixels[..., 0]
    np.testing.assert_array_equal(
        pixels, np.where(gray == gray[0, 0], np.float32(1), np.float32(gray) / 255)
    )


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_becomes_rgb(kind):
    """Adobe's CMYK JPEG files are stored inverted; both must come out in the right colors."""
    loaded = read(saved(Image.fromarray(SMOOTH).convert("CMYK"), kind))
    assert loaded.pixels.shape == (24, 36, 3)
    assert np.abs(loaded.pixels * 255 - SMOOTH).mean() < 4


def test_a_foreign_color_profile_is_converted():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = read(saved(PIXELS, icc_profile=srgb))
    assert plain.notes == ()
    np.testing.assert_array_equal(plain.pixels, np.float32(PIXELS) / 255)
    # The same profile with its first and last primary exchanged, and under another name.
    swapped = srgb.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be"))
    loaded = read(saved(PIXELS, icc_profile=swapped))
    assert np.abs(loaded.pixels - plain.pixels[..., ::-1]).max() < 0.02
    assert loaded.notes == ("Colors were converted from the profile 'Swap built-in' to sRGB.",)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_a_profile_of_other_colors_than_the_picture_s_is_ignored(kind):
    """Printers' files with a screen's profile: four channels must not come out as colors."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    renamed = srgb.replace("sRGB".encode("utf-16-be"), "Mine".encode("utf-16-be"))
    ink = Image.fromarray(SMOOTH).convert("CMYK")
    plain = read(saved(ink, kind))
    for profile in (srgb, renamed, lab):
        loaded = read(saved(ink, kind, icc_profile=profile))
        np.testing.assert_array_equal(loaded.pixels, plain.pixels)
        assert loaded.notes == ()
    light = read(saved(Image.fromarray(SMOOTH), kind, icc_profile=lab))
    np.testing.assert_array_equal(light.pixels, read(saved(Image.fromarray(SMOOTH), kind)).pixels)


def test_an_unreadable_color_profile_is_ignored():
    broken = read(saved(PIXELS, icc_profile=b"not a profile"))
    np.testing.assert_array_equal(broken.pixels, np.float32(PIXELS) / 255)


# ------------------------------------------------------------------ pictures, what is told


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_rotation(kind, orientation):
    upright = Image.fromarray(SMOOTH)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = read(saved(stored, kind, exif=exif), max_side=30)
    assert loaded.pixels.shape == (20, 30, 3)
    small = np.asarray(upright.resize((30, 20), Image.Resampling.BILINEAR), float)
    assert np.abs(loaded.pixels * 255 - small).mean() < 4
    turned = ("The image was turned upright as its EXIF tag says.",) if orientation > 1 else ()
    assert loaded.notes == (*turned, "The image was reduced from 36 × 24 to 30 × 20 pixels.")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (20, 16), (0, 40 * i, 255)) for i in range(5)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    loaded = read(data)
    np.testing.assert_array_equal(loaded.pixels[0, 0], [0, 0, 1])
    assert loaded.notes == ("The file has 5 frames; the first one is used.",)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_long_images_are_reduced(kind):
    wide = Image.fromarray(SMOOTH).resize((1000, 400), Image.Resampling.BICUBIC)
    loaded = read(saved(wide, kind), max_side=100)
    assert loaded.pixels.shape == (40, 100, 3)
    assert loaded.notes == ("The image was reduced from 1000 × 400 to 100 × 40 pixels.",)
    small = np.asarray(wide.resize((100, 40), Image.Resampling.BOX), float)
    assert np.abs(loaded.pixels * 255 - small).mean() < 3


def test_reducing_keeps_sixteen_bits_and_the_colors_under_alpha():
    deep = np.full((64, 64), 1000, np.uint16)
    np.testing.assert_allclose(read(saved(deep), max_side=16).pixels, 1000 / 65535, rtol=1e-4)
    rgba = np.zeros((64, 64, 4), np.uint8)  # red where opaque, black where not
    rgba[::2] = (255, 0, 0, 255)
    pixels = read(saved(rgba), max_side=16).pixels
    np.testing.assert_allclose(pixels[4:-4].mean((0, 1)), [1, 0.5, 0.5], atol=0.02)


def test_png_and_back_is_the_identity():
    np.testing.assert_array_equal(read(to_png(PIXELS)).pixels * 255, np.float32(PIXELS))
    floats = np.float32(PIXELS[..., :1]) / 255
    np.testing.assert_array_equal(read(to_png(floats)).pixels, floats)
    assert read(to_jpeg(PIXELS)).pixels.shape == (24, 36, 3)
    with pytest.raises(InputError, match=r"shape \(h, w, 1\) or \(h, w, 3\), got \(3, 3, 2\)"):
        to_png(np.zeros((3, 3, 2)))


# ------------------------------------------------------------------ pictures, what is refused

WHOLE = "an image must be a whole PNG, JPEG, WEBP, GIF, BMP or TIFF file, got one that breaks off"


def refuse(sentence, source, load=load_image, *args):
    with pytest.raises(InputError) as caught:
        load(source, *args)
    assert str(caught.value) == sentence


def test_refusals(tmp_path):
    kinds = "an image must be a PNG, JPEG, WEBP, GIF, BMP or TIFF file, got"
    refuse(f"{kinds} another file: save it as PNG or JPEG.", b"hello, world")
    refuse(f"{kinds} a PDF: save it as PNG or JPEG.", b"%PDF-1.7")
    refuse(f"{kinds} a HEIC photo: save it as PNG or JPEG.", b"\0\0\0\x18ftypheic\0\0\0\0")
    refuse(f"{kinds} another file: save it as PNG or JPEG.", b"RIFF\0\0\0\0WAVEfmt ")
    refuse("an image must not be an empty file, got 0 bytes: choose another file.", b"")
    refuse("an image must be an existing file, got 'nowhere.png': check the path.", "nowhere.png")
    refuse(
        f"an image must be a file, got the folder {str(tmp_path)!r}: name a file in it.", tmp_path
    )
    refuse(
        "an image must be at least 8 × 8 pixels, got 1 × 1: choose a larger one.",
        saved(np.zeros((1, 1), np.uint8)),
    )
    with pytest.raises(InputError, match="an image must be a readable file, got"):
        load_image("a\0b.png")
    with pytest.raises(InputError, match="max_side must be at least 8 pixels, got 0"):
        load_image(saved(PIXELS), max_side=0)


@pytest.mark.parametrize("load", [load_image, lambda data: load_mask(data, (9, 9))])
def test_size_is_checked_from_the_header(load):
    what = "an image" if load is load_image else "a mask"
    for side in (20_000, 9_500, 2**31 - 1):
        refuse(
            f"{what} must have at most 40 million pixels, got {side} × {side}: reduce it first.",
            png(side, side),
            load,
        )
    gif = bytearray(saved(PIXELS, "GIF"))
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    refuse(
        f"{what} must have at most 40 million pixels, got 60000 × 60000: reduce it first.",
        bytes(gif),
        load,
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_truncated_files(kind):
    data = saved(PIXELS, kind)
    for part in (0.9, 0.6, 0.3, 0.05):
        with pytest.raises(
            InputError, match=r"breaks off or is damaged.*save or download it again"
        ):
            load_image(data[: max(12, int(part * len(data)))])
    refuse(
        "an image must be a whole file, got a PNG of 36 × 24 pixels that breaks off or is damaged: "
        "save or download it again.",
        saved(PIXELS)[:1000],
    )
    refuse(f"{WHOLE} or is damaged in its header: save or download it again.", saved(PIXELS)[:12])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_no_damage_breaks_it(kind):
    rng = np.random.default_rng(1)
    data = np.frombuffer(saved(SMOOTH, kind), np.uint8)
    for _ in range(60):
        broken = data.copy()
        broken[rng.integers(3, len(data), rng.integers(1, 6))] = rng.integers(0, 256)
        for load in (load_image, lambda data: load_mask(data, (10, 12))):
            with contextlib.suppress(InputError):  # and no other exception
                load(broken.tobytes())


def test_floats_that_are_no_picture():
    values = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    holed = values.copy()
    holed[3, 3] = np.nan
    refuse(
        "an image must hold finite values, got NaN or infinity: mend the file.",
        saved(holed, "TIFF"),
    )
    refuse(
        "an image of floats must have values in [0, 1] or [0, 255], got -1 to 0: rescale them or "
        "save it as PNG.",
        saved(values - 1, "TIFF"),
    )


# ------------------------------------------------------------------ masks

SHAPE = (60, 80)
DISK = np.zeros(SHAPE, bool)
DISK[10:50, 20:70] = True
DISK[30:, 60:] = False


def same(loaded, truth, *notes):
    assert loaded.labels.dtype == np.int32
    np.testing.assert_array_equal(loaded.labels, truth)
    assert loaded.notes == notes


def ellipse(scale=8):
    big = Image.new("L", (80 * scale, 60 * scale))
    ImageDraw.Draw(big).ellipse((20 * scale, 10 * scale, 70 * scale, 50 * scale), fill=255)
    return big


def test_two_valued_masks_of_every_kind():
    gray = Image.fromarray(np.uint8(DISK) * 255)
    files = [saved(gray.convert(m), k) for m in ("1", "L", "P", "RGB") for k in ("PNG", "TIFF")]
    files += [saved(gray.convert("RGBA")), saved(gray, "GIF"), saved(gray, "BMP")]
    files += [saved(gray, "WEBP", lossless=True), saved(np.uint16(DISK) * 65535)]
    files += [saved(np.uint8(DISK)), saved(np.uint16(DISK)), saved(np.uint8(DISK) * 90 + 50)]
    files += [npy(DISK), npy(np.int64(DISK)), npy(np.asfortranarray(np.int8(DISK)))]
    for data in files:
        same(load_mask(data, SHAPE), DISK)


def test_transparent_is_outside():
    color = np.zeros((*SHAPE, 4), np.uint8)
    color[...] = (200, 30, 30, 0)
    color[DISK, 3] = 255
    same(load_mask(saved(color), SHAPE), DISK)
    color[..., :3] = 0  # drawn in black on nothing
    same(load_mask(saved(color), SHAPE), DISK)


def test_colors_indices_and_grays_are_regions():
    index = np.zeros(SHAPE, np.uint8)
    index[5:20, 5:30], index[25:50, 5:30], index[10:40, 40:70] = 9, 4, 200
    truth = np.searchsorted([0, 4, 9, 200], index)
    same(load_mask(saved(index), SHAPE), truth)
    same(load_mask(saved(np.uint16(index) * 300), SHAPE), truth)
    same(load_mask(npy(index), SHAPE), truth)
    palette = Image.frombytes("P", SHAPE[::-1], index.tobytes())
    palette.putpalette([0, 0, 0, *RNG.integers(1, 256, 255 * 3).tolist()])
    same(load_mask(saved(palette), SHAPE), truth)
    rgb = np.zeros((*SHAPE, 3), np.uint8)
    rgb[index == 4], rgb[index == 9], rgb[index == 200] = (0, 0, 255), (0, 255, 0), (255, 0, 0)
    same(load_mask(saved(rgb), SHAPE), truth)


def test_black_is_outside_wherever_the_palette_has_it():
    image = Image.frombytes("P", SHAPE[::-1], np.uint8(~DISK).tobytes())
    image.putpalette([255, 255, 255, 0, 0, 0])
    same(load_mask(saved(image), SHAPE), DISK)
    image.putpalette([255, 255, 255, 9, 99, 9])
    same(load_mask(saved(image), SHAPE), ~DISK)


@pytest.mark.parametrize("size", [(80, 60), (40, 30), (160, 120)])
def test_soft_edges_are_cut_at_half(size):
    soft = ellipse().resize(size, Image.Resampling.BILINEAR)
    truth = np.asarray(ellipse().resize((80, 60), Image.Resampling.BOX)) > 127
    blurred = soft.filter(ImageFilter.GaussianBlur(2))
    tinted = Image.merge("RGB", [soft, soft, Image.new("L", size)])
    files = [soft, blurred, tinted, soft.quantize(20), soft.point(lambda v: round(v / 85) * 85)]
    for data in [*map(saved, files), saved(soft, "JPEG"), saved(soft, "WEBP")]:
        loaded = load_mask(data, SHAPE)
        assert loaded.labels.max() == 1
        assert SOFT in loaded.notes[0]
        assert (loaded.labels & truth).sum() > 0.93 * (loaded.labels | truth).sum()


def test_photographs_give_one_region():
    from skimage.data import chelsea

    cat = Image.fromarray(chelsea())
    for data in (saved(cat), saved(cat.convert("L")), saved(cat.quantize(64)), saved(cat, "JPEG")):
        loaded = load_mask(data, (300, 451))
        assert loaded.labels.max() == 1
        assert SOFT in loaded.notes[0]


def test_many_regions_and_the_way_back():
    labels = (np.arange(300)[:, None] // 12 * 24 + np.arange(290) // 12 + 1).astype(np.int32)
    labels[:40] = 0
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)
    assert labels.max() > 500
    same(load_mask(save_labels(labels), labels.shape), labels)
    same(load_mask(saved(labels.astype(np.uint16)), labels.shape), labels)
    colors = RNG.choice(2**24 - 1, labels.max() + 1, replace=False) + 1
    colors[0] = 0
    colors[1:].sort()
    rgb = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], -1).astype(np.uint8)[labels]
    same(load_mask(saved(rgb), labels.shape), labels)


def test_our_own_label_maps_come_back_to_the_letter():
    noise = RNG.permutation(np.arange(1200) % 700).reshape(30, 40)
    same(load_mask(save_labels(noise), (30, 40)), noise)
    ones = np.ones((4, 6), int)
    same(load_mask(save_labels(ones), (4, 6)), ones)
    with pytest.raises(InputError, match="labels from 0 to 65535, got 0 to 70000"):
        save_labels(np.array([[0, 70000]]))
    with pytest.raises(InputError, match=r"whole numbers in shape \(h, w\), got float64 \(2, 2\)"):
        save_labels(np.zeros((2, 2)))


def test_resizing_picks_the_pixel_under_the_center():
    small = np.array([[0, 1], [2, 3]], np.uint8)
    loaded = load_mask(npy(small), (4, 6))
    truth = np.repeat(np.repeat(small, 2, 0), 3, 1)
    resized = "The mask was resized from 2 × 2 to 6 × 4 pixels"
    same(loaded, truth, f"{resized} and stretched, its aspect differs.")
    big = np.zeros((220, 220), np.uint8)
    big[60:163, 40:143] = 1
    loaded = load_mask(saved(big * 255), (299, 299))
    assert loaded.labels.mean() == pytest.approx(big.mean(), rel=0.01)
    assert loaded.notes == ("The mask was resized from 220 × 220 to 299 × 299 pixels.",)
    again = load_mask(saved(big * 255), (110, 110))
    np.testing.assert_array_equal(again.labels, big[1::2, 1::2])


@pytest.mark.parametrize("size", [(2, 3), (10, 7), (11, 13), (25, 37), (49, 50), (33, 99)])
def test_pictures_and_arrays_are_picked_alike(size):
    labels = RNG.permutation(50 * 100).reshape(50, 100)
    picked = load_mask(npy(labels), size)
    np.testing.assert_array_equal(load_mask(save_labels(labels), size).labels, picked.labels)


@pytest.mark.parametrize("size", [(8, 900), (700, 9), (8, 64), (8, 65)])
def test_of_a_long_strip_only_the_middle_is_blown_up(size, monkeypatch):
    """Where the whole is, a strip of 8 × 5 000 000 pixels takes 160 GB; the answer is the same."""
    strip = RNG.random((*size, 3)).astype(np.float32)
    drawn = RNG.integers(0, 3, size).astype(np.uint8)
    files = npy(drawn), save_labels(drawn)
    strips = [prepare(strip, 32, 32, 3, 0.875, way) for way in ("bicubic", "bilinear")]
    masks = [load_mask(data, (32, 32), 0.875) for data in files]
    monkeypatch.setattr(pixels, "LONGEST", 10**9)
    for way, found in zip(("bicubic", "bilinear"), strips, strict=True):
        whole = prepare(strip, 32, 32, 3, 0.875, way)
        assert np.abs(found - whole).mean() < 0.02
    for data, found in zip(files, masks, strict=True):
        whole = load_mask(data, (32, 32), 0.875)
        assert (found.labels == whole.labels).mean() > 0.95
        assert found.notes == whole.notes


def test_strips_of_any_length_are_read():
    strip = np.zeros((8, 4_000_000), np.uint8)
    strip[:, 1_999_990:2_000_001] = 1
    for data in (npy(strip), saved(Image.fromarray(strip * 255).convert("1"))):
        labels = load_mask(data, (224, 224), 0.875).labels
        assert set(np.unique(labels)) == {0, 1}


def test_empty_mask_is_told_not_refused():
    told = "The mask is empty: it marks no region, so the whole image is explained."
    nothing = np.zeros(SHAPE, np.uint8)
    for data in (saved(nothing), saved(nothing, "JPEG"), npy(nothing), npy(nothing > 0)):
        loaded = load_mask(data, SHAPE)
        assert not loaded.labels.any()
        assert loaded.notes[-1] == told


def test_masks_follow_the_exif_tag():
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = np.uint8(DISK[::-1, ::-1]) * 255
    same(
        load_mask(saved(turned, exif=exif), SHAPE),
        DISK,
        "The mask was turned upright as its EXIF tag says.",
    )


def test_any_byte_but_zero_is_true():
    data = npy(DISK)
    same(load_mask(data[:-4800] + data[-4800:].replace(b"\1", b"\7"), SHAPE), DISK)


def test_negative_labels_are_outside():
    labels = np.array([[-1, 0, 5], [-1, 2, 2]])
    same(
        load_mask(npy(labels), (2, 3)), [[0, 0, 2], [0, 1, 1]], "Negative labels count as outside."
    )


def test_mask_refusals():
    shape = (9, 9)
    refuse(
        "a mask must be a PNG, JPEG, WEBP, GIF, BMP or TIFF file, got another file: save it as PNG "
        "or JPEG.",
        b"hello",
        load_mask,
        shape,
    )
    refuse(
        "a mask must not be an empty file, got 0 bytes: choose another file.", b"", load_mask, shape
    )
    refuse(
        "a mask array must hold whole numbers or booleans in shape (h, w), got float64 (2, 2): "
        "convert it first.",
        npy(np.zeros((2, 2))),
        load_mask,
        shape,
    )
    whole = "a mask must be a whole .npy file, got a damaged one: save it again."
    refuse(whole, npy(np.zeros((9, 9), int))[:-5], load_mask, shape)
    refuse(whole, npy(np.zeros((9, 9), int))[:20], load_mask, shape)
    for shapes in ("(-9, -9)", "(True, 81)", "(9, 9, -1)", "(9.0, 9)", "9", "(81,)[:1] * 2"):
        lying = npy(np.zeros((9, 9), int)).replace(
            b"(9, 9), }" + b" " * (len(shapes) - 6), shapes.encode() + b", }"
        )
        assert shapes.encode() in lying
        refuse(whole, lying, load_mask, shape)
    huge = npy(np.zeros((2, 2), int)).replace(b"(2, 2), }" + b" " * 12, b"(9999999, 9999999), }")
    refuse(
        "a mask must have at most 40 million pixels, got 9999999 × 9999999: reduce it first.",
        huge,
        load_mask,
        shape,
    )
    objects = io.BytesIO()
    np.save(objects, np.array([[{}]], object), allow_pickle=True)
    with pytest.raises(InputError, match="whole numbers or booleans"):
        load_mask(objects.getvalue(), shape)
    refuse(
        "a mask must hold whole numbers, got a picture of floats: save it as PNG.",
        saved(np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10), "TIFF"),
        load_mask,
        shape,
    )


def test_the_middle_of_a_picture_is_what_imagenet_networks_are_tested_on():
    given = skimage.data.chelsea()  # 300 x 451
    theirs = Image.fromarray(given).resize((385, 256), Image.Resampling.BICUBIC)
    theirs = np.asarray(theirs.crop((80, 16, 304, 240)), np.float32) / 255
    ours = prepare(given.astype(np.float32) / 255, 224, 224, 3, crop=0.875, resample="bicubic")
    assert ours.shape == (224, 224, 3)
    np.testing.assert_allclose(ours, theirs, atol=2 / 255)  # they round to bytes on the way


@pytest.mark.parametrize("crop", [0, 0.875, 0.95, 1])
@pytest.mark.parametrize("size", [(300, 450), (450, 300), (100, 90), (224, 224)])
def test_a_mask_goes_the_way_of_its_picture(crop, size):
    mask = np.zeros(size, np.int32)
    mask[size[0] // 4 : size[0] // 2, size[1] // 3 : -size[1] // 4] = 1
    seen = prepare(mask.astype(np.float32), 224, 224, 1, crop)[..., 0] > 0.5
    read = load_mask(save_labels(mask), (224, 224), crop).labels == 1
    assert (seen == read).mean() > 0.98
    exact = load_mask(save_labels(read.astype(np.int32)), (224, 224), crop).labels == 1
    assert (exact == read).all(), "a mask of the model's own size is not cropped again"
