"""The canvas' drawings become the masks that the browser would have filled.

``data/canvas/drawings.json`` holds drawings recorded in a browser, and variants of them with random
placements; the PNG of the same name is fabric's own rendering of their fill in four levels of
coverage: none, below one half, above, full. ``reported.json`` holds objects as they arrived.
"""

import copy
import itertools
import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab
from skimage.draw import polygon2mask

from limecraft_jax.app.shared import strokes
from limecraft_jax.app.shared.strokes import COLORS, INKS, OUTLINES, TOOLS, decode, encode, regions
from limecraft_jax.app.shared.winding import capsules, fill
from limecraft_jax.types import InputError

DATA = Path(__file__).parents[1] / "data" / "canvas"
DRAWINGS = json.loads((DATA / "drawings.json").read_text())
REPORTED = json.loads((DATA / "reported.json").read_text())
TRUTH = {name: np.array(Image.open(DATA / f"{name}.png")) for name in DRAWINGS}
SIDE = 512


def placed(kind, tool, region=1, **fields):
    """An object as the canvas reports it, drawn with one of our tools."""
    given = encode(tool, region)
    origin = {"originX": "left", "originY": "top"}
    if kind in ("Path", "Polygon"):
        line = fields.get("points") or [{"x": s[-2], "y": s[-1]} for s in fields["path"]]
        xs, ys = [p["x"] for p in line], [p["y"] for p in line]
        origin = {"originX": "center", "originY": "center"}
        origin |= {"left": (min(xs) + max(xs)) / 2, "top": (min(ys) + max(ys)) / 2}
    return {
        "type": kind,
        **origin,
        "stroke": given["stroke_color"],
        "strokeWidth": given["stroke_width"],
        **fields,
    }


def rect(left, top, width, height, region=1, tool="rectangle"):
    """A rectangle whose inside, not whose outline, is given."""
    half = strokes.THIN / 2
    where = {"left": left - half, "top": top - half, "width": width, "height": height}
    return placed("Rect", tool, region, strokeUniform=True, **where)


def freehand(points, tool, region=1, **fields):
    path = [["M" if i == 0 else "L", float(x), float(y)] for i, (x, y) in enumerate(points)]
    return placed("Path", tool, region, path=path, **fields)


def draw(*items, canvas=(SIDE, SIDE), shape=(SIDE, SIDE), base=None):
    return regions({"objects": list(items)}, canvas, shape, base)


def winding_number(x, y, points):
    """How often the outline turns round a point: the sum of the angles it is seen under."""
    total = 0.0
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
        cross = (ax - x) * (by - y) - (ay - y) * (bx - x)
        dot = (ax - x) * (bx - x) + (ay - y) * (by - y)
        total += math.atan2(cross, dot)
    return round(total / (2 * math.pi))


def distance(x, y, points):
    """From a point to a polyline."""
    best = math.inf
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        along = (bx - ax) ** 2 + (by - ay) ** 2
        t = 0 if along == 0 else ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / along
        t = min(max(t, 0), 1)
        best = min(best, math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay)))
    return best


def whole_mask(points, shape):
    rows, cols, inside = fill(np.array([points], float), shape)
    mask = np.zeros(shape, bool)
    mask[rows, cols] = inside
    return mask


# ------------------------------------------------------------------ against the browser


@pytest.mark.parametrize("name", DRAWINGS)
def test_fill_is_the_browsers(name):
    mask = draw(*DRAWINGS[name]).labels > 0
    truth = TRUTH[name]
    assert mask[truth == 3].all(), "a pixel that the browser filled is missing"
    assert not mask[truth == 0].any(), "a pixel that the browser left empty was taken"
    both, either = (mask & (truth >= 2)).sum(), (mask | (truth >= 2)).sum()
    assert both >= 0.985 * either


def test_fill_is_the_browsers_on_the_whole():
    scores = []
    for name, items in DRAWINGS.items():
        mask, truth = draw(*items).labels > 0, TRUTH[name] >= 2
        if truth.any():
            scores.append((mask & truth).sum() / (mask | truth).sum())
    assert len(scores) >= 40
    assert np.median(scores) > 0.997


