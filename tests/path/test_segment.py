"""Laws of every segmenter on every kind of image and mask, and what each one promises by itself."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from skimage import data, segmentation
from skimage.measure import label
from skimage.transform import resize

from limecraft_jax.path import segment as module
from limecraft_jax.path import segmenters, superpixels
from limecraft_jax.path.segment import named, segment, suggest
from limecraft_jax.path.segmenters import (
    SEGMENTERS,
    Felzenszwalb,
    Grid,
    KMeans,
    LabelMap,
    Quickshift,
    Slic,
    Watershed,
)
from limecraft_jax.types import InputError, Segmentation

EXACT = ("kmeans", "watershed")
COUNTED = [name for name, kind in SEGMENTERS.items() if kind.counted]


def noise(*shape):
    return np.random.default_rng(7).random(shape).astype(np.float32)


def photograph(size):
    return resize(data.astronaut() / 255.0, (size, size), anti_aliasing=True).astype(np.float32)


def disk(shape, y, x, radius):
    at_y, at_x = np.mgrid[: shape[0], : shape[1]]
    return (at_y - y) ** 2 + (at_x - x) ** 2 <= radius**2


def several(shape):
    h, w = shape
    mask = 3 * disk(shape, h / 4, w / 4, min(h, w) / 5).astype(int)
    mask[disk(shape, 3 * h / 4, 2 * w / 3, min(h, w) / 4)] = 1
    mask[-1, -1] = 250
    return mask


def abutting(shape):
    mask = np.zeros(shape, int)
    mask[:, : shape[1] // 3] = 1
    mask[: shape[0] // 2, shape[1] // 3 : 1 + 2 * shape[1] // 3] = 2
    return mask


def ring(shape):
    h, w = shape
    return disk(shape, h / 2, w / 2, min(h, w) / 2.2) & ~disk(shape, h / 2, w / 2, min(h, w) / 4)


def pieces_apart(shape):
    mask = np.zeros(shape, int)
    mask[::4, ::5] = 2
    mask[1::4, 2::5] = 1
    mask[-2:, -3:] = 2
    return mask


def many(shape):
    h, w = shape
    return np.arange(h)[:, None] * 23 // h * 22 + np.arange(w) * 22 // w


IMAGES = {
    "color": photograph(36),
    "gray": noise(30, 41, 1),
    "constant": np.full((25, 25, 3), 0.4, np.float32),
    "tall": noise(61, 6, 3),
    "row": noise(1, 37, 3),
    "column": noise(29, 1, 1),
    "tiny": noise(2, 3, 3),
    "pixel": noise(1, 1, 1),
}
MASKS = {
    "none": lambda shape: None,
    "empty": lambda shape: np.zeros(shape, np.uint8),
    "everything": lambda shape: np.ones(shape, bool),
    "one pixel": lambda shape: np.eye(*shape, dtype=int) * (np.arange(shape[1]) == 0),
    "several": several,
    "abutting": abutting,
    "ring": ring,
    "pieces apart": pieces_apart,
    "many": many,
    "random": lambda shape: np.random.default_rng(11).integers(-1, 3, shape),
}
COUNTS = [(0, 0), (0, 7), (5, 0), (6, 9), (10_000, 40)]


@pytest.fixture
def make(tmp_path):
    """Builds a segmenter by name; a label map gets its file."""

    def build(name, shape=(10, 10)):
        if name != "labels":
            return SEGMENTERS[name]()
        path = tmp_path / "labels.npy"
        np.save(path, np.add.outer(np.arange(shape[0]) // 4, np.arange(shape[1]) // 3) % 3)
        return LabelMap(str(path))

    return build


def pieces(mask):
    return label(mask, background=mask.min() - 1, connectivity=1)


def keep_promise(result, mask, shape):
    labels = result.labels
    assert isinstance(result, Segmentation)
    assert labels.dtype == np.int32
    assert result.region.dtype == np.int32
    assert labels.shape == shape
    np.testing.assert_array_equal(np.unique(labels), np.arange(result.num))  # 0 .. d-1
    assert pieces(labels).max() == result.num  # each is one connected piece
    drawn = np.zeros(shape, int) if mask is None else np.asarray(mask, int)
    np.testing.assert_array_equal(result.region[labels], drawn)  # none crosses a boundary
    np.testing.assert_array_equal(result.inside, result.region != 0)
    assert result.areas.sum() == labels.size
    assert result.areas.min() >= 1


def best_counts(mask, inside, outside, region):
    """What a region (its value; 0 for the rest) must have with exact counts: from the brief."""
    own = mask == region
    apart = len(np.unique(pieces(mask)[own]))
    return max(min(max(inside if region else outside, 1), own.sum()), apart)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("name", SEGMENTERS)
def test_the_promise(make, name, image, mask):
    image, shape = IMAGES[image], IMAGES[image].shape[:2]
    mask, segmenter = MASKS[mask](shape), make(name, shape)
    for inside, outside in COUNTS:
        result = segment(image, mask, inside, outside, segmenter)
        keep_promise(result, mask, shape)
        if not segmenter.counted:
            assert result.notes == ()
            break


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("name", EXACT)
def test_exact_counts(name, image, mask):
    image, shape = IMAGES[image], IMAGES[image].shape[:2]
    mask = MASKS[mask](shape)
    drawn = np.zeros(shape, int) if mask is None else mask.astype(int)
    values = np.unique(drawn[drawn != 0])
    for inside, outside in COUNTS:
        result = segment(image, mask, [inside] * len(values), outside, SEGMENTERS[name]())
        short = 0
        for value in np.unique(drawn):
            given = np.sum(result.region == value)
            assert given == best_counts(drawn, inside, outside, value)
            short += given != max(inside if value else outside, 1)
        assert bool(result.notes) == bool(short)


@pytest.mark.parametrize("name", EXACT)
def test_a_total_inside_is_shared_by_area(name):
    image, mask = photograph(64), abutting((64, 64))
    result = segment(image, mask, 30, 25, SEGMENTERS[name]())
    assert result.notes == ()
    areas = np.bincount(mask.ravel())[1:]
    given = np.bincount(result.region, minlength=3)
    assert given[0] == 25
    np.testing.assert_allclose(given[1:], 30 * areas / areas.sum(), atol=1)
    assert given[1:].sum() == 30


@pytest.mark.parametrize("name", SEGMENTERS)
def test_nothing_is_random(make, name):
    image, mask = IMAGES["color"], several((36, 36))
    np.random.seed(0)  # noqa: NPY002 (the global state is what must not matter)
    first = segment(image, mask, 9, 20, make(name, (36, 36)))
    np.random.seed(1)  # noqa: NPY002
    again = segment(image, mask, 9, 20, make(name, (36, 36)))
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.region, again.region)
    assert first.notes == again.notes


@pytest.mark.parametrize("name", SEGMENTERS)
def test_inputs_stay_as_they_are(make, name):
    image, mask = IMAGES["color"].copy(), several((36, 36))
    image.flags.writeable = mask.flags.writeable = False
    segment(image, mask, 9, 20, make(name, (36, 36)))
    np.testing.assert_array_equal(image, IMAGES["color"])


@pytest.mark.parametrize("name", SEGMENTERS)
def test_a_choice_is_a_value(make, name):
    choice = make(name)
    assert eval(repr(choice), vars(segmenters)) == choice
    assert hash(choice) == hash(make(name))
    assert isinstance(choice.counted, bool)
    assert choice.label


@pytest.mark.parametrize("name", SEGMENTERS)
def test_regions_come_first_and_each_is_numbered_from_top_left(make, name):
    mask = several((36, 36))
    result = segment(IMAGES["color"], mask, 9, 20, make(name, (36, 36)))
    rest_last = np.where(result.region == 0, 1000, result.region)
    assert (np.diff(rest_last) >= 0).all()
    _, first = np.unique(result.labels, return_index=True)
    for value in np.unique(mask):
        assert (np.diff(first[result.region == value]) > 0).all()


@pytest.mark.parametrize("name", COUNTED)
def test_five_hundred_drawn_regions(name):
    mask = many((96, 96))
    result = segment(photograph(96), mask, 1000, 3, SEGMENTERS[name]())
    keep_promise(result, mask, (96, 96))
    if name in EXACT:
        assert result.num == 1003


@pytest.mark.parametrize("seed", range(12))
def test_exact_counts_on_random_blobs(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(8, 60, 2))
    mask = resize(rng.random((5, 5)), shape, order=1) * 4 // 1.3
    mask = mask.astype(int)
    values = np.unique(mask[mask > 0])
    inside, outside = rng.integers(0, 60, 2)
    result = segment(rng.random((*shape, 3)), mask, [inside] * len(values), outside, KMeans())
    keep_promise(result, mask, shape)
    for value in np.unique(mask):
        assert np.sum(result.region == value) == best_counts(mask, inside, outside, value)


# What LIMEcraft gets wrong


def test_every_superpixel_has_its_column():
    mask = disk((60, 60), 30, 25, 12)
    result = segment(photograph(60), mask, 10, 50)
    assert result.num == 60
    assert result.inside.sum() == 10
    np.testing.assert_array_equal(np.unique(result.labels), np.arange(60))


@pytest.mark.parametrize("on", [1, 255, True])
@pytest.mark.parametrize(("inside", "outside", "expected"), [(0, 20, 21), (7, 0, 8), (0, 0, 2)])
def test_zero_makes_one_superpixel_and_drops_nothing(on, inside, outside, expected):
    mask = np.where(disk((60, 60), 30, 25, 12), on, 0).astype(type(on))
    result = segment(photograph(60), mask, inside, outside)
    assert result.num == expected
    assert result.notes == ()
    assert set(result.region) == {0, int(on)}


def test_superpixels_do_not_straddle_abutting_regions():
    mask = np.zeros((40, 40), int)
    mask[10:30, 5:20], mask[10:30, 20:35] = 1, 2
    image = np.full((40, 40, 3), 0.5, np.float32)  # nothing to see at the boundary
    result = segment(image, mask, 9, 10)
    keep_promise(result, mask, (40, 40))
    assert result.num == 19


def test_no_mask_is_the_whole_image():
    result = segment(photograph(60), outside=40)
    assert result.num == 40
    assert not result.inside.any()


def test_everything_drawn_ignores_outside():
    image, mask = photograph(40), np.full((40, 40), 4)
    one = segment(image, mask, 12, 3)
    np.testing.assert_array_equal(one.labels, segment(image, mask, 12, 99).labels)
    np.testing.assert_array_equal(one.region, np.full(12, 4))
    assert one.notes == ()


# The segmenters, one by one


def same_partition(a, b):
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1).shape[1]
    return pairs == len(np.unique(a)) == len(np.unique(b))


def test_kmeans_is_compact_without_slivers():
    for count in (20, 60, 100):
        areas = segment(photograph(112), None, outside=count).areas
        assert areas.min() >= 112 * 112 / count / 6
        assert areas.max() <= 112 * 112 / count * 6


def test_kmeans_finds_the_edges_of_a_drawing():
    image = np.full((60, 60, 3), 0.2, np.float32)
    image[disk((60, 60), 28, 31, 15)] = 0.8, 0.5, 0.1
    inside = segment(image, None, outside=30).labels[disk((60, 60), 28, 31, 15)]
    outside = segment(image, None, outside=30).labels[~disk((60, 60), 28, 31, 15)]
    assert not set(inside) & set(outside)


def test_kmeans_sees_a_faint_region_as_it_sees_the_rest():
    """Compactness means the same everywhere: what lies elsewhere does not change a cut much."""
    image = photograph(64)
    image[0, 0], image[0, 1] = 0, 1  # the stretch of the whole image is none
    faint = np.clip(image * 0.02 + 0.5, 0, 1)
    mask = np.zeros((64, 64), int)
    mask[8:56, 8:56] = 1
    mixed = np.where(mask[..., None] == 1, faint, image)
    flat = np.where(mask[..., None] == 1, 0.5, image).astype(np.float32)
    one, other = (segment(x, mask, 16, 20).labels[mask == 1] for x in (mixed, flat))
    assert np.mean(one == other) > 0.8


def explained(image, labels):
    """The share of the variance of color that lies between superpixels."""
    labels, color = np.unique(labels, return_inverse=True)[1].ravel(), image.reshape(-1, 3)
    size = np.bincount(labels)
    mean = np.stack([np.bincount(labels, channel) / size for channel in color.T], axis=1)
    return np.var(mean[labels], axis=0).sum() / np.var(color, axis=0).sum()


def test_kmeans_sees_through_noise():
    image = photograph(224)
    noisy = np.clip(image + 0.05 * np.random.default_rng(0).standard_normal(image.shape), 0, 1)
    assert explained(image, segment(noisy, None, outside=60).labels) > 0.75


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_kmeans_fits_as_well_as_slic(name):
    image = resize(getattr(data, name)() / 255.0, (112, 112), anti_aliasing=True)
    theirs = segmentation.slic(image, n_segments=100, compactness=10)
    ours = segment(image, None, outside=len(np.unique(theirs))).labels
    assert explained(image, ours) > 0.97 * explained(image, theirs)


def test_slic_is_that_of_scikit_image():
    image = photograph(80)
    ours = segment(image, None, outside=40, segmenter=Slic(compactness=20.0))
    theirs = segmentation.slic(image, n_segments=40, compactness=20.0)
    assert same_partition(ours.labels, theirs)
    assert ours.num < 40
    assert ours.notes == (
        f"Image: 40 superpixels asked for, {ours.num} given, "
        "because this segmenter gives counts only roughly.",
    )


@pytest.mark.parametrize("name", ["quickshift", "felzenszwalb"])
def test_whole_image_segmenters_are_those_of_scikit_image(name):
    image = photograph(80)
    ours = segment(image, segmenter=SEGMENTERS[name]()).labels
    theirs = {
        "quickshift": lambda: segmentation.quickshift(
            image, kernel_size=4, max_dist=200, ratio=0.2
        ),
        "felzenszwalb": lambda: segmentation.felzenszwalb(image, scale=100, sigma=0.5, min_size=50),
    }[name]()
    connected = pieces(theirs)
    kept = 0
    for value in np.unique(theirs):
        parts, sizes = np.unique(connected[theirs == value], return_counts=True)
        for part, size in zip(parts, sizes, strict=True):
            if size >= module.CRUMB:  # each large piece is within one superpixel of its own
                kept += 1
                own = ours == np.unique(ours[connected == part]).item()
                assert own.sum() - size < module.CRUMB * 4
    assert ours.max() + 1 == kept


def test_quickshift_has_the_values_of_lime():
    assert Quickshift() == Quickshift(kernel_size=4, max_dist=200, ratio=0.2)


@pytest.mark.parametrize(("count", "shape"), [(49, (28, 28)), (100, (60, 60)), (8, (20, 40))])
def test_a_grid_that_divides_has_equal_squares(count, shape):
    image = noise(*shape, 1)
    result = segment(image, None, outside=count, segmenter=Grid())
    assert result.notes == ()
    np.testing.assert_array_equal(result.areas, np.full(count, np.prod(shape) // count))


@pytest.mark.parametrize("shape", [(20, 31), (1, 19), (45, 3)])
def test_a_grid_is_exact_on_rectangles(shape):
    for count in range(1, np.prod(shape) + 1, 7):
        assert segment(noise(*shape, 3), None, outside=count, segmenter=Grid()).num == count


def test_watershed_keeps_to_its_markers_on_a_blank_image():
    blank = np.zeros((40, 40, 1), np.float32)
    areas = segment(blank, None, outside=16, segmenter=Watershed()).areas
    assert areas.min() >= 64
    assert areas.max() <= 144


def test_a_label_map_is_taken_piece_by_piece(tmp_path):
    given = np.zeros((12, 12), np.uint8)
    given[:, 5:7] = 2  # parts label 0 in two
    given[2, 2] = 3
    given[11, 11] = 2  # a crumb of 2 joins its neighbor; the only pixel of 3 stays
    np.save(tmp_path / "map.npy", given)
    result = segment(noise(12, 12, 3), segmenter=LabelMap(str(tmp_path / "map.npy")))
    np.testing.assert_array_equal(result.labels[0], [0] * 5 + [1] * 2 + [2] * 5)
    assert result.num == 4
    assert result.labels[2, 2] == 3
    assert result.labels[11, 11] == 2


def test_a_drawn_boundary_cuts_a_label_map(tmp_path):
    np.save(tmp_path / "map.npy", np.repeat([0, 1, 2, 3], 3)[:, None].repeat(12, 1))
    mask = np.zeros((12, 12), int)
    mask[1:8, 4:9] = 5
    result = segment(noise(12, 12, 3), mask, segmenter=LabelMap(str(tmp_path / "map.npy")))
    keep_promise(result, mask, (12, 12))
    assert result.inside.sum() == 3


def test_a_crumb_does_not_leave_its_region():
    whole = np.zeros((6, 6), int)
    whole[:, 3:] = 1
    mask = np.zeros((6, 6), int)
    mask[0, 2:4] = 1  # one pixel of each superpixel
    labels = module._tidy(whole, pieces(mask))
    assert len(np.unique(labels[mask == 1])) == 1
    assert not set(labels[mask == 1]) & set(labels[mask == 0])


# Sharing, suggesting and the operations on label maps


@pytest.mark.parametrize("seed", range(20))
def test_share_gives_all_and_nearly_in_proportion(seed):
    rng = np.random.default_rng(seed)
    areas = rng.integers(1, rng.choice([3, 50, 5000]), rng.integers(1, 30))
    count = int(rng.integers(0, areas.sum() + 1))
    shares = superpixels.share(count, areas)
    assert shares.sum() == max(count, len(areas))
    assert (shares >= 1).all()
    assert (shares <= areas).all()
    quota = count * areas / areas.sum()
    if (quota >= 1).all():
        assert (np.abs(shares - quota) < 1).all()


@pytest.mark.parametrize("seed", range(20))
def test_the_suggestion_makes_mean_areas_equal(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((30, 30)) < rng.random()
    total = int(rng.integers(10, 200))
    inside, outside = suggest(mask, total)
    assert inside + outside == total
    drawn = mask.sum()

    def imbalance(n):
        return abs(n - total * drawn / mask.size)

    assert imbalance(inside) == min(imbalance(n) for n in range(1, total))
    assert abs(drawn / inside / (900 / total) - 1) <= 0.5 / inside or inside == 1


def test_a_suggestion_leaves_one_for_each():
    small = np.zeros((50, 50), int)
    small[0, 0], small[5, 5] = 1, 2
    assert suggest(small, 20) == (2, 19)
    assert suggest(small == 0, 20) == (20, 1)
    assert suggest(np.zeros((4, 4), int)) == (0, 100)
    assert suggest(np.ones((4, 4), bool)) == (100, 0)


def test_merge_joins_the_longest_border():
    labels = np.array([[1, 1, 1, 3], [1, 2, 2, 3], [1, 1, 1, 3]])
    np.testing.assert_array_equal(
        superpixels.merge(labels, floor=3), [[1, 1, 1, 2], [1, 1, 1, 2], [1, 1, 1, 2]]
    )
    np.testing.assert_array_equal(superpixels.merge(labels, floor=3, keep={2}), labels)
    assert superpixels.merge(labels, floor=0, count=1).max() == 1


def test_fit_count_leaves_no_crumbs():
    labels = 1 + (np.arange(400).reshape(20, 20) % 20 >= 10)
    labels[3:6, 4], labels[17, 15:18] = 3, 4  # less than a quarter of the mean area
    parts = superpixels.fit_count(labels, np.ones((20, 20), bool), 4, np.zeros((20, 20)))
    assert parts.max() == 4
    assert np.bincount(parts.ravel())[1:].min() >= 25


def test_merge_respects_walls():
    labels = np.array([[1, 1, 1, 2, 3, 3, 3]])
    walls = np.array([[0, 0, 0, 0, 1, 1, 1]])
    np.testing.assert_array_equal(
        superpixels.merge(labels, floor=2, walls=walls), [[1, 1, 1, 1, 2, 2, 2]]
    )


@pytest.mark.parametrize("seed", range(6))
def test_split_halves_what_is_connected_into_what_is_connected(seed):
    rng = np.random.default_rng(seed)
    blobs = label(resize(rng.random((6, 6)), (30, 30)) > 0.45, connectivity=1)
    own = blobs == 1 + np.argmax(np.bincount(blobs.ravel())[1:])
    for count in (2, 5, 60):
        parts = superpixels.split(own.astype(int), count, 50 * rng.random((30, 30)))
        assert parts.max() == count
        assert label(parts, background=0, connectivity=1).max() == parts.max()
        np.testing.assert_array_equal(parts > 0, own)


def test_split_ends_at_pixels():
    parts = superpixels.split(np.ones((4, 5), int), 23, np.zeros((4, 5)))
    np.testing.assert_array_equal(np.sort(parts.ravel()), np.arange(1, 21))


def test_halves_are_about_equal_where_there_is_no_edge():
    areas = np.bincount(superpixels.split(np.ones((20, 33), int), 2, np.zeros((20, 33))).ravel())
    np.testing.assert_allclose(areas[1:], 330, rtol=0.1)


@pytest.mark.parametrize("where", [module, superpixels])
def test_examples(where):
    result = doctest.testmod(where)
    assert result.attempted
    assert not result.failed


# Words for the user

IMAGE, MASK = noise(6, 8, 3), np.eye(6, 8, dtype=int)
BAD = IMAGE.copy()
BAD[0, 0] = np.nan


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: segment(IMAGE[..., 0]),
            "image must have shape (h, w, 1) or (h, w, 3), got (6, 8): prepare it first.",
        ),
        (
            lambda: segment(BAD),
            "image must hold values from 0 to 1, got nan to nan: rescale it first.",
        ),
        (
            lambda: segment(IMAGE * 0 + 255),
            "image must hold values from 0 to 1, got 255 to 255: rescale it first.",
        ),
        (
            lambda: segment(IMAGE, MASK.T),
            "mask must have the height and width of the image, (6, 8), got (8, 6): "
            "resize it without interpolation.",
        ),
        (
            lambda: segment(IMAGE, MASK * 0.5),
            "mask must hold whole numbers or booleans, got float64: round it.",
        ),
        (
            lambda: segment(IMAGE, MASK * 2**31),
            "mask must hold values below 2**31, got 2147483648: renumber it.",
        ),
        (
            lambda: segment(IMAGE, MASK, inside=-1),
            "inside must be >= 0, got -1: use 0 for one superpixel.",
        ),
        (
            lambda: segment(IMAGE, MASK, outside=2.5),
            "outside must be a whole number, got 2.5: give 0, 1, 2, ...",
        ),
        (
            lambda: segment(IMAGE, MASK, inside=True),
            "inside must be a whole number, got True: give 0, 1, 2, ...",
        ),
        (
            lambda: segment(IMAGE, MASK, inside=None),
            "inside must be a whole number, got None: give 0, 1, 2, ...",
        ),
        (
            lambda: segment(IMAGE, MASK, inside=[3, None]),
            "each count inside must be a whole number, got None: give 0, 1, 2, ...",
        ),
        (
            lambda: segment(IMAGE, MASK, inside=[3, 4]),
            "inside must be one number or one count for each of the 1 drawn regions, "
            "got 2 counts: give 1.",
        ),
        (lambda: suggest(MASK, -1), "total must be >= 0, got -1: use 0 for one superpixel."),
        (
            lambda: named("kmean"),
            "segmenter must be a known name, got 'kmean': did you mean 'kmeans'?",
        ),
        (
            lambda: KMeans(compactness=0),
            "compactness must be a number from 0.0001 to 1e+06, got 0.",
        ),
        (
            lambda: Slic(compactness=1e300),
            "compactness must be a number from 0.0001 to 1e+06, got 1e+300.",
        ),
        (
            lambda: Watershed(compactness=-1.0),
            "compactness must be a number from 0 to 1e+06, got -1.0.",
        ),
        (lambda: Quickshift(ratio=2), "ratio must be a number from 0 to 1, got 2."),
        (lambda: Quickshift(1e9), "kernel_size must be a number from 1 to 20, got 1000000000.0."),
        (lambda: Quickshift(max_dist=0), "max_dist must be a number from 0.1 to 1e+06, got 0."),
        (lambda: Felzenszwalb(math.inf), "scale must be a number from 0.001 to 1e+09, got inf."),
        (lambda: Felzenszwalb(sigma=101), "sigma must be a number from 0 to 100, got 101."),
        (
            lambda: Felzenszwalb(min_size=10**30),
            f"min_size must be a whole number from 1 to 100000000, got {10**30}.",
        ),
    ],
)
def test_errors_are_sentences(call, sentence):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == sentence


def test_notes_are_sentences():
    image = noise(10, 10, 3)
    mask = np.zeros((10, 10), int)
    mask[0, 0] = mask[0, 2] = mask[0, 4] = 1
    mask[5:7, 5:7] = 2
    assert segment(image, mask, [1, 9], 500).notes == (
        "Region 2: 9 superpixels asked for, 4 given, because 4 pixels are all there are.",
        "Region 1: 1 superpixel asked for, 3 given, "
        "because separate pieces cannot be one superpixel, and there are 3.",
        "Outside: 500 superpixels asked for, 93 given, because 93 pixels are all there are.",
    )
    assert segment(image, many((10, 10)), 5, 5).notes[0] == (
        "Inside: 5 superpixels asked for, 99 given, because there are 99 drawn regions."
    )
    assert segment(image, mask, 100, 5).notes == (
        "Inside: 100 superpixels asked for, 7 given, because there are no more pixels.",
    )
    assert segment(image, None, outside=200).notes == (
        "Image: 200 superpixels asked for, 100 given, because 100 pixels are all there are.",
    )
    checks = np.indices((10, 10)).sum(0) % 2 * (1 + np.arange(10) // 2)
    assert segment(image, checks, 0, 50).notes == (
        "Regions 1, 2, 3 and 2 more: 5 superpixels asked for, 50 given, "
        "because separate pieces cannot be one superpixel, and there are 50.",
    )
