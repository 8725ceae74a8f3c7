"""Fourth panel: the answer, live under every control of the free half."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable

import numpy as np
import streamlit as st

from limecraft_jax.app.shared import look
from limecraft_jax.app.shared.session import Job, one_sentence
from limecraft_jax.files import images, masks
from limecraft_jax.regions import Regions
from limecraft_jax.show import draw, report, whole
from limecraft_jax.types import SHARE_RULES, Explanation

WIDTHS = [0.05, 0.08, 0.12, 0.18, 0.25, 0.35, 0.5, 0.7, 1.0, 2.0, 10.0]
PENALTIES = [0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]


@st.fragment
def show(job: Job) -> None:
    """The explanation of one class, with its controls; moving them asks the classifier nothing."""
    from limecraft_jax.path import lime
    from limecraft_jax.path.kernel import Exponential
    from limecraft_jax.path.surrogate import Ridge

    probs, d = job.neighborhood.probs[0], job.neighborhood.segmentation.num
    left, right = st.columns(2, gap="medium")
    target = left.selectbox(
        "Explain the class",
        [int(i) for i in np.argsort(-probs, kind="stable")],
        format_func=lambda i: f"{job.classes[i]} ({look.percent(float(probs[i]))})",
        key=f"target-{job.key}",
        help="What speaks for or against this class? The most likely one comes first.",
    )
    most = min(d, 200)
    shown = (
        most
        if most == 1
        else right.slider(
            "Superpixels shown",
            1,
            most,
            min(most, 20),
            key=f"shown-{d}",
            persist_state="session",
            help="Colors only the superpixels with the largest effects.",
        )
    )
    with st.expander("Fine-tune (answers at once, no new questions)", icon=":material/tune:"):
        left, right = st.columns(2, gap="medium")
        width = left.select_slider(
            "Kernel width ν",
            WIDTHS,
            0.25,
            key="kernel",
            persist_state="session",
            help="How near to the picture a variant must be to count: small looks only at variants "
            "with little hidden, large at all alike. lime uses 0.25. If the answer changes much "
            "with the width, do not lean on it.",
        )
        penalty = right.select_slider(
            "Penalty λ",
            PENALTIES,
            1.0,
            key="penalty",
            persist_state="session",
            help="Pulls all effects towards 0. lime uses 1.",
        )
        opacity = left.slider(
            "Opacity", 0.0, 1.0, 0.6, 0.05, key="opacity", persist_state="session"
        )
        palette = draw.PALETTES[
            right.selectbox(
                "Colors",
                list(draw.PALETTES),
                format_func=lambda name: draw.PALETTES[name].label,
                key="palette",
                persist_state="session",
            )
        ]
        rule = left.selectbox(
            "Neutral area",
            list(SHARE_RULES),
            format_func=SHARE_RULES.__getitem__,
            key="rule",
            persist_state="session",
            help="When does a part of the picture count as neither for nor against?",
        )
        lines = right.toggle("Show boundaries", True, key="lines", persist_state="session")
    with one_sentence():
        explanation = lime.resolve(job.neighborhood, Exponential(width), Ridge(penalty))
        name = job.classes[target]
        lit = _picked(explanation, target)
        picture = draw.overlay(explanation, target, shown, opacity, palette, lines, lit)
        _regions(explanation, target, name)
        _headline(explanation, target, look.text(name))
        from limecraft_jax.app.explain import charts

        st.vega_lite_chart(
            spec=charts.linked(explanation, target, picture, min(shown, 24), palette),
            width="content",
            key="linked",
            alt=f"The picture colored by what speaks for {name} and what speaks against it",
        )
        _shares(explanation, target, name, palette, rule)
        _trust(explanation, target, look.text(name), shown)
        _details(job, explanation, target, look.text(name))
        _downloads(job, explanation, target, name, picture, width, penalty)


def _regions(explanation: Explanation, target: int, name: str) -> None:
    """What each whole region does: the classifier's own answers, before any talk of pieces."""
    found = explanation.regions
    if found is None:
        return
    st.markdown("  \n".join(map(look.text, whole.sentences(found, target, name))))
    lines = "".join(
        f"<tr><th scope=row>{html.escape(region)}</th>"
        f"{_bar(found.without[target, j])}{_bar(found.alone[target, j])}"
        f"<td>{look.points(found.effect[target, j], 1)}{_between(found, target, j)}</td></tr>"
        for j, region in enumerate(found.names)
    )
    st.html(
        '<div class="lc-regions"><table><thead><tr><th></th><th>hidden</th><th>shown alone</th>'
        "<th>effect of its parts, points (95 %)</th></tr></thead><tbody>"
        f"<tr><th scope=row>nothing</th>"
        f"{_bar(found.whole[target])}<td></td><td></td></tr>{lines}</tbody></table></div>"
    )