@pytest.mark.parametrize("shape", [(1024, 1024), (300, 700), (224, 224), (97, 131)])
@pytest.mark.parametrize("name", ["circle_rand2", "freedraw_closed_loop_rand1", "polygon_rand3"])
def test_area_does_not_depend_on_the_resolution(name, shape):
    fine = (draw(*DRAWINGS[name], shape=(2048, 2048)).labels > 0).mean()
    other = (draw(*DRAWINGS[name], shape=shape).labels > 0).mean()
    assert other == pytest.approx(fine, rel=30 / min(shape) ** 1.5)


# ------------------------------------------------------------------ the fill rule


def test_fill_is_the_winding_number():
    rng = np.random.default_rng(0)
    for _ in range(12):
        points = rng.uniform(-5, 45, (rng.integers(3, 9), 2))
        mask = whole_mask(points, (36, 40))
        slow = [
            [winding_number(x + 0.5, y + 0.5, points.tolist()) != 0 for x in range(40)]
            for y in range(36)
        ]
        np.testing.assert_array_equal(mask, slow)


def test_fill_of_convex_shapes_is_skimages():
    rng = np.random.default_rng(1)
    for _ in range(10):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 7))
        points = 50 + 40 * np.stack([np.cos(angle), np.sin(angle)], 1)
        ours = whole_mask(points, (100, 100))
        np.testing.assert_array_equal(ours, polygon2mask((100, 100), points[:, ::-1] - 0.5))


def test_star_has_no_hole():
    angle = np.pi / 2 + np.arange(5) * 4 * np.pi / 5
    star = freehand(256 + 150 * np.stack([np.cos(angle), -np.sin(angle)], 1), "lasso")
    assert draw(star).labels[256, 256] == 1


def test_neighbors_share_no_pixel_and_leave_none_out():
    rng = np.random.default_rng(2)
    corners = np.array([[0, 0], [60, 0], [60, 60], [0, 60]], float)
    for _ in range(20):
        middle = rng.choice([rng.uniform(5, 55, 2), rng.integers(5, 55, 2) + 0.5])
        parts = [whole_mask([corners[i], corners[(i + 1) % 4], middle], (60, 60)) for i in range(4)]
        np.testing.assert_array_equal(np.sum(parts, axis=0), np.ones((60, 60)))


def test_many_crossings_are_added_up_in_parts(monkeypatch):
    points = np.random.default_rng(3).uniform(0, 100, (200, 2))
    whole = whole_mask(points, (100, 100))
    monkeypatch.setattr("limecraft_jax.app.shared.winding._CROSSINGS", 100)
    np.testing.assert_array_equal(whole_mask(points, (100, 100)), whole)


# ------------------------------------------------------------------ ink


@pytest.mark.parametrize("tool", INKS)
def test_ink_is_what_lies_within_half_its_width(tool):
    points = [(20, 30), (50, 22), (52, 60), (30, 45), (30, 45), (90, 80)]
    item = freehand(points, tool, strokeWidth=13)
    labels = draw(rect(0, 0, 100, 100, region=2), item, canvas=(100, 100), shape=(100, 100)).labels
    ink = labels != labels[99, 0]
    away = np.array([[distance(x + 0.5, y + 0.5, points) for x in range(100)] for y in range(100)])
    assert ink[away < 6.5 - 0.03].all()
    assert not ink[away > 6.5 + 0.03].any()


def test_ink_follows_its_shape():
    line = freehand([(100, 100), (200, 100)], "brush", strokeWidth=20, scaleX=2, scaleY=0.5)
    mask = draw(line).labels > 0
    ys, xs = np.nonzero(mask)
    assert (ys.min(), ys.max() + 1) == (95, 105)
    assert (xs.min(), xs.max() + 1) == (30, 270)  # 100 px long and 20 round, about 150, doubled
    uniform = freehand([(100, 100), (200, 100)], "brush", strokeWidth=20, strokeUniform=True)
    np.testing.assert_array_equal(
        draw(uniform).labels,
        draw(freehand([(100, 100), (200, 100)], "brush", strokeWidth=20)).labels,
    )


def test_a_click_with_the_brush_is_a_disk():
    disk = draw(freehand([(50.2, 60.1), (50.2, 60.1)], "brush", strokeWidth=60)).labels > 0
    assert disk.sum() == pytest.approx(math.pi * 30**2, rel=0.005)
    assert len(capsules(np.zeros((3, 2)), 4.0)) == 1


