"""The explanation as one linked chart: touch a bar and its superpixel lights up, and back."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from limecraft_jax.app.shared import look
from limecraft_jax.files import images
from limecraft_jax.show import draw, report
from limecraft_jax.types import Explanation

SIDE = 430  # pixels of the longer side of the picture
BAR = 16  # pixels per bar
LIGHT = "#ffd43b"
OUTLINES = "outlines"
LITTLE, EITHER = "matters little", "could go either way"


def linked(
    explanation: Explanation,
    target: int,
    picture: np.ndarray,
    show: int,
    palette: draw.Palette,
) -> dict[str, Any]:
    """The picture with its superpixels beside the bars of the largest coefficients, as Vega-Lite.

    Parameters
    ----------
    explanation, target
        What is shown, and for which class.
    picture
        The overlay, ``uint8 [H W 3]``.
    show
        Number of bars.
    palette
        Colors for and against.
    """
    rows = [
        {
            **row,
            "Superpixel": row["superpixel"] + 1,
            "Effect": 100 * row["coefficient"],
            "From": None if row["low"] is None else 100 * row["low"],
            "To": None if row["high"] is None else 100 * row["high"],
            "Speaks": _speaks(row),
            "Place": f"region {row['region']}" if row["region"] else "outside",
        }
        for row in report.rows(explanation, target)
    ]
    hover = alt.selection_point(
        name="hover", fields=["Superpixel"], on="pointerover", clear="pointerout", empty=False
    )
    signed = f"+.{look.digits(abs(explanation.fit.coef[target]).max())}f"
    tooltip = [
        alt.Tooltip("Superpixel:Q"),
        alt.Tooltip("Place:N"),
        alt.Tooltip("Speaks:N"),
        alt.Tooltip("Effect:Q", format=signed, title="Effect (points)"),
        alt.Tooltip("From:Q", format=signed, title="95 % from"),
        alt.Tooltip("To:Q", format=signed, title="95 % to"),
        alt.Tooltip("sign_probability:Q", format=".1%", title="Sign is right"),
        alt.Tooltip("area:Q", format=".1%", title="Share of picture"),
    ]
    both = alt.hconcat(
        _map(explanation, picture, hover, tooltip),
        _bars(rows[:show], hover, tooltip, palette),
        spacing=18,
    )
    spec = both.to_dict()
    # Altair would look at every point of every outline many times, which takes a second.
    _layer_of(spec, OUTLINES)["data"] = {"values": _shapes(explanation, rows)}
    return spec | {"config": {"view": {"strokeWidth": 0}}}


def _speaks(row: dict[str, Any]) -> str:
    """What a superpixel does, in a word."""
    if row["undecided"]:
        return LITTLE if row["negligible"] else EITHER
    return "for" if row["coefficient"] > 0 else "against"


def _layer_of(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """The layer of the picture that is drawn from data of that name."""
    return next(x for x in spec["hconcat"][0]["layer"] if x.get("data") == {"name": name})


def _shapes(explanation: Explanation, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Superpixels as the shapes of a map."""
    rings = draw.outlines(explanation.neighborhood.segmentation)
    return [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": rings[row["superpixel"]]},
            **row,
        }
        for row in rows
    ]


def _map(explanation, picture, hover, tooltip):
    segmentation = explanation.neighborhood.segmentation
    h, w = segmentation.labels.shape
    width, height = round(SIDE * w / max(h, w)), round(SIDE * h / max(h, w))
    url = look.data_url(images.to_jpeg(picture))
    shown = (
        alt.Chart(alt.Data(values=[{}]))
        .mark_image(url=url, width=width, height=height)
        .encode(x=alt.value(width / 2), y=alt.value(height / 2))
    )
    touch = (
        alt.Chart(alt.NamedData(name=OUTLINES))
        .mark_geoshape(fill="#fff", fillOpacity=0.001, strokeWidth=3)
        .encode(
            stroke=alt.condition(hover, alt.value(LIGHT), alt.value("transparent")),
            tooltip=tooltip,
        )
        .project(
            type="identity",
            scale=width / w,
            translate=[0, 0],
        )
        .add_params(hover)
    )
    return alt.layer(shown, touch).properties(width=width, height=height)


def _bars(rows, hover, tooltip, palette):
    colors = alt.Scale(
        domain=["for", "against", LITTLE, EITHER],
        range=[palette.hex(True), palette.hex(False), "#c9d1d5", "#9aa5ab"],
    )
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y(
            "Superpixel:O",
            sort=None,
            title="superpixel",
            axis=alt.Axis(ticks=False, labelOverlap=False),
        ),
    )
    bars = base.mark_bar(height={"band": 0.7}, cornerRadius=2).encode(
        x=alt.X("Effect:Q", title="effect on the probability (points)"),
        color=alt.Color("Speaks:N", scale=colors, legend=None),
        stroke=alt.condition(hover, alt.value(LIGHT), alt.value("transparent")),
        strokeWidth=alt.value(3),
        tooltip=tooltip,
    )
    whiskers = base.mark_rule(strokeWidth=1.5, color="#7d8a91").encode(
        x="From:Q", x2="To:Q", tooltip=tooltip
    )
    return alt.layer(bars, whiskers).properties(width=240, height=min(BAR * len(rows), SIDE - 40))
