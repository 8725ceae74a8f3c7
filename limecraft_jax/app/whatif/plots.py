"""Charts of the editing page: class confidences of variants, and probability against dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np

from limecraft_jax.show.radar import likeliest

# Okabe & Ito 2008; black gives way to gray, which shows on dark pages too.
COLORS = ["#7f8c8d", "#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#0072b2", "#f0e442"]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3], [10, 4], [3, 1]]
RADIUS = 150  # pixels


def radar(answers: Mapping[str, np.ndarray], classes: Sequence[str]) -> alt.LayerChart:
    """Confidence of every class for every variant on spokes from 0 to 1 (the paper's Fig. 5).

    Parameters
    ----------
    answers
        Probabilities ``[k]`` by the variant's name.
    classes
        Names of the k classes, at least 3; those are drawn that are `radar.likeliest`.
    """
    drawn = likeliest(answers)
    answers, classes = {n: p[drawn] for n, p in answers.items()}, [classes[i] for i in drawn]
    k = len(classes)
    angles = 2 * np.pi * np.arange(k) / k
    x, y = np.sin(angles), np.cos(angles)
    lines = [
        {
            "Variant": name,
            "Class": classes[i % k],
            "Probability": float(probs[i % k]),
            "x": float(probs[i % k] * x[i % k]),
            "y": float(probs[i % k] * y[i % k]),
            "order": i,
        }
        for name, probs in answers.items()
        for i in range(k + 1)
    ]
    rings = [
        {"ring": r, "x": float(r * x[i % k]), "y": float(r * y[i % k]), "order": i}
        for r in (0.25, 0.5, 0.75, 1.0)
        for i in range(k + 1)
    ]
    words = [
        {"Class": c, "x": float(1.13 * a), "y": float(1.13 * b)}
        for c, a, b in zip(classes, x, y, strict=True)
    ]
    across = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-1.75, 1.75]))
    upward = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-1.25, 1.25]))
    names = list(answers)
    grid = (
        alt.Chart(alt.Data(values=rings))
        .mark_line(color="#8886", strokeWidth=1)
        .encode(x=across, y=upward, detail="ring:N", order="order:Q")
    )
    text = (
        alt.Chart(alt.Data(values=words))
        .mark_text(color="#7d8a91", fontSize=12)
        .encode(x=across, y=upward, text="Class:N")
    )
    shape = (
        alt.Chart(alt.Data(values=lines))
        .mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(size=45))
        .encode(
            x=across,
            y=upward,
            order="order:Q",
            color=alt.Color(
                "Variant:N",
                scale=alt.Scale(domain=names, range=COLORS[: len(names)]),
                sort=names,
                legend=alt.Legend(orient="bottom", title=None, columns=3, labelLimit=260),
            ),
            strokeDash=alt.StrokeDash(
                "Variant:N",
                scale=alt.Scale(domain=names, range=DASHES[: len(names)]),
                legend=None,
            ),
            tooltip=["Variant:N", "Class:N", alt.Tooltip("Probability:Q", format=".1%")],
        )
    )
    chart = alt.layer(grid, text, shape).properties(width=3.5 * RADIUS, height=2.5 * RADIUS)
    return chart.configure_view(strokeWidth=0)


def differences(before: np.ndarray, after: np.ndarray, classes: Sequence[str], most: int = 12):
    """By how many points every class rises or falls, the largest change first.

    Parameters
    ----------
    before, after
        Probabilities ``[k]``.
    classes
        Names of the k classes.
    most
        Number of classes shown.
    """
    order = np.argsort(-np.abs(after - before), kind="stable")[:most]
    rows = [
        {
            "Class": classes[i],
            "Change": 100 * float(after[i] - before[i]),
            "way": "rises" if after[i] > before[i] else "falls",
        }
        for i in order
    ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(cornerRadius=2)
        .encode(
            y=alt.Y(
                "Class:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, labelOverlap=False)
            ),
            x=alt.X("Change:Q", title="change of the probability (points)"),
            color=alt.Color(
                "way:N",
                scale=alt.Scale(domain=["rises", "falls"], range=["#0072b2", "#e66100"]),
                legend=None,
            ),
            tooltip=["Class:N", alt.Tooltip("Change:Q", format="+.2f")],
        )
        .properties(height=24 * len(rows) + 30)
    )


def doses(sweep, classes: Sequence[str], name: str, unit: str, most: int = 6):
    """Probability of the likeliest classes against the dose; dashed where the class changes.

    Parameters
    ----------
    sweep
        A `whatif.Sweep`; the band is the spread over slightly different masks.
    classes
        Names of the classes.
    name, unit
        What is turned.
    most
        Number of classes shown.
    """
    shown = np.argsort(-sweep.probs.max(axis=0), kind="stable")[:most]
    spread = len(sweep.jittered) > 0
    rows = [
        {
            "dose": float(dose),
            "Class": classes[c],
            "Probability": float(sweep.probs[i, c]),
            "low": float(sweep.jittered[:, i, c].min()) if spread else None,
            "high": float(sweep.jittered[:, i, c].max()) if spread else None,
        }
        for i, dose in enumerate(sweep.values)
        for c in shown
    ]
    changes = [
        {"dose": float((sweep.values[i] + sweep.values[i - 1]) / 2), "to": classes[sweep.top[i]]}
        for i in sweep.changes
    ]
    across = alt.X("dose:Q", title=f"{name}, {unit}" if unit else name)
    upward = alt.Y(
        "Probability:Q",
        title="probability",
        axis=alt.Axis(format="%"),
        scale=alt.Scale(domain=[0, 1]),
    )
    color = alt.Color(
        "Class:N",
        sort=[classes[c] for c in shown],
        scale=alt.Scale(domain=[classes[c] for c in shown], range=COLORS[1:] + COLORS[:1]),
        legend=alt.Legend(orient="bottom", title=None, columns=3, labelLimit=260),
    )
    base = alt.Chart(alt.Data(values=rows)).encode(x=across, color=color)
    layers: list = [
        base.mark_line(strokeWidth=2.5).encode(
            y=upward, tooltip=["Class:N", "dose:Q", alt.Tooltip("Probability:Q", format=".1%")]
        )
    ]
    if spread:
        band = alt.Y("low:Q", title="probability")
        layers.insert(0, base.mark_area(opacity=0.18).encode(y=band, y2="high:Q"))
    if changes:
        marks = alt.Chart(alt.Data(values=changes))
        layers.append(
            marks.mark_rule(strokeDash=[5, 4], color="#7d8a91").encode(
                x="dose:Q", tooltip=[alt.Tooltip("to:N", title="from here on")]
            )
        )
    return alt.layer(*layers).properties(height=300)


def heat(
    probs: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    names: tuple[str, str],
    title: str,
) -> alt.Chart:
    """Probability of one class over two parameters.

    Parameters
    ----------
    probs
        ``[r c]``.
    rows, columns
        Values of the two parameters.
    names
        Of the row's and the column's parameter.
    title
        Of the color scale.
    """
    cells = [
        {"row": round(float(r), 3), "column": round(float(c), 3), "p": float(probs[i, j])}
        for i, r in enumerate(rows)
        for j, c in enumerate(columns)
    ]
    return (
        alt.Chart(alt.Data(values=cells))
        .mark_rect()
        .encode(
            x=alt.X("column:O", title=names[1], axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("row:O", title=names[0], sort="descending"),
            color=alt.Color(
                "p:Q",
                scale=alt.Scale(scheme="viridis", domain=[0, 1]),
                legend=alt.Legend(title=title, format="%"),
            ),
            tooltip=["row:Q", "column:Q", alt.Tooltip("p:Q", format=".1%", title="Probability")],
        )
        .properties(height=300)
    )