def test_eraser_cuts_what_lies_before_it_only():
    eraser = freehand([(0, 50), (100, 50)], "eraser", strokeWidth=20)
    before, after = rect(10, 10, 30, 80, region=1), rect(60, 10, 30, 80, region=2)
    labels = draw(before, eraser, after).labels
    assert not labels[41:59, 10:40].any()
    assert (labels[10:90, 60:90] == 2).all()


# ------------------------------------------------------------------ tools and regions


@pytest.mark.parametrize("region", COLORS)
@pytest.mark.parametrize("tool", TOOLS)
def test_color_tells_tool_and_region(tool, region):
    given = encode(tool, region)
    assert set(given) == {"drawing_mode", "stroke_color", "stroke_width", "fill_color"}
    kind = {"freedraw": "Path", "rect": "Rect", "circle": "Circle", "polygon": "Polygon"}
    item = {"type": kind[given["drawing_mode"]], "stroke": given["stroke_color"]}
    assert decode(item) == (tool, 0 if tool == "eraser" else region)
    assert decode({**item, "stroke": item["stroke"].upper()}) == decode(item)


def test_tools_are_modes_of_the_canvas():
    assert set(OUTLINES.values()) == {"freedraw", "polygon", "rect", "circle"}


def test_colors_are_told_apart_by_everyone():
    """Machado et al. 2009, full protanopia and deuteranopia, on linear RGB; ΔE is CIE 1976."""
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in COLORS.values()]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    protan = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216]]
    deuter = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413]]
    last = [[-0.003882, -0.048116, 1.051998], [-0.011820, 0.042940, 0.968881]]
    for matrix in (np.eye(3), np.array([*protan, last[0]]), np.array([*deuter, last[1]])):
        seen = np.clip(linear @ matrix.T, 0, 1)
        seen = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
        lab = rgb2lab(seen[None])[0]
        far = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
        assert far[np.triu_indices(len(far), 1)].min() > 10


def test_one_region_unites_and_a_later_one_covers():
    drawing = draw(
        rect(10, 10, 40, 40, region=5), rect(100, 10, 40, 40, region=5), rect(30, 30, 40, 40, 3)
    )
    assert drawing.ids == (3, 5)
    assert drawing.labels.dtype == np.int32
    assert drawing.labels[20, 20] == drawing.labels[20, 120] == 2
    assert drawing.labels[40, 40] == 1
    assert (drawing.labels > 0).sum() == 3 * 1600 - 400
    assert drawing.notes == ()


def test_drawing_goes_on_top_of_a_base_map():
    base = np.zeros((64, 64), int)
    base[:, :20], base[:, 20:40] = 7, 300
    drawing = draw(rect(10, 10, 20, 20, region=2), canvas=(64, 64), shape=(64, 64), base=base)
    assert drawing.ids == (2, 7, 300)
    assert [(drawing.labels == n).sum() for n in (1, 2, 3)] == [400, 1280 - 200, 1280 - 200]
    np.testing.assert_array_equal(
        draw(canvas=(64, 64), shape=(64, 64), base=base).labels > 0, base > 0
    )
    assert base[15, 15] == 7, "the base map was changed"


def test_nothing_drawn():
    for nothing in (None, {}, {"objects": []}, {"objects": [], "background": ""}):
        drawing = regions(nothing, (512, 512), (20, 30))
        assert drawing.labels.shape == (20, 30)
        assert not drawing.labels.any()
        assert drawing.ids == drawing.notes == ()


# ------------------------------------------------------------------ what is told