def _bar(p: float) -> str:
    """A cell with a probability and a bar of its length."""
    width = 100 * min(max(float(p), 0), 1)
    return (
        f'<td><div class="track"><div style="width:{width:.1f}%"></div></div>'
        f"<span>{look.percent(float(p))}</span></td>"
    )


def _between(found: Regions, target: int, j: int) -> str:
    low, high = found.low[target, j], found.high[target, j]
    return f" ({look.points(low, 1)} to {look.points(high, 1)})" if np.isfinite(low + high) else ""


def _headline(explanation: Explanation, target: int, name: str) -> None:
    rows = [row for row in report.rows(explanation, target) if not row["undecided"]]
    if not rows:
        st.markdown(f"No superpixel has a clear effect on **{name}**.")
        return
    row = rows[0]
    digits = look.digits(abs(row["coefficient"]))
    where = f"in region {row['region']}" if row["region"] else "outside your regions"
    where = f" {where}" if explanation.neighborhood.segmentation.inside.any() else ""
    verb = "raises" if row["coefficient"] > 0 else "lowers"
    st.markdown(
        f"The strongest part is **superpixel {row['superpixel'] + 1}**{where}: showing it {verb} "
        f"the probability of **{name}** by about **{100 * abs(row['coefficient']):.{digits}f} "
        f"percentage points** (95 % interval {look.points(row['low'], digits)} to "
        f"{look.points(row['high'], digits)})."
    )


def _shares(explanation, target, name, palette, rule) -> None:
    shares = explanation.shares(target, rule)
    against, favor = palette.hex(False), palette.hex(True)
    parts = [
        (shares.positive, favor, f"speaks for {name}"),
        (shares.negative, against, "speaks against it"),
        (shares.negligible, "#8884", "matters little"),
        (
            shares.neutral - shares.negligible,
            look.hatched("#8889"),
            "could go either way" if rule == "interval" else "neutral",
        ),
    ]
    parts = [part for part in parts if part[0] > 0 or part[1] in (favor, against)]
    bar = "".join(f'<div style="width:{100 * s:.2f}%;background:{c}"></div>' for s, c, _ in parts)
    key = "".join(
        f'<span><i style="background:{c}"></i><b>{look.percent(s)}</b> of the picture '
        f"{html.escape(what)}</span>"
        for s, c, what in parts
    )
    st.html(f'<div class="lc-shares">{bar}</div><div class="lc-key">{key}</div>')


def _trust(explanation, target, name, shown) -> None:
    trust = report.trust(explanation, target, name, shown)
    box, icon, title = {
        "good": (st.success, ":material/verified:", "You can lean on this."),
        "fair": (st.info, ":material/info:", "Read it with care."),
        "poor": (st.warning, ":material/warning:", "Do not lean on this."),
    }[trust.level]
    box(f"**{title}** " + " ".join(trust.sentences), icon=icon)


