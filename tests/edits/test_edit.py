"""Edits: nothing outside changes, nothing is nothing, the mask travels, holes are well filled."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import ndimage
from skimage.color import rgb2gray, rgb2lab
from skimage.restoration import inpaint_biharmonic

from limecraft_jax.edits import edit, inpaint, warp
from limecraft_jax.edits.edit import (
    EDITS,
    Blur,
    Brightness,
    Contrast,
    Flip,
    History,
    Hue,
    Noise,
    Offset,
    Power,
    Recolor,
    Remove,
    Rotate,
    Scale,
    Shift,
    Step,
    apply,
)
from limecraft_jax.models.bundled import dermoscopy
from limecraft_jax.types import InputError

H, W = 44, 52
ROWS, COLUMNS = np.mgrid[:H, :W]

MOVES = [
    Shift(),
    Shift(-4, 3),
    Shift(2.5, -1.25),
    Shift(-18, 0),
    Rotate(),
    Rotate(90),
    Rotate(-33.3),
    Power(),
    Power(2.5),
    Power(0.5),
    Scale(),
    Scale(0.45),
    Flip(),
    Flip("up-down"),
]
PAINTS = [
    Offset(),
    Offset(-0.3, 0.1, 0.4),
    Brightness(),
    Brightness(-0.4),
    Contrast(),
    Contrast(0),
    Recolor(),
    Recolor(0.1, 0.2, 0.9, 0.5),
    Hue(),
    Hue(-33.3),
    Blur(),
    Blur(0.7),
    Noise(),
    Noise(0.3, 5),
]
EVERY = [*MOVES, Remove(), *PAINTS]
TURNING = [e for e in MOVES if not isinstance(e, Flip | Shift)]


def picture(c=3, seed=0):
    """Texture on a gradient; nothing can write to it."""
    rng = np.random.default_rng(seed)
    image = (
        0.25 + 0.4 * (ROWS / H)[..., None] * np.linspace(0.6, 1, c) + 0.2 * rng.random((H, W, c))
    )
    image = image.astype(np.float32)
    image.flags.writeable = False
    return image


def disk(row, column, radius):
    return (ROWS - row) ** 2 + (COLUMNS - column) ** 2 <= radius**2


def drawing():
    """An egg, a block at the border, and a thin stroke."""
    mask = np.zeros((H, W), np.int32)
    mask[((ROWS - 20) / 10) ** 2 + ((COLUMNS - 27) / 7) ** 2 <= 1 + (COLUMNS - 27) / 30] = 1
    mask[28:38, :8] = 2
    mask[2, 5:40] = 3
    mask.flags.writeable = False
    return mask


def deep(own):
    """Pixels at which a piece is opaque."""
    return warp.soft(own) == 1


def sentence(text, call):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == text


@pytest.mark.parametrize("name", EDITS)
def test_the_defaults_of_every_edit_are_tried_below(name):
    assert EDITS[name]() in EVERY
    assert EDITS[name].label


@pytest.mark.parametrize("change", EVERY, ids=repr)
def test_an_edit_is_a_value(change):
    assert eval(repr(change)) == change
    assert hash(eval(repr(change))) == hash(change)
    step = Step(change, (1, 3), on=False)
    assert eval(repr(step)) == step
    assert edit.from_record(json.loads(json.dumps(edit.as_record(step)))) == step


@pytest.mark.parametrize("name", EDITS)
def test_knobs_are_parameters_and_their_ranges_are_allowed(name):
    kind = EDITS[name]
    for parameter, knob in kind.knobs.items():
        assert hasattr(kind(), parameter)
        for end in (knob.low, knob.high):
            assert getattr(kind(**{parameter: end}), parameter) == end


NEUTRAL = {
    name: {n: k.neutral for n, k in kind.knobs.items() if k.neutral is not None}
    for name, kind in EDITS.items()
}


@pytest.mark.parametrize("name", [name for name, neutral in NEUTRAL.items() if neutral])
def test_an_edit_of_nothing_returns_the_same_bytes(name):
    nothing = EDITS[name](**NEUTRAL[name])
    assert nothing.is_nothing
    assert not EDITS[name]().is_nothing
    image, mask = nothing(picture(), drawing(), (1, 2, 3))
    assert image.tobytes() == picture().tobytes()
    assert mask.tobytes() == drawing().tobytes()


@pytest.mark.parametrize("turns", [-2, 0, 1])
def test_whole_turns_are_nothing(turns):
    image = picture()
    for kind in (Rotate, Hue):
        assert kind(360 * turns)(image, drawing(), (1,)).image is image


@pytest.mark.parametrize("regions", [(1,), (2,), (3,), (1, 2), (3, 2, 1)], ids=str)
@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("change", EVERY, ids=repr)
def test_nothing_changes_outside_the_old_place_and_the_new_one(change, c, regions):
    image, mask = picture(c), drawing()
    if change == Shift(-18, 0) and 2 in regions:
        return sentence(
            "an edit must leave some of region 2 in the picture, got nothing of it: "
            "move or shrink it less, or remove it.",
            lambda: change(image, mask, regions),
        )
    edited, moved = change(image, mask, regions)
    assert edited.dtype == np.float32
    assert moved.dtype == np.int32
    assert edited.shape == image.shape
    assert edited.min() >= 0
    assert edited.max() <= 1
    touched = np.isin(mask, regions) | np.isin(moved, regions)
    assert edited[~touched].tobytes() == image[~touched].tobytes()
    np.testing.assert_array_equal(moved[~touched], mask[~touched])
    by_nature = change == Flip("up-down") or (isinstance(change, Hue) and c == 1)
    assert not np.array_equal(edited, image) or by_nature
    if change in PAINTS:
        assert moved is mask
    again = change(image, mask, regions)
    assert again.image.tobytes() == edited.tobytes()
    return None


@pytest.mark.parametrize("change", EVERY, ids=repr)
def test_a_gray_picture_is_edited_like_three_equal_channels(change):
    if isinstance(change, Offset | Noise | Recolor):
        change = {Offset: Offset(0.2, 0.2, 0.2), Recolor: Recolor(0.4, 0.4, 0.4)}.get(
            type(change), Brightness()
        )
    gray = picture(1)
    one = change(gray, drawing(), (1, 2) if change != Shift(-18, 0) else (1,))
    three = change(gray.repeat(3, axis=2), drawing(), (1, 2) if change != Shift(-18, 0) else (1,))
    np.testing.assert_allclose(one.image.repeat(3, axis=2), three.image, atol=2e-5)
    np.testing.assert_array_equal(one.mask, three.mask)


@pytest.mark.parametrize("change", [*MOVES, Remove()], ids=repr)
def test_on_one_flat_color_nothing_shows(change):
    image = np.full((H, W, 3), (0.7, 0.5, 0.4), np.float32)
    edited = change(image, drawing(), (1,)).image
    np.testing.assert_allclose(edited, image, atol=1e-6)


def test_several_regions_are_all_lifted_before_any_is_laid_down():
    mask = np.zeros((H, W), np.int32)
    mask[10:20, 10:20], mask[10:20, 20:30] = 1, 2
    image = picture()
    edited, moved = Shift(10, 0)(image, mask, (1, 2))
    assert (moved[10:20, 20:30] == 1).all()
    assert (moved[10:20, 30:40] == 2).all()
    assert not moved[:, :20].any()
    np.testing.assert_array_equal(edited[12:18, 22:28], image[12:18, 12:18])
    np.testing.assert_array_equal(edited[12:18, 32:38], image[12:18, 22:28])
    alone = Shift(10, 0)(image, mask, (1,))
    assert not (alone.mask == 2).any()  # covered


# What travels


def centroid(own):
    return np.argwhere(own).mean(axis=0)


@pytest.mark.parametrize(("right", "down"), [(10, 10), (-5, 4), (0, -9), (7.5, 2.25)])
def test_the_mask_travels_with_a_shift(right, down):
    moved = Shift(right, down)(picture(), drawing(), (1,)).mask
    assert (moved == 1).sum() == (drawing() == 1).sum()
    gone = centroid(moved == 1) - centroid(drawing() == 1)
    np.testing.assert_allclose(gone, (down, right), atol=0.51 if right % 1 else 1e-12)


@pytest.mark.parametrize("change", [Flip(), Flip("up-down"), Rotate(90), Rotate(180), Rotate(270)])
def test_mirrors_and_quarter_turns_keep_the_area_and_pick_pixels(change):
    image, mask = picture(), drawing()
    edited, moved = change(image, mask, (1,))
    assert (moved == 1).sum() == (mask == 1).sum()
    known = {tuple(color) for color in image[mask == 1].tolist()}
    assert {tuple(color) for color in edited[deep(moved == 1)].tolist()} <= known
    assert np.abs(centroid(moved == 1) - centroid(mask == 1)).max() <= 1


def test_a_quarter_turn_is_counterclockwise():
    mask = np.zeros((H, W), np.int32)
    mask[10:24, 20:34] = 1
    image = picture()
    edited, moved = Rotate(90)(image, mask, (1,))
    np.testing.assert_array_equal(moved, mask)
    inner = slice(12, 22), slice(22, 32)
    np.testing.assert_array_equal(edited[inner], np.rot90(image[10:24, 20:34])[2:-2, 2:-2])


@pytest.mark.parametrize("factor", [0.4, 0.7, 1.3, 2.0])
def test_area_grows_by_the_square_of_the_scale(factor):
    mask = (disk(22, 26, 10)).astype(np.int32)
    moved = Scale(factor)(picture(), mask, (1,)).mask
    assert (moved == 1).sum() == pytest.approx(factor**2 * mask.sum(), rel=0.06)


@pytest.mark.parametrize("power", [0.4, 0.8, 1.4, 2.5])
def test_power_multiplies_the_area_of_a_round_region(power):
    mask = disk(22, 26, 12).astype(np.int32)
    moved = Power(power)(picture(), mask, (1,)).mask
    assert (moved == 1).sum() == pytest.approx(power * mask.sum(), rel=0.06)
    back = Power(1 / power)(picture(), moved, (1,)).mask
    assert ((back == 1) != (mask == 1)).sum() <= 0.12 * mask.sum()  # a rim half a pixel wide


def test_power_magnifies_the_middle_p_times_and_moves_the_rim_by_the_root_of_p():
    reach = 30.0
    for p in (0.5, 1.4, 3.0):
        near, rim = np.array([[0.0, 1e-6]]), np.array([[0.0, reach]])
        np.testing.assert_allclose(Power(p).there(near, reach), p * near, rtol=1e-6)
        np.testing.assert_allclose(Power(p).there(rim, reach), math.sqrt(p) * rim)
        points = np.random.default_rng(0).uniform(-20, 20, (50, 2))
        there = Power(p).there(points, reach)
        opposite = Power(1 / p).there(there, math.sqrt(p) * reach)
        np.testing.assert_allclose(opposite, points, atol=1e-9)


@pytest.mark.parametrize("change", MOVES, ids=repr)
def test_back_undoes_there(change):
    points = np.random.default_rng(0).uniform(-20, 20, (50, 2))
    np.testing.assert_allclose(change.back(change.there(points, 29.0), 29.0), points, atol=1e-9)


@pytest.mark.parametrize("change", TURNING, ids=repr)
def test_least_and_most_bound_the_change_of_lengths(change):
    rng = np.random.default_rng(1)
    turn, rho = rng.uniform(0, 2 * np.pi, 400), 29 * np.sqrt(rng.random(400))
    points = rho[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    step = 1e-5 * rng.normal(size=points.shape)
    length = np.linalg.norm(change.there(points + step, 29) - change.there(points, 29), axis=1)
    factor = length / np.linalg.norm(step, axis=1)
    assert factor.min() >= change.least - 1e-3
    assert factor.max() <= change.most + 1e-3


@pytest.mark.parametrize(
    "round_trip",
    [
        [Shift(6, -5), Shift(-6, 5)],
        [Flip(), Flip()],
        [Flip("up-down"), Flip("up-down")],
        [Rotate(90)] * 4,
        [Rotate(180)] * 2,
        [Rotate(90), Rotate(-90)],
    ],
    ids=str,
)
def test_there_and_back_again_is_bit_identical_inside(round_trip):
    image, mask = picture(), drawing()
    edited, back = apply(image, mask, [Step(change, (1,)) for change in round_trip])
    np.testing.assert_array_equal(back == 1, mask == 1)
    inside = deep(mask == 1)
    assert inside.sum() > 100
    assert edited[inside].tobytes() == image[inside].tobytes()


def waves(points):
    """A smooth picture, as a function of (row, column)."""
    row, column = np.moveaxis(points, -1, 0)
    return 0.5 + 0.2 * np.sin(row / 4 + 0.3) + 0.2 * np.cos(column / 5 - row / 9)


@pytest.mark.parametrize("change", MOVES, ids=repr)
def test_the_piece_shows_what_was_there(change):
    """Slower, less complicated: every pixel of the new place looks up the function itself."""
    grid = np.stack([ROWS, COLUMNS], axis=-1).astype(float)
    image, own = waves(grid)[..., None].astype(np.float32), drawing() == 1
    edited, moved = change(image, drawing(), (1,))
    middle = warp.center(own)
    reach = max(math.dist(point, middle) for point in np.argwhere(own))
    for row, column in np.argwhere(deep(moved == 1)):
        source = change.back(np.array([row, column]) - middle, reach) + middle
        # where lengths shrink, a pixel is a mean
        tolerance = 2e-3 if change.least == 1 else 0.02
        assert edited[row, column, 0] == pytest.approx(waves(source), abs=tolerance)


def test_pieces_may_leave_the_picture():
    image, mask = picture(), drawing()
    edited, moved = Shift(-6, 0)(image, mask, (2,))
    np.testing.assert_array_equal(np.argwhere(moved == 2), np.argwhere(mask[:, 6:] == 2))
    np.testing.assert_array_equal(edited[30:36, 0], image[30:36, 6])


# Stacks


def test_a_chain_is_a_composition_and_off_is_nothing():
    image, mask = picture(), drawing()
    stack = (
        Step(Offset(0.3, 0, 0), (1,)),
        Step(Rotate(40), (1,)),
        Step(Remove(), (3,)),
        Step(Blur(), (1, 2), on=False),
        Step(Shift(5, 5), (1, 2)),
    )
    got = apply(image, mask, stack)
    a = Offset(0.3, 0, 0)(image, mask, (1,))
    b = Rotate(40)(*a, (1,))
    c = Remove()(*b, (3,))
    d = Shift(5, 5)(*c, (1, 2))
    assert got.image.tobytes() == d.image.tobytes()
    np.testing.assert_array_equal(got.mask, d.mask)
    assert apply(image, mask, ()).image is image
    swapped = apply(image, mask, edit.moved(stack, 0, 4))
    assert not np.array_equal(swapped.image, got.image)
    without = apply(image, mask, edit.switched(stack, 1))
    assert not np.array_equal(without.image, got.image)
    assert edit.switched(edit.switched(stack, 1), 1) == stack


def test_a_lesion_is_whole_again_once_the_hairs_across_it_are_gone():
    lesion = disk(22, 26, 12)
    hairs = np.abs(ROWS - COLUMNS + 4) <= 1
    hairs |= (ROWS == 15) | (np.abs(COLUMNS - 30) <= 1)
    mask = np.where(hairs, 2, lesion).astype(np.int32)
    for change in (Remove(), Shift(-1, 30)):
        healed = change(picture(), mask, (2,)).mask
        wrong = ((healed == 1) != lesion) & (healed != 2)
        assert wrong.sum() <= 12  # where a hair crosses the outline
        assert not ((healed == 1) & ~disk(22, 26, 13)).any()
    stack = (Step(Remove(), (2,)), Step(Shift(6, 3), (1,)))
    moved = apply(picture(), mask, stack).mask
    assert ((moved == 1) != disk(25, 32, 12)).sum() <= 12


def test_a_hole_goes_to_the_region_around_it_and_to_no_mere_neighbor():
    ring = np.where(disk(22, 26, 6), 2, disk(22, 26, 14)).astype(np.int32)
    np.testing.assert_array_equal(Remove()(picture(), ring, (2,)).mask, disk(22, 26, 14))
    halves = np.where(COLUMNS < 26, 1, 2) * disk(22, 26, 14)
    healed = Remove()(picture(), halves.astype(np.int32), (2,)).mask
    np.testing.assert_array_equal(healed, disk(22, 26, 14) & (COLUMNS < 26))
    for mask in (ring, drawing()):  # two holes at once, and one in the corner
        gone = Remove()(picture(), mask, (1, 2)).mask
        np.testing.assert_array_equal(gone, np.where(mask == 3, 3, 0))


def test_the_second_edit_works_on_the_moved_region():
    image, mask = picture(), drawing()
    stack = (Step(Shift(8, 6), (1,)), Step(Brightness(0.3), (1,)))
    edited, moved = apply(image, mask, stack)
    inside = deep(moved == 1)
    source = np.roll(image, (6, 8), axis=(0, 1))[inside]
    np.testing.assert_allclose(edited[inside], np.clip(source + 0.3, 0, 1), atol=1e-6)


def test_history():
    a, b, c = ("a",), ("a", "b"), ("c",)
    history = History().do(a).do(b).do(b)
    assert history.undo().stack == a
    assert history.undo().undo().undo().stack == ()
    assert history.undo().redo() == history
    assert history.undo().undo().redo().redo().redo().stack == b
    assert history.undo().do(c).redo().stack == c
    assert history.undo().do(c).undo().stack == a


# Holes


def scikit_image(image, hole):
    return inpaint_biharmonic(image.astype(np.float64), hole, channel_axis=-1)


HOLES = {
    "disk": disk(20, 26, 9),
    "corner": disk(0, 0, 12),
    "border": drawing() == 2,
    "stroke": drawing() == 3,
    "two apart": disk(10, 10, 5) | disk(30, 40, 6),
    "two that nearly touch": disk(10, 10, 5) | disk(10, 22, 4),
    "specks": np.random.default_rng(3).random((H, W)) < 0.05,
    "half the picture": ROWS < 22,
    "all but one pixel": (ROWS > 0) | (COLUMNS > 0),
}


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES)
def test_a_hole_is_filled_as_scikit_image_fills_it(hole, c):
    image = picture(c)
    filled = inpaint.fill(image, hole)
    np.testing.assert_allclose(filled[hole], scikit_image(image, hole)[hole], atol=1e-6)
    assert filled[~hole].tobytes() == image[~hole].tobytes()
    removed = Remove()(image, hole.astype(np.int32), (1,))
    assert removed.image.tobytes() == filled.tobytes()
    assert not removed.mask.any()


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (3, 30), (6, 6)], ids=str)
def test_narrow_pictures_are_filled_too(shape):
    image = np.random.default_rng(0).random((*shape, 3)).astype(np.float32)
    hole = np.zeros(shape, bool)
    hole.flat[[7, 8, 9]] = True
    filled = inpaint.fill(image, hole)
    np.testing.assert_allclose(filled, scikit_image(image, hole), atol=1e-6)


def test_what_the_hole_shows_has_no_influence():
    image, hole = picture(), disk(20, 26, 9)
    other = image.copy()
    other[hole] = 1 - other[hole]
    assert inpaint.fill(image, hole).tobytes() == inpaint.fill(other, hole).tobytes()


@pytest.fixture
def solved(monkeypatch):
    """Counts the holes that scikit-image solves."""
    calls = []

    def spy(*args, **kwargs):
        calls.append(1)
        return inpaint_biharmonic(*args, **kwargs)

    inpaint.forget()
    monkeypatch.setattr(inpaint, "inpaint_biharmonic", spy)
    return calls


def test_dragging_a_slider_fills_the_hole_once(solved):
    image, mask = picture(), drawing()
    for angle in range(10, 350, 20):
        Rotate(angle)(image, mask, (1,))
    Shift(3, 3)(image, mask, (1,))
    Remove()(image, mask, (1,))
    assert len(solved) == 1
    for red in (0.1, 0.2, 0.3):  # an earlier edit of the region itself does not matter either
        apply(image, mask, (Step(Offset(red), (1,)), Step(Rotate(20), (1,))))
    assert len(solved) == 1
    Remove()(image, mask, (2,))
    assert len(solved) == 2


def test_what_covers_its_own_hole_fills_none(solved):
    Scale(1.5)(picture(), drawing(), (1,))
    assert not solved


def test_remembered_holes_are_bounded(solved, monkeypatch):
    monkeypatch.setattr(inpaint, "KEPT", 3)
    for column in range(10, 20):
        inpaint.fill(picture(), disk(20, column, 2))
    assert len(inpaint._known) == 3
    inpaint.fill(picture(), disk(20, 19, 2))
    assert len(solved) == 10
    inpaint.forget()
    assert not inpaint._known


def test_threads_get_the_same_bits(solved):
    image = picture()
    holes = [disk(20, column, 4) for column in range(8, 40, 4)]
    alone = [inpaint.fill(image, hole).tobytes() for hole in holes]
    inpaint.forget()
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda hole: inpaint.fill(image, hole).tobytes(), holes * 4))
    assert together == alone * 4


@pytest.mark.parametrize("seed", range(3))
def test_thin_strokes_and_remove_are_hair_removal(seed):
    """The synthetic pictures exist with and without their hairs: the truth is known."""
    hairy, bare = (dermoscopy.draw(seed, 0, False, hairs) for hairs in (True, False))
    cleaned = Remove()(hairy.image, hairy.hairs.astype(np.int32), (1,)).image
    left = np.abs(cleaned - bare.image)[hairy.hairs].mean()
    was = np.abs(hairy.image - bare.image)[hairy.hairs].mean()
    assert left < 0.25 * was


# Edges


def test_a_piece_is_opaque_two_pixels_inside_its_edge():
    own = disk(20, 26, 9)
    alpha, depth = warp.soft(own), ndimage.distance_transform_edt(own)
    np.testing.assert_array_equal(alpha == 0, ~own)
    np.testing.assert_array_equal(alpha[depth == 1], 0.5)
    np.testing.assert_array_equal(alpha[depth >= 2], 1)


def test_thin_strokes_and_the_border_of_the_picture_have_no_soft_edge():
    own = np.zeros((H, W), bool)
    own[5, 5:30] = own[10:12, 5:30] = True
    np.testing.assert_array_equal(warp.soft(own), own)
    half = ROWS < 22
    alpha = warp.soft(half)
    np.testing.assert_array_equal(alpha[:20], 1)
    np.testing.assert_array_equal(alpha[21], 0.5)
    np.testing.assert_array_equal(warp.soft(np.ones((H, W), bool)), 1)


@pytest.mark.parametrize("change", PAINTS, ids=repr)
def test_paint_may_cover_the_whole_picture_and_the_rest(change):
    image, mask = picture(), drawing()
    everywhere = change(image, np.ones((H, W), np.int32), (1,))
    assert not np.array_equal(everywhere.image, image)
    rest = change(image, mask, (0,))
    assert rest.image[mask != 0].tobytes() == image[mask != 0].tobytes()
    assert not np.array_equal(rest.image, image)


# Colors


def test_offsets_are_added_and_clipped():
    image, mask = picture(), drawing()
    inside = deep(mask == 1)
    got = Offset(0.5, -0.25, 0.125)(image, mask, (1,)).image[inside]
    np.testing.assert_allclose(got, np.clip(image[inside] + [0.5, -0.25, 0.125], 0, 1), atol=1e-6)
    got = Brightness(-0.5)(image, mask, (1,)).image[inside]
    np.testing.assert_allclose(got, np.clip(image[inside] - 0.5, 0, 1), atol=1e-6)
    edge = (mask == 1) & ~inside
    half = image[edge] + warp.soft(mask == 1)[edge][:, None] * np.array([0.1, 0, 0])
    got = Offset(0.1, 0, 0)(image, mask, (1,)).image[edge]
    np.testing.assert_allclose(got, half, atol=1e-6)


def test_contrast_stretches_about_the_mean():
    image, mask = picture(), drawing()
    own, inside = mask == 1, deep(mask == 1)
    mean = image[own].mean(axis=0)
    for factor in (0, 0.5, 1.5):
        got = Contrast(factor)(image, mask, (1,)).image[inside]
        np.testing.assert_allclose(got, mean + factor * (image[inside] - mean), atol=1e-5)


@pytest.mark.parametrize("color", [(0.63, 0.49, 0.34), (0.5, 0.4, 0.6), (0.3, 0.3, 0.3)])
def test_recolor_reaches_the_color_and_keeps_the_texture(color):
    image = picture()
    whole = np.ones((H, W), np.int32)  # no soft edge
    got, was = rgb2lab(Recolor(*color)(image, whole, (1,)).image), rgb2lab(image)
    want = rgb2lab(np.array([[color]]))[0, 0]
    np.testing.assert_allclose(got.mean(axis=(0, 1)), want, atol=0.6)
    texture = got - got.mean(axis=(0, 1)) - (was - was.mean(axis=(0, 1)))
    assert np.abs(texture).mean() < 0.3
    half = rgb2lab(Recolor(*color, 0.5)(image, whole, (1,)).image).mean(axis=(0, 1))
    np.testing.assert_allclose(half, (want + was.mean(axis=(0, 1))) / 2, atol=0.6)


def test_recolor_of_a_gray_picture_takes_the_luminance():
    image = np.full((H, W, 1), 0.7, np.float32)
    got = Recolor(0.1, 0.8, 0.4)(image, drawing(), (1,)).image
    want = rgb2gray(np.array([[[0.1, 0.8, 0.4]]]))[0, 0]
    np.testing.assert_allclose(got[deep(drawing() == 1)], want, atol=1e-3)


@pytest.mark.parametrize("color", [(0, 0, 0), (1, 1, 1), (1, 0, 0), (0, 0, 1), (1, 1, 0)], ids=str)
def test_recolor_toward_extremes_stays_in_range_and_is_silent(color):
    rng = np.random.default_rng(0)
    image = rng.random((H, W, 3)).astype(np.float32)
    got = Recolor(*color)(image, drawing(), (1,)).image
    assert np.isfinite(got).all()
    assert got.min() >= 0
    assert got.max() <= 1


@pytest.mark.parametrize("angle", [-120, 45, 90, 180])
def test_hue_turns_colors_and_keeps_lightness_and_chroma(angle):
    rng = np.random.default_rng(0)
    image = rng.uniform(0.45, 0.55, (H, W, 3)).astype(np.float32)  # in reach of every hue
    whole = np.ones((H, W), np.int32)
    got, was = rgb2lab(Hue(angle)(image, whole, (1,)).image), rgb2lab(image)
    want = (was[..., 1] + 1j * was[..., 2]) * np.exp(1j * np.radians(angle))
    np.testing.assert_allclose(got[..., 0], was[..., 0], atol=1e-3)
    np.testing.assert_allclose(got[..., 1], want.real, atol=0.01)
    np.testing.assert_allclose(got[..., 2], want.imag, atol=0.01)
    back = Hue(-angle)(Hue(angle)(image, whole, (1,)).image, whole, (1,)).image
    np.testing.assert_allclose(back, image, atol=1e-5)


@pytest.mark.parametrize("angle", [-90, 30, 60, 180])
def test_hue_keeps_lightness_and_hue_where_no_such_color_exists(angle):
    rng = np.random.default_rng(0)
    image = rng.random((H, W, 3)).astype(np.float32)
    got, was = (
        rgb2lab(x) for x in (Hue(angle)(image, np.ones((H, W), np.int32), (1,)).image, image)
    )
    np.testing.assert_allclose(got[..., 0], was[..., 0], atol=0.2)
    a, b = (x[..., 1] + 1j * x[..., 2] for x in (got, was))
    assert (np.abs(a) <= np.abs(b) + 0.1).all()
    vivid = np.abs(a) > 5
    off = np.angle(a * b.conj() * np.exp(-1j * np.radians(angle)))[vivid]
    np.testing.assert_allclose(off, 0, atol=0.02)


def test_hue_leaves_gray_alone_bit_for_bit():
    for c in (1, 3):
        image = picture(1).repeat(c, axis=2)
        assert Hue(77)(image, drawing(), (1, 2)).image.tobytes() == image.tobytes()


def test_blur_averages_the_region_s_own_pixels():
    """Slower: the weighted mean, pixel by pixel."""
    image, mask, sigma = picture(), drawing(), 1.5
    got = Blur(sigma)(image, mask, (1,)).image
    own = np.argwhere(mask == 1)
    for at in np.argwhere(deep(mask == 1))[::17]:
        weight = np.exp(-((own - at) ** 2).sum(axis=1) / (2 * sigma**2))
        want = (weight[:, None] * image[tuple(own.T)]).sum(axis=0) / weight.sum()
        np.testing.assert_allclose(got[tuple(at)], want, atol=2e-4)
    flat = Blur(1e6)(image, mask, (1,)).image[deep(mask == 1)]
    np.testing.assert_allclose(flat, np.broadcast_to(flat[0], flat.shape), atol=0.02)


def test_noise_hangs_on_place_and_seed_only():
    gray = np.full((H, W, 3), 0.5, np.float32)
    whole = np.ones((H, W), np.int32)
    all_over = Noise(0.1, 3)(gray, whole, (1,)).image
    inside = deep(drawing() == 1)
    here = Noise(0.1, 3)(gray, drawing(), (1,)).image
    np.testing.assert_array_equal(here[inside], all_over[inside])
    assert not np.array_equal(Noise(0.1, 4)(gray, whole, (1,)).image, all_over)
    assert (all_over - 0.5).std() == pytest.approx(0.1, rel=0.05)


# Sentences


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Power(0), "power must be > 0, got 0."),
        (lambda: Power(-1), "power must be > 0, got -1."),
        (lambda: Power(math.nan), "power must be a finite number, got nan."),
        (lambda: Scale(-0.5), "factor must be > 0, got -0.5."),
        (lambda: Rotate(math.inf), "angle must be a finite number, got inf."),
        (lambda: Shift(math.nan, 0), "right must be a finite number, got nan."),
        (lambda: Shift(0, "far"), "down must be a finite number, got 'far'."),
        (lambda: Shift(0, None), "down must be a finite number, got None."),
        (lambda: Offset(0, 1.5), "green must be in [-1, 1], got 1.5."),
        (lambda: Brightness(-2), "amount must be in [-1, 1], got -2."),
        (lambda: Contrast(-1), "factor must be >= 0, got -1."),
        (lambda: Recolor(blue=2), "blue must be in [0, 1], got 2."),
        (lambda: Recolor(strength=-0.1), "strength must be in [0, 1], got -0.1."),
        (lambda: Blur(-1), "sigma must be >= 0, got -1."),
        (lambda: Noise(0.1, 1.5), "seed must be a whole number, got 1.5."),
        (lambda: Noise(0.1, -1), "seed must be >= 0, got -1."),
        (lambda: Noise(0.1, 2**53), f"seed must be from 0 to {2**53 - 1}, got {2**53}."),
        (lambda: Noise(1e39), "sigma must be from 0 to 1000000, got 1e+39."),
        (lambda: Blur(1e300), "sigma must be from 0 to 1000000, got 1e+300."),
        (lambda: Shift(-(10**6), 1e300), "down must be from -1000000 to 1000000, got 1e+300."),
        (lambda: Shift(10**400, 0), f"right must be a finite number, got 1{56 * '0'}...."),
        (lambda: Rotate(1e300), "angle must be from -1000000 to 1000000, got 1e+300."),
        (lambda: Power(1e-30), "power must be from 0.001 to 1000000, got 1e-30."),
        (lambda: Scale(1e300), "factor must be from 0.001 to 1000000, got 1e+300."),
        (lambda: Contrast(1e38), "factor must be from 0 to 1000000, got 1e+38."),
        (
            lambda: Flip("left"),
            "axis must be a known name, got 'left': did you mean 'left-right'?",
        ),
        (
            lambda: Shift()(picture(), drawing(), (4,)),
            "region 4 must have pixels, got none: choose one of 1, 2, 3.",
        ),
        (
            lambda: Offset()(picture(), np.zeros((H, W), np.int32), (1,)),
            "region 1 must have pixels, got none: draw it first.",
        ),
        (
            lambda: Offset(0, 0, 0)(picture(), drawing(), (9,)),
            "region 9 must have pixels, got none: choose one of 1, 2, 3.",
        ),
        (
            lambda: Rotate()(picture(), drawing(), ()),
            "an edit needs a region, got none: select one.",
        ),
        (
            lambda: Rotate()(picture(), drawing()[:9], (1,)),
            "mask must have the height and width of the image, (44, 52), got (9, 52): "
            "resize it without interpolation.",
        ),
        (
            lambda: Rotate()(picture(), drawing(), (0,)),
            "only a drawn region can move, got 0, the rest of the picture: draw a region there.",
        ),
        (
            lambda: Remove()(picture(), drawing(), (0, 1)),
            "only a drawn region can be removed, got 0, the rest of the picture: "
            "draw a region there.",
        ),
        (
            lambda: Shift(500, 0)(picture(), drawing(), (1,)),
            "an edit must leave some of region 1 in the picture, got nothing of it: "
            "move or shrink it less, or remove it.",
        ),
        (
            lambda: Shift(1e6, 0)(picture(), drawing(), (1,)),
            "an edit must leave some of region 1 in the picture, got nothing of it: "
            "move or shrink it less, or remove it.",
        ),
        (
            lambda: Rotate(20)(picture(), np.ones((H, W), np.int32), (1,)),
            "filling in needs something around the region, got a region that is the whole "
            "picture: draw a smaller one.",
        ),
        (
            lambda: Remove()(picture(), np.ones((H, W), np.int32), (1,)),
            "filling in needs something around the region, got a region that is the whole "
            "picture: draw a smaller one.",
        ),
        (
            lambda: edit.from_record({"edit": "rotation", "regions": [1]}),
            "edit must be a known name, got 'rotation': did you mean 'rotate'?",
        ),
        (
            lambda: edit.from_record({"edit": "rotate", "degrees": 3, "regions": [1]}),
            "rotate must have known parameters (angle), got 'degrees'.",
        ),
    ],
)
def test_sentences(call, text):
    sentence(text, call)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_at_its_bounds_still_ends(name):
    image, mask, kind = picture(), drawing(), EDITS[name]
    bounds = {"> 0": (0.001, 1e6), ">= 0": (0, 1e6), "a finite number": (-1e6, 1e6)}
    for parameter, knob in getattr(kind, "knobs", {}).items():
        for value in bounds.get(knob.must, (knob.low, knob.high)):
            change = kind(**{parameter: int(value) if knob.whole else value})
            try:
                edited = change(image, mask, (1,)).image
            except InputError:
                continue
            assert np.isfinite(edited).all()


def test_one_pixel_is_a_region():
    mask = np.zeros((H, W), np.int32)
    mask[20, 20] = 1
    for change in EVERY:
        edited, moved = change(picture(), mask, (1,))
        assert np.isfinite(edited).all()
        assert (moved == 1).any() != isinstance(change, Remove)