def test_notes():
    dot, line = freehand([(5, 5), (5.003, 5)], "lasso"), placed("Line", "lasso", x1=0)
    open_lasso = freehand([(100, 100), (200, 100), (200, 200), (100, 200)], "lasso", 2)
    closed = freehand([(100, 300), (200, 300), (200, 400), (100, 400), (100, 310)], "lasso", 3)
    assert draw(closed).notes == ()
    assert draw(dot).notes == ("One shape too small to be a region (a dot) was ignored.",)
    assert draw(dot, dot, rect(0, 0, 3, 5)).notes == (
        "3 shapes too small to be a region (a dot) were ignored.",
    )
    assert draw(line).notes == ("One shape without an area (a line or text) was ignored.",)
    assert draw(open_lasso).notes == (
        "Region 2: a lasso was left open by 100 canvas pixels (33% of its length) "
        "and closed with a straight line.",
    )
    assert draw(rect(500, 10, 50, 50)).notes == (
        "One shape was cut off at the edge of the picture.",
    )
    assert draw(rect(600, 10, 50, 50)).notes == (
        "One shape wholly outside the picture was ignored.",
    )
    assert draw(rect(10, 10, 9, 9), rect(5, 5, 30, 30, region=2)).notes == (
        "Region 1 is wholly covered or erased by what was drawn later.",
    )
    assert draw({**rect(10, 10, 9, 9), "stroke": "red"}).notes == (
        "One shape in a color of no region was counted to region 1.",
    )
    assert draw({**rect(10, 10, 9, 9), "width": "9"}, 3).notes == (
        "2 shapes that cannot be read were ignored.",
    )


def test_reported_click_is_dropped():
    notes = draw(*REPORTED["freedraw_plus_single_click_dot"]).notes
    assert "One shape too small to be a region (a dot) was ignored." in notes


def test_errors():
    sentence = r"^a drawing must be a dict with a list of objects, got \w+: clear the canvas\.$"
    for wrong in ([], "x", 3, {"objects": 3}):
        with pytest.raises(InputError, match=sentence):
            regions(wrong, (512, 512), (64, 64))
    with pytest.raises(InputError, match="at most 200 shapes, got 201: undo some"):
        draw(*[rect(0, 0, 9, 9)] * 201)
    long = freehand(np.random.default_rng(0).uniform(0, 64, (19_000, 2)), "lasso")
    with pytest.raises(InputError, match="at most 100000 points, got more: undo some"):
        draw(*[long] * 6, shape=(16, 16))
    with pytest.raises(InputError, match=r"base must have shape \(8, 8\), got \(4, 4\)"):
        draw(shape=(8, 8), base=np.zeros((4, 4), int))
    with pytest.raises(InputError, match="base must have labels from 0 to 65535, got -1 to 0"):
        draw(shape=(2, 2), base=np.array([[0, -1], [0, 0]]))
    with pytest.raises(InputError, match=r"tool must be one of lasso, .*, got 'pen'"):
        encode("pen")
    with pytest.raises(InputError, match="region must be from 1 to 8, got 9"):
        encode("lasso", 9)


JUNK = [
    *(None, True, False, 0, -1, 1e300, -1e300, 10**400, math.nan, math.inf, -math.inf, 1e-300),
    *("", "Q", "nan", "center", [], {}, [[]], [None], {"x": 1}, ["M"], ["Q", 1, 2], [1, 2, 3]),
]


def mutate(value, rng):
    """One random place of a JSON value replaced, removed or doubled."""
    if rng.random() < 0.15 or not isinstance(value, (dict, list)) or not value:
        return copy.deepcopy(rng.choice(JUNK))
    key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    what = rng.random()
    if what < 0.1:
        del value[key]
    elif what < 0.15 and isinstance(value, list):
        value.insert(key, copy.deepcopy(value[key]))
    else:
        value[key] = mutate(value[key], rng)
    return value


def test_no_input_breaks_it():
    rng = random.Random(0)
    names = ["rect_rand1", "circle_rand3", "polygon_rand2", "lasso_star", "lasso_overlapend"]
    pool = [DRAWINGS[name] for name in names] + list(REPORTED.values())
    pool.append([freehand([(5, 5), (40, 9), (9, 60)], tool) for tool in INKS])
    refused = 0
    for _ in range(1500):
        data = {"objects": copy.deepcopy(rng.choice(pool))}
        for _ in range(rng.randint(1, 4)):
            data = mutate(data, rng)
        try:
            drawing = regions(data, (512, 512), (48, 64))
        except InputError:
            refused += 1
            continue
        assert drawing.labels.shape == (48, 64)
        assert set(np.unique(drawing.labels)) <= {0, *range(1, len(drawing.ids) + 1)}
    assert 0 < refused < 1000