def _picked(explanation: Explanation, target: int) -> tuple[int, ...]:
    """The superpixels of the table rows that are picked."""
    state = st.session_state.get(f"table-{target}")
    order = explanation.top(target, explanation.neighborhood.segmentation.num)
    rows = state.selection.rows if state else []
    return tuple(int(order[i]) for i in rows if i < len(order))


def _details(job: Job, explanation: Explanation, target: int, name: str) -> None:
    fit, neighborhood = explanation.fit, explanation.neighborhood
    digits = look.digits(np.abs(fit.coef[target]).max()) + 1
    with st.expander("All superpixels in numbers", icon=":material/table:"):
        st.caption(
            "Tick rows to outline them in the picture above. Effects are percentage points of the "
            f"probability of {name}."
        )
        st.dataframe(
            [
                {
                    "superpixel": row["superpixel"] + 1,
                    "place": f"region {row['region']}" if row["region"] else "outside",
                    "effect": 100 * row["coefficient"],
                    "95 % from": None if row["low"] is None else 100 * row["low"],
                    "95 % to": None if row["high"] is None else 100 * row["high"],
                    "sign is right": 100 * row["sign_probability"],
                    "area": 100 * row["area"],
                }
                for row in report.rows(explanation, target)
            ],
            hide_index=True,
            height=300,
            key=f"table-{target}",
            on_select="rerun",
            selection_mode="multi-row",
            column_config={
                "effect": st.column_config.NumberColumn(format=f"%+.{digits}f"),
                "95 % from": st.column_config.NumberColumn(format=f"%+.{digits}f"),
                "95 % to": st.column_config.NumberColumn(format=f"%+.{digits}f"),
                "sign is right": st.column_config.NumberColumn(format="%.1f %%"),
                "area": st.column_config.NumberColumn(format="%.1f %%"),
            },
        )
    with st.expander("How well the simple model fits", icon=":material/straighten:"):
        cells = st.columns(4)
        cells[0].metric(
            "R²",
            report.score(fit.r2[target]),
            help="Share of the ups and downs of the classifier's answers that the simple model "
            "foretells on samples that it has not seen; 1 is all. On its own samples it is "
            f"{report.score(fit.r2_sample[target])}.",
        )
        cells[1].metric(
            "Effective samples",
            f"{fit.effective_samples:.0f}",
            help=f"What the {len(neighborhood.probs)} weighted samples are worth (Kish).",
        )
        cells[2].metric(
            "It predicts",
            look.percent(float(fit.local_pred[target])),
            help="The simple model's own probability for the picture; the classifier says "
            f"{look.percent(float(neighborhood.probs[0, target]))}.",
        )
        cells[3].metric(
            "Seconds", f"{job.seconds:.1f}", help=f"For {len(neighborhood.probs)} samples."
        )


def _downloads(job, explanation, target, name, picture, width, penalty) -> None:
    from limecraft_jax.path.kernel import Exponential
    from limecraft_jax.path.surrogate import Ridge

    settings = dataclasses.replace(job.settings, kernel=Exponential(width), ridge=Ridge(penalty))
    labels = explanation.neighborhood.segmentation.labels
    word = "".join(c if c.isalnum() else "-" for c in name)
    files: list[tuple[str, str, str, Callable[[], str | bytes]]] = [
        ("Picture", f"overlay-{word}.png", "image/png", lambda: images.to_png(picture)),
        ("Superpixels", "labels.png", "image/png", lambda: masks.save_labels(labels)),
        (
            "Numbers (JSON)",
            "explanation.json",
            "application/json",
            lambda: report.dumps(report.record(explanation, settings, job.model, job.classes)),
        ),
        (
            "Table (CSV)",
            f"{word}.csv",
            "text/csv",
            lambda: report.table(explanation, settings, job.model, job.classes, target),
        ),
    ]
    for column, (label, file, mime, data) in zip(st.columns(4), files, strict=True):
        column.download_button(
            label,
            data,
            file,
            mime,
            icon=":material/download:",
            on_click="ignore",
            width="stretch",
            key=f"get-{file}",
        )
